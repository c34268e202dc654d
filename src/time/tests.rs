use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike, NaiveDateTime, Timelike};

use super::*;
use crate::model::Timestamp;

const HOUR: i64 = 3_600_000;

fn zone(name: &str) -> Zone {
    Zone::parse(name).unwrap()
}

/// An instant written in UTC.
fn utc(text: &str) -> Timestamp {
    parse_wall_clock(text, Zone::UTC).unwrap()
}

/// An instant written as the clock shows it, in that zone.
fn at(text: &str, name: &str) -> Timestamp {
    parse_wall_clock(text, zone(name)).unwrap()
}

fn iso(t: Timestamp, name: &str) -> String {
    zone(name).iso(t)
}

// ---- zones and wall clocks ----

#[test]
fn a_wall_clock_time_that_is_not_one_instant_follows_the_rule() {
    let cases = [
        // (zone, written, what it is)
        (
            "Europe/Berlin",
            "2026-07-01T09:00",
            "2026-07-01T09:00:00+02:00",
        ),
        (
            "Europe/Berlin",
            "2026-12-01T09:00",
            "2026-12-01T09:00:00+01:00",
        ),
        // Skipped: the end of the gap.
        (
            "Europe/Berlin",
            "2026-03-29T02:00",
            "2026-03-29T03:00:00+02:00",
        ),
        (
            "Europe/Berlin",
            "2026-03-29T02:30",
            "2026-03-29T03:00:00+02:00",
        ),
        (
            "Europe/Berlin",
            "2026-03-29T02:59:59",
            "2026-03-29T03:00:00+02:00",
        ),
        (
            "Europe/Berlin",
            "2026-03-29T03:00",
            "2026-03-29T03:00:00+02:00",
        ),
        (
            "America/New_York",
            "2026-03-08T02:30",
            "2026-03-08T03:00:00-04:00",
        ),
        (
            "Australia/Lord_Howe",
            "2026-10-04T02:10",
            "2026-10-04T02:30:00+11:00",
        ),
        // A gap at midnight, and a whole day skipped.
        (
            "Africa/Cairo",
            "2026-04-24T00:20",
            "2026-04-24T01:00:00+03:00",
        ),
        (
            "Pacific/Apia",
            "2011-12-30T12:00",
            "2011-12-31T00:00:00+14:00",
        ),
        // Repeated: the first.
        (
            "Europe/Berlin",
            "2026-10-25T02:30",
            "2026-10-25T02:30:00+02:00",
        ),
        (
            "America/New_York",
            "2026-11-01T01:30",
            "2026-11-01T01:30:00-04:00",
        ),
        (
            "Australia/Lord_Howe",
            "2026-04-05T01:45",
            "2026-04-05T01:45:00+11:00",
        ),
        // No such thing.
        (
            "Asia/Kolkata",
            "2026-03-29T02:30",
            "2026-03-29T02:30:00+05:30",
        ),
        ("UTC", "2026-10-25T02:30", "2026-10-25T02:30:00+00:00"),
    ];
    for (name, written, expected) in cases {
        assert_eq!(
            iso(at(written, name), name),
            expected,
            "{written} in {name}"
        );
    }
}

#[test]
fn a_time_with_an_offset_needs_no_zone() {
    let berlin = zone("Europe/Berlin");
    for (text, millis, needs) in [
        ("2026-12-01T09:00", 1_796_112_000_000, true),
        ("2026-12-01 09:00:00", 1_796_112_000_000, true),
        ("2026-12-01", 1_796_079_600_000, true),
        ("2026-12-01T08:00Z", 1_796_112_000_000, false),
        ("2026-12-01T08:00:00.250Z", 1_796_112_000_250, false),
        ("2026-12-01T10:00+02:00", 1_796_112_000_000, false),
        ("2026-12-01T02:30:00-0530", 1_796_112_000_000, false),
    ] {
        let clock = WallClock::parse(text).unwrap();
        assert_eq!(clock.resolve(berlin), Timestamp(millis), "{text}");
        assert_eq!(clock.needs_zone(), needs, "{text}");
    }
}

#[test]
fn what_is_no_time_is_refused_with_its_place() {
    for (text, column, said) in [
        ("", 1, "not a time"),
        ("tomorrow", 1, "not a time"),
        ("01.12.2026 09:00", 1, "not a time"),
        ("2026-13-01T09:00", 1, "no day 2026-13-01"),
        ("2026-02-30T09:00", 1, "no day 2026-02-30"),
        ("2026-12-01T24:00", 12, "no time 24:00"),
        ("2026-12-01T09:60", 12, "no time 09:60"),
        ("2026-12-01T9:00", 11, "not a time"),
        ("2026-12-01T09:00 Berlin", 17, "not an offset"),
        ("2026-12-01T09:00+25:00", 17, "not an offset"),
        ("1812-12-01T09:00", 1, "out of range"),
        ("２０２６-12-01T09:00", 1, "not a time"),
    ] {
        let problem = WallClock::parse(text).unwrap_err();
        assert_eq!(problem.column, column, "{text}: {problem}");
        assert!(problem.summary.contains(said), "{text}: {problem}");
    }
}

#[test]
fn a_zone_is_found_by_its_iana_name_and_others_are_guessed() {
    assert_eq!(zone("Europe/Berlin").name(), "Europe/Berlin");
    for (wrong, meant) in [
        ("Europe/Berln", Some("Europe/Berlin")),
        ("europe/berlin", Some("Europe/Berlin")),
        ("Moscow", Some("Europe/Moscow")),
        ("xyzzy", None),
    ] {
        let problem = Zone::parse(wrong).unwrap_err();
        assert_eq!(problem.suggestion.as_deref(), meant, "{wrong}");
    }
}

#[test]
fn the_ends_of_time_break_nothing() {
    let berlin = zone("Europe/Berlin");
    let windows = Windows::parse(&["mon-fri 10:00-13:00"]).unwrap();
    let cron = Cron::parse("0 10 * * mon").unwrap();
    for t in [
        Timestamp::MIN,
        Timestamp(i64::MIN + 1),
        Timestamp(0),
        Timestamp::MAX,
    ] {
        berlin.iso(t);
        let day = Day::of(t, berlin);
        assert!(day.start() <= day.end());
        windows.next_open(t, berlin);
        windows.closes_at(t, berlin);
        windows.after_open_time(t, i64::MAX, berlin);
        cron.next_after(t, berlin);
        cron.previous_or_at(t, berlin);
        human_relative(t, Timestamp(0));
        human_duration(t.0);
    }
}

// ---- days ----

#[test]
fn a_day_has_23_or_25_hours_when_the_clock_changes() {
    for (name, noon, hours) in [
        ("Europe/Berlin", "2026-03-29T12:00", 23.0),
        ("Europe/Berlin", "2026-10-25T12:00", 25.0),
        ("Europe/Berlin", "2026-06-01T12:00", 24.0),
        ("America/New_York", "2026-03-08T12:00", 23.0),
        ("America/New_York", "2026-11-01T12:00", 25.0),
        ("Australia/Lord_Howe", "2026-10-04T12:00", 23.5),
        ("Australia/Lord_Howe", "2026-04-05T12:00", 24.5),
        ("Africa/Cairo", "2026-04-24T12:00", 23.0),
        ("Asia/Kolkata", "2026-03-29T12:00", 24.0),
    ] {
        let day = Day::of(at(noon, name), zone(name));
        let length = (day.end().0 - day.start().0) as f64 / HOUR as f64;
        assert_eq!(length, hours, "{name} {noon}");
        assert_eq!(Day::of(day.start(), zone(name)), day, "{name} {noon}");
        assert_eq!(Day::of(Timestamp(day.end().0 - 1), zone(name)), day);
        assert_eq!(Day::of(day.end(), zone(name)), day.next());
        assert_eq!(day.next().number(), day.number() + 1);
    }
}

#[test]
fn a_day_is_the_zones_and_not_utcs() {
    let t = utc("2026-06-01T22:30");
    assert_eq!(Day::of(t, Zone::UTC).date().to_string(), "2026-06-01");
    assert_eq!(
        Day::of(t, zone("Europe/Berlin")).date().to_string(),
        "2026-06-02"
    );
    assert_eq!(Day::of(Timestamp(0), Zone::UTC).number(), 0);
    assert_eq!(Day::of(Timestamp(-1), Zone::UTC).number(), -1);
}

// ---- windows ----

fn windows(texts: &[&str]) -> Windows {
    Windows::parse(texts).unwrap()
}

#[test]
fn a_window_is_open_from_its_start_to_before_its_end() {
    let cases: &[(&[&str], &str, bool)] = &[
        // 2026-11-23 is a Monday.
        (&["mon-fri 10:00-13:00"], "2026-11-23T09:59:59", false),
        (&["mon-fri 10:00-13:00"], "2026-11-23T10:00", true),
        (&["mon-fri 10:00-13:00"], "2026-11-23T12:59:59", true),
        (&["mon-fri 10:00-13:00"], "2026-11-23T13:00", false),
        (&["mon-fri 10:00-13:00"], "2026-11-28T11:00", false),
        (&["sat,sun 12:00-18:00"], "2026-11-28T12:00", true),
        (&["sat,sun 12:00-18:00"], "2026-11-27T12:00", false),
        (&["10:00-20:00"], "2026-11-29T19:59", true),
        (&["20:00-24:00"], "2026-11-29T23:59:59", true),
        (&["20:00-24:00"], "2026-11-30T00:00", false),
        (&["20:00-00:00"], "2026-11-29T23:59:59", true),
        (&["Monday, WED 9:00 - 10:00"], "2026-11-25T09:30", true),
        (&["sat-mon 10:00-11:00"], "2026-11-23T10:30", true),
        (&["sat-mon 10:00-11:00"], "2026-11-24T10:30", false),
        (&[], "2026-11-24T10:30", true),
        (&["00:00-24:00"], "2026-11-24T00:00", true),
    ];
    for (texts, time, open) in cases {
        let t = at(time, "Europe/Berlin");
        assert_eq!(
            windows(texts).open_at(t, zone("Europe/Berlin")),
            *open,
            "{texts:?} at {time}"
        );
    }
}

#[test]
fn a_window_across_midnight_belongs_to_the_day_it_opens() {
    let night = windows(&["fri 22:00-02:00"]);
    for (time, open) in [
        ("2026-11-27T21:59", false),
        ("2026-11-27T22:00", true),
        ("2026-11-28T01:59", true),
        ("2026-11-28T02:00", false),
        ("2026-11-27T01:00", false),
    ] {
        let t = at(time, "Europe/Berlin");
        assert_eq!(night.open_at(t, zone("Europe/Berlin")), open, "{time}");
    }
    // Over the week's end too.
    let night = windows(&["sun 22:00-02:00"]);
    assert!(night.open_at(at("2026-11-30T01:00", "UTC"), Zone::UTC));
    assert_eq!(
        night.closes_at(at("2026-11-29T23:00", "UTC"), Zone::UTC),
        Some(at("2026-11-30T02:00", "UTC"))
    );
}

#[test]
fn touching_and_overlapping_windows_are_one() {
    let monday = "2026-11-23T10:30";
    for texts in [
        &["mon 10:00-13:00", "mon 13:00-19:00"][..],
        &["mon 10:00-14:00", "mon 12:00-19:00"],
        &["mon 10:00-19:00", "mon 11:00-12:00"],
    ] {
        let closes = windows(texts).closes_at(at(monday, "UTC"), Zone::UTC);
        assert_eq!(closes, Some(at("2026-11-23T19:00", "UTC")), "{texts:?}");
    }
    let always = windows(&["mon-wed 00:00-24:00", "thu-sun 00:00-24:00"]);
    assert!(always.is_always());
    assert_eq!(always.closes_at(at(monday, "UTC"), Zone::UTC), None);
    let round = windows(&["sun 20:00-24:00", "mon 00:00-03:00"]);
    assert_eq!(
        round.closes_at(at("2026-11-29T21:00", "UTC"), Zone::UTC),
        Some(at("2026-11-30T03:00", "UTC"))
    );
}

#[test]
fn the_next_opening_is_now_when_it_is_open() {
    let office = windows(&["mon-fri 10:00-13:00", "mon-fri 14:00-19:00"]);
    let berlin = zone("Europe/Berlin");
    for (now, next) in [
        ("2026-11-23T11:00", "2026-11-23T11:00"),
        ("2026-11-23T13:00", "2026-11-23T14:00"),
        ("2026-11-23T19:00", "2026-11-24T10:00"),
        ("2026-11-27T19:00", "2026-11-30T10:00"),
        // Over the spring's Sunday: ten by the clock, not by the hours passed.
        ("2026-03-27T19:00", "2026-03-30T10:00"),
        ("2026-10-23T19:00", "2026-10-26T10:00"),
    ] {
        assert_eq!(
            office.next_open(at(now, "Europe/Berlin"), berlin),
            Some(at(next, "Europe/Berlin")),
            "{now}"
        );
    }
}

#[test]
fn on_the_day_on_which_the_clock_changes_a_window_means_what_the_clock_shows() {
    let berlin = zone("Europe/Berlin");
    let spring = utc("2026-03-29T00:00"); // 01:00 in Berlin
    // Wholly in the gap: not open on that day.
    let gap = windows(&["02:00-03:00"]);
    assert_eq!(
        gap.next_open(spring, berlin)
            .map(|t| iso(t, "Europe/Berlin")),
        Some("2026-03-30T02:00:00+02:00".into())
    );
    // Beginning in the gap: open from its end.
    let into = windows(&["02:30-04:00"]);
    assert_eq!(
        into.next_open(spring, berlin)
            .map(|t| iso(t, "Europe/Berlin")),
        Some("2026-03-29T03:00:00+02:00".into())
    );
    // Ending in the gap: closed from its beginning.
    let out = windows(&["01:00-02:30"]);
    assert_eq!(
        out.closes_at(spring, berlin)
            .map(|t| iso(t, "Europe/Berlin")),
        Some("2026-03-29T03:00:00+02:00".into())
    );
    // A repeated hour is open twice, and closed in between.
    let twice = windows(&["02:15-02:45"]);
    let first = twice.next_open(utc("2026-10-24T22:30"), berlin).unwrap();
    let first_end = twice.closes_at(first, berlin).unwrap();
    let second = twice.next_open(first_end, berlin).unwrap();
    let second_end = twice.closes_at(second, berlin).unwrap();
    assert_eq!(
        [first, first_end, second, second_end].map(|t| iso(t, "Europe/Berlin")),
        [
            "2026-10-25T02:15:00+02:00",
            "2026-10-25T02:45:00+02:00",
            "2026-10-25T02:15:00+01:00",
            "2026-10-25T02:45:00+01:00"
        ]
    );
}

/// Windows against a scan of every minute, over the days on which clocks change.
#[test]
fn windows_agree_with_a_scan_of_every_minute() {
    let sets: [&[&str]; 6] = [
        &["mon-fri 10:00-13:00"],
        &["01:30-02:30"],
        &["sat 22:00-02:15", "sun 02:10-03:05"],
        &["sun 01:45-02:10", "sun 02:40-24:00"],
        &["sun 00:00-24:00"],
        &["23:00-02:00"],
    ];
    for (name, from) in [
        ("Europe/Berlin", "2026-03-28T12:00"),
        ("Europe/Berlin", "2026-10-24T12:00"),
        ("America/New_York", "2026-03-07T12:00"),
        ("America/New_York", "2026-10-31T12:00"),
        ("Australia/Lord_Howe", "2026-10-03T12:00"),
        ("Australia/Lord_Howe", "2026-04-04T12:00"),
        ("Asia/Kolkata", "2026-10-24T12:00"),
    ] {
        let zone = zone(name);
        let start = utc(from);
        for texts in sets {
            let windows = windows(texts);
            let minutes: Vec<Timestamp> = (0..2 * 24 * 60)
                .map(|m| Timestamp(start.0 + m * 60_000))
                .collect();
            let open: Vec<bool> = minutes.iter().map(|t| windows.open_at(*t, zone)).collect();
            let mut next_open = None;
            let mut next_closed = None;
            for index in (0..minutes.len()).rev() {
                let t = minutes[index];
                if open[index] {
                    next_open = Some(t);
                    if next_closed.is_some() {
                        assert_eq!(
                            windows.closes_at(t, zone),
                            next_closed,
                            "{texts:?} {name} {t}"
                        );
                    }
                } else {
                    next_closed = Some(t);
                    assert_eq!(windows.closes_at(t, zone), None);
                    if next_open.is_some() {
                        assert_eq!(
                            windows.next_open(t, zone),
                            next_open,
                            "{texts:?} {name} {t}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn open_time_passes_only_in_windows() {
    let office = windows(&["mon-fri 10:00-13:00", "mon-fri 14:00-19:00"]);
    let monday = at("2026-11-23T12:00", "UTC");
    for (hours, then) in [
        (0, "2026-11-23T12:00"),
        (1, "2026-11-23T13:00"),
        (2, "2026-11-23T15:00"),
        (6, "2026-11-23T19:00"),
        (7, "2026-11-24T11:00"),
        (40, "2026-11-30T12:00"),
    ] {
        let found = office.after_open_time(monday, hours * HOUR, Zone::UTC);
        assert_eq!(found, Some(at(then, "UTC")), "{hours} h");
    }
}

#[test]
fn what_is_no_window_is_refused_with_its_place() {
    for (text, column, said, suggestion) in [
        ("", 1, "empty", None),
        ("mon-fri", 1, "names no times", None),
        ("mno-fri 10:00-13:00", 1, "'mno' is not a day", Some("mon")),
        ("mon-fir 10:00-13:00", 5, "'fir' is not a day", Some("fri")),
        ("mon,, 10:00-13:00", 5, "'' is not a day", None),
        ("mon 10:00", 5, "not a span", None),
        ("mon 10-13", 5, "'10' is not a time of day", None),
        ("mon 10:00-25:00", 11, "'25:00' is not a time of day", None),
        ("mon 10:00-24:01", 11, "'24:01' is not a time of day", None),
        ("mon 24:00-02:00", 5, "24:00 cannot be a start", None),
        ("mon 10:00-10:00", 5, "is empty", None),
        ("mon10:00-11:00", 1, "is not a window", None),
        ("пн 10:00-11:00", 1, "'пн' is not a day", None),
        (
            "mon 10:00-13:00, 14:00-15:00",
            11,
            "not a time of day",
            None,
        ),
    ] {
        let (index, problem) = Windows::parse(&["10:00-11:00", text]).unwrap_err();
        assert_eq!(index, 1);
        assert_eq!(problem.column, column, "{text}: {problem:?}");
        assert!(problem.summary.contains(said), "{text}: {problem}");
        assert_eq!(problem.suggestion.as_deref(), suggestion, "{text}");
    }
}

// ---- cron ----

#[test]
fn cron_fires_as_crontab_does() {
    // (schedule, from, the next firings), all in UTC; 2026-11-23 is a Monday.
    let cases: &[(&str, &str, &[&str])] = &[
        (
            "0 10 * * mon",
            "2026-11-23T10:00",
            &["2026-11-30T10:00", "2026-12-07T10:00"],
        ),
        ("0 10 * * mon", "2026-11-23T09:59:59", &["2026-11-23T10:00"]),
        ("0 0 * * 0", "2026-11-23T00:00", &["2026-11-29T00:00"]),
        ("0 0 * * 7", "2026-11-23T00:00", &["2026-11-29T00:00"]),
        ("0 0 * * sun", "2026-11-23T00:00", &["2026-11-29T00:00"]),
        (
            "0 0 * * 6-7",
            "2026-11-23T00:00",
            &["2026-11-28T00:00", "2026-11-29T00:00", "2026-12-05T00:00"],
        ),
        (
            "0 0 * * fri-sun",
            "2026-11-23T00:00",
            &["2026-11-27T00:00", "2026-11-28T00:00", "2026-11-29T00:00"],
        ),
        (
            "*/20 * * * *",
            "2026-11-23T10:05",
            &["2026-11-23T10:20", "2026-11-23T10:40", "2026-11-23T11:00"],
        ),
        (
            "5-15/5,50 3 * * *",
            "2026-11-23T03:00",
            &[
                "2026-11-23T03:05",
                "2026-11-23T03:10",
                "2026-11-23T03:15",
                "2026-11-23T03:50",
            ],
        ),
        (
            "0 0 1 jan *",
            "2026-11-23T00:00",
            &["2027-01-01T00:00", "2028-01-01T00:00"],
        ),
        ("0 0 29 2 *", "2026-11-23T00:00", &["2028-02-29T00:00"]),
        // Both day fields restricted: either.
        (
            "0 0 13 * fri",
            "2026-11-23T00:00",
            &[
                "2026-11-27T00:00",
                "2026-12-04T00:00",
                "2026-12-11T00:00",
                "2026-12-13T00:00",
            ],
        ),
        // One of them begins with a star: both.
        (
            "0 0 */2 * fri",
            "2026-11-23T00:00",
            &["2026-11-27T00:00", "2026-12-11T00:00"],
        ),
        ("0 0 13 * *", "2026-11-23T00:00", &["2026-12-13T00:00"]),
        ("@daily", "2026-11-23T00:00", &["2026-11-24T00:00"]),
        ("@weekly", "2026-11-23T00:00", &["2026-11-29T00:00"]),
        ("@monthly", "2026-11-23T00:00", &["2026-12-01T00:00"]),
        ("@yearly", "2026-11-23T00:00", &["2027-01-01T00:00"]),
        ("@hourly", "2026-11-23T00:30", &["2026-11-23T01:00"]),
        (
            "  0   10 \t * * MON  ",
            "2026-11-23T10:00",
            &["2026-11-30T10:00"],
        ),
    ];
    for (text, from, expected) in cases {
        let cron = Cron::parse(text).unwrap();
        let found = cron.firings(utc(from), Zone::UTC, expected.len());
        let expected: Vec<Timestamp> = expected.iter().map(|t| utc(t)).collect();
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn each_firing_happens_once_when_the_clock_changes() {
    let cases: &[(&str, &str, &str, &[&str])] = &[
        // (schedule, zone, from in UTC, firings)
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2026-03-28T12:00",
            &["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"],
        ),
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2026-10-24T12:00",
            &["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"],
        ),
        (
            "0 * * * *",
            "Europe/Berlin",
            "2026-10-24T23:30",
            &["2026-10-25T02:00:00+02:00", "2026-10-25T03:00:00+01:00"],
        ),
        // Three that fall on one instant are one.
        (
            "0,30 2,3 * * *",
            "Europe/Berlin",
            "2026-03-29T00:00",
            &["2026-03-29T03:00:00+02:00", "2026-03-29T03:30:00+02:00"],
        ),
        (
            "30 2 8 3 *",
            "America/New_York",
            "2026-03-01T12:00",
            &["2026-03-08T03:00:00-04:00", "2027-03-08T02:30:00-05:00"],
        ),
        (
            "30 1 1 11 *",
            "America/New_York",
            "2026-10-01T12:00",
            &["2026-11-01T01:30:00-04:00", "2027-11-01T01:30:00-04:00"],
        ),
        (
            "15 2 * * *",
            "Australia/Lord_Howe",
            "2026-10-03T00:00",
            &["2026-10-04T02:30:00+11:00", "2026-10-05T02:15:00+11:00"],
        ),
        (
            "45 1 * * *",
            "Australia/Lord_Howe",
            "2026-04-04T00:00",
            &["2026-04-05T01:45:00+11:00", "2026-04-06T01:45:00+10:30"],
        ),
        (
            "0 0 * * *",
            "Africa/Cairo",
            "2026-04-23T12:00",
            &["2026-04-24T01:00:00+03:00", "2026-04-25T00:00:00+03:00"],
        ),
        (
            "30 2 * * *",
            "Asia/Kolkata",
            "2026-03-28T12:00",
            &["2026-03-29T02:30:00+05:30"],
        ),
    ];
    for (text, name, from, expected) in cases {
        let cron = Cron::parse(text).unwrap();
        let found: Vec<String> = cron
            .firings(utc(from), zone(name), expected.len())
            .into_iter()
            .map(|t| iso(t, name))
            .collect();
        assert_eq!(found, *expected, "{text} in {name}");
    }
}

/// crontab's meaning, minute by minute, without the crate.
fn matches(local: NaiveDateTime, fields: &[BTreeSet<u32>; 5], either_day: bool) -> bool {
    let month_day = fields[2].contains(&local.day());
    let weekday = fields[4].contains(&local.weekday().num_days_from_sunday());
    fields[0].contains(&local.minute())
        && fields[1].contains(&local.hour())
        && fields[3].contains(&local.month())
        && if either_day {
            month_day || weekday
        } else {
            month_day && weekday
        }
}

#[test]
fn cron_agrees_with_a_scan_of_every_minute() {
    let all = |low: u32, high: u32| (low..=high).collect::<BTreeSet<u32>>();
    let some = |values: &[u32]| values.iter().copied().collect::<BTreeSet<u32>>();
    let schedules = [
        (
            "17 * * * *",
            [some(&[17]), all(0, 23), all(1, 31), all(1, 12), all(0, 6)],
            false,
        ),
        (
            "*/25 1-3 * * *",
            [
                some(&[0, 25, 50]),
                some(&[1, 2, 3]),
                all(1, 31),
                all(1, 12),
                all(0, 6),
            ],
            false,
        ),
        (
            "30 2 * * sun",
            [some(&[30]), some(&[2]), all(1, 31), all(1, 12), some(&[0])],
            false,
        ),
        (
            "0 0,2 29,25,8 * 2",
            [
                some(&[0]),
                some(&[0, 2]),
                some(&[8, 25, 29]),
                all(1, 12),
                some(&[2]),
            ],
            true,
        ),
        (
            "59 23 * 3,10,11,4 *",
            [
                some(&[59]),
                some(&[23]),
                all(1, 31),
                some(&[3, 4, 10, 11]),
                all(0, 6),
            ],
            false,
        ),
    ];
    for (name, from) in [
        ("Europe/Berlin", "2026-03-27T12:00"),
        ("Europe/Berlin", "2026-10-23T12:00"),
        ("America/New_York", "2026-03-06T12:00"),
        ("America/New_York", "2026-10-30T12:00"),
        ("Australia/Lord_Howe", "2026-10-02T12:00"),
        ("Australia/Lord_Howe", "2026-04-03T12:00"),
        ("Asia/Kolkata", "2026-02-26T12:00"),
    ] {
        let zone = zone(name);
        let start = utc(from);
        let days = 5;
        let end = Timestamp(start.0 + days * 24 * HOUR);
        // Every minute that a calendar would hold, and the instant that shows it first, or, where
        // none does, the first that shows a later one.
        let mut first: BTreeMap<NaiveDateTime, Timestamp> = BTreeMap::new();
        let mut t = start.0;
        while t < end.0 {
            first
                .entry(zone.local(Timestamp(t)))
                .or_insert(Timestamp(t));
            t += 60_000;
        }
        for (text, fields, either_day) in &schedules {
            let cron = Cron::parse(text).unwrap();
            let mut expected = BTreeSet::new();
            let mut local = zone.local(start);
            while let Some((_, instant)) = first.range(local..).next() {
                if matches(local, fields, *either_day) {
                    expected.insert(*instant);
                }
                local += chrono::Duration::minutes(1);
            }
            let found: Vec<Timestamp> = cron
                .firings(Timestamp(start.0 - 1), zone, expected.len())
                .into_iter()
                .collect();
            assert_eq!(
                found,
                expected.iter().copied().collect::<Vec<_>>(),
                "{text} in {name}"
            );
            // Backwards as well, from every quarter of an hour.
            for quarter in 0..days * 24 * 4 {
                let t = Timestamp(start.0 + quarter * 900_000);
                if let Some(last) = expected.range(..=t).next_back() {
                    assert_eq!(
                        cron.previous_or_at(t, zone),
                        Some(*last),
                        "{text} in {name} at {t}"
                    );
                }
            }
        }
    }
}

#[test]
fn what_is_no_schedule_is_refused_with_its_place() {
    for (text, column, said) in [
        ("", 1, "0 fields"),
        ("0 10 * *", 1, "4 fields"),
        ("0 0 10 * * mon", 1, "6 fields"),
        ("60 10 * * *", 1, "'60' is no minute"),
        ("0 24 * * *", 3, "'24' is no hour"),
        ("0 10 0 * *", 6, "'0' is no day of month"),
        ("0 10 * 13 *", 8, "'13' is no month"),
        ("0 10 * * 8", 10, "'8' is no weekday"),
        ("0 10 * * mno", 10, "'mno' is no weekday"),
        ("0 10 * * L", 10, "'L' is no weekday"),
        ("*/0 10 * * *", 3, "'0' is not a step"),
        ("*/ 10 * * *", 1, "not a step"),
        ("20-10 10 * * *", 1, "runs backwards"),
        ("1,,2 10 * * *", 3, "is no minute"),
        ("-5 10 * * *", 1, "is no minute"),
        ("0 0 30 2 *", 1, "never fires"),
        ("0 0 31 4,6,9,11 *", 1, "never fires"),
        ("@reboot", 1, "unknown schedule"),
        ("@dayly", 1, "unknown schedule"),
    ] {
        let problem = Cron::parse(text).unwrap_err();
        assert!(problem.summary.contains(said), "{text}: {problem}");
        assert_eq!(problem.column, column, "{text}: {problem:?}");
    }
    assert_eq!(
        Cron::parse("@dayly").unwrap_err().suggestion.as_deref(),
        Some("@daily")
    );
}

// ---- for people ----

#[test]
fn durations_read_as_people_say_them() {
    for (millis, said) in [
        (0, "0s"),
        (200, "200ms"),
        (45_000, "45s"),
        (65_000, "1m 05s"),
        (2 * HOUR + 5 * 60_000, "2h 05m"),
        (76 * HOUR, "3d 04h"),
        (-45_000, "-45s"),
    ] {
        assert_eq!(human_duration(millis), said);
    }
    for (distance, said) in [
        (0, "now"),
        (1_000, "in 1 second"),
        (59_600, "in 1 minute"),
        (90 * 60_000, "in 2 hours"),
        (72 * HOUR, "in 3 days"),
        (47 * HOUR, "in 2 days"),
        (-120_000, "2 minutes ago"),
        (-999, "now"),
    ] {
        assert_eq!(
            human_relative(Timestamp(distance), Timestamp(0)),
            said,
            "{distance}"
        );
    }
}

mod anything;

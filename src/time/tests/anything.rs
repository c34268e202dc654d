//! Any text is read or refused, any instant has its place.

use proptest::prelude::*;

use super::*;

fn soup() -> impl Strategy<Value = String> {
    let parts = prop::sample::select(vec![
        "mon",
        "sun",
        "fri-mon",
        "-",
        ",",
        " ",
        ":",
        "10:00",
        "24:00",
        "00:00",
        "*",
        "/",
        "*/5",
        "7",
        "31",
        "2",
        "feb",
        "@",
        "@daily",
        "T",
        "Z",
        "+01:00",
        "2026",
        "2026-12-01",
        "09",
        "é",
        "２",
        "–",
        "?",
        "0 0 ",
        "\u{301}",
        ".",
    ]);
    prop::collection::vec(parts, 0..9).prop_map(|parts| parts.concat())
}

fn placed(text: &str, problem: &TimeProblem) {
    assert!(problem.len > 0 && !problem.summary.is_empty() && !problem.detail.is_empty());
    let chars = text.chars().count();
    assert!(
        problem.column >= 1 && problem.column <= chars + 1,
        "{text:?}: {problem:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn is_read_or_refused_with_a_place(text in prop_oneof![soup(), ".{0,20}"]) {
        let berlin = zone("Europe/Berlin");
        let now = utc("2026-03-28T12:00");
        match WallClock::parse(&text) {
            Ok(clock) => prop_assert!(clock.resolve(berlin).0 > -HOUR * 24),
            Err(problem) => placed(&text, &problem),
        }
        match Windows::parse(&[&text]) {
            Ok(windows) => {
                let open = windows.next_open(now, berlin).unwrap();
                prop_assert!(open >= now && windows.open_at(open, berlin));
                if let Some(close) = windows.closes_at(open, berlin) {
                    prop_assert!(close > open && !windows.open_at(close, berlin));
                    prop_assert!(windows.open_at(Timestamp(close.0 - 1), berlin));
                }
            }
            Err((_, problem)) => placed(&text, &problem),
        }
        match Cron::parse(&text) {
            Ok(cron) => {
                if let Some(next) = cron.next_after(now, berlin) {
                    prop_assert!(next > now);
                    prop_assert_eq!(cron.previous_or_at(next, berlin), Some(next));
                    let before = Timestamp(next.0 - 1);
                    prop_assert!(cron.previous_or_at(before, berlin).is_none_or(|t| t <= now));
                }
            }
            Err(problem) => placed(&text, &problem),
        }
    }

    #[test]
    fn a_local_time_and_its_instant_agree(minute in 0i64..60 * 24 * 366 * 3, pick in 0usize..5) {
        let name = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Africa/Cairo"][pick];
        let zone = zone(name);
        let t = Timestamp(utc("2025-01-01T00:00").0 + minute * 60_000);
        let local = zone.local(t);
        // Back again it is the same, or, in a repeated hour, its first.
        let back = zone.instant(local);
        prop_assert!(back <= t && t.0 - back.0 <= HOUR);
        prop_assert_eq!(zone.local(back), local);
        let day = Day::of(t, zone);
        prop_assert!(day.start() <= t && t < day.end());
    }
}

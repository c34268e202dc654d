//! A time zone of the IANA database, and wall-clock times in it.

use std::fmt;
use std::str::FromStr;

use chrono::{
    DateTime, Duration, FixedOffset, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, Offset,
    TimeZone, Utc,
};
use chrono_tz::Tz;

use super::{TimeProblem, quoted};
use crate::model::Timestamp;

/// The earliest instant with which this room reckons (1000-01-01); earlier ones count as it.
const MIN_MILLIS: i64 = -30_610_224_000_000;
/// The latest instant with which this room reckons (9000-01-01); later ones count as it.
const MAX_MILLIS: i64 = 221_845_392_000_000;

/// A time zone of the IANA database, e.g. `Europe/Berlin`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Zone(Tz);

impl Zone {
    /// Coordinated Universal Time.
    pub const UTC: Zone = Zone(Tz::UTC);

    /// Finds a zone by its IANA name. Case is forgiven by suggestion, not accepted.
    ///
    /// # Errors
    /// A name that the IANA database does not hold, with the one that was probably meant.
    pub fn parse(name: &str) -> Result<Zone, TimeProblem> {
        if let Ok(zone) = Tz::from_str(name) {
            return Ok(Zone(zone));
        }
        let wanted = name.to_lowercase();
        let suggestion = chrono_tz::TZ_VARIANTS
            .iter()
            .map(|zone| zone.name())
            .map(|known| {
                let lower = known.to_lowercase();
                let city = lower.rsplit('/').next().unwrap_or(&lower);
                let score = strsim::jaro_winkler(&wanted, &lower)
                    .max(strsim::jaro_winkler(&wanted, city) - 0.01);
                (known, score)
            })
            .max_by(|a, b| a.1.total_cmp(&b.1))
            // Below this, what is found resembles the name by accident only.
            .filter(|(_, score)| *score > 0.85)
            .map(|(known, _)| known.to_string());
        Err(TimeProblem {
            column: 1,
            len: name.chars().count().max(1),
            summary: format!("unknown time zone {}", quoted(name)),
            detail: "expected a name of the IANA database such as Europe/Berlin or UTC".into(),
            suggestion,
        })
    }

    /// The IANA name.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// What a calendar and a clock on the wall show at that instant.
    pub fn local(self, t: Timestamp) -> NaiveDateTime {
        self.at(t).naive_local()
    }

    /// The instant of a wall-clock time. One that the clock skips: the end of the gap; one that it
    /// repeats: the first.
    pub fn instant(self, local: NaiveDateTime) -> Timestamp {
        match self.0.from_local_datetime(&local) {
            LocalResult::Single(t) => Timestamp(t.timestamp_millis()),
            LocalResult::Ambiguous(first, second) => {
                Timestamp(first.timestamp_millis().min(second.timestamp_millis()))
            }
            LocalResult::None => self.end_of_gap(local),
        }
    }

    /// The offset from UTC at that instant, in milliseconds.
    pub(super) fn offset_millis(self, t: Timestamp) -> i64 {
        i64::from(self.at(t).offset().fix().local_minus_utc()) * 1000
    }

    /// The first instant in `(after, until]` at which the offset from UTC changes.
    pub(super) fn next_change(self, after: Timestamp, until: Timestamp) -> Option<Timestamp> {
        /// Zones change their offset at most once in a day.
        const STEP: i64 = 24 * 3_600_000;
        let mut low = after.0;
        let offset = self.offset_millis(after);
        while low < until.0 {
            let mut high = low.saturating_add(STEP).min(until.0);
            if self.offset_millis(Timestamp(high)) != offset {
                while high - low > 1 {
                    let middle = low + (high - low) / 2;
                    if self.offset_millis(Timestamp(middle)) == offset {
                        low = middle;
                    } else {
                        high = middle;
                    }
                }
                return Some(Timestamp(high));
            }
            low = high;
        }
        None
    }

    /// ISO 8601 (RFC 3339) with seconds and offset: `2026-12-01T09:00:00+01:00`.
    pub fn iso(self, t: Timestamp) -> String {
        self.at(t).format("%Y-%m-%dT%H:%M:%S%:z").to_string()
    }

    /// The instant as chrono's type in this zone, for formatting.
    pub fn at(self, t: Timestamp) -> DateTime<Tz> {
        let millis = t.0.clamp(MIN_MILLIS, MAX_MILLIS);
        DateTime::<Utc>::from_timestamp_millis(millis)
            .unwrap_or(DateTime::<Utc>::UNIX_EPOCH)
            .with_timezone(&self.0)
    }

    fn end_of_gap(self, local: NaiveDateTime) -> Timestamp {
        // Offsets lie within 15 h of UTC and a gap is at most a day (Samoa, 2011-12-30), so that the
        // clock shows less than `local` at `low` and more at `high`; it never shows `local` itself,
        // so where that changes is the jump.
        const REACH: i64 = 40 * 3_600_000;
        let wanted = local.and_utc().timestamp_millis();
        let (mut low, mut high) = (wanted - REACH, wanted + REACH);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.local(Timestamp(middle)) < local {
                low = middle;
            } else {
                high = middle;
            }
        }
        Timestamp(high)
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Default for Zone {
    fn default() -> Zone {
        Zone::UTC
    }
}

/// A time as a spec writes it: with its own offset, or to be read in the schedule's zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WallClock {
    /// `2026-12-01T09:00`: needs a zone.
    Local(NaiveDateTime),
    /// `2026-12-01T09:00+01:00`, `…Z`: an instant by itself.
    Instant(Timestamp),
}

impl WallClock {
    /// Reads `2026-12-01T09:00`, with or without seconds, with or without an offset or `Z`. A space
    /// may stand for the `T`. A bare date is its midnight.
    ///
    /// # Errors
    /// Anything else, and days and hours that no calendar holds, with the place.
    pub fn parse(text: &str) -> Result<WallClock, TimeProblem> {
        const EXPECTED: &str = "expected a time such as 2026-12-01T09:00, 2026-12-01T09:00:30 or 2026-12-01T09:00+01:00";
        let body = text.trim();
        let bytes = body.as_bytes();
        let broken = |part: &str| {
            Err(TimeProblem::at(
                text,
                part,
                format!("{} is not a time", quoted(text)),
                EXPECTED,
            ))
        };
        let digits = |range: std::ops::Range<usize>| -> Option<u32> {
            let part = body.get(range)?;
            part.bytes()
                .all(|b| b.is_ascii_digit())
                .then(|| part.parse().ok())?
        };
        if !body.is_ascii() || bytes.len() < 10 || bytes[4] != b'-' || bytes[7] != b'-' {
            return broken(body);
        }
        let (Some(year), Some(month), Some(day)) = (digits(0..4), digits(5..7), digits(8..10))
        else {
            return broken(&body[..10]);
        };
        // Before 1970 nothing is sent; four digits end at 9999, past this room's last instant.
        if !(1970..9000).contains(&year) {
            return Err(TimeProblem::at(
                text,
                &body[..4],
                format!("the year {year} is out of range"),
                "expected a year from 1970 to 8999",
            ));
        }
        let Some(date) = NaiveDate::from_ymd_opt(year as i32, month, day) else {
            return Err(TimeProblem::at(
                text,
                &body[..10],
                format!("there is no day {}", &body[..10]),
                "expected a day of the calendar as year-month-day",
            ));
        };
        if bytes.len() == 10 {
            return Ok(WallClock::Local(date.and_time(NaiveTime::MIN)));
        }
        if !matches!(bytes[10], b'T' | b't' | b' ') || bytes.get(13) != Some(&b':') {
            return broken(&body[10..]);
        }
        let (Some(hour), Some(minute)) = (digits(11..13), digits(14..16)) else {
            return broken(&body[10..]);
        };
        let mut rest = 16;
        let mut second = 0;
        if bytes.get(rest) == Some(&b':') {
            match digits(17..19) {
                Some(value) => second = value,
                None => return broken(&body[rest..]),
            }
            rest = 19;
        }
        let mut millis = 0;
        if rest == 19 && bytes.get(rest) == Some(&b'.') {
            let fraction = body[20..].bytes().take_while(u8::is_ascii_digit).count();
            // RFC 3339 allows any number of digits; what is finer than a millisecond is dropped.
            if fraction == 0 || fraction > 9 {
                return broken(&body[rest..]);
            }
            let digits = format!("{:0<3}", &body[20..20 + fraction]);
            millis = digits[..3].parse().unwrap_or(0);
            rest = 20 + fraction;
        }
        let Some(time) = NaiveTime::from_hms_milli_opt(hour, minute, second, millis) else {
            return Err(TimeProblem::at(
                text,
                &body[11..rest],
                format!("there is no time {}", &body[11..rest]),
                "expected hours from 00 to 23, minutes and seconds from 00 to 59",
            ));
        };
        let local = date.and_time(time);
        let offset = &body[rest..];
        if offset.is_empty() {
            return Ok(WallClock::Local(local));
        }
        let seconds = match offset.as_bytes() {
            b"Z" | b"z" => Some(0),
            [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2]
            | [sign @ (b'+' | b'-'), h1, h2, m1, m2] => {
                let all = [*h1, *h2, *m1, *m2];
                let value = all.map(|b| i32::from(b.wrapping_sub(b'0')));
                let (hours, minutes) = (value[0] * 10 + value[1], value[2] * 10 + value[3]);
                (all.iter().all(u8::is_ascii_digit) && hours < 24 && minutes < 60)
                    .then(|| (hours * 3600 + minutes * 60) * if *sign == b'-' { -1 } else { 1 })
            }
            _ => None,
        };
        let instant = seconds
            .and_then(FixedOffset::east_opt)
            .and_then(|offset| offset.from_local_datetime(&local).single());
        match instant {
            Some(t) => Ok(WallClock::Instant(Timestamp(t.timestamp_millis()))),
            None => Err(TimeProblem::at(
                text,
                offset,
                format!("{} is not an offset from UTC", quoted(offset)),
                "expected Z or an offset such as +01:00; a zone's name belongs in schedule.timezone",
            )),
        }
    }

    /// Whether `schedule.timezone` is needed to know the instant.
    pub fn needs_zone(&self) -> bool {
        matches!(self, WallClock::Local(_))
    }

    /// The instant; `zone` matters only to a time without its own offset.
    pub fn resolve(&self, zone: Zone) -> Timestamp {
        match self {
            WallClock::Local(local) => zone.instant(*local),
            WallClock::Instant(t) => *t,
        }
    }
}

/// Reads a wall-clock time and finds its instant in that zone (see [`WallClock::parse`]).
///
/// # Errors
/// What [`WallClock::parse`] refuses.
pub fn parse_wall_clock(text: &str, zone: Zone) -> Result<Timestamp, TimeProblem> {
    WallClock::parse(text).map(|time| time.resolve(zone))
}

/// The latest that the clock on the wall has shown at or before `t`: later than now while a repeated
/// hour runs for the second time.
pub(super) fn latest_shown(zone: Zone, t: Timestamp) -> NaiveDateTime {
    /// A clock is set back by at most a day.
    const REACH: i64 = 25 * 3_600_000;
    let now = zone.local(t);
    match zone.next_change(Timestamp(t.0.saturating_sub(REACH)), t) {
        Some(change) => now.max(zone.local(Timestamp(change.0 - 1)) + Duration::milliseconds(1)),
        None => now,
    }
}

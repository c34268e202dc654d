//! Durations as people say them.

use crate::model::Timestamp;

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A duration in milliseconds in its two largest units: `3d 04h`, `2h 05m`, `20m 00s`, `45s`, `200ms`.
/// What is finer is dropped; a negative duration has a minus.
pub fn human_duration(millis: i64) -> String {
    let sign = if millis < 0 { "-" } else { "" };
    let millis = millis.saturating_abs();
    let two = |large: i64, unit: &str, small: i64, small_unit: &str| {
        format!("{sign}{large}{unit} {small:02}{small_unit}")
    };
    if millis >= DAY {
        two(millis / DAY, "d", millis % DAY / HOUR, "h")
    } else if millis >= HOUR {
        two(millis / HOUR, "h", millis % HOUR / MINUTE, "m")
    } else if millis >= MINUTE {
        two(millis / MINUTE, "m", millis % MINUTE / SECOND, "s")
    } else if millis >= SECOND || millis == 0 {
        format!("{sign}{}s", millis / SECOND)
    } else {
        format!("{sign}{millis}ms")
    }
}

/// Where an instant lies as seen from `now`, in one unit: `in 3 days`, `in 1 hour`, `2 minutes ago`,
/// `now` (within a second).
pub fn human_relative(t: Timestamp, now: Timestamp) -> String {
    let distance = t.0.saturating_sub(now.0);
    let size = distance.saturating_abs();
    // A unit is used from one of it on, rounded to the nearest: 47 hours are 2 days, not 1.
    let units = [
        (DAY, "day"),
        (HOUR, "hour"),
        (MINUTE, "minute"),
        (SECOND, "second"),
    ];
    for (index, (unit, name)) in units.iter().enumerate() {
        // Where rounding fills the larger unit (59.6 minutes), the larger one is said.
        let finer = units.get(index + 1).map_or(*unit, |(finer, _)| *finer);
        if size >= *unit - finer / 2 && size >= SECOND {
            let count = (size.saturating_add(unit / 2) / unit).max(1);
            let plural = if count == 1 { "" } else { "s" };
            return if distance > 0 {
                format!("in {count} {name}{plural}")
            } else {
                format!("{count} {name}{plural} ago")
            };
        }
    }
    "now".into()
}

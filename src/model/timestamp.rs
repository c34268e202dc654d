//! Moments.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use chrono::{Datelike as _, Timelike as _};
use serde::{Deserialize, Serialize};

/// A moment: milliseconds since the Unix epoch, UTC. What was once read from a clock; the core never reads one.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The earliest moment there is.
    pub const MIN: Timestamp = Timestamp(i64::MIN);
    /// A moment that never comes.
    pub const MAX: Timestamp = Timestamp(i64::MAX);

    /// Milliseconds since the Unix epoch.
    pub fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, as Telegram counts.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// From whole seconds since the Unix epoch, as Telegram counts.
    pub fn from_seconds(seconds: i64) -> Self {
        Timestamp(seconds.saturating_mul(1000))
    }

    /// How long this is after `earlier`; zero where it is not.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// Year, month, day, hour, minute, second and milliseconds in their places.
fn digits(parts: [u32; 7]) -> [u8; 24] {
    /// Where each begins, and how many digits it has.
    const PLACES: [(usize, usize); 7] =
        [(0, 4), (5, 2), (8, 2), (11, 2), (14, 2), (17, 2), (20, 3)];
    let mut text = *b"0000-00-00T00:00:00.000Z";
    for (mut part, (from, digits)) in parts.into_iter().zip(PLACES) {
        for digit in text[from..from + digits].iter_mut().rev() {
            *digit += (part % 10) as u8;
            part /= 10;
        }
    }
    text
}

/// RFC 3339 in UTC with milliseconds, the form of every promised JSON.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match chrono::DateTime::from_timestamp_millis(self.0) {
            // A report of a thousand campaigns has ten thousand of them, and chrono reads its pattern anew for each.
            Some(moment) if (0..=9999).contains(&moment.year()) => {
                let text = digits([
                    moment.year().unsigned_abs(),
                    moment.month(),
                    moment.day(),
                    moment.hour(),
                    moment.minute(),
                    moment.second(),
                    moment.timestamp_subsec_millis(),
                ]);
                f.write_str(std::str::from_utf8(&text).unwrap_or_default())
            }
            Some(moment) => write!(f, "{}", moment.format("%Y-%m-%dT%H:%M:%S%.3fZ")),
            None => f.write_str(if self.0 < 0 {
                "the distant past"
            } else {
                "never"
            }),
        }
    }
}

impl Add<Duration> for Timestamp {
    type Output = Timestamp;

    fn add(self, other: Duration) -> Timestamp {
        let millis = i64::try_from(other.as_millis()).unwrap_or(i64::MAX);
        Timestamp(self.0.saturating_add(millis))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Timestamp;

    fn sub(self, other: Duration) -> Timestamp {
        let millis = i64::try_from(other.as_millis()).unwrap_or(i64::MAX);
        Timestamp(self.0.saturating_sub(millis))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_moment_is_written_as_rfc_3339_has_it(millis in -70_000_000_000_000i64..300_000_000_000_000) {
            let moment = chrono::DateTime::from_timestamp_millis(millis).unwrap();
            prop_assert_eq!(
                Timestamp(millis).to_string(),
                moment.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
            );
        }
    }
}

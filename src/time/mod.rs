//! Zones, wall clocks, windows, cron and days, right on the days on which clocks change.
//!
//! One rule for a wall-clock time that is not exactly one instant: a time that the clock skips is the
//! end of the gap, a time that it repeats is the first of the two. Nothing here reads a clock.

mod cron;
mod day;
mod human;
mod windows;
mod zone;

pub use cron::Cron;
pub use day::Day;
pub use human::{human_duration, human_relative};
pub use windows::Windows;
pub use zone::{WallClock, Zone, parse_wall_clock};

/// A time, zone, window or cron text that cannot be read, with its place in that text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{summary}; {detail}")]
pub struct TimeProblem {
    /// Column in the text, from 1, in Unicode characters.
    pub column: usize,
    /// How many characters are meant; at least 1.
    pub len: usize,
    /// What was found.
    pub summary: String,
    /// What was expected, what to do.
    pub detail: String,
    /// What was probably meant.
    pub suggestion: Option<String>,
}

impl TimeProblem {
    /// A problem with `part`, a slice of `whole`.
    fn at(whole: &str, part: &str, summary: String, detail: impl Into<String>) -> TimeProblem {
        // `part` is a slice of `whole`, so the difference of their addresses is its byte offset.
        let offset = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
        let column = whole
            .get(..offset)
            .map_or(0, |before| before.chars().count())
            + 1;
        TimeProblem {
            column,
            len: part.chars().count().max(1),
            summary,
            detail: detail.into(),
            suggestion: None,
        }
    }

    fn suggest(mut self, suggestion: Option<String>) -> TimeProblem {
        self.suggestion = suggestion;
        self
    }
}

/// Shortens what is quoted in a message, so that a hostile text cannot flood it.
fn quoted(text: &str) -> String {
    const MOST: usize = 40;
    if text.chars().count() > MOST {
        format!("'{}…'", text.chars().take(MOST).collect::<String>())
    } else {
        format!("'{text}'")
    }
}

#[cfg(test)]
mod tests;

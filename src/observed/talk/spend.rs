//! What a role's model used, by the day.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::model::Timestamp;

/// A quarter of an hour: every zone's day begins at a multiple of it.
const QUARTER: i64 = 15 * 60_000;
/// Two days of quarters, and the hour that a day in autumn is longer.
const KEEP_QUARTERS: i64 = 50 * 4;

/// Tokens by the quarter of an hour, for two days.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spend {
    quarters: VecDeque<(i64, u64)>,
}

impl Spend {
    pub(super) fn add(&mut self, at: Timestamp, tokens: u64) {
        let quarter = at.0.div_euclid(QUARTER);
        match self.quarters.back_mut() {
            // A clock that was set back widens no limit.
            Some((last, n)) if *last >= quarter => *n = n.saturating_add(tokens),
            _ => self.quarters.push_back((quarter, tokens)),
        }
        while self
            .quarters
            .front()
            .is_some_and(|(oldest, _)| *oldest <= quarter - KEEP_QUARTERS)
        {
            self.quarters.pop_front();
        }
    }

    /// Tokens since the beginning of a day.
    pub fn since(&self, start: Timestamp) -> u64 {
        let first = start.0.div_euclid(QUARTER);
        self.quarters
            .iter()
            .filter(|(quarter, _)| *quarter >= first)
            .fold(0, |sum, (_, n)| sum.saturating_add(*n))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_counted_by_the_day_and_forgotten_after_two() {
        let mut spend = Spend::default();
        let hour = 3_600_000;
        spend.add(Timestamp(0), 10);
        spend.add(Timestamp(24 * hour), 5);
        assert_eq!(spend.since(Timestamp(0)), 15);
        assert_eq!(spend.since(Timestamp(24 * hour)), 5);
        spend.add(Timestamp(80 * hour), 1);
        assert_eq!(spend.since(Timestamp(0)), 1);
        // A clock that was set back counts into the newest.
        spend.add(Timestamp(0), 2);
        assert_eq!(spend.since(Timestamp(80 * hour)), 3);
    }
}

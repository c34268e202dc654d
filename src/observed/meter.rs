//! Counting messages over time, for caps by the hour and by the day.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Charges, Timestamp};

const MINUTE: i64 = 60_000;
/// Every zone's day begins at a multiple of a quarter of an hour of UTC (tzdata since 1972).
const QUARTER: i64 = 15 * MINUTE;
/// The longest local day has 25 hours, and one more day. What is older goes only where there are more counts than that
/// time has: a clock that was set far ahead for a while finds its counts again.
const KEEP_QUARTERS: i64 = 50 * 4;
/// An hour, and the minute that is under way.
const KEEP_MINUTES: i64 = 61;

/// How many messages left, by the minute for an hour and by the quarter of an hour for two days. The zones of
/// days are not known here: a day is asked for by its first moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Meter {
    minutes: VecDeque<(i64, u32)>,
    quarters: VecDeque<(i64, u32)>,
}

impl Meter {
    /// Counts one message.
    pub fn add(&mut self, at: Timestamp) {
        count(&mut self.minutes, at.0.div_euclid(MINUTE), KEEP_MINUTES);
        count(&mut self.quarters, at.0.div_euclid(QUARTER), KEEP_QUARTERS);
    }

    /// Takes one back that was counted at `at` and was not sent after all. What is counted elsewhere by now (it is too
    /// long ago, or the clock was set back then) stays counted: it would be somebody else's.
    pub fn take_back(&mut self, at: Timestamp) {
        uncount(&mut self.minutes, at.0.div_euclid(MINUTE));
        uncount(&mut self.quarters, at.0.div_euclid(QUARTER));
    }

    /// What was counted at one moment counts at a later one.
    pub fn moved(&mut self, from: Timestamp, to: Timestamp) {
        self.take_back(from);
        self.add(to);
    }

    /// What was counted, for another state.
    pub fn charges(&self) -> Charges {
        Charges {
            minutes: self.minutes.iter().copied().collect(),
            quarters: self.quarters.iter().copied().collect(),
        }
    }

    /// Counts at least what another state counted, bucket by bucket: what both know counts once.
    pub fn unite(&mut self, other: &Charges) {
        unite(&mut self.minutes, &other.minutes, KEEP_MINUTES);
        unite(&mut self.quarters, &other.quarters, KEEP_QUARTERS);
    }

    /// Messages since the beginning of a day.
    pub fn since(&self, start: Timestamp) -> u32 {
        let first = start.0.div_euclid(QUARTER);
        self.quarters
            .iter()
            .rev()
            .take_while(|(bucket, _)| *bucket >= first)
            .map(|(_, n)| n)
            .sum()
    }

    /// Messages by hour of UTC, the oldest first, for the two days that are kept; hours without any are left out.
    pub fn hours(&self) -> Vec<(Timestamp, u32)> {
        let mut hours: Vec<(Timestamp, u32)> = Vec::new();
        let newest = self.quarters.back().map_or(0, |(bucket, _)| *bucket);
        let counts = |(bucket, n): &&(i64, u32)| *n > 0 && *bucket > newest - KEEP_QUARTERS;
        for (quarter, n) in self.quarters.iter().filter(counts) {
            let hour = Timestamp(quarter.div_euclid(4) * 4 * QUARTER);
            match hours.last_mut() {
                Some((last, count)) if *last == hour => *count += n,
                _ => hours.push((hour, *n)),
            }
        }
        hours
    }

    /// Messages in the last 60 minutes, the oldest minute counted whole.
    pub fn last_hour(&self, now: Timestamp) -> u32 {
        let first = (now.0 - 60 * MINUTE).div_euclid(MINUTE);
        self.minutes
            .iter()
            .filter(|(bucket, _)| *bucket >= first)
            .map(|(_, n)| n)
            .sum()
    }

    /// Messages of the minutes that count for the last hour, the oldest first.
    pub fn minutes(&self, now: Timestamp) -> impl Iterator<Item = (Timestamp, u32)> {
        let first = (now.0 - 60 * MINUTE).div_euclid(MINUTE);
        self.minutes
            .iter()
            .filter(move |(bucket, n)| *bucket >= first && *n > 0)
            .map(|(bucket, n)| (Timestamp(bucket * MINUTE), *n))
    }

    /// When the hour's cap lets the next message go: `now` where it does already. A minute counts whole
    /// until it has left the hour whole, so the cap holds for any 60 minutes.
    pub fn hour_free_at(&self, now: Timestamp, cap: u32) -> Timestamp {
        let first = (now.0 - 60 * MINUTE).div_euclid(MINUTE);
        let within: Vec<(i64, u32)> = self
            .minutes
            .iter()
            .copied()
            .filter(|(bucket, _)| *bucket >= first)
            .collect();
        let mut total: u32 = within.iter().map(|(_, n)| n).sum();
        let mut free = now;
        for (bucket, n) in within {
            if total < cap {
                break;
            }
            total -= n;
            // The whole minute must be over an hour ago.
            free = Timestamp((bucket + 1) * MINUTE) + Duration::from_secs(3600);
        }
        free.max(now)
    }
}

/// Adds to a bucket. A clock that was set back counts into the newest bucket, so that it never widens a cap.
fn count(buckets: &mut VecDeque<(i64, u32)>, bucket: i64, keep: i64) {
    match buckets.back_mut() {
        Some((last, n)) if *last >= bucket => *n += 1,
        _ => buckets.push_back((bucket, 1)),
    }
    let most = usize::try_from(keep).unwrap_or(usize::MAX);
    while buckets.len() > most
        && buckets
            .front()
            .is_some_and(|(oldest, _)| *oldest <= bucket - keep)
    {
        buckets.pop_front();
    }
}

fn unite(buckets: &mut VecDeque<(i64, u32)>, other: &[(i64, u32)], keep: i64) {
    let mut all: std::collections::BTreeMap<i64, u32> = buckets.iter().copied().collect();
    for (bucket, n) in other {
        let known = all.entry(*bucket).or_default();
        *known = (*known).max(*n);
    }
    let newest = all.keys().next_back().copied().unwrap_or_default();
    *buckets = all
        .into_iter()
        .filter(|(bucket, _)| *bucket > newest - keep)
        .collect();
}

fn uncount(buckets: &mut VecDeque<(i64, u32)>, bucket: i64) {
    if let Some((_, n)) = buckets.iter_mut().find(|(b, n)| *b == bucket && *n > 0) {
        *n -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp(minute * MINUTE)
    }

    #[test]
    fn a_cap_by_the_hour_holds_for_any_sixty_minutes() {
        let mut meter = Meter::default();
        for minute in [0, 10, 20] {
            meter.add(at(minute));
        }
        assert_eq!(meter.hour_free_at(at(21), 4), at(21));
        assert_eq!(meter.hour_free_at(at(21), 3), at(61));
        assert_eq!(meter.hour_free_at(at(61), 3), at(61));
    }

    #[test]
    fn a_day_is_asked_for_by_its_first_moment() {
        let mut meter = Meter::default();
        meter.add(at(0));
        meter.add(at(45));
        assert_eq!(meter.since(at(30)), 1);
        assert_eq!(meter.since(at(0)), 2);
    }

    #[test]
    fn hours_are_sums_of_their_quarters() {
        let mut meter = Meter::default();
        for minute in [0, 14, 50, 60, 200] {
            meter.add(at(minute));
        }
        meter.take_back(at(200));
        assert_eq!(meter.hours(), [(at(0), 3), (at(60), 1)]);
    }

    #[test]
    fn what_was_not_sent_is_given_back() {
        let mut meter = Meter::default();
        meter.add(at(5));
        meter.take_back(at(5));
        assert_eq!(meter.since(at(0)), 0);
        assert_eq!(meter.hour_free_at(at(6), 1), at(6));
    }

    #[test]
    fn what_is_given_back_late_is_not_taken_from_a_later_message() {
        let mut meter = Meter::default();
        meter.add(at(0));
        for minute in [70, 4000] {
            meter.add(at(minute));
            meter.take_back(at(0));
            assert_eq!(meter.since(at(minute)), 1, "{minute}");
            assert_eq!(meter.last_hour(at(minute)), 1, "{minute}");
        }
    }

    #[test]
    fn what_two_states_counted_is_united_and_counts_once() {
        let (mut old, mut new) = (Meter::default(), Meter::default());
        for minute in [0, 1, 20] {
            new.add(at(minute));
        }
        old.add(at(0));
        old.add(at(40));
        old.unite(&new.charges());
        assert_eq!(old.since(at(0)), 4);
        assert_eq!(old.last_hour(at(41)), 4);
        let before = old.charges();
        old.unite(&new.charges());
        assert_eq!(old.charges(), before);
    }

    #[test]
    fn a_clock_that_was_far_ahead_for_a_while_widens_no_cap() {
        let mut meter = Meter::default();
        meter.add(at(0));
        meter.add(at(1));
        meter.add(at(4 * 24 * 60));
        assert_eq!(meter.since(at(0)), 3);
        assert_eq!(meter.hours(), [(at(4 * 24 * 60), 1)]);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut meter = Meter::default();
        for quarter in 0..10_000 {
            meter.add(at(quarter * 15));
        }
        assert_eq!(meter.charges().quarters.len(), 200);
        assert_eq!(meter.charges().minutes.len(), 61);
    }

    #[test]
    fn a_clock_set_back_widens_no_cap() {
        let mut meter = Meter::default();
        meter.add(at(600));
        meter.add(at(0));
        assert_eq!(meter.since(at(0)), 2);
    }
}

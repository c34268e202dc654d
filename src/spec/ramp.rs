//! `ramp`: how a new account's allowance grows.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::{CheckContext, duration_within};
use super::codes;
use super::diagnostic::{Findings, Pointer};
use super::duration::{Duration, MAX_DURATION};
use super::engine::DEFAULT_MAX_PER_DAY;

/// A daily allowance that grows step by step, over all campaigns that use the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ramp {
    /// The allowance of the first day.
    #[schemars(range(min = 1, max = 10_000), example = 5)]
    pub start: u32,
    /// How much is added each time.
    #[schemars(range(min = 1, max = 10_000), example = 5)]
    pub step: u32,
    /// How often it is added.
    #[schemars(example = &"1d")]
    pub every: Duration,
    /// Where it ends.
    #[schemars(range(min = 1, max = 10_000), example = 40)]
    pub max: u32,
}

impl Ramp {
    /// The allowance of a day, `elapsed` after the ramp began.
    pub fn allowance(&self, elapsed: Duration) -> u32 {
        let steps = elapsed
            .millis()
            .checked_div(self.every.millis())
            .unwrap_or(0);
        let grown =
            u64::from(self.start).saturating_add(steps.saturating_mul(u64::from(self.step)));
        u32::try_from(grown).unwrap_or(u32::MAX).min(self.max)
    }
}

/// The shortest step of a ramp; the allowance is one of a day.
const MIN_EVERY: Duration = Duration::from_secs(60);

impl Ramp {
    /// Checks that it grows, and not beyond the limits of tidings.yaml.
    pub(super) fn check(&self, at: &Pointer, cx: &CheckContext<'_>, out: &mut Findings) {
        duration_within(self.every, MIN_EVERY, MAX_DURATION, &at.key("every"), out);
        if self.start > self.max {
            out.error(
                &at.key("start"),
                codes::OUT_OF_RANGE,
                format!("the ramp starts at {} and ends at {}", self.start, self.max),
            )
            .detail("`start` cannot be above `max`.");
        }
        let limit = cx
            .engine
            .limits
            .as_ref()
            .and_then(|l| l.max_per_day)
            .unwrap_or(DEFAULT_MAX_PER_DAY);
        if self.max > limit {
            out.error(&at.key("max"), codes::LIMIT_EXCEEDED, format!("{} messages a day are more than `limits.max_per_day`", self.max))
                .detail(format!("tidings.yaml allows {limit} a day and account. Lower the number, or raise the limit."))
                .suggestion(limit.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::table;
    use super::*;

    const WARMUP: &str = "kind: warmup\n-consent\n-sources\n-templates\n";

    #[test]
    fn a_ramp_is_checked() {
        let cases = [
            (
                "the contract's own",
                "ramp: {start: 5, step: 5, every: 1d, max: 40}\njoin: [\"@our_channel\"]",
                &[][..],
            ),
            ("no ramp", "", &["missing-key: version"][..]),
            (
                "beyond the limit",
                "ramp: {start: 5, step: 5, every: 1d, max: 61}",
                &["limit-exceeded: 61"][..],
            ),
            (
                "shrinking",
                "ramp: {start: 50, step: 5, every: 1d, max: 40}",
                &["out-of-range: 50"][..],
            ),
            (
                "at once",
                "ramp: {start: 5, step: 5, every: 0s, max: 40}",
                &["out-of-range: 0s"][..],
            ),
            (
                "without a step",
                "ramp: {start: 5, every: 1d, max: 40}",
                &["missing-key: start"][..],
            ),
            (
                "joining a person",
                "ramp: {start: 5, step: 5, every: 1d, max: 40}\njoin: [\"+15550100\"]",
                &["not-a-place: \"+15550100\""][..],
            ),
        ];
        let texts: Vec<(&str, String, &[&str])> = cases
            .iter()
            .map(|(label, parts, found)| (*label, format!("{WARMUP}{parts}"), *found))
            .collect();
        let cases: Vec<_> = texts
            .iter()
            .map(|(label, parts, found)| (*label, parts.as_str(), *found))
            .collect();
        table(&cases);
    }

    #[test]
    fn an_allowance_grows_step_by_step_up_to_its_end() {
        let ramp = Ramp {
            start: 5,
            step: 5,
            every: Duration::from_days(1),
            max: 12,
        };
        for (hours, allowance) in [(0, 5), (23, 5), (24, 10), (47, 10), (48, 12), (10_000, 12)] {
            assert_eq!(
                ramp.allowance(Duration::from_secs(hours * 3600)),
                allowance,
                "{hours}"
            );
        }
    }
}

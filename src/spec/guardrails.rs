//! `guardrails`: when a campaign pauses itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::codes;
use super::diagnostic::{Findings, Pointer};
use super::duration::Percent;

/// Messages before the rates count, where a spec does not say (the contract's own example).
pub const DEFAULT_AFTER: u32 = 20;

/// Rates at which the campaign pauses itself and says why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Guardrails {
    /// Messages before the rates below count; 20 where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1), example = 20, extend("default" = 20))]
    pub after: Option<u32>,
    /// Highest share of people who blocked the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"5%")]
    pub max_block_rate: Option<Percent>,
    /// Highest share of messages that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"30%")]
    pub max_failure_rate: Option<Percent>,
    /// Highest share of people who opted out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"10%")]
    pub max_opt_out_rate: Option<Percent>,
}

impl Guardrails {
    /// Messages before the rates count.
    pub fn after(&self) -> u32 {
        self.after.unwrap_or(DEFAULT_AFTER)
    }
}

impl Guardrails {
    /// Whether any rate is watched.
    pub fn is_active(&self) -> bool {
        self.max_block_rate.is_some()
            || self.max_failure_rate.is_some()
            || self.max_opt_out_rate.is_some()
    }

    /// Warns where nothing is watched.
    pub(super) fn check(&self, at: &Pointer, out: &mut Findings) {
        if !self.is_active() {
            out.warning(at, codes::NO_EFFECT, "these guardrails watch nothing")
                .detail("Add `max_block_rate`, `max_failure_rate` or `max_opt_out_rate`.");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::table;

    #[test]
    fn guardrails_are_checked() {
        table(&[
            (
                "all of them",
                "guardrails: {after: 20, max_block_rate: 5%, max_failure_rate: 30%, max_opt_out_rate: 2.5%}\ncanary: 20",
                &[],
            ),
            (
                "no rate",
                "guardrails: {after: 20}",
                &["warning no-effect: {after: 20}"],
            ),
            (
                "a number",
                "guardrails: {max_block_rate: 5}",
                &["wrong-type: 5"],
            ),
            (
                "more than all",
                "guardrails: {max_block_rate: 101%}",
                &["bad-value: 101%"],
            ),
            (
                "after nothing",
                "guardrails: {after: 0, max_block_rate: 5%}",
                &["out-of-range: 0"],
            ),
            ("a canary of nobody", "canary: 0", &["out-of-range: 0"]),
        ]);
    }
}

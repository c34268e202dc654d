//! `follow_ups`: what is said later.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::{CheckContext, duration_within};
use super::diagnostic::{Findings, Pointer};
use super::duration::{Duration, MAX_DURATION};
use super::templates::{self, TemplateRules, TemplateSpec};

/// When a follow-up is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FollowUpIf {
    /// Only to those who have not answered.
    #[default]
    NoReply,
    /// To all; an opt-out or a block still ends all steps.
    Always,
}

/// One later message, by the same account as the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
// Required keys have a serde default: the schema says what is missing, and the other checks still run.
#[schemars(extend("required" = ["after", "templates"]))]
pub struct FollowUp {
    /// How long after the previous step was sent.
    #[schemars(example = &"3d")]
    #[serde(default)]
    pub after: Duration,
    /// Who gets it: `no_reply` (default) or `always`.
    #[serde(default, rename = "if", skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"no_reply", extend("default" = "no_reply"))]
    pub if_: Option<FollowUpIf>,
    /// Its variants.
    #[schemars(example = serde_json::json!([{"name": "nudge", "text": "Did you have a chance to look?"}]))]
    #[schemars(length(min = 1, max = 50))]
    #[serde(default)]
    pub templates: Vec<TemplateSpec>,
}

impl FollowUp {
    /// Who gets it.
    pub fn condition(&self) -> FollowUpIf {
        self.if_.unwrap_or_default()
    }
}

/// The shortest time to the next step. What is sooner belongs into one message.
const MIN_AFTER: Duration = Duration::from_secs(1);

/// Checks the steps.
pub(super) fn check(
    steps: &[FollowUp],
    at: &Pointer,
    rules: TemplateRules<'_>,
    cx: &CheckContext<'_>,
    out: &mut Findings,
) {
    for (index, step) in steps.iter().enumerate() {
        let place = at.index(index);
        duration_within(
            step.after,
            MIN_AFTER,
            MAX_DURATION,
            &place.key("after"),
            out,
        );
        templates::check(
            &step.templates,
            &place.key("templates"),
            TemplateRules {
                first: false,
                must_hold_one_of: &[],
                ..rules
            },
            cx,
            out,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::table;

    #[test]
    fn follow_ups_are_checked() {
        table(&[
            (
                "one",
                "follow_ups: [{after: 3d, if: always, templates: [{name: t, text: Hi}]}]",
                &[],
            ),
            (
                "at once",
                "follow_ups: [{after: 0s, templates: [{name: t, text: Hi}]}]",
                &["out-of-range: 0s"],
            ),
            (
                "no time",
                "follow_ups: [{templates: [{name: t, text: Hi}]}]",
                &["missing-key: templates"],
            ),
            (
                "no text",
                "follow_ups: [{after: 3d, templates: []}]",
                &["out-of-range: []"],
            ),
            (
                "an unknown condition",
                "follow_ups: [{after: 3d, if: no-reply, templates: [{name: t, text: Hi}]}]",
                &["unknown-value: no-reply"],
            ),
            (
                "a mistake in a text",
                "follow_ups: [{after: 3d, templates: [{name: t, text: \"{{ contct }}\"}]}]",
                &["unknown-variable: contct"],
            ),
        ]);
    }
}

//! `delays`: how slowly.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::{CheckContext, duration_within};
use super::codes;
use super::diagnostic::{Findings, Pointer};
use super::duration::{Duration, DurationRange};
use super::engine::{DEFAULT_MAX_PER_DAY, DEFAULT_MIN_DELAY};

/// `defaults.delays.between_messages` where nobody says otherwise (CONTRACT section 3).
pub const DEFAULT_BETWEEN_MESSAGES: DurationRange =
    DurationRange::new(Duration::from_secs(30), Duration::from_secs(90));
/// `between_invites` where nobody says otherwise: an invite is watched by Telegram at least as closely as a message.
pub const DEFAULT_BETWEEN_INVITES: DurationRange = DEFAULT_BETWEEN_MESSAGES;
/// `defaults.delays.per_account.per_day` where nobody says otherwise (CONTRACT section 3).
pub const DEFAULT_PER_DAY: u32 = 40;

/// The pace of a campaign.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Delays {
    /// The pause between two messages of one account (of a `warmup`: between two joins), drawn anew each time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"30s..90s", extend("default" = "30s..90s"))]
    pub between_messages: Option<DurationRange>,
    /// The pause between two invites of one account (kind `invite`).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"5s..20s")]
    pub between_invites: Option<DurationRange>,
    /// How long 'typing…' is shown before a message; not at all where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"2s..6s")]
    pub typing: Option<DurationRange>,
    /// Caps of this campaign for each of its accounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({"per_hour": 15, "per_day": 40, "per_run": 30}))]
    pub per_account: Option<PerAccount>,
    /// Caps of the whole campaign.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({"per_day": 500}))]
    pub per_campaign: Option<PerCampaign>,
}

/// Caps of one campaign for each of its accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PerAccount {
    /// Messages in any 60 minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1), example = 15)]
    pub per_hour: Option<u32>,
    /// Messages in a day of the schedule; 40 where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1), example = 40, extend("default" = 40))]
    pub per_day: Option<u32>,
    /// Messages in one run, follow-ups among them. Who is left gets his in the next run; where none follows, the campaign
    /// says `RunSpent` and waits for you.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1), example = 30)]
    pub per_run: Option<u32>,
}

/// Caps of one campaign over all its accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PerCampaign {
    /// Messages in a day of the schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1), example = 500)]
    pub per_day: Option<u32>,
}

/// The longest that 'typing…' makes sense; a person would have gone away.
const MAX_TYPING: Duration = Duration::from_secs(10 * 60);
/// The longest pause between two messages that is no slip.
const MAX_PAUSE: Duration = Duration::from_days(30);

impl Delays {
    /// Checks the pace, also against the limits of tidings.yaml.
    pub(super) fn check(&self, at: &Pointer, cx: &CheckContext<'_>, out: &mut Findings) {
        self.check_ranges(at, out);
        let limits = cx.engine.limits.as_ref();
        let min_delay = limits
            .and_then(|l| l.min_delay)
            .unwrap_or(DEFAULT_MIN_DELAY);
        if let Some(between) = self.between_messages
            && between.min < min_delay
        {
            let at = at.key("between_messages");
            out.error(&at, codes::LIMIT_EXCEEDED, format!("a pause of {} is shorter than `limits.min_delay`", between.min))
                .detail(format!("tidings.yaml allows no pause between two messages below {min_delay}. Lengthen the pause, or lower the limit."))
                .suggestion(between.at_least(min_delay).to_string());
        }
        let max_per_day = limits
            .and_then(|l| l.max_per_day)
            .unwrap_or(DEFAULT_MAX_PER_DAY);
        if let Some(per_day) = self.per_account.and_then(|p| p.per_day)
            && per_day > max_per_day
        {
            let at = at.key("per_account").key("per_day");
            out.error(&at, codes::LIMIT_EXCEEDED, format!("{per_day} messages a day are more than `limits.max_per_day`"))
                .detail(format!("tidings.yaml allows {max_per_day} a day and account. Lower the number, or raise the limit."))
                .suggestion(max_per_day.to_string());
        }
    }

    /// Checks what needs no limit; for the defaults of tidings.yaml too.
    pub(super) fn check_ranges(&self, at: &Pointer, out: &mut Findings) {
        for (key, range, max) in [
            ("between_messages", self.between_messages, MAX_PAUSE),
            ("between_invites", self.between_invites, MAX_PAUSE),
            ("typing", self.typing, MAX_TYPING),
        ] {
            if let Some(range) = range {
                duration_within(range.max, Duration::ZERO, max, &at.key(key), out);
            }
        }
        if let Some(PerAccount {
            per_hour: Some(per_hour),
            per_day: Some(per_day),
            ..
        }) = self.per_account
            && per_hour > per_day
        {
            out.warning(
                &at.key("per_account").key("per_hour"),
                codes::NO_EFFECT,
                format!("{per_hour} an hour are more than {per_day} a day"),
            )
            .detail("The daily cap is met first.");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{table, table_with};

    #[test]
    fn delays_are_checked_against_the_limits() {
        table(&[
            (
                "all of them",
                "delays: {between_messages: 30s..90s, typing: 2s..6s, per_account: {per_hour: 15, per_day: 40, per_run: 30}, per_campaign: {per_day: 500}}\nschedule: {timezone: UTC, cron: \"0 10 * * *\"}",
                &[],
            ),
            (
                "a cap of the only run",
                "delays: {per_account: {per_run: 30}}",
                &["warning single-run: 30"],
            ),
            ("one value", "delays: {between_messages: 45s}", &[]),
            (
                "exactly the limit",
                "delays: {between_messages: 10s..20s, per_account: {per_day: 60}}",
                &[],
            ),
            (
                "too fast",
                "delays: {between_messages: 5s..20s}",
                &["limit-exceeded: 5s..20s"],
            ),
            (
                "too many",
                "delays: {per_account: {per_day: 61}}",
                &["limit-exceeded: 61"],
            ),
            (
                "turned round",
                "delays: {between_messages: 90s..30s}",
                &["bad-value: 90s..30s"],
            ),
            (
                "a hyphen",
                "delays: {between_messages: 30s-90s}",
                &["bad-value: 30s-90s"],
            ),
            (
                "a number",
                "delays: {between_messages: 30}",
                &["wrong-type: 30"],
            ),
            (
                "none at all",
                "delays: {per_account: {per_day: 0}}",
                &["out-of-range: 0"],
            ),
            (
                "typing for ever",
                "delays: {typing: 1h}",
                &["out-of-range: 1h"],
            ),
            (
                "invites in a mailing",
                "delays: {between_invites: 5s..20s}",
                &["not-for-kind: between_invites"],
            ),
            (
                "an hour above its day",
                "delays: {per_account: {per_hour: 50, per_day: 40}}",
                &["warning no-effect: 50"],
            ),
            (
                "an unknown key",
                "delays: {per_acount: {per_day: 4}}",
                &["unknown-key: per_acount"],
            ),
        ]);
        table_with(
            "limits: {min_delay: 0s, max_per_day: 100}",
            &[(
                "limits that allow it",
                "delays: {between_messages: 0s, per_account: {per_day: 100}}",
                &[],
            )],
        );
    }
}

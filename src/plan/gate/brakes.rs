//! Where a campaign stops itself.

use super::blocked;
use crate::desired::ResolvedCampaign;
use crate::model::{Event, Lineage, StallReason, Timestamp, Waiting};
use crate::observed::Campaign;
use crate::plan::{Action, Gate, Plan};

/// Unknown errors one after another that stall a campaign (CONTRACT section 6).
const FAILURES_IN_ROW: u32 = 5;
/// Accounts limited in one campaign that pause it (CONTRACT section 6).
const LIMITED_ACCOUNTS: usize = 2;

/// Guardrails, two limited accounts, unknown errors in a row: the campaign stops itself and says why.
pub(super) fn own_brakes(
    plan: &mut Plan,
    line: &Lineage,
    spec: &ResolvedCampaign,
    campaign: &Campaign,
    now: Timestamp,
) -> Option<Gate> {
    if campaign.failures_in_row >= FAILURES_IN_ROW {
        let why = StallReason {
            reason: "FailuresInRow".to_owned(),
            message: format!(
                "{FAILURES_IN_ROW} people one after another failed in ways that Tidings does not know; \
                 `tidings events {}` quotes Telegram.",
                spec.name
            ),
        };
        let message = why.message.clone();
        plan.actions.push(Action::Record(Event::Stalled {
            campaign: line.clone(),
            why,
        }));
        return Some(blocked(Waiting::Held, "Stalled", message));
    }
    let mut why = None;
    let limited = campaign
        .limited
        .values()
        .filter(|until| **until > now)
        .count();
    if limited >= LIMITED_ACCOUNTS {
        why = Some(StallReason {
            reason: "AccountsLimited".to_owned(),
            message: format!(
                "Telegram limited {limited} accounts of this campaign (PEER_FLOOD): its people do not expect it."
            ),
        });
    } else if let Some((rails, counts)) = spec
        .spec
        .guardrails
        .as_ref()
        .map(|rails| (rails, campaign.guard_counts()))
        .filter(|(rails, counts)| counts.attempts >= u64::from(rails.after()))
    {
        let rates = [
            (
                "max_block_rate",
                rails.max_block_rate,
                counts.blocked,
                counts.attempts,
                "blocked the account",
            ),
            (
                "max_failure_rate",
                rails.max_failure_rate,
                counts.failed,
                counts.attempts,
                "failed",
            ),
            (
                "max_opt_out_rate",
                rails.max_opt_out_rate,
                counts.opted_out,
                counts.sent,
                "opted out",
            ),
        ];
        for (name, most, part, whole, what) in rates {
            if let Some(most) = most
                && most.is_exceeded_by(part, whole)
            {
                why = Some(StallReason {
                    reason: "GuardrailTripped".to_owned(),
                    message: format!(
                        "{part} of {whole} {what}: more than `guardrails.{name}: {most}`."
                    ),
                });
                break;
            }
        }
    }
    let why = why?;
    let message = why.message.clone();
    plan.actions.push(Action::Record(Event::SelfPaused {
        campaign: line.clone(),
        why,
    }));
    Some(blocked(Waiting::Paused, "PausedItself", message))
}

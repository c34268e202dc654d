//! What a person must approve before it goes on.

use super::{blocked, waits};
use crate::desired::ResolvedCampaign;
use crate::model::Waiting;
use crate::observed::Campaign;
use crate::plan::{Gate, Inputs};

/// An approval covers up to a tenth more people than were shown (CONTRACT, 'What an edit means').
const APPROVED_SLACK_PERCENT: u64 = 10;

/// `approve_over` and `canary`.
pub(super) fn approval(
    inputs: &Inputs<'_>,
    spec: &ResolvedCampaign,
    campaign: &Campaign,
) -> Option<Gate> {
    let people = campaign.pending() + campaign.run_total();
    if campaign.pending() == 0 {
        return None;
    }
    let approved = campaign.approval.as_ref().filter(|approval| {
        approval.digest == spec.approval_digest
            && people * 100 <= approval.people * (100 + APPROVED_SLACK_PERCENT)
    });
    if let Some(most) = inputs.desired.engine.limits.approve_over
        && people > u64::from(most)
        && approved.is_none()
    {
        let message = format!(
            "{people} people are more than `limits.approve_over: {most}`. `tidings approve {}` shows and approves them.",
            spec.name
        );
        return Some(blocked(
            Waiting::AwaitingApproval,
            "AwaitingApproval",
            message,
        ));
    }
    if let Some(canary) = spec.spec.canary
        && campaign.run_total() >= u64::from(canary)
        && approved.is_none_or(|approval| approval.after < u64::from(canary))
    {
        if campaign.in_flight > 0 {
            return Some(waits(Waiting::Canary, None, "The canary is on its way."));
        }
        let message = format!(
            "The canary of {canary} was sent: {} accepted, {} wrote back, {} opted out. `tidings approve {}` sends the rest.",
            campaign.settled(|o| o == crate::model::Outcome::Sent),
            campaign.replied,
            campaign.opted_out,
            spec.name
        );
        return Some(blocked(Waiting::Canary, "Canary", message));
    }
    None
}

/// How many more messages the canary lets go.
pub(in crate::plan) fn canary_room(spec: &ResolvedCampaign, campaign: &Campaign) -> u32 {
    let Some(canary) = spec.spec.canary else {
        return u32::MAX;
    };
    let passed = campaign
        .approval
        .as_ref()
        .is_some_and(|a| a.digest == spec.approval_digest && a.after >= u64::from(canary));
    if passed {
        return u32::MAX;
    }
    u32::try_from(u64::from(canary).saturating_sub(campaign.run_total())).unwrap_or(u32::MAX)
}

//! Owners' plans: how many of an owner's campaigns run at once, and how long after one ends the next begins.

use std::collections::BTreeMap;
use std::time::Duration;

use super::gate::waits;
use super::{Action, Gate, Inputs, Plan};
use crate::desired::{ResolvedCampaign, ResolvedPlan};
use crate::model::{Event, Lineage, Timestamp, Waiting};
use crate::observed::Campaign;

/// What an owner's campaigns are doing.
#[derive(Debug, Default)]
struct Owner {
    /// Campaigns whose run has begun and is not over, the longest running first.
    running: Vec<(Timestamp, Lineage)>,
    /// When the last run of any of them ended.
    ended: Option<Timestamp>,
}

/// Who has a slot in this pass.
#[derive(Debug, Default)]
pub(super) struct Slots {
    owners: BTreeMap<String, Owner>,
}

/// Campaigns without an owner share the plan `default`.
fn name_of(spec: &ResolvedCampaign) -> String {
    spec.spec.owner.clone().unwrap_or_default()
}

pub(super) fn limits(spec: &ResolvedCampaign) -> Option<&ResolvedPlan> {
    spec.plan
        .as_ref()
        .filter(|plan| plan.max_running.is_some() || plan.cooldown.is_some())
}

/// Whether its run goes on by itself: what a person holds takes nobody's place.
fn goes_on(inputs: &Inputs<'_>, spec: &ResolvedCampaign, campaign: &Campaign) -> bool {
    inputs.observed.suspended.is_none()
        && campaign.suspended.is_none()
        && campaign.self_paused.is_none()
        && campaign.stalled.is_none()
        && !spec.paused
        && spec.schedule.end.is_none_or(|end| end > inputs.now)
        && !super::runs::is_spent(inputs, spec, campaign)
}

impl Slots {
    /// Looks at all campaigns once a pass.
    pub(super) fn new(inputs: &Inputs<'_>) -> Slots {
        let mut slots = Slots::default();
        for wanted in inputs.desired.campaigns.values() {
            let limited = wanted.spec.as_deref().filter(|spec| limits(spec).is_some());
            let Some(spec) = limited else { continue };
            let Some(campaign) = inputs.observed.campaigns.get(&wanted.lineage) else {
                continue;
            };
            let owner = slots.owners.entry(name_of(spec)).or_default();
            owner.ended = owner.ended.max(campaign.runs.settled_at);
            let began = campaign
                .runs
                .started_at
                .or(campaign.run_opened_at.filter(|_| campaign.run_first > 0));
            if let Some(began) = began
                && campaign.run_is_open()
                && goes_on(inputs, spec, campaign)
            {
                owner.running.push((began, wanted.lineage.clone()));
            }
        }
        for owner in slots.owners.values_mut() {
            owner.running.sort();
        }
        slots
    }

    /// Gives the campaign its slot, or says what it waits for.
    pub(super) fn gate(
        &mut self,
        inputs: &Inputs<'_>,
        plan: &mut Plan,
        line: &Lineage,
        spec: &ResolvedCampaign,
    ) -> Option<Gate> {
        let limits = limits(spec)?;
        let name = name_of(spec);
        let owner = self.owners.entry(name.clone()).or_default();
        let most = limits.max_running.map_or(usize::MAX, |n| n as usize);
        let place = owner.running.iter().position(|(_, other)| other == line);
        if place.is_some_and(|place| place < most) {
            return None;
        }
        let whose = if name.is_empty() {
            "The campaigns without an owner".to_owned()
        } else {
            format!("`{name}`")
        };
        if place.is_some() || owner.running.len() >= most {
            let others: Vec<String> = owner
                .running
                .iter()
                .take(most)
                .filter_map(|(_, line)| inputs.observed.campaigns.get(line))
                .map(|campaign| campaign.name.clone())
                .collect();
            let message = format!(
                "{whose} may run {most} at once by the plan `{}`: {} goes first.",
                limits.name,
                others.join(", ")
            );
            return Some(waits(Waiting::OwnerPlan, None, message));
        }
        if let Some(until) = owner
            .ended
            .zip(limits.cooldown)
            .map(|(ended, cooldown): (Timestamp, Duration)| ended + cooldown)
            .filter(|until| *until > inputs.now)
        {
            let message = format!(
                "{whose} may begin the next run {}, `cooldown` of the plan `{}` after the last one ended.",
                spec.schedule.zone.iso(until),
                limits.name
            );
            return Some(waits(Waiting::Cooldown, Some(until), message));
        }
        owner.running.push((inputs.now, line.clone()));
        plan.actions.push(Action::Record(Event::RunStarted {
            campaign: line.clone(),
        }));
        None
    }
}

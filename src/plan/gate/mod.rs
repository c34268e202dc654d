//! Whether each campaign may send now, and what must be known before it does.

mod approval;
mod audience;
mod brakes;
mod source;

use std::sync::Arc;

use approval::approval;
pub(super) use approval::canary_room;
use audience::{audience, but, none_read};
use brakes::own_brakes;
pub(super) use source::SourceState;

use super::kept::{Kept, Looked};
use super::{CampaignView, Gate, Inputs, Plan, Wait, lookups, owners, renamed, runs};
use crate::desired::{DesiredCampaign, ResolvedCampaign};
use crate::model::{Lineage, Timestamp, Waiting};
use crate::observed::{Campaign, Hold};
use crate::time::Zone;

/// Holds during which a firing of the schedule opens no run, then or later.
const HELD: &[&str] = &["Suspended", "Paused", "PausedItself", "Stalled"];

/// What is said of an operator's hold, and how it ends.
pub(super) fn suspended(hold: &Hold, which: &str) -> String {
    format!(
        "Suspended by {} on {}: {}. `tidings resume {which}` lets it go.",
        hold.by,
        Zone::UTC.at(hold.at).format("%Y-%m-%d %H:%M UTC"),
        hold.reason
    )
}

/// Finds the gate of every campaign, and plans what opens it. Answers those that were looked at: the others are kept as
/// the pass before found them.
pub(super) fn campaigns<'a>(inputs: &Inputs<'a>, plan: &mut Plan, kept: &Kept) -> Vec<Looked<'a>> {
    let mut slots = owners::Slots::new(inputs);
    let mut looked = Vec::new();
    let mut views = Vec::with_capacity(inputs.desired.campaigns.len());
    for (place, wanted) in inputs.desired.campaigns.values().enumerate() {
        if let Some((view, until)) = kept.at(place) {
            if let Some(until) = until {
                plan.wake(until, inputs.now);
            }
            views.push((wanted.lineage.clone(), view));
            continue;
        }
        let Some(campaign) = inputs.observed.campaigns.get(&wanted.lineage) else {
            continue;
        };
        let (view, part) = plan.part(|plan| view(inputs, plan, &mut slots, wanted, campaign));
        looked.push(Looked {
            place,
            wanted,
            campaign,
            open: view.gate == Gate::Open,
            part,
        });
        views.push((wanted.lineage.clone(), Arc::new(view)));
    }
    plan.report.campaigns = views.into_iter().collect();
    looked
}

/// The gate of one, and what its people wait for by it.
fn view(
    inputs: &Inputs<'_>,
    plan: &mut Plan,
    slots: &mut owners::Slots,
    wanted: &DesiredCampaign,
    campaign: &Campaign,
) -> CampaignView {
    let gate = gate(inputs, plan, slots, wanted, campaign);
    if let Some(spec) = wanted.spec.as_deref()
        && let Gate::Blocked { condition, .. } = &gate
        && HELD.contains(condition)
    {
        runs::pass_by(inputs, plan, &wanted.lineage, spec, campaign);
    }
    if let Gate::Waits {
        until: Some(until), ..
    } = &gate
    {
        plan.wake(*until, inputs.now);
    }
    let everybody = |reason: Waiting, until: Option<Timestamp>| {
        vec![Wait {
            reason,
            count: campaign.pending(),
            until,
        }]
    };
    let waiting = match &gate {
        // Nobody of a `collect` is ever written to in its name.
        Gate::Done { .. } if campaign.pending() > 0 => everybody(Waiting::Held, None),
        Gate::Open | Gate::Done { .. } => Vec::new(),
        Gate::Waits { reason, until, .. } => everybody(*reason, *until),
        Gate::Blocked { reason, .. } => everybody(*reason, None),
    };
    let follow_up_at = wanted
        .spec
        .as_deref()
        .filter(|spec| super::steps::lets(&gate, spec, inputs.now))
        .and_then(|spec| super::steps::next_at(inputs, spec, campaign));
    CampaignView {
        gate,
        waiting,
        next_action_at: None,
        finish_estimate: None,
        follow_up_at,
    }
}

pub(super) fn blocked(
    reason: Waiting,
    condition: &'static str,
    message: impl Into<String>,
) -> Gate {
    Gate::Blocked {
        reason,
        condition,
        message: message.into(),
    }
}

pub(super) fn waits(reason: Waiting, until: Option<Timestamp>, message: impl Into<String>) -> Gate {
    Gate::Waits {
        reason,
        until,
        message: message.into(),
    }
}

/// A campaign that its spec lets send nothing yet looks its sources up where an operator asks for that: he wants to know
/// whom it would reach before he lets it go.
fn look_as_asked(
    inputs: &Inputs<'_>,
    plan: &mut Plan,
    line: &Lineage,
    spec: &ResolvedCampaign,
    campaign: &Campaign,
) {
    let asked = !spec.sources.is_empty() && runs::looks_between(campaign);
    if asked && !inputs.runtime.draining && super::restored::gate(inputs, spec).is_none() {
        let _ = audience(inputs, plan, line, spec, campaign);
    }
}

fn gate(
    inputs: &Inputs<'_>,
    plan: &mut Plan,
    slots: &mut owners::Slots,
    wanted: &DesiredCampaign,
    campaign: &Campaign,
) -> Gate {
    let now = inputs.now;
    if let Some(broken) = inputs.runtime.broken.get(&wanted.lineage)
        && broken.retry_at > now
    {
        plan.wake(broken.retry_at, now);
        let message = format!(
            "Planning it broke off, a bug of Tidings; please report it with the daemon's log. It is tried again at {}.",
            broken.retry_at
        );
        return blocked(Waiting::Held, "BrokeOff", message);
    }
    fail::fail_point!(&format!("plan.{}", wanted.name));
    if let Some(error) = &inputs.desired.folder_error {
        return blocked(Waiting::Held, "FolderUnreadable", error.clone());
    }
    let Some(spec) = wanted.spec.as_deref() else {
        let first = wanted
            .diagnostics
            .iter()
            .find(|d| d.severity == crate::spec::Severity::Error);
        let message = first.map_or_else(
            || "the spec is invalid; `tidings validate` says why".to_owned(),
            ToString::to_string,
        );
        return blocked(Waiting::Held, "SpecInvalid", message);
    };
    runs::watch(inputs, plan, &wanted.lineage, spec, campaign);
    let everything = inputs
        .observed
        .suspended
        .as_ref()
        .map(|hold| (hold, "--all"));
    let alone = campaign
        .suspended
        .as_ref()
        .map(|hold| (hold, spec.name.as_str()));
    if let Some((hold, which)) = everything.or(alone) {
        return blocked(Waiting::Suspended, "Suspended", suspended(hold, which));
    }
    if spec.paused {
        look_as_asked(inputs, plan, &wanted.lineage, spec, campaign);
        return blocked(Waiting::Paused, "Paused", "The spec says `paused: true`.");
    }
    if let Some((why, _)) = &campaign.self_paused {
        let message = format!("{} `tidings resume {}` goes on.", why.message, spec.name);
        return blocked(Waiting::Paused, "PausedItself", message);
    }
    if let Some((why, _)) = &campaign.stalled {
        let message = format!(
            "{} Mend the cause, then `tidings resume {}`.",
            why.message, spec.name
        );
        return blocked(Waiting::Held, "Stalled", message);
    }
    if let Some(end) = spec.schedule.end
        && end <= now
    {
        return blocked(
            Waiting::Held,
            "Ended",
            format!("`schedule.end` was {}.", spec.schedule.zone.iso(end)),
        );
    }
    if let Some(start) = spec.schedule.start
        && start > now
    {
        look_as_asked(inputs, plan, &wanted.lineage, spec, campaign);
        let message = format!("`schedule.start` is {}.", spec.schedule.zone.iso(start));
        return waits(Waiting::NotStarted, Some(start), message);
    }
    if let Some(end) = spec.schedule.end {
        plan.wake(end, now);
    }
    if inputs.runtime.draining {
        return waits(Waiting::Held, None, "The daemon is stopping.");
    }
    if let Some(gate) = super::restored::gate(inputs, spec) {
        return gate;
    }
    if let runs::Turn::Between(between) = runs::turn(inputs, plan, &wanted.lineage, spec, campaign)
    {
        if (campaign.run > 0 || spec.schedule.cron.is_some()) && runs::looks_between(campaign) {
            return audience(inputs, plan, &wanted.lineage, spec, campaign).unwrap_or(between);
        }
        return between;
    }
    if spec.kind == crate::spec::Kind::Warmup {
        return super::warmup::gate(inputs, plan, &wanted.lineage, spec, campaign);
    }
    if let Some(gate) = own_brakes(plan, &wanted.lineage, spec, campaign, now) {
        return gate;
    }
    if let Some(gate) = audience(inputs, plan, &wanted.lineage, spec, campaign) {
        return gate;
    }
    if spec.kind == crate::spec::Kind::Collect {
        return none_read(spec, campaign).unwrap_or_else(|| {
            let but = but(spec, campaign);
            let gate = lookups::collected_gate(spec, campaign, inputs.now, &but);
            // A run of a schedule is over as soon as its look-ups are.
            let current = campaign
                .judgement
                .as_ref()
                .is_some_and(|last| last.lookups == campaign.lookups_ended);
            if current && (spec.schedule.cron.is_some() || spec.schedule.refresh.is_none()) {
                runs::settle(plan, &wanted.lineage, campaign);
            }
            gate
        });
    }
    if let Some(gate) = renamed::gate(inputs, plan, &wanted.lineage, spec, campaign) {
        return gate;
    }
    if let Some(gate) = approval(inputs, spec, campaign) {
        return gate;
    }
    if campaign.pending() == 0 {
        if campaign.in_flight == 0
            && let Some(gate) = none_read(spec, campaign)
        {
            return gate;
        }
        return if campaign.in_flight > 0 {
            Gate::Open
        } else if let Some(refresh) = spec
            .schedule
            .refresh
            .filter(|_| spec.schedule.cron.is_none())
        {
            waits(
                Waiting::LookingUp,
                None,
                format!(
                    "Everybody is settled; newcomers are looked for every {}.{}",
                    crate::time::human_duration(refresh.as_millis() as i64),
                    but(spec, campaign)
                ),
            )
        } else {
            runs::settle(plan, &wanted.lineage, campaign);
            let next = runs::next_firings(spec, Some(campaign), now, 1);
            match next.first() {
                Some(next) => waits(
                    Waiting::NotStarted,
                    Some(*next),
                    format!(
                        "Run {} is settled; the next starts {}.{}",
                        campaign.run,
                        spec.schedule.zone.iso(*next),
                        but(spec, campaign)
                    ),
                ),
                None => Gate::Done {
                    message: format!("Everybody who was found is settled.{}", but(spec, campaign)),
                },
            }
        };
    }
    // Of a run in which nobody gets a message any more no slot is asked for.
    if !runs::is_spent(inputs, spec, campaign)
        && let Some(gate) = slots.gate(inputs, plan, &wanted.lineage, spec)
    {
        return gate;
    }
    match spec.schedule.windows.next_open(now, spec.schedule.zone) {
        Some(open) if open <= now => {
            if let Some(close) = spec.schedule.windows.closes_at(now, spec.schedule.zone) {
                plan.wake(close, now);
            }
            Gate::Open
        }
        Some(open) => {
            let message = format!("The next window opens {}.", spec.schedule.zone.iso(open));
            waits(Waiting::OutsideWindow, Some(open), message)
        }
        None => blocked(
            Waiting::Held,
            "NoWindow",
            "No window of `schedule.windows` ever opens.",
        ),
    }
}

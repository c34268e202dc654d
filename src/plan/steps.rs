//! Follow-ups that are due: before any first contact of the account that must send them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::accounts::{Availability, may_contact, usable};
use super::answers::is_unread;
use super::reach::LOOK_THROUGH;
use super::sends::Turn;
use super::{Action, Gate, Inputs, Link, Plan};
use crate::desired::{ResolvedCampaign, ResolvedStep};
use crate::model::{AccountName, Event, Lineage, Outcome, SendKey, Timestamp, Waiting};
use crate::observed::{Campaign, Handle, StepGroup, StepWaiter, Steps};

/// Follow-ups of one account and campaign that one pass looks at: who is slowed down stands in the way of few.
const LOOK_PAST: usize = 256;
/// People settled without a message in one pass: the rest follow in the next.
const SETTLED_A_PASS: usize = 500;

/// A follow-up that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Due {
    /// Since when.
    pub(super) at: Timestamp,
    /// Who.
    pub(super) number: u32,
    /// Of the send-once key.
    pub(super) run: u32,
    /// Which step.
    pub(super) step: u16,
    /// Of which turn.
    pub(super) turn: usize,
}

impl Due {
    /// The send-once key.
    pub(super) fn key(&self, line: &Lineage, person: crate::model::PersonId) -> SendKey {
        SendKey {
            lineage: line.clone(),
            person,
            step: self.step,
            run: self.run,
        }
    }
}

/// The step that a group waits for, and how long after the step before: a reply passes by those that are for the silent
/// only, in the time that they would have taken.
pub(super) fn next_step(spec: &ResolvedCampaign, group: StepGroup) -> Option<(u16, Duration)> {
    let mut after = Duration::ZERO;
    let first = usize::from(group.next).checked_sub(1)?;
    for (index, step) in spec.follow_ups.iter().enumerate().skip(first) {
        after += step.after;
        if step.always || !group.replied {
            return Some((u16::try_from(index + 1).ok()?, after));
        }
    }
    None
}

/// What a step says.
pub(super) fn step_of(spec: &ResolvedCampaign, step: u16) -> Option<&ResolvedStep> {
    spec.follow_ups.get(usize::from(step).checked_sub(1)?)
}

/// The steps of a campaign whose spec has follow-ups, of any other none: who waits for one is not asked in vain, since the
/// first question has a cost.
pub(super) fn of<'a>(
    spec: &ResolvedCampaign,
    campaign: &'a Campaign,
) -> impl Iterator<Item = &'a Steps> {
    let has_some = !spec.follow_ups.is_empty();
    has_some.then_some(&campaign.steps).into_iter()
}

/// Whether follow-ups of a campaign may leave now: what keeps only first contacts (nobody new to write to, a slot of the
/// owner's plan, a source that cannot be read) does not keep them.
pub(super) fn may_go(
    inputs: &Inputs<'_>,
    plan: &mut Plan,
    line: &Lineage,
    spec: &ResolvedCampaign,
    campaign: &Campaign,
) -> bool {
    let anybody = of(spec, campaign).flat_map(Steps::groups).next().is_some();
    if !anybody || inputs.runtime.draining {
        return false;
    }
    let open = plan
        .report
        .campaigns
        .get(line)
        .is_some_and(|view| lets(&view.gate, spec, inputs.now));
    if !open {
        return false;
    }
    let (windows, zone) = (&spec.schedule.windows, spec.schedule.zone);
    match windows.next_open(inputs.now, zone) {
        Some(at) if at <= inputs.now => {
            if let Some(close) = windows.closes_at(inputs.now, zone) {
                plan.wake(close, inputs.now);
            }
            true
        }
        Some(at) => {
            plan.wake(at, inputs.now);
            false
        }
        None => false,
    }
}

/// Whether a gate keeps first contacts only.
pub fn lets(gate: &Gate, spec: &ResolvedCampaign, now: Timestamp) -> bool {
    match gate {
        Gate::Open | Gate::Done { .. } => true,
        Gate::Blocked { condition, .. } => *condition == "SourceFailed",
        Gate::Waits { reason, .. } => {
            matches!(
                reason,
                Waiting::LookingUp
                    | Waiting::AudienceNotCollected
                    | Waiting::AccountUnavailable
                    | Waiting::FloodWait
                    | Waiting::OwnerPlan
                    | Waiting::Cooldown
                    | Waiting::Delay
            ) || (*reason == Waiting::NotStarted && started(spec, now))
        }
    }
}

/// Between two runs of a schedule follow-ups go on; before its `start` nothing does.
fn started(spec: &ResolvedCampaign, now: Timestamp) -> bool {
    spec.schedule.start.is_none_or(|start| start <= now)
}

/// Of those who wait for a step, those of whom nothing waits to be read ([`is_unread`]): before that nobody knows whether
/// they have not refused to hear more.
fn heard_out<'a>(
    inputs: &'a Inputs<'_>,
    queue: &'a BTreeSet<StepWaiter>,
) -> impl Iterator<Item = &'a StepWaiter> {
    queue
        .iter()
        .filter(move |waiter| !is_unread(inputs, Handle(waiter.handle)))
}

/// When the next follow-up of a campaign can leave: when it is due and its account may send, within a window.
pub(super) fn next_at(
    inputs: &Inputs<'_>,
    spec: &ResolvedCampaign,
    campaign: &Campaign,
) -> Option<Timestamp> {
    let mut due: BTreeMap<u16, Timestamp> = BTreeMap::new();
    for (group, queue) in of(spec, campaign).flat_map(Steps::groups) {
        if let Some((_, after)) = next_step(spec, group)
            && let Some(first) = heard_out(inputs, queue).next()
        {
            let at = first.since() + after;
            let soonest = due.entry(group.account).or_insert(at);
            *soonest = at.min(*soonest);
        }
    }
    due.into_iter()
        .filter_map(|(account, at)| {
            let name = inputs.observed.account_name(account)?;
            // Who is lost is settled when it is due, windows or not.
            if is_lost(inputs, spec, name).is_some() {
                return Some(at);
            }
            let free = match may_contact(inputs, name, spec, campaign, false) {
                Availability::Now { .. } => at,
                Availability::Later { until, .. } => {
                    at.max(until.or((at > inputs.now).then_some(at))?)
                }
            };
            spec.schedule
                .windows
                .next_open(free.max(inputs.now), spec.schedule.zone)
        })
        .min()
}

/// Follow-ups that an account owes by a moment, at most [`LOOK_THROUGH`] of each step.
pub fn owed_by(
    inputs: &Inputs<'_>,
    spec: &ResolvedCampaign,
    campaign: &Campaign,
    name: &AccountName,
    by: Timestamp,
) -> u64 {
    let Some(index) = inputs.observed.account_index(name) else {
        return 0;
    };
    let groups = of(spec, campaign).flat_map(|steps| steps.groups_of(index));
    groups
        .filter_map(|(group, queue)| {
            let (_, after) = next_step(spec, group)?;
            let due = heard_out(inputs, queue)
                .take(LOOK_THROUGH)
                .take_while(|waiter| waiter.since() + after <= by);
            Some(due.count() as u64)
        })
        .sum()
}

/// Whether an account can never send again by itself what it owes: then nobody does.
fn is_lost(inputs: &Inputs<'_>, spec: &ResolvedCampaign, name: &AccountName) -> Option<String> {
    if !spec.accounts.contains(name) {
        return Some(format!("{name} is no account of this campaign any more"));
    }
    if let Some((state, _, _)) = inputs
        .observed
        .accounts
        .get(name)
        .and_then(|account| account.trouble.as_ref())
    {
        return Some(format!("{name} is {state}"));
    }
    matches!(inputs.runtime.links.get(name), Some(Link::Missing))
        .then(|| format!("{name} has no session file"))
}

/// Follow-ups whose account is gone are settled when they are due: no other account takes them over.
pub(super) fn settle_lost(inputs: &Inputs<'_>, plan: &mut Plan, turn: &Turn<'_>) {
    let mut left = SETTLED_A_PASS;
    for (group, queue) in of(turn.spec, turn.campaign).flat_map(Steps::groups) {
        let Some((step, after)) = next_step(turn.spec, group) else {
            continue;
        };
        let Some(name) = inputs.observed.account_name(group.account) else {
            continue;
        };
        let Some(why) = is_lost(inputs, turn.spec, name) else {
            continue;
        };
        for waiter in queue {
            let at = waiter.since() + after;
            if at > inputs.now {
                plan.wake(at, inputs.now);
                break;
            }
            if left == 0 {
                return;
            }
            let Some(person) = inputs.observed.persons.id(Handle(waiter.handle)) else {
                continue;
            };
            left -= 1;
            let due = due_of(*waiter, at, step, 0);
            plan.actions.push(Action::Record(Event::StepSkipped {
                key: due.key(turn.line, person),
                outcome: Outcome::AccountLost,
                detail: format!("{why}, and only the account that wrote to him first follows up"),
            }));
        }
    }
}

fn due_of(waiter: StepWaiter, at: Timestamp, step: u16, turn: usize) -> Due {
    Due {
        at,
        number: waiter.handle,
        run: waiter.run,
        step,
        turn,
    }
}

/// What an account owes now over all campaigns, the longest due first.
pub(super) fn due(
    inputs: &Inputs<'_>,
    plan: &mut Plan,
    name: &AccountName,
    turns: &mut [Turn<'_>],
    own: &[usize],
) -> VecDeque<Due> {
    let Some(index) = inputs.observed.account_index(name) else {
        return VecDeque::new();
    };
    if let Err(Availability::Later { until, .. }) = usable(inputs, name) {
        if let Some(until) = until {
            plan.wake(until, inputs.now);
        }
        return VecDeque::new();
    }
    let mut all = Vec::new();
    for &number in own {
        let Some(turn) = turns.get_mut(number).filter(|turn| turn.follows_up) else {
            continue;
        };
        let before = all.len();
        let steps = of(turn.spec, turn.campaign);
        for (group, queue) in steps.flat_map(|steps| steps.groups_of(index)) {
            let Some((step, after)) = next_step(turn.spec, group) else {
                continue;
            };
            for waiter in heard_out(inputs, queue).take(LOOK_PAST) {
                let at = waiter.since() + after;
                if at > inputs.now {
                    plan.wake(at, inputs.now);
                    break;
                }
                all.push(due_of(*waiter, at, step, number));
            }
        }
        turn.part.acts |= all.len() > before;
    }
    all.sort_unstable();
    all.into()
}

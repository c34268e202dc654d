//! Whom the suppression list names by a phone alone: an account asks Telegram who has it, so that the suppression holds
//! for somebody who is found by his id and hides his number.

use std::time::Duration;

use super::accounts::Availability;
use super::reach::{lookups_today, may_resolve};
use super::sends::planned_resolve;
use super::{Action, Inputs, Plan};
use crate::model::{Reference, Timestamp};
use crate::observed::Handle;

/// Stands where a look-up names its campaign.
pub const SUPPRESSED_LINEAGE: &str = "#suppressed";

/// The pause between two of these look-ups by one account, once it has looked [`AT_ONCE`] up in a day: a long list takes
/// days anyway, and is no reason to be told to wait.
const GAP: Duration = Duration::from_secs(10);

/// A short list is looked up before the first message leaves.
const AT_ONCE: u32 = 20;

/// First contacts wait so long for the answer to such a look-up: it may say that the next one is not to be written to.
/// An account that does not answer holds nobody up for longer.
const HOLD: Duration = Duration::from_secs(2);

/// How many numbers are looked at in one pass.
const LOOK_AT: usize = 64;

/// Look-ups of phones of the suppression list, each account one at a time and with half of what it may look up in a day:
/// campaigns keep the other half.
pub(super) fn look_ups(inputs: &Inputs<'_>, plan: &mut Plan) {
    let unsought = &inputs.observed.suppression.unsought;
    if unsought.is_empty() || inputs.report_only || inputs.runtime.draining {
        return;
    }
    let mut wanted = unsought
        .iter()
        .take(LOOK_AT)
        .filter_map(|number| inputs.observed.persons.id(Handle(number)))
        .filter(|person| !inputs.runtime.resolving.values().any(|who| who == person))
        .filter_map(|person| {
            let known = inputs.people.get(person)?;
            let phone = known
                .references
                .into_iter()
                .find(|reference| matches!(reference, Reference::Phone(_)))?;
            Some((person, phone))
        })
        .collect::<Vec<_>>()
        .into_iter();
    for name in inputs.runtime.links.keys() {
        let wake = |plan: &mut Plan, at: Timestamp| {
            // `run --once` does not wait for a list.
            if inputs.runtime.once_since.is_none() {
                plan.wake(at, inputs.now);
            }
        };
        match may_resolve(inputs, name) {
            Availability::Now { .. } => {}
            Availability::Later { until, .. } => {
                if let Some(until) = until {
                    wake(plan, until);
                }
                continue;
            }
        }
        let busy = inputs.runtime.resolving.contains_key(name)
            || planned_resolve(plan, |account, _| account == name);
        if busy {
            continue;
        }
        let (used, most, tomorrow) = lookups_today(inputs, name);
        if used >= most / 2 {
            wake(plan, tomorrow);
            continue;
        }
        let next = inputs.runtime.sought.get(name).map(|at| *at + GAP);
        if let Some(next) = next.filter(|next| used >= AT_ONCE && *next > inputs.now) {
            wake(plan, next);
            continue;
        }
        let Some((person, reference)) = wanted.next() else {
            return;
        };
        plan.actions.push(Action::Resolve {
            account: name.clone(),
            person,
            reference,
            campaign: SUPPRESSED_LINEAGE.into(),
        });
    }
}

/// Whether first contacts wait for the answer to such a look-up.
pub(super) fn holds(inputs: &Inputs<'_>, plan: &mut Plan) -> bool {
    let unsought = &inputs.observed.suppression.unsought;
    if unsought.is_empty() {
        return false;
    }
    let until = inputs
        .runtime
        .resolving
        .iter()
        .filter(|(_, person)| {
            inputs
                .observed
                .handle(**person)
                .is_some_and(|handle| unsought.contains(handle.0))
        })
        .filter_map(|(name, _)| Some(*inputs.runtime.sought.get(name)? + HOLD))
        .filter(|until| *until > inputs.now)
        .max();
    if let Some(until) = until {
        plan.wake(until, inputs.now);
    }
    let planned = plan.actions.iter().any(|action| {
        matches!(action, Action::Resolve { campaign, .. } if campaign.as_ref() == SUPPRESSED_LINEAGE)
    });
    until.is_some() || planned
}

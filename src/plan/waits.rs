//! Why everybody waits who is left over by a pass, and who is settled since nobody can reach him, or nobody may.

use std::sync::Arc;

use super::accounts::Availability;
use super::message::key_of;
use super::reach::{Keepers, LOOK_THROUGH, may_resolve};
use super::sends::{LOOK_PAST, Turn, look_up, planned_resolve, resting};
use super::{Action, Inputs, Plan, Wait};
use crate::desired::SourceRole;
use crate::model::{Event, Outcome, Person, Timestamp, Waiting};
use crate::observed::{ClassId, Handle};
use crate::people::best_reference;

/// People settled without a message (unreachable, template errors) in one pass: the rest follow in the next.
pub(super) const SETTLED_A_PASS: usize = 500;

/// Whoever may hear from one account alone, since Telegram refused or slowed it there, and an edit took that account out of
/// the campaign: he is never tried through another one (CONTRACT section 6).
pub(super) fn settle_removed(inputs: &Inputs<'_>, plan: &mut Plan, turn: &Turn<'_>) {
    let persons = &inputs.observed.persons;
    let removed = turn.campaign.queues.iter().filter_map(|(class, queue)| {
        let &[only] = persons.accounts(*class) else {
            return None;
        };
        let name = inputs.observed.account_name(only)?;
        (!turn.spec.accounts.contains(name)).then_some((name, queue))
    });
    let mut left = SETTLED_A_PASS;
    for (name, queue) in removed {
        // Those whom nobody else has met yet stand among them.
        for number in queue.iter().take(LOOK_THROUGH) {
            let recipient = turn.campaign.recipients.get(&number);
            let person = persons.id(Handle(number));
            let (Some(true), Some(person)) = (recipient.map(|r| r.bound), person) else {
                continue;
            };
            if left == 0 {
                return;
            }
            left -= 1;
            plan.actions.push(Action::Record(Event::Skipped {
                campaign: turn.line.clone(),
                person,
                step: 0,
                outcome: Outcome::AccountLost,
                detail: format!(
                    "{name} is no account of this campaign any more, and nobody else tries what it could not send"
                ),
            }));
        }
    }
}

/// People whom no account of the campaign has met: looked up by name where they have one, else settled.
pub(super) fn unreachable(inputs: &Inputs<'_>, plan: &mut Plan, turn: &mut Turn<'_>) {
    let persons = &inputs.observed.persons;
    let own: Vec<u16> = turn
        .spec
        .accounts
        .iter()
        .filter_map(|name| inputs.observed.account_index(name))
        .collect();
    let reaches = |class: ClassId| {
        persons
            .accounts(class)
            .iter()
            .any(|account| own.contains(account))
    };
    // Nearly always each of them can be reached by somebody.
    if turn.campaign.queues.keys().all(|class| reaches(*class)) {
        return;
    }
    let looking = turn.campaign.looking_up()
        || inputs
            .runtime
            .looking_up
            .iter()
            .any(|(line, _, _)| line == turn.line);
    // A source that could not be read may hold him, and a username that is not looked up yet may be him.
    let unread = turn.spec.sources.iter().any(|source| {
        source.role == SourceRole::Include
            && turn
                .campaign
                .sources
                .get(&source.id)
                .is_none_or(|known| known.lookups.is_empty() || known.failed())
    });
    if looking || unread || !turn.campaign.unresolved.is_empty() {
        return;
    }
    let queues = turn.campaign.queues.iter();
    for (_, queue) in queues.filter(|(class, _)| !reaches(**class)) {
        for number in queue.iter().take(SETTLED_A_PASS) {
            let recipient = turn.campaign.recipients.get(&number);
            if recipient.is_some_and(|r| r.bound) || turn.taken.contains(number) {
                continue;
            }
            let Some(person) = persons.id(Handle(number)) else {
                continue;
            };
            let known: Person = inputs.people.get(person).unwrap_or_default();
            if best_reference(&known).is_some() {
                let free = turn.spec.accounts.iter().find(|name| {
                    matches!(may_resolve(inputs, name), Availability::Now { .. })
                        && !inputs.runtime.resolving.contains_key(*name)
                        && !planned_resolve(plan, |account, _| account == *name)
                });
                let Some(name) = free.cloned() else {
                    for name in &turn.spec.accounts {
                        if let Availability::Later {
                            until: Some(at), ..
                        } = may_resolve(inputs, name)
                        {
                            plan.wake(at, inputs.now);
                        }
                    }
                    break;
                };
                let key = key_of(turn, person);
                let _ = look_up(inputs, plan, &name, turn, &key);
                continue;
            }
            plan.actions.push(Action::Record(Event::Skipped {
                campaign: turn.line.clone(),
                person,
                step: 0,
                outcome: Outcome::Unreachable,
                detail: "no account of the campaign has met him, and he has no username or phone to look up"
                    .to_owned(),
            }));
        }
    }
}

/// Why everybody who is left waits: one reason for each queue, by the account that could go on first.
pub(super) fn waits(inputs: &Inputs<'_>, plan: &mut Plan, turn: &mut Turn<'_>) {
    let persons = &inputs.observed.persons;
    let mut found: Vec<Wait> = Vec::new();
    let mut own = Vec::new();
    for name in &turn.spec.accounts {
        let availability = turn.may_contact(inputs, name);
        own.push((inputs.observed.account_index(name), name, availability));
    }
    // Who may send now is asked again in the next pass.
    turn.part.acts |= own
        .iter()
        .any(|(_, _, availability)| matches!(availability, Availability::Now { .. }));
    let none = Availability::Later {
        reason: Waiting::AccountUnavailable,
        until: None,
    };
    let keepers = Keepers::new(inputs, turn.spec, turn.campaign);
    // After a pass that takes people another one follows, which tells who keeps those that are left; so does one while
    // messages are on their way and more may leave.
    let follows = !turn.taken.is_empty() || (turn.part.acts && turn.campaign.in_flight > 0);
    let kept = (inputs.report_only || !follows) && keepers.any();
    for (class, queue) in &turn.campaign.queues {
        let best = own
            .iter()
            .filter(|(index, _, _)| index.is_some_and(|i| persons.accounts(*class).contains(&i)))
            .map(|(_, _, availability)| availability.clone())
            .fold(none.clone(), Availability::better);
        let mut count = queue.len();
        // Who rests waits for that, whichever account keeps him. A pass that sends looks at the heads of queues only.
        let most = if inputs.report_only {
            LOOK_THROUGH
        } else {
            LOOK_PAST
        };
        let resting = resting(inputs, queue, most);
        if let Some(first) = resting.values().min() {
            count -= resting.len() as u64;
            found.push(Wait {
                reason: Waiting::PersonGap,
                count: resting.len() as u64,
                until: Some(*first),
            });
        }
        if kept && persons.accounts(*class).len() > 1 {
            let others = queue.iter().filter(|number| !resting.contains_key(number));
            for (keeper, people) in keepers.count(others) {
                let of_keeper = own
                    .iter()
                    .find(|(index, _, _)| *index == Some(keeper))
                    .map_or(none.clone(), |(_, _, availability)| availability.clone());
                count -= people.min(count);
                found.push(wait_of(of_keeper, people, inputs.now));
            }
        }
        found.push(wait_of(best, count, inputs.now));
    }
    if !turn.campaign.unresolved.is_empty() {
        let best = own
            .iter()
            .map(
                |(_, name, contact)| match (may_resolve(inputs, name), contact) {
                    (Availability::Now { .. }, contact) => contact.clone(),
                    (later, _) => later,
                },
            )
            .fold(none, Availability::better);
        let best = match best {
            Availability::Now { .. } => Availability::Later {
                reason: Waiting::LookingUp,
                until: None,
            },
            later => later,
        };
        found.push(wait_of(best, turn.campaign.unresolved.len(), inputs.now));
    }
    for wait in &found {
        if let Some(until) = wait.until {
            plan.wake(until, inputs.now);
        }
    }
    if let Some(view) = plan.report.campaigns.get_mut(turn.line) {
        Arc::make_mut(view).waiting = found;
    }
}

fn wait_of(availability: Availability, count: u64, now: Timestamp) -> Wait {
    match availability {
        Availability::Now { .. } => Wait {
            reason: Waiting::Delay,
            count,
            until: Some(now),
        },
        Availability::Later { reason, until } => Wait {
            reason,
            count,
            until,
        },
    }
}

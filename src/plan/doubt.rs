//! What may or may not have arrived, and the confirmation of an opt-out: sends that no campaign's turn keeps waiting.

use std::time::Duration;

use super::accounts::{Availability, may_answer, may_invite, usable};
use super::{Action, Gate, Inputs, Link, Plan, SendAction};
use crate::model::{
    AccountState, Event, InDoubtWhy, Outcome, SendKey, TEST_LINEAGE, Timestamp, Waiting, is_aside,
};
use crate::observed::{Handle, InFlight, OPT_OUT_LINEAGE};
use crate::people::is_named;
use crate::text::{AccountFacts, CampaignFacts, Context, compose};

/// In doubt for longer: the history decides (CONTRACT section 6).
const DOUBT_MOST: Duration = Duration::from_secs(24 * 3600);

/// Sends that may or may not have arrived: the same bytes again, or a look into the dialog.
pub(super) fn in_doubt(inputs: &Inputs<'_>, plan: &mut Plan) {
    let now = inputs.now;
    if inputs
        .observed
        .accounts
        .values()
        .all(|account| account.in_doubt == 0)
    {
        return;
    }
    for (key, flight) in &inputs.observed.in_flight {
        let Some((_, since)) = flight.doubt else {
            continue;
        };
        if inputs.runtime.executing.contains(key) {
            continue;
        }
        let account = &flight.intent.account;
        let banned = inputs
            .observed
            .accounts
            .get(account)
            .and_then(|a| a.trouble.as_ref())
            .is_some_and(|(state, _, _)| *state == AccountState::Banned);
        if banned {
            plan.actions.push(Action::Record(Event::Refused {
                key: key.clone(),
                outcome: Outcome::Uncertain,
                detail: "the account is banned: its dialog cannot be read".to_owned(),
            }));
            continue;
        }
        let old = now.since(since) >= DOUBT_MOST;
        let may = if flight.intent.is_invite() {
            may_invite(inputs, account)
        } else {
            may_answer(inputs, account)
        };
        match may {
            Availability::Later { until, .. } => {
                if old && usable(inputs, account).is_err() {
                    plan.actions.push(Action::Record(Event::Refused {
                        key: key.clone(),
                        outcome: Outcome::Uncertain,
                        detail:
                            "in doubt for over 24 hours, and the account's dialog cannot be read"
                                .to_owned(),
                    }));
                } else if let Some(until) = until {
                    plan.wake(until, now);
                }
                continue;
            }
            Availability::Now { .. } => {}
        }
        if flight.retry_at > now {
            plan.wake(flight.retry_at, now);
            continue;
        }
        let silenced = inputs
            .observed
            .handle(key.person)
            .is_some_and(|h| inputs.observed.is_silenced(h));
        let confirmation = key.lineage.as_ref() == OPT_OUT_LINEAGE;
        // Did it not arrive, then sending it again would be a first contact by an account that may make none.
        let limited = key.step == 0
            && !is_aside(&key.lineage)
            && inputs
                .observed
                .accounts
                .get(account)
                .is_some_and(|account| account.limited(now).is_some());
        let refused = matches!(flight.doubt, Some((InDoubtWhy::Refused(_), _)));
        let again = |plan: &Plan| {
            if is_aside(&key.lineage) {
                confirmation
                    || key.lineage.as_ref() == TEST_LINEAGE
                    || super::answers::may_go_again(inputs, plan, key)
            } else {
                may_go_again(plan, key, inputs, flight)
            }
        };
        if old || limited || refused || (silenced && !confirmation) {
            plan.actions.push(Action::LookBack { key: key.clone() });
        } else if let Some(open) = window(inputs, key) {
            // Whatever else the campaign waits for: nothing leaves outside its windows.
            plan.wake(open, now);
        } else if again(plan) {
            plan.actions.push(Action::Retry { key: key.clone() });
        }
    }
}

/// When the campaign's windows open, where they are closed now.
fn window(inputs: &Inputs<'_>, key: &SendKey) -> Option<Timestamp> {
    let mut campaigns = inputs.desired.campaigns.values();
    let spec = campaigns
        .find(|campaign| campaign.lineage == key.lineage)?
        .spec
        .as_deref()?;
    let (windows, zone) = (&spec.schedule.windows, spec.schedule.zone);
    if windows.open_at(inputs.now, zone) {
        return None;
    }
    Some(
        windows
            .next_open(inputs.now, zone)
            .unwrap_or(Timestamp::MAX),
    )
}

/// Whether a campaign may send now what it already decided to send: not while it is held or its windows are closed.
fn may_go_again(plan: &Plan, key: &SendKey, inputs: &Inputs<'_>, _flight: &InFlight) -> bool {
    let Some(view) = plan.report.campaigns.get(&key.lineage) else {
        return false;
    };
    match &view.gate {
        Gate::Open | Gate::Done { .. } => true,
        Gate::Blocked { condition, .. } => {
            matches!(*condition, "AwaitingApproval" | "Canary" | "SourceFailed")
        }
        Gate::Waits { reason, .. } => match reason {
            Waiting::OutsideWindow | Waiting::NotStarted | Waiting::Held => false,
            _ => !inputs.runtime.draining,
        },
    }
}

/// The one confirmation of an opt-out: in nobody's name, so that no hold and no window keeps it.
pub(super) fn confirmations(inputs: &Inputs<'_>, plan: &mut Plan) {
    let Some(reply) = &inputs.desired.engine.opt_out.reply else {
        return;
    };
    if inputs.runtime.draining {
        return;
    }
    for (number, account) in &inputs.observed.confirmations {
        let Some(name) = inputs.observed.account_name(*account) else {
            continue;
        };
        match may_answer(inputs, name) {
            Availability::Now { .. } => {}
            Availability::Later { until, .. } => {
                if let Some(until) = until {
                    plan.wake(until, inputs.now);
                }
                continue;
            }
        }
        let Some(person) = inputs.observed.persons.id(Handle(*number)) else {
            continue;
        };
        let key = SendKey {
            lineage: OPT_OUT_LINEAGE.into(),
            person,
            step: 0,
            run: 0,
        };
        if inputs.observed.in_flight.contains_key(&key) {
            continue;
        }
        let Some(Link::Ready {
            random_key,
            first_name,
            username,
        }) = inputs.runtime.links.get(name)
        else {
            continue;
        };
        let known = inputs.people.get(person).unwrap_or_default();
        if let Some(only) = &inputs.desired.engine.limits.only_to
            && !is_named(person, Some(&known), only)
        {
            continue;
        }
        let account = AccountFacts {
            name: name.to_string(),
            first_name: first_name.clone(),
            username: username.clone(),
        };
        let nobody = CampaignFacts::default();
        let context = Context {
            contact: &known.contact,
            campaign: &nobody,
            account: Some(&account),
            now: inputs.now,
            zone: crate::time::Zone::UTC,
            step: 0,
            invite_link: None,
        };
        let Ok(message) = compose(reply, None, false, &context) else {
            continue;
        };
        plan.actions.push(Action::Send(Box::new(SendAction {
            random_id: key.random_id(random_key),
            key,
            account: name.clone(),
            run: 0,
            variant: "opt_out.reply".to_owned(),
            digest: String::new(),
            message,
            link_preview: false,
            media: None,
            gap: Duration::ZERO,
            attested: false,
        })));
    }
}

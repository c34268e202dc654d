//! What `notify` is to tell and no event says of itself: campaigns that wait for a person, accounts that cannot be used.
//! Each is written down as it begins, under its reason, and as it is over.

use std::time::Duration;

use super::notices::target_of;
use super::{Action, Gate, Inputs, Link, Plan};
use crate::model::{AccountName, Event, NotifyEvent, StallReason, Timestamp, Waiting};
use crate::observed::{Campaign, Source};

/// A connection that is lost for so long is worth telling: shorter breaks are the network's daily life.
const AWAY_FOR: Duration = Duration::from_secs(300);

/// Writes down what began and what is over, where somebody wants to be told.
pub(super) fn troubles(inputs: &Inputs<'_>, plan: &mut Plan) {
    let wanted = |event: NotifyEvent| {
        inputs
            .desired
            .engine
            .spec
            .notify
            .iter()
            .any(|entry| entry.on.contains(&event) && target_of(entry).is_some())
    };
    let mut events = Vec::new();
    if wanted(NotifyEvent::Stalled) || wanted(NotifyEvent::Paused) {
        campaigns(inputs, plan, &mut events);
    }
    if wanted(NotifyEvent::Account) {
        accounts(inputs, plan, &mut events);
    }
    plan.actions.extend(events.into_iter().map(Action::Record));
}

/// How a campaign stands.
enum Stand {
    /// Whatever it was, it is over.
    Goes,
    /// Nobody can say now: what was told holds.
    Unsure,
    /// It waits for a person.
    Waits { paused: bool, why: StallReason },
}

fn campaigns(inputs: &Inputs<'_>, plan: &Plan, events: &mut Vec<Event>) {
    for (line, view) in &plan.report.campaigns {
        let Some(campaign) = inputs.observed.campaigns.get(line) else {
            continue;
        };
        let told = inputs.observed.talks.waits.get(line);
        match stand(&view.gate, campaign) {
            Stand::Goes if told.is_some() => events.push(Event::CampaignWaits {
                campaign: line.clone(),
                paused: false,
                why: None,
            }),
            Stand::Waits { paused, why } if told != Some(&why.reason) => {
                events.push(Event::CampaignWaits {
                    campaign: line.clone(),
                    paused,
                    why: Some(why),
                });
            }
            Stand::Goes | Stand::Unsure | Stand::Waits { .. } => {}
        }
    }
}

/// What of a campaign's gate is news.
fn stand(gate: &Gate, campaign: &Campaign) -> Stand {
    let Gate::Blocked {
        condition, message, ..
    } = gate
    else {
        // A source that failed is tried again: until that has ended nothing is known.
        let retries = matches!(
            gate,
            Gate::Waits {
                reason: Waiting::LookingUp,
                ..
            }
        ) && campaign.sources.values().any(Source::failed);
        return if retries { Stand::Unsure } else { Stand::Goes };
    };
    // Of one that never opened a run its file says what its author knows.
    let began = campaign.run > 0;
    let paused = match *condition {
        // These have events of their own, and these are told by them.
        "Stalled" | "PausedItself" | "Suspended" => return Stand::Goes,
        "AwaitingApproval" | "Canary" | "LooksRenamed" => true,
        "Paused" if began => true,
        "SpecInvalid" if began => false,
        "SourceFailed" | "ConsentMismatch" | "NoWindow" => false,
        "Paused" | "SpecInvalid" | "Ended" => return Stand::Goes,
        // The folder, a restore: nothing of this campaign's own.
        _ => return Stand::Unsure,
    };
    Stand::Waits {
        paused,
        why: StallReason {
            reason: (*condition).to_owned(),
            message: message.clone(),
        },
    }
}

fn accounts(inputs: &Inputs<'_>, plan: &mut Plan, events: &mut Vec<Event>) {
    for name in inputs.desired.engine.accounts.keys() {
        let told = inputs.observed.talks.away.get(name);
        let lost = inputs
            .observed
            .accounts
            .get(name)
            .is_some_and(|account| account.trouble.is_some());
        // As the report shows it: a file that is not there before anything else.
        let reason = match inputs.runtime.links.get(name) {
            Some(Link::Missing) => Some("missing"),
            Some(Link::NotConfigured | Link::Locked { .. }) => Some("not_configured"),
            Some(Link::Unusable { .. }) => Some("unauthorized"),
            Some(Link::Twin { .. }) => Some("SameAccount"),
            // Telegram's word is told as it comes.
            _ if lost => continue,
            Some(Link::Ready { .. }) => None,
            Some(Link::StateLost { .. }) => Some("StateLost"),
            Some(Link::Unreachable { .. } | Link::Connecting) => match away(inputs, plan, name) {
                true => Some("unreachable"),
                false => continue,
            },
            Some(Link::Idle) | None => continue,
        };
        if told.map(String::as_str) == reason {
            continue;
        }
        events.push(Event::AccountAway {
            account: name.clone(),
            why: reason.map(|reason| StallReason {
                reason: reason.to_owned(),
                message: super::account_view(inputs, name).message,
            }),
        });
    }
}

/// Whether it is out of reach for good, or for long enough to be told.
fn away(inputs: &Inputs<'_>, plan: &mut Plan, name: &AccountName) -> bool {
    let given_up = matches!(
        inputs.runtime.links.get(name),
        Some(Link::Unreachable {
            retry_at: Timestamp::MAX,
            ..
        })
    );
    let Some(since) = inputs.runtime.lost_since.get(name) else {
        return false;
    };
    let at = *since + AWAY_FOR;
    if given_up || at <= inputs.now {
        return true;
    }
    // `run --once` ends before.
    if inputs.runtime.once_since.is_none() {
        plan.wake(at, inputs.now);
    }
    false
}

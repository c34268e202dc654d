//! Who is told about what (`notify`), and when it is tried again.

use std::collections::BTreeMap;
use std::time::Duration;

use super::accounts::{Availability, may_answer};
use super::{Action, Gate, Inputs, Link, Plan, SendAction};
use crate::model::{
    AccountName, Event, Formatted, Lineage, PersonId, Reference, Timestamp, notice_key,
};
use crate::observed::Notice;
use crate::people::is_named;
use crate::spec::SecretString;
use crate::spec::engine::Notify;

/// Tries of one notice before it is given up, with a back-off of 1 s to [`RETRY_MOST`]: a bit over a day.
const TRIES: u32 = 300;
/// The longest pause between two tries.
const RETRY_MOST: Duration = Duration::from_secs(300);
/// `run --once` waits for so many tries.
const TRIES_ONCE: u32 = 3;

/// One delivery by a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostAction {
    /// Which entry of `notify`.
    pub target: u64,
    /// Where to.
    pub url: SecretString,
    /// The key of the signature.
    pub secret: Option<SecretString>,
    /// About what.
    pub notice: Notice,
    /// The campaign's name now.
    pub campaign: Option<String>,
}

/// What an entry is known by: where it goes.
pub fn target_of(entry: &Notify) -> Option<u64> {
    let mut hasher = blake3::Hasher::new();
    match (&entry.webhook, &entry.telegram, &entry.via) {
        (Some(url), _, _) if !url.is_empty() => {
            hasher.update(b"webhook\0").update(url.expose().as_bytes())
        }
        (None, Some(peer), Some(via)) => hasher
            .update(b"telegram\0")
            .update(Reference::from(peer).to_string().as_bytes())
            .update(b"\0")
            .update(via.as_bytes()),
        _ => return None,
    };
    let mut bytes = [0u8; 8];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    Some(u64::from_le_bytes(bytes))
}

/// The pause before the n-th next try.
pub fn back_off(failures: u32) -> Duration {
    Duration::from_secs(1u64 << failures.saturating_sub(1).min(9)).min(RETRY_MOST)
}

/// Finished runs, and what each entry of `notify` is told next.
pub(super) fn notices(inputs: &Inputs<'_>, plan: &mut Plan) {
    if inputs.report_only || inputs.runtime.draining {
        return;
    }
    finished(inputs, plan);
    super::troubles::troubles(inputs, plan);
    let talks = &inputs.observed.talks;
    // Two entries of one address are one.
    let mut entries: BTreeMap<u64, Vec<&Notify>> = BTreeMap::new();
    for entry in &inputs.desired.engine.spec.notify {
        if let Some(target) = target_of(entry) {
            entries.entry(target).or_default().push(entry);
        }
    }
    for (target, entries) in entries {
        let Some(told) = talks.told.get(&target) else {
            // What happened before somebody wanted to know is no news.
            plan.actions.push(Action::Record(Event::Told {
                target,
                seq: inputs.observed.seq,
                error: None,
                begins: true,
            }));
            continue;
        };
        if inputs.runtime.telling.contains(&target) {
            continue;
        }
        let next = talks.notices.iter().find(|notice| {
            notice.seq > *told && entries.iter().any(|entry| entry.on.contains(&notice.kind))
        });
        let (Some(notice), Some(entry)) = (next, entries.first()) else {
            continue;
        };
        if let Some((failures, retry_at)) = inputs.runtime.untold.get(&target) {
            if *failures >= TRIES {
                plan.actions.push(Action::Record(Event::Told {
                    target,
                    seq: notice.seq,
                    error: Some(format!("given up after {failures} tries")),
                    begins: false,
                }));
                continue;
            }
            if *retry_at > inputs.now {
                if inputs.runtime.once_since.is_none() || *failures <= TRIES_ONCE {
                    plan.wake(*retry_at, inputs.now);
                }
                continue;
            }
        }
        match (&entry.webhook, &entry.telegram, &entry.via) {
            (Some(url), _, _) => plan.actions.push(Action::Post(Box::new(PostAction {
                target,
                url: url.clone(),
                secret: entry.secret.clone(),
                campaign: notice.campaign.as_ref().map(|line| name_of(inputs, line)),
                notice: notice.clone(),
            }))),
            (None, Some(peer), Some(via)) => {
                let via: AccountName = via.as_str().into();
                message(inputs, plan, target, notice, &via, &Reference::from(peer));
            }
            _ => {}
        }
    }
}

fn name_of(inputs: &Inputs<'_>, line: &Lineage) -> String {
    inputs
        .observed
        .campaigns
        .get(line)
        .map(|campaign| campaign.name.clone())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| line.to_string())
}

/// Everybody of a run is settled, or `schedule.end` has come: said once.
fn finished(inputs: &Inputs<'_>, plan: &mut Plan) {
    if inputs.runtime.lookups_only {
        return;
    }
    let mut events = Vec::new();
    for (line, view) in &plan.report.campaigns {
        let over = matches!(
            view.gate,
            Gate::Done { .. }
                | Gate::Blocked {
                    condition: "Ended",
                    ..
                }
        );
        if over
            && let Some(campaign) = inputs.observed.campaigns.get(line)
            && campaign.run > 0
            && inputs.observed.talks.finished.get(line) != Some(&campaign.run)
        {
            events.push(Event::Finished {
                campaign: line.clone(),
                run: campaign.run,
            });
        }
    }
    plan.actions.extend(events.into_iter().map(Action::Record));
}

/// A message to an operator: looked up first, then sent once.
fn message(
    inputs: &Inputs<'_>,
    plan: &mut Plan,
    target: u64,
    notice: &Notice,
    via: &AccountName,
    reference: &Reference,
) {
    let give_up = |plan: &mut Plan, why: &str| {
        plan.actions.push(Action::Record(Event::Told {
            target,
            seq: notice.seq,
            error: Some(why.to_owned()),
            begins: false,
        }));
    };
    match may_answer(inputs, via) {
        Availability::Now { .. } => {}
        Availability::Later { until, .. } => {
            if let Some(until) = until {
                plan.wake(until, inputs.now);
            }
            return;
        }
    }
    let Some(Link::Ready { random_key, .. }) = inputs.runtime.links.get(via) else {
        return;
    };
    let observed = inputs.observed;
    let stand_in = reference.person();
    let person = observed.persons.resolve(stand_in);
    if notice.person == Some(person) {
        // What he writes himself needs no message to him: an answering machine would be answered for ever.
        return give_up(plan, "it is about this operator himself");
    }
    if observed.silences(person) {
        return give_up(
            plan,
            "this operator has opted out; `tidings optout remove` lets him be told again",
        );
    }
    let known = inputs.people.get(person);
    if let Some(only) = &inputs.desired.engine.limits.only_to
        && !is_named(person, known.as_ref(), only)
        && !only.contains(reference)
    {
        return give_up(plan, "`limits.only_to` does not name this operator");
    }
    let reached = known
        .as_ref()
        .is_some_and(|known| known.hashes.contains_key(via));
    if !person.is_user() || !reached {
        look_up(inputs, plan, via, stand_in, reference, give_up);
        return;
    }
    let number = u32::try_from(notice.seq & u64::from(u32::MAX)).unwrap_or(0);
    let key = notice_key(via, person, number);
    let intended = observed
        .account_index(via)
        .is_some_and(|by| observed.talks.noticed.contains(&(by, person, number)));
    if intended {
        if observed.in_flight.contains_key(&key) {
            return;
        }
        // Telegram has answered, one way or the other.
        plan.actions.push(Action::Record(Event::Told {
            target,
            seq: notice.seq,
            error: None,
            begins: false,
        }));
        return;
    }
    let campaign = notice.campaign.as_ref().map_or(String::new(), |line| {
        format!("[{}] ", name_of(inputs, line))
    });
    let hint = match notice.draft {
        Some(id) => format!("\n`tidings replies approve {id}` sends it."),
        None => String::new(),
    };
    plan.actions.push(Action::Send(Box::new(SendAction {
        random_id: key.random_id(random_key),
        key,
        account: via.clone(),
        run: 0,
        variant: "notify".into(),
        digest: "".into(),
        message: Formatted {
            text: format!("{campaign}{}{hint}", notice.message),
            entities: Vec::new(),
        },
        link_preview: false,
        media: None,
        gap: Duration::ZERO,
        attested: false,
    })));
}

fn look_up(
    inputs: &Inputs<'_>,
    plan: &mut Plan,
    via: &AccountName,
    stand_in: PersonId,
    reference: &Reference,
    give_up: impl Fn(&mut Plan, &str),
) {
    let observed = inputs.observed;
    let nobody = observed
        .handle(stand_in)
        .is_some_and(|handle| observed.nobody.contains(handle.0));
    if nobody {
        return give_up(plan, "nobody has this name");
    }
    if !matches!(reference, Reference::Username(_) | Reference::Phone(_)) {
        return give_up(
            plan,
            "the account has not met this operator: name a username",
        );
    }
    if inputs.runtime.resolving.contains_key(via) {
        return;
    }
    match super::accounts::may_look_up(inputs, via) {
        Availability::Now { .. } => plan.actions.push(Action::Resolve {
            account: via.clone(),
            person: stand_in,
            reference: reference.clone(),
            campaign: "#notice".into(),
        }),
        Availability::Later { until, .. } => {
            if let Some(until) = until {
                plan.wake(until, inputs.now);
            }
        }
    }
}

/// The earliest moment of another try, for whoever keeps them.
pub fn retry_at(now: Timestamp, failures: u32) -> Timestamp {
    now + back_off(failures)
}

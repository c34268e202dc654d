//! Who is a campaign's recipient, in which queue he waits, and who he turns out to be.

use super::flights::settle_pending;
use super::fold::index_of;
use super::suppression;
use super::{Campaign, ClassId, Handle, Observed, Recipient, Status};
use crate::model::{AccountName, Outcome, PersonId};

/// One of one's own: nobody writes to him, and who waits for a message is asked about again.
pub(super) fn own(state: &mut Observed, person: PersonId) {
    let handle = state.persons.intern(person);
    state.own.insert(handle.0);
    for campaign in state.campaigns.values_mut() {
        if campaign
            .recipients
            .get(&handle.0)
            .is_some_and(|r| r.status == Status::Pending)
        {
            campaign.unjudged.insert(handle.0);
        }
    }
}

/// The queue in which a recipient waits: his class, or the account that alone may still write to him.
pub(super) fn class_of(
    persons: &mut super::Persons,
    recipient: &Recipient,
    handle: Handle,
) -> ClassId {
    match recipient.account {
        Some(account) => persons.only(account),
        None => persons.class(handle),
    }
}

/// An account can reach a person now, or no longer: he moves to another queue wherever he waits.
pub(super) fn met(state: &mut Observed, account: u16, handle: Handle, reaches: bool) {
    let (old, new) = state.persons.set_reach(account, handle, reaches);
    if old == new {
        return;
    }
    for campaign in state.campaigns.values_mut() {
        if let Some(recipient) = campaign.recipients.get(&handle.0)
            && recipient.status == Status::Pending
            && recipient.account.is_none()
        {
            campaign.dequeue(handle, old);
            campaign.enqueue(handle, &state.persons, new);
            if old == ClassId::default() {
                // What is known of him only now may exclude him.
                campaign.unjudged.insert(handle.0);
            }
        }
    }
}

pub(super) fn judged(
    state: &mut Observed,
    line: &str,
    included: &[PersonId],
    excluded: &[(crate::model::Exclusion, Vec<PersonId>)],
    dropped: &[PersonId],
) {
    let Observed {
        persons, campaigns, ..
    } = state;
    let Some(it) = campaigns.get_mut(line) else {
        return;
    };
    for person in included {
        let handle = persons.intern(persons.resolve(*person));
        it.unjudged.remove(handle.0);
        let old = it.recipients.get(&handle.0);
        if let Some(Recipient {
            status: Status::Pending | Status::InFlight | Status::Settled(_),
            ..
        }) = old
        {
            continue;
        }
        if let Some(Recipient {
            status: Status::Excluded(reason),
            ..
        }) = old
        {
            uncount(&mut it.excluded, reason);
        }
        super::runs::reopen(it);
        let recipient = as_bound(old, Status::Pending);
        it.recipients.insert(handle.0, recipient);
        let class = class_of(persons, &recipient, handle);
        it.enqueue(handle, persons, class);
    }
    for (reason, people) in excluded {
        for person in people {
            let handle = persons.intern(persons.resolve(*person));
            let old = it.recipients.get(&handle.0);
            if remove_unsettled(it, persons, handle) {
                *it.excluded.entry(*reason).or_default() += 1;
                let recipient = as_bound(old, Status::Excluded(*reason));
                it.recipients.insert(handle.0, recipient);
            }
        }
    }
    for person in dropped {
        if let Some(handle) = persons.get(*person) {
            remove_unsettled(it, persons, handle);
        }
    }
}

/// Somebody of whom nothing else is known than the one account that may write to him, whether he is left out or not.
fn as_bound(old: Option<Recipient>, status: Status) -> Recipient {
    let old = old.filter(|old| old.bound);
    Recipient {
        account: old.and_then(|old| old.account),
        bound: old.is_some(),
        ..Recipient::of(status)
    }
}

/// Takes a pending or excluded person out; false where he is being sent to or settled, which nothing undoes.
pub(super) fn remove_unsettled(
    it: &mut Campaign,
    persons: &mut super::Persons,
    handle: Handle,
) -> bool {
    match it.recipients.get(&handle.0) {
        None => true,
        Some(recipient) => match recipient.status {
            Status::InFlight | Status::Settled(_) => false,
            Status::Pending => {
                let class = class_of(persons, &recipient, handle);
                it.dequeue(handle, class);
                it.unjudged.remove(handle.0);
                it.recipients.remove(&handle.0);
                true
            }
            Status::Excluded(reason) => {
                uncount(&mut it.excluded, reason);
                it.recipients.remove(&handle.0);
                true
            }
        },
    }
}

/// A username or phone is this person now. Where both stand in one campaign they become one recipient.
pub(super) fn resolved(
    state: &mut Observed,
    reference: PersonId,
    person: PersonId,
    account: &AccountName,
) {
    let account = index_of(state, Some(account));
    let handle = state.persons.intern(person);
    met(state, account, handle, true);
    state.relook.remove(&(account, handle.0));
    if reference == person {
        return;
    }
    let known = state.persons.get(reference);
    state.persons.set_resolved(reference, person);
    let Some(old) = known else { return };
    suppression::moved(state, old, handle);
    let Observed {
        persons,
        campaigns,
        unseen,
        opted_out,
        suppressed,
        ..
    } = state;
    for silenced in [opted_out, suppressed] {
        if silenced.remove(old.0) {
            silenced.insert(handle.0);
        }
    }
    for it in campaigns.values_mut().chain(unseen.values_mut()) {
        for lookup in it.sources.values_mut().flat_map(|s| s.lookups.values_mut()) {
            for set in [&mut lookup.found, &mut lookup.incoming] {
                if set.remove(old.0) {
                    set.insert(handle.0);
                }
            }
        }
        let Some(recipient) = it.recipients.get(&old.0) else {
            continue;
        };
        if !remove_unsettled(it, persons, old) {
            continue;
        }
        if it.recipients.contains_key(&handle.0) {
            continue;
        }
        match recipient.status {
            Status::Pending => {
                it.recipients.insert(
                    handle.0,
                    Recipient {
                        account: None,
                        ..recipient
                    },
                );
                let class = persons.class(handle);
                it.enqueue(handle, persons, class);
                // What is known of him only now may exclude him.
                it.unjudged.insert(handle.0);
            }
            Status::Excluded(reason) => {
                *it.excluded.entry(reason).or_default() += 1;
                it.recipients.insert(handle.0, recipient);
            }
            Status::InFlight | Status::Settled(_) => {}
        }
    }
    if state.is_silenced(handle) {
        super::talk::silenced(state, handle);
    }
}

/// Nobody who is silenced waits for a message any more.
pub(super) fn silence(state: &mut Observed, handle: Handle, opted_out: bool) {
    super::talk::silenced(state, handle);
    let lines: Vec<_> = state
        .campaigns
        .iter()
        .filter(|(_, it)| it.recipients.contains_key(&handle.0))
        .map(|(line, _)| line.clone())
        .collect();
    if !opted_out {
        // He blocked an account and asked for nothing: elsewhere he is left out, as by an operator's list.
        suppression::exclude(state, handle);
    }
    for line in lines.into_iter().filter(|_| opted_out) {
        settle_pending(state, &line, handle, Outcome::OptedOut);
        if let Some(it) = state.campaigns.get_mut(&line)
            && let Some(mut recipient) = it.recipients.get(&handle.0)
            && recipient.status == Status::Settled(Outcome::Sent)
            && !recipient.opted_out
        {
            recipient.opted_out = true;
            it.recipients.insert(handle.0, recipient);
            it.opted_out += 1;
        }
    }
    let why = if opted_out {
        Outcome::OptedOut
    } else {
        Outcome::Blocked
    };
    for it in state.campaigns.values_mut() {
        it.steps.end(handle, why);
    }
}

pub(super) fn uncount<K: Ord>(counts: &mut std::collections::BTreeMap<K, u64>, key: K) {
    if let Some(n) = counts.get_mut(&key) {
        *n -= 1;
        if *n == 0 {
            counts.remove(&key);
        }
    }
}

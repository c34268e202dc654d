//! A send from its intent to its outcome.

use std::sync::Arc;

use super::fold::{account_of, index_of};
use super::recipients::{class_of, uncount};
use super::suppression;
use super::{
    Campaign, Contacted, Handle, InFlight, Observed, Recipient, Source, Status, VariantCount,
};
use crate::model::{
    AccountName, InDoubtWhy, Intent, OPT_OUT_LINEAGE, Outcome, SendKey, Timestamp, is_aside,
};

/// The pause before the n-th try of the same bytes: 1 s, doubling, at most 60 s (CONTRACT section 6).
pub(super) fn back_off(tries: u32) -> std::time::Duration {
    std::time::Duration::from_secs(1u64 << tries.saturating_sub(1).min(6))
        .min(std::time::Duration::from_secs(60))
}

/// Pauses and waits are stretches of time; days, windows and caps stay with the wall clock.
pub(super) fn clock_set(state: &mut Observed, by_ms: i64) {
    let shift = |at: &mut Timestamp| *at = Timestamp(at.0.saturating_add(by_ms));
    for account in state.accounts.values_mut() {
        shift(&mut account.next_allowed_at);
        for flood in account.floods.values_mut() {
            shift(&mut flood.until);
        }
        if let Some(until) = &mut account.limited_until {
            shift(until);
        }
    }
    for flight in state.in_flight.values_mut() {
        shift(&mut flight.retry_at);
        shift(&mut flight.pause);
        shift(&mut flight.others);
    }
    for until in state.slowed.values_mut() {
        shift(until);
    }
}

/// A message of the account asks for this pause: those that are in doubt wait for it like those that are next.
fn pause(
    state: &mut Observed,
    key: &SendKey,
    (index, account): (u16, &AccountName),
    until: Timestamp,
) {
    let Some((_, known)) = state.accounts.get_index_mut(index.into()) else {
        return;
    };
    known.next_allowed_at = known.next_allowed_at.max(until);
    if known.in_doubt == 0 || is_aside(&key.lineage) {
        return;
    }
    for (other, flight) in &mut state.in_flight {
        if other != key && flight.intent.account == *account {
            flight.others = flight.others.max(until);
        }
    }
}

/// The same bytes may just have left again: from now on they count, and from now on the account pauses. Had the first try
/// not arrived, this is the message.
pub(super) fn tried_again(state: &mut Observed, key: &SendKey, at: Timestamp) {
    if is_aside(&key.lineage) {
        return;
    }
    let Some(flight) = state.in_flight.get_mut(key) else {
        return;
    };
    let from = flight.charged();
    flight.tried = Some(at);
    flight.pause = at + flight.gap();
    let Intent {
        account, attested, ..
    } = &*flight.intent;
    let (until, name) = (flight.pause, account.clone());
    let attested = *attested;
    let index = index_of(state, Some(&name));
    if let Some((_, account)) = state.accounts.get_index_mut(index.into()) {
        account.meter.moved(from, at);
        if attested {
            account.attested.moved(from, at);
        }
    }
    if let Some(it) = state.campaigns.get_mut(&key.lineage) {
        it.meter.moved(from, at);
        it.meters.entry(index).or_default().moved(from, at);
    }
    pause(state, key, (index, &name), until);
}

/// What was on its way when the engine stopped is in doubt, and what was in doubt may have been tried again; look-ups that
/// were under way begin anew.
pub(super) fn started(state: &mut Observed, at: Timestamp) {
    let doubted: Vec<SendKey> = state
        .in_flight
        .iter()
        .filter(|(_, flight)| flight.doubt.is_some())
        .map(|(key, _)| key.clone())
        .collect();
    for key in doubted {
        tried_again(state, &key, at);
    }
    for flight in state.in_flight.values_mut() {
        if flight.doubt.is_none() {
            flight.doubt = Some((InDoubtWhy::Restart, at));
            if let Some(account) = state.accounts.get_mut(&flight.intent.account) {
                account.in_doubt += 1;
            }
        }
        flight.retry_at = at;
    }
    for campaign in state
        .campaigns
        .values_mut()
        .chain(state.unseen.values_mut())
    {
        for lookup in campaign
            .sources
            .values_mut()
            .flat_map(|s| s.lookups.values_mut())
        {
            super::lookups::stopped(lookup);
        }
    }
}

/// What certainly was not sent costs nothing of a day's caps. Of what was in doubt that is never so certain: a dialog is
/// searched by a clock that may be wrong.
fn take_back(state: &mut Observed, flight: &InFlight, index: u16) {
    if is_aside(&flight.intent.key.lineage) {
        return;
    }
    let certain = flight.doubt.is_none();
    if certain {
        let account = account_of(state, &flight.intent.account);
        account.meter.take_back(flight.charged());
        if flight.intent.attested {
            account.attested.take_back(flight.charged());
        }
    }
    if let Some(it) = state.campaigns.get_mut(&flight.intent.key.lineage) {
        if certain {
            it.meter.take_back(flight.charged());
            it.meters
                .entry(index)
                .or_default()
                .take_back(flight.charged());
        }
        if let Some(n) = it.run_sent.get_mut(&index)
            && it.run == flight.intent.run
        {
            *n = n.saturating_sub(1);
            if flight.intent.key.step == 0 {
                it.run_first = it.run_first.saturating_sub(1);
            }
        }
    }
}

pub(super) fn intend(state: &mut Observed, intent: Arc<Intent>, at: Timestamp) {
    if state.in_flight.contains_key(&intent.key) {
        return;
    }
    let handle = state.persons.intern(intent.key.person);
    let index = index_of(state, Some(&intent.account));
    let confirmation = intent.key.lineage.as_ref() == OPT_OUT_LINEAGE;
    let aside = is_aside(&intent.key.lineage);
    if aside {
        super::talk::intended(state, &intent.key);
    }
    let known = state.accounts.get_index(index.into());
    let allowed_before = known.map_or_else(Timestamp::default, |(_, known)| known.next_allowed_at);
    let by = (index, &intent.account);
    pause(state, &intent.key, by, intent.next_allowed_at);
    let Observed {
        persons,
        campaigns,
        accounts,
        ..
    } = state;
    let mut campaign = campaigns.get_mut(&intent.key.lineage);
    let account = accounts.get_index_mut(usize::from(index)).map(|(_, a)| a);
    if let Some(account) = account {
        account.in_flight += 1;
        if !aside {
            account.meter.add(at);
            if intent.attested {
                account.attested.add(at);
            }
        }
    }
    if let Some(it) = campaign.as_mut().filter(|_| !aside) {
        it.meter.add(at);
        it.meters.entry(index).or_default().add(at);
        *it.run_sent.entry(index).or_default() += 1;
        if intent.key.step == 0 {
            it.run_first += 1;
        } else {
            it.steps.intended(handle, intent.key.run);
        }
    }
    if let Some(it) = campaign
        && intent.key.step == 0
    {
        let known = it.recipients.get(&handle.0);
        if let Some(recipient) = known
            && recipient.status == Status::Pending
        {
            let class = class_of(persons, &recipient, handle);
            it.dequeue(handle, class);
        }
        it.unjudged.remove(handle.0);
        let variant = match it.variants.get_index_of(&*intent.variant) {
            Some(known) => known,
            None => {
                it.variants
                    .insert_full(intent.variant.to_string(), VariantCount::default())
                    .0
            }
        };
        let recipient = Recipient {
            status: Status::InFlight,
            account: Some(index),
            variant: u16::try_from(variant).ok(),
            ..known.unwrap_or(Recipient::of(Status::InFlight))
        };
        it.recipients.insert(handle.0, recipient);
        it.in_flight += 1;
    }
    if confirmation {
        state.confirmations.remove(&handle.0);
    }
    state.in_flight.insert(
        intent.key.clone(),
        Box::new(InFlight {
            pause: intent.next_allowed_at,
            others: Timestamp::default(),
            intent,
            at,
            doubt: None,
            retries: 0,
            retry_at: Timestamp::MIN,
            allowed_before,
            tried: None,
            seq: state.seq,
            number: handle.0,
        }),
    );
}

/// Takes a send out of flight. Answers its account's index too.
fn land(state: &mut Observed, key: &SendKey) -> Option<(Box<InFlight>, u16)> {
    let flight = state.in_flight.swap_remove(key)?;
    let index = index_of(state, Some(&flight.intent.account));
    if let Some((_, account)) = state.accounts.get_index_mut(index.into()) {
        account.in_flight = account.in_flight.saturating_sub(1);
        if flight.doubt.is_some() {
            account.in_doubt = account.in_doubt.saturating_sub(1);
        }
    }
    Some((flight, index))
}

/// Telegram accepted it, as this message. Answers what is in flight no more.
pub(super) fn sent(
    state: &mut Observed,
    key: &SendKey,
    message_id: i32,
    at: Timestamp,
    next_allowed_at: Timestamp,
) -> Option<Box<InFlight>> {
    let (flight, index) = land(state, key)?;
    // An invite by `add` is no message.
    if !flight.intent.is_invite() {
        super::talk::sent(state, key, index, message_id);
    }
    arrived(state, &flight, index, at, next_allowed_at);
    Some(flight)
}

/// What is known by an accepted message.
fn arrived(
    state: &mut Observed,
    flight: &InFlight,
    index: u16,
    at: Timestamp,
    next_allowed_at: Timestamp,
) {
    let key = &flight.intent.key;
    pause(state, key, (index, &flight.intent.account), next_allowed_at);
    let handle = flight.handle(&mut state.persons);
    if is_aside(&key.lineage) {
        return;
    }
    let silenced = state.opted_out.contains(handle.0);
    let is_silenced = state.is_silenced(handle);
    heard_from_us(state, handle, at, |contacted| {
        contacted.account = Some(index);
        contacted.last_campaign = Some(key.lineage.clone());
    });
    let Some(it) = state.campaigns.get_mut(&key.lineage) else {
        return;
    };
    it.last_sent_at = Some(at);
    it.failures_in_row = 0;
    it.count(index, Outcome::Sent);
    if key.step > 0 {
        it.steps
            .accepted(handle, key.run, key.step, at, &flight.intent.variant);
    } else {
        let known = it.recipients.get(&handle.0);
        let replied = known.as_ref().is_some_and(|known| known.replied);
        it.steps.start(handle, key.run, index, at, replied);
        if is_silenced {
            it.steps.end(handle, Outcome::OptedOut);
        }
        if let Some(mut recipient) = known {
            land_as(it, &mut recipient, Outcome::Sent);
            recipient.sent_at = u32::try_from(at.seconds()).unwrap_or(0);
            if recipient.replied {
                // His answer was faster than Telegram's.
                it.replied += 1;
                if let Some((_, count)) = recipient
                    .variant
                    .and_then(|v| it.variants.get_index_mut(usize::from(v)))
                {
                    count.replied += 1;
                }
            }
            if silenced && !recipient.opted_out {
                recipient.opted_out = true;
                it.opted_out += 1;
            }
            if let Some((_, count)) = recipient
                .variant
                .and_then(|v| it.variants.get_index_mut(usize::from(v)))
            {
                count.sent += 1;
            }
            it.recipients.insert(handle.0, recipient);
        }
    }
}

/// A message to a person counts for `limits.per_person`; `tell` says what else is known by it.
fn heard_from_us(
    state: &mut Observed,
    handle: Handle,
    at: Timestamp,
    tell: impl FnOnce(&mut Contacted),
) {
    let mut contacted = state.contacted.get(&handle.0).unwrap_or_default();
    contacted.sent_at(at);
    contacted.sent.add(at);
    tell(&mut contacted);
    state.contacted.insert(handle.0, contacted);
}

/// From in flight to settled. True: he was in flight.
fn land_as(it: &mut Campaign, recipient: &mut Recipient, outcome: Outcome) -> bool {
    let flew = recipient.status == Status::InFlight;
    if flew {
        recipient.status = Status::Settled(outcome);
        it.in_flight = it.in_flight.saturating_sub(1);
        *it.outcomes.entry(outcome).or_default() += 1;
    }
    flew
}

/// It will never be delivered, or nobody will ever know. Answers what is in flight no more.
pub(super) fn refused(
    state: &mut Observed,
    key: &SendKey,
    outcome: Outcome,
) -> Option<Box<InFlight>> {
    let (flight, index) = land(state, key)?;
    // What may have been delivered stays counted; what was refused was no message.
    if outcome != Outcome::Uncertain {
        take_back(state, &flight, index);
    }
    if let Some(it) = state.campaigns.get_mut(&key.lineage) {
        it.count(index, outcome);
    }
    let handle = flight.handle(&mut state.persons);
    if outcome == Outcome::Uncertain && !is_aside(&key.lineage) {
        // He may have heard from us: `limits.per_person` counts it.
        heard_from_us(state, handle, flight.charged(), |_| {});
    }
    if let Some(it) = state.campaigns.get_mut(&key.lineage) {
        if key.step == 0 {
            if let Some(mut recipient) = it.recipients.get(&handle.0)
                && land_as(it, &mut recipient, outcome)
            {
                it.recipients.insert(handle.0, recipient);
            }
        } else {
            it.steps
                .refused(handle, key.run, key.step, outcome, &flight.intent.variant);
        }
        match outcome {
            Outcome::Failed => it.failures_in_row += 1,
            Outcome::Blocked => it.blocked += 1,
            _ => {}
        }
    }
    Some(flight)
}

/// An uncertain send becomes what an operator says: delivered, or pending again by the same account, whose `random_id`
/// stays the same.
pub(super) fn operator_resolved(
    state: &mut Observed,
    key: &SendKey,
    was_sent: bool,
    at: Timestamp,
) {
    let Some(handle) = state.persons.get(key.person) else {
        return;
    };
    let Observed {
        persons,
        campaigns,
        contacted,
        accounts,
        ..
    } = state;
    let Some(it) = campaigns.get_mut(&key.lineage) else {
        return;
    };
    let Some(mut recipient) = it
        .recipients
        .get(&handle.0)
        .filter(|r| key.step == 0 && r.status == Status::Settled(Outcome::Uncertain))
    else {
        return;
    };
    uncount(&mut it.outcomes, Outcome::Uncertain);
    if was_sent {
        recipient.status = Status::Settled(Outcome::Sent);
        recipient.sent_at = u32::try_from(at.seconds()).unwrap_or(0);
        *it.outcomes.entry(Outcome::Sent).or_default() += 1;
        if let Some((_, count)) = recipient
            .variant
            .and_then(|v| it.variants.get_index_mut(usize::from(v)))
        {
            count.sent += 1;
        }
        it.recipients.insert(handle.0, recipient);
        let mut known = contacted.get(&handle.0).unwrap_or_default();
        known.account = recipient.account.or(known.account);
        known.sent_at(at);
        known.last_campaign = Some(key.lineage.clone());
        contacted.insert(handle.0, known);
        return;
    }
    let gone = recipient
        .account
        .and_then(|index| accounts.get_index(usize::from(index)))
        .is_some_and(|(_, account)| account.trouble.is_some());
    recipient.status = Status::Pending;
    recipient.variant = None;
    recipient.bound = !gone;
    if gone {
        recipient.account = None;
    }
    it.recipients.insert(handle.0, recipient);
    let class = class_of(persons, &recipient, handle);
    it.enqueue(handle, persons, class);
    it.unjudged.insert(handle.0);
}

/// It certainly was not sent. Answers what is in flight no more.
pub(super) fn released(state: &mut Observed, key: &SendKey, keep: bool) -> Option<Box<InFlight>> {
    let (flight, index) = land(state, key)?;
    give_back(state, &flight, index, keep);
    Some(flight)
}

fn give_back(state: &mut Observed, flight: &InFlight, index: u16, keep: bool) {
    let key = &flight.intent.key;
    take_back(state, flight, index);
    let account = account_of(state, &flight.intent.account);
    if account.next_allowed_at == flight.pause {
        // No message, no pause after it.
        account.next_allowed_at = flight.allowed_before;
    }
    let handle = flight.handle(&mut state.persons);
    if key.lineage.as_ref() == OPT_OUT_LINEAGE {
        state.confirmations.insert(handle.0, index);
        return;
    }
    if is_aside(&key.lineage) {
        super::talk::released(state, key);
        return;
    }
    let silenced = state.is_silenced(handle);
    let Observed {
        persons, campaigns, ..
    } = state;
    let Some(it) = campaigns.get_mut(&key.lineage) else {
        return;
    };
    if key.step != 0 {
        it.steps.released(handle, key.run);
        return;
    }
    let Some(mut recipient) = it.recipients.get(&handle.0) else {
        return;
    };
    if recipient.status != Status::InFlight {
        return;
    }
    it.in_flight = it.in_flight.saturating_sub(1);
    recipient.variant = None;
    recipient.bound |= keep;
    recipient.account = recipient.bound.then_some(index);
    recipient.status = Status::Pending;
    recipient.replied = false;
    it.recipients.insert(handle.0, recipient);
    let class = class_of(persons, &recipient, handle);
    it.enqueue(handle, persons, class);
    // The others were judged while he was in hand, or he was looked for since nobody wants it sent any more.
    let judged = it.judgement.as_ref();
    if flight.doubt.is_some() || judged.is_some_and(|judged| judged.seq > flight.seq) {
        it.unjudged.insert(handle.0);
    }
    if silenced && suppression::excludes(state, handle) {
        suppression::exclude(state, handle);
    } else if silenced {
        let line = key.lineage.clone();
        settle_pending(state, &line, handle, Outcome::OptedOut);
    }
}

/// From pending to settled, with no message.
pub(super) fn settle_pending(state: &mut Observed, line: &str, handle: Handle, outcome: Outcome) {
    let Observed {
        persons, campaigns, ..
    } = state;
    let Some(it) = campaigns.get_mut(line) else {
        return;
    };
    let Some(mut recipient) = it.recipients.get(&handle.0) else {
        return;
    };
    if recipient.status != Status::Pending {
        return;
    }
    let class = class_of(persons, &recipient, handle);
    it.dequeue(handle, class);
    it.unjudged.remove(handle.0);
    recipient.status = Status::Settled(outcome);
    it.recipients.insert(handle.0, recipient);
    it.count(Source::NO_ACCOUNT, outcome);
    *it.outcomes.entry(outcome).or_default() += 1;
}

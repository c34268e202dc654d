//! One event after another becomes the state. No event is refused: what cannot be is ignored, since the
//! journal is what happened.

use super::{
    Approval, Campaign, ClassId, Contacted, Handle, Hold, InFlight, Judgement, Observed, Recipient,
    Source, Status, VariantCount,
};
use super::{restored, suppression};
use crate::model::{
    AccountName, AccountState, Event, FiringFate, InDoubtWhy, Intent, OPT_OUT_LINEAGE, Outcome,
    PersonId, Recorded, SendKey, SourceId, Timestamp, is_aside,
};

/// Backups whose names are kept: a daily one for a year.
const MAX_BACKUPS: usize = 366;

/// Folds one event into the state. `seq` is its place in the journal.
pub fn fold(state: &mut Observed, seq: u64, recorded: &Recorded) {
    state.seq = seq;
    // A clock that was set back must not make the state younger than what it holds.
    state.at = state.at.max(recorded.at);
    let at = recorded.at;
    super::talk::fold(state, &recorded.event, at);
    match &recorded.event {
        Event::Started { .. } => {
            state.started_at = at;
            started(state, at);
        }
        Event::SpecSeen {
            campaign,
            name,
            file,
            generation,
            digest,
            error,
        } => {
            let line = campaign.clone();
            state.names.insert(name.clone(), line.clone());
            let it = state.campaigns.entry(line.clone()).or_default();
            let was_valid = it.generation > 0 && it.error.is_none() && it.retired.is_none();
            super::runs::seen(it, was_valid, at);
            it.lineage = Some(line);
            it.name.clone_from(name);
            it.file.clone_from(file);
            it.generation = *generation;
            it.digest.clone_from(digest);
            it.error.clone_from(error);
            it.seen_at = at;
            it.retired = None;
            if error.is_none() {
                it.observed_generation = *generation;
            }
        }
        Event::Retired { campaign } => {
            if let Some(it) = state.campaigns.get_mut(campaign) {
                it.retired = Some(at);
            }
        }
        Event::Suspended {
            campaign,
            reason,
            by,
        } => {
            let hold = Some(Hold {
                reason: reason.clone(),
                by: by.clone(),
                at,
            });
            match campaign {
                None => state.suspended = hold,
                Some(line) => {
                    if let Some(it) = state.campaigns.get_mut(line) {
                        it.suspended = hold;
                    }
                }
            }
        }
        Event::Resumed { campaign, .. } => {
            if campaign.is_none() {
                state.suspended = None;
            }
            for (line, it) in &mut state.campaigns {
                if campaign.as_ref().is_none_or(|wanted| wanted == line) {
                    it.suspended = None;
                    it.stalled = None;
                    it.self_paused = None;
                    it.failures_in_row = 0;
                    it.limited.clear();
                    super::places::resumed(it);
                    it.guard_base = it.guard_totals();
                    for lookup in it.sources.values_mut().flat_map(|s| s.lookups.values_mut()) {
                        lookup.failures = 0;
                    }
                }
            }
        }
        Event::Approved {
            campaign,
            digest,
            people,
            by,
        } => {
            if let Some(it) = state.campaigns.get_mut(campaign) {
                it.approval = Some(Approval {
                    digest: digest.clone(),
                    people: *people,
                    after: it.run_total(),
                    by: by.clone(),
                    at,
                });
            }
        }
        Event::ReconcileRequested { campaign } => {
            if let Some(it) = state.campaigns.get_mut(campaign) {
                it.reconcile_asked = Some(at);
                for lookup in it.sources.values_mut().flat_map(|s| s.lookups.values_mut()) {
                    lookup.failures = 0;
                }
            }
        }
        Event::RunOpened { campaign, run } => {
            if let Some(it) = state.campaigns.get_mut(campaign) {
                it.run = *run;
                it.run_opened_at = Some(at);
                it.run_sent.clear();
                it.run_first = 0;
            }
        }
        Event::LookupStarted {
            campaign,
            source,
            account,
        } => {
            let account = index_of(state, account.as_ref());
            if let Some(lookup) = lookup(state, campaign, *source, account) {
                lookup.running = Some(at);
                super::lookups::begin(lookup, at);
            }
        }
        Event::LookupPage {
            campaign,
            source,
            account,
            people,
        } => {
            let account = index_of(state, account.as_ref());
            let mut handles = Vec::with_capacity(people.len());
            for person in people {
                let person = state.persons.resolve(*person);
                let known = state.persons.len();
                let handle = state.persons.intern(person);
                if account != Source::NO_ACCOUNT && person.is_user() {
                    if state.persons.len() > known {
                        // Nobody waits for whom nobody knew: no campaign is to be looked through.
                        state.persons.set_reach(account, handle, true);
                    } else {
                        met(state, account, handle, true);
                    }
                }
                handles.push(handle.0);
            }
            if let Some(lookup) = lookup(state, campaign, *source, account) {
                lookup.incoming.extend(handles);
            }
        }
        Event::LookupEnded {
            campaign,
            source,
            account,
            end,
        } => {
            let account = index_of(state, account.as_ref());
            let Some(it) = state.campaigns.get_mut(campaign) else {
                return;
            };
            it.lookups_ended += 1;
            let lookup = it
                .sources
                .entry(*source)
                .or_default()
                .lookups
                .entry(account)
                .or_default();
            let incoming = super::lookups::end(lookup, end);
            lookup.running = None;
            lookup.ended = Some(at);
            lookup.complete = end.complete;
            lookup.error.clone_from(&end.error);
            lookup.passing = end.passing;
            lookup.partial.clone_from(&end.partial);
            lookup.admin = end.admin;
            lookup.bad_rows = end.bad_rows;
            if end.error.is_some() {
                lookup.failures += 1;
            } else {
                lookup.failures = 0;
            }
            if end.complete {
                lookup.found = incoming;
            } else {
                lookup.found |= incoming;
            }
        }
        Event::Judged {
            campaign,
            included,
            excluded,
            dropped,
            finished,
        } => {
            judged(state, campaign, included, excluded, dropped);
            if state.restored.is_some() {
                for person in included {
                    if let Some(handle) = state.persons.get(state.persons.resolve(*person)) {
                        restored::settle_unknown(state, handle);
                    }
                }
            }
            if let Some(it) = state.campaigns.get_mut(campaign)
                && let Some(digest) = finished
            {
                it.judgement = Some(Judgement {
                    digest: digest.clone(),
                    lookups: it.lookups_ended,
                    at,
                });
            }
        }
        Event::Resolved {
            reference,
            person,
            account,
        } => {
            resolved(state, *reference, *person, account);
            if state.restored.is_some()
                && let Some(handle) = state.persons.get(*person)
            {
                restored::settle_unknown(state, handle);
            }
        }
        Event::Intent(intent) => intend(state, Intent::clone(intent), at),
        Event::Sent {
            key,
            message_id,
            earlier: _,
            next_allowed_at,
        } => {
            if let Some(flight) = state.in_flight.get(key) {
                let account = flight.intent.account.clone();
                super::talk::sent(state, key, &account, *message_id);
            }
            sent(state, key, at, *next_allowed_at);
        }
        Event::Refused {
            key,
            outcome,
            detail,
        } => {
            if state.in_flight.contains_key(key) {
                super::talk::refused(state, key, *outcome, detail, at);
            }
            refused(state, key, *outcome, at);
        }
        Event::Released { key, keep, .. } => released(state, key, *keep),
        Event::InDoubt { key, why } => {
            if let Some(flight) = state.in_flight.get_mut(key) {
                flight.retries += 1;
                flight.retry_at = at + back_off(flight.retries);
                if flight.doubt.is_none() {
                    flight.doubt = Some((*why, at));
                    if let Some(account) = state.accounts.get_mut(&flight.intent.account) {
                        account.in_doubt += 1;
                    }
                }
            }
        }
        Event::Skipped {
            campaign,
            person,
            step: 0,
            outcome,
            ..
        } => {
            if let Some(handle) = state.persons.get(state.persons.resolve(*person)) {
                settle_pending(state, campaign, handle, *outcome);
            }
        }
        Event::Skipped { .. } => {}
        Event::FloodWait {
            account,
            class,
            until,
            seconds,
        } => {
            let flood = super::Flood {
                until: *until,
                seconds: *seconds,
            };
            let it = account_of(state, account);
            let slot = it.floods.entry(*class).or_insert(flood);
            if slot.until <= flood.until {
                *slot = flood;
            }
        }
        Event::Nobody { reference } => {
            let handle = state.persons.intern(*reference);
            state.nobody.insert(handle.0);
        }
        Event::SlowMode { person, until } => {
            if let Some(handle) = state.persons.get(*person) {
                state.slowed.insert(handle.0, *until);
            }
        }
        Event::Limited {
            account,
            campaign,
            until,
        } => {
            let index = index_of(state, Some(account));
            let it = account_of(state, account);
            it.limited_for = until.since(at);
            it.limited_until = Some(*until);
            if let Some(it) = campaign
                .as_ref()
                .and_then(|line| state.campaigns.get_mut(line))
            {
                it.limited.insert(index, *until);
            }
        }
        Event::AccountChanged {
            account,
            state: new,
            message,
        } => {
            let it = account_of(state, account);
            it.trouble = match new {
                AccountState::Ready => None,
                other => Some((*other, message.clone(), at)),
            };
        }
        Event::StateTaken { account, .. } => {
            account_of(state, account);
        }
        Event::AccountIs { account, person } => {
            account_of(state, account).person = Some(*person);
            own(state, *person);
        }
        Event::SessionNames { person, .. } => own(state, *person),
        Event::Stalled { campaign, why } => {
            if let Some(it) = state.campaigns.get_mut(campaign) {
                it.stalled = Some((why.clone(), at));
            }
        }
        Event::SelfPaused { campaign, why } => {
            if let Some(it) = state.campaigns.get_mut(campaign) {
                it.self_paused = Some((why.clone(), at));
            }
        }
        Event::Incoming {
            account,
            person,
            message_id,
        } => {
            incoming(state, account, *person, *message_id, at);
        }
        Event::OptedOut { person, account } => {
            let handle = state.persons.intern(*person);
            let first = state.opted_out.insert(handle.0);
            suppression::opted_out(state, handle, account.as_ref(), at);
            silence(state, handle, true);
            if first && let Some(account) = account {
                let index = index_of(state, Some(account));
                state.confirmations.insert(handle.0, index);
            }
        }
        Event::Suppressed { person, why } => {
            let handle = state.persons.intern(*person);
            state.suppressed.insert(handle.0);
            suppression::blocked(state, handle, why, at);
            silence(state, handle, false);
        }
        Event::Unreached { account, person } => {
            let index = index_of(state, Some(account));
            if let Some(handle) = state.persons.get(*person) {
                met(state, index, handle, false);
                state.relook.remove(&(index, handle.0));
            }
        }
        Event::LookAgain { account, person } => {
            let index = index_of(state, Some(account));
            if let Some(handle) = state.persons.get(*person) {
                state.relook.insert((index, handle.0));
                state.relooked.insert((index, handle.0));
            }
        }
        Event::ScheduleSeen { campaign, schedule } => {
            if let Some(it) = state.campaigns.get_mut(campaign) {
                it.runs.schedule.clone_from(schedule);
                it.runs.cursor = at;
                it.runs.queued = None;
            }
        }
        Event::Fired {
            campaign,
            firing,
            fate: FiringFate::Opens { run, everyone },
        } => super::runs::opened(state, campaign, *run, *everyone, *firing, at),
        Event::Fired {
            campaign,
            firing,
            fate,
        } => {
            if let Some(it) = state.campaigns.get_mut(campaign) {
                it.runs.cursor = it.runs.cursor.max(*firing);
                if *fate == FiringFate::Queued {
                    it.runs.queued = Some(*firing);
                }
            }
        }
        Event::RunStarted { campaign } => {
            if let Some(it) = state.campaigns.get_mut(campaign) {
                it.runs.started_at = Some(at);
            }
        }
        Event::RunSettled { campaign, run } => {
            if let Some(it) = state.campaigns.get_mut(campaign)
                && it.run == *run
            {
                it.runs.settled_at = Some(at);
            }
        }
        Event::LineageChecked {
            campaign,
            before,
            contacted,
            people,
        } => {
            if let Some(it) = state.campaigns.get_mut(campaign)
                && let Some(judgement) = &it.judgement
            {
                it.looks_like = Some(super::LooksLike {
                    judged: judgement.at,
                    before: before.clone(),
                    contacted: *contacted,
                    people: *people,
                });
            }
        }
        Event::Reopened {
            campaign, outcomes, ..
        } => super::retry::reopened(state, campaign, outcomes),
        Event::StepSkipped { key, outcome, .. } => {
            if let Some(handle) = state.persons.get(key.person)
                && let Some(it) = state.campaigns.get_mut(&key.lineage)
            {
                it.steps.end_one((handle.0, key.run), *outcome);
            }
        }
        Event::UpdatesAt {
            account,
            pts,
            qts,
            date,
            seq,
        } => {
            account_of(state, account).updates = Some((*pts, *qts, *date, *seq));
        }
        Event::SpecFacts { .. } => {}
        Event::Tested { number, .. } => state.tests = state.tests.max(*number),
        Event::BackedUp { file, .. } => {
            state.backups.retain(|(known, _)| known != file);
            state.backups.push((file.clone(), at));
            if state.backups.len() > MAX_BACKUPS {
                state.backups.remove(0);
            }
        }
        Event::KeysUnited { .. } | Event::Restored { .. } | Event::DialogsRead { .. } => {
            restored::fold(state, &recorded.event, at);
        }
        Event::OperatorResolved { key, sent, .. } => operator_resolved(state, key, *sent, at),
        Event::SuppressionKey { .. }
        | Event::SuppressionAdded { .. }
        | Event::SuppressionRemoved { .. }
        | Event::SuppressionMatched { .. }
        | Event::Forgotten { .. } => suppression::fold(state, &recorded.event, at),
        Event::LookupAt { .. } | Event::LookupResumed { .. } | Event::LookupSpent { .. } => {
            super::lookups::fold(state, recorded);
        }
        Event::FileChecked {
            file,
            campaign,
            error: Some(error),
        } => {
            let since = state.invalid_files.get(file).map_or(at, |bad| bad.since);
            let bad = super::BadFile {
                campaign: campaign.clone(),
                error: error.clone(),
                since,
            };
            state.invalid_files.insert(file.clone(), bad);
        }
        event @ (Event::InviteLink { .. } | Event::Warming { .. } | Event::Joined { .. }) => {
            super::places::fold(state, event, at);
        }
        Event::FileChecked { file, .. } => {
            state.invalid_files.remove(file);
        }
        // See `talk`.
        Event::Written { .. }
        | Event::HumanSpoke { .. }
        | Event::ModelAsked { .. }
        | Event::Drafted { .. }
        | Event::DraftFailed { .. }
        | Event::NeedsHuman { .. }
        | Event::DraftDecided { .. }
        | Event::OperatorWrote { .. }
        | Event::TalkChanged { .. }
        | Event::Told { .. }
        | Event::Finished { .. } => {}
    }
}

/// One of one's own: nobody writes to him, and who waits for a message is asked about again.
fn own(state: &mut Observed, person: PersonId) {
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

/// The pause before the n-th try of the same bytes: 1 s, doubling, at most 60 s (CONTRACT section 6).
fn back_off(tries: u32) -> std::time::Duration {
    std::time::Duration::from_secs(1u64 << tries.saturating_sub(1).min(6))
        .min(std::time::Duration::from_secs(60))
}

pub(super) fn account_of<'a>(
    state: &'a mut Observed,
    name: &AccountName,
) -> &'a mut super::Account {
    state.accounts.entry(name.clone()).or_default()
}

pub(super) fn index_of(state: &mut Observed, name: Option<&AccountName>) -> u16 {
    let Some(name) = name else {
        return Source::NO_ACCOUNT;
    };
    let index = match state.accounts.get_index_of(name) {
        Some(index) => index,
        None => {
            state
                .accounts
                .insert_full(name.clone(), super::Account::default())
                .0
        }
    };
    u16::try_from(index).unwrap_or(Source::NO_ACCOUNT)
}

pub(super) fn lookup<'a>(
    state: &'a mut Observed,
    campaign: &str,
    source: SourceId,
    account: u16,
) -> Option<&'a mut super::Lookup> {
    let it = state.campaigns.get_mut(campaign)?;
    Some(
        it.sources
            .entry(source)
            .or_default()
            .lookups
            .entry(account)
            .or_default(),
    )
}

/// What was on its way when the engine stopped is in doubt; look-ups that were under way begin anew.
fn started(state: &mut Observed, at: Timestamp) {
    for flight in state.in_flight.values_mut() {
        if flight.doubt.is_none() {
            flight.doubt = Some((InDoubtWhy::Restart, at));
            if let Some(account) = state.accounts.get_mut(&flight.intent.account) {
                account.in_doubt += 1;
            }
        }
        flight.retry_at = at;
    }
    for campaign in state.campaigns.values_mut() {
        for lookup in campaign
            .sources
            .values_mut()
            .flat_map(|s| s.lookups.values_mut())
        {
            super::lookups::stopped(lookup);
        }
    }
}

/// The queue in which a recipient waits: his class, or the account that alone may still write to him.
fn class_of(persons: &mut super::Persons, recipient: &Recipient, handle: Handle) -> ClassId {
    match recipient.account {
        Some(account) => persons.only(account),
        None => persons.class(handle),
    }
}

/// An account can reach a person now, or no longer: he moves to another queue wherever he waits.
fn met(state: &mut Observed, account: u16, handle: Handle, reaches: bool) {
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

fn judged(
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
        it.unjudged.remove(&handle.0);
        let old = it.recipients.get(&handle.0).copied();
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
        it.recipients
            .insert(handle.0, Recipient::of(Status::Pending));
        let class = persons.class(handle);
        it.enqueue(handle, persons, class);
    }
    for (reason, people) in excluded {
        for person in people {
            let handle = persons.intern(persons.resolve(*person));
            if remove_unsettled(it, persons, handle) {
                *it.excluded.entry(*reason).or_default() += 1;
                it.recipients
                    .insert(handle.0, Recipient::of(Status::Excluded(*reason)));
            }
        }
    }
    for person in dropped {
        if let Some(handle) = persons.get(*person) {
            remove_unsettled(it, persons, handle);
        }
    }
}

/// Takes a pending or excluded person out; false where he is being sent to or settled, which nothing undoes.
pub(super) fn remove_unsettled(
    it: &mut Campaign,
    persons: &mut super::Persons,
    handle: Handle,
) -> bool {
    match it.recipients.get(&handle.0).copied() {
        None => true,
        Some(recipient) => match recipient.status {
            Status::InFlight | Status::Settled(_) => false,
            Status::Pending => {
                let class = class_of(persons, &recipient, handle);
                it.dequeue(handle, class);
                it.unjudged.remove(&handle.0);
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
fn resolved(state: &mut Observed, reference: PersonId, person: PersonId, account: &AccountName) {
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
        opted_out,
        suppressed,
        ..
    } = state;
    for silenced in [opted_out, suppressed] {
        if silenced.remove(old.0) {
            silenced.insert(handle.0);
        }
    }
    for it in campaigns.values_mut() {
        for lookup in it.sources.values_mut().flat_map(|s| s.lookups.values_mut()) {
            for set in [&mut lookup.found, &mut lookup.incoming] {
                if set.remove(old.0) {
                    set.insert(handle.0);
                }
            }
        }
        let Some(recipient) = it.recipients.get(&old.0).copied() else {
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
}

fn take_back(state: &mut Observed, flight: &InFlight) {
    let index = index_of(state, Some(&flight.intent.account));
    if is_aside(&flight.intent.key.lineage) {
        return;
    }
    let account = account_of(state, &flight.intent.account);
    account.meter.take_back(flight.at);
    if flight.intent.attested {
        account.attested.take_back(flight.at);
    }
    if let Some(it) = state.campaigns.get_mut(&flight.intent.key.lineage) {
        it.meter.take_back(flight.at);
        it.meters.entry(index).or_default().take_back(flight.at);
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

fn intend(state: &mut Observed, intent: Intent, at: Timestamp) {
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
    let Observed {
        persons,
        campaigns,
        accounts,
        ..
    } = state;
    let mut campaign = campaigns.get_mut(&intent.key.lineage);
    let account = accounts.get_index_mut(usize::from(index)).map(|(_, a)| a);
    let mut allowed_before = Timestamp::default();
    if let Some(account) = account {
        allowed_before = account.next_allowed_at;
        account.in_flight += 1;
        account.next_allowed_at = account.next_allowed_at.max(intent.next_allowed_at);
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
        if let Some(recipient) = it.recipients.get(&handle.0).copied()
            && recipient.status == Status::Pending
        {
            let class = class_of(persons, &recipient, handle);
            it.dequeue(handle, class);
        }
        it.unjudged.remove(&handle.0);
        let variant = match it.variants.get_index_of(&intent.variant) {
            Some(known) => known,
            None => {
                it.variants
                    .insert_full(intent.variant.clone(), VariantCount::default())
                    .0
            }
        };
        let recipient = it
            .recipients
            .entry(handle.0)
            .or_insert(Recipient::of(Status::InFlight));
        recipient.status = Status::InFlight;
        recipient.account = Some(index);
        recipient.variant = u16::try_from(variant).ok();
        it.in_flight += 1;
    }
    if confirmation {
        state.confirmations.remove(&handle.0);
    }
    state.in_flight.insert(
        intent.key.clone(),
        Box::new(InFlight {
            intent,
            at,
            doubt: None,
            retries: 0,
            retry_at: Timestamp::MIN,
            allowed_before,
        }),
    );
}

/// Takes a send out of flight.
fn land(state: &mut Observed, key: &SendKey) -> Option<Box<InFlight>> {
    let flight = state.in_flight.remove(key)?;
    if let Some(account) = state.accounts.get_mut(&flight.intent.account) {
        account.in_flight = account.in_flight.saturating_sub(1);
        if flight.doubt.is_some() {
            account.in_doubt = account.in_doubt.saturating_sub(1);
        }
    }
    Some(flight)
}

fn sent(state: &mut Observed, key: &SendKey, at: Timestamp, next_allowed_at: Timestamp) {
    let Some(flight) = land(state, key) else {
        return;
    };
    let index = index_of(state, Some(&flight.intent.account));
    if let Some((_, account)) = state.accounts.get_index_mut(usize::from(index)) {
        account.next_allowed_at = account.next_allowed_at.max(next_allowed_at);
    }
    let handle = state.persons.intern(key.person);
    if is_aside(&key.lineage) {
        return;
    }
    let silenced = state.opted_out.contains(handle.0);
    let is_silenced = state.is_silenced(handle);
    let contacted = state.contacted.entry(handle.0).or_default();
    contacted.account = Some(index);
    contacted.last_sent = Some(at);
    if contacted.sent.len() >= super::MONTHLY {
        contacted.sent.remove(0);
    }
    contacted.sent.push(at);
    contacted.last_campaign = Some(key.lineage.clone());
    if let Some(it) = state.campaigns.get_mut(&key.lineage) {
        it.last_sent_at = Some(at);
        it.failures_in_row = 0;
        if key.step > 0 {
            it.steps.accepted(handle, key.run, key.step, at);
        }
        it.count(index, Outcome::Sent);
    }
    if let Some(it) = state.campaigns.get_mut(&key.lineage)
        && key.step == 0
    {
        settle(it, handle, Outcome::Sent);
        let replied = it.recipients.get(&handle.0).is_some_and(|r| r.replied);
        it.steps.start(handle, key.run, index, at, replied);
        if is_silenced {
            it.steps.end(handle, Outcome::OptedOut);
        }
        if let Some(recipient) = it.recipients.get_mut(&handle.0) {
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
        }
    }
}

/// From in flight to settled.
fn settle(it: &mut Campaign, handle: Handle, outcome: Outcome) {
    if let Some(recipient) = it.recipients.get_mut(&handle.0)
        && recipient.status == Status::InFlight
    {
        recipient.status = Status::Settled(outcome);
        it.in_flight = it.in_flight.saturating_sub(1);
        *it.outcomes.entry(outcome).or_default() += 1;
    }
}

fn refused(state: &mut Observed, key: &SendKey, outcome: Outcome, _at: Timestamp) {
    let Some(flight) = land(state, key) else {
        return;
    };
    // What may have been delivered stays counted; what was refused was no message.
    if outcome != Outcome::Uncertain {
        take_back(state, &flight);
    }
    let index = index_of(state, Some(&flight.intent.account));
    if let Some(it) = state.campaigns.get_mut(&key.lineage) {
        it.count(index, outcome);
    }
    let handle = state.persons.intern(key.person);
    if let Some(it) = state.campaigns.get_mut(&key.lineage) {
        if key.step == 0 {
            settle(it, handle, outcome);
        } else {
            it.steps.refused(handle, key.run, outcome);
        }
        match outcome {
            Outcome::Failed => it.failures_in_row += 1,
            Outcome::Blocked => it.blocked += 1,
            _ => {}
        }
    }
}

/// An uncertain send becomes what an operator says: delivered, or pending again by the same account, whose `random_id`
/// stays the same.
fn operator_resolved(state: &mut Observed, key: &SendKey, was_sent: bool, at: Timestamp) {
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
    let Some(recipient) = it
        .recipients
        .get_mut(&handle.0)
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
        let known = contacted.entry(handle.0).or_default();
        known.account = recipient.account.or(known.account);
        known.last_sent = known.last_sent.max(Some(at));
        known.last_campaign = Some(key.lineage.clone());
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
    let recipient = *recipient;
    let class = class_of(persons, &recipient, handle);
    it.enqueue(handle, persons, class);
    it.unjudged.insert(handle.0);
}

fn released(state: &mut Observed, key: &SendKey, keep: bool) {
    let Some(flight) = land(state, key) else {
        return;
    };
    take_back(state, &flight);
    let account = account_of(state, &flight.intent.account);
    if account.next_allowed_at == flight.intent.next_allowed_at {
        // No message, no pause after it.
        account.next_allowed_at = flight.allowed_before;
    }
    let index = index_of(state, Some(&flight.intent.account));
    let handle = state.persons.intern(key.person);
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
    let Some(recipient) = it.recipients.get_mut(&handle.0) else {
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
    let recipient = *recipient;
    let class = class_of(persons, &recipient, handle);
    it.enqueue(handle, persons, class);
    if silenced && suppression::excludes(state, handle) {
        suppression::exclude(state, handle);
    } else if silenced {
        let line = key.lineage.clone();
        settle_pending(state, &line, handle, Outcome::OptedOut);
    }
}

/// From pending to settled, with no message.
fn settle_pending(state: &mut Observed, line: &str, handle: Handle, outcome: Outcome) {
    let Observed {
        persons, campaigns, ..
    } = state;
    let Some(it) = campaigns.get_mut(line) else {
        return;
    };
    let Some(recipient) = it.recipients.get(&handle.0).copied() else {
        return;
    };
    if recipient.status != Status::Pending {
        return;
    }
    let class = class_of(persons, &recipient, handle);
    it.dequeue(handle, class);
    it.unjudged.remove(&handle.0);
    if let Some(recipient) = it.recipients.get_mut(&handle.0) {
        recipient.status = Status::Settled(outcome);
    }
    it.count(Source::NO_ACCOUNT, outcome);
    *it.outcomes.entry(outcome).or_default() += 1;
}

/// Nobody who is silenced waits for a message any more.
fn silence(state: &mut Observed, handle: Handle, opted_out: bool) {
    super::talk::silenced(state, handle);
    let lines: Vec<_> = state
        .campaigns
        .iter()
        .filter(|(_, it)| it.recipients.contains_key(&handle.0))
        .map(|(line, _)| line.clone())
        .collect();
    for line in lines {
        settle_pending(state, &line, handle, Outcome::OptedOut);
        if let Some(it) = state.campaigns.get_mut(&line)
            && opted_out
            && let Some(recipient) = it.recipients.get_mut(&handle.0)
            && recipient.status == Status::Settled(Outcome::Sent)
            && !recipient.opted_out
        {
            recipient.opted_out = true;
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

fn incoming(
    state: &mut Observed,
    account: &AccountName,
    person: PersonId,
    message_id: i32,
    at: Timestamp,
) {
    let index = index_of(state, Some(account));
    let handle = state.persons.intern(person);
    met(state, index, handle, true);
    let contacted: &mut Contacted = state.contacted.entry(handle.0).or_default();
    let last = contacted.handled.entry(index).or_insert(0);
    let before = *last;
    *last = before.max(message_id);
    if state.talks.was_handled(handle, index, before, message_id) {
        return;
    }
    contacted.last_reply = Some(at);
    super::talk::heard(state, handle, index, message_id, at);
    for it in state.campaigns.values_mut() {
        it.steps.reply(handle);
        let Some(recipient) = it
            .recipients
            .get_mut(&handle.0)
            .filter(|recipient| !recipient.replied)
        else {
            continue;
        };
        if recipient.status == Status::InFlight && recipient.account == Some(index) {
            // Counted when the message is known to have arrived.
            recipient.replied = true;
        } else if recipient.status == Status::Settled(Outcome::Sent) {
            recipient.replied = true;
            it.replied += 1;
            if let Some((_, count)) = recipient
                .variant
                .and_then(|v| it.variants.get_index_mut(usize::from(v)))
            {
                count.replied += 1;
            }
        }
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

//! One event after another becomes the state. No event is refused: what cannot be is ignored, since the
//! journal is what happened.

use std::sync::Arc;

use super::flights::{
    back_off, intend, operator_resolved, refused, released, sent, settle_pending, started,
};
use super::recipients::{judged, met, own, resolved, silence};
use super::{Approval, Contacted, Hold, InFlight, Judgement, Observed, Source, Status};
use super::{restored, suppression};
use crate::model::{
    AccountName, AccountState, Event, FiringFate, InDoubtWhy, Lineage, Outcome, PersonId, Recorded,
    SourceId, Timestamp,
};

/// Backups whose names are kept: a daily one for a year.
const MAX_BACKUPS: usize = 366;

/// Folds one event into the state. `seq` is its place in the journal. Answers the send that it ended.
pub fn fold(state: &mut Observed, seq: u64, recorded: &Recorded) -> Option<Box<InFlight>> {
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
            let looked_up = state.unseen.remove(&line);
            let it = state
                .campaigns
                .entry(line.clone())
                .or_insert_with(|| looked_up.unwrap_or_default());
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
            it.commit = None;
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
                it.reconcile_seq = seq;
                for lookup in it.sources.values_mut().flat_map(|s| s.lookups.values_mut()) {
                    lookup.failures = 0;
                }
            }
        }
        Event::RunOpened { campaign, run } => {
            if let Some(it) = state.campaigns.get_mut(campaign) {
                it.run = *run;
                it.run_opened_at = Some(at);
                it.run_opened_seq = seq;
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
            let lookup = lookup(state, campaign, *source, account);
            lookup.running = Some(at);
            super::lookups::begin(lookup, at, seq);
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
            lookup(state, campaign, *source, account)
                .incoming
                .extend(handles);
        }
        Event::LookupEnded {
            campaign,
            source,
            account,
            end,
        } => {
            let account = index_of(state, account.as_ref());
            looked_up(state, campaign).lookups_ended += 1;
            let lookup = lookup(state, campaign, *source, account);
            let incoming = super::lookups::end(lookup, end);
            lookup.running = None;
            lookup.ended = Some(at);
            lookup.ended_seq = seq;
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
            // Whoever was never met before has a handle next to that of who came before him.
            lookup.found.optimize();
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
                    seq,
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
        Event::Intent(intent) => intend(state, Arc::clone(intent), at),
        Event::Sent {
            key,
            message_id,
            earlier,
            next_allowed_at,
        } => {
            if !earlier
                && state
                    .in_flight
                    .get(key)
                    .is_some_and(|flight| flight.doubt.is_some())
            {
                super::flights::tried_again(state, key, at);
            }
            return sent(state, key, *message_id, at, *next_allowed_at);
        }
        Event::Refused {
            key,
            outcome,
            detail,
        } => {
            if state.in_flight.contains_key(key) {
                super::talk::refused(state, key, *outcome, detail, at);
            }
            return refused(state, key, *outcome);
        }
        Event::Released { key, keep, .. } => return released(state, key, *keep),
        Event::InDoubt { key, why } => {
            let again = state
                .in_flight
                .get(key)
                .is_some_and(|flight| flight.doubt.is_some());
            if again && *why != InDoubtWhy::Unread {
                super::flights::tried_again(state, key, at);
            }
            if let Some(flight) = state.in_flight.get_mut(key) {
                flight.retries += 1;
                flight.retry_at = at + back_off(flight.retries);
                if let InDoubtWhy::Refused(_) = why
                    && let Some((first, _)) = &mut flight.doubt
                {
                    *first = *why;
                }
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
            state.suppression.unsought.remove(handle.0);
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
        Event::ScheduleSeen {
            campaign,
            schedule,
            since,
        } => {
            if let Some(it) = state.campaigns.get_mut(campaign) {
                it.runs.schedule.clone_from(schedule);
                // A firing that was dealt with stays so, also where the schedule is another one since.
                let dealt_with = it.runs.cursor.min(at);
                it.runs.cursor = since.map_or(at, |since| since.max(dealt_with));
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
                it.steps.skipped(handle, key.run, key.step, *outcome);
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
        Event::SpecFacts {
            campaign,
            generation,
            commit,
            kind,
            title,
            ..
        } => {
            if let Some(it) = state.campaigns.get_mut(campaign)
                && it.generation == *generation
            {
                it.commit.clone_from(commit);
                if let Some(kind) = kind {
                    it.kind.clone_from(kind);
                    it.title.clone_from(title);
                }
            }
        }
        Event::SettingsSeen {
            generation, said, ..
        } => {
            state.settings = Some(super::Settings {
                generation: *generation,
                said: said.clone(),
            });
        }
        Event::Tested { number, .. } => state.tests = state.tests.max(*number),
        Event::BackedUp { file, .. } => {
            state.backups.retain(|(known, _)| known != file);
            state.backups.push((file.clone(), at));
            if state.backups.len() > MAX_BACKUPS {
                state.backups.remove(0);
            }
        }
        Event::BrokeOff { .. } => {}
        Event::ClockSet { by_ms } => super::flights::clock_set(state, *by_ms),
        Event::KeysUnited { .. }
        | Event::ChargesUnited { .. }
        | Event::HeardUnited { .. }
        | Event::Restored { .. }
        | Event::DialogsRead { .. } => {
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
        | Event::ModelAsking { .. }
        | Event::ModelAsked { .. }
        | Event::AnswerLost { .. }
        | Event::OwnUnseen { .. }
        | Event::OwnSeen { .. }
        | Event::Drafted { .. }
        | Event::DraftFailed { .. }
        | Event::NeedsHuman { .. }
        | Event::DraftDecided { .. }
        | Event::OperatorWrote { .. }
        | Event::TalkChanged { .. }
        | Event::Told { .. }
        | Event::CampaignWaits { .. }
        | Event::AccountAway { .. }
        | Event::Finished { .. } => {}
    }
    None
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

/// Where a campaign's look-ups are kept: beside the campaigns, where no daemon has seen it yet.
fn looked_up<'a>(state: &'a mut Observed, line: &Lineage) -> &'a mut super::Campaign {
    let kept = match state.campaigns.contains_key(line) {
        true => &mut state.campaigns,
        false => &mut state.unseen,
    };
    kept.entry(line.clone()).or_default()
}

pub(super) fn lookup<'a>(
    state: &'a mut Observed,
    campaign: &Lineage,
    source: SourceId,
    account: u16,
) -> &'a mut super::Lookup {
    looked_up(state, campaign)
        .sources
        .entry(source)
        .or_default()
        .lookups
        .entry(account)
        .or_default()
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
    let mut contacted: Contacted = state.contacted.get(&handle.0).unwrap_or_default();
    let before = contacted.handle(index, message_id);
    state.contacted.insert(handle.0, contacted.clone());
    if state.talks.was_handled(handle, index, before, message_id) {
        return;
    }
    contacted.replied_at(at);
    state.contacted.insert(handle.0, contacted);
    super::talk::heard(state, handle, index, message_id, at);
    for it in state.campaigns.values_mut() {
        it.steps.reply(handle);
        let Some(mut recipient) = it
            .recipients
            .get(&handle.0)
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
        it.recipients.insert(handle.0, recipient);
    }
}

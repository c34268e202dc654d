//! After a restore: what the state before it knew is united with the backup, and what nobody knows is not sent again.

use std::collections::BTreeSet;

use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};

use super::recipients::remove_unsettled;
use super::{Campaign, Handle, Observed, Persons, Recipient, Status};
use crate::model::{AccountName, Event, InDoubtWhy, Lineage, Outcome, SettledElsewhere, Timestamp};

/// A restore whose gap is not closed yet, or was.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Restored {
    /// From then on messages may have left that this state does not know.
    pub since: Timestamp,
    /// Accounts whose dialogs are to be read from then on, before a campaign of theirs goes on.
    pub unread: BTreeSet<AccountName>,
    /// Campaigns that were there then.
    pub campaigns: BTreeSet<Lineage>,
    /// People who were written to by somebody or something that this state does not know.
    pub wrote: RoaringBitmap,
    /// People of whose messages the state before the restore knew.
    pub known: RoaringBitmap,
}

/// In doubt for long enough that the history decides, and nothing goes out again.
const LONG_AGO: std::time::Duration = std::time::Duration::from_secs(3 * 86_400);

/// Folds an event of a restore.
pub(super) fn fold(state: &mut Observed, event: &Event, at: Timestamp) {
    match event {
        Event::KeysUnited {
            campaign,
            settled,
            steps,
        } => {
            for group in settled {
                unite(state, campaign, group);
            }
            for person in steps {
                let handle = state.persons.intern(*person);
                if let Some(it) = state.campaigns.get_mut(campaign) {
                    it.steps.end(handle, Outcome::Uncertain);
                }
            }
        }
        Event::HeardUnited { campaign, people } => {
            for (person, moments) in people {
                let person = state.persons.resolve(*person);
                let handle = state.persons.intern(person);
                let mut known = state.contacted.get(&handle.0).unwrap_or_default();
                for at in moments {
                    if known.last_sent() < Some(*at) {
                        known.sent_at(*at);
                        known.last_campaign.clone_from(campaign);
                    }
                    known.sent.add(*at);
                }
                state.contacted.insert(handle.0, known);
            }
        }
        Event::ChargesUnited {
            account,
            campaign,
            sent,
            attested,
            lookups,
            next_allowed_at,
        } => {
            let index = account
                .as_ref()
                .map(|name| super::fold::index_of(state, Some(name)));
            match (account, campaign) {
                (Some(name), None) => {
                    let it = super::fold::account_of(state, name);
                    it.meter.unite(sent);
                    it.attested.unite(attested);
                    it.lookups.unite(lookups);
                    it.next_allowed_at = it.next_allowed_at.max(*next_allowed_at);
                }
                (_, Some(line)) => {
                    if let Some(it) = state.campaigns.get_mut(line) {
                        match index {
                            Some(index) => it.meters.entry(index).or_default().unite(sent),
                            None => it.meter.unite(sent),
                        }
                    }
                }
                (None, None) => {}
            }
        }
        Event::Restored {
            since, accounts, ..
        } => {
            let restored = state.restored.get_or_insert_default();
            restored.since = *since;
            restored.unread = accounts.iter().cloned().collect();
            restored.campaigns = state.campaigns.keys().cloned().collect();
            // What was on its way when the backup was taken has long arrived or not: it never goes out again.
            for flight in state.in_flight.values_mut() {
                if flight.doubt.is_none()
                    && let Some(account) = state.accounts.get_mut(&flight.intent.account)
                {
                    account.in_doubt += 1;
                }
                flight.doubt = Some((InDoubtWhy::Restart, at - LONG_AGO));
            }
            state.confirmations.clear();
        }
        Event::DialogsRead { account, wrote_to } => {
            let handles: Vec<Handle> = wrote_to
                .iter()
                .map(|person| state.persons.intern(*person))
                .collect();
            let Some(restored) = &mut state.restored else {
                return;
            };
            restored.unread.remove(account);
            let mut unknown = 0;
            for handle in &handles {
                if !restored.known.contains(handle.0) {
                    unknown += u32::from(restored.wrote.insert(handle.0));
                }
            }
            // When these left nobody knows: they count today, so that no cap is wider for the restore.
            let it = super::fold::account_of(state, account);
            for _ in 0..unknown {
                it.meter.add(at);
            }
            for handle in handles {
                settle_unknown(state, handle);
            }
        }
        _ => {}
    }
}

fn unite(state: &mut Observed, line: &Lineage, group: &SettledElsewhere) {
    let account = group
        .account
        .as_ref()
        .map(|name| super::fold::index_of(state, Some(name)));
    for (person, sent_at) in &group.people {
        let person = state.persons.resolve(*person);
        let handle = state.persons.intern(person);
        if group.outcome == Outcome::Sent {
            let at = Timestamp::from_seconds(i64::from(*sent_at));
            let mut known = state.contacted.get(&handle.0).unwrap_or_default();
            known.account = account.or(known.account);
            if known.last_sent() < Some(at) {
                known.sent_at(at);
                known.last_campaign = Some(line.clone());
                known.sent.add(at);
            }
            state.contacted.insert(handle.0, known);
            state
                .restored
                .get_or_insert_default()
                .known
                .insert(handle.0);
        }
        let Observed {
            persons, campaigns, ..
        } = state;
        let it = campaigns.entry(line.clone()).or_default();
        settle(
            it,
            persons,
            handle,
            group.outcome,
            account,
            group.variant.as_deref(),
            *sent_at,
        );
    }
}

/// Whoever is not settled yet is now, with no message of ours.
fn settle(
    it: &mut Campaign,
    persons: &mut Persons,
    handle: Handle,
    outcome: Outcome,
    account: Option<u16>,
    variant: Option<&str>,
    sent_at: u32,
) {
    if !remove_unsettled(it, persons, handle) {
        return;
    }
    let variant = variant.map(|name| {
        let entry = it.variants.entry(name.to_owned());
        let index = entry.index();
        let count = entry.or_default();
        if outcome == Outcome::Sent {
            count.sent += 1;
        }
        index
    });
    it.recipients.insert(
        handle.0,
        Recipient {
            account,
            variant: variant.and_then(|index| u16::try_from(index).ok()),
            sent_at,
            ..Recipient::of(Status::Settled(outcome))
        },
    );
    *it.outcomes.entry(outcome).or_default() += 1;
}

/// Of somebody who was written to while nobody kept book, no campaign of that time knows whether its message was it.
pub(super) fn settle_unknown(state: &mut Observed, handle: Handle) {
    let Observed {
        persons,
        campaigns,
        restored: Some(restored),
        ..
    } = state
    else {
        return;
    };
    if !restored.wrote.contains(handle.0) {
        return;
    }
    for (line, it) in campaigns {
        let waits = it
            .recipients
            .get(&handle.0)
            .is_some_and(|recipient| recipient.status == Status::Pending);
        if restored.campaigns.contains(line) {
            it.steps.end(handle, Outcome::Uncertain);
        }
        if waits && restored.campaigns.contains(line) {
            let account = it.recipients.get(&handle.0).and_then(|r| r.account);
            settle(it, persons, handle, Outcome::Uncertain, account, None, 0);
        }
    }
}

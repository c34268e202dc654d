//! The suppression list: why people are on it, and whom it names that nobody has found yet.

use std::collections::BTreeMap;

use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};

use super::recipients::remove_unsettled;
use super::{Handle, Observed, Recipient, Status};
use crate::model::{
    AccountName, Event, Exclusion, Outcome, PersonId, RefHash, SuppressionKey, Timestamp,
};

/// One entry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Since when.
    pub at: Timestamp,
    /// Why.
    pub why: String,
    /// Who asked; empty where the person himself did, or Telegram said so.
    pub by: String,
    /// Whom it meant, of an entry by reference.
    pub people: Vec<PersonId>,
    /// He was erased: nothing of him is written down again.
    #[serde(default)]
    pub erased: bool,
}

/// The suppression list beside the sets of people in [`Observed`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Suppression {
    /// The keys of the hashes; the first is this state's own, others came with backups.
    pub keys: Vec<SuppressionKey>,
    /// References, hashed.
    #[serde(with = "super::pairs")]
    pub refs: BTreeMap<RefHash, Entry>,
    /// People, by their handles.
    pub people: BTreeMap<u32, Entry>,
    /// Who was erased, and when: a backup from before is to forget him too.
    #[serde(default, with = "super::pairs")]
    pub erased: BTreeMap<PersonId, Timestamp>,
    /// Stand-ins of phones whose holders are to be found out, so that the suppression holds for somebody who is found by
    /// his id and hides his number.
    #[serde(default)]
    pub unsought: RoaringBitmap,
}

/// Folds an event of the list.
pub(super) fn fold(state: &mut Observed, event: &Event, at: Timestamp) {
    match event {
        Event::SuppressionKey { key } if !state.suppression.keys.contains(key) => {
            state.suppression.keys.push(*key);
        }
        Event::SuppressionAdded {
            people,
            hashes,
            phones,
            why,
            by,
        } => {
            let entry = Entry {
                at,
                why: why.clone(),
                by: by.clone(),
                ..Entry::default()
            };
            for (hash, person) in hashes {
                let known = state.suppression.refs.entry(*hash).or_insert(entry.clone());
                if !known.people.contains(person) {
                    known.people.push(*person);
                }
            }
            for person in people {
                let handle = state.persons.intern(state.persons.resolve(*person));
                add(state, handle, entry.clone());
            }
            for phone in phones {
                let handle = state.persons.intern(*phone);
                // Where Telegram said that nobody has it, or who has it, it is not asked again.
                if state.persons.resolve(*phone) == *phone && !state.nobody.contains(handle.0) {
                    state.suppression.unsought.insert(handle.0);
                }
            }
        }
        Event::SuppressionRemoved { people, hashes, .. } => {
            for hash in hashes {
                state.suppression.refs.remove(hash);
            }
            for person in people {
                remove(state, *person);
            }
        }
        Event::SuppressionMatched { person, hash } => {
            let handle = state.persons.intern(*person);
            let entry = match state.suppression.refs.get_mut(hash) {
                Some(known) => {
                    if !known.people.contains(person) {
                        known.people.push(*person);
                    }
                    Entry {
                        people: Vec::new(),
                        ..known.clone()
                    }
                }
                None => Entry {
                    at,
                    ..Entry::default()
                },
            };
            add(state, handle, entry);
        }
        Event::Forgotten { people, hashes, .. } => {
            for hash in hashes {
                if let Some(entry) = state.suppression.refs.get_mut(hash) {
                    entry.erased = true;
                }
            }
            for person in people {
                state.suppression.erased.insert(*person, at);
                // What named him is gone: there is nothing to ask by.
                if let Some(handle) = state.persons.get(*person) {
                    state.suppression.unsought.remove(handle.0);
                }
            }
        }
        _ => {}
    }
}

fn add(state: &mut Observed, handle: Handle, entry: Entry) {
    state.suppressed.insert(handle.0);
    state.suppression.people.entry(handle.0).or_insert(entry);
    super::talk::silenced(state, handle);
    exclude(state, handle);
    for it in state.campaigns.values_mut() {
        it.steps.end(handle, Outcome::OptedOut);
    }
}

/// Whoever waits for a message waits no longer. What was sent, or is on its way, stays as it is.
pub(super) fn exclude(state: &mut Observed, handle: Handle) {
    let Observed {
        persons, campaigns, ..
    } = state;
    for it in campaigns.values_mut() {
        let waits = it.recipients.get(&handle.0).is_some_and(|recipient| {
            matches!(recipient.status, Status::Pending)
                || matches!(recipient.status, Status::Excluded(reason) if reason > Exclusion::Suppressed)
        });
        if waits && remove_unsettled(it, persons, handle) {
            *it.excluded.entry(Exclusion::Suppressed).or_default() += 1;
            it.recipients.insert(
                handle.0,
                Recipient::of(Status::Excluded(Exclusion::Suppressed)),
            );
        }
    }
}

impl Observed {
    /// Whether a person was erased and stays silenced: what he says is nobody's business any more.
    pub fn is_forgotten(&self, person: PersonId) -> bool {
        let silenced = self.silences(person);
        silenced
            && (self.suppression.erased.contains_key(&person)
                || self
                    .suppression
                    .refs
                    .values()
                    .any(|entry| entry.erased && entry.people.contains(&person)))
    }
}

/// Whether an operator's word or a block is why he is silenced, so that he is no recipient rather than one who opted out.
pub(super) fn excludes(state: &Observed, handle: Handle) -> bool {
    state.suppressed.contains(handle.0) && !state.opted_out.contains(handle.0)
}

fn remove(state: &mut Observed, person: PersonId) {
    let Some(handle) = state.persons.get(person) else {
        return;
    };
    state.suppressed.remove(handle.0);
    state.opted_out.remove(handle.0);
    state.suppression.people.remove(&handle.0);
    state.suppression.unsought.remove(handle.0);
    // What he wrote before that is answered no more.
    super::talk::silenced(state, handle);
    for it in state.campaigns.values_mut() {
        let excluded = it.recipients.get(&handle.0).is_some_and(|recipient| {
            matches!(
                recipient.status,
                Status::Excluded(Exclusion::Suppressed | Exclusion::OptedOut)
            )
        });
        if excluded {
            // Filters are applied to everybody again.
            it.judgement = None;
        }
    }
}

/// He told an account to stop.
pub(super) fn opted_out(
    state: &mut Observed,
    handle: Handle,
    account: Option<&AccountName>,
    at: Timestamp,
) {
    let why = match account {
        Some(account) => format!("told {account} to stop"),
        None => "asked to hear no more".to_owned(),
    };
    note(state, handle, why, at);
}

/// Telegram said that he blocked an account.
pub(super) fn blocked(state: &mut Observed, handle: Handle, why: &str, at: Timestamp) {
    note(state, handle, why.to_owned(), at);
}

fn note(state: &mut Observed, handle: Handle, why: String, at: Timestamp) {
    state.suppression.people.entry(handle.0).or_insert(Entry {
        at,
        why,
        ..Entry::default()
    });
}

/// A stand-in turned out to be a person.
pub(super) fn moved(state: &mut Observed, old: Handle, new: Handle) {
    state.suppression.unsought.remove(old.0);
    if let Some(entry) = state.suppression.people.remove(&old.0) {
        state.suppression.people.entry(new.0).or_insert(entry);
    }
}

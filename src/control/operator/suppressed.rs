//! Whom the suppression list names by reference, looked for in everybody who turns up.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::control::Core;
use crate::model::{Event, Person, PersonId, RefHash, Reference, SuppressionKey};
use crate::observed::Suppression;

/// The hashes of the list, and who turned up of it.
#[derive(Default)]
pub(crate) struct Suppressed {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    keys: Vec<SuppressionKey>,
    /// Whether an entry's person was erased.
    hashes: HashMap<RefHash, bool>,
    met: Vec<(PersonId, RefHash)>,
}

impl Suppressed {
    pub(crate) fn set(&self, list: &Suppression) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.keys.clone_from(&list.keys);
        inner.hashes = list
            .refs
            .iter()
            .map(|(hash, entry)| (*hash, entry.erased))
            .collect();
    }

    /// Whether the list names anybody by reference.
    pub(crate) fn names_anybody(&self) -> bool {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        !inner.hashes.is_empty()
    }

    /// Looks whether the list names somebody of whom something new is known. Answers whether he was erased: then
    /// nothing of him may be written down.
    pub(crate) fn look(&self, id: PersonId, person: &Person) -> bool {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.hashes.is_empty() {
            return false;
        }
        let found: Vec<(RefHash, bool)> = references_of(id, person)
            .iter()
            .flat_map(|reference| inner.keys.iter().map(move |key| key.hash(reference)))
            .filter_map(|hash| inner.hashes.get(&hash).map(|erased| (hash, *erased)))
            .collect();
        if let Some((hash, _)) = found.first() {
            inner.met.push((id, *hash));
        }
        found.iter().any(|(_, erased)| *erased)
    }

    pub(crate) fn take(&self) -> Vec<(PersonId, RefHash)> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut inner.met)
    }
}

/// All that names a person, in its normal form.
pub(crate) fn references_of(id: PersonId, person: &Person) -> Vec<Reference> {
    let contact = &person.contact;
    let own_id = contact.id.or(id.is_user().then_some(id.0));
    let mut all: Vec<Reference> = own_id
        .map(Reference::Id)
        .into_iter()
        .chain(
            contact
                .username
                .as_ref()
                .map(|name| Reference::Username(name.to_ascii_lowercase())),
        )
        .chain(
            contact
                .phone
                .as_ref()
                .map(|digits| Reference::Phone(digits.trim_start_matches('+').to_owned())),
        )
        .collect();
    for reference in &person.references {
        if !all.contains(reference) {
            all.push(reference.clone());
        }
    }
    all
}

/// Whether the list is another one after this event.
pub(crate) fn changes_suppression(event: &Event) -> bool {
    matches!(
        event,
        Event::SuppressionKey { .. }
            | Event::SuppressionAdded { .. }
            | Event::SuppressionRemoved { .. }
            | Event::Forgotten { .. }
    )
}

impl Core {
    /// These events, after those of people who turned up and are on the suppression list.
    pub(crate) fn with_suppressed(&self, events: Vec<Event>) -> Vec<Event> {
        let met = self.people.take_suppressed();
        if met.is_empty() {
            return events;
        }
        let known = |person: PersonId| {
            self.observed
                .handle(person)
                .is_some_and(|handle| self.observed.suppressed.contains(handle.0))
        };
        met.into_iter()
            .filter(|(person, _)| !known(*person))
            .map(|(person, hash)| Event::SuppressionMatched { person, hash })
            .chain(events)
            .collect()
    }
}

//! A read-only view of who is who. The store's people tree is one; a map is another.

pub mod file;

use std::collections::BTreeMap;

use crate::model::{Contact, Line, LineKey, Person, PersonId, Reference};

/// Who is who. Answers from what was written before the event that named the person.
pub trait People {
    /// What is known of a person (or of a reference that was not looked up yet).
    fn get(&self, person: PersonId) -> Option<Person>;

    /// Shows what is known of him to `look`, without a copy where none is needed. `look` asks for nobody else.
    fn show(&self, person: PersonId, look: &mut dyn FnMut(Option<&Person>)) {
        look(self.get(person).as_ref());
    }

    /// The same, for whoever passes many people in the order in which they were found and asks for each once: of nobody
    /// more is kept than of those who were found with him. `look` asks for nobody else.
    fn show_in_passing(&self, person: PersonId, look: &mut dyn FnMut(Option<&Person>)) {
        self.show(person, look);
    }

    /// What templates may say of him.
    fn contact(&self, person: PersonId) -> Option<Contact> {
        let mut contact = None;
        self.show(person, &mut |known| {
            contact = known.map(|known| known.contact.clone());
        });
        contact
    }

    /// What a person and the workspace's accounts said to each other, the oldest first.
    fn conversation(&self, _person: PersonId) -> Vec<(LineKey, Line)> {
        Vec::new()
    }
}

impl People for BTreeMap<PersonId, Person> {
    fn get(&self, person: PersonId) -> Option<Person> {
        BTreeMap::get(self, &person).cloned()
    }
}

/// Whether one of these references names this person. Usernames change hands, so an id decides where both have one.
pub fn is_named(person: PersonId, known: Option<&Person>, references: &[Reference]) -> bool {
    references.iter().any(|reference| {
        if reference.person() == person {
            return true;
        }
        let Some(known) = known else { return false };
        match reference {
            Reference::Id(id) => known.contact.id == Some(*id),
            Reference::Username(name) => {
                known
                    .contact
                    .username
                    .as_deref()
                    .is_some_and(|own| own.eq_ignore_ascii_case(name))
                    || known.references.contains(reference)
            }
            Reference::Phone(digits) => {
                known.contact.phone.as_deref() == Some(digits.as_str())
                    || known.references.contains(reference)
            }
            Reference::Invite(_) => false,
        }
    })
}

/// The reference by which an account can look a person up: a username before a phone.
pub fn best_reference(known: &Person) -> Option<Reference> {
    let of_kind =
        |wanted: fn(&Reference) -> bool| known.references.iter().find(|r| wanted(r)).cloned();
    known
        .contact
        .username
        .as_ref()
        .map(|name| Reference::Username(name.to_ascii_lowercase()))
        .or_else(|| of_kind(|r| matches!(r, Reference::Username(_))))
        .or_else(|| {
            known
                .contact
                .phone
                .as_ref()
                .map(|digits| Reference::Phone(digits.clone()))
        })
        .or_else(|| of_kind(|r| matches!(r, Reference::Phone(_))))
}

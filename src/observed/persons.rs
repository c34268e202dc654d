//! Who was ever found, and which accounts can address him.
//!
//! People have small numbers (handles), so that sets of them are bitmaps; the accounts that can reach a
//! person are a class, so that people of one class can wait in one queue.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{PersonId, Roll};

/// A person's number in this state. Stable for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Handle(pub u32);

/// A set of accounts that can reach somebody. 0 is the empty set.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct ClassId(pub u32);

/// Everybody, with who can reach him.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Persons {
    ids: Roll,
    reach: Vec<ClassId>,
    classes: Vec<Vec<u16>>,
    #[serde(with = "super::pairs")]
    by_accounts: BTreeMap<Vec<u16>, ClassId>,
    /// References that were looked up, and who they are.
    #[serde(with = "super::pairs")]
    resolved: BTreeMap<PersonId, PersonId>,
}

impl Default for Persons {
    fn default() -> Self {
        Persons {
            ids: Roll::default(),
            reach: Vec::new(),
            classes: vec![Vec::new()],
            by_accounts: BTreeMap::from([(Vec::new(), ClassId(0))]),
            resolved: BTreeMap::new(),
        }
    }
}

impl Persons {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether nobody was found yet.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The handle of a person, where he has one.
    pub fn get(&self, person: PersonId) -> Option<Handle> {
        self.ids.number(person).map(Handle)
    }

    /// Everybody, in the order in which they were found.
    pub fn ids(&self) -> impl Iterator<Item = PersonId> + '_ {
        self.ids.iter()
    }

    /// Who has this handle.
    pub fn id(&self, handle: Handle) -> Option<PersonId> {
        self.ids.person(handle.0)
    }

    /// The handle of a person, a new one where he has none.
    pub(super) fn intern(&mut self, person: PersonId) -> Handle {
        let (number, new) = self.ids.enter(person);
        if new {
            self.reach.push(ClassId(0));
        }
        Handle(number)
    }

    /// The accounts that can reach him, as a class.
    pub fn class(&self, handle: Handle) -> ClassId {
        self.reach
            .get(handle.0 as usize)
            .copied()
            .unwrap_or_default()
    }

    /// The accounts of a class, by position, ascending.
    pub fn accounts(&self, class: ClassId) -> &[u16] {
        self.classes
            .get(class.0 as usize)
            .map_or(&[], Vec::as_slice)
    }

    /// Whether an account can reach him.
    pub fn reaches(&self, account: u16, handle: Handle) -> bool {
        self.accounts(self.class(handle))
            .binary_search(&account)
            .is_ok()
    }

    /// Adds or removes an account; answers with the class before and after.
    pub(super) fn set_reach(
        &mut self,
        account: u16,
        handle: Handle,
        reaches: bool,
    ) -> (ClassId, ClassId) {
        let old = self.class(handle);
        let mut accounts = self.accounts(old).to_vec();
        match (accounts.binary_search(&account), reaches) {
            (Err(at), true) => accounts.insert(at, account),
            (Ok(at), false) => {
                accounts.remove(at);
            }
            _ => return (old, old),
        }
        let new = self.class_of_accounts(accounts);
        if let Some(slot) = self.reach.get_mut(handle.0 as usize) {
            *slot = new;
        }
        (old, new)
    }

    /// The class of people whom this account alone may write to.
    pub(super) fn only(&mut self, account: u16) -> ClassId {
        self.class_of_accounts(vec![account])
    }

    fn class_of_accounts(&mut self, accounts: Vec<u16>) -> ClassId {
        if let Some(&class) = self.by_accounts.get(&accounts) {
            return class;
        }
        let class = ClassId(u32::try_from(self.classes.len()).unwrap_or(0));
        self.classes.push(accounts.clone());
        self.by_accounts.insert(accounts, class);
        class
    }

    /// Who a reference is, where it was looked up; any other person is himself.
    pub fn resolve(&self, person: PersonId) -> PersonId {
        self.resolved.get(&person).copied().unwrap_or(person)
    }

    pub(super) fn set_resolved(&mut self, reference: PersonId, person: PersonId) {
        self.resolved.insert(reference, person);
    }

    /// The references that turned out to be this person. Costs as much as there are references; for `explain` only.
    pub fn references_of(&self, person: PersonId) -> impl Iterator<Item = PersonId> {
        self.resolved
            .iter()
            .filter(move |(_, who)| **who == person)
            .map(|(reference, _)| *reference)
    }
}

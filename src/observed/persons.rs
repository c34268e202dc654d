//! Who was ever found, and which accounts can address him.
//!
//! People have small numbers (handles), so that sets of them are bitmaps; the accounts that can reach a
//! person are a class, so that people of one class can wait in one queue.

use std::collections::BTreeMap;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

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

/// The class of each person, by handle: one byte while there are few classes, as nearly always.
#[derive(Debug, Clone)]
enum Reach {
    Few(Vec<u8>),
    Many(Vec<ClassId>),
}

impl Default for Reach {
    fn default() -> Reach {
        Reach::Few(Vec::new())
    }
}

impl Reach {
    /// Room that is made at once for people who are about to be read.
    const MOST_AT_ONCE: usize = 1 << 20;

    fn get(&self, at: usize) -> Option<ClassId> {
        match self {
            Reach::Few(classes) => classes.get(at).map(|class| ClassId(u32::from(*class))),
            Reach::Many(classes) => classes.get(at).copied(),
        }
    }

    fn iter(&self) -> impl Iterator<Item = ClassId> + '_ {
        (0..).map_while(|at| self.get(at))
    }

    fn push(&mut self, class: ClassId) {
        match (self.widened_for(class), u8::try_from(class.0)) {
            (Reach::Few(classes), Ok(class)) => classes.push(class),
            (Reach::Few(_), Err(_)) => {}
            (Reach::Many(classes), _) => classes.push(class),
        }
    }

    fn set(&mut self, at: usize, class: ClassId) {
        match (self.widened_for(class), u8::try_from(class.0)) {
            (Reach::Few(classes), Ok(class)) => {
                if let Some(slot) = classes.get_mut(at) {
                    *slot = class;
                }
            }
            (Reach::Few(_), Err(_)) => {}
            (Reach::Many(classes), _) => {
                if let Some(slot) = classes.get_mut(at) {
                    *slot = class;
                }
            }
        }
    }

    /// Itself, which can hold this class now.
    fn widened_for(&mut self, class: ClassId) -> &mut Reach {
        if matches!(self, Reach::Few(_)) && u8::try_from(class.0).is_err() {
            *self = Reach::Many(self.iter().collect());
        }
        self
    }
}

/// In which form means nothing.
impl PartialEq for Reach {
    fn eq(&self, other: &Reach) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Serialize for Reach {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Reach::Few(classes) => serializer.collect_seq(classes),
            Reach::Many(classes) => serializer.collect_seq(classes),
        }
    }
}

impl<'de> Deserialize<'de> for Reach {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Reach, D::Error> {
        struct Classes;
        impl<'de> Visitor<'de> for Classes {
            type Value = Reach;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list of classes")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Reach, A::Error> {
                let len = seq.size_hint().unwrap_or(0).min(Reach::MOST_AT_ONCE);
                let mut reach = Reach::Few(Vec::with_capacity(len));
                while let Some(class) = seq.next_element()? {
                    reach.push(class);
                }
                Ok(reach)
            }
        }
        deserializer.deserialize_seq(Classes)
    }
}

/// Everybody, with who can reach him.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Persons {
    ids: Roll,
    reach: Reach,
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
            reach: Reach::default(),
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
        self.reach.get(handle.0 as usize).unwrap_or_default()
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
        self.reach.set(handle.0 as usize, new);
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn classes_are_kept_whether_there_are_few_or_many(
            pushed in prop::collection::vec(0u32..200, 0..40),
            steps in prop::collection::vec((0usize..50, prop_oneof![9 => 0u32..256, 1 => any::<u32>()]), 0..60),
        ) {
            let mut reach = Reach::default();
            let mut list: Vec<ClassId> = Vec::new();
            for class in pushed.into_iter().map(ClassId) {
                reach.push(class);
                list.push(class);
            }
            for (at, class) in steps {
                let class = ClassId(class);
                match list.get_mut(at) {
                    Some(slot) => {
                        *slot = class;
                        reach.set(at, class);
                    }
                    None => {
                        list.push(class);
                        reach.push(class);
                    }
                }
            }
            prop_assert!(reach.iter().eq(list.iter().copied()));
            let bytes = rmp_serde::to_vec(&reach).unwrap();
            prop_assert_eq!(&bytes, &rmp_serde::to_vec(&list).unwrap());
            prop_assert_eq!(&rmp_serde::from_slice::<Reach>(&bytes).unwrap(), &reach);
        }
    }
}

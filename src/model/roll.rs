//! A roll of people: each has the number at which he was first written into it.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::PersonId;

/// No place of the table is taken by this number.
const FREE: u32 = u32::MAX;
/// Room that is made at once for people who are about to be read.
const MOST_AT_ONCE: usize = 1 << 20;
/// The smallest table.
const LEAST: usize = 16;

/// People in the order in which they came, and the number of each: a million take 14 MB, as they are read. Nobody is ever
/// taken out, so that a table of numbers beside the list is all that it needs.
#[derive(Debug, Clone, Default)]
pub struct Roll {
    people: Vec<PersonId>,
    /// Numbers by the hash of their person, one after another where hashes meet; at most three quarters are taken. It is
    /// of any size, so that what is read takes no more room than it needs.
    table: Vec<u32>,
}

/// The finaliser of splitmix64: each bit of the id moves half of the bits. Ids are Telegram's numbers, which nobody
/// chooses to make them meet.
fn hash(person: PersonId) -> u64 {
    let mut x = person.0.cast_unsigned();
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Where the number of a person belongs in a table of this size: the hash, a fraction of the size.
fn first_place(person: PersonId, size: usize) -> usize {
    ((u128::from(hash(person)) * size as u128) >> 64) as usize
}

/// Where it belongs when that is taken.
fn next_place(place: usize, size: usize) -> usize {
    if place + 1 == size { 0 } else { place + 1 }
}

impl Roll {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.people.len()
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.people.is_empty()
    }

    /// Who has this number.
    pub fn person(&self, number: u32) -> Option<PersonId> {
        self.people.get(number as usize).copied()
    }

    /// Everybody, by number.
    pub fn iter(&self) -> impl Iterator<Item = PersonId> + '_ {
        self.people.iter().copied()
    }

    /// The number of a person, where he has one.
    pub fn number(&self, person: PersonId) -> Option<u32> {
        self.find(person).ok()
    }

    /// The number of a person, and whether he has it only now.
    pub fn enter(&mut self, person: PersonId) -> (u32, bool) {
        if (self.people.len() + 1) * 4 > self.table.len() * 3 {
            self.grow();
        }
        match self.find(person) {
            Ok(number) => (number, false),
            Err(place) => {
                // 2^32 people are more than Telegram has; the number saturates rather than wraps.
                let number = u32::try_from(self.people.len()).unwrap_or(FREE);
                if let Some(slot) = self.table.get_mut(place) {
                    *slot = number;
                }
                self.people.push(person);
                (number, true)
            }
        }
    }

    /// His number, or the place of the table where it belongs.
    fn find(&self, person: PersonId) -> Result<u32, usize> {
        let mut place = first_place(person, self.table.len());
        loop {
            match self.table.get(place) {
                Some(&FREE) | None => return Err(place),
                Some(&number) if self.person(number) == Some(person) => return Ok(number),
                Some(_) => place = next_place(place, self.table.len()),
            }
        }
    }

    fn grow(&mut self) {
        self.number_all((self.table.len() * 2).max(LEAST));
    }

    /// Makes the table anew, of this size. Nobody stands twice in the list, so that nobody is compared.
    fn number_all(&mut self, size: usize) {
        self.table = vec![FREE; size];
        for (number, person) in (0u32..).zip(&self.people) {
            let mut place = first_place(*person, size);
            while self.table[place] != FREE {
                place = next_place(place, size);
            }
            self.table[place] = number;
        }
    }
}

/// The same people in the same order: the table follows from them.
impl PartialEq for Roll {
    fn eq(&self, other: &Roll) -> bool {
        self.people == other.people
    }
}

impl FromIterator<PersonId> for Roll {
    fn from_iter<I: IntoIterator<Item = PersonId>>(people: I) -> Roll {
        let mut roll = Roll::default();
        for person in people {
            roll.enter(person);
        }
        roll
    }
}

/// Room for those who were read and for some who come after them: the first of these is not to double it.
fn with_some_more(len: usize) -> usize {
    len + len / 16
}

impl Serialize for Roll {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.people)
    }
}

impl<'de> Deserialize<'de> for Roll {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Roll, D::Error> {
        struct People;
        impl<'de> serde::de::Visitor<'de> for People {
            type Value = Roll;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list of people")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Roll, A::Error> {
                // A length that is not so costs no more than a million people do.
                let len = seq.size_hint().unwrap_or(0).min(MOST_AT_ONCE);
                let mut roll = Roll::default();
                roll.people.reserve_exact(with_some_more(len));
                while let Some(person) = seq.next_element()? {
                    roll.people.push(person);
                }
                let room = with_some_more(roll.people.len());
                roll.number_all((room * 4).div_ceil(3).max(LEAST));
                Ok(roll)
            }
        }
        deserializer.deserialize_seq(People)
    }
}

#[cfg(test)]
mod tests {
    use indexmap::IndexSet;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_roll_numbers_people_as_an_ordered_set_does(
            ids in prop::collection::vec(prop_oneof![-40i64..40, any::<i64>()], 0..300),
            others in prop::collection::vec(-60i64..60, 0..60),
        ) {
            let mut roll = Roll::default();
            let mut set: IndexSet<PersonId> = IndexSet::new();
            for id in ids {
                let (number, new) = set.insert_full(PersonId(id));
                prop_assert_eq!(roll.enter(PersonId(id)), (number as u32, new));
            }
            let mut back: Roll = rmp_serde::from_slice(&rmp_serde::to_vec(&roll).unwrap()).unwrap();
            prop_assert_eq!(&back, &roll);
            // What was read goes on as what was never written down.
            for id in others.iter().map(|id| PersonId(id * 3)) {
                prop_assert_eq!(back.enter(id), roll.enter(id));
                set.insert(id);
            }
            for roll in [&roll, &back] {
                prop_assert_eq!(roll.len(), set.len());
                prop_assert!(roll.iter().eq(set.iter().copied()));
                for id in others.iter().map(|id| PersonId(*id)).chain(set.iter().copied()) {
                    prop_assert_eq!(
                        roll.number(id),
                        set.get_index_of(&id).map(|number| number as u32)
                    );
                }
            }
        }
    }
}

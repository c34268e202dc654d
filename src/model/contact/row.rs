//! Reads a person's row into one who was read before: over a million rows nearly no memory is asked for.

use std::collections::BTreeMap;

use super::{Contact, Given, LastSeen, Person};
use crate::model::{AccountName, Reference, Timestamp};

impl Person {
    /// Becomes what a row says, which is MessagePack with named fields as serde writes it, and keeps the memory that he
    /// has. Answers whether the row is understood; one that is not is for serde to read, and leaves nobody behind.
    pub fn become_row(&mut self, row: &[u8]) -> bool {
        let mut spare = std::mem::take(self);
        let mut row = Row(row);
        let read = row.person(self, &mut spare).filter(|()| row.0.is_empty());
        if read.is_none() {
            *self = Person::default();
        }
        read.is_some()
    }
}

/// What templates may say of the person whose row this is, without a look at the rest of it. `None`: the row is for serde
/// to read.
pub fn contact_of_row(row: &[u8]) -> Option<Contact> {
    let mut contact = Contact::default();
    let mut row = Row(row);
    row.find(b"contact")?;
    row.contact(&mut contact, &mut Contact::default())?;
    Some(contact)
}

/// An account's access hash of the person whose row this is, likewise.
pub fn hash_in_row(row: &[u8], account: &str) -> Option<Option<i64>> {
    let mut row = Row(row);
    row.find(b"hashes")?;
    for _ in 0..row.len(0x80, 0xde)? {
        let name = row.word()?;
        let hash = row.number()?;
        if name == account.as_bytes() {
            return Some(Some(hash));
        }
    }
    Some(None)
}

/// What is left of a row (github.com/msgpack/msgpack/blob/master/spec.md).
struct Row<'a>(&'a [u8]);

impl<'a> Row<'a> {
    /// Goes to what stands under a key.
    fn find(&mut self, key: &[u8]) -> Option<()> {
        for _ in 0..self.len(0x80, 0xde)? {
            if self.word()? == key {
                return Some(());
            }
            self.skip()?;
        }
        None
    }

    fn person(&mut self, person: &mut Person, spare: &mut Person) -> Option<()> {
        for _ in 0..self.len(0x80, 0xde)? {
            match self.word()? {
                b"contact" => self.contact(&mut person.contact, &mut spare.contact)?,
                b"bot" => person.bot = self.truth()?,
                b"deleted" => person.deleted = self.truth()?,
                b"admin" => person.admin = self.truth()?,
                b"given" => person.given = self.given()?,
                b"last_seen" => person.last_seen = self.last_seen()?,
                b"read_at" => person.read_at = Timestamp(self.number()?),
                b"hashes" => person.hashes = self.hashes(std::mem::take(&mut spare.hashes))?,
                b"references" => {
                    person.references = self.references(std::mem::take(&mut spare.references))?;
                }
                b"origins" => person.origins = self.texts(std::mem::take(&mut spare.origins))?,
                _ => return None,
            }
        }
        Some(())
    }

    fn contact(&mut self, contact: &mut Contact, spare: &mut Contact) -> Option<()> {
        for _ in 0..self.len(0x80, 0xde)? {
            match self.word()? {
                b"id" => contact.id = self.maybe(Self::number)?,
                b"first_name" => contact.first_name = self.name(spare.first_name.take())?,
                b"last_name" => contact.last_name = self.name(spare.last_name.take())?,
                b"username" => contact.username = self.name(spare.username.take())?,
                b"phone" => contact.phone = self.name(spare.phone.take())?,
                b"premium" => contact.premium = self.maybe(Self::truth)?,
                b"fields" => contact.fields = self.fields(std::mem::take(&mut spare.fields))?,
                _ => return None,
            }
        }
        Some(())
    }

    fn given(&mut self) -> Option<Given> {
        let mut given = Given::default();
        for _ in 0..self.len(0x80, 0xde)? {
            match self.word()? {
                b"first_name" => given.first_name = self.truth()?,
                b"last_name" => given.last_name = self.truth()?,
                _ => return None,
            }
        }
        Some(given)
    }

    fn last_seen(&mut self) -> Option<LastSeen> {
        if self.0.first() == Some(&0x81) {
            self.byte()?;
            return (self.word()? == b"at").then_some(LastSeen::At(Timestamp(self.number()?)));
        }
        Some(match self.word()? {
            b"hidden" => LastSeen::Hidden,
            b"recently" => LastSeen::Recently,
            b"last_week" => LastSeen::LastWeek,
            b"last_month" => LastSeen::LastMonth,
            _ => return None,
        })
    }

    /// People of one file have the same columns, and those of one account the same key: where they come as they did
    /// before, only what stands under them is written anew.
    fn fields(&mut self, mut spare: BTreeMap<String, String>) -> Option<BTreeMap<String, String>> {
        let len = self.len(0x80, 0xde)?;
        if spare.len() == len {
            let begin = self.0;
            for (name, value) in &mut spare {
                if self.word()? != name.as_bytes() {
                    self.0 = begin;
                    return self.new_fields(len);
                }
                write_over(value, self.text()?);
            }
            return Some(spare);
        }
        self.new_fields(len)
    }

    fn new_fields(&mut self, len: usize) -> Option<BTreeMap<String, String>> {
        let mut fields = BTreeMap::new();
        for _ in 0..len {
            fields.insert(self.text()?.to_owned(), self.text()?.to_owned());
        }
        Some(fields)
    }

    fn hashes(
        &mut self,
        mut spare: BTreeMap<AccountName, i64>,
    ) -> Option<BTreeMap<AccountName, i64>> {
        let len = self.len(0x80, 0xde)?;
        let begin = self.0;
        if spare.len() == len {
            let mut same = true;
            for (account, hash) in &mut spare {
                if self.word()? != account.as_bytes() {
                    same = false;
                    break;
                }
                *hash = self.number()?;
            }
            if same {
                return Some(spare);
            }
            self.0 = begin;
        }
        let mut hashes = BTreeMap::new();
        for _ in 0..len {
            hashes.insert(AccountName::from(self.text()?), self.number()?);
        }
        Some(hashes)
    }

    fn references(&mut self, mut spare: Vec<Reference>) -> Option<Vec<Reference>> {
        let len = self.len(0x90, 0xdc)?;
        spare.truncate(len);
        for at in 0..len {
            if self.byte()? != 0x81 {
                return None;
            }
            let kind = self.word()?;
            let known = spare.get_mut(at);
            match (kind, known) {
                (b"username", Some(Reference::Username(text)))
                | (b"phone", Some(Reference::Phone(text)))
                | (b"invite", Some(Reference::Invite(text))) => write_over(text, self.text()?),
                (b"id", Some(Reference::Id(id))) => *id = self.number()?,
                (kind, known) => {
                    let reference = match kind {
                        b"username" => Reference::Username(self.text()?.to_owned()),
                        b"phone" => Reference::Phone(self.text()?.to_owned()),
                        b"invite" => Reference::Invite(self.text()?.to_owned()),
                        b"id" => Reference::Id(self.number()?),
                        _ => return None,
                    };
                    match known {
                        Some(known) => *known = reference,
                        None => spare.push(reference),
                    }
                }
            }
        }
        Some(spare)
    }

    fn texts(&mut self, mut spare: Vec<String>) -> Option<Vec<String>> {
        let len = self.len(0x90, 0xdc)?;
        spare.truncate(len);
        for at in 0..len {
            let text = self.text()?;
            match spare.get_mut(at) {
                Some(known) => write_over(known, text),
                None => spare.push(text.to_owned()),
            }
        }
        Some(spare)
    }

    fn name(&mut self, spare: Option<String>) -> Option<Option<String>> {
        self.maybe(|row| {
            let text = row.text()?;
            Some(match spare {
                Some(mut name) => {
                    write_over(&mut name, text);
                    name
                }
                None => text.to_owned(),
            })
        })
    }

    fn maybe<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        if self.0.first() == Some(&0xc0) {
            self.byte()?;
            return Some(None);
        }
        read(self).map(Some)
    }

    fn truth(&mut self) -> Option<bool> {
        match self.byte()? {
            0xc2 => Some(false),
            0xc3 => Some(true),
            _ => None,
        }
    }

    fn number(&mut self) -> Option<i64> {
        Some(match self.byte()? {
            small @ 0x00..=0x7f => i64::from(small),
            negative @ 0xe0..=0xff => i64::from(negative.cast_signed()),
            0xcc => i64::from(self.byte()?),
            0xcd => i64::from(u16::from_be_bytes(self.bytes()?)),
            0xce => i64::from(u32::from_be_bytes(self.bytes()?)),
            0xcf => i64::try_from(u64::from_be_bytes(self.bytes()?)).ok()?,
            0xd0 => i64::from(self.byte()?.cast_signed()),
            0xd1 => i64::from(i16::from_be_bytes(self.bytes()?)),
            0xd2 => i64::from(i32::from_be_bytes(self.bytes()?)),
            0xd3 => i64::from_be_bytes(self.bytes()?),
            _ => return None,
        })
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.word()?).ok()
    }

    /// The bytes of a text that is compared with words that are known.
    fn word(&mut self) -> Option<&'a [u8]> {
        let len = match self.byte()? {
            short @ 0xa0..=0xbf => usize::from(short & 0x1f),
            0xd9 => usize::from(self.byte()?),
            0xda => usize::from(u16::from_be_bytes(self.bytes()?)),
            0xdb => usize::try_from(u32::from_be_bytes(self.bytes()?)).ok()?,
            _ => return None,
        };
        let (text, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(text)
    }

    /// Passes what stands under a key by; what it says is not looked at.
    fn skip(&mut self) -> Option<()> {
        let mut left = 1u64;
        while left > 0 {
            left -= 1;
            match *self.0.first()? {
                0x80..=0x8f | 0xde => left += 2 * self.len(0x80, 0xde)? as u64,
                0x90..=0x9f | 0xdc => left += self.len(0x90, 0xdc)? as u64,
                0xa0..=0xbf | 0xd9..=0xdb => self.word().map(|_| ())?,
                0xc0 | 0xc2 | 0xc3 => self.byte().map(|_| ())?,
                _ => self.number().map(|_| ())?,
            }
        }
        Some(())
    }

    /// How many entries a map or an array has; these are the marks of its short and of its middle form.
    fn len(&mut self, short: u8, middle: u8) -> Option<usize> {
        match self.byte()? {
            mark if mark & 0xf0 == short => Some(usize::from(mark & 0x0f)),
            mark if mark == middle => Some(usize::from(u16::from_be_bytes(self.bytes()?))),
            _ => None,
        }
    }

    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }
}

fn write_over(text: &mut String, with: &str) {
    text.clear();
    text.push_str(with);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text() -> impl Strategy<Value = String> {
        prop_oneof!["[a-zа-я]{0,6}", "[x]{30,34}", "[y]{254,258}"]
    }

    fn maybe() -> impl Strategy<Value = Option<String>> {
        prop::option::of(text())
    }

    fn reference() -> impl Strategy<Value = Reference> {
        prop_oneof![
            text().prop_map(Reference::Username),
            text().prop_map(Reference::Phone),
            any::<i64>().prop_map(Reference::Id),
            text().prop_map(Reference::Invite),
        ]
    }

    fn last_seen() -> impl Strategy<Value = LastSeen> {
        prop_oneof![
            Just(LastSeen::Hidden),
            any::<i64>().prop_map(|at| LastSeen::At(Timestamp(at))),
            Just(LastSeen::Recently),
            Just(LastSeen::LastWeek),
            Just(LastSeen::LastMonth),
        ]
    }

    fn number() -> impl Strategy<Value = i64> {
        prop_oneof![
            any::<i64>(),
            -40i64..40,
            any::<i32>().prop_map(i64::from),
            -70_000i64..70_000
        ]
    }

    prop_compose! {
        fn contact()(
            id in prop::option::of(number()),
            first_name in maybe(),
            last_name in maybe(),
            username in maybe(),
            phone in maybe(),
            premium in prop::option::of(any::<bool>()),
            fields in prop::collection::btree_map("[ab]{1,2}", text(), 0..18),
        ) -> Contact {
            Contact { id, first_name, last_name, username, phone, premium, fields }
        }
    }

    prop_compose! {
        fn person()(
            contact in contact(),
            bits in any::<[bool; 5]>(),
            last_seen in last_seen(),
            read_at in number(),
            hashes in prop::collection::btree_map("[ab]", number(), 0..3),
            references in prop::collection::vec(reference(), 0..4),
            origins in prop::collection::vec(text(), 0..3),
        ) -> Person {
            let [bot, deleted, admin, first_name, last_name] = bits;
            Person {
                contact,
                bot,
                deleted,
                admin,
                given: Given { first_name, last_name },
                last_seen,
                read_at: Timestamp(read_at),
                hashes: hashes.into_iter().map(|(name, hash)| (name.into(), hash)).collect(),
                references,
                origins,
            }
        }
    }

    proptest! {
        #[test]
        fn whoever_was_read_before_a_row_is_read_as_serde_reads_it(
            people in prop::collection::vec(person(), 1..8),
        ) {
            let mut read = Person::default();
            for person in people {
                let row = rmp_serde::to_vec_named(&person).unwrap();
                prop_assert!(read.become_row(&row));
                prop_assert_eq!(&read, &person);
            }
        }

        #[test]
        fn what_a_row_says_of_one_thing_is_found_without_the_rest(person in person()) {
            let row = rmp_serde::to_vec_named(&person).unwrap();
            prop_assert_eq!(contact_of_row(&row), Some(person.contact.clone()));
            for account in ["a", "b", "c"] {
                let hash = person.hashes.get(account).copied();
                prop_assert_eq!(hash_in_row(&row, account), Some(hash));
            }
        }

        #[test]
        fn a_row_that_is_cut_or_changed_is_left_to_serde_or_read_alike(
            person in person(),
            at in any::<prop::sample::Index>(),
            byte: u8,
            cut: bool,
        ) {
            let mut row = rmp_serde::to_vec_named(&person).unwrap();
            let at = at.index(row.len());
            if cut {
                row.truncate(at);
            } else {
                row[at] = byte;
            }
            let mut read = person;
            if read.become_row(&row) {
                prop_assert_eq!(read, rmp_serde::from_slice::<Person>(&row).unwrap());
            } else {
                prop_assert_eq!(read, Person::default());
            }
        }
    }
}

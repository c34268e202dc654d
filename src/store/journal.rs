//! The journal in the database: packs of about a thousand events, keyed by their first sequence
//! number, and reading over packs and outbox as one ascending row.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;

use super::codec::{decode_event, items, put_item};
use super::db::{Changes, Tree};
use super::outbox::Encoded;
use super::trees::Record;
use super::{Seq, StoreError};

/// Events in one value: HOUSE's measure, ascending keys and few of them.
pub(crate) const PACK_EVENTS: usize = 1_000;
/// A pack of large events ends earlier, so that a value stays well below the size at which the
/// database would make it a file of its own.
pub(crate) const PACK_BYTES: usize = 256 << 10;

/// Splits encoded events into packs. With `whole_only` a last pack that is not full is left out.
/// Answers the changes and how many events they hold.
pub(crate) fn pack<'a>(
    first: Seq,
    events: impl Iterator<Item = &'a [u8]>,
    whole_only: bool,
) -> (Changes, usize) {
    let mut changes = Changes::new();
    let mut packed = 0;
    let mut body = Vec::new();
    let mut count = 0;
    let mut key = first;
    for event in events {
        if count > 0 && (count == PACK_EVENTS || body.len() + event.len() > PACK_BYTES) {
            changes.push((key.to_be_bytes().to_vec(), Some(std::mem::take(&mut body))));
            key += count as Seq;
            packed += count;
            count = 0;
        }
        put_item(&mut body, event);
        count += 1;
    }
    if count == PACK_EVENTS || (count > 0 && !whole_only) {
        changes.push((key.to_be_bytes().to_vec(), Some(body)));
        packed += count;
    }
    (changes, packed)
}

/// The first sequence number of the pack stored under `key`.
pub(crate) fn first_of(key: &[u8]) -> Result<Seq, StoreError> {
    key.try_into().map(Seq::from_be_bytes).map_err(|_| {
        StoreError::corrupt(
            "tree journal",
            format!("a key has {} bytes, expected 8", key.len()),
        )
    })
}

/// Packs from the one that holds `from` on: first sequence number and events.
pub(crate) struct Packs {
    pairs: Box<dyn Iterator<Item = Result<Record, StoreError>> + Send>,
}

impl Packs {
    pub(crate) fn from(journal: &Tree, from: Seq) -> Result<Self, StoreError> {
        let start = journal
            .key_at_or_before(&from.to_be_bytes())?
            .unwrap_or_default();
        Ok(Self {
            pairs: Box::new(journal.range(start, None)),
        })
    }
}

impl Iterator for Packs {
    type Item = Result<(Seq, Vec<Vec<u8>>), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let pair = self.pairs.next()?;
        Some(pair.and_then(|(key, body)| {
            let first = first_of(&key)?;
            let Some(events) = items(&body).filter(|events| !events.is_empty()) else {
                return Err(StoreError::corrupt(
                    format!("tree journal, pack of event {first}"),
                    "its lengths do not add up",
                ));
            };
            Ok((first, events.into_iter().map(<[u8]>::to_vec).collect()))
        }))
    }
}

/// Events in ascending order, checked for gaps. After an error it ends.
///
/// It reads the database as it goes and holds no lock: events appended after it was made do not
/// come, folding while it runs is harmless.
pub struct Events<E> {
    next: Seq,
    packs: Option<Packs>,
    pack: std::vec::IntoIter<Vec<u8>>,
    /// First event of the outbox part; packs from there on are not read.
    tail_first: Seq,
    tail: std::vec::IntoIter<Encoded>,
    done: bool,
    event: PhantomData<fn() -> E>,
}

impl<E: DeserializeOwned> Events<E> {
    pub(crate) fn new(packs: Packs, from: Seq, tail_first: Seq, tail: Vec<Encoded>) -> Self {
        let skip = from.saturating_sub(tail_first).min(tail.len() as Seq) as usize;
        let mut tail = tail.into_iter();
        if skip > 0 {
            tail.nth(skip - 1);
        }
        Self {
            next: from,
            packs: (from < tail_first).then_some(packs),
            pack: Vec::new().into_iter(),
            tail_first,
            tail,
            done: false,
            event: PhantomData,
        }
    }

    fn gap(&self, found: Option<Seq>) -> StoreError {
        StoreError::Gap {
            place: "the database".to_owned(),
            expected: self.next,
            found,
        }
    }

    pub(crate) fn raw(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        while self.next < self.tail_first {
            if let Some(event) = self.pack.next() {
                return Ok(Some(event));
            }
            let pack = match &mut self.packs {
                Some(packs) => packs.next().transpose()?,
                None => None,
            };
            let Some((first, events)) = pack else {
                return Err(self.gap(None));
            };
            let Some(skip) = self.next.checked_sub(first) else {
                return Err(self.gap(Some(first)));
            };
            // The first pack looked at may lie wholly before the wanted event.
            let skip = (skip as usize).min(events.len());
            self.pack = events.into_iter();
            if skip > 0 {
                self.pack.nth(skip - 1);
            }
        }
        Ok(self.tail.next().map(|event| event.to_vec()))
    }
}

impl<E: DeserializeOwned> Iterator for Events<E> {
    type Item = Result<(Seq, E), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let seq = self.next;
        let event = self
            .raw()
            .and_then(|raw| raw.map(|raw| decode_event(seq, &raw)).transpose());
        match event {
            Ok(Some(event)) => {
                self.next += 1;
                Some(Ok((seq, event)))
            }
            Ok(None) => {
                self.done = true;
                None
            }
            Err(error) => {
                self.done = true;
                Some(Err(error))
            }
        }
    }
}

//! What is kept by handle: small, since there may be a million of each.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use super::moments::{Moment, Moments};
use roaring::RoaringBitmap;
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The bits of a handle that say which row of a block.
const BITS: u32 = 8;
/// Rows of a full block.
const ROWS: usize = 1 << BITS;

/// A row of a table. People who were found and written to together have all in common but a moment.
pub trait Row: Clone + PartialEq {
    /// The moment that is each row's own.
    type Moment: Moment;

    /// Takes the moment out of the row.
    fn take_moment(&mut self) -> Self::Moment;

    /// Puts one into a row that it was taken out of.
    fn set_moment(&mut self, moment: Self::Moment);
}

/// A map by handle, ascending. People who are found together have handles in a row: a block of 256 handles holds what its
/// rows have in common once, and beside that two bytes and a moment a row, which takes half its size where all of a block
/// are near each other.
#[derive(Debug, Clone)]
pub struct Table<V: Row> {
    blocks: BTreeMap<u32, Block<V>>,
    len: usize,
}

#[derive(Debug, Clone)]
struct Block<V: Row> {
    /// The handles' last bits, ascending.
    keys: Vec<u8>,
    /// Which kind each row is of.
    kinds: Vec<u8>,
    /// The moment of each row; empty where none has one.
    moments: Moments<V::Moment>,
    /// Rows without their moments, all different; each is some row's.
    shapes: Vec<V>,
}

impl<V: Row> Default for Table<V> {
    fn default() -> Table<V> {
        Table {
            blocks: BTreeMap::new(),
            len: 0,
        }
    }
}

impl<V: Row> Default for Block<V> {
    fn default() -> Block<V> {
        Block {
            keys: Vec::new(),
            kinds: Vec::new(),
            moments: Moments::default(),
            shapes: Vec::new(),
        }
    }
}

fn split(handle: u32) -> (u32, u8) {
    (handle >> BITS, (handle & (ROWS as u32 - 1)) as u8)
}

impl<V: Row> Block<V> {
    fn place(&self, key: u8) -> Result<usize, usize> {
        // Of a full block each row stands in its own place; of one that is being filled the next comes last.
        match self.keys.last() {
            _ if self.keys.len() == ROWS => Ok(usize::from(key)),
            None => Err(0),
            Some(last) if *last < key => Err(self.keys.len()),
            Some(_) => self.keys.binary_search(&key),
        }
    }

    fn shape(&self, at: usize) -> Option<&V> {
        self.shapes.get(usize::from(*self.kinds.get(at)?))
    }

    fn row(&self, at: usize) -> Option<V> {
        let mut row = self.shape(at)?.clone();
        row.set_moment(self.moments.get(at));
        Some(row)
    }

    /// The kind of a shape, where some row is of it.
    fn kind(&self, shape: &V) -> Option<u8> {
        let at = self.shapes.iter().position(|known| known == shape)?;
        u8::try_from(at).ok()
    }

    /// A new kind. Of 256 rows no more than 255 others are of different kinds.
    fn new_kind(&mut self, shape: V) -> u8 {
        self.shapes.push(shape);
        u8::try_from(self.shapes.len() - 1).unwrap_or(u8::MAX)
    }

    /// Drops a kind that no row is of any more.
    fn leave(&mut self, kind: u8) {
        if self.kinds.contains(&kind) {
            return;
        }
        self.shapes.swap_remove(usize::from(kind));
        let last = self.shapes.len();
        for other in &mut self.kinds {
            if usize::from(*other) == last {
                *other = kind;
            }
        }
    }

    fn set(&mut self, at: usize, mut row: V) {
        self.moments.set(at, row.take_moment(), self.keys.len());
        let old = self.kinds[at];
        match self.kind(&row) {
            Some(new) => {
                self.kinds[at] = new;
                self.leave(old);
            }
            None if self.kinds.iter().filter(|kind| **kind == old).count() == 1 => {
                self.shapes[usize::from(old)] = row;
            }
            None => self.kinds[at] = self.new_kind(row),
        }
    }

    fn insert(&mut self, at: usize, key: u8, mut row: V) {
        let moment = row.take_moment();
        let kind = match self.kind(&row) {
            Some(kind) => kind,
            None => self.new_kind(row),
        };
        self.keys.insert(at, key);
        self.kinds.insert(at, kind);
        self.moments.insert(at, moment, self.keys.len());
    }

    fn remove(&mut self, at: usize) {
        self.keys.remove(at);
        let kind = self.kinds.remove(at);
        self.moments.remove(at);
        self.leave(kind);
    }

    /// Whether it is one that could have come to be.
    fn is_sound(&self) -> bool {
        let len = self.keys.len();
        let known = |kind: &u8| usize::from(*kind) < self.shapes.len();
        (1..=ROWS).contains(&len)
            && self.keys.is_sorted_by(|a, b| a < b)
            && self.kinds.len() == len
            && self.kinds.iter().all(known)
            && self.moments.are_of(len)
    }
}

impl<V: Row> Table<V> {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn find(&self, handle: u32) -> Option<(&Block<V>, usize)> {
        let (block, key) = split(handle);
        let block = self.blocks.get(&block)?;
        Some((block, block.place(key).ok()?))
    }

    /// The row of a handle.
    pub fn get(&self, handle: &u32) -> Option<V> {
        let (block, at) = self.find(*handle)?;
        block.row(at)
    }

    /// The same as it stands, without its moment.
    pub fn shape(&self, handle: &u32) -> Option<&V> {
        let (block, at) = self.find(*handle)?;
        block.shape(at)
    }

    /// Whether a handle has a row.
    pub fn contains_key(&self, handle: &u32) -> bool {
        self.find(*handle).is_some()
    }

    /// Sets the row of a handle.
    pub fn insert(&mut self, handle: u32, row: V) {
        let (block, key) = split(handle);
        let block = self.blocks.entry(block).or_default();
        match block.place(key) {
            Ok(at) => block.set(at, row),
            Err(at) => {
                block.insert(at, key, row);
                self.len += 1;
            }
        }
    }

    /// Takes the row of a handle out.
    pub fn remove(&mut self, handle: &u32) -> Option<V> {
        let (number, key) = split(*handle);
        let block = self.blocks.get_mut(&number)?;
        let at = block.place(key).ok()?;
        let row = block.row(at);
        block.remove(at);
        if block.keys.is_empty() {
            self.blocks.remove(&number);
        }
        self.len -= 1;
        row
    }

    /// All rows by handle, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u32, V)> {
        self.blocks.iter().flat_map(|(number, block)| {
            let base = number << BITS;
            let rows = block.keys.iter().enumerate();
            rows.filter_map(move |(at, key)| Some((base | u32::from(*key), block.row(at)?)))
        })
    }

    /// All rows, by ascending handle.
    pub fn values(&self) -> impl Iterator<Item = V> {
        self.iter().map(|(_, row)| row)
    }

    /// The handles, ascending.
    pub fn keys(&self) -> impl Iterator<Item = u32> {
        self.blocks.iter().flat_map(|(number, block)| {
            let base = number << BITS;
            block.keys.iter().map(move |key| base | u32::from(*key))
        })
    }
}

/// The same rows: in which order their kinds came up means nothing.
impl<V: Row> PartialEq for Table<V> {
    fn eq(&self, other: &Table<V>) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

/// A block as a checkpoint holds it.
#[derive(Serialize, Deserialize)]
struct Packed<M, V> {
    number: u32,
    #[serde(with = "serde_bytes")]
    keys: Vec<u8>,
    #[serde(with = "serde_bytes")]
    kinds: Vec<u8>,
    moments: Vec<M>,
    shapes: Vec<V>,
}

impl<V: Row<Moment: Serialize> + Serialize> Serialize for Table<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.blocks.iter().map(|(number, block)| {
            let block = block.clone();
            Packed {
                number: *number,
                keys: block.keys,
                kinds: block.kinds,
                moments: block.moments.into_list(),
                shapes: block.shapes,
            }
        }))
    }
}

impl<'de, V: Row<Moment: Deserialize<'de>> + Deserialize<'de>> Deserialize<'de> for Table<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Table<V>, D::Error> {
        Table::read(deserializer, |_| {})
    }
}

impl<'de, V: Row<Moment: Deserialize<'de>> + Deserialize<'de>> Table<V> {
    /// Reads a table; `each` sees every row, or what several have in common, before the next is read.
    pub(super) fn read<D: Deserializer<'de>>(
        deserializer: D,
        each: impl FnMut(&mut V),
    ) -> Result<Table<V>, D::Error> {
        struct Rows<V, F>(F, PhantomData<V>);
        impl<'de, V, F> Visitor<'de> for Rows<V, F>
        where
            V: Row<Moment: Deserialize<'de>> + Deserialize<'de>,
            F: FnMut(&mut V),
        {
            type Value = Table<V>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("blocks of rows")
            }

            fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<Table<V>, A::Error> {
                let mut table = Table::default();
                while let Some(mut packed) = seq.next_element::<Packed<V::Moment, V>>()? {
                    packed.shapes.iter_mut().for_each(&mut self.0);
                    let block = Block {
                        keys: packed.keys,
                        kinds: packed.kinds,
                        moments: Moments::of(packed.moments),
                        shapes: packed.shapes,
                    };
                    if !block.is_sound() {
                        return Err(A::Error::custom("a block of rows does not add up"));
                    }
                    table.len += block.keys.len();
                    table.blocks.insert(packed.number, block);
                }
                Ok(table)
            }

            /// Versions before had a row each.
            fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Table<V>, A::Error> {
                let mut table = Table::default();
                while let Some((handle, mut row)) = map.next_entry()? {
                    (self.0)(&mut row);
                    table.insert(handle, row);
                }
                Ok(table)
            }
        }
        deserializer.deserialize_any(Rows(each, PhantomData))
    }
}

/// A set of handles, ascending: a bitmap, which a checkpoint holds as a list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Handles(RoaringBitmap);

impl Deref for Handles {
    type Target = RoaringBitmap;

    fn deref(&self) -> &RoaringBitmap {
        &self.0
    }
}

impl DerefMut for Handles {
    fn deref_mut(&mut self) -> &mut RoaringBitmap {
        &mut self.0
    }
}

impl Serialize for Handles {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeSeq;
        let len = usize::try_from(self.0.len()).ok();
        let mut seq = serializer.serialize_seq(len)?;
        for handle in &self.0 {
            seq.serialize_element(&handle)?;
        }
        seq.end()
    }
}

impl<'de> Deserialize<'de> for Handles {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Handles, D::Error> {
        struct List;
        impl<'de> serde::de::Visitor<'de> for List {
            type Value = Handles;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list of handles")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut seq: A,
            ) -> Result<Handles, A::Error> {
                let mut handles = RoaringBitmap::new();
                while let Some(handle) = seq.next_element()? {
                    handles.insert(handle);
                }
                Ok(Handles(handles))
            }
        }
        deserializer.deserialize_seq(List)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Two of them in a row are near each other.
    impl Moment for u8 {
        type Near = u8;

        fn near(self, base: u8) -> Option<u8> {
            match self {
                0 => Some(0),
                at => Some(at.checked_sub(base)? + 1).filter(|near| *near < 3),
            }
        }

        fn far(near: u8, base: u8) -> u8 {
            near.checked_sub(1).map_or(0, |near| base + near)
        }
    }

    /// Its low bits are its moment.
    impl Row for u16 {
        type Moment = u8;

        fn take_moment(&mut self) -> u8 {
            let moment = (*self & 3) as u8;
            *self &= !3;
            moment
        }

        fn set_moment(&mut self, moment: u8) {
            *self |= u16::from(moment);
        }
    }

    proptest! {
        #[test]
        fn a_table_holds_what_a_map_holds(
            steps in prop::collection::vec(
                (any::<bool>(), 0u32..900, prop_oneof![0u16..20, any::<u16>()]), 0..3000
            ),
            whole in any::<bool>(),
        ) {
            let mut table = Table::default();
            let mut map = BTreeMap::new();
            if whole {
                for handle in 200..800 {
                    table.insert(handle, 7);
                    map.insert(handle, 7);
                }
            }
            for (put, handle, row) in steps {
                if put {
                    table.insert(handle, row);
                    map.insert(handle, row);
                } else {
                    prop_assert_eq!(table.remove(&handle), map.remove(&handle));
                }
            }
            prop_assert!(table.blocks.values().all(Block::is_sound));
            let mut back: Table<u16> = rmp_serde::from_slice(&rmp_serde::to_vec(&table).unwrap()).unwrap();
            let before: Table<u16> = rmp_serde::from_slice(&rmp_serde::to_vec(&map).unwrap()).unwrap();
            prop_assert!(back == table && before == table);
            for table in [&table, &back, &before] {
                prop_assert_eq!(table.len(), map.len());
                prop_assert!(table.iter().eq(map.iter().map(|(handle, row)| (*handle, *row))));
                prop_assert!(table.keys().eq(map.keys().copied()));
                for handle in 0..1000 {
                    prop_assert_eq!(table.get(&handle), map.get(&handle).copied());
                    prop_assert_eq!(table.shape(&handle).copied(), map.get(&handle).map(|row| row & !3));
                }
            }
            back.insert(450, 9);
            prop_assert_eq!(back == table, map.get(&450) == Some(&9));
        }

        #[test]
        fn a_set_of_handles_is_a_list_in_a_checkpoint(handles in prop::collection::btree_set(any::<u32>(), 0..200)) {
            let handles: BTreeSet<u32> = handles;
            let set = Handles(handles.iter().copied().collect());
            let bytes = rmp_serde::to_vec(&set).unwrap();
            prop_assert_eq!(&bytes, &rmp_serde::to_vec(&handles).unwrap());
            prop_assert_eq!(rmp_serde::from_slice::<Handles>(&bytes).unwrap(), set);
        }
    }
}

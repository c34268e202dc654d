//! What is kept by handle: small, since there may be a million of each.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};

use roaring::RoaringBitmap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The bits of a handle that say which row of a block.
const BITS: u32 = 8;
/// Rows of a full block.
const ROWS: usize = 1 << BITS;

/// A map by handle, ascending. People who are found together have handles in a row: each block of 256 handles is two
/// lists, and costs a byte a row beside the rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Table<V> {
    blocks: BTreeMap<u32, Block<V>>,
    len: usize,
}

#[derive(Debug, Clone, PartialEq)]
struct Block<V> {
    /// The handles' last bits, ascending.
    keys: Vec<u8>,
    rows: Vec<V>,
}

impl<V> Default for Table<V> {
    fn default() -> Table<V> {
        Table {
            blocks: BTreeMap::new(),
            len: 0,
        }
    }
}

fn split(handle: u32) -> (u32, u8) {
    (handle >> BITS, (handle & (ROWS as u32 - 1)) as u8)
}

impl<V> Block<V> {
    fn place(&self, key: u8) -> Result<usize, usize> {
        // Of a full block each row stands in its own place; of one that is being filled the next comes last.
        match self.keys.last() {
            _ if self.keys.len() == ROWS => Ok(usize::from(key)),
            None => Err(0),
            Some(last) if *last < key => Err(self.keys.len()),
            Some(_) => self.keys.binary_search(&key),
        }
    }
}

impl<V> Table<V> {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The row of a handle.
    pub fn get(&self, handle: &u32) -> Option<&V> {
        let (block, key) = split(*handle);
        let block = self.blocks.get(&block)?;
        block.place(key).ok().and_then(|at| block.rows.get(at))
    }

    /// The row of a handle, to be changed.
    pub fn get_mut(&mut self, handle: &u32) -> Option<&mut V> {
        let (block, key) = split(*handle);
        let block = self.blocks.get_mut(&block)?;
        let at = block.place(key).ok()?;
        block.rows.get_mut(at)
    }

    /// Whether a handle has a row.
    pub fn contains_key(&self, handle: &u32) -> bool {
        self.get(handle).is_some()
    }

    /// The row of a handle, made by `new` where it has none.
    pub fn get_or_insert_with(&mut self, handle: u32, new: impl FnOnce() -> V) -> &mut V {
        let (block, key) = split(handle);
        let block = self.blocks.entry(block).or_insert_with(|| Block {
            keys: Vec::new(),
            rows: Vec::new(),
        });
        let at = match block.place(key) {
            Ok(at) => at,
            Err(at) => {
                block.keys.insert(at, key);
                block.rows.insert(at, new());
                self.len += 1;
                at
            }
        };
        &mut block.rows[at]
    }

    /// Sets the row of a handle.
    pub fn insert(&mut self, handle: u32, row: V) {
        let mut row = Some(row);
        if let Some(slot) = self.get_mut(&handle)
            && let Some(row) = row.take()
        {
            *slot = row;
        } else if let Some(row) = row {
            self.get_or_insert_with(handle, || row);
        }
    }

    /// Takes the row of a handle out.
    pub fn remove(&mut self, handle: &u32) -> Option<V> {
        let (number, key) = split(*handle);
        let block = self.blocks.get_mut(&number)?;
        let at = block.place(key).ok()?;
        block.keys.remove(at);
        let row = block.rows.remove(at);
        if block.keys.is_empty() {
            self.blocks.remove(&number);
        }
        self.len -= 1;
        Some(row)
    }

    /// All rows by handle, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &V)> {
        self.blocks.iter().flat_map(|(number, block)| {
            let base = number << BITS;
            let keys = block.keys.iter().map(move |key| base | u32::from(*key));
            keys.zip(&block.rows)
        })
    }

    /// All rows, by ascending handle.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.blocks.values().flat_map(|block| &block.rows)
    }

    /// The handles, ascending.
    pub fn keys(&self) -> impl Iterator<Item = u32> {
        self.iter().map(|(handle, _)| handle)
    }
}

#[cfg(test)]
impl<V> std::ops::Index<&u32> for Table<V> {
    type Output = V;

    fn index(&self, handle: &u32) -> &V {
        let (block, key) = split(*handle);
        let block = &self.blocks[&block];
        &block.rows[block.place(key).unwrap_or(ROWS)]
    }
}

impl<V: Serialize> Serialize for Table<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = serializer.serialize_map(Some(self.len))?;
        for (handle, row) in self.iter() {
            map.serialize_entry(&handle, row)?;
        }
        map.end()
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Table<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Table<V>, D::Error> {
        Table::read(deserializer, |_| {})
    }
}

impl<'de, V: Deserialize<'de>> Table<V> {
    /// Reads a table; `each` sees every row before the next is read.
    pub(super) fn read<D: Deserializer<'de>>(
        deserializer: D,
        each: impl FnMut(&mut V),
    ) -> Result<Table<V>, D::Error> {
        struct Rows<V, F>(F, std::marker::PhantomData<V>);
        impl<'de, V: Deserialize<'de>, F: FnMut(&mut V)> serde::de::Visitor<'de> for Rows<V, F> {
            type Value = Table<V>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("rows by handle")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                mut self,
                mut map: A,
            ) -> Result<Table<V>, A::Error> {
                let mut table = Table::default();
                while let Some((handle, mut row)) = map.next_entry()? {
                    (self.0)(&mut row);
                    table.insert(handle, row);
                }
                Ok(table)
            }
        }
        deserializer.deserialize_map(Rows(each, std::marker::PhantomData))
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

    proptest! {
        #[test]
        fn a_table_holds_what_a_map_holds(
            steps in prop::collection::vec((any::<bool>(), 0u32..900, any::<u16>()), 0..2000),
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
            let bytes = rmp_serde::to_vec(&table).unwrap();
            prop_assert_eq!(&bytes, &rmp_serde::to_vec(&map).unwrap(), "a checkpoint is that of a map");
            let back: Table<u16> = rmp_serde::from_slice(&bytes).unwrap();
            for table in [&table, &back] {
                prop_assert_eq!(table.len(), map.len());
                prop_assert!(table.iter().eq(map.iter().map(|(handle, row)| (*handle, row))));
                for handle in 0..1000 {
                    prop_assert_eq!(table.get(&handle), map.get(&handle));
                }
            }
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

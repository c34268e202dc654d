//! Typed thin wrappers over the smaller trees. Values are the caller's bytes, sealed with a
//! checksum and compressed. A write survives a SIGKILL once it returned, and a power cut once
//! [`super::Store::sync_database`] returned after it.

use super::StoreError;
use super::db::{Changes, Tree};
use crate::model::PersonId;

/// A key and its value.
pub(crate) type Record = (Vec<u8>, Vec<u8>);

/// Parts of a composed key are joined by NUL, which no name of ours can hold.
fn key(parts: &[&str]) -> Result<Vec<u8>, StoreError> {
    let mut out = Vec::new();
    for part in parts {
        if part.contains('\0') {
            return Err(StoreError::Encode {
                what: "a key",
                cause: "it holds a NUL character".to_owned(),
            });
        }
        out.extend_from_slice(part.as_bytes());
        out.push(0);
    }
    Ok(out)
}

/// Who the sources of a campaign found, in segments of about a thousand people.
#[derive(Debug, Clone)]
pub struct Audience(pub(crate) Tree);

impl Audience {
    fn segment(campaign: &str, source: &str, no: u32) -> Result<Vec<u8>, StoreError> {
        let mut key = key(&[campaign, source])?;
        key.extend_from_slice(&no.to_be_bytes());
        Ok(key)
    }

    /// Replaces everything that stands under a campaign's source, in one step: readers see the old
    /// segments or the new ones.
    pub fn replace(
        &self,
        campaign: &str,
        source: &str,
        segments: Vec<Vec<u8>>,
    ) -> Result<(), StoreError> {
        let mut changes = Changes::new();
        let end = prefix_end(&key(&[campaign, source])?);
        let surplus = Self::segment(campaign, source, segments.len() as u32)?;
        for old in self.0.keys(surplus, end)? {
            changes.push((old, None));
        }
        for (no, bytes) in segments.into_iter().enumerate() {
            changes.push((Self::segment(campaign, source, no as u32)?, Some(bytes)));
        }
        self.0.apply(changes)
    }

    /// Writes one segment, for a look-up that goes on page by page.
    pub fn put(
        &self,
        campaign: &str,
        source: &str,
        no: u32,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        self.0.put(&Self::segment(campaign, source, no)?, bytes)
    }

    /// The segments of a campaign's source, in order.
    pub fn get(&self, campaign: &str, source: &str) -> Result<Vec<Vec<u8>>, StoreError> {
        self.0
            .prefix(&key(&[campaign, source])?)
            .map(|pair| pair.map(|(_, value)| value))
            .collect()
    }

    /// Drops all that stands under a campaign. Answers the number of segments.
    pub fn remove(&self, campaign: &str) -> Result<usize, StoreError> {
        let from = key(&[campaign])?;
        let end = prefix_end(&from);
        let changes: Changes = self
            .0
            .keys(from, end)?
            .into_iter()
            .map(|key| (key, None))
            .collect();
        let count = changes.len();
        self.0.apply(changes)?;
        Ok(count)
    }
}

/// How far each source's look-up has come.
#[derive(Debug, Clone)]
pub struct Lookups(pub(crate) Tree);

impl Lookups {
    /// Sets the cursor of a campaign's source.
    pub fn put(&self, campaign: &str, source: &str, cursor: &[u8]) -> Result<(), StoreError> {
        self.0.put(&key(&[campaign, source])?, cursor)
    }

    /// The cursor of a campaign's source.
    pub fn get(&self, campaign: &str, source: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.get(&key(&[campaign, source])?)
    }

    /// Drops the cursor: the look-up is done, or starts anew.
    pub fn remove(&self, campaign: &str, source: &str) -> Result<(), StoreError> {
        self.0.apply(vec![(key(&[campaign, source])?, None)])
    }
}

/// Small values by name.
#[derive(Debug, Clone)]
pub struct Meta(pub(crate) Tree);

/// Names that begin so are the store's own.
const OWN: &str = "store/";

impl Meta {
    fn key(name: &str) -> Result<Vec<u8>, StoreError> {
        if name.starts_with(OWN) {
            return Err(StoreError::Encode {
                what: "a name",
                cause: format!("names under {OWN:?} belong to the store"),
            });
        }
        Ok(name.as_bytes().to_vec())
    }

    /// Sets a value.
    pub fn put(&self, name: &str, value: &[u8]) -> Result<(), StoreError> {
        self.0.put(&Self::key(name)?, value)
    }

    /// Reads a value.
    pub fn get(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.get(&Self::key(name)?)
    }

    /// Drops a value.
    pub fn remove(&self, name: &str) -> Result<(), StoreError> {
        self.0.apply(vec![(Self::key(name)?, None)])
    }

    /// The names that begin so, in order.
    pub fn names(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let from = Self::key(prefix)?;
        let end = prefix_end(&from);
        self.0
            .keys(from, end)?
            .into_iter()
            .map(|key| {
                String::from_utf8(key)
                    .map_err(|_| StoreError::corrupt("tree meta", "a name is not text"))
            })
            .collect()
    }

    pub(crate) fn own_u64(&self, name: &str) -> Result<Option<u64>, StoreError> {
        let key = format!("{OWN}{name}");
        let Some(value) = self.0.get(key.as_bytes())? else {
            return Ok(None);
        };
        let bytes: [u8; 8] = value.as_slice().try_into().map_err(|_| {
            StoreError::corrupt(format!("tree meta, key {key:?}"), "it is not a number")
        })?;
        Ok(Some(u64::from_be_bytes(bytes)))
    }

    pub(crate) fn put_own(&self, name: &str, value: &[u8]) -> Result<(), StoreError> {
        self.0.put(format!("{OWN}{name}").as_bytes(), value)
    }

    pub(crate) fn own(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.get(format!("{OWN}{name}").as_bytes())
    }
}

/// What was said with each person: personal data, erasable.
#[derive(Debug, Clone)]
pub struct Conversations(pub(crate) Tree);

impl Conversations {
    /// Writes line `no` of the conversation with a person.
    pub fn put(&self, person: PersonId, no: u64, bytes: &[u8]) -> Result<(), StoreError> {
        let mut key = person.0.to_be_bytes().to_vec();
        key.extend_from_slice(&no.to_be_bytes());
        self.0.put(&key, bytes)
    }

    /// The conversation with a person, in order.
    pub fn get(&self, person: PersonId) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        let prefix = person.0.to_be_bytes();
        self.0
            .prefix(&prefix)
            .map(|pair| {
                let (key, value) = pair?;
                let no = key
                    .get(prefix.len()..)
                    .and_then(|no| no.try_into().ok())
                    .map(u64::from_be_bytes)
                    .ok_or_else(|| {
                        StoreError::corrupt("tree conversations", "a key has a wrong length")
                    })?;
                Ok((no, value))
            })
            .collect()
    }

    /// Drops one line.
    pub fn remove_line(&self, person: PersonId, no: u64) -> Result<(), StoreError> {
        let mut key = person.0.to_be_bytes().to_vec();
        key.extend_from_slice(&no.to_be_bytes());
        self.0.apply(vec![(key, None)])
    }

    /// Drops every line of which `is_old` says so. Answers the number of lines.
    pub fn prune(&self, is_old: impl Fn(&[u8]) -> bool) -> Result<usize, StoreError> {
        /// Lines dropped in one step: a batch is held in memory.
        const AT_ONCE: usize = 1_000;
        let mut count = 0;
        let mut old: Changes = Vec::new();
        for pair in self.0.prefix(&[]) {
            let (key, value) = pair?;
            if is_old(&value) {
                old.push((key, None));
                count += 1;
            }
            if old.len() >= AT_ONCE {
                self.0.apply(std::mem::take(&mut old))?;
            }
        }
        self.0.apply(old)?;
        Ok(count)
    }

    /// Drops the conversation with a person. Answers the number of lines.
    pub fn remove(&self, person: PersonId) -> Result<usize, StoreError> {
        let from = person.0.to_be_bytes().to_vec();
        // The last line's number would be u64::MAX, which no conversation reaches.
        let end = [from.as_slice(), &[0xFF; 8]].concat();
        let changes: Changes = self
            .0
            .keys(from, end)?
            .into_iter()
            .map(|key| (key, None))
            .collect();
        let count = changes.len();
        self.0.apply(changes)?;
        Ok(count)
    }
}

/// The least key above all that begin with `prefix`, which must not be all 0xFF.
fn prefix_end(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < 0xFF {
            end.push(last + 1);
            break;
        }
    }
    end
}

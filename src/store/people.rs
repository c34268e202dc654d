//! People: personal data, in one place that can be erased.
//!
//! Single rows with random keys cost the database 26 s and up to 4 GB of memory for a million
//! people. So people stand in pages of about a thousand with ascending numbers; the newest page
//! that holds a person is right. An index in memory says which page that is; pages with few people
//! left are merged.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::StoreError;
use super::codec::{items, put_item};
use super::db::{Changes, Tree};
use crate::model::{PersonId, Roll};

/// People in a page.
const PAGE_PEOPLE: usize = 1_000;
/// A page of people with much to say ends earlier.
const PAGE_BYTES: usize = 256 << 10;
/// Pages that are less than half full before they are merged: every change of one person makes a
/// page of its own, so this is how many such changes share one merging.
const MERGE_AT: usize = 64;
/// One person: names, phones, fields of a CSV row.
const MAX_PERSON_BYTES: usize = 64 << 10;

/// The people tree. Clones share one index.
#[derive(Debug, Clone)]
pub struct People {
    tree: Tree,
    index: Arc<Mutex<Option<Index>>>,
}

#[derive(Debug, Default)]
struct Index {
    page_of: PageOf,
    pages: BTreeMap<u64, Page>,
}

/// The newest page of each person: 24 bytes a person, of whom there may be a million.
#[derive(Debug, Default)]
struct PageOf {
    roll: Roll,
    /// By his number; 0 for somebody who is gone.
    pages: Vec<u64>,
    known: usize,
}

impl PageOf {
    fn get(&self, person: PersonId) -> Option<u64> {
        let number = self.roll.number(person)?;
        self.pages
            .get(number as usize)
            .copied()
            .filter(|page| *page > 0)
    }

    /// Answers with the page before.
    fn insert(&mut self, person: PersonId, page: u64) -> Option<u64> {
        let (number, new) = self.roll.enter(person);
        if new {
            self.pages.push(0);
        }
        let slot = self.pages.get_mut(number as usize)?;
        let before = std::mem::replace(slot, page);
        if before == 0 {
            self.known += 1;
        }
        Some(before).filter(|page| *page > 0)
    }

    fn remove(&mut self, person: PersonId) {
        let slot = self
            .roll
            .number(person)
            .and_then(|number| self.pages.get_mut(number as usize));
        if let Some(slot) = slot.filter(|slot| **slot > 0) {
            *slot = 0;
            self.known -= 1;
        }
    }
}

#[derive(Debug, Default, Clone, Copy)]
struct Page {
    /// People in it, those with a newer page too.
    total: usize,
    /// People for whom it is the newest.
    live: usize,
    /// Bytes of all in it.
    bytes: usize,
}

impl Page {
    /// Less than half full, by people and by the bytes of those who still count.
    fn is_thin(self) -> bool {
        self.live * 2 < PAGE_PEOPLE && self.bytes * self.live / self.total.max(1) * 2 < PAGE_BYTES
    }
}

impl Index {
    fn next_page(&self) -> u64 {
        self.pages.last_key_value().map_or(1, |(page, _)| page + 1)
    }

    fn place(&mut self, person: PersonId, size: usize, page: u64) {
        if let Some(old) = self.page_of.insert(person, page)
            && let Some(old) = self.pages.get_mut(&old)
        {
            old.live -= 1;
        }
        let entry = self.pages.entry(page).or_default();
        entry.total += 1;
        entry.live += 1;
        entry.bytes += size;
    }
}

/// A person and his data.
type Entry<'a> = (PersonId, &'a [u8]);

fn put_entry(out: &mut Vec<u8>, (person, bytes): Entry<'_>) {
    put_item(out, &person.0.to_le_bytes());
    put_item(out, bytes);
}

fn decode(page: u64, body: &[u8]) -> Result<Vec<Entry<'_>>, StoreError> {
    let entries = || {
        items(body)?
            .chunks(2)
            .map(|pair| match pair {
                [id, bytes] => {
                    let id = i64::from_le_bytes((*id).try_into().ok()?);
                    Some((PersonId(id), *bytes))
                }
                _ => None,
            })
            .collect::<Option<Vec<_>>>()
    };
    entries().ok_or_else(|| {
        StoreError::corrupt(
            format!("tree people, page {page}"),
            "its lengths do not add up",
        )
    })
}

fn page_no(key: &[u8]) -> Result<u64, StoreError> {
    key.try_into()
        .map(u64::from_be_bytes)
        .map_err(|_| StoreError::corrupt("tree people", "a page's key has a wrong length"))
}

impl People {
    pub(crate) fn new(tree: Tree) -> Self {
        Self {
            tree,
            index: Arc::default(),
        }
    }

    pub(crate) fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The index, read from all pages at the first use.
    fn index(&self) -> Result<IndexGuard<'_>, StoreError> {
        let mut guard = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        if guard.is_none() {
            let mut index = Index::default();
            for pair in self.tree.prefix(&[]) {
                let (key, body) = pair?;
                let page = page_no(&key)?;
                index.pages.insert(page, Page::default());
                for (person, bytes) in decode(page, &body)? {
                    index.place(person, bytes.len(), page);
                }
            }
            *guard = Some(index);
        }
        Ok(IndexGuard(guard))
    }

    /// Writes people in one step, replacing what was known of them. Of one person named twice the
    /// last is right.
    pub fn put(&self, people: &[(PersonId, Vec<u8>)]) -> Result<(), StoreError> {
        for (_, bytes) in people {
            if bytes.len() > MAX_PERSON_BYTES {
                return Err(StoreError::TooLarge {
                    what: "a person's data",
                    size: bytes.len(),
                    limit: MAX_PERSON_BYTES,
                });
            }
        }
        if people.is_empty() {
            return Ok(());
        }
        let mut guard = self.index()?;
        let index = guard.get()?;
        let mut changes = Changes::new();
        let mut named = HashSet::with_capacity(people.len());
        let mut newest: Vec<Entry<'_>> = people
            .iter()
            .rev()
            .filter(|(person, _)| named.insert(*person))
            .map(|(person, bytes)| (*person, bytes.as_slice()))
            .collect();
        newest.reverse();
        write_pages(index, newest.into_iter(), &mut changes);
        let result = self
            .merge(index, &mut changes)
            .and_then(|()| self.tree.apply(changes));
        guard.keep_if(result)
    }

    /// Merges pages with few people left into full ones, and drops empty ones.
    fn merge(&self, index: &mut Index, changes: &mut Changes) -> Result<(), StoreError> {
        let empty: Vec<u64> = index
            .pages
            .iter()
            .filter(|(_, page)| page.live == 0)
            .map(|(no, _)| *no)
            .collect();
        for no in empty {
            index.pages.remove(&no);
            changes.push((no.to_be_bytes().to_vec(), None));
        }
        let thin: Vec<u64> = index
            .pages
            .iter()
            .filter(|(_, page)| page.is_thin())
            .map(|(no, _)| *no)
            .collect();
        if thin.len() <= MERGE_AT {
            return Ok(());
        }
        // Pages of this very batch are not in the tree yet.
        let fresh: HashMap<Vec<u8>, Vec<u8>> = changes
            .iter()
            .filter_map(|(key, body)| Some((key.clone(), body.clone()?)))
            .collect();
        let mut people: Vec<(PersonId, Vec<u8>)> = Vec::new();
        for no in &thin {
            let key = no.to_be_bytes().to_vec();
            let body = match fresh.get(&key) {
                Some(body) => Some(body.clone()),
                None => self.tree.get(&key)?,
            };
            let Some(body) = body else {
                return Err(StoreError::corrupt(
                    format!("tree people, page {no}"),
                    "it is missing",
                ));
            };
            for (person, bytes) in decode(*no, &body)? {
                if index.page_of.get(person) == Some(*no) {
                    people.push((person, bytes.to_vec()));
                }
            }
        }
        let ordered = people
            .iter()
            .map(|(person, bytes)| (*person, bytes.as_slice()));
        write_pages(index, ordered, changes);
        for no in thin {
            index.pages.remove(&no);
            changes.push((no.to_be_bytes().to_vec(), None));
        }
        Ok(())
    }

    /// What is known of a person.
    pub fn get(&self, person: PersonId) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self
            .get_with_neighbours(person)?
            .into_iter()
            .find(|(other, _)| *other == person)
            .map(|(_, bytes)| bytes))
    }

    /// A person and all others who stand in his page with what is known of them now: people who were found together are
    /// written to together, and unpacking a page costs the same for one as for all. Empty where he is not known.
    pub fn get_with_neighbours(
        &self,
        person: PersonId,
    ) -> Result<Vec<(PersonId, Vec<u8>)>, StoreError> {
        let mut guard = self.index()?;
        let index = guard.get()?;
        let Some(page) = index.page_of.get(person) else {
            return Ok(Vec::new());
        };
        let Some(body) = self.tree.get(&page.to_be_bytes())? else {
            return Err(StoreError::corrupt(
                format!("tree people, page {page}"),
                "it is missing",
            ));
        };
        Ok(decode(page, &body)?
            .into_iter()
            .filter(|(other, _)| index.page_of.get(*other) == Some(page))
            .map(|(other, bytes)| (other, bytes.to_vec()))
            .collect())
    }

    /// Of each of these people, whether anything is known.
    pub fn known(&self, people: &[PersonId]) -> Result<Vec<bool>, StoreError> {
        let mut guard = self.index()?;
        let index = guard.get()?;
        Ok(people
            .iter()
            .map(|person| index.page_of.get(*person).is_some())
            .collect())
    }

    /// How many people are known.
    pub fn len(&self) -> Result<usize, StoreError> {
        let mut guard = self.index()?;
        Ok(guard.get()?.page_of.known)
    }

    /// Whether nobody is known.
    pub fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(self.len()? == 0)
    }

    /// Calls `each` with every person and his data, in no particular order.
    pub fn scan(&self, mut each: impl FnMut(PersonId, &[u8])) -> Result<(), StoreError> {
        let mut guard = self.index()?;
        let index = guard.get()?;
        for pair in self.tree.prefix(&[]) {
            let (key, body) = pair?;
            let page = page_no(&key)?;
            for (person, bytes) in decode(page, &body)? {
                if index.page_of.get(person) == Some(page) {
                    each(person, bytes);
                }
            }
        }
        Ok(())
    }

    /// Erases people: every page that holds a copy of theirs, outdated ones too, is written anew
    /// without it. Answers how many were known. The database's file holds the old pages until it
    /// uses their room again.
    pub fn remove(&self, people: &[PersonId]) -> Result<usize, StoreError> {
        let mut guard = self.index()?;
        let index = guard.get()?;
        let gone: HashSet<PersonId> = people.iter().copied().collect();
        let mut changes = Changes::new();
        let mut removed = 0;
        let mut pages = BTreeMap::new();
        for pair in self.tree.prefix(&[]) {
            let (key, body) = pair?;
            let no = page_no(&key)?;
            let entries = decode(no, &body)?;
            if !entries.iter().any(|(person, _)| gone.contains(person)) {
                continue;
            }
            let mut out = Vec::new();
            let mut live = 0;
            for (person, bytes) in entries {
                let current = index.page_of.get(person) == Some(no);
                if current && gone.contains(&person) {
                    removed += 1;
                } else if current {
                    put_entry(&mut out, (person, bytes));
                    live += 1;
                }
            }
            let page = Page {
                total: live,
                live,
                bytes: out.len(),
            };
            pages.insert(no, page);
            changes.push((key, (live > 0).then_some(out)));
        }
        let result = self.tree.apply(changes);
        if result.is_ok() {
            for person in gone {
                index.page_of.remove(person);
            }
            for (no, page) in pages {
                if page.live == 0 {
                    index.pages.remove(&no);
                } else {
                    index.pages.insert(no, page);
                }
            }
        }
        guard.keep_if(result).map(|()| removed)
    }
}

/// Puts people into new pages at the end.
fn write_pages<'a>(
    index: &mut Index,
    people: impl Iterator<Item = Entry<'a>>,
    changes: &mut Changes,
) {
    let mut no = index.next_page();
    let mut body = Vec::new();
    let mut count = 0;
    for (person, bytes) in people {
        if count > 0 && (count == PAGE_PEOPLE || body.len() + bytes.len() > PAGE_BYTES) {
            changes.push((no.to_be_bytes().to_vec(), Some(std::mem::take(&mut body))));
            no += 1;
            count = 0;
        }
        put_entry(&mut body, (person, bytes));
        index.place(person, bytes.len(), no);
        count += 1;
    }
    if count > 0 {
        changes.push((no.to_be_bytes().to_vec(), Some(body)));
    }
}

struct IndexGuard<'a>(MutexGuard<'a, Option<Index>>);

impl IndexGuard<'_> {
    fn get(&mut self) -> Result<&mut Index, StoreError> {
        self.0.as_mut().ok_or(StoreError::Closed)
    }

    /// Forgets the index when the tree was not changed as the index already says.
    fn keep_if<T>(&mut self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if result.is_err() {
            *self.0 = None;
        }
        result
    }
}

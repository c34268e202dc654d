//! People: personal data, in one place that can be erased.
//!
//! Single rows with random keys cost the database 26 s and up to 4 GB of memory for a million
//! people. So people stand in pages of about a thousand with ascending numbers; the newest page
//! that holds a person is right. An index in memory says which page that is; pages with few people
//! left are merged.
//!
//! Beside each page, written in one step with it, stands a row that says who is in it: a start reads a thousand such rows
//! of some hundred bytes, and no page before somebody in it is asked for.

mod page_of;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::StoreError;
use super::codec::{items, le_u32, le_u64, put_item};
use super::db::{Changes, Tree};
use super::trees::Record;
use crate::model::PersonId;
use page_of::PageOf;

/// People in a page.
const PAGE_PEOPLE: usize = 1_000;
/// A page of people with much to say ends earlier.
const PAGE_BYTES: usize = 256 << 10;
/// Pages that are less than half full before they are merged: every change of one person makes a
/// page of its own, so this is how many such changes share one merging.
const MERGE_AT: usize = 64;
/// One person: names, phones, fields of a CSV row.
const MAX_PERSON_BYTES: usize = 64 << 10;
/// The keys of the rows that say who is in a page begin with this, after all pages; the page's key follows. Alone it is
/// the key of [`ALL_LISTED`].
const LISTS: u8 = 0xFF;
/// Says that every page has such a row: states of before have none.
const ALL_LISTED: &[u8] = &[1];

/// The people tree. Clones share one index.
#[derive(Debug, Clone)]
pub struct People {
    tree: Tree,
    index: Arc<Mutex<Option<Index>>>,
}

#[derive(Debug, Default)]
struct Index {
    page_of: PageOf,
    pages: BTreeMap<u32, Page>,
    /// Every page has its row that says who is in it.
    listed: bool,
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
    fn next_page(&self) -> u32 {
        self.pages.last_key_value().map_or(1, |(page, _)| page + 1)
    }

    /// Takes over whom a page holds, which is the newest of all so far.
    fn place(&mut self, page: u32, list: &List) {
        let mut entry = Page {
            total: list.people.len(),
            live: 0,
            bytes: list.bytes as usize,
        };
        for person in &list.people {
            match self.page_of.insert(*person, page) {
                // Twice in one page.
                Some(old) if old == page => continue,
                Some(old) => {
                    if let Some(old) = self.pages.get_mut(&old) {
                        old.live -= 1;
                    }
                }
                None => {}
            }
            entry.live += 1;
        }
        self.pages.insert(page, entry);
    }
}

/// Who is in a page.
#[derive(Debug, Default)]
struct List {
    people: Vec<PersonId>,
    /// Bytes of what is known of all of them.
    bytes: u32,
}

impl List {
    fn add(&mut self, (person, bytes): Entry<'_>) {
        self.people.push(person);
        self.bytes = self.bytes.saturating_add(bytes.len() as u32);
    }

    /// Each id as its distance from the one before: those of people in a row are all the same, and take no room packed.
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(4 + self.people.len() * 8);
        out.extend_from_slice(&self.bytes.to_le_bytes());
        let mut before = 0i64;
        for person in &self.people {
            out.extend_from_slice(&person.0.wrapping_sub(before).to_le_bytes());
            before = person.0;
        }
        out
    }

    fn decode(page: u32, row: &[u8]) -> Result<List, StoreError> {
        let read = || {
            let bytes = le_u32(row, 0)?;
            let distances = row.get(4..)?;
            let mut before = 0i64;
            let people = distances.chunks(8).map(|distance| {
                before = before.wrapping_add(le_u64(distance, 0)?.cast_signed());
                Some(PersonId(before))
            });
            let people = people.collect::<Option<Vec<_>>>()?;
            Some(List { people, bytes })
        };
        read().ok_or_else(|| wrong(page, "its list has a wrong length"))
    }

    fn of(entries: &[Entry<'_>]) -> List {
        let mut list = List::default();
        for entry in entries {
            list.add(*entry);
        }
        list
    }
}

/// A person and his data.
type Entry<'a> = (PersonId, &'a [u8]);

fn put_entry(out: &mut Vec<u8>, (person, bytes): Entry<'_>) {
    put_item(out, &person.0.to_le_bytes());
    put_item(out, bytes);
}

fn decode(page: u32, body: &[u8]) -> Result<Vec<Entry<'_>>, StoreError> {
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
    entries().ok_or_else(|| wrong(page, "its lengths do not add up"))
}

fn wrong(page: u32, what: &str) -> StoreError {
    StoreError::corrupt(format!("tree people, page {page}"), what)
}

fn page_key(page: u32) -> Vec<u8> {
    u64::from(page).to_be_bytes().to_vec()
}

fn list_key(page: u32) -> Vec<u8> {
    let mut key = vec![LISTS];
    key.extend(page_key(page));
    key
}

fn page_no(key: &[u8]) -> Result<u32, StoreError> {
    key.try_into()
        .ok()
        .and_then(|key| u32::try_from(u64::from_be_bytes(key)).ok())
        .ok_or_else(|| StoreError::corrupt("tree people", "a page's key has a wrong length"))
}

/// Writes a page, and who is in it.
fn write_page(page: u32, body: Vec<u8>, list: &List, changes: &mut Changes) {
    changes.push((page_key(page), Some(body)));
    changes.push((list_key(page), Some(list.encode())));
}

fn drop_page(page: u32, changes: &mut Changes) {
    changes.push((page_key(page), None));
    changes.push((list_key(page), None));
}

/// A page as it was read: everybody in it, those too of whom a newer one says more.
#[derive(Debug)]
pub struct PersonPage {
    body: Vec<u8>,
    /// Where each one's bytes stand, ascending by the person.
    rows: Vec<(PersonId, Range<u32>)>,
}

impl PersonPage {
    fn of(page: u32, body: Vec<u8>) -> Result<PersonPage, StoreError> {
        let start = body.as_ptr().addr();
        let mut rows: Vec<_> = decode(page, &body)?
            .into_iter()
            .map(|(person, bytes)| {
                let from = bytes.as_ptr().addr() - start;
                (person, from as u32..(from + bytes.len()) as u32)
            })
            .collect();
        rows.sort_by_key(|(person, _)| *person);
        Ok(PersonPage { body, rows })
    }

    /// The bytes that were put of a person; nothing where he is not in it.
    pub fn row(&self, person: PersonId) -> Option<&[u8]> {
        let at = self
            .rows
            .binary_search_by_key(&person, |(id, _)| *id)
            .ok()?;
        let (_, place) = self.rows.get(at)?;
        self.body.get(place.start as usize..place.end as usize)
    }
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

    /// The index, read at the first use.
    fn index(&self) -> Result<IndexGuard<'_>, StoreError> {
        let mut guard = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        if guard.is_none() {
            let mut index = Index {
                listed: self.tree.get(&[LISTS])?.is_some(),
                ..Index::default()
            };
            if index.listed {
                for pair in self.tree.range(list_key(0), None) {
                    let (key, row) = pair?;
                    let page = page_no(key.get(1..).unwrap_or_default())?;
                    index.place(page, &List::decode(page, &row)?);
                }
            } else {
                for pair in self.pages() {
                    let (key, body) = pair?;
                    let page = page_no(&key)?;
                    index.place(page, &List::of(&decode(page, &body)?));
                }
            }
            *guard = Some(index);
        }
        Ok(IndexGuard(guard))
    }

    /// All pages, ascending.
    fn pages(&self) -> impl Iterator<Item = Result<Record, StoreError>> {
        self.tree.range(Vec::new(), Some(vec![LISTS]))
    }

    /// The rows that say who is in each page, where they were not written yet: a state of before is about to be written
    /// to. What the caller writes besides goes after them, in the same step.
    fn lists(&self, index: &mut Index) -> Result<Changes, StoreError> {
        let mut changes = Changes::new();
        if index.listed {
            return Ok(changes);
        }
        for pair in self.pages() {
            let (key, body) = pair?;
            let page = page_no(&key)?;
            let list = List::of(&decode(page, &body)?);
            changes.push((list_key(page), Some(list.encode())));
        }
        changes.push((vec![LISTS], Some(ALL_LISTED.to_vec())));
        index.listed = true;
        Ok(changes)
    }

    /// Writes people in one step, replacing what was known of them. Of one person named twice the
    /// last is right.
    pub fn put<B: AsRef<[u8]>>(&self, people: &[(PersonId, B)]) -> Result<(), StoreError> {
        for (_, bytes) in people {
            let bytes = bytes.as_ref();
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
        let ascending = people.is_sorted_by(|(one, _), (next, _)| one < next);
        let mut named = HashSet::new();
        let mut newest: Vec<Entry<'_>> = people
            .iter()
            .rev()
            .filter(|(person, _)| ascending || named.insert(*person))
            .map(|(person, bytes)| (*person, bytes.as_ref()))
            .collect();
        newest.reverse();
        write_pages(index, newest.into_iter(), &mut changes);
        let result = self
            .merge(index, &mut changes)
            .and_then(|()| self.write(index, changes));
        guard.keep_if(result)
    }

    /// Writes the changes in one step.
    fn write(&self, index: &mut Index, changes: Changes) -> Result<(), StoreError> {
        let mut all = self.lists(index)?;
        all.extend(changes);
        self.tree.apply(all)
    }

    /// Merges pages with few people left into full ones, and drops empty ones.
    fn merge(&self, index: &mut Index, changes: &mut Changes) -> Result<(), StoreError> {
        let empty: Vec<u32> = index
            .pages
            .iter()
            .filter(|(_, page)| page.live == 0)
            .map(|(no, _)| *no)
            .collect();
        for no in empty {
            index.pages.remove(&no);
            drop_page(no, changes);
        }
        let thin: Vec<u32> = index
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
            let key = page_key(*no);
            let body = match fresh.get(&key) {
                Some(body) => Some(body.clone()),
                None => self.tree.get(&key)?,
            };
            let Some(body) = body else {
                return Err(wrong(*no, "it is missing"));
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
            drop_page(no, changes);
        }
        Ok(())
    }

    /// What is known of a person.
    pub fn get(&self, person: PersonId) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(page) = self.page_of(person)? else {
            return Ok(None);
        };
        Ok(self.page(page)?.row(person).map(<[u8]>::to_vec))
    }

    /// The number of the page that says what is known of a person; nothing where he is not known. While nobody is removed,
    /// a page of that number never says anything else.
    pub fn page_of(&self, person: PersonId) -> Result<Option<u32>, StoreError> {
        let mut guard = self.index()?;
        Ok(guard.get()?.page_of.get(person))
    }

    /// A page by its number: people who were found together are written to together, and unpacking a page costs the same
    /// for one as for all. It must not have been merged since [`People::page_of`] named it: whoever writes people is who
    /// reads them.
    pub fn page(&self, page: u32) -> Result<PersonPage, StoreError> {
        match self.tree.get(&page_key(page))? {
            Some(body) => PersonPage::of(page, body),
            None => Err(wrong(page, "it is missing")),
        }
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
        Ok(guard.get()?.page_of.known())
    }

    /// Whether nobody is known.
    pub fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(self.len()? == 0)
    }

    /// Calls `each` with every person and his data, in no particular order.
    pub fn scan(&self, mut each: impl FnMut(PersonId, &[u8])) -> Result<(), StoreError> {
        let mut guard = self.index()?;
        let index = guard.get()?;
        for pair in self.pages() {
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
        for pair in self.pages() {
            let (key, body) = pair?;
            let no = page_no(&key)?;
            let entries = decode(no, &body)?;
            if !entries.iter().any(|(person, _)| gone.contains(person)) {
                continue;
            }
            let mut out = Vec::new();
            let mut list = List::default();
            for (person, bytes) in entries {
                let current = index.page_of.get(person) == Some(no);
                if current && gone.contains(&person) {
                    removed += 1;
                } else if current {
                    put_entry(&mut out, (person, bytes));
                    list.add((person, bytes));
                }
            }
            let live = list.people.len();
            let page = Page {
                total: live,
                live,
                bytes: list.bytes as usize,
            };
            pages.insert(no, page);
            if live > 0 {
                write_page(no, out, &list, &mut changes);
            } else {
                drop_page(no, &mut changes);
            }
        }
        let result = self.write(index, changes);
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
    let (mut body, mut list) = (Vec::new(), List::default());
    let mut end = |body: &mut Vec<u8>, list: &mut List| {
        let (body, list) = (std::mem::take(body), std::mem::take(list));
        let no = index.next_page();
        index.place(no, &list);
        write_page(no, body, &list, changes);
    };
    for (person, bytes) in people {
        let count = list.people.len();
        if count > 0 && (count == PAGE_PEOPLE || body.len() + bytes.len() > PAGE_BYTES) {
            end(&mut body, &mut list);
        }
        put_entry(&mut body, (person, bytes));
        list.add((person, bytes));
    }
    if !list.people.is_empty() {
        end(&mut body, &mut list);
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_list_comes_back_as_it_was(ids in prop::collection::vec(any::<i64>(), 0..50), bytes: u32) {
            let list = List { people: ids.into_iter().map(PersonId).collect(), bytes };
            let back = List::decode(1, &list.encode()).unwrap();
            prop_assert_eq!(back.people, list.people);
            prop_assert_eq!(back.bytes, bytes);
        }
    }
}

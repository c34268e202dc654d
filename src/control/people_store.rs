//! Who is who, out of the store, with what was asked lately kept in memory.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::operator::suppressed::Suppressed;
use crate::model::{
    AccountName, Contact, Line, LineKey, LineKind, Person, PersonId, RefHash, contact_of_row,
    hash_in_row,
};
use crate::observed::Suppression;
use crate::people::People;
use crate::store::{self, StoreError};

/// Pages that are kept in memory as they were read, each of at most 256 KB.
const MAX_PAGES: usize = 64;

/// People kept in memory as they were asked for: of those whom an account takes up, much is asked within one pass.
const MAX_PEOPLE: usize = 2_000;

/// A change of more people than this is a page of a source: they are read again by the page, when they are asked for.
const KEPT_AT_ONCE: usize = 64;

/// Bytes of a person's row, a few columns of a file among them: so much room is made for each.
const ROW: usize = 224;

/// The people tree as the planner sees it.
pub(crate) struct PeopleStore {
    tree: Option<store::People>,
    conversations: Option<store::Conversations>,
    cache: Mutex<Cache>,
    /// People were written that the end of the process would still take.
    unsaved: AtomicBool,
    /// Whom the suppression list names by reference.
    suppressed: Suppressed,
    /// Lines of conversations were written that the end of the machine would still take.
    unsaid: AtomicBool,
}

/// What was read lately.
#[derive(Default)]
struct Cache {
    /// Those who were asked for; `None`: nothing is known of him.
    people: HashMap<PersonId, Option<Person>>,
    pages: Pages,
    /// Whoever was glanced at last.
    glanced: Person,
}

impl Cache {
    fn keep(&mut self, person: PersonId, known: Option<Person>) {
        if self.people.len() >= MAX_PEOPLE {
            self.people.clear();
        }
        self.people.insert(person, known);
    }
}

/// Pages that were read lately, whose people are asked for together: they were found together. Somebody who is written
/// anew stands in another page from then on, so that none of them is ever out of date.
#[derive(Default)]
struct Pages {
    of: HashMap<u32, store::PersonPage>,
    /// The one that was read first is dropped first.
    order: VecDeque<u32>,
}

impl Pages {
    /// What a person's page says of him; nothing where he is not known.
    fn row(&mut self, tree: &store::People, person: PersonId) -> Result<Option<&[u8]>, StoreError> {
        let Some(page) = tree.page_of(person)? else {
            return Ok(None);
        };
        if !self.of.contains_key(&page) {
            let read = tree.page(page)?;
            if self.order.len() >= MAX_PAGES
                && let Some(first) = self.order.pop_front()
            {
                self.of.remove(&first);
            }
            self.order.push_back(page);
            self.of.insert(page, read);
        }
        Ok(self.of.get(&page).and_then(|read| read.row(person)))
    }
}

/// People of whom each has a row already: who reads a source makes them, so that whoever writes them down has little to
/// do.
pub(crate) struct Encoded {
    people: Vec<(PersonId, Range<usize>)>,
    rows: Vec<u8>,
}

impl Encoded {
    /// Of people each of whom is named once.
    pub(crate) fn of(people: &[(PersonId, Person)]) -> Encoded {
        let mut rows = Vec::with_capacity(people.len() * ROW);
        let people = people.iter().filter_map(|(id, person)| {
            let start = rows.len();
            match rmp_serde::encode::write_named(&mut rows, person) {
                Ok(()) => Some((*id, start..rows.len())),
                Err(error) => {
                    tracing::error!(%error, "a person could not be encoded");
                    rows.truncate(start);
                    None
                }
            }
        });
        Encoded {
            people: people.collect(),
            rows,
        }
    }

    /// Who they are.
    pub(crate) fn ids(&self) -> Vec<PersonId> {
        self.people.iter().map(|(id, _)| *id).collect()
    }

    fn iter(&self) -> impl Iterator<Item = (PersonId, &[u8])> {
        let of =
            |(id, range): &(PersonId, Range<usize>)| Some((*id, self.rows.get(range.clone())?));
        self.people.iter().filter_map(of)
    }
}

/// Whether nobody is named twice. People of a source come in the order of their ids more often than not.
fn are_distinct(people: &[PersonId]) -> bool {
    let mut named = HashSet::new();
    people.is_sorted_by(|one, next| one < next) || people.iter().all(|id| named.insert(*id))
}

/// Reads a row into somebody who was read before. Answers whether it could be read.
fn read_into(person: &mut Person, row: &[u8]) -> bool {
    if person.become_row(row) {
        return true;
    }
    match rmp_serde::from_slice(row) {
        Ok(read) => *person = read,
        Err(error) => {
            tracing::error!(%error, "a person's row could not be decoded");
            return false;
        }
    }
    true
}

fn read(row: &[u8]) -> Option<Person> {
    let mut person = Person::default();
    read_into(&mut person, row).then_some(person)
}

impl PeopleStore {
    pub(crate) fn new(
        tree: Option<store::People>,
        conversations: Option<store::Conversations>,
    ) -> PeopleStore {
        PeopleStore {
            tree,
            conversations,
            unsaid: AtomicBool::new(false),
            cache: Mutex::default(),
            unsaved: AtomicBool::new(false),
            suppressed: Suppressed::default(),
        }
    }

    /// Takes over what the suppression list says now.
    pub(crate) fn suppress(&self, list: &Suppression) {
        self.suppressed.set(list);
    }

    /// People who turned up since the last call and whom the suppression list names.
    pub(crate) fn take_suppressed(&self) -> Vec<(PersonId, RefHash)> {
        self.suppressed.take()
    }

    /// Erases people. What their rows leave in the database's file goes with [`crate::store::Store::erase_now`].
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn remove(&self, people: &[PersonId]) -> Result<usize, StoreError> {
        let Some(tree) = &self.tree else {
            return Ok(0);
        };
        // Of the erased nothing stays here either, and numbers of pages that are gone may come again.
        *self.cache() = Cache::default();
        tree.remove(people)
    }

    /// Calls `each` with everybody who is known.
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn scan(&self, mut each: impl FnMut(PersonId, Person)) -> Result<(), StoreError> {
        let Some(tree) = &self.tree else {
            return Ok(());
        };
        tree.scan(|id, bytes| match rmp_serde::from_slice(bytes) {
            Ok(person) => each(id, person),
            Err(error) => tracing::error!(%error, "a person's row could not be decoded"),
        })
    }

    /// Whether there is anything to be synced, which the caller does now.
    pub(crate) fn take_unsaved(&self) -> bool {
        self.unsaved.swap(false, Ordering::AcqRel)
    }

    /// Calls `each` with everybody, unless there are more than `most`.
    pub(crate) fn each(&self, most: usize, mut each: impl FnMut(PersonId, &Person)) {
        let Some(tree) = self
            .tree
            .as_ref()
            .filter(|tree| tree.len().is_ok_and(|people| people <= most))
        else {
            return;
        };
        let mut person = Person::default();
        let scanned = tree.scan(|id, bytes| {
            if read_into(&mut person, bytes) {
                each(id, &person);
            }
        });
        if let Err(error) = scanned {
            tracing::error!(%error, "people could not be read");
        }
    }

    /// Whether there are lines to be synced, which the caller does now.
    pub(crate) fn take_unsaid(&self) -> bool {
        self.unsaid.swap(false, Ordering::AcqRel)
    }

    /// Writes a line of the conversation with a person; written again it is the same line.
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn say(
        &self,
        person: PersonId,
        key: &LineKey,
        line: &Line,
    ) -> Result<(), StoreError> {
        let Some(tree) = &self.conversations else {
            return Ok(());
        };
        match rmp_serde::to_vec_named(line) {
            Ok(bytes) => tree.put(person, key.number(), &bytes)?,
            Err(error) => tracing::error!(%error, "a line could not be encoded"),
        }
        self.unsaid.store(true, Ordering::Release);
        Ok(())
    }

    /// Takes a line out.
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn unsay(&self, person: PersonId, key: &LineKey) -> Result<(), StoreError> {
        match &self.conversations {
            Some(tree) => tree.remove_line(person, key.number()),
            None => Ok(()),
        }
    }

    /// One line.
    pub(crate) fn line(&self, person: PersonId, key: &LineKey) -> Option<Line> {
        self.conversation(person)
            .into_iter()
            .find(|(other, _)| other == key)
            .map(|(_, line)| line)
    }

    /// Takes out every line that was said before a moment. Answers how many.
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn forget_lines_before(
        &self,
        before: crate::model::Timestamp,
    ) -> Result<usize, StoreError> {
        match &self.conversations {
            Some(tree) => tree.prune(|bytes| {
                rmp_serde::from_slice::<Line>(bytes).is_ok_and(|line| line.at < before)
            }),
            None => Ok(0),
        }
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What [`Self::merge`] does, with people who have rows already: of whom nothing was known his row is right.
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn merge_encoded(&self, people: &[Encoded]) -> Result<(), StoreError> {
        let Some(tree) = &self.tree else {
            return Ok(());
        };
        let rows: Vec<(PersonId, &[u8])> = people.iter().flat_map(Encoded::iter).collect();
        let ids: Vec<PersonId> = rows.iter().map(|(id, _)| *id).collect();
        if self.suppressed.names_anybody()
            || !are_distinct(&ids)
            || tree.known(&ids)?.contains(&true)
        {
            let people = rows
                .into_iter()
                .filter_map(|(id, row)| Some((id, read(row)?)));
            return self.merge(people.collect());
        }
        self.write(tree, &rows, &ids).map(|_| ())
    }

    /// Writes rows, after which nothing is remembered of these people: that nothing was known of somebody is no longer so
    /// either.
    fn write(
        &self,
        tree: &store::People,
        rows: &[(PersonId, &[u8])],
        ids: &[PersonId],
    ) -> Result<MutexGuard<'_, Cache>, StoreError> {
        tree.put(rows)?;
        self.unsaved.store(true, Ordering::Release);
        let mut cache = self.cache();
        for id in ids {
            cache.people.remove(id);
        }
        Ok(cache)
    }

    /// Adds what is new about these people to what was known of them.
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn merge(&self, people: Vec<(PersonId, Person)>) -> Result<(), StoreError> {
        let Some(tree) = &self.tree else {
            return Ok(());
        };
        let ids: Vec<PersonId> = people.iter().map(|(id, _)| *id).collect();
        let known = tree.known(&ids)?;
        let mut merged: Vec<(PersonId, Person)> = Vec::with_capacity(people.len());
        let mut places: HashMap<PersonId, usize> = HashMap::with_capacity(people.len());
        for ((id, newer), known) in people.into_iter().zip(known) {
            if let Some((_, person)) = places.get(&id).and_then(|at| merged.get_mut(*at)) {
                person.merge(newer);
                continue;
            }
            // Most people of a file are new: nothing is looked for.
            let person = match known.then(|| self.get(id)).flatten() {
                Some(mut known) => {
                    known.merge(newer);
                    known
                }
                None => newer,
            };
            places.insert(id, merged.len());
            merged.push((id, person));
        }
        merged.retain(|(id, person)| !self.suppressed.look(*id, person));
        let rows = Encoded::of(&merged);
        let mut cache = self.write(tree, &rows.iter().collect::<Vec<_>>(), &ids)?;
        if merged.len() <= KEPT_AT_ONCE {
            for (id, person) in merged {
                cache.keep(id, Some(person));
            }
        }
        Ok(())
    }
}

impl PeopleStore {
    /// An account's own access hash of a person.
    pub(crate) fn address(&self, person: PersonId, account: &AccountName) -> Option<i64> {
        self.glance(
            person,
            |row| hash_in_row(row, account),
            |known| known.hashes.get(account).copied(),
        )
    }

    /// One thing of a person, after which nothing of him is kept but his page. Where it cannot be found in his row by
    /// itself, all of the row is read.
    fn glance<T>(
        &self,
        person: PersonId,
        in_row: impl Fn(&[u8]) -> Option<Option<T>>,
        look: impl Fn(&Person) -> Option<T>,
    ) -> Option<T> {
        let mut cache = self.cache();
        let Cache {
            people,
            pages,
            glanced,
        } = &mut *cache;
        if let Some(kept) = people.get(&person) {
            return kept.as_ref().and_then(look);
        }
        let row = self.row(pages, person).ok()??;
        match in_row(row) {
            Some(found) => found,
            None if read_into(glanced, row) => look(glanced),
            None => None,
        }
    }

    /// A person's row; nothing where he is not known.
    ///
    /// # Errors
    /// It cannot be read, which is logged.
    fn row<'p>(&self, pages: &'p mut Pages, person: PersonId) -> Result<Option<&'p [u8]>, ()> {
        match &self.tree {
            Some(tree) => pages
                .row(tree, person)
                .map_err(|error| tracing::error!(%error, "a person could not be read")),
            None => Ok(None),
        }
    }
}

impl People for PeopleStore {
    fn conversation(&self, person: PersonId) -> Vec<(LineKey, Line)> {
        let Some(tree) = &self.conversations else {
            return Vec::new();
        };
        let rows = match tree.get(person) {
            Ok(rows) => rows,
            Err(error) => {
                tracing::error!(%error, "a conversation could not be read");
                return Vec::new();
            }
        };
        let mut lines: Vec<(LineKey, Line)> = rows
            .into_iter()
            .filter_map(|(number, bytes)| {
                let line = rmp_serde::from_slice(&bytes)
                    .map_err(|error| tracing::error!(%error, "a line could not be decoded"))
                    .ok()?;
                Some((LineKey::of_number(number), line))
            })
            .collect();
        // Rows come by account and message id, which is how Telegram orders a dialog, whatever two clocks say. Several
        // dialogs are told one after another by the second, the most that Telegram dates a message by.
        let one_dialog = lines
            .windows(2)
            .all(|pair| pair[0].0.account == pair[1].0.account);
        let by_message = lines
            .iter()
            .all(|(key, _)| matches!(key.kind, LineKind::Message | LineKind::Draft));
        if !(one_dialog && by_message) {
            lines.sort_by_key(|(_, line)| line.at.seconds());
        }
        lines
    }

    fn get(&self, person: PersonId) -> Option<Person> {
        let mut found = None;
        self.show(person, &mut |known| found = known.cloned());
        found
    }

    fn show(&self, person: PersonId, look: &mut dyn FnMut(Option<&Person>)) {
        let mut cache = self.cache();
        if !cache.people.contains_key(&person) {
            let known = match self.row(&mut cache.pages, person) {
                Ok(row) => row.and_then(read),
                // Another time he may be read.
                Err(()) => return look(None),
            };
            cache.keep(person, known);
        }
        look(cache.people.get(&person).and_then(Option::as_ref));
    }

    fn contact(&self, person: PersonId) -> Option<Contact> {
        self.glance(
            person,
            |row| contact_of_row(row).map(Some),
            |known| Some(known.contact.clone()),
        )
    }

    fn show_in_passing(&self, person: PersonId, look: &mut dyn FnMut(Option<&Person>)) {
        let mut cache = self.cache();
        let Cache { pages, glanced, .. } = &mut *cache;
        let row = self.row(pages, person).ok().flatten();
        let known = row.is_some_and(|row| read_into(glanced, row));
        look(known.then_some(glanced));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::Recorded;
    use crate::store::{Access, Options, Store};

    fn somebody(id: i64, name: &str, origin: &str) -> (PersonId, Person) {
        let mut person = Person::default();
        person.contact.id = Some(id);
        person.contact.first_name = Some(name.to_owned());
        person.origins.push(origin.to_owned());
        (PersonId(id), person)
    }

    fn passing(people: &PeopleStore, id: i64) -> Option<Person> {
        let mut found = None;
        people.show_in_passing(PersonId(id), &mut |known| found = known.cloned());
        found
    }

    #[test]
    fn whoever_comes_as_a_row_is_merged_as_anybody_and_seen_in_passing_as_he_is_now() {
        let dir = tempfile::tempdir().unwrap();
        let access = Access::Write {
            new_id: 7,
            now_ms: 0,
        };
        let options = Options::new(access, Duration::ZERO);
        let (store, _) = Store::<Recorded>::open(dir.path(), options).unwrap();
        let by_rows = PeopleStore::new(Some(store.people()), None);
        let (one, two) = (somebody(1, "One", "a"), somebody(2, "Two", "a"));
        assert_eq!(by_rows.get(PersonId(1)), None);
        by_rows
            .merge_encoded(&[Encoded::of(&[one.clone(), two.clone()])])
            .unwrap();
        for (id, person) in [(1, &one.1), (2, &two.1)] {
            assert_eq!(by_rows.get(PersonId(id)).as_ref(), Some(person));
            assert_eq!(passing(&by_rows, id).as_ref(), Some(person));
        }
        assert_eq!(passing(&by_rows, 3), None);
        // One is known and Three comes twice, in two pages.
        let again = somebody(1, "Uno", "b");
        let three = somebody(3, "Three", "b");
        let more = somebody(3, "Tres", "c");
        let pages = [
            Encoded::of(&[again.clone(), three.clone()]),
            Encoded::of(std::slice::from_ref(&more)),
        ];
        by_rows.merge_encoded(&pages).unwrap();
        for (id, [before, after]) in [(1, [one, again]), (3, [three, more])] {
            let mut wanted = before.1;
            wanted.merge(after.1);
            assert_eq!(by_rows.get(PersonId(id)).as_ref(), Some(&wanted));
            assert_eq!(passing(&by_rows, id), Some(wanted));
        }
        assert_eq!(passing(&by_rows, 2), Some(two.1));
        by_rows.remove(&[PersonId(2)]).unwrap();
        assert_eq!(passing(&by_rows, 2), None);
    }
}

//! The newest page of each person: five to eight bytes a person, of whom there may be a million.

use std::collections::HashMap;

use crate::model::PersonId;

/// People who were added since the index was last put in order, before that is done again: few beside those who are in
/// order.
const UNORDERED: usize = 1_024;
/// People of a block.
const BLOCK: usize = 512;
/// From so many on a block ends where its page does: its people have one page in common.
const ENOUGH: usize = BLOCK / 2;

/// The newest page of each person.
#[derive(Debug, Default)]
pub(super) struct PageOf {
    /// Nearly everybody, ascending.
    blocks: Vec<Block>,
    /// Those who came since, none of whom is among the others.
    recent: HashMap<PersonId, u32>,
    known: usize,
}

/// Some people, ascending, and the page of each; 0 for somebody who is gone.
#[derive(Debug)]
struct Block {
    first: PersonId,
    distances: Distances,
    pages: Pages,
}

/// How far each is from the first of a block. People found in one place have ids that are not far apart, as sorted; what
/// stands for a username or phone may be anything.
#[derive(Debug)]
enum Distances {
    Near(Vec<u32>),
    Far(Vec<u64>),
}

/// People who were found together stand in a page together.
#[derive(Debug)]
enum Pages {
    One(u32),
    Each(Vec<u32>),
}

impl Block {
    fn of(person: PersonId, page: u32) -> Block {
        Block {
            first: person,
            distances: Distances::Near(vec![0]),
            pages: Pages::One(page),
        }
    }

    fn len(&self) -> usize {
        match &self.distances {
            Distances::Near(distances) => distances.len(),
            Distances::Far(distances) => distances.len(),
        }
    }

    /// How far somebody is from the first, who does not come after him.
    fn distance(&self, person: PersonId) -> u64 {
        person.0.wrapping_sub(self.first.0).cast_unsigned()
    }

    fn person(&self, at: usize) -> Option<PersonId> {
        let distance = match &self.distances {
            Distances::Near(distances) => u64::from(*distances.get(at)?),
            Distances::Far(distances) => *distances.get(at)?,
        };
        Some(PersonId(self.first.0.wrapping_add(distance.cast_signed())))
    }

    fn page(&self, at: usize) -> Option<u32> {
        match &self.pages {
            Pages::One(page) => Some(*page),
            Pages::Each(pages) => pages.get(at).copied(),
        }
    }

    /// Of somebody who does not come before the first.
    fn find(&self, person: PersonId) -> Option<usize> {
        let distance = self.distance(person);
        let found = match &self.distances {
            Distances::Near(distances) => distances.binary_search(&u32::try_from(distance).ok()?),
            Distances::Far(distances) => distances.binary_search(&distance),
        };
        found.ok()
    }

    /// Answers with the page before.
    fn set(&mut self, at: usize, page: u32) -> u32 {
        let len = self.len();
        match &mut self.pages {
            Pages::One(one) if *one == page => page,
            Pages::One(one) => {
                let before = *one;
                let mut pages = vec![before; len];
                if let Some(slot) = pages.get_mut(at) {
                    *slot = page;
                }
                self.pages = Pages::Each(pages);
                before
            }
            Pages::Each(pages) => pages
                .get_mut(at)
                .map_or(0, |slot| std::mem::replace(slot, page)),
        }
    }

    /// Whether somebody who comes after all others of it belongs to the next block.
    fn ends_before(&self, person: PersonId, page: u32) -> bool {
        let len = self.len();
        let is_far = u32::try_from(self.distance(person)).is_err();
        let other_page = matches!(self.pages, Pages::One(one) if one != page);
        let too_far = is_far && matches!(self.distances, Distances::Near(_));
        len >= BLOCK || (len >= ENOUGH && (other_page || too_far))
    }

    /// Somebody who comes after all others of it.
    fn push(&mut self, person: PersonId, page: u32) {
        let (len, distance) = (self.len(), self.distance(person));
        match (&mut self.distances, u32::try_from(distance)) {
            (Distances::Near(distances), Ok(distance)) => distances.push(distance),
            (Distances::Near(distances), Err(_)) => {
                let far = distances.iter().map(|near| u64::from(*near));
                self.distances = Distances::Far(far.chain([distance]).collect());
            }
            (Distances::Far(distances), _) => distances.push(distance),
        }
        match &mut self.pages {
            Pages::One(one) if *one == page => {}
            Pages::One(one) => {
                let mut pages = vec![*one; len];
                pages.push(page);
                self.pages = Pages::Each(pages);
            }
            Pages::Each(pages) => pages.push(page),
        }
    }

    /// Nobody more comes to it.
    fn shrink(&mut self) {
        match &mut self.distances {
            Distances::Near(distances) => distances.shrink_to_fit(),
            Distances::Far(distances) => distances.shrink_to_fit(),
        }
        if let Pages::Each(pages) = &mut self.pages {
            pages.shrink_to_fit();
        }
    }
}

impl PageOf {
    /// How many are known.
    pub(super) fn known(&self) -> usize {
        self.known
    }

    /// Where somebody stands among those in order.
    fn find(&self, person: PersonId) -> Option<(usize, usize)> {
        let number = self.blocks.partition_point(|block| block.first <= person);
        let number = number.checked_sub(1)?;
        Some((number, self.blocks.get(number)?.find(person)?))
    }

    pub(super) fn get(&self, person: PersonId) -> Option<u32> {
        let page = match self.find(person) {
            Some((number, at)) => self.blocks.get(number)?.page(at),
            None => self.recent.get(&person).copied(),
        };
        page.filter(|page| *page > 0)
    }

    /// Of one of those in order.
    fn set(&mut self, (number, at): (usize, usize), page: u32) -> u32 {
        let block = self.blocks.get_mut(number);
        block.map_or(0, |block| block.set(at, page))
    }

    fn last(&self) -> Option<PersonId> {
        let block = self.blocks.last()?;
        block.person(block.len().checked_sub(1)?)
    }

    /// Answers with the page before.
    pub(super) fn insert(&mut self, person: PersonId, page: u32) -> Option<u32> {
        let before = if self.recent.is_empty() && self.last().is_none_or(|last| last < person) {
            // People come in the order of their ids more often than not.
            self.push(person, page);
            0
        } else if let Some(place) = self.find(person) {
            self.set(place, page)
        } else {
            let before = self.recent.insert(person, page).unwrap_or(0);
            if self.recent.len() > UNORDERED.max(self.known / 8) {
                self.put_in_order();
            }
            before
        };
        if before == 0 {
            self.known += 1;
        }
        Some(before).filter(|page| *page > 0)
    }

    /// Somebody who comes after all others in order.
    fn push(&mut self, person: PersonId, page: u32) {
        match self.blocks.last_mut() {
            Some(block) if !block.ends_before(person, page) => block.push(person, page),
            last => {
                if let Some(block) = last {
                    block.shrink();
                }
                self.blocks.push(Block::of(person, page));
            }
        }
    }

    /// Puts those who came lately among the others; those who are gone fall out.
    fn put_in_order(&mut self) {
        let mut recent: Vec<(PersonId, u32)> = self.recent.drain().collect();
        recent.sort_unstable();
        let mut recent = recent.into_iter().peekable();
        for block in std::mem::take(&mut self.blocks) {
            for at in 0..block.len() {
                let (Some(person), Some(page)) = (block.person(at), block.page(at)) else {
                    break;
                };
                while let Some((person, page)) = recent.next_if(|(other, _)| *other < person) {
                    self.push(person, page);
                }
                if page > 0 {
                    self.push(person, page);
                }
            }
        }
        for (person, page) in recent {
            self.push(person, page);
        }
    }

    pub(super) fn remove(&mut self, person: PersonId) {
        let was = match self.find(person) {
            Some(place) => Some(self.set(place, 0)),
            None => self.recent.remove(&person),
        };
        if was.is_some_and(|page| page > 0) {
            self.known -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_index_holds_what_a_map_holds(
            steps in prop::collection::vec((0u32..9, prop_oneof![0i64..4_000, any::<i64>()]), 0..6_000),
            in_order in 0i64..3_000,
            (page_size, distance) in (1i64..1_500, prop_oneof![1i64..4, 1i64 << 20..1 << 40]),
        ) {
            let mut index = PageOf::default();
            let mut map: BTreeMap<PersonId, u32> = BTreeMap::new();
            let found = (0..in_order).map(|n| (1 + (n / page_size) as u32, 1_000 + n * distance));
            for (page, id) in found.chain(steps) {
                let person = PersonId(id);
                if page == 0 {
                    index.remove(person);
                    map.remove(&person);
                } else {
                    prop_assert_eq!(index.insert(person, page), map.insert(person, page));
                }
            }
            prop_assert_eq!(index.known(), map.len());
            for id in (0..4_000).map(PersonId).chain(map.keys().copied()) {
                prop_assert_eq!(index.get(id), map.get(&id).copied());
            }
        }
    }

    #[test]
    fn people_who_were_found_together_take_four_bytes_each() {
        let mut index = PageOf::default();
        for n in 0..10_000u32 {
            index.insert(
                PersonId(5_000_000_000 + i64::from(n) * 1_000),
                1 + n / 1_000,
            );
        }
        let is_small = |block: &Block| {
            matches!(&block.distances, Distances::Near(distances) if distances.capacity() <= BLOCK)
                && matches!(block.pages, Pages::One(_))
        };
        assert!(index.blocks.iter().all(is_small));
        assert!(index.blocks.len() <= 20, "{} blocks", index.blocks.len());
    }
}

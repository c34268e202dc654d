//! Whom an account may take next, and who was taken in this pass.

use std::ops::Range;

use roaring::RoaringBitmap;

use super::Inputs;
use crate::observed::Campaign;

/// The people whom an account may take, in their order.
pub(super) struct Candidates<'a> {
    /// By queue: how many accounts can reach those who stand in it, the first of them, and those who follow.
    heads: Vec<(usize, Option<u32>, roaring::bitmap::Iter<'a>)>,
}

/// A queue of those whom so many accounts can reach.
fn head(width: usize, queue: &RoaringBitmap) -> (usize, Option<u32>, roaring::bitmap::Iter<'_>) {
    let mut rest = queue.iter();
    (width, rest.next(), rest)
}

impl Candidates<'_> {
    /// Goes on behind the stretch of those who are taken, where one of them is next.
    pub(super) fn step_over(&mut self, TakenNow { stretch, .. }: &TakenNow) {
        for (_, next, rest) in &mut self.heads {
            if next.is_some_and(|next| stretch.contains(&next)) {
                rest.advance_to(stretch.end);
                *next = rest.next();
            }
        }
    }
}

impl Iterator for Candidates<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let waiting = self.heads.iter_mut().filter(|(_, next, _)| next.is_some());
        let (_, next, rest) = waiting.min_by_key(|(width, next, _)| (*width, *next))?;
        std::mem::replace(next, rest.next())
    }
}

/// Who was planned in this pass.
#[derive(Default)]
pub(super) struct TakenNow {
    all: RoaringBitmap,
    /// Numbers of which all are taken. Each account looks at the same queues from their heads on, and those who were found
    /// together have numbers in a row: a stretch is stepped over as one.
    stretch: Range<u32>,
}

impl TakenNow {
    /// True: he was not taken before.
    pub(super) fn insert(&mut self, number: u32) -> bool {
        if self.stretch.is_empty() {
            self.stretch = number..number;
        }
        if self.stretch.end == number {
            self.stretch.end = number.saturating_add(1);
        }
        self.all.insert(number)
    }

    /// Whether he is.
    pub(super) fn contains(&self, number: u32) -> bool {
        self.stretch.contains(&number) || self.all.contains(number)
    }

    /// Whether nobody is.
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

/// The people whom an account may take: first those whom few others can reach, of these those found first.
/// `unresolved`: usernames and phones too, which any of so many accounts can look up.
pub(super) fn candidates<'a>(
    inputs: &'a Inputs<'_>,
    campaign: &'a Campaign,
    index: Option<u16>,
    unresolved: Option<usize>,
) -> Candidates<'a> {
    let persons = &inputs.observed.persons;
    let mut heads: Vec<_> = campaign
        .queues
        .iter()
        .map(|(class, queue)| (persons.accounts(*class), queue))
        .filter(|(accounts, _)| index.is_some_and(|i| accounts.contains(&i)))
        .map(|(accounts, queue)| head(accounts.len(), queue))
        .collect();
    if let Some(width) = unresolved {
        heads.push(head(width, &campaign.unresolved));
    }
    Candidates { heads }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_were_taken_are_stepped_over_and_nobody_beside_them() {
        let few = RoaringBitmap::from_iter([1, 2, 3, 5, 6, 9]);
        let many = RoaringBitmap::from_iter([0, 4, 7, 8]);
        let mut taken = TakenNow::default();
        for number in [2, 3, 4, 9, 5] {
            assert!(taken.insert(number), "{number} was not taken before");
        }
        assert!(!taken.insert(9));
        assert_eq!(taken.stretch, 2..6, "those of both queues");
        let mut candidates = Candidates {
            heads: vec![head(1, &few), head(2, &many)],
        };
        let mut looked_at = Vec::new();
        loop {
            candidates.step_over(&taken);
            let Some(number) = candidates.next() else {
                break;
            };
            looked_at.push(number);
        }
        // Whom few can reach comes first; 9 stands alone, and is asked for.
        assert_eq!(looked_at, [1, 6, 9, 0, 7, 8]);
        let free: Vec<u32> = looked_at
            .into_iter()
            .filter(|it| !taken.contains(*it))
            .collect();
        assert_eq!(free, [1, 6, 0, 7, 8]);
    }
}

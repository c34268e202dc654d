//! The moments of a block of rows: people who were written to one after another have moments that are near each other.

use std::fmt::Debug;

/// A moment of a row; the default one stands for none.
pub trait Moment: Copy + Default + PartialEq + Debug {
    /// How far it is from another, in half its size; the default is 0.
    type Near: Copy + Default + PartialEq + Debug;

    /// How far it is from `base`, counted from 1, and 0 for none; absent where it is too far from it, or before it.
    fn near(self, base: Self) -> Option<Self::Near>;

    /// The moment that is so far from `base`.
    fn far(near: Self::Near, base: Self) -> Self;
}

/// Seconds: a block within 18 hours.
impl Moment for u32 {
    type Near = u16;

    fn near(self, base: u32) -> Option<u16> {
        match self {
            0 => Some(0),
            at => u16::try_from(at.checked_sub(base)?).ok()?.checked_add(1),
        }
    }

    fn far(near: u16, base: u32) -> u32 {
        match near.checked_sub(1) {
            None => 0,
            Some(near) => base.saturating_add(u32::from(near)),
        }
    }
}

/// Milliseconds: a block within 49 days.
impl Moment for i64 {
    type Near = u32;

    fn near(self, base: i64) -> Option<u32> {
        match self {
            0 => Some(0),
            at => u32::try_from(at.checked_sub(base)?).ok()?.checked_add(1),
        }
    }

    fn far(near: u32, base: i64) -> i64 {
        match near.checked_sub(1) {
            None => 0,
            Some(near) => base.saturating_add(i64::from(near)),
        }
    }
}

/// The moment of each row of a block.
#[derive(Debug, Clone, Default)]
pub(super) enum Moments<M: Moment> {
    /// None has one.
    #[default]
    None,
    /// All are near the one that came first.
    Near(M, Vec<M::Near>),
    /// Some are not.
    Each(Vec<M>),
}

impl<M: Moment> Moments<M> {
    /// As they are listed; empty where there is none.
    pub(super) fn of(list: Vec<M>) -> Moments<M> {
        let some = list.iter().copied().filter(|at| *at != M::default());
        // Whichever all others are not before.
        let first = some.reduce(|a, b| if a.near(b).is_some() { b } else { a });
        let Some(first) = first else {
            return Moments::None;
        };
        let near: Option<Vec<M::Near>> = list.iter().map(|at| at.near(first)).collect();
        near.map_or(Moments::Each(list), |near| Moments::Near(first, near))
    }

    /// All of them, listed; nothing where there is none.
    pub(super) fn into_list(self) -> Vec<M> {
        match self {
            Moments::None => Vec::new(),
            Moments::Near(base, near) => near.into_iter().map(|near| M::far(near, base)).collect(),
            Moments::Each(list) => list,
        }
    }

    /// Whether they are those of so many rows.
    pub(super) fn are_of(&self, rows: usize) -> bool {
        match self {
            Moments::None => true,
            Moments::Near(_, near) => near.len() == rows,
            Moments::Each(list) => list.len() == rows,
        }
    }

    pub(super) fn get(&self, at: usize) -> M {
        match self {
            Moments::None => M::default(),
            Moments::Near(base, near) => M::far(near.get(at).copied().unwrap_or_default(), *base),
            Moments::Each(list) => list.get(at).copied().unwrap_or_default(),
        }
    }

    /// Of one of so many rows.
    pub(super) fn set(&mut self, at: usize, moment: M, rows: usize) {
        self.make_room_for(moment, rows);
        match self {
            Moments::None => {}
            Moments::Near(base, near) => {
                if let (Some(slot), Some(moment)) = (near.get_mut(at), moment.near(*base)) {
                    *slot = moment;
                }
            }
            Moments::Each(list) => {
                if let Some(slot) = list.get_mut(at) {
                    *slot = moment;
                }
            }
        }
    }

    /// Of a row that is new; with it they are so many.
    pub(super) fn insert(&mut self, at: usize, moment: M, rows: usize) {
        self.make_room_for(moment, rows.saturating_sub(1));
        match self {
            Moments::None => {}
            Moments::Near(base, near) => near.insert(at, moment.near(*base).unwrap_or_default()),
            Moments::Each(list) => list.insert(at, moment),
        }
    }

    pub(super) fn remove(&mut self, at: usize) {
        match self {
            Moments::None => {}
            Moments::Near(_, near) => {
                near.remove(at);
            }
            Moments::Each(list) => {
                list.remove(at);
            }
        }
    }

    /// Takes a form in which this one can stand among those of so many rows.
    fn make_room_for(&mut self, moment: M, rows: usize) {
        if moment == M::default() {
            return;
        }
        match self {
            Moments::None => *self = Moments::Near(moment, vec![M::Near::default(); rows]),
            Moments::Near(base, _) if moment.near(*base).is_none() => {
                let mut list = std::mem::take(self).into_list();
                // Room for him besides.
                list.reserve(1);
                *self = Moments::Each(list);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn holds_what_a_list_holds<M: Moment>(steps: Vec<(u8, usize, M)>) {
        let mut moments = Moments::default();
        let mut list: Vec<M> = Vec::new();
        for (what, at, moment) in steps {
            match what {
                0 if at < list.len() => {
                    moments.remove(at);
                    list.remove(at);
                }
                1 if at < list.len() => {
                    moments.set(at, moment, list.len());
                    list[at] = moment;
                }
                _ => {
                    let at = at.min(list.len());
                    list.insert(at, moment);
                    moments.insert(at, moment, list.len());
                }
            }
        }
        let back = Moments::of(moments.clone().into_list());
        for moments in [&moments, &back, &Moments::of(list.clone())] {
            assert!(moments.are_of(list.len()));
            for (at, moment) in list.iter().enumerate() {
                assert_eq!(moments.get(at), *moment);
            }
        }
    }

    proptest! {
        #[test]
        fn moments_near_each_other_or_not_are_all_kept(
            base in 1i64 << 40..1 << 41,
            steps in prop::collection::vec((0u8..4, 0usize..30, 0u32..90_000, 0u8..20), 0..60),
            spread in prop_oneof![1i64..3, 1i64 << 20..1 << 21],
        ) {
            let seconds = |(what, at, after, none): (u8, usize, u32, u8)| {
                (what, at, if none == 0 { 0 } else { 1_700_000_000 + after })
            };
            holds_what_a_list_holds(steps.iter().copied().map(seconds).collect());
            let close = |(what, at, after, none)| seconds((what, at, after % 1_000, none));
            holds_what_a_list_holds(steps.iter().copied().map(close).collect());
            let millis = |(what, at, after, none): (u8, usize, u32, u8)| {
                (what, at, if none == 0 { 0 } else { base + i64::from(after) * spread })
            };
            holds_what_a_list_holds(steps.iter().copied().map(millis).collect());
        }
    }

    #[test]
    fn moments_of_one_day_take_half_the_room() {
        let list: Vec<u32> = (0..256).map(|n| 1_700_000_000 + n * 60).collect();
        assert!(
            matches!(Moments::of(list), Moments::Near(1_700_000_000, near) if near.len() == 256)
        );
        assert!(matches!(Moments::of(vec![1u32, 70_000]), Moments::Each(_)));
        assert!(matches!(Moments::of(vec![0i64; 9]), Moments::None));
    }
}

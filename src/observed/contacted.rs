//! What is known of people who were ever written to, over all campaigns.

use std::collections::{BTreeMap, HashSet};
use std::ops::Deref;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Table;
use crate::model::{Lineage, Timestamp};

/// Messages to one person whose moments are kept: more than any sensible `limits.per_person.per_month`.
pub const MONTHLY: usize = 64;

/// What is known of one person over all campaigns, of those who were ever written to or wrote.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Contacted {
    /// The account that talked with him last; it keeps him.
    pub account: Option<u16>,
    /// When the last message of any campaign was accepted.
    pub last_sent: Option<Timestamp>,
    /// When each of the last messages was accepted, the oldest first; at most [`MONTHLY`].
    #[serde(default)]
    pub sent: Sent,
    /// By which campaign.
    pub last_campaign: Option<Lineage>,
    /// When he last wrote.
    pub last_reply: Option<Timestamp>,
    /// The last message of his that was handled, by account.
    pub handled: BTreeMap<u16, i32>,
}

/// Moments, the oldest first. Nearly everybody got one message: it takes no memory of its own.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Sent {
    /// None.
    #[default]
    Never,
    /// One message.
    Once(Timestamp),
    /// More.
    Often(Box<Vec<Timestamp>>),
}

impl Sent {
    /// One more, in its place; the oldest of [`MONTHLY`] is given up for it.
    pub(super) fn add(&mut self, at: Timestamp) {
        match self {
            Sent::Never => *self = Sent::Once(at),
            Sent::Once(other) => {
                let other = *other;
                *self = Sent::Often(Box::new(vec![other.min(at), other.max(at)]));
            }
            Sent::Often(all) => {
                if all.len() >= MONTHLY {
                    all.remove(0);
                }
                let place = all.partition_point(|other| *other <= at);
                all.insert(place, at);
            }
        }
    }
}

impl Deref for Sent {
    type Target = [Timestamp];

    fn deref(&self) -> &[Timestamp] {
        match self {
            Sent::Never => &[],
            Sent::Once(at) => std::slice::from_ref(at),
            Sent::Often(all) => all,
        }
    }
}

impl Serialize for Sent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Sent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Sent, D::Error> {
        let all = Vec::<Timestamp>::deserialize(deserializer)?;
        Ok(match all.as_slice() {
            [] => Sent::Never,
            [at] => Sent::Once(*at),
            _ => Sent::Often(Box::new(all)),
        })
    }
}

/// Everybody; campaigns are named once, not once a person.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Table<Contacted>, D::Error> {
    let mut lines: HashSet<Lineage> = HashSet::new();
    Table::read(deserializer, |known: &mut Contacted| {
        let Some(line) = &known.last_campaign else {
            return;
        };
        match lines.get(line) {
            Some(line) => known.last_campaign = Some(line.clone()),
            None => {
                lines.insert(line.clone());
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_kept_in_order_whichever_is_told_first() {
        let mut sent = Sent::default();
        let mut all: Vec<Timestamp> = Vec::new();
        for at in [5, 3, 9, 4, 4] {
            sent.add(Timestamp(at));
            all.push(Timestamp(at));
            all.sort();
            assert_eq!(*sent, *all);
            let bytes = rmp_serde::to_vec(&sent).unwrap();
            assert_eq!(bytes, rmp_serde::to_vec(&all).unwrap());
            assert_eq!(rmp_serde::from_slice::<Sent>(&bytes).unwrap(), sent);
        }
        for at in 0..100 {
            sent.add(Timestamp(at * 10));
        }
        assert_eq!(sent.len(), MONTHLY);
    }
}

//! What is known of people who were ever written to, over all campaigns.

use std::collections::{BTreeMap, HashSet};
use std::ops::Deref;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::table::{self, Table};
use crate::model::{Lineage, Timestamp};

/// Messages to one person whose moments are kept: more than any sensible `limits.per_person.per_month`.
pub const MONTHLY: usize = 64;

/// What is known of one person over all campaigns, of those who were ever written to or wrote. There may be a million:
/// what few of them have (they wrote) stands aside.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Row", into = "Row")]
pub struct Contacted {
    /// The account that talked with him last; it keeps him.
    pub account: Option<u16>,
    /// By which campaign.
    pub last_campaign: Option<Lineage>,
    /// When each of the last messages was accepted, the oldest first; at most [`MONTHLY`].
    pub sent: Sent,
    /// When the last one was, of any campaign; [`NEVER`].
    last_sent: Timestamp,
    heard: Option<Box<Heard>>,
}

/// Nearly everybody got one message: its moment is his own, and all else of him is also others'.
impl table::Row for Contacted {
    type Moment = i64;

    fn take_moment(&mut self) -> i64 {
        match &mut self.sent {
            Sent::Once(at) if *at == self.last_sent => {
                self.last_sent = NEVER;
                std::mem::take(at).0
            }
            _ => 0,
        }
    }

    fn set_moment(&mut self, moment: i64) {
        if let Sent::Once(at) = &mut self.sent
            && moment != 0
        {
            *at = Timestamp(moment);
            self.last_sent = *at;
        }
    }
}

/// Stands where there was no message.
const NEVER: Timestamp = Timestamp(0);

/// What is known of one who wrote.
#[derive(Debug, Clone, Default, PartialEq)]
struct Heard {
    last: Option<Timestamp>,
    handled: BTreeMap<u16, i32>,
}

impl Contacted {
    /// When the last message of any campaign was accepted.
    pub fn last_sent(&self) -> Option<Timestamp> {
        Some(self.last_sent).filter(|at| *at != NEVER)
    }

    /// A message of some campaign was accepted then.
    pub(super) fn sent_at(&mut self, at: Timestamp) {
        self.last_sent = self.last_sent.max(at);
    }

    /// When he last wrote.
    pub fn last_reply(&self) -> Option<Timestamp> {
        self.heard.as_ref()?.last
    }

    /// He wrote then.
    pub(super) fn replied_at(&mut self, at: Timestamp) {
        self.heard.get_or_insert_default().last = Some(at);
    }

    /// The accounts that he wrote to.
    pub fn wrote_to(&self) -> impl Iterator<Item = u16> + '_ {
        let heard = self.heard.iter();
        heard.flat_map(|heard| heard.handled.keys().copied())
    }

    /// The last message of his to an account that was handled.
    pub fn handled(&self, account: u16) -> Option<i32> {
        self.heard.as_ref()?.handled.get(&account).copied()
    }

    /// A message of his was handled. Answers the last one before it, 0 for none.
    pub(super) fn handle(&mut self, account: u16, message_id: i32) -> i32 {
        let handled = &mut self.heard.get_or_insert_default().handled;
        let last = handled.entry(account).or_insert(0);
        std::mem::replace(last, message_id.max(*last))
    }
}

/// As a checkpoint holds it.
#[derive(Serialize, Deserialize)]
struct Row {
    account: Option<u16>,
    last_sent: Option<Timestamp>,
    #[serde(default)]
    sent: Sent,
    last_campaign: Option<Lineage>,
    last_reply: Option<Timestamp>,
    handled: BTreeMap<u16, i32>,
}

impl From<Row> for Contacted {
    fn from(row: Row) -> Contacted {
        let heard = Heard {
            last: row.last_reply,
            handled: row.handled,
        };
        Contacted {
            account: row.account,
            last_campaign: row.last_campaign,
            sent: row.sent,
            last_sent: row.last_sent.unwrap_or(NEVER),
            heard: (heard != Heard::default()).then(|| Box::new(heard)),
        }
    }
}

impl From<Contacted> for Row {
    fn from(known: Contacted) -> Row {
        let last_sent = known.last_sent();
        let heard = known.heard.map(|heard| *heard).unwrap_or_default();
        Row {
            account: known.account,
            last_sent,
            sent: known.sent,
            last_campaign: known.last_campaign,
            last_reply: heard.last,
            handled: heard.handled,
        }
    }
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
        struct Moments;
        impl<'de> serde::de::Visitor<'de> for Moments {
            type Value = Sent;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("moments")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Sent, A::Error> {
                let Some(first) = seq.next_element()? else {
                    return Ok(Sent::Never);
                };
                let Some(second) = seq.next_element()? else {
                    return Ok(Sent::Once(first));
                };
                let mut all = vec![first, second];
                while let Some(at) = seq.next_element()? {
                    all.push(at);
                }
                Ok(Sent::Often(Box::new(all)))
            }
        }
        deserializer.deserialize_seq(Moments)
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
    fn a_checkpoint_holds_a_person_as_a_row_and_he_comes_back_as_he_was() {
        let mut known = Contacted {
            account: Some(3),
            last_campaign: Some("spring".into()),
            ..Contacted::default()
        };
        let back = |known: &Contacted| -> Contacted {
            rmp_serde::from_slice(&rmp_serde::to_vec(known).unwrap()).unwrap()
        };
        assert_eq!(back(&known), known);
        assert_eq!((known.last_sent(), known.last_reply()), (None, None));
        known.sent_at(Timestamp(7));
        known.sent_at(Timestamp(5));
        known.sent.add(Timestamp(7));
        assert_eq!(known.handle(2, 40), 0);
        assert_eq!(known.handle(2, 30), 40);
        known.replied_at(Timestamp(9));
        assert_eq!(back(&known), known);
        assert_eq!(known.last_sent(), Some(Timestamp(7)));
        assert_eq!(known.handled(2), Some(40));
        assert_eq!(known.wrote_to().collect::<Vec<_>>(), [2]);
        let row = (
            Some(3u16),
            Some(Timestamp(7)),
            [Timestamp(7)],
            Some("spring"),
            Some(Timestamp(9)),
            BTreeMap::from([(2u16, 40)]),
        );
        assert_eq!(
            rmp_serde::to_vec(&known).unwrap(),
            rmp_serde::to_vec(&row).unwrap(),
            "what earlier versions wrote is read"
        );
        assert!(size_of::<Contacted>() <= 56, "there may be a million");
    }

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

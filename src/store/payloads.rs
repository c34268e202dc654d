//! Payloads: bytes that go with an event only until it is settled.
//!
//! They stand in the outbox beside their events. Most are settled before their event is folded, and
//! then never reach the database; the others wait in a tree of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::db::{Changes, Tree};
use super::outbox::{Entry, Payload};
use super::{Seq, StoreError};

pub(crate) struct Payloads {
    tree: Tree,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    /// Of events that are not folded yet.
    fresh: BTreeMap<Seq, Payload>,
    /// In the tree.
    stored: BTreeSet<Seq>,
    /// Settled, but still in the tree.
    settled: BTreeSet<Seq>,
}

impl Payloads {
    pub(crate) fn new(tree: Tree) -> Self {
        Self {
            tree,
            held: Mutex::default(),
        }
    }

    pub(crate) fn tree(&self) -> &Tree {
        &self.tree
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up what the tree and the unfolded part of the outbox hold.
    pub(crate) fn restore(&self, tail: &[Entry]) -> Result<(), StoreError> {
        let mut held = self.held();
        for pair in self.tree.prefix(&[]) {
            let (key, _) = pair?;
            held.stored.insert(super::journal::first_of(&key)?);
        }
        for entry in tail.iter().filter(|entry| !entry.payload.is_empty()) {
            held.fresh.insert(entry.seq, Arc::clone(&entry.payload));
        }
        Ok(())
    }

    /// Takes up what goes with events that are written.
    pub(crate) fn add(&self, payloads: Vec<(Seq, Payload)>) {
        if !payloads.is_empty() {
            self.held().fresh.extend(payloads);
        }
    }

    pub(crate) fn get(&self, seq: Seq) -> Result<Option<Vec<u8>>, StoreError> {
        let stored = {
            let held = self.held();
            if let Some(payload) = held.fresh.get(&seq) {
                return Ok(Some(payload.to_vec()));
            }
            held.stored.contains(&seq)
        };
        if stored {
            self.tree.get(&seq.to_be_bytes())
        } else {
            Ok(None)
        }
    }

    pub(crate) fn unsettled(&self) -> Vec<Seq> {
        let held = self.held();
        let mut all: BTreeSet<Seq> = held.stored.clone();
        all.extend(held.fresh.keys());
        all.into_iter().collect()
    }

    pub(crate) fn settle(&self, seqs: impl IntoIterator<Item = Seq>) {
        let mut held = self.held();
        for seq in seqs {
            held.fresh.remove(&seq);
            if held.stored.remove(&seq) {
                held.settled.insert(seq);
            }
        }
    }

    /// Puts what is unsettled through `last` into the tree, before those events leave the outbox,
    /// and drops what was settled.
    pub(crate) fn store_through(&self, last: Seq) -> Result<(), StoreError> {
        let (fresh, settled): (Vec<_>, Vec<_>) = {
            let held = self.held();
            let fresh = held.fresh.range(..=last);
            (
                fresh
                    .map(|(seq, bytes)| (*seq, Arc::clone(bytes)))
                    .collect(),
                held.settled.iter().copied().collect(),
            )
        };
        if fresh.is_empty() && settled.is_empty() {
            return Ok(());
        }
        let mut changes = Changes::new();
        for (seq, bytes) in &fresh {
            changes.push((seq.to_be_bytes().to_vec(), Some(bytes.to_vec())));
        }
        for seq in &settled {
            changes.push((seq.to_be_bytes().to_vec(), None));
        }
        self.tree.apply(changes)?;
        let mut held = self.held();
        for seq in settled {
            held.settled.remove(&seq);
        }
        for (seq, _) in fresh {
            // What was settled meanwhile goes with the next fold.
            if held.fresh.remove(&seq).is_some() {
                held.stored.insert(seq);
            } else {
                held.settled.insert(seq);
            }
        }
        Ok(())
    }

    /// Drops what was settled from the tree.
    pub(crate) fn drop_settled(&self) -> Result<(), StoreError> {
        self.store_through(0)
    }
}

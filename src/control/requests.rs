//! The bytes of requests. They hold texts, so that they stand beside the journal as payloads, and only until their send
//! is settled.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{Event, Intent, Recorded, SendKey};
use crate::observed::Observed;
use crate::store::{EncodedEvent, Seq, Store, StoreError};

/// Which event carries the bytes of which send that is under way.
#[derive(Default)]
pub(super) struct Requests {
    of: BTreeMap<SendKey, Seq>,
}

/// An event as the journal holds it: of an intent all but the request.
pub(super) fn bare(event: &Event) -> Event {
    match event {
        Event::Intent(intent) => Event::Intent(Arc::new(Intent {
            request: Arc::default(),
            ..intent.as_ref().clone()
        })),
        other => other.clone(),
    }
}

/// What the store is given.
pub(super) fn rows(events: &[Recorded]) -> Result<Vec<EncodedEvent>, StoreError> {
    let mut bytes = Vec::new();
    events
        .iter()
        .map(|recorded| {
            bytes.clear();
            recorded
                .to_journal_bytes(&mut bytes)
                .map_err(|error| StoreError::Encode {
                    what: "an event",
                    cause: error.to_string(),
                })?;
            let request = match &recorded.event {
                Event::Intent(intent) => Arc::clone(&intent.request),
                _ => Arc::default(),
            };
            Ok((Arc::from(&*bytes), request))
        })
        .collect()
}

/// Rows that go into one append, where there are more than the outbox takes at once: an audience of millions, which may
/// be written down in part.
const BATCH_BYTES: usize = 4 << 20;

/// The rows in batches, in their order. All but the largest are one batch, which is there whole or not at all.
pub(super) fn batches(rows: Vec<EncodedEvent>) -> Vec<Vec<EncodedEvent>> {
    let size = |row: &EncodedEvent| row.0.len() + row.1.len();
    if rows.iter().map(size).sum::<usize>() <= 2 * BATCH_BYTES {
        return vec![rows];
    }
    let mut batches = vec![Vec::new()];
    let mut bytes = 0;
    for row in rows {
        bytes += size(&row);
        if bytes > BATCH_BYTES {
            bytes = size(&row);
            batches.push(Vec::new());
        }
        if let Some(last) = batches.last_mut() {
            last.push(row);
        }
    }
    batches.retain(|batch| !batch.is_empty());
    batches
}

/// The send that an event ends, where it ends one.
fn ended(event: &Event) -> Option<&SendKey> {
    match event {
        Event::Sent { key, .. } | Event::Refused { key, .. } | Event::Released { key, .. } => {
            Some(key)
        }
        _ => None,
    }
}

impl Requests {
    /// Gives an intent that is read at the start its bytes back. A send that is settled needs none.
    pub(super) fn fill(
        &mut self,
        store: &Store<Recorded>,
        seq: Seq,
        recorded: &mut Recorded,
    ) -> Result<(), StoreError> {
        match &mut recorded.event {
            Event::Intent(intent) => {
                if intent.request.is_empty()
                    && let Some(bytes) = store.payload(seq)?
                {
                    Arc::make_mut(intent).request = bytes.into();
                }
                self.of.insert(intent.key.clone(), seq);
            }
            event => {
                if let Some(key) = ended(event) {
                    self.of.remove(key);
                }
            }
        }
        Ok(())
    }

    /// Sends that a checkpoint knew get their bytes; what nobody needs any more is dropped.
    pub(super) fn after_load(
        &mut self,
        store: &Store<Recorded>,
        observed: &mut Observed,
    ) -> Result<(), StoreError> {
        let mut settled = Vec::new();
        for seq in store.unsettled() {
            let recorded = store.events_from(seq)?.next().transpose()?;
            let key = match recorded {
                Some((
                    found,
                    Recorded {
                        event: Event::Intent(intent),
                        ..
                    },
                )) if found == seq => Some(intent.key.clone()),
                _ => None,
            };
            let flight = key
                .as_ref()
                .and_then(|key| observed.in_flight.get_mut(key))
                .filter(|_| {
                    // Of two intents of one key the later one is under way.
                    key.as_ref()
                        .and_then(|key| self.of.get(key))
                        .is_none_or(|of| *of <= seq)
                });
            match (key, flight) {
                (Some(key), Some(flight)) => {
                    if flight.intent.request.is_empty()
                        && let Some(bytes) = store.payload(seq)?
                    {
                        Arc::make_mut(&mut flight.intent).request = bytes.into();
                    }
                    self.of.insert(key, seq);
                }
                _ => settled.push(seq),
            }
        }
        store.settle(settled);
        Ok(())
    }

    /// Takes events in that were just folded. Answers the intents whose bytes nobody needs any more.
    pub(super) fn after(
        &mut self,
        first: Seq,
        events: &[Recorded],
        observed: &Observed,
    ) -> Vec<Seq> {
        let mut settled = Vec::new();
        for (seq, recorded) in (first..).zip(events) {
            match &recorded.event {
                Event::Intent(intent) => {
                    settled.extend(self.of.insert(intent.key.clone(), seq));
                }
                event => {
                    if let Some(key) = ended(event)
                        && !observed.in_flight.contains_key(key)
                    {
                        settled.extend(self.of.remove(key));
                    }
                }
            }
        }
        settled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_outbox_takes_at_once_stays_one_batch_and_more_is_cut_in_order() {
        let row = |byte: u8, size: usize| -> Arc<[u8]> { vec![byte; size << 20].into() };
        let few = vec![(row(0, 1), Arc::default()), (row(1, 6), Arc::from([2]))];
        assert_eq!(batches(few.clone()), [few]);
        let many: Vec<EncodedEvent> = (0..20).map(|n| (row(n, 1), Arc::default())).collect();
        let cut = batches(many.clone());
        assert!(cut.len() > 1);
        for batch in &cut {
            assert!(batch.iter().map(|row| row.0.len()).sum::<usize>() <= BATCH_BYTES);
        }
        assert!(cut.concat() == many);
        assert_eq!(
            batches(vec![(row(7, 9), Arc::default())]).len(),
            1,
            "one row is not cut"
        );
    }
}

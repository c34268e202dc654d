//! The bytes of requests. They hold texts, so that they stand beside the journal as payloads, and only until their send
//! is settled.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::model::{Event, Intent, Recorded};
use crate::observed::{InFlight, Observed};
use crate::store::{EncodedEvent, Seq, Store, StoreError};

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

/// Rows that share their room take so much together: it is held until the last of them is in the database.
const SHARED_BYTES: usize = 64 << 10;

/// What the store is given.
pub(super) fn rows(events: &[Recorded]) -> Result<Vec<EncodedEvent>, StoreError> {
    let mut rows = Vec::with_capacity(events.len());
    let mut bytes = Vec::new();
    // Of events whose bytes are in `bytes`: where each ends, and what goes with it.
    let mut ends = Vec::new();
    for (at, recorded) in events.iter().enumerate() {
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
        ends.push((bytes.len(), request));
        if bytes.len() >= SHARED_BYTES || at + 1 == events.len() {
            let mut left = Bytes::from(std::mem::take(&mut bytes).into_boxed_slice());
            let mut begin = 0;
            for (end, request) in ends.drain(..) {
                rows.push((left.split_to(end - begin), request));
                begin = end;
            }
        }
    }
    Ok(rows)
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

/// Sends that are under way after a start get their bytes back; what nobody needs any more is dropped.
pub(super) fn after_load(
    store: &Store<Recorded>,
    observed: &mut Observed,
) -> Result<(), StoreError> {
    let unsettled = store.unsettled();
    // A state of an earlier version does not say which event is whose: it is read again.
    if observed.in_flight.values().any(|flight| flight.seq == 0) {
        for &seq in &unsettled {
            if let Some((found, recorded)) = store.events_from(seq)?.next().transpose()?
                && found == seq
                && let Event::Intent(intent) = recorded.event
                && let Some(flight) = observed.in_flight.get_mut(&intent.key)
            {
                // Of two intents of one key the later one is under way.
                flight.seq = flight.seq.max(seq);
            }
        }
    }
    let mut under_way: HashMap<Seq, &mut InFlight> = observed
        .in_flight
        .values_mut()
        .map(|flight| (flight.seq, &mut **flight))
        .collect();
    let mut settled = Vec::new();
    for seq in unsettled {
        let Some(flight) = under_way.get_mut(&seq) else {
            settled.push(seq);
            continue;
        };
        if flight.intent.request.is_empty()
            && let Some(bytes) = store.payload(seq)?
        {
            Arc::make_mut(&mut flight.intent).request = bytes.into();
        }
    }
    store.settle(settled);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_outbox_takes_at_once_stays_one_batch_and_more_is_cut_in_order() {
        let row = |byte: u8, size: usize| -> Bytes { vec![byte; size << 20].into() };
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

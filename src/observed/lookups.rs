//! How far a look-up is, and what of it outlives a restart.

use roaring::RoaringBitmap;

use super::fold::{account_of, index_of, lookup};
use super::{Lookup, Observed};
use crate::model::{Event, LookupEnd, Recorded, Timestamp};

/// Folds the events of a look-up's progress.
pub(super) fn fold(state: &mut Observed, recorded: &Recorded) {
    let at = recorded.at;
    match &recorded.event {
        Event::LookupAt {
            campaign,
            source,
            account,
            unreached,
            next,
            total,
        } => {
            let account = index_of(state, Some(account));
            let mut handles = Vec::with_capacity(unreached.len());
            for person in unreached {
                let person = state.persons.resolve(*person);
                handles.push(state.persons.intern(person).0);
            }
            let lookup = lookup(state, campaign, *source, account);
            lookup.incoming.extend(handles);
            lookup.cursor = next.clone().map(|next| (next, at));
            lookup.total = total.or(lookup.total);
        }
        Event::LookupResumed {
            campaign,
            source,
            account,
        } => {
            let account = index_of(state, Some(account));
            lookup(state, campaign, *source, account).running = Some(at);
        }
        Event::LookupSpent { account } => account_of(state, account).lookups.add(at),
        _ => {}
    }
}

/// It begins from the beginning.
pub(super) fn begin(lookup: &mut Lookup, at: Timestamp, seq: u64) {
    lookup.begun = Some(at);
    lookup.begun_seq = seq;
    lookup.incoming.clear();
    lookup.cursor = None;
    lookup.total = None;
}

/// It ended; answers with whom it found. One that is tried again by itself keeps its place and what it found.
pub(super) fn end(lookup: &mut Lookup, end: &LookupEnd) -> RoaringBitmap {
    if end.passing && lookup.cursor.is_some() {
        return lookup.incoming.clone();
    }
    lookup.cursor = None;
    lookup.total = None;
    std::mem::take(&mut lookup.incoming)
}

/// The engine stopped: one that knows its place goes on from there, any other begins anew.
pub(super) fn stopped(lookup: &mut Lookup) {
    if lookup.cursor.is_none() {
        lookup.running = None;
        lookup.incoming.clear();
    }
}

//! What happened, read from the journal in bites.
//!
//! # Guarantees
//! One question to a daemon reads at most [`ROWS`] rows, however long the journal is: the loop that answers is the one
//! that sends. Whoever wants more asks again, before the `earlier` of the answer.

use std::collections::VecDeque;

use super::Core;
use super::answer::{document, refused};
use crate::model::Reply;
use crate::status::{self, EventsDocument};

/// The most events of one answer.
const MAX_EVENTS: usize = 10_000;
/// Events of one answer where nobody says how many.
const EVENTS: usize = 200;
/// Rows that one answer reads: some twenty milliseconds.
pub(super) const ROWS: u64 = 10_000;

/// Which events are asked for.
pub(super) struct Asked<'a> {
    /// Of this campaign only.
    pub(super) name: Option<&'a str>,
    /// After this sequence number.
    pub(super) after: u64,
    /// Before this one.
    pub(super) before: Option<u64>,
    /// At most so many, the newest; 0 for as many as is usual.
    pub(super) limit: usize,
}

/// The rows to read, from and to (exclusive), and whether earlier ones are left.
fn bite(asked: &Asked<'_>, (first, last): (u64, u64), most: u64) -> (u64, u64, bool) {
    let end = asked
        .before
        .map_or(last + 1, |before| before.min(last + 1))
        .max(1);
    let lowest = first.max(asked.after.saturating_add(1));
    let from = lowest.max(end.saturating_sub(most));
    (from, end, from > lowest)
}

/// Answers with events; `daemon`: within its loop.
pub(super) fn events(core: &Core, asked: &Asked<'_>, daemon: bool) -> Reply {
    let Some(store) = core.store() else {
        return document(&EventsDocument::new(Vec::new()));
    };
    let limit = match asked.limit {
        0 => EVENTS,
        limit => limit.min(MAX_EVENTS),
    };
    let most = match asked.name {
        // The newest of all are the last ones: there is no need to read what is before them.
        None => limit as u64,
        Some(_) if daemon => ROWS,
        Some(_) => u64::MAX,
    };
    let last = core.observed.seq;
    let (from, end, left) = bite(asked, (store.first_seq().unwrap_or(1), last), most);
    let mut lines = VecDeque::new();
    if from < end {
        let rows = match store.events_from(from) {
            Ok(rows) => rows,
            Err(error) => return refused(error.to_string()),
        };
        for row in rows {
            let (seq, recorded) = match row {
                Ok(row) => row,
                Err(error) => return refused(error.to_string()),
            };
            if seq >= end {
                break;
            }
            let line = status::event_line(seq, &recorded, &core.observed);
            if asked
                .name
                .is_some_and(|name| line.campaign.as_deref() != Some(name))
            {
                continue;
            }
            lines.push_back(line);
            if lines.len() > limit {
                lines.pop_front();
            }
        }
    }
    let earlier = (left && lines.len() < limit).then_some(from);
    document(&EventsDocument {
        upto: Some(last),
        earlier,
        ..EventsDocument::new(lines.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(after: u64, before: Option<u64>) -> Asked<'static> {
        Asked {
            name: Some("spring"),
            after,
            before,
            limit: 5,
        }
    }

    #[test]
    fn a_long_journal_is_read_from_its_end_in_bites_that_meet() {
        // (asked, first and last of the journal, from, to, whether earlier ones are left)
        for (after, before, there, want) in [
            (0, None, (1, 25), (16, 26, true)),
            (0, Some(16), (1, 25), (6, 16, true)),
            (0, Some(6), (1, 25), (1, 6, false)),
            (0, None, (20, 25), (20, 26, false)),
            (18, None, (1, 25), (19, 26, false)),
            (25, None, (1, 25), (26, 26, false)),
            (99, None, (1, 25), (100, 26, false)),
            (0, None, (1, 0), (1, 1, false)),
            (u64::MAX, Some(0), (1, 25), (u64::MAX, 1, false)),
        ] {
            assert_eq!(
                bite(&asked(after, before), there, 10),
                want,
                "after {after}, before {before:?}, {there:?}"
            );
        }
    }
}

//! Answers that are found in the whole journal, read beside the loop.
//!
//! # Guarantees
//! The loop only takes down what it knows at the moment of the question; the rows are read on a thread of their own, so
//! that a journal of any length keeps nothing from being sent. Rows that come later are not in the answer.
//!
//! # Caveats
//! A reading holds the state's lock: whoever lets the state go calls the readings off first.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{audit, explain, report};
use crate::control::answer::{line_of, no_campaign, refused};
use crate::control::{Core, CoreError};
use crate::model::{Lineage, OperatorCommand, Recorded, Reply};
use crate::store::{Events, StoreError};

/// Why a reading gave no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unread {
    /// It was called off.
    #[error("called off")]
    CalledOff,
    /// The journal cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The rows of the journal at the moment of the question.
pub(super) struct Rows {
    events: Option<Events<Recorded>>,
    stop: Arc<AtomicBool>,
}

impl Iterator for Rows {
    type Item = Result<(u64, Recorded), Unread>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.events.as_mut()?.next()?;
        if self.stop.load(Ordering::Relaxed) {
            return Some(Err(Unread::CalledOff));
        }
        Some(row.map_err(Unread::from))
    }
}

/// What is left to do once the loop has taken down what it knows.
type Question = Box<dyn FnOnce(Rows) -> Result<Reply, Unread> + Send>;

/// A question to the journal.
pub(in crate::control) struct Beside {
    events: Option<Events<Recorded>>,
    question: Question,
}

impl Beside {
    /// A question of a test, to a journal without rows.
    #[cfg(test)]
    pub(in crate::control) fn of_nothing(
        question: impl FnOnce(&AtomicBool) -> Option<Reply> + Send + 'static,
    ) -> Beside {
        Beside {
            events: None,
            question: Box::new(move |rows| question(&rows.stop).ok_or(Unread::CalledOff)),
        }
    }

    /// Reads, for as long as it takes. `None` where it was called off meanwhile.
    pub(in crate::control) fn answer(self, stop: Arc<AtomicBool>) -> Option<Reply> {
        let rows = Rows {
            events: self.events,
            stop,
        };
        match (self.question)(rows) {
            Ok(reply) => Some(reply),
            Err(Unread::CalledOff) => None,
            Err(error) => Some(refused(format!("the journal cannot be read: {error}"))),
        }
    }
}

/// The question that a command is, where it is one to the whole journal.
pub(in crate::control) fn beside(
    core: &Core,
    command: &OperatorCommand,
) -> Result<Option<Beside>, CoreError> {
    let mut after = 0;
    let question: Question = match command {
        OperatorCommand::Explain { name, person } => match explain::ask(core, name, person)? {
            Ok(asked) => Box::new(move |rows| asked.answer(rows)),
            Err(reply) => Box::new(move |_| Ok(reply)),
        },
        OperatorCommand::Audit {
            name,
            after: since,
            limit,
        } => match name.as_deref().map(|name| (name, line_of(core, name))) {
            Some((name, None)) => {
                let reply = no_campaign(core, name);
                Box::new(move |_| Ok(reply))
            }
            line => {
                after = *since;
                let line = line.and_then(|(_, line)| line);
                let asked = audit::ask(core, line, *limit);
                Box::new(move |rows| asked.answer(rows))
            }
        },
        OperatorCommand::Report { since, by } => {
            let asked = report::ask(core, *since, *by);
            Box::new(move |rows| asked.answer(rows))
        }
        _ => return Ok(None),
    };
    let events = match core.store() {
        Some(store) => {
            let from = store.first_seq()?.max(after.saturating_add(1));
            (from <= core.observed.seq)
                .then(|| store.events_from(from))
                .transpose()?
        }
        None => None,
    };
    Ok(Some(Beside { events, question }))
}

/// What campaigns are called now.
pub(super) fn names(core: &Core) -> BTreeMap<Lineage, String> {
    core.observed
        .campaigns
        .iter()
        .filter(|(_, campaign)| !campaign.name.is_empty())
        .map(|(line, campaign)| (line.clone(), campaign.name.clone()))
        .collect()
}

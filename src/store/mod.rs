//! The store: what outlives the process, and the one room that names the database.
//!
//! ```text
//! state/
//!   lock            held by the one process that has the state open; holds its pid
//!   state.json      id and version of the state
//!   outbox/*.log    every event, checksummed, made durable by fdatasync
//!   db/             sled: the journal in packs of a thousand events, people, audiences, payloads
//!   checkpoints/    the last two folded states
//!   mark            the last event known to be durable, to notice an outbox that lost its end
//!   stamp           number of the last database sync, to notice a database that went back
//!   damaged/        database snapshots that could not be read
//!   answers/        a model's answers that are not in the journal yet
//!   erase           present: the database is written anew at the next opening
//!   before-vN/      a copy from before the state was brought to version N
//! ```
//!
//! # The way of an event
//!
//! [`Store::append`] gives it the next sequence number and writes it to the outbox: from then on it
//! survives the end of the process. [`Store::sync`] makes it survive a power cut; callers that
//! come together share one `fdatasync`. [`Store::fold`] packs it into the database, syncs that, and
//! only then drops its outbox file. The start reads the newest sound checkpoint, the journal after
//! it and the rest of the outbox, and holds the two against each other.
//!
//! # Guarantees
//!
//! - Sequence numbers are 1, 2, 3, … without a gap, in the order of the appends.
//! - An event whose append returned is there after a SIGKILL, one that was synced after a power
//!   cut. A batch is there whole or not at all.
//! - Damage is reported with its place. Only an unfinished end that nobody was promised is cut,
//!   and how many bytes that were is said. Events that were synced and are gone (an outbox file that was emptied, shortened or
//!   taken away) are noticed by the mark: [`StoreError::EventsLost`].
//! - After a failed write to the disk nothing is written any more ([`StoreError::Failed`]): what
//!   the disk holds then is only known after a new start.
//!
//! # Payloads
//!
//! A payload (the bytes of a request, which hold a text) goes with its event through the outbox, is
//! kept only until the event is settled, and never enters the journal.
//!
//! # What is not here
//!
//! No meaning: events are any serde type, checkpoints and people are bytes. No clock, no chance:
//! ids and times are arguments.

mod archive;
mod checkpoint;
mod codec;
mod db;
mod erase;
mod error;
mod handle;
mod hooks;
mod journal;
mod kept;
mod lock;
mod mark;
mod open;
mod outbox;
mod payloads;
mod people;
mod private;
mod rewrite;
mod salvage;
mod schema;
mod state;
mod trees;

#[cfg(test)]
mod tests;

pub use archive::{BackupFile, BackupHead, check_backup, commit_staged, stage_backup};
pub use checkpoint::{Checkpoint, CheckpointReader};
pub use error::StoreError;
pub use handle::{Appended, Durability, StoreHandle};
pub use hooks::{Hooks, Point};
pub use journal::Events;
pub use kept::{KeptAnswers, KeptName};
pub use people::{People, PersonPage};
pub use salvage::{Salvaged, salvage};
pub use state::{
    Access, EncodedEvent, Exported, FoldReport, Loaded, OpenReport, Options, Sizes, Store,
    VerifyReport,
};
pub use trees::{Audience, Conversations, Lookups, Meta};

/// Position of an event in the journal: 1 for the first, then one more each.
pub type Seq = u64;

/// Names one state for ever; drawn when it is made. An account's `.NAME.state` file holds it, so
/// that a lost state is noticed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StateId(pub u128);

impl std::fmt::Display for StateId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl std::fmt::Debug for StateId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StateId({self})")
    }
}

impl std::str::FromStr for StateId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(text, 16).map(Self)
    }
}

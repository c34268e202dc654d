//! What a state still tells when its database cannot be opened: its newest sound checkpoint and the outbox, which are
//! plain files.

use std::fs;
use std::path::Path;

use serde::de::DeserializeOwned;

use super::checkpoint::{self, Checkpoint};
use super::codec::decode_event;
use super::outbox::{self, Outbox};
use super::schema::{self, StateFile};
use super::{Seq, StateId, StoreError};

/// What was found.
pub struct Salvaged<E> {
    /// The state's id.
    pub id: StateId,
    /// The newest sound checkpoint.
    pub checkpoint: Option<Checkpoint>,
    /// The outbox's events after it, ascending.
    pub events: Vec<(Seq, E)>,
    /// Events between the checkpoint and the outbox, or in it, that stood in the database only: how many.
    pub missing: u64,
    /// Whether something at the outbox's end could not be read.
    pub cut_short: bool,
}

/// Reads checkpoints and outbox of the state in `dir`, and changes nothing. `None` where neither holds anything that can
/// be read. Nothing may have the state open.
///
/// # Errors
/// Where the disk refuses.
pub fn salvage<E: DeserializeOwned>(dir: &Path) -> Result<Option<Salvaged<E>>, StoreError> {
    let outbox = dir.join("outbox");
    let written = StateFile::read(dir, schema::VERSION).ok().flatten();
    let id = match written.and_then(|file| file.id(dir).ok()) {
        Some(id) => id,
        // The description is damaged or gone: each outbox file names its state too.
        None => match outbox::state_of(&outbox) {
            Some(id) => id,
            None => return Ok(None),
        },
    };
    let checkpoints = dir.join("checkpoints");
    let checkpoint = match checkpoints.is_dir() {
        true => checkpoint::list(&checkpoints)?
            .into_iter()
            .find_map(|(seq, path)| checkpoint::read(&path, id, seq).ok()),
        false => None,
    };
    let (entries, mut cut_short) = match outbox.is_dir() {
        true => Outbox::salvage(&outbox, id),
        false => (Vec::new(), true),
    };
    let mut next = checkpoint.as_ref().map_or(1, |it| it.seq + 1);
    let (mut events, mut missing) = (Vec::new(), 0);
    for entry in entries {
        if entry.seq < next {
            continue;
        }
        match decode_event(entry.seq, &entry.event) {
            Ok(event) => {
                missing += entry.seq - next;
                next = entry.seq + 1;
                events.push((entry.seq, event));
            }
            Err(_) => cut_short = true,
        }
    }
    if checkpoint.is_none() && events.is_empty() {
        return Ok(None);
    }
    Ok(Some(Salvaged {
        id,
        checkpoint,
        events,
        missing,
        cut_short,
    }))
}

/// Where what is damaged and not needed any more is kept, for those who look at it.
pub(super) const DAMAGED: &str = "damaged";

/// Puts a damaged file aside. `dir` is the state's folder.
pub(super) fn put_aside(dir: &Path, file: &Path) -> Result<(), StoreError> {
    let aside = dir.join(DAMAGED);
    schema::make_dir(&aside)?;
    let name = file.file_name().unwrap_or_default();
    fs::rename(file, aside.join(name)).map_err(|cause| StoreError::io("put aside", file, &cause))
}

//! How far the journal is known to be durable, beside the outbox: a newest outbox file that was emptied, shortened or
//! taken away must not pass for a state that never went further.
//!
//! ```text
//! mark = state id (16) | last durable event (u64) | crc32 of the above       numbers are little-endian
//! ```
//!
//! It is written over in place after each `fdatasync` of the outbox, and not synced itself. So it outlives the end of
//! the process, and a power cut can only leave an older one: it is never ahead of what the disk holds. One that does
//! not match its checksum, or names another state, says nothing.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::codec::{le_u32, le_u64};
use super::private;
use super::{Seq, StateId, StoreError};

/// The file's name.
pub(super) const NAME: &str = "mark";
const LEN: usize = 16 + 8 + 4;

/// The open mark.
#[derive(Debug)]
pub(crate) struct Mark {
    state: StateId,
    path: PathBuf,
    file: File,
}

impl Mark {
    /// The event that the mark in `dir` names; 0 where it says nothing.
    pub(crate) fn read(dir: &Path, state: StateId) -> Seq {
        fs::read(dir.join(NAME))
            .ok()
            .filter(|bytes| {
                bytes.len() == LEN
                    && le_u32(bytes, LEN - 4) == Some(crc32fast::hash(&bytes[..LEN - 4]))
                    && bytes[..16] == state.0.to_le_bytes()
            })
            .and_then(|bytes| le_u64(&bytes, 16))
            .unwrap_or(0)
    }

    /// Opens it to be written, and makes it when absent.
    pub(crate) fn open(dir: &Path, state: StateId) -> Result<Mark, StoreError> {
        let path = dir.join(NAME);
        let file = private::kept()
            .open(&path)
            .map_err(|cause| StoreError::io("open", &path, &cause))?;
        Ok(Mark { state, path, file })
    }

    /// Everything through `seq` is durable.
    pub(crate) fn set(&self, seq: Seq) -> Result<(), StoreError> {
        let mut bytes = [0; LEN];
        bytes[..16].copy_from_slice(&self.state.0.to_le_bytes());
        bytes[16..24].copy_from_slice(&seq.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..LEN - 4]);
        bytes[24..].copy_from_slice(&crc.to_le_bytes());
        self.file
            .write_all_at(&bytes, 0)
            .map_err(|cause| StoreError::io("write", &self.path, &cause))
    }
}

//! What the server received, one JSON line a call: the ground truth from which tests judge.
//!
//! Lines of `kind: rpc` are written when the call's effect is decided, in the order of effects; a call with a
//! fault is written too, with the fault's word and whether the effect took place (`effect`). Other kinds:
//! `connection` (opened, closed), `transport` (an unknown key, a plain message, a broken frame), `person`
//! (somebody wrote or blocked by script), `fault` (away and back). Keys never stand here.
//!
//! Flushing: lines are buffered and written out every 50 ms, on `Sandbox::flush`, and when the sandbox stops.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

/// Entries kept in memory at most; older ones are forgotten there (the file has all).
pub const MAX_IN_MEMORY: usize = 1_000_000;

/// One line of the ledger. Absent fields do not apply.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Entry {
    /// Milliseconds since 1970.
    pub at: i64,
    /// Counts up from 1.
    pub seq: u64,
    /// `rpc`, `connection`, `transport`, `person` or `fault`.
    pub kind: String,
    /// The account's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The connection's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<u64>,
    /// The method, as `messages.sendMessage`; for other kinds what happened.
    pub method: String,
    /// Whom or what the call is about: `user:7000000001`, `chat:…`, `channel:…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// The username, phone or link that was asked for; of a question to the model its `Idempotency-Key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// The send's `random_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub random_id: Option<i64>,
    /// The text as received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// How many formatting entities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entities: Option<usize>,
    /// What is attached: `photo`, `document`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media: Option<String>,
    /// The attached file's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The attached file's size in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Whether web previews were switched off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_webpage: Option<bool>,
    /// The message that is answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<i32>,
    /// Where a page begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<i64>,
    /// How many were given, added or read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<usize>,
    /// The message id that was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<i32>,
    /// For sends and questions: true when this was the first with its `random_id` or key, false for a repeat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<bool>,
    /// Whether the call took effect: false for errors, repeats of reads are true.
    pub effect: bool,
    /// The RPC error's text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The RPC error's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// The fault that was applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// Something for the reader.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

struct Inner {
    entries: std::collections::VecDeque<Entry>,
    file: Option<BufWriter<File>>,
    seq: u64,
    dirty: bool,
    keep: bool,
}

/// The ledger: in memory, and in a file where one was asked for.
pub struct Ledger {
    inner: Mutex<Inner>,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger")
            .field("entries", &self.lock().seq)
            .finish_non_exhaustive()
    }
}

impl Ledger {
    /// A ledger that appends to `path`, and keeps entries in memory when `keep`.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn new(path: Option<&Path>, keep: bool) -> std::io::Result<Self> {
        let file = match path {
            Some(path) => {
                if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
                    std::fs::create_dir_all(folder)?;
                }
                Some(BufWriter::with_capacity(
                    1 << 16,
                    File::options().create(true).append(true).open(path)?,
                ))
            }
            None => None,
        };
        Ok(Self {
            inner: Mutex::new(Inner {
                entries: std::collections::VecDeque::new(),
                file,
                seq: 0,
                dirty: false,
                keep,
            }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes one entry down.
    pub fn write(&self, mut entry: Entry) {
        let mut inner = self.lock();
        inner.seq += 1;
        entry.seq = inner.seq;
        let mut failed = false;
        if let Some(file) = &mut inner.file {
            failed = serde_json::to_writer(&mut *file, &entry).is_err()
                || file.write_all(b"\n").is_err();
            inner.dirty = true;
        }
        if failed {
            tracing::error!("the sandbox's ledger cannot be written");
        }
        if inner.keep {
            if inner.entries.len() >= MAX_IN_MEMORY {
                inner.entries.pop_front();
            }
            inner.entries.push_back(entry);
        }
    }

    /// Writes buffered lines to the file.
    pub fn flush(&self) {
        let mut inner = self.lock();
        if inner.dirty {
            inner.dirty = false;
            if let Some(file) = &mut inner.file
                && let Err(error) = file.flush()
            {
                tracing::error!(%error, "the sandbox's ledger cannot be written");
            }
        }
    }

    /// All entries that are kept.
    pub fn entries(&self) -> Vec<Entry> {
        self.lock().entries.iter().cloned().collect()
    }

    /// How many entries were written so far.
    pub fn len(&self) -> u64 {
        self.lock().seq
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entries of one method.
    pub fn of_method(&self, method: &str) -> Vec<Entry> {
        self.lock()
            .entries
            .iter()
            .filter(|e| e.kind == "rpc" && e.method == method)
            .cloned()
            .collect()
    }

    /// The messages that were sent for the first time: what people really got.
    pub fn sent(&self) -> Vec<Entry> {
        self.lock()
            .entries
            .iter()
            .filter(|e| e.kind == "rpc" && e.effect && e.first == Some(true))
            .cloned()
            .collect()
    }

    /// Forgets the entries in memory.
    pub fn clear(&self) {
        self.lock().entries.clear();
    }
}

//! [`Store`]: opening, the two halves of the journal held against each other, appending, folding.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::marker::PhantomData;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use super::archive;
use super::checkpoint::{self, Checkpoint};
use super::codec::{encode_event, put_item};
use super::db::{Changes, Db, Tree};
use super::erase;
use super::error::Failure;
use super::hooks::{Hooks, Point};
use super::journal::{Events, PACK_BYTES, PACK_EVENTS, Packs, pack};
use super::lock::Lock;
use super::mark::Mark;
use super::outbox::{Encoded, MAX_BODY, Outbox, Payload, sync_file};
use super::payloads::Payloads;
use super::people::People;
use super::salvage;
use super::trees::{Audience, Conversations, Lookups, Meta};
use super::{Seq, StateId, StoreError};

/// How the state is to be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// To write; makes the state when there is none.
    Write {
        /// Id for a new state: 128 bits drawn by the caller.
        new_id: u128,
        /// The moment, in milliseconds of Unix time, noted in a new state.
        now_ms: i64,
    },
    /// To read: makes nothing, repairs nothing on the disk, refuses appends. Needs the lock too,
    /// since the database has but one opener.
    Read,
}

/// Options of [`Store::open`].
#[derive(Debug, Clone)]
pub struct Options {
    /// To write or to read.
    pub access: Access,
    /// How long to wait for another process to let go.
    pub wait: Duration,
    /// Go on with what is left where events that were durable are gone ([`StoreError::EventsLost`]). The loss counts as
    /// accepted once an event was appended and synced after it.
    pub accept_loss: bool,
    /// Places where a test can make the store fail.
    pub hooks: Hooks,
}

impl Options {
    /// Options with the given access and patience.
    pub fn new(access: Access, wait: Duration) -> Self {
        Self {
            access,
            wait,
            accept_loss: false,
            hooks: Hooks::default(),
        }
    }
}

/// What opening found and did; to be logged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// The state was made just now.
    pub created: bool,
    /// Bytes of an unfinished write that were cut from the outbox's end.
    pub torn_bytes: u64,
    /// Events that were durable and are gone, as [`Options::accept_loss`] allowed.
    pub lost: u64,
    /// Events that the outbox supplied to the journal.
    pub replayed: u64,
    /// Damaged or superfluous packs of the journal that were dropped and supplied by the outbox.
    pub repaired_packs: u64,
    /// Partial database snapshots that were removed.
    pub removed_snapshots: Vec<PathBuf>,
    /// Damaged database snapshots that were put aside; the database was read from its log.
    pub damaged_snapshots: Vec<PathBuf>,
    /// The database has lost writes that it had flushed. The journal was made whole; people and
    /// audiences written last may be missing and are best looked up again.
    pub database_rolled_back: bool,
    /// The database was written anew, to leave no trace of what was erased.
    pub erased: bool,
    /// Copies that were made before the state was brought to a newer version.
    pub migrated: Vec<PathBuf>,
    /// A restored state took the place of the one that was there.
    pub restored: bool,
}

/// What [`Store::load`] found.
pub struct Loaded<E> {
    /// The newest sound checkpoint.
    pub checkpoint: Option<Checkpoint>,
    /// Newer checkpoints that were damaged, each with what is wrong.
    pub damaged: Vec<StoreError>,
    /// All events after the checkpoint, or from the first.
    pub events: Events<E>,
}

/// What a fold did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FoldReport {
    /// Events that went into the database.
    pub events: usize,
    /// Outbox files that were dropped.
    pub files: usize,
}

/// What [`Store::verify`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Sound events.
    pub events: u64,
    /// Sound values in the other trees.
    pub values: u64,
    /// Everything that is wrong, a sentence each; empty: all is well.
    pub problems: Vec<String>,
}

/// One row of [`Store::export`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// The tree's name.
    pub tree: &'static str,
    /// The row's key.
    pub key: Vec<u8>,
    /// The row's value, unpacked.
    pub value: Vec<u8>,
}

/// Bytes on the disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sizes {
    /// The outbox files.
    pub outbox: u64,
    /// The database.
    pub database: u64,
    /// The checkpoints.
    pub checkpoints: u64,
}

/// An event as MessagePack with named fields, and the bytes that go with it until it is settled; empty where none do.
pub type EncodedEvent = (Bytes, Arc<[u8]>);

/// Memory that events waiting to be folded may take before the appender itself folds them: far
/// more than gathers while folding keeps up.
const MAX_PENDING_BYTES: usize = 64 << 20;
/// Own values in the meta tree.
pub(crate) const META_ID: &str = "id";
const META_FIRST: &str = "journal_first";
pub(crate) const META_STAMP: &str = "stamp";

/// The open state. Clones share it; it closes with the last of them.
pub struct Store<E> {
    pub(crate) inner: Arc<Inner>,
    event: PhantomData<fn(E) -> E>,
}

impl<E> Clone for Store<E> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            event: PhantomData,
        }
    }
}

impl<E> std::fmt::Debug for Store<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("dir", &self.inner.dir)
            .field("id", &self.inner.id)
            .finish_non_exhaustive()
    }
}

/// How far the journal is durable, for those who wait for it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Progress {
    pub(crate) durable: Seq,
    /// Nothing will be synced any more: the store failed, or its threads ended.
    pub(crate) over: bool,
}

pub(crate) struct Writer {
    pub(crate) outbox: Outbox,
    /// Events that are in the outbox but not yet in the database.
    pub(crate) pending: VecDeque<Encoded>,
    pub(crate) pending_first: Seq,
    pub(crate) pending_bytes: usize,
}

impl Writer {
    fn next(&self) -> Seq {
        self.pending_first + self.pending.len() as Seq
    }
}

// Fields drop in this order: the database before the lock.
pub(crate) struct Inner {
    pub(crate) dir: PathBuf,
    pub(crate) id: StateId,
    pub(crate) read_only: bool,
    pub(crate) hooks: Hooks,
    pub(crate) failure: Failure,
    pub(crate) writer: Mutex<Writer>,
    /// Whether somebody syncs; the others wait for `synced` and mostly find their events there.
    pub(crate) syncing: Mutex<bool>,
    pub(crate) synced: Condvar,
    pub(crate) durable: AtomicU64,
    pub(crate) progress: watch::Sender<Progress>,
    pub(crate) folding: Mutex<()>,
    /// The number of the last database sync, kept beside the database too: a database that is
    /// behind it has lost writes.
    pub(crate) stamp: Mutex<(u64, Option<File>)>,
    /// `None` for a reader.
    pub(crate) mark: Option<Mark>,
    pub(crate) payloads: Payloads,
    pub(crate) people: People,
    pub(crate) audience: Tree,
    pub(crate) lookups: Tree,
    pub(crate) conversations: Tree,
    pub(crate) meta: Meta,
    pub(crate) journal: Tree,
    pub(crate) db: Db,
    pub(crate) _lock: Lock,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.read_only || self.failure.get().is_some() {
            return;
        }
        let file = guard(&self.writer).outbox.file();
        if let Some((file, path)) = file
            && let Err(error) = sync_file(&file, &path, &self.hooks)
        {
            tracing::error!(error = %error, "the last events could not be synced");
        }
    }
}

pub(crate) fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code of ours panics under these locks; if one did, the checksums on the disk still tell.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<E: Serialize + DeserializeOwned> Store<E> {
    /// Opens the state in `dir`.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`] for a reader without a state, [`StoreError::Locked`] with the
    /// holder's pid, [`StoreError::NewerSchema`], [`StoreError::Corrupt`] and [`StoreError::Gap`]
    /// for damage that cannot be repaired from what is left.
    pub fn open(dir: &Path, options: Options) -> Result<(Self, OpenReport), StoreError> {
        let (inner, report) = Inner::open(dir, options)?;
        let store = Self {
            inner: Arc::new(inner),
            event: PhantomData,
        };
        Ok((store, report))
    }

    /// Appends events as one batch. When this returns they survive the end of the process, not yet
    /// a power cut. Answers the first and last sequence number; of an empty batch the last is one
    /// below the first.
    pub fn append(&self, events: &[E]) -> Result<(Seq, Seq), StoreError> {
        let encoded = events
            .iter()
            .map(|event| Ok((encode_event(event)?.into(), Vec::new().into())))
            .collect::<Result<Vec<_>, _>>()?;
        self.inner.append(encoded)
    }

    /// As [`Store::append_with_payloads`], of events that are MessagePack with named fields already: for a caller who writes
    /// them faster than serde does.
    pub fn append_encoded(&self, events: Vec<EncodedEvent>) -> Result<(Seq, Seq), StoreError> {
        self.inner.append(events)
    }

    /// As [`Store::append`], each event with bytes that go with it only until it is settled: the
    /// request of an intent, which holds a text and must not stay in the journal for ever. They
    /// become durable with the event, and are there after a restart. Empty bytes are none.
    pub fn append_with_payloads(&self, events: &[(&E, &[u8])]) -> Result<(Seq, Seq), StoreError> {
        let encoded = events
            .iter()
            .map(|(event, payload)| Ok((encode_event(event)?.into(), Payload::from(*payload))))
            .collect::<Result<Vec<_>, _>>()?;
        self.inner.append(encoded)
    }

    /// All events from `from` on.
    pub fn events_from(&self, from: Seq) -> Result<Events<E>, StoreError> {
        let from = from.max(1);
        let (tail_first, tail) = {
            let writer = guard(&self.inner.writer);
            let skip = from.saturating_sub(writer.pending_first);
            let skip = skip.min(writer.pending.len() as Seq) as usize;
            let tail = writer.pending.range(skip..).cloned().collect();
            (writer.pending_first + skip as Seq, tail)
        };
        let packs = Packs::from(&self.inner.journal, from)?;
        Ok(Events::new(packs, from, tail_first, tail))
    }

    /// Tells an event from any other that could stand under its number: a hash of its bytes, which never change. `None`
    /// where it is not there, not yet or not any more.
    pub fn fingerprint(&self, seq: Seq) -> Result<Option<u64>, StoreError> {
        if seq < self.first_seq()? || seq > self.last_seq() {
            return Ok(None);
        }
        let raw = self.events_from(seq)?.raw()?;
        Ok(raw.map(|raw| {
            let hash = blake3::hash(&raw);
            let [a, b, c, d, e, f, g, h, ..] = *hash.as_bytes();
            u64::from_be_bytes([a, b, c, d, e, f, g, h])
        }))
    }

    /// The newest sound checkpoint and the events after it: all that is needed at a start.
    pub fn load(&self) -> Result<Loaded<E>, StoreError> {
        let mut damaged = Vec::new();
        for (seq, path) in checkpoint::list(&self.inner.checkpoints())? {
            match checkpoint::read(&path, self.inner.id, seq) {
                Ok(checkpoint) => {
                    return Ok(Loaded {
                        events: self.events_from(seq + 1)?,
                        checkpoint: Some(checkpoint),
                        damaged,
                    });
                }
                Err(error) => {
                    tracing::warn!(error = %error, "a checkpoint is damaged, falling back");
                    damaged.push(error);
                }
            }
        }
        Ok(Loaded {
            checkpoint: None,
            damaged,
            events: self.events_from(1)?,
        })
    }

    /// The first event for which `is_after` holds, given that it then holds for all later ones;
    /// one past the last event when there is none.
    pub fn first_where(&self, is_after: impl Fn(&E) -> bool) -> Result<Seq, StoreError> {
        let (mut low, mut high) = (self.first_seq()?, self.last_seq() + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.events_from(middle)?.next().transpose()? {
                Some((_, event)) if !is_after(&event) => low = middle + 1,
                Some(_) | None => high = middle,
            }
        }
        Ok(low)
    }

    /// Reads everything and checks it: checksums, the unbroken sequence, that each event is
    /// understood. Takes a second per few million events.
    pub fn verify(&self) -> Result<VerifyReport, StoreError> {
        let mut report = VerifyReport::default();
        let first = self.inner.journal_first()?;
        for event in self.events_from(first)? {
            match event {
                Ok(_) => report.events += 1,
                Err(error) => report.problems.push(error.to_string()),
            }
        }
        let expected = (self.last_seq() + 1).saturating_sub(first);
        if report.problems.is_empty() && report.events != expected {
            report.problems.push(format!(
                "the journal holds {} events, expected {expected}",
                report.events
            ));
        }
        for (_, tree) in self.inner.trees() {
            for pair in tree.prefix(&[]) {
                match pair {
                    Ok(_) => report.values += 1,
                    Err(error) => report.problems.push(error.to_string()),
                }
            }
        }
        for (seq, path) in checkpoint::list(&self.inner.checkpoints())? {
            if let Err(error) = checkpoint::read(&path, self.inner.id, seq) {
                report.problems.push(error.to_string());
            }
        }
        Ok(report)
    }
}

impl<E> Store<E> {
    /// The state's id.
    pub fn id(&self) -> StateId {
        self.inner.id
    }

    /// The state's folder.
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    /// The last event appended; 0 when there is none.
    pub fn last_seq(&self) -> Seq {
        guard(&self.inner.writer).next() - 1
    }

    /// The last event that outlives a power cut.
    pub fn durable_seq(&self) -> Seq {
        self.inner.durable.load(Ordering::Acquire)
    }

    /// The failure that closed the store for writing, if there was one.
    pub fn failure(&self) -> Option<StoreError> {
        self.inner.failure.get()
    }

    /// Returns when everything through `seq` outlives a power cut. Callers that come while a sync
    /// is under way share the next one.
    pub fn sync(&self, seq: Seq) -> Result<(), StoreError> {
        self.inner.sync(seq)
    }

    /// The bytes that an event carries, while it is not settled.
    pub fn payload(&self, seq: Seq) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.payloads.get(seq)
    }

    /// Drops the payloads of events, now that nobody will ask for them again. What was dropped
    /// just before the end of the process can be there again after it: settle it again.
    pub fn settle(&self, seqs: impl IntoIterator<Item = Seq>) {
        self.inner.payloads.settle(seqs);
    }

    /// The events that still carry a payload, ascending.
    pub fn unsettled(&self) -> Vec<Seq> {
        self.inner.payloads.unsettled()
    }

    /// Packs events from the outbox into the database, syncs that, and drops the outbox files that
    /// are no longer needed. Without `all`, only full packs are made.
    pub fn fold(&self, all: bool) -> Result<FoldReport, StoreError> {
        self.inner.fold(all, self.last_seq())
    }

    /// Erases the traces that removed people, settled payloads and dropped conversations have left:
    /// the outbox files now, the database's own file when the state is next opened to write, which
    /// takes a second per 100 MB. To be called after [`People::remove`] and its like. Both
    /// checkpoints are the caller's to save anew.
    pub fn erase_traces(&self) -> Result<(), StoreError> {
        self.inner.fold(true, self.last_seq())?;
        self.inner.sync_db()?;
        let files = {
            let mut writer = guard(&self.inner.writer);
            let folded = writer.pending_first - 1;
            let files = writer.outbox.take_all(folded);
            files.map_err(|error| self.inner.fail(error))?
        };
        for file in files {
            erase::shred(&file).map_err(|error| self.inner.fail(error))?;
        }
        erase::request(&self.inner.dir)
    }

    /// Erases at once what [`Store::erase_traces`] leaves to the next opening, and the copies that were made before
    /// migrations. Everybody waits meanwhile: a second per 100 MB. Answers the copies that were removed.
    ///
    /// # Errors
    /// Where it fails after the point of no return the store is failed, and the next opening ends what was begun.
    pub fn erase_now(&self) -> Result<Vec<PathBuf>, StoreError> {
        self.inner.check_writable()?;
        self.erase_traces()?;
        let mut copies = Vec::new();
        for entry in fs::read_dir(&self.inner.dir)
            .map_err(|cause| StoreError::io("list", &self.inner.dir, &cause))?
        {
            let path = entry
                .map_err(|cause| StoreError::io("list", &self.inner.dir, &cause))?
                .path();
            let is_copy = path
                .file_name()
                .and_then(|name| name.to_str())
                .is_some_and(|name| name.starts_with("before-v"));
            // What a restore that was killed had made counts for nothing.
            let is_leftover = path == self.inner.dir.join(archive::MAKING)
                || path == self.inner.dir.join(salvage::DAMAGED);
            if is_copy || is_leftover {
                erase::shred(&path).map_err(|error| self.inner.fail(error))?;
            }
            if is_copy {
                copies.push(path);
            }
        }
        self.inner
            .db
            .rewrite()
            .map_err(|error| self.inner.fail(error))?;
        Ok(copies)
    }

    /// Drops all checkpoints but the newest.
    pub fn drop_old_checkpoints(&self) -> Result<(), StoreError> {
        for (_, path) in checkpoint::list(&self.inner.checkpoints())?
            .into_iter()
            .skip(1)
        {
            erase::shred(&path).map_err(|error| self.inner.fail(error))?;
        }
        Ok(())
    }

    /// Makes all writes to people, audiences, look-ups, conversations and meta so far outlive a
    /// power cut.
    pub fn sync_database(&self) -> Result<(), StoreError> {
        self.inner.check_writable()?;
        self.inner.sync_db()
    }

    /// Saves the state folded from all events through `seq`, and drops all but the newest two.
    pub fn save_checkpoint(&self, seq: Seq, bytes: &[u8]) -> Result<(), StoreError> {
        let io = |cause: std::io::Error| StoreError::io("write", self.dir(), &cause);
        self.write_checkpoint(seq, |out| out.write_all(bytes).map_err(io))
    }

    /// As [`Store::save_checkpoint`], of a state that `fill` writes piece by piece: it never stands in memory whole.
    ///
    /// # Errors
    /// Those of `fill`, and the store's own.
    pub fn write_checkpoint(
        &self,
        seq: Seq,
        fill: impl FnOnce(&mut dyn std::io::Write) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.inner.check_writable()?;
        // A checkpoint must not know events that a power cut could still take.
        self.inner.sync(seq)?;
        checkpoint::save(
            &self.inner.checkpoints(),
            self.inner.id,
            seq,
            fill,
            &self.inner.hooks,
        )
        .map_err(|error| self.inner.fail(error))
    }

    /// Drops packs of the journal that hold only events before `keep_from`, as far as the older
    /// checkpoint covers them. Answers the number of packs.
    pub fn compact(&self, keep_from: Seq) -> Result<usize, StoreError> {
        self.inner.compact(keep_from)
    }

    /// The first event that is kept.
    pub fn first_seq(&self) -> Result<Seq, StoreError> {
        self.inner.journal_first()
    }

    /// Personal data.
    pub fn people(&self) -> People {
        self.inner.people.clone()
    }

    /// What the sources found.
    pub fn audience(&self) -> Audience {
        Audience(self.inner.audience.clone())
    }

    /// How far look-ups have come.
    pub fn lookups(&self) -> Lookups {
        Lookups(self.inner.lookups.clone())
    }

    /// What was said.
    pub fn conversations(&self) -> Conversations {
        Conversations(self.inner.conversations.clone())
    }

    /// Small values by name.
    pub fn meta(&self) -> Meta {
        self.inner.meta.clone()
    }

    /// Every key and value of the database by tree, the journal's packs included, after all events
    /// were folded: what a backup is made of.
    pub fn export(
        &self,
    ) -> Result<impl Iterator<Item = Result<Exported, StoreError>> + use<E>, StoreError> {
        self.inner.fold(true, self.last_seq())?;
        Ok(self.inner.trees().into_iter().flat_map(|(tree, pairs)| {
            pairs
                .prefix(&[])
                .map(move |pair| pair.map(|(key, value)| Exported { tree, key, value }))
        }))
    }

    /// Bytes on the disk.
    pub fn sizes(&self) -> Result<Sizes, StoreError> {
        Ok(Sizes {
            outbox: folder_size(&self.inner.dir.join("outbox"))?,
            database: self.inner.db.size()?,
            checkpoints: folder_size(&self.inner.checkpoints())?,
        })
    }

    pub(crate) fn progress(&self) -> watch::Receiver<Progress> {
        self.inner.progress.subscribe()
    }

    pub(crate) fn set_over(&self, over: bool) {
        self.inner
            .progress
            .send_modify(|progress| progress.over = over);
    }

    pub(crate) fn failure_switch(&self) -> Failure {
        self.inner.failure.clone()
    }

    /// Whether enough waits to be folded into full packs.
    pub(crate) fn wants_fold(&self) -> bool {
        let writer = guard(&self.inner.writer);
        writer.pending.len() >= PACK_EVENTS || writer.pending_bytes >= 2 * PACK_BYTES
    }

    /// As [`Store::fold`] of whole packs, of events through this one.
    pub(crate) fn fold_through(&self, seq: Seq) -> Result<FoldReport, StoreError> {
        self.inner.fold(false, seq)
    }
}

fn folder_size(dir: &Path) -> Result<u64, StoreError> {
    let io = |cause: std::io::Error| StoreError::io("measure", dir, &cause);
    let mut sum = 0;
    for entry in fs::read_dir(dir).map_err(io)? {
        sum += entry.and_then(|entry| entry.metadata()).map_err(io)?.len();
    }
    Ok(sum)
}

impl Inner {
    pub(crate) fn checkpoints(&self) -> PathBuf {
        self.dir.join("checkpoints")
    }

    fn trees(&self) -> Vec<(&'static str, Tree)> {
        vec![
            ("meta", self.meta.0.clone()),
            ("journal", self.journal.clone()),
            ("payloads", self.payloads.tree().clone()),
            ("people", self.people.tree().clone()),
            ("audience", self.audience.clone()),
            ("lookups", self.lookups.clone()),
            ("conversations", self.conversations.clone()),
        ]
    }

    pub(crate) fn journal_first(&self) -> Result<Seq, StoreError> {
        Ok(self.meta.own_u64(META_FIRST)?.unwrap_or(1))
    }

    fn check_writable(&self) -> Result<(), StoreError> {
        if self.read_only {
            return Err(StoreError::ReadOnly);
        }
        self.failure.check()
    }

    /// Remembers a fatal error and tells those who wait.
    fn fail(&self, error: StoreError) -> StoreError {
        let error = self.failure.note(error);
        if self.failure.get().is_some() {
            self.progress.send_modify(|progress| progress.over = true);
        }
        error
    }

    fn append(&self, events: Vec<EncodedEvent>) -> Result<(Seq, Seq), StoreError> {
        self.check_writable()?;
        let mut body = Vec::with_capacity(events.iter().map(|(e, p)| e.len() + p.len() + 8).sum());
        for (event, payload) in &events {
            put_item(&mut body, event);
            put_item(&mut body, payload);
        }
        if body.len() > MAX_BODY {
            return Err(StoreError::TooLarge {
                what: "a batch of events",
                size: body.len(),
                limit: MAX_BODY,
            });
        }
        let mut writer = guard(&self.writer);
        let first = writer.next();
        if events.is_empty() {
            return Ok((first, first - 1));
        }
        // Again, under the lock: a write that failed in between may have left half a frame.
        self.failure.check()?;
        let durable = self.durable.load(Ordering::Acquire);
        writer
            .outbox
            .append(first, &body, events.len() as u32, durable)
            .map_err(|error| self.fail(error))?;
        let mut payloads = Vec::new();
        for (seq, (event, payload)) in (first..).zip(events) {
            writer.pending_bytes += event.len() + 4;
            writer.pending.push_back(event);
            if !payload.is_empty() {
                payloads.push((seq, payload));
            }
        }
        self.payloads.add(payloads);
        let last = writer.next() - 1;
        let full = writer.pending_bytes > MAX_PENDING_BYTES;
        drop(writer);
        if full {
            self.fold(false, last)?;
        }
        Ok((first, last))
    }

    fn sync(&self, seq: Seq) -> Result<(), StoreError> {
        let mut busy = guard(&self.syncing);
        loop {
            if self.durable.load(Ordering::Acquire) >= seq {
                return Ok(());
            }
            self.check_writable().map_err(|error| self.fail(error))?;
            if !*busy {
                break;
            }
            busy = self
                .synced
                .wait(busy)
                .unwrap_or_else(PoisonError::into_inner);
        }
        *busy = true;
        drop(busy);
        let result = self.sync_written(seq);
        *guard(&self.syncing) = false;
        self.synced.notify_all();
        result
    }

    /// Syncs all that is written by now, which must reach `seq`.
    fn sync_written(&self, seq: Seq) -> Result<(), StoreError> {
        let (written, file) = {
            let writer = guard(&self.writer);
            (writer.next() - 1, writer.outbox.file())
        };
        if written < seq {
            // Nothing of that number was appended: a caller's mistake that must not wait for ever.
            return Err(StoreError::Gap {
                place: "the outbox".to_owned(),
                expected: seq,
                found: None,
            });
        }
        if let Some((file, path)) = file {
            sync_file(&file, &path, &self.hooks).map_err(|error| self.fail(error))?;
        }
        // After the sync, so that it is never ahead of what the disk holds.
        if let Some(mark) = &self.mark {
            mark.set(written).map_err(|error| self.fail(error))?;
        }
        self.durable.store(written, Ordering::Release);
        self.progress
            .send_modify(|progress| progress.durable = written);
        Ok(())
    }

    fn fold(&self, all: bool, through: Seq) -> Result<FoldReport, StoreError> {
        self.check_writable()?;
        let _one = guard(&self.folding);
        let (first, events) = {
            let writer = guard(&self.writer);
            let first = writer.pending_first;
            let most = (through + 1).saturating_sub(first) as usize;
            let events: Vec<Encoded> = writer.pending.iter().take(most).cloned().collect();
            (first, events)
        };
        let (changes, count) = pack(first, events.iter().map(|event| &**event), !all);
        if count == 0 {
            self.payloads
                .drop_settled()
                .map_err(|error| self.fail(error))?;
            return Ok(FoldReport::default());
        }
        let last = first + count as Seq - 1;
        // The database must never know events that the outbox could still lose.
        self.sync(last)?;
        self.point(Point::Fold)?;
        // Payloads first: an event in the journal is not looked up in the outbox again.
        self.payloads
            .store_through(last)
            .and_then(|()| self.journal.apply(changes))
            .map_err(|error| self.fail(error))?;
        self.sync_db()?;
        self.point(Point::Folded)?;
        let files = {
            let mut writer = guard(&self.writer);
            let bytes: usize = writer
                .pending
                .drain(..count)
                .map(|event| event.len() + 4)
                .sum();
            writer.pending_first += count as Seq;
            writer.pending_bytes = writer.pending_bytes.saturating_sub(bytes);
            writer.outbox.take_folded(last)
        };
        for file in &files {
            fs::remove_file(file)
                .map_err(|cause| self.fail(StoreError::io("remove", file, &cause)))?;
        }
        Ok(FoldReport {
            events: count,
            files: files.len(),
        })
    }

    fn point(&self, point: Point) -> Result<(), StoreError> {
        self.hooks
            .at(point)
            .map_err(|cause| self.fail(StoreError::io("write", &self.dir, &cause)))
    }

    fn sync_db(&self) -> Result<(), StoreError> {
        let mut stamp = guard(&self.stamp);
        let next = stamp.0 + 1;
        self.meta
            .put_own(META_STAMP, &next.to_be_bytes())
            .and_then(|()| self.db.sync())
            .map_err(|error| self.fail(error))?;
        stamp.0 = next;
        if let Some(file) = &stamp.1 {
            // Not synced: an old stamp is harmless, it only notices less.
            file.write_all_at(&stamp_bytes(next), 0)
                .map_err(|cause| self.fail(StoreError::io("write", &self.dir, &cause)))?;
        }
        Ok(())
    }

    fn compact(&self, keep_from: Seq) -> Result<usize, StoreError> {
        self.check_writable()?;
        let Some((oldest, _)) = checkpoint::list(&self.checkpoints())?.pop() else {
            return Ok(0);
        };
        let limit = keep_from.min(oldest + 1);
        let keys = self
            .journal
            .keys(Vec::new(), limit.saturating_add(1).to_be_bytes().to_vec())?;
        // The last of them starts at or before the limit: it stays.
        let Some((kept, gone)) = keys.split_last() else {
            return Ok(0);
        };
        if gone.is_empty() {
            return Ok(0);
        }
        self.meta
            .put_own(META_FIRST, kept)
            .and_then(|()| self.sync_db())?;
        let changes: Changes = gone.iter().map(|key| (key.clone(), None)).collect();
        self.journal
            .apply(changes)
            .and_then(|()| self.sync_db())
            .map_err(|error| self.fail(error))?;
        Ok(gone.len())
    }
}

/// The stamp file's contents.
fn stamp_bytes(stamp: u64) -> [u8; 12] {
    let mut out = [0; 12];
    out[..8].copy_from_slice(&stamp.to_le_bytes());
    let crc = crc32fast::hash(&out[..8]);
    out[8..].copy_from_slice(&crc.to_le_bytes());
    out
}

//! The outbox: the append-only files through which every event goes before it reaches the
//! database, because only they are cheap to make outlive a power cut (`fdatasync`).
//!
//! A file is named after the first event it may hold, `outbox/<20 digits>.log`:
//!
//! ```text
//! file   = "TIDINGS" 0x01 | state id (16) | first event (u64) | crc32 of the above
//! frame  = "TdF1" | body length (u32) | crc32 of what follows | count (u32)
//!        | first event (u64) | durable through (u64) | body
//! body   = count × (length (u32) | event | length (u32) | payload)   numbers are little-endian
//! ```
//!
//! One append is one frame, so that a batch is there whole or not at all. 'Durable through' is the
//! last event known to be on the disk when the frame was written: it tells a torn tail (later
//! frames were never promised to anyone) from damage to something that was.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::codec::{items, le_u32, le_u64};
use super::hooks::{Hooks, Point};
use super::private;
use super::{Seq, StateId, StoreError};

const FILE_MAGIC: &[u8; 8] = b"TIDINGS\x01";
const FILE_HEADER: usize = 8 + 16 + 8 + 4;
const FRAME_MAGIC: &[u8; 4] = b"TdF1";
const FRAME_HEADER: usize = 4 + 4 + 4 + 4 + 8 + 8;
/// Where the checksummed part of a frame starts.
const FRAME_SUMMED: usize = 12;
/// One append's events together: far above any batch the engine makes, far below memory.
pub(crate) const MAX_BODY: usize = 16 << 20;
/// A file is closed beyond this: big enough that files change seldom, small enough that reading
/// the outbox at the start takes a moment.
const ROTATE_AT: u64 = 4 << 20;
/// Folded files kept behind, from which the journal's tail can be repaired.
const KEEP_FOLDED: usize = 1;

/// An encoded event; those of one write share their room.
pub(crate) type Encoded = Bytes;
/// What goes with an event until it is settled.
pub(crate) type Payload = Arc<[u8]>;

/// One event of the outbox.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) seq: Seq,
    pub(crate) event: Encoded,
    /// Empty: none.
    pub(crate) payload: Payload,
}

/// What a look at the outbox found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Events in order; the sequence is ascending and has gaps only between files.
    pub(crate) events: Vec<Entry>,
    /// Bytes of unfinished frames at the end.
    pub(crate) torn_bytes: u64,
}

/// What is to be done about an unfinished end.
#[derive(Debug)]
enum Repair {
    Remove(PathBuf),
    Cut(PathBuf, u64),
}

#[derive(Debug)]
struct Segment {
    path: PathBuf,
    /// Its last event; one before its first when it holds none.
    last: Seq,
}

/// The outbox, open for appending.
#[derive(Debug)]
pub(crate) struct Outbox {
    dir: PathBuf,
    state: StateId,
    closed: Vec<Segment>,
    repairs: Vec<Repair>,
    file: Option<Arc<File>>,
    path: PathBuf,
    len: u64,
    last: Seq,
    hooks: Hooks,
}

impl Outbox {
    /// Makes the first file of a new state.
    pub(crate) fn create(dir: &Path, state: StateId) -> Result<(), StoreError> {
        Self::at(dir, state, Hooks::default()).start(0)
    }

    /// Whether the files in `dir` hold anything but their headers.
    pub(crate) fn holds_events(dir: &Path) -> Result<bool, StoreError> {
        for (_, path) in list(dir)? {
            let meta =
                fs::metadata(&path).map_err(|cause| StoreError::io("measure", &path, &cause))?;
            if meta.len() > FILE_HEADER as u64 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn at(dir: &Path, state: StateId, hooks: Hooks) -> Self {
        Self {
            dir: dir.to_owned(),
            state,
            closed: Vec::new(),
            repairs: Vec::new(),
            file: None,
            path: PathBuf::new(),
            len: 0,
            last: 0,
            hooks,
        }
    }

    /// Reads what is there, and leaves it as it is: [`Outbox::repair`] cuts a torn tail. The outbox is
    /// then positioned after its last event; [`Outbox::resume`] must follow before the first append.
    pub(crate) fn open(
        dir: &Path,
        state: StateId,
        hooks: Hooks,
    ) -> Result<(Self, Found), StoreError> {
        let mut outbox = Self::at(dir, state, hooks);
        let mut found = Found::default();
        let names = list(dir)?;
        if names.is_empty() {
            // One is made with the state, and each is dropped only after its successor was made.
            return Err(StoreError::corrupt(
                dir.display().to_string(),
                "the outbox files are missing",
            ));
        }
        let newest = names.len().saturating_sub(1);
        for (at, (first, path)) in names.into_iter().enumerate() {
            let bytes = fs::read(&path).map_err(|cause| StoreError::io("read", &path, &cause))?;
            let is_newest = at == newest;
            if is_newest && !header_is_whole(&bytes) {
                // Its creation was cut short: nothing was ever promised out of it.
                found.torn_bytes += bytes.len() as u64;
                outbox.repairs.push(Repair::Remove(path));
                continue;
            }
            check_header(&path, &bytes, state, first)?;
            if first <= outbox.last {
                return Err(StoreError::corrupt(
                    path.display().to_string(),
                    format!(
                        "it starts with event {first}, but the file before it ends with {}",
                        outbox.last
                    ),
                ));
            }
            let tail = if is_newest { Tail::Torn } else { Tail::Whole };
            let scan = scan(&path, &bytes, first, tail)?;
            if scan.good < bytes.len() {
                found.torn_bytes += (bytes.len() - scan.good) as u64;
                outbox
                    .repairs
                    .push(Repair::Cut(path.clone(), scan.good as u64));
            }
            outbox.last = scan.events.last().map_or(first - 1, |entry| entry.seq);
            found.events.extend(scan.events);
            outbox.closed.push(Segment {
                path,
                last: outbox.last,
            });
        }
        Ok((outbox, found))
    }

    /// Every sound event of the files that can be read, whatever is wrong beside them; and whether something was.
    pub(crate) fn salvage(dir: &Path, state: StateId) -> (Vec<Entry>, bool) {
        let (Ok(names), mut events, mut bad) = (list(dir), Vec::<Entry>::new(), false) else {
            return (Vec::new(), true);
        };
        for (first, path) in names {
            let Ok(bytes) = fs::read(&path) else {
                bad = true;
                continue;
            };
            if check_header(&path, &bytes, state, first).is_err() {
                bad = true;
                continue;
            }
            let scan = scan(&path, &bytes, first, Tail::Any).unwrap_or_default();
            bad |= scan.good < bytes.len();
            let last = events.last().map_or(0, |entry| entry.seq);
            events.extend(scan.events.into_iter().filter(|entry| entry.seq > last));
        }
        (events, bad)
    }

    /// Cuts the unfinished end that [`Outbox::open`] found.
    pub(crate) fn repair(&mut self) -> Result<(), StoreError> {
        for repair in std::mem::take(&mut self.repairs) {
            match repair {
                Repair::Remove(path) => {
                    fs::remove_file(&path)
                        .map_err(|cause| StoreError::io("remove", &path, &cause))?;
                    sync_dir(&self.dir)?;
                }
                Repair::Cut(path, len) => cut(&path, len)?,
            }
        }
        Ok(())
    }

    /// The last event that stands in the outbox, or stood in a file of it.
    pub(crate) fn last(&self) -> Seq {
        self.last
    }

    /// Starts a new file for the events after `last`; it appears with its header whole. A file of
    /// the same name can only be one that holds no events, and is replaced.
    fn start(&mut self, last: Seq) -> Result<(), StoreError> {
        let first = last + 1;
        let path = self.dir.join(format!("{first:020}.log"));
        let partial = self.dir.join("partial");
        let file = private::fresh()
            .open(&partial)
            .map_err(|cause| StoreError::io("create", &partial, &cause))?;
        let mut header = Vec::with_capacity(FILE_HEADER);
        header.extend_from_slice(FILE_MAGIC);
        header.extend_from_slice(&self.state.0.to_le_bytes());
        header.extend_from_slice(&first.to_le_bytes());
        header.extend_from_slice(&crc32fast::hash(&header).to_le_bytes());
        (&file)
            .write_all(&header)
            .and_then(|()| file.sync_data())
            .and_then(|()| fs::rename(&partial, &path))
            .map_err(|cause| StoreError::io("write", &path, &cause))?;
        sync_dir(&self.dir)?;
        self.closed.retain(|segment| segment.path != path);
        self.file = Some(Arc::new(file));
        self.path = path;
        self.len = FILE_HEADER as u64;
        self.last = last;
        Ok(())
    }

    /// Syncs what was found at the opening: a process that was killed may have left it in the page
    /// cache only.
    pub(crate) fn sync_closed(&self) -> Result<(), StoreError> {
        if let Some(segment) = self.closed.last() {
            let file = File::open(&segment.path)
                .map_err(|cause| StoreError::io("open", &segment.path, &cause))?;
            sync_file(&file, &segment.path, &self.hooks)?;
        }
        Ok(())
    }

    /// Makes ready to append events after `last`.
    pub(crate) fn resume(&mut self, last: Seq) -> Result<(), StoreError> {
        self.close_file();
        self.start(last)
    }

    fn close_file(&mut self) {
        if self.file.take().is_some() {
            self.closed.push(Segment {
                path: self.path.clone(),
                last: self.last,
            });
        }
    }

    /// Writes one frame; it is durable only after a sync of [`Outbox::file`]. `durable` is the
    /// last event known to be on the disk. A full file is synced and a new one started first.
    pub(crate) fn append(
        &mut self,
        first: Seq,
        body: &[u8],
        count: u32,
        durable: Seq,
    ) -> Result<(), StoreError> {
        if self.len > ROTATE_AT {
            self.sync()?;
            let last = self.last;
            self.close_file();
            self.start(last)?;
        }
        let Some(file) = &self.file else {
            return Err(StoreError::Closed);
        };
        let frame = frame(first, body, count, durable);
        let write = self
            .hooks
            .at(Point::OutboxWrite)
            .and_then(|()| (&**file).write_all(&frame))
            .and_then(|()| self.hooks.at(Point::OutboxWritten));
        write.map_err(|cause| StoreError::io("write", &self.path, &cause))?;
        self.len += frame.len() as u64;
        self.last = first + u64::from(count) - 1;
        Ok(())
    }

    /// The file being written, to be synced outside of any lock.
    pub(crate) fn file(&self) -> Option<(Arc<File>, PathBuf)> {
        self.file
            .as_ref()
            .map(|file| (Arc::clone(file), self.path.clone()))
    }

    fn sync(&self) -> Result<(), StoreError> {
        match &self.file {
            Some(file) => sync_file(file, &self.path, &self.hooks),
            None => Ok(()),
        }
    }

    /// Starts a new file and answers all others but those that hold an event after `folded`.
    pub(crate) fn take_all(&mut self, folded: Seq) -> Result<Vec<PathBuf>, StoreError> {
        self.sync()?;
        let last = self.last;
        self.close_file();
        self.start(last)?;
        Ok(self.take(folded, 0))
    }

    /// Files that are no longer needed once everything through `folded` is durable in the
    /// database. The newest of them is kept for repairs.
    pub(crate) fn take_folded(&mut self, folded: Seq) -> Vec<PathBuf> {
        self.take(folded, KEEP_FOLDED)
    }

    fn take(&mut self, folded: Seq, keep: usize) -> Vec<PathBuf> {
        let done = self
            .closed
            .iter()
            .take_while(|segment| segment.last <= folded)
            .count();
        self.closed
            .drain(..done.saturating_sub(keep))
            .map(|segment| segment.path)
            .collect()
    }
}

/// `fdatasync` of an outbox file.
pub(crate) fn sync_file(file: &File, path: &Path, hooks: &Hooks) -> Result<(), StoreError> {
    hooks
        .at(Point::OutboxSync)
        .and_then(|()| file.sync_data())
        .and_then(|()| hooks.at(Point::OutboxSynced))
        .map_err(|cause| StoreError::io("sync", path, &cause))
}

fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(|cause| StoreError::io("sync", dir, &cause))
}

fn cut(path: &Path, len: u64) -> Result<(), StoreError> {
    OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|file| {
            file.set_len(len)?;
            file.sync_all()
        })
        .map_err(|cause| StoreError::io("cut the torn end of", path, &cause))
}

/// The outbox files in order, each with the number its name holds.
fn list(dir: &Path) -> Result<Vec<(Seq, PathBuf)>, StoreError> {
    let read = |cause: std::io::Error| StoreError::io("list", dir, &cause);
    let mut out = Vec::new();
    for entry in fs::read_dir(dir).map_err(read)? {
        let entry = entry.map_err(read)?;
        let name = entry.file_name();
        let first = name
            .to_str()
            .and_then(|name| name.strip_suffix(".log"))
            .and_then(|digits| digits.parse::<Seq>().ok())
            .filter(|first| *first > 0);
        if let Some(first) = first {
            out.push((first, entry.path()));
        }
    }
    out.sort_unstable();
    Ok(out)
}

/// The state that the newest sound file in `dir` belongs to.
pub(crate) fn state_of(dir: &Path) -> Option<StateId> {
    let names = list(dir).ok()?;
    names.into_iter().rev().find_map(|(first, path)| {
        let bytes = fs::read(&path).ok()?;
        let id = StateId(u128::from_le_bytes(bytes.get(8..24)?.try_into().ok()?));
        check_header(&path, &bytes, id, first).is_ok().then_some(id)
    })
}

fn header_is_whole(bytes: &[u8]) -> bool {
    // A power cut can leave a file with its length but without its contents.
    bytes.len() >= FILE_HEADER && bytes.iter().any(|byte| *byte != 0)
}

fn check_header(path: &Path, bytes: &[u8], state: StateId, first: Seq) -> Result<(), StoreError> {
    let place = || format!("{}, offset 0", path.display());
    let summed = bytes.get(..FILE_HEADER - 4);
    let sound = summed.is_some_and(|summed| {
        summed.starts_with(FILE_MAGIC)
            && le_u32(bytes, FILE_HEADER - 4) == Some(crc32fast::hash(summed))
    });
    if !sound {
        return Err(StoreError::corrupt(
            place(),
            "the file's header is not sound",
        ));
    }
    let id = bytes.get(8..24).and_then(|id| id.try_into().ok());
    if id.map(u128::from_le_bytes) != Some(state.0) {
        return Err(StoreError::corrupt(
            place(),
            "the file belongs to another state",
        ));
    }
    if le_u64(bytes, 24) != Some(first) {
        return Err(StoreError::corrupt(
            place(),
            "the file's name and its header name different events",
        ));
    }
    Ok(())
}

fn frame(first: Seq, body: &[u8], count: u32, durable: Seq) -> Vec<u8> {
    let mut out = Vec::with_capacity(FRAME_HEADER + body.len());
    out.extend_from_slice(FRAME_MAGIC);
    out.extend_from_slice(&(body.len() as u32).to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&count.to_le_bytes());
    out.extend_from_slice(&first.to_le_bytes());
    out.extend_from_slice(&durable.to_le_bytes());
    out.extend_from_slice(body);
    let crc = crc32fast::hash(&out[FRAME_SUMMED..]);
    out[8..FRAME_SUMMED].copy_from_slice(&crc.to_le_bytes());
    out
}

struct Frame<'a> {
    first: Seq,
    durable: Seq,
    /// Events and payloads by turns.
    items: Vec<&'a [u8]>,
    end: usize,
}

/// The sound frame at `at`, if there is one.
fn parse(bytes: &[u8], at: usize) -> Option<Frame<'_>> {
    let header = bytes.get(at..at.checked_add(FRAME_HEADER)?)?;
    if !header.starts_with(FRAME_MAGIC) {
        return None;
    }
    let len = le_u32(header, 4)? as usize;
    if len > MAX_BODY {
        return None;
    }
    let end = at + FRAME_HEADER + len;
    let summed = bytes.get(at + FRAME_SUMMED..end)?;
    if le_u32(header, 8)? != crc32fast::hash(summed) {
        return None;
    }
    let count = le_u32(header, 12)?;
    let first = le_u64(header, 16)?;
    let durable = le_u64(header, 24)?;
    let items = items(bytes.get(at + FRAME_HEADER..end)?)?;
    (items.len() == 2 * count as usize && count > 0 && first > 0).then_some(Frame {
        first,
        durable,
        items,
        end,
    })
}

#[derive(Default)]
struct Scan {
    events: Vec<Entry>,
    /// Length of the sound part.
    good: usize,
}

/// What may stand at a file's end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tail {
    /// Nothing but whole frames.
    Whole,
    /// A frame that nobody was promised.
    Torn,
    /// Anything: what stands before it is wanted.
    Any,
}

fn scan(path: &Path, bytes: &[u8], first: Seq, tail: Tail) -> Result<Scan, StoreError> {
    let mut events = Vec::new();
    let mut at = FILE_HEADER;
    let mut next = first;
    while at < bytes.len() {
        let Some(frame) = parse(bytes, at) else {
            if tail == Tail::Any {
                break;
            }
            if let Some(later) = promised_after(bytes, at, next) {
                return Err(StoreError::corrupt(
                    format!("{}, offset {at}", path.display()),
                    format!(
                        "event {next} should stand here and does not match its checksum, although event {later} after it is sound"
                    ),
                ));
            }
            if tail == Tail::Whole {
                return Err(StoreError::corrupt(
                    format!("{}, offset {at}", path.display()),
                    format!(
                        "the file ends before event {next} is complete, although newer files follow"
                    ),
                ));
            }
            break;
        };
        if frame.first != next {
            if tail == Tail::Any {
                break;
            }
            return Err(StoreError::corrupt(
                format!("{}, offset {at}", path.display()),
                format!("event {} stands here, expected {next}", frame.first),
            ));
        }
        for pair in frame.items.chunks_exact(2) {
            events.push(Entry {
                seq: next,
                event: Encoded::copy_from_slice(pair[0]),
                payload: Payload::from(pair[1]),
            });
            next += 1;
        }
        at = frame.end;
    }
    Ok(Scan { events, good: at })
}

/// Looks behind a bad place for a sound frame that was written when `next` was already durable:
/// then `next` was promised, and its loss is damage, not a torn tail. Answers that frame's event.
fn promised_after(bytes: &[u8], bad: usize, next: Seq) -> Option<Seq> {
    let mut at = bad + 1;
    while let Some(rest) = bytes.get(at..) {
        let step = rest
            .windows(FRAME_MAGIC.len())
            .position(|window| window == FRAME_MAGIC)?;
        at += step;
        if let Some(frame) = parse(bytes, at)
            && frame.first > next
            && frame.durable >= next
        {
            return Some(frame.first);
        }
        at += 1;
    }
    None
}

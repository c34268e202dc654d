//! Checkpoints: the folded state as bytes, so that a start need not read the whole journal.
//!
//! Each is a file of its own, `checkpoints/<20 digits>.ckpt`, written beside and renamed when it is
//! whole and synced; the newest two are kept. Files, not database values: a log-structured database
//! would carry each old one along until its garbage is collected, and a damaged database must not
//! take the checkpoint with it.
//!
//! ```text
//! file  = "TDCKPT\0" 0x01 | state id (16) | event (u64) | length (u64) | crc32 of the above | chunk*
//! chunk = length (u32) | sealed value of at most 1 MiB, with its own checksum
//! ```

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::codec::{check, le_u32, le_u64, seal, unseal};
use super::hooks::{Hooks, Point};
use super::private;
use super::{Seq, StateId, StoreError};

const MAGIC: &[u8; 8] = b"TDCKPT\0\x01";
const HEADER: usize = 8 + 16 + 8 + 8 + 4;
/// Bytes of the state in one chunk.
const CHUNK: usize = 1 << 20;
/// A folded state of a million people is some 100 MB; ten times that is a mistake.
const MAX_BYTES: usize = 2 << 30;
/// The newest, and the one to fall back to when it is damaged.
const GENERATIONS: usize = 2;

/// A folded state: all events through `seq` are in it. It is held as it stands in its file, and unpacked piece by piece
/// when it is read: of a million people that is 8 MB instead of 50.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The last event that was folded into it.
    pub seq: Seq,
    /// All of its file, which goes back to the system in one piece.
    file: Vec<u8>,
    /// Where in it the sealed chunks are, whose checksums are sound.
    chunks: Vec<Range<usize>>,
}

impl Checkpoint {
    /// The state, in the caller's own encoding.
    pub fn reader(&self) -> CheckpointReader<'_> {
        CheckpointReader {
            checkpoint: self,
            next: 0,
            chunk: Vec::new(),
            at: 0,
        }
    }

    /// All of it at once.
    ///
    /// # Errors
    /// Where a chunk does not unpack, though its checksum is sound.
    pub fn bytes(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.reader().read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// Reads a checkpoint, chunk by chunk.
#[derive(Debug)]
pub struct CheckpointReader<'a> {
    checkpoint: &'a Checkpoint,
    next: usize,
    chunk: Vec<u8>,
    at: usize,
}

impl Read for CheckpointReader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.at == self.chunk.len() {
            let chunk = self.checkpoint.chunks.get(self.next);
            let Some(sealed) = chunk.and_then(|at| self.checkpoint.file.get(at.clone())) else {
                return Ok(0);
            };
            let key = chunk_key(self.checkpoint.seq, self.next);
            // The next one takes the place of this.
            self.chunk = Vec::new();
            self.chunk = unseal(&key, sealed).map_err(io::Error::other)?;
            self.next += 1;
            self.at = 0;
        }
        let left = &self.chunk[self.at..];
        let len = left.len().min(out.len());
        out[..len].copy_from_slice(&left[..len]);
        self.at += len;
        Ok(len)
    }

    // Most of what is read is a few bytes long.
    fn read_exact(&mut self, mut out: &mut [u8]) -> io::Result<()> {
        if let Some(bytes) = self.chunk.get(self.at..self.at + out.len()) {
            out.copy_from_slice(bytes);
            self.at += out.len();
            return Ok(());
        }
        while !out.is_empty() {
            let len = self.read(out)?;
            if len == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            out = &mut out[len..];
        }
        Ok(())
    }
}

/// Sequence numbers and files of the checkpoints, newest first. Leftovers of unfinished writing
/// are not among them.
pub(crate) fn list(dir: &Path) -> Result<Vec<(Seq, PathBuf)>, StoreError> {
    let read = |cause: std::io::Error| StoreError::io("list", dir, &cause);
    let mut out = Vec::new();
    for entry in fs::read_dir(dir).map_err(read)? {
        let entry = entry.map_err(read)?;
        let seq = entry
            .file_name()
            .to_str()
            .and_then(|name| name.strip_suffix(".ckpt"))
            .and_then(|digits| digits.parse::<Seq>().ok());
        if let Some(seq) = seq {
            out.push((seq, entry.path()));
        }
    }
    out.sort_unstable_by(|a, b| b.cmp(a));
    Ok(out)
}

/// Writes a checkpoint and then drops all but the newest two. What `fill` writes goes to the file chunk by chunk.
pub(crate) fn save(
    dir: &Path,
    state: StateId,
    seq: Seq,
    fill: impl FnOnce(&mut dyn Write) -> Result<(), StoreError>,
    hooks: &Hooks,
) -> Result<(), StoreError> {
    let path = dir.join(format!("{seq:020}.ckpt"));
    let partial = dir.join("partial");
    let file = private::fresh()
        .open(&partial)
        .map_err(|cause| StoreError::io("create", &partial, &cause))?;
    write(&file, state, seq, fill, &partial)?;
    hooks
        .at(Point::Checkpoint)
        .and_then(|()| fs::rename(&partial, &path))
        .and_then(|()| File::open(dir)?.sync_all())
        .and_then(|()| hooks.at(Point::CheckpointSaved))
        .map_err(|cause| StoreError::io("write", &path, &cause))?;
    for (_, old) in list(dir)?.into_iter().skip(GENERATIONS) {
        fs::remove_file(&old).map_err(|cause| StoreError::io("remove", &old, &cause))?;
    }
    Ok(())
}

fn write(
    file: &File,
    state: StateId,
    seq: Seq,
    fill: impl FnOnce(&mut dyn Write) -> Result<(), StoreError>,
    path: &Path,
) -> Result<(), StoreError> {
    let io = |cause: std::io::Error| StoreError::io("write", path, &cause);
    let mut out = Chunks {
        file,
        seq,
        count: 0,
        len: 0,
        chunk: Vec::with_capacity(CHUNK),
        failed: None,
    };
    // Its place: how long the state is, is known at the end.
    out.file.write_all(&[0; HEADER]).map_err(io)?;
    let filled = fill(&mut out);
    // What the disk says, rather than what `fill` makes of it.
    if let Some(cause) = out.failed.take() {
        return Err(io(cause));
    }
    filled?;
    out.end_chunk().map_err(io)?;
    if out.len > MAX_BYTES {
        return Err(StoreError::TooLarge {
            what: "a checkpoint",
            size: out.len,
            limit: MAX_BYTES,
        });
    }
    let mut header = Vec::with_capacity(HEADER);
    header.extend_from_slice(MAGIC);
    header.extend_from_slice(&state.0.to_le_bytes());
    header.extend_from_slice(&seq.to_le_bytes());
    header.extend_from_slice(&(out.len as u64).to_le_bytes());
    header.extend_from_slice(&crc32fast::hash(&header).to_le_bytes());
    file.write_all_at(&header, 0)
        .and_then(|()| file.sync_all())
        .map_err(io)
}

/// Cuts what is written into sealed chunks.
struct Chunks<'a> {
    file: &'a File,
    seq: Seq,
    count: usize,
    len: usize,
    chunk: Vec<u8>,
    /// Why the file could not be written.
    failed: Option<io::Error>,
}

impl Chunks<'_> {
    fn end_chunk(&mut self) -> io::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let sealed =
            seal(&chunk_key(self.seq, self.count), &self.chunk).map_err(io::Error::other)?;
        self.file.write_all(&(sealed.len() as u32).to_le_bytes())?;
        self.file.write_all(&sealed)?;
        self.count += 1;
        self.chunk.clear();
        Ok(())
    }
}

impl Write for Chunks<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = bytes.len().min(CHUNK - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..len]);
        self.len += len;
        if self.chunk.len() == CHUNK
            && let Err(cause) = self.end_chunk()
        {
            let kind = cause.kind();
            self.failed = Some(cause);
            return Err(kind.into());
        }
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Position binds a chunk to its place, so that exchanged ones are found out.
fn chunk_key(seq: Seq, at: usize) -> Vec<u8> {
    format!("{seq}/{at}").into_bytes()
}

/// Reads and checks one checkpoint file.
pub(crate) fn read(path: &Path, state: StateId, seq: Seq) -> Result<Checkpoint, StoreError> {
    let file = fs::read(path).map_err(|cause| StoreError::io("read", path, &cause))?;
    let chunks = decode(&file, state, seq)
        .map_err(|what| StoreError::corrupt(path.display().to_string(), what))?;
    Ok(Checkpoint { seq, file, chunks })
}

/// Where the chunks of a file are, each held against its checksum.
fn decode(file: &[u8], state: StateId, seq: Seq) -> Result<Vec<Range<usize>>, String> {
    let summed = file.get(..HEADER - 4).ok_or("the file is too short")?;
    if !summed.starts_with(MAGIC) || le_u32(file, HEADER - 4) != Some(crc32fast::hash(summed)) {
        return Err("its header is not sound".to_owned());
    }
    let id: Option<[u8; 16]> = file.get(8..24).and_then(|id| id.try_into().ok());
    if id.map(u128::from_le_bytes) != Some(state.0) {
        return Err("it belongs to another state".to_owned());
    }
    if le_u64(file, 24) != Some(seq) {
        return Err("its name and its header name different events".to_owned());
    }
    let len = le_u64(file, 32)
        .and_then(|len| usize::try_from(len).ok())
        .filter(|len| *len <= MAX_BYTES)
        .ok_or("its length is beyond reason")?;
    let mut chunks = Vec::new();
    let mut unpacked = 0;
    let mut at = HEADER;
    while at < file.len() {
        let size = le_u32(file, at).ok_or("the file ends within a chunk")? as usize;
        let place = at + 4..at + 4 + size;
        let sealed = file
            .get(place.clone())
            .ok_or("the file ends within a chunk")?;
        unpacked += check(&chunk_key(seq, chunks.len()), sealed)?;
        at = place.end;
        chunks.push(place);
    }
    if unpacked != len {
        return Err(format!("it holds {unpacked} bytes, its header says {len}"));
    }
    Ok(chunks)
}

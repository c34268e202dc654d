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

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::codec::{le_u32, le_u64, seal, unseal};
use super::hooks::{Hooks, Point};
use super::{Seq, StateId, StoreError};

const MAGIC: &[u8; 8] = b"TDCKPT\0\x01";
const HEADER: usize = 8 + 16 + 8 + 8 + 4;
/// Bytes of the state in one chunk.
const CHUNK: usize = 1 << 20;
/// A folded state of a million people is some 100 MB; ten times that is a mistake.
const MAX_BYTES: usize = 2 << 30;
/// The newest, and the one to fall back to when it is damaged.
const GENERATIONS: usize = 2;

/// A folded state: all events through `seq` are in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The last event that was folded into it.
    pub seq: Seq,
    /// The state, in the caller's own encoding.
    pub bytes: Vec<u8>,
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

/// Writes a checkpoint and then drops all but the newest two.
pub(crate) fn save(
    dir: &Path,
    state: StateId,
    seq: Seq,
    bytes: &[u8],
    hooks: &Hooks,
) -> Result<(), StoreError> {
    if bytes.len() > MAX_BYTES {
        return Err(StoreError::TooLarge {
            what: "a checkpoint",
            size: bytes.len(),
            limit: MAX_BYTES,
        });
    }
    let path = dir.join(format!("{seq:020}.ckpt"));
    let partial = dir.join("partial");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&partial)
        .map_err(|cause| StoreError::io("create", &partial, &cause))?;
    write(&file, state, seq, bytes, &partial)?;
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
    bytes: &[u8],
    path: &Path,
) -> Result<(), StoreError> {
    let io = |cause: std::io::Error| StoreError::io("write", path, &cause);
    let mut out = BufWriter::new(file);
    let mut header = Vec::with_capacity(HEADER);
    header.extend_from_slice(MAGIC);
    header.extend_from_slice(&state.0.to_le_bytes());
    header.extend_from_slice(&seq.to_le_bytes());
    header.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    header.extend_from_slice(&crc32fast::hash(&header).to_le_bytes());
    out.write_all(&header).map_err(io)?;
    for (at, chunk) in bytes.chunks(CHUNK).enumerate() {
        let sealed = seal(&chunk_key(seq, at), chunk)?;
        out.write_all(&(sealed.len() as u32).to_le_bytes())
            .and_then(|()| out.write_all(&sealed))
            .map_err(io)?;
    }
    out.flush().and_then(|()| file.sync_all()).map_err(io)
}

/// Position binds a chunk to its place, so that exchanged ones are found out.
fn chunk_key(seq: Seq, at: usize) -> Vec<u8> {
    format!("{seq}/{at}").into_bytes()
}

/// Reads and checks one checkpoint file.
pub(crate) fn read(path: &Path, state: StateId, seq: Seq) -> Result<Checkpoint, StoreError> {
    let file = fs::read(path).map_err(|cause| StoreError::io("read", path, &cause))?;
    decode(&file, state, seq)
        .map(|bytes| Checkpoint { seq, bytes })
        .map_err(|what| StoreError::corrupt(path.display().to_string(), what))
}

fn decode(file: &[u8], state: StateId, seq: Seq) -> Result<Vec<u8>, String> {
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
    let mut bytes = Vec::with_capacity(len);
    let mut at = HEADER;
    let mut chunk = 0;
    while at < file.len() {
        let size = le_u32(file, at).ok_or("the file ends within a chunk")? as usize;
        let sealed = file
            .get(at + 4..at + 4 + size)
            .ok_or("the file ends within a chunk")?;
        bytes.extend(unseal(&chunk_key(seq, chunk), sealed)?);
        if bytes.len() > len {
            return Err("it is longer than its header says".to_owned());
        }
        at += 4 + size;
        chunk += 1;
    }
    if bytes.len() != len {
        return Err(format!(
            "it holds {} bytes, its header says {len}",
            bytes.len()
        ));
    }
    Ok(bytes)
}

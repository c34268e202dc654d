//! Backups: the whole state in one file, and a state made from one.
//!
//! ```text
//! file    = "TIDINGS-BACKUP\n" | version (u32) | zstd stream of: head | record* | end
//! head    = length (u32) | JSON
//! record  = kind (u8) | name | key | value      each with its length (u32)
//! end     = 0xFF | blake3 of everything in the stream before it (32)
//! ```
//!
//! A state is made beside the present one, in `restore.new/`, and becomes `restore/` when it is whole; the next opening
//! puts it in the present one's place, and goes on with that where it was cut short.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::checkpoint;
use super::db::Db;
use super::erase;
use super::error::Failure;
use super::hooks::{Hooks, Point};
use super::outbox::Outbox;
use super::private;
use super::schema::{self, StateFile, make_dir};
use super::state::META_ID;
use super::trees::Meta;
use super::{Seq, StateId, Store, StoreError};

const MAGIC: &[u8; 15] = b"TIDINGS-BACKUP\n";
/// The version of the file's own form.
const FORM: u32 = 1;
/// zstd's own default: a backup is written rarely and read more rarely.
const LEVEL: i32 = 3;
const ROW: u8 = 1;
const CHECKPOINT: u8 = 2;
const FILE: u8 = 3;
const END: u8 = 0xFF;
/// No part of a record is longer: a damaged length must not claim all memory.
const MAX_PART: usize = 2 << 30;
/// Where a state is made.
pub(super) const MAKING: &str = "restore.new";
/// A whole state that waits for the next opening.
const WHOLE: &str = "restore";
/// The parts of a state, in the order in which they are exchanged: what says that there is one comes last.
const PARTS: [&str; 6] = [
    "db",
    "outbox",
    "checkpoints",
    "stamp",
    super::mark::NAME,
    "state.json",
];
/// The trees of a database.
const TREES: [&str; 7] = [
    "meta",
    "journal",
    "payloads",
    "people",
    "audience",
    "lookups",
    "conversations",
];

/// What a backup says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupHead {
    /// The state's version.
    pub state_version: u32,
    /// The state's id.
    pub state_id: String,
    /// The last event that is in it.
    pub seq: Seq,
    /// When it was taken, in milliseconds of Unix time.
    pub taken_at_ms: i64,
    /// The Tidings that took it.
    pub program: String,
}

impl BackupHead {
    /// The state's id.
    pub fn id(&self) -> Option<StateId> {
        self.state_id.parse().ok()
    }
}

/// A file that goes with a backup, such as a session.
pub struct BackupFile {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

fn broken(path: &Path, what: impl Into<String>) -> StoreError {
    StoreError::Backup {
        path: path.to_owned(),
        what: what.into(),
    }
}

struct Hashed<W> {
    inner: W,
    hash: blake3::Hasher,
}

impl<W: Write> Hashed<W> {
    fn part(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let len = u32::try_from(bytes.len())
            .map_err(|_| std::io::Error::from(std::io::ErrorKind::FileTooLarge))?;
        self.raw(&len.to_le_bytes())?;
        self.raw(bytes)
    }

    fn raw(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.hash.update(bytes);
        self.inner.write_all(bytes)
    }

    fn record(&mut self, kind: u8, name: &str, key: &[u8], value: &[u8]) -> std::io::Result<()> {
        self.raw(&[kind])?;
        self.part(name.as_bytes())?;
        self.part(key)?;
        self.part(value)
    }
}

impl<E: Serialize + DeserializeOwned> Store<E> {
    /// Writes everything into a file that only its owner may read; there is no such file, or a whole one. `checkpoint`
    /// is the state folded from all events. Nothing may be appended meanwhile.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn backup(
        &self,
        path: &Path,
        checkpoint: &[u8],
        taken_at_ms: i64,
        program: &str,
        files: &[BackupFile],
    ) -> Result<BackupHead, StoreError> {
        let io = |cause: std::io::Error| StoreError::io("write", path, &cause);
        let path = &regular(path).map_err(io)?;
        let head = BackupHead {
            state_version: schema::VERSION,
            state_id: self.id().to_string(),
            seq: self.last_seq(),
            taken_at_ms,
            program: program.to_owned(),
        };
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let written = self.write_backup(&partial, path, &head, checkpoint, files);
        let written = written.and_then(|()| fs::rename(&partial, path).map_err(io));
        if let Err(error) = written {
            // What is half written helps nobody; the reason is told already.
            let _ = fs::remove_file(&partial);
            return Err(error);
        }
        if let Some(parent) = path.parent()
            && let Ok(parent) = File::open(if parent.as_os_str().is_empty() {
                Path::new(".")
            } else {
                parent
            })
        {
            // A folder that cannot be synced is no reason to have no backup.
            let _ = parent.sync_all();
        }
        Ok(head)
    }

    fn write_backup(
        &self,
        partial: &Path,
        path: &Path,
        head: &BackupHead,
        checkpoint: &[u8],
        files: &[BackupFile],
    ) -> Result<(), StoreError> {
        let io = |cause: std::io::Error| StoreError::io("write", path, &cause);
        let rows = self.export()?;
        let mut file = private::fresh().open(partial).map_err(io)?;
        file.write_all(MAGIC)
            .and_then(|()| file.write_all(&FORM.to_le_bytes()))
            .map_err(io)?;
        let packed = zstd::stream::write::Encoder::new(BufWriter::new(file), LEVEL).map_err(io)?;
        let mut out = Hashed {
            inner: packed,
            hash: blake3::Hasher::new(),
        };
        let about = serde_json::to_vec(head).map_err(|cause| StoreError::Encode {
            what: "a backup's head",
            cause: cause.to_string(),
        })?;
        out.part(&about).map_err(io)?;
        out.record(CHECKPOINT, "", b"", checkpoint).map_err(io)?;
        for row in rows {
            let row = row?;
            out.record(ROW, row.tree, &row.key, &row.value)
                .map_err(io)?;
        }
        for file in files {
            out.record(FILE, &file.name, b"", &file.bytes).map_err(io)?;
        }
        out.raw(&[END]).map_err(io)?;
        let hash = out.hash.finalize();
        out.inner.write_all(hash.as_bytes()).map_err(io)?;
        let file = out
            .inner
            .finish()
            .and_then(|buffered| buffered.into_inner().map_err(|error| error.into_error()))
            .map_err(io)?;
        file.sync_all().map_err(io)
    }
}

/// Where a file is put in another's place: of a link, what it leads to.
///
/// # Errors
/// Anything but a file is kept: a device or a pipe in whose place a file stood would be lost to everybody.
fn regular(path: &Path) -> std::io::Result<PathBuf> {
    let Ok(meta) = fs::symlink_metadata(path) else {
        return Ok(path.to_owned());
    };
    let place = match meta.is_symlink() {
        true => fs::canonicalize(path)?,
        false => path.to_owned(),
    };
    match fs::metadata(&place)?.is_file() {
        true => Ok(place),
        false => Err(std::io::Error::other(
            "it is no file; a backup takes the place of a file, or is a new one",
        )),
    }
}

/// A backup as it is read.
struct Reading<'a> {
    path: &'a Path,
    inner: zstd::stream::read::Decoder<'static, BufReader<File>>,
    hash: blake3::Hasher,
}

/// One record: kind, name, key, value.
type Row = (u8, String, Vec<u8>, Vec<u8>);

impl<'a> Reading<'a> {
    fn open(path: &'a Path) -> Result<(Self, BackupHead), StoreError> {
        let io = |cause: std::io::Error| StoreError::io("read", path, &cause);
        let mut file = File::open(path).map_err(io)?;
        let mut magic = [0u8; MAGIC.len()];
        let mut form = [0u8; 4];
        if file.read_exact(&mut magic).is_err() || &magic != MAGIC {
            return Err(broken(path, "it is no backup of Tidings"));
        }
        file.read_exact(&mut form)
            .map_err(|_| broken(path, "it ends after its first bytes"))?;
        let form = u32::from_le_bytes(form);
        if form != FORM {
            return Err(broken(
                path,
                format!(
                    "its form is {form}, and this program reads form {FORM}: use the newer Tidings that wrote it"
                ),
            ));
        }
        let inner = zstd::stream::read::Decoder::new(file).map_err(io)?;
        let mut reading = Reading {
            path,
            inner,
            hash: blake3::Hasher::new(),
        };
        let head = reading.part()?;
        let head: BackupHead = serde_json::from_slice(&head)
            .map_err(|cause| broken(path, format!("its head is not understood: {cause}")))?;
        if head.state_version > schema::VERSION {
            return Err(broken(
                path,
                format!(
                    "it holds a state of version {}, and this program knows only versions up to {}: use the newer \
                     Tidings that wrote it",
                    head.state_version,
                    schema::VERSION
                ),
            ));
        }
        Ok((reading, head))
    }

    fn raw(&mut self, bytes: &mut [u8]) -> Result<(), StoreError> {
        self.inner
            .read_exact(bytes)
            .map_err(|cause| broken(self.path, format!("it is cut off or damaged ({cause})")))
    }

    fn part(&mut self) -> Result<Vec<u8>, StoreError> {
        let mut len = [0u8; 4];
        self.raw(&mut len)?;
        self.hash.update(&len);
        let len = u32::from_le_bytes(len) as usize;
        if len > MAX_PART {
            return Err(broken(
                self.path,
                "it is damaged: a length is beyond reason",
            ));
        }
        let mut bytes = Vec::new();
        let got = (&mut self.inner)
            .take(len as u64)
            .read_to_end(&mut bytes)
            .map_err(|cause| broken(self.path, format!("it is damaged ({cause})")))?;
        if got != len {
            return Err(broken(self.path, "it is cut off"));
        }
        self.hash.update(&bytes);
        Ok(bytes)
    }

    /// The next record; `None` at the end, where the checksum holds.
    fn record(&mut self) -> Result<Option<Row>, StoreError> {
        let mut kind = [0u8; 1];
        self.raw(&mut kind)?;
        self.hash.update(&kind);
        if kind == [END] {
            let mut hash = [0u8; 32];
            let expected = self.hash.finalize();
            self.raw(&mut hash)?;
            if &hash != expected.as_bytes() {
                return Err(broken(self.path, "it does not match its checksum"));
            }
            return Ok(None);
        }
        let name = String::from_utf8(self.part()?)
            .map_err(|_| broken(self.path, "it is damaged: a name is no text"))?;
        let (key, value) = (self.part()?, self.part()?);
        let [kind] = kind;
        Ok(Some((kind, name, key, value)))
    }
}

/// Reads a backup to its end and checks it.
///
/// # Errors
/// Where it is no backup, one of a newer version, cut off or damaged.
pub fn check_backup(path: &Path) -> Result<BackupHead, StoreError> {
    let (mut reading, head) = Reading::open(path)?;
    while reading.record()?.is_some() {}
    Ok(head)
}

/// Makes a state from a backup beside the one in `dir`, under the id `id`. Answers where it stands, so that it can be
/// opened and added to, and the files that came along. It counts from [`take_restored`] on.
///
/// # Errors
/// As [`check_backup`], and where the disk refuses.
pub fn stage_backup(
    dir: &Path,
    backup: &Path,
    id: StateId,
    now_ms: i64,
) -> Result<(PathBuf, Vec<BackupFile>), StoreError> {
    make_dir(dir)?;
    let making = dir.join(MAKING);
    if making.exists() {
        erase::shred(&making)?;
    }
    for part in ["db", "outbox", "checkpoints"] {
        make_dir(&making.join(part))?;
    }
    let (mut reading, head) = Reading::open(backup)?;
    let mut files = Vec::new();
    let mut checkpoint = Vec::new();
    {
        let (db, _) = Db::open(&making.join("db"), Failure::default(), Hooks::default())?;
        let trees = TREES
            .iter()
            .map(|name| Ok((*name, db.tree(name)?)))
            .collect::<Result<Vec<_>, StoreError>>()?;
        while let Some((kind, name, key, value)) = reading.record()? {
            match kind {
                CHECKPOINT => checkpoint = value,
                FILE => files.push(BackupFile { name, bytes: value }),
                ROW => {
                    let Some((_, tree)) = trees.iter().find(|(known, _)| *known == name) else {
                        return Err(broken(
                            backup,
                            format!("it holds a tree {name:?} that is not known here"),
                        ));
                    };
                    tree.put(&key, &value)?;
                }
                _ => return Err(broken(backup, "it is damaged: a record of an unknown kind")),
            }
        }
        if let Some((_, meta)) = trees.iter().find(|(name, _)| *name == "meta") {
            Meta(meta.clone()).put_own(META_ID, &id.0.to_be_bytes())?;
        }
        db.sync()?;
    }
    Outbox::create(&making.join("outbox"), id)?;
    if head.seq > 0 {
        checkpoint::save(
            &making.join("checkpoints"),
            id,
            head.seq,
            |out| {
                out.write_all(&checkpoint)
                    .map_err(|cause| StoreError::io("write", &making, &cause))
            },
            &Hooks::default(),
        )?;
    }
    let mut file = StateFile::new(id, now_ms);
    file.version = head.state_version;
    reached(dir, Point::Staged)?;
    file.write(&making)?;
    Ok((making, files))
}

/// From now on the next opening of `dir` takes the staged state.
///
/// # Errors
/// Where the disk refuses.
pub fn commit_staged(dir: &Path) -> Result<(), StoreError> {
    let whole = dir.join(WHOLE);
    if whole.exists() {
        erase::shred(&whole)?;
    }
    reached(dir, Point::Restore)?;
    erase::rename(dir, &dir.join(MAKING), &whole)?;
    reached(dir, Point::Restored)
}

/// A place where tests end the process.
fn reached(dir: &Path, point: Point) -> Result<(), StoreError> {
    Hooks::default()
        .at(point)
        .map_err(|cause| StoreError::io("write", dir, &cause))
}

/// Puts a whole restored state in the present one's place. To be called with the lock held and nothing open. Answers
/// whether there was one.
pub(crate) fn take_restored(dir: &Path) -> Result<bool, StoreError> {
    let whole = dir.join(WHOLE);
    if !whole.is_dir() {
        return Ok(false);
    }
    for part in PARTS {
        let (from, to) = (whole.join(part), dir.join(part));
        if !from.exists() {
            continue;
        }
        reached(dir, Point::RestorePart)?;
        if to.exists() {
            erase::shred(&to)?;
        }
        erase::rename(dir, &from, &to)?;
    }
    for leftover in [erase::OLD, erase::NEW] {
        if dir.join(leftover).exists() {
            erase::shred(&dir.join(leftover))?;
        }
    }
    erase::shred(&whole)?;
    Ok(true)
}

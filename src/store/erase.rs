//! Erasing for good. The database is a log: what was removed from a tree stays readable in its
//! file until its room is used again. So after an erasure the database is written anew, and the old
//! files are overwritten before they go.
//!
//! Overwriting in place reaches the disk's blocks on ordinary file systems (ext4, XFS). On
//! copy-on-write ones, on flash behind a controller, and in snapshots and backups old blocks can
//! survive.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;

use super::StoreError;
use super::db::Db;
use super::error::Failure;
use super::hooks::Hooks;
use super::schema::write_whole;

/// Present while an erasure waits for the next opening.
const MARK: &str = "erase";
pub(super) const OLD: &str = "db.old";
pub(super) const NEW: &str = "db.new";

/// Notes that the database is to be written anew at the next opening.
pub(crate) fn request(dir: &Path) -> Result<(), StoreError> {
    write_whole(dir, MARK, b"")
}

/// Finishes an exchange of the databases that was cut short. To be called before the database is
/// looked for.
pub(crate) fn finish(dir: &Path) -> Result<(), StoreError> {
    let (db, old, new) = (dir.join("db"), dir.join(OLD), dir.join(NEW));
    if old.is_dir() && !db.exists() && new.is_dir() {
        // The new one was whole before the old one was moved away.
        rename(dir, &new, &db)?;
    }
    if new.is_dir() && db.is_dir() {
        shred(&new)?;
    }
    if old.is_dir() && db.is_dir() {
        shred(&old)?;
    }
    Ok(())
}

/// Writes the database anew when that was requested. Nothing may have it open. Answers whether it
/// did.
pub(crate) fn run(dir: &Path) -> Result<bool, StoreError> {
    let mark = dir.join(MARK);
    if !mark.exists() {
        return Ok(false);
    }
    let (db, old, new) = (dir.join("db"), dir.join(OLD), dir.join(NEW));
    {
        let (from, _) = Db::open(&db, Failure::default(), Hooks::default())?;
        let (to, _) = Db::open(&new, Failure::default(), Hooks::default())?;
        from.copy_to(&to)?;
        to.sync()?;
    }
    rename(dir, &db, &old)?;
    rename(dir, &new, &db)?;
    shred(&old)?;
    done(dir)?;
    Ok(true)
}

/// Nothing is left to be erased.
pub(super) fn done(dir: &Path) -> Result<(), StoreError> {
    let mark = dir.join(MARK);
    match fs::remove_file(&mark) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
            Err(StoreError::io("remove", &mark, &cause))
        }
        _ => Ok(()),
    }
}

pub(super) fn rename(dir: &Path, from: &Path, to: &Path) -> Result<(), StoreError> {
    fs::rename(from, to)
        .and_then(|()| File::open(dir)?.sync_all())
        .map_err(|cause| StoreError::io("rename", from, &cause))
}

/// Overwrites a file, or all files below a folder, with zeros, and removes it.
pub(crate) fn shred(path: &Path) -> Result<(), StoreError> {
    let io = |cause: std::io::Error| StoreError::io("erase", path, &cause);
    if path.is_dir() {
        for entry in fs::read_dir(path).map_err(io)? {
            shred(&entry.map_err(io)?.path())?;
        }
        return fs::remove_dir(path).map_err(io);
    }
    let mut file = OpenOptions::new().write(true).open(path).map_err(io)?;
    let mut left = file.metadata().map_err(io)?.len();
    let zeros = vec![0; 1 << 20];
    while left > 0 {
        let part = left.min(zeros.len() as u64);
        file.write_all(&zeros[..part as usize]).map_err(io)?;
        left -= part;
    }
    file.sync_all().map_err(io)?;
    fs::remove_file(path).map_err(io)
}

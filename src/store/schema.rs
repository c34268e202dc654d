//! `state.json`: the state's id and version, and how an older version is brought forward.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::hooks::{Hooks, Point};
use super::private;
use super::{StateId, StoreError};

/// The version this program writes.
pub(crate) const VERSION: u32 = 1;
const FORMAT: &str = "tidings-state";
const NAME: &str = "state.json";

/// One step from a version to the next. It works on the files while nothing is open, and must
/// bear being run again after it was cut short, from the copy that was made before it.
pub(crate) struct Migration {
    pub(crate) from: u32,
    pub(crate) run: fn(&Path) -> Result<(), String>,
}

/// All steps, ascending. Version 1 is the first.
pub(crate) const MIGRATIONS: &[Migration] = &[];

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StateFile {
    format: String,
    pub(crate) version: u32,
    id: String,
    /// When the state was made, in milliseconds of Unix time.
    pub(crate) created_at_ms: i64,
}

impl StateFile {
    pub(crate) fn new(id: StateId, now_ms: i64) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            id: id.to_string(),
            created_at_ms: now_ms,
        }
    }

    pub(crate) fn id(&self, dir: &Path) -> Result<StateId, StoreError> {
        self.id.parse().map_err(|_| {
            StoreError::corrupt(
                dir.join(NAME).display().to_string(),
                format!("its id {:?} is not a hexadecimal number", self.id),
            )
        })
    }

    /// Reads it; `None` when there is no state yet. A newer version is refused.
    pub(crate) fn read(dir: &Path, known: u32) -> Result<Option<Self>, StoreError> {
        let path = dir.join(NAME);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(StoreError::io("read", &path, &cause)),
        };
        // The version alone first: a newer file may look different in all else.
        #[derive(Deserialize)]
        struct Version {
            format: String,
            version: u32,
        }
        let broken = |cause: serde_json::Error| {
            StoreError::corrupt(path.display().to_string(), cause.to_string())
        };
        let head: Version = serde_json::from_str(&text).map_err(broken)?;
        if head.format != FORMAT {
            return Err(StoreError::corrupt(
                path.display().to_string(),
                format!("its format is {:?}, expected {FORMAT:?}", head.format),
            ));
        }
        if head.version > known {
            return Err(StoreError::NewerSchema {
                dir: dir.to_owned(),
                found: head.version,
                known,
            });
        }
        serde_json::from_str(&text).map(Some).map_err(broken)
    }

    pub(crate) fn write(&self, dir: &Path) -> Result<(), StoreError> {
        let mut text = serde_json::to_string_pretty(self).map_err(|cause| StoreError::Encode {
            what: "the state's description",
            cause: cause.to_string(),
        })?;
        text.push('\n');
        write_whole(dir, NAME, text.as_bytes())
    }
}

/// Replaces a small file: there is the old or the new one, never half of it.
pub(crate) fn write_whole(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
    let path = dir.join(name);
    let partial = dir.join(format!("{name}.partial"));
    private::fresh()
        .open(&partial)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&partial, &path))
        .and_then(|()| File::open(dir)?.sync_all())
        .map_err(|cause| StoreError::io("write", &path, &cause))
}

/// Makes a folder that only its owner may enter.
pub(crate) fn make_dir(path: &Path) -> Result<(), StoreError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|cause| StoreError::io("create", path, &cause))
}

/// Brings the state forward step by step, with a copy of it before each step. Answers the copies.
pub(crate) fn migrate(
    dir: &Path,
    file: &mut StateFile,
    to: u32,
    steps: &[Migration],
) -> Result<Vec<PathBuf>, StoreError> {
    let mut copies = Vec::new();
    while file.version < to {
        let from = file.version;
        let backup = dir.join(format!("before-v{}", from + 1));
        let failed = |cause: String| StoreError::Migration {
            from,
            to: from + 1,
            cause,
            backup: backup.clone(),
        };
        let Some(step) = steps.iter().find(|step| step.from == from) else {
            return Err(failed(format!("no step from version {from} is known")));
        };
        copy_state(dir, &backup)?;
        let at = |point| {
            Hooks::default()
                .at(point)
                .map_err(|c| failed(c.to_string()))
        };
        at(Point::MigrationCopied)?;
        (step.run)(dir).map_err(failed)?;
        at(Point::Migrated)?;
        file.version = from + 1;
        file.write(dir)?;
        copies.push(backup);
    }
    Ok(copies)
}

/// What belongs to a state, beside its lock.
pub(crate) const PARTS: [&str; 6] = [
    "db",
    "outbox",
    "checkpoints",
    NAME,
    "stamp",
    super::mark::NAME,
];

fn copy_state(dir: &Path, to: &Path) -> Result<(), StoreError> {
    if to.exists() {
        // A step that was cut short and runs again: the first copy is the one from before.
        let whole = to.join("whole");
        if whole.exists() {
            return Ok(());
        }
        fs::remove_dir_all(to).map_err(|cause| StoreError::io("remove", to, &cause))?;
    }
    make_dir(to)?;
    for part in PARTS {
        let from = dir.join(part);
        if from.exists() {
            copy(&from, &to.join(part))?;
        }
    }
    write_whole(to, "whole", b"")
}

fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
    let io = |cause: std::io::Error| StoreError::io("copy", from, &cause);
    if from.is_dir() {
        make_dir(to)?;
        for entry in fs::read_dir(from).map_err(io)? {
            let entry = entry.map_err(io)?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
        return File::open(to).and_then(|dir| dir.sync_all()).map_err(io);
    }
    fs::copy(from, to).map_err(io)?;
    File::open(to).and_then(|file| file.sync_all()).map_err(io)
}

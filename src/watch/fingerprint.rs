//! A cheap look at a workspace: what has the same fingerprint has, as far as stats can tell, not changed.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use super::disk::StatKey;
use crate::spec::files::CAMPAIGNS;

/// The most files looked at in one pass: at 2 µs a stat that is 40 ms. What is beyond is left to the events.
const MAX_FILES: usize = 20_000;

/// The deepest folder looked into.
const MAX_DEPTH: usize = 16;

/// What is looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Looked {
    /// The workspace.
    pub(super) root: PathBuf,
    /// Files besides `campaigns/` that matter: `tidings.yaml`, and what specs name elsewhere.
    pub(super) files: Vec<PathBuf>,
}

/// The folders behind the names: when they are others than before, watches on them are blind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Targets {
    root: Option<(PathBuf, (u64, u64))>,
    campaigns: Option<(PathBuf, (u64, u64))>,
}

impl Targets {
    pub(super) fn of(root: &Path) -> Self {
        let target = |path: &Path| {
            let real = path.canonicalize().ok()?;
            let meta = fs::metadata(&real).ok()?;
            use std::os::unix::fs::MetadataExt as _;
            Some((real, (meta.dev(), meta.ino())))
        };
        Self {
            root: target(root),
            campaigns: target(&root.join(CAMPAIGNS)),
        }
    }

    /// The real workspace folder, where there is one.
    pub(super) fn root(&self) -> Option<&Path> {
        self.root.as_ref().map(|(path, _)| path.as_path())
    }

    /// The real `campaigns/` folder, where there is one.
    pub(super) fn campaigns(&self) -> Option<&Path> {
        self.campaigns.as_ref().map(|(path, _)| path.as_path())
    }
}

/// A number that changes when a file of `campaigns/`, or one of the others, is written, replaced, added or removed.
pub(super) fn fingerprint(looked: &Looked) -> u64 {
    let mut hash = DefaultHasher::new();
    for file in &looked.files {
        file.hash(&mut hash);
        fs::metadata(file)
            .ok()
            .map(|meta| StatKey::of(&meta))
            .hash(&mut hash);
    }
    let campaigns = looked.root.join(CAMPAIGNS);
    campaigns.canonicalize().ok().hash(&mut hash);
    let mut left = MAX_FILES;
    let mut folders = vec![(campaigns, 0)];
    while let Some((folder, depth)) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            // Missing and unreadable differ from empty.
            (&folder, "unreadable").hash(&mut hash);
            continue;
        };
        let mut names: Vec<PathBuf> = entries
            .flatten()
            .map(|entry| entry.path())
            .take(left)
            .collect();
        left -= names.len();
        // The order of a folder's entries means nothing and may change by itself.
        names.sort_unstable();
        for path in names {
            let hidden = path
                .file_name()
                .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            if hidden {
                continue;
            }
            path.hash(&mut hash);
            let meta = fs::metadata(&path);
            match &meta {
                // A folder's own times say nothing that its entries do not.
                Ok(meta) if meta.is_dir() => {
                    if depth < MAX_DEPTH {
                        folders.push((path, depth + 1));
                    }
                }
                Ok(meta) => StatKey::of(meta).hash(&mut hash),
                Err(_) => "unreadable".hash(&mut hash),
            }
        }
    }
    hash.finish()
}

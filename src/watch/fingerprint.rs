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

/// What a look found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// A number that changes when a file of `campaigns/`, or one of the others, is written, replaced, added or removed.
    pub(super) all: u64,
    /// Files of `campaigns/` whose changes the folder's events do not tell: they are links, or lie on another disk.
    untold: Vec<PathBuf>,
    /// As `all`, of these and the files beside the folder.
    pub(super) some: u64,
}

impl Seen {
    /// Looks again at what no event tells: [`Seen::some`].
    pub(super) fn again(&self, looked: &Looked) -> u64 {
        let mut hash = DefaultHasher::new();
        for file in looked.files.iter().chain(&self.untold) {
            hash_of(file, &mut hash);
        }
        hash.finish()
    }
}

fn hash_of(file: &Path, hash: &mut DefaultHasher) {
    file.hash(hash);
    fs::metadata(file)
        .ok()
        .map(|meta| StatKey::of(&meta))
        .hash(hash);
}

/// Looks at every file.
pub(super) fn fingerprint(looked: &Looked) -> Seen {
    use std::os::unix::fs::MetadataExt as _;
    let mut hash = DefaultHasher::new();
    let mut untold = Vec::new();
    for file in &looked.files {
        hash_of(file, &mut hash);
    }
    let campaigns = looked.root.join(CAMPAIGNS);
    let disk = fs::metadata(&campaigns).ok().map(|meta| meta.dev());
    campaigns.canonicalize().ok().hash(&mut hash);
    let mut left = MAX_FILES;
    // With whether the folder's events are told.
    let mut folders = vec![(campaigns, 0, true)];
    while let Some((folder, depth, told)) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            // Missing and unreadable differ from empty.
            (&folder, "unreadable").hash(&mut hash);
            continue;
        };
        let mut names: Vec<(PathBuf, bool)> = entries
            .flatten()
            .map(|entry| {
                let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
                (entry.path(), is_link)
            })
            .take(left)
            .collect();
        left -= names.len();
        // The order of a folder's entries means nothing and may change by itself.
        names.sort_unstable();
        for (path, is_link) in names {
            let hidden = path
                .file_name()
                .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            if hidden {
                continue;
            }
            path.hash(&mut hash);
            let meta = fs::metadata(&path);
            let elsewhere = meta.as_ref().is_ok_and(|meta| Some(meta.dev()) != disk);
            let told = told && !is_link && !elsewhere;
            if !told {
                untold.push(path.clone());
            }
            match &meta {
                // A folder's own times say nothing that its entries do not.
                Ok(meta) if meta.is_dir() => {
                    if depth < MAX_DEPTH {
                        folders.push((path, depth + 1, told));
                    }
                }
                Ok(meta) => StatKey::of(meta).hash(&mut hash),
                Err(_) => "unreadable".hash(&mut hash),
            }
        }
    }
    let mut seen = Seen {
        all: hash.finish(),
        untold,
        some: 0,
    };
    seen.some = seen.again(looked);
    seen
}

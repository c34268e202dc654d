//! Which commit a spec's file comes from, where the workspace is a git repository.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use crate::model::Timestamp;

/// The commit of each spec's file, read again whenever the repository's HEAD moves: a file is often committed after the
/// engine has taken it up.
#[derive(Debug, Default)]
pub(super) struct Commits {
    files: BTreeMap<String, String>,
    /// Where git writes each move of HEAD down.
    log: Option<PathBuf>,
    /// That file's time and length when it was last looked at.
    seen: Option<(SystemTime, u64)>,
}

impl Commits {
    /// Asks git.
    pub(super) fn read(root: &Path) -> Commits {
        let log = git(root, &["rev-parse", "--git-path", "logs/HEAD"])
            .map(|path| root.join(path.trim_end_matches('\n')));
        // Looked at before git is asked: what moves meanwhile is asked for again.
        let seen = log.as_deref().and_then(stamp);
        let mut files = last_commits(root);
        if !files.is_empty() {
            for file in uncommitted(root) {
                files.remove(&file);
            }
        }
        Commits { files, log, seen }
    }

    /// Asks git again where HEAD moved. Costs one look at a file where it did not.
    pub(super) fn follow(&mut self, root: &Path) {
        let moved = self
            .log
            .as_deref()
            .is_some_and(|log| stamp(log) != self.seen);
        if moved {
            *self = Commits::read(root);
        }
    }

    /// The commit that a file comes from; none where it differs from what was committed.
    pub(super) fn of(&self, file: &str) -> Option<&String> {
        self.files.get(file)
    }
}

fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let about = std::fs::metadata(path).ok()?;
    Some((about.modified().ok()?, about.len()))
}

/// The last commit that touched each file under `campaigns/`, by the path relative to the workspace. Empty where there
/// is no repository or no git: the report then says nothing about commits.
///
/// One process for all files: a thousand specs cost what one does.
fn last_commits(root: &Path) -> BTreeMap<String, String> {
    /// A line of `git log` that is a commit begins with this; no path does.
    const MARK: char = '\u{1}';
    if !root.ancestors().any(|dir| dir.join(".git").exists()) {
        return BTreeMap::new();
    }
    let asked = Command::new("git")
        .arg("-C")
        .arg(root)
        .args([
            "-c",
            "core.quotePath=false",
            "log",
            "--format=%x01%H",
            "--name-only",
            "--relative",
            "--max-count=5000",
        ])
        .args(["--", "campaigns"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    let Ok(output) = asked else {
        return BTreeMap::new();
    };
    let mut commits = BTreeMap::new();
    let mut commit = String::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        if let Some(hash) = line.strip_prefix(MARK) {
            hash.clone_into(&mut commit);
        } else if !line.is_empty() {
            commits
                .entry(line.to_owned())
                .or_insert_with(|| commit.clone());
        }
    }
    commits
}

/// A commit that touched a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Commit {
    /// Its hash.
    pub(super) hash: String,
    /// `Name <address>`.
    pub(super) author: String,
    /// When it was made.
    pub(super) at: Timestamp,
}

fn git(root: &Path, args: &[&str]) -> Option<String> {
    if !root.ancestors().any(|dir| dir.join(".git").exists()) {
        return None;
    }
    let output = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(["-c", "core.quotePath=false"])
        .args(args)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Every commit that touched a file under `campaigns/`, the newest first, by the path relative to the workspace.
pub(super) fn commits_of(root: &Path) -> BTreeMap<String, Vec<Commit>> {
    let asked = git(
        root,
        &[
            "log",
            "--format=%x01%H%x02%an <%ae>%x02%ct",
            "--name-only",
            "--relative",
            "--max-count=5000",
            "--",
            "campaigns",
        ],
    );
    let mut commits: BTreeMap<String, Vec<Commit>> = BTreeMap::new();
    let mut current: Option<Commit> = None;
    for line in asked.unwrap_or_default().lines() {
        if let Some(head) = line.strip_prefix('\u{1}') {
            let mut parts = head.split('\u{2}');
            current = (|| {
                Some(Commit {
                    hash: parts.next()?.to_owned(),
                    author: parts.next()?.to_owned(),
                    at: Timestamp::from_seconds(parts.next()?.trim().parse().ok()?),
                })
            })();
        } else if !line.is_empty()
            && let Some(commit) = &current
        {
            commits
                .entry(line.to_owned())
                .or_default()
                .push(commit.clone());
        }
    }
    commits
}

/// The files under `campaigns/` that are not as the last commit has them, by the path relative to the workspace.
pub(super) fn uncommitted(root: &Path) -> BTreeSet<String> {
    let asked = git(
        root,
        &[
            "ls-files",
            "--modified",
            "--others",
            "--deleted",
            "--",
            "campaigns",
        ],
    );
    let staged = git(
        root,
        &[
            "diff",
            "--cached",
            "--name-only",
            "--relative",
            "--",
            "campaigns",
        ],
    );
    asked
        .iter()
        .chain(&staged)
        .flat_map(|text| text.lines())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(dir: &Path, args: &[&str]) {
        let done = Command::new("git")
            .arg("-C")
            .arg(dir)
            .args([
                "-c",
                "user.name=t",
                "-c",
                "user.email=t@example.com",
                "-c",
                "commit.gpgsign=false",
            ])
            .args(args)
            .output()
            .unwrap();
        assert!(
            done.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&done.stderr)
        );
    }

    #[test]
    fn a_file_has_its_commit_once_it_is_committed_and_none_while_it_differs() {
        let dir = tempfile::tempdir().unwrap();
        let spec = dir.path().join("campaigns/spring.yaml");
        std::fs::create_dir_all(dir.path().join("campaigns")).unwrap();
        std::fs::write(&spec, "one").unwrap();
        git(dir.path(), &["init", "--quiet"]);
        let mut commits = Commits::read(dir.path());
        assert_eq!(commits.of("campaigns/spring.yaml"), None);
        git(dir.path(), &["add", "."]);
        git(dir.path(), &["commit", "--quiet", "-m", "one"]);
        // Before the first commit there was no file to look at.
        commits = Commits::read(dir.path());
        let one = commits.of("campaigns/spring.yaml").cloned().unwrap();
        std::fs::write(&spec, "two").unwrap();
        assert_eq!(Commits::read(dir.path()).of("campaigns/spring.yaml"), None);
        git(dir.path(), &["commit", "--quiet", "-am", "two"]);
        commits.follow(dir.path());
        let two = commits.of("campaigns/spring.yaml").cloned().unwrap();
        assert_ne!(one, two);
    }

    #[test]
    fn a_file_belongs_to_the_last_commit_that_touched_it() {
        let dir = tempfile::tempdir().unwrap();
        let spec = dir.path().join("campaigns/весна.yaml");
        std::fs::create_dir(dir.path().join("campaigns")).unwrap();
        git(dir.path(), &["init", "-q"]);
        std::fs::write(&spec, "a").unwrap();
        git(dir.path(), &["add", "."]);
        git(dir.path(), &["commit", "-qm", "one"]);
        let first = last_commits(dir.path());
        std::fs::write(dir.path().join("other"), "x").unwrap();
        git(dir.path(), &["add", "."]);
        git(dir.path(), &["commit", "-qm", "two"]);
        let second = last_commits(dir.path());
        assert_eq!(first["campaigns/весна.yaml"].len(), 40);
        assert_eq!(first, second);
        std::fs::write(&spec, "b").unwrap();
        git(dir.path(), &["commit", "-qam", "three"]);
        assert_ne!(last_commits(dir.path()), first);
    }

    #[test]
    fn without_a_repository_nothing_is_said() {
        let dir = tempfile::tempdir().unwrap();
        assert!(last_commits(dir.path()).is_empty());
    }
}

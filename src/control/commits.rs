//! Which commit a spec comes from, where the workspace is a git repository: the newest of those that last touched its
//! file and the files that it names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::SystemTime;

use crate::desired::spec_digest;
use crate::model::Timestamp;

/// The last commit of each file of the workspace, read again whenever the repository's HEAD moves: a file is often
/// committed after the engine has taken it up.
#[derive(Debug, Default)]
pub(super) struct Commits {
    /// By the path; how many commits are newer, and the commit.
    files: BTreeMap<String, (usize, Arc<Commit>)>,
    /// What differs from what was committed.
    uncommitted: BTreeSet<String>,
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
        let files = last_commits(root);
        let uncommitted = if files.is_empty() {
            BTreeSet::new()
        } else {
            uncommitted(root)
        };
        Commits {
            files,
            uncommitted,
            log,
            seen,
        }
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

    /// The commit that a spec comes from, by its file and those that it names; none where one of them differs from what
    /// was committed.
    pub(super) fn of<'a>(&self, files: impl IntoIterator<Item = &'a str>) -> Option<&Commit> {
        let mut newest: Option<&(usize, Arc<Commit>)> = None;
        for file in files {
            if self.uncommitted.contains(file) {
                return None;
            }
            // A file that no commit touched lies outside the repository, or is ignored by it.
            let Some(commit) = self.files.get(file) else {
                continue;
            };
            if newest.is_none_or(|known| commit.0 < known.0) {
                newest = Some(commit);
            }
        }
        newest.map(|(_, commit)| &**commit)
    }
}

fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let about = std::fs::metadata(path).ok()?;
    Some((about.modified().ok()?, about.len()))
}

/// The last commit that touched each file of the workspace, with the number of newer ones, by the path relative to the
/// workspace. Empty where there is no repository or no git: the report then says nothing about commits.
///
/// One process for all files: a thousand specs cost what one does.
fn last_commits(root: &Path) -> BTreeMap<String, (usize, Arc<Commit>)> {
    let mut commits = BTreeMap::new();
    for (newer, (commit, files)) in log(root).into_iter().enumerate() {
        let commit = Arc::new(commit);
        for file in files {
            commits
                .entry(file)
                .or_insert_with(|| (newer, Arc::clone(&commit)));
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
    git_bytes(root, args).map(|said| String::from_utf8_lossy(&said).into_owned())
}

fn git_bytes(root: &Path, args: &[&str]) -> Option<Vec<u8>> {
    if !root.ancestors().any(|dir| dir.join(".git").exists()) {
        return None;
    }
    let output = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(["-c", "core.quotePath=false"])
        .args(args)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    if !output.status.success() {
        // Most often the repository is somebody else's (`safe.directory`), or has no commit yet.
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.lines().next().unwrap_or("it said nothing");
        tracing::info!(said, "git does not tell which commits the specs come from");
        return None;
    }
    Some(output.stdout)
}

/// The newest commits with the files that each touched, the newest first; paths are relative to the workspace, and what
/// lies outside it is left out.
fn log(root: &Path) -> Vec<(Commit, Vec<String>)> {
    /// A line of `git log` that is a commit begins with this; no path does.
    const MARK: char = '\u{1}';
    const BETWEEN: char = '\u{2}';
    let asked = git(
        root,
        &[
            "log",
            "--format=%x01%H%x02%an <%ae>%x02%ct",
            "--name-only",
            "--relative",
            "--no-renames",
            "--max-count=5000",
            "--",
            ".",
        ],
    );
    let mut commits: Vec<(Commit, Vec<String>)> = Vec::new();
    for line in asked.unwrap_or_default().lines() {
        if let Some(head) = line.strip_prefix(MARK) {
            let mut parts = head.split(BETWEEN);
            let commit = (|| {
                Some(Commit {
                    hash: parts.next()?.to_owned(),
                    author: parts.next()?.to_owned(),
                    at: Timestamp::from_seconds(parts.next()?.trim().parse().ok()?),
                })
            })();
            commits.extend(commit.map(|commit| (commit, Vec::new())));
        } else if !line.is_empty()
            && let Some((_, files)) = commits.last_mut()
        {
            files.push(line.to_owned());
        }
    }
    commits
}

/// Every commit that touched a file of the workspace, the newest first, by the path relative to the workspace.
pub(super) fn commits_of(root: &Path) -> BTreeMap<String, Vec<Commit>> {
    let mut commits: BTreeMap<String, Vec<Commit>> = BTreeMap::new();
    for (commit, files) in log(root) {
        for file in files {
            commits.entry(file).or_default().push(commit.clone());
        }
    }
    commits
}

/// The newest of the last commits in which a spec and the files that it names have this digest: a version may be committed
/// after it was seen, and told by nothing else since.
pub(super) fn commit_with(
    root: &Path,
    file: &str,
    named: &[String],
    digest: &str,
) -> Option<String> {
    /// Commits that are looked at; each is a few processes.
    const LOOKED_AT: usize = 10;
    let is_of_it = |path: &String| path == file || named.contains(path);
    let commits = log(root)
        .into_iter()
        .filter(|(_, files)| files.iter().any(is_of_it));
    commits
        .take(LOOKED_AT)
        .map(|(commit, _)| commit.hash)
        .find(|hash| {
            let at = |path: &str| git_bytes(root, &["show", &format!("{hash}:./{path}")]);
            let files = named.iter().map(|path| (path.clone(), at(path)));
            at(file).is_some_and(|spec| spec_digest(&spec, files.collect()) == digest)
        })
}

/// The files of the workspace that are not as the last commit has them, by the path relative to the workspace.
pub(super) fn uncommitted(root: &Path) -> BTreeSet<String> {
    let asked = git(
        root,
        &[
            "ls-files",
            "--modified",
            "--others",
            "--deleted",
            "--exclude-standard",
            "--",
            ".",
        ],
    );
    let staged = git(
        root,
        &["diff", "--cached", "--name-only", "--relative", "--", "."],
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
        assert_eq!(commits.of(["campaigns/spring.yaml"]), None);
        git(dir.path(), &["add", "."]);
        git(dir.path(), &["commit", "--quiet", "-m", "one"]);
        // Before the first commit there was no file to look at.
        commits = Commits::read(dir.path());
        let one = commits.of(["campaigns/spring.yaml"]).cloned().unwrap();
        std::fs::write(&spec, "two").unwrap();
        assert_eq!(
            Commits::read(dir.path()).of(["campaigns/spring.yaml"]),
            None
        );
        git(dir.path(), &["commit", "--quiet", "-am", "two"]);
        commits.follow(dir.path());
        let two = commits.of(["campaigns/spring.yaml"]).cloned().unwrap();
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
        let of = |commits: &BTreeMap<String, (usize, Arc<Commit>)>| {
            commits["campaigns/весна.yaml"].1.hash.clone()
        };
        assert_eq!(of(&first).len(), 40);
        assert_eq!(of(&first), of(&second));
        std::fs::write(&spec, "b").unwrap();
        git(dir.path(), &["commit", "-qam", "three"]);
        assert_ne!(of(&last_commits(dir.path())), of(&first));
    }

    #[test]
    fn a_spec_comes_from_the_newest_commit_of_its_file_and_those_it_names() {
        let dir = tempfile::tempdir().unwrap();
        for place in ["campaigns", "audiences"] {
            std::fs::create_dir(dir.path().join(place)).unwrap();
        }
        let files = ["campaigns/spring.yaml", "audiences/people.csv"];
        let write = |file: &str, text: &str| std::fs::write(dir.path().join(file), text).unwrap();
        git(dir.path(), &["init", "-q"]);
        for file in files {
            write(file, "one");
        }
        git(dir.path(), &["add", "."]);
        git(dir.path(), &["commit", "-qm", "one"]);
        let first = Commits::read(dir.path()).of(files).cloned().unwrap();
        write(files[1], "two");
        assert_eq!(Commits::read(dir.path()).of(files), None);
        git(dir.path(), &["commit", "-qam", "two"]);
        let commits = Commits::read(dir.path());
        let second = commits.of(files).cloned().unwrap();
        assert_ne!(first, second);
        assert_eq!(commits.of([files[0]]), Some(&first));
        write("audiences/new.csv", "not added");
        assert_eq!(
            Commits::read(dir.path()).of([files[0], "audiences/new.csv"]),
            None
        );
    }

    #[test]
    fn without_a_repository_nothing_is_said() {
        let dir = tempfile::tempdir().unwrap();
        assert!(last_commits(dir.path()).is_empty());
    }
}

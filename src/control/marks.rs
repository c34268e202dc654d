//! What stands beside an account's session: which state used it last, and how far that state was.
//!
//! ```text
//! sessions/.NAME.state
//! <the state's id, 32 hexadecimal digits>
//! <an event of its journal, 20 digits> <fingerprint of that event, 16 hexadecimal digits>
//! ```
//!
//! The first line notices a state that was lost: another one has another id. The second notices an older copy of the
//! same state that was put back: it does not have that event, or another one under its number. Where the second line
//! is missing only the first one says something.
//!
//! # Guarantees
//! - The file names this state, on the disk, before the first send of each life of the daemon.
//! - The event is never ahead of what is durable, so that neither a killed process nor a power cut makes a state look
//!   like an older one of itself.
//! - After each send, and within a second of whatever else was written down, the event is raised. That costs no sync: it
//!   outlives the process at once, and a power cut once the system has written it out (30 s as a rule). An older copy of
//!   the state passes for the newest one only if it was made after the event that the file names.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

use super::{Core, CoreError};
use crate::model::{AccountName, Event, Timestamp};

/// How often the files are raised for what is no send.
const RAISE_EVERY: Duration = Duration::from_secs(1);
/// Where the second line starts: after the id and its line's end.
const SECOND_LINE: u64 = 33;
/// When the newest event was written of a state that was found to be an older one, in milliseconds of Unix time.
const OLDER_SINCE: &str = "older_since";

/// Whose an account is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Nobody has sent with it yet.
    Nobodys,
    /// This state's.
    Ours,
    /// Another state's, or nobody can tell.
    Others,
    /// This state's, which was further then.
    Newer,
}

/// What is known of the files.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    /// Whose files are raised.
    ours: BTreeSet<AccountName>,
    /// Whose files say that this state is an older one.
    newer: BTreeSet<AccountName>,
    /// The newest event of this state when that was found.
    since: Option<Timestamp>,
    /// How far they were raised, and when.
    raised: u64,
    raised_at: Option<Instant>,
    /// Another state takes this one's place: nothing is raised any more.
    over: bool,
}

impl Core {
    /// Whose an account is, as its file says.
    pub(crate) fn whose(&self, name: &AccountName) -> Whose {
        let text = match fs::read_to_string(self.workspace.state_mark_path(name)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Whose::Nobodys,
            Err(_) => return Whose::Others,
        };
        let mut lines = text.lines();
        let named = lines.next().unwrap_or_default().trim();
        let Some(store) = self.store() else {
            return Whose::Others;
        };
        if named != store.id().to_string() {
            return Whose::Others;
        }
        // A line that was cut short says nothing.
        let event = lines.next().and_then(|line| {
            let (seq, print) = line.trim().split_once(' ')?;
            let print = (print.len() == 16).then(|| u64::from_str_radix(print, 16).ok())??;
            Some((seq.parse::<u64>().ok()?, print))
        });
        let Some((seq, print)) = event else {
            return Whose::Ours;
        };
        match store.fingerprint(seq) {
            // What is too old to be kept, or cannot be read, is no sign of anything.
            Ok(None) if store.last_seq() >= seq => Whose::Ours,
            Err(_) => Whose::Ours,
            Ok(found) if found == Some(print) => Whose::Ours,
            Ok(_) => Whose::Newer,
        }
    }

    /// Whether the account may be used with this state: it was last used with it as it is, or never with one.
    pub(crate) fn state_is_ours(&self, name: &AccountName) -> bool {
        !self.is_older() && matches!(self.whose(name), Whose::Nobodys | Whose::Ours)
    }

    /// Whether this is an older copy of the state that was here: then no account may be used, since any of them could
    /// write to somebody whom another one wrote to meanwhile.
    pub(crate) fn is_older(&self) -> bool {
        !self.marks.newer.is_empty()
    }

    /// Since when messages may have left that this state does not know.
    pub(crate) fn unknown_since(&self) -> Timestamp {
        self.marks.since.unwrap_or(self.observed.at)
    }

    /// Looks at all files. Before anything else is written down: the newest event of an older state is kept, since it
    /// goes on from here.
    pub(crate) fn look_at_marks(&mut self) -> Result<(), CoreError> {
        let names: Vec<AccountName> = self.desired.engine.accounts.keys().cloned().collect();
        let (mut ours, mut newer) = (BTreeSet::new(), BTreeSet::new());
        for name in names {
            match self.whose(&name) {
                Whose::Ours => ours.insert(name),
                Whose::Newer => newer.insert(name),
                Whose::Nobodys | Whose::Others => false,
            };
        }
        let kept = match self.store() {
            Some(store) => store
                .meta()
                .get(OLDER_SINCE)?
                .and_then(|bytes| bytes.try_into().ok())
                .map(|bytes| Timestamp(i64::from_be_bytes(bytes))),
            None => None,
        };
        let since = (!newer.is_empty()).then(|| kept.unwrap_or(self.observed.at));
        if kept != since
            && self.writes()
            && let Some(store) = self.store()
        {
            match since {
                Some(since) => store.meta().put(OLDER_SINCE, &since.0.to_be_bytes())?,
                None => store.meta().remove(OLDER_SINCE)?,
            }
            store.sync_database()?;
        }
        if !newer.is_empty() {
            tracing::warn!(
                accounts = newer.len(),
                "the state is an older copy of the one that was used last: no account is used"
            );
        }
        self.marks = Marks {
            ours,
            newer,
            since,
            ..Marks::default()
        };
        Ok(())
    }

    /// Writes down, durably, that this state uses the account. To be called before the first send of a life.
    pub(crate) fn claim(&mut self, name: &AccountName) -> io::Result<()> {
        let Some((id, second)) = self.mark_of_now() else {
            return Err(io::Error::from(io::ErrorKind::NotFound));
        };
        let path = self.workspace.state_mark_path(name);
        write_durably(&path, &format!("{id}\n{second}"))?;
        self.marks.ours.insert(name.clone());
        Ok(())
    }

    /// The state's id, and the second line as it is now; empty where nothing is durable yet.
    fn mark_of_now(&self) -> Option<(String, String)> {
        let store = self.store()?;
        let seq = store.durable_seq();
        let second = match store.fingerprint(seq) {
            Ok(Some(print)) => format!("{seq:020} {print:016x}\n"),
            _ => String::new(),
        };
        Some((store.id().to_string(), second))
    }

    /// Raises the files of these accounts to what is durable now.
    pub(crate) fn raise(&mut self, names: &BTreeSet<AccountName>) {
        if self.marks.over || self.is_older() {
            return;
        }
        let Some((id, second)) = self.mark_of_now() else {
            return;
        };
        if second.is_empty() {
            return;
        }
        for name in names {
            if !self.marks.ours.contains(name) {
                continue;
            }
            let path = self.workspace.state_mark_path(name);
            if let Err(error) = raise_one(&path, &id, &second) {
                tracing::warn!(file = %path.display(), %error, "an account's state file cannot be raised: an older copy of the state may pass for this one");
                self.marks.ours.remove(name);
            }
        }
    }

    /// Raises all files where there is something new, now and then or at the end.
    pub(crate) fn raise_all(&mut self, at_the_end: bool) {
        let durable = self.store().map_or(0, |store| store.durable_seq());
        let soon = self
            .marks
            .raised_at
            .is_some_and(|at| at.elapsed() < RAISE_EVERY);
        if durable == self.marks.raised || (soon && !at_the_end) {
            return;
        }
        let names = self.marks.ours.clone();
        self.raise(&names);
        self.marks.raised = durable;
        self.marks.raised_at = Some(Instant::now());
    }

    /// Another state is to take this one's place: its accounts know this one by its id only.
    pub(crate) fn lower_marks(workspace: &super::Workspace, id: &str) -> io::Result<()> {
        let entries = match fs::read_dir(&workspace.sessions_dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let is_mark = name
                .to_str()
                .is_some_and(|name| name.starts_with('.') && name.ends_with(".state"));
            if !is_mark {
                continue;
            }
            let path = entry.path();
            let ours = fs::read_to_string(&path)
                .is_ok_and(|text| text.lines().next().map(str::trim) == Some(id));
            if ours {
                write_durably(&path, &format!("{id}\n"))?;
            }
        }
        Ok(())
    }

    /// From now on nothing is raised.
    pub(crate) fn end_marks(&mut self) {
        self.marks.over = true;
    }

    /// Accounts that an operator gave to this state are its own, once that is durable.
    pub(super) fn taken(&mut self, events: &[crate::model::Recorded]) -> Result<(), CoreError> {
        let taken: Vec<AccountName> = events
            .iter()
            .filter_map(|recorded| match &recorded.event {
                Event::StateTaken { account, .. } => Some(account.clone()),
                _ => None,
            })
            .collect();
        let Some(store) = self.store().filter(|_| !taken.is_empty()) else {
            return Ok(());
        };
        store.sync(store.last_seq())?;
        let id = store.id().to_string();
        for name in taken {
            let path = self.workspace.state_mark_path(&name);
            if let Err(error) = write_durably(&path, &format!("{id}\n")) {
                tracing::error!(file = %path.display(), %error, "the account stays held: its state file cannot be written");
            }
        }
        self.look_at_marks()
    }
}

/// Writes the second line over, where the first is still ours.
fn raise_one(path: &Path, id: &str, second: &str) -> io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut first = [0; SECOND_LINE as usize];
    file.read_exact_at(&mut first, 0)?;
    if &first[..id.len()] != id.as_bytes() || first[id.len()..] != *b"\n" {
        return Err(io::Error::other("it names another state"));
    }
    file.write_all_at(second.as_bytes(), SECOND_LINE)
}

/// Writes a small file so that it outlives a power cut.
pub(crate) fn write_durably(path: &Path, text: &str) -> io::Result<()> {
    let beside = path.with_extension("state.new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    if let Some(folder) = path.parent() {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

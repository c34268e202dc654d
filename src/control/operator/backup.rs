//! Backup and restore of the whole state.

use std::path::Path;

use super::Acted;
use super::united::erased_since;
use crate::control::answer::refused;
use crate::control::{Core, CoreError};
use crate::model::{Event, Recorded, Reply, Timestamp};
use crate::observed::{Observed, fold};
use crate::status;
use crate::store::{
    Access, BackupFile, Options, Store, StoreError, check_backup, commit_staged, salvage,
    stage_backup,
};
use crate::telegram::KEY_FILE;

/// The largest session file that goes along: a session with many cached people has some megabytes.
const MAX_SESSION: u64 = 64 << 20;
/// How the names of an account's session files end.
const SESSION_ENDS: [&str; 3] = [".session", ".session-wal", ".session.age"];
/// People in one event.
const PAGE: usize = 1000;

/// Writes the whole state into a file.
pub(super) fn backup(
    core: &mut Core,
    file: &Path,
    with_sessions: bool,
    by: String,
) -> Result<Acted, CoreError> {
    if file.starts_with(&core.workspace.state_dir) {
        return Ok(Acted::said(refused(
            "a backup within the state's own folder would be lost with it; name a file elsewhere",
        )));
    }
    let mut files = Vec::new();
    if with_sessions {
        let names = core.workspace.session_names().unwrap_or_default();
        let of_accounts = names
            .iter()
            .flat_map(|name| SESSION_ENDS.map(|end| format!("{name}{end}")));
        for name in std::iter::once(KEY_FILE.to_owned()).chain(of_accounts) {
            let path = core.workspace.sessions_dir.join(&name);
            match read_small(&path) {
                Ok(Some(bytes)) => files.push(BackupFile { name, bytes }),
                Ok(None) => {}
                Err(error) => {
                    return Ok(Acted::said(refused(format!("{}: {error}", path.display()))));
                }
            }
        }
    }
    let sessions: std::collections::BTreeSet<&str> =
        files.iter().filter_map(|f| account_of(&f.name)).collect();
    let sessions = sessions.len();
    let bytes = rmp_serde::to_vec(&core.observed)
        .map_err(|error| CoreError::Checkpoint(error.to_string()))?;
    let now = core.clock.now();
    let Some(store) = core.store() else {
        return Ok(Acted::said(refused("there is no state here yet")));
    };
    let head = match store.backup(
        file,
        &bytes,
        now.millis(),
        env!("CARGO_PKG_VERSION"),
        &files,
    ) {
        Ok(head) => head,
        Err(error @ StoreError::Io { .. }) => return Ok(Acted::said(refused(error.to_string()))),
        Err(error) => return Err(error.into()),
    };
    // Once there is one: the audit tells of no backup that nobody has.
    let appended = core.record(
        vec![Event::BackedUp {
            file: file.display().to_string(),
            by,
        }],
        crate::store::Durability::Now,
    )?;
    let size = std::fs::metadata(file).map_or(0, |meta| meta.len());
    let keys = if with_sessions {
        format!(" and {sessions} sessions: keep it as safe as the sessions themselves")
    } else {
        ", without sessions".to_owned()
    };
    let reply = Reply::Document {
        body: serde_json::json!({
            "format_version": status::FORMAT_VERSION,
            "file": file.display().to_string(),
            "events": head.seq,
            "bytes": size,
            "sessions": sessions,
            "state_version": head.state_version,
            "message": format!(
                "{} holds {} events{keys}. It holds people's names and texts.",
                file.display(),
                head.seq
            ),
        }),
    };
    Ok(Acted { reply, appended })
}

/// Whose session file it is.
fn account_of(file: &str) -> Option<&str> {
    let mut ends = SESSION_ENDS.iter();
    ends.find_map(|end| file.strip_suffix(end))
}

/// The session files that are put back: an account that is here keeps its own, with what stands beside it. The key of
/// encrypted ones comes with them only.
fn wanted(workspace: &crate::control::Workspace, files: Vec<BackupFile>) -> Vec<BackupFile> {
    let here = workspace.session_names().unwrap_or_default();
    let is_here = |file: &BackupFile| {
        account_of(&file.name).is_some_and(|name| here.iter().any(|known| known == name))
    };
    let mut files: Vec<BackupFile> = files.into_iter().filter(|file| !is_here(file)).collect();
    let sealed = |file: &BackupFile| crate::telegram::is_sealed(Path::new(&file.name));
    if !files
        .iter()
        .any(|file| sealed(file) && file.name != KEY_FILE)
    {
        files.retain(|file| file.name != KEY_FILE);
    }
    files
}

/// Why a backup's session files cannot be put beside those that are here: they need another key.
fn other_key(workspace: &crate::control::Workspace, files: &[BackupFile]) -> Option<String> {
    let theirs = files.iter().find(|file| file.name == KEY_FILE)?;
    let path = workspace.vault.key_file();
    let ours = std::fs::read(&path).ok()?;
    (ours != theirs.bytes).then(|| {
        format!(
            "the backup's session files are encrypted with another key than {}: decrypt yours first \
             (`tidings account decrypt`), or restore without sessions",
            path.display()
        )
    })
}

fn read_small(path: &Path) -> std::io::Result<Option<Vec<u8>>> {
    match std::fs::metadata(path) {
        Ok(meta) if meta.len() > MAX_SESSION => {
            Err(std::io::Error::from(std::io::ErrorKind::FileTooLarge))
        }
        Ok(_) => std::fs::read(path).map(Some),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// What is known now, where a state could be read.
pub(in crate::control) struct Present<'a> {
    /// The state's id.
    pub(in crate::control) id: Option<String>,
    /// What it knows.
    pub(in crate::control) observed: &'a Observed,
    /// Since when it does not know what was sent, where it is an older copy of the state that was used last.
    pub(in crate::control) older: Option<Timestamp>,
    /// Where it could not be opened.
    pub(in crate::control) trouble: Option<Trouble>,
}

/// A state that could not be opened.
pub(in crate::control) struct Trouble {
    /// Why.
    pub(in crate::control) why: String,
    /// What could be read all the same, in a sentence.
    pub(in crate::control) saved: String,
}

/// What a state that cannot be opened still tells: its id, what its newest checkpoint and its outbox say, and a sentence
/// about what that is.
pub(in crate::control) fn rest_of(
    workspace: &crate::control::Workspace,
) -> (Option<String>, Observed, String) {
    let nothing = "Nothing of it could be read, so that nothing of it is united with the backup.";
    let salvaged = match salvage::<Recorded>(&workspace.state_dir) {
        Ok(Some(salvaged)) => salvaged,
        Ok(None) => return (None, Observed::default(), nothing.to_owned()),
        Err(error) => return (None, Observed::default(), format!("{nothing} ({error})")),
    };
    let mut observed = Observed::default();
    let mut whole = true;
    if let Some(checkpoint) = &salvaged.checkpoint {
        match rmp_serde::from_read(checkpoint.reader()) {
            Ok(read) => observed = read,
            Err(_) => whole = false,
        }
    }
    for (seq, recorded) in &salvaged.events {
        fold(&mut observed, *seq, recorded);
    }
    let mut saved = format!(
        "Its outbox and checkpoints were read all the same, as far as event {} of {}.",
        observed.seq, observed.at
    );
    if salvaged.missing > 0 || !whole {
        saved.push_str(&format!(
            " {} events before that stood in the database only and are not united with the backup.",
            if whole {
                salvaged.missing
            } else {
                observed.seq
            }
        ));
    }
    if salvaged.cut_short {
        saved.push_str(" A part of the outbox is damaged; what stood there and after it is not.");
    }
    (Some(salvaged.id.to_string()), observed, saved)
}

/// Makes a state from a backup and what is known now, beside the present one. The next opening takes it.
pub(in crate::control) fn restore(
    workspace: &crate::control::Workspace,
    now: Timestamp,
    present: &Present<'_>,
    file: &Path,
    with_sessions: bool,
    by: &str,
) -> Result<Reply, CoreError> {
    let head = match check_backup(file) {
        Ok(head) => head,
        Err(error) => return Ok(refused(error.to_string())),
    };
    let Some(theirs) = head.id() else {
        return Ok(refused(format!("{}: its id is damaged", file.display())));
    };
    let ours = present.id.as_ref().and_then(|id| id.parse().ok());
    let id = ours.unwrap_or(theirs);
    let dir = &workspace.state_dir;
    let (staged, files) = stage_backup(dir, file, id, now.millis())?;
    let files = match with_sessions {
        true => wanted(workspace, files),
        false => Vec::new(),
    };
    if let Some(why) = other_key(workspace, &files) {
        return Ok(refused(why));
    }
    let taken_at = Timestamp(head.taken_at_ms);
    // A state that went on from the backup knows what was sent since; another one does not.
    let same = ours == Some(theirs);
    let since = if same && present.trouble.is_none() {
        present
            .older
            .unwrap_or_else(|| taken_at.max(present.observed.at))
    } else {
        taken_at
    };
    let added = {
        let access = Access::Write {
            new_id: id.0,
            now_ms: now.millis(),
        };
        let (store, _) =
            Store::<Recorded>::open(&staged, Options::new(access, std::time::Duration::ZERO))?;
        let mut observed = load(&store)?;
        let events = super::united::restoring(present.observed, &observed, since, taken_at, by);
        let erased = erased_since(present.observed, &observed);
        let people = store.people();
        people.remove(&erased)?;
        for person in &erased {
            store.conversations().remove(*person)?;
        }
        // The last of them says that it was restored.
        let count = events.len() - 1;
        let recorded: Vec<Recorded> = events
            .into_iter()
            .map(|event| Recorded { at: now, event })
            .collect();
        for page in recorded.chunks(PAGE) {
            let (first, last) = store.append(page)?;
            for (seq, recorded) in (first..).zip(page) {
                fold(&mut observed, seq, recorded);
            }
            store.sync(last)?;
        }
        store.fold(true)?;
        let bytes = rmp_serde::to_vec(&observed)
            .map_err(|error| CoreError::Checkpoint(error.to_string()))?;
        store.save_checkpoint(observed.seq, &bytes)?;
        if !erased.is_empty() {
            store.drop_old_checkpoints()?;
            store.erase_now()?;
        }
        store.sync_database()?;
        count
    };
    let mut marks = Vec::new();
    let mut sessions = Vec::new();
    for file in files {
        match restore_session(workspace, &file) {
            Ok(true) if file.name != KEY_FILE => sessions.push(file.name),
            Ok(_) => {}
            Err(error) => {
                return Ok(refused(format!("{}: {error}", file.name)));
            }
        }
    }
    // The new state may be behind what the accounts' files say of the present one. They are lowered before it counts, so
    // that a kill in between holds nobody; after that where the files hold the accounts of the present one.
    let lower = |now: bool| match now {
        true => Core::lower_marks(workspace, &id.to_string()),
        false => Ok(()),
    };
    let lowered = lower(present.older.is_none());
    if lowered.is_ok() {
        commit_staged(dir)?;
    }
    if let Err(error) = lowered.and_then(|()| lower(present.older.is_some())) {
        return Ok(refused(format!(
            "a file of {} cannot be written: {error}",
            workspace.sessions_dir.display()
        )));
    }
    fail::fail_point!("restore.marks");
    // Accounts that the backup's state or the present one used are this state's now.
    for name in workspace.session_names().unwrap_or_default() {
        let path = workspace.state_mark_path(&name);
        let Ok(mark) = std::fs::read_to_string(&path) else {
            continue;
        };
        let mark = mark.lines().next().unwrap_or_default().trim();
        let known = mark == theirs.to_string()
            || ours.is_some_and(|ours: crate::store::StateId| mark == ours.to_string());
        if known && mark != id.to_string() {
            match std::fs::write(&path, format!("{id}\n")) {
                Ok(()) => marks.push(name),
                Err(error) => {
                    return Ok(refused(format!("{}: {error}", path.display())));
                }
            }
        }
    }
    let mut message = format!("Restored {} events of {taken_at}.", head.seq);
    if let Some(trouble) = &present.trouble {
        message.push_str(&format!(
            " The state that was there could not be opened ({}). {}",
            trouble.why, trouble.saved
        ));
    }
    if added > 0 {
        message.push_str(" Suppressions, erasures and what was sent since were taken over.");
    }
    message.push_str(
        " Campaigns stay held until their accounts' dialogs since then were read; `tidings status` shows it.",
    );
    Ok(Reply::Document {
        body: serde_json::json!({
            "format_version": status::FORMAT_VERSION,
            "file": file.display().to_string(),
            "events": head.seq,
            "taken_at": status::Moment::from(taken_at),
            "since": status::Moment::from(since),
            "united": added,
            "sessions": sessions,
            "accounts_taken": marks,
            "message": message,
        }),
    })
}

/// Puts a session file where none is; an account's own key is never overwritten.
fn restore_session(
    workspace: &crate::control::Workspace,
    file: &BackupFile,
) -> std::io::Result<bool> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let plain = file
        .name
        .chars()
        .all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_'));
    if !plain || file.name.starts_with('.') {
        return Err(std::io::Error::from(std::io::ErrorKind::InvalidInput));
    }
    std::fs::create_dir_all(&workspace.sessions_dir)?;
    let path = workspace.sessions_dir.join(&file.name);
    let opened = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path);
    match opened {
        Ok(mut opened) => {
            opened.write_all(&file.bytes)?;
            opened.sync_all()?;
            Ok(true)
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

fn load(store: &Store<Recorded>) -> Result<Observed, CoreError> {
    let loaded = store.load()?;
    let mut observed = Observed::default();
    if let Some(checkpoint) = loaded.checkpoint {
        observed = rmp_serde::from_read(checkpoint.reader())
            .map_err(|error| CoreError::Checkpoint(error.to_string()))?;
    }
    for row in loaded.events {
        let (seq, recorded) = row?;
        fold(&mut observed, seq, &recorded);
    }
    Ok(observed)
}

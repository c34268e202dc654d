//! Backup and restore of the whole state.

use std::collections::BTreeMap;
use std::path::Path;

use super::Acted;
use crate::control::answer::refused;
use crate::control::{Core, CoreError};
use crate::model::{
    AccountName, Event, Lineage, Outcome, PersonId, Recorded, RefHash, Reply, SettledElsewhere,
    Timestamp,
};
use crate::observed::{Handle, Observed, Status, fold};
use crate::status;
use crate::store::{
    Access, BackupFile, Options, Store, StoreError, check_backup, commit_staged, stage_backup,
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
    /// Why it could not be read.
    pub(in crate::control) trouble: Option<String>,
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
        taken_at.max(present.observed.at)
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
        let mut events = united(present.observed, &observed);
        let mut accounts: Vec<AccountName> = observed
            .accounts
            .keys()
            .chain(present.observed.accounts.keys())
            .cloned()
            .collect();
        accounts.sort();
        accounts.dedup();
        let erased = erased_since(present.observed, &observed);
        let people = store.people();
        people.remove(&erased)?;
        for person in &erased {
            store.conversations().remove(*person)?;
        }
        let count = events.len();
        events.push(Event::Restored {
            since,
            taken_at,
            accounts,
            by: by.to_owned(),
        });
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
    commit_staged(dir)?;
    fail::fail_point!("restore.marks");
    // Accounts that the backup's state or the present one used are this state's now.
    for name in workspace.session_names().unwrap_or_default() {
        let path = workspace.state_mark_path(&name);
        let Ok(mark) = std::fs::read_to_string(&path) else {
            continue;
        };
        let mark = mark.trim();
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
            " The state that was there could not be read ({trouble}), so that nothing of it is united with the backup."
        ));
    } else if added > 0 {
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

/// Who was erased after the backup was taken.
fn erased_since(present: &Observed, backup: &Observed) -> Vec<PersonId> {
    present
        .suppression
        .erased
        .iter()
        .filter(|(person, at)| {
            backup
                .suppression
                .erased
                .get(person)
                .is_none_or(|then| then < at)
        })
        .map(|(person, _)| *person)
        .collect()
}

/// What the present state knows and the backup does not: who is never to be written to, who was, and what holds.
fn united(present: &Observed, backup: &Observed) -> Vec<Event> {
    let mut events = Vec::new();
    for key in &present.suppression.keys {
        if !backup.suppression.keys.contains(key) {
            events.push(Event::SuppressionKey { key: *key });
        }
    }
    suppressions(present, backup, &mut events);
    // Campaigns first, so that their names are known.
    for (line, it) in &present.campaigns {
        let newer = backup
            .campaigns
            .get(line)
            .is_none_or(|known| known.generation < it.generation || known.name != it.name);
        if newer && !it.name.is_empty() {
            events.push(Event::SpecSeen {
                campaign: line.clone(),
                name: it.name.clone(),
                file: it.file.clone(),
                generation: it.generation,
                digest: it.digest.clone(),
                error: it.error.clone(),
            });
        }
        if backup
            .campaigns
            .get(line)
            .is_none_or(|known| known.run < it.run)
            && it.run > 0
        {
            events.push(Event::RunOpened {
                campaign: line.clone(),
                run: it.run,
            });
        }
    }
    for line in present.campaigns.keys() {
        events.extend(keys_of(present, backup, line));
    }
    events.extend(super::charges::united(present, backup));
    if let Some(hold) = &present.suspended
        && backup.suspended.is_none()
    {
        events.push(Event::Suspended {
            campaign: None,
            reason: hold.reason.clone(),
            by: hold.by.clone(),
        });
    }
    for (line, it) in &present.campaigns {
        if let Some(hold) = &it.suspended
            && backup
                .campaigns
                .get(line)
                .is_none_or(|known| known.suspended.is_none())
        {
            events.push(Event::Suspended {
                campaign: Some(line.clone()),
                reason: hold.reason.clone(),
                by: hold.by.clone(),
            });
        }
    }
    for (name, account) in &present.accounts {
        if let Some(until) = account.limited_until
            && until > present.at
        {
            events.push(Event::Limited {
                account: name.clone(),
                campaign: None,
                until,
            });
        }
        for (class, flood) in &account.floods {
            if flood.until > present.at {
                events.push(Event::FloodWait {
                    account: name.clone(),
                    class: *class,
                    until: flood.until,
                    seconds: flood.seconds,
                });
            }
        }
    }
    events
}

fn suppressions(present: &Observed, backup: &Observed, events: &mut Vec<Event>) {
    let mut refs: BTreeMap<(&str, &str), Vec<(RefHash, PersonId)>> = BTreeMap::new();
    let mut erased: Vec<RefHash> = Vec::new();
    for (hash, entry) in &present.suppression.refs {
        let known = backup.suppression.refs.get(hash);
        if known.is_none() {
            let people = refs.entry((&entry.why, &entry.by)).or_default();
            people.extend(entry.people.iter().map(|person| (*hash, *person)));
        }
        if entry.erased && known.is_none_or(|known| !known.erased) {
            erased.push(*hash);
        }
    }
    let silenced =
        |state: &Observed, person: PersonId, set: fn(&Observed) -> &roaring::RoaringBitmap| {
            state
                .handle(person)
                .is_some_and(|handle| set(state).contains(handle.0))
        };
    let mut people: BTreeMap<(&str, &str), Vec<PersonId>> = BTreeMap::new();
    for number in &present.suppressed {
        let Some(person) = present.persons.id(Handle(number)) else {
            continue;
        };
        if silenced(backup, person, |state| &state.suppressed) {
            continue;
        }
        let (why, by) = present
            .suppression
            .people
            .get(&number)
            .map_or(("suppressed before a restore", ""), |entry| {
                (entry.why.as_str(), entry.by.as_str())
            });
        people.entry((why, by)).or_default().push(person);
    }
    let reasons: std::collections::BTreeSet<(&str, &str)> =
        refs.keys().chain(people.keys()).copied().collect();
    for reason in reasons {
        let hashes = refs.remove(&reason).unwrap_or_default();
        let named = people.remove(&reason).unwrap_or_default();
        let pages = hashes.len().max(named.len()).div_ceil(PAGE);
        for page in 0..pages {
            let part = |len: usize| (page * PAGE).min(len)..((page + 1) * PAGE).min(len);
            events.push(Event::SuppressionAdded {
                people: named.get(part(named.len())).unwrap_or_default().to_vec(),
                hashes: hashes.get(part(hashes.len())).unwrap_or_default().to_vec(),
                why: reason.0.to_owned(),
                by: reason.1.to_owned(),
            });
        }
    }
    for number in &present.opted_out {
        if let Some(person) = present.persons.id(Handle(number))
            && !silenced(backup, person, |state| &state.opted_out)
        {
            events.push(Event::OptedOut {
                person,
                account: None,
            });
        }
    }
    let gone = erased_since(present, backup);
    if !gone.is_empty() || !erased.is_empty() {
        events.push(Event::Forgotten {
            people: gone,
            hashes: erased,
            by: "the state before a restore".to_owned(),
        });
    }
}

/// How it ended, by which account and with which variant (as positions), and when, in seconds.
type SentGroups = BTreeMap<(Outcome, Option<u16>, Option<u16>), Vec<(PersonId, u32)>>;

/// What a campaign sent that the backup does not know of. What was on its way is uncertain.
fn keys_of(present: &Observed, backup: &Observed, line: &Lineage) -> Vec<Event> {
    let Some(it) = present.campaigns.get(line) else {
        return Vec::new();
    };
    let before = backup.campaigns.get(line);
    let mut groups = SentGroups::new();
    for (number, recipient) in it.recipients.iter() {
        let outcome = match recipient.status {
            Status::Settled(outcome) => outcome,
            Status::InFlight => Outcome::Uncertain,
            Status::Pending | Status::Excluded(_) => continue,
        };
        let Some(person) = present.persons.id(Handle(number)) else {
            continue;
        };
        let known = backup
            .handle(backup.persons.resolve(person))
            .and_then(|handle| before?.recipients.get(&handle.0))
            .is_some_and(|then| matches!(then.status, Status::Settled(_) | Status::InFlight));
        if !known {
            groups
                .entry((outcome, recipient.account, recipient.variant))
                .or_default()
                .push((person, recipient.sent_at));
        }
    }
    let mut events: Vec<Event> = groups
        .into_iter()
        .flat_map(|((outcome, account, variant), people)| {
            let account = account.and_then(|index| present.account_name(index).cloned());
            let variant = variant
                .and_then(|index| it.variants.get_index(usize::from(index)))
                .map(|(name, _)| name.clone());
            people
                .chunks(PAGE)
                .map(|page| Event::KeysUnited {
                    campaign: line.clone(),
                    settled: vec![SettledElsewhere {
                        outcome,
                        account: account.clone(),
                        variant: variant.clone(),
                        people: page.to_vec(),
                    }],
                    steps: Vec::new(),
                })
                .collect::<Vec<_>>()
        })
        .collect();
    let further: Vec<PersonId> = it
        .recipients
        .keys()
        .filter_map(|number| present.persons.id(Handle(number)).map(|id| (number, id)))
        .filter(|(number, person)| {
            let then = backup.handle(*person).and_then(|handle| {
                let steps = &before?.steps;
                Some(steps.of(handle).collect::<Vec<_>>())
            });
            let now: Vec<_> = it.steps.of(Handle(*number)).collect();
            let flying = present
                .in_flight
                .keys()
                .any(|key| key.lineage == *line && key.person == *person && key.step > 0);
            !now.is_empty() && (flying || then.is_some_and(|then| then != now))
        })
        .map(|(_, person)| person)
        .collect();
    events.extend(further.chunks(PAGE).map(|page| Event::KeysUnited {
        campaign: line.clone(),
        settled: Vec::new(),
        steps: page.to_vec(),
    }));
    events
}

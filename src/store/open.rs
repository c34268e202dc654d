//! Opening: what the disk holds is checked, and its two halves are held against each other.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex};

use tokio::sync::watch;

use super::archive;
use super::checkpoint;
use super::codec::{items, le_u32, le_u64};
use super::db::{Db, tighten};
use super::erase;
use super::error::Failure;
use super::hooks::Hooks;
use super::journal::{Packs, first_of};
use super::lock::Lock;
use super::mark::Mark;
use super::outbox::{Found, Outbox};
use super::payloads::Payloads;
use super::people::People;
use super::private;
use super::schema::{self, MIGRATIONS, StateFile, make_dir, migrate};
use super::state::{
    Access, Inner, META_ID, META_STAMP, OpenReport, Options, Progress, Writer, guard,
};
use super::trees::Meta;
use super::{Seq, StateId, StoreError};

impl Inner {
    pub(crate) fn open(dir: &Path, options: Options) -> Result<(Self, OpenReport), StoreError> {
        let mut report = OpenReport::default();
        let read_only = options.access == Access::Read;
        if read_only && !dir.join("state.json").exists() && !dir.join("restore").is_dir() {
            refuse_headless(dir)?;
            return Err(StoreError::NotFound {
                dir: dir.to_owned(),
            });
        }
        make_dir(dir)?;
        restrict(dir)?;
        let lock = Lock::take(dir, options.wait)?;
        report.restored = archive::take_restored(dir)?;
        let mut file = StateFile::read(dir, schema::VERSION)?;
        erase::finish(dir)?;
        if let Some(file) = &mut file
            && file.version < schema::VERSION
        {
            report.migrated = migrate(dir, file, schema::VERSION, MIGRATIONS)?;
        }
        let failure = Failure::default();
        let db_path = dir.join("db");
        let (file, db) = match (file, options.access) {
            (Some(file), _) => {
                if !db_path.is_dir() {
                    return Err(StoreError::corrupt(
                        db_path.display().to_string(),
                        "the database is missing",
                    ));
                }
                if !read_only {
                    report.erased = erase::run(dir)?;
                }
                let (db, removed) = Db::open(&db_path, failure.clone(), options.hooks.clone())?;
                report.damaged_snapshots = db.damaged_snapshots.clone();
                report.removed_snapshots = removed;
                (file, db)
            }
            (None, Access::Write { new_id, now_ms }) => {
                report.created = true;
                create(dir, &db_path, new_id, now_ms, &failure, &options.hooks)?
            }
            (None, Access::Read) => {
                return Err(StoreError::NotFound {
                    dir: dir.to_owned(),
                });
            }
        };
        let id = file.id(dir)?;
        let meta = Meta(db.tree("meta")?);
        if meta.own(META_ID)?.as_deref() != Some(&id.0.to_be_bytes()[..]) {
            return Err(StoreError::corrupt(
                db_path.display().to_string(),
                "the database does not belong to this state, or was emptied",
            ));
        }
        let (stamp, rolled_back) = open_stamp(dir, &meta, read_only)?;
        report.database_rolled_back = rolled_back;
        let journal = db.tree("journal")?;
        for part in ["outbox", "checkpoints"] {
            make_dir(&dir.join(part))?;
            tighten(&dir.join(part))?;
        }
        let (outbox, found) = Outbox::open(&dir.join("outbox"), id, options.hooks.clone())?;
        report.torn_bytes = found.torn_bytes;
        let inner = Self {
            dir: dir.to_owned(),
            id,
            read_only,
            hooks: options.hooks,
            failure,
            writer: Mutex::new(Writer {
                outbox,
                pending: VecDeque::new(),
                pending_first: 1,
                pending_bytes: 0,
            }),
            syncing: Mutex::new(false),
            synced: Condvar::new(),
            durable: AtomicU64::new(0),
            progress: watch::Sender::new(Progress::default()),
            folding: Mutex::new(()),
            stamp: Mutex::new(stamp),
            mark: match read_only {
                true => None,
                false => Some(Mark::open(dir, id)?),
            },
            payloads: Payloads::new(db.tree("payloads")?),
            people: People::new(db.tree("people")?),
            audience: db.tree("audience")?,
            lookups: db.tree("lookups")?,
            conversations: db.tree("conversations")?,
            meta,
            journal,
            db,
            _lock: lock,
        };
        inner.reconcile(found, options.accept_loss, &mut report)?;
        Ok((inner, report))
    }

    /// Holds the outbox against the journal: finds how far the journal is sound, replaces what is
    /// damaged or missing after that from the outbox, and refuses where neither has it.
    fn reconcile(
        &self,
        found: Found,
        accept_loss: bool,
        report: &mut OpenReport,
    ) -> Result<(), StoreError> {
        let first = self.journal_first()?;
        let outbox_first = found.events.first().map(|entry| entry.seq);
        let outbox_last = guard(&self.writer).outbox.last();
        let sound = self.sound_through(first, outbox_first)?;
        let (last, broken) = (sound.last, sound.broken);

        let from = found.events.partition_point(|entry| entry.seq <= last);
        let tail = &found.events[from..];
        let mut expected = last + 1;
        for entry in tail {
            if entry.seq != expected {
                return Err(broken.unwrap_or(StoreError::Gap {
                    place: "the database".to_owned(),
                    expected,
                    found: Some(entry.seq),
                }));
            }
            expected += 1;
        }
        if expected <= outbox_last {
            // The outbox once went further; its files were dropped when the database had the events.
            return Err(broken.unwrap_or(StoreError::Gap {
                place: "the database".to_owned(),
                expected,
                found: None,
            }));
        }
        if let Some((newest, _)) = checkpoint::list(&self.checkpoints())?.first()
            && *newest >= expected
        {
            return Err(broken.unwrap_or(StoreError::Gap {
                place: format!("the journal (a checkpoint knows event {newest})"),
                expected,
                found: None,
            }));
        }
        let known = Mark::read(&self.dir, self.id);
        if known >= expected {
            if !accept_loss {
                return Err(StoreError::EventsLost {
                    dir: self.dir.clone(),
                    known,
                    found: expected - 1,
                });
            }
            report.lost = known - (expected - 1);
        }
        if !sound.after.is_empty() {
            // Packs after the sound part go only if the outbox has all that they could hold.
            if sound.after_last.is_none_or(|after| after >= expected) {
                return Err(broken.unwrap_or(StoreError::Gap {
                    place: "the database".to_owned(),
                    expected,
                    found: None,
                }));
            }
            report.repaired_packs = sound.after.len() as u64;
            if !self.read_only {
                let changes = sound.after.into_iter().map(|key| (key, None)).collect();
                self.journal.apply(changes)?;
            }
        }
        let mut writer = guard(&self.writer);
        writer.pending = tail.iter().map(|entry| entry.event.clone()).collect();
        writer.pending_first = last + 1;
        writer.pending_bytes = tail.iter().map(|entry| entry.event.len() + 4).sum();
        self.payloads.restore(tail)?;
        report.replayed = tail.len() as u64;
        if !self.read_only {
            // What stands in the page cache after a SIGKILL must be durable before it is built on.
            writer.outbox.repair()?;
            writer.outbox.sync_closed()?;
            writer.outbox.resume(expected - 1)?;
        }
        // An accepted loss is forgotten with the first event after it, not before: that event says who accepted it.
        if let Some(mark) = &self.mark
            && report.lost == 0
        {
            mark.set(expected - 1)?;
        }
        self.durable.store(expected - 1, Ordering::Release);
        self.progress
            .send_modify(|progress| progress.durable = expected - 1);
        Ok(())
    }

    /// How far the journal in the database is whole, looking at the packs from `outbox_first` on:
    /// those before are only read when they are needed.
    fn sound_through(&self, first: Seq, outbox_first: Option<Seq>) -> Result<Sound, StoreError> {
        let end = || Seq::MAX.to_be_bytes().to_vec();
        let mut sound = Sound {
            last: first - 1,
            ..Sound::default()
        };
        let Some(oldest_key) = self.journal.first_key()? else {
            return Ok(sound);
        };
        let oldest = first_of(&oldest_key)?;
        if oldest > first {
            // The beginning is gone; the outbox may still have all of it.
            sound.after_last = self.last_in_packs(oldest);
            sound.after = self.journal.keys(oldest_key, end())?;
            sound.broken = Some(StoreError::Gap {
                place: "the database".to_owned(),
                expected: first,
                found: Some(oldest),
            });
            return Ok(sound);
        }
        // Without events in the outbox the last pack is the one to look at.
        let start = self
            .journal
            .key_at_or_before(&outbox_first.unwrap_or(Seq::MAX).to_be_bytes())?
            .unwrap_or(oldest_key);
        let mut next = first_of(&start)?;
        let mut keys = self.journal.keys(start, end())?;
        let mut good = 0;
        for pack in Packs::from(&self.journal, next)? {
            match pack {
                Ok((seq, events)) if seq == next => {
                    next += events.len() as Seq;
                    good += 1;
                }
                Ok((seq, _)) => {
                    sound.broken = Some(StoreError::Gap {
                        place: "the database".to_owned(),
                        expected: next,
                        found: Some(seq),
                    });
                    break;
                }
                Err(error) if error.is_fatal() => return Err(error),
                Err(error) => {
                    sound.broken = Some(error);
                    break;
                }
            }
        }
        sound.last = next - 1;
        sound.after = keys.split_off(good.min(keys.len()));
        if !sound.after.is_empty() {
            sound.after_last = self.last_in_packs(next);
        }
        Ok(sound)
    }

    /// The last event that packs from `from` on hold, where the last pack can be read; a damaged
    /// last pack counts as its first event, since every fold was preceded by the outbox.
    fn last_in_packs(&self, from: Seq) -> Option<Seq> {
        let mut last = None;
        let keys = self
            .journal
            .keys(from.to_be_bytes().to_vec(), Seq::MAX.to_be_bytes().to_vec())
            .ok()?;
        for key in keys {
            let first = first_of(&key).ok()?;
            let count = match self.journal.get(&key) {
                Ok(Some(body)) => items(&body).map_or(1, |items| items.len()),
                _ => 1,
            };
            last = last.max(Some(first + count as Seq - 1));
        }
        last
    }
}

/// How far the journal is whole.
#[derive(Default)]
struct Sound {
    last: Seq,
    /// What stands at the first place that is not.
    broken: Option<StoreError>,
    /// Packs after that place.
    after: Vec<Vec<u8>>,
    /// The last event those could hold.
    after_last: Option<Seq>,
}

fn restrict(dir: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::PermissionsExt;
    let io = |cause: std::io::Error| StoreError::io("restrict access to", dir, &cause);
    let mode = fs::metadata(dir).map_err(io)?.permissions().mode();
    if mode & 0o777 != 0o700 {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(io)?;
    }
    Ok(())
}

/// Refuses a folder without `state.json` that holds events all the same: it is no new one.
fn refuse_headless(dir: &Path) -> Result<(), StoreError> {
    let (outbox, checkpoints) = (dir.join("outbox"), dir.join("checkpoints"));
    let lost = (outbox.is_dir() && Outbox::holds_events(&outbox)?)
        || (checkpoints.is_dir() && !checkpoint::list(&checkpoints)?.is_empty());
    match lost {
        true => Err(StoreError::corrupt(
            dir.join("state.json").display().to_string(),
            "the file is missing, although the folder beside it holds events",
        )),
        false => Ok(()),
    }
}

/// Makes a new state. `state.json` comes last: where it is missing and the outbox holds no events,
/// an earlier making was cut short and is begun anew.
fn create(
    dir: &Path,
    db_path: &Path,
    new_id: u128,
    now_ms: i64,
    failure: &Failure,
    hooks: &Hooks,
) -> Result<(StateFile, Db), StoreError> {
    let outbox = dir.join("outbox");
    refuse_headless(dir)?;
    for path in [db_path, &outbox] {
        if path.exists() {
            fs::remove_dir_all(path).map_err(|cause| StoreError::io("remove", path, &cause))?;
        }
    }
    make_dir(&outbox)?;
    make_dir(db_path)?;
    let id = StateId(new_id);
    let file = StateFile::new(id, now_ms);
    let (db, _) = Db::open(db_path, failure.clone(), hooks.clone())?;
    Meta(db.tree("meta")?).put_own(META_ID, &id.0.to_be_bytes())?;
    db.sync()?;
    Outbox::create(&outbox, id)?;
    if let Some(parent) = dir.parent() {
        // The folder's own name must outlive a power cut too. A parent that cannot be read is no
        // reason to refuse.
        let _ = File::open(parent).and_then(|parent| parent.sync_all());
    }
    file.write(dir)?;
    Ok((file, db))
}

/// Opens the stamp file and tells whether the database is behind it. A stamp that does not match
/// its checksum was cut short while it was written, and says nothing.
fn open_stamp(
    dir: &Path,
    meta: &Meta,
    read_only: bool,
) -> Result<((u64, Option<File>), bool), StoreError> {
    let path = dir.join("stamp");
    let known = meta.own_u64(META_STAMP)?.unwrap_or(0);
    let beside = fs::read(&path)
        .ok()
        .filter(|bytes| bytes.len() == 12 && le_u32(bytes, 8) == Some(crc32fast::hash(&bytes[..8])))
        .and_then(|bytes| le_u64(&bytes, 0))
        .unwrap_or(0);
    let file = if read_only {
        None
    } else {
        let file = private::kept()
            .open(&path)
            .map_err(|cause| StoreError::io("open", &path, &cause))?;
        Some(file)
    };
    Ok(((known.max(beside), file), known < beside))
}

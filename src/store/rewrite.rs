//! Writing the database anew while it is open, so that nothing is left of what was erased.
//!
//! All trees are held for as long as it takes (a second per 100 MB). What is cut short at any point is finished or
//! begun again at the next opening: see [`super::erase`].

use std::fs::File;
use std::path::Path;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::StoreError;
use super::db::{Db, caught};
use super::erase;
use super::error::Failure;
use super::hooks::Hooks;

/// How long to wait for readings to end, and for the database's own lock.
const GRACE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(5);

impl Db {
    /// Copies everything that still counts into a new database, puts that in the old one's place, and overwrites the
    /// old files. Whoever holds a tree goes on with the new one.
    pub(crate) fn rewrite(&self) -> Result<(), StoreError> {
        let dir = self.path().parent().ok_or(StoreError::Closed)?;
        let new_path = dir.join(erase::NEW);
        if new_path.exists() {
            erase::shred(&new_path)?;
        }
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let mut held: Vec<_> = slots
            .iter()
            .map(|(name, slot)| (*name, slot.write().unwrap_or_else(PoisonError::into_inner)))
            .collect();
        let since = Instant::now();
        while self.readers.load(Ordering::Acquire) > 0 {
            if since.elapsed() > GRACE {
                return Err(StoreError::Database {
                    action: "write anew",
                    cause: "it is being read; try again in a moment".to_owned(),
                });
            }
            std::thread::sleep(POLL);
        }
        {
            let (to, _) = Db::open(&new_path, Failure::default(), Hooks::default())?;
            self.copy_to(&to)?;
            to.sync()?;
        }
        released(&new_path)?;
        // From here on there is no way back but the next opening's.
        let mut db = self.db.write().unwrap_or_else(PoisonError::into_inner);
        for (_, slot) in &mut held {
            **slot = None;
        }
        *db = None;
        released(self.path())?;
        let old = dir.join(erase::OLD);
        erase::rename(dir, self.path(), &old)?;
        erase::rename(dir, &new_path, self.path())?;
        let fresh = Db::open_sled(self.path())?;
        for (name, slot) in &mut held {
            **slot = Some(caught("open a tree", || fresh.open_tree(*name))?);
        }
        *db = Some(fresh);
        drop(db);
        drop(held);
        drop(slots);
        super::db::tighten(self.path())?;
        erase::shred(&old)?;
        erase::done(dir)
    }
}

/// Waits until a database that was dropped has let its files go: its threads can outlive it for a moment.
fn released(path: &Path) -> Result<(), StoreError> {
    let file = path.join("db");
    let since = Instant::now();
    loop {
        let free = match File::open(&file) {
            Ok(open) => open.try_lock().is_ok(),
            Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        };
        if free {
            return Ok(());
        }
        if since.elapsed() > GRACE {
            return Err(StoreError::Database {
                action: "write anew",
                cause: "its files are still in use".to_owned(),
            });
        }
        std::thread::sleep(POLL);
    }
}

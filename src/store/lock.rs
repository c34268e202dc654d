//! One process at a time: the lock file of the state folder.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::StoreError;
use super::private;

/// How often a waiting opener asks again.
const POLL: Duration = Duration::from_millis(25);

/// Held for as long as the state is open. The system lets go of it when the process ends, however
/// it ends, so that a pid left in the file is no obstacle.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file would not be enough: a child that another thread is just starting has a copy of it until
        // its own program begins, and the lock goes with the last copy. Where unlocking fails, closing still does it.
        let _ = self.file.unlock();
    }
}

impl Lock {
    /// Takes the lock of the state in `dir`, waiting up to `wait` for its holder to let go.
    pub(crate) fn take(dir: &Path, wait: Duration) -> Result<Self, StoreError> {
        let path = path(dir);
        let mut file = private::kept()
            .read(true)
            .open(&path)
            .map_err(|cause| StoreError::io("open", &path, &cause))?;
        let started = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(cause)) => {
                    return Err(StoreError::io("lock", &path, &cause));
                }
                Err(TryLockError::WouldBlock) => {
                    let waited = started.elapsed();
                    if waited >= wait {
                        return Err(StoreError::Locked {
                            dir: dir.to_owned(),
                            pid: holder(dir),
                        });
                    }
                    std::thread::sleep(POLL.min(wait - waited));
                }
            }
        }
        let written = file
            .set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| writeln!(file, "{}", std::process::id()));
        written.map_err(|cause| StoreError::io("write", &path, &cause))?;
        Ok(Self { file })
    }
}

fn path(dir: &Path) -> PathBuf {
    dir.join("lock")
}

/// The pid that the lock file names. It is the holder's only while the lock is held; a holder that
/// has just taken it may not have written its pid yet, so that this looks a few times.
pub(crate) fn holder(dir: &Path) -> Option<u32> {
    for _ in 0..4 {
        let mut text = String::new();
        if File::open(path(dir))
            .and_then(|file| file.take(32).read_to_string(&mut text))
            .is_ok()
            && let Ok(pid) = text.trim().parse()
        {
            return Some(pid);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_was_let_go_is_free_while_a_child_still_has_a_copy_of_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let lock = Lock::take(dir.path(), Duration::ZERO).unwrap();
        // What a child that is being started has until its own program begins.
        let copy = lock.file.try_clone().unwrap();
        let held = Lock::take(dir.path(), Duration::ZERO).unwrap_err();
        assert!(
            matches!(held, StoreError::Locked { pid, .. } if pid == Some(std::process::id())),
            "{held:?}"
        );
        drop(lock);
        Lock::take(dir.path(), Duration::ZERO).unwrap();
        drop(copy);
    }
}

//! One process at a time: the lock file of the state folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::StoreError;

/// How often a waiting opener asks again.
const POLL: Duration = Duration::from_millis(25);

/// Held for as long as the state is open. The system lets go of it when the process ends, however
/// it ends, so that a pid left in the file is no obstacle.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of the state in `dir`, waiting up to `wait` for its holder to let go.
    pub(crate) fn take(dir: &Path, wait: Duration) -> Result<Self, StoreError> {
        let path = path(dir);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
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
        Ok(Self { _file: file })
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

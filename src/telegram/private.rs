//! Files that must be plain for a moment: SQLite opens nothing but files.
//!
//! They stand in a folder of mode 0700, where there is one on a file system in memory (`$XDG_RUNTIME_DIR`, `/dev/shm`;
//! the system's folder for temporary files otherwise), and are gone with the value. What a process that was killed left
//! there goes when the next copy is made.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::session::beside;

/// How the folders' names begin; then come the process, and chance.
const PREFIX: &str = "tidings-private-";
/// A folder of a process that is not seen here is another container's, where it is younger than this: copies live for
/// milliseconds, a login's for as long as SQLite writes.
const STALE: Duration = Duration::from_secs(60);

/// A copy that nobody else can read, gone with this value.
pub(crate) struct PrivateCopy {
    folder: PathBuf,
    /// The copy.
    pub(crate) file: PathBuf,
}

impl PrivateCopy {
    /// Of an SQLite database and what stands beside it.
    ///
    /// # Errors
    /// Where a file cannot be read, or the copy cannot be written.
    pub(crate) fn of(path: &Path) -> std::io::Result<PrivateCopy> {
        let copy = PrivateCopy::folder()?;
        for end in ["", "-wal", "-journal"] {
            let mut from = match fs::File::open(beside(path, end)) {
                Ok(file) => file,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound && !end.is_empty() => {
                    continue;
                }
                Err(error) => return Err(error),
            };
            let mut to = created(&beside(&copy.file, end))?;
            std::io::copy(&mut from, &mut to)?;
        }
        Ok(copy)
    }

    /// With these bytes.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(crate) fn holding(bytes: &[u8]) -> std::io::Result<PrivateCopy> {
        let copy = PrivateCopy::folder()?;
        created(&copy.file)?.write_all(bytes)?;
        Ok(copy)
    }

    fn folder() -> std::io::Result<PrivateCopy> {
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let places = runtime
            .filter(|path| path.is_absolute())
            .into_iter()
            .chain([PathBuf::from("/dev/shm"), std::env::temp_dir()]);
        let mut failed = std::io::Error::from(std::io::ErrorKind::NotFound);
        for place in places.filter(|place| place.is_dir()) {
            sweep(&place);
            let name = format!("{PREFIX}{}-{:x}", std::process::id(), rand::random::<u64>());
            let folder = place.join(name);
            match fs::DirBuilder::new().mode(0o700).create(&folder) {
                Ok(()) => {
                    return Ok(PrivateCopy {
                        file: folder.join("copy.session"),
                        folder,
                    });
                }
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }
}

impl Drop for PrivateCopy {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn created(path: &Path) -> std::io::Result<fs::File> {
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// Removes what processes left that were killed. Another user's folders refuse.
fn sweep(place: &Path) {
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX))
            .and_then(|rest| rest.split('-').next())
            .and_then(|pid| pid.parse::<i32>().ok())
            .and_then(rustix::process::Pid::from_raw);
        let Some(pid) = pid else { continue };
        let gone = rustix::process::test_kill_process(pid).is_err();
        let old = entry
            .metadata()
            .and_then(|about| about.modified())
            .is_ok_and(|at| at.elapsed().is_ok_and(|age| age > STALE));
        if gone && old {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_left_goes_and_what_is_in_use_stays() {
        let place = tempfile::tempdir().expect("a folder");
        let old = std::time::SystemTime::now() - STALE * 2;
        // A process that certainly is not there, and this one.
        let [gone, young, ours] = [
            format!("{PREFIX}{}-1", i32::MAX),
            format!("{PREFIX}{}-2", i32::MAX),
            format!("{PREFIX}{}-3", std::process::id()),
        ]
        .map(|name| place.path().join(name));
        for folder in [&gone, &young, &ours] {
            fs::create_dir(folder).expect("makes");
            fs::write(folder.join("copy.session"), "secret").expect("writes");
        }
        for folder in [&gone, &ours] {
            let opened = fs::File::open(folder).expect("opens");
            opened.set_modified(old).expect("dates");
        }
        sweep(place.path());
        assert!(!gone.exists() && young.exists() && ours.exists());
    }

    #[test]
    fn a_copy_is_private_and_gone_with_its_value() {
        use std::os::unix::fs::PermissionsExt as _;
        let copy = PrivateCopy::holding(b"bytes").expect("writes");
        let mode = |path: &Path| fs::metadata(path).expect("is there").permissions().mode() & 0o777;
        assert_eq!(fs::read(&copy.file).expect("reads"), b"bytes");
        assert_eq!((mode(&copy.folder), mode(&copy.file)), (0o700, 0o600));
        let folder = copy.folder.clone();
        drop(copy);
        assert!(!folder.exists());
    }
}

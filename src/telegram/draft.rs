//! Small files that are whole or not there, whatever happens in between, a power cut too.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::session::beside;

/// Makes a file of mode 0600, whole or not at all, and never over another one: not even a power cut leaves a part.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let draft = Draft::write(path, bytes)?;
    fail::fail_point!("session.drafted");
    // A link never takes the place of another file, as a rename would.
    fs::hard_link(&draft.0, path)?;
    drop(draft);
    sync_folder(path)
}

/// Puts new bytes in a file's place: whole or not at all.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let draft = Draft::write(path, bytes)?;
    fail::fail_point!("session.drafted");
    fs::rename(&draft.0, path)?;
    sync_folder(path)
}

pub(super) fn sync_folder(path: &Path) -> std::io::Result<()> {
    fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// A file on its way to its place, gone with this value.
pub(super) struct Draft(pub(super) PathBuf);

impl Draft {
    /// `.NAME.PID.new` beside the file that it will be.
    pub(super) fn of(path: &Path) -> Draft {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Draft(path.with_file_name(format!(".{name}.{}.new", std::process::id())))
    }

    fn write(path: &Path, bytes: &[u8]) -> std::io::Result<Draft> {
        let draft = Draft::of(path);
        let _ = fs::remove_file(&draft.0);
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft.0)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        Ok(draft)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        for end in ["", "-wal", "-shm", "-journal"] {
            let _ = fs::remove_file(beside(&self.0, end));
        }
    }
}

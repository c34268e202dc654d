//! Encrypting session files at rest, and decrypting them again.
//!
//! **Guarantees.** At each instruction at which the process may end, the plain or the encrypted file is whole: one goes
//! only after the other one was synced, read back and found to hold the same. A command that was killed is finished by
//! running it again. Neither takes the place of a file that holds another key.

use std::fs;
use std::path::Path;

use super::CallError;
use super::draft::{self, Draft};
use super::session::{self, beside, plain_path, sealed_path};
use super::vault::Vault;

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sealed {
    /// It was done just now.
    Now,
    /// It was so before.
    Before,
}

/// Encrypts the session file of one account, of which `plain` is the plain name; the vault's key must be there
/// ([`Vault::make`]).
///
/// # Errors
/// Where a file cannot be used or written; both that were there still are.
pub async fn encrypt(plain: &Path, vault: &Vault) -> Result<Sealed, CallError> {
    let sealed = sealed_path(plain);
    sweep(plain);
    if !is_there(plain) {
        if !is_there(&sealed) {
            return Err(refused(plain, "there is none"));
        }
        session::look(&sealed, true, vault).await?;
        remove_beside(plain).map_err(|error| refused(plain, &error.to_string()))?;
        return Ok(Sealed::Before);
    }
    session::look(plain, true, vault).await?;
    if is_there(&sealed) {
        same_key(plain, &sealed, vault).await?;
    }
    let bytes = session::whole(plain, vault).await?;
    let made = {
        let (vault, bytes) = (vault.clone(), bytes.clone());
        tokio::task::spawn_blocking(move || vault.seal(&bytes))
            .await
            .map_err(|error| refused(plain, &error.to_string()))??
    };
    let words = |error: std::io::Error| refused(&sealed, &format!("cannot be written: {error}"));
    draft::replace(&sealed, &made).map_err(words)?;
    fail::fail_point!("session.placed");
    if *session::whole(&sealed, vault).await? != *bytes {
        return Err(refused(&sealed, "does not read back as it was written"));
    }
    fail::fail_point!("session.verified");
    fs::remove_file(plain)
        .map_err(|error| refused(plain, &format!("cannot be removed: {error}")))?;
    fail::fail_point!("session.removed");
    remove_beside(plain).map_err(|error| refused(plain, &error.to_string()))?;
    draft::sync_folder(plain).map_err(words)?;
    Ok(Sealed::Now)
}

/// Decrypts the session file of one account, of which `plain` is the plain name.
///
/// # Errors
/// Where a file cannot be used or written; both that were there still are.
pub async fn decrypt(plain: &Path, vault: &Vault) -> Result<Sealed, CallError> {
    let sealed = sealed_path(plain);
    sweep(plain);
    if !is_there(&sealed) {
        if !is_there(plain) {
            return Err(refused(plain, "there is none"));
        }
        return Ok(Sealed::Before);
    }
    let words = |error: std::io::Error| refused(plain, &format!("cannot be written: {error}"));
    if is_there(plain) {
        // A command that was killed in between: the plain one has been in use since.
        same_key(plain, &sealed, vault).await?;
    } else {
        session::look(&sealed, true, vault).await?;
        let bytes = session::whole(&sealed, vault).await?;
        // What another database once left would be taken for this one's.
        remove_beside(plain).map_err(words)?;
        draft::write_new(plain, &bytes).map_err(words)?;
        fail::fail_point!("session.placed");
        if fs::read(plain).map_err(words)? != *bytes {
            return Err(refused(plain, "does not read back as it was written"));
        }
    }
    fail::fail_point!("session.verified");
    fs::remove_file(&sealed)
        .map_err(|error| refused(&sealed, &format!("cannot be removed: {error}")))?;
    fail::fail_point!("session.removed");
    draft::sync_folder(plain).map_err(words)?;
    Ok(Sealed::Now)
}

/// That two files are one session: then neither is lost with the other one.
async fn same_key(plain: &Path, sealed: &Path, vault: &Vault) -> Result<(), CallError> {
    let (one, two) = (
        session::look(plain, true, vault).await?,
        session::look(sealed, true, vault).await?,
    );
    if (one.dc, one.auth_key) == (two.dc, two.auth_key) {
        return Ok(());
    }
    Err(refused(
        plain,
        &format!(
            "holds another key than {}: move away the one that is not to be used",
            sealed.display()
        ),
    ))
}

fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// Removes what SQLite kept beside a plain file.
fn remove_beside(plain: &Path) -> std::io::Result<()> {
    for end in ["-wal", "-shm", "-journal"] {
        match fs::remove_file(beside(plain, end)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Removes drafts that a killed process left: they hold keys.
fn sweep(plain: &Path) {
    for path in [plain_path(plain), sealed_path(plain)] {
        let ours = Draft::of(&path);
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        let folder = path.parent().unwrap_or(Path::new("."));
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let found = entry.file_name();
            let is_draft = found.to_str().is_some_and(|found| {
                found
                    .strip_prefix(&format!(".{name}."))
                    .and_then(|rest| rest.strip_suffix(".new"))
                    .is_some_and(|pid| pid.parse::<u32>().is_ok())
            });
            if is_draft && entry.path() != ours.0 {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

fn refused(path: &Path, what: &str) -> CallError {
    CallError::Session(format!("session file {}: {what}", path.display()))
}

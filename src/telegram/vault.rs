//! The passphrase of session files that are encrypted at rest, and the key that it guards.
//!
//! `passphrase.age` is a file of age (age-encryption.org/v1) under scrypt of the passphrase; it holds an X25519
//! identity. Each `NAME.session.age` is encrypted to that identity. So the passphrase is stretched once a process, and
//! the program `age` opens all of it without Tidings.
//!
//! **Guarantees.** The passphrase and the identity are in memory only. A key file is never overwritten.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::{Arc, Mutex, PoisonError};

use age::secrecy::zeroize::Zeroizing;
use age::secrecy::{ExposeSecret as _, SecretString};
use age::x25519::Identity;

use super::draft::write_new;
use super::{CallError, Secret};

/// Where the passphrase stands in the environment.
pub const PASSPHRASE: &str = "TIDINGS_PASSPHRASE";
/// Where the environment names a file that holds it.
pub const PASSPHRASE_FILE: &str = "TIDINGS_PASSPHRASE_FILE";

/// The file of the key, in the sessions folder.
pub const KEY_FILE: &str = "passphrase.age";
/// scrypt with N = 2^16, r = 8, p = 1: 64 MiB and about a quarter of a second a try. Four random words of a list of 7,776
/// then keep a thousand cores busy for some thousands of years.
const WORK_FACTOR: u8 = 16;
/// A file that asks for more work than this (16 times ours, 1 GiB) was not made by us.
const MAX_WORK_FACTOR: u8 = 20;
/// The shortest passphrase that is taken for a new key, in characters.
const SHORTEST: usize = 8;
/// How often a typed passphrase that is wrong is asked for again.
const TRIES: u32 = 3;
/// The largest key file, and file of a passphrase.
const MAX_KEY_FILE: u64 = 64 * 1024;

/// Asks a person for a line that nobody else sees; `None`: there is nobody.
pub type Ask = fn(&str) -> Option<Secret>;

/// Why an encrypted session file cannot be opened or made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The passphrase is missing or wrong.
    #[error("{0}")]
    Locked(String),
    /// A file is damaged or cannot be read or written.
    #[error("{0}")]
    Broken(String),
}

impl From<VaultError> for CallError {
    fn from(error: VaultError) -> CallError {
        match error {
            VaultError::Locked(why) => CallError::Locked(why),
            VaultError::Broken(why) => CallError::Session(why),
        }
    }
}

/// What opens and makes encrypted session files of one folder. Clones share what was opened.
#[derive(Clone)]
pub struct Vault {
    folder: PathBuf,
    text: Option<Secret>,
    file: Option<PathBuf>,
    ask: Option<Ask>,
    memo: Arc<Mutex<Memo>>,
}

/// What is known of the passphrase so far.
#[derive(Default)]
struct Memo {
    /// The identity, and the key file that it was in.
    opened: Option<(Vec<u8>, Arc<Identity>)>,
    /// A key file and a passphrase that does not open it: stretching it again would tell nothing new.
    refused: Option<blake3::Hash>,
    asked: bool,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

impl Vault {
    /// Of a sessions folder: `text` is the passphrase itself, `file` holds it.
    pub fn new(folder: PathBuf, text: Option<Secret>, file: Option<PathBuf>) -> Vault {
        Vault {
            folder,
            text,
            file,
            ask: None,
            memo: Arc::default(),
        }
    }

    /// The same, where a person may be asked.
    #[must_use]
    pub fn asking(self, ask: Option<Ask>) -> Vault {
        Vault { ask, ..self }
    }

    /// The file of the key.
    pub fn key_file(&self) -> PathBuf {
        self.folder.join(KEY_FILE)
    }

    /// Whether the folder's sessions are encrypted, new ones too.
    pub fn is_used(&self) -> bool {
        fs::symlink_metadata(self.key_file()).is_ok()
    }

    /// Whether a passphrase is given or can be asked for; the right one or not.
    pub fn has_passphrase(&self) -> bool {
        self.text.is_some() || self.file.is_some() || self.ask.is_some()
    }

    /// Opens the key, once a process.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn unlock(&self) -> Result<(), VaultError> {
        self.identity().map(|_| ())
    }

    /// What is said where there is no passphrase.
    pub fn missing() -> String {
        format!(
            "its session file is encrypted, and no passphrase is given: set {PASSPHRASE_FILE} or {PASSPHRASE} and start \
             Tidings again, or start it on a terminal, where it asks"
        )
    }

    /// Makes the key file where there is none, under the passphrase that is given or typed.
    ///
    /// # Errors
    /// [`VaultError`]; there is no half of a key file.
    pub fn make(&self) -> Result<(), VaultError> {
        if self.is_used() {
            return self.unlock();
        }
        let passphrase = match self.given()? {
            Some((passphrase, _)) => passphrase,
            None => self.typed_anew()?,
        };
        if passphrase.reveal().chars().count() < SHORTEST {
            return Err(VaultError::Locked(format!(
                "a passphrase has at least {SHORTEST} characters, better four random words"
            )));
        }
        let identity = Identity::generate();
        let mut recipient = age::scrypt::Recipient::new(secret(&passphrase));
        recipient.set_work_factor(WORK_FACTOR);
        let plain = Zeroizing::new(format!("{}\n", identity.to_string().expose_secret()));
        let path = self.key_file();
        let broken = |why: &dyn std::fmt::Display| {
            VaultError::Broken(format!("{} cannot be written: {why}", path.display()))
        };
        let bytes = age::encrypt(&recipient, plain.as_bytes()).map_err(|error| broken(&error))?;
        match write_new(&path, &bytes) {
            Ok(()) => {}
            // Another process was faster: its key is the one.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(broken(&error)),
        }
        self.memo().asked = false;
        // Read back: nothing is ever encrypted to a key that this file does not give.
        let file = read_small(&path).map_err(|error| broken(&error))?;
        let opened = open_key(&file, &passphrase).map_err(|error| broken(&error))?;
        self.memo().opened = Some((file, Arc::new(opened)));
        Ok(())
    }

    /// Decrypts a session file's bytes.
    pub(super) fn open(
        &self,
        path: &Path,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let identity = self.identity()?;
        age::decrypt(&*identity, sealed)
            .map(Zeroizing::new)
            .map_err(|error| {
                VaultError::Broken(match error {
                    age::DecryptError::NoMatchingKeys => format!(
                        "session file {}: is encrypted with another key than that of {}",
                        path.display(),
                        self.key_file().display()
                    ),
                    other => format!("session file {}: is damaged: {other}", path.display()),
                })
            })
    }

    /// Encrypts a session file's bytes.
    pub(super) fn seal(&self, plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        let recipient = self.identity()?.to_public();
        age::encrypt(&recipient, plain)
            .map_err(|error| VaultError::Broken(format!("nothing can be encrypted: {error}")))
    }

    fn memo(&self) -> std::sync::MutexGuard<'_, Memo> {
        self.memo.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn identity(&self) -> Result<Arc<Identity>, VaultError> {
        let path = self.key_file();
        let file = read_small(&path).map_err(|error| {
            VaultError::Broken(match error.kind() {
                std::io::ErrorKind::NotFound => format!(
                    "its session file is encrypted, and {}, which holds the key, is not there: put it back from a backup",
                    path.display()
                ),
                _ => format!("{} cannot be read: {error}", path.display()),
            })
        })?;
        // Held while the passphrase is stretched or typed: whoever else needs it waits for the same answer.
        let mut memo = self.memo();
        if let Some((known, identity)) = &memo.opened
            && *known == file
        {
            return Ok(identity.clone());
        }
        if let Some((passphrase, whence)) = self.given()? {
            let mark = blake3::Hasher::new()
                .update(&file)
                .update(passphrase.reveal().as_bytes())
                .finalize();
            let wrong = || {
                VaultError::Locked(format!(
                    "its session file is encrypted, and {whence} does not open {}: set the right passphrase and start \
                     Tidings again",
                    path.display()
                ))
            };
            if memo.refused == Some(mark) {
                return Err(wrong());
            }
            return match open_key(&file, &passphrase) {
                Ok(identity) => Ok(memo.keep(file, identity)),
                Err(KeyError::Wrong) => {
                    memo.refused = Some(mark);
                    Err(wrong())
                }
                Err(KeyError::Damaged(why)) => Err(damaged(&path, &why)),
            };
        }
        let Some(ask) = self.ask.filter(|_| !memo.asked) else {
            return Err(VaultError::Locked(Vault::missing()));
        };
        memo.asked = true;
        let mut question = "Passphrase of the session files: ".to_owned();
        for _ in 0..TRIES {
            let Some(passphrase) = ask(&question).filter(|typed| !typed.reveal().is_empty()) else {
                break;
            };
            match open_key(&file, &passphrase) {
                Ok(identity) => return Ok(memo.keep(file, identity)),
                Err(KeyError::Wrong) => {
                    "That is not the passphrase. Once more: ".clone_into(&mut question);
                }
                Err(KeyError::Damaged(why)) => return Err(damaged(&path, &why)),
            }
        }
        Err(VaultError::Locked(Vault::missing()))
    }

    /// The passphrase that the environment gives, and where it stands there.
    fn given(&self) -> Result<Option<(Secret, &'static str)>, VaultError> {
        if let Some(text) = &self.text {
            return Ok(Some((text.clone(), PASSPHRASE)));
        }
        let Some(path) = &self.file else {
            return Ok(None);
        };
        let unreadable = |why: &dyn std::fmt::Display| {
            VaultError::Locked(format!(
                "{PASSPHRASE_FILE}: {} cannot be read: {why}",
                path.display()
            ))
        };
        let bytes = Zeroizing::new(read_small(path).map_err(|error| unreadable(&error))?);
        let text = std::str::from_utf8(&bytes).map_err(|_| unreadable(&"it is no UTF-8 text"))?;
        // An editor ends the last line.
        let text = text.trim_end_matches(['\n', '\r']);
        if text.is_empty() {
            return Err(unreadable(&"it is empty"));
        }
        Ok(Some((Secret::new(text.to_owned()), PASSPHRASE_FILE)))
    }

    fn typed_anew(&self) -> Result<Secret, VaultError> {
        let none = || {
            VaultError::Locked(format!(
                "no passphrase is given: set {PASSPHRASE_FILE} or {PASSPHRASE}, or run this on a terminal, where it is \
                 asked for"
            ))
        };
        let ask = self.ask.ok_or_else(none)?;
        let first = ask("New passphrase: ").ok_or_else(none)?;
        let second = ask("The same again: ").ok_or_else(none)?;
        if first.reveal() != second.reveal() {
            return Err(VaultError::Locked("the two passphrases differ".to_owned()));
        }
        Ok(first)
    }
}

impl Memo {
    fn keep(&mut self, file: Vec<u8>, identity: Identity) -> Arc<Identity> {
        let identity = Arc::new(identity);
        self.opened = Some((file, identity.clone()));
        identity
    }
}

/// Why a key file does not open.
#[derive(Debug, thiserror::Error)]
enum KeyError {
    #[error("the passphrase is another one")]
    Wrong,
    #[error("{0}")]
    Damaged(String),
}

fn damaged(path: &Path, why: &str) -> VaultError {
    VaultError::Broken(format!(
        "{} is damaged ({why}): put it back from a backup",
        path.display()
    ))
}

fn open_key(file: &[u8], passphrase: &Secret) -> Result<Identity, KeyError> {
    let mut key = age::scrypt::Identity::new(secret(passphrase));
    key.set_max_work_factor(MAX_WORK_FACTOR);
    let plain = age::decrypt(&key, file).map_err(|error| match error {
        age::DecryptError::DecryptionFailed
        | age::DecryptError::KeyDecryptionFailed
        | age::DecryptError::NoMatchingKeys => KeyError::Wrong,
        other => KeyError::Damaged(other.to_string()),
    })?;
    let plain = Zeroizing::new(plain);
    std::str::from_utf8(&plain)
        .ok()
        .and_then(|text| {
            text.lines()
                .map(str::trim)
                .find(|line| !line.is_empty() && !line.starts_with('#'))
        })
        .and_then(|line| Identity::from_str(line).ok())
        .ok_or_else(|| KeyError::Damaged("it holds no identity of age".to_owned()))
}

fn secret(passphrase: &Secret) -> SecretString {
    SecretString::from(passphrase.reveal().to_owned())
}

fn read_small(path: &Path) -> std::io::Result<Vec<u8>> {
    if fs::metadata(path)?.len() > MAX_KEY_FILE {
        return Err(std::io::ErrorKind::FileTooLarge.into());
    }
    fs::read(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault(folder: &Path, passphrase: &str) -> Vault {
        Vault::new(
            folder.to_owned(),
            Some(Secret::new(passphrase.to_owned())),
            None,
        )
    }

    #[test]
    fn only_the_same_passphrase_opens_what_was_encrypted() {
        let folder = tempfile::tempdir().expect("a folder");
        let made = vault(folder.path(), "correct horse battery");
        assert!(!made.is_used());
        made.make().expect("makes");
        let sealed = made.seal(b"bytes").expect("seals");
        assert!(sealed.starts_with(b"age-encryption.org/v1"));

        let again = vault(folder.path(), "correct horse battery");
        let path = Path::new("a.session.age");
        assert_eq!(
            again.open(path, &sealed).expect("opens").as_slice(),
            b"bytes"
        );
        let file = folder.path().join("pass");
        fs::write(&file, "correct horse battery\n").expect("writes");
        let by_file = Vault::new(folder.path().to_owned(), None, Some(file));
        assert_eq!(
            by_file.open(path, &sealed).expect("opens").as_slice(),
            b"bytes"
        );

        let wrong = vault(folder.path(), "correct horse batterY");
        let said = wrong.open(path, &sealed).expect_err("another passphrase");
        assert!(
            matches!(&said, VaultError::Locked(why) if why.contains(PASSPHRASE)),
            "{said}"
        );
        assert_eq!(wrong.open(path, &sealed).expect_err("still"), said);
        let none = Vault::new(folder.path().to_owned(), None, None);
        assert!(matches!(none.unlock(), Err(VaultError::Locked(why)) if why == Vault::missing()));

        let mut torn = sealed.clone();
        let last = torn.len() - 1;
        torn[last] ^= 1;
        for bytes in [&torn[..], &sealed[..last], b"age-encryption.org/v1\n", b""] {
            assert!(matches!(
                again.open(path, bytes),
                Err(VaultError::Broken(_))
            ));
        }
    }

    #[test]
    fn a_typed_passphrase_is_asked_for_once_and_a_key_is_never_made_over_another() {
        use std::sync::atomic::{AtomicU32, Ordering};
        static ASKED: AtomicU32 = AtomicU32::new(0);
        fn typed(_: &str) -> Option<Secret> {
            // Wrong at first: a person may mistype.
            let text = match ASKED.fetch_add(1, Ordering::SeqCst) {
                0 => "mistyped words",
                _ => "correct horse battery",
            };
            Some(Secret::new(text.to_owned()))
        }
        let folder = tempfile::tempdir().expect("a folder");
        vault(folder.path(), "correct horse battery")
            .make()
            .expect("makes");
        let key = fs::read(folder.path().join(KEY_FILE)).expect("reads");
        let asking = Vault::new(folder.path().to_owned(), None, None).asking(Some(typed));
        asking.make().expect("is there, and opens");
        asking.clone().unlock().expect("is open");
        assert_eq!(ASKED.load(Ordering::SeqCst), 2);
        assert_eq!(fs::read(folder.path().join(KEY_FILE)).expect("reads"), key);
        assert_eq!(fs::read_dir(folder.path()).expect("lists").count(), 1);
    }

    #[test]
    fn a_short_passphrase_makes_no_key() {
        let folder = tempfile::tempdir().expect("a folder");
        let made = vault(folder.path(), "short").make();
        assert!(matches!(made, Err(VaultError::Locked(why)) if why.contains("at least 8")));
        assert_eq!(fs::read_dir(folder.path()).expect("lists").count(), 0);
    }
}

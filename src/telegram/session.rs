//! Session files: read once, never written.
//!
//! A file is a `grammers-session` SQLite database, or one of age that holds such a database (`vault`). It is the
//! credential: who holds it is the account. So it is opened as immutable (no lock, no `-wal`, no `-shm`; a read-only
//! mount will do), and the protocol library gets the address and the key alone.

use std::fs;
use std::io::Read as _;
use std::net::{SocketAddrV4, SocketAddrV6};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use grammers_session::Session as _;
use grammers_session::storages::SqliteSession;
use grammers_session::types::{PeerId, PeerInfo};

use age::secrecy::zeroize::Zeroizing;

use super::CallError;
use super::private::PrivateCopy;
use super::vault::Vault;

/// The largest session file that is read. One of an account that met 100,000 people has about 5 MB.
const MAX_FILE: u64 = 256 * 1024 * 1024;
/// The last part of an encrypted session file's name.
const SEALED: &str = "age";

/// What a session file says.
#[derive(Clone)]
pub(super) struct SessionFile {
    /// The account's data centre.
    pub(super) dc: i32,
    /// Its address, as the file has it.
    pub(super) ipv4: SocketAddrV4,
    /// The account's authorization key.
    pub(super) auth_key: [u8; 256],
    /// Whose account it is, where the program that logged in noted it.
    pub(super) self_id: Option<i64>,
}

impl std::fmt::Debug for SessionFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionFile")
            .field("dc", &self.dc)
            .field("ipv4", &self.ipv4)
            .finish_non_exhaustive()
    }
}

/// What a session file says, whether anybody is logged in with it or not.
#[derive(Clone)]
pub(super) struct Found {
    /// The account's data centre.
    pub(super) dc: i32,
    /// Its address; a well-known one where the file has none.
    pub(super) ipv4: SocketAddrV4,
    /// The same for IPv6.
    pub(super) ipv6: SocketAddrV6,
    /// The authorization key, where one was made.
    pub(super) auth_key: Option<[u8; 256]>,
    /// The account's user id, where the file says so.
    pub(super) own: Option<i64>,
}

/// Why a file is no session file, as far as a glance at its beginning tells; nothing where it may be one.
pub fn no_session(path: &Path) -> Option<String> {
    no_database(path).map(|what| format!("session file {}: {what}", path.display()))
}

fn no_database(path: &Path) -> Option<String> {
    let mut head = [0u8; 16];
    let read = fs::File::open(path).and_then(|mut file| file.read_exact(&mut head));
    let (expected, what) = match is_sealed(path) {
        true => (b"age-encryption.o", "a file of age"),
        false => (b"SQLite format 3\0", "an SQLite database"),
    };
    match read {
        Err(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => {
            Some(format!("cannot be read: {error}"))
        }
        Ok(()) if &head == expected => None,
        _ => Some(format!("is no session file: {what} is expected")),
    }
}

/// Whether this is the name of an encrypted session file.
pub fn is_sealed(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == SEALED)
}

/// The name of the encrypted session file in place of this plain one.
pub fn sealed_path(plain: &Path) -> PathBuf {
    beside(plain, ".age")
}

/// The name of the plain session file in place of this encrypted one; a plain one's own.
pub fn plain_path(path: &Path) -> PathBuf {
    match is_sealed(path) {
        true => path.with_extension(""),
        false => path.to_owned(),
    }
}

/// Reads a session file, after tightening its mode.
pub(super) async fn read(path: &Path, vault: &Vault) -> Result<SessionFile, CallError> {
    let found = look(path, true, vault).await?;
    match found.auth_key {
        Some(auth_key) => Ok(SessionFile {
            dc: found.dc,
            ipv4: found.ipv4,
            auth_key,
            self_id: found.own.filter(|id| *id > 0),
        }),
        None => Err(CallError::Session(format!(
            "session file {}: holds no key: nobody is logged in with it",
            path.display()
        ))),
    }
}

/// Reads a session file whether anybody is logged in with it or not; `tightened` makes it readable to its owner only
/// before.
pub(super) async fn look(path: &Path, tightened: bool, vault: &Vault) -> Result<Found, CallError> {
    let refuse = |what: String| refused(path, &what);
    let about = match fs::metadata(path) {
        Ok(about) => about,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(refuse("there is none".to_owned()));
        }
        Err(error) => return Err(refuse(format!("cannot be looked at: {error}"))),
    };
    if !about.is_file() {
        return Err(refuse("is not a file".to_owned()));
    }
    if about.len() > MAX_FILE {
        return Err(refuse(format!(
            "has {} bytes, at most {MAX_FILE} are expected",
            about.len()
        )));
    }
    if tightened {
        tighten(path).map_err(|error| {
            refuse(format!(
                "may be read by others (mode {:04o}), and this cannot be changed: {error}; run `chmod 600` on it",
                about.permissions().mode() & 0o7777
            ))
        })?;
    }
    if let Some(what) = no_database(path) {
        return Err(refuse(what));
    }

    // What another program has not yet written back into the file stands beside it; an immutable look would miss it.
    let copy = match is_sealed(path) || is_pending(path) {
        true => Some(copied(path, vault).await?),
        false => None,
    };
    let database = match &copy {
        Some(copy) => copy.file.clone(),
        None => immutable(path).map_err(|error| refuse(format!("cannot be found: {error}")))?,
    };
    let session = opened(path, database).await?;
    let dc = session
        .home_dc_id()
        .map_err(|error| refuse(error.to_string()))?;
    let option = session
        .dc_option(dc)
        .map_err(|error| refuse(error.to_string()))?;
    let own = session.peer(PeerId::self_user()).await.ok().flatten();
    match option {
        Some(option) => Ok(Found {
            dc,
            ipv4: option.ipv4,
            ipv6: option.ipv6,
            auth_key: option.auth_key,
            own: match own {
                Some(PeerInfo::User { id, .. }) => Some(id),
                _ => None,
            },
        }),
        None => Err(refuse(format!(
            "names data centre {dc}, but not its address"
        ))),
    }
}

fn refused(path: &Path, what: &str) -> CallError {
    CallError::Session(format!("session file {}: {what}", path.display()))
}

/// Whether another program has not yet written all of it back into the file.
fn is_pending(path: &Path) -> bool {
    ["-wal", "-journal"]
        .map(|end| beside(path, end))
        .into_iter()
        .any(|file| fs::metadata(file).is_ok_and(|about| about.len() > 0))
}

/// A private copy of a session file, decrypted where it is encrypted.
pub(super) async fn copied(path: &Path, vault: &Vault) -> Result<PrivateCopy, CallError> {
    let aside = |error: std::io::Error| refused(path, &format!("cannot be copied aside: {error}"));
    if !is_sealed(path) {
        return PrivateCopy::of(path).map_err(aside);
    }
    let (at, vault) = (path.to_owned(), vault.clone());
    // The passphrase takes a quarter of a second, or a person who types it.
    tokio::task::spawn_blocking(move || {
        let sealed =
            fs::read(&at).map_err(|error| refused(&at, &format!("cannot be read: {error}")))?;
        let plain = vault.open(&at, &sealed)?;
        PrivateCopy::holding(&plain)
            .map_err(|error| refused(&at, &format!("cannot be copied aside: {error}")))
    })
    .await
    .map_err(|error| refused(path, &error.to_string()))?
}

/// The whole of a session as one file's bytes, with what stands beside it written back.
pub(super) async fn whole(path: &Path, vault: &Vault) -> Result<Zeroizing<Vec<u8>>, CallError> {
    let copy = copied(path, vault).await?;
    if !is_sealed(path) && is_pending(path) {
        // Opened and closed by the only one who has it, a database takes its log in.
        drop(opened(path, copy.file.clone()).await?);
        if is_pending(&copy.file) {
            return Err(refused(
                path,
                "another program has not closed it: end that program first",
            ));
        }
    }
    fs::read(&copy.file)
        .map(Zeroizing::new)
        .map_err(|error| refused(path, &format!("cannot be read: {error}")))
}

/// Opens the database that a session file is. The library takes other types in a column for impossible and panics: in a
/// task of its own that is an error.
pub(super) async fn opened(path: &Path, database: PathBuf) -> Result<SqliteSession, CallError> {
    tokio::spawn(async move { SqliteSession::open(&database).await })
        .await
        .map_err(|_| {
            refused(
                path,
                "is no session file of this kind: its columns hold other types",
            )
        })?
        .map_err(|error| refused(path, &format!("is no session file of this kind: {error}")))
}

/// Makes the file readable to its owner only.
fn tighten(path: &Path) -> std::io::Result<()> {
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        tracing::warn!(
            file = %path.display(),
            "others could read this session file (mode {:04o}); it is 0600 now",
            mode & 0o7777
        );
    }
    for end in ["-wal", "-shm", "-journal"] {
        let file = beside(path, end);
        // They come and go with another program's work: what cannot be tightened is gone.
        if fs::metadata(&file).is_ok_and(|about| about.permissions().mode() & 0o077 != 0) {
            let _ = fs::set_permissions(&file, fs::Permissions::from_mode(0o600));
        }
    }
    Ok(())
}

/// `NAME.session-wal` and the like.
pub(super) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// The name under which SQLite opens the file without ever writing beside it (sqlite.org/uri.html, `immutable`).
fn immutable(path: &Path) -> std::io::Result<PathBuf> {
    let mut uri = b"file:".to_vec();
    for &byte in std::path::absolute(path)?.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => uri.push(byte),
            other => uri.extend(format!("%{other:02X}").bytes()),
        }
    }
    uri.extend(b"?immutable=1");
    Ok(PathBuf::from(std::ffi::OsString::from_vec(uri)))
}

#[cfg(test)]
mod tests {
    use grammers_session::types::DcOption;

    use super::*;

    fn none() -> Vault {
        Vault::new(PathBuf::new(), None, None)
    }

    const ADDRESS: &str = "127.0.0.1:4430";

    async fn write(path: &Path, key: Option<[u8; 256]>) {
        let session = SqliteSession::open(path).await.expect("opens");
        session.set_home_dc_id(2).await.expect("writes");
        session
            .set_dc_option(&DcOption {
                id: 2,
                ipv4: ADDRESS.parse().expect("an address"),
                ipv6: "[::1]:4430".parse().expect("an address"),
                auth_key: key,
            })
            .await
            .expect("writes");
    }

    #[tokio::test]
    async fn a_file_tells_whose_it_is_where_a_login_noted_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.session");
        write(&path, Some([7; 256])).await;
        assert_eq!(read(&path, &none()).await.expect("reads").self_id, None);
        let note = |id: i64, own: bool| PeerInfo::User {
            id,
            auth: None,
            bot: Some(false),
            is_self: Some(own),
        };
        {
            let session = SqliteSession::open(&path).await.expect("opens");
            for peer in [note(55, false), note(777, true)] {
                session.cache_peer(peer).await.expect("writes");
            }
        }
        assert_eq!(
            read(&path, &none()).await.expect("reads").self_id,
            Some(777)
        );
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("is there").permissions().mode() & 0o7777
    }

    #[tokio::test]
    async fn a_file_is_read_as_it_stands_and_stays_the_same_byte_for_byte() {
        let folder = tempfile::tempdir().expect("a folder");
        // Every character that means something in a URI, and others than Latin ones.
        for name in ["plain.session", "a b?c#d%41&e.session", "имя.session"] {
            let path = folder.path().join(name);
            write(&path, Some([7; 256])).await;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("chmod");
            let before = fs::read(&path).expect("reads");
            let listed = || fs::read_dir(folder.path()).expect("lists").count();
            let count = listed();

            let file = read(&path, &none()).await.expect("a session");

            assert_eq!(
                (file.dc, file.ipv4.to_string().as_str()),
                (2, ADDRESS),
                "{name}"
            );
            assert_eq!(file.auth_key, [7; 256]);
            assert_eq!(fs::read(&path).expect("reads"), before, "{name}");
            assert_eq!(listed(), count, "nothing stands beside {name}");
        }
    }

    #[tokio::test]
    async fn a_file_in_write_ahead_mode_is_left_alone_too() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.session");
        write(&path, Some([7; 256])).await;
        // The versions in the header say 'write-ahead log' (sqlite.org/fileformat2.html, offsets 18 and 19).
        let mut bytes = fs::read(&path).expect("reads");
        bytes[18..20].copy_from_slice(&[2, 2]);
        fs::write(&path, &bytes).expect("writes");
        assert_eq!(
            read(&path, &none()).await.expect("a session").auth_key,
            [7; 256]
        );
        assert_eq!(fs::read(&path).expect("reads"), bytes);
        assert_eq!(fs::read_dir(folder.path()).expect("lists").count(), 1);
    }

    #[tokio::test]
    async fn a_wide_mode_is_tightened() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.session");
        write(&path, Some([7; 256])).await;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("chmod");
        read(&path, &none()).await.expect("a session");
        assert_eq!(mode(&path), 0o600);
    }

    #[tokio::test]
    async fn a_tight_mode_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.session");
        write(&path, Some([7; 256])).await;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).expect("chmod");
        read(&path, &none()).await.expect("a session");
        assert_eq!(mode(&path), 0o400);
    }

    #[tokio::test]
    async fn what_is_no_session_says_so_and_is_never_made() {
        let folder = tempfile::tempdir().expect("a folder");
        let missing = folder.path().join("missing.session");
        let text = folder.path().join("text.session");
        fs::write(&text, "hello, this is no database at all").expect("writes");
        let empty = folder.path().join("empty.session");
        fs::write(&empty, "").expect("writes");
        let new = folder.path().join("new.session");
        write(&new, None).await;
        for (path, expected) in [
            (&missing, "there is none"),
            (&text, "an SQLite database is expected"),
            (&empty, "an SQLite database is expected"),
            (&new, "holds no key"),
            (&folder.path().to_path_buf(), "is not a file"),
        ] {
            match read(path, &none()).await {
                Err(CallError::Session(sentence)) => {
                    assert!(sentence.contains(expected), "{sentence}");
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(!missing.exists());
    }

    #[tokio::test]
    async fn what_another_program_has_not_written_back_yet_is_read_too() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.session");
        let aside = folder.path().join("aside.session");
        write(&path, Some([7; 256])).await;
        // A `-wal` with nothing valid in it stands for a program that died: SQLite looks at it and goes on.
        fs::write(beside(&path, "-wal"), [0u8; 64]).expect("writes");
        fs::copy(&path, &aside).expect("copies");
        let file = read(&path, &none()).await.expect("a session");
        assert_eq!(file.auth_key, [7; 256]);
        assert_eq!(
            fs::read(&path).expect("reads"),
            fs::read(&aside).expect("reads")
        );
        assert_eq!(fs::read(beside(&path, "-wal")).expect("reads"), [0u8; 64]);
    }
}

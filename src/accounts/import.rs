//! Sessions of Telethon: an SQLite file with the tables `version` and `sessions`
//! (`telethon/sessions/sqlite.py`, schema versions 1 to 8).

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use libsql::Value;

use crate::telegram::Vault;
use crate::telegram::login::{Holds, write_new};
use crate::telegram::private::PrivateCopy;

/// The newest schema that was looked at; a newer one may mean something else by the same columns.
const NEWEST: i64 = 8;
/// The largest file that is read: Telethon keeps everybody it met in it.
const MAX_FILE: u64 = 512 * 1024 * 1024;

/// Why a file cannot be imported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// It cannot be read at all.
    #[error("{0} cannot be read: {1}")]
    Unreadable(String, String),
    /// It is something else.
    #[error("{0} is no session of Telethon: {1}")]
    Foreign(String, String),
    /// There is an account of this name.
    #[error("{0} is there already: choose another --name, or remove that account first")]
    Taken(String),
    /// The new file cannot be written.
    #[error("{0} cannot be written: {1}")]
    Unwritable(String, String),
}

/// Makes a session file of a Telethon session, encrypted where the folder's are. No network; the original stays as it is.
/// The path of what was made.
///
/// # Errors
/// [`ImportError`]; nothing was made then.
pub async fn import(from: &Path, to: &Path, vault: &Vault) -> Result<PathBuf, ImportError> {
    if std::fs::symlink_metadata(to).is_ok() {
        return Err(ImportError::Taken(to.display().to_string()));
    }
    if vault.is_used() {
        vault
            .unlock()
            .map_err(|why| ImportError::Unwritable(to.display().to_string(), why.to_string()))?;
    }
    // The library below panics over text that is no UTF-8: in a task of its own that is an error.
    let path = from.to_owned();
    let holds = tokio::spawn(async move { read(&path).await })
        .await
        .map_err(|_| {
            let what = "its columns hold what cannot be read".to_owned();
            ImportError::Foreign(from.display().to_string(), what)
        })??;
    write_new(to, &holds, vault)
        .await
        .map_err(|why| ImportError::Unwritable(to.display().to_string(), why))
}

async fn read(path: &Path) -> Result<Holds, ImportError> {
    let shown = path.display().to_string();
    let unreadable = |why: String| ImportError::Unreadable(shown.clone(), why);
    let foreign = |why: &str| ImportError::Foreign(shown.clone(), why.to_owned());
    let about = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?;
    if !about.is_file() {
        return Err(unreadable("it is not a file".to_owned()));
    }
    if about.len() > MAX_FILE {
        return Err(unreadable(format!("it has {} bytes", about.len())));
    }
    // A copy: SQLite would write beside the original, which another program may have open.
    let copy = PrivateCopy::of(path).map_err(|error| unreadable(error.to_string()))?;
    let mut head = [0u8; 16];
    std::fs::File::open(&copy.file)
        .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut head))
        .map_err(|_| foreign("it is no SQLite database (a string session is no file)"))?;
    if &head != b"SQLite format 3\0" {
        return Err(foreign(
            "it is no SQLite database (a string session is no file)",
        ));
    }
    let sql = |error: libsql::Error| unreadable(error.to_string());
    let database = libsql::Builder::new_local(&copy.file)
        .build()
        .await
        .map_err(sql)?;
    let connection = database.connect().map_err(sql)?;
    let columns = columns_of(&connection, "sessions").await.map_err(sql)?;
    if columns.is_empty() {
        let grammers = columns_of(&connection, "dc_option").await.map_err(sql)?;
        return Err(foreign(match grammers.is_empty() {
            true => "it has no table `sessions`",
            false => "it is a session of grammers already; copy it to the sessions folder as it is",
        }));
    }
    let has = |name: &str| columns.iter().any(|column| column == name);
    if !has("server_address") {
        return Err(foreign(
            match has("user_id") || has("is_bot") || has("test_mode") {
                true => {
                    "it is one of Pyrogram, which does not say which server it is for; log in with `tidings account login`"
                }
                false => "its table `sessions` names no server",
            },
        ));
    }
    if !(has("dc_id") && has("port") && has("auth_key")) {
        return Err(foreign("its table `sessions` has other columns"));
    }
    let version = number(&connection, "SELECT version FROM version LIMIT 1")
        .await
        .map_err(|_| foreign("it has no table `version`"))?
        .ok_or_else(|| foreign("it does not say which version it is"))?;
    if !(1..=NEWEST).contains(&version) {
        return Err(foreign(&format!(
            "its schema is version {version}, and 1 to {NEWEST} are known here"
        )));
    }
    let mut rows = connection
        .query(
            "SELECT dc_id, server_address, port, auth_key FROM sessions",
            (),
        )
        .await
        .map_err(sql)?;
    while let Some(row) = rows.next().await.map_err(sql)? {
        // By hand: asked for another type than a column holds, the library below panics.
        let value = |column: i32| row.get_value(column).map_err(sql);
        let key = match value(3)? {
            Value::Blob(key) if !key.is_empty() => key,
            Value::Null | Value::Blob(_) => continue,
            Value::Text(text) if text.is_empty() => continue,
            _ => return Err(foreign("its key is no block of bytes")),
        };
        let key: [u8; 256] = key.try_into().map_err(|key: Vec<u8>| {
            foreign(&format!("its key has {} bytes, not 256", key.len()))
        })?;
        let (Value::Integer(dc), Value::Text(address), Value::Integer(port)) =
            (value(0)?, value(1)?, value(2)?)
        else {
            return Err(foreign("its table `sessions` holds other types"));
        };
        let strange = || foreign(&format!("it names the server {address}:{port}"));
        let ip: IpAddr = address
            .trim_matches(['[', ']'])
            .parse()
            .map_err(|_| strange())?;
        let port = u16::try_from(port)
            .ok()
            .filter(|port| *port > 0)
            .ok_or_else(strange)?;
        let dc = i32::try_from(dc)
            .ok()
            .filter(|dc| *dc > 0)
            .ok_or_else(|| foreign(&format!("it names data centre {dc}")))?;
        return Holds::of_address(dc, SocketAddr::new(ip, port), key).map_err(|why| foreign(&why));
    }
    Err(foreign("it holds no key: nobody is logged in with it"))
}

async fn columns_of(
    connection: &libsql::Connection,
    table: &str,
) -> Result<Vec<String>, libsql::Error> {
    let mut rows = connection
        .query("SELECT name FROM pragma_table_info(?1)", [table])
        .await?;
    let mut columns = Vec::new();
    while let Some(row) = rows.next().await? {
        if let Value::Text(name) = row.get_value(0)? {
            columns.push(name);
        }
    }
    Ok(columns)
}

async fn number(connection: &libsql::Connection, sql: &str) -> Result<Option<i64>, libsql::Error> {
    let mut rows = connection.query(sql, ()).await?;
    match rows.next().await? {
        Some(row) => Ok(match row.get_value(0)? {
            Value::Integer(number) => Some(number),
            _ => None,
        }),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn database(path: &Path, statements: &[&str]) {
        let database = libsql::Builder::new_local(path).build().await.unwrap();
        let connection = database.connect().unwrap();
        for statement in statements {
            connection.execute(statement, ()).await.unwrap();
        }
    }

    /// The tables of each schema version that differ for us: `takeout_id` came with 5, `tmp_auth_key` with 8.
    fn schema(version: i64) -> Vec<String> {
        let more = match version {
            8.. => ", takeout_id integer, tmp_auth_key blob",
            5.. => ", takeout_id integer",
            _ => "",
        };
        vec![
            "create table version (version integer primary key)".to_owned(),
            format!("insert into version values ({version})"),
            format!(
                "create table sessions (dc_id integer primary key, server_address text, port integer, auth_key blob{more})"
            ),
        ]
    }

    #[tokio::test]
    async fn every_schema_of_telethon_is_read() {
        let folder = tempfile::tempdir().unwrap();
        for version in 1..=NEWEST {
            let from = folder.path().join(format!("v{version}.session"));
            let mut statements = schema(version);
            statements.push(
                "insert into sessions (dc_id, server_address, port, auth_key) values \
                 (4, '149.154.167.91', 443, zeroblob(256))"
                    .to_owned(),
            );
            let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
            database(&from, &statements).await;
            let holds = read(&from).await.unwrap();
            assert_eq!(holds.dc, 4, "version {version}");
            assert_eq!(holds.ipv4.to_string(), "149.154.167.91:443");
            assert_eq!(holds.auth_key, Some([0; 256]));
        }
    }

    #[tokio::test]
    async fn what_is_no_session_of_telethon_is_said_in_words() {
        let folder = tempfile::tempdir().unwrap();
        let key = "insert into sessions (dc_id, server_address, port, auth_key) values (2, '1.2.3.4', 443, zeroblob(256))";
        let with = |version: i64, last: &str| {
            let mut all = schema(version);
            all.push(last.to_owned());
            all
        };
        let cases: Vec<(&str, Vec<String>, &str)> = vec![
            (
                "pyrogram",
                vec![
                    "create table sessions (dc_id integer primary key, api_id integer, test_mode integer, auth_key blob, date integer, user_id integer, is_bot integer)".to_owned(),
                ],
                "Pyrogram",
            ),
            (
                "grammers",
                vec!["create table dc_option (dc_id integer)".to_owned()],
                "grammers already",
            ),
            (
                "other",
                vec!["create table notes (text text)".to_owned()],
                "no table `sessions`",
            ),
            ("newer", with(NEWEST + 1, key), "is version 9"),
            ("empty", schema(7), "nobody is logged in"),
            (
                "logged-out",
                with(
                    7,
                    "insert into sessions (dc_id, server_address, port, auth_key) values (2, '1.2.3.4', 443, '')",
                ),
                "nobody is logged in",
            ),
            (
                "short",
                with(
                    7,
                    "insert into sessions (dc_id, server_address, port, auth_key) values (2, '1.2.3.4', 443, zeroblob(8))",
                ),
                "8 bytes",
            ),
            (
                "nowhere",
                with(
                    7,
                    "insert into sessions (dc_id, server_address, port, auth_key) values (2, 'example', 443, zeroblob(256))",
                ),
                "names the server example:443",
            ),
        ];
        for (name, statements, expected) in cases {
            let path = folder.path().join(name);
            let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
            database(&path, &statements).await;
            let Err(error) = read(&path).await else {
                panic!("{name} was read")
            };
            assert!(error.to_string().contains(expected), "{name}: {error}");
        }
        let text = folder.path().join("text");
        std::fs::write(&text, "1BVtsOHgBu7w7…").unwrap();
        let Err(error) = read(&text).await else {
            panic!("a text was read")
        };
        assert!(error.to_string().contains("no SQLite database"), "{error}");
        assert!(matches!(
            read(&folder.path().join("none")).await,
            Err(ImportError::Unreadable(..))
        ));
    }
}

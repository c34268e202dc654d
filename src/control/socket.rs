//! The control socket: one line of JSON asks, one line of JSON answers.
//!
//! # Guarantees
//! - Only the workspace's owner can connect: the socket is made 0600, in a folder that is 0700.
//! - Paths of any length work, though `sun_path` holds 108 bytes (unix(7)): on Linux through the folder's own file
//!   descriptor, elsewhere through a short symlink.
//! - A request of over 64 KiB, a client that says nothing, and a crowd of clients are turned away, never waited for.
//!
//! # Caveats
//! Whoever binds must hold the state's lock: a socket file that is there is then nobody's, and is replaced.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::model::{Command, Reply};

/// The longest request: commands are names and a sentence.
pub const MAX_REQUEST: u64 = 64 * 1024;
/// The longest answer: the report of thousands of campaigns.
pub const MAX_REPLY: u64 = 256 * 1024 * 1024;
/// Bytes of an answer read at once: of a thousand campaigns there are some MB.
const READ_AT_ONCE: usize = 256 << 10;
/// Clients at a time: a few terminals and scripts.
pub const MAX_CONNECTIONS: usize = 32;
/// How long a client may take to say what it wants.
const REQUEST_TIME: Duration = Duration::from_secs(5);
/// How long a client may take to read the answer.
const WRITE_TIME: Duration = Duration::from_secs(30);
/// How long the engine may take to answer; commands that wait (`reconcile`) ask again and again instead.
const ANSWER_TIME: Duration = Duration::from_secs(120);
/// The name of the socket in the state's folder.
pub const SOCKET: &str = "tidings.sock";

/// Why a command could not be handed over.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The socket could not be opened.
    #[error("the control socket {path} cannot be used: {source}", path = path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Nothing was answered.
    #[error("the daemon did not answer within {0:?}; `tidings status` shows its heartbeat")]
    Timeout(Duration),
    /// The daemon hung up.
    #[error("the daemon ended before it answered")]
    Closed,
    /// What came is no answer.
    #[error("the daemon's answer cannot be read ({0}); is it another version of Tidings?")]
    Answer(String),
    /// What is asked is too long.
    #[error("the request is longer than {MAX_REQUEST} bytes")]
    TooLong,
}

/// A way to a socket that fits into `sun_path`, and what must live as long as it is used.
struct Short {
    path: PathBuf,
    #[cfg(target_os = "linux")]
    _folder: std::fs::File,
    #[cfg(not(target_os = "linux"))]
    _link: Link,
}

#[cfg(target_os = "linux")]
fn shorten(path: &Path) -> io::Result<Short> {
    use std::os::fd::AsRawFd as _;
    let (folder, name) = split(path)?;
    let folder = std::fs::File::open(folder)?;
    // proc(5): opens what the descriptor is open on, however long its path is.
    let short = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name);
    Ok(Short {
        path: short,
        _folder: folder,
    })
}

#[cfg(not(target_os = "linux"))]
struct Link(PathBuf);

#[cfg(not(target_os = "linux"))]
impl Drop for Link {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(not(target_os = "linux"))]
fn shorten(path: &Path) -> io::Result<Short> {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let (folder, name) = split(path)?;
    let folder = std::fs::canonicalize(folder)?;
    let link = std::env::temp_dir().join(format!(
        "tidings-{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    ));
    let _ = std::fs::remove_file(&link);
    std::os::unix::fs::symlink(folder, &link)?;
    let link = Link(link);
    Ok(Short {
        path: link.0.join(name),
        _link: link,
    })
}

fn split(path: &Path) -> io::Result<(&Path, &std::ffi::OsStr)> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    Ok((folder, name))
}

/// Opens the socket for a daemon that holds the state's lock; a socket file left behind by a dead one is replaced.
///
/// # Errors
/// [`SocketError::Io`] where the folder is not there or not writable.
pub fn bind(path: &Path) -> Result<UnixListener, SocketError> {
    let fail = |source| SocketError::Io {
        path: path.to_owned(),
        source,
    };
    match std::fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(fail(error)),
    }
    let short = shorten(path).map_err(fail)?;
    let listener = UnixListener::bind(&short.path).map_err(fail)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(fail)?;
    Ok(listener)
}

/// Answers clients until the listener breaks or nobody takes commands any more; runs as one task.
pub async fn serve(
    listener: UnixListener,
    commands: mpsc::Sender<(Command, oneshot::Sender<Reply>)>,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = commands.closed() => return,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Too many open files, say: it passes.
                tracing::warn!(%error, "a client of the control socket could not be let in");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            // Dropping the stream is the answer: the client says that the daemon hung up.
            tracing::warn!(
                most = MAX_CONNECTIONS,
                "too many clients at the control socket"
            );
            continue;
        };
        let commands = commands.clone();
        tokio::spawn(async move {
            let _place = place;
            if let Err(error) = client(stream, &commands).await {
                tracing::debug!(%error, "a client of the control socket went away");
            }
        });
    }
}

/// One client: requests and answers in turn until it hangs up.
async fn client(
    stream: UnixStream,
    commands: &mpsc::Sender<(Command, oneshot::Sender<Reply>)>,
) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    loop {
        let mut line = Vec::new();
        let mut limited = (&mut read).take(MAX_REQUEST + 1);
        let got =
            match tokio::time::timeout(REQUEST_TIME, limited.read_until(b'\n', &mut line)).await {
                Ok(got) => got?,
                Err(_) => return Ok(()),
            };
        if got == 0 {
            return Ok(());
        }
        if line.len() as u64 > MAX_REQUEST {
            let refused = Reply::Refused {
                message: SocketError::TooLong.to_string(),
                usage: true,
            };
            return answer(&mut write, &refused).await;
        }
        let reply = match serde_json::from_slice::<Command>(&line) {
            Ok(command) => match ask(command, commands).await {
                Some(reply) => reply,
                None => return Ok(()),
            },
            Err(error) => Reply::Refused {
                message: format!("the request is no command: {error}"),
                usage: true,
            },
        };
        answer(&mut write, &reply).await?;
    }
}

/// The engine's answer. `None` where it is stopping and only something was to be read: the client reads it itself when
/// the state is free.
async fn ask(
    command: Command,
    commands: &mpsc::Sender<(Command, oneshot::Sender<Reply>)>,
) -> Option<Reply> {
    let refused = |message: &str| {
        Some(Reply::Refused {
            message: message.to_owned(),
            usage: false,
        })
    };
    let reads = !command.changes();
    let (tell, told) = oneshot::channel();
    match tokio::time::timeout(ANSWER_TIME, async {
        commands.send((command, tell)).await.ok()?;
        told.await.ok()
    })
    .await
    {
        Ok(Some(reply)) => Some(reply),
        Ok(None) if reads => None,
        Ok(None) => refused("the daemon is stopping; try again when it has stopped"),
        Err(_) => refused("the daemon is busy; try again"),
    }
}

/// What stands before a document and after it, as serde writes [`Reply::Document`].
const BEFORE: &[u8] = br#"{"reply":"document","body":"#;
const AFTER: &[u8] = b"}\n";

/// The document of an answer, as a text; another answer comes back as it is.
fn written(mut answer: Vec<u8>) -> Result<String, Vec<u8>> {
    if !answer.starts_with(BEFORE) || !answer.ends_with(AFTER) {
        return Err(answer);
    }
    answer.truncate(answer.len() - AFTER.len());
    answer.drain(..BEFORE.len());
    String::from_utf8(answer).map_err(std::string::FromUtf8Error::into_bytes)
}

async fn answer(write: &mut tokio::net::unix::OwnedWriteHalf, reply: &Reply) -> io::Result<()> {
    let line;
    let parts: &[&[u8]] = match reply {
        Reply::Written { json } => &[BEFORE, json.as_bytes(), AFTER],
        reply => {
            line = serde_json::to_vec(reply).map_err(io::Error::other)?;
            &[&line, b"\n"]
        }
    };
    let writing = async {
        for part in parts {
            write.write_all(part).await?;
        }
        Ok(())
    };
    tokio::time::timeout(WRITE_TIME, writing)
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

/// Asks the daemon behind the socket. `None`: nobody listens (no socket, or one that a dead daemon left behind). Documents
/// come as [`Reply::Written`].
///
/// # Errors
/// [`SocketError`]: the socket may not be used, or no answer came in time.
pub async fn request(
    path: &Path,
    command: &Command,
    timeout: Duration,
) -> Result<Option<Reply>, SocketError> {
    let fail = |source| SocketError::Io {
        path: path.to_owned(),
        source,
    };
    let nobody = |error: &io::Error| {
        matches!(
            error.kind(),
            io::ErrorKind::NotFound
                | io::ErrorKind::ConnectionRefused
                | io::ErrorKind::NotADirectory
        )
    };
    let mut line =
        serde_json::to_vec(command).map_err(|error| SocketError::Answer(error.to_string()))?;
    line.push(b'\n');
    if line.len() as u64 > MAX_REQUEST {
        return Err(SocketError::TooLong);
    }
    let short = match shorten(path) {
        Ok(short) => short,
        Err(error) if nobody(&error) => return Ok(None),
        Err(error) => return Err(fail(error)),
    };
    let stream = match tokio::time::timeout(timeout, UnixStream::connect(&short.path)).await {
        Err(_) => return Err(SocketError::Timeout(timeout)),
        Ok(Err(error)) if nobody(&error) => return Ok(None),
        Ok(Err(error)) => return Err(fail(error)),
        Ok(Ok(stream)) => stream,
    };
    let talk = async {
        let (read, mut write) = stream.into_split();
        // A daemon that is too busy hangs up at once: what it may have said before is worth reading.
        let _ = write.write_all(&line).await;
        let mut answer = Vec::new();
        BufReader::with_capacity(READ_AT_ONCE, read)
            .take(MAX_REPLY)
            .read_until(b'\n', &mut answer)
            .await
            .map_err(|error| {
                if error.kind() == io::ErrorKind::ConnectionReset {
                    SocketError::Closed
                } else {
                    fail(error)
                }
            })?;
        // Half an answer is none.
        if !answer.ends_with(b"\n") && (answer.len() as u64) < MAX_REPLY {
            return Err(SocketError::Closed);
        }
        let answer = match written(answer) {
            Ok(json) => return Ok(Some(Reply::Written { json })),
            Err(answer) => answer,
        };
        serde_json::from_slice(&answer)
            .map(Some)
            .map_err(|error| SocketError::Answer(error.to_string()))
    };
    tokio::time::timeout(timeout, talk)
        .await
        .map_err(|_| SocketError::Timeout(timeout))?
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    fn long_folder() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let mut folder = dir.path().to_owned();
        // Well over sun_path's 108 bytes.
        for _ in 0..6 {
            folder.push("a-folder-with-quite-a-long-name-in-it");
        }
        std::fs::create_dir_all(&folder).unwrap();
        (dir, folder)
    }

    /// Answers every `Status` with its own names.
    fn echo() -> mpsc::Sender<(Command, oneshot::Sender<Reply>)> {
        let (commands, mut asked) = mpsc::channel::<(Command, oneshot::Sender<Reply>)>(8);
        tokio::spawn(async move {
            while let Some((command, tell)) = asked.recv().await {
                let reply = match command {
                    Command::Status { names } => Reply::Done {
                        message: names.join(","),
                    },
                    _ => Reply::Refused {
                        message: "no".to_owned(),
                        usage: true,
                    },
                };
                let _ = tell.send(reply);
            }
        });
        commands
    }

    #[tokio::test]
    async fn a_document_comes_whole_whether_it_was_a_text_or_not() {
        let (_dir, folder) = long_folder();
        let path = folder.join(SOCKET);
        let body = serde_json::json!({"text": "a}\n{\"b", "list": [1, {"reply": "done"}]});
        let (commands, mut asked) = mpsc::channel::<(Command, oneshot::Sender<Reply>)>(1);
        let both = [
            Reply::Document { body: body.clone() },
            Reply::Written {
                json: body.to_string(),
            },
        ];
        let mut replies = both.into_iter();
        tokio::spawn(async move {
            while let Some((_, tell)) = asked.recv().await {
                let _ = tell.send(replies.next().unwrap());
            }
        });
        let server = tokio::spawn(serve(bind(&path).unwrap(), commands));
        for _ in 0..2 {
            let reply = request(&path, &status("x"), SOON).await.unwrap().unwrap();
            let json = body.to_string();
            assert_eq!(reply, Reply::Written { json });
            assert_eq!(
                reply.read().unwrap(),
                Reply::Document { body: body.clone() }
            );
        }
        server.abort();
    }

    fn status(name: &str) -> Command {
        Command::Status {
            names: vec![name.to_owned()],
        }
    }

    #[tokio::test]
    async fn a_command_is_answered_over_a_path_of_any_length() {
        let (_dir, folder) = long_folder();
        let path = folder.join(SOCKET);
        let server = tokio::spawn(serve(bind(&path).unwrap(), echo()));
        for name in ["spring", "весна\n\u{1f31e}"] {
            let reply = request(&path, &status(name), SOON).await.unwrap();
            assert_eq!(
                reply,
                Some(Reply::Done {
                    message: name.to_owned()
                })
            );
        }
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        server.abort();
    }

    #[tokio::test]
    async fn where_nobody_listens_there_is_no_answer() {
        let (_dir, folder) = long_folder();
        let path = folder.join(SOCKET);
        assert_eq!(request(&path, &Command::Ping, SOON).await.unwrap(), None);
        assert_eq!(
            request(&folder.join("gone").join(SOCKET), &Command::Ping, SOON)
                .await
                .unwrap(),
            None
        );
        // A dead daemon leaves its socket behind; the next one takes its place.
        drop(bind(&path).unwrap());
        assert!(path.exists());
        assert_eq!(request(&path, &Command::Ping, SOON).await.unwrap(), None);
        let server = tokio::spawn(serve(bind(&path).unwrap(), echo()));
        assert!(request(&path, &status("x"), SOON).await.unwrap().is_some());
        server.abort();
    }

    async fn raw(path: &Path, bytes: &[u8]) -> Reply {
        let stream = UnixStream::connect(&shorten(path).unwrap().path)
            .await
            .unwrap();
        let (read, mut write) = stream.into_split();
        let _ = write.write_all(bytes).await;
        let mut line = String::new();
        BufReader::new(read).read_line(&mut line).await.unwrap();
        serde_json::from_str(&line).unwrap()
    }

    #[tokio::test]
    async fn what_is_no_command_is_refused_in_words() {
        let (_dir, folder) = long_folder();
        let path = folder.join(SOCKET);
        let server = tokio::spawn(serve(bind(&path).unwrap(), echo()));
        for (what, bytes) in [
            ("no JSON", b"hello\n".to_vec()),
            (
                "an unknown command",
                b"{\"command\":\"explode\"}\n".to_vec(),
            ),
            ("bytes", vec![0xff, 0xfe, b'\n']),
            (
                "too long",
                vec![b'a'; usize::try_from(MAX_REQUEST).unwrap() + 2],
            ),
        ] {
            let reply = raw(&path, &bytes).await;
            assert!(
                matches!(reply, Reply::Refused { usage: true, .. }),
                "{what}: {reply:?}"
            );
        }
        let long = status(&"x".repeat(usize::try_from(MAX_REQUEST).unwrap()));
        assert!(matches!(
            request(&path, &long, SOON).await,
            Err(SocketError::TooLong)
        ));
        server.abort();
    }

    #[tokio::test]
    async fn a_crowd_is_turned_away_and_the_others_are_served() {
        let (_dir, folder) = long_folder();
        let path = folder.join(SOCKET);
        let server = tokio::spawn(serve(bind(&path).unwrap(), echo()));
        let short = shorten(&path).unwrap();
        let mut crowd = Vec::new();
        for _ in 0..MAX_CONNECTIONS {
            crowd.push(UnixStream::connect(&short.path).await.unwrap());
        }
        // All places must be taken before the next one comes.
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(matches!(
            request(&path, &status("x"), SOON).await,
            Err(SocketError::Closed | SocketError::Io { .. })
        ));
        crowd.clear();
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(request(&path, &status("x"), SOON).await.unwrap().is_some());
        server.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn an_engine_that_says_nothing_is_given_up() {
        let (_dir, folder) = long_folder();
        let path = folder.join(SOCKET);
        let (commands, _kept) = mpsc::channel(1);
        let server = tokio::spawn(serve(bind(&path).unwrap(), commands));
        let answer = request(&path, &status("x"), Duration::from_secs(3)).await;
        assert!(matches!(answer, Err(SocketError::Timeout(_))), "{answer:?}");
        server.abort();
    }

    #[tokio::test]
    async fn a_stopping_engine_refuses_changes_in_words_and_hangs_up_on_who_only_reads() {
        let suspend = Command::Suspend {
            name: None,
            reason: "x".to_owned(),
            by: "x".to_owned(),
        };
        for (command, refused) in [(suspend, true), (status("x"), false)] {
            let (_dir, folder) = long_folder();
            let path = folder.join(SOCKET);
            let (commands, mut asked) = mpsc::channel::<(Command, oneshot::Sender<Reply>)>(1);
            let server = tokio::spawn(serve(bind(&path).unwrap(), commands));
            let engine = tokio::spawn(async move { drop(asked.recv().await) });
            let reply = request(&path, &command, SOON).await;
            if refused {
                assert!(
                    matches!(reply, Ok(Some(Reply::Refused { usage: false, .. }))),
                    "{reply:?}"
                );
            } else {
                assert!(matches!(reply, Err(SocketError::Closed)), "{reply:?}");
            }
            engine.await.unwrap();
            server.await.unwrap();
        }
    }

    #[tokio::test]
    async fn half_an_answer_of_a_daemon_that_was_killed_is_none() {
        let (_dir, folder) = long_folder();
        let path = folder.join(SOCKET);
        let listener = bind(&path).unwrap();
        let dies = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"{\"reply\":\"do").await.unwrap();
        });
        let answer = request(&path, &status("x"), SOON).await;
        assert!(matches!(answer, Err(SocketError::Closed)), "{answer:?}");
        dies.await.unwrap();
    }
}

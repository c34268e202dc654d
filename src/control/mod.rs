//! The loop that joins the rooms.
//!
//! ```text
//! files ─▶ desired ─┐
//!                   ├─▶ plan ─▶ actions ─▶ execute ─▶ reports ─▶ events ─▶ observed ─┐
//!         observed ─┘◀──────────────────────────────────────────────────────────────┘
//! ```
//!
//! It owns the clock, writes every event before anybody acts on it, and takes commands from the terminal and the
//! page: nobody else acts. Decisions are the planner's.

mod accounts;
pub mod against;
mod answer;
mod audience;
mod clock;
mod commits;
mod contact;
mod core;
mod engine;
mod journal;
mod lookups;
mod marks;
mod operator;
#[doc(hidden)]
pub mod outcome;
mod people_store;
mod pulse;
mod readiness;
mod refresh;
mod replies;
mod requests;
mod retry;
mod settings;
pub mod socket;
mod systemd;
mod versions;
mod workspace;

use std::time::Duration;

pub use accounts::{AccountConfigError, account_config};
pub use clock::Clock;
pub use core::{Core, CoreError};
#[doc(hidden)]
pub use core::{changes, history};
pub use engine::{ExitKind, RunError, RunOptions, run, run_with};
#[doc(hidden)]
pub use operator::restoring;
pub use operator::{Listed, ListedProblem, Place, places_of, read_list};
pub use workspace::{Workspace, WorkspaceError, WorkspaceOptions};

use crate::model::{Command, Reply};
use crate::store::StoreError;
use socket::SocketError;

/// How long a command waits for another one to let the state go (CONTRACT section 4).
const STATE_WAIT: Duration = Duration::from_secs(10);
/// How long it waits for the state before it looks whether a daemon answers by now.
const STATE_WAIT_AT_ONCE: Duration = Duration::from_millis(200);
/// How long the daemon may take to answer. Plans of a million people take a second.
const ANSWER_WAIT: Duration = Duration::from_secs(30);

/// Why a command could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The state cannot be opened.
    #[error(transparent)]
    Core(#[from] CoreError),
    /// The daemon does not answer.
    #[error("the daemon does not answer: {0}")]
    Daemon(String),
    /// The daemon ended while it was asked to change something.
    #[error(
        "the daemon ended before it answered, so that it is not known whether this was done; `tidings audit` and \
         `tidings status` tell, before you try again"
    )]
    Unanswered,
}

/// Runs a question to its end.
fn wait_for<T>(question: impl Future<Output = Result<T, RequestError>>) -> Result<T, RequestError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| RequestError::Daemon(error.to_string()))?
        .block_on(question)
}

fn unanswered(error: SocketError) -> RequestError {
    RequestError::Daemon(error.to_string())
}

/// Whether a daemon answers for this workspace.
///
/// # Errors
/// Where one is there and does not answer.
pub fn is_running(workspace: &Workspace) -> Result<bool, RequestError> {
    let path = workspace.socket_path();
    wait_for(async {
        match socket::request(&path, &Command::Ping, ANSWER_WAIT).await {
            Ok(answer) => Ok(answer.is_some()),
            Err(SocketError::Closed) => Ok(false),
            Err(error) => Err(unanswered(error)),
        }
    })
}

/// Asks the daemon where one runs, else opens the state itself. A daemon that ends in this moment is as none, where
/// asking again changes nothing.
///
/// # Errors
/// [`RequestError`]; a refusal is a [`Reply`].
pub fn request(workspace: &Workspace, command: Command) -> Result<Reply, RequestError> {
    let reply = request_written(workspace, command)?;
    reply
        .read()
        .map_err(|error| unanswered(SocketError::Answer(error.to_string())))
}

/// As [`request`]; large documents stay the text that they came as ([`Reply::Written`]).
///
/// # Errors
/// As [`request`].
pub fn request_written(workspace: &Workspace, command: Command) -> Result<Reply, RequestError> {
    wait_for(async {
        let since = std::time::Instant::now();
        loop {
            match socket::request(&workspace.socket_path(), &command, ANSWER_WAIT).await {
                Ok(Some(reply)) => return Ok(reply),
                Ok(None) => {}
                Err(SocketError::Closed) if command.changes() => {
                    return Err(RequestError::Unanswered);
                }
                Err(SocketError::Closed) => {}
                Err(error) => return Err(unanswered(error)),
            }
            match answer::offline(workspace, command.clone()).await {
                // Another command has it, or a daemon that is just starting, and will answer in a moment, or just
                // ending.
                Err(RequestError::Core(CoreError::Store(StoreError::Locked { .. })))
                    if since.elapsed() < STATE_WAIT => {}
                ended => return ended,
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    /// A workspace whose daemon is killed whenever it was asked something.
    fn dying() -> (tempfile::TempDir, Workspace) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("campaigns")).unwrap();
        std::fs::create_dir_all(dir.path().join("state")).unwrap();
        let workspace = Workspace::find(&WorkspaceOptions {
            directory: Some(dir.path().to_owned()),
            ..WorkspaceOptions::default()
        })
        .unwrap();
        let listener = UnixListener::bind(workspace.socket_path()).unwrap();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                drop(client);
            }
        });
        (dir, workspace)
    }

    #[test]
    fn who_only_reads_reads_the_state_where_the_daemon_ends_before_it_answers() {
        let (_dir, workspace) = dying();
        let answer = request(&workspace, Command::Status { names: Vec::new() }).unwrap();
        let Reply::Document { body } = answer else {
            panic!("{answer:?}");
        };
        assert_eq!(body["daemon"]["running"], false);
        assert!(!is_running(&workspace).unwrap());
    }

    #[test]
    fn of_a_change_that_was_not_answered_nobody_says_that_it_was_done_or_not() {
        let (_dir, workspace) = dying();
        let suspend = Command::Suspend {
            name: None,
            reason: "x".to_owned(),
            by: "x".to_owned(),
        };
        let answer = request(&workspace, suspend);
        assert!(
            matches!(answer, Err(RequestError::Unanswered)),
            "{answer:?}"
        );
    }
}

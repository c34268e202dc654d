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
mod lookups;
mod operator;
mod outcome;
mod people_store;
mod pulse;
mod readiness;
mod replies;
mod requests;
mod retry;
pub mod socket;
mod systemd;
mod workspace;

use std::time::Duration;

pub use accounts::{AccountConfigError, account_config};
pub use clock::Clock;
pub use core::{Core, CoreError};
pub use engine::{ExitKind, RunError, RunOptions, run, run_with};
pub use operator::{Listed, ListedProblem, Place, places_of, read_list};
pub use workspace::{Workspace, WorkspaceError, WorkspaceOptions};

use crate::model::{Command, Reply};
use crate::store::StoreError;

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
}

/// Whether a daemon answers for this workspace.
///
/// # Errors
/// Where one is there and does not answer.
pub fn is_running(workspace: &Workspace) -> Result<bool, RequestError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| RequestError::Daemon(error.to_string()))?;
    runtime
        .block_on(socket::request(
            &workspace.socket_path(),
            &Command::Ping,
            ANSWER_WAIT,
        ))
        .map(|answer| answer.is_some())
        .map_err(|error| RequestError::Daemon(error.to_string()))
}

/// Asks the daemon where one runs, else opens the state itself.
///
/// # Errors
/// [`RequestError`]; a refusal is a [`Reply`].
pub fn request(workspace: &Workspace, command: Command) -> Result<Reply, RequestError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| RequestError::Daemon(error.to_string()))?;
    runtime.block_on(async {
        let since = std::time::Instant::now();
        loop {
            let answer = socket::request(&workspace.socket_path(), &command, ANSWER_WAIT)
                .await
                .map_err(|error| RequestError::Daemon(error.to_string()))?;
            if let Some(reply) = answer {
                return Ok(reply);
            }
            match answer::offline(workspace, command.clone()).await {
                // Another command has it, or a daemon that is just starting and will answer in a moment.
                Err(RequestError::Core(CoreError::Store(StoreError::Locked { .. })))
                    if since.elapsed() < STATE_WAIT => {}
                ended => return ended,
            }
        }
    })
}

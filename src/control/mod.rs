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

mod answer;
mod clock;
mod core;
mod engine;
mod lookups;
mod outcome;
mod people_store;
pub mod socket;
mod workspace;

use std::time::Duration;

pub use clock::Clock;
pub use core::{Core, CoreError};
pub use engine::{ExitKind, RunError, RunOptions, run, run_with};
pub use workspace::{Workspace, WorkspaceError, WorkspaceOptions};

use crate::model::{Command, Reply};

/// How long a command waits for another one to let the state go (CONTRACT section 4).
const STATE_WAIT: Duration = Duration::from_secs(10);
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
        let answer = socket::request(&workspace.socket_path(), &command, ANSWER_WAIT)
            .await
            .map_err(|error| RequestError::Daemon(error.to_string()))?;
        match answer {
            Some(reply) => Ok(reply),
            None => answer::offline(workspace, command).await,
        }
    })
}

//! What an operator asks for about people, results and the state as a whole; the same with a daemon and without.

mod audit;
mod backup;
mod beside;
mod charges;
mod explain;
mod forget;
mod list;
mod optout;
mod places;
mod report;
mod resolve;
pub(super) mod suppressed;
mod tests_state;
mod united;

use std::sync::Arc;

use crate::model::{OperatorCommand, Reply};
use crate::store::Appended;

pub(super) use audit::spec_facts;
pub(super) use beside::{Beside, beside};
pub use list::{Listed, ListedProblem, read_list};
pub use places::{Place, places_of};
#[doc(hidden)]
pub use united::restoring;

use super::{Clock, Core, CoreError, Workspace};
use crate::control::core::Open;
use crate::model::Recorded;
use crate::store::{Access, Options, Store, StoreError};

/// What came of a command.
pub(super) struct Acted {
    /// The answer.
    pub(super) reply: Reply,
    /// What was written down because of it; by a daemon, which then waits until it is durable.
    pub(super) appended: Option<Appended>,
}

impl Acted {
    /// Only an answer.
    fn said(reply: Reply) -> Acted {
        Acted {
            reply,
            appended: None,
        }
    }
}

/// Answers a command and writes down what changes by it.
pub(super) fn act(core: &mut Core, command: OperatorCommand) -> Result<Acted, CoreError> {
    match command {
        OperatorCommand::OptOutList => optout::list(core).map(Acted::said),
        OperatorCommand::OptOutAdd { people, why, by } => optout::add(core, &people, why, by),
        OperatorCommand::OptOutRemove { person, why, by } => optout::remove(core, &person, why, by),
        OperatorCommand::Forget { person, by } => forget::forget(core, &person, by),
        // Without a daemon nobody else waits meanwhile.
        command @ (OperatorCommand::Explain { .. }
        | OperatorCommand::Audit { .. }
        | OperatorCommand::Report { .. }) => Ok(Acted::said(
            beside(core, &command)?
                .and_then(|question| question.answer(Arc::default()))
                .unwrap_or_else(|| super::answer::refused("this is not answered here")),
        )),
        OperatorCommand::Resolve {
            name,
            person,
            verdict,
            by,
        } => resolve::resolve(core, &name, &person, verdict, by),
        // The daemon's loop answers it: it needs the accounts.
        OperatorCommand::SendTest { .. } => {
            Ok(Acted::said(super::answer::refused("no daemon is running")))
        }
        OperatorCommand::TestState { number, after } => {
            tests_state::state(core, number, after).map(Acted::said)
        }
        OperatorCommand::Backup {
            file,
            with_sessions,
            by,
        } => backup::backup(core, &file, with_sessions, by),
        OperatorCommand::Restore {
            file,
            with_sessions,
            by,
        } => {
            let present = backup::Present {
                id: core.state_id(),
                observed: &core.observed,
                older: core.is_older().then(|| core.unknown_since()),
                trouble: None,
            };
            let now = core.clock.now();
            let reply = backup::restore(&core.workspace, now, &present, &file, with_sessions, &by)?;
            if matches!(reply, Reply::Document { .. }) {
                core.end_marks();
            }
            Ok(Acted::said(reply))
        }
    }
}

/// `tidings restore` without a daemon. A state that cannot be read any more is no obstacle: that is what backups are for.
pub(super) fn restore_offline(
    workspace: &Workspace,
    file: &std::path::Path,
    with_sessions: bool,
    by: &str,
) -> Result<Reply, CoreError> {
    let opened = Core::open(
        workspace.clone(),
        Clock::default(),
        Open::ReadRest,
        super::STATE_WAIT_AT_ONCE,
    );
    let now = Clock::default().now();
    let reply = match opened {
        Ok(core) => {
            let present = backup::Present {
                id: core.state_id(),
                observed: &core.observed,
                older: core.is_older().then(|| core.unknown_since()),
                trouble: None,
            };
            backup::restore(workspace, now, &present, file, with_sessions, by)?
        }
        Err(CoreError::Store(error @ StoreError::Locked { .. })) => return Err(error.into()),
        Err(error) => {
            let (id, rest, saved) = backup::rest_of(workspace);
            let present = backup::Present {
                id: id.or_else(|| id_on_disk(workspace)),
                observed: &rest,
                older: None,
                trouble: Some(backup::Trouble {
                    why: error.to_string(),
                    saved,
                }),
            };
            backup::restore(workspace, now, &present, file, with_sessions, by)?
        }
    };
    if matches!(reply, Reply::Document { .. }) {
        // Takes it now, so that what is wrong with it is said now.
        let access = Access::Write {
            new_id: rand::random(),
            now_ms: now.millis(),
        };
        Store::<Recorded>::open(
            &workspace.state_dir,
            Options::new(access, super::STATE_WAIT),
        )?;
    }
    Ok(reply)
}

/// The id of a state that cannot be opened.
fn id_on_disk(workspace: &Workspace) -> Option<String> {
    let text = std::fs::read_to_string(workspace.state_dir.join("state.json")).ok()?;
    let value: serde_json::Value = serde_json::from_str(&text).ok()?;
    Some(value.get("id")?.as_str()?.to_owned())
}

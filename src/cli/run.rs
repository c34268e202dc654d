//! `tidings run`

use std::time::Duration;

use clap::Args;

use super::{DONE, Ended, Failure, Global, NEEDS_PERSON, output};
use crate::control::{self, ExitKind, RunError, RunOptions};
use crate::model::Command;
use crate::status::{StatusReport, needs_person_list};

/// `tidings run`
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Do all that is due, wait out the delays between messages, and end when nothing more can fall due soon
    #[arg(long)]
    pub once: bool,
    /// With --once: what falls due later than this is left for the next time
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration, requires = "once")]
    pub horizon: Duration,
}

/// A duration as specs write it: `45s`, `20m`, `2h30m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    text.parse::<crate::spec::Duration>()
        .map(|duration| Duration::from_millis(duration.millis()))
        .map_err(|error| error.to_string())
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Failure {
        match error {
            RunError::Core(error) => error.into(),
            other => Failure::new(other.to_string()),
        }
    }
}

pub(super) fn run(global: &Global, args: &RunArgs) -> Ended {
    let workspace = global.workspace()?;
    let options = RunOptions {
        once: args.once,
        horizon: Some(args.horizon),
        ..RunOptions::default()
    };
    if workspace.has_sealed_sessions() {
        // Asked for before there is anything else to see; the account's own sentence says what is wrong.
        let _ = workspace.vault.unlock();
    }
    match control::run(workspace.clone(), options)? {
        ExitKind::Done => Ok(DONE),
        ExitKind::NeedsPerson => {
            // What it is stands in the state; that it cannot be read again changes nothing of the outcome.
            let body = super::document(&workspace, Command::Status { names: Vec::new() });
            let report = body.and_then(super::read_back::<StatusReport>);
            for (who, why) in report
                .map(|report| needs_person_list(&report))
                .unwrap_or_default()
            {
                output::complain(&format!("tidings: {who}: {why}"));
            }
            Ok(NEEDS_PERSON)
        }
    }
}

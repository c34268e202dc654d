//! `tidings reconcile`

use std::time::Duration;

use clap::Args;

use super::{DONE, Ended, Failure, Global, output};
use crate::control::Workspace;
use crate::model::{Command, Reply};

/// How often the daemon is asked whether it is done.
const EVERY: Duration = Duration::from_millis(250);

/// `tidings reconcile`
#[derive(Debug, Args)]
pub struct ReconcileArgs {
    /// The campaign
    #[arg(value_name = "NAME")]
    pub name: String,
}

pub(super) fn run(global: &Global, args: &ReconcileArgs) -> Ended {
    let workspace = global.workspace()?;
    look_up(&workspace, &args.name)?;
    let body = super::document(
        &workspace,
        Command::Status {
            names: vec![args.name.clone()],
        },
    )?;
    let report: crate::status::StatusReport = super::read_back(body)?;
    for campaign in &report.campaigns {
        for source in campaign
            .audience
            .sources
            .iter()
            .chain(&campaign.audience.filter_sources)
        {
            let result = match (&source.error, source.complete) {
                (Some(error), _) => format!("failed: {error}"),
                (None, true) => "complete".to_owned(),
                (None, false) if source.at.is_none() => "not looked up".to_owned(),
                (None, false) => source
                    .partial
                    .clone()
                    .unwrap_or_else(|| "cut off".to_owned()),
            };
            output::line(&crate::status::plain(&format!(
                "{}: {} found, {result}",
                source.label, source.found
            )))?;
        }
        output::line(&format!(
            "{}: {} found, {} in the audience",
            campaign.name, campaign.audience.found, campaign.audience.included
        ))?;
    }
    let failed = report.campaigns.iter().any(|campaign| {
        let sources = &campaign.audience.sources;
        !sources.is_empty()
            && sources
                .iter()
                .all(|source| source.error.is_some() || source.at.is_none())
    });
    if failed {
        Err(Failure::new(
            "no source could be looked up; `tidings status` says why",
        ))
    } else {
        Ok(DONE)
    }
}

/// Looks a campaign's sources up and waits: through the daemon, or where none runs by itself.
pub(super) fn look_up(workspace: &Workspace, name: &str) -> Result<(), Failure> {
    match crate::control::request(
        workspace,
        Command::Reconcile {
            name: name.to_owned(),
        },
    )? {
        Reply::Refused { message, usage } => return Err(super::refused(message, usage)),
        Reply::Done { .. } | Reply::Document { .. } | Reply::Written { .. } => {}
    }
    let mut held = false;
    loop {
        let body = super::document(
            workspace,
            Command::ReconcileState {
                name: name.to_owned(),
            },
        )?;
        if body.get("under_way").and_then(serde_json::Value::as_bool) != Some(true) {
            return Ok(());
        }
        // Without a daemon nothing is under way any more: what is missing failed.
        let report: crate::status::StatusReport = super::read_back(super::document(
            workspace,
            Command::Status {
                names: vec![name.to_owned()],
            },
        )?)?;
        if !report.daemon.running {
            return Ok(());
        }
        let waits_for_a_person = report.campaigns.iter().any(|campaign| {
            let ready = campaign.condition(crate::model::ConditionType::Ready);
            ready.is_some_and(|ready| {
                ready.status == crate::status::Truth::False
                    && !matches!(
                        ready.reason.as_str(),
                        "AwaitingApproval" | "Canary" | "ConsentMismatch"
                    )
            }) && campaign
                .audience
                .sources
                .iter()
                .all(|source| source.running_since.is_none())
        });
        // What was asked for begins within a moment, a source that failed last among it.
        if waits_for_a_person && std::mem::replace(&mut held, true) {
            let ready = report
                .campaigns
                .first()
                .and_then(|c| c.condition(crate::model::ConditionType::Ready));
            let why = ready
                .map(|ready| format!("{}: {}", ready.reason, ready.message))
                .unwrap_or_default();
            return Err(Failure::new(format!(
                "`{name}` is not looked up: {}",
                crate::status::plain(&why)
            )));
        }
        std::thread::sleep(EVERY);
    }
}

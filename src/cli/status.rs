//! `tidings status`

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{DONE, Ended, Failure, Global, NEEDS_PERSON, output};
use crate::control::Workspace;
use crate::model::Command;
use crate::status::{self, StatusReport};

/// The pause between two looks of `--watch`.
const EVERY: Duration = Duration::from_secs(1);
/// Events among which a campaign's recent errors are looked for.
const EVENTS: usize = 1000;

/// `tidings status`
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// These campaigns, each with its whole story; all as a table without a name
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// The form
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    pub output: Form,
    /// Show it live until q or Ctrl-C; where there is no terminal, print it again every second
    #[arg(long)]
    pub watch: bool,
    /// Exit code 4 where something is invalid, stalled, or waits for an approval, a login, or somebody to look at a
    /// tripped guardrail; people who wait for an answer are not counted (`tidings replies list`)
    #[arg(long, conflicts_with = "watch")]
    pub check: bool,
}

/// The form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// For people
    Table,
    /// For people with a wide screen
    Wide,
    /// For programs: the promised JSON
    Json,
    /// The same as YAML
    Yaml,
}

pub(super) fn run(global: &Global, args: &StatusArgs) -> Ended {
    let workspace = global.workspace()?;
    if args.watch && matches!(args.output, Form::Table | Form::Wide) && output::is_screen() {
        return super::watch::run(&workspace, &args.names);
    }
    loop {
        let json = super::written(
            &workspace,
            Command::Status {
                names: args.names.clone(),
            },
        )?;
        let report: Option<StatusReport> = match (args.output, args.check) {
            (Form::Json | Form::Yaml, false) => None,
            _ => Some(super::read_text(&json)?),
        };
        match (&report, args.output) {
            (_, Form::Json) if args.watch => output::line(&output::harmless(&json))?,
            (_, Form::Json) => output::written(&json)?,
            (_, Form::Yaml) => {
                if args.watch {
                    output::line("---")?;
                }
                output::yaml(&super::read_text::<serde_json::Value>(&json)?)?;
            }
            (Some(report), form) => {
                let look = output::look(form == Form::Wide);
                let text = if args.names.is_empty() || form == Form::Wide {
                    status::table(report, &look)
                } else {
                    status::detail(report, &recent(&workspace, &args.names)?, &look)
                };
                output::text(&text)?;
            }
            (None, _) => {}
        }
        if !args.watch {
            let needed = args.check && report.as_ref().is_some_and(status::needs_person);
            // The process ends, and taking a long report apart first is felt.
            std::mem::forget(report);
            return Ok(if needed { NEEDS_PERSON } else { DONE });
        }
        if matches!(args.output, Form::Table | Form::Wide) {
            // One report ends where the next begins.
            output::line("")?;
        }
        std::thread::sleep(EVERY);
    }
}

/// Recent events of each campaign.
fn recent(workspace: &Workspace, names: &[String]) -> Result<Vec<status::EventLine>, Failure> {
    let mut events = Vec::new();
    for name in names {
        events.extend(super::events::fetch(workspace, Some(name), 0, EVENTS)?.0);
    }
    Ok(events)
}

//! `tidings plan`

use clap::{Args, ValueEnum};

use super::{CHANGES, DONE, Ended, Failure, Global, output, reconcile};
use crate::control::{self, against::AgainstError};
use crate::model::Command;
use crate::status::{self, PlanDocument};

/// `tidings plan`
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// These campaigns; all without a name
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Look sources up first (the only part that connects)
    #[arg(long, conflicts_with = "against")]
    pub refresh: bool,
    /// Exit code 2 where something would happen
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// Compare the files as they are with those of a git commit, without a state
    #[arg(long, value_name = "GITREF")]
    pub against: Option<String>,
    /// The form
    #[arg(
        short,
        long,
        visible_alias = "format",
        value_name = "FORM",
        default_value = "text"
    )]
    pub output: Form,
}

/// The form of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// For people
    #[value(alias = "table")]
    Text,
    /// For programs
    Json,
    /// The same as YAML
    Yaml,
    /// For the comment under a pull request; with --against only
    #[value(alias = "md")]
    Markdown,
}

pub(super) fn run(global: &Global, args: &PlanArgs) -> Ended {
    if let Some(version) = &args.against {
        return against(global, args, version);
    }
    if args.output == Form::Markdown {
        return Err(Failure::usage(
            "`--format markdown` is for `plan --against GITREF`.",
        ));
    }
    let workspace = global.workspace()?;
    let ask = |refresh| -> Result<PlanDocument, Failure> {
        let names = args.names.clone();
        let asked = super::document(&workspace, Command::Plan { names, refresh })?;
        super::read_back(asked)
    };
    // Without a daemon the sources are asked and the answer made at one go.
    if args.refresh && control::is_running(&workspace)? {
        let plan = ask(false)?;
        for campaign in plan
            .campaigns
            .iter()
            .filter(|campaign| campaign.errors.is_empty())
        {
            // A campaign that is held is not looked up: the plan is then from its last look-ups.
            if let Err(failure) = reconcile::look_up(&workspace, &campaign.name) {
                output::complain(&format!("tidings: {}", failure.message));
            }
        }
    }
    let plan = ask(args.refresh)?;
    match args.output {
        Form::Text | Form::Markdown => {
            output::text(&status::plan_text(&plan, &output::look(false)))?;
        }
        Form::Json => output::json(&plan)?,
        Form::Yaml => output::yaml(&plan)?,
    }
    Ok(if args.detailed_exitcode && plan.changes {
        CHANGES
    } else {
        DONE
    })
}

/// `plan --against GITREF`
fn against(global: &Global, args: &PlanArgs, version: &str) -> Ended {
    let workspace = global.workspace()?;
    let document = control::against::against(&workspace, &global.options(), version, &args.names)
        .map_err(|error| match error {
        AgainstError::NoCommit(_) | AgainstError::Unknown { .. } => {
            Failure::usage(error.to_string())
        }
        other => Failure::new(other.to_string()),
    })?;
    match args.output {
        Form::Text => output::prose(&status::against::text(&document, &output::look(false)))?,
        Form::Markdown => output::text(&status::against::markdown(&document))?,
        Form::Json => output::json(&document)?,
        Form::Yaml => output::yaml(&document)?,
    }
    Ok(if args.detailed_exitcode && document.changes {
        CHANGES
    } else {
        DONE
    })
}

//! `tidings plan`

use clap::{Args, ValueEnum};

use super::{CHANGES, DONE, Ended, Failure, Global, output, reconcile};
use crate::model::Command;
use crate::status::{self, PlanDocument};

/// `tidings plan`
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// These campaigns; all without a name
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Look sources up first (the only part that connects)
    #[arg(long)]
    pub refresh: bool,
    /// Exit code 2 where something would happen
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// Compare with the specs of a git version (not active in this version yet)
    #[arg(long, value_name = "GITREF")]
    pub against: Option<String>,
    /// The form
    #[arg(short, long, value_name = "FORM", default_value = "text")]
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
}

pub(super) fn run(global: &Global, args: &PlanArgs) -> Ended {
    if args.against.is_some() {
        return Err(Failure::new(
            "`plan --against` is not active in this version yet; without it `plan` compares with the state.",
        ));
    }
    let workspace = global.workspace()?;
    let ask = || {
        super::document(
            &workspace,
            Command::Plan {
                names: args.names.clone(),
                refresh: args.refresh,
            },
        )
    };
    if args.refresh {
        let plan: PlanDocument = super::read_back(ask()?)?;
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
    let body = ask()?;
    let plan: PlanDocument = super::read_back(body.clone())?;
    match args.output {
        Form::Text => output::text(&status::plan_text(&plan, &output::look(false)))?,
        Form::Json => output::json(&body)?,
        Form::Yaml => output::yaml(&body)?,
    }
    Ok(if args.detailed_exitcode && plan.changes {
        CHANGES
    } else {
        DONE
    })
}

//! `tidings retry`

use clap::Args;

use super::{Ended, Failure, Global};
use crate::model::{Command, Outcome};

/// `tidings retry`
#[derive(Debug, Args)]
pub struct RetryArgs {
    /// The campaign
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Who gets a second chance, by how they ended: failed, template_error, too_long, not_found, unreachable or
    /// account_lost; several are possible
    #[arg(long, value_name = "OUTCOME", required = true, value_delimiter = ',')]
    pub outcome: Vec<String>,
}

pub(super) fn run(global: &Global, args: &RetryArgs) -> Ended {
    let outcomes = args
        .outcome
        .iter()
        .map(|name| outcome(name))
        .collect::<Result<Vec<Outcome>, Failure>>()?;
    let workspace = global.workspace()?;
    super::order(
        &workspace,
        Command::Retry {
            name: args.name.clone(),
            outcomes,
            by: super::operator(),
        },
    )
}

fn outcome(name: &str) -> Result<Outcome, Failure> {
    Outcome::ALL
        .iter()
        .copied()
        .find(|outcome| outcome.name() == name)
        .ok_or_else(|| {
            let names: Vec<&str> = Outcome::ALL
                .iter()
                .copied()
                .filter(|outcome| outcome.may_retry().is_ok())
                .map(Outcome::name)
                .collect();
            Failure::usage(format!(
                "`{name}` is no outcome; expected {}",
                names.join(", ")
            ))
        })
}

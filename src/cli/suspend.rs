//! `tidings suspend` and `tidings resume`

use clap::Args;

use super::args::reason;
use super::{Ended, Global};
use crate::model::Command;

/// Which campaigns.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Which {
    /// The campaign
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// All campaigns
    #[arg(long)]
    pub all: bool,
}

/// `tidings suspend`
#[derive(Debug, Args)]
pub struct SuspendArgs {
    /// Which campaigns
    #[command(flatten)]
    pub which: Which,
    /// Why; `tidings status` shows it
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
}

/// `tidings resume`
#[derive(Debug, Args)]
pub struct ResumeArgs {
    /// Which campaigns
    #[command(flatten)]
    pub which: Which,
    /// Why; `tidings events` shows it
    #[arg(long, value_name = "TEXT", default_value = "resumed by hand")]
    pub reason: String,
}

pub(super) fn suspend(global: &Global, args: &SuspendArgs) -> Ended {
    let reason = reason(&args.reason)?;
    let workspace = global.workspace()?;
    super::order(
        &workspace,
        Command::Suspend {
            name: args.which.name.clone(),
            reason,
            by: super::operator(),
        },
    )
}

pub(super) fn resume(global: &Global, args: &ResumeArgs) -> Ended {
    let reason = reason(&args.reason)?;
    let workspace = global.workspace()?;
    super::order(
        &workspace,
        Command::Resume {
            name: args.which.name.clone(),
            reason,
            by: super::operator(),
        },
    )
}

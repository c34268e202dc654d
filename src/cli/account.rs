//! `tidings account`

use clap::{Args, Subcommand, ValueEnum};

use super::{DONE, Ended, Global, inactive, output};
use crate::model::Command;
use crate::status::{AccountsDocument, accounts_table};

/// `tidings account`
#[derive(Debug, Subcommand)]
pub enum AccountVerb {
    /// Show the accounts, what each can do now, and what it needs
    List(ListArgs),
    /// Not active in this version yet
    #[command(hide = true)]
    Login(inactive::Anything),
    /// Not active in this version yet
    #[command(hide = true)]
    Import(inactive::Anything),
    /// Not active in this version yet
    #[command(hide = true)]
    Check(inactive::Anything),
    /// Not active in this version yet
    #[command(hide = true)]
    Remove(inactive::Anything),
}

/// `tidings account list`
#[derive(Debug, Args)]
pub struct ListArgs {
    /// The form
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    pub output: Form,
}

/// The form of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// For people
    Table,
    /// For programs
    Json,
}

pub(super) fn run(global: &Global, verb: &AccountVerb) -> Ended {
    match verb {
        AccountVerb::List(args) => list(global, args),
        AccountVerb::Login(_) => inactive::say("account login"),
        AccountVerb::Import(_) => inactive::say("account import"),
        AccountVerb::Check(_) => inactive::say("account check"),
        AccountVerb::Remove(_) => inactive::say("account remove"),
    }
}

fn list(global: &Global, args: &ListArgs) -> Ended {
    let workspace = global.workspace()?;
    let body = super::document(&workspace, Command::Accounts)?;
    match args.output {
        Form::Json => output::json(&body)?,
        Form::Table => {
            let accounts: AccountsDocument = super::read_back(body)?;
            output::text(&accounts_table(&accounts.accounts, &output::look(false)))?;
        }
    }
    Ok(DONE)
}

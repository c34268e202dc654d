//! `tidings resolve`

use clap::{Args, ValueEnum};

use super::args::{Form, person};
use super::{DONE, Ended, Global, output};
use crate::model::{Command, OperatorCommand, ResolveAs};
use crate::status::plain;

/// `tidings resolve`
#[derive(Debug, Args)]
pub struct ResolveArgs {
    /// The campaign
    #[arg(value_name = "NAME")]
    pub name: String,
    /// @username, +phone, id:123 or a t.me link
    #[arg(value_name = "PERSON")]
    pub person: String,
    /// What became of the message
    #[arg(long = "as", value_name = "HOW")]
    pub how: How,
    /// The form
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    pub output: Form,
}

/// What became of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum How {
    /// It arrived: you looked into the dialog
    Sent,
    /// It did not: it may be sent again
    Retry,
}

pub(super) fn run(global: &Global, args: &ResolveArgs) -> Ended {
    let who = person(&args.person)?;
    let workspace = global.workspace()?;
    let body = super::document(
        &workspace,
        Command::Operator(OperatorCommand::Resolve {
            name: args.name.clone(),
            person: who,
            verdict: match args.how {
                How::Sent => ResolveAs::Sent,
                How::Retry => ResolveAs::Retry,
            },
            by: super::operator(),
        }),
    )?;
    match args.output {
        Form::Json => output::json(&body)?,
        Form::Table => output::line(&plain(body["message"].as_str().unwrap_or_default()))?,
    }
    Ok(DONE)
}

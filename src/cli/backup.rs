//! `tidings backup` and `tidings restore`

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;

use super::args::Form;
use super::{DONE, Ended, FAILED, Failure, Global, output};
use crate::model::{Command, OperatorCommand};
use crate::status::plain;

/// How long sends that are under way are waited for before a restore.
const WAIT: Duration = Duration::from_secs(20);
/// The pause between two looks.
const EVERY: Duration = Duration::from_millis(250);

/// `tidings backup`
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The file that is written, whole or not at all
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Session files too: whoever has the file then has the accounts
    #[arg(long)]
    pub with_sessions: bool,
    /// The form
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    pub output: Form,
}

/// `tidings restore`
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// A file that `tidings backup` wrote
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Session files too, where none is there
    #[arg(long)]
    pub with_sessions: bool,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// The form
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    pub output: Form,
}

fn absolute(file: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(file)
        .map_err(|error| Failure::usage(format!("{}: {error}", file.display())))
}

pub(super) fn backup(global: &Global, args: &BackupArgs) -> Ended {
    let file = absolute(&args.file)?;
    let workspace = global.workspace()?;
    let body = super::document(
        &workspace,
        Command::Operator(OperatorCommand::Backup {
            file,
            with_sessions: args.with_sessions,
            by: super::operator(),
        }),
    )?;
    say(&body, args.output)
}

pub(super) fn restore(global: &Global, args: &RestoreArgs) -> Ended {
    let file = absolute(&args.file)?;
    let workspace = global.workspace()?;
    if !args.yes
        && output::is_interactive()
        && !output::confirmed(
            "This puts the backup in the state\'s place; what was sent, suppressed and erased since is kept. Go on?",
        )
    {
        output::complain("Nothing was changed.");
        return Ok(FAILED);
    }
    let since = Instant::now();
    loop {
        let body = super::document(
            &workspace,
            Command::Operator(OperatorCommand::Restore {
                file: file.clone(),
                with_sessions: args.with_sessions,
                by: super::operator(),
            }),
        )?;
        if body["busy"] != true {
            return say(&body, args.output);
        }
        if since.elapsed() > WAIT {
            return Err(Failure::new(plain(
                body["message"].as_str().unwrap_or_default(),
            )));
        }
        std::thread::sleep(EVERY);
    }
}

fn say(body: &serde_json::Value, form: Form) -> Ended {
    match form {
        Form::Json => output::json(body)?,
        Form::Table => output::line(&plain(body["message"].as_str().unwrap_or_default()))?,
    }
    Ok(DONE)
}

//! `tidings forget`

use std::time::{Duration, Instant};

use clap::Args;
use serde::Deserialize;

use super::args::{Form, person};
use super::{DONE, Ended, FAILED, Global, output};
use crate::control;
use crate::model::{Command, OperatorCommand, Reference};
use crate::status::plain;

/// How long a message that is on its way is waited for.
const WAIT: Duration = Duration::from_secs(20);
/// The pause between two looks.
const EVERY: Duration = Duration::from_millis(250);

/// `tidings forget`
#[derive(Debug, Args)]
pub struct ForgetArgs {
    /// @username, +phone, id:123 or a t.me link
    #[arg(value_name = "PERSON")]
    pub person: String,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// The form
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    pub output: Form,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Forgotten {
    erased: bool,
    in_doubt: bool,
    message: String,
    references: Vec<Reference>,
    removed_copies: Vec<String>,
    backups: Vec<String>,
}

pub(super) fn run(global: &Global, args: &ForgetArgs) -> Ended {
    let who = person(&args.person)?;
    let workspace = global.workspace()?;
    if !args.yes
        && output::is_interactive()
        && !output::confirmed(&format!(
            "This suppresses {who} for ever and erases what is known of him. Go on?"
        ))
    {
        output::complain("Nothing was changed.");
        return Ok(FAILED);
    }
    let since = Instant::now();
    let (mut body, done) = loop {
        let body = super::document(
            &workspace,
            Command::Operator(OperatorCommand::Forget {
                person: who.clone(),
                by: super::operator(),
            }),
        )?;
        let done: Forgotten = super::read_back(body.clone())?;
        if done.erased || done.in_doubt || since.elapsed() > WAIT {
            break (body, done);
        }
        std::thread::sleep(EVERY);
    };
    let places = control::places_of(&workspace, &done.references);
    match args.output {
        Form::Json => {
            if let Some(body) = body.as_object_mut() {
                body.insert(
                    "places".to_owned(),
                    serde_json::to_value(&places).unwrap_or_default(),
                );
            }
            output::json(&body)?;
        }
        Form::Table => {
            output::line(&plain(&done.message))?;
            if !places.is_empty() {
                output::line(
                    "He stands in these lines still, and in the git history of these files. They are yours to change:",
                )?;
                for place in &places {
                    output::line(&format!("  {}:{}", plain(&place.file), place.line))?;
                }
            }
            for copy in &done.removed_copies {
                output::line(&format!("Removed: {}", plain(copy)))?;
            }
            if !done.backups.is_empty() {
                output::line("Backups from before hold him; `tidings restore` erases him again:")?;
                for backup in &done.backups {
                    output::line(&format!("  {}", plain(backup)))?;
                }
            }
        }
    }
    if done.erased { Ok(DONE) } else { Ok(FAILED) }
}

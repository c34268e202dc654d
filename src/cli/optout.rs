//! `tidings optout`

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde::Deserialize;

use super::args::{Form, person, reason};
use super::columns::{columns, csv_line, neutral};
use super::{DONE, Ended, Failure, Global, output};
use crate::control;
use crate::model::{Command, OperatorCommand, Reference, Reply};
use crate::status::plain;

/// Bytes of one request of `import`: the socket takes 64 KiB.
const MAX_PART: usize = 40 << 10;
/// Bad lines that are shown one by one.
const MAX_BAD: usize = 20;

/// `tidings optout`
#[derive(Debug, Subcommand)]
pub enum OptoutVerb {
    /// Show who is suppressed or opted out, since when and why
    List(ListArgs),
    /// Suppress people over all campaigns and accounts, found or not
    Add(AddArgs),
    /// Take people off the suppression list; the audit keeps it
    Remove(RemoveArgs),
    /// Suppress everybody whom a CSV or TXT file names
    Import(ImportArgs),
    /// Write the list as CSV
    Export(ExportArgs),
}

/// `tidings optout list`
#[derive(Debug, Args)]
pub struct ListArgs {
    /// The form
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    pub output: Form,
}

/// `tidings optout add`
#[derive(Debug, Args)]
pub struct AddArgs {
    /// @username, +phone, id:123 or a t.me link
    #[arg(value_name = "PERSON", required = true, allow_hyphen_values = false)]
    pub people: Vec<String>,
    /// Why; the list shows it
    #[arg(long, value_name = "TEXT", default_value = "added by hand")]
    pub reason: String,
    /// The form
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    pub output: Form,
}

/// `tidings optout remove`
#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// @username, +phone, id:123 or a t.me link
    #[arg(value_name = "PERSON", required = true)]
    pub people: Vec<String>,
    /// Why; the audit shows it
    #[arg(long, value_name = "TEXT", default_value = "removed by hand")]
    pub reason: String,
    /// The form
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    pub output: Form,
}

/// `tidings optout import`
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// A CSV file with a header (id, username, phone), or a TXT file with a person a line
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Why; the list shows it
    #[arg(long, value_name = "TEXT", default_value = "imported")]
    pub reason: String,
    /// The form
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    pub output: Form,
}

/// `tidings optout export`
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The form
    #[arg(long, value_name = "FORM", default_value = "csv")]
    pub format: ExportForm,
    /// Where to; standard output without it
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// The form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportForm {
    /// UTF-8 with a BOM
    Csv,
}

#[derive(Debug, Deserialize)]
struct Document {
    optouts: Vec<Row>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Row {
    person: String,
    id: Option<i64>,
    username: Option<String>,
    phone: Option<String>,
    name: Option<String>,
    reason: String,
    why: String,
    by: Option<String>,
    at: Option<String>,
    note: Option<String>,
}

pub(super) fn run(global: &Global, verb: &OptoutVerb) -> Ended {
    match verb {
        OptoutVerb::List(args) => list(global, args),
        OptoutVerb::Add(args) => {
            let why = reason(&args.reason)?;
            let people = args
                .people
                .iter()
                .map(|text| person(text).map(|person| vec![person]))
                .collect::<Result<Vec<_>, _>>()?;
            add(global, people, why, args.output)
        }
        OptoutVerb::Remove(args) => remove(global, args),
        OptoutVerb::Import(args) => import(global, args),
        OptoutVerb::Export(args) => export(global, args),
    }
}

fn rows(global: &Global) -> Result<(serde_json::Value, Vec<Row>), Failure> {
    let workspace = global.workspace()?;
    let body = super::document(&workspace, Command::Operator(OperatorCommand::OptOutList))?;
    let rows = super::read_back::<Document>(body.clone())?.optouts;
    Ok((body, rows))
}

fn list(global: &Global, args: &ListArgs) -> Ended {
    let (body, rows) = rows(global)?;
    match args.output {
        Form::Json => output::json(&body)?,
        Form::Table if rows.is_empty() => output::complain("Nobody is suppressed or opted out."),
        Form::Table => {
            let cells: Vec<Vec<String>> = rows
                .iter()
                .map(|row| {
                    vec![
                        shown(row),
                        row.name.clone().unwrap_or_default(),
                        row.reason.clone(),
                        row.at
                            .as_deref()
                            .map(|at| at.chars().take(10).collect())
                            .unwrap_or_default(),
                        row.by.clone().unwrap_or_default(),
                        match &row.note {
                            Some(note) => format!("{} ({note})", row.why),
                            None => row.why.clone(),
                        },
                    ]
                })
                .collect();
            output::text(&columns(
                &["PERSON", "NAME", "REASON", "SINCE", "BY", "WHY"],
                &cells,
                output::look(false).width,
            ))?;
        }
    }
    Ok(DONE)
}

/// Whom a row means, as people write it.
fn shown(row: &Row) -> String {
    match (&row.username, &row.phone, row.id) {
        (Some(name), _, _) => format!("@{name}"),
        (None, Some(phone), _) => phone.clone(),
        (None, None, Some(id)) => format!("id:{id}"),
        (None, None, None) => row.person.clone(),
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Added {
    added: u64,
    known: u64,
    known_by_phone_only: u64,
    message: String,
}

fn add(global: &Global, people: Vec<Vec<Reference>>, why: String, form: Form) -> Ended {
    let workspace = global.workspace()?;
    let body = super::document(
        &workspace,
        Command::Operator(OperatorCommand::OptOutAdd {
            people,
            why,
            by: super::operator(),
        }),
    )?;
    match form {
        Form::Json => output::json(&body)?,
        Form::Table => {
            let added: Added = super::read_back(body)?;
            output::line(&plain(&added.message))?;
        }
    }
    Ok(DONE)
}

fn remove(global: &Global, args: &RemoveArgs) -> Ended {
    let why = reason(&args.reason)?;
    let people = args
        .people
        .iter()
        .map(|text| person(text))
        .collect::<Result<Vec<_>, _>>()?;
    let workspace = global.workspace()?;
    let mut removed = 0;
    let mut trouble = None;
    for person in people {
        let reply = control::request(
            &workspace,
            Command::Operator(OperatorCommand::OptOutRemove {
                person,
                why: why.clone(),
                by: super::operator(),
            }),
        )?;
        match reply {
            Reply::Document { body } => {
                removed += 1;
                if args.output == Form::Table {
                    let done: Added = super::read_back(body)?;
                    output::line(&plain(&done.message))?;
                }
            }
            Reply::Done { message } => output::line(&plain(&message))?,
            // `request` reads what it asked for.
            Reply::Written { .. } => {}
            Reply::Refused { message, usage } => trouble = Some(super::refused(message, usage)),
        }
    }
    if args.output == Form::Json {
        output::json(&serde_json::json!({
            "format_version": crate::status::FORMAT_VERSION,
            "removed": removed,
        }))?;
    }
    match trouble {
        Some(failure) => Err(failure),
        None => Ok(DONE),
    }
}

fn import(global: &Global, args: &ImportArgs) -> Ended {
    let why = reason(&args.reason)?;
    let workspace = global.workspace()?;
    let listed = control::read_list(&args.file).map_err(|error| Failure::new(error.to_string()))?;
    for bad in listed.bad.iter().take(MAX_BAD) {
        output::complain(&format!(
            "{}: {}",
            plain(&args.file.display().to_string()),
            plain(bad)
        ));
    }
    let shown = u64::try_from(listed.bad.len().min(MAX_BAD)).unwrap_or(0);
    if listed.bad_count > shown {
        output::complain(&format!(
            "… and {} more lines that name nobody.",
            listed.bad_count - shown
        ));
    }
    let mut sum = Added::default();
    for people in parts(listed.people) {
        let body = super::document(
            &workspace,
            Command::Operator(OperatorCommand::OptOutAdd {
                people,
                why: why.clone(),
                by: super::operator(),
            }),
        )?;
        let part: Added = super::read_back(body)?;
        sum.added += part.added;
        sum.known += part.known;
        sum.known_by_phone_only += part.known_by_phone_only;
    }
    match args.output {
        Form::Json => output::json(&serde_json::json!({
            "format_version": crate::status::FORMAT_VERSION,
            "added": sum.added,
            "known": sum.known,
            "known_by_phone_only": sum.known_by_phone_only,
            "bad_rows": listed.bad_count,
        }))?,
        Form::Table => {
            output::line(&format!(
                "Suppressed: {}; {} were before, {} lines name nobody.",
                crate::status::people(sum.added),
                sum.known,
                listed.bad_count
            ))?;
            if sum.known_by_phone_only > 0 {
                output::line(&format!(
                    "Known by a number alone: {}. Accounts ask Telegram who they are, one every few seconds and at most \
                     half of a day's look-ups; until then, and where Telegram does not tell, somebody who is found by \
                     his id and hides his number is not recognised.",
                    crate::status::people(sum.known_by_phone_only)
                ))?;
            }
        }
    }
    Ok(DONE)
}

/// The list in pieces that the socket takes.
fn parts(people: Vec<Vec<Reference>>) -> Vec<Vec<Vec<Reference>>> {
    let mut parts: Vec<Vec<Vec<Reference>>> = Vec::new();
    let mut size = MAX_PART;
    for person in people {
        // A reference as JSON is its text and some twenty characters.
        let more: usize = person.iter().map(|r| r.to_string().len() + 24).sum();
        if size + more > MAX_PART {
            parts.push(Vec::new());
            size = 0;
        }
        size += more;
        if let Some(part) = parts.last_mut() {
            part.push(person);
        }
    }
    parts
}

fn export(global: &Global, args: &ExportArgs) -> Ended {
    let (_, rows) = rows(global)?;
    let ExportForm::Csv = args.format;
    let mut text = String::from("\u{feff}");
    text.push_str(&csv_line([
        "id", "username", "phone", "name", "reason", "why", "by", "at",
    ]));
    let mut erased = 0;
    for row in &rows {
        if row.id.is_none() && row.username.is_none() && row.phone.is_none() {
            erased += 1;
            continue;
        }
        text.push_str(&csv_line([
            // What names the person is digits, or a username's letters: `import` reads it again.
            row.id.map(|id| id.to_string()).unwrap_or_default(),
            row.username.clone().unwrap_or_default(),
            row.phone.clone().unwrap_or_default(),
            neutral(row.name.as_deref().unwrap_or_default()),
            row.reason.clone(),
            neutral(&row.why),
            neutral(row.by.as_deref().unwrap_or_default()),
            row.at.clone().unwrap_or_default(),
        ]));
    }
    let bytes = text.into_bytes();
    match &args.output {
        None => output::bytes(&bytes)?,
        Some(path) => {
            std::fs::write(path, &bytes)
                .map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
        }
    }
    if erased > 0 {
        output::complain(&format!(
            "{erased} erased people are not in it: nothing but their hashes is left. `tidings backup` carries those."
        ));
    }
    Ok(DONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_goes_over_in_parts_that_the_socket_takes() {
        let people: Vec<Vec<Reference>> = (0..5000)
            .map(|n| {
                vec![
                    Reference::Phone(format!("1555{n:07}")),
                    Reference::Id(n + 1),
                ]
            })
            .collect();
        let parts = parts(people.clone());
        assert!(parts.len() > 1);
        assert_eq!(parts.concat(), people);
        for people in parts {
            let command = Command::Operator(OperatorCommand::OptOutAdd {
                people,
                why: "x".repeat(super::super::args::MAX_REASON),
                by: "me".to_owned(),
            });
            let size = serde_json::to_vec(&command).unwrap().len() as u64;
            assert!(size < control::socket::MAX_REQUEST, "{size}");
        }
    }
}

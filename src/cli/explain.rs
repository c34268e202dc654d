//! `tidings explain`

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::args::person;
use super::columns::columns;
use super::{DONE, Ended, Global, output};
use crate::model::{Command, OperatorCommand};
use crate::status::{self, Look, Moment, plain, push_wrapped};
use crate::time::Zone;

/// `tidings explain`
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The campaign
    #[arg(value_name = "NAME")]
    pub name: String,
    /// @username, +phone, id:123 or a t.me link
    #[arg(value_name = "PERSON")]
    pub person: String,
    /// The form
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    pub output: Form,
}

/// The form of an explanation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// For people
    Table,
    /// For programs
    Json,
    /// For people and programs
    Yaml,
}

pub(super) fn run(global: &Global, args: &ExplainArgs) -> Ended {
    let who = person(&args.person)?;
    let workspace = global.workspace()?;
    let body = super::document(
        &workspace,
        Command::Operator(OperatorCommand::Explain {
            name: args.name.clone(),
            person: who.clone(),
        }),
    )?;
    match args.output {
        Form::Json => output::json(&body)?,
        Form::Yaml => output::yaml(&body)?,
        Form::Table => output::text(&as_text(&body, &who.to_string(), &output::look(false)))?,
    }
    Ok(DONE)
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(plain(text)),
        other => Some(other.to_string()),
    }
}

/// A message with its line breaks.
fn lines(value: &Value) -> Option<String> {
    let text = value.as_str().filter(|text| !text.is_empty())?;
    Some(text.lines().map(plain).collect::<Vec<_>>().join("\n"))
}

fn moment(value: &Value) -> Option<Moment> {
    serde_json::from_value(value.clone()).ok().flatten()
}

/// `in 2 hours (Tue 1 Dec 09:00 CET)`.
fn when(value: &Value, zone: Zone, look: &Look) -> Option<String> {
    moment(value).map(|at| status::moment_words(at, zone, look.now))
}

/// A step as the report counts them: the follow-ups.
fn step_words(step: u64) -> String {
    match step {
        0 => "first".to_owned(),
        step => format!("follow-up {step}"),
    }
}

fn list(value: &Value) -> Vec<&Value> {
    value
        .as_array()
        .map(|a| a.iter().collect())
        .unwrap_or_default()
}

fn as_text(body: &Value, asked: &str, look: &Look) -> String {
    let mut out = String::new();
    let zone = body["timezone"]
        .as_str()
        .and_then(|name| Zone::parse(name).ok())
        .unwrap_or_default();
    let when = |value: &Value| when(value, zone, look);
    let person = &body["person"];
    let mut who: Vec<String> = Vec::new();
    who.extend(text(&person["name"]));
    who.extend(text(&person["username"]).map(|name| format!("@{name}")));
    who.extend(text(&person["phone"]));
    // What stands in for somebody who was not looked up is but a hash, which tells nobody anything.
    let id = text(&person["person"]).filter(|id| !id.starts_with("ref:"));
    if id.is_none() && who.is_empty() {
        who.push(plain(asked));
    }
    who.extend(id);
    let who = format!(
        "{} in `{}`",
        who.join(", "),
        text(&body["campaign"]).unwrap_or_default()
    );
    push_wrapped(&mut out, "", 0, &who, look);
    let summary = text(&body["summary"]).unwrap_or_default();
    push_wrapped(&mut out, "", 0, &summary, look);
    out.push('\n');
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut row = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            rows.push(vec![name.to_owned(), value]);
        }
    };
    row("State", text(&body["state"]));
    let found: Vec<String> = list(&body["found_by"])
        .into_iter()
        .filter_map(|source| {
            let label = text(&source["source"])?;
            Some(match source["role"].as_str() {
                Some("in") => format!("{label} (filters.in)"),
                Some("exclude") => format!("{label} (filters.exclude)"),
                _ => label,
            })
        })
        .collect();
    row(
        "Found by",
        Some(if found.is_empty() {
            "no source".to_owned()
        } else {
            found.join("; ")
        }),
    );
    row(
        "Excluded",
        text(&body["exclusion"]["reason"]).map(|reason| {
            format!(
                "{reason}: {}",
                text(&body["exclusion"]["message"]).unwrap_or_default()
            )
        }),
    );
    row(
        "Waits for",
        text(&body["waits_for"]["reason"]).map(|reason| {
            let until = when(&body["waits_for"]["until"])
                .map(|until| format!(", which ends {until}"))
                .unwrap_or_default();
            format!(
                "{reason}{until}: {}",
                text(&body["waits_for"]["message"]).unwrap_or_default()
            )
        }),
    );
    row(
        "Follow-up",
        body["follow_up"]["step"].as_u64().map(|step| {
            let due = when(&body["follow_up"]["due_at"])
                .map(|due| format!(", due {due}"))
                .unwrap_or_default();
            let waits = text(&body["follow_up"]["waits_for"]["reason"])
                .map(|reason| format!(", waits: {reason}"))
                .unwrap_or_default();
            format!("{step}{due}{waits}")
        }),
    );
    let accounts: Vec<String> = list(&body["accounts"])
        .into_iter()
        .filter_map(text)
        .collect();
    row(
        "Account",
        (!accounts.is_empty()).then(|| accounts.join(", ")),
    );
    row("Variant", text(&body["variant"]));
    row(
        "Text now",
        lines(&body["text"]).or_else(|| text(&body["text_error"]).map(|e| format!("none: {e}"))),
    );
    row(
        "Suppressed",
        text(&body["suppression"]["reason"]).map(|reason| {
            let by = text(&body["suppression"]["by"])
                .map(|by| format!(" by {by}"))
                .unwrap_or_default();
            format!(
                "{reason}{by} since {}: {}",
                when(&body["suppression"]["at"]).unwrap_or_else(|| "some time".to_owned()),
                text(&body["suppression"]["why"]).unwrap_or_default()
            )
        }),
    );
    row("Wrote last", when(&body["last_reply_at"]));
    for other in list(&body["other_campaigns"]) {
        row(
            "Also in",
            text(&other["campaign"]).map(|name| {
                let at = when(&other["at"])
                    .map(|at| format!(", {at}"))
                    .unwrap_or_default();
                format!(
                    "{name}: {}{at}",
                    text(&other["outcome"]).unwrap_or_default()
                )
            }),
        );
    }
    let width = rows
        .iter()
        .map(|row| row.first().map_or(0, String::len))
        .max()
        .unwrap_or(0);
    for row in &rows {
        if let [name, value] = row.as_slice() {
            // A text of several lines goes on under its first.
            let mut head = format!("{name:<width$}  ");
            for line in value.split('\n') {
                push_wrapped(&mut out, &head, width + 2, line, look);
                head = " ".repeat(width + 2);
            }
        }
    }
    let history = list(&body["history"]);
    if !history.is_empty() {
        out.push('\n');
        let rows: Vec<Vec<String>> = history
            .into_iter()
            .map(|step| {
                vec![
                    moment(&step["at"])
                        .map_or_else(String::new, |at| status::absolute_words(at, zone, look.now)),
                    text(&step["event"]).unwrap_or_default(),
                    step["step"].as_u64().map_or_else(String::new, step_words),
                    text(&step["account"]).unwrap_or_default(),
                    text(&step["variant"]).unwrap_or_default(),
                    text(&step["outcome"]).unwrap_or_default(),
                    text(&step["detail"]).unwrap_or_default(),
                ]
            })
            .collect();
        out.push_str(&columns(
            &[
                "WHEN", "WHAT", "STEP", "ACCOUNT", "VARIANT", "OUTCOME", "DETAIL",
            ],
            &rows,
            look.width,
        ));
    }
    out
}

//! `tidings audit`

use clap::Args;
use serde_json::Value;

use super::args::Rows;
use super::columns::columns;
use super::{DONE, Ended, Global, output};
use crate::model::{Command, OperatorCommand};
use crate::status;

/// `tidings audit`
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// Of this campaign only
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// The form
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    pub output: Rows,
    /// At most so many, the newest
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
    /// Only what came after the event of this number
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    pub after: u64,
}

pub(super) fn run(global: &Global, args: &AuditArgs) -> Ended {
    let workspace = global.workspace()?;
    let body = super::document(
        &workspace,
        Command::Operator(OperatorCommand::Audit {
            name: args.name.clone(),
            after: args.after,
            limit: usize::try_from(args.limit).unwrap_or(200),
        }),
    )?;
    let entries: Vec<&Value> = body["entries"]
        .as_array()
        .map(|entries| entries.iter().collect())
        .unwrap_or_default();
    match args.output {
        Rows::Json => output::json(&body)?,
        Rows::Jsonl => {
            for entry in entries {
                output::json_line(entry)?;
            }
        }
        Rows::Table if entries.is_empty() => output::complain("Nobody changed anything yet."),
        Rows::Table => {
            let text = |value: &Value| match value {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let rows: Vec<Vec<String>> = entries
                .iter()
                .map(|entry| {
                    let whom = [&entry["campaign"], &entry["account"], &entry["person"]]
                        .into_iter()
                        .find(|value| !value.is_null())
                        .map(&text)
                        .unwrap_or_default();
                    vec![
                        serde_json::from_value(entry["at"].clone())
                            .map_or_else(|_| text(&entry["at"]), status::seconds),
                        text(&entry["by"]),
                        text(&entry["type"]),
                        whom,
                        text(&entry["commit"]).chars().take(10).collect(),
                        text(&entry["message"]),
                    ]
                })
                .collect();
            output::text(&columns(
                &["WHEN", "WHO", "WHAT", "OF", "COMMIT", "IN WORDS"],
                &rows,
                output::look(false).width,
            ))?;
        }
    }
    Ok(DONE)
}

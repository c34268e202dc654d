//! `tidings report`

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::Value;
use unicode_width::UnicodeWidthStr as _;

use super::columns::{columns, csv_line, neutral};
use super::{DONE, Ended, Failure, Global, output};
use crate::model::{Command, OperatorCommand, ReportBy, Timestamp};
use crate::status::{Look, plain, push_wrapped};

/// The columns of every form, and the name of each in the JSON.
const COLUMNS: [&str; 10] = [
    "name",
    "sent",
    "people",
    "replied",
    "reply_rate",
    "opted_out",
    "blocked",
    "failed",
    "skipped",
    "uncertain",
];

/// `tidings report`
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// How far back
    #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = super::run::duration)]
    pub since: Duration,
    /// A row for each
    #[arg(long, value_name = "WHAT", default_value = "campaign")]
    pub by: By,
    /// The form
    #[arg(long, short = 'o', value_name = "FORM", default_value = "table")]
    pub format: Form,
    /// Where to; standard output without it
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// What a row is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// A campaign
    Campaign,
    /// An account
    Account,
    /// An owner of tidings.yaml
    Owner,
    /// A template of a campaign
    Template,
}

/// The form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// For people
    Table,
    /// UTF-8 with a BOM
    Csv,
    /// A workbook
    Xlsx,
    /// For programs
    Json,
}

pub(super) fn run(global: &Global, args: &ReportArgs) -> Ended {
    let workspace = global.workspace()?;
    let since = Timestamp(
        output::now()
            .0
            .saturating_sub(i64::try_from(args.since.as_millis()).unwrap_or(i64::MAX)),
    );
    let body = super::document(
        &workspace,
        Command::Operator(OperatorCommand::Report {
            since,
            by: match args.by {
                By::Campaign => ReportBy::Campaign,
                By::Account => ReportBy::Account,
                By::Owner => ReportBy::Owner,
                By::Template => ReportBy::Template,
            },
        }),
    )?;
    let rows: Vec<&Value> = body["rows"]
        .as_array()
        .map(|rows| rows.iter().collect())
        .unwrap_or_default();
    let here = output::look(false);
    let bytes = match args.format {
        Form::Table if rows.is_empty() => {
            output::complain("Nothing was sent in this time.");
            return Ok(DONE);
        }
        Form::Table => {
            // A file has no width.
            let look = Look {
                width: args.output.is_none().then_some(here.width).flatten(),
                ..here
            };
            table(&rows, &look).into_bytes()
        }
        Form::Json => {
            let mut text = serde_json::to_string_pretty(&body)
                .map_err(|error| Failure::new(error.to_string()))?;
            text.push('\n');
            text.into_bytes()
        }
        Form::Csv => csv(&rows),
        Form::Xlsx => xlsx(&rows).map_err(|error| Failure::new(error.to_string()))?,
    };
    match &args.output {
        Some(path) => std::fs::write(path, bytes)
            .map_err(|error| Failure::new(format!("{}: {error}", path.display())))?,
        None => output::bytes(&bytes)?,
    }
    Ok(DONE)
}

fn cell(row: &Value, column: &str) -> String {
    match &row[column] {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn table(rows: &[&Value], look: &Look) -> String {
    let head: Vec<String> = COLUMNS
        .iter()
        .map(|column| column.replace('_', " ").to_uppercase())
        .collect();
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            COLUMNS
                .iter()
                .map(|column| match *column {
                    "reply_rate" => {
                        format!("{:.1} %", row["reply_rate"].as_f64().unwrap_or(0.0) * 100.0)
                    }
                    column => cell(row, column),
                })
                .collect()
        })
        .collect();
    let text = columns(&head, &cells, None);
    let fits = |width: usize| text.lines().all(|line| line.width() <= width);
    if look.width.is_none_or(fits) {
        return text;
    }
    // Numbers without their columns need their names.
    let mut out = String::new();
    for row in &cells {
        let name = row.first().map_or("", String::as_str);
        let said: Vec<String> = COLUMNS
            .iter()
            .zip(row)
            .skip(1)
            .map(|(column, cell)| format!("{cell} {}", column.replace('_', " ")))
            .collect();
        push_wrapped(
            &mut out,
            &format!("{}  ", plain(name)),
            2,
            &said.join(", "),
            look,
        );
    }
    out
}

fn csv(rows: &[&Value]) -> Vec<u8> {
    let mut text = String::from("\u{feff}");
    text.push_str(&csv_line(COLUMNS));
    for row in rows {
        text.push_str(&csv_line(
            COLUMNS.iter().map(|column| neutral(&cell(row, column))),
        ));
    }
    text.into_bytes()
}

fn xlsx(rows: &[&Value]) -> Result<Vec<u8>, rust_xlsxwriter::XlsxError> {
    let mut book = rust_xlsxwriter::Workbook::new();
    let sheet = book.add_worksheet();
    sheet.set_name("report")?;
    let bold = rust_xlsxwriter::Format::new().set_bold();
    let percent = rust_xlsxwriter::Format::new().set_num_format("0.0%");
    for (at, column) in (0u16..).zip(COLUMNS) {
        sheet.write_string_with_format(0, at, column, &bold)?;
    }
    for (line, row) in (1u32..).zip(rows) {
        for (at, column) in (0u16..).zip(COLUMNS) {
            match &row[column] {
                // A string cell is never run as a formula.
                Value::String(text) => sheet.write_string(line, at, text)?,
                value if column == "reply_rate" => sheet.write_number_with_format(
                    line,
                    at,
                    value.as_f64().unwrap_or(0.0),
                    &percent,
                )?,
                value => sheet.write_number(line, at, value.as_f64().unwrap_or(0.0))?,
            };
        }
    }
    sheet.set_freeze_panes(1, 0)?;
    sheet.autofit();
    book.save_to_buffer()
}

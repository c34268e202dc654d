//! `tidings audience`

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;

use super::columns::{columns, csv_line, neutral};
use super::{DONE, Ended, Failure, Global, output};
use crate::control::Workspace;
use crate::model::Command;

/// Who was found
#[derive(Debug, Subcommand)]
pub enum AudienceVerb {
    /// Show which audiences there are
    List(ListArgs),
    /// Write an audience, with what became of each person
    Export(ExportArgs),
}

/// `tidings audience list`
#[derive(Debug, Args)]
pub struct ListArgs {
    /// The form of the result
    #[arg(short = 'o', long, value_name = "FORM", default_value = "table")]
    output: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people
    Table,
    /// For programs
    Json,
}

/// `tidings audience export`
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The campaign
    name: String,
    /// The form of the file
    #[arg(long, value_name = "FORM", default_value = "csv")]
    format: FileForm,
    /// Where to; standard output without it
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FileForm {
    /// UTF-8 with a byte order mark, as spreadsheets expect it
    Csv,
    /// A workbook
    Xlsx,
    /// One JSON object a line
    Jsonl,
}

/// The columns, in the order of CONTRACT section 4.
const COLUMNS: [&str; 11] = [
    "person",
    "names",
    "account",
    "variant",
    "step",
    "sent_at",
    "outcome",
    "replied_at",
    "last_reply",
    "opted_out",
    "source",
];

/// Rows of a worksheet at most (Excel's specification and limits), its header among them.
const MAX_ROWS: u32 = 1_048_576;
/// UTF-16 units of a worksheet's cell at most (the same).
const MAX_CELL: usize = 32_767;

pub(super) fn run(global: &Global, verb: &AudienceVerb) -> Ended {
    let workspace = global.workspace()?;
    match verb {
        AudienceVerb::List(args) => list(&workspace, args),
        AudienceVerb::Export(args) => export(&workspace, args),
    }
}

fn list(workspace: &Workspace, args: &ListArgs) -> Ended {
    let body = super::document(workspace, Command::Audiences)?;
    if args.output == Form::Json {
        output::json(&body)?;
        return Ok(DONE);
    }
    let audiences = body["audiences"].as_array().cloned().unwrap_or_default();
    if audiences.is_empty() {
        output::complain("No campaign has found anybody yet; `tidings run` looks people up.");
        return Ok(DONE);
    }
    let rows: Vec<Vec<String>> = audiences
        .iter()
        .map(|audience| {
            let sources: Vec<&str> = audience["sources"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            let complete = if audience["complete"] == true {
                "yes"
            } else {
                "no"
            };
            let collected = audience["collected_at"].as_str().unwrap_or("not yet");
            vec![
                text(&audience["name"]),
                text(&audience["kind"]),
                text(&audience["found"]),
                text(&audience["included"]),
                complete.to_owned(),
                collected.to_owned(),
                sources.join("; "),
            ]
        })
        .collect();
    let head = [
        "AUDIENCE",
        "KIND",
        "FOUND",
        "INCLUDED",
        "COMPLETE",
        "COLLECTED",
        "SOURCES",
    ];
    output::text(&columns(&head, &rows, output::look(false).width))?;
    Ok(DONE)
}

fn export(workspace: &Workspace, args: &ExportArgs) -> Ended {
    // The first page first: an unknown name must not leave an empty file behind.
    let first = page(workspace, &args.name, None)?;
    match &args.output {
        None => {
            let out = io::stdout().lock();
            write(workspace, args, first, BufWriter::new(out))
                .map_err(|error| told(error, None))?;
        }
        // Into a pipe or a device as it comes.
        Some(path) if std::fs::metadata(path).is_ok_and(|meta| !meta.is_file()) => {
            std::fs::OpenOptions::new()
                .write(true)
                .open(path)
                .map_err(Broken::Io)
                .and_then(|file| write(workspace, args, first, BufWriter::new(file)))
                .map_err(|error| told(error, Some(path)))?;
        }
        Some(path) => {
            // Of a link, what it leads to; and beside it first: whoever reads the file never sees half of it.
            let path = &std::fs::canonicalize(path).unwrap_or_else(|_| path.clone());
            let beside = beside(path);
            let written = create(&beside)
                .map_err(Broken::Io)
                .and_then(|file| write(workspace, args, first, BufWriter::new(file)))
                .and_then(|()| std::fs::rename(&beside, path).map_err(Broken::Io));
            if let Err(error) = written {
                let _ = std::fs::remove_file(&beside);
                return Err(told(error, Some(path)));
            }
        }
    }
    Ok(DONE)
}

/// People's names and words: nobody else of the machine is to read them.
fn create(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    path.with_file_name(name)
}

/// Why an export broke off.
enum Broken {
    Io(io::Error),
    Asked(Failure),
    Sheet(String),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Broken {
        Broken::Io(error)
    }
}

fn told(error: Broken, path: Option<&Path>) -> Failure {
    let place = path.map_or("standard output".to_owned(), |path| {
        path.display().to_string()
    });
    match error {
        Broken::Io(error) if path.is_none() && error.kind() == io::ErrorKind::BrokenPipe => {
            Failure {
                code: DONE,
                message: String::new(),
            }
        }
        Broken::Io(error) => Failure::new(format!("{place} cannot be written: {error}")),
        Broken::Asked(failure) => failure,
        Broken::Sheet(why) => Failure::new(format!("{place} cannot be written: {why}")),
    }
}

fn page(workspace: &Workspace, name: &str, after: Option<u32>) -> Result<Value, Failure> {
    super::document(
        workspace,
        Command::AudiencePage {
            name: name.to_owned(),
            after,
        },
    )
}

/// Calls `each` with every row.
fn rows(
    workspace: &Workspace,
    name: &str,
    first: Value,
    mut each: impl FnMut(&Value) -> Result<(), Broken>,
) -> Result<(), Broken> {
    let mut body = first;
    loop {
        for row in body["people"].as_array().into_iter().flatten() {
            each(row)?;
        }
        let Some(next) = body["next"].as_u64().and_then(|n| u32::try_from(n).ok()) else {
            return Ok(());
        };
        body = page(workspace, name, Some(next)).map_err(Broken::Asked)?;
    }
}

fn write(
    workspace: &Workspace,
    args: &ExportArgs,
    first: Value,
    mut out: impl Write,
) -> Result<(), Broken> {
    let name = &args.name;
    match args.format {
        FileForm::Jsonl => rows(workspace, name, first, |row| {
            let line = serde_json::to_string(row).map_err(io::Error::from)?;
            out.write_all(output::harmless(&line).as_bytes())?;
            out.write_all(b"\n").map_err(Broken::Io)
        })?,
        FileForm::Csv => {
            // Excel takes a file without it for one in the code page of the machine.
            out.write_all("\u{feff}".as_bytes())?;
            let mut line = |cells: &[String]| out.write_all(csv_line(cells).as_bytes());
            line(&COLUMNS.map(str::to_owned))?;
            rows(workspace, name, first, |row| {
                line(&COLUMNS.map(|column| neutral(&text(&row[column])))).map_err(Broken::Io)
            })?;
        }
        FileForm::Xlsx => {
            let bytes = workbook(workspace, name, first)?;
            out.write_all(&bytes)?;
        }
    }
    out.flush()?;
    Ok(())
}

fn workbook(workspace: &Workspace, name: &str, first: Value) -> Result<Vec<u8>, Broken> {
    use rust_xlsxwriter::{Format, Workbook};
    let sheet_error = |error: rust_xlsxwriter::XlsxError| Broken::Sheet(error.to_string());
    let mut workbook = Workbook::new();
    let bold = Format::new().set_bold();
    let sheet = workbook.add_worksheet();
    sheet.set_name("audience").map_err(sheet_error)?;
    for (column, title) in (0u16..).zip(COLUMNS) {
        sheet
            .write_string_with_format(0, column, title, &bold)
            .map_err(sheet_error)?;
    }
    sheet.set_freeze_panes(1, 0).map_err(sheet_error)?;
    let mut line = 0u32;
    rows(workspace, name, first, |row| {
        line += 1;
        if line >= MAX_ROWS {
            return Err(Broken::Sheet(format!(
                "a worksheet holds {MAX_ROWS} rows at most; use `--format csv`"
            )));
        }
        for (column, title) in (0u16..).zip(COLUMNS) {
            match &row[title] {
                Value::Null => {}
                Value::Bool(yes) => {
                    sheet
                        .write_boolean(line, column, *yes)
                        .map_err(sheet_error)?;
                }
                Value::Number(number) => {
                    sheet
                        .write_number(line, column, number.as_f64().unwrap_or_default())
                        .map_err(sheet_error)?;
                }
                // A text is never a formula here: its cell says that it is one.
                other => {
                    sheet
                        .write_string(line, column, cut(neutral(&text(other))))
                        .map_err(sheet_error)?;
                }
            }
        }
        Ok(())
    })?;
    for (column, width) in (0u16..).zip([16, 30, 12, 12, 6, 24, 18, 24, 40, 10, 30]) {
        sheet
            .set_column_width(column, f64::from(width))
            .map_err(sheet_error)?;
    }
    workbook.save_to_buffer().map_err(sheet_error)
}

/// A text that fits a cell of a worksheet.
fn cut(text: String) -> String {
    let mut units = 0;
    let over = text.char_indices().find(|(_, letter)| {
        units += letter.len_utf16();
        units > MAX_CELL
    });
    match over {
        Some((end, _)) => text[..end].to_owned(),
        None => text,
    }
}

/// A value as a cell shows it.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_fits_a_cell() {
        assert_eq!(cut("я".repeat(40_000)).chars().count(), MAX_CELL);
        assert_eq!(cut("🎉".repeat(40_000)).chars().count(), MAX_CELL / 2);
    }
}

//! What can be wrong with an audience file.

use std::fmt;

use super::split::Why;
use super::{Field, MAX_COLUMNS, MAX_FILE, MAX_ROW};

/// How much of a user's own value a message repeats, in characters.
const MAX_QUOTED: usize = 60;
/// How much of a bad row is kept, in characters: what a snippet of a long one shows.
const MAX_WRITTEN: usize = 1000;
/// How many of a file's columns a message repeats.
const MAX_LISTED: usize = 20;

/// A row that names nobody, or that was not understood. It is left out; the others are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    /// The line on which the row begins, from 1.
    pub line: u64,
    /// The character of that line where the trouble begins, from 1; 1 where the row as a whole is meant.
    pub column: usize,
    /// So many characters from there on; 0 where the row as a whole is meant.
    pub width: usize,
    /// The column of the table, as the header names it; `None` where the row as a whole is meant, and in a TXT file.
    pub header: Option<String>,
    /// What stands there, clipped and safe to print.
    pub found: String,
    /// What should.
    pub expected: String,
    /// The line on which the row begins, as it is written; a long one is cut off.
    pub written: String,
}

impl Default for BadRow {
    fn default() -> Self {
        BadRow {
            line: 0,
            column: 1,
            width: 0,
            header: None,
            found: String::new(),
            expected: String::new(),
            written: String::new(),
        }
    }
}

impl BadRow {
    pub(super) fn cell(
        window: &str,
        written: (usize, usize),
        header: Option<String>,
        cell: &str,
        expected: String,
    ) -> BadRow {
        let (column, width) = place(window, written);
        BadRow {
            line: 0,
            column,
            width,
            header,
            found: quote(cell),
            expected,
            ..BadRow::default()
        }
    }

    /// With the line that stands at the beginning of this text.
    pub(super) fn written_as(self, text: &str) -> BadRow {
        let line = text.split(['\n', '\r']).next().unwrap_or("");
        BadRow {
            written: line.chars().take(MAX_WRITTEN).collect(),
            ..self
        }
    }

    pub(super) fn too_long(line: u64) -> BadRow {
        BadRow {
            line,
            found: format!("more than {MAX_ROW} bytes"),
            expected: format!("at most {MAX_ROW} in a row"),
            ..BadRow::default()
        }
    }

    pub(super) fn broken(line: u64, why: Why, window: &str, at: usize) -> BadRow {
        let (found, expected) = match why {
            Why::TooLong => return BadRow::too_long(line),
            Why::Unclosed => (
                "a cell whose quote is never closed",
                "a second quote at its end; a quote within a quoted cell is written twice",
            ),
            Why::Stray => (
                "a quote that is closed on a later line, in the midst of a cell",
                "a second quote at the cell's end; a quote within a quoted cell is written twice",
            ),
        };
        let (column, width) = place(window, (at, at + 1));
        BadRow {
            line,
            column,
            width,
            header: None,
            found: found.to_owned(),
            expected: expected.to_owned(),
            ..BadRow::default()
        }
    }
}

/// The column and width in characters of a range of the window; of the whole row where it stands on a later line.
fn place(window: &str, (from, to): (usize, usize)) -> (usize, usize) {
    let before = window.get(..from).unwrap_or("");
    if before.contains(['\n', '\r']) {
        return (1, 0);
    }
    let written = window.get(from..to).unwrap_or("");
    let on_line = written.split(['\n', '\r']).next().unwrap_or("");
    (before.chars().count() + 1, on_line.chars().count())
}

impl fmt::Display for BadRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if let Some(header) = &self.header {
            write!(f, ", column {}", quote(header))?;
        }
        write!(f, ": found {}, expected {}", self.found, self.expected)
    }
}

/// Why a file as a whole cannot be used. Displayed it is what was found; [`FileProblem::help`] says what to do.
#[derive(Debug, thiserror::Error)]
pub enum FileProblem {
    /// The operating system refused.
    #[error("the file cannot be read: {0}")]
    Unreadable(#[source] std::io::Error),
    /// More than [`MAX_FILE`] bytes.
    #[error("the file has more than {} MiB", MAX_FILE / (1024 * 1024))]
    TooLarge,
    /// No text in an encoding that is read.
    #[error("the file is no text{}", looks_like.map(|what| format!(": it looks like {what}")).unwrap_or_default())]
    NotText {
        /// What it probably is.
        looks_like: Option<&'static str>,
    },
    /// Nothing but blank lines.
    #[error("the file is empty")]
    Empty,
    /// The header itself is broken.
    #[error("the header cannot be read: found {found}, expected {expected}")]
    Header {
        /// What stands there.
        found: String,
        /// What should.
        expected: String,
    },
    /// More than [`MAX_COLUMNS`] columns.
    #[error("the header has {found} columns; at most {MAX_COLUMNS} are read")]
    TooManyColumns {
        /// How many.
        found: usize,
    },
    /// No column says who is meant.
    #[error(
        "the header has no column `id`, `username` or `phone`; it has {}",
        listed(found)
    )]
    NobodyNamed {
        /// The columns that are there.
        found: Vec<String>,
        /// Those that probably name the person, and as what.
        near: Vec<(String, Field)>,
        /// Whether the first line looks like a person: the header was left out.
        no_header: bool,
    },
    /// `columns:` names a column that the file does not have.
    #[error("the file has no column {}; it has {}", quote(wanted), listed(found))]
    NoSuchColumn {
        /// The entry of `columns:`.
        field: Field,
        /// What it says.
        wanted: String,
        /// The columns that are there.
        found: Vec<String>,
        /// The one that was probably meant.
        near: Option<String>,
    },
    /// Two entries of `columns:` name one column.
    #[error("`columns` names the column {} twice: as `{}` and as `{}`", quote(header), first.as_str(), field.as_str())]
    MappedTwice {
        /// The column.
        header: String,
        /// The entry that came first.
        first: Field,
        /// The other.
        field: Field,
    },
    /// Two columns of one name.
    #[error("the header has the column {} twice", quote(name))]
    Doubled {
        /// Their name.
        name: String,
    },
    /// So many rows with broken quotes that the rest means nothing.
    #[error("{count} rows up to line {line} have a quote that is not closed")]
    BrokenQuotes {
        /// How many.
        count: u64,
        /// The last of them.
        line: u64,
    },
}

impl FileProblem {
    /// What was expected, and what to do.
    pub fn help(&self) -> String {
        let header = "A table begins with a header, such as `username,first_name`.";
        match self {
            FileProblem::Unreadable(_) => "Check that it is there and may be read.".to_owned(),
            FileProblem::TooLarge => {
                "Split it into several files and name each as a source.".to_owned()
            }
            FileProblem::NotText { .. } => {
                "Save it as CSV in UTF-8 (UTF-16 and Windows-1251 are read too).".to_owned()
            }
            FileProblem::Empty | FileProblem::Header { .. } => header.to_owned(),
            FileProblem::TooManyColumns { .. } => {
                "Take those out that no template uses.".to_owned()
            }
            FileProblem::NobodyNamed {
                no_header: true, ..
            } => {
                format!("Its first line looks like a person and not like a header. {header}")
            }
            FileProblem::NobodyNamed { near, .. } if !near.is_empty() => {
                let guesses: Vec<String> = near
                    .iter()
                    .map(|(name, field)| format!("{}: {}", field.as_str(), yaml(name)))
                    .collect();
                format!("Did you mean `columns: {{{}}}`?", guesses.join(", "))
            }
            FileProblem::NobodyNamed { found, .. } => format!(
                "One of them must name the person. Say which one with `columns:`, as in `columns: {{phone: {}}}`.",
                found
                    .iter()
                    .find(|name| !name.is_empty())
                    .map_or_else(|| "Телефон".to_owned(), |name| yaml(name))
            ),
            FileProblem::NoSuchColumn {
                near: Some(near), ..
            } => {
                format!("Did you mean {}?", quote(near))
            }
            FileProblem::NoSuchColumn { .. } => {
                "Write it in `columns:` as it stands in the file's first line.".to_owned()
            }
            FileProblem::MappedTwice { .. } => "Each column means one thing.".to_owned(),
            FileProblem::Doubled { .. } => "Each column needs its own name.".to_owned(),
            FileProblem::BrokenQuotes { .. } => {
                "Close each quote; a quote within a quoted cell is written twice.".to_owned()
            }
        }
    }

    /// The header that was probably meant.
    pub fn suggestion(&self) -> Option<&str> {
        match self {
            FileProblem::NoSuchColumn { near, .. } => near.as_deref(),
            _ => None,
        }
    }

    /// The entry of `columns:` that is wrong, where it is one.
    pub fn field(&self) -> Option<Field> {
        match self {
            FileProblem::NoSuchColumn { field, .. } | FileProblem::MappedTwice { field, .. } => {
                Some(*field)
            }
            _ => None,
        }
    }
}

fn listed(names: &[String]) -> String {
    let mut out: Vec<String> = names
        .iter()
        .filter(|name| !name.is_empty())
        .take(MAX_LISTED)
        .map(|name| quote(name))
        .collect();
    if names.len() > MAX_LISTED {
        out.push(format!("and {} more", names.len() - MAX_LISTED));
    }
    if out.is_empty() {
        "none with a name".to_owned()
    } else {
        out.join(", ")
    }
}

/// A header as a YAML value.
fn yaml(name: &str) -> String {
    let plain = name.starts_with(char::is_alphabetic)
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | ' '));
    if plain { name.to_owned() } else { quote(name) }
}

/// A user's own text in double quotes: clipped, one line, and unable to steer a terminal.
fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    let mut chars = text.chars();
    for c in chars.by_ref().take(MAX_QUOTED) {
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '"' => out.push_str("\\\""),
            c if c.is_control() || super::split::is_unseen(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    if chars.next().is_some() {
        out.push('…');
    }
    out.push('"');
    out
}

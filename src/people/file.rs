//! Audience files: CSV and TXT that name people (CONTRACT section 2, 'Files').
//!
//! One streaming reader for the check and for the look-up: what validation accepts is what is read. Memory does not
//! depend on the file's length: a window of text, one page of people and at most [`MAX_KEPT_BAD_ROWS`] bad rows.
//!
//! ```text
//! bytes ─ decode ─▶ text ─ rows ─▶ cells ─ header ─▶ person ─▶ pages of at most 1000
//! ```
//!
//! A row that is not understood is left out with its line, never guessed at: nobody is written to by a typo.

mod decode;
mod header;
mod problem;
mod row;
mod split;

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use crate::model::{Given, Person, PersonId};

use decode::Text;
use header::Header;
use row::Named;
use split::{Broken, Record};

pub use problem::{BadRow, FileProblem};

/// The longest row, in bytes of UTF-8: what a quote that is never closed can swallow before it is noticed.
pub const MAX_ROW: usize = 64 * 1024;
/// The longest cell, in bytes of UTF-8: twice Telegram's longest message of 4096 characters.
pub const MAX_CELL: usize = 8 * 1024;
/// The most columns. A table with more is no list of people.
pub const MAX_COLUMNS: usize = 200;
/// The longest file, in bytes: a million people with half a kilobyte each.
pub const MAX_FILE: u64 = 512 * 1024 * 1024;
/// The most rows that a check looks at: as many people as an audience has by default (`limits.max_audience`), in a
/// fraction of a second.
pub const MAX_CHECKED_ROWS: u64 = 100_000;
/// The most bytes that a check looks at, for rows that are long or blank; a little more is read ahead.
pub const MAX_CHECKED_BYTES: u64 = 64 * 1024 * 1024;
/// How many bad rows are kept one by one; the rest are only counted, so that a wholly bad file costs no memory.
pub const MAX_KEPT_BAD_ROWS: usize = 100;
/// The most people handed over at a time: a segment of the store.
pub const PAGE: usize = 1000;
/// A page is handed over early at this size, in bytes of text, so that long rows do not make it large.
const PAGE_BYTES: usize = 4 * 1024 * 1024;
/// How many rows may have broken quotes before the file as a whole is refused. Each costs a second look at up to
/// [`MAX_ROW`] bytes, so that this bounds the work too.
const MAX_BROKEN: u64 = 1000;

/// The columns that name the person; all others are `contact.fields.*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// Telegram's own number.
    Id,
    /// The public username, with or without `@`, or its link.
    Username,
    /// The phone in international form, with its `+`.
    Phone,
    /// The first name.
    FirstName,
    /// The last name.
    LastName,
}

impl Field {
    /// All of them, in the order in which they are named to users.
    pub const ALL: [Field; 5] = [
        Field::Id,
        Field::Username,
        Field::Phone,
        Field::FirstName,
        Field::LastName,
    ];

    /// Its name in a header and in `columns:`.
    pub fn as_str(self) -> &'static str {
        match self {
            Field::Id => "id",
            Field::Username => "username",
            Field::Phone => "phone",
            Field::FirstName => "first_name",
            Field::LastName => "last_name",
        }
    }

    /// The field of this name, in any case.
    pub fn of_name(name: &str) -> Option<Field> {
        Field::ALL
            .into_iter()
            .find(|field| field.as_str().eq_ignore_ascii_case(name))
    }

    /// Whether it alone says who is meant.
    pub fn names_a_person(self) -> bool {
        matches!(self, Field::Id | Field::Username | Field::Phone)
    }
}

/// Which header stands for which field: the spec's `columns:`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Columns {
    /// The header as the file writes it; case does not matter. A field that is absent here is the column of its own
    /// name. A column of a field's name that is mapped from another header is an ordinary one.
    pub map: BTreeMap<Field, String>,
}

impl Columns {
    /// Whether every field is the column of its own name.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }
}

/// How a file is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A header and rows, with `,`, `;` or a tab between the cells.
    Csv,
    /// A header and rows, with tabs.
    Tsv,
    /// A peer a line.
    Txt,
}

impl FileKind {
    /// By the name's ending; everything but `.txt`, `.tsv` and `.tab` is read as CSV.
    pub fn of_path(path: &str) -> FileKind {
        let ending = path.rsplit_once('.').map_or("", |(_, ending)| ending);
        if ending.eq_ignore_ascii_case("txt") {
            FileKind::Txt
        } else if ending.eq_ignore_ascii_case("tsv") || ending.eq_ignore_ascii_case("tab") {
            FileKind::Tsv
        } else {
            FileKind::Csv
        }
    }
}

/// What a reading has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// The rows that hold anything, bad ones included; the header, blank rows and comments are none.
    pub rows: u64,
    /// The people handed over. One who stands twice within a page counts once, twice in different pages twice.
    pub people: u64,
    /// The first [`MAX_KEPT_BAD_ROWS`] bad rows, in the file's order.
    pub bad: Vec<BadRow>,
    /// How many rows are bad.
    pub bad_count: u64,
    /// All columns as the header names them, trimmed; empty for a TXT file.
    pub header: Vec<String>,
    /// The columns that are `contact.fields.*`; what templates may name.
    pub fields: Vec<String>,
    /// What stands between the cells; `None` for a TXT file.
    pub delimiter: Option<char>,
    /// The encoding: `UTF-8`, `UTF-16LE`, `UTF-16BE` or `windows-1251`.
    pub encoding: &'static str,
    /// Whether the file was read to its end: not where the sink broke off or a check had seen enough.
    pub complete: bool,
}

/// Reads a file and hands its people over in pages of at most [`PAGE`].
///
/// `origin` is where they were found, in the operator's words. Each person comes with the id by which he is known
/// now ([`Person::person_id`]): the user id where the row has one, else the stand-in of the username, else of the phone.
/// One person in several rows of a page is merged; over pages the caller merges by the id.
///
/// # Errors
/// Where the file as a whole cannot be used: it cannot be read, is no text, or its header names nobody. Pages may have
/// been handed over before (a file that breaks off in its midst): a caller keeps what it had.
pub fn read(
    mut source: impl Read,
    kind: FileKind,
    columns: &Columns,
    origin: &str,
    sink: &mut dyn FnMut(Vec<(PersonId, Person)>) -> ControlFlow<()>,
) -> Result<Summary, FileProblem> {
    let text = Text::open(&mut source, u64::MAX)?;
    Reading::new(origin, u64::MAX, sink).run(text, kind, columns)
}

/// Reads at most `max_rows` rows, of the first [`MAX_CHECKED_BYTES`], and says what is wrong with them; 0 looks at the
/// header alone.
///
/// # Errors
/// Those of [`read`].
pub fn check(
    mut source: impl Read,
    kind: FileKind,
    columns: &Columns,
    max_rows: u64,
) -> Result<Summary, FileProblem> {
    let text = Text::open(&mut source, MAX_CHECKED_BYTES)?;
    Reading::new("", max_rows, &mut |_| ControlFlow::Continue(())).run(text, kind, columns)
}

/// One reading under way.
struct Reading<'a> {
    origin: &'a str,
    max_rows: u64,
    sink: &'a mut dyn FnMut(Vec<(PersonId, Person)>) -> ControlFlow<()>,
    page: Vec<(PersonId, Person)>,
    /// Where in the page a person stands.
    places: HashMap<PersonId, usize>,
    page_bytes: usize,
    summary: Summary,
}

impl<'a> Reading<'a> {
    fn new(
        origin: &'a str,
        max_rows: u64,
        sink: &'a mut dyn FnMut(Vec<(PersonId, Person)>) -> ControlFlow<()>,
    ) -> Self {
        Reading {
            origin,
            max_rows,
            sink,
            page: Vec::new(),
            places: HashMap::new(),
            page_bytes: 0,
            summary: Summary::default(),
        }
    }

    fn run(
        mut self,
        mut text: Text<'_>,
        kind: FileKind,
        columns: &Columns,
    ) -> Result<Summary, FileProblem> {
        self.summary.encoding = text.encoding();
        let flow = match kind {
            FileKind::Txt => self.lines(&mut text)?,
            FileKind::Csv | FileKind::Tsv => self.table(&mut text, kind, columns)?,
        };
        let flow = match flow {
            ControlFlow::Continue(()) => self.hand_over(),
            stopped => stopped,
        };
        self.summary.complete = flow.is_continue() && text.is_empty()?;
        Ok(self.summary)
    }

    /// Whether there is another row to look at.
    fn goes_on(&self, text: &mut Text<'_>) -> Result<bool, FileProblem> {
        Ok(self.summary.rows < self.max_rows && !text.is_empty()? && !text.is_enough())
    }

    fn lines(&mut self, text: &mut Text<'_>) -> Result<ControlFlow<()>, FileProblem> {
        while self.goes_on(text)? {
            let number = text.line();
            let Some(len) = text.line_len() else {
                self.bad(BadRow::too_long(number).written_as(text.window()));
                text.skip_line()?;
                continue;
            };
            let (line, _) = text.window().split_at(len);
            let verdict =
                row::of_line(line, self.summary.rows == 0).map_err(|row| row.written_as(line));
            text.advance(len);
            if self.take(number, verdict).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn table(
        &mut self,
        text: &mut Text<'_>,
        kind: FileKind,
        columns: &Columns,
    ) -> Result<ControlFlow<()>, FileProblem> {
        let mut record = Record::default();
        let header = Header::read(text, kind, columns, &mut record)?;
        self.summary.delimiter = Some(char::from(header.delimiter));
        self.summary.fields = header.fields();
        self.summary.header.clone_from(&header.names);
        let mut broken = 0u64;
        while self.goes_on(text)? {
            let number = text.line();
            match record.parse(text.window(), header.delimiter) {
                Ok(len) => {
                    let verdict = row::of_record(text.window(), &record, &header)
                        .map_err(|row| row.written_as(text.window()));
                    text.advance(len);
                    if self.take(number, verdict).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                Err(Broken { why, at }) => {
                    broken += 1;
                    if broken > MAX_BROKEN {
                        return Err(FileProblem::BrokenQuotes {
                            count: broken,
                            line: number,
                        });
                    }
                    let row = BadRow::broken(number, why, text.window(), at);
                    self.bad(row.written_as(text.window()));
                    // Only its first line is given up: what a stray quote would swallow are rows of others.
                    text.skip_line()?;
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn bad(&mut self, row: BadRow) {
        self.summary.rows += 1;
        self.summary.bad_count += 1;
        if self.summary.bad.len() < MAX_KEPT_BAD_ROWS {
            self.summary.bad.push(row);
        }
    }

    /// Takes one row: somebody, nothing, or why it names nobody.
    fn take(&mut self, line: u64, verdict: Result<Option<Named>, BadRow>) -> ControlFlow<()> {
        let named = match verdict {
            Ok(None) => return ControlFlow::Continue(()),
            Err(row) => {
                self.bad(BadRow { line, ..row });
                return ControlFlow::Continue(());
            }
            Ok(Some(named)) => named,
        };
        self.summary.rows += 1;
        let Named {
            contact,
            references,
            bytes,
        } = named;
        let person = Person {
            given: Given::of(&contact),
            contact,
            references,
            origins: vec![self.origin.to_owned()],
            ..Person::default()
        };
        let Some(id) = person.person_id() else {
            return ControlFlow::Continue(());
        };
        self.page_bytes += bytes;
        match self.places.get(&id).and_then(|at| self.page.get_mut(*at)) {
            Some((_, known)) => known.merge(person),
            None => {
                if self.page.capacity() == 0 {
                    self.page.reserve_exact(PAGE);
                }
                self.places.insert(id, self.page.len());
                self.page.push((id, person));
            }
        }
        if self.page.len() >= PAGE || self.page_bytes >= PAGE_BYTES {
            return self.hand_over();
        }
        ControlFlow::Continue(())
    }

    fn hand_over(&mut self) -> ControlFlow<()> {
        if self.page.is_empty() {
            return ControlFlow::Continue(());
        }
        self.summary.people += self.page.len() as u64;
        self.places.clear();
        self.page_bytes = 0;
        (self.sink)(std::mem::take(&mut self.page))
    }
}

#[cfg(test)]
mod tests;

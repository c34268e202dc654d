//! CSV and TXT files that name people (CONTRACT section 2, 'Files').
//!
//! One reader for the check, for the planner's look-up and for previews: what validation accepts is what is read.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::check::{CheckContext, MAX_AUDIENCE_FILE, file_error};
use super::codes;
use super::diagnostic::{Findings, Pointer, did_you_mean, quote};
use super::sources::Column;
use crate::model::{Contact, Reference};

/// The most columns of a CSV file. A table with more is no list of people.
const MAX_COLUMNS: usize = 200;
/// The longest cell that is kept, in characters: twice Telegram's longest message.
const MAX_CELL: usize = 8192;
/// How many bad rows are reported one by one; the rest as a number.
const MAX_REPORTED_ROWS: usize = 10;
/// How many bad rows a reading remembers, so that a wholly bad file costs no memory.
const MAX_PROBLEMS: usize = 1000;

/// One person of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The line on which the row begins, from 1.
    pub line: u64,
    /// Everything that names him, the surest first: id, username, phone. At least one.
    pub references: Vec<Reference>,
    /// What templates may say of him: what the row says, cells that are empty left out.
    pub contact: Contact,
}

/// Why a row names nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    /// The line on which it begins, from 1.
    pub line: u64,
    /// One sentence.
    pub why: String,
}

/// Why a whole file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadFile {
    /// One of [`codes::ALL`].
    pub code: &'static str,
    /// What was found.
    pub summary: String,
    /// What was expected, what to do.
    pub detail: String,
    /// The header that was probably meant.
    pub suggestion: Option<String>,
    /// The entry of `columns:` that is wrong, if it is one.
    pub column: Option<Column>,
}

/// What a reading has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// The columns that are `contact.fields.*`, as the header writes them; empty for a TXT file.
    pub fields: Vec<String>,
    /// The rows that name somebody.
    pub rows: u64,
    /// The rows that name nobody: the first thousand of them.
    pub bad_rows: Vec<BadRow>,
    /// How many rows name nobody.
    pub bad_count: u64,
}

impl Summary {
    fn bad(&mut self, line: u64, why: String) {
        self.bad_count += 1;
        if self.bad_rows.len() < MAX_PROBLEMS {
            self.bad_rows.push(BadRow { line, why });
        }
    }
}

/// Reads a file; `path` only says whether it is TXT or CSV. Each person is handed to `each`.
///
/// # Errors
/// Where the file as a whole cannot be used: its encoding or its header.
pub fn read(
    path: &str,
    bytes: &[u8],
    columns: &BTreeMap<Column, String>,
    each: &mut dyn FnMut(Row),
) -> Result<Summary, BadFile> {
    let text = decode(bytes)?;
    if path.to_lowercase().ends_with(".txt") {
        Ok(read_txt(&text, each))
    } else {
        read_csv(&text, columns, each)
    }
}

/// The text of a UTF-8 (with or without BOM), UTF-16 or cp1251 file.
fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, BadFile> {
    let bad = |detail: &str| BadFile {
        code: codes::INVALID_ENCODING,
        summary: "the file is no text in UTF-8, UTF-16 or Windows-1251".to_owned(),
        detail: detail.to_owned(),
        suggestion: None,
        column: None,
    };
    if let Some((encoding, bom)) = encoding_rs::Encoding::for_bom(bytes) {
        return encoding
            .decode_without_bom_handling_and_without_replacement(&bytes[bom..])
            .ok_or_else(|| {
                bad(&format!(
                    "It begins as {} and then has bytes that are none. Save it as UTF-8.",
                    encoding.name()
                ))
            });
    }
    // Text in UTF-16 without a mark has a zero byte in nearly every pair, at the same side.
    let head = &bytes[..bytes.len().min(1024)];
    let zeros = |side: usize| {
        head.iter()
            .skip(side)
            .step_by(2)
            .filter(|b| **b == 0)
            .count()
    };
    if zeros(0) + zeros(1) > 0 {
        let encoding = if zeros(1) > zeros(0) {
            encoding_rs::UTF_16LE
        } else {
            encoding_rs::UTF_16BE
        };
        if zeros(0).max(zeros(1)) * 4 < head.len() {
            return Err(bad(
                "It holds zero bytes: it is probably not a text at all (a spreadsheet is exported as CSV).",
            ));
        }
        return encoding
            .decode_without_bom_handling_and_without_replacement(bytes)
            .ok_or_else(|| bad("It looks like UTF-16 and is not. Save it as UTF-8."));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Cow::Borrowed(text)),
        Err(_) => encoding_rs::WINDOWS_1251
            .decode_without_bom_handling_and_without_replacement(bytes)
            .ok_or_else(|| bad("Save it as UTF-8.")),
    }
}

fn read_txt(text: &str, each: &mut dyn FnMut(Row)) -> Summary {
    let mut summary = Summary::default();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match person(line) {
            Ok(reference) => {
                summary.rows += 1;
                let contact = contact_of(std::slice::from_ref(&reference));
                each(Row {
                    line: number,
                    references: vec![reference],
                    contact,
                });
            }
            Err(why) => summary.bad(number, why),
        }
    }
    summary
}

/// A reference that can be a person.
fn person(text: &str) -> Result<Reference, String> {
    match Reference::parse(text).map_err(|error| error.to_string())? {
        Reference::Invite(_) => Err(format!(
            "{} is an invite link; it names a place, not a person",
            quote(text)
        )),
        reference => Ok(reference),
    }
}

fn contact_of(references: &[Reference]) -> Contact {
    let mut contact = Contact::default();
    for reference in references {
        match reference {
            Reference::Id(id) => contact.id = Some(*id),
            Reference::Username(name) => contact.username = Some(name.clone()),
            Reference::Phone(digits) => contact.phone = Some(digits.clone()),
            Reference::Invite(_) => {}
        }
    }
    contact
}

/// What each column of a CSV file is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Role {
    Person(Column),
    Field(String),
    /// Without a header: left out.
    Nameless,
}

const COLUMNS: [(Column, &str); 5] = [
    (Column::Id, "id"),
    (Column::Username, "username"),
    (Column::Phone, "phone"),
    (Column::FirstName, "first_name"),
    (Column::LastName, "last_name"),
];

impl Column {
    /// The column's name in a header and in `columns:`.
    pub fn as_str(self) -> &'static str {
        COLUMNS
            .iter()
            .find(|(column, _)| *column == self)
            .map_or("", |(_, name)| name)
    }
}

/// `,`, `;` or a tab: what stands most often in the first line, outside quotes.
fn delimiter(text: &str) -> u8 {
    let mut counts = [(b',', 0usize), (b';', 0), (b'\t', 0)];
    let mut quoted = false;
    for byte in text.bytes() {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' | b'\r' if !quoted => break,
            _ if !quoted => {
                for (delimiter, count) in &mut counts {
                    *count += usize::from(byte == *delimiter);
                }
            }
            _ => {}
        }
    }
    // The first of the most frequent, so that a header of one column is read with commas.
    counts
        .iter()
        .fold(
            (b',', 0),
            |best, one| if one.1 > best.1 { *one } else { best },
        )
        .0
}

fn roles(header: &[String], columns: &BTreeMap<Column, String>) -> Result<Vec<Role>, BadFile> {
    let bad = |summary: String, detail: String| BadFile {
        code: codes::BAD_HEADER,
        summary,
        detail,
        suggestion: None,
        column: None,
    };
    if header.len() > MAX_COLUMNS {
        return Err(bad(
            format!("the header has {} columns", header.len()),
            format!("At most {MAX_COLUMNS} are accepted."),
        ));
    }
    let mut roles: Vec<Option<Role>> = vec![None; header.len()];
    for (column, wanted) in columns {
        let wanted = wanted.trim();
        let found = header.iter().position(|name| name == wanted).or_else(|| {
            header
                .iter()
                .position(|name| name.to_lowercase() == wanted.to_lowercase())
        });
        let Some(index) = found else {
            return Err(BadFile {
                suggestion: did_you_mean(wanted, header.iter().map(String::as_str))
                    .map(str::to_owned),
                column: Some(*column),
                ..bad(
                    format!("the file has no column {}", quote(wanted)),
                    format!("Its header has: {}.", header.join(", ")),
                )
            });
        };
        if roles[index].is_some() {
            return Err(BadFile {
                column: Some(*column),
                ..bad(
                    format!("the column {} is named twice", quote(wanted)),
                    "Each column means one thing.".to_owned(),
                )
            });
        }
        roles[index] = Some(Role::Person(*column));
    }
    let mut fields = BTreeSet::new();
    for (role, name) in roles.iter_mut().zip(header) {
        if role.is_some() {
            continue;
        }
        let lower = name.to_lowercase();
        let known = COLUMNS
            .iter()
            .find(|(column, known)| *known == lower && !columns.contains_key(column));
        *role = Some(match known {
            Some((column, _)) => Role::Person(*column),
            None if name.is_empty() => Role::Nameless,
            None => Role::Field(name.clone()),
        });
    }
    let roles: Vec<Role> = roles
        .into_iter()
        .map(|role| role.unwrap_or(Role::Nameless))
        .collect();
    for (role, name) in roles.iter().zip(header) {
        let key = match role {
            Role::Person(column) => column.as_str().to_owned(),
            Role::Field(name) => format!("fields.{name}"),
            Role::Nameless => continue,
        };
        if !fields.insert(key) {
            return Err(bad(
                format!("the header has the column {} twice", quote(name)),
                "Each column needs its own name.".to_owned(),
            ));
        }
    }
    let names_people = |role: &Role| {
        matches!(
            role,
            Role::Person(Column::Id | Column::Username | Column::Phone)
        )
    };
    if !roles.iter().any(names_people) {
        return Err(bad(
            "the header has no column `id`, `username` or `phone`".to_owned(),
            format!(
                "One of them must name the person. Its columns are: {}. Say which one it is with `columns:`, as in `columns: {{phone: Телефон}}`.",
                header.join(", ")
            ),
        ));
    }
    Ok(roles)
}

fn read_csv(
    text: &str,
    columns: &BTreeMap<Column, String>,
    each: &mut dyn FnMut(Row),
) -> Result<Summary, BadFile> {
    // The reader counts a line at its `\n`, which with `\r\n` is after it has begun the next record.
    let text: Cow<'_, str> = if text.contains("\r\n") {
        text.replace("\r\n", "\n").into()
    } else {
        text.into()
    };
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter(&text))
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let mut record = csv::StringRecord::new();
    let unusable = |summary: String| BadFile {
        code: codes::BAD_HEADER,
        summary,
        detail: "A CSV file begins with a header that names its columns.".to_owned(),
        suggestion: None,
        column: None,
    };
    match reader.read_record(&mut record) {
        Ok(true) => {}
        Ok(false) => return Err(unusable("the file is empty".to_owned())),
        Err(error) => return Err(unusable(format!("the header cannot be read: {error}"))),
    }
    let header: Vec<String> = record
        .iter()
        .map(|cell| cell.trim().chars().take(100).collect())
        .collect();
    let roles = roles(&header, columns)?;
    let mut summary = Summary {
        fields: roles
            .iter()
            .filter_map(|role| {
                if let Role::Field(name) = role {
                    Some(name.clone())
                } else {
                    None
                }
            })
            .collect(),
        ..Summary::default()
    };
    loop {
        match reader.read_record(&mut record) {
            Ok(false) => break,
            Ok(true) => {}
            Err(error) => {
                // Text in memory cannot fail to be read; what is left is one broken record.
                let line = error.position().map_or(0, csv::Position::line);
                summary.bad(line, "the row cannot be read".to_owned());
                continue;
            }
        }
        let line = record.position().map_or(0, csv::Position::line);
        if record.iter().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        if record.len() > roles.len()
            && record
                .iter()
                .skip(roles.len())
                .any(|cell| !cell.trim().is_empty())
        {
            summary.bad(
                line,
                format!(
                    "the row has {} cells, the header {}",
                    record.len(),
                    roles.len()
                ),
            );
            continue;
        }
        match row(line, &record, &roles) {
            Ok(row) => {
                summary.rows += 1;
                each(row);
            }
            Err(why) => summary.bad(line, why),
        }
    }
    Ok(summary)
}

fn row(line: u64, record: &csv::StringRecord, roles: &[Role]) -> Result<Row, String> {
    let mut references = Vec::new();
    let mut contact = Contact::default();
    for (cell, role) in record.iter().zip(roles) {
        let cell = cell.trim();
        if cell.is_empty() {
            continue;
        }
        let kept = || cell.chars().take(MAX_CELL).collect::<String>();
        match role {
            Role::Person(Column::Id) => {
                let digits = cell.strip_prefix("id:").unwrap_or(cell);
                match digits.parse::<i64>() {
                    Ok(id) if id > 0 => references.push(Reference::Id(id)),
                    _ => {
                        return Err(format!(
                            "{} is no id; a positive whole number is expected",
                            quote(cell)
                        ));
                    }
                }
            }
            Role::Person(Column::Username) => match person(cell)? {
                reference @ Reference::Username(_) => references.push(reference),
                _ => return Err(format!("{} is no username", quote(cell))),
            },
            Role::Person(Column::Phone) => match person(cell) {
                Ok(reference @ Reference::Phone(_)) => references.push(reference),
                _ => {
                    return Err(format!(
                        "{} is no phone in international form; it begins with a plus and has 7 to 15 digits",
                        quote(cell)
                    ));
                }
            },
            Role::Person(Column::FirstName) => contact.first_name = Some(kept()),
            Role::Person(Column::LastName) => contact.last_name = Some(kept()),
            Role::Field(name) => {
                contact.fields.insert(name.clone(), kept());
            }
            Role::Nameless => {}
        }
    }
    if references.is_empty() {
        return Err("the row names nobody: id, username and phone are empty".to_owned());
    }
    references.sort_by_key(|reference| match reference {
        Reference::Id(_) => 0,
        Reference::Username(_) => 1,
        Reference::Phone(_) => 2,
        Reference::Invite(_) => 3,
    });
    let named = contact_of(&references);
    let contact = Contact {
        id: named.id,
        username: named.username,
        phone: named.phone,
        ..contact
    };
    Ok(Row {
        line,
        references,
        contact,
    })
}

/// Reads the file that a source names, and reports what is wrong with it. `at` is the source.
pub(super) fn check(
    full: &str,
    columns: &BTreeMap<Column, String>,
    at: &Pointer,
    cx: &CheckContext<'_>,
    out: &mut Findings,
) {
    let place = at.key("path");
    let bytes = match cx.files.read(full, MAX_AUDIENCE_FILE) {
        Ok(bytes) => bytes,
        Err(error) => return file_error(full, full, &error, &place, out),
    };
    if full.to_lowercase().ends_with(".txt") && !columns.is_empty() {
        out.warning(
            &at.key("columns"),
            codes::NO_EFFECT,
            "a TXT file has no columns",
        )
        .at_key()
        .detail("It holds a peer a line. Take `columns` out, or name a CSV file.");
    }
    let summary = match read(full, &bytes, columns, &mut |_| {}) {
        Ok(summary) => summary,
        Err(bad) => {
            let place = match bad.column {
                Some(column) => at.key("columns").key(column.as_str()),
                None => place,
            };
            let finding = out.error(
                &place,
                bad.code,
                format!("{}: {}", quote(full), bad.summary),
            );
            finding.detail(bad.detail);
            if let Some(suggestion) = bad.suggestion {
                finding.suggestion(suggestion);
            }
            return;
        }
    };
    let text: std::sync::Arc<str> = decode(&bytes)
        .map(|text| text.as_ref().into())
        .unwrap_or_default();
    for bad in summary.bad_rows.iter().take(MAX_REPORTED_ROWS) {
        let line = usize::try_from(bad.line).unwrap_or(1);
        let width = text
            .lines()
            .nth(line.saturating_sub(1))
            .map_or(1, |l| l.chars().count());
        out.warning(&place, codes::BAD_ROW, format!("line {line}: {}", bad.why))
            .in_file(full)
            .with_text(std::sync::Arc::clone(&text))
            .inner(line, 1, width)
            .detail("The row is left out. Correct it, or take it out.");
    }
    let more = summary.bad_count.saturating_sub(MAX_REPORTED_ROWS as u64);
    if more > 0 {
        out.warning(
            &place,
            codes::BAD_ROW,
            format!("{more} more rows of {} name nobody", quote(full)),
        )
        .detail("They are left out.");
    }
    if summary.rows == 0 {
        out.warning(
            &place,
            codes::BAD_ROW,
            format!("the file {} names nobody", quote(full)),
        )
        .detail("It has a header and no person. The source finds nobody.");
    }
}

/// The field columns of the files that the sources name; `None` where a template may use any name: no file is named,
/// one cannot be read, or people come with what another campaign collected.
pub(super) fn field_columns(
    sources: &[super::Source],
    cx: &CheckContext<'_>,
) -> Option<BTreeSet<String>> {
    use super::Source;
    let mut all = None;
    for source in sources {
        match source {
            Source::Audience { .. } => return None,
            Source::File { path, columns, .. } => {
                let full = super::files::resolve(cx.file, path).ok()?;
                let bytes = cx.files.read(&full, MAX_AUDIENCE_FILE).ok()?;
                let fields = header_fields(&full, &bytes, columns).ok()?;
                all.get_or_insert_with(BTreeSet::new).extend(fields);
            }
            _ => {}
        }
    }
    all
}

/// The field columns of one file, from its header alone.
fn header_fields(
    path: &str,
    bytes: &[u8],
    columns: &BTreeMap<Column, String>,
) -> Result<Vec<String>, BadFile> {
    let text = decode(bytes)?;
    if path.to_lowercase().ends_with(".txt") {
        return Ok(Vec::new());
    }
    // A header is one record: what follows its line is not looked at, unless a quoted name breaks the line.
    let mut quoted = false;
    let end = text.bytes().position(|byte| {
        quoted ^= byte == b'"';
        byte == b'\n' && !quoted
    });
    let head = end.map_or(text.as_ref(), |at| &text[..at]);
    read_csv(head, columns, &mut |_| {}).map(|summary| summary.fields)
}

#[cfg(test)]
mod tests;

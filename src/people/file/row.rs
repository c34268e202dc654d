//! From cells to a person.

use crate::model::{Contact, Reference, ReferenceError};

use super::header::{Header, Role};
use super::problem::BadRow;
use super::split::{Record, trimmed};
use super::{Field, MAX_CELL};

/// Somebody whom a row names.
pub(super) struct Named {
    pub(super) contact: Contact,
    /// The surest first: id, username, phone. At least one.
    pub(super) references: Vec<Reference>,
    /// About how much memory his texts take.
    pub(super) bytes: usize,
}

impl Named {
    fn by(reference: Reference) -> Named {
        let mut contact = Contact::default();
        note(&mut contact, &reference);
        Named {
            contact,
            references: vec![reference],
            bytes: 64,
        }
    }
}

fn note(contact: &mut Contact, reference: &Reference) {
    match reference {
        Reference::Id(id) => contact.id = Some(*id),
        Reference::Username(name) => contact.username = Some(name.clone()),
        Reference::Phone(digits) => contact.phone = Some(digits.clone()),
        Reference::Invite(_) => {}
    }
}

/// A cell that is not what its column expects.
struct Unexpected(String);

/// Reads a row of a table; `None` where it is blank. The line of a bad row is the caller's to fill in.
pub(super) fn of_record(
    window: &str,
    record: &Record,
    header: &Header,
) -> Result<Option<Named>, BadRow> {
    if record.cells(window).all(str::is_empty) {
        return Ok(None);
    }
    // A spreadsheet leaves empty cells at a row's end out, or writes more of them: what says nothing is not missed.
    let columns = header.roles.len();
    if (columns..record.len()).any(|index| !record.cell(window, index).is_empty()) {
        return Err(BadRow {
            found: format!("{} cells", record.len()),
            expected: format!("at most {columns}, as in the header"),
            ..BadRow::default()
        });
    }
    let (mut id, mut username, mut phone) = (None, None, None);
    let mut contact = Contact::default();
    let mut bytes = 64;
    for (index, role) in header.roles.iter().enumerate() {
        let cell = record.cell(window, index);
        if cell.is_empty() {
            continue;
        }
        bytes += cell.len();
        let read = readable(cell).and_then(|()| {
            match role {
                Role::Person(Field::Id) => id = Some(user_id(cell)?),
                Role::Person(Field::Username) => username = Some(name(cell)?),
                Role::Person(Field::Phone) => phone = Some(number(cell)?),
                Role::Person(Field::FirstName) => contact.first_name = Some(cell.to_owned()),
                Role::Person(Field::LastName) => contact.last_name = Some(cell.to_owned()),
                Role::Field(name) => {
                    bytes += name.len();
                    contact.fields.insert(name.clone(), cell.to_owned());
                }
                Role::Nameless => {}
            }
            Ok(())
        });
        if let Err(Unexpected(expected)) = read {
            let header = header.names.get(index).cloned();
            return Err(BadRow::cell(
                window,
                record.written(index),
                header,
                cell,
                expected,
            ));
        }
    }
    let references: Vec<Reference> = [id, username, phone].into_iter().flatten().collect();
    if references.is_empty() {
        let naming = header.naming();
        let (be, fields) = match naming.split_last() {
            Some((last, [])) => ("is", last.clone()),
            Some((last, rest)) => ("are", format!("{} and {last}", rest.join(", "))),
            None => ("is", String::new()),
        };
        return Err(BadRow {
            found: format!("a row that names nobody ({fields} {be} empty)"),
            expected: "an id, a username or a phone".to_owned(),
            ..BadRow::default()
        });
    }
    for reference in &references {
        note(&mut contact, reference);
    }
    Ok(Some(Named {
        contact,
        references,
        bytes,
    }))
}

/// Reads a line of a TXT file; `None` where it is blank or a comment.
pub(super) fn of_line(line: &str, first: bool) -> Result<Option<Named>, BadRow> {
    let whole = trimmed(line);
    if whole.is_empty() || whole.starts_with('#') {
        return Ok(None);
    }
    // A `#` behind a blank begins a comment; within a link it is part of it.
    let peer = whole
        .char_indices()
        .find(|(at, c)| *c == '#' && whole[..*at].ends_with(char::is_whitespace))
        .map_or(whole, |(at, _)| trimmed(&whole[..at]));
    let bare = peer
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .map_or(peer, trimmed);
    let read = readable(bare).and_then(|()| {
        // `username` could be somebody's name; as a file's first line it is a header.
        if first && Field::of_name(bare).is_some() {
            return Err(Unexpected(
                "a peer a line: this is a header, and a TXT file has none (name a table .csv)"
                    .to_owned(),
            ));
        }
        match Reference::parse(bare) {
            Ok(Reference::Invite(_)) => Err(Unexpected(
                "a person; an invite link names a place".to_owned(),
            )),
            Ok(reference) => Ok(reference),
            Err(ReferenceError::BareNumber(number)) => {
                let digits: String = number.chars().filter(char::is_ascii_digit).collect();
                Err(Unexpected(format!(
                    "+{digits} for a phone or id:{digits} for an id; a bare number names nobody"
                )))
            }
            Err(ReferenceError::Unknown(_)) if bare.contains([',', ';', ' ', '\t']) => {
                Err(Unexpected("one peer a line".to_owned()))
            }
            Err(error) => Err(Unexpected(expected(&error))),
        }
    });
    match read {
        Ok(reference) => Ok(Some(Named::by(reference))),
        Err(Unexpected(expected)) => {
            let from = line.find(peer).unwrap_or(0);
            Err(BadRow::cell(
                line,
                (from, from + peer.len()),
                None,
                bare,
                expected,
            ))
        }
    }
}

/// Refuses what is too long or was lost in decoding.
fn readable(cell: &str) -> Result<(), Unexpected> {
    if cell.len() > MAX_CELL {
        return Err(Unexpected(format!(
            "at most {MAX_CELL} bytes in a cell; here are {}",
            cell.len()
        )));
    }
    // Looking for single bytes is quick; hardly any cell holds them.
    let bytes = cell.as_bytes();
    if bytes.contains(&0xEF) && cell.contains('\u{FFFD}') {
        return Err(Unexpected(
            "text in the file's encoding; some bytes are none. Save the file as UTF-8".to_owned(),
        ));
    }
    if bytes.contains(&0) {
        return Err(Unexpected("text; there is a zero byte in it".to_owned()));
    }
    Ok(())
}

/// Without the apostrophe by which spreadsheets (and our own exports) keep `+` and `@` from being a formula.
fn without_apostrophe(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if rest.starts_with(['+', '@']) => rest,
        _ => cell,
    }
}

fn user_id(cell: &str) -> Result<Reference, Unexpected> {
    let digits = match cell.get(..3) {
        Some(head) if head.eq_ignore_ascii_case("id:") => trimmed(&cell[3..]),
        _ => cell,
    };
    // `parse` alone would take a plus for part of the number.
    let plain = digits.bytes().all(|b| b.is_ascii_digit());
    match digits.parse::<i64>() {
        Ok(id) if plain && id > 0 => Ok(Reference::Id(id)),
        _ => Err(Unexpected(format!(
            "a user id: a positive whole number{}",
            spoiled(cell)
        ))),
    }
}

fn name(cell: &str) -> Result<Reference, Unexpected> {
    match Reference::parse(without_apostrophe(cell)) {
        Ok(reference @ Reference::Username(_)) => Ok(reference),
        Ok(Reference::Phone(_)) => {
            Err(Unexpected("a username like @alice; a phone belongs in the column `phone`".to_owned()))
        }
        Ok(Reference::Id(_)) => {
            Err(Unexpected("a username like @alice; an id belongs in the column `id`".to_owned()))
        }
        Ok(Reference::Invite(_)) => {
            Err(Unexpected("a username like @alice; an invite link names a place".to_owned()))
        }
        Err(ReferenceError::BareNumber(_)) => Err(Unexpected(
            "a username like @alice; a bare number names nobody (a phone belongs in the column `phone` with its +, an id in `id`)"
                .to_owned(),
        )),
        Err(error) => Err(Unexpected(expected(&error))),
    }
}

fn number(cell: &str) -> Result<Reference, Unexpected> {
    match Reference::parse(without_apostrophe(cell)) {
        Ok(reference @ Reference::Phone(_)) => Ok(reference),
        Err(ReferenceError::BareNumber(_)) => Err(Unexpected(
            "a phone in international form, with its + and the country's code, like +15550100"
                .to_owned(),
        )),
        _ => Err(Unexpected(format!(
            "a phone in international form: a + and 7 to 15 digits, like +15550100{}",
            spoiled(cell)
        ))),
    }
}

/// What to do about `7.9161E+10`, which a spreadsheet has made of a long number.
fn spoiled(cell: &str) -> &'static str {
    let mantissa = cell.split_once(['E', 'e']);
    let numeric = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_digit())
            && part
                .bytes()
                .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b','))
    };
    match mantissa {
        Some((head, tail)) if numeric(head) && numeric(tail.trim_start_matches('+')) => {
            "; a spreadsheet has shortened this one: format the column as text and enter it again"
        }
        _ => "",
    }
}

fn expected(error: &ReferenceError) -> String {
    match error {
        ReferenceError::Phone(_) => "a + and 7 to 15 digits".to_owned(),
        ReferenceError::Username(_) => {
            "a username: 4 to 32 Latin letters, digits and underscores, beginning with a letter"
                .to_owned()
        }
        ReferenceError::Id(_) => "id: and a positive whole number".to_owned(),
        ReferenceError::BareNumber(_) | ReferenceError::Unknown(_) => {
            "@name, a t.me link, a phone like +15550100, or id:123".to_owned()
        }
    }
}

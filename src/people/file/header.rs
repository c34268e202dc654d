//! What each column means.

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization;

use crate::model::Reference;

use super::decode::Text;
use super::problem::{BadRow, FileProblem};
use super::split::{Record, trimmed};
use super::{Columns, Field, FileKind, MAX_CELL, MAX_COLUMNS};

/// What a column is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Role {
    Person(Field),
    /// `contact.fields.*` under this name.
    Field(String),
    /// Without a name: left out.
    Nameless,
}

/// A table's first row, understood.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) names: Vec<String>,
    pub(super) roles: Vec<Role>,
    pub(super) delimiter: u8,
}

impl Header {
    /// Reads the header and goes on behind it.
    ///
    /// # Errors
    /// Where there is none, or it names nobody.
    pub(super) fn read(
        text: &mut Text<'_>,
        kind: FileKind,
        columns: &Columns,
        record: &mut Record,
    ) -> Result<Header, FileProblem> {
        let told = match kind {
            FileKind::Tsv => Some(b'\t'),
            FileKind::Csv | FileKind::Txt => directive(text)?,
        };
        loop {
            if text.is_empty()? {
                return Err(FileProblem::Empty);
            }
            let delimiter = told.unwrap_or_else(|| sniff(text.window(), columns, record));
            let len = record.parse(text.window(), delimiter).map_err(|broken| {
                let row = BadRow::broken(text.line(), broken.why, text.window(), broken.at);
                FileProblem::Header {
                    found: row.found,
                    expected: row.expected,
                }
            })?;
            let names: Vec<String> = record.cells(text.window()).map(usable).collect();
            text.advance(len);
            if names.iter().all(String::is_empty) {
                continue;
            }
            let roles = roles(&names, columns)?;
            return Ok(Header {
                names,
                roles,
                delimiter,
            });
        }
    }

    /// The columns that are `contact.fields.*`.
    pub(super) fn fields(&self) -> Vec<String> {
        let name = |role: &Role| match role {
            Role::Field(name) => Some(name.clone()),
            _ => None,
        };
        self.roles.iter().filter_map(name).collect()
    }

    /// The columns that say who is meant, for a message.
    pub(super) fn naming(&self) -> Vec<String> {
        let naming = |(role, name): (&Role, &String)| match role {
            Role::Person(field) if field.names_a_person() => Some(format!("`{name}`")),
            _ => None,
        };
        self.roles
            .iter()
            .zip(&self.names)
            .filter_map(naming)
            .collect()
    }
}

/// A header as a template can name it: composed (an export from macOS has `й` as two characters), trimmed, in one line.
fn usable(cell: &str) -> String {
    let composed: String = cell.nfc().collect();
    trimmed(&composed)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

/// The delimiter that a first line `sep=;` names, as Excel writes and reads it.
fn directive(text: &mut Text<'_>) -> Result<Option<u8>, FileProblem> {
    if text.is_empty()? {
        return Ok(None);
    }
    let Some(len) = text.line_len() else {
        return Ok(None);
    };
    let line = text
        .window()
        .get(..len)
        .unwrap_or("")
        .trim_end_matches(['\n', '\r']);
    let found = match line.as_bytes() {
        [s, e, p, b'=', delimiter @ (b',' | b';' | b'\t')]
            if [*s, *e, *p].eq_ignore_ascii_case(b"sep") =>
        {
            *delimiter
        }
        _ => return Ok(None),
    };
    text.advance(len);
    Ok(Some(found))
}

/// `,`, `;` or a tab: the one under which the most columns name a person; of those the one that gives the most columns.
fn sniff(window: &str, columns: &Columns, record: &mut Record) -> u8 {
    // A header of one unknown column is nothing to prefer: a broken one must not be read as one.
    let mut best = (b',', (0, 1));
    for delimiter in [b',', b';', b'\t'] {
        if record.parse(window, delimiter).is_err() {
            continue;
        }
        let known = record
            .cells(window)
            .map(usable)
            .filter(|name| {
                Field::of_name(name).is_some()
                    || columns
                        .map
                        .values()
                        .any(|wanted| same(&usable(wanted), name))
            })
            .count();
        let score = (known, record.len());
        if score > best.1 {
            best = (delimiter, score);
        }
    }
    best.0
}

fn same(one: &str, other: &str) -> bool {
    one == other || one.to_lowercase() == other.to_lowercase()
}

fn roles(names: &[String], columns: &Columns) -> Result<Vec<Role>, FileProblem> {
    if names.iter().any(|name| name.contains(['\0', '\u{FFFD}'])) {
        return Err(FileProblem::NotText { looks_like: None });
    }
    if names.len() > MAX_COLUMNS {
        return Err(FileProblem::TooManyColumns { found: names.len() });
    }
    if names.iter().any(|name| name.len() > MAX_CELL) {
        return Err(FileProblem::Header {
            found: format!("a name of more than {MAX_CELL} bytes"),
            expected: "the names of columns".to_owned(),
        });
    }
    let mut roles: Vec<Option<Role>> = vec![None; names.len()];
    for (field, wanted) in &columns.map {
        let wanted = usable(wanted);
        let exact = names.iter().position(|name| *name == wanted);
        let found = exact.or_else(|| names.iter().position(|name| same(name, &wanted)));
        let Some(role) = found
            .and_then(|at| roles.get_mut(at))
            .filter(|_| !wanted.is_empty())
        else {
            return Err(FileProblem::NoSuchColumn {
                field: *field,
                near: nearest(&wanted, names),
                wanted,
                found: names.to_vec(),
            });
        };
        if let Some(Role::Person(first)) = role {
            return Err(FileProblem::MappedTwice {
                header: wanted,
                first: *first,
                field: *field,
            });
        }
        *role = Some(Role::Person(*field));
    }
    let roles: Vec<Role> = roles
        .into_iter()
        .zip(names)
        .map(|(role, name)| match (role, Field::of_name(name)) {
            (Some(role), _) => role,
            (None, Some(field)) if !columns.map.contains_key(&field) => Role::Person(field),
            (None, _) if name.is_empty() => Role::Nameless,
            (None, _) => Role::Field(name.clone()),
        })
        .collect();
    let mut seen = BTreeSet::new();
    for (role, name) in roles.iter().zip(names) {
        let fresh = match role {
            Role::Person(field) => seen.insert((true, field.as_str())),
            Role::Field(name) => seen.insert((false, name.as_str())),
            Role::Nameless => true,
        };
        if !fresh {
            return Err(FileProblem::Doubled { name: name.clone() });
        }
    }
    let named = |role: &Role| matches!(role, Role::Person(field) if field.names_a_person());
    if roles.iter().any(named) {
        return Ok(roles);
    }
    Err(FileProblem::NobodyNamed {
        found: names.to_vec(),
        near: near_fields(names),
        no_header: names.iter().any(|name| is_peer(name)),
    })
}

/// Whether a text is clearly a person and no column's name.
fn is_peer(text: &str) -> bool {
    let marked = text.starts_with(['@', '+'])
        || text.contains("t.me/")
        || text.to_lowercase().starts_with("id:");
    let number = text.len() >= 5 && text.bytes().all(|b| b.is_ascii_digit());
    number || (marked && Reference::parse(text).is_ok())
}

/// What columns that name people are called elsewhere; only ever a suggestion.
const OTHER_NAMES: [(Field, &[&str]); 3] = [
    (
        Field::Id,
        &["userid", "telegramid", "tgid", "chatid", "peerid", "айди"],
    ),
    (
        Field::Username,
        &[
            "user",
            "login",
            "nick",
            "nickname",
            "telegram",
            "telegramusername",
            "tg",
            "tgusername",
            "handle",
            "ник",
            "никнейм",
            "юзернейм",
            "логин",
            "телеграм",
            "имяпользователя",
        ],
    ),
    (
        Field::Phone,
        &[
            "tel",
            "telephone",
            "phonenumber",
            "mobile",
            "mobilephone",
            "cell",
            "msisdn",
            "телефон",
            "тел",
            "номер",
            "мобильный",
            "номертелефона",
            "мобильныйтелефон",
        ],
    ),
];

/// The columns that probably name people, one of a kind.
fn near_fields(names: &[String]) -> Vec<(String, Field)> {
    let mut near: Vec<(String, Field)> = Vec::new();
    for name in names {
        let word = plain(name);
        let called = |(_, others): &&(Field, &[&str])| others.contains(&word.as_str());
        let field = OTHER_NAMES
            .iter()
            .find(called)
            .map(|(field, _)| *field)
            .or_else(|| {
                let naming = Field::ALL
                    .into_iter()
                    .filter(|field| field.names_a_person());
                naming
                    .into_iter()
                    .find(|field| is_near(&word, &plain(field.as_str())))
            });
        if let Some(field) = field
            && near.iter().all(|(_, other)| *other != field)
        {
            near.push((name.clone(), field));
        }
    }
    near
}

/// The column that a name is probably a slip of.
fn nearest(wanted: &str, names: &[String]) -> Option<String> {
    let word = plain(wanted);
    let near = names.iter().filter(|name| is_near(&word, &plain(name)));
    near.min_by_key(|name| strsim::damerau_levenshtein(&word, &plain(name)))
        .cloned()
}

/// Letters and digits alone, in lower case, so that `User-Name:` and `username` are one word.
fn plain(name: &str) -> String {
    // Longer words are no slips, and the comparison is quadratic.
    name.chars()
        .filter(|c| c.is_alphanumeric())
        .take(64)
        .flat_map(char::to_lowercase)
        .collect()
}

fn is_near(word: &str, target: &str) -> bool {
    let letters = word.chars().count().min(target.chars().count());
    if letters == 0 {
        return false;
    }
    word == target
        || (letters > 3 && strsim::damerau_levenshtein(word, target) <= (letters / 3).min(2))
}

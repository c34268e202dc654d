//! Arguments that several commands take.

use clap::ValueEnum;

use super::Failure;
use crate::model::Reference;
use crate::status::plain;

/// The longest reason: it stands in one line of a table.
pub(super) const MAX_REASON: usize = 500;

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// For people
    Table,
    /// For programs
    Json,
}

/// The form of a list that may be long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Rows {
    /// For people
    #[default]
    Table,
    /// For programs
    Json,
    /// For programs, one row a line
    Jsonl,
}

/// Who is meant.
pub(super) fn person(text: &str) -> Result<Reference, Failure> {
    match Reference::parse(text) {
        Ok(place @ Reference::Invite(_)) => Err(Failure::usage(format!(
            "{place} names a group or channel, no person"
        ))),
        Ok(person) => Ok(person),
        Err(error) => Err(Failure::usage(error.to_string())),
    }
}

/// A reason in one line.
pub(super) fn reason(text: &str) -> Result<String, Failure> {
    let text = plain(text).trim().to_owned();
    if text.is_empty() {
        return Err(Failure::usage("--reason is empty; say in a few words why"));
    }
    if text.chars().count() > MAX_REASON {
        return Err(Failure::usage(format!(
            "--reason has over {MAX_REASON} characters; say it shorter"
        )));
    }
    Ok(text)
}

//! CSV and TXT files that name people (CONTRACT section 2, 'Files').
//!
//! The rows are read by [`crate::people::file`], as a look-up reads them; here its verdict becomes diagnostics.

use std::collections::BTreeSet;

use super::Source;
use super::check::{CheckContext, file_error};
use super::codes;
use super::diagnostic::{Findings, Pointer, quote};
use super::files::resolve;
use crate::people::file::{BadRow, Columns, FileKind, FileProblem, MAX_CHECKED_ROWS, Summary};

/// How many bad rows are reported one by one; the rest as a number.
const MAX_REPORTED_ROWS: usize = 10;

/// Checks the file that a source names, and reports what is wrong with it. `at` is the source.
pub(super) fn check(
    full: &str,
    columns: &Columns,
    at: &Pointer,
    cx: &CheckContext<'_>,
    out: &mut Findings,
) {
    let place = at.key("path");
    if FileKind::of_path(full) == FileKind::Txt && !columns.is_empty() {
        out.warning(
            &at.key("columns"),
            codes::NO_EFFECT,
            "a TXT file has no columns",
        )
        .at_key()
        .detail("It holds a peer a line. Take `columns` out, or name a CSV file.");
    }
    match cx.files.check_people(full, columns) {
        Ok(checked) => match checked.as_ref() {
            Ok(summary) => report(full, summary, &place, out),
            Err(problem) => refuse(full, problem, at, out),
        },
        Err(error) => file_error(full, full, &error, &place, out),
    }
}

/// Says why none of a file can be used.
fn refuse(full: &str, problem: &FileProblem, at: &Pointer, out: &mut Findings) {
    let code = match problem {
        FileProblem::Unreadable(_) => codes::UNREADABLE,
        FileProblem::TooLarge => codes::TOO_LARGE,
        FileProblem::NotText { .. } => codes::INVALID_ENCODING,
        FileProblem::BrokenQuotes { .. } => codes::BROKEN_QUOTES,
        FileProblem::Empty
        | FileProblem::Header { .. }
        | FileProblem::TooManyColumns { .. }
        | FileProblem::NobodyNamed { .. }
        | FileProblem::NoSuchColumn { .. }
        | FileProblem::MappedTwice { .. }
        | FileProblem::Doubled { .. } => codes::BAD_HEADER,
    };
    let place = match problem.field() {
        Some(field) => at.key("columns").key(field.as_str()),
        None => at.key("path"),
    };
    let finding = out.error(&place, code, format!("{}: {problem}", quote(full)));
    match problem.suggestion() {
        // A suggestion is shown by itself: the help would repeat it.
        Some(suggestion) => finding
            .detail("A column is named as it stands in the file's first line.")
            .suggestion(suggestion),
        None => finding.detail(problem.help()),
    };
}

/// Says which rows are left out.
fn report(full: &str, summary: &Summary, place: &Pointer, out: &mut Findings) {
    let reported = summary.bad.iter().take(MAX_REPORTED_ROWS);
    for bad in reported.clone() {
        let line = usize::try_from(bad.line).unwrap_or(usize::MAX);
        let (column, width) = marked(bad);
        out.warning(place, codes::BAD_ROW, bad.to_string())
            .in_file(full)
            .with_line(line, bad.written.as_str())
            .inner(line, column, width)
            .detail("The row is left out. Correct it, or take it out.");
    }
    let more = summary.bad_count.saturating_sub(reported.len() as u64);
    if more > 0 {
        out.warning(
            place,
            codes::BAD_ROW,
            format!("{more} more rows of {} name nobody", quote(full)),
        )
        .detail("They are left out.");
    }
    if !summary.complete {
        out.warning(
            place,
            codes::PARTLY_CHECKED,
            format!("only the first {} rows of {} were checked", summary.rows, quote(full)),
        )
        .detail(format!(
            "A check looks at {MAX_CHECKED_ROWS} rows at most. The others are read when people are looked up; bad ones are left out then."
        ));
    } else if summary.people == 0 {
        out.warning(
            place,
            codes::BAD_ROW,
            format!("the file {} names nobody", quote(full)),
        )
        .detail("The source finds nobody. Add people to it, or take the source out.");
    }
}

/// The column and width to mark: of a row that is bad as a whole, all of its line.
fn marked(bad: &BadRow) -> (usize, usize) {
    match bad.width {
        0 => (1, bad.written.chars().count()),
        width => (bad.column, width),
    }
}

/// The field columns of the files that the sources name; `None` where a template may use any name: no file is named,
/// one cannot be read, or people come with what another campaign collected.
pub(super) fn field_columns(sources: &[Source], cx: &CheckContext<'_>) -> Option<BTreeSet<String>> {
    let mut all = None;
    for source in sources {
        match source {
            Source::Audience { .. } => return None,
            Source::File { path, columns, .. } => {
                let full = resolve(cx.file, path).ok()?;
                let checked = cx.files.check_people(&full, columns).ok()?;
                let summary = checked.as_ref().as_ref().ok()?;
                all.get_or_insert_with(BTreeSet::new)
                    .extend(summary.fields.iter().cloned());
            }
            _ => {}
        }
    }
    all
}

#[cfg(test)]
mod tests;

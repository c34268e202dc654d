//! What the checks of all elements share: the context, files that a spec names, places in templates.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::campaign::Kind;
use super::codes;
use super::diagnostic::{Findings, Pointer, Severity, quote};
use super::duration::Duration;
use super::engine::EngineSpec;
use super::files::{FileError, Files, resolve};
use crate::text::{Names, TemplateProblem};
use crate::time::TimeProblem;

/// The largest template or role file, in bytes: a message has at most 4096 UTF-16 units, and a prompt of this size
/// would fill any model's window.
pub const MAX_TEXT_FILE: u64 = 256 * 1024;
/// The largest photo, video or document, in bytes. Telegram takes 2 GB (core.telegram.org/api/files); what goes to
/// everybody of a mailing is held in memory while it is uploaded.
pub const MAX_MEDIA_FILE: u64 = 128 * 1024 * 1024;

/// What a check may know beside the spec itself.
#[derive(Clone, Copy)]
pub struct CheckContext<'a> {
    /// The spec's file, relative to the workspace, with forward slashes.
    pub file: &'a str,
    /// The workspace's files.
    pub files: &'a dyn Files,
    /// The settings of the engine; the default ones where there is no tidings.yaml.
    pub engine: &'a EngineSpec,
    /// The names of all campaigns and their kinds, `None` as kind where a file is invalid; `None` where only this
    /// file is looked at.
    pub campaigns: Option<&'a BTreeMap<String, Option<Kind>>>,
    /// The names of the session files; `None` where nobody looked.
    pub sessions: Option<&'a [String]>,
}

impl CheckContext<'_> {
    /// Reports a campaign that nobody has, with the one that was probably meant.
    pub(super) fn campaign_exists(&self, name: &str, at: &Pointer, out: &mut Findings) -> bool {
        match self.campaigns {
            Some(known) if !known.contains_key(name) => {
                out.error(
                    at,
                    codes::UNKNOWN_CAMPAIGN,
                    format!("there is no campaign {}", quote(name)),
                )
                .detail("The name of another campaign of this workspace is expected.")
                .did_you_mean(name, known.keys().map(String::as_str));
                false
            }
            _ => true,
        }
    }
}

/// A text file that a spec names: its path from the workspace on, and its text without a BOM.
pub(super) fn read_text(
    path: &str,
    at: &Pointer,
    cx: &CheckContext<'_>,
    out: &mut Findings,
) -> Option<(String, Arc<str>)> {
    let full = match resolve(cx.file, path) {
        Ok(full) => full,
        Err(error) => {
            file_error(path, path, &error, at, out);
            return None;
        }
    };
    match cx.files.read(&full, MAX_TEXT_FILE) {
        Ok(bytes) => match std::str::from_utf8(&bytes) {
            Ok(text) => Some((
                full,
                Arc::from(text.strip_prefix('\u{feff}').unwrap_or(text)),
            )),
            Err(error) => {
                out.error(
                    at,
                    codes::INVALID_ENCODING,
                    format!("the file {} is not UTF-8", quote(&full)),
                )
                .detail(format!(
                    "Its byte {} cannot be read. Save the file as UTF-8.",
                    error.valid_up_to() + 1
                ));
                None
            }
        },
        Err(error) => {
            file_error(path, &full, &error, at, out);
            None
        }
    }
}

/// A file that a spec names without its text being looked at: whether it is there and not too large.
pub(super) fn check_file(
    path: &str,
    max: u64,
    at: &Pointer,
    cx: &CheckContext<'_>,
    out: &mut Findings,
) -> Option<String> {
    let full = match resolve(cx.file, path) {
        Ok(full) => full,
        Err(error) => {
            file_error(path, path, &error, at, out);
            return None;
        }
    };
    // A limit of nothing asks for the size without a byte being read.
    match cx.files.read(&full, 0) {
        Ok(_) => {
            out.error(
                at,
                codes::EMPTY_TEXT,
                format!("the file {} is empty", quote(&full)),
            )
            .detail("A file with content is expected here.");
            None
        }
        Err(FileError::TooLarge { len, .. }) if len <= max => Some(full),
        Err(error) => {
            let error = match error {
                FileError::TooLarge { len, .. } => FileError::TooLarge { len, max },
                other => other,
            };
            file_error(path, &full, &error, at, out);
            None
        }
    }
}

/// Says why a named file cannot be had.
pub(super) fn file_error(
    written: &str,
    full: &str,
    error: &FileError,
    at: &Pointer,
    out: &mut Findings,
) {
    let relative = "Paths are relative to the spec's own folder.";
    match error {
        FileError::NotFound => out
            .error(
                at,
                codes::MISSING_FILE,
                format!("there is no file {}", quote(full)),
            )
            .detail(format!("{relative} Create the file, or correct the path.")),
        FileError::LeavesWorkspace => out
            .error(
                at,
                codes::LEAVES_WORKSPACE,
                format!("{} leads out of the workspace", quote(written)),
            )
            .detail("Only files of the workspace are read. Put a copy there."),
        FileError::Absolute => out
            .error(
                at,
                codes::LEAVES_WORKSPACE,
                format!("{} is an absolute path", quote(written)),
            )
            .detail(format!("{relative} Only files of the workspace are read.")),
        FileError::Private(_) => out
            .error(
                at,
                codes::PRIVATE_FILE,
                format!("{}: {error}", quote(written)),
            )
            .detail(
                "What a spec names goes out to people. State, sessions, settings and hidden files stay here. Put a copy of \
                 what is meant into another folder.",
            ),
        FileError::BadPath(why) => out
            .error(at, codes::BAD_PATH, format!("{}: {why}", quote(written)))
            .detail(relative),
        FileError::TooLarge { len, max } => out
            .error(
                at,
                codes::TOO_LARGE,
                format!("the file {} has {len} bytes", quote(full)),
            )
            .detail(format!("At most {max} bytes are accepted here.")),
        FileError::NotAFile => out
            .error(
                at,
                codes::NOT_A_FILE,
                format!("{} is not a regular file", quote(full)),
            )
            .detail(format!("{relative} Name a file.")),
        FileError::Unreadable(why) => out
            .error(
                at,
                codes::UNREADABLE,
                format!("the file {} cannot be read: {why}", quote(full)),
            )
            .detail("Check the file's permissions."),
    };
}

/// Where a template's text stands: in the spec itself, or in a file that it names.
pub(super) enum TextPlace {
    /// In the value at the pointer.
    Inline(Pointer),
    /// In a file of the workspace; the pointer is of the value that names it.
    File {
        /// The value that names it.
        at: Pointer,
        /// Its path from the workspace on.
        path: String,
        /// Its text.
        text: Arc<str>,
    },
}

/// Takes over the mistakes in a template, each at its place.
pub(super) fn template_problems(
    problems: Vec<TemplateProblem>,
    place: &TextPlace,
    out: &mut Findings,
) {
    take_over(problems, Severity::Error, place, out);
}

/// Takes over what in a template hardly means what it says, each at its place.
pub(super) fn template_warnings(
    warnings: &[TemplateProblem],
    place: &TextPlace,
    out: &mut Findings,
) {
    take_over(warnings.to_vec(), Severity::Warning, place, out);
}

fn take_over(
    problems: Vec<TemplateProblem>,
    severity: Severity,
    place: &TextPlace,
    out: &mut Findings,
) {
    let (TextPlace::Inline(at) | TextPlace::File { at, .. }) = place;
    for problem in problems {
        let TemplateProblem {
            line,
            column,
            len,
            code,
            summary,
            detail,
            suggestion,
        } = problem;
        let finding = match severity {
            Severity::Error => out.error(at, code, summary),
            Severity::Warning => out.warning(at, code, summary),
        };
        if let TextPlace::File { path, text, .. } = place {
            finding.in_file(path.as_str()).with_text(Arc::clone(text));
        }
        finding.inner(line, column, len).detail(detail);
        if let Some(suggestion) = suggestion {
            finding.suggestion(suggestion);
        }
    }
}

/// Takes over what is wrong with a time, zone, window or cron text, at its place in the text.
pub(super) fn time_problem(
    problem: TimeProblem,
    code: &'static str,
    at: &Pointer,
    out: &mut Findings,
) {
    let TimeProblem {
        column,
        len,
        summary,
        detail,
        suggestion,
    } = problem;
    let finding = out.error(at, code, summary).detail(detail);
    match suggestion {
        // What is suggested stands for the whole text, so the whole text is marked.
        Some(suggestion) => finding.suggestion(suggestion),
        None => finding.inner(1, column, len),
    };
}

/// An error where a duration is not from `min` to `max`.
pub(super) fn duration_within(
    value: Duration,
    min: Duration,
    max: Duration,
    at: &Pointer,
    out: &mut Findings,
) {
    if value < min || value > max {
        out.error(
            at,
            codes::OUT_OF_RANGE,
            format!(
                "{value} is too {}",
                if value < min { "short" } else { "long" }
            ),
        )
        .detail(format!("A duration from {min} to {max} is expected here."));
    }
}

/// Warns of values that stand twice in a list.
pub(super) fn no_duplicates<'a>(
    items: impl IntoIterator<Item = &'a str>,
    at: &Pointer,
    what: &str,
    out: &mut Findings,
) {
    let mut seen = BTreeSet::new();
    for (index, item) in items.into_iter().enumerate() {
        if !seen.insert(item.to_owned()) {
            out.warning(
                &at.index(index),
                codes::DUPLICATE_ITEM,
                format!("the {what} {} stands twice", quote(item)),
            )
            .detail("The second one changes nothing and can go.");
        }
    }
}

/// The names that the templates of a campaign may use (see `text`).
pub(super) type TemplateNames = Names;

/// Whether a text has anything to read.
pub(super) fn has_text(text: &str) -> bool {
    !text.trim().is_empty()
}

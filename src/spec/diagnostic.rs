//! What is wrong with a file, where, and what to do about it.
//!
//! Checks speak of values by [`Pointer`] and put their [`Finding`]s into [`Findings`]. Only at the end, when the
//! places of all values are at hand ([`Places`]), do findings become [`Diagnostic`]s: plain data with file, line,
//! column and a snippet, in the shape that `validate --format json` promises.

mod near;
mod snippet;

use std::fmt::{self, Write as _};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use near::{did_you_mean, no_such, quote};
pub use snippet::snippet;
use snippet::snippet_from;

/// How many findings one file may have. A file of 20,000 wrong values would otherwise bury the reader, and the
/// first ones nearly always explain the rest.
pub const MAX_FINDINGS: usize = 200;

/// Whether a finding keeps the file from being used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file is invalid.
    Error,
    /// The file is valid; a person should look all the same.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A place in a text. Lines and columns count from 1, columns in Unicode characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// The line, from 1.
    pub line: usize,
    /// The column in Unicode characters, from 1.
    pub column: usize,
}

impl Position {
    /// The first character of a text.
    pub const START: Self = Self { line: 1, column: 1 };

    /// The position at `line` and `column`, both from 1.
    pub fn new(line: usize, column: usize) -> Self {
        Self { line, column }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// A stretch of a text; `end` is exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Range {
    /// The first character.
    pub start: Position,
    /// The place just after the last character.
    pub end: Position,
}

/// A place that is always there, as tools expect it.
fn or_start<S: serde::Serializer>(range: &Option<Range>, out: S) -> Result<S::Ok, S::Error> {
    range.unwrap_or(Range::START).serialize(out)
}

impl Range {
    /// The beginning of a file.
    pub const START: Range = Range {
        start: Position { line: 1, column: 1 },
        end: Position { line: 1, column: 1 },
    };

    /// The range from `start` up to and without `end`.
    pub fn new(start: Position, end: Position) -> Self {
        Self { start, end }
    }

    /// `len` characters of one line.
    pub fn on_line(line: usize, column: usize, len: usize) -> Self {
        Self::new(
            Position::new(line, column),
            Position::new(line, column + len),
        )
    }
}

/// One message about one place, as `validate --format json` prints it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// A stable kebab-case name of the kind of mistake, such as `unknown-key`.
    pub code: String,
    /// The file, relative to the workspace, with forward slashes.
    pub file: String,
    /// The place; absent where the message is about the whole file (one that cannot be read, say). Whoever needs one is
    /// given the file's start.
    #[serde(serialize_with = "or_start")]
    pub range: Option<Range>,
    /// One sentence: what was found.
    pub summary: String,
    /// What was expected and what to do; may be empty.
    pub detail: String,
    /// The text that was probably meant, to be put in the place of the marked one.
    pub suggestion: Option<String>,
    /// The marked lines of the file, as plain text with a gutter of line numbers.
    pub snippet: Option<String>,
}

impl Diagnostic {
    /// A diagnostic about a file as a whole, with no place in it.
    pub fn of_file(
        severity: Severity,
        code: &str,
        file: impl Into<String>,
        summary: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            severity,
            code: code.to_owned(),
            file: file.into(),
            range: None,
            summary: summary.into(),
            detail: detail.into(),
            suggestion: None,
            snippet: None,
        }
    }

    /// Whether it keeps the file from being used.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// `file:line:column`, or the file alone.
    pub fn place(&self) -> String {
        match self.range {
            Some(range) => format!("{}:{}", self.file, range.start),
            None => self.file.clone(),
        }
    }
}

/// One line for logs and conditions: `campaigns/a.yaml:3:1: unknown key "templats"; did you mean templates?`
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place(), self.summary)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, "; did you mean `{suggestion}`?"),
            None => Ok(()),
        }
    }
}

/// The address of a value in a file: an RFC 6901 JSON pointer (`/delays/per_account/per_day`).
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pointer(String);

impl Pointer {
    /// The whole document.
    pub fn root() -> Self {
        Self::default()
    }

    /// The value of `key` in the mapping that this points at.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        let mut text = String::with_capacity(self.0.len() + key.len() + 1);
        text.push_str(&self.0);
        text.push('/');
        // RFC 6901, section 3: '~' and '/' are escaped in a reference token.
        for c in key.chars() {
            match c {
                '~' => text.push_str("~0"),
                '/' => text.push_str("~1"),
                c => text.push(c),
            }
        }
        Self(text)
    }

    /// The item at `index` (from 0) in the list that this points at.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        let mut text = self.0.clone();
        // Writing to a String cannot fail.
        let _ = write!(text, "/{index}");
        Self(text)
    }

    /// Reads the text form, which is empty or begins with `/`.
    pub fn parse(text: &str) -> Option<Self> {
        (text.is_empty() || text.starts_with('/')).then(|| Self(text.to_owned()))
    }

    /// The value that holds this one; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        self.0.rfind('/').map(|at| Self(self.0[..at].to_owned()))
    }

    /// The unescaped keys and indices from the root on.
    pub fn tokens(&self) -> impl Iterator<Item = String> + '_ {
        self.0
            .split('/')
            .skip(1)
            .map(|token| token.replace("~1", "/").replace("~0", "~"))
    }

    /// The unescaped last key or index; `None` for the root.
    pub fn last(&self) -> Option<String> {
        self.tokens().last()
    }

    /// The pointer's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address as people write it: `delays.per_account.per_day`, `sources[2].peer`; empty for the root.
    pub fn dotted(&self) -> String {
        let mut text = String::new();
        for token in self.tokens() {
            if !token.is_empty() && token.bytes().all(|b| b.is_ascii_digit()) {
                let _ = write!(text, "[{token}]");
            } else {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(&token);
            }
        }
        text
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where the values of one file stand; made by the YAML loader.
pub trait Places {
    /// The file's text, as the lines and columns count it.
    fn text(&self) -> &str;
    /// Where the value stands. A value that is not there is marked by the first key of the nearest mapping that is.
    fn value(&self, at: &Pointer) -> Range;
    /// Where the value's key stands; the value's own place in a list.
    fn key(&self, at: &Pointer) -> Range;
    /// A place inside a text value; `line` and `column` count from 1 in the value's decoded text.
    fn inner(&self, at: &Pointer, line: usize, column: usize, len: usize) -> Range;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Value,
    Key,
    Inner {
        line: usize,
        column: usize,
        len: usize,
    },
}

/// A finding under construction: a message about a value, not yet tied to lines and columns.
#[derive(Debug, Clone)]
pub struct Finding {
    severity: Severity,
    code: &'static str,
    at: Pointer,
    mark: Mark,
    other: Option<(String, Option<Arc<str>>)>,
    /// The line of the other file with which its text begins.
    first_line: usize,
    range: Option<Range>,
    aside: bool,
    summary: String,
    detail: String,
    suggestion: Option<String>,
}

impl Finding {
    /// Says what was expected and what to do.
    pub fn detail(&mut self, detail: impl Into<String>) -> &mut Self {
        self.detail = detail.into();
        self
    }

    /// Names the text to put in the place of the marked one (the text itself, not a sentence).
    pub fn suggestion(&mut self, suggestion: impl Into<String>) -> &mut Self {
        self.suggestion = Some(suggestion.into());
        self
    }

    /// Suggests the nearest of `candidates`, if one is near enough to `found` to be a slip.
    pub fn did_you_mean<'a>(
        &mut self,
        found: &str,
        candidates: impl IntoIterator<Item = &'a str>,
    ) -> &mut Self {
        self.suggestion = did_you_mean(found, candidates).map(str::to_owned);
        self
    }

    /// Marks the value's key instead of the value.
    pub fn at_key(&mut self) -> &mut Self {
        self.mark = Mark::Key;
        self
    }

    /// Marks a place inside a text value, `line` and `column` from 1 in the value's decoded text, `len` in
    /// characters. After [`Finding::in_file`] the place is one of that other file.
    pub fn inner(&mut self, line: usize, column: usize, len: usize) -> &mut Self {
        self.mark = Mark::Inner {
            line: line.max(1),
            column: column.max(1),
            len,
        };
        self
    }

    /// Puts the finding into another file (a template that the value names), relative to the workspace.
    /// Without [`Finding::inner`] it is about that whole file.
    pub fn in_file(&mut self, path: impl Into<String>) -> &mut Self {
        let text = self.other.take().and_then(|(_, text)| text);
        self.other = Some((path.into(), text));
        self
    }

    /// The text of the file named by [`Finding::in_file`], from which the snippet is cut.
    pub fn with_text(&mut self, text: impl Into<Arc<str>>) -> &mut Self {
        let path = self.other.take().map(|(path, _)| path).unwrap_or_default();
        self.other = Some((path, Some(text.into())));
        self
    }

    /// One line of the file named by [`Finding::in_file`], where its whole text is not at hand; the snippet shows it
    /// alone.
    pub fn with_line(&mut self, line: usize, text: impl Into<Arc<str>>) -> &mut Self {
        self.first_line = line.max(1);
        self.with_text(text)
    }

    /// Marks this very range, whatever the pointer says; for those who know the place itself.
    pub(crate) fn at_range(&mut self, range: Range) -> &mut Self {
        self.range = Some(range);
        self
    }

    /// Says that the value at the pointer is itself as it should be, so that later checks of it stand.
    pub(crate) fn aside(&mut self) -> &mut Self {
        self.aside = true;
        self
    }

    /// The diagnostic without its snippet, and the text of the other file that it is about.
    fn into_diagnostic(self, file: &str, places: &dyn Places) -> (Diagnostic, Option<Excerpt>) {
        let first_line = self.first_line;
        let (file, range, text) = match self.other {
            Some((path, text)) => {
                let range = match self.mark {
                    Mark::Inner { line, column, len } => {
                        Some(Range::on_line(line, column, len.max(1)))
                    }
                    Mark::Value | Mark::Key => None,
                };
                (path, range, Some(text.unwrap_or_else(|| Arc::from(""))))
            }
            None => {
                let range = self.range.unwrap_or_else(|| match self.mark {
                    Mark::Value => places.value(&self.at),
                    Mark::Key => places.key(&self.at),
                    Mark::Inner { line, column, len } => places.inner(&self.at, line, column, len),
                });
                (file.to_owned(), Some(range), None)
            }
        };
        let diagnostic = Diagnostic {
            severity: self.severity,
            code: self.code.to_owned(),
            file,
            range,
            summary: self.summary,
            detail: self.detail,
            suggestion: self.suggestion,
            snippet: None,
        };
        (diagnostic, text.map(|text| Excerpt { first_line, text }))
    }
}

/// Text of another file, from one of its lines on.
struct Excerpt {
    first_line: usize,
    text: Arc<str>,
}

/// Everything that was found in one file.
#[derive(Debug, Default)]
pub struct Findings {
    list: Vec<Finding>,
    errors: usize,
    dropped: usize,
    /// Values that an earlier check found wrong.
    known: Vec<Pointer>,
}

impl Findings {
    /// No findings yet, of a check that goes on where an earlier one found something.
    pub fn after(earlier: &Findings) -> Self {
        let errors = earlier
            .list
            .iter()
            .filter(|f| f.severity == Severity::Error);
        Self {
            known: errors.map(|f| f.at.clone()).collect(),
            ..Self::default()
        }
    }

    /// Whether an earlier check found this very value wrong, or missing.
    pub fn knows(&self, at: &Pointer) -> bool {
        self.known.contains(at)
    }

    /// No findings yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an error about the value at `at`; the answer takes details.
    pub fn error(
        &mut self,
        at: &Pointer,
        code: &'static str,
        summary: impl Into<String>,
    ) -> &mut Finding {
        self.errors += 1;
        self.push(Severity::Error, at, code, summary.into())
    }

    /// Adds a warning about the value at `at`; the answer takes details.
    pub fn warning(
        &mut self,
        at: &Pointer,
        code: &'static str,
        summary: impl Into<String>,
    ) -> &mut Finding {
        self.push(Severity::Warning, at, code, summary.into())
    }

    fn push(
        &mut self,
        severity: Severity,
        at: &Pointer,
        code: &'static str,
        summary: String,
    ) -> &mut Finding {
        // Twice the limit, so that errors that come after many warnings are still kept; the rest overwrites the last.
        if self.list.len() >= MAX_FINDINGS * 2 {
            self.list.pop();
            self.dropped += 1;
        }
        let finding = Finding {
            severity,
            code,
            at: at.clone(),
            mark: Mark::Value,
            other: None,
            first_line: 1,
            range: None,
            aside: false,
            summary,
            detail: String::new(),
            suggestion: None,
        };
        self.list.push(finding);
        let last = self.list.len() - 1;
        &mut self.list[last]
    }

    /// Whether there is an error among them.
    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether an error was found at `at`, in it, or on the way to it: a later check can then keep quiet about it.
    pub fn has_error_near(&self, at: &Pointer) -> bool {
        let covers = |outer: &str, inner: &str| {
            inner
                .strip_prefix(outer)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.list.iter().any(|f| {
            f.severity == Severity::Error
                && !f.aside
                && (f.at == *at
                    || covers(at.as_str(), f.at.as_str())
                    || (f.at != Pointer::root() && covers(f.at.as_str(), at.as_str())))
        })
    }

    /// Whether an error was found at this very value.
    pub fn has_error_at(&self, at: &Pointer) -> bool {
        self.list
            .iter()
            .any(|f| f.severity == Severity::Error && !f.aside && f.at == *at)
    }

    /// Takes over the findings of a later check, but for those about values near which there is an error already:
    /// they would only repeat its cause in other words.
    pub fn append_unless_near(&mut self, other: Findings) {
        let known = self.errors > 0;
        let mut kept: Vec<Finding> = other
            .list
            .into_iter()
            .filter(|f| !(known && self.has_error_near(&f.at)))
            .collect();
        self.errors += kept
            .iter()
            .filter(|f| f.severity == Severity::Error)
            .count();
        self.dropped += other.dropped;
        self.list.append(&mut kept);
    }

    /// Takes over the findings of another check of the same file.
    pub fn append(&mut self, other: Findings) {
        self.errors += other.errors;
        self.dropped += other.dropped;
        self.list.extend(other.list);
    }

    /// Ties the findings to their places, in the order of the file, errors before warnings of the same place, at
    /// most [`MAX_FINDINGS`], with a last one that says how many were left out.
    pub fn into_diagnostics(self, file: &str, places: &dyn Places) -> Vec<Diagnostic> {
        let mut found: Vec<(Diagnostic, Option<Excerpt>)> = self
            .list
            .into_iter()
            .map(|finding| finding.into_diagnostic(file, places))
            .collect();
        found.sort_by(|a, b| order(&a.0, &b.0));
        found.dedup_by(|(a, _), (b, _)| {
            a.code == b.code && a.file == b.file && a.range == b.range && a.summary == b.summary
        });
        let before = found.len();
        // Errors are what keeps the file from being used: warnings give way to them.
        if before > MAX_FINDINGS {
            let errors = found.iter().filter(|(d, _)| d.is_error()).count();
            let mut room = MAX_FINDINGS.saturating_sub(errors);
            found.retain(|(d, _)| {
                let keep = d.is_error() || room > 0;
                room = room.saturating_sub(usize::from(!d.is_error()));
                keep
            });
        }
        let dropped = self.dropped + before.saturating_sub(MAX_FINDINGS);
        found.truncate(MAX_FINDINGS);
        // A snippet costs a walk through the text: only those that stay get one.
        let mut all: Vec<Diagnostic> = found
            .into_iter()
            .map(|(mut diagnostic, text)| {
                let (text, first_line) = match &text {
                    Some(excerpt) => (excerpt.text.as_ref(), excerpt.first_line),
                    None => (places.text(), 1),
                };
                diagnostic.snippet = diagnostic
                    .range
                    .and_then(|range| snippet_from(text, first_line, range));
                diagnostic
            })
            .collect();
        if dropped > 0 {
            all.push(Diagnostic::of_file(
                if self.errors > 0 { Severity::Error } else { Severity::Warning },
                "too-many-findings",
                file,
                format!("{dropped} more messages about this file are not shown"),
                format!("A file's first {MAX_FINDINGS} messages are shown. Mend those, then validate again."),
            ));
        }
        all
    }
}

/// Puts diagnostics into the order in which people read them: by file, line, column; errors first at one place.
pub fn sort(diagnostics: &mut [Diagnostic]) {
    diagnostics.sort_by(order);
}

fn order(a: &Diagnostic, b: &Diagnostic) -> std::cmp::Ordering {
    (&a.file, a.range.map(|r| r.start), a.severity, &a.code).cmp(&(
        &b.file,
        b.range.map(|r| r.start),
        b.severity,
        &b.code,
    ))
}

#[cfg(test)]
mod tests;

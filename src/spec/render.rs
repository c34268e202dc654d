//! Diagnostics as text: for people, for programs, for GitHub, for code scanning.

mod sarif;

use std::fmt::Write as _;

use serde::Serialize;

use super::diagnostic::{Diagnostic, Severity};

/// The version of the JSON that is promised; its minor part rises for additions.
pub const FORMAT_VERSION: &str = "1.0";

/// The forms in which diagnostics are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Frames with the marked source, for people.
    #[default]
    Full,
    /// The promised JSON.
    Json,
    /// GitHub's workflow commands, which annotate a pull request.
    Github,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
}

impl std::str::FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "full" => Ok(Self::Full),
            "json" => Ok(Self::Json),
            "github" => Ok(Self::Github),
            "sarif" => Ok(Self::Sarif),
            other => Err(format!(
                "unknown format \"{other}\"; expected full, json, github or sarif"
            )),
        }
    }
}

/// How many there are of each kind, and in how many files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Errors.
    pub errors: usize,
    /// Warnings.
    pub warnings: usize,
    /// Files with one or the other.
    pub files: usize,
}

impl Counts {
    /// Counts them.
    pub fn of(diagnostics: &[Diagnostic]) -> Self {
        let errors = diagnostics.iter().filter(|d| d.is_error()).count();
        let mut files: Vec<&str> = diagnostics.iter().map(|d| d.file.as_str()).collect();
        files.sort_unstable();
        files.dedup();
        Self {
            errors,
            warnings: diagnostics.len() - errors,
            files: files.len(),
        }
    }
}

/// `3 errors, 1 warning in 2 files`
impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let some = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
        match (self.errors, self.warnings) {
            (0, 0) => return f.write_str("no errors"),
            (errors, 0) => f.write_str(&some(errors, "error"))?,
            (0, warnings) => f.write_str(&some(warnings, "warning"))?,
            (errors, warnings) => write!(
                f,
                "{}, {}",
                some(errors, "error"),
                some(warnings, "warning")
            )?,
        }
        write!(f, " in {}", some(self.files, "file"))
    }
}

/// Renders in the given format; `colour` is for [`Format::Full`] alone. The text ends with a line break, unless it is empty.
pub fn render(diagnostics: &[Diagnostic], format: Format, colour: bool) -> String {
    match format {
        Format::Full => full(diagnostics, colour),
        Format::Json => json(diagnostics),
        Format::Github => github(diagnostics),
        Format::Sarif => sarif::sarif(diagnostics),
    }
}

/// ANSI styles (ECMA-48, SGR); empty strings without colour.
struct Paint {
    bold: &'static str,
    blue: &'static str,
    red: &'static str,
    yellow: &'static str,
    green: &'static str,
    reset: &'static str,
}

const COLOURS: Paint = Paint {
    bold: "\u{1b}[1m",
    blue: "\u{1b}[1;34m",
    red: "\u{1b}[1;31m",
    yellow: "\u{1b}[1;33m",
    green: "\u{1b}[1;32m",
    reset: "\u{1b}[0m",
};

const NO_COLOURS: Paint = Paint {
    bold: "",
    blue: "",
    red: "",
    yellow: "",
    green: "",
    reset: "",
};

/// Frames for people: what, where, the source with the place marked, what to do; at the end the counts. Empty where
/// there is nothing to say.
pub fn full(diagnostics: &[Diagnostic], colour: bool) -> String {
    let paint = if colour { &COLOURS } else { &NO_COLOURS };
    let mut out = String::new();
    for diagnostic in diagnostics {
        frame(&mut out, diagnostic, paint);
        out.push('\n');
    }
    if !diagnostics.is_empty() {
        let counts = Counts::of(diagnostics);
        let tone = if counts.errors > 0 {
            paint.red
        } else {
            paint.yellow
        };
        let _ = writeln!(out, "{tone}{counts}{}", paint.reset);
    }
    out
}

fn frame(out: &mut String, diagnostic: &Diagnostic, paint: &Paint) {
    let Paint {
        bold,
        blue,
        green,
        reset,
        ..
    } = paint;
    let tone = match diagnostic.severity {
        Severity::Error => paint.red,
        Severity::Warning => paint.yellow,
    };
    let Diagnostic {
        severity,
        code,
        summary,
        ..
    } = diagnostic;
    let _ = writeln!(
        out,
        "{tone}{severity}[{code}]{reset}{bold}: {summary}{reset}"
    );
    // The gutter is as wide as the longest line number of the snippet.
    let gutter = diagnostic
        .range
        .map_or(1, |range| range.start.line.to_string().len());
    let pad = " ".repeat(gutter);
    let _ = writeln!(out, "{pad}{blue}-->{reset} {}", diagnostic.place());
    if let Some(snippet) = &diagnostic.snippet {
        let _ = writeln!(out, "{pad} {blue}|{reset}");
        for line in snippet.lines() {
            match line.split_once('|') {
                Some((number, rest)) if number.trim().is_empty() => {
                    let _ = writeln!(out, "{blue}{number}|{reset}{tone}{rest}{reset}");
                }
                Some((number, rest)) => {
                    let _ = writeln!(out, "{blue}{number}|{reset}{rest}");
                }
                None => {
                    let _ = writeln!(out, "{line}");
                }
            }
        }
    }
    if !diagnostic.detail.is_empty() {
        let text = wrap(
            &diagnostic.detail,
            WIDTH.saturating_sub(gutter + 3),
            gutter + 3,
        );
        let _ = writeln!(out, "{pad} {blue}={reset} {text}");
    }
    if let Some(suggestion) = &diagnostic.suggestion {
        let _ = writeln!(
            out,
            "{pad} {blue}={reset} {green}help{reset}: did you mean `{suggestion}`?"
        );
    }
}

/// The width at which long help is broken, in cells: readable in a split terminal.
const WIDTH: usize = 100;

/// Breaks a text between words, with an indent for the lines after the first.
fn wrap(text: &str, width: usize, indent: usize) -> String {
    let mut out = String::new();
    for (index, line) in text.lines().enumerate() {
        if index > 0 {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
        }
        let mut used = 0;
        for word in line.split(' ') {
            let cells = unicode_width::UnicodeWidthStr::width(word);
            if used > 0 && used + 1 + cells > width {
                out.push('\n');
                out.push_str(&" ".repeat(indent));
                used = 0;
            } else if used > 0 {
                out.push(' ');
                used += 1;
            }
            out.push_str(word);
            used += cells;
        }
    }
    out
}

#[derive(Serialize)]
struct Report<'a> {
    format_version: &'static str,
    diagnostics: &'a [Diagnostic],
}

/// The promised JSON: `{"format_version": "1.0", "diagnostics": […]}`.
pub fn json(diagnostics: &[Diagnostic]) -> String {
    pretty(&Report {
        format_version: FORMAT_VERSION,
        diagnostics,
    })
}

fn pretty(value: &impl Serialize) -> String {
    // Plain data with text keys always becomes JSON; an empty object is what is left to say otherwise.
    let mut text = serde_json::to_string_pretty(value).unwrap_or_else(|_| "{}".to_owned());
    text.push('\n');
    text
}

/// One workflow command a diagnostic, after
/// <https://docs.github.com/actions/reference/workflow-commands-for-github-actions>.
pub fn github(diagnostics: &[Diagnostic]) -> String {
    let mut out = String::new();
    for diagnostic in diagnostics {
        let _ = write!(
            out,
            "::{} file={}",
            diagnostic.severity,
            property(&diagnostic.file)
        );
        let range = diagnostic.range.unwrap_or(super::diagnostic::Range::START);
        let _ = write!(out, ",line={},col={}", range.start.line, range.start.column);
        // GitHub takes columns for places on one line only.
        let _ = write!(out, ",endLine={}", range.end.line);
        if range.end.line == range.start.line {
            let _ = write!(out, ",endColumn={}", range.end.column);
        }
        let _ = write!(out, ",title={}::", property(&diagnostic.code));
        let mut message = diagnostic.summary.clone();
        if !diagnostic.detail.is_empty() {
            message.push('\n');
            message.push_str(&diagnostic.detail);
        }
        if let Some(suggestion) = &diagnostic.suggestion {
            let _ = write!(message, "\nDid you mean `{suggestion}`?");
        }
        out.push_str(&data(&message));
        out.push('\n');
    }
    out
}

/// A command's message: `%`, CR and LF are escaped.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// A command's property: `:` and `,` besides.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// SARIF 2.1.0.
pub fn sarif(diagnostics: &[Diagnostic]) -> String {
    sarif::sarif(diagnostics)
}

#[cfg(test)]
mod tests;

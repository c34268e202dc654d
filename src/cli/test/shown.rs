//! Results for people.

use std::fmt::Write as _;

use super::{Miss, Results, TestResult};
use crate::status::{diff, plain};

/// Characters of a text around what was found in it.
const AROUND: usize = 40;

/// The results, campaign by campaign.
pub(super) fn text(results: &Results, colour: bool) -> String {
    let mut out = String::new();
    let mut campaign = "";
    for test in &results.tests {
        if test.campaign != campaign {
            campaign = &test.campaign;
            let _ = writeln!(out, "{}", paint(&plain(&test.campaign), "1", colour));
        }
        one(&mut out, test, colour);
    }
    if results.tests.is_empty() && results.diagnostics.is_empty() {
        out.push_str(
            "No tests: a spec's `tests:` say what should come of a made-up person; `tidings schema campaign` describes their keys.\n",
        );
        return out;
    }
    if !results.tests.is_empty() {
        out.push('\n');
    }
    let plural = |n: usize| if n == 1 { "" } else { "s" };
    let failed = match results.failed {
        0 => String::new(),
        n => paint(&format!(", {n} failed"), "31", colour),
    };
    let _ = writeln!(
        out,
        "{} test{} of {} campaign{}: {} passed{failed}.",
        results.tests.len(),
        plural(results.tests.len()),
        results.campaigns,
        plural(results.campaigns),
        results.passed
    );
    if !results.diagnostics.is_empty() {
        out.push_str("Some specs are invalid, and were not tested.\n");
    }
    out
}

fn one(out: &mut String, test: &TestResult, colour: bool) {
    if test.passed {
        let _ = writeln!(out, "  {} {}", paint("✓", "32", colour), plain(&test.name));
        return;
    }
    let _ = writeln!(
        out,
        "  {} {}  {}:{}:{}",
        paint("✗", "31", colour),
        paint(&plain(&test.name), "1", colour),
        plain(&test.file),
        test.line,
        test.column
    );
    for miss in &test.failures {
        for line in lines(miss, colour) {
            let _ = writeln!(out, "      {line}");
        }
    }
}

/// One miss: the sentence, and what it is about.
pub(super) fn lines(miss: &Miss, colour: bool) -> Vec<String> {
    let variant = miss
        .variant
        .as_ref()
        .map(|name| format!("template `{}`: ", plain(name)))
        .unwrap_or_default();
    let mut lines = vec![format!("{variant}{}", plain(&miss.message))];
    let indent = |line: String| format!("  {line}");
    match (miss.expectation, &miss.expected, &miss.actual) {
        ("text_contains", Some(wanted), Some(text)) => {
            let near = diff::nearest(text, wanted).unwrap_or("(nothing)");
            lines.extend(diff::lines(wanted, near, colour).into_iter().map(indent));
        }
        ("text_not_contains", Some(part), Some(text)) => {
            lines.push(indent(found(text, part, colour)));
        }
        (_, Some(wanted), Some(text)) => {
            lines.extend(diff::lines(wanted, text, colour).into_iter().map(indent));
        }
        (_, None, Some(text)) => lines.extend(
            text.lines()
                .map(|line| indent(format!("| {}", plain(line)))),
        ),
        _ => {}
    }
    lines
}

/// A part within what stands around it.
fn found(text: &str, part: &str, colour: bool) -> String {
    let at = text.find(part).unwrap_or(0);
    let (before, rest) = text.split_at(at);
    let after = rest.get(part.len()..).unwrap_or_default();
    let start: String = {
        let mut last: Vec<char> = before.chars().rev().take(AROUND).collect();
        last.reverse();
        last.into_iter().collect()
    };
    let end: String = after.chars().take(AROUND).collect();
    let mark = if colour {
        paint(&plain(part), "31;7", true)
    } else {
        format!("»{}«", plain(part))
    };
    format!("{}{mark}{}", plain(&start), plain(&end))
}

fn paint(text: &str, code: &str, colour: bool) -> String {
    if colour {
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}

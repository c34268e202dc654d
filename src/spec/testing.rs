//! What the case tables of all elements share: a small valid spec in which one part is replaced.

use std::collections::BTreeMap;

use super::diagnostic::Diagnostic;
use super::files::MemoryFiles;
use super::load::Parsed;
use super::{CheckContext, EngineSpec, Kind, load_campaign, load_engine};

/// The parts of a valid mailing, each by its key.
const BASE: [(&str, &str); 7] = [
    ("version", "version: 1"),
    ("name", "name: a"),
    ("kind", "kind: mailing"),
    ("consent", "consent: {basis: customers}"),
    ("accounts", "accounts: [main]"),
    ("sources", "sources: [{type: list, peers: [\"@alice\"]}]"),
    ("templates", "templates: [{name: t, text: Hi}]"),
];

/// The files beside the spec.
pub(super) fn files() -> MemoryFiles {
    MemoryFiles::new()
        .with(
            "campaigns/templates/t.j2",
            "Hi {{ contact.first_name | default('you') }}",
        )
        .with(
            "campaigns/templates/bad.j2",
            "Hi\n  {{ contact.frist_name }}",
        )
        .with(
            "campaigns/templates/number.j2",
            "Hi\n{{ 1 if contact.fields.age > 30 else 2 }}",
        )
        .with("campaigns/templates/latin.j2", b"caf\xe9")
        .with("campaigns/templates/huge.j2", vec![b'x'; 300 * 1024])
        .with("campaigns/media/banner.png", "png")
        .with("campaigns/media/empty.png", "")
        .with(
            "campaigns/people.csv",
            "username;Телефон;city\nalice;+15550100;Kazan\n",
        )
        .with("campaigns/broken.csv", "username\nalice\n15550100\n")
        .with("campaigns/nobody.csv", "name,city\na,b\n")
        .with(
            "campaigns/short.csv",
            "username;Телефон;city\nalice\n;+15550100\n",
        )
        .with("campaigns/empty.csv", "username\n")
        .with("campaigns/workbook.csv", "PK\u{3}\u{4}")
        .with("campaigns/people.txt", "@alice\n")
        .with("campaigns/people.xlsx", "PK")
}

/// The base with parts replaced (by their first key) or added; a part such as `-consent` takes one out.
pub(super) fn spec(parts: &str) -> String {
    let keys: Vec<&str> = parts
        .lines()
        .filter(|line| !line.starts_with([' ', '#']))
        .filter_map(|line| line.split(':').next())
        .map(|key| key.trim_start_matches('-'))
        .collect();
    let mut text: String = BASE
        .iter()
        .filter(|(key, _)| !keys.contains(key))
        .map(|(_, line)| format!("{line}\n"))
        .collect();
    for line in parts.lines().filter(|line| !line.starts_with('-')) {
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// Settings from YAML, which must be valid.
pub(super) fn engine(text: &str) -> EngineSpec {
    let none = EngineSpec::default();
    let files = MemoryFiles::new();
    let cx = CheckContext {
        file: "tidings.yaml",
        files: &files,
        engine: &none,
        campaigns: None,
        sessions: None,
    };
    let loaded = load_engine(text.as_bytes(), &|_| None, &cx);
    assert!(loaded.valid, "{:?}", loaded.diagnostics);
    loaded.value.expect("a valid file has a value")
}

/// A diagnostic as tables write it: `code: marked text`, warnings with `warning ` before.
fn short(text: &str, d: &Diagnostic) -> String {
    let marked = match d.range {
        Some(range) if range.start.line == range.end.line && d.file == "campaigns/a.yaml" => text
            .lines()
            .nth(range.start.line - 1)
            .unwrap_or_default()
            .chars()
            .skip(range.start.column - 1)
            .take(range.end.column - range.start.column)
            .collect(),
        Some(range) => format!("{}:{}", d.file, range.start),
        None => d.file.clone(),
    };
    format!(
        "{}{}: {marked}",
        if d.is_error() { "" } else { "warning " },
        d.code
    )
}

/// Loads and checks the base with these parts, under these settings.
pub(super) fn diagnose_with(parts: &str, settings: &str) -> Vec<Diagnostic> {
    diagnose_files(parts, settings, &files())
}

/// Loads and checks the base with these parts, under these settings, beside these files.
pub(super) fn diagnose_files(parts: &str, settings: &str, files: &MemoryFiles) -> Vec<Diagnostic> {
    let engine = engine(settings);
    let sessions = ["main".to_owned(), "second".to_owned()];
    let campaigns: BTreeMap<String, Option<Kind>> = [
        ("a".to_owned(), Some(Kind::Mailing)),
        ("winter".to_owned(), Some(Kind::Mailing)),
        ("gather".to_owned(), Some(Kind::Collect)),
    ]
    .into();
    let cx = CheckContext {
        file: "campaigns/a.yaml",
        files,
        engine: &engine,
        campaigns: Some(&campaigns),
        sessions: Some(&sessions),
    };
    load_campaign(Parsed::new(spec(parts).as_bytes()), &cx).diagnostics
}

/// A row of a table: its label, the parts, and what is found, in the file's order.
pub(super) type Case<'a> = (&'a str, &'a str, &'a [&'a str]);

/// Runs a table under the default settings.
pub(super) fn table(cases: &[Case<'_>]) {
    table_with("", cases);
}

/// Runs a table under these settings.
pub(super) fn table_with(settings: &str, cases: &[Case<'_>]) {
    let mut failures = String::new();
    for (label, parts, expected) in cases {
        let text = spec(parts);
        let found = diagnose_with(parts, settings);
        let shorts: Vec<String> = found.iter().map(|d| short(&text, d)).collect();
        if shorts != *expected {
            failures.push_str(&format!(
                "\n{label}:\n  expected {expected:?}\n  found    {shorts:?}"
            ));
            for d in &found {
                failures.push_str(&format!("\n    {d} / {}", d.detail));
            }
        }
        for d in &found {
            // Of a word that is not among those allowed the summary says all.
            let said = !d.detail.is_empty() || d.code == "unknown-value";
            assert!(!d.summary.is_empty() && said, "{label}: {d:?} lacks words");
            assert!(!d.summary.ends_with('.'), "{label}: {}", d.summary);
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

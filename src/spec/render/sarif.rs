//! SARIF 2.1.0 (OASIS), as far as code scanning reads it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Diagnostic, Severity, pretty};
use crate::spec::{codes, load, schema_check, yaml};

/// The log of one run.
pub(super) fn sarif(diagnostics: &[Diagnostic]) -> String {
    let mut rules: BTreeMap<&str, Severity> = BTreeMap::new();
    for diagnostic in diagnostics {
        rules.entry(&diagnostic.code).or_insert(diagnostic.severity);
    }
    let index: BTreeMap<&str, usize> = rules
        .keys()
        .enumerate()
        .map(|(i, code)| (*code, i))
        .collect();
    let rules: Vec<Value> = rules
        .iter()
        .map(|(code, severity)| {
            json!({
                "id": code,
                "name": camel(code),
                "shortDescription": {"text": meaning(code)},
                "defaultConfiguration": {"level": severity.as_str()},
            })
        })
        .collect();
    let results: Vec<Value> = diagnostics
        .iter()
        .map(|d| result(d, index.get(d.code.as_str())))
        .collect();
    pretty(&json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "tidings",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            // Section 3.14.17: how columns count; ours are characters.
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    }))
}

fn result(diagnostic: &Diagnostic, rule: Option<&usize>) -> Value {
    let mut text = diagnostic.summary.clone();
    for more in [
        (!diagnostic.detail.is_empty()).then(|| diagnostic.detail.clone()),
        diagnostic
            .suggestion
            .as_ref()
            .map(|s| format!("Did you mean `{s}`?")),
    ]
    .into_iter()
    .flatten()
    {
        if !text.ends_with(['.', '?', '!']) {
            text.push('.');
        }
        text.push(' ');
        text.push_str(&more);
    }
    let range = diagnostic
        .range
        .unwrap_or(super::super::diagnostic::Range::START);
    let place = json!({
        "artifactLocation": {"uri": uri(&diagnostic.file), "uriBaseId": "%SRCROOT%"},
        "region": {
            "startLine": range.start.line,
            "startColumn": range.start.column,
            "endLine": range.end.line,
            "endColumn": range.end.column,
        },
    });
    json!({
        "ruleId": diagnostic.code,
        "ruleIndex": rule,
        "level": diagnostic.severity.as_str(),
        "message": {"text": text},
        "locations": [{"physicalLocation": place}],
    })
}

/// What a code stands for.
fn meaning(code: &str) -> String {
    [codes::ALL, yaml::CODES, schema_check::CODES, load::CODES]
        .into_iter()
        .flatten()
        .find(|(known, _)| *known == code)
        .map_or_else(
            || code.replace('-', " "),
            |(_, meaning)| (*meaning).to_owned(),
        )
}

/// `unknown-key` → `UnknownKey`.
fn camel(code: &str) -> String {
    code.split('-')
        .map(|word| {
            let mut chars = word.chars();
            chars.next().map_or_else(String::new, |first| {
                first.to_uppercase().chain(chars).collect()
            })
        })
        .collect()
}

/// A relative path as a URI reference (RFC 3986): everything but unreserved characters and `/` is percent-encoded.
fn uri(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

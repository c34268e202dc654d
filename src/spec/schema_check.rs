//! A tree against the generated JSON Schema, with answers for people.
//!
//! The validator's errors are drilled into: of several alternatives only the one that the value's `type` or `kind`
//! (or its JSON type) chooses is spoken about, and every message says what was found, what was expected, and what to do.

mod drill;
mod words;

use std::collections::HashSet;

use jsonschema::{Keyword, ValidationError, Validator};
use serde_json::Value;

use super::diagnostic::{Findings, MAX_FINDINGS, Pointer};
use super::scalar::{KIND_KEYWORD, explain};
use super::yaml::Tree;

/// How many messages of one file are worked out: as many as are shown.
const MAX_PROBLEMS: usize = MAX_FINDINGS;

/// The longest part of a list that is validated at once. The validator collects all errors, those of every form that
/// does not fit included, before it hands out the first: 20,000 wrong sources took 100 MB and a second. Longer than any
/// `maxItems` of our schemas, so that a part of a list that is too long is too long itself.
const WINDOW: usize = 1024;

/// The codes of what a schema can have against a value, with their meanings; `missing-key`, `unknown-key`,
/// `out-of-range` and `duplicate-item` stand among those of the checks.
pub const CODES: &[(&str, &str)] = &[
    (
        "ambiguous",
        "A value fits more than one of the forms that may stand there.",
    ),
    (
        "bad-value",
        "A value is of the right kind but cannot be read.",
    ),
    ("not-allowed", "A key that may not stand there."),
    (
        "unknown-value",
        "A word that is not among those that may stand there.",
    ),
    (
        "wrong-type",
        "A value of another kind than expected, such as a list in the place of a text.",
    ),
];

/// A schema that does not compile: a bug in the generated schema, never in a user's file.
#[derive(Debug, thiserror::Error)]
#[error("the generated schema is not a valid JSON Schema: {0}")]
pub struct BadSchema(String);

/// A compiled JSON Schema, with its text for the words of messages.
#[derive(Debug)]
pub struct Schema {
    validator: Validator,
    document: Value,
}

/// One message, before it becomes a finding.
#[derive(Debug, Clone, PartialEq)]
struct Problem {
    at: Pointer,
    code: &'static str,
    summary: String,
    detail: String,
    suggestion: Option<String>,
    at_key: bool,
    /// The value that was probably meant, where that can be told.
    instead: Option<Value>,
}

/// What a check has found beside its findings.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// The values that are not as they should be: without them, or mended, the rest can still be looked at.
    pub spoiled: Vec<Spoiled>,
    /// Whether these are all: with very many, the rest is not worth a look.
    pub complete: bool,
}

/// A value that is not as it should be.
#[derive(Debug, Clone, PartialEq)]
pub struct Spoiled {
    /// Where it is.
    pub at: Pointer,
    /// What was probably meant: with it in its place the checks that come later have more to look at.
    pub instead: Option<Value>,
}

impl Schema {
    /// Compiles a schema. It takes milliseconds: keep it, for example in a `OnceLock`.
    ///
    /// # Errors
    /// Where the document is no JSON Schema.
    pub fn new(document: Value) -> Result<Self, BadSchema> {
        let validator = jsonschema::options()
            .with_keyword(KIND_KEYWORD, |_, value, _| {
                Ok(Box::new(ScalarKind(
                    value.as_str().unwrap_or_default().to_owned(),
                )))
            })
            .build(&document)
            .map_err(|error| BadSchema(error.to_string()))?;
        Ok(Self {
            validator,
            document,
        })
    }

    /// The schema's own text.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// Puts what the schema has against `json` (the tree's values) into `findings`, once for each cause.
    pub fn check(&self, tree: &Tree, json: &Value, findings: &mut Findings) -> Checked {
        if self.validator.is_valid(json) {
            return Checked {
                spoiled: Vec::new(),
                complete: true,
            };
        }
        let mut problems = Vec::new();
        let mut seen = HashSet::new();
        let mut complete = true;
        for part in 0..parts(json) {
            let mut fresh = Vec::new();
            let context = drill::Context {
                schema: &self.document,
                tree,
                offset: part * WINDOW,
                whole: json,
            };
            if part == 0 && tree.size() <= WINDOW {
                drill_all(&self.validator, json, &context, &mut fresh);
            } else {
                drill_all(&self.validator, &window(json, part), &context, &mut fresh);
            }
            problems.extend(
                fresh
                    .into_iter()
                    .filter(|p: &Problem| seen.insert((p.at.clone(), p.code))),
            );
            if problems.len() > MAX_PROBLEMS {
                complete = false;
                break;
            }
        }
        if problems.is_empty() {
            // What no part shows alone: items far apart that are equal, say.
            problems.push(Problem {
                at: Pointer::root(),
                code: "bad-value",
                summary: "something in this file does not fit the schema".to_owned(),
                detail: "Its lists are too long to say what. Shorten them.".to_owned(),
                suggestion: None,
                at_key: false,
                instead: None,
            });
        }
        // A misspelt key and the key that is missing for it are one mistake.
        let meant: HashSet<Pointer> = problems
            .iter()
            .filter(|p| p.code == "unknown-key")
            .filter_map(|p| Some(p.at.parent()?.key(p.suggestion.as_deref()?)))
            .collect();
        problems.retain(|p| p.code != "missing-key" || !meant.contains(&p.at));

        let mut spoiled = Vec::new();
        for problem in problems {
            spoiled.push(Spoiled {
                at: problem.at.clone(),
                instead: problem.instead,
            });
            if findings.has_error_at(&problem.at) {
                continue;
            }
            let finding = findings.error(&problem.at, problem.code, problem.summary);
            finding.detail(if problem.detail.is_empty() {
                "The schema printed by `tidings schema` says what may stand here.".to_owned()
            } else {
                problem.detail
            });
            if let Some(suggestion) = problem.suggestion {
                finding.suggestion(suggestion);
            }
            if problem.at_key {
                finding.at_key();
            }
        }
        Checked { spoiled, complete }
    }
}

fn drill_all(
    validator: &Validator,
    json: &Value,
    context: &drill::Context<'_>,
    out: &mut Vec<Problem>,
) {
    for error in validator.iter_errors(json) {
        drill::drill(context, &error, out);
        if out.len() > MAX_PROBLEMS {
            return;
        }
    }
}

/// How many windows the longest list makes.
fn parts(json: &Value) -> usize {
    match json {
        Value::Array(items) => items
            .iter()
            .map(parts)
            .max()
            .unwrap_or(1)
            .max(items.len().div_ceil(WINDOW))
            .max(1),
        Value::Object(map) => map.values().map(parts).max().unwrap_or(1),
        _ => 1,
    }
}

/// The value with every list that is longer than a window cut to its part.
fn window(json: &Value, part: usize) -> Value {
    match json {
        Value::Array(items) if items.len() > WINDOW => Value::Array(
            items
                .iter()
                .skip(part * WINDOW)
                .take(WINDOW)
                .map(|item| window(item, part))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(|item| window(item, part)).collect()),
        Value::Object(map) => Value::Object(
            map.iter()
                .map(|(key, value)| (key.clone(), window(value, part)))
                .collect(),
        ),
        other => other.clone(),
    }
}

/// The keyword [`KIND_KEYWORD`]: a value that one of our own parsers reads, and can say best why it does not.
struct ScalarKind(String);

impl<'i> Keyword<'i> for ScalarKind {
    fn validate(&self, instance: &'i Value) -> Result<(), ValidationError<'i>> {
        explain(&self.0, instance).map_or(Ok(()), |why| Err(ValidationError::custom(why)))
    }

    fn is_valid(&self, instance: &'i Value) -> bool {
        explain(&self.0, instance).is_none()
    }
}

#[cfg(test)]
mod tests;

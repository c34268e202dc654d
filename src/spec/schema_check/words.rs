//! How values and expectations are called.

use serde_json::Value;

use crate::spec::diagnostic::quote;
use crate::spec::yaml::{Data, Node, Style};

/// How many keys or values a message lists.
const MAX_LISTED: usize = 40;

/// What stands in the file: `text "abc"`, `the number 5`, `a list`.
pub(super) fn found(node: Option<&Node>) -> String {
    let Some(node) = node else {
        return "nothing".to_owned();
    };
    if node.is_substituted() {
        return node.raw.as_deref().map_or_else(
            || "text".to_owned(),
            |raw| format!("the value of {}", quote(raw)),
        );
    }
    match &node.data {
        Data::Null => node
            .raw
            .as_deref()
            .map_or_else(|| "nothing".to_owned(), |raw| format!("`{raw}`")),
        Data::Bool(value) => format!(
            "`{}`",
            node.raw
                .as_deref()
                .unwrap_or(if *value { "true" } else { "false" })
        ),
        Data::Number(number) => {
            format!(
                "the number {}",
                node.raw
                    .as_deref()
                    .map_or_else(|| number.to_string(), short)
            )
        }
        Data::Text(text) if text.is_empty() => "an empty text".to_owned(),
        Data::Text(text) => format!("the text {}", quote(text)),
        Data::List(items) if items.is_empty() => "an empty list".to_owned(),
        Data::List(_) => "a list".to_owned(),
        Data::Map(_) => "a mapping".to_owned(),
    }
}

fn short(text: &str) -> String {
    if text.chars().count() > 40 {
        format!("{}…", text.chars().take(40).collect::<String>())
    } else {
        text.to_owned()
    }
}

/// What a JSON Schema asks for: `text`, `a whole number`, `one of drop, keep`.
pub(super) fn expected(schema: &Value) -> Option<String> {
    if let Some(value) = schema.get("const") {
        return Some(literal(value));
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return Some(one_of(values.iter().filter(|v| !v.is_null()).map(literal)));
    }
    let names: Vec<&str> = match schema.get("type")? {
        Value::String(name) => vec![name],
        Value::Array(names) => names
            .iter()
            .filter_map(Value::as_str)
            .filter(|n| *n != "null")
            .collect(),
        _ => return None,
    };
    let names: Vec<&str> = names.iter().map(|name| type_name(name)).collect();
    (!names.is_empty()).then(|| names.join(" or "))
}

fn type_name(name: &str) -> &str {
    match name {
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a mapping",
        "null" => "nothing",
        other => other,
    }
}

/// A value as it would be written in the file.
pub(super) fn literal(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// `one of a, b, c`.
pub(super) fn one_of(values: impl Iterator<Item = String>) -> String {
    let mut values: Vec<String> = values.collect();
    let more = values.len().saturating_sub(MAX_LISTED);
    values.truncate(MAX_LISTED);
    let list = values.join(", ");
    match (values.len(), more) {
        (1, 0) => list,
        (_, 0) => format!("one of {list}"),
        _ => format!("one of {list} and {more} more"),
    }
}

/// The first sentence of a schema's description and its examples, as help.
pub(super) fn hint(description: Option<&str>, examples: Option<&Vec<Value>>) -> String {
    let mut out = String::new();
    if let Some(description) = description {
        let line = description
            .trim()
            .split("\n\n")
            .next()
            .unwrap_or("")
            .replace('\n', " ");
        let sentence = line.split_inclusive(". ").next().unwrap_or("").trim();
        if !sentence.is_empty() {
            out.push_str(sentence);
            if !sentence.ends_with(['.', '!', '?']) {
                out.push('.');
            }
        }
    }
    let examples: Vec<String> = examples
        .into_iter()
        .flatten()
        .filter(|e| !e.is_object())
        .take(3)
        .map(|e| format!("`{}`", literal(e)))
        .collect();
    if !examples.is_empty() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str("For example ");
        out.push_str(&examples.join(", "));
        out.push('.');
    }
    out
}

/// What YAML 1.1 would have read as a boolean is text here.
pub(super) fn old_boolean(node: Option<&Node>) -> Option<bool> {
    let node = node?;
    if node.style != Style::Plain {
        return None;
    }
    match node.as_str()?.to_ascii_lowercase().as_str() {
        "yes" | "on" | "y" => Some(true),
        "no" | "off" | "n" => Some(false),
        _ => None,
    }
}

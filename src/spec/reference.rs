//! The reference of every key, from the schemas: `docs/src/spec.md` and `docs/src/settings.md` are its output.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// The reference of campaigns, as Markdown.
pub fn campaign_reference() -> String {
    page(
        "Campaigns",
        "Every key of a file in `campaigns/`. Keys that begin with `x-` are allowed anywhere and mean nothing. Files are named relative to the spec's own folder; what lies in the folders of the state and the sessions, the settings and names that begin with a dot are refused.",
        &super::schema::campaign_schema(),
    )
}

/// The reference of tidings.yaml, as Markdown.
pub fn tidings_reference() -> String {
    page(
        "Settings",
        "Every key of `tidings.yaml`; all of them are optional. `${NAME}` in text values is a variable of the environment or of `.env`, `$$` is a dollar.",
        &super::schema::tidings_schema(),
    )
}

fn page(title: &str, about: &str, schema: &str) -> String {
    // Our own schema is JSON; the tests that compare the page would see an empty one.
    let schema: Value = serde_json::from_str(schema).unwrap_or_default();
    let mut out = format!(
        "# {title}\n\n{about}\n\nGenerated from the schema (`tidings schema`); **bold** keys are required.\n\n"
    );
    let pages = Reference {
        definitions: schema.get("definitions").and_then(Value::as_object),
    };
    pages.keys(&mut out, &schema);
    for (name, definition) in pages.definitions.into_iter().flatten() {
        pages.definition(&mut out, name, definition);
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

struct Reference<'a> {
    definitions: Option<&'a Map<String, Value>>,
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

/// The constants of a closed list, with what each means.
fn constants(definition: &Value) -> Vec<(&str, &str)> {
    definition
        .get("oneOf")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|one| {
            Some((
                text(one, "const")?,
                text(one, "description").unwrap_or_default(),
            ))
        })
        .collect()
}

fn anchor(name: &str) -> String {
    name.to_lowercase()
}

/// Text in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

impl Reference<'_> {
    fn definition(&self, out: &mut String, name: &str, definition: &Value) {
        let about = text(definition, "description").unwrap_or_default();
        let _ = writeln!(out, "## {name}\n\n{about}\n");
        let listed = constants(definition);
        if !listed.is_empty() {
            for (constant, meaning) in listed {
                let _ = writeln!(out, "- `{constant}`: {meaning}");
            }
            out.push('\n');
            return;
        }
        if definition.get("properties").is_some() {
            self.keys(out, definition);
            return;
        }
        let branches = definition
            .get("oneOf")
            .or_else(|| definition.get("anyOf"))
            .and_then(Value::as_array);
        for branch in branches.into_iter().flatten() {
            let tag = branch
                .pointer("/properties/type/const")
                .and_then(Value::as_str);
            if let Some(tag) = tag {
                let about = text(branch, "description").unwrap_or_default();
                let _ = writeln!(out, "### `type: {tag}`\n\n{about}\n");
                self.keys(out, branch);
            }
        }
        if let Some(examples) = definition.get("examples").and_then(Value::as_array) {
            let shown: Vec<String> = examples
                .iter()
                .map(|example| format!("`{}`", value(example)))
                .collect();
            let _ = writeln!(out, "Such as {}.\n", shown.join(", "));
        }
    }

    /// A table of an object's keys.
    fn keys(&self, out: &mut String, object: &Value) {
        let Some(properties) = object.get("properties").and_then(Value::as_object) else {
            return;
        };
        let required: Vec<&str> = object
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        out.push_str("| key | value | what |\n|---|---|---|\n");
        for (key, property) in properties {
            if key == "type" && property.get("const").is_some() {
                continue;
            }
            let name = if required.contains(&key.as_str()) {
                format!("**`{key}`**")
            } else {
                format!("`{key}`")
            };
            let mut what = text(property, "description").unwrap_or_default().to_owned();
            if let Some(default) = property
                .get("default")
                .filter(|_| !what.contains("default") && !what.contains("where absent"))
            {
                let _ = write!(what, " Default: `{}`.", value(default));
            }
            let example = property
                .get("examples")
                .and_then(Value::as_array)
                .and_then(|examples| examples.first());
            if let Some(example) = example {
                let _ = write!(what, " Example: `{}`", value(example));
            }
            let _ = writeln!(
                out,
                "| {name} | {} | {} |",
                cell(&self.kind(property)),
                cell(&what)
            );
        }
        out.push('\n');
    }

    /// What may stand there, in words, with links to the sections below.
    fn kind(&self, property: &Value) -> String {
        let reference = text(property, "$ref")
            .or_else(|| property.pointer("/allOf/0/$ref").and_then(Value::as_str));
        if let Some(name) = reference.and_then(|path| path.rsplit('/').next()) {
            let definition = self.definitions.and_then(|all| all.get(name));
            let listed = definition.map(constants).unwrap_or_default();
            if !listed.is_empty() {
                let names: Vec<String> =
                    listed.iter().map(|(name, _)| format!("`{name}`")).collect();
                return format!("[{}](#{})", names.join(", "), anchor(name));
            }
            return format!("[{name}](#{})", anchor(name));
        }
        match text(property, "type") {
            Some("array") => match property.get("items") {
                Some(items) => format!("list of {}", self.kind(items)),
                None => "list".to_owned(),
            },
            Some("object") => match property.get("additionalProperties") {
                Some(values) if values.is_object() => {
                    format!("mapping of names to {}", self.kind(values))
                }
                _ => "mapping".to_owned(),
            },
            Some("string") => match property.get("enum").and_then(Value::as_array) {
                Some(listed) => listed
                    .iter()
                    .map(|one| format!("`{}`", value(one)))
                    .collect::<Vec<_>>()
                    .join(", "),
                None => "text".to_owned(),
            },
            Some("integer") => "whole number".to_owned(),
            Some("boolean") => "`true`, `false`".to_owned(),
            Some(other) => other.to_owned(),
            None => match property.get("const") {
                Some(only) => format!("`{}`", value(only)),
                None => "see the example".to_owned(),
            },
        }
    }
}

/// A value as YAML in one line would have it.
fn value(value: &Value) -> String {
    /// Whether a text needs quotes in a flow mapping.
    fn quoted(text: &str) -> bool {
        text.is_empty()
            || text.contains([
                ':', '#', ',', '{', '}', '[', ']', '"', '\'', '`', '@', '%', '&', '*', '!', '|',
                '>',
            ])
            || text.starts_with(['+', '-', '?', ' '])
            || text.parse::<f64>().is_ok()
    }
    match value {
        Value::String(text) if quoted(text) => format!("\"{}\"", text.replace('"', "\\\"")),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(self::value).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(map) => {
            let parts: Vec<String> = map
                .iter()
                .map(|(key, item)| format!("{key}: {}", self::value(item)))
                .collect();
            format!("{{{}}}", parts.join(", "))
        }
        other => other.to_string(),
    }
}

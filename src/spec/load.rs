//! Bytes → a typed value and everything that is to be said about them, for a campaign as for `tidings.yaml`.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::codes;
use super::diagnostic::{Diagnostic, Findings, Pointer};
use super::files::{FileError, Files};
use super::schema_check::{Schema, Spoiled};
use super::yaml::{self, Env, Tree};

/// How often decoding is tried again without the value that it stumbled over: each try costs one pass over at most
/// 20,000 values, and finds one more mistake.
const MAX_TRIES: usize = 32;

/// The codes that loading itself gives, with their meanings.
pub const CODES: &[(&str, &str)] = &[
    (
        "invalid-value",
        "A value that fits the schema and still cannot be used.",
    ),
    (
        "too-many-findings",
        "A file has more messages than are shown.",
    ),
];

/// What became of a file.
#[derive(Debug, Clone)]
pub struct Loaded<T> {
    /// The value. With errors it is what could be understood without the wrong parts, for cross-checks over files
    /// (names, owners) and for nothing else.
    pub value: Option<T>,
    /// Whether there is no error: only then may the value be used.
    pub valid: bool,
    /// The file's values and their places, for checks that come later.
    pub tree: Arc<Tree>,
    /// All that was found, in the file's order.
    pub diagnostics: Vec<Diagnostic>,
}

/// The bytes of the spec (or `tidings.yaml`) at `path`, within the limit of such files, for [`load`].
///
/// # Errors
/// The diagnostic of a file that cannot be read at all.
pub fn read(files: &dyn Files, path: &str) -> Result<Arc<[u8]>, Box<Diagnostic>> {
    files
        .read(path, yaml::MAX_BYTES)
        .map_err(|error| Box::new(of_file_error(path, &error)))
}

/// What to say of a file that cannot be had.
pub fn of_file_error(path: &str, error: &FileError) -> Diagnostic {
    let (code, detail) = match error {
        FileError::NotFound => (codes::MISSING_FILE, "Check the path.".to_owned()),
        FileError::LeavesWorkspace | FileError::Absolute => (
            codes::LEAVES_WORKSPACE,
            "Only files of the workspace are read. Put a copy there.".to_owned(),
        ),
        FileError::Private(_) => (
            codes::PRIVATE_FILE,
            "Name another file, or put a copy elsewhere.".to_owned(),
        ),
        FileError::BadPath(_) => (codes::BAD_PATH, "Check the path.".to_owned()),
        FileError::TooLarge { max, .. } => (
            codes::TOO_LARGE,
            format!(
                "A file may hold at most {max} bytes. Put long lists of people into a CSV file and name it as a source."
            ),
        ),
        FileError::NotAFile => (codes::NOT_A_FILE, "Only regular files are read.".to_owned()),
        FileError::Unreadable(_) => (
            codes::UNREADABLE,
            "Check the file's permissions.".to_owned(),
        ),
    };
    Diagnostic::of_file(
        super::diagnostic::Severity::Error,
        code,
        path,
        error.to_string(),
        detail,
    )
}

/// A file's YAML as it was read, once for all who look into it.
#[derive(Debug)]
pub struct Parsed {
    tree: Tree,
    findings: Findings,
}

impl Parsed {
    /// Reads the YAML.
    pub fn new(bytes: &[u8]) -> Parsed {
        let mut findings = Findings::new();
        let tree = yaml::parse(bytes, &mut findings);
        Parsed { tree, findings }
    }

    /// All that the file says.
    pub fn json(&self) -> Value {
        self.tree.root().to_json()
    }

    /// What the file says at its top under a key, where that is text.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.tree.root().get(key).and_then(|node| node.as_str())
    }
}

/// Loads a file of type `T`: YAML, then the schema, then serde, then `check`, each as far as the former allow, so that
/// one pass says all there is to say. With `env`, `${NAME}` in text values is put in first (`tidings.yaml` only).
pub fn load<T: DeserializeOwned>(
    file: &str,
    parsed: Parsed,
    schema: &Schema,
    env: Option<&Env<'_>>,
    check: impl FnOnce(&T, &mut Findings),
) -> Loaded<T> {
    let Parsed {
        mut tree,
        mut findings,
    } = parsed;
    let mut value = None;
    if tree.is_complete() {
        if let Some(env) = env {
            tree = tree.substitute(env, &mut findings);
        }
        let mut json = tree.root().to_json();
        let checked = schema.check(&tree, &json, &mut findings);
        for Spoiled { at, instead } in checked.spoiled {
            match (json.pointer_mut(at.as_str()), instead) {
                (Some(value), Some(instead)) => *value = instead,
                _ => {
                    remove(&mut json, &at);
                }
            }
        }
        // serde would take a list for a struct's fields in their order.
        if checked.complete && json.is_object() {
            value = decode(json, &mut findings);
        }
        if let Some(value) = &value {
            let mut later = Findings::after(&findings);
            check(value, &mut later);
            findings.append_unless_near(later);
        }
    }
    let valid = !findings.has_errors();
    let diagnostics = findings.into_diagnostics(file, &tree);
    Loaded {
        value,
        valid,
        tree: Arc::new(tree),
        diagnostics,
    }
}

/// Decodes, and where that fails says where, leaves the value out and tries again.
fn decode<T: DeserializeOwned>(mut json: Value, findings: &mut Findings) -> Option<T> {
    for _ in 0..MAX_TRIES {
        let error = match serde_path_to_error::deserialize::<_, T>(&json) {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        let at = pointer(error.path());
        // After a schema error what is left out may be missed here: that is no mistake of its own.
        if !findings.has_error_near(&at) {
            findings
                .error(&at, "invalid-value", sentence(&error.inner().to_string()))
                .detail("Compare with the schema printed by `tidings schema`.");
        }
        if !remove(&mut json, &at) {
            return None;
        }
    }
    None
}

/// serde's words without the place, which is known better here, and in those of whoever writes YAML.
fn sentence(message: &str) -> String {
    let message = message.split(" at line ").next().unwrap_or(message);
    let parts = message
        .strip_prefix("invalid type: ")
        .or_else(|| message.strip_prefix("invalid value: "))
        .and_then(|rest| rest.split_once(", expected "));
    match parts {
        Some((found, expected)) => format!(
            "found {}; expected {}",
            what_was_found(found),
            what_is_expected(expected)
        ),
        None => message.to_owned(),
    }
}

fn what_was_found(found: &str) -> String {
    let (kind, value) = match found.split_once(['`', '"']) {
        Some((kind, rest)) => (kind.trim(), rest.trim_end_matches(['`', '"'])),
        None => (found, ""),
    };
    match kind {
        "floating point" | "integer" => format!("the number {value}"),
        "boolean" => value.to_owned(),
        "string" => format!("the text \"{value}\""),
        "map" => "a mapping".to_owned(),
        "sequence" => "a list".to_owned(),
        "null" | "unit value" | "Option value" => "nothing".to_owned(),
        _ => found.to_owned(),
    }
}

fn what_is_expected(expected: &str) -> String {
    let most = match expected {
        "u8" => u64::from(u8::MAX),
        "u16" => u64::from(u16::MAX),
        "u32" => u64::from(u32::MAX),
        "u64" | "usize" => u64::MAX,
        "i32" | "i64" => return "a whole number".to_owned(),
        "a string" => return "text".to_owned(),
        "a sequence" => return "a list".to_owned(),
        "a map" => return "a mapping".to_owned(),
        "a boolean" => return "true or false".to_owned(),
        _ => return expected.to_owned(),
    };
    format!("a whole number from 0 to {most}, without a point")
}

fn pointer(path: &serde_path_to_error::Path) -> Pointer {
    use serde_path_to_error::Segment;
    path.iter()
        .fold(Pointer::root(), |at, segment| match segment {
            Segment::Seq { index } => at.index(*index),
            Segment::Map { key } => at.key(key),
            Segment::Enum { .. } | Segment::Unknown => at,
        })
}

/// Takes a value out of its mapping; a list's item takes the whole list with it, so that no other item changes its
/// index. Whether anything was there to take.
fn remove(json: &mut Value, at: &Pointer) -> bool {
    let mut at = at.clone();
    while let (Some(parent), Some(last)) = (at.parent(), at.last()) {
        match json.pointer_mut(parent.as_str()) {
            Some(Value::Object(map)) => return map.shift_remove(&last).is_some(),
            Some(_) => at = parent,
            None => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests;

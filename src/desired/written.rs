//! What is written in `tidings.yaml`, for whoever tells of a change: without people, secrets and texts.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::hex;

/// What is shown as it stands; of everything else only a change is told.
const SHOWN: [&str; 8] = [
    "version",
    "limits",
    "defaults",
    "accounts",
    "plans",
    "owners",
    "on_invalid",
    "retention",
];
/// Within these, what names people, holds a password or is a text.
const HIDDEN: [&str; 3] = ["only_to", "ai_role", "proxy"];
/// What stands for a hidden value begins so; its fingerprint follows.
pub const NOT_SHOWN: &str = "[not shown ";
/// Bytes of that fingerprint: one change in 65,536 goes unnoticed, and nobody can tell by it which of many guesses at a
/// short secret is right.
const PRINT: usize = 2;

/// The file without what must not be seen.
pub fn shown(written: &Value) -> Value {
    let Value::Object(keys) = written else {
        return Value::Null;
    };
    let of = |(key, value): (&String, &Value)| {
        let value = match SHOWN.contains(&key.as_str()) {
            true => without(value),
            false => hidden(value),
        };
        (key.clone(), value)
    };
    Value::Object(keys.iter().map(of).collect())
}

fn without(value: &Value) -> Value {
    match value {
        Value::Object(keys) => {
            let of = |(key, value): (&String, &Value)| {
                // What a key of one's own means nobody knows.
                let is_hidden = HIDDEN.contains(&key.as_str()) || key.starts_with("x-");
                let value = match is_hidden {
                    true => hidden(value),
                    false => without(value),
                };
                (key.clone(), value)
            };
            Value::Object(keys.iter().map(of).collect())
        }
        other => other.clone(),
    }
}

/// Stands for a value.
fn hidden(value: &Value) -> Value {
    let print = Sha256::digest(value.to_string());
    let print = print.get(..PRINT).unwrap_or_default();
    Value::String(format!("{NOT_SHOWN}{}]", hex(print)))
}

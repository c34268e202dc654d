//! What is written in `tidings.yaml`, for whoever tells of a change. A mark stands for each secret, and where a change goes
//! into the journal for each person and role too.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::hex;
use crate::spec::engine::masked;
use crate::spec::{EngineSpec, SecretString};

/// What is shown as it stands; of everything else only a change is told.
const SHOWN: [&str; 13] = [
    "version",
    "telegram",
    "ai",
    "limits",
    "defaults",
    "accounts",
    "plans",
    "owners",
    "opt_out",
    "notify",
    "on_invalid",
    "web",
    "retention",
];
/// Within these, what names people, is a secret or describes a role (`telegram` is who is told).
const HIDDEN: [&str; 9] = [
    "only_to", "ai_role", "proxy", "api_hash", "api_key", "webhook", "secret", "telegram", "token",
];
/// A mark begins so; a fingerprint follows.
const NOT_SHOWN: &str = "[not shown ";
/// Bytes of a fingerprint in the journal: one change in 65,536 goes unnoticed, and nobody can tell by it which of many
/// guesses at a short secret is right.
const PRINT: usize = 2;
/// Bytes of one that nobody gets to see.
const WHOLE_PRINT: usize = 32;

/// The file for the journal: without what must not be seen.
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
        Value::Array(items) => Value::Array(items.iter().map(without).collect()),
        Value::String(text) => Value::String(address(text, PRINT)),
        other => other.clone(),
    }
}

/// The settings as they hold, to be compared within this process: another secret has another mark.
pub fn compared(spec: &EngineSpec) -> Value {
    let mut value = serde_json::to_value(spec).unwrap_or_default();
    addresses(&mut value);
    let mut put = |path: &[&str], secret: Option<&SecretString>| {
        let place = path.iter().try_fold(&mut value, |at, key| match at {
            Value::Array(items) => items.get_mut(key.parse::<usize>().ok()?),
            other => other.get_mut(*key),
        });
        if let (Some(place), Some(secret)) = (place, secret) {
            *place = Value::String(mark(secret.expose(), WHOLE_PRINT));
        }
    };
    let telegram = spec.telegram.as_ref();
    put(
        &["telegram", "api_hash"],
        telegram.and_then(|telegram| telegram.api_hash.as_ref()),
    );
    put(
        &["ai", "api_key"],
        spec.ai.as_ref().and_then(|ai| ai.api_key.as_ref()),
    );
    put(
        &["web", "token"],
        spec.web.as_ref().and_then(|web| web.token.as_ref()),
    );
    for (place, notify) in spec.notify.iter().enumerate() {
        let place = place.to_string();
        put(&["notify", &place, "webhook"], notify.webhook.as_ref());
        put(&["notify", &place, "secret"], notify.secret.as_ref());
    }
    for (name, account) in &spec.accounts {
        put(&["accounts", name, "proxy"], account.proxy.as_ref());
    }
    value
}

fn addresses(value: &mut Value) {
    match value {
        Value::Object(keys) => keys.values_mut().for_each(addresses),
        Value::Array(items) => items.iter_mut().for_each(addresses),
        Value::String(text) => *text = address(text, WHOLE_PRINT),
        _ => {}
    }
}

/// A text; of an address what it is that may be seen.
fn address(text: &str, print: usize) -> String {
    match text.contains("://") && !text.contains(char::is_whitespace) {
        true => masked(text, |secret| mark(secret, print)),
        false => text.to_owned(),
    }
}

/// Stands for a value.
fn hidden(value: &Value) -> Value {
    Value::String(mark(&value.to_string(), PRINT))
}

fn mark(secret: &str, print: usize) -> String {
    let hash = Sha256::digest(secret);
    format!("{NOT_SHOWN}{}]", hex(hash.get(..print).unwrap_or_default()))
}

/// Whether a mark stands for the whole value.
pub fn is_hidden(value: &Value) -> bool {
    value
        .as_str()
        .is_some_and(|text| text.starts_with(NOT_SHOWN))
}

/// A value with words in the place of its marks: of those that do not stand in `before`, where that has any, that they are
/// others.
pub fn unmarked(value: &Value, before: Option<&Value>) -> Value {
    let before = before.map(Value::to_string).unwrap_or_default();
    worded(value, &before)
}

fn worded(value: &Value, before: &str) -> Value {
    match value {
        Value::Object(keys) => Value::Object(
            keys.iter()
                .map(|(key, value)| (key.clone(), worded(value, before)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(|v| worded(v, before)).collect()),
        Value::String(text) => {
            let mut out = String::new();
            let mut rest = text.as_str();
            while let Some((plain, tail)) = rest.split_once(NOT_SHOWN) {
                let (print, tail) = tail.split_once(']').unwrap_or((tail, ""));
                let another =
                    before.contains(NOT_SHOWN) && !before.contains(&format!("{NOT_SHOWN}{print}]"));
                out.push_str(plain);
                out.push_str(match another {
                    true => "[another secret]",
                    false => "[secret]",
                });
                rest = tail;
            }
            Value::String(out + rest)
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_secret_of_the_settings_is_compared_and_none_is_seen() {
        let spec = |n: u32| -> EngineSpec {
            serde_json::from_value(json!({
                "telegram": {"api_id": 1, "api_hash": format!("hash-{n}")},
                "ai": {"base_url": format!("https://me:word-{n}@host/v1?key=key-{n}"), "api_key": format!("key-{n}")},
                "accounts": {"sales-1": {"proxy": format!("socks5://me:word-{n}@host:1")}},
                "notify": [{"on": ["handoff"], "webhook": format!("https://hook/word-{n}"), "secret": format!("word-{n}")}],
                "web": {"token": format!("word-{n}")},
            }))
            .unwrap()
        };
        let (one, two) = (compared(&spec(1)), compared(&spec(2)));
        // Each has a mark, so none is left with the placeholder that all secrets share.
        for text in [one.to_string(), two.to_string()] {
            assert_eq!(text.matches(NOT_SHOWN).count(), 8, "{text}");
            for word in ["[secret]", "hash-", "word-", "key-"] {
                assert!(!text.contains(word), "{word}: {text}");
            }
        }
        assert_eq!(compared(&spec(1)), one);
        assert_eq!(
            unmarked(&one["ai"]["base_url"], None),
            "https://[secret]@host/v1?[secret]"
        );
        assert_eq!(
            unmarked(&two["web"]["token"], Some(&one["web"]["token"])),
            "[another secret]"
        );
        assert_eq!(
            unmarked(&one["web"], Some(&one["web"])),
            json!({"token": "[secret]"})
        );
    }
}

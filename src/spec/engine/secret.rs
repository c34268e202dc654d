//! Text that must not be seen.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize, Serializer};

/// A secret: neither `Debug` nor serialisation shows it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct SecretString(String);

impl SecretString {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for whoever must send it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing to hide.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for SecretString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// A placeholder: a saved state must not hold secrets. It is written, never read back as the secret.
impl Serialize for SecretString {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("[secret]")
    }
}

impl JsonSchema for SecretString {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

/// An address with `instead` in the place of what may be a secret in it: who logs in, what is asked for, and what stands
/// behind `#`. All of it where its port is none, since a password with a `/` looks so.
pub fn masked(url: &str, instead: impl Fn(&str) -> String) -> String {
    let start = url.find("://").map_or(0, |at| at + "://".len());
    let (scheme, rest) = url.split_at(start);
    // `\` is a `/` to those who follow the address.
    let end = rest.find(['/', '\\', '?', '#']).unwrap_or(rest.len());
    let (authority, behind) = rest.split_at(end);
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    let port = host.rsplit_once(':').map_or("", |(_, port)| port);
    if !host.ends_with(']') && !port.bytes().all(|digit| digit.is_ascii_digit()) {
        return format!("{scheme}{}", instead(rest));
    }
    let user = user.map_or(String::new(), |user| format!("{}@", instead(user)));
    let behind = match behind.find(['?', '#']) {
        Some(at) => {
            let (path, asked) = behind.split_at(at);
            let (sign, asked) = asked.split_at(1);
            format!("{path}{sign}{}", instead(asked))
        }
        None => behind.to_owned(),
    };
    format!("{scheme}{user}{host}{behind}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_seen_only_by_whoever_asks_for_it() {
        let secret = SecretString::new("hunter2");
        assert_eq!(secret.expose(), "hunter2");
        assert!(!format!("{secret:?}").contains("hunter2"));
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"[secret]\"");
    }
    #[test]
    fn of_an_address_only_the_host_and_the_path_are_seen() {
        for (url, want) in [
            ("https://host:8080/v1", "https://host:8080/v1"),
            ("https://[::1]:80/v1", "https://[::1]:80/v1"),
            ("https://[::1]/v1", "https://[::1]/v1"),
            ("https://key@host/v1", "https://…@host/v1"),
            ("https://me:p@ss@host/v1", "https://…@host/v1"),
            ("https://me:pa/ss@host/v1", "https://…"),
            ("https://host/v1?key=a@b#c", "https://host/v1?…"),
            ("https://host#key", "https://host#…"),
            ("https://evil?x=a@host/v1", "https://evil?…"),
            ("me:word@host/v1?key=a", "…@host/v1?…"),
            ("word", "word"),
        ] {
            assert_eq!(masked(url, |_| "…".to_owned()), want, "{url}");
        }
    }
}

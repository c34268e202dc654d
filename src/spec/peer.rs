//! How a spec names a person or a place on Telegram.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use super::diagnostic::quote;
use super::scalar::{Scalar, found};

/// A person, group or channel as a spec names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Peer {
    /// A public name, without `@`, as it was written (Telegram ignores its case).
    Username(String),
    /// The hash of an invite link (`https://t.me/+HASH`): a private group or channel.
    Invite(String),
    /// A phone in international form: its digits without the plus.
    Phone(String),
    /// Telegram's own number of a person, group or channel; of a group or channel also as bots see it (`-id`, `-100…`).
    Id(i64),
}

/// What a bare number is answered with: nobody is written to by a typo.
const BARE_NUMBER: &str =
    "a phone needs its plus and quotes (\"+15550100\"), an id is written {id: 123} or \"id:123\"";

impl Default for Peer {
    /// A name that nobody has: what stands for a missing key until the check has said so.
    fn default() -> Self {
        Self::Username(String::new())
    }
}

impl Peer {
    /// Reads `@name`, a `t.me` link, `+phone` or `id:123`.
    ///
    /// # Errors
    /// One sentence: what was found, what was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let body = text.trim();
        let wrong = |why: &str| Err(format!("{} names nobody: {why}", quote(text)));
        if body.is_empty() {
            return wrong("write `@name`, a t.me link, \"+phone\" or {id: 123}");
        }
        if let Some(name) = body.strip_prefix('@') {
            return match username(name) {
                Ok(name) => Ok(Self::Username(name)),
                Err(why) => wrong(why),
            };
        }
        if let Some(number) = strip_prefix_ignoring_case(body, "id:") {
            return match number.trim().parse::<i64>() {
                Ok(id) if id != 0 => Ok(Self::Id(id)),
                _ => wrong("an id is a whole number other than 0, as in `id:123`"),
            };
        }
        if let Some(phone) = body.strip_prefix('+') {
            let digits: String = phone
                .chars()
                .filter(|c| !matches!(c, ' ' | '-' | '(' | ')' | '\u{a0}'))
                .collect();
            // E.164 allows at most 15 digits; the shortest international numbers in use have 7.
            return if digits.bytes().all(|b| b.is_ascii_digit()) && (7..=15).contains(&digits.len())
            {
                Ok(Self::Phone(digits))
            } else {
                wrong("a phone has 7 to 15 digits after its plus")
            };
        }
        if body.bytes().all(|b| b.is_ascii_digit() || b == b'-') {
            return wrong(&format!("it is a bare number; {BARE_NUMBER}"));
        }
        let rest = strip_prefix_ignoring_case(body, "https://")
            .or_else(|| strip_prefix_ignoring_case(body, "http://"))
            .unwrap_or(body);
        for host in ["t.me/", "telegram.me/", "telegram.dog/", "www.t.me/"] {
            if let Some(path) = strip_prefix_ignoring_case(rest, host) {
                return link(path).or_else(wrong);
            }
        }
        if rest.len() < body.len() {
            return wrong("only links to t.me name a person, group or channel");
        }
        match username(body) {
            Ok(name) => wrong(&format!(
                "a username begins with an at sign; write \"@{name}\""
            )),
            Err(_) => wrong("write `@name`, a t.me link, \"+phone\" or {id: 123}"),
        }
    }

    /// A key under which two spellings of one name are equal.
    pub fn key(&self) -> String {
        match self {
            Self::Username(name) => format!("@{}", name.to_lowercase()),
            Self::Invite(hash) => format!("invite:{hash}"),
            Self::Phone(digits) => format!("+{digits}"),
            Self::Id(id) => format!("id:{id}"),
        }
    }

    /// Whether it can be a group or channel; a phone cannot.
    pub fn can_be_place(&self) -> bool {
        !matches!(self, Self::Phone(_))
    }

    /// Whether it can be a person; an invite link and a negative id cannot.
    pub fn can_be_person(&self) -> bool {
        match self {
            Self::Username(_) | Self::Phone(_) => true,
            Self::Invite(_) => false,
            Self::Id(id) => *id > 0,
        }
    }
}

/// Telegram's names have letters, digits and underscores, begin with a letter and have at most 32 characters. `@me`
/// (oneself) is accepted too, so the lower end is not Telegram's.
fn username(name: &str) -> Result<String, &'static str> {
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Err("a username begins with a Latin letter");
    }
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Err("a username has Latin letters, digits and underscores only");
    }
    if !(2..=32).contains(&name.len()) {
        return Err("a username has 4 to 32 characters");
    }
    Ok(name.to_owned())
}

/// What stands after `t.me/`.
fn link(path: &str) -> Result<Peer, &'static str> {
    let path = path
        .split(['?', '#'])
        .next()
        .unwrap_or_default()
        .trim_end_matches('/');
    let hash = |hash: &str| {
        let plain = hash
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        if plain && (8..=64).contains(&hash.len()) {
            Ok(Peer::Invite(hash.to_owned()))
        } else {
            Err("the invite link is cut off or mistyped")
        }
    };
    if let Some(rest) = path.strip_prefix('+') {
        // t.me/+15550100 is a link to a phone, t.me/+AbCd… an invite.
        if rest.bytes().all(|b| b.is_ascii_digit()) && (7..=15).contains(&rest.len()) {
            return Ok(Peer::Phone(rest.to_owned()));
        }
        return hash(rest);
    }
    if let Some(rest) = path.strip_prefix("joinchat/") {
        return hash(rest);
    }
    let mut parts = path.split('/');
    let name = match parts.next() {
        Some("s") => parts.next().unwrap_or_default(),
        Some("c") => {
            return Err(
                "a link to a message of a private group cannot be used; use the group's invite link or its id",
            );
        }
        Some(name) => name,
        None => "",
    };
    username(name).map(Peer::Username)
}

fn strip_prefix_ignoring_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix)
        .then(|| &text[prefix.len()..])
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Username(name) => write!(f, "@{name}"),
            Self::Invite(hash) => write!(f, "https://t.me/+{hash}"),
            Self::Phone(digits) => write!(f, "+{digits}"),
            Self::Id(id) => write!(f, "id:{id}"),
        }
    }
}

impl std::str::FromStr for Peer {
    type Err = super::duration::ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text).map_err(super::duration::ParseError)
    }
}

impl Scalar for Peer {
    const KIND: &'static str = "peer";

    fn read(value: &Value) -> Result<Self, String> {
        match value {
            Value::String(text) => Self::parse(text),
            Value::Number(n) => Err(format!("the bare number {n} names nobody: {BARE_NUMBER}")),
            Value::Object(map) => match (map.len(), map.get("id")) {
                (1, Some(Value::Number(n))) => match n.as_i64() {
                    Some(id) if id != 0 => Ok(Self::Id(id)),
                    _ => Err(format!(
                        "{n} is no id: an id is a whole number other than 0"
                    )),
                },
                (1, Some(other)) => Err(format!(
                    "found {} as an id; write {{id: 123}}",
                    found(other)
                )),
                _ => Err(
                    "a mapping that names somebody has the one key `id`, as in {id: 123}"
                        .to_owned(),
                ),
            },
            other => Err(format!(
                "found {}; write \"@name\", a t.me link, \"+phone\" or {{id: 123}}",
                found(other)
            )),
        }
    }
}

super::scalar::scalar_serde!(Peer);

impl JsonSchema for Peer {
    fn schema_name() -> Cow<'static, str> {
        "Peer".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A person, group or channel: \"@name\", a t.me link, \"+phone\" in international form, \
                            {id: 123} or \"id:123\". A bare number is refused.",
            "examples": ["@rust_meetup", "https://t.me/bob", "+15550100", {"id": 123456789}],
            "x-scalar": Self::KIND,
            "anyOf": [
                {"type": "string", "pattern": "^\\s*(@|\\+|[iI][dD]:|([hH][tT]{2}[pP][sS]?://)?([wW]{3}\\.)?([tT]\\.[mM][eE]|[tT][eE][lL][eE][gG][rR][aA][mM]\\.([mM][eE]|[dD][oO][gG]))/)"},
                {
                    "type": "object",
                    "properties": {
                        "id": {"type": "integer", "description": "Telegram's own number.", "examples": [123456789]}
                    },
                    "required": ["id"],
                    "additionalProperties": false
                }
            ]
        })
    }
}

impl From<&Peer> for crate::model::Reference {
    fn from(peer: &Peer) -> Self {
        match peer {
            Peer::Username(name) => Self::Username(name.to_ascii_lowercase()),
            Peer::Invite(hash) => Self::Invite(hash.clone()),
            Peer::Phone(digits) => Self::Phone(digits.clone()),
            Peer::Id(id) => Self::Id(bare(*id)),
        }
    }
}

/// Telegram's own number of what bots and Telethon show with a minus: a basic group as `-id`, a channel or supergroup as
/// `-100…` (<https://core.telegram.org/api/bots/ids>).
fn bare(id: i64) -> i64 {
    const CHANNELS: u64 = 1_000_000_000_000;
    if id > 0 {
        return id;
    }
    let id = id.unsigned_abs();
    let bare = if id > CHANNELS { id - CHANNELS } else { id };
    i64::try_from(bare).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_the_same_by_its_own_number_and_by_the_one_that_bots_see() {
        for (written, meant) in [
            ("id:777", 777),
            ("id:-777", 777),
            ("id:-1001234567890", 1_234_567_890),
            ("id:-1000000000001", 1),
        ] {
            let peer = Peer::parse(written).unwrap();
            assert_eq!(
                crate::model::Reference::from(&peer),
                crate::model::Reference::Id(meant),
                "{written}"
            );
        }
    }

    #[test]
    fn a_peer_is_named_by_username_link_phone_or_id_and_by_nothing_else() {
        for (text, expected) in [
            ("@Alice_1", Ok("@Alice_1")),
            ("@me", Ok("@me")),
            ("https://t.me/bob", Ok("@bob")),
            ("t.me/bob/123?single", Ok("@bob")),
            ("http://telegram.me/s/bob/", Ok("@bob")),
            ("https://t.me/+AbCdEfGhIj", Ok("https://t.me/+AbCdEfGhIj")),
            (
                "https://t.me/joinchat/AbCdEfGhIj",
                Ok("https://t.me/+AbCdEfGhIj"),
            ),
            ("https://t.me/+15550100", Ok("+15550100")),
            ("+1 (555) 010-0123", Ok("+15550100123")),
            ("id:123", Ok("id:123")),
            ("ID: -1001234567890", Ok("id:-1001234567890")),
            ("", Err("names nobody")),
            ("15550100", Err("bare number")),
            ("-100123", Err("bare number")),
            ("alice", Err("write \"@alice\"")),
            ("@1alice", Err("begins with a Latin letter")),
            ("@алиса", Err("begins with a Latin letter")),
            ("@al ice", Err("Latin letters, digits and underscores")),
            ("+12", Err("7 to 15 digits")),
            ("+1555010x", Err("7 to 15 digits")),
            ("id:0", Err("other than 0")),
            ("id:x", Err("other than 0")),
            ("https://example.com/bob", Err("only links to t.me")),
            ("https://t.me/c/123/4", Err("private group")),
            ("https://t.me/+x", Err("cut off")),
            ("https://t.me/", Err("begins with a Latin letter")),
        ] {
            match (Peer::parse(text), expected) {
                (Ok(peer), Ok(expected)) => assert_eq!(peer.to_string(), expected, "{text}"),
                (Err(why), Err(part)) => assert!(why.contains(part), "{text}: {why}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
    }

    #[test]
    fn a_mapping_or_number_is_read_or_explained() {
        use serde_json::json;
        assert_eq!(Peer::read(&json!({"id": 7})), Ok(Peer::Id(7)));
        for (value, part) in [
            (json!(15_550_100), "bare number"),
            (json!({"id": "7"}), "write {id: 123}"),
            (json!({"id": 0}), "other than 0"),
            (json!({"id": 1.5}), "no id"),
            (json!({"phone": 7}), "the one key `id`"),
            (json!({}), "the one key `id`"),
            (json!(true), "found `true`"),
            (json!(null), "found nothing"),
        ] {
            let why = Peer::read(&value).unwrap_err();
            assert!(why.contains(part), "{value}: {why}");
        }
    }

    #[test]
    fn what_is_printed_is_read_as_the_same_and_case_does_not_tell_people_apart() {
        for text in ["@alice", "https://t.me/+AbCdEfGhIj", "+15550100", "id:7"] {
            let peer = Peer::parse(text).unwrap();
            assert_eq!(Peer::parse(&peer.to_string()), Ok(peer));
        }
        assert_eq!(
            Peer::parse("@Alice").unwrap().key(),
            Peer::parse("t.me/alice").unwrap().key()
        );
    }
}

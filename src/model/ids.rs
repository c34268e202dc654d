//! Names of things: people, accounts, campaigns, sends.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// An account's name: the stem of its session file.
pub type AccountName = Arc<str>;
/// A campaign's name: the stem of its spec's file.
pub type CampaignName = Arc<str>;

/// What a campaign is over its renames: the name of the first of the line. Send-once keys belong to it.
pub type Lineage = Arc<str>;

/// A person. A positive number is Telegram's own user id; a negative one is the keyed hash of a
/// [`Reference`] that no account has looked up yet, and gives way to the user id when it is known.
///
/// A send-once key only ever holds a positive one, because a message needs the user id: so a merge of
/// references never changes the key of something that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PersonId(pub i64);

impl PersonId {
    /// The stand-in for a reference until it was looked up.
    pub fn of_reference(reference: &Reference) -> PersonId {
        let hash = blake3::hash(reference.to_string().as_bytes());
        let mut bytes = [0u8; 8];
        bytes.copy_from_slice(&hash.as_bytes()[..8]);
        // Clears the sign, then makes it negative and never zero.
        PersonId(-((i64::from_le_bytes(bytes) & i64::MAX) >> 1) - 1)
    }

    /// Whether this is Telegram's own user id.
    pub fn is_user(self) -> bool {
        self.0 > 0
    }
}

impl fmt::Display for PersonId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_user() {
            write!(f, "id:{}", self.0)
        } else {
            write!(f, "ref:{:x}", self.0.unsigned_abs())
        }
    }
}

/// How an operator names a person or a place, in its normal form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reference {
    /// A public username, lower case, without the `@` (core.telegram.org/api/links#public-username-links).
    Username(String),
    /// A phone, digits only, without the `+`.
    Phone(String),
    /// A user id.
    Id(i64),
    /// The hash of a private invite link (`t.me/+…`, `t.me/joinchat/…`): places only.
    Invite(String),
}

/// Why a text names nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// A number that could be a phone or an id.
    #[error(
        "a bare number names nobody: write a phone as \"+{0}\" in quotes, an id as id:{0} or {{id: {0}}}"
    )]
    BareNumber(String),
    /// A phone of impossible length (E.164: 7 to 15 digits are in use).
    #[error("{0:?} is no phone number: a + and 7 to 15 digits are expected")]
    Phone(String),
    /// A username of impossible form.
    #[error(
        "{0:?} is no username: 3 to 32 Latin letters, digits and underscores are expected, beginning with a letter"
    )]
    Username(String),
    /// An id that is not a positive number.
    #[error("{0:?} is no user id: a positive whole number is expected")]
    Id(String),
    /// Anything else.
    #[error(
        "{0:?} names nobody: expected @name, a t.me link, a phone like \"+15550100\", or id:123"
    )]
    Unknown(String),
}

impl Reference {
    /// Reads `@name`, `name`, `t.me/name`, `https://t.me/name`, `tg://resolve?domain=name`, `+phone`, `id:123`,
    /// `t.me/+hash`.
    ///
    /// # Errors
    /// [`ReferenceError`]: a bare number always, since nobody is to be written to by a typo.
    pub fn parse(text: &str) -> Result<Reference, ReferenceError> {
        let text = text.trim();
        let lower = text.to_lowercase();
        if let Some(id) = lower.strip_prefix("id:") {
            return match id.trim().parse::<i64>() {
                Ok(id) if id > 0 => Ok(Reference::Id(id)),
                _ => Err(ReferenceError::Id(text.to_owned())),
            };
        }
        if let Some(phone) = text.strip_prefix('+') {
            let digits: String = phone
                .chars()
                .filter(|c| !matches!(c, ' ' | '-' | '(' | ')' | '.' | '\u{a0}'))
                .collect();
            return if (7..=15).contains(&digits.len()) && digits.chars().all(|c| c.is_ascii_digit())
            {
                Ok(Reference::Phone(digits))
            } else {
                Err(ReferenceError::Phone(text.to_owned()))
            };
        }
        if let Some(name) = text.strip_prefix('@') {
            return Self::username(name, text);
        }
        if let Some(query) = lower.strip_prefix("tg://resolve?domain=") {
            return Self::username(query.split('&').next().unwrap_or(""), text);
        }
        let bare = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"))
            .unwrap_or(text);
        for host in ["t.me/", "telegram.me/", "telegram.dog/", "www.t.me/"] {
            if let Some(head) = bare.get(..host.len())
                && head.eq_ignore_ascii_case(host)
            {
                let path = bare[host.len()..].split(['?', '#']).next().unwrap_or("");
                let mut parts = path.trim_end_matches('/').split('/');
                let first = parts.next().unwrap_or("");
                if first.eq_ignore_ascii_case("joinchat") {
                    return Self::invite(parts.next().unwrap_or(""), text);
                }
                if let Some(hash) = first.strip_prefix('+') {
                    // `t.me/+15550100` is a phone link, `t.me/+AbCd…` an invite (core.telegram.org/api/links).
                    return if hash.chars().all(|c| c.is_ascii_digit()) {
                        Self::parse(&format!("+{hash}"))
                    } else {
                        Self::invite(hash, text)
                    };
                }
                let first = if first.eq_ignore_ascii_case("s") {
                    parts.next().unwrap_or("")
                } else {
                    first
                };
                return Self::username(first, text);
            }
        }
        if !text.is_empty()
            && text
                .chars()
                .all(|c| c.is_ascii_digit() || matches!(c, ' ' | '-' | '.'))
        {
            return Err(ReferenceError::BareNumber(text.to_owned()));
        }
        if text.contains(['/', ':', ' ']) {
            return Err(ReferenceError::Unknown(text.to_owned()));
        }
        Self::username(text, text)
    }

    fn username(name: &str, whole: &str) -> Result<Reference, ReferenceError> {
        let fine = (3..=32).contains(&name.len())
            && name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if fine {
            Ok(Reference::Username(name.to_ascii_lowercase()))
        } else {
            Err(ReferenceError::Username(whole.to_owned()))
        }
    }

    fn invite(hash: &str, whole: &str) -> Result<Reference, ReferenceError> {
        let fine = (8..=64).contains(&hash.len())
            && hash
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
        if fine {
            Ok(Reference::Invite(hash.to_owned()))
        } else {
            Err(ReferenceError::Unknown(whole.to_owned()))
        }
    }

    /// Who this is before anyone looked him up: an id is at once the person.
    pub fn person(&self) -> PersonId {
        match self {
            Reference::Id(id) => PersonId(*id),
            other => PersonId::of_reference(other),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reference::Username(name) => write!(f, "@{name}"),
            Reference::Phone(digits) => write!(f, "+{digits}"),
            Reference::Id(id) => write!(f, "id:{id}"),
            Reference::Invite(hash) => write!(f, "https://t.me/+{hash}"),
        }
    }
}

/// The send-once key: at most one message is ever sent for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendKey {
    /// The line of campaigns.
    pub lineage: Lineage,
    /// The person, by user id.
    pub person: PersonId,
    /// 0 is the first message, 1 the first follow-up.
    pub step: u16,
    /// The run, only with `each_run: everyone`; else 0.
    pub run: u32,
}

/// By lineage, person, step and run. Keys of one campaign mostly share its name, which is not compared then.
impl Ord for SendKey {
    fn cmp(&self, other: &SendKey) -> std::cmp::Ordering {
        let lineage = match Arc::ptr_eq(&self.lineage, &other.lineage) {
            true => std::cmp::Ordering::Equal,
            false => self.lineage.cmp(&other.lineage),
        };
        let rest = |key: &SendKey| (key.person, key.step, key.run);
        lineage.then_with(|| rest(self).cmp(&rest(other)))
    }
}

impl PartialOrd for SendKey {
    fn partial_cmp(&self, other: &SendKey) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Of keys that are under way hardly two are of one person: the lineage's name is not hashed.
impl std::hash::Hash for SendKey {
    fn hash<H: std::hash::Hasher>(&self, hasher: &mut H) {
        (self.person, self.step, self.run).hash(hasher);
    }
}

impl SendKey {
    fn digest(&self, hasher: &mut blake3::Hasher) {
        hasher.update(&(self.lineage.len() as u64).to_le_bytes());
        hasher.update(self.lineage.as_bytes());
        hasher.update(&self.person.0.to_le_bytes());
        hasher.update(&self.step.to_le_bytes());
        hasher.update(&self.run.to_le_bytes());
    }

    /// A number that depends on nothing but this key and the purpose: the only chance there is in the core, so
    /// that planning again draws the same.
    pub fn draw(&self, purpose: &str) -> u64 {
        let mut hasher = blake3::Hasher::new();
        hasher.update(purpose.as_bytes());
        self.digest(&mut hasher);
        let mut bytes = [0u8; 8];
        bytes.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        u64::from_le_bytes(bytes)
    }

    /// Telegram's `random_id` of this send from the account that `key` belongs to. A keyed hash, so that it is the
    /// same even after the state was lost; never 0, which Telegram refuses.
    pub fn random_id(&self, key: &RandomKey) -> i64 {
        let mut hasher = blake3::Hasher::new_keyed(&key.0);
        self.digest(&mut hasher);
        let mut bytes = [0u8; 8];
        bytes.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        match i64::from_le_bytes(bytes) {
            0 => 1,
            id => id,
        }
    }
}

impl fmt::Display for SendKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/step {}", self.lineage, self.person, self.step)?;
        if self.run != 0 {
            write!(f, "/run {}", self.run)?;
        }
        Ok(())
    }
}

/// The key under which an account's `random_id`s are hashed, derived from its authorization key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RandomKey(pub [u8; 32]);

impl RandomKey {
    /// Derives it from an account's authorization key; the key itself cannot be had back.
    pub fn of_auth_key(auth_key: &[u8; 256]) -> RandomKey {
        RandomKey(blake3::derive_key(
            "tidings 2026 random_id of sends",
            auth_key,
        ))
    }
}

impl fmt::Debug for RandomKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RandomKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_name_a_person_has_one_normal_form() {
        for (text, expected) in [
            ("@Alice", "@alice"),
            ("alice_1", "@alice_1"),
            ("https://t.me/Bob1", "@bob1"),
            ("t.me/bobby?start=1", "@bobby"),
            ("http://telegram.me/s/bobby/", "@bobby"),
            ("tg://resolve?domain=bobby", "@bobby"),
            ("+1 (555) 010-0123", "+15550100123"),
            ("t.me/+15550100", "+15550100"),
            ("id:123", "id:123"),
            ("https://t.me/+AbCdEfGhIj", "https://t.me/+AbCdEfGhIj"),
            (
                "https://t.me/joinchat/AbCdEfGhIj",
                "https://t.me/+AbCdEfGhIj",
            ),
        ] {
            let found = Reference::parse(text).map(|r| r.to_string());
            assert_eq!(found.as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_typo_names_nobody() {
        assert!(matches!(
            Reference::parse("15550100"),
            Err(ReferenceError::BareNumber(_))
        ));
        for text in [
            "+12",
            "@ab",
            "@1abc",
            "id:0",
            "id:x",
            "a b",
            "",
            "@имя",
            "https://example.com/x",
        ] {
            assert!(Reference::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_reference_is_never_taken_for_a_user_id() {
        for name in ["alice", "bobby", "carol"] {
            assert!(!PersonId::of_reference(&Reference::Username(name.to_owned())).is_user());
        }
        assert!(Reference::Id(7).person().is_user());
    }

    #[test]
    fn a_random_id_depends_on_every_part_of_the_key_and_on_the_account() {
        let key = SendKey {
            lineage: "a".into(),
            person: PersonId(1),
            step: 0,
            run: 0,
        };
        let one = RandomKey([1; 32]);
        let base = key.random_id(&one);
        assert_eq!(base, key.clone().random_id(&one));
        assert_ne!(base, key.random_id(&RandomKey([2; 32])));
        assert_ne!(
            base,
            SendKey {
                lineage: "b".into(),
                ..key.clone()
            }
            .random_id(&one)
        );
        assert_ne!(
            base,
            SendKey {
                person: PersonId(2),
                ..key.clone()
            }
            .random_id(&one)
        );
        assert_ne!(
            base,
            SendKey {
                step: 1,
                ..key.clone()
            }
            .random_id(&one)
        );
        assert_ne!(
            base,
            SendKey {
                run: 1,
                ..key.clone()
            }
            .random_id(&one)
        );
    }
}

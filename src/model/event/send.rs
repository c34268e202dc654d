//! What events say of one send.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::{AccountName, Outcome, PersonId, SendKey, Timestamp};

/// Everything that one send needs, durable before its first byte leaves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// At most one message is sent for it.
    pub key: SendKey,
    /// By which account, and by no other once this is written.
    pub account: AccountName,
    /// Telegram's key against duplicates.
    pub random_id: i64,
    /// The run in which it is sent.
    pub run: u32,
    /// The name of the template's variant.
    pub variant: Arc<str>,
    /// The digest of the spec by which it was made.
    pub digest: Arc<str>,
    /// A first contact under consent `attested`: counts for its own daily limit.
    #[serde(default)]
    pub attested: bool,
    /// The request, serialised; the same bytes go out again when in doubt.
    #[serde(with = "shared_bytes")]
    pub request: Arc<[u8]>,
    /// The account sends nothing before this moment.
    pub next_allowed_at: Timestamp,
}

impl Intent {
    /// In the place of a `random_id` where Telegram takes none: an invite. A message never has it
    /// ([`SendKey::random_id`]).
    pub const NO_RANDOM_ID: i64 = 0;

    /// Whether it adds somebody to a place, instead of writing to him.
    pub fn is_invite(&self) -> bool {
        self.random_id == Intent::NO_RANDOM_ID
    }
}

/// Bytes that the journal, the state and the account's task hold at once.
mod shared_bytes {
    use std::sync::Arc;

    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serde_bytes::serialize(bytes, serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<[u8]>, D::Error> {
        serde_bytes::deserialize::<Vec<u8>, D>(deserializer).map(Arc::from)
    }
}

/// Why it is not known whether a send took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InDoubtWhy {
    /// The engine stopped between the intent and its outcome.
    Restart,
    /// No answer in time.
    Timeout,
    /// The connection broke.
    Connection,
    /// Telegram had an internal error (5xx, negative codes).
    Server,
    /// The dialog, or the place's members, could not be read: nothing was sent by that.
    Unread,
    /// A repeat was refused so: whether the first try had arrived the dialog says.
    Refused(Outcome),
}

/// People who are settled alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettledElsewhere {
    /// How.
    pub outcome: Outcome,
    /// By which account.
    pub account: Option<AccountName>,
    /// With which variant.
    pub variant: Option<String>,
    /// Who, and when it was accepted, in seconds of Unix time; 0 where it was not.
    pub people: Vec<(PersonId, u32)>,
}

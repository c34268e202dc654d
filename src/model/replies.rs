//! What operators do with conversations.

use serde::{Deserialize, Serialize};

use super::TalkChange;

/// A part of `tidings replies`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case")]
pub enum RepliesCommand {
    /// The conversations.
    List {
        /// Only those in this state (`draft`, `needs_human`, …).
        state: Option<String>,
    },
    /// One person's conversations, line by line.
    Show {
        /// `@name`, `+phone` or `id:123`.
        person: String,
    },
    /// Send a draft.
    Approve {
        /// Its number.
        id: u64,
        /// With this text instead.
        text: Option<String>,
        /// Who.
        by: String,
    },
    /// Throw a draft away.
    Reject {
        /// Its number.
        id: u64,
        /// Who.
        by: String,
    },
    /// Say something.
    Send {
        /// To whom.
        person: String,
        /// What.
        text: String,
        /// By which account; the one he last wrote to where absent.
        account: Option<String>,
        /// Who.
        by: String,
    },
    /// Take a conversation, give it back, close it.
    Change {
        /// With whom.
        person: String,
        /// What.
        change: TalkChange,
        /// Who.
        by: String,
    },
}

impl RepliesCommand {
    /// Whether it changes something.
    pub fn changes(&self) -> bool {
        !matches!(
            self,
            RepliesCommand::List { .. } | RepliesCommand::Show { .. }
        )
    }
}

//! What `notify` tells of.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What somebody can be told.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum NotifyEvent {
    /// A person asks for a human.
    Handoff,
    /// A drafted answer waits for approval.
    Draft,
    /// A campaign has paused: by itself (a tripped guardrail), for an approval (`canary`, `approve_over`), or by a person.
    Paused,
    /// A campaign cannot go on until somebody mends the cause.
    Stalled,
    /// An account is lost, limited, told to wait for over an hour, or out of reach for 5 minutes; or it is back.
    Account,
    /// A run or campaign has finished.
    Finished,
}

impl NotifyEvent {
    /// The word that `notify.on` has for it.
    pub fn name(self) -> &'static str {
        match self {
            NotifyEvent::Handoff => "handoff",
            NotifyEvent::Draft => "draft",
            NotifyEvent::Paused => "paused",
            NotifyEvent::Stalled => "stalled",
            NotifyEvent::Account => "account",
            NotifyEvent::Finished => "finished",
        }
    }
}

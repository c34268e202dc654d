//! What events say of a campaign's way: firings and runs, what holds and stalls it, the places it joins.

use serde::{Deserialize, Serialize};

/// What became of a firing of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FiringFate {
    /// It opens a run.
    Opens {
        /// Counted from 1.
        run: u32,
        /// `each_run: everyone`.
        everyone: bool,
    },
    /// No daemon ran at it (`missed: skip`).
    Missed,
    /// The run before was open still (`overlap: skip`).
    Overlaps,
    /// It opens a run as soon as the one before is settled (`overlap: queue`).
    Queued,
    /// The campaign was paused, suspended or stalled.
    Held,
}

/// Why a campaign is held until a person decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum HoldReason {
    /// Sources that the consent does not admit.
    ConsentMismatch,
    /// The accounts belong to another state.
    StateLost,
    /// Most of its audience was contacted by a campaign that is gone.
    LooksRenamed,
}

/// Why a campaign stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StallReason {
    /// CamelCase, as the condition shows it.
    pub reason: String,
    /// One sentence with Telegram's own words.
    pub message: String,
}

/// How an account's join ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JoinEnd {
    /// It is in.
    In,
    /// The place's admins decide.
    Requested,
    /// It cannot.
    Failed {
        /// Telegram's own words.
        detail: String,
    },
}

//! What is known of an account.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Meter;
use crate::model::reaction::CallClass;
use crate::model::{AccountState, PersonId, Timestamp};

/// The first time of PEER_FLOOD: no first contacts for this long (CONTRACT section 6).
pub const LIMITED_FIRST: Duration = Duration::from_secs(24 * 3600);
/// Doubling ends here; after as long without PEER_FLOOD it begins anew.
pub const LIMITED_MOST: Duration = Duration::from_secs(7 * 24 * 3600);

/// A wait that Telegram asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flood {
    /// Until when, jitter included.
    pub until: Timestamp,
    /// What Telegram said, in seconds.
    pub seconds: u32,
}

/// One account.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// Its user id, once it was asked.
    pub person: Option<PersonId>,
    /// `unauthorized`, `banned`, `frozen`, … with the sentence; absent while all is well.
    pub trouble: Option<(AccountState, String, Timestamp)>,
    /// Waits that Telegram asked for, by class of calls.
    pub floods: BTreeMap<CallClass, Flood>,
    /// PEER_FLOOD: no first contacts until then.
    pub limited_until: Option<Timestamp>,
    /// How long the last limit was.
    pub limited_for: Duration,
    /// Nothing is sent before this moment: the delay between messages.
    pub next_allowed_at: Timestamp,
    /// Messages of all campaigns.
    pub meter: Meter,
    /// First contacts of consent `attested`.
    pub attested: Meter,
    /// Sends without a known outcome.
    pub in_flight: u32,
    /// How many of them are in doubt.
    pub in_doubt: u32,
    /// The account's place in Telegram's updates: pts, qts, date, seq.
    pub updates: Option<(i32, i32, i32, i32)>,
    /// Usernames and phones that it looked up.
    #[serde(default)]
    pub lookups: Meter,
    /// Ids of messages that the engine sent: what else the account says a human says.
    #[serde(default)]
    pub own_messages: roaring::RoaringBitmap,
}

impl Account {
    /// Until when Telegram told this class of calls to wait.
    pub fn flood_until(&self, class: CallClass, now: Timestamp) -> Option<Timestamp> {
        self.floods
            .get(&class)
            .map(|flood| flood.until)
            .filter(|until| *until > now)
    }

    /// Until when it may write to no stranger.
    pub fn limited(&self, now: Timestamp) -> Option<Timestamp> {
        self.limited_until.filter(|until| *until > now)
    }

    /// How long the next PEER_FLOOD limits it.
    pub fn next_limit(&self, now: Timestamp) -> Duration {
        let calm = self
            .limited_until
            .is_none_or(|until| now.since(until) >= LIMITED_MOST);
        if calm || self.limited_for.is_zero() {
            LIMITED_FIRST
        } else {
            (self.limited_for * 2).min(LIMITED_MOST)
        }
    }
}

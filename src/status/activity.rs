//! What was done, in numbers over time: for charts and counters.

use serde::{Deserialize, Serialize};

use super::types::Moment;
use crate::model::{AccountName, Outcome};
use crate::observed::{Campaign, Meter};
use crate::plan::Inputs;

/// Messages of one account that ended one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageCount {
    /// By which account; none where it ended before any had it in hand.
    pub account: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// How often.
    pub count: u64,
}

/// Messages of one hour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HourCount {
    /// The hour's beginning.
    pub at: Moment,
    /// Messages, those on their way among them.
    pub sent: u32,
}

/// By account and outcome.
pub(super) fn messages(inputs: &Inputs<'_>, state: &Campaign) -> Vec<MessageCount> {
    state
        .messages
        .iter()
        .map(|((account, outcome), count)| MessageCount {
            account: inputs
                .observed
                .account_name(*account)
                .map(ToString::to_string),
            outcome: *outcome,
            count: *count,
        })
        .collect()
}

/// The hours that a meter still knows.
pub(super) fn hours(meter: &Meter) -> Vec<HourCount> {
    meter
        .hours()
        .into_iter()
        .map(|(at, sent)| HourCount {
            at: Moment::from(at),
            sent,
        })
        .collect()
}

/// An account's messages of all campaigns.
pub(super) fn of_account(inputs: &Inputs<'_>, name: &AccountName) -> Vec<HourCount> {
    inputs
        .observed
        .accounts
        .get(name)
        .map(|account| hours(&account.meter))
        .unwrap_or_default()
}

//! Runs: which firing opened the open one, which firings are dealt with, when the last one ended.

use serde::{Deserialize, Serialize};

use super::campaign::GuardCounts;
use super::{Campaign, Handle, Observed, Recipient, Status};
use crate::model::{Lineage, Outcome, Timestamp};

/// The runs of a campaign.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runs {
    /// The cron and its zone, as they were last seen: `cursor` belongs to them.
    pub schedule: Option<String>,
    /// Firings up to this moment are dealt with.
    pub cursor: Timestamp,
    /// A firing that waits until the open run is settled (`overlap: queue`).
    pub queued: Option<Timestamp>,
    /// The firing that opened the run.
    pub firing: Option<Timestamp>,
    /// `each_run: everyone`: the keys of the open run carry its number.
    pub everyone: bool,
    /// When its owner's plan let the run begin; absent where no plan asks.
    pub started_at: Option<Timestamp>,
    /// When everybody whom it found was settled; absent while it is open.
    pub settled_at: Option<Timestamp>,
    /// Since when there is a valid file; firings before it are none of this campaign's.
    pub valid_since: Timestamp,
}

impl Campaign {
    /// Whether its run has people to write to, or is still to find out.
    pub fn run_is_open(&self) -> bool {
        self.run > 0 && self.runs.settled_at.is_none()
    }

    /// The run of the send-once keys of its first messages.
    pub fn key_run(&self) -> u32 {
        if self.runs.everyone { self.run } else { 0 }
    }
}

/// Outcomes that are for good in a lineage, in every run (CONTRACT section 6).
fn is_for_good(outcome: Outcome) -> bool {
    matches!(
        outcome,
        Outcome::PrivacyRestricted
            | Outcome::Blocked
            | Outcome::Deactivated
            | Outcome::NotMutual
            | Outcome::PremiumRequired
            | Outcome::PaymentRequired
            | Outcome::TooManyChats
            | Outcome::AlreadyMember
    )
}

/// A firing opens a run.
pub(super) fn opened(
    state: &mut Observed,
    line: &Lineage,
    run: u32,
    everyone: bool,
    firing: Timestamp,
    at: Timestamp,
) {
    let Observed {
        seq,
        persons,
        campaigns,
        suppressed,
        opted_out,
        ..
    } = state;
    let Some(it) = campaigns.get_mut(line) else {
        return;
    };
    it.run = run;
    it.run_opened_at = Some(at);
    it.run_opened_seq = *seq;
    it.run_sent.clear();
    it.run_first = 0;
    // The sources are looked up anew, and nobody is written to before.
    it.judgement = None;
    it.runs.cursor = it.runs.cursor.max(firing);
    it.runs.queued = None;
    it.runs.firing = Some(firing);
    it.runs.everyone = everyone;
    it.runs.started_at = None;
    it.runs.settled_at = None;
    if !everyone {
        return;
    }
    let again: Vec<u32> = it
        .recipients
        .iter()
        .filter(|(_, recipient)| match recipient.status {
            Status::Settled(outcome) => !is_for_good(outcome),
            _ => false,
        })
        .map(|(number, _)| number)
        .collect();
    for number in again {
        let handle = Handle(number);
        if let Some(Recipient {
            status: Status::Settled(outcome),
            ..
        }) = it.recipients.remove(&number)
        {
            super::recipients::uncount(&mut it.outcomes, outcome);
        }
        // Whoever is silenced is found again, and excluded with the reason.
        if suppressed.contains(number) || opted_out.contains(number) {
            continue;
        }
        // Whom the look-up does not find is dropped when the filters are applied.
        it.recipients.insert(number, Recipient::of(Status::Pending));
        let class = persons.class(handle);
        it.enqueue(handle, persons, class);
    }
    it.variants.clear();
    it.replied = 0;
    it.opted_out = 0;
    it.blocked = 0;
    it.guard_base = GuardCounts::default();
    it.guard_base = it.guard_totals();
}

/// People are pending again, so the run is open again.
pub(super) fn reopen(it: &mut Campaign) {
    it.runs.settled_at = None;
}

/// A valid file came in the place of none, or of an invalid one.
pub(super) fn seen(it: &mut Campaign, was_valid: bool, at: Timestamp) {
    if !was_valid {
        it.runs.valid_since = at;
    }
}

//! What is known of a campaign.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};

use super::table::Row;
use super::{ClassId, Handle, Handles, Meter, Persons, Table};
use crate::model::{Exclusion, Lineage, Outcome, SourceId, StallReason, Timestamp};

/// A hold by an operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Why.
    pub reason: String,
    /// Who.
    pub by: String,
    /// Since when.
    pub at: Timestamp,
}

/// What an operator approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Of texts, sources, filters and accounts (see `desired`).
    pub digest: String,
    /// How many people.
    pub people: u64,
    /// How many messages of the run had left by then: an approval before the canary is none of the canary.
    pub after: u64,
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// The last time that filters were applied to everybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// By which version of the spec.
    pub digest: String,
    /// After how many ended look-ups.
    pub lookups: u64,
    /// When.
    pub at: Timestamp,
    /// The event that finished it.
    #[serde(default)]
    pub seq: u64,
}

/// Whether a campaign looks like one that is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LooksLike {
    /// Its audience of that moment.
    pub judged: Timestamp,
    /// Over half of it was contacted by this one.
    pub before: Option<Lineage>,
    /// How many.
    pub contacted: u64,
    /// Of how many.
    pub people: u64,
}

/// What one account (or the file itself) found in one source.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Lookup {
    /// Under way since.
    pub running: Option<Timestamp>,
    /// What the one under way found so far.
    pub incoming: RoaringBitmap,
    /// The last result.
    pub found: RoaringBitmap,
    /// When the last one ended.
    pub ended: Option<Timestamp>,
    /// It read everybody.
    pub complete: bool,
    /// Why it failed.
    pub error: Option<String>,
    /// The failure passes by itself.
    #[serde(default)]
    pub passing: bool,
    /// Why it did not, though it went well.
    pub partial: Option<String>,
    /// The account is creator or admin of the place.
    pub admin: bool,
    /// Lines that name nobody.
    pub bad_rows: u32,
    /// Failed one after another.
    pub failures: u32,
    /// The one under way began then, before whatever stopped it in between.
    #[serde(default)]
    pub begun: Option<Timestamp>,
    /// Where its next page begins, and when that was known.
    #[serde(default)]
    pub cursor: Option<(String, Timestamp)>,
    /// How many people there are, where Telegram tells.
    #[serde(default)]
    pub total: Option<u64>,
    /// The event with which the one under way began. What came first is asked of the journal: clocks are set.
    #[serde(default)]
    pub begun_seq: u64,
    /// The event with which the last one ended.
    #[serde(default)]
    pub ended_seq: u64,
}

/// One source: its look-ups by account; [`Source::NO_ACCOUNT`] for files and lists.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// By the account's position.
    pub lookups: BTreeMap<u16, Lookup>,
}

impl Source {
    /// Stands for a source that no account is needed for.
    pub const NO_ACCOUNT: u16 = u16::MAX;

    /// Everybody that it names.
    pub fn found(&self) -> RoaringBitmap {
        self.lookups
            .values()
            .fold(RoaringBitmap::new(), |all, lookup| all | &lookup.found)
    }

    /// Whether every look-up of it failed the last time; false where there was none.
    pub fn failed(&self) -> bool {
        !self.lookups.is_empty() && self.lookups.values().all(|lookup| lookup.error.is_some())
    }

    /// When it was last read with success.
    pub fn read_at(&self) -> Option<Timestamp> {
        self.lookups
            .values()
            .filter(|l| l.complete || l.error.is_none())
            .filter_map(|l| l.ended)
            .max()
    }
}

/// Where a person stands in a campaign, by the first step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// To be sent to. Waits in a queue.
    Pending,
    /// Being sent to.
    InFlight,
    /// Done, one way or the other.
    Settled(Outcome),
    /// Found, and not in the audience.
    Excluded(Exclusion),
}

/// A person in a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// Where he stands.
    pub status: Status,
    /// The account that sent; while pending, the only one that may (after a wait that Telegram asked for).
    pub account: Option<u16>,
    /// The position of the variant that he got.
    pub variant: Option<u16>,
    /// When it was accepted, in seconds.
    pub sent_at: u32,
    /// He wrote back.
    pub replied: bool,
    /// He opted out after it.
    pub opted_out: bool,
    /// No other account may ever write to him in this campaign: Telegram asked this one to wait, or refused it.
    pub bound: bool,
}

impl Recipient {
    /// Somebody of whom nothing but this is known yet.
    pub(super) fn of(status: Status) -> Recipient {
        Recipient {
            status,
            account: None,
            variant: None,
            sent_at: 0,
            replied: false,
            opted_out: false,
            bound: false,
        }
    }
}

impl Row for Recipient {
    /// When his message was accepted.
    type Moment = u32;

    fn take_moment(&mut self) -> u32 {
        std::mem::take(&mut self.sent_at)
    }

    fn set_moment(&mut self, moment: u32) {
        self.sent_at = moment;
    }
}

/// Counts of one variant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VariantCount {
    /// Messages accepted.
    pub sent: u64,
    /// People who wrote back.
    pub replied: u64,
}

/// What guardrails look at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardCounts {
    /// Messages that Telegram accepted or refused.
    pub attempts: u64,
    /// Of them accepted.
    pub sent: u64,
    /// Blocks.
    pub blocked: u64,
    /// Failures that nobody but us is to blame for.
    pub failed: u64,
    /// Opt-outs.
    pub opted_out: u64,
}

/// One line of campaigns.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Campaign {
    /// What it is over its renames.
    pub lineage: Option<Lineage>,
    /// Its name now.
    pub name: String,
    /// Its file now, relative to the workspace.
    pub file: String,
    /// Counts the changes of its bytes.
    pub generation: u64,
    /// The digest of that generation.
    pub digest: String,
    /// The newest generation that was valid.
    pub observed_generation: u64,
    /// The first error, where the newest is invalid.
    pub error: Option<String>,
    /// When the newest was seen.
    pub seen_at: Timestamp,
    /// Its file is gone since.
    pub retired: Option<Timestamp>,
    /// Held by an operator.
    pub suspended: Option<Hold>,
    /// Approved by an operator.
    pub approval: Option<Approval>,
    /// Stopped by itself, and when.
    pub stalled: Option<(StallReason, Timestamp)>,
    /// Paused itself, and when.
    pub self_paused: Option<(StallReason, Timestamp)>,
    /// The run, counted from 1; 0 before the first.
    pub run: u32,
    /// When it opened.
    pub run_opened_at: Option<Timestamp>,
    /// Sources by id; those that no spec names any more stay until the next checkpoint.
    pub sources: BTreeMap<SourceId, Source>,
    /// Ended look-ups, counted.
    pub lookups_ended: u64,
    /// An operator asked for a look-up then.
    pub reconcile_asked: Option<Timestamp>,
    /// The last time that filters were applied to everybody.
    pub judgement: Option<Judgement>,
    /// Everybody who was found.
    pub recipients: Table<Recipient>,
    /// Pending people, by the accounts that can reach them.
    pub queues: BTreeMap<ClassId, Handles>,
    /// Pending people who are only a username or phone yet.
    pub unresolved: Handles,
    /// Pending people about whom something new is known since filters were applied to them.
    pub unjudged: Handles,
    /// People whose send has no outcome yet.
    pub in_flight: u64,
    /// Settled people by outcome.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// Excluded people by reason.
    pub excluded: BTreeMap<Exclusion, u64>,
    /// Variants by name.
    pub variants: IndexMap<String, VariantCount>,
    /// People who wrote back.
    pub replied: u64,
    /// People who opted out after a message.
    pub opted_out: u64,
    /// People who blocked an account at its message.
    pub blocked: u64,
    /// Its messages, all accounts.
    pub meter: Meter,
    /// Its messages by account.
    pub meters: BTreeMap<u16, Meter>,
    /// Its messages by account in this run.
    pub run_sent: BTreeMap<u16, u32>,
    /// What the guardrails counted when an operator last resumed it: they count anew from there.
    pub guard_base: GuardCounts,
    /// Accounts that were limited in it, and until when.
    pub limited: BTreeMap<u16, Timestamp>,
    /// Unknown failures one after another.
    pub failures_in_row: u32,
    /// When it last sent.
    pub last_sent_at: Option<Timestamp>,
    /// First messages of this run, those on their way among them; `run_sent` counts follow-ups too.
    #[serde(default)]
    pub run_first: u64,
    /// Follow-ups.
    #[serde(default)]
    pub steps: super::Steps,
    /// What became of its messages and of those that were not sent, all steps and runs, by account
    /// ([`Source::NO_ACCOUNT`] where none had it in hand). Only ever added to: a retry counts again.
    #[serde(default)]
    pub messages: BTreeMap<(u16, Outcome), u64>,
    /// Runs.
    #[serde(default)]
    pub runs: super::Runs,
    /// What was found when it was held against campaigns that are gone.
    #[serde(default)]
    pub looks_like: Option<LooksLike>,
    /// Links to the target of an `invite`, by account.
    #[serde(default)]
    pub links: BTreeMap<u16, super::InviteLink>,
    /// The ramps of a `warmup`, by account.
    #[serde(default)]
    pub warming: BTreeMap<u16, super::Warming>,
    /// The joins of a `warmup`, by account.
    #[serde(default)]
    pub joins: BTreeMap<u16, super::Joins>,
    /// The event that opened the run: look-ups that ended before it are done anew.
    #[serde(default)]
    pub run_opened_seq: u64,
    /// The event by which an operator last asked for a look-up.
    #[serde(default)]
    pub reconcile_seq: u64,
    /// What the newest valid version does (`mailing`, …); empty where that was never written down.
    #[serde(default)]
    pub kind: String,
    /// That version's title.
    #[serde(default)]
    pub title: Option<String>,
    /// The commit that the newest generation is from, where it stood in one when it was seen.
    #[serde(default)]
    pub commit: Option<String>,
}

impl Campaign {
    /// Counts what became of a message.
    pub(super) fn count(&mut self, account: u16, outcome: Outcome) {
        *self.messages.entry((account, outcome)).or_default() += 1;
    }

    /// Pending people.
    pub fn pending(&self) -> u64 {
        self.queues.values().map(|queue| queue.len()).sum::<u64>() + self.unresolved.len()
    }

    /// Settled people of these outcomes.
    pub fn settled(&self, which: impl Fn(Outcome) -> bool) -> u64 {
        self.outcomes
            .iter()
            .filter(|(outcome, _)| which(**outcome))
            .map(|(_, n)| n)
            .sum()
    }

    /// People in the audience.
    pub fn included(&self) -> u64 {
        self.pending() + self.in_flight + self.settled(|_| true)
    }

    /// Everybody who was found.
    pub fn found(&self) -> u64 {
        self.included() + self.excluded.values().sum::<u64>()
    }

    /// First messages of this run, those on their way among them.
    pub fn run_total(&self) -> u64 {
        self.run_first
    }

    /// What guardrails look at, since the operator last resumed it.
    pub fn guard_counts(&self) -> GuardCounts {
        let all = self.guard_totals();
        let base = self.guard_base;
        GuardCounts {
            attempts: all.attempts.saturating_sub(base.attempts),
            sent: all.sent.saturating_sub(base.sent),
            blocked: all.blocked.saturating_sub(base.blocked),
            failed: all.failed.saturating_sub(base.failed),
            opted_out: all.opted_out.saturating_sub(base.opted_out),
        }
    }

    pub(super) fn guard_totals(&self) -> GuardCounts {
        let nothing_left = [
            Outcome::OptedOut,
            Outcome::NotFound,
            Outcome::Unreachable,
            Outcome::AlreadyMember,
        ];
        let steps = self.steps.totals();
        GuardCounts {
            attempts: self.settled(|outcome| !nothing_left.contains(&outcome)) + steps.attempts,
            sent: self.settled(|outcome| outcome == Outcome::Sent) + steps.sent,
            blocked: self.blocked,
            failed: self.settled(|outcome| {
                matches!(
                    outcome,
                    Outcome::Failed | Outcome::TemplateError | Outcome::TooLong
                )
            }) + steps.failed,
            opted_out: self.opted_out,
        }
    }

    /// Whether a look-up of it is under way.
    pub fn looking_up(&self) -> bool {
        self.sources
            .values()
            .any(|s| s.lookups.values().any(|l| l.running.is_some()))
    }

    /// Puts a pending person into the queue that he belongs to now.
    pub(super) fn enqueue(&mut self, handle: Handle, persons: &Persons, class: ClassId) {
        if persons.id(handle).is_some_and(|id| !id.is_user()) {
            self.unresolved.insert(handle.0);
        } else {
            self.queues.entry(class).or_default().insert(handle.0);
        }
    }

    /// Takes him out of it.
    pub(super) fn dequeue(&mut self, handle: Handle, class: ClassId) {
        if self.unresolved.remove(handle.0) {
            return;
        }
        if let Some(queue) = self.queues.get_mut(&class) {
            queue.remove(handle.0);
            if queue.is_empty() {
                self.queues.remove(&class);
            }
        }
    }
}

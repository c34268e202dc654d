//! Conversations with people who write in: what is to be answered, what was drafted, who speaks.

mod notices;
mod said;
mod sending;
mod spend;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::{Handle, Observed};
use crate::model::{AccountName, DraftHold, Event, Lineage, NeedsWhy, PersonId, Timestamp};

pub use notices::Notice;
pub(super) use sending::{intended, refused, released, sent};
pub use spend::Spend;

/// Ids of his messages that are remembered one by one, so that one that comes late is told from one that comes twice:
/// more than a gap in the updates ever holds of one person.
const RECENT: usize = 64;
/// Prints that are remembered: such sends are rare, and told of within moments.
const UNSEEN: usize = 32;

/// Messages of his that wait for an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unanswered {
    /// The oldest.
    pub first: i32,
    /// The newest.
    pub last: i32,
    /// When the oldest came.
    pub since: Timestamp,
    /// When the newest came.
    pub last_at: Timestamp,
    /// Whose role answers.
    pub role: Lineage,
    /// Tries to draft an answer that failed, one after another.
    pub failures: u32,
    /// Not before then.
    pub retry_at: Timestamp,
    /// Why the last one failed.
    pub detail: String,
    /// Of them those whose answer the server may have all the same.
    #[serde(default)]
    pub unknown: u32,
    /// Rounds of questions that are over: what is asked now is another question, also where nothing new was said.
    #[serde(default)]
    pub rounds: u32,
    /// Up to this message an operator gave it back to the AI: no word in it fetches a human any more.
    #[serde(default)]
    pub given_back: i32,
}

impl Unanswered {
    /// Tries whose end is known, over all that was said since `first`.
    pub fn round(&self) -> u32 {
        self.rounds + self.failures.saturating_sub(self.unknown)
    }

    /// The tries begin anew.
    fn anew(&mut self) {
        self.rounds = self.round() + 1;
        self.failures = 0;
        self.unknown = 0;
        self.retry_at = Timestamp::MIN;
        self.detail.clear();
    }
}

/// A question to the model whose end is not known yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asking {
    /// The newest message that is to be answered.
    pub message_id: i32,
    /// In which role.
    pub role: Lineage,
    /// What it may cost in all, roughly.
    pub tokens: u64,
}

/// An answer that was drafted and is not sent yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    /// The number by which an operator names it: of the event that made it.
    pub id: u64,
    /// The newest message that it answers: its key.
    pub message_id: i32,
    /// When it was drafted, or approved.
    pub at: Timestamp,
    /// Waits for an operator, and why.
    pub hold: Option<DraftHold>,
    /// Whose role drafted it.
    pub role: Lineage,
    /// Its intent is written: nothing changes it any more.
    pub sending: bool,
    /// An operator put his own words in its place.
    #[serde(default)]
    pub edited: bool,
}

/// A message of an operator that is not sent yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorMessage {
    /// Its number.
    pub number: u32,
    /// Its intent is written.
    pub sending: bool,
}

/// What one person and one account say to each other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Talk {
    /// His last messages that were handled, ascending; at most [`RECENT`].
    pub recent: Vec<i32>,
    /// When he last wrote.
    pub wrote_at: Timestamp,
    /// What is to be answered.
    pub unanswered: Option<Unanswered>,
    /// The answer that is not sent yet.
    pub draft: Option<Draft>,
    /// Operators' messages that are not sent yet.
    pub operator: VecDeque<OperatorMessage>,
    /// How many an operator ever wrote.
    pub operator_count: u32,
    /// A human must look: why, since when, in one sentence.
    pub needs: Option<(NeedsWhy, Timestamp, String)>,
    /// A human goes on with it since: the AI is silent.
    pub human: Option<Timestamp>,
    /// Closed by an operator, until he writes again.
    pub closed: bool,
    /// Answers of the AI that were sent, by role.
    pub replies: BTreeMap<Lineage, u32>,
    /// The first answer said what it is.
    pub disclosed: bool,
    /// Of states before `unseen`; means nothing any more.
    pub blind: u32,
    /// Prints of sends of which Telegram never said the message's id; at most [`UNSEEN`].
    #[serde(default)]
    pub unseen: Vec<u64>,
}

impl Talk {
    /// Whether the planner has something to do here.
    fn is_due(&self) -> bool {
        if !self.operator.is_empty() {
            return true;
        }
        let waits = self.draft.as_ref().is_some_and(|d| d.hold.is_none());
        let open = self.unanswered.is_some() && self.draft.is_none();
        (waits || open) && self.needs.is_none() && self.human.is_none()
    }
}

/// All conversations, and what is to be told about them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Talks {
    /// By person and account.
    #[serde(with = "super::pairs")]
    pub all: BTreeMap<(u32, u16), Talk>,
    /// Those in which the planner has something to do.
    pub due: BTreeSet<(u32, u16)>,
    /// Tokens by role.
    pub spend: BTreeMap<Lineage, Spend>,
    /// What was last told, the oldest first.
    pub notices: VecDeque<Notice>,
    /// Up to which event each entry of `notify` was told.
    pub told: BTreeMap<u64, u64>,
    /// The run of each campaign that has finished.
    pub finished: BTreeMap<Lineage, u32>,
    /// Messages to operators whose intent is written, until that is told: by account, person and event.
    pub noticed: BTreeSet<(u16, PersonId, u32)>,
    /// Campaigns that wait for a person without an event of their own, and the reason that was told.
    pub waits: BTreeMap<Lineage, String>,
    /// Accounts that cannot be used without Telegram's word, and the reason that was told.
    pub away: BTreeMap<AccountName, String>,
    /// Questions to the model whose end is not known yet, by person and account.
    #[serde(with = "super::pairs")]
    pub asking: BTreeMap<(u32, u16), Asking>,
}

impl Talks {
    /// The conversation of a person with an account.
    pub fn get(&self, person: Handle, account: u16) -> Option<&Talk> {
        self.all.get(&(person.0, account))
    }

    /// All conversations of a person.
    pub fn of(&self, person: Handle) -> impl Iterator<Item = (u16, &Talk)> {
        self.all
            .range((person.0, 0)..=(person.0, u16::MAX))
            .map(|((_, account), talk)| (*account, talk))
    }

    /// Whether a human goes on with this person, through whichever account.
    pub fn is_human(&self, person: Handle) -> bool {
        self.of(person).any(|(_, talk)| talk.human.is_some())
    }

    /// The account in whose dialog a person asked for a human whom he has not got yet.
    pub fn handed_off(&self, person: Handle) -> Option<u16> {
        self.of(person)
            .find(|(_, talk)| {
                talk.needs
                    .as_ref()
                    .is_some_and(|(why, ..)| why.asks_for_a_human())
            })
            .map(|(by, _)| by)
    }

    /// Answers of the AI to a person in a role, over all accounts.
    pub fn replies(&self, person: Handle, role: &str) -> u32 {
        self.of(person)
            .map(|(_, talk)| talk.replies.get(role).copied().unwrap_or(0))
            .sum()
    }

    /// Whether a message of his was handled, given the newest one that was.
    pub fn was_handled(&self, person: Handle, account: u16, last: i32, message_id: i32) -> bool {
        if message_id > last {
            return false;
        }
        match self.get(person, account) {
            Some(talk) if talk.recent.len() < RECENT => {
                talk.recent.is_empty() || talk.recent.contains(&message_id)
            }
            Some(talk) => {
                talk.recent.contains(&message_id)
                    || talk.recent.first().is_some_and(|first| message_id < *first)
            }
            None => true,
        }
    }
}

impl Observed {
    /// Changes a conversation, and keeps in mind whether there is something to do in it.
    fn talk(&mut self, person: Handle, account: u16, change: impl FnOnce(&mut Talk)) {
        let key = (person.0, account);
        let talk = self.talks.all.entry(key).or_default();
        change(talk);
        if talk.is_due() {
            self.talks.due.insert(key);
        } else {
            self.talks.due.remove(&key);
        }
    }

    fn talks_of(&mut self, person: Handle, mut change: impl FnMut(&mut Talk)) {
        let accounts: Vec<u16> = self.talks.of(person).map(|(account, _)| account).collect();
        for account in accounts {
            self.talk(person, account, &mut change);
        }
    }
}

/// A message of his was handled.
pub(super) fn heard(
    state: &mut Observed,
    person: Handle,
    account: u16,
    message_id: i32,
    at: Timestamp,
) {
    state.talk(person, account, |talk| {
        talk.wrote_at = talk.wrote_at.max(at);
        if let Err(place) = talk.recent.binary_search(&message_id) {
            talk.recent.insert(place, message_id);
        }
        if talk.recent.len() > RECENT {
            talk.recent.remove(0);
        }
        talk.closed = false;
    });
}

/// Somebody who is silenced waits for no answer any more.
pub(super) fn silenced(state: &mut Observed, person: Handle) {
    state.talks_of(person, |talk| {
        talk.unanswered = None;
        talk.draft = talk.draft.take().filter(|draft| draft.sending);
        talk.operator.retain(|message| message.sending);
        talk.needs = None;
    });
}

/// Events about conversations, and what of all is worth a notice.
pub(super) fn fold(state: &mut Observed, event: &Event, at: Timestamp) {
    said::fold(state, event, at);
    notices::fold(state, event, at);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_comes_late_is_told_from_one_that_comes_twice() {
        let mut state = Observed::default();
        let who = state.persons.intern(PersonId(7));
        for id in [5, 9] {
            heard(&mut state, who, 0, id, Timestamp(1));
        }
        let handled = |state: &Observed, id| state.talks.was_handled(who, 0, 9, id);
        assert!(handled(&state, 5) && handled(&state, 9));
        assert!(!handled(&state, 7), "it came late");
        assert!(!handled(&state, 10));
        for id in 100..200 {
            heard(&mut state, who, 0, id, Timestamp(1));
        }
        assert!(
            state.talks.was_handled(who, 0, 199, 7),
            "older than what is remembered one by one"
        );
    }
}

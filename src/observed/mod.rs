//! What is: the one state, come to be by folding the journal and in no other way.
//!
//! `observed` holds no personal data: people are ids. What the planner asks on every pass is kept so
//! that asking costs what is due, not what exists: pending people stand in queues by who can reach them.
//!
//! # Guarantees
//! - The same events give the same state, from the first event or from a checkpoint.
//! - A key that was sent, refused or is in doubt is never pending again but by an operator's word.

mod account;
mod campaign;
mod contacted;
mod flights;
mod fold;
mod lookups;
mod meter;
mod moments;
mod persons;
mod places;
mod recipients;
mod restored;
mod retry;
mod runs;
mod steps;
mod suppression;
mod table;
mod talk;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};

pub use crate::model::OPT_OUT_LINEAGE;
pub use account::{Account, Flood, LIMITED_FIRST, LIMITED_MOST};
pub use campaign::{
    Approval, Campaign, GuardCounts, Hold, Judgement, LooksLike, Lookup, Recipient, Source, Status,
    VariantCount,
};
pub use contacted::{Contacted, MONTHLY, Sent};
pub use fold::fold;
pub use meter::Meter;
pub use persons::{ClassId, Handle, Persons};
pub use places::{InviteLink, Joins, Warming};
pub use restored::Restored;
pub use runs::Runs;
pub use steps::{StepCounts, StepGroup, StepRow, StepTotals, StepWaiter, Steps};
pub use suppression::{Entry as SuppressionEntry, Suppression};
pub use table::{Handles, Row, Table};
pub use talk::{Draft, Notice, Spend, Talk, Talks, Unanswered};

use crate::model::{AccountName, InDoubtWhy, Intent, Lineage, PersonId, SendKey, Timestamp};

/// A map by hash. Its order means nothing once something was taken out, and is the same for the same events. Nobody chooses
/// the keys to make their hashes meet.
pub type Indexed<K, V> = indexmap::IndexMap<K, V, foldhash::fast::FixedState>;

/// A send whose outcome is not known yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InFlight {
    /// What was written before the send.
    #[serde(serialize_with = "without_request")]
    pub intent: Arc<Intent>,
    /// When.
    pub at: Timestamp,
    /// Since when, and why, it is in doubt.
    pub doubt: Option<(InDoubtWhy, Timestamp)>,
    /// How many times the same bytes went out again.
    pub retries: u32,
    /// Not before then: the back-off.
    pub retry_at: Timestamp,
    /// What the account's `next_allowed_at` was before: given back where nothing was sent.
    pub allowed_before: Timestamp,
    /// When it was last tried again: caps count it from then on. Absent: from its intent on.
    #[serde(default)]
    pub tried: Option<Timestamp>,
    /// The pause that its last try asks for. It need not wait for that itself.
    #[serde(default)]
    pub pause: Timestamp,
    /// In doubt: the last pause that another message of the account asked for since. It waits for that.
    #[serde(default)]
    pub others: Timestamp,
    /// The event that is its intent, which holds the request. 0: a checkpoint of an earlier version did not say.
    #[serde(default)]
    pub seq: u64,
    /// The number of its person, where that is his ([`InFlight::handle`]).
    #[serde(default)]
    pub number: u32,
}

impl InFlight {
    /// The handle of its person. A checkpoint of an earlier version did not say it.
    fn handle(&self, persons: &mut Persons) -> Handle {
        let known = Handle(self.number);
        match persons.id(known) == Some(self.intent.key.person) {
            true => known,
            false => persons.intern(self.intent.key.person),
        }
    }

    /// When caps count it.
    pub fn charged(&self) -> Timestamp {
        self.tried.unwrap_or(self.at)
    }

    /// Until when it does not leave again, where the account pauses until `next`.
    pub fn waits_until(&self, next: Timestamp) -> Timestamp {
        if next == self.pause {
            self.others
        } else {
            next
        }
    }

    /// The pause after it.
    pub fn gap(&self) -> std::time::Duration {
        self.intent.next_allowed_at.since(self.at)
    }
}

/// A file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadFile {
    /// The campaign whose name it takes.
    pub campaign: Option<Lineage>,
    /// What is wrong.
    pub error: String,
    /// Since when it has been wrong, one way or another.
    pub since: Timestamp,
}

/// `tidings.yaml` as it was last seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Counts its changes.
    pub generation: u64,
    /// What it said, as JSON, without what must not be seen.
    pub said: String,
}

/// The whole observed state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// The last event that is in it.
    pub seq: u64,
    /// When the last event was recorded.
    pub at: Timestamp,
    /// Everybody who was ever found, and who can reach whom.
    pub persons: Persons,
    /// Accounts by name; their positions are stable.
    pub accounts: Indexed<AccountName, Account>,
    /// Campaigns by lineage.
    pub campaigns: BTreeMap<Lineage, Campaign>,
    /// The lineage that a name means now.
    pub names: BTreeMap<String, Lineage>,
    /// Sends without a known outcome.
    #[serde(with = "pairs")]
    /// Boxed, since entries are shifted as the map grows and as sends end.
    pub in_flight: Indexed<SendKey, Box<InFlight>>,
    /// A hold over all campaigns.
    pub suspended: Option<Hold>,
    /// People on the suppression list (blocks among them).
    pub suppressed: RoaringBitmap,
    /// People who opted out.
    pub opted_out: RoaringBitmap,
    /// One's own accounts.
    pub own: RoaringBitmap,
    /// Who was written to or wrote.
    #[serde(deserialize_with = "contacted::deserialize")]
    pub contacted: Table<Contacted>,
    /// People who are owed the one confirmation of their opt-out, and by which account.
    pub confirmations: BTreeMap<u32, u16>,
    /// Chats that Telegram slowed down (SLOWMODE_WAIT): the person waits until then.
    pub slowed: BTreeMap<u32, Timestamp>,
    /// Usernames and phones that turned out to be nobody's.
    #[serde(default)]
    pub nobody: RoaringBitmap,
    /// People that an account must look up again (PEER_ID_INVALID and its kin): once each.
    pub relook: BTreeSet<(u16, u32)>,
    /// Those that were looked up again already.
    pub relooked: BTreeSet<(u16, u32)>,
    /// Files that cannot be used, other than a campaign's own.
    #[serde(default)]
    pub invalid_files: BTreeMap<String, BadFile>,
    /// Why people are on the suppression list, and whom it names that nobody has found yet.
    #[serde(default)]
    pub suppression: Suppression,
    /// Backups that were written, and when: they hold people who were erased later.
    #[serde(default)]
    pub backups: Vec<(String, Timestamp)>,
    /// The last restore.
    #[serde(default)]
    pub restored: Option<Restored>,
    /// When the engine last started: it was down before.
    #[serde(default)]
    pub started_at: Timestamp,
    /// Conversations with people who write in.
    #[serde(default)]
    pub talks: Talks,
    /// Tests so far (`tidings send-test`): each has keys of its own.
    #[serde(default)]
    pub tests: u32,
    /// What `plan --refresh` found for campaigns that no daemon has seen yet: their sources, and nothing else. A campaign
    /// begins with it.
    #[serde(default)]
    pub unseen: BTreeMap<Lineage, Campaign>,
    /// What `tidings.yaml` said when it was last looked at.
    #[serde(default)]
    pub settings: Option<Settings>,
}

impl Observed {
    /// The campaign of this name, retired ones too.
    pub fn campaign(&self, name: &str) -> Option<&Campaign> {
        self.names
            .get(name)
            .and_then(|line| self.campaigns.get(line))
    }

    /// What is known of a campaign's look-ups, whether a daemon has seen it or not.
    pub fn looked_up(&self, line: &Lineage) -> Option<&Campaign> {
        self.campaigns.get(line).or_else(|| self.unseen.get(line))
    }

    /// The position of an account, where it was ever heard of.
    pub fn account_index(&self, name: &str) -> Option<u16> {
        self.accounts
            .get_index_of(name)
            .and_then(|index| u16::try_from(index).ok())
    }

    /// The position of an account, a new one where it was never heard of.
    fn index(&mut self, name: &AccountName) -> u16 {
        let index = match self.accounts.get_index_of(name) {
            Some(index) => index,
            None => {
                self.accounts
                    .insert_full(name.clone(), Account::default())
                    .0
            }
        };
        u16::try_from(index).unwrap_or(Source::NO_ACCOUNT)
    }

    /// Where a conversation of a person with an account stands; both are known from now on.
    fn place(&mut self, person: PersonId, account: &AccountName) -> (Handle, u16) {
        (self.persons.intern(person), self.index(account))
    }

    /// The name at a position.
    pub fn account_name(&self, index: u16) -> Option<&AccountName> {
        self.accounts
            .get_index(usize::from(index))
            .map(|(name, _)| name)
    }

    /// The same by who it is: nobody who was never met is silenced.
    pub fn silences(&self, person: PersonId) -> bool {
        self.handle(person)
            .is_some_and(|handle| self.is_silenced(handle))
    }

    /// Whether nothing but the confirmation of an opt-out may ever be sent to this person.
    pub fn is_silenced(&self, handle: Handle) -> bool {
        self.suppressed.contains(handle.0) || self.opted_out.contains(handle.0)
    }

    /// The handle of a person, where he was ever found.
    pub fn handle(&self, person: PersonId) -> Option<Handle> {
        self.persons.get(person)
    }

    /// How many sends of an account are in flight.
    pub fn in_flight_of(&self, account: &str) -> usize {
        self.accounts
            .get(account)
            .map_or(0, |account| account.in_flight as usize)
    }
}

/// The request holds a text: it stands with its payload in the store, and in no checkpoint.
fn without_request<S: serde::Serializer>(
    intent: &Intent,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    Intent {
        request: Arc::default(),
        ..intent.clone()
    }
    .serialize(serializer)
}

/// A map with composite keys as a list of pairs, since the checkpoint's format has text keys only.
mod pairs {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<'a, M, S: Serializer>(
        map: &'a M,
        serializer: S,
    ) -> Result<S::Ok, S::Error>
    where
        &'a M: IntoIterator,
        <&'a M as IntoIterator>::Item: Serialize,
    {
        serializer.collect_seq(map)
    }

    pub(super) fn deserialize<'de, M, D: Deserializer<'de>>(deserializer: D) -> Result<M, D::Error>
    where
        M: IntoIterator + FromIterator<M::Item>,
        M::Item: Deserialize<'de>,
    {
        let pairs = Vec::<M::Item>::deserialize(deserializer)?;
        Ok(pairs.into_iter().collect())
    }
}

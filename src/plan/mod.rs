//! Every choice: who, which account, which variant, which text, which `random_id`, when.
//!
//! [`plan`] is a pure function of what is wanted, what is, who is who, and now. It answers with what to do,
//! when to ask again, and what everybody else waits for. Planning again on the same state answers the same,
//! since chance is a hash of the send-once key. The cost of a pass follows what is due: people wait in queues by
//! who can reach them, and only heads of queues are looked at.
//!
//! # Guarantees
//! - A key that was ever sent, refused or is in flight is never planned again.
//! - Nothing is planned for somebody silenced, outside a window, over a cap, before the delay has passed, for a
//!   campaign that is held, or from an account that was told to wait.
//! - Everybody pending is counted under exactly one reason.
//!
//! # Caveats
//! An action may fail to happen (the process dies): the next pass plans it again, unless its intent is recorded.

mod accounts;
pub mod answers;
pub mod audience;
mod candidates;
mod doubt;
mod estimate;
mod explain;
mod gate;
mod invite;
mod kept;
mod lookups;
mod message;
pub mod notices;
mod owners;
mod question;
mod reach;
pub mod rehearse;
mod renamed;
mod report;
mod restored;
mod runs;
mod sends;
mod steps;
mod suppressed;
#[cfg(test)]
mod tests;
mod troubles;
mod waits;
mod warmup;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

pub use accounts::{account_view, allowance, may_send_at_once};
pub use answers::{held as answers_held, role_of};
pub use doubt::LookedBack;
pub use explain::{ExcludedFor, Explained, FoundBy, NextStep, WaitsFor, explain};
pub use invite::adds;
pub use kept::Planner;
pub use lookups::limited as found_by;
pub use reach::LOOKUPS_A_DAY;
pub use report::{AccountView, CampaignView, Gate, Report, Wait};
pub use runs::{FIRINGS_SHOWN, next_firings};
pub use sends::have_plenty;
pub use steps::{lets as lets_follow_ups, owed_by};
pub use suppressed::SUPPRESSED_LINEAGE;
pub use warmup::{WarmupDay, warmup_day};

use crate::desired::{Desired, SourceKind};
use crate::model::{
    AccountName, Attachment, Event, Formatted, Lineage, PersonId, RandomKey, Reference, SendKey,
    SourceId, Timestamp,
};
use crate::observed::Observed;
use crate::people::People;

/// What is true of an account in this process only: connections do not outlive it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// No session file.
    Missing,
    /// No api_id or api_hash.
    NotConfigured,
    /// No daemon runs: what was last known of it holds, and nothing is performed.
    Idle,
    /// Not tried yet.
    Connecting,
    /// Connected and authorized.
    Ready {
        /// For `random_id`s.
        random_key: RandomKey,
        /// `account.first_name`.
        first_name: Option<String>,
        /// `account.username`.
        username: Option<String>,
    },
    /// Its session file cannot be used: a login, or another file, is needed.
    Unusable {
        /// Why.
        message: String,
    },
    /// Telegram does not answer; tried again then.
    Unreachable {
        /// What happened.
        message: String,
        /// When it is tried again.
        retry_at: Timestamp,
    },
    /// Its session belongs to another state (`StateLost`).
    StateLost {
        /// To this one as it was later: an older copy of it was put back.
        older: bool,
    },
    /// Its session file is encrypted, and the passphrase is missing or wrong.
    Locked {
        /// What to do about it.
        message: String,
    },
    /// It is the Telegram account of another name, which goes on alone.
    Twin {
        /// That name.
        first: AccountName,
    },
}

/// What is under way in this process. Lost with it, and found again by planning.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Runtime {
    /// Accounts by name.
    pub links: BTreeMap<AccountName, Link>,
    /// Sends that an account's task has in hand.
    pub executing: HashSet<SendKey, foldhash::fast::FixedState>,
    /// Look-ups that a task has in hand.
    pub looking_up: BTreeSet<(Lineage, SourceId, Option<AccountName>)>,
    /// People whom an account looks up now.
    pub resolving: BTreeMap<AccountName, PersonId>,
    /// When an account last began to look a phone of the suppression list up.
    pub sought: BTreeMap<AccountName, Timestamp>,
    /// The last look of each account into the dialog of a send in doubt.
    pub looked_back: BTreeMap<AccountName, LookedBack>,
    /// To whom an account shows 'typing…', and until when.
    pub typing: BTreeMap<AccountName, (PersonId, Timestamp)>,
    /// Files that an account has uploaded.
    pub media: BTreeSet<(AccountName, Attachment)>,
    /// Files that an account uploads now.
    pub uploading: BTreeSet<(AccountName, Attachment)>,
    /// Targets of invites by `add` that an account found, as the spec names them.
    pub targets: BTreeMap<(AccountName, Lineage), String>,
    /// Targets of invites that an account cannot use.
    pub target_faults: BTreeMap<(AccountName, Lineage), TargetFault>,
    /// Targets of invites that an account looks at now.
    pub seeking: BTreeSet<(AccountName, Lineage)>,
    /// Accounts that join a place now.
    pub joining: BTreeSet<AccountName>,
    /// The process stops: nothing new begins.
    pub draining: bool,
    /// Sources are looked up, nothing is sent.
    pub lookups_only: bool,
    /// Accounts that were never connected in this process are waited for until then.
    pub connected_by: Timestamp,
    /// `run --once`, since then: a look-up that failed in this run is not tried again in it.
    pub once_since: Option<Timestamp>,
    /// Answers that the model drafts now: in which role, and what they may cost in tokens.
    pub drafting: BTreeMap<(AccountName, PersonId), (Lineage, u64)>,
    /// To whom 'typing…' is shown before an answer, and until when.
    pub answering: BTreeMap<(AccountName, PersonId), Timestamp>,
    /// Entries of `notify` that are being told something now.
    pub telling: BTreeSet<u64>,
    /// Campaigns whose planning broke off, a bug: they are left out until they are tried again.
    pub broken: BTreeMap<Lineage, Broken>,
    /// Entries of `notify` that could not be told: how often in a row, and when it is tried again.
    pub untold: BTreeMap<u64, (u32, Timestamp)>,
    /// Accounts whose connection is lost, and since when.
    pub lost_since: BTreeMap<AccountName, Timestamp>,
}

/// A campaign whose planning broke off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// How often in a row.
    pub times: u32,
    /// When it is tried again.
    pub retry_at: Timestamp,
}

/// One message to send.
#[derive(Debug, Clone, PartialEq)]
pub struct SendAction {
    /// At most one message is sent for it.
    pub key: SendKey,
    /// By which account.
    pub account: AccountName,
    /// In which run.
    pub run: u32,
    /// The variant's name.
    pub variant: Arc<str>,
    /// The digest of the spec.
    pub digest: Arc<str>,
    /// What to send.
    pub message: Formatted,
    /// Whether links show a preview.
    pub link_preview: bool,
    /// A file that goes with it; uploaded already.
    pub media: Option<Attachment>,
    /// Telegram's key against duplicates.
    pub random_id: i64,
    /// The pause after it.
    pub gap: Duration,
    /// A first contact under consent `attested`.
    pub attested: bool,
}

/// Why an account cannot use the target of an invite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetFault {
    /// The target as the spec names it.
    pub target: String,
    /// CamelCase, for the condition where no account can.
    pub reason: &'static str,
    /// In words.
    pub why: String,
    /// Since when; looked at again after an hour.
    pub at: Timestamp,
}

/// One person to add to a place.
#[derive(Debug, Clone, PartialEq)]
pub struct InviteAction {
    /// He is invited at most once for it, unless it is certain that nothing came of it.
    pub key: SendKey,
    /// By which account.
    pub account: AccountName,
    /// In which run.
    pub run: u32,
    /// Stands where a message has its template.
    pub variant: Arc<str>,
    /// The digest of the spec.
    pub digest: Arc<str>,
    /// The pause after it.
    pub gap: Duration,
    /// A first contact under consent `attested`.
    pub attested: bool,
}

/// What to do. Each is carried out as it stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Write this down; there is nothing else to it.
    Record(Event),
    /// Apply filters to everybody found (see [`audience::judge`]) and write the result down.
    Judge {
        /// Of which campaign.
        campaign: Lineage,
    },
    /// Look a source up.
    LookUp {
        /// Of which campaign.
        campaign: Lineage,
        /// Which.
        source: SourceId,
        /// What it says.
        what: SourceKind,
        /// By which account; none for files and lists.
        account: Option<AccountName>,
        /// At most so many people.
        limit: Option<u32>,
        /// In words, for the people it finds.
        label: String,
        /// Where it stopped, and how many it had found by then.
        from: Option<(String, u64)>,
    },
    /// Find out who a reference is.
    Resolve {
        /// By which account.
        account: AccountName,
        /// Who is meant.
        person: PersonId,
        /// By which name.
        reference: Reference,
        /// For whose campaign.
        campaign: Lineage,
    },
    /// Upload a file once.
    Upload {
        /// By which account.
        account: AccountName,
        /// Which.
        media: Attachment,
        /// For whose campaign.
        campaign: Lineage,
    },
    /// Show 'typing…'.
    Type {
        /// By which account.
        account: AccountName,
        /// To whom.
        person: PersonId,
        /// Until when.
        until: Timestamp,
    },
    /// Write the intent down, then send.
    Send(Box<SendAction>),
    /// Write the intent down, then add him.
    Invite(Box<InviteAction>),
    /// Look at the target of an invite, and with `link` get a link to it.
    Seek {
        /// By which account.
        account: AccountName,
        /// For whose campaign.
        campaign: Lineage,
        /// Which.
        target: Reference,
        /// Whether a link is wanted.
        link: bool,
    },
    /// Join a place.
    Join {
        /// By which account.
        account: AccountName,
        /// For whose campaign.
        campaign: Lineage,
        /// Which.
        place: Reference,
        /// The pause after it.
        gap: Duration,
    },
    /// Send the same bytes again.
    Retry {
        /// Which send.
        key: SendKey,
    },
    /// Look into the dialog whether it arrived; never send again.
    LookBack {
        /// Which send.
        key: SendKey,
    },
    /// Have the model draft an answer, and show 'typing…' meanwhile.
    Draft(Box<answers::DraftAction>),
    /// Show 'typing…' before an answer.
    ShowTyping {
        /// By which account.
        account: AccountName,
        /// To whom.
        person: PersonId,
        /// Until when.
        until: Timestamp,
    },
    /// Tell somebody about an event by a webhook.
    Post(Box<notices::PostAction>),
}

/// What to do now, when to ask again, and why all else waits.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// In this order.
    pub actions: Vec<Action>,
    /// The next moment at which the answer can be another by itself.
    pub wake_at: Option<Timestamp>,
    /// What everybody waits for.
    pub report: Report,
    /// The same as `wake_at` of the part that is being planned ([`Plan::part`]).
    asked: Option<Timestamp>,
}

/// What a part of a pass came to.
#[derive(Debug, Clone, Copy, Default)]
struct Part {
    /// When the answer can be another by itself.
    until: Option<Timestamp>,
    /// Something is to be done.
    acts: bool,
}

impl Part {
    fn and(&mut self, other: Part) {
        self.until = earlier(self.until, other.until);
        self.acts |= other.acts;
    }
}

/// The earlier of two moments, where there are two.
fn earlier<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    one.into_iter().chain(other).min()
}

impl Plan {
    /// Asks for another pass at `at`.
    fn wake(&mut self, at: Timestamp, now: Timestamp) {
        if at > now && at < Timestamp::MAX {
            self.wake_at = earlier(self.wake_at, Some(at));
            self.asked = earlier(self.asked, Some(at));
        }
    }

    /// Plans a part, and says what that came to.
    fn part<T>(&mut self, work: impl FnOnce(&mut Plan) -> T) -> (T, Part) {
        let around = self.asked.take();
        let before = self.actions.len();
        let out = work(self);
        let part = Part {
            until: self.asked,
            acts: self.actions.len() > before,
        };
        self.asked = earlier(around, part.until);
        (out, part)
    }
}

/// Everything that a pass looks at.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// What is wanted.
    pub desired: &'a Desired,
    /// What is.
    pub observed: &'a Observed,
    /// Who is who.
    pub people: &'a dyn People,
    /// What is under way.
    pub runtime: &'a Runtime,
    /// The wall clock.
    pub now: Timestamp,
    /// Reports only: actions are counted, texts are not made.
    pub report_only: bool,
}

/// Makes every choice. Whoever plans pass after pass does so with a [`Planner`].
pub fn plan(inputs: &Inputs<'_>) -> Plan {
    pass(inputs, &mut kept::Kept::default())
}

fn pass(inputs: &Inputs<'_>, kept: &mut kept::Kept) -> Plan {
    let mut plan = Plan::default();
    let mut looked = gate::campaigns(inputs, &mut plan, kept);
    if !inputs.runtime.lookups_only {
        doubt::in_doubt(inputs, &mut plan);
        doubt::confirmations(inputs, &mut plan);
        answers::answers(inputs, &mut plan);
        notices::notices(inputs, &mut plan);
        suppressed::look_ups(inputs, &mut plan);
        sends::messages(inputs, &mut plan, &mut looked);
    }
    report::finish(inputs, &mut plan);
    kept.keep(inputs, &plan, looked);
    plan
}

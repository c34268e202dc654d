//! The journal's vocabulary. Events carry ids only: names and texts of people stand in the people tree.

mod bytes;
mod lookup;
mod run;
mod send;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::reaction::CallClass;
use super::talk::{DraftHold, NeedsWhy, TalkChange};
use super::{
    AccountName, AccountState, Exclusion, Lineage, Outcome, PersonId, RefHash, SendKey,
    SuppressionKey, Timestamp,
};
pub use lookup::{LookupEnd, SourceId};
pub use run::{FiringFate, HoldReason, JoinEnd, StallReason};
pub use send::{InDoubtWhy, Intent, SettledElsewhere};

/// An event and when it happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// Wall clock.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}

/// What happened. Adding a variant or an optional field keeps old journals readable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The engine started; what was in flight is in doubt.
    Started {
        /// Of Tidings.
        version: String,
    },
    /// A new version of a spec, or a file that moved or changed its validity.
    SpecSeen {
        /// The line of campaigns.
        campaign: Lineage,
        /// Its name now.
        name: String,
        /// Relative to the workspace.
        file: String,
        /// Counts the changes.
        generation: u64,
        /// SHA-256 over the spec and the files it names.
        digest: String,
        /// The first error, where it is invalid.
        error: Option<String>,
    },
    /// Its file is gone.
    Retired {
        /// The line of campaigns.
        campaign: Lineage,
    },
    /// Held by an operator.
    Suspended {
        /// All campaigns where absent.
        campaign: Option<Lineage>,
        /// Why.
        reason: String,
        /// Who.
        by: String,
    },
    /// Let go by an operator.
    Resumed {
        /// All campaigns where absent.
        campaign: Option<Lineage>,
        /// Why.
        reason: String,
        /// Who.
        by: String,
    },
    /// Approved by an operator.
    Approved {
        /// The line of campaigns.
        campaign: Lineage,
        /// The digest that was approved (see `desired`).
        digest: String,
        /// How many people.
        people: u64,
        /// Who.
        by: String,
    },
    /// An operator asked to look the sources up now.
    ReconcileRequested {
        /// The line of campaigns.
        campaign: Lineage,
    },
    /// A run opened.
    RunOpened {
        /// The line of campaigns.
        campaign: Lineage,
        /// Counted from 1.
        run: u32,
    },
    /// A look-up began.
    LookupStarted {
        /// The line of campaigns.
        campaign: Lineage,
        /// Which source.
        source: SourceId,
        /// By which account; absent for files and lists.
        account: Option<AccountName>,
    },
    /// A page of a look-up. The people's data went into the people tree before.
    LookupPage {
        /// The line of campaigns.
        campaign: Lineage,
        /// Which source.
        source: SourceId,
        /// By which account; absent for files and lists.
        account: Option<AccountName>,
        /// Whom it names.
        people: Vec<PersonId>,
    },
    /// A look-up ended.
    LookupEnded {
        /// The line of campaigns.
        campaign: Lineage,
        /// Which source.
        source: SourceId,
        /// By which account; absent for files and lists.
        account: Option<AccountName>,
        /// How.
        end: LookupEnd,
    },
    /// Filters were applied to these people, all at once or in pages.
    Judged {
        /// The line of campaigns.
        campaign: Lineage,
        /// People in the audience.
        included: Vec<PersonId>,
        /// People not in it, by the first reason that holds.
        excluded: Vec<(Exclusion, Vec<PersonId>)>,
        /// No longer found by any source.
        dropped: Vec<PersonId>,
        /// The last page: the audience is the one of these look-ups and this digest.
        finished: Option<String>,
    },
    /// A reference was looked up: it is this person, and the account can address him.
    Resolved {
        /// The stand-in.
        reference: PersonId,
        /// Who it is.
        person: PersonId,
        /// Who can address him now.
        account: AccountName,
    },
    /// A username or phone is nobody's, or cannot be addressed.
    Nobody {
        /// The stand-in.
        reference: PersonId,
    },
    /// About to send.
    Intent(Arc<Intent>),
    /// Telegram accepted it.
    Sent {
        /// Which send.
        key: SendKey,
        /// The message's id in the account's dialog.
        message_id: i32,
        /// An earlier attempt had delivered it.
        earlier: bool,
        /// The account sends nothing before this moment.
        next_allowed_at: Timestamp,
    },
    /// It will never be delivered.
    Refused {
        /// Which send.
        key: SendKey,
        /// How it counts.
        outcome: Outcome,
        /// Telegram's own words.
        detail: String,
    },
    /// It certainly was not sent: the person is pending again, the caps are given back.
    Released {
        /// Which send.
        key: SendKey,
        /// No other account may try: Telegram asked this one to wait, or refused it.
        keep: bool,
        /// Why.
        detail: String,
    },
    /// It may have been sent.
    InDoubt {
        /// Which send.
        key: SendKey,
        /// Why.
        why: InDoubtWhy,
    },
    /// Settled without an intent: nothing was sent.
    Skipped {
        /// The line of campaigns.
        campaign: Lineage,
        /// Who.
        person: PersonId,
        /// Which step.
        step: u16,
        /// How it counts.
        outcome: Outcome,
        /// In one sentence.
        detail: String,
    },
    /// Telegram told an account to wait.
    FloodWait {
        /// Which account.
        account: AccountName,
        /// Which calls.
        class: CallClass,
        /// Until when, jitter included.
        until: Timestamp,
        /// What Telegram said, in seconds.
        seconds: u32,
    },
    /// Telegram slowed one chat down (SLOWMODE_WAIT).
    SlowMode {
        /// Whose chat.
        person: PersonId,
        /// Until when.
        until: Timestamp,
    },
    /// Telegram did not know the address that an account has of a person: it is to be looked up again, once.
    LookAgain {
        /// Which account.
        account: AccountName,
        /// Who.
        person: PersonId,
    },
    /// An account can no longer address a person.
    Unreached {
        /// Which account.
        account: AccountName,
        /// Who.
        person: PersonId,
    },
    /// PEER_FLOOD.
    Limited {
        /// Which account.
        account: AccountName,
        /// In whose campaign.
        campaign: Option<Lineage>,
        /// No first contacts until then.
        until: Timestamp,
    },
    /// An account's state changed.
    AccountChanged {
        /// Which account.
        account: AccountName,
        /// To what.
        state: AccountState,
        /// In one sentence.
        message: String,
    },
    /// An operator gave an account of another state to this one.
    StateTaken {
        /// Which account.
        account: AccountName,
        /// Who.
        by: String,
    },
    /// Who an account is.
    AccountIs {
        /// Which account.
        account: AccountName,
        /// Its user id.
        person: PersonId,
    },
    /// A campaign stopped by itself.
    Stalled {
        /// The line of campaigns.
        campaign: Lineage,
        /// Why.
        why: StallReason,
    },
    /// A campaign paused itself (guardrail, two limited accounts).
    SelfPaused {
        /// The line of campaigns.
        campaign: Lineage,
        /// Why.
        why: StallReason,
    },
    /// A person wrote to an account.
    Incoming {
        /// Which account.
        account: AccountName,
        /// Who.
        person: PersonId,
        /// The message's id in the account's dialog.
        message_id: i32,
    },
    /// A person asked to hear no more.
    OptedOut {
        /// Who.
        person: PersonId,
        /// The account that he told, where he did.
        account: Option<AccountName>,
    },
    /// A person is on the suppression list.
    Suppressed {
        /// Who.
        person: PersonId,
        /// Why.
        why: String,
    },
    /// The account's place in Telegram's updates (core.telegram.org/api/updates).
    UpdatesAt {
        /// Which account.
        account: AccountName,
        /// Telegram's pts.
        pts: i32,
        /// Telegram's qts.
        qts: i32,
        /// Telegram's date, in seconds.
        date: i32,
        /// Telegram's seq.
        seq: i32,
    },
    /// A follow-up that somebody will not get, and none after it: nothing was sent.
    StepSkipped {
        /// Which.
        key: SendKey,
        /// How it counts.
        outcome: Outcome,
        /// In one sentence.
        detail: String,
    },
    /// How far a look-up is: after a restart it goes on from there. Follows the page whose people it found.
    LookupAt {
        /// The line of campaigns.
        campaign: Lineage,
        /// Which source.
        source: SourceId,
        /// By which account.
        account: AccountName,
        /// Of the page, those whom the account cannot address.
        #[serde(default)]
        unreached: Vec<PersonId>,
        /// Where the next page begins, in the words of the room `telegram`; absent at the end.
        #[serde(default)]
        next: Option<String>,
        /// How many people there are, where Telegram tells.
        #[serde(default)]
        total: Option<u64>,
    },
    /// A look-up goes on where it stopped.
    LookupResumed {
        /// The line of campaigns.
        campaign: Lineage,
        /// Which source.
        source: SourceId,
        /// By which account.
        account: AccountName,
    },
    /// An account looks a username or phone up: it counts for the account's day.
    LookupSpent {
        /// Which account.
        account: AccountName,
    },
    /// A file beside the campaigns' own cannot be used, or can again: `tidings.yaml`, a second file of a name, or
    /// the whole folder (`campaigns/`).
    FileChecked {
        /// Relative to the workspace.
        file: String,
        /// The campaign whose name it takes.
        campaign: Option<Lineage>,
        /// What is wrong, with its place; absent: nothing any more, or the file is gone.
        error: Option<String>,
    },
    /// Who an account is by its session file alone: it need not have connected.
    SessionNames {
        /// Which account.
        account: AccountName,
        /// The user id that its file holds.
        person: PersonId,
    },
    /// The key under which references on the suppression list are hashed.
    SuppressionKey {
        /// The key.
        key: SuppressionKey,
    },
    /// An operator put people on the suppression list.
    SuppressionAdded {
        /// Everybody who was known by what was named, and the stand-ins of those who were not.
        people: Vec<PersonId>,
        /// What was named, hashed, and whom it meant then.
        hashes: Vec<(RefHash, PersonId)>,
        /// The stand-ins of phones among them whose holders nobody knows: an account asks Telegram.
        #[serde(default)]
        phones: Vec<PersonId>,
        /// Why.
        why: String,
        /// Who.
        by: String,
    },
    /// An operator took people off the suppression list.
    SuppressionRemoved {
        /// Whom.
        people: Vec<PersonId>,
        /// What named them.
        hashes: Vec<RefHash>,
        /// Why.
        why: String,
        /// Who.
        by: String,
    },
    /// Somebody turned up whom the suppression list names.
    SuppressionMatched {
        /// Who.
        person: PersonId,
        /// By which entry.
        hash: RefHash,
    },
    /// What was known of a person was erased. The suppression list keeps the hashes of what named him.
    Forgotten {
        /// His ids, stand-ins among them.
        people: Vec<PersonId>,
        /// What named him, hashed.
        hashes: Vec<RefHash>,
        /// Who asked.
        by: String,
    },
    /// What was known of a spec's version beside its bytes when it was seen.
    SpecFacts {
        /// The line of campaigns.
        campaign: Lineage,
        /// Which version.
        generation: u64,
        /// The commit that its file is from; absent where the file stood in no commit then.
        commit: Option<String>,
        /// That commit's author.
        author: Option<String>,
        /// The note of a consent that is attested: the operator answers for it.
        attested: Option<String>,
        /// What the version does, where it is valid: `mailing`, …
        #[serde(default)]
        kind: Option<String>,
        /// Its title.
        #[serde(default)]
        title: Option<String>,
    },
    /// `tidings.yaml` says something else than before.
    SettingsSeen {
        /// Relative to the workspace where it lies there.
        file: String,
        /// Counts the changes.
        generation: u64,
        /// SHA-256 of `said`.
        digest: String,
        /// What it says, as JSON, without what must not be seen.
        said: String,
        /// What differs, one line each; nothing where it was never seen before.
        #[serde(default)]
        changes: Vec<String>,
        /// The commit that the file is from; absent where it stood in no commit then.
        #[serde(default)]
        commit: Option<String>,
        /// That commit's author.
        #[serde(default)]
        author: Option<String>,
    },
    /// An operator said what became of a send that was uncertain.
    OperatorResolved {
        /// Which send.
        key: SendKey,
        /// It arrived; else it may be sent again.
        sent: bool,
        /// Who.
        by: String,
    },
    /// The whole state was written into a file.
    BackedUp {
        /// The file.
        file: String,
        /// Who asked.
        by: String,
    },
    /// Sends that the state before a restore knew and the backup does not.
    KeysUnited {
        /// The line of campaigns.
        campaign: Lineage,
        /// What is settled.
        settled: Vec<SettledElsewhere>,
        /// People whose follow-ups went further than the backup knows: they get no more.
        #[serde(default)]
        steps: Vec<PersonId>,
    },
    /// Messages that people got and a restored backup does not know.
    HeardUnited {
        /// The campaign that wrote to them last.
        campaign: Option<Lineage>,
        /// Who, and when each was accepted.
        people: Vec<(PersonId, Vec<Timestamp>)>,
    },
    /// A backup took the place of the state that was there.
    Restored {
        /// From then on messages may have left that nobody here knows.
        since: Timestamp,
        /// When the backup was taken.
        taken_at: Timestamp,
        /// Accounts whose dialogs since then are to be read before their campaigns go on.
        accounts: Vec<AccountName>,
        /// Who asked.
        by: String,
    },
    /// An account's dialogs since a restore's gap were read.
    DialogsRead {
        /// Which account.
        account: AccountName,
        /// To whom it wrote since.
        wrote_to: Vec<PersonId>,
    },
    /// The cron of a spec and its zone are others than before: only firings from now on count.
    ScheduleSeen {
        /// The line of campaigns.
        campaign: Lineage,
        /// Both, as text; absent where it has no cron any more.
        schedule: Option<String>,
        /// Firings after this moment count, where it is not the event's own: `run --once` performs those of its minute.
        #[serde(default)]
        since: Option<Timestamp>,
    },
    /// A firing was dealt with, and all before it.
    Fired {
        /// The line of campaigns.
        campaign: Lineage,
        /// When the schedule fired.
        firing: Timestamp,
        /// What became of it.
        fate: FiringFate,
    },
    /// The plan of its owner let the open run begin.
    RunStarted {
        /// The line of campaigns.
        campaign: Lineage,
    },
    /// The first step of everybody whom the run found is settled.
    RunSettled {
        /// The line of campaigns.
        campaign: Lineage,
        /// Which run.
        run: u32,
    },
    /// A campaign that has sent nothing was held against those that are gone.
    LineageChecked {
        /// The line of campaigns.
        campaign: Lineage,
        /// Over half of its people were contacted by this one.
        before: Option<Lineage>,
        /// How many.
        contacted: u64,
        /// Of how many.
        people: u64,
    },
    /// An operator gives a second chance to whoever ended so: nothing was ever delivered to them.
    Reopened {
        /// The line of campaigns.
        campaign: Lineage,
        /// How they ended.
        outcomes: Vec<Outcome>,
        /// Who asked.
        by: String,
    },
    /// What a person wrote is kept: goes with [`Event::Incoming`]. Its text stands in the conversations tree.
    Written {
        /// To which account.
        account: AccountName,
        /// Who.
        person: PersonId,
        /// The message's id in the account's dialog.
        message_id: i32,
        /// Whose role answers it: a campaign's lineage, or [`super::account_role`]; nobody's where absent.
        role: Option<Lineage>,
    },
    /// A human wrote to a person from another client of the account.
    HumanSpoke {
        /// From which account.
        account: AccountName,
        /// To whom.
        person: PersonId,
        /// The message's id in the account's dialog.
        message_id: i32,
    },
    /// What the model was asked has ended, one way or the other.
    ModelAsked {
        /// In which role.
        role: Lineage,
        /// What it cost, question and answer: roughly what it can have cost where its answer never came, 0 where the
        /// server refused it.
        tokens: u64,
        /// For which account's conversation.
        #[serde(default)]
        account: Option<AccountName>,
        /// With whom.
        #[serde(default)]
        person: Option<PersonId>,
    },
    /// An answer was drafted; its text stood in the conversations tree before.
    Drafted {
        /// By which account.
        account: AccountName,
        /// For whom.
        person: PersonId,
        /// The newest message that it answers.
        message_id: i32,
        /// Why it does not go out by itself; absent: it does.
        hold: Option<DraftHold>,
    },
    /// No answer could be drafted; it is tried again.
    DraftFailed {
        /// By which account.
        account: AccountName,
        /// For whom.
        person: PersonId,
        /// The newest message that was to be answered.
        message_id: i32,
        /// The server asked for a wait of so many seconds.
        wait: Option<u32>,
        /// Why, in one sentence without message texts.
        detail: String,
        /// The server may have an answer all the same: it is asked again under the same key.
        #[serde(default)]
        unknown: bool,
    },
    /// A human must look; the AI is silent until one has.
    NeedsHuman {
        /// Of which account.
        account: AccountName,
        /// Who.
        person: PersonId,
        /// The newest message that was not answered.
        message_id: i32,
        /// Why.
        why: NeedsWhy,
        /// In one sentence without message texts.
        detail: String,
    },
    /// An operator decided on a draft.
    DraftDecided {
        /// Of which account.
        account: AccountName,
        /// For whom.
        person: PersonId,
        /// The message that it answers.
        message_id: i32,
        /// To be sent; else thrown away.
        approved: bool,
        /// The operator changed the text.
        edited: bool,
        /// Who.
        by: String,
    },
    /// An operator wants to say something himself; the text stood in the conversations tree before.
    OperatorWrote {
        /// By which account.
        account: AccountName,
        /// To whom.
        person: PersonId,
        /// Counts what operators said to him.
        number: u32,
        /// Who.
        by: String,
    },
    /// An operator took a conversation, gave it back, or closed it.
    TalkChanged {
        /// With whom, over all accounts.
        person: PersonId,
        /// What.
        change: TalkChange,
        /// Who.
        by: String,
    },
    /// Somebody was told about an event, or will not be any more (`notify`).
    Told {
        /// Which entry of `notify`: the first 8 bytes of the SHA-256 of where it goes.
        target: u64,
        /// Up to which event.
        seq: u64,
        /// Why it was given up.
        error: Option<String>,
        /// Nobody was told: it is a new entry, and what came before is no news to it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        begins: bool,
    },
    /// Everybody of a run is settled.
    Finished {
        /// The line of campaigns.
        campaign: Lineage,
        /// The run.
        run: u32,
    },
    /// A link to the target of an `invite`.
    InviteLink {
        /// The line of campaigns.
        campaign: Lineage,
        /// Whose messages carry it.
        account: AccountName,
        /// The target as the spec names it.
        target: String,
        /// The link.
        link: String,
        /// The account made it; otherwise it is the public one.
        exported: bool,
    },
    /// The ramp of an account: it begins with the first of these, later ones change its numbers only.
    Warming {
        /// The line of campaigns.
        campaign: Lineage,
        /// Which account.
        account: AccountName,
        /// The allowance of the first day.
        start: u32,
        /// How much is added each time.
        step: u32,
        /// How often, in milliseconds.
        every_ms: u64,
        /// Where it ends.
        max: u32,
    },
    /// An account joined a place, or cannot.
    Joined {
        /// The line of campaigns.
        campaign: Lineage,
        /// Which account.
        account: AccountName,
        /// The place as the spec names it.
        place: String,
        /// How it ended.
        end: JoinEnd,
        /// The account joins nothing before this moment.
        next_at: Timestamp,
    },
    /// An operator sent a campaign's texts to a test recipient.
    Tested {
        /// The line of campaigns.
        campaign: Lineage,
        /// Counted over all campaigns: its keys are of this run.
        number: u32,
        /// By which account.
        account: AccountName,
        /// To whom.
        person: PersonId,
        /// Who.
        by: String,
    },
    /// A campaign waits for a person, or does not any more; where no event of its own says so.
    CampaignWaits {
        /// The line of campaigns.
        campaign: Lineage,
        /// It has paused, and somebody may let it go; else it cannot go on.
        paused: bool,
        /// Why; absent: it goes on.
        why: Option<StallReason>,
    },
    /// An account cannot be used, and Telegram did not say so; or it can be used again.
    AccountAway {
        /// Which account.
        account: AccountName,
        /// Why; absent: it is back.
        why: Option<StallReason>,
    },
    /// Something of the engine broke off, a bug: it was caught, everything else goes on, and it is tried again.
    BrokeOff {
        /// The account whose task it was.
        #[serde(default)]
        account: Option<AccountName>,
        /// The campaign whose planning it was.
        #[serde(default)]
        campaign: Option<Lineage>,
        /// In one sentence, without texts.
        detail: String,
    },
    /// The wall clock was set while the daemon ran: what waits for a stretch of time to pass waits as long as before.
    ClockSet {
        /// Milliseconds, negative where it was set back.
        by_ms: i64,
    },
    /// The model is about to be asked: durable before the question leaves.
    ModelAsking {
        /// By which account it will be answered.
        account: AccountName,
        /// Whom.
        person: PersonId,
        /// The newest message that is to be answered.
        message_id: i32,
        /// In which role.
        role: Lineage,
        /// What it may cost in all, roughly.
        tokens: u64,
    },
    /// The engine ended while the model was asked: its answer, where there was one, is lost, and may have been paid.
    AnswerLost {
        /// By which account it was to be answered.
        account: AccountName,
        /// Whom.
        person: PersonId,
        /// The newest message that was to be answered.
        message_id: i32,
        /// In which role.
        role: Lineage,
        /// What is counted for it.
        tokens: u64,
    },
    /// A message was sent, and Telegram never said its id. It is known by its print when it turns up.
    OwnUnseen {
        /// By which account.
        account: AccountName,
        /// To whom.
        person: PersonId,
        /// See [`super::own_print`].
        print: u64,
    },
    /// The account told of a message that the engine had sent.
    OwnSeen {
        /// Which account.
        account: AccountName,
        /// To whom it was.
        person: PersonId,
        /// Its id.
        message_id: i32,
        /// See [`super::own_print`].
        print: u64,
    },
    /// What the state before a restore had charged and the backup had not: no cap is wider and no pause shorter for it.
    ChargesUnited {
        /// Of which account; all of a campaign's where absent.
        #[serde(default)]
        account: Option<AccountName>,
        /// Of which campaign; all of an account's where absent.
        #[serde(default)]
        campaign: Option<Lineage>,
        /// Messages.
        sent: Box<super::Charges>,
        /// First contacts of consent `attested`.
        #[serde(default)]
        attested: Box<super::Charges>,
        /// Look-ups.
        #[serde(default)]
        lookups: Box<super::Charges>,
        /// The account sends nothing before.
        next_allowed_at: Timestamp,
    },
}

impl Event {
    /// What [`Event::FileChecked`] calls the whole folder of campaigns.
    pub const CAMPAIGNS: &str = "campaigns/";
}

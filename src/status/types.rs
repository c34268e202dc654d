//! The report's shape: CONTRACT section 5. Fields that are not named there are additions, and may be absent when read.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::activity::{HourCount, MessageCount};
use super::talks::TalkCounts;
use crate::model::{AccountState, ConditionType, Exclusion, Outcome, Timestamp, Waiting};
use crate::observed::Hold;

/// The last moment that RFC 3339 can write (four digits of a year): later ones are never.
const LAST_WRITABLE: Timestamp = Timestamp(253_402_300_799_999);

/// A moment in RFC 3339, UTC, with milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub Timestamp);

impl Moment {
    /// The moment, unless it is none that ever comes or was.
    pub fn of(at: Option<Timestamp>) -> Option<Moment> {
        at.filter(|at| at.0 > 0 && *at <= LAST_WRITABLE).map(Moment)
    }
}

impl From<Timestamp> for Moment {
    fn from(at: Timestamp) -> Moment {
        Moment(Timestamp(at.0.clamp(0, LAST_WRITABLE.0)))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        chrono::DateTime::parse_from_rfc3339(&text)
            .map(|moment| Moment(Timestamp(moment.timestamp_millis())))
            .map_err(|error| {
                serde::de::Error::custom(format!("{text:?} is no RFC 3339 moment: {error}"))
            })
    }
}

/// `status -o json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatusReport {
    /// Its minor part rises for additions.
    pub format_version: String,
    /// When it was made.
    pub generated_at: Moment,
    /// Who made it.
    pub daemon: DaemonInfo,
    /// Why the campaigns' folder cannot be read (an addition): then everything is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder_error: Option<String>,
    /// What holds all campaigns (an addition): `tidings suspend --all`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended: Option<HoldStatus>,
    /// Files that cannot be used and are no campaign's own (an addition): `tidings.yaml`, of which the last good version
    /// goes on, and second files of a campaign's name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub invalid_files: Vec<InvalidFileStatus>,
    /// By name, retired ones with a history among them.
    pub campaigns: Vec<CampaignStatus>,
    /// By name.
    pub accounts: Vec<AccountStatus>,
    /// Conversations that wait for a person, those of no campaign too (an addition).
    #[serde(default)]
    pub conversations: TalkCounts,
}

/// Somebody's `tidings suspend`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldStatus {
    /// Why, in his words.
    pub reason: String,
    /// Who.
    pub by: String,
    /// Since when.
    pub since: Moment,
}

impl From<&Hold> for HoldStatus {
    fn from(hold: &Hold) -> HoldStatus {
        HoldStatus {
            reason: hold.reason.clone(),
            by: hold.by.clone(),
            since: Moment::from(hold.at),
        }
    }
}

/// A file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvalidFileStatus {
    /// Relative to the workspace.
    pub file: String,
    /// The campaign whose name it takes.
    pub campaign: Option<String>,
    /// What is wrong, with its place, and what goes on meanwhile.
    pub message: String,
    /// Since when an engine has known it.
    pub since: Option<Moment>,
}

impl InvalidFileStatus {
    /// Whether it matters to one of these campaigns: all go by `tidings.yaml`.
    pub(super) fn concerns(&self, names: &[String]) -> bool {
        self.campaign
            .as_ref()
            .is_none_or(|name| names.contains(name))
    }
}

/// The daemon, where one runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonInfo {
    /// Whether one runs.
    pub running: bool,
    /// Its process.
    pub pid: Option<u32>,
    /// Of Tidings: the daemon's, or else that of the command that asked.
    pub version: String,
    /// How long ago its loop last went round, in milliseconds.
    pub heartbeat_age_ms: Option<u64>,
    /// Where its page listens, as a URL (an addition).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web: Option<String>,
}

/// How a campaign's file stands to what the engine goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sync {
    /// The engine goes by the file as it is.
    Current,
    /// The file was changed since the engine last looked.
    Changed,
    /// The file is invalid.
    Invalid,
    /// The file is gone.
    Retired,
    /// No engine has ever looked at the file.
    Unseen,
    /// The campaigns' folder cannot be read: nobody knows.
    Unreadable,
}

impl Sync {
    /// The word that tables show.
    pub fn name(self) -> &'static str {
        match self {
            Sync::Current => "current",
            Sync::Changed => "changed",
            Sync::Invalid => "invalid",
            Sync::Retired => "retired",
            Sync::Unseen => "unseen",
            Sync::Unreadable => "unreadable",
        }
    }
}

/// One campaign.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CampaignStatus {
    /// Its name.
    pub name: String,
    /// Its title (an addition).
    #[serde(default)]
    pub title: Option<String>,
    /// `mailing`, `invite`, `warmup`, `collect`; `unknown` where the file no longer says.
    pub kind: String,
    /// Relative to the workspace.
    pub file: String,
    /// Counted from 1; 0 before the first.
    pub run: u32,
    /// Counts the changes of the spec's bytes and of the files it names; 0 where no engine has seen it.
    pub generation: u64,
    /// The newest valid one.
    pub observed_generation: u64,
    /// SHA-256 (hex) of that generation's bytes.
    pub digest: String,
    /// The git commit that last changed the file, where the workspace is a repository.
    pub commit: Option<String>,
    /// How the file stands to what the engine goes by (an addition).
    pub sync: Sync,
    /// What holds it alone, beside [`StatusReport::suspended`] (an addition).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended: Option<HoldStatus>,
    /// Whose wall clock its times are shown in (an addition).
    #[serde(default)]
    pub timezone: Option<String>,
    /// The accounts that it may use (an addition).
    #[serde(default)]
    pub accounts: Vec<String>,
    /// All types, in the order of the promise.
    pub conditions: Vec<Condition>,
    /// Who was found, and who is in.
    pub audience: Audience,
    /// How far it is, in people, by the first step.
    pub progress: Progress,
    /// Settled people by how.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// Follow-ups.
    pub steps: Vec<Step>,
    /// Variants of the first message.
    pub templates: Vec<TemplateStatus>,
    /// Why pending people wait; sums to `pending`.
    pub waiting: Vec<WaitStatus>,
    /// The ramps of a `warmup`, by account (an addition).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warmup: Vec<WarmupStatus>,
    /// When something happens next.
    pub next_action_at: Option<Moment>,
    /// When everybody is settled at this pace.
    pub finish_estimate: Option<Moment>,
    /// Always empty: all that a spec may ask for is done. Kept for readers of older reports (an addition).
    #[serde(default)]
    pub not_active: Vec<String>,
    /// Warnings about the file, one line each (an addition).
    #[serde(default)]
    pub warnings: Vec<String>,
    /// What became of its messages, all steps and runs, by account (an addition). Never goes down.
    #[serde(default)]
    pub messages: Vec<MessageCount>,
    /// Messages by hour, the last two days (an addition).
    #[serde(default)]
    pub sent_per_hour: Vec<HourCount>,
    /// Its conversations that wait for a person (an addition).
    #[serde(default)]
    pub conversations: TalkCounts,
}

impl CampaignStatus {
    /// The condition of a type.
    pub fn condition(&self, of: ConditionType) -> Option<&Condition> {
        self.conditions
            .iter()
            .find(|condition| condition.kind == of)
    }

    /// Whether a condition is `True`.
    pub fn is(&self, of: ConditionType) -> bool {
        self.condition(of)
            .is_some_and(|condition| condition.status == Truth::True)
    }
}

/// Kubernetes' three values of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not.
    False,
    /// Nobody can say.
    Unknown,
}

impl Truth {
    /// As the report writes it.
    pub fn name(self) -> &'static str {
        match self {
            Truth::True => "True",
            Truth::False => "False",
            Truth::Unknown => "Unknown",
        }
    }
}

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// Which.
    #[serde(rename = "type")]
    pub kind: ConditionType,
    /// Whether it holds.
    pub status: Truth,
    /// CamelCase.
    pub reason: String,
    /// One sentence; may be empty.
    pub message: String,
    /// Since when.
    pub last_transition_time: Moment,
}

/// Who was found, and who is in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Audience {
    /// Everybody.
    pub found: u64,
    /// In the audience.
    pub included: u64,
    /// Not in it, by the first reason that holds.
    pub excluded: BTreeMap<Exclusion, u64>,
    /// Where people come from.
    pub sources: Vec<SourceStatus>,
    /// The sources of `filters.in` and `filters.exclude` (an addition).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filter_sources: Vec<SourceStatus>,
}

/// One source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceStatus {
    /// `members`, `file`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// The place it names.
    pub peer: Option<String>,
    /// The file it names (an addition).
    #[serde(default)]
    pub path: Option<String>,
    /// In words (an addition).
    #[serde(default)]
    pub label: String,
    /// How many it names.
    pub found: u64,
    /// Everybody it holds was read.
    pub complete: bool,
    /// When it was last read.
    pub at: Option<Moment>,
    /// Why it was not read whole.
    pub error: Option<String>,
    /// Why a look-up that went well did not show everybody (an addition).
    #[serde(default)]
    pub partial: Option<String>,
    /// Rows of a file that name nobody (an addition).
    #[serde(default)]
    pub bad_rows: u32,
    /// A look-up is under way since (an addition).
    #[serde(default)]
    pub running_since: Option<Moment>,
    /// How many the look-up under way has found so far (an addition).
    #[serde(default)]
    pub reading: Option<u64>,
    /// How many people there are, where Telegram tells, while a look-up is under way (an addition).
    #[serde(default)]
    pub total: Option<u64>,
    /// By account (an addition); empty for files and lists.
    #[serde(default)]
    pub lookups: Vec<LookupStatus>,
}

/// What one account found in a source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LookupStatus {
    /// Which account.
    pub account: String,
    /// How many it found.
    pub found: u64,
    /// Everybody was read.
    pub complete: bool,
    /// When the last look-up ended.
    pub at: Option<Moment>,
    /// Why it failed or was cut off.
    pub error: Option<String>,
}

/// How far a campaign is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// To be sent to.
    pub pending: u64,
    /// Being sent to, or in doubt.
    pub in_flight: u64,
    /// Accepted by Telegram.
    pub sent: u64,
    /// `template_error`, `too_long`, `failed`.
    pub failed: u64,
    /// Every other outcome by which nothing was delivered.
    pub skipped: u64,
    /// Nobody can say.
    pub uncertain: u64,
    /// Wrote back.
    pub replied: u64,
    /// Asked to hear no more.
    pub opted_out: u64,
}

impl Progress {
    /// Everybody in the audience.
    pub fn included(&self) -> u64 {
        self.pending + self.in_flight + self.settled()
    }

    /// Done with, one way or the other.
    pub fn settled(&self) -> u64 {
        self.sent + self.failed + self.skipped + self.uncertain
    }
}

/// A follow-up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// 1 is the first follow-up.
    pub step: u16,
    /// After the previous step was sent.
    pub after: String,
    /// Waiting for it.
    pub pending: u64,
    /// Sent.
    pub sent: u64,
    /// Ended before it.
    pub skipped: u64,
    /// Always true: every version since follow-ups are sent does (an addition).
    #[serde(default)]
    pub active: bool,
}

/// Where the ramp of an account stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarmupStatus {
    /// Whose.
    pub account: String,
    /// The day of the ramp, counted from 1.
    pub day: u64,
    /// On which day it ends.
    pub days: u64,
    /// What the ramp lets the account send today.
    pub allowance_today: u32,
    /// Places that it joined, or asked to be let into.
    pub joined: u64,
    /// Places that it is to join.
    pub join: u64,
}

/// A variant of the first message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateStatus {
    /// Its name.
    pub name: String,
    /// Messages accepted.
    pub sent: u64,
    /// People who wrote back.
    pub replied: u64,
}

/// Why people wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitStatus {
    /// The reason.
    pub reason: Waiting,
    /// How many.
    pub count: u64,
    /// Until when, where it is known.
    pub until: Option<Moment>,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountStatus {
    /// Its name.
    pub name: String,
    /// What it can do.
    pub state: AccountState,
    /// Until when.
    pub until: Option<Moment>,
    /// Messages today, in its own zone.
    pub sent_today: u32,
    /// At most so many.
    pub allowance_today: u32,
    /// One sentence; empty where all is well.
    pub message: String,
    /// For selectors (an addition).
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Usernames and phones that it looked up today (an addition).
    #[serde(default)]
    pub lookups_today: u32,
    /// At most so many (an addition).
    #[serde(default)]
    pub lookup_allowance_today: u32,
    /// Messages by hour, the last two days (an addition).
    #[serde(default)]
    pub sent_per_hour: Vec<HourCount>,
    /// The zone of its days (an addition).
    #[serde(default)]
    pub timezone: Option<String>,
}

/// The account's session belongs to another state (see `plan::Link::StateLost`).
pub(super) const STATE_LOST: &str = "StateLost";
/// The account is another one's second name (see `plan::Link::Twin`).
const SAME_ACCOUNT: &str = "SameAccount";

impl AccountStatus {
    /// Whether only a person brings it back.
    pub(super) fn needs_a_person(&self) -> bool {
        matches!(
            self.state,
            AccountState::Unauthorized
                | AccountState::Banned
                | AccountState::Frozen
                | AccountState::NotConfigured
                | AccountState::Missing
        ) || [STATE_LOST, SAME_ACCOUNT]
            .iter()
            .any(|why| self.message.starts_with(why))
    }
}

/// `account list -o json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountsDocument {
    /// Its minor part rises for additions.
    pub format_version: String,
    /// By name.
    pub accounts: Vec<AccountStatus>,
}

impl AccountsDocument {
    /// The accounts of a report.
    pub fn of(report: &StatusReport) -> AccountsDocument {
        AccountsDocument {
            format_version: report.format_version.clone(),
            accounts: report.accounts.clone(),
        }
    }
}

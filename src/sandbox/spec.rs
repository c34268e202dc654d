//! The world file: what a loopback world is made of, as YAML.
//!
//! Everything is optional. A file is a mapping of these keys:
//!
//! ```yaml
//! seed: 7                              # keys, access hashes and all chance come from it (default 1)
//! accounts:                            # our own accounts; each gets a session file NAME.session
//!   - name: sales-1
//!     phone: "+15550100001"
//!     first_name: Mia
//!     username: mia_sales
//!     premium: false
//!     authorized: true                 # false: the key is known but nobody is logged in
//!     code: "12345"                    # the login code for `auth.signIn`
//!     password: secret                 # of two-step verification
//!     contacts: ["@anna"]              # people in the address book
//!     dialogs: [{with: "@anna", messages: [{text: hi, ago: 3d}, {text: hello, out: true, ago: 2d}]}]
//!     limits: {sends: {count: 30, per: 60s}, lookups: {count: 5, per: 1h}, peer_flood_after: 40}
//! people:
//!   - {username: anna, first_name: Anna, phone: "+15550200001", last_seen: recently}
//!   - {id: 7000000002, bot: true}      # bot, deleted, premium
//!   - {username: closed, privacy: contacts}       # everyone (default) | contacts | nobody: who may write
//!   - {username: shy, invite_privacy: nobody}     # who may add to groups
//!   - {username: paid, charges: 10}    # ALLOW_PAYMENT_REQUIRED_10
//!   - {username: vip, premium_required: true}     # PRIVACY_PREMIUM_REQUIRED
//!   - {username: gone, last_seen: 45d} # online | recently | last_week | last_month | hidden | a duration ago
//!   - {username: ghost, never_added: true}        # Telegram says yes, and he is not added
//!   - {username: foe, blocks: [sales-1], blocked_by: [sales-2], too_many_chats: true, not_mutual: true}
//! groups:
//!   - kind: supergroup                 # basic | supergroup (default) | channel
//!     title: Rust meetup
//!     username: rust_meetup
//!     creator: sales-1                 # an account's name, @username, +phone or id
//!     admins: [sales-2]
//!     members: 60%                     # all | a number | a share | a list
//!     accounts: [sales-1, sales-2]     # which of our accounts are members (default: all)
//!     history: 20                      # a number of made-up messages, or a list of {from, text, ago}
//!     hidden_members: false
//!     write: everyone                  # everyone (default) | admins | nobody
//!     slowmode: 0s
//!     discussion: chat_of_channel      # for a channel: username or title of its discussion group
//!     comments: 3                      # made-up comments under each of a channel's posts
//!     kicked: ["@foe"]
//!     member_limit: 200000
//!     join_requests: false             # true: who joins by the link asks, and the admins decide
//! scripts:                             # how people answer; the first that fits a person is his
//!   - {people: ["@anna"], reply: [Thanks!, Bye], delay: 2s..5s}
//!   - {people: 5%, reply: stop}
//!   - {people: 1%, reply: Thanks, edit: stop, delay: 5s}   # changes his last reply, as long after it again
//!   - {people: 1%, block: true}
//! faults:                              # see `faults`
//!   - {method: messages.sendMessage, nth: 3, error: FLOOD_WAIT_3}
//! updates: {slice: 100, too_long: 5000}   # getDifference's page, and where it gives up
//! ai: {key: secret, faults: [{nth: 2, kind: rate_limit, retry_after: 2s}]}   # see `openai`
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::faults::FaultRule;

/// The most accounts, people and groups that a world may have: memory stays within a few gigabytes.
pub const MAX_ACCOUNTS: usize = 1_000;
/// See [`MAX_ACCOUNTS`].
pub const MAX_PEOPLE: usize = 2_000_000;
/// See [`MAX_ACCOUNTS`].
pub const MAX_GROUPS: usize = 10_000;

/// Why a world cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// The file is not a world file.
    #[error("the world file is not valid: {0}")]
    Yaml(#[from] serde_yaml::Error),
    /// A reference names nobody.
    #[error(
        "{place} names {reference:?}, which is neither an account, a person nor a group of this world"
    )]
    Unknown {
        /// Where the reference stands.
        place: String,
        /// What it says.
        reference: String,
    },
    /// Two entries claim one id, username, phone or name.
    #[error("{0} is used twice in this world")]
    Twice(String),
    /// A size beyond the limits.
    #[error("a world has at most {limit} {what}, this one asks for {got}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: usize,
        /// What was asked for.
        got: usize,
    },
}

/// A duration as written in a world file: `200ms`, `45s`, `2h30m`, `3d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl Span {
    /// Milliseconds, saturating.
    pub fn ms(self) -> i64 {
        i64::try_from(self.0.as_millis()).unwrap_or(i64::MAX)
    }

    /// Whole seconds.
    pub fn secs(self) -> i64 {
        i64::try_from(self.0.as_secs()).unwrap_or(i64::MAX)
    }
}

impl std::str::FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || {
            format!("{text:?} is no duration; expected something like 200ms, 45s, 20m, 2h30m or 3d")
        };
        let mut rest = text.trim();
        let mut total: u64 = 0;
        if rest.is_empty() {
            return Err(wrong());
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
            let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
            rest = &rest[digits..];
            let letters = rest
                .find(|c: char| c.is_ascii_digit())
                .unwrap_or(rest.len());
            let unit: u64 = match &rest[..letters] {
                "ms" => 1,
                "s" => 1_000,
                "m" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                _ => return Err(wrong()),
            };
            rest = &rest[letters..];
            total = number
                .checked_mul(unit)
                .and_then(|ms| total.checked_add(ms))
                .ok_or_else(wrong)?;
        }
        Ok(Self(Duration::from_millis(total)))
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut ms = self.0.as_millis();
        if ms == 0 {
            return f.write_str("0s");
        }
        for (unit, size) in [
            ("d", 86_400_000),
            ("h", 3_600_000),
            ("m", 60_000),
            ("s", 1_000),
            ("ms", 1),
        ] {
            if ms >= size {
                write!(f, "{}{unit}", ms / size)?;
                ms %= size;
            }
        }
        Ok(())
    }
}

impl Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// A range of durations, `2s..5s`, or a single one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SpanRange {
    /// The shortest.
    pub from: Span,
    /// The longest.
    pub to: Span,
}

impl Serialize for SpanRange {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.from == self.to {
            serializer.collect_str(&self.from)
        } else {
            serializer.collect_str(&format_args!("{}..{}", self.from, self.to))
        }
    }
}

impl<'de> Deserialize<'de> for SpanRange {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (from, to) = text.split_once("..").unwrap_or((&text, &text));
        let from: Span = from.parse().map_err(serde::de::Error::custom)?;
        let to: Span = to.parse().map_err(serde::de::Error::custom)?;
        if to < from {
            return Err(serde::de::Error::custom(format!(
                "{text:?} ends before it begins"
            )));
        }
        Ok(Self { from, to })
    }
}

/// A person, an account or a group: an id, `@username`, `+phone`, an account's name or a group's title.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Ref {
    /// A user's, basic group's or channel's id.
    Id(i64),
    /// Anything else.
    Name(String),
}

impl std::fmt::Display for Ref {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{id}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl From<&str> for Ref {
    fn from(text: &str) -> Self {
        text.parse()
            .map_or_else(|_| Self::Name(text.to_owned()), Self::Id)
    }
}

/// A choice of people: all, so many, a share, or a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Choice {
    /// So many, chosen by the seed.
    Count(usize),
    /// `all` or a share such as `60%`, chosen by the seed.
    Word(String),
    /// These.
    List(Vec<Ref>),
}

impl Choice {
    /// The share of a population: `Some(1.0)` for `all`; `None` for a count or a list.
    pub fn share(&self) -> Option<f64> {
        match self {
            Self::Word(word) if word.trim() == "all" => Some(1.0),
            Self::Word(word) => word
                .trim()
                .strip_suffix('%')
                .and_then(|n| n.trim().parse::<f64>().ok())
                .map(|n| (n / 100.0).clamp(0.0, 1.0)),
            Self::Count(_) | Self::List(_) => None,
        }
    }
}

/// A whole world, before it is alive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorldSpec {
    /// Keys, access hashes and all chance come from it.
    pub seed: u64,
    /// Our own accounts.
    pub accounts: Vec<AccountSpec>,
    /// Everybody else.
    pub people: Vec<PersonSpec>,
    /// Basic groups, supergroups and channels.
    pub groups: Vec<GroupSpec>,
    /// How people answer.
    pub scripts: Vec<ScriptSpec>,
    /// What goes wrong.
    pub faults: Vec<FaultRule>,
    /// How `updates.getDifference` pages.
    pub updates: UpdatesSpec,
    /// The OpenAI-compatible endpoint beside it.
    pub ai: super::openai::AiSpec,
    /// Free notes for the reader of the file.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub notes: BTreeMap<String, String>,
}

impl Default for WorldSpec {
    fn default() -> Self {
        Self {
            seed: 1,
            accounts: Vec::new(),
            people: Vec::new(),
            groups: Vec::new(),
            scripts: Vec::new(),
            faults: Vec::new(),
            updates: UpdatesSpec::default(),
            ai: super::openai::AiSpec::default(),
            notes: BTreeMap::new(),
        }
    }
}

/// How `updates.getDifference` pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UpdatesSpec {
    /// Most updates in one answer; more come as `differenceSlice`.
    pub slice: usize,
    /// With more updates than this missed, the answer is `differenceTooLong`.
    pub too_long: usize,
}

impl Default for UpdatesSpec {
    fn default() -> Self {
        // Telegram's own numbers are not documented; these keep a page within a container.
        Self {
            slice: 100,
            too_long: 5_000,
        }
    }
}

/// One of our own accounts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccountSpec {
    /// The session file's stem.
    pub name: String,
    /// The user id; made up where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<i64>,
    /// With `+`; made up where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// First name; the account's name where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_name: Option<String>,
    /// Last name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_name: Option<String>,
    /// Without `@`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Telegram Premium.
    #[serde(skip_serializing_if = "is_false")]
    pub premium: bool,
    /// `Some(false)`: the key is known but nobody is logged in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorized: Option<bool>,
    /// The login code that `auth.signIn` accepts; `12345` where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The password of two-step verification.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// People in the address book.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contacts: Vec<Ref>,
    /// Conversations there have been.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dialogs: Vec<DialogSpec>,
    /// Telegram's patience with this account.
    #[serde(skip_serializing_if = "LimitsSpec::is_none")]
    pub limits: LimitsSpec,
}

/// A conversation that there has been.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DialogSpec {
    /// With whom.
    pub with: Ref,
    /// What was said, oldest first.
    #[serde(default)]
    pub messages: Vec<LineSpec>,
}

/// One message of a history.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LineSpec {
    /// Who wrote it (groups).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Ref>,
    /// Written by the account itself (dialogs).
    #[serde(skip_serializing_if = "is_false")]
    pub out: bool,
    /// Written by an admin in the group's name: it names no person (groups).
    #[serde(skip_serializing_if = "is_false")]
    pub anonymous: bool,
    /// The text.
    pub text: String,
    /// How long ago.
    pub ago: Span,
    /// Comments under a channel's post.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub comments: Vec<LineSpec>,
}

/// Telegram's patience with an account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsSpec {
    /// More sends in the window than this: `FLOOD_WAIT_n` to the window's end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sends: Option<RateSpec>,
    /// The same for `contacts.resolveUsername` and `contacts.resolvePhone`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lookups: Option<RateSpec>,
    /// After so many people written to first: `PEER_FLOOD`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_flood_after: Option<usize>,
}

impl LimitsSpec {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// So many in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateSpec {
    /// How many.
    pub count: usize,
    /// In how long.
    pub per: Span,
}

/// Who may do something to a person.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Privacy {
    /// Everyone.
    #[default]
    Everyone,
    /// People in his address book, and those he wrote to.
    Contacts,
    /// Nobody.
    Nobody,
}

/// When a person was last seen, as Telegram tells it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LastSeen {
    /// `userStatusOnline`.
    Online,
    /// `userStatusRecently`.
    #[default]
    Recently,
    /// `userStatusLastWeek`.
    LastWeek,
    /// `userStatusLastMonth`.
    LastMonth,
    /// No status at all.
    Hidden,
    /// `userStatusOffline`, so long ago.
    Ago(Span),
}

impl Serialize for LastSeen {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Online => serializer.serialize_str("online"),
            Self::Recently => serializer.serialize_str("recently"),
            Self::LastWeek => serializer.serialize_str("last_week"),
            Self::LastMonth => serializer.serialize_str("last_month"),
            Self::Hidden => serializer.serialize_str("hidden"),
            Self::Ago(span) => serializer.collect_str(span),
        }
    }
}

impl<'de> Deserialize<'de> for LastSeen {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(match text.as_str() {
            "online" => Self::Online,
            "recently" => Self::Recently,
            "last_week" => Self::LastWeek,
            "last_month" => Self::LastMonth,
            "hidden" => Self::Hidden,
            other => Self::Ago(other.parse().map_err(|_| {
                serde::de::Error::custom(format!(
                    "{other:?} is no last_seen; expected online, recently, last_week, last_month, hidden or a duration"
                ))
            })?),
        })
    }
}

/// Somebody who is not one of our accounts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PersonSpec {
    /// The user id; made up where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<i64>,
    /// Without `@`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// With `+`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// First name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_name: Option<String>,
    /// Last name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_name: Option<String>,
    /// A bot.
    #[serde(skip_serializing_if = "is_false")]
    pub bot: bool,
    /// A deleted account.
    #[serde(skip_serializing_if = "is_false")]
    pub deleted: bool,
    /// Telegram Premium.
    #[serde(skip_serializing_if = "is_false")]
    pub premium: bool,
    /// When last seen.
    pub last_seen: LastSeen,
    /// Who may write to him: otherwise `USER_PRIVACY_RESTRICTED`.
    #[serde(skip_serializing_if = "is_everyone")]
    pub privacy: Privacy,
    /// Who may add him to groups: otherwise he is a missing invitee.
    #[serde(skip_serializing_if = "is_everyone")]
    pub invite_privacy: Privacy,
    /// Stars he charges for a message of a stranger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub charges: Option<i64>,
    /// Only Premium accounts may write to him.
    #[serde(skip_serializing_if = "is_false")]
    pub premium_required: bool,
    /// Inviting him answers `USER_CHANNELS_TOO_MUCH`.
    #[serde(skip_serializing_if = "is_false")]
    pub too_many_chats: bool,
    /// Inviting him answers `USER_NOT_MUTUAL_CONTACT`.
    #[serde(skip_serializing_if = "is_false")]
    pub not_mutual: bool,
    /// Inviting him answers yes and does nothing.
    #[serde(skip_serializing_if = "is_false")]
    pub never_added: bool,
    /// Accounts he has blocked: `USER_IS_BLOCKED`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<String>,
    /// Accounts that have blocked him: `YOU_BLOCKED_USER`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub blocked_by: Vec<String>,
}

/// Kinds of places.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupKind {
    /// A basic group: `chat`.
    Basic,
    /// A supergroup: `channel` with `megagroup`.
    #[default]
    Supergroup,
    /// A channel: `channel` with `broadcast`.
    Channel,
}

/// Who may write in a place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Writers {
    /// Members (of a channel: admins).
    #[default]
    Everyone,
    /// Admins.
    Admins,
    /// Nobody: `CHAT_WRITE_FORBIDDEN`.
    Nobody,
}

/// A basic group, supergroup or channel.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GroupSpec {
    /// What it is.
    pub kind: GroupKind,
    /// The id; made up where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<i64>,
    /// The title.
    pub title: String,
    /// Without `@`; none is a private place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The description.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// Who made it; the first person where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creator: Option<Ref>,
    /// Its admins besides the creator.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub admins: Vec<Ref>,
    /// Which people are members; none where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub members: Option<Choice>,
    /// Which of our accounts are members; all where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accounts: Option<Vec<String>>,
    /// Members are shown to admins only.
    #[serde(skip_serializing_if = "is_false")]
    pub hidden_members: bool,
    /// Most members that are listed to anybody; 10,000 of a group, 200 of a channel where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listed: Option<usize>,
    /// Histories bring people along as `min`, without an address (core.telegram.org/api/min).
    #[serde(skip_serializing_if = "is_false")]
    pub min_users: bool,
    /// Who may write.
    #[serde(skip_serializing_if = "is_members")]
    pub write: Writers,
    /// Least time between two messages of one member.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slowmode: Option<Span>,
    /// A channel's discussion group: its username or title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discussion: Option<String>,
    /// What has been written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<History>,
    /// Made-up comments under each made-up post.
    #[serde(skip_serializing_if = "is_zero")]
    pub comments: usize,
    /// Who was thrown out: inviting him answers `USER_KICKED`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kicked: Vec<Ref>,
    /// With so many members further ones are refused with `USERS_TOO_MUCH`; 200 for a basic group, else 200,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member_limit: Option<usize>,
    /// Who joins only asks to: `INVITE_REQUEST_SENT`.
    #[serde(skip_serializing_if = "is_false")]
    pub join_requests: bool,
}

/// A place's history: made up, or written out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum History {
    /// So many made-up messages, one every few hours.
    Count(usize),
    /// These, oldest first.
    Lines(Vec<LineSpec>),
}

/// How people answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScriptSpec {
    /// Whose script it is; everyone's where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub people: Option<Choice>,
    /// Only for messages to this account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Only messages that contain this word, any case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// What he answers: to the first message the first, to the second the second; then nothing more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply: Option<Replies>,
    /// What he changes his last reply into, as long after it as it took him.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edit: Option<String>,
    /// After the last reply begin again.
    #[serde(skip_serializing_if = "is_false")]
    pub repeat: bool,
    /// He blocks the account (after his replies are used up, at once without any).
    #[serde(skip_serializing_if = "is_false")]
    pub block: bool,
    /// How long he takes, divided by the sandbox's speed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<SpanRange>,
}

/// One reply or several.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Replies {
    /// One.
    One(String),
    /// Several, in turn.
    Many(Vec<String>),
}

impl Replies {
    /// As a list.
    pub fn list(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(texts) => texts,
        }
    }
}

impl WorldSpec {
    /// Reads a world file.
    ///
    /// # Errors
    /// When the text is no YAML, or has unknown keys or values.
    pub fn from_yaml(text: &str) -> Result<Self, WorldError> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        Ok(serde_yaml::from_str(text)?)
    }

    /// The world file of this world.
    ///
    /// # Errors
    /// When the serializer fails, which plain data does not.
    pub fn to_yaml(&self) -> Result<String, WorldError> {
        Ok(serde_yaml::to_string(self)?)
    }
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's skip_serializing_if passes a reference"
)]
fn is_false(value: &bool) -> bool {
    !value
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's skip_serializing_if passes a reference"
)]
fn is_zero(value: &usize) -> bool {
    *value == 0
}

fn is_everyone(value: &Privacy) -> bool {
    *value == Privacy::Everyone
}

fn is_members(value: &Writers) -> bool {
    *value == Writers::Everyone
}

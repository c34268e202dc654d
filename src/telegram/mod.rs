//! Telegram as the engine sees it: one client per account, calls that either took effect, did not, or may have.
//!
//! **Guarantees.** Every call ends within its limit. A session file is read and never written: its address and
//! authorization key are used as they stand. [`CallError::NotSent`] means that no byte of the request reached a
//! socket. A panic inside the protocol library ends a call, never the process.
//!
//! **Not here.** Waiting and trying again: the caller decides (`model::reaction`). An account's calls may overlap.

mod connect;
mod decode;
mod draft;
mod encode;
mod find;
mod grammers;
mod line;
pub mod login;
mod places;
pub(crate) mod private;
mod probe;
mod row;
mod seal;
mod session;
mod since;
mod updates;
mod vault;

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::model::reaction::RpcFault;
use crate::model::{AccountName, InDoubtWhy, Person, PersonId, RandomKey, Reference, Timestamp};

pub use encode::{encode_send, text_of, to_oneself};
pub use find::{Find, FoundPage};
pub use grammers::GrammersTelegram;
pub use places::{Joined, Membership, encode_invite, is_invite};
pub use row::MayLeave;
pub use seal::{Sealed, decrypt, encrypt};
pub use session::{is_sealed, no_session, plain_path, sealed_path};
pub use since::WrittenSince;
pub use vault::{Ask, KEY_FILE, PASSPHRASE, PASSPHRASE_FILE, Vault, VaultError};

/// The most time a call takes (contract, section 6).
pub const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// The most members a page holds (core.telegram.org/method/channels.getParticipants).
pub const MEMBERS_PAGE: i32 = 200;

/// Log targets of the libraries below that can print message texts or keys above `debug`: a log filter turns them
/// off.
pub const UNSAFE_LOG_TARGETS: &[&str] = &["grammers_session", "grammers_client"];

/// A secret that no log shows.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps it.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The secret itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What it takes to open an account.
#[derive(Debug, Clone)]
pub struct AccountConfig {
    /// Its name: people found through it get their access hash under it.
    pub name: AccountName,
    /// Its session file: a `grammers-session` `SqliteSession`, or one encrypted (`NAME.session.age`).
    pub session_path: PathBuf,
    /// What opens an encrypted one.
    pub vault: Vault,
    /// From <https://my.telegram.org/apps>.
    pub api_id: i32,
    /// From <https://my.telegram.org/apps>; only a login sends it.
    pub api_hash: Secret,
    /// `socks5://[user:password@]host:port`.
    pub proxy: Option<Secret>,
    /// The most time a call takes.
    pub call_timeout: Duration,
}

impl AccountConfig {
    /// With the default limit, no proxy and no passphrase.
    pub fn new(
        name: AccountName,
        session_path: PathBuf,
        api_id: i32,
        api_hash: Secret,
    ) -> AccountConfig {
        let folder = session_path
            .parent()
            .map(Path::to_owned)
            .unwrap_or_default();
        AccountConfig {
            name,
            vault: Vault::new(folder, None, None),
            session_path,
            api_id,
            api_hash,
            proxy: None,
            call_timeout: CALL_TIMEOUT,
        }
    }
}

/// How a call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Telegram answered with a refusal; `model::reaction::react` says what to do.
    #[error(transparent)]
    Rpc(#[from] RpcFault),
    /// It may have taken effect.
    #[error("it is not known whether Telegram did it: {detail}")]
    InDoubt {
        /// In one word.
        why: InDoubtWhy,
        /// In one sentence.
        detail: String,
    },
    /// Certainly nothing of it reached Telegram.
    #[error("Telegram cannot be reached: {detail}")]
    NotSent {
        /// In one sentence.
        detail: String,
    },
    /// Telegram does not know the session's authorization key (transport error 404). The file is kept as it was.
    #[error("Telegram does not know this session's key: the account has to be logged in again")]
    KeyUnknown,
    /// The session file cannot be used.
    #[error("{0}")]
    Session(String),
    /// The session file is encrypted, and the passphrase is missing or wrong.
    #[error("{0}")]
    Locked(String),
    /// The username belongs to a group or channel.
    #[error("{0} is a group or channel, a person is expected")]
    NotAPerson(Reference),
    /// The username or phone belongs to a person.
    #[error("{0} is a person, a group or channel is expected")]
    NotAPlace(Reference),
    /// An id or an invite link can only be used by an account that is there already.
    #[error(
        "{0} is not known to this account: it has to be a member of that place, or to have met that person"
    )]
    NotMet(Reference),
    /// What was asked does not fit what is there; the sentence says what would.
    #[error("{0}")]
    Unfit(String),
    /// An answer of another shape than the documented one. Never of a send: those are in doubt.
    #[error("Telegram answered in a way that is not understood: {0}")]
    Unexpected(String),
}

/// Who an account is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Me {
    /// Its user id.
    pub id: PersonId,
    /// Its first name.
    pub first_name: Option<String>,
    /// Its username without the `@`.
    pub username: Option<String>,
    /// Its phone, digits only.
    pub phone: Option<String>,
    /// Whether it has Telegram Premium.
    pub premium: bool,
}

/// What kind of place it is (core.telegram.org/api/channel).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PlaceKind {
    /// Up to 200 members, read in one call.
    BasicGroup,
    /// A group that Telegram keeps as a channel.
    Supergroup,
    /// A channel; only its admins may list its subscribers.
    Channel,
}

/// A group or channel as one account sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Telegram's id of the chat or channel, always positive.
    pub id: i64,
    /// Belongs to the account; 0 for a basic group.
    pub access_hash: i64,
    /// Its kind.
    pub kind: PlaceKind,
    /// Its title.
    pub title: String,
    /// Its username without the `@`.
    pub username: Option<String>,
    /// Whether the account is creator or has admin rights (consent `members`).
    pub admin: bool,
    /// How many members, where Telegram tells.
    pub members: Option<i32>,
}

/// Where an invite leads, as one account sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The group or channel.
    pub place: Place,
    /// A link that leads there.
    pub link: Option<String>,
    /// The link is the account's own, not the public one.
    pub exported: bool,
}

/// A person as one account met him.
#[derive(Debug, Clone, PartialEq)]
pub struct Met {
    /// With this account's access hash, unless `min`; `admin` is set where a list of members says so.
    pub person: Person,
    /// Telegram told only the outlines, without a usable access hash (core.telegram.org/api/min).
    pub min: bool,
}

/// Where the next page begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(pub String);

/// A page of members.
#[derive(Debug, Clone, PartialEq)]
pub struct MembersPage {
    /// Who was listed.
    pub people: Vec<Met>,
    /// Absent on the last page.
    pub next: Option<Cursor>,
    /// How many members the place has, as Telegram counts.
    pub total: Option<i32>,
    /// Only on the last page: why the pages together are not everybody.
    pub partial: Option<String>,
}

/// A message that Telegram accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivered {
    /// Its id in the account's dialogs.
    pub message_id: i32,
    /// When Telegram dates it.
    pub date: Timestamp,
    /// The answer shows that an earlier attempt had delivered it. False does not prove the opposite.
    pub earlier: bool,
}

/// An uploaded file, ready to stand in any number of messages of the account that uploaded it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MediaHandle(pub Vec<u8>);

/// A message of a dialog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryMessage {
    /// Its id.
    pub id: i32,
    /// When it was sent.
    pub date: Timestamp,
    /// Sent by the account.
    pub out: bool,
    /// Its text; empty for a file without one.
    pub text: String,
}

/// The account's place in Telegram's updates (core.telegram.org/api/updates).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdatesState {
    /// Telegram's pts.
    pub pts: i32,
    /// Telegram's qts.
    pub qts: i32,
    /// Telegram's date, in seconds.
    pub date: i32,
    /// Telegram's seq.
    pub seq: i32,
}

/// A private message that a person wrote to the account, or the account to a person.
#[derive(Debug, Clone, PartialEq)]
pub struct Incoming {
    /// Who wrote it, or to whom it was written.
    pub person: PersonId,
    /// The message's id: the same message may come twice over a restart, never twice in one life of a client.
    pub message_id: i32,
    /// When Telegram dates it.
    pub date: Timestamp,
    /// Its text; empty for a file without one.
    pub text: String,
    /// What Telegram told of him along with it.
    pub contact: Option<Person>,
    /// To be kept together with the handled message: `start_updates` from here misses nothing after it.
    pub state: Option<UpdatesState>,
    /// The account wrote it: by the engine, or by a human in another client.
    pub out: bool,
    /// How it came to be heard.
    pub heard: Heard,
}

/// How a message came to be heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Heard {
    /// It was written.
    #[default]
    Written,
    /// Its writer changed it: the text is the new one. Told each time, of messages that were never told too.
    Changed,
    /// It was the last word of its dialog when the account was first listened to.
    Found,
}

/// What comes in by itself.
#[derive(Debug, Clone, PartialEq)]
pub enum Received {
    /// A private message.
    Message(Box<Incoming>),
    /// The place in the updates moved with no message in between: at the start, and now and then.
    State(UpdatesState),
    /// All that was missed until now was told before this, or cannot be asked for: at the start, after each
    /// reconnection, and where it was asked for.
    CaughtUp,
    /// What was missed is being read, or is read on when the wait is over that Telegram asked for, in seconds. Said again
    /// and again, and [`Received::CaughtUp`] follows.
    Behind(Option<u32>),
    /// The connection is lost, and was not made anew at once; in words. It is tried on, and this said each time.
    Lost(String),
}

/// The most that waits to be handled; a slow reader makes Telegram's updates wait, nothing is lost.
pub const INCOMING_CAPACITY: usize = 1024;

/// Opens accounts.
pub trait Telegram: Send + Sync {
    /// Reads the session file. Connecting is left to the first call.
    ///
    /// # Errors
    /// [`CallError::Session`] where the file is missing, unreadable, open to others beyond repair, or not logged in.
    fn open(
        &self,
        config: AccountConfig,
    ) -> BoxFuture<'_, Result<Arc<dyn AccountClient>, CallError>>;
}

/// Who was found by a look-up so far: a hundred thousand people of a large group, each asked for once.
pub type Seen = HashSet<PersonId, foldhash::fast::FixedState>;

/// One account. Calls connect as needed; after a failed connection the next call tries again, at most once a second.
pub trait AccountClient: Send + Sync {
    /// Its name.
    fn name(&self) -> &AccountName;

    /// Who it is by its session file, where that says so. No network.
    fn session_person(&self) -> Option<PersonId>;

    /// Who it is.
    fn me(&self) -> BoxFuture<'_, Result<Me, CallError>>;

    /// The key of its `random_id`s, derived from its authorization key. No network.
    fn random_key(&self) -> RandomKey;

    /// A group or channel: by username; by id or invite link where the account is in it.
    fn place<'a>(&'a self, reference: &'a Reference) -> BoxFuture<'a, Result<Place, CallError>>;

    /// A page of a place's members, at most [`MEMBERS_PAGE`] (a basic group comes whole).
    fn members_page<'a>(
        &'a self,
        place: &'a Place,
        cursor: Option<Cursor>,
        limit: i32,
    ) -> BoxFuture<'a, Result<MembersPage, CallError>>;

    /// The next step of a look-up: one call. `seen` holds who was found by earlier steps and is not named again.
    fn find<'a>(
        &'a self,
        what: &'a Find,
        cursor: Option<&'a Cursor>,
        seen: &'a Seen,
    ) -> BoxFuture<'a, Result<FoundPage, CallError>>;

    /// A person, by username or phone. Nobody is put into an address book.
    fn resolve<'a>(&'a self, reference: &'a Reference) -> BoxFuture<'a, Result<Met, CallError>>;

    /// Sends the bytes of [`encode_send`] as they are: the same bytes again are the same message.
    ///
    /// Or those of [`encode_invite`]: who is in the place already is not invited, which is told by
    /// `USER_ALREADY_PARTICIPANT` and, behind it, since when; a 'yes' that added nobody is told as `missing_invitees`.
    fn send(&self, request: Arc<[u8]>) -> BoxFuture<'_, Result<Delivered, CallError>>;

    /// Sends these one after another, as [`AccountClient::send`] does, each when the one before it was accepted and as
    /// long as `may_leave`. `told` hears the results in their order, together where they come fast; a failure is the last
    /// of them. Answers the requests that never left.
    fn send_in_turn<'a>(
        &'a self,
        requests: VecDeque<Arc<[u8]>>,
        may_leave: MayLeave,
        told: &'a mut (dyn FnMut(Vec<Result<Delivered, CallError>>) + Send),
    ) -> BoxFuture<'a, VecDeque<Arc<[u8]>>>;

    /// Whether the person of an invite is where it leads, without inviting anybody.
    fn was_added<'a>(&'a self, request: &'a [u8]) -> BoxFuture<'a, Result<Membership, CallError>>;

    /// A place, and with `link` a link that leads there: one of the account's own where it is admin, else the public one.
    fn target<'a>(
        &'a self,
        reference: &'a Reference,
        link: bool,
    ) -> BoxFuture<'a, Result<Target, CallError>>;

    /// Joins a place. To be in it already is fine.
    fn join<'a>(&'a self, reference: &'a Reference) -> BoxFuture<'a, Result<Joined, CallError>>;

    /// Shows 'typing…'. Its failure is of no consequence.
    fn typing(&self, person: PersonId, access_hash: i64) -> BoxFuture<'_, Result<(), CallError>>;

    /// Uploads a file once; the handle serves any number of sends of this account.
    fn upload<'a>(
        &'a self,
        name: &'a str,
        mime: &'a str,
        bytes: Vec<u8>,
    ) -> BoxFuture<'a, Result<MediaHandle, CallError>>;

    /// The newest messages of the dialog with a person, newest first.
    fn last_messages(
        &self,
        person: PersonId,
        access_hash: i64,
        limit: i32,
    ) -> BoxFuture<'_, Result<Vec<HistoryMessage>, CallError>>;

    /// The private dialogs with messages since a moment: after a restore.
    fn written_since(
        &self,
        since: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<WrittenSince>, CallError>>;

    /// From now on private messages come in through the receiver: what was missed since `from`, then live. A second
    /// call takes the place of the first. Best called before the first call, so that no connection is made twice.
    fn start_updates(&self, from: Option<UpdatesState>) -> mpsc::Receiver<Received>;

    /// Asks Telegram now what came in, and not first after a silence or a gap. [`Received::CaughtUp`] follows whatever
    /// it tells; nothing where nobody listens.
    fn ask_updates(&self);

    /// Logs the account out at Telegram: its key is worthless afterwards.
    fn log_out(&self) -> BoxFuture<'_, Result<(), CallError>>;

    /// Whether a connection stands now.
    fn is_alive(&self) -> bool;

    /// Why the last attempt to connect failed, and when; nothing once a connection stands.
    fn last_failure(&self) -> Option<(Timestamp, String)>;

    /// Ends the connection; the next call makes a new one. After this machine's clock was set forward the old one would
    /// be refused every message.
    fn reconnect(&self);

    /// Drops the connection and stops the updates. A call under way ends in doubt; a later call connects again.
    fn close(&self);
}

/// The wall clock.
fn now() -> Timestamp {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

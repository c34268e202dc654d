//! The world behind the loopback Telegram: accounts, people, places, messages. Pure: no sockets, and
//! `now` (milliseconds since 1970) is an argument.
//!
//! # Guarantees
//! - The same spec gives the same world: ids, keys and access hashes are keyed hashes of the seed.
//! - An access hash belongs to one account; another account's is refused.
//! - Message ids and `pts` of private chats and basic groups count per account, those of supergroups and
//!   channels per place, as in Telegram (<https://core.telegram.org/api/updates>).
//! - A `random_id` is remembered for ever by (account, peer, random_id).

use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use grammers_tl_types::enums;
use sha2::{Digest, Sha256};

use super::faults::ArmedRule;
use super::spec::{
    AccountSpec, GroupKind, LastSeen, LimitsSpec, PersonSpec, Privacy, ScriptSpec, UpdatesSpec,
    Writers,
};

/// A peer by its bare id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Peer {
    /// A user.
    User(i64),
    /// A basic group.
    Chat(i64),
    /// A supergroup or channel.
    Channel(i64),
}

impl Peer {
    /// The bare id.
    pub fn id(self) -> i64 {
        match self {
            Self::User(id) | Self::Chat(id) | Self::Channel(id) => id,
        }
    }
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::User(id) => write!(f, "user:{id}"),
            Self::Chat(id) => write!(f, "chat:{id}"),
            Self::Channel(id) => write!(f, "channel:{id}"),
        }
    }
}

/// A user: one of our accounts or somebody else.
#[derive(Debug, Clone, Default)]
pub struct User {
    /// The user id.
    pub id: i64,
    /// The account that this user is, as an index.
    pub account: Option<usize>,
    /// Without `@`.
    pub username: Option<String>,
    /// With `+`.
    pub phone: Option<String>,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: Option<String>,
    /// A bot.
    pub bot: bool,
    /// A deleted account.
    pub deleted: bool,
    /// Telegram Premium.
    pub premium: bool,
    /// When last seen.
    pub last_seen: LastSeen,
    /// Who may write to him.
    pub privacy: Privacy,
    /// Who may add him to groups.
    pub invite_privacy: Privacy,
    /// Stars for a stranger's message.
    pub charges: Option<i64>,
    /// Only Premium accounts may write.
    pub premium_required: bool,
    /// `USER_CHANNELS_TOO_MUCH` when invited.
    pub too_many_chats: bool,
    /// `USER_NOT_MUTUAL_CONTACT` when invited.
    pub not_mutual: bool,
    /// Inviting him answers yes and does nothing.
    pub never_added: bool,
    /// Accounts he has blocked.
    pub blocks: HashSet<usize>,
    /// Accounts that have blocked him.
    pub blocked_by: HashSet<usize>,
}

impl User {
    pub(super) fn of_person(spec: &PersonSpec, id: i64, first_name: String) -> Self {
        Self {
            id,
            account: None,
            username: spec.username.clone(),
            phone: spec.phone.clone(),
            first_name,
            last_name: spec.last_name.clone(),
            bot: spec.bot,
            deleted: spec.deleted,
            premium: spec.premium,
            last_seen: spec.last_seen,
            privacy: spec.privacy,
            invite_privacy: spec.invite_privacy,
            charges: spec.charges,
            premium_required: spec.premium_required,
            too_many_chats: spec.too_many_chats,
            not_mutual: spec.not_mutual,
            never_added: spec.never_added,
            ..Self::default()
        }
    }
}

/// A member of a place.
#[derive(Debug, Clone, Copy)]
pub struct Member {
    /// The user, as an index.
    pub user: usize,
    /// Unix seconds of joining.
    pub date: i32,
    /// Who brought him, as an id; himself where he joined.
    pub inviter: i64,
}

/// A message, in an account's box or in a place's.
#[derive(Debug, Clone)]
pub struct Msg {
    /// The id within its box.
    pub id: i32,
    /// The conversation.
    pub peer: Peer,
    /// The sender; `None` for a channel's post.
    pub from: Option<i64>,
    /// Sent by the account whose box it is in (a place's box: false, computed when shown).
    pub out: bool,
    /// Unix seconds.
    pub date: i32,
    /// When its writer changed it last, in Unix seconds.
    pub edited: Option<i32>,
    /// The text.
    pub text: Arc<str>,
    /// Formatting.
    pub entities: Vec<enums::MessageEntity>,
    /// What is attached.
    pub media: Option<Box<enums::MessageMedia>>,
    /// The message that it answers.
    pub reply_to: Option<i32>,
    /// The thread's first message (discussion groups).
    pub top: Option<i32>,
    /// The pts after it.
    pub pts: i32,
}

/// A basic group, supergroup or channel.
#[derive(Debug, Clone)]
pub struct Group {
    /// The bare id.
    pub id: i64,
    /// What it is.
    pub kind: GroupKind,
    /// The title.
    pub title: String,
    /// Without `@`.
    pub username: Option<String>,
    /// The description.
    pub about: String,
    /// Unix seconds of its making.
    pub date: i32,
    /// Who made it, as a user index.
    pub creator: usize,
    /// Admins besides the creator, as user indexes.
    pub admins: HashSet<usize>,
    /// Members in the order of joining.
    pub members: Vec<Member>,
    /// Where each member stands in `members`.
    pub member_at: HashMap<usize, usize>,
    /// Members are shown to admins only.
    pub hidden_members: bool,
    /// Most members that are listed.
    pub listed: usize,
    /// Histories bring people along as `min`.
    pub min_users: bool,
    /// Who may write.
    pub write: Writers,
    /// Seconds between two messages of one member.
    pub slowmode: i64,
    /// The discussion group or the channel that it discusses, as a group index.
    pub linked: Option<usize>,
    /// Its messages (not for a basic group: those stand in the accounts' boxes).
    pub messages: Vec<Msg>,
    /// For a channel: its post → the thread's first message in the discussion group.
    pub threads: HashMap<i32, i32>,
    /// The place's pts.
    pub pts: i32,
    /// Who was thrown out.
    pub kicked: HashSet<usize>,
    /// When each member wrote last, in milliseconds.
    pub wrote: HashMap<usize, i64>,
    /// Most members.
    pub member_limit: usize,
    /// Who joins only asks to.
    pub join_requests: bool,
}

impl Group {
    /// As a peer.
    pub fn peer(&self) -> Peer {
        match self.kind {
            GroupKind::Basic => Peer::Chat(self.id),
            GroupKind::Supergroup | GroupKind::Channel => Peer::Channel(self.id),
        }
    }

    /// Whether the user made or administers it.
    pub fn is_admin(&self, user: usize) -> bool {
        self.creator == user || self.admins.contains(&user)
    }

    /// Whether the user is in it.
    pub fn is_member(&self, user: usize) -> bool {
        self.member_at.contains_key(&user)
    }

    /// Adds a member at the end; false when he is one already.
    pub fn add(&mut self, user: usize, date: i32, inviter: i64) -> bool {
        if self.is_member(user) {
            return false;
        }
        self.member_at.insert(user, self.members.len());
        self.members.push(Member {
            user,
            date,
            inviter,
        });
        true
    }

    /// Removes a member; the others keep their order.
    pub fn remove(&mut self, user: usize) -> bool {
        let Some(at) = self.member_at.remove(&user) else {
            return false;
        };
        self.members.remove(at);
        for (place, member) in self.members.iter().enumerate().skip(at) {
            self.member_at.insert(member.user, place);
        }
        true
    }
}

/// One conversation of an account.
#[derive(Debug, Clone, Default)]
pub struct Dialog {
    /// The messages' ids, oldest first (private chats and basic groups).
    pub ids: Vec<i32>,
    /// Read by the account up to here.
    pub read_inbox: i32,
    /// Read by the other up to here.
    pub read_outbox: i32,
    /// The account's own newest message.
    pub last_out: i32,
    /// The other has written.
    pub wrote: bool,
}

/// What changed an account's box, one for each step of its pts.
#[derive(Debug, Clone, Copy)]
pub enum Change {
    /// A message with this id came to be.
    Message(i32),
    /// The message with this id was changed by its writer.
    Edit(i32),
    /// The account read a conversation up to an id.
    ReadInbox(Peer, i32),
    /// The other read a conversation up to an id.
    ReadOutbox(Peer, i32),
}

/// One of our accounts.
#[derive(Debug, Clone)]
pub struct Account {
    /// The session file's stem.
    pub name: String,
    /// Its user, as an index.
    pub user: usize,
    /// Whether anybody is logged in.
    pub authorized: bool,
    /// The login code.
    pub code: String,
    /// The password of two-step verification.
    pub password: Option<String>,
    /// The right code was given, and the password is waited for.
    pub code_given: bool,
    /// The last password challenge: its id and the server's secret, empty once it was used.
    pub challenge: Option<(i64, Vec<u8>)>,
    /// Telegram's patience with it.
    pub limits: LimitsSpec,
    /// Its address book, as user indexes.
    pub contacts: HashSet<usize>,
    /// Its messages of private chats and basic groups; the id is the place plus one.
    pub messages: Vec<Msg>,
    /// Its pts: the number of changes plus one.
    pub changes: Vec<Change>,
    /// Its conversations.
    pub dialogs: HashMap<Peer, Dialog>,
    /// Whom it wrote to first.
    pub first_contacts: HashSet<i64>,
    /// What was sent with which `random_id`.
    pub random_ids: HashMap<(Peer, i64), i32>,
    /// Sends that are still under way.
    pub in_flight: HashSet<(Peer, i64)>,
    /// Times of sends within the window of `limits.sends`.
    pub sends: VecDeque<i64>,
    /// Times of look-ups within the window of `limits.lookups`.
    pub lookups: VecDeque<i64>,
}

impl Account {
    /// The persistent timestamp, from 1.
    pub fn pts(&self) -> i32 {
        i32::try_from(self.changes.len()).unwrap_or(i32::MAX - 1) + 1
    }

    /// The message with this id.
    pub fn message(&self, id: i32) -> Option<&Msg> {
        usize::try_from(id)
            .ok()
            .and_then(|id| id.checked_sub(1))
            .and_then(|at| self.messages.get(at))
    }
}

/// Something that an account's other connections are told.
#[derive(Debug, Clone)]
pub struct Push {
    /// Whom it concerns, as an account index.
    pub account: usize,
    /// The connection that caused it and has its answer already.
    pub except: Option<u64>,
    /// What happened.
    pub what: Pushed,
}

/// What an account's connections are told.
#[derive(Debug, Clone)]
pub enum Pushed {
    /// A change of the account's own box, with its pts.
    Change(Change, i32),
    /// A message of a supergroup or channel, as group index and message id.
    Place(usize, i32),
}

/// What people do later.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    /// A user (index) writes to an account.
    Write {
        /// Who.
        user: usize,
        /// To which account.
        account: usize,
        /// What.
        text: String,
    },
    /// A user (index) changes the last message that he wrote to an account.
    Edit {
        /// Who.
        user: usize,
        /// To which account.
        account: usize,
        /// Into what.
        text: String,
    },
    /// A user (index) blocks an account.
    Block {
        /// Who.
        user: usize,
        /// Which account.
        account: usize,
    },
}

/// A deed on the agenda: the earliest comes first out of the heap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Due {
    pub at: i64,
    pub order: u64,
    pub deed: Deed,
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// A file that an account uploads.
#[derive(Debug, Clone, Default)]
pub struct Upload {
    /// The parts that came, with their sizes.
    pub parts: HashMap<i32, usize>,
    /// All bytes together.
    pub bytes: u64,
}

/// The living world.
#[derive(Debug)]
pub struct World {
    /// The seed.
    pub seed: u64,
    pub(super) secret: [u8; 32],
    /// Our accounts.
    pub accounts: Vec<Account>,
    /// All users.
    pub users: Vec<User>,
    /// All places.
    pub groups: Vec<Group>,
    pub(super) user_at: HashMap<i64, usize>,
    pub(super) group_at: HashMap<Peer, usize>,
    pub(super) names: HashMap<String, Peer>,
    pub(super) phones: HashMap<String, usize>,
    pub(super) account_at: HashMap<String, usize>,
    pub(super) scripts: Vec<ScriptSpec>,
    pub(super) script_turns: HashMap<(usize, usize), usize>,
    pub(super) faults: Vec<ArmedRule>,
    pub(super) updates: UpdatesSpec,
    pub(super) agenda: BinaryHeap<Due>,
    pub(super) order: u64,
    pub(super) uploads: HashMap<(usize, i64), Upload>,
    pub(super) files: HashMap<(usize, i64), enums::MessageMedia>,
    pub(super) pushes: Vec<Push>,
    /// People's delays are divided by it.
    pub speed: f64,
}

/// Eight bytes of a keyed hash, as a number.
pub(super) fn keyed(secret: &[u8], parts: &[&[u8]]) -> u64 {
    u64::from_le_bytes(first(&digest(secret, parts)))
}

/// A keyed hash; each part is preceded by its length, so that parts cannot run together.
pub(super) fn digest(secret: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(secret);
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

fn first(bytes: &[u8; 32]) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..] = *bytes;
    [a, b, c, d, e, f, g, h]
}

impl World {
    /// The 256-byte auth key of an account: the same for the same seed and name.
    pub fn auth_key(&self, account: usize) -> [u8; 256] {
        let name = self.accounts.get(account).map_or("", |a| a.name.as_str());
        let mut key = [0; 256];
        for (block, chunk) in key.chunks_exact_mut(32).enumerate() {
            chunk.copy_from_slice(&digest(
                &self.secret,
                &[
                    b"auth key",
                    name.as_bytes(),
                    &[u8::try_from(block).unwrap_or(0)],
                ],
            ));
        }
        key
    }

    /// The access hash with which this account may address the peer.
    pub fn access_hash(&self, account: usize, peer: Peer) -> i64 {
        let (kind, id) = match peer {
            Peer::User(id) => (b'u', id),
            Peer::Chat(id) => (b'g', id),
            Peer::Channel(id) => (b'c', id),
        };
        let hash = keyed(
            &self.secret,
            &[
                b"hash",
                &(account as u64).to_le_bytes(),
                &[kind],
                &id.to_le_bytes(),
            ],
        );
        // Zero means 'none' to clients.
        i64::from_le_bytes(hash.to_le_bytes()) | 1
    }

    /// The index of a user by id.
    pub fn user_index(&self, id: i64) -> Option<usize> {
        self.user_at.get(&id).copied()
    }

    /// A user by id.
    pub fn user(&self, id: i64) -> Option<&User> {
        self.user_index(id).and_then(|at| self.users.get(at))
    }

    /// The index of a place.
    pub fn group_index(&self, peer: Peer) -> Option<usize> {
        self.group_at.get(&peer).copied()
    }

    /// Whom a username (any case, with or without `@`) names.
    pub fn named(&self, username: &str) -> Option<Peer> {
        self.names
            .get(&username.trim_start_matches('@').to_lowercase())
            .copied()
    }

    /// The index of the account of this name.
    pub fn account_index(&self, name: &str) -> Option<usize> {
        self.account_at.get(name).copied()
    }

    /// Resolves an account's name, `@username`, `+phone` or id to a user index.
    pub fn find_user(&self, reference: &super::spec::Ref) -> Option<usize> {
        match reference {
            super::spec::Ref::Id(id) => self.user_index(*id),
            super::spec::Ref::Name(name) => {
                if let Some(at) = self.account_index(name) {
                    return self.accounts.get(at).map(|a| a.user);
                }
                if name.starts_with('+') {
                    return self.phones.get(&digits(name)).copied();
                }
                match self.named(name) {
                    Some(Peer::User(id)) => self.user_index(id),
                    _ => None,
                }
            }
        }
    }

    /// The user index of an account.
    pub fn self_user(&self, account: usize) -> usize {
        self.accounts.get(account).map_or(0, |a| a.user)
    }

    /// The user id of an account.
    pub fn self_id(&self, account: usize) -> i64 {
        self.users.get(self.self_user(account)).map_or(0, |u| u.id)
    }

    /// A number in `0..1` that only depends on the seed and the parts.
    pub(super) fn chance(&self, parts: &[&[u8]]) -> f64 {
        // 53 bits fit a double exactly.
        (keyed(&self.secret, parts) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Adds a message to an account's box and returns its id.
    pub(super) fn store(&mut self, account: usize, mut msg: Msg, except: Option<u64>) -> i32 {
        let Some(owner) = self.accounts.get_mut(account) else {
            return 0;
        };
        let id = i32::try_from(owner.messages.len()).unwrap_or(i32::MAX - 1) + 1;
        owner.changes.push(Change::Message(id));
        msg.id = id;
        msg.pts = owner.pts();
        let pts = msg.pts;
        let dialog = owner.dialogs.entry(msg.peer).or_default();
        dialog.ids.push(id);
        if msg.out {
            dialog.last_out = id;
        } else {
            dialog.wrote = true;
        }
        owner.messages.push(msg);
        self.pushes.push(Push {
            account,
            except,
            what: Pushed::Change(Change::Message(id), pts),
        });
        id
    }

    /// Puts a deed on the agenda.
    pub(super) fn later(&mut self, at: i64, deed: Deed) {
        self.order += 1;
        self.agenda.push(Due {
            at,
            order: self.order,
            deed,
        });
    }

    /// When the next deed is due.
    pub fn next_due(&self) -> Option<i64> {
        self.agenda.peek().map(|due| due.at)
    }

    /// Does everything that is due by `now`; what happened, for the ledger.
    pub fn step(&mut self, now: i64) -> Vec<Deed> {
        let mut done = Vec::new();
        while self.agenda.peek().is_some_and(|due| due.at <= now) {
            let Some(due) = self.agenda.pop() else { break };
            match &due.deed {
                Deed::Write {
                    user,
                    account,
                    text,
                } => {
                    self.write_from(*user, *account, text, now);
                }
                Deed::Edit {
                    user,
                    account,
                    text,
                } => {
                    self.edit_from(*user, *account, None, text, now);
                }
                Deed::Block { user, account } => {
                    if let Some(user) = self.users.get_mut(*user) {
                        user.blocks.insert(*account);
                    }
                }
            }
            done.push(due.deed);
        }
        done
    }

    /// A user writes to an account: returns the message's id in the account's box.
    pub fn write_from(&mut self, user: usize, account: usize, text: &str, now: i64) -> i32 {
        let Some(from) = self.users.get(user).map(|u| u.id) else {
            return 0;
        };
        self.read_by_other(account, Peer::User(from));
        self.store(account, private(from, from, false, text, now), None)
    }

    /// A user changes a message that he wrote to an account, by its id in that account's box, or the last one. Returns
    /// its id; nothing where there is none.
    pub fn edit_from(
        &mut self,
        user: usize,
        account: usize,
        id: Option<i32>,
        text: &str,
        now: i64,
    ) -> Option<i32> {
        let peer = Peer::User(self.users.get(user)?.id);
        let owner = self.accounts.get_mut(account)?;
        let his = |owner: &Account, id: &i32| {
            owner
                .message(*id)
                .is_some_and(|msg| msg.peer == peer && !msg.out)
        };
        let id = match id {
            Some(id) => Some(id).filter(|id| his(owner, id)),
            None => {
                let ids = owner.dialogs.get(&peer)?.ids.iter().rev();
                ids.copied().find(|id| his(owner, id))
            }
        }?;
        owner.changes.push(Change::Edit(id));
        let pts = owner.pts();
        let place = usize::try_from(id).ok()?.checked_sub(1)?;
        let msg = owner.messages.get_mut(place)?;
        msg.text = text.into();
        msg.entities = Vec::new();
        msg.edited = Some(secs(now));
        self.pushes.push(Push {
            account,
            except: None,
            what: Pushed::Change(Change::Edit(id), pts),
        });
        Some(id)
    }

    /// The account writes to a user from another client: every connection is told. Returns the message's id.
    pub fn write_as(&mut self, account: usize, user: usize, text: &str, now: i64) -> i32 {
        let Some(to) = self.users.get(user).map(|u| u.id) else {
            return 0;
        };
        let own = self.self_id(account);
        self.store(account, private(to, own, true, text, now), None)
    }

    /// A user writes in a group or posts in a channel: every account that is in it is told.
    pub fn write_in(&mut self, at: usize, user: usize, text: &str, now: i64) {
        let (Some(group), Some(from)) = (self.groups.get(at), self.users.get(user).map(|u| u.id))
        else {
            return;
        };
        let msg = Msg {
            peer: group.peer(),
            from: (group.kind != GroupKind::Channel).then_some(from),
            ..private(from, from, false, text, now)
        };
        let members: Vec<usize> = (0..self.accounts.len())
            .filter(|account| group.is_member(self.self_user(*account)))
            .collect();
        if group.kind == GroupKind::Basic {
            for account in members {
                self.store(account, msg.clone(), None);
            }
            return;
        }
        let id = self.append(at, msg);
        self.pushes.extend(members.into_iter().map(|account| Push {
            account,
            except: None,
            what: Pushed::Place(at, id),
        }));
    }

    /// The other has read all that the account wrote to him.
    fn read_by_other(&mut self, account: usize, peer: Peer) {
        let Some(owner) = self.accounts.get_mut(account) else {
            return;
        };
        let Some(dialog) = owner.dialogs.get(&peer) else {
            return;
        };
        let (top, before) = (dialog.last_out, dialog.read_outbox);
        if top > before {
            if let Some(dialog) = owner.dialogs.get_mut(&peer) {
                dialog.read_outbox = top;
            }
            let change = Change::ReadOutbox(peer, top);
            owner.changes.push(change);
            let pts = owner.pts();
            self.pushes.push(Push {
                account,
                except: None,
                what: Pushed::Change(change, pts),
            });
        }
    }

    /// What the connections are to be told, taken out.
    pub(super) fn take_pushes(&mut self) -> Vec<Push> {
        std::mem::take(&mut self.pushes)
    }
}

/// A text in the private dialog with a user, not stored yet.
fn private(with: i64, from: i64, out: bool, text: &str, now: i64) -> Msg {
    Msg {
        id: 0,
        peer: Peer::User(with),
        from: Some(from),
        out,
        date: secs(now),
        edited: None,
        text: text.into(),
        entities: Vec::new(),
        media: None,
        reply_to: None,
        top: None,
        pts: 0,
    }
}

/// Unix seconds of milliseconds.
pub(super) fn secs(now: i64) -> i32 {
    i32::try_from(now.div_euclid(1000)).unwrap_or(i32::MAX)
}

/// A phone's digits alone.
pub(super) fn digits(phone: &str) -> String {
    phone.chars().filter(char::is_ascii_digit).collect()
}

/// An account from its spec, still empty.
pub(super) fn account_of(spec: &AccountSpec, user: usize) -> Account {
    Account {
        name: spec.name.clone(),
        user,
        authorized: spec.authorized != Some(false),
        code: spec.code.clone().unwrap_or_else(|| "12345".into()),
        password: spec.password.clone(),
        code_given: false,
        challenge: None,
        limits: spec.limits,
        contacts: HashSet::new(),
        messages: Vec::new(),
        changes: Vec::new(),
        dialogs: HashMap::new(),
        first_contacts: HashSet::new(),
        random_ids: HashMap::new(),
        in_flight: HashSet::new(),
        sends: VecDeque::new(),
        lookups: VecDeque::new(),
    }
}

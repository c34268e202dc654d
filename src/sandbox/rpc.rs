//! Remote calls: which there are, who may make them, and what Telegram would answer. Pure, like the world.

use grammers_tl_types::{
    Deserializable as _, Identifiable as _, Serializable as _, enums, functions, name_for_id,
};

use super::faults::{ArmedRule, Effect, code_of};
use super::ledger::Entry;
use super::spec::{GroupKind, Ref};
use super::world::{Peer, World};

mod auth;
mod messages;
mod people;
mod places;
mod send;
mod service;

pub(super) use service::DC_ID;

/// An RPC error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text} ({code})")]
pub(super) struct Fail {
    pub code: i32,
    pub text: String,
}

impl Fail {
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            code: code_of(&text),
            text,
        }
    }
}

impl From<&str> for Fail {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

/// A serialized answer.
pub(super) type Answer = Result<Vec<u8>, Fail>;

macro_rules! requests {
    ($($variant:ident = $($path:ident)::+ => $handler:ident,)*) => {
        /// A decoded call.
        #[derive(Debug)]
        pub(super) enum Request {
            $(#[allow(missing_docs)] $variant(Box<functions::$($path)::+>),)*
        }

        impl Request {
            /// Decodes a call without wrappers; `None` for a method that this server does not have.
            fn known(id: u32, arguments: &[u8]) -> Option<Result<Self, grammers_tl_types::deserialize::Error>> {
                Some(match id {
                    $(functions::$($path)::+::CONSTRUCTOR_ID =>
                        functions::$($path)::+::from_bytes(arguments).map(|r| Self::$variant(Box::new(r))),)*
                    _ => return None,
                })
            }

            fn answer(self, call: &mut Call<'_>) -> Answer {
                match self {
                    $(Self::$variant(request) => call.$handler(*request),)*
                }
            }
        }
    };
}

requests! {
    GetConfig = help::GetConfig => get_config,
    GetNearestDc = help::GetNearestDc => get_nearest_dc,
    GetAppConfig = help::GetAppConfig => get_app_config,
    GetUsers = users::GetUsers => get_users,
    GetFullUser = users::GetFullUser => get_full_user,
    GetState = updates::GetState => get_state,
    GetDifference = updates::GetDifference => get_difference,
    GetChannelDifference = updates::GetChannelDifference => get_channel_difference,
    ResolveUsername = contacts::ResolveUsername => resolve_username,
    ResolvePhone = contacts::ResolvePhone => resolve_phone,
    GetContacts = contacts::GetContacts => get_contacts,
    ImportContacts = contacts::ImportContacts => import_contacts,
    Block = contacts::Block => block,
    Unblock = contacts::Unblock => unblock,
    GetParticipants = channels::GetParticipants => get_participants,
    GetParticipant = channels::GetParticipant => get_participant,
    GetFullChannel = channels::GetFullChannel => get_full_channel,
    GetChannels = channels::GetChannels => get_channels,
    GetChannelMessages = channels::GetMessages => get_channel_messages,
    JoinChannel = channels::JoinChannel => join_channel,
    LeaveChannel = channels::LeaveChannel => leave_channel,
    InviteToChannel = channels::InviteToChannel => invite_to_channel,
    ReadChannelHistory = channels::ReadHistory => read_channel_history,
    AddChatUser = messages::AddChatUser => add_chat_user,
    GetFullChat = messages::GetFullChat => get_full_chat,
    GetChats = messages::GetChats => get_chats,
    ExportChatInvite = messages::ExportChatInvite => export_chat_invite,
    CheckChatInvite = messages::CheckChatInvite => check_chat_invite,
    ImportChatInvite = messages::ImportChatInvite => import_chat_invite,
    GetHistory = messages::GetHistory => get_history,
    Search = messages::Search => search,
    GetReplies = messages::GetReplies => get_replies,
    GetDialogs = messages::GetDialogs => get_dialogs,
    GetPeerDialogs = messages::GetPeerDialogs => get_peer_dialogs,
    GetMessages = messages::GetMessages => get_messages,
    SendMessage = messages::SendMessage => send_message,
    SendMedia = messages::SendMedia => send_media,
    UploadMedia = messages::UploadMedia => upload_media,
    SetTyping = messages::SetTyping => set_typing,
    ReadHistory = messages::ReadHistory => read_history,
    SaveFilePart = upload::SaveFilePart => save_file_part,
    SaveBigFilePart = upload::SaveBigFilePart => save_big_file_part,
    UpdateStatus = account::UpdateStatus => update_status,
    GetPassword = account::GetPassword => get_password,
    LogOut = auth::LogOut => log_out,
    SendCode = auth::SendCode => send_code,
    SignIn = auth::SignIn => sign_in,
    CheckPassword = auth::CheckPassword => check_password,
}

/// A call as it came, without wrappers.
#[derive(Debug)]
pub(super) struct Received {
    /// The method's name as in the schema, or its constructor in hexadecimal.
    pub method: String,
    /// The call; an error where it cannot be decoded or is unknown.
    pub request: Result<Request, Fail>,
    /// Whether it was wrapped in `invokeWithoutUpdates`.
    pub without_updates: bool,
}

/// The rest of a call's bytes: what a wrapper wraps.
struct Rest(Vec<u8>);

impl grammers_tl_types::Deserializable for Rest {
    fn deserialize(
        buf: &mut grammers_tl_types::Cursor<'_>,
    ) -> grammers_tl_types::deserialize::Result<Self> {
        let mut rest = Vec::new();
        buf.read_to_end(&mut rest)?;
        Ok(Self(rest))
    }
}

/// How deep wrappers may stand in each other.
const MAX_WRAPPERS: usize = 8;

/// Takes a call out of `invokeWithLayer`, `initConnection`, `invokeWithoutUpdates` and `invokeAfterMsg(s)`.
pub(super) fn receive(body: &[u8]) -> Received {
    let mut body = std::borrow::Cow::Borrowed(body);
    let mut without_updates = false;
    for _ in 0..MAX_WRAPPERS {
        let id = match u32::from_bytes(&body) {
            Ok(id) => id,
            Err(_) => return broken("an empty call", without_updates),
        };
        // A function's own decoding begins behind its constructor.
        let arguments = body.get(4..).unwrap_or_default();
        // The wrapped call is the rest of the bytes: the wrapper's last field is a `Blob`.
        let inner = match id {
            functions::InvokeWithLayer::<Rest>::CONSTRUCTOR_ID => {
                functions::InvokeWithLayer::<Rest>::from_bytes(arguments).map(|w| w.query)
            }
            functions::InitConnection::<Rest>::CONSTRUCTOR_ID => {
                functions::InitConnection::<Rest>::from_bytes(arguments).map(|w| w.query)
            }
            functions::InvokeWithoutUpdates::<Rest>::CONSTRUCTOR_ID => {
                without_updates = true;
                functions::InvokeWithoutUpdates::<Rest>::from_bytes(arguments).map(|w| w.query)
            }
            functions::InvokeAfterMsg::<Rest>::CONSTRUCTOR_ID => {
                functions::InvokeAfterMsg::<Rest>::from_bytes(arguments).map(|w| w.query)
            }
            functions::InvokeAfterMsgs::<Rest>::CONSTRUCTOR_ID => {
                functions::InvokeAfterMsgs::<Rest>::from_bytes(arguments).map(|w| w.query)
            }
            _ => {
                let name = name_for_id(id);
                let request = match Request::known(id, arguments) {
                    None => Err(Fail::from("METHOD_INVALID")),
                    Some(Err(_)) => Err(Fail::from("INPUT_FETCH_ERROR")),
                    Some(Ok(request)) => Ok(request),
                };
                let method = if name == "(unknown)" || name.is_empty() {
                    format!("#{id:08x}")
                } else {
                    name.to_owned()
                };
                return Received {
                    method,
                    request,
                    without_updates,
                };
            }
        };
        match inner {
            Ok(inner) => body = std::borrow::Cow::Owned(inner.0),
            Err(_) => return broken(name_for_id(id), without_updates),
        }
    }
    broken("too many wrappers", without_updates)
}

fn broken(what: &str, without_updates: bool) -> Received {
    Received {
        method: what.to_owned(),
        request: Err(Fail::from("INPUT_FETCH_ERROR")),
        without_updates,
    }
}

/// One call under way: the world, who calls, and what the ledger will say.
pub(super) struct Call<'w> {
    pub world: &'w mut World,
    pub account: usize,
    pub connection: u64,
    pub now: i64,
    pub port: u16,
    pub entry: &'w mut Entry,
}

impl Request {
    /// Whether it may be called while nobody is logged in.
    fn before_login(&self) -> bool {
        matches!(
            self,
            Self::GetConfig(_)
                | Self::GetNearestDc(_)
                | Self::GetAppConfig(_)
                | Self::SendCode(_)
                | Self::SignIn(_)
                | Self::CheckPassword(_)
                | Self::GetPassword(_)
                | Self::LogOut(_)
        )
    }

    /// Whom the call is about, for fault rules: a peer, or the username or phone that is looked up.
    fn about(&self) -> (Option<Peer>, Option<&str>) {
        let of_peer = |input: &enums::InputPeer| match input {
            enums::InputPeer::User(u) => Some(Peer::User(u.user_id)),
            enums::InputPeer::UserFromMessage(u) => Some(Peer::User(u.user_id)),
            enums::InputPeer::Chat(c) => Some(Peer::Chat(c.chat_id)),
            enums::InputPeer::Channel(c) => Some(Peer::Channel(c.channel_id)),
            _ => None,
        };
        let of_user = |input: &enums::InputUser| match input {
            enums::InputUser::User(u) => Some(Peer::User(u.user_id)),
            enums::InputUser::FromMessage(u) => Some(Peer::User(u.user_id)),
            _ => None,
        };
        let of_channel = |input: &enums::InputChannel| match input {
            enums::InputChannel::Channel(c) => Some(Peer::Channel(c.channel_id)),
            _ => None,
        };
        match self {
            Self::SendMessage(r) => (of_peer(&r.peer), None),
            Self::SendMedia(r) => (of_peer(&r.peer), None),
            Self::SetTyping(r) => (of_peer(&r.peer), None),
            Self::GetHistory(r) => (of_peer(&r.peer), None),
            Self::ReadHistory(r) => (of_peer(&r.peer), None),
            Self::Search(r) => (of_peer(&r.peer), None),
            Self::GetFullUser(r) => (of_user(&r.id), None),
            Self::GetParticipant(r) => (of_peer(&r.participant), None),
            Self::GetParticipants(r) => (of_channel(&r.channel), None),
            Self::GetFullChannel(r) => (of_channel(&r.channel), None),
            Self::InviteToChannel(r) => (r.users.first().and_then(of_user), None),
            Self::AddChatUser(r) => (of_user(&r.user_id), None),
            Self::ResolveUsername(r) => (None, Some(&r.username)),
            Self::ResolvePhone(r) => (None, Some(&r.phone)),
            _ => (None, None),
        }
    }

    /// Writes into a ledger's entry what the call is about, before anything is decided.
    pub fn describe(&self, entry: &mut Entry, own: i64) {
        let (peer, query) = self.about();
        let peer = self.send_key(own).map(|(peer, _)| peer).or(peer);
        entry.peer = peer.map(|p| p.to_string());
        entry.query = query.map(str::to_owned);
        let (random_id, text, entities, reply_to) = match self {
            Self::SendMessage(r) => {
                entry.no_webpage = r.no_webpage.then_some(true);
                (r.random_id, &r.message, &r.entities, &r.reply_to)
            }
            Self::SendMedia(r) => (r.random_id, &r.message, &r.entities, &r.reply_to),
            _ => return,
        };
        entry.random_id = Some(random_id);
        entry.text = Some(text.clone());
        entry.entities = Some(entities.as_ref().map_or(0, Vec::len));
        if let Some(enums::InputReplyTo::Message(reply)) = reply_to {
            entry.reply_to = Some(reply.reply_to_msg_id);
        }
    }

    /// The conversation and `random_id` of a send.
    pub fn send_key(&self, own: i64) -> Option<(Peer, i64)> {
        let (peer, random_id) = match self {
            Self::SendMessage(r) => (&r.peer, r.random_id),
            Self::SendMedia(r) => (&r.peer, r.random_id),
            _ => return None,
        };
        let peer = match peer {
            enums::InputPeer::PeerSelf => Peer::User(own),
            _ => self.about().0?,
        };
        Some((peer, random_id))
    }
}

impl World {
    /// The effect of the first fault rule that fires for this call.
    pub(super) fn fault_for(
        &mut self,
        account: usize,
        method: &str,
        request: Option<&Request>,
    ) -> Option<Effect> {
        if self.faults.is_empty() {
            return None;
        }
        let name = self
            .accounts
            .get(account)
            .map(|a| a.name.clone())
            .unwrap_or_default();
        let mut rules = std::mem::take(&mut self.faults);
        let mut effect = None;
        for armed in &mut rules {
            if armed.rule.fits_method(method)
                && armed
                    .rule
                    .account
                    .as_deref()
                    .is_none_or(|wanted| wanted == name)
                && armed
                    .rule
                    .person
                    .as_ref()
                    .is_none_or(|person| request.is_some_and(|r| self.is_about(r, person)))
                && armed.fires()
            {
                effect = Some(armed.rule.effect.clone());
                break;
            }
        }
        // Rules that were added meanwhile (there are none: the world is locked) would be kept.
        rules.append(&mut self.faults);
        self.faults = rules;
        effect
    }

    /// Adds a fault rule, behind the others.
    pub fn add_fault(&mut self, rule: super::faults::FaultRule) {
        self.faults.push(ArmedRule::new(rule));
    }

    /// Removes all fault rules.
    pub fn clear_faults(&mut self) {
        self.faults.clear();
    }

    fn is_about(&self, request: &Request, person: &Ref) -> bool {
        let (peer, query) = request.about();
        let same_query = query.is_some_and(|q| {
            let (q, wanted) = (q.trim_start_matches(['@', '+']), person.to_string());
            q.eq_ignore_ascii_case(wanted.trim_start_matches(['@', '+']))
        });
        let target = match person {
            Ref::Id(id) => Some(*id),
            Ref::Name(name) => self
                .find_user(person)
                .and_then(|at| self.users.get(at))
                .map(|u| u.id)
                .or_else(|| self.named(name).map(Peer::id)),
        };
        same_query
            || (peer.is_some() && peer.map(Peer::id) == target)
            || (query.is_some_and(|q| self.named(q).map(Peer::id) == target) && target.is_some())
    }
}

impl Call<'_> {
    /// Performs a call.
    pub fn perform(&mut self, request: Result<Request, Fail>) -> Answer {
        let request = request?;
        let authorized = self
            .world
            .accounts
            .get(self.account)
            .is_some_and(|a| a.authorized);
        if !authorized && !request.before_login() {
            return Err("AUTH_KEY_UNREGISTERED".into());
        }
        request.answer(self)
    }

    pub(super) fn own(&self) -> usize {
        self.world.self_user(self.account)
    }

    pub(super) fn hash_fits(&self, peer: Peer, hash: i64) -> bool {
        self.world.access_hash(self.account, peer) == hash
    }

    /// Whether a message with this id in this conversation was written by this user.
    fn wrote(&self, input: &enums::InputPeer, msg_id: i32, user_id: i64) -> bool {
        let Ok(peer) = self.peer(input) else {
            return false;
        };
        let msg = match peer {
            Peer::Channel(_) => self
                .world
                .group_index(peer)
                .and_then(|at| self.world.groups.get(at))
                .and_then(|g| g.message(msg_id)),
            _ => self
                .world
                .accounts
                .get(self.account)
                .and_then(|a| a.message(msg_id))
                .filter(|m| m.peer == peer),
        };
        msg.is_some_and(|m| m.from == Some(user_id))
    }

    /// The peer that is meant, if this account may address it so.
    pub(super) fn peer(&self, input: &enums::InputPeer) -> Result<Peer, Fail> {
        use enums::InputPeer as I;
        match input {
            I::Empty | I::ChannelFromMessage(_) => Err("PEER_ID_INVALID".into()),
            I::PeerSelf => Ok(Peer::User(self.world.self_id(self.account))),
            I::User(u) => {
                let peer = Peer::User(u.user_id);
                let known =
                    self.world.user(u.user_id).is_some() && self.hash_fits(peer, u.access_hash);
                if known {
                    Ok(peer)
                } else {
                    Err("PEER_ID_INVALID".into())
                }
            }
            I::UserFromMessage(u) => {
                if self.wrote(&u.peer, u.msg_id, u.user_id) {
                    Ok(Peer::User(u.user_id))
                } else {
                    Err("PEER_ID_INVALID".into())
                }
            }
            I::Chat(c) => {
                let peer = Peer::Chat(c.chat_id);
                let own = self.own();
                let at = self
                    .world
                    .group_index(peer)
                    .and_then(|at| self.world.groups.get(at));
                if at.is_some_and(|g| g.is_member(own)) {
                    Ok(peer)
                } else {
                    Err("PEER_ID_INVALID".into())
                }
            }
            I::Channel(c) => self
                .channel_by(c.channel_id, c.access_hash)
                .map(|_| Peer::Channel(c.channel_id)),
        }
    }

    fn channel_by(&self, id: i64, hash: i64) -> Result<usize, Fail> {
        let peer = Peer::Channel(id);
        let at = self
            .world
            .group_index(peer)
            .filter(|_| self.hash_fits(peer, hash))
            .ok_or("CHANNEL_INVALID")?;
        let group = self.world.groups.get(at).ok_or("CHANNEL_INVALID")?;
        if group.username.is_none() && !group.is_member(self.own()) {
            return Err("CHANNEL_PRIVATE".into());
        }
        Ok(at)
    }

    /// The index of the supergroup or channel that is meant.
    pub(super) fn channel(&self, input: &enums::InputChannel) -> Result<usize, Fail> {
        match input {
            enums::InputChannel::Channel(c) => self.channel_by(c.channel_id, c.access_hash),
            enums::InputChannel::Empty | enums::InputChannel::FromMessage(_) => {
                Err("CHANNEL_INVALID".into())
            }
        }
    }

    /// The index of the basic group that is meant.
    pub(super) fn basic_group(&self, id: i64) -> Result<usize, Fail> {
        let at = self
            .world
            .group_index(Peer::Chat(id))
            .ok_or("CHAT_ID_INVALID")?;
        let member = self
            .world
            .groups
            .get(at)
            .is_some_and(|g| g.kind == GroupKind::Basic && g.is_member(self.own()));
        if member {
            Ok(at)
        } else {
            Err("CHAT_ID_INVALID".into())
        }
    }

    /// The index of the user that is meant.
    pub(super) fn user(&self, input: &enums::InputUser) -> Result<usize, Fail> {
        use enums::InputUser as I;
        let (id, ok) = match input {
            I::Empty => return Err("USER_ID_INVALID".into()),
            I::UserSelf => return Ok(self.own()),
            I::User(u) => (
                u.user_id,
                self.hash_fits(Peer::User(u.user_id), u.access_hash),
            ),
            I::FromMessage(u) => (u.user_id, self.wrote(&u.peer, u.msg_id, u.user_id)),
        };
        self.world
            .user_index(id)
            .filter(|_| ok)
            .ok_or_else(|| "USER_ID_INVALID".into())
    }

    /// Writes the peer into the ledger's entry.
    pub(super) fn about(&mut self, peer: Peer) {
        self.entry.peer = Some(peer.to_string());
    }

    pub(super) fn user_id(&self, at: usize) -> i64 {
        self.world.users.get(at).map_or(0, |u| u.id)
    }

    /// `FLOOD_WAIT_n` when a window is full; otherwise the call counts.
    pub(super) fn patience(
        now: i64,
        window: &mut std::collections::VecDeque<i64>,
        rate: Option<super::spec::RateSpec>,
    ) -> Result<(), Fail> {
        let Some(rate) = rate else { return Ok(()) };
        while window.front().is_some_and(|at| *at <= now - rate.per.ms()) {
            window.pop_front();
        }
        if window.len() >= rate.count {
            let until = window
                .front()
                .map_or(rate.per.ms(), |at| at + rate.per.ms() - now);
            return Err(Fail::new(format!("FLOOD_WAIT_{}", whole_seconds(until))));
        }
        window.push_back(now);
        Ok(())
    }
}

/// Milliseconds to wait as whole seconds, rounded up, at least one.
pub(super) fn whole_seconds(ms: i64) -> i64 {
    ms.saturating_add(999).div_euclid(1000).max(1)
}

/// `true` as an answer.
pub(super) fn yes() -> Answer {
    Ok(true.to_bytes())
}

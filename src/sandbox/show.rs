//! The world as one account sees it: Telegram's types, with that account's access hashes.

use std::collections::BTreeSet;

use grammers_tl_types::{enums, types};

use super::blank;
use super::spec::{GroupKind, LastSeen};
use super::world::{Change, Dialog, Group, Msg, Peer, Pushed, User, World, secs};

/// The users and places that an answer mentions; it must bring them along.
#[derive(Debug, Default)]
pub(super) struct Mentioned {
    users: BTreeSet<usize>,
    groups: BTreeSet<usize>,
}

impl Mentioned {
    pub fn user(&mut self, at: usize) {
        self.users.insert(at);
    }

    pub fn group(&mut self, at: usize) {
        self.groups.insert(at);
    }

    pub fn peer(&mut self, world: &World, peer: Peer) {
        match peer {
            Peer::User(id) => self.users.extend(world.user_index(id)),
            Peer::Chat(_) | Peer::Channel(_) => self.groups.extend(world.group_index(peer)),
        }
    }

    pub fn message(&mut self, world: &World, msg: &Msg) {
        self.peer(world, msg.peer);
        self.users
            .extend(msg.from.and_then(|id| world.user_index(id)));
    }

    pub fn users(&self, world: &World, account: usize) -> Vec<enums::User> {
        self.users
            .iter()
            .filter_map(|at| world.show_user(account, *at))
            .collect()
    }

    pub fn min_users(&self, world: &World, account: usize) -> Vec<enums::User> {
        self.users
            .iter()
            .filter_map(|at| world.show_min_user(account, *at))
            .collect()
    }

    pub fn chats(&self, world: &World, account: usize) -> Vec<enums::Chat> {
        self.groups
            .iter()
            .filter_map(|at| world.show_chat(account, *at))
            .collect()
    }
}

/// A peer as Telegram writes it.
pub(super) fn peer(peer: Peer) -> enums::Peer {
    match peer {
        Peer::User(user_id) => types::PeerUser { user_id }.into(),
        Peer::Chat(chat_id) => types::PeerChat { chat_id }.into(),
        Peer::Channel(channel_id) => types::PeerChannel { channel_id }.into(),
    }
}

/// All rights of an admin.
pub(super) fn admin_rights() -> enums::ChatAdminRights {
    types::ChatAdminRights {
        change_info: true,
        post_messages: true,
        edit_messages: true,
        delete_messages: true,
        ban_users: true,
        invite_users: true,
        pin_messages: true,
        other: true,
        ..blank::chat_admin_rights()
    }
    .into()
}

impl World {
    /// A user as an account sees him: the phone only of contacts, the hash that account's own.
    pub(super) fn show_user(&self, account: usize, at: usize) -> Option<enums::User> {
        let user = self.users.get(at)?;
        let owner = self.accounts.get(account)?;
        let own = owner.user == at;
        let contact = owner.contacts.contains(&at);
        let hash = self.access_hash(account, Peer::User(user.id));
        if user.deleted {
            return Some(
                types::User {
                    deleted: true,
                    id: user.id,
                    access_hash: Some(hash),
                    ..blank::user()
                }
                .into(),
            );
        }
        Some(
            types::User {
                is_self: own,
                contact,
                mutual_contact: contact && !user.not_mutual,
                bot: user.bot,
                premium: user.premium,
                contact_require_premium: user.premium_required,
                id: user.id,
                access_hash: Some(hash),
                first_name: Some(user.first_name.clone()),
                last_name: user.last_name.clone(),
                username: user.username.clone(),
                phone: user
                    .phone
                    .as_deref()
                    .filter(|_| own || contact)
                    .map(super::world::digits),
                status: show_status(user),
                bot_info_version: user.bot.then_some(1),
                send_paid_messages_stars: user.charges,
                ..blank::user()
            }
            .into(),
        )
    }

    /// A place as an account sees it; a private one that it is not in is forbidden.
    pub(super) fn show_chat(&self, account: usize, at: usize) -> Option<enums::Chat> {
        let group = self.groups.get(at)?;
        let own = self.self_user(account);
        let (member, creator) = (group.is_member(own), group.creator == own);
        let rights = group.is_admin(own).then(admin_rights);
        let count = i32::try_from(group.members.len()).unwrap_or(i32::MAX);
        if group.kind == GroupKind::Basic {
            if !member {
                return Some(
                    types::ChatForbidden {
                        id: group.id,
                        title: group.title.clone(),
                    }
                    .into(),
                );
            }
            return Some(
                types::Chat {
                    creator,
                    id: group.id,
                    title: group.title.clone(),
                    participants_count: count,
                    date: group.date,
                    version: 1,
                    admin_rights: rights,
                    ..blank::chat()
                }
                .into(),
            );
        }
        let hash = self.access_hash(account, group.peer());
        if group.username.is_none() && !member {
            return Some(
                types::ChannelForbidden {
                    broadcast: group.kind == GroupKind::Channel,
                    megagroup: group.kind == GroupKind::Supergroup,
                    monoforum: false,
                    id: group.id,
                    access_hash: hash,
                    title: group.title.clone(),
                    until_date: None,
                }
                .into(),
            );
        }
        Some(
            types::Channel {
                creator,
                left: !member,
                broadcast: group.kind == GroupKind::Channel,
                megagroup: group.kind == GroupKind::Supergroup,
                has_link: group.linked.is_some(),
                slowmode_enabled: group.slowmode > 0,
                id: group.id,
                access_hash: Some(hash),
                title: group.title.clone(),
                username: group.username.clone(),
                date: group.date,
                admin_rights: rights,
                default_banned_rights: (group.kind == GroupKind::Supergroup).then(|| {
                    types::ChatBannedRights {
                        send_messages: group.write != super::spec::Writers::Everyone,
                        until_date: i32::MAX,
                        ..blank::chat_banned_rights()
                    }
                    .into()
                }),
                participants_count: Some(count),
                ..blank::channel()
            }
            .into(),
        )
    }

    /// A message as an account sees it.
    pub(super) fn show_message(&self, account: usize, msg: &Msg) -> enums::Message {
        let place = matches!(msg.peer, Peer::Channel(_));
        let group = self
            .group_index(msg.peer)
            .and_then(|at| self.groups.get(at));
        let post = place && group.is_some_and(|g| g.kind == GroupKind::Channel);
        let thread = group.filter(|_| post).and_then(|g| {
            let top = *g.threads.get(&msg.id)?;
            let discussion = self.groups.get(g.linked?)?;
            let replies = discussion
                .messages
                .iter()
                .filter(|m| m.top == Some(top))
                .count();
            Some(
                types::MessageReplies {
                    comments: true,
                    replies: i32::try_from(replies).unwrap_or(i32::MAX),
                    replies_pts: discussion.pts,
                    recent_repliers: None,
                    channel_id: Some(discussion.id),
                    max_id: None,
                    read_max_id: None,
                }
                .into(),
            )
        });
        types::Message {
            out: if place {
                msg.from == Some(self.self_id(account))
            } else {
                msg.out
            },
            post,
            id: msg.id,
            // Private chats and posts name no sender: the conversation and `out` say it.
            from_id: match (msg.from, group) {
                (Some(user_id), _) if !post && !matches!(msg.peer, Peer::User(_)) => {
                    Some(types::PeerUser { user_id }.into())
                }
                // An anonymous admin writes as the group itself, a forwarded post as its channel.
                (None, Some(group)) if place && !post => Some(peer(self.writes_as(group, msg.id))),
                _ => None,
            },
            peer_id: peer(msg.peer),
            reply_to: msg.reply_to.map(|id| {
                types::MessageReplyHeader {
                    reply_to_msg_id: Some(id),
                    reply_to_top_id: msg.top.filter(|top| *top != id),
                    ..blank::message_reply_header()
                }
                .into()
            }),
            date: msg.date,
            edit_date: msg.edited,
            message: msg.text.to_string(),
            media: msg.media.as_deref().cloned(),
            entities: (!msg.entities.is_empty()).then(|| msg.entities.clone()),
            views: post.then_some(1),
            forwards: post.then_some(0),
            replies: thread,
            ..blank::message()
        }
        .into()
    }

    /// In whose name a group's message without a writer stands.
    fn writes_as(&self, group: &Group, id: i32) -> Peer {
        group
            .linked
            .and_then(|at| self.groups.get(at))
            .filter(|channel| channel.threads.values().any(|top| *top == id))
            .unwrap_or(group)
            .peer()
    }

    /// A user in outlines, as histories of some places bring him along: the hash opens his photo only.
    pub(super) fn show_min_user(&self, account: usize, at: usize) -> Option<enums::User> {
        let shown = self.show_user(account, at)?;
        let enums::User::User(user) = shown else {
            return Some(shown);
        };
        if user.is_self || user.contact || user.deleted {
            return Some(user.into());
        }
        Some(
            types::User {
                min: true,
                access_hash: user.access_hash.map(|hash| hash ^ 0x00ff_00ff),
                phone: None,
                status: None,
                ..user
            }
            .into(),
        )
    }

    /// One conversation, for lists of dialogs.
    pub(super) fn show_dialog(
        &self,
        account: usize,
        of: Peer,
        dialog: Option<&Dialog>,
    ) -> enums::Dialog {
        let group = self.group_index(of).and_then(|at| self.groups.get(at));
        let (top, read_in, read_out, unread) = match (of, group) {
            (Peer::Channel(_), Some(group)) => {
                let top = group.messages.last().map_or(0, |m| m.id);
                let read = dialog.map_or(0, |d| d.read_inbox);
                (top, read, 0, (top - read).max(0))
            }
            _ => dialog.map_or((0, 0, 0, 0), |d| {
                let unread = d.ids.iter().rev().take_while(|id| **id > d.read_inbox);
                let unread = unread
                    .filter(|id| {
                        self.accounts
                            .get(account)
                            .and_then(|a| a.message(**id))
                            .is_some_and(|m| !m.out)
                    })
                    .count();
                (
                    d.ids.last().copied().unwrap_or(0),
                    d.read_inbox,
                    d.read_outbox,
                    i32::try_from(unread).unwrap_or(i32::MAX),
                )
            }),
        };
        types::Dialog {
            peer: peer(of),
            top_message: top,
            read_inbox_max_id: read_in,
            read_outbox_max_id: read_out,
            unread_count: unread,
            pts: group
                .filter(|_| matches!(of, Peer::Channel(_)))
                .map(|g| g.pts),
            ..blank::dialog()
        }
        .into()
    }

    /// One change of an account's box as an update; `None` for what no longer exists.
    pub(super) fn show_change(
        &self,
        account: usize,
        change: Change,
        pts: i32,
        mentioned: &mut Mentioned,
    ) -> Option<enums::Update> {
        Some(match change {
            Change::Message(id) => {
                let msg = self.accounts.get(account)?.message(id)?;
                mentioned.message(self, msg);
                types::UpdateNewMessage {
                    message: self.show_message(account, msg),
                    pts,
                    pts_count: 1,
                }
                .into()
            }
            Change::Edit(id) => {
                let msg = self.accounts.get(account)?.message(id)?;
                mentioned.message(self, msg);
                types::UpdateEditMessage {
                    message: self.show_message(account, msg),
                    pts,
                    pts_count: 1,
                }
                .into()
            }
            Change::ReadInbox(of, max_id) => {
                mentioned.peer(self, of);
                types::UpdateReadHistoryInbox {
                    folder_id: None,
                    peer: peer(of),
                    top_msg_id: None,
                    max_id,
                    still_unread_count: 0,
                    pts,
                    pts_count: 1,
                }
                .into()
            }
            Change::ReadOutbox(of, max_id) => {
                mentioned.peer(self, of);
                types::UpdateReadHistoryOutbox {
                    peer: peer(of),
                    max_id,
                    pts,
                    pts_count: 1,
                }
                .into()
            }
        })
    }

    /// What an account's connections are told, as `Updates`.
    pub(super) fn show_push(
        &self,
        account: usize,
        pushed: &Pushed,
        now: i64,
    ) -> Option<enums::Updates> {
        let mut mentioned = Mentioned::default();
        let update = match pushed {
            Pushed::Change(change, pts) => {
                self.show_change(account, *change, *pts, &mut mentioned)?
            }
            Pushed::Place(at, id) => self.show_place_message(account, *at, *id, &mut mentioned)?,
        };
        Some(self.updates(account, vec![update], &mentioned, now))
    }

    /// A message of a supergroup or channel as an update.
    pub(super) fn show_place_message(
        &self,
        account: usize,
        at: usize,
        id: i32,
        mentioned: &mut Mentioned,
    ) -> Option<enums::Update> {
        let msg = self.groups.get(at)?.message(id)?;
        mentioned.message(self, msg);
        Some(
            types::UpdateNewChannelMessage {
                message: self.show_message(account, msg),
                pts: msg.pts,
                pts_count: 1,
            }
            .into(),
        )
    }

    /// Updates with all that they mention. `seq` zero: unordered among other updates, `pts` orders them.
    pub(super) fn updates(
        &self,
        account: usize,
        updates: Vec<enums::Update>,
        mentioned: &Mentioned,
        now: i64,
    ) -> enums::Updates {
        types::Updates {
            updates,
            users: mentioned.users(self, account),
            chats: mentioned.chats(self, account),
            date: secs(now),
            seq: 0,
        }
        .into()
    }
}

impl Group {
    /// The message with this id.
    pub fn message(&self, id: i32) -> Option<&Msg> {
        usize::try_from(id)
            .ok()
            .and_then(|id| id.checked_sub(1))
            .and_then(|at| self.messages.get(at))
    }
}

/// A person's status; the world has no clock, so 'online' lasts for ever and 'ago' counts from the real time.
fn show_status(user: &User) -> Option<enums::UserStatus> {
    let now = secs(chrono::Utc::now().timestamp_millis());
    Some(match user.last_seen {
        _ if user.account.is_some() => types::UserStatusOnline {
            expires: now.saturating_add(300),
        }
        .into(),
        LastSeen::Online => types::UserStatusOnline {
            expires: now.saturating_add(300),
        }
        .into(),
        LastSeen::Recently => types::UserStatusRecently { by_me: false }.into(),
        LastSeen::LastWeek => types::UserStatusLastWeek { by_me: false }.into(),
        LastSeen::LastMonth => types::UserStatusLastMonth { by_me: false }.into(),
        LastSeen::Hidden => return None,
        LastSeen::Ago(span) => types::UserStatusOffline {
            was_online: now.saturating_sub(i32::try_from(span.secs()).unwrap_or(i32::MAX)),
        }
        .into(),
    })
}

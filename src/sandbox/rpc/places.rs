//! Groups and channels: members, joining, inviting.

use grammers_tl_types::{Serializable as _, enums, functions, types};

use super::super::blank;
use super::super::show::{Mentioned, admin_rights};
use super::super::spec::{GroupKind, Privacy};
use super::super::world::{Group, Peer, digest, secs};
use super::{Answer, Call, Fail};

/// Members in one page at most, <https://core.telegram.org/method/channels.getParticipants>.
const MAX_PAGE: usize = 200;

impl Call<'_> {
    fn group(&self, at: usize) -> Result<&Group, Fail> {
        self.world
            .groups
            .get(at)
            .ok_or_else(|| "CHANNEL_INVALID".into())
    }

    fn group_mut(&mut self, at: usize) -> Result<&mut Group, Fail> {
        self.world
            .groups
            .get_mut(at)
            .ok_or_else(|| "CHANNEL_INVALID".into())
    }

    fn participant(&self, group: &Group, user: usize) -> enums::ChannelParticipant {
        let own = self.own();
        let member = group
            .member_at
            .get(&user)
            .and_then(|at| group.members.get(*at));
        let (date, inviter) = member.map_or((group.date, 0), |m| (m.date, m.inviter));
        let user_id = self.user_id(user);
        if group.creator == user {
            return types::ChannelParticipantCreator {
                user_id,
                admin_rights: admin_rights(),
                rank: None,
            }
            .into();
        }
        if group.admins.contains(&user) {
            return types::ChannelParticipantAdmin {
                can_edit: group.creator == own,
                is_self: user == own,
                user_id,
                inviter_id: Some(inviter),
                promoted_by: self.user_id(group.creator),
                date,
                admin_rights: admin_rights(),
                rank: None,
            }
            .into();
        }
        if user == own {
            return types::ChannelParticipantSelf {
                via_request: false,
                user_id,
                inviter_id: inviter,
                date,
                subscription_until_date: None,
                rank: None,
            }
            .into();
        }
        types::ChannelParticipant {
            user_id,
            date,
            subscription_until_date: None,
            rank: None,
        }
        .into()
    }

    pub(super) fn get_participants(
        &mut self,
        request: functions::channels::GetParticipants,
    ) -> Answer {
        use enums::ChannelParticipantsFilter as F;
        let at = self.channel(&request.channel)?;
        let own = self.own();
        let peer = self.group(at)?.peer();
        self.about(peer);
        self.entry.offset = Some(i64::from(request.offset));
        let group = self.group(at)?;
        let admin = group.is_admin(own);
        let admins_only = matches!(request.filter, F::ChannelParticipantsAdmins);
        if group.kind == GroupKind::Channel && !admin {
            return Err("CHAT_ADMIN_REQUIRED".into());
        }
        let named = |user: usize, q: &str| {
            let q = q.to_lowercase();
            let wanted = q.trim_start_matches('@');
            self.world.users.get(user).is_some_and(|u| {
                u.first_name.to_lowercase().starts_with(wanted)
                    || u.last_name
                        .as_deref()
                        .is_some_and(|n| n.to_lowercase().starts_with(wanted))
                    || u.username
                        .as_deref()
                        .is_some_and(|n| n.to_lowercase().starts_with(wanted))
            })
        };
        let members = || group.members.iter().map(|m| m.user);
        let bot = |user: usize| self.world.users.get(user).is_some_and(|u| u.bot);
        let contact = |user: usize| {
            self.world
                .accounts
                .get(self.account)
                .is_some_and(|a| a.contacts.contains(&user))
        };
        let mut matching: Vec<usize> = match &request.filter {
            F::ChannelParticipantsRecent => members().collect(),
            F::ChannelParticipantsAdmins => members().filter(|u| group.is_admin(*u)).collect(),
            F::ChannelParticipantsBots => members().filter(|u| bot(*u)).collect(),
            F::ChannelParticipantsSearch(f) => members().filter(|u| named(*u, &f.q)).collect(),
            F::ChannelParticipantsContacts(f) => members()
                .filter(|u| contact(*u) && named(*u, &f.q))
                .collect(),
            F::ChannelParticipantsMentions(f) => members()
                .filter(|u| named(*u, f.q.as_deref().unwrap_or("")))
                .collect(),
            F::ChannelParticipantsKicked(_) | F::ChannelParticipantsBanned(_) if !admin => {
                return Err("CHAT_ADMIN_REQUIRED".into());
            }
            F::ChannelParticipantsKicked(f) => group
                .kicked
                .iter()
                .copied()
                .filter(|u| named(*u, &f.q))
                .collect(),
            F::ChannelParticipantsBanned(_) => Vec::new(),
        };
        if group.hidden_members && !admin && !admins_only {
            // Others are shown only those that are public anyway.
            matching.retain(|u| group.is_admin(*u) || *u == own);
        }
        let total =
            if matches!(request.filter, F::ChannelParticipantsRecent) && !group.hidden_members {
                group.members.len()
            } else {
                matching.len()
            };
        matching.truncate(group.listed);
        let offset = usize::try_from(request.offset).unwrap_or(0);
        let limit = usize::try_from(request.limit).unwrap_or(0).min(MAX_PAGE);
        let page: Vec<usize> = matching.into_iter().skip(offset).take(limit).collect();
        // As described at https://core.telegram.org/api/offsets#hash-generation.
        let hash = page.iter().fold(0u64, |hash, user| {
            let hash = hash ^ (hash >> 21);
            let hash = hash ^ (hash << 35);
            let hash = hash ^ (hash >> 4);
            hash.wrapping_add(u64::from_le_bytes(self.user_id(*user).to_le_bytes()))
        });
        if request.hash != 0
            && request.hash == i64::from_le_bytes(hash.to_le_bytes())
            && !page.is_empty()
        {
            self.entry.note = Some("not modified".into());
            return Ok(enums::channels::ChannelParticipants::NotModified.to_bytes());
        }
        let mut mentioned = Mentioned::default();
        mentioned.group(at);
        let mut participants = Vec::with_capacity(page.len());
        for user in &page {
            mentioned.user(*user);
            participants.push(self.participant(group, *user));
        }
        self.entry.count = Some(participants.len());
        Ok(enums::channels::ChannelParticipants::Participants(
            types::channels::ChannelParticipants {
                count: i32::try_from(total).unwrap_or(i32::MAX),
                participants,
                chats: mentioned.chats(self.world, self.account),
                users: mentioned.users(self.world, self.account),
            },
        )
        .to_bytes())
    }

    pub(super) fn get_participant(
        &mut self,
        request: functions::channels::GetParticipant,
    ) -> Answer {
        let at = self.channel(&request.channel)?;
        let Peer::User(id) = self.peer(&request.participant)? else {
            return Err("PARTICIPANT_ID_INVALID".into());
        };
        self.about(Peer::User(id));
        let user = self.world.user_index(id).ok_or("USER_ID_INVALID")?;
        let own = self.own();
        let group = self.group(at)?;
        if group.kind == GroupKind::Channel && !group.is_admin(own) && user != own {
            return Err("CHAT_ADMIN_REQUIRED".into());
        }
        if !group.is_member(user) {
            return Err("USER_NOT_PARTICIPANT".into());
        }
        let mut mentioned = Mentioned::default();
        mentioned.group(at);
        mentioned.user(user);
        Ok(
            enums::channels::ChannelParticipant::Participant(types::channels::ChannelParticipant {
                participant: self.participant(group, user),
                chats: mentioned.chats(self.world, self.account),
                users: mentioned.users(self.world, self.account),
            })
            .to_bytes(),
        )
    }

    pub(super) fn get_full_channel(
        &mut self,
        request: functions::channels::GetFullChannel,
    ) -> Answer {
        let at = self.channel(&request.channel)?;
        let own = self.own();
        let group = self.group(at)?;
        let peer = group.peer();
        let admin = group.is_admin(own);
        let mut mentioned = Mentioned::default();
        mentioned.group(at);
        if let Some(linked) = group.linked {
            mentioned.group(linked);
        }
        let count = |n: usize| Some(i32::try_from(n).unwrap_or(i32::MAX));
        let full = types::ChannelFull {
            can_view_participants: if group.kind == GroupKind::Channel {
                admin
            } else {
                admin || !group.hidden_members
            },
            participants_hidden: group.hidden_members,
            id: group.id,
            about: group.about.clone(),
            participants_count: count(group.members.len()),
            admins_count: count(group.admins.len() + 1).filter(|_| admin),
            kicked_count: count(group.kicked.len()).filter(|_| admin),
            banned_count: Some(0).filter(|_| admin),
            linked_chat_id: group
                .linked
                .and_then(|at| self.world.groups.get(at))
                .map(|g| g.id),
            slowmode_seconds: i32::try_from(group.slowmode).ok().filter(|s| *s > 0),
            pts: group.pts,
            ..blank::channel_full()
        };
        let answer = enums::messages::ChatFull::Full(types::messages::ChatFull {
            full_chat: full.into(),
            chats: mentioned.chats(self.world, self.account),
            users: Vec::new(),
        });
        self.about(peer);
        Ok(answer.to_bytes())
    }

    pub(super) fn get_channels(&mut self, request: functions::channels::GetChannels) -> Answer {
        let mut mentioned = Mentioned::default();
        for input in request.id.iter().take(MAX_PAGE) {
            mentioned.group(self.channel(input)?);
        }
        Ok(enums::messages::Chats::Chats(types::messages::Chats {
            chats: mentioned.chats(self.world, self.account),
        })
        .to_bytes())
    }

    pub(super) fn get_chats(&mut self, request: functions::messages::GetChats) -> Answer {
        let mut mentioned = Mentioned::default();
        for id in request.id.iter().take(MAX_PAGE) {
            mentioned.group(self.basic_group(*id)?);
        }
        Ok(enums::messages::Chats::Chats(types::messages::Chats {
            chats: mentioned.chats(self.world, self.account),
        })
        .to_bytes())
    }

    pub(super) fn get_full_chat(&mut self, request: functions::messages::GetFullChat) -> Answer {
        let at = self.basic_group(request.chat_id)?;
        self.about(Peer::Chat(request.chat_id));
        let group = self.group(at)?;
        let mut mentioned = Mentioned::default();
        mentioned.group(at);
        let participants: Vec<enums::ChatParticipant> = group
            .members
            .iter()
            .map(|m| {
                mentioned.user(m.user);
                let (user_id, inviter_id, date) = (self.user_id(m.user), m.inviter, m.date);
                if group.creator == m.user {
                    types::ChatParticipantCreator {
                        user_id,
                        rank: None,
                    }
                    .into()
                } else if group.admins.contains(&m.user) {
                    types::ChatParticipantAdmin {
                        user_id,
                        inviter_id,
                        date,
                        rank: None,
                    }
                    .into()
                } else {
                    types::ChatParticipant {
                        user_id,
                        inviter_id,
                        date,
                        rank: None,
                    }
                    .into()
                }
            })
            .collect();
        let count = participants.len();
        let full = types::ChatFull {
            id: group.id,
            about: group.about.clone(),
            participants: types::ChatParticipants {
                chat_id: group.id,
                participants,
                version: 1,
            }
            .into(),
            ..blank::chat_full()
        };
        let answer = enums::messages::ChatFull::Full(types::messages::ChatFull {
            full_chat: full.into(),
            chats: mentioned.chats(self.world, self.account),
            users: mentioned.users(self.world, self.account),
        });
        self.entry.count = Some(count);
        Ok(answer.to_bytes())
    }

    /// `Updates` that bring a place along.
    fn with_place(&self, at: usize) -> enums::Updates {
        let mut mentioned = Mentioned::default();
        mentioned.group(at);
        self.world
            .updates(self.account, Vec::new(), &mentioned, self.now)
    }

    fn join(&mut self, at: usize) -> Result<(), Fail> {
        let own = self.own();
        let (own_id, now) = (self.user_id(own), secs(self.now));
        let group = self.group_mut(at)?;
        if group.kicked.contains(&own) {
            return Err("USER_BANNED_IN_CHANNEL".into());
        }
        if group.members.len() >= group.member_limit {
            return Err("USERS_TOO_MUCH".into());
        }
        if group.join_requests && !group.is_member(own) {
            return Err("INVITE_REQUEST_SENT".into());
        }
        if !group.add(own, now, own_id) {
            return Err("USER_ALREADY_PARTICIPANT".into());
        }
        Ok(())
    }

    fn joined(&self, at: usize) -> Answer {
        Ok(
            enums::messages::ChatInviteJoinResult::Ok(types::messages::ChatInviteJoinResultOk {
                updates: self.with_place(at),
            })
            .to_bytes(),
        )
    }

    pub(super) fn join_channel(&mut self, request: functions::channels::JoinChannel) -> Answer {
        let at = self.channel(&request.channel)?;
        let peer = self.group(at)?.peer();
        self.about(peer);
        match self.join(at) {
            // Joining again is no error for public places.
            Err(fail) if fail.text == "USER_ALREADY_PARTICIPANT" => {}
            other => other?,
        }
        self.joined(at)
    }

    pub(super) fn leave_channel(&mut self, request: functions::channels::LeaveChannel) -> Answer {
        let at = self.channel(&request.channel)?;
        let own = self.own();
        let group = self.group_mut(at)?;
        let (peer, was) = (group.peer(), group.remove(own));
        self.about(peer);
        if !was {
            return Err("USER_NOT_PARTICIPANT".into());
        }
        Ok(self.with_place(at).to_bytes())
    }

    /// Why a user cannot be added to a place; `Ok(false)`: he is a missing invitee.
    fn may_add(&self, at: usize, user: usize) -> Result<bool, Fail> {
        let group = self.group(at)?;
        let person = self.world.users.get(user).ok_or("USER_ID_INVALID")?;
        if person.deleted {
            return Err("INPUT_USER_DEACTIVATED".into());
        }
        if person.bot {
            return Err("USER_BOT".into());
        }
        if group.is_member(user) {
            return Err("USER_ALREADY_PARTICIPANT".into());
        }
        if group.kicked.contains(&user) {
            return Err("USER_KICKED".into());
        }
        if person.blocked_by.contains(&self.account) {
            return Err("YOU_BLOCKED_USER".into());
        }
        if person.blocks.contains(&self.account) {
            return Err("USER_BLOCKED".into());
        }
        if person.too_many_chats {
            return Err("USER_CHANNELS_TOO_MUCH".into());
        }
        if person.not_mutual {
            return Err("USER_NOT_MUTUAL_CONTACT".into());
        }
        if group.members.len() >= group.member_limit {
            return Err("USERS_TOO_MUCH".into());
        }
        let contact = self
            .world
            .accounts
            .get(self.account)
            .is_some_and(|a| a.contacts.contains(&user));
        Ok(match person.invite_privacy {
            Privacy::Everyone => true,
            Privacy::Contacts => contact,
            Privacy::Nobody => false,
        })
    }

    fn add_users(
        &mut self,
        at: usize,
        users: &[usize],
    ) -> Result<Vec<enums::MissingInvitee>, Fail> {
        let (own, now) = (self.own(), secs(self.now));
        let group = self.group(at)?;
        if !group.is_member(own) && !group.is_admin(own) {
            return Err("CHAT_WRITE_FORBIDDEN".into());
        }
        // Members may add others to a group, only admins to a channel.
        if group.kind == GroupKind::Channel && !group.is_admin(own) {
            return Err("CHAT_ADMIN_REQUIRED".into());
        }
        let own_id = self.user_id(own);
        let (mut missing, mut added) = (Vec::new(), 0);
        for user in users {
            // With several users a problem of one leaves him out; alone it is the call's error.
            let may = match self.may_add(at, *user) {
                Err(fail) if users.len() == 1 => return Err(fail),
                other => other.unwrap_or(false),
            };
            let ghost = self.world.users.get(*user).is_some_and(|u| u.never_added);
            if may && ghost {
                self.entry.note = Some("not added, and nobody says so".into());
            } else if may {
                added += usize::from(self.group_mut(at)?.add(*user, now, own_id));
            } else {
                missing.push(
                    types::MissingInvitee {
                        premium_would_allow_invite: self
                            .world
                            .users
                            .get(*user)
                            .is_some_and(|u| u.premium_required),
                        premium_required_for_pm: false,
                        user_id: self.user_id(*user),
                    }
                    .into(),
                );
            }
        }
        self.entry.count = Some(added);
        if !missing.is_empty() {
            self.entry.note = Some(format!("{} missing", missing.len()));
        }
        Ok(missing)
    }

    pub(super) fn invite_to_channel(
        &mut self,
        request: functions::channels::InviteToChannel,
    ) -> Answer {
        let at = self.channel(&request.channel)?;
        let users = request
            .users
            .iter()
            .map(|u| self.user(u))
            .collect::<Result<Vec<usize>, Fail>>()?;
        self.entry.query = self.group(at)?.username.clone();
        match users.as_slice() {
            [] => return Err("USERS_TOO_FEW".into()),
            [one, ..] => {
                let id = self.user_id(*one);
                self.about(Peer::User(id));
            }
        }
        let missing_invitees = self.add_users(at, &users)?;
        Ok(
            enums::messages::InvitedUsers::Users(types::messages::InvitedUsers {
                updates: self.with_place(at),
                missing_invitees,
            })
            .to_bytes(),
        )
    }

    pub(super) fn add_chat_user(&mut self, request: functions::messages::AddChatUser) -> Answer {
        let at = self.basic_group(request.chat_id)?;
        let user = self.user(&request.user_id)?;
        let id = self.user_id(user);
        self.about(Peer::User(id));
        let missing_invitees = self.add_users(at, &[user])?;
        Ok(
            enums::messages::InvitedUsers::Users(types::messages::InvitedUsers {
                updates: self.with_place(at),
                missing_invitees,
            })
            .to_bytes(),
        )
    }

    /// The secret part of a place's invite link.
    fn invite_hash(&self, group: &Group) -> String {
        let bytes = digest(&self.world.secret, &[b"invite", &group.id.to_le_bytes()]);
        bytes.iter().take(8).map(|b| format!("{b:02x}")).collect()
    }

    pub(super) fn export_chat_invite(
        &mut self,
        request: functions::messages::ExportChatInvite,
    ) -> Answer {
        let peer = self.peer(&request.peer)?;
        self.about(peer);
        let own = self.own();
        let at = self.world.group_index(peer).ok_or("PEER_ID_INVALID")?;
        let group = self.group(at)?;
        if !group.is_admin(own) {
            return Err("CHAT_ADMIN_REQUIRED".into());
        }
        let link = format!("https://t.me/+{}", self.invite_hash(group));
        Ok(enums::ExportedChatInvite::from(types::ChatInviteExported {
            revoked: false,
            permanent: true,
            request_needed: false,
            link,
            admin_id: self.user_id(own),
            date: secs(self.now),
            start_date: None,
            expire_date: None,
            usage_limit: None,
            usage: None,
            requested: None,
            subscription_expired: None,
            title: request.title,
            subscription_pricing: None,
        })
        .to_bytes())
    }

    fn invited(&mut self, hash: &str) -> Result<usize, Fail> {
        self.entry.query = Some(hash.to_owned());
        if hash.is_empty() {
            return Err("INVITE_HASH_EMPTY".into());
        }
        let at = self
            .world
            .groups
            .iter()
            .position(|g| self.invite_hash(g) == hash)
            .ok_or("INVITE_HASH_INVALID")?;
        let peer = self.group(at)?.peer();
        self.about(peer);
        Ok(at)
    }

    pub(super) fn check_chat_invite(
        &mut self,
        request: functions::messages::CheckChatInvite,
    ) -> Answer {
        let at = self.invited(&request.hash)?;
        let own = self.own();
        let group = self.group(at)?;
        if group.is_member(own) {
            let chat = self
                .world
                .show_chat(self.account, at)
                .ok_or("INVITE_HASH_INVALID")?;
            return Ok(enums::ChatInvite::Already(types::ChatInviteAlready { chat }).to_bytes());
        }
        Ok(enums::ChatInvite::from(types::ChatInvite {
            channel: group.kind != GroupKind::Basic,
            broadcast: group.kind == GroupKind::Channel,
            public: group.username.is_some(),
            megagroup: group.kind == GroupKind::Supergroup,
            request_needed: false,
            verified: false,
            scam: false,
            fake: false,
            can_refulfill_subscription: false,
            title: group.title.clone(),
            about: Some(group.about.clone()).filter(|a| !a.is_empty()),
            photo: types::PhotoEmpty { id: 0 }.into(),
            participants_count: i32::try_from(group.members.len()).unwrap_or(i32::MAX),
            participants: None,
            color: 0,
            subscription_pricing: None,
            subscription_form_id: None,
            bot_verification: None,
        })
        .to_bytes())
    }

    pub(super) fn import_chat_invite(
        &mut self,
        request: functions::messages::ImportChatInvite,
    ) -> Answer {
        let at = self.invited(&request.hash)?;
        self.join(at)?;
        self.joined(at)
    }
}

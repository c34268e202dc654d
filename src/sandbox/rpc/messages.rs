//! Reading: dialogs, histories, searches, threads.

use grammers_tl_types::{Serializable as _, enums, functions, types};

use super::super::show::Mentioned;
use super::super::spec::GroupKind;
use super::super::world::{Change, Msg, Peer, Push, Pushed};
use super::{Answer, Call, Fail};

/// Messages or dialogs in one answer at most, <https://core.telegram.org/api/offsets>.
const MAX_PAGE: usize = 100;

/// Where a page lies.
#[derive(Debug, Default)]
struct Page {
    offset_id: i32,
    offset_date: i32,
    add_offset: i32,
    limit: i32,
    max_id: i32,
    min_id: i32,
}

impl Page {
    /// The page of messages (given oldest first), newest first, <https://core.telegram.org/api/offsets>.
    fn cut<'m>(&self, all: &[&'m Msg]) -> Vec<&'m Msg> {
        let newest_first = || all.iter().rev().copied();
        let start = if self.offset_id > 0 {
            newest_first()
                .take_while(|m| m.id >= self.offset_id)
                .count()
        } else if self.offset_date > 0 {
            newest_first()
                .take_while(|m| m.date >= self.offset_date)
                .count()
        } else {
            0
        };
        let start = i64::try_from(start)
            .unwrap_or(i64::MAX)
            .saturating_add(i64::from(self.add_offset));
        let limit = usize::try_from(self.limit).unwrap_or(0).min(MAX_PAGE);
        newest_first()
            .skip(usize::try_from(start).unwrap_or(0))
            .take(limit)
            .filter(|m| (self.max_id <= 0 || m.id < self.max_id) && m.id > self.min_id)
            .collect()
    }
}

impl Call<'_> {
    /// All messages of a conversation that this account may read, oldest first.
    fn conversation(&self, peer: Peer) -> Vec<&Msg> {
        match peer {
            Peer::Channel(_) => self
                .world
                .group_index(peer)
                .and_then(|at| self.world.groups.get(at))
                .map(|g| g.messages.iter().collect())
                .unwrap_or_default(),
            _ => {
                let Some(owner) = self.world.accounts.get(self.account) else {
                    return Vec::new();
                };
                let ids = owner.dialogs.get(&peer).map_or(&[][..], |d| &d.ids);
                ids.iter().filter_map(|id| owner.message(*id)).collect()
            }
        }
    }

    fn messages(
        &self,
        peer: Option<Peer>,
        page: &[&Msg],
        total: usize,
    ) -> enums::messages::Messages {
        let mut mentioned = Mentioned::default();
        if let Some(peer) = peer {
            mentioned.peer(self.world, peer);
        }
        let mut messages = Vec::with_capacity(page.len());
        for msg in page {
            mentioned.message(self.world, msg);
            messages.push(self.world.show_message(self.account, msg));
        }
        let min = peer
            .and_then(|p| self.world.group_index(p))
            .and_then(|at| self.world.groups.get(at))
            .is_some_and(|group| group.min_users);
        let users = match min {
            true => mentioned.min_users(self.world, self.account),
            false => mentioned.users(self.world, self.account),
        };
        let chats = mentioned.chats(self.world, self.account);
        let count = i32::try_from(total).unwrap_or(i32::MAX);
        let place = peer
            .filter(|p| matches!(p, Peer::Channel(_)))
            .and_then(|p| self.world.group_index(p));
        let topics = Vec::new();
        if let Some(group) = place.and_then(|at| self.world.groups.get(at)) {
            return enums::messages::Messages::ChannelMessages(types::messages::ChannelMessages {
                inexact: false,
                pts: group.pts,
                count,
                offset_id_offset: None,
                messages,
                topics,
                chats,
                users,
            });
        }
        if page.len() < total {
            return enums::messages::Messages::Slice(types::messages::MessagesSlice {
                inexact: false,
                count,
                next_rate: None,
                offset_id_offset: None,
                search_flood: None,
                messages,
                topics,
                chats,
                users,
            });
        }
        enums::messages::Messages::Messages(types::messages::Messages {
            messages,
            topics,
            chats,
            users,
        })
    }

    fn readable(&mut self, input: &enums::InputPeer) -> Result<Peer, Fail> {
        let peer = self.peer(input)?;
        self.about(peer);
        Ok(peer)
    }

    pub(super) fn get_history(&mut self, request: functions::messages::GetHistory) -> Answer {
        let peer = self.readable(&request.peer)?;
        self.entry.offset = Some(i64::from(request.offset_id));
        let page = Page {
            offset_id: request.offset_id,
            offset_date: request.offset_date,
            add_offset: request.add_offset,
            limit: request.limit,
            max_id: request.max_id,
            min_id: request.min_id,
        };
        let all = self.conversation(peer);
        let cut = page.cut(&all);
        let (answer, count) = (self.messages(Some(peer), &cut, all.len()), cut.len());
        self.entry.count = Some(count);
        Ok(answer.to_bytes())
    }

    pub(super) fn search(&mut self, request: functions::messages::Search) -> Answer {
        self.entry.query = Some(request.q.clone());
        let from = request
            .from_id
            .as_ref()
            .map(|from| self.peer(from))
            .transpose()?;
        let peer = match &request.peer {
            enums::InputPeer::Empty => None,
            input => Some(self.readable(input)?),
        };
        let page = Page {
            offset_id: request.offset_id,
            add_offset: request.add_offset,
            limit: request.limit,
            max_id: request.max_id,
            min_id: request.min_id,
            ..Page::default()
        };
        let wanted = request.q.to_lowercase();
        let all: Vec<&Msg> = match peer {
            Some(peer) => self.conversation(peer),
            None => self
                .world
                .accounts
                .get(self.account)
                .map(|a| a.messages.iter().collect())
                .unwrap_or_default(),
        };
        let found: Vec<&Msg> = all
            .into_iter()
            .filter(|m| {
                (wanted.is_empty() || m.text.to_lowercase().contains(&wanted))
                    && from.is_none_or(|from| m.from == Some(from.id()))
                    && (request.min_date == 0 || m.date > request.min_date)
                    && (request.max_date == 0 || m.date < request.max_date)
                    && request.top_msg_id.is_none_or(|top| m.top == Some(top))
            })
            .collect();
        let cut = page.cut(&found);
        let (answer, count) = (self.messages(peer, &cut, found.len()), cut.len());
        self.entry.count = Some(count);
        Ok(answer.to_bytes())
    }

    pub(super) fn get_replies(&mut self, request: functions::messages::GetReplies) -> Answer {
        let peer = self.readable(&request.peer)?;
        self.entry.offset = Some(i64::from(request.offset_id));
        let at = self.world.group_index(peer).ok_or("PEER_ID_INVALID")?;
        let group = self.world.groups.get(at).ok_or("PEER_ID_INVALID")?;
        // Comments under a channel's post stand in its discussion group.
        let (place, top) = if group.kind == GroupKind::Channel {
            let top = *group.threads.get(&request.msg_id).ok_or("MSG_ID_INVALID")?;
            let discussion = group
                .linked
                .and_then(|at| self.world.groups.get(at))
                .ok_or("MSG_ID_INVALID")?;
            (discussion.peer(), top)
        } else {
            group.message(request.msg_id).ok_or("MSG_ID_INVALID")?;
            (peer, request.msg_id)
        };
        let page = Page {
            offset_id: request.offset_id,
            offset_date: request.offset_date,
            add_offset: request.add_offset,
            limit: request.limit,
            max_id: request.max_id,
            min_id: request.min_id,
        };
        let all: Vec<&Msg> = self
            .conversation(place)
            .into_iter()
            .filter(|m| m.top == Some(top))
            .collect();
        let cut = page.cut(&all);
        let (answer, count) = (self.messages(Some(place), &cut, all.len()), cut.len());
        self.entry.count = Some(count);
        Ok(answer.to_bytes())
    }

    pub(super) fn get_messages(&mut self, request: functions::messages::GetMessages) -> Answer {
        let Some(owner) = self.world.accounts.get(self.account) else {
            return Err("AUTH_KEY_UNREGISTERED".into());
        };
        let found: Vec<&Msg> = request
            .id
            .iter()
            .take(MAX_PAGE)
            .filter_map(|id| owner.message(input_id(id)?))
            .collect();
        let (answer, count) = (self.messages(None, &found, found.len()), found.len());
        self.entry.count = Some(count);
        Ok(answer.to_bytes())
    }

    pub(super) fn get_channel_messages(
        &mut self,
        request: functions::channels::GetMessages,
    ) -> Answer {
        let at = self.channel(&request.channel)?;
        let group = self.world.groups.get(at).ok_or("CHANNEL_INVALID")?;
        let found: Vec<&Msg> = request
            .id
            .iter()
            .take(MAX_PAGE)
            .filter_map(|id| group.message(input_id(id)?))
            .collect();
        let (answer, count, peer) = (
            self.messages(Some(group.peer()), &found, found.len()),
            found.len(),
            group.peer(),
        );
        self.about(peer);
        self.entry.count = Some(count);
        Ok(answer.to_bytes())
    }

    /// All conversations of the account with their newest message, newest first.
    fn dialogs(&self) -> Vec<(Peer, i32, i32)> {
        let own = self.own();
        let Some(owner) = self.world.accounts.get(self.account) else {
            return Vec::new();
        };
        let chats = owner
            .dialogs
            .iter()
            .filter(|(peer, _)| !matches!(peer, Peer::Channel(_)))
            .filter_map(|(peer, d)| {
                let last = d.ids.last().and_then(|id| owner.message(*id));
                last.map(|m| (*peer, m.id, m.date))
            });
        let places = self
            .world
            .groups
            .iter()
            .filter(|g| g.kind != GroupKind::Basic && g.is_member(own))
            .map(|g| {
                let last = g.messages.last();
                (
                    g.peer(),
                    last.map_or(0, |m| m.id),
                    last.map_or(g.date, |m| m.date),
                )
            });
        let mut all: Vec<(Peer, i32, i32)> = chats.chain(places).collect();
        all.sort_by_key(|(peer, id, date)| std::cmp::Reverse((*date, *id, *peer)));
        all
    }

    fn show_dialogs(
        &self,
        page: &[(Peer, i32, i32)],
    ) -> (
        Vec<enums::Dialog>,
        Vec<enums::Message>,
        Vec<enums::Chat>,
        Vec<enums::User>,
    ) {
        let mut mentioned = Mentioned::default();
        let (mut dialogs, mut messages) = (
            Vec::with_capacity(page.len()),
            Vec::with_capacity(page.len()),
        );
        let Some(owner) = self.world.accounts.get(self.account) else {
            return Default::default();
        };
        for (peer, top, _) in page {
            mentioned.peer(self.world, *peer);
            dialogs.push(
                self.world
                    .show_dialog(self.account, *peer, owner.dialogs.get(peer)),
            );
            let msg = match peer {
                Peer::Channel(_) => self
                    .world
                    .group_index(*peer)
                    .and_then(|at| self.world.groups.get(at))
                    .and_then(|g| g.message(*top)),
                _ => owner.message(*top),
            };
            if let Some(msg) = msg {
                mentioned.message(self.world, msg);
                messages.push(self.world.show_message(self.account, msg));
            }
        }
        (
            dialogs,
            messages,
            mentioned.chats(self.world, self.account),
            mentioned.users(self.world, self.account),
        )
    }

    pub(super) fn get_dialogs(&mut self, request: functions::messages::GetDialogs) -> Answer {
        let all = self.dialogs();
        let limit = usize::try_from(request.limit).unwrap_or(0).min(MAX_PAGE);
        let offset_peer = self.peer(&request.offset_peer).ok();
        let start = if request.offset_date == 0 && request.offset_id == 0 {
            0
        } else {
            match offset_peer.and_then(|peer| all.iter().position(|d| d.0 == peer)) {
                Some(at) => at + 1,
                None => all
                    .iter()
                    .take_while(|d| d.2 >= request.offset_date)
                    .count(),
            }
        };
        let page: Vec<_> = all.iter().skip(start).take(limit).copied().collect();
        self.entry.offset = Some(i64::try_from(start).unwrap_or(i64::MAX));
        self.entry.count = Some(page.len());
        let (dialogs, messages, chats, users) = self.show_dialogs(&page);
        let answer = if page.len() == all.len() {
            enums::messages::Dialogs::Dialogs(types::messages::Dialogs {
                dialogs,
                messages,
                chats,
                users,
            })
        } else {
            enums::messages::Dialogs::Slice(types::messages::DialogsSlice {
                count: i32::try_from(all.len()).unwrap_or(i32::MAX),
                dialogs,
                messages,
                chats,
                users,
            })
        };
        Ok(answer.to_bytes())
    }

    pub(super) fn get_peer_dialogs(
        &mut self,
        request: functions::messages::GetPeerDialogs,
    ) -> Answer {
        let mut page = Vec::with_capacity(request.peers.len());
        for wanted in request.peers.iter().take(MAX_PAGE) {
            let enums::InputDialogPeer::Peer(wanted) = wanted else {
                continue;
            };
            let peer = self.readable(&wanted.peer)?;
            let top = self
                .conversation(peer)
                .last()
                .map_or((0, 0), |m| (m.id, m.date));
            page.push((peer, top.0, top.1));
        }
        self.entry.count = Some(page.len());
        let (dialogs, messages, chats, users) = self.show_dialogs(&page);
        Ok(
            enums::messages::PeerDialogs::Dialogs(types::messages::PeerDialogs {
                dialogs,
                messages,
                chats,
                users,
                state: self.account_state(),
            })
            .to_bytes(),
        )
    }

    pub(super) fn read_history(&mut self, request: functions::messages::ReadHistory) -> Answer {
        let peer = self.readable(&request.peer)?;
        let (account, connection) = (self.account, self.connection);
        let Some(owner) = self.world.accounts.get_mut(account) else {
            return Err("AUTH_KEY_UNREGISTERED".into());
        };
        let mut pts_count = 0;
        if let Some(dialog) = owner.dialogs.get_mut(&peer) {
            let top = dialog.ids.last().copied().unwrap_or(0);
            let max = if request.max_id <= 0 {
                top
            } else {
                request.max_id.min(top)
            };
            if max > dialog.read_inbox {
                dialog.read_inbox = max;
                let change = Change::ReadInbox(peer, max);
                owner.changes.push(change);
                pts_count = 1;
                let pts = owner.pts();
                self.world.pushes.push(Push {
                    account,
                    except: Some(connection),
                    what: Pushed::Change(change, pts),
                });
            }
        }
        let pts = self.world.accounts.get(account).map_or(1, |a| a.pts());
        Ok(
            enums::messages::AffectedMessages::Messages(types::messages::AffectedMessages {
                pts,
                pts_count,
            })
            .to_bytes(),
        )
    }

    pub(super) fn read_channel_history(
        &mut self,
        request: functions::channels::ReadHistory,
    ) -> Answer {
        let at = self.channel(&request.channel)?;
        let Some(peer) = self.world.groups.get(at).map(|g| g.peer()) else {
            return Err("CHANNEL_INVALID".into());
        };
        self.about(peer);
        if let Some(owner) = self.world.accounts.get_mut(self.account) {
            let dialog = owner.dialogs.entry(peer).or_default();
            dialog.read_inbox = dialog.read_inbox.max(request.max_id);
        }
        super::yes()
    }
}

fn input_id(input: &enums::InputMessage) -> Option<i32> {
    match input {
        enums::InputMessage::Id(message) => Some(message.id),
        _ => None,
    }
}

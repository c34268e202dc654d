//! What an account wrote and got since a moment, out of its dialogs: after a restore nothing else knows.

use std::time::Duration;

use grammers_tl_types::{enums, functions};

use crate::model::reaction::{Reaction, react};
use crate::model::{PersonId, Timestamp};

use super::decode;
use super::encode::user_peer;
use super::grammers::Client;
use super::{CallError, HistoryMessage};

/// Dialogs on a page (core.telegram.org/method/messages.getDialogs: at most 100).
const PAGE: i32 = 100;
/// Pages that are read: more dialogs in a backup's age than an account writes in years.
const MAX_PAGES: usize = 1_000;
/// Messages of a dialog on a page, and how many pages are read of one.
const HISTORY: i32 = 100;
const MAX_HISTORY_PAGES: usize = 20;
/// The longest wait that is waited out here; a longer one ends the reading, and it begins anew after it.
const PATIENCE: u32 = 300;

/// A dialog with a person that has messages since a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct WrittenSince {
    /// With whom.
    pub person: PersonId,
    /// The messages since then, newest first.
    pub messages: Vec<HistoryMessage>,
}

impl Client {
    /// Every private dialog with messages at or after `since`.
    pub(super) async fn dialogs_since(
        &self,
        since: Timestamp,
    ) -> Result<Vec<WrittenSince>, CallError> {
        let mut found: Vec<WrittenSince> = Vec::new();
        let mut request = functions::messages::GetDialogs {
            exclude_pinned: false,
            folder_id: None,
            offset_date: 0,
            offset_id: 0,
            offset_peer: enums::InputPeer::Empty,
            limit: PAGE,
            hash: 0,
        };
        for _ in 0..MAX_PAGES {
            let answer = self.patient(&request).await?;
            let (dialogs, messages, chats, users, whole) = match answer {
                enums::messages::Dialogs::Dialogs(all) => {
                    (all.dialogs, all.messages, all.chats, all.users, true)
                }
                enums::messages::Dialogs::Slice(part) => {
                    (part.dialogs, part.messages, part.chats, part.users, false)
                }
                enums::messages::Dialogs::NotModified(_) => break,
            };
            let mut oldest: Option<(i32, i32, enums::Peer)> = None;
            for dialog in &dialogs {
                let enums::Dialog::Dialog(dialog) = dialog else {
                    continue;
                };
                let date = messages.iter().find_map(|message| match message {
                    enums::Message::Message(one)
                        if one.id == dialog.top_message && one.peer_id == dialog.peer =>
                    {
                        Some(one.date)
                    }
                    enums::Message::Service(one)
                        if one.id == dialog.top_message && one.peer_id == dialog.peer =>
                    {
                        Some(one.date)
                    }
                    _ => None,
                });
                let Some(date) = date else { continue };
                if !dialog.pinned {
                    oldest = Some((date, dialog.top_message, dialog.peer.clone()));
                }
                let enums::Peer::User(peer) = &dialog.peer else {
                    continue;
                };
                if i64::from(date) < since.seconds() {
                    continue;
                }
                let hash = users.iter().find_map(|user| match user {
                    enums::User::User(user) if user.id == peer.user_id && !user.is_self => {
                        Some(user.access_hash.unwrap_or(0))
                    }
                    _ => None,
                });
                let person = PersonId(peer.user_id);
                if let Some(hash) = hash
                    && !found.iter().any(|known| known.person == person)
                {
                    let messages = self.history_since(person, hash, since).await?;
                    if !messages.is_empty() {
                        found.push(WrittenSince { person, messages });
                    }
                }
            }
            // Dialogs come by the date of their newest message, pinned ones first.
            let Some((date, id, peer)) = oldest else {
                break;
            };
            let again = (date, id) == (request.offset_date, request.offset_id);
            if whole || again || i64::from(date) < since.seconds() {
                break;
            }
            request.exclude_pinned = true;
            request.offset_date = date;
            request.offset_id = id;
            request.offset_peer =
                decode::input_peer(&peer, &chats, &users).unwrap_or(enums::InputPeer::Empty);
        }
        Ok(found)
    }

    async fn history_since(
        &self,
        person: PersonId,
        access_hash: i64,
        since: Timestamp,
    ) -> Result<Vec<HistoryMessage>, CallError> {
        let mut all: Vec<HistoryMessage> = Vec::new();
        let mut offset_id = 0;
        for _ in 0..MAX_HISTORY_PAGES {
            let answer = self
                .patient(&functions::messages::GetHistory {
                    peer: user_peer(person, access_hash),
                    offset_id,
                    offset_date: 0,
                    add_offset: 0,
                    limit: HISTORY,
                    max_id: 0,
                    min_id: 0,
                    hash: 0,
                })
                .await?;
            let page = decode::history(answer)?;
            let read = page.len();
            let last = page.last().map(|message| (message.id, message.date));
            all.extend(
                page.into_iter()
                    .filter(|message| message.date.seconds() >= since.seconds()),
            );
            match last {
                Some((id, date))
                    if date >= since
                        && id != offset_id
                        && read >= usize::try_from(HISTORY).unwrap_or(usize::MAX) =>
                {
                    offset_id = id;
                }
                _ => break,
            }
        }
        Ok(all)
    }

    /// A call that waits where Telegram asks for it: nothing is sent by these.
    async fn patient<R: grammers_tl_types::RemoteCall>(
        &self,
        request: &R,
    ) -> Result<R::Return, CallError> {
        loop {
            match self.invoke(request).await {
                Err(CallError::Rpc(fault)) => match react(&fault) {
                    Reaction::Wait { seconds } if seconds <= PATIENCE => {
                        tokio::time::sleep(Duration::from_secs(u64::from(seconds) + 1)).await;
                    }
                    _ => return Err(CallError::Rpc(fault)),
                },
                other => return other,
            }
        }
    }
}

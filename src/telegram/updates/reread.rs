//! Dialogs read again: where Telegram no longer tells what came in the meantime (`differenceTooLong`), the dialogs do.

use grammers_tl_types::{enums, functions, types};

use super::super::CallError;
use super::super::connect::Connector;
use super::super::decode;
use super::invoke;

/// Dialogs of a page (core.telegram.org/method/messages.getDialogs: at most 100).
const DIALOGS: i32 = 100;
/// Pages of dialogs at most: 5,000 people who wrote while nobody was there.
const PAGES: usize = 50;
/// Messages of a page (core.telegram.org/method/messages.getHistory: at most 100).
const MESSAGES: i32 = 100;
/// Pages of one dialog at most: 2,000 messages of one person.
const DEEP: usize = 20;

/// What was said in private since a moment (Unix seconds), by message id, with whom it was.
pub(super) struct Said {
    pub(super) messages: Vec<enums::Message>,
    pub(super) users: Vec<enums::User>,
}

/// Reads it.
pub(super) async fn since(connector: &Connector, since: i32) -> Result<Said, CallError> {
    let mut said = Said {
        messages: Vec::new(),
        users: Vec::new(),
    };
    let mut request = functions::messages::GetDialogs {
        exclude_pinned: false,
        folder_id: None,
        offset_date: 0,
        offset_id: 0,
        offset_peer: enums::InputPeer::Empty,
        limit: DIALOGS,
        hash: 0,
    };
    for _ in 0..PAGES {
        let page = decode::dialogs(invoke(connector, &request).await?)?;
        for (id, hash) in &people_of(&page) {
            let newest = tops_of(&page)
                .iter()
                .filter(|(peer, _)| peer == id)
                .map(|(_, date)| *date)
                .max();
            // Of a dialog without a readable last message nobody can say when it was.
            if newest.is_none_or(|date| date >= since) {
                dialog(connector, *id, *hash, since, &mut said).await?;
            }
        }
        match page.next {
            // Pinned dialogs come first, whenever they are of; after the first page all are by date.
            Some(next)
                if next.date >= since
                    && (next.date, next.id) != (request.offset_date, request.offset_id) =>
            {
                request.exclude_pinned = true;
                request.offset_date = next.date;
                request.offset_id = next.id;
                request.offset_peer = next.peer;
            }
            _ => break,
        }
    }
    said.messages.sort_by_key(enums::Message::id);
    Ok(said)
}

async fn dialog(
    connector: &Connector,
    user_id: i64,
    access_hash: i64,
    since: i32,
    said: &mut Said,
) -> Result<(), CallError> {
    let mut offset_id = 0;
    for _ in 0..DEEP {
        let request = functions::messages::GetHistory {
            peer: types::InputPeerUser {
                user_id,
                access_hash,
            }
            .into(),
            offset_id,
            offset_date: 0,
            add_offset: 0,
            limit: MESSAGES,
            max_id: 0,
            min_id: 0,
            hash: 0,
        };
        let (messages, users) = decode::messages(invoke(connector, &request).await?)?;
        said.users.extend(users);
        let oldest = messages.iter().map(enums::Message::id).min();
        let count = messages.len();
        let before = said.messages.len();
        said.messages
            .extend(messages.into_iter().filter(|message| match message {
                enums::Message::Message(message) => message.date >= since,
                _ => false,
            }));
        match oldest {
            Some(oldest)
                if oldest != offset_id
                    && count >= usize::try_from(MESSAGES).unwrap_or(usize::MAX)
                    && said.messages.len() > before =>
            {
                offset_id = oldest;
            }
            _ => break,
        }
    }
    Ok(())
}

/// People with whom there are dialogs, and the account's access hash of each; bots and oneself are left out.
fn people_of(page: &decode::DialogsPage) -> Vec<(i64, i64)> {
    let (dialogs, users) = (&page.dialogs, &page.users);
    dialogs
        .iter()
        .filter_map(|dialog| {
            let enums::Dialog::Dialog(dialog) = dialog else {
                return None;
            };
            let enums::Peer::User(peer) = &dialog.peer else {
                return None;
            };
            users.iter().find_map(|user| match user {
                enums::User::User(user)
                    if user.id == peer.user_id && !user.bot && !user.is_self && !user.min =>
                {
                    Some((user.id, user.access_hash?))
                }
                _ => None,
            })
        })
        .collect()
}

/// When the last message of each was (Unix seconds).
fn tops_of(page: &decode::DialogsPage) -> Vec<(i64, i32)> {
    page.messages
        .iter()
        .filter_map(|message| match message {
            enums::Message::Message(one) => Some((&one.peer_id, one.date)),
            enums::Message::Service(one) => Some((&one.peer_id, one.date)),
            enums::Message::Empty(_) => None,
        })
        .filter_map(|(peer, date)| match peer {
            enums::Peer::User(peer) => Some((peer.user_id, date)),
            _ => None,
        })
        .collect()
}

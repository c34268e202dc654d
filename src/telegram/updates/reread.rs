//! Dialogs read again: where Telegram no longer tells what came in the meantime (`differenceTooLong`), the dialogs do.

use std::collections::HashMap;

use grammers_tl_types::{enums, functions, types};
use tokio::sync::mpsc;

use super::super::connect::Connector;
use super::super::decode;
use super::super::{CallError, Received};
use super::{invoke, is_passing};
use crate::model::AccountName;

/// Dialogs of a page (core.telegram.org/method/messages.getDialogs: at most 100).
const DIALOGS: i32 = 100;
/// Pages of dialogs at most: 5,000 people who wrote while nobody was there.
const PAGES: usize = 50;
/// Messages of a page (core.telegram.org/method/messages.getHistory: at most 100).
const MESSAGES: i32 = 100;
/// Pages of one dialog at most: 2,000 messages of one person.
const DEEP: usize = 20;

/// What was said in private since a moment (Unix seconds), by message id, with whom it was.
#[derive(Default)]
pub(super) struct Said {
    pub(super) messages: Vec<enums::Message>,
    pub(super) users: Vec<enums::User>,
    /// Since when; what is older was changed since.
    pub(super) since: i32,
}

/// When a message was written.
pub(super) fn date_of(message: &enums::Message) -> Option<i32> {
    match message {
        enums::Message::Message(one) => Some(one.date),
        enums::Message::Service(one) => Some(one.date),
        enums::Message::Empty(_) => None,
    }
}

/// When it was written or changed last.
fn touched(message: &enums::Message) -> Option<i32> {
    let changed = match message {
        enums::Message::Message(one) => one.edit_date,
        _ => None,
    };
    date_of(message).max(changed)
}

/// The last word of each private dialog, from before a moment (Unix seconds).
pub(super) async fn last_words(connector: &Connector, before: i32) -> Result<Said, CallError> {
    let mut said = Said {
        messages: Vec::new(),
        users: Vec::new(),
        since: 0,
    };
    let mut request = first_page();
    for _ in 0..PAGES {
        let page = decode::dialogs(invoke(connector, &request).await?)?;
        let people = people_of(&page);
        let is_theirs = |message: &enums::Message| match message {
            enums::Message::Message(one) => match &one.peer_id {
                enums::Peer::User(peer) => people.iter().any(|(id, _)| *id == peer.user_id),
                _ => false,
            },
            _ => false,
        };
        let last = page.messages.iter().filter(|message| {
            is_theirs(message) && date_of(message).is_some_and(|date| date < before)
        });
        said.messages.extend(last.cloned());
        said.users.extend(page.users.iter().cloned());
        if !turn(&mut request, page.next) {
            break;
        }
    }
    Ok(said)
}

fn first_page() -> functions::messages::GetDialogs {
    functions::messages::GetDialogs {
        exclude_pinned: false,
        folder_id: None,
        offset_date: 0,
        offset_id: 0,
        offset_peer: enums::InputPeer::Empty,
        limit: DIALOGS,
        hash: 0,
    }
}

/// Asks for the page that begins there; false where it is the same one.
fn turn(request: &mut functions::messages::GetDialogs, next: Option<decode::AfterDialog>) -> bool {
    // Pinned dialogs come first, whenever they are of; after the first page all are by date.
    match next {
        Some(next) if (next.date, next.id) != (request.offset_date, request.offset_id) => {
            request.exclude_pinned = true;
            request.offset_date = next.date;
            request.offset_id = next.id;
            request.offset_peer = next.peer;
            true
        }
        _ => false,
    }
}

/// Dialogs of which each but the first brings a sign of life.
const SIGN_EVERY: usize = 20;

/// A reading of all dialogs since a moment, which goes on where Telegram broke it off.
#[derive(Default)]
pub(super) struct Reread {
    said: Said,
    /// Dialogs that were read, and when the last word in each was.
    read: HashMap<i64, Option<i32>>,
}

impl Reread {
    pub(super) fn new(since: i32) -> Reread {
        let said = Said {
            since,
            ..Said::default()
        };
        Reread {
            said,
            ..Reread::default()
        }
    }

    /// Whether it is of that moment.
    pub(super) fn is_since(&self, since: i32) -> bool {
        self.said.since == since
    }

    /// What was read.
    pub(super) fn said(&self) -> &Said {
        &self.said
    }

    /// Reads all dialogs that were not read, or in which something was said after they were. `out` hears again and again
    /// that it goes on.
    pub(super) async fn go_on(
        &mut self,
        connector: &Connector,
        account: &AccountName,
        out: &mpsc::Sender<Received>,
    ) -> Result<(), CallError> {
        let since = self.said.since;
        let mut request = first_page();
        for _ in 0..PAGES {
            // Nobody may listen any more: the task finds that out itself.
            let _ = out.send(Received::Behind(None)).await;
            let page = decode::dialogs(invoke(connector, &request).await?)?;
            for (number, (id, hash)) in people_of(&page).iter().enumerate() {
                let newest = tops_of(&page)
                    .iter()
                    .filter(|(peer, _)| peer == id)
                    .map(|(_, date)| *date)
                    .max();
                // Of a dialog without a readable last message nobody can say when it was.
                let is_old = newest.is_some_and(|date| date < since);
                let is_read = newest.is_some() && self.read.get(id) == Some(&newest);
                if is_old || is_read {
                    continue;
                }
                if number % SIGN_EVERY == SIGN_EVERY - 1 {
                    let _ = out.send(Received::Behind(None)).await;
                }
                match dialog(connector, *id, *hash, since, &mut self.said).await {
                    Ok(()) => {}
                    Err(error) if is_passing(&error) => return Err(error),
                    // The others may hold a refusal.
                    Err(error) => tracing::warn!(
                        %account, person = id, %error,
                        "what was said in this dialog while nobody was there cannot be read"
                    ),
                }
                self.read.insert(*id, newest);
            }
            let next = page.next.filter(|next| next.date >= since);
            if !turn(&mut request, next) {
                break;
            }
        }
        self.said.messages.sort_by_key(enums::Message::id);
        self.said.messages.dedup_by_key(|message| message.id());
        Ok(())
    }
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
        said.messages.extend(messages.into_iter().filter(|message| {
            matches!(message, enums::Message::Message(_))
                && touched(message).is_some_and(|date| date >= since)
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
            enums::Message::Message(one) => Some((&one.peer_id, touched(message)?)),
            enums::Message::Service(one) => Some((&one.peer_id, one.date)),
            enums::Message::Empty(_) => None,
        })
        .filter_map(|(peer, date)| match peer {
            enums::Peer::User(peer) => Some((peer.user_id, date)),
            _ => None,
        })
        .collect()
}

//! Telegram's answers as our values. Pure, and never a panic: an answer comes from outside.

use grammers_tl_types::{Deserializable, Identifiable, enums, functions, types};

use crate::model::{
    AccountName, Contact, InDoubtWhy, LastSeen, Person, PersonId, Reference, Timestamp,
};

use super::{CallError, Delivered, HistoryMessage, Me, MembersPage, Met, Place, PlaceKind};

/// How much older than its answer a message must be to count as sent by an earlier attempt, in seconds. Both moments
/// are Telegram's; a message and the answer to it are dated within one second of each other.
const OLDER_THAN_ITS_ANSWER: i32 = 2;

fn unexpected(what: &str) -> CallError {
    CallError::Unexpected(what.to_owned())
}

/// An absent or empty text is nothing.
fn text(value: &Option<String>) -> Option<String> {
    value.as_ref().filter(|value| !value.is_empty()).cloned()
}

fn first_username(
    username: &Option<String>,
    usernames: &Option<Vec<enums::Username>>,
) -> Option<String> {
    text(username).or_else(|| {
        usernames
            .iter()
            .flatten()
            .find_map(|enums::Username::Username(one)| {
                (one.active && !one.username.is_empty()).then(|| one.username.clone())
            })
    })
}

/// A person as `account` met him; nothing for an id without a person (`userEmpty`).
pub(super) fn met(user: &enums::User, account: &AccountName, now: Timestamp) -> Option<Met> {
    let enums::User::User(user) = user else {
        return None;
    };
    let mut person = Person {
        contact: Contact {
            id: Some(user.id),
            first_name: text(&user.first_name),
            last_name: text(&user.last_name),
            username: first_username(&user.username, &user.usernames),
            phone: text(&user.phone),
            premium: Some(user.premium),
            ..Contact::default()
        },
        bot: user.bot,
        deleted: user.deleted,
        last_seen: last_seen(user.status.as_ref()),
        read_at: now,
        ..Person::default()
    };
    // A `min` user's hash only opens his photo (core.telegram.org/api/min).
    if let Some(hash) = user.access_hash.filter(|_| !user.min) {
        person.hashes.insert(account.clone(), hash);
    }
    let min = user.min || user.access_hash.is_none();
    Some(Met { person, min })
}

/// A person of whom nothing but his address is known.
pub(super) fn only_address(user: i64, hash: i64, account: &AccountName, now: Timestamp) -> Met {
    let mut person = Person {
        contact: Contact {
            id: Some(user),
            ..Contact::default()
        },
        read_at: now,
        ..Person::default()
    };
    person.hashes.insert(account.clone(), hash);
    Met { person, min: false }
}

/// The conversation that a message stands in.
pub(super) fn peer_of(message: &enums::Message) -> Option<&enums::Peer> {
    match message {
        enums::Message::Empty(one) => one.peer_id.as_ref(),
        enums::Message::Message(one) => Some(&one.peer_id),
        enums::Message::Service(one) => Some(&one.peer_id),
    }
}

fn last_seen(status: Option<&enums::UserStatus>) -> LastSeen {
    use enums::UserStatus;
    match status {
        None | Some(UserStatus::Empty) => LastSeen::Hidden,
        Some(UserStatus::Online(online)) => {
            LastSeen::At(Timestamp::from_seconds(online.expires.into()))
        }
        Some(UserStatus::Offline(offline)) => {
            LastSeen::At(Timestamp::from_seconds(offline.was_online.into()))
        }
        Some(UserStatus::Recently(_)) => LastSeen::Recently,
        Some(UserStatus::LastWeek(_)) => LastSeen::LastWeek,
        Some(UserStatus::LastMonth(_)) => LastSeen::LastMonth,
    }
}

/// The account itself, among the users of an answer.
pub(super) fn me(users: &[enums::User]) -> Result<Me, CallError> {
    users
        .iter()
        .find_map(|user| match user {
            // Asked for `inputUserSelf`, whoever comes alone is meant even where the flag is missing.
            enums::User::User(user) if user.is_self || users.len() == 1 => Some(Me {
                id: PersonId(user.id),
                first_name: text(&user.first_name),
                username: first_username(&user.username, &user.usernames),
                phone: text(&user.phone),
                premium: user.premium,
            }),
            _ => None,
        })
        .ok_or_else(|| unexpected("asked who the account is, it named nobody"))
}

/// A group or channel; nothing where the account sees only that it is forbidden, empty or given up.
pub(super) fn place(chat: &enums::Chat) -> Option<Place> {
    match chat {
        // A group that became a supergroup stands deactivated beside it.
        enums::Chat::Chat(chat) if chat.deactivated => None,
        enums::Chat::Chat(chat) => Some(Place {
            id: chat.id,
            access_hash: 0,
            kind: PlaceKind::BasicGroup,
            title: chat.title.clone(),
            username: None,
            admin: chat.creator || chat.admin_rights.is_some(),
            members: Some(chat.participants_count),
        }),
        enums::Chat::Channel(channel) => Some(Place {
            id: channel.id,
            access_hash: channel.access_hash.unwrap_or(0),
            kind: match channel.broadcast {
                true => PlaceKind::Channel,
                false => PlaceKind::Supergroup,
            },
            title: channel.title.clone(),
            username: first_username(&channel.username, &channel.usernames),
            admin: channel.creator || channel.admin_rights.is_some(),
            members: channel.participants_count,
        }),
        _ => None,
    }
}

/// The place of that id among the chats of an answer.
pub(super) fn place_among(chats: &[enums::Chat], id: i64) -> Option<Place> {
    chats.iter().filter_map(place).find(|place| place.id == id)
}

/// The person that a username or phone belongs to. The id decides, never the name.
pub(super) fn resolved_person(
    answer: enums::contacts::ResolvedPeer,
    reference: &Reference,
    account: &AccountName,
    now: Timestamp,
) -> Result<Met, CallError> {
    let enums::contacts::ResolvedPeer::Peer(answer) = answer;
    let enums::Peer::User(peer) = answer.peer else {
        return Err(CallError::NotAPerson(reference.clone()));
    };
    answer
        .users
        .iter()
        .find(|user| user.id() == peer.user_id)
        .and_then(|user| met(user, account, now))
        .ok_or_else(|| unexpected(&format!("it knows {reference}, but does not say who it is")))
}

/// The place that a username belongs to. The id decides, never the name.
pub(super) fn resolved_place(
    answer: enums::contacts::ResolvedPeer,
    reference: &Reference,
) -> Result<Place, CallError> {
    let enums::contacts::ResolvedPeer::Peer(answer) = answer;
    let id = match answer.peer {
        enums::Peer::User(_) => return Err(CallError::NotAPlace(reference.clone())),
        enums::Peer::Chat(peer) => peer.chat_id,
        enums::Peer::Channel(peer) => peer.channel_id,
    };
    place_among(&answer.chats, id).ok_or_else(|| {
        unexpected(&format!(
            "it knows {reference}, but does not say which place it is"
        ))
    })
}

/// How many were listed before, and where the next page begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Offset(pub i32);

impl Offset {
    pub(super) fn parse(cursor: &super::Cursor) -> Result<Offset, CallError> {
        match cursor.0.parse::<i32>() {
            Ok(offset) if offset >= 0 => Ok(Offset(offset)),
            _ => Err(unexpected("the place in a list of members is no number")),
        }
    }
}

/// About how many members of a group, and of a channel, Telegram lists at most, to admins too.
const MOST_OF_GROUP: i32 = 10_000;
/// See [`MOST_OF_GROUP`].
const MOST_OF_CHANNEL: i32 = 200;

/// A page of a supergroup's or channel's members.
pub(super) fn channel_members(
    answer: enums::channels::ChannelParticipants,
    kind: PlaceKind,
    offset: Offset,
    account: &AccountName,
    now: Timestamp,
) -> Result<MembersPage, CallError> {
    use enums::ChannelParticipant as P;
    let enums::channels::ChannelParticipants::Participants(answer) = answer else {
        return Err(unexpected(
            "it says that the members did not change, which was not asked",
        ));
    };
    let listed: Vec<(i64, bool)> = answer
        .participants
        .iter()
        .filter_map(|participant| match participant {
            P::Participant(one) => Some((one.user_id, false)),
            P::ParticipantSelf(one) => Some((one.user_id, false)),
            P::Creator(one) => Some((one.user_id, true)),
            P::Admin(one) => Some((one.user_id, true)),
            // Who was banned or has left is no member.
            _ => None,
        })
        .collect();
    let next = offset
        .0
        .saturating_add(i32::try_from(answer.participants.len()).unwrap_or(i32::MAX));
    let last = answer.participants.is_empty() || next >= answer.count;
    Ok(MembersPage {
        people: people(&listed, &answer.users, account, now),
        next: (!last).then(|| super::Cursor(next.to_string())),
        total: Some(answer.count),
        partial: (last && next < answer.count).then(|| {
            let why = match kind {
                PlaceKind::Channel if next >= MOST_OF_CHANNEL => {
                    "of a channel it lists about 200 at most"
                }
                _ if next >= MOST_OF_GROUP => "of a group it lists about 10,000 at most",
                _ => "it hides the others",
            };
            format!("Telegram listed {next} of {} members: {why}", answer.count)
        }),
    })
}

/// Whether a place says that it shows its members to admins only.
pub(super) fn hides_members(answer: &enums::messages::ChatFull) -> bool {
    let enums::messages::ChatFull::Full(answer) = answer;
    matches!(&answer.full_chat, enums::ChatFull::ChannelFull(full) if full.participants_hidden)
}

/// Why the members that were listed are not everybody, where the place itself tells of clearly more. The two counts
/// are taken at different moments, so that a tenth of difference says nothing.
pub(super) fn fewer_than_told(place: &Place, listed: Option<i32>) -> Option<String> {
    let (told, listed) = (place.members?, listed?);
    (i64::from(listed) * 10 < i64::from(told) * 9)
        .then(|| format!("Telegram listed {listed} of {told} members: it hides the others"))
}

/// The basic group of that id, where the account is in it.
pub(super) fn member_of(answer: &enums::messages::Chats, id: i64) -> Option<Place> {
    let chats = match answer {
        enums::messages::Chats::Chats(answer) => &answer.chats,
        enums::messages::Chats::Slice(answer) => &answer.chats,
    };
    chats.iter().find_map(|chat| match chat {
        enums::Chat::Chat(one) if one.id == id && !one.left => place(chat),
        _ => None,
    })
}

/// All members of a basic group.
pub(super) fn group_members(
    answer: enums::messages::ChatFull,
    account: &AccountName,
    now: Timestamp,
) -> Result<MembersPage, CallError> {
    use enums::ChatParticipant as P;
    let enums::messages::ChatFull::Full(answer) = answer;
    let enums::ChatFull::Full(full) = answer.full_chat else {
        return Err(unexpected("asked for a group, it describes something else"));
    };
    let participants = match full.participants {
        enums::ChatParticipants::Participants(list) => list.participants,
        enums::ChatParticipants::Forbidden(_) => {
            return Ok(MembersPage {
                people: Vec::new(),
                next: None,
                total: None,
                partial: Some("Telegram lists this group's members to its members only".to_owned()),
            });
        }
    };
    let listed: Vec<(i64, bool)> = participants
        .iter()
        .map(|participant| match participant {
            P::Participant(one) => (one.user_id, false),
            P::Creator(one) => (one.user_id, true),
            P::Admin(one) => (one.user_id, true),
        })
        .collect();
    Ok(MembersPage {
        people: people(&listed, &answer.users, account, now),
        next: None,
        total: i32::try_from(listed.len()).ok(),
        partial: None,
    })
}

fn people(
    listed: &[(i64, bool)],
    users: &[enums::User],
    account: &AccountName,
    now: Timestamp,
) -> Vec<Met> {
    let by_id: std::collections::HashMap<i64, &enums::User> =
        users.iter().map(|user| (user.id(), user)).collect();
    listed
        .iter()
        .filter_map(|(id, admin)| {
            let mut met = met(by_id.get(id)?, account, now)?;
            met.person.admin = *admin;
            Some(met)
        })
        .collect()
}

/// The messages of a dialog, and who is named in them.
pub(super) fn messages(
    answer: enums::messages::Messages,
) -> Result<(Vec<enums::Message>, Vec<enums::User>), CallError> {
    use enums::messages::Messages;
    match answer {
        Messages::Messages(answer) => Ok((answer.messages, answer.users)),
        Messages::Slice(answer) => Ok((answer.messages, answer.users)),
        Messages::ChannelMessages(answer) => Ok((answer.messages, answer.users)),
        Messages::NotModified(_) => Err(unexpected(
            "it says that the dialog did not change, which was not asked",
        )),
    }
}

/// The messages of a dialog. What is no ordinary message (somebody joined, pinned, …) is left out.
pub(super) fn history(answer: enums::messages::Messages) -> Result<Vec<HistoryMessage>, CallError> {
    let (messages, _) = messages(answer)?;
    Ok(messages
        .into_iter()
        .filter_map(|message| match message {
            enums::Message::Message(message) => Some(HistoryMessage {
                id: message.id,
                date: Timestamp::from_seconds(message.date.into()),
                out: message.out,
                text: message.message,
            }),
            _ => None,
        })
        .collect())
}

/// What became of a send. `request` is what was sent, `answer` the result's bytes.
///
/// A first `sendMessage` is answered by `updateShortSentMessage`, a repeat by `Updates` that name the earlier
/// message under its `random_id`. Where no message is named, the send is in doubt: the same bytes ask again.
pub(super) fn delivered(request: &[u8], answer: &[u8]) -> Result<Delivered, CallError> {
    let in_doubt = |detail: String| CallError::InDoubt {
        why: InDoubtWhy::Server,
        detail,
    };
    if let Some(short) = short_sent(answer) {
        return Ok(Delivered {
            message_id: short.id,
            date: Timestamp::from_seconds(short.date.into()),
            earlier: false,
        });
    }
    let updates = enums::Updates::from_bytes(answer)
        .map_err(|error| in_doubt(format!("the answer cannot be read ({error})")))?;
    let (updates, date) = match updates {
        enums::Updates::UpdateShortMessage(short) if short.out => {
            return Ok(Delivered {
                message_id: short.id,
                date: Timestamp::from_seconds(short.date.into()),
                earlier: false,
            });
        }
        enums::Updates::Updates(updates) => (updates.updates, updates.date),
        enums::Updates::Combined(updates) => (updates.updates, updates.date),
        enums::Updates::UpdateShort(short) => (vec![short.update], short.date),
        _ => return Err(in_doubt("the answer names no message".to_owned())),
    };
    let sent = sent_as(request);
    let random_id = sent.map(|(random_id, _)| random_id);
    // A text to a person is answered at length only when it is told again.
    let again = sent.is_some_and(|(_, is_text)| is_text);
    let named = updates.iter().find_map(|update| match update {
        enums::Update::MessageId(update) if Some(update.random_id) == random_id => Some(update.id),
        _ => None,
    });
    let message = updates.iter().find_map(|update| {
        let enums::Update::NewMessage(update) = update else {
            return None;
        };
        let enums::Message::Message(message) = &update.message else {
            return None;
        };
        (message.out && named.is_none_or(|id| id == message.id))
            .then_some((message.id, message.date))
    });
    match (named, message) {
        (None, None) => Err(in_doubt("the answer names no message".to_owned())),
        (named, Some((message_id, sent))) => Ok(Delivered {
            message_id,
            date: Timestamp::from_seconds(sent.into()),
            earlier: (again && named.is_some())
                || sent.saturating_add(OLDER_THAN_ITS_ANSWER) < date,
        }),
        // The message itself is told once, when it is new.
        (Some(message_id), None) => Ok(Delivered {
            message_id,
            date: Timestamp::from_seconds(date.into()),
            earlier: true,
        }),
    }
}

/// The short answer to a text that was accepted, which nearly all answers to sends are. Read by itself: updates of any kind
/// take a kilobyte.
pub(super) fn short_sent(answer: &[u8]) -> Option<types::UpdateShortSentMessage> {
    let (id, short) = answer.split_first_chunk()?;
    match u32::from_le_bytes(*id) {
        types::UpdateShortSentMessage::CONSTRUCTOR_ID => {
            types::UpdateShortSentMessage::from_bytes(short).ok()
        }
        _ => None,
    }
}

/// The `random_id` of a request that [`super::encode_send`] made, and whether it is a text without a file.
fn sent_as(request: &[u8]) -> Option<(i64, bool)> {
    let (name, rest) = request.split_first_chunk::<4>()?;
    match u32::from_le_bytes(*name) {
        functions::messages::SendMessage::CONSTRUCTOR_ID => {
            functions::messages::SendMessage::from_bytes(rest)
                .ok()
                .map(|request| (request.random_id, true))
        }
        functions::messages::SendMedia::CONSTRUCTOR_ID => {
            functions::messages::SendMedia::from_bytes(rest)
                .ok()
                .map(|request| (request.random_id, false))
        }
        _ => None,
    }
}

/// The media of a file that was uploaded, as it can stand in any message.
pub(super) fn uploaded_media(answer: enums::MessageMedia) -> Result<enums::InputMedia, CallError> {
    match answer {
        enums::MessageMedia::Photo(types::MessageMediaPhoto {
            photo: Some(enums::Photo::Photo(photo)),
            ..
        }) => Ok(types::InputMediaPhoto {
            spoiler: false,
            live_photo: false,
            id: types::InputPhoto {
                id: photo.id,
                access_hash: photo.access_hash,
                file_reference: photo.file_reference,
            }
            .into(),
            ttl_seconds: None,
            video: None,
        }
        .into()),
        enums::MessageMedia::Document(types::MessageMediaDocument {
            document: Some(enums::Document::Document(document)),
            ..
        }) => Ok(types::InputMediaDocument {
            spoiler: false,
            id: types::InputDocument {
                id: document.id,
                access_hash: document.access_hash,
                file_reference: document.file_reference,
            }
            .into(),
            video_cover: None,
            video_timestamp: None,
            ttl_seconds: None,
            query: None,
        }
        .into()),
        _ => Err(unexpected(
            "the uploaded file is neither a photo nor a document",
        )),
    }
}

/// A page of dialogs.
pub(super) struct DialogsPage {
    /// The dialogs, newest first, pinned ones before them.
    pub(super) dialogs: Vec<enums::Dialog>,
    /// Their newest messages.
    pub(super) messages: Vec<enums::Message>,
    /// The groups and channels on it.
    pub(super) chats: Vec<enums::Chat>,
    /// The people on it.
    pub(super) users: Vec<enums::User>,
    /// Where the next page begins; absent on the last one.
    pub(super) next: Option<AfterDialog>,
}

/// The last dialog of a page, as the next request names it (core.telegram.org/api/offsets).
pub(super) struct AfterDialog {
    pub(super) date: i32,
    pub(super) id: i32,
    pub(super) peer: enums::InputPeer,
}

/// Reads a page of dialogs.
pub(super) fn dialogs(answer: enums::messages::Dialogs) -> Result<DialogsPage, CallError> {
    use enums::messages::Dialogs;
    let (dialogs, messages, chats, users) = match answer {
        Dialogs::Dialogs(all) => {
            return Ok(DialogsPage {
                dialogs: all.dialogs,
                messages: all.messages,
                chats: all.chats,
                users: all.users,
                next: None,
            });
        }
        Dialogs::Slice(slice) => (slice.dialogs, slice.messages, slice.chats, slice.users),
        Dialogs::NotModified(_) => {
            return Err(unexpected(
                "it says that the dialogs did not change, which was not asked",
            ));
        }
    };
    let next = dialogs.iter().rev().find_map(|dialog| {
        let enums::Dialog::Dialog(dialog) = dialog else {
            return None;
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
        })?;
        Some(AfterDialog {
            date,
            id: dialog.top_message,
            peer: input_peer(&dialog.peer, &chats, &users)?,
        })
    });
    Ok(DialogsPage {
        dialogs,
        messages,
        chats,
        users,
        next,
    })
}

pub(super) fn input_peer(
    peer: &enums::Peer,
    chats: &[enums::Chat],
    users: &[enums::User],
) -> Option<enums::InputPeer> {
    match peer {
        enums::Peer::Chat(peer) => Some(
            types::InputPeerChat {
                chat_id: peer.chat_id,
            }
            .into(),
        ),
        enums::Peer::Channel(peer) => place_among(chats, peer.channel_id).map(|place| {
            types::InputPeerChannel {
                channel_id: place.id,
                access_hash: place.access_hash,
            }
            .into()
        }),
        enums::Peer::User(peer) => users.iter().find_map(|user| match user {
            enums::User::User(user) if user.id == peer.user_id => Some(
                types::InputPeerUser {
                    user_id: user.id,
                    access_hash: user.access_hash.unwrap_or(0),
                }
                .into(),
            ),
            _ => None,
        }),
    }
}

#[cfg(test)]
mod tests;

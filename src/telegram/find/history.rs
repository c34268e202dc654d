//! A page of messages: who wrote them and when.

use grammers_tl_types::{enums, types};

use super::super::CallError;
use crate::model::Timestamp;

/// A page of messages, of whatever shape the answer was.
pub(super) struct Messages {
    pub(super) messages: Vec<enums::Message>,
    pub(super) users: Vec<enums::User>,
    pub(super) chats: Vec<enums::Chat>,
    /// The answer says that there are no more.
    pub(super) whole: bool,
}

impl Messages {
    pub(super) fn of(answer: enums::messages::Messages) -> Result<Messages, CallError> {
        use enums::messages::Messages as M;
        let (messages, users, chats, whole) = match answer {
            M::Messages(all) => (all.messages, all.users, all.chats, true),
            M::Slice(some) => (some.messages, some.users, some.chats, false),
            M::ChannelMessages(some) => (some.messages, some.users, some.chats, false),
            M::NotModified(_) => {
                return Err(CallError::Unexpected(
                    "it says that the messages did not change, which was not asked".to_owned(),
                ));
            }
        };
        Ok(Messages {
            messages,
            users,
            chats,
            whole,
        })
    }

    /// Where the next page begins, unless this is the last one.
    pub(super) fn next(&self, offset: i32) -> Option<i32> {
        let oldest = self.messages.iter().map(id_of).min()?;
        let goes_on = oldest > 1 && (offset == 0 || oldest < offset);
        (goes_on && !self.whole).then_some(oldest)
    }
}

pub(super) fn id_of(message: &enums::Message) -> i32 {
    match message {
        enums::Message::Empty(one) => one.id,
        enums::Message::Message(one) => one.id,
        enums::Message::Service(one) => one.id,
    }
}

pub(super) fn date_of(message: &enums::Message) -> Option<i32> {
    match message {
        enums::Message::Empty(_) => None,
        enums::Message::Message(one) => Some(one.date),
        enums::Message::Service(one) => Some(one.date),
    }
}

/// Who wrote a message in a group. Nobody: a service message, a channel's post, an anonymous admin.
pub(super) fn author(message: &enums::Message) -> Option<(i64, &types::Message)> {
    match message {
        enums::Message::Message(one) => match &one.from_id {
            Some(enums::Peer::User(user)) => Some((user.user_id, one)),
            _ => None,
        },
        _ => None,
    }
}

pub(super) fn is_older(date: i32, since: Option<Timestamp>) -> bool {
    since.is_some_and(|since| Timestamp::from_seconds(date.into()) < since)
}

//! Where a look-up is, in a form that outlives a restart.

use grammers_tl_types::{enums, types};
use serde::{Deserialize, Serialize};

use super::super::decode::AfterDialog;
use super::super::encode::user_peer;
use super::super::{CallError, Cursor, Met, Place, PlaceKind};
use super::{Find, FoundPage};
use crate::model::PersonId;

/// A place as a peer, in a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum PeerRef {
    Chat(i64),
    Channel(i64, i64),
    User(i64, i64),
}

impl PeerRef {
    pub(super) fn of_place(place: &Place) -> PeerRef {
        match place.kind {
            PlaceKind::BasicGroup => PeerRef::Chat(place.id),
            PlaceKind::Supergroup | PlaceKind::Channel => {
                PeerRef::Channel(place.id, place.access_hash)
            }
        }
    }

    pub(super) fn of_input(peer: &enums::InputPeer) -> Option<PeerRef> {
        match peer {
            enums::InputPeer::Chat(chat) => Some(PeerRef::Chat(chat.chat_id)),
            enums::InputPeer::Channel(channel) => {
                Some(PeerRef::Channel(channel.channel_id, channel.access_hash))
            }
            enums::InputPeer::User(user) => Some(PeerRef::User(user.user_id, user.access_hash)),
            _ => None,
        }
    }

    pub(super) fn input(self) -> enums::InputPeer {
        match self {
            PeerRef::Chat(chat_id) => types::InputPeerChat { chat_id }.into(),
            PeerRef::Channel(channel_id, access_hash) => types::InputPeerChannel {
                channel_id,
                access_hash,
            }
            .into(),
            PeerRef::User(user_id, access_hash) => user_peer(PersonId(user_id), access_hash),
        }
    }
}

/// The last dialog of a page: date, message, peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct After(pub(super) i32, pub(super) i32, pub(super) PeerRef);

impl After {
    pub(super) fn of(after: &AfterDialog) -> Option<After> {
        PeerRef::of_input(&after.peer).map(|peer| After(after.date, after.id, peer))
    }
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Step {
    /// Find the place.
    Place,
    /// Members from here on.
    Members(i32),
    /// Messages older than this one.
    History(i32),
    /// Whether the channel has a discussion group.
    Discussion,
    /// Posts older than this one, at most so many more.
    Posts(i32, u32),
    /// Comments under the first of these posts, older than this one; then posts from there on.
    Comments(Vec<i32>, i32, (i32, u32)),
    /// Dialogs after this one, of a folder.
    Dialogs(Option<After>, Option<i32>),
    /// Whether the first of these has written: messages older than this one, at most so many pages; then dialogs.
    Check(Vec<(i64, i64)>, i32, u32, Box<Option<Step>>),
    /// The address book.
    Contacts,
}

/// Where a look-up is: what a [`Cursor`] holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct At {
    pub(super) step: Step,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) place: Option<Place>,
    /// People who came without an access hash, by the message that shows them, and where that message stands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) min: Vec<(i64, i32)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) min_in: Option<PeerRef>,
    /// The folder of archived dialogs is yet to be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) folder: Option<i32>,
    /// Nothing comes after the people of `min`.
    #[serde(default)]
    pub(super) last: bool,
}

impl At {
    pub(super) fn begin(what: &Find) -> At {
        At {
            step: match what {
                Find::Dialogs { .. } => Step::Dialogs(None, None),
                Find::Contacts => Step::Contacts,
                _ => Step::Place,
            },
            place: None,
            min: Vec::new(),
            min_in: None,
            folder: None,
            last: false,
        }
    }

    pub(super) fn parse(cursor: &Cursor) -> Result<At, CallError> {
        serde_json::from_str(&cursor.0)
            .map_err(|_| CallError::Unexpected("the place where a look-up stopped".to_owned()))
    }

    pub(super) fn admin(&self) -> bool {
        self.place.as_ref().is_none_or(|place| place.admin)
    }

    /// A page with what comes after it.
    pub(super) fn page(self, people: Vec<Met>, total: Option<u64>) -> Result<FoundPage, CallError> {
        let admin = self.admin();
        let next = serde_json::to_string(&self)
            .map(Cursor)
            .map_err(|error| CallError::Unexpected(error.to_string()))?;
        Ok(FoundPage {
            people,
            next: Some(next),
            total,
            partial: None,
            admin,
        })
    }

    /// The last page, unless somebody came as `min` and is to be asked for.
    pub(super) fn end(
        mut self,
        people: Vec<Met>,
        partial: Option<String>,
    ) -> Result<FoundPage, CallError> {
        if !self.min.is_empty() {
            self.last = true;
            return self.page(people, None);
        }
        Ok(FoundPage {
            people,
            next: None,
            total: None,
            partial,
            admin: self.admin(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::DIALOG_PAGES;
    use super::*;

    #[test]
    fn a_cursor_survives_being_written_down() {
        let at = At {
            step: Step::Check(
                vec![(7, -9)],
                0,
                DIALOG_PAGES,
                Box::new(Some(Step::Dialogs(
                    Some(After(1, 2, PeerRef::Channel(3, 4))),
                    Some(1),
                ))),
            ),
            place: None,
            min: vec![(5, 6)],
            min_in: Some(PeerRef::Chat(8)),
            folder: Some(1),
            last: true,
        };
        let page = at.clone().page(Vec::new(), None).unwrap();
        assert_eq!(At::parse(&page.next.unwrap()).unwrap(), at);
    }

    #[test]
    fn a_cursor_of_another_make_is_an_error_and_no_panic() {
        assert!(At::parse(&Cursor("200".to_owned())).is_err());
    }

    #[test]
    fn the_last_page_waits_for_those_who_came_as_min() {
        let mut at = At::begin(&Find::Contacts);
        assert!(at.clone().end(Vec::new(), None).unwrap().next.is_none());
        at.min.push((5, 6));
        assert!(at.end(Vec::new(), None).unwrap().next.is_some());
    }
}

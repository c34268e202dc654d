//! Getting people, and accounts themselves, into places (core.telegram.org/api/invites).
//!
//! An invite has no `random_id`. So membership is asked before each one, which makes a repeat harmless, and after a 'yes',
//! since Telegram can say yes and add nobody.

use std::time::Duration;

use grammers_tl_types::{
    Deserializable, Identifiable, RemoteCall, Serializable, enums, functions, types,
};

use crate::model::reaction::{Reaction, RpcFault, react};
use crate::model::{PersonId, Reference, Timestamp};

use super::grammers::Client;
use super::{CallError, Delivered, Place, PlaceKind};

/// How many of the group's last messages a new member of a basic group sees.
const SHOWN_MESSAGES: i32 = 100;
/// Somebody who was just added may be missing from the list for a moment.
const LIST_LAGS: Duration = Duration::from_secs(1);

/// What Telegram's list of those who could not be added is called in our table.
const MISSING: &str = "missing_invitees";
const MISSING_PREMIUM: &str = "missing_invitees_premium";

/// Whether somebody is in a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership {
    /// He is, and since when, where Telegram tells.
    Member {
        /// When he came.
        since: Option<Timestamp>,
    },
    /// He is not.
    No,
    /// Telegram does not tell this account.
    Hidden,
}

/// How a join ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joined {
    /// The account is in.
    In,
    /// Its admins decide.
    Requested,
}

/// The request that adds a person to a place: `channels.inviteToChannel`, or `messages.addChatUser` for a basic group.
pub fn encode_invite(place: &Place, person: PersonId, access_hash: i64) -> Vec<u8> {
    let user: enums::InputUser = types::InputUser {
        user_id: person.0,
        access_hash,
    }
    .into();
    match place.kind {
        PlaceKind::BasicGroup => functions::messages::AddChatUser {
            chat_id: place.id,
            user_id: user,
            fwd_limit: SHOWN_MESSAGES,
        }
        .to_bytes(),
        PlaceKind::Supergroup | PlaceKind::Channel => functions::channels::InviteToChannel {
            channel: input_channel(place),
            users: vec![user],
        }
        .to_bytes(),
    }
}

/// Whether a request is one of [`encode_invite`].
pub fn is_invite(request: &[u8]) -> bool {
    invited(request).is_some()
}

/// Where an invite leads, and whom.
#[derive(Debug, Clone, Copy)]
enum Where {
    Chat(i64),
    Channel { id: i64, access_hash: i64 },
}

fn invited(request: &[u8]) -> Option<(Where, i64, i64)> {
    let (name, rest) = request.split_first_chunk::<4>()?;
    let user = |user: &enums::InputUser| match user {
        enums::InputUser::User(user) => Some((user.user_id, user.access_hash)),
        _ => None,
    };
    match u32::from_le_bytes(*name) {
        functions::messages::AddChatUser::CONSTRUCTOR_ID => {
            let request = functions::messages::AddChatUser::from_bytes(rest).ok()?;
            let (id, hash) = user(&request.user_id)?;
            Some((Where::Chat(request.chat_id), id, hash))
        }
        functions::channels::InviteToChannel::CONSTRUCTOR_ID => {
            let request = functions::channels::InviteToChannel::from_bytes(rest).ok()?;
            let (id, hash) = user(request.users.first()?)?;
            match request.channel {
                enums::InputChannel::Channel(channel) => Some((
                    Where::Channel {
                        id: channel.channel_id,
                        access_hash: channel.access_hash,
                    },
                    id,
                    hash,
                )),
                _ => None,
            }
        }
        _ => None,
    }
}

fn input_channel(place: &Place) -> enums::InputChannel {
    types::InputChannel {
        channel_id: place.id,
        access_hash: place.access_hash,
    }
    .into()
}

fn refuse(code: i32, name: impl Into<String>) -> CallError {
    CallError::Rpc(RpcFault::new(code, name))
}

impl CallError {
    /// What Telegram says of whoever is in a place already.
    pub fn already_member() -> CallError {
        refuse(400, "USER_ALREADY_PARTICIPANT")
    }
}

impl Client {
    /// Sends a request of [`encode_invite`], after a look whether he is there already. A member is answered with
    /// `USER_ALREADY_PARTICIPANT` and, behind it, since when in Unix seconds where Telegram tells.
    pub(super) async fn invite(&self, request: &[u8]) -> Result<Delivered, CallError> {
        let Some((into, person, hash)) = invited(request) else {
            return Err(CallError::NotSent {
                detail: "this is no invite".to_owned(),
            });
        };
        if let Membership::Member { since } = self.is_in(into, person, hash).await? {
            let since = since.map_or_else(String::new, |since| format!("_{}", since.seconds()));
            return Err(refuse(400, format!("USER_ALREADY_PARTICIPANT{since}")));
        }
        fail::fail_point!("invite.looked");
        let answer = self.call(request).await?;
        fail::fail_point!("invite.asked");
        if let Some(missing) = missing(&answer, person)? {
            return Err(refuse(403, missing));
        }
        let delivered = Delivered {
            message_id: 0,
            date: super::now(),
            earlier: false,
        };
        for pause in [Duration::ZERO, LIST_LAGS] {
            tokio::time::sleep(pause).await;
            match self.is_in(into, person, hash).await {
                Ok(Membership::No) => {}
                // Telegram said yes; what cannot be looked at now says nothing against it.
                _ => return Ok(delivered),
            }
        }
        Err(refuse(403, MISSING))
    }

    /// Whether the person of an invite is where it leads.
    pub(super) async fn was_added(&self, request: &[u8]) -> Result<Membership, CallError> {
        match invited(request) {
            Some((into, person, hash)) => self.is_in(into, person, hash).await,
            None => Ok(Membership::Hidden),
        }
    }

    async fn is_in(&self, into: Where, person: i64, hash: i64) -> Result<Membership, CallError> {
        let answer = match into {
            Where::Chat(chat_id) => {
                let request = functions::messages::GetFullChat { chat_id };
                self.invoke(&request)
                    .await
                    .map(|answer| in_group(&answer, person))
            }
            Where::Channel { id, access_hash } => {
                let request = functions::channels::GetParticipant {
                    channel: types::InputChannel {
                        channel_id: id,
                        access_hash,
                    }
                    .into(),
                    participant: types::InputPeerUser {
                        user_id: person,
                        access_hash: hash,
                    }
                    .into(),
                };
                self.invoke(&request)
                    .await
                    .map(|answer| in_channel(&answer, person))
            }
        };
        match answer {
            Err(CallError::Rpc(fault)) => match react(&fault) {
                _ if fault.base() == "USER_NOT_PARTICIPANT" => Ok(Membership::No),
                // Of these the invite itself would hear the same, and does.
                Reaction::Stall { .. }
                | Reaction::FailRecipient
                | Reaction::SkipRecipient { .. } => Ok(Membership::Hidden),
                _ => Err(CallError::Rpc(fault)),
            },
            // Nothing was done yet: the invite was certainly not sent.
            Err(CallError::InDoubt { detail, .. }) => Err(CallError::NotSent { detail }),
            Err(CallError::Unexpected(_)) => Ok(Membership::Hidden),
            other => other,
        }
    }

    /// An invite link of a place, where the account may make one.
    pub(super) async fn export(&self, place: &Place) -> Result<Option<String>, CallError> {
        if !place.admin {
            return Ok(None);
        }
        let request = functions::messages::ExportChatInvite {
            legacy_revoke_permanent: false,
            request_needed: false,
            peer: match place.kind {
                PlaceKind::BasicGroup => types::InputPeerChat { chat_id: place.id }.into(),
                _ => types::InputPeerChannel {
                    channel_id: place.id,
                    access_hash: place.access_hash,
                }
                .into(),
            },
            expire_date: None,
            usage_limit: None,
            title: None,
            subscription_pricing: None,
        };
        match self.invoke(&request).await {
            Ok(enums::ExportedChatInvite::ChatInviteExported(invite)) if !invite.revoked => {
                Ok(Some(invite.link))
            }
            Ok(_) => Ok(None),
            // An admin without the right to invite is none for this.
            Err(CallError::Rpc(fault))
                if matches!(
                    react(&fault),
                    Reaction::Stall { .. } | Reaction::FailRecipient
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Joins a place.
    pub(super) async fn enter(&self, reference: &Reference) -> Result<Joined, CallError> {
        let answer = match reference {
            Reference::Invite(hash) => {
                self.call(&functions::messages::ImportChatInvite { hash: hash.clone() }.to_bytes())
                    .await
            }
            other => {
                let place = super::AccountClient::place(self, other).await?;
                if place.kind == PlaceKind::BasicGroup {
                    // It was found among the account's own groups: nobody else finds it.
                    return Ok(Joined::In);
                }
                let request = functions::channels::JoinChannel {
                    channel: input_channel(&place),
                };
                self.call(&request.to_bytes()).await
            }
        };
        match answer {
            Ok(answer) => {
                let asked = enums::messages::ChatInviteJoinResult::from_bytes(&answer);
                Ok(match asked {
                    // A bot of the place asks its questions first (core.telegram.org/api/invites).
                    Ok(enums::messages::ChatInviteJoinResult::WebView(_)) => Joined::Requested,
                    _ => Joined::In,
                })
            }
            Err(CallError::Rpc(fault)) => match fault.base().as_str() {
                "USER_ALREADY_PARTICIPANT" => Ok(Joined::In),
                "INVITE_REQUEST_SENT" => Ok(Joined::Requested),
                _ => Err(CallError::Rpc(fault)),
            },
            Err(error) => Err(error),
        }
    }
}

/// Why Telegram's 'yes' to an invite means no for this person.
fn missing(answer: &[u8], person: i64) -> Result<Option<&'static str>, CallError> {
    type Answer = <functions::channels::InviteToChannel as RemoteCall>::Return;
    let invitees = match Answer::from_bytes(answer) {
        Ok(enums::messages::InvitedUsers::Users(answer)) => answer.missing_invitees,
        // Servers of before layer 176 answered with the updates alone.
        Err(_) if enums::Updates::from_bytes(answer).is_ok() => Vec::new(),
        Err(error) => {
            return Err(CallError::InDoubt {
                why: crate::model::InDoubtWhy::Server,
                detail: format!("the answer cannot be read ({error})"),
            });
        }
    };
    Ok(invitees.iter().find_map(|invitee| {
        let enums::MissingInvitee::Invitee(invitee) = invitee;
        let premium = invitee.premium_would_allow_invite || invitee.premium_required_for_pm;
        let why = if premium { MISSING_PREMIUM } else { MISSING };
        (invitee.user_id == person).then_some(why)
    }))
}

fn since(date: i32) -> Membership {
    Membership::Member {
        since: (date > 0).then(|| Timestamp::from_seconds(date.into())),
    }
}

fn in_channel(answer: &enums::channels::ChannelParticipant, person: i64) -> Membership {
    use enums::ChannelParticipant as P;
    let enums::channels::ChannelParticipant::Participant(answer) = answer;
    match &answer.participant {
        P::Participant(one) if one.user_id == person => since(one.date),
        P::ParticipantSelf(one) if one.user_id == person => since(one.date),
        P::Admin(one) if one.user_id == person => since(one.date),
        P::Creator(one) if one.user_id == person => since(0),
        // Restricted, but in.
        P::Banned(one) if !one.left => since(one.date),
        P::Left(_) | P::Banned(_) => Membership::No,
        // Somebody else was described.
        _ => Membership::Hidden,
    }
}

fn in_group(answer: &enums::messages::ChatFull, person: i64) -> Membership {
    use enums::ChatParticipant as P;
    let enums::messages::ChatFull::Full(answer) = answer;
    let enums::ChatFull::Full(full) = &answer.full_chat else {
        return Membership::Hidden;
    };
    let enums::ChatParticipants::Participants(list) = &full.participants else {
        return Membership::Hidden;
    };
    list.participants
        .iter()
        .find_map(|participant| match participant {
            P::Participant(one) if one.user_id == person => Some(since(one.date)),
            P::Admin(one) if one.user_id == person => Some(since(one.date)),
            P::Creator(one) if one.user_id == person => Some(since(0)),
            _ => None,
        })
        .unwrap_or(Membership::No)
}

/// The public link of a place.
pub(super) fn public_link(place: &Place) -> Option<String> {
    place
        .username
        .as_ref()
        .map(|name| format!("https://t.me/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(kind: PlaceKind) -> Place {
        Place {
            id: 5,
            access_hash: 6,
            kind,
            title: "Ours".to_owned(),
            username: Some("ours".to_owned()),
            admin: true,
            members: None,
        }
    }

    #[test]
    fn an_invite_is_told_from_a_message_by_its_bytes() {
        for kind in [
            PlaceKind::BasicGroup,
            PlaceKind::Supergroup,
            PlaceKind::Channel,
        ] {
            let request = encode_invite(&place(kind), PersonId(7), 8);
            assert!(is_invite(&request));
            let (into, person, hash) = invited(&request).expect("an invite");
            assert_eq!((person, hash), (7, 8));
            match (kind, into) {
                (PlaceKind::BasicGroup, Where::Chat(5)) => {}
                (
                    _,
                    Where::Channel {
                        id: 5,
                        access_hash: 6,
                    },
                ) => {}
                other => panic!("{other:?}"),
            }
        }
        assert!(!is_invite(&[]));
        assert!(!is_invite(
            &functions::messages::GetFullChat { chat_id: 1 }.to_bytes()
        ));
    }

    fn answer(missing: Vec<enums::MissingInvitee>) -> Vec<u8> {
        enums::messages::InvitedUsers::Users(types::messages::InvitedUsers {
            updates: enums::Updates::TooLong,
            missing_invitees: missing,
        })
        .to_bytes()
    }

    #[test]
    fn a_yes_that_lists_him_among_the_missing_is_a_no() {
        let invitee = |id: i64, premium: bool| {
            enums::MissingInvitee::Invitee(types::MissingInvitee {
                premium_would_allow_invite: premium,
                premium_required_for_pm: false,
                user_id: id,
            })
        };
        for (missing_invitees, expected) in [
            (vec![], None),
            (vec![invitee(8, false)], None),
            (vec![invitee(8, false), invitee(7, false)], Some(MISSING)),
            (vec![invitee(7, true)], Some(MISSING_PREMIUM)),
        ] {
            assert_eq!(
                missing(&answer(missing_invitees), 7).expect("reads"),
                expected
            );
        }
        assert_eq!(
            missing(&enums::Updates::TooLong.to_bytes(), 7).expect("reads"),
            None
        );
        assert!(missing(&[1, 2, 3, 4], 7).is_err());
    }
}

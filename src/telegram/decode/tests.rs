use super::*;
use crate::model::Formatted;
use crate::telegram::{MediaHandle, encode_send};
use grammers_tl_types::Serializable;

fn account() -> AccountName {
    "sales-1".into()
}

fn user(id: i64) -> types::User {
    let mut flags = vec![0u8; 8];
    flags.extend(id.to_le_bytes());
    types::User::from_bytes(&flags).expect("a user with nothing but an id")
}

fn request(media: bool) -> Vec<u8> {
    let handle = MediaHandle(enums::InputMedia::Empty.to_bytes());
    let text = Formatted {
        text: "hello".into(),
        entities: vec![],
    };
    encode_send(PersonId(7), 1, text, true, 42, media.then_some(&handle))
}

fn message(id: i32, date: i32) -> enums::Update {
    let mut bytes = Vec::new();
    2u32.serialize(&mut bytes);
    0u32.serialize(&mut bytes);
    id.serialize(&mut bytes);
    enums::Peer::User(types::PeerUser { user_id: 7 }).serialize(&mut bytes);
    date.serialize(&mut bytes);
    "hello".to_owned().serialize(&mut bytes);
    let message = types::Message::from_bytes(&bytes).expect("an outgoing message");
    assert!(message.out);
    types::UpdateNewMessage {
        message: message.into(),
        pts: 5,
        pts_count: 1,
    }
    .into()
}

fn named(id: i32, random_id: i64) -> enums::Update {
    types::UpdateMessageId { id, random_id }.into()
}

fn updates(updates: Vec<enums::Update>) -> Vec<u8> {
    enums::Updates::Updates(types::Updates {
        updates,
        users: vec![],
        chats: vec![],
        date: 1000,
        seq: 0,
    })
    .to_bytes()
}

#[test]
fn every_shape_of_an_accepted_message_is_understood() {
    let short = enums::Updates::UpdateShortSentMessage(types::UpdateShortSentMessage {
        out: true,
        id: 9,
        pts: 5,
        pts_count: 1,
        date: 1000,
        media: None,
        entities: None,
        ttl_period: None,
    })
    .to_bytes();
    let one =
        |update| enums::Updates::UpdateShort(types::UpdateShort { update, date: 1000 }).to_bytes();
    let combined = enums::Updates::Combined(types::UpdatesCombined {
        updates: vec![named(9, 42), message(9, 1000)],
        users: vec![],
        chats: vec![],
        date: 1000,
        seq_start: 1,
        seq: 2,
    })
    .to_bytes();
    for (what, media, answer, date, earlier) in [
        ("a first text", false, short, 1000, false),
        (
            "a text told again",
            false,
            updates(vec![named(9, 42), message(9, 1000)]),
            1000,
            true,
        ),
        (
            "a first file",
            true,
            updates(vec![named(9, 42), message(9, 1000)]),
            1000,
            false,
        ),
        (
            "a file told again",
            true,
            updates(vec![named(9, 42), message(9, 900)]),
            900,
            true,
        ),
        ("only its id", true, updates(vec![named(9, 42)]), 1000, true),
        ("in two parts", true, combined, 1000, false),
        (
            "no id but the message",
            false,
            updates(vec![message(9, 1000)]),
            1000,
            false,
        ),
        (
            "among others",
            false,
            updates(vec![named(3, 7), message(3, 1), named(9, 42)]),
            1000,
            true,
        ),
        ("one update", false, one(named(9, 42)), 1000, true),
        ("one message", false, one(message(9, 1000)), 1000, false),
    ] {
        let found = delivered(&request(media), &answer);
        let expected = Delivered {
            message_id: 9,
            date: Timestamp::from_seconds(date),
            earlier,
        };
        assert_eq!(found, Ok(expected), "{what}");
    }
}

#[test]
fn an_answer_that_names_no_message_leaves_the_send_in_doubt() {
    for answer in [
        enums::Updates::TooLong.to_bytes(),
        updates(vec![]),
        updates(vec![named(9, 43)]),
        vec![],
        vec![1, 2, 3],
        vec![0; 64],
    ] {
        let found = delivered(&request(false), &answer);
        assert!(
            matches!(
                found,
                Err(CallError::InDoubt {
                    why: InDoubtWhy::Server,
                    ..
                })
            ),
            "{answer:?}: {found:?}"
        );
    }
}

#[test]
fn a_person_met_carries_this_accounts_hash() {
    let full = types::User {
        access_hash: Some(5),
        first_name: Some("Anna".into()),
        last_name: Some(String::new()),
        usernames: Some(vec![
            types::Username {
                editable: false,
                active: false,
                deletable: false,
                expired: false,
                username: "old".into(),
            }
            .into(),
            types::Username {
                editable: false,
                active: true,
                deletable: false,
                expired: false,
                username: "anna".into(),
            }
            .into(),
        ]),
        premium: true,
        status: Some(enums::UserStatus::Recently(types::UserStatusRecently {
            by_me: false,
        })),
        ..user(7)
    };
    let now = Timestamp(3);
    let met = met(&full.into(), &account(), now).expect("a person");
    assert!(!met.min);
    assert_eq!(met.person.hashes.get("sales-1"), Some(&5));
    let contact = &met.person.contact;
    assert_eq!(contact.id, Some(7));
    assert_eq!(contact.first_name.as_deref(), Some("Anna"));
    assert_eq!(
        (contact.last_name.as_deref(), contact.premium),
        (None, Some(true))
    );
    assert_eq!(contact.username.as_deref(), Some("anna"));
    assert_eq!(
        (met.person.last_seen, met.person.read_at),
        (LastSeen::Recently, now)
    );
}

#[test]
fn a_min_person_has_no_hash() {
    let min = types::User {
        min: true,
        access_hash: Some(5),
        ..user(7)
    };
    let found = met(&min.into(), &account(), Timestamp(0)).expect("a person");
    assert!(found.min);
    assert!(found.person.hashes.is_empty());
    let without = met(&user(7).into(), &account(), Timestamp(0)).expect("a person");
    assert!(without.min);
    assert_eq!(
        met(&types::UserEmpty { id: 7 }.into(), &account(), Timestamp(0)),
        None
    );
}

fn participant(id: i64) -> enums::ChannelParticipant {
    types::ChannelParticipant {
        user_id: id,
        date: 0,
        subscription_until_date: None,
        rank: None,
    }
    .into()
}

fn page(
    count: i32,
    participants: Vec<enums::ChannelParticipant>,
) -> enums::channels::ChannelParticipants {
    let users = (1..=9)
        .map(|id| {
            types::User {
                access_hash: Some(id),
                ..user(id)
            }
            .into()
        })
        .collect();
    types::channels::ChannelParticipants {
        count,
        participants,
        chats: vec![],
        users,
    }
    .into()
}

fn read(count: i32, participants: Vec<enums::ChannelParticipant>, offset: i32) -> MembersPage {
    channel_members(
        page(count, participants),
        PlaceKind::Supergroup,
        Offset(offset),
        &account(),
        Timestamp(0),
    )
    .expect("a page")
}

#[test]
fn pages_of_members_follow_each_other_until_all_are_listed() {
    let first = read(3, vec![participant(1), participant(2)], 0);
    assert_eq!(first.people.len(), 2);
    assert_eq!(first.next, Some(crate::telegram::Cursor("2".into())));
    assert_eq!(first.partial, None);
    let last = read(3, vec![participant(3)], 2);
    assert_eq!((last.next, last.partial), (None, None));
}

#[test]
fn a_list_that_ends_early_is_not_everybody() {
    let last = read(446, vec![], 200);
    assert_eq!(last.next, None);
    assert!(last.partial.expect("a reason").contains("200 of 446"));
}

#[test]
fn a_place_that_tells_of_clearly_more_than_it_lists_hides_them() {
    let place = |members| Place {
        id: 1,
        access_hash: 1,
        kind: PlaceKind::Supergroup,
        title: String::new(),
        username: None,
        admin: false,
        members,
    };
    for (told, listed, hides) in [
        (Some(454), Some(2), true),
        (Some(100), Some(89), true),
        (Some(100), Some(90), false),
        (Some(100), Some(101), false),
        (None, Some(2), false),
        (Some(100), None, false),
    ] {
        assert_eq!(
            fewer_than_told(&place(told), listed).is_some(),
            hides,
            "{told:?} {listed:?}"
        );
    }
}

#[test]
fn whoever_runs_the_place_is_marked_and_whoever_left_is_not_listed() {
    let creator = types::ChannelParticipantCreator {
        user_id: 2,
        admin_rights: types::ChatAdminRights::from_bytes(&[0; 4])
            .expect("no rights")
            .into(),
        rank: None,
    };
    let left = types::ChannelParticipantLeft {
        peer: types::PeerUser { user_id: 3 }.into(),
    };
    let all = read(3, vec![participant(1), creator.into(), left.into()], 0);
    let found: Vec<_> = all
        .people
        .iter()
        .map(|met| (met.person.contact.id, met.person.admin))
        .collect();
    assert_eq!(found, [(Some(1), false), (Some(2), true)]);
    assert_eq!((all.next, all.partial), (None, None));
}

#[test]
fn a_cursor_that_is_no_place_in_a_list_is_refused() {
    for text in ["", "-1", "x", "99999999999"] {
        assert!(
            Offset::parse(&crate::telegram::Cursor(text.into())).is_err(),
            "{text}"
        );
    }
}

#[test]
fn a_username_is_whom_its_id_names() {
    let reference = Reference::Username("anna".into());
    let answer = |peer: enums::Peer, users: Vec<enums::User>| {
        enums::contacts::ResolvedPeer::Peer(types::contacts::ResolvedPeer {
            peer,
            chats: vec![],
            users,
        })
    };
    let other = types::User {
        username: Some("anna".into()),
        access_hash: Some(1),
        ..user(8)
    };
    let right = types::User {
        access_hash: Some(2),
        ..user(7)
    };
    let found = resolved_person(
        answer(
            types::PeerUser { user_id: 7 }.into(),
            vec![other.into(), right.into()],
        ),
        &reference,
        &account(),
        Timestamp(0),
    );
    assert_eq!(found.expect("a person").person.contact.id, Some(7));
    for (peer, users) in [
        (
            enums::Peer::Channel(types::PeerChannel { channel_id: 7 }),
            vec![],
        ),
        (enums::Peer::Chat(types::PeerChat { chat_id: 7 }), vec![]),
    ] {
        let found = resolved_person(answer(peer, users), &reference, &account(), Timestamp(0));
        assert_eq!(found, Err(CallError::NotAPerson(reference.clone())));
    }
    let nobody = answer(types::PeerUser { user_id: 7 }.into(), vec![]);
    let found = resolved_person(nobody, &reference, &account(), Timestamp(0));
    assert!(matches!(found, Err(CallError::Unexpected(_))));
    let person = answer(types::PeerUser { user_id: 7 }.into(), vec![]);
    assert_eq!(
        resolved_place(person, &reference),
        Err(CallError::NotAPlace(reference.clone()))
    );
}

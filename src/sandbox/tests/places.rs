//! Groups and channels: pages of members, joining, inviting.

use grammers_tl_types::{enums, functions, types};

use super::client::{Client, place_of, small_world, start, user_of};
use crate::sandbox::{Choice, GroupKind, GroupSpec, PersonSpec, Privacy, Ref, Sandbox, WorldSpec};

fn members(
    channel: enums::InputChannel,
    offset: i32,
    limit: i32,
) -> functions::channels::GetParticipants {
    let filter = enums::ChannelParticipantsFilter::ChannelParticipantsRecent;
    functions::channels::GetParticipants {
        channel,
        filter,
        offset,
        limit,
        hash: 0,
    }
}

async fn page(
    client: &Client,
    request: &functions::channels::GetParticipants,
) -> types::channels::ChannelParticipants {
    match client.call(request).await.unwrap() {
        enums::channels::ChannelParticipants::Participants(page) => page,
        other => panic!("{other:?}"),
    }
}

/// 450 people in a group, some of them in other places.
async fn crowd() -> Sandbox {
    let place = |name: &str, kind| GroupSpec {
        title: name.into(),
        username: Some(name.into()),
        kind,
        creator: Some(Ref::from("sales-1")),
        members: Some(Choice::Word("all".into())),
        ..GroupSpec::default()
    };
    let people = (1..=450).map(|n| PersonSpec {
        id: Some(1_000 + n),
        username: Some(format!("p_{n}")),
        ..PersonSpec::default()
    });
    start(WorldSpec {
        people: people.collect(),
        groups: vec![
            place("crowd", GroupKind::Supergroup),
            GroupSpec {
                hidden_members: true,
                ..place("secretive", GroupKind::Supergroup)
            },
            place("our_news", GroupKind::Channel),
            GroupSpec {
                username: None,
                accounts: Some(vec![]),
                creator: Some(Ref::Id(1_001)),
                ..place("x", GroupKind::Supergroup)
            },
        ],
        ..WorldSpec {
            people: vec![],
            groups: vec![],
            ..small_world()
        }
    })
    .await
}

#[tokio::test]
async fn members_come_in_pages_of_at_most_two_hundred() {
    let sandbox = crowd().await;
    let client = Client::of(&sandbox, 1).await;
    let (channel, _) = place_of(&sandbox, 1, "crowd");
    let mut ids = Vec::new();
    let mut sizes = Vec::new();
    loop {
        let offset = i32::try_from(ids.len()).unwrap();
        let page = page(&client, &members(channel.clone(), offset, 1_000)).await;
        assert_eq!(page.count, 452, "450 people and two accounts");
        if page.participants.is_empty() {
            break;
        }
        assert_eq!(page.participants.len(), page.users.len());
        sizes.push(page.participants.len());
        ids.extend(page.users.iter().map(|u| u.id()));
    }
    assert_eq!(sizes, [200, 200, 52]);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 452);
    let pages = sandbox.ledger().of_method("channels.getParticipants");
    assert_eq!(
        pages
            .iter()
            .map(|e| (e.offset, e.count))
            .collect::<Vec<_>>()[..2],
        [(Some(0), Some(200)), (Some(200), Some(200))]
    );
}

#[tokio::test]
async fn a_page_that_has_not_changed_is_not_sent_again() {
    let sandbox = crowd().await;
    let client = Client::of(&sandbox, 0).await;
    let (channel, _) = place_of(&sandbox, 0, "crowd");
    let first = page(&client, &members(channel.clone(), 10, 2)).await;
    let hash = first.participants.iter().fold(0u64, |hash, p| {
        let enums::ChannelParticipant::Participant(p) = p else {
            panic!("a plain member: {p:?}")
        };
        let hash = hash ^ (hash >> 21);
        let hash = hash ^ (hash << 35);
        (hash ^ (hash >> 4)).wrapping_add(p.user_id.cast_unsigned())
    });
    let again = functions::channels::GetParticipants {
        hash: hash.cast_signed(),
        ..members(channel, 10, 2)
    };
    assert!(matches!(
        client.call(&again).await.unwrap(),
        enums::channels::ChannelParticipants::NotModified
    ));
}

#[tokio::test]
async fn filters_narrow_and_hidden_lists_stay_hidden() {
    let sandbox = crowd().await;
    let (admin, other) = (Client::of(&sandbox, 0).await, Client::of(&sandbox, 1).await);
    let filtered = |channel, filter| functions::channels::GetParticipants {
        filter,
        ..members(channel, 0, 200)
    };
    let (crowd, _) = place_of(&sandbox, 1, "crowd");
    let search = enums::ChannelParticipantsFilter::ChannelParticipantsSearch(
        types::ChannelParticipantsSearch { q: "P_44".into() },
    );
    assert_eq!(
        page(&other, &filtered(crowd.clone(), search))
            .await
            .participants
            .len(),
        11,
        "p_44 and p_440 to p_449"
    );
    let admins = page(
        &other,
        &filtered(
            crowd,
            enums::ChannelParticipantsFilter::ChannelParticipantsAdmins,
        ),
    )
    .await;
    assert!(matches!(
        admins.participants.as_slice(),
        [enums::ChannelParticipant::Creator(_)]
    ));
    let (hidden, _) = place_of(&sandbox, 1, "secretive");
    assert_eq!(
        page(&other, &members(hidden, 0, 200))
            .await
            .participants
            .len(),
        2,
        "the creator and oneself"
    );
    let (hidden, _) = place_of(&sandbox, 0, "secretive");
    assert_eq!(
        page(&admin, &members(hidden, 0, 200))
            .await
            .participants
            .len(),
        200
    );
    let (news, _) = place_of(&sandbox, 1, "our_news");
    assert_eq!(
        other.refusal(&members(news, 0, 200)).await,
        "CHAT_ADMIN_REQUIRED"
    );
    let (news, _) = place_of(&sandbox, 0, "our_news");
    assert_eq!(
        page(&admin, &members(news.clone(), 0, 200))
            .await
            .participants
            .len(),
        200
    );
    assert!(
        page(&admin, &members(news, 200, 200))
            .await
            .participants
            .is_empty(),
        "of a channel only 200 are listed"
    );
}

#[tokio::test]
async fn private_places_are_closed_to_those_who_are_not_in_them() {
    let sandbox = crowd().await;
    let client = Client::of(&sandbox, 0).await;
    let (id, access_hash) = sandbox.world(|w| {
        let peer = w.groups[3].peer();
        (peer.id(), w.access_hash(0, peer))
    });
    let channel: enums::InputChannel = types::InputChannel {
        channel_id: id,
        access_hash,
    }
    .into();
    assert_eq!(
        client.refusal(&members(channel.clone(), 0, 10)).await,
        "CHANNEL_PRIVATE"
    );
    assert_eq!(
        client
            .refusal(&functions::channels::JoinChannel { channel })
            .await,
        "CHANNEL_PRIVATE"
    );
}

#[tokio::test]
async fn membership_is_told_person_by_person() {
    let sandbox = start(WorldSpec {
        groups: vec![GroupSpec {
            members: Some(Choice::List(vec![Ref::Id(101)])),
            ..small_world().groups[0].clone()
        }],
        ..small_world()
    })
    .await;
    let client = Client::of(&sandbox, 0).await;
    let (channel, _) = place_of(&sandbox, 0, "meetup");
    let ask = |id| functions::channels::GetParticipant {
        channel: channel.clone(),
        participant: super::client::peer_of(&sandbox, 0, id),
    };
    client.call(&ask(101)).await.unwrap();
    assert_eq!(client.refusal(&ask(102)).await, "USER_NOT_PARTICIPANT");
}

#[tokio::test]
async fn invitations_succeed_are_missing_or_fail_as_telegrams_do() {
    let person = |id: i64| PersonSpec {
        id: Some(id),
        ..PersonSpec::default()
    };
    let mut world = small_world();
    world.people.extend([
        PersonSpec {
            invite_privacy: Privacy::Nobody,
            ..person(201)
        },
        PersonSpec {
            too_many_chats: true,
            ..person(202)
        },
        PersonSpec {
            not_mutual: true,
            ..person(203)
        },
        PersonSpec {
            bot: true,
            ..person(204)
        },
        PersonSpec {
            deleted: true,
            ..person(205)
        },
        PersonSpec {
            blocks: vec!["sales-1".into()],
            ..person(206)
        },
        person(207),
        person(208),
    ]);
    world.groups[0].members = Some(Choice::List(vec![Ref::Id(101)]));
    world.groups[0].kicked = vec![Ref::Id(207)];
    world.groups[0].member_limit = Some(4);
    let sandbox = start(world).await;
    let client = Client::of(&sandbox, 0).await;
    let (channel, _) = place_of(&sandbox, 0, "meetup");
    let invite = |id| functions::channels::InviteToChannel {
        channel: channel.clone(),
        users: vec![user_of(&sandbox, 0, id)],
    };
    for (id, wanted) in [
        (101, "USER_ALREADY_PARTICIPANT"),
        (202, "USER_CHANNELS_TOO_MUCH"),
        (203, "USER_NOT_MUTUAL_CONTACT"),
        (204, "USER_BOT"),
        (205, "INPUT_USER_DEACTIVATED"),
        (206, "USER_BLOCKED"),
        (207, "USER_KICKED"),
    ] {
        assert_eq!(client.refusal(&invite(id)).await, wanted, "{id}");
    }
    let enums::messages::InvitedUsers::Users(missing) = client.call(&invite(201)).await.unwrap();
    assert!(
        matches!(missing.missing_invitees.as_slice(), [enums::MissingInvitee::Invitee(m)] if m.user_id == 201)
    );
    let enums::messages::InvitedUsers::Users(added) = client.call(&invite(102)).await.unwrap();
    assert!(added.missing_invitees.is_empty());
    assert_eq!(
        client.refusal(&invite(102)).await,
        "USER_ALREADY_PARTICIPANT"
    );
    assert_eq!(client.refusal(&invite(208)).await, "USERS_TOO_MUCH");
    let entries = sandbox.ledger().of_method("channels.inviteToChannel");
    assert_eq!(
        entries.iter().filter(|e| e.count == Some(1)).count(),
        1,
        "one was added"
    );
}

#[tokio::test]
async fn an_invite_link_leads_into_a_private_place_once() {
    let mut world = small_world();
    world.groups[0].username = None;
    world.groups[0].accounts = Some(vec!["sales-1".into()]);
    let sandbox = start(world).await;
    let (admin, guest) = (Client::of(&sandbox, 0).await, Client::of(&sandbox, 1).await);
    let peer: enums::InputPeer = sandbox.world(|w| {
        let peer = w.groups[0].peer();
        types::InputPeerChannel {
            channel_id: peer.id(),
            access_hash: w.access_hash(0, peer),
        }
        .into()
    });
    let export = functions::messages::ExportChatInvite {
        legacy_revoke_permanent: false,
        request_needed: false,
        peer,
        expire_date: None,
        usage_limit: None,
        title: None,
        subscription_pricing: None,
    };
    let enums::ExportedChatInvite::ChatInviteExported(invite) = admin.call(&export).await.unwrap()
    else {
        panic!("a link")
    };
    let hash = invite
        .link
        .strip_prefix("https://t.me/+")
        .unwrap()
        .to_owned();
    let check = functions::messages::CheckChatInvite { hash: hash.clone() };
    assert!(
        matches!(guest.call(&check).await.unwrap(), enums::ChatInvite::Invite(i) if i.title == "Meetup" && i.megagroup)
    );
    let import = functions::messages::ImportChatInvite { hash };
    guest.call(&import).await.unwrap();
    assert!(matches!(
        guest.call(&check).await.unwrap(),
        enums::ChatInvite::Already(_)
    ));
    assert_eq!(guest.refusal(&import).await, "USER_ALREADY_PARTICIPANT");
    let wrong = functions::messages::CheckChatInvite {
        hash: "0000".into(),
    };
    assert_eq!(guest.refusal(&wrong).await, "INVITE_HASH_INVALID");
}

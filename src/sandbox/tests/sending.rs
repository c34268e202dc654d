//! Sends: shapes, deduplication, refusals, limits, the ledger.

use grammers_tl_types::{enums, functions, types};

use super::client::{Client, peer_of, place_of, resolve, small_world, start, text, user_of, words};
use crate::sandbox::{
    AccountSpec, Entry, GroupKind, GroupSpec, LimitsSpec, PersonSpec, Privacy, RateSpec, Ref,
    Sandbox, SandboxOptions, Span, WorldSpec, Writers,
};

#[tokio::test]
async fn a_first_send_is_answered_short_and_a_repeat_with_the_earlier_message() {
    let sandbox = start(small_world()).await;
    let client = Client::of(&sandbox, 0).await;
    let send = text(peer_of(&sandbox, 0, 101), 77, "hello");
    let enums::Updates::UpdateShortSentMessage(first) = client.call(&send).await.unwrap() else {
        panic!("the short shape")
    };
    let enums::Updates::Updates(again) = client.call(&send).await.unwrap() else {
        panic!("the long shape")
    };
    let [enums::Update::MessageId(id), enums::Update::NewMessage(new)] = again.updates.as_slice()
    else {
        panic!("{again:?}")
    };
    assert_eq!((id.id, id.random_id), (first.id, 77));
    let enums::Message::Message(message) = &new.message else {
        panic!("a message")
    };
    assert_eq!(
        (message.id, message.message.as_str(), message.out, new.pts),
        (first.id, "hello", true, first.pts)
    );
    // The same number to somebody else is another message, and another account's is too.
    let other = client
        .call(&text(peer_of(&sandbox, 0, 102), 77, "hello"))
        .await
        .unwrap();
    assert!(
        matches!(other, enums::Updates::UpdateShortSentMessage(m) if m.id == first.id + 1 && m.pts == first.pts + 1)
    );
    let second = Client::of(&sandbox, 1).await;
    let other = second
        .call(&text(peer_of(&sandbox, 1, 101), 77, "hello"))
        .await
        .unwrap();
    assert!(matches!(other, enums::Updates::UpdateShortSentMessage(m) if m.id == 1));
    // Deduplication is the account's, not the connection's.
    let elsewhere = Client::of(&sandbox, 0).await;
    assert!(matches!(
        elsewhere.call(&send).await.unwrap(),
        enums::Updates::Updates(_)
    ));
    assert_eq!(sandbox.ledger().sent().len(), 3);
}

#[tokio::test]
async fn the_ledger_says_what_was_sent_to_whom_and_whether_it_was_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.jsonl");
    let options = SandboxOptions {
        world: small_world(),
        ai_port: None,
        ledger: Some(path.clone()),
        ..SandboxOptions::default()
    };
    let sandbox = Sandbox::start(options).await.unwrap();
    let client = Client::of(&sandbox, 0).await;
    let mut send = text(peer_of(&sandbox, 0, 101), -5, "hello");
    send.entities = Some(vec![
        types::MessageEntityBold {
            offset: 0,
            length: 5,
        }
        .into(),
    ]);
    send.no_webpage = true;
    client.call(&send).await.unwrap();
    client.call(&send).await.unwrap();
    client
        .refusal(&text(peer_of(&sandbox, 0, 101), 6, " "))
        .await;
    sandbox.flush();
    let lines: Vec<Entry> = std::fs::read_to_string(&path)
        .unwrap()
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(lines, sandbox.ledger().entries());
    let [config, first, again, empty] = lines.as_slice() else {
        panic!("{lines:?}")
    };
    assert_eq!(config.method, "help.getConfig");
    assert_eq!(first.method, "messages.sendMessage");
    assert_eq!(first.account.as_deref(), Some("sales-1"));
    assert_eq!(first.peer.as_deref(), Some("user:101"));
    assert_eq!(
        (first.random_id, first.text.as_deref(), first.entities),
        (Some(-5), Some("hello"), Some(1))
    );
    assert_eq!(
        (
            first.message_id,
            first.first,
            first.effect,
            first.no_webpage
        ),
        (Some(1), Some(true), true, Some(true))
    );
    assert_eq!(
        (again.message_id, again.first, again.effect),
        (Some(1), Some(false), false)
    );
    assert_eq!(
        (
            empty.error.as_deref(),
            empty.code,
            empty.first,
            empty.effect
        ),
        (Some("MESSAGE_EMPTY"), Some(400), None, false)
    );
    assert!(
        lines
            .iter()
            .zip(1..)
            .all(|(l, n)| l.seq == n && l.kind == "rpc" && l.at > 0)
    );
}

fn special_world() -> WorldSpec {
    let person = |id: i64| PersonSpec {
        id: Some(id),
        ..PersonSpec::default()
    };
    let mut world = small_world();
    world.people.extend([
        PersonSpec {
            deleted: true,
            ..person(201)
        },
        PersonSpec {
            privacy: Privacy::Contacts,
            ..person(202)
        },
        PersonSpec {
            privacy: Privacy::Nobody,
            ..person(203)
        },
        PersonSpec {
            premium_required: true,
            ..person(204)
        },
        PersonSpec {
            charges: Some(10),
            ..person(205)
        },
        PersonSpec {
            blocks: vec!["sales-1".into()],
            ..person(206)
        },
        PersonSpec {
            blocked_by: vec!["sales-1".into()],
            ..person(207)
        },
        PersonSpec {
            bot: true,
            ..person(208)
        },
    ]);
    let place = |title: &str, kind, write| GroupSpec {
        title: title.into(),
        username: Some(title.into()),
        kind,
        write,
        creator: Some(Ref::from("@anna")),
        ..GroupSpec::default()
    };
    world.groups.extend([
        place("closed_place", GroupKind::Supergroup, Writers::Nobody),
        place("not_our_channel", GroupKind::Channel, Writers::Everyone),
        GroupSpec {
            accounts: Some(vec![]),
            ..place("not_in_it", GroupKind::Supergroup, Writers::Everyone)
        },
        GroupSpec {
            slowmode: Some("30s".parse().unwrap()),
            ..place("slow_place", GroupKind::Supergroup, Writers::Everyone)
        },
    ]);
    world.accounts[0].contacts = vec![Ref::Id(202)];
    world
}

#[tokio::test]
async fn sends_are_refused_as_telegram_refuses_them() {
    let sandbox = start(special_world()).await;
    let client = Client::of(&sandbox, 0).await;
    let to = |id: i64, message: &str| text(peer_of(&sandbox, 0, id), 1000 + id, message);
    let bold = |offset, length| {
        let mut send = to(101, "héllo 😀");
        send.entities = Some(vec![types::MessageEntityBold { offset, length }.into()]);
        send
    };
    let in_place = |name: &str| text(place_of(&sandbox, 0, name).1, 9, "hi");
    let no_number = text(peer_of(&sandbox, 0, 101), 0, "hi");
    let foreign = text(peer_of(&sandbox, 1, 101), 3, "hi");
    let cases = [
        ("a deleted account", to(201, "hi"), "INPUT_USER_DEACTIVATED"),
        (
            "a closed person who is a stranger",
            to(203, "hi"),
            "USER_PRIVACY_RESTRICTED",
        ),
        (
            "one who wants Premium",
            to(204, "hi"),
            "PRIVACY_PREMIUM_REQUIRED",
        ),
        (
            "one who charges",
            to(205, "hi"),
            "ALLOW_PAYMENT_REQUIRED_10",
        ),
        ("one who blocked us", to(206, "hi"), "USER_IS_BLOCKED"),
        ("one whom we blocked", to(207, "hi"), "YOU_BLOCKED_USER"),
        ("no text", to(101, " \n"), "MESSAGE_EMPTY"),
        ("4097 units", to(101, &"x".repeat(4097)), "MESSAGE_TOO_LONG"),
        (
            "4098 units of emoji",
            to(101, &"😀".repeat(2049)),
            "MESSAGE_TOO_LONG",
        ),
        (
            "an entity beyond the end",
            bold(0, 9),
            "ENTITY_BOUNDS_INVALID",
        ),
        (
            "an entity before the start",
            bold(-1, 2),
            "ENTITY_BOUNDS_INVALID",
        ),
        (
            "an entity without length",
            bold(1, 0),
            "ENTITY_BOUNDS_INVALID",
        ),
        ("no random_id", no_number, "RANDOM_ID_EMPTY"),
        ("another account's access hash", foreign, "PEER_ID_INVALID"),
        (
            "a place where nobody may write",
            in_place("closed_place"),
            "CHAT_WRITE_FORBIDDEN",
        ),
        (
            "a channel of somebody else",
            in_place("not_our_channel"),
            "CHAT_ADMIN_REQUIRED",
        ),
        (
            "a place that we are not in",
            in_place("not_in_it"),
            "CHAT_WRITE_FORBIDDEN",
        ),
    ];
    for (label, send, wanted) in cases {
        assert_eq!(client.refusal(&send).await, wanted, "{label}");
    }
    let mut to_the_end = bold(6, 2);
    to_the_end.random_id = 55;
    for (label, send) in [
        ("a closed person who is a contact", to(202, "hi")),
        ("a bot", to(208, "hi")),
        ("4096 units of emoji", to(101, &"😀".repeat(2048))),
        ("an entity to the very end", to_the_end),
        ("a slow place", in_place("slow_place")),
    ] {
        let answer = client.call(&send).await;
        assert!(answer.is_ok(), "{label}: {answer:?}");
    }
    let mut second = in_place("slow_place");
    second.random_id = 10;
    let refused = client.call(&second).await.unwrap_err();
    assert!(refused.is("SLOWMODE_WAIT"), "{refused:?}");
    // Who wrote first is no stranger any more.
    sandbox
        .send_as_person(Ref::Id(203), "sales-1", "hello?")
        .unwrap();
    client.call(&to(203, "hi")).await.unwrap();
    // What was refused is written down with whom it was for.
    let refused = sandbox.ledger().of_method("messages.sendMessage");
    assert!(
        refused
            .iter()
            .all(|e| e.peer.is_some() && e.random_id.is_some() && e.text.is_some())
    );
    // Nothing was ever paid.
    assert!(sandbox.ledger().entries().iter().all(|e| e.note.is_none()));
}

#[tokio::test]
async fn an_access_hash_of_another_account_opens_nothing() {
    let sandbox = start(small_world()).await;
    let client = Client::of(&sandbox, 0).await;
    let ((own, _), (foreign, foreign_peer)) = (
        place_of(&sandbox, 0, "meetup"),
        place_of(&sandbox, 1, "meetup"),
    );
    assert_ne!(own, foreign);
    let full = |id| functions::users::GetFullUser { id };
    assert_eq!(
        client.refusal(&full(user_of(&sandbox, 1, 101))).await,
        "USER_ID_INVALID"
    );
    client.call(&full(user_of(&sandbox, 0, 101))).await.unwrap();
    assert_eq!(
        client
            .refusal(&functions::channels::GetFullChannel { channel: foreign })
            .await,
        "CHANNEL_INVALID"
    );
    client
        .call(&functions::channels::GetFullChannel { channel: own })
        .await
        .unwrap();
    assert_eq!(
        client.refusal(&text(foreign_peer, 1, "hi")).await,
        "CHANNEL_INVALID"
    );
    let users = client
        .call(&functions::users::GetUsers {
            id: vec![user_of(&sandbox, 1, 101)],
        })
        .await
        .unwrap();
    assert!(matches!(users.as_slice(), [enums::User::Empty(u)] if u.id == 101));
}

#[tokio::test]
async fn usernames_and_phones_resolve_to_this_accounts_hashes() {
    let sandbox = start(small_world()).await;
    let client = Client::of(&sandbox, 0).await;
    let enums::contacts::ResolvedPeer::Peer(found) = client.call(&resolve("Anna")).await.unwrap();
    let [enums::User::User(user)] = found.users.as_slice() else {
        panic!("{found:?}")
    };
    assert_eq!(
        (user.id, user.access_hash),
        (
            101,
            Some(sandbox.world(|w| w.access_hash(0, crate::sandbox::Peer::User(101))))
        )
    );
    assert_eq!(user.phone, None, "a stranger's phone is not shown");
    let enums::contacts::ResolvedPeer::Peer(found) = client.call(&resolve("meetup")).await.unwrap();
    assert!(
        matches!(found.chats.as_slice(), [enums::Chat::Channel(c)] if c.megagroup && c.creator)
    );
    for (name, wanted) in [
        ("nobody_here", "USERNAME_NOT_OCCUPIED"),
        ("no", "USERNAME_INVALID"),
        ("1abcd", "USERNAME_INVALID"),
    ] {
        assert_eq!(client.refusal(&resolve(name)).await, wanted, "{name}");
    }
    let phone = |phone: &str| functions::contacts::ResolvePhone {
        phone: phone.into(),
    };
    let enums::contacts::ResolvedPeer::Peer(found) =
        client.call(&phone("+1 555 020 0001")).await.unwrap();
    assert!(matches!(found.peer, enums::Peer::User(u) if u.user_id == 101));
    assert_eq!(
        client.refusal(&phone("+15559999999")).await,
        "PHONE_NOT_OCCUPIED"
    );
}

#[tokio::test]
async fn an_accounts_own_limits_become_flood_errors() {
    let rate = |count, per: &str| {
        Some(RateSpec {
            count,
            per: per.parse::<Span>().unwrap(),
        })
    };
    let mut world = small_world();
    world.accounts[0].limits = LimitsSpec {
        sends: rate(2, "30s"),
        lookups: rate(1, "2h"),
        peer_flood_after: None,
    };
    world.accounts[1].limits = LimitsSpec {
        peer_flood_after: Some(2),
        ..LimitsSpec::default()
    };
    let sandbox = start(world).await;
    let client = Client::of(&sandbox, 0).await;
    for n in 1..=2 {
        client
            .call(&text(peer_of(&sandbox, 0, 101), n, "hi"))
            .await
            .unwrap();
    }
    let refused = client
        .call(&text(peer_of(&sandbox, 0, 101), 3, "hi"))
        .await
        .unwrap_err();
    assert!(refused.is("FLOOD_WAIT"), "{refused:?}");
    let seconds: u32 = words(&refused).rsplit('_').next().unwrap().parse().unwrap();
    assert!((25..=30).contains(&seconds), "{seconds}");
    client.call(&resolve("anna")).await.unwrap();
    assert!(
        client
            .call(&resolve("boris"))
            .await
            .unwrap_err()
            .is("FLOOD_WAIT")
    );
    let second = Client::of(&sandbox, 1).await;
    for (n, id) in [(1, 101), (2, 102), (3, 101)] {
        second
            .call(&text(peer_of(&sandbox, 1, id), n, "hi"))
            .await
            .unwrap();
    }
    assert_eq!(
        second
            .refusal(&text(peer_of(&sandbox, 1, 103), 4, "hi"))
            .await,
        "PEER_FLOOD"
    );
    // Those who were written to before, or who write first, can still be answered.
    second
        .call(&text(peer_of(&sandbox, 1, 102), 5, "hi"))
        .await
        .unwrap();
    sandbox
        .send_as_person("@clara", "sales-2", "hello")
        .unwrap();
    second
        .call(&text(peer_of(&sandbox, 1, 103), 6, "hi"))
        .await
        .unwrap();
}

#[tokio::test]
async fn many_sends_in_flight_are_each_answered_once_and_in_containers() {
    let sandbox = start(small_world()).await;
    let client = Client::of(&sandbox, 0).await;
    let peer = peer_of(&sandbox, 0, 101);
    let sends = (1..=300).map(|n| {
        let (handle, send) = (
            client.handle.thin.clone(),
            text(
                peer.clone(),
                n,
                &format!("text {n} {}", "long ".repeat(200)),
            ),
        );
        async move { handle.invoke_in_dc(2, &send).await }
    });
    let answers = futures::future::join_all(sends).await;
    let mut ids: Vec<i32> = answers
        .into_iter()
        .map(|a| match a.unwrap() {
            enums::Updates::UpdateShortSentMessage(m) => m.id,
            other => panic!("{other:?}"),
        })
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, (1..=300).collect::<Vec<_>>());
    // Texts above 512 bytes come compressed; they are whole.
    assert!(sandbox.ledger().sent().iter().all(|e| {
        e.text
            .as_ref()
            .is_some_and(|t| t.len() > 1000 && t.ends_with("long "))
    }));
}

#[tokio::test]
async fn media_is_uploaded_in_parts_and_can_be_sent_again_by_its_id() {
    let sandbox = start(small_world()).await;
    let client = Client::of(&sandbox, 0).await;
    let part = |file_part, bytes| functions::upload::SaveFilePart {
        file_id: 42,
        file_part,
        bytes,
    };
    assert!(client.call(&part(0, vec![1; 1024])).await.unwrap());
    let photo = |parts| -> enums::InputMedia {
        types::InputMediaUploadedPhoto {
            spoiler: false,
            live_photo: false,
            file: types::InputFile {
                id: 42,
                parts,
                name: "banner.png".into(),
                md5_checksum: String::new(),
            }
            .into(),
            stickers: None,
            ttl_seconds: None,
            video: None,
        }
        .into()
    };
    let send = |random_id, media, caption: &str| functions::messages::SendMedia {
        silent: false,
        background: false,
        clear_draft: false,
        noforwards: false,
        update_stickersets_order: false,
        invert_media: false,
        allow_paid_floodskip: false,
        peer: peer_of(&sandbox, 0, 101),
        reply_to: None,
        media,
        message: caption.into(),
        random_id,
        reply_markup: None,
        entities: None,
        schedule_date: None,
        schedule_repeat_period: None,
        send_as: None,
        quick_reply_shortcut: None,
        effect: None,
        allow_paid_stars: None,
        suggested_post: None,
    };
    assert_eq!(
        client.refusal(&send(1, photo(2), "hi")).await,
        "FILE_PART_MISSING_1"
    );
    assert!(client.call(&part(1, vec![2; 500])).await.unwrap());
    assert_eq!(
        client.refusal(&send(1, photo(2), &"x".repeat(1025))).await,
        "MEDIA_CAPTION_TOO_LONG"
    );
    let upload = functions::messages::UploadMedia {
        business_connection_id: None,
        peer: enums::InputPeer::PeerSelf,
        media: photo(2),
    };
    let enums::MessageMedia::Photo(uploaded) = client.call(&upload).await.unwrap() else {
        panic!("a photo")
    };
    let Some(enums::Photo::Photo(uploaded)) = uploaded.photo else {
        panic!("a photo")
    };
    let by_id: enums::InputMedia = types::InputMediaPhoto {
        spoiler: false,
        live_photo: false,
        id: types::InputPhoto {
            id: uploaded.id,
            access_hash: uploaded.access_hash,
            file_reference: uploaded.file_reference.clone(),
        }
        .into(),
        ttl_seconds: None,
        video: None,
    }
    .into();
    let enums::Updates::Updates(sent) = client.call(&send(2, by_id, "")).await.unwrap() else {
        panic!("the long shape")
    };
    let [enums::Update::MessageId(_), enums::Update::NewMessage(new)] = sent.updates.as_slice()
    else {
        panic!("{sent:?}")
    };
    assert!(matches!(&new.message, enums::Message::Message(m) if m.media.is_some()));
    let entry = sandbox.ledger().sent().pop().unwrap();
    assert_eq!(
        (entry.method.as_str(), entry.media.as_deref()),
        ("messages.sendMedia", Some("photo"))
    );
}

#[tokio::test]
async fn accounts_can_write_to_each_other_and_to_themselves() {
    let world = WorldSpec {
        accounts: vec![
            AccountSpec {
                name: "a".into(),
                ..AccountSpec::default()
            },
            AccountSpec {
                name: "b".into(),
                ..AccountSpec::default()
            },
        ],
        ..WorldSpec::default()
    };
    let sandbox = start(world).await;
    let (client, mut other) = (Client::of(&sandbox, 0).await, Client::of(&sandbox, 1).await);
    other.call(&functions::updates::GetState {}).await.unwrap();
    let b = sandbox.world(|w| w.self_id(1));
    client
        .call(&text(peer_of(&sandbox, 0, b), 1, "hi b"))
        .await
        .unwrap();
    let (message, pts) = other.next_message().await;
    assert_eq!(
        (message.message.as_str(), message.out, pts),
        ("hi b", false, 2)
    );
    client
        .call(&text(enums::InputPeer::PeerSelf, 2, "a note"))
        .await
        .unwrap();
    assert_eq!(sandbox.world(|w| w.accounts[0].messages.len()), 2);
}

//! Conversations: updates, differences, histories, dialogs, threads, scripts.

use grammers_tl_types::{enums, functions, types};

use super::client::{Client, peer_of, place_of, small_world, start, text};
use crate::sandbox::{
    Choice, DialogSpec, GroupKind, GroupSpec, History, LineSpec, Ref, Replies, Sandbox,
    SandboxOptions, ScriptSpec, Span, SpanRange, UpdatesSpec, WorldSpec,
};

fn difference(pts: i32) -> functions::updates::GetDifference {
    functions::updates::GetDifference {
        pts,
        pts_limit: None,
        pts_total_limit: None,
        date: 1,
        qts: 0,
        qts_limit: None,
    }
}

fn texts(messages: &[enums::Message]) -> Vec<&str> {
    let mut texts = Vec::new();
    for message in messages {
        match message {
            enums::Message::Message(m) => texts.push(m.message.as_str()),
            other => panic!("{other:?}"),
        }
    }
    texts
}

#[tokio::test]
async fn what_came_while_nobody_was_there_stands_in_the_difference() {
    let sandbox = start(small_world()).await;
    let client = Client::of(&sandbox, 0).await;
    let enums::updates::State::State(state) =
        client.call(&functions::updates::GetState {}).await.unwrap();
    assert_eq!(state.pts, 1);
    assert!(matches!(
        client.call(&difference(1)).await.unwrap(),
        enums::updates::Difference::Empty(_)
    ));
    drop(client);
    sandbox
        .send_as_person("@anna", "sales-1", "are you there?")
        .unwrap();
    sandbox
        .send_as_person(Ref::Id(102), "sales-1", "hello")
        .unwrap();
    let client = Client::of(&sandbox, 0).await;
    let enums::updates::Difference::Difference(missed) = client.call(&difference(1)).await.unwrap()
    else {
        panic!("all")
    };
    assert_eq!(texts(&missed.new_messages), ["are you there?", "hello"]);
    assert_eq!(
        missed.users.iter().map(|u| u.id()).collect::<Vec<_>>(),
        [101, 102]
    );
    let enums::updates::State::State(state) = missed.state;
    assert_eq!(state.pts, 3);
    let enums::updates::Difference::Difference(later) = client.call(&difference(2)).await.unwrap()
    else {
        panic!("all")
    };
    assert_eq!(texts(&later.new_messages), ["hello"]);
}

#[tokio::test]
async fn a_long_difference_comes_in_slices_and_a_very_long_one_not_at_all() {
    let updates = UpdatesSpec {
        slice: 4,
        too_long: 10,
    };
    let sandbox = start(WorldSpec {
        updates,
        ..small_world()
    })
    .await;
    for n in 0..10 {
        sandbox
            .send_as_person("@anna", "sales-1", &format!("{n}"))
            .unwrap();
    }
    let client = Client::of(&sandbox, 0).await;
    let (mut pts, mut got) = (1, Vec::new());
    loop {
        match client.call(&difference(pts)).await.unwrap() {
            enums::updates::Difference::Slice(slice) => {
                got.extend(texts(&slice.new_messages).into_iter().map(str::to_owned));
                let enums::updates::State::State(state) = slice.intermediate_state;
                pts = state.pts;
            }
            enums::updates::Difference::Difference(last) => {
                got.extend(texts(&last.new_messages).into_iter().map(str::to_owned));
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(got, (0..10).map(|n| n.to_string()).collect::<Vec<_>>());
    sandbox
        .send_as_person("@anna", "sales-1", "one too many")
        .unwrap();
    let long = client.call(&difference(1)).await.unwrap();
    assert!(matches!(long, enums::updates::Difference::TooLong(t) if t.pts == 12));
}

#[tokio::test]
async fn updates_reach_every_connection_of_the_account_but_the_one_that_caused_them() {
    let sandbox = start(small_world()).await;
    let (mut sender, mut watcher) = (Client::of(&sandbox, 0).await, Client::of(&sandbox, 0).await);
    sender.call(&functions::updates::GetState {}).await.unwrap();
    watcher
        .call(&functions::updates::GetState {})
        .await
        .unwrap();
    sender
        .call(&text(peer_of(&sandbox, 0, 101), 1, "from here"))
        .await
        .unwrap();
    let (message, pts) = watcher.next_message().await;
    assert_eq!(
        (message.message.as_str(), message.out, message.id, pts),
        ("from here", true, 1, 2)
    );
    sandbox
        .send_as_person("@anna", "sales-1", "to all")
        .unwrap();
    // The sender's first message is the incoming one: of its own it had the answer alone.
    let (message, pts) = sender.next_message().await;
    assert_eq!(
        (message.message.as_str(), message.out, pts),
        ("to all", false, 4),
        "her reading counts too"
    );
    assert_eq!(watcher.next_message().await.0.message, "to all");
}

#[tokio::test]
async fn people_answer_by_script_and_block_when_theirs_says_so() {
    let script = |people: &str, reply: Option<&[&str]>, block| ScriptSpec {
        people: Some(Choice::List(vec![Ref::from(people)])),
        reply: reply.map(|r| Replies::Many(r.iter().map(|t| (*t).to_owned()).collect())),
        delay: Some(SpanRange {
            from: "10s".parse::<Span>().unwrap(),
            to: "20s".parse().unwrap(),
        }),
        block,
        ..ScriptSpec::default()
    };
    let world = WorldSpec {
        scripts: vec![
            script("@anna", Some(&["first", "stop"]), false),
            script("@boris", None, true),
        ],
        ..small_world()
    };
    let options = SandboxOptions {
        world,
        ai_port: None,
        speed: 200.0,
        ..SandboxOptions::default()
    };
    let sandbox = Sandbox::start(options).await.unwrap();
    let mut client = Client::of(&sandbox, 0).await;
    for (n, wanted) in [(1, "first"), (2, "stop")] {
        client
            .call(&text(peer_of(&sandbox, 0, 101), n, "hi"))
            .await
            .unwrap();
        assert_eq!(client.next_message().await.0.message, wanted);
    }
    client
        .call(&text(peer_of(&sandbox, 0, 101), 3, "hi"))
        .await
        .unwrap();
    client
        .call(&text(peer_of(&sandbox, 0, 102), 4, "hi"))
        .await
        .unwrap();
    let blocked = || {
        sandbox
            .ledger()
            .entries()
            .into_iter()
            .any(|e| e.kind == "person" && e.method == "block")
    };
    for _ in 0..200 {
        if blocked() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(
        client
            .refusal(&text(peer_of(&sandbox, 0, 102), 5, "hi"))
            .await,
        "USER_IS_BLOCKED"
    );
    let written = sandbox
        .ledger()
        .entries()
        .into_iter()
        .filter(|e| e.kind == "person" && e.method == "write")
        .count();
    assert_eq!(written, 2, "to a third message she has no reply");
}

fn history(peer: enums::InputPeer, offset_id: i32, limit: i32) -> functions::messages::GetHistory {
    functions::messages::GetHistory {
        peer,
        offset_id,
        offset_date: 0,
        add_offset: 0,
        limit,
        max_id: 0,
        min_id: 0,
        hash: 0,
    }
}

#[tokio::test]
async fn histories_are_read_from_the_newest_in_pages() {
    let mut world = small_world();
    let line = |text: &str, out, ago: &str| LineSpec {
        text: text.into(),
        out,
        ago: ago.parse().unwrap(),
        ..LineSpec::default()
    };
    world.accounts[0].dialogs = vec![DialogSpec {
        with: Ref::from("@anna"),
        messages: vec![line("hi", false, "3d"), line("hello", true, "2d")],
    }];
    let sandbox = start(world).await;
    let client = Client::of(&sandbox, 0).await;
    client
        .call(&text(peer_of(&sandbox, 0, 101), 1, "news"))
        .await
        .unwrap();
    let page = |offset, limit| history(peer_of(&sandbox, 0, 101), offset, limit);
    let enums::messages::Messages::Slice(newest) = client.call(&page(0, 2)).await.unwrap() else {
        panic!("a slice")
    };
    assert_eq!(
        (texts(&newest.messages), newest.count),
        (vec!["news", "hello"], 3)
    );
    let enums::messages::Messages::Slice(rest) = client.call(&page(2, 2)).await.unwrap() else {
        panic!("a slice")
    };
    assert_eq!(texts(&rest.messages), ["hi"]);
    let enums::Message::Message(oldest) = &rest.messages[0] else {
        panic!("a message")
    };
    assert!(i64::from(oldest.date) < chrono::Utc::now().timestamp() - 2 * 86_400 && !oldest.out);
    let enums::messages::Messages::Messages(all) = client.call(&page(0, 100)).await.unwrap() else {
        panic!("all")
    };
    assert_eq!(all.messages.len(), 3);
}

#[tokio::test]
async fn dialogs_come_newest_first_and_page_by_page() {
    let sandbox = start(small_world()).await;
    let client = Client::of(&sandbox, 0).await;
    for (n, id) in [(1, 101), (2, 102), (3, 103)] {
        client
            .call(&text(peer_of(&sandbox, 0, id), n, "hi"))
            .await
            .unwrap();
    }
    let page = |offset_date, offset_id, offset_peer| functions::messages::GetDialogs {
        exclude_pinned: false,
        folder_id: None,
        offset_date,
        offset_id,
        offset_peer,
        limit: 2,
        hash: 0,
    };
    let enums::messages::Dialogs::Slice(first) = client
        .call(&page(0, 0, enums::InputPeer::Empty))
        .await
        .unwrap()
    else {
        panic!("a slice")
    };
    let of = |d: &enums::Dialog| match d {
        enums::Dialog::Dialog(d) => match &d.peer {
            enums::Peer::User(u) => u.user_id,
            enums::Peer::Channel(c) => c.channel_id,
            enums::Peer::Chat(c) => c.chat_id,
        },
        other => panic!("{other:?}"),
    };
    assert_eq!(
        (
            first.dialogs.iter().map(of).collect::<Vec<_>>(),
            first.count
        ),
        (vec![103, 102], 4)
    );
    let enums::Message::Message(last) = &first.messages[1] else {
        panic!("a message")
    };
    let next = page(last.date, last.id, peer_of(&sandbox, 0, 102));
    let enums::messages::Dialogs::Slice(second) = client.call(&next).await.unwrap() else {
        panic!("a slice")
    };
    assert_eq!(second.dialogs.iter().map(of).next(), Some(101));
    assert_eq!(second.dialogs.len(), 2, "and the group");
}

#[tokio::test]
async fn comments_are_found_under_their_post() {
    let mut world = small_world();
    world.groups.extend([
        GroupSpec {
            kind: GroupKind::Channel,
            title: "News".into(),
            username: Some("news_here".into()),
            creator: Some(Ref::from("sales-1")),
            discussion: Some("News chat".into()),
            history: Some(History::Lines(vec![
                LineSpec {
                    text: "post one".into(),
                    ..LineSpec::default()
                },
                LineSpec {
                    text: "post two".into(),
                    comments: vec![LineSpec {
                        from: Some(Ref::from("@anna")),
                        text: "nice".into(),
                        ..LineSpec::default()
                    }],
                    ..LineSpec::default()
                },
            ])),
            ..GroupSpec::default()
        },
        GroupSpec {
            title: "News chat".into(),
            creator: Some(Ref::from("sales-1")),
            ..GroupSpec::default()
        },
    ]);
    let sandbox = start(world).await;
    let client = Client::of(&sandbox, 0).await;
    let (channel, peer) = place_of(&sandbox, 0, "news_here");
    let enums::messages::Messages::ChannelMessages(posts) =
        client.call(&history(peer.clone(), 0, 10)).await.unwrap()
    else {
        panic!("channel messages")
    };
    assert_eq!(texts(&posts.messages), ["post two", "post one"]);
    let replies = |msg_id| functions::messages::GetReplies {
        peer: peer.clone(),
        msg_id,
        offset_id: 0,
        offset_date: 0,
        add_offset: 0,
        limit: 10,
        max_id: 0,
        min_id: 0,
        hash: 0,
    };
    let enums::messages::Messages::ChannelMessages(comments) =
        client.call(&replies(2)).await.unwrap()
    else {
        panic!("channel messages")
    };
    assert_eq!(texts(&comments.messages), ["nice"]);
    assert!(comments.users.iter().any(|u| u.id() == 101));
    assert_eq!(client.refusal(&replies(1)).await, "MSG_ID_INVALID");
    let enums::messages::ChatFull::Full(full) = client
        .call(&functions::channels::GetFullChannel { channel })
        .await
        .unwrap();
    assert!(
        matches!(full.full_chat, enums::ChatFull::ChannelFull(f) if f.linked_chat_id.is_some())
    );
}

#[tokio::test]
async fn reading_and_typing_and_importing_are_written_down() {
    let sandbox = start(small_world()).await;
    sandbox.send_as_person("@anna", "sales-1", "hello").unwrap();
    let client = Client::of(&sandbox, 0).await;
    let read = functions::messages::ReadHistory {
        peer: peer_of(&sandbox, 0, 101),
        max_id: 0,
    };
    let enums::messages::AffectedMessages::Messages(affected) = client.call(&read).await.unwrap();
    assert_eq!((affected.pts, affected.pts_count), (3, 1));
    let enums::messages::AffectedMessages::Messages(affected) = client.call(&read).await.unwrap();
    assert_eq!((affected.pts, affected.pts_count), (3, 0));
    let typing = functions::messages::SetTyping {
        peer: peer_of(&sandbox, 0, 101),
        top_msg_id: None,
        action: enums::SendMessageAction::SendMessageTypingAction,
    };
    assert!(client.call(&typing).await.unwrap());
    assert_eq!(
        sandbox.ledger().of_method("messages.setTyping")[0]
            .peer
            .as_deref(),
        Some("user:101")
    );
    let contact = types::InputPhoneContact {
        client_id: 1,
        phone: "+15550200001".into(),
        first_name: "A".into(),
        last_name: String::new(),
        note: None,
    };
    client
        .call(&functions::contacts::ImportContacts {
            contacts: vec![contact.into()],
        })
        .await
        .unwrap();
    let entry = sandbox
        .ledger()
        .of_method("contacts.importContacts")
        .pop()
        .unwrap();
    assert_eq!(entry.note.as_deref(), Some("THE ADDRESS BOOK WAS WRITTEN"));
}

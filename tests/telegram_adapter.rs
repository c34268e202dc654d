//! The grammers adapter against the loopback Telegram, over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

#[path = "telegram_adapter/clock.rs"]
mod clock;

use tidings::model::reaction::{Reaction, react};
use tidings::model::{Formatted, InDoubtWhy, PersonId, RandomKey, Reference};
use tidings::sandbox::{
    AccountSpec, Choice, Effect, FaultRule, GroupKind, GroupSpec, PersonSpec, Ref, Sandbox,
    SandboxOptions, WorldSpec,
};
use tidings::telegram::{
    AccountClient, AccountConfig, CallError, Delivered, GrammersTelegram, Incoming, MayLeave,
    MediaHandle, Place, PlaceKind, Received, Secret, Telegram, UpdatesState, encode_send,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// The limit of a call where a test waits it out.
const SHORT: Duration = Duration::from_millis(700);

struct World {
    sandbox: Sandbox,
    folder: tempfile::TempDir,
}

impl World {
    async fn start() -> World {
        let person = |id: i64, username: Option<String>| PersonSpec {
            id: Some(id),
            username,
            first_name: Some(format!("Person {id}")),
            ..PersonSpec::default()
        };
        let mut people = vec![
            PersonSpec {
                phone: Some("+15550200001".into()),
                ..person(101, Some("anna".into()))
            },
            PersonSpec {
                bot: true,
                ..person(102, Some("some_bot".into()))
            },
            PersonSpec {
                blocks: vec!["sales-1".into()],
                ..person(103, Some("boris".into()))
            },
        ];
        // More than two pages of members.
        people.extend((1000..1450).map(|id| person(id, None)));
        let spec = WorldSpec {
            seed: 5,
            accounts: vec![
                AccountSpec {
                    name: "sales-1".into(),
                    phone: Some("+15550100001".into()),
                    first_name: Some("Mia".into()),
                    username: Some("mia_sales".into()),
                    ..AccountSpec::default()
                },
                AccountSpec {
                    name: "sales-2".into(),
                    ..AccountSpec::default()
                },
            ],
            people,
            groups: vec![
                GroupSpec {
                    title: "Meetup".into(),
                    username: Some("rust_meetup".into()),
                    creator: Some(Ref::from("sales-1")),
                    admins: vec![Ref::from("@anna")],
                    members: Some(Choice::Word("all".into())),
                    accounts: Some(vec!["sales-1".into()]),
                    ..GroupSpec::default()
                },
                GroupSpec {
                    kind: GroupKind::Basic,
                    title: "Friends".into(),
                    creator: Some(Ref::from("@anna")),
                    members: Some(Choice::List(vec![Ref::from("@anna"), Ref::from("@boris")])),
                    accounts: Some(vec!["sales-1".into()]),
                    ..GroupSpec::default()
                },
                GroupSpec {
                    title: "Shy".into(),
                    username: Some("shy_place".into()),
                    creator: Some(Ref::from("@anna")),
                    members: Some(Choice::Word("all".into())),
                    accounts: Some(vec!["sales-1".into()]),
                    hidden_members: true,
                    ..GroupSpec::default()
                },
            ],
            ..WorldSpec::default()
        };
        let options = SandboxOptions {
            world: spec,
            ai_port: None,
            ..SandboxOptions::default()
        };
        let sandbox = Sandbox::start(options).await.expect("starts");
        let folder = tempfile::tempdir().expect("a folder");
        sandbox
            .write_sessions(folder.path())
            .await
            .expect("writes sessions");
        World { sandbox, folder }
    }

    fn session(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.session"))
    }

    async fn open(&self, name: &str) -> Arc<dyn AccountClient> {
        self.open_with(name, PATIENCE).await
    }

    async fn open_with(&self, name: &str, limit: Duration) -> Arc<dyn AccountClient> {
        let mut config =
            AccountConfig::new(name.into(), self.session(name), 1, Secret::new("hash"));
        config.call_timeout = limit;
        GrammersTelegram.open(config).await.expect("opens")
    }

    /// How many connections made a call.
    fn connections(&self) -> usize {
        let all = self.sandbox.ledger().entries();
        all.iter()
            .filter_map(|e| e.connection)
            .collect::<BTreeSet<_>>()
            .len()
    }

    /// How often a message of this text took effect.
    fn arrived(&self, text: &str) -> usize {
        let all = self.sandbox.ledger().of_method("messages.sendMessage");
        all.iter()
            .filter(|e| e.text.as_deref() == Some(text) && e.effect && e.first == Some(true))
            .count()
    }
}

fn username(name: &str) -> Reference {
    Reference::Username(name.into())
}

fn text(text: &str) -> Formatted {
    Formatted {
        text: text.into(),
        entities: vec![],
    }
}

/// Whom an account can write to, with his hash.
async fn meet(client: &dyn AccountClient, name: &str) -> (PersonId, i64) {
    let met = client.resolve(&username(name)).await.expect("a person");
    let hash = *met.person.hashes.get(client.name()).expect("a hash");
    (PersonId(met.person.contact.id.expect("an id")), hash)
}

fn message(to: (PersonId, i64), what: &str, random_id: i64) -> Arc<[u8]> {
    encode_send(to.0, to.1, text(what), true, random_id, None).into()
}

/// Sends the same bytes until Telegram says what became of them, as the engine does.
async fn send_until_known(client: &dyn AccountClient, request: &[u8]) -> Delivered {
    let begin = Instant::now();
    loop {
        match client.send(request.into()).await {
            Ok(delivered) => return delivered,
            Err(CallError::InDoubt { .. } | CallError::NotSent { .. })
                if begin.elapsed() < PATIENCE =>
            {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn an_account_says_who_it_is() {
    let world = World::start().await;
    let client = world.open("sales-1").await;
    assert!(!client.is_alive());
    let me = client.me().await.expect("answers");
    assert_eq!(
        (me.first_name.as_deref(), me.username.as_deref()),
        (Some("Mia"), Some("mia_sales"))
    );
    assert_eq!(me.phone.as_deref(), Some("15550100001"));
    assert!(client.is_alive());
    assert_eq!(client.last_failure(), None);
    let key = world.sandbox.world(|w| w.auth_key(0));
    assert!(client.random_key() == RandomKey::of_auth_key(&key));
}

async fn everybody(
    client: &dyn AccountClient,
    place: &Place,
) -> (BTreeSet<i64>, usize, Option<String>) {
    let (mut ids, mut pages, mut cursor) = (BTreeSet::new(), 0, None);
    loop {
        let page = client
            .members_page(place, cursor, 200)
            .await
            .expect("a page");
        pages += 1;
        for met in &page.people {
            assert!(
                ids.insert(met.person.contact.id.expect("an id")),
                "listed once"
            );
            assert!(met.min || met.person.hashes.contains_key(client.name()));
        }
        match page.next {
            Some(next) => cursor = Some(next),
            None => return (ids, pages, page.partial),
        }
    }
}

#[tokio::test]
async fn members_of_a_supergroup_come_in_pages() {
    let world = World::start().await;
    let client = world.open("sales-1").await;
    let place = client
        .place(&username("rust_meetup"))
        .await
        .expect("a place");
    assert_eq!(
        (place.kind, place.admin, place.title.as_str()),
        (PlaceKind::Supergroup, true, "Meetup")
    );
    let (ids, pages, partial) = everybody(&*client, &place).await;
    assert_eq!((ids.len(), pages, partial), (454, 3, None));
    let first = client
        .members_page(&place, None, 200)
        .await
        .expect("a page");
    let admins: Vec<_> = first.people.iter().filter(|met| met.person.admin).collect();
    let admin = |name: &str| {
        admins
            .iter()
            .any(|m| m.person.contact.username.as_deref() == Some(name))
    };
    assert!(admin("anna") && admin("mia_sales"));
    let bots = first.people.iter().filter(|met| met.person.bot).count();
    assert_eq!(bots, 1);
}

#[tokio::test]
async fn members_of_a_basic_group_come_at_once_and_it_is_found_by_its_id() {
    let world = World::start().await;
    let client = world.open("sales-1").await;
    let id = world.sandbox.world(|w| {
        w.groups
            .iter()
            .find(|g| g.title == "Friends")
            .expect("is there")
            .id
    });
    let place = client.place(&Reference::Id(id)).await.expect("a place");
    assert_eq!(
        (place.kind, place.id, place.admin),
        (PlaceKind::BasicGroup, id, false)
    );
    let (ids, pages, partial) = everybody(&*client, &place).await;
    assert!(ids.contains(&101) && ids.contains(&103));
    assert_eq!((ids.len(), pages, partial), (3, 1, None));
}

#[tokio::test]
async fn hidden_members_are_said_to_be_missing() {
    let world = World::start().await;
    let client = world.open("sales-1").await;
    let place = client.place(&username("shy_place")).await.expect("a place");
    assert!(!place.admin);
    let page = client.members_page(&place, None, 200).await;
    match page {
        Ok(page) => assert!(page.partial.is_some() && page.next.is_none(), "{page:?}"),
        Err(CallError::Rpc(fault)) => {
            assert_eq!(
                react(&fault),
                Reaction::Stall {
                    reason: "ChatAdminRequired"
                }
            );
        }
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn people_are_found_by_username_and_phone_and_by_nothing_else() {
    let world = World::start().await;
    let client = world.open("sales-1").await;
    let anna = client.resolve(&username("anna")).await.expect("a person");
    assert_eq!(anna.person.contact.id, Some(101));
    assert!(!anna.min);
    let phone = client
        .resolve(&Reference::Phone("15550200001".into()))
        .await
        .expect("a person");
    assert_eq!(phone.person.contact.id, Some(101));
    assert_eq!(phone.person.hashes, anna.person.hashes);
    let bot = client.resolve(&username("some_bot")).await.expect("a bot");
    assert!(bot.person.bot);
    assert_eq!(
        client.resolve(&username("rust_meetup")).await,
        Err(CallError::NotAPerson(username("rust_meetup")))
    );
    assert_eq!(
        client.place(&username("anna")).await,
        Err(CallError::NotAPlace(username("anna")))
    );
    assert_eq!(
        client.resolve(&Reference::Id(101)).await,
        Err(CallError::NotMet(Reference::Id(101)))
    );
    assert_eq!(
        client.place(&Reference::Id(5)).await,
        Err(CallError::NotMet(Reference::Id(5)))
    );
    for nobody in [
        username("nobody_at_all"),
        Reference::Phone("19999999999".into()),
    ] {
        match client.resolve(&nobody).await {
            Err(CallError::Rpc(fault)) => assert!(
                matches!(react(&fault), Reaction::SkipRecipient { .. }),
                "{nobody}: {fault}"
            ),
            other => panic!("{nobody}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn the_same_bytes_are_the_same_message() {
    let world = World::start().await;
    let client = world.open("sales-1").await;
    let anna = meet(&*client, "anna").await;
    let request = message(anna, "hello", 42);
    let first = client.send(request.clone()).await.expect("is sent");
    assert!(!first.earlier);
    let again = client.send(request.clone()).await.expect("is known");
    assert!(again.earlier);
    assert_eq!(again.message_id, first.message_id);
    // Another life of the same account.
    client.close();
    let other = world.open("sales-1").await;
    assert_eq!(
        other.send(request).await.expect("is known").message_id,
        first.message_id
    );
    let next = other
        .send(message(anna, "hello", 43))
        .await
        .expect("is sent");
    assert_ne!(next.message_id, first.message_id);
    assert_eq!(world.arrived("hello"), 2);
    let history = other
        .last_messages(anna.0, anna.1, 10)
        .await
        .expect("a history");
    let ids: Vec<_> = history
        .iter()
        .map(|m| (m.id, m.out, m.text.as_str()))
        .collect();
    assert_eq!(
        ids,
        [
            (next.message_id, true, "hello"),
            (first.message_id, true, "hello")
        ]
    );
}

#[tokio::test]
async fn a_file_is_uploaded_once_and_sent_twice() {
    let world = World::start().await;
    let client = world.open("sales-1").await;
    let anna = meet(&*client, "anna").await;
    for (name, mime, size, kind) in [
        ("banner.png", "image/png", 700 * 1024, "photo"),
        ("terms.pdf", "application/pdf", 3, "document"),
        // Above 10 MB: by `upload.saveBigFilePart`.
        ("film.mp4", "video/mp4", 11 * 1024 * 1024, "document"),
    ] {
        let media: MediaHandle = client
            .upload(name, mime, vec![7; size])
            .await
            .expect("is uploaded");
        for random_id in [1, 2] {
            let random_id = random_id + i64::try_from(size).expect("small");
            let request: Arc<[u8]> =
                encode_send(anna.0, anna.1, text(name), true, random_id, Some(&media)).into();
            let sent = client.send(request.clone()).await.expect("is sent");
            let again = client.send(request).await.expect("is known");
            assert_eq!((again.message_id, sent.earlier), (sent.message_id, false));
        }
        let sent: Vec<_> = world.sandbox.ledger().of_method("messages.sendMedia");
        let sent: Vec<_> = sent
            .iter()
            .filter(|e| e.text.as_deref() == Some(name))
            .collect();
        assert_eq!(
            sent.iter().filter(|e| e.first == Some(true)).count(),
            2,
            "{name}"
        );
        assert_eq!(sent[0].media.as_deref(), Some(kind), "{name}");
    }
    assert_eq!(
        world
            .sandbox
            .ledger()
            .of_method("messages.uploadMedia")
            .len(),
        3
    );
    assert!(client.upload("empty", "text/plain", vec![]).await.is_err());
}

#[tokio::test]
async fn typing_is_shown() {
    let world = World::start().await;
    let client = world.open("sales-1").await;
    let anna = meet(&*client, "anna").await;
    client.typing(anna.0, anna.1).await.expect("is shown");
    assert_eq!(
        world.sandbox.ledger().of_method("messages.setTyping").len(),
        1
    );
}

#[tokio::test]
async fn a_hash_of_another_account_is_worthless() {
    let world = World::start().await;
    let (one, two) = (world.open("sales-1").await, world.open("sales-2").await);
    let anna = meet(&*one, "anna").await;
    let error = two
        .send(message(anna, "hello", 1))
        .await
        .expect_err("is refused");
    let CallError::Rpc(fault) = error else {
        panic!("{error:?}")
    };
    assert_eq!(react(&fault), Reaction::LookUpAgain, "{fault}");
    assert_eq!(world.arrived("hello"), 0);
}

#[tokio::test]
async fn refusals_come_in_telegrams_own_words() {
    let world = World::start().await;
    let client = world.open("sales-1").await;
    let anna = meet(&*client, "anna").await;
    for message_text in [
        "FLOOD_WAIT_31",
        "SLOWMODE_WAIT_10",
        "FLOOD_PREMIUM_WAIT_5",
        "ALLOW_PAYMENT_REQUIRED_50",
        "PEER_FLOOD",
    ] {
        world.sandbox.clear_faults();
        world
            .sandbox
            .fault(FaultRule::error(message_text).method("messages.sendMessage"));
        match client.send(message(anna, "hello", 1)).await {
            Err(CallError::Rpc(fault)) => assert_eq!(fault.message, message_text),
            other => panic!("{message_text}: {other:?}"),
        }
    }
    world.sandbox.clear_faults();
    let boris = meet(&*client, "boris").await;
    let refused = client
        .send(message(boris, "hello", 2))
        .await
        .expect_err("he blocked the account");
    let CallError::Rpc(fault) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(fault.base(), "USER_IS_BLOCKED");
    // A refusal does not cost the connection.
    let opened = world.connections();
    client
        .send(message(anna, "hello", 3))
        .await
        .expect("is sent");
    let after = world.connections();
    assert_eq!(opened, after);
}

#[tokio::test]
async fn whatever_breaks_during_a_send_leaves_it_in_doubt_and_the_same_bytes_settle_it() {
    for (effect, why) in [
        (Effect::DropBefore, InDoubtWhy::Connection),
        (Effect::DropAfter, InDoubtWhy::Connection),
        (Effect::HalfAnswer, InDoubtWhy::Connection),
        (Effect::Garbled, InDoubtWhy::Connection),
        (Effect::SilentBefore, InDoubtWhy::Timeout),
        (Effect::SilentAfter, InDoubtWhy::Timeout),
        (Effect::Transport(429), InDoubtWhy::Connection),
    ] {
        let world = World::start().await;
        let client = world.open_with("sales-1", SHORT).await;
        let anna = meet(&*client, "anna").await;
        world.sandbox.fault(
            FaultRule::new(effect.clone())
                .method("messages.sendMessage")
                .nth(1),
        );
        let request = message(anna, "hello", 42);
        let begin = Instant::now();
        match client.send(request.clone()).await {
            Err(CallError::InDoubt { why: found, .. }) => assert_eq!(found, why, "{effect:?}"),
            other => panic!("{effect:?}: {other:?}"),
        }
        assert!(
            begin.elapsed() < SHORT + Duration::from_secs(3),
            "{effect:?}"
        );
        send_until_known(&*client, &request).await;
        assert_eq!(world.arrived("hello"), 1, "{effect:?}");
    }
}

#[tokio::test]
async fn an_error_inside_telegram_is_a_refusal_that_leaves_doubt() {
    let world = World::start().await;
    let client = world.open("sales-1").await;
    let anna = meet(&*client, "anna").await;
    let effect = Effect::Error {
        code: 500,
        text: "WORKER_BUSY_TOO_LONG_RETRY".into(),
    };
    world
        .sandbox
        .fault(FaultRule::new(effect).method("messages.sendMessage").nth(1));
    let error = client
        .send(message(anna, "hello", 42))
        .await
        .expect_err("an error");
    let CallError::Rpc(fault) = error else {
        panic!("{error:?}")
    };
    assert_eq!((fault.code, react(&fault)), (500, Reaction::InDoubt));
    assert!(!client.is_alive(), "the connection is rebuilt");
    client
        .send(message(anna, "hello", 42))
        .await
        .expect("is sent");
}

#[tokio::test]
async fn a_changed_salt_is_no_failure() {
    let world = World::start().await;
    let client = world.open("sales-1").await;
    let anna = meet(&*client, "anna").await;
    world.sandbox.fault(
        FaultRule::new(Effect::BadSalt)
            .method("messages.sendMessage")
            .nth(1),
    );
    client
        .send(message(anna, "hello", 42))
        .await
        .expect("is sent");
    assert_eq!(world.arrived("hello"), 1);
}

#[tokio::test]
async fn a_connection_that_ended_in_between_costs_the_next_call_nothing() {
    let world = World::start().await;
    let client = world.open("sales-1").await;
    let anna = meet(&*client, "anna").await;
    world.sandbox.stop();
    tokio::time::sleep(Duration::from_millis(200)).await;
    world.sandbox.start_again().await.expect("listens");
    let sent = client
        .send(message(anna, "hello", 42))
        .await
        .expect("is sent");
    assert!(!sent.earlier);
}

#[tokio::test]
async fn where_nobody_listens_nothing_was_sent() {
    let world = World::start().await;
    let client = world.open_with("sales-1", SHORT).await;
    let anna = meet(&*client, "anna").await;
    world.sandbox.stop();
    tokio::time::sleep(Duration::from_millis(200)).await;
    for _ in 0..3 {
        let error = client
            .send(message(anna, "hello", 42))
            .await
            .expect_err("nobody is there");
        assert!(matches!(error, CallError::NotSent { .. }), "{error:?}");
    }
    let (_, why) = client.last_failure().expect("is remembered");
    assert!(why.contains("127.0.0.1"), "{why}");
    assert!(!client.is_alive());
    world.sandbox.start_again().await.expect("listens");
    send_until_known(&*client, &message(anna, "hello", 42)).await;
    assert_eq!(world.arrived("hello"), 1);
    assert_eq!(client.last_failure(), None);
}

#[tokio::test]
async fn a_server_that_accepts_and_says_nothing_is_given_up_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.session");
    write_session(
        &path,
        listener.local_addr().expect("an address").port(),
        [7; 256],
    )
    .await;
    let mut config = AccountConfig::new("a".into(), path, 1, Secret::default());
    config.call_timeout = SHORT;
    let client = GrammersTelegram.open(config).await.expect("opens");
    let begin = Instant::now();
    let error = client.me().await.expect_err("nobody answers");
    assert!(matches!(error, CallError::NotSent { .. }), "{error:?}");
    assert!(begin.elapsed() < SHORT + Duration::from_secs(2));
}

async fn write_session(path: &std::path::Path, port: u16, key: [u8; 256]) {
    use grammers_session::Session as _;
    let session = grammers_session::storages::SqliteSession::open(path)
        .await
        .expect("opens");
    session.set_home_dc_id(2).await.expect("writes");
    session
        .set_dc_option(&grammers_session::types::DcOption {
            id: 2,
            ipv4: std::net::SocketAddrV4::new(Ipv4Addr::LOCALHOST, port),
            ipv6: std::net::SocketAddrV6::new(std::net::Ipv6Addr::LOCALHOST, port, 0, 0),
            auth_key: Some(key),
        })
        .await
        .expect("writes");
}

#[tokio::test]
async fn a_key_that_telegram_does_not_know_is_reported_and_its_file_stays_as_it_was() {
    let world = World::start().await;
    let before = std::fs::read(world.session("sales-1")).expect("reads");
    let client = world.open("sales-1").await;
    let anna = meet(&*client, "anna").await;
    // The key is forgotten in the middle of the work …
    world.sandbox.fault(
        FaultRule::new(Effect::ForgetKey)
            .method("messages.sendMessage")
            .nth(1),
    );
    let error = client
        .send(message(anna, "hello", 42))
        .await
        .expect_err("404");
    assert!(matches!(error, CallError::InDoubt { .. }), "{error:?}");
    assert_eq!(
        client.send(message(anna, "hello", 42)).await,
        Err(CallError::KeyUnknown)
    );
    // … or before it.
    let other = world.open("sales-1").await;
    assert_eq!(other.me().await, Err(CallError::KeyUnknown));
    assert_eq!(
        std::fs::read(world.session("sales-1")).expect("reads"),
        before
    );
    let beside = std::fs::read_dir(world.folder.path())
        .expect("lists")
        .count();
    assert_eq!(beside, 2, "nothing but the two sessions");
    // Known again, it works again without anybody doing anything.
    world
        .sandbox
        .set_key_known("sales-1", true)
        .expect("is there");
    tokio::time::sleep(Duration::from_secs(1)).await;
    other.me().await.expect("answers");
}

#[tokio::test]
async fn an_account_that_is_not_logged_in_is_unauthorized() {
    let world = World::start().await;
    let client = world.open("sales-1").await;
    for message_text in ["AUTH_KEY_UNREGISTERED", "SESSION_REVOKED"] {
        world.sandbox.clear_faults();
        world
            .sandbox
            .fault(FaultRule::error(message_text).method("users.getUsers"));
        let error = client.me().await.expect_err("is refused");
        let CallError::Rpc(fault) = error else {
            panic!("{error:?}")
        };
        assert!(matches!(react(&fault), Reaction::LoseAccount(_)), "{fault}");
    }
}

async fn next_message(received: &mut mpsc::Receiver<Received>) -> Incoming {
    loop {
        match timeout(PATIENCE, received.recv())
            .await
            .expect("in time")
            .expect("the client lives")
        {
            Received::Message(message) => return *message,
            Received::State(_) | Received::CaughtUp | Received::Behind(_) | Received::Lost(_) => {}
        }
    }
}

async fn next_state(received: &mut mpsc::Receiver<Received>) -> UpdatesState {
    match timeout(PATIENCE, received.recv()).await.expect("in time") {
        Some(Received::State(state)) => state,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn messages_come_in_live_and_after_being_away_each_once() {
    let world = World::start().await;
    let client = world.open("sales-1").await;
    let mut received = client.start_updates(None);
    let begin = next_state(&mut received).await;
    assert!(begin.pts > 0);

    world
        .sandbox
        .send_as_person("@anna", "sales-1", "one")
        .expect("writes");
    let one = next_message(&mut received).await;
    assert_eq!((one.person, one.text.as_str()), (PersonId(101), "one"));
    let contact = one.contact.expect("who it is");
    assert!(contact.hashes.contains_key("sales-1"));

    // The connection breaks; what comes in meanwhile is asked for.
    world.sandbox.stop();
    world
        .sandbox
        .send_as_person("@anna", "sales-1", "two")
        .expect("writes");
    tokio::time::sleep(Duration::from_millis(200)).await;
    world.sandbox.start_again().await.expect("listens");
    let two = next_message(&mut received).await;
    assert_eq!(two.text, "two");
    let state = two.state.expect("a state");
    assert!(state.pts >= begin.pts);

    // The engine is away for a while, and begins again where it stood.
    client.close();
    world
        .sandbox
        .send_as_person("@anna", "sales-1", "three")
        .expect("writes");
    let later = world.open("sales-1").await;
    let mut received = later.start_updates(Some(state));
    let mut texts = vec![next_message(&mut received).await.text];
    // The state of a message that came with others may lie before it: it is told again, never lost.
    if texts == ["two"] {
        texts.push(next_message(&mut received).await.text);
    }
    assert_eq!(texts.last().map(String::as_str), Some("three"));
    world
        .sandbox
        .send_as_person("@anna", "sales-1", "four")
        .expect("writes");
    assert_eq!(next_message(&mut received).await.text, "four");
}

#[tokio::test]
async fn a_server_that_knows_no_states_still_gets_its_messages_and_tells_its_own() {
    let world = World::start().await;
    world
        .sandbox
        .fault(FaultRule::error("METHOD_INVALID").method("updates.*"));
    world
        .sandbox
        .fault(FaultRule::error("METHOD_INVALID").method("messages.setTyping"));
    let client = world.open("sales-1").await;
    let mut received = client.start_updates(None);
    let anna = meet(&*client, "anna").await;
    assert!(client.typing(anna.0, anna.1).await.is_err());
    client
        .send(message(anna, "hello", 42))
        .await
        .expect("is sent");
    world
        .sandbox
        .send_as_person("@anna", "sales-1", "one")
        .expect("writes");
    assert_eq!(next_message(&mut received).await.text, "one");
}

#[tokio::test]
async fn own_sends_leave_no_gap_in_the_updates() {
    let world = World::start().await;
    let client = world.open("sales-1").await;
    let mut received = client.start_updates(None);
    next_state(&mut received).await;
    let anna = meet(&*client, "anna").await;
    for random_id in 1..=50 {
        client
            .send(message(anna, "hello", random_id))
            .await
            .expect("is sent");
    }
    world
        .sandbox
        .send_as_person("@anna", "sales-1", "enough")
        .expect("writes");
    assert_eq!(next_message(&mut received).await.text, "enough");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let asked = world
        .sandbox
        .ledger()
        .of_method("updates.getDifference")
        .len();
    assert_eq!(asked, 0, "nothing was missing");
}

#[tokio::test]
async fn logging_out_ends_the_session_at_telegram() {
    let world = World::start().await;
    let client = world.open("sales-1").await;
    client.me().await.expect("answers");
    client.log_out().await.expect("is logged out");
    assert_eq!(world.sandbox.ledger().of_method("auth.logOut").len(), 1);
    assert!(!client.is_alive());
}

#[tokio::test]
async fn requests_that_would_break_the_library_are_refused_before() {
    let world = World::start().await;
    let client = world.open("sales-1").await;
    for bytes in [
        vec![],
        vec![1, 2, 3],
        vec![1, 2, 3, 4, 5],
        vec![0; 2 * 1024 * 1024],
    ] {
        let error = client.send(bytes.into()).await.expect_err("is refused");
        assert!(matches!(error, CallError::NotSent { .. }), "{error:?}");
    }
    client.me().await.expect("the client lives");
}

#[tokio::test]
async fn many_sends_at_once_over_a_breaking_connection_arrive_once_each() {
    let world = World::start().await;
    let client = world.open_with("sales-1", Duration::from_secs(3)).await;
    let anna = meet(&*client, "anna").await;
    for (nth, effect) in [
        (3, Effect::DropAfter),
        (9, Effect::DropBefore),
        (15, Effect::HalfAnswer),
        (23, Effect::SilentAfter),
    ] {
        world.sandbox.fault(
            FaultRule::new(effect)
                .method("messages.sendMessage")
                .nth(nth),
        );
    }
    let sends = (1..=30).map(|random_id| {
        let client = client.clone();
        async move {
            let text = format!("message {random_id}");
            send_until_known(&*client, &message(anna, &text, random_id))
                .await
                .message_id
        }
    });
    let ids: BTreeSet<_> = futures::future::join_all(sends).await.into_iter().collect();
    assert_eq!(ids.len(), 30);
    for random_id in 1..=30 {
        assert_eq!(
            world.arrived(&format!("message {random_id}")),
            1,
            "{random_id}"
        );
    }
}

/// A row of messages to one person, as long as nothing says no; what came of each, and how many never left.
async fn row(
    client: &dyn AccountClient,
    to: (PersonId, i64),
    messages: std::ops::RangeInclusive<i64>,
    may_leave: MayLeave,
) -> (Vec<Result<Delivered, CallError>>, usize) {
    let requests = messages.map(|n| message(to, &format!("message {n}"), n));
    let mut results = Vec::new();
    let rest = client
        .send_in_turn(requests.collect(), may_leave, &mut |told| {
            results.extend(told);
        })
        .await;
    (results, rest.len())
}

#[tokio::test]
async fn a_row_of_sends_goes_in_its_order_and_ends_with_the_first_that_fails() {
    let refusal = |text: &str| Effect::Error {
        code: 400,
        text: text.to_owned(),
    };
    for (effect, refused) in [
        (refusal("PEER_FLOOD"), true),
        (refusal("USER_PRIVACY_RESTRICTED"), true),
        (Effect::DropBefore, false),
        (Effect::DropAfter, false),
        (Effect::SilentBefore, false),
        (Effect::SilentAfter, false),
    ] {
        let world = World::start().await;
        let client = world.open_with("sales-1", SHORT).await;
        let anna = meet(&*client, "anna").await;
        world.sandbox.fault(
            FaultRule::new(effect.clone())
                .method("messages.sendMessage")
                .nth(101),
        );
        let always: MayLeave = Arc::new(|| true);
        let (results, left) = row(&*client, anna, 1..=150, always.clone()).await;
        assert_eq!((results.len(), left), (101, 49), "{effect:?}");
        let ids: Vec<i32> = results
            .iter()
            .filter_map(|result| result.as_ref().ok().map(|sent| sent.message_id))
            .collect();
        assert_eq!(ids.len(), 100, "{effect:?}");
        assert!(ids.is_sorted(), "{effect:?}");
        match &results[100] {
            Err(CallError::Rpc(_)) if refused => {}
            Err(CallError::InDoubt { .. }) if !refused => {}
            other => panic!("{effect:?}: {other:?}"),
        }
        let all = world.sandbox.ledger().of_method("messages.sendMessage");
        assert_eq!(all.len(), 101, "{effect:?}: nothing follows it");
        // What is left goes out in another, over a new connection where the first is gone.
        let (results, left) = row(&*client, anna, 102..=150, always).await;
        assert_eq!((results.len(), left), (49, 0), "{effect:?}");
        assert!(results.iter().all(Result::is_ok), "{effect:?}");
    }
}

#[tokio::test]
async fn nothing_of_a_row_leaves_once_it_may_not_nor_when_nobody_waits_for_it_any_more() {
    let world = World::start().await;
    let client = world.open("sales-1").await;
    let anna = meet(&*client, "anna").await;
    let never: MayLeave = Arc::new(|| false);
    let (results, left) = row(&*client, anna, 1..=9, never).await;
    assert_eq!((results.len(), left), (0, 9));
    // Each that leaves is asked about before it is written.
    let asked = AtomicUsize::new(0);
    let few: MayLeave = Arc::new(move || asked.fetch_add(1, Ordering::SeqCst) < 40);
    let (results, left) = row(&*client, anna, 1..=100, few).await;
    assert_eq!(results.len() + left, 100);
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(
        world
            .sandbox
            .ledger()
            .of_method("messages.sendMessage")
            .len(),
        results.len()
    );
    let before = results.len();
    world.sandbox.fault(
        FaultRule::new(Effect::SilentAfter)
            .method("messages.sendMessage")
            .nth(5),
    );
    let always: MayLeave = Arc::new(|| true);
    let waiting = row(&*client, anna, 201..=300, always);
    let gone = tokio::time::timeout(SHORT, waiting).await;
    assert!(gone.is_err(), "the fifth is not answered");
    tokio::time::sleep(SHORT).await;
    let arrived = world.sandbox.ledger().of_method("messages.sendMessage");
    assert_eq!(arrived.len(), before + 5);
}

#[tokio::test]
async fn a_row_over_a_connection_that_ended_in_between_is_sent_over_a_new_one() {
    let world = World::start().await;
    let client = world.open("sales-1").await;
    let anna = meet(&*client, "anna").await;
    client.reconnect();
    let always: MayLeave = Arc::new(|| true);
    let (results, left) = row(&*client, anna, 1..=70, always).await;
    assert_eq!((results.len(), left), (70, 0));
    assert!(results.iter().all(Result::is_ok));
    for n in 1..=70 {
        assert_eq!(world.arrived(&format!("message {n}")), 1);
    }
}

/// A SOCKS5 proxy without a password (RFC 1928); counts the connections that it made. The connections of these
/// numbers hear what the server said on the first one instead of what it says to them.
async fn proxy(parrots: &'static [usize]) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
    let port = listener.local_addr().expect("an address").port();
    let count = Arc::new(AtomicUsize::new(0));
    let counter = count.clone();
    let heard = Arc::new(Mutex::new(Vec::new()));
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let (counter, heard) = (counter.clone(), heard.clone());
            tokio::spawn(async move {
                let mut hello = [0u8; 2];
                client.read_exact(&mut hello).await?;
                client.read_exact(&mut vec![0u8; hello[1].into()]).await?;
                client.write_all(&[5, 0]).await?;
                // CONNECT to an IPv4 address.
                let mut request = [0u8; 10];
                client.read_exact(&mut request).await?;
                assert_eq!(request[..4], [5, 1, 0, 1]);
                let address = Ipv4Addr::new(request[4], request[5], request[6], request[7]);
                let port = u16::from_be_bytes([request[8], request[9]]);
                let mut server = TcpStream::connect((address, port)).await?;
                client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
                let number = counter.fetch_add(1, Ordering::Relaxed);
                if parrots.contains(&number) {
                    let said = heard.lock().expect("no panic").clone();
                    client.write_all(&said).await?;
                }
                let (mut from_client, mut to_client) = client.split();
                let (mut from_server, mut to_server) = server.split();
                let up = tokio::io::copy(&mut from_client, &mut to_server);
                let down = async {
                    let mut buffer = vec![0u8; 65536];
                    loop {
                        let read = from_server.read(&mut buffer).await?;
                        if read == 0 {
                            return std::io::Result::Ok(());
                        }
                        if number == 0 {
                            heard.lock().expect("no panic").extend(&buffer[..read]);
                        }
                        if !parrots.contains(&number) {
                            to_client.write_all(&buffer[..read]).await?;
                        }
                    }
                };
                tokio::select! {
                    done = up => done.map(|_| ()),
                    done = down => done,
                }
            });
        }
    });
    (port, count)
}

/// grammers panics where a message belongs to another session than its own.
#[tokio::test]
async fn a_panic_inside_the_protocol_library_ends_a_call_and_nothing_else() {
    let world = World::start().await;
    // Connection 0 looks whether the key is known, 1 is to do the work; then 2 looks again, and so on.
    for (parrots, failures) in [(&[1][..], 1), (&[2], 1), (&[1, 2], 2)] {
        let (port, _) = proxy(parrots).await;
        let mut config = AccountConfig::new(
            "sales-1".into(),
            world.session("sales-1"),
            1,
            Secret::default(),
        );
        config.proxy = Some(Secret::new(format!("socks5://127.0.0.1:{port}")));
        let client = GrammersTelegram.open(config).await.expect("opens");
        let mut failed = 0;
        loop {
            match client.me().await {
                Err(CallError::NotSent { .. }) => failed += 1,
                Ok(_) if failed == failures => break,
                // The second look is only made after a connection was lost.
                Ok(_) => client.close(),
                Err(other) => panic!("{parrots:?}: {other:?}"),
            }
            assert!(failed <= failures, "{parrots:?}");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

#[tokio::test]
async fn a_proxy_carries_every_connection() {
    let world = World::start().await;
    let (port, count) = proxy(&[]).await;
    let mut config = AccountConfig::new(
        "sales-1".into(),
        world.session("sales-1"),
        1,
        Secret::default(),
    );
    config.proxy = Some(Secret::new(format!("socks5://127.0.0.1:{port}")));
    let client = GrammersTelegram.open(config).await.expect("opens");
    client.me().await.expect("answers");
    let made = world.connections();
    assert_eq!(count.load(Ordering::Relaxed), made);
    assert!(made > 0);
}

#[tokio::test]
async fn a_proxys_password_stands_in_no_error() {
    let world = World::start().await;
    for url in [
        "socks5://user:hunter2@127.0.0.1:9",
        "http://user:hunter2@127.0.0.1:9",
        "socks5://user:hunter2@127.0.0.1",
    ] {
        let mut config = AccountConfig::new(
            "sales-1".into(),
            world.session("sales-1"),
            1,
            Secret::default(),
        );
        config.proxy = Some(Secret::new(url));
        let shown = format!("{config:?}");
        let client = GrammersTelegram.open(config).await.expect("opens");
        let error = client.me().await.expect_err("there is no such proxy");
        assert!(matches!(error, CallError::NotSent { .. }), "{error:?}");
        assert!(
            !format!("{error} {error:?} {shown}").contains("hunter2"),
            "{error}"
        );
    }
}

//! Worlds: from seeds, from files, the same every time; and the protocol without sockets.

use grammers_mtproto::mtp::{Encrypted, Mtp as _};
use grammers_tl_types::{Deserializable as _, Serializable as _, functions};

use super::client::small_world;
use crate::sandbox::mtproto::{Framer, Key, ProtoError, Session};
use crate::sandbox::{Choice, GroupKind, LastSeen, Peer, Ref, Sizes, World, WorldError, WorldSpec};

#[test]
fn the_same_seed_makes_the_same_world() {
    let sizes = Sizes {
        accounts: 3,
        people: 500,
        groups: 6,
    };
    let (one, two, other) = (
        WorldSpec::generate(9, sizes),
        WorldSpec::generate(9, sizes),
        WorldSpec::generate(10, sizes),
    );
    assert_eq!(one, two);
    assert_ne!(one, other);
    let alive = |spec| World::new(spec, 1_800_000_000_000).unwrap();
    let (a, b, c) = (alive(&one), alive(&two), alive(&other));
    assert_eq!(a.auth_key(1), b.auth_key(1));
    assert_ne!(a.auth_key(1), a.auth_key(2));
    assert_ne!(a.auth_key(1), c.auth_key(1));
    let members = |w: &World| {
        w.groups
            .iter()
            .map(|g| g.members.iter().map(|m| (m.user, m.date)).collect())
            .collect::<Vec<Vec<_>>>()
    };
    assert_eq!(members(&a), members(&b));
    let lines = |w: &World| {
        w.groups
            .iter()
            .flat_map(|g| g.messages.iter().map(|m| (m.id, m.from, m.date)))
            .collect::<Vec<_>>()
    };
    assert_eq!(lines(&a), lines(&b));
    let id = a.users.last().unwrap().id;
    assert_eq!(
        a.access_hash(0, Peer::User(id)),
        b.access_hash(0, Peer::User(id))
    );
    assert_ne!(
        a.access_hash(0, Peer::User(id)),
        a.access_hash(1, Peer::User(id))
    );
    assert_ne!(
        a.access_hash(0, Peer::User(id)),
        a.access_hash(0, Peer::Channel(id))
    );
}

#[test]
fn a_made_up_world_holds_every_kind_of_person_and_place() {
    let spec = WorldSpec::generate(
        1,
        Sizes {
            accounts: 2,
            people: 1_000,
            groups: 6,
        },
    );
    let count = |fits: &dyn Fn(&crate::sandbox::PersonSpec) -> bool| {
        spec.people.iter().filter(|p| fits(p)).count()
    };
    for (label, got, least) in [
        ("bots", count(&|p| p.bot), 10),
        ("deleted", count(&|p| p.deleted), 10),
        ("premium", count(&|p| p.premium), 50),
        ("closed", count(&|p| p.privacy != Default::default()), 20),
        ("want Premium", count(&|p| p.premium_required), 5),
        ("charge", count(&|p| p.charges.is_some()), 3),
        ("with username", count(&|p| p.username.is_some()), 400),
        ("without username", count(&|p| p.username.is_none()), 200),
        ("with phone", count(&|p| p.phone.is_some()), 100),
        ("online", count(&|p| p.last_seen == LastSeen::Online), 10),
        ("hidden", count(&|p| p.last_seen == LastSeen::Hidden), 30),
        (
            "a while ago",
            count(&|p| matches!(p.last_seen, LastSeen::Ago(_))),
            50,
        ),
    ] {
        assert!(got >= least, "{label}: {got}");
    }
    let world = World::new(&spec, 1_800_000_000_000).unwrap();
    let kinds: Vec<GroupKind> = world.groups.iter().map(|g| g.kind).collect();
    assert!(
        kinds.contains(&GroupKind::Basic)
            && kinds.contains(&GroupKind::Channel)
            && kinds.contains(&GroupKind::Supergroup)
    );
    let meetup = &world.groups[world
        .group_index(world.named("rust_meetup").unwrap())
        .unwrap()];
    assert!(
        (500..700).contains(&meetup.members.len()),
        "{}",
        meetup.members.len()
    );
    assert_eq!(meetup.creator, world.accounts[0].user);
    assert_eq!(meetup.messages.len(), 30);
    let channel = &world.groups[1];
    assert_eq!((channel.linked, channel.threads.len()), (Some(2), 10));
    assert_eq!(
        world.groups[2].messages.len(),
        40,
        "ten posts and three comments under each"
    );
}

#[test]
fn a_world_file_says_the_same_when_it_is_written_and_read_again() {
    let spec = WorldSpec::generate(
        3,
        Sizes {
            accounts: 2,
            people: 50,
            groups: 5,
        },
    );
    assert_eq!(
        WorldSpec::from_yaml(&spec.to_yaml().unwrap()).unwrap(),
        spec
    );
    assert_eq!(WorldSpec::from_yaml(" \n").unwrap(), WorldSpec::default());
}

#[test]
fn the_world_file_of_the_documentation_can_be_read() {
    let docs = include_str!("../spec.rs");
    let yaml: String = docs
        .lines()
        .skip_while(|l| !l.starts_with("//! ```yaml"))
        .skip(1)
        .take_while(|l| !l.starts_with("//! ```"))
        .map(|l| {
            l.trim_start_matches("//!")
                .strip_prefix(' ')
                .unwrap_or("")
                .to_owned()
                + "\n"
        })
        .collect();
    let spec = WorldSpec::from_yaml(&yaml).unwrap();
    assert_eq!(
        (
            spec.seed,
            spec.accounts.len(),
            spec.people.len(),
            spec.groups.len()
        ),
        (7, 1, 9, 1)
    );
    assert_eq!(spec.groups[0].members, Some(Choice::Word("60%".into())));
    assert_eq!(
        (spec.scripts.len(), spec.faults.len(), spec.ai.faults.len()),
        (4, 1, 1)
    );
}

#[test]
fn a_world_that_names_nobody_or_somebody_twice_is_refused() {
    let change = |change: &dyn Fn(&mut WorldSpec)| {
        let mut spec = small_world();
        change(&mut spec);
        World::new(&spec, 0)
            .err()
            .map(|e| e.to_string())
            .unwrap_or_default()
    };
    let cases = [
        (
            change(&|w| w.groups[0].creator = Some(Ref::from("@nobody"))),
            "@nobody",
        ),
        (
            change(&|w| w.groups[0].members = Some(Choice::Word("most".into()))),
            "most",
        ),
        (
            change(&|w| w.groups[0].discussion = Some("nowhere".into())),
            "nowhere",
        ),
        (
            change(&|w| w.accounts[1].name = "sales-1".into()),
            "sales-1",
        ),
        (change(&|w| w.people[1].id = Some(101)), "101"),
        (
            change(&|w| w.people[1].username = Some("ANNA".into())),
            "ANNA",
        ),
        (
            change(&|w| w.people[1].phone = Some("+1 555 020 0001".into())),
            "020",
        ),
        (change(&|w| w.accounts[0].contacts = vec![Ref::Id(5)]), "5"),
        (
            change(&|w| w.people[0].blocks = vec!["sales-9".into()]),
            "sales-9",
        ),
    ];
    for (message, part) in cases {
        assert!(
            message.contains(part) && !message.is_empty(),
            "{message:?} names {part:?}"
        );
    }
    assert!(matches!(
        WorldSpec::from_yaml("peeple: []"),
        Err(WorldError::Yaml(_))
    ));
}

fn client_packet(client: &mut Encrypted, requests: &[&[u8]]) -> Vec<u8> {
    let mut buffer = grammers_crypto::DequeBuffer::with_capacity(4096, 128);
    for request in requests {
        client.push(&mut buffer, request).unwrap();
    }
    client.finalize(&mut buffer).unwrap();
    buffer[..].to_vec()
}

#[test]
fn single_messages_containers_and_compressed_messages_are_opened() {
    let key = Key::new(0, [3; 256]);
    let mut client = Encrypted::build().finish([3; 256]);
    let (ping, long) = (
        functions::Ping { ping_id: 5 }.to_bytes(),
        functions::auth::ImportBotAuthorization {
            flags: 0,
            api_id: 1,
            api_hash: "x".repeat(5_000),
            bot_auth_token: String::new(),
        }
        .to_bytes(),
    );
    let mut one = client_packet(&mut client, &[&ping]);
    let packet = key.open(&mut one).unwrap();
    assert_eq!(
        (packet.salt, packet.container, packet.messages.len()),
        (0, false, 1)
    );
    assert_eq!(packet.messages[0].body, ping);
    let mut two = client_packet(&mut client, &[&ping, &long]);
    assert!(two.len() < 1_000, "the long one came compressed");
    let packet = key.open(&mut two).unwrap();
    assert!(packet.container);
    assert_eq!(
        packet
            .messages
            .iter()
            .map(|m| m.body.clone())
            .collect::<Vec<_>>(),
        [ping, long]
    );
}

#[test]
fn a_message_that_was_tampered_with_or_cut_is_refused() {
    let key = Key::new(0, [3; 256]);
    let mut client = Encrypted::build().finish([3; 256]);
    let good = client_packet(&mut client, &[&functions::Ping { ping_id: 5 }.to_bytes()]);
    for at in [8, 30, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert_eq!(
            key.open(&mut bad).unwrap_err(),
            ProtoError::MessageKey,
            "byte {at}"
        );
    }
    assert_eq!(
        key.open(&mut good[..40].to_vec()).unwrap_err(),
        ProtoError::Short
    );
    let other = Key::new(0, [4; 256]);
    assert_eq!(
        other.open(&mut good.clone()).unwrap_err(),
        ProtoError::MessageKey
    );
}

#[test]
fn frames_are_cut_however_the_bytes_come() {
    use grammers_mtproto::transport::{Full, Transport as _};
    let mut transport = Full::new();
    let mut stream = Vec::new();
    for n in 0..3u8 {
        let mut buffer = grammers_crypto::DequeBuffer::with_capacity(64, 64);
        buffer.extend([n; 20]);
        transport.pack(&mut buffer);
        stream.extend_from_slice(&buffer[..]);
    }
    let (mut framer, mut buffer, mut got) = (Framer::default(), bytes::BytesMut::new(), Vec::new());
    for byte in &stream {
        buffer.extend_from_slice(&[*byte]);
        got.extend(framer.next(&mut buffer).unwrap().map(|f| f.to_vec()));
    }
    assert_eq!(got, [vec![0; 20], vec![1; 20], vec![2; 20]]);
    let wrong = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = stream[..32].to_vec();
        change(&mut bytes);
        Framer::default()
            .next(&mut bytes::BytesMut::from(&bytes[..]))
            .unwrap_err()
    };
    assert_eq!(wrong(&|b| b[10] ^= 1), ProtoError::FrameChecksum);
    assert_eq!(
        wrong(&|b| b[4] = 1),
        ProtoError::FrameNumber {
            expected: 0,
            got: 1
        }
    );
    assert_eq!(
        wrong(&|b| b[3] = 0x7f),
        ProtoError::FrameLength(0x7f00_0020)
    );
    assert_eq!(wrong(&|b| b[0] = 4), ProtoError::FrameLength(4));
}

#[test]
fn a_client_understands_what_a_session_sends() {
    use grammers_mtproto::mtp::Deserialization;
    let key = Key::new(0, [3; 256]);
    let mut client = Encrypted::build().finish([3; 256]);
    let mut request = client_packet(&mut client, &[&functions::Ping { ping_id: 5 }.to_bytes()]);
    let packet = key.open(&mut request).unwrap();
    let mut session = Session::new(packet.session, 0, 0);
    session.result(packet.msg_id, &true.to_bytes());
    session.result(
        packet.msg_id + 4,
        &super::super::mtproto::rpc_error(420, "FLOOD_WAIT_3"),
    );
    let (mut out, mut framer) = (Vec::new(), Framer::default());
    session.flush(&key, 1, &mut out);
    let mut frame = framer
        .next(&mut bytes::BytesMut::from(&out[..]))
        .unwrap()
        .unwrap();
    let got = client.deserialize(&mut frame).unwrap();
    let [
        Deserialization::RpcResult(result),
        Deserialization::RpcError(error),
    ] = got.as_slice()
    else {
        panic!("one container with two answers")
    };
    assert!(bool::from_bytes(&result.body).unwrap());
    assert_eq!(
        (error.error.error_code, error.error.error_message.as_str()),
        (420, "FLOOD_WAIT_3")
    );
}

#[test]
fn a_salt_serves_its_slot_and_the_neighbours() {
    let key = Key::new(0, [3; 256]);
    let now = 1_800_000_000;
    let salts = key.future_salts(now, 64);
    assert_eq!(salts.len(), 64);
    assert!(
        salts
            .windows(2)
            .all(|w| w[0].valid_since < w[1].valid_since)
    );
    assert!(i64::from(salts[0].valid_since) <= now && now < i64::from(salts[0].valid_until));
    assert_eq!(salts[0].salt, key.salt(now));
    assert!(key.salt_fits(key.salt(now), now + 1_800) && key.salt_fits(salts[1].salt, now));
    assert!(!key.salt_fits(key.salt(now), now + 3_600) && !key.salt_fits(0, now));
    key.epoch.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    assert!(!key.salt_fits(salts[0].salt, now), "a fault changes it");
}

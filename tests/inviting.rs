//! Kind `invite`: by link and by add, over a socket.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod child;
mod common;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::{World, condition, message, world};
use tidings::control::ExitKind;
use tidings::sandbox::{Effect, FaultRule, Peer, WorldSpec};
use tidings::telegram::GrammersTelegram;

/// People who can be added and people who cannot, and places of each kind.
const PLACES: &str = "
accounts:
  - {name: host, id: 7001, first_name: Mia}
  - {name: guest, id: 7002, first_name: Ole}
people:
  - {id: 101, username: anna, first_name: Anna}
  - {id: 102, username: boris, first_name: Boris}
  - {id: 103, username: member, first_name: Clara}
  - {id: 104, username: shy_one, invite_privacy: nobody}
  - {id: 105, username: premium, invite_privacy: nobody, premium_required: true}
  - {id: 106, username: stranger, not_mutual: true}
  - {id: 107, username: busy, too_many_chats: true}
  - {id: 108, username: kicked}
  - {id: 109, username: robot, bot: true}
  - {id: 110, username: foe_one, blocks: [host]}
  - {id: 111, username: ghost, never_added: true}
groups:
  - {title: Ours, username: our_group, creator: host, members: ['@member'], accounts: [host, guest], kicked: ['@kicked']}
  - {kind: channel, title: Channel, username: our_channel, creator: host, members: ['@member'], accounts: [host]}
  - {kind: basic, title: Basic, id: 55, creator: host, members: ['@member'], accounts: [host]}
  - {title: Secret, id: 66, creator: host, members: ['@member'], accounts: [host, guest], history: 3}
";

fn invite(name: &str, accounts: &str, target: &str, peers: &[&str], rest: &str) -> String {
    let peers: Vec<String> = peers.iter().map(|peer| format!("'{peer}'")).collect();
    let mut text = format!(
        "version: 1\nname: {name}\nkind: invite\naccounts: [{accounts}]\ntarget: {target}\nconsent: {{basis: customers}}\n\
         sources: [{{type: list, peers: [{}]}}]\n",
        peers.join(", ")
    );
    if !rest.contains("delays:") {
        text.push_str("delays: {between_invites: 0s}\n");
    }
    if !rest.contains("method: add") && !rest.contains("templates:") {
        text.push_str("templates: [{name: t, text: 'Come: {{ invite_link }}'}]\n");
    }
    text.push_str(rest);
    text
}

const ADD: &str = "method: add\nfilters: {bots: keep}\n";

/// Whom the server was asked to add, in order, and with what result.
fn invited(world: &World) -> Vec<(i64, Option<String>)> {
    world
        .sandbox
        .ledger()
        .entries()
        .into_iter()
        .filter(|entry| {
            entry.method == "channels.inviteToChannel" || entry.method == "messages.addChatUser"
        })
        .map(|entry| {
            let peer = entry.peer.unwrap_or_default();
            let id = peer.strip_prefix("user:").unwrap().parse().unwrap();
            (id, entry.error)
        })
        .collect()
}

fn is_member(world: &World, group: &str, id: i64) -> bool {
    world.sandbox.world(|w| {
        let at = w.groups.iter().position(|g| g.title == group).unwrap();
        let user = w.user_index(id).unwrap();
        w.groups[at].is_member(user)
    })
}

#[tokio::test]
async fn people_are_added_and_everybody_else_is_left_alone_with_the_reason() {
    let world = world(PLACES).await;
    let peers = [
        "@anna",
        "@boris",
        "@member",
        "@shy_one",
        "@premium",
        "@stranger",
        "@busy",
        "@kicked",
        "@robot",
        "@foe_one",
        "@ghost",
    ];
    world.write(
        "campaigns/come.yaml",
        invite("come", "host", "'@our_group'", &peers, ADD),
    );
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    let campaign = world.campaign("come").await;
    assert_eq!(
        campaign["outcomes"],
        serde_json::json!({
            "sent": 2, "privacy_restricted": 3, "blocked": 1, "unreachable": 1, "not_mutual": 1,
            "premium_required": 1, "too_many_chats": 1, "already_member": 1,
        }),
        "{campaign:#}"
    );
    assert_eq!(condition(&campaign, "Succeeded"), "True AllSettled");
    assert_eq!(campaign["templates"][0]["name"], "add");
    let (_, told, _) = world.cli(&["explain", "come", "@anna"]).await;
    assert!(told.contains("He was added "), "{told}");
    // Of somebody who is in no source: by the name that was typed, and with no outcome.
    let (_, told, _) = world.cli(&["explain", "come", "@nobody77"]).await;
    assert!(told.starts_with("@nobody77 in `come`"), "{told}");
    assert!(told.contains("No source of `come` found him"), "{told}");
    for (id, there) in [
        (101, true),
        (102, true),
        (103, true),
        (104, false),
        (111, false),
    ] {
        assert_eq!(is_member(&world, "Ours", id), there, "{id}");
    }
    let invited = invited(&world);
    assert_eq!(
        invited.len(),
        10,
        "one person a call, the member not at all: {invited:?}"
    );
    assert!(invited.iter().all(|(id, _)| *id != 103));
    assert!(world.delivered().is_empty(), "nobody was written to");
    // Again: nothing is left to do.
    world.once().await.unwrap();
    assert_eq!(self::invited(&world).len(), 10);
}

#[tokio::test]
async fn channels_and_basic_groups_take_people_too() {
    let world = world(PLACES).await;
    world.write(
        "campaigns/channel.yaml",
        invite(
            "channel",
            "host",
            "'@our_channel'",
            &["@anna", "@member"],
            ADD,
        ),
    );
    world.write(
        "campaigns/basic.yaml",
        invite(
            "basic",
            "host",
            "{id: 55}",
            &["@boris", "@member", "@ghost"],
            ADD,
        ),
    );
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    assert_eq!(
        world.campaign("channel").await["outcomes"],
        serde_json::json!({"sent": 1, "already_member": 1})
    );
    assert_eq!(
        world.campaign("basic").await["outcomes"],
        serde_json::json!({"sent": 1, "already_member": 1, "privacy_restricted": 1})
    );
    assert!(is_member(&world, "Channel", 101) && is_member(&world, "Basic", 102));
    assert_eq!(world.calls("messages.addChatUser").len(), 2);
}

#[tokio::test]
async fn an_invite_whose_answer_was_lost_is_looked_for_before_it_is_repeated() {
    let world = world(PLACES).await;
    // The first is carried out and its answer lost, the second is lost on its way.
    for effect in [Effect::DropAfter, Effect::DropBefore] {
        world.sandbox.fault(
            FaultRule::new(effect)
                .method("channels.inviteToChannel")
                .nth(1),
        );
    }
    world.write(
        "campaigns/come.yaml",
        invite("come", "host", "'@our_group'", &["@anna", "@boris"], ADD),
    );
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    let campaign = world.campaign("come").await;
    assert_eq!(
        campaign["outcomes"],
        serde_json::json!({"sent": 2}),
        "{campaign:#}"
    );
    let to = |wanted: i64| {
        invited(&world)
            .iter()
            .filter(|(id, _)| *id == wanted)
            .count()
    };
    assert_eq!((to(101), to(102)), (1, 2), "{:?}", invited(&world));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_daemon_invites_nobody_twice() {
    let place = child::Place::new(PLACES, common::FAST).await;
    place.write(
        "campaigns/come.yaml",
        invite("come", "host", "'@our_group'", &["@anna", "@boris"], ADD),
    );
    // The second is carried out, and the daemon dies before it hears of it.
    place.sandbox.fault(
        FaultRule::new(Effect::SilentAfter)
            .method("channels.inviteToChannel")
            .nth(2),
    );
    let daemon = place.daemon();
    let count = |place: &child::Place| {
        place
            .sandbox
            .ledger()
            .of_method("channels.inviteToChannel")
            .len()
    };
    place
        .until(Duration::from_secs(30), "two invites", |place| {
            count(place) == 2
        })
        .await;
    daemon.kill();
    place.sandbox.clear_faults();
    let _daemon = place.daemon();
    place
        .until(Duration::from_secs(30), "both are known", |place| {
            place.run(&["status"]).status.success()
                && place.campaign("come")["progress"]["sent"] == 2
        })
        .await;
    assert_eq!(count(&place), 2, "it was looked for, not repeated");
}

#[tokio::test]
async fn telegrams_waits_for_invites_stop_invites_alone() {
    let world = world(PLACES).await;
    world.sandbox.fault(
        FaultRule::error("FLOOD_WAIT_3600")
            .method("channels.inviteToChannel")
            .nth(2),
    );
    world.write(
        "campaigns/come.yaml",
        invite("come", "host", "'@our_group'", &["@anna", "@boris"], ADD),
    );
    world.write(
        "campaigns/news.yaml",
        common::mailing(
            "news",
            "host",
            "consent: {basis: customers}\nsources: [{type: list, peers: ['@member']}]\n",
        ),
    );
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    let campaign = world.campaign("come").await;
    assert_eq!(campaign["progress"]["sent"], 1);
    assert_eq!(common::waits(&campaign), "FloodWait 1");
    assert_eq!(world.campaign("news").await["progress"]["sent"], 1);
}

#[tokio::test]
async fn a_target_that_takes_nobody_stalls_the_campaign() {
    for (error, reason) in [
        ("USERS_TOO_MUCH", "UsersTooMuch"),
        ("PARTICIPANTS_TOO_MUCH", "UsersTooMuch"),
        ("CHAT_ADMIN_REQUIRED", "ChatAdminRequired"),
        ("CHAT_WRITE_FORBIDDEN", "ChatWriteForbidden"),
        ("CHANNEL_PRIVATE", "ChannelPrivate"),
        ("CHANNEL_INVALID", "ChannelInvalid"),
    ] {
        let world = world(PLACES).await;
        world.sandbox.fault(
            FaultRule::error(error)
                .method("channels.inviteToChannel")
                .nth(1),
        );
        world.write(
            "campaigns/come.yaml",
            invite("come", "host", "'@our_group'", &["@anna", "@boris"], ADD),
        );
        assert_eq!(
            world.once().await.unwrap(),
            ExitKind::NeedsPerson,
            "{error}"
        );
        let campaign = world.campaign("come").await;
        assert_eq!(
            condition(&campaign, "Stalled"),
            format!("True {reason}"),
            "{error}"
        );
        assert_eq!(campaign["progress"]["pending"], 2, "{error}");
        world
            .ask(tidings::model::Command::Resume {
                name: Some("come".into()),
                reason: "mended".into(),
                by: "a test".into(),
            })
            .await;
        assert_eq!(world.once().await.unwrap(), ExitKind::Done, "{error}");
        assert_eq!(
            world.campaign("come").await["progress"]["sent"],
            2,
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_target_that_no_account_can_use_says_so() {
    let world = world(PLACES).await;
    for (name, target, accounts) in [
        ("nowhere", "'@no_such_place'", "host"),
        ("foreign", "'@our_channel'", "guest"),
        ("person", "'@anna'", "host"),
    ] {
        world.write(
            &format!("campaigns/{name}.yaml"),
            invite(name, accounts, target, &["@boris"], ADD),
        );
    }
    assert_eq!(world.once().await.unwrap(), ExitKind::NeedsPerson);
    for (name, reason, words) in [
        ("nowhere", "TargetUnreachable", "USERNAME_NOT_OCCUPIED"),
        ("foreign", "ChatAdminRequired", "only admins"),
        ("person", "TargetUnreachable", "is a person"),
    ] {
        let campaign = world.campaign(name).await;
        assert_eq!(
            condition(&campaign, "Stalled"),
            format!("True {reason}"),
            "{name}"
        );
        assert!(
            message(&campaign, "Stalled").contains(words),
            "{campaign:#}"
        );
    }
    assert!(invited(&world).is_empty());
}

#[tokio::test]
async fn caps_and_pauses_hold_for_invites() {
    let world = world(PLACES).await;
    world.write(
        "campaigns/come.yaml",
        invite(
            "come",
            "host",
            "'@our_group'",
            &["@anna", "@boris", "@stranger"],
            "method: add\ndelays: {between_invites: 700ms, per_account: {per_day: 2}}\n",
        ),
    );
    let began = std::time::Instant::now();
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    assert!(began.elapsed() >= Duration::from_millis(700));
    let campaign = world.campaign("come").await;
    assert_eq!(campaign["progress"]["sent"], 2);
    assert_eq!(common::waits(&campaign), "AccountCap 1");
    let calls = world.calls("channels.inviteToChannel");
    // The pause begins when the answer is in; two clocks tell it.
    assert!(calls[1].at - calls[0].at >= 680, "{calls:?}");
    assert_eq!(world.account("host").await["sent_today"], 2);
}

#[tokio::test]
async fn a_link_is_made_once_by_an_admin_and_everybody_gets_it() {
    let world = world(PLACES).await;
    // Found by the host alone, and known to the guest by the list of members.
    let spec = invite(
        "come",
        "host, guest",
        "{id: 66}",
        &["@anna", "@boris", "@shy_one", "@busy"],
        "",
    );
    world.write("campaigns/come.yaml", &spec);
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    let texts: Vec<String> = world
        .delivered()
        .into_iter()
        .filter_map(|e| e.text)
        .collect();
    assert_eq!(texts.len(), 4, "{texts:?}");
    assert!(texts[0].starts_with("Come: https://t.me/+"), "{texts:?}");
    assert!(
        texts.iter().all(|text| *text == texts[0]),
        "one link: {texts:?}"
    );
    assert_eq!(world.calls("messages.exportChatInvite").len(), 1);
    let campaign = world.campaign("come").await;
    assert_eq!(campaign["outcomes"], serde_json::json!({"sent": 4}));
    // A newcomer after a restart gets the same one.
    world.write(
        "campaigns/come.yaml",
        spec.replace("'@busy'", "'@busy', '@stranger'"),
    );
    world
        .ask(tidings::model::Command::Reconcile {
            name: "come".into(),
        })
        .await;
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    let fifth = world.texts_to(106);
    assert_eq!(fifth, [texts[0].clone()]);
    assert_eq!(world.calls("messages.exportChatInvite").len(), 1, "kept");
}

#[tokio::test]
async fn whoever_is_there_already_gets_no_link() {
    let world = world(PLACES).await;
    for (name, account, target) in [
        ("group", "host", "'@our_group'"),
        ("channel", "host", "'@our_channel'"),
        ("basic", "host", "{id: 55}"),
        ("secret", "host", "{id: 66}"),
        // No admin, but a member who sees the others.
        ("seen", "guest", "'@our_group'"),
        // Only admins see who is in a channel: what cannot be seen keeps nobody from the message.
        ("unseen", "guest", "'@our_channel'"),
    ] {
        let peers = ["@member", "@boris"];
        let rest = format!("templates: [{{name: t, text: '{name} {{{{ invite_link }}}}'}}]\n");
        let spec = invite(name, account, target, &peers, &rest);
        world.write(&format!("campaigns/{name}.yaml"), spec);
        assert_eq!(world.once().await.unwrap(), ExitKind::Done, "{name}");
        let campaign = world.campaign(name).await;
        let expected = match name {
            "unseen" => serde_json::json!({"sent": 2}),
            _ => serde_json::json!({"sent": 1, "already_member": 1}),
        };
        assert_eq!(campaign["outcomes"], expected, "{name}: {campaign:#}");
    }
    let to_member = world.texts_to(103);
    assert!(
        matches!(&to_member[..], [only] if only.starts_with("unseen ")),
        "{to_member:?}"
    );
    assert_eq!(world.texts_to(102).len(), 6);
    // The look is one of another restart, too: the links are kept, the places are found anew.
    let made = world.calls("messages.exportChatInvite").len();
    world.write(
        "campaigns/group.yaml",
        invite("group", "host", "'@our_group'", &["@member", "@anna"], ""),
    );
    let reconcile = tidings::model::Command::Reconcile {
        name: "group".into(),
    };
    world.ask(reconcile).await;
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    assert_eq!(world.texts_to(101).len(), 1);
    assert_eq!(world.texts_to(103), to_member);
    assert_eq!(world.calls("messages.exportChatInvite").len(), made);
}

#[tokio::test]
async fn where_no_account_can_make_a_link_the_public_one_is_sent_and_else_the_campaign_stalls() {
    let world = world(PLACES).await;
    world.write(
        "campaigns/public.yaml",
        invite("public", "guest", "'@our_group'", &["@anna"], ""),
    );
    world.write(
        "campaigns/secret.yaml",
        invite("secret", "guest", "{id: 66}", &["@boris"], ""),
    );
    assert_eq!(world.once().await.unwrap(), ExitKind::NeedsPerson);
    assert_eq!(world.texts_to(101), ["Come: https://t.me/our_group"]);
    let campaign = world.campaign("secret").await;
    assert_eq!(condition(&campaign, "Stalled"), "True ChatAdminRequired");
    assert!(world.texts_to(102).is_empty());
}

#[tokio::test]
async fn nobody_is_added_of_whom_only_the_operator_says_that_he_agrees() {
    let world = world(PLACES).await;
    world.write(
        "campaigns/gather.yaml",
        "version: 1\nname: gather\nkind: collect\nconsent: {basis: attested}\naccounts: [host]\n\
         sources: [{type: list, peers: ['@anna', '@boris']}]\n",
    );
    let list = "[{type: list, peers: ['@anna']}]";
    let taken_over = |rest: &str| {
        invite("come", "host", "'@our_group'", &["@anna"], rest)
            .replace(list, "[{type: audience, campaign: gather}]")
    };
    world.write("campaigns/come.yaml", taken_over(ADD));
    assert_eq!(world.once().await.unwrap(), ExitKind::NeedsPerson);
    let campaign = world.campaign("come").await;
    assert_eq!(
        condition(&campaign, "Ready"),
        "False ConsentMismatch",
        "{campaign:#}"
    );
    assert!(
        message(&campaign, "Ready").contains("method: link"),
        "{campaign:#}"
    );
    assert!(invited(&world).is_empty());
    // A message can say it; the cap of `attested` counts it, as it does messages.
    world.write(
        "tidings.yaml",
        common::FAST.replace("limits: {", "limits: {attested_per_day: 1, "),
    );
    world.write(
        "campaigns/come.yaml",
        taken_over("templates: [{name: t, text: '{{ invite_link }} Say stop to hear no more.'}]\n"),
    );
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    let campaign = world.campaign("come").await;
    assert_eq!(campaign["progress"]["sent"], 1, "{campaign:#}");
    assert_eq!(common::waits(&campaign), "AccountCap 1");
}

#[tokio::test]
async fn the_shipped_example_invites_by_link_and_by_add() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/inviting");
    let world = world(&std::fs::read_to_string(folder.join("world.yaml")).unwrap()).await;
    for file in [
        "tidings.yaml",
        "campaigns/customers-by-link.yaml",
        "campaigns/contacts-by-add.yaml",
        "campaigns/audiences/customers.csv",
    ] {
        world.write(file, std::fs::read(folder.join(file)).unwrap());
    }
    let ended = world
        .once_on(Arc::new(GrammersTelegram), Duration::from_secs(5))
        .await;
    assert_eq!(ended.unwrap(), ExitKind::Done);
    assert_eq!(
        world.campaign("customers-by-link").await["outcomes"],
        serde_json::json!({"sent": 3})
    );
    assert_eq!(
        world.campaign("contacts-by-add").await["outcomes"],
        serde_json::json!({"sent": 1, "privacy_restricted": 1, "already_member": 1, "too_many_chats": 1})
    );
    let texts: Vec<String> = world
        .delivered()
        .into_iter()
        .filter_map(|e| e.text)
        .collect();
    assert!(
        texts.iter().all(|text| text.contains("https://t.me/+")),
        "{texts:?}"
    );
    let there = world.sandbox.world(|w| {
        let at = w.group_index(w.named("our_group").unwrap()).unwrap();
        assert!(matches!(w.groups[at].peer(), Peer::Channel(_)));
        w.groups[at].members.len()
    });
    assert_eq!(there, 3, "host, Frida, and Dora");
    WorldSpec::from_yaml(&std::fs::read_to_string(folder.join("world.yaml")).unwrap()).unwrap();
}

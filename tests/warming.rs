//! Kind `warmup`: a ramp over all campaigns, and joins one by one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::Path;
use std::time::Duration;

use common::{World, condition, crowd, mailing, message, world};
use tidings::control::ExitKind;
use tidings::sandbox::FaultRule;
use tidings::telegram::{AccountConfig, GrammersTelegram, Secret, Telegram as _};

const PLACES: &str = "
accounts:
  - {name: fresh, id: 7001}
  - {name: owner, id: 7002}
groups:
  - {kind: channel, title: Channel, username: our_channel, creator: owner, accounts: [owner]}
  - {title: Group, username: our_group, creator: owner, accounts: [owner]}
  - {title: Gated, username: gated, creator: owner, accounts: [owner], join_requests: true}
";

fn warmup(rest: &str) -> String {
    format!("version: 1\nname: new-account\nkind: warmup\naccounts: [fresh]\n{rest}")
}

const RAMP: &str = "ramp: {start: 5, step: 5, every: 1d, max: 40}\n";

fn is_in(world: &World, name: &str) -> bool {
    world.sandbox.world(|w| {
        let at = w.group_index(w.named(name).unwrap()).unwrap();
        let own = w.self_user(w.account_index("fresh").unwrap());
        w.groups[at].is_member(own)
    })
}

#[tokio::test]
async fn a_ramp_caps_the_account_over_all_campaigns() {
    let world = world(&crowd(20)).await;
    world.write(
        "campaigns/new-account.yaml",
        warmup(RAMP).replace("[fresh]", "[sales-1]"),
    );
    world.write("campaigns/one.yaml", mailing("one", "sales-1", ""));
    world.write("campaigns/two.yaml", mailing("two", "sales-1", ""));
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    assert_eq!(world.delivered().len(), 5, "of two campaigns together");
    let account = world.account("sales-1").await;
    assert_eq!(
        (&account["sent_today"], &account["allowance_today"]),
        (&5.into(), &5.into())
    );
    let mut waiting = 0;
    for name in ["one", "two"] {
        let campaign = world.campaign(name).await;
        waiting += campaign["waiting"][0]["count"].as_u64().unwrap();
        assert_eq!(
            campaign["waiting"][0]["reason"], "AccountCap",
            "{campaign:#}"
        );
        assert!(campaign["waiting"][0]["until"].is_string());
    }
    assert_eq!(waiting, 35);
    let ramp = world.campaign("new-account").await;
    assert_eq!(
        ramp["warmup"],
        serde_json::json!([{"account": "sales-1", "day": 1, "days": 8, "allowance_today": 5, "joined": 0, "join": 0}])
    );
    assert_eq!(condition(&ramp, "Ready"), "True AccountCap");
    assert!(
        message(&ramp, "Ready").starts_with("Day 1 of 8"),
        "{ramp:#}"
    );
    assert_eq!(
        condition(&ramp, "Succeeded").split(' ').next(),
        Some("False")
    );
    // A restart is no new day, and a broken or paused file lifts no cap.
    for broken in [
        warmup("ramp: {start: 5").replace("[fresh]", "[sales-1]"),
        warmup(&format!("{RAMP}paused: true\n")).replace("[fresh]", "[sales-1]"),
    ] {
        world.write("campaigns/new-account.yaml", broken);
        let _ = world.once().await.unwrap();
        assert_eq!(world.delivered().len(), 5);
    }
    // Without the file it is as before.
    std::fs::remove_file(world.path().join("campaigns/new-account.yaml")).unwrap();
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    assert_eq!(world.delivered().len(), 40);
}

#[tokio::test]
async fn a_ramp_that_has_nothing_left_to_grow_has_succeeded_and_still_caps() {
    let world = world(&crowd(4)).await;
    world.write(
        "campaigns/new-account.yaml",
        warmup("ramp: {start: 3, step: 1, every: 1d, max: 3}\n").replace("[fresh]", "[sales-1]"),
    );
    world.write("campaigns/one.yaml", mailing("one", "sales-1", ""));
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    assert_eq!(world.delivered().len(), 3);
    let ramp = world.campaign("new-account").await;
    assert_eq!(
        condition(&ramp, "Succeeded").split(' ').next(),
        Some("True"),
        "{ramp:#}"
    );
}

#[tokio::test]
async fn places_are_joined_one_by_one_at_the_pace_of_delays() {
    let world = world(PLACES).await;
    world.write(
        "campaigns/new-account.yaml",
        warmup(&format!(
            "{RAMP}join: ['@our_channel', 'https://t.me/our_group', '@gated']\ndelays: {{between_messages: 600ms}}\n"
        )),
    );
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    assert!(is_in(&world, "our_channel") && is_in(&world, "our_group") && !is_in(&world, "gated"));
    let joins = world.calls("channels.joinChannel");
    assert_eq!(joins.len(), 3, "{joins:?}");
    assert!(
        joins.windows(2).all(|pair| pair[1].at - pair[0].at >= 600),
        "{joins:?}"
    );
    let ramp = world.campaign("new-account").await;
    assert_eq!(
        ramp["warmup"][0]["joined"], 3,
        "asked to be let in counts: {ramp:#}"
    );
    // Nothing is joined twice.
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    assert_eq!(world.calls("channels.joinChannel").len(), 3);
}

#[tokio::test]
async fn a_join_waits_for_telegram_and_one_that_fails_is_shown_and_tried_again() {
    let world = world(PLACES).await;
    world.sandbox.fault(
        FaultRule::error("FLOOD_WAIT_1")
            .method("channels.joinChannel")
            .nth(1),
    );
    world.sandbox.fault(
        FaultRule::error("CHANNELS_TOO_MUCH")
            .method("channels.joinChannel")
            .nth(2),
    );
    world.write(
        "campaigns/new-account.yaml",
        warmup(&format!(
            "{RAMP}join: ['@our_channel', '@our_group']\ndelays: {{between_messages: 0s}}\n"
        )),
    );
    assert_eq!(world.once().await.unwrap(), ExitKind::NeedsPerson);
    assert!(is_in(&world, "our_channel") && !is_in(&world, "our_group"));
    let ramp = world.campaign("new-account").await;
    assert_eq!(condition(&ramp, "Ready"), "False JoinFailed");
    assert!(
        message(&ramp, "Ready").contains("CHANNELS_TOO_MUCH"),
        "{ramp:#}"
    );
    world
        .ask(tidings::model::Command::Resume {
            name: Some("new-account".into()),
            reason: "left some".into(),
            by: "a test".into(),
        })
        .await;
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    assert!(is_in(&world, "our_group"));
}

#[tokio::test]
async fn a_private_place_is_joined_by_its_invite_link() {
    let world = world(PLACES).await;
    // The owner makes the link, by a campaign of its own.
    let spec = "version: 1\nname: come\nkind: invite\naccounts: [owner]\ntarget: '@our_group'\nconsent: {basis: customers}\n\
                sources: [{type: list, peers: ['id:7001']}]\ntemplates: [{name: t, text: '{{ invite_link }}'}]\n";
    world.write("campaigns/come.yaml", spec);
    let _ = world.once().await.unwrap();
    let calls = world.calls("messages.exportChatInvite");
    assert_eq!(
        calls.len(),
        0,
        "one's own account is nobody to invite: {calls:?}"
    );
    std::fs::remove_file(world.path().join("campaigns/come.yaml")).unwrap();
    let client = GrammersTelegram
        .open(AccountConfig::new(
            "owner".into(),
            world.workspace().session_path("owner"),
            12345,
            Secret::new("loopback"),
        ))
        .await
        .unwrap();
    let place = tidings::model::Reference::Username("our_group".into());
    let link = client.target(&place, true).await.unwrap();
    assert!(link.exported);
    client.close();
    world.write(
        "campaigns/new-account.yaml",
        warmup(&format!(
            "{RAMP}join: ['{}']\ndelays: {{between_messages: 0s}}\n",
            link.link.unwrap()
        )),
    );
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    assert!(is_in(&world, "our_group"));
    assert_eq!(world.calls("messages.importChatInvite").len(), 1);
}

#[tokio::test]
async fn the_shipped_example_holds_a_mailing_to_the_ramp() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/warming");
    let world = world(&std::fs::read_to_string(folder.join("world.yaml")).unwrap()).await;
    for file in [
        "tidings.yaml",
        "campaigns/new-account.yaml",
        "campaigns/news.yaml",
    ] {
        world.write(file, std::fs::read(folder.join(file)).unwrap());
    }
    let ended = world
        .once_on(
            std::sync::Arc::new(GrammersTelegram),
            Duration::from_secs(5),
        )
        .await;
    assert_eq!(ended.unwrap(), ExitKind::Done);
    assert_eq!(world.delivered().len(), 5);
    assert!(is_in(&world, "our_channel") && is_in(&world, "our_group"));
}

//! What is left of the rows of CONTRACT section 6, with what the report then says.

use std::time::Duration;

use tidings::control::{Clock, ExitKind, RunOptions, run_with};
use tidings::model::{Command, Reply, Timestamp};
use tidings::sandbox::{Effect, FaultRule, Ref};
use tidings::telegram::GrammersTelegram;

use super::common::talk::{answering, replies, says, talking, until_got};
use super::common::{assert_nobody_twice, condition, crowd, mailing, waits, world};
use super::{SEND, list, under_way};

async fn told(world: &super::World, kind: &str) -> Vec<serde_json::Value> {
    let asked = Command::Events {
        name: None,
        after: 0,
        before: None,
        limit: 0,
    };
    let Reply::Document { body } = world.ask(asked).await else {
        panic!("no events")
    };
    let all = body["events"].as_array().unwrap();
    all.iter().filter(|e| e["type"] == kind).cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_premium_wait_of_over_an_hour_is_told_and_the_other_account_goes_on() {
    let world = under_way(&["sales-1", "sales-2"], 8).await;
    world.sandbox.fault(
        FaultRule::error("FLOOD_PREMIUM_WAIT_3700")
            .method(SEND)
            .account("sales-1"),
    );
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    let account = world.account("sales-1").await;
    assert_eq!(account["state"], "flood_wait", "{account:#}");
    let says = account["message"].as_str().unwrap();
    assert!(says.contains("1h 01m"), "{says}");
    let campaign = world.campaign("hello").await;
    // He who was refused waits for that account; everybody else got his message from the other one.
    assert_eq!(campaign["progress"]["sent"], 7, "{campaign:#}");
    assert_eq!(waits(&campaign), "FloodWait 1", "{campaign:#}");
    assert_eq!(world.by("sales-2").len(), 7);
    let told = told(&world, "flood_wait").await;
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!(told[0]["account"], "sales-1");
    assert_eq!(told[0]["error"], true, "{told:#?}");
    assert_nobody_twice(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limited_account_answers_who_wrote_first_and_writes_to_no_stranger() {
    let world = talking(&crowd(4), replies(&["Of course."]), "").await;
    world.write("campaigns/hello.yaml", answering("hello", ""));
    world
        .sandbox
        .fault(FaultRule::error("PEER_FLOOD").method(SEND).nth(3));
    let daemon = world.daemon();
    world
        .until_campaign("hello", "the account is limited", |campaign| {
            waits(campaign) == "AccountLimited 2"
        })
        .await;
    let first = world.who()[0];
    says(&world, first, "Do you ship?");
    let got = until_got(&world, first, 2).await;
    assert!(got[1].contains("Of course."), "{got:?}");
    let account = world.account("sales-1").await;
    assert_eq!(account["state"], "limited", "{account:#}");
    let campaign = world.campaign("hello").await;
    assert_eq!(waits(&campaign), "AccountLimited 2", "{campaign:#}");
    assert_eq!(campaign["progress"]["sent"], 2, "{campaign:#}");
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmation_that_is_refused_limits_the_account_like_any_message() {
    let world = under_way(&["sales-1"], 3).await;
    let daemon = world.daemon();
    world.until("all", |w| w.who().len() == 3).await;
    // The next message of the account is the confirmation.
    world
        .sandbox
        .fault(FaultRule::error("PEER_FLOOD").method(SEND));
    says(&world, 101, "stop");
    let limited = async || world.account("sales-1").await["state"] == "limited";
    let end = std::time::Instant::now() + super::common::PATIENCE;
    while !limited().await {
        assert!(std::time::Instant::now() < end, "it is never limited");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Whoever it has not written to yet waits, and the confirmation is not tried again.
    world.write("campaigns/again.yaml", mailing("again", "sales-1", ""));
    world
        .until_campaign("again", "both others wait", |campaign| {
            waits(campaign) == "AccountLimited 2"
        })
        .await;
    let refused = world.calls(SEND).into_iter().filter(|e| e.error.is_some());
    assert_eq!(refused.count(), 1);
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_without_an_account_is_not_found() {
    let world = world(&crowd(2)).await;
    world.write(
        "campaigns/hello.yaml",
        mailing(
            "hello",
            "sales-1",
            "consent: {basis: customers}\nsources: [{type: list, peers: ['+15550100777', '@person101']}]\n",
        ),
    );
    world
        .sandbox
        .fault(FaultRule::error("PHONE_NOT_OCCUPIED").method("contacts.resolvePhone"));
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    let campaign = world.campaign("hello").await;
    assert_eq!(
        campaign["outcomes"],
        serde_json::json!({"sent": 1, "not_found": 1}),
        "{campaign:#}"
    );
    // A second look is not spent on it.
    world.once().await.unwrap();
    assert_eq!(world.calls("contacts.resolvePhone").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_invalid_address_is_looked_up_again_once_and_then_unreachable() {
    for error in ["USER_ID_INVALID", "PEER_ID_INVALID"] {
        for (times, outcome) in [(1, "sent"), (9, "unreachable")] {
            let world = under_way(&["sales-1"], 3).await;
            world.sandbox.fault(
                FaultRule::error(error)
                    .method(SEND)
                    .person(Ref::Id(102))
                    .times(times),
            );
            assert_eq!(world.once().await.unwrap(), ExitKind::Done, "{error}");
            let explained = world
                .cli(&["explain", "hello", "id:102", "-o", "json"])
                .await
                .1;
            let explained: serde_json::Value = serde_json::from_str(&explained).unwrap();
            assert!(
                explained.to_string().contains(outcome),
                "{error}: {explained:#}"
            );
            let campaign = world.campaign("hello").await;
            let unreachable = u64::from(outcome == "unreachable");
            assert_eq!(
                campaign["progress"]["sent"],
                3 - unreachable,
                "{campaign:#}"
            );
            assert_eq!(campaign["progress"]["pending"], 0, "{campaign:#}");
            let looks = world.calls("contacts.resolveUsername");
            let his = |e: &&tidings::sandbox::Entry| e.query.as_deref() == Some("person102");
            let looks = looks.iter().filter(his).count();
            assert_eq!(looks, 1, "{error}, {times} times");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn negative_and_server_codes_are_in_doubt_and_settled_by_the_same_bytes() {
    for (code, text) in [
        (-503, "Timeout"),
        (-500, "No workers running"),
        (502, "BAD_GATEWAY"),
        (400, "TIMEOUT"),
    ] {
        let world = under_way(&["sales-1"], 4).await;
        let effect = Effect::Error {
            code,
            text: text.to_owned(),
        };
        world.sandbox.fault(
            FaultRule::new(effect)
                .method(SEND)
                .person(Ref::Id(103))
                .times(2),
        );
        assert_eq!(world.once().await.unwrap(), ExitKind::Done, "{code} {text}");
        let campaign = world.campaign("hello").await;
        assert_eq!(
            campaign["progress"]["sent"], 4,
            "{code} {text}: {campaign:#}"
        );
        let tries = world.calls(SEND);
        let tries: Vec<_> = tries
            .iter()
            .filter(|e| e.peer.as_deref() == Some("user:103"))
            .collect();
        assert_eq!(tries.len(), 3, "{code} {text}");
        assert!(tries.iter().all(|e| e.random_id == tries[0].random_id));
        assert_eq!(world.account("sales-1").await["state"], "ready");
        assert_nobody_twice(&world);
    }
}

/// A message whose answer was lost, and whose account is away until so long after it.
async fn in_doubt_for(hours: i64, answer: Effect) -> super::World {
    let world = world(&crowd(2)).await;
    world.write(
        "campaigns/hello.yaml",
        mailing("hello", "sales-1", &list(101..102)),
    );
    world
        .sandbox
        .fault(FaultRule::new(answer).method(SEND).nth(1));
    // From then on nothing comes through.
    world
        .sandbox
        .fault(FaultRule::new(Effect::DropBefore).method(SEND));
    let now = Timestamp(chrono::Utc::now().timestamp_millis());
    let options = |start| RunOptions {
        once: true,
        horizon: Some(Duration::from_secs(2)),
        clock: Clock::speeded(1.0, start),
        ..RunOptions::default()
    };
    let telegram = || std::sync::Arc::new(GrammersTelegram);
    run_with(world.workspace(), options(now), telegram())
        .await
        .unwrap();
    let campaign = world.campaign("hello").await;
    assert_eq!(campaign["progress"]["in_flight"], 1, "{campaign:#}");
    world.sandbox.clear_faults();
    let later = now + Duration::from_secs(hours as u64 * 3600);
    run_with(world.workspace(), options(later), telegram())
        .await
        .unwrap();
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_day_in_doubt_the_dialog_decides_and_nothing_is_sent_again() {
    // It had arrived: the history shows it.
    let world = in_doubt_for(30, Effect::DropAfter).await;
    let campaign = world.campaign("hello").await;
    assert_eq!(campaign["progress"]["sent"], 1, "{campaign:#}");
    assert_eq!(world.texts_to(101).len(), 1);
    // Within the day the same bytes go out again, and Telegram knows them.
    let world = in_doubt_for(2, Effect::DropAfter).await;
    let campaign = world.campaign("hello").await;
    assert_eq!(campaign["progress"]["sent"], 1, "{campaign:#}");
    assert_eq!(world.texts_to(101).len(), 1);
    assert!(world.calls(SEND).iter().any(|e| e.first == Some(false)));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_dialog_cannot_be_read_a_message_stays_uncertain_for_the_operator() {
    let world = world(&crowd(2)).await;
    world.write(
        "campaigns/hello.yaml",
        mailing("hello", "sales-1", &list(101..102)),
    );
    world
        .sandbox
        .fault(FaultRule::new(Effect::DropAfter).method(SEND).nth(1));
    world
        .sandbox
        .fault(FaultRule::error("USER_DEACTIVATED_BAN").method(SEND));
    world.once().await.unwrap();
    let campaign = world.campaign("hello").await;
    assert_eq!(campaign["progress"]["uncertain"], 1, "{campaign:#}");
    assert_eq!(
        condition(&campaign, "Succeeded"),
        "True AllSettled",
        "{campaign:#}"
    );
    assert_eq!(world.account("sales-1").await["state"], "banned");
    // Never by itself.
    world.sandbox.clear_faults();
    world.once().await.unwrap();
    assert_eq!(world.texts_to(101).len(), 1);
    let campaign = world.campaign("hello").await;
    assert_eq!(campaign["progress"]["uncertain"], 1, "{campaign:#}");
}

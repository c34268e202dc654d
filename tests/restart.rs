//! Stopped and started again, answers from people, and a state that is lost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::{assert_nobody_twice, condition, crowd, crowd_of, mailing, message, waits, world};
use tidings::control::ExitKind;
use tidings::model::{Command, Reply};

#[tokio::test(flavor = "multi_thread")]
async fn stopped_in_the_middle_it_goes_on_where_it_stood() {
    let world = world(&crowd_of(&["sales-1", "sales-2"], 1500)).await;
    world.write(
        "campaigns/hello.yaml",
        mailing("hello", "sales-1, sales-2", ""),
    );
    for stop_at in [50, 300, 700] {
        let daemon = world.daemon();
        world
            .until("some left", |world| world.delivered().len() >= stop_at)
            .await;
        assert_eq!(daemon.stop().await.unwrap(), ExitKind::Done);
        let between = world.campaign("hello").await;
        assert_eq!(between["progress"]["in_flight"], 0, "drained: {between:#}");
        assert_eq!(
            between["progress"]["sent"].as_u64().unwrap(),
            world.delivered().len() as u64
        );
    }
    assert!(
        world.delivered().len() < 1500,
        "the stops came too late to mean anything"
    );
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    assert_nobody_twice(&world);
    assert_eq!(world.who().len(), 1500);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pause_after_a_message_outlives_a_restart() {
    let world = world(&crowd(3)).await;
    world.write(
        "campaigns/slow.yaml",
        mailing(
            "slow",
            "sales-1",
            "delays: {between_messages: 2s, per_account: {per_day: 10}}\n",
        ),
    );
    let daemon = world.daemon();
    world
        .until("the first left", |world| world.delivered().len() == 1)
        .await;
    daemon.stop().await.unwrap();
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    let at: Vec<i64> = world.delivered().iter().map(|e| e.at).collect();
    assert_eq!(at.len(), 3);
    assert!(
        at.windows(2).all(|pair| pair[1] - pair[0] >= 1950),
        "{at:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn caps_count_over_restarts() {
    let world = world(&crowd(9)).await;
    world.write(
        "campaigns/capped.yaml",
        mailing(
            "capped",
            "sales-1",
            "delays: {between_messages: 0s, per_account: {per_hour: 4, per_day: 100}}\n",
        ),
    );
    for _ in 0..3 {
        world.once().await.unwrap();
        let campaign = world.campaign("capped").await;
        assert_eq!(world.who().len(), 4);
        assert_eq!(waits(&campaign), "AccountCap 5", "{campaign:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_state_sends_nothing_until_the_operator_answers_for_it() {
    let world = world(&crowd(6)).await;
    world.write(
        "campaigns/hello.yaml",
        mailing(
            "hello",
            "sales-1",
            "delays: {between_messages: 0s, per_account: {per_run: 3, per_day: 100}}\n",
        ),
    );
    world.once().await.unwrap();
    assert_eq!(world.who().len(), 3);
    std::fs::remove_dir_all(world.path().join("state")).unwrap();
    assert_eq!(world.once().await.unwrap(), ExitKind::NeedsPerson);
    let daemon = world.daemon();
    let held = world
        .until_campaign("hello", "it is held", |c| {
            condition(c, "Ready") == "False StateLost"
        })
        .await;
    assert!(
        message(&held, "Ready").contains("approve --new-state"),
        "{held:#}"
    );
    assert!(
        world.account("sales-1").await["message"]
            .as_str()
            .unwrap()
            .contains("StateLost")
    );
    assert_eq!(world.who().len(), 3);
    let approved = Command::Approve {
        name: None,
        digest: String::new(),
        people: 0,
        new_state: true,
        by: "mia".into(),
    };
    assert!(matches!(world.ask(approved).await, Reply::Done { .. }));
    // The same keys draw the same random ids, so that Telegram itself gives nobody a second message.
    world
        .until("it goes on", |world| {
            world.who().len() >= 3 && world.calls("messages.sendMessage").len() >= 6
        })
        .await;
    daemon.stop().await.unwrap();
    assert_nobody_twice(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_counted_once_and_by_variant() {
    let mut yaml = crowd(20);
    yaml.push_str("scripts:\n  - {people: ['@person101', '@person102', '@person103'], reply: ['Thanks', 'More'], delay: 0s, repeat: true}\n");
    let world = world(&yaml).await;
    world.write(
        "campaigns/ab.yaml",
        mailing(
            "ab",
            "sales-1",
            "templates: [{name: one, text: 'one'}, {name: two, text: 'two'}]\n",
        ),
    );
    let daemon = world.daemon();
    let campaign = world
        .until_campaign("ab", "three wrote back", |c| c["progress"]["replied"] == 3)
        .await;
    for (index, text) in ["one", "two"].iter().enumerate() {
        let expected = (101..104)
            .filter(|id| world.texts_to(*id) == [*text])
            .count();
        assert_eq!(
            campaign["templates"][index]["replied"], expected,
            "{campaign:#}"
        );
    }
    for _ in 0..3 {
        world
            .sandbox
            .send_as_person("@person101", "sales-1", "And another thing")
            .unwrap();
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    daemon.stop().await.unwrap();
    world.once().await.unwrap();
    assert_eq!(
        world.campaign("ab").await["progress"]["replied"],
        3,
        "a person is counted once"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_says_stop_hears_one_confirmation_and_nothing_more() {
    let mut yaml = crowd(12);
    yaml.push_str("scripts:\n  - {people: ['@person101'], reply: ['Стоп!', 'STOP', 'stop'], delay: 0s, repeat: true}\n");
    let world = world(&yaml).await;
    world.write("campaigns/hello.yaml", mailing("hello", "sales-1", ""));
    let daemon = world.daemon();
    let campaign = world
        .until_campaign("hello", "he opted out", |c| c["progress"]["opted_out"] == 1)
        .await;
    assert_eq!(campaign["progress"]["replied"], 1, "{campaign:#}");
    world
        .until("the confirmation left", |world| {
            world.texts_to(101).len() == 2
        })
        .await;
    assert!(
        world.texts_to(101)[1].contains("won't hear from us"),
        "{:?}",
        world.texts_to(101)
    );
    // He says it again; another campaign starts.
    world
        .sandbox
        .send_as_person("@person101", "sales-1", "stop")
        .unwrap();
    world.write("campaigns/other.yaml", mailing("other", "sales-1", ""));
    let other = world
        .until_campaign("other", "it is through", |c| {
            condition(c, "Succeeded").starts_with("True")
        })
        .await;
    assert_eq!(other["audience"]["excluded"]["opted_out"], 1, "{other:#}");
    tokio::time::sleep(Duration::from_millis(300)).await;
    daemon.stop().await.unwrap();
    world.once().await.unwrap();
    assert_eq!(world.texts_to(101).len(), 2, "{:?}", world.texts_to(101));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmation_ignores_windows_and_pauses() {
    let world = world(&crowd(3)).await;
    let slow = "delays: {between_messages: 30s, per_account: {per_day: 10}}\n";
    world.write("campaigns/hello.yaml", mailing("hello", "sales-1", slow));
    let daemon = world.daemon();
    world
        .until("the first left", |world| world.delivered().len() == 1)
        .await;
    world.write(
        "campaigns/hello.yaml",
        mailing("hello", "sales-1", &format!("paused: true\n{slow}")),
    );
    world
        .until_campaign("hello", "it is paused", |c| {
            condition(c, "Paused") == "True PausedInSpec"
        })
        .await;
    let first = world.who()[0];
    world
        .sandbox
        .send_as_person(format!("@person{first}").as_str(), "sales-1", "unsubscribe")
        .unwrap();
    world
        .until("the confirmation left", |world| {
            world.texts_to(first).len() == 2
        })
        .await;
    daemon.stop().await.unwrap();
    assert_eq!(world.delivered().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_opts_out_while_he_waits_is_settled_without_a_message() {
    let world = world(&crowd(4)).await;
    world.write(
        "campaigns/hello.yaml",
        mailing(
            "hello",
            "sales-1",
            "delays: {between_messages: 700ms, per_account: {per_day: 10}}\n",
        ),
    );
    let daemon = world.daemon();
    world
        .until("the first left", |world| world.delivered().len() == 1)
        .await;
    let last = (101..105)
        .rev()
        .find(|id| !world.who().contains(id))
        .unwrap();
    world
        .sandbox
        .send_as_person(format!("@person{last}").as_str(), "sales-1", "stop")
        .unwrap();
    let campaign = world
        .until_campaign("hello", "it is through", |c| {
            condition(c, "Succeeded").starts_with("True")
        })
        .await;
    daemon.stop().await.unwrap();
    assert_eq!(
        campaign["outcomes"],
        serde_json::json!({"sent": 3, "opted_out": 1}),
        "{campaign:#}"
    );
    assert_eq!(
        world.texts_to(last).len(),
        1,
        "the confirmation alone: {:?}",
        world.texts_to(last)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_while_the_daemon_was_down_is_heard_at_the_start() {
    let world = world(&crowd(3)).await;
    world.write("campaigns/hello.yaml", mailing("hello", "sales-1", ""));
    let daemon = world.daemon();
    world
        .until_campaign("hello", "it is through", |c| c["progress"]["sent"] == 3)
        .await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    daemon.stop().await.unwrap();
    world
        .sandbox
        .send_as_person("@person102", "sales-1", "Sounds good")
        .unwrap();
    world
        .sandbox
        .send_as_person("@person103", "sales-1", "stop")
        .unwrap();
    let daemon = world.daemon();
    world
        .until_campaign("hello", "both were heard", |c| {
            c["progress"]["replied"] == 2 && c["progress"]["opted_out"] == 1
        })
        .await;
    world
        .until("the confirmation left", |world| {
            world.texts_to(103).len() == 2
        })
        .await;
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_on_one_workspace_is_refused() {
    let world = world(&crowd(1)).await;
    let daemon = world.daemon();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let second = world.daemon();
    let refused = tokio::time::timeout(Duration::from_secs(5), second.stop())
        .await
        .unwrap();
    let words = refused.expect_err("the second one is refused").to_string();
    assert!(words.contains(&std::process::id().to_string()), "{words}");
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_opts_out_while_his_message_is_on_its_way_gets_no_second_one() {
    let mut yaml = crowd(3);
    // Delivered at once, but the answer comes late; he writes back in between.
    yaml.push_str("scripts:\n  - {people: ['@person102'], reply: 'stop', delay: 0s}\n");
    yaml.push_str(
        "faults:\n  - {method: messages.sendMessage, person: '@person102', nth: 1, drop: after}\n",
    );
    let world = world(&yaml).await;
    world.write("campaigns/hello.yaml", mailing("hello", "sales-1", ""));
    let daemon = world.daemon();
    let campaign = world
        .until_campaign("hello", "it is through", |c| {
            condition(c, "Succeeded").starts_with("True")
        })
        .await;
    world
        .until("the confirmation left", |world| {
            world.texts_to(102).len() == 2
        })
        .await;
    daemon.stop().await.unwrap();
    assert_eq!(
        campaign["outcomes"],
        serde_json::json!({"sent": 3}),
        "the dialog tells that it arrived: {campaign:#}"
    );
    let campaign = world.campaign("hello").await;
    assert_eq!(
        (
            &campaign["progress"]["opted_out"],
            &campaign["progress"]["replied"]
        ),
        (&1.into(), &1.into()),
        "{campaign:#}"
    );
    assert_eq!(world.texts_to(102)[0], "Hi P102!");
    assert!(
        world.texts_to(102)[1].contains("won't hear"),
        "{:?}",
        world.texts_to(102)
    );
}

// ---------------------------------------------------------------------------------------------------------------------
// New names

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_campaign_is_the_same_one_over_chains_and_reverts() {
    let world = world(&crowd(6)).await;
    let names = ["winter", "spring", "summer"];
    let be = |name: &str, rest: &str| {
        for other in names {
            let _ = std::fs::remove_file(world.path().join(format!("campaigns/{other}.yaml")));
        }
        world.write(
            &format!("campaigns/{name}.yaml"),
            mailing(name, "sales-1", rest),
        );
    };
    let four = "filters: {where: contact.id < 105}\n";
    be("winter", four);
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    assert_eq!(world.who(), [101, 102, 103, 104]);
    for (name, rest) in [
        ("spring", "renamed_from: winter\n"),
        ("summer", "renamed_from: spring\n"),
        // The renames are taken back, with and without a word.
        ("spring", "renamed_from: summer\n"),
        ("winter", ""),
    ] {
        be(name, &format!("{four}{rest}"));
        assert_eq!(world.once().await.unwrap(), ExitKind::Done, "{name}");
        assert_eq!(world.delivered().len(), 4, "{name}");
        let campaign = world.campaign(name).await;
        assert_eq!(campaign["progress"]["sent"], 4, "{name}: {campaign:#}");
    }
    // A newcomer is new under any name.
    be(
        "summer",
        "renamed_from: winter\nfilters: {where: contact.id < 106}\n",
    );
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    assert_eq!(world.who(), [101, 102, 103, 104, 105]);
    assert_nobody_twice(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_that_looks_renamed_waits_for_a_word() {
    let world = world(&crowd(6)).await;
    world.write("campaigns/winter.yaml", mailing("winter", "sales-1", ""));
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    std::fs::remove_file(world.path().join("campaigns/winter.yaml")).unwrap();
    world.write("campaigns/spring.yaml", mailing("spring", "sales-1", ""));
    assert_eq!(world.once().await.unwrap(), ExitKind::NeedsPerson);
    let campaign = world.campaign("spring").await;
    assert_eq!(
        condition(&campaign, "Ready"),
        "False LooksRenamed",
        "{campaign:#}"
    );
    assert_eq!(waits(&campaign), "Held 6");
    assert_eq!(world.delivered().len(), 6, "nobody got anything again");
    // It is another campaign after all.
    world.approve("spring").await;
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    assert_eq!(world.delivered().len(), 12);
}

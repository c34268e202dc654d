//! Live reconciliation: a daemon runs, and files change under it (CONTRACT section 2, 'What an edit means').
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::{Duration, Instant};

use common::{World, assert_nobody_twice, condition, crowd, mailing, message, waits, world};
use tidings::model::{Command, Reply};

/// One message in 60 ms: slow enough for an edit to find people who still wait.
const SLOW: &str = "delays: {between_messages: 60ms, per_account: {per_day: 1000}}\n";

fn saying(name: &str, text: &str) -> String {
    mailing(
        name,
        "sales-1",
        &format!("templates: [{{name: short, text: '{text}'}}]\n{SLOW}"),
    )
}

async fn sent_at_least(world: &World, n: usize) {
    world
        .until("some messages left", |world| world.delivered().len() >= n)
        .await;
}

/// Saves as most editors do: beside it, then over it.
fn save_by_rename(world: &World, path: &str, text: &str) {
    let beside = world.write(&format!("{path}.swp~"), text);
    std::fs::rename(beside, world.path().join(path)).unwrap();
}

/// Replaces as git does: gone, then there again.
fn save_by_checkout(world: &World, path: &str, text: &str) {
    std::fs::remove_file(world.path().join(path)).unwrap();
    world.write(path, text);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_template_applies_to_those_not_yet_sent_to_within_a_second_however_it_is_saved() {
    type Save = fn(&World, &str, &str);
    let saves: [(&str, Save); 3] = [
        ("plain", |world, path, text| {
            world.write(path, text);
        }),
        ("rename", save_by_rename),
        ("checkout", save_by_checkout),
    ];
    for (how, save) in saves {
        let world = world(&crowd(40)).await;
        world.write("campaigns/hello.yaml", saying("hello", "old words"));
        let daemon = world.daemon();
        sent_at_least(&world, 5).await;
        let saved = Instant::now();
        save(
            &world,
            "campaigns/hello.yaml",
            &saying("hello", "new words"),
        );
        world
            .until_campaign("hello", how, |c| c["observed_generation"] == 2)
            .await;
        assert!(
            saved.elapsed() < Duration::from_secs(10),
            "{how}: {:?}",
            saved.elapsed()
        );
        let before = world.delivered().len();
        world
            .until_campaign("hello", how, |c| {
                c["progress"]["pending"] == 0 && c["progress"]["in_flight"] == 0
            })
            .await;
        daemon.stop().await.unwrap();
        assert_nobody_twice(&world);
        let texts: Vec<String> = world
            .delivered()
            .into_iter()
            .filter_map(|e| e.text)
            .collect();
        assert_eq!(texts.len(), 40, "{how}");
        assert_eq!(texts[0], "old words");
        // The one that was on its way when the edit was taken in may be the old one still.
        assert!(
            texts[before + 1..].iter().all(|text| text == "new words"),
            "{how}: {texts:?}"
        );
        assert!(
            before < 39,
            "{how}: the edit came too late to mean anything"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_file_counts_as_the_spec_itself() {
    let world = world(&crowd(30)).await;
    world.write("campaigns/words.j2", "old words");
    world.write(
        "campaigns/hello.yaml",
        mailing(
            "hello",
            "sales-1",
            &format!("templates: [{{name: a, file: words.j2}}]\n{SLOW}"),
        ),
    );
    let daemon = world.daemon();
    sent_at_least(&world, 3).await;
    world.write("campaigns/words.j2", "new words");
    world
        .until_campaign("hello", "the file is seen", |c| {
            c["generation"] == 2 && c["observed_generation"] == 2
        })
        .await;
    world
        .until("all are sent", |world| world.delivered().len() == 30)
        .await;
    daemon.stop().await.unwrap();
    assert_eq!(
        world.delivered().last().unwrap().text.as_deref(),
        Some("new words")
    );
    assert_nobody_twice(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_spec_starts_and_a_broken_one_holds_itself_alone() {
    let world = world(&crowd(60)).await;
    world.write("campaigns/first.yaml", saying("first", "first"));
    let daemon = world.daemon();
    sent_at_least(&world, 2).await;
    world.write("campaigns/deep/second.yaml", saying("second", "second"));
    world
        .until("the new one sends", |world| {
            world
                .delivered()
                .iter()
                .any(|e| e.text.as_deref() == Some("second"))
        })
        .await;

    // Broken: held, with the error's place; the other goes on.
    world.write(
        "campaigns/deep/second.yaml",
        saying("second", "second").replace("kind: mailing", "kind: malling"),
    );
    let broken = world
        .until_campaign("second", "it is held", |c| {
            condition(c, "SpecValid") == "False SpecInvalid"
        })
        .await;
    assert_eq!(condition(&broken, "Ready"), "False SpecInvalid");
    assert!(
        message(&broken, "SpecValid").contains("campaigns/deep/second.yaml:3:"),
        "{}",
        message(&broken, "SpecValid")
    );
    assert_eq!(
        (&broken["generation"], &broken["observed_generation"]),
        (&2.into(), &1.into()),
        "{broken:#}"
    );
    assert!(waits(&broken).starts_with("Held"), "{broken:#}");
    tokio::time::sleep(Duration::from_millis(150)).await;
    let seconds = |world: &World| {
        world
            .delivered()
            .iter()
            .filter(|e| e.text.as_deref() == Some("second"))
            .count()
    };
    let firsts = |world: &World| {
        world
            .delivered()
            .iter()
            .filter(|e| e.text.as_deref() == Some("first"))
            .count()
    };
    let (held, going) = (seconds(&world), firsts(&world));
    world
        .until("the other one goes on", |world| firsts(world) >= going + 5)
        .await;
    assert_eq!(
        seconds(&world),
        held,
        "nothing leaves in the broken one's name"
    );

    // Mended: goes on where it stood.
    world.write("campaigns/deep/second.yaml", saying("second", "second"));
    let mended = world
        .until_campaign("second", "it is valid", |c| {
            condition(c, "SpecValid") == "True Valid"
        })
        .await;
    assert_eq!(mended["generation"], mended["observed_generation"]);
    world
        .until("it sends again", |world| seconds(world) > held)
        .await;
    world
        .until("both are through", |world| world.delivered().len() == 120)
        .await;
    daemon.stop().await.unwrap();
    for text in ["first", "second"] {
        let mut peers: Vec<_> = world
            .delivered()
            .into_iter()
            .filter(|e| e.text.as_deref() == Some(text))
            .map(|e| e.peer)
            .collect();
        peers.sort();
        peers.dedup();
        assert_eq!(peers.len(), 60, "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_spec_stops_at_once_and_brought_back_contacts_nobody_again() {
    let world = world(&crowd(40)).await;
    let text = saying("hello", "hello");
    world.write("campaigns/hello.yaml", &text);
    let daemon = world.daemon();
    sent_at_least(&world, 5).await;
    std::fs::remove_file(world.path().join("campaigns/hello.yaml")).unwrap();
    let gone = world
        .until_campaign("hello", "it is retired", |c| {
            condition(c, "Ready") == "True Retired"
        })
        .await;
    let settled = gone["progress"]["sent"].as_u64().unwrap();
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(
        world.delivered().len() as u64 <= settled + 1,
        "nothing leaves after the file is gone"
    );
    let still = world.campaign("hello").await;
    assert!(
        still["progress"]["sent"].as_u64().unwrap() >= 5,
        "its history stays"
    );
    world.write("campaigns/hello.yaml", &text);
    world
        .until("the rest is sent", |world| world.delivered().len() >= 40)
        .await;
    let back = world
        .until_campaign("hello", "it is done", |c| c["progress"]["sent"] == 40)
        .await;
    assert_eq!(
        back["generation"], 1,
        "the same bytes are the same generation: {back:#}"
    );
    daemon.stop().await.unwrap();
    assert_nobody_twice(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaigns_folder_that_is_away_retires_nothing() {
    let world = world(&crowd(40)).await;
    world.write("campaigns/hello.yaml", saying("hello", "hello"));
    let daemon = world.daemon();
    sent_at_least(&world, 3).await;
    std::fs::rename(world.path().join("campaigns"), world.path().join("away")).unwrap();
    world
        .until_campaign("hello", "it is held", |c| {
            condition(c, "Ready") == "False FolderUnreadable"
        })
        .await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let held = world.delivered().len();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.delivered().len(), held);
    std::fs::rename(world.path().join("away"), world.path().join("campaigns")).unwrap();
    world
        .until("it goes on", |world| world.delivered().len() >= 40)
        .await;
    daemon.stop().await.unwrap();
    assert_nobody_twice(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_stops_a_burst_that_is_under_way() {
    let world = world(&crowd(3000)).await;
    let fast = mailing("hello", "sales-1", "");
    world.write("campaigns/hello.yaml", &fast);
    let daemon = world.daemon();
    sent_at_least(&world, 100).await;
    world.write(
        "campaigns/hello.yaml",
        mailing("hello", "sales-1", "paused: true\n"),
    );
    let paused = world
        .until_campaign("hello", "it is paused", |c| {
            condition(c, "Paused") == "True PausedInSpec"
        })
        .await;
    assert_eq!(condition(&paused, "Ready"), "False Paused");
    tokio::time::sleep(Duration::from_millis(100)).await;
    let sent = world.delivered().len();
    assert!(sent < 3000, "the pause came too late to mean anything");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(
        world.delivered().len(),
        sent,
        "nothing leaves while it is paused"
    );
    world.write("campaigns/hello.yaml", &fast);
    world
        .until("the rest is sent", |world| world.delivered().len() >= 3000)
        .await;
    daemon.stop().await.unwrap();
    assert_nobody_twice(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn suspended_by_an_operator_until_he_resumes_it() {
    let world = world(&crowd(40)).await;
    world.write("campaigns/hello.yaml", saying("hello", "hello"));
    let daemon = world.daemon();
    sent_at_least(&world, 3).await;
    let suspend = Command::Suspend {
        name: Some("hello".into()),
        reason: "the shop is closed".into(),
        by: "mia".into(),
    };
    assert!(matches!(world.ask(suspend).await, Reply::Done { .. }));
    let held = world.campaign("hello").await;
    assert_eq!(condition(&held, "Paused"), "True Suspended");
    assert!(
        message(&held, "Paused").contains("the shop is closed")
            && message(&held, "Paused").contains("mia")
    );
    assert!(waits(&held).starts_with("Suspended"), "{held:#}");
    tokio::time::sleep(Duration::from_millis(100)).await;
    let sent = world.delivered().len();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.delivered().len(), sent);
    // The hold is the state's: a restart keeps it.
    daemon.stop().await.unwrap();
    let daemon = world.daemon();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(world.delivered().len(), sent);
    world
        .ask(Command::Resume {
            name: Some("hello".into()),
            reason: "open".into(),
            by: "mia".into(),
        })
        .await;
    world
        .until("the rest is sent", |world| world.delivered().len() == 40)
        .await;
    daemon.stop().await.unwrap();
    assert_nobody_twice(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_tidings_yaml_leaves_the_last_good_one_in_force() {
    let world = world(&crowd(40)).await;
    let good = std::fs::read_to_string(world.path().join("tidings.yaml")).unwrap();
    world.write("campaigns/hello.yaml", saying("hello", "hello"));
    let daemon = world.daemon();
    sent_at_least(&world, 3).await;
    world.write("tidings.yaml", "limits: [this is not a mapping\n");
    let before = world.delivered().len();
    world
        .until("it goes on", |world| world.delivered().len() >= before + 8)
        .await;
    assert!(matches!(
        world.ask(Command::Reload).await,
        Reply::Refused { .. }
    ));
    world.write(
        "tidings.yaml",
        format!("{good}accounts: {{sales-1: {{per_day: 30}}}}\n"),
    );
    world
        .until_campaign("hello", "the new cap bites", |c| {
            waits(c) == "AccountCap 10" && c["progress"]["sent"] == 30
        })
        .await;
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn new_rows_are_added_and_rows_that_are_gone_are_dropped_unless_sent_to() {
    let world = world(&crowd(30)).await;
    let csv = |people: std::ops::Range<i64>| {
        let rows: Vec<String> = people.map(|id| format!("person{id}")).collect();
        format!("username\n{}\n", rows.join("\n"))
    };
    world.write("campaigns/people.csv", csv(101..121));
    world.write(
        "campaigns/hello.yaml",
        mailing(
            "hello",
            "sales-1",
            &format!(
                "consent: {{basis: customers}}\nsources: [{{type: file, path: people.csv}}]\n{SLOW}"
            ),
        ),
    );
    let daemon = world.daemon();
    sent_at_least(&world, 3).await;
    // The first of them were sent to already; the last five are gone, ten others are new.
    let mut text = csv(101..116);
    text.push_str(&csv(121..131)["username\n".len()..]);
    world.write("campaigns/people.csv", text);
    world
        .until_campaign("hello", "all are settled", |c| {
            c["generation"] == 2 && condition(c, "Succeeded").starts_with("True")
        })
        .await;
    daemon.stop().await.unwrap();
    let expected: Vec<i64> = (101..116).chain(121..131).collect();
    assert_eq!(world.who(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_filter_is_applied_again_to_everyone_who_waits() {
    let world = world(&crowd(30)).await;
    world.write("campaigns/hello.yaml", saying("hello", "hello"));
    let daemon = world.daemon();
    sent_at_least(&world, 3).await;
    world.write(
        "campaigns/hello.yaml",
        format!(
            "{}filters: {{where: \"contact.username == 'person130'\"}}\n",
            saying("hello", "hello")
        ),
    );
    let done = world
        .until_campaign("hello", "it is through", |c| {
            c["generation"] == 2 && condition(c, "Succeeded").starts_with("True")
        })
        .await;
    daemon.stop().await.unwrap();
    let sent = done["progress"]["sent"].as_u64().unwrap();
    assert!(sent < 25, "{done:#}");
    assert_eq!(done["audience"]["excluded"]["where"], 30 - sent, "{done:#}");
    assert!(world.who().contains(&130));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_behind_a_symlink_that_is_swapped_is_read_anew() {
    let world = world(&crowd(40)).await;
    let swap = |version: &str| {
        let beside = world.path().join("campaigns.new");
        std::os::unix::fs::symlink(world.path().join(version), &beside).unwrap();
        std::fs::rename(&beside, world.path().join("campaigns")).unwrap();
    };
    std::fs::remove_dir(world.path().join("campaigns")).unwrap();
    world.write("v1/hello.yaml", saying("hello", "old words"));
    world.write("v2/hello.yaml", saying("hello", "new words"));
    swap("v1");
    let daemon = world.daemon();
    sent_at_least(&world, 3).await;
    let swapped = Instant::now();
    swap("v2");
    world
        .until_campaign("hello", "the new version is seen", |c| {
            c["observed_generation"] == 2
        })
        .await;
    assert!(
        swapped.elapsed() < Duration::from_millis(1500),
        "{:?}",
        swapped.elapsed()
    );
    world
        .until("all are sent", |world| world.delivered().len() == 40)
        .await;
    daemon.stop().await.unwrap();
    assert_eq!(
        world.delivered().last().unwrap().text.as_deref(),
        Some("new words")
    );
    assert_nobody_twice(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_settings_say_so_the_last_good_version_goes_on() {
    let world = world(&crowd(20)).await;
    let settings = std::fs::read_to_string(world.path().join("tidings.yaml")).unwrap();
    world.write("tidings.yaml", format!("{settings}on_invalid: continue\n"));
    world.write("campaigns/hello.yaml", saying("hello", "good words"));
    let daemon = world.daemon();
    sent_at_least(&world, 3).await;
    world.write(
        "campaigns/hello.yaml",
        saying("hello", "bad words").replace("kind:", "knd:"),
    );
    let broken = world
        .until_campaign("hello", "it is seen", |c| {
            condition(c, "SpecValid").starts_with("False")
        })
        .await;
    assert_eq!(
        (&broken["generation"], &broken["observed_generation"]),
        (&2.into(), &1.into()),
        "{broken:#}"
    );
    world
        .until("all are sent", |world| world.delivered().len() == 20)
        .await;
    daemon.stop().await.unwrap();
    assert!(
        world
            .delivered()
            .iter()
            .all(|e| e.text.as_deref() == Some("good words"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_file_of_a_known_name_is_shown_and_disturbs_nobody() {
    let world = world(&crowd(40)).await;
    let text = saying("hello", "hello");
    world.write("campaigns/hello.yaml", &text);
    let daemon = world.daemon();
    sent_at_least(&world, 3).await;
    let newcomer = "campaigns/a/hello.yaml";
    world.write(newcomer, text.replace("'hello'", "'not this'"));
    let it = world
        .until_campaign("hello", "the newcomer is shown", |c| {
            !c["warnings"].as_array().unwrap().is_empty()
        })
        .await;
    assert_eq!(it["file"], "campaigns/hello.yaml");
    assert_eq!(condition(&it, "SpecValid"), "True Valid");
    let said = it["warnings"][0].as_str().unwrap();
    assert!(
        said.contains(newcomer) && said.contains("campaigns/hello.yaml"),
        "{said}"
    );
    let status = world.status().await;
    assert_eq!(status["invalid_files"][0]["file"], newcomer, "{status:#}");
    assert_eq!(status["invalid_files"][0]["campaign"], "hello");
    let report = serde_json::from_value(status).unwrap();
    assert!(tidings::status::needs_person(&report), "--check says so");
    let told = events(&world).await;
    assert!(
        told.iter().any(|e| e["type"] == "file_checked"
            && e["error"] == true
            && e["campaign"] == "hello"
            && e["message"].as_str().unwrap().contains(newcomer)),
        "{told:#?}"
    );
    std::fs::remove_file(world.path().join(newcomer)).unwrap();
    world
        .until_campaign("hello", "it is gone", |c| {
            c["warnings"].as_array().unwrap().is_empty() && c["progress"]["sent"] == 40
        })
        .await;
    daemon.stop().await.unwrap();
    assert_nobody_twice(&world);
    assert!(
        world
            .delivered()
            .iter()
            .all(|e| e.text.as_deref() == Some("hello"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_new_files_of_one_name_are_held_however_often_they_are_looked_at() {
    let world = world(&crowd(5)).await;
    let text = saying("hello", "hello");
    world.write("campaigns/hello.yaml", &text);
    world.write("campaigns/a/hello.yaml", &text);
    for _ in 0..2 {
        let daemon = world.daemon();
        let it = world
            .until_campaign("hello", "it is held", |c| {
                condition(c, "SpecValid") == "False SpecInvalid"
            })
            .await;
        let said = it["conditions"].to_string();
        assert!(said.contains("campaigns/a/hello.yaml") && said.contains("campaigns/hello.yaml"));
        assert!(matches!(
            world.ask(Command::Reload).await,
            Reply::Refused { .. }
        ));
        daemon.stop().await.unwrap();
    }
    assert_eq!(world.delivered().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_broken_settings_the_last_good_ones_go_on_and_it_is_said_where_they_break() {
    let world = world(&crowd(40)).await;
    world.write("campaigns/hello.yaml", saying("hello", "hello"));
    let daemon = world.daemon();
    sent_at_least(&world, 3).await;
    let good = std::fs::read_to_string(world.path().join("tidings.yaml")).unwrap();
    world.write("tidings.yaml", format!("{good}limitz: {{}}\n"));
    let place = format!("tidings.yaml:{}:1: ", good.lines().count() + 1);
    let broken = |status: &serde_json::Value| {
        status["invalid_files"][0]["message"]
            .as_str()
            .map(str::to_owned)
    };
    let mut status = world.status().await;
    for _ in 0..100 {
        if broken(&status).is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        status = world.status().await;
    }
    let said = broken(&status).unwrap_or_else(|| panic!("{status:#}"));
    assert!(said.starts_with(&place), "{said}");
    assert_eq!(
        status["invalid_files"][0]["campaign"],
        serde_json::Value::Null
    );
    let report = serde_json::from_value(status).unwrap();
    assert!(tidings::status::needs_person(&report), "--check says so");
    match world.ask(Command::Reload).await {
        Reply::Refused { message, .. } => assert!(message.contains(&place), "{message}"),
        other => panic!("{other:?}"),
    }
    let told = events(&world).await;
    assert!(
        told.iter()
            .any(|e| e["type"] == "file_checked"
                && e["message"].as_str().unwrap().contains(&place)),
        "{told:#?}"
    );
    world
        .until("all are sent by the last good ones", |world| {
            world.delivered().len() == 40
        })
        .await;
    world.write("tidings.yaml", good);
    for _ in 0..100 {
        if broken(&world.status().await).is_none() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(broken(&world.status().await), None);
    daemon.stop().await.unwrap();
    assert_nobody_twice(&world);
}

async fn events(world: &World) -> Vec<serde_json::Value> {
    let command = Command::Events {
        name: None,
        after: 0,
        before: None,
        limit: 1000,
    };
    match world.ask(command).await {
        Reply::Document { body } => body["events"].as_array().unwrap().clone(),
        other => panic!("{other:?}"),
    }
}

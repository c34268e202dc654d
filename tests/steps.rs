//! Follow-ups over a socket, by a clock that runs faster.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{World, crowd, crowd_of, mailing, world};
use tidings::control::{Clock, ExitKind};
use tidings::model::Timestamp;

/// An hour of the engine's time takes 200 ms.
const SPEED: f64 = 18_000.0;

fn fast() -> Clock {
    let now = chrono::Utc::now().timestamp_millis();
    Clock::speeded(SPEED, Timestamp(now))
}

const STEPS: &str = "follow_ups:
  - {after: 8h, templates: [{name: nudge, text: 'Well, {{ contact.first_name }}?'}]}
  - {after: 8h, if: always, templates: [{name: last, text: 'Bye, {{ contact.first_name }}'}]}
";

fn texts(world: &World, id: i64) -> Vec<String> {
    world.texts_to(id)
}

fn step(campaign: &serde_json::Value, number: usize) -> (u64, u64, u64) {
    let step = &campaign["steps"][number - 1];
    let n = |key: &str| step[key].as_u64().unwrap();
    (n("pending"), n("sent"), n("skipped"))
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_are_silent_are_asked_again_and_those_who_answer_or_opt_out_are_not() {
    let world = world(&crowd(4)).await;
    world.write("campaigns/spring.yaml", mailing("spring", "sales-1", STEPS));
    let daemon = world.daemon_by(fast());
    world
        .until("everybody has the first message", |w| {
            w.delivered().len() == 4
        })
        .await;
    world
        .sandbox
        .send_as_person("person101", "sales-1", "Tell me more")
        .unwrap();
    world
        .sandbox
        .send_as_person("person102", "sales-1", "stop")
        .unwrap();
    let campaign = world
        .until_campaign("spring", "all steps are over", |c| {
            c["steps"][1]["pending"] == 0 && c["steps"][0]["pending"] == 0
        })
        .await;
    daemon.stop().await.unwrap();
    assert_eq!(step(&campaign, 1), (0, 2, 2), "{campaign:#}");
    assert_eq!(step(&campaign, 2), (0, 3, 1), "{campaign:#}");
    assert_eq!(campaign["progress"]["sent"], 4);
    assert_eq!(texts(&world, 101), ["Hi P101!", "Bye, P101"]);
    assert_eq!(texts(&world, 102).len(), 2, "the confirmation and no more");
    assert_eq!(texts(&world, 103), ["Hi P103!", "Well, P103?", "Bye, P103"]);
    assert_eq!(texts(&world, 104).len(), 3);

    // An export has one row for the first message, and one for each step that came to an end.
    let (code, jsonl, errors) = world
        .cli(&["audience", "export", "spring", "--format", "jsonl"])
        .await;
    assert_eq!(code, 0, "{errors}");
    let rows: Vec<serde_json::Value> = jsonl
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |id: i64| -> Vec<String> {
        rows.iter()
            .filter(|row| row["person"] == format!("id:{id}"))
            .map(|row| {
                let answered = if row["replied_at"].is_null() {
                    ""
                } else {
                    ", answered"
                };
                let sent = if row["sent_at"].is_null() {
                    "never"
                } else {
                    "at a time"
                };
                format!(
                    "{} {} by {}: {} {sent}{answered}",
                    row["step"],
                    row["variant"].as_str().unwrap_or("nothing"),
                    row["account"].as_str().unwrap(),
                    row["outcome"].as_str().unwrap()
                )
            })
            .collect()
    };
    assert_eq!(
        of(101),
        [
            "0 short by sales-1: sent at a time, answered",
            "2 last by sales-1: sent at a time",
        ]
    );
    assert_eq!(
        of(102),
        [
            "0 short by sales-1: sent at a time, answered",
            "1 nothing by sales-1: opted_out never",
        ]
    );
    assert_eq!(
        of(103),
        [
            "0 short by sales-1: sent at a time",
            "1 nudge by sales-1: sent at a time",
            "2 last by sales-1: sent at a time",
        ]
    );
    assert_eq!(rows.len(), 10);
    assert_eq!(rows[0]["last_reply"], "Tell me more");
    assert!(
        rows.iter()
            .all(|row| row["opted_out"] == (row["person"] == "id:102")),
        "{jsonl}"
    );
    assert!(rows.iter().all(|row| row.as_object().unwrap().len() == 11));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_and_an_edit_between_the_steps_lose_and_repeat_nothing() {
    let world = world(&crowd(3)).await;
    world.write("campaigns/spring.yaml", mailing("spring", "sales-1", STEPS));
    let daemon = world.daemon_by(fast());
    world
        .until("everybody has the first message", |w| {
            w.delivered().len() == 3
        })
        .await;
    daemon.stop().await.unwrap();
    let waiting = world.campaign("spring").await;
    assert_eq!(step(&waiting, 1), (3, 0, 0), "{waiting:#}");
    assert_eq!(
        common::condition(&waiting, "Succeeded"),
        "True AllSettled",
        "a campaign that has succeeded still follows up"
    );
    assert!(!waiting["next_action_at"].is_null(), "{waiting:#}");
    // Due at once now; the second is taken out.
    let edited = STEPS.lines().take(2).collect::<Vec<_>>().join("\n");
    let edited = edited.replace("after: 8h", "after: 1s") + "\n";
    world.write(
        "campaigns/spring.yaml",
        mailing("spring", "sales-1", &edited),
    );
    // By the same fast clock: a slower one would stand before the moment of the first messages.
    let daemon = world.daemon_by(fast());
    world
        .until("everybody has the follow-up", |w| w.delivered().len() == 6)
        .await;
    daemon.stop().await.unwrap();
    // Once more changes nothing.
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    assert_eq!(world.delivered().len(), 6);
    let campaign = world.campaign("spring").await;
    assert_eq!(campaign["steps"].as_array().unwrap().len(), 1);
    assert_eq!(step(&campaign, 1), (0, 3, 0), "{campaign:#}");
    for id in 101..104 {
        assert_eq!(texts(&world, id).len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_account_that_wrote_first_follows_up() {
    let world = world(&crowd_of(&["sales-1", "sales-2"], 8)).await;
    let steps = STEPS.lines().take(2).collect::<Vec<_>>().join("\n") + "\n";
    world.write(
        "campaigns/spring.yaml",
        mailing("spring", "sales-1, sales-2", &steps),
    );
    let daemon = world.daemon_by(fast());
    world
        .until("everybody has the first message", |w| {
            w.delivered().len() == 8
        })
        .await;
    let owed = world
        .delivered()
        .iter()
        .filter(|e| e.account.as_deref() == Some("sales-2"))
        .count() as u64;
    assert!(owed > 0);
    // One account loses its session before the second step.
    world.sandbox.set_key_known("sales-2", false).unwrap();
    daemon.stop().await.unwrap();
    let daemon = world.daemon_by(fast());
    let campaign = world
        .until_campaign("spring", "the step is over", |c| {
            c["steps"][0]["pending"] == 0
        })
        .await;
    daemon.stop().await.unwrap();
    assert_eq!(step(&campaign, 1), (0, 8 - owed, owed), "{campaign:#}");
    let mut by: std::collections::BTreeMap<String, Vec<Option<String>>> =
        std::collections::BTreeMap::new();
    for entry in world.delivered() {
        by.entry(entry.peer.clone().unwrap())
            .or_default()
            .push(entry.account.clone());
    }
    for (peer, accounts) in by {
        assert!(
            accounts.iter().all(|account| *account == accounts[0]),
            "{peer}: {accounts:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn once_waits_for_a_step_within_the_horizon_only() {
    for (after, expected) in [("2s", 4), ("1h", 2)] {
        let world = world(&crowd(2)).await;
        let steps =
            format!("follow_ups: [{{after: {after}, templates: [{{name: n, text: Again}}]}}]\n");
        world.write(
            "campaigns/spring.yaml",
            mailing("spring", "sales-1", &steps),
        );
        assert_eq!(world.once().await.unwrap(), ExitKind::Done);
        assert_eq!(world.delivered().len(), expected, "after {after}");
    }
}

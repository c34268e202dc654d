//! SIGKILL at every moment of an answer, against the real binary: everybody who wrote is answered once, with what was
//! drafted, and no answer that was stored is paid for again. The judge is what the other side received.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod child;
mod common;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use child::Running;
use common::{World, mailing};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tidings::sandbox::{Ref, Sandbox, SandboxOptions, WorldSpec};

/// People who write, some of them twice.
const PEOPLE: i64 = 12;
/// Kills in the quick suite.
const KILLS: u32 = 25;
/// The longest that all answers may take, kills included.
const MOST: Duration = Duration::from_secs(90);

async fn place() -> World {
    let spec = WorldSpec::from_yaml(&common::crowd(usize::try_from(PEOPLE).unwrap())).unwrap();
    let sandbox = Sandbox::start(SandboxOptions {
        world: spec,
        ..SandboxOptions::default()
    })
    .await
    .unwrap();
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("campaigns")).unwrap();
    sandbox
        .write_sessions(&dir.path().join("sessions"))
        .await
        .unwrap();
    let world = World { sandbox, dir };
    world.write(
        "tidings.yaml",
        format!(
            "{}ai: {{base_url: '{}', api_key: test}}\n",
            common::FAST,
            world.sandbox.openai_url().unwrap()
        ),
    );
    world.write(
        "campaigns/hello.yaml",
        mailing(
            "hello",
            "sales-1",
            "ai_role: {prompt: You are Mia., delay: 0s, disclosure: 'A machine speaks.', max_replies: 50}\n",
        ),
    );
    world
}

/// How often the model was asked.
fn questions(world: &World) -> usize {
    let entries = world.sandbox.ledger().entries();
    entries.iter().filter(|e| e.kind == "ai").count()
}

fn answers_to(world: &World, person: i64) -> Vec<String> {
    world.texts_to(person).split_off(1)
}

#[tokio::test(flavor = "multi_thread")]
async fn whenever_it_is_killed_everybody_who_wrote_is_answered_once() {
    let world = place().await;
    assert_eq!(
        world.once().await.unwrap(),
        tidings::control::ExitKind::Done
    );
    let log = world.path().join("log");
    let seed = std::env::var("TIDINGS_SEED")
        .ok()
        .map_or(1, |text| text.parse().unwrap());
    println!("TIDINGS_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let kills = std::env::var("TIDINGS_KILLS")
        .ok()
        .map_or(KILLS, |text| text.parse::<u32>().unwrap() / 4);
    let mut waiting: Vec<i64> = (101..101 + PEOPLE).collect();
    let mut wrote: BTreeMap<i64, usize> = BTreeMap::new();
    let until = Instant::now() + MOST;
    for _ in 0..kills {
        // Somebody writes while nobody listens, somebody while it lives.
        if let Some(person) = waiting.pop() {
            *wrote.entry(person).or_default() += 1;
            world
                .sandbox
                .send_as_person(Ref::Id(person), "sales-1", "Hello?")
                .unwrap();
        }
        let daemon = Running::daemon(world.path(), &log);
        tokio::time::sleep(Duration::from_millis(random.random_range(20..900))).await;
        if random.random_ratio(1, 3)
            && let Some(person) = waiting.pop()
        {
            *wrote.entry(person).or_default() += 1;
            world
                .sandbox
                .send_as_person(Ref::Id(person), "sales-1", "Hello?")
                .unwrap();
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(0..900))).await;
        daemon.kill();
        assert!(Instant::now() < until, "the kills take too long");
    }
    let daemon = Running::daemon(world.path(), &log);
    let all = |world: &World| {
        wrote
            .keys()
            .all(|person| !answers_to(world, *person).is_empty())
    };
    while !all(&world) {
        assert!(
            Instant::now() < until + MOST,
            "somebody waits still: {:?}\n{}",
            wrote
                .keys()
                .filter(|person| answers_to(&world, **person).is_empty())
                .collect::<Vec<_>>(),
            daemon.said()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Whatever would come twice comes now.
    tokio::time::sleep(Duration::from_secs(2)).await;
    daemon.kill();
    for (person, messages) in &wrote {
        let answers = answers_to(&world, *person);
        assert_eq!(answers.len(), *messages, "{person}: {answers:?}");
        assert!(
            answers[0].starts_with("A machine speaks."),
            "{person}: {answers:?}"
        );
    }
    // A human did not take over: one's own messages are known as such after any crash.
    let report = child::run(world.path(), ["replies", "list", "-o", "json"]);
    child::ends_with(&report, 0);
    let report: serde_json::Value = serde_json::from_str(&child::out(&report)).unwrap();
    for reply in report["replies"].as_array().unwrap() {
        assert_eq!(reply["state"], "quiet", "{reply:#}");
    }
    // What was stored is not paid for again: a kill loses no more than the question under way.
    let questions = questions(&world);
    assert!(
        questions <= wrote.len() + usize::try_from(kills).unwrap(),
        "{questions} questions for {} people",
        wrote.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_in_doubt_goes_out_again_as_it_was() {
    use tidings::sandbox::{Effect, FaultRule};
    let world = place().await;
    world.once().await.unwrap();
    // The answer arrives, and nobody learns of it.
    world.sandbox.fault(
        FaultRule::new(Effect::SilentAfter)
            .method("messages.sendMessage")
            .nth(1),
    );
    world
        .sandbox
        .send_as_person(Ref::Id(101), "sales-1", "Hello?")
        .unwrap();
    let log = world.path().join("log");
    let daemon = Running::daemon(world.path(), &log);
    world
        .until("the answer arrived", |world| world.texts_to(101).len() == 2)
        .await;
    daemon.kill();
    let daemon = Running::daemon(world.path(), &log);
    world
        .until("the same bytes came again", |world| {
            world
                .calls("messages.sendMessage")
                .iter()
                .filter(|e| e.first == Some(false))
                .count()
                >= 1
        })
        .await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    daemon.kill();
    assert_eq!(answers_to(&world, 101).len(), 1);
    assert_eq!(questions(&world), 1);
    let report = child::run(world.path(), ["replies", "list", "-o", "json"]);
    let report: serde_json::Value = serde_json::from_str(&child::out(&report)).unwrap();
    assert_eq!(report["replies"][0]["state"], "quiet", "{report:#}");
}

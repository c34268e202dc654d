//! SIGKILL at every moment of an answer, against the real binary: everybody who wrote is answered once, with what was
//! drafted, and no answer that was stored is paid for again. The judge is what the other side received.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod child;
mod common;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use child::{Running, tidings};
use common::talk::{asked, says, talking};
use common::{PATIENCE, World, mailing};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tidings::sandbox::AiSpec;

/// People who write.
const PEOPLE: i64 = 12;
/// Kills in the quick suite.
const KILLS: u32 = 25;

async fn place() -> World {
    let people = common::crowd(usize::try_from(PEOPLE).unwrap());
    let world = talking(&people, AiSpec::default(), "").await;
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
    for _ in 0..kills {
        // Somebody writes while nobody listens, somebody while it lives.
        if let Some(person) = waiting.pop() {
            *wrote.entry(person).or_default() += 1;
            says(&world, person, "Hello?");
        }
        let daemon = Running::daemon(world.path(), &log);
        tokio::time::sleep(Duration::from_millis(random.random_range(20..900))).await;
        if random.random_ratio(1, 3)
            && let Some(person) = waiting.pop()
        {
            *wrote.entry(person).or_default() += 1;
            says(&world, person, "Hello?");
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(0..900))).await;
        daemon.kill();
    }
    let daemon = Running::daemon(world.path(), &log);
    let all = |world: &World| {
        wrote
            .keys()
            .all(|person| !answers_to(world, *person).is_empty())
    };
    let until = Instant::now() + 3 * PATIENCE;
    while !all(&world) {
        assert!(
            Instant::now() < until,
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
    // What was stored is not paid for again: of each answer one draft was ever stored, and it is what was sent.
    let events = child::run(world.path(), ["events", "-o", "json", "--limit", "10000"]);
    child::ends_with(&events, 0);
    let events: serde_json::Value = serde_json::from_str(&child::out(&events)).unwrap();
    let mut drafted: BTreeMap<String, usize> = BTreeMap::new();
    for event in events["events"].as_array().unwrap() {
        if event["type"] == "drafted" {
            let person = event["person"].as_str().unwrap().to_owned();
            *drafted.entry(person).or_default() += 1;
        }
    }
    let once: BTreeMap<String, usize> = wrote
        .iter()
        .map(|(person, messages)| (format!("id:{person}"), *messages))
        .collect();
    assert_eq!(drafted, once);
    println!(
        "{} questions for {} answers over {kills} kills",
        asked(&world).len(),
        once.len()
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
    says(&world, 101, "Hello?");
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
    assert_eq!(asked(&world).len(), 1);
    let report = child::run(world.path(), ["replies", "list", "-o", "json"]);
    let report: serde_json::Value = serde_json::from_str(&child::out(&report)).unwrap();
    assert_eq!(report["replies"][0]["state"], "quiet", "{report:#}");
}

/// A life that ends itself at this point.
async fn dies_at(world: &World, point: &str) {
    let mut command = tidings();
    command.arg("-C").arg(world.path()).arg("run");
    command.env("FAILPOINTS", format!("{point}=kill"));
    let mut daemon = Running::start(command, &world.path().join("log"));
    let status = daemon.wait(PATIENCE).await;
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&status),
        Some(9),
        "at {point}:\n{}",
        daemon.said()
    );
}

/// The keys of what the model was asked, and how many of the questions were paid.
fn paid(world: &World) -> (Vec<String>, usize) {
    let asked = asked(world);
    let keys = asked.iter().filter_map(|e| e.query.clone()).collect();
    (keys, asked.iter().filter(|e| e.first == Some(true)).count())
}

fn events(world: &World, kind: &str) -> usize {
    let events = child::run(world.path(), ["events", "-o", "json", "--limit", "10000"]);
    let events: serde_json::Value = serde_json::from_str(&child::out(&events)).unwrap();
    let all = events["events"].as_array().unwrap();
    all.iter().filter(|event| event["type"] == kind).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_stood_on_the_disk_is_neither_asked_for_nor_paid_again() {
    for point in ["answer.kept", "draft.keep", "draft.kept", "answer.taken"] {
        let world = place().await;
        world.once().await.unwrap();
        says(&world, 101, "Hello?");
        dies_at(&world, point).await;
        assert_eq!(paid(&world).1, 1, "{point}");
        assert_eq!(answers_to(&world, 101).len(), 0, "{point}");
        let daemon = Running::daemon(world.path(), &world.path().join("log"));
        world
            .until("the answer arrived", |world| world.texts_to(101).len() == 2)
            .await;
        let left = || {
            std::fs::read_dir(world.path().join("state/answers"))
                .unwrap()
                .count()
        };
        world.until("nothing is left of it", |_| left() == 0).await;
        daemon.kill();
        assert_eq!(asked(&world).len(), 1, "{point}: asked once");
        assert_eq!(events(&world, "answer_lost"), 0, "{point}");
        assert_eq!(events(&world, "drafted"), 1, "{point}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_lost_is_told_counted_and_asked_for_under_the_same_key() {
    let world = place().await;
    world.once().await.unwrap();
    says(&world, 101, "Hello?");
    // Before the question left, and after its answer came and before it stood on the disk.
    dies_at(&world, "answer.ask").await;
    assert_eq!(asked(&world).len(), 0);
    dies_at(&world, "answer.received").await;
    let (keys, questions) = paid(&world);
    assert_eq!((keys.len(), questions), (1, 1));
    let daemon = Running::daemon(world.path(), &world.path().join("log"));
    world
        .until("the answer arrived", |world| world.texts_to(101).len() == 2)
        .await;
    // Another message is another question.
    says(&world, 101, "And now?");
    world
        .until("the next one too", |world| world.texts_to(101).len() == 3)
        .await;
    daemon.kill();
    let (keys, questions) = paid(&world);
    assert_eq!(keys.len(), 3);
    assert_eq!(keys[0], keys[1], "a server that knows the key is paid once");
    assert_ne!(keys[1], keys[2]);
    assert_eq!(questions, 2);
    assert_eq!(events(&world, "answer_lost"), 2);
    assert_eq!(answers_to(&world, 101).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_forgotten_leaves_no_answer_behind() {
    let world = place().await;
    world.once().await.unwrap();
    says(&world, 101, "Hello?");
    dies_at(&world, "answer.kept").await;
    let kept = || std::fs::read_dir(world.path().join("state/answers")).unwrap();
    assert_eq!(kept().count(), 1);
    let forgotten = child::run(world.path(), ["forget", "@person101", "--yes"]);
    child::ends_with(&forgotten, 0);
    assert_eq!(kept().count(), 0);
    let daemon = Running::daemon(world.path(), &world.path().join("log"));
    says(&world, 102, "Hello?");
    world
        .until("the other is answered", |world| {
            world.texts_to(102).len() == 2
        })
        .await;
    daemon.kill();
    assert_eq!(answers_to(&world, 101).len(), 0);
}

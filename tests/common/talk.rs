//! A world whose accounts answer: an AI endpoint beside the loopback Telegram, and what operators and people say.

use std::time::{Duration, Instant};

use tidings::control::Clock;
use tidings::model::{Command, RepliesCommand, Reply, TalkChange};
use tidings::sandbox::{AiSpec, Entry, Ref, SandboxOptions, WorldSpec};

use super::{Daemon, FAST, PATIENCE, World, crowd, mailing, world_with};

/// A world with an AI endpoint, and a workspace that asks it.
pub async fn talking(yaml: &str, ai: AiSpec, settings: &str) -> World {
    let mut spec = WorldSpec::from_yaml(yaml).unwrap();
    spec.ai = ai;
    let world = world_with(SandboxOptions {
        world: spec,
        ..SandboxOptions::default()
    })
    .await;
    world.write("tidings.yaml", config(&world, settings));
    world
}

/// `tidings.yaml` of such a world.
pub fn config(world: &World, settings: &str) -> String {
    let url = world.sandbox.openai_url().unwrap();
    if settings.contains("\nai:") || settings.starts_with("ai:") {
        return format!("{FAST}{}", settings.replace("URL", &url));
    }
    format!("{FAST}ai: {{base_url: '{url}', api_key: test, timeout: 20s}}\n{settings}")
}

/// A mailing whose people are answered at once; `role` goes on with `, key: value`.
pub fn answering(name: &str, role: &str) -> String {
    mailing(
        name,
        "sales-1",
        &format!("ai_role: {{prompt: 'You are Mia of our shop.', delay: 0s{role}}}\n"),
    )
}

/// So many people (ids from 101) who have all got the first message of the campaign `hello`, whose role goes on with
/// `, key: value`, and the daemon that listens to what they say.
pub async fn greeted(people: usize, ai: AiSpec, role: &str) -> (World, Daemon) {
    greeted_by(people, ai, role, Clock::default()).await
}

/// The same by another clock.
pub async fn greeted_by(people: usize, ai: AiSpec, role: &str, clock: Clock) -> (World, Daemon) {
    let world = talking(&crowd(people), ai, "").await;
    world.write("campaigns/hello.yaml", answering("hello", role));
    let daemon = world.daemon_by(clock);
    for person in (101..).take(people) {
        until_got(&world, person, 1).await;
    }
    (world, daemon)
}

/// A person says something, and has got so many messages after it.
pub async fn answered(world: &World, person: i64, text: &str, count: usize) -> Vec<String> {
    says(world, person, text);
    until_got(world, person, count).await
}

/// An endpoint that answers with one of these.
pub fn replies(texts: &[&str]) -> AiSpec {
    AiSpec {
        replies: texts.iter().map(|text| (*text).to_owned()).collect(),
        ..AiSpec::default()
    }
}

/// What the AI endpoint was asked.
pub fn asked(world: &World) -> Vec<Entry> {
    let entries = world.sandbox.ledger().entries();
    entries.into_iter().filter(|e| e.kind == "ai").collect()
}

/// The messages of one question: role and content.
pub fn question(entry: &Entry) -> Vec<(String, String)> {
    let messages: serde_json::Value = serde_json::from_str(entry.note.as_deref().unwrap()).unwrap();
    messages
        .as_array()
        .unwrap()
        .iter()
        .map(|m| {
            let text = |key: &str| m[key].as_str().unwrap().to_owned();
            (text("role"), text("content"))
        })
        .collect()
}

/// Waits until a person got this many messages, and gives them.
pub async fn until_got(world: &World, person: i64, count: usize) -> Vec<String> {
    world
        .until(&format!("{person} got {count} messages"), |world| {
            world.texts_to(person).len() >= count
        })
        .await;
    world.texts_to(person)
}

/// Waits until a daemon answers: who asks before that opens the state himself, and the daemon finds it taken.
pub async fn until_daemon(world: &World) {
    let path = world.workspace().socket_path();
    world
        .until("the daemon has its socket", |_| {
            std::os::unix::net::UnixStream::connect(&path).is_ok()
        })
        .await;
}

/// Waits until an account is connected and has heard what it missed.
pub async fn until_ready(world: &World, account: &str) {
    until_daemon(world).await;
    let end = Instant::now() + PATIENCE;
    while world.account(account).await["state"] != "ready" {
        assert!(Instant::now() < end, "{account} is not ready");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

pub async fn list(world: &World, state: Option<&str>) -> Vec<serde_json::Value> {
    let what = RepliesCommand::List {
        state: state.map(str::to_owned),
    };
    match world.ask(Command::Replies { what }).await {
        Reply::Document { body } => body["replies"].as_array().unwrap().clone(),
        other => panic!("{other:?}"),
    }
}

/// Waits until the conversations are so, and gives those in this state.
pub async fn until_list(
    world: &World,
    state: &str,
    what: &str,
    mut holds: impl FnMut(&[serde_json::Value]) -> bool,
) -> Vec<serde_json::Value> {
    until_daemon(world).await;
    let end = Instant::now() + PATIENCE;
    loop {
        let found = list(world, Some(state)).await;
        if holds(&found) {
            return found;
        }
        assert!(
            Instant::now() < end,
            "not within {PATIENCE:?}: {what}: {:#?}",
            list(world, None).await
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until a conversation is in this state.
pub async fn until_state(world: &World, state: &str) -> serde_json::Value {
    let found = until_list(world, state, &format!("somebody is `{state}`"), |all| {
        !all.is_empty()
    })
    .await;
    found[0].clone()
}

/// Waits until what a person said is kept.
pub async fn until_heard(world: &World, person: i64, text: &str) {
    until_daemon(world).await;
    let end = Instant::now() + PATIENCE;
    loop {
        let what = RepliesCommand::Show {
            person: format!("id:{person}"),
        };
        if let Reply::Document { body } = world.ask(Command::Replies { what }).await
            && body["lines"]
                .as_array()
                .unwrap()
                .iter()
                .any(|line| line["text"] == text)
        {
            return;
        }
        assert!(Instant::now() < end, "nobody heard {text:?} of {person}");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

pub async fn operator(world: &World, what: RepliesCommand) -> Result<String, String> {
    match world.ask(Command::Replies { what }).await {
        Reply::Done { message } => Ok(message),
        Reply::Refused { message, .. } => Err(message),
        other => panic!("{other:?}"),
    }
}

/// `take`, `return`, `close`.
pub async fn change(world: &World, person: i64, change: TalkChange) {
    let what = RepliesCommand::Change {
        person: format!("id:{person}"),
        change,
        by: "tom".into(),
    };
    operator(world, what).await.unwrap();
}

pub fn says(world: &World, person: i64, text: &str) {
    world
        .sandbox
        .send_as_person(Ref::Id(person), "sales-1", text)
        .unwrap();
}

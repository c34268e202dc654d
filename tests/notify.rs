//! Who is told about what: webhooks that are signed and tried again, and messages to an operator.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use common::{World, mailing};
use tidings::sandbox::{AiSpec, Ref, Sandbox, SandboxOptions, WorldSpec};

#[derive(Clone, Default)]
struct Hook {
    got: Arc<Mutex<Vec<(HeaderMap, String)>>>,
    /// So many are refused first.
    refuse: Arc<Mutex<u32>>,
}

impl Hook {
    /// Listens; answers its address.
    async fn listen(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/hook", post(take))
            .with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        format!("http://{address}/hook")
    }

    fn events(&self) -> Vec<serde_json::Value> {
        let got = self.got.lock().unwrap();
        got.iter()
            .map(|(_, body)| serde_json::from_str(body).unwrap())
            .collect()
    }

    async fn until(&self, what: &str, holds: impl Fn(&[serde_json::Value]) -> bool) {
        for _ in 0..400 {
            if holds(&self.events()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("not within ten seconds: {what}: {:#?}", self.events());
    }
}

async fn take(State(hook): State<Hook>, headers: HeaderMap, body: String) -> StatusCode {
    let mut refuse = hook.refuse.lock().unwrap();
    if *refuse > 0 {
        *refuse -= 1;
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    hook.got.lock().unwrap().push((headers, body));
    StatusCode::NO_CONTENT
}

/// A world whose people are answered by a role with the handoff word `human`.
async fn world(people: usize, notify: &str) -> World {
    let mut spec = WorldSpec::from_yaml(&format!(
        "{}  - {{id: 900, username: ops_olga, first_name: Olga}}\n{}",
        common::crowd(people).split("groups:").next().unwrap(),
        format_args!(
            "groups:\n  - {{title: Meetup, username: meetup, creator: sales-1, members: ['@person101', '@person102']}}\n"
        )
    ))
    .unwrap();
    spec.ai = AiSpec {
        replies: vec!["Yes.".to_owned()],
        ..AiSpec::default()
    };
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
            "{}ai: {{base_url: '{}', api_key: test}}\nnotify:\n{notify}",
            common::FAST,
            world.sandbox.openai_url().unwrap()
        ),
    );
    world.write(
        "campaigns/hello.yaml",
        mailing(
            "hello",
            "sales-1",
            "ai_role: {prompt: You are Mia., delay: 0s, handoff: [human]}\n",
        ),
    );
    world
}

fn says(world: &World, person: i64, text: &str) {
    world
        .sandbox
        .send_as_person(Ref::Id(person), "sales-1", text)
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_signed_tried_again_and_says_nothing_of_what_was_said() {
    let hook = Hook::default();
    *hook.refuse.lock().unwrap() = 2;
    let url = hook.listen().await;
    let world = world(
        2,
        &format!("  - {{on: [handoff, finished, account], webhook: '{url}', secret: hush}}\n"),
    )
    .await;
    let daemon = world.daemon();
    world
        .until("both got it", |world| world.recipients().len() == 2)
        .await;
    says(&world, 101, "A secret thing, and a human please");
    hook.until("a hand-off", |events| {
        events.iter().any(|e| e["event"] == "handoff")
            && events.iter().any(|e| e["event"] == "finished")
    })
    .await;
    for (headers, body) in hook.got.lock().unwrap().iter() {
        let signature = headers["X-Tidings-Signature"].to_str().unwrap();
        assert_eq!(
            signature,
            tidings::notify::signature(b"hush", body.as_bytes())
        );
        assert!(!body.contains("secret thing"), "{body}");
        let event: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(headers["X-Tidings-Event"].to_str().unwrap(), event["event"]);
    }
    let events = hook.events();
    let handoff = events.iter().find(|e| e["event"] == "handoff").unwrap();
    assert_eq!(
        (
            &handoff["campaign"],
            &handoff["account"],
            &handoff["person"],
            &handoff["reason"]
        ),
        (
            &"hello".into(),
            &"sales-1".into(),
            &"id:101".into(),
            &"handoff".into()
        )
    );
    let ids: Vec<u64> = events.iter().map(|e| e["id"].as_u64().unwrap()).collect();
    assert!(
        ids.is_sorted_by(|a, b| a < b),
        "each once, in order: {ids:?}"
    );
    daemon.stop().await.unwrap();
    // A restart tells nothing again.
    let count = hook.events().len();
    let daemon = world.daemon();
    says(&world, 102, "human");
    hook.until("the next one", |events| events.len() > count)
        .await;
    daemon.stop().await.unwrap();
    let events = hook.events();
    assert_eq!(events.len(), count + 1, "{events:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_received_is_told_after_a_restart_and_the_engine_goes_on_meanwhile() {
    let hook = Hook::default();
    *hook.refuse.lock().unwrap() = 1_000;
    let url = hook.listen().await;
    let world = world(2, &format!("  - {{on: [handoff], webhook: '{url}'}}\n")).await;
    let daemon = world.daemon();
    world
        .until("both got it", |world| world.recipients().len() == 2)
        .await;
    says(&world, 101, "human");
    says(&world, 102, "Hello");
    world
        .until("the other is answered", |world| {
            world.texts_to(102).len() == 2
        })
        .await;
    daemon.stop().await.unwrap();
    assert!(hook.events().is_empty());
    *hook.refuse.lock().unwrap() = 0;
    let daemon = world.daemon();
    hook.until("the hand-off of before", |events| events.len() == 1)
        .await;
    assert!(
        !hook.got.lock().unwrap()[0]
            .0
            .contains_key("X-Tidings-Signature"),
        "without a secret nothing is signed"
    );
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_gets_a_message_on_telegram_once() {
    let world = world(
        2,
        "  - {on: [handoff], telegram: '@ops_olga', via: sales-1}\n",
    )
    .await;
    let daemon = world.daemon();
    world
        .until("both got it", |world| world.recipients().len() == 2)
        .await;
    says(&world, 101, "a human please");
    world
        .until("the operator was told", |world| {
            !world.texts_to(900).is_empty()
        })
        .await;
    daemon.stop().await.unwrap();
    let told = world.texts_to(900);
    assert!(
        told[0].contains("id:101") && told[0].contains("[hello]"),
        "{told:?}"
    );
    let daemon = world.daemon();
    says(&world, 102, "human");
    world
        .until("the operator was told again", |world| {
            world.texts_to(900).len() > 1
        })
        .await;
    daemon.stop().await.unwrap();
    assert_eq!(world.texts_to(900).len(), 2);
    // The campaign's counts know nothing of it.
    let campaign = world.campaign("hello").await;
    assert_eq!(campaign["progress"]["sent"], 2, "{campaign:#}");
}

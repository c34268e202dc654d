//! Who is told about what: webhooks that are signed and tried again, and messages to an operator.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use common::talk::{operator, replies, says, talking, until_ready, until_state};
use common::{PATIENCE, World, mailing};
use tidings::control::Clock;
use tidings::model::{Command, RepliesCommand, Reply, Timestamp};
use tidings::notify::Key;
use tidings::sandbox::FaultRule;

#[derive(Clone, Default)]
struct Hook {
    got: Arc<Mutex<Vec<(HeaderMap, String)>>>,
    /// So many are refused first.
    refuse: Arc<Mutex<u32>>,
    /// What was refused.
    refused: Arc<Mutex<Vec<(HeaderMap, String)>>>,
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
        let end = std::time::Instant::now() + PATIENCE;
        while !holds(&self.events()) {
            assert!(
                std::time::Instant::now() < end,
                "not within {PATIENCE:?}: {what}: {:#?}",
                self.events()
            );
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// Waits until an event with this reason was told, and gives it.
    async fn until_told(&self, event: &str, reason: &str) -> serde_json::Value {
        let is = |e: &serde_json::Value| e["event"] == event && e["reason"] == reason;
        self.until(&format!("`{event}` with {reason}"), |events| {
            events.iter().any(is)
        })
        .await;
        self.events().into_iter().find(is).unwrap()
    }

    /// What was told of an event, by its reasons.
    fn reasons(&self, event: &str) -> Vec<String> {
        let events = self.events().into_iter();
        events
            .filter(|e| e["event"] == event)
            .map(|e| e["reason"].as_str().unwrap().to_owned())
            .collect()
    }
}

async fn take(State(hook): State<Hook>, headers: HeaderMap, body: String) -> StatusCode {
    let mut refuse = hook.refuse.lock().unwrap();
    if *refuse > 0 {
        *refuse -= 1;
        hook.refused.lock().unwrap().push((headers, body));
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    hook.got.lock().unwrap().push((headers, body));
    StatusCode::NO_CONTENT
}

/// That a receiver who has the key finds the signatures right (standardwebhooks.com).
#[track_caller]
fn is_signed(headers: &HeaderMap, body: &str, key: &str) {
    let text = |name: &str| headers[name].to_str().unwrap();
    let at: i64 = text("webhook-timestamp").parse().unwrap();
    let age = chrono::Utc::now().timestamp() - at;
    assert!((0..3600).contains(&age), "signed {age} s ago");
    let key = Key::parse(key).unwrap();
    assert_eq!(
        text("webhook-signature"),
        key.signature(text("webhook-id"), at, body.as_bytes())
    );
    assert_eq!(text("X-Tidings-Signature"), key.of_body(body.as_bytes()));
}

/// Two people of the group, and the operator Olga, who is not in it.
fn people() -> String {
    format!(
        "{}  - {{id: 900, username: ops_olga, first_name: Olga}}\ngroups:\n  - {{title: Meetup, username: meetup, creator: sales-1, members: ['@person101', '@person102']}}\n",
        common::crowd(2).split("groups:").next().unwrap(),
    )
}

/// A world whose people are answered by a role with the handoff word `human`.
async fn world(notify: &str) -> World {
    let world = talking(&people(), replies(&["Yes."]), &format!("notify:\n{notify}")).await;
    world.write("campaigns/hello.yaml", hello(""));
    world
}

fn hello(rest: &str) -> String {
    mailing(
        "hello",
        "sales-1",
        &format!("ai_role: {{prompt: You are Mia., delay: 0s, handoff: [human]}}\n{rest}"),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_signed_tried_again_and_says_nothing_of_what_was_said() {
    let hook = Hook::default();
    *hook.refuse.lock().unwrap() = 2;
    let url = hook.listen().await;
    let world = world(&format!(
        "  - {{on: [handoff, finished, account], webhook: '{url}', secret: hush}}\n"
    ))
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
        is_signed(headers, body, "hush");
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
    // Where the new entry began is not said to have been told to anybody.
    let (_, text, err) = world.cli(&["events", "-o", "json"]).await;
    let journal: serde_json::Value = serde_json::from_str(&text).expect(&err);
    let told = |event: &&serde_json::Value| event["type"] == "told";
    let first = journal["events"].as_array().unwrap().iter().find(told);
    let first = first.unwrap()["message"].as_str().unwrap();
    assert!(first.starts_with("A new entry of `notify`"), "{first}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_received_is_told_after_a_restart_and_the_engine_goes_on_meanwhile() {
    let hook = Hook::default();
    *hook.refuse.lock().unwrap() = 1_000;
    let url = hook.listen().await;
    let world = world(&format!("  - {{on: [handoff], webhook: '{url}'}}\n")).await;
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
    // It is the same message as at the first try, and signed by the state's own key.
    let key = std::fs::read_to_string(world.path().join("state/webhook.key")).unwrap();
    {
        let refused = hook.refused.lock().unwrap();
        let got = hook.got.lock().unwrap();
        for (headers, body) in refused.iter().chain(got.iter()) {
            is_signed(headers, body, &key);
            assert_eq!(headers["webhook-id"], got[0].0["webhook-id"]);
            assert_eq!(*body, got[0].1);
        }
    }
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_gets_a_message_on_telegram_once() {
    let world = world("  - {on: [handoff], telegram: '@ops_olga', via: sales-1}\n").await;
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

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_who_opted_out_is_told_nothing_more() {
    let world = world("  - {on: [handoff], telegram: '@ops_olga', via: sales-1}\n").await;
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
    says(&world, 900, "stop");
    world
        .until("it is confirmed", |world| world.texts_to(900).len() == 2)
        .await;
    says(&world, 102, "human");
    let since = std::time::Instant::now();
    loop {
        let (_, events, _) = world.cli(&["events", "-o", "jsonl"]).await;
        if events.contains("this operator has opted out") {
            break;
        }
        assert!(since.elapsed() < PATIENCE, "{events}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    daemon.stop().await.unwrap();
    assert_eq!(world.texts_to(900).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_is_told_on_telegram_of_every_event_there_is() {
    // The account that tells is another one than those that get into trouble.
    let yaml = people().replace("accounts:\n", "accounts:\n  - {name: desk}\n");
    let notify = format!("notify:\n  - {{on: {ALL}, telegram: '@ops_olga', via: desk}}\n");
    let world = talking(&yaml, replies(&["Yes."]), &notify).await;
    world.write("campaigns/hello.yaml", hello(""));
    let told = async |what: &str| {
        world
            .until(&format!("the operator was told: {what}"), |world| {
                world.texts_to(900).iter().any(|text| text.contains(what))
            })
            .await;
        let mut texts = world.texts_to(900).into_iter();
        texts.rfind(|text| text.contains(what)).unwrap()
    };
    let daemon = world.daemon();
    let finished = told("Everybody of run 1 is settled").await;
    assert!(finished.starts_with("[hello] "), "{finished}");
    says(&world, 101, "A secret thing, and a human please");
    let handoff = told("id:101, who writes to sales-1, needs a human").await;
    assert!(!handoff.contains("secret thing"), "{handoff}");
    world.write(
        "campaigns/hello.yaml",
        hello("").replace("delay: 0s", "delay: 0s, mode: draft"),
    );
    world
        .until_campaign("hello", "the edit is seen", |c| c["generation"] == 2)
        .await;
    says(&world, 102, "Hello");
    let draft = told("waits for approval").await;
    let waiting = until_state(&world, "draft").await;
    assert!(
        draft.contains(&format!("tidings replies approve {}", waiting["id"])),
        "{draft}"
    );
    let suspend = Command::Suspend {
        name: Some("hello".into()),
        reason: "a typo".into(),
        by: "tom".into(),
    };
    assert!(matches!(world.ask(suspend).await, Reply::Done { .. }));
    told("Suspended by tom: a typo").await;
    world.write(
        "campaigns/nowhere.yaml",
        mailing(
            "nowhere",
            "sales-1",
            "sources: [{type: members, peer: '@nowhere'}]\n",
        ),
    );
    let stalled = told("[nowhere] ").await;
    assert!(stalled.contains("@nowhere"), "{stalled}");
    world
        .sandbox
        .fault(FaultRule::error("SESSION_REVOKED").account("sales-1"));
    world.write("campaigns/third.yaml", mailing("third", "sales-1", ""));
    told("sales-1: ").await;
    // She was told by that account alone, of each once, and it is nobody's campaign.
    let all = world.texts_to(900);
    let once: std::collections::BTreeSet<&String> = all.iter().collect();
    assert_eq!(once.len(), all.len(), "{all:#?}");
    let sent = world.delivered().into_iter();
    assert!(
        sent.filter(|e| e.peer.as_deref() == Some("user:900"))
            .all(|e| e.account.as_deref() == Some("desk"))
    );
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_beside_it_makes_the_operators_message_leave_no_oftener() {
    let hook = Hook::default();
    let url = hook.listen().await;
    let world = world(&format!(
        "  - {{on: [handoff], telegram: '@ops_olga', via: sales-1}}\n  - {{on: [handoff], webhook: '{url}'}}\n"
    ))
    .await;
    let daemon = world.daemon();
    world
        .until("both got it", |world| world.recipients().len() == 2)
        .await;
    for (person, told) in [(101, 1), (102, 2)] {
        says(&world, person, "a human please");
        world
            .until("the operator was told", |world| {
                world.texts_to(900).len() == told
            })
            .await;
    }
    daemon.stop().await.unwrap();
    let calls = world.calls("messages.sendMessage");
    let to_her = calls
        .iter()
        .filter(|call| call.peer.as_deref() == Some("user:900"));
    assert_eq!(to_her.count(), 2, "each left once");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_secret_the_key_is_the_environments_or_one_that_is_made_once() {
    use std::os::unix::fs::PermissionsExt as _;
    let hook = Hook::default();
    let url = hook.listen().await;
    let world = world(&format!("  - {{on: [handoff], webhook: '{url}'}}\n")).await;
    let path = world.path().join("state/webhook.key");
    let daemon = world.daemon();
    until_ready(&world, "sales-1").await;
    // It is there before anything happens, so that the receiver can be given it.
    let key = std::fs::read_to_string(&path).unwrap();
    assert!(key.starts_with("whsec_"), "{key}");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // Nobody answers whom the campaign has not written to.
    world
        .until("both got it", |world| world.recipients().len() == 2)
        .await;
    says(&world, 101, "human");
    hook.until("the first", |events| events.len() == 1).await;
    daemon.stop().await.unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let daemon = world.daemon();
    says(&world, 102, "human");
    hook.until("the second", |events| events.len() == 2).await;
    daemon.stop().await.unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "tightened");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), key, "kept");
    // `.env` names another one.
    let env = "TIDINGS_WEBHOOK_SECRET=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n";
    world.write(".env", env);
    let daemon = world.daemon();
    change(&world, 101).await;
    says(&world, 101, "human");
    hook.until("the third", |events| events.len() == 3).await;
    daemon.stop().await.unwrap();
    let got = hook.got.lock().unwrap();
    is_signed(&got[0].0, &got[0].1, &key);
    is_signed(&got[1].0, &got[1].1, &key);
    is_signed(&got[2].0, &got[2].1, env.trim().split_once('=').unwrap().1);
}

/// Gives a conversation back, so that a word can flag it again.
async fn change(world: &World, person: i64) {
    common::talk::change(world, person, tidings::model::TalkChange::Returned).await;
}

const ALL: &str = "[handoff, draft, paused, stalled, account, finished]";

/// A world where everything is told to a hook.
async fn told(campaign: &str) -> (World, Hook) {
    let hook = Hook::default();
    let url = hook.listen().await;
    let world = world(&format!("  - {{on: {ALL}, webhook: '{url}'}}\n")).await;
    world.write("campaigns/hello.yaml", campaign);
    (world, hook)
}

#[tokio::test(flavor = "multi_thread")]
async fn handoff_draft_and_finished_are_told_with_what_is_needed_to_act() {
    let (world, hook) = told(&hello("")).await;
    let daemon = world.daemon();
    let finished = hook.until_told("finished", "finished").await;
    assert_eq!(finished["campaign"], "hello");
    says(&world, 101, "a human please");
    let handoff = hook.until_told("handoff", "handoff").await;
    assert_eq!(
        (&handoff["person"], &handoff["account"]),
        (&"id:101".into(), &"sales-1".into())
    );
    world.write(
        "campaigns/hello.yaml",
        hello("").replace("delay: 0s", "delay: 0s, mode: draft"),
    );
    world
        .until_campaign("hello", "the edit is seen", |c| c["generation"] == 2)
        .await;
    says(&world, 102, "Hello");
    let draft = hook.until_told("draft", "draft").await;
    let waiting = until_state(&world, "draft").await;
    assert_eq!(draft["draft"], waiting["id"]);
    let approve = RepliesCommand::Approve {
        id: draft["draft"].as_u64().unwrap(),
        text: None,
        by: "tom".into(),
    };
    operator(&world, approve).await.unwrap();
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn paused_is_told_of_guardrails_canaries_and_of_whoever_suspends() {
    let (world, hook) = told(&hello("canary: 1\n")).await;
    let daemon = world.daemon();
    let canary = hook.until_told("paused", "Canary").await;
    assert_eq!(canary["campaign"], "hello");
    assert!(
        canary["message"]
            .as_str()
            .unwrap()
            .contains("tidings approve hello"),
        "{canary:#}"
    );
    let suspend = Command::Suspend {
        name: Some("hello".into()),
        reason: "a typo".into(),
        by: "tom".into(),
    };
    assert!(matches!(world.ask(suspend).await, Reply::Done { .. }));
    let suspended = hook.until_told("paused", "Suspended").await;
    assert!(
        suspended["message"].as_str().unwrap().contains("a typo"),
        "{suspended:#}"
    );
    // A guardrail of another campaign.
    world
        .sandbox
        .fault(FaultRule::error("USER_IS_BLOCKED").method("messages.sendMessage"));
    world.write(
        "campaigns/rail.yaml",
        mailing(
            "rail",
            "sales-1",
            "guardrails: {after: 1, max_block_rate: 1%}\ndelays: {between_messages: 2s, per_account: {per_day: 10}}\n",
        ),
    );
    let tripped = hook.until_told("paused", "GuardrailTripped").await;
    assert_eq!(tripped["campaign"], "rail");
    // Each once.
    assert_eq!(
        hook.reasons("paused"),
        ["Canary", "Suspended", "GuardrailTripped"]
    );
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn stalled_is_told_whatever_stalls_a_campaign() {
    let (world, hook) = told(&hello("sources: [{type: members, peer: '@nowhere'}]\n")).await;
    let daemon = world.daemon();
    let failed = hook.until_told("stalled", "SourceFailed").await;
    assert_eq!(failed["campaign"], "hello");
    let campaign = world.campaign("hello").await;
    assert_eq!(common::condition(&campaign, "Stalled"), "True SourceFailed");
    // Mended, and refused by Telegram instead.
    world
        .sandbox
        .fault(FaultRule::error("MEDIA_INVALID").method("messages.sendMessage"));
    world.write("campaigns/hello.yaml", hello(""));
    hook.until("the campaign stalled", |events| {
        events.iter().filter(|e| e["event"] == "stalled").count() == 2
    })
    .await;
    world
        .until_campaign("hello", "it is stalled", |c| {
            common::condition(c, "Stalled").starts_with("True")
        })
        .await;
    // A file that breaks while its campaign runs holds it.
    world.write(
        "campaigns/hello.yaml",
        "version: 1\nname: hello\nknid: mailing\n",
    );
    let invalid = hook.until_told("stalled", "SpecInvalid").await;
    assert!(
        invalid["message"]
            .as_str()
            .unwrap()
            .starts_with("campaigns/hello.yaml:1:1: "),
        "{invalid:#}"
    );
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn account_is_told_of_lost_logins_long_waits_and_what_is_out_of_reach() {
    // An hour in 12 s: what lasts minutes is told within a second.
    let (world, hook) = told(&hello("")).await;
    let clock = Clock::speeded(300.0, Timestamp(chrono::Utc::now().timestamp_millis()));
    let daemon = world.daemon_by(clock);
    world
        .until("both got it", |world| world.recipients().len() == 2)
        .await;
    assert_eq!(hook.reasons("account"), Vec::<String>::new(), "all is well");
    world.sandbox.stop();
    let away = hook.until_told("account", "unreachable").await;
    assert_eq!(away["account"], "sales-1");
    world.sandbox.start_again().await.unwrap();
    hook.until_told("account", "ready").await;
    // A wait of over an hour.
    world.sandbox.fault(
        FaultRule::error("FLOOD_WAIT_7200")
            .method("messages.sendMessage")
            .nth(1),
    );
    world.write("campaigns/second.yaml", mailing("second", "sales-1", ""));
    let flood = hook.until_told("account", "flood_wait").await;
    assert!(
        flood["message"].as_str().unwrap().contains("7200"),
        "{flood:#}"
    );
    assert_eq!(hook.reasons("account")[..2], ["unreachable", "ready"]);
    // Its login is gone.
    world.sandbox.fault(FaultRule::error("SESSION_REVOKED"));
    world.write("campaigns/third.yaml", mailing("third", "sales-1", ""));
    hook.until_told("account", "unauthorized").await;
    daemon.stop().await.unwrap();
    let session = world.path().join("sessions/sales-1.session");
    std::fs::rename(&session, session.with_extension("away")).unwrap();
    let daemon = world.daemon_by(clock);
    hook.until_told("account", "missing").await;
    daemon.stop().await.unwrap();
}

//! A model's server in trouble, and answers that must not go out as they are.

use std::time::Duration;

use tidings::control::Clock;
use tidings::model::{Command, OperatorCommand, Reply, Timestamp};
use tidings::sandbox::{AiFaultKind, AiFaultRule, AiSpec, FaultRule};

use super::common::talk::{
    answered, answering, asked, greeted, greeted_by, list, replies, says, talking, until_got,
    until_heard, until_state,
};
use super::people;

/// Faster than the wall clock by this: back-offs of half a minute take half a second.
const SPEED: f64 = 60.0;

fn fast() -> Clock {
    Clock::speeded(SPEED, Timestamp(chrono::Utc::now().timestamp_millis()))
}

fn fault(kind: AiFaultKind) -> AiFaultRule {
    AiFaultRule {
        nth: None,
        after: 0,
        every: None,
        times: None,
        kind,
        retry_after: None,
        delay: None,
    }
}

fn spoilt(rule: AiFaultRule) -> AiSpec {
    AiSpec {
        faults: vec![rule],
        ..replies(&["At last."])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limit_is_waited_out_as_long_as_it_asks() {
    let ai = spoilt(AiFaultRule {
        nth: Some(1),
        retry_after: Some("3s".parse().unwrap()),
        ..fault(AiFaultKind::RateLimit)
    });
    let (world, daemon) = greeted(1, ai, "").await;
    let got = answered(&world, 101, "Hello", 2).await;
    assert!(got[1].ends_with("At last."), "{got:?}");
    let at: Vec<i64> = asked(&world).iter().map(|e| e.at).collect();
    assert_eq!(at.len(), 2);
    assert!(at[1] - at[0] >= 3000, "{at:?}");
    daemon.stop().await.unwrap();

    // For a conversation an hour is no answer: a human is told at once.
    let ai = spoilt(AiFaultRule {
        retry_after: Some("3600s".parse().unwrap()),
        ..fault(AiFaultKind::RateLimit)
    });
    let (world, daemon) = greeted(1, ai, "").await;
    says(&world, 101, "Hello");
    let flagged = until_state(&world, "needs_human").await;
    assert_eq!(flagged["reason"], "failed", "{flagged:#}");
    assert_eq!(asked(&world).len(), 1);
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_server_keeps_doing_wrong_ends_with_a_human_and_a_reason() {
    for (kind, words) in [
        (AiFaultKind::Refusal, "refused"),
        (AiFaultKind::Empty, "empty"),
        (AiFaultKind::CutOff, "cut off"),
        (AiFaultKind::BadJson, "No answer could be drafted"),
        (AiFaultKind::ServerError, "500"),
    ] {
        let (world, daemon) = greeted_by(1, spoilt(fault(kind)), "", fast()).await;
        says(&world, 101, "Hello");
        let flagged = until_state(&world, "needs_human").await;
        assert_eq!(flagged["reason"], "failed", "{flagged:#}");
        let message = flagged["message"].as_str().unwrap();
        assert!(message.contains(words), "{kind:?}: {message}");
        assert_eq!(
            asked(&world).len(),
            6,
            "{kind:?}: tried again, and not for ever"
        );
        assert_eq!(world.texts_to(101).len(), 1);
        daemon.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_says_nothing_or_is_not_there_does_not_stop_the_engine() {
    // It answers too late the first time.
    let ai = spoilt(AiFaultRule {
        nth: Some(1),
        delay: Some("120s".parse().unwrap()),
        ..fault(AiFaultKind::Slow)
    });
    let world = talking(
        &people(2, ""),
        ai,
        "ai: {base_url: 'URL', api_key: test, timeout: 3s}\n",
    )
    .await;
    world.write("campaigns/hello.yaml", answering("hello", ""));
    let daemon = world.daemon();
    until_got(&world, 102, 1).await;
    says(&world, 101, "Hello");
    world
        .until("the model is being asked", |world| asked(world).len() == 1)
        .await;
    // Meanwhile everything else goes on.
    answered(&world, 102, "Hello", 2).await;
    let got = until_got(&world, 101, 2).await;
    assert!(got[1].ends_with("At last."), "{got:?}");
    daemon.stop().await.unwrap();

    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = free.local_addr().unwrap();
    drop(free);
    let world = talking(
        &people(1, ""),
        replies(&["Never."]),
        &format!("ai: {{base_url: 'http://{nobody}/v1', api_key: test}}\n"),
    )
    .await;
    world.write("campaigns/hello.yaml", answering("hello", ""));
    let daemon = world.daemon_by(fast());
    until_got(&world, 101, 1).await;
    says(&world, 101, "Hello");
    let flagged = until_state(&world, "needs_human").await;
    assert_eq!(flagged["reason"], "failed", "{flagged:#}");
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_whose_answer_never_came_counts_for_the_day_and_that_is_said() {
    let ai = spoilt(AiFaultRule {
        nth: Some(1),
        delay: Some("120s".parse().unwrap()),
        ..fault(AiFaultKind::Slow)
    });
    let world = talking(
        &people(1, ""),
        ai,
        "ai: {base_url: 'URL', api_key: test, timeout: 1s}\n",
    )
    .await;
    world.write(
        "campaigns/hello.yaml",
        answering("hello", ", max_tokens_per_day: 300"),
    );
    let daemon = world.daemon();
    until_got(&world, 101, 1).await;
    says(&world, 101, "Hello");
    // With what it may have cost there is no room for a second question.
    let flagged = until_state(&world, "needs_human").await;
    assert_eq!(flagged["reason"], "tokens", "{flagged:#}");
    assert_eq!(asked(&world).len(), 1);
    daemon.stop().await.unwrap();
    let (code, told, errors) = world.cli(&["events"]).await;
    assert_eq!(code, 0, "{errors}");
    assert!(
        told.contains("the model may have been paid all the same"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_too_long_waits_for_an_operator_and_nothing_is_cut() {
    let long = "word ".repeat(1000);
    let (world, daemon) = greeted(1, replies(&[&long]), "").await;
    says(&world, 101, "Hello");
    let draft = until_state(&world, "draft").await;
    assert_eq!(draft["reason"], "too_long", "{draft:#}");
    assert!(draft["draft"].as_str().unwrap().ends_with(long.trim()));
    assert_eq!(world.texts_to(101).len(), 1);
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_blocked_the_account_meanwhile_is_suppressed_without_a_word() {
    let (world, daemon) = greeted(2, replies(&["Yes."]), "").await;
    world.sandbox.fault(
        FaultRule::error("USER_IS_BLOCKED")
            .method("messages.sendMessage")
            .person("@person101"),
    );
    says(&world, 101, "Hello");
    let mut suppressed = serde_json::Value::Null;
    let end = std::time::Instant::now() + super::common::PATIENCE;
    while !suppressed.to_string().contains("id:101") {
        assert!(std::time::Instant::now() < end, "{suppressed:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
        let asked = Command::Operator(OperatorCommand::OptOutList);
        if let Reply::Document { body } = world.ask(asked).await {
            suppressed = body;
        }
    }
    // Nobody confirms it, answers him or asks a human about him.
    says(&world, 101, "Are you there?");
    until_heard(&world, 101, "Are you there?").await;
    answered(&world, 102, "Hello", 2).await;
    assert_eq!(world.texts_to(101).len(), 1);
    assert_eq!(list(&world, Some("needs_human")).await.len(), 0);
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_plain_text_whatever_a_model_puts_into_it() {
    let marked = "**Ten** <b>euros</b> `now` {{ name }}";
    let (world, daemon) = greeted(1, replies(&[marked]), ", disclosure: 'A *bot*.'").await;
    let got = answered(&world, 101, "Hello", 2).await;
    assert_eq!(got[1], format!("A *bot*.\n\n{marked}"));
    assert_eq!(world.delivered()[1].entities.unwrap_or(0), 0);
    daemon.stop().await.unwrap();
}

//! What an answer waits for, what it counts for, and what keeps it back for a human.

use tidings::sandbox::{AiSpec, FaultRule};

use super::common::talk::{
    answered, answering, asked, greeted, replies, says, talking, until_got, until_state,
};
use super::common::{LIMITS, condition};
use super::people;

const ROLE: &str = "{ai_role: {prompt: Hi., delay: 0s, disclosure: 'I am a bot.'}}";

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_waits_as_long_as_telegram_says_and_leaves_once() {
    let (world, daemon) = greeted(1, replies(&["Yes."]), "").await;
    world.sandbox.fault(
        FaultRule::error("FLOOD_WAIT_3")
            .method("messages.sendMessage")
            .nth(1),
    );
    let got = answered(&world, 101, "Hello", 2).await;
    assert!(got[1].ends_with("Yes."), "{got:?}");
    let sends = world.calls("messages.sendMessage").split_off(1);
    let at: Vec<i64> = sends.iter().map(|e| e.at).collect();
    assert_eq!(at.len(), 2, "refused once, sent once");
    assert!(at[1] - at[0] >= 3000, "{at:?}");
    assert_eq!(sends[0].text, sends[1].text);
    assert_eq!(asked(&world).len(), 1, "what was drafted is what is sent");
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_counts_for_no_cap() {
    let settings = "accounts: {sales-1: {per_day: 1}}\n";
    let world = talking(&people(2, ""), replies(&["Yes."]), settings).await;
    world.write("campaigns/hello.yaml", answering("hello", ""));
    let daemon = world.daemon();
    let waits = |c: &serde_json::Value| c["waiting"].to_string().contains("AccountCap");
    world.until_campaign("hello", "the day's cap", waits).await;
    // What is on its way counts for the cap already.
    let sent = |world: &super::common::World| !world.who().is_empty();
    world.until("somebody is greeted", sent).await;
    let greeted = world.who()[0];
    for n in 2..5 {
        answered(&world, greeted, "Hello", n).await;
    }
    let account = world.account("sales-1").await;
    assert_eq!(account["sent_today"], 1, "{account:#}");
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limited_account_still_answers_who_wrote_first() {
    let world = talking(&people(2, ""), replies(&["Yes."]), "").await;
    world.sandbox.fault(
        FaultRule::error("PEER_FLOOD")
            .method("messages.sendMessage")
            .person("@person102"),
    );
    world.write("campaigns/hello.yaml", answering("hello", ""));
    let daemon = world.daemon();
    until_got(&world, 101, 1).await;
    let waits = |c: &serde_json::Value| c["waiting"].to_string().contains("AccountLimited");
    world.until_campaign("hello", "it is limited", waits).await;
    let got = answered(&world, 101, "Hello", 2).await;
    assert!(got[1].ends_with("Yes."), "{got:?}");
    assert_eq!(world.account("sales-1").await["state"], "limited");
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn where_only_some_may_be_written_to_nobody_else_is_answered() {
    let world = talking(&people(2, ""), replies(&["Yes."]), "").await;
    let url = world.sandbox.openai_url().unwrap();
    world.write(
        "tidings.yaml",
        format!(
            "{LIMITS}  only_to: ['@person101']\nai: {{base_url: '{url}', api_key: test}}\naccounts: {{sales-1: {ROLE}}}\n"
        ),
    );
    let daemon = world.daemon();
    super::until_ready(&world, "sales-1").await;
    says(&world, 102, "Hello");
    let flagged = until_state(&world, "needs_human").await;
    assert_eq!(
        (&flagged["person"], &flagged["reason"]),
        (&"id:102".into(), &"held".into())
    );
    assert!(
        flagged["message"].as_str().unwrap().contains("only_to"),
        "{flagged:#}"
    );
    answered(&world, 101, "Hello", 1).await;
    assert_eq!((world.texts_to(102).len(), asked(&world).len()), (0, 1));
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_campaign_that_is_invalid_or_past_its_end_nobody_is_answered() {
    for (broken, held) in [
        ("knid: mailing\n", "SpecInvalid"),
        (
            "schedule: {timezone: UTC, end: 2020-01-02T09:00}\n",
            "Ended",
        ),
    ] {
        let (world, daemon) = greeted(2, replies(&["Yes."]), "").await;
        let spec = format!("{}{broken}", answering("hello", ""));
        world.write("campaigns/hello.yaml", spec);
        world
            .until_campaign("hello", held, |c| {
                c["generation"] == 2 && !condition(c, "Ready").is_empty()
            })
            .await;
        says(&world, 101, "Hello");
        let flagged = until_state(&world, "needs_human").await;
        assert_eq!(
            (&flagged["person"], &flagged["reason"]),
            (&"id:101".into(), &"held".into()),
            "{held}"
        );
        // The confirmation of an opt-out is in nobody's name.
        let got = answered(&world, 102, "stop", 2).await;
        assert_eq!(got[1], "You won't hear from us again.", "{held}");
        assert_eq!((world.texts_to(101).len(), asked(&world).len()), (1, 0));
        daemon.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_may_stand_in_a_file_and_where_it_is_gone_a_human_is_told() {
    let ai = AiSpec {
        key: Some("sesame".to_owned()),
        ..replies(&["Yes."])
    };
    let settings = "ai: {base_url: 'URL', api_key_file: secrets/ai.key}\n";
    let world = talking(&people(1, ""), ai, settings).await;
    let key = world.write("secrets/ai.key", "sesame\n");
    world.write("campaigns/hello.yaml", answering("hello", ""));
    let daemon = world.daemon();
    until_got(&world, 101, 1).await;
    answered(&world, 101, "Hello", 2).await;
    std::fs::remove_file(key).unwrap();
    says(&world, 101, "Hello?");
    let flagged = until_state(&world, "needs_human").await;
    assert_eq!(flagged["reason"], "failed", "{flagged:#}");
    assert!(
        flagged["message"]
            .as_str()
            .unwrap()
            .contains("api_key_file"),
        "{flagged:#}"
    );
    daemon.stop().await.unwrap();
}

//! What people write, and who answers: AI answers end to end, opt-outs, hand-offs, operators. Judged by what the server
//! and the AI endpoint received.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

#[path = "conversations/changed.rs"]
mod changed;
#[path = "conversations/held.rs"]
mod held;
#[path = "conversations/limits.rs"]
mod limits;
#[path = "conversations/never.rs"]
mod never;
#[path = "conversations/orders.rs"]
mod orders;
#[path = "conversations/roles.rs"]
mod roles;
#[path = "conversations/trouble.rs"]
mod trouble;
#[path = "conversations/unread.rs"]
mod unread;

use common::talk::{
    answered, answering, asked, change, greeted, list, operator, question, replies, says, talking,
    until_got, until_heard, until_list, until_ready, until_state,
};
use tidings::control::ExitKind;
use tidings::model::{Command, RepliesCommand, Reply, TalkChange};
use tidings::sandbox::{AiFaultKind, AiFaultRule, AiSpec, FaultRule, Ref, WorldSpec};

/// One account, and people (ids from 101) in its group @meetup.
fn people(count: usize, rest: &str) -> String {
    format!("{}{rest}", common::crowd(count))
}

#[tokio::test(flavor = "multi_thread")]
async fn who_writes_back_is_answered_once_and_told_that_he_talks_to_a_machine() {
    let world = talking(
        &people(
            2,
            "scripts:\n  - {people: ['@person101'], reply: 'How much is it?'}\n",
        ),
        replies(&["Ten euros."]),
        "",
    )
    .await;
    world.write("campaigns/hello.yaml", answering("hello", ""));
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    assert_eq!(
        world.texts_to(101),
        ["Hi P101!", "I am an automated assistant.\n\nTen euros."]
    );
    assert_eq!(world.texts_to(102), ["Hi P102!"], "he never wrote");
    let questions = asked(&world);
    assert_eq!(questions.len(), 1, "asked once");
    let roles = question(&questions[0]);
    assert!(
        roles[0].1.starts_with("You are Mia of our shop."),
        "{roles:?}"
    );
    assert!(
        roles[0].1.contains("P101"),
        "the first name is shared: {roles:?}"
    );
    assert_eq!(
        roles[1..],
        [
            ("assistant".to_owned(), "Hi P101!".to_owned()),
            ("user".to_owned(), "How much is it?".to_owned())
        ]
    );
    let page = world
        .ask(tidings::model::Command::AudiencePage {
            name: "hello".into(),
            after: None,
        })
        .await;
    let tidings::model::Reply::Document { body } = page else {
        panic!("no export: {page:?}");
    };
    assert!(
        body.to_string()
            .contains(r#""last_reply":"How much is it?""#),
        "the export has his words: {body:#}"
    );
    let campaign = world.campaign("hello").await;
    assert_eq!(campaign["progress"]["replied"], 1, "{campaign:#}");
    // A restart says nothing again.
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    assert_eq!((world.texts_to(101).len(), asked(&world).len()), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn quick_messages_are_answered_together_and_the_disclosure_opens_the_first_answer_alone() {
    let world = talking(&people(1, ""), replies(&["Yes."]), "").await;
    world.write("campaigns/hello.yaml", answering("hello", ""));
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    // The engine hears all three at once, however slow the machine is.
    for text in ["Hello", "are you there", "?"] {
        says(&world, 101, text);
    }
    let daemon = world.daemon();
    let got = until_got(&world, 101, 2).await;
    assert_eq!(got[1], "I am an automated assistant.\n\nYes.");
    let text = asked(&world)[0].text.clone().unwrap();
    assert_eq!(text, "Hello\nare you there\n?");
    let got = answered(&world, 101, "Thanks", 3).await;
    assert_eq!(got[2], "Yes.", "said once");
    assert_eq!(asked(&world).len(), 2);
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handoff_word_stops_the_ai_and_flags_the_person_until_it_is_given_back() {
    let (world, daemon) = greeted(2, replies(&["Yes."]), ", handoff: [human, 'price list']").await;
    says(&world, 101, "I want to talk to a HUMAN!");
    let flagged = until_state(&world, "needs_human").await;
    assert_eq!(flagged["reason"], "handoff");
    assert_eq!(flagged["person"], "id:101");
    assert_eq!(asked(&world).len(), 0, "the model was not asked");
    says(&world, 101, "Hello?");
    operator(
        &world,
        RepliesCommand::Send {
            person: "@person101".into(),
            text: "This is Tom.".into(),
            account: None,
            by: "tom".into(),
        },
    )
    .await
    .unwrap();
    let got = until_got(&world, 101, 2).await;
    assert_eq!(got[1], "This is Tom.");
    says(&world, 101, "Hi Tom, one more question");
    until_heard(&world, 101, "Hi Tom, one more question").await;
    // Who wrote later is answered meanwhile.
    answered(&world, 102, "Hello", 2).await;
    let of_101 = |world: &common::World| {
        let all = asked(world).into_iter();
        all.filter(|e| e.text.as_deref() != Some("Hello")).count()
    };
    assert_eq!(of_101(&world), 0, "a human goes on with it");
    change(&world, 101, TalkChange::Returned).await;
    let got = until_got(&world, 101, 3).await;
    assert!(got[2].ends_with("Yes."), "{got:?}");
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_model_may_ask_for_a_human_and_report_a_refusal() {
    let ai = AiSpec {
        replies: vec!["Yes.".to_owned()],
        tool_words: [
            ("complain".to_owned(), "handoff".to_owned()),
            ("leave me alone".to_owned(), "opt_out".to_owned()),
        ]
        .into(),
        ..AiSpec::default()
    };
    let (world, daemon) = greeted(3, ai, "").await;
    says(&world, 101, "I want to complain");
    let flagged = until_state(&world, "needs_human").await;
    assert_eq!(
        (&flagged["reason"], &flagged["person"]),
        (&"model".into(), &"id:101".into())
    );
    let got = answered(&world, 102, "Please leave me alone now", 2).await;
    assert_eq!(got[1], "You won't hear from us again.");
    let campaign = world
        .until_campaign("hello", "an opt-out", |c| c["progress"]["opted_out"] == 1)
        .await;
    assert_eq!(campaign["progress"]["replied"], 2, "{campaign:#}");
    says(&world, 102, "and another thing");
    until_heard(&world, 102, "and another thing").await;
    // Who wrote later is answered meanwhile.
    answered(&world, 103, "Hello", 2).await;
    assert_eq!(
        world.texts_to(102).len(),
        2,
        "nobody writes to him any more"
    );
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_in_trouble_is_asked_again_and_then_a_human_is_told() {
    let fault = |kind, nth| AiFaultRule {
        nth: Some(nth),
        after: 0,
        every: None,
        times: None,
        kind,
        retry_after: None,
        delay: None,
    };
    let mut ai = replies(&["At last."]);
    ai.faults = vec![
        fault(AiFaultKind::ServerError, 1),
        fault(AiFaultKind::BadJson, 1),
        fault(AiFaultKind::Empty, 1),
    ];
    // Each rule counts the requests that the ones before it let through.
    let (world, daemon) = greeted(1, ai, "").await;
    let got = answered(&world, 101, "Hello", 2).await;
    assert!(got[1].ends_with("At last."), "{got:?}");
    assert_eq!(asked(&world).len(), 4);
    daemon.stop().await.unwrap();

    // A wrong key is wrong the next time too.
    let mut ai = replies(&["Never."]);
    ai.key = Some("another".to_owned());
    let (world, daemon) = greeted(1, ai, "").await;
    says(&world, 101, "Hello");
    let flagged = until_state(&world, "needs_human").await;
    assert_eq!(flagged["reason"], "failed");
    assert!(
        flagged["message"].as_str().unwrap().contains("401"),
        "{flagged:#}"
    );
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_operators_own_words_the_first_of_the_ai_still_say_what_it_is() {
    let ai = AiSpec {
        words: [("where".to_owned(), "See evil.museum".to_owned())].into(),
        ..replies(&["Yes."])
    };
    let (world, daemon) = greeted(1, ai, "").await;
    says(&world, 101, "Where?");
    let drafts = until_list(&world, "draft", "the link waits", |all| !all.is_empty()).await;
    operator(
        &world,
        RepliesCommand::Approve {
            id: drafts[0]["id"].as_u64().unwrap(),
            text: Some("On our page.".to_owned()),
            by: "tom".to_owned(),
        },
    )
    .await
    .unwrap();
    assert_eq!(until_got(&world, 101, 2).await[1], "On our page.");
    let got = answered(&world, 101, "Is it open?", 3).await;
    assert_eq!(got[2], "I am an automated assistant.\n\nYes.");
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_waits_for_an_operator_who_sends_changes_or_throws_it_away() {
    let (world, daemon) = greeted(3, replies(&["See https://evil.example"]), ", mode: draft").await;
    let mut ids = Vec::new();
    for person in [101, 102, 103] {
        says(&world, person, "Hello");
        let drafts = until_list(&world, "draft", "a draft for each", |all| {
            all.iter().any(|d| d["person"] == format!("id:{person}"))
        })
        .await;
        let new = drafts
            .iter()
            .find(|d| d["person"] == format!("id:{person}"));
        ids.push(new.unwrap()["id"].as_u64().unwrap());
    }
    assert_eq!(ids.len(), 3);
    assert_eq!(world.texts_to(101).len(), 1, "nothing goes out by itself");
    let by = || "tom".to_owned();
    operator(
        &world,
        RepliesCommand::Approve {
            id: ids[0],
            text: None,
            by: by(),
        },
    )
    .await
    .unwrap();
    let text = Some("Better so.".to_owned());
    operator(
        &world,
        RepliesCommand::Approve {
            id: ids[1],
            text,
            by: by(),
        },
    )
    .await
    .unwrap();
    operator(
        &world,
        RepliesCommand::Reject {
            id: ids[2],
            by: by(),
        },
    )
    .await
    .unwrap();
    assert!(until_got(&world, 101, 2).await[1].contains("https://evil.example"));
    assert_eq!(until_got(&world, 102, 2).await[1], "Better so.");
    let flagged = until_state(&world, "needs_human").await;
    assert_eq!(
        (&flagged["person"], &flagged["reason"]),
        (&"id:103".into(), &"rejected".into())
    );
    // Once is enough.
    for _ in 0..2 {
        let again = operator(
            &world,
            RepliesCommand::Approve {
                id: ids[0],
                text: None,
                by: by(),
            },
        )
        .await;
        assert!(again.is_err(), "{again:?}");
    }
    assert_eq!(world.texts_to(103).len(), 1);
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_with_a_link_that_is_not_allowed_or_a_denial_waits_for_an_operator() {
    for (said, answer, reason) in [
        ("Hello", "See our shop—evil.example.com/x", "link"),
        ("Hello", "You are talking to a real person.", "denial"),
        ("Are you a bot?", "No. How can I help?", "denial"),
    ] {
        let (world, daemon) = greeted(1, replies(&[answer]), ", allow_links: [shop.com]").await;
        says(&world, 101, said);
        let draft = until_state(&world, "draft").await;
        assert_eq!(draft["reason"], reason, "{draft:#}");
        assert_eq!(world.texts_to(101).len(), 1);
        daemon.stop().await.unwrap();
    }
    let (world, daemon) = greeted(
        1,
        replies(&["See https://www.shop.com/x"]),
        ", allow_links: [shop.com]",
    )
    .await;
    answered(&world, 101, "Hello", 2).await;
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_and_tokens_are_limited() {
    let (world, daemon) = greeted(2, replies(&["Yes."]), ", max_replies: 1").await;
    answered(&world, 101, "One", 2).await;
    says(&world, 101, "Two");
    let flagged = until_state(&world, "needs_human").await;
    assert_eq!(flagged["reason"], "max_replies", "{flagged:#}");
    assert_eq!(asked(&world).len(), 1);
    daemon.stop().await.unwrap();

    // The day's tokens are counted over restarts.
    let (world, daemon) = greeted(2, replies(&["Yes."]), ", max_tokens_per_day: 50").await;
    answered(&world, 101, "One", 2).await;
    daemon.stop().await.unwrap();
    let daemon = world.daemon();
    says(&world, 102, "Two");
    let flagged = until_state(&world, "needs_human").await;
    assert_eq!(
        (&flagged["reason"], &flagged["person"]),
        (&"tokens".into(), &"id:102".into())
    );
    assert_eq!(asked(&world).len(), 1);
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_campaign_is_held_its_people_are_flagged_and_not_answered() {
    let world = talking(&people(1, ""), replies(&["Yes."]), "").await;
    world.write("campaigns/hello.yaml", answering("hello", ""));
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    world.write(
        "campaigns/hello.yaml",
        format!("{}paused: true\n", answering("hello", "")),
    );
    let daemon = world.daemon();
    says(&world, 101, "Hello");
    let flagged = until_state(&world, "needs_human").await;
    assert_eq!(flagged["reason"], "held", "{flagged:#}");
    assert_eq!((world.texts_to(101).len(), asked(&world).len()), (1, 0));
    // What was held may pass: the next message is answered.
    world.write("campaigns/hello.yaml", answering("hello", ""));
    world
        .until_campaign("hello", "it goes on", |c| {
            common::condition(c, "Paused") == "False NotPaused"
        })
        .await;
    answered(&world, 101, "Hello?", 2).await;
    // A file that is gone answers nobody.
    std::fs::remove_file(world.path().join("campaigns/hello.yaml")).unwrap();
    world
        .until_campaign("hello", "it is retired", |c| c["sync"] == "retired")
        .await;
    says(&world, 101, "And now?");
    let flagged = until_state(&world, "needs_human").await;
    assert_eq!(flagged["reason"], "held", "{flagged:#}");
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn anyone_else_is_answered_in_the_role_of_the_account() {
    let world = talking(
        &people(2, ""),
        replies(&["Yes."]),
        "accounts: {sales-1: {ai_role: {prompt: 'You are the front desk.', delay: 0s, disclosure: 'I am a bot.'}}}\n",
    )
    .await;
    let daemon = world.daemon();
    until_ready(&world, "sales-1").await;
    let got = answered(&world, 101, "Hello", 1).await;
    assert_eq!(got, ["I am a bot.\n\nYes."]);
    let system = asked(&world)[0].note.clone().unwrap();
    assert!(system.contains("You are the front desk."), "{system}");
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_answers_hands_over_and_takes_a_refusal() {
    let example = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/ai-answers");
    let read = |path: &str| std::fs::read_to_string(example.join(path)).unwrap();
    let spec = WorldSpec::from_yaml(&read("world.yaml")).unwrap();
    let ai = spec.ai.clone();
    let world = talking(&read("world.yaml"), ai, "").await;
    let url = world.sandbox.openai_url().unwrap();
    world.write(".env", format!("AI_URL={url}\n"));
    for file in [
        "tidings.yaml",
        "campaigns/shop-news.yaml",
        "campaigns/roles/mia.j2",
    ] {
        world.write(file, read(file));
    }
    let daemon = world.daemon();
    until_got(&world, 103, 1).await;
    says(&world, 104, "Are you open on Sunday?");
    let got = until_got(&world, 101, 3).await;
    assert_eq!(
        got[1],
        "I am Mia, the shop's automated assistant.\n\nTen euros each. https://www.shop.example/lamps shows them all."
    );
    assert_eq!(got[2], "You are welcome!");
    let flagged = until_state(&world, "needs_human").await;
    assert_eq!(
        (&flagged["person"], &flagged["reason"]),
        (&"id:102".into(), &"handoff".into())
    );
    let draft = until_state(&world, "draft").await;
    assert_eq!(
        (&draft["person"], &draft["name"], &draft["campaign"]),
        (&"id:104".into(), &"Dmitry".into(), &serde_json::Value::Null)
    );
    let got = until_got(&world, 103, 2).await;
    assert_eq!(got[1], "You won't hear from us again.");
    assert_eq!(world.texts_to(102).len(), 1);
    assert_eq!(world.texts_to(104).len(), 0);
    let prompts: Vec<String> = asked(&world).into_iter().filter_map(|e| e.note).collect();
    assert!(
        prompts.iter().any(|p| p.contains("News of the shop")),
        "{prompts:?}"
    );
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_nudged_before_the_dialogs_were_read_in_which_he_may_have_said_stop() {
    let world = talking(
        &people(6, "updates: {slice: 100, too_long: 5}\n"),
        replies(&["Yes."]),
        "",
    )
    .await;
    world.write("campaigns/hello.yaml", answering("hello", ""));
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    for person in 101..107 {
        says(&world, person, "stop");
    }
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let nudge = "follow_ups: [{after: 1s, if: always, templates: [{name: f, text: Again}]}]\n";
    world.write("campaigns/hello.yaml", answering("hello", "") + nudge);
    // It takes longer than a silent server is waited for.
    let history = || FaultRule::error("FLOOD_WAIT_6").method("messages.getHistory");
    world.sandbox.fault(history().nth(4));
    let daemon = world.daemon();
    for person in 101..107 {
        let got = until_got(&world, person, 2).await;
        assert_eq!(got[1], "You won't hear from us again.", "{person}");
    }
    daemon.stop().await.unwrap();
    for person in 101..107 {
        assert_eq!(world.texts_to(person).len(), 2, "{person}");
    }
    // What was read before the wait was not read again after it.
    let read = world.calls("messages.getHistory");
    assert_eq!(read.len(), 7, "{read:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_while_nobody_listened_is_answered_however_much_it_is() {
    // In slices, and too much to be told at all: then the dialogs are read.
    for updates in ["{slice: 2, too_long: 1000}", "{slice: 100, too_long: 5}"] {
        let world = talking(
            &people(6, &format!("updates: {updates}\n")),
            replies(&["Yes."]),
            "",
        )
        .await;
        world.write("campaigns/hello.yaml", answering("hello", ""));
        assert_eq!(world.once().await.unwrap(), ExitKind::Done);
        for person in 101..106 {
            says(&world, person, "One");
            says(&world, person, "Two");
        }
        says(&world, 106, "stop");
        let daemon = world.daemon();
        for person in 101..106 {
            until_got(&world, person, 2).await;
        }
        let got = until_got(&world, 106, 2).await;
        assert_eq!(got[1], "You won't hear from us again.", "{updates}");
        daemon.stop().await.unwrap();
        // A restart finds nothing new.
        assert_eq!(world.once().await.unwrap(), ExitKind::Done);
        for person in 101..107 {
            assert_eq!(world.texts_to(person).len(), 2, "{updates}: {person}");
        }
        let questions: Vec<String> = asked(&world).into_iter().filter_map(|e| e.text).collect();
        assert_eq!(questions, ["One\nTwo"; 5], "{updates}");
        assert_eq!(list(&world, Some("human")).await.len(), 0, "{updates}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_human_in_another_client_silences_the_ai_for_that_person_alone() {
    let (world, daemon) = greeted(2, replies(&["Yes."]), "").await;
    world
        .sandbox
        .send_as_account("sales-1", Ref::Id(101), "Tom here, hi!")
        .unwrap();
    let taken = until_state(&world, "human").await;
    assert_eq!(taken["person"], "id:101");
    says(&world, 101, "Hi Tom");
    until_heard(&world, 101, "Hi Tom").await;
    answered(&world, 102, "Hello", 2).await;
    assert_eq!(world.texts_to(101).len(), 1);
    let what = RepliesCommand::Show {
        person: "@person101".into(),
    };
    let Reply::Document { body } = world.ask(Command::Replies { what }).await else {
        panic!("no conversation")
    };
    let lines: Vec<(&str, &str)> = body["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|l| (l["speaker"].as_str().unwrap(), l["text"].as_str().unwrap()))
        .collect();
    assert_eq!(
        lines,
        [
            ("campaign", "Hi P101!"),
            ("human", "Tom here, hi!"),
            ("person", "Hi Tom")
        ]
    );
    daemon.stop().await.unwrap();
    // What a human said while the engine was down counts as well; what the engine said does not.
    world
        .sandbox
        .send_as_account("sales-1", Ref::Id(102), "Tom again")
        .unwrap();
    let daemon = world.daemon();
    until_list(&world, "human", "a human took both", |all| all.len() == 2).await;
    daemon.stop().await.unwrap();
}

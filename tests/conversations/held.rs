//! What silences the AI: a hold over everything, and a human who writes from another client.

use tidings::model::{Command, RepliesCommand, Reply, TalkChange};
use tidings::sandbox::{FaultRule, Ref};

use super::common::talk::{
    answered, answering, asked, change, greeted, list, operator, replies, says, talking, until_got,
    until_heard, until_list, until_ready, until_state,
};
use super::common::{World, crowd};
use super::people;

/// A world in which a campaign has a role for its people, and the account one for anybody else: Olga, who is in no group.
async fn two_roles(role: &str) -> World {
    let yaml = people(3, "").replace(
        "groups:",
        "  - {id: 900, username: olga, first_name: Olga}\ngroups:",
    );
    let yaml = yaml.replace(
        "members: all",
        "members: ['@person101', '@person102', '@person103']",
    );
    let world = talking(
        &yaml,
        replies(&["Yes."]),
        "accounts: {sales-1: {ai_role: {prompt: You are the front desk., delay: 0s}}}\n",
    )
    .await;
    world.write("campaigns/hello.yaml", answering("hello", role));
    world
}

async fn hold(world: &World, on: bool) {
    let (name, reason, by) = (None, "a leak".to_owned(), "tom".to_owned());
    let reply = match on {
        true => world.ask(Command::Suspend { name, reason, by }).await,
        false => world.ask(Command::Resume { name, reason, by }).await,
    };
    assert!(matches!(reply, Reply::Done { .. }), "{reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_everything_is_suspended_no_role_says_anything_and_opt_outs_are_kept_and_confirmed() {
    let world = two_roles("").await;
    let daemon = world.daemon();
    for person in 101..104 {
        until_got(&world, person, 1).await;
    }
    let got = answered(&world, 900, "Hello", 1).await;
    assert!(got[0].ends_with("Yes."), "{got:?}");
    hold(&world, true).await;
    says(&world, 101, "Hello");
    says(&world, 900, "Are you there?");
    let flagged = until_list(&world, "needs_human", "both are flagged", |all| {
        all.len() == 2
    })
    .await;
    for reply in &flagged {
        assert_eq!(reply["reason"], "held", "{reply:#}");
        let message = reply["message"].as_str().unwrap();
        assert!(message.contains("tidings resume --all"), "{message}");
    }
    // A confirmation is in nobody's name (CONTRACT, 'What an edit means').
    let got = answered(&world, 102, "stop", 2).await;
    assert_eq!(got[1], "You won't hear from us again.");
    daemon.stop().await.unwrap();
    // It holds over a restart.
    says(&world, 900, "Hello?");
    let daemon = world.daemon();
    until_heard(&world, 900, "Hello?").await;
    until_list(&world, "needs_human", "both are flagged", |all| {
        all.len() == 2
    })
    .await;
    let got = answered(&world, 103, "Unsubscribe!", 2).await;
    assert_eq!(got[1], "You won't hear from us again.");
    assert_eq!(
        (world.texts_to(101).len(), world.texts_to(900).len()),
        (1, 1)
    );
    assert_eq!(asked(&world).len(), 1, "nobody was asked meanwhile");
    let campaign = world.campaign("hello").await;
    assert_eq!(campaign["progress"]["opted_out"], 2, "{campaign:#}");
    hold(&world, false).await;
    // Whoever writes again is answered.
    let got = answered(&world, 900, "Still there?", 2).await;
    assert_eq!(got[1], "Yes.");
    let got = answered(&world, 101, "And here?", 2).await;
    assert!(got[1].ends_with("Yes."), "{got:?}");
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_drafted_before_everything_was_suspended_does_not_leave() {
    let world = two_roles(", mode: draft").await;
    let daemon = world.daemon();
    until_got(&world, 103, 1).await;
    says(&world, 101, "Hello");
    let draft = until_state(&world, "draft").await;
    hold(&world, true).await;
    let approve = || RepliesCommand::Approve {
        id: draft["id"].as_u64().unwrap(),
        text: None,
        by: "tom".into(),
    };
    let refused = operator(&world, approve()).await.unwrap_err();
    assert!(refused.contains("tidings resume --all"), "{refused}");
    // Of a human's own words no hold keeps any.
    let send = RepliesCommand::Send {
        person: "@person101".into(),
        text: "Tom here.".into(),
        account: None,
        by: "tom".into(),
    };
    until_state(&world, "draft").await;
    hold(&world, false).await;
    operator(&world, approve()).await.unwrap();
    let got = until_got(&world, 101, 2).await;
    assert!(got[1].ends_with("Yes."), "{got:?}");
    hold(&world, true).await;
    operator(&world, send).await.unwrap();
    assert_eq!(until_got(&world, 101, 3).await[2], "Tom here.");
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lacks_what_the_confirmation_prints_gets_the_plain_one() {
    let reply = "opt_out: {reply: 'Bye {{ contact.fields.city }}.'}\n";
    let world = talking(&crowd(1), replies(&["Yes."]), reply).await;
    world.write("campaigns/hello.yaml", answering("hello", ""));
    let daemon = world.daemon();
    until_got(&world, 101, 1).await;
    let got = answered(&world, 101, "stop", 2).await;
    assert_eq!(got[1], "You won't hear from us again.");
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_of_a_campaign_that_is_paused_cannot_be_approved_and_stays() {
    let role = ", mode: draft";
    let (world, daemon) = greeted(1, replies(&["Yes."]), role).await;
    let person = 101;
    says(&world, person, "Hello");
    let draft = until_state(&world, "draft").await;
    let spec = answering("hello", role);
    world.write("campaigns/hello.yaml", format!("{spec}paused: true\n"));
    world
        .until_campaign("hello", "it is paused", |c| c["observed_generation"] == 2)
        .await;
    let approve = || RepliesCommand::Approve {
        id: draft["id"].as_u64().unwrap(),
        text: None,
        by: "tom".into(),
    };
    let refused = operator(&world, approve()).await.unwrap_err();
    assert!(refused.contains("stays"), "{refused}");
    until_state(&world, "draft").await;
    world.write("campaigns/hello.yaml", spec);
    world
        .until_campaign("hello", "it goes on", |c| c["observed_generation"] == 3)
        .await;
    operator(&world, approve()).await.unwrap();
    let got = until_got(&world, person, 2).await;
    assert!(got[1].ends_with("Yes."), "{got:?}");
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_id_telegram_never_said_hides_no_human() {
    let world = talking(&people(2, ""), replies(&["Yes."]), "").await;
    // Telegram says twice that it has it already, and that is all.
    world.sandbox.fault(
        FaultRule::error("RANDOM_ID_DUPLICATE")
            .method("messages.sendMessage")
            .person("@person101")
            .times(2),
    );
    world.write("campaigns/hello.yaml", answering("hello", ""));
    let daemon = world.daemon();
    until_ready(&world, "sales-1").await;
    world
        .until_campaign("hello", "both count as sent", |c| {
            c["progress"]["sent"] == 2
        })
        .await;
    let human = |text: &str| {
        let to = Ref::Id(101);
        world.sandbox.send_as_account("sales-1", to, text).unwrap();
    };
    // It turns up late: the engine's own.
    human("Hi P101!");
    let got = answered(&world, 101, "Hello", 1).await;
    assert!(got[0].ends_with("Yes."), "the AI goes on: {got:?}");
    // What turns up then is a human's, and the same words once more are his too.
    human("Tom here, hi!");
    let taken = until_state(&world, "human").await;
    assert_eq!(taken["person"], "id:101");
    says(&world, 101, "Hi Tom");
    until_heard(&world, 101, "Hi Tom").await;
    // Who wrote later is answered meanwhile.
    answered(&world, 102, "Hello", 2).await;
    assert_eq!((world.texts_to(101).len(), asked(&world).len()), (1, 2));
    change(&world, 101, TalkChange::Returned).await;
    human("Hi P101!");
    until_list(&world, "human", "a human took it again", |all| {
        all.len() == 1
    })
    .await;
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_stop_to_one_account_hears_of_none() {
    let yaml = super::common::crowd_of(&["sales-1", "sales-2"], 2);
    let role = "{ai_role: {prompt: Hi., delay: 0s}}";
    let settings = format!("accounts: {{sales-1: {role}, sales-2: {role}}}\n");
    let world = talking(&yaml, replies(&["Yes."]), &settings).await;
    let daemon = world.daemon();
    until_ready(&world, "sales-1").await;
    until_ready(&world, "sales-2").await;
    let got = answered(&world, 101, "СТОП 🛑!!", 1).await;
    assert_eq!(got, ["You won't hear from us again."]);
    // He goes on, to both, and the other account begins a campaign.
    says(&world, 101, "Why did you write?");
    let to = |account: &str, person: i64, text: &str| {
        let person = Ref::Id(person);
        world.sandbox.send_as_person(person, account, text).unwrap();
    };
    to("sales-2", 101, "Hello?");
    world.write(
        "campaigns/hello.yaml",
        super::common::mailing("hello", "sales-2", ""),
    );
    until_got(&world, 102, 1).await;
    // Who wrote later is answered by both meanwhile.
    to("sales-2", 102, "Hello");
    to("sales-1", 102, "Hello");
    until_got(&world, 102, 3).await;
    assert_eq!(world.texts_to(101).len(), 1);
    assert_eq!(asked(&world).len(), 2);
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_one_account_for_a_human_is_answered_by_no_other() {
    let yaml = super::common::crowd_of(&["sales-1", "sales-2"], 2);
    let settings = "accounts: {sales-1: {ai_role: {prompt: Hi., delay: 0s, handoff: [human]}}, \
                    sales-2: {ai_role: {prompt: Hi., delay: 0s}}}\n";
    let world = talking(&yaml, replies(&["Yes."]), settings).await;
    let daemon = world.daemon();
    until_ready(&world, "sales-1").await;
    until_ready(&world, "sales-2").await;
    let to = |account: &str, person: i64, text: &str| {
        let person = Ref::Id(person);
        world.sandbox.send_as_person(person, account, text).unwrap();
    };
    to("sales-1", 101, "A human, please");
    until_state(&world, "needs_human").await;
    to("sales-2", 101, "Hello?");
    let flagged = until_list(&world, "needs_human", "both dialogs are a human's", |all| {
        all.len() == 2
    })
    .await;
    assert!(
        flagged.iter().all(|talk| talk["reason"] == "handoff"),
        "{flagged:?}"
    );
    // Who wrote later is answered meanwhile.
    to("sales-2", 102, "Hello");
    until_got(&world, 102, 1).await;
    assert_eq!(world.texts_to(101), [""; 0]);
    assert_eq!(asked(&world).len(), 1);
    change(&world, 101, TalkChange::Returned).await;
    to("sales-2", 101, "And now?");
    until_got(&world, 101, 1).await;
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_taken_and_given_back_without_a_word_is_the_ais_to_answer() {
    let world = two_roles(", mode: draft").await;
    let daemon = world.daemon();
    until_got(&world, 103, 1).await;
    says(&world, 101, "Hello");
    let draft = until_state(&world, "draft").await;
    change(&world, 101, TalkChange::Taken).await;
    until_state(&world, "human").await;
    change(&world, 101, TalkChange::Returned).await;
    let again = until_state(&world, "draft").await;
    assert_ne!(again["id"], draft["id"], "drafted anew");
    assert_eq!(asked(&world).len(), 2);
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_has_answered_is_the_ais_once_it_is_given_back() {
    let (world, daemon) = greeted(3, replies(&["Yes."]), ", mode: draft, handoff: [human]").await;
    // A draft was rejected: another one is made, and the server is asked a question of its own.
    says(&world, 101, "Hello");
    let draft = until_state(&world, "draft").await["id"].as_u64().unwrap();
    let by = "tom".to_owned();
    operator(&world, RepliesCommand::Reject { id: draft, by })
        .await
        .unwrap();
    until_state(&world, "needs_human").await;
    change(&world, 101, TalkChange::Returned).await;
    let again = until_state(&world, "draft").await;
    assert_ne!(again["id"].as_u64(), Some(draft), "drafted anew");
    let questions = asked(&world);
    assert_eq!(questions.len(), 2);
    assert_ne!(questions[0].query, questions[1].query, "no repetition");
    change(&world, 101, TalkChange::Closed).await;

    // He asked for a human, and the human leaves it to the AI.
    says(&world, 102, "A human, please");
    until_state(&world, "needs_human").await;
    change(&world, 102, TalkChange::Returned).await;
    let draft = until_state(&world, "draft").await;
    assert_eq!(draft["person"], "id:102");
    // Who says it again gets one.
    says(&world, 102, "No, a human");
    let flagged = until_state(&world, "needs_human").await;
    assert_eq!(flagged["reason"], "handoff", "{flagged:#}");
    change(&world, 102, TalkChange::Closed).await;

    // The campaign was held.
    let paused = format!("{}paused: true\n", answering("hello", ""));
    world.write("campaigns/hello.yaml", paused);
    world
        .until_campaign("hello", "it is paused", |c| c["generation"] == 2)
        .await;
    says(&world, 103, "Hello");
    until_state(&world, "needs_human").await;
    world.write("campaigns/hello.yaml", answering("hello", ""));
    world
        .until_campaign("hello", "it goes on", |c| c["generation"] == 3)
        .await;
    assert_eq!(list(&world, Some("needs_human")).await.len(), 1);
    change(&world, 103, TalkChange::Returned).await;
    let got = until_got(&world, 103, 2).await;
    assert!(got[1].ends_with("Yes."), "{got:?}");
    // What he says then is answered once.
    let got = answered(&world, 103, "Thanks", 3).await;
    assert_eq!(got[2], "Yes.");
    daemon.stop().await.unwrap();
}

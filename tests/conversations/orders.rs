//! What operators say on the command line, and how it ends.

use tidings::model::{Command, OperatorCommand, Reference, RepliesCommand, Reply, TalkChange};

use super::common::World;
use super::common::talk::{
    answered, answering, asked, change, greeted, list, operator, replies, says, until_heard,
    until_list, until_state,
};

async fn optout(world: &World, add: bool) {
    let person = Reference::parse("@person101").unwrap();
    let (why, by) = ("asked by phone".to_owned(), "tom".to_owned());
    let people = vec![vec![person.clone()]];
    let command = match add {
        true => OperatorCommand::OptOutAdd { people, why, by },
        false => OperatorCommand::OptOutRemove { person, why, by },
    };
    let reply = world.ask(Command::Operator(command)).await;
    assert!(!matches!(reply, Reply::Refused { .. }), "{reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_command_line_alone_gets_wrong_is_misuse_and_what_the_state_refuses_is_a_failure()
{
    let (world, daemon) = greeted(1, replies(&["Yes."]), ", mode: draft").await;
    says(&world, 101, "Hello");
    let draft = until_state(&world, "draft").await["id"].to_string();
    let long = "x".repeat(5000);
    let cases: &[(&[&str], i32)] = &[
        (&["approve", &draft, "--text", " "], 64),
        (&["approve", &draft, "--text", &long], 64),
        (&["approve", "4711", "--text", " "], 64),
        (&["send", "@person101", " "], 64),
        (&["send", "@person101", &long], 64),
        (&["send", "12345", "Hello"], 64),
        (&["show", "12345"], 64),
        (&["take", "12345"], 64),
        (&["reject", "many"], 64),
        (&["list", "--state", "nowhere"], 64),
        (&["--state", "draft", "reject", &draft], 64),
        (&["approve", "4711"], 1),
        (&["reject", "4711"], 1),
        (&["send", "@nobody", "Hello"], 1),
        (&["send", "@person101", "Hello", "--account", "sales-9"], 1),
        (&["show", "@nobody"], 1),
        (&["take", "@nobody"], 1),
        (&["return", "@nobody"], 1),
        (&["close", "@nobody"], 1),
    ];
    for (words, code) in cases {
        let args: Vec<&str> = ["replies"].iter().chain(words.iter()).copied().collect();
        let (ended, out, errors) = world.cli(&args).await;
        assert_eq!((ended, out.as_str()), (*code, ""), "{words:?}: {errors}");
        assert_ne!(errors, "", "{words:?}");
    }
    assert_eq!(
        list(&world, Some("draft")).await.len(),
        1,
        "nothing was done"
    );
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_conversations_are_listed_wherever_the_options_stand() {
    let (world, daemon) = greeted(1, replies(&["Yes."]), ", mode: draft").await;
    says(&world, 101, "Hello");
    until_state(&world, "draft").await;
    let shown = async |words: &[&str]| {
        let args: Vec<&str> = ["replies"].iter().chain(words).copied().collect();
        let (code, out, errors) = world.cli(&args).await;
        assert_eq!(code, 0, "{words:?}: {errors}");
        out
    };
    let all = shown(&["list"]).await;
    assert!(all.contains("draft") && all.contains("P101"), "{all}");
    for same in [
        &[][..],
        &["--state", "draft"],
        &["--state", "draft", "list"],
        &["list", "--state", "draft"],
        &["--state", "quiet", "list", "--state", "draft"],
    ] {
        assert_eq!(shown(same).await, all, "{same:?}");
    }
    let json = shown(&["-o", "json", "list"]).await;
    assert_eq!(json, shown(&["list", "-o", "json"]).await);
    assert!(json.starts_with('{'), "{json}");
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_wrote_before_he_was_suppressed_is_not_answered_after() {
    let (world, daemon) = greeted(2, replies(&["Yes."]), "").await;
    let slow = answering("hello", "").replace("delay: 0s", "delay: 1h");
    world.write("campaigns/hello.yaml", slow);
    world
        .until_campaign("hello", "the edit is seen", |c| c["generation"] == 2)
        .await;
    says(&world, 101, "Hello");
    until_state(&world, "answering").await;
    optout(&world, true).await;
    until_list(&world, "answering", "nobody answers him", <[_]>::is_empty).await;
    says(&world, 101, "Are you there?");
    until_heard(&world, 101, "Are you there?").await;
    // Neither a human nor the AI goes on with him, and nobody says so.
    for change in [TalkChange::Taken, TalkChange::Returned] {
        let what = RepliesCommand::Change {
            person: "@person101".into(),
            change,
            by: "tom".into(),
        };
        let refused = operator(&world, what).await.unwrap_err();
        assert!(refused.contains("nobody writes to him"), "{refused}");
    }
    change(&world, 101, TalkChange::Closed).await;
    optout(&world, false).await;
    world.write("campaigns/hello.yaml", answering("hello", ""));
    // Who wrote later is answered, and nothing waits for him who was on the list.
    answered(&world, 102, "Hello", 2).await;
    until_list(&world, "answering", "all is said", <[_]>::is_empty).await;
    assert_eq!((world.texts_to(101).len(), asked(&world).len()), (1, 1));
    let got = answered(&world, 101, "And now?", 2).await;
    assert!(got[1].ends_with("Yes."), "{got:?}");
    daemon.stop().await.unwrap();
}

//! Messages that a person changes after he sent them, and what stood in a dialog before the account came here: a refusal
//! counts, and nothing else does.

use std::time::Duration;

use tidings::control::ExitKind;
use tidings::sandbox::{Ref, SandboxOptions, WorldSpec};

use super::common::talk::{answered, asked, greeted, list, replies, says, until_got, until_heard};
use super::common::{World, crowd, mailing, world, world_with};

const CONFIRMED: &str = "You won't hear from us again.";

fn changes(world: &World, person: i64, id: Option<i32>, text: &str) -> i32 {
    world
        .sandbox
        .edit_as_person(Ref::Id(person), "sales-1", id, text)
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_changes_his_message_into_stop_has_said_stop() {
    let (world, daemon) = greeted(2, replies(&["Yes."]), "").await;
    answered(&world, 101, "Hello", 2).await;
    changes(&world, 101, None, "Stop 🛑");
    let got = until_got(&world, 101, 3).await;
    assert_eq!(got[2], CONFIRMED);
    let campaign = world.campaign("hello").await;
    assert_eq!(campaign["progress"]["opted_out"], 1, "{campaign:#}");
    assert_eq!(campaign["progress"]["replied"], 1, "{campaign:#}");
    until_heard(&world, 101, "Stop 🛑").await;
    // Once more, into something else, and in a new message: he hears nothing of it.
    changes(&world, 101, None, "stop!");
    changes(&world, 101, None, "Sorry, are you there?");
    says(&world, 101, "Hello?");
    answered(&world, 102, "Hello", 2).await;
    assert_eq!(world.texts_to(101).len(), 3);
    assert_eq!(asked(&world).len(), 2);
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_change_is_no_second_message() {
    let (world, daemon) = greeted(2, replies(&["Yes."]), ", handoff: [human]").await;
    answered(&world, 101, "Hello", 2).await;
    for text in ["Hello!", "A human, please", "Do not stop", ""] {
        changes(&world, 101, None, text);
    }
    answered(&world, 102, "Hello", 2).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(world.texts_to(101).len(), 2, "{:?}", world.texts_to(101));
    assert_eq!(asked(&world).len(), 2);
    assert_eq!(list(&world, Some("needs_human")).await.len(), 0);
    // What he writes next is heard as ever.
    answered(&world, 101, "And tomorrow?", 3).await;
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_while_nobody_listened_is_heard_at_the_start() {
    let (world, daemon) = greeted(3, replies(&["Yes."]), "").await;
    answered(&world, 101, "Hello", 2).await;
    daemon.stop().await.unwrap();
    // One of a message that was answered, one of a message that nobody heard yet, one that refuses nothing.
    changes(&world, 101, None, "stop");
    says(&world, 102, "Who are you?");
    changes(&world, 102, None, "СТОП");
    says(&world, 103, "Hello");
    changes(&world, 103, None, "Hello there");
    for _ in 0..2 {
        let daemon = world.daemon();
        assert_eq!(until_got(&world, 101, 3).await[2], CONFIRMED);
        assert_eq!(until_got(&world, 102, 2).await[1], CONFIRMED);
        assert!(until_got(&world, 103, 2).await[1].ends_with("Yes."));
        tokio::time::sleep(Duration::from_millis(1500)).await;
        daemon.stop().await.unwrap();
    }
    let count = |person| world.texts_to(person).len();
    assert_eq!((count(101), count(102), count(103)), (3, 2, 2));
    assert_eq!(asked(&world).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_found_in_the_dialog_where_telegram_no_longer_tells_of_it() {
    let mut yaml = crowd(3);
    yaml.push_str("updates: {too_long: 4}\n");
    let world = world(&yaml).await;
    world.write("campaigns/hello.yaml", mailing("hello", "sales-1", ""));
    let daemon = world.daemon();
    world
        .until_campaign("hello", "all got it", |c| c["progress"]["sent"] == 3)
        .await;
    says(&world, 101, "Thanks");
    world
        .until_campaign("hello", "he was heard", |c| c["progress"]["replied"] == 1)
        .await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    daemon.stop().await.unwrap();
    changes(&world, 101, None, "unsubscribe");
    for _ in 0..8 {
        says(&world, 102, "Hello?");
    }
    let daemon = world.daemon();
    assert_eq!(until_got(&world, 101, 2).await[1], CONFIRMED);
    world
        .until_campaign("hello", "the other was heard too", |c| {
            c["progress"]["replied"] == 2 && c["progress"]["opted_out"] == 1
        })
        .await;
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn people_of_a_world_change_what_they_said() {
    let mut yaml = crowd(3);
    yaml.push_str(
        "scripts:\n  - {people: ['@person102'], reply: Interesting, edit: stop, delay: 100ms}\n",
    );
    let world = world(&yaml).await;
    world.write(
        "campaigns/hello.yaml",
        mailing(
            "hello",
            "sales-1",
            "follow_ups: [{after: 3s, if: always, templates: [{name: more, text: More}]}]\n",
        ),
    );
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    assert_eq!(world.texts_to(102).last().unwrap(), CONFIRMED);
    assert_eq!(world.texts_to(102).len(), 2);
    assert_eq!(world.texts_to(101).last().unwrap(), "More");
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_last_word_before_the_account_came_here_was_stop_is_left_alone() {
    let yaml = crowd(4).replace(
        "name: sales-1",
        "name: sales-1, dialogs: [\
         {with: '@person101', messages: [{text: hi, out: true, ago: 90d}, {text: 'Стоп!!!', ago: 80d}]}, \
         {with: '@person102', messages: [{text: stop, ago: 80d}, {text: 'Nice, go on', ago: 2d}]}, \
         {with: '@person103', messages: [{text: hello, ago: 1h}]}]",
    );
    let spec = WorldSpec::from_yaml(&yaml).unwrap();
    let world = world_with(SandboxOptions {
        world: spec,
        ..SandboxOptions::default()
    })
    .await;
    world.write("campaigns/hello.yaml", mailing("hello", "sales-1", ""));
    for _ in 0..2 {
        assert_eq!(world.once().await.unwrap(), ExitKind::Done);
        let mut who = world.who();
        who.sort_unstable();
        assert_eq!(who, [102, 103, 104]);
    }
    let campaign = world.campaign("hello").await;
    assert_eq!(
        campaign["audience"]["excluded"]["opted_out"], 1,
        "{campaign:#}"
    );
    assert!(
        world.texts_to(101).is_empty(),
        "nobody is told after months that he hears no more"
    );
    assert_eq!(campaign["progress"]["replied"], 0, "{campaign:#}");
}

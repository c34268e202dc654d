//! Whom no AI ever answers: bots, groups, channels, Telegram's own notices, one's own accounts; nor another AI for ever.

use std::sync::Arc;

use tidings::control::{RunOptions, Workspace, WorkspaceOptions, run_with};
use tidings::sandbox::Ref;
use tidings::telegram::GrammersTelegram;

use super::common::PATIENCE;
use super::common::talk::{
    answered, asked, config, replies, says, talking, until_got, until_ready, until_state,
};

const ROLE: &str = "{ai_role: {prompt: Hi., delay: 0s}}";

#[tokio::test(flavor = "multi_thread")]
async fn bots_service_notices_and_ones_own_accounts_are_never_answered() {
    let yaml = "accounts:\n  - {name: sales-1}\n  - {name: sales-2}\npeople:\n  - {id: 101, username: person101, first_name: P}\n  - {id: 102, username: robot_bot, first_name: R, bot: true}\n  - {id: 777000, first_name: Telegram}\n";
    let world = talking(
        yaml,
        replies(&["Yes."]),
        &format!("accounts: {{sales-1: {ROLE}, sales-2: {ROLE}}}\n"),
    )
    .await;
    let daemon = world.daemon();
    until_ready(&world, "sales-1").await;
    until_ready(&world, "sales-2").await;
    says(&world, 102, "I am a robot");
    says(&world, 777_000, "Login code: 12345");
    let sales_2 = world.sandbox.world(|w| w.self_id(1));
    says(&world, sales_2, "I am the other one");
    // Who wrote last is answered, so that all the others were heard.
    answered(&world, 101, "Hello", 1).await;
    assert_eq!(world.recipients(), ["user:101"]);
    assert_eq!(asked(&world).len(), 1);
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_in_groups_and_channels_is_never_answered() {
    let yaml = "accounts:\n  - {name: sales-1}\npeople:\n  - {id: 101, username: person101, first_name: P}\n  \
                - {id: 102, username: person102, first_name: Q}\ngroups:\n  \
                - {kind: basic, title: Friends, creator: sales-1, members: all}\n  \
                - {kind: supergroup, title: Meetup, username: meetup, creator: sales-1, members: all}\n  \
                - {kind: channel, title: News, username: news, creator: sales-1, members: all}\n";
    let world = talking(
        yaml,
        replies(&["Yes."]),
        &format!("accounts: {{sales-1: {ROLE}}}\n"),
    )
    .await;
    let everywhere = |text: &str| {
        for place in ["Friends", "Meetup", "News"] {
            let by = Ref::Id(102);
            world.sandbox.send_in_place(by, place, text).unwrap();
        }
    };
    // While it listens, and while it does not.
    let daemon = world.daemon();
    until_ready(&world, "sales-1").await;
    everywhere("Hello, who is there?");
    answered(&world, 101, "Hello", 1).await;
    daemon.stop().await.unwrap();
    everywhere("Anybody? stop");
    says(&world, 101, "Hello again");
    let daemon = world.daemon();
    until_got(&world, 101, 2).await;
    assert_eq!(world.recipients(), ["user:101", "user:101"]);
    assert_eq!(asked(&world).len(), 2);
    // Nor is a word in a group an opt-out: he who said it privately would be answered.
    answered(&world, 102, "Hello", 1).await;
    let typed = world.calls("messages.setTyping").into_iter();
    assert!(
        typed
            .filter_map(|e| e.peer)
            .all(|peer| peer.starts_with("user:")),
        "not even typing is shown there"
    );
    daemon.stop().await.unwrap();
}

/// Two workspaces know nothing of each other, and each has an account that answers whoever writes in.
#[tokio::test(flavor = "multi_thread")]
async fn two_accounts_that_both_answer_do_not_talk_for_ever() {
    let yaml = "accounts:\n  - {name: sales-1}\n  - {name: sales-2}\npeople:\n  - {id: 101, username: person101, first_name: P}\n";
    let world = talking(yaml, replies(&["And what do you think?"]), "").await;
    let other = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(other.path().join("sessions")).unwrap();
    std::fs::create_dir_all(other.path().join("campaigns")).unwrap();
    std::fs::rename(
        world.path().join("sessions/sales-2.session"),
        other.path().join("sessions/sales-2.session"),
    )
    .unwrap();
    let settings = |name: &str| {
        config(
            &world,
            &format!(
                "accounts: {{{name}: {{ai_role: {{prompt: Hi., delay: 0s, max_replies: 3}}}}}}\n"
            ),
        )
    };
    world.write("tidings.yaml", settings("sales-1"));
    std::fs::write(other.path().join("tidings.yaml"), settings("sales-2")).unwrap();
    let workspace = Workspace::find(&WorkspaceOptions {
        directory: Some(other.path().to_owned()),
        ..WorkspaceOptions::default()
    })
    .unwrap();
    let stop = Arc::new(tokio::sync::Notify::new());
    let options = RunOptions {
        stop: Some(stop.clone()),
        ..RunOptions::default()
    };
    let second = tokio::spawn(run_with(workspace, options, Arc::new(GrammersTelegram)));
    let daemon = world.daemon();
    until_ready(&world, "sales-1").await;
    world
        .until("both are there", |world| {
            let of = |name: &str| {
                let calls = world.calls("updates.getDifference").len()
                    + world.calls("updates.getState").len();
                calls > 0
                    && world
                        .calls("users.getUsers")
                        .iter()
                        .any(|e| e.account.as_deref() == Some(name))
            };
            of("sales-1") && of("sales-2")
        })
        .await;
    let (one, two) = world.sandbox.world(|w| (w.self_id(0), w.self_id(1)));
    // The first word, as if somebody had said it.
    says(&world, two, "Good morning!");
    let flagged = until_state(&world, "needs_human").await;
    assert_eq!(
        (&flagged["person"], &flagged["reason"]),
        (&format!("id:{two}").into(), &"max_replies".into())
    );
    let said =
        |world: &super::common::World| (world.texts_to(two).len(), world.texts_to(one).len());
    let (to_two, to_one) = said(&world);
    assert_eq!(to_two, 3, "as many as `max_replies` allows");
    assert!(to_one <= 3, "{to_one}");
    daemon.stop().await.unwrap();
    stop.notify_one();
    tokio::time::timeout(PATIENCE, second)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}

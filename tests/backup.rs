//! `tidings backup` and `tidings restore`: the whole state comes back, and nobody is written to twice for it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod child;
mod common;

use std::time::Duration;

use child::{ends_with, err, out, run};
use common::{World, assert_nobody_twice, mailing, waits, world};
use tidings::model::{Command, OperatorCommand, Reference, Reply};

const PEOPLE: &str = "
accounts:
  - {name: sales-1, username: mia_sales}
people:
  - {id: 101, username: anna, first_name: Anna}
  - {id: 102, username: boris, first_name: Boris}
  - {id: 103, username: carol, first_name: Carol}
  - {id: 104, username: dmitri, first_name: Dmitri}
groups:
  - {title: Meetup, username: meetup, creator: sales-1, members: [101, 102, 103, 104]}
";

fn two_a_day() -> String {
    mailing(
        "hello",
        "sales-1",
        "delays: {between_messages: 0s, per_campaign: {per_day: 2}}\n",
    )
}

fn all_at_once() -> String {
    mailing("hello", "sales-1", "")
}

async fn tidings(world: &World, args: &[&str]) -> std::process::Output {
    let dir = world.path().to_owned();
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    tokio::task::spawn_blocking(move || run(&dir, args))
        .await
        .unwrap()
}

async fn suppress(world: &World, who: &str) {
    let reply = world
        .ask(Command::Operator(OperatorCommand::OptOutAdd {
            people: vec![vec![Reference::parse(who).unwrap()]],
            why: "asked".to_owned(),
            by: "a test".to_owned(),
        }))
        .await;
    assert!(matches!(reply, Reply::Document { .. }), "{reply:?}");
}

fn file(world: &World) -> String {
    world
        .path()
        .join("state.backup")
        .to_str()
        .unwrap()
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_backup_never_sends_again_what_was_sent_and_keeps_suppressions() {
    let world = world(PEOPLE).await;
    world.write("campaigns/hello.yaml", two_a_day());
    let file = file(&world);
    // Taken before anything was sent, while the daemon runs.
    world.write(
        "campaigns/hello.yaml",
        mailing("hello", "sales-1", "paused: true\n"),
    );
    let daemon = world.daemon();
    world
        .until_campaign("hello", "it is seen", |c| c["generation"] == 1)
        .await;
    let said = tidings(&world, &["backup", &file, "-o", "json"]).await;
    ends_with(&said, 0);
    world.write("campaigns/hello.yaml", two_a_day());
    world
        .until_campaign("hello", "two of four", |c| c["progress"]["sent"] == 2)
        .await;
    let left: Vec<i64> = [101, 102, 103, 104]
        .into_iter()
        .filter(|id| !world.who().contains(id))
        .collect();
    suppress(&world, &format!("id:{}", left[0])).await;
    // Restored while the daemon runs: it goes on with the united state.
    let said = tidings(&world, &["restore", &file, "--yes"]).await;
    ends_with(&said, 0);
    assert!(out(&said).contains("Restored"), "{}", out(&said));
    world.write("campaigns/hello.yaml", all_at_once());
    let campaign = world
        .until_campaign("hello", "the last one has his message", |c| {
            c["progress"]["sent"] == 3 && c["progress"]["pending"] == 0
        })
        .await;
    assert_eq!(
        campaign["audience"]["excluded"]["suppressed"], 1,
        "{campaign:#}"
    );
    daemon.stop().await.unwrap();
    assert_eq!(world.who().len(), 3);
    assert!(!world.who().contains(&left[0]));
    assert_nobody_twice(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_state_is_lost_the_dialogs_since_the_backup_say_who_was_written_to() {
    let world = world(PEOPLE).await;
    world.write("campaigns/hello.yaml", two_a_day());
    world.once().await.unwrap();
    let first = world.who();
    assert_eq!(first.len(), 2);
    let file = file(&world);
    ends_with(&tidings(&world, &["backup", &file]).await, 0);
    // Telegram counts in whole seconds.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    world.write(
        "campaigns/hello.yaml",
        mailing(
            "hello",
            "sales-1",
            "delays: {between_messages: 0s, per_campaign: {per_day: 3}}\n",
        ),
    );
    world.once().await.unwrap();
    let third = world
        .who()
        .into_iter()
        .find(|id| !first.contains(id))
        .unwrap();
    std::fs::remove_dir_all(world.path().join("state")).unwrap();
    ends_with(&tidings(&world, &["restore", &file]).await, 0);
    let campaign = world.campaign("hello").await;
    assert!(waits(&campaign).starts_with("Held"), "{campaign:#}");
    world.write("campaigns/hello.yaml", all_at_once());
    world.once().await.unwrap();
    let campaign = world.campaign("hello").await;
    // The account is not held for a lost state: the backup is of the state that it knows.
    assert_eq!(world.account("sales-1").await["state"], "ready");
    assert_eq!(campaign["progress"]["uncertain"], 1, "{campaign:#}");
    assert_eq!(campaign["progress"]["sent"], 3, "{campaign:#}");
    assert_nobody_twice(&world);
    assert_eq!(world.texts_to(third).len(), 1);
    let told = tidings(
        &world,
        &["explain", "hello", &format!("id:{third}"), "-o", "json"],
    )
    .await;
    assert!(out(&told).contains("uncertain"), "{}", out(&told));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_backup_forgets_whom_the_state_had_forgotten() {
    let world = world(PEOPLE).await;
    world.write("campaigns/hello.yaml", all_at_once());
    world.once().await.unwrap();
    let file = file(&world);
    ends_with(&tidings(&world, &["backup", &file]).await, 0);
    let forgot = tidings(&world, &["forget", "@boris", "--yes"]).await;
    ends_with(&forgot, 0);
    assert!(out(&forgot).contains("state.backup"), "{}", out(&forgot));
    ends_with(&tidings(&world, &["restore", &file]).await, 0);
    let told = tidings(&world, &["explain", "hello", "id:102", "-o", "json"]).await;
    let told: serde_json::Value = serde_json::from_str(&out(&told)).unwrap();
    assert!(told["person"]["name"].is_null(), "{told:#}");
    assert_eq!(told["state"], "sent", "{told:#}");
    assert_eq!(told["suppression"]["reason"], "suppressed", "{told:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_go_along_only_when_asked_and_never_over_one_that_is_there() {
    let world = world(PEOPLE).await;
    world.write("campaigns/hello.yaml", all_at_once());
    world.once().await.unwrap();
    let (plain, whole) = (file(&world), format!("{}.whole", file(&world)));
    ends_with(&tidings(&world, &["backup", &plain]).await, 0);
    ends_with(
        &tidings(&world, &["backup", &whole, "--with-sessions"]).await,
        0,
    );
    let session = world.path().join("sessions/sales-1.session");
    let key = std::fs::read(&session).unwrap();
    std::fs::remove_file(&session).unwrap();
    ends_with(
        &tidings(&world, &["restore", &plain, "--with-sessions"]).await,
        0,
    );
    assert!(!session.exists());
    ends_with(&tidings(&world, &["restore", &whole]).await, 0);
    assert!(!session.exists());
    ends_with(
        &tidings(&world, &["restore", &whole, "--with-sessions"]).await,
        0,
    );
    assert_eq!(std::fs::read(&session).unwrap(), key);
    std::fs::write(&session, b"another").unwrap();
    ends_with(
        &tidings(&world, &["restore", &whole, "--with-sessions"]).await,
        0,
    );
    assert_eq!(std::fs::read(&session).unwrap(), b"another");
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(&whole).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_backup_changes_nothing_and_a_damaged_state_is_no_obstacle() {
    let world = world(PEOPLE).await;
    world.write("campaigns/hello.yaml", all_at_once());
    world.once().await.unwrap();
    let file = file(&world);
    ends_with(&tidings(&world, &["backup", &file]).await, 0);
    let bytes = std::fs::read(&file).unwrap();
    for (what, damaged) in [
        ("cut off", bytes[..bytes.len() / 2].to_vec()),
        ("no backup", b"hello".to_vec()),
        ("a newer form", {
            let mut newer = bytes.clone();
            newer[15] = 99;
            newer
        }),
        ("its last byte", {
            let mut flipped = bytes.clone();
            let last = flipped.len() - 1;
            flipped[last] ^= 1;
            flipped
        }),
    ] {
        let bad = world.write("bad.backup", damaged);
        let said = tidings(&world, &["restore", bad.to_str().unwrap()]).await;
        ends_with(&said, 1);
        assert!(
            err(&said).contains("cannot be used"),
            "{what}: {}",
            err(&said)
        );
    }
    assert_eq!(world.campaign("hello").await["progress"]["sent"], 4);
    std::fs::write(world.path().join("state/state.json"), "{").unwrap();
    ends_with(&tidings(&world, &["status"]).await, 1);
    ends_with(&tidings(&world, &["restore", &file]).await, 0);
    assert_eq!(world.campaign("hello").await["progress"]["sent"], 4);
    world.once().await.unwrap();
    assert_nobody_twice(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_gives_nobody_a_second_helping_of_the_day() {
    for lost in [false, true] {
        let world = world(PEOPLE).await;
        world.write(
            "campaigns/hello.yaml",
            mailing("hello", "sales-1", "paused: true\n"),
        );
        world.once().await.unwrap();
        let file = file(&world);
        ends_with(&tidings(&world, &["backup", &file]).await, 0);
        // Telegram counts in whole seconds.
        tokio::time::sleep(Duration::from_millis(1100)).await;
        let capped = mailing(
            "hello",
            "sales-1",
            "delays: {between_messages: 0s, per_account: {per_day: 2}}\n",
        );
        world.write(
            "tidings.yaml",
            format!("{}accounts: {{sales-1: {{per_day: 2}}}}\n", common::FAST),
        );
        world.write("campaigns/hello.yaml", &capped);
        world.once().await.unwrap();
        assert_eq!(world.who().len(), 2);
        if lost {
            std::fs::remove_dir_all(world.path().join("state")).unwrap();
        }
        ends_with(&tidings(&world, &["restore", &file, "--yes"]).await, 0);
        world.once().await.unwrap();
        let account = world.account("sales-1").await;
        assert_eq!(account["sent_today"], 2, "lost: {lost}, {account:#}");
        assert_eq!(world.who().len(), 2, "lost: {lost}");
        let campaign = world.campaign("hello").await;
        assert!(
            waits(&campaign).starts_with("AccountCap"),
            "lost: {lost}, {campaign:#}"
        );
    }
}

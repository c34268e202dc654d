//! A state that is behind what it once was: an older copy put back, its newest events gone, its database damaged.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::child::{Place, Tally, ends_with, err, out};
use super::common::{FAST, crowd, crowd_of};
use super::state::copy;
use super::{SOON, hello};

/// Telegram counts in whole seconds.
const A_SECOND: Duration = Duration::from_millis(1100);

fn capped(accounts: &str, per_day: u32) -> String {
    hello(
        "spring",
        accounts,
        &format!("delays: {{between_messages: 0s, per_campaign: {{per_day: {per_day}}}}}\n"),
    )
}

fn once(place: &Place, expected: i32) {
    ends_with(&place.run(&["run", "--once", "--horizon", "2s"]), expected);
}

fn newest(place: &Place) -> PathBuf {
    let mut files: Vec<PathBuf> = std::fs::read_dir(place.root.join("state/outbox"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "log"))
        .collect();
    files.sort();
    files.pop().unwrap()
}

fn state_of(place: &Place, name: &str) -> String {
    let text = std::fs::read_to_string(place.root.join(format!("sessions/.{name}.state")));
    text.unwrap()
}

fn suppressed(place: &Place) -> String {
    let listed = place.run(&["optout", "list", "-o", "json"]);
    ends_with(&listed, 0);
    out(&listed)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_of_the_state_sends_nothing_before_the_dialogs_since_were_read() {
    let place = Place::new(&crowd_of(&["sales-1", "sales-2"], 12), FAST).await;
    let both = "sales-1, sales-2";
    place.write("campaigns/spring.yaml", capped(both, 3));
    once(&place, 0);
    let (state, old) = (place.root.join("state"), place.dir.path().join("old"));
    copy(&state, &old);
    tokio::time::sleep(A_SECOND).await;
    place.write("campaigns/spring.yaml", capped(both, 8));
    once(&place, 0);
    let before = Tally::of(&place.sandbox).who("spring");
    assert_eq!(before.len(), 8);
    let marked = state_of(&place, "sales-1");
    assert_eq!(marked.lines().count(), 2, "{marked}");

    std::fs::remove_dir_all(&state).unwrap();
    copy(&old, &state);
    place.write("campaigns/spring.yaml", hello("spring", both, ""));
    let message = |name: &str| place.account(name)["message"].as_str().unwrap().to_owned();
    for name in ["sales-1", "sales-2"] {
        let said = message(name);
        assert!(
            said.starts_with("StateLost: an older copy"),
            "{name}: {said}"
        );
    }
    // What is written down meanwhile makes it no newer.
    for reason in ["one", "two", "three", "four"] {
        ends_with(&place.run(&["suspend", "--all", "--reason", reason]), 0);
        ends_with(&place.run(&["resume", "--all", "--reason", reason]), 0);
        once(&place, 4);
    }
    assert!(message("sales-1").starts_with("StateLost"));
    assert_eq!(Tally::of(&place.sandbox).messages, 8);

    let approved = place.run(&["approve", "--new-state"]);
    ends_with(&approved, 0);
    assert!(
        out(&approved).contains("dialogs since"),
        "{}",
        out(&approved)
    );
    once(&place, 0);
    let tally = Tally::of(&place.sandbox);
    tally.is_clean(&place.log());
    assert_eq!(tally.who("spring").len(), 12);
    assert_eq!(
        tally.messages, 12,
        "nobody twice, by no other account either"
    );
    let report = place.campaign("spring");
    assert_eq!(report["progress"]["uncertain"], 5, "{report:#}");
    // From now on it is as any other.
    once(&place, 0);
    assert!(!message("sales-2").contains("StateLost"));
    std::fs::remove_dir_all(&state).unwrap();
    copy(&old, &state);
    assert!(message("sales-2").starts_with("StateLost: an older copy"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_names_the_state_alone_is_enough_and_a_killed_daemon_is_never_held() {
    let place = Place::new(&crowd(30), FAST).await;
    place.write(
        "campaigns/spring.yaml",
        hello("spring", "sales-1", "delays: {between_messages: 100ms}\n"),
    );
    for kill in 1..=3 {
        let daemon = place.daemon();
        place
            .until(SOON, "some more got it", |place| {
                Tally::of(&place.sandbox).messages >= 5 * kill
            })
            .await;
        daemon.kill();
        let said = place.account("sales-1")["message"].clone();
        assert!(
            !said.as_str().unwrap_or_default().contains("StateLost"),
            "{said}"
        );
    }
    let id = state_of(&place, "sales-1")
        .lines()
        .next()
        .unwrap()
        .to_owned();
    place.write("sessions/.sales-1.state", format!("{id}\n"));
    once(&place, 0);
    let tally = Tally::of(&place.sandbox);
    tally.is_clean(&place.log());
    assert_eq!(tally.who("spring").len(), 30);
    // It stands in the backup's way no more than in the state's own.
    let file = place.dir.path().join("a.backup");
    let file = file.to_str().unwrap();
    ends_with(&place.run(&["backup", file]), 0);
    place.write("campaigns/autumn.yaml", hello("autumn", "sales-1", ""));
    once(&place, 0);
    std::fs::remove_dir_all(place.root.join("state")).unwrap();
    ends_with(&place.run(&["restore", file, "--yes"]), 0);
    let said = place.account("sales-1")["message"].clone();
    assert!(
        !said.as_str().unwrap_or_default().contains("StateLost"),
        "{said}"
    );
}

/// A daemon was killed after it had acknowledged an opt-out.
async fn killed_after_an_opt_out(place: &Place) {
    place.write("campaigns/spring.yaml", capped("sales-1", 3));
    let daemon = place.daemon();
    place
        .until(SOON, "three got it", |place| {
            Tally::of(&place.sandbox).messages >= 3
        })
        .await;
    ends_with(&place.run(&["optout", "add", "@person110"]), 0);
    daemon.kill();
    // Its socket is no file that could be copied.
    let _ = std::fs::remove_file(place.root.join("state/tidings.sock"));
}

#[tokio::test(flavor = "multi_thread")]
async fn newest_events_that_are_gone_are_noticed_and_nobody_is_written_to_twice_for_it() {
    let place = Place::new(&crowd(12), FAST).await;
    killed_after_an_opt_out(&place).await;
    let file = newest(&place);
    let whole = std::fs::read(&file).unwrap();
    let listed = suppressed(&place);
    std::fs::write(&file, b"").unwrap();
    for args in [
        &["status"][..],
        &["optout", "list"],
        &["run", "--once"],
        &["suspend", "--all", "--reason", "why"],
    ] {
        let refused = place.run(args);
        ends_with(&refused, 1);
        let said = err(&refused);
        assert!(
            said.contains("has lost its newest events") && said.contains("approve --new-state"),
            "{args:?}: {said}"
        );
    }
    assert_eq!(std::fs::read(&file).unwrap(), b"", "left as it was");
    // Put back, nothing is lost.
    let (state, keep) = (place.root.join("state"), place.dir.path().join("keep"));
    std::fs::write(&file, &whole).unwrap();
    copy(&state, &keep);
    assert_eq!(suppressed(&place), listed);

    // For good: what is left goes on, once the dialogs were read.
    std::fs::remove_dir_all(&state).unwrap();
    copy(&keep, &state);
    std::fs::write(newest(&place), b"").unwrap();
    ends_with(&place.run(&["approve", "--new-state"]), 0);
    ends_with(&place.run(&["optout", "add", "@person110"]), 0);
    place.write("campaigns/spring.yaml", hello("spring", "sales-1", ""));
    once(&place, 0);
    let tally = Tally::of(&place.sandbox);
    tally.is_clean(&place.log());
    assert!(!tally.who("spring").contains(&110));
    assert_eq!(tally.messages, tally.who("spring").len());
}

fn in_db(place: &Place, of: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    std::fs::read_dir(place.root.join("state/db"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| of(path.file_name().unwrap().to_str().unwrap()))
        .collect()
}

fn spoil(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    for byte in &mut bytes {
        *byte = byte.wrapping_mul(31).wrapping_add(7);
    }
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_over_a_damaged_database_keeps_what_outbox_and_checkpoints_hold() {
    let place = Place::new(&crowd(12), FAST).await;
    place.write("campaigns/spring.yaml", capped("sales-1", 2));
    once(&place, 0);
    let file = place.dir.path().join("a.backup");
    let file = file.to_str().unwrap();
    ends_with(&place.run(&["backup", file]), 0);
    killed_after_an_opt_out(&place).await;
    ends_with(&place.run(&["forget", "@person109", "--yes"]), 0);
    let listed = suppressed(&place);

    // A snapshot is only a shortcut: without it nothing is lost.
    let snapshots = in_db(&place, |name| name.starts_with("snap."));
    assert!(!snapshots.is_empty());
    snapshots.iter().for_each(|path| spoil(path));
    assert_eq!(suppressed(&place), listed);
    assert!(place.root.join("state/damaged").is_dir());

    in_db(&place, |name| name == "conf")
        .iter()
        .for_each(|path| spoil(path));
    let refused = place.run(&["status"]);
    ends_with(&refused, 1);
    assert!(
        err(&refused).contains("cannot be opened") && err(&refused).contains("tidings restore"),
        "{}",
        err(&refused)
    );
    let restored = place.run(&["restore", file, "--yes"]);
    ends_with(&restored, 0);
    assert!(
        out(&restored).contains("were read all the same")
            && out(&restored).contains("were taken over"),
        "{}",
        out(&restored)
    );
    place.write("campaigns/spring.yaml", hello("spring", "sales-1", ""));
    place.write("campaigns/autumn.yaml", hello("autumn", "sales-1", ""));
    once(&place, 0);
    let tally = Tally::of(&place.sandbox);
    tally.is_clean(&place.log());
    let (spring, autumn) = (tally.who("spring"), tally.who("autumn"));
    assert_eq!(tally.messages, spring.len() + autumn.len(), "nobody twice");
    for silenced in [109, 110] {
        assert!(!autumn.contains(&silenced), "{silenced}: {autumn:?}");
    }
    assert_eq!(autumn.len(), 10, "{autumn:?}");
}

//! The store on a disk that fills, fails or lies: a clear sentence, and nothing lost that was acknowledged.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::child::{Place, Running, Tally, code, ends_with, err, tidings};
use super::common::{FAST, crowd};
use super::state::copy;
use super::{SOON, hello};

const PEOPLE: usize = 40;

/// The sentence with which a process ended: the one line that is for a person.
#[track_caller]
fn sentence(said: &str) -> String {
    let lines: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("tidings:"))
        .collect();
    assert_eq!(lines.len(), 1, "one sentence: {said}");
    assert!(!said.contains("panicked at"), "{said}");
    lines[0].to_owned()
}

fn all_is_sent(place: &Place, name: &str) {
    ends_with(&place.run(&["run", "--once", "--horizon", "2s"]), 0);
    let tally = Tally::of(&place.sandbox);
    tally.is_clean(&place.log());
    assert_eq!(tally.who(name).len(), PEOPLE);
    let report = place.campaign(name);
    assert_eq!(report["progress"]["sent"], PEOPLE, "{report:#}");
    assert_eq!(report["progress"]["uncertain"], 0, "{report:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_refuses_at_any_step_ends_the_daemon_with_a_sentence_and_loses_nothing() {
    for (point, passes, errno, says) in [
        ("outbox.write", 30, 28, "No space left on device"),
        ("outbox.written", 45, 5, "Input/output error"),
        ("outbox.sync", 12, 28, "No space left on device"),
        ("outbox.synced", 12, 5, "Input/output error"),
        ("database.sync", 1, 28, "No space left on device"),
        ("database.sync", 2, 30, "Read-only file system"),
        ("checkpoint.save", 0, 28, "No space left on device"),
    ] {
        let place = Place::new(&crowd(PEOPLE), FAST).await;
        place.write(
            "campaigns/full.yaml",
            hello(
                "full",
                "sales-1",
                "delays: {between_messages: 0ms..5ms, per_account: {per_day: 1000}}\n",
            ),
        );
        let mut command = tidings();
        command.arg("-C").arg(&place.root).arg("run").env(
            "FAILPOINTS",
            format!("{point}={passes}*off->return({errno})"),
        );
        let mut daemon = Running::start(command, &place.log());
        // The database is asked for something at the start, and again when the daemon is told to end.
        let until = Instant::now() + 2 * SOON;
        while daemon.ended().is_none() && place.delivered().len() < PEOPLE {
            assert!(Instant::now() < until, "{point}: {}", daemon.said());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // A quick life asks the database for little: somebody who is in no audience is put on the list.
        for stranger in 0..5 {
            if point == "database.sync" && daemon.ended().is_none() {
                place.run(&["optout", "add", &format!("id:{}", 900_000 + stranger)]);
            }
        }
        if daemon.ended().is_none() {
            daemon.signal(Signal::TERM);
        }
        let status = daemon.wait(2 * SOON).await;
        let said = daemon.said();
        assert_eq!(status.code(), Some(1), "{point}: {said}");
        let sentence = sentence(&said);
        assert!(sentence.contains(says), "{point}: {sentence}");
        assert!(
            sentence.contains(place.root.join("state").to_str().unwrap()),
            "it says where: {sentence}"
        );
        let sent = place.delivered().len();
        let report = place.campaign("full");
        let known = report["progress"]["sent"].as_u64().unwrap()
            + report["progress"]["in_flight"].as_u64().unwrap();
        assert!(
            known as usize >= sent,
            "{point}: {sent} left, {known} are known of: {report:#}"
        );
        all_is_sent(&place, "full");
    }
}

/// A script in a mount namespace of its own, with a small file system for the state. Only root can make one.
fn in_a_small_state(place: &Place, script: &str) -> Option<Output> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    fs::create_dir_all(place.root.join("state")).unwrap();
    let mount = "mount -t tmpfs -o size=24m,mode=700 small state";
    let can = Command::new("unshare")
        .args(["-m", "sh", "-c", &format!("{mount} 2>/dev/null")])
        .current_dir(&place.root)
        .status();
    if !can.is_ok_and(|status| status.success()) {
        return None;
    }
    let mut command = Command::new("unshare");
    command
        .args(["-m", "sh", "-c", &format!("{mount}\n{script}")])
        .current_dir(&place.root)
        .env("TIDINGS", env!("CARGO_BIN_EXE_tidings"))
        .env("NO_COLOR", "1");
    Some(command.output().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_system_that_is_full_ends_the_daemon_and_room_lets_it_go_on() {
    let place = Place::new(&crowd(PEOPLE), FAST).await;
    // Long texts: what is on its way is written down with its bytes.
    let long =
        hello("full", "sales-1", "").replace(": hi ", &format!(": {} ", "word ".repeat(700)));
    place.write("later.yaml", long);
    place.write(
        "campaigns/paused.yaml",
        hello("paused", "sales-1", "paused: true\n"),
    );
    let script = r#"
        $TIDINGS run --once --horizon 1s || exit 90
        # A few pages are left.
        dd if=/dev/zero of=state/ballast bs=4k 2>/dev/null
        truncate -s -49152 state/ballast
        cp later.yaml campaigns/full.yaml
        $TIDINGS run --once --horizon 1s; echo "ended with $?" >&2
        df -h state >&2
        $TIDINGS status >/dev/null; echo "status ended with $?" >&2
        rm state/ballast
        $TIDINGS run --once --horizon 5s; echo "then with $?" >&2
        $TIDINGS status full -o json
    "#;
    let Some(output) = tokio::task::block_in_place(|| in_a_small_state(&place, script)) else {
        println!("left out: only root can make a small file system");
        return;
    };
    let said = err(&output);
    assert!(said.contains("ended with 1\n"), "{said}");
    assert!(said.contains("No space left on device"), "{said}");
    assert!(said.contains("then with 0"), "{said}");
    assert!(!said.contains("panicked at"), "{said}");
    for line in said.lines().filter(|line| line.starts_with("tidings:")) {
        assert!(line.contains("state"), "it says where: {line}");
    }
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let full = &report["campaigns"][0];
    assert_eq!(full["progress"]["sent"], PEOPLE, "{report:#}");
    let tally = Tally::of(&place.sandbox);
    tally.is_clean(&place.log());
    assert_eq!(tally.who("full").len(), PEOPLE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_system_that_became_read_only_is_said_and_nothing_leaves() {
    let place = Place::new(&crowd(PEOPLE), FAST).await;
    place.write("campaigns/first.yaml", hello("first", "sales-1", ""));
    place.write("later.yaml", hello("second", "sales-1", ""));
    let script = r#"
        $TIDINGS run --once --horizon 1s || exit 90
        cp later.yaml campaigns/second.yaml
        mount -o remount,ro state
        $TIDINGS run --once --horizon 1s; echo "ended with $?" >&2
        $TIDINGS status; echo "status ended with $?" >&2
        mount -o remount,rw state
        $TIDINGS status -o json
    "#;
    let Some(output) = tokio::task::block_in_place(|| in_a_small_state(&place, script)) else {
        println!("left out: only root can make a small file system");
        return;
    };
    let said = err(&output);
    assert!(said.contains("\nended with 1\n"), "{said}");
    assert!(said.contains("Read-only file system"), "{said}");
    assert!(!said.contains("panicked at"), "{said}");
    let tally = Tally::of(&place.sandbox);
    assert_eq!(tally.who("first").len(), PEOPLE);
    assert_eq!(
        tally.who("second").len(),
        0,
        "nothing that cannot be written down leaves"
    );
    let report: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!("{error}: {said}");
        });
    assert_eq!(
        report["campaigns"][0]["progress"]["sent"], PEOPLE,
        "{report:#}"
    );
}

/// What is done to a file.
#[derive(Debug, Clone, Copy)]
enum Harm {
    /// Its first so many thousandths are left.
    Cut(u64),
    /// A bit at so many thousandths is another one.
    Flip(u64),
    /// It is gone.
    Gone,
    /// It is there, and empty.
    Emptied,
}

fn harm(file: &Path, harm: Harm) {
    let len = fs::metadata(file).unwrap().len();
    let open = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(file)
        .unwrap();
    match harm {
        Harm::Cut(part) => open.set_len(len * part / 1000).unwrap(),
        Harm::Flip(part) => {
            let at = (len * part / 1000).min(len.saturating_sub(1));
            let mut byte = [0];
            open.read_exact_at(&mut byte, at).unwrap();
            open.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
        }
        Harm::Gone => fs::remove_file(file).unwrap(),
        Harm::Emptied => open.set_len(0).unwrap(),
    }
}

/// The files of a state by their kind.
fn files(state: &Path) -> Vec<(&'static str, PathBuf)> {
    let newest = |folder: &str, end: &str| -> Option<PathBuf> {
        let mut all: Vec<PathBuf> = fs::read_dir(state.join(folder))
            .ok()?
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.to_str().unwrap().contains(end))
            .collect();
        all.sort();
        all.pop()
    };
    let mut all = vec![
        ("database", state.join("db/db")),
        ("database's settings", state.join("db/conf")),
        ("description", state.join("state.json")),
        ("stamp", state.join("stamp")),
    ];
    all.extend(newest("outbox", ".log").map(|path| ("outbox", path)));
    all.extend(newest("checkpoints", ".ckpt").map(|path| ("checkpoint", path)));
    all.extend(newest("db", "snap.").map(|path| ("snapshot", path)));
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_of_the_state_is_damaged_it_goes_on_or_says_so_and_a_backup_mends_it() {
    let place = Place::new(&crowd(PEOPLE), FAST).await;
    place.write("campaigns/spring.yaml", hello("spring", "sales-1", ""));
    ends_with(&place.run(&["optout", "add", "@person105"]), 0);
    ends_with(&place.run(&["run", "--once", "--horizon", "1s"]), 0);
    let backup = place.dir.path().join("tidings.backup");
    ends_with(&place.run(&["backup", backup.to_str().unwrap()]), 0);
    // What came after the backup is what a repair must not lose.
    place.write("campaigns/summer.yaml", hello("summer", "sales-1", ""));
    ends_with(&place.run(&["run", "--once", "--horizon", "1s"]), 0);
    let state = place.root.join("state");
    let sound = place.dir.path().join("sound");
    copy(&state, &sound);
    let sent = Tally::of(&place.sandbox).messages;
    assert_eq!(sent, 2 * (PEOPLE - 1));
    let (mut mended, mut refused) = (0, 0);
    for (kind, file) in files(&state) {
        let inside = file.strip_prefix(&state).unwrap().to_owned();
        for damage in [
            Harm::Cut(250),
            Harm::Cut(600),
            Harm::Cut(990),
            Harm::Flip(20),
            Harm::Flip(300),
            Harm::Flip(700),
            Harm::Gone,
            Harm::Emptied,
        ] {
            fs::remove_dir_all(&state).unwrap();
            copy(&sound, &state);
            harm(&state.join(&inside), damage);
            let what = format!("{kind}: {damage:?}");
            let ended = place.run(&["status", "-o", "json"]);
            assert!(
                !err(&ended).contains("panicked at"),
                "{what}: {}",
                err(&ended)
            );
            if code(&ended) == 0 {
                mended += 1;
                for name in ["spring", "summer"] {
                    let report = place.campaign(name);
                    let done = &report["progress"];
                    assert_eq!(done["sent"], PEOPLE - 1, "{what}: {report:#}");
                }
            } else {
                refused += 1;
                assert_eq!(code(&ended), 1, "{what}: {}", err(&ended));
                let says = sentence(&err(&ended));
                assert!(
                    says.contains("state") || says.contains("journal") || says.contains("database"),
                    "{what}: {says}"
                );
                let ended = place.run(&["run", "--once", "--horizon", "1s"]);
                assert_eq!(code(&ended), 1, "nothing begins on it: {what}");
                ends_with(
                    &place.run(&["restore", backup.to_str().unwrap(), "--yes"]),
                    0,
                );
            }
            // However it went on: nobody gets anything again, and nobody who asked not to hear anything.
            let ended = place.run(&["run", "--once", "--horizon", "1s"]);
            assert!([0, 4].contains(&code(&ended)), "{what}: {}", err(&ended));
            let tally = Tally::of(&place.sandbox);
            tally.is_clean(&place.log());
            assert_eq!(tally.messages, sent, "{what}");
            assert!(!tally.who("summer").contains(&105), "{what}");
        }
    }
    println!("{mended} damages were mended or did no harm, {refused} refused and restored");
    assert!(mended > 0 && refused > 0);
}

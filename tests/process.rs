//! The binary as a process: signals, exit codes, a second daemon, folders in other places, a lost state.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "process/audited.rs"]
mod audited;
#[path = "process/behind.rs"]
mod behind;
mod child;
mod common;
#[path = "process/disk.rs"]
mod disk;
#[path = "process/horizon.rs"]
mod horizon;
#[path = "process/memory.rs"]
mod memory;
#[path = "process/refresh.rs"]
mod refresh;
#[path = "process/state.rs"]
mod state;
#[path = "process/supervision.rs"]
mod supervision;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use child::{Place, Running, Tally, code, ends_with, err, out, run, tidings};
use common::{FAST, condition, crowd, crowd_of, mailing, message, waits};
use rustix::process::Signal;
use tidings::sandbox::{Effect, FaultRule};

/// Within this everything here happens, on a busy machine too.
const SOON: Duration = Duration::from_secs(30);

/// A mailing whose texts begin with its name, as [`Tally`] wants it.
fn hello(name: &str, accounts: &str, rest: &str) -> String {
    mailing(
        name,
        accounts,
        &format!(
            "templates: [{{name: short, text: '{name}: hi {{{{ contact.first_name }}}}'}}]\n{rest}"
        ),
    )
}

fn is_up(place: &Place) -> bool {
    place.run(&["status", "-o", "json"]).status.success()
        && place.status()["daemon"]["running"] == true
}

/// Name, size, mode and content of all that is in a folder.
fn contents(dir: &Path) -> Vec<(PathBuf, u32, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            all.push((
                path.clone(),
                std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
                std::fs::read(&path).unwrap(),
            ));
        }
    }
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_drains_the_sends_under_way_and_says_what_it_waits_for() {
    let place = Place::new(&crowd(40), FAST).await;
    place.write("campaigns/spring.yaml", hello("spring", "sales-1", ""));
    // The tenth answer takes a second; the message itself arrives at once.
    place.sandbox.fault(
        FaultRule::new(Effect::DelayAnswer("1s".parse().unwrap()))
            .method("messages.sendMessage")
            .nth(10),
    );
    let mut daemon = place.daemon();
    place
        .until(SOON, "ten were sent", |place| place.delivered().len() >= 10)
        .await;
    let told = Instant::now();
    daemon.signal(Signal::TERM);
    let status = daemon.wait(Duration::from_secs(12)).await;
    assert_eq!(status.code(), Some(0), "{}", daemon.said());
    assert!(
        told.elapsed() < Duration::from_secs(10),
        "{:?}",
        told.elapsed()
    );
    assert!(
        daemon.said().contains("Stopping: waits up to 10 s for"),
        "{}",
        daemon.said()
    );
    let first = place.delivered().len();
    assert!(first < 40, "what had not begun was called off: {first}");
    let report = place.campaign("spring");
    assert_eq!(
        report["progress"]["in_flight"], 0,
        "nothing is left in doubt: {report:#}"
    );
    assert_eq!(report["progress"]["sent"], first, "{report:#}");

    let _daemon = place.daemon();
    place
        .until(SOON, "the restart goes on", |place| {
            place.delivered().len() == 40
        })
        .await;
    let tally = Tally::of(&place.sandbox);
    tally.is_clean(&place.log());
    assert_eq!(tally.repeats, 0, "nothing was in doubt");
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_waits_ten_seconds_for_a_silent_telegram_and_the_next_start_settles_it() {
    let place = Place::new(&crowd(5), FAST).await;
    place.write("campaigns/spring.yaml", hello("spring", "sales-1", ""));
    place.sandbox.fault(
        FaultRule::new(Effect::SilentAfter)
            .method("messages.sendMessage")
            .nth(3),
    );
    let mut daemon = place.daemon();
    place
        .until(SOON, "three were sent", |place| {
            place.delivered().len() == 3
        })
        .await;
    let told = Instant::now();
    daemon.signal(Signal::TERM);
    let status = daemon.wait(Duration::from_secs(14)).await;
    assert_eq!(status.code(), Some(0), "{}", daemon.said());
    assert!(
        (9..13).contains(&told.elapsed().as_secs()),
        "{:?}",
        told.elapsed()
    );
    assert!(
        daemon
            .said()
            .contains("the next start finds out what became of them"),
        "{}",
        daemon.said()
    );
    let report = place.campaign("spring");
    assert_eq!(
        report["progress"]["sent"], 2,
        "what was answered is known: {report:#}"
    );
    assert!(
        report["progress"]["in_flight"].as_u64().unwrap() >= 1,
        "the third is in doubt: {report:#}"
    );

    let _daemon = place.daemon();
    place
        .until(SOON, "all five", |place| place.delivered().len() == 5)
        .await;
    let deadline = Instant::now() + SOON;
    while place.campaign("spring")["progress"]["sent"] != 5 {
        assert!(Instant::now() < deadline, "{:#}", place.campaign("spring"));
    }
    let tally = Tally::of(&place.sandbox);
    tally.is_clean(&place.log());
    assert_eq!(tally.repeats, 1, "one was in doubt, and was asked about");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_ends_at_once_and_names_the_first_ones_pid() {
    let place = Place::new(&crowd(1), FAST).await;
    let daemon = place.daemon();
    place.until(SOON, "it answers", is_up).await;
    let began = Instant::now();
    let second = place.run(&["run"]);
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
    ends_with(&second, 1);
    assert!(
        err(&second).contains(&daemon.pid().to_string()),
        "{}",
        err(&second)
    );
    // The first one is none the worse for it.
    assert!(is_up(&place));
    daemon.kill();
    let mut third = place.daemon();
    place
        .until(
            SOON,
            "a dead daemon's socket and lock are in nobody's way",
            is_up,
        )
        .await;
    third.signal(Signal::INT);
    assert_eq!(third.wait(SOON).await.code(), Some(0), "{}", third.said());
    assert!(!place.root.join("state/tidings.sock").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_has_the_state_open_does_not_keep_the_daemon_from_starting() {
    let place = Place::new(&crowd(3), FAST).await;
    place.write("campaigns/spring.yaml", hello("spring", "sales-1", ""));
    ends_with(&place.run(&["run", "--once"]), 0);
    let (root, log) = (place.root.clone(), place.log());
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let asked = stop.clone();
    let asker = tokio::task::spawn_blocking(move || {
        let mut all = Vec::new();
        while !asked.load(std::sync::atomic::Ordering::SeqCst) {
            all.push(run(&root, ["status", "-o", "json"]));
        }
        all
    });
    for _ in 0..5 {
        let mut daemon = Running::daemon(&place.root, &log);
        place.until(SOON, "it answers", is_up).await;
        assert_eq!(daemon.ended(), None, "{}", daemon.said());
        daemon.kill();
    }
    stop.store(true, std::sync::atomic::Ordering::SeqCst);
    let all = asker.await.unwrap();
    // One that was answered by a daemon in the moment of its death may say so; nobody else fails.
    let bad: Vec<String> = all
        .iter()
        .filter(|o| !o.status.success())
        .map(err)
        .collect();
    assert!(
        bad.iter().all(|text| text.contains("the daemon")) && bad.len() <= 5,
        "{bad:?} of {}",
        all.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn status_says_the_same_beside_the_daemon_and_without_it() {
    let place = Place::new(&crowd(7), FAST).await;
    place.write("campaigns/spring.yaml", hello("spring", "sales-1", ""));
    let mut daemon = place.daemon();
    place
        .until(SOON, "all were sent", |place| place.delivered().len() == 7)
        .await;
    let deadline = Instant::now() + SOON;
    while condition(&place.campaign("spring"), "Succeeded") != "True AllSettled" {
        assert!(Instant::now() < deadline, "{:#}", place.campaign("spring"));
    }
    let beside = place.status();
    assert_eq!(beside["daemon"]["running"], true);
    assert_eq!(beside["daemon"]["pid"], daemon.pid());
    assert!(beside["daemon"]["heartbeat_age_ms"].is_u64(), "{beside:#}");
    assert_eq!(place.account("sales-1")["state"], "ready");
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.wait(SOON).await.code(), Some(0));

    let alone = place.status();
    assert_eq!(alone["daemon"]["running"], false);
    assert!(alone["daemon"]["pid"].is_null(), "{alone:#}");
    let of = |report: &serde_json::Value| {
        let campaign = &report["campaigns"][0];
        [
            "name",
            "run",
            "generation",
            "observed_generation",
            "digest",
            "audience",
            "progress",
            "outcomes",
            "templates",
            "waiting",
        ]
        .map(|key| campaign[key].clone())
    };
    assert_eq!(of(&beside), of(&alone));
    assert_eq!(alone["campaigns"][0]["progress"]["sent"], 7);
    for form in ["table", "wide", "yaml"] {
        let shown = place.run(&["status", "-o", form]);
        ends_with(&shown, 0);
        assert!(out(&shown).contains("spring"), "{}", out(&shown));
    }
    ends_with(&place.run(&["status", "--check"]), 0);
    ends_with(&place.run(&["status", "spirng"]), 64);
    assert!(
        err(&place.run(&["status", "spirng"]))
            .to_lowercase()
            .contains("did you mean")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_works_after_a_kill_and_leaves_the_state_as_it_was() {
    let place = Place::new(&crowd(20), FAST).await;
    place.write("campaigns/spring.yaml", hello("spring", "sales-1", ""));
    let daemon = place.daemon();
    place
        .until(SOON, "all were sent", |place| place.delivered().len() == 20)
        .await;
    daemon.kill();
    for args in [
        &["status", "-o", "json"][..],
        &["plan"],
        &["events"],
        &["account", "list"],
        &["status", "--check"],
    ] {
        let output = place.run(args);
        // What was under way when it died is in doubt until the next start; nothing of it fails a report.
        assert_eq!(code(&output), 0, "{args:?}: {}", err(&output));
    }
    let progress = place.campaign("spring")["progress"].clone();
    assert_eq!(
        progress["sent"].as_u64().unwrap() + progress["in_flight"].as_u64().unwrap(),
        20,
        "{progress}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_only_read_make_no_state() {
    let place = Place::new(&crowd(3), FAST).await;
    place.write("campaigns/spring.yaml", hello("spring", "sales-1", ""));
    let before = contents(&place.root.join("sessions"));
    for (args, expected) in [
        (&["validate"][..], 0),
        (&["validate", "--format", "json"], 0),
        (&["status"], 0),
        (&["status", "-o", "json"], 0),
        (&["status", "--check"], 0),
        (&["plan"], 0),
        (&["events"], 0),
        (&["events", "-o", "json"], 0),
        (&["account", "list", "-o", "json"], 0),
        (
            &[
                "render",
                "spring",
                "--contact",
                "{\"id\": 1, \"first_name\": \"Anna\"}",
            ],
            0,
        ),
        (&["schema", "campaign"], 0),
        (&["completions", "bash"], 0),
        (&["man"], 0),
    ] {
        let output = place.run(args);
        assert_eq!(code(&output), expected, "{args:?}: {}", err(&output));
        assert!(!out(&output).is_empty() || args == ["events"], "{args:?}");
        assert!(!place.root.join("state").exists(), "{args:?} made a state");
    }
    assert_eq!(
        contents(&place.root.join("sessions")),
        before,
        "session files are not touched either"
    );
    assert_eq!(place.sandbox.ledger().len(), 0, "and nothing connects");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_of_any_length_works() {
    let dir = tempfile::tempdir().unwrap();
    let mut root = dir.path().to_owned();
    for _ in 0..5 {
        root.push("a-folder-with-quite-a-long-name-in-it");
    }
    // unix(7): sun_path holds 108 bytes.
    assert!(root.join("state/tidings.sock").as_os_str().len() > 108);
    let place = Place::at(&crowd(4), FAST, dir, root).await;
    place.write("campaigns/spring.yaml", hello("spring", "sales-1", ""));
    let mut daemon = place.daemon();
    place
        .until(SOON, "all were sent", |place| place.delivered().len() == 4)
        .await;
    place.until(SOON, "it answers", is_up).await;
    ends_with(&place.run(&["suspend", "spring", "--reason", "a test"]), 0);
    ends_with(&place.run(&["resume", "spring"]), 0);
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.wait(SOON).await.code(), Some(0), "{}", daemon.said());
}

#[tokio::test(flavor = "multi_thread")]
async fn state_sessions_and_configuration_may_stand_elsewhere() {
    let place = Place::new(&crowd(3), "version: 1\n").await;
    place.write("campaigns/spring.yaml", hello("spring", "sales-1", ""));
    let elsewhere = place.dir.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::rename(place.root.join("sessions"), elsewhere.join("keys")).unwrap();
    // The one of the workspace is broken, so that it shows which one is read.
    place.write("tidings.yaml", "version: [");
    std::fs::write(elsewhere.join("fast.yaml"), FAST).unwrap();
    let (state, keys, config) = (
        elsewhere.join("state"),
        elsewhere.join("keys"),
        elsewhere.join("fast.yaml"),
    );

    ends_with(&place.run(&["validate"]), 78);
    ends_with(&place.run(&["run", "--once"]), 78);
    let by_flags = tidings()
        .arg("-C")
        .arg(&place.root)
        .args(["run", "--once", "--horizon", "1s", "--state-dir"])
        .arg(&state)
        .arg("--sessions-dir")
        .arg(&keys)
        .arg("--config")
        .arg(&config)
        .output()
        .unwrap();
    ends_with(&by_flags, 0);
    assert_eq!(place.delivered().len(), 3);
    assert!(!place.root.join("state").exists() && !place.root.join("sessions").exists());
    assert_eq!(
        std::fs::metadata(&state).unwrap().permissions().mode() & 0o777,
        0o700
    );

    // From a folder within the workspace, and by variables.
    std::fs::create_dir_all(place.root.join("campaigns/deep/er")).unwrap();
    let by_variables = tidings()
        .current_dir(place.root.join("campaigns/deep/er"))
        .args(["status", "-o", "json"])
        .env("TIDINGS_STATE_DIR", &state)
        .env("TIDINGS_SESSIONS_DIR", &keys)
        .env("TIDINGS_CONFIG", &config)
        .output()
        .unwrap();
    ends_with(&by_variables, 0);
    let report: serde_json::Value = serde_json::from_slice(&by_variables.stdout).unwrap();
    assert_eq!(report["campaigns"][0]["progress"]["sent"], 3, "{report:#}");

    // A flag wins over its variable; an empty variable is none.
    let both = tidings()
        .arg("-C")
        .arg(&place.root)
        .args(["status", "-o", "json", "--state-dir"])
        .arg(elsewhere.join("another"))
        .env("TIDINGS_STATE_DIR", &state)
        .env("TIDINGS_SESSIONS_DIR", "")
        .env("TIDINGS_CONFIG", &config)
        .output()
        .unwrap();
    ends_with(&both, 0);
    let report: serde_json::Value = serde_json::from_slice(&both.stdout).unwrap();
    assert_eq!(report["campaigns"][0]["progress"]["sent"], 0, "{report:#}");
    assert_eq!(report["accounts"][0]["state"], "missing", "{report:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_are_those_of_the_contract() {
    let place = Place::new(&crowd(3), FAST).await;
    place.write("campaigns/good.yaml", hello("good", "sales-1", ""));
    for (args, expected, says) in [
        (&["validate"][..], 0, ""),
        (&["run", "--once", "--horizon", "1s"], 0, ""),
        (&["status", "--check"], 0, ""),
        (&[][..], 64, "Usage"),
        (&["explode"], 64, "explode"),
        (&["status", "--colour"], 64, "--colour"),
        (&["run", "--horizon", "1m"], 64, "--once"),
        (&["suspend", "good"], 64, "--reason"),
        (
            &["suspend", "bad-name", "--reason", "x"],
            64,
            "there is no campaign `bad-name`",
        ),
        (&["approve", "good"], 0, ""),
        (&["--help"], 0, ""),
        (&["--version"], 0, ""),
    ] {
        let output = place.run(args);
        assert_eq!(code(&output), expected, "{args:?}: {}", err(&output));
        assert!(err(&output).contains(says), "{args:?}: {}", err(&output));
    }
    let nowhere = run(&place.dir.path().join("nowhere"), ["status"]);
    ends_with(&nowhere, 64);
    assert!(
        err(&nowhere).contains("there is no folder"),
        "{}",
        err(&nowhere)
    );
    let no_workspace = tidings().current_dir("/").arg("status").output().unwrap();
    ends_with(&no_workspace, 1);
    assert!(
        err(&no_workspace).contains("tidings init"),
        "{}",
        err(&no_workspace)
    );

    // Something invalid beside it: the good one goes on, and the end says that a person is needed.
    place.write(
        "campaigns/bad.yaml",
        "version: 1\nname: bad\nkind: mailing\ncolour: red\n",
    );
    let invalid = place.run(&["validate"]);
    ends_with(&invalid, 78);
    assert!(
        out(&invalid).contains("campaigns/bad.yaml")
            || err(&invalid).contains("campaigns/bad.yaml")
    );
    let ended = place.run(&["run", "--once", "--horizon", "1s"]);
    ends_with(&ended, 4);
    assert!(err(&ended).contains("bad"), "{}", err(&ended));
    ends_with(&place.run(&["status", "--check"]), 4);
    ends_with(&place.run(&["status"]), 0);
    std::fs::remove_file(place.root.join("campaigns/bad.yaml")).unwrap();
    ends_with(&place.run(&["run", "--once", "--horizon", "1s"]), 0);

    // Approval: 4, and 0 once it is given.
    place.write(
        "tidings.yaml",
        FAST.replace("approve_over: null", "approve_over: 2"),
    );
    place.write("campaigns/large.yaml", hello("large", "sales-1", ""));
    ends_with(&place.run(&["run", "--once", "--horizon", "1s"]), 4);
    ends_with(&place.run(&["approve", "large", "--yes"]), 0);
    ends_with(&place.run(&["run", "--once", "--horizon", "1s"]), 0);
    assert_eq!(Tally::of(&place.sandbox).who("large").len(), 3);

    // A broken configuration.
    place.write("tidings.yaml", "version: 1\nlimit: {}\n");
    for args in [&["run"][..], &["run", "--once"], &["validate"]] {
        let output = place.run(args);
        ends_with(&output, 78);
        let said = format!("{}{}", out(&output), err(&output));
        assert!(
            said.contains("limit") && said.contains("tidings.yaml"),
            "{args:?}: {said}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_breaks_while_the_daemon_runs_leaves_the_last_good_one() {
    let place = Place::new(&crowd(3), FAST).await;
    place.write("campaigns/spring.yaml", hello("spring", "sales-1", ""));
    let mut daemon = place.daemon();
    place
        .until(SOON, "all were sent", |place| place.delivered().len() == 3)
        .await;
    place.write("tidings.yaml", "version: [");
    daemon.signal(Signal::HUP);
    place.write("campaigns/summer.yaml", hello("summer", "sales-1", ""));
    place
        .until(SOON, "the next campaign too", |place| {
            place.delivered().len() == 6
        })
        .await;
    assert_eq!(daemon.ended(), None, "{}", daemon.said());
    assert!(
        daemon.said().contains("The last good settings go on"),
        "{}",
        daemon.said()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_good_version_goes_on_over_a_kill_where_settings_say_so() {
    let place = Place::new(&crowd(6), &format!("{FAST}on_invalid: continue\n")).await;
    let spec = mailing(
        "spring",
        "sales-1",
        "templates: [{name: short, file: words.j2}]\ndelays: {between_messages: 0s, per_campaign: {per_day: 2}}\n",
    );
    place.write("campaigns/words.j2", "spring: good words");
    place.write("campaigns/spring.yaml", &spec);
    let daemon = place.daemon();
    place
        .until(SOON, "its share of the day", |place| {
            place.delivered().len() == 2
        })
        .await;
    daemon.kill();
    // While nobody runs both files are broken.
    place.write(
        "campaigns/spring.yaml",
        spec.replace("kind: mailing", "knd: mailing"),
    );
    place.write("campaigns/words.j2", "spring: bad words {{ contact.nme }}");
    let broken = place.campaign("spring");
    assert_eq!(broken["progress"]["pending"], 4, "{broken:#}");
    let daemon = place.daemon();
    place
        .until(SOON, "the report says so", |place| {
            is_up(place)
                && condition(&place.campaign("spring"), "SpecValid")
                    .starts_with("False SpecInvalid")
        })
        .await;
    let goes_on = place.campaign("spring");
    let said = message(&goes_on, "SpecValid");
    assert!(
        said.contains("spring.yaml") && said.contains("knd"),
        "the error with its place: {said}"
    );
    assert!(said.contains("The last valid version goes on"), "{said}");
    assert_eq!(waits(&goes_on), "CampaignCap 4", "{goes_on:#}");
    assert_eq!(
        (&goes_on["generation"], &goes_on["observed_generation"]),
        (&2.into(), &1.into())
    );
    daemon.kill();

    // Without the setting it is held, and what was kept is not brought back by turning it on again.
    place.write("tidings.yaml", FAST);
    let daemon = place.daemon();
    place
        .until(SOON, "it is held", |place| {
            is_up(place) && waits(&place.campaign("spring")) == "Held 4"
        })
        .await;
    daemon.kill();
    place.write("tidings.yaml", format!("{FAST}on_invalid: continue\n"));
    assert_eq!(waits(&place.campaign("spring")), "Held 4");

    // A valid version is taken up, and is from then on the one that goes on.
    place.write("campaigns/words.j2", "spring: better words");
    place.write(
        "campaigns/spring.yaml",
        spec.replace("per_day: 2", "per_day: 4"),
    );
    let daemon = place.daemon();
    place
        .until(SOON, "two more", |place| place.delivered().len() == 4)
        .await;
    daemon.kill();
    place.write("campaigns/spring.yaml", "kind: [");
    place.write("campaigns/words.j2", "spring: worse words");
    let daemon = place.daemon();
    place
        .until(SOON, "it goes on", |place| {
            is_up(place) && waits(&place.campaign("spring")) == "CampaignCap 2"
        })
        .await;
    daemon.kill();
    let texts: Vec<_> = place
        .delivered()
        .into_iter()
        .filter_map(|e| e.text)
        .collect();
    assert_eq!(texts[..2], ["spring: good words"; 2]);
    assert_eq!(texts[2..], ["spring: better words"; 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_state_holds_its_accounts_until_it_is_approved() {
    let place = Place::new(&crowd_of(&["sales-1", "sales-2"], 6), FAST).await;
    place.write("campaigns/spring.yaml", hello("spring", "sales-1", ""));
    ends_with(&place.run(&["run", "--once", "--horizon", "1s"]), 0);
    assert_eq!(place.delivered().len(), 6);
    let mark = place.root.join("sessions/.sales-1.state");
    assert_eq!(
        std::fs::metadata(&mark).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert!(
        !place.root.join("sessions/.sales-2.state").exists(),
        "it has sent nothing"
    );

    std::fs::remove_dir_all(place.root.join("state")).unwrap();
    assert!(
        place.account("sales-1")["message"]
            .as_str()
            .unwrap()
            .starts_with("StateLost"),
        "before any daemon too"
    );
    assert!(!place.root.join("state").exists());
    place.write(
        "campaigns/spring.yaml",
        hello("spring", "sales-1", "").replace("spring: hi", "spring: hi again"),
    );
    let held = place.run(&["run", "--once", "--horizon", "1s"]);
    ends_with(&held, 4);
    assert!(
        err(&held).contains("StateLost") && err(&held).contains("approve --new-state"),
        "{}",
        err(&held)
    );
    let by_the_held_one = |place: &Place| {
        place
            .delivered()
            .iter()
            .filter(|entry| entry.account.as_deref() == Some("sales-1"))
            .count()
    };
    assert_eq!(
        by_the_held_one(&place),
        6,
        "nothing more by the account that another state used"
    );
    // An account without a mark is new, and goes on beside it.
    place.write("campaigns/autumn.yaml", hello("autumn", "sales-2", ""));
    ends_with(&place.run(&["run", "--once", "--horizon", "1s"]), 4);
    assert_eq!(Tally::of(&place.sandbox).who("autumn").len(), 6);
    std::fs::remove_file(place.root.join("campaigns/spring.yaml")).unwrap();

    // Under a running daemon too: it takes the account up by itself.
    place.write("campaigns/summer.yaml", hello("summer", "sales-1", ""));
    let daemon = place.daemon();
    place.until(SOON, "it answers", is_up).await;
    let deadline = Instant::now() + SOON;
    while !place.account("sales-1")["message"]
        .as_str()
        .unwrap()
        .starts_with("StateLost")
    {
        assert!(Instant::now() < deadline, "{:#}", place.account("sales-1"));
    }
    assert_eq!(by_the_held_one(&place), 6);
    let approved = place.run(&["approve", "--new-state"]);
    ends_with(&approved, 0);
    assert!(out(&approved).contains("sales-1"), "{}", out(&approved));
    place
        .until(SOON, "it goes on", |place| {
            Tally::of(&place.sandbox).who("summer").len() == 6
        })
        .await;
    daemon.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn session_files_are_tightened_and_otherwise_left_as_they_are() {
    let place = Place::new(&crowd_of(&["sales-1", "sales-2"], 12), FAST).await;
    place.write(
        "campaigns/spring.yaml",
        hello("spring", "sales-1, sales-2", ""),
    );
    let sessions = place.root.join("sessions");
    for entry in std::fs::read_dir(&sessions).unwrap() {
        std::fs::set_permissions(
            entry.unwrap().path(),
            std::fs::Permissions::from_mode(0o644),
        )
        .unwrap();
    }
    let bytes = |dir: &Path| -> Vec<(PathBuf, Vec<u8>)> {
        contents(dir)
            .into_iter()
            .filter(|(path, ..)| path.extension().is_some_and(|ending| ending == "session"))
            .map(|(path, _, bytes)| (path, bytes))
            .collect()
    };
    let before = bytes(&sessions);
    assert_eq!(before.len(), 2);
    let ended = place.run(&["run", "--once", "--horizon", "1s"]);
    ends_with(&ended, 0);
    assert!(
        err(&ended).contains("sales-1.session") && err(&ended).contains("0600"),
        "a warning: {}",
        err(&ended)
    );
    assert_eq!(
        bytes(&sessions),
        before,
        "the file is the credential: its bytes stay"
    );
    for (path, mode, _) in contents(&sessions) {
        assert_eq!(mode, 0o600, "{}", path.display());
    }
    for (path, mode, _) in contents(&place.root.join("state")) {
        assert_eq!(mode, 0o600, "{}", path.display());
    }
    // The second time there is nothing to say.
    let again = place.run(&["run", "--once", "--horizon", "1s"]);
    ends_with(&again, 0);
    assert_eq!(err(&again), "");
    assert_eq!(bytes(&sessions), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_api_id_the_engine_runs_and_says_what_to_set() {
    let place = Place::new(&crowd(3), "version: 1\nlimits: {min_delay: 0s}\n").await;
    place.write(
        "campaigns/spring.yaml",
        hello("spring", "sales-1", "").replace("10000", "50"),
    );
    let ended = place.run(&["run", "--once", "--horizon", "1s"]);
    ends_with(&ended, 4);
    let account = place.account("sales-1");
    assert_eq!(account["state"], "not_configured");
    assert!(
        account["message"].as_str().unwrap().contains("TG_API_ID"),
        "{account:#}"
    );
    assert!(
        account["message"]
            .as_str()
            .unwrap()
            .contains("my.telegram.org"),
        "{account:#}"
    );
    // What is set and cannot be used is called so, and not repeated: it may be the hash.
    place.write(".env", "TG_API_ID=c0ffee\nTG_API_HASH=loopback\n");
    for said in [
        place.account("sales-1")["message"]
            .as_str()
            .unwrap()
            .to_owned(),
        out(&place.run(&["account", "check", "sales-1"])),
        err(&place.run(&["account", "login", "sales-1", "--phone", "+15550100"])),
    ] {
        assert!(
            said.contains(
                "TG_API_ID is set, but this is no api_id: a positive whole number is expected"
            ) && said.contains("https://my.telegram.org/apps")
                && !said.contains("c0ffee")
                && !said.contains("not set"),
            "{said}"
        );
    }
    place.write(".env", "TG_API_ID=12345\n");
    let message = place.account("sales-1")["message"].clone();
    assert!(
        message
            .as_str()
            .unwrap()
            .starts_with("TG_API_HASH is not set. "),
        "{message}"
    );
    // .env is enough, and real variables win over it.
    place.write(".env", "TG_API_ID=12345\nTG_API_HASH=loopback\n");
    ends_with(&place.run(&["run", "--once", "--horizon", "1s"]), 0);
    assert_eq!(place.delivered().len(), 3);
}

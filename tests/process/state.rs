//! State folders that are old, another's, or not to be written to; and what never stands in a log.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Output;

use super::child::{Place, Tally, code, ends_with, err, out, tidings};
use super::common::{FAST, crowd, crowd_of};
use super::{SOON, hello};

pub(super) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(std::fs::copy(entry.path(), to).unwrap()),
        }
    }
}

/// Every version's state is kept in `tests/fixtures/`: 12 people of @meetup, seven of them written to by `old`, one of
/// whom said stop, and one username on the suppression list.
#[tokio::test(flavor = "multi_thread")]
async fn the_state_of_every_earlier_version_is_opened_and_goes_on() {
    let place = Place::new(&crowd(12), FAST).await;
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/state-v1");
    copy(&fixture, &place.root.join("state"));
    let id: serde_json::Value =
        serde_json::from_slice(&std::fs::read(fixture.join("state.json")).unwrap()).unwrap();
    assert_eq!(id["version"], 1);
    place.write(
        "sessions/.sales-1.state",
        format!("{}\n", id["id"].as_str().unwrap()),
    );
    place.write("campaigns/old.yaml", old(""));
    let old_one = place.campaign("old");
    assert_eq!(old_one["progress"]["sent"], 7, "{old_one:#}");
    assert_eq!(old_one["progress"]["opted_out"], 1, "{old_one:#}");
    let listed = place.run(&["optout", "list", "-o", "json"]);
    assert!(out(&listed).contains("opted_out"), "{}", out(&listed));
    let explained = place.run(&["explain", "old", "@person101", "-o", "json"]);
    ends_with(&explained, 0);
    // It goes on where it stood: the seven get nothing again, the suppressed one nothing at all.
    place.write("campaigns/old.yaml", old("per_day: 1000"));
    ends_with(&place.run(&["run", "--once", "--horizon", "1s"]), 0);
    let tally = Tally::of(&place.sandbox);
    let got = tally.who("old");
    assert_eq!(got.len(), 4, "{got:?}");
    let report = place.campaign("old");
    assert_eq!(report["progress"]["sent"], 11, "{report:#}");
    assert_eq!(
        report["audience"]["excluded"]["suppressed"], 1,
        "{report:#}"
    );
}

fn old(cap: &str) -> String {
    let cap = if cap.is_empty() { "per_day: 7" } else { cap };
    hello(
        "old",
        "sales-1",
        &format!("delays: {{between_messages: 0s, per_account: {{{cap}}}}}\n"),
    )
}

/// How the fixture was made: `TIDINGS_FIXTURE=tests/fixtures/state-vN cargo test --test process make_the_fixture -- --ignored`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "makes tests/fixtures/state-vN"]
async fn make_the_fixture() {
    let Ok(to) = std::env::var("TIDINGS_FIXTURE") else {
        return;
    };
    let place = Place::new(&crowd(12), FAST).await;
    place.write("campaigns/old.yaml", old(""));
    ends_with(&place.run(&["optout", "add", "@person112"]), 0);
    let daemon = place.daemon();
    place
        .until(SOON, "seven got it", |place| {
            Tally::of(&place.sandbox).who("old").len() == 7
        })
        .await;
    let first = *Tally::of(&place.sandbox).who("old").first().unwrap();
    place
        .sandbox
        .send_as_person(format!("@person{first}").as_str(), "sales-1", "stop")
        .unwrap();
    place
        .until(SOON, "the stop is known", |place| {
            place.campaign("old")["progress"]["opted_out"] == 1
        })
        .await;
    daemon.signal(rustix::process::Signal::TERM);
    let mut daemon = daemon;
    daemon.wait(SOON).await;
    copy(&place.root.join("state"), Path::new(&to));
}

/// `tidings ARGS…` as somebody who owns nothing here; only root can become him.
fn as_nobody(place: &Place, args: &[&str]) -> Output {
    tidings()
        .arg("-C")
        .arg(&place.root)
        .args(args)
        .uid(65_534)
        .gid(65_534)
        .output()
        .unwrap()
}

fn reachable(path: &Path) {
    for path in path.ancestors().take(2) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_of_another_user_is_refused_with_a_sentence() {
    if !rustix::process::geteuid().is_root() {
        println!("left out: only root can become somebody else");
        return;
    }
    let place = Place::new(&crowd(3), FAST).await;
    place.write("campaigns/mine.yaml", hello("mine", "sales-1", ""));
    ends_with(&place.run(&["run", "--once", "--horizon", "1s"]), 0);
    reachable(&place.root);
    for args in [
        &["status"][..],
        &["run", "--once"],
        &["backup", "/tmp/none"],
    ] {
        let ended = as_nobody(&place, args);
        let said = err(&ended);
        assert_eq!(code(&ended), 1, "{args:?}: {said}");
        let lines: Vec<&str> = said
            .lines()
            .filter(|line| line.starts_with("tidings:"))
            .collect();
        assert_eq!(lines.len(), 1, "{args:?}: {said}");
        assert!(
            lines[0].contains("ermission denied") && lines[0].contains("state"),
            "{args:?}: {said}"
        );
    }
    // Nothing was lost or changed by that.
    assert_eq!(place.campaign("mine")["progress"]["sent"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_be_written_to_ends_the_daemon_with_a_sentence() {
    if !rustix::process::geteuid().is_root() {
        println!("left out: only root can become somebody else");
        return;
    }
    let place = Place::new(&crowd(3), FAST).await;
    place.write("campaigns/mine.yaml", hello("mine", "sales-1", ""));
    reachable(&place.root);
    let ended = as_nobody(&place, &["run", "--once"]);
    assert_eq!(code(&ended), 1, "{}", err(&ended));
    assert!(
        err(&ended).contains("ermission denied") && err(&ended).contains("state"),
        "{}",
        err(&ended)
    );
    assert!(place.delivered().is_empty());
    // Who only looks needs nothing to write to.
    let ended = as_nobody(&place, &["status"]);
    assert_eq!(code(&ended), 0, "{}", err(&ended));
}

/// A key as a log might show it.
fn shapes(key: &[u8]) -> Vec<String> {
    let part = &key[..12];
    let hex: String = part.iter().map(|byte| format!("{byte:02x}")).collect();
    let list: Vec<String> = part.iter().map(u8::to_string).collect();
    vec![
        hex.clone(),
        hex.to_uppercase(),
        list.join(", "),
        list.join(","),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn no_log_holds_a_key_and_none_above_debug_a_name_or_a_text() {
    let place = Place::new(&crowd_of(&["sales-1", "sales-2"], 8), "").await;
    place.write(
        "tidings.yaml",
        "version: 1\ntelegram: {api_id: 12345, api_hash: hush-api-hash}\nai: {base_url: 'http://127.0.0.1:9', api_key: hush-ai-key}\n\
         notify: [{on: [handoff], webhook: 'http://127.0.0.1:9/hush-hook', secret: hush-hook-secret}]\n\
         limits: {min_delay: 0s, max_per_day: 100000, approve_over: null}\n",
    );
    place.write(
        "campaigns/words.yaml",
        hello(
            "words",
            "sales-1, sales-2",
            "ai_role: {prompt: Hush-prompt, delay: 0s}\n",
        )
        .replace(": hi ", ": hush-text "),
    );
    // Errors are where things are said.
    for (nth, effect) in [
        (2, tidings::sandbox::Effect::DropAfter),
        (3, tidings::sandbox::Effect::Garbled),
        (4, tidings::sandbox::Effect::HalfAnswer),
    ] {
        place.sandbox.fault(
            tidings::sandbox::FaultRule::new(effect)
                .method("messages.sendMessage")
                .nth(nth),
        );
    }
    for (level, form) in [
        ("info", "text"),
        ("info", "json"),
        ("trace", "text"),
        ("trace", "json"),
    ] {
        let mut command = tidings();
        command
            .arg("-C")
            .arg(&place.root)
            .args(["--log-format", form, "run", "--once", "--horizon", "5s"])
            .env("TIDINGS_LOG", level)
            .env("FAILPOINTS", "account.sales-2=3*off->1*panic->off");
        let ended = command.output().unwrap();
        let said = format!("{}{}", out(&ended), err(&ended));
        let mut secrets: Vec<String> = ["hush-api-hash", "hush-ai-key", "hush-hook-secret"]
            .map(str::to_owned)
            .to_vec();
        for account in [0, 1] {
            secrets.extend(shapes(&place.sandbox.dc_option(account).auth_key.unwrap()));
        }
        if level == "info" {
            secrets.extend(["hush-text", "Hush-prompt", "P103", "person103"].map(str::to_owned));
        }
        for secret in secrets {
            let at = said.find(&secret);
            let near = at.map(|at| {
                said[at.saturating_sub(300)..]
                    .chars()
                    .take(600)
                    .collect::<String>()
            });
            assert_eq!(near, None, "{level} {form}: {secret}");
        }
        for id in 101..109 {
            place
                .sandbox
                .send_as_person(format!("@person{id}").as_str(), "sales-1", "hush-text back")
                .unwrap();
        }
    }
    assert_eq!(Tally::of(&place.sandbox).who("words").len(), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_report_no_backup_and_no_debugger_sees_a_secret() {
    let place = Place::new(&crowd(6), "").await;
    place.write(
        "tidings.yaml",
        "version: 1\ntelegram: {api_id: 12345, api_hash: hush-api-hash}\nai: {base_url: 'http://127.0.0.1:9', api_key: hush-ai-key}\n\
         notify: [{on: [handoff, account, finished], webhook: 'http://127.0.0.1:9/hush-hook', secret: hush-hook-secret}]\n\
         web: {listen: '127.0.0.1:0', token: hush-web-token-0123456789}\n\
         accounts: {sales-1: {proxy: 'socks5://hush-user:hush-pass@127.0.0.1:1'}}\n\
         limits: {min_delay: 0s, max_per_day: 100000, approve_over: null}\n",
    );
    place.write(".env", "TIDINGS_WEBHOOK_SECRET=hush-env-secret\n");
    place.write("campaigns/words.yaml", hello("words", "sales-1", ""));
    let key = place.sandbox.dc_option(0).auth_key.unwrap();
    let mut secrets: Vec<String> = [
        "hush-api-hash",
        "hush-ai-key",
        "hush-hook-secret",
        "hush-web-token",
        "hush-pass",
        "hush-env-secret",
    ]
    .map(str::to_owned)
    .to_vec();
    secrets.extend(shapes(&key));
    // Not to be reached through its proxy, and then without it.
    let proxied = place.run(&["run", "--once", "--horizon", "1s"]);
    let text = std::fs::read_to_string(place.root.join("tidings.yaml")).unwrap();
    let without: String = text
        .lines()
        .filter(|line| !line.starts_with("accounts:"))
        .map(|line| format!("{line}\n"))
        .collect();
    place.write("tidings.yaml", &without);
    ends_with(&place.run(&["run", "--once", "--horizon", "1s"]), 0);
    place.write("tidings.yaml", &text);
    let backup = place.dir.path().join("a.backup");
    let backup_name = backup.to_str().unwrap();
    let mut said = format!("{}{}", out(&proxied), err(&proxied));
    let all: &[&[&str]] = &[
        &["status"],
        &["status", "-o", "wide"],
        &["status", "-o", "json"],
        &["status", "-o", "yaml"],
        &["plan"],
        &["plan", "-o", "json"],
        &["events", "-o", "json"],
        &["audit", "-o", "json"],
        &["explain", "words", "@person101", "-o", "json"],
        &["account", "list", "-o", "json"],
        &["account", "check", "sales-1"],
        &["audience", "export", "words", "--format", "jsonl"],
        &[
            "report", "--since", "7d", "--by", "account", "--format", "json",
        ],
        &["replies", "list", "-o", "json"],
        &["validate", "--format", "json"],
        &["optout", "list", "-o", "json"],
        &["backup", backup_name],
        &["restore", backup_name, "--yes"],
    ];
    for args in all {
        let ended = place.run(args);
        said.push_str(&format!("{args:?}\n{}{}", out(&ended), err(&ended)));
    }
    // What a debugger, or a panic's message, would show of the workspace.
    let workspace = tidings::control::Workspace::find(&tidings::control::WorkspaceOptions {
        directory: Some(place.root.clone()),
        ..Default::default()
    })
    .unwrap();
    let resolved = workspace.resolve(&tidings::desired::History::default(), None);
    said.push_str(&format!("{workspace:?}{:?}", resolved.desired));
    // A backup without sessions, unpacked.
    let bytes = std::fs::read(&backup).unwrap();
    let unpacked = zstd::decode_all(&bytes[19..]).unwrap();
    assert!(unpacked.len() > 1000);
    for secret in &secrets {
        let at = said.find(secret.as_str());
        let near = at.map(|at| {
            let from = said.floor_char_boundary(at.saturating_sub(300));
            said[from..].chars().take(500).collect::<String>()
        });
        assert_eq!(near, None, "{secret}");
        let bytes = secret.as_bytes();
        assert!(
            !unpacked.windows(bytes.len()).any(|w| w == bytes),
            "{secret} stands in a backup"
        );
    }
    assert!(
        !unpacked.windows(16).any(|w| w == &key[..16]),
        "a key stands in a backup"
    );
    assert!(said.contains("sales-1"), "there is something to look at");
}

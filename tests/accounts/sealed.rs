//! Session files encrypted at rest: what works with the passphrase, what waits without it, and kills in between.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Output;

use super::child::{Place, Running, code, ends_with, err, out, tidings};
use super::common::{FAST, crowd, crowd_of, mailing};
use super::{NOBODY, PHONE, SOON, holds, mode, session, sessions, typed};

const RIGHT: &str = "correct horse battery";

/// `tidings -C DIR ARGS…` with this passphrase.
fn with(place: &Place, passphrase: &str, args: &[&str]) -> Output {
    let mut command = tidings();
    command.arg("-C").arg(&place.root).args(args);
    command.env("TIDINGS_PASSPHRASE", passphrase);
    command.output().unwrap()
}

/// The daemon, whose passphrase stands in a file.
fn daemon(place: &Place, passphrase: &str) -> Running {
    let file = place.dir.path().join("passphrase");
    std::fs::write(&file, format!("{passphrase}\n")).unwrap();
    let mut command = tidings();
    command.arg("-C").arg(&place.root).arg("run");
    command.env("TIDINGS_LOG", "tidings=debug");
    command.env("TIDINGS_PASSPHRASE_FILE", file);
    Running::start(command, &place.log())
}

/// Files below a folder that hold one of these.
fn that_hold(folder: &Path, wanted: &[Vec<u8>]) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(bytes) = std::fs::read(&path)
                && wanted
                    .iter()
                    .any(|part| bytes.windows(part.len()).any(|window| window == part))
            {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

/// A key in the clear: pieces of it as they are, and as logs would show them.
fn pieces(key: [u8; 256]) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    for piece in [&key[..16], &key[120..136], &key[240..]] {
        let hex: String = piece.iter().map(|byte| format!("{byte:02x}")).collect();
        let list = format!("{:?}", &piece[..6]);
        let list = list.trim_matches(['[', ']']).to_owned();
        pieces.extend([piece.to_vec(), hex.into_bytes(), list.into_bytes()]);
    }
    pieces
}

fn sealed(place: &Place, name: &str) -> std::path::PathBuf {
    place.root.join(format!("sessions/{name}.session.age"))
}

#[track_caller]
fn is_locked(place: &Place, part: &str) {
    let account = place.account("sales-1");
    assert_eq!(account["state"], "not_configured", "{account}");
    let message = account["message"].as_str().unwrap();
    assert!(message.contains(part), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_account_sends_with_the_passphrase_and_only_it_waits_without() {
    let place = Place::new(&crowd_of(&["sales-1", "sales-2"], 6), FAST).await;
    let path = session(&place, "sales-1");
    let before = std::fs::read(&path).unwrap();
    let key = holds(&path).await.1.unwrap();
    let none = place.run(&["account", "encrypt", "sales-1"]);
    ends_with(&none, 1);
    assert!(
        err(&none).contains("TIDINGS_PASSPHRASE_FILE"),
        "{}",
        err(&none)
    );
    assert_eq!(sessions(&place), ["sales-1.session", "sales-2.session"]);
    assert_eq!(
        that_hold(&place.root, &pieces(key)).len(),
        1,
        "the search finds it"
    );

    let done = with(&place, RIGHT, &["account", "encrypt", "sales-1"]);
    ends_with(&done, 0);
    assert!(
        out(&done).contains("`sales-1` is encrypted"),
        "{}",
        out(&done)
    );
    let expected = ["passphrase.age", "sales-1.session.age", "sales-2.session"];
    assert_eq!(sessions(&place), expected);
    for file in &expected[..2] {
        assert_eq!(mode(&place.root.join("sessions").join(file)), 0o600);
    }
    let again = with(&place, RIGHT, &["account", "encrypt", "sales-1"]);
    ends_with(&again, 0);
    assert!(
        out(&again).contains("was encrypted already"),
        "{}",
        out(&again)
    );

    place.write("campaigns/one.yaml", mailing("one", "sales-1", ""));
    // Nobody of a list is an account of one's own, which the state does not know yet.
    let two = "consent: {basis: customers}\nsources: [{type: list, peers: ['@person101', '@person102']}]\n";
    place.write("campaigns/two.yaml", mailing("two", "sales-2", two));
    // Nothing of it needs a passphrase.
    ends_with(&place.run(&["validate", "--deny-warnings"]), 0);
    is_locked(&place, "no passphrase is given");

    for (passphrase, part) in [
        (None, "no passphrase is given"),
        (Some("wrong horse"), "does not open"),
    ] {
        let running = match passphrase {
            None => place.daemon(),
            Some(passphrase) => daemon(&place, passphrase),
        };
        place
            .until(SOON, "the other account goes on", |place| {
                place.delivered().len() == 2
                    && code(&place.run(&["status"])) == 0
                    && place.status()["daemon"]["running"] == true
                    && place.account("sales-2")["state"] == "ready"
            })
            .await;
        is_locked(&place, part);
        assert_eq!(place.account("sales-2")["state"], "ready");
        let status = place.run(&["status", "--check"]);
        ends_with(&status, 4);
        running.kill();
    }

    let running = daemon(&place, RIGHT);
    place
        .until(SOON, "it sends too", |place| place.delivered().len() == 8)
        .await;
    assert_eq!(place.account("sales-1")["state"], "ready");
    // Beside a running daemon, whose passphrase a command does not need.
    ends_with(&place.run(&["account", "check", "sales-1"]), 0);
    let own = format!("tidings-private-{}-", running.pid());
    for folder in ["/dev/shm".into(), std::env::temp_dir()] {
        let left = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let names: Vec<_> = left.map(|entry| entry.file_name()).collect();
        assert!(
            !names
                .iter()
                .any(|name| name.to_string_lossy().starts_with(&own)),
            "{names:?}"
        );
    }
    running.kill();
    let found = that_hold(place.dir.path(), &pieces(key));
    assert!(found.is_empty(), "the key stands in {found:?}");
    let log = std::fs::read(place.log()).unwrap();
    assert!(!log.windows(RIGHT.len()).any(|w| w == RIGHT.as_bytes()));

    let wrong = with(&place, "wrong horse", &["account", "decrypt"]);
    ends_with(&wrong, 1);
    ends_with(&with(&place, RIGHT, &["account", "decrypt"]), 0);
    assert_eq!(std::fs::read(&path).unwrap(), before, "byte for byte");
    assert_eq!(
        sessions(&place),
        [
            ".sales-1.state",
            ".sales-2.state",
            "sales-1.session",
            "sales-2.session"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_an_import_and_a_removal_know_encrypted_files() {
    let place = Place::new(NOBODY, FAST).await;
    let path = session(&place, "sales-1");
    let before = holds(&path).await;
    ends_with(&with(&place, RIGHT, &["account", "encrypt"]), 0);
    let files = ["passphrase.age", "plain.session.age", "sales-1.session.age"];
    assert_eq!(sessions(&place), files);

    // Before anybody is asked for a code.
    let login = ["account", "login", "sales-1", "--phone", PHONE];
    let locked = typed(&place, &login, "24680\ncorrect horse\n");
    ends_with(&locked, 1);
    assert!(err(&locked).contains("no passphrase"), "{}", err(&locked));
    assert!(place.sandbox.ledger().of_method("auth.sendCode").is_empty());
    let unlocked = |args: &[&str], input: &str| {
        let file = place.dir.path().join("passphrase");
        std::fs::write(&file, RIGHT).unwrap();
        place.write(
            ".env",
            format!("TIDINGS_PASSPHRASE_FILE={}\n", file.display()),
        );
        let output = typed(&place, args, input);
        std::fs::remove_file(place.root.join(".env")).unwrap();
        output
    };
    ends_with(&unlocked(&login, "24680\ncorrect horse\n"), 0);
    assert_eq!(sessions(&place), files);
    ends_with(&with(&place, RIGHT, &["account", "check", "sales-1"]), 0);

    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/telethon-v8.db");
    let import = [
        "account",
        "import",
        fixture.to_str().unwrap(),
        "--name",
        "taken",
    ];
    ends_with(&place.run(&import), 1);
    ends_with(&with(&place, RIGHT, &import), 0);
    assert!(sealed(&place, "taken").exists() && !session(&place, "taken").exists());

    let without = place.run(&["account", "remove", "sales-1", "--yes"]);
    ends_with(&without, 1);
    assert!(err(&without).contains("no passphrase"), "{}", err(&without));
    ends_with(&with(&place, RIGHT, &["account", "decrypt", "sales-1"]), 0);
    let after = holds(&path).await;
    assert_eq!((after.0, after.1), (before.0, before.1), "address and key");
    assert_eq!(after.2, Some(7001), "the login noted who it is");
    ends_with(&with(&place, RIGHT, &["account", "encrypt", "sales-1"]), 0);
    ends_with(
        &with(&place, RIGHT, &["account", "remove", "sales-1", "--yes"]),
        0,
    );
    assert_eq!(place.sandbox.ledger().of_method("auth.logOut").len(), 1);
    assert_eq!(
        sessions(&place),
        ["passphrase.age", "plain.session.age", "taken.session.age"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_point_leaves_a_whole_file_and_the_next_command_finishes() {
    let place = Place::new(&crowd(1), FAST).await;
    let path = session(&place, "sales-1");
    let before = std::fs::read(&path).unwrap();
    let key = holds(&path).await.1.unwrap();
    let whole = |what: &str| {
        let plain = std::fs::read(&path).is_ok_and(|bytes| bytes == before);
        // What age did not write whole it does not decrypt: the verb below would fail.
        let sealed =
            std::fs::read(sealed(&place, "sales-1")).is_ok_and(|bytes| bytes.len() > before.len());
        assert!(plain || sealed, "{what}: {:?}", sessions(&place));
    };
    let points = [
        ("encrypt", "session.drafted"),
        ("encrypt", "session.placed"),
        ("encrypt", "session.verified"),
        ("encrypt", "session.removed"),
        ("decrypt", "session.drafted"),
        ("decrypt", "session.placed"),
        ("decrypt", "session.verified"),
        ("decrypt", "session.removed"),
    ];
    let finish = |verb: &str, what: &str| {
        let done = with(&place, RIGHT, &["account", verb, "sales-1"]);
        assert_eq!(code(&done), 0, "{what}: {}", err(&done));
        if verb == "encrypt" {
            assert!(!path.exists(), "{what}");
            let found = that_hold(&place.root, &pieces(key));
            assert!(found.is_empty(), "{what}: the key stands in {found:?}");
        } else {
            assert_eq!(std::fs::read(&path).unwrap(), before, "{what}");
            assert!(!sealed(&place, "sales-1").exists(), "{what}");
        }
    };
    // The key file first, so that its own drafts are not meant below.
    finish("encrypt", "at first");
    finish("decrypt", "at first");
    for (verb, point) in points {
        if verb == "decrypt" {
            finish("encrypt", point);
        }
        let mut command = tidings();
        command
            .arg("-C")
            .arg(&place.root)
            .args(["account", verb, "sales-1"]);
        command.env("TIDINGS_PASSPHRASE", RIGHT);
        command.env("FAILPOINTS", format!("{point}=kill"));
        let killed = command.output().unwrap();
        assert_eq!(
            killed.status.signal(),
            Some(9),
            "{verb} at {point}: {}",
            err(&killed)
        );
        whole(&format!("{verb} at {point}"));
        // The account is usable as it is left, with the passphrase at most.
        ends_with(&with(&place, RIGHT, &["account", "check", "sales-1"]), 0);
        finish(verb, &format!("{verb} at {point}"));
        finish("decrypt", "the next");
    }
    // And at moments that nobody chose.
    for pass in 0..12u64 {
        let verb = ["encrypt", "decrypt"][usize::try_from(pass % 2).unwrap()];
        let mut command = tidings();
        command
            .arg("-C")
            .arg(&place.root)
            .args(["account", verb, "sales-1"]);
        command.env("TIDINGS_PASSPHRASE", RIGHT);
        let running = Running::start(command, &place.log());
        tokio::time::sleep(std::time::Duration::from_millis(60 * pass + 13)).await;
        running.kill();
        whole(&format!("{verb}, pass {pass}"));
        finish(verb, &format!("{verb}, pass {pass}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_another_key_is_never_replaced() {
    let place = Place::new(&crowd_of(&["sales-1", "sales-2"], 1), FAST).await;
    ends_with(&with(&place, RIGHT, &["account", "encrypt", "sales-1"]), 0);
    std::fs::copy(session(&place, "sales-2"), session(&place, "sales-1")).unwrap();
    let all = || {
        let names = sessions(&place);
        let bytes = |name: &String| std::fs::read(place.root.join("sessions").join(name)).unwrap();
        names
            .iter()
            .map(|name| (name.clone(), bytes(name)))
            .collect::<Vec<_>>()
    };
    let before = all();
    for verb in ["encrypt", "decrypt"] {
        let refused = with(&place, RIGHT, &["account", verb, "sales-1"]);
        ends_with(&refused, 1);
        assert!(err(&refused).contains("another key"), "{}", err(&refused));
        assert_eq!(all(), before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_takes_encrypted_sessions_along_with_their_key() {
    let place = Place::new(&crowd(3), FAST).await;
    ends_with(&with(&place, RIGHT, &["account", "encrypt"]), 0);
    place.write("campaigns/one.yaml", mailing("one", "sales-1", ""));
    ends_with(&with(&place, RIGHT, &["run", "--once"]), 0);
    let file = place.dir.path().join("a.backup");
    let file = file.to_str().unwrap();
    let said = place.run(&["backup", file, "--with-sessions", "-o", "json"]);
    ends_with(&said, 0);
    let body: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(body["sessions"], 1);

    let folder = place.root.join("sessions");
    let aside = place.dir.path().join("aside");
    std::fs::rename(&folder, &aside).unwrap();
    // Where another key is in use already nothing of it is mixed up.
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("passphrase.age"), "another").unwrap();
    let restore = ["restore", file, "--with-sessions", "--yes"];
    let mixed = place.run(&restore);
    ends_with(&mixed, 1);
    assert!(err(&mixed).contains("another key"), "{}", err(&mixed));
    std::fs::remove_file(folder.join("passphrase.age")).unwrap();

    ends_with(&place.run(&restore), 0);
    for name in ["passphrase.age", "sales-1.session.age"] {
        let read = |folder: &Path| std::fs::read(folder.join(name)).unwrap();
        assert_eq!(read(&folder), read(&aside), "{name}");
        assert_eq!(mode(&folder.join(name)), 0o600);
    }
    ends_with(&with(&place, RIGHT, &["account", "check", "sales-1"]), 0);
}

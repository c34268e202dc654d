//! Accounts come and go: login, check, import, remove, a proxy, one account under two names.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod child;
mod common;
#[path = "accounts/sealed.rs"]
mod sealed;

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use child::{Place, ends_with, err, out, tidings};
use common::{FAST, crowd, mailing};
use grammers_session::Session as _;
use grammers_session::storages::SqliteSession;
use grammers_session::types::{PeerId, PeerInfo};
use tidings::sandbox::{Effect, FaultRule};

const SOON: Duration = Duration::from_secs(30);
const PHONE: &str = "+15550100001";

/// One account that nobody is logged in with, with a password.
const NOBODY: &str = "
accounts:
  - {name: sales-1, id: 7001, phone: '+15550100001', first_name: Mia, username: mia_sales, authorized: false, code: '24680', password: 'correct horse'}
  - {name: plain, id: 7002, phone: '+15550100002', first_name: Ole, authorized: false}
people:
  - {id: 101, username: anna}
";

/// `tidings -C DIR ARGS…` with these lines on standard input.
fn typed(place: &Place, args: &[&str], input: &str) -> Output {
    let mut child = tidings()
        .arg("-C")
        .arg(&place.root)
        .args(args)
        .env("TIDINGS_LOG", "debug")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that ends early reads none of it.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn login(place: &Place, name: &str, phone: &str, input: &str) -> Output {
    typed(place, &["account", "login", name, "--phone", phone], input)
}

fn session(place: &Place, name: &str) -> PathBuf {
    place.root.join(format!("sessions/{name}.session"))
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// The address, the key and the own user id that a session file holds.
async fn holds(path: &Path) -> (String, Option<[u8; 256]>, Option<i64>) {
    let session = SqliteSession::open(path).await.unwrap();
    let option = session
        .dc_option(session.home_dc_id().unwrap())
        .unwrap()
        .unwrap();
    let own = match session.peer(PeerId::self_user()).await.unwrap() {
        Some(PeerInfo::User { id, .. }) => Some(id),
        _ => None,
    };
    (option.ipv4.to_string(), option.auth_key, own)
}

/// Names in the sessions folder.
fn sessions(place: &Place) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(place.root.join("sessions"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn unauthorized(place: &Place) -> bool {
    place.account("sales-1")["state"] == "unauthorized"
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_and_a_password_log_a_session_in_as_it_stands() {
    let place = Place::new(NOBODY, FAST).await;
    let path = session(&place, "sales-1");
    let before = holds(&path).await;
    assert_eq!(before.2, None);
    // A wrong code and a wrong password are asked for again.
    let output = login(
        &place,
        "sales-1",
        "+1 555 010-0001",
        "11111\n24 680\nbattery staple\ncorrect horse\n",
    );
    ends_with(&output, 0);
    assert_eq!(
        out(&output),
        "`sales-1` is logged in as Mia (@mia_sales), id 7001, phone +155…01.\n"
    );
    let said = err(&output);
    assert!(said.contains("not the code"), "{said}");
    assert!(said.contains("not the password"), "{said}");
    let key: String = before.1.unwrap()[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    for secret in [
        "24680",
        "correct horse",
        "battery staple",
        "15550100001",
        &key,
    ] {
        assert!(
            !said.contains(secret) && !out(&output).contains(secret),
            "{secret}: {said}"
        );
    }
    let after = holds(&path).await;
    assert_eq!(
        (&after.0, &after.1),
        (&before.0, &before.1),
        "address and key"
    );
    assert_eq!(after.2, Some(7001), "who it is");
    assert_eq!(mode(&path), 0o600);
    assert_eq!(sessions(&place), ["plain.session", "sales-1.session"]);

    let bytes = std::fs::read(&path).unwrap();
    let again = login(&place, "sales-1", PHONE, "");
    ends_with(&again, 0);
    assert!(
        out(&again).contains("is logged in already"),
        "{}",
        out(&again)
    );
    assert_eq!(std::fs::read(&path).unwrap(), bytes, "nothing was changed");
    assert_eq!(place.sandbox.ledger().of_method("auth.sendCode").len(), 1);

    let check = place.run(&["account", "check", "sales-1", "-o", "json"]);
    ends_with(&check, 0);
    let document: serde_json::Value = serde_json::from_slice(&check.stdout).unwrap();
    assert_eq!(document["format_version"], "1.0");
    let account = &document["account"];
    assert_eq!(
        (
            &account["state"],
            &account["id"],
            &account["username"],
            &account["phone"]
        ),
        (
            &"ready".into(),
            &7001.into(),
            &"mia_sales".into(),
            &"+155…01".into()
        )
    );
    let check = place.run(&["account", "check", "plain"]);
    ends_with(&check, 1);
    assert!(
        out(&check).contains("plain: unauthorized"),
        "{}",
        out(&check)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_telegram_refuses_is_said_in_a_sentence_and_changes_no_file() {
    let place = Place::new(NOBODY, FAST).await;
    let path = session(&place, "sales-1");
    let before = std::fs::read(&path).unwrap();
    let wrong = "1\n2\n3\n4\n";
    let cases = [
        ("wrong three times", wrong, None, "the code is wrong"),
        ("no code", "", None, "no code was given"),
        ("no password", "24680\n", None, "no password was given"),
        (
            "wrong password",
            "24680\na\nb\nc\nd\n",
            None,
            "the password is wrong",
        ),
        (
            "expired",
            "24680\n",
            Some(("auth.signIn", "PHONE_CODE_EXPIRED")),
            "the code has expired",
        ),
        (
            "invalid",
            "",
            Some(("auth.sendCode", "PHONE_NUMBER_INVALID")),
            "no phone number",
        ),
        (
            "banned",
            "",
            Some(("auth.sendCode", "PHONE_NUMBER_BANNED")),
            "banned this phone",
        ),
        (
            "flood at once",
            "",
            Some(("auth.sendCode", "FLOOD_WAIT_86400")),
            "a wait of 24 h",
        ),
        (
            "flood later",
            "24680\ncorrect horse\n",
            Some(("auth.checkPassword", "FLOOD_WAIT_300")),
            "a wait of 5 min",
        ),
        (
            "unknown",
            "24680\n",
            Some(("auth.signIn", "SOMETHING_NEW")),
            "SOMETHING_NEW",
        ),
    ];
    for (label, input, fault, expected) in cases {
        place.sandbox.clear_faults();
        if let Some((method, error)) = fault {
            place.sandbox.fault(FaultRule::error(error).method(method));
        }
        let output = login(&place, "sales-1", PHONE, input);
        ends_with(&output, 1);
        assert!(err(&output).contains(expected), "{label}: {}", err(&output));
        assert_eq!(std::fs::read(&path).unwrap(), before, "{label}");
        assert_eq!(
            sessions(&place),
            ["plain.session", "sales-1.session"],
            "{label}"
        );
    }
    place.sandbox.clear_faults();
    let stranger = login(&place, "sales-1", "+15550109999", "");
    ends_with(&stranger, 1);
    assert!(err(&stranger).contains("nobody has"), "{}", err(&stranger));
    // What can be no phone or name never reaches Telegram.
    let before = place.sandbox.ledger().entries().len();
    for args in [["sales-1", "12"], ["../evil", PHONE]] {
        ends_with(&login(&place, args[0], args[1], ""), 64);
    }
    assert_eq!(place.sandbox.ledger().entries().len(), before);
    place.write("tidings.yaml", "version: 1\n");
    let nothing = login(&place, "sales-1", PHONE, "");
    ends_with(&nothing, 1);
    assert!(
        err(&nothing).contains("my.telegram.org"),
        "{}",
        err(&nothing)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_lost_is_asked_for_and_a_lost_key_is_never_replaced() {
    let place = Place::new(NOBODY, FAST).await;
    place.sandbox.fault(
        FaultRule::new(Effect::DropAfter)
            .method("auth.signIn")
            .nth(1),
    );
    let output = login(&place, "plain", "+15550100002", "12345\n");
    ends_with(&output, 0);
    assert!(out(&output).contains("id 7002"), "{}", out(&output));
    assert_eq!(holds(&session(&place, "plain")).await.2, Some(7002));

    place.sandbox.clear_faults();
    place.sandbox.set_key_known("sales-1", false).unwrap();
    let path = session(&place, "sales-1");
    let before = std::fs::read(&path).unwrap();
    let output = login(&place, "sales-1", PHONE, "24680\n");
    ends_with(&output, 1);
    assert!(
        err(&output).contains("move that file away"),
        "{}",
        err(&output)
    );
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_daemon_takes_a_login_up() {
    let place = Place::new(NOBODY, FAST).await;
    let _daemon = place.daemon();
    place
        .until(SOON, "nobody is logged in", |place| {
            place.run(&["status"]).status.success() && unauthorized(place)
        })
        .await;
    let list = place.run(&["account", "list"]);
    assert!(out(&list).contains("account login"), "{}", out(&list));
    ends_with(
        &login(&place, "sales-1", PHONE, "24680\ncorrect horse\n"),
        0,
    );
    place
        .until(SOON, "the daemon has it", |place| {
            place.account("sales-1")["state"] == "ready"
        })
        .await;
    let check = place.run(&["account", "check", "sales-1"]);
    ends_with(&check, 0);
    assert!(out(&check).contains("@mia_sales"), "{}", out(&check));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_is_there_offline_too_in_every_form() {
    let config = format!("{FAST}accounts: {{sales-1: {{labels: {{team: sales}}}}}}\n");
    let place = Place::new(NOBODY, &config).await;
    std::fs::remove_file(session(&place, "plain")).unwrap();
    place.sandbox.stop();
    let json = place.run(&["account", "list", "-o", "json"]);
    ends_with(&json, 0);
    let document: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(document["format_version"], "1.0");
    assert_eq!(document["accounts"][0]["name"], "sales-1");
    assert_eq!(document["accounts"][0]["labels"]["team"], "sales");
    let yaml = out(&place.run(&["account", "list", "-o", "yaml"]));
    assert!(yaml.contains("team: sales"), "{yaml}");
    assert!(out(&place.run(&["account", "list"])).contains("sales-1"));
    assert!(!place.root.join("state").exists(), "looking makes no state");
    let away = place.run(&["account", "check", "sales-1"]);
    ends_with(&away, 1);
    assert!(out(&away).contains("unreachable"), "{}", out(&away));
    ends_with(&place.run(&["account", "check", "sales-2"]), 64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_account_is_logged_out_and_its_files_are_gone() {
    let place = Place::new(&crowd(1), FAST).await;
    let path = session(&place, "sales-1");
    std::fs::write(path.with_extension("session-shm"), "").unwrap();
    ends_with(&place.run(&["account", "remove", "sales-1"]), 64);
    ends_with(&place.run(&["account", "remove", "sales-9", "--yes"]), 64);
    assert!(path.exists());
    // Telegram does not answer: nothing is deleted.
    place.sandbox.stop();
    let away = place.run(&["account", "remove", "sales-1", "--yes"]);
    ends_with(&away, 1);
    assert!(err(&away).contains("Nothing was deleted"), "{}", err(&away));
    assert!(path.exists());
    place.sandbox.start_again().await.unwrap();
    let output = place.run(&["account", "remove", "sales-1", "--yes"]);
    ends_with(&output, 0);
    assert_eq!(place.sandbox.ledger().of_method("auth.logOut").len(), 1);
    assert_eq!(sessions(&place), [""; 0]);
    assert!(
        !place.root.join("state").exists(),
        "a removal makes no state"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_lets_go_of_an_account_that_is_removed_but_not_of_one_with_work_in_flight() {
    let place = Place::new(&crowd(3), FAST).await;
    place.write("campaigns/spring.yaml", mailing("spring", "sales-1", ""));
    place.sandbox.fault(
        FaultRule::new(Effect::SilentAfter)
            .method("messages.sendMessage")
            .nth(2),
    );
    let daemon = place.daemon();
    place
        .until(SOON, "two were sent", |place| place.delivered().len() == 2)
        .await;
    let refused = place.run(&["account", "remove", "sales-1", "--yes"]);
    ends_with(&refused, 1);
    assert!(err(&refused).contains("--force"), "{}", err(&refused));
    assert!(session(&place, "sales-1").exists());
    let forced = place.run(&["account", "remove", "sales-1", "--yes", "--force"]);
    ends_with(&forced, 0);
    assert!(!session(&place, "sales-1").exists());
    place
        .until(SOON, "the daemon knows", |place| {
            place.account("sales-1")["state"] == "missing"
        })
        .await;
    assert_eq!(place.sandbox.ledger().of_method("auth.logOut").len(), 1);
    assert_eq!(place.delivered().len(), 2);
    daemon.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_others_can_read_is_tightened_with_a_warning() {
    let place = Place::new(&crowd(1), FAST).await;
    let path = session(&place, "sales-1");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let check = place.run(&["account", "check", "sales-1"]);
    ends_with(&check, 0);
    assert_eq!(mode(&path), 0o600);
    assert!(err(&check).contains("it is 0600 now"), "{}", err(&check));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_telethon_is_taken_over() {
    let place = Place::new(&crowd(1), FAST).await;
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/telethon-v8.db");
    let before = std::fs::read(&fixture).unwrap();
    let import = |from: &Path, name: &str| {
        place.run(&["account", "import", from.to_str().unwrap(), "--name", name])
    };
    ends_with(&import(&fixture, "taken"), 0);
    let (address, key, own) = holds(&session(&place, "taken")).await;
    assert_eq!(address, "149.154.167.91:443");
    let expected: Vec<u8> = (0..=255).collect();
    assert_eq!(key.unwrap().to_vec(), expected);
    assert_eq!(own, None);
    assert_eq!(mode(&session(&place, "taken")), 0o600);
    assert_eq!(
        std::fs::read(&fixture).unwrap(),
        before,
        "the original stays"
    );
    let again = import(&fixture, "taken");
    ends_with(&again, 1);
    assert!(err(&again).contains("is there already"), "{}", err(&again));
    let grammers = import(&session(&place, "sales-1"), "other");
    ends_with(&grammers, 1);
    assert!(
        err(&grammers).contains("grammers already"),
        "{}",
        err(&grammers)
    );
    assert_eq!(sessions(&place), ["sales-1.session", "taken.session"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_telethon_itself_made_works() {
    let place = Place::new(&crowd(1), FAST).await;
    let folder = tempfile::tempdir().unwrap();
    let packages = folder.path().join("packages");
    let installed = std::process::Command::new("python3")
        .args([
            "-m",
            "pip",
            "install",
            "-q",
            "--disable-pip-version-check",
            "--target",
        ])
        .arg(&packages)
        .arg("telethon")
        .stdin(Stdio::null())
        .output();
    if !installed.is_ok_and(|output| output.status.success()) {
        println!("python3 with pip, or PyPI, is not there: this is not tested here");
        return;
    }
    let (address, key, _) = holds(&session(&place, "sales-1")).await;
    let port = address.rsplit_once(':').unwrap().1;
    let key: String = key
        .unwrap()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let made = folder.path().join("made");
    let script = "
import sys
from telethon.sessions import SQLiteSession
from telethon.crypto import AuthKey
session = SQLiteSession(sys.argv[1])
session.set_dc(2, '127.0.0.1', int(sys.argv[2]))
session.auth_key = AuthKey(bytes.fromhex(sys.argv[3]))
session.save()
session.close()
";
    let output = std::process::Command::new("python3")
        .args(["-c", script])
        .arg(&made)
        .args([port, &key])
        .env("PYTHONPATH", &packages)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", err(&output));
    let made = folder.path().join("made.session");
    std::fs::remove_file(session(&place, "sales-1")).unwrap();
    ends_with(
        &place.run(&[
            "account",
            "import",
            made.to_str().unwrap(),
            "--name",
            "sales-2",
        ]),
        0,
    );
    let check = place.run(&["account", "check", "sales-2"]);
    ends_with(&check, 0);
    assert!(out(&check).contains("sales-2: ready"), "{}", out(&check));
}

/// A socks5 server (RFC 1928) that lets everybody through and counts them.
async fn socks5(count: Arc<AtomicUsize>) -> u16 {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let count = count.clone();
            tokio::spawn(async move {
                let mut head = [0u8; 2];
                client.read_exact(&mut head).await.unwrap();
                let mut methods = vec![0; usize::from(head[1])];
                client.read_exact(&mut methods).await.unwrap();
                client.write_all(&[5, 0]).await.unwrap();
                let mut request = [0u8; 10];
                client.read_exact(&mut request).await.unwrap();
                assert_eq!(request[3], 1, "an IPv4 address");
                let ip = std::net::Ipv4Addr::new(request[4], request[5], request[6], request[7]);
                let port = u16::from_be_bytes([request[8], request[9]]);
                let mut server = tokio::net::TcpStream::connect((ip, port)).await.unwrap();
                client
                    .write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])
                    .await
                    .unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_is_gone_through_at_login_at_check_and_while_sending() {
    let place = Place::new(NOBODY, FAST).await;
    let count = Arc::new(AtomicUsize::new(0));
    let port = socks5(count.clone()).await;
    let proxied =
        |port: u16| format!("{FAST}accounts: {{plain: {{proxy: 'socks5://127.0.0.1:{port}'}}}}\n");
    place.write("tidings.yaml", proxied(port));
    ends_with(&login(&place, "plain", "+15550100002", "12345\n"), 0);
    let after_login = count.load(Ordering::SeqCst);
    assert!(after_login > 0);
    ends_with(&place.run(&["account", "check", "plain"]), 0);
    let after_check = count.load(Ordering::SeqCst);
    assert!(after_check > after_login);
    let spec = mailing(
        "spring",
        "plain",
        "consent: {basis: customers}\nsources: [{type: list, peers: ['@anna']}]\n",
    );
    place.write("campaigns/spring.yaml", spec);
    ends_with(&place.run(&["run", "--once"]), 0);
    assert_eq!(place.delivered().len(), 1);
    assert!(count.load(Ordering::SeqCst) > after_check);
    // Without the proxy there is no way round it.
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = nobody.local_addr().unwrap().port();
    drop(nobody);
    place.write("tidings.yaml", proxied(closed));
    let before = place.sandbox.ledger().entries().len();
    let check = place.run(&["account", "check", "plain"]);
    ends_with(&check, 1);
    assert!(out(&check).contains("unreachable"), "{}", out(&check));
    assert_eq!(place.sandbox.ledger().entries().len(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_session_under_two_names_is_found_and_used_once() {
    let place = Place::new(&crowd(6), FAST).await;
    std::fs::copy(session(&place, "sales-1"), session(&place, "sales-2")).unwrap();
    let validate = place.run(&["validate"]);
    ends_with(&validate, 0);
    assert!(
        out(&validate).contains("`sales-1` and `sales-2` are one Telegram account"),
        "{}",
        out(&validate)
    );
    place.write(
        "campaigns/spring.yaml",
        mailing("spring", "sales-1, sales-2", ""),
    );
    let daemon = place.daemon();
    place
        .until(SOON, "everybody", |place| place.delivered().len() == 6)
        .await;
    let second = place.account("sales-2");
    assert_eq!(second["state"], "unreachable");
    let message = second["message"].as_str().unwrap();
    assert!(
        message.starts_with("SameAccount: ") && message.contains("`sales-1`"),
        "{message}"
    );
    // Known offline as well.
    daemon.kill();
    let list = place.run(&["account", "list", "-o", "json"]);
    assert!(out(&list).contains("SameAccount"), "{}", out(&list));
    let daemon = place.daemon();
    place
        .until(SOON, "the second is held again", |place| {
            place.run(&["status"]).status.success()
                && place.account("sales-2")["message"]
                    .as_str()
                    .unwrap()
                    .starts_with("SameAccount")
        })
        .await;
    // When the first is taken away the second goes on, with the session that both had.
    let removed = place.run(&["account", "remove", "sales-1", "--yes"]);
    ends_with(&removed, 0);
    assert!(
        out(&removed).contains("`sales-2` has the same session"),
        "{}",
        out(&removed)
    );
    assert!(place.sandbox.ledger().of_method("auth.logOut").is_empty());
    place
        .until(SOON, "the second is alone", |place| {
            place.account("sales-2")["state"] == "ready"
        })
        .await;
    daemon.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_account_logged_in_twice_is_found_too() {
    let place = Place::new(&common::crowd_of(&["sales-1", "sales-2"], 4), FAST).await;
    // Two keys, one person.
    place.sandbox.world(|world| {
        let user = world.accounts[0].user;
        world.accounts[1].user = user;
    });
    place.write(
        "campaigns/spring.yaml",
        mailing("spring", "sales-1, sales-2", ""),
    );
    let daemon = place.daemon();
    place
        .until(SOON, "one of them is held", |place| {
            place.run(&["status"]).status.success()
                && ["sales-1", "sales-2"].iter().any(|name| {
                    let account = place.account(name);
                    account["message"]
                        .as_str()
                        .unwrap()
                        .starts_with("SameAccount")
                })
        })
        .await;
    daemon.kill();
    // Known offline as well.
    let list = place.run(&["account", "list", "-o", "json"]);
    assert!(out(&list).contains("SameAccount"), "{}", out(&list));
}

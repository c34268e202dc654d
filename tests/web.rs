//! The HTTP interface of a running daemon: CONTRACT section 5, its last paragraph.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod child;
mod common;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use child::{Place, Running, ends_with, err, tidings};
use common::{FAST, World, crowd, crowd_of, mailing, world};
use rustix::process::Signal;
use tidings::sandbox::{Effect, FaultRule};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Within this everything here happens, on a busy machine too.
const SOON: Duration = Duration::from_secs(30);

const WEB: &str = "web: {listen: '127.0.0.1:0'}\n";

fn with_web(rest: &str) -> String {
    format!("{FAST}{WEB}{rest}")
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

async fn ask(address: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let length = body.len();
    let text = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    );
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut all = String::new();
    stream.read_to_string(&mut all).await.unwrap();
    let (head, body) = all.split_once("\r\n\r\n").unwrap();
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    }
}

async fn get(address: SocketAddr, path: &str) -> Answer {
    ask(address, "GET", path, "", "").await
}

/// The headers by which the page shows that it is the page, with a body of JSON.
async fn of_the_page(address: SocketAddr) -> String {
    let session: serde_json::Value =
        serde_json::from_str(&get(address, "/api/v1/session").await.body).unwrap();
    let csrf = session["csrf"].as_str().unwrap();
    format!("Content-Type: application/json\r\nX-Tidings-Csrf: {csrf}\r\n")
}

/// Where the daemon's page is, by its own report.
async fn address_of(world: &World) -> SocketAddr {
    for _ in 0..400 {
        let status = world.status().await;
        if let Some(url) = status["daemon"]["web"].as_str() {
            return address(url);
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("no page within ten seconds")
}

fn address(url: &str) -> SocketAddr {
    let at = url.strip_prefix("http://").unwrap().trim_end_matches('/');
    at.parse().unwrap()
}

/// The samples of a scrape: name and labels → value. Every line must have the form that Prometheus reads.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    let mut described = std::collections::BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            described.insert(rest.split(' ').next().unwrap().to_owned());
        }
        if line.starts_with('#') {
            continue;
        }
        let (key, value) = line.rsplit_once(' ').unwrap();
        let name = key.split('{').next().unwrap();
        assert!(described.contains(name), "{name} has a TYPE before it");
        let before = samples.insert(key.to_owned(), value.parse().unwrap());
        assert_eq!(before, None, "{key} stands there once");
    }
    samples
}

async fn scrape(address: SocketAddr) -> BTreeMap<String, f64> {
    let metrics = get(address, "/metrics").await;
    assert_eq!(metrics.status, 200, "{}", metrics.body);
    assert!(
        metrics
            .head
            .contains("content-type: text/plain; version=0.0.4"),
        "{}",
        metrics.head
    );
    samples(&metrics.body)
}

fn sent(samples: &BTreeMap<String, f64>) -> f64 {
    samples
        .iter()
        .filter(|(key, _)| {
            key.starts_with("tidings_messages_total{") && key.contains("outcome=\"sent\"")
        })
        .map(|(_, value)| value)
        .sum()
}

/// The dashboard and the alert rules name only metrics that a daemon with sends, accounts and campaigns has.
fn what_is_shipped_asks_for_nothing_else(metrics: &BTreeMap<String, f64>) {
    let there: std::collections::BTreeSet<&str> = metrics
        .keys()
        .map(|key| key.split('{').next().unwrap())
        .collect();
    let packaging = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging");
    let dashboard = std::fs::read_to_string(packaging.join("grafana/tidings.json")).unwrap();
    let value: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    assert!(value["panels"].as_array().unwrap().len() > 3);
    let alerts = std::fs::read_to_string(packaging.join("prometheus/alerts.yml")).unwrap();
    for (file, text) in [("the dashboard", dashboard), ("the alerts", alerts)] {
        let mut asked = 0;
        for word in text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
            if word.starts_with("tidings_") {
                assert!(there.contains(word), "{file}: there is no {word}");
                asked += 1;
            }
        }
        assert!(asked > 5, "{file} asks for {asked}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_and_the_metrics_say_the_same_as_the_terminal() {
    let world = world(&crowd_of(&["sales-1", "sales-2"], 12)).await;
    world.sandbox.fault(
        FaultRule::new(Effect::Error {
            code: 400,
            text: "USER_PRIVACY_RESTRICTED".into(),
        })
        .method("messages.sendMessage")
        .nth(3),
    );
    world.write("tidings.yaml", with_web(""));
    world.write(
        "campaigns/spring.yaml",
        mailing("spring", "sales-1, sales-2", ""),
    );
    world.write(
        "campaigns/later.yaml",
        mailing("later", "sales-1", "paused: true\n"),
    );
    world.write(
        "campaigns/broken.yaml",
        "version: 1\nname: broken\nknid: mailing\n",
    );
    let daemon = world.daemon();
    world
        .until_campaign("spring", "all are settled", |it| {
            it["progress"]["pending"] == 0
                && it["progress"]["in_flight"] == 0
                && it["audience"]["found"] == 14
        })
        .await;
    let address = address_of(&world).await;
    // The page's report may be a moment old.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let page: serde_json::Value =
        serde_json::from_str(&get(address, "/api/v1/status").await.body).unwrap();
    let terminal = world.status().await;
    for part in ["campaigns", "accounts", "format_version"] {
        assert_eq!(page[part], terminal[part], "{part}");
    }
    assert_eq!(page["daemon"]["running"], true);
    let metrics = scrape(address).await;
    let one = |key: &str| {
        *metrics
            .get(key)
            .unwrap_or_else(|| panic!("no {key} in {metrics:#?}"))
    };
    assert_eq!(sent(&metrics), 11.0);
    let outcomes = &terminal["campaigns"]
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["name"] == "spring")
        .unwrap()["outcomes"];
    assert_eq!(outcomes["privacy_restricted"], 1);
    let refused: f64 = metrics
        .iter()
        .filter(|(key, _)| key.contains("outcome=\"privacy_restricted\""))
        .map(|(_, value)| value)
        .sum();
    assert_eq!(refused, 1.0);
    assert_eq!(
        one("tidings_account_state{account=\"sales-1\",state=\"ready\"}"),
        1.0
    );
    assert_eq!(
        one("tidings_account_state{account=\"sales-1\",state=\"banned\"}"),
        0.0
    );
    assert_eq!(
        one("tidings_campaign_condition{campaign=\"spring\",type=\"Succeeded\",status=\"True\"}"),
        1.0
    );
    assert_eq!(
        one("tidings_campaign_condition{campaign=\"broken\",type=\"SpecValid\",status=\"False\"}"),
        1.0
    );
    assert_eq!(
        one("tidings_pending{campaign=\"spring\",reason=\"Delay\"}"),
        0.0
    );
    assert_eq!(
        one("tidings_config_last_reload_successful"),
        0.0,
        "broken.yaml is there"
    );
    let age = chrono::Utc::now().timestamp_millis() as f64 / 1000.0
        - one("tidings_heartbeat_timestamp_seconds");
    assert!((-1.0..10.0).contains(&age), "{age}");
    what_is_shipped_asks_for_nothing_else(&metrics);
    // People are counted, never named.
    let text = get(address, "/metrics").await.body;
    // A time may hold the number of a person by chance.
    let of_people = text.lines().filter(|line| !line.contains("heartbeat"));
    for line in of_people {
        assert!(!line.contains("person") && !line.contains("101"), "{line}");
    }
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_go_on_after_a_restart() {
    let world = world(&crowd(9)).await;
    world.write("tidings.yaml", with_web(""));
    world.write(
        "campaigns/spring.yaml",
        mailing("spring", "sales-1", "canary: 4\n"),
    );
    let daemon = world.daemon();
    world
        .until_campaign("spring", "the canary was sent", |it| {
            it["progress"]["sent"] == 4
        })
        .await;
    let before = scrape(address_of(&world).await).await;
    assert_eq!(sent(&before), 4.0);
    assert_eq!(
        before["tidings_pending{campaign=\"spring\",reason=\"Canary\"}"],
        5.0
    );
    assert_eq!(
        before["tidings_campaign_condition{campaign=\"spring\",type=\"Ready\",status=\"False\"}"],
        1.0
    );
    daemon.stop().await.unwrap();
    let daemon = world.daemon();
    let address = address_of(&world).await;
    assert_eq!(sent(&scrape(address).await), 4.0);
    world.approve("spring").await;
    world
        .until_campaign("spring", "all were sent", |it| it["progress"]["sent"] == 9)
        .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(sent(&scrape(address).await), 9.0);
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn promtool_finds_nothing_wrong_with_the_metrics() {
    if std::process::Command::new("promtool")
        .arg("--version")
        .output()
        .is_err()
    {
        println!(
            "promtool is not installed (Debian: prometheus): the metrics were not checked by it"
        );
        return;
    }
    let world = world(&crowd(3)).await;
    world.write("tidings.yaml", with_web(""));
    world.write("campaigns/spring.yaml", mailing("spring", "sales-1", ""));
    let daemon = world.daemon();
    world
        .until_campaign("spring", "all were sent", |it| it["progress"]["sent"] == 3)
        .await;
    let text = get(address_of(&world).await, "/metrics").await.body;
    let checked = tokio::task::spawn_blocking(move || {
        let mut child = std::process::Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), text.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    })
    .await
    .unwrap();
    ends_with(&checked, 0);
    assert_eq!(err(&checked), "");
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_answers_with_the_verdict() {
    let world = world(&crowd(2)).await;
    world.write("tidings.yaml", with_web(""));
    world.write(
        "campaigns/spring.yaml",
        mailing("spring", "sales-1", "paused: true\n"),
    );
    let daemon = world.daemon();
    let address = address_of(&world).await;
    let good = ask(address, "POST", "/-/reload", "", "").await;
    assert_eq!(
        (good.status, good.body.as_str()),
        (200, "1 campaign, valid\n")
    );
    assert_eq!(
        scrape(address).await["tidings_config_last_reload_successful"],
        1.0
    );
    world.write(
        "campaigns/spring.yaml",
        mailing("spring", "sales-1", "pausde: true\n"),
    );
    let bad = ask(address, "POST", "/-/reload", "", "").await;
    assert_eq!(bad.status, 500);
    assert!(
        bad.body.contains("campaigns/spring.yaml:") && bad.body.contains("pausde"),
        "{}",
        bad.body
    );
    assert_eq!(
        scrape(address).await["tidings_config_last_reload_successful"],
        0.0
    );
    std::fs::rename(world.path().join("campaigns"), world.path().join("taken")).unwrap();
    let gone = ask(address, "POST", "/-/reload", "", "").await;
    assert_eq!(
        (gone.status, gone.body.lines().count()),
        (500, 1),
        "{}",
        gone.body
    );
    assert!(gone.body.starts_with("campaigns: "), "{}", gone.body);
    assert_eq!(get(address, "/-/reload").await.status, 405);
    assert_eq!(get(address, "/-/healthy").await.status, 200);
    assert_eq!(get(address, "/-/ready").await.status, 200);
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn suspend_resume_and_approve_work_as_in_the_terminal() {
    let world = world(&crowd(6)).await;
    world.write("tidings.yaml", with_web(""));
    world.write(
        "campaigns/spring.yaml",
        mailing("spring", "sales-1", "canary: 2\n"),
    );
    let daemon = world.daemon();
    world
        .until_campaign("spring", "the canary was sent", |it| {
            it["progress"]["sent"] == 2
        })
        .await;
    let address = address_of(&world).await;
    let json = &of_the_page(address).await;
    let shown: serde_json::Value =
        serde_json::from_str(&get(address, "/api/v1/campaigns/spring/approval").await.body)
            .unwrap();
    assert_eq!(shown["awaited"], true, "{shown:#}");
    let suspend = ask(
        address,
        "POST",
        "/api/v1/campaigns/spring/suspend",
        json,
        "{\"reason\": \"опечатка\", \"by\": \"Anna\"}",
    )
    .await;
    assert_eq!(suspend.status, 200, "{}", suspend.body);
    let approve = serde_json::json!({"digest": shown["digest"], "people": shown["people"]});
    let approved = ask(
        address,
        "POST",
        "/api/v1/campaigns/spring/approve",
        json,
        &approve.to_string(),
    )
    .await;
    assert_eq!(approved.status, 200, "{}", approved.body);
    let held = world.campaign("spring").await;
    assert_eq!(common::condition(&held, "Paused"), "True Suspended");
    assert!(
        common::message(&held, "Paused").contains("опечатка"),
        "{held:#}"
    );
    assert!(
        common::message(&held, "Paused").contains("Anna (the page)"),
        "{held:#}"
    );
    let stale = ask(
        address,
        "POST",
        "/api/v1/campaigns/spring/approve",
        json,
        "{\"digest\": \"x\", \"people\": 6}",
    )
    .await;
    assert_eq!(stale.status, 409, "{}", stale.body);
    let unknown = ask(
        address,
        "POST",
        "/api/v1/campaigns/sprang/resume",
        json,
        "{}",
    )
    .await;
    assert_eq!(unknown.status, 404);
    assert!(
        unknown.body.contains("Did you mean `spring`?"),
        "{}",
        unknown.body
    );
    let resume = ask(
        address,
        "POST",
        "/api/v1/campaigns/spring/resume",
        json,
        "{}",
    )
    .await;
    assert_eq!(resume.status, 200, "{}", resume.body);
    world
        .until_campaign("spring", "all were sent", |it| it["progress"]["sent"] == 6)
        .await;
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_is_streamed() {
    let world = world(&crowd(4)).await;
    world.write("tidings.yaml", with_web(""));
    world.write(
        "campaigns/spring.yaml",
        mailing("spring", "sales-1", "canary: 1\n"),
    );
    let daemon = world.daemon();
    world
        .until_campaign("spring", "the canary was sent", |it| {
            it["progress"]["sent"] == 1
        })
        .await;
    let address = address_of(&world).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET /api/v1/stream HTTP/1.1\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut seen = String::new();
    let mut read = async |until: &str| {
        let mut buffer = [0; 65536];
        while !seen.contains(until) {
            let n = stream.read(&mut buffer).await.unwrap();
            assert!(n > 0, "it ended: {seen}");
            seen.push_str(&String::from_utf8_lossy(&buffer[..n]));
        }
    };
    let waits = Duration::from_secs(10);
    tokio::time::timeout(waits, read("event: report"))
        .await
        .unwrap();
    tokio::time::timeout(waits, read("\"type\":\"sent\""))
        .await
        .unwrap();
    world.approve("spring").await;
    tokio::time::timeout(waits, read("\"sent\":4"))
        .await
        .unwrap();
    // An open stream does not keep the daemon from stopping.
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_follows_tidings_yaml() {
    let world = world(&crowd(1)).await;
    world.write("tidings.yaml", FAST);
    let daemon = world.daemon();
    world
        .until("it runs", |world| {
            world.path().join("state/tidings.sock").exists()
        })
        .await;
    assert!(world.status().await["daemon"]["web"].is_null());
    world.write("tidings.yaml", with_web(""));
    let address = address_of(&world).await;
    assert_eq!(get(address, "/").await.status, 200);
    world.write(
        "tidings.yaml",
        format!("{FAST}web: {{listen: '127.0.0.1:0', token: 'correct horse battery'}}\n"),
    );
    let mut status = 0;
    for _ in 0..200 {
        status = get(address, "/metrics").await.status;
        if status == 401 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(status, 401, "the token holds without a restart");
    assert_eq!(
        ask(
            address,
            "GET",
            "/metrics",
            "Authorization: Bearer correct horse battery\r\n",
            ""
        )
        .await
        .status,
        200
    );
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_or_a_public_address_without_a_token_begins_nothing() {
    let place = Place::new(&crowd(2), FAST).await;
    place.write("campaigns/spring.yaml", mailing("spring", "sales-1", ""));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    place.write(
        "tidings.yaml",
        format!("{FAST}web: {{listen: '127.0.0.1:{port}'}}\n"),
    );
    let refused = place.run(&["run"]);
    ends_with(&refused, 1);
    assert!(
        err(&refused).contains(&format!("127.0.0.1:{port} is in use by another program")),
        "{}",
        err(&refused)
    );
    place.write(
        "tidings.yaml",
        format!("{FAST}web: {{listen: '0.0.0.0:0'}}\n"),
    );
    let refused = place.run(&["run"]);
    ends_with(&refused, 78);
    assert!(
        err(&refused).contains("there is no token"),
        "{}",
        err(&refused)
    );
    assert_eq!(place.delivered().len(), 0);
    // What ends by itself needs no page.
    place.write(
        "tidings.yaml",
        format!("{FAST}web: {{listen: '127.0.0.1:{port}'}}\n"),
    );
    ends_with(&place.run(&["run", "--once"]), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn systemd_is_told_when_it_is_ready_reloads_and_stops() {
    let place = Place::new(&crowd(1), &with_web("")).await;
    place.write(
        "campaigns/spring.yaml",
        mailing("spring", "sales-1", "paused: true\n"),
    );
    let socket = place.root.join("notify.sock");
    let systemd = std::os::unix::net::UnixDatagram::bind(&socket).unwrap();
    systemd.set_read_timeout(Some(SOON)).unwrap();
    let heard = || {
        let mut buffer = [0; 1024];
        let n = systemd.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..n]).into_owned()
    };
    let wait_for = |what: &str| {
        while !heard().starts_with(what) {}
    };
    let mut command = tidings();
    command
        .arg("-C")
        .arg(&place.root)
        .arg("run")
        .env("NOTIFY_SOCKET", &socket)
        .env("WATCHDOG_USEC", "2000000")
        .env("TIDINGS_LOG", "tidings=info");
    let mut daemon = Running::start(command, &place.log());
    wait_for("READY=1");
    wait_for("WATCHDOG=1");
    wait_for("WATCHDOG=1");
    place.write(
        "campaigns/spring.yaml",
        mailing("spring", "sales-1", "pausde: true\n"),
    );
    daemon.signal(Signal::HUP);
    wait_for("RELOADING=1");
    wait_for("READY=1");
    daemon.signal(Signal::TERM);
    wait_for("STOPPING=1");
    assert_eq!(daemon.wait(Duration::from_secs(12)).await.code(), Some(0));
    let said = daemon.said();
    assert!(said.contains("reloaded, and not all is valid"), "{said}");
    assert!(said.contains("the page is at http://127.0.0.1:"), "{said}");
}

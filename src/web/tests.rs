//! The server alone, before an engine that a test plays.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::{Asked, Health, Server, Settings, WebError};
use crate::model::{Command, Reply, Timestamp};

/// An engine's health as a test wants it, in seconds since its loop last went round.
struct Pulse(AtomicU64);

impl Health for Pulse {
    fn heartbeat_age(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::Relaxed))
    }

    fn heartbeat_at(&self) -> Timestamp {
        Timestamp(1_700_000_000_000)
    }

    fn ready(&self) -> Result<(), &'static str> {
        match self.0.load(Ordering::Relaxed) {
            0 => Ok(()),
            _ => Err("not yet"),
        }
    }

    fn reload_successful(&self) -> bool {
        true
    }
}

struct Place {
    server: Server,
    pulse: Arc<Pulse>,
    commands: Arc<Mutex<Vec<Command>>>,
}

/// An engine that answers everything; or one that takes commands and never answers.
async fn place(token: Option<&str>, answers: bool) -> Place {
    let (tell, mut told) = mpsc::channel::<Asked>(64);
    let commands = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&commands);
    tokio::spawn(async move {
        let mut unanswered = Vec::new();
        while let Some((command, reply)) = told.recv().await {
            seen.lock().unwrap().push(command.clone());
            if !answers {
                unanswered.push(reply);
                continue;
            }
            let _ = reply.send(match command {
                Command::Status { .. } => Reply::Written {
                    json: serde_json::json!({
                        "format_version": "1.0", "generated_at": "2026-01-01T00:00:00.000Z",
                        "daemon": {"running": true, "pid": 1, "version": "0", "heartbeat_age_ms": 0},
                        "campaigns": [], "accounts": []
                    }).to_string(),
                },
                Command::Reload => Reply::Refused { message: "a.yaml:1:2: broken".into(), usage: false },
                other => Reply::Done { message: format!("{other:?}") },
            });
        }
    });
    let pulse = Arc::new(Pulse(AtomicU64::new(0)));
    let settings = Settings {
        listen: "127.0.0.1:0".parse().unwrap(),
        token: token.map(str::to_owned),
    };
    let server = Server::start(settings, tell, pulse.clone()).await.unwrap();
    Place {
        server,
        pulse,
        commands,
    }
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Place {
    /// One request, with these lines of headers (`Host` is our own where none is given).
    async fn ask(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Answer {
        let address = self.server.address();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let mut text = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|line| line.starts_with("Host:")) {
            text.push_str(&format!("Host: {address}\r\n"));
        }
        for line in headers {
            text.push_str(&format!("{line}\r\n"));
        }
        text.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all).await;
        let all = String::from_utf8(all).unwrap();
        let (head, body) = all.split_once("\r\n\r\n").unwrap_or((&all, ""));
        Answer {
            status: head
                .split(' ')
                .nth(1)
                .and_then(|code| code.parse().ok())
                .unwrap_or(0),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "").await
    }

    /// The line by which the page shows that it is the page.
    async fn csrf(&self) -> String {
        let session: serde_json::Value =
            serde_json::from_str(&self.get("/api/v1/session").await.body).unwrap();
        format!("X-Tidings-Csrf: {}", session["csrf"].as_str().unwrap())
    }
}

const JSON: &str = "Content-Type: application/json";

#[tokio::test]
async fn an_address_that_others_can_reach_is_refused_without_a_token() {
    for listen in ["0.0.0.0:0", "[::]:0"] {
        let settings = Settings {
            listen: listen.parse().unwrap(),
            token: None,
        };
        let (tell, _told) = mpsc::channel(1);
        let refused = Server::start(settings, tell, Arc::new(Pulse(AtomicU64::new(0)))).await;
        assert!(matches!(refused, Err(WebError::Public(_))), "{listen}");
    }
}

#[tokio::test]
async fn a_port_in_use_is_said_in_words() {
    let first = place(None, true).await;
    let settings = Settings {
        listen: first.server.address(),
        token: None,
    };
    let (tell, _told) = mpsc::channel(1);
    let Err(error) = Server::start(settings, tell, first.pulse.clone()).await else {
        panic!("two servers on one port")
    };
    assert!(
        error.to_string().contains("in use by another program"),
        "{error}"
    );
}

#[tokio::test]
async fn health_is_the_loops_and_readiness_the_plans() {
    let place = place(None, false).await;
    // The engine answers nothing, and neither check needs it.
    assert_eq!(place.get("/-/healthy").await.status, 200);
    assert_eq!(place.get("/-/ready").await.status, 200);
    place.pulse.0.store(90, Ordering::Relaxed);
    let healthy = place.get("/-/healthy").await;
    assert_eq!(healthy.status, 503);
    assert!(healthy.body.contains("90 s ago"), "{}", healthy.body);
    assert_eq!(place.get("/-/ready").await.status, 503);
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_hangs_still_shows_its_heartbeat() {
    let place = place(None, false).await;
    let metrics = place.get("/metrics").await;
    assert_eq!(metrics.status, 200);
    assert!(
        metrics
            .body
            .contains("tidings_heartbeat_timestamp_seconds 1700000000.000"),
        "{}",
        metrics.body
    );
    let status = place.get("/api/v1/status").await;
    assert_eq!(status.status, 503);
    assert!(status.body.contains("busy"), "{}", status.body);
}

#[tokio::test]
async fn the_verdict_of_a_reload_is_the_answer() {
    let place = place(None, true).await;
    let answer = place.ask("POST", "/-/reload", &[], "").await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (500, "a.yaml:1:2: broken\n")
    );
    assert_eq!(place.get("/-/reload").await.status, 405);
    assert_eq!(*place.commands.lock().unwrap(), [Command::Reload]);
}

#[tokio::test]
async fn other_sites_can_neither_read_nor_change_anything() {
    let place = place(None, true).await;
    let csrf = place.csrf().await;
    let origin = format!("Origin: http://{}", place.server.address());
    let suspend = "/api/v1/campaigns/spring/suspend";
    let why = "{\"reason\": \"a typo\"}";
    for (what, method, path, headers, status) in [
        (
            "a name that points here",
            "GET",
            "/api/v1/status",
            &["Host: evil.example"][..],
            403,
        ),
        (
            "a foreign form",
            "POST",
            suspend,
            &["Origin: https://evil.example", JSON],
            403,
        ),
        (
            "a foreign reload",
            "POST",
            "/-/reload",
            &["Sec-Fetch-Site: cross-site"],
            403,
        ),
        (
            "a foreign page that guesses",
            "POST",
            suspend,
            &["Origin: https://evil.example", JSON, &csrf],
            403,
        ),
        (
            "our page without its value",
            "POST",
            suspend,
            &[&origin, JSON],
            403,
        ),
        (
            "no JSON",
            "POST",
            suspend,
            &["Content-Type: text/plain", &csrf],
            415,
        ),
        ("our page", "POST", suspend, &[&origin, JSON, &csrf], 200),
        ("no page at all", "POST", suspend, &[JSON], 403),
        (
            "another's value",
            "POST",
            suspend,
            &[JSON, "X-Tidings-Csrf: 0000"],
            403,
        ),
    ] {
        let answer = place.ask(method, path, headers, why).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.body);
    }
    let suspended = Command::Suspend {
        name: Some("spring".into()),
        reason: "a typo".into(),
        by: "the page".into(),
    };
    assert_eq!(*place.commands.lock().unwrap(), [suspended]);
}

#[tokio::test]
async fn with_a_token_everything_but_health_asks_for_it() {
    let place = place(Some("correct horse"), true).await;
    for path in [
        "/api/v1/status",
        "/metrics",
        "/api/v1/events",
        "/api/v1/stream",
        "/api/v1/session",
    ] {
        let answer = place.get(path).await;
        assert_eq!(answer.status, 401, "{path}");
        assert!(
            answer
                .head
                .to_lowercase()
                .contains("www-authenticate: bearer"),
            "{}",
            answer.head
        );
    }
    assert_eq!(place.get("/-/healthy").await.status, 200);
    let wrong = place
        .ask("GET", "/metrics", &["Authorization: Bearer wrong"], "")
        .await;
    assert_eq!(wrong.status, 401);
    let right = place
        .ask(
            "GET",
            "/metrics",
            &["Authorization: Bearer correct horse"],
            "",
        )
        .await;
    assert_eq!(right.status, 200);
    // Any name is right then: nobody's browser shows the token for another site.
    let named = [
        "Host: tidings.example",
        "Authorization: Bearer correct horse",
    ];
    assert_eq!(
        place.ask("GET", "/api/v1/status", &named, "").await.status,
        200
    );
}

#[tokio::test]
async fn a_login_gives_a_cookie_that_opens_the_page() {
    let place = place(Some("correct horse"), true).await;
    let page = place.ask("GET", "/", &["Accept: text/html"], "").await;
    assert_eq!(page.status, 303);
    assert!(
        page.head.to_lowercase().contains("location: /login"),
        "{}",
        page.head
    );
    assert!(place.get("/login").await.body.contains("<form"));
    let form = "Content-Type: application/x-www-form-urlencoded";
    let wrong = place.ask("POST", "/login", &[form], "token=wrong").await;
    assert_eq!(wrong.status, 401);
    assert!(wrong.body.contains("not the token"));
    let foreign = place
        .ask(
            "POST",
            "/login",
            &[form, "Origin: https://evil.example"],
            "token=correct+horse",
        )
        .await;
    assert_eq!(foreign.status, 403);
    let login = place
        .ask("POST", "/login", &[form], "token=correct+horse")
        .await;
    assert_eq!(login.status, 303);
    let cookie = login
        .head
        .lines()
        .find_map(|line| line.strip_prefix("set-cookie: "))
        .unwrap();
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"),
        "{cookie}"
    );
    let cookie = format!("Cookie: {}", cookie.split(';').next().unwrap());
    assert_eq!(place.ask("GET", "/", &[&cookie], "").await.status, 200);
    // The cookie alone changes nothing: a browser shows it without being asked.
    let answer = place
        .ask(
            "POST",
            "/api/v1/suspend",
            &[&cookie, JSON],
            "{\"reason\": \"x\"}",
        )
        .await;
    assert_eq!(answer.status, 403);
    // Another token ends all logins.
    place.server.set_token(Some("new".to_owned())).unwrap();
    assert_eq!(
        place.ask("GET", "/metrics", &[&cookie], "").await.status,
        401
    );
}

#[tokio::test]
async fn answers_carry_what_keeps_browsers_careful_and_no_script_stands_in_a_page() {
    let place = place(None, true).await;
    for path in [
        "/",
        "/assets/app.js",
        "/assets/replies.js",
        "/api/v1/status",
        "/nothing",
    ] {
        let head = place.get(path).await.head.to_lowercase();
        for line in [
            "content-security-policy: default-src 'none'",
            "x-content-type-options: nosniff",
            "x-frame-options: deny",
        ] {
            assert!(head.contains(line), "{path}: {line}\n{head}");
        }
        assert!(!head.contains("unsafe-inline"));
    }
    for page in ["/", "/login"] {
        let body = place.get(page).await.body;
        assert!(
            !body.contains("<script>") && !body.contains(" style=") && !body.contains(" onclick="),
            "{page}"
        );
    }
}

#[tokio::test]
async fn what_is_too_large_is_refused() {
    let place = place(None, true).await;
    let csrf = place.csrf().await;
    let body = format!("{{\"reason\": \"{}\"}}", "x".repeat(100_000));
    assert_eq!(
        place
            .ask("POST", "/api/v1/suspend", &[JSON, &csrf], &body)
            .await
            .status,
        413
    );
    let long = format!("{{\"reason\": \"{}\"}}", "x".repeat(600));
    assert_eq!(
        place
            .ask("POST", "/api/v1/suspend", &[JSON, &csrf], &long)
            .await
            .status,
        422
    );
    let headers = format!("X-Long: {}", "x".repeat(64 << 10));
    assert_eq!(place.ask("GET", "/", &[&headers], "").await.status, 431);
    assert!(place.commands.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_crowd_of_clients_asks_the_engine_once() {
    let place = place(None, true).await;
    let asking = (0..40).map(|_| place.get("/api/v1/status"));
    let answers = futures::future::join_all(asking).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert!(
        place.commands.lock().unwrap().len() < 10,
        "{:?}",
        place.commands.lock().unwrap().len()
    );
}

#[tokio::test]
async fn conversations_are_read_and_answered_under_the_same_checks() {
    use crate::model::{RepliesCommand, TalkChange};
    let place = place(None, true).await;
    let csrf = place.csrf().await;
    let by = || "Tom (the page)".to_owned();
    let person = || "id:7".to_owned();
    let change = |change| RepliesCommand::Change {
        person: person(),
        change,
        by: by(),
    };
    for (method, path, body, wanted) in [
        (
            "GET",
            "/api/v1/replies?state=draft",
            "",
            RepliesCommand::List {
                state: Some("draft".into()),
            },
        ),
        (
            "GET",
            "/api/v1/replies",
            "",
            RepliesCommand::List { state: None },
        ),
        (
            "GET",
            "/api/v1/replies/id%3A7",
            "",
            RepliesCommand::Show { person: person() },
        ),
        (
            "POST",
            "/api/v1/drafts/12/approve",
            "{\"by\": \"Tom\"}",
            RepliesCommand::Approve {
                id: 12,
                text: None,
                by: by(),
            },
        ),
        (
            "POST",
            "/api/v1/drafts/12/approve",
            "{\"by\": \"Tom\", \"text\": \"Two\\nlines\"}",
            RepliesCommand::Approve {
                id: 12,
                text: Some("Two\nlines".into()),
                by: by(),
            },
        ),
        (
            "POST",
            "/api/v1/drafts/12/reject",
            "{\"by\": \"Tom\"}",
            RepliesCommand::Reject { id: 12, by: by() },
        ),
        (
            "POST",
            "/api/v1/replies/id%3A7/send",
            "{\"by\": \"Tom\", \"text\": \"Hi\", \"account\": \"sales-1\"}",
            RepliesCommand::Send {
                person: person(),
                text: "Hi".into(),
                account: Some("sales-1".into()),
                by: by(),
            },
        ),
        (
            "POST",
            "/api/v1/replies/id%3A7/take",
            "{\"by\": \"Tom\"}",
            change(TalkChange::Taken),
        ),
        (
            "POST",
            "/api/v1/replies/id%3A7/return",
            "{\"by\": \"Tom\"}",
            change(TalkChange::Returned),
        ),
        (
            "POST",
            "/api/v1/replies/id%3A7/close",
            "{\"by\": \"Tom\"}",
            change(TalkChange::Closed),
        ),
    ] {
        if method == "POST" {
            let foreign = ["Origin: https://evil.example", JSON];
            assert_eq!(place.ask(method, path, &foreign, body).await.status, 403);
        } else {
            let foreign = ["Host: evil.example"];
            assert_eq!(place.ask(method, path, &foreign, body).await.status, 403);
        }
        if method == "POST" {
            assert_eq!(place.ask(method, path, &[JSON], body).await.status, 403);
        }
        assert!(place.commands.lock().unwrap().is_empty(), "{path}");
        let answer = place.ask(method, path, &[JSON, &csrf], body).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        let asked = place.commands.lock().unwrap().pop();
        assert_eq!(asked, Some(Command::Replies { what: wanted }), "{path}");
    }
    for (path, body, status) in [
        ("/api/v1/drafts/x/approve", "{}", 400),
        ("/api/v1/drafts/1/burn", "{}", 404),
        ("/api/v1/replies/id%3A7/burn", "{}", 404),
        ("/api/v1/replies/id%3A7/send", "{\"text\": \"  \"}", 422),
        ("/api/v1/replies/id%3A7/take", "{\"what\": 1}", 422),
    ] {
        let answer = place.ask("POST", path, &[JSON, &csrf], body).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        says_why(&answer);
    }
    assert!(place.commands.lock().unwrap().is_empty());
}

/// That an error is JSON with its sentence.
fn says_why(answer: &Answer) {
    let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert!(!body["error"].as_str().unwrap().is_empty(), "{body}");
}

#[tokio::test]
async fn every_error_of_the_interface_is_json() {
    let place = place(None, true).await;
    for (method, path, status) in [
        ("GET", "/api/v1/events?limit=abc", 400),
        ("GET", "/api/v1/nothing", 404),
        ("DELETE", "/api/v1/status", 405),
    ] {
        let csrf = place.csrf().await;
        let answer = place.ask(method, path, &[JSON, &csrf], "").await;
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        says_why(&answer);
    }
    assert!(place.get("/nothing").await.body.starts_with("there is"));
}

#[tokio::test]
async fn events_of_a_name_that_the_report_does_not_show_are_asked_of_the_engine() {
    let place = place(None, true).await;
    place.get("/api/v1/events?campaign=winter&limit=5").await;
    let asked = place.commands.lock().unwrap().pop();
    assert!(
        matches!(&asked, Some(Command::Events { name: Some(name), limit: 5, .. }) if name == "winter"),
        "{asked:?}"
    );
}

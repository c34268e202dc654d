//! The page in a real browser: headless Chromium, driven over its debugging pipe. Where none is installed, each test
//! says so and ends; `.ci/run` installs one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::talk::{replies, says, talking, until_got, until_state};
use common::{FAST, World, condition, crowd, mailing, message, world};
use serde_json::{Value, json};

/// Within this the page shows what happened, on a busy machine too.
const SOON: Duration = Duration::from_secs(20);

/// One browser with one page. Dropping it ends the browser.
struct Browser {
    process: Child,
    _folder: tempfile::TempDir,
    write: File,
    read: File,
    buffer: Vec<u8>,
    last: u64,
    session: Option<String>,
    /// Errors that the page's console shows, refusals by its policy among them.
    errors: Vec<String>,
    /// What was asked for.
    requests: Vec<String>,
}

fn chromium() -> Option<&'static str> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let found = names.into_iter().find(|name| {
        let asked = Command::new(name).arg("--version").output();
        asked.is_ok_and(|output| output.status.success())
    });
    if found.is_none() {
        println!("no Chromium is installed (Debian: chromium): the page was not tested");
    }
    found
}

impl Browser {
    fn start(program: &str) -> Browser {
        let folder = tempfile::tempdir().unwrap();
        let (to, from) = (folder.path().join("to"), folder.path().join("from"));
        let made = Command::new("mkfifo").arg(&to).arg(&from).status().unwrap();
        assert!(made.success());
        // Chromium reads commands from descriptor 3 and answers on 4, each message ended by a zero byte.
        let process = Command::new("sh")
            .args([
                "-c",
                "exec \"$1\" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
                 --disable-background-networking --disable-component-update --disable-sync --hide-scrollbars \
                 --disable-dev-shm-usage --remote-debugging-pipe --user-data-dir=\"$2\" about:blank 3<\"$3\" 4>\"$4\"",
                "sh",
                program,
            ])
            .arg(folder.path().join("profile"))
            .arg(&to)
            .arg(&from)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let write = File::options().write(true).open(&to).unwrap();
        let read = File::open(&from).unwrap();
        let mut browser = Browser {
            process,
            _folder: folder,
            write,
            read,
            buffer: Vec::new(),
            last: 0,
            session: None,
            errors: Vec::new(),
            requests: Vec::new(),
        };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let attached = browser.call(
            "Target.attachToTarget",
            json!({"targetId": target["targetId"], "flatten": true}),
        );
        browser.session = Some(attached["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    fn receive(&mut self) -> Value {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == 0) {
                let message: Vec<u8> = self.buffer.drain(..=end).collect();
                return serde_json::from_slice(&message[..end]).unwrap();
            }
            let mut chunk = [0; 65536];
            let n = self.read.read(&mut chunk).unwrap();
            assert!(n > 0, "the browser ended");
            self.buffer.extend_from_slice(&chunk[..n]);
        }
    }

    fn call(&mut self, method: &str, params: Value) -> Value {
        self.last += 1;
        let mut message = json!({"id": self.last, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.write
            .write_all(format!("{message}\0").as_bytes())
            .unwrap();
        loop {
            let heard = self.receive();
            if heard["id"] == self.last {
                // The page was left while it was asked: whoever waits asks again.
                let why = heard["error"]["message"].as_str().unwrap_or_default();
                if why.contains("navigated") {
                    return Value::Null;
                }
                assert!(heard["error"].is_null(), "{method}: {}", heard["error"]);
                return heard["result"].clone();
            }
            let params = &heard["params"];
            match heard["method"].as_str() {
                Some("Runtime.exceptionThrown") => {
                    self.errors.push(params["exceptionDetails"].to_string());
                }
                Some("Log.entryAdded") if params["entry"]["level"] == "error" => {
                    self.errors.push(params["entry"].to_string());
                }
                Some("Network.requestWillBeSent") => {
                    let url = params["request"]["url"].as_str().unwrap_or_default();
                    self.requests.push(url.to_owned());
                }
                _ => {}
            }
        }
    }

    fn eval(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.call("Runtime.evaluate", params);
        assert!(
            answer["exceptionDetails"].is_null(),
            "{expression}: {}",
            answer["exceptionDetails"]
        );
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true.
    #[track_caller]
    fn until(&mut self, expression: &str) {
        let end = Instant::now() + SOON;
        // Between two pages there is no body.
        let asked = format!(
            "(() => {{ try {{ return Boolean({expression}); }} catch {{ return false; }} }})()"
        );
        while self.eval(&asked) != json!(true) {
            let text = self.eval("document.body ? document.body.innerText : ''");
            assert!(
                Instant::now() < end,
                "not within {SOON:?}: {expression}\n{}\n{:?}",
                text.as_str().unwrap_or_default(),
                self.errors
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn open(&mut self, url: &str) {
        self.call("Page.navigate", json!({"url": url}));
        self.until("document.readyState === 'complete'");
    }

    /// Shows another part of the page, and waits until it is there.
    fn go(&mut self, hash: &str, heading: &str) {
        self.eval(&format!("location.hash = {}", json!(hash)));
        self.until(&format!(
            "(document.querySelector('main h1') || {{}}).textContent === {}",
            json!(heading)
        ));
    }

    fn screen(&mut self, width: u32, height: u32, dark: bool) {
        self.call(
            "Emulation.setDeviceMetricsOverride",
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}),
        );
        let scheme = if dark { "dark" } else { "light" };
        self.call(
            "Emulation.setEmulatedMedia",
            json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]}),
        );
    }

    fn key(&mut self, key: &str) {
        let (code, text) = match key {
            "Enter" => (13, "\r"),
            "Escape" => (27, ""),
            "Tab" => (9, ""),
            _ => panic!("{key}"),
        };
        for kind in ["keyDown", "keyUp"] {
            let mut params =
                json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code});
            if kind == "keyDown" && !text.is_empty() {
                params["text"] = json!(text);
            }
            self.call("Input.dispatchKeyEvent", params);
        }
    }

    fn typed(&mut self, text: &str) {
        self.call("Input.insertText", json!({"text": text}));
    }

    /// Moves the focus with the Tab key until it is on a button of this text.
    #[track_caller]
    fn tab_to(&mut self, text: &str) {
        for _ in 0..60 {
            self.key("Tab");
            let on = self.eval("document.activeElement ? document.activeElement.textContent : ''");
            if on == json!(text) {
                return;
            }
        }
        panic!("the Tab key never reaches {text:?}");
    }

    fn text(&mut self) -> String {
        let text = self.eval("document.body.innerText");
        text.as_str().unwrap_or_default().to_owned()
    }

    /// A picture of the page, for whoever asks for it with `TIDINGS_SCREENSHOTS=FOLDER`.
    fn picture(&mut self, name: &str) {
        let Some(folder) = std::env::var_os("TIDINGS_SCREENSHOTS") else {
            return;
        };
        let size = self.call("Page.getLayoutMetrics", json!({}))["cssContentSize"].clone();
        let clip =
            json!({"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1});
        let answer = self.call(
            "Page.captureScreenshot",
            json!({"format": "png", "captureBeyondViewport": true, "clip": clip}),
        );
        let bytes = decoded(answer["data"].as_str().unwrap());
        std::fs::write(Path::new(&folder).join(format!("{name}.png")), bytes).unwrap();
    }

    /// That the page complained of nothing and asked nobody else.
    #[track_caller]
    fn is_clean(&self, base: &str) {
        assert!(self.errors.is_empty(), "{:#?}", self.errors);
        for url in &self.requests {
            assert!(url.starts_with(base) || url == "about:blank", "{url}");
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The bytes of base64 (RFC 4648).
fn decoded(text: &str) -> Vec<u8> {
    let value = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let digits: Vec<u32> = text
        .bytes()
        .filter(|c| *c != b'=')
        .map(|c| u32::from(value(c)))
        .collect();
    let mut bytes = Vec::new();
    for four in digits.chunks(4) {
        let bits = four.iter().fold(0, |bits, digit| bits << 6 | digit) << (6 * (4 - four.len()));
        bytes.extend_from_slice(&bits.to_be_bytes()[1..four.len()]);
    }
    bytes
}

fn free_port() -> u16 {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap().port()
}

/// A daemon with a page at a port of its own, and one campaign that waits for its canary.
async fn place(web: &str) -> (World, String) {
    let world = world(&crowd(8)).await;
    let port = free_port();
    world.write(
        "tidings.yaml",
        format!("{FAST}web: {{listen: '127.0.0.1:{port}'{web}}}\n"),
    );
    world.write(
        "campaigns/spring.yaml",
        mailing(
            "spring",
            "sales-1",
            &format!("canary: 3\ntitle: {}\n", json!(TITLE)),
        ),
    );
    (world, format!("http://127.0.0.1:{port}/"))
}

/// A title that would do harm if it were taken for markup, in several scripts.
const TITLE: &str =
    "Весна 春 🌷 <img src=x onerror=\"window.pwned=1\"><script>window.pwned=1</script>";

/// Drives a browser beside the daemon.
async fn drive<T: Send + 'static>(
    program: &'static str,
    drive: impl FnOnce(Browser) -> T + Send + 'static,
) -> T {
    tokio::task::spawn_blocking(move || drive(Browser::start(program)))
        .await
        .unwrap()
}

async fn canary_sent(world: &World) {
    world
        .until_campaign("spring", "the canary was sent", |it| {
            it["progress"]["sent"] == 3
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_is_watched_suspended_resumed_and_approved_by_keyboard() {
    let Some(program) = chromium() else { return };
    let (world, base) = place("").await;
    let daemon = world.daemon();
    canary_sent(&world).await;
    let url = base.clone();
    let browser = drive(program, move |mut browser| {
        browser.screen(1280, 900, false);
        browser.open(&url);
        browser.until("document.body.dataset.ready");
        browser.until("document.querySelector('.needs').textContent.includes('Canary')");
        assert!(
            browser.text().contains("Весна 春 🌷 <img src=x"),
            "{}",
            browser.text()
        );
        browser.picture("overview");
        browser.go("#/campaign/spring", TITLE);
        assert_eq!(browser.eval("window.pwned === undefined"), json!(true));
        assert_eq!(
            browser.eval("document.querySelectorAll('[aria-label=Conditions] tbody tr').length"),
            json!(6)
        );
        browser.until("document.querySelector('.events').textContent.includes('id:10')");
        let text = browser.text();
        for words in [
            "3 of 8 (37 %)",
            "From found to replied",
            "Messages per hour",
            "Variants",
            "Waiting",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        // Who waits is told by why; who wrote back is a part of those who were sent to.
        assert_eq!(
            browser.eval(FUNNEL),
            json!([
                "Found 9",
                "- excluded: own_account 1",
                "In the audience 8",
                "Pending 5",
                "- waits: Canary 5",
                "Sent 3",
                "- wrote back 0"
            ])
        );
        browser.picture("campaign");
        // Escape leaves everything as it was.
        browser.tab_to("Suspend…");
        browser.key("Enter");
        browser.until("document.querySelector('#ask').open");
        browser.key("Escape");
        browser.until("!document.querySelector('#ask').open");
        browser.eval("document.activeElement.blur(); document.querySelector('main').focus()");
        browser.tab_to("Suspend…");
        browser.key("Enter");
        browser.until("document.activeElement.id === 'f-reason'");
        // What is typed stays while the report goes on in the background.
        browser.typed("опечатка");
        std::thread::sleep(Duration::from_millis(1500));
        assert_eq!(
            browser.eval("document.activeElement.value"),
            json!("опечатка")
        );
        browser.picture("suspend");
        browser.key("Enter");
        browser.until("document.querySelector('main .tag').textContent === 'Suspended'");
        browser
    })
    .await;
    let held = world.campaign("spring").await;
    assert_eq!(condition(&held, "Paused"), "True Suspended");
    assert!(message(&held, "Paused").contains("опечатка"), "{held:#}");
    let browser = tokio::task::spawn_blocking(move || {
        let mut browser = browser;
        browser.tab_to("Resume…");
        browser.key("Enter");
        browser.until("document.querySelector('#ask').open");
        browser.key("Enter");
        browser.until("document.querySelector('main .tag').textContent === 'Canary'");
        browser.eval("document.querySelector('main [data-act=approve]').click()");
        browser.until("document.querySelector('#ask').open");
        let asked = browser.eval("document.querySelector('#ask').textContent");
        let asked = asked.as_str().unwrap();
        assert!(asked.contains("Approve spring for 8 people?"), "{asked}");
        assert!(asked.contains("Hi {{ contact.first_name }}!"), "{asked}");
        browser.picture("approve");
        browser.eval("document.querySelector('#ask [type=submit]').click()");
        // Shown by itself, without loading anew.
        browser.until("document.body.innerText.includes('8 of 8 (100 %)')");
        browser.picture("done");
        browser
    })
    .await
    .unwrap();
    browser.is_clean(&base);
    drop(browser);
    daemon.stop().await.unwrap();
}

/// The rows of the funnel; those that are parts of the one above with a dash.
const FUNNEL: &str = "[...document.querySelectorAll('.funnel li')].map((li) => \
    `${li.children[0].className === 'sub' ? '- ' : ''}${li.children[0].textContent} ${li.children[2].textContent}`)";

/// Each text's contrast with what lies behind it (WCAG 2.1, 1.4.3), where it is under 4.5.
const FAINT: &str = r"(() => {
  const parse = (c) => { const m = c.match(/[\d.]+/g).map(Number); return m.length < 4 ? [...m, 1] : m; };
  const light = ([r, g, b]) => { const f = (v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }; return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
  const ground = (el) => { for (; el; el = el.parentElement) { const c = parse(getComputedStyle(el).backgroundColor); if (c[3] > 0) return c; } return [255, 255, 255, 1]; };
  const faint = [];
  for (const el of document.querySelectorAll('header *, main *')) {
    const own = [...el.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || !el.getClientRects().length) continue;
    const a = light(parse(getComputedStyle(el).color)), b = light(ground(el));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) faint.push(`${el.textContent.slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return faint;
})()";

#[tokio::test(flavor = "multi_thread")]
async fn every_page_fits_a_phone_and_is_read_in_the_dark() {
    let Some(program) = chromium() else { return };
    let (world, base) = place("").await;
    world.write(
        "campaigns/a-very-long-campaign-name-that-goes-on-and-on-for-sixty-three-ch.yaml",
        mailing(
            "a-very-long-campaign-name-that-goes-on-and-on-for-sixty-three-ch",
            "sales-1",
            &format!("paused: true\ntitle: {}\n", "x".repeat(120)),
        ),
    );
    world.write(
        "campaigns/broken.yaml",
        "version: 1\nname: broken\nknid: mailing\n",
    );
    let daemon = world.daemon();
    canary_sent(&world).await;
    let url = base.clone();
    let browser = drive(program, move |mut browser| {
        browser.open(&url);
        browser.until("document.body.dataset.ready");
        for (width, dark) in [(360, false), (360, true), (1280, false), (1280, true)] {
            browser.screen(width, 800, dark);
            for (hash, heading) in [
                ("#/", "Overview"),
                ("#/campaign/spring", TITLE),
                ("#/campaign/broken", "broken"),
                ("#/account/sales-1", "sales-1"),
            ] {
                browser.go(hash, heading);
                let wide = browser.eval("document.documentElement.scrollWidth");
                assert_eq!(wide, json!(width), "{hash} at {width}");
                assert_eq!(browser.eval(FAINT), json!([]), "{hash}, dark: {dark}");
                let small = browser.eval(
                    "[...document.querySelectorAll('main button:not(.link)')].filter((b) => b.getBoundingClientRect().height < 34).length",
                );
                assert_eq!(small, json!(0), "buttons are large enough for a thumb");
                let name = heading.split(' ').next().unwrap();
                browser.picture(&format!("{width}-{}-{name}", if dark { "dark" } else { "light" }));
            }
        }
        browser
    })
    .await;
    browser.is_clean(&base);
    drop(browser);
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_asked_for_and_a_login_opens_the_page() {
    let Some(program) = chromium() else { return };
    let (world, base) = place(", token: 'correct horse battery'").await;
    let daemon = world.daemon();
    canary_sent(&world).await;
    let url = base.clone();
    let browser = drive(program, move |mut browser| {
        browser.open(&url);
        browser.until("location.pathname === '/login'");
        for (token, then) in [
            ("wrong", "document.querySelector('[role=alert]')"),
            ("correct horse battery", "document.body.dataset.ready"),
        ] {
            browser.until("document.activeElement.id === 'token'");
            browser.typed(token);
            browser.picture(&format!("login-{}", token.len()));
            browser.key("Enter");
            browser.until(then);
        }
        // What the page changes passes the check of the cookie's own value.
        browser.go("#/campaign/spring", TITLE);
        browser.eval("document.querySelector('[data-act=suspend]').click()");
        browser.until("document.activeElement.id === 'f-reason'");
        browser.typed("a test");
        browser.key("Enter");
        browser.until("document.querySelector('main .tag').textContent === 'Suspended'");
        browser.tab_to("Log out");
        browser.key("Enter");
        browser.until("location.pathname === '/login'");
        browser.open(&url);
        browser.until("location.pathname === '/login'");
        browser.until("document.activeElement.id === 'token'");
        browser.typed("correct horse battery");
        browser.key("Enter");
        browser.until("document.querySelector('#daemon').className.includes('live')");
        browser
    })
    .await;
    daemon.stop().await.unwrap();
    // A page that is open learns that its login holds no more.
    let config = std::fs::read_to_string(world.path().join("tidings.yaml")).unwrap();
    world.write("tidings.yaml", config.replace("battery", "staple"));
    let daemon = world.daemon();
    let browser = tokio::task::spawn_blocking(move || {
        let mut browser = browser;
        browser.until("location.pathname === '/login'");
        browser
    })
    .await
    .unwrap();
    drop(browser);
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_gone_is_said_and_found_again() {
    let Some(program) = chromium() else { return };
    let (world, base) = place("").await;
    let daemon = world.daemon();
    canary_sent(&world).await;
    let url = base.clone();
    let browser = drive(program, move |mut browser| {
        browser.open(&url);
        browser.until("document.querySelector('#daemon').className.includes('live')");
        browser
    })
    .await;
    daemon.stop().await.unwrap();
    let browser = tokio::task::spawn_blocking(move || {
        let mut browser = browser;
        browser.until("!document.querySelector('#banner').hidden");
        assert!(
            browser.text().contains("No connection to Tidings since"),
            "{}",
            browser.text()
        );
        browser.picture("gone");
        browser
    })
    .await
    .unwrap();
    let daemon = world.daemon();
    let browser = tokio::task::spawn_blocking(move || {
        let mut browser = browser;
        browser.until("document.querySelector('#daemon').className.includes('live') && document.querySelector('#banner').hidden");
        // The new process has another secret, and the page has learned it.
        browser.eval("location.hash = '#/campaign/spring'");
        browser.until("document.querySelector('[data-act=suspend]')");
        browser.eval("document.querySelector('[data-act=suspend]').click()");
        browser.until("document.activeElement.id === 'f-reason'");
        browser.typed("a test");
        browser.key("Enter");
        browser.until("document.querySelector('main .tag').textContent === 'Suspended'");
        browser
    })
    .await
    .unwrap();
    drop(browser);
    daemon.stop().await.unwrap();
}

/// What a person wrote, and what the model answered, would do harm if they were taken for markup.
const SAID: &str = "Скидка? <img src=x onerror=\"window.pwned=1\"> \u{202e}evil";
const DRAFTED: &str = "Ten euros.\n<script>window.pwned=1</script> & more";

#[tokio::test(flavor = "multi_thread")]
async fn replies_are_read_drafts_decided_and_people_answered_by_keyboard() {
    let Some(program) = chromium() else { return };
    let port = free_port();
    let yaml = crowd(4).replace("first_name: P101", "first_name: '<b>Анна</b>'");
    let world = talking(
        &yaml,
        replies(&[DRAFTED]),
        &format!("web: {{listen: '127.0.0.1:{port}'}}\n"),
    )
    .await;
    world.write(
        "campaigns/hello.yaml",
        mailing(
            "hello",
            "sales-1",
            "ai_role: {prompt: You are Mia., delay: 0s, mode: draft, handoff: [human]}\n",
        ),
    );
    let base = format!("http://127.0.0.1:{port}/");
    let daemon = world.daemon();
    until_got(&world, 104, 1).await;
    says(&world, 101, SAID);
    until_state(&world, "draft").await;
    says(&world, 104, "A human, please");
    until_state(&world, "needs_human").await;
    let report = world.status().await;
    assert_eq!(
        report["conversations"],
        json!({"drafts": 1, "needs_human": 1}),
        "{report:#}"
    );
    assert_eq!(
        report["campaigns"][0]["conversations"], report["conversations"],
        "all of them are this campaign's"
    );
    let url = base.clone();
    let browser = drive(program, move |mut browser| {
        browser.screen(1280, 900, false);
        browser.open(&url);
        browser.until("document.querySelector('nav').textContent.includes('Replies (2)')");
        browser.until("document.querySelector('main').textContent.includes('1 person needs a human, 1 drafted answer waits')");
        browser.tab_to("Replies (2)");
        browser.key("Enter");
        browser.until("document.querySelectorAll('.waiting > li').length === 2");
        let text = browser.text();
        for words in ["<b>Анна</b> (@person101)", "<img src=x onerror", "<script>window.pwned=1</script> & more", "A human, please"] {
            assert!(text.contains(words), "{words}: {text}");
        }
        assert!(!text.contains('\u{202e}'), "nothing turns the line round");
        assert_eq!(browser.eval("window.pwned === undefined"), json!(true));
        browser.picture("replies");
        // The draft, changed.
        browser.tab_to("Edit…");
        browser.key("Enter");
        browser.until("document.activeElement.id === 'f-text'");
        assert_eq!(
            browser.eval("document.activeElement.value"),
            json!(format!("I am an automated assistant.\n\n{DRAFTED}"))
        );
        browser.eval("document.activeElement.select()");
        browser.typed("Ten euros each.");
        browser.picture("edit");
        browser.tab_to("Approve and send");
        browser.key("Enter");
        browser.until("document.querySelectorAll('.waiting > li').length === 1");
        browser
    })
    .await;
    assert_eq!(until_got(&world, 101, 2).await[1], "Ten euros each.");
    let browser = tokio::task::spawn_blocking(move || {
        let mut browser = browser;
        // The one who needs a human.
        browser.tab_to("Write…");
        browser.key("Enter");
        browser.until("document.activeElement.id === 'f-text'");
        browser.typed("Tom here, what can I do?");
        browser.tab_to("Send");
        browser.key("Enter");
        browser.until("document.querySelectorAll('.waiting > li').length === 0");
        browser.go("#/replies/id%3A104", "P104");
        browser.until("document.querySelector('.lines') && document.querySelector('.lines').textContent.includes('Tom here')");
        browser.until("document.querySelector('.talk-state .tag').textContent === 'a human goes on'");
        browser.picture("conversation");
        browser.tab_to("Return to the AI");
        browser.key("Enter");
        browser.until("document.querySelector('.talk-state .tag').textContent === 'quiet'");
        browser
    })
    .await
    .unwrap();
    assert_eq!(
        until_got(&world, 104, 2).await[1],
        "Tom here, what can I do?"
    );
    // Two more drafts: one goes out as it is, the other is thrown away; and it all fits a phone, in the dark too.
    says(&world, 102, "Hello");
    says(&world, 103, "Hello");
    let browser = tokio::task::spawn_blocking(move || {
        let mut browser = browser;
        browser.go("#/replies", "Replies");
        browser.until("document.querySelectorAll('.waiting > li').length === 2");
        for (width, dark) in [(360, false), (360, true), (1280, true)] {
            browser.screen(width, 800, dark);
            for (hash, heading) in [("#/replies", "Replies"), ("#/replies/id%3A101", "<b>Анна</b>")] {
                browser.go(hash, heading);
                browser.until("document.querySelector('.waiting, .lines')");
                let wide = browser.eval("document.documentElement.scrollWidth");
                assert_eq!(wide, json!(width), "{hash} at {width}");
                assert_eq!(browser.eval(FAINT), json!([]), "{hash}, dark: {dark}");
                let small = browser.eval(
                    "[...document.querySelectorAll('main button:not(.link)')].filter((b) => b.getBoundingClientRect().height < 34).length",
                );
                assert_eq!(small, json!(0), "buttons are large enough for a thumb");
                browser.picture(&format!("replies-{width}-{}-{}", if dark { "dark" } else { "light" }, hash.len()));
            }
        }
        browser.go("#/replies", "Replies");
        browser.until("document.querySelectorAll('.waiting > li').length === 2");
        browser.eval("document.querySelector('[data-act=draft-approve]').click()");
        browser.until("document.querySelectorAll('[data-act=draft-approve]').length === 1");
        browser.eval("document.querySelector('[data-act=draft-reject]').click()");
        browser.until("document.querySelectorAll('[data-act=draft-approve]').length === 0");
        browser.until("document.querySelector('.waiting').textContent.includes('needs a human')");
        browser.eval("document.querySelector('[data-act=talk-close]').click()");
        browser.until("document.querySelectorAll('.waiting > li').length === 0");
        browser
    })
    .await
    .unwrap();
    world
        .until("one of the two was answered", |world| {
            world.texts_to(102).len() + world.texts_to(103).len() == 3
        })
        .await;
    browser.is_clean(&base);
    drop(browser);
    daemon.stop().await.unwrap();
}

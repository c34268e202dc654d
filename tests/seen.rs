//! What people and programs see of the binary: JSON of every list, terminals of any width, the live view on a real
//! terminal (`script` of util-linux makes one), logs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod child;
mod common;

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use child::{Place, Running, ends_with, out, tidings};
use common::{FAST, crowd, mailing};
use rustix::process::Signal;

/// Within this everything here happens, on a busy machine too.
const SOON: Duration = Duration::from_secs(60);

/// A workspace whose canary was sent, with a title in three scripts and a spec that is invalid; and its daemon.
async fn place() -> (Place, Running) {
    let place = Place::new(&crowd(12), FAST).await;
    place.write(
        "campaigns/spring.yaml",
        mailing(
            "spring",
            "sales-1",
            "title: Весенний релиз 春のニュース 👩‍🚀\ncanary: 2\nschedule: {timezone: Europe/Berlin}\n",
        ),
    );
    place.write(
        "campaigns/broken.yaml",
        mailing("broken", "sales-1", "tempaltes: []\n"),
    );
    let daemon = place.daemon();
    place
        .until(SOON, "the canary was sent", |place| {
            place.delivered().len() == 2
                && place.campaign("spring")["progress"]["sent"].as_u64() == Some(2)
        })
        .await;
    (place, daemon)
}

/// Runs a line of a shell on a terminal of this size; what it showed. `None` where no terminal can be had.
fn on_a_terminal(place: &Place, columns: usize, line: &str) -> Option<Terminal> {
    let shell = format!("stty cols {columns} rows 30; {line}");
    let bin = std::path::Path::new(env!("CARGO_BIN_EXE_tidings"));
    let path = format!(
        "{}:{}",
        bin.parent().unwrap().display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let child = Command::new("script")
        .args(["-qefc", &shell, "/dev/null"])
        .current_dir(&place.root)
        .env("PATH", path)
        .env("TERM", "xterm-256color")
        .env("SHELL", "/bin/sh")
        .env_remove("NO_COLOR")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else {
        eprintln!("`script` (Debian: bsdutils) is not there: nothing was shown on a terminal");
        return None;
    };
    let mut shown = child.stdout.take().unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = shown.read(&mut buffer) {
            if tell.send(buffer[..n].to_vec()).is_err() {
                return;
            }
        }
    });
    Some(Terminal {
        child,
        told,
        seen: Vec::new(),
    })
}

struct Terminal {
    child: std::process::Child,
    told: std::sync::mpsc::Receiver<Vec<u8>>,
    seen: Vec<u8>,
}

impl Terminal {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.seen).into_owned()
    }

    /// Until this was shown.
    fn until(&mut self, what: &str) {
        let until = Instant::now() + SOON;
        while !self.text().contains(what) {
            let left = until.saturating_duration_since(Instant::now());
            match self.told.recv_timeout(left) {
                Ok(bytes) => self.seen.extend(bytes),
                Err(error) => panic!("no {what:?}: {error}\n{}", self.text()),
            }
        }
    }

    fn press(&mut self, keys: &[u8]) {
        self.child.stdin.as_mut().unwrap().write_all(keys).unwrap();
    }

    /// All that it showed to its end, and how it ended.
    fn end(mut self) -> (String, i32) {
        let until = Instant::now() + SOON;
        while let Ok(bytes) = self
            .told
            .recv_timeout(until.saturating_duration_since(Instant::now()))
        {
            self.seen.extend(bytes);
        }
        let code = self.child.wait().unwrap().code().unwrap_or(-1);
        (self.text(), code)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_list_is_had_as_json_with_its_version_beside_the_daemon_and_without() {
    let (place, daemon) = place().await;
    let lists = || {
        for (args, list) in [
            (&["status"][..], "campaigns"),
            (&["status"], "accounts"),
            (&["plan"], "campaigns"),
            (&["events"], "events"),
            (&["audit"], "entries"),
            (&["account", "list"], "accounts"),
            (&["audience", "list"], "audiences"),
            (&["optout", "list"], "optouts"),
            (&["replies", "list"], "replies"),
            (&["report"], "rows"),
            (&["explain", "spring", "id:101"], "history"),
        ] {
            let args = [args, &["-o", "json"]].concat();
            let done = place.run(&args);
            ends_with(&done, 0);
            let body: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
            assert_eq!(body["format_version"], "1.0", "{args:?}");
            assert!(body[list].is_array(), "{args:?} has no {list}: {body:#}");
        }
        // One object a line, for programs that read as it comes.
        for (verb, key) in [("events", "message"), ("audit", "message")] {
            let done = place.run(&[verb, "-o", "jsonl"]);
            ends_with(&done, 0);
            let text = out(&done);
            assert!(text.lines().count() > 1, "{text}");
            for line in text.lines() {
                let row: serde_json::Value = serde_json::from_str(line).unwrap();
                assert!(row[key].is_string() && row["seq"].is_u64(), "{line}");
            }
        }
    };
    lists();
    daemon.kill();
    lists();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_line_is_wider_than_the_terminal_and_no_word_is_broken() {
    let (place, _daemon) = place().await;
    for columns in [100, 80, 44] {
        for line in [
            "tidings status",
            "tidings status spring",
            "tidings plan",
            "tidings events",
            "tidings audit",
            "tidings report",
            "tidings explain spring id:101",
            "tidings validate",
        ] {
            let Some(terminal) = on_a_terminal(&place, columns, line) else {
                return;
            };
            let (text, _) = terminal.end();
            let mut said = 0;
            for shown in text.lines() {
                let shown = plain(shown);
                let width = unicode_width::UnicodeWidthStr::width(shown.as_str());
                assert!(width <= columns, "{line}: {width} columns: {shown}\n{text}");
                said += usize::from(!shown.is_empty());
            }
            assert!(said > 0, "{line} says nothing");
            let words: String = text.lines().map(plain).collect::<Vec<_>>().join(" ");
            if line == "tidings status" {
                for word in ["campaigns/broken.yaml:", "approve", "SpecInvalid", "spring"] {
                    assert!(words.contains(word), "{columns}: no {word} in\n{text}");
                }
            }
        }
    }
}

/// Without what steers a terminal.
fn plain(line: &str) -> String {
    let mut out = String::new();
    let mut chars = line.trim_end_matches('\r').chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            for c in chars.by_ref() {
                if c.is_ascii_alphabetic() {
                    break;
                }
            }
        } else {
            out.push(c);
        }
    }
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn colours_are_for_terminals_that_want_them() {
    let (place, _daemon) = place().await;
    for args in [
        &["status"][..],
        &["status", "spring"],
        &["plan"],
        &["validate"],
    ] {
        let piped = place.run(args);
        assert!(!out(&piped).contains('\u{1b}'), "{args:?}: {}", out(&piped));
    }
    for (line, coloured) in [
        ("tidings status", true),
        ("NO_COLOR=1 tidings status", false),
        ("TERM=dumb tidings status", false),
    ] {
        let Some(terminal) = on_a_terminal(&place, 100, line) else {
            return;
        };
        let (text, code) = terminal.end();
        assert_eq!(code, 0, "{text}");
        assert_eq!(text.contains("\u{1b}["), coloured, "{line}: {text:?}");
    }
}

/// The live view draws on a screen of its own (xterm's 1049), which is left again however it ends.
#[tokio::test(flavor = "multi_thread")]
async fn the_live_view_leaves_the_terminal_as_it_was_however_it_ends() {
    const ENTERED: &str = "\u{1b}[?1049h";
    const LEFT: &str = "\u{1b}[?1049l";
    let (place, _daemon) = place().await;
    // How the terminal is set is told before and after: raw mode must not stay.
    let line = "stty -g; tidings status --watch; echo ended $?; stty -g";
    for (what, keys) in [
        ("q", Some(&b"q"[..])),
        ("Ctrl-C", Some(b"\x03")),
        ("a filter, a story, and q", Some(b"/spr\r\rj\x1b[6~q")),
        ("SIGTERM", None),
    ] {
        let Some(mut terminal) = on_a_terminal(&place, 100, line) else {
            return;
        };
        terminal.until(ENTERED);
        terminal.until("spring");
        match keys {
            Some(keys) => terminal.press(keys),
            None => terminate(terminal.child.id()),
        }
        terminal.until(LEFT);
        let (text, code) = terminal.end();
        assert_eq!(code, 0, "{what}: {text}");
        assert!(text.contains("ended 0"), "{what}: {text}");
        let modes: Vec<&str> = text
            .lines()
            .map(|line| line.trim_end_matches('\r'))
            .filter(|line| {
                line.contains(':') && line.chars().all(|c| c == ':' || c.is_ascii_hexdigit())
            })
            .collect();
        assert_eq!(modes.len(), 2, "{what}: {text:?}");
        assert_eq!(modes[0], modes[1], "{what}: the terminal is set otherwise");
    }
}

/// Whether a process still runs; one that only nobody has waited for does not.
fn runs(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap().starts_with(" Z"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_live_view_ends_where_its_terminal_is_gone() {
    let (place, _daemon) = place().await;
    // In the terminal's session the kernel tells it by SIGHUP; outside it nobody does, and it looks for itself.
    for session in ["", "setsid -w "] {
        let line = format!("{session}sh -c 'echo pid:$$:; exec tidings status --watch'");
        let Some(mut terminal) = on_a_terminal(&place, 100, &line) else {
            return;
        };
        terminal.until("spring");
        let text = terminal.text();
        let pid = text.split(':').nth(1).unwrap().to_owned();
        assert!(runs(&pid), "{text}");
        terminal.child.kill().unwrap();
        let until = Instant::now() + SOON;
        while runs(&pid) {
            assert!(Instant::now() < until, "{session:?}: it goes on for nobody");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Sends SIGTERM to the `tidings` below a process.
fn terminate(above: u32) {
    let mut below = vec![above];
    let mut at = 0;
    while let Some(pid) = below.get(at).copied() {
        at += 1;
        let children = format!("/proc/{pid}/task/{pid}/children");
        let Ok(text) = std::fs::read_to_string(&children) else {
            continue;
        };
        for child in text.split_whitespace() {
            let child: u32 = child.parse().unwrap();
            let name = std::fs::read_to_string(format!("/proc/{child}/comm")).unwrap_or_default();
            if name.trim() == "tidings" {
                let pid = rustix::process::Pid::from_raw(i32::try_from(child).unwrap()).unwrap();
                rustix::process::kill_process(pid, Signal::TERM).unwrap();
                return;
            }
            below.push(child);
        }
    }
    panic!("no tidings below {above}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_in_json_has_an_object_a_line() {
    let place = Place::new(&crowd(2), FAST).await;
    place.write(
        "campaigns/spring.yaml",
        mailing("spring", "sales-1", "paused: true\n"),
    );
    let mut command = tidings();
    command
        .arg("-C")
        .arg(&place.root)
        .args(["run", "--log-format", "json"])
        .env("TIDINGS_LOG", "tidings=info");
    let mut daemon = Running::start(command, &place.log());
    place
        .until(SOON, "the daemon answers", |place| {
            place.status()["daemon"]["running"] == true
        })
        .await;
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.wait(SOON).await.code(), Some(0));
    let log = std::fs::read_to_string(place.log()).unwrap();
    assert!(log.lines().count() > 1, "{log}");
    for line in log.lines() {
        let entry: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for key in ["timestamp", "level", "target"] {
            assert!(entry[key].is_string(), "{line}");
        }
    }
}

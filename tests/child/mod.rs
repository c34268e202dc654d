//! The real binary as a child process, beside a loopback Telegram in the test's own.
#![allow(dead_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use tidings::sandbox::{Entry, Sandbox, SandboxOptions, WorldSpec};

/// Environment variables that mean something to Tidings: a test says itself which ones are set.
const VARIABLES: [&str; 15] = [
    "TIDINGS_CONFIG",
    "TIDINGS_STATE_DIR",
    "TIDINGS_SESSIONS_DIR",
    "TIDINGS_LOG",
    "TIDINGS_PASSPHRASE",
    "TIDINGS_PASSPHRASE_FILE",
    "TG_API_ID",
    "TG_API_HASH",
    "OPENAI_API_KEY",
    "TIDINGS_WEBHOOK_SECRET",
    "MAILING_DELAY_MIN",
    "MAILING_DELAY_MAX",
    "MAILING_MAX_PER_ACCOUNT",
    "INVITE_DELAY_SEC",
    "NO_COLOR",
];

/// The confirmation of an opt-out, which is no message of a campaign.
pub const CONFIRMATION: &str = "You will not hear from us again.";

/// `tidings`, with nothing of the test's own environment.
pub fn tidings() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    for name in VARIABLES {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// `tidings -C DIR ARGS…`, to its end.
pub fn run<S: AsRef<OsStr>>(dir: &Path, args: impl IntoIterator<Item = S>) -> Output {
    tidings().arg("-C").arg(dir).args(args).output().unwrap()
}

/// The exit code.
pub fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

/// Standard output as text.
pub fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Standard error as text.
pub fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// That a command ended so; what it said is in the message otherwise.
#[track_caller]
pub fn ends_with(output: &Output, expected: i32) {
    assert_eq!(
        code(output),
        expected,
        "standard output:\n{}\nstandard error:\n{}",
        out(output),
        err(output)
    );
}

/// A running daemon. Dropping it kills it.
pub struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts what the command says, with both outputs in the file `log`.
    pub fn start(mut command: Command, log: &Path) -> Running {
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .unwrap();
        let child = command
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        Running {
            child,
            log: log.to_owned(),
        }
    }

    /// `tidings run` on a workspace.
    pub fn daemon(dir: &Path, log: &Path) -> Running {
        let mut command = tidings();
        command
            .arg("-C")
            .arg(dir)
            .arg("run")
            .env("TIDINGS_LOG", "tidings=info");
        Running::start(command, log)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, and until it is gone.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Whether it has ended by itself, and how.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits for its end.
    pub async fn wait(&mut self, most: Duration) -> ExitStatus {
        let until = Instant::now() + most;
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(
                Instant::now() < until,
                "it runs still after {most:?}:\n{}",
                self.said()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// What it and those before it with the same file said.
    pub fn said(&self) -> String {
        said(&self.log)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The last lines of a log.
pub fn said(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}

/// A loopback Telegram and an empty workspace with its session files.
pub struct Place {
    pub sandbox: Sandbox,
    pub dir: tempfile::TempDir,
    /// The workspace.
    pub root: PathBuf,
}

impl Place {
    pub async fn new(world: &str, config: &str) -> Place {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("workspace");
        Place::at(world, config, dir, root).await
    }

    pub async fn at(world: &str, config: &str, dir: tempfile::TempDir, root: PathBuf) -> Place {
        let world = WorldSpec::from_yaml(world).unwrap();
        let options = SandboxOptions {
            world,
            ai_port: None,
            ..SandboxOptions::default()
        };
        let sandbox = Sandbox::start(options).await.unwrap();
        std::fs::create_dir_all(root.join("campaigns")).unwrap();
        sandbox
            .write_sessions(&root.join("sessions"))
            .await
            .unwrap();
        let place = Place { sandbox, dir, root };
        if std::env::var_os("TIDINGS_KEEP").is_some() {
            // For whoever looks for a bug: the workspace and the daemon's log stay.
            println!("kept: {}", place.dir.path().display());
        }
        place.write("tidings.yaml", config);
        place
    }

    /// Writes a file by a rename, as editors do, so that no daemon reads half of it.
    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let beside = path.with_file_name(format!(
            ".{}.new",
            path.file_name().unwrap().to_str().unwrap()
        ));
        std::fs::write(&beside, text).unwrap();
        std::fs::rename(&beside, &path).unwrap();
    }

    pub fn log(&self) -> PathBuf {
        self.dir.path().join("daemon.log")
    }

    pub fn daemon(&self) -> Running {
        Running::daemon(&self.root, &self.log())
    }

    pub fn run(&self, args: &[&str]) -> Output {
        run(&self.root, args)
    }

    /// `tidings status -o json`, which must parse; the reports of all campaigns must add up.
    #[track_caller]
    pub fn status(&self) -> serde_json::Value {
        let output = self.run(&["status", "-o", "json"]);
        ends_with(&output, 0);
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["format_version"], "1.0");
        for campaign in report["campaigns"].as_array().unwrap() {
            super::common::adds_up(campaign);
        }
        report
    }

    /// One campaign of the report.
    #[track_caller]
    pub fn campaign(&self, name: &str) -> serde_json::Value {
        let report = self.status();
        let campaigns = report["campaigns"].as_array().unwrap();
        campaigns
            .iter()
            .find(|c| c["name"] == name)
            .unwrap_or_else(|| panic!("no {name}: {report:#}"))
            .clone()
    }

    /// One account of the report.
    #[track_caller]
    pub fn account(&self, name: &str) -> serde_json::Value {
        let report = self.status();
        let accounts = report["accounts"].as_array().unwrap();
        accounts
            .iter()
            .find(|a| a["name"] == name)
            .unwrap_or_else(|| panic!("no {name}: {report:#}"))
            .clone()
    }

    /// Messages that took effect for the first time, as the server saw them.
    pub fn delivered(&self) -> Vec<Entry> {
        self.sandbox.ledger().sent()
    }

    /// Until the ledger says so.
    pub async fn until(&self, most: Duration, what: &str, mut holds: impl FnMut(&Place) -> bool) {
        let until = Instant::now() + most;
        while !holds(self) {
            assert!(
                Instant::now() < until,
                "not within {most:?}: {what}\n{}",
                said(&self.log())
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// What the server's ledger says of campaigns whose every text begins with `NAME:`.
#[derive(Debug, Default)]
pub struct Tally {
    /// Messages that took effect.
    pub messages: usize,
    /// Sends that the server recognised as repeats: what would have been duplicates.
    pub repeats: usize,
    /// People who got two messages of one campaign.
    pub twice: Vec<String>,
    /// People who got a campaign's message after they had opted out.
    pub after_stop: Vec<String>,
    /// Who got which campaign.
    pub got: BTreeMap<String, BTreeSet<i64>>,
}

impl Tally {
    pub fn of(sandbox: &Sandbox) -> Tally {
        let mut tally = Tally::default();
        let mut stopped = BTreeMap::new();
        for entry in sandbox.ledger().entries() {
            let peer = entry.peer.clone().unwrap_or_default();
            if entry.kind == "person" && entry.text.as_deref() == Some("stop") {
                stopped.entry(peer).or_insert(entry.seq);
                continue;
            }
            if entry.method != "messages.sendMessage" {
                continue;
            }
            if entry.first == Some(false) || entry.error.as_deref() == Some("RANDOM_ID_DUPLICATE") {
                tally.repeats += 1;
            }
            let text = entry.text.clone().unwrap_or_default();
            if !entry.effect || entry.first != Some(true) || text == CONFIRMATION {
                continue;
            }
            tally.messages += 1;
            let id: i64 = peer.strip_prefix("user:").unwrap().parse().unwrap();
            let (name, _) = text
                .split_once(':')
                .unwrap_or_else(|| panic!("whose message is this? {entry:?}"));
            if let Some(at) = stopped.get(&peer) {
                tally.after_stop.push(format!(
                    "{peer} by {name}: entry {}, after his stop of {at}",
                    entry.seq
                ));
            }
            if !tally.got.entry(name.to_owned()).or_default().insert(id) {
                tally
                    .twice
                    .push(format!("{peer} by {name}: entry {}", entry.seq));
            }
        }
        tally
    }

    /// Nobody twice, nobody after he opted out.
    #[track_caller]
    pub fn is_clean(&self, log: &Path) {
        assert!(
            self.twice.is_empty(),
            "got two messages: {:?}\n{}",
            self.twice,
            said(log)
        );
        assert!(
            self.after_stop.is_empty(),
            "written to after an opt-out: {:?}\n{}",
            self.after_stop,
            said(log)
        );
    }

    /// Who got a campaign.
    pub fn who(&self, name: &str) -> BTreeSet<i64> {
        self.got.get(name).cloned().unwrap_or_default()
    }
}

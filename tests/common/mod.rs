//! What the socket tests share: a loopback Telegram, a workspace, and an engine between them.
#![allow(dead_code)]

pub mod talk;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tidings::control::{ExitKind, RunError, RunOptions, Workspace, WorkspaceOptions, run_with};
use tidings::sandbox::{Entry, Sandbox, SandboxOptions, WorldSpec};
use tidings::telegram::{AccountClient, AccountConfig, CallError, GrammersTelegram, Telegram};

/// No delays and no approvals, so that a test takes milliseconds; the test's own keys come after.
pub const FAST: &str = "version: 1\ntelegram: {api_id: 12345, api_hash: loopback}\nlimits: {min_delay: 0s, max_per_day: 100000, approve_over: null}\n";

/// As `FAST`, on several lines, so that a test can add a limit.
pub const LIMITS: &str = "version: 1
telegram: {api_id: 12345, api_hash: loopback}
limits:
  min_delay: 0s
  max_per_day: 10000
";

/// What happens at all happens within this, however busy the machine is.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct World {
    pub sandbox: Sandbox,
    pub dir: tempfile::TempDir,
}

/// A loopback Telegram with this world, and an empty workspace with its session files.
pub async fn world(yaml: &str) -> World {
    world_with(SandboxOptions {
        world: WorldSpec::from_yaml(yaml).unwrap(),
        ai_port: None,
        ..SandboxOptions::default()
    })
    .await
}

/// The same by these options; with an AI endpoint where they leave it on.
pub async fn world_with(options: SandboxOptions) -> World {
    let sandbox = Sandbox::start(options).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("campaigns")).unwrap();
    sandbox
        .write_sessions(&dir.path().join("sessions"))
        .await
        .unwrap();
    let world = World { sandbox, dir };
    world.write("tidings.yaml", FAST);
    world
}

impl World {
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    pub fn workspace(&self) -> Workspace {
        Workspace::find(&WorkspaceOptions {
            directory: Some(self.dir.path().to_owned()),
            ..WorkspaceOptions::default()
        })
        .unwrap()
    }

    /// `tidings run --once` within this process.
    pub async fn once(&self) -> Result<ExitKind, RunError> {
        let options = RunOptions {
            once: true,
            horizon: Some(Duration::from_secs(5)),
            ..RunOptions::default()
        };
        tokio::time::timeout(
            3 * PATIENCE,
            run_with(self.workspace(), options, Arc::new(GrammersTelegram)),
        )
        .await
        .expect("the run ends")
    }

    /// `tidings run --once` by a clock that shows this moment when it starts.
    pub async fn once_at(&self, start: tidings::model::Timestamp) -> Result<ExitKind, RunError> {
        let options = RunOptions {
            once: true,
            horizon: Some(Duration::from_secs(5)),
            clock: tidings::control::Clock::speeded(1.0, start),
            ..RunOptions::default()
        };
        tokio::time::timeout(
            Duration::from_secs(60),
            run_with(self.workspace(), options, Arc::new(GrammersTelegram)),
        )
        .await
        .expect("the run ends within a minute")
    }

    /// `tidings ARGS…` as a user runs it: exit code, standard output, standard error.
    pub async fn cli(&self, args: &[&str]) -> (i32, String, String) {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tidings"));
        command.arg("-C").arg(self.path()).args(args);
        command
            .env("NO_COLOR", "1")
            .stdin(std::process::Stdio::null());
        let out = tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap();
        (
            out.status.code().unwrap(),
            String::from_utf8(out.stdout).unwrap(),
            String::from_utf8_lossy(&out.stderr).into_owned(),
        )
    }

    /// To whom an account's messages were delivered.
    pub fn by(&self, account: &str) -> Vec<String> {
        let mut who: Vec<String> = self
            .delivered()
            .into_iter()
            .filter(|e| e.account.as_deref() == Some(account))
            .filter_map(|e| e.peer)
            .collect();
        who.sort();
        who
    }

    /// `tidings run` within this process, until `stop` is called.
    pub fn daemon(&self) -> Daemon {
        self.daemon_by(tidings::control::Clock::default())
    }

    /// The same by another clock.
    pub fn daemon_by(&self, clock: tidings::control::Clock) -> Daemon {
        let stop = Arc::new(tokio::sync::Notify::new());
        let options = RunOptions {
            stop: Some(stop.clone()),
            clock,
            ..RunOptions::default()
        };
        let task = tokio::spawn(run_with(
            self.workspace(),
            options,
            Arc::new(GrammersTelegram),
        ));
        Daemon { stop, task }
    }

    /// `tidings status -o json`.
    pub async fn status(&self) -> serde_json::Value {
        let workspace = self.workspace();
        let reply = tokio::task::spawn_blocking(move || {
            tidings::control::request(
                &workspace,
                tidings::model::Command::Status { names: Vec::new() },
            )
        })
        .await
        .unwrap()
        .unwrap();
        match reply {
            tidings::model::Reply::Document { body } => body,
            other => panic!("no report: {other:?}"),
        }
    }

    pub async fn ask(&self, command: tidings::model::Command) -> tidings::model::Reply {
        let workspace = self.workspace();
        tokio::task::spawn_blocking(move || tidings::control::request(&workspace, command))
            .await
            .unwrap()
            .unwrap()
    }

    /// One campaign of the report; the whole report must add up.
    pub async fn campaign(&self, name: &str) -> serde_json::Value {
        let status = self.status().await;
        for campaign in status["campaigns"].as_array().unwrap() {
            adds_up(campaign);
        }
        status["campaigns"]
            .as_array()
            .unwrap()
            .iter()
            .find(|campaign| campaign["name"] == name)
            .unwrap_or_else(|| panic!("no campaign {name} in {status:#}"))
            .clone()
    }

    /// One account of the report.
    pub async fn account(&self, name: &str) -> serde_json::Value {
        let status = self.status().await;
        let accounts = status["accounts"].as_array().unwrap();
        accounts
            .iter()
            .find(|account| account["name"] == name)
            .unwrap_or_else(|| panic!("no account {name} in {status:#}"))
            .clone()
    }

    /// `tidings approve NAME`, as the terminal does it: asks what is approved, and approves that.
    pub async fn approve(&self, name: &str) -> tidings::model::Reply {
        use tidings::model::{Command, Reply};
        let Reply::Document { body } = self.ask(Command::ApprovalAsked { name: name.into() }).await
        else {
            panic!("nothing to approve")
        };
        self.ask(Command::Approve {
            name: Some(name.into()),
            digest: body["digest"].as_str().unwrap().into(),
            people: body["people"].as_u64().unwrap(),
            new_state: false,
            by: "a test".into(),
        })
        .await
    }

    /// Calls of a method that reached the server.
    pub fn calls(&self, method: &str) -> Vec<Entry> {
        self.sandbox.ledger().of_method(method)
    }

    /// Who got a message, by id, ascending.
    pub fn who(&self) -> Vec<i64> {
        let mut who: Vec<i64> = self
            .recipients()
            .iter()
            .map(|peer| peer.strip_prefix("user:").unwrap_or("0").parse().unwrap())
            .collect();
        who.sort_unstable();
        who
    }

    /// What was delivered to somebody.
    pub fn texts_to(&self, id: i64) -> Vec<String> {
        let peer = format!("user:{id}");
        self.delivered()
            .into_iter()
            .filter(|e| e.peer.as_ref() == Some(&peer))
            .filter_map(|e| e.text)
            .collect()
    }

    /// `tidings run --once` on any Telegram.
    pub async fn once_on(
        &self,
        telegram: Arc<dyn Telegram>,
        horizon: Duration,
    ) -> Result<ExitKind, RunError> {
        let options = RunOptions {
            once: true,
            horizon: Some(horizon),
            ..RunOptions::default()
        };
        tokio::time::timeout(
            Duration::from_secs(60),
            run_with(self.workspace(), options, telegram),
        )
        .await
        .expect("the run ends within a minute")
    }

    /// Waits until the report of a campaign says so.
    pub async fn until_campaign(
        &self,
        name: &str,
        what: &str,
        mut holds: impl FnMut(&serde_json::Value) -> bool,
    ) -> serde_json::Value {
        let mut last = serde_json::Value::Null;
        let end = std::time::Instant::now() + PATIENCE;
        while std::time::Instant::now() < end {
            let status = self.status().await;
            if let Some(campaign) = status["campaigns"]
                .as_array()
                .unwrap()
                .iter()
                .find(|campaign| campaign["name"] == name)
            {
                adds_up(campaign);
                if holds(campaign) {
                    return campaign.clone();
                }
                last = campaign.clone();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("not within {PATIENCE:?}: {what}; last seen: {last:#}");
    }

    /// Messages that took effect, as the server saw them.
    pub fn delivered(&self) -> Vec<Entry> {
        self.sandbox
            .ledger()
            .entries()
            .into_iter()
            .filter(|entry| {
                (entry.method == "messages.sendMessage" || entry.method == "messages.sendMedia")
                    && entry.effect
                    && entry.first != Some(false)
            })
            .collect()
    }

    /// To whom messages went, in order.
    pub fn recipients(&self) -> Vec<String> {
        self.delivered()
            .iter()
            .map(|entry| entry.peer.clone().unwrap_or_default())
            .collect()
    }

    /// Waits until a condition holds.
    pub async fn until(&self, what: &str, mut holds: impl FnMut(&World) -> bool) {
        let end = std::time::Instant::now() + PATIENCE;
        while !holds(self) {
            assert!(
                std::time::Instant::now() < end,
                "not within {PATIENCE:?}: {what}"
            );
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }
}

pub struct Daemon {
    stop: Arc<tokio::sync::Notify>,
    task: tokio::task::JoinHandle<Result<ExitKind, RunError>>,
}

impl Daemon {
    pub async fn stop(self) -> Result<ExitKind, RunError> {
        self.stop.notify_one();
        tokio::time::timeout(PATIENCE, self.task)
            .await
            .expect("it stops")
            .unwrap()
    }
}

/// That nobody got anything twice.
pub fn assert_nobody_twice(world: &World) {
    let mut seen = std::collections::BTreeSet::new();
    for peer in world.recipients() {
        assert!(seen.insert(peer.clone()), "{peer} got two messages");
    }
}

/// The arithmetic and the closed lists of CONTRACT section 5.
pub fn adds_up(campaign: &serde_json::Value) {
    use tidings::model::{ConditionType, Exclusion, Outcome, Waiting};
    let n = |value: &serde_json::Value| {
        value
            .as_u64()
            .unwrap_or_else(|| panic!("no number {value} in {campaign:#}"))
    };
    let sum = |map: &serde_json::Value| map.as_object().unwrap().values().map(n).sum::<u64>();
    let audience = &campaign["audience"];
    let progress = &campaign["progress"];
    let outcomes = campaign["outcomes"].as_object().unwrap();
    let of = |which: &[&str]| {
        which
            .iter()
            .filter_map(|key| outcomes.get(*key))
            .map(n)
            .sum::<u64>()
    };
    let [pending, in_flight, sent, failed, skipped, uncertain] = [
        "pending",
        "in_flight",
        "sent",
        "failed",
        "skipped",
        "uncertain",
    ]
    .map(|key| n(&progress[key]));
    assert_eq!(
        n(&audience["found"]),
        n(&audience["included"]) + sum(&audience["excluded"]),
        "found: {campaign:#}"
    );
    assert_eq!(
        n(&audience["included"]),
        pending + in_flight + sent + failed + skipped + uncertain,
        "included: {campaign:#}"
    );
    assert_eq!(
        sum(&campaign["outcomes"]),
        sent + failed + skipped + uncertain,
        "outcomes: {campaign:#}"
    );
    assert_eq!(of(&["sent"]), sent, "{campaign:#}");
    assert_eq!(
        of(&["template_error", "too_long", "failed"]),
        failed,
        "{campaign:#}"
    );
    assert_eq!(of(&["uncertain"]), uncertain, "{campaign:#}");
    let waiting = campaign["waiting"].as_array().unwrap();
    assert_eq!(
        waiting.iter().map(|wait| n(&wait["count"])).sum::<u64>(),
        pending,
        "waiting: {campaign:#}"
    );
    let templates = campaign["templates"].as_array().unwrap();
    assert_eq!(
        templates.iter().map(|t| n(&t["sent"])).sum::<u64>(),
        sent,
        "templates: {campaign:#}"
    );
    assert_eq!(
        templates.iter().map(|t| n(&t["replied"])).sum::<u64>(),
        n(&progress["replied"]),
        "replied: {campaign:#}"
    );
    assert!(
        n(&progress["replied"]) <= sent && n(&progress["opted_out"]) <= sent,
        "{campaign:#}"
    );
    let types: Vec<&str> = campaign["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        types,
        ConditionType::ALL
            .iter()
            .map(|c| c.name())
            .collect::<Vec<_>>()
    );
    for condition in campaign["conditions"].as_array().unwrap() {
        let reason = condition["reason"].as_str().unwrap();
        assert!(
            reason.starts_with(|c: char| c.is_ascii_uppercase())
                && reason.chars().all(|c| c.is_ascii_alphanumeric()),
            "{condition:#}"
        );
        assert!(
            ["True", "False", "Unknown"].contains(&condition["status"].as_str().unwrap()),
            "{condition:#}"
        );
    }
    for wait in waiting {
        let reason = wait["reason"].as_str().unwrap();
        assert!(
            Waiting::ALL.iter().any(|known| known.name() == reason),
            "{reason}"
        );
    }
    for reason in audience["excluded"].as_object().unwrap().keys() {
        assert!(
            Exclusion::ALL.iter().any(|known| known.name() == reason),
            "{reason}"
        );
    }
    for outcome in outcomes.keys() {
        assert!(
            Outcome::ALL.iter().any(|known| known.name() == outcome),
            "{outcome}"
        );
    }
    // A list is read at once, and judged when the accounts have said who they are: until then nobody is found.
    if n(&audience["found"]) > 0
        && audience["sources"]
            .as_array()
            .unwrap()
            .iter()
            .all(|source| source["complete"] == true)
    {
        for source in audience["sources"].as_array().unwrap() {
            assert!(
                n(&source["found"]) <= n(&audience["found"]) + 1,
                "{campaign:#}"
            );
        }
    }
}

/// The status and reason of a condition: `True Sending`.
pub fn condition(campaign: &serde_json::Value, kind: &str) -> String {
    let all = campaign["conditions"].as_array().unwrap();
    let it = all.iter().find(|c| c["type"] == kind).unwrap();
    format!(
        "{} {}",
        it["status"].as_str().unwrap(),
        it["reason"].as_str().unwrap()
    )
}

/// The message of a condition.
pub fn message(campaign: &serde_json::Value, kind: &str) -> String {
    let all = campaign["conditions"].as_array().unwrap();
    all.iter().find(|c| c["type"] == kind).unwrap()["message"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// What people wait for: `AccountCap 3`, joined by commas.
pub fn waits(campaign: &serde_json::Value) -> String {
    let all = campaign["waiting"].as_array().unwrap();
    let words: Vec<String> = all
        .iter()
        .map(|wait| format!("{} {}", wait["reason"].as_str().unwrap(), wait["count"]))
        .collect();
    words.join(", ")
}

/// Seconds from now until the moment that people wait for.
pub fn seconds_to_wait(campaign: &serde_json::Value) -> i64 {
    let until = campaign["waiting"][0]["until"]
        .as_str()
        .unwrap_or_else(|| panic!("no until: {campaign:#}"));
    let until = chrono::DateTime::parse_from_rfc3339(until).unwrap();
    (until.with_timezone(&chrono::Utc) - chrono::Utc::now()).num_seconds()
}

/// A world with one account and so many people (ids from 101, usernames `person101`…) in its own group @meetup.
pub fn crowd(people: usize) -> String {
    crowd_of(&["sales-1"], people)
}

/// The same with several accounts, all of them admins of the group.
pub fn crowd_of(accounts: &[&str], people: usize) -> String {
    let mut yaml = String::from("accounts:\n");
    for name in accounts {
        yaml.push_str(&format!("  - {{name: {name}}}\n"));
    }
    yaml.push_str("people:\n");
    for id in 101..101 + people {
        yaml.push_str(&format!(
            "  - {{id: {id}, username: person{id}, first_name: P{id}}}\n"
        ));
    }
    yaml.push_str(&format!(
        "groups:\n  - {{title: Meetup, username: meetup, creator: {}, admins: [{}], members: all}}\n",
        accounts[0],
        accounts[1..].join(", ")
    ));
    yaml
}

/// A mailing to the members of @meetup by all accounts that are named; the caller's keys come after.
pub fn mailing(name: &str, accounts: &str, rest: &str) -> String {
    let mut text = format!("version: 1\nname: {name}\nkind: mailing\naccounts: [{accounts}]\n");
    for (key, otherwise) in [
        ("consent:", "consent: {basis: members}\n"),
        ("sources:", "sources: [{type: members, peer: '@meetup'}]\n"),
        (
            "templates:",
            "templates: [{name: short, text: 'Hi {{ contact.first_name }}!'}]\n",
        ),
        (
            "delays:",
            "delays: {between_messages: 0s, per_account: {per_day: 10000}}\n",
        ),
    ] {
        if !rest.lines().any(|line| line.starts_with(key)) {
            text.push_str(otherwise);
        }
    }
    text.push_str(rest);
    text
}

/// A mailing `hello` of one account to people of one source, on this basis.
pub fn hello_from(basis: &str, source: &str) -> String {
    mailing(
        "hello",
        "sales-1",
        &format!("consent: {{basis: {basis}}}\nsources:\n  - {source}\n"),
    )
}

/// Telegram with another limit for each call.
pub struct Impatient(pub Duration);

impl Telegram for Impatient {
    fn open(
        &self,
        mut config: AccountConfig,
    ) -> futures::future::BoxFuture<'_, Result<Arc<dyn AccountClient>, CallError>> {
        config.call_timeout = self.0;
        Box::pin(async move { GrammersTelegram.open(config).await })
    }
}

/// git in a folder, in somebody's name and of an address; what it printed.
pub fn git(root: &Path, who: &str, address: &str, args: &[&str]) -> String {
    let done = std::process::Command::new("git")
        .arg("-C")
        .arg(root)
        .args(["-c", &format!("user.name={who}")])
        .args(["-c", &format!("user.email={address}@example.com")])
        .args(["-c", "commit.gpgsign=false"])
        .args(args)
        .output()
        .unwrap();
    assert!(done.status.success(), "{args:?}: {done:?}");
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

//! The daemon: the one loop.

mod account_commands;
mod accounts;
mod actions;
mod answers;
mod asking;
mod clock_set;
mod guarded;
mod hooks;
mod known;
mod last_word;
mod looking;
mod operate;
mod places;
mod readings;
mod reports;
mod rest;
mod retention;
mod served;
mod testing;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::core::Open;
use super::lookups::{self, Found, Which};
use super::readiness::Readiness;
use super::systemd::Notifier;
use super::{Clock, Core, CoreError, Workspace, answer, operator, outcome, socket};
use crate::desired::SourceKind;
use crate::execute::{AccountTask, LookedUp, Order, Report, person_of, stops_the_account};
use crate::model::reaction::{CallClass, Reaction, react};
use crate::model::{
    AccountName, AccountState, Attachment, Command, Event, InDoubtWhy, Intent, Lineage, LookupEnd,
    Person, PersonId, Reference, Reply, SendKey, SourceId, Timestamp,
};
use crate::people::People;
use crate::plan::{Action, Link, LookedBack, Plan, SendAction, audience};
use crate::spec::files::Files;
use crate::store::{Durability, StoreError};
use crate::telegram::{
    CallError, Delivered, Me, MediaHandle, Received, Telegram, UpdatesState, encode_send, text_of,
};

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitKind {
    /// Nothing is wrong.
    Done,
    /// Something waits for a person (exit code 4).
    NeedsPerson,
}

/// Why a run broke off.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The state or the configuration.
    #[error(transparent)]
    Core(#[from] CoreError),
    /// The control socket.
    #[error("the control socket cannot be opened: {0}")]
    Socket(String),
    /// The process's own means.
    #[error("{0}")]
    System(String),
    /// The page and the HTTP interface cannot be served.
    #[error("{0}")]
    Web(String),
}

/// How to run.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// Ends when nothing more can fall due within `horizon`.
    pub once: bool,
    /// See `once`; 10 minutes by default.
    pub horizon: Option<Duration>,
    /// Looks sources up and sends nothing (`tidings reconcile` without a daemon).
    pub lookups_only: bool,
    /// With `lookups_only`: the campaigns whose sources are asked for a plan, and only what they name is written down
    /// (`tidings plan --refresh` without a daemon).
    pub refresh: Option<Vec<String>>,
    /// The clock; the wall clock by default.
    pub clock: Clock,
    /// Ends the run from outside, as SIGTERM does.
    pub stop: Option<Arc<tokio::sync::Notify>>,
    /// Connects and answers commands, and plans nothing (`tidings send-test` without a daemon).
    pub idle: bool,
    /// Wants a look at the state now and then (progress displays).
    pub observer: Option<mpsc::UnboundedSender<serde_json::Value>>,
}

/// `run --once` leaves alone what falls due later than this (CONTRACT section 4).
const HORIZON: Duration = Duration::from_secs(600);
/// SIGTERM drains for at most so long (CONTRACT section 5).
const DRAIN: Duration = Duration::from_secs(10);
/// Reports taken in before the planner is asked again: enough to share its work and one write, few enough for the
/// next order to leave at once.
const REPORTS_AT_ONCE: usize = 256;
/// How long reports are gathered before they are written down while every account has plenty in hand: each would wake the
/// loop, which has nothing to give them yet.
const GATHER: Duration = Duration::from_millis(1);
/// And for how long nothing is planned then. Half a hand takes an account about as long at the least.
const GATHER_MOST: Duration = Duration::from_millis(8);
/// Passes one after another that only wrote things down, before the loop looks at what else came.
const PASSES_AT_ONCE: usize = 64;
/// The longest pause before a lost connection is tried again (CONTRACT section 6).
const RECONNECT_MOST: u32 = 60;
/// `run --once` gives an account up after so many tries in a row.
const RECONNECTS_ONCE: u32 = 5;
/// A look-up that broke off with its connection so often in a row has failed, and is tried again as one that failed:
/// it may be the look-up that breaks the connection.
const BROKEN_OFF: u32 = 4;
/// An account that is tried for the first time is waited for so long before the others begin without it.
const FIRST_TRY: Duration = Duration::from_secs(5);
/// How often a key that Telegram does not know is tried again: a server that knows it again is noticed within a minute.
const KEY_AGAIN: Duration = Duration::from_secs(30);
/// How often session files are looked for: a login shows within this.
const SESSIONS_EVERY: Duration = Duration::from_secs(1);
/// How often in a row a file that Telegram forgot is uploaded anew before anything is sent.
const UPLOADS_AGAIN: u32 = 20;
/// The largest file that goes with a message: 50 MB, more than a picture or document of a campaign needs.
const MAX_MEDIA: u64 = 50 << 20;

/// Runs on the wall clock against Telegram.
///
/// # Errors
/// [`RunError`].
pub fn run(workspace: Workspace, options: RunOptions) -> Result<ExitKind, RunError> {
    let telegram: Arc<dyn Telegram> = Arc::new(crate::telegram::GrammersTelegram);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| RunError::System(error.to_string()))?;
    let ended = runtime.block_on(run_with(workspace, options, telegram));
    // A silent server must not keep the process from ending.
    runtime.shutdown_timeout(Duration::from_millis(500));
    ended
}

/// Runs within a tokio runtime, on any Telegram.
///
/// # Errors
/// [`RunError`].
pub async fn run_with(
    workspace: Workspace,
    options: RunOptions,
    telegram: Arc<dyn Telegram>,
) -> Result<ExitKind, RunError> {
    loop {
        let (kind, restored) =
            live(workspace.clone(), options.clone(), Arc::clone(&telegram)).await?;
        if !restored {
            return Ok(kind);
        }
    }
}

/// One life of the engine: to its end, or until a restored state is to be taken.
async fn live(
    workspace: Workspace,
    options: RunOptions,
    telegram: Arc<dyn Telegram>,
) -> Result<(ExitKind, bool), RunError> {
    let core = open(workspace, &options).await?;
    let mut engine = Engine::new(core, options, telegram);
    let ended = engine.run().await;
    engine.tasks.clear();
    engine.readings.end().await;
    let _ = std::fs::remove_file(engine.core.workspace.socket_path());
    let Engine { core, restored, .. } = engine;
    let closed = core.close().await;
    let kind = ended?;
    closed?;
    Ok((kind, restored))
}

/// Takes the state. A command lets go of it within moments and is waited for; another daemon is not.
async fn open(workspace: Workspace, options: &RunOptions) -> Result<Core, RunError> {
    /// How often the state is tried.
    const TRY_EVERY: Duration = Duration::from_millis(50);
    let deadline = tokio::time::Instant::now() + super::STATE_WAIT;
    loop {
        let held = match Core::open(
            workspace.clone(),
            options.clock,
            Open::Daemon,
            Duration::ZERO,
        ) {
            Err(error @ CoreError::Store(StoreError::Locked { .. })) => error,
            other => return Ok(other?),
        };
        let daemon = !options.once
            && !options.lookups_only
            && matches!(
                socket::request(
                    &workspace.socket_path(),
                    &Command::Ping,
                    Duration::from_secs(1)
                )
                .await,
                Ok(Some(_)) | Err(_)
            );
        if daemon || tokio::time::Instant::now() >= deadline {
            return Err(held.into());
        }
        tokio::time::sleep(TRY_EVERY).await;
    }
}

struct Engine {
    core: Core,
    options: RunOptions,
    telegram: Arc<dyn Telegram>,
    tasks: BTreeMap<AccountName, AccountTask>,
    listening: std::collections::BTreeSet<AccountName>,
    tries: BTreeMap<AccountName, u32>,
    /// When a key that Telegram did not know is tried again.
    keys_again: BTreeMap<AccountName, tokio::time::Instant>,
    marked: std::collections::BTreeSet<AccountName>,
    media: HashMap<(AccountName, Attachment), MediaHandle>,
    uploads_again: BTreeMap<AccountName, u32>,
    session_stamps: BTreeMap<AccountName, SessionStamp>,
    reports: mpsc::UnboundedSender<(AccountName, Report)>,
    reports_rx: mpsc::UnboundedReceiver<(AccountName, Report)>,
    found: mpsc::Sender<(Which, Found)>,
    found_rx: mpsc::Receiver<(Which, Found)>,
    /// What the model and webhooks answer.
    side: mpsc::UnboundedSender<answers::Side>,
    side_rx: mpsc::UnboundedReceiver<answers::Side>,
    /// Pages of look-ups that wait to be written down together.
    pages: looking::Pages,
    /// Labels of the look-ups under way, for the people they find.
    labels: BTreeMap<(Lineage, SourceId), String>,
    /// Usernames and phones of people met lately; read from the state when it is first asked for.
    names: Option<known::Names>,
    /// Accounts that are connected and wait for what they missed.
    readiness: Readiness,
    /// How often in a row a look-up broke off with its connection.
    broken_off: BTreeMap<(Lineage, SourceId, AccountName), u32>,
    /// Told to stop at this moment.
    draining_since: Option<tokio::time::Instant>,
    /// When this life of the engine began.
    started: Timestamp,
    sessions_looked: Option<tokio::time::Instant>,
    last_report: Timestamp,
    /// Targets of invites by `add`, as each account sees them.
    places: BTreeMap<(AccountName, Lineage), crate::telegram::Place>,
    /// Accounts that are being logged out.
    leaving: Arc<std::sync::Mutex<std::collections::BTreeSet<AccountName>>>,
    /// Accounts that read their dialogs after a restore, and when one that failed is to do so again.
    gaps: BTreeMap<AccountName, Timestamp>,
    /// A restored state waits to be taken: this life of the engine ends.
    restored: bool,
    served: served::Served,
    readings: readings::Readings,
    notifier: Notifier,
    /// When `retention` was last looked after.
    cleared: Option<Timestamp>,
    /// What may still come in before `run --once` ends.
    last_word: last_word::LastWord,
    clock_watch: clock_set::Watch,
    /// The last plan, where there was nothing to do.
    rest: Option<(rest::Rest, Plan)>,
}

#[allow(
    clippy::large_enum_variant,
    reason = "one at a time, on the loop's stack"
)]
enum Input {
    Report(AccountName, Report),
    Found(Which, Found),
    Side(answers::Side),
    Command(Command, oneshot::Sender<Reply>),
    Nudge,
    Reload,
    Stop,
    Time,
}

impl Engine {
    fn new(core: Core, options: RunOptions, telegram: Arc<dyn Telegram>) -> Engine {
        let (reports, reports_rx) = mpsc::unbounded_channel();
        // A page is up to a thousand people: eight of them are what a reader may be ahead.
        let (found, found_rx) = mpsc::channel(8);
        let (side, side_rx) = mpsc::unbounded_channel();
        Engine {
            core,
            options,
            telegram,
            tasks: BTreeMap::new(),
            listening: std::collections::BTreeSet::new(),
            tries: BTreeMap::new(),
            keys_again: BTreeMap::new(),
            marked: std::collections::BTreeSet::new(),
            media: HashMap::new(),
            uploads_again: BTreeMap::new(),
            session_stamps: BTreeMap::new(),
            reports,
            reports_rx,
            found,
            found_rx,
            side,
            side_rx,
            pages: looking::Pages::default(),
            labels: BTreeMap::new(),
            names: None,
            readiness: Readiness::default(),
            broken_off: BTreeMap::new(),
            draining_since: None,
            started: Timestamp::MIN,
            sessions_looked: None,
            last_report: Timestamp::MIN,
            places: BTreeMap::new(),
            leaving: Arc::default(),
            gaps: BTreeMap::new(),
            restored: false,
            served: served::Served::default(),
            readings: readings::Readings::default(),
            notifier: Notifier::from_env(),
            cleared: None,
            last_word: last_word::LastWord::default(),
            clock_watch: clock_set::Watch::default(),
            rest: None,
        }
    }

    async fn run(&mut self) -> Result<ExitKind, RunError> {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        self.core.runtime.lookups_only = self.options.lookups_only;
        self.core.looks_only = self.options.refresh.is_some();
        self.started = self.core.clock.now();
        self.core.runtime.draining = self.options.idle;
        if self.options.once || self.options.lookups_only {
            self.core.runtime.once_since = Some(self.core.clock.now());
        }
        let (commands, mut commands_rx) = mpsc::channel(64);
        // Before anything is done: where a port is taken, nothing begins.
        self.serve(&commands).await?;
        self.core
            .record(vec![Event::Started { version }], Durability::Now)?;
        // It was read a moment ago, and is looked at again as soon as it is watched.
        self.core.note_changes()?;
        self.ask_sources()?;
        self.prepare_hooks();
        self.take_kept_answers()?;
        let listener = socket::bind(&self.core.workspace.socket_path())
            .map_err(|error| RunError::Socket(error.to_string()))?;
        let server = tokio::spawn(socket::serve(listener, commands.clone()));
        let mut watcher = crate::watch::Watcher::start(
            &self.core.workspace.root,
            vec![self.core.workspace.config_path.clone()],
        );
        let mut signals = Signals::new().map_err(|error| RunError::System(error.to_string()))?;
        tracing::info!(
            workspace = %self.core.workspace.root.display(),
            campaigns = self.core.desired.campaigns.len(),
            "the engine runs"
        );
        let ended = loop {
            self.beat();
            self.look_at_clock()?;
            // A disk that refused while nobody waited for it: nothing more may leave.
            if let Some(error) = self.core.store().and_then(crate::store::Store::failure) {
                return Err(CoreError::from(error).into());
            }
            self.serve_as_asked(&commands).await;
            self.accounts().await?;
            self.read_gaps();
            self.retention()?;
            let (plan, rest) = self.passes().await?;
            self.planned();
            self.core.checkpoint(false)?;
            self.observe(&plan);
            if let Some(kind) = self.ended(&plan) {
                break kind;
            }
            let mut sleep = self.sleep(&plan);
            self.rest = rest.map(|rest| (rest, plan));
            if self.gather().await? {
                sleep = Duration::ZERO;
            }
            let first = tokio::select! {
                biased;
                _ = signals.term.recv() => Input::Stop,
                _ = signals.int.recv() => Input::Stop,
                () = stop_asked(self.options.stop.as_deref()) => Input::Stop,
                _ = signals.hup.recv() => Input::Reload,
                Some((name, report)) = self.reports_rx.recv() => Input::Report(name, report),
                Some((which, found)) = self.found_rx.recv() => Input::Found(which, found),
                Some(side) = self.side_rx.recv() => Input::Side(side),
                Some((command, reply)) = commands_rx.recv() => Input::Command(command, reply),
                Some(_) = watcher.nudged() => Input::Nudge,
                () = tokio::time::sleep(sleep) => Input::Time,
            };
            let mut events = Vec::new();
            self.take(first, &mut events).await?;
            if self.restored {
                break ExitKind::Done;
            }
            self.take_reports(events).await?;
        };
        server.abort();
        Ok(ended)
    }

    /// While every account has plenty in hand, what comes of it is written down and nothing is planned. Answers whether
    /// anything was.
    async fn gather(&mut self) -> Result<bool, RunError> {
        let began = tokio::time::Instant::now();
        let mut gathered = false;
        while self.draining_since.is_none()
            && crate::plan::have_plenty(&self.core.observed)
            && began.elapsed() < GATHER_MOST
        {
            tokio::time::sleep(GATHER).await;
            if self.reports_rx.is_empty() {
                break;
            }
            self.take_reports(Vec::new()).await?;
            gathered = true;
        }
        Ok(gathered)
    }

    /// Takes in what the accounts have told, and writes it down together with what came before it.
    async fn take_reports(&mut self, mut events: Vec<Event>) -> Result<(), RunError> {
        let mut left = REPORTS_AT_ONCE;
        loop {
            while left > 0
                && let Ok((name, report)) = self.reports_rx.try_recv()
            {
                self.report(&name, report, &mut events).await?;
                left -= 1;
            }
            if self.pages.sleep_most().is_zero() {
                self.write_pages(&mut events)?;
            }
            self.write(&mut events)?;
            // What came in while this was written down is looked at with it.
            if left == 0 || self.reports_rx.is_empty() {
                return Ok(());
            }
        }
    }

    /// Takes one thing in.
    async fn take(&mut self, input: Input, events: &mut Vec<Event>) -> Result<(), RunError> {
        if !matches!(input, Input::Report(..) | Input::Time) {
            self.write_pages(events)?;
        }
        match input {
            Input::Report(name, report) => self.report(&name, report, events).await?,
            Input::Found(which, found) => self.found(which, found, events)?,
            // What it would be about may be known in memory only.
            Input::Command(command, reply) if self.core.looks_only && command.changes() => {
                let _ = reply.send(answer::refused(
                    "sources are being asked for `tidings plan --refresh`; try again when it is done",
                ));
            }
            Input::Command(
                command @ (Command::AccountCheck { .. } | Command::AccountRemove { .. }),
                reply,
            ) => {
                self.write(events)?;
                self.account_command(command, reply)?;
            }
            Input::Side(side) => self.aside(side, events)?,
            Input::Command(Command::Operator(command), reply) => {
                self.write(events)?;
                match operator::beside(&self.core, &command)? {
                    Some(question) => self.readings.begin(question, reply),
                    None => {
                        let answered = self.operate(command).await?;
                        let _ = reply.send(answered);
                    }
                }
            }
            Input::Command(command, reply) => {
                self.write(events)?;
                let answered = match command {
                    Command::Reload => self.reload_asked()?,
                    command => {
                        let (answered, events) = self.answered(command)?;
                        if !events.is_empty() {
                            let resumes = |event: &Event| matches!(event, Event::Resumed { .. });
                            if events.iter().any(resumes) {
                                // What failed is tried again.
                                self.core.runtime.target_faults.clear();
                            }
                            self.core.record(events, Durability::Now)?;
                            // Whatever was asked for, what is in hand must answer to it.
                            self.call_off();
                        }
                        answered
                    }
                };
                let _ = reply.send(answered);
            }
            Input::Nudge => {
                self.write(events)?;
                self.reload()?;
            }
            Input::Reload => {
                self.write(events)?;
                self.reload_asked()?;
            }
            Input::Stop => {
                if self.draining_since.is_none() {
                    self.draining_since = Some(tokio::time::Instant::now());
                    self.core.runtime.draining = true;
                    self.stops();
                    self.call_off();
                    let left = self.core.runtime.executing.len();
                    tracing::info!(
                        sends = left,
                        "stopping: waits for the sends under way, at most 10 s"
                    );
                    if left > 0 {
                        eprintln!("Stopping: waits up to 10 s for {left} sends under way.");
                    }
                }
            }
            Input::Time => {}
        }
        Ok(())
    }

    /// For a plan, the sources of these campaigns are asked now.
    fn ask_sources(&mut self) -> Result<(), RunError> {
        let names = self.options.refresh.iter().flatten();
        let asked: Vec<Event> = names
            .filter_map(|name| self.core.desired.campaigns.get(name))
            .map(|wanted| Event::ReconcileRequested {
                campaign: wanted.lineage.clone(),
            })
            .collect();
        self.core.record(asked, Durability::Now)?;
        Ok(())
    }

    fn write(&mut self, events: &mut Vec<Event>) -> Result<(), RunError> {
        if !events.is_empty() {
            fail::fail_point!("outcome.write");
            self.core.record(std::mem::take(events), Durability::Soon)?;
            fail::fail_point!("outcome.written");
        }
        Ok(())
    }

    /// Reads the workspace anew. Where anything changed, a limit of tidings.yaml too, what is in hand is called off and
    /// planned again.
    fn reload(&mut self) -> Result<(), RunError> {
        let before = (
            self.core.desired.engine.spec.clone(),
            self.core.desired.folder_error.clone(),
        );
        let changed = self.core.reload()?;
        self.prepare_hooks();
        if changed
            || before.0 != self.core.desired.engine.spec
            || before.1 != self.core.desired.folder_error
        {
            self.call_off();
        }
        if changed {
            for campaign in self
                .core
                .desired
                .campaigns
                .values()
                .filter(|c| c.spec.is_none())
            {
                if let Some(first) = campaign.diagnostics.iter().find(|d| d.is_error()) {
                    tracing::warn!(campaign = %campaign.name, "{first}");
                }
            }
        }
        for bad in &self.core.desired.invalid_files {
            tracing::warn!(file = %bad.file, "{}", bad.message);
        }
        Ok(())
    }

    fn call_off(&mut self) {
        for task in self.tasks.values_mut() {
            task.call_off();
        }
        self.core.runtime.typing.clear();
    }

    /// Plans and performs until nothing is left that only needs writing down. Where nothing was left to do at all, also
    /// answers what that was found of.
    async fn passes(&mut self) -> Result<(Plan, Option<rest::Rest>), RunError> {
        if let Some((rest, plan)) = self.rest.take()
            && rest.holds(&self.core)
        {
            return Ok((plan, Some(rest)));
        }
        for _ in 0..PASSES_AT_ONCE {
            let mut plan = self.plan()?;
            if plan.actions.is_empty() {
                let rest = rest::Rest::after(&self.core, &plan);
                return Ok((plan, rest));
            }
            let again = self.perform(std::mem::take(&mut plan.actions)).await?;
            if !again {
                // Whatever was ordered reports, and is planned after then.
                return Ok((plan, None));
            }
        }
        let mut plan = self.core.plan_report();
        plan.wake_at = Some(self.core.clock.now());
        Ok((plan, None))
    }

    /// How long to sleep.
    fn sleep(&self, plan: &Plan) -> Duration {
        let now = self.core.clock.now();
        let mut at = plan.wake_at.unwrap_or(Timestamp::MAX);
        for link in self.core.runtime.links.values() {
            if let Link::Unreachable { retry_at, .. } = link {
                at = at.min(*retry_at);
            }
        }
        let mut sleep = if at <= now {
            Duration::from_millis(1)
        } else {
            self.core.clock.until(at)
        };
        if self.core.runtime.links.values().any(|link| {
            matches!(
                link,
                Link::Missing | Link::Unusable { .. } | Link::Locked { .. }
            )
        }) || !self.tasks.is_empty()
        {
            sleep = sleep.min(SESSIONS_EVERY * 2);
        }
        if self.readiness.anybody_waits() || self.last_word.waits() {
            sleep = sleep.min(Duration::from_millis(250));
        }
        sleep = sleep
            .min(self.served.sleep_most())
            .min(self.pages.sleep_most())
            .min(self.notifier.sleep_most());
        if let Some(since) = self.draining_since {
            sleep = sleep
                .min(DRAIN.saturating_sub(since.elapsed()))
                .min(Duration::from_millis(100));
        }
        sleep
    }

    /// Whether the run is over.
    fn ended(&mut self, plan: &Plan) -> Option<ExitKind> {
        let runtime = &self.core.runtime;
        if let Some(since) = self.draining_since {
            if runtime.executing.is_empty() && runtime.drafting.is_empty() {
                return Some(ExitKind::Done);
            }
            if since.elapsed() >= DRAIN {
                tracing::warn!(
                    sends = runtime.executing.len(),
                    "stopped with sends under way; the next start finds out what became of them"
                );
                return Some(ExitKind::Done);
            }
            return None;
        }
        if !self.options.once && !self.options.lookups_only {
            return None;
        }
        let busy = !runtime.executing.is_empty()
            || !runtime.looking_up.is_empty()
            || !runtime.resolving.is_empty()
            || !runtime.uploading.is_empty()
            || self.gaps.values().any(|again| *again == Timestamp::MAX)
            || !runtime.drafting.is_empty()
            || !runtime.telling.is_empty()
            || !runtime.seeking.is_empty()
            || !runtime.joining.is_empty()
            || runtime
                .links
                .values()
                .any(|link| matches!(link, Link::Connecting))
            || !self.reports_rx.is_empty();
        if busy {
            return None;
        }
        let now = self.core.clock.now();
        if self.is_typed(now) {
            return None;
        }
        let mut until = now + self.options.horizon.unwrap_or(HORIZON);
        let mut next = plan.wake_at.unwrap_or(Timestamp::MAX);
        for link in runtime.links.values() {
            if let Link::Unreachable { retry_at, .. } = link {
                next = next.min(*retry_at);
                // What is due waits for accounts that are tried for the first time, whatever the horizon.
                until = until.max(runtime.connected_by);
            }
        }
        // A look-up that Telegram asked to wait goes on in a moment.
        let unfinished = || {
            let mut campaigns = self.core.observed.campaigns.values();
            campaigns.any(crate::observed::Campaign::looking_up)
        };
        if next <= until && (!self.options.lookups_only || unfinished()) {
            return None;
        }
        let listening = self.listening.iter().filter(|name| {
            let link = self.core.runtime.links.get(*name);
            matches!(link, Some(Link::Ready { .. }))
        });
        let tasks = &self.tasks;
        if self.last_word.keeps(listening.cloned(), |name| {
            if let Some(task) = tasks.get(name) {
                task.client().ask_updates();
            }
        }) {
            return None;
        }
        // As `status` will say from now on.
        let (inputs, plan) = (self.core.inputs(), self.core.plan_report());
        let report = crate::status::report(&inputs, &plan, answer::daemon_info(&self.core, true));
        Some(if crate::status::needs_person(&report) {
            ExitKind::NeedsPerson
        } else {
            ExitKind::Done
        })
    }

    /// Whether a message is due, and 'typing…' is shown before it.
    fn is_typed(&self, now: Timestamp) -> bool {
        let runtime = &self.core.runtime;
        let due = |name: &AccountName| {
            let account = self.core.observed.accounts.get(name);
            account.is_none_or(|account| account.next_allowed_at <= now)
        };
        let mut before_messages = runtime.typing.iter();
        before_messages.any(|(name, (_, until))| *until > now && due(name))
            || runtime.answering.values().any(|until| *until > now)
    }

    /// Shows the state to whoever displays progress, at most ten times a second.
    fn observe(&mut self, plan: &Plan) {
        let Some(observer) = &self.options.observer else {
            return;
        };
        let now = self.core.clock.now();
        if now.since(self.last_report)
            < Duration::from_millis(100).mul_f64(pause_scale(&self.core.clock))
        {
            return;
        }
        self.last_report = now;
        let report = crate::status::report(
            &self.core.inputs(),
            plan,
            answer::daemon_info(&self.core, true),
        );
        if let Ok(value) = serde_json::to_value(&report) {
            let _ = observer.send(value);
        }
    }
}

/// What tells one session file from another put in its place; its mode may change.
type SessionStamp = Option<(u64, u64, Option<std::time::SystemTime>)>;

fn stamp_of(path: &std::path::Path) -> SessionStamp {
    use std::os::unix::fs::MetadataExt;
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.ino(), meta.len(), meta.modified().ok()))
}

/// How much of the clock's time a real second is.
fn pause_scale(clock: &Clock) -> f64 {
    1.0 / clock.real(Duration::from_secs(1)).as_secs_f64().max(1e-6)
}

async fn stop_asked(stop: Option<&tokio::sync::Notify>) {
    match stop {
        Some(stop) => stop.notified().await,
        None => std::future::pending().await,
    }
}

struct Signals {
    term: tokio::signal::unix::Signal,
    int: tokio::signal::unix::Signal,
    hup: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> std::io::Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            hup: signal(SignalKind::hangup())?,
        })
    }
}

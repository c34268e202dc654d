//! The daemon: the one loop.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::core::Open;
use super::lookups::{self, Found, Which};
use super::{Clock, Core, CoreError, Workspace, answer, outcome, socket};
use crate::desired::SourceKind;
use crate::execute::{AccountTask, LookedUp, Order, Report, person_of};
use crate::model::reaction::{CallClass, Reaction, react};
use crate::model::{
    AccountName, AccountState, Attachment, Command, Event, InDoubtWhy, Intent, Lineage, LookupEnd, Person, PersonId,
    Reference, Reply, SendKey, SourceId, Timestamp,
};
use crate::people::People;
use crate::plan::{Action, Link, Plan, SendAction, audience};
use crate::spec::files::Files;
use crate::store::Durability;
use crate::telegram::{
    AccountConfig, CallError, Me, MediaHandle, Received, Secret, Telegram, UpdatesState, encode_send,
    text_of,
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
    /// The clock; the wall clock by default.
    pub clock: Clock,
    /// Ends the run from outside, as SIGTERM does.
    pub stop: Option<Arc<tokio::sync::Notify>>,
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
/// Passes one after another that only wrote things down, before the loop looks at what else came.
const PASSES_AT_ONCE: usize = 64;
/// The longest pause before a lost connection is tried again (CONTRACT section 6).
const RECONNECT_MOST: u32 = 60;
/// `run --once` gives an account up after so many tries in a row.
const RECONNECTS_ONCE: u32 = 5;
/// How often session files are looked for: a login shows within this.
const SESSIONS_EVERY: Duration = Duration::from_secs(1);
/// How often a file that Telegram forgot is uploaded anew in the life of a process.
const UPLOADS_AGAIN: u32 = 20;
/// The largest file that goes with a message: 50 MB, more than a picture or document of a campaign needs.
const MAX_MEDIA: u64 = 50 << 20;

/// Runs on the wall clock against Telegram.
///
/// # Errors
/// [`RunError`].
pub fn run(workspace: Workspace, options: RunOptions) -> Result<ExitKind, RunError> {
    let telegram: Arc<dyn Telegram> = Arc::new(crate::telegram::GrammersTelegram::default());
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
    let wait = if options.once || options.lookups_only { super::STATE_WAIT } else { Duration::ZERO };
    let core = Core::open(workspace, options.clock, Open::Daemon, wait)?;
    let mut engine = Engine::new(core, options, telegram);
    let ended = engine.run().await;
    engine.tasks.clear();
    let _ = std::fs::remove_file(engine.core.workspace.socket_path());
    let Engine { core, .. } = engine;
    let closed = core.close().await;
    let kind = ended?;
    closed?;
    Ok(kind)
}

struct Engine {
    core: Core,
    options: RunOptions,
    telegram: Arc<dyn Telegram>,
    tasks: BTreeMap<AccountName, AccountTask>,
    listening: std::collections::BTreeSet<AccountName>,
    tries: BTreeMap<AccountName, u32>,
    marked: std::collections::BTreeSet<AccountName>,
    media: HashMap<(AccountName, Attachment), MediaHandle>,
    uploads_again: BTreeMap<AccountName, u32>,
    reports: mpsc::UnboundedSender<(AccountName, Report)>,
    reports_rx: mpsc::UnboundedReceiver<(AccountName, Report)>,
    found: mpsc::Sender<(Which, Found)>,
    found_rx: mpsc::Receiver<(Which, Found)>,
    /// Labels of the look-ups under way, for the people they find.
    labels: BTreeMap<(Lineage, SourceId), String>,
    /// Told to stop at this moment.
    draining_since: Option<tokio::time::Instant>,
    sessions_looked: Option<tokio::time::Instant>,
    last_report: Timestamp,
}

enum Input {
    Report(AccountName, Report),
    Found(Which, Found),
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
        Engine {
            core,
            options,
            telegram,
            tasks: BTreeMap::new(),
            listening: std::collections::BTreeSet::new(),
            tries: BTreeMap::new(),
            marked: std::collections::BTreeSet::new(),
            media: HashMap::new(),
            uploads_again: BTreeMap::new(),
            reports,
            reports_rx,
            found,
            found_rx,
            labels: BTreeMap::new(),
            draining_since: None,
            sessions_looked: None,
            last_report: Timestamp::MIN,
        }
    }

    async fn run(&mut self) -> Result<ExitKind, RunError> {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        self.core.runtime.lookups_only = self.options.lookups_only;
        if self.options.once || self.options.lookups_only {
            self.core.runtime.once_since = Some(self.core.clock.now());
        }
        self.core.record(vec![Event::Started { version }], Durability::Now)?;
        self.core.reload()?;
        let (commands, mut commands_rx) = mpsc::channel(64);
        let listener = socket::bind(&self.core.workspace.socket_path())
            .map_err(|error| RunError::Socket(error.to_string()))?;
        let server = tokio::spawn(socket::serve(listener, commands));
        let mut watcher =
            crate::watch::Watcher::start(&self.core.workspace.root, vec![self.core.workspace.config_path.clone()]);
        let mut signals = Signals::new().map_err(|error| RunError::System(error.to_string()))?;
        tracing::info!(
            workspace = %self.core.workspace.root.display(),
            campaigns = self.core.desired.campaigns.len(),
            "the engine runs"
        );
        let ended = loop {
            self.accounts().await?;
            let plan = self.passes().await?;
            self.core.checkpoint(false)?;
            self.observe(&plan);
            if let Some(kind) = self.ended(&plan) {
                break kind;
            }
            let sleep = self.sleep(&plan);
            let first = tokio::select! {
                biased;
                _ = signals.term.recv() => Input::Stop,
                _ = signals.int.recv() => Input::Stop,
                () = stop_asked(self.options.stop.as_deref()) => Input::Stop,
                _ = signals.hup.recv() => Input::Reload,
                Some((name, report)) = self.reports_rx.recv() => Input::Report(name, report),
                Some((which, found)) = self.found_rx.recv() => Input::Found(which, found),
                Some((command, reply)) = commands_rx.recv() => Input::Command(command, reply),
                Some(_) = watcher.nudged() => Input::Nudge,
                () = tokio::time::sleep(sleep) => Input::Time,
            };
            let mut events = Vec::new();
            self.take(first, &mut events).await?;
            for _ in 0..REPORTS_AT_ONCE {
                let Ok((name, report)) = self.reports_rx.try_recv() else { break };
                self.report(&name, report, &mut events).await?;
            }
            self.write(&mut events)?;
        };
        server.abort();
        Ok(ended)
    }

    /// Takes one thing in.
    async fn take(&mut self, input: Input, events: &mut Vec<Event>) -> Result<(), RunError> {
        match input {
            Input::Report(name, report) => self.report(&name, report, events).await?,
            Input::Found(which, found) => self.found(which, found, events)?,
            Input::Command(command, reply) => {
                self.write(events)?;
                let answered = match command {
                    Command::Reload => {
                        self.reload()?;
                        answer::verdict(&self.core)
                    }
                    command => {
                        let (answered, events) = answer::answer(&self.core, command, true);
                        if !events.is_empty() {
                            self.core.record(events, Durability::Now)?;
                            // Whatever was asked for, what is in hand must answer to it.
                            self.call_off();
                        }
                        answered
                    }
                };
                let _ = reply.send(answered);
            }
            Input::Nudge | Input::Reload => {
                self.write(events)?;
                self.reload()?;
            }
            Input::Stop => {
                if self.draining_since.is_none() {
                    self.draining_since = Some(tokio::time::Instant::now());
                    self.core.runtime.draining = true;
                    self.call_off();
                    let left = self.core.runtime.executing.len();
                    tracing::info!(sends = left, "stopping: waits for the sends under way, at most 10 s");
                    if left > 0 {
                        eprintln!("Stopping: waits up to 10 s for {left} sends under way.");
                    }
                }
            }
            Input::Time => {}
        }
        Ok(())
    }

    fn write(&mut self, events: &mut Vec<Event>) -> Result<(), RunError> {
        if !events.is_empty() {
            self.core.record(std::mem::take(events), Durability::Soon)?;
        }
        Ok(())
    }

    /// Reads the workspace anew. What is in hand is called off and planned again: a limit of tidings.yaml may have
    /// changed as well as a spec.
    fn reload(&mut self) -> Result<(), RunError> {
        self.call_off();
        if self.core.reload()? {
            for campaign in self.core.desired.campaigns.values().filter(|c| c.spec.is_none()) {
                if let Some(first) = campaign.diagnostics.iter().find(|d| d.is_error()) {
                    tracing::warn!(campaign = %campaign.name, "{first}");
                }
            }
        }
        if !self.core.config_valid {
            tracing::warn!("tidings.yaml is invalid: the last good one goes on");
        }
        Ok(())
    }

    fn call_off(&mut self) {
        for task in self.tasks.values_mut() {
            task.call_off();
        }
        self.core.runtime.typing.clear();
    }

    /// Plans and performs until nothing is left that only needs writing down.
    async fn passes(&mut self) -> Result<Plan, RunError> {
        for _ in 0..PASSES_AT_ONCE {
            let plan = self.core.plan();
            if plan.actions.is_empty() {
                return Ok(plan);
            }
            let again = self.perform(plan.actions).await?;
            if !again {
                // The report is of after it; a report makes no texts, so what those wait for is in the plan alone.
                let mut report = self.core.plan_report();
                report.wake_at = [report.wake_at, plan.wake_at].into_iter().flatten().min();
                return Ok(report);
            }
        }
        let mut plan = self.core.plan_report();
        plan.wake_at = Some(self.core.clock.now());
        Ok(plan)
    }

    /// Carries actions out. Answers whether the state changed, so that planning again may find more.
    async fn perform(&mut self, actions: Vec<Action>) -> Result<bool, RunError> {
        let mut records = Vec::new();
        let mut sends: Vec<Intent> = Vec::new();
        let mut changed = false;
        for action in actions {
            match action {
                Action::Record(event) => records.push(event),
                Action::Judge { campaign } => {
                    records.extend(audience::judge(&self.core.inputs(), &campaign));
                }
                Action::LookUp { campaign, source, what, account, limit, label } => {
                    self.look_up(campaign, source, what, account, limit, label, &mut records)?;
                    changed = true;
                }
                Action::Resolve { account, person, reference, campaign } => {
                    if let Some(task) = self.tasks.get(&account) {
                        self.core.runtime.resolving.insert(account, person);
                        task.order(Order::Resolve { person, reference, campaign });
                    }
                }
                Action::Upload { account, media, campaign } => self.upload(account, media, campaign, &mut records),
                Action::Type { account, person, until } => {
                    let hash = self.hash_of(&account, person);
                    if let (Some(task), Some(access_hash)) = (self.tasks.get(&account), hash) {
                        task.order(Order::Type { person, access_hash });
                    }
                    self.core.runtime.typing.insert(account, (person, until));
                }
                Action::Send(send) => match self.intent_of(*send) {
                    Ok(intent) => sends.push(intent),
                    Err(Some(event)) => records.push(event),
                    Err(None) => {}
                },
                Action::Retry { key } => self.retry(key),
                Action::LookBack { key } => self.look_back(key),
            }
        }
        changed |= !records.is_empty();
        if records.iter().any(|event| matches!(event, Event::Stalled { .. } | Event::SelfPaused { .. })) {
            // The campaign stopped itself: nothing more may leave in its name.
            self.call_off();
        }
        self.core.record(records, Durability::Soon)?;
        self.send(sends).await?;
        Ok(changed)
    }

    /// People of a page whom a list or file names by username or phone: they are one, and need no look-up any more.
    /// What the stand-in's row knew (a CSV's columns) goes over to the person.
    fn recognised(&self, account: &AccountName, people: &[(PersonId, Person)]) -> Result<Vec<Event>, RunError> {
        let mut events = Vec::new();
        for (id, person) in people {
            let username = person.contact.username.as_ref().map(|name| Reference::Username(name.to_ascii_lowercase()));
            let phone = person.contact.phone.as_ref().map(|digits| Reference::Phone(digits.clone()));
            for reference in username.into_iter().chain(phone) {
                let stand_in = reference.person();
                let persons = &self.core.observed.persons;
                if persons.get(stand_in).is_none() || persons.resolve(stand_in) != stand_in {
                    continue;
                }
                if let Some(known) = self.core.people.get(stand_in) {
                    self.core.people.merge(vec![(*id, known)]).map_err(CoreError::from)?;
                }
                events.push(Event::Resolved { reference: stand_in, person: *id, account: account.clone() });
            }
        }
        Ok(events)
    }

    /// The account's own access hash of a person.
    fn hash_of(&self, account: &AccountName, person: PersonId) -> Option<i64> {
        self.core.people.get(person).and_then(|known| known.hashes.get(account).copied())
    }

    /// The bytes of a message. An error is what to write down instead.
    fn intent_of(&mut self, send: SendAction) -> Result<Intent, Option<Event>> {
        let person = send.key.person;
        let Some(hash) = self.hash_of(&send.account, person) else {
            return Err(Some(Event::Unreached { account: send.account, person }));
        };
        let media = match &send.media {
            None => None,
            Some(media) => match self.media.get(&(send.account.clone(), media.clone())) {
                Some(handle) => Some(handle),
                None => {
                    self.core.runtime.media.remove(&(send.account.clone(), media.clone()));
                    return Err(None);
                }
            },
        };
        let request = encode_send(person, hash, &send.message, send.link_preview, send.random_id, media);
        self.core.runtime.typing.remove(&send.account);
        Ok(Intent {
            key: send.key,
            account: send.account,
            random_id: send.random_id,
            run: send.run,
            variant: send.variant,
            digest: send.digest,
            attested: send.attested,
            request,
            next_allowed_at: self.core.clock.now() + send.gap,
        })
    }

    /// Intents first, all of this pass in one durable write; then the bytes.
    async fn send(&mut self, intents: Vec<Intent>) -> Result<(), RunError> {
        let mut ready = Vec::with_capacity(intents.len());
        for intent in intents {
            if self.mark_state(&intent.account) {
                ready.push(intent);
            }
        }
        if ready.is_empty() {
            return Ok(());
        }
        let orders: Vec<(AccountName, SendKey, Vec<u8>)> = ready
            .iter()
            .map(|intent| (intent.account.clone(), intent.key.clone(), intent.request.clone()))
            .collect();
        let events = ready.into_iter().map(|intent| Event::Intent(Box::new(intent))).collect();
        if let Some(appended) = self.core.record(events, Durability::Now)? {
            appended.durable().await.map_err(CoreError::from)?;
        }
        for (account, key, request) in orders {
            if let Some(task) = self.tasks.get(&account) {
                self.core.runtime.executing.insert(key.clone());
                task.send(key, request);
            }
        }
        Ok(())
    }

    fn retry(&mut self, key: SendKey) {
        let Some(flight) = self.core.observed.in_flight.get(&key) else { return };
        let (account, request) = (flight.intent.account.clone(), flight.intent.request.clone());
        if let Some(task) = self.tasks.get(&account) {
            self.core.runtime.executing.insert(key.clone());
            task.send(key, request);
        }
    }

    fn look_back(&mut self, key: SendKey) {
        let Some(flight) = self.core.observed.in_flight.get(&key) else { return };
        let account = flight.intent.account.clone();
        let Some(access_hash) = self.hash_of(&account, key.person) else { return };
        if let Some(task) = self.tasks.get(&account) {
            self.core.runtime.executing.insert(key.clone());
            task.order(Order::LookBack { key, access_hash });
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn look_up(
        &mut self,
        campaign: Lineage,
        source: SourceId,
        what: SourceKind,
        account: Option<AccountName>,
        limit: Option<u32>,
        label: String,
        records: &mut Vec<Event>,
    ) -> Result<(), RunError> {
        self.labels.insert((campaign.clone(), source), label.clone());
        records.push(Event::LookupStarted { campaign: campaign.clone(), source, account: account.clone() });
        match (&what, &account) {
            (_, Some(name)) => {
                let Some(task) = self.tasks.get(name) else { return Ok(()) };
                self.core.runtime.looking_up.insert((campaign.clone(), source, account.clone()));
                task.order(Order::LookUp { campaign, source, what, limit });
            }
            (SourceKind::List { people }, None) => {
                let people = lookups::of_list(people, &label);
                let ids: Vec<PersonId> = people.iter().map(|(id, _)| *id).collect();
                self.core.people.merge(people).map_err(CoreError::from)?;
                records.push(Event::LookupPage { campaign: campaign.clone(), source, account: None, people: ids });
                let end = LookupEnd { complete: true, admin: true, ..LookupEnd::default() };
                records.push(Event::LookupEnded { campaign, source, account: None, end });
            }
            (SourceKind::File { path, .. }, None) => {
                self.core.runtime.looking_up.insert((campaign.clone(), source, None));
                let which = (campaign, source);
                let tell = self.found.clone();
                match self.core.workspace.files().open(path) {
                    Ok(opened) => {
                        tokio::task::spawn_blocking(move || {
                            lookups::of_file(opened, &what, limit, &label, &which, &tell);
                        });
                    }
                    Err(error) => {
                        let end = LookupEnd {
                            error: Some(format!("{path}: {error}")),
                            admin: true,
                            ..LookupEnd::default()
                        };
                        tokio::spawn(async move {
                            let _ = tell.send((which, Found::End(end))).await;
                        });
                    }
                }
            }
            // The planner holds campaigns with other sources.
            (_, None) => {}
        }
        Ok(())
    }

    fn upload(&mut self, account: AccountName, media: Attachment, campaign: Lineage, records: &mut Vec<Event>) {
        let read = self.core.workspace.files().read(&media.path, MAX_MEDIA);
        match (read, self.tasks.get(&account)) {
            (Ok(bytes), Some(task)) => {
                self.core.runtime.uploading.insert((account.clone(), media.clone()));
                task.order(Order::Upload { media, bytes: bytes.to_vec(), campaign });
            }
            (Err(error), _) => records.push(Event::Stalled {
                campaign,
                why: crate::model::StallReason {
                    reason: "MediaUnreadable".to_owned(),
                    message: format!("{} cannot be read: {error}.", media.path),
                },
            }),
            (Ok(_), None) => {}
        }
    }

    /// Something that a file source found.
    fn found(&mut self, which: Which, found: Found, events: &mut Vec<Event>) -> Result<(), RunError> {
        let (campaign, source) = which;
        match found {
            Found::Page(people) => {
                let ids = people.iter().map(|(id, _)| *id).collect();
                self.core.people.merge(people).map_err(CoreError::from)?;
                events.push(Event::LookupPage { campaign, source, account: None, people: ids });
            }
            Found::End(end) => {
                self.core.runtime.looking_up.remove(&(campaign.clone(), source, None));
                events.push(Event::LookupEnded { campaign, source, account: None, end });
            }
        }
        Ok(())
    }

    /// What an account's task tells.
    async fn report(&mut self, name: &AccountName, report: Report, events: &mut Vec<Event>) -> Result<(), RunError> {
        let now = self.core.clock.now();
        match report {
            Report::Sent { key, result } => {
                self.core.runtime.executing.remove(&key);
                // What was folded so far decides, so everything before this must be folded.
                self.write(events)?;
                let verdict = outcome::of_send(&self.core.observed, &key, result, now);
                if verdict.upload_again {
                    let again = self.uploads_again.entry(name.clone()).or_insert(0);
                    *again += 1;
                    if *again > UPLOADS_AGAIN {
                        events.push(Event::Stalled {
                            campaign: key.lineage.clone(),
                            why: crate::model::StallReason {
                                reason: "MediaRefused".to_owned(),
                                message: "Telegram does not accept the uploaded file, however often it is uploaded."
                                    .to_owned(),
                            },
                        });
                    }
                    self.media.retain(|(account, _), _| account != name);
                    self.core.runtime.media.retain(|(account, _)| account != name);
                }
                let stops = verdict.events.iter().any(|event| {
                    matches!(
                        event,
                        Event::FloodWait { .. }
                            | Event::Limited { .. }
                            | Event::AccountChanged { .. }
                            | Event::Stalled { .. }
                            | Event::Suppressed { .. }
                    )
                });
                events.extend(verdict.events);
                if let Some(why) = verdict.link_lost {
                    self.link_lost(name, why);
                }
                if stops && let Some(task) = self.tasks.get_mut(name) {
                    task.call_off();
                }
            }
            Report::NotTried { key } => {
                self.core.runtime.executing.remove(&key);
                let doubted = self.core.observed.in_flight.get(&key).is_some_and(|flight| flight.doubt.is_some());
                if !doubted {
                    let detail = "called off before it left".to_owned();
                    events.push(Event::Released { key, keep: false, detail });
                }
            }
            Report::Me(result) => self.me(name, result, events)?,
            Report::Page { campaign, source, people } => {
                let label = self.labels.get(&(campaign.clone(), source)).cloned();
                let people: Vec<(PersonId, Person)> =
                    people.into_iter().filter(|met| !met.min).filter_map(|met| person_of(met, label.as_deref())).collect();
                let ids = people.iter().map(|(id, _)| *id).collect();
                let merged = self.recognised(name, &people)?;
                self.core.people.merge(people).map_err(CoreError::from)?;
                events.push(Event::LookupPage { campaign, source, account: Some(name.clone()), people: ids });
                events.extend(merged);
            }
            Report::PageWaits { seconds } => {
                events.push(outcome::flood(name, CallClass::LookUp, seconds, now));
            }
            Report::LookedUp { campaign, source, result } => {
                self.core.runtime.looking_up.remove(&(campaign.clone(), source, Some(name.clone())));
                self.looked_up(name, campaign, source, result, events);
            }
            Report::Resolved { person, reference, campaign, result } => {
                self.core.runtime.resolving.remove(name);
                self.resolved(name, person, reference, campaign, result, events)?;
            }
            Report::Uploaded { media, campaign, result } => {
                let key = (name.clone(), media);
                self.core.runtime.uploading.remove(&key);
                match result {
                    Ok(handle) => {
                        self.media.insert(key.clone(), handle);
                        self.core.runtime.media.insert(key);
                    }
                    Err(CallError::Rpc(fault)) => match react(&fault) {
                        Reaction::Wait { seconds } => {
                            events.push(outcome::flood(name, CallClass::Send, seconds, now));
                        }
                        Reaction::LoseAccount(state) => events.push(Event::AccountChanged {
                            account: name.clone(),
                            state,
                            message: outcome::lost(name, state, &fault.message),
                        }),
                        _ => events.push(Event::Stalled {
                            campaign,
                            why: crate::model::StallReason {
                                reason: "MediaRefused".to_owned(),
                                message: format!("Telegram refused the file {}: {}.", key.1.path, fault.message),
                            },
                        }),
                    },
                    Err(error) => self.link_lost(name, error.to_string()),
                }
            }
            Report::LookedBack { key, result } => {
                self.core.runtime.executing.remove(&key);
                self.write(events)?;
                let text = self.core.observed.in_flight.get(&key).and_then(|flight| text_of(&flight.intent.request));
                events.extend(outcome::of_look_back(&self.core.observed, &key, text.as_deref(), result, now));
            }
            Report::Received(received) => self.received(name, received, events)?,
            Report::Panicked(why) => {
                tracing::error!(account = %name, "{why}");
                self.abandon(name, events);
                self.link_lost(name, why);
            }
        }
        Ok(())
    }

    /// A task broke off: what it had in hand is in doubt, what it looked up begins anew.
    fn abandon(&mut self, name: &AccountName, events: &mut Vec<Event>) {
        let observed = &self.core.observed;
        let lost: Vec<SendKey> = self
            .core
            .runtime
            .executing
            .iter()
            .filter(|key| observed.in_flight.get(*key).is_some_and(|flight| flight.intent.account == *name))
            .cloned()
            .collect();
        for key in lost {
            self.core.runtime.executing.remove(&key);
            events.push(Event::InDoubt { key, why: InDoubtWhy::Connection });
        }
        self.core.runtime.looking_up.retain(|(_, _, account)| account.as_ref() != Some(name));
        self.core.runtime.resolving.remove(name);
        self.core.runtime.uploading.retain(|(account, _)| account != name);
    }

    /// The connection is tried again after a pause that doubles.
    fn link_lost(&mut self, name: &AccountName, message: String) {
        let tries = self.tries.entry(name.clone()).or_insert(0);
        *tries += 1;
        let pause = Duration::from_secs(u64::from((1u32 << (*tries - 1).min(6)).min(RECONNECT_MOST)));
        // Real seconds, whatever the clock's speed: the network has its own.
        let retry_at = self.core.clock.now() + pause.mul_f64(pause_scale(&self.core.clock));
        tracing::warn!(account = %name, %message, "the connection is lost; tried again in {pause:?}");
        self.core.runtime.links.insert(name.clone(), Link::Unreachable { message, retry_at });
    }

    fn me(&mut self, name: &AccountName, result: Result<Me, CallError>, events: &mut Vec<Event>) -> Result<(), RunError> {
        let now = self.core.clock.now();
        match result {
            Ok(me) => {
                self.tries.remove(name);
                let known = self.core.observed.accounts.get(name);
                if known.and_then(|known| known.person) != Some(me.id) {
                    events.push(Event::AccountIs { account: name.clone(), person: me.id });
                }
                if known.is_some_and(|known| known.trouble.is_some()) {
                    events.push(Event::AccountChanged {
                        account: name.clone(),
                        state: AccountState::Ready,
                        message: String::new(),
                    });
                }
                let Some(task) = self.tasks.get(name) else { return Ok(()) };
                let link = if self.state_is_ours(name) {
                    Link::Ready {
                        random_key: task.client().random_key(),
                        first_name: me.first_name,
                        username: me.username,
                    }
                } else {
                    Link::StateLost
                };
                self.core.runtime.links.insert(name.clone(), link);
            }
            Err(CallError::KeyUnknown) => {
                events.push(Event::AccountChanged {
                    account: name.clone(),
                    state: AccountState::Unauthorized,
                    message: outcome::lost(name, AccountState::Unauthorized, "404: the key is unknown"),
                });
                self.core.runtime.links.insert(name.clone(), Link::Connecting);
                self.parked(name);
            }
            Err(CallError::Rpc(fault)) => match react(&fault) {
                Reaction::LoseAccount(state) => {
                    events.push(Event::AccountChanged {
                        account: name.clone(),
                        state,
                        message: outcome::lost(name, state, &fault.message),
                    });
                    self.parked(name);
                }
                Reaction::Wait { seconds } => {
                    events.push(outcome::flood(name, CallClass::LookUp, seconds, now));
                    self.link_lost(name, fault.to_string());
                }
                _ => self.link_lost(name, fault.to_string()),
            },
            Err(error) => self.link_lost(name, error.to_string()),
        }
        Ok(())
    }

    /// The account is out of work until a person does something: it is not `Connecting` any more.
    fn parked(&mut self, name: &AccountName) {
        let message = "it waits for a login".to_owned();
        self.core.runtime.links.insert(name.clone(), Link::Unreachable { message, retry_at: Timestamp::MAX });
    }

    fn looked_up(
        &mut self,
        name: &AccountName,
        campaign: Lineage,
        source: SourceId,
        result: Result<LookedUp, CallError>,
        events: &mut Vec<Event>,
    ) {
        let end = match result {
            Ok(done) => LookupEnd {
                complete: done.partial.is_none(),
                error: None,
                partial: done.partial,
                admin: done.admin,
                bad_rows: 0,
            },
            Err(error) => {
                match &error {
                    CallError::Rpc(fault) => {
                        if let Reaction::LoseAccount(state) = react(fault) {
                            events.push(Event::AccountChanged {
                                account: name.clone(),
                                state,
                                message: outcome::lost(name, state, &fault.message),
                            });
                        }
                    }
                    CallError::KeyUnknown => events.push(Event::AccountChanged {
                        account: name.clone(),
                        state: AccountState::Unauthorized,
                        message: outcome::lost(name, AccountState::Unauthorized, "404: the key is unknown"),
                    }),
                    CallError::InDoubt { .. } | CallError::NotSent { .. } => self.link_lost(name, error.to_string()),
                    _ => {}
                }
                LookupEnd { error: Some(error.to_string()), ..LookupEnd::default() }
            }
        };
        events.push(Event::LookupEnded { campaign, source, account: Some(name.clone()), end });
    }

    fn resolved(
        &mut self,
        name: &AccountName,
        person: PersonId,
        reference: Reference,
        campaign: Lineage,
        result: Result<crate::telegram::Met, CallError>,
        events: &mut Vec<Event>,
    ) -> Result<(), RunError> {
        let now = self.core.clock.now();
        let skip = |outcome, detail: String| {
            // Of somebody who is known already this was the second look: he exists, and cannot be addressed.
            let outcome = if person.is_user() { crate::model::Outcome::Unreachable } else { outcome };
            Event::Skipped { campaign: campaign.clone(), person, step: 0, outcome, detail }
        };
        match result {
            Ok(met) => {
                let Some((id, mut known)) = person_of(met, None) else { return Ok(()) };
                if person.is_user() && id != person {
                    // The username changed hands: he is somebody else now.
                    self.core.people.merge(vec![(id, known)]).map_err(CoreError::from)?;
                    events.push(skip(
                        crate::model::Outcome::Unreachable,
                        format!("{reference} belongs to somebody else now"),
                    ));
                    return Ok(());
                }
                if !known.hashes.contains_key(name) {
                    let detail = format!("Telegram tells {name} who {reference} is, but not how to address him");
                    events.push(skip(crate::model::Outcome::Unreachable, detail));
                    return Ok(());
                }
                // What the reference's row knew (a CSV's columns) goes over to the person.
                if id != person && let Some(stand_in) = self.core.people.get(person) {
                    let mut all = stand_in;
                    all.merge(known);
                    known = all;
                }
                if !known.references.contains(&reference) {
                    known.references.push(reference);
                }
                self.core.people.merge(vec![(id, known)]).map_err(CoreError::from)?;
                events.push(Event::Resolved { reference: person, person: id, account: name.clone() });
            }
            Err(CallError::NotAPerson(_)) => {
                events.push(skip(crate::model::Outcome::NotFound, format!("{reference} is a group or channel")));
            }
            Err(CallError::NotMet(_)) => {
                events.push(skip(crate::model::Outcome::Unreachable, format!("{name} has not met {reference}")));
            }
            Err(CallError::Rpc(fault)) => match react(&fault) {
                Reaction::Wait { seconds } => events.push(outcome::flood(name, CallClass::LookUp, seconds, now)),
                Reaction::LoseAccount(state) => events.push(Event::AccountChanged {
                    account: name.clone(),
                    state,
                    message: outcome::lost(name, state, &fault.message),
                }),
                Reaction::SkipRecipient { outcome, .. } => events.push(skip(outcome, fault.message)),
                Reaction::InDoubt => self.link_lost(name, fault.to_string()),
                _ => events.push(skip(crate::model::Outcome::Failed, fault.message)),
            },
            Err(CallError::KeyUnknown) => {
                events.push(Event::AccountChanged {
                    account: name.clone(),
                    state: AccountState::Unauthorized,
                    message: outcome::lost(name, AccountState::Unauthorized, "404: the key is unknown"),
                });
            }
            Err(error) => self.link_lost(name, error.to_string()),
        }
        Ok(())
    }

    /// A private message, or where the account stands in Telegram's updates.
    fn received(&mut self, name: &AccountName, received: Received, events: &mut Vec<Event>) -> Result<(), RunError> {
        let at = |state: UpdatesState| Event::UpdatesAt {
            account: name.clone(),
            pts: state.pts,
            qts: state.qts,
            date: state.date,
            seq: state.seq,
        };
        match received {
            Received::State(state) => events.push(at(state)),
            Received::Message(incoming) => {
                self.write(events)?;
                let incoming = *incoming;
                let person = incoming.person;
                let observed = &self.core.observed;
                let handled = observed
                    .handle(person)
                    .and_then(|handle| observed.contacted.get(&handle.0))
                    .zip(observed.account_index(name))
                    .and_then(|(contacted, index)| contacted.handled.get(&index))
                    .is_some_and(|last| incoming.message_id <= *last);
                let own = observed.handle(person).is_some_and(|handle| observed.own.contains(handle.0));
                if !handled && !own {
                    if let Some(contact) = incoming.contact {
                        self.core.people.merge(vec![(person, contact)]).map_err(CoreError::from)?;
                    }
                    let keywords = &self.core.desired.engine.opt_out.keywords;
                    let opts_out = crate::text::is_opt_out(&incoming.text, keywords);
                    events.push(Event::Incoming {
                        account: name.clone(),
                        person,
                        message_id: incoming.message_id,
                    });
                    if opts_out {
                        events.push(Event::OptedOut { person, account: Some(name.clone()) });
                        // He must not get what is already in hand.
                        self.call_off();
                    }
                }
                if let Some(state) = incoming.state {
                    events.push(at(state));
                }
            }
        }
        Ok(())
    }

    /// Opens accounts that are wanted, closes those that are not, tries lost connections again.
    async fn accounts(&mut self) -> Result<(), RunError> {
        let now = self.core.clock.now();
        let wanted: Vec<AccountName> = self.core.desired.engine.accounts.keys().cloned().collect();
        let gone: Vec<AccountName> = self.tasks.keys().filter(|name| !wanted.contains(*name)).cloned().collect();
        for name in gone {
            self.close(&name)?;
        }
        let look = self.sessions_looked.is_none_or(|at| at.elapsed() >= SESSIONS_EVERY);
        if look {
            self.sessions_looked = Some(tokio::time::Instant::now());
        }
        for name in wanted {
            let link = self.core.runtime.links.get(&name).cloned();
            match link {
                None => self.open(&name).await?,
                Some(Link::Missing | Link::NotConfigured) if look => self.open(&name).await?,
                Some(Link::Unreachable { retry_at, message }) if retry_at <= now => {
                    if self.options.once
                        && self.tries.get(&name).copied().unwrap_or(0) >= RECONNECTS_ONCE
                    {
                        self.core.runtime.links.insert(
                            name.clone(),
                            Link::Unreachable { message, retry_at: Timestamp::MAX },
                        );
                    } else if let Some(task) = self.tasks.get(&name) {
                        self.core.runtime.links.insert(name.clone(), Link::Connecting);
                        task.order(Order::Me);
                    } else {
                        self.open(&name).await?;
                    }
                }
                Some(Link::StateLost) if look && self.state_is_ours(&name) => {
                    if let Some(task) = self.tasks.get(&name) {
                        self.core.runtime.links.insert(name.clone(), Link::Connecting);
                        task.order(Order::Me);
                    }
                }
                Some(_) if look && self.tasks.contains_key(&name) => {
                    if !self.core.workspace.session_path(&name).is_file() {
                        tracing::warn!(account = %name, "its session file is gone");
                        self.close(&name)?;
                        self.core.runtime.links.insert(name.clone(), Link::Missing);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn close(&mut self, name: &AccountName) -> Result<(), RunError> {
        let mut events = Vec::new();
        self.abandon(name, &mut events);
        self.write(&mut events)?;
        self.tasks.remove(name);
        self.listening.remove(name);
        self.core.runtime.links.remove(name);
        self.media.retain(|(account, _), _| account != name);
        self.core.runtime.media.retain(|(account, _)| account != name);
        Ok(())
    }

    async fn open(&mut self, name: &AccountName) -> Result<(), RunError> {
        let engine = &self.core.desired.engine;
        let (Some(api_id), Some(api_hash)) = (engine.api_id, &engine.api_hash) else {
            self.core.runtime.links.insert(name.clone(), Link::NotConfigured);
            return Ok(());
        };
        let path = self.core.workspace.session_path(name);
        if !path.is_file() {
            self.core.runtime.links.insert(name.clone(), Link::Missing);
            return Ok(());
        }
        let mut config = AccountConfig::new(name.clone(), path, api_id, Secret::new(api_hash.expose()));
        config.proxy = engine
            .accounts
            .get(name)
            .and_then(|account| account.proxy.as_ref())
            .map(|proxy| Secret::new(proxy.expose()));
        match self.telegram.open(config).await {
            Ok(client) => {
                let task = AccountTask::start(client, self.reports.clone());
                let from = self
                    .core
                    .observed
                    .accounts
                    .get(name)
                    .and_then(|account| account.updates)
                    .map(|(pts, qts, date, seq)| UpdatesState { pts, qts, date, seq });
                if self.listening.insert(name.clone()) {
                    task.order(Order::Listen { from });
                }
                task.order(Order::Me);
                self.tasks.insert(name.clone(), task);
                self.core.runtime.links.insert(name.clone(), Link::Connecting);
            }
            Err(error) => self.link_lost(name, error.to_string()),
        }
        Ok(())
    }

    /// Whether the account was last used with this state (or never with one).
    fn state_is_ours(&self, name: &AccountName) -> bool {
        let path = self.core.workspace.state_mark_path(name);
        match (std::fs::read_to_string(&path), self.core.state_id()) {
            (Ok(mark), Some(ours)) => mark.trim() == ours,
            (Err(error), _) if error.kind() == std::io::ErrorKind::NotFound => true,
            _ => false,
        }
    }

    /// Before an account's first send the state's id is written beside its session, so that a lost state is noticed.
    fn mark_state(&mut self, name: &AccountName) -> bool {
        if self.marked.contains(name) {
            return true;
        }
        let Some(id) = self.core.state_id() else { return false };
        let path = self.core.workspace.state_mark_path(name);
        if path.is_file() && self.state_is_ours(name) {
            self.marked.insert(name.clone());
            return true;
        }
        match write_durably(&path, &id) {
            Ok(()) => {
                self.marked.insert(name.clone());
                true
            }
            Err(error) => {
                let message = format!(
                    "{} cannot be written ({error}): without it a lost state could send twice",
                    path.display()
                );
                tracing::error!(account = %name, "{message}");
                let retry_at = self.core.clock.now() + Duration::from_secs(30);
                self.core.runtime.links.insert(name.clone(), Link::Unreachable { message, retry_at });
                false
            }
        }
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
        let mut sleep = if at <= now { Duration::from_millis(1) } else { self.core.clock.until(at) };
        if self.core.runtime.links.values().any(|link| matches!(link, Link::Missing)) || !self.tasks.is_empty() {
            sleep = sleep.min(SESSIONS_EVERY * 2);
        }
        if let Some(since) = self.draining_since {
            sleep = sleep.min(DRAIN.saturating_sub(since.elapsed())).min(Duration::from_millis(100));
        }
        sleep
    }

    /// Whether the run is over.
    fn ended(&mut self, plan: &Plan) -> Option<ExitKind> {
        let runtime = &self.core.runtime;
        if let Some(since) = self.draining_since {
            if runtime.executing.is_empty() {
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
            || runtime.links.values().any(|link| matches!(link, Link::Connecting))
            || !self.reports_rx.is_empty();
        if busy {
            return None;
        }
        let now = self.core.clock.now();
        let until = now + self.options.horizon.unwrap_or(HORIZON);
        let mut next = plan.wake_at.unwrap_or(Timestamp::MAX);
        for link in runtime.links.values() {
            if let Link::Unreachable { retry_at, .. } = link {
                next = next.min(*retry_at);
            }
        }
        if next <= until && !self.options.lookups_only {
            return None;
        }
        let inputs = self.core.inputs();
        let report = crate::status::report(&inputs, plan, answer::daemon_info(&self.core, true));
        Some(if crate::status::needs_person(&report) { ExitKind::NeedsPerson } else { ExitKind::Done })
    }

    /// Shows the state to whoever displays progress, at most ten times a second.
    fn observe(&mut self, plan: &Plan) {
        let Some(observer) = &self.options.observer else { return };
        let now = self.core.clock.now();
        if now.since(self.last_report) < Duration::from_millis(100).mul_f64(pause_scale(&self.core.clock)) {
            return;
        }
        self.last_report = now;
        let report = crate::status::report(&self.core.inputs(), plan, answer::daemon_info(&self.core, true));
        if let Ok(value) = serde_json::to_value(&report) {
            let _ = observer.send(value);
        }
    }
}

/// How much of the clock's time a real second is.
fn pause_scale(clock: &Clock) -> f64 {
    1.0 / clock.real(Duration::from_secs(1)).as_secs_f64().max(1e-6)
}

/// Writes a small file so that it outlives a power cut.
fn write_durably(path: &std::path::Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let beside = path.with_extension("state.new");
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    if let Some(folder) = path.parent() {
        std::fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
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

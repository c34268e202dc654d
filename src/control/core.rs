//! The state, what is wanted, and the journal between them: what the daemon and a command without one share.

use std::collections::BTreeMap;
use std::time::Duration;

use super::operator::suppressed::changes_suppression;
use super::people_store::PeopleStore;
use super::requests;
use super::versions::Versions;
use super::{Clock, Workspace};
use crate::desired::{Desired, DesiredCampaign, History, Known, Resolution};
use crate::model::{AccountName, Event, Lineage, Outcome, Recorded};
use crate::observed::{Observed, fold};
use crate::plan::{Inputs, Link, Plan, Planner, Runtime, plan};
use crate::spec::Diagnostic;
use crate::store::{Access, Appended, Durability, Options, Store, StoreError, StoreHandle};

/// Events after which a checkpoint is worth its writing: a start reads some 500,000 events a second.
const CHECKPOINT_EVERY: u64 = 100_000;

/// Why the state cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CoreError {
    /// The store's own sentence.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The checkpoint is of another kind.
    #[error(
        "the state's checkpoint cannot be read ({0}); restore a backup, or use the Tidings that wrote it"
    )]
    Checkpoint(String),
    /// `tidings.yaml` is broken.
    #[error("tidings.yaml is invalid")]
    Config(Vec<Diagnostic>),
}

/// Where events go.
enum Journal {
    /// There is no state, and nobody may make one.
    None,
    /// For reading.
    Reading(Store<Recorded>),
    /// A command that changes something.
    Direct(Store<Recorded>),
    /// The daemon.
    Daemon(StoreHandle<Recorded>),
}

/// How a core is to be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Open {
    /// To look; makes nothing.
    Read,
    /// To change something and leave.
    Write,
    /// To run.
    Daemon,
    /// As [`Open::Read`], also where the newest events are gone.
    ReadRest,
    /// As [`Open::Write`], also where the newest events are gone: what is recorded next accepts that.
    WriteRest,
}

impl Open {
    fn reads(self) -> bool {
        matches!(self, Open::Read | Open::ReadRest)
    }
}

/// What is, what is wanted, and what is under way.
pub struct Core {
    /// The folder.
    pub workspace: Workspace,
    /// The time.
    pub clock: Clock,
    /// What is.
    pub observed: Observed,
    /// What is wanted.
    pub desired: Desired,
    /// Counts the times that it was read.
    pub(super) readings: u64,
    /// Whether any campaign or account has somebody who answers: else nobody needs to know what was said.
    pub(super) anybody_answers: bool,
    /// What is wrong with it.
    pub diagnostics: Vec<Diagnostic>,
    /// What is under way.
    pub runtime: Runtime,
    pub(super) planner: Planner,
    /// Whether the last tidings.yaml could be used.
    pub config_valid: bool,
    pub(crate) people: PeopleStore,
    /// The loop's heartbeat, where a loop runs.
    pub(super) pulse: std::sync::Arc<super::pulse::Pulse>,
    /// The commit of each spec's file.
    pub(super) commits: super::commits::Commits,
    journal: Journal,
    /// The last valid version of each campaign, for `on_invalid: continue`.
    pub(super) versions: Versions,
    checkpointed: u64,
    pub(super) marks: super::marks::Marks,
    /// Events that were durable once and are gone.
    pub(super) lost: u64,
    /// Sources are asked for a plan: nothing but what they named is written down (see `refresh`).
    pub(super) looks_only: bool,
}

impl Core {
    /// Opens the state and reads the workspace.
    pub(crate) fn open(
        workspace: Workspace,
        clock: Clock,
        how: Open,
        wait: Duration,
    ) -> Result<Core, CoreError> {
        // Before anything is made: what cannot be read begins nothing.
        if how == Open::Daemon {
            let first = workspace.resolve(&History::default(), None);
            if !first.engine_valid {
                return Err(CoreError::Config(first.diagnostics));
            }
        }
        let access = match how {
            Open::Read | Open::ReadRest => Access::Read,
            Open::Write | Open::WriteRest | Open::Daemon => Access::Write {
                new_id: rand::random(),
                now_ms: clock.now().millis(),
            },
        };
        let options = Options {
            accept_loss: matches!(how, Open::ReadRest | Open::WriteRest),
            ..Options::new(access, wait)
        };
        let mut lost = 0;
        let opened = Store::<Recorded>::open(&workspace.state_dir, options);
        let store = match opened {
            Ok((store, report)) => {
                tell(&report);
                lost = report.lost;
                Some(store)
            }
            Err(StoreError::NotFound { .. }) if how.reads() => None,
            Err(error) => return Err(error.into()),
        };
        let mut observed = Observed::default();
        let mut checkpointed = 0;
        if let Some(store) = &store {
            let loaded = store.load()?;
            for damaged in &loaded.damaged {
                tracing::warn!(%damaged, "a checkpoint is damaged; an older one is used");
            }
            if let Some(checkpoint) = loaded.checkpoint {
                observed = rmp_serde::from_read(checkpoint.reader())
                    .map_err(|error| CoreError::Checkpoint(error.to_string()))?;
                checkpointed = checkpoint.seq;
            }
            for row in loaded.events {
                let (seq, recorded) = row?;
                fold(&mut observed, seq, &recorded);
            }
            requests::after_load(store, &mut observed)?;
        }
        let people = PeopleStore::new(
            store.as_ref().map(Store::people),
            store.as_ref().map(Store::conversations),
        );
        let versions = Versions::of(store.as_ref());
        let journal = match (store, how) {
            (None, _) => Journal::None,
            (Some(store), Open::Read | Open::ReadRest) => Journal::Reading(store),
            (Some(store), Open::Write | Open::WriteRest) => Journal::Direct(store),
            (Some(store), Open::Daemon) => Journal::Daemon(StoreHandle::start(store)?),
        };
        let resolution =
            workspace.resolve_with(&history(&observed), None, Some(&|name| versions.get(name)));
        if how == Open::Daemon && !resolution.engine_valid {
            return Err(CoreError::Config(resolution.diagnostics));
        }
        let mut core = Core {
            workspace,
            clock,
            observed,
            desired: Desired::default(),
            readings: 0,
            anybody_answers: false,
            diagnostics: Vec::new(),
            runtime: Runtime::default(),
            planner: Planner::default(),
            config_valid: true,
            people,
            pulse: std::sync::Arc::default(),
            commits: super::commits::Commits::default(),
            journal,
            versions,
            checkpointed,
            marks: super::marks::Marks::default(),
            lost,
            looks_only: false,
        };
        core.commits = super::commits::Commits::read(&core.workspace.root);
        core.people.suppress(&core.observed.suppression);
        core.accept(resolution);
        core.look_at_marks()?;
        if how != Open::Daemon {
            core.idle_links();
        }
        Ok(core)
    }

    /// The accounts as they look while no daemon runs.
    fn idle_links(&mut self) {
        let engine = &self.desired.engine;
        // A broken tidings.yaml may well say what seems to be missing.
        let lacks = !engine.spec.unknown && (engine.api_id.is_none() || engine.api_hash.is_none());
        for name in engine.accounts.keys() {
            let link = if lacks {
                Link::NotConfigured
            } else if !self.workspace.session_path(name).is_file() {
                Link::Missing
            } else if let Some(message) =
                crate::telegram::no_session(&self.workspace.session_path(name))
            {
                Link::Unusable { message }
            } else if crate::telegram::is_sealed(&self.workspace.session_path(name))
                && !self.workspace.vault.has_passphrase()
            {
                Link::Locked {
                    message: crate::telegram::Vault::missing(),
                }
            } else if !self.state_is_ours(name) {
                Link::StateLost {
                    older: self.is_older(),
                }
            } else {
                Link::Idle
            };
            self.runtime.links.insert(name.clone(), link);
        }
        self.idle_twins();
    }

    /// Two names of one person, as far as is known: the one that came later is held.
    fn idle_twins(&mut self) {
        let mut first: BTreeMap<crate::model::PersonId, AccountName> = BTreeMap::new();
        for (name, known) in &self.observed.accounts {
            let (Some(person), Some(Link::Idle)) = (known.person, self.runtime.links.get(name))
            else {
                continue;
            };
            match first.get(&person) {
                None => {
                    first.insert(person, name.clone());
                }
                Some(first) => {
                    let twin = Link::Twin {
                        first: first.clone(),
                    };
                    self.runtime.links.insert(name.clone(), twin);
                }
            }
        }
    }

    fn accept(&mut self, resolution: Resolution) {
        self.config_valid = resolution.engine_valid;
        self.pulse.reloaded(
            resolution.desired.folder_error.is_none()
                && !resolution.diagnostics.iter().any(Diagnostic::is_error),
        );
        self.diagnostics = resolution.diagnostics;
        self.desired = resolution.desired;
        self.readings += 1;
        let specs = self.desired.campaigns.values();
        let mut specs = specs.filter_map(|campaign| campaign.spec.as_ref());
        let mut settings = self.desired.engine.accounts.values();
        self.anybody_answers = specs.any(|spec| spec.ai_role.is_some())
            || settings.any(|settings| settings.ai_role.is_some());
    }

    /// Reads the workspace anew and writes down what changed. Answers whether anything did.
    pub(crate) fn reload(&mut self) -> Result<bool, CoreError> {
        let resolution = self.workspace.resolve_with(
            &history(&self.observed),
            Some(&self.desired),
            Some(&|name| self.versions.get(name)),
        );
        self.accept(resolution);
        self.note_changes()
    }

    /// Writes down what changed since the workspace was last read. Answers whether anything did.
    pub(crate) fn note_changes(&mut self) -> Result<bool, CoreError> {
        if self.writes()
            && self.versions.keep(&self.desired, &self.observed)?
            && let Some(store) = self.store()
        {
            store.sync_database()?;
        }
        let events = changes(&self.desired, &self.observed);
        let bad_files = self.bad_files();
        let changed = !events.is_empty();
        let facts = super::operator::spec_facts(self, &events);
        let settings: Vec<Event> = super::settings::seen(self).into_iter().collect();
        self.record(
            [settings, events, facts, bad_files].concat(),
            Durability::Now,
        )?;
        if !changed {
            return Ok(false);
        }
        self.commits = super::commits::Commits::read(&self.workspace.root);
        Ok(true)
    }

    /// Files that are no campaign's own and became unusable, otherwise so, or usable again.
    fn bad_files(&self) -> Vec<Event> {
        let known = &self.observed.invalid_files;
        let mut events: Vec<Event> = Vec::new();
        for bad in &self.desired.invalid_files {
            if known.get(&bad.file).is_none_or(|k| k.error != bad.message) {
                events.push(Event::FileChecked {
                    file: bad.file.clone(),
                    campaign: bad.campaign.as_ref().map(|(_, line)| line.clone()),
                    error: Some(bad.message.clone()),
                });
            }
        }
        let folder = self.desired.folder_error.as_ref();
        if let Some(error) = folder
            && known
                .get(Event::CAMPAIGNS)
                .is_none_or(|known| known.error != *error)
        {
            events.push(Event::FileChecked {
                file: Event::CAMPAIGNS.to_owned(),
                campaign: None,
                error: Some(error.clone()),
            });
        }
        for (file, was) in known {
            // Of a folder that cannot be read nobody knows what it holds.
            let unknown = (was.campaign.is_some() || file == Event::CAMPAIGNS) && folder.is_some();
            if !unknown && !self.desired.invalid_files.iter().any(|b| b.file == *file) {
                events.push(Event::FileChecked {
                    file: file.clone(),
                    campaign: was.campaign.clone(),
                    error: None,
                });
            }
        }
        events
    }

    /// Writes events down and folds them. With [`Durability::Now`], await the answer before acting on them.
    pub(crate) fn record(
        &mut self,
        events: Vec<Event>,
        durability: Durability,
    ) -> Result<Option<Appended>, CoreError> {
        // Whoever turned up and stands on the suppression list is suppressed before anything is done about him.
        let events = self.with_suppressed(events);
        if self.looks_only {
            return self.record_found(events, durability);
        }
        self.append(events, durability)
    }

    pub(super) fn append(
        &mut self,
        events: Vec<Event>,
        durability: Durability,
    ) -> Result<Option<Appended>, CoreError> {
        if events.is_empty() {
            return Ok(None);
        }
        // Events outlive a SIGKILL at once, people do not. What says that people were found must not be known without
        // them: after a crash nobody would look for them again.
        let found = |event: &Event| {
            matches!(
                event,
                Event::LookupEnded { .. }
                    | Event::LookupAt { next: Some(_), .. }
                    | Event::Resolved { .. }
            )
        };
        if events.iter().any(found)
            && let Some(store) = self.store()
            && self.people.take_unsaved()
        {
            store.sync_database()?;
        }
        // Nor must a message be known whose text is gone (nobody could answer it), or an answer: it would be asked for
        // again, and say something else.
        let said = |event: &Event| {
            matches!(
                event,
                Event::Written { .. }
                    | Event::Drafted { .. }
                    | Event::DraftDecided { edited: true, .. }
                    | Event::OperatorWrote { .. }
            )
        };
        if events.iter().any(said)
            && let Some(store) = self.store()
            && self.people.take_unsaid()
        {
            store.sync_database()?;
        }
        let at = self.clock.now();
        let recorded: Vec<Recorded> = events
            .into_iter()
            .map(|event| Recorded { at, event })
            .collect();
        let rows = requests::rows(&recorded)?;
        let (first, appended) = match &self.journal {
            Journal::None | Journal::Reading(_) => (self.observed.seq + 1, None),
            Journal::Direct(store) => {
                let mut first = None;
                for rows in requests::batches(rows) {
                    let (of_these, last) = store.append_encoded(rows)?;
                    store.sync(last)?;
                    first.get_or_insert(of_these);
                }
                (first.unwrap_or(self.observed.seq + 1), None)
            }
            Journal::Daemon(handle) => {
                let (mut first, mut appended) = (None, None);
                for rows in requests::batches(rows) {
                    let these = handle.append_encoded(rows, durability)?;
                    first.get_or_insert(these.first);
                    appended = Some(these);
                }
                (first.unwrap_or(self.observed.seq + 1), appended)
            }
        };
        let mut settled = Vec::new();
        for (seq, recorded) in (first..).zip(&recorded) {
            if tracing::enabled!(tracing::Level::DEBUG) {
                tracing::debug!(event = ?requests::bare(&recorded.event), "recorded");
            }
            self.planner.note(&recorded.event, &self.observed);
            // Nobody needs the bytes of a send that has ended.
            settled.extend(fold(&mut self.observed, seq, recorded).map(|flight| flight.seq));
        }
        if let Some(store) = self.store() {
            store.settle(settled);
        }
        if recorded.iter().any(|it| changes_suppression(&it.event)) {
            self.people.suppress(&self.observed.suppression);
        }
        self.taken(&recorded)?;
        Ok(appended)
    }

    /// What is wanted of a campaign.
    pub(crate) fn wanted(&self, line: &Lineage) -> Option<&DesiredCampaign> {
        let name = &self.observed.campaigns.get(line)?.name;
        let wanted = self.desired.campaigns.get(name);
        wanted.filter(|wanted| wanted.lineage == *line)
    }

    /// What the planner looks at.
    pub fn inputs(&self) -> Inputs<'_> {
        Inputs {
            desired: &self.desired,
            observed: &self.observed,
            people: &self.people,
            runtime: &self.runtime,
            now: self.clock.now(),
            report_only: false,
        }
    }

    /// Plans.
    pub fn plan(&self) -> Plan {
        plan(&self.inputs())
    }

    /// Plans, and looks only at what can be otherwise than in the last pass.
    pub fn plan_next(&mut self) -> Plan {
        // Should planning break off, the next pass begins anew.
        let mut planner = std::mem::take(&mut self.planner);
        let plan = planner.plan(&self.inputs(), self.readings);
        self.planner = planner;
        plan
    }

    /// Plans for a report only: texts are not made, and nothing of it is to be performed. Looks only at what can be
    /// otherwise than in the last pass.
    pub fn plan_report(&self) -> Plan {
        self.planner.report(&self.inputs(), self.readings)
    }

    /// Whether this may write to the state whatever it wants to.
    pub(super) fn writes(&self) -> bool {
        !self.looks_only && !matches!(self.journal, Journal::None | Journal::Reading(_))
    }

    /// The state's id, where there is a state.
    pub(crate) fn state_id(&self) -> Option<String> {
        self.store().map(|store| store.id().to_string())
    }

    /// The store, where there is one.
    pub(crate) fn store(&self) -> Option<&Store<Recorded>> {
        match &self.journal {
            Journal::None => None,
            Journal::Reading(store) | Journal::Direct(store) => Some(store),
            Journal::Daemon(handle) => Some(handle.store()),
        }
    }

    /// Saves the folded state where enough has happened since the last time, or at the end.
    pub(crate) fn checkpoint(&mut self, at_the_end: bool) -> Result<(), CoreError> {
        self.raise_all(false);
        let since = self.observed.seq.saturating_sub(self.checkpointed);
        if self.looks_only || since == 0 || (!at_the_end && since < CHECKPOINT_EVERY) {
            return Ok(());
        }
        if let Some(store) = self.store() {
            let observed = &self.observed;
            store.write_checkpoint(observed.seq, |mut out| {
                rmp_serde::encode::write(&mut out, observed).map_err(|error| StoreError::Encode {
                    what: "a checkpoint",
                    cause: error.to_string(),
                })
            })?;
        }
        self.checkpointed = self.observed.seq;
        Ok(())
    }

    /// Leaves no trace of what was removed from the trees before: a fresh database, outbox and checkpoint. Answers the
    /// copies from before migrations that were removed with it.
    pub(crate) fn erase_now(&mut self) -> Result<Vec<std::path::PathBuf>, CoreError> {
        self.checkpointed = self.checkpointed.min(self.observed.seq.saturating_sub(1));
        self.checkpoint(true)?;
        let Some(store) = self.store() else {
            return Ok(Vec::new());
        };
        store.drop_old_checkpoints()?;
        Ok(store.erase_now()?)
    }

    /// Lets the state go.
    pub(crate) async fn close(mut self) -> Result<(), CoreError> {
        // Who only looked leaves everything as it is.
        if self.writes() {
            self.checkpoint(true)?;
            self.raise_all(true);
        }
        if let Journal::Daemon(handle) = self.journal {
            handle.close().await?;
        }
        Ok(())
    }
}

/// New versions, moved files, retired campaigns.
pub fn changes(desired: &Desired, observed: &Observed) -> Vec<Event> {
    let mut events = Vec::new();
    for wanted in desired.campaigns.values() {
        // With `on_invalid: continue` the last good version goes on beside the errors of the newest.
        let error = wanted
            .diagnostics
            .iter()
            .find(|d| d.is_error())
            .map(ToString::to_string)
            .or_else(|| {
                wanted
                    .spec
                    .is_none()
                    .then(|| format!("{}: the spec is invalid", wanted.file))
            });
        let known = observed.campaigns.get(&wanted.lineage);
        let same = known.is_some_and(|known| {
            known.digest == wanted.digest
                && known.file == wanted.file
                && known.name == wanted.name
                && known.error == error
                && known.retired.is_none()
        });
        if same {
            continue;
        }
        let generation = match known {
            Some(known) if known.digest == wanted.digest => known.generation,
            Some(known) => known.generation + 1,
            None => 1,
        };
        events.push(Event::SpecSeen {
            campaign: wanted.lineage.clone(),
            name: wanted.name.clone(),
            file: wanted.file.clone(),
            generation,
            digest: wanted.digest.clone(),
            error,
        });
    }
    if desired.folder_error.is_none() {
        let there: BTreeMap<_, _> = desired
            .campaigns
            .values()
            .map(|wanted| (wanted.lineage.clone(), ()))
            .collect();
        for (line, known) in &observed.campaigns {
            if known.retired.is_none() && !there.contains_key(line) {
                events.push(Event::Retired {
                    campaign: line.clone(),
                });
            }
        }
    }
    events
}

/// What `desired` needs to know of earlier campaigns.
pub fn history(observed: &Observed) -> History {
    History(
        observed
            .names
            .iter()
            .filter_map(|(name, line)| {
                let known = observed.campaigns.get(line)?;
                // What was never valid has no history: of two such files of one name neither goes on.
                if known.observed_generation == 0 {
                    return None;
                }
                let sent = known.settled(|outcome| outcome == Outcome::Sent) > 0;
                Some((
                    name.clone(),
                    Known {
                        file: known.file.clone(),
                        lineage: line.clone(),
                        sent,
                    },
                ))
            })
            .collect(),
    )
}

/// What opening the state found, for whoever reads the log.
fn tell(report: &crate::store::OpenReport) {
    if report.torn_bytes > 0 {
        tracing::info!(
            bytes = report.torn_bytes,
            "an unfinished write was cut from the outbox's end"
        );
    }
    if report.replayed > 0 {
        tracing::info!(
            events = report.replayed,
            "events were taken over from the outbox"
        );
    }
    if report.repaired_packs > 0 {
        tracing::warn!(
            packs = report.repaired_packs,
            "damaged parts of the journal were supplied by the outbox"
        );
    }
    if report.lost > 0 {
        tracing::warn!(
            events = report.lost,
            "events that were safe on the disk are gone"
        );
    }
    if report.database_rolled_back {
        tracing::warn!(
            "the database lost writes that it had flushed; people written last are looked up again"
        );
    }
}

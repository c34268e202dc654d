//! The circle without a process: events are folded, the plan is made and carried out on the world, time jumps to where
//! something happens next.

use std::collections::BTreeMap;

use tidings::control::{changes, history};
use tidings::desired::{Desired, EngineFile, Environment, Input, resolve};
use tidings::model::{AccountName, Event, Outcome, Person, PersonId, Recorded, Timestamp};
use tidings::observed::{Observed, fold};
use tidings::plan::{Inputs, Link, Plan, Planner, Runtime, plan};
use tidings::spec::files::MemoryFiles;

use super::dice::Dice;
use super::invariants::{Checker, Failure};
use super::scenario::{Campaign, DAY, Limits, Scenario, Stage};
use super::shell::Answer;
use super::specs;
use super::world::{World, account_id};

/// Passes at one moment: more never come to rest.
const PASSES: usize = 64;
/// Moments of one scenario: more are a loop.
const MOMENTS: usize = 30_000;
/// After the fortnight nothing goes wrong for so long: then everything must have come to its end.
const CALM: i64 = 7 * DAY;
/// One in so many moments is planned twice, and what is costly is looked at.
const LOOK_CLOSELY: u64 = 16;
/// Of those one in so many is reported on twice.
const REPORTED: u64 = 64;

pub struct Sim {
    pub scenario: Scenario,
    pub world: World,
    /// The files as they are now.
    pub campaigns: Vec<Campaign>,
    pub limits: Limits,
    /// The files as the engine last read them.
    pub loaded: Vec<Campaign>,
    pub loaded_limits: Limits,
    pub loaded_accounts: Vec<super::scenario::Account>,
    pub desired: Desired,
    pub observed: Observed,
    pub people: BTreeMap<PersonId, Person>,
    pub runtime: Runtime,
    pub(super) planner: Planner,
    /// Counts the times that the files were read.
    pub(super) readings: u64,
    pub journal: Vec<Recorded>,
    /// What outlives a power cut.
    pub durable: usize,
    /// True time, in milliseconds since 1970.
    pub now: i64,
    /// What the wall clock shows beyond it.
    pub offset: i64,
    pub answers: BTreeMap<(i64, u64), Answer>,
    pub ordered: u64,
    pub tries: BTreeMap<AccountName, u32>,
    /// Where the process is to die, and until when a send is waited for.
    pub armed: Option<(Stage, i64, i64, bool)>,
    /// The process is dead until then.
    pub down_until: Option<i64>,
    pub logins: BTreeMap<AccountName, i64>,
    pub scripted: usize,
    /// The journal of the last backup, when it was taken by the wall clock, and how often each campaign had been renamed.
    pub backup: Option<(Vec<Recorded>, Timestamp, Vec<u32>)>,
    /// When accounts read their dialogs again whose reading failed after a restore; never while they read.
    pub gaps: BTreeMap<AccountName, i64>,
    pub checker: Checker,
    pub planned: u64,
    /// Every event is shown.
    pub trace: bool,
}

/// What a run of a scenario did, for the survey.
#[derive(Debug, Default, Clone)]
pub struct Summary {
    pub effects: usize,
    pub events: usize,
    pub plans: u64,
    pub met: BTreeMap<&'static str, u64>,
    pub outcomes: BTreeMap<Outcome, u64>,
    pub runs: u64,
    pub restarts: u64,
}

/// Lives through a scenario, and shows every event.
///
/// # Errors
/// The first thing that must not be.
pub fn traced(scenario: &Scenario) -> Result<Summary, Failure> {
    let mut sim = Sim::new(scenario);
    sim.trace = true;
    sim.run()?;
    Ok(sim.summary())
}

/// Lives through a scenario.
///
/// # Errors
/// The first thing that must not be.
pub fn live(scenario: &Scenario) -> Result<Summary, Failure> {
    let mut sim = Sim::new(scenario);
    sim.run()?;
    Ok(sim.summary())
}

impl Sim {
    fn new(scenario: &Scenario) -> Sim {
        Sim {
            world: World::new(scenario),
            campaigns: scenario.campaigns.clone(),
            limits: scenario.limits.clone(),
            loaded: Vec::new(),
            loaded_limits: scenario.limits.clone(),
            loaded_accounts: scenario.accounts.clone(),
            desired: Desired::default(),
            observed: Observed::default(),
            people: BTreeMap::new(),
            runtime: Runtime::default(),
            planner: Planner::default(),
            readings: 0,
            journal: Vec::new(),
            durable: 0,
            now: scenario.start,
            offset: 0,
            answers: BTreeMap::new(),
            ordered: 0,
            tries: BTreeMap::new(),
            armed: None,
            down_until: None,
            logins: BTreeMap::new(),
            scripted: 0,
            backup: None,
            gaps: BTreeMap::new(),
            checker: Checker::default(),
            planned: 0,
            trace: false,
            scenario: scenario.clone(),
        }
    }

    fn summary(&self) -> Summary {
        let mut outcomes = BTreeMap::new();
        for campaign in self.observed.campaigns.values() {
            for (outcome, n) in &campaign.outcomes {
                *outcomes.entry(*outcome).or_default() += n;
            }
        }
        let count = |wanted: fn(&Event) -> bool| {
            self.journal
                .iter()
                .filter(|recorded| wanted(&recorded.event))
                .count() as u64
        };
        Summary {
            effects: self.world.ledger.len(),
            events: self.journal.len(),
            plans: self.planned,
            met: self.world.met.clone(),
            outcomes,
            runs: count(|event| matches!(event, Event::RunOpened { .. } | Event::Fired { .. })),
            restarts: count(|event| matches!(event, Event::Started { .. })),
        }
    }

    /// What the wall clock shows.
    pub fn wall(&self) -> Timestamp {
        Timestamp(self.now + self.offset)
    }

    pub fn inputs(&self) -> Inputs<'_> {
        Inputs {
            desired: &self.desired,
            observed: &self.observed,
            people: &self.people,
            runtime: &self.runtime,
            now: self.wall(),
            report_only: false,
        }
    }

    fn run(&mut self) -> Result<(), Failure> {
        self.start();
        let end = self.scenario.start + self.scenario.days * DAY;
        let over = end + CALM;
        for _ in 0..MOMENTS {
            if self.now >= end && !self.world.calm {
                self.becalm();
            }
            let next = self.moment()?;
            let border = if self.now < end { end } else { over };
            if self.now >= over {
                return self.check_end();
            }
            self.now = next.max(self.now + 1).min(border);
        }
        Err(Failure::new(
            "the scenario does not come to rest",
            self,
            String::new(),
        ))
    }

    /// All that happens at this moment; answers when something happens next.
    fn moment(&mut self) -> Result<i64, Failure> {
        self.script();
        if let Some(until) = self.down_until {
            if until > self.now {
                return Ok(until.min(self.next_scripted()));
            }
            self.down_until = None;
            self.start();
        }
        if let Some((stage, by, down, power_cut)) = self.armed
            && (stage == Stage::Idle || by <= self.now)
        {
            self.die(down, power_cut)?;
            return Ok(self.now + 1);
        }
        while let Some(entry) = self
            .answers
            .first_entry()
            .filter(|entry| entry.key().0 <= self.now)
        {
            let answer = entry.remove();
            self.answered(answer);
        }
        self.connect();
        self.listen();
        self.read_gaps();
        let plan = match self.passes()? {
            Some(plan) => plan,
            // It died at a send.
            None => return Ok(self.now + 1),
        };
        let mut next = self.next_scripted();
        if let Some(((at, _), _)) = self.answers.first_key_value() {
            next = next.min(*at);
        }
        if let Some((_, by, _, _)) = self.armed {
            next = next.min(by);
        }
        if let Some(at) = plan.wake_at {
            next = next.min(at.0 - self.offset);
        }
        if self.observed.restored.is_some() {
            let again = self.gaps.values().filter(|at| **at > self.now);
            next = again.fold(next, |next, at| next.min(*at));
        }
        for (name, link) in &self.runtime.links {
            match link {
                Link::Unreachable { retry_at, .. } if *retry_at < Timestamp::MAX => {
                    next = next.min(retry_at.0 - self.offset);
                }
                Link::Ready { .. } => {
                    if let Some(at) = self.world.next_letter(name, self.heard(name)) {
                        next = next.min(at);
                    }
                }
                _ => {}
            }
        }
        Ok(next)
    }

    fn next_scripted(&self) -> i64 {
        let script = self.scenario.script.get(self.scripted);
        let script = script.map_or(i64::MAX, |next| self.scenario.start + next.at);
        script.min(self.logins.values().min().copied().unwrap_or(i64::MAX))
    }

    /// Plans, and looks only at what can be otherwise than the last time.
    fn plan(&mut self) -> Plan {
        let mut planner = std::mem::take(&mut self.planner);
        let made = planner.plan(&self.inputs(), self.readings);
        self.planner = planner;
        made
    }

    /// Plans and carries out until nothing is left that only needs writing down. Nothing: the process died.
    fn passes(&mut self) -> Result<Option<Plan>, Failure> {
        let closely =
            Dice::of(self.scenario.seed, "closely", &[self.planned]).below(LOOK_CLOSELY) == 0;
        for _ in 0..PASSES {
            self.planned += 1;
            let mut made = self.plan();
            if closely {
                let whole = plan(&self.inputs());
                self.check_same(&made, &whole)?;
                if self.planned.is_multiple_of(REPORTED) {
                    self.check_report()?;
                }
            }
            if made.actions.is_empty() {
                if closely {
                    self.check_rest(&made)?;
                }
                return Ok(Some(made));
            }
            let actions = std::mem::take(&mut made.actions);
            match self.perform(actions)? {
                None => return Ok(None),
                Some(true) => {}
                Some(false) => return Ok(Some(made)),
            }
        }
        let made = plan(&self.inputs());
        Err(Failure::new(
            "planning does not come to rest",
            self,
            format!("{:?}", made.actions.first()),
        ))
    }

    /// Writes events down and folds them.
    pub fn record(&mut self, events: Vec<Event>) {
        let at = self.wall();
        for event in events {
            let recorded = Recorded { at, event };
            if self.trace {
                println!("{} {:?}", recorded.at, recorded.event);
            }
            let seq = self.observed.seq + 1;
            self.planner.note(&recorded.event, &self.observed);
            fold(&mut self.observed, seq, &recorded);
            self.checker.recorded(&recorded);
            self.journal.push(recorded);
        }
    }

    /// All that was written down so far outlives a power cut.
    pub fn sync(&mut self) {
        self.durable = self.journal.len();
    }

    /// The process begins.
    pub fn start(&mut self) {
        self.runtime = Runtime::default();
        self.planner = Planner::default();
        self.tries.clear();
        self.gaps.clear();
        self.record(vec![Event::Started {
            version: "simulated".to_owned(),
        }]);
        self.sync();
        self.reload();
    }

    /// The process ends in the middle of whatever it did.
    pub fn die(&mut self, down: i64, power_cut: bool) -> Result<(), Failure> {
        self.armed = None;
        self.answers.clear();
        self.runtime = Runtime::default();
        self.check_fold()?;
        if power_cut {
            let lost = (self.journal.len() - self.durable) as u64;
            let mut dice = Dice::of(
                self.scenario.seed,
                "power cut",
                &[self.journal.len() as u64],
            );
            let kept = self.durable + dice.below(lost + 1) as usize;
            self.journal.truncate(kept);
            self.observed = refold(&self.journal);
            self.checker.rebuilt(&self.journal);
        }
        self.down_until = Some(self.now + down);
        Ok(())
    }

    /// Reads the files anew, and writes down what changed.
    pub fn reload(&mut self) {
        let mut files = MemoryFiles::new();
        let scenario = Scenario {
            campaigns: self.campaigns.clone(),
            ..self.scenario.clone()
        };
        for campaign in self.campaigns.iter().filter(|it| !it.gone) {
            files.put(
                format!("campaigns/{}.yaml", campaign.file_name()),
                specs::campaign(campaign, &scenario),
            );
        }
        files.put(
            format!("campaigns/{}", specs::PICTURE),
            b"\x89PNG\r\n\x1a\n a picture",
        );
        let settings = specs::settings(&scenario, &self.limits);
        let resolved = resolve(&Input {
            engine: EngineFile::Bytes("tidings.yaml", settings.as_bytes()),
            files: &files,
            env: &Environment::default(),
            sessions: None,
            history: &history(&self.observed),
            previous: Some(&self.desired),
            kept: None,
            memo: None,
        });
        assert!(
            resolved.engine_valid,
            "{settings}\n{:?}",
            resolved.diagnostics
        );
        self.desired = resolved.desired;
        self.readings += 1;
        // One whose audience another one collects is invalid without that other.
        let alone = |it: &&Campaign| {
            !it.gone && !it.broken && !matches!(it.source, super::scenario::Source::Audience(_))
        };
        for campaign in self.campaigns.iter().filter(alone) {
            let wanted = &self.desired.campaigns[&campaign.file_name()];
            assert!(
                wanted.spec.is_some(),
                "{}\n{:?}",
                specs::campaign(campaign, &scenario),
                wanted.diagnostics
            );
        }
        self.loaded = self.campaigns.clone();
        self.loaded_limits = self.limits.clone();
        self.loaded_accounts = self.scenario.accounts.clone();
        let events = changes(&self.desired, &self.observed);
        self.record(events);
        self.sync();
    }

    /// The number of an account's next letter.
    pub fn heard(&self, name: &AccountName) -> usize {
        let updates = self
            .observed
            .accounts
            .get(name)
            .and_then(|account| account.updates);
        updates.map_or(0, |(pts, _, _, _)| usize::try_from(pts).unwrap_or(0))
    }

    /// The number of an account.
    pub fn account_number(name: &str) -> usize {
        name.trim_start_matches('a').parse().unwrap_or(0)
    }

    /// The user id of an account.
    pub fn account_person(name: &str) -> PersonId {
        account_id(Sim::account_number(name))
    }
}

/// The state that a journal gives.
pub fn refold(journal: &[Recorded]) -> Observed {
    let mut state = Observed::default();
    for (seq, recorded) in (1..).zip(journal) {
        fold(&mut state, seq, recorded);
    }
    state
}

/// A moment as people read it.
pub fn iso(millis: i64) -> String {
    Timestamp(millis).to_string()
}

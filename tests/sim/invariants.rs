//! What must hold whatever happens, judged by the world's ledger and by what the engine wrote down; never by what the
//! planner believes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use chrono::{Datelike, TimeZone, Timelike};
use chrono_tz::Tz;

use tidings::model::{
    AccountName, AccountState, Event, Intent, Lineage, OPT_OUT_LINEAGE, Outcome, PersonId,
    Recorded, SendKey, is_aside,
};
use tidings::plan::Link;

use super::driver::{Sim, iso};
use super::firings::Fired;
use super::scenario::{Campaign, DAY, HOUR, Kind, Limits, MINUTE, Window};

/// What must not be.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Of which kind: failures of one kind are counted together.
    pub kind: &'static str,
    pub detail: String,
}

impl Failure {
    pub fn new(kind: &'static str, sim: &Sim, detail: String) -> Failure {
        let detail = format!("at {} (true {}): {detail}", sim.wall(), iso(sim.now));
        Failure { kind, detail }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.detail)
    }
}

/// The caps that held when something was decided.
#[derive(Debug, Clone, Copy, Default)]
struct Caps {
    account_day: u32,
    campaign_account_day: u32,
    hour: Option<u32>,
    campaign_day: Option<u32>,
    attested_day: u32,
}

/// What is remembered of an intent.
#[derive(Debug, Clone)]
struct Decided {
    gap: i64,
    caps: Caps,
    run: u32,
    attested: bool,
    limits: Limits,
}

/// What is remembered of an effect, in the order of the ledger.
#[derive(Debug, Clone)]
struct Happened {
    gap: i64,
    run: u32,
    attested: bool,
}

/// What the journal says, read in another way than the engine does.
#[derive(Debug, Default)]
pub struct Shadow {
    silenced: BTreeSet<PersonId>,
    limited: BTreeMap<AccountName, i64>,
    pub troubled: BTreeMap<AccountName, AccountState>,
    suspended: bool,
    /// Campaigns that are stopped by name of what stops them.
    stopped: BTreeMap<Lineage, BTreeSet<&'static str>>,
    approved: BTreeSet<Lineage>,
    uncertain: BTreeSet<SendKey>,
    /// When each account's ramp began, by campaign.
    warming: BTreeMap<(Lineage, AccountName), i64>,
}

#[derive(Default)]
pub struct Checker {
    pub shadow: Shadow,
    decided: BTreeMap<SendKey, Decided>,
    happened: Vec<Happened>,
    /// When something happened by which pauses are not known any more: a clock that nobody saw being set, a lost state.
    unseen: Vec<i64>,
    /// What of the ledger a lost state knew, and the one from the backup does not: it is in no cap.
    forgotten: usize,
    pub fired: Fired,
}

pub fn tz(name: &str) -> Tz {
    name.parse().expect("a zone of the scenario")
}

pub fn local(zone: &str, at: i64) -> chrono::NaiveDateTime {
    tz(zone)
        .timestamp_millis_opt(at)
        .single()
        .expect("a moment")
        .naive_local()
}

fn same_day(zone: &str, one: i64, other: i64) -> bool {
    local(zone, one).date() == local(zone, other).date()
}

/// Whether a moment of the week lies in a window, by the clock on the wall.
fn inside(window: &Window, at: chrono::NaiveDateTime) -> bool {
    let minute = at.hour() * 60 + at.minute();
    let today = at.weekday().num_days_from_monday();
    let yesterday = (today + 6) % 7;
    let of = |day: u32| (window.days.0..=window.days.1).contains(&day);
    let (from, to) = window.time;
    if from < to {
        return of(today) && (from..to).contains(&minute);
    }
    (of(today) && minute >= from) || (of(yesterday) && minute < to)
}

pub fn is_open(campaign: &Campaign, wall: i64) -> bool {
    let at = local(campaign.zone, wall);
    campaign.windows.is_empty() || campaign.windows.iter().any(|window| inside(window, at))
}

impl Shadow {
    fn fold(&mut self, recorded: &Recorded) {
        match &recorded.event {
            Event::OptedOut { person, .. } | Event::Suppressed { person, .. } => {
                self.silenced.insert(*person);
            }
            Event::SuppressionAdded { people, .. } => self.silenced.extend(people),
            Event::Limited { account, until, .. } => {
                self.limited.insert(account.clone(), until.0);
            }
            Event::ClockSet { by_ms } => {
                for until in self.limited.values_mut() {
                    *until += by_ms;
                }
            }
            Event::AccountChanged { account, state, .. } => {
                self.troubled.remove(account);
                if *state != AccountState::Ready {
                    self.troubled.insert(account.clone(), *state);
                }
            }
            Event::Suspended { campaign: None, .. } => self.suspended = true,
            Event::Suspended {
                campaign: Some(line),
                ..
            } => self.stop(line, "suspended"),
            Event::Stalled { campaign, .. } => self.stop(campaign, "stalled"),
            Event::SelfPaused { campaign, .. } => self.stop(campaign, "paused itself"),
            Event::Retired { campaign } => self.stop(campaign, "retired"),
            Event::SpecSeen {
                campaign, error, ..
            } => {
                let stopped = self.stopped.entry(campaign.clone()).or_default();
                stopped.remove("retired");
                stopped.remove("invalid");
                if error.is_some() {
                    self.stop(campaign, "invalid");
                }
            }
            Event::Resumed { campaign, .. } => {
                self.suspended &= campaign.is_some();
                for (line, stopped) in &mut self.stopped {
                    if campaign.as_ref().is_none_or(|wanted| wanted == line) {
                        stopped
                            .retain(|why| !["suspended", "stalled", "paused itself"].contains(why));
                    }
                }
            }
            Event::Approved { campaign, .. } => {
                self.approved.insert(campaign.clone());
            }
            Event::Refused {
                key,
                outcome: Outcome::Uncertain,
                ..
            } => {
                self.uncertain.insert(key.clone());
            }
            Event::OperatorResolved { key, .. } => {
                self.uncertain.remove(key);
            }
            Event::Warming {
                campaign, account, ..
            } => {
                let key = (campaign.clone(), account.clone());
                self.warming.entry(key).or_insert(recorded.at.0);
            }
            _ => {}
        }
    }

    fn stop(&mut self, line: &Lineage, why: &'static str) {
        self.stopped.entry(line.clone()).or_default().insert(why);
    }
}

impl Checker {
    pub fn recorded(&mut self, recorded: &Recorded) {
        self.shadow.fold(recorded);
        self.fired.fold(recorded);
    }

    /// The journal lost its end.
    pub fn rebuilt(&mut self, journal: &[Recorded]) {
        self.shadow = Shadow::default();
        self.fired = Fired::default();
        for recorded in journal {
            self.recorded(recorded);
        }
    }

    pub fn clock_set_unseen(&mut self, now: i64) {
        self.unseen.push(now);
    }

    /// The state is lost that knew so many effects.
    pub fn state_lost(&mut self, effects: usize, now: i64) {
        self.forgotten = effects;
        self.unseen.push(now);
    }

    /// First messages of which nobody knows whether they arrived.
    pub fn uncertain(&self, line: &Lineage) -> Vec<SendKey> {
        let of = |key: &&SendKey| key.lineage == *line && key.step == 0;
        self.shadow.uncertain.iter().filter(of).cloned().collect()
    }
}

impl Sim {
    pub fn fails(&self, kind: &'static str, detail: String) -> Result<(), Failure> {
        Err(Failure::new(kind, self, detail))
    }

    pub fn spec(&self, line: &str) -> Option<&Campaign> {
        self.loaded
            .iter()
            .find(|campaign| campaign.name == line && !campaign.gone)
    }

    /// What keeps a campaign, by an event.
    pub fn stopped(&self, line: &str) -> Option<&'static str> {
        let shadow = &self.checker.shadow;
        let why = shadow
            .stopped
            .get(line)
            .and_then(|whys| whys.first().copied());
        why.or(shadow.suspended.then_some("all are suspended"))
    }

    /// Whether any clock was set so far.
    pub fn clock_was_set(&self) -> bool {
        self.offset != 0
            || !self.checker.unseen.is_empty()
            || self
                .journal
                .iter()
                .any(|recorded| matches!(recorded.event, Event::ClockSet { .. }))
    }

    /// What an account may send today by the files and its ramps.
    fn account_day(&self, name: &AccountName) -> u32 {
        let wall = self.wall().0;
        let number = Sim::account_number(name);
        let account = &self.loaded_accounts[number];
        let mut most = account.per_day;
        for warmup in self
            .loaded
            .iter()
            .filter(|it| it.kind == Kind::Warmup && !it.gone && !it.broken)
        {
            if !warmup.accounts.contains(&number) {
                continue;
            }
            let (start, step, hours, max) = warmup.ramp;
            let key = (Lineage::from(warmup.name.as_str()), name.clone());
            let began = self
                .checker
                .shadow
                .warming
                .get(&key)
                .copied()
                .unwrap_or(wall);
            let steps = if wall <= began {
                0
            } else if hours < 24 {
                (wall - began) / (hours as i64 * HOUR)
            } else {
                let days = local(account.zone, wall).date() - local(account.zone, began).date();
                days.num_hours() / hours as i64
            };
            most = most.min((start + step * u32::try_from(steps).unwrap_or(0)).min(max));
        }
        most
    }

    fn caps(&self, name: &AccountName, campaign: &Campaign) -> Caps {
        Caps {
            account_day: self.account_day(name),
            campaign_account_day: campaign.per_day,
            hour: campaign.per_hour,
            campaign_day: campaign.campaign_day,
            attested_day: self.loaded_limits.attested_per_day,
        }
    }

    /// An intent is about to be written down.
    pub fn check_intended(&mut self, intent: &Intent) -> Result<(), Failure> {
        let key = &intent.key;
        if is_aside(&key.lineage) {
            return Ok(());
        }
        let Some(campaign) = self.spec(&key.lineage) else {
            return self.fails("a message of a campaign that is gone", key.to_string());
        };
        let gap = intent.next_allowed_at.0 - self.wall().0;
        let (least, most) = campaign.between;
        if gap < least as i64 * 1000 || gap > most as i64 * 1000 {
            return self.fails(
                "a pause that the spec does not allow",
                format!("{key}: {gap} ms"),
            );
        }
        if !campaign
            .accounts
            .contains(&Sim::account_number(&intent.account))
        {
            return self.fails(
                "an account that is none of the campaign's",
                format!("{key} by {}", intent.account),
            );
        }
        let decided = Decided {
            gap,
            caps: self.caps(&intent.account, campaign),
            run: intent.run,
            attested: intent.attested,
            limits: self.loaded_limits.clone(),
        };
        self.checker.decided.insert(key.clone(), decided);
        Ok(())
    }

    /// Bytes are about to leave, for the first time or again.
    pub fn check_leaves(&mut self, intent: &Intent, again: bool) -> Result<(), Failure> {
        let key = &intent.key;
        let what = format!(
            "{key} by {}{}",
            intent.account,
            if again { ", again" } else { "" }
        );
        let shadow = &self.checker.shadow;
        let wall = self.wall().0;
        if let Some(state) = shadow.troubled.get(&intent.account) {
            return self.fails(
                "something from an account that is out of work",
                format!("{what}: {state}"),
            );
        }
        if !matches!(
            self.runtime.links.get(&intent.account),
            Some(Link::Ready { .. })
        ) {
            return self.fails("something from an account that is not connected", what);
        }
        if is_aside(&key.lineage) {
            let wanted =
                key.lineage.as_ref() == OPT_OUT_LINEAGE && shadow.silenced.contains(&key.person);
            return match wanted {
                true => Ok(()),
                false => self.fails("a message that nobody asked for", what),
            };
        }
        if shadow.silenced.contains(&key.person) {
            return self.fails("a message after an opt-out or a block", what);
        }
        if self
            .world
            .accounts
            .keys()
            .any(|name| Sim::account_person(name) == key.person)
        {
            return self.fails("a message to one's own account", what);
        }
        let Some(campaign) = self.spec(&key.lineage) else {
            return self.fails("a message of a campaign that is gone", what);
        };
        if let Some(why) = self
            .stopped(&key.lineage)
            .or(campaign.paused.then_some("paused"))
        {
            return self.fails(
                "a message of a campaign that is stopped",
                format!("{what}: {why}"),
            );
        }
        let hours = |hours: u64| self.scenario.start + hours as i64 * HOUR;
        if campaign.start.is_some_and(|start| wall < hours(start))
            || campaign.end.is_some_and(|end| wall >= hours(end))
        {
            return self.fails("a message before the start or after the end", what);
        }
        if !is_open(campaign, wall) {
            return self.fails(
                "a message outside the windows",
                format!("{what}: {}", local(campaign.zone, wall)),
            );
        }
        if key.step == 0
            && shadow
                .limited
                .get(&intent.account)
                .is_some_and(|until| *until > wall)
        {
            return self.fails("a first contact by a limited account", what);
        }
        Ok(())
    }

    /// Something took effect: the last of the ledger.
    pub fn check_effect(&mut self) -> Result<(), Failure> {
        let Some((effect, before)) = self.world.ledger.split_last() else {
            return Ok(());
        };
        let key = &effect.key;
        if before.iter().any(|other| other.key == *key) {
            return self.fails("the same message twice", key.to_string());
        }
        if is_aside(&key.lineage) {
            self.checker.happened.push(Happened {
                gap: 0,
                run: 0,
                attested: false,
            });
            return Ok(());
        }
        let Some(campaign) = self.spec(&key.lineage) else {
            return self.fails("a message of a campaign that is gone", key.to_string());
        };
        let alike = |other: &&super::world::Effect| {
            (&other.key.lineage, other.key.person, other.key.step)
                == (&key.lineage, key.person, key.step)
        };
        if !campaign.everyone && before.iter().any(|other| alike(&other)) {
            return self.fails(
                "the same step twice in the life of a campaign",
                key.to_string(),
            );
        }
        let Some(decided) = self.checker.decided.get(key).cloned() else {
            return self.fails("an effect without an intent", key.to_string());
        };
        let facts = &self.checker.happened;
        let ours = || {
            before
                .iter()
                .zip(facts)
                .skip(self.checker.forgotten)
                .filter(|(other, _)| !is_aside(&other.key.lineage))
        };
        // Of one account.
        let by_it = || ours().filter(|(other, _)| other.account == effect.account);
        if let Some((last, fact)) = by_it().next_back()
            && effect.at - last.at < fact.gap
            && !self
                .checker
                .unseen
                .iter()
                .any(|at| (last.at..=effect.at).contains(at))
        {
            let detail = format!(
                "{key} {} ms after {}, whose pause is {} ms",
                effect.at - last.at,
                last.key,
                fact.gap
            );
            return self.fails("a shorter pause than was drawn", detail);
        }
        let now = self.caps(&effect.account, campaign);
        let then = decided.caps;
        let either = |a: Option<u32>, b: Option<u32>| a.zip(b).map(|(a, b)| a.max(b));
        let zone = self.loaded_accounts[Sim::account_number(&effect.account)].zone;
        let of_campaign = |other: &super::world::Effect| other.key.lineage == key.lineage;
        let today = by_it().filter(|(other, _)| same_day(zone, other.wall, effect.wall));
        let attested = today.clone().filter(|(_, fact)| fact.attested).count();
        let ours_today = || {
            ours().filter(|(o, _)| of_campaign(o) && same_day(campaign.zone, o.wall, effect.wall))
        };
        let own_today = ours_today()
            .filter(|(o, _)| o.account == effect.account)
            .count();
        let hour = by_it()
            .filter(|(o, _)| of_campaign(o) && o.wall <= effect.wall && effect.wall - o.wall < HOUR)
            .count();
        let found = [
            (
                "messages of an account on one day",
                today.count(),
                Some(now.account_day.max(then.account_day)),
            ),
            (
                "messages of a campaign's account on one day",
                own_today,
                Some(now.campaign_account_day.max(then.campaign_account_day)),
            ),
            (
                "messages of a campaign on one day",
                ours_today().count(),
                either(now.campaign_day, then.campaign_day),
            ),
            (
                "messages of a campaign's account in an hour",
                hour,
                either(now.hour, then.hour),
            ),
            (
                "attested first contacts of an account on one day",
                if decided.attested { attested } else { 0 },
                Some(now.attested_day.max(then.attested_day)),
            ),
        ];
        for (kind, count, most) in found {
            if most.is_some_and(|most| count as u32 >= most) {
                return self.fails(
                    kind,
                    format!("{key} by {}: {} over {most:?}", effect.account, count + 1),
                );
            }
        }
        self.check_run(effect, &decided, campaign)?;
        self.check_person(effect, &decided.limits)?;
        let happened = Happened {
            gap: decided.gap,
            run: decided.run,
            attested: decided.attested,
        };
        self.checker.happened.push(happened);
        Ok(())
    }

    /// Caps of a run: by account, and the canary.
    fn check_run(
        &self,
        effect: &super::world::Effect,
        decided: &Decided,
        campaign: &Campaign,
    ) -> Result<(), Failure> {
        let ledger = &self.world.ledger[..self.world.ledger.len() - 1];
        let key = &effect.key;
        let of_run = || {
            ledger
                .iter()
                .zip(&self.checker.happened)
                .skip(self.checker.forgotten)
                .filter(|(other, fact)| other.key.lineage == key.lineage && fact.run == decided.run)
        };
        let by_it = of_run()
            .filter(|(other, _)| other.account == effect.account)
            .count() as u32;
        if campaign.per_run.is_some_and(|most| by_it >= most) {
            return self.fails(
                "messages of a campaign's account in a run",
                format!("{key}: {}", by_it + 1),
            );
        }
        let first = of_run().filter(|(other, _)| other.key.step == 0).count() as u32;
        let approved = self.checker.shadow.approved.contains(&key.lineage);
        // An edit may have brought the canary while it was on its way.
        let still = self.wall().0 - self.observed.campaigns[&key.lineage].seen_at.0 > HOUR;
        if key.step == 0 && still && !approved && campaign.canary.is_some_and(|most| first >= most)
        {
            return self.fails(
                "first contacts beyond the canary",
                format!("{key}: {}", first + 1),
            );
        }
        Ok(())
    }

    /// `limits.per_person`.
    fn check_person(&self, effect: &super::world::Effect, then: &Limits) -> Result<(), Failure> {
        // An edit may have come while it was on its way.
        let now = &self.loaded_limits;
        let gap_hours = now
            .gap_hours
            .zip(then.gap_hours)
            .map(|(now, then)| now.min(then));
        let per_month = now
            .per_month
            .zip(then.per_month)
            .map(|(now, then)| now.max(then));
        let ledger = &self.world.ledger[..self.world.ledger.len() - 1];
        let to_him = || {
            ledger.iter().skip(self.checker.forgotten).filter(|other| {
                other.key.person == effect.key.person
                    && !is_aside(&other.key.lineage)
                    && !other.invite
            })
        };
        if effect.invite {
            return Ok(());
        }
        let gap = gap_hours.map(|hours| hours as i64 * HOUR);
        if let Some(gap) = gap
            && let Some(last) = to_him().rfind(|other| other.wall <= effect.wall)
            && effect.wall - last.wall < gap
        {
            let after = (effect.wall - last.wall) / MINUTE;
            return self.fails(
                "a person hears too soon again",
                format!("{}: {after} min after {}", effect.key, last.key),
            );
        }
        let month = to_him()
            .filter(|other| (0..30 * DAY).contains(&(effect.wall - other.wall)))
            .count() as u32;
        if per_month.is_some_and(|most| month >= most) {
            return self.fails(
                "a person hears too often in a month",
                format!("{}: {}", effect.key, month + 1),
            );
        }
        Ok(())
    }
}

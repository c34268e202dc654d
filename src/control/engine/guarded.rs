//! A bug in the planning of a campaign ends neither the daemon nor the other campaigns.
//!
//! The planner is pure: nothing is half done where it breaks off. The campaigns at fault are found by leaving out all and
//! trying each, and are left out until they are tried again.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;
use crate::plan::Broken;

/// The longest pause before a campaign whose planning broke off is tried again.
const MOST: Duration = Duration::from_secs(300);

fn pause(times: u32) -> Duration {
    Duration::from_secs(1 << times.saturating_sub(1).min(8)).min(MOST)
}

/// What it comes to; nothing where it breaks off. The panic's own words are in the log.
fn attempt<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

impl Engine {
    /// Plans; of campaigns whose planning breaks off nothing is planned.
    pub(super) fn plan(&mut self) -> Result<Plan, RunError> {
        let now = self.core.clock.now();
        if let Some(plan) = attempt(|| self.core.plan_next()) {
            if !self.core.runtime.broken.is_empty() {
                self.core.runtime.broken.retain(|_, it| it.retry_at > now);
            }
            return Ok(plan);
        }
        let campaigns = self.core.desired.campaigns.values();
        let lines: Vec<Lineage> = campaigns.map(|it| it.lineage.clone()).collect();
        let before = std::mem::take(&mut self.core.runtime.broken);
        let mut found: BTreeMap<Lineage, Broken> = before
            .iter()
            .filter(|(_, it)| it.retry_at > now)
            .map(|(line, it)| (line.clone(), it.clone()))
            .collect();
        // All are left out until it is known whose mistake it is, however long that takes.
        let out = Broken {
            times: 0,
            retry_at: now + Duration::from_secs(3600),
        };
        let left_out = lines.iter().map(|line| (line.clone(), out.clone()));
        self.core.runtime.broken = left_out.collect();
        let mut events = Vec::new();
        for line in lines {
            if found.contains_key(&line) {
                continue;
            }
            self.core.runtime.broken.remove(&line);
            if attempt(|| self.core.plan()).is_none() {
                let times = before.get(&line).map_or(0, |it| it.times) + 1;
                let retry_at = self.retry_at(pause(times));
                events.push(broke_off(Some(line.clone()), retry_at));
                self.core.runtime.broken.insert(line.clone(), out.clone());
                found.insert(line, Broken { times, retry_at });
            }
        }
        let mut plan = attempt(|| self.core.plan()).unwrap_or_else(|| {
            let retry_at = self.retry_at(MOST);
            events.push(broke_off(None, retry_at));
            let mut nothing = Plan::default();
            nothing.wake_at = Some(retry_at);
            nothing
        });
        let again = found.values().map(|it| it.retry_at);
        plan.wake_at = again.chain(plan.wake_at).min();
        self.core.runtime.broken = found;
        self.core.record(events, Durability::Soon)?;
        Ok(plan)
    }

    /// So long after this moment, in real time.
    fn retry_at(&self, pause: Duration) -> Timestamp {
        let clock = &self.core.clock;
        clock.now() + pause.mul_f64(pause_scale(clock))
    }

    /// Applies a campaign's filters; where that breaks off the campaign is left out.
    pub(super) fn judge(&mut self, line: &Lineage) -> Vec<Event> {
        if let Some(events) = attempt(|| audience::judge(&self.core.inputs(), line)) {
            return events;
        }
        let times = self.core.runtime.broken.get(line).map_or(0, |it| it.times) + 1;
        let retry_at = self.retry_at(pause(times));
        self.core
            .runtime
            .broken
            .insert(line.clone(), Broken { times, retry_at });
        vec![broke_off(Some(line.clone()), retry_at)]
    }

    /// What a command asks for; a bug in it ends nothing but the answer, and a campaign's bug not even that.
    pub(super) fn answered(&mut self, command: Command) -> Result<(Reply, Vec<Event>), RunError> {
        let reports = matches!(command, Command::Status { .. } | Command::Accounts);
        let rest = self.rest.as_ref().filter(|_| reports);
        if let Some(answered) = attempt(|| {
            let plan = rest.and_then(|(rest, _)| rest.report(&self.core));
            answer::answer(&self.core, command.clone(), true, plan)
        }) {
            return Ok(answered);
        }
        // It may have been a campaign's planning whose pause had just ended: that one is found and left out.
        self.plan()?;
        Ok(
            attempt(|| answer::answer(&self.core, command, true, None)).unwrap_or_else(|| {
                let message =
                    "this broke off, a bug of Tidings; please report it with the daemon's log";
                (answer::refused(message), Vec::new())
            }),
        )
    }
}

fn broke_off(campaign: Option<Lineage>, retry_at: Timestamp) -> Event {
    Event::BrokeOff {
        account: None,
        campaign,
        detail: format!("Planning broke off, a bug of Tidings. It is tried again at {retry_at}."),
    }
}

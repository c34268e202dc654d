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
        if let Some(plan) = attempt(|| self.core.plan()) {
            if !self.core.runtime.broken.is_empty() {
                self.core.runtime.broken.retain(|_, it| it.retry_at > now);
            }
            return Ok(plan);
        }
        let before = std::mem::take(&mut self.core.runtime.broken);
        let lines: Vec<Lineage> = self
            .core
            .desired
            .campaigns
            .values()
            .map(|campaign| campaign.lineage.clone())
            .collect();
        for line in &lines {
            let known = before.get(line).filter(|it| it.retry_at > now).cloned();
            let times = before.get(line).map_or(0, |it| it.times) + 1;
            let it = known.unwrap_or(Broken {
                times,
                retry_at: now + pause(times).mul_f64(pause_scale(&self.core.clock)),
            });
            self.core.runtime.broken.insert(line.clone(), it);
        }
        let mut events = Vec::new();
        for line in lines {
            if before.get(&line).is_some_and(|it| it.retry_at > now) {
                continue;
            }
            let Some(it) = self.core.runtime.broken.remove(&line) else {
                continue;
            };
            if attempt(|| self.core.plan()).is_none() {
                events.push(broke_off(Some(line.clone()), it.retry_at));
                self.core.runtime.broken.insert(line, it);
            }
        }
        let plan = attempt(|| self.core.plan()).unwrap_or_else(|| {
            let retry_at = now + MOST.mul_f64(pause_scale(&self.core.clock));
            events.push(broke_off(None, retry_at));
            Plan {
                wake_at: Some(retry_at),
                ..Plan::default()
            }
        });
        self.core.record(events, Durability::Soon)?;
        Ok(plan)
    }

    /// Applies a campaign's filters; where that breaks off the campaign is left out.
    pub(super) fn judge(&mut self, line: &Lineage) -> Vec<Event> {
        if let Some(events) = attempt(|| audience::judge(&self.core.inputs(), line)) {
            return events;
        }
        let times = self.core.runtime.broken.get(line).map_or(0, |it| it.times) + 1;
        let retry_at = self.core.clock.now() + pause(times).mul_f64(pause_scale(&self.core.clock));
        self.core
            .runtime
            .broken
            .insert(line.clone(), Broken { times, retry_at });
        vec![broke_off(Some(line.clone()), retry_at)]
    }

    /// What a command asks for; a bug in it ends nothing but the answer.
    pub(super) fn answered(&self, command: Command) -> (Reply, Vec<Event>) {
        attempt(|| answer::answer(&self.core, command, true)).unwrap_or_else(|| {
            let message =
                "this broke off, a bug of Tidings; please report it with the daemon's log";
            (answer::refused(message), Vec::new())
        })
    }
}

fn broke_off(campaign: Option<Lineage>, retry_at: Timestamp) -> Event {
    Event::BrokeOff {
        account: None,
        campaign,
        detail: format!("Planning broke off, a bug of Tidings. It is tried again at {retry_at}."),
    }
}

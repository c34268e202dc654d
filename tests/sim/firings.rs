//! Firings of schedules, found by trying every day: another way than the one that is judged by it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike, LocalResult, NaiveDateTime, TimeDelta, TimeZone};
use chrono_tz::Tz;

use tidings::model::{Event, FiringFate, Lineage, Recorded};

use super::driver::{Sim, iso};
use super::invariants::{Failure, local, tz};
use super::scenario::{Campaign, Cron, HOUR};

/// What the journal says of schedules.
#[derive(Debug, Default)]
pub struct Fired {
    /// Up to where each campaign's firings are dealt with.
    cursor: BTreeMap<Lineage, i64>,
    /// Firings that opened a run.
    opened: BTreeSet<(Lineage, i64)>,
    /// Firings that wait for the run before them.
    queued: BTreeSet<(Lineage, i64)>,
    /// When the engine last started, and when each campaign's file was last seen, by the wall clock.
    started: i64,
    seen: BTreeMap<Lineage, i64>,
}

/// A wall-clock time that the clock skips is the end of the gap, one that it repeats is the first of the two.
fn instant(zone: Tz, mut at: NaiveDateTime) -> i64 {
    loop {
        match zone.from_local_datetime(&at) {
            LocalResult::Single(found) | LocalResult::Ambiguous(found, _) => {
                return found.timestamp_millis();
            }
            LocalResult::None => at += TimeDelta::minutes(1),
        }
    }
}

/// The firings after `from`, up to `to`.
pub fn firings(cron: &Cron, zone: &str, from: i64, to: i64) -> Vec<i64> {
    let (mut date, last) = (local(zone, from).date(), local(zone, to).date());
    let mut found = Vec::new();
    while date <= last {
        let wanted = cron
            .day
            .is_none_or(|day| date.weekday().num_days_from_monday() == day);
        if wanted && let Some(at) = date.and_hms_opt(cron.hour, cron.minute, 0) {
            found.push(instant(tz(zone), at));
        }
        date += TimeDelta::days(1);
    }
    found.retain(|at| (from + 1..=to).contains(at));
    found
}

impl Fired {
    /// A restore takes no firing back that opened a run.
    pub fn still_opened(&mut self, before: &Fired) {
        self.opened.extend(before.opened.iter().cloned());
    }

    pub fn fold(&mut self, recorded: &Recorded) {
        match &recorded.event {
            Event::Started { .. } => self.started = recorded.at.0,
            Event::SpecSeen { campaign, .. } => {
                self.seen.insert(campaign.clone(), recorded.at.0);
            }
            Event::ScheduleSeen { campaign, .. } => {
                self.cursor.insert(campaign.clone(), recorded.at.0);
            }
            Event::Fired {
                campaign,
                firing,
                fate,
            } => {
                let cursor = self.cursor.entry(campaign.clone()).or_insert(i64::MIN);
                *cursor = (*cursor).max(firing.0);
                let which = (campaign.clone(), firing.0);
                match fate {
                    FiringFate::Opens { .. } => self.opened.insert(which),
                    FiringFate::Queued => self.queued.insert(which),
                    _ => false,
                };
            }
            _ => {}
        }
    }
}

impl Sim {
    /// A firing is about to be written down.
    pub fn check_fired(&self, event: &Event) -> Result<(), Failure> {
        let Event::Fired {
            campaign,
            firing,
            fate,
        } = event
        else {
            return Ok(());
        };
        let fails = |kind| {
            let detail = format!("{campaign} at {firing}, {fate:?}");
            Err(Failure::new(kind, self, detail))
        };
        let fired = &self.checker.fired;
        let Some((spec, cron)) = self
            .spec(campaign)
            .and_then(|spec| Some((spec, spec.cron.as_ref()?)))
        else {
            return fails("a firing without a schedule");
        };
        let which = (campaign.clone(), firing.0);
        if *firing > self.wall() && !fired.queued.contains(&which) {
            return fails("a firing before its time");
        }
        // One that was queued may be of a schedule that an edit has replaced, but that edit forgets it.
        if !firings(cron, spec.zone, firing.0 - 1, firing.0).contains(&firing.0) {
            return fails("a firing that no schedule asks for");
        }
        if matches!(fate, FiringFate::Opens { .. }) && fired.opened.contains(&which) {
            return fails("one firing opens two runs");
        }
        let up = fired
            .started
            .max(fired.seen.get(campaign).copied().unwrap_or(i64::MIN))
            <= firing.0;
        let held = self.observed.restored.is_some();
        if *fate == FiringFate::Missed && up && !held && !self.clock_was_set() {
            return fails("a firing is missed while the engine runs");
        }
        Ok(())
    }

    /// Every firing that is due was dealt with.
    pub fn check_firings(&self) -> Result<(), Failure> {
        let wall = self.wall().0;
        for spec in self.loaded.iter().filter(|spec| self.goes_on(spec)) {
            let line = Lineage::from(spec.name.as_str());
            let (Some(cron), Some(cursor)) = (&spec.cron, self.checker.fired.cursor.get(&line))
            else {
                continue;
            };
            let hours =
                |hours: Option<u64>| hours.map(|hours| self.scenario.start + hours as i64 * HOUR);
            let from = (*cursor).max(hours(spec.start).map_or(i64::MIN, |start| start - 1));
            let to = wall.min(hours(spec.end).map_or(i64::MAX, |end| end - 1));
            if let Some(left) = (from < to)
                .then(|| firings(cron, spec.zone, from, to))
                .and_then(|all| all.first().copied())
            {
                let detail = format!("{line}: {} with the cursor at {}", iso(left), iso(*cursor));
                return Err(Failure::new(
                    "a firing that nothing was done about",
                    self,
                    detail,
                ));
            }
        }
        Ok(())
    }

    fn goes_on(&self, spec: &Campaign) -> bool {
        let wall = self.wall().0;
        let start = spec
            .start
            .map_or(i64::MIN, |hours| self.scenario.start + hours as i64 * HOUR);
        let end = spec
            .end
            .map_or(i64::MAX, |hours| self.scenario.start + hours as i64 * HOUR);
        !spec.gone
            && !spec.broken
            && !spec.paused
            && (start..end).contains(&wall)
            && self.stopped(&spec.name).is_none()
            && !self.waits_for_dialogs(spec)
    }

    /// Whether a restore holds a campaign until its accounts have read their dialogs.
    fn waits_for_dialogs(&self, spec: &Campaign) -> bool {
        self.observed.restored.as_ref().is_some_and(|restored| {
            restored
                .unread
                .iter()
                .any(|name| spec.accounts.contains(&Sim::account_number(name)))
        })
    }
}

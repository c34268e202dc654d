//! `schedule`: when.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::{duration_within, no_duplicates, time_problem};
use super::codes;
use super::diagnostic::{Findings, Pointer};
use super::duration::{Duration, MAX_DURATION};
use crate::time::{Cron, WallClock, Windows, Zone};

/// Whom a later run writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EachRun {
    /// A person gets each step once in the campaign's life.
    #[default]
    Newcomers,
    /// A person gets each step once a run.
    Everyone,
}

/// What happens to firings while the daemon was down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// They are left out.
    #[default]
    Skip,
    /// The latest of them starts a run.
    Latest,
}

/// What happens to a firing while the run before is still open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// It is left out.
    #[default]
    Skip,
    /// It starts a run as soon as the one before is settled.
    Queue,
}

/// When a campaign runs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Schedule {
    /// A zone of the IANA database. Required as soon as a wall-clock time, window or cron stands here.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"Europe/Berlin", length(min = 1, max = 64))]
    pub timezone: Option<String>,
    /// Nothing happens before; a wall-clock time, or one with its own offset.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"2026-12-01T09:00", length(min = 1, max = 64))]
    pub start: Option<String>,
    /// Nothing is sent after; a wall-clock time, or one with its own offset.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"2026-12-20T18:00", length(min = 1, max = 64))]
    pub end: Option<String>,
    /// The five fields of crontab; each firing starts a run.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"0 10 * * mon", length(min = 1, max = 200))]
    pub cron: Option<String>,
    /// Whom a later run writes to: `newcomers` (default) or `everyone`. With `everyone` the report's progress, outcomes and
    /// templates are those of the last run, its `steps` those of all: follow-ups of earlier runs go on beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"newcomers", extend("default" = "newcomers"))]
    pub each_run: Option<EachRun>,
    /// How often newcomers are looked for while a run is open; once a run where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"6h")]
    pub refresh: Option<Duration>,
    /// Nothing is sent outside these times of the week, AI answers neither.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = &["mon-fri 10:00-13:00", "mon-fri 14:00-19:00"], length(max = 500), inner(length(max = 200)))]
    pub windows: Vec<String>,
    /// What happens to firings while the daemon was down: `skip` (default) or `latest`. `run --once`, which another cron
    /// may start at the same minute, takes a firing of the last 60 seconds for its own: it was not missed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"skip", extend("default" = "skip"))]
    pub missed: Option<Missed>,
    /// What happens to a firing while the run before is still open: `skip` (default) or `queue`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"skip", extend("default" = "skip"))]
    pub overlap: Option<Overlap>,
}

/// The shortest time between two look-ups of sources: Telegram's own limits on look-ups are met long before.
const MIN_REFRESH: Duration = Duration::from_secs(1);

impl Schedule {
    /// Whom a later run writes to.
    pub fn each_run(&self) -> EachRun {
        self.each_run.unwrap_or_default()
    }

    /// What happens to firings while the daemon was down.
    pub fn missed(&self) -> Missed {
        self.missed.unwrap_or_default()
    }

    /// What happens to a firing while the run before is still open.
    pub fn overlap(&self) -> Overlap {
        self.overlap.unwrap_or_default()
    }

    /// Checks every time in it.
    pub(super) fn check(&self, at: &Pointer, out: &mut Findings) {
        let zone = self
            .timezone
            .as_deref()
            .and_then(|name| match Zone::parse(name) {
                Ok(zone) => Some(zone),
                Err(problem) => {
                    time_problem(problem, codes::BAD_TIMEZONE, &at.key("timezone"), out);
                    None
                }
            });
        let mut needs_zone: Option<(&str, Pointer)> = None;
        let mut clock = |key: &'static str, text: &Option<String>, out: &mut Findings| {
            let text = text.as_deref()?;
            match WallClock::parse(text) {
                Ok(time) => {
                    if time.needs_zone() && needs_zone.is_none() {
                        needs_zone = Some((key, at.key(key)));
                    }
                    Some(time)
                }
                Err(problem) => {
                    time_problem(problem, codes::BAD_TIME, &at.key(key), out);
                    None
                }
            }
        };
        let start = clock("start", &self.start, out);
        let end = clock("end", &self.end, out);
        if let (Some(start), Some(end)) = (start, end)
            && (self.timezone.is_none() || zone.is_some())
            && start.resolve(zone.unwrap_or_default()) >= end.resolve(zone.unwrap_or_default())
        {
            out.error(
                &at.key("end"),
                codes::START_AFTER_END,
                "the schedule ends before it starts",
            )
            .detail("`end` must be later than `start`.");
        }
        if let Some(cron) = &self.cron {
            needs_zone.get_or_insert(("cron", at.key("cron")));
            if let Err(problem) = Cron::parse(cron) {
                time_problem(problem, codes::BAD_CRON, &at.key("cron"), out);
            }
        } else {
            for (key, given) in [
                ("missed", self.missed.is_some()),
                ("overlap", self.overlap.is_some()),
                ("each_run", self.each_run == Some(EachRun::Everyone)),
            ] {
                if given {
                    out.warning(
                        &at.key(key),
                        codes::NO_EFFECT,
                        format!("`{key}` without `cron` changes nothing"),
                    )
                    .at_key()
                    .detail("Without `cron` there is one run. Add `cron`, or take the key out.");
                }
            }
        }
        if !self.windows.is_empty() {
            needs_zone.get_or_insert(("windows", at.key("windows")));
        }
        for (index, window) in self.windows.iter().enumerate() {
            if let Err(problem) = Windows::check(window) {
                time_problem(
                    problem,
                    codes::BAD_WINDOW,
                    &at.key("windows").index(index),
                    out,
                );
            }
        }
        no_duplicates(
            self.windows.iter().map(String::as_str),
            &at.key("windows"),
            "window",
            out,
        );
        if let Some((key, place)) = needs_zone
            && self.timezone.is_none()
        {
            out.error(&place, codes::TIMEZONE_REQUIRED, format!("`{key}` needs `schedule.timezone`"))
                .at_key()
                .detail("Wall-clock times, windows and cron are of a zone: add one of the IANA database, such as `timezone: Europe/Berlin`.");
        }
        if let Some(refresh) = self.refresh {
            duration_within(refresh, MIN_REFRESH, MAX_DURATION, &at.key("refresh"), out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::table;

    #[test]
    fn schedules_are_checked() {
        table(&[
            (
                "all of it",
                "schedule: {timezone: Europe/Berlin, start: 2026-12-01T09:00, end: 2026-12-20T18:00, cron: \"0 10 * * mon\", each_run: everyone, refresh: 6h, windows: [\"mon-fri 10:00-13:00\"], missed: latest, overlap: queue}",
                &[],
            ),
            (
                "instants need no zone",
                "schedule: {start: \"2026-12-01T09:00Z\", end: 2026-12-20T18:00+01:00}",
                &[],
            ),
            (
                "a wall clock without a zone",
                "schedule: {start: 2026-12-01T09:00}",
                &["timezone-required: start"],
            ),
            (
                "windows without a zone",
                "schedule: {windows: [\"10:00-13:00\"]}",
                &["timezone-required: windows"],
            ),
            (
                "cron without a zone",
                "schedule: {cron: \"0 10 * * *\"}",
                &["timezone-required: cron"],
            ),
            (
                "an unknown zone",
                "schedule: {timezone: Europe/Berlín, windows: [\"10:00-13:00\"]}",
                &["bad-timezone: Europe/Berlín"],
            ),
            (
                "the end before the start",
                "schedule: {timezone: UTC, start: 2026-12-02, end: 2026-12-01}",
                &["start-after-end: 2026-12-01"],
            ),
            (
                "the same by offsets",
                "schedule: {start: 2026-12-01T09:00+00:00, end: 2026-12-01T09:30+01:00}",
                &["start-after-end: 2026-12-01T09:30+01:00"],
            ),
            (
                "no such day",
                "schedule: {timezone: UTC, start: 2026-02-30T09:00}",
                &["bad-time: 2026-02-30"],
            ),
            (
                "no such time",
                "schedule: {timezone: UTC, end: tomorrow}",
                &["bad-time: tomorrow"],
            ),
            (
                "a broken cron",
                "schedule: {timezone: UTC, cron: \"0 25 * * *\"}",
                &["bad-cron: 25"],
            ),
            (
                "four fields",
                "schedule: {timezone: UTC, cron: \"0 10 * *\"}",
                &["bad-cron: 0 10 * *"],
            ),
            (
                "a broken window",
                "schedule: {timezone: UTC, windows: [\"mon-fri 10:00-13:00\", \"mon 10-13\"]}",
                &["bad-window: 10"],
            ),
            (
                "a window twice",
                "schedule: {timezone: UTC, windows: [\"10:00-13:00\", \"10:00-13:00\"]}",
                &["warning duplicate-item: \"10:00-13:00\""],
            ),
            (
                "missed without cron",
                "schedule: {missed: skip}",
                &["warning no-effect: missed"],
            ),
            (
                "refresh at every moment",
                "schedule: {refresh: 0s}",
                &["out-of-range: 0s"],
            ),
            (
                "an unknown word",
                "schedule: {timezone: UTC, cron: \"0 10 * * *\", each_run: all}",
                &["unknown-value: all"],
            ),
        ]);
    }
}

//! Kubernetes-style conditions: what holds of a campaign, why, and since when.

use super::report::{newcomers, or_else};
use super::table::absolute_words;
use super::types::{
    self, AccountStatus, Condition, DaemonInfo, Moment, Progress, Sync, Truth, WaitStatus,
};
use crate::desired::{DesiredCampaign, ResolvedCampaign};
use crate::model::{AccountState, ConditionType, Timestamp, Waiting};
use crate::observed::Campaign;
use crate::plan::{CampaignView, Gate, Inputs};
use crate::spec::Severity;
use crate::time::Zone;

/// All that conditions are made of.
pub(super) struct Facts<'a> {
    pub(super) inputs: &'a Inputs<'a>,
    pub(super) daemon: &'a DaemonInfo,
    pub(super) wanted: Option<&'a DesiredCampaign>,
    pub(super) spec: Option<&'a ResolvedCampaign>,
    pub(super) seen: Option<&'a Campaign>,
    pub(super) view: Option<&'a CampaignView>,
    pub(super) error: Option<&'a str>,
    pub(super) sync: Sync,
    pub(super) progress: Progress,
    pub(super) waiting: &'a [WaitStatus],
    pub(super) accounts: &'a [&'a AccountStatus],
}

/// A condition without its type.
struct Said {
    status: Truth,
    reason: String,
    message: String,
    since: Timestamp,
}

fn said(
    status: Truth,
    reason: impl Into<String>,
    message: impl Into<String>,
    since: Timestamp,
) -> Said {
    Said {
        status,
        reason: reason.into(),
        message: message.into(),
        since,
    }
}

/// All conditions, in the order of the promise.
pub(super) fn all(facts: &Facts<'_>) -> Vec<Condition> {
    ConditionType::ALL
        .iter()
        .map(|kind| {
            let Said {
                status,
                reason,
                message,
                since,
            } = match kind {
                ConditionType::Ready => facts.ready(),
                ConditionType::SpecValid => facts.spec_valid(),
                ConditionType::Paused => facts.paused(),
                ConditionType::Throttled => facts.throttled(),
                ConditionType::Stalled => facts.stalled(),
                ConditionType::Succeeded => facts.succeeded(),
            };
            let since = or_else(since, facts.changed());
            Condition {
                kind: *kind,
                status,
                reason,
                message,
                last_transition_time: Moment::from(since),
            }
        })
        .collect()
}

impl Facts<'_> {
    /// When the spec last changed, which is when most things last could; now, where nobody has seen it.
    fn changed(&self) -> Timestamp {
        self.seen.map_or(self.inputs.now, |seen| {
            or_else(seen.seen_at, self.inputs.now)
        })
    }

    /// When something last happened to the campaign itself.
    fn moved(&self) -> Timestamp {
        self.seen
            .and_then(|seen| {
                [
                    seen.last_sent_at,
                    seen.run_opened_at,
                    seen.judgement.as_ref().map(|j| j.at),
                ]
                .into_iter()
                .flatten()
                .max()
            })
            .unwrap_or_else(|| self.changed())
    }

    /// Everybody found is settled, and nothing will be looked for again.
    fn all_settled(&self) -> bool {
        let Some(seen) = self.seen else { return false };
        let unread = matches!(
            self.view.map(|view| &view.gate),
            Some(Gate::Blocked {
                condition: "SourceFailed",
                ..
            })
        );
        if unread {
            return false;
        }
        let goes_on = self.spec.is_some_and(|spec| {
            let ended = spec.schedule.end.is_some_and(|end| end <= self.inputs.now);
            (spec.schedule.refresh.is_some() || spec.schedule.cron.is_some()) && !ended
        });
        matches!(self.view.map(|view| &view.gate), Some(Gate::Done { .. }))
            || (!goes_on
                && seen.judgement.is_some()
                && !seen.looking_up()
                && self.progress.pending == 0
                && self.progress.in_flight == 0
                && self.progress.settled() > 0)
    }

    fn ready(&self) -> Said {
        if self.sync == Sync::Retired {
            let since = self
                .seen
                .and_then(|seen| seen.retired)
                .unwrap_or(self.inputs.now);
            // Nobody must act: it rests because somebody took its file away.
            return said(
                Truth::True,
                "Retired",
                "Its file is gone: nothing is sent, its history stays, and bringing the file back resumes it.",
                since,
            );
        }
        if let Some(error) = &self.inputs.desired.folder_error {
            return said(
                Truth::False,
                "FolderUnreadable",
                error.clone(),
                self.changed(),
            );
        }
        let Some(view) = self.view else {
            return self.ready_unseen();
        };
        match &view.gate {
            Gate::Blocked {
                condition: "Ended",
                message,
                ..
            } if self.all_settled() => {
                said(Truth::True, "Succeeded", message.clone(), self.moved())
            }
            // People are left over, and that is how it was wished: nobody must act.
            Gate::Blocked {
                condition: "Ended",
                message,
                ..
            } => said(
                Truth::True,
                "Ended",
                message.clone(),
                self.blocked_since("Ended"),
            ),
            Gate::Blocked {
                condition, message, ..
            } => said(
                Truth::False,
                *condition,
                message.clone(),
                self.blocked_since(condition),
            ),
            Gate::Done { message } => said(Truth::True, "Succeeded", message.clone(), self.moved()),
            Gate::Waits {
                reason, message, ..
            } => match self.no_account() {
                // Whatever else it waits for: in the end only a person brings an account back.
                Some(no_account) => no_account,
                None => said(Truth::True, reason.name(), message.clone(), self.moved()),
            },
            Gate::Open => self.ready_open(),
        }
    }

    /// Of a campaign that no engine has looked at: what its file says.
    fn ready_unseen(&self) -> Said {
        let since = self.inputs.now;
        let no = |reason: &str, message: String| said(Truth::False, reason, message, since);
        if let Some(error) = self.error {
            return no("SpecInvalid", error.to_owned());
        }
        let Some(spec) = self.spec else {
            return no(
                "SpecInvalid",
                "The spec is invalid; `tidings validate` says why.".to_owned(),
            );
        };
        if let Some(hold) = &self.inputs.observed.suspended {
            return no(
                "Suspended",
                format!(
                    "Suspended by {}: {}. `tidings resume --all` lets it go.",
                    hold.by, hold.reason
                ),
            );
        }
        if spec.paused {
            return no("Paused", "The spec says `paused: true`.".to_owned());
        }
        if let Some(no_account) = self.no_account() {
            return no_account;
        }
        said(
            Truth::Unknown,
            "NotSeen",
            "No daemon has looked at it yet; `tidings run` starts it, `tidings plan` shows what it would do.",
            since,
        )
    }

    fn ready_open(&self) -> Said {
        let since = self.moved();
        let waits_for = |reason: Waiting| self.waiting.iter().find(|wait| wait.reason == reason);
        let main = self.waiting.iter().max_by_key(|wait| wait.count);
        if self
            .waiting
            .iter()
            .all(|wait| matches!(wait.reason, Waiting::AccountUnavailable | Waiting::Held))
            && self.progress.pending > 0
            && let Some(no_account) = self.no_account()
        {
            return no_account;
        }
        if let Some(spent) = self.run_spent() {
            return spent;
        }
        if !self.daemon.running {
            return said(
                Truth::True,
                "NoDaemon",
                "No daemon is running; `tidings run` goes on.",
                since,
            );
        }
        let doubt = self.progress.in_flight;
        match main {
            Some(_) if waits_for(Waiting::Delay).is_some() => said(
                Truth::True,
                "Sending",
                format!(
                    "{} of {} are settled.",
                    self.progress.settled(),
                    self.progress.included()
                ),
                since,
            ),
            Some(wait) => said(
                Truth::True,
                wait.reason.name(),
                format!(
                    "{} of {} wait: {}",
                    wait.count,
                    self.progress.pending,
                    wait.reason.meaning()
                ),
                since,
            ),
            None => said(
                Truth::True,
                "Sending",
                format!("{doubt} on their way."),
                since,
            ),
        }
    }

    /// Where who is left gets nothing until a person acts: the accounts have sent what `per_run` lets them in a run, and
    /// no other run follows.
    fn run_spent(&self) -> Option<Said> {
        let per_run = self.spec?.delays.per_run?;
        let for_ever = |wait: &WaitStatus| wait.until.is_none();
        let capped = |wait: &&WaitStatus| wait.reason == Waiting::AccountCap && for_ever(wait);
        let left = self.waiting.iter().find(capped)?.count;
        if self.progress.in_flight > 0 || !self.waiting.iter().all(for_ever) {
            return None;
        }
        let people = super::people(left);
        Some(said(
            Truth::False,
            "RunSpent",
            format!(
                "Each account has sent the {per_run} messages that `per_account.per_run` lets it send in a run, no other \
                 run follows, and {people} are left. Raise `per_run` (or MAILING_MAX_PER_ACCOUNT), name another account, \
                 or let `schedule.cron` start further runs."
            ),
            self.moved(),
        ))
    }

    /// Where no account of the campaign can do anything until a person acts.
    fn no_account(&self) -> Option<Said> {
        if self.accounts.is_empty() || !self.accounts.iter().all(|account| account.needs_a_person())
        {
            return None;
        }
        let mut words: Vec<String> = self
            .accounts
            .iter()
            .map(|a| format!("{} is {}: {}", a.name, a.state, a.message))
            .collect();
        let more = words.len().saturating_sub(MAX_ACCOUNTS_SAID);
        words.truncate(MAX_ACCOUNTS_SAID);
        let mut message = words.join(" ");
        if more > 0 {
            message.push_str(&format!(
                " {more} more are like that; `tidings account list` shows them."
            ));
        }
        let reason = if self
            .accounts
            .iter()
            .all(|a| a.message.starts_with(types::STATE_LOST))
        {
            types::STATE_LOST
        } else {
            "NoAccount"
        };
        let since = self
            .accounts
            .iter()
            .filter_map(|a| {
                self.inputs
                    .observed
                    .accounts
                    .get(a.name.as_str())?
                    .trouble
                    .as_ref()
                    .map(|t| t.2)
            })
            .max();
        Some(said(
            Truth::False,
            reason,
            message,
            since.unwrap_or_else(|| self.changed()),
        ))
    }

    fn blocked_since(&self, condition: &str) -> Timestamp {
        let Some(seen) = self.seen else {
            return self.inputs.now;
        };
        let found = match condition {
            "Suspended" => self.hold().map(|hold| hold.2),
            "PausedItself" => seen.self_paused.as_ref().map(|(_, at)| *at),
            "Stalled" => seen.stalled.as_ref().map(|(_, at)| *at),
            "Ended" => self.spec.and_then(|spec| spec.schedule.end),
            "SourceFailed" => self.failed_since(),
            "AwaitingApproval" | "Canary" | "ConsentMismatch" | "LooksRenamed" => {
                Some(self.moved())
            }
            _ => None,
        };
        found.unwrap_or_else(|| self.changed())
    }

    fn failed_since(&self) -> Option<Timestamp> {
        let lookups = self
            .seen?
            .sources
            .values()
            .flat_map(|source| source.lookups.values());
        lookups
            .filter(|lookup| lookup.error.is_some())
            .filter_map(|lookup| lookup.ended)
            .max()
    }

    /// Why, who, since when: the hold over all campaigns before the campaign's own.
    fn hold(&self) -> Option<(&str, &str, Timestamp)> {
        let own = self.seen.and_then(|seen| seen.suspended.as_ref());
        let hold = self.inputs.observed.suspended.as_ref().or(own)?;
        Some((hold.reason.as_str(), hold.by.as_str(), hold.at))
    }

    fn spec_valid(&self) -> Said {
        let since = self.changed();
        match self.sync {
            Sync::Retired => said(
                Truth::Unknown,
                "Retired",
                "Its file is gone.",
                self.seen.and_then(|s| s.retired).unwrap_or(since),
            ),
            Sync::Unreadable => {
                let why = self.inputs.desired.folder_error.clone().unwrap_or_default();
                said(Truth::Unknown, "FolderUnreadable", why, since)
            }
            Sync::Invalid => {
                let errors = self.wanted.map_or(0, |w| {
                    w.diagnostics
                        .iter()
                        .filter(|d| d.severity == Severity::Error)
                        .count()
                });
                let mut message = self.error.map_or_else(
                    || "The spec is invalid; `tidings validate` says why.".to_owned(),
                    ToOwned::to_owned,
                );
                if errors > 1 {
                    message.push_str(&format!(
                        " (and {} more; `tidings validate` shows all)",
                        errors - 1
                    ));
                }
                if self.spec.is_some() {
                    message.push_str(" The last valid version goes on (`on_invalid: continue`).");
                }
                said(Truth::False, "SpecInvalid", message, since)
            }
            Sync::Current | Sync::Changed | Sync::Unseen => {
                let others = self
                    .wanted
                    .and_then(|wanted| newcomers(self.inputs, wanted).next());
                said(Truth::True, "Valid", others.unwrap_or_default(), since)
            }
        }
    }

    fn paused(&self) -> Said {
        if let Some((reason, by, at)) = self.hold() {
            let mut message = format!("Suspended by {by}: {reason}.");
            if self.spec.is_some_and(|spec| spec.paused) {
                message.push_str(" The spec says `paused: true` too.");
            }
            return said(Truth::True, "Suspended", message, at);
        }
        if self.spec.is_some_and(|spec| spec.paused) {
            return said(
                Truth::True,
                "PausedInSpec",
                "The spec says `paused: true`.",
                self.changed(),
            );
        }
        if let Some((why, at)) = self.seen.and_then(|seen| seen.self_paused.as_ref()) {
            return said(
                Truth::True,
                camel(&why.reason, "PausedItself"),
                why.message.clone(),
                *at,
            );
        }
        said(Truth::False, "NotPaused", "", self.changed())
    }

    fn throttled(&self) -> Said {
        let slow = |reason: Waiting| {
            matches!(
                reason,
                Waiting::FloodWait
                    | Waiting::AccountLimited
                    | Waiting::AccountCap
                    | Waiting::CampaignCap
                    | Waiting::PersonGap
                    | Waiting::OwnerPlan
                    | Waiting::Cooldown
            )
        };
        let slowest = self
            .waiting
            .iter()
            .filter(|wait| slow(wait.reason))
            .max_by_key(|wait| wait.count);
        if let Some(wait) = slowest {
            let until = self.until(wait.until);
            let message = format!(
                "{} of {} pending people wait{until}: {}",
                wait.count,
                self.progress.pending,
                wait.reason.meaning()
            );
            return said(
                Truth::True,
                wait.reason.name(),
                message,
                self.slowed_since(wait.reason),
            );
        }
        // Others go on: the campaign is slower all the same.
        let slowed = self
            .accounts
            .iter()
            .find_map(|account| match account.state {
                AccountState::FloodWait => Some((account, Waiting::FloodWait)),
                AccountState::Limited => Some((account, Waiting::AccountLimited)),
                _ => None,
            });
        if self.progress.pending > 0
            && let Some((account, reason)) = slowed
        {
            let message = format!(
                "{} waits{}: {}",
                account.name,
                self.until(account.until),
                account.message
            );
            return said(
                Truth::True,
                reason.name(),
                message,
                self.slowed_since(reason),
            );
        }
        said(Truth::False, "NotThrottled", "", self.changed())
    }

    /// ` until Tue 1 Dec 09:00 CET`, in the campaign's zone; nothing where it is not known.
    fn until(&self, at: Option<Moment>) -> String {
        let zone = self.spec.map_or(Zone::UTC, |spec| spec.schedule.zone);
        at.map_or_else(String::new, |at| {
            format!(" until {}", absolute_words(at, zone, self.inputs.now))
        })
    }

    /// Since when Telegram slows its accounts down; caps bite at the last message.
    fn slowed_since(&self, reason: Waiting) -> Timestamp {
        let known = self
            .accounts
            .iter()
            .filter_map(|a| self.inputs.observed.accounts.get(a.name.as_str()));
        let found = match reason {
            Waiting::FloodWait => known
                .flat_map(|account| account.floods.values())
                .filter(|flood| flood.until > self.inputs.now)
                .map(|flood| flood.until - std::time::Duration::from_secs(u64::from(flood.seconds)))
                .min(),
            Waiting::AccountLimited => known
                .filter_map(|account| {
                    account
                        .limited(self.inputs.now)
                        .map(|until| until - account.limited_for)
                })
                .min(),
            _ => self.seen.and_then(|seen| seen.last_sent_at),
        };
        found
            .filter(|at| *at <= self.inputs.now)
            .unwrap_or_else(|| self.moved())
    }

    fn stalled(&self) -> Said {
        if let Some((why, at)) = self.seen.and_then(|seen| seen.stalled.as_ref()) {
            return said(
                Truth::True,
                camel(&why.reason, "Stalled"),
                why.message.clone(),
                *at,
            );
        }
        if let Some(Gate::Blocked {
            condition, message, ..
        }) = self.view.map(|view| &view.gate)
            && matches!(*condition, "SourceFailed" | "Stalled")
        {
            return said(
                Truth::True,
                *condition,
                message.clone(),
                self.blocked_since(condition),
            );
        }
        said(Truth::False, "NotStalled", "", self.changed())
    }

    fn succeeded(&self) -> Said {
        let Progress {
            pending, in_flight, ..
        } = self.progress;
        if self
            .spec
            .is_some_and(|spec| spec.kind == crate::spec::Kind::Warmup)
            && self.seen.is_some()
        {
            return match self.view.map(|view| &view.gate) {
                Some(Gate::Done { message }) => {
                    said(Truth::True, "RampEnded", message.clone(), self.moved())
                }
                Some(Gate::Waits { message, .. } | Gate::Blocked { message, .. }) => {
                    said(Truth::False, "InProgress", message.clone(), self.changed())
                }
                Some(Gate::Open) | None => said(Truth::False, "InProgress", "", self.changed()),
            };
        }
        let collects = |spec: &ResolvedCampaign| spec.kind == crate::spec::Kind::Collect;
        if self.all_settled() && self.spec.is_some_and(collects) {
            let message = match self.progress.included() {
                1 => "1 person is collected.".to_owned(),
                many => format!("{many} people are collected."),
            };
            return said(Truth::True, "AllSettled", message, self.moved());
        }
        if self.all_settled() {
            let who = match self.progress.included() {
                1 => "The 1 person is".to_owned(),
                many => format!("All {many} people are"),
            };
            let message = format!(
                "{who} settled: {} sent, {} failed, {} skipped, {} uncertain.",
                self.progress.sent,
                self.progress.failed,
                self.progress.skipped,
                self.progress.uncertain
            );
            return said(Truth::True, "AllSettled", message, self.moved());
        }
        match self.seen {
            None => said(Truth::False, "NotStarted", "", self.changed()),
            Some(seen) if seen.judgement.is_none() => said(
                Truth::False,
                "NotStarted",
                "Its audience is not known yet.",
                self.changed(),
            ),
            Some(seen)
                if pending + in_flight == 0
                    && self.spec.is_some_and(|spec| spec.schedule.cron.is_some()) =>
            {
                let message = format!("Run {} is settled, and another one follows.", seen.run);
                said(Truth::False, "BetweenRuns", message, self.moved())
            }
            Some(_) if pending + in_flight == 0 => said(
                Truth::False,
                "Open",
                "Everybody is settled, and the run is open for newcomers.",
                self.moved(),
            ),
            Some(_) => said(
                Truth::False,
                "InProgress",
                format!("{pending} pending, {in_flight} on their way."),
                self.changed(),
            ),
        }
    }
}

/// Accounts that one message tells of.
const MAX_ACCOUNTS_SAID: usize = 3;

/// A reason that came from elsewhere, where it is CamelCase as promised.
fn camel<'a>(reason: &'a str, otherwise: &'a str) -> &'a str {
    let fits = reason.starts_with(|c: char| c.is_ascii_uppercase())
        && reason.chars().all(|c| c.is_ascii_alphanumeric());
    if fits { reason } else { otherwise }
}

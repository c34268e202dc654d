//! What must hold where nothing is to be done: the same plan again, everybody waits for a reason, and in the end everything
//! is done or waits for somebody.

use tidings::model::{Lineage, Timestamp, Waiting};
use tidings::plan::{Gate, Inputs, Plan, plan};

use super::driver::{Sim, refold};
use super::invariants::Failure;
use super::scenario::{DAY, Kind};

impl Sim {
    /// Planning anew on the same state at the same moment answers as the pass that kept what nothing has happened to, and
    /// asks for no earlier pass than that one.
    pub fn check_same(&self, one: &Plan, other: &Plan) -> Result<(), Failure> {
        let moment = |plan: &Plan| plan.wake_at.unwrap_or(Timestamp::MAX);
        let same = one.actions == other.actions
            && moment(one) <= moment(other)
            && one.report.campaigns == other.report.campaigns;
        match same {
            true => Ok(()),
            false => self.fails("planning anew answers otherwise", differences(one, other)),
        }
    }

    /// A report that looks only at what can be otherwise says the same as one that looks at everything.
    pub fn check_report(&self) -> Result<(), Failure> {
        let inputs = Inputs {
            report_only: true,
            ..self.inputs()
        };
        let (one, other) = (self.planner.report(&inputs, self.readings), plan(&inputs));
        let same = one.report.campaigns == other.report.campaigns;
        match same {
            true => Ok(()),
            false => self.fails("reporting anew says otherwise", differences(&one, &other)),
        }
    }

    /// Nothing is to be done now: everybody waits for a reason, and no moment that is waited for has passed.
    pub fn check_rest(&self, plan: &Plan) -> Result<(), Failure> {
        self.check_firings()?;
        let now = self.wall();
        for (line, view) in &plan.report.campaigns {
            let pending = self.observed.campaigns[line].pending();
            let sum: u64 = view.waiting.iter().map(|wait| wait.count).sum();
            if sum != pending {
                return self.fails(
                    "waits that are not the pending",
                    format!("{line}: {sum} of {pending}"),
                );
            }
            let moments = view.waiting.iter().filter_map(|wait| wait.until);
            let gate = match &view.gate {
                Gate::Waits { until, .. } => *until,
                _ => None,
            };
            if let Some(passed) = moments.chain(gate).find(|at| *at < now) {
                return self.fails(
                    "a wait for a moment that has passed",
                    format!("{line}: {passed}, {view:?}"),
                );
            }
            if let Some(wait) = plan.wake_at.filter(|at| *at <= now) {
                return self.fails("a wake that has passed", format!("{line}: {wait}"));
            }
        }
        Ok(())
    }

    /// What is folded event by event is what the journal gives.
    pub fn check_fold(&self) -> Result<(), Failure> {
        match refold(&self.journal) == self.observed {
            true => Ok(()),
            false => self.fails("the journal gives another state", String::new()),
        }
    }

    /// After days without faults everything is done, or waits for a stated reason.
    pub fn check_end(&self) -> Result<(), Failure> {
        self.check_fold()?;
        let made = plan(&self.inputs());
        self.check_rest(&made)?;
        let now = self.wall();
        for (key, flight) in &self.observed.in_flight {
            if now.0 - flight.at.0 > 2 * DAY {
                return self.fails(
                    "a send without an end",
                    format!("{key}: {:?}", flight.doubt),
                );
            }
        }
        for (line, view) in &made.report.campaigns {
            let gate = match &view.gate {
                Gate::Waits { reason, until, .. } => vec![(*reason, *until)],
                _ => Vec::new(),
            };
            let waits = view.waiting.iter().map(|wait| (wait.reason, wait.until));
            for (reason, until) in gate.into_iter().chain(waits) {
                if until.is_none() && !self.is_stated(line, reason) {
                    return self.fails(
                        "a wait without a moment",
                        format!("{line}: {reason}, {view:?}"),
                    );
                }
            }
        }
        Ok(())
    }

    /// Whether a wait without a moment ends by what somebody does, or by what goes on now.
    fn is_stated(&self, line: &Lineage, reason: Waiting) -> bool {
        let troubled = !self.checker.shadow.troubled.is_empty();
        let campaign = self.spec(line);
        match reason {
            // A warm-up waits for its account.
            Waiting::Delay | Waiting::AccountCap
                if campaign.is_some_and(|campaign| campaign.kind == Kind::Warmup) =>
            {
                troubled
            }
            Waiting::AwaitingApproval
            | Waiting::Canary
            | Waiting::Paused
            | Waiting::Suspended
            | Waiting::Held => true,
            Waiting::AccountUnavailable => troubled,
            Waiting::OwnerPlan => self.loaded_limits.max_running.is_some(),
            Waiting::AccountCap => campaign.is_some_and(|campaign| campaign.per_run.is_some()),
            Waiting::LookingUp => {
                campaign.is_some_and(|campaign| campaign.refresh_hours.is_some())
                    || !self.answers.is_empty()
                    || troubled
            }
            Waiting::AudienceNotCollected => true,
            _ => false,
        }
    }
}

/// What two plans differ in.
fn differences(one: &Plan, other: &Plan) -> String {
    let mut found = format!("wake {:?} / {:?}", one.wake_at, other.wake_at);
    if one.actions != other.actions {
        found += &format!("\nactions {:?} / {:?}", one.actions, other.actions);
    }
    for (line, view) in &one.report.campaigns {
        let anew = other.report.campaigns.get(line);
        if Some(view) != anew {
            found += &format!("\n{line}: {view:?} / {anew:?}");
        }
    }
    found
}

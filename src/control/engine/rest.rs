//! A pass over the same state answers the same until the moment that the plan named: it is not made again.

use std::sync::OnceLock;

use super::*;
use crate::plan::Runtime;

/// Even so one is made this often: what a plan forgot to name a moment for waits no longer.
const MOST: Duration = Duration::from_secs(30);

/// What a pass that found nothing to do looked at.
pub(super) struct Rest {
    seq: u64,
    readings: u64,
    runtime: Runtime,
    from: Timestamp,
    until: Timestamp,
    /// What reports say of it; made when the first is asked for.
    report: OnceLock<Plan>,
}

impl Rest {
    /// After a pass that left nothing to do. None where anything is under way that will report anyway.
    pub(super) fn after(core: &Core, plan: &Plan) -> Option<Rest> {
        if !core.runtime.executing.is_empty() {
            return None;
        }
        let now = core.clock.now();
        let most = now + MOST.mul_f64(pause_scale(&core.clock));
        Some(Rest {
            seq: core.observed.seq,
            readings: core.readings,
            runtime: core.runtime.clone(),
            from: now,
            until: plan.wake_at.unwrap_or(Timestamp::MAX).min(most),
            report: OnceLock::new(),
        })
    }

    /// A plan for reports; nothing where another one would say something else.
    pub(super) fn report(&self, core: &Core) -> Option<&Plan> {
        let holds = self.holds(core);
        holds.then(|| self.report.get_or_init(|| core.plan_report()))
    }

    /// Whether another pass would find the same.
    pub(super) fn holds(&self, core: &Core) -> bool {
        let now = core.clock.now();
        self.seq == core.observed.seq
            && self.readings == core.readings
            && (self.from..self.until).contains(&now)
            && self.runtime == core.runtime
    }
}

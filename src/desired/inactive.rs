//! The one list of what this version parses and checks but does not act on yet.
//!
//! Whoever brings something to life takes it out here; the planner's gate, `plan` and `status` go by this list.

use super::types::NotActive;
use crate::spec::engine::plan_of;
use crate::spec::{CampaignSpec, EngineSpec, Kind};

/// Without it the campaign does a part of what it says, and nothing else than it says.
fn left_out(what: impl Into<String>) -> NotActive {
    NotActive {
        what: what.into(),
        holds: false,
    }
}

/// Without it the campaign would do something else than it says.
fn holds(what: impl Into<String>) -> NotActive {
    NotActive {
        what: what.into(),
        holds: true,
    }
}

/// What a campaign asks for, or the settings that hold for it.
pub(super) fn of_campaign(spec: &CampaignSpec, engine: &EngineSpec) -> Vec<NotActive> {
    let mut list = Vec::new();
    if !matches!(spec.kind, Kind::Mailing | Kind::Collect) {
        list.push(holds(format!("`kind: {}`", spec.kind)));
    }
    // Without cron there is one run, so that `each_run`, `missed` and `overlap` say nothing.
    if let Some(schedule) = spec.schedule.as_ref().filter(|s| s.cron.is_some()) {
        list.push(holds("`schedule.cron`"));
        for (given, key) in [
            (schedule.each_run.is_some(), "each_run"),
            (schedule.missed.is_some(), "missed"),
            (schedule.overlap.is_some(), "overlap"),
        ] {
            if given {
                list.push(holds(format!("`schedule.{key}`")));
            }
        }
    }
    for (given, key) in [(spec.ai_role.is_some(), "ai_role")] {
        if given {
            list.push(left_out(format!("`{key}`")));
        }
    }
    if let Some((name, plan)) = plan_of(spec.owner.as_deref(), engine) {
        for (given, key) in [
            (plan.max_running.is_some(), "max_running"),
            (plan.cooldown.is_some(), "cooldown"),
        ] {
            if given {
                list.push(left_out(format!("`{key}` of the plan `{name}`")));
            }
        }
    }
    list
}

/// What tidings.yaml asks for the workspace as a whole.
pub(super) fn of_engine(engine: &EngineSpec) -> Vec<NotActive> {
    let mut list: Vec<NotActive> = [
        (engine.ai.is_some(), "ai"),
        (!engine.notify.is_empty(), "notify"),
        (!engine.test_recipients.is_empty(), "test_recipients"),
        (engine.retention.is_some(), "retention"),
    ]
    .into_iter()
    .filter(|(given, _)| *given)
    .map(|(_, key)| left_out(format!("`{key}` of tidings.yaml")))
    .collect();
    for (name, settings) in &engine.accounts {
        if settings.ai_role.is_some() {
            list.push(left_out(format!(
                "`accounts.{name}.ai_role` of tidings.yaml"
            )));
        }
    }
    list
}

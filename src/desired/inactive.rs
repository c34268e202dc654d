//! The one list of what this version parses and checks but does not act on yet.
//!
//! Whoever brings something to life takes it out here; the planner's gate, `plan` and `status` go by this list.

use super::types::NotActive;
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
pub(super) fn of_campaign(spec: &CampaignSpec) -> Vec<NotActive> {
    let mut list = Vec::new();
    if !matches!(spec.kind, Kind::Mailing | Kind::Collect) {
        list.push(holds(format!("`kind: {}`", spec.kind)));
    }
    list
}

/// What tidings.yaml asks for the workspace as a whole.
pub(super) fn of_engine(engine: &EngineSpec) -> Vec<NotActive> {
    [
        (!engine.test_recipients.is_empty(), "test_recipients"),
        (engine.retention.is_some(), "retention"),
    ]
    .into_iter()
    .filter(|(given, _)| *given)
    .map(|(_, key)| left_out(format!("`{key}` of tidings.yaml")))
    .collect()
}

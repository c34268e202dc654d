//! The one list of what this version parses and checks but does not act on yet.
//!
//! Whoever brings something to life takes it out here; the planner's gate, `plan` and `status` go by this list.

use super::types::NotActive;
use crate::spec::{CampaignSpec, EngineSpec};

/// Without it the campaign does a part of what it says, and nothing else than it says.
fn left_out(what: impl Into<String>) -> NotActive {
    NotActive {
        what: what.into(),
        holds: false,
    }
}

/// What a campaign asks for, or the settings that hold for it. All of it is active now.
pub(super) fn of_campaign(_: &CampaignSpec) -> Vec<NotActive> {
    Vec::new()
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

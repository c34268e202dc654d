//! The one list of what this version parses and checks but does not act on yet.
//!
//! Whoever brings something to life takes it out here; the planner's gate, `plan` and `status` go by this list.

use super::types::NotActive;
use crate::spec::{CampaignSpec, EngineSpec};

/// What a campaign asks for. All of it is active now.
pub(super) fn of_campaign(_: &CampaignSpec) -> Vec<NotActive> {
    Vec::new()
}

/// What tidings.yaml asks for the workspace as a whole. All of it is active now.
pub(super) fn of_engine(_: &EngineSpec) -> Vec<NotActive> {
    Vec::new()
}

//! After a restore nothing leaves before it is known to whom messages left since the backup.

use super::{Gate, Inputs};
use crate::desired::ResolvedCampaign;
use crate::model::Waiting;

/// Whether a campaign waits for the dialogs of its accounts.
pub(super) fn gate(inputs: &Inputs<'_>, spec: &ResolvedCampaign) -> Option<Gate> {
    let restored = inputs.observed.restored.as_ref()?;
    let unread: Vec<&str> = spec
        .accounts
        .iter()
        .filter(|name| restored.unread.contains(*name))
        .map(AsRef::as_ref)
        .collect();
    (!unread.is_empty()).then(|| Gate::Waits {
        reason: Waiting::Held,
        until: None,
        message: format!(
            "A backup was restored, or an older state taken over: the dialogs since {} are read first, so that nobody is written to twice. Still \
             unread: {}. An account that cannot be read holds its campaigns until it is taken out of them.",
            restored.since,
            unread.join(", ")
        ),
    })
}

//! Kind `invite`: where its target is, by which link people get there, and who is added.

use std::time::Duration;

use super::accounts::{Availability, may_look_up, usable};
use super::{Action, Inputs, Plan};
use crate::desired::ResolvedCampaign;
use crate::model::{AccountName, Event, Lineage, Reference, StallReason, Waiting};
use crate::observed::Campaign;
use crate::spec::{InviteMethod, Kind};

/// The name under which those who were added are counted, in the place of a template's.
pub(super) const ADDED: &str = "add";

/// An account that could not use the target looks again after this: it may have been made an admin meanwhile.
const FAULT_HOLDS: Duration = Duration::from_secs(3600);

/// Whether the campaign adds people instead of writing to them.
pub fn adds(spec: &ResolvedCampaign) -> bool {
    spec.kind == Kind::Invite && spec.spec.method == Some(InviteMethod::Add)
}

/// Where the campaign leads.
pub(super) fn target(spec: &ResolvedCampaign) -> Option<Reference> {
    if spec.kind != Kind::Invite {
        return None;
    }
    spec.spec.target.as_ref().map(Reference::from)
}

/// The link that an account's messages carry: its own, else one that another account of the campaign made, else the
/// public one.
pub(super) fn link<'a>(
    inputs: &Inputs<'_>,
    spec: &ResolvedCampaign,
    campaign: &'a Campaign,
    name: &AccountName,
) -> Option<&'a str> {
    let target = target(spec)?.to_string();
    let index = inputs.observed.account_index(name);
    let own = index
        .and_then(|index| campaign.links.get(&index))
        .filter(|link| link.target == target);
    let exported = campaign
        .links
        .values()
        .find(|link| link.target == target && link.exported);
    own.filter(|link| link.exported)
        .or(exported)
        .or(own)
        .map(|link| link.link.as_str())
}

/// How an account stands to the target.
enum Standing {
    /// It can invite.
    Ready,
    /// It has to look first.
    Unseen,
    /// It has its link, and has to find the place anew, where it sees who is a member already.
    Placeless,
    /// It is looking, or another account that may have a better link is.
    Looking,
    /// It cannot.
    Unable,
}

fn standing(
    inputs: &Inputs<'_>,
    spec: &ResolvedCampaign,
    campaign: &Campaign,
    target: &Reference,
    name: &AccountName,
) -> Standing {
    let Some(line) = &campaign.lineage else {
        return Standing::Unable;
    };
    let key = (name.clone(), line.clone());
    if inputs.runtime.seeking.contains(&key) {
        return Standing::Looking;
    }
    let said = target.to_string();
    let fails = |name: &AccountName| {
        inputs
            .runtime
            .target_faults
            .get(&(name.clone(), line.clone()))
            .is_some_and(|fault| fault.target == said && inputs.now.since(fault.at) < FAULT_HOLDS)
    };
    if adds(spec) {
        return match inputs.runtime.targets.get(&key) {
            Some(known) if *known == said => Standing::Ready,
            _ if fails(name) => Standing::Unable,
            _ => Standing::Unseen,
        };
    }
    let link_of = |name: &AccountName| {
        inputs
            .observed
            .account_index(name)
            .and_then(|index| campaign.links.get(&index))
            .filter(|link| link.target == said)
    };
    let any_exported = campaign
        .links
        .values()
        .any(|link| link.target == said && link.exported);
    // Links outlive a restart, places do not. Where the account may look nothing up now, its links still serve.
    let sees = fails(name)
        || inputs.runtime.targets.get(&key) == Some(&said)
        || matches!(may_look_up(inputs, name), Availability::Later { .. });
    match link_of(name) {
        Some(_) if !sees => Standing::Placeless,
        Some(own) if own.exported || any_exported => Standing::Ready,
        Some(_) => {
            // The public link is for where no account can make one: all that can be asked are asked first.
            let others = spec.accounts.iter().any(|other| {
                other != name
                    && matches!(may_look_up(inputs, other), Availability::Now { .. })
                    && link_of(other).is_none()
                    && !fails(other)
            });
            match others {
                true => Standing::Looking,
                false => Standing::Ready,
            }
        }
        None if fails(name) => match any_exported {
            true => Standing::Ready,
            false => Standing::Unable,
        },
        None => Standing::Unseen,
    }
}

/// Why an account cannot invite for a campaign yet. Nothing for other kinds, and where it can.
pub(super) fn wait(
    inputs: &Inputs<'_>,
    spec: &ResolvedCampaign,
    campaign: &Campaign,
    name: &AccountName,
) -> Option<Availability> {
    let target = target(spec)?;
    let later = |reason| {
        Some(Availability::Later {
            reason,
            until: None,
        })
    };
    match standing(inputs, spec, campaign, &target, name) {
        Standing::Ready => None,
        // Whoever asks without connections learns what there would be.
        Standing::Unseen | Standing::Placeless | Standing::Looking if inputs.report_only => {
            usable(inputs, name).err()
        }
        Standing::Unseen | Standing::Placeless | Standing::Looking => later(Waiting::LookingUp),
        Standing::Unable => later(Waiting::AccountUnavailable),
    }
}

/// Plans the looks at the target that are due, and stalls the campaign where no account can invite at all.
pub(super) fn prepare(
    inputs: &Inputs<'_>,
    plan: &mut Plan,
    line: &Lineage,
    spec: &ResolvedCampaign,
    campaign: &Campaign,
) {
    let Some(target) = target(spec) else { return };
    let mut unable = Vec::new();
    for name in &spec.accounts {
        let standing = standing(inputs, spec, campaign, &target, name);
        match standing {
            Standing::Unseen | Standing::Placeless => match may_look_up(inputs, name) {
                Availability::Now { .. } => plan.actions.push(Action::Seek {
                    account: name.clone(),
                    campaign: line.clone(),
                    target: target.clone(),
                    link: !adds(spec) && matches!(standing, Standing::Unseen),
                }),
                Availability::Later { until, .. } => {
                    if let Some(until) = until {
                        plan.wake(until, inputs.now);
                    }
                }
            },
            Standing::Unable => {
                if let Some(fault) = inputs
                    .runtime
                    .target_faults
                    .get(&(name.clone(), line.clone()))
                {
                    plan.wake(fault.at + FAULT_HOLDS, inputs.now);
                    unable.push((name, fault));
                }
            }
            Standing::Ready | Standing::Looking => {}
        }
    }
    if unable.is_empty() || unable.len() < spec.accounts.len() {
        return;
    }
    let words: Vec<String> = unable
        .iter()
        .take(3)
        .map(|(name, fault)| format!("{name}: {}", fault.why))
        .collect();
    plan.actions.push(Action::Record(Event::Stalled {
        campaign: line.clone(),
        why: StallReason {
            reason: unable
                .first()
                .map_or("TargetUnreachable", |(_, fault)| fault.reason)
                .to_owned(),
            message: format!(
                "No account of the campaign can invite to {target}: {}.",
                words.join("; ")
            ),
        },
    }));
}

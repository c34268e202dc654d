//! A campaign that looks like another one under a new name is held: its people would get everything again.

use std::time::Duration;

use super::gate::blocked;
use super::{Action, Gate, Inputs, Plan};
use crate::desired::ResolvedCampaign;
use crate::model::{Event, Lineage, Outcome, Waiting};
use crate::observed::{Campaign, Status};

/// A campaign that was retired longer ago has no heirs (CONTRACT, 'What an edit means').
const RETIRED_WITHIN: Duration = Duration::from_secs(90 * 86_400);

/// Holds a campaign that has sent nothing yet where over half of its audience was contacted by one that is gone.
///
/// Everybody is looked at once, after filters were applied; what was found is written down.
pub(super) fn gate(
    inputs: &Inputs<'_>,
    plan: &mut Plan,
    line: &Lineage,
    spec: &ResolvedCampaign,
    campaign: &Campaign,
) -> Option<Gate> {
    if campaign.last_sent_at.is_some() || campaign.pending() == 0 {
        return None;
    }
    let judged = campaign.judgement.as_ref()?.at;
    let known = campaign
        .looks_like
        .as_ref()
        .filter(|known| known.judged == judged);
    let (before, contacted, people) = match known {
        Some(known) => (known.before.clone(), known.contacted, known.people),
        None => {
            let people = campaign.included();
            let found = retired(inputs, line)
                .map(|(before, other)| (before.clone(), both(campaign, other)))
                .max_by_key(|(_, contacted)| *contacted)
                .filter(|(_, contacted)| contacted * 2 > people);
            let (before, contacted) = found.map_or((None, 0), |(line, n)| (Some(line), n));
            plan.actions.push(Action::Record(Event::LineageChecked {
                campaign: line.clone(),
                before: before.clone(),
                contacted,
                people,
            }));
            (before, contacted, people)
        }
    };
    let before = before?;
    // Its file came back: it is no rename.
    let (_, other) = retired(inputs, line).find(|(line, _)| **line == before)?;
    let approved = campaign
        .approval
        .as_ref()
        .is_some_and(|approval| approval.digest == spec.approval_digest);
    if approved {
        return None;
    }
    let message = format!(
        "{contacted} of its {people} people were contacted by `{}`, whose file is gone: add `renamed_from: {}` if this \
         is that campaign, or `tidings approve {}` if it is another one.",
        other.name, other.name, spec.name
    );
    Some(blocked(Waiting::Held, "LooksRenamed", message))
}

/// Campaigns that are gone, not for long, and have sent something.
fn retired<'a>(
    inputs: &Inputs<'a>,
    line: &'a Lineage,
) -> impl Iterator<Item = (&'a Lineage, &'a Campaign)> {
    let now = inputs.now;
    inputs.observed.campaigns.iter().filter(move |(other, it)| {
        *other != line
            && it.last_sent_at.is_some()
            && it
                .retired
                .is_some_and(|retired| now.since(retired) <= RETIRED_WITHIN)
    })
}

/// How many of those whom a campaign would write to another one has written to.
fn both(campaign: &Campaign, other: &Campaign) -> u64 {
    campaign
        .recipients
        .iter()
        .filter(|(_, recipient)| {
            matches!(
                recipient.status,
                Status::Pending | Status::InFlight | Status::Settled(_)
            )
        })
        .filter(|(number, _)| {
            other.steps.wrote_to(crate::observed::Handle(*number))
                || other.recipients.get(number).is_some_and(|recipient| {
                    matches!(
                        recipient.status,
                        Status::InFlight | Status::Settled(Outcome::Sent | Outcome::Uncertain)
                    )
                })
        })
        .count() as u64
}

//! `tidings resolve`: what became of a send that nobody knows of, by the operator's word.

use super::Acted;
use super::optout::entries_of;
use crate::control::answer::{misused, refused};
use crate::control::{Core, CoreError};
use crate::model::{Event, Outcome, Reference, Reply, ResolveAs, SendKey};
use crate::observed::Status;
use crate::status;
use crate::store::Durability;

/// Settles an uncertain first message.
pub(super) fn resolve(
    core: &mut Core,
    name: &str,
    person: &Reference,
    verdict: ResolveAs,
    by: String,
) -> Result<Acted, CoreError> {
    let line = core.observed.names.get(name).cloned();
    let Some((line, campaign)) =
        line.and_then(|line| Some((line.clone(), core.observed.campaigns.get(&line)?)))
    else {
        return Ok(Acted::said(misused(format!(
            "there is no campaign `{name}`"
        ))));
    };
    let (people, _) = entries_of(core, person)?;
    let found = people.iter().find_map(|id| {
        let handle = core.observed.handle(*id)?;
        let recipient = campaign.recipients.get(&handle.0)?;
        Some((*id, recipient.status))
    });
    let (id, outcome) = match found {
        Some((id, Status::Settled(outcome))) => (id, outcome),
        Some((_, Status::InFlight)) => {
            return Ok(Acted::said(refused(format!(
                "the message to {person} is in doubt still: the same bytes go out again, or the dialog is looked at. \
                 `resolve` is for what is `uncertain`."
            ))));
        }
        _ => {
            return Ok(Acted::said(refused(format!(
                "nothing of `{name}` to {person} is uncertain; `tidings explain {name} {person}` says how it stands."
            ))));
        }
    };
    if outcome != Outcome::Uncertain {
        return Ok(Acted::said(refused(format!(
            "the message of `{name}` to {person} is `{outcome}`, not uncertain."
        ))));
    }
    let sent = verdict == ResolveAs::Sent;
    let appended = core.record(
        vec![Event::OperatorResolved {
            key: SendKey {
                lineage: line,
                person: id,
                step: 0,
                run: 0,
            },
            sent,
            by,
        }],
        Durability::Now,
    )?;
    let message = if sent {
        format!("`{name}` counts {person} as sent.")
    } else {
        format!("{person} waits for the message of `{name}` again, by the same account.")
    };
    let reply = Reply::Document {
        body: serde_json::json!({
            "format_version": status::FORMAT_VERSION,
            "campaign": name,
            "person": id.to_string(),
            "as": if sent { "sent" } else { "retry" },
            "message": message,
        }),
    };
    Ok(Acted { reply, appended })
}

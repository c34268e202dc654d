//! What the state knows of one person (`tidings render --contact @name`).

use crate::model::{Lineage, PersonId, Reference, Reply};
use crate::people::is_named;

use super::Core;

fn refused(message: String, usage: bool) -> Reply {
    Reply::Refused { message, usage }
}

/// The person's contact, and why he is not in the campaign's audience where that was found.
pub(super) fn answer(core: &Core, line: &Lineage, name: &str, person: &str) -> Reply {
    let reference = match Reference::parse(person) {
        Ok(reference) => reference,
        Err(error) => {
            return refused(
                format!(
                    "{person:?} names nobody: {error}. Give JSON, @username, id:123 or a phone."
                ),
                true,
            );
        }
    };
    let observed = &core.inputs().observed;
    let people = core.inputs().people;
    let straight = observed.persons.resolve(reference.person());
    let known = people.get(straight).map(|known| (straight, known));
    // Who was found as a member is known by his id: his username is looked for.
    let found = known.or_else(|| {
        observed
            .persons
            .ids()
            .filter_map(|id| Some((id, people.get(id)?)))
            .find(|(id, known)| is_named(*id, Some(known), std::slice::from_ref(&reference)))
    });
    let Some((id, known)) = found else {
        return refused(
            format!(
                "the state knows nobody who is {reference}: no look-up has found him. \
                 `tidings reconcile {name}` looks the sources up; a person as JSON needs no state."
            ),
            false,
        );
    };
    let excluded = observed
        .handle(id)
        .and_then(|handle| {
            observed
                .campaigns
                .get(line)?
                .recipients
                .get(&handle.0)
                .map(|recipient| recipient.status)
        })
        .and_then(|status| match status {
            crate::observed::Status::Excluded(reason) => Some(reason),
            _ => None,
        });
    let mut contact = known.contact;
    contact.id = contact
        .id
        .or(Some(id).filter(|id: &PersonId| id.is_user()).map(|id| id.0));
    Reply::Document {
        body: serde_json::json!({"contact": contact, "excluded": excluded}),
    }
}

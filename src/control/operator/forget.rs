//! Erasure: suppressed first, then nothing is left of a person but the hashes that keep him suppressed.

use std::collections::BTreeSet;

use super::Acted;
use super::optout::{entries_of, key_of};
use super::suppressed::references_of;
use crate::control::{Core, CoreError};
use crate::model::{Event, PersonId, RefHash, Reference, Reply};
use crate::people::People as _;
use crate::status;
use crate::store::{Durability, KeptAnswers};

/// Erases a person from the state. Refuses, with the suppression done, while a message to him is on its way: its bytes
/// decide what became of it.
pub(super) fn forget(core: &mut Core, person: &Reference, by: String) -> Result<Acted, CoreError> {
    let (mut people, mut hashes) = entries_of(core, person)?;
    let mut references: BTreeSet<Reference> = BTreeSet::from([person.clone()]);
    for id in people.clone() {
        if id.is_user() {
            references.insert(Reference::Id(id.0));
        }
        if let Some(known) = core.people.get(id) {
            references.extend(references_of(id, &known));
        }
    }
    people.extend(references.iter().map(Reference::person));
    people.extend(
        people
            .clone()
            .iter()
            .filter(|id| id.is_user())
            .flat_map(|id| core.observed.persons.references_of(*id).collect::<Vec<_>>()),
    );
    let meant = people
        .iter()
        .copied()
        .find(|id| id.is_user())
        .unwrap_or_else(|| person.person());
    let (key, first) = key_of(core);
    let of_references: Vec<(RefHash, PersonId)> = references
        .iter()
        .map(|reference| (key.hash(reference), meant))
        .collect();
    hashes.extend(of_references.iter().map(|(hash, _)| *hash));
    let events = first
        .into_iter()
        .chain([Event::SuppressionAdded {
            people: people.iter().copied().collect(),
            hashes: of_references,
            phones: Vec::new(),
            why: "forgotten".to_owned(),
            by: by.clone(),
        }])
        .collect();
    let mut appended = core.record(events, Durability::Now)?;
    let reply = |message: String, done: bool, more: serde_json::Value| {
        let mut body = serde_json::json!({
            "format_version": status::FORMAT_VERSION,
            "person": meant.to_string(),
            "suppressed": true,
            "erased": done,
            "message": message,
            "references": references,
        });
        if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
            body.extend(more.clone());
        }
        Reply::Document { body }
    };
    let on_its_way = core
        .observed
        .in_flight
        .iter()
        .find(|(key, _)| people.contains(&key.person));
    if let Some((_, flight)) = on_its_way {
        let message = if flight.doubt.is_some() {
            format!(
                "{person} is suppressed, but not erased yet: it is not known whether a message of {} arrived, and its \
                 text is needed to find out. Ask again when `tidings status` shows nothing in flight.",
                flight.intent.account
            )
        } else {
            format!(
                "{person} is suppressed, but not erased yet: a message of {} is on its way. Ask again in a moment.",
                flight.intent.account
            )
        };
        let more = serde_json::json!({"in_doubt": flight.doubt.is_some()});
        return Ok(Acted {
            reply: reply(message, false, more),
            appended,
        });
    }
    let all: Vec<PersonId> = people.iter().copied().collect();
    let mut lines = 0;
    let rows = core.people.remove(&all)?;
    core.versions.forget(&references)?;
    if let Some(store) = core.store() {
        for id in &all {
            lines += store.conversations().remove(*id)?;
        }
    }
    let kept = KeptAnswers::of(&core.workspace.state_dir);
    for id in &all {
        kept.remove_of(*id)?;
    }
    let last = core.record(
        vec![Event::Forgotten {
            people: all,
            hashes: hashes.into_iter().collect(),
            by,
        }],
        Durability::Now,
    )?;
    appended = last.or(appended);
    let copies = core.erase_now()?;
    let mut message = match (rows, lines) {
        (0, 0) => {
            format!("Nothing was known of {person}. He is suppressed, and a hash keeps it so.")
        }
        (_, 0) => {
            format!("{person} was erased. He stays suppressed: a hash of what named him is kept.")
        }
        _ => format!(
            "{person} was erased, with {lines} lines of conversations. He stays suppressed: a hash of what named him is \
             kept."
        ),
    };
    if !meant.is_user() && matches!(person, Reference::Phone(_)) {
        message.push_str(
            " No account knows who has this number, and nothing is left to ask by: somebody who is found by his id and \
             hides the number is not recognised by it. Forget him by @username or id as well, where you know one.",
        );
    }
    let copies: Vec<String> = copies
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let backups: Vec<&String> = core
        .observed
        .backups
        .iter()
        .map(|(file, _)| file)
        .filter(|file| std::path::Path::new(file).exists())
        .collect();
    let more = serde_json::json!({
        "rows": rows,
        "lines": lines,
        "removed_copies": copies,
        "backups": backups,
    });
    Ok(Acted {
        reply: reply(message, true, more),
        appended,
    })
}

//! The suppression list: shown, added to, taken from.

use std::collections::{BTreeSet, HashMap};

use serde::Serialize;

use super::Acted;
use super::suppressed::references_of;
use crate::control::answer::{document, misused, refused};
use crate::control::{Core, CoreError};
use crate::model::{Event, Person, PersonId, RefHash, Reference, Reply, SuppressionKey};
use crate::observed::Handle;
use crate::people::People as _;
use crate::status::{self, Moment};
use crate::store::Durability;

/// One row of `optout list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Row {
    /// `id:123`, or `ref:…` of somebody whom nobody has found yet, or `hash:…` of one who was erased.
    person: String,
    id: Option<i64>,
    username: Option<String>,
    phone: Option<String>,
    name: Option<String>,
    /// `suppressed` or `opted_out`: the reason under which he is excluded.
    reason: &'static str,
    why: String,
    by: Option<String>,
    at: Option<Moment>,
    /// What the entry cannot do: of somebody whose id nobody knows.
    note: Option<&'static str>,
}

/// Of a number that an account asks Telegram about.
const SOUGHT: &str = "known by this number alone; an account asks who has it";
/// Of a number that Telegram told nothing about.
const UNTOLD: &str = "known by this number alone, and Telegram does not tell who has it: who hides it is not recognised";
/// Of anything else that names nobody who was found.
const UNFOUND: &str = "nobody was found by it yet";

/// What an entry cannot do.
pub(super) fn note_of(core: &Core, person: PersonId, phone: bool) -> Option<&'static str> {
    let observed = &core.observed;
    if person.is_user() {
        return None;
    }
    let sought = observed
        .handle(person)
        .is_some_and(|handle| observed.suppression.unsought.contains(handle.0));
    Some(match (phone, sought) {
        (true, true) => SOUGHT,
        (true, false) => UNTOLD,
        (false, _) => UNFOUND,
    })
}

/// How many phones of the list belong to nobody who is known by his id.
pub(super) fn unbound_phones(core: &Core) -> usize {
    let observed = &core.observed;
    let stand_ins = observed
        .suppressed
        .iter()
        .filter_map(|number| observed.persons.id(Handle(number)))
        .filter(|person| !person.is_user());
    stand_ins
        .filter_map(|person| core.people.get(person))
        .filter(has_phone)
        .count()
}

/// Whether he was named by a phone.
pub(super) fn has_phone(known: &Person) -> bool {
    let mut named = known.references.iter();
    named.any(|reference| matches!(reference, Reference::Phone(_)))
}

/// Who is suppressed or opted out, by name where that is known.
pub(super) fn list(core: &Core) -> Result<Reply, CoreError> {
    let observed = &core.observed;
    let mut rows = Vec::new();
    let mut named: BTreeSet<PersonId> = BTreeSet::new();
    for number in &(&observed.suppressed | &observed.opted_out) {
        let Some(person) = observed.persons.id(Handle(number)) else {
            continue;
        };
        let known = core.people.get(person);
        if known.is_none() && !person.is_user() {
            // Nothing but the hash is left of him, or he is listed by his id.
            continue;
        }
        named.insert(person);
        let known = known.unwrap_or_default();
        let entry = observed.suppression.people.get(&number);
        let suppressed = observed.suppressed.contains(number);
        let (mut username, mut phone) =
            (known.contact.username.clone(), known.contact.phone.clone());
        for reference in &known.references {
            match reference {
                Reference::Username(name) if username.is_none() => username = Some(name.clone()),
                Reference::Phone(digits) if phone.is_none() => phone = Some(digits.clone()),
                _ => {}
            }
        }
        rows.push(Row {
            note: note_of(core, person, phone.is_some()),
            person: person.to_string(),
            id: known.contact.id.or(person.is_user().then_some(person.0)),
            username,
            phone: phone.map(|digits| format!("+{}", digits.trim_start_matches('+'))),
            name: name_of(&known),
            reason: if suppressed {
                "suppressed"
            } else {
                "opted_out"
            },
            why: entry.map(|entry| entry.why.clone()).unwrap_or_default(),
            by: entry
                .map(|entry| entry.by.clone())
                .filter(|by| !by.is_empty()),
            at: entry.map(|entry| Moment::from(entry.at)),
        });
    }
    for (hash, entry) in &observed.suppression.refs {
        let shown = entry.people.iter().any(|person| {
            named.contains(person) || named.contains(&observed.persons.resolve(*person))
        });
        if shown {
            continue;
        }
        let found = entry
            .people
            .iter()
            .any(|person| observed.persons.resolve(*person).is_user());
        rows.push(Row {
            note: (!found).then_some(UNFOUND),
            person: format!("hash:{hash}"),
            id: None,
            username: None,
            phone: None,
            name: None,
            reason: "suppressed",
            why: entry.why.clone(),
            by: Some(entry.by.clone()).filter(|by| !by.is_empty()),
            at: Some(Moment::from(entry.at)),
        });
    }
    Ok(Reply::Document {
        body: serde_json::json!({
            "format_version": status::FORMAT_VERSION,
            "optouts": rows,
        }),
    })
}

/// A person's name as people write it.
pub(super) fn name_of(person: &Person) -> Option<String> {
    let contact = &person.contact;
    let parts: Vec<&str> = [&contact.first_name, &contact.last_name]
        .into_iter()
        .flatten()
        .map(String::as_str)
        .collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

/// The key of this state's hashes, drawn with the first entry.
pub(super) fn key_of(core: &Core) -> (SuppressionKey, Option<Event>) {
    match core.observed.suppression.keys.first() {
        Some(key) => (*key, None),
        None => {
            let key = SuppressionKey(rand::random());
            (key, Some(Event::SuppressionKey { key }))
        }
    }
}

/// Suppresses people over all campaigns and accounts, found or not.
pub(super) fn add(
    core: &mut Core,
    people: &[Vec<Reference>],
    why: String,
    by: String,
) -> Result<Acted, CoreError> {
    if people.is_empty() {
        return Ok(Acted::said(misused("nobody was named")));
    }
    if let Some(place) = people
        .iter()
        .flatten()
        .find(|reference| matches!(reference, Reference::Invite(_)))
    {
        return Ok(Acted::said(misused(format!(
            "{place} names a group or channel, no person"
        ))));
    }
    let wanted: BTreeSet<&Reference> = people.iter().flatten().collect();
    let found = meant_by(core, &wanted)?;
    let (key, first) = key_of(core);
    let mut silenced: BTreeSet<PersonId> = BTreeSet::new();
    let mut hashes: Vec<(RefHash, PersonId)> = Vec::new();
    let mut rows: Vec<(PersonId, Person)> = Vec::new();
    let mut phones: BTreeSet<PersonId> = BTreeSet::new();
    let (mut added, mut known_before) = (0u64, 0u64);
    for references in people {
        let mut meant: BTreeSet<PersonId> = BTreeSet::new();
        for reference in references {
            let stand_in = core.observed.persons.resolve(reference.person());
            match found.get(reference) {
                Some(people) => meant.extend(people),
                None => {
                    meant.insert(stand_in);
                    // So that the list can say whom it means.
                    rows.push((
                        stand_in,
                        Person {
                            references: vec![reference.clone()],
                            ..Person::default()
                        },
                    ));
                }
            }
        }
        if !meant.iter().any(|person| person.is_user()) {
            let numbers = references
                .iter()
                .filter(|reference| matches!(reference, Reference::Phone(_)));
            phones.extend(numbers.map(Reference::person));
        }
        let silent = |person: &PersonId| {
            core.observed
                .handle(*person)
                .is_some_and(|handle| core.observed.suppressed.contains(handle.0))
        };
        let hashed = references
            .iter()
            .all(|r| core.observed.suppression.refs.contains_key(&key.hash(r)));
        if meant.iter().all(silent) && hashed {
            known_before += 1;
        } else {
            added += 1;
        }
        for reference in references {
            for person in found.get(reference).unwrap_or(&meant) {
                hashes.push((key.hash(reference), *person));
            }
        }
        silenced.extend(meant);
    }
    hashes.sort_unstable();
    hashes.dedup();
    let mut appended = None;
    let asked = |phone: &PersonId| {
        core.observed.handle(*phone).is_some_and(|handle| {
            core.observed.suppression.unsought.contains(handle.0)
                || core.observed.nobody.contains(handle.0)
        })
    };
    // An entry of a version that did not ask is asked about when it is named again.
    let unasked = !phones.iter().all(asked);
    if added > 0 || unasked {
        core.people.merge(rows)?;
        sync_people(core)?;
        let events = first
            .into_iter()
            .chain([Event::SuppressionAdded {
                people: silenced.into_iter().collect(),
                hashes,
                phones: phones.iter().copied().collect(),
                why,
                by,
            }])
            .collect();
        appended = core.record(events, Durability::Now)?;
    }
    let mut message = match (added, known_before) {
        (0, 1) => "He was suppressed already; nothing was changed.".to_owned(),
        (0, n) => format!("All {n} were suppressed already; nothing was changed."),
        (n, 0) => format!(
            "Suppressed: {}. No campaign and no account writes to them again.",
            status::people(n)
        ),
        (n, m) => format!(
            "Suppressed: {}; {m} were before. No campaign and no account writes to them again.",
            status::people(n)
        ),
    };
    if !phones.is_empty() {
        message.push_str(&format!(
            " {} only: an account asks Telegram who has {}, one every few seconds. Until then, and where Telegram does not \
             tell, somebody who is found by his id and hides his number is not recognised. Name such people by @username \
             or id as well; `tidings optout list` says whom this is true of.",
            match phones.len() {
                1 => "One is known by his number".to_owned(),
                n => format!("{n} are known by their numbers"),
            },
            if phones.len() == 1 { "it" } else { "them" },
        ));
    }
    let reply = Reply::Document {
        body: serde_json::json!({
            "format_version": status::FORMAT_VERSION,
            "added": added,
            "known": known_before,
            "known_by_phone_only": phones.len(),
            "message": message,
        }),
    };
    Ok(Acted { reply, appended })
}

/// Takes one person off the list, by whatever names him. Only the suppression is undone: what was settled stays so.
pub(super) fn remove(
    core: &mut Core,
    person: &Reference,
    why: String,
    by: String,
) -> Result<Acted, CoreError> {
    let (people, hashes) = entries_of(core, person)?;
    let silenced: Vec<PersonId> = people
        .iter()
        .copied()
        .filter(|person| core.observed.silences(*person))
        .collect();
    if silenced.is_empty() && hashes.is_empty() {
        return Ok(Acted::said(refused(format!(
            "{person} is not on the suppression list; `tidings optout list` shows who is."
        ))));
    }
    let appended = core.record(
        vec![Event::SuppressionRemoved {
            people: silenced,
            hashes: hashes.into_iter().collect(),
            why,
            by,
        }],
        Durability::Now,
    )?;
    let message = format!(
        "{person} is off the suppression list. Campaigns that are running judge him anew; what was settled stays settled."
    );
    let reply = document(&serde_json::json!({
        "format_version": status::FORMAT_VERSION,
        "removed": 1,
        "message": message,
    }));
    Ok(Acted { reply, appended })
}

/// Everybody whom a reference means, and all hashes on the list that name one of them.
pub(super) fn entries_of(
    core: &Core,
    person: &Reference,
) -> Result<(BTreeSet<PersonId>, BTreeSet<RefHash>), CoreError> {
    let list = &core.observed.suppression;
    let persons = &core.observed.persons;
    let mut people: BTreeSet<PersonId> =
        BTreeSet::from([person.person(), persons.resolve(person.person())]);
    let found = meant_by(core, &BTreeSet::from([person]))?;
    people.extend(found.into_values().flatten());
    let mut hashes: BTreeSet<RefHash> = BTreeSet::new();
    let hashed = |reference: &Reference| {
        let list = &core.observed.suppression;
        list.keys
            .iter()
            .map(|key| key.hash(reference))
            .filter(|hash| list.refs.contains_key(hash))
            .collect::<Vec<_>>()
    };
    hashes.extend(hashed(person));
    for hash in &hashes {
        if let Some(entry) = list.refs.get(hash) {
            people.extend(entry.people.iter().map(|person| persons.resolve(*person)));
            people.extend(&entry.people);
        }
    }
    for id in people.clone() {
        if let Some(known) = core.people.get(id) {
            for reference in references_of(id, &known) {
                hashes.extend(hashed(&reference));
                people.insert(reference.person());
            }
        }
    }
    for (hash, entry) in &list.refs {
        if entry.people.iter().any(|person| people.contains(person)) {
            hashes.insert(*hash);
        }
    }
    Ok((people, hashes))
}

/// Who of those that are known is meant by each of these.
pub(super) fn meant_by(
    core: &Core,
    wanted: &BTreeSet<&Reference>,
) -> Result<HashMap<Reference, BTreeSet<PersonId>>, CoreError> {
    let mut found: HashMap<Reference, BTreeSet<PersonId>> = HashMap::new();
    let persons = &core.observed.persons;
    let only_ids = wanted
        .iter()
        .all(|reference| matches!(reference, Reference::Id(_)));
    if only_ids {
        for reference in wanted {
            found.insert((*reference).clone(), BTreeSet::from([reference.person()]));
        }
        return Ok(found);
    }
    core.people.scan(|id, person| {
        for reference in references_of(id, &person) {
            if wanted.contains(&reference) {
                found
                    .entry(reference)
                    .or_default()
                    .insert(persons.resolve(id));
            }
        }
    })?;
    for reference in wanted {
        if let Reference::Id(id) = reference {
            found
                .entry((*reference).clone())
                .or_default()
                .insert(PersonId(*id));
        }
        let resolved = persons.resolve(reference.person());
        if resolved.is_user() {
            found
                .entry((*reference).clone())
                .or_default()
                .insert(resolved);
        }
    }
    Ok(found)
}

/// What was written of people outlives the end of the process.
pub(super) fn sync_people(core: &Core) -> Result<(), CoreError> {
    if let Some(store) = core.store()
        && core.people.take_unsaved()
    {
        store.sync_database()?;
    }
    Ok(())
}

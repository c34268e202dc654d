//! What a state knows that a backup does not: who is never to be written to, who was, when, and what holds. Pure: a restore
//! and the simulation ask it alike.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{
    AccountName, Event, FiringFate, Lineage, Outcome, PersonId, RefHash, SettledElsewhere,
    Timestamp,
};
use crate::observed::{Campaign, Handle, Observed, Status};

/// People in one event.
const PAGE: usize = 1000;

/// What is written down on top of a backup that takes the present state's place: what that state knows and the backup
/// does not, and last that it was restored.
pub fn restoring(
    present: &Observed,
    backup: &Observed,
    since: Timestamp,
    taken_at: Timestamp,
    by: &str,
) -> Vec<Event> {
    let mut events = united(present, backup);
    let accounts: BTreeSet<AccountName> = backup
        .accounts
        .keys()
        .chain(present.accounts.keys())
        .cloned()
        .collect();
    events.push(Event::Restored {
        since,
        taken_at,
        accounts: accounts.into_iter().collect(),
        by: by.to_owned(),
    });
    events
}

/// Who was erased after the backup was taken.
pub(super) fn erased_since(present: &Observed, backup: &Observed) -> Vec<PersonId> {
    present
        .suppression
        .erased
        .iter()
        .filter(|(person, at)| {
            backup
                .suppression
                .erased
                .get(person)
                .is_none_or(|then| then < at)
        })
        .map(|(person, _)| *person)
        .collect()
}

/// What the present state knows and the backup does not: who is never to be written to, who was, and what holds.
fn united(present: &Observed, backup: &Observed) -> Vec<Event> {
    let mut events = Vec::new();
    for key in &present.suppression.keys {
        if !backup.suppression.keys.contains(key) {
            events.push(Event::SuppressionKey { key: *key });
        }
    }
    suppressions(present, backup, &mut events);
    // Campaigns first, so that their names are known.
    for (line, it) in &present.campaigns {
        let newer = backup
            .campaigns
            .get(line)
            .is_none_or(|known| known.generation < it.generation || known.name != it.name);
        if newer && !it.name.is_empty() {
            events.push(Event::SpecSeen {
                campaign: line.clone(),
                name: it.name.clone(),
                file: it.file.clone(),
                generation: it.generation,
                digest: it.digest.clone(),
                error: it.error.clone(),
            });
        }
        events.extend(runs(line, it, backup.campaigns.get(line)));
    }
    // Before the keys, which know but one moment of each person.
    events.extend(heard(present, backup));
    for line in present.campaigns.keys() {
        events.extend(keys_of(present, backup, line));
    }
    events.extend(super::charges::united(present, backup));
    if let Some(hold) = &present.suspended
        && backup.suspended.is_none()
    {
        events.push(Event::Suspended {
            campaign: None,
            reason: hold.reason.clone(),
            by: hold.by.clone(),
        });
    }
    for (line, it) in &present.campaigns {
        if let Some(hold) = &it.suspended
            && backup
                .campaigns
                .get(line)
                .is_none_or(|known| known.suspended.is_none())
        {
            events.push(Event::Suspended {
                campaign: Some(line.clone()),
                reason: hold.reason.clone(),
                by: hold.by.clone(),
            });
        }
    }
    for (name, account) in &present.accounts {
        if let Some(until) = account.limited_until
            && until > present.at
        {
            events.push(Event::Limited {
                account: name.clone(),
                campaign: None,
                until,
            });
        }
        for (class, flood) in &account.floods {
            if flood.until > present.at {
                events.push(Event::FloodWait {
                    account: name.clone(),
                    class: *class,
                    until: flood.until,
                    seconds: flood.seconds,
                });
            }
        }
    }
    events
}

/// The run that is open in the present state, and how far its schedule is dealt with: a firing opens one run, whatever is
/// restored.
fn runs(line: &Lineage, it: &Campaign, before: Option<&Campaign>) -> Vec<Event> {
    let mut events = Vec::new();
    let fired = |firing, fate| Event::Fired {
        campaign: line.clone(),
        firing,
        fate,
    };
    if it.run > before.map_or(0, |known| known.run) {
        let (run, everyone) = (it.run, it.runs.everyone);
        events.push(match it.runs.firing {
            Some(firing) => fired(firing, FiringFate::Opens { run, everyone }),
            None => Event::RunOpened {
                campaign: line.clone(),
                run,
            },
        });
    }
    let cursor = it.runs.cursor;
    let told = !events.is_empty() && it.runs.firing == Some(cursor);
    let is_further = before.is_none_or(|known| known.runs.cursor < cursor);
    if it.runs.schedule.is_some() && is_further && !told {
        events.push(fired(cursor, FiringFate::Held));
    }
    if let Some(queued) = it.runs.queued {
        events.push(fired(queued, FiringFate::Queued));
    }
    events
}

/// When people heard from us, as far as the backup does not know: `limits.per_person` is no wider for a restore.
fn heard(present: &Observed, backup: &Observed) -> Vec<Event> {
    let mut by_campaign: BTreeMap<Option<&Lineage>, Vec<(PersonId, Vec<Timestamp>)>> =
        BTreeMap::new();
    for (number, it) in present.contacted.iter() {
        let Some(person) = present.persons.id(Handle(number)) else {
            continue;
        };
        let mut left: Vec<Timestamp> = backup
            .handle(backup.persons.resolve(person))
            .and_then(|handle| backup.contacted.get(&handle.0))
            .map(|known| known.sent.to_vec())
            .unwrap_or_default();
        let new: Vec<Timestamp> = it
            .sent
            .iter()
            .filter(|at| match left.iter().position(|known| known == *at) {
                Some(known) => {
                    left.swap_remove(known);
                    false
                }
                None => true,
            })
            .copied()
            .collect();
        if !new.is_empty() {
            let known = present.contacted.shape(&number);
            let campaign = known.and_then(|known| known.last_campaign.as_ref());
            let people = by_campaign.entry(campaign).or_default();
            people.push((person, new));
        }
    }
    let pages = |(campaign, people): (Option<&Lineage>, Vec<(PersonId, Vec<Timestamp>)>)| {
        people
            .chunks(PAGE)
            .map(|page| Event::HeardUnited {
                campaign: campaign.cloned(),
                people: page.to_vec(),
            })
            .collect::<Vec<_>>()
    };
    by_campaign.into_iter().flat_map(pages).collect()
}

fn suppressions(present: &Observed, backup: &Observed, events: &mut Vec<Event>) {
    let mut refs: BTreeMap<(&str, &str), Vec<(RefHash, PersonId)>> = BTreeMap::new();
    let mut erased: Vec<RefHash> = Vec::new();
    for (hash, entry) in &present.suppression.refs {
        let known = backup.suppression.refs.get(hash);
        if known.is_none() {
            let people = refs.entry((&entry.why, &entry.by)).or_default();
            people.extend(entry.people.iter().map(|person| (*hash, *person)));
        }
        if entry.erased && known.is_none_or(|known| !known.erased) {
            erased.push(*hash);
        }
    }
    let silenced =
        |state: &Observed, person: PersonId, set: fn(&Observed) -> &roaring::RoaringBitmap| {
            state
                .handle(person)
                .is_some_and(|handle| set(state).contains(handle.0))
        };
    let mut people: BTreeMap<(&str, &str), Vec<PersonId>> = BTreeMap::new();
    for number in &present.suppressed {
        let Some(person) = present.persons.id(Handle(number)) else {
            continue;
        };
        if silenced(backup, person, |state| &state.suppressed) {
            continue;
        }
        let (why, by) = present
            .suppression
            .people
            .get(&number)
            .map_or(("suppressed before a restore", ""), |entry| {
                (entry.why.as_str(), entry.by.as_str())
            });
        people.entry((why, by)).or_default().push(person);
    }
    let reasons: std::collections::BTreeSet<(&str, &str)> =
        refs.keys().chain(people.keys()).copied().collect();
    for reason in reasons {
        let hashes = refs.remove(&reason).unwrap_or_default();
        let named = people.remove(&reason).unwrap_or_default();
        let pages = hashes.len().max(named.len()).div_ceil(PAGE);
        for page in 0..pages {
            let part = |len: usize| (page * PAGE).min(len)..((page + 1) * PAGE).min(len);
            events.push(Event::SuppressionAdded {
                people: named.get(part(named.len())).unwrap_or_default().to_vec(),
                hashes: hashes.get(part(hashes.len())).unwrap_or_default().to_vec(),
                phones: Vec::new(),
                why: reason.0.to_owned(),
                by: reason.1.to_owned(),
            });
        }
    }
    for number in &present.opted_out {
        if let Some(person) = present.persons.id(Handle(number))
            && !silenced(backup, person, |state| &state.opted_out)
        {
            events.push(Event::OptedOut {
                person,
                account: None,
            });
        }
    }
    let gone = erased_since(present, backup);
    if !gone.is_empty() || !erased.is_empty() {
        events.push(Event::Forgotten {
            people: gone,
            hashes: erased,
            by: "the state before a restore".to_owned(),
        });
    }
}

/// How it ended, by which account and with which variant (as positions), and when, in seconds.
type SentGroups = BTreeMap<(Outcome, Option<u16>, Option<u16>), Vec<(PersonId, u32)>>;

/// What a campaign sent that the backup does not know of. What was on its way is uncertain.
fn keys_of(present: &Observed, backup: &Observed, line: &Lineage) -> Vec<Event> {
    let Some(it) = present.campaigns.get(line) else {
        return Vec::new();
    };
    let before = backup.campaigns.get(line);
    // What the backup knows of an earlier run says nothing of this one.
    let same_run = !it.runs.everyone || before.is_some_and(|before| before.run == it.run);
    let mut groups = SentGroups::new();
    for (number, recipient) in it.recipients.iter() {
        let outcome = match recipient.status {
            Status::Settled(outcome) => outcome,
            Status::InFlight => Outcome::Uncertain,
            Status::Pending | Status::Excluded(_) => continue,
        };
        let Some(person) = present.persons.id(Handle(number)) else {
            continue;
        };
        let known = backup
            .handle(backup.persons.resolve(person))
            .and_then(|handle| before?.recipients.get(&handle.0))
            .is_some_and(|then| matches!(then.status, Status::Settled(_) | Status::InFlight));
        if !(known && same_run) {
            groups
                .entry((outcome, recipient.account, recipient.variant))
                .or_default()
                .push((person, recipient.sent_at));
        }
    }
    let mut events: Vec<Event> = groups
        .into_iter()
        .flat_map(|((outcome, account, variant), people)| {
            let account = account.and_then(|index| present.account_name(index).cloned());
            let variant = variant
                .and_then(|index| it.variants.get_index(usize::from(index)))
                .map(|(name, _)| name.clone());
            people
                .chunks(PAGE)
                .map(|page| Event::KeysUnited {
                    campaign: line.clone(),
                    settled: vec![SettledElsewhere {
                        outcome,
                        account: account.clone(),
                        variant: variant.clone(),
                        people: page.to_vec(),
                    }],
                    steps: Vec::new(),
                })
                .collect::<Vec<_>>()
        })
        .collect();
    let further: Vec<PersonId> = it
        .recipients
        .keys()
        .filter_map(|number| present.persons.id(Handle(number)).map(|id| (number, id)))
        .filter(|(number, person)| {
            let then = backup.handle(*person).and_then(|handle| {
                let steps = &before?.steps;
                Some(steps.of(handle).collect::<Vec<_>>())
            });
            let now: Vec<_> = it.steps.of(Handle(*number)).collect();
            let flying = present
                .in_flight
                .keys()
                .any(|key| key.lineage == *line && key.person == *person && key.step > 0);
            !now.is_empty() && (flying || then.is_some_and(|then| then != now))
        })
        .map(|(_, person)| person)
        .collect();
    events.extend(further.chunks(PAGE).map(|page| Event::KeysUnited {
        campaign: line.clone(),
        settled: Vec::new(),
        steps: page.to_vec(),
    }));
    events
}

//! `tidings explain`: why this person did or did not get a message.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::beside::{Rows, Unread};
use super::optout::{entries_of, has_phone, name_of, note_of, unbound_phones};
use super::suppressed::references_of;
use crate::control::answer::{document, misused, name_now};
use crate::control::{Core, CoreError};
use crate::desired::{ResolvedCampaign, ResolvedSource, SourceRole};
use crate::model::{
    Event, InDoubtWhy, Lineage, Outcome, Person, PersonId, Recorded, Reference, Reply, SendKey,
    Timestamp,
};
use crate::observed::{Campaign, OPT_OUT_LINEAGE, Status};
use crate::people::People as _;
use crate::plan::{Explained, Gate, adds, explain as planned};
use crate::status::{self, Moment};
use crate::time::Zone;

/// Steps of history that are shown; the newest.
const MAX_HISTORY: usize = 200;

/// `explain -o json`.
#[derive(Debug, Serialize)]
struct Explanation {
    format_version: &'static str,
    campaign: String,
    kind: String,
    /// The zone in which the summary tells times.
    timezone: &'static str,
    run: u32,
    person: Named,
    /// `no_source`, `undecided`, `excluded`, `pending`, `in_flight`, or the outcome.
    state: String,
    /// One sentence that says it all.
    summary: String,
    #[serde(flatten)]
    told: Explained,
    suppression: Option<Suppressed>,
    replied: bool,
    last_reply_at: Option<Moment>,
    /// What happened to him in this campaign, the oldest first.
    history: Vec<Step>,
    /// What other campaigns sent him.
    other_campaigns: Vec<Other>,
}

/// Who is meant.
#[derive(Debug, Serialize)]
struct Named {
    person: String,
    id: Option<i64>,
    username: Option<String>,
    phone: Option<String>,
    name: Option<String>,
    /// Where he was found, in the operator's words.
    origins: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Suppressed {
    reason: &'static str,
    why: String,
    by: Option<String>,
    at: Option<Moment>,
}

/// One thing that happened.
#[derive(Debug, Clone, Serialize)]
struct Step {
    at: Moment,
    /// The event's kind: `intent`, `sent`, `refused`, …
    event: &'static str,
    step: Option<u16>,
    run: Option<u32>,
    account: Option<String>,
    variant: Option<String>,
    outcome: Option<Outcome>,
    /// In Telegram's words where it said some.
    detail: Option<String>,
}

#[derive(Debug, Serialize)]
struct Other {
    campaign: String,
    at: Option<Moment>,
    outcome: String,
}

/// What the loop knows of a question about one person; his history is in the journal.
pub(super) struct Asked {
    line: Lineage,
    ids: BTreeSet<PersonId>,
    zone: Zone,
    now: Timestamp,
    /// Whether a daemon looked at the campaign.
    seen: bool,
    /// Whether its spec is valid and there.
    valid: bool,
    /// Whether it adds people instead of writing to them.
    adds: bool,
    /// Why its filters were not applied to somebody found.
    undecided: String,
    /// Whether its sources are being looked up.
    looking: bool,
    /// What the suppression list does not know of him.
    beside: Option<String>,
    /// Whether a source of it was ever read.
    read: bool,
    /// The sources that were not, and why.
    unread: Vec<String>,
    /// All but the summary and the history.
    explanation: Explanation,
}

/// Asks about any person, found or not; or says what is wrong with the question.
pub(super) fn ask(
    core: &Core,
    name: &str,
    who: &Reference,
) -> Result<Result<Asked, Reply>, CoreError> {
    let name = name_now(core, name.to_owned());
    let name = name.as_str();
    let line = core
        .desired
        .campaigns
        .get(name)
        .map(|wanted| wanted.lineage.clone())
        .or_else(|| core.observed.names.get(name).cloned());
    let Some(line) = line else {
        return Ok(Err(misused(format!("there is no campaign `{name}`"))));
    };
    let (mut ids, hashes) = entries_of(core, who)?;
    ids.extend(
        ids.clone()
            .iter()
            .flat_map(|id| core.observed.persons.references_of(*id).collect::<Vec<_>>()),
    );
    // Who he is: the user id before a stand-in, one that a source found before one that only is named.
    let person = ids
        .iter()
        .copied()
        .filter(|id| id.is_user())
        .max_by_key(|id| core.observed.handle(*id).is_some())
        .or_else(|| {
            ids.iter()
                .copied()
                .find(|id| core.observed.handle(*id).is_some())
        })
        .unwrap_or_else(|| who.person());
    let known = ids
        .iter()
        .find_map(|id| (*id == person).then(|| core.people.get(*id)).flatten())
        .or_else(|| ids.iter().find_map(|id| core.people.get(*id)))
        .unwrap_or_default();
    let references = references_of(person, &known);
    let handle = core.observed.handle(person);
    let plan = core.plan_report();
    let inputs = core.inputs();
    let campaign = core.observed.campaigns.get(&line);
    let wanted = core.desired.campaigns.get(name);
    let spec = wanted.and_then(|wanted| wanted.spec.as_ref());
    let told = match (spec, campaign) {
        (Some(spec), Some(campaign)) => planned(&inputs, &plan, &line, spec, campaign, person),
        _ => Explained::default(),
    };
    let recipient = handle.and_then(|handle| campaign?.recipients.get(&handle.0));
    let state = match recipient.map(|r| r.status) {
        // Found, and the filters were not applied since: another source is read first, or cannot be.
        None if told.found_by.iter().any(|by| by.role == "include") => "undecided".to_owned(),
        None => "no_source".to_owned(),
        Some(Status::Pending) => "pending".to_owned(),
        Some(Status::InFlight) => "in_flight".to_owned(),
        Some(Status::Excluded(_)) => "excluded".to_owned(),
        Some(Status::Settled(outcome)) => outcome.name().to_owned(),
    };
    let suppression = suppression(core, &ids, !hashes.is_empty());
    let contacted = handle.and_then(|handle| core.observed.contacted.get(&handle.0));
    let named = Named {
        person: person.to_string(),
        id: known.contact.id.or(person.is_user().then_some(person.0)),
        username: references.iter().chain([who]).find_map(|r| match r {
            Reference::Username(name) => Some(name.clone()),
            _ => None,
        }),
        phone: references.iter().chain([who]).find_map(|r| match r {
            Reference::Phone(digits) => Some(format!("+{digits}")),
            _ => None,
        }),
        name: name_of(&known),
        origins: known.origins.clone(),
    };
    let zone = spec.map_or(Zone::UTC, |spec| spec.schedule.zone);
    let unread = unread(spec.map(AsRef::as_ref), campaign);
    let explanation = Explanation {
        format_version: status::FORMAT_VERSION,
        campaign: name.to_owned(),
        kind: spec.map(|spec| spec.kind.to_string()).unwrap_or_default(),
        timezone: zone.name(),
        run: campaign.map_or(0, |campaign| campaign.run),
        person: named,
        state,
        summary: String::new(),
        told,
        suppression,
        replied: recipient.is_some_and(|r| r.replied),
        last_reply_at: contacted.and_then(|c| Moment::of(c.last_reply())),
        history: Vec::new(),
        other_campaigns: others(core, &line, handle),
    };
    Ok(Ok(Asked {
        zone,
        now: core.clock.now(),
        seen: campaign.is_some(),
        valid: spec.is_some(),
        adds: spec.is_some_and(|spec| adds(spec)),
        undecided: match plan.report.campaigns.get(&line).map(|view| &view.gate) {
            Some(Gate::Waits { message, .. } | Gate::Blocked { message, .. }) => {
                format!(": {message}")
            }
            Some(Gate::Open | Gate::Done { .. }) | None => ".".to_owned(),
        },
        beside: beside_the_list(core, person, &known, explanation.suppression.is_some()),
        looking: campaign.is_some_and(crate::observed::Campaign::looking_up),
        read: unread.len() < included(spec.map(AsRef::as_ref)).count(),
        unread,
        explanation,
        line,
        ids,
    }))
}

impl Asked {
    /// Reads his history and answers.
    pub(super) fn answer(mut self, rows: Rows) -> Result<Reply, Unread> {
        let history = history(rows, &self.line, &self.ids)?;
        self.explanation.summary = self.summary(&history);
        let open = matches!(
            self.explanation.state.as_str(),
            "pending" | "undecided" | "no_source" | "excluded"
        );
        if let Some(beside) = self.beside.as_ref().filter(|_| open) {
            self.explanation.summary.push(' ');
            self.explanation.summary.push_str(beside);
        }
        self.explanation.history = history;
        Ok(document(&self.explanation))
    }

    fn when(&self, at: Moment) -> String {
        status::moment_words(at, self.zone, self.now)
    }

    /// One sentence that says it all.
    fn summary(&self, history: &[Step]) -> String {
        let Explanation {
            campaign: name,
            state,
            told,
            suppression,
            ..
        } = &self.explanation;
        if !self.seen {
            return format!("`{name}` was not looked at by a daemon yet: nothing is known of it.");
        }
        if let Some(last) = history.iter().rev().find(|step| {
            matches!(step.event, "sent" | "refused" | "skipped")
                && step.outcome.is_some_and(|outcome| outcome.name() == state)
        }) {
            let by = last
                .account
                .as_ref()
                .map(|account| format!(" by {account}"))
                .unwrap_or_default();
            let detail = last
                .detail
                .as_ref()
                .filter(|detail| !detail.is_empty())
                .map(|detail| format!(" ({detail})"))
                .unwrap_or_default();
            let next = told.follow_up.as_ref();
            let waits = next
                .and_then(|next| Some((next.step, next.waits_for.as_ref()?)))
                .map(|(step, waits)| {
                    let reason = waits.reason.name();
                    format!(" Follow-up {step} waits: {reason}. {}", waits.message)
                })
                .unwrap_or_default();
            return match state.as_str() {
                "sent" if self.adds => format!("He was added {}{by}.", self.when(last.at)),
                "sent" => format!("He got the message {}{by}.{waits}", self.when(last.at)),
                other => {
                    let meaning = last.outcome.map_or("", Outcome::meaning);
                    format!(
                        "Nothing is sent to him any more: `{other}` {}{by}{detail}. {meaning}",
                        self.when(last.at)
                    )
                }
            };
        }
        match state.as_str() {
            "pending" => match &told.waits_for {
                Some(waits) => {
                    let until = Moment::of(waits.until).map_or_else(String::new, |until| {
                        format!(", which ends {}", self.when(until))
                    });
                    format!(
                        "He waits: {}{until}. {}",
                        waits.reason.name(),
                        waits.message
                    )
                }
                None if !self.valid => {
                    "He waits: the spec is invalid or gone, so that nothing leaves.".to_owned()
                }
                None => "He waits.".to_owned(),
            },
            "in_flight" if self.adds => "He is being added.".to_owned(),
            "in_flight" => "A message to him is on its way.".to_owned(),
            "undecided" => format!(
                "He was found, and whether he is in the audience is not decided yet{}",
                self.undecided
            ),
            "excluded" => match &told.exclusion {
                Some(excluded) => format!(
                    "He is not in the audience: `{}`. {}",
                    excluded.reason, excluded.message
                ),
                None => "He is not in the audience; the filters are applied anew.".to_owned(),
            },
            "no_source" => {
                let would = match (&told.exclusion, suppression) {
                    (_, Some(_)) => {
                        " He is on the suppression list, and would get nothing if one did."
                            .to_owned()
                    }
                    (Some(excluded), None) => format!(
                        " Were he found, he would be left out as `{}`.",
                        excluded.reason
                    ),
                    (None, None) => String::new(),
                };
                let looking = if self.looking {
                    " Sources are being looked up now."
                } else {
                    ""
                };
                match (self.unread.as_slice(), self.read) {
                    ([], _) => format!("No source of `{name}` found him.{looking}{would}"),
                    (unread, true) => format!(
                        "No source of `{name}` that was read found him; {}.{looking}{would}",
                        unread.join("; ")
                    ),
                    (unread, false) => format!(
                        "Whether `{name}` would find him is not known: {}{}{looking}{would}",
                        unread.join("; "),
                        self.undecided.replacen(':', ".", 1)
                    ),
                }
            }
            outcome => format!("He is settled: `{outcome}`."),
        }
    }
}

/// Where the suppression list may mean him and cannot know it, or means somebody whom it may not recognise.
fn beside_the_list(core: &Core, person: PersonId, known: &Person, listed: bool) -> Option<String> {
    if listed {
        return note_of(core, person, has_phone(known)).map(|note| format!("Of the list: {note}."));
    }
    if !person.is_user() || known.contact.phone.is_some() || has_phone(known) {
        return None;
    }
    let numbers = unbound_phones(core);
    (numbers > 0).then(|| {
        format!(
            "He hides his number, and {numbers} of the suppression list belong to nobody who is known: whether one is \
             his cannot be told yet."
        )
    })
}

/// The sources that put people into the audience.
fn included(spec: Option<&ResolvedCampaign>) -> impl Iterator<Item = &ResolvedSource> {
    let sources = spec.map(|spec| spec.sources.as_slice()).unwrap_or_default();
    sources
        .iter()
        .filter(|source| source.role == SourceRole::Include)
}

/// Those of them that were never read, and why.
fn unread(spec: Option<&ResolvedCampaign>, campaign: Option<&Campaign>) -> Vec<String> {
    included(spec)
        .filter_map(|source| {
            let label = &source.label;
            let known = campaign.and_then(|campaign| campaign.sources.get(&source.id));
            let mut lookups = known.into_iter().flat_map(|known| known.lookups.values());
            if !lookups.clone().any(|lookup| lookup.ended.is_some()) {
                return Some(format!("{label}: never looked up"));
            }
            let why = lookups.find_map(|lookup| lookup.error.as_deref())?;
            let failed = known.is_some_and(|known| known.failed() && known.found().is_empty());
            failed.then(|| format!("{label}: could not be read ({why})"))
        })
        .collect()
}

fn suppression(core: &Core, ids: &BTreeSet<PersonId>, hashed: bool) -> Option<Suppressed> {
    let observed = &core.observed;
    let found = ids
        .iter()
        .filter_map(|id| observed.handle(*id))
        .find(|handle| observed.is_silenced(*handle));
    let Some(handle) = found else {
        return hashed.then(|| Suppressed {
            reason: "suppressed",
            why: "the list names him".to_owned(),
            by: None,
            at: None,
        });
    };
    let entry = observed.suppression.people.get(&handle.0);
    Some(Suppressed {
        reason: if observed.suppressed.contains(handle.0) {
            "suppressed"
        } else {
            "opted_out"
        },
        why: entry.map(|entry| entry.why.clone()).unwrap_or_default(),
        by: entry
            .map(|entry| entry.by.clone())
            .filter(|by| !by.is_empty()),
        at: entry.map(|entry| Moment::from(entry.at)),
    })
}

/// What the journal says of him in this campaign.
fn history(rows: Rows, line: &Lineage, ids: &BTreeSet<PersonId>) -> Result<Vec<Step>, Unread> {
    let mut steps: std::collections::VecDeque<Step> = std::collections::VecDeque::new();
    let mut by: BTreeMap<SendKey, (String, String)> = BTreeMap::new();
    for row in rows {
        let (_, Recorded { at, event }) = row?;
        let Some(mut step) = step_of(&event, line, ids) else {
            continue;
        };
        step.at = Moment::from(at);
        match &event {
            Event::Intent(intent) => {
                by.insert(
                    intent.key.clone(),
                    (intent.account.to_string(), intent.variant.to_string()),
                );
            }
            Event::Sent { key, .. }
            | Event::Refused { key, .. }
            | Event::Released { key, .. }
            | Event::InDoubt { key, .. } => {
                if let Some((account, variant)) = by.get(key) {
                    step.account = Some(account.clone());
                    step.variant = Some(variant.clone());
                }
            }
            _ => {}
        }
        steps.push_back(step);
        if steps.len() > MAX_HISTORY {
            steps.pop_front();
        }
    }
    Ok(steps.into())
}

fn step_of(event: &Event, line: &Lineage, ids: &BTreeSet<PersonId>) -> Option<Step> {
    let blank = |event: &'static str| Step {
        at: Moment::from(crate::model::Timestamp(0)),
        event,
        step: None,
        run: None,
        account: None,
        variant: None,
        outcome: None,
        detail: None,
    };
    let of = |event: &'static str, key: &SendKey| {
        (key.lineage == *line && ids.contains(&key.person)).then(|| Step {
            step: Some(key.step),
            run: (key.run != 0).then_some(key.run),
            ..blank(event)
        })
    };
    match event {
        Event::Intent(intent) => of("intent", &intent.key).map(|step| Step {
            account: Some(intent.account.to_string()),
            variant: Some(intent.variant.to_string()),
            ..step
        }),
        Event::Sent {
            key,
            earlier,
            message_id,
            ..
        } => of("sent", key).map(|step| Step {
            outcome: Some(Outcome::Sent),
            detail: Some(if *earlier {
                format!("message {message_id}, delivered by an earlier try")
            } else {
                format!("message {message_id}")
            }),
            ..step
        }),
        Event::Refused {
            key,
            outcome,
            detail,
        } => of("refused", key).map(|step| Step {
            outcome: Some(*outcome),
            detail: Some(detail.clone()),
            ..step
        }),
        Event::Released { key, detail, .. } => of("released", key).map(|step| Step {
            detail: Some(detail.clone()),
            ..step
        }),
        Event::InDoubt { key, why } => of("in_doubt", key).map(|step| Step {
            detail: Some(
                match why {
                    InDoubtWhy::Refused(_) => {
                        "a repeat was refused, and the first try may have arrived"
                    }
                    InDoubtWhy::Restart => "the engine stopped before the answer",
                    InDoubtWhy::Timeout => "no answer in time",
                    InDoubtWhy::Connection => "the connection broke",
                    InDoubtWhy::Server => "Telegram refused it for now, or had an internal error",
                    InDoubtWhy::Unread => "the dialog could not be read",
                }
                .to_owned(),
            ),
            ..step
        }),
        Event::Skipped {
            campaign,
            person,
            step,
            outcome,
            detail,
        } if campaign == line && ids.contains(person) => Some(Step {
            step: Some(*step),
            outcome: Some(*outcome),
            detail: Some(detail.clone()),
            ..blank("skipped")
        }),
        Event::StepSkipped {
            key,
            outcome,
            detail,
        } => of("step_skipped", key).map(|step| Step {
            outcome: Some(*outcome),
            detail: Some(detail.clone()),
            ..step
        }),
        Event::Judged {
            campaign,
            included,
            excluded,
            dropped,
            ..
        } if campaign == line => {
            if included.iter().any(|person| ids.contains(person)) {
                Some(Step {
                    detail: Some("in the audience".to_owned()),
                    ..blank("judged")
                })
            } else if let Some((reason, _)) = excluded
                .iter()
                .find(|(_, people)| people.iter().any(|person| ids.contains(person)))
            {
                Some(Step {
                    detail: Some(format!("not in the audience: {reason}")),
                    ..blank("judged")
                })
            } else if dropped.iter().any(|person| ids.contains(person)) {
                Some(Step {
                    detail: Some("no longer found".to_owned()),
                    ..blank("judged")
                })
            } else {
                None
            }
        }
        Event::Incoming {
            account,
            person,
            message_id,
        } if ids.contains(person) => Some(Step {
            account: Some(account.to_string()),
            detail: Some(format!("he wrote message {message_id}")),
            ..blank("incoming")
        }),
        Event::OptedOut { person, account } if ids.contains(person) => Some(Step {
            account: account.as_ref().map(ToString::to_string),
            detail: Some("he asked to hear no more".to_owned()),
            ..blank("opted_out")
        }),
        Event::Suppressed { person, why } if ids.contains(person) => Some(Step {
            detail: Some(why.clone()),
            ..blank("suppressed")
        }),
        Event::SuppressionAdded {
            people, why, by, ..
        } if people.iter().any(|person| ids.contains(person)) => Some(Step {
            detail: Some(format!("{by}: {why}")),
            ..blank("suppression_added")
        }),
        Event::SuppressionRemoved {
            people, why, by, ..
        } if people.iter().any(|person| ids.contains(person)) => Some(Step {
            detail: Some(format!("{by}: {why}")),
            ..blank("suppression_removed")
        }),
        Event::SuppressionMatched { person, .. } if ids.contains(person) => Some(Step {
            detail: Some("turned up, and is on the suppression list".to_owned()),
            ..blank("suppression_matched")
        }),
        Event::Nobody { reference } if ids.contains(reference) => Some(Step {
            detail: Some("nobody can be addressed by it".to_owned()),
            ..blank("nobody")
        }),
        Event::Resolved {
            person, account, ..
        } if ids.contains(person) => Some(Step {
            account: Some(account.to_string()),
            detail: Some("looked up".to_owned()),
            ..blank("resolved")
        }),
        _ => None,
    }
}

/// Where he stands with other campaigns that wrote to him or are about to.
fn others(core: &Core, line: &Lineage, handle: Option<crate::observed::Handle>) -> Vec<Other> {
    let Some(handle) = handle else {
        return Vec::new();
    };
    core.observed
        .campaigns
        .iter()
        .filter(|(other, _)| *other != line && other.as_ref() != OPT_OUT_LINEAGE)
        .filter_map(|(_, campaign)| {
            let recipient = campaign.recipients.get(&handle.0)?;
            let outcome = match recipient.status {
                Status::Pending => "pending".to_owned(),
                Status::InFlight => "in_flight".to_owned(),
                Status::Settled(outcome) => outcome.name().to_owned(),
                Status::Excluded(_) => return None,
            };
            let at = (recipient.sent_at > 0).then(|| {
                Moment::from(crate::model::Timestamp::from_seconds(i64::from(
                    recipient.sent_at,
                )))
            });
            Some(Other {
                campaign: campaign.name.clone(),
                at,
                outcome,
            })
        })
        .collect()
}

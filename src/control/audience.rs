//! Audiences for the terminal: which there are, and who is in one, page by page.

use serde_json::{Value, json};

use super::Core;
use crate::model::{AccountName, Lineage, Outcome, PersonId, Timestamp};
use crate::observed::{Campaign, Contacted, Handle, Recipient, Status};
use crate::people::People as _;
use crate::status::{self, Moment};

/// People of one answer: some 500 KB, far below what a socket carries at once.
const PAGE: usize = 1000;

/// The audiences: of every campaign that has looked anybody up.
pub(super) fn list(core: &Core, daemon: bool) -> Value {
    let plan = core.plan_report();
    let report = status::report(
        &core.inputs(),
        &plan,
        super::answer::daemon_info(core, daemon),
    );
    let audiences: Vec<Value> = report
        .campaigns
        .iter()
        .filter(|campaign| campaign.audience.found > 0 || campaign.kind == "collect")
        .map(|campaign| {
            let complete = campaign.audience.sources.iter().all(|source| source.complete);
            let collected_at = core
                .observed
                .campaign(&campaign.name)
                .and_then(|known| known.judgement.as_ref())
                .and_then(|judged| Moment::of(Some(judged.at)));
            json!({
                "name": campaign.name,
                "kind": campaign.kind,
                "found": campaign.audience.found,
                "included": campaign.audience.included,
                "complete": complete && collected_at.is_some(),
                "collected_at": collected_at,
                "sources": campaign.audience.sources.iter().map(|source| source.label.clone()).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({"format_version": status::FORMAT_VERSION, "audiences": audiences})
}

/// People of an audience from a place on, and the place after them.
pub(super) fn page(core: &Core, line: &Lineage, after: Option<u32>) -> Value {
    let absent = Campaign::default();
    let campaign = core.observed.campaigns.get(line).unwrap_or(&absent);
    let rows = Rows::new(core, line, campaign);
    let end = u32::try_from(core.observed.persons.len()).unwrap_or(u32::MAX);
    let mut number = after.map_or(0, |after| after.saturating_add(1));
    let mut people = Vec::new();
    while number < end && people.len() < PAGE {
        if let Some(recipient) = campaign.recipients.get(&number)
            && !matches!(recipient.status, Status::Excluded(_))
            && let Some(person) = core.observed.persons.id(Handle(number))
        {
            people.extend(rows.of(number, person, &recipient));
        }
        number += 1;
    }
    json!({
        "format_version": status::FORMAT_VERSION,
        "people": people,
        "next": (number < end).then(|| number - 1),
    })
}

impl Core {
    /// Everybody in the audience of a campaign, those found first before the others.
    pub(super) fn collected(&self, name: &str) -> Vec<PersonId> {
        let line = match self.desired.campaigns.get(name) {
            Some(wanted) => Some(&wanted.lineage),
            None => self.observed.names.get(name),
        };
        let Some(campaign) = line.and_then(|line| self.observed.campaigns.get(line)) else {
            return Vec::new();
        };
        campaign
            .recipients
            .iter()
            .filter(|(_, recipient)| !matches!(recipient.status, Status::Excluded(_)))
            .filter_map(|(number, _)| self.observed.persons.id(Handle(number)))
            .collect()
    }
}

struct Rows<'a> {
    core: &'a Core,
    campaign: &'a Campaign,
    /// How many follow-ups the spec has.
    steps: u16,
    /// What each source is called, and whom it found.
    sources: Vec<(String, roaring::RoaringBitmap)>,
}

impl<'a> Rows<'a> {
    fn new(core: &'a Core, line: &Lineage, campaign: &'a Campaign) -> Rows<'a> {
        let wanted = core
            .desired
            .campaigns
            .values()
            .find(|wanted| wanted.lineage == *line);
        let sources = wanted
            .and_then(|wanted| wanted.spec.as_ref())
            .map(|spec| {
                spec.sources
                    .iter()
                    .filter(|source| source.role == crate::desired::SourceRole::Include)
                    .filter_map(|source| {
                        let known = campaign.sources.get(&source.id)?;
                        Some((source.label.clone(), known.found()))
                    })
                    .collect()
            })
            .unwrap_or_default();
        let steps = wanted
            .and_then(|wanted| wanted.spec.as_ref())
            .map_or(0, |spec| {
                u16::try_from(spec.follow_ups.len()).unwrap_or(u16::MAX)
            });
        Rows {
            core,
            campaign,
            steps,
            sources,
        }
    }

    /// One row for the first step, and one for each follow-up that was sent or came to an end without being sent. When
    /// and what he wrote stands beside each message that he had got by then.
    fn of(&self, number: u32, person: PersonId, recipient: &Recipient) -> Vec<Value> {
        let core = self.core;
        let known = core.people.get(person).unwrap_or_default();
        let contact = &known.contact;
        let name: Vec<&str> = [&contact.first_name, &contact.last_name]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect();
        let mut handles: Vec<String> = Vec::new();
        handles.extend(contact.username.as_ref().map(|name| format!("@{name}")));
        handles.extend(contact.phone.as_ref().map(|digits| format!("+{digits}")));
        let names = match (name.is_empty(), handles.is_empty()) {
            (true, _) => handles.join(", "),
            (false, true) => name.join(" "),
            (false, false) => format!("{} ({})", name.join(" "), handles.join(", ")),
        };
        let who = if person.is_user() {
            person.to_string()
        } else {
            known
                .references
                .first()
                .map_or_else(|| person.to_string(), ToString::to_string)
        };
        let sent = recipient.status == Status::Settled(crate::model::Outcome::Sent);
        let contacted = core.observed.contacted.shape(&number);
        let replied_at = contacted
            .and_then(Contacted::last_reply)
            .filter(|_| recipient.replied);
        // Absent where he never wrote, or where his words are no longer kept.
        let last_reply = replied_at.and_then(|_| {
            core.people
                .conversation(person)
                .into_iter()
                .rev()
                .find(|(_, line)| line.speaker == crate::model::Speaker::Person)
                .map(|(_, line)| line.text)
        });
        let source: Vec<&str> = self
            .sources
            .iter()
            .filter(|(_, found)| found.contains(number))
            .map(|(label, _)| label.as_str())
            .collect();
        let origins: Vec<&str> = known
            .origins
            .iter()
            .map(String::as_str)
            .filter(|origin| !source.contains(origin))
            .collect();
        // What another campaign collected came from somewhere, too.
        let taken_over = source.iter().all(|label| label.starts_with("audience of "));
        let source = match (source.is_empty(), taken_over && !origins.is_empty()) {
            (true, _) => origins.join("; "),
            (false, true) => format!("{} ({})", source.join("; "), origins.join("; ")),
            (false, false) => source.join("; "),
        };
        let account =
            |index: Option<u16>| index.and_then(|index| core.observed.account_name(index));
        let row = |step: Option<u16>,
                   account: Option<&AccountName>,
                   variant: Option<&str>,
                   sent_at: Option<Timestamp>,
                   outcome: Option<Outcome>| {
            let answered = replied_at.filter(|at| sent_at.is_none_or(|sent| sent <= *at));
            json!({
                "person": who,
                "names": names,
                "account": account,
                "variant": variant,
                "step": step,
                "sent_at": Moment::of(sent_at),
                "outcome": outcome.map(Outcome::name),
                "replied_at": Moment::of(answered),
                "last_reply": answered.and(last_reply.as_ref()),
                "opted_out": recipient.opted_out || core.observed.opted_out.contains(number),
                "source": source,
            })
        };
        let variant = recipient
            .variant
            .and_then(|variant| self.campaign.variants.get_index(usize::from(variant)))
            .map(|(name, _)| name.as_str());
        let outcome = match recipient.status {
            Status::Settled(outcome) => Some(outcome),
            _ => None,
        };
        let step = (!matches!(recipient.status, Status::Pending)).then_some(0);
        let sent_at = sent.then(|| Timestamp::from_seconds(i64::from(recipient.sent_at)));
        let mut rows = vec![row(
            step,
            account(recipient.account),
            variant,
            sent_at,
            outcome,
        )];
        for done in self.campaign.steps.rows(Handle(number), self.steps) {
            let mut told = row(
                Some(done.step),
                account(Some(done.account)),
                done.variant,
                done.sent_at,
                Some(done.outcome),
            );
            if done.sent_at.is_none() {
                // No message of this step, so no answer to one.
                told["replied_at"] = Value::Null;
                told["last_reply"] = Value::Null;
            }
            rows.push(told);
        }
        rows
    }
}

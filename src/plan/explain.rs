//! One person in one campaign: the same questions as a pass asks of everybody, answered one by one.

use serde::Serialize;

use super::accounts::{Availability, may_contact, may_look_up};
use super::{Gate, Inputs, Link, Plan, answers, audience, message, sends, steps};
use crate::desired::{ResolvedCampaign, SourceRole};
use crate::model::{Exclusion, LastSeen, Lineage, Person, PersonId, SendKey, Timestamp, Waiting};
use crate::observed::{Campaign, Handle, Status, StepGroup, StepWaiter};
use crate::people::best_reference;
use crate::text::{AccountFacts, Context, compose};

/// A source that names him.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FoundBy {
    /// In words.
    pub source: String,
    /// `include`, `in` or `exclude`.
    pub role: &'static str,
}

/// Why he is not in the audience.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExcludedFor {
    /// The first reason that holds.
    pub reason: Exclusion,
    /// With the values that decided it.
    pub message: String,
}

/// What he waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WaitsFor {
    /// The reason, of the closed list.
    pub reason: Waiting,
    /// Until when, where it is known.
    #[serde(serialize_with = "shown")]
    pub until: Option<Timestamp>,
    /// In one sentence.
    pub message: String,
}

fn shown<S: serde::Serializer>(at: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => to.collect_str(at),
        None => to.serialize_none(),
    }
}

/// What the planner says of one person.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Explained {
    /// The sources that name him.
    pub found_by: Vec<FoundBy>,
    /// Why he is not in the audience, or would not be.
    pub exclusion: Option<ExcludedFor>,
    /// The account that wrote to him, or is bound to him, or could write to him.
    pub accounts: Vec<String>,
    /// The variant that he gets or got.
    pub variant: Option<String>,
    /// Its text as it would be made for him now.
    pub text: Option<String>,
    /// Why there is none.
    pub text_error: Option<String>,
    /// What he waits for, where he is pending.
    pub waits_for: Option<WaitsFor>,
    /// The follow-up that he gets next.
    pub follow_up: Option<NextStep>,
}

/// A follow-up to come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NextStep {
    /// 1 is the first.
    pub step: u16,
    /// Not before then.
    #[serde(serialize_with = "moment")]
    pub due_at: Timestamp,
    /// What keeps it beside that, where it is he or the account that wrote to him who does.
    pub waits_for: Option<WaitsFor>,
}

fn moment<S: serde::Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(at)
}

/// Explains one person. `report` is the plan of this moment.
pub fn explain(
    inputs: &Inputs<'_>,
    report: &Plan,
    line: &Lineage,
    spec: &ResolvedCampaign,
    campaign: &Campaign,
    person: PersonId,
) -> Explained {
    let observed = inputs.observed;
    let mut told = Explained::default();
    let known = inputs.people.get(person).unwrap_or_default();
    let handle = observed.handle(person);
    if let Some(handle) = handle {
        for source in &spec.sources {
            let finds = campaign
                .sources
                .get(&source.id)
                .is_some_and(|known| known.found().contains(handle.0));
            if finds {
                told.found_by.push(FoundBy {
                    source: source.label.clone(),
                    role: match source.role {
                        SourceRole::Include => "include",
                        SourceRole::In => "in",
                        SourceRole::Exclude => "exclude",
                    },
                });
            }
        }
        let recipient = campaign.recipients.get(&handle.0);
        let settled =
            recipient.is_some_and(|r| matches!(r.status, Status::InFlight | Status::Settled(_)));
        if !settled {
            let reason = audience::Judge::new(inputs, spec, campaign)
                .exclusion(handle, person)
                .or(match recipient.map(|r| r.status) {
                    Some(Status::Excluded(Exclusion::OverLimit)) => Some(Exclusion::OverLimit),
                    _ => None,
                });
            told.exclusion = reason.map(|reason| ExcludedFor {
                reason,
                message: why(inputs, spec, &known, handle, reason),
            });
        }
        let own = |index: u16| observed.account_name(index).map(ToString::to_string);
        told.accounts = match recipient.and_then(|r| r.account) {
            Some(account) => own(account).into_iter().collect(),
            None => observed
                .persons
                .accounts(observed.persons.class(handle))
                .iter()
                .filter_map(|index| own(*index))
                .filter(|name| spec.accounts.iter().any(|mine| mine.as_ref() == name))
                .collect(),
        };
        told.variant = recipient
            .and_then(|r| r.variant)
            .and_then(|index| campaign.variants.get_index(usize::from(index)))
            .map(|(name, _)| name.clone());
        if recipient.is_some_and(|r| r.status == Status::Pending) {
            told.waits_for = waits_for(inputs, report, line, spec, campaign, handle, person);
        }
        told.follow_up = follow_up(inputs, spec, campaign, handle);
    }
    // Who is only a reference yet gets his variant by his user id, which is not known.
    if person.is_user()
        && let Some(chosen) = message::choose(
            &spec.variants,
            &SendKey {
                lineage: line.clone(),
                person,
                step: 0,
                run: 0,
            },
        )
    {
        let name = told.variant.get_or_insert_with(|| chosen.name.to_string());
        let variant = spec
            .variants
            .iter()
            .find(|variant| *variant.name == **name)
            .unwrap_or(chosen);
        let facts = message::facts(spec, campaign);
        let usual = spec_account(spec);
        let account = told.accounts.first().or(usual.as_ref()).map(|name| {
            let (first_name, username) = match inputs.runtime.links.get(name.as_str()) {
                Some(Link::Ready {
                    first_name,
                    username,
                    ..
                }) => (first_name.as_deref(), username.as_deref()),
                _ => (None, None),
            };
            AccountFacts {
                name,
                first_name,
                username,
            }
        });
        let context = Context {
            contact: &known.contact,
            campaign: &facts,
            account,
            now: inputs.now,
            zone: spec.schedule.zone,
            step: 0,
            invite_link: None,
        };
        let made = compose(
            &variant.template,
            inputs.desired.engine.opt_out.notice.as_ref(),
            variant.media.is_some(),
            &context,
        );
        match made {
            Ok(text) => told.text = Some(text.text),
            Err(error) => told.text_error = Some(error.to_string()),
        }
    }
    told
}

/// The follow-up that comes next, and whether it waits for somebody to read what he wrote, or for its account.
fn follow_up(
    inputs: &Inputs<'_>,
    spec: &ResolvedCampaign,
    campaign: &Campaign,
    handle: Handle,
) -> Option<NextStep> {
    let next = |(group, waiter): (StepGroup, StepWaiter)| {
        let (step, after) = steps::next_step(spec, group)?;
        Some((waiter.since() + after, step))
    };
    let (due_at, step) = campaign.steps.waiting(handle).filter_map(next).min()?;
    let unread = answers::is_unread(inputs, handle).then(|| WaitsFor {
        reason: Waiting::Held,
        until: None,
        message: "He wrote, and nobody has answered him: there may be a refusal in it. The follow-up waits until he has \
                  an answer, or a human has taken or closed the conversation (`tidings replies`)."
            .to_owned(),
    });
    let waits_for = unread.or_else(|| {
        let index = campaign.recipients.get(&handle.0)?.account?;
        let name = inputs.observed.account_name(index)?;
        let Availability::Later { reason, until } =
            may_contact(inputs, name, spec, campaign, false)
        else {
            return None;
        };
        let keeps = until.is_none_or(|until| until > due_at);
        keeps.then(|| WaitsFor {
            reason,
            until,
            message: format!("{} It would leave by {name}.", reason.meaning()),
        })
    });
    Some(NextStep {
        step,
        due_at,
        waits_for,
    })
}

fn spec_account(spec: &ResolvedCampaign) -> Option<String> {
    spec.accounts.first().map(ToString::to_string)
}

/// An exclusion with the values that decided it.
fn why(
    inputs: &Inputs<'_>,
    spec: &ResolvedCampaign,
    known: &Person,
    handle: Handle,
    reason: Exclusion,
) -> String {
    let observed = inputs.observed;
    let filters = &spec.filters;
    match reason {
        Exclusion::Suppressed | Exclusion::OptedOut => {
            match observed.suppression.people.get(&handle.0) {
                Some(entry) => {
                    let by = if entry.by.is_empty() {
                        String::new()
                    } else {
                        format!(", by {}", entry.by)
                    };
                    format!(
                        "{} Since {}: {}{by}.",
                        reason.meaning(),
                        entry.at,
                        entry.why
                    )
                }
                None => reason.meaning().to_owned(),
            }
        }
        Exclusion::LastSeen => {
            let seen = match known.last_seen {
                LastSeen::Hidden => "he hides when he was last seen".to_owned(),
                LastSeen::At(at) => format!("he was last seen at {at}"),
                LastSeen::Recently => "he was seen recently, which counts as 3 days ago".to_owned(),
                LastSeen::LastWeek => {
                    "he was seen within a week, which counts as 7 days ago".to_owned()
                }
                LastSeen::LastMonth => {
                    "he was seen within a month, which counts as 30 days ago".to_owned()
                }
            };
            let within = filters
                .last_seen
                .map(|within| {
                    crate::time::human_duration(
                        i64::try_from(within.as_millis()).unwrap_or(i64::MAX),
                    )
                })
                .unwrap_or_default();
            format!("`filters.last_seen` is {within}, and {seen}.")
        }
        Exclusion::Contacted => {
            let last = observed.contacted.get(&handle.0);
            match last.and_then(|last| Some((last.last_sent()?, last.last_campaign.clone()?))) {
                Some((at, campaign)) => {
                    format!(
                        "`{campaign}` wrote to him at {at}; `filters.not_contacted` leaves him out."
                    )
                }
                None => reason.meaning().to_owned(),
            }
        }
        Exclusion::NotIn => match &inputs.desired.engine.limits.only_to {
            Some(_) if spec.sources.iter().all(|s| s.role != SourceRole::In) => {
                "`limits.only_to` of tidings.yaml does not name him.".to_owned()
            }
            _ => reason.meaning().to_owned(),
        },
        Exclusion::Where => match &filters.where_ {
            Some(expression) => {
                format!("`filters.where` is false for him: {}", expression.source())
            }
            None => reason.meaning().to_owned(),
        },
        Exclusion::OverLimit => format!(
            "The audience is full: its limit is {} people.",
            filters.limit
        ),
        Exclusion::Premium | Exclusion::NotPremium => format!(
            "{} Telegram says of him: premium {}.",
            reason.meaning(),
            known
                .contact
                .premium
                .map_or("unknown", |premium| if premium { "yes" } else { "no" })
        ),
        other => other.meaning().to_owned(),
    }
}

/// Why a pending person waits, as the pass counts it.
fn waits_for(
    inputs: &Inputs<'_>,
    report: &Plan,
    line: &Lineage,
    spec: &ResolvedCampaign,
    campaign: &Campaign,
    handle: Handle,
    person: PersonId,
) -> Option<WaitsFor> {
    let view = report.report.campaigns.get(line)?;
    let told = |reason: Waiting, until: Option<Timestamp>, message: String| {
        Some(WaitsFor {
            reason,
            until,
            message,
        })
    };
    match &view.gate {
        Gate::Waits {
            reason,
            until,
            message,
        } => return told(*reason, *until, message.clone()),
        Gate::Blocked {
            reason, message, ..
        } => return told(*reason, None, message.clone()),
        Gate::Open | Gate::Done { .. } => {}
    }
    if let Some(until) = inputs.observed.slowed.get(&handle.0)
        && *until > inputs.now
    {
        return told(
            Waiting::PersonGap,
            Some(*until),
            "Telegram slowed this chat down.".to_owned(),
        );
    }
    if let Some(until) = sends::person_gap(inputs, handle.0) {
        return told(
            Waiting::PersonGap,
            Some(until),
            "`limits.per_person` of tidings.yaml: he was written to lately.".to_owned(),
        );
    }
    let persons = &inputs.observed.persons;
    let bound = campaign.recipients.get(&handle.0).and_then(|r| r.account);
    let class = persons.accounts(persons.class(handle));
    let may = |index: u16| bound.map_or(class.contains(&index), |only| only == index);
    let none = Availability::Later {
        reason: Waiting::AccountUnavailable,
        until: None,
    };
    let mut best = (none, None);
    for name in &spec.accounts {
        let index = inputs.observed.account_index(name);
        let availability = if person.is_user() {
            if !index.is_some_and(may) {
                continue;
            }
            may_contact(inputs, name, spec, campaign, true)
        } else {
            match may_look_up(inputs, name) {
                Availability::Now { .. } => may_contact(inputs, name, spec, campaign, true),
                later => later,
            }
        };
        let better = best.0.clone().better(availability);
        if better != best.0 {
            best = (better, Some(name.clone()));
        }
    }
    let by = best
        .1
        .map_or_else(String::new, |name| format!(" by {name}"));
    let would = if by.is_empty() {
        String::new()
    } else {
        format!(" It would leave{by}.")
    };
    match best.0 {
        Availability::Now { .. } if !person.is_user() => told(
            Waiting::LookingUp,
            None,
            "His username or phone is to be looked up first.".to_owned(),
        ),
        Availability::Now { .. } => told(
            Waiting::Delay,
            Some(inputs.now),
            format!("His turn comes{by}: others of the queue are before him."),
        ),
        Availability::Later { reason, until } => {
            let known = inputs.people.get(person).unwrap_or_default();
            if class.is_empty() && bound.is_none() && best_reference(&known).is_none() {
                return told(
                    reason,
                    until,
                    "No account of the campaign has met him, and he has no username or phone to look up."
                        .to_owned(),
                );
            }
            told(reason, until, format!("{}{would}", reason.meaning()))
        }
    }
}

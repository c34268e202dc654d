//! What a message says, in which variant, and the pauses and the 'typing…' before it.

use std::time::Duration;

use super::candidates::candidates;
use super::sends::{Taken, Turn, find_out};
use super::{Action, Inputs, InviteAction, Link, Plan, SendAction, invite};
use crate::desired::{ResolvedCampaign, Variant};
use crate::model::{AccountName, Contact, Event, Formatted, Outcome, PersonId, SendKey, Timestamp};
use crate::observed::{Campaign, Handle};
use crate::people::is_named;
use crate::text::{AccountFacts, CampaignFacts, ComposeError, Context, compose, variant_index};

/// What templates know of a campaign.
pub(super) fn facts(spec: &ResolvedCampaign, campaign: &Campaign) -> CampaignFacts {
    CampaignFacts {
        name: spec.name.clone(),
        title: spec.spec.title.clone(),
        labels: spec.spec.labels.clone(),
        run: u64::from(campaign.run.max(1)),
    }
}

/// Somebody is settled for a step without a message.
pub(super) fn settled(key: &SendKey, outcome: Outcome, detail: String) -> Action {
    Action::Record(if key.step == 0 {
        Event::Skipped {
            campaign: key.lineage.clone(),
            person: key.person,
            step: 0,
            outcome,
            detail,
        }
    } else {
        Event::StepSkipped {
            key: key.clone(),
            outcome,
            detail,
        }
    })
}

/// The send-once key of a person's first message.
pub(super) fn key_of(turn: &Turn<'_>, person: PersonId) -> SendKey {
    SendKey {
        lineage: turn.line.clone(),
        person,
        step: 0,
        run: turn.campaign.key_run(),
    }
}

/// Makes the message. `None`: he was settled without one.
pub(super) fn message(
    inputs: &Inputs<'_>,
    plan: &mut Plan,
    name: &AccountName,
    turn: &mut Turn<'_>,
    key: SendKey,
    variants: &[Variant],
) -> Option<Taken> {
    let person = key.person;
    let Some(Link::Ready {
        random_key,
        first_name,
        username,
    }) = inputs.runtime.links.get(name)
    else {
        return Some(Taken::Nobody);
    };
    if let Some(only) = inputs.desired.engine.limits.only_to.as_deref() {
        let mut named = false;
        inputs
            .people
            .show(person, &mut |known| named = is_named(person, known, only));
        if !named {
            return None;
        }
    }
    if key.step == 0 && invite::adds(turn.spec) {
        plan.actions.push(Action::Invite(Box::new(InviteAction {
            gap: draw(&key, "between_invites", turn.spec.delays.between),
            key,
            account: name.clone(),
            run: turn.campaign.run,
            variant: invite::ADDED.into(),
            digest: turn.digest.clone(),
            attested: turn.spec.is_attested(),
        })));
        return Some(Taken::Sent);
    }
    let variant = choose(variants, &key)?;
    let contact = inputs.people.contact(person).unwrap_or_default();
    let account = AccountFacts {
        name,
        first_name: first_name.as_deref(),
        username: username.as_deref(),
    };
    let link = invite::link(inputs, turn.spec, turn.campaign, name);
    let text = text_for(inputs, turn, key.step, variant, &contact, account, link);
    let text = match text {
        Ok(text) => text,
        // What his template asks for may stand in a row that names him by a phone which nobody has looked up yet.
        Err(ComposeError::TemplateError(_))
            if key.step == 0 && contact.phone.is_none() && turn.names_phones(inputs) =>
        {
            return find_out(inputs, plan, name, turn);
        }
        Err(problem) => {
            let (outcome, detail) = match &problem {
                ComposeError::TooLong { .. } => (Outcome::TooLong, problem.to_string()),
                ComposeError::TemplateError(_) | ComposeError::Empty => {
                    (Outcome::TemplateError, problem.to_string())
                }
            };
            let detail = format!("template `{}`: {detail}", variant.name);
            plan.actions.push(settled(&key, outcome, detail));
            return None;
        }
    };
    if let Some(media) = &variant.media {
        let wanted = (name.clone(), media.clone());
        if !inputs.runtime.media.contains(&wanted) {
            let planned = plan.actions.iter().any(|action| {
                matches!(action, Action::Upload { account, media, .. } if (account, media) == (&wanted.0, &wanted.1))
            });
            if !inputs.runtime.uploading.contains(&wanted) && !planned {
                plan.actions.push(Action::Upload {
                    account: name.clone(),
                    media: media.clone(),
                    campaign: turn.line.clone(),
                });
            }
            return Some(Taken::Busy);
        }
    }
    if let Some(busy) = typing(inputs, plan, name, turn.spec, &key) {
        return Some(busy);
    }
    let gap = draw(&key, "between_messages", turn.spec.delays.between);
    let attested = key.step == 0 && turn.spec.is_attested();
    plan.actions.push(Action::Send(Box::new(SendAction {
        random_id: key.random_id(random_key),
        key,
        account: name.clone(),
        run: turn.campaign.run,
        variant: variant.name.clone(),
        digest: turn.digest.clone(),
        message: text,
        link_preview: variant.link_preview,
        media: variant.media.clone(),
        gap,
        attested,
    })));
    Some(Taken::Sent)
}

/// The variant of a person: the same for ever, in proportion to the weights.
pub(super) fn choose<'a>(variants: &'a [Variant], key: &SendKey) -> Option<&'a Variant> {
    if let [only] = variants {
        return Some(only);
    }
    let weights: Vec<u32> = variants.iter().map(|variant| variant.weight).collect();
    if weights.is_empty() {
        return None;
    }
    let mut of = key.person.0.to_le_bytes().to_vec();
    if key.step > 0 {
        // Whoever got the first of two texts is not always the one who gets the first of the next two.
        of.extend(key.step.to_le_bytes());
    }
    variants.get(variant_index(&key.lineage, &of, &weights))
}

fn text_for(
    inputs: &Inputs<'_>,
    turn: &Turn<'_>,
    step: u16,
    variant: &Variant,
    contact: &Contact,
    account: AccountFacts<'_>,
    link: Option<&str>,
) -> Result<Formatted, ComposeError> {
    let context = Context {
        contact,
        campaign: turn.facts(),
        account: Some(account),
        now: inputs.now,
        zone: turn.spec.schedule.zone,
        step: u32::from(step),
        invite_link: link,
    };
    let notice = inputs.desired.engine.opt_out.notice.as_ref();
    compose(
        &variant.template,
        notice.filter(|_| step == 0),
        variant.media.is_some(),
        &context,
    )
}

/// A duration between two bounds, drawn by the key.
pub(super) fn draw(key: &SendKey, purpose: &str, (least, most): (Duration, Duration)) -> Duration {
    let span = u64::try_from(most.saturating_sub(least).as_millis()).unwrap_or(u64::MAX);
    if span == 0 {
        return least;
    }
    least + Duration::from_millis(key.draw(purpose) % (span.saturating_add(1)))
}

/// Shows 'typing…' first, where the spec asks for it. `None`: that was shown long enough.
fn typing(
    inputs: &Inputs<'_>,
    plan: &mut Plan,
    name: &AccountName,
    spec: &ResolvedCampaign,
    key: &SendKey,
) -> Option<Taken> {
    let range = spec.delays.typing?;
    match inputs.runtime.typing.get(name) {
        Some((who, until)) if *who == key.person => {
            if *until > inputs.now {
                plan.wake(*until, inputs.now);
                Some(Taken::Busy)
            } else {
                None
            }
        }
        _ => {
            let until = inputs.now + draw(key, "typing", range);
            plan.actions.push(Action::Type {
                account: name.clone(),
                person: key.person,
                until,
            });
            plan.wake(until, inputs.now);
            Some(Taken::Busy)
        }
    }
}

/// Where only the delay is to be waited for, 'typing…' begins so that it ends with it.
pub(super) fn typing_ahead(
    inputs: &Inputs<'_>,
    plan: &mut Plan,
    name: &AccountName,
    turn: &Turn<'_>,
    until: Timestamp,
) {
    let Some((_, most)) = turn.spec.delays.typing else {
        return;
    };
    let account = inputs.observed.accounts.get(name);
    let only_delay = account.is_some_and(|a| a.next_allowed_at == until && a.in_flight == 0);
    if !only_delay {
        return;
    }
    let index = inputs.observed.account_index(name);
    let Some(person) = candidates(inputs, turn.campaign, index, None)
        .find(|number| !turn.taken.contains(*number))
        .and_then(|number| inputs.observed.persons.id(Handle(number)))
        .filter(|person| person.is_user())
    else {
        return;
    };
    let key = key_of(turn, person);
    let typing = draw(
        &key,
        "typing",
        turn.spec.delays.typing.unwrap_or((most, most)),
    );
    let begin = until - typing;
    if begin > inputs.now {
        plan.wake(begin, inputs.now);
    } else if inputs
        .runtime
        .typing
        .get(name)
        .is_none_or(|(who, _)| *who != person)
    {
        plan.actions.push(Action::Type {
            account: name.clone(),
            person,
            until,
        });
    }
}

//! Whether the audience is known: sources that were read, filters that were applied, a consent that admits it.

use super::source::{broken_off, source_state};
use super::{blocked, waits};
use crate::desired::{ResolvedCampaign, ResolvedSource, SourceRole};
use crate::model::{AccountName, Lineage, PersonId, Timestamp, Waiting};
use crate::observed::{Campaign, Handle};
use crate::people::best_reference;
use crate::plan::accounts::Availability;
use crate::plan::sends::planned_resolve;
use crate::plan::{Action, Gate, Inputs, Link, Plan, earlier, lookups, reach};

/// Sources of which one message says that they cannot be read.
const UNREAD_SAID: usize = 3;

/// Looks sources up, applies filters, checks the consent. `None`: the audience is known.
pub(super) fn audience(
    inputs: &Inputs<'_>,
    plan: &mut Plan,
    line: &Lineage,
    spec: &ResolvedCampaign,
    campaign: &Campaign,
) -> Option<Gate> {
    let mut under_way = false;
    let mut unread = Vec::new();
    for source in &spec.sources {
        let state = source_state(inputs, plan, line, spec, campaign, source);
        under_way |= state.under_way;
        if !state.read {
            unread.push((source, state));
        }
    }
    // Without the sources of `in` and `exclude`, people who must not be written to would be.
    let essential = unread
        .iter()
        .find(|(source, _)| source.role != SourceRole::Include);
    let include = |source: &ResolvedSource| source.role == SourceRole::Include;
    let all = spec.sources.iter().filter(|s| include(s)).count();
    let none_read = all == unread.iter().filter(|(s, _)| include(s)).count();
    // What failed stays so until a look-up has succeeded, while it is tried again too.
    let failed = match essential {
        Some((_, state)) => state.has_failed(),
        None => none_read && all > 0 && unread.iter().all(|(_, state)| state.has_failed()),
    };
    if under_way && campaign.judgement.is_none() && !failed {
        return Some(waits(
            Waiting::LookingUp,
            None,
            lookups::all_progress(spec, campaign),
        ));
    }
    // One's own accounts are never written to, so who they are must be known first where that is a matter of moments.
    // Later than that the others go on without those that do not answer.
    let is_nameless = |(name, link): (&AccountName, &Link)| {
        let tried = matches!(link, Link::Connecting | Link::Unreachable { .. });
        let known = inputs.observed.accounts.get(name);
        tried && known.is_none_or(|account| account.person.is_none())
    };
    if campaign.judgement.is_none()
        && inputs.now < inputs.runtime.connected_by
        && inputs.runtime.links.iter().any(is_nameless)
    {
        return Some(waits(
            Waiting::LookingUp,
            Some(inputs.runtime.connected_by),
            "The accounts are being asked who they are.",
        ));
    }
    if let Some((source, state)) = essential.or_else(|| unread.first().filter(|_| none_read)) {
        return Some(match (&state.error, state.under_way) {
            (_, true) if !failed => waits(
                Waiting::LookingUp,
                None,
                lookups::progress(source, campaign),
            ),
            (Some(error), _) if state.broken_off => waits(
                Waiting::LookingUp,
                state.retry_at,
                format!(
                    "{} could not be read ({error}), and is tried again.",
                    source.label
                ),
            ),
            (Some(error), _) => blocked(
                Waiting::Held,
                "SourceFailed",
                format!("{} cannot be read: {error}", source.label),
            ),
            (None, _) if state.wait == Some(Waiting::AudienceNotCollected) => waits(
                Waiting::AudienceNotCollected,
                None,
                format!(
                    "There is no {} yet: that campaign has not collected.",
                    source.label
                ),
            ),
            (None, _) => waits(
                state.wait.unwrap_or(Waiting::AccountUnavailable),
                state.retry_at,
                lookups::stopped(source, campaign),
            ),
        });
    }
    if let Some(gate) = unnamed(inputs, plan, line, spec, campaign) {
        return Some(gate);
    }
    let stale = campaign.judgement.as_ref().is_none_or(|last| {
        last.digest != spec.audience_digest || last.lookups != campaign.lookups_ended
    });
    if stale {
        let edited = campaign
            .judgement
            .as_ref()
            .is_none_or(|last| last.digest != spec.audience_digest);
        if !under_way || edited {
            plan.actions.push(Action::Judge {
                campaign: line.clone(),
            });
        }
        if edited {
            return Some(waits(
                Waiting::LookingUp,
                None,
                "The filters are being applied.",
            ));
        }
    }
    if lookups::adds_attested(spec) {
        return Some(blocked(
            Waiting::Held,
            "ConsentMismatch",
            "The audience that it takes over was collected under consent `attested`, which needs a first message that \
             says how to opt out, and an invite by `add` sends none. Set `method: link`, whose message can say it.",
        ));
    }
    if let Some(variant) = lookups::silent_about_opt_out(inputs, spec) {
        return Some(blocked(
            Waiting::Held,
            "ConsentMismatch",
            format!(
                "The audience that it takes over was collected under consent `attested`, and the template `{variant}` \
                 does not say how to opt out: write one of the words that opt out into it, or set `opt_out.notice` in \
                 tidings.yaml."
            ),
        ));
    }
    lookups::without_consent(spec, campaign).map(|source| {
        blocked(
            Waiting::Held,
            "ConsentMismatch",
            format!(
                "`consent.basis: members` admits places where one of the campaign's accounts is creator or \
                 admin; none is one of {}. Make an account an admin there, or name another basis.",
                source.label
            ),
        )
    })
}

/// The sources that no account could read the last time, and why. One that broke off is about to be read again.
fn unread<'a>(
    spec: &'a ResolvedCampaign,
    campaign: &'a Campaign,
) -> impl Iterator<Item = (&'a ResolvedSource, &'a str)> {
    spec.sources
        .iter()
        .filter(|source| source.role == SourceRole::Include)
        .filter_map(|source| {
            let known = campaign.sources.get(&source.id)?;
            let failed = known.failed() && !known.lookups.values().any(broken_off);
            let why = known
                .lookups
                .values()
                .find_map(|lookup| lookup.error.as_deref())?;
            failed.then_some((source, why))
        })
}

/// No source can be read: nobody can say that everybody is settled. Where some can, the others keep what they found last,
/// and the campaign goes on (CONTRACT, 'What an edit means').
pub(super) fn none_read(spec: &ResolvedCampaign, campaign: &Campaign) -> Option<Gate> {
    let include = |source: &&ResolvedSource| source.role == SourceRole::Include;
    let all = spec.sources.iter().filter(include).count();
    if unread(spec, campaign).count() < all {
        return None;
    }
    unread(spec, campaign).next().map(|(source, why)| {
        blocked(
            Waiting::Held,
            "SourceFailed",
            format!("{} cannot be read: {why}", source.label),
        )
    })
}

/// What is said of sources that cannot be read beside others that were.
pub(super) fn but(spec: &ResolvedCampaign, campaign: &Campaign) -> String {
    unread(spec, campaign)
        .take(UNREAD_SAID)
        .map(|(source, why)| {
            format!(
                " {} cannot be read, and is tried again: {why}",
                source.label
            )
        })
        .collect()
}

/// Looks up the usernames and phones that decide who is left out: until it is known whom `exclude` and `in` name, and
/// whose row a `where` asks for, somebody could be written to who must not be.
fn unnamed(
    inputs: &Inputs<'_>,
    plan: &mut Plan,
    line: &Lineage,
    spec: &ResolvedCampaign,
    campaign: &Campaign,
) -> Option<Gate> {
    let rows_decide = spec
        .filters
        .where_
        .as_ref()
        .is_some_and(|where_| where_.source().contains("contact.fields"));
    let members_too = spec
        .sources
        .iter()
        .any(|s| s.role == SourceRole::Include && s.what.needs_account());
    let mut left = 0u64;
    let mut until = None;
    for source in &spec.sources {
        let decides = source.role != SourceRole::Include || (rows_decide && members_too);
        if source.what.needs_account() || !decides {
            continue;
        }
        let Some(known) = campaign.sources.get(&source.id) else {
            continue;
        };
        for number in known.found() {
            let person = inputs.observed.persons.id(Handle(number));
            let Some(person) = person.filter(|person| !person.is_user()) else {
                continue;
            };
            if inputs.observed.nobody.contains(number) {
                continue;
            }
            left += 1;
            if left <= spec.accounts.len() as u64 {
                name(inputs, plan, line, spec, person, &mut until);
            }
        }
    }
    (left > 0).then(|| {
        waits(
            Waiting::LookingUp,
            until,
            format!("{left} usernames and phones that decide who is left out are being looked up."),
        )
    })
}

/// Plans the look-up of a username or phone by the first account that is free for it.
fn name(
    inputs: &Inputs<'_>,
    plan: &mut Plan,
    line: &Lineage,
    spec: &ResolvedCampaign,
    person: PersonId,
    until: &mut Option<Timestamp>,
) {
    let known = inputs.people.get(person).unwrap_or_default();
    let Some(reference) = best_reference(&known) else {
        return;
    };
    if inputs.runtime.resolving.values().any(|who| *who == person) {
        return;
    }
    for account in &spec.accounts {
        if let Availability::Later { until: at, .. } = reach::may_resolve(inputs, account) {
            if let Some(at) = at {
                plan.wake(at, inputs.now);
                *until = earlier(*until, Some(at));
            }
            continue;
        }
        let busy = inputs.runtime.resolving.contains_key(account)
            || planned_resolve(plan, |by, who| by == account || who == person);
        if !busy {
            plan.actions.push(Action::Resolve {
                account: account.clone(),
                person,
                reference,
                campaign: line.clone(),
            });
            return;
        }
    }
}

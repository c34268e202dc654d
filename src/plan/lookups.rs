//! Look-ups: where they go on, how far they are, what a `collect` has collected.

use std::time::Duration;

use roaring::RoaringBitmap;

use super::gate::{SourceState, waits};
use super::{Action, Gate, Inputs, Plan};
use crate::desired::{ResolvedCampaign, ResolvedSource, SourceKind, SourceRole};
use crate::model::{Lineage, Timestamp, Waiting};
use crate::observed::{Campaign, Lookup, Source};
use crate::spec::Basis;

/// A look-up that stopped goes on where it was for so long; a list that is older has moved too far, and is read anew.
const KEEPS: Duration = Duration::from_secs(24 * 3600);

/// Where a look-up that stopped goes on, and how many it had found by then. Nothing: it begins from the beginning.
pub(super) fn from(
    campaign: &Campaign,
    last: Option<&Lookup>,
    now: Timestamp,
) -> Option<(String, u64)> {
    let last = last?;
    let (cursor, at) = last.cursor.as_ref()?;
    last.begun?;
    let asked_since = campaign.run_opened_seq.max(campaign.reconcile_seq) > last.begun_seq;
    (!asked_since && now.since(*at) < KEEPS).then(|| (cursor.clone(), last.incoming.len()))
}

/// How far the look-up of a source is, in words.
pub(super) fn progress(source: &ResolvedSource, campaign: &Campaign) -> String {
    match far(source, campaign) {
        Some(far) => format!("Looking up {}: {far}.", source.label),
        None => format!("Looking up {}.", source.label),
    }
}

/// That no account can read it now, and how far it is.
pub(super) fn stopped(source: &ResolvedSource, campaign: &Campaign) -> String {
    let far = far(source, campaign).map_or(String::new(), |far| format!(" ({far} so far)"));
    format!("No account can look up {} now{far}.", source.label)
}

/// The same of all sources.
pub(super) fn all_progress(spec: &ResolvedCampaign, campaign: &Campaign) -> String {
    let known: Vec<String> = spec
        .sources
        .iter()
        .filter_map(|source| Some(format!("{}: {}", source.label, far(source, campaign)?)))
        .collect();
    if known.is_empty() {
        "The sources are being looked up.".to_owned()
    } else {
        format!("The sources are being looked up ({}).", known.join("; "))
    }
}

fn far(source: &ResolvedSource, campaign: &Campaign) -> Option<String> {
    let lookups = &campaign.sources.get(&source.id)?.lookups;
    let running = lookups.values().filter(|lookup| lookup.running.is_some());
    let most = running.max_by_key(|lookup| lookup.incoming.len())?;
    let read = most.incoming.len();
    match most.total {
        Some(total) if total >= read => Some(format!("{read} of {total} read")),
        _ => Some(format!("{read} read")),
    }
}

/// A source whose basis is `members`, and of whose place none of the campaign's accounts is creator or admin.
pub(super) fn without_consent<'a>(
    spec: &'a ResolvedCampaign,
    campaign: &Campaign,
) -> Option<&'a ResolvedSource> {
    spec.sources
        .iter()
        .filter(|source| source.basis == Some(Basis::Members) && source.what.needs_account())
        .find(|source| {
            campaign.sources.get(&source.id).is_some_and(|known| {
                known.read_at().is_some()
                    && !known.lookups.values().any(|l| l.admin && l.ended.is_some())
            })
        })
}

/// Whether people are to be added to a group who come from a campaign that collected under consent `attested`: nobody
/// tells them first how to opt out.
pub(super) fn adds_attested(spec: &ResolvedCampaign) -> bool {
    super::invite::adds(spec)
        && spec
            .sources
            .iter()
            .any(|source| source.basis == Some(Basis::Attested))
}

/// A template that does not say how to opt out, where people come from a campaign that collected under consent
/// `attested`. The spec's own sources are held against this when it is checked.
pub(super) fn silent_about_opt_out<'a>(
    inputs: &Inputs<'_>,
    spec: &'a ResolvedCampaign,
) -> Option<&'a str> {
    let inherited = spec.sources.iter().any(|source| {
        source.basis == Some(Basis::Attested) && matches!(source.what, SourceKind::Audience { .. })
    });
    let opt_out = &inputs.desired.engine.opt_out;
    if !inherited || opt_out.notice.is_some() {
        return None;
    }
    let says_how = |text: &str| {
        let text = text.to_lowercase();
        opt_out
            .keywords
            .iter()
            .any(|word| text.contains(&word.to_lowercase()))
    };
    spec.variants
        .iter()
        .find(|variant| !says_how(variant.template.source()))
        .map(|variant| &*variant.name)
}

/// What another campaign collected, and since which event that stands; nothing where it has not collected yet.
fn collected<'a>(inputs: &Inputs<'a>, other: &str) -> Option<(&'a Campaign, u64)> {
    let wanted = inputs.desired.campaigns.get(other)?;
    let spec = wanted.spec.as_deref()?;
    let campaign = inputs.observed.campaigns.get(&wanted.lineage)?;
    let judged = campaign.judgement.as_ref()?;
    // Filters or sources that were edited, people whom the consent does not admit: it is to collect first.
    let stands = judged.digest == spec.audience_digest && without_consent(spec, campaign).is_none();
    let read = spec
        .sources
        .iter()
        .filter(|source| source.role == SourceRole::Include)
        .any(|source| {
            campaign
                .sources
                .get(&source.id)
                .is_some_and(|known| known.read_at().is_some())
        });
    (stands && read).then_some((campaign, judged.seq))
}

/// Takes over what another campaign collected, whenever that has changed.
pub(super) fn audience(
    inputs: &Inputs<'_>,
    plan: &mut Plan,
    line: &Lineage,
    campaign: &Campaign,
    source: &ResolvedSource,
    other: &str,
) -> SourceState {
    let last = campaign
        .sources
        .get(&source.id)
        .and_then(|known| known.lookups.get(&Source::NO_ACCOUNT))
        .filter(|last| last.ended.is_some());
    let mut state = SourceState {
        read: last.is_some(),
        ..SourceState::default()
    };
    match collected(inputs, other) {
        Some((_, judged)) => {
            let asked = campaign.run_opened_seq.max(campaign.reconcile_seq);
            let stale = last.is_none_or(|last| last.ended_seq < judged.max(asked));
            if stale {
                state.under_way = true;
                plan.actions.push(Action::LookUp {
                    campaign: line.clone(),
                    source: source.id,
                    what: source.what.clone(),
                    account: None,
                    limit: source.limit,
                    label: source.label.clone(),
                    from: None,
                });
            }
        }
        None => state.wait = Some(Waiting::AudienceNotCollected),
    }
    state
}

/// What a source gives: at most its limit, those who were found first.
pub fn limited(source: &ResolvedSource, known: &Source) -> RoaringBitmap {
    let found = known.found();
    match source.limit {
        Some(limit) if found.len() > u64::from(limit) => {
            found.iter().take(limit as usize).collect()
        }
        _ => found,
    }
}

/// A `collect` whose audience is known: it sends nothing, so that it is done, or looks for newcomers now and then.
/// `but`: what is said of sources that cannot be read.
pub(super) fn collected_gate(
    spec: &ResolvedCampaign,
    campaign: &Campaign,
    now: Timestamp,
    but: &str,
) -> Gate {
    let included = campaign.included();
    match spec.schedule.refresh {
        Some(refresh) => {
            let next = spec
                .sources
                .iter()
                .filter_map(|source| campaign.sources.get(&source.id))
                .flat_map(|source| source.lookups.values())
                .filter_map(|lookup| lookup.ended)
                .min()
                .map(|ended| ended + refresh)
                .filter(|next| *next > now);
            let message = format!(
                "{included} people are collected; newcomers are looked for every {}.{but}",
                crate::time::human_duration(refresh.as_millis() as i64)
            );
            waits(Waiting::LookingUp, next, message)
        }
        None => Gate::Done {
            message: format!("{included} people are collected.{but}"),
        },
    }
}

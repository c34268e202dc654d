//! Builds the report from what the planner looked at and what it found.

use std::collections::{BTreeMap, BTreeSet};

use super::activity;
use super::conditions::{self, Facts};
use super::document::UnknownCampaign;
use super::types::{
    AccountStatus, Audience, CampaignStatus, DaemonInfo, HoldStatus, InvalidFileStatus,
    LookupStatus, Moment, Progress, SourceStatus, StatusReport, Step, Sync, TemplateStatus,
    WaitStatus, WarmupStatus,
};
use crate::desired::{DesiredCampaign, ResolvedCampaign, ResolvedSource, SourceKind, SourceRole};
use crate::model::{AccountName, JoinEnd, Lineage, Outcome, Reference, Timestamp, Waiting};
use crate::observed::{Campaign, Source, Warming};
use crate::plan::{AccountView, CampaignView, Gate, Inputs, Plan, Wait};
use crate::spec::{Kind, Severity};

/// The version of the report; its minor part rises for additions.
pub const FORMAT_VERSION: &str = "1.0";

/// Warnings of one file in the report: enough to see what kind they are; `tidings validate` shows them all.
const MAX_WARNINGS: usize = 20;

/// The report: all campaigns of the workspace, retired ones with a history, and all accounts.
pub fn report(inputs: &Inputs<'_>, plan: &Plan, daemon: DaemonInfo) -> StatusReport {
    whole(inputs, plan, daemon, &[])
}

/// The report on these campaigns alone, as [`StatusReport::only`] cuts it out; on all where no name is given.
///
/// # Errors
/// [`UnknownCampaign`], with what was probably meant.
pub fn report_on(
    inputs: &Inputs<'_>,
    plan: &Plan,
    daemon: DaemonInfo,
    names: &[String],
) -> Result<StatusReport, UnknownCampaign> {
    let asked = whole(inputs, plan, daemon.clone(), names);
    // Whoever asks for what is not there is told what is.
    asked
        .only(names)
        .or_else(|_| report(inputs, plan, daemon).only(names))
}

/// The report on these campaigns, or on all.
fn whole(inputs: &Inputs<'_>, plan: &Plan, daemon: DaemonInfo, names: &[String]) -> StatusReport {
    let is_asked = |name: &str| names.iter().any(|asked| asked == name);
    let wants = |name: &str| names.is_empty() || is_asked(name);
    let accounts = accounts(inputs);
    let (conversations, by_campaign) = super::talks::counts(inputs.observed);
    let mut campaigns: Vec<CampaignStatus> = Vec::with_capacity(match names {
        [] => inputs.desired.campaigns.len(),
        names => names.len(),
    });
    let mut shown: BTreeSet<&Lineage> = BTreeSet::new();
    for wanted in inputs.desired.campaigns.values() {
        shown.insert(&wanted.lineage);
        if !wants(&wanted.name) {
            continue;
        }
        let seen = inputs.observed.campaigns.get(&wanted.lineage);
        let view = plan
            .report
            .campaigns
            .get(&wanted.lineage)
            .map(|view| &**view);
        let mut status = campaign(inputs, &daemon, &accounts, Some(wanted), seen, view);
        status.conversations = by_campaign
            .get(&wanted.lineage)
            .copied()
            .unwrap_or_default();
        campaigns.push(status);
    }
    for (line, seen) in &inputs.observed.campaigns {
        // Whoever asks for one by its name is told of it, however little there is to tell.
        let worth = has_history(seen) || is_asked(&seen.name);
        if shown.contains(line) || !worth || !wants(&seen.name) {
            continue;
        }
        // Whoever asks by name means the one that bears it now.
        let borne = campaigns.iter().any(|other| other.name == seen.name);
        if !borne {
            let view = plan.report.campaigns.get(line).map(|view| &**view);
            let mut status = campaign(inputs, &daemon, &accounts, None, Some(seen), view);
            status.conversations = by_campaign.get(line).copied().unwrap_or_default();
            campaigns.push(status);
        }
    }
    campaigns.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| a.file.cmp(&b.file)));
    StatusReport {
        format_version: FORMAT_VERSION.to_owned(),
        generated_at: Moment::from(inputs.now),
        daemon,
        folder_error: inputs.desired.folder_error.clone(),
        suspended: inputs.observed.suspended.as_ref().map(HoldStatus::from),
        invalid_files: inputs
            .desired
            .invalid_files
            .iter()
            .map(|bad| InvalidFileStatus {
                file: bad.file.clone(),
                campaign: bad.campaign.as_ref().map(|(name, _)| name.clone()),
                message: bad.message.clone(),
                since: Moment::of(
                    inputs
                        .observed
                        .invalid_files
                        .get(&bad.file)
                        .map(|b| b.since),
                ),
            })
            .collect(),
        campaigns,
        // What a broken tidings.yaml says of accounts nobody knows.
        accounts: match inputs.desired.engine.spec.unknown {
            true => Vec::new(),
            false => accounts.into_values().collect(),
        },
        conversations,
    }
}

/// Whether a campaign whose file is gone is still worth showing.
fn has_history(seen: &Campaign) -> bool {
    !seen.recipients.is_empty() || seen.last_sent_at.is_some()
}

fn accounts(inputs: &Inputs<'_>) -> BTreeMap<String, AccountStatus> {
    let mut names: BTreeSet<&AccountName> = inputs.desired.engine.accounts.keys().collect();
    names.extend(inputs.runtime.links.keys());
    names
        .into_iter()
        .map(|name| {
            // As of now: a plan that still holds may be of another day, or of before a wait ended.
            let view = crate::plan::account_view(inputs, name);
            let wanted = inputs.desired.engine.accounts.get(name);
            let labels = wanted.map(|a| a.labels.clone()).unwrap_or_default();
            let AccountView {
                state,
                until,
                message,
                sent_today,
                allowance_today,
                lookups_today,
                lookup_allowance_today,
            } = view;
            let status = AccountStatus {
                name: name.to_string(),
                state,
                until: Moment::of(until),
                sent_today,
                allowance_today,
                message,
                labels,
                lookups_today,
                lookup_allowance_today,
                sent_per_hour: activity::of_account(inputs, name),
                timezone: wanted.map(|a| a.zone.name().to_owned()),
            };
            (name.to_string(), status)
        })
        .collect()
}

fn campaign(
    inputs: &Inputs<'_>,
    daemon: &DaemonInfo,
    accounts: &BTreeMap<String, AccountStatus>,
    wanted: Option<&DesiredCampaign>,
    seen: Option<&Campaign>,
    view: Option<&CampaignView>,
) -> CampaignStatus {
    let absent;
    // Of what no daemon has seen the look-ups of `plan --refresh` may be known.
    let looked_up = wanted.and_then(|wanted| inputs.observed.looked_up(&wanted.lineage));
    let state = match seen.or(looked_up) {
        Some(state) => state,
        None => {
            absent = Campaign::default();
            &absent
        }
    };
    let spec = wanted.and_then(|wanted| wanted.spec.as_deref());
    let progress = progress(state);
    let error = wanted
        .and_then(|wanted| {
            wanted
                .diagnostics
                .iter()
                .find(|d| d.severity == Severity::Error)
        })
        .map(ToString::to_string);
    let sync = match (wanted, seen) {
        // What was taken away before stays so, whatever becomes of the folder.
        (None, Some(seen)) if seen.retired.is_some() => Sync::Retired,
        (None, _) if inputs.desired.folder_error.is_some() => Sync::Unreadable,
        (None, _) => Sync::Retired,
        (Some(wanted), _) if error.is_some() || wanted.spec.is_none() => Sync::Invalid,
        (Some(_), None) => Sync::Unseen,
        (Some(wanted), Some(seen)) if wanted.digest != seen.digest => Sync::Changed,
        (Some(_), Some(_)) => Sync::Current,
    };
    let waiting = waiting(view, progress.pending);
    let own: Vec<&AccountStatus> = spec
        .map(|spec| {
            spec.accounts
                .iter()
                .filter_map(|name| accounts.get(name.as_ref()))
                .collect()
        })
        .unwrap_or_default();
    let facts = Facts {
        inputs,
        daemon,
        wanted,
        spec,
        seen,
        view,
        error: error.as_deref(),
        sync,
        progress,
        waiting: &waiting,
        accounts: &own,
    };
    let conditions = conditions::all(&facts);
    CampaignStatus {
        name: wanted.map_or_else(|| state.name.clone(), |wanted| wanted.name.clone()),
        // Of an invalid or retired one those of its last valid version.
        title: match spec {
            Some(spec) => spec.spec.title.clone(),
            None => state
                .title
                .clone()
                .or_else(|| wanted.and_then(|wanted| wanted.title.clone())),
        },
        kind: match (spec, state.kind.as_str()) {
            (Some(spec), _) => spec.kind.as_str(),
            // Of one that was never valid what its file says.
            (None, "") => wanted
                .and_then(|wanted| wanted.kind)
                .map_or("unknown", Kind::as_str),
            (None, known) => known,
        }
        .to_owned(),
        file: wanted.map_or_else(|| state.file.clone(), |wanted| wanted.file.clone()),
        run: state.run,
        generation: state.generation,
        observed_generation: state.observed_generation,
        digest: seen
            .map(|s| s.digest.clone())
            .or_else(|| wanted.map(|w| w.digest.clone()))
            .unwrap_or_default(),
        commit: None,
        sync,
        suspended: state.suspended.as_ref().map(HoldStatus::from),
        timezone: spec.map(|spec| spec.schedule.zone.name().to_owned()),
        accounts: spec
            .map(|spec| spec.accounts.iter().map(ToString::to_string).collect())
            .unwrap_or_default(),
        conditions,
        audience: Audience {
            found: state.found(),
            included: progress.included(),
            excluded: state
                .excluded
                .iter()
                .filter(|(_, n)| **n > 0)
                .map(|(reason, n)| (*reason, *n))
                .collect(),
            sources: sources(inputs, wanted, state, |role| role == SourceRole::Include),
            filter_sources: sources(inputs, wanted, state, |role| role != SourceRole::Include),
        },
        progress,
        outcomes: state
            .outcomes
            .iter()
            .filter(|(_, n)| **n > 0)
            .map(|(outcome, n)| (*outcome, *n))
            .collect(),
        steps: spec.map(|spec| steps(spec, state)).unwrap_or_default(),
        templates: templates(wanted, state),
        next_action_at: view.and_then(|view| Moment::of(view.next_action_at)),
        finish_estimate: view.and_then(|view| Moment::of(view.finish_estimate)),
        not_active: Vec::new(),
        warnings: wanted
            .map(|wanted| {
                wanted
                    .diagnostics
                    .iter()
                    .filter(|d| d.severity == Severity::Warning)
                    .map(ToString::to_string)
                    .chain(newcomers(inputs, wanted).map(ToOwned::to_owned))
                    .take(MAX_WARNINGS)
                    .collect()
            })
            .unwrap_or_default(),
        messages: activity::messages(inputs, state),
        sent_per_hour: activity::hours(&state.meter),
        waiting,
        warmup: spec
            .map(|spec| warmup(inputs, spec, state))
            .unwrap_or_default(),
        conversations: Default::default(),
    }
}

/// What is said of other files that take a campaign's name.
pub(super) fn newcomers<'a>(
    inputs: &'a Inputs<'_>,
    wanted: &'a DesiredCampaign,
) -> impl Iterator<Item = &'a str> {
    inputs
        .desired
        .invalid_files
        .iter()
        .filter(|bad| {
            bad.campaign
                .as_ref()
                .is_some_and(|(name, _)| *name == wanted.name)
        })
        .map(|bad| bad.message.as_str())
}

/// Where the ramps of a warmup stand; accounts that were not seen ready yet are not among them.
fn warmup(inputs: &Inputs<'_>, spec: &ResolvedCampaign, state: &Campaign) -> Vec<WarmupStatus> {
    let Some(ramp) = &spec.spec.ramp else {
        return Vec::new();
    };
    spec.accounts
        .iter()
        .filter_map(|name| {
            let index = inputs.observed.account_index(name)?;
            let warming = Warming {
                start: ramp.start,
                step: ramp.step,
                every_ms: ramp.every.millis(),
                max: ramp.max,
                ..*state.warming.get(&index)?
            };
            let (_, zone) = crate::plan::allowance(inputs, name);
            let day = crate::plan::warmup_day(&warming, zone, inputs.now);
            let joined = state.joins.get(&index).map_or(0, |joins| {
                let wanted: Vec<String> = spec
                    .spec
                    .join
                    .iter()
                    .map(|place| Reference::from(place).to_string())
                    .collect();
                joins
                    .ended
                    .iter()
                    .filter(|(place, end)| {
                        wanted.contains(place) && !matches!(end, JoinEnd::Failed { .. })
                    })
                    .count()
            });
            Some(WarmupStatus {
                account: name.to_string(),
                day: day.day,
                days: day.days,
                allowance_today: day.allowance,
                joined: joined as u64,
                join: spec.spec.join.len() as u64,
            })
        })
        .collect()
}

fn progress(state: &Campaign) -> Progress {
    let failed = |o: Outcome| {
        matches!(
            o,
            Outcome::TemplateError | Outcome::TooLong | Outcome::Failed
        )
    };
    Progress {
        pending: state.pending(),
        in_flight: state.in_flight,
        sent: state.settled(|o| o == Outcome::Sent),
        failed: state.settled(failed),
        skipped: state.settled(|o| !failed(o) && !matches!(o, Outcome::Sent | Outcome::Uncertain)),
        uncertain: state.settled(|o| o == Outcome::Uncertain),
        replied: state.replied,
        opted_out: state.opted_out,
    }
}

/// Why pending people wait. The planner's own counts; should they not cover exactly those who are pending (a campaign
/// that it did not look at), the rest waits for what the campaign as a whole waits for.
fn waiting(view: Option<&CampaignView>, pending: u64) -> Vec<WaitStatus> {
    let whole = match view.map(|view| &view.gate) {
        Some(Gate::Waits { reason, .. } | Gate::Blocked { reason, .. }) => *reason,
        Some(Gate::Open | Gate::Done { .. }) => Waiting::Delay,
        None => Waiting::Held,
    };
    let mut left = pending;
    let mut list: Vec<WaitStatus> = Vec::new();
    for Wait {
        reason,
        count,
        until,
    } in view.map(|view| view.waiting.as_slice()).unwrap_or_default()
    {
        let count = (*count).min(left);
        left -= count;
        if count > 0 {
            list.push(WaitStatus {
                reason: *reason,
                count,
                until: Moment::of(*until),
            });
        }
    }
    if left > 0 {
        match list.iter_mut().find(|wait| wait.reason == whole) {
            Some(wait) => wait.count += left,
            None => list.push(WaitStatus {
                reason: whole,
                count: left,
                until: None,
            }),
        }
    }
    list
}

fn sources(
    inputs: &Inputs<'_>,
    wanted: Option<&DesiredCampaign>,
    state: &Campaign,
    which: impl Fn(SourceRole) -> bool,
) -> Vec<SourceStatus> {
    let Some(spec) = wanted.and_then(|wanted| wanted.spec.as_deref()) else {
        return Vec::new();
    };
    let absent = Source::default();
    spec.sources
        .iter()
        .filter(|source| which(source.role))
        .map(|source| {
            self::source(
                inputs,
                source,
                state.sources.get(&source.id).unwrap_or(&absent),
            )
        })
        .collect()
}

fn source(inputs: &Inputs<'_>, wanted: &ResolvedSource, known: &Source) -> SourceStatus {
    // A place is the same for every account; an address book and a list of dialogs are each account's own.
    let each = wanted.what.is_each_accounts_own();
    let mut complete = known
        .lookups
        .values()
        .map(|lookup| lookup.complete && lookup.ended.is_some());
    let complete = !known.lookups.is_empty()
        && if each {
            complete.all(|c| c)
        } else {
            complete.any(|c| c)
        };
    let newest_error = known
        .lookups
        .values()
        .filter(|lookup| lookup.error.is_some())
        .max_by_key(|lookup| lookup.ended)
        .and_then(|lookup| lookup.error.clone());
    SourceStatus {
        kind: wanted.what.type_name().to_owned(),
        peer: wanted.what.place().map(ToString::to_string),
        path: match &wanted.what {
            SourceKind::File { path, .. } => Some(path.clone()),
            _ => None,
        },
        label: wanted.label.clone(),
        found: crate::plan::found_by(wanted, known).len(),
        complete,
        at: Moment::of(
            known
                .lookups
                .values()
                .filter_map(|lookup| lookup.ended)
                .max(),
        ),
        error: newest_error.filter(|_| !complete),
        partial: known
            .lookups
            .values()
            .find_map(|lookup| lookup.partial.clone())
            .filter(|_| !complete),
        bad_rows: known
            .lookups
            .values()
            .map(|lookup| lookup.bad_rows)
            .max()
            .unwrap_or(0),
        running_since: Moment::of(
            known
                .lookups
                .values()
                .filter_map(|lookup| lookup.running)
                .min(),
        ),
        reading: known
            .lookups
            .values()
            .filter(|lookup| lookup.running.is_some())
            .map(|lookup| lookup.incoming.len())
            .max(),
        total: known
            .lookups
            .values()
            .filter_map(|lookup| lookup.total)
            .max(),
        lookups: known
            .lookups
            .iter()
            .filter_map(|(index, lookup)| {
                let name = inputs.observed.account_name(*index)?;
                Some(LookupStatus {
                    account: name.to_string(),
                    found: lookup.found.len(),
                    complete: lookup.complete,
                    at: Moment::of(lookup.ended),
                    error: lookup.error.clone(),
                })
            })
            .collect(),
    }
}

/// How far each follow-up of the spec is.
fn steps(spec: &crate::desired::ResolvedCampaign, state: &Campaign) -> Vec<Step> {
    spec.follow_ups
        .iter()
        .zip(&spec.spec.follow_ups)
        .zip(1u16..)
        .map(|((step, written), number)| {
            let counts = state.steps.counts(number, step.always);
            Step {
                step: number,
                after: written.after.to_string(),
                pending: counts.pending,
                sent: counts.sent,
                skipped: counts.skipped,
                active: true,
            }
        })
        .collect()
}

/// The spec's variants in its order, then those that only earlier versions had.
fn templates(wanted: Option<&DesiredCampaign>, state: &Campaign) -> Vec<TemplateStatus> {
    let spec = wanted.and_then(|wanted| wanted.spec.as_deref());
    let now: Vec<&str> = spec
        .map(|spec| spec.variants.iter().map(|v| &*v.name).collect())
        .unwrap_or_default();
    let earlier = state
        .variants
        .keys()
        .map(String::as_str)
        .filter(|name| !now.contains(name));
    now.iter()
        .copied()
        .chain(earlier)
        .map(|name| {
            let count = state.variants.get(name).copied().unwrap_or_default();
            TemplateStatus {
                name: name.to_owned(),
                sent: count.sent,
                replied: count.replied,
            }
        })
        .collect()
}

/// The moment, or the other one where it is none.
pub(super) fn or_else(at: Timestamp, other: Timestamp) -> Timestamp {
    if at.0 > 0 { at } else { other }
}

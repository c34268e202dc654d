//! Firings open runs: which one is due, what becomes of those that were missed, and what a campaign does between two.

use super::accounts::usable;
use super::gate::{blocked, waits};
use super::{Action, Gate, Inputs, Plan};
use crate::desired::ResolvedCampaign;
use crate::model::{AccountName, Event, FiringFate, Lineage, Timestamp, Waiting};
use crate::observed::{Campaign, ClassId};
use crate::spec::{EachRun, Missed, Overlap};
use crate::time::{Cron, Zone};

/// `run --once` is started by another cron at the same minute: a firing of the last minute is not missed.
const ONCE_SLACK: std::time::Duration = std::time::Duration::from_secs(60);

/// While `run --once` starts: the moment from which firings count for it, whatever it sees for the first time.
fn once_from(inputs: &Inputs<'_>) -> Option<Timestamp> {
    let since = inputs.runtime.once_since?;
    (inputs.now < since + ONCE_SLACK).then(|| since - ONCE_SLACK)
}

/// The firings of a schedule that a plan shows.
pub const FIRINGS_SHOWN: usize = 5;

/// What a run's cursor belongs to: an edit of it begins anew.
fn text_of(cron: &Cron, zone: Zone) -> String {
    format!("{} {}", cron.source(), zone.name())
}

/// The next firings of a campaign that can open a run, at most so many.
pub fn next_firings(
    spec: &ResolvedCampaign,
    campaign: Option<&Campaign>,
    now: Timestamp,
    count: usize,
) -> Vec<Timestamp> {
    let Some(cron) = &spec.schedule.cron else {
        return Vec::new();
    };
    let mut from = now;
    if let Some(campaign) = campaign
        && campaign.runs.schedule.as_deref() == Some(&text_of(cron, spec.schedule.zone))
    {
        // A clock that was set back fires nothing again.
        from = from.max(campaign.runs.cursor);
    }
    if let Some(start) = spec.schedule.start {
        from = from.max(Timestamp(start.0 - 1));
    }
    cron.firings(from, spec.schedule.zone, count)
        .into_iter()
        .take_while(|firing| spec.schedule.end.is_none_or(|end| *firing < end))
        .collect()
}

/// Whether nobody who is left in the open run gets a message in it: each account that could write to him has sent what
/// `per_account.per_run` lets it.
pub(super) fn is_spent(inputs: &Inputs<'_>, spec: &ResolvedCampaign, campaign: &Campaign) -> bool {
    let Some(most) = spec.delays.per_run else {
        return false;
    };
    if campaign.pending() == 0 || campaign.in_flight > 0 {
        return false;
    }
    let index = |name: &AccountName| inputs.observed.account_index(name);
    let sent = |index: &u16| campaign.run_sent.get(index).copied().unwrap_or(0);
    if !spec
        .accounts
        .iter()
        .filter_map(index)
        .any(|index| sent(&index) >= most)
    {
        return false;
    }
    let left: Vec<Option<u16>> = spec
        .accounts
        .iter()
        .filter(|name| usable(inputs, name).is_ok())
        .map(index)
        .filter(|index| index.as_ref().is_none_or(|index| sent(index) < most))
        .collect();
    let nobodys = |class: ClassId| {
        let accounts = inputs.observed.persons.accounts(class);
        !left.iter().flatten().any(|index| accounts.contains(index))
    };
    let queues = campaign
        .queues
        .iter()
        .filter(|(_, queue)| !queue.is_empty());
    queues.into_iter().all(|(class, _)| nobodys(*class))
        && (campaign.unresolved.is_empty() || left.is_empty())
}

/// The latest firing that nothing was done about yet.
fn due(
    cron: &Cron,
    spec: &ResolvedCampaign,
    campaign: &Campaign,
    now: Timestamp,
) -> Option<Timestamp> {
    let firing = cron.previous_or_at(now, spec.schedule.zone)?;
    let begins = spec.schedule.start.unwrap_or(Timestamp::MIN);
    let ends = spec.schedule.end.unwrap_or(Timestamp::MAX);
    (firing > campaign.runs.cursor && firing >= begins && firing < ends).then_some(firing)
}

/// Keeps the schedule's place, whatever holds the campaign: a firing while it is held opens no run later.
pub(super) fn watch(
    inputs: &Inputs<'_>,
    plan: &mut Plan,
    line: &Lineage,
    spec: &ResolvedCampaign,
    campaign: &Campaign,
) {
    let wanted = spec
        .schedule
        .cron
        .as_ref()
        .map(|cron| text_of(cron, spec.schedule.zone));
    if campaign.runs.schedule != wanted {
        plan.actions.push(Action::Record(Event::ScheduleSeen {
            campaign: line.clone(),
            schedule: wanted,
            since: once_from(inputs).filter(|_| !inputs.runtime.lookups_only),
        }));
    }
    if let Some(next) = next_firings(spec, Some(campaign), inputs.now, 1).first() {
        plan.wake(*next, inputs.now);
    }
}

/// A firing while the campaign was held: it is dealt with.
pub(super) fn pass_by(
    inputs: &Inputs<'_>,
    plan: &mut Plan,
    line: &Lineage,
    spec: &ResolvedCampaign,
    campaign: &Campaign,
) {
    if let Some(cron) = &spec.schedule.cron
        && campaign.runs.schedule.as_deref() == Some(&text_of(cron, spec.schedule.zone))
        && let Some(firing) = due(cron, spec, campaign, inputs.now)
    {
        plan.actions.push(Action::Record(Event::Fired {
            campaign: line.clone(),
            firing,
            fate: FiringFate::Held,
        }));
    }
}

/// What the schedule says now.
pub(super) enum Turn {
    /// A run is open.
    Open,
    /// None is; this says until when.
    Between(Gate),
}

/// Opens the run that is due, and says whether one is open.
pub(super) fn turn(
    inputs: &Inputs<'_>,
    plan: &mut Plan,
    line: &Lineage,
    spec: &ResolvedCampaign,
    campaign: &Campaign,
) -> Turn {
    let Some(cron) = &spec.schedule.cron else {
        if campaign.run == 0 {
            plan.actions.push(Action::Record(Event::RunOpened {
                campaign: line.clone(),
                run: 1,
            }));
            return Turn::Between(waits(Waiting::LookingUp, None, "The run opens."));
        }
        return Turn::Open;
    };
    // One in which nobody gets a message any more stands in the way of no firing: who is left gets his in the next.
    let open = campaign.run_is_open() && !is_spent(inputs, spec, campaign);
    let known = campaign.runs.schedule.as_deref() == Some(&text_of(cron, spec.schedule.zone));
    let firing = known
        .then(|| due(cron, spec, campaign, inputs.now))
        .flatten();
    let mut record = |firing: Timestamp, fate: FiringFate| {
        plan.actions.push(Action::Record(Event::Fired {
            campaign: line.clone(),
            firing,
            fate,
        }));
    };
    let begin = FiringFate::Opens {
        run: campaign.run + 1,
        everyone: spec.schedule.each_run == EachRun::Everyone,
    };
    let opens = || Turn::Between(waits(Waiting::LookingUp, None, "The run opens."));
    if let Some(firing) = firing {
        let up_since = match inputs.runtime.once_since {
            Some(since) => since - ONCE_SLACK,
            None => inputs.observed.started_at,
        };
        let began = match inputs.runtime.once_since {
            // What it saw when it started was there before it.
            Some(since) if campaign.runs.valid_since < since + ONCE_SLACK => up_since,
            _ => up_since.max(campaign.runs.valid_since),
        };
        let missed = firing < began;
        if missed && spec.schedule.missed == Missed::Skip {
            record(firing, FiringFate::Missed);
        } else if !open {
            record(firing, begin);
            return opens();
        } else if spec.schedule.overlap == Overlap::Queue {
            record(firing, FiringFate::Queued);
        } else {
            record(firing, FiringFate::Overlaps);
        }
    } else if !open && let Some(firing) = campaign.runs.queued {
        record(firing, begin);
        return opens();
    }
    if campaign.run_is_open() {
        return Turn::Open;
    }
    let next = next_firings(spec, Some(campaign), inputs.now, 1)
        .first()
        .copied();
    Turn::Between(match next {
        Some(next) => {
            let when = spec.schedule.zone.iso(next);
            let message = if campaign.run == 0 {
                format!("The first run starts {when}.")
            } else {
                format!("Run {} is settled; the next starts {when}.", campaign.run)
            };
            waits(Waiting::NotStarted, Some(next), message)
        }
        None if campaign.run > 0 => Gate::Done {
            message: "Everybody who was found is settled, and no run follows.".to_owned(),
        },
        None => blocked(
            Waiting::Held,
            "NeverFires",
            "`schedule.cron` fires at no time between `schedule.start` and `schedule.end`.",
        ),
    })
}

/// Whether an operator asked for a look-up that has not ended: it is done between two runs too, and nobody is written to.
pub(super) fn looks_between(campaign: &Campaign) -> bool {
    campaign.reconcile_asked.is_some_and(|_| {
        let asked = campaign.reconcile_seq;
        let judged = campaign.judgement.as_ref();
        campaign.sources.is_empty()
            || campaign
                .sources
                .values()
                .flat_map(|source| source.lookups.values())
                .any(|lookup| lookup.ended.is_none() || lookup.ended_seq < asked)
            || judged.is_none_or(|judgement| judgement.seq < asked)
    })
}

/// Everybody whom the run found is settled: that is written down once.
pub(super) fn settle(plan: &mut Plan, line: &Lineage, campaign: &Campaign) {
    if campaign.run_is_open() {
        plan.actions.push(Action::Record(Event::RunSettled {
            campaign: line.clone(),
            run: campaign.run,
        }));
    }
}

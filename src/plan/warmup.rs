//! Kind `warmup`: an allowance that grows day by day, over all campaigns, and joins one by one.

use std::time::Duration;

use super::accounts::{Availability, usable};
use super::{Action, Gate, Inputs, Link, Plan};
use crate::desired::ResolvedCampaign;
use crate::model::reaction::CallClass;
use crate::model::{AccountName, Event, JoinEnd, Lineage, Reference, Timestamp, Waiting};
use crate::observed::{Campaign, Warming};
use crate::time::{Day, Zone};

const DAY_MS: u64 = 86_400_000;

/// Where an account's ramp stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WarmupDay {
    /// The day of the ramp, counted from 1.
    pub day: u64,
    /// On which day it ends.
    pub days: u64,
    /// What the account may send on that day.
    pub allowance: u32,
    /// The last step is taken.
    pub done: bool,
}

/// How long the ramp has run, in milliseconds. Steps of a day or more are taken at the account's midnights, so that a
/// day's allowance holds for the whole day; the two days of the year that are not 24 hours long count as one each.
fn elapsed(warming: &Warming, zone: Zone, now: Timestamp) -> u64 {
    if now <= warming.began {
        return 0;
    }
    if warming.every_ms < DAY_MS {
        return u64::try_from(now.since(warming.began).as_millis()).unwrap_or(0);
    }
    let first = Day::of(warming.began, zone).start();
    let today = Day::of(now, zone).start();
    let half_a_day = Duration::from_millis(DAY_MS / 2);
    let days = (today.since(first) + half_a_day).as_millis() / u128::from(DAY_MS);
    u64::try_from(days).unwrap_or(u64::MAX / DAY_MS) * DAY_MS
}

/// Where a ramp stands now.
pub fn warmup_day(warming: &Warming, zone: Zone, now: Timestamp) -> WarmupDay {
    let every = warming.every_ms.max(1);
    let passed = elapsed(warming, zone, now);
    let steps = passed / every;
    let needed = u64::from(warming.max.saturating_sub(warming.start))
        .div_ceil(u64::from(warming.step.max(1)));
    let grown = u64::from(warming.start)
        .saturating_add(steps.saturating_mul(u64::from(warming.step)))
        .min(u64::from(warming.max));
    let total = needed.saturating_mul(every);
    let days = total.div_ceil(DAY_MS) + 1;
    WarmupDay {
        day: (passed / DAY_MS + 1).min(days),
        days,
        allowance: u32::try_from(grown).unwrap_or(u32::MAX),
        done: steps >= needed,
    }
}

/// When the next step is taken.
fn next_step(warming: &Warming, zone: Zone, now: Timestamp) -> Timestamp {
    if warming.every_ms >= DAY_MS {
        return Day::of(now, zone).end();
    }
    let every = warming.every_ms.max(1);
    let steps = elapsed(warming, zone, now) / every + 1;
    warming.began + Duration::from_millis(steps.saturating_mul(every))
}

/// The ramp that a valid spec asks for.
fn numbers(spec: &ResolvedCampaign) -> Option<(u32, u32, u64, u32)> {
    let ramp = spec.spec.ramp.as_ref()?;
    Some((ramp.start, ramp.step, ramp.every.millis(), ramp.max))
}

/// The ramps of all warmups that use an account. A warmup that is paused, suspended or broken keeps its cap: only taking
/// its file or the account away lifts it.
fn ramps<'a>(inputs: &'a Inputs<'_>, name: &'a AccountName) -> impl Iterator<Item = Warming> + 'a {
    inputs.desired.warmups.iter().filter_map(move |wanted| {
        let campaign = inputs.desired.campaigns.get(wanted)?;
        let known = inputs
            .observed
            .campaigns
            .get(&campaign.lineage)
            .and_then(|known| {
                let index = inputs.observed.account_index(name)?;
                known.warming.get(&index).copied()
            });
        let Some(spec) = campaign.spec.as_deref() else {
            return known;
        };
        let (start, step, every_ms, max) =
            numbers(spec).filter(|_| spec.accounts.contains(name))?;
        Some(Warming {
            began: known.map_or(inputs.now, |known| known.began),
            start,
            step,
            every_ms,
            max,
        })
    })
}

/// What all ramps let an account send today.
pub(super) fn ceiling(inputs: &Inputs<'_>, name: &AccountName, zone: Zone) -> u32 {
    ramps(inputs, name)
        .map(|ramp| warmup_day(&ramp, zone, inputs.now).allowance)
        .min()
        .unwrap_or(u32::MAX)
}

/// When a ramp may let an account send more, be it within the day.
pub(super) fn next_rise(inputs: &Inputs<'_>, name: &AccountName, zone: Zone) -> Option<Timestamp> {
    ramps(inputs, name)
        .filter(|ramp| !warmup_day(ramp, zone, inputs.now).done)
        .map(|ramp| next_step(&ramp, zone, inputs.now))
        .min()
}

/// The gate of a warmup, and what it does.
pub(super) fn gate(
    inputs: &Inputs<'_>,
    plan: &mut Plan,
    line: &Lineage,
    spec: &ResolvedCampaign,
    campaign: &Campaign,
) -> Gate {
    let now = inputs.now;
    let Some((start, step, every_ms, max)) = numbers(spec) else {
        return Gate::Done {
            message: "It has no ramp.".to_owned(),
        };
    };
    let mut words = Vec::new();
    let mut grown = true;
    let mut joined = true;
    let mut next: Option<Timestamp> = None;
    let mut soonest =
        |at: Timestamp| next = Some(next.map_or(at, |first: Timestamp| first.min(at)));
    for name in &spec.accounts {
        let zone = super::accounts::allowance(inputs, name).1;
        let index = inputs.observed.account_index(name);
        let known = index.and_then(|index| campaign.warming.get(&index));
        let same = known.is_some_and(|known| {
            (known.start, known.step, known.every_ms, known.max) == (start, step, every_ms, max)
        });
        let ready = matches!(inputs.runtime.links.get(name), Some(Link::Ready { .. }))
            && usable(inputs, name).is_ok();
        if !same && (ready || known.is_some()) {
            plan.actions.push(Action::Record(Event::Warming {
                campaign: line.clone(),
                account: name.clone(),
                start,
                step,
                every_ms,
                max,
            }));
        }
        let Some(known) = known.copied() else {
            grown = false;
            joined &= spec.spec.join.is_empty();
            words.push(format!("{name} was not seen ready yet"));
            continue;
        };
        let warming = Warming {
            start,
            step,
            every_ms,
            max,
            ..known
        };
        let day = warmup_day(&warming, zone, now);
        if !day.done {
            grown = false;
            soonest(next_step(&warming, zone, now));
        }
        words.push(format!(
            "day {} of {}: {name} may send {} today",
            day.day, day.days, day.allowance
        ));
        if let Some(wait) = join_next(inputs, plan, line, spec, campaign, name) {
            joined = false;
            if let Some(at) = wait {
                soonest(at);
            }
        }
    }
    let failed: Vec<String> = campaign
        .joins
        .iter()
        .flat_map(|(index, joins)| {
            joins
                .ended
                .iter()
                .map(move |(place, end)| (index, place, end))
        })
        .filter_map(|(index, place, end)| match end {
            JoinEnd::Failed { detail } => Some(format!(
                "{} could not join {place} ({detail})",
                inputs.observed.account_name(*index)?
            )),
            _ => None,
        })
        .collect();
    let mut message = words.join("; ");
    if let Some(first) = message.get(..1) {
        message = format!("{}{}", first.to_uppercase(), &message[1..]);
    }
    message.push('.');
    if let Some(next) = next {
        plan.wake(next, now);
    }
    if joined && !failed.is_empty() {
        return Gate::Blocked {
            reason: Waiting::Held,
            condition: "JoinFailed",
            message: format!(
                "{}. The ramp goes on; `tidings resume {}` tries again. {message}",
                failed.join(", "),
                spec.name
            ),
        };
    }
    match (grown, joined) {
        (true, true) => Gate::Done { message },
        (_, false) => Gate::Waits {
            reason: Waiting::Delay,
            until: next,
            message,
        },
        (false, true) => Gate::Waits {
            reason: Waiting::AccountCap,
            until: next,
            message,
        },
    }
}

/// Plans an account's next join where it is due. `None`: there is none left; otherwise when the next one may be.
fn join_next(
    inputs: &Inputs<'_>,
    plan: &mut Plan,
    line: &Lineage,
    spec: &ResolvedCampaign,
    campaign: &Campaign,
    name: &AccountName,
) -> Option<Option<Timestamp>> {
    let now = inputs.now;
    let joins = inputs
        .observed
        .account_index(name)
        .and_then(|index| campaign.joins.get(&index));
    let place =
        spec.spec.join.iter().map(Reference::from).find(|place| {
            joins.is_none_or(|joins| !joins.ended.contains_key(&place.to_string()))
        })?;
    if inputs.runtime.joining.contains(name) {
        return Some(None);
    }
    if let Err(Availability::Later { until, .. }) = usable(inputs, name) {
        return Some(until);
    }
    let account = inputs.observed.accounts.get(name);
    let mut free = joins.map_or(Timestamp::MIN, |joins| joins.next_at);
    for class in [CallClass::Invite, CallClass::LookUp] {
        let flood = account.and_then(|account| account.flood_until(class, now));
        free = free.max(flood.unwrap_or(Timestamp::MIN));
    }
    if free > now {
        return Some(Some(free));
    }
    match spec.schedule.windows.next_open(now, spec.schedule.zone) {
        Some(open) if open <= now => {}
        open => return Some(open),
    }
    let planned = plan
        .actions
        .iter()
        .any(|action| matches!(action, Action::Join { account, .. } if account == name));
    if !planned {
        plan.actions.push(Action::Join {
            account: name.clone(),
            campaign: line.clone(),
            place: place.clone(),
            gap: pause(line, name, &place, spec.delays.between),
        });
    }
    Some(None)
}

/// The pause after a join, drawn by what was joined.
fn pause(
    line: &Lineage,
    name: &AccountName,
    place: &Reference,
    (least, most): (Duration, Duration),
) -> Duration {
    let span = u64::try_from(most.saturating_sub(least).as_millis()).unwrap_or(u64::MAX);
    let mut hasher = blake3::Hasher::new();
    for part in [line.as_ref(), name.as_ref(), &place.to_string()] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let mut drawn = [0u8; 8];
    drawn.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    least + Duration::from_millis(u64::from_le_bytes(drawn) % span.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp(
            chrono::DateTime::parse_from_rfc3339(text)
                .unwrap()
                .timestamp_millis(),
        )
    }

    fn warming(every_ms: u64) -> Warming {
        Warming {
            began: at("2026-03-27T15:00:00Z"),
            start: 5,
            step: 5,
            every_ms,
            max: 40,
        }
    }

    #[test]
    fn a_ramp_of_days_grows_at_the_accounts_midnights() {
        let zone = Zone::parse("Europe/Berlin").unwrap();
        // The clocks go forward on the 29th.
        for (now, day, allowance, done) in [
            ("2026-03-27T15:00:00Z", 1, 5, false),
            ("2026-03-27T22:59:00Z", 1, 5, false),
            ("2026-03-27T23:01:00Z", 2, 10, false),
            ("2026-03-29T21:59:00Z", 3, 15, false),
            ("2026-03-29T22:01:00Z", 4, 20, false),
            ("2026-04-02T22:01:00Z", 8, 40, true),
            ("2027-01-01T00:00:00Z", 8, 40, true),
        ] {
            let found = warmup_day(&warming(DAY_MS), zone, at(now));
            assert_eq!(
                (found.day, found.allowance, found.done),
                (day, allowance, done),
                "{now}"
            );
            assert_eq!(found.days, 8);
        }
    }

    #[test]
    fn a_ramp_of_hours_counts_from_its_beginning() {
        let hour = 3_600_000;
        for (now, allowance) in [
            ("2026-03-27T15:59:00Z", 5),
            ("2026-03-27T16:00:00Z", 10),
            ("2026-03-27T21:30:00Z", 35),
            ("2026-03-28T21:30:00Z", 40),
        ] {
            let found = warmup_day(&warming(hour), Zone::UTC, at(now));
            assert_eq!(found.allowance, allowance, "{now}");
        }
        assert_eq!(
            next_step(&warming(hour), Zone::UTC, at("2026-03-27T15:59:00Z")),
            at("2026-03-27T16:00:00Z")
        );
    }

    #[test]
    fn a_clock_that_was_set_back_gives_the_first_day() {
        let found = warmup_day(&warming(DAY_MS), Zone::UTC, at("2026-01-01T00:00:00Z"));
        assert_eq!((found.day, found.allowance), (1, 5));
    }
}

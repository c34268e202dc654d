//! When a campaign will be done, if nothing changes.

use std::time::Duration;

use super::Inputs;
use super::accounts::{allowance, usable};
use crate::desired::ResolvedCampaign;
use crate::model::reaction::CallClass;
use crate::model::{AccountName, Timestamp};
use crate::observed::{Account, Campaign};

const DAY: f64 = 86_400.0;

/// How fast an account, or several together, may go.
#[derive(Debug, Clone, Copy, Default)]
struct Pace {
    /// Not before.
    from: Timestamp,
    /// Messages a second while windows are open and caps leave room.
    per_second: f64,
    /// Messages a day.
    per_day: f64,
}

/// When everybody is settled if nothing changes: the accounts' pace under their caps, from when Telegram lets each of them
/// go on, in the time that the windows leave open.
pub(super) fn finish(
    inputs: &Inputs<'_>,
    spec: &ResolvedCampaign,
    campaign: &Campaign,
) -> Option<Timestamp> {
    let share = open_share(spec, inputs.now);
    let mut paces: Vec<Pace> = spec
        .accounts
        .iter()
        .filter(|name| usable(inputs, name).is_ok())
        .map(|name| pace(inputs, spec, name, share))
        .collect();
    paces.sort_by_key(|pace| pace.from);
    let mut left = campaign.pending() as f64;
    let mut all = Pace::default();
    let mut paces = paces.into_iter().peekable();
    while let Some(one) = paces.next() {
        all.from = one.from;
        all.per_second += one.per_second;
        all.per_day += one.per_day;
        let together = Pace {
            per_day: spec
                .delays
                .campaign_per_day
                .map_or(all.per_day, |most| all.per_day.min(f64::from(most))),
            ..all
        };
        let done = settled_at(spec, together, left);
        match paces.peek() {
            Some(next) if done.is_none_or(|done| done > next.from) => {
                let seconds = next.from.since(one.from).as_secs_f64();
                let days = (seconds / DAY).floor();
                let rest = (seconds - days * DAY) * share * together.per_second;
                left -= days * together.per_day + f64::min(rest, together.per_day);
                left = left.max(1.0);
            }
            _ => return done,
        }
    }
    None
}

/// How fast one account may go, and from when.
fn pace(inputs: &Inputs<'_>, spec: &ResolvedCampaign, name: &AccountName, share: f64) -> Pace {
    let delays = &spec.delays;
    let gap = (delays.between.0 + delays.between.1).as_secs_f64() / 2.0;
    let mut per_second = 1.0 / gap.max(0.001);
    if let Some(hour) = delays.per_hour {
        per_second = f64::min(per_second, f64::from(hour) / 3600.0);
    }
    let mut most = allowance(inputs, name).0.min(delays.per_day);
    if spec.is_attested() {
        most = most.min(inputs.desired.engine.limits.attested_per_day);
    }
    let absent = Account::default();
    let account = inputs.observed.accounts.get(name).unwrap_or(&absent);
    let now = inputs.now;
    let from = [
        account.flood_until(CallClass::Send, now),
        account.limited(now),
    ]
    .into_iter()
    .flatten()
    .fold(now, Timestamp::max);
    Pace {
        from,
        per_second,
        per_day: f64::min(per_second * share * DAY, f64::from(most)),
    }
}

/// When so many are settled at a pace.
fn settled_at(spec: &ResolvedCampaign, pace: Pace, left: f64) -> Option<Timestamp> {
    if pace.per_day <= 0.0 || pace.per_second <= 0.0 {
        return None;
    }
    let (windows, zone) = (&spec.schedule.windows, spec.schedule.zone);
    let start = windows.next_open(pace.from, zone)?;
    let whole_days = ((left / pace.per_day).ceil() - 1.0).max(0.0);
    let rest = left - whole_days * pace.per_day;
    let open_millis = ((rest / pace.per_second) * 1000.0) as i64;
    let day = start + Duration::from_secs_f64(whole_days * DAY);
    windows.after_open_time(day, open_millis, zone)
}

/// How much of the coming week the windows leave open: 1 is all of it.
fn open_share(spec: &ResolvedCampaign, now: Timestamp) -> f64 {
    const WEEK: Duration = Duration::from_secs(7 * 86_400);
    let (windows, zone) = (&spec.schedule.windows, spec.schedule.zone);
    let end = now + WEEK;
    let (mut at, mut open) = (now, Duration::ZERO);
    while at < end {
        let Some(from) = windows.next_open(at, zone).filter(|from| *from < end) else {
            break;
        };
        let to = windows.closes_at(from, zone).unwrap_or(end).min(end);
        open += to.since(from);
        at = to;
    }
    open.as_secs_f64() / WEEK.as_secs_f64()
}

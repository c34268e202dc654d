//! When a campaign will be done, if nothing changes.

use std::time::Duration;

use super::Inputs;
use super::accounts::{allowance, usable};
use crate::desired::ResolvedCampaign;
use crate::model::Timestamp;
use crate::observed::Campaign;

/// When everybody is settled if nothing changes: the accounts' pace under their caps, in the time that the windows
/// leave open.
pub(super) fn finish(
    inputs: &Inputs<'_>,
    spec: &ResolvedCampaign,
    campaign: &Campaign,
) -> Option<Timestamp> {
    const DAY: f64 = 86_400.0;
    let pending = campaign.pending();
    let delays = &spec.delays;
    let gap = (delays.between.0 + delays.between.1).as_secs_f64() / 2.0;
    let open_a_day = open_share(spec, inputs.now) * DAY;
    let mut per_day = 0.0;
    let mut per_second = 0.0;
    for name in &spec.accounts {
        if usable(inputs, name).is_err() {
            continue;
        }
        let (allowance, _) = allowance(inputs, name);
        let mut rate = 1.0 / gap.max(0.001);
        if let Some(hour) = delays.per_hour {
            rate = f64::min(rate, f64::from(hour) / 3600.0);
        }
        per_second += rate;
        per_day += f64::min(rate * open_a_day, f64::from(allowance.min(delays.per_day)));
    }
    if let Some(most) = delays.campaign_per_day {
        per_day = f64::min(per_day, f64::from(most));
    }
    if per_day <= 0.0 || per_second <= 0.0 {
        return None;
    }
    let start = spec
        .schedule
        .windows
        .next_open(inputs.now, spec.schedule.zone)?;
    let whole_days = (pending as f64 / per_day).ceil() - 1.0;
    let rest = pending as f64 - whole_days.max(0.0) * per_day;
    let open_millis = ((rest / per_second) * 1000.0) as i64;
    let day = start + Duration::from_secs_f64(whole_days.max(0.0) * DAY);
    spec.schedule
        .windows
        .after_open_time(day, open_millis, spec.schedule.zone)
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

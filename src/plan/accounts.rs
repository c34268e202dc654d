//! What an account may do now.

use super::doubt::{carried, hour_ago};
use super::{AccountView, Inputs, Link};
use crate::desired::{DesiredCampaign, ResolvedCampaign};
use crate::model::reaction::CallClass;
use crate::model::{AccountName, AccountState, Timestamp, Waiting};
use crate::observed::{Account, Campaign, InFlight};
use crate::spec::Basis;
use crate::time::{Day, Zone, human_duration};

/// Whether an account may do something for a campaign now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Availability {
    /// Now, and so many messages before a cap is reached.
    Now {
        /// At least 1.
        room: u32,
    },
    /// Not now.
    Later {
        /// Why.
        reason: Waiting,
        /// Until when, where it is known.
        until: Option<Timestamp>,
    },
}

impl Availability {
    fn later(reason: Waiting, until: Option<Timestamp>) -> Self {
        Availability::Later { reason, until }
    }

    /// The earlier of two, now being the earliest; what is known before what is not, and what will pass before what a
    /// person must mend.
    pub(super) fn better(self, other: Availability) -> Availability {
        let rank = |a: &Availability| match a {
            Availability::Now { .. } => (0, Timestamp::MIN),
            Availability::Later {
                until: Some(until), ..
            } => (1, *until),
            Availability::Later {
                until: None,
                reason: Waiting::AccountUnavailable,
            } => (3, Timestamp::MAX),
            Availability::Later { until: None, .. } => (2, Timestamp::MAX),
        };
        if rank(&other) < rank(&self) {
            other
        } else {
            self
        }
    }
}

/// Whether the account is connected and nothing is the matter with it.
pub(super) fn usable(inputs: &Inputs<'_>, name: &AccountName) -> Result<(), Availability> {
    if let Some(account) = inputs.observed.accounts.get(name)
        && account.trouble.is_some()
    {
        return Err(Availability::later(Waiting::AccountUnavailable, None));
    }
    match inputs.runtime.links.get(name) {
        Some(Link::Ready { .. } | Link::Idle) => Ok(()),
        Some(Link::Unreachable { retry_at, .. }) => Err(Availability::later(
            Waiting::AccountUnavailable,
            Some(*retry_at),
        )),
        Some(Link::StateLost { .. }) => Err(Availability::later(Waiting::Held, None)),
        Some(Link::Twin { .. }) => Err(Availability::later(Waiting::AccountUnavailable, None)),
        Some(Link::Connecting) | None => {
            Err(Availability::later(Waiting::AccountUnavailable, None))
        }
        Some(Link::Missing | Link::NotConfigured | Link::Unusable { .. } | Link::Locked { .. }) => {
            Err(Availability::later(Waiting::AccountUnavailable, None))
        }
    }
}

/// Whether it may look something up.
pub(super) fn may_look_up(inputs: &Inputs<'_>, name: &AccountName) -> Availability {
    if let Err(not) = usable(inputs, name) {
        return not;
    }
    let flood = inputs
        .observed
        .accounts
        .get(name)
        .and_then(|account| account.flood_until(CallClass::LookUp, inputs.now));
    match flood {
        Some(until) => Availability::later(Waiting::FloodWait, Some(until)),
        None => Availability::Now { room: u32::MAX },
    }
}

/// Whether it may send a message at all: floods, but neither caps nor delays. For answers and confirmations.
pub(super) fn may_answer(inputs: &Inputs<'_>, name: &AccountName) -> Availability {
    if let Err(not) = usable(inputs, name) {
        return not;
    }
    match inputs
        .observed
        .accounts
        .get(name)
        .and_then(|account| account.flood_until(CallClass::Send, inputs.now))
    {
        Some(until) => Availability::later(Waiting::FloodWait, Some(until)),
        None => Availability::Now { room: u32::MAX },
    }
}

/// Whether it may write to a stranger (`first`) or follow up for this campaign now, the delay included.
pub(super) fn may_contact(
    inputs: &Inputs<'_>,
    name: &AccountName,
    wanted: &ResolvedCampaign,
    campaign: &Campaign,
    first: bool,
) -> Availability {
    let adds = first && super::invite::adds(wanted);
    let floods = if adds {
        may_invite(inputs, name)
    } else {
        may_answer(inputs, name)
    };
    if let later @ Availability::Later { .. } = floods {
        return later;
    }
    if let Some(later) = super::invite::wait(inputs, wanted, campaign, name) {
        return later;
    }
    let now = inputs.now;
    let absent = Account::default();
    let account = inputs.observed.accounts.get(name).unwrap_or(&absent);
    if let Some(until) = account.limited(now) {
        return Availability::later(Waiting::AccountLimited, Some(until));
    }
    let mut room = u32::MAX;
    let mut worst: Option<(Waiting, Timestamp)> = None;
    let mut cap = |left: u32, free_at: Timestamp, reason: Waiting| {
        room = room.min(left);
        if left == 0 && worst.is_none_or(|(_, at)| at < free_at) {
            worst = Some((reason, free_at));
        }
    };
    // What is in doubt since yesterday may leave again today.
    let by_it = |flight: &InFlight| flight.intent.account == *name;
    let of_it = |flight: &InFlight| Some(&flight.intent.key.lineage) == campaign.lineage.as_ref();
    let (allowance, zone) = allowance(inputs, name);
    let today = Day::of(now, zone);
    let used = account.meter.since(today.start()) + carried(inputs, today.start(), by_it);
    let left = allowance.saturating_sub(used);
    let rise = match left {
        0 => super::warmup::next_rise(inputs, name, zone),
        _ => None,
    };
    let free = rise.unwrap_or(Timestamp::MAX).min(today.end());
    cap(left, free, Waiting::AccountCap);
    if first && wanted.is_attested() {
        let used = account.attested.since(today.start())
            + carried(inputs, today.start(), |flight| {
                by_it(flight) && flight.intent.attested
            });
        let most = inputs.desired.engine.limits.attested_per_day;
        cap(most.saturating_sub(used), today.end(), Waiting::AccountCap);
    }
    let day = Day::of(now, wanted.schedule.zone);
    if let Some(most) = wanted.delays.campaign_per_day {
        let used = campaign.meter.since(day.start()) + carried(inputs, day.start(), of_it);
        cap(most.saturating_sub(used), day.end(), Waiting::CampaignCap);
    }
    let index = inputs.observed.account_index(name);
    let meter = index.and_then(|index| campaign.meters.get(&index));
    let both = |flight: &InFlight| by_it(flight) && of_it(flight);
    let used_today =
        meter.map_or(0, |meter| meter.since(day.start())) + carried(inputs, day.start(), both);
    cap(
        wanted.delays.per_day.saturating_sub(used_today),
        day.end(),
        Waiting::AccountCap,
    );
    if let Some(most) = wanted.delays.per_hour {
        let again = carried(inputs, hour_ago(now), both);
        let used = meter.map_or(0, |meter| meter.last_hour(now)) + again;
        let most_now = most.saturating_sub(again);
        let free = meter.map_or(now, |meter| meter.hour_free_at(now, most_now));
        cap(most.saturating_sub(used), free, Waiting::AccountCap);
    }
    if let Some(most) = wanted.delays.per_run {
        let used = index
            .and_then(|index| campaign.run_sent.get(&index))
            .copied()
            .unwrap_or(0);
        // The next run begins anew; where none follows, nobody knows.
        let free = match used < most {
            true => Timestamp::MAX,
            false => super::next_firings(wanted, Some(campaign), now, 1)
                .first()
                .copied()
                .unwrap_or(Timestamp::MAX),
        };
        cap(most.saturating_sub(used), free, Waiting::AccountCap);
    }
    if let Some((reason, until)) = worst {
        return Availability::later(reason, (until < Timestamp::MAX).then_some(until));
    }
    if account.next_allowed_at > now {
        return Availability::later(Waiting::Delay, Some(account.next_allowed_at));
    }
    Availability::Now { room }
}

/// How many messages an account may send for a campaign one after another now, to strangers (`first`) or as follow-ups;
/// else from when on it may, where that is known.
///
/// # Errors
/// The moment.
pub fn may_send_at_once(
    inputs: &Inputs<'_>,
    name: &AccountName,
    wanted: &ResolvedCampaign,
    campaign: &Campaign,
    first: bool,
) -> Result<u32, Option<Timestamp>> {
    match may_contact(inputs, name, wanted, campaign, first) {
        Availability::Now { room } => Ok(room),
        Availability::Later { until, .. } => Err(until),
    }
}

/// Whether it may add somebody to a place: each look and each invite is a call of its own class.
pub(super) fn may_invite(inputs: &Inputs<'_>, name: &AccountName) -> Availability {
    if let Err(not) = usable(inputs, name) {
        return not;
    }
    let account = inputs.observed.accounts.get(name);
    let flood = [CallClass::Invite, CallClass::LookUp]
        .into_iter()
        .filter_map(|class| account.and_then(|account| account.flood_until(class, inputs.now)))
        .max();
    match flood {
        Some(until) => Availability::later(Waiting::FloodWait, Some(until)),
        None => Availability::Now { room: u32::MAX },
    }
}

/// What an account may send today, ramps of warmups among it, and whose day it is.
pub fn allowance(inputs: &Inputs<'_>, name: &AccountName) -> (u32, Zone) {
    let (per_day, zone) = match inputs.desired.engine.accounts.get(name) {
        Some(account) => (account.per_day, account.zone),
        None => (inputs.desired.engine.limits.max_per_day, Zone::UTC),
    };
    (
        per_day.min(super::warmup::ceiling(inputs, name, zone)),
        zone,
    )
}

impl ResolvedCampaign {
    /// Whether a first contact of it is one under consent `attested`.
    pub(crate) fn is_attested(&self) -> bool {
        self.sources
            .iter()
            .any(|source| source.basis == Some(Basis::Attested))
    }
}

/// Everything that the report says of an account.
pub fn account_view(inputs: &Inputs<'_>, name: &AccountName) -> AccountView {
    let now = inputs.now;
    let absent = Account::default();
    let account = inputs.observed.accounts.get(name).unwrap_or(&absent);
    let (allowance_today, zone) = allowance(inputs, name);
    let sent_today = account.meter.since(Day::of(now, zone).start());
    let (state, until, mut message) = state_of(inputs, name, account);
    let (lookups_today, lookup_allowance_today, day_ends) =
        super::reach::lookups_today(inputs, name);
    if lookups_today >= lookup_allowance_today {
        if !message.is_empty() {
            message.push(' ');
        }
        message.push_str(&format!(
            "It has looked {lookups_today} usernames and phones up today, which is its allowance; the next ones from \
             {day_ends} on."
        ));
    }
    AccountView {
        state,
        until,
        message,
        sent_today,
        allowance_today,
        lookups_today,
        lookup_allowance_today,
    }
}

fn state_of(
    inputs: &Inputs<'_>,
    name: &AccountName,
    account: &Account,
) -> (AccountState, Option<Timestamp>, String) {
    let now = inputs.now;
    let said = |state: AccountState| {
        (
            state,
            None,
            // A command is there to be copied.
            format!(
                "{} {}",
                state.meaning(),
                state.remedy().replace("NAME", name)
            ),
        )
    };
    match inputs.runtime.links.get(name) {
        Some(Link::Missing) => return said(AccountState::Missing),
        Some(Link::Unusable { message }) => {
            let message = format!(
                "{message}. Put the right file in its place, or move it away and log in: `tidings account login {name} \
                 --phone …`."
            );
            return (AccountState::Unauthorized, None, message);
        }
        Some(Link::NotConfigured) => {
            let message = inputs.desired.engine.not_configured();
            return (AccountState::NotConfigured, None, message);
        }
        Some(Link::Locked { message }) => {
            return (AccountState::NotConfigured, None, format!("{message}."));
        }
        Some(Link::Twin { first }) => {
            let message = format!(
                "SameAccount: it is the Telegram account of `{first}` under a second name, and held so that it is not \
                 used twice at once. One of the two is enough: `tidings account remove {name} --yes`."
            );
            return (AccountState::Unreachable, None, message);
        }
        _ => {}
    }
    if let Some((state, message, _)) = &account.trouble {
        return (*state, None, message.clone());
    }
    if let Some(until) = account.limited(now) {
        let message =
            "Telegram limited it (PEER_FLOOD): no first contacts until then; it still answers who wrote first."
                .to_owned();
        return (AccountState::Limited, Some(until), message);
    }
    let flood = account
        .floods
        .iter()
        .filter(|(_, flood)| flood.until > now)
        .max_by_key(|(_, flood)| flood.until);
    if let Some((class, flood)) = flood {
        let what = match class {
            CallClass::LookUp => "look-ups",
            CallClass::Send => "messages",
            CallClass::Invite => "invites",
        };
        let message = format!(
            "Telegram asked for a wait of {}: no {what} until then.",
            human_duration(i64::from(flood.seconds) * 1000)
        );
        return (AccountState::FloodWait, Some(flood.until), message);
    }
    match inputs.runtime.links.get(name) {
        Some(Link::Ready { .. }) => (AccountState::Ready, None, String::new()),
        Some(Link::Unreachable { message, retry_at }) => {
            (AccountState::Unreachable, Some(*retry_at), message.clone())
        }
        Some(Link::StateLost { older: true }) => (
            AccountState::Unreachable,
            None,
            "StateLost: an older copy of the state was put back, so what was sent since is not known here. Put the newer \
             one back, or restore a backup; `tidings approve --new-state` goes on once the dialogs since then were read."
                .to_owned(),
        ),
        Some(Link::StateLost { older: false }) => (
            AccountState::Unreachable,
            None,
            "StateLost: it was used with another state, so what was sent then is not known here. \
             `tidings approve --new-state` accepts that."
                .to_owned(),
        ),
        Some(Link::Idle) if account.person.is_some() => (
            AccountState::Ready,
            None,
            "No daemon is running; this is what was last known.".to_owned(),
        ),
        Some(Link::Idle) => (
            AccountState::Unreachable,
            None,
            "Not tried yet: no daemon has connected it.".to_owned(),
        ),
        _ => (
            AccountState::Unreachable,
            None,
            "Not connected yet: it is being tried.".to_owned(),
        ),
    }
}

/// The campaigns of the workspace that are valid, with what is known of them.
pub(super) fn valid<'a>(
    inputs: &Inputs<'a>,
) -> impl Iterator<Item = (&'a DesiredCampaign, &'a ResolvedCampaign, &'a Campaign)> {
    let observed = inputs.observed;
    inputs
        .desired
        .campaigns
        .values()
        .filter_map(move |campaign| {
            let wanted = campaign.spec.as_deref()?;
            Some((campaign, wanted, observed.campaigns.get(&campaign.lineage)?))
        })
}

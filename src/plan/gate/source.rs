//! When a source is looked up, by which accounts, and what came of it.

use std::time::Duration;

use crate::desired::{ResolvedCampaign, ResolvedSource, SourceKind, SourceRole};
use crate::model::{AccountName, Lineage, Timestamp, Waiting};
use crate::observed::{Campaign, Lookup, Source};
use crate::plan::accounts::{Availability, may_look_up, usable};
use crate::plan::{Action, Inputs, Link, Plan, earlier, lookups};

/// The first pause after a failed look-up; doubles up to [`LOOKUP_RETRY_MOST`]. Long enough not to spend an
/// account's allowance on a place that is gone, short enough that a network that comes back is noticed.
const LOOKUP_RETRY: Duration = Duration::from_secs(30);
/// The first pause after a look-up that broke off with the connection or with an error of the server; doubles up to
/// [`BROKEN_RETRY_MOST`] (CONTRACT section 6: 1 s to 60 s).
const BROKEN_RETRY: Duration = Duration::from_secs(1);
/// The longest pause between two tries of a look-up that broke off.
const BROKEN_RETRY_MOST: Duration = Duration::from_secs(60);
/// Tries that broke off one after another, over half a minute: from then on somebody should look at it.
const BROKEN_PATIENCE: u32 = 6;
/// Tries after which `run --once` leaves a look-up that breaks off alone: some three minutes.
const BROKEN_ONCE: u32 = 8;
/// The longest pause between two tries of a failed look-up.
const LOOKUP_RETRY_MOST: Duration = Duration::from_secs(3600);

#[derive(Default)]
pub(in crate::plan) struct SourceState {
    /// A look-up runs, or is planned now.
    pub(in crate::plan) under_way: bool,
    /// It was read at least once.
    pub(in crate::plan) read: bool,
    /// Why the last try failed.
    pub(in crate::plan) error: Option<String>,
    /// It broke off, and has not done so often enough to be anybody's business.
    pub(in crate::plan) broken_off: bool,
    /// When it is tried again.
    pub(in crate::plan) retry_at: Option<Timestamp>,
    /// Why no account can try.
    pub(in crate::plan) wait: Option<Waiting>,
    /// A look-up is under way that never ended before: nobody knows how it goes.
    pub(in crate::plan) first: bool,
}

impl SourceState {
    /// Whether every try so far failed, in a way that somebody should look at.
    pub(super) fn has_failed(&self) -> bool {
        self.error.is_some() && !self.broken_off && !self.first
    }
}

pub(super) fn source_state(
    inputs: &Inputs<'_>,
    plan: &mut Plan,
    line: &Lineage,
    spec: &ResolvedCampaign,
    campaign: &Campaign,
    source: &ResolvedSource,
) -> SourceState {
    let now = inputs.now;
    if let SourceKind::Audience { campaign: other } = &source.what {
        return lookups::audience(inputs, plan, line, campaign, source, other);
    }
    let mut state = SourceState::default();
    // Whom the dialogs and address books of one account name, those of another do not: to leave people out, each that
    // can be read must have been.
    let each = source.role != SourceRole::Include && source.what.is_each_accounts_own();
    let mut unread = false;
    let known = campaign.sources.get(&source.id);
    let looks: Vec<Option<&AccountName>> = if source.what.needs_account() {
        spec.accounts.iter().map(Some).collect()
    } else {
        vec![None]
    };
    for account in looks {
        let index = account.map_or(Some(Source::NO_ACCOUNT), |name| {
            inputs.observed.account_index(name)
        });
        let last = index.and_then(|index| known.and_then(|s| s.lookups.get(&index)));
        if last.is_some_and(|last| {
            last.ended.is_some() && (last.error.is_none() || !last.found.is_empty())
        }) {
            state.read = true;
        }
        if let Some((last, error)) = last.and_then(|last| Some((last, last.error.clone()?))) {
            state.error = Some(error);
            state.broken_off |= broken_off(last);
        }
        let never = last.is_none_or(|last| last.ended.is_none());
        let looking_up = &inputs.runtime.looking_up;
        if !looking_up.is_empty()
            && looking_up.contains(&(line.clone(), source.id, account.cloned()))
        {
            state.under_way = true;
            state.first |= never;
            unread |= never;
            continue;
        }
        let failed_now = last.is_some_and(|last| {
            last.error.is_some()
                && (!last.passing || last.failures >= BROKEN_ONCE)
                && last.failures > 0
                && inputs
                    .runtime
                    .once_since
                    .is_some_and(|since| last.ended >= Some(since))
        });
        let due_at = if failed_now {
            Timestamp::MAX
        } else {
            due(campaign, spec, last, now)
        };
        if due_at > now {
            if due_at < Timestamp::MAX {
                plan.wake(due_at, now);
                if last.is_some_and(|last| last.error.is_some()) {
                    state.retry_at = earlier(state.retry_at, Some(due_at));
                }
            }
            continue;
        }
        match account.map_or(Availability::Now { room: 1 }, |name| {
            may_look_up(inputs, name)
        }) {
            Availability::Now { .. } => {
                state.under_way = true;
                state.first |= never;
                unread |= never;
                plan.actions.push(Action::LookUp {
                    campaign: line.clone(),
                    source: source.id,
                    what: source.what.clone(),
                    account: account.cloned(),
                    limit: source.limit,
                    label: source.label.clone(),
                    from: lookups::from(campaign, last, now),
                });
            }
            Availability::Later { reason, until } => {
                state.wait = Some(reason);
                unread |= never && until.is_some();
                if let Some(until) = until {
                    plan.wake(until, now);
                    state.retry_at = earlier(state.retry_at, Some(until));
                }
                // An account that is being connected will look it up in a moment: wait for it.
                let connecting = account.is_some_and(|name| {
                    matches!(inputs.runtime.links.get(name), Some(Link::Connecting))
                        && usable(inputs, name).is_err()
                }) && now < inputs.runtime.connected_by;
                if connecting {
                    plan.wake(inputs.runtime.connected_by, now);
                }
                state.under_way |= connecting;
                state.first |= never && connecting;
                unread |= never && connecting;
            }
        }
    }
    if each && unread {
        state.read = false;
    }
    state
}

/// Whether the last try broke off, with the connection or by an error of the server, and a further one is likely to help.
pub(super) fn broken_off(last: &Lookup) -> bool {
    last.error.is_some() && last.passing && last.failures < BROKEN_PATIENCE
}

/// When a source is to be looked up: at once where it never was, once a run, when an operator asks, every `refresh`.
fn due(
    campaign: &Campaign,
    spec: &ResolvedCampaign,
    last: Option<&Lookup>,
    now: Timestamp,
) -> Timestamp {
    let Some((last, ended)) = last.and_then(|last| last.ended.map(|ended| (last, ended))) else {
        return Timestamp::MIN;
    };
    if campaign.reconcile_seq > last.ended_seq && last.failures == 0 {
        return Timestamp::MIN;
    }
    // It ended before the clock was set back: nobody knows how long ago.
    if ended > now && (last.error.is_some() || spec.schedule.refresh.is_some()) {
        return Timestamp::MIN;
    }
    if last.error.is_some() && last.passing {
        let doubled = BROKEN_RETRY * 2u32.saturating_pow(last.failures.saturating_sub(1).min(6));
        return ended + doubled.min(BROKEN_RETRY_MOST);
    }
    if last.error.is_some() {
        let doubled = LOOKUP_RETRY * 2u32.saturating_pow(last.failures.saturating_sub(1).min(7));
        return ended + doubled.min(LOOKUP_RETRY_MOST);
    }
    if campaign.run_opened_seq > last.ended_seq {
        return Timestamp::MIN;
    }
    spec.schedule
        .refresh
        .map_or(Timestamp::MAX, |every| ended + every)
}

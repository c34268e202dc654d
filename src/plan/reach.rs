//! Who can reach whom, who keeps whom, and what a day's look-ups leave.

use super::accounts::{Availability, allowance, may_look_up};
use super::{Inputs, Link};
use crate::desired::{ResolvedCampaign, SourceKind};
use crate::model::{AccountName, AccountState, Timestamp, Waiting};
use crate::observed::{Campaign, Contacted, Handle};
use crate::time::{Day, Zone};

/// Usernames and phones that an account looks up in a day of its zone. Telegram names no number; accounts are known to
/// be told to wait for hours after some hundreds of `contacts.resolveUsername`, so this stays below them. An account
/// whose operator lets it write more than that a day needs a look-up for each message at most.
pub const LOOKUPS_A_DAY: u32 = 200;

/// How many people an account is looked at for in one pass: those whom other accounts keep stand in the way of few.
pub(super) const LOOK_THROUGH: usize = 20_000;

/// What an account has looked up today, at most how many, and when its day ends.
pub(super) fn lookups_today(inputs: &Inputs<'_>, name: &AccountName) -> (u32, u32, Timestamp) {
    let (messages, zone): (u32, Zone) = allowance(inputs, name);
    let today = Day::of(inputs.now, zone);
    let used = inputs
        .observed
        .accounts
        .get(name)
        .map_or(0, |account| account.lookups.since(today.start()));
    (used, LOOKUPS_A_DAY.max(messages), today.end())
}

/// Whether it may look a username or phone up.
pub(super) fn may_resolve(inputs: &Inputs<'_>, name: &AccountName) -> Availability {
    if let later @ Availability::Later { .. } = may_look_up(inputs, name) {
        return later;
    }
    let (used, most, until) = lookups_today(inputs, name);
    match most.saturating_sub(used) {
        0 => Availability::Later {
            reason: Waiting::AccountCap,
            until: Some(until),
        },
        room => Availability::Now { room },
    }
}

/// Whether an account is out of work until a person acts, so that others take over whom they can reach. One that
/// Telegram limited is not: nobody takes over what Telegram refused it.
fn is_lost(inputs: &Inputs<'_>, name: &AccountName) -> bool {
    let troubled = inputs
        .observed
        .accounts
        .get(name)
        .and_then(|account| account.trouble.as_ref())
        .is_some_and(|(state, _, _)| {
            matches!(
                state,
                AccountState::Unauthorized | AccountState::Banned | AccountState::Frozen
            )
        });
    troubled
        || matches!(
            inputs.runtime.links.get(name),
            Some(Link::Missing | Link::Unusable { .. })
        )
}

/// Finds out who keeps whom in a campaign.
pub(super) struct Keepers<'a> {
    inputs: &'a Inputs<'a>,
    campaign: &'a Campaign,
    /// The accounts that may keep somebody: of this campaign, and not lost.
    able: Vec<u16>,
    /// Whose dialogs the campaign has read.
    dialogs: Vec<(u16, &'a roaring::RoaringBitmap)>,
}

impl<'a> Keepers<'a> {
    pub(super) fn new(
        inputs: &'a Inputs<'a>,
        spec: &'a ResolvedCampaign,
        campaign: &'a Campaign,
    ) -> Self {
        let able: Vec<u16> = spec
            .accounts
            .iter()
            .filter(|name| !is_lost(inputs, name))
            .filter_map(|name| inputs.observed.account_index(name))
            .collect();
        let dialogs = spec
            .sources
            .iter()
            .filter(|source| matches!(source.what, SourceKind::Dialogs { .. }))
            .filter_map(|source| campaign.sources.get(&source.id))
            .flat_map(|source| &source.lookups)
            .filter(|(account, _)| able.contains(account))
            .map(|(account, lookup)| (*account, &lookup.found))
            .collect();
        Keepers {
            inputs,
            campaign,
            able,
            dialogs,
        }
    }

    /// Whether anybody can be kept at all: by one account alone nobody is taken from another.
    pub(super) fn any(&self) -> bool {
        self.able.len() > 1
            && (!self.inputs.observed.contacted.is_empty() || !self.dialogs.is_empty())
    }

    /// The account that keeps somebody: it has talked with him, and can reach him.
    pub(super) fn of(&self, number: u32) -> Option<u16> {
        let observed = self.inputs.observed;
        let handle = Handle(number);
        let keeps = |account: &u16| {
            self.able.contains(account) && observed.persons.reaches(*account, handle)
        };
        let talked = observed.contacted.shape(&number);
        let wrote = talked.and_then(|talked| talked.account);
        if let Some(account) = wrote.filter(keeps) {
            return Some(account);
        }
        let mut heard = talked.into_iter().flat_map(Contacted::wrote_to);
        if let Some(account) = heard.find(keeps) {
            return Some(account);
        }
        self.dialogs
            .iter()
            .find(|(account, found)| found.contains(number) && keeps(account))
            .map(|(account, _)| *account)
    }

    /// Whether an account leaves somebody to another one.
    pub(super) fn is_anothers(&self, number: u32, own: Option<u16>) -> bool {
        // Who is bound to an account already waits for it alone.
        let bound = self
            .campaign
            .recipients
            .get(&number)
            .is_some_and(|recipient| recipient.account.is_some());
        !bound && self.of(number).is_some_and(|keeper| Some(keeper) != own)
    }

    /// How many of these each account keeps.
    pub(super) fn count(&self, queue: impl Iterator<Item = u32>) -> Vec<(u16, u64)> {
        let mut counts = std::collections::BTreeMap::new();
        for number in queue.take(LOOK_THROUGH) {
            if let Some(keeper) = self.of(number) {
                *counts.entry(keeper).or_default() += 1;
            }
        }
        counts.into_iter().collect()
    }
}

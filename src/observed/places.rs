//! What campaigns of the kinds `invite` and `warmup` know of places and of their accounts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Campaign, Observed};
use crate::model::{Event, JoinEnd, Timestamp};

/// A link to the target of an `invite`, as one account has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InviteLink {
    /// The target as the spec named it: another one makes the link worthless.
    pub target: String,
    /// The link.
    pub link: String,
    /// The account made it; otherwise it is the target's public one.
    pub exported: bool,
}

/// The ramp of one account of a `warmup`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warming {
    /// When the campaign first saw the account ready.
    pub began: Timestamp,
    /// The allowance of the first day.
    pub start: u32,
    /// How much is added each time.
    pub step: u32,
    /// How often, in milliseconds.
    pub every_ms: u64,
    /// Where it ends.
    pub max: u32,
}

/// The joins of one account of a `warmup`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joins {
    /// By place, as the spec names it.
    pub ended: BTreeMap<String, JoinEnd>,
    /// The next one not before then.
    pub next_at: Timestamp,
}

/// Folds what belongs here; anything else is left alone.
pub(super) fn fold(state: &mut Observed, event: &Event, at: Timestamp) {
    let (campaign, account) = match event {
        Event::InviteLink {
            campaign, account, ..
        }
        | Event::Warming {
            campaign, account, ..
        }
        | Event::Joined {
            campaign, account, ..
        } => (campaign, account),
        _ => return,
    };
    let index = super::fold::index_of(state, Some(account));
    let Some(it) = state.campaigns.get_mut(campaign) else {
        return;
    };
    match event {
        Event::InviteLink {
            target,
            link,
            exported,
            ..
        } => {
            let link = InviteLink {
                target: target.clone(),
                link: link.clone(),
                exported: *exported,
            };
            it.links.insert(index, link);
        }
        Event::Warming {
            start,
            step,
            every_ms,
            max,
            ..
        } => {
            let began = it.warming.get(&index).map_or(at, |known| known.began);
            let warming = Warming {
                began,
                start: *start,
                step: *step,
                every_ms: *every_ms,
                max: *max,
            };
            it.warming.insert(index, warming);
        }
        Event::Joined {
            place,
            end,
            next_at,
            ..
        } => {
            let joins = it.joins.entry(index).or_default();
            joins.ended.insert(place.clone(), end.clone());
            joins.next_at = joins.next_at.max(*next_at);
        }
        _ => {}
    }
}

/// An operator lets a campaign go on: what failed is tried again.
pub(super) fn resumed(it: &mut Campaign) {
    for joins in it.joins.values_mut() {
        joins
            .ended
            .retain(|_, end| !matches!(end, JoinEnd::Failed { .. }));
    }
}

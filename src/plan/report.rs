//! What everybody waits for, as the planner found it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Inputs, Plan, earlier};
use crate::model::{AccountState, Lineage, Timestamp, Waiting};

/// Why people of a campaign wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// The reason.
    pub reason: Waiting,
    /// How many people.
    pub count: u64,
    /// Until when, where it is known.
    pub until: Option<Timestamp>,
}

/// Whether a campaign may send now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gate {
    /// It may.
    Open,
    /// It waits by itself.
    Waits {
        /// For what.
        reason: Waiting,
        /// Until when, where it is known.
        until: Option<Timestamp>,
        /// In one sentence.
        message: String,
    },
    /// A person must act.
    Blocked {
        /// What pending people wait for.
        reason: Waiting,
        /// CamelCase, for the condition `Ready`.
        condition: &'static str,
        /// In one sentence, what to do.
        message: String,
    },
    /// Everybody is settled.
    Done {
        /// In one sentence.
        message: String,
    },
}

/// What the planner says of a campaign.
#[derive(Debug, Clone, PartialEq)]
pub struct CampaignView {
    /// Whether it may send.
    pub gate: Gate,
    /// Why pending people wait; the counts sum to the pending.
    pub waiting: Vec<Wait>,
    /// When something happens next.
    pub next_action_at: Option<Timestamp>,
    /// When everybody is settled at this pace; in reports only.
    pub finish_estimate: Option<Timestamp>,
    /// When the next follow-up can leave; absent where none waits, or nobody knows.
    pub follow_up_at: Option<Timestamp>,
}

/// What the planner says of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountView {
    /// What it can do.
    pub state: AccountState,
    /// Until when.
    pub until: Option<Timestamp>,
    /// In one sentence.
    pub message: String,
    /// Messages today, in the account's zone.
    pub sent_today: u32,
    /// At most so many.
    pub allowance_today: u32,
    /// Usernames and phones that it looked up today.
    pub lookups_today: u32,
    /// At most so many.
    pub lookup_allowance_today: u32,
}

/// What the planner found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// By lineage; retired campaigns are not among them.
    pub campaigns: BTreeMap<Lineage, Arc<CampaignView>>,
}

/// Sums up waits of the same reason, the earliest moment first, and says when each campaign goes on.
pub(super) fn finish(inputs: &Inputs<'_>, plan: &mut Plan) {
    if inputs.report_only {
        super::estimate::finish(inputs, plan);
    }
    // Those that are held by others too were kept from the pass before, and are summed up already.
    for view in plan.report.campaigns.values_mut().filter_map(Arc::get_mut) {
        let mut sums: BTreeMap<Waiting, (u64, Option<Timestamp>)> = BTreeMap::new();
        for wait in view.waiting.drain(..) {
            let sum = sums.entry(wait.reason).or_insert((0, wait.until));
            sum.0 += wait.count;
            sum.1 = earlier(sum.1, wait.until);
        }
        view.waiting = sums
            .into_iter()
            .filter(|(_, (count, _))| *count > 0)
            .map(|(reason, (count, until))| Wait {
                reason,
                count,
                until,
            })
            .collect();
        let next = view.waiting.iter().filter_map(|wait| wait.until).min();
        view.next_action_at = match &view.gate {
            Gate::Waits { until, .. } => next.or(*until),
            Gate::Open => next,
            Gate::Blocked { .. } | Gate::Done { .. } => None,
        };
        if let Some(at) = view.follow_up_at {
            let at = at.max(inputs.now);
            view.next_action_at = earlier(view.next_action_at, Some(at));
        }
    }
}

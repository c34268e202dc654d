//! What of a pass still holds in the next one: campaigns to which nothing has happened since, and whose moment has not
//! come, are not looked at again. The work of a pass then follows what happens and what is due, not what exists.
//!
//! # Guarantees
//! - A pass answers as [`super::plan`] does on the same inputs; it may ask for the next one sooner.
//! - Only campaigns that had nothing to do are kept. Were one kept for too long, something would be done late, and
//!   nothing that must not be done.
//!
//! # Caveats
//! Every event that is folded must be noted. Where some were not, all is looked at anew.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::{CampaignView, Inputs, Part, Plan, Runtime, earlier, owners, pass};
use crate::desired::{DesiredCampaign, ResolvedCampaign, SourceKind};
use crate::model::{AccountName, Event, Lineage, PersonId, SendKey, Timestamp, is_aside};
use crate::observed::{Campaign, Observed, Status};
use crate::spec::Kind;

/// Sends between two passes that are told apart: after more of them all is looked at.
const TOLD_APART: usize = 64;

/// Every campaign is looked at once in so long, ten minutes in milliseconds: where what it waits for turns otherwise than it
/// said, that is seen no later. So is what has no moment of its own: a retired campaign that is too old to be this one
/// under another name.
const ROUND: i64 = 600_000;

/// How many times each campaign was looked at by this moment for that reason alone. Each has a moment of its own within the
/// round, so that no pass looks at many: by multiples of the golden ratio any number of them lie apart.
fn rounds(place: usize, at: Timestamp) -> i64 {
    const GOLDEN: i64 = 370_821;
    let own = i64::try_from(place).map_or(0, |place| place.wrapping_mul(GOLDEN).rem_euclid(ROUND));
    at.0.wrapping_add(own).div_euclid(ROUND)
}

/// A campaign that a pass looked at.
pub(super) struct Looked<'a> {
    /// Its place among the campaigns of the workspace.
    pub(super) place: usize,
    pub(super) wanted: &'a DesiredCampaign,
    pub(super) campaign: &'a Campaign,
    /// Whether first contacts may leave.
    pub(super) open: bool,
    /// What that came to.
    pub(super) part: Part,
}

/// A campaign that had nothing to do, and when that can be otherwise by itself.
#[derive(Clone)]
struct Resting {
    view: Arc<CampaignView>,
    until: Option<Timestamp>,
}

/// What a pass left for the next, campaigns by their place; empty before the first.
#[derive(Clone, Default)]
pub(super) struct Kept {
    resting: Vec<Option<Resting>>,
    looked_at: usize,
}

impl Kept {
    /// The campaign at a place, where it need not be looked at.
    pub(super) fn at(&self, place: usize) -> Option<(Arc<CampaignView>, Option<Timestamp>)> {
        let resting = self.resting.get(place)?.as_ref()?;
        Some((resting.view.clone(), resting.until))
    }

    /// Takes over what a pass found.
    pub(super) fn keep(&mut self, inputs: &Inputs<'_>, plan: &Plan, looked: Vec<Looked<'_>>) {
        self.looked_at = looked.len();
        self.resting
            .resize_with(inputs.desired.campaigns.len(), || None);
        for it in looked {
            let view = plan.report.campaigns.get(&it.wanted.lineage);
            let follow_up_at = view.and_then(|view| view.follow_up_at);
            let rests = !it.part.acts
                && follow_up_at.is_none_or(|at| at > inputs.now)
                && it.wanted.spec.as_deref().is_none_or(stands_alone);
            let Some(resting) = self.resting.get_mut(it.place) else {
                continue;
            };
            *resting = view.filter(|_| rests).map(|view| Resting {
                view: view.clone(),
                until: earlier(it.part.until, follow_up_at),
            });
        }
    }
}

/// Whether nothing that another campaign does changes what is planned for this one. What is said of a warmup counts its
/// accounts' days.
fn stands_alone(spec: &ResolvedCampaign) -> bool {
    let takes_over = |kind: &SourceKind| matches!(kind, SourceKind::Audience { .. });
    spec.kind != Kind::Warmup
        && owners::limits(spec).is_none()
        && !spec.sources.iter().any(|source| takes_over(&source.what))
}

/// What happened since the last pass.
#[derive(Default)]
struct Happened {
    /// Whatever has another effect than a send's.
    anything: bool,
    /// Sends that began, and that Telegram accepted.
    sends: Vec<(SendKey, AccountName)>,
    /// Events in all.
    events: u64,
}

/// Plans pass after pass.
#[derive(Default)]
pub struct Planner {
    kept: Kept,
    happened: Happened,
    last: Option<Last>,
}

/// What the last pass looked at, beside the events.
struct Last {
    readings: u64,
    seq: u64,
    at: Timestamp,
    runtime: Runtime,
}

impl Planner {
    /// How many campaigns the last pass looked at.
    pub fn looked_at(&self) -> usize {
        self.kept.looked_at
    }

    /// This is about to be folded.
    pub fn note(&mut self, event: &Event, before: &Observed) {
        let happened = &mut self.happened;
        happened.events += 1;
        if happened.anything || self.last.is_none() {
            return;
        }
        let send = match event {
            Event::Intent(intent) => Some((&intent.key, &intent.account)),
            Event::Sent { key, .. } => {
                let flight = before.in_flight.get(key);
                flight.map(|flight| (key, &flight.intent.account))
            }
            _ => None,
        };
        match send {
            Some((key, account)) => happened.sends.push((key.clone(), account.clone())),
            None => happened.anything = true,
        }
        happened.anything |= happened.sends.len() > TOLD_APART;
    }

    /// Makes every choice, as [`super::plan`] does. `readings` is another one whenever what is wanted was read again.
    pub fn plan(&mut self, inputs: &Inputs<'_>, readings: u64) -> Plan {
        if inputs.report_only {
            return self.report(inputs, readings);
        }
        let tells = self.tells(inputs, readings);
        let happened = std::mem::take(&mut self.happened);
        // Should planning break off, nothing is kept of it.
        let mut kept = std::mem::take(&mut self.kept);
        let last = self.last.take().filter(|_| tells);
        match &last {
            Some(last) => kept.wake(inputs, &happened, last.at),
            None => kept.resting.clear(),
        }
        let plan = pass(inputs, &mut kept);
        self.kept = kept;
        self.last = Some(Last {
            readings,
            seq: inputs.observed.seq,
            at: inputs.now,
            runtime: last.map_or_else(|| inputs.runtime.standing(), |last| last.runtime),
        });
        plan
    }

    /// Plans for a report, as [`super::plan`] does where `report_only` is set.
    pub fn report(&self, inputs: &Inputs<'_>, readings: u64) -> Plan {
        let inputs = Inputs {
            report_only: true,
            ..*inputs
        };
        let last = self.last.as_ref();
        let mut kept = Kept::default();
        if let Some(last) = last.filter(|_| self.tells(&inputs, readings)) {
            kept = self.kept.clone();
            kept.wake(&inputs, &self.happened, last.at);
            kept.leave_to_reports(&inputs);
        }
        pass(&inputs, &mut kept)
    }

    /// Whether what was kept tells anything of these inputs.
    fn tells(&self, inputs: &Inputs<'_>, readings: u64) -> bool {
        let happened = &self.happened;
        self.last.as_ref().is_some_and(|last| {
            !happened.anything
                && last.readings == readings
                && last.seq + happened.events == inputs.observed.seq
                && last.at <= inputs.now
                && inputs.runtime.stands_as(&last.runtime)
        })
    }
}

impl Kept {
    /// Looks again at the campaigns whose moment has come since then, and at those to which sends have happened.
    fn wake(&mut self, inputs: &Inputs<'_>, happened: &Happened, since: Timestamp) {
        let observed = inputs.observed;
        let mut lines: BTreeSet<&Lineage> = BTreeSet::new();
        let mut accounts: BTreeSet<&AccountName> = BTreeSet::new();
        let mut people: BTreeSet<PersonId> = BTreeSet::new();
        for (key, account) in &happened.sends {
            if !is_aside(&key.lineage) {
                lines.insert(&key.lineage);
            }
            people.insert(key.person);
            accounts.insert(account);
        }
        let handles: Vec<u32> = people
            .into_iter()
            .filter_map(|person| Some(observed.handle(person)?.0))
            .collect();
        let limits = &inputs.desired.engine.limits;
        let rests = limits.per_person_gap.is_some() || limits.per_person_month.is_some();
        // Whom another campaign writes to is from then on kept by its account, and may have to rest.
        let waits_for_them = |wanted: &DesiredCampaign| {
            let shared = |spec: &ResolvedCampaign| spec.accounts.len() > 1;
            if !rests && !wanted.spec.as_deref().is_some_and(shared) {
                return false;
            }
            let Some(campaign) = observed.campaigns.get(&wanted.lineage) else {
                return true;
            };
            handles.iter().any(|number| {
                let recipient = campaign.recipients.get(number);
                recipient.is_some_and(|it| it.status == Status::Pending)
            })
        };
        let campaigns = inputs.desired.campaigns.values();
        for ((place, resting), wanted) in self.resting.iter_mut().enumerate().zip(campaigns) {
            let Some(it) = resting else { continue };
            let own =
                |spec: &ResolvedCampaign| spec.accounts.iter().any(|name| accounts.contains(name));
            let over = it.until.is_some_and(|until| until <= inputs.now)
                || rounds(place, since) != rounds(place, inputs.now)
                || lines.contains(&wanted.lineage)
                || (!accounts.is_empty() && wanted.spec.as_deref().is_some_and(own))
                || (!handles.is_empty() && waits_for_them(wanted));
            if over {
                *resting = None;
            }
        }
    }

    /// Looks again at those of whom a report tells more than a pass: who of many rests, and what invites wait for.
    fn leave_to_reports(&mut self, inputs: &Inputs<'_>) {
        let somebody_rests = super::sends::somebody_may_rest(inputs);
        let campaigns = inputs.desired.campaigns.values();
        for (resting, wanted) in self.resting.iter_mut().zip(campaigns) {
            let invites = |spec: &ResolvedCampaign| spec.kind == Kind::Invite;
            if somebody_rests || wanted.spec.as_deref().is_some_and(invites) {
                *resting = None;
            }
        }
    }
}

impl Runtime {
    /// Whether a campaign that has nothing to do can tell the two apart.
    fn stands_as(&self, other: &Runtime) -> bool {
        // Sends that are in hand matter to the accounts that have them, whose campaigns hear of them by events.
        let Runtime {
            executing: _,
            // What is in doubt is looked at in each pass.
            looked_back: _,
            links,
            looking_up,
            resolving,
            sought,
            typing,
            media,
            uploading,
            targets,
            target_faults,
            seeking,
            joining,
            draining,
            lookups_only,
            connected_by,
            once_since,
            drafting,
            answering,
            telling,
            broken,
            untold,
            lost_since,
        } = self;
        *links == other.links
            && *looking_up == other.looking_up
            && *resolving == other.resolving
            && *sought == other.sought
            && *typing == other.typing
            && *media == other.media
            && *uploading == other.uploading
            && *targets == other.targets
            && *target_faults == other.target_faults
            && *seeking == other.seeking
            && *joining == other.joining
            && *draining == other.draining
            && *lookups_only == other.lookups_only
            && *connected_by == other.connected_by
            && *once_since == other.once_since
            && *drafting == other.drafting
            && *answering == other.answering
            && *telling == other.telling
            && *broken == other.broken
            && *untold == other.untold
            && *lost_since == other.lost_since
    }

    /// What [`Runtime::stands_as`] looks at.
    fn standing(&self) -> Runtime {
        Runtime {
            links: self.links.clone(),
            looking_up: self.looking_up.clone(),
            resolving: self.resolving.clone(),
            sought: self.sought.clone(),
            typing: self.typing.clone(),
            media: self.media.clone(),
            uploading: self.uploading.clone(),
            targets: self.targets.clone(),
            target_faults: self.target_faults.clone(),
            seeking: self.seeking.clone(),
            joining: self.joining.clone(),
            draining: self.draining,
            lookups_only: self.lookups_only,
            connected_by: self.connected_by,
            once_since: self.once_since,
            drafting: self.drafting.clone(),
            answering: self.answering.clone(),
            telling: self.telling.clone(),
            broken: self.broken.clone(),
            untold: self.untold.clone(),
            lost_since: self.lost_since.clone(),
            executing: HashSet::default(),
            looked_back: Default::default(),
        }
    }
}

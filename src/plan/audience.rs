//! Who of those that were found is in the audience.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use roaring::RoaringBitmap;

use super::Inputs;
use crate::desired::{ResolvedCampaign, SourceRole};
use crate::model::{Event, Exclusion, LastSeen, Lineage, Person, PersonId, Timestamp};
use crate::observed::{Campaign, Handle, Status};
use crate::people::is_named;
use crate::text::{CampaignFacts, Context};

/// People in one journal event: large enough that a million make a thousand events, small enough to be one write.
const PAGE: usize = 1000;
/// Telegram's coarse statuses count as their latest moment (CONTRACT section 2, `filters.last_seen`).
const RECENTLY: std::time::Duration = std::time::Duration::from_secs(3 * 86_400);
const LAST_WEEK: std::time::Duration = std::time::Duration::from_secs(7 * 86_400);
const LAST_MONTH: std::time::Duration = std::time::Duration::from_secs(30 * 86_400);

/// Everybody that the sources of a role name.
fn found(spec: &ResolvedCampaign, campaign: &Campaign, role: SourceRole) -> RoaringBitmap {
    spec.sources
        .iter()
        .filter(|source| source.role == role)
        .filter_map(|source| {
            let known = campaign.sources.get(&source.id)?;
            Some(super::lookups::limited(source, known))
        })
        .fold(RoaringBitmap::new(), |all, found| all | found)
}

/// Applies filters to everybody found. Answers with events of at most a thousand people each; the last says that it
/// is the last. Whoever was sent to, is being sent to or was refused stays as he is.
pub fn judge(inputs: &Inputs<'_>, line: &Lineage) -> Vec<Event> {
    let mut wanted = inputs.desired.campaigns.values();
    let wanted = wanted.find(|wanted| wanted.lineage == *line);
    let spec = wanted.and_then(|wanted| wanted.spec.as_deref());
    let (Some(spec), Some(campaign)) = (spec, inputs.observed.looked_up(line)) else {
        return Vec::new();
    };
    let included = found(spec, campaign, SourceRole::Include);
    let judge = Judge {
        passing: true,
        ..Judge::new(inputs, spec, campaign)
    };
    let mut pages = Pages {
        line,
        events: Vec::new(),
        included: Vec::new(),
        excluded: BTreeMap::new(),
        dropped: Vec::new(),
        held: 0,
    };
    let mut places = on_their_way(campaign);
    for number in &included {
        let handle = Handle(number);
        let Some(person) = inputs.observed.persons.id(handle) else {
            continue;
        };
        let known = campaign.recipients.get(&number);
        if matches!(
            known.map(|k| k.status),
            Some(Status::InFlight | Status::Settled(_))
        ) {
            continue;
        }
        let reason = judge
            .exclusion(handle, person)
            .or_else(|| (places >= u64::from(spec.filters.limit)).then_some(Exclusion::OverLimit));
        match reason {
            None => {
                places += 1;
                if known.is_none_or(|k| k.status != Status::Pending)
                    || campaign.unjudged.contains(number)
                {
                    pages.include(person);
                }
            }
            Some(reason) => {
                if known.is_none_or(|k| k.status != Status::Excluded(reason)) {
                    pages.exclude(reason, person);
                }
            }
        }
    }
    if are_read(spec, campaign) {
        for (number, recipient) in campaign.recipients.iter() {
            if matches!(recipient.status, Status::Pending | Status::Excluded(_))
                && !included.contains(number)
                && let Some(person) = inputs.observed.persons.id(Handle(number))
            {
                pages.drop(person);
            }
        }
    }
    pages.finish(spec.audience_digest.clone())
}

/// Whether every source that names people was read. One that never was says nothing about who is gone.
fn are_read(spec: &ResolvedCampaign, campaign: &Campaign) -> bool {
    let mut include = spec
        .sources
        .iter()
        .filter(|source| source.role == SourceRole::Include);
    include.all(|source| {
        let known = campaign.sources.get(&source.id);
        known.is_some_and(|known| known.lookups.values().any(|l| l.ended.is_some()))
    })
}

/// What becomes of somebody who is judged again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Stays,
    /// Filters exclude him.
    Excluded(Exclusion),
    /// No source names him any more.
    Gone,
}

/// Judges one person again of whom something new is known, or who was in hand when the others were judged.
pub(super) fn judge_one(
    inputs: &Inputs<'_>,
    spec: &ResolvedCampaign,
    campaign: &Campaign,
    who: (Handle, PersonId),
    left_out: u64,
) -> Verdict {
    let standing = campaign.pending() + on_their_way(campaign);
    Judge::new(inputs, spec, campaign).verdict(who.0, who.1, standing.saturating_sub(left_out))
}

/// Those who take their places of the ceiling first: they are settled, or on their way.
pub(super) fn on_their_way(campaign: &Campaign) -> u64 {
    campaign.in_flight + campaign.settled(|_| true)
}

/// Asks of one after another whether he is excluded.
pub(super) struct Judge<'a> {
    inputs: &'a Inputs<'a>,
    spec: &'a ResolvedCampaign,
    ins: Vec<RoaringBitmap>,
    exclude: RoaringBitmap,
    facts: CampaignFacts,
    /// Somebody of whom nothing is known.
    nobody: Person,
    /// Everybody is judged, one after another.
    passing: bool,
    campaign: &'a Campaign,
    /// Whom the sources name, found out when it is asked; `None`: not all of them were read.
    included: OnceCell<Option<RoaringBitmap>>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(
        inputs: &'a Inputs<'a>,
        spec: &'a ResolvedCampaign,
        campaign: &'a Campaign,
    ) -> Self {
        let ins = spec
            .sources
            .iter()
            .filter(|source| source.role == SourceRole::In)
            .map(|source| {
                campaign
                    .sources
                    .get(&source.id)
                    .map(|known| super::lookups::limited(source, known))
                    .unwrap_or_default()
            })
            .collect();
        Judge {
            inputs,
            spec,
            ins,
            exclude: found(spec, campaign, SourceRole::Exclude),
            facts: super::message::facts(spec, campaign),
            nobody: Person::default(),
            passing: false,
            campaign,
            included: OnceCell::new(),
        }
    }

    /// What becomes of somebody who stands in the audience, one of so many who take its places.
    pub(super) fn verdict(&self, handle: Handle, person: PersonId, standing: u64) -> Verdict {
        let included = self.included.get_or_init(|| {
            are_read(self.spec, self.campaign)
                .then(|| found(self.spec, self.campaign, SourceRole::Include))
        });
        if included
            .as_ref()
            .is_some_and(|included| !included.contains(handle.0))
        {
            return Verdict::Gone;
        }
        // It may have been lowered since.
        let is_over = standing > u64::from(self.spec.filters.limit);
        let reason = self
            .exclusion(handle, person)
            .or_else(|| is_over.then_some(Exclusion::OverLimit));
        reason.map_or(Verdict::Stays, Verdict::Excluded)
    }

    /// The first reason that excludes him, in the order of the promise.
    pub(super) fn exclusion(&self, handle: Handle, person: PersonId) -> Option<Exclusion> {
        let observed = self.inputs.observed;
        if observed.own.contains(handle.0) {
            return Some(Exclusion::OwnAccount);
        }
        if observed.suppressed.contains(handle.0) {
            return Some(Exclusion::Suppressed);
        }
        if observed.opted_out.contains(handle.0) {
            return Some(Exclusion::OptedOut);
        }
        let mut reason = None;
        let mut look = |known: Option<&Person>| {
            let known = known.unwrap_or(&self.nobody);
            reason = self.by_what_is_known(handle, person, known);
        };
        if self.passing {
            self.inputs.people.show_in_passing(person, &mut look);
        } else {
            self.inputs.people.show(person, &mut look);
        }
        reason
    }

    /// The first of the reasons that ask who he is.
    fn by_what_is_known(
        &self,
        handle: Handle,
        person: PersonId,
        known: &Person,
    ) -> Option<Exclusion> {
        let filters = &self.spec.filters;
        // Of a username or phone that nobody looked up, Telegram has told nothing: only what names him is known.
        let looked_up = person.is_user() && !known.hashes.is_empty();
        if looked_up {
            if known.bot && !filters.keep_bots {
                return Some(Exclusion::Bot);
            }
            if known.deleted && !filters.keep_deleted {
                return Some(Exclusion::Deleted);
            }
            if known.admin && filters.drop_admins {
                return Some(Exclusion::Admin);
            }
            if filters.username_required && known.contact.username.is_none() {
                return Some(Exclusion::NoUsername);
            }
            let premium = known.contact.premium == Some(true);
            match filters.premium {
                Some(true) if !premium => return Some(Exclusion::NotPremium),
                Some(false) if premium => return Some(Exclusion::Premium),
                _ => {}
            }
            if let Some(within) = filters.last_seen
                && !seen_within(
                    known,
                    within,
                    self.inputs.now,
                    filters.keep_last_seen_unknown,
                )
            {
                return Some(Exclusion::LastSeen);
            }
        }
        if self.contacted(handle) {
            return Some(Exclusion::Contacted);
        }
        // Who is only a username or phone yet may turn out to be one of them: he is judged again when he is known.
        if person.is_user() && self.ins.iter().any(|set| !set.contains(handle.0)) {
            return Some(Exclusion::NotIn);
        }
        if let Some(only) = &self.inputs.desired.engine.limits.only_to
            && !is_named(person, Some(known), only)
        {
            return Some(Exclusion::NotIn);
        }
        if self.exclude.contains(handle.0) {
            return Some(Exclusion::Excluded);
        }
        // What Telegram has not told yet must not count as missing: he is judged again when he was looked up.
        if let Some(where_) = &filters.where_
            && (looked_up || is_of_the_row(where_.source()))
        {
            let context = Context {
                contact: &known.contact,
                campaign: &self.facts,
                account: None,
                now: self.inputs.now,
                zone: self.spec.schedule.zone,
                step: 0,
                invite_link: None,
            };
            if !where_.holds(&context) && (looked_up || !may_change(where_.source(), known)) {
                return Some(Exclusion::Where);
            }
        }
        None
    }

    /// Whether a campaign of `not_contacted` wrote to him. The campaign itself does not count: its own keys do.
    fn contacted(&self, handle: Handle) -> bool {
        let filters = &self.spec.filters;
        let observed = self.inputs.observed;
        let within = filters.not_contacted_within;
        if filters.not_contacted_by.is_empty() {
            return within.is_some_and(|within| {
                let last = observed
                    .contacted
                    .get(&handle.0)
                    .and_then(|known| known.last_sent());
                last.is_some_and(|last| self.inputs.now.since(last) < within)
            });
        }
        // With both keys: by one of these campaigns, within that time.
        filters.not_contacted_by.iter().any(|name| {
            observed
                .campaign(name)
                .and_then(|other| other.recipients.get(&handle.0))
                .is_some_and(|recipient| {
                    let lately = || {
                        let sent = Timestamp::from_seconds(i64::from(recipient.sent_at));
                        within.is_none_or(|within| self.inputs.now.since(sent) < within)
                    };
                    match recipient.status {
                        Status::Settled(crate::model::Outcome::Sent) => lately(),
                        Status::InFlight | Status::Settled(crate::model::Outcome::Uncertain) => {
                            true
                        }
                        _ => false,
                    }
                })
        })
    }
}

/// Whether a look-up could tell something that this expression asks for and that is not known of him yet. An expression
/// over a file's columns alone is decided without one.
fn may_change(source: &str, known: &Person) -> bool {
    let contact = &known.contact;
    source
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .any(|word| match word {
            "id" => contact.id.is_none(),
            "first_name" | "full_name" => contact.first_name.is_none(),
            "last_name" => contact.last_name.is_none(),
            "username" => contact.username.is_none(),
            "phone" => contact.phone.is_none(),
            "premium" => contact.premium.is_none(),
            _ => false,
        })
}

/// Whether an expression asks only what is known before anybody was looked up: of a person, a file's columns.
fn is_of_the_row(source: &str) -> bool {
    source.matches("contact").count() == source.matches("contact.fields").count()
}

/// Whether somebody was seen within this time, as far as Telegram tells.
fn seen_within(
    known: &Person,
    within: std::time::Duration,
    now: Timestamp,
    keep_unknown: bool,
) -> bool {
    match known.last_seen {
        LastSeen::Hidden => keep_unknown,
        LastSeen::At(at) => now.since(at) <= within,
        LastSeen::Recently => RECENTLY <= within,
        LastSeen::LastWeek => LAST_WEEK <= within,
        LastSeen::LastMonth => LAST_MONTH <= within,
    }
}

struct Pages<'a> {
    line: &'a Lineage,
    events: Vec<Event>,
    included: Vec<PersonId>,
    excluded: BTreeMap<Exclusion, Vec<PersonId>>,
    dropped: Vec<PersonId>,
    held: usize,
}

impl Pages<'_> {
    fn include(&mut self, person: PersonId) {
        self.included.push(person);
        self.count();
    }

    fn exclude(&mut self, reason: Exclusion, person: PersonId) {
        self.excluded.entry(reason).or_default().push(person);
        self.count();
    }

    fn drop(&mut self, person: PersonId) {
        self.dropped.push(person);
        self.count();
    }

    fn count(&mut self) {
        self.held += 1;
        if self.held >= PAGE {
            self.page(None);
        }
    }

    fn page(&mut self, finished: Option<String>) {
        self.held = 0;
        self.events.push(Event::Judged {
            campaign: self.line.clone(),
            included: std::mem::take(&mut self.included),
            excluded: std::mem::take(&mut self.excluded).into_iter().collect(),
            dropped: std::mem::take(&mut self.dropped),
            finished,
        });
    }

    fn finish(mut self, digest: String) -> Vec<Event> {
        self.page(Some(digest));
        self.events
    }
}

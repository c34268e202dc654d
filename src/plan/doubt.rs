//! What may or may not have arrived, and the confirmation of an opt-out: sends that no campaign's turn keeps waiting.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::accounts::{Availability, may_answer, may_invite, may_look_up, usable};
use super::answers::is_unread;
use super::{Action, Gate, Inputs, Link, Plan, SendAction, audience};
use crate::desired::ResolvedCampaign;
use crate::model::{
    AccountName, AccountState, Event, Formatted, InDoubtWhy, Lineage, Outcome, Person, SendKey,
    TEST_LINEAGE, Timestamp, Waiting, is_aside,
};
use crate::observed::{Campaign, Handle, InFlight, OPT_OUT_LINEAGE};
use crate::people::is_named;
use crate::spec::engine::DEFAULT_OPT_OUT_REPLY;
use crate::text::{AccountFacts, CampaignFacts, Context, compose};
use crate::time::Day;

/// In doubt for longer: the history decides (CONTRACT section 6).
const DOUBT_MOST: Duration = Duration::from_secs(24 * 3600);

/// An account that cannot be reached for longer is gone, where a message of it is in doubt for over a day.
const AWAY_MOST: Duration = Duration::from_secs(3600);

/// Dialogs of an account that are looked into one after the other; after them one in [`LOOK_BACK_EVERY`]. Hundreds of
/// `messages.getHistory` in a second are what an account that was just told to stop must not do.
const LOOK_BACKS_AT_ONCE: Duration = Duration::from_secs(20);

/// What each look into a dialog takes of an account's time.
const LOOK_BACK_EVERY: Duration = Duration::from_secs(1);

/// What was on its way when the connection broke may come to the dialog a moment later.
const LOOK_BACK_AFTER: Duration = Duration::from_secs(5);

/// The last look of an account into the dialog of a send in doubt.
#[derive(Debug, Clone, PartialEq)]
pub struct LookedBack {
    pub key: SendKey,
    /// Until when its looks are taken.
    until: Timestamp,
}

impl LookedBack {
    /// It looks into another dialog now.
    pub fn again(last: Option<&Self>, key: SendKey, now: Timestamp) -> Self {
        LookedBack {
            key,
            until: taken(last, now) + LOOK_BACK_EVERY,
        }
    }
}

/// Until when an account's looks are taken: never for longer than that, so that a longer time is of before the clock was
/// set back.
fn taken(last: Option<&LookedBack>, now: Timestamp) -> Timestamp {
    let until = last.map(|last| last.until);
    until
        .filter(|until| (now..=now + LOOK_BACKS_AT_ONCE).contains(until))
        .unwrap_or(now)
}

/// A look into a dialog, unless the account looks into another one, was told to wait or looked into many just now.
fn look<'a>(
    inputs: &Inputs<'a>,
    plan: &mut Plan,
    ordered: &mut BTreeSet<&'a AccountName>,
    account: &'a AccountName,
    key: &SendKey,
) {
    let now = inputs.now;
    let last = inputs.runtime.looked_back.get(account);
    if ordered.contains(account)
        || last.is_some_and(|last| inputs.runtime.executing.contains(&last.key))
    {
        // What it finds begins another pass.
        return;
    }
    if inputs.runtime.draining {
        return;
    }
    let paced = taken(last, now) - (LOOK_BACKS_AT_ONCE - LOOK_BACK_EVERY);
    if let Availability::Later { until, .. } = may_look_up(inputs, account) {
        if let Some(until) = until {
            plan.wake(until, now);
        }
    } else if paced > now {
        plan.wake(paced, now);
    } else {
        ordered.insert(account);
        plan.actions.push(Action::LookBack { key: key.clone() });
    }
}

/// Sends that may or may not have arrived: the same bytes again, or a look into the dialog.
pub(super) fn in_doubt(inputs: &Inputs<'_>, plan: &mut Plan) {
    let now = inputs.now;
    if inputs
        .observed
        .accounts
        .values()
        .all(|account| account.in_doubt == 0)
    {
        return;
    }
    // Those that go out again in this pass.
    let mut again_now: Vec<&InFlight> = Vec::new();
    // In the order of their intents: sends that ended leave the map in another one.
    let in_flight = inputs.observed.in_flight.iter();
    let mut doubted: Vec<_> = in_flight
        .filter_map(|(key, flight)| Some((key, flight, flight.doubt?.1)))
        .collect();
    doubted.sort_by_key(|(key, flight, _)| (flight.seq, *key));
    let mut ordered = BTreeSet::new();
    let mut wishes = Wishes::new(inputs);
    for (key, flight, since) in doubted {
        if inputs.runtime.executing.contains(key) {
            continue;
        }
        let account = &flight.intent.account;
        let banned = inputs
            .observed
            .accounts
            .get(account)
            .and_then(|a| a.trouble.as_ref())
            .is_some_and(|(state, _, _)| *state == AccountState::Banned);
        if banned {
            plan.actions.push(Action::Record(Event::Refused {
                key: key.clone(),
                outcome: Outcome::Uncertain,
                detail: "the account is banned: its dialog cannot be read".to_owned(),
            }));
            continue;
        }
        let old = now.since(since) >= DOUBT_MOST;
        let may = if flight.intent.is_invite() {
            may_invite(inputs, account)
        } else {
            may_answer(inputs, account)
        };
        match may {
            Availability::Later { until, .. } => {
                if old && usable(inputs, account).is_err() && is_gone(inputs, account) {
                    plan.actions.push(Action::Record(Event::Refused {
                        key: key.clone(),
                        outcome: Outcome::Uncertain,
                        detail:
                            "in doubt for over 24 hours, and the account's dialog cannot be read"
                                .to_owned(),
                    }));
                } else if let Some(until) = until {
                    plan.wake(until, now);
                }
                continue;
            }
            Availability::Now { .. } => {}
        }
        if flight.retry_at > now {
            plan.wake(flight.retry_at, now);
            continue;
        }
        let silenced = inputs.observed.silences(key.person);
        let confirmation = key.lineage.as_ref() == OPT_OUT_LINEAGE;
        // Did it not arrive, then sending it again would be a message by an account that may write to nobody first.
        let limited = !is_aside(&key.lineage)
            && inputs
                .observed
                .accounts
                .get(account)
                .is_some_and(|account| account.limited(now).is_some());
        let refused = matches!(flight.doubt, Some((InDoubtWhy::Refused(_), _)));
        let again = |plan: &Plan| {
            if is_aside(&key.lineage) {
                confirmation
                    || key.lineage.as_ref() == TEST_LINEAGE
                    || super::answers::may_go_again(inputs, plan, key)
            } else {
                may_go_again(plan, key, inputs)
            }
        };
        if old
            || limited
            || refused
            || (silenced && !confirmation)
            || !wishes.still_wants(key, flight)
        {
            // A break that is yet to come is of before the clock was set back.
            let settled = since + LOOK_BACK_AFTER;
            if (since..settled).contains(&now) {
                plan.wake(settled, now);
            } else {
                look(inputs, plan, &mut ordered, account, key);
            }
        } else if let Some(open) = window(inputs, key) {
            // Whatever else the campaign waits for: nothing leaves outside its windows.
            plan.wake(open, now);
        } else if again(plan) {
            let free =
                paced(inputs, flight, &again_now).max(room_again(inputs, flight, &again_now));
            match free {
                Some(at) => plan.wake(at, now),
                None => {
                    again_now.push(flight);
                    plan.actions.push(Action::Retry { key: key.clone() });
                }
            }
        }
    }
}

/// What the specs ask for now, of sends that they asked for before.
struct Wishes<'a> {
    inputs: &'a Inputs<'a>,
    /// By campaign; one whose spec cannot be read asks for nothing that could be compared: its gate holds what it sends.
    judges: BTreeMap<&'a Lineage, Option<Wished<'a>>>,
}

/// What one campaign asks for.
struct Wished<'a> {
    digest: &'a str,
    spec: &'a ResolvedCampaign,
    campaign: &'a Campaign,
    judge: audience::Judge<'a>,
    /// People whom the pass leaves out.
    left_out: u64,
}

impl<'a> Wishes<'a> {
    fn new(inputs: &'a Inputs<'a>) -> Self {
        Wishes {
            inputs,
            judges: BTreeMap::new(),
        }
    }

    /// Whether a send would be made still: by this account, to this person, for this step. A text that was edited since
    /// does not count: what is in doubt goes out as it was, or it could arrive twice.
    fn still_wants(&mut self, key: &'a SendKey, flight: &InFlight) -> bool {
        let inputs = self.inputs;
        if key.lineage.as_ref() == TEST_LINEAGE {
            // To whom a test goes was asked when it was ordered, and oneself may always have one.
            return true;
        }
        if is_aside(&key.lineage) {
            return is_let(inputs, key);
        }
        let judge = self.judges.entry(&key.lineage).or_insert_with(|| {
            let mut campaigns = inputs.desired.campaigns.values();
            let wanted = campaigns.find(|campaign| campaign.lineage == key.lineage)?;
            let spec = wanted.spec.as_deref()?;
            let campaign = inputs.observed.campaigns.get(&key.lineage)?;
            Some(Wished {
                digest: &wanted.digest,
                spec,
                campaign,
                judge: audience::Judge::new(inputs, spec, campaign),
                left_out: 0,
            })
        });
        let Some(wished) = judge else {
            return true;
        };
        let intent = &flight.intent;
        // An invite names its target, which an edit may have changed.
        let elsewhere = intent.is_invite() && *intent.digest != *wished.digest;
        if elsewhere || !wished.spec.accounts.contains(&intent.account) {
            return false;
        }
        let handle = inputs.observed.handle(key.person);
        if key.step > 0 {
            let step = super::steps::step_of(wished.spec, key.step);
            return step.is_some_and(|step| {
                is_let(inputs, key)
                    && handle.is_none_or(|handle| {
                        let replied = wished.campaign.steps.has_replied(handle, key.run);
                        (step.always || !replied) && !is_unread(inputs, handle)
                    })
            });
        }
        let stays = handle.is_none_or(|handle| {
            let standing = audience::on_their_way(wished.campaign);
            let standing = standing.saturating_sub(wished.left_out);
            wished.judge.verdict(handle, key.person, standing) == audience::Verdict::Stays
        });
        wished.left_out += u64::from(!stays);
        stays
    }
}

/// Whether `limits.only_to` lets a message to him out.
fn is_let(inputs: &Inputs<'_>, key: &SendKey) -> bool {
    let Some(only) = &inputs.desired.engine.limits.only_to else {
        return true;
    };
    let mut named = false;
    let mut look = |known: Option<&Person>| named = is_named(key.person, known, only);
    inputs.people.show(key.person, &mut look);
    named
}

/// Whether an account is away for good, as far as can be told: one that is about to connect, or that has just lost its
/// connection, may soon read its dialogs.
fn is_gone(inputs: &Inputs<'_>, name: &AccountName) -> bool {
    let account = inputs.observed.accounts.get(name);
    if account.is_some_and(|account| account.trouble.is_some()) {
        return true;
    }
    match inputs.runtime.links.get(name) {
        // One that nothing names any more, and whose session file is gone.
        None => !inputs.desired.engine.accounts.contains_key(name),
        Some(Link::Connecting | Link::Ready { .. } | Link::Idle) => false,
        Some(Link::Unreachable { .. }) => {
            let since = inputs.runtime.lost_since.get(name);
            since.is_some_and(|since| inputs.now.since(*since) >= AWAY_MOST)
        }
        Some(_) => true,
    }
}

/// Whether a message of a campaign goes out again once its pause is over: had it not arrived, it is a message like any
/// other, and none of an account comes too soon after another. Until when it waits; its own pause it need not.
fn paced(inputs: &Inputs<'_>, flight: &InFlight, again_now: &[&InFlight]) -> Option<Timestamp> {
    if is_aside(&flight.intent.key.lineage) {
        return None;
    }
    let account = &flight.intent.account;
    let same =
        |other: &InFlight| other.intent.account == *account && !is_aside(&other.intent.key.lineage);
    let executing = inputs
        .runtime
        .executing
        .iter()
        .filter_map(|key| inputs.observed.in_flight.get(key))
        .map(|other| &**other);
    let mut beside = again_now.iter().copied().chain(executing);
    // A campaign without pauses sends beside its own, and not beside those that ask for one.
    let paused = |other: &InFlight| !flight.gap().is_zero() || !other.gap().is_zero();
    if beside.any(|other| same(other) && paused(other)) {
        // Whatever comes of it is reported, and planned after then.
        return Some(Timestamp::MAX);
    }
    let next = inputs.observed.accounts.get(account)?.next_allowed_at;
    let until = flight.waits_until(next);
    (until > inputs.now).then_some(until)
}

/// Messages in doubt that may leave again, and count before `start`: they keep their places in the caps of what began then.
pub(super) fn carried(
    inputs: &Inputs<'_>,
    start: Timestamp,
    of: impl Fn(&InFlight) -> bool,
) -> u32 {
    let mut accounts = inputs.observed.accounts.values();
    if accounts.all(|account| account.in_doubt == 0) {
        return 0;
    }
    let carried = inputs.observed.in_flight.values().filter(|flight| {
        let open = matches!(flight.doubt, Some((why, since))
            if !matches!(why, InDoubtWhy::Refused(_)) && inputs.now.since(since) < DOUBT_MOST);
        open && flight.charged() < start && !is_aside(&flight.intent.key.lineage) && of(flight)
    });
    u32::try_from(carried.count()).unwrap_or(u32::MAX)
}

/// Until when a message that counts for a day (or hour) that is over finds no room in the caps of this one.
fn room_again(
    inputs: &Inputs<'_>,
    flight: &InFlight,
    again_now: &[&InFlight],
) -> Option<Timestamp> {
    let intent = &flight.intent;
    let line = &intent.key.lineage;
    let now = inputs.now;
    let account = inputs.observed.accounts.get(&intent.account)?;
    let campaign = inputs.observed.campaigns.get(line)?;
    let mut campaigns = inputs.desired.campaigns.values();
    let spec = campaigns
        .find(|campaign| campaign.lineage == *line)?
        .spec
        .as_deref()?;
    let mut free = None;
    let mut cap = |most: u32,
                   used: u32,
                   start: Timestamp,
                   end: Timestamp,
                   same: &dyn Fn(&InFlight) -> bool| {
        if flight.charged() >= start {
            return;
        }
        let more = again_now
            .iter()
            .filter(|other| other.charged() < start && same(other));
        if used.saturating_add(u32::try_from(more.count()).unwrap_or(u32::MAX)) >= most {
            free = free.max(Some(end));
        }
    };
    let by_account = |other: &InFlight| other.intent.account == intent.account;
    let of_campaign = |other: &InFlight| other.intent.key.lineage == *line;
    let both = |other: &InFlight| by_account(other) && of_campaign(other);
    let (allowance, zone) = super::accounts::allowance(inputs, &intent.account);
    let today = Day::of(now, zone);
    let (start, end) = (today.start(), today.end());
    cap(
        allowance,
        account.meter.since(start),
        start,
        end,
        &by_account,
    );
    if intent.attested {
        let most = inputs.desired.engine.limits.attested_per_day;
        let attested = |other: &InFlight| by_account(other) && other.intent.attested;
        cap(most, account.attested.since(start), start, end, &attested);
    }
    let day = Day::of(now, spec.schedule.zone);
    let (start, end) = (day.start(), day.end());
    if let Some(most) = spec.delays.campaign_per_day {
        cap(most, campaign.meter.since(start), start, end, &of_campaign);
    }
    let index = inputs.observed.account_index(&intent.account)?;
    let meter = campaign.meters.get(&index)?;
    cap(spec.delays.per_day, meter.since(start), start, end, &both);
    if let Some(most) = spec.delays.per_hour {
        let end = meter.hour_free_at(now, most);
        cap(most, meter.last_hour(now), hour_ago(now), end, &both);
    }
    free
}

/// Since when messages count for the hour's cap: the oldest minute counts whole.
pub(super) fn hour_ago(now: Timestamp) -> Timestamp {
    Timestamp((now.0 - 3_600_000).div_euclid(60_000) * 60_000)
}

/// When the campaign's windows open, where they are closed now.
fn window(inputs: &Inputs<'_>, key: &SendKey) -> Option<Timestamp> {
    let mut campaigns = inputs.desired.campaigns.values();
    let spec = campaigns
        .find(|campaign| campaign.lineage == key.lineage)?
        .spec
        .as_deref()?;
    let (windows, zone) = (&spec.schedule.windows, spec.schedule.zone);
    if windows.open_at(inputs.now, zone) {
        return None;
    }
    Some(
        windows
            .next_open(inputs.now, zone)
            .unwrap_or(Timestamp::MAX),
    )
}

/// Whether a campaign may send now what it already decided to send: not while it is held or its windows are closed, and a
/// first message not while it is unknown whom the campaign is to reach.
fn may_go_again(plan: &Plan, key: &SendKey, inputs: &Inputs<'_>) -> bool {
    let Some(view) = plan.report.campaigns.get(&key.lineage) else {
        return false;
    };
    match &view.gate {
        Gate::Open | Gate::Done { .. } => true,
        Gate::Blocked { condition, .. } => match *condition {
            "AwaitingApproval" | "Canary" => true,
            "SourceFailed" => key.step > 0,
            _ => false,
        },
        Gate::Waits { reason, .. } => match reason {
            Waiting::OutsideWindow | Waiting::NotStarted | Waiting::Held => false,
            Waiting::Canary | Waiting::OwnerPlan | Waiting::Cooldown => !inputs.runtime.draining,
            // Its sources are read or its filters applied, and they may leave him out.
            _ => key.step > 0 && !inputs.runtime.draining,
        },
    }
}

/// The one confirmation of an opt-out: in nobody's name, so that no hold and no window keeps it.
pub(super) fn confirmations(inputs: &Inputs<'_>, plan: &mut Plan) {
    let Some(reply) = &inputs.desired.engine.opt_out.reply else {
        return;
    };
    if inputs.runtime.draining {
        return;
    }
    for (number, account) in &inputs.observed.confirmations {
        let Some(name) = inputs.observed.account_name(*account) else {
            continue;
        };
        match may_answer(inputs, name) {
            Availability::Now { .. } => {}
            Availability::Later { until, .. } => {
                if let Some(until) = until {
                    plan.wake(until, inputs.now);
                }
                continue;
            }
        }
        let Some(person) = inputs.observed.persons.id(Handle(*number)) else {
            continue;
        };
        let key = SendKey {
            lineage: OPT_OUT_LINEAGE.into(),
            person,
            step: 0,
            run: 0,
        };
        if inputs.observed.in_flight.contains_key(&key) {
            continue;
        }
        let Some(Link::Ready {
            random_key,
            first_name,
            username,
        }) = inputs.runtime.links.get(name)
        else {
            continue;
        };
        let known = inputs.people.get(person).unwrap_or_default();
        if let Some(only) = &inputs.desired.engine.limits.only_to
            && !is_named(person, Some(&known), only)
        {
            continue;
        }
        let account = AccountFacts {
            name,
            first_name: first_name.as_deref(),
            username: username.as_deref(),
        };
        let nobody = CampaignFacts::default();
        let context = Context {
            contact: &known.contact,
            campaign: &nobody,
            account: Some(account),
            now: inputs.now,
            zone: crate::time::Zone::UTC,
            step: 0,
            invite_link: None,
        };
        // Whoever lacks what the template prints is told all the same.
        let message = compose(reply, None, false, &context).unwrap_or_else(|_| Formatted {
            text: DEFAULT_OPT_OUT_REPLY.to_owned(),
            entities: Vec::new(),
        });
        plan.actions.push(Action::Send(Box::new(SendAction {
            random_id: key.random_id(random_key),
            key,
            account: name.clone(),
            run: 0,
            variant: "opt_out.reply".into(),
            digest: "".into(),
            message,
            link_preview: false,
            media: None,
            gap: Duration::ZERO,
            attested: false,
        })));
    }
}

//! Who gets the next message, from which account, and what it says.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::accounts::{Availability, may_answer, may_contact, may_invite, usable, valid};
use super::reach::{Keepers, LOOK_THROUGH, may_resolve};
use super::{
    Action, Gate, Inputs, InviteAction, Link, Plan, SendAction, Wait, audience, gate, invite, steps,
};
use crate::desired::{ResolvedCampaign, SourceRole, Variant};
use crate::model::{
    AccountName, AccountState, Contact, Event, Formatted, Lineage, Outcome, Person, PersonId,
    SendKey, TEST_LINEAGE, Timestamp, Waiting, is_aside,
};
use crate::observed::{Campaign, ClassId, Handle, InFlight, OPT_OUT_LINEAGE};
use crate::people::{best_reference, is_named};
use crate::text::{AccountFacts, CampaignFacts, ComposeError, Context, compose, variant_index};

/// Sends of one account that may be in hand at once where no delay stands between them: enough that the account
/// never waits for the disk, few enough that what Telegram's refusal leaves over is given back at once.
const IN_HAND: usize = 256;
/// People settled without a message (unreachable, template errors) in one pass: the rest follow in the next.
const SETTLED_A_PASS: usize = 500;
/// In doubt for longer: the history decides (CONTRACT section 6).
const DOUBT_MOST: Duration = Duration::from_secs(24 * 3600);

/// What templates know of a campaign.
pub(super) fn facts(spec: &ResolvedCampaign, campaign: &Campaign) -> CampaignFacts {
    CampaignFacts {
        name: spec.name.clone(),
        title: spec.spec.title.clone(),
        labels: spec.spec.labels.clone(),
        run: u64::from(campaign.run.max(1)),
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
    for (key, flight) in &inputs.observed.in_flight {
        let Some((_, since)) = flight.doubt else {
            continue;
        };
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
                if old && usable(inputs, account).is_err() {
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
        let silenced = inputs
            .observed
            .handle(key.person)
            .is_some_and(|h| inputs.observed.is_silenced(h));
        let confirmation = key.lineage.as_ref() == OPT_OUT_LINEAGE;
        let again = |plan: &Plan| {
            if is_aside(&key.lineage) {
                confirmation
                    || key.lineage.as_ref() == TEST_LINEAGE
                    || super::answers::may_go_again(inputs, plan, key)
            } else {
                may_go_again(plan, key, inputs, flight)
            }
        };
        if old || (silenced && !confirmation) {
            plan.actions.push(Action::LookBack { key: key.clone() });
        } else if again(plan) {
            plan.actions.push(Action::Retry { key: key.clone() });
        }
    }
}

/// Whether a campaign may send now what it already decided to send: not while it is held or its windows are closed.
fn may_go_again(plan: &Plan, key: &SendKey, inputs: &Inputs<'_>, _flight: &InFlight) -> bool {
    let Some(view) = plan.report.campaigns.get(&key.lineage) else {
        return false;
    };
    match &view.gate {
        Gate::Open | Gate::Done { .. } => true,
        Gate::Blocked { condition, .. } => {
            matches!(*condition, "AwaitingApproval" | "Canary" | "SourceFailed")
        }
        Gate::Waits { reason, .. } => match reason {
            Waiting::OutsideWindow | Waiting::NotStarted | Waiting::Held => false,
            _ => !inputs.runtime.draining,
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
            name: name.to_string(),
            first_name: first_name.clone(),
            username: username.clone(),
        };
        let nobody = CampaignFacts::default();
        let context = Context {
            contact: &known.contact,
            campaign: &nobody,
            account: Some(&account),
            now: inputs.now,
            zone: crate::time::Zone::UTC,
            step: 0,
            invite_link: None,
        };
        let Ok(message) = compose(reply, None, false, &context) else {
            continue;
        };
        plan.actions.push(Action::Send(Box::new(SendAction {
            random_id: key.random_id(random_key),
            key,
            account: name.clone(),
            run: 0,
            variant: "opt_out.reply".to_owned(),
            digest: String::new(),
            message,
            link_preview: false,
            media: None,
            gap: Duration::ZERO,
            attested: false,
        })));
    }
}

/// A pass over one campaign.
pub(super) struct Turn<'a> {
    pub(super) line: &'a Lineage,
    pub(super) spec: &'a ResolvedCampaign,
    pub(super) campaign: &'a Campaign,
    digest: &'a str,
    facts: CampaignFacts,
    /// First contacts may leave.
    open: bool,
    /// Follow-ups may leave.
    pub(super) follows_up: bool,
    /// What the day's cap of all accounts together still lets go.
    room: u32,
    /// First contacts that the canary still lets go.
    canary: u32,
    /// People planned in this pass.
    taken: std::collections::BTreeSet<u32>,
    settled: usize,
}

/// What an account has done in this pass.
struct AccountTurn<'a> {
    name: &'a AccountName,
    /// Sends that have no answer yet, those planned now among them.
    in_hand: usize,
    /// How many of them there were before this pass.
    had: usize,
    /// Whether it takes more in this pass where it may have many in hand.
    refills: bool,
    /// The next people by campaign.
    queues: BTreeMap<usize, VecDeque<u32>>,
    /// What it may still send today, over all campaigns.
    today: u32,
    /// What it may still send today under consent `attested`.
    attested: u32,
    /// What it may still send for each campaign.
    rooms: BTreeMap<usize, u32>,
    /// Of follow-ups, which `limits.attested_per_day` does not count.
    step_rooms: BTreeMap<usize, u32>,
    /// What it sent for each campaign in this pass.
    spent: BTreeMap<usize, u32>,
    /// What it owes, gathered once a pass.
    due: Option<VecDeque<steps::Due>>,
    /// The campaign whose turn it is.
    next: usize,
    /// Nothing more in this pass.
    done: bool,
}

/// Messages: each account takes its next person, campaigns in turn and accounts in turn, so that neither a campaign
/// nor an account takes everybody. What an account owes to somebody it has written to goes before any first contact.
pub(super) fn messages(inputs: &Inputs<'_>, plan: &mut Plan) {
    let mut turns: Vec<Turn<'_>> = valid(inputs)
        .filter_map(|(wanted, spec, campaign)| {
            let line = &wanted.lineage;
            let open = plan
                .report
                .campaigns
                .get(line)
                .is_some_and(|view| view.gate == Gate::Open);
            let follows_up = steps::may_go(inputs, plan, line, spec);
            (open || follows_up).then(|| Turn {
                line,
                spec,
                campaign,
                digest: &wanted.digest,
                facts: facts(spec, campaign),
                open,
                follows_up,
                room: campaign_room(spec, campaign, inputs.now),
                canary: gate::canary_room(spec, campaign),
                taken: std::collections::BTreeSet::new(),
                settled: 0,
            })
        })
        .collect();
    for turn in turns.iter().filter(|turn| turn.open) {
        invite::prepare(inputs, plan, turn.line, turn.spec, turn.campaign);
    }
    // Campaigns in turn: the one that sent longest ago first.
    turns.sort_by_key(|turn| (turn.campaign.last_sent_at, turn.spec.name.clone()));
    let names: std::collections::BTreeSet<&AccountName> = turns
        .iter()
        .flat_map(|turn| turn.spec.accounts.iter())
        .collect();
    let mut accounts: Vec<AccountTurn<'_>> = names
        .into_iter()
        .map(|name| AccountTurn::new(inputs, name))
        .collect();
    // Whoever has least in hand goes first: after a stop for a refusal the others do not run ahead for ever.
    accounts.sort_by_key(|account| account.in_hand);
    // One that has come to its half has all of them refilled: their intents then share one write.
    if accounts
        .iter()
        .any(|account| account.had > 0 && account.had <= IN_HAND / 2)
    {
        for account in &mut accounts {
            account.refills = true;
        }
    }
    while accounts.iter().any(|account| !account.done) {
        for account in accounts.iter_mut().filter(|account| !account.done) {
            account.step(inputs, plan, &mut turns);
        }
    }
    for turn in &mut turns {
        if turn.follows_up {
            steps::settle_lost(inputs, plan, turn);
        }
        if turn.open {
            unreachable(inputs, plan, turn);
            waits(inputs, plan, turn);
        }
    }
}

/// How many more messages of a campaign may leave today, all accounts together.
fn campaign_room(spec: &ResolvedCampaign, campaign: &Campaign, now: Timestamp) -> u32 {
    let Some(most) = spec.delays.campaign_per_day else {
        return u32::MAX;
    };
    let today = crate::time::Day::of(now, spec.schedule.zone);
    most.saturating_sub(campaign.meter.since(today.start()))
}

/// How many sends of a campaign one account may have in hand. Where guardrails watch, each message waits for the answer
/// to the one before it: a burst would be out before they trip.
fn hand(spec: &ResolvedCampaign) -> usize {
    let watched = spec
        .spec
        .guardrails
        .as_ref()
        .is_some_and(|rails| rails.is_active());
    if watched || !spec.delays.between.1.is_zero() {
        1
    } else {
        IN_HAND
    }
}

impl<'a> AccountTurn<'a> {
    fn new(inputs: &Inputs<'_>, name: &'a AccountName) -> Self {
        let account = inputs.observed.accounts.get(name);
        let in_flight = account.map_or(0, |a| a.in_flight.saturating_sub(a.in_doubt)) as usize;
        let doubted = |key: &&SendKey| {
            inputs
                .observed
                .in_flight
                .get(*key)
                .is_some_and(|f| f.doubt.is_some() && f.intent.account == *name)
        };
        // Nothing is in doubt nearly always, and then nothing is looked through.
        let retried = match account {
            Some(account) if account.in_doubt > 0 => {
                inputs.runtime.executing.iter().filter(doubted).count()
            }
            _ => 0,
        };
        let (allowance, zone) = super::accounts::allowance(inputs, name);
        let start = crate::time::Day::of(inputs.now, zone).start();
        let attested = inputs.desired.engine.limits.attested_per_day;
        AccountTurn {
            name,
            in_hand: in_flight + retried,
            had: in_flight + retried,
            refills: in_flight + retried == 0,
            queues: BTreeMap::new(),
            today: account.map_or(allowance, |a| {
                allowance.saturating_sub(a.meter.since(start))
            }),
            attested: account.map_or(attested, |a| {
                attested.saturating_sub(a.attested.since(start))
            }),
            rooms: BTreeMap::new(),
            step_rooms: BTreeMap::new(),
            spent: BTreeMap::new(),
            due: None,
            next: 0,
            done: false,
        }
    }

    /// Takes one person of the first campaign in turn that has one for it.
    fn step(&mut self, inputs: &Inputs<'_>, plan: &mut Plan, turns: &mut [Turn<'_>]) {
        if self.follow_up(inputs, plan, turns) {
            return;
        }
        for _ in 0..turns.len() {
            let index = self.next % turns.len();
            self.next += 1;
            let Some(turn) = turns.get_mut(index) else {
                continue;
            };
            if !turn.open
                || !turn.spec.accounts.contains(self.name)
                || turn.room == 0
                || turn.canary == 0
            {
                continue;
            }
            let attested = turn.spec.is_attested();
            let room = self.room(inputs, plan, index, turn);
            if room == 0 || self.today == 0 || (attested && self.attested == 0) {
                continue;
            }
            if self.in_hand >= hand(turn.spec) {
                self.done = true;
                return;
            }
            // Refilled by the half, so that many intents share one write.
            if hand(turn.spec) == IN_HAND && !self.refills {
                self.done = true;
                return;
            }
            let queue = self
                .queues
                .entry(index)
                .or_insert_with(|| queue_of(inputs, self.name, turn));
            match take(inputs, plan, self.name, turn, queue) {
                Taken::Sent => {
                    self.in_hand += 1;
                    self.today -= 1;
                    if attested {
                        self.attested -= 1;
                    }
                    self.spend(index, turn);
                    turn.canary = turn.canary.saturating_sub(1);
                    self.done = !turn.spec.delays.between.1.is_zero();
                    return;
                }
                Taken::Busy => {
                    self.done = true;
                    return;
                }
                Taken::Nobody => {
                    self.rooms.insert(index, 0);
                }
            }
        }
        self.done = true;
    }

    /// One message of a campaign was planned.
    fn spend(&mut self, index: usize, turn: &mut Turn<'_>) {
        *self.spent.entry(index).or_default() += 1;
        for rooms in [&mut self.rooms, &mut self.step_rooms] {
            if let Some(room) = rooms.get_mut(&index) {
                *room = room.saturating_sub(1);
            }
        }
        turn.room = turn.room.saturating_sub(1);
    }

    /// Takes the follow-up that is due for longest. False: it owes none that may leave now.
    fn follow_up(&mut self, inputs: &Inputs<'_>, plan: &mut Plan, turns: &mut [Turn<'_>]) -> bool {
        if self.due.is_none() {
            self.due = Some(steps::due(inputs, plan, self.name, turns));
        }
        while let Some(due) = self.due.as_mut().and_then(VecDeque::pop_front) {
            let Some(turn) = turns.get_mut(due.turn) else {
                continue;
            };
            if turn.room == 0 || self.today == 0 {
                continue;
            }
            let room = match self.step_rooms.get(&due.turn) {
                Some(room) => *room,
                None => match may_contact(inputs, self.name, turn.spec, turn.campaign, false) {
                    Availability::Now { room } => {
                        room.saturating_sub(self.spent.get(&due.turn).copied().unwrap_or(0))
                    }
                    Availability::Later { until, .. } => {
                        if let Some(until) = until {
                            plan.wake(until, inputs.now);
                        }
                        0
                    }
                },
            };
            self.step_rooms.insert(due.turn, room);
            if room == 0 {
                continue;
            }
            if self.in_hand >= hand(turn.spec) {
                self.done = true;
                return true;
            }
            match take_step(inputs, plan, self.name, turn, &due) {
                Taken::Sent => {
                    self.in_hand += 1;
                    self.today -= 1;
                    self.spend(due.turn, turn);
                    self.done = !turn.spec.delays.between.1.is_zero();
                    return true;
                }
                Taken::Busy => {
                    self.done = true;
                    return true;
                }
                Taken::Nobody => {}
            }
        }
        false
    }

    fn room(&mut self, inputs: &Inputs<'_>, plan: &mut Plan, index: usize, turn: &Turn<'_>) -> u32 {
        if let Some(room) = self.rooms.get(&index) {
            return *room;
        }
        let room = match may_contact(inputs, self.name, turn.spec, turn.campaign, true) {
            Availability::Now { room } => {
                room.saturating_sub(self.spent.get(&index).copied().unwrap_or(0))
            }
            Availability::Later { until, .. } => {
                if let Some(until) = until {
                    plan.wake(until, inputs.now);
                    typing_ahead(inputs, plan, self.name, turn, until);
                }
                0
            }
        };
        self.rooms.insert(index, room);
        room
    }
}

pub(super) enum Taken {
    /// A message was planned.
    Sent,
    /// The account does something first that the message needs.
    Busy,
    /// Nobody waits whom it may write to.
    Nobody,
}

/// The people whom an account may take: first those whom few others can reach, of these those found first.
/// `unresolved`: usernames and phones too, which any of so many accounts can look up.
fn candidates<'a>(
    inputs: &'a Inputs<'_>,
    campaign: &'a Campaign,
    index: Option<u16>,
    unresolved: Option<usize>,
) -> impl Iterator<Item = u32> + 'a {
    let persons = &inputs.observed.persons;
    let mut heads: Vec<_> = campaign
        .queues
        .iter()
        .map(|(class, queue)| (persons.accounts(*class), queue))
        .filter(|(accounts, _)| index.is_some_and(|i| accounts.contains(&i)))
        .map(|(accounts, queue)| (accounts.len(), queue.iter().copied().peekable()))
        .collect();
    if let Some(width) = unresolved {
        heads.push((width, campaign.unresolved.iter().copied().peekable()));
    }
    std::iter::from_fn(move || {
        let best = heads
            .iter_mut()
            .filter_map(|(width, h)| h.peek().copied().map(|n| ((*width, n), h)))
            .min_by_key(|(rank, _)| *rank);
        best.and_then(|(_, head)| head.next())
    })
}

/// How many heads of queues one try looks at before it gives up until the next pass: people who are slowed down or
/// are being looked up stand in the way of few.
const LOOK_PAST: usize = 256;

/// The next people of an account in a campaign, gathered once a pass.
fn queue_of(inputs: &Inputs<'_>, name: &AccountName, turn: &Turn<'_>) -> VecDeque<u32> {
    // While nobody can be looked up, those who must be do not stand in the way of the others.
    let can_look_up = matches!(may_resolve(inputs, name), Availability::Now { .. })
        && !inputs.runtime.resolving.contains_key(name);
    let index = inputs.observed.account_index(name);
    let keepers = Keepers::new(inputs, turn.spec, turn.campaign);
    let kept = keepers.any();
    candidates(
        inputs,
        turn.campaign,
        index,
        can_look_up.then_some(turn.spec.accounts.len()),
    )
    .take(LOOK_THROUGH)
    .filter(|number| !turn.taken.contains(number))
    .filter(|number| !kept || !keepers.is_anothers(*number, index))
    .take(LOOK_PAST)
    .collect()
}

fn take(
    inputs: &Inputs<'_>,
    plan: &mut Plan,
    name: &AccountName,
    turn: &mut Turn<'_>,
    queue: &mut VecDeque<u32>,
) -> Taken {
    let now = inputs.now;
    let index = inputs.observed.account_index(name);
    while let Some(number) = queue.pop_front() {
        // Another account may have taken him in this pass.
        if turn.taken.contains(&number) {
            continue;
        }
        let handle = Handle(number);
        let Some(person) = inputs.observed.persons.id(handle) else {
            continue;
        };
        if let Some(until) = inputs.observed.slowed.get(&number)
            && *until > now
        {
            plan.wake(*until, now);
            continue;
        }
        if is_in_hand(inputs, plan, person) {
            continue;
        }
        if let Some(until) = person_gap(inputs, number) {
            plan.wake(until, now);
            continue;
        }
        let again = index.is_some_and(|i| inputs.observed.relook.contains(&(i, number)));
        if !person.is_user() || again {
            let key = key_of(turn, person);
            match look_up(inputs, plan, name, turn, &key) {
                Some(taken) => return taken,
                None => continue,
            }
        }
        if turn.campaign.unjudged.contains(&number) {
            let reason = audience::judge_one(inputs, turn.spec, turn.campaign, handle, person);
            let (included, excluded) = match reason {
                None => (vec![person], Vec::new()),
                Some(reason) => (Vec::new(), vec![(reason, vec![person])]),
            };
            plan.actions.push(Action::Record(Event::Judged {
                campaign: turn.line.clone(),
                included,
                excluded,
                dropped: Vec::new(),
                finished: None,
            }));
            turn.taken.insert(number);
            if reason.is_some() {
                continue;
            }
        }
        turn.taken.insert(number);
        if inputs.report_only {
            return Taken::Sent;
        }
        let key = key_of(turn, person);
        let spec = turn.spec;
        match message(inputs, plan, name, turn, key, &spec.variants) {
            Some(taken) => return taken,
            None => {
                turn.settled += 1;
                if turn.settled >= SETTLED_A_PASS {
                    return Taken::Nobody;
                }
            }
        }
    }
    Taken::Nobody
}

/// Makes a follow-up. [`Taken::Nobody`]: not to him, not now.
fn take_step(
    inputs: &Inputs<'_>,
    plan: &mut Plan,
    name: &AccountName,
    turn: &mut Turn<'_>,
    due: &steps::Due,
) -> Taken {
    let now = inputs.now;
    let Some(person) = inputs.observed.persons.id(Handle(due.number)) else {
        return Taken::Nobody;
    };
    let slowed = inputs
        .observed
        .slowed
        .get(&due.number)
        .copied()
        .filter(|until| *until > now);
    if let Some(until) = slowed.or_else(|| person_gap(inputs, due.number)) {
        plan.wake(until, now);
        return Taken::Nobody;
    }
    if inputs.observed.is_silenced(Handle(due.number)) || is_in_hand(inputs, plan, person) {
        return Taken::Nobody;
    }
    let Some(step) = steps::step_of(turn.spec, due.step) else {
        return Taken::Nobody;
    };
    let key = due.key(turn.line, person);
    let index = inputs.observed.account_index(name);
    let again = index.is_some_and(|i| inputs.observed.relook.contains(&(i, due.number)));
    let reached = index.is_some_and(|i| inputs.observed.persons.reaches(i, Handle(due.number)));
    if again || !reached {
        return look_up(inputs, plan, name, turn, &key).unwrap_or(Taken::Nobody);
    }
    if inputs.report_only {
        return Taken::Sent;
    }
    message(inputs, plan, name, turn, key, &step.variants).unwrap_or(Taken::Nobody)
}

/// Whether `limits.per_person` makes him wait for the outcome of another campaign's message that is on its way.
fn is_in_hand(inputs: &Inputs<'_>, plan: &Plan, person: PersonId) -> bool {
    let limits = &inputs.desired.engine.limits;
    if limits.per_person_gap.is_none() && limits.per_person_month.is_none() {
        return false;
    }
    inputs
        .observed
        .in_flight
        .keys()
        .any(|key| key.person == person)
        || plan
            .actions
            .iter()
            .any(|action| matches!(action, Action::Send(send) if send.key.person == person))
}

/// Whether `limits.per_person` makes him wait, and until when.
pub(super) fn person_gap(inputs: &Inputs<'_>, number: u32) -> Option<Timestamp> {
    const MONTH: Duration = Duration::from_secs(30 * 86_400);
    let limits = &inputs.desired.engine.limits;
    let contacted = inputs.observed.contacted.get(&number)?;
    let after_gap = limits
        .per_person_gap
        .and_then(|gap| Some(contacted.last_sent? + gap));
    // The message that must be over a month old before the next one may leave.
    let after_month = limits.per_person_month.and_then(|most| {
        let most = (most as usize).max(1);
        let nth = contacted.sent.len().checked_sub(most)?;
        Some(*contacted.sent.get(nth)? + MONTH)
    });
    let free = after_gap.max(after_month)?;
    (free > inputs.now).then_some(free)
}

/// Looks a username, a phone or a lost address up. `None`: not now, somebody else first.
fn look_up(
    inputs: &Inputs<'_>,
    plan: &mut Plan,
    name: &AccountName,
    turn: &mut Turn<'_>,
    key: &SendKey,
) -> Option<Taken> {
    let person = key.person;
    if inputs.runtime.resolving.values().any(|who| *who == person) {
        return None;
    }
    if inputs.runtime.resolving.contains_key(name) {
        return None;
    }
    if planned_resolve(plan, |account, who| account == name || who == person) {
        return None;
    }
    match may_resolve(inputs, name) {
        Availability::Now { .. } => {}
        Availability::Later { until, .. } => {
            if let Some(until) = until {
                plan.wake(until, inputs.now);
            }
            return None;
        }
    }
    let known = inputs.people.get(person).unwrap_or_default();
    match best_reference(&known) {
        Some(reference) => {
            plan.actions.push(Action::Resolve {
                account: name.clone(),
                person,
                reference,
                campaign: turn.line.clone(),
            });
            Some(Taken::Busy)
        }
        None => {
            turn.settled += 1;
            let detail = "Telegram does not know the address that the account has of him, and he has no username or \
                          phone to look up";
            plan.actions
                .push(settled(key, Outcome::Unreachable, detail.to_owned()));
            None
        }
    }
}

/// Whether this pass already plans to look somebody up.
pub(super) fn planned_resolve(
    plan: &Plan,
    matches: impl Fn(&AccountName, PersonId) -> bool,
) -> bool {
    plan.actions
        .iter()
        .any(|action| matches!(action, Action::Resolve { account, person, .. } if matches(account, *person)))
}

/// Somebody is settled for a step without a message.
fn settled(key: &SendKey, outcome: Outcome, detail: String) -> Action {
    Action::Record(if key.step == 0 {
        Event::Skipped {
            campaign: key.lineage.clone(),
            person: key.person,
            step: 0,
            outcome,
            detail,
        }
    } else {
        Event::StepSkipped {
            key: key.clone(),
            outcome,
            detail,
        }
    })
}

/// The send-once key of a person's first message.
fn key_of(turn: &Turn<'_>, person: PersonId) -> SendKey {
    SendKey {
        lineage: turn.line.clone(),
        person,
        step: 0,
        run: turn.campaign.key_run(),
    }
}

/// Makes the message. `None`: he was settled without one.
fn message(
    inputs: &Inputs<'_>,
    plan: &mut Plan,
    name: &AccountName,
    turn: &mut Turn<'_>,
    key: SendKey,
    variants: &[Variant],
) -> Option<Taken> {
    let person = key.person;
    let Some(Link::Ready {
        random_key,
        first_name,
        username,
    }) = inputs.runtime.links.get(name)
    else {
        return Some(Taken::Nobody);
    };
    let known = inputs.people.get(person).unwrap_or_default();
    if let Some(only) = &inputs.desired.engine.limits.only_to
        && !is_named(person, Some(&known), only)
    {
        return None;
    }
    if key.step == 0 && invite::adds(turn.spec) {
        plan.actions.push(Action::Invite(Box::new(InviteAction {
            gap: draw(&key, "between_invites", turn.spec.delays.between),
            key,
            account: name.clone(),
            run: turn.campaign.run,
            variant: invite::ADDED.to_owned(),
            digest: turn.digest.to_owned(),
            attested: turn.spec.is_attested(),
        })));
        return Some(Taken::Sent);
    }
    let variant = choose(variants, &key)?;
    let account = AccountFacts {
        name: name.to_string(),
        first_name: first_name.clone(),
        username: username.clone(),
    };
    let link = invite::link(inputs, turn.spec, turn.campaign, name);
    let text = text_for(
        inputs,
        turn,
        key.step,
        variant,
        &known.contact,
        &account,
        link,
    );
    let text = match text {
        Ok(text) => text,
        Err(problem) => {
            let (outcome, detail) = match &problem {
                ComposeError::TooLong { .. } => (Outcome::TooLong, problem.to_string()),
                ComposeError::TemplateError(_) | ComposeError::Empty => {
                    (Outcome::TemplateError, problem.to_string())
                }
            };
            let detail = format!("template `{}`: {detail}", variant.name);
            plan.actions.push(settled(&key, outcome, detail));
            return None;
        }
    };
    if let Some(media) = &variant.media {
        let wanted = (name.clone(), media.clone());
        if !inputs.runtime.media.contains(&wanted) {
            let planned = plan.actions.iter().any(|action| {
                matches!(action, Action::Upload { account, media, .. } if (account, media) == (&wanted.0, &wanted.1))
            });
            if !inputs.runtime.uploading.contains(&wanted) && !planned {
                plan.actions.push(Action::Upload {
                    account: name.clone(),
                    media: media.clone(),
                    campaign: turn.line.clone(),
                });
            }
            return Some(Taken::Busy);
        }
    }
    if let Some(busy) = typing(inputs, plan, name, turn.spec, &key) {
        return Some(busy);
    }
    let gap = draw(&key, "between_messages", turn.spec.delays.between);
    let attested = key.step == 0 && turn.spec.is_attested();
    plan.actions.push(Action::Send(Box::new(SendAction {
        random_id: key.random_id(random_key),
        key,
        account: name.clone(),
        run: turn.campaign.run,
        variant: variant.name.clone(),
        digest: turn.digest.to_owned(),
        message: text,
        link_preview: variant.link_preview,
        media: variant.media.clone(),
        gap,
        attested,
    })));
    Some(Taken::Sent)
}

/// The variant of a person: the same for ever, in proportion to the weights.
pub(super) fn choose<'a>(variants: &'a [Variant], key: &SendKey) -> Option<&'a Variant> {
    if let [only] = variants {
        return Some(only);
    }
    let weights: Vec<u32> = variants.iter().map(|variant| variant.weight).collect();
    if weights.is_empty() {
        return None;
    }
    let mut of = key.person.0.to_le_bytes().to_vec();
    if key.step > 0 {
        // Whoever got the first of two texts is not always the one who gets the first of the next two.
        of.extend(key.step.to_le_bytes());
    }
    variants.get(variant_index(&key.lineage, &of, &weights))
}

fn text_for(
    inputs: &Inputs<'_>,
    turn: &Turn<'_>,
    step: u16,
    variant: &Variant,
    contact: &Contact,
    account: &AccountFacts,
    link: Option<&str>,
) -> Result<Formatted, ComposeError> {
    let context = Context {
        contact,
        campaign: &turn.facts,
        account: Some(account),
        now: inputs.now,
        zone: turn.spec.schedule.zone,
        step: u32::from(step),
        invite_link: link,
    };
    let notice = inputs.desired.engine.opt_out.notice.as_ref();
    compose(
        &variant.template,
        notice.filter(|_| step == 0),
        variant.media.is_some(),
        &context,
    )
}

/// A duration between two bounds, drawn by the key.
pub(super) fn draw(key: &SendKey, purpose: &str, (least, most): (Duration, Duration)) -> Duration {
    let span = u64::try_from(most.saturating_sub(least).as_millis()).unwrap_or(u64::MAX);
    if span == 0 {
        return least;
    }
    least + Duration::from_millis(key.draw(purpose) % (span.saturating_add(1)))
}

/// Shows 'typing…' first, where the spec asks for it. `None`: that was shown long enough.
fn typing(
    inputs: &Inputs<'_>,
    plan: &mut Plan,
    name: &AccountName,
    spec: &ResolvedCampaign,
    key: &SendKey,
) -> Option<Taken> {
    let range = spec.delays.typing?;
    match inputs.runtime.typing.get(name) {
        Some((who, until)) if *who == key.person => {
            if *until > inputs.now {
                plan.wake(*until, inputs.now);
                Some(Taken::Busy)
            } else {
                None
            }
        }
        _ => {
            let until = inputs.now + draw(key, "typing", range);
            plan.actions.push(Action::Type {
                account: name.clone(),
                person: key.person,
                until,
            });
            plan.wake(until, inputs.now);
            Some(Taken::Busy)
        }
    }
}

/// Where only the delay is to be waited for, 'typing…' begins so that it ends with it.
fn typing_ahead(
    inputs: &Inputs<'_>,
    plan: &mut Plan,
    name: &AccountName,
    turn: &Turn<'_>,
    until: Timestamp,
) {
    let Some((_, most)) = turn.spec.delays.typing else {
        return;
    };
    let account = inputs.observed.accounts.get(name);
    let only_delay = account.is_some_and(|a| a.next_allowed_at == until && a.in_flight == 0);
    if !only_delay {
        return;
    }
    let index = inputs.observed.account_index(name);
    let Some(person) = candidates(inputs, turn.campaign, index, None)
        .find(|number| !turn.taken.contains(number))
        .and_then(|number| inputs.observed.persons.id(Handle(number)))
        .filter(|person| person.is_user())
    else {
        return;
    };
    let key = key_of(turn, person);
    let typing = draw(
        &key,
        "typing",
        turn.spec.delays.typing.unwrap_or((most, most)),
    );
    let begin = until - typing;
    if begin > inputs.now {
        plan.wake(begin, inputs.now);
    } else if inputs
        .runtime
        .typing
        .get(name)
        .is_none_or(|(who, _)| *who != person)
    {
        plan.actions.push(Action::Type {
            account: name.clone(),
            person,
            until,
        });
    }
}

/// People whom no account of the campaign has met: looked up by name where they have one, else settled.
fn unreachable(inputs: &Inputs<'_>, plan: &mut Plan, turn: &mut Turn<'_>) {
    let persons = &inputs.observed.persons;
    let own: Vec<u16> = turn
        .spec
        .accounts
        .iter()
        .filter_map(|name| inputs.observed.account_index(name))
        .collect();
    let reaches = |class: ClassId| {
        persons
            .accounts(class)
            .iter()
            .any(|account| own.contains(account))
    };
    let looking = turn.campaign.looking_up()
        || inputs
            .runtime
            .looking_up
            .iter()
            .any(|(line, _, _)| line == turn.line);
    // A source that could not be read may hold him, and a username that is not looked up yet may be him.
    let unread = turn.spec.sources.iter().any(|source| {
        source.role == SourceRole::Include
            && turn
                .campaign
                .sources
                .get(&source.id)
                .is_none_or(|known| known.lookups.is_empty() || known.failed())
    });
    if looking || unread || !turn.campaign.unresolved.is_empty() {
        return;
    }
    for (class, queue) in turn
        .campaign
        .queues
        .iter()
        .filter(|(class, _)| !reaches(**class))
    {
        let bound = !persons.accounts(*class).is_empty()
            && queue.first().is_some_and(|n| {
                turn.campaign
                    .recipients
                    .get(n)
                    .is_some_and(|r| r.account.is_some())
            });
        for number in queue.iter().take(SETTLED_A_PASS) {
            if bound || turn.taken.contains(number) {
                continue;
            }
            let Some(person) = persons.id(Handle(*number)) else {
                continue;
            };
            let known: Person = inputs.people.get(person).unwrap_or_default();
            if best_reference(&known).is_some() {
                let free = turn.spec.accounts.iter().find(|name| {
                    matches!(may_resolve(inputs, name), Availability::Now { .. })
                        && !inputs.runtime.resolving.contains_key(*name)
                        && !planned_resolve(plan, |account, _| account == *name)
                });
                let Some(name) = free.cloned() else { break };
                let key = key_of(turn, person);
                let _ = look_up(inputs, plan, &name, turn, &key);
                continue;
            }
            plan.actions.push(Action::Record(Event::Skipped {
                campaign: turn.line.clone(),
                person,
                step: 0,
                outcome: Outcome::Unreachable,
                detail: "no account of the campaign has met him, and he has no username or phone to look up"
                    .to_owned(),
            }));
        }
    }
}

/// Why everybody who is left waits: one reason for each queue, by the account that could go on first.
fn waits(inputs: &Inputs<'_>, plan: &mut Plan, turn: &Turn<'_>) {
    let persons = &inputs.observed.persons;
    let mut found: Vec<Wait> = Vec::new();
    let mut own = Vec::new();
    for name in &turn.spec.accounts {
        let availability = may_contact(inputs, name, turn.spec, turn.campaign, true);
        own.push((inputs.observed.account_index(name), name, availability));
    }
    let none = Availability::Later {
        reason: Waiting::AccountUnavailable,
        until: None,
    };
    let keepers = Keepers::new(inputs, turn.spec, turn.campaign);
    let kept = keepers.any();
    for (class, queue) in &turn.campaign.queues {
        let best = own
            .iter()
            .filter(|(index, _, _)| index.is_some_and(|i| persons.accounts(*class).contains(&i)))
            .map(|(_, _, availability)| availability.clone())
            .fold(none.clone(), Availability::better);
        let mut count = queue.len() as u64;
        if kept && persons.accounts(*class).len() > 1 {
            for (keeper, people) in keepers.count(queue) {
                let of_keeper = own
                    .iter()
                    .find(|(index, _, _)| *index == Some(keeper))
                    .map_or(none.clone(), |(_, _, availability)| availability.clone());
                count -= people.min(count);
                found.push(wait_of(of_keeper, people, inputs.now));
            }
        }
        let limits = &inputs.desired.engine.limits;
        if limits.per_person_gap.is_some() || limits.per_person_month.is_some() {
            // Only those who were ever written to can wait for it.
            let slowed: Vec<Timestamp> = queue
                .iter()
                .take(LOOK_PAST)
                .filter_map(|number| person_gap(inputs, *number))
                .collect();
            if let Some(first) = slowed.iter().min().filter(|_| slowed.len() as u64 <= count) {
                count -= slowed.len() as u64;
                found.push(Wait {
                    reason: Waiting::PersonGap,
                    count: slowed.len() as u64,
                    until: Some(*first),
                });
            }
        }
        found.push(wait_of(best, count, inputs.now));
    }
    if !turn.campaign.unresolved.is_empty() {
        let best = own
            .iter()
            .map(
                |(_, name, contact)| match (may_resolve(inputs, name), contact) {
                    (Availability::Now { .. }, contact) => contact.clone(),
                    (later, _) => later,
                },
            )
            .fold(none, Availability::better);
        let best = match best {
            Availability::Now { .. } => Availability::Later {
                reason: Waiting::LookingUp,
                until: None,
            },
            later => later,
        };
        found.push(wait_of(
            best,
            turn.campaign.unresolved.len() as u64,
            inputs.now,
        ));
    }
    for wait in &found {
        if let Some(until) = wait.until {
            plan.wake(until, inputs.now);
        }
    }
    if let Some(view) = plan.report.campaigns.get_mut(turn.line) {
        view.finish_estimate = super::estimate::finish(inputs, turn.spec, turn.campaign);
        view.waiting = found;
    }
}

fn wait_of(availability: Availability, count: u64, now: Timestamp) -> Wait {
    match availability {
        Availability::Now { .. } => Wait {
            reason: Waiting::Delay,
            count,
            until: Some(now),
        },
        Availability::Later { reason, until } => Wait {
            reason,
            count,
            until,
        },
    }
}

//! Who gets the next message, from which account, and what it says.

use std::cell::OnceCell;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::accounts::{Availability, may_contact};
use super::audience::Verdict;
use super::candidates::{Candidates, TakenNow, candidates};
use super::doubt::carried;
use super::kept::Looked;
use super::message::{facts, key_of, message, settled, typing_ahead};
use super::reach::{Keepers, LOOK_THROUGH, may_resolve};
use super::waits::{SETTLED_A_PASS, settle_removed, unreachable, waits};
use super::{Action, Inputs, Part, Plan, audience, earlier, gate, invite, steps};
use crate::desired::ResolvedCampaign;
use crate::model::{AccountName, Event, Lineage, Outcome, PersonId, Reference, SendKey, Timestamp};
use crate::observed::{Campaign, Handle, Observed};
use crate::people::best_reference;
use crate::text::CampaignFacts;

/// Sends of one account that may be in hand at once where no delay stands between them: enough that the account
/// never waits for the disk, few enough that what Telegram's refusal leaves over is given back at once.
const IN_HAND: usize = 512;

/// With no more than so many in hand it is given others: early enough that it is never without any while they are planned
/// and written down, late enough that many share one write.
const FEW_IN_HAND: usize = IN_HAND / 4 * 3;

/// People who were not looked up yet of whom it is asked whether a phone names them; once a pass at most.
const PHONES_LOOKED_AT: usize = 2048;

/// A pass over one campaign.
pub(super) struct Turn<'a> {
    /// What the pass comes to for it.
    pub(super) part: Part,
    /// Its place among those that the pass looked at.
    looked: usize,
    pub(super) line: &'a Lineage,
    pub(super) spec: &'a ResolvedCampaign,
    pub(super) campaign: &'a Campaign,
    pub(super) digest: Arc<str>,
    /// Made when the first text is.
    facts: OnceCell<CampaignFacts>,
    /// What each account of the campaign may do, in their order; asked once a pass.
    available: Vec<OnceCell<Availability>>,
    /// First contacts may leave.
    open: bool,
    /// Follow-ups may leave.
    pub(super) follows_up: bool,
    /// What the day's cap of all accounts together still lets go.
    room: u32,
    /// First contacts that the canary still lets go.
    canary: u32,
    /// People planned in this pass.
    pub(super) taken: TakenNow,
    /// Who keeps whom; found out once a pass.
    keepers: OnceCell<Keepers<'a>>,
    pub(super) settled: usize,
    /// People of the audience whom this pass leaves out.
    left_out: u64,
    /// Whether people are known by a phone only, and who is not looked up in this pass yet; asked when somebody's text
    /// lacks something.
    phones: Option<(bool, VecDeque<u32>)>,
}

impl<'a> Turn<'a> {
    /// Who keeps whom.
    pub(super) fn keepers(&self, inputs: &'a Inputs<'a>) -> &Keepers<'a> {
        self.keepers
            .get_or_init(|| Keepers::new(inputs, self.spec, self.campaign))
    }

    /// Whether accounts are asked who may write to strangers for it.
    fn asks(&self) -> bool {
        self.open && self.room > 0 && self.canary > 0
    }

    /// What templates know of the campaign.
    pub(super) fn facts(&self) -> &CampaignFacts {
        self.facts.get_or_init(|| facts(self.spec, self.campaign))
    }

    /// Whether an account may write to a stranger now.
    pub(super) fn may_contact(&self, inputs: &Inputs<'_>, name: &AccountName) -> Availability {
        let ask = || may_contact(inputs, name, self.spec, self.campaign, true);
        let place = self.spec.accounts.iter().position(|own| own == name);
        match place.and_then(|place| self.available.get(place)) {
            Some(known) => known.get_or_init(ask).clone(),
            None => ask(),
        }
    }

    /// Whether people wait who are known by a phone only.
    pub(super) fn names_phones(&mut self, inputs: &Inputs<'_>) -> bool {
        let unresolved = &self.campaign.unresolved;
        let (any, _) = self.phones.get_or_insert_with(|| {
            let by_phone = |number: u32| {
                let known = inputs
                    .people
                    .get(inputs.observed.persons.id(Handle(number))?)?;
                matches!(best_reference(&known), Some(Reference::Phone(_))).then_some(number)
            };
            let look = unresolved.iter().take(PHONES_LOOKED_AT);
            let phones: VecDeque<u32> = look.filter_map(by_phone).collect();
            (!phones.is_empty(), phones)
        });
        *any
    }
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
    /// The campaigns that it sends for, in their order.
    own: Vec<usize>,
    /// What asking it came to.
    part: Part,
    /// The next people by campaign.
    queues: BTreeMap<usize, Heads<'a>>,
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
    /// Which of its own it is the turn of.
    next: usize,
    /// Nothing more in this pass.
    done: bool,
}

/// Messages: each account takes its next person, campaigns in turn and accounts in turn, so that neither a campaign
/// nor an account takes everybody. What an account owes to somebody it has written to goes before any first contact.
pub(super) fn messages<'a>(inputs: &'a Inputs<'a>, plan: &mut Plan, looked: &mut [Looked<'a>]) {
    let mut turns: Vec<Turn<'a>> = looked
        .iter_mut()
        .enumerate()
        .filter_map(|(place, looked)| {
            let (wanted, campaign) = (looked.wanted, looked.campaign);
            let spec = wanted.spec.as_deref()?;
            let line = &wanted.lineage;
            let open = looked.open;
            let (follows_up, part) =
                plan.part(|plan| steps::may_go(inputs, plan, line, spec, campaign));
            looked.part.and(part);
            (open || follows_up).then(|| Turn {
                part: Part::default(),
                looked: place,
                line,
                spec,
                campaign,
                digest: wanted.digest.as_str().into(),
                facts: OnceCell::new(),
                available: vec![OnceCell::new(); spec.accounts.len()],
                open,
                follows_up,
                room: campaign_room(inputs, line, spec, campaign),
                canary: gate::canary_room(spec, campaign),
                taken: TakenNow::default(),
                keepers: OnceCell::new(),
                settled: 0,
                left_out: 0,
                phones: None,
            })
        })
        .collect();
    for turn in turns.iter_mut().filter(|turn| turn.open) {
        let ((), part) = plan.part(|plan| {
            invite::prepare(inputs, plan, turn.line, turn.spec, turn.campaign);
        });
        turn.part.and(part);
    }
    // Campaigns in turn: the one that sent longest ago first.
    turns.sort_by(|a, b| {
        let rank = |turn: &Turn<'_>| turn.campaign.last_sent_at;
        rank(a)
            .cmp(&rank(b))
            .then_with(|| a.spec.name.cmp(&b.spec.name))
    });
    let mut own: BTreeMap<&AccountName, Vec<usize>> = BTreeMap::new();
    for (index, turn) in turns.iter().enumerate() {
        for name in &turn.spec.accounts {
            own.entry(name).or_default().push(index);
        }
    }
    let mut accounts: Vec<AccountTurn<'_>> = own
        .into_iter()
        .map(|(name, own)| AccountTurn::new(inputs, plan, name, own))
        .collect();
    // Whoever has least in hand goes first: after a stop for a refusal the others do not run ahead for ever.
    accounts.sort_by_key(|account| account.in_hand);
    // Where one has few, all of them are refilled: their intents then share one write.
    if accounts
        .iter()
        .any(|account| account.had > 0 && account.had <= FEW_IN_HAND)
    {
        for account in &mut accounts {
            account.refills = true;
        }
    }
    if super::suppressed::holds(inputs, plan) {
        for account in &mut accounts {
            account.done = true;
        }
    }
    while accounts.iter().any(|account| !account.done) {
        for account in accounts.iter_mut().filter(|account| !account.done) {
            let ((), part) = plan.part(|plan| account.step(inputs, plan, &mut turns));
            account.part.until = earlier(account.part.until, part.until);
        }
    }
    for account in &accounts {
        account.leave(&mut turns);
    }
    for turn in &mut turns {
        let ((), part) = plan.part(|plan| {
            if turn.follows_up {
                steps::settle_lost(inputs, plan, turn);
            }
            if turn.open {
                settle_removed(inputs, plan, turn);
                unreachable(inputs, plan, turn);
                waits(inputs, plan, turn);
            }
        });
        turn.part.and(part);
    }
    for turn in turns {
        if let Some(looked) = looked.get_mut(turn.looked) {
            looked.part.and(turn.part);
        }
    }
}

/// Whether every account that sends has so much in hand that a pass would give none of them more.
pub fn have_plenty(observed: &Observed) -> bool {
    let mut sending = observed
        .accounts
        .values()
        .map(|account| account.in_flight.saturating_sub(account.in_doubt) as usize)
        .filter(|in_hand| *in_hand > 0)
        .peekable();
    sending.peek().is_some() && sending.all(|in_hand| in_hand > FEW_IN_HAND)
}

/// How many more messages of a campaign may leave today, all accounts together.
fn campaign_room(
    inputs: &Inputs<'_>,
    line: &Lineage,
    spec: &ResolvedCampaign,
    campaign: &Campaign,
) -> u32 {
    let Some(most) = spec.delays.campaign_per_day else {
        return u32::MAX;
    };
    let start = crate::time::Day::of(inputs.now, spec.schedule.zone).start();
    let again = carried(inputs, start, |flight| flight.intent.key.lineage == *line);
    most.saturating_sub(campaign.meter.since(start) + again)
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
    fn new(inputs: &Inputs<'_>, plan: &Plan, name: &'a AccountName, own: Vec<usize>) -> Self {
        let account = inputs.observed.accounts.get(name);
        let in_flight = account.map_or(0, |a| a.in_flight.saturating_sub(a.in_doubt)) as usize;
        let doubted = |key: &&SendKey| {
            inputs
                .observed
                .in_flight
                .get(*key)
                .is_some_and(|f| f.doubt.is_some() && f.intent.account == *name)
        };
        // Nothing is in doubt nearly always, and then nothing is looked through. Nothing new leaves beside a repeat that
        // asks for a pause, were its own campaign one without any.
        let (retried, pauses) = match account {
            Some(account) if account.in_doubt > 0 => {
                let now = plan.actions.iter().filter_map(|action| match action {
                    Action::Retry { key } => Some(key),
                    _ => None,
                });
                inputs
                    .runtime
                    .executing
                    .iter()
                    .chain(now)
                    .filter(doubted)
                    .filter_map(|key| inputs.observed.in_flight.get(key))
                    .fold((0, false), |(count, pauses), flight| {
                        (count + 1, pauses || !flight.gap().is_zero())
                    })
            }
            _ => (0, false),
        };
        let (allowance, zone) = super::accounts::allowance(inputs, name);
        let start = crate::time::Day::of(inputs.now, zone).start();
        let attested = inputs.desired.engine.limits.attested_per_day;
        AccountTurn {
            name,
            in_hand: in_flight + retried,
            had: in_flight + retried,
            refills: in_flight + retried == 0,
            own,
            part: Part::default(),
            queues: BTreeMap::new(),
            today: account.map_or(allowance, |a| {
                let again = carried(inputs, start, |flight| flight.intent.account == *name);
                allowance.saturating_sub(a.meter.since(start) + again)
            }),
            attested: account.map_or(attested, |a| {
                let again = carried(inputs, start, |flight| {
                    flight.intent.attested && flight.intent.account == *name
                });
                attested.saturating_sub(a.attested.since(start) + again)
            }),
            rooms: BTreeMap::new(),
            step_rooms: BTreeMap::new(),
            spent: BTreeMap::new(),
            due: None,
            next: 0,
            done: pauses,
        }
    }

    /// Takes one person of the first campaign in turn that has one for it.
    fn step(&mut self, inputs: &'a Inputs<'a>, plan: &mut Plan, turns: &mut [Turn<'a>]) {
        if self.follow_up(inputs, plan, turns) {
            return;
        }
        for _ in 0..self.own.len() {
            let index = self.own.get(self.next % self.own.len()).copied();
            self.next += 1;
            let Some((index, turn)) = index.and_then(|it| Some((it, turns.get_mut(it)?))) else {
                continue;
            };
            if !turn.asks() {
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
            if hand(turn.spec) == IN_HAND && !self.refills {
                self.done = true;
                return;
            }
            let heads = self
                .queues
                .entry(index)
                .or_insert_with(|| Heads::new(inputs, self.name, turn));
            match take(inputs, plan, self.name, turn, heads) {
                Taken::Sent => {
                    heads.left += 1;
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

    /// What became of its campaigns by it. One that it was not asked about is looked at again.
    fn leave(&self, turns: &mut [Turn<'_>]) {
        for index in &self.own {
            let Some(turn) = turns.get_mut(*index) else {
                continue;
            };
            turn.part.until = earlier(turn.part.until, self.part.until);
            turn.part.acts |= turn.asks() && !self.rooms.contains_key(index);
        }
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
            self.due = Some(steps::due(inputs, plan, self.name, turns, &self.own));
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

    fn room(
        &mut self,
        inputs: &Inputs<'_>,
        plan: &mut Plan,
        index: usize,
        turn: &mut Turn<'_>,
    ) -> u32 {
        if let Some(room) = self.rooms.get(&index) {
            return *room;
        }
        let room = match turn.may_contact(inputs, self.name) {
            Availability::Now { room } => {
                room.saturating_sub(self.spent.get(&index).copied().unwrap_or(0))
            }
            Availability::Later { until, .. } => {
                if let Some(until) = until {
                    plan.wake(until, inputs.now);
                    let types = |plan: &mut Plan| {
                        typing_ahead(inputs, plan, self.name, turn, until);
                    };
                    let ((), part) = plan.part(types);
                    turn.part.acts |= part.acts;
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

/// How many heads of queues one try looks at before it gives up until the next pass: people who are slowed down or
/// are being looked up stand in the way of few.
pub(super) const LOOK_PAST: usize = 256;

/// The next people of an account in a campaign, looked at as they are needed.
struct Heads<'a> {
    numbers: Candidates<'a>,
    /// How many more are looked through.
    through: usize,
    /// How many more are looked at for nothing.
    left: usize,
}

impl<'a> Heads<'a> {
    fn new(inputs: &'a Inputs<'a>, name: &AccountName, turn: &Turn<'a>) -> Self {
        // While nobody can be looked up, those who must be do not stand in the way of the others.
        let can_look_up = matches!(may_resolve(inputs, name), Availability::Now { .. })
            && !inputs.runtime.resolving.contains_key(name);
        let numbers = candidates(
            inputs,
            turn.campaign,
            inputs.observed.account_index(name),
            can_look_up.then_some(turn.spec.accounts.len()),
        );
        Heads {
            numbers,
            through: LOOK_THROUGH,
            left: LOOK_PAST,
        }
    }

    /// The next whom neither this pass took already nor another account keeps.
    fn next(&mut self, inputs: &'a Inputs<'a>, index: Option<u16>, turn: &Turn<'a>) -> Option<u32> {
        self.left = self.left.checked_sub(1)?;
        let keepers = turn.keepers(inputs);
        let kept = keepers.any();
        while self.through > 0 {
            self.through -= 1;
            self.numbers.step_over(&turn.taken);
            let number = self.numbers.next()?;
            let free = !turn.taken.contains(number);
            if free && (!kept || !keepers.is_anothers(number, index)) {
                return Some(number);
            }
        }
        None
    }
}

fn take<'a>(
    inputs: &'a Inputs<'a>,
    plan: &mut Plan,
    name: &AccountName,
    turn: &mut Turn<'a>,
    heads: &mut Heads<'a>,
) -> Taken {
    let now = inputs.now;
    let index = inputs.observed.account_index(name);
    while let Some(number) = heads.next(inputs, index, turn) {
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
        if turn.campaign.unjudged.contains(number) {
            let (spec, campaign) = (turn.spec, turn.campaign);
            let verdict =
                audience::judge_one(inputs, spec, campaign, (handle, person), turn.left_out);
            let (mut included, mut excluded, mut dropped) = (Vec::new(), Vec::new(), Vec::new());
            match verdict {
                Verdict::Stays => included.push(person),
                Verdict::Excluded(reason) => excluded.push((reason, vec![person])),
                Verdict::Gone => dropped.push(person),
            }
            plan.actions.push(Action::Record(Event::Judged {
                campaign: turn.line.clone(),
                included,
                excluded,
                dropped,
                finished: None,
            }));
            turn.taken.insert(number);
            if verdict != Verdict::Stays {
                turn.left_out += 1;
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

/// Whether anybody can have to rest at all.
pub(super) fn somebody_may_rest(inputs: &Inputs<'_>) -> bool {
    let limits = &inputs.desired.engine.limits;
    limits.per_person_gap.is_some()
        || limits.per_person_month.is_some()
        || !inputs.observed.slowed.is_empty()
}

/// Those of a queue's first `most` whom nobody may write to yet, and until when: whose chat Telegram slowed down, or
/// whom `limits.per_person` gives a rest.
pub(super) fn resting(
    inputs: &Inputs<'_>,
    queue: &roaring::RoaringBitmap,
    most: usize,
) -> BTreeMap<u32, Timestamp> {
    if !somebody_may_rest(inputs) {
        return BTreeMap::new();
    }
    let slowed = &inputs.observed.slowed;
    let until = |number: u32| {
        let slowed = slowed.get(&number).copied();
        slowed
            .filter(|until| *until > inputs.now)
            .max(person_gap(inputs, number))
    };
    queue
        .iter()
        .take(most)
        .filter_map(|number| Some((number, until(number)?)))
        .collect()
}

/// Whether `limits.per_person` makes him wait, and until when.
pub(super) fn person_gap(inputs: &Inputs<'_>, number: u32) -> Option<Timestamp> {
    const MONTH: Duration = Duration::from_secs(30 * 86_400);
    let limits = &inputs.desired.engine.limits;
    if limits.per_person_gap.is_none() && limits.per_person_month.is_none() {
        return None;
    }
    let contacted = inputs.observed.contacted.get(&number)?;
    let after_gap = limits
        .per_person_gap
        .and_then(|gap| Some(contacted.last_sent()? + gap));
    // The message that must be over a month old before the next one may leave.
    let after_month = limits.per_person_month.and_then(|most| {
        let most = (most as usize).max(1);
        let nth = contacted.sent.len().checked_sub(most)?;
        Some(*contacted.sent.get(nth)? + MONTH)
    });
    let free = after_gap.max(after_month)?;
    (free > inputs.now).then_some(free)
}

/// Looks up the next of those who are known by a phone only: each may be somebody who was found in another way too.
/// `None`: not now.
pub(super) fn find_out(
    inputs: &Inputs<'_>,
    plan: &mut Plan,
    name: &AccountName,
    turn: &mut Turn<'_>,
) -> Option<Taken> {
    let busy = inputs.runtime.resolving.contains_key(name)
        || planned_resolve(plan, |account, _| account == name)
        || !matches!(may_resolve(inputs, name), Availability::Now { .. });
    if busy {
        return None;
    }
    while let Some(number) = turn
        .phones
        .as_mut()
        .and_then(|(_, phones)| phones.pop_front())
    {
        let person = inputs.observed.persons.id(Handle(number));
        if let Some(person) = person.filter(|_| turn.taken.insert(number))
            && let Some(taken) = look_up(inputs, plan, name, turn, &key_of(turn, person))
        {
            return Some(taken);
        }
    }
    None
}

/// Looks a username, a phone or a lost address up. `None`: not now, somebody else first.
pub(super) fn look_up(
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

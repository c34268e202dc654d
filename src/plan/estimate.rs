//! When campaigns will be done, if nothing changes: who may send when, gone through ahead of time.
//!
//! # Guarantees
//! - The same delays, caps, windows, waits and turns as [`super::sends`] goes by, several campaigns of one account and
//!   follow-ups among them. What nobody can know is left out: answers, refusals, newcomers.
//! - The work is bounded, whatever the audience: messages are taken many at a time, fewer the closer the end is, and
//!   what lies beyond [`HORIZON`] goes on at the pace of the last weeks before it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::sync::Arc;

use super::accounts::{allowance, usable};
use super::message::draw;
use super::reach::{Keepers, LOOK_THROUGH, lookups_today};
use super::sends::resting;
use super::{Gate, Inputs, Plan, earlier, invite, next_firings, steps};
use crate::desired::ResolvedCampaign;
use crate::model::reaction::CallClass;
use crate::model::{AccountName, Lineage, SendKey, Timestamp, Waiting};
use crate::observed::{Account, Campaign, Handle, StepGroup};
use crate::time::Day;

const MINUTE: i64 = 60_000;
const WEEK: i64 = 7 * 24 * 60 * MINUTE;
/// How far it is gone through: two months, so that a week more or less is no tenth of the whole.
const HORIZON: i64 = 9 * WEEK;
/// Moves at most: some 20 ms.
const MOST_MOVES: usize = 20_000;
/// Up to so many people each one's own pause is drawn; more of them have the mean.
const DRAWN: usize = 512;
/// Moments at which the rests of people end, at most.
const MOMENTS: i64 = 32;
/// The weeks whose pace goes on beyond the horizon.
const LAST_WEEKS: usize = 4;

/// Says of every campaign that goes on by itself, or as soon as it is approved, when the first step of everybody is
/// settled; where it is already, when the last follow-up leaves that is owed.
pub(super) fn finish(inputs: &Inputs<'_>, plan: &mut Plan) {
    let mut ahead = Ahead::new(inputs, plan);
    ahead.go();
    let done: Vec<_> = ahead
        .campaigns
        .iter()
        .map(|one| (one.line.clone(), one.done))
        .collect();
    for (line, done) in done {
        if let Some(view) = plan.report.campaigns.get_mut(&line) {
            Arc::make_mut(view).finish_estimate = done.map(Timestamp);
        }
    }
}

/// People whom the same accounts can reach.
struct Group {
    /// Positions of the accounts.
    accounts: Vec<usize>,
    left: u64,
    /// Not before then: `limits.per_person`.
    from: i64,
    /// They are to be looked up first.
    unresolved: bool,
}

/// One account in one campaign.
#[derive(Default)]
struct Pair {
    day_end: i64,
    today: u32,
    /// Messages of the last hour: until when each minute counts, and how many.
    hour: VecDeque<(i64, u32)>,
    in_run: u32,
    /// Follow-ups by moment and step.
    owed: BTreeMap<(i64, u16), u64>,
}

struct One<'a> {
    line: &'a Lineage,
    spec: &'a ResolvedCampaign,
    from: i64,
    first: bool,
    follows_up: bool,
    groups: Vec<Group>,
    /// Who waits at the beginning.
    begin: u64,
    left: u64,
    /// Between two messages of an account.
    gap: i64,
    /// Those whose turn is next, where they are few and each has a pause of his own.
    drawn: VecDeque<Handle>,
    /// In the keys of its sends.
    key_run: u32,
    day_end: i64,
    today: u32,
    /// When its next run begins, where a run has caps; never where there is none.
    next_run: i64,
    /// When it had its last turn.
    last: i64,
    pairs: Vec<Option<Pair>>,
    /// Who was left at the end of each week.
    weeks: Vec<u64>,
    /// Follow-ups are all that is left of it.
    only_steps: bool,
    /// How many then.
    owes: u64,
    done: Option<i64>,
}

struct Sender<'a> {
    name: &'a AccountName,
    next: i64,
    sends_from: i64,
    invites_from: i64,
    day_end: i64,
    today: u32,
    allowance: u32,
    attested: u32,
    lookups: u32,
    most_lookups: u32,
    /// Whose strangers it writes to: the campaign that sent longest ago first, with its position.
    turns: BTreeSet<(i64, usize)>,
    /// Campaigns that owe follow-ups by it.
    owing: Vec<usize>,
}

/// What an account does next.
enum Move {
    /// So many messages of a campaign: to a group of strangers, or of a step.
    Send(usize, To, u32),
    /// Nothing before then; nothing ever.
    Wait(Option<i64>),
}

#[derive(Clone, Copy)]
enum To {
    Group(usize),
    Step(i64, u16),
}

/// How many an account may send of a campaign, and until when that holds.
struct Room {
    most: u32,
    until: i64,
}

struct Ahead<'a> {
    inputs: &'a Inputs<'a>,
    now: i64,
    /// In the order of their lineages.
    campaigns: Vec<One<'a>>,
    senders: Vec<Sender<'a>>,
    /// All before this one are done.
    going: usize,
    /// Weeks that have passed.
    weeks: i64,
}

impl<'a> Ahead<'a> {
    fn new(inputs: &'a Inputs<'a>, plan: &Plan) -> Self {
        let now = inputs.now.0;
        let mut senders: Vec<Sender<'a>> = Vec::new();
        let mut campaigns = Vec::new();
        let mut known = super::accounts::valid(inputs)
            .filter_map(|(wanted, spec, campaign)| {
                let gate = &plan.report.campaigns.get(&wanted.lineage)?.gate;
                let from = goes_on(gate, inputs.now).filter(|_| campaign.pending() > 0);
                let follows_up = steps::lets(gate, spec, inputs.now) && !spec.follow_ups.is_empty();
                (from.is_some() || follows_up).then_some((wanted, spec, campaign, from, follows_up))
            })
            .collect::<Vec<_>>();
        for (_, spec, _, _, _) in &known {
            for name in spec
                .accounts
                .iter()
                .filter(|name| usable(inputs, name).is_ok())
            {
                if !senders.iter().any(|sender| sender.name == name) {
                    senders.push(Sender::new(inputs, name));
                }
            }
        }
        known.sort_by_key(|(wanted, ..)| &wanted.lineage);
        for (wanted, spec, campaign, from, follows_up) in known {
            let pairs: Vec<Option<Pair>> = senders
                .iter()
                .map(|sender| {
                    spec.accounts
                        .contains(sender.name)
                        .then(|| Pair::new(inputs, spec, campaign, sender.name))
                })
                .collect();
            let day = Day::of(inputs.now, spec.schedule.zone);
            let groups = match from {
                Some(_) => groups(inputs, spec, campaign, &senders),
                None => Vec::new(),
            };
            let left = groups.iter().map(|group| group.left).sum();
            let only_steps = follows_up && campaign.pending() == 0;
            let owes = match only_steps {
                true => pairs.iter().flatten().map(Pair::owes).sum(),
                false => 0,
            };
            campaigns.push(One {
                line: &wanted.lineage,
                spec,
                from: from.unwrap_or(inputs.now).0,
                first: from.is_some(),
                follows_up,
                begin: left,
                left,
                groups,
                gap: usual_gap(spec),
                drawn: drawn(inputs, spec, campaign),
                key_run: campaign.key_run(),
                day_end: day.end().0,
                today: campaign.meter.since(day.start()),
                next_run: next_run(spec, Some(campaign), inputs.now),
                last: campaign.last_sent_at.map_or(i64::MIN, |at| at.0),
                pairs,
                weeks: Vec::new(),
                only_steps,
                owes,
                done: None,
            });
        }
        for (number, one) in campaigns.iter().enumerate() {
            for (sender, _) in senders
                .iter_mut()
                .zip(&one.pairs)
                .filter(|(_, pair)| pair.is_some())
            {
                if one.first && one.left > 0 {
                    sender.turns.insert((one.last, number));
                }
                if one.follows_up {
                    sender.owing.push(number);
                }
            }
        }
        Ahead {
            inputs,
            now,
            campaigns,
            senders,
            going: 0,
            weeks: 0,
        }
    }

    fn go(&mut self) {
        let mut queue: BinaryHeap<Reverse<(i64, usize)>> = (0..self.senders.len())
            .map(|sender| Reverse((self.now, sender)))
            .collect();
        let mut moves = 0;
        while let Some(Reverse((at, sender))) = queue.pop() {
            while self
                .campaigns
                .get(self.going)
                .is_some_and(|one| !one.goes_on())
            {
                self.going += 1;
            }
            if self.going == self.campaigns.len() {
                return;
            }
            moves += 1;
            if at > self.now + HORIZON || moves > MOST_MOVES {
                self.beyond(at);
                return;
            }
            while at >= self.now + WEEK * (self.weeks + 1) {
                self.weeks += 1;
                for one in &mut self.campaigns {
                    one.weeks.push(one.left);
                }
            }
            match self.next(sender, at) {
                Move::Send(campaign, to, count) => {
                    self.sent(sender, campaign, to, count, at);
                    queue.push(Reverse((self.senders[sender].next.max(at), sender)));
                }
                Move::Wait(Some(until)) => queue.push(Reverse((until.max(at + 1), sender))),
                Move::Wait(None) => {}
            }
        }
    }

    /// What is left goes on at the pace of the last weeks; of all moves where they were too many for a week.
    fn beyond(&mut self, at: i64) {
        for one in self.campaigns.iter_mut().filter(|one| one.left > 0) {
            let span = one.weeks.len().saturating_sub(1).min(LAST_WEEKS);
            let (from, left, sent, passed) = if span == 0 {
                (at, one.left, one.begin - one.left, at - self.now)
            } else {
                let last = one.weeks.len() - 1;
                let sent = one.weeks[last - span] - one.weeks[last];
                let from = self.now + WEEK * (one.weeks.len() as i64);
                (from, one.weeks[last], sent, WEEK * span as i64)
            };
            if sent > 0 {
                let takes = left as f64 / sent as f64 * passed.max(1) as f64;
                let end = one.spec.schedule.end.map_or(i64::MAX, |end| end.0);
                one.done = Some(from.saturating_add(takes as i64)).filter(|done| *done < end);
            }
        }
    }

    fn next(&mut self, sender: usize, at: i64) -> Move {
        let mut soonest: Option<i64> = None;
        let mut hear = |at: Option<i64>| {
            soonest = earlier(soonest, at);
        };
        if self.senders[sender].next > at {
            return Move::Wait(Some(self.senders[sender].next));
        }
        self.roll(sender, at);
        let mut owed: Vec<(i64, u16, usize)> = Vec::new();
        for number in &self.senders[sender].owing {
            let pair = self.campaigns[*number].pairs[sender].as_ref();
            if let Some(((due, step), _)) = pair.and_then(|pair| pair.owed.first_key_value()) {
                owed.push((*due, *step, *number));
            }
        }
        owed.sort_unstable();
        // The next follow-up goes before strangers.
        let mut until = i64::MAX;
        for (due, step, campaign) in owed {
            if due > at {
                hear(Some(due));
                until = until.min(due);
                continue;
            }
            match self.room(campaign, sender, at, false) {
                Ok(room) => {
                    let one = &self.campaigns[campaign];
                    let pair = one.pairs[sender].as_ref();
                    let waiting = pair.and_then(|pair| pair.owed.get(&(due, step)).copied());
                    let count = one.at_once(&room, at, i64::MAX, waiting.unwrap_or(1));
                    return Move::Send(campaign, To::Step(due, step), count);
                }
                Err(later) => hear(later),
            }
        }
        let turns = &self.senders[sender].turns;
        let alone = turns.len() == 1;
        let mut turn = turns.first().copied();
        while let Some((last, campaign)) = turn {
            // Mostly the first of them may go.
            let turns = &self.senders[sender].turns;
            turn = turns.range((last, campaign + 1)..).next().copied();
            let one = &self.campaigns[campaign];
            let account = &self.senders[sender];
            let mut best: Option<usize> = None;
            for (number, group) in one.groups.iter().enumerate() {
                if group.left == 0 || !group.accounts.contains(&sender) {
                    continue;
                }
                if group.from > at {
                    hear(Some(group.from));
                } else if group.unresolved && account.lookups >= account.most_lookups {
                    hear(Some(account.day_end));
                } else if best
                    .is_none_or(|best| one.groups[best].accounts.len() > group.accounts.len())
                {
                    best = Some(number);
                }
            }
            let Some(group) = best else { continue };
            match self.room(campaign, sender, at, true) {
                Ok(room) => {
                    let one = &self.campaigns[campaign];
                    let others = one.pairs.iter().flatten().count() as u64;
                    let part = one.groups[group].left.div_ceil(4 * others.max(1));
                    let most = match one.spec.delays.campaign_per_day {
                        Some(most) => part.min(
                            u64::from(most.saturating_sub(one.today)).div_ceil(2 * others.max(1)),
                        ),
                        None => part,
                    };
                    // Campaigns of one account take turns, one message each.
                    let most = match alone && one.drawn.is_empty() {
                        true => most,
                        false => 1,
                    };
                    let count = one.at_once(&room, at, until, most);
                    return Move::Send(campaign, To::Group(group), count);
                }
                Err(later) => hear(later),
            }
        }
        Move::Wait(soonest)
    }

    /// A new day of an account.
    fn roll(&mut self, sender: usize, at: i64) {
        let account = &mut self.senders[sender];
        if at >= account.day_end {
            let then = Inputs {
                now: Timestamp(at),
                ..*self.inputs
            };
            let (allowance, zone) = allowance(&then, account.name);
            let (_, most_lookups, _) = lookups_today(&then, account.name);
            account.allowance = allowance;
            account.most_lookups = most_lookups;
            account.day_end = Day::of(then.now, zone).end().0;
            (account.today, account.attested, account.lookups) = (0, 0, 0);
        }
    }

    /// What a campaign lets an account send now; else when it may, where that can be known.
    fn room(
        &mut self,
        campaign: usize,
        sender: usize,
        at: i64,
        first: bool,
    ) -> Result<Room, Option<i64>> {
        let one = &mut self.campaigns[campaign];
        let spec = one.spec;
        let account = &self.senders[sender];
        let then = Timestamp(at);
        let zone = spec.schedule.zone;
        let end = spec.schedule.end.map_or(i64::MAX, |end| end.0);
        if at >= end {
            return Err(None);
        }
        let from = match first && invite::adds(spec) {
            true => account.invites_from,
            false => account.sends_from,
        };
        let from = from.max(one.from);
        if from > at {
            return Err(Some(from));
        }
        let Some(open) = spec.schedule.windows.next_open(then, zone) else {
            return Err(None);
        };
        if open > then {
            return Err(Some(open.0));
        }
        let close = spec.schedule.windows.closes_at(then, zone);
        if at >= one.day_end {
            one.day_end = Day::of(then, zone).end().0;
            one.today = 0;
        }
        if at >= one.next_run {
            one.next_run = next_run(spec, None, then);
            for pair in one.pairs.iter_mut().flatten() {
                pair.in_run = 0;
            }
        }
        let next_run = one.next_run;
        let Some(pair) = one.pairs[sender].as_mut() else {
            return Err(None);
        };
        if at >= pair.day_end {
            pair.day_end = one.day_end;
            pair.today = 0;
        }
        while pair.hour.front().is_some_and(|(until, _)| *until <= at) {
            pair.hour.pop_front();
        }
        let delays = &spec.delays;
        let mut most = account.allowance.saturating_sub(account.today);
        let mut free = (most == 0).then_some(account.day_end);
        let mut cap = |of: u32, used: u32, until: i64| {
            let left = of.saturating_sub(used);
            most = most.min(left);
            if left == 0 {
                free = free.max(Some(until));
            }
        };
        if first && spec.is_attested() {
            let of = self.inputs.desired.engine.limits.attested_per_day;
            cap(of, account.attested, account.day_end);
        }
        if let Some(of) = delays.campaign_per_day {
            cap(of, one.today, one.day_end);
        }
        cap(delays.per_day, pair.today, one.day_end);
        if let Some(of) = delays.per_hour {
            let used = pair.hour.iter().map(|(_, n)| n).sum();
            let until = pair.hour.front().map_or(i64::MAX, |(until, _)| *until);
            cap(of, used, until);
        }
        if let Some(of) = delays.per_run {
            cap(of, pair.in_run, next_run);
        }
        match free {
            Some(i64::MAX) => Err(None),
            Some(free) => Err(Some(free)),
            None => Ok(Room {
                most,
                until: close
                    .map_or(i64::MAX, |close| close.0)
                    .min(end)
                    .min(next_run)
                    .min(account.day_end)
                    .min(one.day_end),
            }),
        }
    }

    /// So many messages left, one after another.
    fn sent(&mut self, sender: usize, campaign: usize, to: To, count: u32, at: i64) {
        let account = &mut self.senders[sender];
        let one = &mut self.campaigns[campaign];
        let own = match to {
            To::Group(_) => one.drawn.pop_front(),
            To::Step(..) => None,
        };
        let own = own.map(|next| one.pause(self.inputs, next));
        let gap = own.unwrap_or(one.gap);
        let last = at + gap * i64::from(count.saturating_sub(1));
        account.next = at + gap * i64::from(count);
        account.today += count;
        let before = std::mem::replace(&mut one.last, last);
        one.today += count;
        let Some(pair) = one.pairs[sender].as_mut() else {
            return;
        };
        pair.today += count;
        if one.spec.delays.per_hour.is_some() {
            for number in 0..i64::from(count) {
                pair.count((at + gap * number).div_euclid(MINUTE), 1);
            }
        }
        pair.in_run += count;
        let step = match to {
            To::Group(group) => {
                let group = &mut one.groups[group];
                group.left = group.left.saturating_sub(u64::from(count));
                one.left = one.left.saturating_sub(u64::from(count));
                if one.spec.is_attested() {
                    account.attested += count;
                }
                if group.unresolved {
                    account.lookups += count;
                }
                if one.left == 0 {
                    one.done = Some(last);
                }
                1
            }
            To::Step(due, step) => {
                one.owes = one.owes.saturating_sub(u64::from(count));
                let waiting = pair.owed.remove(&(due, step)).unwrap_or(0);
                if let Some(rest) = waiting
                    .checked_sub(u64::from(count))
                    .filter(|rest| *rest > 0)
                {
                    pair.owed.insert((due, step), rest);
                }
                step + 1
            }
        };
        let group = StepGroup {
            account: 0,
            next: step,
            replied: false,
        };
        if let Some((step, after)) = steps::next_step(one.spec, group) {
            let due = (Timestamp(at) + after).0;
            *pair.owed.entry((due, step)).or_default() += u64::from(count);
            if one.only_steps {
                one.owes += u64::from(count);
            }
        }
        if one.only_steps && one.owes == 0 {
            one.done = Some(last);
        }
        for sender in &mut self.senders {
            if sender.turns.remove(&(before, campaign)) && one.left > 0 {
                sender.turns.insert((last, campaign));
            }
        }
    }
}

impl One<'_> {
    /// Whether anything of it is left to do. What is not going on never goes on again.
    fn goes_on(&self) -> bool {
        self.left > 0 || self.owes > 0
    }

    /// The pause of his own after somebody's message, in milliseconds.
    fn pause(&self, inputs: &Inputs<'_>, next: Handle) -> i64 {
        let Some(person) = inputs.observed.persons.id(next) else {
            return self.gap;
        };
        let key = SendKey {
            lineage: self.line.clone(),
            person,
            step: 0,
            run: self.key_run,
        };
        let purpose = match invite::adds(self.spec) {
            true => "between_invites",
            false => "between_messages",
        };
        let delays = &self.spec.delays;
        let typed = delays.typing.map_or(0, mean);
        let gap = draw(&key, purpose, delays.between).as_millis();
        i64::try_from(gap).unwrap_or(i64::MAX / 4).max(typed)
    }

    /// How many leave before anything else may come between.
    fn at_once(&self, room: &Room, at: i64, until: i64, most: u64) -> u32 {
        let most = u32::try_from(most.max(1))
            .unwrap_or(u32::MAX)
            .min(room.most);
        if self.gap == 0 {
            return most;
        }
        let span = until
            .min(room.until)
            .saturating_sub(1)
            .saturating_sub(at)
            .max(0);
        let fit = u32::try_from(span / self.gap + 1).unwrap_or(u32::MAX);
        most.min(fit)
    }
}

impl<'a> Sender<'a> {
    fn new(inputs: &Inputs<'_>, name: &'a AccountName) -> Self {
        let now = inputs.now;
        let absent = Account::default();
        let account = inputs.observed.accounts.get(name).unwrap_or(&absent);
        let (allowance, zone) = allowance(inputs, name);
        let (lookups, most_lookups, _) = lookups_today(inputs, name);
        let day = Day::of(now, zone);
        let from = |classes: &[CallClass]| {
            let floods = classes
                .iter()
                .filter_map(|class| account.flood_until(*class, now));
            floods
                .chain(account.limited(now))
                .fold(now, Timestamp::max)
                .0
        };
        Sender {
            name,
            next: account.next_allowed_at.max(now).0,
            sends_from: from(&[CallClass::Send]),
            invites_from: from(&[CallClass::Invite, CallClass::LookUp]),
            day_end: day.end().0,
            today: account.meter.since(day.start()),
            allowance,
            attested: account.attested.since(day.start()),
            lookups,
            most_lookups,
            turns: BTreeSet::new(),
            owing: Vec::new(),
        }
    }
}

impl Pair {
    fn new(
        inputs: &Inputs<'_>,
        spec: &ResolvedCampaign,
        campaign: &Campaign,
        name: &AccountName,
    ) -> Self {
        let now = inputs.now;
        let day = Day::of(now, spec.schedule.zone);
        let mut pair = Pair {
            day_end: day.end().0,
            ..Pair::default()
        };
        let Some(index) = inputs.observed.account_index(name) else {
            return pair;
        };
        pair.in_run = campaign.run_sent.get(&index).copied().unwrap_or(0);
        if let Some(meter) = campaign.meters.get(&index) {
            pair.today = meter.since(day.start());
            for (minute, count) in meter.minutes(now) {
                pair.count(minute.0.div_euclid(MINUTE), count);
            }
        }
        let owed = steps::of(spec, campaign);
        for (group, queue) in owed.flat_map(|steps| steps.groups_of(index)) {
            let Some((step, after)) = steps::next_step(spec, group) else {
                continue;
            };
            for waiter in queue.iter().take(LOOK_THROUGH) {
                let due = (waiter.since() + after).0.div_euclid(MINUTE) * MINUTE;
                *pair.owed.entry((due, step)).or_default() += 1;
            }
        }
        pair
    }

    fn owes(&self) -> u64 {
        self.owed.values().sum()
    }

    /// Counts messages of a minute, which counts until it has left the hour whole (see `Meter`).
    fn count(&mut self, minute: i64, messages: u32) {
        let until = (minute + 61) * MINUTE;
        match self.hour.back_mut() {
            Some((last, n)) if *last >= until => *n += messages,
            _ => self.hour.push_back((until, messages)),
        }
    }
}

/// When the caps of a run begin anew.
fn next_run(spec: &ResolvedCampaign, campaign: Option<&Campaign>, now: Timestamp) -> i64 {
    let Some(_) = spec.delays.per_run else {
        return i64::MAX;
    };
    next_firings(spec, campaign, now, 1)
        .first()
        .map_or(i64::MAX, |firing| firing.0)
}

/// From when on a campaign goes on by itself, or as soon as it is approved.
fn goes_on(gate: &Gate, now: Timestamp) -> Option<Timestamp> {
    match gate {
        Gate::Open => Some(now),
        Gate::Waits {
            reason: Waiting::OutsideWindow | Waiting::NotStarted | Waiting::Cooldown,
            until: Some(until),
            ..
        } => Some(*until),
        Gate::Waits {
            reason: Waiting::Canary,
            ..
        } => Some(now),
        Gate::Blocked { condition, .. } => {
            matches!(*condition, "AwaitingApproval" | "Canary").then_some(now)
        }
        _ => None,
    }
}

/// Who waits, by who can reach them.
fn groups(
    inputs: &Inputs<'_>,
    spec: &ResolvedCampaign,
    campaign: &Campaign,
    senders: &[Sender<'_>],
) -> Vec<Group> {
    let place = |index: &u16| {
        let name = inputs.observed.account_name(*index)?;
        senders.iter().position(|sender| sender.name == name)
    };
    let mine = |place: &usize| spec.accounts.contains(senders[*place].name);
    let now = inputs.now.0;
    let mut groups = Vec::new();
    let mut add = |accounts: Vec<usize>, left: u64, from: i64, unresolved: bool| {
        if left > 0 {
            groups.push(Group {
                accounts,
                left,
                from,
                unresolved,
            });
        }
    };
    let keepers = Keepers::new(inputs, spec, campaign);
    for (class, queue) in &campaign.queues {
        let reached_by = inputs.observed.persons.accounts(*class);
        let accounts: Vec<usize> = reached_by.iter().filter_map(place).filter(mine).collect();
        let mut left = queue.len();
        let kept = keepers.any() && reached_by.len() > 1;
        let resting = resting(inputs, queue, LOOK_THROUGH);
        for ((keeper, from), people) in
            rested(&resting, |number| keepers.of(number).filter(|_| kept))
        {
            let by = keeper.map_or_else(
                || accounts.clone(),
                |keeper| place(&keeper).into_iter().collect(),
            );
            left -= people.min(left);
            add(by, people, from, false);
        }
        if kept {
            let others = queue.iter().filter(|number| !resting.contains_key(number));
            for (keeper, people) in keepers.count(others) {
                left -= people.min(left);
                add(place(&keeper).into_iter().collect(), people, now, false);
            }
        }
        add(accounts, left, now, false);
    }
    let all: Vec<usize> = (0..senders.len()).filter(mine).collect();
    add(all, campaign.unresolved.len(), now, true);
    groups
}

/// How many of those who rest each account keeps, and from when on it may write to them: moments that lie close together
/// count as the last of them.
fn rested(
    resting: &BTreeMap<u32, Timestamp>,
    keeper: impl Fn(u32) -> Option<u16>,
) -> BTreeMap<(Option<u16>, i64), u64> {
    let mut counts = BTreeMap::new();
    let moments = || resting.values().map(|until| until.0);
    let (Some(first), Some(last)) = (moments().min(), moments().max()) else {
        return counts;
    };
    let width = (last - first) / MOMENTS + 1;
    for (number, until) in resting {
        let from = first + ((until.0 - first) / width + 1) * width;
        *counts.entry((keeper(*number), from.min(last))).or_default() += 1;
    }
    counts
}

/// The middle of a range, in milliseconds.
fn mean((least, most): (std::time::Duration, std::time::Duration)) -> i64 {
    i64::try_from(((least + most) / 2).as_millis()).unwrap_or(i64::MAX / 4)
}

/// The pause after a message, in milliseconds: the mean.
fn usual_gap(spec: &ResolvedCampaign) -> i64 {
    // What is typed is typed while the pause passes.
    mean(spec.delays.between).max(spec.delays.typing.map_or(0, mean))
}

/// Of few people, whose pauses differ, all in the order of their turns.
fn drawn(inputs: &Inputs<'_>, spec: &ResolvedCampaign, campaign: &Campaign) -> VecDeque<Handle> {
    let few = campaign.pending() <= DRAWN as u64 && campaign.unresolved.is_empty();
    if !few || campaign.lineage.is_none() || spec.delays.between.0 >= spec.delays.between.1 {
        return VecDeque::new();
    }
    let persons = &inputs.observed.persons;
    let mut waiting: Vec<(usize, u32)> = campaign
        .queues
        .iter()
        .flat_map(|(class, queue)| {
            let width = persons.accounts(*class).len();
            queue.iter().map(move |number| (width, number))
        })
        .collect();
    waiting.sort_unstable();
    waiting
        .into_iter()
        .map(|(_, number)| Handle(number))
        .collect()
}

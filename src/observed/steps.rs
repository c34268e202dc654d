//! Follow-ups: who waits for which step, by account and by the moment at which the step before it was sent.
//!
//! What a step says and how long it waits is the spec's business and may be edited at any time; what stands here does
//! not depend on it. So an edit moves, drops or adds steps for everybody at once, with nothing to write down and nobody
//! to look through: who was sent step n waits for step n+1, whether the spec has one or not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::table::{Row, Table};
use super::{Handle, pairs};
use crate::model::{Outcome, Timestamp};

/// Where one person stands on his way through the steps of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Chain {
    /// The account that sent the first step; all others come from it.
    account: u16,
    /// The step that comes next; 1 is the first follow-up.
    next: u16,
    /// When the step before it was sent, in seconds, rounded up: no step leaves too early.
    base: u32,
    /// He has written since the first step.
    replied: bool,
    /// A step is on its way to him.
    in_flight: bool,
    /// Why he gets no more steps.
    ended: Option<Outcome>,
}

impl Chain {
    /// Whether he waits for the next step.
    fn waits(&self) -> bool {
        self.ended.is_none() && !self.in_flight
    }
}

/// People who were written to together are at the same step.
impl Row for Chain {
    /// Its base.
    type Moment = u32;

    fn take_moment(&mut self) -> u32 {
        std::mem::take(&mut self.base)
    }

    fn set_moment(&mut self, moment: u32) {
        self.base = moment;
    }
}

/// People of one account who wait for the same step and have answered, or have not. The one whose step before was
/// sent first comes first: what an edit of `after` does to one it does to all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StepGroup {
    /// The account that must send.
    pub account: u16,
    /// The step that comes next.
    pub next: u16,
    /// They have written since the first step.
    pub replied: bool,
}

/// Somebody who waits for a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StepWaiter {
    /// When the step before was sent, in seconds, rounded up.
    pub base: u32,
    /// Who.
    pub handle: u32,
    /// The run of his send-once key: 0 but with `each_run: everyone`.
    pub run: u32,
}

impl StepWaiter {
    /// When the step before was sent.
    pub fn since(&self) -> Timestamp {
        Timestamp::from_seconds(i64::from(self.base))
    }
}

/// How far one step is, in people who got the first message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StepCounts {
    /// May still get it.
    pub pending: u64,
    /// Got it.
    pub sent: u64,
    /// Ended before it, or passed by it.
    pub skipped: u64,
}

/// Messages of follow-ups, for the guardrails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepTotals {
    /// Messages that Telegram accepted or refused.
    pub attempts: u64,
    /// Of them accepted.
    pub sent: u64,
    /// Failures that nobody but us is to blame for.
    pub failed: u64,
}

/// What became of one follow-up of one person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Done {
    outcome: Outcome,
    /// When it was accepted, in seconds; 0 where it was not.
    at: u32,
    /// The position of its template in `Steps::variants`; absent where no message was made.
    variant: Option<u16>,
}

/// What became of one follow-up of one person, for exports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepRow<'a> {
    /// The run of his send-once key: 0 but with `each_run: everyone`.
    pub run: u32,
    /// 1 is the first follow-up.
    pub step: u16,
    /// The account that wrote to him first.
    pub account: u16,
    /// The template's name; absent where no message was made.
    pub variant: Option<&'a str>,
    /// When it was accepted.
    pub sent_at: Option<Timestamp>,
    /// What became of it.
    pub outcome: Outcome,
}

/// Everybody who waits for a step.
type Waiters = BTreeMap<StepGroup, BTreeSet<StepWaiter>>;

/// Everybody who waits for a step, put in order when that is first asked: most specs have no follow-ups, and nobody asks
/// whom they wait for, though each of a million people may be written to. From then on it is kept up.
#[derive(Debug, Clone, Default)]
struct Queues(OnceLock<Waiters>);

/// They follow from the chains.
impl PartialEq for Queues {
    fn eq(&self, _: &Queues) -> bool {
        true
    }
}

/// Nothing: versions that would look for the queues here refuse it, rather than take it that nobody waits.
impl Serialize for Queues {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

/// Versions before wrote them down.
impl<'de> Deserialize<'de> for Queues {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Queues, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Queues::default())
    }
}

/// All follow-ups of a campaign.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Steps {
    /// By person and run, those of `each_run: everyone`; of versions before, all.
    #[serde(with = "pairs")]
    by_run: BTreeMap<(u32, u32), Chain>,
    queues: Queues,
    /// Chains that go on, by what comes next and whether he replied.
    #[serde(with = "pairs")]
    active: BTreeMap<(u16, bool), u64>,
    /// Chains that ended, by what would have come next.
    ended: BTreeMap<u16, u64>,
    /// Messages by step.
    sent: BTreeMap<u16, u64>,
    /// People who passed by a step and got a later one.
    passed: BTreeMap<u16, u64>,
    totals: StepTotals,
    /// What became of each follow-up, by person, run and step.
    #[serde(default, with = "pairs")]
    done: BTreeMap<(u32, u32, u16), Done>,
    /// Names of their templates.
    #[serde(default)]
    variants: Vec<String>,
    /// By person, those of run 0: there may be a million.
    #[serde(default)]
    chains: Table<Chain>,
}

impl Steps {
    fn chain(&self, key: (u32, u32)) -> Option<Chain> {
        let (handle, run) = key;
        let only = (run == 0).then(|| self.chains.get(&handle)).flatten();
        only.or_else(|| self.by_run.get(&key).copied())
    }

    fn put(&mut self, key: (u32, u32), chain: Chain) {
        if key.1 != 0 || self.by_run.contains_key(&key) {
            self.by_run.insert(key, chain);
        } else {
            self.chains.insert(key.0, chain);
        }
    }

    /// A person's, run by run.
    fn chains_of(&self, handle: u32) -> impl Iterator<Item = (u32, Chain)> {
        let by_run = self.by_run.range((handle, 0)..=(handle, u32::MAX));
        let by_run = by_run.map(|((_, run), chain)| (*run, *chain));
        let only = self.chains.get(&handle).map(|chain| (0, chain));
        only.into_iter().chain(by_run)
    }

    fn all_chains(&self) -> impl Iterator<Item = ((u32, u32), Chain)> {
        let only = self.chains.iter();
        let by_run = self.by_run.iter().map(|(key, chain)| (*key, *chain));
        only.map(|(handle, chain)| ((handle, 0), chain))
            .chain(by_run)
    }

    /// Puts everybody who waits in order, where that was not asked before.
    fn queues(&self) -> &Waiters {
        self.queues.0.get_or_init(|| {
            let mut groups: BTreeMap<StepGroup, Vec<StepWaiter>> = BTreeMap::new();
            for (key, chain) in self.all_chains().filter(|(_, chain)| chain.waits()) {
                let (group, waiter) = Self::place(key, chain);
                groups.entry(group).or_default().push(waiter);
            }
            let sorted = |(group, waiters): (_, Vec<_>)| (group, waiters.into_iter().collect());
            groups.into_iter().map(sorted).collect()
        })
    }

    /// Who waits for a step, in groups; the groups are as many as accounts times steps. The first time costs as much as
    /// there are people who got a message: it is not to be asked of a spec without follow-ups.
    pub fn groups(&self) -> impl Iterator<Item = (StepGroup, &BTreeSet<StepWaiter>)> {
        self.queues().iter().map(|(group, queue)| (*group, queue))
    }

    /// The same of one account.
    pub fn groups_of(
        &self,
        account: u16,
    ) -> impl Iterator<Item = (StepGroup, &BTreeSet<StepWaiter>)> {
        let first = StepGroup {
            account,
            next: 0,
            replied: false,
        };
        let last = StepGroup {
            account,
            next: u16::MAX,
            replied: true,
        };
        self.queues()
            .range(first..=last)
            .map(|(group, queue)| (*group, queue))
    }

    /// How far a step is; `always`: a reply does not end it.
    pub fn counts(&self, step: u16, always: bool) -> StepCounts {
        let up_to =
            |counts: &BTreeMap<u16, u64>| counts.range(..=step).map(|(_, n)| n).sum::<u64>();
        let active = |replied: bool| {
            self.active
                .iter()
                .filter(|((next, answered), _)| *next <= step && *answered == replied)
                .map(|(_, n)| n)
                .sum::<u64>()
        };
        let passed = self.passed.get(&step).copied().unwrap_or(0);
        let (mut pending, mut skipped) = (active(false), up_to(&self.ended) + passed);
        if always {
            pending += active(true);
        } else {
            skipped += active(true);
        }
        StepCounts {
            pending,
            sent: self.sent.get(&step).copied().unwrap_or(0),
            skipped,
        }
    }

    /// For the guardrails.
    pub fn totals(&self) -> StepTotals {
        self.totals
    }

    /// What became of each follow-up of a person, run by run. `steps`: how many the spec has; who was ended before the
    /// next of them does not get it, and why is said of that one.
    pub fn rows(&self, handle: Handle, steps: u16) -> Vec<StepRow<'_>> {
        let mut rows = Vec::new();
        for (run, chain) in self.chains_of(handle.0) {
            let row = |step, done: Done| StepRow {
                run,
                step,
                account: chain.account,
                variant: done
                    .variant
                    .and_then(|at| self.variants.get(usize::from(at)))
                    .map(String::as_str),
                sent_at: (done.at > 0).then(|| Timestamp::from_seconds(i64::from(done.at))),
                outcome: done.outcome,
            };
            let of_run = (handle.0, run, 0)..=(handle.0, run, u16::MAX);
            rows.extend(
                self.done
                    .range(of_run)
                    .map(|((_, _, step), done)| row(*step, *done)),
            );
            if let Some(outcome) = chain.ended
                && chain.next <= steps
                && !self.done.contains_key(&(handle.0, run, chain.next))
            {
                let ended = Done {
                    outcome,
                    at: 0,
                    variant: None,
                };
                rows.push(row(chain.next, ended));
            }
        }
        rows
    }

    /// Writes down what became of one.
    fn note(&mut self, key: (u32, u32, u16), outcome: Outcome, at: u32, variant: Option<&str>) {
        let variant = variant.and_then(|name| {
            let known = self.variants.iter().position(|known| known == name);
            let at = known.unwrap_or_else(|| {
                self.variants.push(name.to_owned());
                self.variants.len() - 1
            });
            u16::try_from(at).ok()
        });
        let done = Done {
            outcome,
            at,
            variant,
        };
        self.done.insert(key, done);
    }

    /// The steps that somebody waits for, run by run.
    pub fn waiting(&self, handle: Handle) -> impl Iterator<Item = (StepGroup, StepWaiter)> {
        self.chains_of(handle.0)
            .filter(|(_, chain)| chain.waits())
            .map(move |(run, chain)| Self::place((handle.0, run), chain))
    }

    /// Whether he has written since the first step of that run.
    pub fn has_replied(&self, handle: Handle, run: u32) -> bool {
        self.chain((handle.0, run))
            .is_some_and(|chain| chain.replied)
    }

    /// Where a person stands, for `explain`: by run, the step that comes next and why there is none.
    pub fn of(&self, handle: Handle) -> impl Iterator<Item = (u32, u16, Option<Outcome>)> {
        let mine = self.chains_of(handle.0);
        mine.map(|(run, chain)| (run, chain.next, chain.ended))
    }

    /// The first step was sent.
    pub(super) fn start(
        &mut self,
        handle: Handle,
        run: u32,
        account: u16,
        at: Timestamp,
        replied: bool,
    ) {
        let chain = Chain {
            account,
            next: 1,
            base: seconds_up(at),
            replied,
            in_flight: false,
            ended: None,
        };
        let key = (handle.0, run);
        if self.chain(key).is_some() {
            return;
        }
        self.put(key, chain);
        *self.active.entry((1, replied)).or_default() += 1;
        self.enqueue(key, chain);
    }

    /// A step is on its way.
    pub(super) fn intended(&mut self, handle: Handle, run: u32) {
        self.change((handle.0, run), |chain| chain.in_flight = true);
    }

    /// A step was accepted.
    pub(super) fn accepted(
        &mut self,
        handle: Handle,
        run: u32,
        step: u16,
        at: Timestamp,
        variant: &str,
    ) {
        self.totals.attempts += 1;
        self.totals.sent += 1;
        *self.sent.entry(step).or_default() += 1;
        let Some(before) = self.change((handle.0, run), |chain| {
            chain.in_flight = false;
            chain.next = step.saturating_add(1);
            chain.base = seconds_up(at);
        }) else {
            return;
        };
        let moment = u32::try_from(at.seconds()).unwrap_or(0);
        self.note((handle.0, run, step), Outcome::Sent, moment, Some(variant));
        for passed in before.next..step {
            *self.passed.entry(passed).or_default() += 1;
        }
    }

    /// A step will never be delivered: none after it is, since each comes after the one before.
    pub(super) fn refused(
        &mut self,
        handle: Handle,
        run: u32,
        step: u16,
        outcome: Outcome,
        variant: &str,
    ) {
        if self.chain((handle.0, run)).is_some() {
            self.note((handle.0, run, step), outcome, 0, Some(variant));
        }
        self.totals.attempts += 1;
        if matches!(
            outcome,
            Outcome::Failed | Outcome::TemplateError | Outcome::TooLong
        ) {
            self.totals.failed += 1;
        }
        self.end_one((handle.0, run), outcome);
    }

    /// A step certainly was not sent: he waits for it again.
    pub(super) fn released(&mut self, handle: Handle, run: u32) {
        self.change((handle.0, run), |chain| chain.in_flight = false);
    }

    /// A step is settled without a message.
    pub(super) fn skipped(&mut self, handle: Handle, run: u32, step: u16, outcome: Outcome) {
        if self.chain((handle.0, run)).is_some() {
            self.note((handle.0, run, step), outcome, 0, None);
        }
        self.end_one((handle.0, run), outcome);
    }

    fn end_one(&mut self, key: (u32, u32), outcome: Outcome) {
        self.change(key, |chain| {
            chain.in_flight = false;
            chain.ended = chain.ended.or(Some(outcome));
        });
    }

    /// He wrote.
    pub(super) fn reply(&mut self, handle: Handle) {
        for key in self.keys(handle) {
            self.change(key, |chain| chain.replied = true);
        }
    }

    /// An opt-out or a block ends all steps; one that is on its way may still arrive.
    pub(super) fn end(&mut self, handle: Handle, outcome: Outcome) {
        for key in self.keys(handle) {
            self.change(key, |chain| chain.ended = chain.ended.or(Some(outcome)));
        }
    }

    /// Second chances: those that ended so go on where they stood.
    pub(super) fn reopen(&mut self, outcome: Outcome, may: impl Fn(Handle) -> bool) {
        let keys: Vec<(u32, u32)> = self
            .all_chains()
            .filter(|((handle, _), chain)| chain.ended == Some(outcome) && may(Handle(*handle)))
            .map(|(key, _)| key)
            .collect();
        for key in keys {
            if let Some(chain) = self.change(key, |chain| chain.ended = None) {
                // What was settled under a step to come is forgotten with it.
                let rest = (key.0, key.1, chain.next)..=(key.0, key.1, u16::MAX);
                let again: Vec<_> = self.done.range(rest).map(|(key, _)| *key).collect();
                for key in again {
                    self.done.remove(&key);
                }
            }
        }
    }

    /// Whether any run wrote to him first.
    pub fn wrote_to(&self, handle: Handle) -> bool {
        self.of(handle).next().is_some()
    }

    /// How many ended so.
    pub fn ended_as(&self, outcome: Outcome) -> u64 {
        self.all_chains()
            .filter(|(_, chain)| chain.ended == Some(outcome))
            .count() as u64
    }

    fn keys(&self, handle: Handle) -> Vec<(u32, u32)> {
        let mine = self.chains_of(handle.0);
        mine.map(|(run, _)| (handle.0, run)).collect()
    }

    /// Changes a chain with all that is counted of it. Answers with what it was.
    fn change(&mut self, key: (u32, u32), how: impl FnOnce(&mut Chain)) -> Option<Chain> {
        let before = self.chain(key)?;
        let mut after = before;
        how(&mut after);
        if before == after {
            return Some(before);
        }
        self.put(key, after);
        self.dequeue(key, before);
        match before.ended {
            Some(_) => uncount(&mut self.ended, before.next),
            None => uncount(&mut self.active, (before.next, before.replied)),
        }
        match after.ended {
            Some(_) => *self.ended.entry(after.next).or_default() += 1,
            None => {
                *self.active.entry((after.next, after.replied)).or_default() += 1;
            }
        }
        self.enqueue(key, after);
        Some(before)
    }

    fn place((handle, run): (u32, u32), chain: Chain) -> (StepGroup, StepWaiter) {
        let group = StepGroup {
            account: chain.account,
            next: chain.next,
            replied: chain.replied,
        };
        let waiter = StepWaiter {
            base: chain.base,
            handle,
            run,
        };
        (group, waiter)
    }

    fn enqueue(&mut self, key: (u32, u32), chain: Chain) {
        if let Some(queues) = self.queues.0.get_mut()
            && chain.waits()
        {
            let (group, waiter) = Self::place(key, chain);
            queues.entry(group).or_default().insert(waiter);
        }
    }

    fn dequeue(&mut self, key: (u32, u32), chain: Chain) {
        let Some(queues) = self.queues.0.get_mut() else {
            return;
        };
        let (group, waiter) = Self::place(key, chain);
        if let Some(queue) = queues.get_mut(&group) {
            queue.remove(&waiter);
            if queue.is_empty() {
                queues.remove(&group);
            }
        }
    }
}

fn seconds_up(at: Timestamp) -> u32 {
    u32::try_from((at.0 + 999).div_euclid(1000)).unwrap_or(0)
}

fn uncount<K: Ord>(counts: &mut BTreeMap<K, u64>, key: K) {
    if let Some(n) = counts.get_mut(&key) {
        *n = n.saturating_sub(1);
        if *n == 0 {
            counts.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ONE: Handle = Handle(1);
    const TWO: Handle = Handle(2);

    fn steps() -> Steps {
        let mut steps = Steps::default();
        steps.start(ONE, 0, 0, Timestamp(1_000), false);
        steps.start(TWO, 0, 0, Timestamp(2_500), false);
        steps
    }

    fn counts(steps: &Steps, step: u16, always: bool) -> (u64, u64, u64) {
        let StepCounts {
            pending,
            sent,
            skipped,
        } = steps.counts(step, always);
        (pending, sent, skipped)
    }

    fn waiting(steps: &Steps) -> Vec<(u16, bool, u32)> {
        steps
            .groups()
            .flat_map(|(group, queue)| {
                queue
                    .iter()
                    .map(move |waiter| (group.next, group.replied, waiter.handle))
            })
            .collect()
    }

    #[test]
    fn whoever_was_sent_a_step_waits_for_the_next() {
        let mut steps = steps();
        assert_eq!(waiting(&steps), [(1, false, 1), (1, false, 2)]);
        steps.intended(ONE, 0);
        assert_eq!(waiting(&steps), [(1, false, 2)]);
        assert_eq!(
            counts(&steps, 1, false),
            (2, 0, 0),
            "on its way is not sent"
        );
        steps.accepted(ONE, 0, 1, Timestamp(9_000), "nudge");
        assert_eq!(waiting(&steps), [(1, false, 2), (2, false, 1)]);
        assert_eq!(counts(&steps, 1, false), (1, 1, 0));
        assert_eq!(counts(&steps, 2, false), (2, 0, 0));
    }

    #[test]
    fn a_reply_skips_what_is_for_the_silent_only() {
        let mut steps = steps();
        steps.reply(ONE);
        assert_eq!(counts(&steps, 1, false), (1, 0, 1));
        assert_eq!(counts(&steps, 2, true), (2, 0, 0));
        // He gets the second one, which asks for no silence: the first is passed by.
        steps.intended(ONE, 0);
        steps.accepted(ONE, 0, 2, Timestamp(9_000), "nudge");
        assert_eq!(counts(&steps, 1, false), (1, 0, 1));
        assert_eq!(counts(&steps, 2, true), (1, 1, 0));
    }

    #[test]
    fn an_end_is_for_ever_and_a_message_on_its_way_still_counts() {
        let mut steps = steps();
        steps.intended(ONE, 0);
        steps.end(ONE, Outcome::OptedOut);
        assert_eq!(counts(&steps, 1, true), (1, 0, 1));
        steps.accepted(ONE, 0, 1, Timestamp(9_000), "nudge");
        assert_eq!(counts(&steps, 1, true), (1, 1, 0));
        assert_eq!(counts(&steps, 2, true), (1, 0, 1));
        assert_eq!(waiting(&steps), [(1, false, 2)]);
    }

    #[test]
    fn a_second_chance_takes_up_where_it_ended() {
        let mut steps = steps();
        steps.end_one((1, 0), Outcome::TemplateError);
        assert_eq!(counts(&steps, 1, false), (1, 0, 1));
        steps.reopen(Outcome::TemplateError, |_| true);
        assert_eq!(waiting(&steps), [(1, false, 1), (1, false, 2)]);
        assert_eq!(counts(&steps, 1, false), (2, 0, 0));
    }

    #[test]
    fn every_step_that_came_to_an_end_is_told() {
        let mut steps = steps();
        let told = |steps: &Steps, who| -> Vec<(u16, Outcome, Option<i64>, Option<String>)> {
            steps
                .rows(who, 2)
                .into_iter()
                .map(|row| {
                    let at = row.sent_at.map(|at| at.seconds());
                    (row.step, row.outcome, at, row.variant.map(str::to_owned))
                })
                .collect()
        };
        assert_eq!(told(&steps, ONE), []);
        steps.accepted(ONE, 0, 1, Timestamp(9_000), "nudge");
        steps.refused(ONE, 0, 2, Outcome::PrivacyRestricted, "last");
        let nudged = (1, Outcome::Sent, Some(9), Some("nudge".to_owned()));
        let refused = (2, Outcome::PrivacyRestricted, None, Some("last".to_owned()));
        assert_eq!(told(&steps, ONE), [nudged.clone(), refused]);
        steps.skipped(TWO, 0, 1, Outcome::AccountLost);
        assert_eq!(told(&steps, TWO), [(1, Outcome::AccountLost, None, None)]);
        steps.reopen(Outcome::AccountLost, |_| true);
        assert_eq!(told(&steps, TWO), []);
        // An opt-out ends all steps: the next one says so, where there is a next one.
        steps.end(TWO, Outcome::OptedOut);
        assert_eq!(told(&steps, TWO), [(1, Outcome::OptedOut, None, None)]);
        assert_eq!(steps.rows(TWO, 0), []);
        let bytes = rmp_serde::to_vec(&steps).unwrap();
        let again: Steps = rmp_serde::from_slice(&bytes).unwrap();
        assert_eq!(told(&again, ONE)[0], nudged);
    }

    #[test]
    fn a_moment_is_never_rounded_to_an_earlier_one() {
        let steps = steps();
        let bases: Vec<Timestamp> = steps
            .groups()
            .flat_map(|(_, queue)| queue.iter().map(StepWaiter::since))
            .collect();
        assert_eq!(bases, [Timestamp(1_000), Timestamp(3_000)]);
    }

    #[derive(Debug, Clone)]
    enum Change {
        Start(u16, bool),
        Intended,
        Accepted(u16),
        Refused(u16),
        Released,
        Skipped(u16),
        Reply,
        End,
        Reopen(Outcome),
    }

    fn change() -> impl Strategy<Value = Change> {
        let step = 1u16..4;
        let outcome = [Outcome::Failed, Outcome::AccountLost, Outcome::OptedOut];
        prop_oneof![
            3 => (0u16..3, any::<bool>()).prop_map(|(account, replied)| Change::Start(account, replied)),
            2 => Just(Change::Intended),
            2 => step.clone().prop_map(Change::Accepted),
            1 => step.clone().prop_map(Change::Refused),
            1 => Just(Change::Released),
            1 => step.prop_map(Change::Skipped),
            1 => Just(Change::Reply),
            1 => Just(Change::End),
            1 => prop::sample::select(outcome.to_vec()).prop_map(Change::Reopen),
        ]
    }

    proptest! {
        #[test]
        fn whoever_asks_early_and_whoever_asks_late_hears_of_the_same_people(
            changes in prop::collection::vec((0u32..6, 0u32..2, 0i64..20_000, change()), 0..60),
            asked_after in 0usize..60,
        ) {
            let mut steps = Steps::default();
            for (n, (who, run, at, change)) in changes.into_iter().enumerate() {
                if n == asked_after {
                    steps.groups().count();
                }
                let (who, at) = (Handle(who), Timestamp(at));
                match change {
                    Change::Start(account, replied) => steps.start(who, run, account, at, replied),
                    Change::Intended => steps.intended(who, run),
                    Change::Accepted(step) => steps.accepted(who, run, step, at, "nudge"),
                    Change::Refused(step) => steps.refused(who, run, step, Outcome::Failed, "nudge"),
                    Change::Released => steps.released(who, run),
                    Change::Skipped(step) => steps.skipped(who, run, step, Outcome::AccountLost),
                    Change::Reply => steps.reply(who),
                    Change::End => steps.end(who, Outcome::OptedOut),
                    Change::Reopen(outcome) => steps.reopen(outcome, |_| true),
                }
            }
            let again: Steps = rmp_serde::from_slice(&rmp_serde::to_vec(&steps).unwrap()).unwrap();
            prop_assert_eq!(&again, &steps);
            prop_assert!(again.queues.0.get().is_none());
            prop_assert_eq!(again.queues(), steps.queues());
            for account in 0..3 {
                prop_assert!(again.groups_of(account).eq(steps.groups_of(account)));
            }
            let mut one_by_one = Waiters::new();
            for (group, waiter) in (0..6).flat_map(|who| steps.waiting(Handle(who))) {
                one_by_one.entry(group).or_default().insert(waiter);
            }
            prop_assert_eq!(&one_by_one, steps.queues());
        }
    }

    #[test]
    fn a_checkpoint_of_before_that_holds_the_queues_is_read() {
        let steps = steps();
        let mut bytes = rmp_serde::to_vec(&steps).unwrap();
        // Ten fields: nobody in the first, nothing in the second, which stood for the queues.
        let queues: Vec<_> = steps.queues().iter().collect();
        assert_eq!(bytes[..3], [0x9a, 0x90, 0xc0]);
        bytes.splice(2..3, rmp_serde::to_vec(&queues).unwrap());
        let before: Steps = rmp_serde::from_slice(&bytes).unwrap();
        assert_eq!(before, steps);
        assert_eq!(waiting(&before), [(1, false, 1), (1, false, 2)]);
    }
}

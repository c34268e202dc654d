//! Planning: the same question has the same answer, and no answer is over a cap.

mod doubt;
mod kept;
mod limits;
mod removed;
mod renamed;
mod runs;
mod steps;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

mod estimate;

use super::*;
use crate::desired::{EngineFile, Environment, History, Input, resolve};
use crate::model::{
    AccountState, Event, InDoubtWhy, Intent, LookupEnd, Outcome, Person, Recorded, Waiting,
};
use crate::observed::fold;
use crate::spec::files::MemoryFiles;

/// Tuesday, 2026-12-01 12:00 UTC.
const NOON: Timestamp = Timestamp(1_796_126_400_000);
const SETTINGS: &str =
    "version: 1\nlimits: {min_delay: 0s, max_per_day: 1000, approve_over: null}\n";

fn spec(name: &str, accounts: &str, rest: &str) -> String {
    format!(
        "version: 1\nname: {name}\nkind: mailing\nconsent: {{basis: members}}\naccounts: [{accounts}]\n\
         sources: [{{type: members, peer: '@meetup'}}]\ntemplates: [{{name: a, text: 'Hi {{{{ contact.first_name }}}}'}}]\n{rest}\n"
    )
}

struct World {
    desired: Desired,
    observed: Observed,
    people: BTreeMap<PersonId, Person>,
    runtime: Runtime,
    now: Timestamp,
}

impl World {
    fn new(settings: &str, specs: &[(&str, String)], accounts: &[&str]) -> World {
        let mut files = MemoryFiles::new();
        for (name, text) in specs {
            files.put(format!("campaigns/{name}.yaml"), text);
        }
        let resolved = resolve(&Input {
            engine: EngineFile::Bytes("tidings.yaml", settings.as_bytes()),
            files: &files,
            env: &Environment::default(),
            sessions: None,
            history: &History::default(),
            previous: None,
            kept: None,
            memo: None,
        });
        assert!(
            resolved
                .desired
                .campaigns
                .values()
                .all(|c| c.spec.is_some()),
            "{:?}",
            resolved.diagnostics
        );
        let mut world = World {
            desired: resolved.desired,
            observed: Observed::default(),
            people: BTreeMap::new(),
            runtime: Runtime::default(),
            now: NOON,
        };
        for (index, name) in accounts.iter().enumerate() {
            let link = Link::Ready {
                random_key: RandomKey([7; 32]),
                first_name: None,
                username: None,
            };
            world.runtime.links.insert((*name).into(), link);
            let person = PersonId(9_000 + i64::try_from(index).unwrap());
            world.record(Event::AccountIs {
                account: (*name).into(),
                person,
            });
        }
        let seen: Vec<Event> = world
            .desired
            .campaigns
            .values()
            .map(|wanted| Event::SpecSeen {
                campaign: wanted.lineage.clone(),
                name: wanted.name.clone(),
                file: wanted.file.clone(),
                generation: 1,
                digest: wanted.digest.clone(),
                error: None,
            })
            .collect();
        for event in seen {
            world.record(event);
        }
        world
    }

    fn record(&mut self, event: Event) {
        let seq = self.observed.seq + 1;
        fold(
            &mut self.observed,
            seq,
            &Recorded {
                at: self.now,
                event,
            },
        );
    }

    fn inputs(&self) -> Inputs<'_> {
        Inputs {
            desired: &self.desired,
            observed: &self.observed,
            people: &self.people,
            runtime: &self.runtime,
            now: self.now,
            report_only: false,
        }
    }

    fn plan(&self) -> Plan {
        plan(&self.inputs())
    }

    /// The run opens, every account reads the members, the filters are applied.
    fn found(&mut self, people: std::ops::Range<i64>) {
        let ids: Vec<PersonId> = people.map(PersonId).collect();
        let wanted: Vec<_> = self
            .desired
            .campaigns
            .values()
            .map(|c| (c.lineage.clone(), c.spec.clone().unwrap()))
            .filter(|(_, spec)| !spec.sources.is_empty())
            .collect();
        for (line, spec) in wanted {
            self.record(Event::RunOpened {
                campaign: line.clone(),
                run: 1,
            });
            for name in &spec.accounts {
                for id in &ids {
                    let person = self.people.entry(*id).or_default();
                    person.contact.id = Some(id.0);
                    person.contact.first_name = Some(format!("P{}", id.0));
                    person.hashes.insert(name.clone(), 1);
                }
                let (campaign, source, account) =
                    (line.clone(), spec.sources[0].id, Some(name.clone()));
                let end = LookupEnd {
                    complete: true,
                    admin: true,
                    ..LookupEnd::default()
                };
                self.record(Event::LookupStarted {
                    campaign: campaign.clone(),
                    source,
                    account: account.clone(),
                });
                self.record(Event::LookupPage {
                    campaign: campaign.clone(),
                    source,
                    account: account.clone(),
                    people: ids.clone(),
                });
                self.record(Event::LookupEnded {
                    campaign,
                    source,
                    account,
                    end,
                });
            }
            for event in audience::judge(&self.inputs(), &line) {
                self.record(event);
            }
        }
    }

    /// What is written down before a send leaves now.
    fn intent_of(&self, send: &SendAction) -> Event {
        Event::Intent(Arc::new(Intent {
            key: send.key.clone(),
            account: send.account.clone(),
            random_id: send.random_id,
            run: send.run,
            variant: send.variant.clone(),
            digest: send.digest.clone(),
            attested: send.attested,
            request: Arc::default(),
            next_allowed_at: self.now + send.gap,
        }))
    }

    /// Writes the intents of a plan down, as the engine does before a byte leaves.
    fn intend(&mut self, plan: &Plan) -> Vec<SendKey> {
        let sends: Vec<SendAction> = sends(plan).cloned().collect();
        for send in &sends {
            self.record(self.intent_of(send));
        }
        for action in &plan.actions {
            if let Action::Record(event) = action {
                self.record(event.clone());
            }
        }
        sends.into_iter().map(|send| send.key).collect()
    }
}

fn sends(plan: &Plan) -> impl Iterator<Item = &SendAction> {
    plan.actions.iter().filter_map(|action| match action {
        Action::Send(send) => Some(&**send),
        _ => None,
    })
}

fn waits(plan: &Plan, line: &str) -> Vec<(Waiting, u64)> {
    plan.report.campaigns[line]
        .waiting
        .iter()
        .map(|wait| (wait.reason, wait.count))
        .collect()
}

const FAST: &str = "delays: {between_messages: 0s, per_account: {per_day: 1000}}";

#[test]
fn the_same_state_gives_the_same_plan_and_nothing_once_it_is_written_down() {
    let mut world = World::new(
        SETTINGS,
        &[("one", spec("one", "a1, a2", FAST))],
        &["a1", "a2"],
    );
    world.found(1..40);
    let first = world.plan();
    assert_eq!(first.actions, world.plan().actions);
    assert_eq!(sends(&first).count(), 39);
    world.intend(&first);
    let after = world.plan();
    assert_eq!(
        sends(&after).count(),
        0,
        "who is on his way is not planned again"
    );
}

#[test]
fn accounts_take_turns() {
    let mut world = World::new(
        SETTINGS,
        &[("one", spec("one", "a1, a2, a3", FAST))],
        &["a1", "a2", "a3"],
    );
    world.found(1..31);
    let mut each: BTreeMap<AccountName, usize> = BTreeMap::new();
    for send in sends(&world.plan()) {
        *each.entry(send.account.clone()).or_default() += 1;
    }
    assert_eq!(each.into_values().collect::<Vec<_>>(), [10, 10, 10]);
}

#[test]
fn reports_are_gathered_only_while_a_pass_would_give_nobody_more() {
    let mut world = World::new(
        SETTINGS,
        &[("one", spec("one", "a1, a2", FAST))],
        &["a1", "a2"],
    );
    world.found(1..1_500);
    assert!(!have_plenty(&world.observed), "nobody has anything yet");
    let mut keys = Vec::new();
    loop {
        let plan = world.plan();
        let intended = world.intend(&plan);
        if intended.is_empty() {
            break;
        }
        keys.extend(intended);
    }
    assert_eq!(keys.len(), 1024);
    let mut gathered = 0;
    // One account is faster: as soon as a quarter of what it had is sent, nothing is waited for.
    keys.retain(|key| world.observed.in_flight[key].intent.account.as_ref() == "a1");
    for key in keys {
        if !have_plenty(&world.observed) {
            break;
        }
        assert_eq!(sends(&world.plan()).count(), 0);
        gathered += 1;
        world.record(Event::Sent {
            key,
            message_id: gathered,
            earlier: false,
            next_allowed_at: world.now,
        });
    }
    assert_eq!(gathered, 128);
    assert!(sends(&world.plan()).count() > 0);
}

#[test]
fn with_a_delay_an_account_has_one_message_in_hand() {
    let slow = "delays: {between_messages: 30s..90s, per_account: {per_day: 100}}";
    let mut world = World::new(
        SETTINGS,
        &[("one", spec("one", "a1, a2", slow))],
        &["a1", "a2"],
    );
    world.found(1..31);
    let plan = world.plan();
    assert_eq!(sends(&plan).count(), 2);
    for send in sends(&plan) {
        assert!((30..=90).contains(&send.gap.as_secs()), "{:?}", send.gap);
    }
    world.intend(&plan);
    let next = world.plan();
    assert_eq!(sends(&next).count(), 0);
    assert_eq!(waits(&next, "one"), [(Waiting::Delay, 28)]);
    assert!(
        next.wake_at
            .is_some_and(|at| at >= NOON + Duration::from_secs(30)),
        "{:?}",
        next.wake_at
    );
}

#[test]
fn a_watched_campaign_waits_for_each_answer() {
    let rest = format!("{FAST}\nguardrails: {{after: 5, max_block_rate: 10%}}");
    let mut world = World::new(SETTINGS, &[("one", spec("one", "a1", &rest))], &["a1"]);
    world.found(1..31);
    let plan = world.plan();
    assert_eq!(sends(&plan).count(), 1);
}

#[test]
fn who_answers_for_a_person_after_a_wait_is_not_another_account() {
    let mut world = World::new(
        SETTINGS,
        &[("one", spec("one", "a1, a2", FAST))],
        &["a1", "a2"],
    );
    world.found(1..3);
    let plan = world.plan();
    let by: BTreeMap<SendKey, AccountName> = sends(&plan)
        .map(|s| (s.key.clone(), s.account.clone()))
        .collect();
    for key in world.intend(&plan) {
        let account = by[&key].clone();
        world.record(Event::Released {
            key,
            keep: true,
            detail: "FLOOD_WAIT_30".to_owned(),
        });
        if account.as_ref() == "a1" {
            let until = NOON + Duration::from_secs(31);
            world.record(Event::FloodWait {
                account,
                class: crate::model::reaction::CallClass::Send,
                until,
                seconds: 30,
            });
        }
    }
    let again = world.plan();
    let sent: Vec<&SendAction> = sends(&again).collect();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].account.as_ref(), "a2");
    assert_eq!(by[&sent[0].key].as_ref(), "a2");
    assert_eq!(
        waits(&again, "one")
            .iter()
            .find(|(reason, _)| *reason == Waiting::FloodWait),
        Some(&(Waiting::FloodWait, 1))
    );
}

#[test]
fn a_doubt_is_settled_with_the_same_bytes_and_after_a_day_by_the_dialog() {
    let mut world = World::new(SETTINGS, &[("one", spec("one", "a1", FAST))], &["a1"]);
    world.found(1..2);
    let plan = world.plan();
    let key = world.intend(&plan).remove(0);
    world.record(Event::InDoubt {
        key: key.clone(),
        why: InDoubtWhy::Timeout,
    });
    assert!(
        world.plan().actions.is_empty(),
        "not before the pause is over"
    );
    world.now = NOON + Duration::from_secs(2);
    assert_eq!(world.plan().actions, [Action::Retry { key: key.clone() }]);
    world.now = NOON + Duration::from_secs(25 * 3600);
    assert_eq!(
        world.plan().actions,
        [Action::LookBack { key: key.clone() }]
    );
    world.record(Event::AccountChanged {
        account: "a1".into(),
        state: AccountState::Banned,
        message: String::new(),
    });
    let given_up = world.plan().actions;
    assert!(
        matches!(
            &given_up[..],
            [Action::Record(Event::Refused {
                outcome: Outcome::Uncertain,
                ..
            })]
        ),
        "{given_up:?}"
    );
}

#[test]
fn in_a_closed_window_not_even_a_doubt_goes_out() {
    let rest = format!("{FAST}\nschedule: {{timezone: UTC, windows: ['tue 10:00-13:00']}}");
    let mut world = World::new(SETTINGS, &[("one", spec("one", "a1", &rest))], &["a1"]);
    world.found(1..3);
    let plan = world.plan();
    let keys = world.intend(&plan);
    world.record(Event::InDoubt {
        key: keys[0].clone(),
        why: InDoubtWhy::Timeout,
    });
    world.record(Event::Released {
        key: keys[1].clone(),
        keep: false,
        detail: String::new(),
    });
    world.now = NOON + Duration::from_secs(2 * 3600);
    let closed = world.plan();
    assert!(closed.actions.is_empty(), "{:?}", closed.actions);
    assert_eq!(waits(&closed, "one"), [(Waiting::OutsideWindow, 1)]);
}

#[test]
fn one_of_ones_own_accounts_is_never_written_to_even_when_it_is_known_late() {
    let mut world = World::new(SETTINGS, &[("one", spec("one", "a1", FAST))], &["a1"]);
    world.found(1..4);
    world.record(Event::AccountIs {
        account: "a2".into(),
        person: PersonId(2),
    });
    let to: BTreeSet<i64> = sends(&world.plan()).map(|send| send.key.person.0).collect();
    assert_eq!(to, BTreeSet::from([1, 3]));
}

/// Caps of a small world, drawn at random.
#[derive(Debug, Clone)]
struct Caps {
    account_day: u32,
    campaign_account_day: u32,
    campaign_hour: Option<u32>,
    campaign_run: Option<u32>,
    campaign_day: Option<u32>,
    canary: Option<u32>,
}

fn caps() -> impl Strategy<Value = Caps> {
    (
        1..20u32,
        1..20u32,
        prop::option::of(1..10u32),
        prop::option::of(1..10u32),
        prop::option::of(1..20u32),
        prop::option::of(1..10u32),
    )
        .prop_map(
            |(
                account_day,
                campaign_account_day,
                campaign_hour,
                campaign_run,
                campaign_day,
                canary,
            )| Caps {
                account_day,
                campaign_account_day,
                campaign_hour,
                campaign_run,
                campaign_day,
                canary,
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_plan_is_over_a_cap(caps in caps(), outcomes in prop::collection::vec(0..4u8, 1..40)) {
        let mut delays = format!("{{between_messages: 0s, per_account: {{per_day: {}", caps.campaign_account_day);
        if let Some(n) = caps.campaign_hour { delays.push_str(&format!(", per_hour: {n}")); }
        if let Some(n) = caps.campaign_run { delays.push_str(&format!(", per_run: {n}")); }
        delays.push('}');
        if let Some(n) = caps.campaign_day { delays.push_str(&format!(", per_campaign: {{per_day: {n}}}")); }
        delays.push('}');
        let mut rest = format!("delays: {delays}");
        if let Some(n) = caps.canary { rest.push_str(&format!("\ncanary: {n}")); }
        let settings = format!("{SETTINGS}accounts: {{a1: {{per_day: {0}}}, a2: {{per_day: {0}}}}}\n", caps.account_day);
        let specs = [("one", spec("one", "a1, a2", &rest)), ("two", spec("two", "a1, a2", &rest))];
        let mut world = World::new(&settings, &specs, &["a1", "a2"]);
        world.found(1..60);
        let mut planned: BTreeSet<SendKey> = BTreeSet::new();
        // Messages that count: those on their way, and those that arrived.
        let mut counted: Vec<(AccountName, Lineage)> = Vec::new();
        for outcome in outcomes {
            let plan = world.plan();
            let by: BTreeMap<SendKey, AccountName> = sends(&plan).map(|s| (s.key.clone(), s.account.clone())).collect();
            for key in world.intend(&plan) {
                prop_assert!(planned.insert(key.clone()), "planned twice: {}", key);
                counted.push((by[&key].clone(), key.lineage.clone()));
            }
            let of = |account: &str, line: &str| {
                counted.iter().filter(|(a, l)| a.as_ref() == account && l.as_ref() == line).count() as u32
            };
            for account in ["a1", "a2"] {
                prop_assert!(of(account, "one") + of(account, "two") <= caps.account_day, "account's day");
                for line in ["one", "two"] {
                    prop_assert!(of(account, line) <= caps.campaign_account_day, "campaign's day of an account");
                    prop_assert!(caps.campaign_hour.is_none_or(|n| of(account, line) <= n), "hour");
                    prop_assert!(caps.campaign_run.is_none_or(|n| of(account, line) <= n), "run");
                }
            }
            for line in ["one", "two"] {
                let all = of("a1", line) + of("a2", line);
                prop_assert!(caps.campaign_day.is_none_or(|n| all <= n), "campaign's day");
                prop_assert!(caps.canary.is_none_or(|n| all <= n), "canary");
            }
            // One of those on their way ends.
            let Some((key, account)) = world.observed.in_flight.iter().next().map(|(k, f)| (k.clone(), f.intent.account.clone())) else {
                break;
            };
            let back = counted.iter().position(|(a, l)| *a == account && *l == key.lineage);
            match outcome {
                0 | 1 => world.record(Event::Sent { key, message_id: 1, earlier: false, next_allowed_at: world.now }),
                2 => {
                    world.record(Event::Refused { key, outcome: Outcome::PrivacyRestricted, detail: String::new() });
                    counted.remove(back.unwrap());
                }
                _ => {
                    world.record(Event::Released { key: key.clone(), keep: false, detail: String::new() });
                    planned.remove(&key);
                    counted.remove(back.unwrap());
                }
            }
            for (line, view) in &world.plan().report.campaigns {
                let pending = world.observed.campaigns[line].pending();
                let sum: u64 = view.waiting.iter().map(|wait| wait.count).sum();
                prop_assert!(sum == pending, "{}: {} wait, {} are pending", line, sum, pending);
            }
        }
    }
}

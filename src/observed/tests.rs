//! Folding: whatever the journal holds, the counts are those that a recount of everybody gives.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::model::reaction::CallClass;
use crate::model::{
    Event, Exclusion, InDoubtWhy, LookupEnd, Outcome, Recorded, SourceId, Timestamp,
};

const LINES: [&str; 2] = ["spring", "winter"];
const ACCOUNTS: [&str; 3] = ["sales-1", "sales-2", "sales-3"];
/// Noon, so that all of a test stays within one day.
const NOON: i64 = 1_796_126_400_000;

/// One thing that may happen, in small numbers that a test can shrink.
#[derive(Debug, Clone)]
enum Step {
    Found {
        line: usize,
        account: Option<usize>,
        people: Vec<u8>,
        complete: bool,
    },
    Judged {
        line: usize,
        included: Vec<u8>,
        excluded: Vec<u8>,
        dropped: Vec<u8>,
    },
    Resolved {
        reference: u8,
        account: usize,
    },
    Intent {
        line: usize,
        person: u8,
        account: usize,
    },
    Sent {
        line: usize,
        person: u8,
    },
    Refused {
        line: usize,
        person: u8,
        outcome: Outcome,
    },
    Released {
        line: usize,
        person: u8,
        keep: bool,
    },
    InDoubt {
        line: usize,
        person: u8,
    },
    Skipped {
        line: usize,
        person: u8,
        outcome: Outcome,
    },
    Incoming {
        account: usize,
        person: u8,
        message: i32,
    },
    OptedOut {
        person: u8,
    },
    Suppressed {
        person: u8,
    },
    Unreached {
        account: usize,
        person: u8,
    },
    LookAgain {
        account: usize,
        person: u8,
    },
    AccountIs {
        account: usize,
        person: u8,
    },
    Restart,
}

/// People 1 to 12 are users; a reference 13 to 24 turns out to be the user 12 below it.
fn person(number: u8) -> PersonId {
    let number = i64::from(number);
    PersonId(if number <= 12 { number } else { -number })
}

fn step() -> impl Strategy<Value = Step> {
    let line = 0..LINES.len();
    let account = 0..ACCOUNTS.len();
    let anyone = 1..=24u8;
    let user = 1..=12u8;
    let some = || prop::collection::vec(1..=24u8, 0..8);
    let refusal = prop::sample::select(vec![
        Outcome::Blocked,
        Outcome::PrivacyRestricted,
        Outcome::Failed,
        Outcome::Unreachable,
        Outcome::Uncertain,
        Outcome::OptedOut,
    ]);
    let skip = prop::sample::select(vec![
        Outcome::NotFound,
        Outcome::Unreachable,
        Outcome::TemplateError,
    ]);
    prop_oneof![
        2 => (line.clone(), prop::option::of(account.clone()), some(), any::<bool>())
            .prop_map(|(line, account, people, complete)| Step::Found { line, account, people, complete }),
        3 => (line.clone(), some(), some(), some())
            .prop_map(|(line, included, excluded, dropped)| Step::Judged { line, included, excluded, dropped }),
        2 => (13..=24u8, account.clone()).prop_map(|(reference, account)| Step::Resolved { reference, account }),
        6 => (line.clone(), user.clone(), account.clone())
            .prop_map(|(line, person, account)| Step::Intent { line, person, account }),
        4 => (line.clone(), user.clone()).prop_map(|(line, person)| Step::Sent { line, person }),
        2 => (line.clone(), user.clone(), refusal)
            .prop_map(|(line, person, outcome)| Step::Refused { line, person, outcome }),
        2 => (line.clone(), user.clone(), any::<bool>())
            .prop_map(|(line, person, keep)| Step::Released { line, person, keep }),
        1 => (line.clone(), user.clone()).prop_map(|(line, person)| Step::InDoubt { line, person }),
        1 => (line, anyone.clone(), skip).prop_map(|(line, person, outcome)| Step::Skipped { line, person, outcome }),
        2 => (account.clone(), user.clone(), 1..6i32)
            .prop_map(|(account, person, message)| Step::Incoming { account, person, message }),
        1 => anyone.clone().prop_map(|person| Step::OptedOut { person }),
        1 => anyone.clone().prop_map(|person| Step::Suppressed { person }),
        1 => (account.clone(), user.clone()).prop_map(|(account, person)| Step::Unreached { account, person }),
        1 => (account.clone(), user.clone()).prop_map(|(account, person)| Step::LookAgain { account, person }),
        1 => (account, user).prop_map(|(account, person)| Step::AccountIs { account, person }),
        1 => Just(Step::Restart),
    ]
}

fn events(state: &Observed, step: &Step) -> Vec<Event> {
    let line = |index: &usize| -> Lineage { LINES[*index].into() };
    let name = |index: &usize| -> AccountName { ACCOUNTS[*index].into() };
    let people = |numbers: &[u8]| numbers.iter().map(|n| person(*n)).collect::<Vec<_>>();
    let key = |index: &usize, number: &u8| SendKey {
        lineage: line(index),
        person: person(*number),
        step: 0,
        run: 0,
    };
    match step {
        Step::Found {
            line: index,
            account,
            people: found,
            complete,
        } => {
            let (campaign, source, account) =
                (line(index), SourceId(1), account.as_ref().map(name));
            let end = LookupEnd {
                complete: *complete,
                error: (!complete).then(|| "cut off".to_owned()),
                admin: true,
                ..LookupEnd::default()
            };
            vec![
                Event::LookupStarted {
                    campaign: campaign.clone(),
                    source,
                    account: account.clone(),
                },
                Event::LookupPage {
                    campaign: campaign.clone(),
                    source,
                    account: account.clone(),
                    people: people(found),
                },
                Event::LookupEnded {
                    campaign,
                    source,
                    account,
                    end,
                },
            ]
        }
        Step::Judged {
            line: index,
            included,
            excluded,
            dropped,
        } => vec![Event::Judged {
            campaign: line(index),
            included: people(included),
            excluded: vec![(Exclusion::Where, people(excluded))],
            dropped: people(dropped),
            finished: Some("digest".to_owned()),
        }],
        Step::Resolved { reference, account } => vec![Event::Resolved {
            reference: person(*reference),
            person: person(reference - 12),
            account: name(account),
        }],
        Step::Intent {
            line: index,
            person: number,
            account,
        } => {
            // As the planner keeps it: nobody is written to twice, and nobody who is silenced or waits for nothing.
            let waits = state.handle(person(*number)).is_some_and(|handle| {
                let campaign = state.campaigns.get(LINES[*index]);
                campaign
                    .and_then(|c| c.recipients.get(&handle.0))
                    .is_some_and(|r| r.status == Status::Pending)
            });
            if !waits {
                return Vec::new();
            }
            vec![Event::Intent(Arc::new(Intent {
                key: key(index, number),
                account: name(account),
                random_id: 1,
                run: 1,
                variant: if number % 2 == 0 { "even" } else { "odd" }.into(),
                digest: "".into(),
                attested: false,
                request: Arc::default(),
                next_allowed_at: Timestamp(NOON),
            }))]
        }
        Step::Sent {
            line: index,
            person: number,
        } => vec![Event::Sent {
            key: key(index, number),
            message_id: 1,
            earlier: false,
            next_allowed_at: Timestamp(NOON),
        }],
        Step::Refused {
            line: index,
            person: number,
            outcome,
        } => {
            vec![Event::Refused {
                key: key(index, number),
                outcome: *outcome,
                detail: String::new(),
            }]
        }
        Step::Released {
            line: index,
            person: number,
            keep,
        } => {
            vec![Event::Released {
                key: key(index, number),
                keep: *keep,
                detail: String::new(),
            }]
        }
        Step::InDoubt {
            line: index,
            person: number,
        } => {
            vec![Event::InDoubt {
                key: key(index, number),
                why: InDoubtWhy::Timeout,
            }]
        }
        Step::Skipped {
            line: index,
            person: number,
            outcome,
        } => vec![Event::Skipped {
            campaign: line(index),
            person: person(*number),
            step: 0,
            outcome: *outcome,
            detail: String::new(),
        }],
        Step::Incoming {
            account,
            person: number,
            message,
        } => {
            vec![Event::Incoming {
                account: name(account),
                person: person(*number),
                message_id: *message,
            }]
        }
        Step::OptedOut { person: number } => {
            vec![Event::OptedOut {
                person: person(*number),
                account: Some(ACCOUNTS[0].into()),
            }]
        }
        Step::Suppressed { person: number } => {
            vec![Event::Suppressed {
                person: person(*number),
                why: String::new(),
            }]
        }
        Step::Unreached {
            account,
            person: number,
        } => {
            vec![Event::Unreached {
                account: name(account),
                person: person(*number),
            }]
        }
        Step::LookAgain {
            account,
            person: number,
        } => {
            vec![Event::LookAgain {
                account: name(account),
                person: person(*number),
            }]
        }
        Step::AccountIs {
            account,
            person: number,
        } => {
            vec![Event::AccountIs {
                account: name(account),
                person: person(*number),
            }]
        }
        Step::Restart => vec![Event::Started {
            version: String::new(),
        }],
    }
}

fn beginning() -> Observed {
    let mut state = Observed::default();
    for line in LINES {
        for event in [
            Event::SpecSeen {
                campaign: line.into(),
                name: line.to_owned(),
                file: format!("campaigns/{line}.yaml"),
                generation: 1,
                digest: "d".to_owned(),
                error: None,
            },
            Event::RunOpened {
                campaign: line.into(),
                run: 1,
            },
        ] {
            let seq = state.seq + 1;
            fold(
                &mut state,
                seq,
                &Recorded {
                    at: Timestamp(NOON),
                    event,
                },
            );
        }
    }
    state
}

fn happen(state: &mut Observed, step: &Step) {
    for event in events(state, step) {
        let seq = state.seq + 1;
        let at = Timestamp(NOON + i64::try_from(seq).unwrap() * 1000);
        fold(state, seq, &Recorded { at, event });
    }
}

/// Everything that is counted, counted again from the people themselves.
fn recount(state: &Observed) {
    for (line, campaign) in &state.campaigns {
        let mut pending = 0u64;
        let mut in_flight = 0u64;
        let mut outcomes: BTreeMap<Outcome, u64> = BTreeMap::new();
        let mut excluded: BTreeMap<Exclusion, u64> = BTreeMap::new();
        let (mut replied, mut opted_out) = (0u64, 0u64);
        let mut variants: BTreeMap<u16, (u64, u64)> = BTreeMap::new();
        for (number, recipient) in campaign.recipients.iter() {
            let queued: Vec<ClassId> = campaign
                .queues
                .iter()
                .filter(|(_, queue)| queue.contains(number))
                .map(|(class, _)| *class)
                .collect();
            let places = queued.len() + usize::from(campaign.unresolved.contains(number));
            match recipient.status {
                Status::Pending => {
                    pending += 1;
                    assert_eq!(places, 1, "{line}: {number} waits in one place");
                    let handle = Handle(number);
                    if let Some(class) = queued.first() {
                        match recipient.account {
                            Some(account) => {
                                assert_eq!(state.persons.accounts(*class), [account], "bound")
                            }
                            None => assert_eq!(
                                *class,
                                state.persons.class(handle),
                                "by who can reach him"
                            ),
                        }
                    }
                    assert!(!recipient.bound || recipient.account.is_some());
                    assert!(
                        !state.is_silenced(handle)
                            || !campaign.recipients.contains_key(&number)
                            || places == 1
                    );
                }
                status => {
                    assert_eq!(places, 0, "{line}: {number} waits no more");
                    assert!(
                        !campaign.unjudged.contains(number),
                        "{line}: {number} is not to be judged"
                    );
                    match status {
                        Status::InFlight => in_flight += 1,
                        Status::Settled(outcome) => *outcomes.entry(outcome).or_default() += 1,
                        Status::Excluded(reason) => *excluded.entry(reason).or_default() += 1,
                        Status::Pending => {}
                    }
                }
            }
            if recipient.status == Status::Settled(Outcome::Sent) {
                replied += u64::from(recipient.replied);
                opted_out += u64::from(recipient.opted_out);
                if let Some(variant) = recipient.variant {
                    let count = variants.entry(variant).or_default();
                    count.0 += 1;
                    count.1 += u64::from(recipient.replied);
                }
            }
        }
        let nonzero = |counts: &BTreeMap<Outcome, u64>| {
            counts
                .iter()
                .filter(|(_, n)| **n > 0)
                .map(|(k, n)| (*k, *n))
                .collect::<BTreeMap<_, _>>()
        };
        assert_eq!(campaign.pending(), pending, "{line}: pending");
        assert_eq!(campaign.in_flight, in_flight, "{line}: in flight");
        assert_eq!(nonzero(&campaign.outcomes), outcomes, "{line}: outcomes");
        assert_eq!(campaign.excluded, excluded, "{line}: excluded");
        assert_eq!(
            campaign.found(),
            campaign.recipients.len() as u64,
            "{line}: found"
        );
        assert_eq!(
            (campaign.replied, campaign.opted_out),
            (replied, opted_out),
            "{line}: replied, opted out"
        );
        for (position, (name, count)) in campaign.variants.iter().enumerate() {
            let expected = variants
                .get(&u16::try_from(position).unwrap())
                .copied()
                .unwrap_or_default();
            assert_eq!(
                (count.sent, count.replied),
                expected,
                "{line}: variant {name}"
            );
        }
        let flights = state
            .in_flight
            .keys()
            .filter(|key| key.lineage == *line)
            .count() as u64;
        assert_eq!(
            flights, in_flight,
            "{line}: each one on his way has an intent"
        );
        // What was taken back is no message; what may have been delivered is one, and of a day's caps it stays one.
        let messages = in_flight
            + outcomes.get(&Outcome::Sent).copied().unwrap_or(0)
            + outcomes.get(&Outcome::Uncertain).copied().unwrap_or(0);
        assert_eq!(
            campaign.run_total(),
            messages,
            "{line}: messages of the run"
        );
        assert!(
            u64::from(campaign.meter.since(Timestamp(NOON - 1000))) >= messages,
            "{line}: messages of the day"
        );
    }
    for (name, account) in &state.accounts {
        let own: Vec<&Box<InFlight>> = state
            .in_flight
            .values()
            .filter(|f| f.intent.account == *name)
            .collect();
        assert_eq!(account.in_flight as usize, own.len(), "{name}: in flight");
        assert_eq!(
            account.in_doubt as usize,
            own.iter().filter(|f| f.doubt.is_some()).count(),
            "{name}: in doubt"
        );
    }
    let by_campaign: u32 = state
        .campaigns
        .values()
        .map(|c| c.meter.since(Timestamp(NOON - 1000)))
        .sum();
    let by_account: u32 = state
        .accounts
        .values()
        .map(|a| a.meter.since(Timestamp(NOON - 1000)))
        .sum();
    assert_eq!(
        by_campaign, by_account,
        "what campaigns sent is what accounts sent"
    );
}

/// What two states must have in common to be the same.
fn summary(state: &Observed) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for (line, it) in &state.campaigns {
        let people: BTreeMap<u32, Recipient> = it.recipients.iter().collect();
        lines.push(format!(
            "{line} {people:?} {:?} {:?} {:?} {:?}",
            it.queues, it.unresolved, it.unjudged, it.outcomes
        ));
        lines.push(format!(
            "{:?} {:?} {} {} {:?}",
            it.excluded, it.variants, it.replied, it.opted_out, it.run_sent
        ));
    }
    lines.push(format!(
        "{:?} {:?} {:?}",
        state.accounts,
        state.in_flight.keys().collect::<Vec<_>>(),
        state.confirmations
    ));
    lines
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_counts_are_always_those_of_a_recount(steps in prop::collection::vec(step(), 1..120)) {
        let mut state = beginning();
        for step in &steps {
            happen(&mut state, step);
            recount(&state);
        }
    }

    #[test]
    fn a_checkpoint_in_between_changes_nothing(steps in prop::collection::vec(step(), 1..60), cut in 0usize..60) {
        let mut whole = beginning();
        let mut cut_off = beginning();
        for (at, step) in steps.iter().enumerate() {
            if at == cut {
                let bytes = rmp_serde::to_vec(&cut_off).unwrap();
                cut_off = rmp_serde::from_slice(&bytes).unwrap();
            }
            happen(&mut whole, step);
            happen(&mut cut_off, step);
        }
        prop_assert_eq!(summary(&whole), summary(&cut_off));
    }

    #[test]
    fn whoever_is_settled_stays_so(steps in prop::collection::vec(step(), 1..120)) {
        let mut state = beginning();
        let mut settled: BTreeSet<(Lineage, u32)> = BTreeSet::new();
        for step in &steps {
            happen(&mut state, step);
            for (line, number) in &settled {
                let status = state.campaigns[line].recipients.get(number).map(|r| r.status);
                prop_assert!(matches!(status, Some(Status::Settled(_))), "{} {}: {:?}", line, number, status);
            }
            for (line, campaign) in &state.campaigns {
                settled.extend(
                    campaign
                        .recipients
                        .iter()
                        .filter(|(_, r)| matches!(r.status, Status::Settled(_)))
                        .map(|(number, _)| (line.clone(), number)),
                );
            }
        }
    }
}

fn told(state: &mut Observed, event: Event) {
    let seq = state.seq + 1;
    fold(
        state,
        seq,
        &Recorded {
            at: Timestamp(NOON + i64::try_from(seq).unwrap()),
            event,
        },
    );
}

fn waiting(people: &[u8]) -> Observed {
    let mut state = beginning();
    let people = people.to_vec();
    happen(
        &mut state,
        &Step::Found {
            line: 0,
            account: Some(0),
            people: people.clone(),
            complete: true,
        },
    );
    happen(
        &mut state,
        &Step::Judged {
            line: 0,
            included: people,
            excluded: Vec::new(),
            dropped: Vec::new(),
        },
    );
    state
}

#[test]
fn whom_telegram_let_wait_stays_with_his_account_even_when_called_off_later() {
    let mut state = waiting(&[1]);
    happen(
        &mut state,
        &Step::Found {
            line: 0,
            account: Some(1),
            people: vec![1],
            complete: true,
        },
    );
    for keep in [true, false] {
        happen(
            &mut state,
            &Step::Intent {
                line: 0,
                person: 1,
                account: 0,
            },
        );
        happen(
            &mut state,
            &Step::Released {
                line: 0,
                person: 1,
                keep,
            },
        );
        let handle = state.handle(PersonId(1)).unwrap();
        assert_eq!(
            state.campaigns["spring"]
                .recipients
                .get(&handle.0)
                .unwrap()
                .account,
            Some(0),
            "keep: {keep}"
        );
    }
}

#[test]
fn an_answer_that_is_faster_than_telegrams_counts() {
    let mut state = waiting(&[1, 2]);
    for step in [
        Step::Intent {
            line: 0,
            person: 1,
            account: 0,
        },
        Step::Incoming {
            account: 0,
            person: 1,
            message: 5,
        },
    ] {
        happen(&mut state, &step);
    }
    assert_eq!(
        state.campaigns["spring"].replied, 0,
        "nobody knows yet that he got anything"
    );
    happen(&mut state, &Step::Sent { line: 0, person: 1 });
    assert_eq!(state.campaigns["spring"].replied, 1);
    happen(
        &mut state,
        &Step::Incoming {
            account: 0,
            person: 1,
            message: 6,
        },
    );
    assert_eq!(
        state.campaigns["spring"].replied, 1,
        "a person is counted once"
    );
    happen(
        &mut state,
        &Step::Incoming {
            account: 0,
            person: 2,
            message: 7,
        },
    );
    assert_eq!(
        state.campaigns["spring"].replied, 1,
        "who got nothing replied to nothing"
    );
}

#[test]
fn who_is_on_his_way_is_not_judged_any_more() {
    let mut state = beginning();
    // Nobody can reach him when he comes in; then somebody can, which may tell new things of him.
    happen(
        &mut state,
        &Step::Judged {
            line: 1,
            included: vec![10],
            excluded: Vec::new(),
            dropped: Vec::new(),
        },
    );
    happen(
        &mut state,
        &Step::Found {
            line: 0,
            account: Some(0),
            people: vec![10],
            complete: false,
        },
    );
    assert_eq!(state.campaigns["winter"].unjudged.len(), 1);
    happen(
        &mut state,
        &Step::Intent {
            line: 1,
            person: 10,
            account: 0,
        },
    );
    assert!(state.campaigns["winter"].unjudged.is_empty());
    recount(&state);
}

#[test]
fn what_was_called_off_costs_no_pause() {
    let mut state = waiting(&[1]);
    let account: AccountName = ACCOUNTS[0].into();
    let intent = Intent {
        key: SendKey {
            lineage: LINES[0].into(),
            person: PersonId(1),
            step: 0,
            run: 0,
        },
        account: account.clone(),
        random_id: 1,
        run: 1,
        variant: "a".into(),
        digest: "".into(),
        attested: false,
        request: Arc::default(),
        next_allowed_at: Timestamp(NOON + 90_000),
    };
    let before = state.accounts[&account].next_allowed_at;
    told(&mut state, Event::Intent(Arc::new(intent.clone())));
    assert_eq!(
        state.accounts[&account].next_allowed_at,
        Timestamp(NOON + 90_000)
    );
    told(
        &mut state,
        Event::Released {
            key: intent.key,
            keep: false,
            detail: String::new(),
        },
    );
    assert_eq!(state.accounts[&account].next_allowed_at, before);
}

#[test]
fn two_names_of_one_person_become_one_recipient() {
    // 13 is a reference to the person 1.
    let mut state = waiting(&[1, 13]);
    assert_eq!(state.campaigns["spring"].pending(), 2);
    happen(
        &mut state,
        &Step::Resolved {
            reference: 13,
            account: 0,
        },
    );
    assert_eq!(state.campaigns["spring"].pending(), 1);
    recount(&state);
    // Found again under the old name he is the same.
    happen(
        &mut state,
        &Step::Found {
            line: 0,
            account: None,
            people: vec![13],
            complete: true,
        },
    );
    happen(
        &mut state,
        &Step::Judged {
            line: 0,
            included: vec![13],
            excluded: Vec::new(),
            dropped: Vec::new(),
        },
    );
    assert_eq!(state.campaigns["spring"].found(), 1);
}

#[test]
fn an_opt_out_under_one_name_holds_under_the_other() {
    let mut state = waiting(&[13]);
    happen(&mut state, &Step::OptedOut { person: 13 });
    happen(
        &mut state,
        &Step::Resolved {
            reference: 13,
            account: 0,
        },
    );
    let handle = state.handle(PersonId(1)).unwrap();
    assert!(state.is_silenced(handle));
}

#[test]
fn a_look_up_that_was_cut_off_keeps_whom_the_last_one_found() {
    let mut state = waiting(&[1, 2, 3]);
    happen(
        &mut state,
        &Step::Found {
            line: 0,
            account: Some(0),
            people: vec![4],
            complete: false,
        },
    );
    let found = state.campaigns["spring"].sources[&SourceId(1)].found();
    assert_eq!(found.len(), 4);
    happen(
        &mut state,
        &Step::Found {
            line: 0,
            account: Some(0),
            people: vec![4],
            complete: true,
        },
    );
    assert_eq!(
        state.campaigns["spring"].sources[&SourceId(1)]
            .found()
            .len(),
        1
    );
}

#[test]
fn a_shorter_wait_does_not_end_a_longer_one() {
    let mut state = beginning();
    let account: AccountName = ACCOUNTS[0].into();
    for (until, seconds) in [(9_000, 9), (5_000, 5)] {
        told(
            &mut state,
            Event::FloodWait {
                account: account.clone(),
                class: CallClass::Send,
                until: Timestamp(NOON + until),
                seconds,
            },
        );
    }
    let known = &state.accounts[&account];
    assert_eq!(
        known.flood_until(CallClass::Send, Timestamp(NOON)),
        Some(Timestamp(NOON + 9_000))
    );
    assert_eq!(
        known.flood_until(CallClass::LookUp, Timestamp(NOON)),
        None,
        "only that class of calls waits"
    );
}

#[test]
fn a_limit_doubles_up_to_a_week_and_begins_anew_after_a_calm_one() {
    let mut state = beginning();
    let account: AccountName = ACCOUNTS[0].into();
    let day = 24 * 3600;
    let mut at = Timestamp(NOON);
    for expected in [1, 2, 4, 7, 7] {
        let length = state
            .accounts
            .get(&account)
            .map_or(LIMITED_FIRST, |a| a.next_limit(at));
        assert_eq!(length.as_secs(), expected * day);
        let event = Event::Limited {
            account: account.clone(),
            campaign: None,
            until: at + length,
        };
        let seq = state.seq + 1;
        fold(&mut state, seq, &Recorded { at, event });
        // An hour after its end.
        at = at + length + std::time::Duration::from_secs(3600);
    }
    assert_eq!(
        state.accounts[&account]
            .next_limit(at + LIMITED_MOST)
            .as_secs(),
        day
    );
}

#[test]
fn an_account_that_turns_out_to_be_among_the_waiting_is_judged_again() {
    let mut state = waiting(&[1, 2]);
    happen(
        &mut state,
        &Step::AccountIs {
            account: 1,
            person: 2,
        },
    );
    let handle = state.handle(PersonId(2)).unwrap();
    assert!(state.campaigns["spring"].unjudged.contains(handle.0));
}

#[test]
fn a_campaign_begins_with_what_was_looked_up_before_it_was_seen() {
    let mut state = Observed::default();
    let line: Lineage = "spring".into();
    let source = SourceId(1);
    let event = Event::LookupStarted {
        campaign: line.clone(),
        source,
        account: None,
    };
    told(&mut state, event);
    let event = Event::LookupPage {
        campaign: line.clone(),
        source,
        account: None,
        people: vec![PersonId(1), PersonId(2)],
    };
    told(&mut state, event);
    let ended = Event::LookupEnded {
        campaign: line.clone(),
        source,
        account: None,
        end: LookupEnd {
            complete: true,
            ..LookupEnd::default()
        },
    };
    told(&mut state, ended);
    let restart = Event::Started {
        version: String::new(),
    };
    told(&mut state, restart);
    assert!(state.campaigns.is_empty() && state.names.is_empty());
    let known = state.looked_up(&line).unwrap();
    assert_eq!(known.sources[&source].found().len(), 2);
    let seen = Event::SpecSeen {
        campaign: line.clone(),
        name: "spring".to_owned(),
        file: "campaigns/spring.yaml".to_owned(),
        generation: 1,
        digest: String::new(),
        error: None,
    };
    told(&mut state, seen);
    assert!(state.unseen.is_empty());
    let campaign = &state.campaigns[&line];
    assert_eq!(campaign.sources[&source].found().len(), 2);
    assert_eq!((campaign.generation, campaign.lookups_ended), (1, 1));
}

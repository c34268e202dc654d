//! What is in doubt, what broke off, and a clock that was set.

use std::sync::Arc;

use super::*;
use crate::model::Exclusion;
use crate::model::reaction::CallClass;

/// One person, written to, and nobody knows whether it arrived.
fn in_doubt() -> (World, SendKey) {
    let mut world = World::new(SETTINGS, &[("one", spec("one", "a1", FAST))], &["a1"]);
    world.found(1..2);
    let plan = world.plan();
    let key = world.intend(&plan).remove(0);
    world.record(Event::InDoubt {
        key: key.clone(),
        why: InDoubtWhy::Timeout,
    });
    world.now = NOON + Duration::from_secs(60);
    assert_eq!(world.plan().actions, [Action::Retry { key: key.clone() }]);
    (world, key)
}

#[test]
fn an_account_that_may_write_to_no_stranger_repeats_no_first_contact_either() {
    let (mut world, key) = in_doubt();
    world.record(Event::Limited {
        account: "a1".into(),
        campaign: None,
        until: world.now + Duration::from_secs(24 * 3600),
    });
    assert_eq!(world.plan().actions, [Action::LookBack { key }]);
}

#[test]
fn of_a_repeat_that_is_refused_the_dialog_says_whether_the_first_try_arrived() {
    let (mut world, key) = in_doubt();
    let why = InDoubtWhy::Refused(Outcome::PrivacyRestricted);
    world.record(Event::InDoubt {
        key: key.clone(),
        why,
    });
    world.now = world.now + Duration::from_secs(60);
    assert_eq!(
        world.plan().actions,
        [Action::LookBack { key: key.clone() }]
    );
    // A restart knows it still.
    world.record(Event::Started {
        version: String::new(),
    });
    assert_eq!(world.plan().actions, [Action::LookBack { key }]);
}

#[test]
fn a_clock_that_is_set_neither_shortens_a_pause_nor_prolongs_it() {
    let slow = "delays: {between_messages: 60s, per_account: {per_day: 1000}}";
    for hours in [-5, 5] {
        let mut world = World::new(SETTINGS, &[("one", spec("one", "a1", slow))], &["a1"]);
        world.found(1..3);
        let plan = world.plan();
        let key = world.intend(&plan).remove(0);
        world.record(Event::Sent {
            key,
            message_id: 1,
            earlier: false,
            next_allowed_at: NOON + Duration::from_secs(60),
        });
        let by_ms = hours * 3_600_000;
        world.now = Timestamp(NOON.0 + by_ms);
        world.record(Event::ClockSet { by_ms });
        assert!(world.plan().actions.is_empty(), "{hours} h");
        assert_eq!(
            world.plan().wake_at,
            Some(world.now + Duration::from_secs(60)),
            "{hours} h"
        );
    }
}

#[test]
fn a_campaign_whose_planning_broke_off_waits_and_the_others_go_on() {
    let specs = [
        ("one", spec("one", "a1", FAST)),
        ("two", spec("two", "a1", FAST)),
    ];
    let mut world = World::new(SETTINGS, &specs, &["a1"]);
    world.found(1..2);
    let line = world.desired.campaigns["one"].lineage.clone();
    let retry_at = NOON + Duration::from_secs(2);
    world
        .runtime
        .broken
        .insert(line.clone(), Broken { times: 1, retry_at });
    let plan = world.plan();
    assert!(
        matches!(
            &plan.report.campaigns[&line].gate,
            Gate::Blocked {
                condition: "BrokeOff",
                ..
            }
        ),
        "{:?}",
        plan.report.campaigns[&line].gate
    );
    assert!(plan.wake_at.is_some_and(|at| at <= retry_at));
    world.now = retry_at;
    let again = world.plan();
    assert!(!matches!(
        again.report.campaigns[&line].gate,
        Gate::Blocked { .. }
    ));
}

#[test]
fn whatever_else_a_campaign_waits_for_no_doubt_goes_out_while_its_windows_are_closed() {
    let rest =
        format!("{FAST}\nschedule: {{timezone: UTC, windows: ['tue 10:00-13:00'], refresh: 1h}}");
    let mut world = World::new(SETTINGS, &[("one", spec("one", "a1", &rest))], &["a1"]);
    world.found(1..2);
    let plan = world.plan();
    let key = world.intend(&plan).remove(0);
    world.record(Event::InDoubt {
        key,
        why: InDoubtWhy::Timeout,
    });
    world.now = NOON + Duration::from_secs(2 * 3600);
    let repeats = |world: &World| {
        let plan = world.plan();
        plan.actions
            .iter()
            .any(|action| matches!(action, Action::Retry { .. }))
    };
    assert!(!repeats(&world));
    // A start: what was being looked up begins anew.
    let line = world.desired.campaigns["one"].lineage.clone();
    let source = world.desired.campaigns["one"]
        .spec
        .as_ref()
        .unwrap()
        .sources[0]
        .id;
    world.record(Event::LookupStarted {
        campaign: line.clone(),
        source,
        account: Some("a1".into()),
    });
    world.record(Event::Started {
        version: String::new(),
    });
    assert!(!repeats(&world));
    world
        .runtime
        .looking_up
        .insert((line, source, Some("a1".into())));
    assert!(!repeats(&world));
}

const SLOW: &str = "delays: {between_messages: 60s, per_account: {per_day: 1000}}";

fn after(seconds: u64) -> Timestamp {
    NOON + Duration::from_secs(seconds)
}

/// A message of `a1` that asks for a pause until a moment.
fn intent(key: SendKey, next_allowed_at: Timestamp) -> Intent {
    Intent {
        key,
        account: "a1".into(),
        random_id: 7,
        run: 1,
        variant: "a".into(),
        digest: "".into(),
        attested: false,
        request: Arc::default(),
        next_allowed_at,
    }
}

/// Two people, of whom the first was written to at noon, and nobody knows whether it arrived.
fn slow_doubt() -> (World, SendKey) {
    let mut world = World::new(SETTINGS, &[("one", spec("one", "a1", SLOW))], &["a1"]);
    world.found(1..3);
    let plan = world.plan();
    let key = world.intend(&plan).remove(0);
    world.now = after(30);
    world.record(Event::InDoubt {
        key: key.clone(),
        why: InDoubtWhy::Timeout,
    });
    (world, key)
}

fn repeats(plan: &Plan) -> usize {
    let repeats = |action: &&Action| matches!(action, Action::Retry { .. });
    plan.actions.iter().filter(repeats).count()
}

#[test]
fn a_repeat_and_the_next_message_keep_their_pause() {
    let (mut world, key) = slow_doubt();
    world.now = after(31);
    assert_eq!(
        world.plan().actions,
        [Action::Retry { key: key.clone() }],
        "its own pause it need not wait out"
    );
    world.now = after(61);
    assert_eq!(
        world.plan().actions,
        [Action::Retry { key: key.clone() }],
        "no other message leaves beside it"
    );
    // The answer to the repeat is lost: it may have arrived just now.
    world.record(Event::InDoubt {
        key: key.clone(),
        why: InDoubtWhy::Timeout,
    });
    world.runtime.executing.insert(key.clone());
    world.now = after(120);
    assert_eq!(sends(&world.plan()).count(), 0);
    world.runtime.executing.clear();
    world.record(Event::Released {
        key,
        keep: true,
        detail: String::new(),
    });
    assert_eq!(
        sends(&world.plan()).count(),
        1,
        "what never left asks for no pause"
    );
}

#[test]
fn a_repeat_waits_out_the_pause_after_another_message() {
    let (mut world, key) = slow_doubt();
    world.now = after(40);
    let other = SendKey {
        person: PersonId(2),
        ..key.clone()
    };
    world.record(Event::Intent(Arc::new(intent(other.clone(), after(100)))));
    world.record(Event::Sent {
        key: other,
        message_id: 2,
        earlier: false,
        next_allowed_at: after(100),
    });
    world.now = after(61);
    let plan = world.plan();
    assert_eq!((repeats(&plan), plan.wake_at), (0, Some(after(100))));
    world.now = after(100);
    assert_eq!(world.plan().actions, [Action::Retry { key }]);
}

#[test]
fn after_a_start_the_pause_of_what_may_have_gone_out_again_begins_anew() {
    let (mut world, key) = slow_doubt();
    world.now = after(70);
    world.record(Event::Started {
        version: String::new(),
    });
    world.runtime.executing.insert(key);
    world.now = after(125);
    let plan = world.plan();
    assert_eq!((sends(&plan).count(), plan.wake_at), (0, Some(after(130))));
}

#[test]
fn of_two_that_may_have_gone_out_again_neither_leaves_too_soon_after_the_other() {
    let (mut world, _) = slow_doubt();
    world.now = after(61);
    let plan = world.plan();
    let other = intent(
        SendKey {
            person: PersonId(2),
            ..world.observed.in_flight.keys().next().unwrap().clone()
        },
        after(161),
    );
    assert_eq!(repeats(&plan), 1);
    let key = other.key.clone();
    world.record(Event::Intent(Arc::new(other)));
    world.record(Event::InDoubt {
        key,
        why: InDoubtWhy::Timeout,
    });
    // The first repeat may have left just before the engine stopped.
    world.now = after(200);
    world.record(Event::Started {
        version: String::new(),
    });
    world.now = after(206);
    let plan = world.plan();
    assert_eq!((repeats(&plan), plan.wake_at), (0, Some(after(260))));
    world.now = after(260);
    assert_eq!(repeats(&world.plan()), 1, "the longer pause is its own");
}

#[test]
fn a_look_into_the_dialog_asks_for_no_pause() {
    let (mut world, key) = slow_doubt();
    world.record(Event::InDoubt {
        key,
        why: InDoubtWhy::Unread,
    });
    assert_eq!(world.observed.accounts["a1"].next_allowed_at, after(60));
}

#[test]
fn what_is_in_doubt_over_midnight_keeps_its_place_in_the_caps_of_the_next_day() {
    let settings = format!("{SETTINGS}accounts: {{a1: {{per_day: 2}}}}\n");
    let mut world = World::new(&settings, &[("one", spec("one", "a1", FAST))], &["a1"]);
    world.found(1..9);
    let plan = world.plan();
    let keys = world.intend(&plan);
    assert_eq!(keys.len(), 2);
    world.record(Event::Sent {
        key: keys[0].clone(),
        message_id: 1,
        earlier: false,
        next_allowed_at: NOON,
    });
    world.record(Event::InDoubt {
        key: keys[1].clone(),
        why: InDoubtWhy::Connection,
    });
    world.now = after(12 * 3600);
    let plan = world.plan();
    assert_eq!((repeats(&plan), world.intend(&plan).len()), (1, 1));
    world.record(Event::Sent {
        key: keys[1].clone(),
        message_id: 2,
        earlier: false,
        next_allowed_at: world.now,
    });
    assert_eq!(sends(&world.plan()).count(), 0, "both count for today");
}

#[test]
fn what_comes_back_after_days_gives_nobody_elses_place_in_a_cap_away() {
    let settings = format!("{SETTINGS}accounts: {{a1: {{per_day: 2}}}}\n");
    let mut world = World::new(&settings, &[("one", spec("one", "a1", FAST))], &["a1"]);
    world.found(1..9);
    let plan = world.plan();
    let keys = world.intend(&plan);
    for key in &keys {
        world.record(Event::InDoubt {
            key: key.clone(),
            why: InDoubtWhy::Connection,
        });
    }
    world.now = after(4 * 24 * 3600);
    let plan = world.plan();
    assert_eq!(world.intend(&plan).len(), 2);
    for key in keys {
        world.record(Event::Released {
            key,
            keep: true,
            detail: String::new(),
        });
    }
    assert_eq!(sends(&world.plan()).count(), 0);
}

#[test]
fn a_clock_that_was_days_ahead_for_a_while_widens_no_cap() {
    let settings = format!("{SETTINGS}accounts: {{a1: {{per_day: 2}}}}\n");
    let mut world = World::new(&settings, &[("one", spec("one", "a1", FAST))], &["a1"]);
    world.found(1..9);
    for (days, left) in [(0, 2), (4, 2), (0, 0)] {
        world.now = after(days * 24 * 3600);
        let plan = world.plan();
        let keys = world.intend(&plan);
        assert_eq!(keys.len(), left, "{days} days later");
        for key in keys {
            world.record(Event::Sent {
                key,
                message_id: 1,
                earlier: false,
                next_allowed_at: world.now,
            });
        }
    }
}

#[test]
fn a_message_in_doubt_for_over_a_day_is_not_given_up_while_its_account_is_about_to_connect() {
    let (mut world, key) = in_doubt();
    let late = NOON + Duration::from_secs(30 * 3600);
    world.now = late;
    let away = |retry_at| Link::Unreachable {
        message: "no answer".to_owned(),
        retry_at,
    };
    for link in [Link::Connecting, away(late + Duration::from_secs(4))] {
        world.runtime.links.insert("a1".into(), link);
        world.runtime.lost_since.insert("a1".into(), late);
        assert_eq!(world.plan().actions, []);
    }
    // Away for an hour: its dialog cannot be read.
    world.now = late + Duration::from_secs(3601);
    let link = away(world.now + Duration::from_secs(60));
    world.runtime.links.insert("a1".into(), link);
    let given_up = world.plan().actions;
    assert!(
        matches!(
            &given_up[..],
            [Action::Record(Event::Refused {
                outcome: Outcome::Uncertain,
                key: of,
                ..
            })] if *of == key
        ),
        "{given_up:?}"
    );
}

#[test]
fn what_is_in_doubt_goes_out_again_in_the_order_of_its_intents() {
    let mut world = World::new(SETTINGS, &[("one", spec("one", "a1", SLOW))], &["a1"]);
    world.found(1..2);
    let keys = [3, 1, 4, 2].map(|number| crate::model::operator_key("a1", PersonId(1), number));
    for key in &keys {
        world.record(Event::Intent(Arc::new(intent(key.clone(), world.now))));
    }
    // The last of the map takes its place there.
    world.record(Event::Sent {
        key: keys[0].clone(),
        message_id: 2,
        earlier: false,
        next_allowed_at: world.now,
    });
    world.record(Event::Started {
        version: String::new(),
    });
    let plan = world.plan();
    let repeated = plan.actions.iter().filter_map(|action| match action {
        Action::Retry { key } => Some(key),
        _ => None,
    });
    assert_eq!(repeated.collect::<Vec<_>>(), [&keys[1], &keys[2], &keys[3]]);
}

/// Three people written to by `a1`, a crash, and then this workspace.
fn crashed_and_edited(settings: &str, rest: &str, accounts: &str, edited: &str) -> World {
    let rest = format!("{FAST}\n{rest}");
    let mut world = World::new(
        SETTINGS,
        &[("one", spec("one", "a1", &rest))],
        &["a1", "a2"],
    );
    world.found(1..4);
    let plan = world.plan();
    assert_eq!(world.intend(&plan).len(), 3);
    world.record(Event::Started {
        version: String::new(),
    });
    let text = spec("one", accounts, &format!("{FAST}\n{edited}"));
    world.desired = World::new(settings, &[("one", text)], &[]).desired;
    world.now = world.now + SETTLED;
    world
}

/// After a break what was under way has arrived where it goes.
const SETTLED: Duration = Duration::from_secs(5);

/// Looks into the dialog that the account looks into now.
fn look(world: &mut World) -> Option<SendKey> {
    let plan = world.plan();
    let mut looks = plan.actions.into_iter().filter_map(|action| match action {
        Action::LookBack { key } => Some(key),
        _ => None,
    });
    let key = looks.next()?;
    assert_eq!(looks.next(), None);
    let looked_back = &mut world.runtime.looked_back;
    let look = LookedBack::again(looked_back.get("a1"), key.clone(), world.now);
    looked_back.insert("a1".into(), look);
    Some(key)
}

#[test]
fn what_nobody_wants_sent_any_more_is_looked_for_and_not_repeated() {
    let only_to = SETTINGS.replace("limits: {", "limits: {only_to: [{id: 2}], ");
    for (settings, accounts, edited, looked_for) in [
        (SETTINGS, "a1", "", vec![]),
        (only_to.as_str(), "a1", "", vec![1, 3]),
        (SETTINGS, "a2", "", vec![1, 2, 3]),
        (
            SETTINGS,
            "a1",
            "filters: {where: 'contact.first_name != \"P3\"'}",
            vec![3],
        ),
    ] {
        let mut world = crashed_and_edited(settings, "", accounts, edited);
        // The audience is judged anew while they are in hand, and then the dialogs do not hold it.
        world.judge();
        let again = repeats(&world.plan());
        assert_eq!(again, 3 - looked_for.len(), "{accounts} {edited}");
        let mut looked = Vec::new();
        while let Some(key) = look(&mut world) {
            looked.push(key.person.0);
            world.record(Event::Released {
                key,
                keep: true,
                detail: String::new(),
            });
        }
        assert_eq!(looked, looked_for, "{settings} {accounts} {edited}");
        let now_in_hand = world.observed.in_flight.len();
        assert_eq!(now_in_hand, 3 - looked_for.len(), "{accounts} {edited}");
        let plan = world.plan();
        assert_eq!(sends(&plan).count(), 0, "{accounts} {edited}");
    }
}

#[test]
fn a_text_that_was_edited_goes_out_as_it_was_where_it_may_have_arrived() {
    let mut world = crashed_and_edited(SETTINGS, "", "a1", "");
    let text = spec("one", "a1", FAST).replace("Hi", "Hello");
    world.desired = World::new(SETTINGS, &[("one", text)], &[]).desired;
    assert_eq!((repeats(&world.plan()), look(&mut world)), (3, None));
}

impl World {
    fn judge(&mut self) {
        for event in audience::judge(&self.inputs(), &"one".into()) {
            self.record(event);
        }
    }

    /// What the second source of the campaign names.
    fn second_source_names(&mut self, people: &[i64]) {
        let wanted = self.desired.campaigns.values().next().unwrap();
        let source = wanted.spec.as_ref().unwrap().sources[1].id;
        let (campaign, account): (Lineage, _) = ("one".into(), Some("a1".into()));
        self.record(Event::LookupStarted {
            campaign: campaign.clone(),
            source,
            account: account.clone(),
        });
        self.record(Event::LookupPage {
            campaign: campaign.clone(),
            source,
            account: account.clone(),
            people: people.iter().copied().map(PersonId).collect(),
        });
        self.record(Event::LookupEnded {
            campaign,
            source,
            account,
            end: LookupEnd {
                complete: true,
                ..LookupEnd::default()
            },
        });
    }
}

#[test]
fn a_first_message_in_doubt_waits_while_it_is_unknown_whom_the_audience_leaves_out() {
    let exclude = "filters: {exclude: [{type: members, peer: '@staff'}]}";
    let mut world = crashed_and_edited(SETTINGS, "", "a1", exclude);
    // The new source is not read yet, and then the filters are not applied yet.
    assert_eq!((repeats(&world.plan()), look(&mut world)), (0, None));
    world.second_source_names(&[2, 3]);
    assert_eq!(repeats(&world.plan()), 0);
    world.judge();
    assert_eq!(repeats(&world.plan()), 1);
    assert_eq!(look(&mut world).map(|key| key.person.0), Some(2));
}

#[test]
fn of_what_is_in_doubt_no_more_goes_out_again_than_a_lowered_limit_lets_in() {
    let mut world = crashed_and_edited(SETTINGS, "", "a1", "filters: {limit: 1}");
    world.judge();
    assert_eq!(repeats(&world.plan()), 1);
    let looked = [(); 2].map(|()| {
        let key = look(&mut world).unwrap();
        world.record(Event::Released {
            key: key.clone(),
            keep: true,
            detail: String::new(),
        });
        key.person.0
    });
    assert_eq!((looked, look(&mut world)), ([1, 2], None));
    // Those who were given back are over the limit, and he who is in hand is not.
    let plan = world.plan();
    assert_eq!((sends(&plan).count(), repeats(&plan)), (0, 1));
    world.intend(&plan);
    let campaign = &world.observed.campaigns["one"];
    assert_eq!(campaign.excluded.get(&Exclusion::OverLimit), Some(&2));
}

#[test]
fn who_was_left_out_and_is_let_in_again_is_bound_to_the_account_that_tried_him() {
    let only_to = SETTINGS.replace("limits: {", "limits: {only_to: [{id: 2}], ");
    let mut world = crashed_and_edited(&only_to, "", "a1, a2", "");
    world.judge();
    while let Some(key) = look(&mut world) {
        world.record(Event::Released {
            key,
            keep: true,
            detail: String::new(),
        });
    }
    let plan = world.plan();
    world.intend(&plan);
    let campaign = &world.observed.campaigns["one"];
    assert_eq!(campaign.excluded.get(&Exclusion::NotIn), Some(&2));
    // The limit is lifted, while `a1` may write to nobody.
    let text = spec("one", "a1, a2", FAST);
    world.desired = World::new(SETTINGS, &[("one", text)], &[]).desired;
    world.judge();
    assert_eq!(world.observed.campaigns["one"].pending(), 2);
    world.record(Event::Limited {
        account: "a1".into(),
        campaign: None,
        until: world.now + Duration::from_secs(24 * 3600),
    });
    assert_eq!(sends(&world.plan()).count(), 0);
}

#[test]
fn what_broke_just_now_is_not_looked_for_before_it_can_have_arrived() {
    let mut world = crashed_and_edited(SETTINGS, "", "a2", "");
    world.now = world.now - SETTLED;
    assert_eq!(look(&mut world), None);
    assert_eq!(world.plan().wake_at, Some(world.now + SETTLED));
    world.now = world.now + SETTLED;
    assert!(look(&mut world).is_some());
}

/// Forty people written to by `a1`, a crash, and then a PEER_FLOOD.
fn limited_with_forty_in_doubt() -> World {
    let mut world = World::new(SETTINGS, &[("one", spec("one", "a1", FAST))], &["a1"]);
    world.found(1..41);
    let plan = world.plan();
    assert_eq!(world.intend(&plan).len(), 40);
    world.record(Event::Started {
        version: String::new(),
    });
    world.record(Event::Limited {
        account: "a1".into(),
        campaign: None,
        until: world.now + Duration::from_secs(24 * 3600),
    });
    world.now = world.now + SETTLED;
    world
}

#[test]
fn an_account_looks_into_few_dialogs_at_once() {
    let mut world = limited_with_forty_in_doubt();
    let mut at = Vec::new();
    let begin = world.now;
    loop {
        while let Some(key) = look(&mut world) {
            at.push(world.now.since(begin).as_secs());
            world.runtime.executing.insert(key.clone());
            assert_eq!(look(&mut world), None, "one after the other");
            world.runtime.executing.remove(&key);
            world.record(Event::Refused {
                key,
                outcome: Outcome::Uncertain,
                detail: String::new(),
            });
        }
        if at.len() == 40 {
            break;
        }
        world.now = world.plan().wake_at.unwrap();
    }
    let expected: Vec<u64> = std::iter::repeat_n(0, 20).chain(1..=20).collect();
    assert_eq!(at, expected);
}

#[test]
fn a_clock_that_is_set_back_makes_no_look_into_a_dialog_wait_for_long() {
    let mut world = limited_with_forty_in_doubt();
    let begin = world.now;
    world.now = begin + Duration::from_secs(3600);
    assert!(look(&mut world).is_some());
    world.now = begin;
    assert!(look(&mut world).is_some());
}

#[test]
fn an_account_that_was_told_to_wait_looks_into_no_dialog_until_then() {
    let mut world = limited_with_forty_in_doubt();
    let key = look(&mut world).unwrap();
    let until = world.now + Duration::from_secs(600);
    world.record(Event::FloodWait {
        account: "a1".into(),
        class: CallClass::LookUp,
        until,
        seconds: 600,
    });
    world.record(Event::InDoubt {
        key,
        why: InDoubtWhy::Unread,
    });
    for seconds in [1, 60, 599] {
        world.now = until - Duration::from_secs(600 - seconds);
        assert_eq!(look(&mut world), None);
    }
    assert_eq!(world.plan().wake_at, Some(until));
    world.now = until;
    assert!(look(&mut world).is_some());
}

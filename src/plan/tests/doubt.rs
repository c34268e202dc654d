//! What is in doubt, what broke off, and a clock that was set.

use super::*;

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

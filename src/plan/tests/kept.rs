//! What a pass keeps of the one before.

use super::*;

const SLOW: &str = "delays: {between_messages: 5s..9s, per_account: {per_day: 100}}";

/// Two campaigns of an account each; both have sent a message, and wait for their delays.
fn waiting() -> (World, Planner) {
    let mut world = World::new(
        SETTINGS,
        &[
            ("one", spec("one", "a1", SLOW)),
            ("two", spec("two", "a2", SLOW)),
        ],
        &["a1", "a2"],
    );
    world.found(1..40);
    let plan = world.plan();
    for key in world.intend(&plan) {
        world.record(sent(&world, key));
    }
    let mut planner = Planner::default();
    let plan = planner.plan(&world.inputs(), 0);
    assert_eq!((plan.actions.len(), planner.looked_at()), (0, 2));
    (world, planner)
}

fn sent(world: &World, key: SendKey) -> Event {
    let next_allowed_at = world.observed.in_flight[&key].intent.next_allowed_at;
    Event::Sent {
        key,
        message_id: 7,
        earlier: false,
        next_allowed_at,
    }
}

impl World {
    /// Folds an event that the planner is told of.
    fn note(&mut self, planner: &mut Planner, event: Event) {
        planner.note(&event, &self.observed);
        self.record(event);
    }

    /// A pass that keeps what it may, which answers as one that keeps nothing.
    fn next(&self, planner: &mut Planner) -> Plan {
        let (plan, whole) = (planner.plan(&self.inputs(), 0), self.plan());
        assert_eq!(plan.actions, whole.actions);
        assert!(plan.wake_at.unwrap_or(Timestamp::MAX) <= whole.wake_at.unwrap_or(Timestamp::MAX));
        assert_eq!(plan.report.campaigns, whole.report.campaigns);
        plan
    }
}

#[test]
fn only_the_campaign_whose_moment_has_come_is_looked_at() {
    let (mut world, mut planner) = waiting();
    world.now = world.next(&mut planner).wake_at.unwrap();
    assert_eq!(planner.looked_at(), 0);
    let plan = world.next(&mut planner);
    let send = sends(&plan).next().unwrap();
    assert_eq!((plan.actions.len(), planner.looked_at()), (1, 1));
    // Its account's message leaves and arrives: the other campaign is not touched by that.
    let key = send.key.clone();
    let intent = world.intent_of(send);
    world.note(&mut planner, intent);
    assert!(world.next(&mut planner).actions.is_empty());
    let arrived = sent(&world, key);
    world.note(&mut planner, arrived);
    assert!(world.next(&mut planner).actions.is_empty());
    assert_eq!(planner.looked_at(), 1);
}

#[test]
fn all_is_looked_at_once_in_each_minute() {
    let (mut world, mut planner) = waiting();
    world.now = world.now + Duration::from_secs(60);
    world.next(&mut planner);
    assert_eq!(planner.looked_at(), 2);
}

#[test]
fn whatever_else_happens_has_all_looked_at() {
    let (mut world, mut planner) = waiting();
    let hold = Event::Suspended {
        campaign: Some("one".into()),
        reason: "the 2 a.m. call".to_owned(),
        by: "anna".to_owned(),
    };
    world.note(&mut planner, hold);
    let plan = world.next(&mut planner);
    assert_eq!(waits(&plan, "one"), [(Waiting::Suspended, 38)]);
}

#[test]
fn events_that_were_not_noted_have_all_looked_at() {
    let (mut world, mut planner) = waiting();
    world.record(Event::Suspended {
        campaign: None,
        reason: "the 2 a.m. call".to_owned(),
        by: "anna".to_owned(),
    });
    let plan = world.next(&mut planner);
    assert_eq!(waits(&plan, "two"), [(Waiting::Suspended, 38)]);
}

#[test]
fn an_account_that_is_lost_has_all_looked_at() {
    let (mut world, mut planner) = waiting();
    world.runtime.links.insert("a1".into(), Link::Missing);
    let plan = world.next(&mut planner);
    assert_eq!(waits(&plan, "one"), [(Waiting::AccountUnavailable, 38)]);
}

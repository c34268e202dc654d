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
fn each_campaign_is_looked_at_once_in_ten_minutes_and_never_all_at_once() {
    const LATER: &str = "schedule: {timezone: UTC, start: 2099-01-01T00:00}";
    let names: Vec<String> = (0..20).map(|n| format!("c{n}")).collect();
    let specs: Vec<(&str, String)> = names
        .iter()
        .map(|name| (name.as_str(), spec(name, "a1", LATER)))
        .collect();
    let mut world = World::new(SETTINGS, &specs, &["a1"]);
    let mut planner = Planner::default();
    planner.plan(&world.inputs(), 0);
    let mut looked_at = Vec::new();
    for _ in 0..20 {
        world.now = world.now + Duration::from_secs(30);
        world.next(&mut planner);
        looked_at.push(planner.looked_at());
    }
    assert_eq!(looked_at.iter().sum::<usize>(), 20, "{looked_at:?}");
    assert!(looked_at.iter().all(|n| *n <= 3), "{looked_at:?}");
}

#[test]
fn a_report_says_when_all_is_done_though_no_campaign_need_be_looked_at() {
    let (world, planner) = waiting();
    let inputs = Inputs {
        report_only: true,
        ..world.inputs()
    };
    let (report, whole) = (planner.report(&inputs, 0), crate::plan::plan(&inputs));
    assert_eq!(report.report.campaigns, whole.report.campaigns);
    let views = report.report.campaigns.values();
    assert!(views.len() == 2 && views.clone().all(|view| view.finish_estimate.is_some()));
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

#[test]
fn a_ramp_that_rises_within_the_day_lets_a_campaign_go_on_that_it_held() {
    let ramp = "version: 1\nname: warm\nkind: warmup\naccounts: [a1]\n\
                ramp: {start: 2, step: 2, every: 1h, max: 8}\n";
    let specs = [("one", spec("one", "a1", FAST)), ("warm", ramp.to_owned())];
    let mut world = World::new(SETTINGS, &specs, &["a1"]);
    world.found(1..40);
    let mut planner = Planner::default();
    let mut sent_by = Vec::new();
    for hour in 0..5 {
        world.now = NOON + Duration::from_secs(hour * 3600);
        loop {
            let plan = world.next(&mut planner);
            if plan.actions.is_empty() {
                break;
            }
            for action in plan.actions {
                match action {
                    Action::Record(event) => world.note(&mut planner, event),
                    Action::Send(send) => {
                        let intent = world.intent_of(&send);
                        world.note(&mut planner, intent);
                        let arrived = sent(&world, send.key);
                        world.note(&mut planner, arrived);
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        let started = world.observed.campaign("one").unwrap();
        sent_by.push(started.settled(|_| true));
    }
    assert_eq!(sent_by, [2, 4, 6, 8, 8]);
}

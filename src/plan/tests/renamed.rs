//! Renames without `renamed_from`, and second chances.

use super::*;

/// `spring` wrote to these people and is gone; `summer` has found others.
fn renamed(before: std::ops::Range<i64>, after: std::ops::Range<i64>) -> World {
    let mut world = World::new(SETTINGS, &[("spring", spec("spring", "a1", FAST))], &["a1"]);
    world.found(before);
    for _ in 0..3 {
        let plan = world.plan();
        for key in world.intend(&plan) {
            world.record(Event::Sent {
                key,
                message_id: 1,
                earlier: false,
                next_allowed_at: world.now,
            });
        }
    }
    world.record(Event::Retired {
        campaign: "spring".into(),
    });
    let mut next = World::new(SETTINGS, &[("summer", spec("summer", "a1", FAST))], &["a1"]);
    std::mem::swap(&mut next.observed, &mut world.observed);
    next.people = world.people;
    let wanted = next.desired.campaigns["summer"].clone();
    next.record(Event::SpecSeen {
        campaign: wanted.lineage.clone(),
        name: wanted.name.clone(),
        file: wanted.file.clone(),
        generation: 1,
        digest: wanted.digest.clone(),
        error: None,
    });
    next.found(after);
    next
}

fn settle(world: &mut World) -> Plan {
    for _ in 0..5 {
        let plan = world.plan();
        let only_records = plan
            .actions
            .iter()
            .all(|action| matches!(action, Action::Record(_)));
        if plan.actions.is_empty() || !only_records {
            return plan;
        }
        for action in plan.actions {
            if let Action::Record(event) = action {
                world.record(event);
            }
        }
    }
    panic!("there is no end of it");
}

fn is_held(world: &mut World) -> bool {
    let plan = settle(world);
    let held = matches!(
        plan.report.campaigns["summer"].gate,
        Gate::Blocked {
            condition: "LooksRenamed",
            ..
        }
    );
    assert_eq!(held, sends(&plan).next().is_none());
    held
}

#[test]
fn a_campaign_that_looks_renamed_is_held_and_says_as_which() {
    let mut world = renamed(1..11, 5..15);
    assert!(is_held(&mut world), "six of ten");
    let plan = world.plan();
    let Gate::Blocked { message, .. } = &plan.report.campaigns["summer"].gate else {
        unreachable!()
    };
    assert!(
        message.contains("6 of its 10 people") && message.contains("renamed_from: spring"),
        "{message}"
    );
    assert_eq!(waits(&plan, "summer"), [(Waiting::Held, 10)]);
    assert!(plan.actions.is_empty(), "it is found out once");
}

#[test]
fn half_of_it_is_not_over_half_and_what_is_gone_for_long_has_no_heirs() {
    assert!(!is_held(&mut renamed(1..11, 6..16)), "five of ten");
    let mut world = renamed(1..11, 5..15);
    world.now = NOON + Duration::from_secs(91 * 86_400);
    assert!(!is_held(&mut world));
}

#[test]
fn an_approval_lets_it_go_and_so_does_the_file_that_comes_back() {
    let mut world = renamed(1..11, 5..15);
    assert!(is_held(&mut world));
    let digest = world.desired.campaigns["summer"]
        .spec
        .as_ref()
        .unwrap()
        .approval_digest
        .clone();
    world.record(Event::Approved {
        campaign: "summer".into(),
        digest,
        people: 10,
        by: "me".to_owned(),
    });
    assert!(!is_held(&mut world));

    let mut world = renamed(1..11, 5..15);
    assert!(is_held(&mut world));
    world.record(Event::SpecSeen {
        campaign: "spring".into(),
        name: "spring".to_owned(),
        file: "campaigns/spring.yaml".to_owned(),
        generation: 1,
        digest: String::new(),
        error: None,
    });
    assert!(!is_held(&mut world));
}

#[test]
fn a_second_chance_is_for_those_who_were_never_sent_to() {
    let mut world = World::new(SETTINGS, &[("one", spec("one", "a1", FAST))], &["a1"]);
    world.found(1..6);
    let plan = world.plan();
    for key in world.intend(&plan) {
        let event = match key.person.0 {
            1 => Event::Sent {
                key,
                message_id: 1,
                earlier: false,
                next_allowed_at: world.now,
            },
            2 | 3 => Event::Refused {
                key,
                outcome: Outcome::Failed,
                detail: "ODD_ERROR".to_owned(),
            },
            4 => Event::Refused {
                key,
                outcome: Outcome::PrivacyRestricted,
                detail: String::new(),
            },
            _ => Event::Refused {
                key,
                outcome: Outcome::Uncertain,
                detail: String::new(),
            },
        };
        world.record(event);
    }
    world.record(Event::OptedOut {
        person: PersonId(3),
        account: None,
    });
    settle(&mut world);
    world.record(Event::Reopened {
        campaign: "one".into(),
        outcomes: vec![
            Outcome::Failed,
            Outcome::Sent,
            Outcome::PrivacyRestricted,
            Outcome::Uncertain,
        ],
        by: "me".to_owned(),
    });
    let plan = settle(&mut world);
    let to: Vec<i64> = sends(&plan).map(|send| send.key.person.0).collect();
    assert_eq!(
        to,
        [2],
        "and nobody who was sent to, refused for good, or opted out"
    );
}

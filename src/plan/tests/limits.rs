//! What keeps a person, or all who are left in a run: rests of people, caps of runs, blocks.

use std::sync::Arc;

use super::*;
use crate::model::Exclusion;

const DAY: Duration = Duration::from_secs(86_400);

/// Everybody that a plan sends to gets his message.
fn deliver(world: &mut World, plan: &Plan) -> Vec<i64> {
    let keys = world.intend(plan);
    for key in &keys {
        let next_allowed_at = world.now;
        world.record(Event::Sent {
            key: key.clone(),
            message_id: 1,
            earlier: false,
            next_allowed_at,
        });
    }
    keys.iter().map(|key| key.person.0).collect()
}

fn reported(world: &World) -> Plan {
    plan(&Inputs {
        report_only: true,
        ..world.inputs()
    })
}

#[test]
fn who_rests_between_two_campaigns_is_said_to_however_many_accounts_there_are() {
    let settings = SETTINGS.replace("limits: {", "limits: {per_person: {gap: 1d}, ");
    for (accounts, all) in [("a1", vec!["a1"]), ("a1, a2", vec!["a1", "a2"])] {
        let mut world = World::new(
            &settings,
            &[
                ("one", spec("one", accounts, FAST)),
                ("two", spec("two", accounts, FAST)),
            ],
            &all,
        );
        world.found(1..4);
        let first = world.plan();
        let sent = sends(&first).map(|send| send.key.lineage.clone());
        let lines: BTreeSet<Lineage> = sent.collect();
        let people = deliver(&mut world, &first);
        assert_eq!(people.len(), 3, "{accounts}: each is written to once");
        let plan = reported(&world);
        let mut resting = 0;
        for (line, view) in &plan.report.campaigns {
            for wait in &view.waiting {
                assert_eq!(
                    (wait.reason, wait.until),
                    (Waiting::PersonGap, Some(NOON + DAY)),
                    "{accounts}: {line}"
                );
                resting += wait.count;
                assert!(
                    view.finish_estimate >= Some(NOON + DAY),
                    "{accounts}: {line}"
                );
            }
        }
        assert_eq!(resting, 3, "{accounts}: {lines:?}");
    }
}

#[test]
fn the_rest_of_a_person_is_a_part_of_what_is_said_with_several_accounts_too() {
    let settings = SETTINGS.replace("limits: {", "limits: {per_person: {gap: 3d}, ");
    let pace = "delays: {between_messages: 1m, per_account: {per_day: 900}}";
    let mut world = World::new(
        &settings,
        &[
            ("one", spec("one", "a1, a2", FAST)),
            ("two", spec("two", "a1, a2", pace)),
        ],
        &["a1", "a2"],
    );
    world.found(1..201);
    for id in 1..201 {
        let key = SendKey {
            lineage: "one".into(),
            person: PersonId(id),
            step: 0,
            run: 0,
        };
        world.record(Event::Intent(Arc::new(Intent {
            key: key.clone(),
            account: if id % 2 == 0 { "a1" } else { "a2" }.into(),
            random_id: 1,
            run: 1,
            variant: "a".into(),
            digest: "".into(),
            attested: false,
            request: Arc::default(),
            next_allowed_at: NOON,
        })));
        world.record(Event::Sent {
            key,
            message_id: 1,
            earlier: false,
            next_allowed_at: NOON,
        });
    }
    let end = reported(&world).report.campaigns["two"]
        .finish_estimate
        .unwrap();
    // Each account keeps a hundred of them, and writes one a minute when their rest is over.
    let expected = NOON + 3 * DAY + Duration::from_secs(99 * 60);
    let off = end.0.abs_diff(expected.0);
    assert!(off < 10 * 60_000, "{end}, not {expected}");
}

#[test]
fn who_is_left_over_by_the_cap_of_a_run_gets_his_message_in_the_next_one() {
    for overlap in ["skip", "queue"] {
        let text = spec(
            "one",
            "a1",
            &format!(
                "delays: {{between_messages: 0s, per_account: {{per_run: 2, per_day: 900}}}}\n\
                 schedule: {{timezone: UTC, cron: \"0 10 * * *\", overlap: {overlap}}}"
            ),
        );
        let mut world = World::new(SETTINGS, &[("one", text)], &["a1"]);
        let schedule = world.plan();
        world.intend(&schedule);
        let mut days = Vec::new();
        for day in 1..=3u32 {
            // 10:00 of the next day.
            world.now = NOON + day * DAY - Duration::from_secs(2 * 3600);
            days.push(
                world
                    .perform(&[1, 2, 3, 4, 5])
                    .into_iter()
                    .map(|(person, _, _)| person)
                    .collect::<Vec<_>>(),
            );
            let waits = waits(&world.plan(), "one");
            let left = u64::try_from(5 - 2 * i64::from(day)).unwrap_or(0);
            if left > 0 {
                assert_eq!(waits, [(Waiting::AccountCap, left)], "{overlap}");
                let until = world.plan().report.campaigns["one"].waiting[0].until;
                assert_eq!(
                    until,
                    Some(world.now + DAY),
                    "{overlap}: until the next run"
                );
            }
        }
        assert_eq!(days, [vec![1, 2], vec![3, 4], vec![5]], "{overlap}");
    }
}

#[test]
fn a_spent_run_takes_no_place_of_its_owners_plan() {
    let settings = format!(
        "{SETTINGS}plans: {{trial: {{max_running: 1}}}}\nowners: {{growth: {{plan: trial, accounts: [a1]}}}}\n"
    );
    let capped =
        "owner: growth\ndelays: {between_messages: 0s, per_account: {per_run: 2, per_day: 900}}";
    let mut world = World::new(
        &settings,
        &[
            ("one", spec("one", "a1", capped)),
            ("two", spec("two", "a1", capped)),
        ],
        &["a1"],
    );
    world.found(1..6);
    let mut to = Vec::new();
    for _ in 0..20 {
        let plan = world.plan();
        if plan.actions.is_empty() {
            break;
        }
        let next_allowed_at = world.now;
        for key in world.intend(&plan) {
            to.push(key.lineage.to_string());
            world.record(Event::Sent {
                key,
                message_id: 1,
                earlier: false,
                next_allowed_at,
            });
        }
    }
    assert_eq!(to, ["one", "one", "two", "two"]);
    assert!(world.plan().actions.is_empty(), "and it comes to rest");
    for line in ["one", "two"] {
        assert_eq!(waits(&world.plan(), line), [(Waiting::AccountCap, 3)]);
    }
}

#[test]
fn the_end_of_capped_runs_is_foreseen() {
    let text = spec(
        "one",
        "a1",
        "delays: {between_messages: 0s, per_account: {per_run: 10, per_day: 900}}\n\
         schedule: {timezone: UTC, cron: \"0 10 * * *\"}",
    );
    let mut world = World::new(SETTINGS, &[("one", text)], &["a1"]);
    world.found(1..36);
    let end = reported(&world).report.campaigns["one"]
        .finish_estimate
        .unwrap();
    // Ten today, and ten on each of two mornings; the last five on the third.
    assert_eq!(end, NOON + 3 * DAY - Duration::from_secs(2 * 3600));
}

#[test]
fn who_blocked_an_account_is_left_out_elsewhere_and_has_opted_out_of_nothing() {
    let mut world = World::new(
        SETTINGS,
        &[
            ("one", spec("one", "a1", FAST)),
            ("two", spec("two", "a2", FAST)),
        ],
        &["a1", "a2"],
    );
    world.found(1..3);
    let plan = world.plan();
    let keys = world.intend(&plan);
    let of = |line: &str, person: i64| {
        let found = keys
            .iter()
            .find(|key| key.lineage.as_ref() == line && key.person.0 == person);
        found.cloned().unwrap()
    };
    // One is on his way in the other campaign, and comes back: certainly not sent.
    world.record(Event::Refused {
        key: of("one", 1),
        outcome: Outcome::Blocked,
        detail: "USER_IS_BLOCKED".to_owned(),
    });
    world.record(Event::Suppressed {
        person: PersonId(1),
        why: "USER_IS_BLOCKED".to_owned(),
    });
    world.record(Event::Released {
        key: of("two", 1),
        keep: false,
        detail: String::new(),
    });
    // The other waits there.
    world.record(Event::Released {
        key: of("two", 2),
        keep: false,
        detail: String::new(),
    });
    world.record(Event::Suppressed {
        person: PersonId(2),
        why: "USER_IS_BLOCKED".to_owned(),
    });
    let two = &world.observed.campaigns["two"];
    assert_eq!(
        two.excluded,
        BTreeMap::from([(Exclusion::Suppressed, 2)]),
        "{:?}",
        two.outcomes
    );
    assert!(two.outcomes.is_empty());
    let one = &world.observed.campaigns["one"];
    assert_eq!(one.outcomes, BTreeMap::from([(Outcome::Blocked, 1)]));
}

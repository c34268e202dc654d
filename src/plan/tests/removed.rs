//! What becomes of people when an edit takes an account out of a campaign.

use super::*;
use crate::model::Reference;
use crate::model::reaction::CallClass;

const A_DAY: Duration = Duration::from_secs(86_400);

fn edit(world: &mut World, accounts: &str) {
    let text = spec("one", accounts, FAST);
    world.desired = World::new(SETTINGS, &[("one", text)], &[]).desired;
    // The new accounts have read the members, and met nobody there.
    let spec = world.desired.campaigns["one"].spec.clone().unwrap();
    for name in &spec.accounts {
        let (campaign, source, account) = ("one".into(), spec.sources[0].id, Some(name.clone()));
        world.record(Event::LookupEnded {
            campaign,
            source,
            account,
            end: LookupEnd {
                admin: true,
                ..LookupEnd::default()
            },
        });
    }
    for event in audience::judge(&world.inputs(), &"one".into()) {
        world.record(event);
    }
}

fn settled(plan: &Plan) -> Vec<(i64, Outcome)> {
    let skipped = plan.actions.iter().filter_map(|action| match action {
        Action::Record(Event::Skipped {
            person, outcome, ..
        }) => Some((person.0, *outcome)),
        _ => None,
    });
    skipped.collect()
}

#[test]
fn whom_a_removed_account_could_not_send_to_is_lost_and_nobody_else_tries_him() {
    let mut world = World::new(SETTINGS, &[("one", spec("one", "a1", FAST))], &["a1", "a2"]);
    world.found(1..4);
    let plan = world.plan();
    let keys = world.intend(&plan);
    // One is refused, one was never tried for the wait that follows, one is sent.
    for key in keys {
        let event = match key.person.0 {
            3 => Event::Sent {
                key,
                message_id: 1,
                earlier: false,
                next_allowed_at: NOON,
            },
            who => Event::Released {
                key,
                keep: who == 1,
                detail: String::new(),
            },
        };
        world.record(event);
    }
    world.record(Event::FloodWait {
        account: "a1".into(),
        class: CallClass::Send,
        until: NOON + A_DAY,
        seconds: 86_400,
    });
    edit(&mut world, "a2");
    world
        .people
        .entry(PersonId(2))
        .or_default()
        .contact
        .username = Some("two".to_owned());
    let plan = world.plan();
    assert_eq!(settled(&plan), [(1, Outcome::AccountLost)]);
    // Who was never tried is free: he is looked up by the one that is there.
    assert!(
        plan.actions.iter().any(|action| matches!(
            action,
            Action::Resolve { account, person: PersonId(2), reference: Reference::Username(_), .. }
                if account.as_ref() == "a2"
        )),
        "{:?}",
        plan.actions
    );
    world.intend(&plan);
    world.record(Event::Resolved {
        reference: PersonId(2),
        person: PersonId(2),
        account: "a2".into(),
    });
    world
        .people
        .entry(PersonId(2))
        .or_default()
        .hashes
        .insert("a2".into(), 1);
    let plan = world.plan();
    let to: Vec<(i64, &str)> = sends(&plan)
        .map(|send| (send.key.person.0, send.account.as_ref()))
        .collect();
    assert_eq!(to, [(2, "a2")]);
    world.intend(&plan);

    // A second chance is one by the same account.
    let again = |world: &mut World| {
        world.record(Event::Reopened {
            campaign: "one".into(),
            outcomes: vec![Outcome::AccountLost],
            by: "tom".to_owned(),
        });
    };
    again(&mut world);
    let plan = world.plan();
    assert_eq!(
        (settled(&plan), sends(&plan).count()),
        (vec![(1, Outcome::AccountLost)], 0)
    );
    world.intend(&plan);
    edit(&mut world, "a1, a2");
    again(&mut world);
    let plan = world.plan();
    assert_eq!((settled(&plan), sends(&plan).count()), (vec![], 0));
    assert_eq!(waits(&plan, "one"), [(Waiting::FloodWait, 1)]);
    world.now = NOON + A_DAY;
    let plan = world.plan();
    let by: Vec<&str> = sends(&plan).map(|send| send.account.as_ref()).collect();
    assert_eq!(by, ["a1"]);
}

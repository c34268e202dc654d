//! Follow-ups: when, to whom, by whom; and what an edit means for those who wait.

use super::*;
use crate::model::{NeedsWhy, TalkChange};

const STEPS: &str = "follow_ups:\n  - {after: 3d, templates: [{name: nudge, text: 'Well?'}]}\n  - {after: 4d, if: always, templates: [{name: last, text: 'Step {{ step }}'}]}";
const DAY: Duration = Duration::from_secs(86_400);

fn rest(steps: &str) -> String {
    format!("{FAST}\n{steps}")
}

/// People 1.. got the first message.
fn written_to(steps: &str, accounts: &[&str], people: std::ops::Range<i64>) -> World {
    let mut world = World::new(
        SETTINGS,
        &[("one", spec("one", &accounts.join(", "), &rest(steps)))],
        accounts,
    );
    world.found(people);
    world.deliver();
    world
}

impl World {
    /// Sends what is planned until nothing is, and answers with what was sent.
    fn deliver(&mut self) -> Vec<SendAction> {
        let mut all = Vec::new();
        for _ in 0..100 {
            let plan = self.plan();
            let sent: Vec<SendAction> = sends(&plan).cloned().collect();
            if plan.actions.is_empty() {
                return all;
            }
            for key in self.intend(&plan) {
                self.record(Event::Sent {
                    key,
                    message_id: 1,
                    earlier: false,
                    next_allowed_at: self.now,
                });
            }
            all.extend(sent);
        }
        panic!("there is no end of it");
    }

    fn edit(&mut self, text: &str) {
        let edited = World::new(SETTINGS, &[("one", text.to_owned())], &[]);
        self.desired = edited.desired;
    }

    fn after(&mut self, time: Duration) -> &mut World {
        self.now = self.now + time;
        self
    }

    fn says(&mut self, person: i64) {
        self.record(Event::Incoming {
            account: "a1".into(),
            person: PersonId(person),
            message_id: 1,
        });
    }

    /// Pending, sent, skipped.
    fn step(&self, step: u16) -> (u64, u64, u64) {
        let always = self.desired.campaigns["one"]
            .spec
            .as_ref()
            .unwrap()
            .follow_ups[usize::from(step) - 1]
            .always;
        let counts = self.observed.campaigns["one"].steps.counts(step, always);
        (counts.pending, counts.sent, counts.skipped)
    }
}

fn to(sent: &[SendAction]) -> Vec<(i64, u16)> {
    let mut to: Vec<(i64, u16)> = sent
        .iter()
        .map(|send| (send.key.person.0, send.key.step))
        .collect();
    to.sort_unstable();
    to
}

#[test]
fn each_step_comes_its_time_after_the_one_before() {
    let mut world = written_to(STEPS, &["a1"], 1..3);
    let plan = world.plan();
    assert_eq!(plan.wake_at, Some(NOON + 3 * DAY));
    assert!(matches!(
        plan.report.campaigns["one"].gate,
        Gate::Done { .. }
    ));
    assert_eq!(
        plan.report.campaigns["one"].next_action_at,
        Some(NOON + 3 * DAY)
    );
    assert!(
        world
            .after(3 * DAY - Duration::from_secs(1))
            .deliver()
            .is_empty()
    );
    let first = world.after(Duration::from_secs(1)).deliver();
    assert_eq!(to(&first), [(1, 1), (2, 1)]);
    assert_eq!(first[0].message.text, "Well?");
    assert_eq!(world.step(1), (0, 2, 0));
    assert_eq!(world.plan().wake_at, Some(NOON + 7 * DAY));
    let second = world.after(4 * DAY).deliver();
    assert_eq!(to(&second), [(1, 2), (2, 2)]);
    assert_eq!(second[0].message.text, "Step 2");
    assert!(world.after(30 * DAY).deliver().is_empty());
}

#[test]
fn a_reply_ends_what_is_for_the_silent_and_an_opt_out_ends_all() {
    let mut world = written_to(STEPS, &["a1"], 1..5);
    world.says(1);
    world.record(Event::OptedOut {
        person: PersonId(2),
        account: None,
    });
    world.record(Event::Suppressed {
        person: PersonId(3),
        why: "USER_IS_BLOCKED".to_owned(),
    });
    assert_eq!(world.step(1), (1, 0, 3));
    assert_eq!(world.step(2), (2, 0, 2));
    assert_eq!(to(&world.after(3 * DAY).deliver()), [(4, 1)]);
    // Who answered gets the second step at the time it would have had.
    assert_eq!(to(&world.after(4 * DAY).deliver()), [(1, 2), (4, 2)]);
    assert_eq!(world.step(2), (0, 2, 2));
}

#[test]
fn a_reply_to_a_follow_up_ends_the_next_one() {
    let steps = "follow_ups:\n  - {after: 1d, templates: [{name: x, text: One}]}\n  - {after: 1d, templates: [{name: y, text: Two}]}";
    let mut world = written_to(steps, &["a1"], 1..3);
    assert_eq!(to(&world.after(DAY).deliver()), [(1, 1), (2, 1)]);
    world.says(2);
    assert_eq!(to(&world.after(DAY).deliver()), [(1, 2)]);
    assert_eq!(world.step(1), (0, 2, 0));
    assert_eq!(world.step(2), (0, 1, 1));
}

#[test]
fn only_the_account_that_began_goes_on() {
    let mut world = written_to(STEPS, &["a1", "a2"], 1..9);
    let first: BTreeMap<PersonId, u16> = world.observed.campaigns["one"]
        .recipients
        .iter()
        .map(|(number, recipient)| {
            (
                world
                    .observed
                    .persons
                    .id(crate::observed::Handle(number))
                    .unwrap(),
                recipient.account.unwrap(),
            )
        })
        .collect();
    let second = world.after(3 * DAY).deliver();
    assert_eq!(second.len(), 8);
    for send in &second {
        let index = world.observed.account_index(&send.account);
        assert_eq!(index, first.get(&send.key.person).copied());
    }
    // One of them is banned: what it owes is settled when it is due, and no other account takes it over.
    world.record(Event::AccountChanged {
        account: "a2".into(),
        state: AccountState::Banned,
        message: String::new(),
    });
    assert_eq!(world.step(2), (8, 0, 0));
    let third = world.after(4 * DAY).deliver();
    assert_eq!(third.len(), 4);
    assert!(third.iter().all(|send| send.account.as_ref() == "a1"));
    assert_eq!(world.step(2), (0, 4, 4));
}

#[test]
fn an_account_that_is_taken_out_of_the_spec_owes_nothing_any_more() {
    let mut world = written_to(STEPS, &["a1", "a2"], 1..9);
    let text = spec("one", "a1", &rest(STEPS));
    world.edit(&text);
    let sent = world.after(3 * DAY).deliver();
    assert_eq!(sent.len(), 4);
    assert_eq!(world.step(1), (0, 4, 4));
}

#[test]
fn an_edit_moves_drops_and_adds_steps_for_those_who_wait() {
    let mut world = written_to(STEPS, &["a1"], 1..3);
    // Sooner.
    let sooner = STEPS.replace("after: 3d", "after: 1d");
    world.edit(&spec("one", "a1", &rest(&sooner)));
    assert_eq!(world.plan().wake_at, Some(NOON + DAY));
    // Gone.
    world.edit(&spec("one", "a1", FAST));
    assert!(world.after(2 * DAY).deliver().is_empty());
    assert_eq!(world.plan().wake_at, None);
    // Back: the time has passed long ago.
    world.edit(&spec("one", "a1", &rest(&sooner)));
    assert_eq!(to(&world.deliver()), [(1, 1), (2, 1)]);
    // Another one for those who have had all.
    assert_eq!(to(&world.after(4 * DAY).deliver()), [(1, 2), (2, 2)]);
    let more =
        format!("{sooner}\n  - {{after: 1d, if: always, templates: [{{name: more, text: More}}]}}");
    world.edit(&spec("one", "a1", &rest(&more)));
    assert_eq!(to(&world.after(DAY).deliver()), [(1, 3), (2, 3)]);
    // Nobody gets a step twice.
    world.edit(&spec("one", "a1", &rest(STEPS)));
    assert!(world.after(30 * DAY).deliver().is_empty());
}

#[test]
fn follow_ups_go_first_and_count_for_caps() {
    let caps = "delays: {between_messages: 0s, per_account: {per_day: 3}}";
    let steps = "follow_ups: [{after: 1d, templates: [{name: x, text: One}]}]";
    let text = spec("one", "a1", &format!("{caps}\n{steps}"));
    let mut world = World::new(SETTINGS, &[("one", text)], &["a1"]);
    world.found(1..6);
    assert_eq!(to(&world.deliver()), [(1, 0), (2, 0), (3, 0)]);
    assert_eq!(
        to(&world.after(DAY).deliver()),
        [(1, 1), (2, 1), (3, 1)],
        "the day's three are owed"
    );
    assert_eq!(
        waits(&world.plan(), "one"),
        [(Waiting::AccountCap, 2)],
        "first contacts wait"
    );
    assert_eq!(to(&world.after(DAY).deliver()), [(4, 0), (5, 0)]);
    assert_eq!(to(&world.after(DAY).deliver()), [(4, 1), (5, 1)]);
}

#[test]
fn with_a_delay_a_follow_up_takes_the_place_of_a_first_contact() {
    let slow = "delays: {between_messages: 60s, per_account: {per_day: 900}}";
    let steps = "follow_ups: [{after: 90s, templates: [{name: x, text: One}]}]";
    let text = spec("one", "a1", &format!("{slow}\n{steps}"));
    let mut world = World::new(SETTINGS, &[("one", text)], &["a1"]);
    world.found(1..4);
    let mut order = Vec::new();
    for _ in 0..20 {
        let plan = world.plan();
        let sent: Vec<SendAction> = sends(&plan).cloned().collect();
        assert!(sent.len() <= 1, "one at a time");
        for key in world.intend(&plan) {
            world.record(Event::Sent {
                key,
                message_id: 1,
                earlier: false,
                next_allowed_at: world.now + Duration::from_secs(60),
            });
        }
        order.extend(sent.iter().map(|s| (s.key.person.0, s.key.step)));
        world.now = world.now + Duration::from_secs(60);
    }
    assert_eq!(order, [(1, 0), (2, 0), (1, 1), (2, 1), (3, 0), (3, 1)]);
}

#[test]
fn the_gap_of_a_person_holds_for_follow_ups_too() {
    let settings = SETTINGS.replace("limits: {", "limits: {per_person: {gap: 5d}, ");
    let steps = "follow_ups: [{after: 1d, templates: [{name: x, text: One}]}]";
    let mut world = World::new(
        &settings,
        &[("one", spec("one", "a1", &rest(steps)))],
        &["a1"],
    );
    world.found(1..2);
    world.deliver();
    let plan = world.after(DAY).plan();
    assert!(plan.actions.is_empty(), "{:?}", plan.actions);
    assert_eq!(plan.wake_at, Some(NOON + 5 * DAY));
    assert_eq!(to(&world.after(4 * DAY).deliver()), [(1, 1)]);
}

#[test]
fn nothing_leaves_while_the_campaign_is_held_closed_or_over() {
    let steps = "follow_ups: [{after: 1d, templates: [{name: x, text: One}]}]";
    for (what, more) in [
        ("paused", "paused: true"),
        ("over", "schedule: {timezone: UTC, end: 2026-12-01T13:00}"),
        (
            "closed",
            "schedule: {timezone: UTC, windows: ['wed 18:00-19:00']}",
        ),
    ] {
        let mut world = written_to(steps, &["a1"], 1..3);
        let open = spec("one", "a1", &rest(steps));
        world.edit(&spec("one", "a1", &rest(&format!("{steps}\n{more}"))));
        assert!(world.after(DAY).deliver().is_empty(), "{what}");
        world.edit(&open);
        assert_eq!(world.deliver().len(), 2, "{what}");
    }
    let mut world = written_to(steps, &["a1"], 1..3);
    world.record(Event::Suspended {
        campaign: Some("one".into()),
        reason: "wait".to_owned(),
        by: "me".to_owned(),
    });
    assert!(world.after(DAY).deliver().is_empty(), "suspended");
    world.record(Event::Resumed {
        campaign: Some("one".into()),
        reason: "go".to_owned(),
        by: "me".to_owned(),
    });
    assert_eq!(world.deliver().len(), 2);
}

#[test]
fn a_closed_window_opens_for_follow_ups_of_a_campaign_that_has_succeeded() {
    let steps = "follow_ups: [{after: 1d, templates: [{name: x, text: One}]}]\nschedule: {timezone: UTC, windows: ['11:00-13:00']}";
    let mut world = written_to(steps, &["a1"], 1..3);
    // A day and two hours later the window is closed until the next day.
    world.now = NOON + DAY + Duration::from_secs(2 * 3600);
    let plan = world.plan();
    assert!(plan.actions.is_empty());
    assert_eq!(
        plan.wake_at,
        Some(NOON + 2 * DAY - Duration::from_secs(3600))
    );
    world.now = NOON + 2 * DAY;
    assert_eq!(world.deliver().len(), 2);
}

#[test]
fn what_cannot_be_said_to_somebody_ends_his_steps_and_nobody_elses() {
    let steps = "follow_ups:\n  - {after: 1d, templates: [{name: x, text: 'Dear {{ contact.last_name }}'}]}\n  - {after: 1d, templates: [{name: y, text: Two}]}";
    let mut world = written_to(steps, &["a1"], 1..3);
    world
        .people
        .get_mut(&PersonId(2))
        .unwrap()
        .contact
        .last_name = Some("Smith".to_owned());
    assert_eq!(to(&world.after(DAY).deliver()), [(2, 1)]);
    assert_eq!(world.step(1), (0, 1, 1));
    assert_eq!(to(&world.after(DAY).deliver()), [(2, 2)]);
}

#[test]
fn a_pass_looks_only_at_what_is_due() {
    let steps = "follow_ups: [{after: 1d, templates: [{name: x, text: One}]}]";
    let mut world = written_to(steps, &["a1"], 1..900);
    // Nothing is due: the plan is empty whatever number waits, and says when to ask again.
    let plan = world.after(DAY - Duration::from_secs(60)).plan();
    assert!(plan.actions.is_empty());
    assert_eq!(plan.wake_at, Some(NOON + DAY));
    let first = world.after(Duration::from_secs(60)).plan();
    assert_eq!(sends(&first).count(), 256, "as many as are in hand at once");
}

#[test]
fn a_doubtful_follow_up_goes_out_again_with_the_same_bytes() {
    let steps = "follow_ups: [{after: 1d, templates: [{name: x, text: One}]}]";
    let mut world = written_to(steps, &["a1"], 1..2);
    let plan = world.after(DAY).plan();
    let key = world.intend(&plan).remove(0);
    assert_eq!(key.step, 1);
    world.record(Event::InDoubt {
        key: key.clone(),
        why: InDoubtWhy::Timeout,
    });
    assert_eq!(
        world.after(Duration::from_secs(2)).plan().actions,
        [Action::Retry { key: key.clone() }]
    );
    world.record(Event::Released {
        key: key.clone(),
        keep: true,
        detail: String::new(),
    });
    assert_eq!(world.step(1), (1, 0, 0));
    assert_eq!(to(&world.deliver()), [(1, 1)]);
}

#[test]
fn a_nudge_in_doubt_is_not_repeated_to_somebody_who_answered_meanwhile() {
    for (kind, again) in [("", false), ("if: always, ", true)] {
        let steps =
            format!("follow_ups: [{{{kind}after: 1d, templates: [{{name: x, text: One}}]}}]");
        let mut world = written_to(&steps, &["a1"], 1..2);
        let plan = world.after(DAY).plan();
        let key = world.intend(&plan).remove(0);
        world.record(Event::Started {
            version: String::new(),
        });
        world.says(1);
        let expected = match again {
            true => Action::Retry { key },
            false => Action::LookBack { key },
        };
        let plan = world.after(Duration::from_secs(5)).plan();
        assert_eq!(plan.actions, [expected], "{kind}");
    }
}

#[test]
fn a_limited_account_repeats_no_follow_up_and_explain_says_what_it_waits_for() {
    let steps = "follow_ups: [{after: 1d, templates: [{name: x, text: One}]}]";
    let mut world = written_to(steps, &["a1"], 1..2);
    let plan = world.after(DAY).plan();
    let key = world.intend(&plan).remove(0);
    world.record(Event::Started {
        version: String::new(),
    });
    let until = world.now + DAY;
    world.record(Event::Limited {
        account: "a1".into(),
        campaign: None,
        until,
    });
    assert_eq!(
        world.after(Duration::from_secs(5)).plan().actions,
        [Action::LookBack { key: key.clone() }]
    );
    world.record(Event::Released {
        key,
        keep: true,
        detail: String::new(),
    });
    let plan = world.plan();
    assert_eq!((plan.actions.len(), plan.wake_at), (0, Some(until)));
    let wanted = world.desired.campaigns["one"].spec.clone().unwrap();
    let campaign = &world.observed.campaigns["one"];
    let line = "one".into();
    let told = explain(
        &world.inputs(),
        &plan,
        &line,
        &wanted,
        campaign,
        PersonId(1),
    );
    let waits = told.follow_up.unwrap().waits_for.unwrap();
    assert_eq!(
        (waits.reason, waits.until),
        (Waiting::AccountLimited, Some(until))
    );
}

#[test]
fn whose_words_wait_to_be_read_gets_no_step_and_keeps_nobody_else_from_his() {
    let steps = "ai_role: {prompt: You are Mia.}\nfollow_ups: [{after: 1d, if: always, templates: [{name: x, text: One}]}]";
    let mut world = written_to(steps, &["a1"], 1..303);
    for person in 1..=300 {
        world.says(person);
        world.record(Event::Written {
            account: "a1".into(),
            person: PersonId(person),
            message_id: 1,
            role: Some("one".into()),
        });
        // The model is being asked.
        let asked = ("a1".into(), PersonId(person));
        world.runtime.drafting.insert(asked, ("one".into(), 0));
    }
    assert_eq!(to(&world.after(DAY).deliver()), [(301, 1), (302, 1)]);
    let plan = world.plan();
    let view = &plan.report.campaigns["one"];
    assert_eq!(view.next_action_at, None, "nothing is due by itself");
    // It cannot be asked: a human must look, and has not yet.
    world.record(Event::NeedsHuman {
        account: "a1".into(),
        person: PersonId(7),
        message_id: 1,
        why: NeedsWhy::Failed,
        detail: String::new(),
    });
    assert_eq!(to(&world.deliver()), []);
    let wanted = world.desired.campaigns["one"].spec.clone().unwrap();
    let told = explain(
        &world.inputs(),
        &world.plan(),
        &"one".into(),
        &wanted,
        &world.observed.campaigns["one"],
        PersonId(7),
    );
    let next = told.follow_up.unwrap();
    assert_eq!((next.step, next.due_at), (1, NOON + DAY));
    assert_eq!(next.waits_for.unwrap().reason, Waiting::Held);
    let change = |person, change| Event::TalkChanged {
        person: PersonId(person),
        change,
        by: "tom".to_owned(),
    };
    world.record(change(7, TalkChange::Closed));
    world.record(change(8, TalkChange::Taken));
    assert_eq!(to(&world.deliver()), [(7, 1), (8, 1)]);
    // Where the campaign answers nobody any more, nobody is waited for.
    let without = "follow_ups: [{after: 1d, if: always, templates: [{name: x, text: One}]}]";
    world.edit(&super::spec("one", "a1", &rest(without)));
    assert_eq!(world.deliver().len(), 298);
}

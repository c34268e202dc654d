use std::sync::Arc;

use super::*;
use crate::model::{AccountState, Exclusion, Waiting};

#[test]
fn the_report_has_the_shape_of_the_contract() {
    let mut world = World::new(&[(
        "spring",
        &format!(
            "{SPRING}follow_ups: [{{after: 3d, templates: [{{name: nudge, text: \"Well?\"}}]}}]\n"
        ),
    )]);
    world.see();
    world.look_up("spring", 1..=5);
    world.send("spring", 1, "short");
    world.refuse("spring", 2, Outcome::Blocked);
    let body = serde_json::to_value(world.report()).unwrap();
    let keys = |value: &serde_json::Value| {
        value
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    for (pointer, expected) in [
        (
            "",
            vec!["format_version", "daemon", "campaigns", "accounts"],
        ),
        (
            "/daemon",
            vec!["running", "pid", "version", "heartbeat_age_ms"],
        ),
        (
            "/campaigns/0",
            vec![
                "name",
                "kind",
                "file",
                "run",
                "generation",
                "observed_generation",
                "digest",
                "commit",
                "conditions",
                "audience",
                "progress",
                "outcomes",
                "steps",
                "templates",
                "waiting",
                "next_action_at",
                "finish_estimate",
            ],
        ),
        (
            "/campaigns/0/conditions/0",
            vec![
                "type",
                "status",
                "reason",
                "message",
                "last_transition_time",
            ],
        ),
        (
            "/campaigns/0/audience",
            vec!["found", "included", "excluded", "sources"],
        ),
        (
            "/campaigns/0/audience/sources/0",
            vec!["type", "peer", "found", "complete", "at", "error"],
        ),
        (
            "/campaigns/0/progress",
            vec![
                "pending",
                "in_flight",
                "sent",
                "failed",
                "skipped",
                "uncertain",
                "replied",
                "opted_out",
            ],
        ),
        (
            "/campaigns/0/steps/0",
            vec!["step", "after", "pending", "sent", "skipped"],
        ),
        ("/campaigns/0/templates/0", vec!["name", "sent", "replied"]),
        ("/campaigns/0/waiting/0", vec!["reason", "count", "until"]),
        (
            "/accounts/0",
            vec![
                "name",
                "state",
                "until",
                "sent_today",
                "allowance_today",
                "message",
            ],
        ),
    ] {
        let found = keys(body.pointer(pointer).unwrap());
        for key in expected {
            assert!(found.iter().any(|f| f == key), "{pointer}/{key}: {found:?}");
        }
    }
    for (pointer, expected) in [
        ("/format_version", serde_json::json!("1.0")),
        (
            "/campaigns/0/outcomes",
            serde_json::json!({"sent": 1, "blocked": 1}),
        ),
        ("/campaigns/0/progress/skipped", serde_json::json!(1)),
        (
            "/campaigns/0/templates/0",
            serde_json::json!({"name": "short", "sent": 1, "replied": 0}),
        ),
        (
            "/campaigns/0/audience/sources/0/at",
            serde_json::json!("2026-12-01T11:30:00.000Z"),
        ),
        ("/campaigns/0/steps/0/after", serde_json::json!("3d")),
        (
            "/campaigns/0/conditions/0/status",
            serde_json::json!("True"),
        ),
        ("/accounts/0/state", serde_json::json!("ready")),
        ("/accounts/0/sent_today", serde_json::json!(1)),
    ] {
        assert_eq!(body.pointer(pointer), Some(&expected), "{pointer}");
    }
}

#[test]
fn a_report_of_some_campaigns_has_their_accounts_alone() {
    let world = World::new(&[
        ("spring", SPRING),
        (
            "winter",
            &SPRING
                .replace("name: spring", "name: winter")
                .replace("sales-1", "sales-2"),
        ),
    ]);
    let report = world.report();
    let winter = report.clone().only(&["winter".to_owned()]).unwrap();
    assert_eq!(winter.campaigns.len(), 1);
    assert_eq!(
        winter
            .accounts
            .iter()
            .map(|a| a.name.as_str())
            .collect::<Vec<_>>(),
        ["sales-2"]
    );
    assert_eq!(report.clone().only(&[]).unwrap(), report);
    let unknown = report.only(&["wintre".to_owned()]).unwrap_err();
    assert_eq!(
        unknown.to_string(),
        "there is no campaign \"wintre\"; did you mean \"winter\"?"
    );
}

#[test]
fn an_account_is_shown_with_what_it_needs() {
    let mut world = World::new(&[("spring", SPRING)]);
    world
        .runtime
        .links
        .insert("sales-1".into(), Link::NotConfigured);
    let report = world.report();
    assert_eq!(report.accounts[0].state, AccountState::NotConfigured);
    assert!(
        report.accounts[0]
            .message
            .contains("https://my.telegram.org/apps")
    );
    assert!(needs_person(&report));
}

#[test]
fn a_plan_says_what_an_edited_filter_would_change() {
    let mut world = World::new(&[("spring", SPRING)]);
    world.see();
    world.look_up("spring", 1..=12);
    world.send("spring", 1, "short");
    for id in 1..=12 {
        let mut person = Person::default();
        person.contact.id = Some(id);
        person.bot = id > 9;
        person.hashes.insert("sales-1".into(), id);
        world.people.insert(PersonId(id), person);
    }
    // The bots became known, and the file now asks for fewer people.
    world.files.put(
        "campaigns/spring.yaml",
        format!("{SPRING}filters: {{limit: 7}}\n"),
    );
    let plan = world.plan_document();
    let spring = &plan.campaigns[0];
    assert_eq!(spring.change, Change::Update);
    assert_eq!(spring.recipients.pending, 11);
    assert_eq!(
        spring.recipients.newly_excluded,
        BTreeMap::from([(Exclusion::Bot, 3), (Exclusion::OverLimit, 2)])
    );
    assert_eq!(spring.messages.total, 6);
    assert!(plan.changes);
    insta::assert_snapshot!(plan_text(&plan, &look()), @r#"
    From the last look-ups; `--refresh` looks again. + comes, ~ changes, - goes, ! is wrong.

    ~ spring (campaigns/spring.yaml): its files were changed
        ~ 5 people go out: 3 bot, 2 over_limit
          11 pending (6 after that), 1 settled
          6 messages: 0 may leave now, up to 6 today
          blast radius: 6 people through 1 account (sales-1), at most 40 a day
          11 wait: LookingUp
          members of @rust_meetup: 12 found, looked up 30 minutes ago

    Plan: 0 to start, 1 changed, 0 to retire, 0 invalid; 6 messages to send, up to 6 of them today.
    "#);
}

#[test]
fn a_plan_of_a_workspace_that_no_engine_has_seen_says_what_would_start() {
    let world = World::new(&[
        ("spring", SPRING),
        (
            "broken",
            &SPRING.replace("name: spring", "name: broken\nsorces: 1"),
        ),
    ]);
    let plan = world.plan_document();
    let changes: Vec<_> = plan
        .campaigns
        .iter()
        .map(|c| (c.name.as_str(), c.change))
        .collect();
    assert_eq!(
        changes,
        [("broken", Change::Invalid), ("spring", Change::Create)]
    );
    assert!(plan.changes);
    insta::assert_snapshot!(plan_text(&plan, &look()), @r#"
    From the last look-ups; `--refresh` looks again. + comes, ~ changes, - goes, ! is wrong.

    ! broken (campaigns/broken.yaml): its file is invalid: would be held
          0 pending, 0 settled
        ! campaigns/broken.yaml:4:1: unknown key "sorces" at the top of the file; did you mean `sources`?

    + spring (campaigns/spring.yaml): would start
          0 pending, 0 settled
          members of @rust_meetup: not looked up yet

    Plan: 1 to start, 0 changed, 0 to retire, 1 invalid; 0 messages to send, up to 0 of them today.
    "#);
}

#[test]
fn a_plan_where_nothing_would_happen_has_no_changes() {
    let mut world = World::new(&[("spring", SPRING)]);
    world.see();
    world.look_up("spring", 1..=3);
    assert!(world.plan_document().changes, "people wait");
    for person in 1..=3 {
        world.send("spring", person, "short");
    }
    let plan = world.plan_document();
    assert!(!plan.changes, "{plan:#?}");
    assert!(plan_text(&plan, &look()).contains("Nothing would change"));
    let back: PlanDocument = serde_json::from_value(serde_json::to_value(&plan).unwrap()).unwrap();
    assert_eq!(back, plan);
}

#[test]
fn a_plan_counts_what_may_leave_today_under_caps_delays_and_windows() {
    for (what, more, expected) in [
        ("the account's default of 40 a day", "", (1, 40)),
        (
            "a cap by the spec",
            "delays: {between_messages: 30s..90s, per_account: {per_day: 7}}",
            (1, 7),
        ),
        (
            "a cap over all accounts",
            "delays: {between_messages: 30s..90s, per_campaign: {per_day: 5}}",
            (1, 5),
        ),
        (
            "a window of ten minutes at one a minute",
            "schedule: {timezone: UTC, windows: [\"12:00-12:10\"]}",
            (1, 11),
        ),
        (
            "a window later today",
            "schedule: {timezone: UTC, windows: [\"20:00-20:05\"]}",
            (0, 6),
        ),
        (
            "a window that is over",
            "schedule: {timezone: UTC, windows: [\"09:00-10:00\"]}",
            (0, 0),
        ),
    ] {
        let base = if more.starts_with("delays") {
            SPRING.replace("delays: {between_messages: 30s..90s}\n", "")
        } else {
            SPRING.to_owned()
        };
        let mut world = World::new(&[("spring", &format!("{base}{more}\n"))]);
        world.see();
        world.look_up("spring", 1..=100);
        let messages = world.plan_document().campaigns[0].messages;
        assert_eq!((messages.now, messages.today), expected, "{what}");
        assert_eq!(messages.total, 100, "{what}");
    }
}

#[test]
fn a_plan_of_held_campaigns_sends_nothing() {
    let mut world = World::new(&[("spring", &format!("{SPRING}paused: true\n"))]);
    world.see();
    world.look_up("spring", 1..=10);
    let plan = world.plan_document();
    assert_eq!(plan.campaigns[0].messages, MessagesPlan::default());
    assert!(!plan.changes);
}

#[test]
fn events_are_told_in_words_with_ids_only() {
    let mut world = World::new(&[("spring", SPRING)]);
    world.see();
    let tell = |event: Event| event_line(1, &Recorded { at: NOON, event }, &world.observed);
    let line = tell(Event::Refused {
        key: World::key("spring", 5),
        outcome: Outcome::Failed,
        detail: "SOMETHING_NEW".to_owned(),
    });
    assert_eq!(
        (line.campaign.as_deref(), line.person.as_deref(), line.error),
        (Some("spring"), Some("id:5"), true)
    );
    let fine = tell(Event::Refused {
        key: World::key("spring", 5),
        outcome: Outcome::NotFound,
        detail: String::new(),
    });
    assert!(!fine.error);
    let document = EventsDocument::new(vec![line]);
    assert_eq!(
        events_text(&document.events, None),
        "2026-12-01T12:00:00Z  refused           spring  -  id:5  failed: SOMETHING_NEW\n"
    );
    let body = serde_json::to_value(&document).unwrap();
    assert_eq!(body["events"][0]["type"], "refused");
    assert_eq!(
        serde_json::from_value::<EventsDocument>(body).unwrap(),
        document
    );
}

#[test]
fn the_page_of_reasons_names_every_word_of_the_closed_lists() {
    let page = reasons_markdown();
    let names = Exclusion::ALL
        .iter()
        .map(|x| x.name())
        .chain(Outcome::ALL.iter().map(|x| x.name()))
        .chain(Waiting::ALL.iter().map(|x| x.name()))
        .chain(ConditionType::ALL.iter().map(|x| x.name()))
        .chain(AccountState::ALL.iter().map(|x| x.name()))
        .chain(crate::model::reaction::TABLE.iter().map(|row| row.pattern));
    for name in names {
        assert!(page.contains(&format!("| `{name}` |")), "{name}");
    }
    for line in page.lines().filter(|line| line.starts_with('|')) {
        assert_eq!(line.replace("\\|", "").matches('|').count(), 4, "{line}");
    }
}

#[test]
fn moments_are_rfc_3339_and_never_is_absent() {
    assert_eq!(
        serde_json::to_string(&Moment(NOON)).unwrap(),
        "\"2026-12-01T12:00:00.000Z\""
    );
    assert_eq!(
        serde_json::from_str::<Moment>("\"2026-12-01T13:00:00+01:00\"").unwrap(),
        Moment(NOON)
    );
    assert!(serde_json::from_str::<Moment>("\"soon\"").is_err());
    assert_eq!(Moment::of(Some(Timestamp::MAX)), None);
    assert_eq!(Moment::of(Some(Timestamp::MIN)), None);
    assert_eq!(Moment::of(None), None);
}

#[test]
fn who_rests_after_another_campaigns_message_is_no_message_of_now() {
    let mut world = World::new(&[
        ("spring", SPRING),
        ("summer", &SPRING.replace("name: spring", "name: summer")),
    ]);
    world.settings = "version: 1\nlimits: {per_person: {gap: 3d}}\n";
    world.see();
    world.look_up("spring", 1..=3);
    world.look_up("summer", 1..=3);
    for person in 1..=3 {
        world.send("spring", person, "short");
    }
    let plan = world.plan_document();
    let summer = plan.campaigns.iter().find(|c| c.name == "summer").unwrap();
    let messages = summer.messages;
    assert_eq!(
        (messages.now, messages.today, messages.total),
        (0, 0, 3),
        "{summer:#?}"
    );
    let waits: Vec<_> = summer.waiting.iter().map(|w| (w.reason, w.count)).collect();
    assert_eq!(waits, [(Waiting::PersonGap, 3)]);
    assert!(summer.finish_estimate.unwrap().0 >= world.now + 71 * HOUR);
}

#[test]
fn a_plan_where_people_wait_for_a_persons_word_does_not_say_that_nobody_waits() {
    let mut world = World::new(&[("spring", &format!("{SPRING}canary: 2\n"))]);
    world.see();
    world.look_up("spring", 1..=5);
    world.send("spring", 1, "short");
    world.send("spring", 2, "short");
    let plan = world.plan_document();
    assert!(!plan.changes, "{plan:#?}");
    let text = plan_text(&plan, &look());
    assert!(text.contains("3 wait: Canary"), "{text}");
    assert!(text.contains("3 people wait"), "{text}");
    assert!(!text.contains("nobody waits"), "{text}");
}

#[test]
fn people_who_were_never_in_are_no_loss_when_filters_leave_them_out() {
    let mut world = World::new(&[("spring", SPRING)]);
    world.see();
    world.look_up("spring", 1..=1);
    let (campaign, source) = ("spring".into(), world.source("spring"));
    world.record(
        MINUTE,
        Event::AccountIs {
            account: "sales-1".into(),
            person: PersonId(4),
        },
    );
    world.record(
        MINUTE,
        Event::LookupPage {
            campaign,
            source,
            account: Some("sales-1".into()),
            people: (1..=5).map(PersonId).collect(),
        },
    );
    let end = LookupEnd {
        complete: true,
        admin: true,
        ..LookupEnd::default()
    };
    world.record(
        MINUTE,
        Event::LookupEnded {
            campaign: "spring".into(),
            source,
            account: Some("sales-1".into()),
            end,
        },
    );
    let plan = world.plan_document();
    let people = &plan.campaigns[0].recipients;
    assert_eq!(
        (people.pending, people.added, people.leaving),
        (1, 3, 0),
        "{people:?}"
    );
    assert_eq!(
        people.newly_excluded,
        BTreeMap::from([(Exclusion::OwnAccount, 1)])
    );
    assert_eq!(people.reached(), 4);
    let text = plan_text(&plan, &look());
    assert!(text.contains("3 recipients come in"), "{text}");
    assert!(text.contains("1 person left out: 1 own_account"), "{text}");
    assert!(text.contains("1 pending (4 after that)"), "{text}");
}

#[test]
fn a_plan_says_beforehand_whom_the_cap_of_the_only_run_leaves_over() {
    let capped = "delays: {between_messages: 30s..90s, per_account: {per_run: 3}}\n";
    let more = |schedule: &str| {
        let spec = SPRING.replace("delays: {between_messages: 30s..90s}\n", capped);
        let mut world = World::new(&[("spring", &format!("{spec}{schedule}"))]);
        world.see();
        world.look_up("spring", 1..=10);
        world.send("spring", 1, "short");
        let plan = world.plan_document();
        plan.campaigns[0].warnings.join("\n")
    };
    let said = more("");
    assert!(
        said.contains("7 people will not be written to") && said.contains("per_run"),
        "{said}"
    );
    // Another run takes them up.
    assert_eq!(
        more("schedule: {timezone: UTC, cron: \"0 10 * * *\"}\n"),
        ""
    );
}

/// Everybody of three got the first message two minutes ago.
fn followed_up(follow_ups: &str) -> World {
    let mut world = World::new(&[("spring", &format!("{SPRING}follow_ups: [{follow_ups}]\n"))]);
    world.see();
    world.look_up("spring", 1..=3);
    for person in 1..=3 {
        world.send("spring", person, "short");
    }
    world
}

#[test]
fn follow_ups_that_are_owed_are_messages_of_a_plan() {
    let steps = "{after: 3m, if: always, templates: [{name: nudge, text: \"Well?\"}]}";
    let mut world = followed_up(steps);
    let plan = world.plan_document();
    let spring = &plan.campaigns[0];
    let MessagesPlan {
        now,
        today,
        total,
        follow_ups,
    } = spring.messages;
    assert_eq!((now, today, total, follow_ups), (0, 3, 3, 3));
    assert!(plan.changes, "{spring:#?}");
    // One after another, each after the pause of a minute.
    let done = spring.finish_estimate.unwrap().0.since(world.now);
    assert!((2 * MINUTE..4 * MINUTE).contains(&done), "{done:?}");
    let text = plan_text(&plan, &look());
    for said in [
        "3 messages, all follow-ups: 0 may leave now, up to 3 today",
        "blast radius: those who wait for a follow-up through 1 account (sales-1), at most 40 a day",
        "done in ",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    assert!(!text.contains("Nothing would change"), "{text}");
    // When they are due, one may leave.
    world.now = world.now + 2 * MINUTE;
    let plan = world.plan_document();
    assert_eq!(plan.campaigns[0].messages.now, 1);
    // Of what a person holds nothing leaves.
    world.record(
        MINUTE,
        Event::Suspended {
            campaign: None,
            reason: "x".to_owned(),
            by: "x".to_owned(),
        },
    );
    let plan = world.plan_document();
    assert_eq!(plan.campaigns[0].messages, MessagesPlan::default());
    assert!(!plan.changes);
}

#[test]
fn a_follow_up_that_a_cap_keeps_is_acted_on_when_the_cap_is_over() {
    let steps = "{after: 1m, if: always, templates: [{name: nudge, text: \"Well?\"}]}";
    let mut world = followed_up(steps);
    assert_eq!(
        world.report().campaigns[0].next_action_at,
        Some(Moment(world.now))
    );
    world.settings = "version: 1\naccounts: {sales-1: {per_day: 3}}\n";
    let next = world.report().campaigns[0].next_action_at.unwrap().0;
    assert_eq!(next, NOON + 12 * HOUR, "the account's next day");
    let plan = world.plan_document();
    let messages = plan.campaigns[0].messages;
    assert_eq!((messages.now, messages.today, messages.total), (0, 0, 3));
}

#[test]
fn a_plan_lets_nobody_go_who_waits_by_its_own_word() {
    // First contacts under consent `attested` have a cap of their own.
    let mut world = World::new(&[(
        "spring",
        &SPRING
            .replace("basis: members", "basis: attested")
            .replace("text: \"Hi\"", "text: \"Hi, reply stop to hear no more\"")
            .replace(
                "text: \"Hello\"",
                "text: \"Hello, reply stop to hear no more\"",
            ),
    )]);
    world.settings = "version: 1\nlimits: {attested_per_day: 1}\n";
    world.see();
    world.look_up("spring", 1..=2);
    let key = World::key("spring", 1);
    let intent = Intent {
        key: key.clone(),
        account: "sales-1".into(),
        random_id: 1,
        run: 1,
        variant: "short".into(),
        digest: "".into(),
        attested: true,
        request: Arc::default(),
        next_allowed_at: world.now - MINUTE,
    };
    world.record(2 * MINUTE, Event::Intent(Arc::new(intent)));
    let sent = Event::Sent {
        key,
        message_id: 1,
        earlier: false,
        next_allowed_at: world.now - MINUTE,
    };
    world.record(2 * MINUTE, sent);
    let plan = world.plan_document();
    let spring = &plan.campaigns[0];
    let waits: Vec<_> = spring.waiting.iter().map(|w| (w.reason, w.count)).collect();
    assert_eq!(waits, [(Waiting::AccountCap, 1)]);
    let messages = spring.messages;
    assert_eq!((messages.now, messages.today, messages.total), (0, 0, 1));
}

#[test]
fn the_blast_radius_is_that_of_accounts_that_can_send() {
    let mut world = World::new(&[(
        "spring",
        &SPRING.replace("[sales-1]", "[sales-1, sales-2, sales-3]"),
    )]);
    world.see();
    world.look_up("spring", 1..=100);
    world.runtime.links.insert("sales-2".into(), Link::Missing);
    world.connect("sales-3");
    world.record(
        MINUTE,
        Event::AccountChanged {
            account: "sales-3".into(),
            state: AccountState::Unauthorized,
            message: "log in".to_owned(),
        },
    );
    let spring = &world.plan_document().campaigns[0];
    assert_eq!(spring.accounts, ["sales-1"]);
    assert_eq!((spring.per_day, spring.messages.today), (40, 40));
}

#[test]
fn a_plan_says_that_the_last_good_version_goes_on_and_that_the_settings_are_broken() {
    let mut world = World::new(&[("spring", SPRING)]);
    world.see();
    world.look_up("spring", 1..=3);
    let mut plan = world.plan_document();
    plan.campaigns[0].change = Change::Invalid;
    plan.campaigns[0].errors = vec!["campaigns/spring.yaml:4:1: unknown key".to_owned()];
    let said = |plan: &PlanDocument| plan_text(plan, &look());
    assert!(said(&plan).contains("would be held"));
    plan.campaigns[0].last_good = true;
    let text = said(&plan);
    assert!(
        text.contains("its last good version goes on") && !text.contains("would be held"),
        "{text}"
    );
    world.settings = "version: 1\nlimts: {}\n";
    let plan = world.plan_document();
    assert_eq!(plan.invalid_files[0].file, "tidings.yaml");
    let text = said(&plan);
    assert!(text.starts_with("! tidings.yaml:2:1"), "{text}");
    assert!(
        text.contains("No daemon starts before it is mended"),
        "{text}"
    );
    // Whatever campaigns are asked for: all go by it.
    let alone = plan.only(&["spring".to_owned()]).unwrap();
    assert_eq!(alone.invalid_files.len(), 1);
}

#[test]
fn whoever_was_collected_is_counted_alike_everywhere() {
    let mut world = World::new(&[(
        "spring",
        "version: 1\nname: spring\nkind: collect\nconsent: {basis: members}\naccounts: [sales-1]\n\
         sources: [{type: members, peer: '@rust_meetup'}]\n",
    )]);
    world.see();
    world.look_up("spring", 1..=5);
    world.record(
        MINUTE,
        Event::OptedOut {
            person: PersonId(5),
            account: None,
        },
    );
    let report = world.report();
    let spring = shown(&report, "spring");
    assert_eq!(spring.progress.settled() + spring.progress.pending, 5);
    let glance = &glances(&report, NOON)[0];
    assert_eq!(glance.progress, "5 collected");
    assert_eq!((glance.settled, glance.included), (5, 5));
    assert_eq!(glance.waits, "");
    let succeeded = spring.condition(ConditionType::Succeeded).unwrap();
    assert_eq!(succeeded.message, "5 people are collected.");
    let plan = plan_text(&world.plan_document(), &look());
    assert!(
        plan.contains("5 collected") && !plan.contains("Held"),
        "{plan}"
    );
    let story = detail(&report, &[], &look());
    assert!(story.contains("collected"), "{story}");
    for word in ["4 ", "in the audience", "pending"] {
        assert!(!story.contains(word), "{word}: {story}");
    }
}

#[test]
fn who_was_looked_up_before_a_campaign_was_seen_would_come_in() {
    let mut world = World::new(&[("spring", SPRING)]);
    let unknown = world.plan_document();
    world.look_up("spring", 1..=3);
    let known = world.plan_document();
    assert_eq!(known.campaigns[0].change, Change::Create);
    assert_eq!(known.campaigns[0].recipients.added, 3);
    assert_eq!(unknown.campaigns[0].recipients.added, 0);
    // The same once it is taken up, in memory only.
    world.see();
    world.look_up("spring", 1..=3);
    let plan = world.plan_document().against(known);
    let spring = &plan.campaigns[0];
    assert_eq!(spring.change, Change::Create);
    let people = &spring.recipients;
    assert_eq!((people.pending, people.added, people.reached()), (0, 3, 3));
    let text = plan_text(&plan, &look());
    assert!(
        text.contains("+ spring") && text.contains("3 recipients come in"),
        "{text}"
    );
    assert!(plan.changes);
}

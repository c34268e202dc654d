use super::*;
use crate::model::reaction::CallClass;
use crate::model::{AccountState, StallReason, Waiting};
use Truth::{False, True, Unknown};

/// A world and what its campaign `spring` is expected to say.
struct Case {
    what: &'static str,
    world: World,
    expected: Vec<(ConditionType, Truth, &'static str)>,
    needs_person: bool,
}

fn spring(more: &str) -> World {
    World::new(&[("spring", &format!("{SPRING}{more}"))])
}

fn running(more: &str) -> World {
    let mut world = spring(more);
    world.see();
    world.look_up("spring", 1..=10);
    world
}

fn cases() -> Vec<Case> {
    use ConditionType::{Paused, Ready, SpecValid, Stalled, Succeeded, Throttled};
    let mut cases = Vec::new();
    let mut case =
        |what, world, expected: &[(ConditionType, Truth, &'static str)], needs_person| {
            cases.push(Case {
                what,
                world,
                expected: expected.to_vec(),
                needs_person,
            });
        };
    let why = |reason: &str| StallReason {
        reason: reason.to_owned(),
        message: "It broke.".to_owned(),
    };

    case(
        "nobody has looked at it yet",
        spring(""),
        &[
            (Ready, Unknown, "NotSeen"),
            (SpecValid, True, "Valid"),
            (Succeeded, False, "NotStarted"),
        ],
        false,
    );
    let mut world = spring("");
    world.see();
    case(
        "seen, and nothing looked up",
        world,
        &[(Ready, True, "LookingUp"), (Succeeded, False, "NotStarted")],
        false,
    );
    case(
        "people wait for the delay alone",
        running(""),
        &[
            (Ready, True, "Sending"),
            (Paused, False, "NotPaused"),
            (Throttled, False, "NotThrottled"),
            (Stalled, False, "NotStalled"),
            (Succeeded, False, "InProgress"),
        ],
        false,
    );
    case(
        "outside its windows",
        running("schedule: {timezone: UTC, windows: [\"18:00-19:00\"]}\n"),
        &[(Ready, True, "OutsideWindow")],
        false,
    );
    case(
        "before its start",
        running("schedule: {timezone: UTC, start: 2026-12-24T09:00}\n"),
        &[(Ready, True, "NotStarted")],
        false,
    );
    case(
        "past its end, with people left",
        running("schedule: {timezone: UTC, end: 2026-11-30T09:00}\n"),
        &[(Ready, True, "Ended")],
        false,
    );
    case(
        "paused in the spec",
        running("paused: true\n"),
        &[(Ready, False, "Paused"), (Paused, True, "PausedInSpec")],
        false,
    );
    case(
        "an invalid file",
        running("").edit("kind: mailing", "kind: maling"),
        &[
            (Ready, False, "SpecInvalid"),
            (SpecValid, False, "SpecInvalid"),
            (Succeeded, False, "InProgress"),
        ],
        true,
    );

    let mut world = running("");
    world.record(
        MINUTE,
        Event::Suspended {
            campaign: Some("spring".into()),
            reason: "wait".into(),
            by: "anna".into(),
        },
    );
    case(
        "suspended",
        world,
        &[(Ready, False, "Suspended"), (Paused, True, "Suspended")],
        false,
    );
    let mut world = running("");
    world.record(
        MINUTE,
        Event::Suspended {
            campaign: None,
            reason: "wait".into(),
            by: "anna".into(),
        },
    );
    case(
        "suspended with all others",
        world,
        &[(Ready, False, "Suspended"), (Paused, True, "Suspended")],
        false,
    );
    let mut world = running("");
    world.record(
        MINUTE,
        Event::SelfPaused {
            campaign: "spring".into(),
            why: why("GuardrailTripped"),
        },
    );
    case(
        "a guardrail tripped",
        world,
        &[
            (Ready, False, "PausedItself"),
            (Paused, True, "GuardrailTripped"),
        ],
        true,
    );
    let mut world = running("");
    world.record(
        MINUTE,
        Event::Stalled {
            campaign: "spring".into(),
            why: why("MediaRefused"),
        },
    );
    case(
        "stalled",
        world,
        &[(Ready, False, "Stalled"), (Stalled, True, "MediaRefused")],
        true,
    );

    let mut world = spring("");
    world.see();
    world.look_up("spring", 1..=501);
    case(
        "more people than approve_over",
        world,
        &[(Ready, False, "AwaitingApproval")],
        true,
    );
    let mut world = running("");
    let end = LookupEnd {
        complete: true,
        error: None,
        admin: false,
        bad_rows: 0,
        partial: None,
        passing: false,
    };
    let (campaign, source) = ("spring".into(), world.source("spring"));
    world.record(
        MINUTE,
        Event::LookupEnded {
            campaign,
            source,
            account: Some("sales-1".into()),
            end,
        },
    );
    world.judge("spring");
    case(
        "no account is an admin of the place",
        world,
        &[(Ready, False, "ConsentMismatch")],
        true,
    );
    let mut world = spring("");
    world.see();
    world.record(
        HALF_HOUR,
        Event::RunOpened {
            campaign: "spring".into(),
            run: 1,
        },
    );
    let end = LookupEnd {
        complete: false,
        error: Some("CHANNEL_PRIVATE".into()),
        admin: false,
        bad_rows: 0,
        partial: None,
        passing: false,
    };
    let (campaign, source) = ("spring".into(), world.source("spring"));
    world.record(
        Duration::from_secs(1),
        Event::LookupEnded {
            campaign,
            source,
            account: Some("sales-1".into()),
            end,
        },
    );
    // When it is due for another try, and while that runs, the last one is still what is known.
    let failed = &[
        (Ready, False, "SourceFailed"),
        (Stalled, True, "SourceFailed"),
    ];
    let account: Option<AccountName> = Some("sales-1".into());
    world.now = world.now + HOUR;
    case(
        "a try is due after a failed one",
        world.clone(),
        failed,
        true,
    );
    let looking = ("spring".into(), source, account.clone());
    world.runtime.looking_up.insert(looking);
    let campaign: Lineage = "spring".into();
    let started = Event::LookupStarted {
        campaign,
        source,
        account,
    };
    world.record(Duration::ZERO, started);
    case("a try runs after a failed one", world.clone(), failed, true);
    world.runtime.looking_up.clear();
    world.now = world.now - HOUR;
    case("the only source cannot be read", world, failed, true);

    let mut world = running("");
    world.record(
        MINUTE,
        Event::FloodWait {
            account: "sales-1".into(),
            class: CallClass::Send,
            until: NOON + HOUR,
            seconds: 3660,
        },
    );
    case(
        "told to wait",
        world,
        &[(Ready, True, "FloodWait"), (Throttled, True, "FloodWait")],
        false,
    );
    let mut world = running("");
    world.record(
        MINUTE,
        Event::Limited {
            account: "sales-1".into(),
            campaign: Some("spring".into()),
            until: NOON + 23 * HOUR,
        },
    );
    case(
        "limited",
        world,
        &[
            (Ready, True, "AccountLimited"),
            (Throttled, True, "AccountLimited"),
        ],
        false,
    );
    let mut world = running("").edit("30s..90s}", "30s..90s, per_account: {per_day: 1}}");
    world.look_up("spring", 1..=10);
    world.send("spring", 1, "short");
    case(
        "the day's cap is reached",
        world,
        &[(Ready, True, "AccountCap"), (Throttled, True, "AccountCap")],
        false,
    );
    let mut world = running("");
    let message = "Telegram no longer knows its key.".to_owned();
    world.record(
        MINUTE,
        Event::AccountChanged {
            account: "sales-1".into(),
            state: AccountState::Unauthorized,
            message,
        },
    );
    case(
        "its only account must log in",
        world,
        &[(Ready, False, "NoAccount")],
        true,
    );
    let mut world = running("");
    world.runtime.links.insert("sales-1".into(), Link::Missing);
    case(
        "its only account has no session",
        world,
        &[(Ready, False, "NoAccount")],
        true,
    );
    let mut world = running("");
    world
        .runtime
        .links
        .insert("sales-1".into(), Link::StateLost { older: false });
    case(
        "its only account belongs to another state",
        world,
        &[(Ready, False, "StateLost")],
        true,
    );
    let mut world = running("").edit("accounts: [sales-1]", "accounts: [sales-1, sales-2]");
    world.runtime.links.insert("sales-2".into(), Link::Missing);
    world.look_up("spring", 1..=10);
    case(
        "one of two accounts must log in",
        world,
        &[(Ready, True, "Sending")],
        true,
    );

    let mut world = running("");
    for person in 1..=10 {
        world.send("spring", person, "short");
    }
    case(
        "everybody is settled",
        world,
        &[(Ready, True, "Succeeded"), (Succeeded, True, "AllSettled")],
        false,
    );
    let mut world = running("schedule: {refresh: 6h}\n");
    for person in 1..=10 {
        world.send("spring", person, "short");
    }
    case(
        "settled, and open for newcomers",
        world,
        &[(Ready, True, "LookingUp"), (Succeeded, False, "Open")],
        false,
    );
    let mut world = running("");
    world.send("spring", 1, "short");
    world.files.remove("campaigns/spring.yaml");
    world.record(
        MINUTE,
        Event::Retired {
            campaign: "spring".into(),
        },
    );
    case(
        "its file is gone",
        world,
        &[(Ready, True, "Retired"), (SpecValid, Unknown, "Retired")],
        false,
    );
    let mut world = running("");
    world.files.set_missing(true);
    case(
        "the campaigns' folder is gone",
        world,
        &[(Ready, False, "FolderUnreadable")],
        true,
    );
    cases
}

impl World {
    /// The file of `spring` is edited, and the engine looks at it.
    fn edit(mut self, from: &str, to: &str) -> World {
        let path = "campaigns/spring.yaml";
        let bytes = crate::spec::Files::read(&self.files, path, 1 << 20).unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        assert!(text.contains(from), "{from}");
        self.files.put(path, text.replace(from, to));
        self.see();
        self
    }
}

#[test]
fn conditions_say_what_holds_and_why() {
    for Case {
        what,
        world,
        expected,
        needs_person: needed,
    } in cases()
    {
        let report = world.report();
        for (kind, status, reason) in expected {
            let found = condition(&report, "spring", kind);
            let all = &shown(&report, "spring").conditions;
            assert_eq!(
                (found.0, found.1.as_str()),
                (status, reason),
                "{what}: {kind}\n{all:#?}"
            );
        }
        assert_eq!(
            needs_person(&report),
            needed,
            "{what}: {:?}",
            needs_person_list(&report)
        );
    }
}

#[test]
fn every_condition_is_always_there_in_order_with_a_camel_case_reason_and_a_time_that_was() {
    for Case { what, world, .. } in cases() {
        for campaign in &world.report().campaigns {
            let kinds: Vec<ConditionType> = campaign.conditions.iter().map(|c| c.kind).collect();
            assert_eq!(kinds, ConditionType::ALL, "{what}");
            for condition in &campaign.conditions {
                let reason = &condition.reason;
                assert!(
                    reason.starts_with(|c: char| c.is_ascii_uppercase()),
                    "{what}: {reason}"
                );
                assert!(
                    reason.chars().all(|c| c.is_ascii_alphanumeric()),
                    "{what}: {reason}"
                );
                let at = condition.last_transition_time.0;
                assert!(
                    at <= world.now && at > NOON - 60 * 24 * HOUR,
                    "{what}: {} {at}",
                    condition.kind
                );
            }
        }
    }
}

#[test]
fn waiting_sums_to_pending_whatever_holds() {
    for Case { what, world, .. } in cases() {
        for campaign in &world.report().campaigns {
            let waiting: u64 = campaign.waiting.iter().map(|wait| wait.count).sum();
            assert_eq!(
                waiting, campaign.progress.pending,
                "{what}: {:?}",
                campaign.waiting
            );
        }
    }
}

#[test]
fn an_invalid_file_is_named_with_line_and_column_and_the_generation_in_use_stays_behind() {
    let world = running("").edit("kind: mailing", "kind: maling");
    let report = world.report();
    let spring = shown(&report, "spring");
    let valid = spring.condition(ConditionType::SpecValid).unwrap();
    assert!(
        valid.message.starts_with("campaigns/spring.yaml:4:7: "),
        "{}",
        valid.message
    );
    assert_eq!((spring.generation, spring.observed_generation), (2, 1));
    assert_eq!(spring.sync, Sync::Invalid);
    assert_eq!(spring.progress.pending, 10);
    assert_eq!(
        spring
            .waiting
            .iter()
            .map(|w| (w.reason.name(), w.count))
            .collect::<Vec<_>>(),
        [("Held", 10)]
    );
}

#[test]
fn the_times_of_holds_are_those_of_the_journal() {
    let mut world = running("");
    world.record(
        10 * MINUTE,
        Event::Suspended {
            campaign: Some("spring".into()),
            reason: "wait".into(),
            by: "anna".into(),
        },
    );
    let report = world.report();
    let paused = shown(&report, "spring")
        .condition(ConditionType::Paused)
        .unwrap();
    assert_eq!(paused.last_transition_time, Moment(NOON - 10 * MINUTE));
    assert_eq!(paused.message, "Suspended by anna: wait.");
}

#[test]
fn a_campaign_whose_file_is_gone_is_shown_as_long_as_it_has_a_history() {
    let mut world = World::new(&[
        ("spring", SPRING),
        ("other", &SPRING.replace("name: spring", "name: other")),
    ]);
    world.see();
    world.look_up("spring", 1..=3);
    world.files.remove("campaigns/spring.yaml");
    world.files.remove("campaigns/other.yaml");
    let report = world.report();
    assert_eq!(
        report
            .campaigns
            .iter()
            .map(|c| c.name.as_str())
            .collect::<Vec<_>>(),
        ["spring"]
    );
    let spring = shown(&report, "spring");
    assert_eq!((spring.sync, spring.progress.pending), (Sync::Retired, 3));
    assert_eq!(spring.waiting[0].reason.name(), "Held");
}

#[test]
fn an_unseen_campaign_is_shown_with_nothing() {
    let report = spring("").report();
    let spring = shown(&report, "spring");
    assert_eq!(
        (spring.generation, spring.observed_generation, spring.run),
        (0, 0, 0)
    );
    assert_eq!(spring.progress, Progress::default());
    assert_eq!(spring.sync, Sync::Unseen);
    assert_eq!(
        spring.audience.sources[0].peer.as_deref(),
        Some("@rust_meetup")
    );
    assert_eq!(spring.digest.len(), 64);
}

#[test]
fn without_a_daemon_the_report_says_who_would_go_on() {
    let world = running("");
    let report = world.planned(|inputs, plan| report(inputs, plan, DaemonInfo::default()));
    assert_eq!(
        condition(&report, "spring", ConditionType::Ready),
        (True, "NoDaemon".to_owned())
    );
    assert!(!needs_person(&report));
}

fn failed(world: &mut World, source: usize, people: i64) {
    let id = world.desired().campaigns["spring"]
        .spec
        .as_ref()
        .unwrap()
        .sources[source]
        .id;
    let account = Some("sales-1".into());
    if people > 0 {
        world.record(
            HALF_HOUR,
            Event::LookupPage {
                campaign: "spring".into(),
                source: id,
                account: account.clone(),
                people: (1..=people).map(PersonId).collect(),
            },
        );
    }
    let end = LookupEnd {
        complete: people > 0,
        error: (people == 0).then(|| "USERNAME_NOT_OCCUPIED".to_owned()),
        admin: true,
        ..LookupEnd::default()
    };
    world.record(
        HALF_HOUR,
        Event::LookupEnded {
            campaign: "spring".into(),
            source: id,
            account,
            end,
        },
    );
}

#[test]
fn a_source_that_cannot_be_read_beside_one_that_can_stalls_nothing_and_is_named() {
    use ConditionType::{Ready, Stalled, Succeeded};
    let text = SPRING.replace(
        "sources: [",
        "sources: [{type: members, peer: \"@typo_group\"}, ",
    );
    let mut world = World::new(&[("spring", &text)]);
    world.see();
    world.record(
        HOUR,
        Event::RunOpened {
            campaign: "spring".into(),
            run: 1,
        },
    );
    failed(&mut world, 0, 0);
    failed(&mut world, 1, 2);
    world.judge("spring");
    for person in 1..=2 {
        world.send("spring", person, "short");
    }
    let report = world.report();
    let of = |kind| condition(&report, "spring", kind);
    assert_eq!(of(Ready), (True, "Succeeded".to_owned()));
    assert_eq!(of(Stalled), (False, "NotStalled".to_owned()));
    assert_eq!(of(Succeeded), (True, "AllSettled".to_owned()));
    assert!(!needs_person(&report));
    let ready = shown(&report, "spring").condition(Ready).unwrap();
    assert!(
        ready.message.contains("@typo_group") && ready.message.contains("USERNAME_NOT_OCCUPIED"),
        "{}",
        ready.message
    );
    // Neither can be read now: it is stalled, and has not succeeded at the same time.
    failed(&mut world, 1, 0);
    world.judge("spring");
    let report = world.report();
    let of = |kind| condition(&report, "spring", kind);
    assert_eq!(of(Stalled), (True, "SourceFailed".to_owned()));
    assert_eq!(of(Succeeded).0, False);
    assert!(needs_person(&report));
}

#[test]
fn the_only_run_is_over_for_who_is_left_when_its_cap_is_reached() {
    use ConditionType::{Ready, Succeeded};
    let capped = |per_run: u32, schedule: &str| {
        let text = SPRING.replace(
            "delays: {between_messages: 30s..90s}",
            &format!("delays: {{between_messages: 30s..90s, per_account: {{per_run: {per_run}}}}}"),
        );
        let mut world = World::new(&[("spring", &format!("{text}{schedule}"))]);
        world.see();
        world.look_up("spring", 1..=10);
        for person in 1..=3 {
            world.send("spring", person, "short");
        }
        world
    };
    let report = capped(3, "").report();
    assert_eq!(
        condition(&report, "spring", Ready),
        (False, "RunSpent".to_owned())
    );
    assert_eq!(condition(&report, "spring", Succeeded).0, False);
    let spring = shown(&report, "spring");
    assert_eq!(
        (spring.waiting[0].reason, spring.waiting[0].count),
        (Waiting::AccountCap, 7)
    );
    let message = &spring.condition(Ready).unwrap().message;
    assert!(
        message.contains("7 people") && message.contains("per_run") && message.contains("cron"),
        "{message}"
    );
    assert!(needs_person(&report), "nobody gets a message by himself");
    let report = capped(4, "").report();
    assert_eq!(condition(&report, "spring", Ready).0, True);
}

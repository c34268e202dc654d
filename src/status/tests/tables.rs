use super::*;
use crate::model::reaction::CallClass;
use unicode_width::UnicodeWidthStr as _;

/// Campaigns in many states, with names and titles of many scripts.
fn workspace() -> World {
    let named =
        |name: &str, more: &str| SPRING.replace("name: spring", &format!("name: {name}")) + more;
    let mut world = World::new(&[
        (
            "spring",
            &named("spring", "title: Весенний релиз 春のリリース 👩‍🚀\n"),
        ),
        (
            "a-rather-long-name-of-a-campaign-that-goes-on-and-on",
            &named(
                "a-rather-long-name-of-a-campaign-that-goes-on-and-on",
                "schedule: {timezone: Europe/Berlin, windows: [\"mon-fri 18:00-19:00\"]}\n",
            ),
        ),
        ("broken", &named("broken", "tempaltes: []\n")),
        ("done", &named("done", "")),
        ("later", &named("later", "paused: true\n")),
    ]);
    world.see();
    world.look_up("spring", 1..=446);
    world.look_up(
        "a-rather-long-name-of-a-campaign-that-goes-on-and-on",
        1..=40,
    );
    world.look_up("done", 1..=3);
    for person in 1..=3 {
        world.send("done", person, "long");
    }
    for person in 1..=20 {
        world.send(
            "spring",
            person,
            if person % 3 == 0 { "long" } else { "short" },
        );
    }
    for person in 1..=4 {
        world.record(
            MINUTE,
            Event::Incoming {
                account: "sales-1".into(),
                person: PersonId(person),
                message_id: 9,
            },
        );
    }
    for (person, outcome) in [
        (21, Outcome::PrivacyRestricted),
        (22, Outcome::PrivacyRestricted),
        (23, Outcome::TemplateError),
        (24, Outcome::Uncertain),
    ] {
        world.refuse("spring", person, outcome);
    }
    world.intend("spring", 25, "short");
    world
}

#[test]
fn a_table_shows_at_a_glance_what_is_how_far_and_what_needs_a_person() {
    insta::assert_snapshot!(table(&workspace().report(), &look()), @r#"
    The daemon runs, pid 4711, version 0.1.0, heartbeat 120ms ago.

    CAMPAIGN                                              SPEC     STATE          PROGRESS                   WAITS FOR      UNTIL
    a-rather-long-name-of-a-campaign-that-goes-on-and-on  current  OutsideWindow  0 of 40 (0 %)              OutsideWindow  in 5 hours (18:00:00 CET)
    broken                                                invalid  SpecInvalid    -
    done                                                  current  Succeeded      3 of 3 (100 %)
    later                                                 current  Paused         -
    spring                                                current  Sending        24 of 446 (5 %), 1 failed  Delay          done in 11 days (Sat 12 Dec 00:01 UTC)

    Needs you:
      broken  SpecInvalid: campaigns/broken.yaml:12:1: unknown key "tempaltes" at the top of the file; did you mean `templates`?

    ACCOUNT  STATE  TODAY     UNTIL  MESSAGE
    sales-1  ready  25 of 60
    "#);
}

#[test]
fn a_wide_table_has_every_number() {
    let look = Look {
        wide: true,
        ..look()
    };
    insta::assert_snapshot!(table(&workspace().report(), &look), @r#"
    The daemon runs, pid 4711, version 0.1.0, heartbeat 120ms ago.

    CAMPAIGN                                              SPEC     STATE          PROGRESS                   WAITS FOR      UNTIL                                   RUN  GEN  FOUND  EXCLUDED  PENDING  SENT  FAILED  SKIPPED  UNCERTAIN  REPLIED  OPTED OUT  DONE BY                            FILE
    a-rather-long-name-of-a-campaign-that-goes-on-and-on  current  OutsideWindow  0 of 40 (0 %)              OutsideWindow  in 5 hours (18:00:00 CET)                 1    1     40         0       40     0       0        0          0        0          0  in 2 days (Thu 3 Dec 18:02 CET)    campaigns/a-rather-long-name-of-a-campaign-that-goes-on-and-on.yaml
    broken                                                invalid  SpecInvalid    -                                                                                   0  0/1      0         0        0     0       0        0          0        0          0                                     campaigns/broken.yaml
    done                                                  current  Succeeded      3 of 3 (100 %)                                                                      1    1      3         0        0     3       0        0          0        3          0                                     campaigns/done.yaml
    later                                                 current  Paused         -                                                                                   0    1      0         0        0     0       0        0          0        0          0                                     campaigns/later.yaml
    spring                                                current  Sending        24 of 446 (5 %), 1 failed  Delay          done in 11 days (Sat 12 Dec 00:01 UTC)    1    1    446         0      421    20       1        2          1        4          0  in 11 days (Sat 12 Dec 00:01 UTC)  campaigns/spring.yaml

    Needs you:
      broken  SpecInvalid: campaigns/broken.yaml:12:1: unknown key "tempaltes" at the top of the file; did you mean `templates`?

    ACCOUNT  STATE  TODAY     UNTIL  MESSAGE
    sales-1  ready  25 of 60
    "#);
}

#[test]
fn a_narrow_terminal_breaks_words_but_never_a_name() {
    let look = Look {
        width: Some(100),
        ..look()
    };
    let text = table(&workspace().report(), &look);
    assert!(
        text.contains("a-rather-long-name-of-a-campaign-that-goes-on-and-on"),
        "{text}"
    );
    let table_part = text.split("Needs you").next().unwrap();
    for line in table_part.lines().skip(2) {
        assert!(line.width() <= 100, "{line}");
    }
}

#[test]
fn where_a_long_name_leaves_no_room_it_stands_above_its_row_and_the_columns_still_line_up() {
    let look = Look {
        width: Some(80),
        ..look()
    };
    let text = table(&workspace().report(), &look);
    let campaigns = text.split("Needs you").next().unwrap();
    insta::assert_snapshot!(campaigns, @r"
    The daemon runs, pid 4711, version 0.1.0, heartbeat 120ms ago.

    CAMPAIGN  STATE          PROGRESS                   WAITS FOR  UNTIL
    a-rather-long-name-of-a-campaign-that-goes-on-and-on
              OutsideWindow  0 of 40 (0 %)                         in 5 hours
    broken    SpecInvalid    -
    done      Succeeded      3 of 3 (100 %)
    later     Paused         -
    spring    Sending        24 of 446 (5 %), 1 failed  Delay      done in 11 days
    ");
}

#[test]
fn one_campaign_tells_its_whole_story() {
    let mut world = workspace();
    let wait = Event::FloodWait {
        account: "sales-1".into(),
        class: CallClass::Send,
        until: NOON + 90 * MINUTE,
        seconds: 5400,
    };
    world.record(MINUTE, wait);
    let report = world.report().only(&["spring".to_owned()]).unwrap();
    let failed = Recorded {
        at: NOON - 2 * MINUTE,
        event: Event::Refused {
            key: World::key("spring", 23),
            outcome: Outcome::TemplateError,
            detail: "contact.first_name is \u{1b}[31mundefined".to_owned(),
        },
    };
    let events = [event_line(77, &failed, &world.observed)];
    insta::assert_snapshot!(detail(&report, &events, &look()), @r#"
    The daemon runs, pid 4711, version 0.1.0, heartbeat 120ms ago.

    spring  Весенний релиз 春のリリース 👩‍🚀
      mailing, campaigns/spring.yaml (current), generation 1, digest 99d474985b17, run 1

    CONDITION  STATUS  REASON      FOR     MESSAGE
    Ready      True    FloodWait   2m 00s  421 of 421 wait: Telegram told the account to wait.
    SpecValid  True    Valid       1h 00m
    Paused     False   NotPaused   1h 00m
    Throttled  True    FloodWait   0s      421 of 421 pending people wait until 13:30:00 UTC: Telegram told the account to wait.
    Stalled    False   NotStalled  1h 00m
    Succeeded  False   InProgress  1h 00m  421 pending, 1 on their way.

    Audience
        446 ████████████████ found
      = 446 ████████████████ in the audience
        421 ███████████████  pending
          1 ▏                on their way, or in doubt
         20 ▋                sent: 4 wrote back (20.0 %), 0 opted out
          1 ▏                failed: 1 template_error
          2 ▏                skipped: 2 privacy_restricted
          1 ▏                uncertain

    VARIANT  SENT  REPLIED  RATE    95 % SURE OF
    short      14        3  21.4 %  7.6 to 47.6 %
    long        6        1  16.7 %  3.0 to 56.4 %
    The intervals meet: which one is answered more often cannot be said yet.

    WAITING    PEOPLE  UNTIL                      WHY
    FloodWait     421  in 2 hours (13:30:00 UTC)  Telegram told the account to wait.
    Next action in 2 hours (13:30:00 UTC).
    At this pace all is done in 11 days (Sat 12 Dec 00:01 UTC).

    SOURCE                   FOUND  READ            RESULT
    members of @rust_meetup    446  30 minutes ago  complete

    ACCOUNT  STATE       TODAY     UNTIL                      MESSAGE
    sales-1  flood_wait  25 of 60  in 2 hours (13:30:00 UTC)  Telegram asked for a wait of 1h 30m: no messages until then.

    Recent events, newest first
      ! 2 minutes ago  template_error: contact.first_name is undefined (id:23)
    "#);
}

#[test]
fn columns_line_up_under_every_script() {
    // Names of campaigns are Latin; accounts come from files, which may be anything.
    let account = |name: &str| AccountStatus {
        name: name.to_owned(),
        state: crate::model::AccountState::Ready,
        until: None,
        sent_today: 3,
        allowance_today: 40,
        message: String::new(),
        labels: BTreeMap::new(),
        lookups_today: 0,
        lookup_allowance_today: 200,
        sent_per_hour: Vec::new(),
        timezone: None,
    };
    let names = ["sales-1", "продажи", "販売部", "👩‍🚀-team", "e\u{301}cole"];
    let text = accounts_table(&names.map(account), &look());
    let column = |line: &str| line.find("ready").map(|at| line[..at].width());
    let columns: Vec<_> = text.lines().skip(1).map(column).collect();
    assert_eq!(columns.len(), names.len());
    assert!(
        columns.iter().all(|c| c.is_some() && *c == columns[0]),
        "{columns:?}\n{text}"
    );
}

#[test]
fn nothing_in_a_report_steers_the_terminal() {
    let mut report = workspace().report();
    let evil = "x\u{1b}]0;pwned\u{7}\u{1b}[2J\r\n\u{202e}y";
    for campaign in &mut report.campaigns {
        campaign.title = Some(evil.to_owned());
        campaign.file = evil.to_owned();
        campaign.warnings = vec![evil.to_owned()];
        campaign.accounts = vec![evil.to_owned()];
        for condition in &mut campaign.conditions {
            condition.message = evil.to_owned();
        }
        for source in &mut campaign.audience.sources {
            source.label = evil.to_owned();
            source.error = Some(evil.to_owned());
        }
        for template in &mut campaign.templates {
            template.name = evil.to_owned();
        }
    }
    for account in &mut report.accounts {
        account.message = evil.to_owned();
    }
    let wide = Look {
        wide: true,
        ..look()
    };
    for text in [
        table(&report, &look()),
        table(&report, &wide),
        detail(&report, &[], &look()),
    ] {
        let bad = text
            .chars()
            .find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
        assert_eq!(bad, None, "{text:?}");
        assert!(!text.contains("pwned"), "{text}");
    }
}

#[test]
fn colours_come_only_where_they_are_asked_for() {
    let report = workspace().report();
    assert!(!table(&report, &look()).contains('\u{1b}'));
    let colourful = Look {
        colour: true,
        ..look()
    };
    assert!(table(&report, &colourful).contains("\u{1b}["));
}

#[test]
fn an_empty_workspace_says_how_to_begin() {
    insta::assert_snapshot!(table(&World::new(&[]).report(), &look()), @r#"
    The daemon runs, pid 4711, version 0.1.0, heartbeat 120ms ago.

    No campaigns. `tidings init` makes an example.

    ACCOUNT  STATE  TODAY    UNTIL  MESSAGE
    sales-1  ready  0 of 60
    "#);
}

#[test]
fn what_needs_a_person_is_wrapped_under_itself_and_names_each_account_once() {
    let mut world = workspace();
    world.runtime.links.insert("sales-1".into(), Link::Missing);
    let look = Look {
        width: Some(100),
        ..look()
    };
    let text = table(&world.report(), &look);
    let needs = text.split("Needs you:\n").nth(1).unwrap();
    let needs = needs.split("\n\n").next().unwrap();
    for line in needs.lines() {
        assert!(line.width() <= 100, "{line}");
    }
    // Each line goes on under the reason, not under the name.
    assert!(
        needs.lines().any(|line| line.starts_with(&" ".repeat(30))),
        "{needs}"
    );
    assert!(
        needs.contains("NoAccount: its account sales-1 needs"),
        "{needs}"
    );
    assert_eq!(
        needs
            .matches("`tidings account login sales-1 --phone")
            .count(),
        1,
        "{needs}"
    );
}

fn as_wide_as(width: usize) -> Look {
    Look {
        width: Some(width),
        ..look()
    }
}

#[test]
fn a_narrow_terminal_says_until_when_in_fewer_words() {
    let report = workspace().report();
    let until = |width: usize| {
        let only = report.clone().only(&["spring".to_owned()]).unwrap();
        table(&only, &as_wide_as(width))
    };
    assert!(until(120).contains("done in 11 days (Sat 12 Dec 00:01 UTC)"));
    let narrow = until(80);
    assert!(narrow.contains("done in 11 days\n"), "{narrow}");
    assert!(!narrow.contains("12 Dec"), "{narrow}");
    // How the file stands is said by the state.
    assert!(!narrow.contains("SPEC"), "{narrow}");
}

#[test]
fn a_phone_gets_rows_of_words_and_no_line_is_wider_than_it() {
    let report = workspace().report();
    // A name is never broken.
    let named = |line: &str| line.trim() == "a-rather-long-name-of-a-campaign-that-goes-on-and-on";
    for width in [40, 60, 71] {
        let text = table(&report, &as_wide_as(width));
        assert!(!text.contains("PROGRESS"), "{text}");
        for line in text.lines() {
            assert!(
                named(line) || line.width() <= width,
                "{width}: {line}\n{text}"
            );
        }
    }
    let text = table(
        &report.clone().only(&["spring".to_owned()]).unwrap(),
        &as_wide_as(40),
    );
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.contains("done in 11 days (Sat 12 Dec 00:01 UTC)"),
        "{text}"
    );
    let story = detail(&report, &[], &as_wide_as(40));
    assert!(story.contains("Ready  "), "{story}");
    for line in story.lines() {
        assert!(named(line) || line.width() <= 40, "{line}\n{story}");
    }
}

#[test]
fn events_line_up_under_every_script() {
    let world = workspace();
    let line = |campaign: Option<&str>, account: Option<&str>| EventLine {
        campaign: campaign.map(str::to_owned),
        account: account.map(str::to_owned),
        ..event_line(
            1,
            &Recorded {
                at: NOON,
                event: Event::Started {
                    version: "0.1.0".to_owned(),
                },
            },
            &world.observed,
        )
    };
    let text = events_text(
        &[
            line(Some("spring"), None),
            line(Some("春のニュース"), Some("sales-1")),
            line(None, Some("продажи")),
        ],
        None,
    );
    let at: Vec<usize> = text
        .lines()
        .map(|line| line.split_once("Tidings 0.1.0").unwrap().0.width())
        .collect();
    assert!(at.iter().all(|column| *column == at[0]), "{text}");
}

#[test]
fn conversations_that_wait_for_a_person_are_counted_with_the_command_and_wake_nobody_by_an_exit_code()
 {
    let mut world = workspace();
    assert_eq!(world.report().conversations, TalkCounts::default());
    let line: Lineage = world.observed.campaigns.keys().next_back().unwrap().clone();
    let drafted = |person: i64| {
        let (account, person): (AccountName, _) = ("sales-1".into(), PersonId(person));
        [
            Event::Written {
                account: account.clone(),
                person,
                message_id: 9,
                role: Some(line.clone()),
            },
            Event::Drafted {
                account,
                person,
                message_id: 9,
                hold: Some(crate::model::DraftHold::Mode),
            },
        ]
    };
    let [written, draft] = drafted(1);
    for event in [written, draft].into_iter().chain(drafted(2)) {
        world.record(MINUTE, event);
    }
    world.record(
        MINUTE,
        Event::NeedsHuman {
            account: "sales-1".into(),
            person: PersonId(3),
            message_id: 9,
            why: crate::model::NeedsWhy::Handoff,
            detail: String::new(),
        },
    );
    let before = needs_person_list(&workspace().report());
    let report = world.report();
    assert_eq!(
        report.conversations,
        TalkCounts {
            drafts: 2,
            needs_human: 1
        }
    );
    // All of them belong to some campaign: the role's, or the one that last wrote to him.
    let of_campaigns: u64 = report
        .campaigns
        .iter()
        .map(|c| c.conversations.drafts + c.conversations.needs_human)
        .sum();
    assert_eq!(of_campaigns, 3);
    assert_eq!(needs_person_list(&report), before);
    let text = table(&report, &look());
    for words in [
        "2 drafted answers wait for approval: `tidings replies list --state draft`",
        "1 person needs a human: `tidings replies list --state needs_human`",
    ] {
        assert!(text.contains(words), "{text}");
    }
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(
        json["conversations"],
        serde_json::json!({"drafts": 2, "needs_human": 1})
    );
}

#[test]
fn without_a_daemon_no_end_is_promised() {
    let world = workspace();
    let report = world.planned(|inputs, plan| report(inputs, plan, DaemonInfo::default()));
    let text = table(&report, &look());
    assert!(!text.contains("done in"), "{text}");
    let story = detail(&report, &[], &look());
    assert!(!story.contains("\nAt this pace"), "{story}");
}

#[test]
fn what_a_restore_holds_is_said_with_its_reason() {
    let mut world = workspace();
    world.record(
        MINUTE,
        Event::Restored {
            since: NOON,
            taken_at: NOON,
            accounts: vec!["sales-1".into()],
            by: "anna".to_owned(),
        },
    );
    let text = table(&world.report(), &look());
    let (_, held) = text.split_once("\nHeld:\n").unwrap();
    assert!(held.contains("spring"), "{text}");
    assert!(held.contains("A backup was restored"), "{text}");
}

//! When, how many and with whose word: caps, windows, delays, approvals, guardrails.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{
    LIMITS, assert_nobody_twice, condition, crowd, crowd_of, mailing, message, seconds_to_wait,
    waits, world,
};
use tidings::control::ExitKind;
use tidings::model::Timestamp;

// ---------------------------------------------------------------------------------------------------------------------
// When and how many

#[tokio::test(flavor = "multi_thread")]
async fn every_cap_holds_and_says_until_when() {
    const DAY: std::ops::RangeInclusive<i64> = -5..=86_400;
    // The waits of caps by the day end at midnight UTC; of an hour, within 61 minutes; of a run, nobody knows.
    for (what, engine, spec, reason, until) in [
        (
            "per_hour",
            "",
            "delays: {between_messages: 0s, per_account: {per_hour: 3, per_day: 100}}",
            "AccountCap",
            Some(3500..=3665),
        ),
        (
            "per_day",
            "",
            "delays: {between_messages: 0s, per_account: {per_day: 3}}",
            "AccountCap",
            Some(DAY),
        ),
        (
            "per_run",
            "",
            "delays: {between_messages: 0s, per_account: {per_run: 3, per_day: 100}}",
            "AccountCap",
            None,
        ),
        (
            "per_campaign",
            "",
            "delays: {between_messages: 0s, per_account: {per_day: 100}, per_campaign: {per_day: 3}}",
            "CampaignCap",
            Some(DAY),
        ),
        (
            "accounts.X.per_day",
            "accounts: {sales-1: {per_day: 3}}",
            "delays: {between_messages: 0s, per_account: {per_day: 100}}",
            "AccountCap",
            Some(DAY),
        ),
        (
            "attested_per_day",
            "opt_out: {notice: 'Reply stop to hear no more.'}",
            "delays: {between_messages: 0s, per_account: {per_day: 100}}\nconsent: {basis: attested}",
            "AccountCap",
            Some(DAY),
        ),
    ] {
        let world = world(&crowd(7)).await;
        world.write(
            "tidings.yaml",
            format!("{LIMITS}  attested_per_day: 3\n  approve_over: null\n{engine}\n"),
        );
        world.write(
            "campaigns/capped.yaml",
            mailing("capped", "sales-1", &format!("{spec}\n")),
        );
        // The only run is over, and four people are left: somebody must decide.
        let ended = match what {
            "per_run" => ExitKind::NeedsPerson,
            _ => ExitKind::Done,
        };
        assert_eq!(world.once().await.unwrap(), ended, "{what}");
        let campaign = world.campaign("capped").await;
        assert_eq!(world.who().len(), 3, "{what}: {campaign:#}");
        assert_eq!(
            waits(&campaign),
            format!("{reason} 4"),
            "{what}: {campaign:#}"
        );
        assert_eq!(
            condition(&campaign, "Throttled"),
            format!("True {reason}"),
            "{what}"
        );
        match until {
            Some(range) => assert!(
                range.contains(&seconds_to_wait(&campaign)),
                "{what}: {campaign:#}"
            ),
            None => assert!(
                campaign["waiting"][0]["until"].is_null(),
                "{what}: {campaign:#}"
            ),
        }
        assert_eq!(world.account("sales-1").await["sent_today"], 3, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaigns_cap_holds_for_all_its_accounts_together() {
    let world = world(&crowd_of(&["sales-1", "sales-2", "sales-3"], 20)).await;
    world.write(
        "campaigns/capped.yaml",
        mailing(
            "capped",
            "sales-1, sales-2, sales-3",
            "delays: {between_messages: 0s, per_account: {per_day: 100}, per_campaign: {per_day: 7}}\n",
        ),
    );
    world.once().await.unwrap();
    let campaign = world.campaign("capped").await;
    assert_eq!(world.who().len(), 7, "{campaign:#}");
    assert_eq!(waits(&campaign), "CampaignCap 13");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accounts_cap_holds_for_all_its_campaigns_together() {
    let world = world(&crowd(20)).await;
    world.write(
        "tidings.yaml",
        format!("{LIMITS}accounts: {{sales-1: {{per_day: 7}}}}\n"),
    );
    for name in ["one", "two", "three"] {
        world.write(
            &format!("campaigns/{name}.yaml"),
            mailing(
                name,
                "sales-1",
                "delays: {between_messages: 40ms, per_account: {per_day: 100}}\n",
            ),
        );
    }
    world.once().await.unwrap();
    assert_eq!(world.delivered().len(), 7);
    let mut each = Vec::new();
    for name in ["one", "two", "three"] {
        each.push(
            world.campaign(name).await["progress"]["sent"]
                .as_u64()
                .unwrap(),
        );
    }
    each.sort_unstable();
    assert_eq!(each, [2, 2, 3], "campaigns take their turns");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_leaves_outside_the_schedule() {
    use chrono::Datelike;
    let now = chrono::Utc::now();
    // Never within the coming hours, whatever the moment of the test.
    let day = (now + chrono::Duration::days(3))
        .weekday()
        .to_string()
        .to_lowercase();
    let window = format!("schedule: {{timezone: UTC, windows: ['{day} 10:00-11:00']}}\n");
    for (what, rest, ended, ready, waiting) in [
        (
            "closed",
            window.as_str(),
            ExitKind::Done,
            "True OutsideWindow",
            "OutsideWindow 3",
        ),
        (
            "future",
            "schedule: {timezone: UTC, start: 2099-01-02T09:00}\n",
            ExitKind::Done,
            "True NotStarted",
            "",
        ),
        (
            "over",
            "schedule: {timezone: UTC, end: 2020-01-02T09:00}\n",
            ExitKind::Done,
            "True Ended",
            "",
        ),
    ] {
        let world = world(&crowd(3)).await;
        world.write("campaigns/timed.yaml", mailing("timed", "sales-1", rest));
        assert_eq!(world.once().await.unwrap(), ended, "{what}");
        let campaign = world.campaign("timed").await;
        assert_eq!(world.who(), Vec::<i64>::new(), "{what}");
        assert_eq!(condition(&campaign, "Ready"), ready, "{what}: {campaign:#}");
        assert_eq!(waits(&campaign), waiting, "{what}: {campaign:#}");
        if what == "closed" {
            let seconds = seconds_to_wait(&campaign);
            assert!((86_400..=5 * 86_400).contains(&seconds), "{seconds}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delay_stands_between_two_messages_of_an_account() {
    let world = world(&crowd(4)).await;
    world.write(
        "campaigns/slow.yaml",
        mailing(
            "slow",
            "sales-1",
            "delays: {between_messages: 200ms..300ms, per_account: {per_day: 10}}\n",
        ),
    );
    world.once().await.unwrap();
    let at: Vec<i64> = world.delivered().iter().map(|e| e.at).collect();
    assert_eq!(at.len(), 4);
    for pair in at.windows(2) {
        assert!(pair[1] - pair[0] >= 195, "{at:?}");
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Approvals

#[tokio::test(flavor = "multi_thread")]
async fn a_large_run_waits_for_an_approval_of_exactly_what_was_shown() {
    let world = world(&crowd(10)).await;
    world.write("tidings.yaml", format!("{LIMITS}  approve_over: 5\n"));
    world.write("campaigns/large.yaml", mailing("large", "sales-1", ""));
    assert_eq!(world.once().await.unwrap(), ExitKind::NeedsPerson);
    let campaign = world.campaign("large").await;
    assert_eq!(
        condition(&campaign, "Ready"),
        "False AwaitingApproval",
        "{campaign:#}"
    );
    assert_eq!(waits(&campaign), "AwaitingApproval 10");
    assert_eq!(world.who(), Vec::<i64>::new());

    // Another text is another campaign to approve.
    assert!(matches!(
        world.approve("large").await,
        tidings::model::Reply::Done { .. }
    ));
    world.write(
        "campaigns/large.yaml",
        mailing(
            "large",
            "sales-1",
            "templates: [{name: short, text: 'Something else'}]\n",
        ),
    );
    assert_eq!(world.once().await.unwrap(), ExitKind::NeedsPerson);
    assert_eq!(world.who(), Vec::<i64>::new());

    // A digest that is no longer the file's is refused.
    let stale = tidings::model::Command::Approve {
        name: Some("large".into()),
        digest: "0".repeat(64),
        people: 10,
        new_state: false,
        by: "a test".into(),
    };
    assert!(matches!(
        world.ask(stale).await,
        tidings::model::Reply::Refused { .. }
    ));

    // Delays are not what an approval binds to.
    assert!(matches!(
        world.approve("large").await,
        tidings::model::Reply::Done { .. }
    ));
    world.write(
        "campaigns/large.yaml",
        mailing("large", "sales-1", "templates: [{name: short, text: 'Something else'}]\ndelays: {between_messages: 1ms, per_account: {per_day: 100}}\n"),
    );
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    assert_eq!(world.who().len(), 10);
    assert_nobody_twice(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_approves_approves_the_text_the_sources_the_filters_and_the_accounts() {
    let world = world(&crowd_of(&["sales-1", "sales-2"], 10)).await;
    world.write("tidings.yaml", format!("{LIMITS}  approve_over: 5\n"));
    world.write("campaigns/texts/hi.txt", "Hi {{ contact.first_name }}!");
    let file = "templates: [{name: short, file: texts/hi.txt}]\n";
    let edits: [(&str, String); 6] = [
        ("nothing yet", mailing("large", "sales-1", file)),
        (
            "another account",
            mailing("large", "sales-1, sales-2", file),
        ),
        (
            "one more source",
            mailing(
                "large",
                "sales-1, sales-2",
                &format!(
                    "{file}sources: [{{type: members, peer: '@meetup'}}, {{type: list, peers: ['@person101'], basis: customers}}]\n"
                ),
            ),
        ),
        (
            "another filter",
            mailing(
                "large",
                "sales-1",
                &format!("{file}filters: {{bots: keep}}\n"),
            ),
        ),
        (
            "a follow-up",
            mailing(
                "large",
                "sales-1",
                &format!(
                    "{file}follow_ups: [{{after: 3d, templates: [{{name: n, text: Well?}}]}}]\n"
                ),
            ),
        ),
        ("the first one again", mailing("large", "sales-1", file)),
    ];
    for (what, spec) in edits {
        world.write("campaigns/large.yaml", spec);
        assert_eq!(world.once().await.unwrap(), ExitKind::NeedsPerson, "{what}");
        assert_eq!(world.who(), Vec::<i64>::new(), "{what}");
        world.approve("large").await;
    }
    // The text stands in a file of its own: that is approved, not its name.
    world.write("campaigns/texts/hi.txt", "Something else");
    assert_eq!(world.once().await.unwrap(), ExitKind::NeedsPerson);
    assert_eq!(world.who(), Vec::<i64>::new());
    world.approve("large").await;
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    assert_eq!(world.who().len(), 10);
    assert_eq!(world.texts_to(101), ["Something else"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn over_a_tenth_more_people_than_approved_ask_anew() {
    for (approved, ended) in [(10, ExitKind::Done), (9, ExitKind::NeedsPerson)] {
        let world = world(&crowd(11)).await;
        world.write("tidings.yaml", format!("{LIMITS}  approve_over: 5\n"));
        world.write("campaigns/large.yaml", mailing("large", "sales-1", ""));
        world.once().await.unwrap();
        let tidings::model::Reply::Document { body } = world
            .ask(tidings::model::Command::ApprovalAsked {
                name: "large".into(),
            })
            .await
        else {
            panic!("nothing to approve")
        };
        assert_eq!(body["people"], 11);
        // As if it had been shown when there were fewer.
        world
            .ask(tidings::model::Command::Approve {
                name: Some("large".into()),
                digest: body["digest"].as_str().unwrap().into(),
                people: approved,
                new_state: false,
                by: "a test".into(),
            })
            .await;
        assert_eq!(
            world.once().await.unwrap(),
            ended,
            "{approved} approved, 11 found"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_goes_ahead_and_the_rest_waits_for_a_word() {
    let world = world(&crowd(8)).await;
    world.write(
        "campaigns/careful.yaml",
        mailing("careful", "sales-1", "canary: 3\n"),
    );
    assert_eq!(world.once().await.unwrap(), ExitKind::NeedsPerson);
    let campaign = world.campaign("careful").await;
    assert_eq!(world.who().len(), 3);
    assert_eq!(
        condition(&campaign, "Ready"),
        "False Canary",
        "{campaign:#}"
    );
    assert_eq!(waits(&campaign), "Canary 5");
    world.approve("careful").await;
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    assert_eq!(world.who().len(), 8);
    assert_nobody_twice(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guardrail_stops_a_burst_before_it_is_out() {
    let mut people = String::from("accounts: [{name: sales-1}]\npeople:\n");
    for id in 101..131 {
        people.push_str(&format!(
            "  - {{id: {id}, first_name: P, blocks: [sales-1]}}\n"
        ));
    }
    people
        .push_str("groups: [{title: Meetup, username: meetup, creator: sales-1, members: all}]\n");
    let world = world(&people).await;
    world.write(
        "campaigns/rude.yaml",
        mailing(
            "rude",
            "sales-1",
            "guardrails: {after: 4, max_block_rate: 20%}\n",
        ),
    );
    assert_eq!(world.once().await.unwrap(), ExitKind::NeedsPerson);
    let campaign = world.campaign("rude").await;
    assert_eq!(
        condition(&campaign, "Paused"),
        "True GuardrailTripped",
        "{campaign:#}"
    );
    assert_eq!(condition(&campaign, "Ready"), "False PausedItself");
    assert_eq!(world.calls("messages.sendMessage").len(), 4, "{campaign:#}");
    assert_eq!(waits(&campaign), "Paused 26");
    assert!(
        message(&campaign, "Paused").contains("max_block_rate"),
        "{campaign:#}"
    );
    // The operator's word lets it go on, and it counts anew.
    world
        .ask(tidings::model::Command::Resume {
            name: Some("rude".into()),
            reason: "we asked them".into(),
            by: "a test".into(),
        })
        .await;
    world.once().await.unwrap();
    assert_eq!(world.calls("messages.sendMessage").len(), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_gets_no_more_messages_a_month_than_all_campaigns_together_may_send() {
    let world = world(
        "
accounts: [{name: sales-1}]
people: [{username: anna, first_name: Anna}, {username: boris, first_name: Boris}]
",
    )
    .await;
    world.write(
        "tidings.yaml",
        common::FAST.replace("limits: {", "limits: {per_person: {per_month: 1}, "),
    );
    for name in ["one", "two"] {
        world.write(
            &format!("campaigns/{name}.yaml"),
            format!(
                "version: 1\nname: {name}\nkind: mailing\nconsent: {{basis: customers}}\naccounts: [sales-1]\n\
                 sources: [{{type: list, peers: ['@anna', '@boris']}}]\n\
                 templates: [{{name: a, text: Hi}}]\n\
                 delays: {{between_messages: 0s, per_account: {{per_day: 1000}}}}\n"
            ),
        );
    }
    world.once().await.unwrap();
    assert_eq!(world.recipients().len(), 2);
    common::assert_nobody_twice(&world);
    let (one, two) = (world.campaign("one").await, world.campaign("two").await);
    let waiting: Vec<_> = [&one, &two]
        .into_iter()
        .flat_map(|campaign| campaign["waiting"].as_array().unwrap().clone())
        .map(|wait| (wait["reason"].clone(), wait["count"].as_u64().unwrap()))
        .collect();
    assert!(
        waiting.iter().all(|(reason, _)| reason == "PersonGap"),
        "{waiting:?}"
    );
    assert_eq!(
        waiting.iter().map(|(_, count)| count).sum::<u64>(),
        2,
        "{waiting:?}"
    );
}

// ---------------------------------------------------------------------------------------------------------------------
// Runs of a schedule, started by somebody else's cron

#[tokio::test(flavor = "multi_thread")]
async fn the_first_run_once_of_all_performs_the_firing_of_its_minute_too() {
    let spec = |name: &str, cron: &str| {
        mailing(
            name,
            "sales-1",
            &format!("schedule: {{timezone: UTC, cron: '{cron}'}}\n"),
        )
    };
    // A Monday, 2030-01-07, ten o'clock and some seconds.
    let at = |seconds: i64| Timestamp::from_seconds(1_893_974_400 + 10 * 3600 + seconds);
    for (what, second, people) in [
        ("in the minute", 20, 3),
        ("at its end", 59, 3),
        ("some minutes late", 180, 0),
    ] {
        let world = world(&crowd(3)).await;
        world.write("campaigns/weekly.yaml", spec("weekly", "0 10 * * mon"));
        assert_eq!(
            world.once_at(at(second)).await.unwrap(),
            ExitKind::Done,
            "{what}"
        );
        assert_eq!(world.delivered().len(), people, "{what}");
        // Whatever was done is done: not by the same schedule in other words, nor by a look at the plan.
        world.write("campaigns/weekly.yaml", spec("weekly", "0 10 * * *"));
        assert_eq!(
            world.once_at(at(second + 10)).await.unwrap(),
            ExitKind::Done,
            "{what}"
        );
        assert_eq!(world.delivered().len(), people, "{what}: once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn run_once_performs_the_firing_of_its_minute_and_no_other() {
    let world = world(&crowd(3)).await;
    let spec = |each: &str| {
        mailing(
            "weekly",
            "sales-1",
            &format!("schedule: {{timezone: UTC, cron: '0 10 * * mon', each_run: {each}}}\n"),
        )
    };
    world.write("campaigns/weekly.yaml", spec("newcomers"));
    // A Monday, 2030-01-07; the week after it is `week(1)`.
    let at = |week: i64, hour: i64, minute: i64, second: i64| {
        Timestamp::from_seconds(1_893_974_400 + week * 604_800 + hour * 3600 + minute * 60 + second)
    };
    let mut sent = 0;
    for (what, moment, each, more) in [
        ("long before", at(0, 9, 30, 0), "newcomers", 0),
        (
            "a second before: it waits for it",
            at(0, 9, 59, 59),
            "newcomers",
            3,
        ),
        ("the same minute again", at(0, 10, 0, 30), "newcomers", 0),
        (
            "a week later, with nobody new",
            at(1, 10, 0, 20),
            "newcomers",
            0,
        ),
        ("missed by half an hour", at(2, 10, 30, 0), "everyone", 0),
        ("everyone, in the minute", at(3, 10, 0, 20), "everyone", 3),
        ("an hour later", at(3, 11, 0, 0), "everyone", 0),
        ("everyone, once more", at(4, 10, 0, 20), "everyone", 3),
    ] {
        world.write("campaigns/weekly.yaml", spec(each));
        assert_eq!(
            world.once_at(moment).await.unwrap(),
            ExitKind::Done,
            "{what}"
        );
        sent += more;
        assert_eq!(world.delivered().len(), sent, "{what}");
    }
    let each: Vec<usize> = (101..104).map(|id| world.texts_to(id).len()).collect();
    assert_eq!(each, [3, 3, 3]);
}

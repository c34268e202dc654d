//! Schedules and limits of a whole workspace as a user meets them: days on which clocks change, windows across
//! midnight, an end with people pending, a clock that is set back, owners' plans, labels, the environment's defaults.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod child;
mod common;

use child::{Place, ends_with, out, tidings};
use common::{FAST, condition, crowd, crowd_of, mailing, waits, world};
use tidings::control::ExitKind;
use tidings::model::Timestamp;

fn at(text: &str) -> Timestamp {
    let at = chrono::DateTime::parse_from_rfc3339(text).unwrap();
    Timestamp::from_seconds(at.timestamp())
}

fn scheduled(schedule: &str) -> String {
    mailing("timed", "sales-1", &format!("schedule: {{{schedule}}}\n"))
}

#[tokio::test(flavor = "multi_thread")]
async fn on_both_days_on_which_clocks_change_a_firing_sends_once() {
    for (zone, cron, moments) in [
        // 02:30 is skipped: at the end of the gap, and not at what would have been half past.
        (
            "Europe/Berlin",
            "30 2 * * *",
            [
                ("2030-03-31T03:00:20+02:00", 2),
                ("2030-03-31T03:30:20+02:00", 0),
            ],
        ),
        // 02:30 comes twice: the first time alone.
        (
            "Europe/Berlin",
            "30 2 * * *",
            [
                ("2030-10-27T02:30:20+02:00", 2),
                ("2030-10-27T02:30:20+01:00", 0),
            ],
        ),
        (
            "America/New_York",
            "30 2 * * *",
            [
                ("2030-03-10T03:00:20-04:00", 2),
                ("2030-03-10T03:30:20-04:00", 0),
            ],
        ),
        (
            "America/New_York",
            "30 1 * * *",
            [
                ("2030-11-03T01:30:20-04:00", 2),
                ("2030-11-03T01:30:20-05:00", 0),
            ],
        ),
        // A zone whose clocks stay.
        (
            "Asia/Kolkata",
            "30 2 * * *",
            [
                ("2030-03-31T02:30:20+05:30", 2),
                ("2030-03-31T03:00:20+05:30", 0),
            ],
        ),
    ] {
        let world = world(&crowd(2)).await;
        let text = scheduled(&format!(
            "timezone: {zone}, cron: '{cron}', each_run: everyone"
        ));
        world.write("campaigns/timed.yaml", text);
        let mut sent = 0;
        for (moment, more) in moments {
            assert_eq!(world.once_at(at(moment)).await.unwrap(), ExitKind::Done);
            sent += more;
            assert_eq!(world.delivered().len(), sent, "{zone} {cron} at {moment}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_or_forward_repeats_no_firing() {
    let world = world(&crowd(2)).await;
    world.write(
        "campaigns/timed.yaml",
        scheduled("timezone: UTC, cron: '0 10 * * *', each_run: everyone"),
    );
    for (what, moment, sent) in [
        ("the first", "2030-01-08T10:00:05Z", 2),
        ("set back by a day", "2030-01-07T10:00:05Z", 2),
        ("set back by a few seconds", "2030-01-08T10:00:01Z", 2),
        ("set forward by a week", "2030-01-15T10:00:05Z", 4),
        ("right again", "2030-01-09T10:00:05Z", 4),
    ] {
        assert_eq!(world.once_at(at(moment)).await.unwrap(), ExitKind::Done);
        assert_eq!(world.delivered().len(), sent, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_across_midnight_is_open_on_both_sides_of_it() {
    // A Friday evening and the night after it, in a zone that is not UTC.
    for (moment, sent) in [
        ("2030-01-11T21:30:00+03:00", 0),
        ("2030-01-11T22:30:00+03:00", 2),
        ("2030-01-12T01:30:00+03:00", 2),
        ("2030-01-12T02:30:00+03:00", 0),
        ("2030-01-12T22:30:00+03:00", 0),
    ] {
        let world = world(&crowd(2)).await;
        world.write(
            "campaigns/timed.yaml",
            scheduled("timezone: Europe/Moscow, windows: ['fri 22:00-02:00']"),
        );
        assert_eq!(world.once_at(at(moment)).await.unwrap(), ExitKind::Done);
        assert_eq!(world.delivered().len(), sent, "{moment}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_leaves_people_pending_and_nothing_leaves_after_it() {
    let world = world(&crowd(5)).await;
    let text = scheduled("timezone: Europe/Berlin, end: 2030-01-11T18:00").replace(
        "delays: {between_messages: 0s, per_account: {per_day: 10000}}",
        "delays: {between_messages: 0s, per_account: {per_day: 2}}",
    );
    world.write("campaigns/timed.yaml", text);
    for (what, moment, sent) in [
        ("a day before", "2030-01-10T12:00:00+01:00", 2),
        (
            "the same day in its zone, the next in another",
            "2030-01-10T23:30:00+01:00",
            2,
        ),
        ("the last day", "2030-01-11T17:59:00+01:00", 4),
        ("after the end", "2030-01-12T12:00:00+01:00", 4),
    ] {
        assert_eq!(world.once_at(at(moment)).await.unwrap(), ExitKind::Done);
        assert_eq!(world.delivered().len(), sent, "{what}");
    }
    common::assert_nobody_twice(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn plan_shows_the_next_five_firings_in_the_schedules_zone() {
    let world = world(&crowd(2)).await;
    world.write(
        "campaigns/timed.yaml",
        scheduled("timezone: Asia/Kolkata, cron: '30 9 * * mon,thu', start: 2030-01-02T00:00"),
    );
    let (code, text, _) = world.cli(&["plan", "timed", "-o", "json"]).await;
    assert_eq!(code, 0, "{text}");
    let plan: serde_json::Value = serde_json::from_str(&text).unwrap();
    let campaign = &plan["campaigns"][0];
    // Mondays and Thursdays from the third of January 2030 on; 09:30 there is 04:00 UTC.
    let expected: Vec<String> = ["03", "07", "10", "14", "17"]
        .map(|day| format!("2030-01-{day}T04:00:00.000Z"))
        .into();
    assert_eq!(campaign["next_runs"], serde_json::json!(expected));
    let (_, text, _) = world.cli(&["plan", "timed"]).await;
    assert!(
        text.contains("runs start") && text.contains("Thu 3 Jan 2030 09:30 IST"),
        "in the schedule's own time: {text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owners_plan_lets_one_campaign_run_and_rests_before_the_next() {
    let world = world(&crowd(5)).await;
    world.write(
        "tidings.yaml",
        format!(
            "{FAST}plans: {{trial: {{max_audience: 3, max_running: 1, cooldown: 1h}}}}\n\
             owners: {{growth: {{plan: trial, accounts: [sales-1]}}}}\n"
        ),
    );
    // Two a day: the first run stays open.
    let spec = |name: &str, per_day: u32| {
        mailing(
            name,
            "sales-1",
            &format!(
                "owner: growth\ndelays: {{between_messages: 0s, per_account: {{per_day: {per_day}}}}}\n"
            ),
        )
    };
    world.write("campaigns/one.yaml", spec("one", 2));
    world.write("campaigns/two.yaml", spec("two", 2));
    world.once().await.unwrap();
    let names = ["one", "two"];
    let mut seen = Vec::new();
    for name in names {
        let campaign = world.campaign(name).await;
        assert_eq!(campaign["audience"]["included"], 3, "{campaign:#}");
        assert_eq!(campaign["audience"]["excluded"]["over_limit"], 2);
        seen.push(waits(&campaign));
    }
    seen.sort();
    assert_eq!(seen, ["AccountCap 1", "OwnerPlan 3"]);
    assert_eq!(world.delivered().len(), 2);
    // The first is done: the next rests for an hour.
    for name in names {
        world.write(&format!("campaigns/{name}.yaml"), spec(name, 50));
    }
    world.once().await.unwrap();
    assert_eq!(world.delivered().len(), 3);
    let mut seen = Vec::new();
    for name in names {
        let campaign = world.campaign(name).await;
        seen.push((condition(&campaign, "Ready"), waits(&campaign)));
    }
    assert!(
        seen.iter().any(|(_, waits)| waits == "Cooldown 3"),
        "{seen:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gap_between_two_messages_to_one_person_holds_over_campaigns() {
    let world = world(&crowd(3)).await;
    world.write(
        "tidings.yaml",
        FAST.replace("limits: {", "limits: {per_person: {gap: 3d}, "),
    );
    let spec = |name: &str| mailing(name, "sales-1", "");
    world.write("campaigns/one.yaml", spec("one"));
    world.once().await.unwrap();
    world.write("campaigns/two.yaml", spec("two"));
    world.once().await.unwrap();
    assert_eq!(world.delivered().len(), 3);
    let two = world.campaign("two").await;
    assert_eq!(waits(&two), "PersonGap 3", "{two:#}");
    let seconds = common::seconds_to_wait(&two);
    assert!((250_000..=3 * 86_400).contains(&seconds), "{seconds}");
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_chosen_by_their_labels() {
    let world = world(&crowd_of(&["mia", "noa", "olga"], 6)).await;
    world.write(
        "tidings.yaml",
        format!(
            "{FAST}accounts: {{mia: {{labels: {{team: sales}}}}, noa: {{labels: {{team: support}}}}, \
             olga: {{labels: {{team: sales}}}}}}\n"
        ),
    );
    world.write(
        "campaigns/hello.yaml",
        mailing("hello", "mia", "").replace("accounts: [mia]", "accounts: {labels: {team: sales}}"),
    );
    world.once().await.unwrap();
    assert_eq!(world.by("mia").len() + world.by("olga").len(), 6);
    assert!(!world.by("mia").is_empty() && !world.by("olga").is_empty());
    assert_eq!(world.by("noa"), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_run_is_open_newcomers_are_looked_for() {
    let yaml = "
accounts: [{name: sales-1}]
people: [{id: 101}, {id: 102}, {id: 103}]
groups: [{title: Meetup, username: meetup, creator: sales-1, members: [101, 102]}]
";
    let world = world(yaml).await;
    world.write("campaigns/timed.yaml", scheduled("refresh: 1s"));
    let daemon = world.daemon();
    world
        .until("both", |world| world.delivered().len() == 2)
        .await;
    world.sandbox.world(|w| {
        let mut newcomer = w.groups[0].members[1];
        newcomer.user = (0..w.users.len()).find(|i| w.users[*i].id == 103).unwrap();
        w.groups[0].members.push(newcomer);
    });
    world
        .until("the newcomer", |world| world.delivered().len() == 3)
        .await;
    assert_eq!(world.who(), [101, 102, 103]);
    daemon.stop().await.unwrap();
    common::assert_nobody_twice(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_fails_keeps_its_last_result_and_says_so() {
    let world = world(&crowd(5)).await;
    let spec = |per_day: u32| {
        mailing(
            "hello",
            "sales-1",
            &format!(
                "consent: {{basis: customers}}\nsources:\n  - {{type: members, peer: '@meetup', basis: members}}\n  \
                 - {{type: list, peers: ['@person101']}}\n\
                 delays: {{between_messages: 0s, per_account: {{per_day: {per_day}}}}}\n"
            ),
        )
    };
    world.write("campaigns/hello.yaml", spec(2));
    world.once().await.unwrap();
    assert_eq!(world.delivered().len(), 2);
    world.sandbox.fault(
        tidings::sandbox::FaultRule::error("CHANNEL_PRIVATE").method("channels.getParticipants"),
    );
    world
        .ask(tidings::model::Command::Reconcile {
            name: "hello".into(),
        })
        .await;
    world.once().await.unwrap();
    let hello = world.campaign("hello").await;
    let source = &hello["audience"]["sources"][0];
    assert_eq!(source["found"], 6, "its last result: {hello:#}");
    assert!(
        source["error"]
            .as_str()
            .unwrap()
            .contains("CHANNEL_PRIVATE"),
        "{hello:#}"
    );
    assert_eq!(hello["progress"]["pending"], 3, "nobody is dropped");
    let (_, text, _) = world.cli(&["plan", "hello"]).await;
    assert!(text.contains("CHANNEL_PRIVATE"), "{text}");
    // The other source could be read: the campaign goes on with both.
    world.write("campaigns/hello.yaml", spec(50));
    world.once().await.unwrap();
    assert_eq!(world.delivered().len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_sets_the_defaults_that_no_file_does() {
    let place = Place::new(&crowd(5), FAST).await;
    let silent = mailing("spring", "sales-1", "").replace(
        "delays: {between_messages: 0s, per_account: {per_day: 10000}}\n",
        "",
    );
    place.write("campaigns/spring.yaml", silent);
    let once = |vars: &[(&str, &str)]| {
        let mut command = tidings();
        command.arg("-C").arg(&place.root);
        command.args(["run", "--once", "--horizon", "1s"]);
        command.envs(vars.iter().copied()).output().unwrap()
    };
    let vars = [
        ("MAILING_DELAY_MIN", "0"),
        ("MAILING_DELAY_MAX", "0"),
        ("MAILING_MAX_PER_ACCOUNT", "2"),
    ];
    // The only run is spent with people left, which is for a person to see to.
    ends_with(&once(&vars), 4);
    assert_eq!(place.delivered().len(), 2, "two a run");
    ends_with(&once(&vars), 4);
    assert_eq!(place.delivered().len(), 2, "the cap of the run is counted");
    // `.env` is the environment too, and what the spec says goes before it.
    place.write(
        ".env",
        "MAILING_DELAY_MIN=0\nMAILING_DELAY_MAX=0\nMAILING_MAX_PER_ACCOUNT=3\n",
    );
    ends_with(&once(&[]), 4);
    assert_eq!(place.delivered().len(), 3);
    let spec = mailing("spring", "sales-1", "")
        .replace("per_account: {per_day: 10000}", "per_account: {per_run: 4}");
    place.write("campaigns/spring.yaml", spec);
    ends_with(&once(&[]), 4);
    assert_eq!(place.delivered().len(), 4);
    let bad = place.run(&["validate"]);
    assert!(!out(&bad).contains("MAILING"), "{}", out(&bad));
    place.write(".env", "MAILING_DELAY_MIN=soon\n");
    let warned = place.run(&["validate"]);
    assert!(
        out(&warned).contains("MAILING_DELAY_MIN"),
        "{}",
        out(&warned)
    );
}

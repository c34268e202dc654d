//! `plan --refresh` without a daemon: the sources are asked, what they name is kept, and nothing else has happened.

use std::time::Duration;

use serde_json::Value;
use tidings::sandbox::{Effect, FaultRule};

use super::child::{Place, Running, Tally, ends_with, err, out, tidings};
use super::common::{FAST, crowd};
use super::{SOON, hello};

/// `plan -o json`, and its campaigns by name.
fn plan(place: &Place, args: &[&str]) -> impl Fn(&str) -> Value + use<> {
    let output = place.run(&[&["plan", "-o", "json"], args].concat());
    ends_with(&output, 0);
    let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
    move |name| {
        let campaigns = plan["campaigns"].as_array().unwrap();
        let found = campaigns.iter().find(|campaign| campaign["name"] == name);
        found.cloned().unwrap_or_default()
    }
}

fn once(place: &Place) {
    ends_with(&place.run(&["run", "--once", "--horizon", "2s"]), 0);
}

/// What is in the journal, by kind.
fn events(place: &Place) -> Vec<String> {
    let output = place.run(&["events", "-o", "json", "--limit", "1000"]);
    ends_with(&output, 0);
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    let kinds = list["events"].as_array().unwrap().iter();
    kinds
        .map(|event| event["type"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_finds_people_and_takes_no_campaign_up() {
    let place = Place::new(&crowd(6), FAST).await;
    place.write("campaigns/spring.yaml", hello("spring", "sales-1", ""));
    let before = plan(&place, &[])("spring");
    assert_eq!(before["change"], "create");
    assert_eq!(before["recipients"]["added"], 0, "{before:#}");
    assert!(!place.root.join("state").exists());

    for args in [&["--refresh"][..], &[], &["--refresh"], &["spring"]] {
        let seen = plan(&place, args)("spring");
        assert_eq!(seen["change"], "create", "{args:?}: {seen:#}");
        assert_eq!(seen["recipients"]["added"], 6, "{args:?}: {seen:#}");
        assert_eq!(seen["recipients"]["pending"], 0, "{args:?}: {seen:#}");
        assert_eq!(seen["messages"]["total"], 6, "{args:?}: {seen:#}");
        // The account itself is a member.
        assert_eq!(seen["sources"][0]["found"], 7, "{args:?}: {seen:#}");
        assert!(seen["finish_estimate"].is_string(), "{args:?}: {seen:#}");
    }
    let said = place.run(&["plan"]);
    assert!(
        out(&said).contains("+ spring") && out(&said).contains("6 recipients come in"),
        "{}",
        out(&said)
    );
    assert_eq!(place.delivered().len(), 0);
    let events = events(&place);
    for made in ["started", "spec_seen", "run_opened", "judged", "retired"] {
        assert!(!events.contains(&made.to_owned()), "{made}: {events:?}");
    }
    assert!(events.contains(&"lookup_ended".to_owned()), "{events:?}");
    // Nobody took it up, so that nothing can be asked of it yet.
    assert_eq!(place.campaign("spring")["generation"], 0);

    once(&place);
    let tally = Tally::of(&place.sandbox);
    tally.is_clean(&place.log());
    assert_eq!((tally.messages, tally.who("spring").len()), (6, 6));
    let after = plan(&place, &["--refresh"])("spring");
    assert_eq!(after["change"], "none");
    assert_eq!(after["recipients"]["settled"], 6, "{after:#}");
    once(&place);
    assert_eq!(Tally::of(&place.sandbox).messages, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_stays_a_change_and_what_is_gone_stays_to_be_retired() {
    let place = Place::new(&crowd(6), FAST).await;
    let some = |limit: u32| {
        hello("spring", "sales-1", "").replace(
            "peer: '@meetup'",
            &format!("peer: '@meetup', limit: {limit}"),
        )
    };
    // The account itself is the first of them.
    place.write("campaigns/spring.yaml", some(3));
    place.write("campaigns/winter.yaml", hello("winter", "sales-1", ""));
    once(&place);
    assert_eq!(Tally::of(&place.sandbox).messages, 8);
    place.write("campaigns/spring.yaml", some(6));
    std::fs::remove_file(place.root.join("campaigns/winter.yaml")).unwrap();
    for args in [&[][..], &["--refresh"], &[]] {
        let of = plan(&place, args);
        assert_eq!(of("spring")["change"], "update", "{args:?}");
        assert_eq!(of("winter")["change"], "retire", "{args:?}");
    }
    let spring = plan(&place, &[])("spring");
    assert_eq!(spring["recipients"]["added"], 3, "{spring:#}");
    assert_eq!(spring["recipients"]["settled"], 2, "{spring:#}");
    once(&place);
    let tally = Tally::of(&place.sandbox);
    tally.is_clean(&place.log());
    assert_eq!(tally.who("spring").len(), 5);
    assert_eq!(tally.messages, 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_that_is_killed_loses_nothing_and_changes_nothing() {
    let place = Place::new(&crowd(6), FAST).await;
    place.write("campaigns/spring.yaml", hello("spring", "sales-1", ""));
    place.sandbox.fault(
        FaultRule::new(Effect::SilentBefore)
            .method("channels.getParticipants")
            .nth(1),
    );
    let mut command = tidings();
    command
        .arg("-C")
        .arg(&place.root)
        .args(["plan", "--refresh"]);
    let refresh = Running::start(command, &place.log());
    place
        .until(SOON, "the source is being asked", |place| {
            let calls = place.sandbox.ledger();
            let mut calls = calls.entries().into_iter();
            calls.any(|call| call.method == "channels.getParticipants")
        })
        .await;
    // It answers meanwhile, and takes no order: what that would be about may be gone in a moment.
    let held = place.run(&["suspend", "spring", "--reason", "wait"]);
    ends_with(&held, 1);
    assert!(err(&held).contains("plan --refresh"), "{}", err(&held));
    refresh.kill();
    assert_eq!(plan(&place, &[])("spring")["change"], "create");
    once(&place);
    let tally = Tally::of(&place.sandbox);
    tally.is_clean(&place.log());
    assert_eq!((tally.messages, tally.who("spring").len()), (6, 6));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_what_was_looked_up_says_what_would_hold_it() {
    let place = Place::new(&crowd(6), FAST).await;
    let spec = hello("spring", "sales-1", "canary: 2\n");
    place.write("campaigns/spring.yaml", spec);
    place.write(
        "campaigns/winter.yaml",
        hello("winter", "sales-1", "paused: true\n"),
    );
    ends_with(&place.run(&["plan", "--refresh"]), 0);
    let of = plan(&place, &[]);
    assert_eq!(of("spring")["recipients"]["added"], 6);
    assert_eq!(of("winter")["ready"]["reason"], "Paused");
    assert_eq!(of("winter")["messages"]["total"], 0);
    // A daemon that starts meanwhile takes it as it is, and asks again.
    let daemon = place.daemon();
    place
        .until(SOON, "the canary", |place| place.delivered().len() == 2)
        .await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let seen = plan(&place, &["--refresh"])("spring");
    assert_eq!(seen["change"], "none", "{seen:#}");
    assert_eq!(seen["ready"]["reason"], "Canary", "{seen:#}");
    drop(daemon);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_send_nothing_yet_is_looked_up_when_that_is_asked() {
    let place = Place::new(&crowd(6), FAST).await;
    for (name, rest) in [
        ("held", "paused: true\n"),
        (
            "later",
            "schedule: {timezone: UTC, start: '2100-01-01T09:00'}\n",
        ),
    ] {
        place.write(
            &format!("campaigns/{name}.yaml"),
            hello(name, "sales-1", rest),
        );
    }
    let seen = plan(&place, &["--refresh"]);
    for name in ["held", "later"] {
        let seen = seen(name);
        assert_eq!(seen["sources"][0]["found"], 7, "{seen:#}");
        assert_eq!(seen["recipients"]["added"], 6, "{seen:#}");
    }
    for name in ["held", "later"] {
        let looked = place.run(&["reconcile", name]);
        ends_with(&looked, 0);
        let progress = &place.campaign(name)["progress"];
        assert_eq!(progress["pending"], 6, "{}", out(&looked));
    }
    assert_eq!(place.delivered().len(), 0);
}

//! What breaks off, falls silent or is set: it is caught, told and mended by itself, and everything else goes on.

use std::time::{Duration, Instant};

use tidings::sandbox::{Effect, Entry, FaultRule};

use super::child::{Place, Running, Tally, ends_with, tidings};
use super::common::{FAST, condition, crowd, crowd_of, message, waits};
use super::{SOON, hello};

const SEND: &str = "messages.sendMessage";
/// Within this each account is there again by itself, whatever its server did.
const RECOVERS: i64 = 60_000;

/// A daemon of which these points break.
fn breaking(place: &Place, points: &str) -> Running {
    let mut command = tidings();
    command
        .arg("-C")
        .arg(&place.root)
        .arg("run")
        .env("TIDINGS_LOG", "tidings=info")
        .env("FAILPOINTS", points);
    Running::start(command, &place.log())
}

/// `tidings events -o json`, those of one kind.
fn events(place: &Place, kind: &str) -> Vec<serde_json::Value> {
    let output = place.run(&["events", "-o", "json", "--limit", "10000"]);
    ends_with(&output, 0);
    let all: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let all = all["events"].as_array().unwrap();
    all.iter().filter(|e| e["type"] == kind).cloned().collect()
}

fn millis(event: &serde_json::Value) -> i64 {
    let at = event["at"].as_str().unwrap();
    chrono::DateTime::parse_from_rfc3339(at)
        .unwrap()
        .timestamp_millis()
}

/// Until the report says so. Every look is a whole report, which must add up.
async fn until_status(
    place: &Place,
    what: &str,
    mut holds: impl FnMut(&serde_json::Value) -> bool,
) -> serde_json::Value {
    let until = Instant::now() + 2 * SOON;
    loop {
        let report = place.status();
        if report["daemon"]["running"] == true && holds(&report) {
            return report;
        }
        assert!(
            Instant::now() < until,
            "never: {what}\n{report:#}\n{}",
            super::child::said(&place.log())
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn named<'a>(report: &'a serde_json::Value, list: &str, name: &str) -> &'a serde_json::Value {
    let all = report[list].as_array().unwrap();
    all.iter()
        .find(|it| it["name"] == name)
        .unwrap_or(&serde_json::Value::Null)
}

/// The pauses between what happened, in milliseconds.
fn pauses(events: &[serde_json::Value]) -> Vec<i64> {
    let times: Vec<i64> = events.iter().map(millis).collect();
    times.windows(2).map(|two| two[1] - two[0]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_an_accounts_task_is_caught_told_and_tried_again() {
    let place = Place::new(&crowd_of(&["sales-1", "sales-2"], 24), FAST).await;
    place.write("campaigns/one.yaml", hello("one", "sales-1", ""));
    place.write("campaigns/two.yaml", hello("two", "sales-2", ""));
    // The first orders are to listen, to say who it is and to read the group; then come the sends.
    let mut daemon = breaking(&place, "account.sales-2=8*off->4*panic->off");
    let report = until_status(&place, "the account is told of", |report| {
        let account = named(report, "accounts", "sales-2");
        let says = account["message"].as_str().unwrap_or_default();
        account["state"] == "unreachable" && says.contains("broke off")
    })
    .await;
    assert_eq!(
        named(&report, "accounts", "sales-1")["state"],
        "ready",
        "{report:#}"
    );
    // The other account takes up what is new meanwhile.
    place.write("campaigns/three.yaml", hello("three", "sales-1", ""));
    place
        .until(SOON, "the other account goes on", |place| {
            Tally::of(&place.sandbox).who("three").len() == 24
        })
        .await;
    place
        .until(2 * SOON, "everybody gets his message", |place| {
            let tally = Tally::of(&place.sandbox);
            tally.who("one").len() == 24 && tally.who("two").len() == 24
        })
        .await;
    until_status(&place, "all is well again", |report| {
        named(report, "accounts", "sales-2")["state"] == "ready"
            && named(report, "campaigns", "two")["progress"]["sent"] == 24
    })
    .await;
    assert_eq!(daemon.ended(), None, "{}", daemon.said());
    Tally::of(&place.sandbox).is_clean(&place.log());
    let told = events(&place, "broke_off");
    assert_eq!(told.len(), 4, "{told:#?}");
    for event in &told {
        assert_eq!(event["account"], "sales-2", "{event:#}");
        assert_eq!(event["error"], true, "{event:#}");
        let says = event["message"].as_str().unwrap();
        assert!(
            says.contains("broke off") && says.contains("started again"),
            "{says}"
        );
    }
    for (pause, least) in pauses(&told).into_iter().zip([950, 1_950, 3_950]) {
        assert!(pause >= least, "the pause doubles: {:?}", pauses(&told));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_a_campaigns_planning_holds_it_alone_and_is_tried_again() {
    let place = Place::new(&crowd(12), FAST).await;
    place.write("campaigns/bad.yaml", hello("bad", "sales-1", ""));
    place.write("campaigns/good.yaml", hello("good", "sales-1", ""));
    // Each try breaks off twice: with the others, and alone, which tells whose it is.
    let mut daemon = breaking(&place, "plan.bad=8*panic->off");
    let report = until_status(&place, "the campaign is told of", |report| {
        let bad = named(report, "campaigns", "bad");
        bad["conditions"].is_array() && condition(bad, "Ready") == "False BrokeOff"
    })
    .await;
    let bad = named(&report, "campaigns", "bad");
    let says = message(bad, "Ready");
    assert!(
        says.contains("a bug of Tidings") && says.contains("is tried again at"),
        "{says}"
    );
    assert!(waits(bad).is_empty() || waits(bad).starts_with("Held"));
    assert_ne!(
        condition(named(&report, "campaigns", "good"), "Ready"),
        "False BrokeOff"
    );
    place.write("campaigns/later.yaml", hello("later", "sales-1", ""));
    place
        .until(SOON, "the others go on", |place| {
            let tally = Tally::of(&place.sandbox);
            tally.who("good").len() == 12 && tally.who("later").len() == 12
        })
        .await;
    place
        .until(2 * SOON, "it goes on too once it can", |place| {
            Tally::of(&place.sandbox).who("bad").len() == 12
        })
        .await;
    until_status(&place, "nothing is left of it", |report| {
        condition(named(report, "campaigns", "bad"), "Succeeded").starts_with("True")
    })
    .await;
    assert_eq!(daemon.ended(), None, "{}", daemon.said());
    Tally::of(&place.sandbox).is_clean(&place.log());
    let told = events(&place, "broke_off");
    assert_eq!(told.len(), 4, "{told:#?}");
    assert!(told.iter().all(|event| event["campaign"] == "bad"));
    for (pause, least) in pauses(&told).into_iter().zip([950, 1_950, 3_950]) {
        assert!(pause >= least, "the pause doubles: {:?}", pauses(&told));
    }
}

/// From the first call that went wrong to the last message.
fn took(entries: &[Entry]) -> i64 {
    let wrong = entries.iter().find(|entry| entry.fault.is_some()).unwrap();
    let last = entries
        .iter()
        .rfind(|entry| entry.method == SEND && entry.effect)
        .unwrap();
    last.at - wrong.at
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_its_server_does_an_account_is_there_again_within_a_minute() {
    let send = |effect| FaultRule::new(effect).method(SEND);
    let cases = [
        (
            "accepts, and is silent at once",
            FaultRule::new(Effect::SilentBefore).times(1),
        ),
        ("is silent before a send", send(Effect::SilentBefore).nth(3)),
        ("is silent after a send", send(Effect::SilentAfter).nth(3)),
        (
            "answers by halves",
            send(Effect::HalfAnswer).after(1).times(4),
        ),
        ("is away", send(Effect::Away("8s".parse().unwrap())).nth(3)),
    ];
    let mut all = tokio::task::JoinSet::new();
    for (what, fault) in cases {
        all.spawn(async move {
            let place = Place::new(&crowd(8), FAST).await;
            place.sandbox.fault(fault);
            place.write("campaigns/hello.yaml", hello("hello", "sales-1", ""));
            let mut daemon = place.daemon();
            place
                .until(3 * SOON, what, |place| {
                    Tally::of(&place.sandbox).who("hello").len() == 8
                })
                .await;
            let entries = place.sandbox.ledger().entries();
            let took = took(&entries);
            assert!(took < RECOVERS, "{what}: {took} ms");
            until_status(&place, what, |report| {
                named(report, "accounts", "sales-1")["state"] == "ready"
                    && named(report, "campaigns", "hello")["progress"]["sent"] == 8
            })
            .await;
            Tally::of(&place.sandbox).is_clean(&place.log());
            assert_eq!(daemon.ended(), None, "{what}: {}", daemon.said());
            println!("a server that {what}: all is well after {took} ms");
        });
    }
    while let Some(done) = all.join_next().await {
        done.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_the_server_forgot_for_a_while_is_taken_up_again_as_it_was() {
    let place = Place::new(&crowd(8), FAST).await;
    let session = place.root.join("sessions/sales-1.session");
    let before = std::fs::read(&session).unwrap();
    place
        .sandbox
        .fault(FaultRule::new(Effect::ForgetKey).method(SEND).nth(3));
    place.write("campaigns/hello.yaml", hello("hello", "sales-1", ""));
    let mut daemon = place.daemon();
    let report = until_status(&place, "a login is asked for", |report| {
        named(report, "accounts", "sales-1")["state"] == "unauthorized"
    })
    .await;
    let says = named(&report, "accounts", "sales-1")["message"].to_string();
    assert!(
        says.contains("404") && says.contains("tidings account login"),
        "{says}"
    );
    place.sandbox.clear_faults();
    place.sandbox.set_key_known("sales-1", true).unwrap();
    let known = Instant::now();
    place
        .until(2 * SOON, "everybody gets his message", |place| {
            Tally::of(&place.sandbox).who("hello").len() == 8
        })
        .await;
    println!("the key is used again after {:?}", known.elapsed());
    // It also hears again what is said.
    place
        .sandbox
        .send_as_person("@person103", "sales-1", "I am back too")
        .unwrap();
    until_status(&place, "all is well again", |report| {
        let hello = named(report, "campaigns", "hello");
        named(report, "accounts", "sales-1")["state"] == "ready"
            && hello["progress"]["sent"] == 8
            && hello["progress"]["replied"] == 1
    })
    .await;
    Tally::of(&place.sandbox).is_clean(&place.log());
    assert_eq!(std::fs::read(&session).unwrap(), before);
    assert_eq!(daemon.ended(), None, "{}", daemon.said());
    // It was told once, however often it was tried.
    let told: Vec<_> = events(&place, "account_changed")
        .into_iter()
        .filter(|event| event["error"] == true)
        .collect();
    assert!(told.len() <= 1, "{told:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_shortens_no_pause_and_stops_nothing() {
    const PAUSE: i64 = 1_500;
    for jump in [-18_000_000i64, 18_000_000] {
        let place = Place::new(&crowd(8), FAST).await;
        let ahead = place.dir.path().join("ahead");
        let delays =
            format!("delays: {{between_messages: {PAUSE}ms, per_account: {{per_day: 10000}}}}\n");
        place.write("campaigns/slow.yaml", hello("slow", "sales-1", &delays));
        // Somewhat too late, so that a message may be dropped by its server meanwhile.
        place
            .sandbox
            .fault(FaultRule::new(Effect::DropAfter).method(SEND).nth(4));
        let mut daemon = breaking(&place, &format!("clock.wall=return({})", ahead.display()));
        place
            .until(2 * SOON, "some were sent", |place| {
                place.delivered().len() >= 3
            })
            .await;
        let set = Instant::now();
        std::fs::write(&ahead, jump.to_string()).unwrap();
        place
            .until(2 * SOON, "everybody gets his message", |place| {
                place.delivered().len() == 8
            })
            .await;
        assert!(
            set.elapsed() < Duration::from_millis(RECOVERS as u64),
            "{jump}: {:?}",
            set.elapsed()
        );
        let times: Vec<i64> = place.delivered().iter().map(|entry| entry.at).collect();
        for two in times.windows(2) {
            assert!(
                two[1] - two[0] >= PAUSE - 50,
                "{jump}: a pause of {} ms: {times:?}",
                two[1] - two[0]
            );
        }
        until_status(&place, "all is well", |report| {
            named(report, "accounts", "sales-1")["state"] == "ready"
                && named(report, "campaigns", "slow")["progress"]["sent"] == 8
        })
        .await;
        let told = events(&place, "clock_set");
        assert_eq!(told.len(), 1, "{told:#?}");
        let says = told[0]["message"].as_str().unwrap();
        let way = if jump < 0 { "back" } else { "forward" };
        assert!(says.contains(&format!("set {way} by 1")), "{says}");
        Tally::of(&place.sandbox).is_clean(&place.log());
        assert_eq!(daemon.ended(), None, "{}", daemon.said());
    }
}

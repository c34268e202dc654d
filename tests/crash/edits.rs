//! What an edit means for messages that were in hand at a SIGKILL: none of them left, and nobody knows that.

use std::time::{Duration, Instant};

use tidings::sandbox::FaultRule;

use super::child::Place;
use super::common;
use super::points::dies_at;

/// Few enough that each account may look into all its dialogs at once.
const PEOPLE: usize = 24;

const FAST: &str = "templates: [{name: t, text: 'Hi {{ contact.first_name }}'}]\ndelays: {between_messages: 0s, per_account: {per_day: 100000}}\n";

/// Everybody is in hand of one of two accounts, and the daemon is dead.
async fn in_hand() -> Place {
    let place = Place::new(
        &common::crowd_of(&["sales-1", "sales-2"], PEOPLE),
        common::FAST,
    )
    .await;
    let text = common::mailing("hello", "sales-1, sales-2", FAST);
    place.write("campaigns/hello.yaml", text);
    dies_at(&place, "send.intended", 0, |_| {}).await;
    assert!(place.delivered().is_empty());
    assert_eq!(place.campaign("hello")["progress"]["in_flight"], PEOPLE);
    place
}

/// A new life, until nobody waits any more and so many were sent to.
async fn lives(place: &Place, least: usize) -> serde_json::Value {
    let daemon = place.daemon();
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let campaign = place.campaign("hello");
        let progress = &campaign["progress"];
        let sent = place.delivered().len();
        if progress["in_flight"] == 0 && progress["pending"] == 0 && sent >= least {
            daemon.kill();
            return campaign;
        }
        assert!(Instant::now() < until, "{campaign:#}\n{}", daemon.said());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_in_hand_at_a_kill_reaches_nobody_whom_only_to_does_not_name() {
    let place = in_hand().await;
    let config = common::FAST.replace("limits: {", "limits: {only_to: ['@person105'], ");
    place.write("tidings.yaml", config);
    let campaign = lives(&place, 1).await;
    let got: Vec<_> = place.delivered().into_iter().map(|e| e.peer).collect();
    assert_eq!(got, [Some("user:105".to_owned())]);
    assert_eq!(campaign["audience"]["excluded"]["not_in"], PEOPLE - 1);
    // Named again, the others get theirs, once.
    place.write("tidings.yaml", common::FAST);
    let campaign = lives(&place, PEOPLE).await;
    assert_eq!(campaign["progress"]["sent"], PEOPLE);
    assert_eq!(place.delivered().len(), PEOPLE);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_in_hand_at_a_kill_does_not_leave_by_an_account_that_was_taken_out() {
    let place = in_hand().await;
    let text = common::mailing("hello", "sales-2", FAST);
    place.write("campaigns/hello.yaml", text);
    let campaign = lives(&place, 1).await;
    let by: std::collections::BTreeSet<_> =
        place.delivered().into_iter().map(|e| e.account).collect();
    assert_eq!(by.len(), 1, "{by:?}");
    let sent = place.delivered().len();
    assert_eq!(campaign["progress"]["sent"], sent);
    assert_eq!(campaign["outcomes"]["account_lost"], PEOPLE - sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_wait_ends_the_looks_into_dialogs_until_it_is_over() {
    let place = in_hand().await;
    let config = common::FAST.replace("limits: {", "limits: {only_to: ['@person105'], ");
    place.write("tidings.yaml", config);
    place.sandbox.fault(
        FaultRule::error("FLOOD_WAIT_3")
            .method("messages.getHistory")
            .account("sales-1")
            .nth(3),
    );
    let campaign = lives(&place, 1).await;
    assert_eq!(campaign["audience"]["excluded"]["not_in"], PEOPLE - 1);
    let looks = place
        .sandbox
        .ledger()
        .of_method("messages.getHistory")
        .into_iter()
        .filter(|entry| entry.account.as_deref() == Some("sales-1"));
    let at: Vec<i64> = looks.map(|entry| entry.at).collect();
    assert!(at[3] - at[2] >= 3000, "{at:?}");
}

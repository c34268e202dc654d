//! A clock of ours that is not Telegram's.

use super::*;

#[tokio::test]
async fn a_clock_that_is_ahead_is_named_and_asks_nothing_again_until_it_is_right() {
    let world = World::start().await;
    let client = world.open("sales-1").await;
    let anna = meet(&*client, "anna").await;
    world.sandbox.set_clock_ahead(-90);
    client.reconnect();
    let before = world.sandbox.ledger().len();
    let error = client
        .send(message(anna, "hello", 42))
        .await
        .expect_err("Telegram takes no message from the future");
    assert!(matches!(error, CallError::NotSent { .. }), "{error:?}");
    let (_, why) = client.last_failure().expect("is remembered");
    assert!(
        (85..=95).any(|by| why.contains(&format!("clock is {by} seconds ahead"))),
        "{why}"
    );
    // What reaches Telegram is the one question by how much.
    assert!(world.sandbox.ledger().len() <= before + 2);
    assert_eq!(world.arrived("hello"), 0);
    world.sandbox.set_clock_ahead(0);
    send_until_known(&*client, &message(anna, "hello", 42)).await;
    assert_eq!(world.arrived("hello"), 1);
}

#[tokio::test]
async fn a_clock_that_is_an_hour_behind_costs_nothing() {
    let world = World::start().await;
    world.sandbox.set_clock_ahead(3_600);
    let client = world.open("sales-1").await;
    let anna = meet(&*client, "anna").await;
    send_until_known(&*client, &message(anna, "hello", 42)).await;
    assert_eq!(world.arrived("hello"), 1);
}

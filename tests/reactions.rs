//! What Telegram says, and what the engine then does (CONTRACT section 6), judged by what the server received.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
#[path = "reactions/rows.rs"]
mod rows;

use std::sync::Arc;
use std::time::Duration;

use common::{
    Impatient, World, assert_nobody_twice, condition, crowd, crowd_of, mailing, message, waits,
    world,
};
use tidings::control::ExitKind;
use tidings::model::{Command, Reply};
use tidings::sandbox::{Effect, FaultRule, Ref, Span};

const SEND: &str = "messages.sendMessage";

fn list(people: std::ops::Range<i64>) -> String {
    let names: Vec<String> = people.map(|id| format!("'@person{id}'")).collect();
    format!(
        "consent: {{basis: customers}}\nsources: [{{type: list, peers: [{}]}}]\n",
        names.join(", ")
    )
}

/// A world of so many people and a mailing to them from these accounts.
async fn under_way(accounts: &[&str], people: usize) -> World {
    let world = world(&crowd_of(accounts, people)).await;
    world.write(
        "campaigns/hello.yaml",
        mailing("hello", &accounts.join(", "), ""),
    );
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_one_person_skips_him_for_good_and_nobody_else() {
    for (error, outcome) in [
        ("USER_PRIVACY_RESTRICTED", "privacy_restricted"),
        ("USER_IS_BLOCKED", "blocked"),
        ("YOU_BLOCKED_USER", "blocked"),
        ("INPUT_USER_DEACTIVATED", "deactivated"),
        ("USER_NOT_MUTUAL_CONTACT", "not_mutual"),
        ("USER_CHANNELS_TOO_MUCH", "too_many_chats"),
        ("USER_KICKED", "privacy_restricted"),
        ("USER_BOT", "unreachable"),
        ("PRIVACY_PREMIUM_REQUIRED", "premium_required"),
        ("ALLOW_PAYMENT_REQUIRED_10", "payment_required"),
    ] {
        let world = under_way(&["sales-1", "sales-2"], 4).await;
        world
            .sandbox
            .fault(FaultRule::error(error).method(SEND).person(Ref::Id(102)));
        assert_eq!(world.once().await.unwrap(), ExitKind::Done, "{error}");
        let campaign = world.campaign("hello").await;
        assert_eq!(campaign["outcomes"][outcome], 1, "{error}: {campaign:#}");
        assert_eq!(campaign["progress"]["sent"], 3, "{error}");
        assert_eq!(world.who(), [101, 103, 104], "{error}");
        let tries = |world: &World| {
            world
                .calls(SEND)
                .iter()
                .filter(|e| e.peer.as_deref() == Some("user:102"))
                .count()
        };
        assert_eq!(tries(&world), 1, "{error}");
        // Not even after a restart, nor by the other account.
        world.sandbox.clear_faults();
        world.once().await.unwrap();
        assert_eq!(tries(&world), 1, "{error}");
        // A block holds everywhere.
        world.write(
            "campaigns/other.yaml",
            mailing("other", "sales-1, sales-2", ""),
        );
        world.once().await.unwrap();
        let other = world.campaign("other").await;
        if outcome == "blocked" {
            assert_eq!(
                other["audience"]["excluded"]["suppressed"], 1,
                "{error}: {other:#}"
            );
        } else {
            assert_eq!(other["progress"]["sent"], 4, "{error}: {other:#}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_username_that_names_nobody_is_not_found() {
    for error in ["USERNAME_INVALID", "USERNAME_NOT_OCCUPIED"] {
        let world = world(&crowd(3)).await;
        world.write(
            "campaigns/hello.yaml",
            mailing("hello", "sales-1", &list(101..104)),
        );
        world.sandbox.fault(
            FaultRule::error(error)
                .method("contacts.resolveUsername")
                .nth(2),
        );
        assert_eq!(world.once().await.unwrap(), ExitKind::Done, "{error}");
        let campaign = world.campaign("hello").await;
        assert_eq!(
            campaign["outcomes"],
            serde_json::json!({"sent": 2, "not_found": 1}),
            "{error}: {campaign:#}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_wait_is_waited_out_and_the_same_account_writes_to_the_same_person() {
    let world = under_way(&["sales-1", "sales-2"], 6).await;
    world.sandbox.fault(
        FaultRule::error("FLOOD_WAIT_2")
            .method(SEND)
            .account("sales-1")
            .nth(1),
    );
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    let campaign = world.campaign("hello").await;
    assert_eq!(world.who().len(), 6, "{campaign:#}");
    assert_nobody_twice(&world);
    let calls = world.calls(SEND);
    let refused = calls
        .iter()
        .find(|e| e.error.as_deref() == Some("FLOOD_WAIT_2"))
        .unwrap();
    let again = calls
        .iter()
        .find(|e| e.peer == refused.peer && e.effect)
        .unwrap();
    assert_eq!(
        again.account.as_deref(),
        Some("sales-1"),
        "not moved to another account"
    );
    assert_eq!(again.random_id, refused.random_id);
    assert!(
        again.at - refused.at >= 2000,
        "waited {} ms",
        again.at - refused.at
    );
    let others_between = calls
        .iter()
        .filter(|e| {
            e.account.as_deref() == Some("sales-1") && e.at > refused.at && e.at < refused.at + 2000
        })
        .count();
    assert_eq!(others_between, 0, "the account sends nothing meanwhile");
    assert!(
        calls
            .iter()
            .any(|e| e.account.as_deref() == Some("sales-2") && e.effect),
        "the other one goes on"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_wait_outlives_a_restart_and_shows_in_the_report() {
    let world = under_way(&["sales-1"], 4).await;
    world
        .sandbox
        .fault(FaultRule::error("FLOOD_WAIT_4000").method(SEND).nth(2));
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    for _ in 0..2 {
        let campaign = world.campaign("hello").await;
        let account = world.account("sales-1").await;
        assert_eq!(waits(&campaign), "FloodWait 3", "{campaign:#}");
        assert_eq!(condition(&campaign, "Throttled"), "True FloodWait");
        assert_eq!(account["state"], "flood_wait");
        let seconds = common::seconds_to_wait(&campaign);
        assert!((3900..=4500).contains(&seconds), "{seconds}");
        assert_eq!(world.once().await.unwrap(), ExitKind::Done);
        assert_eq!(
            world.calls(SEND).len(),
            2,
            "nothing is tried before its time"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_wait_on_look_ups_stops_look_ups_only() {
    let people = crowd(4)
        .replace("username: meetup", "id: 55")
        .replace("members: all", "members: [101, 102]");
    let world = world(&people).await;
    world.write(
        "campaigns/group.yaml",
        mailing(
            "group",
            "sales-1",
            "sources: [{type: members, peer: {id: 55}}]\ncanary: 1\n",
        ),
    );
    // A wait of a second is waited out.
    world.sandbox.fault(
        FaultRule::error("FLOOD_WAIT_1")
            .method("channels.getParticipants")
            .nth(1),
    );
    assert_eq!(world.once().await.unwrap(), ExitKind::NeedsPerson);
    assert_eq!(world.campaign("group").await["progress"]["sent"], 1);
    // Now no name may be looked up; who is known already is written to all the same.
    world.write(
        "campaigns/hello.yaml",
        mailing("hello", "sales-1", &list(103..105)),
    );
    world
        .sandbox
        .fault(FaultRule::error("FLOOD_WAIT_900").method("contacts.resolveUsername"));
    world.approve("group").await;
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    let (group, hello) = (world.campaign("group").await, world.campaign("hello").await);
    assert_eq!(group["progress"]["sent"], 2, "{group:#}");
    assert_eq!(waits(&hello), "FloodWait 2", "{hello:#}");
    assert_eq!(
        world.calls("contacts.resolveUsername").len(),
        1,
        "one is told, none is tried again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_chat_waits_alone() {
    let world = under_way(&["sales-1"], 6).await;
    world.sandbox.fault(
        FaultRule::error("SLOWMODE_WAIT_2")
            .method(SEND)
            .person(Ref::Id(102))
            .nth(1),
    );
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    let calls = world.calls(SEND);
    let slow: Vec<i64> = calls
        .iter()
        .filter(|e| e.peer.as_deref() == Some("user:102"))
        .map(|e| e.at)
        .collect();
    assert_eq!(slow.len(), 2);
    assert!(slow[1] - slow[0] >= 2000, "{slow:?}");
    let others = calls
        .iter()
        .filter(|e| e.peer.as_deref() != Some("user:102"))
        .map(|e| e.at)
        .max()
        .unwrap();
    assert!(others < slow[1] - 1000, "the account goes on");
    assert_eq!(world.who().len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limited_account_writes_to_no_stranger_and_nobody_takes_over_its_person() {
    let world = under_way(&["sales-1", "sales-2"], 8).await;
    world.sandbox.fault(
        FaultRule::error("PEER_FLOOD")
            .method(SEND)
            .account("sales-1"),
    );
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    let campaign = world.campaign("hello").await;
    let account = world.account("sales-1").await;
    assert_eq!(account["state"], "limited", "{account:#}");
    let until = chrono::DateTime::parse_from_rfc3339(account["until"].as_str().unwrap()).unwrap();
    let hours =
        (until.with_timezone(&chrono::Utc) - chrono::Utc::now()).num_minutes() as f64 / 60.0;
    assert!((23.9..=24.1).contains(&hours), "{hours}");
    assert_eq!(campaign["progress"]["sent"], 7, "{campaign:#}");
    assert_eq!(waits(&campaign), "AccountLimited 1");
    let refused: Vec<_> = world
        .calls(SEND)
        .into_iter()
        .filter(|e| e.error.is_some())
        .collect();
    assert_eq!(refused.len(), 1, "one PEER_FLOOD is enough");
    assert!(
        !world
            .recipients()
            .contains(refused[0].peer.as_ref().unwrap()),
        "never tried through another account"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn at_full_speed_nothing_follows_a_refusal_that_stops_the_account() {
    for (error, waits_for) in [
        ("PEER_FLOOD", "AccountLimited 21"),
        ("FLOOD_WAIT_900", "FloodWait 21"),
    ] {
        let world = under_way(&["sales-1"], 120).await;
        world
            .sandbox
            .fault(FaultRule::error(error).method(SEND).nth(100));
        assert_eq!(world.once().await.unwrap(), ExitKind::Done, "{error}");
        let calls = world.calls(SEND);
        let last = calls.last().unwrap();
        assert_eq!((calls.len(), last.error.as_deref()), (100, Some(error)));
        assert_eq!(world.who().len(), 99, "{error}");
        assert_eq!(waits(&world.campaign("hello").await), waits_for);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_limited_accounts_pause_the_campaign() {
    let world = under_way(&["sales-1", "sales-2", "sales-3"], 30).await;
    for name in ["sales-1", "sales-2"] {
        world
            .sandbox
            .fault(FaultRule::error("PEER_FLOOD").method(SEND).account(name));
    }
    // The third one is slow, so that there is something left to pause.
    world.sandbox.fault(
        FaultRule::new(Effect::DelayAnswer(Span(Duration::from_millis(150))))
            .method(SEND)
            .account("sales-3"),
    );
    assert_eq!(world.once().await.unwrap(), ExitKind::NeedsPerson);
    let campaign = world.campaign("hello").await;
    assert_eq!(
        condition(&campaign, "Paused"),
        "True AccountsLimited",
        "{campaign:#}"
    );
    assert!(
        world.who().len() < 10,
        "{} got a message",
        world.who().len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_telegram_does_not_know_is_looked_up_again_once() {
    for (times, outcome, tries, looks) in [(1, "sent", 2, 1), (9, "unreachable", 2, 1)] {
        let world = under_way(&["sales-1"], 3).await;
        world.sandbox.fault(
            FaultRule::error("PEER_ID_INVALID")
                .method(SEND)
                .person(Ref::Id(102))
                .times(times),
        );
        assert_eq!(world.once().await.unwrap(), ExitKind::Done);
        let campaign = world.campaign("hello").await;
        let calls = world
            .calls(SEND)
            .iter()
            .filter(|e| e.peer.as_deref() == Some("user:102"))
            .count();
        let looked = world
            .calls("contacts.resolveUsername")
            .iter()
            .filter(|e| e.query.as_deref() == Some("person102"))
            .count();
        assert_eq!((calls, looked), (tries, looks), "{campaign:#}");
        assert!(
            campaign["outcomes"][outcome].as_u64().unwrap() >= 1,
            "{campaign:#}"
        );
        assert_eq!(campaign["progress"]["pending"], 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_account_keeps_its_file_and_the_others_take_its_pending_people() {
    for (error, state) in [
        ("AUTH_KEY_UNREGISTERED", "unauthorized"),
        ("AUTH_KEY_INVALID", "unauthorized"),
        ("SESSION_REVOKED", "unauthorized"),
        ("SESSION_EXPIRED", "unauthorized"),
        ("AUTH_KEY_DUPLICATED", "unauthorized"),
        ("USER_DEACTIVATED", "banned"),
        ("USER_DEACTIVATED_BAN", "banned"),
        ("PHONE_NUMBER_BANNED", "banned"),
        ("FROZEN_METHOD_INVALID", "frozen"),
    ] {
        let world = under_way(&["sales-1", "sales-2"], 8).await;
        let file = world.path().join("sessions/sales-1.session");
        let before = std::fs::read(&file).unwrap();
        world.sandbox.fault(
            FaultRule::error(error)
                .method(SEND)
                .account("sales-1")
                .after(1),
        );
        world.once().await.unwrap();
        let campaign = world.campaign("hello").await;
        let account = world.account("sales-1").await;
        assert_eq!(account["state"], state, "{error}: {account:#}");
        assert!(
            account["message"].as_str().unwrap().contains(error),
            "{error}: {account:#}"
        );
        assert_eq!(world.who().len(), 8, "{error}: {campaign:#}");
        assert_nobody_twice(&world);
        assert_eq!(
            std::fs::read(&file).unwrap(),
            before,
            "{error}: the session file changed"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_key_is_never_overwritten() {
    let world = under_way(&["sales-1", "sales-2"], 8).await;
    let file = world.path().join("sessions/sales-1.session");
    let before = std::fs::read(&file).unwrap();
    world.sandbox.fault(
        FaultRule::new(Effect::ForgetKey)
            .method(SEND)
            .account("sales-1")
            .nth(2),
    );
    world.once().await.unwrap();
    let campaign = world.campaign("hello").await;
    assert_eq!(
        world.account("sales-1").await["state"],
        "unauthorized",
        "{campaign:#}"
    );
    assert_nobody_twice(&world);
    // The one who was on his way stays in doubt with the account; all others got theirs.
    assert!(world.who().len() >= 7, "{campaign:#}");
    assert_eq!(
        campaign["progress"]["in_flight"].as_u64().unwrap() + world.who().len() as u64,
        8,
        "{campaign:#}"
    );
    assert_eq!(std::fs::read(&file).unwrap(), before);
    // Known again: what was in doubt is settled by the same bytes.
    world.sandbox.clear_faults();
    world.sandbox.set_key_known("sales-1", true).unwrap();
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    assert_eq!(world.who().len(), 8);
    assert_nobody_twice(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_the_message_itself_stalls_the_campaign_at_once() {
    for (error, reason) in [
        ("MESSAGE_TOO_LONG", "MessageTooLong"),
        ("MESSAGE_EMPTY", "MessageEmpty"),
        ("MEDIA_INVALID", "MediaInvalid"),
        ("ENTITY_BOUNDS_INVALID", "EntityBoundsInvalid"),
        ("CHAT_WRITE_FORBIDDEN", "ChatWriteForbidden"),
    ] {
        let world = under_way(&["sales-1"], 20).await;
        world
            .sandbox
            .fault(FaultRule::error(error).method(SEND).nth(3));
        assert_eq!(
            world.once().await.unwrap(),
            ExitKind::NeedsPerson,
            "{error}"
        );
        let campaign = world.campaign("hello").await;
        assert_eq!(
            condition(&campaign, "Stalled"),
            format!("True {reason}"),
            "{campaign:#}"
        );
        assert_eq!(condition(&campaign, "Ready"), "False Stalled");
        assert!(
            message(&campaign, "Stalled").contains(error),
            "{campaign:#}"
        );
        assert_eq!(
            world.calls(SEND).len(),
            3,
            "{error}: nothing leaves after the refusal"
        );
        assert_eq!(waits(&campaign), "Held 18");
        // Mended: the operator resumes it, and everybody gets his message.
        resume(&world).await;
        assert_eq!(world.once().await.unwrap(), ExitKind::Done, "{error}");
        assert_eq!(world.who().len(), 20);
        assert_nobody_twice(&world);
    }
}

async fn resume(world: &World) {
    let reply = world
        .ask(Command::Resume {
            name: Some("hello".into()),
            reason: "mended".into(),
            by: "a test".into(),
        })
        .await;
    assert!(matches!(reply, Reply::Done { .. }), "{reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn words_that_nobody_knows_fail_the_person_and_five_in_a_row_stall() {
    let world = under_way(&["sales-1"], 20).await;
    world
        .sandbox
        .fault(FaultRule::error("SOMETHING_NEW_42").method(SEND).after(2));
    assert_eq!(world.once().await.unwrap(), ExitKind::NeedsPerson);
    let campaign = world.campaign("hello").await;
    assert_eq!(
        campaign["outcomes"],
        serde_json::json!({"sent": 2, "failed": 5}),
        "{campaign:#}"
    );
    assert_eq!(world.calls(SEND).len(), 7);
    assert_eq!(condition(&campaign, "Stalled"), "True FailuresInRow");
    assert_eq!(waits(&campaign), "Held 13");
    let Reply::Document { body } = world
        .ask(Command::Events {
            name: Some("hello".into()),
            after: 0,
            before: None,
            limit: 0,
        })
        .await
    else {
        panic!("no events")
    };
    assert!(
        body.to_string().contains("SOMETHING_NEW_42"),
        "Telegram's own words are kept"
    );
    world.sandbox.clear_faults();
    resume(&world).await;
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    assert_eq!(world.who().len(), 15);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_failed_gets_a_second_chance_from_the_terminal_and_nobody_else() {
    let world = under_way(&["sales-1"], 6).await;
    for (nth, error) in [
        (1, "SOMETHING_NEW_42"),
        (3, "USER_PRIVACY_RESTRICTED"),
        (4, "ODD_ONE"),
    ] {
        world
            .sandbox
            .fault(FaultRule::error(error).method(SEND).nth(nth));
    }
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    let campaign = world.campaign("hello").await;
    assert_eq!(
        campaign["outcomes"],
        serde_json::json!({"sent": 3, "failed": 2, "privacy_restricted": 1}),
        "{campaign:#}"
    );
    for (outcome, code, says) in [
        ("sent", 1, "not tried again"),
        ("privacy_restricted", 1, "not tried again"),
        ("broken", 64, "is no outcome; expected"),
        (
            "too_long",
            0,
            "nobody who ended as `too_long`, but 2 `failed`",
        ),
        ("failed", 0, "2 people are pending again"),
    ] {
        let (ended, out, errors) = world.cli(&["retry", "hello", "--outcome", outcome]).await;
        assert_eq!(ended, code, "{outcome}: {out}{errors}");
        assert!(
            format!("{out}{errors}").contains(says),
            "{outcome}: {out}{errors}"
        );
    }
    assert_eq!(world.campaign("hello").await["progress"]["pending"], 2);
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    let campaign = world.campaign("hello").await;
    assert_eq!(
        campaign["outcomes"],
        serde_json::json!({"sent": 5, "privacy_restricted": 1}),
        "{campaign:#}"
    );
    common::assert_nobody_twice(&world);
    assert_eq!(world.calls(SEND).len(), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn four_failures_and_a_success_do_not_stall() {
    let world = under_way(&["sales-1"], 12).await;
    for from in [0, 5] {
        world.sandbox.fault(
            FaultRule::error("SOMETHING_NEW")
                .method(SEND)
                .after(from)
                .times(4),
        );
    }
    world.once().await.unwrap();
    let campaign = world.campaign("hello").await;
    assert_eq!(
        condition(&campaign, "Stalled"),
        "False NotStalled",
        "{campaign:#}"
    );
    assert_eq!(campaign["progress"]["pending"], 0, "{campaign:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_that_telegram_calls_a_duplicate_was_delivered() {
    let world = under_way(&["sales-1"], 6).await;
    // The answer to the first try is lost, the second try comes while the first is under way.
    world
        .sandbox
        .fault(FaultRule::new(Effect::DropAfter).method(SEND).nth(3));
    world
        .sandbox
        .fault(FaultRule::error("RANDOM_ID_DUPLICATE").method(SEND).nth(4));
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    let campaign = world.campaign("hello").await;
    assert_eq!(campaign["progress"]["sent"], 6, "{campaign:#}");
    assert_nobody_twice(&world);
    assert_eq!(world.who().len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_doubt_the_same_bytes_go_out_again_and_nobody_gets_two() {
    let faults: Vec<(&str, FaultRule)> = vec![
        ("500", FaultRule::error("INTERNAL")),
        (
            "worker busy",
            FaultRule::error("WORKER_BUSY_TOO_LONG_RETRY"),
        ),
        ("timeout", FaultRule::error("TIMEOUT")),
        ("dropped before", FaultRule::new(Effect::DropBefore)),
        ("dropped after", FaultRule::new(Effect::DropAfter)),
        ("half an answer", FaultRule::new(Effect::HalfAnswer)),
        ("garbled", FaultRule::new(Effect::Garbled)),
        ("silent before", FaultRule::new(Effect::SilentBefore)),
        ("silent after", FaultRule::new(Effect::SilentAfter)),
        ("salt", FaultRule::new(Effect::BadSalt)),
        (
            "away",
            FaultRule::new(Effect::Away(Span(Duration::from_millis(1500)))),
        ),
    ];
    let mut all = tokio::task::JoinSet::new();
    for (what, fault) in faults {
        all.spawn(async move {
            let world = under_way(&["sales-1"], 9).await;
            world.sandbox.fault(fault.method(SEND).nth(4));
            let ended = world
                .once_on(
                    Arc::new(Impatient(Duration::from_secs(2))),
                    Duration::from_secs(20),
                )
                .await;
            let campaign = world.campaign("hello").await;
            assert_eq!(ended.unwrap(), ExitKind::Done, "{what}: {campaign:#}");
            assert_eq!(campaign["progress"]["sent"], 9, "{what}: {campaign:#}");
            assert_nobody_twice(&world);
            assert_eq!(world.who().len(), 9, "{what}");
            let mut ids = std::collections::BTreeMap::new();
            for call in world.calls(SEND) {
                let id = ids.entry(call.peer.clone()).or_insert(call.random_id);
                assert_eq!(*id, call.random_id, "{what}: one person, one random_id");
            }
        });
    }
    while let Some(done) = all.join_next().await {
        done.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_fails_for_a_while_holds_nobody_else_up() {
    let world = under_way(&["sales-1"], 9).await;
    world.sandbox.fault(
        FaultRule::error("INTERNAL")
            .method(SEND)
            .person(Ref::Id(103))
            .times(2),
    );
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    let calls = world.calls(SEND);
    let tries: Vec<i64> = calls
        .iter()
        .filter(|e| e.peer.as_deref() == Some("user:103"))
        .map(|e| e.at)
        .collect();
    assert_eq!(tries.len(), 3);
    assert!(
        tries[1] - tries[0] >= 950 && tries[2] - tries[1] >= 1950,
        "the pause doubles: {tries:?}"
    );
    let last_other = calls
        .iter()
        .filter(|e| e.peer.as_deref() != Some("user:103"))
        .map(|e| e.at)
        .max()
        .unwrap();
    assert!(last_other < tries[1], "the others do not wait for him");
    assert_eq!(world.who().len(), 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_cannot_be_read_stalls_the_campaign_and_is_tried_again() {
    let world = under_way(&["sales-1"], 3).await;
    world
        .sandbox
        .fault(FaultRule::error("CHANNEL_PRIVATE").method("channels.getParticipants"));
    assert_eq!(world.once().await.unwrap(), ExitKind::NeedsPerson);
    let campaign = world.campaign("hello").await;
    assert_eq!(
        condition(&campaign, "Stalled"),
        "True SourceFailed",
        "{campaign:#}"
    );
    assert!(
        message(&campaign, "Stalled").contains("CHANNEL_PRIVATE"),
        "{campaign:#}"
    );
    assert!(
        campaign["audience"]["sources"][0]["error"]
            .as_str()
            .unwrap()
            .contains("CHANNEL_PRIVATE")
    );
    world.sandbox.clear_faults();
    world
        .ask(Command::Reconcile {
            name: "hello".into(),
        })
        .await;
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    assert_eq!(world.who().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_up_that_breaks_off_is_tried_again_in_a_moment_and_nobody_need_act() {
    for error in ["INTERNAL", "Timeout"] {
        let world = under_way(&["sales-1"], 3).await;
        // The second pause is longer than the test needs to see what is said meanwhile.
        world.sandbox.fault(
            FaultRule::error(error)
                .method("channels.getParticipants")
                .times(3),
        );
        let daemon = world.daemon();
        let campaign = world
            .until_campaign("hello", "the look-up broke off", |campaign| {
                message(campaign, "Ready").contains("is tried again")
            })
            .await;
        assert_eq!(
            condition(&campaign, "Ready"),
            "True LookingUp",
            "{campaign:#}"
        );
        assert_eq!(
            condition(&campaign, "Stalled"),
            "False NotStalled",
            "{campaign:#}"
        );
        assert!(campaign["next_action_at"].is_string(), "{campaign:#}");
        world
            .until("everybody was written to", |world| world.who().len() == 3)
            .await;
        daemon.stop().await.unwrap();
        let tries: Vec<i64> = world
            .calls("channels.getParticipants")
            .iter()
            .map(|e| e.at)
            .collect();
        assert!(
            tries[1] - tries[0] >= 950 && tries[2] - tries[1] >= 1950,
            "the pause doubles: {tries:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_falls_silent_at_once_keeps_no_other_from_beginning() {
    let world = world(&crowd_of(&["sales-1", "sales-2"], 3)).await;
    world.write(
        "campaigns/hello.yaml",
        mailing("hello", "sales-1, sales-2", &list(101..104)),
    );
    world
        .sandbox
        .fault(FaultRule::new(Effect::SilentBefore).account("sales-2"));
    let daemon = world.daemon();
    world
        .until("everybody was written to", |world| world.who().len() == 3)
        .await;
    // It was still being waited for: a call has thirty seconds.
    assert_eq!(world.account("sales-2").await["state"], "unreachable");
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_file_that_cannot_be_used_asks_for_a_person() {
    let world = under_way(&["sales-1"], 3).await;
    world.write("sessions/sales-1.session", "garbage");
    assert_eq!(world.once().await.unwrap(), ExitKind::NeedsPerson);
    let account = world.account("sales-1").await;
    assert_eq!(account["state"], "unauthorized", "{account:#}");
    let says = account["message"].as_str().unwrap();
    assert!(
        says.contains("is no session file") && says.contains("tidings account login sales-1"),
        "{says}"
    );
    let campaign = world.campaign("hello").await;
    assert_eq!(
        condition(&campaign, "Ready"),
        "False NoAccount",
        "{campaign:#}"
    );
    // The right file is taken without a restart.
    let daemon = world.daemon();
    std::fs::remove_file(world.path().join("sessions/sales-1.session")).unwrap();
    world
        .sandbox
        .write_sessions(&world.path().join("sessions"))
        .await
        .unwrap();
    world
        .until("everybody was written to", |world| world.who().len() == 3)
        .await;
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_lost_after_the_last_message_still_asks_for_a_login() {
    let world = under_way(&["sales-1", "sales-2"], 4).await;
    world.sandbox.fault(
        FaultRule::error("SESSION_REVOKED")
            .method(SEND)
            .account("sales-2"),
    );
    assert_eq!(world.once().await.unwrap(), ExitKind::NeedsPerson);
    let campaign = world.campaign("hello").await;
    assert_eq!(
        condition(&campaign, "Succeeded"),
        "True AllSettled",
        "{campaign:#}"
    );
    assert_eq!(world.account("sales-2").await["state"], "unauthorized");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_uploaded_file_that_telegram_forgot_is_uploaded_again() {
    let world = world(&crowd(4)).await;
    world.write(
        "campaigns/banner.png",
        b"\x89PNG\r\n\x1a\n not much of a picture",
    );
    world.write(
        "campaigns/hello.yaml",
        mailing(
            "hello",
            "sales-1",
            "templates: [{name: a, text: 'Look', media: banner.png}]\n",
        ),
    );
    world.sandbox.fault(
        FaultRule::error("FILE_REFERENCE_EXPIRED")
            .method("messages.sendMedia")
            .nth(2),
    );
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    assert_eq!(world.who().len(), 4);
    assert_nobody_twice(&world);
    assert_eq!(world.calls("upload.saveFilePart").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_a_server_error_ends_is_tried_again_by_itself() {
    let world = world(&crowd(2)).await;
    world.write(
        "campaigns/banner.png",
        b"\x89PNG\r\n\x1a\n not much of a picture",
    );
    world.write(
        "campaigns/hello.yaml",
        mailing(
            "hello",
            "sales-1",
            "templates: [{name: a, text: 'Look', media: banner.png}]\n",
        ),
    );
    world.sandbox.fault(
        FaultRule::error("INTERNAL_SERVER_ERROR")
            .method("upload.saveFilePart")
            .nth(1),
    );
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    assert_eq!(world.who().len(), 2);
    assert_nobody_twice(&world);
    assert_eq!(world.calls("upload.saveFilePart").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_own_account_that_cannot_connect_is_known_by_its_session_file_and_not_written_to() {
    use grammers_session::Session as _;
    let world = world(&crowd_of(&["sales-1", "sales-2"], 3)).await;
    // A file of before, whose server is gone.
    let file = world.path().join("sessions/sales-2.session");
    {
        let session = grammers_session::storages::SqliteSession::open(&file)
            .await
            .unwrap();
        let mut option = world.sandbox.dc_option(1);
        option.ipv4.set_port(1);
        session.set_dc_option(&option).await.unwrap();
    }
    world.write("campaigns/hello.yaml", mailing("hello", "sales-1", ""));
    let telegram = Arc::new(Impatient(Duration::from_secs(5)));
    world
        .once_on(telegram, Duration::from_secs(10))
        .await
        .unwrap();
    assert_eq!(world.who(), [101, 102, 103]);
    let campaign = world.campaign("hello").await;
    assert_eq!(
        campaign["audience"]["excluded"]["own_account"], 2,
        "{campaign:#}"
    );
    assert_eq!(world.account("sales-2").await["state"], "unreachable");
}

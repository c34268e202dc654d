//! What waits while nobody has read what somebody wrote.

use tidings::control::Clock;
use tidings::model::{TalkChange, Timestamp};
use tidings::sandbox::{AiFaultKind, AiFaultRule, AiSpec};

use super::common::mailing;
use super::common::talk::{change, replies, says, talking, until_got, until_list};
use super::people;

/// An hour of the engine's time takes 200 ms.
const SPEED: f64 = 18_000.0;

fn fast() -> Clock {
    Clock::speeded(SPEED, Timestamp(chrono::Utc::now().timestamp_millis()))
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_a_follow_up_while_what_he_wrote_may_be_a_refusal_that_nobody_has_read() {
    let failing = AiFaultRule {
        nth: None,
        after: 0,
        every: None,
        times: Some(12),
        kind: AiFaultKind::ServerError,
        retry_after: None,
        delay: None,
    };
    let ai = AiSpec {
        tool_words: [("spare me".to_owned(), "opt_out".to_owned())].into(),
        faults: vec![failing],
        ..replies(&["Yes."])
    };
    let world = talking(&people(3, ""), ai, "").await;
    let rest = "ai_role: {prompt: 'You are Mia.', delay: 0s}
follow_ups: [{after: 8h, if: always, templates: [{name: last, text: 'Bye, {{ contact.first_name }}'}]}]
";
    world.write("campaigns/hello.yaml", mailing("hello", "sales-1", rest));
    let daemon = world.daemon_by(fast());
    for person in 101..104 {
        until_got(&world, person, 1).await;
    }
    says(&world, 101, "Please spare me that");
    says(&world, 102, "How much is it?");
    until_list(&world, "needs_human", "the model fails for both", |all| {
        all.len() == 2
    })
    .await;
    // Who was silent gets the last step, and they do not: it was due to them first.
    assert_eq!(until_got(&world, 103, 2).await[1], "Bye, P103");
    let (code, told, errors) = world.cli(&["explain", "hello", "id:101"]).await;
    assert_eq!(code, 0, "{errors}");
    let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("Follow-up 1 waits: Held."), "{told}");
    assert_eq!(
        (world.texts_to(101).len(), world.texts_to(102).len()),
        (1, 1)
    );
    // The model reads it after all.
    for person in [101, 102] {
        change(&world, person, TalkChange::Returned).await;
    }
    let got = until_got(&world, 102, 3).await;
    assert!(got[1].ends_with("Yes."), "{got:?}");
    assert_eq!(got[2], "Bye, P102");
    let got = until_got(&world, 101, 2).await;
    assert_eq!(got[1], "You won't hear from us again.");
    let campaign = world
        .until_campaign("hello", "the steps are over", |c| {
            c["steps"][0]["pending"] == 0
        })
        .await;
    assert_eq!(campaign["steps"][0]["skipped"], 1, "{campaign:#}");
    daemon.stop().await.unwrap();
    assert_eq!(world.texts_to(101).len(), 2);
}

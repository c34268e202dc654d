//! `run --once` does what is due now, however small its horizon is.

use tidings::sandbox::{Effect, FaultRule};

use super::child::{Place, Tally, ends_with, err};
use super::common::{FAST, crowd_of};
use super::hello;

/// People who are named by a file.
const LIST: &str = "consent: {basis: customers}\nsources: [{type: file, path: people.csv}]\n";

async fn place_with(accounts: &[&str]) -> Place {
    Place::new(&crowd_of(accounts, 3), FAST).await
}

fn spec(accounts: &[&str], source: &str, rest: &str) -> String {
    hello("spring", &accounts.join(", "), &format!("{source}{rest}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_due_is_written_to_whatever_the_horizon() {
    for accounts in [&["sales-1"][..], &["sales-1", "sales-2"]] {
        for source in ["", LIST] {
            for horizon in ["0s", "1s", "2s", "4s"] {
                let what = format!("{accounts:?} {source:?} {horizon}");
                let place = place_with(accounts).await;
                place.write(
                    "campaigns/people.csv",
                    "username\nperson101\nperson102\nperson103\n",
                );
                place.write("campaigns/spring.yaml", spec(accounts, source, ""));
                let ended = place.run(&["run", "--once", "--horizon", horizon]);
                ends_with(&ended, 0);
                let tally = Tally::of(&place.sandbox);
                tally.is_clean(&place.log());
                assert_eq!(tally.who("spring").len(), 3, "{what}: {}", err(&ended));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_before_which_typing_is_shown_is_due_and_one_that_a_delay_keeps_is_not() {
    let place = place_with(&["sales-1"]).await;
    let delays = "delays: {between_messages: 60s, typing: 2s, per_account: {per_day: 100}}\n";
    place.write("campaigns/spring.yaml", spec(&["sales-1"], "", delays));
    ends_with(&place.run(&["run", "--once", "--horizon", "0s"]), 0);
    assert_eq!(Tally::of(&place.sandbox).messages, 1);
    ends_with(&place.run(&["run", "--once", "--horizon", "1s"]), 0);
    assert_eq!(
        Tally::of(&place.sandbox).messages,
        1,
        "the delay is not over"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_cannot_be_reached_keeps_the_others_from_nothing() {
    for horizon in ["0s", "2s"] {
        let place = place_with(&["sales-1", "sales-2"]).await;
        place
            .sandbox
            .fault(FaultRule::new(Effect::DropBefore).account("sales-2"));
        let accounts = &["sales-1", "sales-2"];
        place.write("campaigns/spring.yaml", spec(accounts, "", ""));
        let ended = place.run(&["run", "--once", "--horizon", horizon]);
        let tally = Tally::of(&place.sandbox);
        assert_eq!(tally.messages, 3, "{horizon}: {}", err(&ended));
    }
    // One that answers the second time is as good.
    let place = place_with(&["sales-1"]).await;
    place
        .sandbox
        .fault(FaultRule::new(Effect::DropBefore).nth(1));
    place.write("campaigns/spring.yaml", spec(&["sales-1"], "", ""));
    let ended = place.run(&["run", "--once", "--horizon", "0s"]);
    assert_eq!(Tally::of(&place.sandbox).messages, 3, "{}", err(&ended));
}

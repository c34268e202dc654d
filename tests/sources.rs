//! Where people come from: who wrote, who commented, who is a member, who is known, what was collected.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{World, assert_nobody_twice, condition, mailing, message, waits, world};
use tidings::control::ExitKind;
use tidings::sandbox::FaultRule;

/// A mailing of one account; the sources and their basis as given.
fn from(basis: &str, sources: &str) -> String {
    mailing(
        "hello",
        "sales-1",
        &format!("consent: {{basis: {basis}}}\nsources:\n  - {sources}\n"),
    )
}

async fn sent(world: &World, spec: &str) -> Vec<i64> {
    world.write("campaigns/hello.yaml", spec);
    let ended = world.once().await.unwrap();
    let campaign = world.campaign("hello").await;
    assert_eq!(ended, ExitKind::Done, "{campaign:#}");
    assert_nobody_twice(world);
    world.who()
}

fn source(campaign: &serde_json::Value, at: usize) -> &serde_json::Value {
    &campaign["audience"]["sources"][at]
}

// ---------------------------------------------------------------------------------------------------------------------
// authors

const TALK: &str = "
accounts: [{name: sales-1}]
people:
  - {id: 101, username: anna, first_name: Anna}
  - {id: 102, first_name: Boris}
  - {id: 103, username: carol, first_name: Carol}
  - {id: 104, first_name: Dmitri}
  - {id: 105, username: helper_bot, bot: true}
groups:
  - title: Meetup
    username: meetup
    creator: sales-1
    members: all
    history:
      - {from: '@carol', text: long ago, ago: 40d}
      - {from: '@anna', text: first, ago: 20d}
      - {anonymous: true, text: from the admins, ago: 10d}
      - {from: 102, text: hello, ago: 5d}
      - {from: '@anna', text: again, ago: 3d}
      - {from: '@helper_bot', text: beep, ago: 2d}
      - {from: sales-1, text: ours, ago: 1d}
";

#[tokio::test(flavor = "multi_thread")]
async fn authors_are_those_who_wrote_within_the_time() {
    let world = world(TALK).await;
    let who = sent(
        &world,
        &from("members", "{type: authors, peer: '@meetup', within: 30d}"),
    )
    .await;
    assert_eq!(who, [101, 102]);
    let campaign = world.campaign("hello").await;
    assert_eq!(campaign["audience"]["excluded"]["bot"], 1, "{campaign:#}");
    assert_eq!(campaign["audience"]["excluded"]["own_account"], 1);
    let source = source(&campaign, 0);
    assert_eq!(
        (source["type"].as_str(), source["peer"].as_str()),
        (Some("authors"), Some("@meetup"))
    );
    assert_eq!(
        (source["found"].as_u64(), source["complete"].as_bool()),
        (Some(4), Some(true))
    );
    assert!(source["error"].is_null(), "{source:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_time_authors_are_all_who_ever_wrote() {
    let world = world(TALK).await;
    let who = sent(&world, &from("members", "{type: authors, peer: '@meetup'}")).await;
    assert_eq!(who, [101, 102, 103]);
}

#[tokio::test(flavor = "multi_thread")]
async fn authors_of_a_place_where_no_account_is_admin_need_another_basis() {
    let world = world(&TALK.replace("creator: sales-1", "creator: '@anna'")).await;
    world.write(
        "campaigns/hello.yaml",
        from("members", "{type: authors, peer: '@meetup'}"),
    );
    assert_eq!(world.once().await.unwrap(), ExitKind::NeedsPerson);
    let campaign = world.campaign("hello").await;
    assert_eq!(
        condition(&campaign, "Ready"),
        "False ConsentMismatch",
        "{campaign:#}"
    );
    assert!(world.delivered().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_history_is_read_page_by_page_and_each_author_once() {
    let mut yaml = String::from("accounts: [{name: sales-1}]\npeople:\n");
    for id in 101..131 {
        yaml.push_str(&format!("  - {{id: {id}, first_name: P{id}}}\n"));
    }
    yaml.push_str("groups:\n  - title: Meetup\n    username: meetup\n    creator: sales-1\n    members: all\n    history:\n");
    for n in 0..350 {
        yaml.push_str(&format!(
            "      - {{from: {}, text: x, ago: {}m}}\n",
            101 + n % 30,
            400 - n
        ));
    }
    let world = world(&yaml).await;
    let who = sent(
        &world,
        &from("members", "{type: authors, peer: '@meetup', within: 30d}"),
    )
    .await;
    assert_eq!(who, (101..131).collect::<Vec<i64>>());
    let pages = world.calls("messages.getHistory");
    assert_eq!(pages.len(), 4, "350 messages are four pages of 100");
    assert!(pages.iter().all(|page| page.count <= Some(100)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_ends_the_reading() {
    let world = world(TALK).await;
    world.write(
        "campaigns/hello.yaml",
        from("members", "{type: authors, peer: '@meetup', limit: 3}"),
    );
    world.once().await.unwrap();
    let campaign = world.campaign("hello").await;
    assert_eq!(campaign["audience"]["found"], 3, "{campaign:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_in_outlines_is_asked_for_by_his_message_and_can_be_written_to() {
    let world =
        world(&TALK.replace("    members: all", "    members: all\n    min_users: true")).await;
    let who = sent(
        &world,
        &from("members", "{type: authors, peer: '@meetup', within: 30d}"),
    )
    .await;
    assert_eq!(who, [101, 102]);
    assert!(!world.calls("users.getUsers").is_empty());
    assert_eq!(world.texts_to(102), ["Hi Boris!"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stays_in_outlines_is_found_and_reached_by_his_username_only() {
    let world =
        world(&TALK.replace("    members: all", "    members: all\n    min_users: true")).await;
    world.sandbox.fault(
        FaultRule::error("MSG_ID_INVALID")
            .method("users.getUsers")
            .after(1),
    );
    let who = sent(
        &world,
        &from("members", "{type: authors, peer: '@meetup', within: 30d}"),
    )
    .await;
    let campaign = world.campaign("hello").await;
    assert_eq!(who, [101], "{campaign:#}");
    assert_eq!(campaign["audience"]["included"], 2, "{campaign:#}");
    assert_eq!(campaign["outcomes"]["unreachable"], 1, "{campaign:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn authors_of_a_channel_are_an_error_that_says_what_to_do() {
    let world = world(&TALK.replace("title: Meetup", "kind: channel\n    title: Meetup")).await;
    world.write(
        "campaigns/hello.yaml",
        from("members", "{type: authors, peer: '@meetup'}"),
    );
    assert_eq!(world.once().await.unwrap(), ExitKind::NeedsPerson);
    let campaign = world.campaign("hello").await;
    assert_eq!(
        condition(&campaign, "Ready"),
        "False SourceFailed",
        "{campaign:#}"
    );
    assert!(
        message(&campaign, "Ready").contains("commenters"),
        "{campaign:#}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn authors_of_a_basic_group_are_found_too() {
    let world = world(
        "
accounts: [{name: sales-1}]
people:
  - {id: 101, first_name: Anna}
  - {id: 102, first_name: Boris}
groups:
  - title: Friends
    kind: basic
    id: 77
    creator: sales-1
    members: all
    history:
      - {from: 102, text: hello, ago: 5d}
",
    )
    .await;
    let who = sent(&world, &from("members", "{type: authors, peer: {id: 77}}")).await;
    assert_eq!(who, [102]);
}

// ---------------------------------------------------------------------------------------------------------------------
// contacts and dialogs

const KNOWN: &str = "
accounts:
  - name: sales-1
    contacts: ['@anna', 102]
    dialogs:
      - {with: '@carol', messages: [{text: hi, ago: 3d}]}
      - {with: 104, messages: [{text: 'how much?', ago: 10d}, {out: true, text: ten, ago: 1d}]}
      - {with: 105, messages: [{out: true, text: 'an offer', ago: 2d}]}
      - {with: 106, messages: [{text: 'long ago', ago: 200d}]}
      - {with: 107, messages: [{text: beep, ago: 1d}]}
      - {with: 108, messages: [{text: bye, ago: 1d}]}
      - {with: 109, messages: [{text: 'long ago', ago: 200d}, {out: true, text: 'hello?', ago: 1d}]}
people:
  - {id: 101, username: anna, first_name: Anna, phone: '+15550200101'}
  - {id: 102, first_name: Boris}
  - {id: 103, username: carol, first_name: Carol}
  - {id: 104, first_name: Dmitri}
  - {id: 105, first_name: Eve}
  - {id: 106, first_name: Fay}
  - {id: 107, username: helper_bot, bot: true}
  - {id: 108, deleted: true}
  - {id: 109, first_name: Gil}
";

#[tokio::test(flavor = "multi_thread")]
async fn contacts_are_the_accounts_address_books() {
    let world = world(KNOWN).await;
    assert_eq!(
        sent(&world, &from("contacts", "{type: contacts}")).await,
        [101, 102]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn dialogs_are_those_who_have_written_lately() {
    let world = world(KNOWN).await;
    let who = sent(&world, &from("inbound", "{type: dialogs, within: 90d}")).await;
    let campaign = world.campaign("hello").await;
    assert_eq!(who, [103, 104], "{campaign:#}");
    assert_eq!(campaign["audience"]["excluded"]["bot"], 1, "{campaign:#}");
    assert_eq!(
        campaign["audience"]["excluded"]["deleted"], 1,
        "{campaign:#}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_time_dialogs_are_all_who_have_ever_written() {
    let world = world(KNOWN).await;
    let who = sent(&world, &from("customers", "{type: dialogs}")).await;
    assert_eq!(who, [103, 104, 106, 109]);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_dialogs_are_read_in_pages() {
    let mut yaml = String::from("accounts:\n  - name: sales-1\n    dialogs:\n");
    for id in 1001..1251 {
        let out = if id % 2 == 0 { "out: true, " } else { "" };
        yaml.push_str(&format!(
            "      - {{with: {id}, messages: [{{text: hi, ago: 2d}}, {{{out}text: x, ago: {}m}}]}}\n",
            id - 1000
        ));
    }
    yaml.push_str("people:\n");
    for id in 1001..1251 {
        yaml.push_str(&format!("  - {{id: {id}, first_name: P}}\n"));
    }
    let world = world(&yaml).await;
    let who = sent(&world, &from("inbound", "{type: dialogs, within: 90d}")).await;
    assert_eq!(who, (1001..1251).collect::<Vec<i64>>());
    assert!(world.calls("messages.getDialogs").len() >= 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_whom_four_sources_name_is_one_recipient() {
    let world = world(KNOWN).await;
    world.write("campaigns/people.csv", "phone,city\n+15550200101,Kazan\n");
    world.write(
        "campaigns/hello.yaml",
        mailing(
            "hello",
            "sales-1",
            "consent: {basis: customers}
sources:
  - {type: contacts}
  - {type: list, peers: ['@Anna', {id: 101}]}
  - {type: file, path: people.csv}
  - {type: dialogs, within: 90d}
templates: [{name: a, text: \"{{ contact.first_name }} of {{ contact.fields.city | default('nowhere') }}\"}]
",
        ),
    );
    world.once().await.unwrap();
    let campaign = world.campaign("hello").await;
    assert_eq!(world.who(), [101, 102, 103, 104], "{campaign:#}");
    assert_eq!(world.texts_to(101), ["Anna of Kazan"]);
    assert_nobody_twice(&world);
    assert!(world.calls("contacts.importContacts").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn dialogs_of_every_account_must_be_known_before_they_leave_anybody_out() {
    let world = world(
        "
accounts:
  - {name: sales-1}
  - {name: sales-2, dialogs: [{with: 102, messages: [{text: 'leave me', ago: 1d}]}]}
people:
  - {id: 101, first_name: Anna}
  - {id: 102, first_name: Boris}
groups:
  - {title: Meetup, username: meetup, creator: sales-1, admins: [sales-2], members: all}
",
    )
    .await;
    world.sandbox.fault(
        FaultRule::error("FLOOD_WAIT_1")
            .method("messages.getDialogs")
            .account("sales-2")
            .nth(1),
    );
    world.write(
        "campaigns/hello.yaml",
        mailing(
            "hello",
            "sales-1, sales-2",
            "filters: {exclude: [{type: dialogs}]}\n",
        ),
    );
    world.once().await.unwrap();
    let campaign = world.campaign("hello").await;
    assert_eq!(world.who(), [101], "{campaign:#}");
    assert_eq!(
        campaign["audience"]["excluded"]["excluded"], 1,
        "{campaign:#}"
    );
}

// ---------------------------------------------------------------------------------------------------------------------
// look-ups that are slowed down or broken off

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_is_waited_out_and_the_same_page_is_asked_for_again() {
    let world = world(TALK).await;
    world.sandbox.fault(
        FaultRule::error("FLOOD_WAIT_1")
            .method("messages.getHistory")
            .nth(1),
    );
    let who = sent(
        &world,
        &from("members", "{type: authors, peer: '@meetup', within: 30d}"),
    )
    .await;
    assert_eq!(who, [101, 102]);
    assert_eq!(world.calls("messages.getHistory").len(), 2);
    assert_eq!(
        world.calls("contacts.resolveUsername").len(),
        1,
        "the place was found once"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_wait_is_reported_and_begins_no_look_up_anew_over_a_restart() {
    let mut yaml = common::crowd(450);
    yaml.push_str("faults: []\n");
    let world = world(&yaml).await;
    world.write("campaigns/hello.yaml", mailing("hello", "sales-1", ""));
    world.sandbox.fault(
        FaultRule::error("FLOOD_WAIT_7")
            .method("channels.getParticipants")
            .nth(3),
    );
    // Within its horizon of five seconds nothing more can happen: it ends, two pages read.
    world.once().await.unwrap();
    let campaign = world.campaign("hello").await;
    assert_eq!(waits(&campaign), "", "{campaign:#}");
    assert_eq!(
        condition(&campaign, "Ready"),
        "True FloodWait",
        "{campaign:#}"
    );
    assert_eq!(source(&campaign, 0)["reading"], 400, "{campaign:#}");
    assert_eq!(source(&campaign, 0)["total"], 451, "{campaign:#}");
    assert!(
        message(&campaign, "Ready").contains("400 of 451"),
        "{campaign:#}"
    );
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    world.once().await.unwrap();
    assert_eq!(world.who().len(), 450);
    let offsets: Vec<_> = world
        .calls("channels.getParticipants")
        .into_iter()
        .filter_map(|e| e.offset)
        .collect();
    // What Telegram refused is in the ledger without a place.
    assert_eq!(offsets, [0, 200, 400], "no page is read twice");
    assert_eq!(world.calls("channels.getParticipants").len(), 4);
    assert_eq!(world.calls("contacts.resolveUsername").len(), 1);
}

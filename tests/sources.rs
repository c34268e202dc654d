//! Where people come from: who wrote, who commented, who is a member, who is known, what was collected.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{
    World, assert_nobody_twice, condition, hello_from as from, mailing, message, waits, world,
};
use tidings::control::ExitKind;
use tidings::sandbox::FaultRule;

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
            // Of whoever listens, and of the look-up.
            .times(2),
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
        FaultRule::error("FLOOD_WAIT_3600")
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
    // An hour and some more later.
    let now = tidings::control::Clock::default().now();
    let later = now + std::time::Duration::from_secs(4000);
    world.once_at(later).await.unwrap();
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

#[tokio::test(flavor = "multi_thread")]
async fn a_look_up_that_was_killed_goes_on_from_its_page() {
    let world = world(&common::crowd(450)).await;
    world.write("campaigns/hello.yaml", mailing("hello", "sales-1", ""));
    // The third page never comes, and the engine is stopped meanwhile.
    world.sandbox.fault(
        tidings::sandbox::FaultRule::new(tidings::sandbox::Effect::SilentBefore)
            .method("channels.getParticipants")
            .nth(3),
    );
    let daemon = world.daemon();
    world
        .until("the third page is asked for", |w| {
            w.calls("channels.getParticipants").len() == 3
        })
        .await;
    daemon.stop().await.unwrap();
    world.once().await.unwrap();
    assert_eq!(world.who().len(), 450);
    assert_nobody_twice(&world);
    let offsets: Vec<_> = world
        .calls("channels.getParticipants")
        .into_iter()
        .filter(|e| e.effect)
        .filter_map(|e| e.offset)
        .collect();
    assert_eq!(offsets, [0, 200, 400]);
}

// ---------------------------------------------------------------------------------------------------------------------
// commenters

const CHANNEL: &str = "
accounts: [{name: sales-1}]
people:
  - {id: 101, username: anna, first_name: Anna}
  - {id: 102, first_name: Boris}
  - {id: 103, username: carol, first_name: Carol}
  - {id: 104, first_name: Dmitri}
groups:
  - title: News
    kind: channel
    username: our_news
    creator: sales-1
    members: [101]
    discussion: our_chat
    history:
      - {text: old, ago: 9d, comments: [{from: '@carol', text: c, ago: 9d}]}
      - {text: silent, ago: 5d}
      - {text: new, ago: 2d, comments: [{from: 102, text: a, ago: 2d}, {from: '@anna', text: b, ago: 1d}, {from: 102, text: c, ago: 1d}]}
  - title: Chat
    username: our_chat
    creator: sales-1
    history: [{from: 104, text: 'no comment', ago: 1d}]
";

#[tokio::test(flavor = "multi_thread")]
async fn commenters_are_those_who_wrote_under_the_last_posts() {
    let world = world(CHANNEL).await;
    let who = sent(
        &world,
        &from("members", "{type: commenters, peer: '@our_news', posts: 2}"),
    )
    .await;
    assert_eq!(who, [101, 102]);
    let campaign = world.campaign("hello").await;
    assert_eq!(source(&campaign, 0)["complete"], true, "{campaign:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn commenters_in_outlines_are_asked_for_by_their_comments() {
    let world = world(&CHANNEL.replace(
        "username: our_chat",
        "username: our_chat\n    min_users: true",
    ))
    .await;
    let who = sent(
        &world,
        &from(
            "members",
            "{type: commenters, peer: '@our_news', posts: 50}",
        ),
    )
    .await;
    assert_eq!(who, [101, 102, 103]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_without_a_discussion_group_says_so() {
    let world = world(&CHANNEL.replace("    discussion: our_chat\n", "")).await;
    world.write(
        "campaigns/hello.yaml",
        from("members", "{type: commenters, peer: '@our_news'}"),
    );
    assert_eq!(world.once().await.unwrap(), ExitKind::NeedsPerson);
    let campaign = world.campaign("hello").await;
    assert!(
        message(&campaign, "Ready").contains("no discussion group"),
        "{campaign:#}"
    );
}

// ---------------------------------------------------------------------------------------------------------------------
// members of every kind of place, and those whom Telegram does not show

#[tokio::test(flavor = "multi_thread")]
async fn members_of_a_basic_group_are_read_whole() {
    let world = world(
        "
accounts: [{name: sales-1}]
people: [{id: 101, first_name: Anna}, {id: 102, first_name: Boris}]
groups: [{title: Friends, kind: basic, id: 77, creator: sales-1, members: all}]
",
    )
    .await;
    let who = sent(&world, &from("members", "{type: members, peer: {id: 77}}")).await;
    assert_eq!(who, [101, 102]);
}

#[tokio::test(flavor = "multi_thread")]
async fn members_of_an_own_channel_are_read_up_to_telegrams_cap_which_is_reported() {
    let yaml = common::crowd(6).replace("title: Meetup", "title: Meetup, kind: channel, listed: 4");
    let world = world(&yaml).await;
    world.write("campaigns/hello.yaml", mailing("hello", "sales-1", ""));
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    let campaign = world.campaign("hello").await;
    let source = source(&campaign, 0);
    assert_eq!(source["complete"], false, "{source:#}");
    assert_eq!(source["found"], 4);
    let why = source["partial"].as_str().unwrap();
    assert!(
        why.contains("4 of 7") && why.contains("commenters"),
        "{why}"
    );
}

/// Telegram's own caps, at their full size: about 10,000 of a group, 200 of a channel.
#[tokio::test(flavor = "multi_thread")]
async fn places_beyond_telegrams_caps_are_read_partly_with_the_way_to_more() {
    let people: String = (101..10_601)
        .map(|id| format!("  - {{id: {id}}}\n"))
        .collect();
    let world = world(&format!(
        "accounts: [{{name: sales-1}}]
people:
{people}groups:
  - {{title: Big, username: big_group, creator: sales-1, members: all}}
  - {{title: News, username: big_news, kind: channel, creator: sales-1, members: 250}}
"
    ))
    .await;
    let gather = |name: &str, place: &str| {
        format!(
            "version: 1\nname: {name}\nkind: collect\naccounts: [sales-1]\nconsent: {{basis: members}}\n\
             sources: [{{type: members, peer: '{place}'}}]\n"
        )
    };
    world.write("campaigns/group.yaml", gather("group", "@big_group"));
    world.write("campaigns/news.yaml", gather("news", "@big_news"));
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    for (name, found, why) in [
        (
            "group",
            10_000,
            "Telegram listed 10000 of 10501 members: of a group it lists about 10,000 at most; a source of type \
             `authors` finds those who write there, whoever may list the members",
        ),
        (
            "news",
            200,
            "Telegram listed 200 of 251 members: of a channel it lists about 200 at most; a source of type \
             `commenters` finds those who comment under its posts",
        ),
    ] {
        let campaign = world.campaign(name).await;
        let source = source(&campaign, 0);
        assert_eq!(source["found"], found, "{name}");
        assert_eq!(source["complete"], false, "{name}");
        assert_eq!(source["error"], serde_json::Value::Null, "{name}");
        assert_eq!(source["partial"], why, "{name}");
        let (code, text, _) = world.cli(&["status", name]).await;
        assert!(code == 0 && text.contains(why), "{text}");
        let (code, text, _) = world.cli(&["plan", name]).await;
        assert!(code == 0 && text.contains(why), "{text}");
        let (_, json, _) = world.cli(&["plan", name, "-o", "json"]).await;
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let planned = &json["campaigns"][0]["sources"][0];
        assert_eq!(planned["complete"], false, "{name}");
        assert_eq!(planned["partial"], why, "{name}");
    }
    let pages = world.calls("channels.getParticipants").len();
    assert!((52..80).contains(&pages), "pages of 200: {pages}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hidden_members_are_partial_and_authors_are_named_as_the_way() {
    let yaml = common::crowd(6).replace("title: Meetup", "title: Meetup, hidden_members: true");
    let world = world(&yaml.replace("creator: sales-1", "creator: '@person101'")).await;
    world.write(
        "tidings.yaml",
        format!(
            "{}opt_out: {{notice: \"Say 'stop' to hear no more.\"}}\n",
            common::FAST
        ),
    );
    world.write(
        "campaigns/hello.yaml",
        mailing("hello", "sales-1", "consent: {basis: attested}\n"),
    );
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    let campaign = world.campaign("hello").await;
    let source = source(&campaign, 0);
    assert_eq!(source["complete"], false, "{source:#}");
    assert!(
        source["partial"].as_str().unwrap().contains("`authors`"),
        "{source:#}"
    );
    assert_eq!(world.who(), [101], "only its admin is shown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_shows_its_members_to_admins_only_holds_no_other_source_up() {
    let yaml = common::crowd(3).replace("title: Meetup", "title: Meetup, kind: channel");
    let world = world(&yaml.replace("creator: sales-1", "creator: '@person101'")).await;
    world.write(
        "campaigns/hello.yaml",
        mailing(
            "hello",
            "sales-1",
            "consent: {basis: customers}
sources:
  - {type: members, peer: '@meetup', basis: members}
  - {type: list, peers: ['@person102']}
",
        ),
    );
    world.once().await.unwrap();
    let campaign = world.campaign("hello").await;
    assert_eq!(world.who(), [102], "{campaign:#}");
    let error = source(&campaign, 0)["error"].as_str().unwrap();
    assert!(
        error.contains("CHAT_ADMIN_REQUIRED") && error.contains("admin"),
        "{error}"
    );
}

// ---------------------------------------------------------------------------------------------------------------------
// who can reach whom

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_talked_with_somebody_keeps_him() {
    let world = world(&common::crowd_of(&["sales-1", "sales-2"], 8)).await;
    world.write(
        "campaigns/first.yaml",
        mailing("first", "sales-2", "filters: {where: contact.id < 105}\n"),
    );
    world.once().await.unwrap();
    assert_eq!(world.by("sales-2").len(), 4);
    world.sandbox.ledger().clear();
    world.write(
        "campaigns/second.yaml",
        mailing("second", "sales-1, sales-2", ""),
    );
    world.once().await.unwrap();
    assert_eq!(world.who().len(), 8);
    let kept = world.by("sales-2");
    for id in 101..105 {
        assert!(kept.contains(&format!("user:{id}")), "{kept:?}");
    }
    assert!(!world.by("sales-1").is_empty(), "the others are shared");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_account_leaves_its_people_to_those_who_can_reach_them_and_to_nobody_else() {
    let world = world(
        "
accounts: [{name: sales-1}, {name: sales-2}]
people:
  - {id: 101, first_name: Anna}
  - {id: 102, first_name: Boris}
  - {id: 103, username: carol, first_name: Carol}
groups:
  - {title: Meetup, username: meetup, creator: sales-1, admins: [sales-2], members: [101, 102]}
  - {title: Inner, id: 55, creator: sales-1, accounts: [sales-1], members: [103]}
",
    )
    .await;
    let spec = mailing(
        "hello",
        "sales-1, sales-2",
        "sources: [{type: members, peer: '@meetup'}, {type: members, peer: {id: 55}}]\npaused: true\n",
    );
    world.write(
        "campaigns/hello.yaml",
        spec.replace(
            "paused: true",
            "schedule: {timezone: UTC, start: 2099-01-01T00:00}",
        ),
    );
    world.once().await.unwrap();
    // They are looked up first, then the account is lost, then the mailing begins.
    world.write(
        "campaigns/hello.yaml",
        spec.replace("paused: true\n", "canary: 1\n"),
    );
    world.once().await.unwrap();
    assert_eq!(world.who().len(), 1);
    world
        .sandbox
        .fault(FaultRule::error("AUTH_KEY_UNREGISTERED").account("sales-1"));
    world.write("campaigns/hello.yaml", spec.replace("paused: true\n", ""));
    world.once().await.unwrap();
    let campaign = world.campaign("hello").await;
    assert!(
        !world.by("sales-2").contains(&"user:103".to_owned()),
        "{campaign:#}"
    );
    assert!(
        world.who().contains(&101) && world.who().contains(&102),
        "{campaign:#}"
    );
    assert_nobody_twice(&world);
    if !world.who().contains(&103) {
        assert_eq!(waits(&campaign), "AccountUnavailable 1", "{campaign:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_takes_first_whom_only_it_can_reach() {
    let world = world(
        "
accounts: [{name: sales-1}, {name: sales-2}]
people:
  - {id: 101, first_name: Anna}
  - {id: 102, first_name: Boris}
  - {id: 103, first_name: Carol}
  - {id: 104, first_name: Dmitri}
groups:
  - {title: Meetup, username: meetup, creator: sales-1, admins: [sales-2], members: [101, 102]}
  - {title: Inner, id: 55, creator: sales-1, accounts: [sales-1], members: [103, 104]}
",
    )
    .await;
    world.write(
        "campaigns/hello.yaml",
        mailing(
            "hello",
            "sales-1, sales-2",
            "sources: [{type: members, peer: '@meetup'}, {type: members, peer: {id: 55}}]
delays: {between_messages: 0s, per_account: {per_day: 2}}
",
        ),
    );
    world.once().await.unwrap();
    assert_eq!(world.by("sales-1"), ["user:103", "user:104"]);
    assert_eq!(world.by("sales-2"), ["user:101", "user:102"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn look_ups_of_usernames_spend_a_daily_allowance_that_outlives_a_restart() {
    let world = world("accounts: [{name: sales-1}]\n").await;
    world.write(
        "tidings.yaml",
        "version: 1\ntelegram: {api_id: 12345, api_hash: loopback}\nlimits: {min_delay: 0s, approve_over: null}\n",
    );
    let names: String = (0..203).map(|n| format!("@nobody_{n}\n")).collect();
    world.write("campaigns/names.txt", names);
    world.write(
        "campaigns/hello.yaml",
        mailing(
            "hello",
            "sales-1",
            "consent: {basis: customers}
sources: [{type: file, path: names.txt}]
delays: {between_messages: 0s, per_account: {per_day: 60}}
",
        ),
    );
    world.once().await.unwrap();
    world.once().await.unwrap();
    let campaign = world.campaign("hello").await;
    assert_eq!(campaign["outcomes"]["not_found"], 200, "{campaign:#}");
    assert_eq!(waits(&campaign), "AccountCap 3", "{campaign:#}");
    assert_eq!(world.calls("contacts.resolveUsername").len(), 200);
    let account = world.account("sales-1").await;
    assert_eq!(
        (
            &account["lookups_today"],
            &account["lookup_allowance_today"]
        ),
        (&200.into(), &200.into())
    );
    assert!(
        account["message"].as_str().unwrap().contains("allowance"),
        "{account:#}"
    );
}

// ---------------------------------------------------------------------------------------------------------------------
// files

#[tokio::test(flavor = "multi_thread")]
async fn a_file_in_any_encoding_separator_and_order_becomes_messages() {
    let people = "
accounts: [{name: sales-1}]
people:
  - {id: 101, username: anna, first_name: Anna}
  - {id: 102, username: boris, first_name: Boris}
  - {id: 103, phone: '+15550200103', first_name: Carol}
";
    let table = "Город;НИК;Телефон\r\nКазань;@anna;\r\n\"Пермь; центр\";boris;\r\nОмск;;+1 555 020 0103\r\n;;12345\r\n";
    let utf16: Vec<u8> = [0xff, 0xfe]
        .into_iter()
        .chain(table.encode_utf16().flat_map(u16::to_le_bytes))
        .collect();
    // Of cp1251 every letter of this table stands at a fixed distance.
    let cp1251: Vec<u8> = table
        .chars()
        .map(|c| match c {
            'А'..='я' => u8::try_from(c as u32 - 'А' as u32 + 0xc0).unwrap(),
            other => u8::try_from(other as u32).unwrap(),
        })
        .collect();
    for (what, bytes) in [
        ("UTF-8", table.as_bytes().to_vec()),
        ("UTF-8 with a mark", format!("\u{feff}{table}").into_bytes()),
        (
            "commas",
            table
                .replace("\"Пермь; центр\"", "Пермь")
                .replace(';', ",")
                .into_bytes(),
        ),
        ("UTF-16", utf16),
        ("cp1251", cp1251),
    ] {
        let world = world(people).await;
        world.write("campaigns/customers.csv", bytes);
        world.write(
            "campaigns/hello.yaml",
            mailing(
                "hello",
                "sales-1",
                "consent: {basis: customers}
sources: [{type: file, path: customers.csv, columns: {username: Ник, phone: телефон}}]
templates: [{name: a, text: \"{{ contact.first_name }}: {{ contact.fields['Город'] | default('?') }}\"}]
",
            ),
        );
        world.once().await.unwrap();
        let campaign = world.campaign("hello").await;
        assert_eq!(world.who(), [101, 102, 103], "{what}: {campaign:#}");
        assert_eq!(world.texts_to(101), ["Anna: Казань"], "{what}");
        assert_eq!(world.texts_to(103), ["Carol: Омск"], "{what}");
        assert_eq!(
            source(&campaign, 0)["bad_rows"],
            1,
            "{what}: a bare number is nobody"
        );
        let warnings = campaign["warnings"].as_array().unwrap();
        assert!(
            warnings
                .iter()
                .any(|w| w.as_str().unwrap().contains("customers.csv:5")),
            "{what}: {warnings:?}"
        );
    }
}

//! The main job: from a YAML file to messages over MTProto and a report.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{
    LIMITS, assert_nobody_twice, condition, crowd, crowd_of, hello_from, mailing, waits, world,
};
use tidings::control::ExitKind;

const GROUP: &str = "
accounts:
  - {name: sales-1, username: mia_sales}
people:
  - {username: anna, first_name: Anna}
  - {username: boris, first_name: Борис}
  - {first_name: Carol}
  - {username: helper_bot, bot: true}
  - {username: gone_one, deleted: true}
  - {username: shy_one, first_name: Shy, privacy: nobody}
groups:
  - {title: Rust meetup, username: rust_meetup, creator: sales-1, members: all}
";

/// A mailing to its members.
fn to_group() -> String {
    hello_from("members", "{type: members, peer: '@rust_meetup'}")
}

#[tokio::test(flavor = "multi_thread")]
async fn members_of_a_group_get_one_message_each_and_the_report_adds_up() {
    let world = world(GROUP).await;
    world.write("campaigns/hello.yaml", to_group());
    let ended = world.once().await.unwrap();
    let campaign = world.campaign("hello").await;
    assert_eq!(ended, ExitKind::Done, "{campaign:#}");
    assert_nobody_twice(&world);
    let mut texts: Vec<String> = world
        .delivered()
        .iter()
        .filter_map(|e| e.text.clone())
        .collect();
    texts.sort();
    assert_eq!(texts, ["Hi Anna!", "Hi Carol!", "Hi Борис!"]);
    assert_eq!(campaign["progress"]["sent"], 3, "{campaign:#}");
    assert_eq!(
        campaign["outcomes"]["privacy_restricted"], 1,
        "{campaign:#}"
    );
    assert_eq!(campaign["audience"]["excluded"]["bot"], 1);
    assert_eq!(campaign["audience"]["excluded"]["deleted"], 1);
    assert_eq!(campaign["audience"]["excluded"]["own_account"], 1);
    assert_eq!(campaign["audience"]["found"], 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_sends_nobody_anything_again() {
    let world = world(GROUP).await;
    world.write("campaigns/hello.yaml", to_group());
    world.once().await.unwrap();
    world.once().await.unwrap();
    assert_eq!(world.recipients().len(), 3);
    assert_nobody_twice(&world);
}

// ---------------------------------------------------------------------------------------------------------------------
// Who: sources

const PEOPLE: &str = "
accounts:
  - {name: sales-1, username: mia_sales}
people:
  - {id: 101, username: anna, first_name: Anna, phone: '+15550200101'}
  - {id: 102, username: boris, first_name: Boris}
  - {id: 103, first_name: Carol, phone: '+15550200103'}
  - {id: 104, first_name: Dmitri}
  - {id: 105, first_name: Eve}
groups:
  - {title: Meetup, username: meetup, creator: sales-1, members: [101, 104]}
";

#[tokio::test(flavor = "multi_thread")]
async fn one_person_is_one_recipient_whatever_names_him() {
    let world = world(PEOPLE).await;
    world.write(
        "campaigns/audiences/customers.csv",
        "Телефон;username;city\n+1 555 020 0101;;Kazan\n+15550200103;;Perm\n;@Boris;Omsk\n;;nobody\n",
    );
    world.write(
        "campaigns/merge.yaml",
        mailing(
            "merge",
            "sales-1",
            "consent: {basis: customers}
sources:
  - {type: list, peers: ['@Anna', 'https://t.me/boris', {id: 104}]}
  - {type: file, path: audiences/customers.csv, columns: {phone: Телефон}}
  - {type: members, peer: '@meetup', basis: members}
templates: [{name: a, text: \"Hi {{ contact.first_name }} of {{ contact.fields.city | default('nowhere') }}\"}]
",
        ),
    );
    let ended = world.once().await.unwrap();
    let campaign = world.campaign("merge").await;
    assert_eq!(ended, ExitKind::Done, "{campaign:#}");
    assert_eq!(world.who(), [101, 102, 103, 104], "{campaign:#}");
    // The group, the list and the file name five references of these four and the account itself.
    assert_eq!(campaign["audience"]["found"], 5, "{campaign:#}");
    assert_eq!(campaign["audience"]["excluded"]["own_account"], 1);
    assert_eq!(world.texts_to(102), ["Hi Boris of Omsk"]);
    assert_eq!(world.texts_to(103), ["Hi Carol of Perm"]);
    assert_eq!(world.texts_to(104), ["Hi Dmitri of nowhere"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_username_that_the_group_shows_is_not_looked_up() {
    let world = world(PEOPLE).await;
    world.write(
        "campaigns/merge.yaml",
        mailing(
            "merge",
            "sales-1",
            "consent: {basis: customers}
sources:
  - {type: list, peers: ['@anna']}
  - {type: members, peer: '@meetup', basis: members}
",
        ),
    );
    world.once().await.unwrap();
    assert_eq!(world.who(), [101, 104]);
    let asked: Vec<_> = world
        .calls("contacts.resolveUsername")
        .into_iter()
        .filter_map(|e| e.query)
        .collect();
    assert_eq!(asked, ["meetup"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_cannot_be_found_or_addressed_is_settled_and_says_why() {
    let world = world(PEOPLE).await;
    world.write(
        "campaigns/lost.yaml",
        mailing(
            "lost",
            "sales-1",
            "consent: {basis: customers}
sources:
  - {type: list, peers: ['@anna', '@nobody_here', '+15559999999', {id: 105}]}
",
        ),
    );
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    let campaign = world.campaign("lost").await;
    assert_eq!(world.who(), [101]);
    assert_eq!(
        campaign["outcomes"],
        serde_json::json!({"sent": 1, "not_found": 2, "unreachable": 1}),
        "{campaign:#}"
    );
    assert_eq!(condition(&campaign, "Succeeded"), "True AllSettled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_gives_at_most_its_limit() {
    let world = world(&crowd(9)).await;
    world.write(
        "campaigns/few.yaml",
        mailing(
            "few",
            "sales-1",
            "sources: [{type: members, peer: '@meetup', limit: 4}]\n",
        ),
    );
    world.once().await.unwrap();
    let campaign = world.campaign("few").await;
    assert_eq!(campaign["audience"]["found"], 4, "{campaign:#}");
}

// ---------------------------------------------------------------------------------------------------------------------
// Who: filters

#[tokio::test(flavor = "multi_thread")]
async fn each_filter_excludes_under_its_own_reason() {
    let world = world(
        "
accounts: [{name: sales-1}]
people:
  - {id: 101, username: fine1, first_name: Fine}
  - {id: 102, username: fine2, first_name: Fine}
  - {id: 103, username: robot_bot, bot: true}
  - {id: 104, username: gone_one, deleted: true}
  - {id: 105, username: boss1, first_name: Boss}
  - {id: 106, first_name: Nameless}
  - {id: 107, username: rich1, first_name: Rich, premium: true}
  - {id: 108, username: late1, first_name: Late, last_seen: 45d}
  - {id: 109, username: hidden1, first_name: Hidden, last_seen: hidden}
  - {id: 110, username: written1, first_name: Written}
  - {id: 111, username: outer1, first_name: Outer}
  - {id: 112, username: channel1, first_name: Channel}
  - {id: 113, username: zoe1, first_name: Zoe}
  - {id: 114, username: foe1, first_name: Foe, blocks: [sales-1]}
  - {id: 115, username: tired1, first_name: Tired}
  - {id: 116, username: month1, first_name: Month, last_seen: last_month}
groups:
  - {title: Meetup, username: meetup, creator: sales-1, admins: ['@boss1'], members: all}
  - {title: Inner, username: inner, creator: sales-1, accounts: [sales-1], members: [101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 112, 113, 114, 115, 116]}
  - {title: News, username: news_here, creator: sales-1, accounts: [sales-1], members: [112]}
scripts:
  - {people: ['@tired1'], reply: 'Stop!', delay: 0s}
",
    )
    .await;
    world.write(
        "campaigns/earlier.yaml",
        mailing(
            "earlier",
            "sales-1",
            "consent: {basis: customers}\nsources: [{type: list, peers: ['@written1', '@foe1', '@tired1']}]\n",
        ),
    );
    let daemon = world.daemon();
    world
        .until_campaign("earlier", "the one who is tired opted out", |c| {
            c["progress"]["opted_out"] == 1
        })
        .await;
    world
        .until("the confirmation is out", |w| w.texts_to(115).len() == 2)
        .await;
    daemon.stop().await.unwrap();
    world.sandbox.ledger().clear();
    world.write(
        "campaigns/all.yaml",
        mailing(
            "all",
            "sales-1",
            "filters:
  admins: drop
  username: required
  premium: never
  last_seen: 14d
  not_contacted: {campaigns: [earlier]}
  in: [{type: members, peer: '@inner'}]
  exclude: [{type: members, peer: '@news_here'}]
  where: contact.first_name != 'Zoe'
  limit: 1
",
        ),
    );
    world.once().await.unwrap();
    let campaign = world.campaign("all").await;
    assert_eq!(
        campaign["audience"]["excluded"],
        serde_json::json!({
            "own_account": 1, "suppressed": 1, "opted_out": 1, "bot": 1, "deleted": 1, "admin": 1, "no_username": 1,
            "premium": 1, "last_seen": 3, "contacted": 1, "not_in": 1, "excluded": 1, "where": 1, "over_limit": 1,
        }),
        "{campaign:#}"
    );
    assert_eq!(world.who(), [101]);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_people_with_premium_and_those_who_hide_can_be_asked_for() {
    let world = world(
        "
accounts: [{name: sales-1}]
people:
  - {id: 101, first_name: A, premium: true}
  - {id: 102, first_name: B}
  - {id: 103, first_name: C, premium: true, last_seen: hidden}
  - {id: 104, first_name: D, premium: true, last_seen: 2d}
  - {id: 105, first_name: E, premium: true, last_seen: 9d}
groups: [{title: Meetup, username: meetup, creator: sales-1, members: all}]
",
    )
    .await;
    world.write(
        "campaigns/rich.yaml",
        mailing(
            "rich",
            "sales-1",
            "filters: {premium: only, last_seen: 7d, last_seen_unknown: keep}\n",
        ),
    );
    world.once().await.unwrap();
    let campaign = world.campaign("rich").await;
    assert_eq!(world.who(), [101, 103, 104], "{campaign:#}");
    assert_eq!(
        campaign["audience"]["excluded"],
        serde_json::json!({"own_account": 1, "not_premium": 1, "last_seen": 1})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_on_what_only_telegram_knows_is_asked_after_the_look_up() {
    let world = world(PEOPLE).await;
    world.write(
        "campaigns/people.csv",
        "username,city\nanna,Kazan\nboris,Kazan\nnobody_here,Omsk\n",
    );
    world.write(
        "campaigns/asked.yaml",
        mailing(
            "asked",
            "sales-1",
            "consent: {basis: customers}
sources: [{type: file, path: people.csv}]
filters: {where: \"contact.first_name == 'Anna' and contact.fields.city == 'Kazan'\", in: [{type: members, peer: '@meetup'}]}
",
        ),
    );
    world.once().await.unwrap();
    let campaign = world.campaign("asked").await;
    assert_eq!(world.who(), [101], "{campaign:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_on_a_files_columns_costs_no_look_up() {
    let world = world(PEOPLE).await;
    world.write(
        "campaigns/people.csv",
        "username,city\nanna,Kazan\nboris,Omsk\n",
    );
    world.write(
        "campaigns/asked.yaml",
        mailing(
            "asked",
            "sales-1",
            "consent: {basis: customers}
sources: [{type: file, path: people.csv}]
filters: {where: \"contact.fields.city == 'Kazan'\"}
",
        ),
    );
    world.once().await.unwrap();
    assert_eq!(world.who(), [101]);
    let asked: Vec<_> = world
        .calls("contacts.resolveUsername")
        .into_iter()
        .filter_map(|e| e.query)
        .collect();
    assert_eq!(asked, ["anna"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn staging_writes_to_nobody_but_those_named() {
    let world = world(&crowd(4)).await;
    world.write(
        "tidings.yaml",
        format!("{}  only_to: ['@person102']\n", LIMITS),
    );
    world.write("campaigns/hello.yaml", mailing("hello", "sales-1", ""));
    world.once().await.unwrap();
    let campaign = world.campaign("hello").await;
    assert_eq!(world.who(), [102], "{campaign:#}");
}

// ---------------------------------------------------------------------------------------------------------------------
// What: variants, formats, media

#[tokio::test(flavor = "multi_thread")]
async fn a_person_gets_the_same_variant_in_every_world_and_weights_are_kept() {
    let mut seen = Vec::new();
    for _ in 0..2 {
        let world = world(&crowd(90)).await;
        world.write(
            "campaigns/ab.yaml",
            mailing(
                "ab",
                "sales-1",
                "templates: [{name: one, weight: 2, text: 'one'}, {name: two, text: 'two'}]\n",
            ),
        );
        world.once().await.unwrap();
        let campaign = world.campaign("ab").await;
        let one = campaign["templates"][0]["sent"].as_u64().unwrap();
        assert!(
            (48..=72).contains(&one),
            "{one} of 90 got the variant with two thirds of the weight"
        );
        let texts: Vec<Vec<String>> = (101..191).map(|id| world.texts_to(id)).collect();
        assert_eq!(texts.iter().filter(|t| t == &&["one"]).count() as u64, one);
        seen.push(texts);
    }
    assert_eq!(seen[0], seen[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn formats_become_entities_and_inserted_values_stay_text() {
    for (format, text, expected, entities) in [
        (
            "plain",
            "**{{ contact.first_name }}** <b>",
            "***A_b*<i>** <b>",
            0,
        ),
        (
            "markdown",
            "**Dear** {{ contact.first_name }}: [site](https://example.com)",
            "Dear *A_b*<i>: site",
            2,
        ),
        (
            "html",
            "<b>Dear</b> {{ contact.first_name }}: <a href=\\\"https://example.com\\\">site</a>",
            "Dear *A_b*<i>: site",
            2,
        ),
    ] {
        let world = world(
            "
accounts: [{name: sales-1}]
people: [{id: 101, first_name: '*A_b*<i>'}]
groups: [{title: Meetup, username: meetup, creator: sales-1, members: all}]
",
        )
        .await;
        world.write(
            "campaigns/rich.yaml",
            mailing(
                "rich",
                "sales-1",
                &format!("templates: [{{name: a, format: {format}, link_preview: false, text: \"{text}\"}}]\n"),
            ),
        );
        world.once().await.unwrap();
        let campaign = world.campaign("rich").await;
        let sent = world.delivered();
        assert_eq!(sent.len(), 1, "{format}: {campaign:#}");
        assert_eq!(sent[0].text.as_deref(), Some(expected), "{format}");
        assert_eq!(sent[0].entities.unwrap_or(0), entities, "{format}");
        assert_eq!(sent[0].no_webpage, Some(true), "{format}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_uploaded_once_and_goes_with_every_message() {
    let world = world(&crowd(5)).await;
    world.write(
        "campaigns/media/banner.png",
        b"\x89PNG\r\n\x1a\n not much of a picture",
    );
    world.write(
        "campaigns/pic.yaml",
        mailing(
            "pic",
            "sales-1",
            "templates: [{name: a, text: 'Look', media: media/banner.png}]\n",
        ),
    );
    world.once().await.unwrap();
    let campaign = world.campaign("pic").await;
    let sent = world.delivered();
    assert_eq!(sent.len(), 5, "{campaign:#}");
    assert!(
        sent.iter()
            .all(|e| e.method == "messages.sendMedia" && e.text.as_deref() == Some("Look")),
        "{sent:#?}"
    );
    assert_eq!(world.calls("upload.saveFilePart").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_is_appended_to_first_messages() {
    let world = world(&crowd(1)).await;
    world.write(
        "tidings.yaml",
        format!(
            "{}opt_out: {{notice: \"Reply 'stop' to hear no more.\"}}\n",
            LIMITS
        ),
    );
    world.write("campaigns/hello.yaml", mailing("hello", "sales-1", ""));
    world.once().await.unwrap();
    let texts = world.texts_to(101);
    assert_eq!(texts.len(), 1);
    assert!(
        texts[0].starts_with("Hi P101!") && texts[0].ends_with("Reply 'stop' to hear no more."),
        "{texts:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_whose_text_cannot_be_made_fails_alone() {
    let world = world(
        "
accounts: [{name: sales-1}]
people:
  - {id: 101, first_name: Anna, last_name: Long}
  - {id: 102, first_name: Boris}
  - {id: 103, first_name: Carol, last_name: Short}
groups: [{title: Meetup, username: meetup, creator: sales-1, members: all}]
",
    )
    .await;
    world.write(
        "campaigns/long.j2",
        format!(
            "{{{{ contact.last_name }}}}{{% if contact.first_name == 'Anna' %}}{}{{% endif %}}",
            "x".repeat(5000)
        ),
    );
    world.write(
        "campaigns/odd.yaml",
        mailing("odd", "sales-1", "templates: [{name: a, file: long.j2}]\n"),
    );
    world.once().await.unwrap();
    let campaign = world.campaign("odd").await;
    assert_eq!(
        campaign["outcomes"],
        serde_json::json!({"sent": 1, "too_long": 1, "template_error": 1}),
        "{campaign:#}"
    );
    assert_eq!(world.texts_to(103), ["Short"]);
}

// ---------------------------------------------------------------------------------------------------------------------
// By whom

#[tokio::test(flavor = "multi_thread")]
async fn several_accounts_share_the_work_each_with_its_own_access_hashes() {
    let world = world(&crowd_of(&["sales-1", "sales-2", "sales-3"], 60)).await;
    world.write(
        "campaigns/hello.yaml",
        mailing("hello", "sales-1, sales-2, sales-3", ""),
    );
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    let campaign = world.campaign("hello").await;
    assert_nobody_twice(&world);
    assert_eq!(world.who().len(), 60, "{campaign:#}");
    let errors: Vec<_> = world
        .calls("messages.sendMessage")
        .into_iter()
        .filter_map(|e| e.error)
        .collect();
    assert_eq!(errors, Vec::<String>::new());
    for name in ["sales-1", "sales-2", "sales-3"] {
        let own = world.by(name).len();
        assert!((10..=30).contains(&own), "{name} sent {own} of 60");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_written_to_by_an_account_that_has_met_him() {
    let world = world(
        "
accounts: [{name: sales-1}, {name: sales-2}]
people:
  - {id: 101, first_name: Anna}
  - {id: 102, first_name: Boris}
groups:
  - {title: One, username: group_one, creator: sales-1, accounts: [sales-1], members: [101]}
  - {kind: basic, title: Two, id: 55, creator: sales-2, accounts: [sales-2], members: [102]}
",
    )
    .await;
    world.write(
        "campaigns/both.yaml",
        mailing(
            "both",
            "sales-1, sales-2",
            "sources: [{type: members, peer: '@group_one'}, {type: members, peer: {id: 55}}]\n",
        ),
    );
    world.once().await.unwrap();
    let campaign = world.campaign("both").await;
    assert_eq!(world.who(), [101, 102], "{campaign:#}");
    assert_eq!(world.by("sales-2"), ["user:102"]);
    let errors: Vec<_> = world
        .calls("messages.sendMessage")
        .into_iter()
        .filter_map(|e| e.error)
        .collect();
    assert_eq!(errors, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn typing_is_shown_before_a_message_for_as_long_as_asked() {
    let world = world(&crowd(2)).await;
    world.write(
        "campaigns/slow.yaml",
        mailing(
            "slow",
            "sales-1",
            "delays: {between_messages: 300ms, typing: 300ms, per_account: {per_day: 10}}\n",
        ),
    );
    world.once().await.unwrap();
    assert_eq!(world.who(), [101, 102]);
    for sent in world.delivered() {
        let shown = world
            .calls("messages.setTyping")
            .into_iter()
            .find(|e| e.peer == sent.peer)
            .unwrap_or_else(|| panic!("no typing for {:?}", sent.peer));
        assert!(
            sent.at - shown.at >= 250,
            "typing for {} ms",
            sent.at - shown.at
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_api_id_the_engine_reports_and_sends_nothing() {
    let world = world(&crowd(2)).await;
    world.write(
        "tidings.yaml",
        "version: 1\nlimits: {min_delay: 0s, max_per_day: 1000, approve_over: null}\n",
    );
    world.write(
        "campaigns/hello.yaml",
        mailing("hello", "sales-1", "delays: {between_messages: 0s}\n"),
    );
    assert_eq!(world.once().await.unwrap(), ExitKind::NeedsPerson);
    let campaign = world.campaign("hello").await;
    let account = world.account("sales-1").await;
    assert_eq!(account["state"], "not_configured");
    assert!(
        account["message"]
            .as_str()
            .unwrap()
            .contains("https://my.telegram.org"),
        "{account:#}"
    );
    assert_eq!(
        condition(&campaign, "Ready"),
        "False NoAccount",
        "{campaign:#}"
    );
    assert_eq!(world.sandbox.ledger().entries().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_without_a_session_file_is_missing_and_the_others_go_on() {
    let people =
        crowd_of(&["sales-1", "sales-2"], 6).replace("admins: [sales-2]", "accounts: [sales-1]");
    let world = world(&people).await;
    std::fs::remove_file(world.path().join("sessions/sales-2.session")).unwrap();
    world.write(
        "campaigns/hello.yaml",
        mailing("hello", "sales-1, sales-2", ""),
    );
    world.once().await.unwrap();
    let campaign = world.campaign("hello").await;
    assert_eq!(world.account("sales-2").await["state"], "missing");
    assert_eq!(campaign["progress"]["sent"], 6, "{campaign:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_none_of_the_accounts_runs_is_no_consent() {
    let world = world(
        "
accounts: [{name: sales-1}]
people: [{id: 101, first_name: Anna}, {id: 102, first_name: Boris}]
groups: [{title: Meetup, username: meetup, creator: 101, members: all}]
",
    )
    .await;
    world.write("campaigns/hello.yaml", mailing("hello", "sales-1", ""));
    assert_eq!(world.once().await.unwrap(), ExitKind::NeedsPerson);
    let campaign = world.campaign("hello").await;
    assert_eq!(
        condition(&campaign, "Ready"),
        "False ConsentMismatch",
        "{campaign:#}"
    );
    assert_eq!(waits(&campaign), "Held 2");
    assert_eq!(world.who(), Vec::<i64>::new());
}

const NAMED_TWICE: &str = "
accounts:
  - {name: sales-1, username: mia_sales}
people:
  - {id: 7000000001, username: anna, first_name: Anna, phone: '+15550200001'}
  - {id: 7000000002, username: boris, first_name: Boris, phone: '+15550200002'}
groups:
  - {title: Rust meetup, username: rust_meetup, creator: sales-1, members: all}
";

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_excluded_by_phone_or_username_is_excluded_as_a_member_too() {
    let world = world(NAMED_TWICE).await;
    world.write(
        "campaigns/hello.yaml",
        to_group().replace(
            "templates:",
            "filters: {exclude: [{type: list, peers: ['+15550200001', '@nobody_here']}]}\ntemplates:",
        ),
    );
    world.once().await.unwrap();
    let campaign = world.campaign("hello").await;
    assert_eq!(world.recipients(), ["user:7000000002"], "{campaign:#}");
    assert_eq!(campaign["audience"]["excluded"]["excluded"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_is_reached_through_the_username_or_phone_beside_it() {
    let world = world(NAMED_TWICE).await;
    world.write(
        "campaigns/hello.yaml",
        to_group()
            .replace("basis: members", "basis: customers")
            .replace(
                "\n  - {type: members, peer: '@rust_meetup'}",
                " [{type: list, peers: [{id: 7000000001}, '@anna', {id: 7000000002}, '+15550200002']}]",
            ),
    );
    world.once().await.unwrap();
    let campaign = world.campaign("hello").await;
    assert_nobody_twice(&world);
    assert_eq!(world.recipients().len(), 2, "{campaign:#}");
    assert_eq!(campaign["progress"]["sent"], 2);
}

/// A group whose members' phones Telegram shows to nobody.
const SILENT: &str = "
accounts: [{name: sales-1}]
people:
  - {id: 301, username: silent1, first_name: S1, phone: '+15550200301'}
  - {id: 302, username: silent2, first_name: S2, phone: '+15550200302'}
  - {id: 303, username: silent3, first_name: S3, phone: '+15550200303'}
  - {id: 304, username: silent4, first_name: S4}
groups:
  - {title: Meetup, username: meetup, creator: sales-1, members: all}
";

#[tokio::test(flavor = "multi_thread")]
async fn who_is_named_by_a_phone_and_found_in_a_group_is_one_person_with_his_row() {
    let file = "{type: file, path: q.csv, columns: {phone: Телефон, first_name: Имя}}";
    let group = "{type: members, peer: '@meetup', basis: members}";
    let spec = |name: &str, text: &str, sources: &[&str]| {
        let rest = format!(
            "consent: {{basis: customers}}\nsources: [{}]\ntemplates: [{{name: a, text: \"{text}\"}}]\n",
            sources.join(", ")
        );
        mailing(name, "sales-1", &rest)
    };
    let asks =
        "Is {{ contact.phone }} yours, {{ contact.first_name }} of {{ contact.fields.city }}?";
    for (what, met_before, sources) in [
        ("the file first", false, [file, group]),
        ("the group first", false, [group, file]),
        ("an earlier campaign has met them", true, [file, group]),
    ] {
        let world = world(SILENT).await;
        world.write(
            "campaigns/q.csv",
            "Телефон,Имя,city\n+15550200301,Анна,Kazan\n+15550200302,,Omsk\n+15550200303,Борис,Perm\n",
        );
        if met_before {
            world.write("campaigns/early.yaml", spec("early", "Hi", &[group]));
            assert_eq!(world.once().await.unwrap(), ExitKind::Done);
            assert_eq!(world.who().len(), 4);
        }
        world.write("campaigns/first.yaml", spec("first", asks, &sources));
        assert_eq!(world.once().await.unwrap(), ExitKind::Done);
        let campaign = world.campaign("first").await;
        // Whoever stands in the file has all that the text asks for; of the fourth nobody knows a phone.
        assert_eq!(
            campaign["outcomes"],
            serde_json::json!({"sent": 3, "template_error": 1}),
            "{what}: {campaign:#}"
        );
        for (id, text) in [
            (301, "Is +15550200301 yours, Анна of Kazan?"),
            (302, "Is +15550200302 yours, S2 of Omsk?"),
            (303, "Is +15550200303 yours, Борис of Perm?"),
        ] {
            let texts = world.texts_to(id);
            assert_eq!(
                texts.last().map(String::as_str),
                Some(text),
                "{what}: {texts:?}"
            );
        }
        // Columns that a later file alone has are his too, though whose the phone is was found out before.
        world.write("campaigns/r.csv", "phone,colour\n+15550200302,red\n");
        world.write(
            "campaigns/third.yaml",
            spec(
                "third",
                "{{ contact.fields.colour }}!",
                &["{type: file, path: r.csv}"],
            ),
        );
        assert_eq!(world.once().await.unwrap(), ExitKind::Done);
        let texts = world.texts_to(302);
        assert_eq!(texts.last().map(String::as_str), Some("red!"), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_waits_for_a_delay_says_when_all_will_be_done() {
    let world = world(&crowd(3)).await;
    world.write("tidings.yaml", LIMITS);
    let rest = "delays: {between_messages: 1h, per_account: {per_day: 100}}\n";
    world.write("campaigns/hello.yaml", mailing("hello", "sales-1", rest));
    let daemon = world.daemon();
    let is_resting = |campaign: &serde_json::Value| {
        campaign["progress"]["sent"] == 1 && campaign["progress"]["in_flight"] == 0
    };
    world
        .until_campaign("hello", "one is sent", is_resting)
        .await;
    // Nothing happens from now on, and what was found out before is what is told, twice.
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let first = world.campaign("hello").await;
    let estimate = |campaign: &serde_json::Value| {
        let told = campaign["finish_estimate"].as_str().map(str::to_owned);
        told.unwrap_or_else(|| panic!("no estimate: {campaign:#}"))
    };
    assert!(estimate(&first).as_str() > first["next_action_at"].as_str().unwrap());
    assert_eq!(estimate(&first), estimate(&world.campaign("hello").await));
    daemon.stop().await.unwrap();
}

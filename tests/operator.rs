//! What an operator does about people: the suppression list.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod child;
mod common;

use child::{ends_with, err, out, run};
use common::{World, assert_nobody_twice, mailing, world};
use tidings::model::{Command, OperatorCommand, Reference, Reply};

/// One account and five people; three of them in the group.
const PEOPLE: &str = "
accounts:
  - {name: sales-1, username: mia_sales}
people:
  - {id: 101, username: Anna, first_name: Anna, phone: '+15550200101'}
  - {id: 102, username: boris, first_name: Boris}
  - {id: 103, first_name: Carol, phone: '+15550200103'}
  - {id: 104, first_name: Dmitri}
  - {id: 105, username: eve_5, first_name: Eve}
  - {id: 106, first_name: Fay, phone: '+15550200106'}
groups:
  - {title: Meetup, username: meetup, creator: sales-1, members: [101, 102, 103, 104]}
";

fn add(people: &[&str]) -> Command {
    Command::Operator(OperatorCommand::OptOutAdd {
        people: people
            .iter()
            .map(|text| vec![Reference::parse(text).unwrap()])
            .collect(),
        why: "asked by mail".to_owned(),
        by: "a test".to_owned(),
    })
}

fn remove(person: &str) -> Command {
    Command::Operator(OperatorCommand::OptOutRemove {
        person: Reference::parse(person).unwrap(),
        why: "a mistake".to_owned(),
        by: "a test".to_owned(),
    })
}

#[track_caller]
fn body(reply: Reply) -> serde_json::Value {
    match reply {
        Reply::Document { body } => body,
        other => panic!("no document: {other:?}"),
    }
}

/// `tidings ARGS…` beside whatever runs in this process.
async fn tidings(world: &World, args: &[&str]) -> std::process::Output {
    let dir = world.path().to_owned();
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    tokio::task::spawn_blocking(move || run(&dir, args))
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_suppressed_is_never_written_to_whatever_names_him() {
    let world = world(PEOPLE).await;
    // Nobody was ever found: only the references are known.
    let reply = world
        .ask(add(&["@anna", "+1 555 020 0106", "id:104", "@eve_5"]))
        .await;
    assert_eq!(body(reply)["added"], 4);
    world.write(
        "campaigns/hello.yaml",
        mailing(
            "hello",
            "sales-1",
            "consent: {basis: customers}
sources:
  - {type: members, peer: '@meetup', basis: members}
  - {type: list, peers: ['@Eve_5', '+15550200101', '+15550200106', {id: 104}]}
",
        ),
    );
    world.once().await.unwrap();
    let campaign = world.campaign("hello").await;
    assert_eq!(world.who(), [102, 103], "{campaign:#}");
    assert_eq!(
        campaign["audience"]["excluded"]["suppressed"], 4,
        "{campaign:#}"
    );
    // Not even looked up.
    assert_eq!(
        world
            .calls("contacts.resolveUsername")
            .iter()
            .filter(|call| format!("{call:?}").to_lowercase().contains("eve_5"))
            .count(),
        0
    );
    let again = body(world.ask(add(&["@anna"])).await);
    assert_eq!(
        (again["added"].as_u64(), again["known"].as_u64()),
        (Some(0), Some(1))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_on_the_list_holds_for_somebody_whose_phone_telegram_hides() {
    let world = world(PEOPLE).await;
    // Carol is found in the group, by her id and without her number; the other number has no account.
    let said = body(world.ask(add(&["+15550200103", "+15550209999"])).await);
    let words = said["message"].as_str().unwrap();
    assert_eq!(said["known_by_phone_only"], 2, "{said:#}");
    assert!(
        words.contains("2 are known by their numbers only"),
        "{words}"
    );
    let notes = async || -> Vec<(String, String)> {
        let list = json(&world, &["optout", "list", "-o", "json"]).await;
        let rows = list["optouts"].as_array().unwrap().clone();
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        rows.iter()
            .map(|row| (text(&row["phone"]), text(&row["note"])))
            .collect()
    };
    for (_, note) in notes().await {
        assert!(note.contains("an account asks who has it"), "{note}");
    }
    world.write("campaigns/hello.yaml", mailing("hello", "sales-1", ""));
    world.once().await.unwrap();
    assert_eq!(world.who(), [101, 102, 104]);
    let campaign = world.campaign("hello").await;
    assert_eq!(
        campaign["audience"]["excluded"]["suppressed"], 1,
        "{campaign:#}"
    );
    let asked = |world: &World| world.calls("contacts.resolvePhone").len();
    assert_eq!(asked(&world), 2, "each is asked once");
    for (phone, note) in notes().await {
        let told = phone == "+15550200103";
        assert_eq!(note.is_empty(), told, "{phone}: {note}");
        assert_eq!(note.contains("does not tell"), !told, "{phone}: {note}");
    }
    let of = async |who: &str| {
        let told = json(&world, &["explain", "hello", who, "-o", "json"]).await;
        told["summary"].as_str().unwrap().to_owned()
    };
    let words = of("+15550209999").await;
    assert!(words.contains("known by this number alone"), "{words}");
    let words = of("id:106").await;
    assert!(words.contains("1 of the suppression list"), "{words}");
    world.once().await.unwrap();
    assert_eq!(asked(&world), 2, "and not again");
    // Of somebody who is erased nothing is left to ask by.
    let said = tidings(&world, &["forget", "+15550209998", "--yes"]).await;
    assert!(
        out(&said).contains("is not recognised by it"),
        "{}",
        out(&said)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suppression_stops_what_is_planned_and_its_removal_undoes_only_it() {
    let world = world(PEOPLE).await;
    world.write(
        "campaigns/hello.yaml",
        mailing(
            "hello",
            "sales-1",
            "delays: {between_messages: 0s, per_campaign: {per_day: 1}}\n",
        ),
    );
    let daemon = world.daemon();
    world
        .until_campaign("hello", "one message", |c| {
            c["progress"]["sent"] == 1 && c["progress"]["pending"] == 3
        })
        .await;
    let first = world.who()[0];
    let others: Vec<i64> = [101, 102, 103, 104]
        .into_iter()
        .filter(|id| *id != first)
        .collect();
    let other = format!("id:{}", others[0]);
    body(world.ask(add(&[&other, &format!("id:{first}")])).await);
    let campaign = world.campaign("hello").await;
    assert_eq!(campaign["progress"]["pending"], 2, "{campaign:#}");
    assert_eq!(
        campaign["audience"]["excluded"]["suppressed"], 1,
        "{campaign:#}"
    );
    assert_eq!(campaign["progress"]["sent"], 1, "{campaign:#}");
    body(world.ask(remove(&other)).await);
    world
        .until_campaign("hello", "he waits again", |c| {
            c["progress"]["pending"] == 3 && c["audience"]["excluded"]["suppressed"].is_null()
        })
        .await;
    // Who got his message does not get it again.
    body(world.ask(remove(&format!("id:{first}"))).await);
    world.write("campaigns/hello.yaml", mailing("hello", "sales-1", ""));
    world
        .until("everybody has his message", |w| w.who().len() == 4)
        .await;
    daemon.stop().await.unwrap();
    assert_nobody_twice(&world);
    match world.ask(remove(&other)).await {
        Reply::Refused { message, .. } => {
            assert!(message.contains("not on the suppression list"), "{message}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_said_stop_is_listed_and_can_be_taken_off_by_any_name() {
    let world = world(PEOPLE).await;
    world.write("campaigns/hello.yaml", mailing("hello", "sales-1", ""));
    let daemon = world.daemon();
    world.until("all four", |w| w.who().len() == 4).await;
    world
        .sandbox
        .send_as_person("@anna", "sales-1", "STOP!")
        .unwrap();
    world
        .until_campaign("hello", "the opt-out", |c| c["progress"]["opted_out"] == 1)
        .await;
    let list = tidings(&world, &["optout", "list", "-o", "json"]).await;
    ends_with(&list, 0);
    let list: serde_json::Value = serde_json::from_str(&out(&list)).unwrap();
    assert!(list["format_version"].is_string());
    let rows = list["optouts"].as_array().unwrap();
    assert_eq!(rows.len(), 1, "{list:#}");
    assert_eq!(rows[0]["reason"], "opted_out");
    assert_eq!(rows[0]["name"], "Anna");
    assert_eq!(rows[0]["id"], 101);
    ends_with(&tidings(&world, &["optout", "remove", "@ANNA"]).await, 0);
    ends_with(&tidings(&world, &["optout", "remove", "@ANNA"]).await, 1);
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_imported_exported_and_imported_again() {
    let world = world(PEOPLE).await;
    let csv = world.write(
        "gone.csv",
        "Phone;username;city\n+15550200103;;Kazan\n;anna;Perm\n15550200104;;typo\n;=evil;x\n",
    );
    let import = tidings(
        &world,
        &[
            "optout",
            "import",
            csv.to_str().unwrap(),
            "--reason",
            "=the old list",
        ],
    )
    .await;
    ends_with(&import, 0);
    assert!(out(&import).contains("2 people"), "{}", out(&import));
    assert!(err(&import).contains("line 4"), "{}", err(&import));
    let exported = world.path().join("out.csv");
    ends_with(
        &tidings(
            &world,
            &["optout", "export", "--output", exported.to_str().unwrap()],
        )
        .await,
        0,
    );
    let text = std::fs::read_to_string(&exported).unwrap();
    assert!(text.starts_with('\u{feff}'), "{text}");
    assert!(
        text.contains("+15550200103") && text.contains("anna"),
        "{text}"
    );
    assert!(text.contains("'=the old list"), "{text}");
    // Another workspace takes it as it is.
    let other = common::world(PEOPLE).await;
    let import = tidings(
        &other,
        &["optout", "import", exported.to_str().unwrap(), "-o", "json"],
    )
    .await;
    ends_with(&import, 0);
    let import: serde_json::Value = serde_json::from_str(&out(&import)).unwrap();
    assert_eq!(
        (import["added"].as_u64(), import["bad_rows"].as_u64()),
        (Some(2), Some(0))
    );
    other.write("campaigns/hello.yaml", mailing("hello", "sales-1", ""));
    other.once().await.unwrap();
    // Carol hides her phone: an account asked who has it before anything was sent.
    assert_eq!(other.who(), [102, 104]);
    for (args, code) in [
        (vec!["optout", "add", "15550100"], 64),
        (vec!["optout", "add", "https://t.me/+AbCdEfGhIj"], 64),
        (vec!["optout", "add"], 64),
        (vec!["optout", "import", "/nowhere.csv"], 1),
        (vec!["optout", "remove", "@nobody_knows"], 1),
    ] {
        ends_with(&tidings(&other, &args).await, code);
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Why, who and what came of it

async fn json(world: &World, args: &[&str]) -> serde_json::Value {
    let said = tidings(world, args).await;
    ends_with(&said, 0);
    serde_json::from_str(&out(&said)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_answers_for_any_person_found_or_not() {
    let world = world(PEOPLE).await;
    world.write(
        "campaigns/hello.yaml",
        mailing(
            "hello",
            "sales-1",
            "filters: {where: \"contact.first_name != 'Boris'\"}
delays: {between_messages: 0s, per_account: {per_day: 1}}
",
        ),
    );
    body(world.ask(add(&["id:104"])).await);
    world.once().await.unwrap();
    let sent = world.who()[0];
    let explain = async |who: &str| json(&world, &["explain", "hello", who, "-o", "json"]).await;
    let got = explain(&format!("id:{sent}")).await;
    assert_eq!(got["state"], "sent", "{got:#}");
    assert_eq!(got["accounts"], serde_json::json!(["sales-1"]));
    assert_eq!(got["variant"], "short");
    assert_eq!(got["found_by"][0]["source"], "members of @meetup");
    assert!(
        got["history"]
            .as_array()
            .unwrap()
            .iter()
            .any(|s| s["event"] == "sent")
    );
    let boris = explain("@Boris").await;
    assert_eq!(boris["state"], "excluded", "{boris:#}");
    assert_eq!(boris["exclusion"]["reason"], "where");
    assert!(
        boris["exclusion"]["message"]
            .as_str()
            .unwrap()
            .contains("Boris")
    );
    let dmitri = explain("id:104").await;
    assert_eq!(dmitri["exclusion"]["reason"], "suppressed", "{dmitri:#}");
    assert_eq!(dmitri["suppression"]["why"], "asked by mail");
    let waiting = [101, 103].into_iter().find(|id| *id != sent).unwrap();
    let waiting = explain(&format!("id:{waiting}")).await;
    assert_eq!(waiting["state"], "pending", "{waiting:#}");
    assert_eq!(waiting["waits_for"]["reason"], "AccountCap");
    assert!(waiting["waits_for"]["until"].is_string());
    assert!(waiting["text"].as_str().unwrap().starts_with("Hi "));
    let nobody = explain("@eve_5").await;
    assert_eq!(nobody["state"], "no_source", "{nobody:#}");
    assert_eq!(nobody["person"]["username"], "eve_5", "{nobody:#}");
    assert!(nobody["summary"].as_str().unwrap().contains("No source"));
    let table = tidings(&world, &["explain", "hello", "@boris"]).await;
    ends_with(&table, 0);
    assert!(out(&table).contains("where"), "{}", out(&table));
    // Times as the report tells them, in the campaign's zone; programs get RFC 3339.
    assert_eq!(got["timezone"], "UTC");
    assert!(got["history"][0]["at"].as_str().unwrap().ends_with('Z'));
    let table = tidings(&world, &["explain", "hello", &format!("id:{sent}")]).await;
    let text = out(&table);
    let said = text.lines().nth(1).unwrap();
    assert!(
        said.starts_with("He got the message ") && said.contains(" UTC) by sales-1."),
        "{text}"
    );
    let iso = |word: &str| word.contains('T') && word.ends_with('Z');
    assert!(!text.split_whitespace().any(iso), "{text}");
    ends_with(
        &tidings(&world, &["explain", "hello", "@boris", "-o", "yaml"]).await,
        0,
    );
    ends_with(&tidings(&world, &["explain", "nope", "@boris"]).await, 64);
    ends_with(&tidings(&world, &["explain", "hello", "12345"]).await, 64);
}

/// git in the workspace, in somebody's name; what it printed.
fn git(world: &World, who: &str, args: &[&str]) -> String {
    let address = who.to_lowercase().replace(' ', ".");
    common::git(world.path(), who, &address, args)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_names_who_changed_a_template_and_who_took_a_spec_away() {
    let world = world(PEOPLE).await;
    world.write("campaigns/hello.j2", "Hi");
    world.write(
        "campaigns/hello.yaml",
        mailing(
            "hello",
            "sales-1",
            "templates: [{name: t, file: hello.j2}]\n",
        ),
    );
    git(&world, "Ann Author", &["init", "-q"]);
    git(&world, "Ann Author", &["add", "campaigns"]);
    git(&world, "Ann Author", &["commit", "-qm", "hello"]);
    world.once().await.unwrap();
    world.write("campaigns/hello.j2", "Hello");
    git(&world, "Bob Words", &["commit", "-qam", "politer"]);
    let politer = git(&world, "Bob Words", &["rev-parse", "HEAD"]);
    world.once().await.unwrap();
    let status = json(&world, &["status", "-o", "json"]).await;
    assert_eq!(status["campaigns"][0]["commit"], politer, "{status:#}");
    // git tells seconds.
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    git(&world, "Carl Away", &["rm", "-q", "campaigns/hello.yaml"]);
    git(&world, "Carl Away", &["commit", "-qm", "gone"]);
    world.once().await.unwrap();
    let audit = json(&world, &["audit", "hello", "-o", "json"]).await;
    let by = |kind: &str| -> Vec<&str> {
        let entries = audit["entries"].as_array().unwrap().iter();
        entries
            .filter(|entry| entry["type"] == kind)
            .map(|entry| entry["by"].as_str().unwrap_or("nobody"))
            .collect()
    };
    assert_eq!(
        by("spec_seen"),
        [
            "Ann Author <ann.author@example.com>",
            "Bob Words <bob.words@example.com>"
        ],
        "{audit:#}"
    );
    assert_eq!(
        by("retired"),
        ["Carl Away <carl.away@example.com>"],
        "{audit:#}"
    );
    ends_with(&tidings(&world, &["audit", "nope"]).await, 64);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_says_what_is_suspended_since_when_by_whom_why_and_how_it_goes_on() {
    let world = world(PEOPLE).await;
    for name in ["hello", "other"] {
        world.write(
            &format!("campaigns/{name}.yaml"),
            mailing(name, "sales-1", "paused: true\n"),
        );
    }
    world.once().await.unwrap();
    let table = async |world: &World| {
        let (code, table, err) = world.cli(&["status"]).await;
        assert_eq!(code, 0, "{err}");
        table
    };
    let done = world
        .cli(&["suspend", "hello", "--reason", "опечатка в тексте."])
        .await;
    assert_eq!(done.0, 0, "{}", done.2);
    let one = table(&world).await;
    let (_, below) = one.split_once("\nSuspended:\n  hello  since ").unwrap();
    assert!(
        below.contains(": опечатка в тексте. `tidings resume hello` lets it go on.\n"),
        "{one}"
    );
    assert!(!one.contains("All campaigns are suspended"), "{one}");
    let done = world
        .cli(&["suspend", "--all", "--reason", "incident 42"])
        .await;
    assert_eq!(done.0, 0, "{}", done.2);
    let all = table(&world).await;
    let line = all.lines().nth(1).unwrap();
    assert!(
        line.starts_with("All campaigns are suspended since "),
        "{all}"
    );
    assert!(line.contains(" UTC (") && line.contains(") by "), "{all}");
    assert!(
        line.ends_with(": incident 42. `tidings resume --all` lets them go on."),
        "{all}"
    );
    assert!(
        !all.contains("\nSuspended:"),
        "one word lifts all of them: {all}"
    );
    let report = json(&world, &["status", "-o", "json"]).await;
    assert_eq!(report["suspended"]["reason"], "incident 42", "{report:#}");
    assert_eq!(
        report["campaigns"][0]["suspended"]["reason"],
        "опечатка в тексте."
    );
    assert_eq!(world.cli(&["resume", "--all"]).await.0, 0);
    assert!(!table(&world).await.to_lowercase().contains("suspended"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retired_campaign_is_told_of_by_its_name_though_nobody_was_found() {
    let world = world(PEOPLE).await;
    let file = world.write(
        "campaigns/gone.yaml",
        mailing("gone", "sales-1", "paused: true\n"),
    );
    world.once().await.unwrap();
    std::fs::remove_file(file).unwrap();
    world.once().await.unwrap();
    let (code, said, err) = world.cli(&["status", "gone"]).await;
    assert_eq!(code, 0, "{err}");
    assert!(said.contains("Its file is gone"), "{said}");
    for command in ["plan", "approve"] {
        let (code, _, err) = world.cli(&[command, "gone"]).await;
        assert_eq!(code, 1, "{err}");
        assert!(err.contains("`gone` is retired"), "{err}");
        assert_eq!(world.cli(&[command, "never"]).await.0, 64);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_folder_of_campaigns_is_an_event_and_its_return_too() {
    let world = world(PEOPLE).await;
    world.write(
        "campaigns/hello.yaml",
        mailing("hello", "sales-1", "paused: true\n"),
    );
    world.once().await.unwrap();
    let checked = async |world: &World| -> Vec<String> {
        let events = json(world, &["events", "-o", "json"]).await;
        let events = events["events"].as_array().unwrap().clone();
        let checked = events
            .iter()
            .filter(|event| event["type"] == "file_checked");
        checked
            .map(|event| event["message"].as_str().unwrap().to_owned())
            .collect()
    };
    let (here, away) = (world.path().join("campaigns"), world.path().join("away"));
    std::fs::rename(&here, &away).unwrap();
    let (_, said, _) = world.cli(&["suspend", "--all", "--reason", "x"]).await;
    assert!(said.starts_with("All campaigns are suspended."), "{said}");
    assert_eq!(checked(&world).await.len(), 1);
    std::fs::rename(&away, &here).unwrap();
    assert_eq!(world.cli(&["resume", "--all"]).await.0, 0);
    let both = checked(&world).await;
    assert!(
        both[0].contains("there is no folder `campaigns`"),
        "{both:?}"
    );
    assert_eq!(both[1..], ["The folder `campaigns` can be read again."]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_says_who_changed_what_by_which_commit() {
    let world = world(PEOPLE).await;
    world.write("campaigns/hello.yaml", mailing("hello", "sales-1", ""));
    let git = |args: &[&str]| git(&world, "Ann Author", args);
    git(&["init", "-q"]);
    git(&["add", "campaigns"]);
    git(&["commit", "-qm", "hello"]);
    let first = git(&["rev-parse", "HEAD"]);
    world.once().await.unwrap();
    // Seen before it was committed.
    world.write(
        "campaigns/hello.yaml",
        mailing("hello", "sales-1", "description: changed\n"),
    );
    world.once().await.unwrap();
    let suspend = Command::Suspend {
        name: Some("hello".to_owned()),
        reason: "lunch".to_owned(),
        by: "a test".to_owned(),
    };
    world.ask(suspend).await;
    body(world.ask(add(&["@anna"])).await);
    body(world.ask(remove("@anna")).await);
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    git(&["commit", "-qam", "described"]);
    let second = git(&["rev-parse", "HEAD"]);
    let audit = json(&world, &["audit", "-o", "json"]).await;
    let entries = audit["entries"].as_array().unwrap();
    let of = |kind: &str| -> Vec<&serde_json::Value> {
        entries.iter().filter(|e| e["type"] == kind).collect()
    };
    let specs = of("spec_seen");
    assert_eq!(specs.len(), 2, "{audit:#}");
    assert_eq!(specs[0]["commit"], first, "{audit:#}");
    assert_eq!(specs[0]["by"], "Ann Author <ann.author@example.com>");
    assert_eq!(specs[1]["commit"], second, "{audit:#}");
    assert_eq!(of("suspended")[0]["by"], "a test");
    assert_eq!(of("suppression_added").len(), 1);
    assert!(
        of("suppression_removed")[0]["message"]
            .as_str()
            .unwrap()
            .contains("a mistake")
    );
    let lines = tidings(&world, &["audit", "hello", "-o", "jsonl"]).await;
    assert!(out(&lines).lines().count() >= 3, "{}", out(&lines));
    let events = tidings(&world, &["events", "-o", "jsonl"]).await;
    for line in out(&events).lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(event["seq"].is_u64());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_counts_results_in_every_form() {
    let world = world(PEOPLE).await;
    world.write(
        "campaigns/hello.yaml",
        mailing(
            "hello",
            "sales-1",
            "templates: [{name: a, text: 'A {{ contact.first_name }}'}, {name: b, text: 'B {{ contact.nothing_known }}{{ contact.fields.x }}'}]
",
        )
        .replace("{{ contact.nothing_known }}", ""),
    );
    let daemon = world.daemon();
    world
        .until_campaign("hello", "all settled", |c| {
            c["progress"]["pending"] == 0
                && c["progress"]["in_flight"] == 0
                && c["audience"]["included"] == 4
        })
        .await;
    let first = world.who()[0];
    world
        .sandbox
        .send_as_person(tidings::sandbox::Ref::Id(first), "sales-1", "thank you")
        .unwrap();
    world
        .until_campaign("hello", "an answer", |c| c["progress"]["replied"] == 1)
        .await;
    let campaign = world.campaign("hello").await;
    let report = json(
        &world,
        &[
            "report", "--since", "1h", "--by", "campaign", "--format", "json",
        ],
    )
    .await;
    let row = &report["rows"][0];
    assert_eq!(row["name"], "hello");
    assert_eq!(row["sent"], campaign["progress"]["sent"], "{report:#}");
    assert_eq!(row["failed"], campaign["progress"]["failed"], "{report:#}");
    assert_eq!(row["replied"], 1);
    assert!(row["reply_rate"].as_f64().unwrap() > 0.0);
    for by in ["account", "owner", "template"] {
        let report = json(&world, &["report", "--by", by, "--format", "json"]).await;
        let sent: u64 = report["rows"]
            .as_array()
            .unwrap()
            .iter()
            .map(|r| r["sent"].as_u64().unwrap())
            .sum();
        assert_eq!(
            sent,
            campaign["progress"]["sent"].as_u64().unwrap(),
            "{report:#}"
        );
    }
    let csv = tidings(&world, &["report", "--format", "csv"]).await;
    assert!(out(&csv).starts_with("\u{feff}name,sent,"), "{}", out(&csv));
    let book = world.path().join("report.xlsx");
    ends_with(
        &tidings(
            &world,
            &[
                "report",
                "--format",
                "xlsx",
                "--output",
                book.to_str().unwrap(),
            ],
        )
        .await,
        0,
    );
    assert!(std::fs::read(&book).unwrap().starts_with(b"PK"));
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_uncertain_message_is_what_the_operator_says() {
    use tidings::sandbox::{Effect, FaultRule};
    let world = world(PEOPLE).await;
    world.write(
        "campaigns/hello.yaml",
        mailing(
            "hello",
            "sales-1",
            "delays: {between_messages: 10ms, per_account: {per_day: 100}}\n",
        ),
    );
    world.sandbox.fault(
        FaultRule::new(Effect::DropAfter)
            .method("messages.sendMessage")
            .nth(1),
    );
    // The first rule that fits a call has it: this one gets the second try.
    world
        .sandbox
        .fault(FaultRule::error("USER_DEACTIVATED_BAN").method("messages.sendMessage"));
    let daemon = world.daemon();
    let campaign = world
        .until_campaign("hello", "it is uncertain", |c| {
            c["progress"]["uncertain"] == 1
        })
        .await;
    assert_eq!(campaign["progress"]["sent"], 0, "{campaign:#}");
    let whom = format!("id:{}", world.who()[0]);
    ends_with(&tidings(&world, &["resolve", "hello", &whom]).await, 64);
    let other = [101, 102, 103, 104]
        .into_iter()
        .find(|id| *id != world.who()[0])
        .unwrap();
    ends_with(
        &tidings(
            &world,
            &["resolve", "hello", &format!("id:{other}"), "--as", "sent"],
        )
        .await,
        1,
    );
    ends_with(
        &tidings(&world, &["resolve", "hello", &whom, "--as", "retry"]).await,
        0,
    );
    let campaign = world.campaign("hello").await;
    assert_eq!(campaign["progress"]["uncertain"], 0, "{campaign:#}");
    assert_eq!(campaign["progress"]["pending"], 4, "{campaign:#}");
    ends_with(
        &tidings(&world, &["resolve", "hello", &whom, "--as", "sent"]).await,
        1,
    );
    daemon.stop().await.unwrap();
    assert_nobody_twice(&world);
}

// ---------------------------------------------------------------------------------------------------------------------
// Tests of texts, before anybody gets them

#[tokio::test(flavor = "multi_thread")]
async fn a_test_sends_every_variant_and_step_to_test_recipients_alone() {
    let world = world(PEOPLE).await;
    world.write(
        "tidings.yaml",
        format!("{}test_recipients: ['@me', '@eve_5']\n", common::FAST),
    );
    world.write(
        "campaigns/hello.yaml",
        mailing(
            "hello",
            "sales-1",
            "paused: true
templates: [{name: short, text: 'Hi {{ contact.first_name }}!'}, {name: long, text: 'Good day!'}]
follow_ups: [{after: 3d, templates: [{name: nudge, text: 'Still there?'}]}]
",
        ),
    );
    // Without a daemon the command connects by itself.
    let said = json(
        &world,
        &["send-test", "hello", "--to", "@eve_5", "-o", "json"],
    )
    .await;
    let results: Vec<&str> = said["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["result"].as_str().unwrap())
        .collect();
    assert_eq!(results, ["sent", "sent", "sent"], "{said:#}");
    let mut texts = world.texts_to(105);
    texts.sort();
    assert_eq!(texts, ["Good day!", "Hi Eve!", "Still there?"]);
    let daemon = world.daemon();
    // Before it answers, a command would take the state itself, and the daemon find it taken.
    let since = std::time::Instant::now();
    while world.status().await["daemon"]["running"] != true {
        assert!(since.elapsed() < common::PATIENCE, "the daemon answers");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    // Again is again, and to oneself is to oneself.
    ends_with(
        &tidings(&world, &["send-test", "hello", "--to", "@eve_5"]).await,
        0,
    );
    assert_eq!(world.texts_to(105).len(), 6);
    ends_with(
        &tidings(&world, &["send-test", "hello", "--to", "@me"]).await,
        0,
    );
    ends_with(
        &tidings(&world, &["send-test", "hello", "--to", "@anna"]).await,
        1,
    );
    ends_with(
        &tidings(&world, &["send-test", "nope", "--to", "@me"]).await,
        64,
    );
    body(world.ask(add(&["@eve_5"])).await);
    ends_with(
        &tidings(&world, &["send-test", "hello", "--to", "@eve_5"]).await,
        1,
    );
    // Nothing of it counts.
    assert_eq!(world.account("sales-1").await["sent_today"], 0);
    let campaign = world.campaign("hello").await;
    assert_eq!(campaign["progress"]["sent"], 0, "{campaign:#}");
    daemon.stop().await.unwrap();
    assert!(!world.who().contains(&101));
}

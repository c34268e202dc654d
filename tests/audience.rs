//! Audiences: collected by one campaign, written to by another, exported with what became of each person.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{World, condition, mailing, waits, world};
use tidings::control::ExitKind;

const WORLD: &str = "
accounts:
  - {name: sales-1}
  - {name: sales-2}
people:
  - {id: 101, username: anna, first_name: Анна, last_name: Иванова}
  - {id: 102, first_name: '=HYPERLINK(\"http://x\")', last_name: 'Bo, \"B\" 🎉'}
  - {id: 103, username: carol, first_name: Carol, privacy: nobody}
  - {id: 104, username: helper_bot, bot: true}
  - {id: 105, username: dora, first_name: Dora}
groups:
  - {title: Meetup, username: meetup, creator: sales-1, accounts: [sales-1], members: [101, 102, 103, 104, 105]}
scripts:
  - {people: ['@dora'], reply: 'Stop!', delay: 0s}
";

const COLLECT: &str = "
version: 1
name: gather
kind: collect
consent: {basis: members}
accounts: [sales-1]
sources: [{type: members, peer: '@meetup'}]
";

/// Who was greeted, once for each greeting. Dora says stop, and gets a confirmation besides.
fn greeted(world: &World) -> Vec<i64> {
    let greetings = |id| {
        let texts = world.texts_to(id);
        let count = texts.iter().filter(|text| text.starts_with("Hi")).count();
        std::iter::repeat_n(id, count)
    };
    (101..=105).flat_map(greetings).collect()
}

async fn text(world: &World, args: &[&str]) -> String {
    let (code, out, errors) = world.cli(args).await;
    assert_eq!(code, 0, "{args:?}: {errors}");
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collect_is_done_when_its_sources_are_read_and_sends_nothing() {
    let world = world(WORLD).await;
    world.write("campaigns/gather.yaml", COLLECT);
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    let campaign = world.campaign("gather").await;
    assert_eq!(
        condition(&campaign, "Succeeded"),
        "True AllSettled",
        "{campaign:#}"
    );
    assert_eq!(
        condition(&campaign, "Ready"),
        "True Succeeded",
        "{campaign:#}"
    );
    assert_eq!(campaign["kind"], "collect");
    assert_eq!(campaign["audience"]["found"], 6, "{campaign:#}");
    assert_eq!(campaign["audience"]["included"], 4, "{campaign:#}");
    assert!(world.delivered().is_empty());
    // Nobody was written to and nobody will be: they are pending in the sense of the sums, and no promise of a message.
    common::adds_up(&campaign);
    assert_eq!(campaign["progress"]["pending"], 4, "{campaign:#}");
    assert_eq!(waits(&campaign), "Held 4");
    assert!(campaign["next_action_at"].is_null(), "{campaign:#}");
    assert_eq!(campaign["finish_estimate"], serde_json::Value::Null);
    let told = text(&world, &["status", "gather"]).await;
    assert!(
        told.contains("collected") && !told.contains("Held"),
        "{told}"
    );
    let told = text(&world, &["status"]).await;
    assert!(
        told.contains("4 collected") && !told.contains("Held"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailing_writes_to_what_another_campaign_collected() {
    let world = world(WORLD).await;
    world.write(
        "campaigns/hello.yaml",
        mailing(
            "hello",
            "sales-1",
            "sources: [{type: audience, campaign: gather}]\n",
        ),
    );
    // The name comes before: at first nothing is collected.
    world.write("campaigns/gather.yaml", COLLECT);
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    let campaign = world.campaign("hello").await;
    assert_eq!(greeted(&world), [101, 102, 105], "{campaign:#}");
    assert_eq!(
        campaign["outcomes"]["privacy_restricted"], 1,
        "{campaign:#}"
    );
    assert_eq!(campaign["audience"]["sources"][0]["type"], "audience");
    assert_eq!(campaign["audience"]["sources"][0]["found"], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_nothing_is_collected_the_mailing_waits() {
    let world = world(WORLD).await;
    world.write(
        "campaigns/gather.yaml",
        COLLECT.replace("kind: collect", "kind: collect\npaused: true"),
    );
    world.write(
        "campaigns/hello.yaml",
        mailing(
            "hello",
            "sales-1",
            "sources: [{type: audience, campaign: gather}]\n",
        ),
    );
    world.once().await.unwrap();
    let campaign = world.campaign("hello").await;
    assert_eq!(
        condition(&campaign, "Ready"),
        "True AudienceNotCollected",
        "{campaign:#}"
    );
    assert_eq!(waits(&campaign), "");
    // Let go, both go on.
    world.write("campaigns/gather.yaml", COLLECT);
    world.once().await.unwrap();
    assert_eq!(greeted(&world), [101, 102, 105]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collected_audience_is_no_way_around_the_consent() {
    let world = world(&WORLD.replace("creator: sales-1", "creator: '@anna'")).await;
    world.write("campaigns/gather.yaml", COLLECT);
    world.write(
        "campaigns/hello.yaml",
        mailing(
            "hello",
            "sales-1",
            "consent: {basis: customers}\nsources: [{type: audience, campaign: gather}]\n",
        ),
    );
    assert_eq!(world.once().await.unwrap(), ExitKind::NeedsPerson);
    let gather = world.campaign("gather").await;
    assert_eq!(
        condition(&gather, "Ready"),
        "False ConsentMismatch",
        "{gather:#}"
    );
    let hello = world.campaign("hello").await;
    assert_eq!(
        condition(&hello, "Ready"),
        "True AudienceNotCollected",
        "{hello:#}"
    );
    assert!(world.delivered().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn newcomers_of_a_collect_come_into_the_mailing_that_names_it() {
    let world = world(WORLD).await;
    world.write(
        "campaigns/gather.yaml",
        COLLECT.replace("'@meetup'}]", "'@meetup'}]\nfilters: {username: required}"),
    );
    world.write(
        "campaigns/hello.yaml",
        mailing(
            "hello",
            "sales-1",
            "sources: [{type: audience, campaign: gather}]\n",
        ),
    );
    world.once().await.unwrap();
    assert_eq!(greeted(&world), [101, 105]);
    world.write("campaigns/gather.yaml", COLLECT);
    world.once().await.unwrap();
    assert_eq!(greeted(&world), [101, 102, 105]);
    assert_eq!(
        world.texts_to(105).len(),
        2,
        "who said stop got the one confirmation, and nothing else again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn collects_that_name_each_other_are_an_error_with_its_place() {
    let world = world(WORLD).await;
    let of = |name: &str, other: &str| {
        COLLECT
            .replace("name: gather", &format!("name: {name}"))
            .replace(
                "{type: members, peer: '@meetup'}",
                &format!("{{type: audience, campaign: {other}}}"),
            )
    };
    world.write("campaigns/one.yaml", of("one", "two"));
    world.write("campaigns/two.yaml", of("two", "three"));
    world.write("campaigns/three.yaml", of("three", "one"));
    let (code, out, _) = world.cli(&["validate", "--format", "json"]).await;
    assert_eq!(code, 78);
    let body: serde_json::Value = serde_json::from_str(&out).unwrap();
    let found: Vec<_> = body["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|d| d["code"] == "audience-cycle")
        .collect();
    assert_eq!(found.len(), 3, "{body:#}");
    assert_eq!(found[0]["range"]["start"]["line"], 7, "{body:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_says_of_each_person_what_became_of_him() {
    let world = world(WORLD).await;
    world.write("campaigns/hello.yaml", mailing("hello", "sales-1", ""));
    let daemon = world.daemon();
    world
        .until_campaign("hello", "everybody is settled and one opted out", |c| {
            c["progress"]["pending"] == 0 && c["progress"]["opted_out"] == 1
        })
        .await;
    // While the daemon runs it is asked.
    let csv = text(&world, &["audience", "export", "hello"]).await;
    daemon.stop().await.unwrap();
    assert_eq!(
        csv,
        text(&world, &["audience", "export", "hello", "--format", "csv"]).await
    );
    let mut lines = csv.strip_prefix('\u{feff}').unwrap().split("\r\n");
    assert_eq!(
        lines.next(),
        Some(
            "person,names,account,variant,step,sent_at,outcome,replied_at,last_reply,opted_out,source"
        )
    );
    let lines: Vec<&str> = lines.collect();
    assert!(
        lines[0].starts_with("id:101,Анна Иванова (@anna),sales-1,short,0,20"),
        "{csv}"
    );
    assert!(
        lines[0].ends_with(",sent,,,false,members of @meetup"),
        "{csv}"
    );
    assert!(
        lines[1].starts_with("id:102,\"'=HYPERLINK(\"\"http://x\"\") Bo, \"\"B\"\" 🎉\",sales-1,"),
        "{csv}"
    );
    assert!(lines[2].contains(",privacy_restricted,"), "{csv}");
    assert!(
        lines[3].contains("Dora") && lines[3].contains(",true,members of @meetup"),
        "{csv}"
    );
    assert_eq!(lines.len(), 5, "bots are in no audience: {csv}");

    let jsonl = text(
        &world,
        &["audience", "export", "hello", "--format", "jsonl"],
    )
    .await;
    let first: serde_json::Value = serde_json::from_str(jsonl.lines().next().unwrap()).unwrap();
    assert_eq!(first["names"], "Анна Иванова (@anna)");
    assert_eq!(first["outcome"], "sent");
    assert_eq!(first.as_object().unwrap().len(), 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_into_a_file_is_whole_or_not_there() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = world(WORLD).await;
    world.write("campaigns/gather.yaml", COLLECT);
    world.once().await.unwrap();
    for format in ["csv", "xlsx", "jsonl"] {
        let path = world.path().join(format!("out.{format}"));
        let file = path.to_str().unwrap();
        let printed = text(
            &world,
            &[
                "audience", "export", "gather", "--format", format, "--output", file,
            ],
        )
        .await;
        assert_eq!(printed, "");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let bytes = std::fs::read(&path).unwrap();
        match format {
            "csv" => assert!(bytes.starts_with("\u{feff}person,".as_bytes())),
            "xlsx" => assert!(bytes.starts_with(b"PK\x03\x04")),
            _ => assert_eq!(bytes.split(|b| *b == b'\n').count(), 5),
        }
    }
    let missing = world.path().join("nowhere.csv");
    let (code, _, errors) = world
        .cli(&[
            "audience",
            "export",
            "gathr",
            "--output",
            missing.to_str().unwrap(),
        ])
        .await;
    assert_eq!(code, 64, "{errors}");
    assert!(errors.contains("Did you mean `gather`?"), "{errors}");
    assert!(!missing.exists());
}

/// What LibreOffice makes of an export: opened, and written as CSV again. Left out where it is not installed.
#[tokio::test(flavor = "multi_thread")]
async fn libreoffice_opens_both_tables_with_every_character() {
    let there = std::process::Command::new("soffice")
        .arg("--version")
        .output();
    if there.is_err() {
        println!("left out: LibreOffice (`soffice`) is not here");
        return;
    }
    let world = world(
        "
accounts: [{name: sales-1}]
people:
  - {id: 101, username: anna, first_name: 'Анна 🎉', last_name: Ёлкина}
  - {id: 102, first_name: '=HYPERLINK(\"http://x\",\"y\")', last_name: '-2+3'}
  - {id: 103, first_name: 'Semi;colon, comma', last_name: '\"quoted\"'}
  - {id: 104, first_name: \"two\\nlines\", last_name: '@SUM(A1)'}
  - {id: 105, first_name: '00123', last_name: '👨‍👩‍👧‍👦 العربية'}
groups: [{title: Meetup, username: meetup, creator: sales-1, members: all}]
",
    )
    .await;
    world.write("campaigns/gather.yaml", COLLECT);
    world.once().await.unwrap();
    for format in ["csv", "xlsx"] {
        let path = world.path().join(format!("people.{format}"));
        let file = path.to_str().unwrap();
        let args = [
            "audience", "export", "gather", "--format", format, "--output", file,
        ];
        text(&world, &args).await;
    }
    let dir = world.path().to_owned();
    let convert = move |to: &str, from: &str, into: &str, more: &[&str]| {
        let done = std::process::Command::new("soffice")
            .arg(format!(
                "-env:UserInstallation=file://{}/profile",
                dir.display()
            ))
            .args(["--headless", "--convert-to", to, "--outdir", into])
            .args(more)
            .arg(from)
            .current_dir(&dir)
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
    };
    // Comma, quote, UTF-8, from line 1; the second with values as they are shown.
    const READ: &str = "--infilter=Text - txt - csv (StarCalc):44,34,76,1";
    const WRITE: &str = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false";
    tokio::task::spawn_blocking(move || {
        convert("xlsx", "people.csv", "opened", &[READ]);
        convert(WRITE, "opened/people.xlsx", "from_csv", &[]);
        convert(WRITE, "people.xlsx", "from_xlsx", &[]);
    })
    .await
    .unwrap();
    let table = |path: &str| -> Vec<Vec<String>> {
        let text = std::fs::read_to_string(world.path().join(path)).unwrap();
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .from_reader(text.as_bytes());
        let rows = reader.records().map(|row| row.unwrap());
        // It shows a yes or no in capitals.
        rows.map(|row| {
            row.iter()
                .map(|cell| cell.replace("FALSE", "false"))
                .collect()
        })
        .collect()
    };
    let ours = table("people.csv");
    assert_eq!(ours.len(), 6, "{ours:#?}");
    assert!(
        ours.iter()
            .flatten()
            .any(|cell| cell.contains("Анна 🎉 Ёлкина"))
    );
    for theirs in ["from_csv/people.csv", "from_xlsx/people.csv"] {
        assert_eq!(table(theirs), ours, "{theirs}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_says_which_audiences_there_are() {
    let world = world(WORLD).await;
    assert_eq!(
        text(&world, &["audience", "list", "-o", "json"]).await,
        "{\n  \"format_version\": \"1.0\",\n  \"audiences\": []\n}\n"
    );
    world.write("campaigns/gather.yaml", COLLECT);
    world.once().await.unwrap();
    let body: serde_json::Value =
        serde_json::from_str(&text(&world, &["audience", "list", "-o", "json"]).await).unwrap();
    let one = &body["audiences"][0];
    assert_eq!(
        (&one["name"], &one["kind"]),
        (&"gather".into(), &"collect".into())
    );
    assert_eq!(
        (&one["found"], &one["included"], &one["complete"]),
        (&6.into(), &4.into(), &true.into())
    );
    let table = text(&world, &["audience", "list"]).await;
    assert!(
        table.contains("gather") && table.contains("members of @meetup"),
        "{table}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shipped_audience_parser_gathers_everybody_and_says_where_he_was_found() {
    let of = |path: &str| {
        let root =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/audience-parser");
        std::fs::read_to_string(root.join(path)).unwrap()
    };
    let world = world(&of("world.yaml")).await;
    world.write("tidings.yaml", of("tidings.yaml"));
    world.write("campaigns/our-people.yaml", of("campaigns/our-people.yaml"));
    assert_eq!(world.once().await.unwrap(), ExitKind::Done);
    let campaign = world.campaign("our-people").await;
    assert_eq!(
        condition(&campaign, "Succeeded"),
        "True AllSettled",
        "{campaign:#}"
    );
    assert_eq!(
        campaign["audience"]["excluded"],
        serde_json::json!({"own_account": 1, "bot": 1, "last_seen": 1}),
        "{campaign:#}"
    );
    let jsonl = text(
        &world,
        &["audience", "export", "our-people", "--format", "jsonl"],
    )
    .await;
    let mut found: Vec<(String, String)> = jsonl
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|row| {
            let cell = |name: &str| row[name].as_str().unwrap().to_owned();
            (cell("names"), cell("source"))
        })
        .collect();
    found.sort();
    let expected = [
        ("Elena (@elena, +15550200105)", "contacts"),
        ("Felix (@felix)", "dialogs"),
        ("Henry (@henry)", "commenters of @our_channel"),
        (
            "Анна Иванова (@anna)",
            "members of @our_meetup; authors in @our_meetup",
        ),
        (
            "Борис (@boris)",
            "members of @our_meetup; authors in @our_meetup",
        ),
    ];
    assert_eq!(
        found,
        expected.map(|(who, whence)| (who.to_owned(), whence.to_owned()))
    );
    assert!(world.delivered().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attested_audience_is_written_to_only_with_a_word_on_how_to_opt_out() {
    let world = world(WORLD).await;
    world.write(
        "campaigns/gather.yaml",
        COLLECT.replace("basis: members", "basis: attested"),
    );
    let spec = |text: &str| {
        mailing(
            "hello",
            "sales-1",
            &format!(
                "sources: [{{type: audience, campaign: gather}}]\ntemplates: [{{name: a, text: '{text}'}}]\n"
            ),
        )
    };
    world.write("campaigns/hello.yaml", spec("Hi!"));
    assert_eq!(world.once().await.unwrap(), ExitKind::NeedsPerson);
    let campaign = world.campaign("hello").await;
    assert_eq!(
        condition(&campaign, "Ready"),
        "False ConsentMismatch",
        "{campaign:#}"
    );
    world.write(
        "campaigns/hello.yaml",
        spec("Hi! Say STOP to hear no more."),
    );
    world.once().await.unwrap();
    assert_eq!(greeted(&world), [101, 102, 105]);
}

//! `tidings forget`: suppressed first, then nothing is left of a person in the state.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod child;
mod common;

use std::path::Path;
use std::time::Duration;

use child::{ends_with, out, run};
use common::{World, mailing, world};
use tidings::model::Recorded;
use tidings::store::{Access, Options, Store};

const PEOPLE: &str = "
accounts:
  - {name: sales-1, username: mia_sales}
people:
  - {id: 770101, username: Zebulonia_x, first_name: Zebulonia, last_name: Quartermain, phone: '+15550278101'}
  - {id: 770102, username: boris, first_name: Boris}
groups:
  - {title: Meetup, username: meetup, creator: sales-1, members: [770101, 770102]}
";

const CAMPAIGN: &str = "consent: {basis: customers}
sources:
  - {type: members, peer: '@meetup', basis: members}
  - {type: file, path: audiences/customers.csv}
templates: [{name: short, text: \"Dear {{ contact.first_name }}, {{ contact.fields.city | default('somewhere') }} waits\"}]
";

/// All that tells who she is, and what she was written.
const TRACES: [&str; 7] = [
    "Zebulonia",
    "zebulonia",
    "Quartermain",
    "15550278101",
    "Vladivostok",
    "waits for me",
    "Dear Zeb",
];

fn workspace(world: &World) {
    world.write(
        "campaigns/audiences/customers.csv",
        "username;city\nboris;Kazan\nZebulonia_x;Vladivostok\n",
    );
    world.write(
        "campaigns/hello.yaml",
        mailing("hello", "sales-1", CAMPAIGN),
    );
}

/// The files below a folder that hold these bytes.
fn holding(dir: &Path, needle: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holding(&path, needle));
        } else if let Ok(bytes) = std::fs::read(&path)
            && bytes.windows(needle.len()).any(|w| w == needle.as_bytes())
        {
            found.push(path.display().to_string());
        }
    }
    found
}

/// Every value of the database unpacked: what compression would hide from a search of the files.
fn unpacked(dir: &Path) -> Vec<u8> {
    let access = Access::Write {
        new_id: 1,
        now_ms: 0,
    };
    let (store, _) =
        Store::<Recorded>::open(dir, Options::new(access, Duration::from_secs(5))).unwrap();
    let mut all = Vec::new();
    for row in store.export().unwrap() {
        let row = row.unwrap();
        all.extend(row.key);
        all.extend(row.value);
    }
    if let Some(checkpoint) = store.load().unwrap().checkpoint {
        all.extend(checkpoint.bytes().unwrap());
    }
    assert_eq!(store.verify().unwrap().problems, Vec::<String>::new());
    all
}

async fn tidings(world: &World, args: &[&str]) -> std::process::Output {
    let dir = world.path().to_owned();
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    tokio::task::spawn_blocking(move || run(&dir, args))
        .await
        .unwrap()
}

#[track_caller]
fn nothing_is_left(world: &World, open: bool) {
    let state = world.path().join("state");
    for trace in TRACES {
        assert_eq!(holding(&state, trace), Vec::<String>::new(), "{trace}");
    }
    if !open {
        let all = unpacked(&state);
        for trace in TRACES {
            assert!(
                !all.windows(trace.len()).any(|w| w == trace.as_bytes()),
                "{trace} stands in a value"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_forget_a_search_of_the_state_finds_nothing_of_the_person() {
    let world = world(PEOPLE).await;
    workspace(&world);
    world.once().await.unwrap();
    assert_eq!(world.who(), [770101, 770102]);
    assert!(world.texts_to(770101)[0].contains("Vladivostok"));
    let state = world.path().join("state");
    let before = unpacked(&state);
    assert!(
        before.windows(9).any(|w| w == b"Zebulonia"),
        "there is something to find"
    );
    let said = tidings(&world, &["forget", "@zebulonia_x", "--yes", "-o", "json"]).await;
    ends_with(&said, 0);
    let said: serde_json::Value = serde_json::from_str(&out(&said)).unwrap();
    assert_eq!(said["erased"], true);
    assert_eq!(
        said["places"],
        serde_json::json!([{"file": "campaigns/audiences/customers.csv", "line": 3}])
    );
    nothing_is_left(&world, false);
    // The CSV and the group name her still: she is recognised by the hashes, and nothing is written down again.
    world.write(
        "campaigns/again.yaml",
        mailing("again", "sales-1", CAMPAIGN),
    );
    world.once().await.unwrap();
    assert_eq!(world.texts_to(770101).len(), 1);
    assert_eq!(world.texts_to(770102).len(), 2);
    let again = world.campaign("again").await;
    assert_eq!(again["audience"]["excluded"]["suppressed"], 1, "{again:#}");
    nothing_is_left(&world, false);
    let list = tidings(&world, &["optout", "list", "-o", "json"]).await;
    let list = out(&list);
    assert!(!list.contains("ebulonia"), "{list}");
    // Whoever says who she is can undo it.
    ends_with(
        &tidings(&world, &["optout", "remove", "+15550278101"]).await,
        1,
    );
    ends_with(
        &tidings(&world, &["optout", "remove", "@zebulonia_x"]).await,
        0,
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_kept_of_a_spec_that_names_the_person_is_forgotten_too() {
    let world = world(PEOPLE).await;
    let settings = std::fs::read_to_string(world.path().join("tidings.yaml")).unwrap();
    world.write("tidings.yaml", format!("{settings}on_invalid: continue\n"));
    let named = CAMPAIGN.replace(
        "  - {type: file, path: audiences/customers.csv}\n",
        "  - {type: list, peers: ['@boris', '@Zebulonia_x', '+1 (555) 027-81-01']}\n",
    );
    let named = named.replace("contact.fields.city", "contact.username");
    world.write("campaigns/hello.yaml", mailing("hello", "sales-1", &named));
    world.once().await.unwrap();
    assert_eq!(world.who(), [770101, 770102]);
    let state = world.path().join("state");
    let has = |what: &str| {
        let all = unpacked(&state);
        all.windows(what.len()).any(|w| w == what.as_bytes())
    };
    assert!(has("'@Zebulonia_x'"), "the spec is kept");
    ends_with(&tidings(&world, &["forget", "@boris", "--yes"]).await, 0);
    assert!(!has("'@boris'"), "what names him is not kept any more");
    let said = tidings(&world, &["forget", "+15550278101", "--yes"]).await;
    ends_with(&said, 0);
    assert!(out(&said).contains("hello.yaml"), "{}", out(&said));
    nothing_is_left(&world, false);
    world.once().await.unwrap();
    nothing_is_left(&world, false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_daemon_forgets_and_goes_on() {
    let world = world(PEOPLE).await;
    workspace(&world);
    let daemon = world.daemon();
    world.until("both", |w| w.who().len() == 2).await;
    world
        .sandbox
        .send_as_person("@zebulonia_x", "sales-1", "nobody waits for me")
        .unwrap();
    world
        .until_campaign("hello", "her answer", |c| c["progress"]["replied"] == 1)
        .await;
    let said = tidings(&world, &["forget", "id:770101", "--yes"]).await;
    ends_with(&said, 0);
    assert!(out(&said).contains("customers.csv:3"), "{}", out(&said));
    nothing_is_left(&world, true);
    // It goes on: another campaign is taken up, and she gets nothing of it.
    world.write(
        "campaigns/again.yaml",
        mailing("again", "sales-1", CAMPAIGN),
    );
    world
        .until("the other one gets the next campaign", |w| {
            w.texts_to(770102).len() == 2
        })
        .await;
    world
        .until_campaign("again", "she is suppressed", |c| {
            c["audience"]["excluded"]["suppressed"] == 1
        })
        .await;
    daemon.stop().await.unwrap();
    assert_eq!(world.texts_to(770101).len(), 1);
    nothing_is_left(&world, false);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_forgotten_person_writes_afterwards_is_not_kept() {
    let world = world(PEOPLE).await;
    workspace(&world);
    let daemon = world.daemon();
    world.until("both", |w| w.who().len() == 2).await;
    ends_with(&tidings(&world, &["forget", "id:770101", "--yes"]).await, 0);
    let says = |who: &str, text: &str| {
        world.sandbox.send_as_person(who, "sales-1", text).unwrap();
    };
    says("@zebulonia_x", "what waits for me now");
    says("@boris", "a word that is kept");
    let kept = |campaign: &serde_json::Value| campaign["progress"]["replied"] == 2;
    world.until_campaign("hello", "both wrote", kept).await;
    daemon.stop().await.unwrap();
    nothing_is_left(&world, false);
    let all = unpacked(&world.path().join("state"));
    assert!(all.windows(19).any(|w| w == b"a word that is kept"));
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_was_never_found_is_suppressed_by_his_hash_alone() {
    let world = world(PEOPLE).await;
    ends_with(
        &tidings(&world, &["forget", "@zebulonia_x", "--yes"]).await,
        0,
    );
    workspace(&world);
    world.once().await.unwrap();
    assert_eq!(world.who(), [770102]);
    nothing_is_left(&world, false);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_a_person_in_copies_leftovers_and_what_the_daemon_had_in_hand() {
    let world = world(PEOPLE).await;
    workspace(&world);
    // The answer to her message is lost: it is in hand, with its bytes, when she is to be forgotten.
    world.sandbox.fault(
        tidings::sandbox::FaultRule::new(tidings::sandbox::Effect::SilentAfter)
            .method("messages.sendMessage")
            .person(tidings::sandbox::Ref::Id(770101))
            .times(1),
    );
    let daemon = world.daemon();
    let in_hand = |w: &World| w.texts_to(770101).len() == 1;
    world.until("it is in hand", in_hand).await;
    // A copy from before a migration, and what a restore and an erasure that were killed left.
    let state = world.path().join("state");
    for leftover in ["before-v2/outbox", "restore.new/outbox", "db.new"] {
        let folder = state.join(leftover);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(
            folder.join("00000000000000000001.log"),
            "Zebulonia Quartermain",
        )
        .unwrap();
    }
    std::fs::write(state.join("checkpoints/partial"), "Dear Zebulonia").unwrap();
    std::fs::write(state.join("outbox/partial"), "Dear Zebulonia").unwrap();
    assert!(!holding(&state, "Zebulonia").is_empty());
    let forget = ["forget", "id:770101", "--yes"];
    let said = tidings(&world, &forget).await;
    ends_with(&said, 1);
    assert!(
        out(&said).contains("Ask again in a moment"),
        "{}",
        out(&said)
    );
    let end = std::time::Instant::now() + common::PATIENCE;
    loop {
        let said = tidings(&world, &forget).await;
        if said.status.success() {
            break;
        }
        assert!(std::time::Instant::now() < end, "{}", out(&said));
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    nothing_is_left(&world, true);
    daemon.stop().await.unwrap();
    nothing_is_left(&world, false);
    world.once().await.unwrap();
    nothing_is_left(&world, false);
    assert_eq!(world.texts_to(770101).len(), 1);
}

//! Who changed what, and what a campaign was: as the commands tell it.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::child::{Place, ends_with, err, out};
use super::common::{FAST, crowd};
use super::hello;

/// Git tells seconds.
const A_SECOND: Duration = Duration::from_millis(1100);

/// git in a folder, in somebody's name; what it printed.
fn git(root: &Path, who: &str, args: &[&str]) -> String {
    super::common::git(root, who, "somebody", args)
}

#[track_caller]
fn json_of(place: &Place, args: &[&str]) -> Value {
    let output = place.run(&[args, &["-o", "json"]].concat());
    ends_with(&output, 0);
    serde_json::from_slice(&output.stdout).unwrap()
}

fn once(place: &Place) {
    let ended = place.run(&["run", "--once", "--horizon", "2s"]);
    assert!(
        matches!(ended.status.code(), Some(0 | 4)),
        "{}",
        err(&ended)
    );
}

/// Entries of the audit of a kind.
#[track_caller]
fn entries(place: &Place, kind: &str) -> Vec<Value> {
    let audit = json_of(place, &["audit"]);
    let entries = audit["entries"].as_array().unwrap().iter();
    entries.filter(|e| e["type"] == kind).cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_settings_is_in_the_audit_with_its_commit_and_what_changed() {
    let place = Place::new(&crowd(3), FAST).await;
    place.write("campaigns/spring.yaml", hello("spring", "sales-1", ""));
    let root = &place.root;
    git(root, "Ann", &["init", "-q"]);
    git(root, "Ann", &["add", "campaigns", "tidings.yaml"]);
    git(root, "Ann", &["commit", "-qm", "one"]);
    once(&place);
    once(&place);
    let seen = entries(&place, "settings_seen");
    assert_eq!(seen.len(), 1, "a start is no change: {seen:#?}");
    assert_eq!(seen[0]["generation"], 1);

    // What is a comment, or stands in another order, is none either.
    place.write("tidings.yaml", format!("# to be changed\n{FAST}"));
    once(&place);
    let changed = format!(
        "{FAST}test_recipients: ['@person103']\nretention: {{events: 30d}}\naccounts: {{sales-1: {{per_day: 40}}}}\n"
    );
    place.write("tidings.yaml", &changed);
    git(root, "Bob", &["commit", "-qam", "less a day"]);
    let commit = git(root, "Bob", &["rev-parse", "HEAD"]);
    once(&place);
    let seen = entries(&place, "settings_seen");
    assert_eq!(seen.len(), 2, "{seen:#?}");
    let last = &seen[1];
    assert_eq!(last["by"], "Bob <somebody@example.com>");
    assert_eq!(last["commit"], commit);
    assert_eq!(last["file"], "tidings.yaml");
    let said = last["message"].as_str().unwrap();
    for part in [
        "generation 2",
        "+ accounts.sales-1.per_day: 40",
        "+ retention.events: 30d",
        "+ test_recipients (not shown)",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("person103"), "{said}");
    let events = out(&place.run(&["events", "--limit", "1000"]));
    assert!(events.contains("settings_seen"), "{events}");
    assert_eq!(
        json_of(&place, &["audit", "spring"])["entries"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|entry| entry["type"] == "settings_seen")
            .count(),
        0,
        "of a campaign alone"
    );

    // Seen before it was committed: whoever commits it then is named.
    place.write(
        "tidings.yaml",
        changed.replace("per_day: 40", "per_day: 50"),
    );
    once(&place);
    assert_eq!(entries(&place, "settings_seen")[2]["by"], Value::Null);
    tokio::time::sleep(A_SECOND).await;
    git(root, "Carl", &["commit", "-qam", "more a day"]);
    let seen = entries(&place, "settings_seen");
    assert_eq!(seen[2]["by"], "Carl <somebody@example.com>", "{seen:#?}");

    // Without it the defaults hold, and a broken one changes nothing.
    place.write("tidings.yaml", "limits: [\n");
    assert_eq!(place.run(&["run", "--once"]).status.code(), Some(78));
    std::fs::remove_file(root.join("tidings.yaml")).unwrap();
    once(&place);
    let seen = entries(&place, "settings_seen");
    assert_eq!(seen.len(), 4, "{seen:#?}");
    let said = seen[3]["message"].as_str().unwrap();
    assert!(said.contains("- accounts.sales-1.per_day: 50"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_campaign_is_known_by_its_earlier_name_everywhere() {
    let place = Place::new(&crowd(3), FAST).await;
    place.write("campaigns/winter.yaml", hello("winter", "sales-1", ""));
    once(&place);
    std::fs::remove_file(place.root.join("campaigns/winter.yaml")).unwrap();
    let spring = hello("spring", "sales-1", "renamed_from: winter\n");
    place.write("campaigns/spring.yaml", spring);
    once(&place);
    let now = json_of(&place, &["events", "spring"]);
    assert!(now["events"].as_array().unwrap().len() > 5, "{now:#}");
    assert_eq!(json_of(&place, &["events", "winter"]), now);
    let audit = json_of(&place, &["audit", "spring"]);
    assert_eq!(json_of(&place, &["audit", "winter"]), audit);
    for (args, list) in [
        (&["status", "winter"][..], "campaigns"),
        (&["plan", "winter"], "campaigns"),
    ] {
        let found = json_of(&place, args);
        assert_eq!(found[list][0]["name"], "spring", "{args:?}: {found:#}");
    }
    for args in [
        &["status", "winter"][..],
        &["explain", "winter", "id:101"],
        &["audience", "export", "winter"],
    ] {
        ends_with(&place.run(args), 0);
    }
    ends_with(&place.run(&["status", "autumn"]), 64);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_or_retired_campaign_keeps_the_kind_and_title_it_had() {
    let place = Place::new(&crowd(3), FAST).await;
    let spring = hello("spring", "sales-1", "title: Spring sale\n");
    place.write("campaigns/spring.yaml", &spring);
    once(&place);
    let of = |name: &str| {
        let campaign = place.campaign(name);
        json!([campaign["kind"], campaign["title"], campaign["sync"]])
    };
    place.write("campaigns/spring.yaml", format!("{spring}colour: red\n"));
    assert_eq!(of("spring"), json!(["mailing", "Spring sale", "invalid"]));
    once(&place);
    assert_eq!(of("spring"), json!(["mailing", "Spring sale", "invalid"]));
    std::fs::remove_file(place.root.join("campaigns/spring.yaml")).unwrap();
    once(&place);
    assert_eq!(of("spring"), json!(["mailing", "Spring sale", "retired"]));
    // Nobody can say it of what was never valid.
    place.write("campaigns/autumn.yaml", "name: autumn\ncolour: red\n");
    once(&place);
    assert_eq!(of("autumn")[0], "unknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_a_changed_campaign_names_the_commit_that_shows_the_change() {
    let place = Place::new(&crowd(3), FAST).await;
    let spring = hello("spring", "sales-1", "");
    place.write("campaigns/spring.yaml", &spring);
    let root = &place.root;
    git(root, "Ann", &["init", "-q"]);
    git(root, "Ann", &["add", "campaigns", "tidings.yaml"]);
    git(root, "Ann", &["commit", "-qm", "one"]);
    let first = git(root, "Ann", &["rev-parse", "HEAD"]);
    once(&place);
    place.write("campaigns/spring.yaml", format!("{spring}canary: 5\n"));
    for committed in [false, true] {
        if committed {
            git(root, "Bob", &["commit", "-qam", "two"]);
        }
        let said = out(&place.run(&["plan"]));
        let hint = format!("tidings plan --against {}`", &first[..12]);
        assert!(said.contains(&hint), "{committed}: {said}");
        let shown = out(&place.run(&["plan", "--against", &first[..12]]));
        assert!(shown.contains("canary"), "{committed}: {shown}");
    }
    // What stood in no commit when it was seen cannot be compared with.
    once(&place);
    place.write("campaigns/spring.yaml", format!("{spring}canary: 6\n"));
    once(&place);
    place.write("campaigns/spring.yaml", format!("{spring}canary: 7\n"));
    let said = out(&place.run(&["plan"]));
    assert!(said.contains("~ spring"), "{said}");
    assert!(!said.contains("--against"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_committed_after_it_was_seen_can_be_compared_with() {
    let place = Place::new(&crowd(3), FAST).await;
    place.write("campaigns/words.j2", "spring: hi");
    let templates = "templates: [{name: short, file: words.j2}]\n";
    let spring = super::common::mailing("spring", "sales-1", templates);
    place.write("campaigns/spring.yaml", &spring);
    let root = &place.root;
    git(root, "Ann", &["init", "-q"]);
    once(&place);
    git(root, "Ann", &["add", "campaigns", "tidings.yaml"]);
    git(root, "Ann", &["commit", "-qm", "one"]);
    let first = git(root, "Ann", &["rev-parse", "HEAD"]);
    place.write("campaigns/words.j2", "spring: hello");
    for committed in [false, true] {
        if committed {
            git(root, "Bob", &["commit", "-qam", "two"]);
        }
        let said = out(&place.run(&["plan"]));
        let hint = format!("tidings plan --against {}`", &first[..12]);
        assert!(said.contains(&hint), "{committed}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_approval_brake_is_not_switched_off_unseen() {
    let place = Place::new(&crowd(3), "version: 1\nlimits: {min_delay: 0s}\n").await;
    place.write("campaigns/spring.yaml", hello("spring", "sales-1", ""));
    let root = &place.root;
    git(root, "Ann", &["init", "-q"]);
    git(root, "Ann", &["add", "campaigns", "tidings.yaml"]);
    git(root, "Ann", &["commit", "-qm", "one"]);
    once(&place);
    place.write(
        "tidings.yaml",
        "version: 1\nlimits: {min_delay: 0s, approve_over: null}\n",
    );
    once(&place);
    let want = "~ limits.approve_over: 500 (default) → null (never)";
    let seen = entries(&place, "settings_seen");
    assert_eq!(seen.len(), 2, "{seen:#?}");
    let events = out(&place.run(&["events", "--limit", "1000"]));
    let compared = place.run(&["plan", "--against", "HEAD", "--detailed-exitcode"]);
    ends_with(&compared, 2);
    let compared = out(&compared);
    for said in [seen[1]["message"].as_str().unwrap(), &events, &compared] {
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(want), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_one_person_forgotten_suppressed_one() {
    let place = Place::new(&crowd(3), FAST).await;
    place.write("campaigns/spring.yaml", hello("spring", "sales-1", ""));
    once(&place);
    ends_with(&place.run(&["forget", "@person103", "--yes"]), 0);
    let seen = entries(&place, "suppression_added");
    let said = seen[0]["message"].as_str().unwrap();
    assert!(said.contains("suppressed 1 person: forgotten"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_audited_once_there_is_one() {
    let place = Place::new(&crowd(3), FAST).await;
    place.write("campaigns/spring.yaml", hello("spring", "sales-1", ""));
    once(&place);
    let nowhere = place.root.join("nowhere/backup");
    ends_with(&place.run(&["backup", nowhere.to_str().unwrap()]), 1);
    assert_eq!(entries(&place, "backed_up").len(), 0);
    let file = place.dir.path().join("backup");
    let _daemon = place.daemon();
    for taken in [1, 2] {
        ends_with(&place.run(&["backup", nowhere.to_str().unwrap()]), 1);
        ends_with(&place.run(&["backup", file.to_str().unwrap()]), 0);
        let seen = entries(&place, "backed_up");
        assert_eq!(seen.len(), taken, "{seen:#?}");
        std::fs::remove_file(&file).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_source_that_was_not_read_nobody_says_that_it_found_nobody() {
    let place = Place::new(&crowd(3), FAST).await;
    // Nobody has logged this account in.
    place.write("campaigns/spring.yaml", hello("spring", "sales-9", ""));
    once(&place);
    let why = |who: &str| {
        let told = json_of(&place, &["explain", "spring", who]);
        told["summary"].as_str().unwrap().to_owned()
    };
    let said = why("id:102");
    assert!(
        said.contains("is not known") && said.contains("members of @meetup: never looked up"),
        "{said}"
    );
    place.write("campaigns/spring.yaml", hello("spring", "sales-1", ""));
    once(&place);
    let said = why("id:102");
    assert!(said.contains("He got the message"), "{said}");
    let said = why("id:999");
    assert!(said.contains("No source of `spring` found him"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_a_file_that_a_spec_names_is_its_authors() {
    let place = Place::new(&crowd(3), FAST).await;
    let root = &place.root;
    place.write("campaigns/words.j2", "spring: hi");
    let templates = "templates: [{name: short, file: words.j2}]\n";
    let spec = super::common::mailing("spring", "sales-1", templates);
    place.write("campaigns/spring.yaml", spec);
    git(root, "Ann", &["init", "-q"]);
    git(root, "Ann", &["add", "campaigns"]);
    git(root, "Ann", &["commit", "-qm", "one"]);
    once(&place);
    place.write("campaigns/words.j2", "spring: hello");
    git(root, "Bob", &["commit", "-qam", "politer"]);
    once(&place);
    let by: Vec<Value> = entries(&place, "spec_seen")
        .iter()
        .map(|entry| entry["by"].clone())
        .collect();
    let want = ["Ann <somebody@example.com>", "Bob <somebody@example.com>"];
    assert_eq!(by, want);
    let report = place.campaign("spring");
    assert_eq!(report["commit"], git(root, "Bob", &["rev-parse", "HEAD"]));
}

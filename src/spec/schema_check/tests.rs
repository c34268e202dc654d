#![allow(dead_code)] // The types exist for their schemas.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::*;
use crate::spec::yaml;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Sample {
    /// The format of this file. Always 1.
    version: u32,
    title: Option<String>,
    #[serde(default)]
    paused: bool,
    kind: Kind,
    #[serde(default)]
    delays: Option<Delays>,
    #[serde(default)]
    sources: Vec<Source>,
    #[serde(default)]
    accounts: Option<Accounts>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    #[schemars(range(min = 1, max = 10))]
    canary: Option<u32>,
    #[serde(default)]
    #[schemars(length(min = 1))]
    peers: Option<Vec<Peer>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// Sends messages.
    Mailing,
    /// Invites.
    Invite,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Delays {
    /// How long to wait between two messages.
    #[serde(default)]
    #[schemars(regex(pattern = r"^\d+[smh](\.\.\d+[smh])?$"), extend("examples" = ["30s..90s", "45s"]))]
    between_messages: Option<String>,
    per_day: Option<u32>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
enum Source {
    Members { peer: String, limit: Option<u32> },
    File { path: String },
    Contacts {},
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Accounts {
    Names(Vec<String>),
    Labels(ByLabels),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ByLabels {
    labels: BTreeMap<String, String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Peer {
    Name(String),
    Id(ById),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ById {
    id: i64,
}

fn said(text: &str) -> Vec<String> {
    let schema = Schema::new(schemars::schema_for!(Sample).to_value()).unwrap();
    let mut findings = Findings::new();
    let tree = yaml::parse(text.as_bytes(), &mut findings);
    assert!(findings.is_empty(), "the case is YAML");
    let json = tree.root().to_json();
    schema.check(&tree, &json, &mut findings);
    findings
        .into_diagnostics("f", &tree)
        .into_iter()
        .map(|d| {
            format!("{} {} {d}", d.place().trim_start_matches("f:"), d.code)
                .replace(&format!(" {}: ", d.place()), " ")
        })
        .collect()
}

#[test]
fn every_mistake_is_named_once_with_its_place() {
    let base = "version: 1\nkind: mailing\n";
    for (yaml, expected) in [
        ("", vec![]),
        (
            "paussed: true",
            vec![
                "3:1 unknown-key unknown key \"paussed\" at the top of the file; did you mean `paused`?",
            ],
        ),
        (
            "paused: yes",
            vec![
                "3:9 wrong-type found the text \"yes\" in `paused`; expected true or false; did you mean `true`?",
            ],
        ),
        (
            "title: 5",
            vec![
                "3:8 wrong-type found the number 5 in `title`; expected text; did you mean `\"5\"`?",
            ],
        ),
        (
            "title:\n  - a",
            vec!["4:3 wrong-type found a list in `title`; expected text"],
        ),
        (
            "canary: 11",
            vec!["3:9 out-of-range found the number 11 in `canary`; expected at most 10"],
        ),
        (
            "canary: \"5\"",
            vec![
                "3:9 wrong-type found the text \"5\" in `canary`; expected a whole number; did you mean `5`?",
            ],
        ),
        (
            "canary: 1.5",
            vec!["3:9 wrong-type found the number 1.5 in `canary`; expected a whole number"],
        ),
        (
            "paused:",
            vec!["3:1 wrong-type `paused` has no value; expected true or false"],
        ),
        (
            "delays: {between_messages: 30 sec}",
            vec!["3:28 bad-value the text \"30 sec\" cannot stand in `delays.between_messages`"],
        ),
        (
            "delays: {beetween_messages: 30s}",
            vec![
                "3:10 unknown-key unknown key \"beetween_messages\" in `delays`; did you mean `between_messages`?",
            ],
        ),
        (
            "delays: 30s",
            vec!["3:9 wrong-type found the text \"30s\" in `delays`; expected a mapping"],
        ),
        (
            "sources: [{type: membres, peer: a}]",
            vec![
                "3:18 unknown-value found the text \"membres\" in `sources[0].type`; expected one of members, file, contacts; did you mean `members`?",
            ],
        ),
        (
            "sources: [{type: members, peeer: a}]",
            vec!["3:27 unknown-key unknown key \"peeer\" in `sources[0]`; did you mean `peer`?"],
        ),
        (
            "sources: [{type: members}]",
            vec!["3:12 missing-key the key `peer` is missing"],
        ),
        (
            "sources: [{peer: a}]",
            vec!["3:12 missing-key the key `type` is missing"],
        ),
        (
            "sources: [{type: contacts, limit: 5}]",
            vec!["3:28 unknown-key unknown key \"limit\" in `sources[0]`"],
        ),
        (
            "sources: [{type: members, peer: a, limit: x}]",
            vec![
                "3:43 wrong-type found the text \"x\" in `sources[0].limit`; expected a whole number",
            ],
        ),
        (
            "sources: [members]",
            vec!["3:11 wrong-type found the text \"members\" in `sources[0]`; expected a mapping"],
        ),
        (
            "accounts: sales",
            vec![
                "3:11 wrong-type found the text \"sales\" in `accounts`; expected a list or a mapping; did you mean `[sales]`?",
            ],
        ),
        (
            "accounts: {label: {a: b}}",
            vec!["3:12 unknown-key unknown key \"label\" in `accounts`; did you mean `labels`?"],
        ),
        (
            "accounts: [a, 5]",
            vec![
                "3:15 wrong-type found the number 5 in `accounts[1]`; expected text; did you mean `\"5\"`?",
            ],
        ),
        (
            "labels: {a: 1}",
            vec![
                "3:13 wrong-type found the number 1 in `labels.a`; expected text; did you mean `\"1\"`?",
            ],
        ),
        (
            "peers: []",
            vec!["3:8 out-of-range `peers` is empty; expected at least 1 item"],
        ),
        (
            "peers: [+15550100]",
            vec![
                "3:9 wrong-type found the number +15550100 in `peers[0]`; expected text or a mapping; did you mean `\"+15550100\"`?",
            ],
        ),
        (
            "peers: [{id: a}]",
            vec!["3:14 wrong-type found the text \"a\" in `peers[0].id`; expected a whole number"],
        ),
    ] {
        let got = said(&format!("{base}{yaml}"));
        let matches =
            got.len() == expected.len() && got.iter().zip(&expected).all(|(g, e)| g.starts_with(e));
        assert!(
            matches,
            "{yaml}\n  got      {got:#?}\n  expected {expected:#?}"
        );
    }
}

#[test]
fn a_word_that_is_not_among_those_allowed_gets_the_nearest_one() {
    assert_eq!(
        said("version: 1\nkind: maling"),
        [
            "2:7 unknown-value found the text \"maling\" in `kind`; expected one of mailing, invite; did you mean `mailing`?"
        ]
    );
    assert_eq!(
        said("version: 1\nkind: 7"),
        ["2:7 wrong-type found the number 7 in `kind`; expected one of mailing, invite"]
    );
    assert_eq!(
        said("version: 1\nkind: []"),
        ["2:7 wrong-type found an empty list in `kind`; expected one of mailing, invite"]
    );
}

#[test]
fn a_missing_key_marks_the_first_key_of_its_mapping() {
    assert_eq!(
        said("title: x\nkind: mailing"),
        ["1:1 missing-key the key `version` is missing"]
    );
}

#[test]
fn a_misspelt_required_key_is_one_mistake() {
    assert_eq!(
        said("version: 1\nknd: mailing"),
        ["2:1 unknown-key unknown key \"knd\" at the top of the file; did you mean `kind`?"]
    );
}

#[test]
fn several_mistakes_are_all_said() {
    let got =
        said("verson: 1\nkind: mailing\ncanary: 0\nsources:\n  - {type: file}\n  - {type: x}\n");
    assert_eq!(got.len(), 4, "{got:#?}");
}

#[test]
fn help_comes_from_the_description_and_the_examples() {
    let schema = Schema::new(schemars::schema_for!(Sample).to_value()).unwrap();
    let mut findings = Findings::new();
    let tree = yaml::parse(
        b"version: 1\nkind: mailing\ndelays: {between_messages: 30}",
        &mut findings,
    );
    let spoiled = schema
        .check(&tree, &tree.root().to_json(), &mut findings)
        .spoiled;
    assert_eq!(spoiled.len(), 1);
    assert_eq!(
        spoiled[0].at,
        Pointer::root().key("delays").key("between_messages")
    );
    let diagnostics = findings.into_diagnostics("f", &tree);
    assert_eq!(
        diagnostics[0].detail,
        "How long to wait between two messages. For example `30s..90s`, `45s`."
    );
    assert_eq!(diagnostics[0].suggestion, None);
}

#[test]
fn a_value_from_the_environment_is_not_repeated() {
    let schema = Schema::new(schemars::schema_for!(Sample).to_value()).unwrap();
    let mut findings = Findings::new();
    let tree = yaml::parse(
        b"version: 1\nkind: ${SECRET}\ncanary: ${SECRET}",
        &mut findings,
    );
    let tree = tree.substitute(&|_| Some("hunter2".to_owned()), &mut findings);
    schema.check(&tree, &tree.root().to_json(), &mut findings);
    let diagnostics = findings.into_diagnostics("f", &tree);
    assert_eq!(diagnostics.len(), 2);
    let text = format!("{diagnostics:?}");
    assert!(
        !text.contains("hunter2") && text.contains("${SECRET}"),
        "{text}"
    );
}

#[test]
fn a_wrong_item_far_down_a_long_list_is_found_at_its_place() {
    let mut text = "version: 1\nkind: mailing\npeers:\n".to_owned();
    for n in 0..3_000 {
        text.push_str(if n == 2_345 {
            "  - {id: a}\n"
        } else {
            "  - b\n"
        });
    }
    assert_eq!(
        said(&text),
        ["2349:10 wrong-type found the text \"a\" in `peers[2345].id`; expected a whole number"]
    );
    let long = format!(
        "version: 1\nkind: mailing\npeers: [{}]\nsources: [{{type: x}}]",
        "a, ".repeat(3_000)
    );
    assert_eq!(said(&long).len(), 1);
}

#[test]
fn very_many_mistakes_are_counted_and_not_all_said() {
    let unknown: String = (0..15_000).map(|n| format!("k{n}: 1\n")).collect();
    let wrong = format!("sources: [{}]\n", "{type: y}, ".repeat(6_000));
    for text in [unknown, wrong] {
        let started = std::time::Instant::now();
        let got = said(&format!("version: 1\nkind: mailing\n{text}"));
        assert!(got.len() > 200, "{}", got.len());
        assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
    }
}

//! The room as a whole: the contract's own examples, the schemas, and the limits.

use std::collections::BTreeMap;

use serde_json::Value;

use super::files::MemoryFiles;
use super::*;

/// The example of CONTRACT section 2, with what it names.
const EXAMPLE: &str = r#"# yaml-language-server: $schema=../schema/campaign.schema.json
version: 1
name: spring-launch
title: Весенний релиз
kind: mailing
description: Tell our members about the spring release
owner: growth
labels: {product: pro}
paused: false
renamed_from: winter-launch
consent:
  basis: members
  note: Members of our own community, rules pinned 2026-01-10
accounts: [sales-1, sales-2]
sources:
  - {type: members, peer: "@rust_meetup", limit: 5000}
  - {type: authors, peer: "@rust_meetup", within: 30d}
  - {type: commenters, peer: "@our_channel", posts: 50}
  - {type: dialogs, within: 90d, basis: inbound}
  - {type: contacts, basis: contacts}
  - {type: file, path: audiences/customers.csv, columns: {phone: Телефон}, basis: customers}
  - {type: list, peers: ["@alice", "https://t.me/bob", "+15550100", {id: 123456789}], basis: customers}
  - {type: audience, campaign: spring-collect}
filters:
  bots: drop
  deleted: drop
  admins: keep
  username: any
  premium: any
  last_seen: 14d
  not_contacted: {within: 30d}
  in:
    - {type: authors, peer: "@rust_meetup", within: 30d}
  exclude:
    - {type: members, peer: "@our_channel"}
  where: contact.first_name and contact.fields.city == "Kazan"
  limit: 5000
templates:
  - name: short
    weight: 2
    format: markdown
    text: "Hi {{ contact.first_name | default('there') }}! …"
  - name: long
    file: templates/long.j2
    media: media/banner.png
    link_preview: false
follow_ups:
  - after: 3d
    if: no_reply
    templates: [{name: nudge, text: "…"}]
delays:
  between_messages: 30s..90s
  typing: 2s..6s
  per_account: {per_hour: 15, per_day: 40, per_run: 30}
  per_campaign: {per_day: 500}
schedule:
  timezone: Europe/Berlin
  start: 2026-12-01T09:00
  end: 2026-12-20T18:00
  cron: "0 10 * * mon"
  each_run: newcomers
  refresh: 6h
  windows: ["mon-fri 10:00-13:00", "mon-fri 14:00-19:00"]
  missed: skip
  overlap: skip
guardrails:
  after: 20
  max_block_rate: 5%
  max_failure_rate: 30%
  max_opt_out_rate: 10%
canary: 20
ai_role:
  prompt: You are Mia, who helps customers of …
  model: gpt-4o-mini
  mode: auto
  delay: 20s..120s
  max_replies: 6
  max_tokens_per_day: 200000
  handoff: ["human", "price list"]
  disclosure: "I am an automated assistant."
  share: [first_name]
  allow_links: [example.com]
tests:
  - name: greets by first name
    contact: {first_name: Anna, username: anna}
    expect: {included: true, text_contains: ["Anna"]}
"#;

fn example_files() -> MemoryFiles {
    MemoryFiles::new()
        .with(
            "campaigns/audiences/customers.csv",
            "Телефон;first_name;city\n+15550100;Anna;Kazan\n",
        )
        .with(
            "campaigns/templates/long.j2",
            "Hi {{ contact.full_name | default('you') }}",
        )
        .with("campaigns/media/banner.png", "png")
}

fn load(text: &str) -> load::Loaded<CampaignSpec> {
    let files = example_files();
    let engine = testing::engine("owners: {growth: {}}");
    let campaigns: BTreeMap<String, Option<Kind>> =
        [("spring-collect".to_owned(), Some(Kind::Collect))].into();
    let cx = CheckContext {
        file: "campaigns/spring-launch.yaml",
        files: &files,
        engine: &engine,
        campaigns: Some(&campaigns),
        sessions: None,
    };
    load_campaign(load::Parsed::new(text.as_bytes()), &cx)
}

#[test]
fn the_contracts_own_example_is_valid() {
    let loaded = load(EXAMPLE);
    assert_eq!(loaded.diagnostics, Vec::new());
    assert!(loaded.valid);
}

#[test]
fn a_spec_that_is_written_out_is_read_as_the_same() {
    let spec = load(EXAMPLE).value.unwrap();
    let text = serde_yaml::to_string(&spec).unwrap();
    let again = load(&text);
    assert_eq!(again.diagnostics, Vec::new(), "{text}");
    assert_eq!(again.value, Some(spec));
}

#[test]
fn every_mistake_of_a_file_is_said_in_one_pass() {
    let text = EXAMPLE
        .replace("paused: false", "pausd: false")
        .replace("bots: drop", "bots: dorp")
        .replace("refresh: 6h", "refresh: 6 hours")
        .replace("max_block_rate: 5%", "max_block_rate: 5")
        .replace("name: spring-launch", "name: spring-lunch")
        .replace("contact.first_name |", "contact.frist_name |")
        .replace("{phone: Телефон}", "{phone: Телефн}");
    let codes: Vec<String> = load(&text)
        .diagnostics
        .iter()
        .map(|d| d.code.clone())
        .collect();
    for code in [
        "name-mismatch",
        "unknown-key",
        "bad-header",
        "unknown-value",
        "unknown-attribute",
        "bad-value",
        "wrong-type",
    ] {
        assert!(
            codes.iter().any(|found| found == code),
            "{code} is missing: {codes:?}"
        );
    }
    assert_eq!(codes.len(), 7, "{codes:?}");
}

#[test]
fn a_kind_that_is_not_said_hides_no_other_mistake() {
    let text = EXAMPLE
        .replace("kind: mailing\n", "")
        .replace("name: spring-launch", "name: spring-lunch")
        .replace("contact.first_name |", "contact.frist_name |")
        .replace("refresh: 6h", "refresh: 6 hours")
        .replace("file: templates/long.j2", "file: templates/lang.j2");
    let mut codes: Vec<String> = load(&text)
        .diagnostics
        .iter()
        .map(|d| d.code.clone())
        .collect();
    codes.sort();
    assert_eq!(
        codes,
        [
            "bad-value",
            "missing-file",
            "missing-key",
            "name-mismatch",
            "unknown-attribute"
        ]
    );
}

#[test]
fn an_invite_that_adds_has_nothing_to_say() {
    let text = "version: 1\nname: spring-launch\nkind: invite\nowner: growth\nconsent: {basis: members}\n\
                accounts: [a]\ntarget: '@our_group'\nsources: [{type: members, peer: '@rust_meetup'}]\nmethod: ";
    assert!(load(&format!("{text}add\n")).valid);
    let role = "ai_role: {prompt: You are Mia.}\n";
    let spoken = load(&format!("{text}add\n{role}"));
    assert_eq!(spoken.diagnostics.len(), 1, "{:?}", spoken.diagnostics);
    assert_eq!(spoken.diagnostics[0].code, "not-for-kind");
    let link = "link\ntemplates: [{name: t, text: 'Come in: {{ invite_link }}'}]\n";
    assert!(load(&format!("{text}{link}{role}")).valid);
}

#[test]
fn serdes_words_are_put_into_those_of_whoever_writes_yaml() {
    let said = |with: &str| {
        let loaded = load(&EXAMPLE.replace("  limit: 5000\ntemplates", with));
        let all: Vec<String> = loaded
            .diagnostics
            .iter()
            .map(|d| d.summary.clone())
            .collect();
        all.join("\n")
    };
    let points = said("  limit: 5.0\ntemplates");
    assert!(
        points.contains("found the number 5.0; expected a whole number from 0 to 4294967295"),
        "{points}"
    );
    let list = load("- a\n- b\n");
    assert_eq!(list.diagnostics.len(), 1, "{:?}", list.diagnostics);
}

#[test]
fn a_mistake_in_one_item_of_a_list_does_not_hide_those_of_others() {
    let text = EXAMPLE
        .replace(
            "{type: members, peer: \"@rust_meetup\", limit: 5000}",
            "{type: members, peer: 5}",
        )
        .replace(
            "path: audiences/customers.csv",
            "path: audiences/customrs.csv",
        )
        .replace("  - name: short\n    weight: 2", "  - weight: 2")
        .replace("file: templates/long.j2", "file: templates/lang.j2");
    let codes: Vec<String> = load(&text)
        .diagnostics
        .iter()
        .map(|d| d.code.clone())
        .collect();
    assert_eq!(
        codes,
        ["wrong-type", "missing-file", "missing-key", "missing-file"]
    );
}

#[test]
fn an_invalid_file_still_says_its_name() {
    let peek = |bytes: &[u8]| super::peek(&load::Parsed::new(bytes));
    let seen =
        peek(b"name: a\nkind: collect\ntitle: Spring\nrenamed_from: b\nsources: 5\nfoo: bar\n");
    assert_eq!(
        seen,
        Peek {
            name: Some("a".into()),
            kind: Some(Kind::Collect),
            title: Some("Spring".into()),
            renamed_from: Some("b".into()),
            audiences: Vec::new(),
        }
    );
    assert_eq!(
        peek(b"name: a\nkind: {["),
        Peek::default(),
        "of a broken text nothing is believed"
    );
    assert_eq!(peek(b"\xff\xfe"), Peek::default());
}

/// Every schema object that describes a key, with its path.
fn keys(schema: &Value, path: String, out: &mut Vec<(String, Value)>) {
    match schema {
        Value::Object(map) => {
            for (name, property) in map
                .get("properties")
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
            {
                if property.is_object() {
                    out.push((format!("{path}.{name}"), property.clone()));
                }
            }
            for (name, inner) in map {
                if !matches!(name.as_str(), "examples" | "default") {
                    keys(inner, format!("{path}/{name}"), out);
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                keys(item, format!("{path}/{index}"), out);
            }
        }
        _ => {}
    }
}

#[test]
fn every_key_has_a_description_and_an_example_that_is_valid() {
    for (what, published, validator) in [
        ("campaign", campaign_schema(), schema::campaign_validator()),
        ("tidings", tidings_schema(), schema::tidings_validator()),
    ] {
        let published: Value = serde_json::from_str(&published).unwrap();
        let mut all = Vec::new();
        keys(&published, String::new(), &mut all);
        assert!(all.len() > 50, "{what} has {} keys", all.len());
        for (path, property) in &all {
            // What stands in a condition by kind only refuses or compares.
            if path.starts_with("/allOf") {
                continue;
            }
            assert!(
                property
                    .get("description")
                    .and_then(Value::as_str)
                    .is_some_and(|d| d.len() > 3),
                "{what}{path} has no description"
            );
            assert!(
                property
                    .get("examples")
                    .and_then(Value::as_array)
                    .is_some_and(|e| !e.is_empty()),
                "{what}{path} has no example"
            );
            assert!(
                !property["description"].as_str().unwrap().contains('\n'),
                "{what}{path}"
            );
        }
        let mut all = Vec::new();
        keys(&validator, String::new(), &mut all);
        for (path, property) in all {
            let compiled = jsonschema::validator_for(&property).unwrap();
            for example in property["examples"].as_array().into_iter().flatten() {
                // A variable stands for its value.
                if !example.to_string().contains("${") {
                    assert!(
                        compiled.is_valid(example),
                        "{what}{path}: {example} is no valid example"
                    );
                }
            }
        }
    }
}

#[test]
fn the_schemas_of_the_repository_are_those_of_the_code() {
    for (name, file, made) in [
        (
            "campaign",
            include_str!("../../schema/campaign.schema.json"),
            campaign_schema(),
        ),
        (
            "tidings",
            include_str!("../../schema/tidings.schema.json"),
            tidings_schema(),
        ),
    ] {
        assert!(
            file == made,
            "schema/{name}.schema.json is not what the code makes; `tidings schema --write` writes it"
        );
    }
}

#[test]
fn the_published_schemas_are_for_editors() {
    for text in [campaign_schema(), tidings_schema()] {
        assert!(text.ends_with("}\n"));
        assert!(!text.contains(scalar::KIND_KEYWORD) && !text.contains("x-nullable"));
        let schema: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
        assert_eq!(schema["additionalProperties"], Value::Bool(false));
        assert!(schema["patternProperties"]["^x-"].is_object());
        jsonschema::draft7::meta::validate(&schema).unwrap();
    }
}

#[test]
fn the_published_schema_accepts_what_is_valid_and_tells_kinds_apart() {
    let schema: Value = serde_json::from_str(&campaign_schema()).unwrap();
    let compiled = jsonschema::validator_for(&schema).unwrap();
    let read = |text: &str| -> Value { serde_yaml::from_str(text).unwrap() };
    let valid = |text: &str| compiled.is_valid(&read(text));
    assert!(valid(EXAMPLE));
    let warmup = "{version: 1, name: a, kind: warmup, accounts: [x], ramp: {start: 5, step: 5, every: 1d, max: 40}, x-y: 1}";
    assert!(valid(warmup));
    assert!(!valid(&warmup.replace("warmup", "collect")));
    assert!(!valid(&EXAMPLE.replace("canary", "canry")));
    let settings: Value = serde_json::from_str(&tidings_schema()).unwrap();
    let compiled = jsonschema::validator_for(&settings).unwrap();
    assert!(compiled.is_valid(&read(
        "{telegram: {api_id: \"${ID}\"}, ai: {timeout: \"${T}\"}, limits: {approve_over: null}}"
    )));
    assert!(!compiled.is_valid(&read("{ai: {timeout: soon}}")));
    assert!(!compiled.is_valid(&read("{ai: null}")));
}

#[test]
fn secrets_are_never_shown() {
    let spec = testing::engine(
        "telegram: {api_id: 1, api_hash: hush1}\nai: {api_key: hush2}\naccounts: {a: {proxy: \"socks5://u:hush3@h:1\"}}\nweb: {token: hush4}\nnotify: [{on: [stalled], webhook: \"https://h/hush5\", secret: hush6}]",
    );
    assert!(!format!("{spec:?}").contains("hush"));
    assert!(!serde_json::to_string(&spec).unwrap().contains("hush"));
}

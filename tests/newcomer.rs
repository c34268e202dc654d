//! What a newcomer is shown holds: the shipped specs, the commands of the pages, the demo.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use clap::Parser as _;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The pages that show commands.
const PAGES: &[&str] = &[
    "README.md",
    "campaigns/README.md",
    "sessions/README.md",
    "examples/quickstart/README.md",
    "docs/src/quickstart.md",
    "docs/src/recipes.md",
    "docs/src/operating.md",
    "docs/src/safety.md",
    "docs/src/telethon.md",
    "docs/ru/src/quickstart.md",
    "docs/ru/src/recipes.md",
    "docs/ru/src/safety.md",
];

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn tidings(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tidings"))
        .args(args)
        .current_dir(root())
        .env_remove("TIDINGS_CONFIG")
        .env_remove("TIDINGS_STATE_DIR")
        .env_remove("TIDINGS_SESSIONS_DIR")
        .env_remove("TIDINGS_LOG")
        .output()
        .unwrap()
}

fn diagnostics(args: &[&str], code: i32) -> Vec<serde_json::Value> {
    let ended = tidings(&[args, &["validate", "--format", "json"]].concat());
    let text = String::from_utf8(ended.stdout).unwrap();
    assert_eq!(ended.status.code(), Some(code), "{text}");
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    document["diagnostics"].as_array().unwrap().clone()
}

#[test]
fn the_shipped_campaigns_are_valid_but_for_their_sessions() {
    for found in diagnostics(&[], 0) {
        assert_eq!(found["code"], "no-session", "{found:#}");
    }
}

#[test]
fn the_quickstart_has_the_one_mistake_that_it_names() {
    let found = diagnostics(&["-C", "examples/quickstart"], 78);
    let errors: Vec<_> = found.iter().filter(|d| d["severity"] == "error").collect();
    assert_eq!(errors.len(), 1, "{errors:#?}");
    assert_eq!(errors[0]["file"], "campaigns/summer-sale.yaml");
    assert_eq!(errors[0]["suggestion"], "first_name");
    let spec = read("examples/quickstart/campaigns/summer-sale.yaml");
    let (line, text) = spec
        .lines()
        .enumerate()
        .find(|(_, text)| text.contains("frist_name"))
        .unwrap();
    assert_eq!(errors[0]["range"]["start"]["line"], line + 1);
    assert_eq!(
        errors[0]["range"]["start"]["column"],
        text.find("frist_name").unwrap() + 1
    );
}

#[test]
fn every_shipped_campaign_is_paused() {
    for entry in std::fs::read_dir(root().join("campaigns")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ext| ext == "yaml") {
            let spec: serde_json::Value =
                serde_yaml::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
            assert_eq!(spec["paused"], true, "{}", path.display());
        }
    }
}

/// The keys that a schema's objects have, wherever they stand; what stands under `but` is left out.
fn keys(schema: &serde_json::Value, but: &[&str], found: &mut BTreeSet<String>) {
    match schema {
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                if but.contains(&key.as_str()) {
                    continue;
                }
                if key == "properties"
                    && let Some(properties) = value.as_object()
                {
                    found.extend(properties.keys().cloned());
                }
                keys(value, but, found);
            }
        }
        serde_json::Value::Array(list) => list.iter().for_each(|item| keys(item, but, found)),
        _ => {}
    }
}

/// Whether a key stands in a text, as code or in a comment.
fn shows(text: &str, key: &str) -> bool {
    text.match_indices(&format!("{key}:"))
        .any(|(at, _)| !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '-'))
}

#[test]
fn every_key_of_a_campaign_is_shown_in_one_that_is_shipped() {
    let mut all = String::new();
    for entry in std::fs::read_dir(root().join("campaigns")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ext| ext == "yaml") {
            all.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
    let schema = serde_json::from_str(&tidings::spec::campaign_schema()).unwrap();
    let mut wanted = BTreeSet::new();
    // The made-up people of `tests` have a key for each thing that a filter asks for; the schema names them.
    keys(&schema, &["TestContact", "Expect"], &mut wanted);
    assert!(wanted.len() > 60, "the schema was not read: {wanted:?}");
    let missing: Vec<_> = wanted.iter().filter(|key| !shows(&all, key)).collect();
    assert!(missing.is_empty(), "shown in no campaign: {missing:?}");
}

#[test]
fn every_key_of_the_settings_is_shown_in_the_shipped_ones() {
    let text = read("tidings.yaml");
    let schema: serde_json::Value = serde_json::from_str(&tidings::spec::tidings_schema()).unwrap();
    let wanted: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
    assert!(wanted.len() > 10, "{wanted:?}");
    let missing: Vec<_> = wanted.iter().filter(|key| !shows(&text, key)).collect();
    assert!(missing.is_empty(), "not in tidings.yaml: {missing:?}");
}

/// The commands of a page: `$ …` lines of its blocks, and code within its sentences.
fn commands(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut block = false;
    for line in page.lines() {
        if line.starts_with("```") {
            block = !block;
            continue;
        }
        if block {
            found.extend(line.strip_prefix("$ ").map(str::to_owned));
        } else {
            found.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    found
}

/// The arguments after `tidings`, where the command is one of ours.
fn arguments(command: &str) -> Option<Vec<String>> {
    let command = command.split(" #").next().unwrap_or(command);
    let command = command.split(" | ").next().unwrap_or(command);
    let rest = ["cargo run --release -- ", "cargo run -- ", "tidings "]
        .iter()
        .find_map(|begin| command.strip_prefix(begin))?;
    let mut words = vec![String::new()];
    let mut quote = None;
    for c in rest.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            None if c == '"' || c == '\'' => quote = Some(c),
            None if c.is_whitespace() => words.push(String::new()),
            _ => words.last_mut()?.push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    Some(words)
}

#[test]
fn every_command_of_the_pages_is_one_that_there_is() {
    let mut checked = 0;
    for page in PAGES {
        for command in commands(&read(page)) {
            let Some(words) = arguments(&command) else {
                continue;
            };
            // A verb alone, in a sentence, may lack what it needs; any other complaint is a wrong page.
            if let Err(error) = tidings::cli::Cli::try_parse_from(
                std::iter::once("tidings".to_owned()).chain(words.clone()),
            ) {
                use clap::error::ErrorKind;
                let harmless = matches!(
                    error.kind(),
                    ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
                ) || (words.len() <= 2
                    && error.kind() == ErrorKind::MissingRequiredArgument);
                assert!(harmless, "{page}: `{command}`\n{error}");
            }
            checked += 1;
        }
    }
    assert!(checked > 15, "only {checked} commands were found");
}

#[test]
fn the_first_screen_of_the_readme_has_its_two_commands() {
    let readme = read("README.md");
    let first: Vec<&str> = readme.lines().take(24).collect();
    for command in ["cargo run --release -- demo", "cargo test"] {
        assert!(first.iter().any(|line| line.trim() == command), "{command}");
    }
}

#[test]
fn links_of_the_pages_lead_somewhere() {
    for page in PAGES {
        let text = read(page);
        let folder = root()
            .join(page)
            .parent()
            .unwrap_or(Path::new(""))
            .to_owned();
        for rest in text.split("](").skip(1) {
            let link = rest.split([')', '#']).next().unwrap_or("");
            if !link.is_empty() && !link.contains("://") {
                assert!(folder.join(link).exists(), "{page}: {link}");
            }
        }
    }
}

#[test]
fn the_demo_ends_well_and_leaves_a_ledger_that_says_the_same() {
    let there = tempfile::tempdir().unwrap();
    let kept = there.path().join("kept");
    // Faster than its own pace; that is what CI runs besides.
    let ended = tidings(&["demo", "--speed", "100", "--keep", kept.to_str().unwrap()]);
    let said = String::from_utf8(ended.stdout).unwrap();
    let complained = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(0), "{said}\n{complained}");
    for expected in [
        "did you mean `first_name`?",
        "FLOOD_WAIT",
        "OutsideWindow",
        "has opted out",
        "asks for a human: the AI is silent",
        "I am the meetup's automated assistant.",
        "USER_PRIVACY_RESTRICTED",
        "Succeeded",
        "nobody twice",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert!(
        !said.contains('\u{1b}'),
        "no colours where there is no terminal"
    );
    let ledger = std::fs::read_to_string(kept.join("ledger.jsonl")).unwrap();
    let mut people = BTreeSet::new();
    for line in ledger.lines() {
        let entry: tidings::sandbox::Entry = serde_json::from_str(line).unwrap();
        let message =
            entry.method == "messages.sendMessage" && entry.first == Some(true) && entry.effect;
        // Both variants greet; a confirmation or an answer to somebody who wrote back is no message of the campaign.
        let greets = entry
            .text
            .as_deref()
            .is_some_and(|text| text.starts_with("Hi ") || text.starts_with("Hello "));
        if message && greets {
            assert!(people.insert(entry.peer.clone()), "twice: {entry:?}");
        }
    }
    assert!(
        said.contains(&format!(
            "{} messages for {} people, nobody twice",
            people.len(),
            people.len()
        )),
        "{said}"
    );
}

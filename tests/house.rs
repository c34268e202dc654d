//! The house keeps its arrows: which room may name which, and who may name the outside world.
//!
//! Read from the sources' text: `crate::room` wherever it stands, comments and test modules aside. Tests of a room may
//! name whatever they need.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Which rooms each room may name. A room that is not here fails the test: say first where it belongs.
const ARROWS: &[(&str, &[&str])] = &[
    // The core.
    ("model", &[]),
    // A cron's firing and a window's edge are `Timestamp`s.
    ("time", &["model"]),
    // Templates speak of contacts, and `now` is shown in a zone.
    ("text", &["model", "time"]),
    ("people", &["model"]),
    // A spec's texts are compiled, its windows and crons read, and its lists by the very reader that a look-up uses, when
    // it is checked.
    ("spec", &["model", "time", "text", "people"]),
    // Of `people` the mapping of a list's columns.
    ("desired", &["model", "time", "text", "people", "spec"]),
    ("observed", &["model"]),
    (
        "plan",
        &[
            "model", "time", "text", "spec", "people", "desired", "observed",
        ],
    ),
    // The report names what the planner looked at and what it found; texts and people are none of its business.
    (
        "status",
        &["model", "time", "spec", "desired", "observed", "plan"],
    ),
    // The shell. These three know the vocabulary and nothing of campaigns.
    ("store", &["model"]),
    ("telegram", &["model"]),
    // HTTP to the outside, and the two who use it: they know texts and sentences, and nothing of campaigns.
    ("net", &[]),
    ("ai", &["net"]),
    ("notify", &["net"]),
    // It implements `spec::Files`: what a spec names, lists too, is read through the same snapshot of the folder.
    ("watch", &["model", "people", "spec"]),
    ("accounts", &["model", "telegram"]),
    // Two renderings of the report. The page asks the engine through the channel that it is handed.
    ("metrics", &["model", "status"]),
    ("web", &["model", "status", "metrics"]),
    // `SourceKind` is what an order to look up carries, from `plan::Action`.
    ("execute", &["model", "desired", "plan", "telegram"]),
    (
        "control",
        &[
            "model", "time", "text", "spec", "people", "desired", "observed", "plan", "status",
            "store", "telegram", "watch", "accounts", "execute", "web", "ai", "notify",
        ],
    ),
    // A Telegram of its own: it must not learn from the engine what is right.
    ("sandbox", &["model"]),
    // Verbs render what `control` and the pure rooms say. They never open the store, nor order an account to do anything.
    (
        "cli",
        &[
            "model", "time", "text", "spec", "desired", "plan", "status", "telegram", "accounts",
            "control", "sandbox",
        ],
    ),
];

/// No effects, no clock, no chance: now, seed and state come in as arguments.
const CORE: &[&str] = &[
    "model", "time", "text", "spec", "people", "desired", "observed", "plan", "status",
];

/// What the core must not name.
const EFFECTS: &[&str] = &[
    "tokio",
    "sled",
    "grammers_",
    "rand::",
    "SystemTime",
    "Instant::now",
    "Utc::now",
    "Local::now",
    "std::fs",
    "std::env::",
    "std::process",
    "std::thread",
    "TcpStream",
];

/// Names that only some rooms may say.
const ONLY: &[(&str, &[&str])] = &[
    ("sled::", &["store"]),
    ("libsql", &["accounts"]),
    ("grammers_", &["telegram", "sandbox"]),
];

/// A file's code: no comments, no test module at its end.
fn code_of(text: &str) -> String {
    let text = text
        .split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or(text);
    let lines = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}

fn is_test(path: &Path) -> bool {
    path.iter()
        .any(|part| part == "tests" || part == "tests.rs" || part == "testing.rs")
}

/// The code of each room, by file.
fn rooms() -> BTreeMap<String, Vec<(PathBuf, String)>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut rooms: BTreeMap<String, Vec<(PathBuf, String)>> = BTreeMap::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let within = path.strip_prefix(&root).unwrap().to_owned();
            let room = within
                .iter()
                .next()
                .unwrap()
                .to_str()
                .unwrap()
                .trim_end_matches(".rs")
                .to_owned();
            let is_rust = path.extension().is_some_and(|ext| ext == "rs");
            if !is_rust || is_test(&within) || room == "lib" || room == "main" {
                continue;
            }
            rooms
                .entry(room)
                .or_default()
                .push((within, code_of(&std::fs::read_to_string(&path).unwrap())));
        }
    }
    rooms
}

/// The rooms that a piece of code names: `crate::room` and the names in `crate::{…}`.
fn named(code: &str) -> BTreeSet<String> {
    let word = |text: &str| -> String {
        text.chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect()
    };
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let Some(group) = rest.strip_prefix('{') else {
            found.insert(word(rest));
            continue;
        };
        let mut depth = 0;
        let mut begins = true;
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => begins = true,
                c if begins && depth == 0 && !c.is_whitespace() => {
                    found.insert(word(&group[at..]));
                    begins = false;
                }
                _ => {}
            }
        }
    }
    found.retain(|name| !name.is_empty());
    found
}

#[test]
fn each_room_names_only_the_rooms_it_may() {
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let rooms = rooms();
    for (room, _) in ARROWS {
        assert!(
            rooms.contains_key(*room),
            "there is no room `{room}`: take its line out"
        );
    }
    let mut wrong = Vec::new();
    for (room, files) in rooms {
        let Some(may) = allowed.get(room.as_str()) else {
            wrong.push(format!("the room `{room}` has no line in ARROWS"));
            continue;
        };
        for (path, code) in files {
            for other in named(&code) {
                if other != room
                    && allowed.contains_key(other.as_str())
                    && !may.contains(&other.as_str())
                {
                    wrong.push(format!(
                        "src/{}: `{room}` must not name `{other}`",
                        path.display()
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_arrows_go_one_way() {
    // Each line of the table names rooms of earlier lines only, so that no circle can be.
    let mut known = BTreeSet::new();
    for (room, may) in ARROWS {
        for other in *may {
            assert!(
                known.contains(other),
                "`{room}` may name `{other}`, which stands below it"
            );
        }
        known.insert(*room);
    }
}

#[test]
fn the_core_has_no_effects_no_clock_and_no_chance() {
    let mut wrong = Vec::new();
    for (room, files) in rooms() {
        if !CORE.contains(&room.as_str()) {
            continue;
        }
        for (path, code) in files {
            for effect in EFFECTS.iter().filter(|effect| code.contains(**effect)) {
                wrong.push(format!("src/{}: `{effect}`", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_the_store_names_sled_and_only_telegram_and_its_double_name_grammers() {
    let mut wrong = Vec::new();
    for (room, files) in rooms() {
        for (name, may) in ONLY {
            if may.contains(&room.as_str()) {
                continue;
            }
            for (path, _) in files.iter().filter(|(_, code)| code.contains(name)) {
                wrong.push(format!("src/{}: `{name}`", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn main_stays_under_twenty_lines() {
    let main =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/main.rs")).unwrap();
    assert!(main.lines().count() < 20);
}

#[test]
fn the_reader_of_names_sees_through_groups_and_comments() {
    let code =
        code_of("use crate::model::X; // crate::cli\nuse crate::{plan::{Action, Plan}, status};\n");
    assert_eq!(
        named(&code).into_iter().collect::<Vec<_>>(),
        ["model", "plan", "status"]
    );
    assert_eq!(
        code_of("a\n#[cfg(test)]\nmod tests {\nuse crate::cli;\n}").trim(),
        "a"
    );
}

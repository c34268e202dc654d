//! Pages that are generated from the code are the ones that the code generates.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod child;
mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use child::{ends_with, out, run, tidings};

/// Set to write the page anew instead of comparing it.
const WRITE: &str = "TIDINGS_WRITE_DOCS";

/// Compares a page with what the code says, or writes it.
fn is_current(page: &str, wanted: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, wanted).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == wanted,
        "{page} is out of date: run `{WRITE}=1 cargo test --test docs`"
    );
}

#[test]
fn docs_reasons_md_is_what_the_closed_lists_say() {
    is_current("docs/reasons.md", &tidings::status::reasons_markdown());
}

#[test]
fn the_reference_of_every_key_is_what_the_schemas_say() {
    use tidings::spec::reference;
    is_current("docs/src/spec.md", &reference::campaign_reference());
    is_current("docs/src/settings.md", &reference::tidings_reference());
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(page: &str) -> String {
    std::fs::read_to_string(root().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"))
}

/// The blocks of a page: the line before, the language, the lines.
fn blocks(page: &str) -> Vec<(String, String, Vec<String>)> {
    let mut found: Vec<(String, String, Vec<String>)> = Vec::new();
    let mut before = String::new();
    let mut open = false;
    for line in page.lines() {
        match (line.strip_prefix("```"), open) {
            (Some(language), false) => {
                found.push((before.clone(), language.to_owned(), Vec::new()));
                open = true;
            }
            (Some(_), true) => open = false,
            (None, true) => found.last_mut().unwrap().2.push(line.to_owned()),
            (None, false) => {}
        }
        before = line.to_owned();
    }
    found
}

#[test]
fn every_recipe_is_valid_and_its_own_tests_pass() {
    for page in ["docs/src/recipes.md", "docs/ru/src/recipes.md"] {
        let dir = tempfile::tempdir().unwrap();
        ends_with(&run(dir.path(), ["init"]), 0);
        let mut recipes = 0;
        for (_, _, lines) in blocks(&read(page)) {
            let Some(path) = lines
                .first()
                .and_then(|line| line.strip_prefix("# campaigns/"))
            else {
                continue;
            };
            let path = dir.path().join("campaigns").join(path);
            // The first line of a list is its header.
            let from = usize::from(path.extension().is_some_and(|ext| ext == "csv"));
            std::fs::write(&path, lines[from..].join("\n") + "\n").unwrap();
            recipes += usize::from(from == 0);
        }
        assert!(recipes >= 6, "{page}: {recipes} recipes");
        let valid = run(dir.path(), ["validate"]);
        ends_with(&valid, 0);
        // That there is no session for `main` is all that is to be said.
        assert!(
            !out(&valid).contains("warning[")
                || out(&valid).matches("warning[").count()
                    == out(&valid).matches("warning[no-session]").count(),
            "{page}: {}",
            out(&valid)
        );
        let tested = run(dir.path(), ["test"]);
        ends_with(&tested, 0);
        assert!(
            out(&tested).contains(" passed."),
            "{page}: {}",
            out(&tested)
        );
    }
}

#[test]
fn the_recipes_are_the_same_in_both_languages() {
    let specs = |page: &str| -> Vec<Vec<String>> {
        blocks(&read(page))
            .into_iter()
            .map(|(_, _, lines)| lines)
            .collect()
    };
    assert_eq!(
        specs("docs/src/recipes.md"),
        specs("docs/ru/src/recipes.md")
    );
}

#[test]
fn the_first_commands_of_the_quickstart_do_what_they_say() {
    let bin = PathBuf::from(tidings().get_program());
    let path = format!(
        "{}:{}",
        bin.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    for page in ["docs/src/quickstart.md", "docs/ru/src/quickstart.md"] {
        let dir = tempfile::tempdir().unwrap();
        let script: Vec<String> = blocks(&read(page))
            .into_iter()
            .filter(|(before, _, _)| before == "<!-- run -->")
            .flat_map(|(_, _, lines)| lines)
            .filter_map(|line| line.strip_prefix("$ ").map(str::to_owned))
            .collect();
        assert!(script.len() >= 5, "{page}: {script:?}");
        let mut shell = Command::new("sh");
        let done = shell
            .arg("-euc")
            .arg(script.join("\n"))
            .current_dir(dir.path())
            .env("PATH", &path)
            .env_remove("TIDINGS_CONFIG")
            .output()
            .unwrap();
        ends_with(&done, 0);
        // What is to be put at the end of the file is right there.
        let hello = dir.path().join("my-campaigns/campaigns/hello.yaml");
        let test = blocks(&read(page))
            .into_iter()
            .find(|(_, language, lines)| language == "yaml" && lines[0] == "tests:")
            .unwrap()
            .2
            .join("\n");
        let spec = std::fs::read_to_string(&hello).unwrap();
        std::fs::write(&hello, format!("{spec}{test}\n")).unwrap();
        let tested = run(&dir.path().join("my-campaigns"), ["test"]);
        ends_with(&tested, 0);
        assert!(
            out(&tested).contains("1 passed"),
            "{page}: {}",
            out(&tested)
        );
    }
}

#[test]
fn every_page_of_a_book_is_in_its_summary() {
    for book in ["docs/src", "docs/ru/src"] {
        let summary = read(&format!("{book}/SUMMARY.md"));
        let named: BTreeSet<String> = summary
            .split("](")
            .skip(1)
            .map(|rest| rest.split(')').next().unwrap().to_owned())
            .collect();
        let there: BTreeSet<String> = std::fs::read_dir(root().join(book))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "SUMMARY.md")
            .collect();
        assert_eq!(named, there, "{book}");
    }
}

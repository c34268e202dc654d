//! Pages that are generated from the code are the ones that the code generates.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod child;
mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use child::{ends_with, err, out, run, tidings};

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

/// The blocks of a page, those within a list too: the line before, the language, the lines.
fn blocks(page: &str) -> Vec<(String, String, Vec<String>)> {
    let mut found: Vec<(String, String, Vec<String>)> = Vec::new();
    let mut before = String::new();
    let mut open = false;
    let mut indent = 0;
    for line in page.lines() {
        let fence = line.trim_start().starts_with("```");
        if fence && !open {
            indent = line.len() - line.trim_start().len();
        }
        let line = line.get(indent..).filter(|_| fence || open).unwrap_or(line);
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
            .filter(|name| name.ends_with(".md") && name != "SUMMARY.md")
            .collect();
        assert_eq!(named, there, "{book}");
    }
}

/// The words of a command line as a shell splits them; `None` where it is none (alternatives, an ellipsis within).
fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (' ', None) => words.extend(word.take()),
            // Where the output goes is the shell's.
            ('>', None) => break,
            ('|' | '&' | '…', None) => return None,
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

/// Every `tidings …` of a page: in blocks after a `$`, and between backticks.
fn command_lines(page: &str) -> Vec<Vec<String>> {
    let mut lines: Vec<String> = Vec::new();
    for (_, language, block) in blocks(page) {
        if language == "console" {
            lines.extend(
                block
                    .iter()
                    .filter_map(|line| line.strip_prefix("$ "))
                    // What follows is a comment.
                    .map(|line| line.split("  #").next().unwrap_or(line).to_owned()),
            );
        }
    }
    let mut fenced = false;
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            // A pipe in a table is escaped.
            let line = line.replace("\\|", "|");
            lines.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    lines
        .iter()
        .filter(|line| line.starts_with("tidings ") || line.contains(" tidings "))
        .filter_map(|line| {
            let words = words(line)?;
            // Variables may stand before it, or what runs it in a container.
            let at = words.iter().position(|word| word == "tidings")?;
            let before = &words[..at];
            let set = before.iter().all(|word| word.contains('='))
                || before.starts_with(&["docker".to_owned(), "exec".to_owned()]);
            let filled = |word: &String| match word.as_str() {
                "ID" => "4711".to_owned(),
                word => word.replace("NAME", "name"),
            };
            (set && words.len() > at + 1).then(|| words[at..].iter().map(filled).collect())
        })
        .collect()
}

fn pages() -> Vec<String> {
    let mut pages = vec!["README.md".to_owned(), "docs/reasons.md".to_owned()];
    for folder in ["docs/src", "docs/ru/src"] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".md") {
                pages.push(format!("{folder}/{name}"));
            }
        }
    }
    pages.extend(["campaigns/README.md", "sessions/README.md"].map(str::to_owned));
    for example in std::fs::read_dir(root().join("examples")).unwrap() {
        let name = example.unwrap().file_name().into_string().unwrap();
        pages.push(format!("examples/{name}/README.md"));
    }
    pages
}

#[test]
fn every_command_line_of_the_books_is_one_that_tidings_takes() {
    use clap::{Parser as _, error::ErrorKind};
    let mut seen = BTreeSet::new();
    for page in pages() {
        for line in command_lines(&read(&page)) {
            if let Err(error) = tidings::cli::Cli::try_parse_from(&line) {
                // A sentence may speak of a command without its arguments.
                let harmless = !error.use_stderr()
                    || matches!(
                        error.kind(),
                        ErrorKind::MissingRequiredArgument
                            | ErrorKind::MissingSubcommand
                            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
                    );
                assert!(harmless, "{page}: {line:?}: {error}");
            }
            seen.insert(line);
        }
    }
    assert!(seen.len() > 60, "{} command lines were found", seen.len());
}

/// Verbs that serve or open a world of their own, and those that would write over this one: other tests run them.
const NOT_HERE: [&str; 5] = ["run", "demo", "sandbox", "init", "restore"];

#[test]
fn every_command_line_of_the_books_runs_in_a_workspace_that_has_what_it_names() {
    let dir = tempfile::tempdir().unwrap();
    ends_with(&run(dir.path(), ["init"]), 0);
    let hello = std::fs::read_to_string(dir.path().join("campaigns/hello.yaml")).unwrap();
    let git = |args: &[&str]| {
        let done = Command::new("git")
            .arg("-C")
            .arg(dir.path())
            .args(["-c", "user.name=t", "-c", "user.email=t@example.com"])
            .args(args)
            .output()
            .unwrap();
        assert!(done.status.success(), "git {args:?}");
    };
    for name in ["spring-launch", "people", "meetup", "news", "name"] {
        let spec = hello.replace("name: hello", &format!("name: {name}"));
        std::fs::write(dir.path().join(format!("campaigns/{name}.yaml")), spec).unwrap();
    }
    let copied = Command::new("cp")
        .arg("-r")
        .args([&root().join("examples"), dir.path()])
        .status();
    assert!(copied.unwrap().success());
    git(&["init", "--quiet"]);
    git(&["add", "."]);
    git(&["commit", "--quiet", "-m", "one"]);
    git(&["update-ref", "refs/remotes/origin/main", "HEAD"]);
    let mut lines = BTreeSet::new();
    for page in pages() {
        lines.extend(command_lines(&read(&page)));
    }
    let mut ran = 0;
    for line in lines {
        // After `-C DIR`, which is an example's, and stands here too.
        let verb = if line[1] == "-C" { &line[3] } else { &line[1] };
        let there = ["--watch", "--follow", "/workspace"];
        if NOT_HERE.contains(&verb.as_str())
            || line.iter().any(|word| there.contains(&word.as_str()))
        {
            continue;
        }
        // From within, so that what a command writes stays there.
        let done = tidings()
            .current_dir(dir.path())
            .args(&line[1..])
            .output()
            .unwrap();
        let code = done.status.code();
        // A reader may find nobody of that name yet; what he typed is right.
        let nobody = err(&done).contains("there is no campaign");
        assert!(
            matches!(code, Some(0 | 1 | 4 | 78)) || (code == Some(64) && !nobody && known(&done)),
            "{line:?} ended with {code:?}: {}{}",
            out(&done),
            err(&done)
        );
        ran += 1;
    }
    assert!(ran > 60, "{ran} command lines ran");
}

/// Refusals that are about the state of this workspace, in which nothing has happened yet.
fn known(done: &std::process::Output) -> bool {
    let said = err(done);
    let unfinished = said.contains("required arguments were not provided")
        || said.contains("requires a subcommand");
    unfinished || !said.contains("Usage:")
}

/// The anchors that a page's headings have, on GitHub and in the book.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut fenced = false;
    let mut found = BTreeSet::new();
    for line in text.lines() {
        fenced ^= line.starts_with("```");
        if fenced || !line.starts_with('#') {
            continue;
        }
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        let slug: String = heading
            .chars()
            .filter_map(|c| match c {
                ' ' => Some('-'),
                c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
                _ => None,
            })
            .collect();
        found.insert(slug);
    }
    found
}

/// Every link of a page: where it leads and at which heading.
fn links(text: &str) -> Vec<(&str, Option<&str>)> {
    text.split("](")
        .skip(1)
        .map(|rest| rest.split(')').next().unwrap())
        .filter(|target| !target.starts_with("http") && !target.contains(' '))
        .map(|target| match target.split_once('#') {
            Some((file, heading)) => (file, Some(heading)),
            None => (target, None),
        })
        .collect()
}

#[test]
fn every_link_within_the_repository_leads_somewhere() {
    let mut seen = 0;
    for page in pages() {
        let text = read(&page);
        for (file, heading) in links(&text) {
            let there = match file {
                "" => root().join(&page),
                file => root().join(&page).parent().unwrap().join(file),
            };
            assert!(there.exists(), "{page}: {file}");
            // mdBook copies nothing that lies outside the book: such a link is dead on its pages.
            if let Some((book, _)) = page.split_once("/src/") {
                let book = root().join(book).join("src").canonicalize().unwrap();
                let inside = there.canonicalize().unwrap().starts_with(&book);
                assert!(inside, "{page}: {file} is not in the book");
            }
            if let Some(heading) = heading {
                let target = std::fs::read_to_string(&there).unwrap();
                assert!(
                    anchors(&target).contains(heading),
                    "{page}: {file} has no heading #{heading}"
                );
            }
            seen += 1;
        }
    }
    assert!(seen > 100, "{seen} links were found");
}

#[test]
fn a_page_in_two_languages_shows_the_same_code() {
    // Of commands and YAML the comments are in the reader's language.
    let code = |page: &str| -> Vec<Vec<String>> {
        let bare = |line: &String| line.split("  #").next().unwrap().trim_end().to_owned();
        blocks(&read(page))
            .into_iter()
            .map(|(_, _, lines)| lines.iter().map(bare).collect())
            .collect()
    };
    for page in ["conversations.md", "notify.md"] {
        assert_eq!(
            code(&format!("docs/src/{page}")),
            code(&format!("docs/ru/src/{page}")),
            "{page}"
        );
    }
}

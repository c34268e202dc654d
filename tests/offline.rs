//! What needs neither a state nor a network: `test`, as a user sees it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod child;
mod common;
#[path = "offline/hostile.rs"]
mod hostile;

use std::path::Path;

use child::{code, ends_with, err, out, run};

/// A workspace of these files.
fn workspace(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("campaigns")).unwrap();
    for (path, text) in files {
        write(dir.path(), path, text);
    }
    dir
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// A mailing with these lines besides.
fn spec(name: &str, rest: &str) -> String {
    format!(
        "version: 1\nname: {name}\nkind: mailing\nconsent: {{basis: customers}}\naccounts: [sales-1]\n\
         sources: [{{type: file, path: people.csv}}]\n{rest}"
    )
}

const PEOPLE: (&str, &str) = ("campaigns/people.csv", "username,city\nanna,Kazan\n");

const SPRING: &str = r#"templates:
  - name: short
    format: markdown
    text: "Hi {{ contact.first_name | default('there') }}! **Doors** at 18.\nSee you, {{ account.name }}"
  - {name: long, text: "Hello {{ contact.first_name }}, it is {{ now | date('%A') }}. Doors open at six."}
follow_ups:
  - {after: 3d, templates: [{name: nudge, text: "{{ contact.first_name }}, did you have a look?"}]}
filters:
  last_seen: 14d
  not_contacted: {within: 30d}
  in: [{type: members, peer: "@meetup"}]
  exclude: [{type: list, peers: ["@bob_smith"]}, {type: members, peer: "@staff"}]
  where: contact.fields.city == "Kazan"
"#;

fn tested(tests: &str) -> tempfile::TempDir {
    workspace(&[
        PEOPLE,
        (
            "campaigns/spring.yaml",
            &spec("spring", &format!("{SPRING}tests:\n{tests}")),
        ),
    ])
}

#[test]
fn tests_of_a_spec_pass_where_all_is_as_they_say() {
    let dir = tested(
        r#"  - name: greets by first name
    contact: {first_name: Анна, username: "@anna", fields: {city: Kazan}}
    expect: {included: true, text_contains: ["Анна", "Doors"], text_not_contains: ["**", "{{"]}
  - name: a text word for word, at another time
    now: 2026-12-05T10:00
    contact: {first_name: Anna, fields: {city: Kazan}}
    expect: {variant: long, text: "Hello Anna, it is Saturday. Doors open at six."}
  - name: the nudge
    contact: {first_name: Anna, fields: {city: Kazan}}
    expect: {step: 1, text: "Anna, did you have a look?"}
  - {name: another city, contact: {first_name: Anna}, expect: {included: false}}
  - {name: another city by its reason, contact: {first_name: Anna}, expect: {excluded: where}}
  - {name: a bot, contact: {bot: true}, expect: {excluded: bot}}
  - {name: long ago, contact: {last_seen: 20d}, expect: {excluded: last_seen}}
  - {name: hidden, contact: {last_seen_hidden: true}, expect: {excluded: last_seen}}
  - {name: written to, contact: {contacted: 10d}, expect: {excluded: contacted}}
  - {name: written to long ago, contact: {contacted: 40d, fields: {city: Kazan}}, expect: {included: true}}
  - {name: named by a list, contact: {username: Bob_Smith}, expect: {excluded: excluded}}
  - {name: one of the staff, contact: {found_in: ["@meetup", "@STAFF"]}, expect: {excluded: excluded}}
  - {name: no member, contact: {found_in: []}, expect: {excluded: not_in}}
  - {name: no name, contact: {fields: {city: Kazan}}, expect: {variant: long, outcome: template_error}}
"#,
    );
    let done = run(dir.path(), ["test"]);
    ends_with(&done, 0);
    assert_eq!(err(&done), "");
    insta::assert_snapshot!("tests_pass", out(&done));
    assert!(!dir.path().join("state").exists(), "no state is made");
}

/// Every way to fail.
const FAILING: &str = r#"  - name: greets by last name
    contact: {first_name: Anna, last_name: Petrova, fields: {city: Kazan}}
    expect: {included: true, text_contains: ["Hi Petrova!"], text_not_contains: ["Doors"]}
  - name: word for word
    contact: {first_name: Anna, fields: {city: Kazan}}
    expect: {variant: short, text: "Hi Anna! Doors at 19.\nSee you, sales-1"}
  - {name: is in, contact: {bot: true}, expect: {included: true}}
  - {name: is out, contact: {fields: {city: Kazan}}, expect: {included: false}}
  - {name: is out otherwise, contact: {bot: true}, expect: {excluded: deleted}}
  - {name: gets a text, contact: {bot: true}, expect: {text_contains: [Hi]}}
  - {name: no name <&>, contact: {fields: {city: Kazan}}, expect: {variant: long, text_contains: [Hello]}}
  - {name: an outcome, contact: {first_name: Anna, fields: {city: Kazan}}, expect: {variant: long, outcome: too_long}}
  - {name: passes, contact: {bot: true}, expect: {excluded: bot}}
"#;

#[test]
fn a_failing_test_says_where_it_stands_what_was_expected_and_what_came() {
    let dir = tested(FAILING);
    let failed = run(dir.path(), ["test", "spring"]);
    ends_with(&failed, 1);
    insta::assert_snapshot!("tests_fail", out(&failed));
}

#[test]
fn results_come_as_json_and_as_junit_and_into_a_file() {
    let dir = tested(FAILING);
    let json = run(dir.path(), ["test", "-o", "json"]);
    ends_with(&json, 1);
    let body: serde_json::Value = serde_json::from_str(&out(&json)).unwrap();
    assert_eq!(body["format_version"], "1.0");
    assert_eq!((&body["passed"], &body["failed"]), (&1.into(), &8.into()));
    let first = &body["tests"][0];
    assert_eq!(first["campaign"], "spring");
    assert_eq!(first["file"], "campaigns/spring.yaml");
    assert_eq!(first["name"], "greets by last name");
    assert_eq!(first["passed"], false);
    let text = std::fs::read_to_string(dir.path().join("campaigns/spring.yaml")).unwrap();
    let line = text
        .lines()
        .nth(first["line"].as_u64().unwrap() as usize - 1)
        .unwrap();
    assert!(line.contains("greets by last name"), "{line}");
    assert_eq!(first["failures"][0]["expectation"], "text_contains");
    // As every other command calls the form.
    assert_eq!(
        out(&run(dir.path(), ["test", "--output", "json"])),
        out(&json)
    );

    let junit = run(dir.path(), ["test", "--format", "junit"]);
    ends_with(&junit, 1);
    insta::assert_snapshot!("tests_junit", out(&junit));
    let file = dir.path().join("junit.xml");
    let written = run(
        dir.path(),
        [
            "test",
            "--format",
            "junit",
            "--output",
            file.to_str().unwrap(),
        ],
    );
    ends_with(&written, 1);
    assert_eq!(out(&written), "");
    assert_eq!(std::fs::read_to_string(file).unwrap(), out(&junit));
}

#[test]
fn an_invalid_spec_is_told_and_the_others_are_tested() {
    let tests = "templates: [{name: t, text: Hi}]\ntests: [{name: is in, contact: {}, expect: {included: true}}]\n";
    let dir = workspace(&[
        PEOPLE,
        ("campaigns/good.yaml", &spec("good", tests)),
        ("campaigns/broken.yaml", &spec("broken", "tempaltes: []\n")),
    ]);
    let all = run(dir.path(), ["test"]);
    ends_with(&all, 78);
    assert!(
        out(&all).contains("1 test of 1 campaign: 1 passed."),
        "{}",
        out(&all)
    );
    assert!(err(&all).contains("tempaltes"), "{}", err(&all));
    let junit = out(&run(dir.path(), ["test", "-o", "junit"]));
    assert!(junit.contains("errors=\"1\""), "{junit}");
    // Whoever asks for one campaign is not told of another.
    let one = run(dir.path(), ["test", "good"]);
    ends_with(&one, 0);
    assert_eq!(err(&one), "");
    ends_with(&run(dir.path(), ["test", "broken"]), 78);
    let unknown = run(dir.path(), ["test", "goood"]);
    assert_eq!(code(&unknown), 64);
    assert!(
        err(&unknown).contains("Did you mean `good`?"),
        "{}",
        err(&unknown)
    );
}

#[test]
fn a_workspace_without_tests_passes_and_says_so() {
    let dir = workspace(&[
        PEOPLE,
        (
            "campaigns/a.yaml",
            &spec("a", "templates: [{name: t, text: Hi}]\n"),
        ),
    ]);
    let none = run(dir.path(), ["test"]);
    ends_with(&none, 0);
    assert!(out(&none).starts_with("No tests"), "{}", out(&none));
}

#[test]
fn staging_settings_do_not_change_what_a_spec_says() {
    let tests = "templates: [{name: t, text: Hi}]\ntests: [{name: is in, contact: {username: anna}, expect: {included: true, text_contains: ['Reply stop']}}]\n";
    let dir = workspace(&[
        PEOPLE,
        (
            "tidings.yaml",
            "version: 1\nlimits: {only_to: ['@qa_anna']}\nopt_out: {notice: Reply stop.}\n",
        ),
        ("campaigns/a.yaml", &spec("a", tests)),
    ]);
    ends_with(&run(dir.path(), ["test"]), 0);
}

#[test]
fn render_shows_every_variant_and_step_with_its_length_and_its_looks() {
    let dir = tested("[]\n");
    std::fs::write(dir.path().join("campaigns/banner.png"), b"png").unwrap();
    let spec = spec("spring", SPRING).replace(
        "{name: long,",
        "{name: long, media: banner.png, link_preview: false, weight: 2,",
    );
    write(
        dir.path(),
        "campaigns/spring.yaml",
        &spec
            .replace(
                "is {{ now | date('%A') }}",
                "is a [day](https://example.com)",
            )
            .replace("Hello", "Hello 👩‍🚀"),
    );
    let anna =
        r#"{"id": 7, "first_name": "Анна", "username": "@anna", "fields": {"city": "Kazan"}}"#;
    let text = run(dir.path(), ["render", "spring", "--contact", anna]);
    ends_with(&text, 0);
    insta::assert_snapshot!("render", out(&text));

    let json = run(
        dir.path(),
        ["render", "spring", "--contact", anna, "-o", "json"],
    );
    let body: serde_json::Value = serde_json::from_str(&out(&json)).unwrap();
    let short = &body["texts"][0];
    assert_eq!(short["text"], "Hi Анна! Doors at 18.\nSee you, sales-1");
    assert_eq!(
        (&short["units"], &short["limit"]),
        (&38.into(), &4096.into())
    );
    assert_eq!(
        short["entities"][0],
        serde_json::json!({"type": "bold", "offset": 9, "length": 5})
    );
    assert_eq!(body["texts"][1]["limit"], 1024);
    assert_eq!(body["texts"][2]["after"], "3d");
    assert_eq!(body["excluded"], serde_json::Value::Null);
    let chosen = body["texts"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|t| t["step"] == 0 && t["chosen"] == true)
        .count();
    assert_eq!(chosen, 1, "{body:#}");

    // Who has no name gets no long text: that is said, and the exit code says it too.
    let nameless = run(dir.path(), ["render", "spring", "--contact", "{}"]);
    ends_with(&nameless, 1);
    assert!(out(&nameless).contains("no text: "), "{}", out(&nameless));
    assert!(out(&nameless).contains("as `where`"), "{}", out(&nameless));
    for (wrong, says) in [
        ("{\"firstname\": \"A\"}", "firstname"),
        ("[1]", "names nobody"),
        ("12345", "names nobody"),
        ("", "names nobody"),
    ] {
        let refused = run(dir.path(), ["render", "spring", "--contact", wrong]);
        ends_with(&refused, 64);
        assert!(err(&refused).contains(says), "{wrong}: {}", err(&refused));
    }
    let unknown = run(
        dir.path(),
        ["render", "spring", "--contact", "@nobody_here"],
    );
    ends_with(&unknown, 1);
    assert!(
        err(&unknown).contains("tidings reconcile spring"),
        "{}",
        err(&unknown)
    );
    assert!(!dir.path().join("state").exists(), "no state is made");
}

fn git(root: &Path, args: &[&str]) -> String {
    let done = std::process::Command::new("git")
        .arg("-C")
        .arg(root)
        .args([
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@example.com",
            "-c",
            "commit.gpgsign=false",
        ])
        .args(["-c", "core.hooksPath=/dev/null"])
        .args(args)
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{args:?}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
    String::from_utf8(done.stdout).unwrap()
}

/// A repository whose folder `team` is a workspace, with one commit, and the edits of a pull request on top.
fn pull_request() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    write(root, "README.md", "not of the workspace");
    write(
        root,
        "team/tidings.yaml",
        "version: 1\nlimits: {max_per_day: 60}\ntelegram: {api_id: 1, api_hash: \"${TG_API_HASH}\"}\n",
    );
    write(
        root,
        "team/campaigns/people.csv",
        "username,city\nanna,Kazan\nboris,Tver\n",
    );
    write(root, "team/campaigns/banner.png", "old");
    write(
        root,
        "team/campaigns/spring.yaml",
        &spec(
            "spring",
            "delays: {per_account: {per_day: 20}}\ntemplates:\n  - {name: short, weight: 2, media: banner.png, text: \"Hi!\\nDoors at 18.\\nBye\"}\n  - {name: gone, text: Old}\n",
        )
        .replace("sources: [", "sources: [{type: members, peer: '@our_group', basis: members}, "),
    );
    write(
        root,
        "team/campaigns/same.yaml",
        &spec("same", "templates: [{name: t, text: Hi}]\n"),
    );
    write(
        root,
        "team/campaigns/winter.yaml",
        &spec("winter", "templates: [{name: t, text: Brr}]\n"),
    );
    write(
        root,
        "team/campaigns/stops.yaml",
        &spec("stops", "templates: [{name: t, text: Hi}]\n"),
    );
    write(
        root,
        "team/campaigns/breaks.yaml",
        &spec("breaks", "templates: [{name: t, text: Hi}]\n"),
    );
    git(root, &["init", "-q", "-b", "main"]);
    git(root, &["add", "-A"]);
    git(root, &["commit", "-q", "-m", "one"]);

    write(
        root,
        "team/tidings.yaml",
        "version: 1\nlimits: {max_per_day: 80}\ntelegram: {api_id: 1, api_hash: \"${TG_API_HASH}\"}\n",
    );
    write(
        root,
        "team/campaigns/people.csv",
        "username,city\nanna,Kazan\nclara,Omsk\ndaria,Omsk\n",
    );
    write(root, "team/campaigns/banner.png", "new");
    write(
        root,
        "team/campaigns/spring.yaml",
        &spec(
            "spring",
            "title: '@everybody | <b>'\ndelays: {per_account: {per_day: 40}}\ntemplates:\n  - {name: short, weight: 2, media: banner.png, text: \"Hi!\\nDoors at 19, `@our_group`.\\nBye\"}\n  - {name: fresh, text: New}\nfollow_ups: [{after: 3d, templates: [{name: nudge, text: Well?}]}]\n",
        )
        .replace("sources: [", "sources: [{type: members, peer: '@our_group', basis: members}, "),
    );
    std::fs::remove_file(root.join("team/campaigns/winter.yaml")).unwrap();
    write(
        root,
        "team/campaigns/frost.yaml",
        &spec(
            "frost",
            "renamed_from: winter\npaused: true\ntemplates: [{name: t, text: Brr}]\n",
        ),
    );
    std::fs::remove_file(root.join("team/campaigns/stops.yaml")).unwrap();
    write(
        root,
        "team/campaigns/breaks.yaml",
        &spec("breaks", "tempaltes: []\n"),
    );
    write(
        root,
        "team/campaigns/fresh.yaml",
        &spec("fresh", "templates: [{name: t, text: \"Hi\\nthere\"}]\n"),
    );
    dir
}

/// Without what differs from run to run.
fn stable(text: &str, commit: &str) -> String {
    text.replace(&commit[..12], "<commit>")
}

#[test]
fn two_versions_are_compared_for_a_reviewer() {
    let dir = pull_request();
    let team = dir.path().join("team");
    let before = git(dir.path(), &["status", "--porcelain"]);
    let head = git(dir.path(), &["rev-parse", "HEAD"]);
    let text = run(&team, ["plan", "--against", "HEAD"]);
    ends_with(&text, 0);
    insta::assert_snapshot!("against_text", stable(&out(&text), &head));
    let markdown = run(&team, ["plan", "--against", "main", "--format", "markdown"]);
    ends_with(&markdown, 0);
    insta::assert_snapshot!("against_markdown", stable(&out(&markdown), &head));

    let json = run(
        &team,
        [
            "plan",
            "--against",
            "HEAD",
            "-o",
            "json",
            "--detailed-exitcode",
        ],
    );
    ends_with(&json, 2);
    let body: serde_json::Value = serde_json::from_str(&out(&json)).unwrap();
    assert_eq!(body["format_version"], "1.0");
    assert_eq!(body["against"]["commit"], head.trim());
    assert_eq!(body["settings"][0]["path"], "limits.max_per_day");
    let of = |name: &str| {
        let found = body["campaigns"]
            .as_array()
            .unwrap()
            .iter()
            .find(|c| c["name"] == name);
        found.unwrap_or_else(|| panic!("{name}: {body:#}")).clone()
    };
    assert_eq!(of("fresh")["change"], "added");
    assert_eq!(of("stops")["change"], "removed");
    assert_eq!(of("breaks")["change"], "invalid");
    assert_eq!(of("frost")["renamed_from"], "winter");
    let spring = of("spring");
    assert_eq!(
        spring["people"],
        serde_json::json!({"before": 2, "after": 3, "added": 2, "removed": 1})
    );
    assert_eq!(spring["files"][0]["path"], "campaigns/banner.png");
    assert_eq!(spring["asks_approval"], true);
    assert!(!out(&json).contains("api_hash"), "{}", out(&json));

    // One campaign alone; and nothing of it touches the repository or makes a state.
    let one = out(&run(&team, ["plan", "fresh", "--against", "HEAD"]));
    assert!(one.contains("fresh") && !one.contains("stops"), "{one}");
    assert_eq!(git(dir.path(), &["status", "--porcelain"]), before);
    assert!(!team.join("state").exists());

    // Committed, there is no difference to itself.
    git(dir.path(), &["add", "-A"]);
    git(dir.path(), &["commit", "-q", "-m", "two"]);
    let same = run(&team, ["plan", "--against", "HEAD", "--detailed-exitcode"]);
    ends_with(&same, 0);
    assert!(out(&same).contains("Nothing differs."), "{}", out(&same));
    ends_with(
        &run(
            &team,
            ["plan", "--against", "HEAD~1", "--detailed-exitcode"],
        ),
        2,
    );
}

/// A repository whose last commit has these settings, and whose files have others.
fn resettled(before: &str, after: &str) -> tempfile::TempDir {
    let one = spec("one", "templates: [{name: t, text: Hi}]\n");
    let dir = workspace(&[
        PEOPLE,
        ("campaigns/one.yaml", &one),
        ("tidings.yaml", before),
    ]);
    git(dir.path(), &["init", "-q", "-b", "main"]);
    git(dir.path(), &["add", "-A"]);
    git(dir.path(), &["commit", "-q", "-m", "one"]);
    write(dir.path(), "tidings.yaml", after);
    dir
}

#[test]
fn that_a_secret_or_a_brake_is_another_one_is_told_and_no_secret_is() {
    let settings = |n: u32, more: &str| {
        format!(
            "version: 1\n\
             telegram: {{api_id: 1, api_hash: hush-{n}}}\n\
             ai: {{base_url: 'https://me:hush-{n}@host/v1?key=hush-{n}', api_key: hush-{n}}}\n\
             accounts: {{main: {{proxy: 'socks5://me:hush-{n}@127.0.0.1:1080'}}}}\n\
             notify: [{{on: [handoff], webhook: 'https://hook/hush-{n}', secret: hush-{n}}}]\n\
             web: {{token: hush-hush-hush-hush-{n}}}\n{more}"
        )
    };
    let brake = "limits: {approve_over: null}\n";
    let dir = resettled(&settings(1, ""), &settings(2, brake));
    let against = |form: &str| {
        let args = [
            "plan",
            "--against",
            "HEAD",
            "--detailed-exitcode",
            "-o",
            form,
        ];
        let done = run(dir.path(), args);
        ends_with(&done, 2);
        assert!(!out(&done).contains("hush"), "{}", out(&done));
        out(&done)
    };
    let (text, markdown) = (against("text"), against("markdown"));
    let json: serde_json::Value = serde_json::from_str(&against("json")).unwrap();
    let address = "https://[secret]@host/v1?[secret]";
    let another = "https://[another secret]@host/v1?[another secret]";
    for (path, before, after) in [
        ("telegram.api_hash", "[secret]", "[another secret]"),
        ("ai.base_url", address, another),
        ("ai.api_key", "[secret]", "[another secret]"),
        ("accounts.main.proxy", "[secret]", "[another secret]"),
        ("notify[0].webhook", "[secret]", "[another secret]"),
        ("notify[0].secret", "[secret]", "[another secret]"),
        ("web.token", "[secret]", "[another secret]"),
        ("limits.approve_over", "500 (default)", "null (never)"),
    ] {
        let line = format!("~ {path}: {before} → {after}\n");
        assert!(text.contains(&line), "{line}: {text}");
        let lines = format!("- {path}: {before}\n+ {path}: {after}\n");
        assert!(markdown.contains(&lines), "{lines}: {markdown}");
        let change = serde_json::json!({"path": path, "before": before, "after": after});
        let settings = json["settings"].as_array().unwrap();
        assert!(settings.contains(&change), "{change}: {json:#}");
    }
    assert_eq!(json["settings"].as_array().unwrap().len(), 8, "{json:#}");

    // As many ways to tell somebody no more: which of them came is told, what they are is not.
    let other = settings(2, brake).replace(
        "notify: [",
        "notify: [{on: [stalled], webhook: 'https://hook/hush-3'}, ",
    );
    git(dir.path(), &["commit", "-q", "-am", "two"]);
    write(dir.path(), "tidings.yaml", &other);
    let text = against("text");
    let came = "+ notify[]: {\"on\":[\"stalled\"],\"webhook\":\"[secret]\"}\n";
    assert!(text.contains(came) && !text.contains("another"), "{text}");
}

#[test]
fn settings_that_cannot_be_read_are_an_error_and_nothing_else() {
    let dir = resettled(
        "version: 1\nlimits: {max_per_day: 7}\naccounts: {main: {per_day: 5}}\n",
        "limits: [\n",
    );
    let args = ["plan", "--against", "HEAD", "--detailed-exitcode"];
    let done = run(dir.path(), args);
    ends_with(&done, 2);
    let text = out(&done);
    assert!(text.contains("! tidings.yaml:"), "{text}");
    for other in ["max_per_day", "per_day", "~ ", "- ", "Nothing differs"] {
        assert!(!text.contains(other), "{other}: {text}");
    }
}

#[test]
fn what_cannot_be_compared_is_said_with_what_to_do() {
    let dir = pull_request();
    let team = dir.path().join("team");
    for (version, code, says) in [
        ("no-such-branch", 64, "names no commit here"),
        ("--output=/tmp/x", 64, "names no commit here"),
        ("HEAD:team", 64, "names no commit here"),
        ("", 64, "names no commit here"),
    ] {
        let refused = run(&team, ["plan", &format!("--against={version}")]);
        ends_with(&refused, code);
        assert!(err(&refused).contains(says), "{version}: {}", err(&refused));
    }
    let unknown = run(&team, ["plan", "sprung", "--against", "HEAD"]);
    ends_with(&unknown, 64);
    assert!(
        err(&unknown).contains("Did you mean `spring`?"),
        "{}",
        err(&unknown)
    );
    let alone = run(&team, ["plan", "--format", "markdown"]);
    ends_with(&alone, 64);

    let nowhere = workspace(&[
        PEOPLE,
        (
            "campaigns/a.yaml",
            &spec("a", "templates: [{name: t, text: Hi}]\n"),
        ),
    ]);
    let none = run(nowhere.path(), ["plan", "--against", "HEAD"]);
    ends_with(&none, 1);
    assert!(
        err(&none).contains("is in no git repository"),
        "{}",
        err(&none)
    );
}

#[test]
fn a_version_from_before_the_workspace_has_no_campaigns() {
    let dir = pull_request();
    let late = dir.path().join("late");
    write(dir.path(), "late/campaigns/people.csv", PEOPLE.1);
    write(
        dir.path(),
        "late/campaigns/a.yaml",
        &spec("a", "templates: [{name: t, text: Hi}]\n"),
    );
    // A source's own limit bounds the reach; nobody is named by hand there.
    write(
        dir.path(),
        "late/campaigns/b.yaml",
        "version: 1\nname: b\nkind: mailing\nconsent: {basis: members}\naccounts: [main]\n\
         sources: [{type: members, peer: '@our_group', limit: 50}]\ntemplates: [{name: t, text: Hi}]\n",
    );
    let all = run(&late, ["plan", "--against", "HEAD"]);
    ends_with(&all, 0);
    let all = out(&all);
    assert!(all.contains("2 added, 0 changed, 0 removed"), "{all}");
    assert!(
        all.contains("reaches members of @our_group, up to 50 people;"),
        "{all}"
    );
    assert!(all.contains("They reach 51 people at most."), "{all}");
    assert_eq!(all.matches("named by files and lists").count(), 1, "{all}");
}

#[test]
fn validate_takes_any_path_of_a_workspace_and_names_files_from_its_root() {
    let good = spec("good", "templates: [{name: t, text: Hi}]\n");
    let dir = workspace(&[
        PEOPLE,
        ("campaigns/good.yaml", &good),
        ("campaigns/sub/people.csv", PEOPLE.1),
        (
            "campaigns/sub/bad.yaml",
            &spec("bad", "templates: [{name: t, text: Hi}]\n")
                .replace("kind: mailing", "kind: mailng"),
        ),
        ("campaigns/_draft.yaml", "not: [a spec"),
        ("elsewhere/empty.txt", ""),
    ]);
    let root = dir.path();
    let sub = root.join("campaigns/sub");
    let other = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(root.join("campaigns"), other.path().join("campaigns")).unwrap();
    let validate = |at: &Path, args: &[&str]| {
        child::tidings()
            .current_dir(at)
            .arg("validate")
            .args(args)
            .output()
            .unwrap()
    };
    for (what, at, args, code) in [
        ("all", root, vec![], 78),
        ("one file", root, vec!["campaigns/good.yaml"], 0),
        (
            "several",
            root,
            vec!["campaigns/good.yaml", "campaigns/sub"],
            78,
        ),
        ("a folder from within it", sub.as_path(), vec!["."], 78),
        ("upwards", sub.as_path(), vec!["../good.yaml"], 0),
        (
            "through a symlink",
            other.path(),
            vec!["campaigns/good.yaml"],
            0,
        ),
        ("all through a symlink", other.path(), vec![], 78),
        (
            "what is ignored, with a warning",
            root,
            vec!["campaigns/_draft.yaml"],
            0,
        ),
        (
            "a warning that is denied",
            root,
            vec!["campaigns/_draft.yaml", "--deny-warnings"],
            78,
        ),
        ("what is not there", root, vec!["campaigns/nope.yaml"], 64),
        (
            "a path from the root of a workspace that is named",
            Path::new("/"),
            vec!["-C", root.to_str().unwrap(), "campaigns/good.yaml"],
            0,
        ),
        ("what is in no workspace", root, vec!["/"], 64),
    ] {
        let done = validate(at, &args);
        assert_eq!(
            child::code(&done),
            code,
            "{what}: {}{}",
            out(&done),
            err(&done)
        );
    }
    for form in ["full", "json", "github", "sarif"] {
        let done = validate(&root.join("campaigns"), &["--format", form]);
        ends_with(&done, 78);
        assert!(
            out(&done).contains("campaigns/sub/bad.yaml"),
            "{form}: {}",
            out(&done)
        );
        assert!(!out(&done).contains("_draft"), "{form}: {}", out(&done));
    }
    // A workspace in a folder of a repository: who annotates a change names the repository's paths.
    let repository = tempfile::tempdir().unwrap();
    std::fs::create_dir(repository.path().join(".git")).unwrap();
    std::fs::create_dir_all(repository.path().join("ws/campaigns")).unwrap();
    std::fs::write(
        repository.path().join("ws/campaigns/bad.yaml"),
        "version: 1\n",
    )
    .unwrap();
    for (form, path) in [
        ("github", "file=ws/campaigns/bad.yaml"),
        ("sarif", "\"ws/campaigns/bad.yaml\""),
        ("json", "\"campaigns/bad.yaml\""),
    ] {
        let done = validate(repository.path(), &["ws", "--format", form]);
        ends_with(&done, 78);
        assert!(out(&done).contains(path), "{form}: {}", out(&done));
    }
    // Through a link the same: git knows the files by where they are.
    let links = tempfile::tempdir().unwrap();
    let link = links.path().join("link");
    std::os::unix::fs::symlink(repository.path().join("ws"), &link).unwrap();
    std::os::unix::fs::symlink("ws", repository.path().join("inside")).unwrap();
    for place in [&link, &repository.path().join("inside")] {
        for args in [
            &["-C", ".", "--format", "github"][..],
            &["campaigns/bad.yaml", "--format", "github"],
        ] {
            let done = validate(place, args);
            ends_with(&done, 78);
            assert!(
                out(&done).contains("file=ws/campaigns/bad.yaml"),
                "{place:?} {args:?}: {}",
                out(&done)
            );
        }
    }
    let done = validate(repository.path(), &["inside", "--format", "github"]);
    assert!(
        out(&done).contains("file=ws/campaigns/bad.yaml"),
        "{}",
        out(&done)
    );
    let json: serde_json::Value =
        serde_json::from_str(&out(&validate(root, &["--format", "json"]))).unwrap();
    assert_eq!(
        json["diagnostics"][0]["range"],
        serde_json::json!({"start": {"line": 3, "column": 7}, "end": {"line": 3, "column": 13}})
    );
}

#[test]
fn no_spec_names_what_is_the_engines_own() {
    let dir = workspace(&[
        PEOPLE,
        (".env", "TG_API_HASH=secret\n"),
        ("tidings.yaml", "version: 1\n"),
        ("other.yaml", "version: 1\n"),
        ("state/webhook.key", "secret"),
        ("sessions/sales-1.session", "secret"),
        (".git/config", "secret"),
        ("media/cat.txt", "a cat"),
        ("elsewhere/key", "secret"),
    ]);
    let root = dir.path();
    std::os::unix::fs::symlink("../state", root.join("campaigns/pictures")).unwrap();
    let validate = |rest: &str, args: &[&str]| {
        write(root, "campaigns/spring.yaml", &spec("spring", rest));
        let said = child::tidings()
            .current_dir(root)
            .args(args)
            .args(["validate", "--format", "json"])
            .output()
            .unwrap();
        let said: serde_json::Value = serde_json::from_str(&out(&said)).unwrap();
        let errors = said["diagnostics"].as_array().unwrap().clone();
        errors
            .into_iter()
            .filter(|one| one["severity"] == "error")
            .map(|one| {
                let text = |key: &str| one[key].as_str().unwrap().to_owned();
                (
                    text("code"),
                    one["range"]["start"]["line"].as_u64().unwrap(),
                    text("summary"),
                )
            })
            .collect::<Vec<_>>()
    };
    let media = |path: &str| format!("templates:\n  - {{name: t, text: Hi, media: {path}}}\n");
    for path in [
        "../.env",
        "../sessions/sales-1.session",
        "../state/webhook.key",
        "pictures/webhook.key",
        "../tidings.yaml",
        "../.git/config",
        "../media/../.git/config",
    ] {
        let errors = validate(&media(path), &[]);
        assert_eq!(errors.len(), 1, "{path}: {errors:?}");
        let (code, line, summary) = &errors[0];
        assert_eq!((code.as_str(), *line), ("private-file", 8), "{errors:?}");
        assert!(
            summary.contains(path) && summary.contains("no spec may name it"),
            "{summary}"
        );
    }
    for rest in [
        "templates: [{name: t, file: ../.env}]\n",
        "templates: [{name: t, file: ../state/webhook.key}]\n",
        "templates: [{name: t, text: Hi}]\nai_role: {file: ../.env}\n",
        "templates: [{name: t, text: Hi}]\nfilters: {exclude: [{type: file, path: ../sessions/sales-1.session}]}\n",
    ] {
        let errors = validate(rest, &[]);
        assert!(
            errors.iter().any(|error| error.0 == "private-file"),
            "{rest}: {errors:?}"
        );
    }
    let fine = |errors: Vec<(String, u64, String)>| assert_eq!(errors, []);
    fine(validate(&media("../media/cat.txt"), &[]));
    // Wherever state, sessions and settings are put.
    fine(validate(&media("../elsewhere/key"), &[]));
    for option in ["--state-dir", "--sessions-dir"] {
        let errors = validate(&media("../elsewhere/key"), &[option, "elsewhere"]);
        assert_eq!(errors[0].0, "private-file", "{option}");
    }
    let errors = validate(&media("../other.yaml"), &["--config", "other.yaml"]);
    assert_eq!(errors[0].0, "private-file", "{errors:?}");
}

#[test]
fn a_broken_tidings_yaml_is_the_one_error_and_nothing_is_made_up_beside_it() {
    let rest = "owner: growth\ndelays: {between_messages: 1s}\ntemplates: [{name: t, text: Hi}]\n";
    let dir = workspace(&[
        PEOPLE,
        ("campaigns/spring.yaml", &spec("spring", rest)),
        ("tidings.yaml", "version: ["),
    ]);
    let checked = run(dir.path(), ["validate", "--format", "json"]);
    ends_with(&checked, 78);
    let found: serde_json::Value = serde_json::from_str(&out(&checked)).unwrap();
    let errors: Vec<&str> = found["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|d| d["severity"] == "error")
        .map(|d| d["file"].as_str().unwrap())
        .collect();
    assert_eq!(errors, ["tidings.yaml"], "{found:#}");
    for command in ["status", "plan"] {
        let said = run(dir.path(), [command]);
        ends_with(&said, 0);
        let said = out(&said);
        assert!(said.contains("tidings.yaml:1:"), "{said}");
        for word in ["min_delay", "TG_API", "last good", "owner", "SpecInvalid"] {
            assert!(!said.contains(word), "{word}: {said}");
        }
    }
}

#[test]
fn an_invalid_file_that_was_never_valid_shows_the_kind_and_the_title_that_it_says() {
    let text = spec("spring", "title: Spring sale\ntempaltes: []\n");
    let dir = workspace(&[PEOPLE, ("campaigns/spring.yaml", &text)]);
    let said = run(dir.path(), ["status", "-o", "json"]);
    ends_with(&said, 0);
    let report: serde_json::Value = serde_json::from_str(&out(&said)).unwrap();
    let spring = &report["campaigns"][0];
    assert_eq!(spring["kind"], "mailing");
    assert_eq!(spring["title"], "Spring sale");
}

#[test]
fn render_and_test_take_the_earlier_name_that_the_spec_tells() {
    let rest = "renamed_from: winter\ntemplates: [{name: t, text: Hi}]\n\
                tests: [{name: is in, contact: {}, expect: {included: true}}]\n";
    let dir = workspace(&[PEOPLE, ("campaigns/spring.yaml", &spec("spring", rest))]);
    ends_with(&run(dir.path(), ["render", "winter", "--contact", "{}"]), 0);
    let tested = run(dir.path(), ["test", "winter"]);
    ends_with(&tested, 0);
    assert!(out(&tested).contains("1 passed"), "{}", out(&tested));
}

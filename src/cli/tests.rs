use clap::CommandFactory as _;

use super::*;

fn code(args: &[&str]) -> u8 {
    main_with(
        std::iter::once("tidings")
            .chain(args.iter().copied())
            .map(OsString::from),
    )
}

#[test]
fn the_definition_of_the_command_line_holds_together() {
    Cli::command().debug_assert();
}

#[test]
fn exit_codes_are_those_of_the_contract() {
    let empty = tempfile::tempdir().unwrap();
    let at = empty.path().to_str().unwrap();
    for (what, args, expected) in [
        ("help", vec!["--help"], DONE),
        ("help of a verb", vec!["status", "--help"], DONE),
        ("the version", vec!["--version"], DONE),
        ("nothing", vec![], USAGE),
        ("an unknown verb", vec!["stauts"], USAGE),
        ("an unknown flag", vec!["status", "--frobnicate"], USAGE),
        ("an unknown form", vec!["status", "-o", "xml"], USAGE),
        (
            "suspend without a name",
            vec!["suspend", "--reason", "x"],
            USAGE,
        ),
        (
            "suspend with both",
            vec!["suspend", "a", "--all", "--reason", "x"],
            USAGE,
        ),
        ("suspend without a reason", vec!["suspend", "a"], USAGE),
        (
            "suspend for no reason",
            vec!["suspend", "a", "--reason", " "],
            USAGE,
        ),
        (
            "a horizon without --once",
            vec!["run", "--horizon", "5m"],
            USAGE,
        ),
        (
            "a horizon that is no duration",
            vec!["run", "--once", "--horizon", "soon"],
            USAGE,
        ),
        (
            "a folder that is not there",
            vec!["-C", "/nonexistent-tidings", "status"],
            USAGE,
        ),
        (
            "a name that can be no account's",
            vec!["-C", at, "account", "login", "../x", "--phone", "+15550100"],
            USAGE,
        ),
        (
            "a removal without a word for it",
            vec!["-C", at, "account", "remove", "sales-1"],
            USAGE,
        ),
        ("a schema", vec!["schema", "tidings"], DONE),
        ("completions", vec!["completions", "bash"], DONE),
        ("the manual", vec!["man"], DONE),
        (
            "a folder without campaigns",
            vec!["-C", at, "validate"],
            CONFIG,
        ),
        ("approve nothing", vec!["-C", at, "approve"], USAGE),
        (
            "no such campaign to render",
            vec!["-C", at, "render", "x", "--contact", "{}"],
            USAGE,
        ),
        (
            "no JSON",
            vec!["-C", at, "render", "x", "--contact", "{"],
            USAGE,
        ),
        (
            "a misspelt key",
            vec![
                "-C",
                at,
                "render",
                "x",
                "--contact",
                r#"{"frist_name": "A"}"#,
            ],
            USAGE,
        ),
        (
            "a path that is not there",
            vec!["-C", at, "validate", "nowhere.yaml"],
            USAGE,
        ),
    ] {
        assert_eq!(code(&args), expected, "{what}");
    }
}

#[test]
fn a_new_workspace_passes_validate_and_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("new").to_str().unwrap().to_owned();
    assert_eq!(code(&["init", &at]), DONE);
    assert_eq!(code(&["-C", &at, "validate"]), DONE);
    assert_eq!(code(&["-C", &at, "validate", "--format", "sarif"]), DONE);
    assert_eq!(code(&["validate", &at]), DONE);
    let spec = format!("{at}/campaigns/hello.yaml");
    assert_eq!(code(&["validate", &spec]), DONE);
    // Without --contact's id the variants are all shown.
    assert_eq!(
        code(&[
            "-C",
            &at,
            "render",
            "hello",
            "--contact",
            r#"{"first_name": "Анна"}"#
        ]),
        DONE
    );
    std::fs::write(&spec, "name: [").unwrap();
    assert_eq!(code(&["init", &at]), FAILED);
    assert_eq!(std::fs::read_to_string(&spec).unwrap(), "name: [");
    assert_eq!(code(&["-C", &at, "validate"]), CONFIG);
    assert_eq!(code(&["validate", &spec]), CONFIG);
    assert_eq!(
        code(&["-C", &at, "render", "hello", "--contact", "{}"]),
        CONFIG
    );
}

#[test]
fn written_schemas_are_what_the_command_prints() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().to_str().unwrap();
    std::fs::create_dir(folder.path().join("campaigns")).unwrap();
    assert_eq!(code(&["-C", at, "schema", "--write"]), DONE);
    let campaign =
        std::fs::read_to_string(folder.path().join("schema/campaign.schema.json")).unwrap();
    assert_eq!(campaign, crate::spec::campaign_schema());
    let tidings =
        std::fs::read_to_string(folder.path().join("schema/tidings.schema.json")).unwrap();
    assert_eq!(tidings, crate::spec::tidings_schema());
}

#[test]
fn warnings_fail_only_where_they_are_denied() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().to_str().unwrap();
    assert_eq!(code(&["init", at]), DONE);
    // The session of `main` is not there: a warning.
    assert_eq!(code(&["-C", at, "validate"]), DONE);
    assert_eq!(code(&["-C", at, "validate", "--deny-warnings"]), CONFIG);
}

#[test]
fn an_operator_always_has_a_name() {
    assert!(!operator().is_empty());
}

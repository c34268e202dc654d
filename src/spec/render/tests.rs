use super::*;
use crate::spec::diagnostic::{Range, snippet};

fn sample() -> Vec<Diagnostic> {
    let text = "version: 1\nназвание: Весна 👍, kind: maling\n";
    let range = Range::on_line(2, 26, 6);
    vec![
        Diagnostic {
            severity: Severity::Error,
            code: "unknown-value".to_owned(),
            file: "campaigns/весна.yaml".to_owned(),
            range: Some(range),
            summary: "found the text \"maling\" in `kind`; expected one of mailing, invite"
                .to_owned(),
            detail: "What the campaign does: 100% of it,\nsaid in two lines.".to_owned(),
            suggestion: Some("mailing".to_owned()),
            snippet: snippet(text, range),
        },
        Diagnostic::of_file(
            Severity::Warning,
            "missing-session",
            "campaigns/b.yaml",
            "no session file",
            "",
        ),
    ]
}

#[test]
fn the_full_form_frames_the_place_and_ends_with_the_counts() {
    insta::assert_snapshot!(full(&sample(), false), @r#"
    error[unknown-value]: found the text "maling" in `kind`; expected one of mailing, invite
     --> campaigns/весна.yaml:2:26
      |
    1 | version: 1
    2 | название: Весна 👍, kind: maling
      |                           ^^^^^^
      = What the campaign does: 100% of it,
        said in two lines.
      = help: did you mean `mailing`?

    warning[missing-session]: no session file
     --> campaigns/b.yaml

    1 error, 1 warning in 2 files
    "#);
    assert_eq!(full(&[], false), "");
}

#[test]
fn colours_are_there_only_when_asked_for_and_change_no_text() {
    let plain = full(&sample(), false);
    let coloured = full(&sample(), true);
    assert!(!plain.contains('\u{1b}') && coloured.contains('\u{1b}'));
    assert_eq!(console::strip_ansi_codes(&coloured), plain);
}

#[test]
fn long_help_is_broken_between_words() {
    let text = format!("The keys are {}.", vec!["templates"; 40].join(", "));
    let shown = wrap(&text, 50, 4);
    assert!(shown.lines().all(|line| line.len() <= 54), "{shown}");
    assert_eq!(
        shown.split_whitespace().collect::<Vec<_>>(),
        text.split_whitespace().collect::<Vec<_>>()
    );
}

#[test]
fn the_json_form_is_the_promised_one() {
    let value: serde_json::Value = serde_json::from_str(&json(&sample())).unwrap();
    assert_eq!(value["format_version"], "1.0");
    assert_eq!(value["diagnostics"][0]["severity"], "error");
    assert_eq!(
        value["diagnostics"][0]["range"]["start"],
        serde_json::json!({"line": 2, "column": 26})
    );
    assert_eq!(
        value["diagnostics"][0]["range"]["end"],
        serde_json::json!({"line": 2, "column": 32})
    );
    assert_eq!(
        value["diagnostics"][1]["range"]["start"],
        serde_json::json!({"line": 1, "column": 1}),
        "what is about the whole file stands at its start"
    );
    let keys: Vec<&String> = value["diagnostics"][1]
        .as_object()
        .unwrap()
        .keys()
        .collect();
    assert_eq!(
        keys,
        [
            "severity",
            "code",
            "file",
            "range",
            "summary",
            "detail",
            "suggestion",
            "snippet"
        ]
    );
    assert_eq!(
        json(&[]),
        "{\n  \"format_version\": \"1.0\",\n  \"diagnostics\": []\n}\n"
    );
}

#[test]
fn the_github_form_is_one_escaped_command_a_line() {
    insta::assert_snapshot!(github(&sample()), @r#"
    ::error file=campaigns/весна.yaml,line=2,col=26,endLine=2,endColumn=32,title=unknown-value::found the text "maling" in `kind`; expected one of mailing, invite%0AWhat the campaign does: 100%25 of it,%0Asaid in two lines.%0ADid you mean `mailing`?
    ::warning file=campaigns/b.yaml,line=1,col=1,endLine=1,endColumn=1,title=missing-session::no session file
    "#);
    let odd = Diagnostic::of_file(Severity::Error, "x", "a,b:c%.yaml", "s\r\nt", "");
    assert_eq!(
        github(&[odd]),
        "::error file=a%2Cb%3Ac%25.yaml,line=1,col=1,endLine=1,endColumn=1,title=x::s%0D%0At\n"
    );
}

#[test]
fn the_sarif_form_names_rules_and_regions() {
    insta::assert_snapshot!(sarif(&sample()), @r#"
    {
      "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
      "version": "2.1.0",
      "runs": [
        {
          "tool": {
            "driver": {
              "name": "tidings",
              "version": "0.1.0",
              "rules": [
                {
                  "id": "missing-session",
                  "name": "MissingSession",
                  "shortDescription": {
                    "text": "missing session"
                  },
                  "defaultConfiguration": {
                    "level": "warning"
                  }
                },
                {
                  "id": "unknown-value",
                  "name": "UnknownValue",
                  "shortDescription": {
                    "text": "A word that is not among those that may stand there."
                  },
                  "defaultConfiguration": {
                    "level": "error"
                  }
                }
              ]
            }
          },
          "columnKind": "unicodeCodePoints",
          "results": [
            {
              "ruleId": "unknown-value",
              "ruleIndex": 1,
              "level": "error",
              "message": {
                "text": "found the text \"maling\" in `kind`; expected one of mailing, invite. What the campaign does: 100% of it,\nsaid in two lines. Did you mean `mailing`?"
              },
              "locations": [
                {
                  "physicalLocation": {
                    "artifactLocation": {
                      "uri": "campaigns/%D0%B2%D0%B5%D1%81%D0%BD%D0%B0.yaml",
                      "uriBaseId": "%SRCROOT%"
                    },
                    "region": {
                      "startLine": 2,
                      "startColumn": 26,
                      "endLine": 2,
                      "endColumn": 32
                    }
                  }
                }
              ]
            },
            {
              "ruleId": "missing-session",
              "ruleIndex": 0,
              "level": "warning",
              "message": {
                "text": "no session file"
              },
              "locations": [
                {
                  "physicalLocation": {
                    "artifactLocation": {
                      "uri": "campaigns/b.yaml",
                      "uriBaseId": "%SRCROOT%"
                    },
                    "region": {
                      "startLine": 1,
                      "startColumn": 1,
                      "endLine": 1,
                      "endColumn": 1
                    }
                  }
                }
              ]
            }
          ]
        }
      ]
    }
    "#);
}

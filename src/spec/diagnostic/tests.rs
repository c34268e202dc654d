use super::*;

/// A file whose every value stands at the same place: enough to see how findings become diagnostics.
struct OnePlace(&'static str, Range);

impl Places for OnePlace {
    fn text(&self) -> &str {
        self.0
    }
    fn value(&self, _: &Pointer) -> Range {
        self.1
    }
    fn key(&self, _: &Pointer) -> Range {
        Range::on_line(self.1.start.line, 1, 2)
    }
    fn inner(&self, _: &Pointer, line: usize, column: usize, len: usize) -> Range {
        Range::on_line(self.1.start.line + line - 1, column, len)
    }
}

#[test]
fn a_pointer_escapes_keys_as_rfc_6901_says_and_reads_back() {
    for (keys, text) in [
        (vec!["delays", "typing"], "/delays/typing"),
        (vec!["a/b", "m~n"], "/a~1b/m~0n"),
        (vec![""], "/"),
        (vec![], ""),
    ] {
        let pointer = keys.iter().fold(Pointer::root(), |p, key| p.key(key));
        assert_eq!(pointer.as_str(), text);
        assert_eq!(pointer.tokens().collect::<Vec<_>>(), keys);
    }
    assert_eq!(
        Pointer::root().key("sources").index(2).key("peer").dotted(),
        "sources[2].peer"
    );
    assert_eq!(
        Pointer::root().key("a").index(0).parent(),
        Some(Pointer::root().key("a"))
    );
    assert_eq!(Pointer::parse("a"), None);
}

#[test]
fn a_slip_is_guessed_and_a_different_word_is_not() {
    let keys = [
        "templates",
        "timezone",
        "between_messages",
        "per_hour",
        "per_day",
        "title",
        "kind",
        "if",
    ];
    for (found, meant) in [
        ("templats", Some("templates")),
        ("template", Some("templates")),
        ("tempaltes", Some("templates")),
        ("time_zone", Some("timezone")),
        ("Timezone", Some("timezone")),
        ("betweenMessages", Some("between_messages")),
        ("between-message", Some("between_messages")),
        ("perhour", Some("per_hour")),
        ("hour", Some("per_hour")),
        ("titel", Some("title")),
        ("budget", None),
        ("of", None),
        ("", None),
        ("kind", None),
    ] {
        assert_eq!(did_you_mean(found, keys), meant, "{found}");
    }
    assert_eq!(did_you_mean(&"x".repeat(100_000), keys), None);
}

#[test]
fn a_quoted_value_is_one_short_line_that_cannot_steer_a_terminal() {
    assert_eq!(quote("a\nb"), "\"a\\nb\"");
    assert_eq!(quote("\u{1b}[31mred"), "\"\\u{1b}[31mred\"");
    assert_eq!(quote("say \"hi\""), "\"say \\\"hi\\\"\"");
    assert_eq!(quote("\u{202E}abc"), "\"\\u{202e}abc\"");
    assert_eq!(quote(&"я".repeat(100)), format!("\"{}…\"", "я".repeat(60)));
    assert_eq!(quote("👩‍👩‍👧"), "\"👩‍👩‍👧\"");
}

#[test]
fn a_snippet_marks_the_place_under_the_line_with_the_line_before() {
    let text = "name: a\nkind: maling\nlast: 1";
    insta::assert_snapshot!(snippet(text, Range::on_line(2, 7, 6)).unwrap(), @r"
    1 | name: a
    2 | kind: maling
      |       ^^^^^^
    ");
}

#[test]
fn a_mark_lines_up_under_wide_characters() {
    insta::assert_snapshot!(snippet("title: Весна 漢字 👍 ошибка", Range::on_line(1, 19, 6)).unwrap(), @r"
    1 | title: Весна 漢字 👍 ошибка
      |                      ^^^^^^
    ");
}

#[test]
fn a_long_line_is_clipped_around_the_mark() {
    let text = format!("text: {}WRONG{}", "a".repeat(500), "b".repeat(1_000_000));
    let shown = snippet(&text, Range::on_line(1, 507, 5)).unwrap();
    insta::assert_snapshot!(shown, @"
    1 | …aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaWRONGbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb…
      |                                ^^^^^
    ");
}

#[test]
fn a_place_over_several_lines_marks_the_first_of_them() {
    let range = Range::new(Position::new(1, 4), Position::new(3, 2));
    insta::assert_snapshot!(snippet("a: [1,\n2,\n3]", range).unwrap(), @r"
    1 | a: [1,
      |    ^^^
    ");
}

#[test]
fn a_place_past_the_end_of_its_line_is_still_marked() {
    insta::assert_snapshot!(snippet("a:", Range::on_line(1, 3, 1)).unwrap(), @r"
    1 | a:
      |   ^
    ");
    assert_eq!(snippet("a:", Range::on_line(7, 1, 1)), None);
}

#[test]
fn findings_become_the_promised_json() {
    let mut findings = Findings::new();
    findings
        .error(
            &Pointer::root().key("templats"),
            "unknown-key",
            "unknown key \"templats\"",
        )
        .detail("expected one of: templates")
        .did_you_mean("templats", ["templates"])
        .at_key();
    let places = OnePlace("templats: []", Range::on_line(1, 11, 2));
    let diagnostics = findings.into_diagnostics("campaigns/a.yaml", &places);
    insta::assert_json_snapshot!(diagnostics[0], @r#"
    {
      "severity": "error",
      "code": "unknown-key",
      "file": "campaigns/a.yaml",
      "range": {
        "start": {
          "line": 1,
          "column": 1
        },
        "end": {
          "line": 1,
          "column": 3
        }
      },
      "summary": "unknown key \"templats\"",
      "detail": "expected one of: templates",
      "suggestion": "templates",
      "snippet": "1 | templats: []\n  | ^^"
    }
    "#);
}

#[test]
fn a_finding_in_another_file_shows_that_file() {
    let mut findings = Findings::new();
    findings
        .error(
            &Pointer::root().key("file"),
            "unknown-variable",
            "unknown variable",
        )
        .in_file("campaigns/t.j2")
        .with_text("Hi {{ nme }}")
        .inner(1, 7, 3);
    let places = OnePlace("file: t.j2", Range::on_line(1, 7, 4));
    let diagnostics = findings.into_diagnostics("campaigns/a.yaml", &places);
    assert_eq!(diagnostics[0].place(), "campaigns/t.j2:1:7");
    assert_eq!(
        diagnostics[0].snippet.as_deref(),
        Some("1 | Hi {{ nme }}\n  |       ^^^")
    );
}

#[test]
fn one_message_about_one_place_is_said_once_and_the_rest_is_counted() {
    let mut findings = Findings::new();
    for n in 0..1_000 {
        findings.warning(&Pointer::root(), "w", format!("warning {}", n % 500));
    }
    findings.error(&Pointer::root(), "e", "the error");
    let places = OnePlace("x", Range::on_line(1, 1, 1));
    let diagnostics = findings.into_diagnostics("a.yaml", &places);
    assert_eq!(diagnostics.len(), MAX_FINDINGS + 1);
    assert!(diagnostics.iter().any(|d| d.summary == "the error"));
    assert_eq!(
        diagnostics
            .iter()
            .filter(|d| d.code == "too-many-findings")
            .count(),
        1
    );
}

#[test]
fn an_error_nearby_silences_later_checks_of_the_same_value() {
    let mut findings = Findings::new();
    let at = Pointer::root().key("delays").key("typing");
    findings.error(&at, "wrong-type", "wrong");
    assert!(findings.has_error_near(&at));
    assert!(findings.has_error_near(&Pointer::root().key("delays")));
    assert!(findings.has_error_near(&at.key("from")));
    assert!(!findings.has_error_near(&Pointer::root().key("delays_more")));
    assert!(!findings.has_error_near(&Pointer::root().key("delays").key("typing_more")));
}

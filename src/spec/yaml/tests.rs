use proptest::prelude::*;

use super::*;
use crate::spec::diagnostic::Diagnostic;

/// The tree and what was said, with each place.
fn read(bytes: impl AsRef<[u8]>) -> (Tree, Vec<Diagnostic>) {
    let mut findings = Findings::new();
    let tree = parse(bytes.as_ref(), &mut findings);
    let diagnostics = findings.into_diagnostics("f", &tree);
    (tree, diagnostics)
}

fn at(text: &str) -> Pointer {
    Pointer::parse(text).unwrap()
}

/// `line:column-line:column`.
fn written(range: Range) -> String {
    format!("{}-{}", range.start, range.end)
}

const SAMPLE: &str = "\
# a comment
name: spring   # another
empty:
title: \"Ве\\nсенний\"
obj: {a: 1, b: [x, 'y z']}
base: &slow {typing: 2s}
list:
  - a
  -
  - {x: 1}
  - k: v
    z: |2-  # note

        in
      x

    f: >
      fold
      ed
last: &a plain
   more
again: *slow
n: +15550100
t: !!str 5
";

#[test]
fn every_value_and_key_has_its_place() {
    let (tree, said) = read(SAMPLE);
    assert!(said.is_empty(), "{said:?}");
    for (pointer, value, key) in [
        ("/name", "2:7-2:13", "2:1-2:5"),
        ("/empty", "3:1-3:6", "3:1-3:6"),
        ("/title", "4:8-4:20", "4:1-4:6"),
        ("/obj", "5:6-5:27", "5:1-5:4"),
        ("/obj/b/1", "5:20-5:25", "5:20-5:25"),
        ("/base", "6:13-6:25", "6:1-6:5"),
        ("/list", "8:3-19:9", "7:1-7:5"),
        ("/list/1", "9:3-9:4", "9:3-9:4"),
        ("/list/2", "10:5-10:11", "10:5-10:11"),
        ("/list/3", "11:5-19:9", "11:5-19:9"),
        ("/list/3/z", "12:8-15:8", "12:5-12:6"),
        ("/list/3/f", "17:8-19:9", "17:5-17:6"),
        ("/last", "20:10-21:8", "20:1-20:5"),
        ("/again", "22:8-22:13", "22:1-22:6"),
        ("/again/typing", "6:22-6:24", "6:14-6:20"),
        ("/n", "23:4-23:13", "23:1-23:2"),
        ("/t", "24:10-24:11", "24:1-24:2"),
    ] {
        assert_eq!(written(tree.value(&at(pointer))), value, "{pointer}");
        assert_eq!(written(tree.key(&at(pointer))), key, "key of {pointer}");
    }
}

#[test]
fn a_missing_value_marks_the_first_key_of_the_nearest_mapping() {
    let (tree, _) = read(SAMPLE);
    assert_eq!(written(tree.value(&at("/missing"))), "2:1-2:5");
    assert_eq!(written(tree.value(&at("/obj/missing/deeper"))), "5:7-5:8");
    assert_eq!(written(tree.value(&at("/list/9"))), "8:3-19:9");
    assert_eq!(written(read("a: {}").0.value(&at("/a/b"))), "1:4-1:6");
    assert_eq!(written(read("a: &x\n  b: 1").0.value(&at("/a"))), "2:3-2:7");
}

#[test]
fn the_values_are_those_of_yaml_1_2() {
    let (tree, _) = read(SAMPLE);
    assert_eq!(
        tree.root().to_json(),
        serde_json::json!({
            "name": "spring", "empty": null, "title": "Ве\nсенний", "obj": {"a": 1, "b": ["x", "y z"]},
            "base": {"typing": "2s"},
            "list": ["a", null, {"x": 1}, {"k": "v", "z": "\n  in\nx", "f": "fold ed\n"}],
            "last": "plain more", "again": {"typing": "2s"}, "n": 15_550_100, "t": "5",
        })
    );
    assert_eq!(
        tree.find(&at("/n")).unwrap().raw.as_deref(),
        Some("+15550100")
    );
    assert_eq!(tree.find(&at("/title")).unwrap().style, Style::DoubleQuoted);
    let (tree, _) = read("big: 123456789012345678901234567890");
    assert_eq!(
        tree.find(&at("/big")).unwrap().raw.as_deref(),
        Some("123456789012345678901234567890")
    );
}

#[test]
fn a_place_inside_a_text_is_found_in_every_style() {
    for (yaml, line, column, len, place) in [
        ("a: |\n  one\n  two x\n", 2, 5, 1, "3:7-3:8"),
        ("a: |\n\n  one\n   two\n", 3, 2, 3, "4:4-4:7"),
        ("a: |2\n    one\n  two\n", 2, 1, 3, "3:3-3:6"),
        ("a: |\n  one\n", 1, 99, 5, "2:6-2:7"),
        ("a: plain words", 1, 7, 5, "1:10-1:15"),
        ("a: 'it''s {{ x }}'", 1, 9, 1, "1:14-1:15"),
        ("a: \"tab\\t{{ x }}\"", 1, 8, 1, "1:13-1:14"),
        ("a: \"\\u0416 {{ x }}\"", 1, 6, 1, "1:15-1:16"),
        ("a: \"one\\ntwo\"", 2, 1, 3, "1:10-1:13"),
        ("a: \"one\n  two\"", 1, 5, 3, "2:3-2:6"),
        ("a: >\n  one\n  two\n", 1, 5, 3, "3:3-3:6"),
        ("a: >-\n  one\n\n  two\n", 2, 1, 3, "4:3-4:6"),
        ("a: plain\n  more", 1, 7, 4, "2:3-2:7"),
        ("a: Привет {{ x }}", 1, 11, 1, "1:14-1:15"),
        ("x-t: &t |\n  one\n  two\na: *t", 2, 2, 1, "3:4-3:5"),
    ] {
        let (tree, said) = read(yaml);
        assert!(said.is_empty(), "{said:?}");
        assert_eq!(
            written(tree.inner(&at("/a"), line, column, len)),
            place,
            "{yaml}"
        );
    }
}

#[test]
fn what_yaml_allows_and_a_spec_does_not_is_an_error_with_its_place() {
    for (yaml, place, code) in [
        ("a: 1\nb: 2\na: 3\n", "f:3:1", "duplicate-key"),
        ("a: {b: 1, b: 2}", "f:1:11", "duplicate-key"),
        ("x: &x {a: 1}\ny:\n  <<: *x\n", "f:3:3", "merge-key"),
        ("a: 1\n---\nb: 2\n", "f:2:1", "multiple-documents"),
        ("1: a\n", "f:1:1", "bad-key"),
        ("true: a\n", "f:1:1", "bad-key"),
        ("? [a, b]\n: c\n", "f:1:3", "bad-key"),
        ("a: !secret x", "f:1:12", "unknown-tag"),
        ("a: .nan", "f:1:4", "bad-number"),
        ("a: &a [*a]", "f:1:8", "recursive-alias"),
        ("a: *nowhere", "f:1:4", "unknown-anchor"),
        ("", "f:1:1", "empty-file"),
        ("# only words\n", "f:1:1", "empty-file"),
        ("a:\n\tb: 1\n", "f:2:1", "tab-indentation"),
        ("a:\n  b: 1\n \t c: 2\n", "f:3:2", "tab-indentation"),
        ("a:\n  - x\n\t- y\n", "f:3:1", "tab-indentation"),
        ("peer: @name", "f:1:7", "yaml-syntax"),
        ("a: \"open\nb: 1", "f:1:4", "yaml-syntax"),
        ("a: b: c", "f:1:5", "yaml-syntax"),
        ("a: [1, 2\nb: 3", "f:2:2", "yaml-syntax"),
        ("a: 1\n b: 2\n", "f:2:3", "yaml-syntax"),
        ("a: \"\\d\"", "f:1:4", "yaml-syntax"),
        ("a: 1\nb\nc: 2", "f:2:1", "yaml-syntax"),
        ("a: x\u{7}y", "f:1:5", "control-character"),
    ] {
        let (_, said) = read(yaml);
        let first = said.first().map(|d| (d.place(), d.code.clone()));
        assert_eq!(
            first,
            Some((place.to_owned(), code.to_owned())),
            "{yaml:?}: {said:?}"
        );
        assert_eq!(said.len(), 1, "{yaml:?}: {said:?}");
    }
}

#[test]
fn a_duplicate_key_names_both_places_and_reading_goes_on() {
    let (tree, said) = read("a: 1\na: 2\nb: {c: 1, c: 2}\n<<: {}\n5: x\n");
    assert_eq!(
        said.iter().map(|d| d.code.as_str()).collect::<Vec<_>>(),
        ["duplicate-key", "duplicate-key", "merge-key", "bad-key"]
    );
    assert!(
        said[0].detail.contains("line 1, column 1"),
        "{}",
        said[0].detail
    );
    assert_eq!(
        tree.root().to_json(),
        serde_json::json!({"a": 1, "b": {"c": 1}})
    );
    assert!(tree.is_complete());
}

#[test]
fn bytes_that_are_no_text_are_named_by_place() {
    let (_, said) = read(b"name: x\ntitle: \xCF\xF0\n");
    assert_eq!(
        (said[0].place().as_str(), said[0].code.as_str()),
        ("f:2:8", "invalid-encoding")
    );
    assert!(
        said[0].summary.contains("0xCF at offset 15"),
        "{}",
        said[0].summary
    );
    let (_, said) = read(b"\xFF\xFEn\0a\0");
    assert!(said[0].summary.contains("UTF-16"));
    let (_, said) = read(b"a: 1\0\0\0\0\0\0\0\0\0");
    assert!(said.len() <= 5 && said[0].code == "control-character");
}

#[test]
fn a_bom_and_windows_line_breaks_change_nothing() {
    let (tree, said) = read("\u{FEFF}name: a\r\nkind: b\r\n");
    assert!(said.is_empty());
    assert_eq!(
        tree.root().to_json(),
        serde_json::json!({"name": "a", "kind": "b"})
    );
    assert_eq!(written(tree.value(&at("/kind"))), "2:7-2:8");
    assert_eq!(written(tree.key(&at("/name"))), "1:1-1:5");
}

#[test]
fn extension_keys_are_left_out_everywhere_and_their_anchors_work() {
    let (tree, said) =
        read("x-slow: &slow {typing: 2s, x-why: z}\na: *slow\nb: [{x-y: 1, c: 2}]\n");
    assert!(said.is_empty());
    assert_eq!(
        tree.root().to_json(),
        serde_json::json!({"a": {"typing": "2s"}, "b": [{"c": 2}]})
    );
}

#[test]
fn words_of_yaml_1_1_are_text_and_a_leading_zero_is_warned_about() {
    let (tree, said) = read("a: yes\nb: off\nc: 010\n");
    assert_eq!(
        tree.root().to_json(),
        serde_json::json!({"a": "yes", "b": "off", "c": 10})
    );
    assert_eq!(said.len(), 1);
    assert_eq!(
        (said[0].severity.as_str(), said[0].place().as_str()),
        ("warning", "f:3:4")
    );
}

#[test]
fn the_environment_is_put_into_text_values_only() {
    let env = |name: &str| match name {
        "SET" => Some("value: [1]".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    };
    for (yaml, expected) in [
        ("a: ${SET}", serde_json::json!({"a": "value: [1]"})),
        ("a: x-${SET}-y", serde_json::json!({"a": "x-value: [1]-y"})),
        ("a: ${UNSET}\nb: 1", serde_json::json!({"b": 1})),
        ("a: ${SET}${UNSET}\nb: 1", serde_json::json!({"b": 1})),
        ("a: [\"${UNSET}\", c]", serde_json::json!({"a": ["c"]})),
        ("a: $$${SET}", serde_json::json!({"a": "$value: [1]"})),
        ("a: $${SET}", serde_json::json!({"a": "${SET}"})),
        (
            "a: cost $5 and $",
            serde_json::json!({"a": "cost $5 and $"}),
        ),
        ("a: '${EMPTY}'", serde_json::json!({"a": ""})),
        ("${SET}: 1", serde_json::json!({"${SET}": 1})),
    ] {
        let mut findings = Findings::new();
        let tree = parse(yaml.as_bytes(), &mut findings).substitute(&env, &mut findings);
        assert!(findings.is_empty(), "{yaml}");
        assert_eq!(tree.root().to_json(), expected, "{yaml}");
    }
    for bad in ["a: ${", "a: ${}", "a: ${A B}", "a: ${1}"] {
        let mut findings = Findings::new();
        let _ = parse(bad.as_bytes(), &mut findings).substitute(&env, &mut findings);
        assert!(findings.has_errors(), "{bad}");
    }
}

/// Files made to cost time or memory. Each must be answered with an error at once.
#[test]
fn a_hostile_file_is_refused_quickly() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for n in 1..30 {
        let list = vec![format!("*a{}", n - 1); 9].join(", ");
        bomb.push_str(&format!("a{n}: &a{n} [{list}]\n"));
    }
    let mut chain = String::from("a0: &a0 [x]\n");
    for n in 1..19_000 {
        chain.push_str(&format!("a{n}: &a{n} [*a{}]\n", n - 1));
    }
    let mut texts = format!("t: &t \"{}\"\nl:\n", "x".repeat(200_000));
    for _ in 0..10_000 {
        texts.push_str("  - *t\n");
    }
    let mut keys = String::new();
    for n in 0..90_000 {
        keys.push_str(&format!("k{n}: 1\n"));
    }
    for (what, text, code) in [
        ("an alias bomb", bomb, "too-many-values"),
        ("a chain of aliases", chain, "too-deep"),
        ("a long text many times", texts, "too-many-values"),
        ("100k brackets", "[".repeat(100_000), "too-deep"),
        ("100k braces", "{a: ".repeat(100_000), "too-deep"),
        ("100k dashes", "- ".repeat(100_000), "too-deep"),
        ("100k question marks", "? ".repeat(100_000), "too-deep"),
        (
            "one line of a megabyte",
            format!("a: {}", "x".repeat(1_000_000)),
            "too-long-text",
        ),
        (
            "one key of a megabyte",
            format!("{}: 1", "x".repeat(1_000_000)),
            "too-long-text",
        ),
        ("90,000 keys", keys, "too-many-values"),
        ("100 MB", " ".repeat(100_000_000), "too-large"),
        (
            "a million commas",
            format!("a: [{}]", "1,".repeat(400_000)),
            "too-many-values",
        ),
        ("a million quotes", "\"".repeat(1_000_000), "yaml-syntax"),
        ("a million colons", ": ".repeat(500_000), "too-deep"),
        ("a million anchors", "&a ".repeat(300_000), "yaml-syntax"),
        ("a million tags", "!a ".repeat(300_000), "yaml-syntax"),
        ("a million breaks", "\n".repeat(1_000_000), "empty-file"),
        ("a million comments", "#\n".repeat(500_000), "empty-file"),
        ("a million tabs", "\t".repeat(1_000_000), "empty-file"),
    ] {
        let start = std::time::Instant::now();
        let (_, said) = read(&text);
        let took = start.elapsed();
        let codes: Vec<&str> = said.iter().map(|d| d.code.as_str()).collect();
        assert!(codes.contains(&code), "{what}: {codes:?}");
        // Far above the promise: this is an unoptimised build on a machine that may be busy. What costs more than
        // the size of the file takes minutes here.
        assert!(took.as_secs() < 60, "{what} took {took:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        read(bytes);
    }

    #[test]
    fn no_soup_of_yaml_signs_makes_it_panic(text in "[-a:?,\\[\\]{}&*!|>'\"%@`#~ \t\n0.<я👍]{0,80}") {
        let (tree, said) = read(&text);
        prop_assert!(tree.is_complete() || !said.is_empty());
        prop_assert!(said.iter().all(|d| !d.summary.contains("cannot be read as YAML")), "{:?}", said);
    }

    #[test]
    fn no_broken_spec_makes_it_panic_and_every_place_is_in_the_file(
        cuts in proptest::collection::vec((0usize..SAMPLE.len(), 0usize..4, "[-:&*|>'\"{}\\[\\]\t\n #a]{0,3}"), 1..6),
        line in 0usize..5, column in 0usize..9, len in 0usize..9,
    ) {
        let mut text: Vec<char> = SAMPLE.chars().collect();
        for (place, gone, new) in cuts {
            let place = place.min(text.len());
            let end = (place + gone).min(text.len());
            text.splice(place..end, new.chars());
        }
        let text: String = text.into_iter().collect();
        let (tree, said) = read(&text);
        let lines: Vec<&str> = text.split('\n').collect();
        let inside = |range: Range| {
            range.start <= range.end
                && lines.get(range.start.line - 1).is_some_and(|l| range.start.column <= l.chars().count() + 1)
        };
        for diagnostic in &said {
            prop_assert!(diagnostic.range.is_none_or(inside), "{diagnostic:?}");
            prop_assert!(!diagnostic.summary.contains("cannot be read as YAML"), "{diagnostic:?}");
        }
        for pointer in ["/name", "/title", "/list/3/z", "/list/3/f", "/last", "/obj/b/1", "/nothing"] {
            prop_assert!(inside(tree.value(&at(pointer))), "{pointer} {:?}", tree.value(&at(pointer)));
            prop_assert!(inside(tree.key(&at(pointer))));
            tree.inner(&at(pointer), line, column, len);
        }
    }
}

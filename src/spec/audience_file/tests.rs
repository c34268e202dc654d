//! How a file's rows are read is tested where it is done (`people::file`); here, what becomes of the verdict.

use super::super::testing::diagnose_files;
use super::*;
use crate::spec::Diagnostic;
use crate::spec::files::MemoryFiles;

fn diagnose(source: &str, path: &str, text: impl AsRef<[u8]>) -> Vec<Diagnostic> {
    let files = MemoryFiles::new().with(path, text);
    diagnose_files(&format!("sources: [{source}]"), "", &files)
}

#[test]
fn a_bad_row_is_a_warning_at_its_own_place() {
    let text = "имя;phone\nАнна;+15550100\nБорис;15550101\n;\nВера;\"oops\nГлеб\n";
    let found = diagnose(
        "{type: file, path: data/a.csv}",
        "campaigns/data/a.csv",
        text,
    );
    let shown: Vec<String> = found
        .iter()
        .map(|d| format!("{} {} {}", d.severity, d.code, d.place()))
        .collect();
    assert_eq!(
        shown,
        [
            "warning bad-row campaigns/data/a.csv:3:7",
            "warning bad-row campaigns/data/a.csv:5:6",
            "warning bad-row campaigns/data/a.csv:6:1",
        ]
    );
    assert_eq!(
        found[0].summary,
        "line 3, column \"phone\": found \"15550101\", expected a phone in international form, with its + and the country's code, like +15550100"
    );
    assert_eq!(
        found[0].snippet.as_deref(),
        Some("3 | Борис;15550101\n  |       ^^^^^^^^")
    );
    assert_eq!(found[2].snippet.as_deref(), Some("6 | Глеб\n  | ^^^^"));
}

#[test]
fn of_many_bad_rows_the_first_are_shown_and_the_others_counted() {
    let text = format!("phone\n+15550100\n{}", "15550100\n".repeat(5000));
    let found = diagnose("{type: file, path: a.csv}", "campaigns/a.csv", text);
    assert_eq!(found.len(), MAX_REPORTED_ROWS + 1);
    let more = "4990 more rows of \"campaigns/a.csv\" name nobody";
    assert!(found.iter().any(|d| d.summary == more), "{found:?}");
}

#[test]
fn a_file_beyond_what_a_check_looks_at_says_so() {
    let rows = MAX_CHECKED_ROWS + 10;
    let mut text = String::from("id\n");
    for id in 1..=rows {
        text.push_str(&format!("{id}\n"));
    }
    let one = |text: &str| -> Vec<(String, String)> {
        diagnose("{type: file, path: a.csv}", "campaigns/a.csv", text)
            .into_iter()
            .map(|d| (d.code, d.summary))
            .collect()
    };
    assert_eq!(
        one(&text),
        [(
            "partly-checked".to_owned(),
            "only the first 100000 rows of \"campaigns/a.csv\" were checked".to_owned()
        )]
    );
    assert_eq!(one("id\n1\n"), []);
}

#[test]
fn a_header_that_cannot_be_used_is_an_error_at_what_names_it() {
    for (what, source, text, code, suggestion, needle) in [
        (
            "a slip in `columns`",
            "{type: file, path: a.csv, columns: {phone: Phone numbr}}",
            "Phone number\n+1\n",
            codes::BAD_HEADER,
            Some("Phone number"),
            "no column \"Phone numbr\"",
        ),
        (
            "one column for two fields",
            "{type: file, path: a.csv, columns: {phone: x, id: x}}",
            "x\n1\n",
            codes::BAD_HEADER,
            None,
            "twice",
        ),
        (
            "a doubled column",
            "{type: file, path: a.csv}",
            "username,username\na,b\n",
            codes::BAD_HEADER,
            None,
            "twice",
        ),
        (
            "zero bytes",
            "{type: file, path: a.csv}",
            "\u{1}\0\u{2}\u{3}\u{5}",
            codes::INVALID_ENCODING,
            None,
            "no text",
        ),
        (
            "quotes without end",
            "{type: file, path: a.csv}",
            &format!("username,x\n{}", "a\"b,\"cc\n".repeat(1100)),
            codes::BROKEN_QUOTES,
            None,
            "not closed",
        ),
    ] {
        let found = diagnose(source, "campaigns/a.csv", text);
        assert_eq!(found.len(), 1, "{what}: {found:?}");
        let found = &found[0];
        assert!(
            found.is_error() && found.file == "campaigns/a.yaml",
            "{what}: {found}"
        );
        assert_eq!(
            (found.code.as_str(), found.suggestion.as_deref()),
            (code, suggestion),
            "{what}"
        );
        assert!(found.summary.contains(needle), "{what}: {found}");
        assert!(!found.detail.is_empty(), "{what}");
    }
}

#[test]
fn the_columns_of_all_files_may_stand_in_templates() {
    let files = MemoryFiles::new()
        .with("campaigns/a.csv", "username,city\nalice,Kazan\n")
        .with("campaigns/b.csv", "id;Город рождения\n1;x\n");
    let parts = |text: &str| {
        format!(
            "sources: [{{type: file, path: a.csv}}, {{type: file, path: b.csv}}]\ntemplates: [{{name: t, text: \"{text}\"}}]"
        )
    };
    let good = "{{ contact.fields.city }} {{ contact.fields['Город рождения'] }}";
    assert_eq!(diagnose_files(&parts(good), "", &files), []);
    let found = diagnose_files(&parts("{{ contact.fields.citty }}"), "", &files);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (found[0].code.as_str(), found[0].suggestion.as_deref()),
        ("unknown-column", Some("city"))
    );
}

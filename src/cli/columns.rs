//! Columns of text that line up whatever the script, and cells that no spreadsheet runs as a formula.

use unicode_width::UnicodeWidthStr as _;

use crate::status::{plain, push_from, steers};

/// The widest cell but the last of a row; longer ones are cut.
const MAX_CELL: usize = 60;

/// Columns that the last one needs at least.
const LEAST_LAST: usize = 20;

/// Rows under a head, two spaces between the columns. The last column is as wide as it is. On a terminal of this width it
/// is wrapped under itself; where there is no room for columns each row is a paragraph.
pub(super) fn columns(head: &[&str], rows: &[Vec<String>], width: Option<usize>) -> String {
    let rows: Vec<Vec<String>> = std::iter::once(head.iter().map(|c| (*c).to_owned()).collect())
        .chain(
            rows.iter()
                .map(|row| row.iter().map(|cell| plain(cell)).collect()),
        )
        .map(|row: Vec<String>| {
            let last = row.len().saturating_sub(1);
            row.into_iter()
                .enumerate()
                .map(|(at, cell)| if at < last { cut(&cell) } else { cell })
                .collect()
        })
        .collect();
    let mut widths = vec![0; head.len()];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    let mut out = String::new();
    let taken: usize = widths.iter().rev().skip(1).map(|width| width + 2).sum();
    let last = widths.last().copied().unwrap_or(0);
    if let Some(width) = width
        && taken + last.min(LEAST_LAST) > width
    {
        for row in rows.iter().skip(1) {
            let mut said = row.iter().filter(|cell| !cell.is_empty());
            let first = said.next().map_or("", String::as_str);
            let rest: Vec<&str> = said.map(String::as_str).collect();
            out.push_str(first);
            out.push_str("  ");
            push_from(
                &mut out,
                first.width() + 2,
                4,
                &rest.join(", "),
                Some(width),
            );
        }
        return out;
    }
    for row in &rows {
        let mut line = String::new();
        for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
            if at + 1 < row.len() {
                line.push_str(cell);
                line.push_str(&" ".repeat(width - cell.width() + 2));
            }
        }
        let last = row.last().map_or("", String::as_str);
        if last.is_empty() {
            out.push_str(line.trim_end());
            out.push('\n');
        } else {
            out.push_str(&line);
            push_from(&mut out, taken, taken, last, width);
        }
    }
    out
}

fn cut(cell: &str) -> String {
    if cell.width() <= MAX_CELL {
        return cell.to_owned();
    }
    let mut out = String::new();
    for c in cell.chars() {
        if out.width() + 2 > MAX_CELL {
            break;
        }
        out.push(c);
    }
    out.push('…');
    out
}

/// What a spreadsheet, or a terminal, makes more of than a letter: a formula begins with one of these (OWASP; some
/// programs take the full-width forms for the same).
const SIGNS: [char; 8] = [
    '=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}',
];

/// A cell that spreadsheets show and do not run, and that steers no terminal.
///
/// A program that splits the file by `;` or tabs, as Excel does where the comma is the decimal sign, does not see the
/// quotes of a cell that others stand before: it begins a cell after each `;` and each line break. So the apostrophe
/// goes before a sign there too, blanks and quotes skipped. Line breaks stay; a tab becomes a blank, any other
/// control character U+FFFD, and what turns the writing direction goes.
pub(super) fn neutral(cell: &str) -> String {
    let mut out = String::with_capacity(cell.len() + 1);
    let text: String = cell
        .replace("\r\n", "\n")
        .chars()
        .filter_map(|c| match c {
            '\n' | '\r' => Some('\n'),
            '\t' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => Some(' '),
            c if c.is_control() => Some(char::REPLACEMENT_CHARACTER),
            c => (!steers(c)).then_some(c),
        })
        .collect();
    for part in text.split_inclusive([';', '\n']) {
        let begins =
            part.trim_start_matches(|c: char| c == '"' || (c.is_whitespace() && c != '\n'));
        if begins.starts_with(SIGNS) {
            out.push('\'');
        }
        out.push_str(part);
    }
    out
}

/// A line of CSV (RFC 4180), its end included.
pub(super) fn csv_line<S: AsRef<str>>(cells: impl IntoIterator<Item = S>) -> String {
    let cells: Vec<String> = cells
        .into_iter()
        .map(|cell| {
            let cell = cell.as_ref();
            if cell.contains([',', ';', '\t', '"', '\n', '\r']) {
                format!("\"{}\"", cell.replace('"', "\"\""))
            } else {
                cell.to_owned()
            }
        })
        .collect();
    format!("{}\r\n", cells.join(","))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn columns_line_up_in_every_script() {
        let rows = vec![
            vec!["Анна".to_owned(), "x".to_owned(), "one".to_owned()],
            vec![
                "李雷 🙂".to_owned(),
                "yy\u{1b}[31m".to_owned(),
                String::new(),
            ],
        ];
        insta::assert_snapshot!(columns(&["NAME", "B", "C"], &rows, None), @r"
        NAME     B   C
        Анна     x   one
        李雷 🙂  yy
        ");
    }

    #[test]
    fn where_a_terminal_has_no_room_for_columns_each_row_is_a_paragraph() {
        let rows = vec![vec![
            "2026-12-01".to_owned(),
            "Ann <ann@example.com>".to_owned(),
            String::new(),
            "campaigns/spring.yaml is generation 1.".to_owned(),
        ]];
        let head = ["WHEN", "WHO", "OF", "IN WORDS"];
        insta::assert_snapshot!(columns(&head, &rows, Some(64)), @r"
        WHEN        WHO                    OF  IN WORDS
        2026-12-01  Ann <ann@example.com>      campaigns/spring.yaml is
                                               generation 1.
        ");
        insta::assert_snapshot!(columns(&head, &rows, Some(48)), @r"
        2026-12-01  Ann <ann@example.com>,
            campaigns/spring.yaml is generation 1.
        ");
    }

    #[test]
    fn a_line_of_csv_is_read_as_it_was_meant() {
        assert_eq!(
            csv_line(["a", "b,c", "d\"e", "f\ng", ""]),
            "a,\"b,c\",\"d\"\"e\",\"f\ng\",\r\n"
        );
    }

    #[test]
    fn no_cell_is_a_formula() {
        for (cell, expected) in [
            ("=1+1", "'=1+1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("-2", "'-2"),
            (" =1", "' =1"),
            ("＝1", "'＝1"),
            ("\t=1", "' =1"),
            ("x;=HYPERLINK(1);y", "x;'=HYPERLINK(1);y"),
            ("x; \"=1\"", "x;' \"=1\""),
            ("x\t=1+1\ty", "x =1+1 y"),
            ("- a\r\n- b\rc", "'- a\n'- b\nc"),
            ("a;-b, -c", "a;'-b, -c"),
            (
                "a\u{1b}[31mb\u{7}\u{9b}1m\u{202e}c",
                "a\u{fffd}[31mb\u{fffd}\u{fffd}1mc",
            ),
            ("a=1", "a=1"),
            ("Anna", "Anna"),
            ("", ""),
        ] {
            assert_eq!(neutral(cell), expected);
        }
    }

    /// Texts of what separates, quotes, breaks and begins.
    fn soup() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            ";", ",", "\t", "\"", "'", "\n", "\r", "\r\n", " ", "\u{a0}", "=", "+", "-", "@", "＝",
            "1", "x", "\u{1b}[", "\u{85}", "\u{2028}", "\u{feff}",
        ]);
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn whatever_splits_the_file_no_cell_begins_a_formula(cells in prop::collection::vec(soup(), 1..5)) {
            let lines: String = [0, 1]
                .map(|_| csv_line(cells.iter().map(|cell| neutral(cell))))
                .concat();
            for separator in [b',', b';', b'\t'] {
                let mut reader = csv::ReaderBuilder::new()
                    .delimiter(separator)
                    .has_headers(false)
                    .flexible(true)
                    .from_reader(lines.as_bytes());
                for record in reader.records() {
                    for cell in &record.unwrap() {
                        let begins = cell.trim_start_matches(|c: char| c == '"' || c.is_whitespace());
                        prop_assert!(!begins.starts_with(SIGNS), "{cell:?} of {lines:?} by {separator}");
                    }
                }
            }
        }
    }
}

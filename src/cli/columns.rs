//! Columns of text that line up whatever the script, and cells that no spreadsheet runs as a formula.

use unicode_width::UnicodeWidthStr as _;

use crate::status::{plain, push_from};

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

/// A cell that spreadsheets show and do not run (OWASP: a cell that begins with `=`, `+`, `-`, `@`, a tab or a line
/// break can be a formula; some programs skip blanks before it and take the full-width forms for the same).
pub(super) fn neutral(cell: &str) -> String {
    let begins = cell.trim_start_matches([' ', '\u{a0}', '\u{feff}']);
    if cell.starts_with(['\t', '\r', '\n'])
        || begins.starts_with([
            '=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}',
        ])
    {
        format!("'{cell}")
    } else {
        cell.to_owned()
    }
}

/// A line of CSV (RFC 4180), its end included.
pub(super) fn csv_line<S: AsRef<str>>(cells: impl IntoIterator<Item = S>) -> String {
    let cells: Vec<String> = cells
        .into_iter()
        .map(|cell| {
            let cell = cell.as_ref();
            if cell.contains([',', ';', '"', '\n', '\r']) {
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
            ("\t=1", "'\t=1"),
            ("a=1", "a=1"),
            ("Anna", "Anna"),
            ("", ""),
        ] {
            assert_eq!(neutral(cell), expected);
        }
    }
}

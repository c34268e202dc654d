use std::time::Instant;

use super::*;
use crate::model::Reference;

mod million;
mod random;

fn columns(map: &[(Field, &str)]) -> Columns {
    Columns {
        map: map
            .iter()
            .map(|(field, name)| (*field, (*name).to_owned()))
            .collect(),
    }
}

/// Everybody of a file, one line each: what names him, his names, his fields.
fn people(
    path: &str,
    bytes: impl AsRef<[u8]>,
    map: &[(Field, &str)],
) -> (Vec<String>, Result<Summary, FileProblem>) {
    let mut found = Vec::new();
    let kind = FileKind::of_path(path);
    let summary = read(bytes.as_ref(), kind, &columns(map), "file a", &mut |page| {
        assert!(page.len() <= PAGE);
        for (id, person) in page {
            assert_eq!(Some(id), person.person_id());
            assert_eq!(person.origins, ["file a"]);
            let mut words: Vec<String> = vec![
                person
                    .references
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join("&"),
            ];
            words.extend(person.contact.first_name);
            words.extend(person.contact.last_name);
            words.extend(
                person
                    .contact
                    .fields
                    .iter()
                    .map(|(k, v)| format!("{k}={v}")),
            );
            found.push(words.join(" "));
        }
        ControlFlow::Continue(())
    });
    (found, summary)
}

fn bad(path: &str, text: &str) -> Vec<String> {
    let (_, summary) = people(path, text, &[]);
    summary
        .unwrap()
        .bad
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn utf16(text: &str, big: bool, bom: bool) -> Vec<u8> {
    let units = bom.then_some(0xFEFF).into_iter().chain(text.encode_utf16());
    units
        .flat_map(|u| {
            if big {
                u.to_be_bytes()
            } else {
                u.to_le_bytes()
            }
        })
        .collect()
}

fn cp1251(text: &str) -> Vec<u8> {
    encoding_rs::WINDOWS_1251.encode(text).0.into_owned()
}

#[test]
fn a_table_is_read_with_any_delimiter_quotes_and_line_breaks() {
    for (what, path, text) in [
        (
            "commas",
            "a.csv",
            "username,first_name,city\nalice,Anna,Kazan\n",
        ),
        (
            "semicolons",
            "a.csv",
            "username;first_name;city\nalice;Anna;Kazan\n",
        ),
        (
            "tabs",
            "a.csv",
            "username\tfirst_name\tcity\nalice\tAnna\tKazan\n",
        ),
        (
            "a TSV file",
            "a.TSV",
            "username\tfirst_name\tcity\nalice\tAnna\tKazan\n",
        ),
        (
            "any order and case",
            "a.csv",
            "city,First_Name,USERNAME\nKazan,Anna,@Alice\n",
        ),
        (
            "CRLF and blanks",
            "a.csv",
            "username, first_name ,city\r\n\r\n  @alice , Anna,Kazan \r\n",
        ),
        (
            "lone CR",
            "a.csv",
            "username,first_name,city\ralice,Anna,Kazan\r",
        ),
        (
            "no break at the end",
            "a.csv",
            "username,first_name,city\nalice,Anna,Kazan",
        ),
        (
            "quotes",
            "a.csv",
            "\"username\",\"first_name\",\"city\"\n\"alice\",\"Anna\",\"Kazan\"\n",
        ),
        (
            "blanks around quotes",
            "a.csv",
            "username, \"first_name\" ,city\nalice, \"Anna\" ,Kazan\n",
        ),
        (
            "a comma in a header with semicolons",
            "a.csv",
            "username;first_name;city\nalice;Anna;Kazan\n",
        ),
        (
            "a line that names the delimiter",
            "a.csv",
            "sep=;\r\nusername;first_name;city\r\nalice;Anna;Kazan\r\n",
        ),
        (
            "blank lines first",
            "a.csv",
            "\n;;\nusername;first_name;city\nalice;Anna;Kazan\n",
        ),
        (
            "a link",
            "a.csv",
            "username,first_name,city\nhttps://t.me/alice,Anna,Kazan\n",
        ),
        (
            "an apostrophe of a spreadsheet",
            "a.csv",
            "username,first_name,city\n'@alice,Anna,Kazan\n",
        ),
        (
            "unseen marks",
            "a.csv",
            "username,first_name,city\n\u{202a}@alice\u{202c},\u{a0}Anna,Kazan\n",
        ),
    ] {
        let (found, summary) = people(path, text, &[]);
        assert_eq!(found, ["@alice Anna city=Kazan"], "{what}");
        let summary = summary.unwrap();
        assert_eq!(
            (summary.rows, summary.people, summary.bad_count),
            (1, 1, 0),
            "{what}"
        );
        assert_eq!(summary.fields, ["city"], "{what}");
        assert!(summary.complete, "{what}");
    }
}

#[test]
fn the_delimiter_is_the_one_under_which_columns_name_a_person() {
    for (header, expected) in [
        ("username;city, region", ';'),
        ("city, region, country;phone", ';'),
        ("phone,a;b;c;d", ','),
        ("username", ','),
        ("\"a;b;c\",id", ','),
        ("id\tname, full", '\t'),
    ] {
        let (_, summary) = people("a.csv", format!("{header}\n"), &[]);
        assert_eq!(summary.unwrap().delimiter, Some(expected), "{header}");
    }
    let (_, summary) = people("a.csv", "Телефон;a,b,c\n", &[(Field::Phone, "телефон")]);
    assert_eq!(summary.unwrap().delimiter, Some(';'));
}

#[test]
fn a_quoted_cell_keeps_delimiters_breaks_and_quotes() {
    for (cell, expected) in [
        ("\"a,b;c\"", "a,b;c"),
        ("\"two\nlines\"", "two\nlines"),
        ("\"two\r\nlines\"", "two\r\nlines"),
        ("\"say \"\"hi\"\"\"", "say \"hi\""),
        ("\"\"\"\"", "\""),
        ("\"Alex\" Smith", "Alex Smith"),
        ("5\" disk", "5\" disk"),
        ("\" padded \"", "padded"),
    ] {
        let text = format!("note,username\n{cell},alice\nx,bobby\n");
        let (found, summary) = people("a.csv", &text, &[]);
        assert_eq!(
            found,
            [
                format!("@alice note={expected}"),
                "@bobby note=x".to_owned()
            ],
            "{cell}"
        );
        assert_eq!(summary.unwrap().bad, [], "{cell}");
    }
}

#[test]
fn every_promised_encoding_is_read() {
    let text = "username,имя,город\nalice,Анна,Казань\n";
    for (what, bytes, name) in [
        ("UTF-8", text.as_bytes().to_vec(), "UTF-8"),
        (
            "UTF-8 with its mark",
            format!("\u{feff}{text}").into_bytes(),
            "UTF-8",
        ),
        (
            "UTF-16LE with its mark",
            utf16(text, false, true),
            "UTF-16LE",
        ),
        (
            "UTF-16BE with its mark",
            utf16(text, true, true),
            "UTF-16BE",
        ),
        ("UTF-16LE without", utf16(text, false, false), "UTF-16LE"),
        ("UTF-16BE without", utf16(text, true, false), "UTF-16BE"),
        ("cp1251", cp1251(text), "windows-1251"),
    ] {
        let (found, summary) = people("a.csv", &bytes, &[(Field::FirstName, "ИМЯ")]);
        assert_eq!(found, ["@alice Анна город=Казань"], "{what}");
        assert_eq!(summary.unwrap().encoding, name, "{what}");
        let txt = match name {
            "UTF-8" => "@alice\n# Анна\n".as_bytes().to_vec(),
            "windows-1251" => cp1251("@alice\n# Анна\n"),
            _ => utf16("@alice\n# Анна\n", name == "UTF-16BE", false),
        };
        assert_eq!(people("a.txt", txt, &[]).0, ["@alice"], "{what} as TXT");
    }
}

#[test]
fn a_character_across_two_chunks_is_one_character() {
    for odd in 0..4 {
        let mut text = format!("username,город\n{}", "x".repeat(odd));
        text.push_str("aaaa,");
        text.push_str(&"Казань".repeat(100));
        text.push('\n');
        for row in 0..1000 {
            text.push_str(&format!("user{row},{}\n", "Ж".repeat(60 + odd)));
        }
        for bytes in [
            text.clone().into_bytes(),
            utf16(&text, false, true),
            cp1251(&text),
        ] {
            let (found, summary) = people("a.csv", bytes, &[]);
            assert_eq!(found.len(), 1001);
            assert_eq!(summary.unwrap().bad_count, 0);
            assert!(
                found
                    .iter()
                    .skip(1)
                    .all(|one| one.ends_with(&"Ж".repeat(60 + odd)))
            );
        }
    }
}

#[test]
fn a_byte_that_is_no_utf8_costs_its_row_and_not_all_names() {
    let mut bytes = "username,имя\nalice,Анна\nbobby,".as_bytes().to_vec();
    bytes.extend([0xC0, b'\n']);
    bytes.extend("carol,Карина\n".as_bytes());
    let (found, summary) = people("a.csv", &bytes, &[]);
    assert_eq!(found, ["@alice имя=Анна", "@carol имя=Карина"]);
    let summary = summary.unwrap();
    assert_eq!(summary.encoding, "UTF-8");
    assert_eq!(summary.bad[0].line, 3);
    assert!(
        summary.bad[0].expected.contains("UTF-8"),
        "{}",
        summary.bad[0]
    );

    // Behind what decided on the encoding nothing switches silently.
    let mut late = "username,name\n".to_owned();
    (0..10_000).for_each(|row| late.push_str(&format!("user{row},Somebody\n")));
    let mut late = late.into_bytes();
    late.extend(cp1251("zinaida,Зина\n"));
    let (found, summary) = people("a.csv", &late, &[]);
    assert_eq!(found.len(), 10_000);
    let summary = summary.unwrap();
    assert_eq!(
        (summary.encoding, summary.bad_count, summary.bad[0].line),
        ("UTF-8", 1, 10_002)
    );
}

#[test]
fn a_file_that_is_no_text_is_refused_with_what_it_is() {
    for (what, bytes, needle) in [
        (
            "xlsx",
            b"PK\x03\x04\x14\x00\x06\x00".to_vec(),
            "Excel workbook",
        ),
        ("xls", b"\xd0\xcf\x11\xe0\xa1\xb1".to_vec(), "old Excel"),
        ("pdf", b"%PDF-1.7\n".to_vec(), "PDF"),
        (
            "zero bytes",
            b"username\n\x00\x01\x02abcdefghi\x00".to_vec(),
            "no text",
        ),
        (
            "UTF-32",
            b"\xff\xfe\x00\x00i\x00\x00\x00d\x00\x00\x00".to_vec(),
            "no text",
        ),
    ] {
        let problem = people("a.csv", bytes, &[]).1.unwrap_err();
        assert!(problem.to_string().contains(needle), "{what}: {problem}");
        assert!(problem.help().contains("CSV in UTF-8"), "{what}");
    }
}

#[test]
fn cyrillic_headers_are_mapped_by_columns() {
    let text = "Имя;Телефон;Номер;Юзернейм;phone\nАнна;+7 916 123-45-67;7;;mobile\n;;8;@bobby;\n";
    let map = [
        (Field::Phone, " телефон "),
        (Field::FirstName, "Имя"),
        (Field::Id, "НОМЕР"),
        (Field::Username, "Юзернейм"),
    ];
    let (found, summary) = people("a.csv", text, &map);
    assert_eq!(
        found,
        ["id:7&+79161234567 Анна phone=mobile", "id:8&@bobby"]
    );
    let summary = summary.unwrap();
    assert_eq!(
        summary.fields,
        ["phone"],
        "a mapped field's own name is an ordinary column"
    );
    assert_eq!(
        summary.header,
        ["Имя", "Телефон", "Номер", "Юзернейм", "phone"]
    );
}

#[test]
fn headers_become_names_that_a_template_can_write() {
    // The й of the second one is composed of two characters, as macOS writes it.
    let text = "id, Дата  рождения ,Краи\u{306}\n7,1.1.,Алтай\n";
    let (found, summary) = people("a.csv", text, &[]);
    assert_eq!(found, ["id:7 Дата рождения=1.1. Край=Алтай"]);
    assert_eq!(summary.unwrap().fields, ["Дата рождения", "Край"]);
}

#[test]
fn a_row_names_its_person_in_all_its_ways_and_the_surest_decides() {
    let text = "phone,username,id\n+1 555 0100,@Bobby,7\n+15550101,carol,\n'+15550102,,\n,,id:9\n";
    let mut found = Vec::new();
    let summary = read(
        text.as_bytes(),
        FileKind::Csv,
        &Columns::default(),
        "o",
        &mut |page| {
            found.extend(page);
            ControlFlow::Continue(())
        },
    );
    assert_eq!(summary.unwrap().bad, []);
    let ids: Vec<PersonId> = found.iter().map(|(id, _)| *id).collect();
    let username = Reference::Username("carol".to_owned());
    let phone = Reference::Phone("15550102".to_owned());
    assert_eq!(
        ids,
        [PersonId(7), username.person(), phone.person(), PersonId(9)]
    );
    let contact = &found[0].1.contact;
    assert_eq!(
        (
            contact.id,
            contact.username.as_deref(),
            contact.phone.as_deref()
        ),
        (Some(7), Some("bobby"), Some("15550100"))
    );
    assert_eq!(
        found[1].1.references,
        [username, Reference::Phone("15550101".to_owned())]
    );
}

#[test]
fn one_person_in_two_rows_of_a_page_is_one_person() {
    let text = "username,city,phone\nalice,Kazan,\nbobby,,\n@ALICE,,+15550100\n";
    let (found, summary) = people("a.csv", text, &[]);
    assert_eq!(found, ["@alice&+15550100 city=Kazan", "@bobby"]);
    let summary = summary.unwrap();
    assert_eq!((summary.rows, summary.people, summary.bad_count), (3, 2, 0));
}

#[test]
fn a_bad_row_says_its_line_its_place_and_what_was_expected() {
    for (header, row, expected) in [
        (
            "username,phone",
            ",15550100",
            "line 2, column \"phone\": found \"15550100\", expected a phone in international form, with its + and the country's code, like +15550100",
        ),
        (
            "phone,note",
            "+12,",
            "line 2, column \"phone\": found \"+12\", expected a phone in international form: a + and 7 to 15 digits, like +15550100",
        ),
        (
            "phone;note",
            "7,9161E+10;",
            "line 2, column \"phone\": found \"7,9161E+10\", expected a phone in international form: a + and 7 to 15 digits, like +15550100; a spreadsheet has shortened this one: format the column as text and enter it again",
        ),
        (
            "phone,note",
            "@alice,",
            "line 2, column \"phone\": found \"@alice\", expected a phone in international form: a + and 7 to 15 digits, like +15550100",
        ),
        (
            "username,note",
            "123456,",
            "line 2, column \"username\": found \"123456\", expected a username like @alice; a bare number names nobody (a phone belongs in the column `phone` with its +, an id in `id`)",
        ),
        (
            "username,note",
            "+15550100,",
            "line 2, column \"username\": found \"+15550100\", expected a username like @alice; a phone belongs in the column `phone`",
        ),
        (
            "username,note",
            "id:7,",
            "line 2, column \"username\": found \"id:7\", expected a username like @alice; an id belongs in the column `id`",
        ),
        (
            "username,note",
            "t.me/+AbCdEfGhIj,",
            "line 2, column \"username\": found \"t.me/+AbCdEfGhIj\", expected a username like @alice; an invite link names a place",
        ),
        (
            "username,note",
            "@ab,",
            "line 2, column \"username\": found \"@ab\", expected a username: 4 to 32 Latin letters, digits and underscores, beginning with a letter",
        ),
        (
            "id,note",
            "0,",
            "line 2, column \"id\": found \"0\", expected a user id: a positive whole number",
        ),
        (
            "id,note",
            "+7,",
            "line 2, column \"id\": found \"+7\", expected a user id: a positive whole number",
        ),
        (
            "id,note",
            "99999999999999999999,",
            "line 2, column \"id\": found \"99999999999999999999\", expected a user id: a positive whole number",
        ),
        (
            "username,phone,note",
            ",,x",
            "line 2: found a row that names nobody (`username` and `phone` are empty), expected an id, a username or a phone",
        ),
        (
            "city,username,phone",
            "Kazan",
            "line 2: found a row that names nobody (`username` and `phone` are empty), expected an id, a username or a phone",
        ),
        (
            "username,note",
            "alice,b,c",
            "line 2: found 3 cells, expected at most 2, as in the header",
        ),
        (
            "username,note",
            "alice,\"b",
            "line 2: found a cell whose quote is never closed, expected a second quote at its end; a quote within a quoted cell is written twice",
        ),
    ] {
        let (found, summary) = people("a.csv", format!("{header}\n{row}\n"), &[]);
        assert!(found.is_empty(), "{row}");
        let summary = summary.unwrap();
        assert_eq!((summary.rows, summary.bad_count), (1, 1), "{row}");
        assert_eq!(summary.bad[0].to_string(), expected);
    }
}

#[test]
fn the_place_of_a_bad_cell_counts_characters() {
    let text = "имя,phone\n\"Анна\", 15550100 ,x\nАнна,15550100\nАнна,\"1555 0100\"\n\"two\nlines\",15550100\n";
    let (_, summary) = people("a.csv", text, &[]);
    let places: Vec<(u64, usize, usize)> = summary
        .unwrap()
        .bad
        .iter()
        .map(|row| (row.line, row.column, row.width))
        .collect();
    assert_eq!(places, [(2, 1, 0), (3, 6, 8), (4, 6, 11), (5, 1, 0)]);
}

#[test]
fn bad_rows_are_left_out_with_their_lines_and_the_others_stay() {
    let text = "username,phone,note\r\nalice,,\"two\r\nlines\"\r\n,15550100,\r\n\r\n , ,\r\nbobby\r\n,+15550100,x\r\n";
    let (found, summary) = people("a.csv", text, &[]);
    assert_eq!(
        found,
        ["@alice note=two\r\nlines", "@bobby", "+15550100 note=x"]
    );
    let lines: Vec<u64> = summary.unwrap().bad.iter().map(|row| row.line).collect();
    assert_eq!(lines, [4]);
}

#[test]
fn empty_cells_at_the_end_of_a_row_may_be_left_out_or_be_too_many() {
    let text =
        "username;phone;note\nalice\nbobby;+15550100\ncarol;;x;;\n;+15550101;;;\ndavid;;;;x\n;\n";
    let (found, summary) = people("a.csv", text, &[]);
    assert_eq!(
        found,
        ["@alice", "@bobby&+15550100", "@carol note=x", "+15550101"]
    );
    let lines: Vec<u64> = summary.unwrap().bad.iter().map(|row| row.line).collect();
    assert_eq!(lines, [6]);
}

#[test]
fn a_bad_row_is_kept_as_it_is_written_as_far_as_a_snippet_shows_it() {
    let long = "х".repeat(5000);
    let text = format!("phone,note\n15550100,\"two\nlines\"\n15550100,{long}\n");
    let bad = people("a.csv", text, &[]).1.unwrap().bad;
    assert_eq!(bad[0].written, "15550100,\"two");
    assert_eq!(bad[1].written.chars().count(), 1000);
    let bad = people("a.txt", "@alice\r\n15550100\r\n", &[])
        .1
        .unwrap()
        .bad;
    assert_eq!(bad[0].written, "15550100");
}

#[test]
fn a_stray_quote_costs_its_own_row_only() {
    for (what, text) in [
        (
            "closed nowhere",
            "username,note\nalice,\"oops\nbobby,x\ncarol,y\n",
        ),
        (
            "closed in a later row",
            "username,note\nalice,\"oops\nbobby,x\ncarol,\"y\"\n",
        ),
    ] {
        let (found, summary) = people("a.csv", text, &[]);
        assert_eq!(found, ["@bobby note=x", "@carol note=y"], "{what}");
        let summary = summary.unwrap();
        assert_eq!(
            (
                summary.bad[0].line,
                summary.bad[0].column,
                summary.bad_count
            ),
            (2, 7, 1),
            "{what}"
        );
    }
}

#[test]
fn broken_quotes_without_end_are_refused_before_they_cost_much() {
    // Each row opens a quote that the next ones do not close.
    let text = format!("username,note\n{}", "a\"b,\"cc\n".repeat(300_000));
    let before = Instant::now();
    let problem = people("a.csv", text, &[]).1.unwrap_err();
    assert!(
        matches!(problem, FileProblem::BrokenQuotes { .. }),
        "{problem}"
    );
    assert!(before.elapsed().as_secs() < 20, "{:?}", before.elapsed());
}

#[test]
fn limits_on_rows_cells_and_columns_hold() {
    let long = |len: usize| "x".repeat(len);
    let text = format!(
        "username,a\nalice,{}\nbobby,{}\ncarol,{}\ndavid,{}\nerica,y\n",
        long(MAX_CELL),
        long(MAX_CELL + 1),
        long(MAX_ROW),
        long(5 * MAX_ROW)
    );
    let (found, summary) = people("a.csv", &text, &[]);
    assert_eq!(found.len(), 2);
    assert!(found[1].starts_with("@erica"));
    let lines: Vec<u64> = summary.unwrap().bad.iter().map(|row| row.line).collect();
    assert_eq!(lines, [3, 4, 5]);

    let txt = format!(
        "@alice\n{}\n@bobby\n{}",
        long(3 * MAX_ROW),
        long(3 * MAX_ROW)
    );
    let (found, summary) = people("a.txt", &txt, &[]);
    assert_eq!(found, ["@alice", "@bobby"]);
    let lines: Vec<u64> = summary.unwrap().bad.iter().map(|row| row.line).collect();
    assert_eq!(lines, [2, 4]);

    let header = |count: usize| {
        let names: Vec<String> = (1..count).map(|n| format!("c{n}")).collect();
        format!("id,{}\n", names.join(","))
    };
    assert!(people("a.csv", header(MAX_COLUMNS), &[]).1.is_ok());
    let problem = people("a.csv", header(MAX_COLUMNS + 1), &[]).1.unwrap_err();
    assert!(
        matches!(problem, FileProblem::TooManyColumns { found: 201 }),
        "{problem}"
    );
}

#[test]
fn a_wholly_bad_file_is_counted_and_not_kept() {
    let text = format!("phone\n{}", "15550100\n".repeat(5000));
    let (_, summary) = people("a.csv", text, &[]);
    let summary = summary.unwrap();
    assert_eq!(
        (summary.rows, summary.people, summary.bad_count),
        (5000, 0, 5000)
    );
    assert_eq!(summary.bad.len(), MAX_KEPT_BAD_ROWS);
}

#[test]
fn a_header_that_names_nobody_is_refused_with_what_was_probably_meant() {
    for (what, text, map, summary, help) in [
        (
            "other columns",
            "first_name,city\nA,B\n",
            &[][..],
            "the header has no column `id`, `username` or `phone`; it has \"first_name\", \"city\"",
            "One of them must name the person. Say which one with `columns:`, as in `columns: {phone: first_name}`.",
        ),
        (
            "a slip",
            "usrname,city\nA,B\n",
            &[],
            "the header has no column `id`, `username` or `phone`; it has \"usrname\", \"city\"",
            "Did you mean `columns: {username: usrname}`?",
        ),
        (
            "another language",
            "Имя;Телефон:;Ник\nА;Б;В\n",
            &[],
            "the header has no column `id`, `username` or `phone`; it has \"Имя\", \"Телефон:\", \"Ник\"",
            "Did you mean `columns: {phone: \"Телефон:\", username: Ник}`?",
        ),
        (
            "no header",
            "@alice,Anna\n@bobby,Bob\n",
            &[],
            "the header has no column `id`, `username` or `phone`; it has \"@alice\", \"Anna\"",
            "Its first line looks like a person and not like a header. A table begins with a header, such as `username,first_name`.",
        ),
        (
            "a mapped column that is not there",
            "Phone number\n+1\n",
            &[(Field::Phone, "Phone numbr")],
            "the file has no column \"Phone numbr\"; it has \"Phone number\"",
            "Did you mean \"Phone number\"?",
        ),
        (
            "one column mapped twice",
            "x\n1\n",
            &[(Field::Id, "x"), (Field::Phone, "X")],
            "`columns` names the column \"X\" twice: as `id` and as `phone`",
            "Each column means one thing.",
        ),
        (
            "a doubled column",
            "username,Username\na,b\n",
            &[],
            "the header has the column \"Username\" twice",
            "Each column needs its own name.",
        ),
        (
            "an empty file",
            "",
            &[],
            "the file is empty",
            "A table begins with a header, such as `username,first_name`.",
        ),
        (
            "blank lines",
            "\n\r\n ;\n",
            &[],
            "the file is empty",
            "A table begins with a header, such as `username,first_name`.",
        ),
        (
            "a quote in the header",
            "username,\"city\nalice,b\n",
            &[],
            "the header cannot be read: found a cell whose quote is never closed, expected a second quote at its end; a quote within a quoted cell is written twice",
            "A table begins with a header, such as `username,first_name`.",
        ),
    ] {
        let problem = people("a.csv", text, map).1.unwrap_err();
        assert_eq!(problem.to_string(), summary, "{what}");
        assert_eq!(problem.help(), help, "{what}");
    }
    let problem = people(
        "a.csv",
        "Phone number\n+1\n",
        &[(Field::Phone, "Phone numbr")],
    )
    .1
    .unwrap_err();
    assert_eq!(
        (problem.suggestion(), problem.field()),
        (Some("Phone number"), Some(Field::Phone))
    );
}

#[test]
fn a_txt_file_has_a_peer_a_line() {
    let text = "\u{feff}# friends\r\n@alice\r\n\r\n  https://t.me/bobby  # met at the meetup\r\n+1 (555) 010-0000\r\nid:7\r\n\"+15550101\"\r\ncarol";
    let (found, summary) = people("a.TXT", text, &[]);
    assert_eq!(
        found,
        [
            "@alice",
            "@bobby",
            "+15550100000",
            "id:7",
            "+15550101",
            "@carol"
        ]
    );
    let summary = summary.unwrap();
    assert_eq!(
        (summary.rows, summary.people, summary.delimiter),
        (6, 6, None)
    );
    assert_eq!(summary.header, [""; 0]);
}

#[test]
fn a_line_of_a_txt_file_that_names_nobody_is_explained() {
    for (line, expected) in [
        (
            "123",
            "line 2: found \"123\", expected +123 for a phone or id:123 for an id; a bare number names nobody",
        ),
        (
            "555-01-00",
            "line 2: found \"555-01-00\", expected +5550100 for a phone or id:5550100 for an id; a bare number names nobody",
        ),
        (
            "@alice, @bobby",
            "line 2: found \"@alice, @bobby\", expected a username: 4 to 32 Latin letters, digits and underscores, beginning with a letter",
        ),
        (
            "alice bobby",
            "line 2: found \"alice bobby\", expected one peer a line",
        ),
        (
            "id:0",
            "line 2: found \"id:0\", expected id: and a positive whole number",
        ),
        (
            "+12",
            "line 2: found \"+12\", expected a + and 7 to 15 digits",
        ),
        (
            "https://t.me/+AbCdEfGhIj",
            "line 2: found \"https://t.me/+AbCdEfGhIj\", expected a person; an invite link names a place",
        ),
        (
            "https://example.com/a",
            "line 2: found \"https://example.com/a\", expected @name, a t.me link, a phone like +15550100, or id:123",
        ),
    ] {
        assert_eq!(
            bad("a.txt", &format!("# list\n{line}\n@carol\n")),
            [expected]
        );
    }
    let header = bad("a.txt", "username\n@alice\n");
    assert!(header[0].contains("this is a header"), "{header:?}");
    assert_eq!(
        bad("a.txt", "@alice\n  123 # Bob\n")[0],
        "line 2: found \"123\", expected +123 for a phone or id:123 for an id; a bare number names nobody"
    );
}

#[test]
fn pages_are_bounded_and_the_sink_may_stop() {
    let mut text = "id\n".to_owned();
    (1..=2500).for_each(|id| text.push_str(&format!("{id}\n")));
    let mut sizes = Vec::new();
    let summary = read(
        text.as_bytes(),
        FileKind::Csv,
        &Columns::default(),
        "o",
        &mut |page| {
            sizes.push(page.len());
            ControlFlow::Continue(())
        },
    );
    assert_eq!(sizes, [1000, 1000, 500]);
    assert_eq!(summary.unwrap().people, 2500);

    let mut sizes = Vec::new();
    let summary = read(
        text.as_bytes(),
        FileKind::Csv,
        &Columns::default(),
        "o",
        &mut |page| {
            sizes.push(page.len());
            ControlFlow::Break(())
        },
    )
    .unwrap();
    assert_eq!(sizes, [1000]);
    assert_eq!((summary.people, summary.complete), (1000, false));

    let mut text = "id,a,b,c,d,e,f\n".to_owned();
    let cell = "x".repeat(MAX_CELL);
    (1..=200).for_each(|id| text.push_str(&format!("{id}{}\n", format!(",{cell}").repeat(6))));
    let mut sizes = Vec::new();
    let summary = read(
        text.as_bytes(),
        FileKind::Csv,
        &Columns::default(),
        "o",
        &mut |page| {
            sizes.push(page.len());
            ControlFlow::Continue(())
        },
    );
    assert_eq!(summary.unwrap().people, 200);
    assert!(
        sizes.len() > 1 && sizes.iter().all(|size| *size < 100),
        "{sizes:?}"
    );
}

#[test]
fn a_check_reads_as_far_as_it_is_told_and_judges_as_a_reading_does() {
    let text = "username,city\nalice,a\n123,b\nbobby,c\n";
    let limited = |rows| check(text.as_bytes(), FileKind::Csv, &Columns::default(), rows).unwrap();
    let header = limited(0);
    assert_eq!(
        (header.fields, header.rows, header.complete),
        (vec!["city".to_owned()], 0, false)
    );
    let two = limited(2);
    assert_eq!(
        (two.rows, two.people, two.bad_count, two.complete),
        (2, 1, 1, false)
    );
    let all = limited(u64::MAX);
    assert_eq!(Ok(all), people("a.csv", text, &[]).1.map_err(|_| ()));
}

#[test]
fn a_check_stops_where_it_has_read_enough() {
    // Blank lines, or one line without an end, are no rows: only the bytes bound the work.
    for (what, head, filler) in [
        ("blank lines", "username\nalice\n", b'\n'),
        ("a line without end", "username\nalice\n", b'x'),
    ] {
        let (mut read, enough) = (0, 1024 * 1024);
        let endless = std::io::repeat(filler).take(MAX_FILE - 1024);
        let mut counted = Counted(head.as_bytes().chain(endless), &mut read);
        let text = Text::open(&mut counted, enough).unwrap();
        let mut nobody = |_| ControlFlow::Continue(());
        let summary = Reading::new("", u64::MAX, &mut nobody)
            .run(text, FileKind::Csv, &Columns::default())
            .unwrap();
        assert_eq!((summary.people, summary.complete), (1, false), "{what}");
        assert!(read <= enough + enough / 2, "{what}: {read}");
    }
}

struct Counted<'a, R>(R, &'a mut u64);

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let len = self.0.read(buffer)?;
        *self.1 += len as u64;
        Ok(len)
    }
}

#[test]
fn a_file_that_breaks_off_is_a_problem_and_no_short_list() {
    struct Failing(usize);
    impl Read for Failing {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            if self.0 == 0 {
                return Err(std::io::Error::other("the disk is gone"));
            }
            self.0 -= 1;
            let bytes = b"id:1\nid:2\n";
            let len = bytes.len().min(buffer.len());
            buffer[..len].copy_from_slice(&bytes[..len]);
            Ok(len)
        }
    }
    let problem = check(
        Failing(20_000),
        FileKind::Txt,
        &Columns::default(),
        u64::MAX,
    )
    .unwrap_err();
    assert_eq!(
        problem.to_string(),
        "the file cannot be read: the disk is gone"
    );
}

#[test]
fn a_source_that_gives_one_byte_at_a_time_reads_the_same() {
    struct Slow<'a>(&'a [u8]);
    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let Some((first, rest)) = self.0.split_first() else {
                return Ok(0);
            };
            buffer[0] = *first;
            self.0 = rest;
            Ok(1)
        }
    }
    let text = "username,имя\r\nalice,\"Анна\r\n\"\"М\"\"\"\r\nbobby,Б\r\n";
    let slow = check(
        Slow(text.as_bytes()),
        FileKind::Csv,
        &Columns::default(),
        u64::MAX,
    )
    .unwrap();
    assert_eq!((slow.people, slow.bad_count), (2, 0));
}

use super::*;

fn rows(
    path: &str,
    text: impl AsRef<[u8]>,
    columns: &[(Column, &str)],
) -> (Vec<String>, Result<Summary, BadFile>) {
    let columns = columns
        .iter()
        .map(|(column, name)| (*column, (*name).to_owned()))
        .collect();
    let mut rows = Vec::new();
    let summary = read(path, text.as_ref(), &columns, &mut |row| {
        let names: Vec<String> = row.references.iter().map(ToString::to_string).collect();
        let fields: Vec<String> = row
            .contact
            .fields
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        rows.push(
            format!(
                "{} {} {} {}",
                row.line,
                names.join("+"),
                row.contact.first_name.unwrap_or_default(),
                fields.join(",")
            )
            .trim()
            .to_owned(),
        );
    });
    (rows, summary)
}

#[test]
fn a_csv_file_is_read_with_either_delimiter_any_order_and_any_case() {
    for (what, text) in [
        ("commas", "username,First_Name,city\n@alice,Anna,Kazan\n"),
        (
            "semicolons",
            "CITY;USERNAME;first_name\nKazan;alice;Anna\n"
                .replace("CITY", "city")
                .as_str(),
        ),
        (
            "CRLF, quotes, blanks",
            "\"username\",\"First_name \",city\r\n alice ,\"Anna\",Kazan\r\n\r\n",
        ),
    ] {
        let (rows, summary) = rows("a.csv", text, &[]);
        assert_eq!(rows, ["2 @alice Anna city=Kazan"], "{what}");
        let summary = summary.unwrap();
        assert_eq!(
            (summary.rows, summary.bad_count, summary.fields),
            (1, 0, vec!["city".to_owned()]),
            "{what}"
        );
    }
}

#[test]
fn a_row_may_name_its_person_in_three_ways_and_span_lines() {
    let (rows, _) = rows(
        "a.csv",
        "phone,id,username,note\n+1 555 0100,7,bobby,\"two\nlines\"\n,8,,\n",
        &[],
    );
    assert_eq!(rows, ["2 id:7+@bobby++15550100  note=two\nlines", "4 id:8"]);
}

#[test]
fn columns_are_mapped_by_their_headers() {
    let text = "Имя;Телефон;phone\nАнна;+79161234567;mobile\n";
    let (rows, summary) = rows(
        "a.csv",
        text,
        &[(Column::Phone, "Телефон"), (Column::FirstName, "имя")],
    );
    assert_eq!(rows, ["2 +79161234567 Анна phone=mobile"]);
    assert_eq!(summary.unwrap().fields, ["phone"]);
}

#[test]
fn every_promised_encoding_is_read() {
    let text = "username,имя\nalice,Анна\n";
    let utf16 = |big: bool, bom: bool| -> Vec<u8> {
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
    };
    let cases: [(&str, Vec<u8>); 6] = [
        ("UTF-8", text.into()),
        ("UTF-8 with BOM", format!("\u{feff}{text}").into()),
        ("UTF-16LE with BOM", utf16(false, true)),
        ("UTF-16BE with BOM", utf16(true, true)),
        ("UTF-16LE", utf16(false, false)),
        (
            "cp1251",
            encoding_rs::WINDOWS_1251.encode(text).0.into_owned(),
        ),
    ];
    for (what, bytes) in cases {
        assert_eq!(
            rows("a.csv", bytes, &[]).0,
            ["2 @alice  имя=Анна"],
            "{what}"
        );
    }
    let (_, summary) = rows("a.csv", b"PK\x03\x04\x00\x01\x02abcdefghijklmnopq", &[]);
    assert_eq!(summary.unwrap_err().code, codes::INVALID_ENCODING);
}

#[test]
fn a_bad_row_is_left_out_with_its_line_and_the_others_stay() {
    let text = "username,phone,id\nalice,,\n,15550100,\n,,0\n@ab,,\n,,\nx,y,z,too,many\n,,9\n";
    let (rows, summary) = rows("a.csv", text, &[]);
    assert_eq!(rows, ["2 @alice", "8 id:9"]);
    let summary = summary.unwrap();
    let lines: Vec<u64> = summary.bad_rows.iter().map(|row| row.line).collect();
    assert_eq!(lines, [3, 4, 5, 7]);
    assert!(
        summary.bad_rows[0].why.contains("begins with a plus"),
        "{}",
        summary.bad_rows[0].why
    );
}

#[test]
fn a_header_that_names_nobody_is_refused() {
    for (what, text, columns, needle) in [
        (
            "no naming column",
            "first_name,city\nA,B\n",
            &[][..],
            "no column `id`",
        ),
        (
            "a doubled column",
            "username,username\na,b\n",
            &[][..],
            "twice",
        ),
        (
            "a mapped column that is not there",
            "Phone number\n+1\n",
            &[(Column::Phone, "Phone numbr")][..],
            "no column",
        ),
        ("an empty file", "", &[][..], "empty"),
        (
            "one column mapped twice",
            "x\n1\n",
            &[(Column::Id, "x"), (Column::Phone, "x")][..],
            "named twice",
        ),
    ] {
        let (_, summary) = rows("a.csv", text, columns);
        let bad = summary.unwrap_err();
        assert!(bad.summary.contains(needle), "{what}: {}", bad.summary);
    }
    let (_, summary) = rows(
        "a.csv",
        "Phone number\n+1\n",
        &[(Column::Phone, "Phone numbr")],
    );
    assert_eq!(
        summary.unwrap_err().suggestion.as_deref(),
        Some("Phone number")
    );
}

#[test]
fn a_txt_file_has_a_peer_a_line() {
    let text = "# friends\n@alice\n\nhttps://t.me/bobby\n+1 555 0100\nid:7\n15550100\nhttps://t.me/+AbCdEfGhIj\n";
    let (rows, summary) = rows("a.txt", text, &[]);
    assert_eq!(rows, ["2 @alice", "4 @bobby", "5 +15550100", "6 id:7"]);
    let lines: Vec<u64> = summary
        .unwrap()
        .bad_rows
        .iter()
        .map(|row| row.line)
        .collect();
    assert_eq!(lines, [7, 8]);
}

#[test]
fn a_header_is_read_without_its_rows() {
    let text = "username,\"a\nb\",city\nalice,1,Kazan\n";
    assert_eq!(
        header_fields("a.csv", text.as_bytes(), &BTreeMap::new()).unwrap(),
        ["a\nb", "city"]
    );
}

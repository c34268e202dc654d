//! Properties that hold for any file.

use proptest::prelude::*;

use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000), txt: bool) {
        let path = if txt { "a.txt" } else { "a.csv" };
        if let (found, Ok(summary)) = people(path, &bytes, &[(Field::Phone, "x")]) {
            prop_assert!(found.len() as u64 + summary.bad_count <= summary.rows);
        }
    }

    #[test]
    fn random_tables_never_panic_and_every_row_is_somebody_or_bad(
        rows in prop::collection::vec("[a-z@+0-9\",;\r\n #й\u{feff}]{0,40}", 0..30),
        header in prop::sample::select(vec!["username,phone,note", "id;город", "phone\tx", "\"username\""]),
    ) {
        let text = format!("{header}\n{}", rows.join("\n"));
        let (found, summary) = people("a.csv", &text, &[]);
        let summary = summary.unwrap();
        prop_assert_eq!(found.len() as u64, summary.people);
        prop_assert!(summary.people + summary.bad_count <= summary.rows);
        prop_assert!(summary.complete);
    }

    #[test]
    fn what_is_written_by_the_csv_crate_is_read_back(
        notes in prop::collection::vec("[a-zа-я\",; \r\n]{0,30}", 1..20),
        delimiter in prop::sample::select(vec![b',', b';', b'\t']),
    ) {
        let mut writer = csv::WriterBuilder::new().delimiter(delimiter).from_writer(Vec::new());
        writer.write_record(["id", "note", "end"]).unwrap();
        for (id, note) in (1..).zip(&notes) {
            writer.write_record([id.to_string().as_str(), note, "z"]).unwrap();
        }
        let mut found = Vec::new();
        let summary = read(&writer.into_inner().unwrap()[..], FileKind::Csv, &Columns::default(), "o", &mut |page| {
            found.extend(page.into_iter().map(|(_, mut p)| p.contact.fields.remove("note").unwrap_or_default()));
            ControlFlow::Continue(())
        });
        prop_assert_eq!(summary.unwrap().bad, vec![]);
        let expected: Vec<&str> = notes.iter().map(|note| note.trim()).collect();
        prop_assert_eq!(found, expected);
    }
}

//! Pages that are generated from the code are the ones that the code generates.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

/// Set to write the page anew instead of comparing it.
const WRITE: &str = "TIDINGS_WRITE_DOCS";

#[test]
fn docs_reasons_md_is_what_the_closed_lists_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reasons.md");
    let wanted = tidings::status::reasons_markdown();
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap();
    assert!(
        found == wanted,
        "docs/reasons.md is out of date: run `{WRITE}=1 cargo test --test docs`"
    );
}

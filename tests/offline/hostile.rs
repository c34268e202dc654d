//! A few inputs for each of the fuzz targets, made of pieces that mean something. `PROPTEST_CASES` asks for more.

use proptest::prelude::*;

#[path = "../../fuzz/entries.rs"]
mod entries;

/// Texts of pieces.
fn soup(pieces: &'static [&'static str], most: usize) -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        9 => prop::sample::select(pieces).prop_map(str::to_owned),
        1 => ".{0,6}",
    ];
    prop::collection::vec(piece, 0..most).prop_map(|pieces| pieces.concat())
}

const YAML: &[&str] = &[
    "version: 1\n",
    "name: a\n",
    "kind: mailing\n",
    "kind: invite\n",
    "kind: warmup\n",
    "consent: ",
    "{basis: members}\n",
    "accounts: [a, b]\n",
    "sources:\n",
    "  - {type: members, peer: '@g'}\n",
    "  - {type: file, path: p.csv}\n",
    "sources: [{type: list, peers: ['@a', +1555, {id: 7}]}]\n",
    "templates: [{name: t, text: 'Hi {{ contact.",
    "first_name",
    " }}'}]\n",
    "templates: [{name: t, file: t.j2}]\n",
    "filters: {where: ",
    "contact.fields.x",
    "}\n",
    "delays: {between_messages: ",
    "30s..90s",
    "5s",
    "schedule: {timezone: ",
    "Europe/Berlin",
    ", cron: '0 10 * * mon'",
    ", windows: ['",
    "mon-fri 10:00-19:00",
    "']",
    "}\n",
    "&a ",
    "*a",
    "<<: ",
    "- ",
    "|\n  ",
    ">-\n",
    "!!binary ",
    "? ",
    ": ",
    "[",
    "]",
    "{",
    "}",
    "'",
    "\"",
    "#",
    "\n",
    "  ",
    "\t",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "x-",
    "ai_role: {prompt: hi, mode: auto}\n",
    "limits: {min_delay: 0s}\n",
    "\u{feff}",
    "é",
    "${TG_API_ID}",
    "$$",
    "follow_ups: [{after: 3d, templates: []}]\n",
    "1e999",
    "0x7f",
    ".inf",
    "~",
    "null",
    "-0",
];
const TEMPLATE: &[&str] = &[
    "{{ ",
    " }}",
    "{% ",
    " %}",
    "{# ",
    " #}",
    "contact",
    ".first_name",
    ".fields",
    "['x']",
    ".id",
    "campaign.name",
    "now",
    "step",
    "for x in ",
    "range(",
    "9999999",
    ")",
    "endfor",
    "if ",
    "else",
    "endif",
    "set x = ",
    " | default('a')",
    " | upper",
    " | join(',')",
    " | length",
    " | replace('a', 'aaaaaaaaaa')",
    " * 1000000",
    " ~ ",
    "'",
    "\"",
    "loop.index",
    "macro m(a)",
    "endmacro",
    "include 'x'",
    "import 'x' as y",
    "raw",
    "endraw",
    "<b>",
    "</b>",
    "<a href=\"",
    "\">",
    "**",
    "`",
    "```",
    "[",
    "](",
    "_",
    "~~",
    "\\",
    "\n",
    " ",
    "&amp;",
    "&#x1F600;",
    "👩‍👩‍👧",
    "й",
    "\u{202e}",
    "-",
    "+",
    "==",
    " and ",
    " not ",
    "in ",
    "[1, 2][",
    "]",
    ":",
];
const CRON: &[&str] = &[
    "*",
    "/",
    ",",
    "-",
    " ",
    "0",
    "7",
    "31",
    "59",
    "mon",
    "sun",
    "feb",
    "@daily",
    "L",
    "#",
    "?",
    "10:00",
    "24:00",
    "fri-mon ",
    "2h",
    "30m",
    "..",
    "5s",
    "T",
    "Z",
    "2026-03-29",
    "02:30",
    "99999999999999999999",
    "é",
];
const CSV: &[&str] = &[
    "id",
    "username",
    "phone",
    "first_name",
    ",",
    ";",
    "\t",
    "\n",
    "\r\n",
    "\"",
    "\"\"",
    "anna",
    "@anna",
    "+15550100",
    "15550100",
    "id:7",
    "https://t.me/bob",
    "=1+1",
    "\u{feff}",
    "й",
    "#",
    " ",
    "-7",
    "9223372036854775808",
    "\0",
];

/// A session file that Telethon could have written, in pages of SQLite.
fn session() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.session");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let database = libsql::Builder::new_local(&path).build().await.unwrap();
        let connection = database.connect().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE version (version integer primary key); INSERT INTO version VALUES (7);\
                 CREATE TABLE sessions (dc_id integer primary key, server_address text, port integer, auth_key blob, takeout_id integer);\
                 INSERT INTO sessions VALUES (2, '149.154.167.51', 443, zeroblob(256), NULL);",
            )
            .await
            .unwrap();
    });
    std::fs::read(path).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_spec_is_read_or_refused(text in soup(YAML, 30)) {
        entries::spec(text.as_bytes());
    }

    #[test]
    fn any_template_ends(text in soup(TEMPLATE, 24)) {
        entries::template(text.as_bytes());
    }

    #[test]
    fn any_cron_is_read_or_refused(text in soup(CRON, 10)) {
        entries::cron(text.as_bytes());
    }

    #[test]
    fn any_list_is_read_or_refused(text in soup(CSV, 40)) {
        entries::people(text.as_bytes());
    }

    #[test]
    fn any_frame_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        entries::mtproto(&bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_session_of_telethon_is_read_or_refused(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        static WHOLE: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
        let mut bytes = WHOLE.get_or_init(session).clone();
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        entries::telethon(&bytes);
    }
}

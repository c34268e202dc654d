//! A few inputs for each of the fuzz targets, made of pieces that mean something. `PROPTEST_CASES` asks for more.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

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

/// So many cases, or what `PROPTEST_CASES` asks for.
fn cases(few: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok();
    ProptestConfig {
        cases: asked.and_then(|n| n.parse().ok()).unwrap_or(few),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases(64))]

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
    #![proptest_config(cases(24))]

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

/// Files of a folder whose names end so, and of those below it.
fn files(dir: &Path, ends: &[&str], into: &mut Vec<Vec<u8>>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.to_str().unwrap();
        if path.is_dir() {
            files(&path, ends, into);
        } else if ends.iter().any(|end| name.ends_with(end)) {
            into.push(std::fs::read(&path).unwrap());
        }
    }
}

/// One input made of others: bits and bytes changed, pieces put in, taken out, doubled and exchanged.
fn mutated(random: &mut StdRng, seeds: &[Vec<u8>], pieces: &[&str]) -> Vec<u8> {
    const MOST: usize = 64 << 10;
    let mut bytes = match seeds.is_empty() {
        true => Vec::new(),
        false => seeds[random.random_range(0..seeds.len())].clone(),
    };
    for _ in 0..random.random_range(1..12) {
        let at = random.random_range(0..=bytes.len());
        let some = random.random_range(0..=(bytes.len() - at).min(200));
        match random.random_range(0..8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.random_range(0..8),
            1 if at < bytes.len() => bytes[at] = random.random(),
            2 => bytes.drain(at..at + some).for_each(drop),
            3 => {
                let doubled = bytes[at..at + some].to_vec();
                for _ in 0..random.random_range(1..4) {
                    bytes.splice(at..at, doubled.iter().copied());
                }
            }
            4 if !seeds.is_empty() => {
                let other = &seeds[random.random_range(0..seeds.len())];
                let from = random.random_range(0..=other.len());
                let to = (from + random.random_range(0..300)).min(other.len());
                bytes.splice(at..at + some, other[from..to].iter().copied());
            }
            5 => bytes
                .splice(at..at, (0..random.random_range(1..9)).map(|_| 0xff))
                .for_each(drop),
            _ if !pieces.is_empty() => {
                let piece = pieces[random.random_range(0..pieces.len())];
                bytes.splice(at..at, piece.bytes()).for_each(drop);
            }
            _ => bytes.truncate(at),
        }
    }
    bytes.truncate(MOST);
    bytes
}

/// What the fuzz targets do, for whoever has no nightly compiler: `TIDINGS_FUZZ_SECONDS` for each of them,
/// `TIDINGS_SEED` for other inputs, `TIDINGS_FUZZ` for one of them alone.
#[test]
#[ignore = "takes as long as it is asked to"]
fn inputs_that_are_mutated_for_a_while_end_and_panic_nowhere() {
    let number = |name: &str, otherwise: u64| {
        let said = std::env::var(name).ok();
        said.map_or(otherwise, |text| text.parse().unwrap())
    };
    let (seconds, seed) = (number("TIDINGS_FUZZ_SECONDS", 5), number("TIDINGS_SEED", 1));
    let only = std::env::var("TIDINGS_FUZZ").ok();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let of = |ends: &[&str]| {
        let mut found = Vec::new();
        for folder in ["campaigns", "examples", "tests"] {
            files(&root.join(folder), ends, &mut found);
        }
        found
    };
    let mut specs = of(&[".yaml", ".yml"]);
    specs.push(std::fs::read(root.join("tidings.yaml")).unwrap());
    let whole = |pieces: &[&str]| pieces.iter().map(|p| p.as_bytes().to_vec()).collect();
    /// A name, what reads the input, whole examples, and pieces to mix in.
    type Target = (
        &'static str,
        fn(&[u8]),
        Vec<Vec<u8>>,
        &'static [&'static str],
    );
    let targets: [Target; 6] = [
        ("spec", entries::spec, specs, YAML),
        ("template", entries::template, of(&[".j2", ".md"]), TEMPLATE),
        ("people", entries::people, of(&[".csv", ".txt"]), CSV),
        ("cron", entries::cron, whole(CRON), CRON),
        ("telethon", entries::telethon, vec![session()], &[]),
        (
            "mtproto",
            entries::mtproto,
            vec![vec![0; 64], vec![0xef; 300]],
            &[],
        ),
    ];
    for (name, entry, seeds, pieces) in targets {
        if only.as_deref().is_some_and(|only| only != name) {
            continue;
        }
        let mut random = StdRng::seed_from_u64(seed);
        let began = Instant::now();
        let (mut inputs, mut slowest) = (0u64, Duration::ZERO);
        while began.elapsed() < Duration::from_secs(seconds) {
            let input = mutated(&mut random, &seeds, pieces);
            let since = Instant::now();
            let ended = catch_unwind(AssertUnwindSafe(|| entry(&input)));
            slowest = slowest.max(since.elapsed());
            inputs += 1;
            if ended.is_err() || since.elapsed() > Duration::from_secs(60) {
                let kept = std::env::temp_dir().join(format!("tidings-{name}-{seed}-{inputs}"));
                std::fs::write(&kept, &input).unwrap();
                panic!(
                    "{name}: {} breaks it, or takes over a minute",
                    kept.display()
                );
            }
        }
        println!(
            "{name}: {inputs} inputs, {:.0} a second, the slowest took {slowest:?}",
            inputs as f64 / began.elapsed().as_secs_f64()
        );
    }
}

//! What takes bytes from outside, and what must hold whatever they are: no panic, no endless loop, no blown memory.
//!
//! `cargo +nightly fuzz run TARGET` plays with each; `tests/offline/hostile.rs` plays a few in the suite.

use std::ops::ControlFlow;

use tidings::model::{Contact, Timestamp};
use tidings::people::file::{self, Columns, FileKind};
use tidings::spec::files::MemoryFiles;
use tidings::spec::load::Parsed;
use tidings::spec::{CheckContext, EngineSpec, load_campaign, load_engine, peek};
use tidings::text::{
    AccountFacts, CampaignFacts, Context, Expression, Format, Names, Template, compose,
};
use tidings::time::{Cron, Windows, Zone};

/// A campaign's spec, and the same bytes as `tidings.yaml`.
pub fn spec(bytes: &[u8]) {
    let mut files = MemoryFiles::new();
    files.put("campaigns/a.yaml", bytes);
    files.put("campaigns/t.j2", "Hi {{ contact.first_name }}");
    files.put("campaigns/p.csv", "username;city\nanna;Kazan\n");
    let cx = |file: &'static str, engine| CheckContext {
        file,
        files: &files,
        engine,
        campaigns: None,
        sessions: None,
    };
    let env = |name: &str| (name == "TG_API_ID").then(|| "1".to_owned());
    let engine = EngineSpec::default();
    let settings = load_engine(bytes, &env, &cx("tidings.yaml", &engine));
    let parsed = Parsed::new(bytes);
    let _ = peek(&parsed);
    let engine = settings.value.unwrap_or_default();
    let loaded = load_campaign(parsed, &cx("campaigns/a.yaml", &engine));
    for diagnostic in settings.diagnostics.iter().chain(&loaded.diagnostics) {
        assert!(!diagnostic.to_string().is_empty());
    }
    assert!(loaded.valid || loaded.diagnostics.iter().any(|d| d.is_error()));
}

/// A template and a `where`, rendered for somebody.
pub fn template(bytes: &[u8]) {
    let Ok(source) = std::str::from_utf8(bytes) else {
        return;
    };
    let names = Names::default();
    let contact = Contact {
        id: Some(7),
        first_name: Some("Анна <b>".to_owned()),
        ..Contact::default()
    };
    let campaign = CampaignFacts::default();
    let account = AccountFacts {
        name: "sales-1",
        first_name: None,
        username: None,
    };
    let context = Context {
        contact: &contact,
        campaign: &campaign,
        account: Some(account),
        now: Timestamp(1_790_000_000_000),
        zone: Zone::UTC,
        step: 0,
        invite_link: None,
    };
    for format in [Format::Plain, Format::Markdown, Format::Html] {
        if let Ok(template) = Template::compile(source, format, &names) {
            if let Ok(message) = compose(&template, None, false, &context) {
                assert!(message.text.encode_utf16().count() <= 4096);
            }
            let _ = template.static_problem(true);
        }
    }
    if let Ok(expression) = Expression::compile(source, &names) {
        let _ = expression.holds(&context);
    }
}

/// A list of people: CSV and TXT.
pub fn people(bytes: &[u8]) {
    for kind in [FileKind::Csv, FileKind::Txt] {
        let columns = Columns::default();
        let mut found = 0;
        let read = file::read(bytes, kind, &columns, "a file", &mut |page| {
            found += page.len() as u64;
            ControlFlow::Continue(())
        });
        if let Ok(summary) = read {
            assert!(found + summary.bad_count <= summary.rows);
        }
        let _ = file::check(bytes, kind, &columns, 100);
    }
}

/// A cron, a window, and when they are next.
pub fn cron(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let now = Timestamp(1_790_000_000_000);
    let zone = Zone::parse("Europe/Berlin").unwrap_or(Zone::UTC);
    if let Ok(cron) = Cron::parse(text)
        && let Some(next) = cron.next_after(now, zone)
    {
        assert!(next > now);
        assert!(
            cron.previous_or_at(next, zone)
                .is_some_and(|before| before <= next)
        );
    }
    if let Ok(windows) = Windows::parse(&[text])
        && let Some(open) = windows.next_open(now, zone)
    {
        assert!(open >= now && windows.open_at(open, zone));
    }
    let _ = tidings::time::parse_wall_clock(text, zone);
    let _ = text.parse::<tidings::spec::Duration>();
}

/// A session file of Telethon's.
pub fn telethon(bytes: &[u8]) {
    let (Ok(dir), Ok(runtime)) = (
        tempfile::tempdir(),
        tokio::runtime::Builder::new_current_thread().build(),
    ) else {
        return;
    };
    let (from, to) = (dir.path().join("a.session"), dir.path().join("b.session"));
    if std::fs::write(&from, bytes).is_err() {
        return;
    }
    let vault = tidings::telegram::Vault::new(dir.path().to_owned(), None, None);
    let done = runtime.block_on(tidings::accounts::import(&from, &to, &vault));
    assert_eq!(done.is_ok(), to.exists(), "half of a session was made");
    assert!(std::fs::read(&from).is_ok_and(|after| after == bytes));
}

/// Frames for the loopback Telegram.
pub fn mtproto(bytes: &[u8]) {
    tidings::sandbox::read_frames(bytes);
}

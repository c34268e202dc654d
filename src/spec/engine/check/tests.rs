use crate::spec::files::MemoryFiles;
use crate::spec::{CheckContext, EngineSpec, load_engine};

/// The codes of what is found, each with its place, in the file's order.
fn found(text: &str) -> Vec<String> {
    let files = MemoryFiles::new();
    let none = EngineSpec::default();
    let sessions = ["sales-1".to_owned()];
    let cx = CheckContext {
        file: "tidings.yaml",
        files: &files,
        engine: &none,
        campaigns: None,
        sessions: Some(&sessions),
    };
    let env = |name: &str| match name {
        "TG_API_ID" => Some("12345".to_owned()),
        "WRONG" => Some("s3cret!".to_owned()),
        _ => None,
    };
    let loaded = load_engine(text.as_bytes(), &env, &cx);
    for d in &loaded.diagnostics {
        let all = format!("{d:?}");
        assert!(
            !all.contains("s3cret"),
            "a value of the environment is shown: {all}"
        );
    }
    loaded
        .diagnostics
        .iter()
        .map(|d| {
            let range = d.range.expect("a place");
            let line = text.lines().nth(range.start.line - 1).unwrap_or_default();
            let marked: String = line
                .chars()
                .skip(range.start.column - 1)
                .take(range.end.column.saturating_sub(range.start.column))
                .collect();
            format!(
                "{}{}: {marked}",
                if d.is_error() { "" } else { "warning " },
                d.code
            )
        })
        .collect()
}

#[test]
fn the_contracts_own_example_is_valid() {
    let text = r#"
version: 1
telegram: {api_id: "${TG_API_ID}", api_hash: "${TG_API_HASH}"}
ai: {base_url: "https://api.openai.com/v1", api_key: "${OPENAI_API_KEY}", timeout: 60s}
limits:
  min_delay: 10s
  max_per_day: 60
  max_audience: 100000
  approve_over: 500
  attested_per_day: 20
  per_person: {gap: 3d, per_month: 4}
  only_to: ["@qa_anna"]
defaults: {delays: {between_messages: 30s..90s, per_account: {per_day: 40}}}
accounts:
  sales-1: {labels: {team: sales}, per_day: 40, timezone: Europe/Moscow, proxy: "socks5://127.0.0.1:1080", ai_role: {prompt: "…"}}
plans:
  default: {max_audience: 5000}
  trial: {max_audience: 5000, max_running: 1, cooldown: 1h}
  paid: {max_audience: 100000, max_running: 5}
owners:
  growth: {plan: paid, accounts: {labels: {team: sales}}, paths: ["campaigns/growth/**"]}
opt_out:
  keywords: [stop, unsubscribe, стоп, отписка, отпишите меня]
  reply: "You won't hear from us again."
  notice: "Reply 'stop' to hear no more."
notify:
  - {on: [handoff, draft, paused, stalled, account, finished], webhook: "https://example.com/hook"}
  - {on: [handoff], telegram: "@ops", via: sales-1}
test_recipients: ["@me"]
on_invalid: hold
web: {listen: 127.0.0.1:7878}
retention: {events: 365d, conversations: 90d, audiences: 180d}
"#;
    assert_eq!(found(text), Vec::<String>::new());
}

#[test]
fn settings_are_checked() {
    let mut failures = String::new();
    for (label, text, expected) in [
        ("comments alone", "# nothing yet\n", &[][..]),
        ("no approval ever", "limits: {approve_over: null}", &[]),
        ("no pause", "limits: {min_delay: 0s}", &[]),
        (
            "an unset webhook tells nobody",
            "notify: [{on: [stalled], webhook: \"${HOOK_URL}\"}]",
            &["warning notify-target: {on: [stalled], webhook: \"${HOOK_URL}\"}"],
        ),
        (
            "an unknown key",
            "limit: {max_per_day: 5}",
            &["unknown-key: limit"],
        ),
        ("a later version", "version: 2", &["unknown-value: 2"]),
        (
            "an api_id that is none",
            "telegram: {api_id: \"${WRONG}\"}",
            &["bad-value: \"${WRONG}\""],
        ),
        (
            "an address that is none",
            "ai: {base_url: api.openai.com}",
            &["bad-url: api.openai.com"],
        ),
        (
            "two keys",
            "ai: {api_key: a, api_key_file: b}",
            &["ai-key-twice: api_key_file"],
        ),
        ("no patience", "ai: {timeout: 1ms}", &["out-of-range: 1ms"]),
        (
            "no messages",
            "limits: {max_per_day: 0}",
            &["out-of-range: 0"],
        ),
        (
            "a pause of a month",
            "limits: {min_delay: 30d}",
            &["out-of-range: 30d"],
        ),
        (
            "a bare number",
            "limits: {only_to: [15550100]}",
            &["wrong-type: 15550100"],
        ),
        (
            "a place as a person",
            "limits: {only_to: [\"t.me/+AbCdEfGhIj\"]}",
            &["not-a-person: \"t.me/+AbCdEfGhIj\""],
        ),
        (
            "an account without a session",
            "accounts: {sales-2: {per_day: 5}}",
            &["warning no-session: sales-2"],
        ),
        (
            "an account that no file can have",
            "accounts: {\"../x\": {}}",
            &["invalid-name: \"../x\""],
        ),
        (
            "an unknown zone",
            "accounts: {sales-1: {timezone: Moscow}}",
            &["bad-timezone: Moscow"],
        ),
        (
            "another kind of proxy",
            "accounts: {sales-1: {proxy: \"http://127.0.0.1:1080\"}}",
            &["bad-proxy: \"http://127.0.0.1:1080\""],
        ),
        (
            "a role that says nothing",
            "accounts: {sales-1: {ai_role: {mode: auto}}}",
            &["text-or-file: {mode: auto}"],
        ),
        (
            "an unknown plan",
            "plans: {paid: {}}\nowners: {growth: {plan: pad}}",
            &["unknown-plan: pad"],
        ),
        (
            "a pattern for nothing",
            "owners: {growth: {paths: [growth/**]}}",
            &["bad-pattern: growth/**"],
        ),
        (
            "an owner of no account",
            "owners: {growth: {accounts: {labels: {a: b}}}}",
            &["warning no-matching-account: {labels: {a: b}}"],
        ),
        (
            "a keyword of nothing",
            "opt_out: {keywords: [\"!\"]}",
            &["empty-text: \"!\""],
        ),
        (
            "no keywords",
            "opt_out: {keywords: []}",
            &["out-of-range: []"],
        ),
        (
            "an empty reply",
            "opt_out: {reply: \"\"}",
            &["empty-text: \"\""],
        ),
        (
            "a misspelt variable",
            "opt_out: {notice: \"Hi {{ contct }}\"}",
            &["unknown-variable: contct"],
        ),
        (
            "nobody to tell",
            "notify: [{on: [stalled], telegram: \"@ops\"}]",
            &["notify-target: \"@ops\""],
        ),
        (
            "two ways",
            "notify: [{on: [stalled], telegram: \"@ops\", via: sales-1, webhook: \"https://x.y\"}]",
            &["notify-target: telegram"],
        ),
        (
            "an unknown event",
            "notify: [{on: [stall], webhook: \"https://x.y\"}]",
            &["unknown-value: stall"],
        ),
        (
            "open to all",
            "web: {listen: 0.0.0.0:7878}",
            &["public-without-token: 0.0.0.0:7878"],
        ),
        (
            "open to all with a token",
            "web: {listen: 0.0.0.0:7878, token: 0123456789abcdef}",
            &[],
        ),
        (
            "open to all with a token that is guessed",
            "web: {listen: 0.0.0.0:7878, token: 0123456789abcde}",
            &["warning short-token: 0.0.0.0:7878"],
        ),
        (
            "a short token for this machine alone",
            "web: {listen: 127.0.0.1:7878, token: abc}",
            &[],
        ),
        (
            "no port",
            "web: {listen: 127.0.0.1}",
            &["bad-value: 127.0.0.1"],
        ),
        (
            "nothing is kept",
            "retention: {events: 0s}",
            &["out-of-range: 0s"],
        ),
        (
            "a default that is turned round",
            "defaults: {delays: {between_messages: 9m..1m}}",
            &["bad-value: 9m..1m"],
        ),
    ] {
        let found = found(text);
        if found != expected {
            failures.push_str(&format!(
                "\n{label}:\n  expected {expected:?}\n  found    {found:?}"
            ));
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

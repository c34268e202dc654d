//! The report as Prometheus reads it (text format 0.0.4,
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>).
//!
//! # Guarantees
//! - Names and labels are those of CONTRACT section 5; nothing is labelled by person.
//! - `tidings_messages_total` comes from the journal: it goes on where it was after a restart, and never goes down.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::model::{AccountState, Outcome, Timestamp, Waiting};
use crate::status::{StatusReport, Sync, Truth};

/// What is known without a report.
#[derive(Debug, Clone, Copy)]
pub struct Vitals {
    /// When the engine's loop last went round.
    pub heartbeat_at: Timestamp,
    /// Whether the last look at the workspace found everything valid.
    pub reload_successful: bool,
}

/// The text of a scrape. Without a report only the vitals are there.
pub fn render(report: Option<&StatusReport>, vitals: &Vitals) -> String {
    let mut out = String::new();
    head(
        &mut out,
        "tidings_heartbeat_timestamp_seconds",
        "gauge",
        "When the engine's loop last went round, in seconds since 1970.",
    );
    let millis = vitals.heartbeat_at.0.max(0);
    let _ = writeln!(
        out,
        "tidings_heartbeat_timestamp_seconds {}.{:03}",
        millis / 1000,
        millis % 1000
    );
    head(
        &mut out,
        "tidings_config_last_reload_successful",
        "gauge",
        "1 where the last look at the workspace found all of it valid; 0 where tidings.yaml, the folder or any spec is not (as /-/reload answers): what is valid goes on, and tidings_campaign_condition{type=\"SpecValid\"} names the campaigns that are held.",
    );
    let _ = writeln!(
        out,
        "tidings_config_last_reload_successful {}",
        u8::from(vitals.reload_successful)
    );
    if let Some(report) = report {
        messages(&mut out, report);
        pending(&mut out, report);
        accounts(&mut out, report);
        conditions(&mut out, report);
    }
    out
}

fn messages(out: &mut String, report: &StatusReport) {
    const NAME: &str = "tidings_messages_total";
    head(
        out,
        NAME,
        "counter",
        "What became of the messages of a campaign, all steps and runs; no account where none had it in hand.",
    );
    let mut counts: BTreeMap<(&str, &str, Outcome), u64> = BTreeMap::new();
    for campaign in &report.campaigns {
        // From zero, so that the first message is seen as a rise.
        for account in &campaign.accounts {
            counts.insert((&campaign.name, account, Outcome::Sent), 0);
        }
        for message in &campaign.messages {
            let account = message.account.as_deref().unwrap_or_default();
            *counts
                .entry((&campaign.name, account, message.outcome))
                .or_default() += message.count;
        }
    }
    for ((campaign, account, outcome), count) in counts {
        let labels = [
            ("campaign", campaign),
            ("account", account),
            ("outcome", outcome.name()),
        ];
        sample(out, NAME, &labels, count);
    }
}

fn pending(out: &mut String, report: &StatusReport) {
    const NAME: &str = "tidings_pending";
    head(
        out,
        NAME,
        "gauge",
        "People who wait for their first message, by what they wait for.",
    );
    let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for campaign in &report.campaigns {
        if campaign.sync != Sync::Retired {
            for reason in Waiting::ALL {
                counts.insert((&campaign.name, reason.name()), 0);
            }
        }
        for wait in &campaign.waiting {
            *counts
                .entry((&campaign.name, wait.reason.name()))
                .or_default() += wait.count;
        }
    }
    for ((campaign, reason), count) in counts {
        sample(
            out,
            NAME,
            &[("campaign", campaign), ("reason", reason)],
            count,
        );
    }
}

fn accounts(out: &mut String, report: &StatusReport) {
    const NAME: &str = "tidings_account_state";
    head(
        out,
        NAME,
        "gauge",
        "1 for the state that an account is in, 0 for the others.",
    );
    for account in &report.accounts {
        for state in AccountState::ALL {
            let labels = [("account", account.name.as_str()), ("state", state.name())];
            sample(out, NAME, &labels, u64::from(account.state == *state));
        }
    }
}

fn conditions(out: &mut String, report: &StatusReport) {
    const NAME: &str = "tidings_campaign_condition";
    head(
        out,
        NAME,
        "gauge",
        "1 for the status that a campaign's condition has, 0 for the others.",
    );
    let mut seen: BTreeMap<[&str; 3], u64> = BTreeMap::new();
    for campaign in &report.campaigns {
        for condition in &campaign.conditions {
            for status in [Truth::True, Truth::False, Truth::Unknown] {
                let labels = [&campaign.name, condition.kind.name(), status.name()];
                *seen.entry(labels).or_default() |= u64::from(condition.status == status);
            }
        }
    }
    for ([campaign, kind, status], value) in seen {
        let labels = [("campaign", campaign), ("type", kind), ("status", status)];
        sample(out, NAME, &labels, value);
    }
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let help = help.replace('\\', "\\\\").replace('\n', "\\n");
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn sample(out: &mut String, name: &str, labels: &[(&str, &str)], value: u64) {
    let _ = write!(out, "{name}{{");
    for (at, (label, text)) in labels.iter().enumerate() {
        let comma = if at > 0 { "," } else { "" };
        let _ = write!(out, "{comma}{label}=\"{}\"", escaped(text));
    }
    let _ = writeln!(out, "}} {value}");
}

/// A label's value: backslash, quote and line break are escaped, and nothing else is.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_values_cannot_break_out_of_their_quotes() {
        let mut out = String::new();
        sample(
            &mut out,
            "x",
            &[("account", "a\"} 1\nevil{b=\"\\"), ("state", "продажи 🚀")],
            7,
        );
        assert_eq!(
            out,
            "x{account=\"a\\\"} 1\\nevil{b=\\\"\\\\\",state=\"продажи 🚀\"} 7\n"
        );
    }

    #[test]
    fn without_a_report_the_heartbeat_is_there() {
        let vitals = Vitals {
            heartbeat_at: Timestamp(1_700_000_000_007),
            reload_successful: false,
        };
        let text = render(None, &vitals);
        assert!(text.contains("\ntidings_heartbeat_timestamp_seconds 1700000000.007\n"));
        assert!(text.contains("\ntidings_config_last_reload_successful 0\n"));
        assert!(!text.contains("tidings_messages_total"));
    }
}

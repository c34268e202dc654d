//! The files of a scenario's workspace, as text.

use std::fmt::Write as _;

use super::scenario::{Campaign, Kind, Limits, Scenario, Source, Window};

/// The picture that messages go with, beside the specs.
pub const PICTURE: &str = "banner.png";

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

fn clock(minutes: u32) -> String {
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

fn window(window: &Window) -> String {
    let (first, last) = window.days;
    let to = if window.time.1 == 0 {
        1440
    } else {
        window.time.1
    };
    format!(
        "'{}-{} {}-{}'",
        DAYS[first as usize],
        DAYS[last as usize],
        clock(window.time.0),
        clock(to)
    )
}

pub fn username(person: u64) -> String {
    format!("person{person}")
}

pub fn account_name(number: usize) -> String {
    format!("a{number}")
}

/// The spec of a campaign.
pub fn campaign(it: &Campaign, scenario: &Scenario) -> String {
    let mut out = String::new();
    let kind = match it.kind {
        Kind::Mailing => "mailing",
        Kind::InviteLink | Kind::InviteAdd => "invite",
        Kind::Warmup => "warmup",
        Kind::Collect => "collect",
    };
    let accounts: Vec<String> = it.accounts.iter().map(|n| account_name(*n)).collect();
    let _ = writeln!(
        out,
        "version: 1\nname: {}\nkind: {kind}\naccounts: [{}]",
        it.file_name(),
        accounts.join(", ")
    );
    if let Some(before) = it.renamed_from() {
        let _ = writeln!(out, "renamed_from: {before}");
    }
    if it.broken {
        let _ = writeln!(out, "colour: blue");
    }
    if it.paused {
        let _ = writeln!(out, "paused: true");
    }
    if it.kind == Kind::Warmup {
        let (start, step, hours, max) = it.ramp;
        let joins: Vec<String> = (0..it.joins).map(|n| format!("'@own{n}'")).collect();
        let _ = writeln!(
            out,
            "ramp: {{start: {start}, step: {step}, every: {hours}h, max: {max}}}\njoin: [{}]",
            joins.join(", ")
        );
    } else {
        let (basis, source) = source(it, scenario);
        let _ = writeln!(out, "consent: {{basis: {basis}}}\nsources: [{source}]");
    }
    if matches!(it.kind, Kind::InviteLink | Kind::InviteAdd) {
        let method = if it.kind == Kind::InviteAdd {
            "add"
        } else {
            "link"
        };
        let _ = writeln!(out, "target: '@target'\nmethod: {method}");
    }
    if matches!(it.kind, Kind::Mailing | Kind::InviteLink) {
        let link = if it.kind == Kind::InviteLink {
            " {{ invite_link }}"
        } else {
            ""
        };
        let text = it.text;
        let media = if it.media {
            format!(", media: {PICTURE}")
        } else {
            String::new()
        };
        let _ = writeln!(
            out,
            "templates:\n- {{name: a, weight: 2, text: 'Hi {{{{ contact.first_name }}}} v{text}{link}, or say stop'{media}}}\n- {{name: b, text: 'Hello {{{{ contact.username }}}} v{text}{link}, or say stop'}}"
        );
        if !it.follow_ups.is_empty() {
            let _ = writeln!(out, "follow_ups:");
            for step in &it.follow_ups {
                let when = if step.always { "always" } else { "no_reply" };
                let _ = writeln!(
                    out,
                    "- {{after: {}h, if: {when}, templates: [{{name: n, text: 'Again v{text}'}}]}}",
                    step.after_hours
                );
            }
        }
        if it.guarded {
            let _ = writeln!(
                out,
                "guardrails: {{after: 5, max_block_rate: 30%, max_opt_out_rate: 50%}}"
            );
        }
    }
    if it.kind != Kind::Collect {
        delays(&mut out, it);
    }
    if !matches!(it.kind, Kind::Collect | Kind::Warmup)
        && let Some(canary) = it.canary
    {
        let _ = writeln!(out, "canary: {canary}");
    }
    schedule(&mut out, it, scenario);
    out
}

fn source(it: &Campaign, scenario: &Scenario) -> (&'static str, String) {
    let own = match &it.source {
        Source::Members(place) => (
            "members",
            format!("{{type: members, peer: '@place{place}'}}"),
        ),
        Source::Contacts => ("contacts", "{type: contacts}".to_owned()),
        Source::List(first, last) => {
            let peers: Vec<String> = (*first..=*last)
                .map(|n| format!("'@{}'", username(n)))
                .collect();
            (
                "customers",
                format!("{{type: list, peers: [{}]}}", peers.join(", ")),
            )
        }
        Source::Audience(of) => match scenario
            .campaigns
            .get(*of)
            .filter(|of| of.kind == Kind::Collect)
        {
            Some(of) => (
                "members",
                format!("{{type: audience, campaign: {}}}", of.file_name()),
            ),
            None => ("members", "{type: members, peer: '@place0'}".to_owned()),
        },
    };
    match it.attested && it.kind == Kind::Mailing && !matches!(it.source, Source::Audience(_)) {
        true => ("attested", own.1),
        false => own,
    }
}

fn delays(out: &mut String, it: &Campaign) {
    let (least, most) = it.between;
    let invites = matches!(it.kind, Kind::InviteLink | Kind::InviteAdd);
    let key = if invites {
        "between_invites"
    } else {
        "between_messages"
    };
    let _ = write!(out, "delays: {{{key}: {least}s..{most}s");
    if it.kind != Kind::Warmup {
        if it.typing && it.kind != Kind::InviteAdd {
            let _ = write!(out, ", typing: 2s..6s");
        }
        let _ = write!(out, ", per_account: {{per_day: {}", it.per_day);
        for (key, value) in [("per_hour", it.per_hour), ("per_run", it.per_run)] {
            if let Some(value) = value {
                let _ = write!(out, ", {key}: {value}");
            }
        }
        let _ = write!(out, "}}");
        if let Some(most) = it.campaign_day {
            let _ = write!(out, ", per_campaign: {{per_day: {most}}}");
        }
    }
    let _ = writeln!(out, "}}");
}

fn schedule(out: &mut String, it: &Campaign, scenario: &Scenario) {
    let _ = write!(out, "schedule: {{timezone: {}", it.zone);
    for (key, hours) in [("start", it.start), ("end", it.end)] {
        if let Some(hours) = hours {
            let at = chrono::DateTime::from_timestamp_millis(
                scenario.start + hours as i64 * super::scenario::HOUR,
            )
            .unwrap();
            let _ = write!(out, ", {key}: '{}'", at.format("%Y-%m-%dT%H:%M:%SZ"));
        }
    }
    if !it.windows.is_empty() {
        let windows: Vec<String> = it.windows.iter().map(window).collect();
        let _ = write!(out, ", windows: [{}]", windows.join(", "));
    }
    if let Some(cron) = &it.cron {
        let day = cron.day.map_or("*", |day| DAYS[day as usize]);
        let _ = write!(out, ", cron: '{} {} * * {day}'", cron.minute, cron.hour);
        if it.everyone {
            let _ = write!(out, ", each_run: everyone");
        }
        if it.latest {
            let _ = write!(out, ", missed: latest");
        }
        if it.queue {
            let _ = write!(out, ", overlap: queue");
        }
    }
    if let Some(hours) = it.refresh_hours
        && it.kind != Kind::Warmup
    {
        let _ = write!(out, ", refresh: {hours}h");
    }
    let _ = writeln!(out, "}}");
}

/// `tidings.yaml`.
pub fn settings(scenario: &Scenario, limits: &Limits) -> String {
    let mut out = String::from("version: 1\ntelegram: {api_id: 1, api_hash: x}\nlimits:\n");
    let _ = writeln!(
        out,
        "  min_delay: {}s\n  attested_per_day: {}",
        limits.min_delay, limits.attested_per_day
    );
    match limits.approve_over {
        Some(most) => {
            let _ = writeln!(out, "  approve_over: {most}");
        }
        None => out.push_str("  approve_over: null\n"),
    }
    let person: Vec<String> = [
        limits.gap_hours.map(|hours| format!("gap: {hours}h")),
        limits.per_month.map(|most| format!("per_month: {most}")),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !person.is_empty() {
        let _ = writeln!(out, "  per_person: {{{}}}", person.join(", "));
    }
    let plan: Vec<String> = [
        limits
            .max_running
            .map(|most| format!("max_running: {most}")),
        limits
            .cooldown_hours
            .map(|hours| format!("cooldown: {hours}h")),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !plan.is_empty() {
        let _ = writeln!(out, "plans: {{default: {{{}}}}}", plan.join(", "));
    }
    out.push_str("accounts:\n");
    for (number, account) in scenario.accounts.iter().enumerate() {
        let _ = writeln!(
            out,
            "  {}: {{per_day: {}, timezone: {}}}",
            account_name(number),
            account.per_day,
            account.zone
        );
    }
    out
}

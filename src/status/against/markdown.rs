//! For the comment under a pull request (GitHub Flavored Markdown).
//!
//! Whatever comes from the files stands in code: a `@name` outside of it would notify a stranger, and a `|` or a tag
//! would break the page.

use std::fmt::Write as _;

use super::{
    AgainstDocument, CampaignChange, Compared, Counts, FieldChange, became, message,
    people_reached, value,
};
use crate::status::{diff, people, plain};

/// A comment may have 65,536 characters (GitHub's limit); what is longer is cut with a word about it.
const MOST: usize = 60_000;

/// The comment.
pub fn markdown(document: &AgainstDocument) -> String {
    let mut out = String::new();
    let counts = Counts::of(document);
    let commit: String = document.against.commit.chars().take(12).collect();
    let _ = writeln!(
        out,
        "### Tidings: {}\n",
        if document.changes {
            format!(
                "{} added, {} changed, {} removed, {} invalid",
                counts.added, counts.changed, counts.removed, counts.invalid
            )
        } else {
            "nothing differs".to_owned()
        }
    );
    let _ = writeln!(
        out,
        "Compared with {} ({commit}).{}\n",
        code(&document.against.name),
        match people_reached(document) {
            _ if document.campaigns.is_empty() => String::new(),
            0 => " The campaigns that differ reach nobody.".to_owned(),
            n => format!(
                " The campaigns that differ reach **{}** at most.",
                people(n)
            ),
        }
    );
    for error in &document.errors {
        let _ = writeln!(out, "- ❌ {}", code(error));
    }
    if !document.errors.is_empty() {
        out.push('\n');
    }
    if !document.campaigns.is_empty() {
        out.push_str("| | campaign | what | reach |\n|---|---|---|---|\n");
        for campaign in &document.campaigns {
            let reach = campaign
                .reach
                .as_ref()
                .map(|reach| cell(&reach.words()))
                .unwrap_or_default();
            let _ = writeln!(
                out,
                "| {} | {} | {} | {reach} |",
                sign(campaign.change),
                code(&campaign.name),
                became(campaign)
            );
        }
        out.push('\n');
    }
    if !document.settings.is_empty() {
        details(&mut out, "tidings.yaml", &fields(&document.settings));
    }
    for campaign in &document.campaigns {
        one(&mut out, campaign);
    }
    if out.len() > MOST {
        let mut end = MOST;
        while !out.is_char_boundary(end) {
            end -= 1;
        }
        out.truncate(end);
        // Whatever block was open is closed.
        out.push_str("\n`````\n</details>\n\n… and more than fits into a comment: see `tidings plan --against`.\n");
    }
    out
}

fn sign(change: Compared) -> &'static str {
    match change {
        Compared::Added => "➕",
        Compared::Changed | Compared::Mended => "✏️",
        Compared::Removed => "➖",
        Compared::Invalid => "❌",
    }
}

fn one(out: &mut String, campaign: &CampaignChange) {
    let mut body = String::new();
    for error in &campaign.errors {
        let _ = writeln!(body, "- ❌ {}", code(error));
    }
    for warning in &campaign.warnings {
        let _ = writeln!(body, "- ⚠️ {}", code(warning));
    }
    if campaign.asks_approval {
        body.push_str("- An approval that was given does not hold any more.\n");
    }
    if let Some(named) = campaign.people {
        let _ = writeln!(
            body,
            "- Named by files and lists: {}, was {} (+{}, −{}).",
            people(named.after),
            named.before,
            named.added,
            named.removed
        );
    }
    if let (Some(before), Some(after)) = (&campaign.reach_before, &campaign.reach)
        && before != after
    {
        let _ = writeln!(body, "- Reached {}.", code(&before.words()));
    }
    for file in &campaign.files {
        let _ = writeln!(body, "- {}: other bytes.", code(&file.path));
    }
    if !body.is_empty() {
        body.push('\n');
    }
    body.push_str(&fields(&campaign.fields));
    for text in &campaign.texts {
        let lines = diff::lines(
            text.before.as_deref().unwrap_or_default(),
            text.after.as_deref().unwrap_or_default(),
            false,
        );
        let _ = writeln!(
            body,
            "Text of {}, {}:\n\n{}",
            code(&text.template),
            message(text.step),
            fenced(&lines)
        );
    }
    if !body.is_empty() {
        details(out, &campaign.name, &body);
    }
}

fn details(out: &mut String, name: &str, body: &str) {
    let _ = writeln!(
        out,
        "<details><summary><code>{}</code></summary>\n\n{}\n</details>\n",
        escaped(name),
        body.trim_end()
    );
}

fn fields(changes: &[FieldChange]) -> String {
    if changes.is_empty() {
        return String::new();
    }
    let mut lines = Vec::new();
    for change in changes {
        if let Some(before) = &change.before {
            lines.push(format!("- {}: {}", plain(&change.path), value(before)));
        }
        if let Some(after) = &change.after {
            lines.push(format!("+ {}: {}", plain(&change.path), value(after)));
        }
    }
    fenced(&lines)
}

/// A block of `diff`, with a fence that is longer than any in it.
fn fenced(lines: &[String]) -> String {
    let longest = lines
        .iter()
        .flat_map(|line| line.split(|c| c != '`'))
        .map(str::len)
        .max()
        .unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}diff\n{}\n{fence}\n\n", lines.join("\n"))
}

/// Inline code: backticks within need more around (CommonMark, 6.1); a `|` would end a table's cell.
fn code(text: &str) -> String {
    let text = plain(text).replace('|', "\\|");
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let ticks = "`".repeat(longest + 1);
    if longest > 0 {
        format!("{ticks} {text} {ticks}")
    } else {
        format!("{ticks}{text}{ticks}")
    }
}

/// A sentence of ours with names in it: each `@name` as code.
fn cell(text: &str) -> String {
    plain(text)
        .replace('|', "\\|")
        .split(' ')
        .map(|word| match word.strip_prefix('@') {
            Some(rest) => {
                let name = rest.trim_end_matches([',', ';', '.']);
                format!("`@{name}`{}", &rest[name.len()..])
            }
            None => escaped(word),
        })
        .collect::<Vec<_>>()
        .join(" ")
}

fn escaped(text: &str) -> String {
    plain(text)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

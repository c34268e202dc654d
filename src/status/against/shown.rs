//! On a terminal: `+` comes, `~` changes, `-` goes, `!` is wrong.

use std::fmt::Write as _;

use comfy_table::Color;

use super::{
    AgainstDocument, CampaignChange, Compared, Counts, FieldChange, became, message,
    people_reached, value,
};
use crate::status::table::paint;
use crate::status::{Look, diff, people, plain};

/// The first characters of a commit's hash, as git shows it.
const SHORT: usize = 12;

/// The comparison.
pub fn text(document: &AgainstDocument, look: &Look) -> String {
    let mut out = String::new();
    let commit: String = document.against.commit.chars().take(SHORT).collect();
    let _ = writeln!(
        out,
        "Compared with {} ({commit}):\n",
        plain(&document.against.name)
    );
    for error in &document.errors {
        let _ = writeln!(out, "{} {}", paint("!", Color::Red, look), plain(error));
    }
    if !document.settings.is_empty() {
        let _ = writeln!(
            out,
            "{} {}",
            paint("~", Color::Yellow, look),
            paint("tidings.yaml", Color::White, look)
        );
        for change in &document.settings {
            field(&mut out, change, look);
        }
        out.push('\n');
    }
    for campaign in &document.campaigns {
        one(&mut out, campaign, look);
        out.push('\n');
    }
    if !document.changes {
        let _ = writeln!(out, "Nothing differs.");
        return out;
    }
    let counts = Counts::of(document);
    let _ = writeln!(
        out,
        "Compared: {} added, {} changed, {} removed, {} invalid, {} the same. {}",
        counts.added,
        counts.changed,
        counts.removed,
        counts.invalid,
        document.unchanged,
        match people_reached(document) {
            0 => "They reach nobody.".to_owned(),
            n => format!("They reach {} at most.", people(n)),
        }
    );
    out
}

fn one(out: &mut String, campaign: &CampaignChange, look: &Look) {
    let (sign, colour) = match campaign.change {
        Compared::Added => ("+", Color::Green),
        Compared::Changed | Compared::Mended => ("~", Color::Yellow),
        Compared::Removed => ("-", Color::Red),
        Compared::Invalid => ("!", Color::Red),
    };
    let _ = writeln!(
        out,
        "{} {} ({}): {}",
        paint(sign, colour, look),
        paint(&plain(&campaign.name), Color::White, look),
        plain(&campaign.file),
        became(campaign)
    );
    for error in &campaign.errors {
        let _ = writeln!(out, "    {} {}", paint("!", Color::Red, look), plain(error));
    }
    for change in &campaign.fields {
        field(out, change, look);
    }
    for text in &campaign.texts {
        let (sign, colour) = match (&text.before, &text.after) {
            (None, _) => ("+", Color::Green),
            (_, None) => ("-", Color::Red),
            _ => ("~", Color::Yellow),
        };
        let _ = writeln!(
            out,
            "    {} text of `{}`, {}",
            paint(sign, colour, look),
            plain(&text.template),
            message(text.step)
        );
        let (before, after) = (
            text.before.as_deref().unwrap_or_default(),
            text.after.as_deref().unwrap_or_default(),
        );
        for line in diff::lines(before, after, look.colour) {
            let _ = writeln!(out, "        {line}");
        }
    }
    for file in &campaign.files {
        let _ = writeln!(
            out,
            "    {} {}: other bytes",
            paint("~", Color::Yellow, look),
            plain(&file.path)
        );
    }
    if let Some(named) = campaign.people {
        let _ = writeln!(
            out,
            "    {} named by files and lists: {}, was {}: +{}, -{}",
            paint("~", Color::Yellow, look),
            people(named.after),
            named.before,
            named.added,
            named.removed
        );
    }
    if let Some(reach) = &campaign.reach {
        let _ = writeln!(out, "      reaches {}", plain(&reach.words()));
        if let Some(before) = campaign.reach_before.as_ref().filter(|b| *b != reach) {
            let _ = writeln!(out, "      reached {}", plain(&before.words()));
        }
    }
    if campaign.asks_approval {
        out.push_str(
            "      an approval that was given does not hold any more: texts, sources, filters or accounts differ\n",
        );
    }
    for warning in &campaign.warnings {
        let _ = writeln!(
            out,
            "    {} {}",
            paint("!", Color::Yellow, look),
            plain(warning)
        );
    }
}

fn field(out: &mut String, change: &FieldChange, look: &Look) {
    if let Some((sign, colour, words)) = said(change) {
        let _ = writeln!(out, "    {} {words}", paint(sign, colour, look));
    }
}

/// A value that differs, in one line.
pub fn words(change: &FieldChange) -> Option<String> {
    said(change).map(|(sign, _, words)| format!("{sign} {words}"))
}

fn said(change: &FieldChange) -> Option<(&'static str, Color, String)> {
    let path = plain(&change.path);
    Some(match (&change.before, &change.after) {
        (None, Some(after)) => ("+", Color::Green, format!("{path}: {}", value(after))),
        (Some(before), None) => ("-", Color::Red, format!("{path}: {}", value(before))),
        (Some(before), Some(after)) => (
            "~",
            Color::Yellow,
            format!("{path}: {} → {}", value(before), value(after)),
        ),
        (None, None) => return None,
    })
}

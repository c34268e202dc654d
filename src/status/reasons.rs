//! `docs/reasons.md`: every word of the report, from the lists in the code.

use std::fmt::Write as _;

use crate::model::reaction::{Reaction, TABLE};
use crate::model::{AccountState, ConditionType, Exclusion, Outcome, Waiting};

/// The page's text.
pub fn reasons_markdown() -> String {
    let mut out = String::from(
        "# Reasons\n\n\
         Every word that `tidings status` gives as a reason, what it means and what to do. This page is generated from \
         the code; the lists are closed and part of the promise.\n",
    );
    section(
        &mut out,
        "Conditions",
        "Every campaign shows all of them, in this order.",
        "Type",
        ConditionType::ALL
            .iter()
            .map(|x| (x.name(), x.meaning(), x.remedy())),
    );
    section(
        &mut out,
        "Exclusions",
        "Why a person who was found is not in the audience. They are asked in this order, and the first that holds counts.",
        "Reason",
        Exclusion::ALL
            .iter()
            .map(|x| (x.name(), x.meaning(), x.remedy())),
    );
    section(
        &mut out,
        "Outcomes",
        "How a message ended for a person.",
        "Outcome",
        Outcome::ALL
            .iter()
            .map(|x| (x.name(), x.meaning(), x.remedy())),
    );
    section(
        &mut out,
        "Waiting",
        "What pending people wait for.",
        "Reason",
        Waiting::ALL
            .iter()
            .map(|x| (x.name(), x.meaning(), x.remedy())),
    );
    section(
        &mut out,
        "Account states",
        "What an account can do now.",
        "State",
        AccountState::ALL
            .iter()
            .map(|x| (x.name(), x.meaning(), x.remedy())),
    );
    out.push_str(
        "\n## What Telegram says\n\n\
         The first row that fits decides. What no row knows goes by its code: 420 waits, 401 loses the account, 5xx and \
         negative codes are in doubt, anything else fails the recipient.\n\n\
         | Telegram's word | What it means | What Tidings does |\n|---|---|---|\n",
    );
    for row in TABLE {
        let _ = writeln!(
            out,
            "| `{}` | {} | {} |",
            row.pattern,
            cell(row.meaning),
            reaction(row.reaction)
        );
    }
    out
}

fn section<'a>(
    out: &mut String,
    title: &str,
    lead: &str,
    head: &str,
    rows: impl Iterator<Item = (&'a str, &'a str, &'a str)>,
) {
    let _ = write!(
        out,
        "\n## {title}\n\n{lead}\n\n| {head} | What it means | What to do |\n|---|---|---|\n"
    );
    for (name, meaning, remedy) in rows {
        let _ = writeln!(out, "| `{name}` | {} | {} |", cell(meaning), cell(remedy));
    }
}

/// A bar would end the cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn reaction(reaction: Reaction) -> String {
    match reaction {
        Reaction::Wait { .. } => {
            "The account waits with this kind of calls; the recipient stays pending.".to_owned()
        }
        Reaction::SlowMode { .. } => "That chat waits; the account goes on.".to_owned(),
        Reaction::LimitAccount => {
            "The account is `limited`; the recipient stays pending.".to_owned()
        }
        Reaction::SkipRecipient {
            outcome,
            suppress: false,
        } => format!("The recipient is skipped as `{outcome}`."),
        Reaction::SkipRecipient {
            outcome,
            suppress: true,
        } => {
            format!("The recipient is skipped as `{outcome}`, and suppressed everywhere.")
        }
        Reaction::LookUpAgain => {
            "He is looked up again once, then skipped as `unreachable`.".to_owned()
        }
        Reaction::LoseAccount(state) => {
            format!("The account is `{state}`; its session file is kept.")
        }
        Reaction::Stall { reason } => format!("The campaign is `Stalled` ({reason})."),
        Reaction::UploadAgain => "The file is uploaded again; nothing was sent.".to_owned(),
        Reaction::Delivered => {
            "It is confirmed by a second try or the history, and counts as `sent`.".to_owned()
        }
        Reaction::InDoubt => "The same bytes go out again with the same `random_id`.".to_owned(),
        Reaction::FailRecipient => "The recipient fails with Telegram's own words.".to_owned(),
    }
}

//! `tidings approve`

use std::fmt::Write as _;

use clap::Args;
use serde::Deserialize;

use super::{DONE, Ended, Global, output};
use crate::model::Command;
use crate::status::{AccountsDocument, plain};

/// Characters of a text that tell a reader which one it is.
const MAX_TEXT: usize = 300;

/// `tidings approve`
#[derive(Debug, Args)]
pub struct ApproveArgs {
    /// The campaign
    #[arg(
        value_name = "NAME",
        required_unless_present = "new_state",
        conflicts_with = "new_state"
    )]
    pub name: Option<String>,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// Accept that this is a new state for accounts that another one used: what that one sent is not known here
    #[arg(long)]
    pub new_state: bool,
}

/// What the engine says of an approval.
#[derive(Debug, Deserialize)]
#[serde(default)]
struct Asked {
    name: String,
    digest: String,
    people: u64,
    accounts: Vec<String>,
    sources: Vec<String>,
    variants: Vec<Variant>,
    awaited: bool,
    message: Option<String>,
}

impl Default for Asked {
    fn default() -> Self {
        Asked {
            name: String::new(),
            digest: String::new(),
            people: 0,
            accounts: Vec::new(),
            sources: Vec::new(),
            variants: Vec::new(),
            awaited: true,
            message: None,
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Variant {
    name: String,
    weight: u32,
    text: String,
}

pub(super) fn run(global: &Global, args: &ApproveArgs) -> Ended {
    let workspace = global.workspace()?;
    let by = super::operator();
    let command = match &args.name {
        None => {
            // Of a state that lost its newest events nothing is told before that is accepted.
            let accounts = match super::document(&workspace, Command::Accounts) {
                Ok(body) => super::read_back::<AccountsDocument>(body)?.accounts,
                Err(_) => Vec::new(),
            };
            let held: Vec<&str> = accounts
                .iter()
                .filter(|account| account.message.starts_with("StateLost"))
                .map(|account| account.name.as_str())
                .collect();
            let whose = if held.is_empty() {
                "accounts that belong to another state".to_owned()
            } else {
                held.join(", ")
            };
            output::line(&format!(
                "This approves that this state takes over: {}. What another state sent with them is not known here, and \
                 those people may be written to again. Of what this state itself sent when it was further than now, the \
                 dialogs tell, which are read first.",
                plain(&whose)
            ))?;
            Command::Approve {
                name: None,
                digest: String::new(),
                people: 0,
                new_state: true,
                by,
            }
        }
        Some(name) => {
            let asked: Asked = super::read_back(super::document(
                &workspace,
                Command::ApprovalAsked { name: name.clone() },
            )?)?;
            output::text(&shown(&asked))?;
            if !asked.awaited {
                output::line(
                    "Nothing waits for an approval now; this one would hold for a later run of the same texts and people.",
                )?;
            }
            Command::Approve {
                name: Some(name.clone()),
                digest: asked.digest,
                people: asked.people,
                new_state: false,
                by,
            }
        }
    };
    // Asked is who can answer; elsewhere the command itself is the word, and what it approves stands above.
    if !args.yes && output::is_interactive() && !output::confirmed("Approve this?") {
        output::complain("Nothing was approved.");
        return Ok(super::FAILED);
    }
    super::order(&workspace, command).map(|_| DONE)
}

fn shown(asked: &Asked) -> String {
    let mut out = String::new();
    if let Some(message) = &asked.message {
        let _ = writeln!(out, "{}", plain(message));
    }
    let _ = writeln!(
        out,
        "This approves `{}` for {} (and up to a tenth more):",
        plain(&asked.name),
        crate::status::people(asked.people)
    );
    for source in &asked.sources {
        let _ = writeln!(out, "  from {}", plain(source));
    }
    if !asked.accounts.is_empty() {
        let _ = writeln!(out, "  by {}", plain(&asked.accounts.join(", ")));
    }
    for variant in &asked.variants {
        let text = plain(&variant.text);
        let mut short: String = text.chars().take(MAX_TEXT).collect();
        if short.len() < text.len() {
            short.push('…');
        }
        let _ = writeln!(
            out,
            "  {} (weight {}): {short}",
            plain(&variant.name),
            variant.weight
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_approval_says_first_what_is_approved() {
        let body = serde_json::json!({
            "name": "spring", "digest": "d", "people": 612, "accounts": ["sales-1"], "sources": ["members of @rust"],
            "variants": [{"name": "short", "weight": 2, "text": "Hi\u{1b}[31m {{ contact.first_name }}\nBye"}],
            "awaited": true, "message": "612 people are more than 500."
        });
        let asked: Asked = serde_json::from_value(body).unwrap();
        insta::assert_snapshot!(shown(&asked), @r"
        612 people are more than 500.
        This approves `spring` for 612 people (and up to a tenth more):
          from members of @rust
          by sales-1
          short (weight 2): Hi {{ contact.first_name }} Bye
        ");
    }
}

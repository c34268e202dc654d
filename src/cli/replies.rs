//! `tidings replies`

use std::time::Duration;

use clap::{Args, Subcommand};

use super::args::Rows;
use super::{DONE, Ended, Failure, Global, output};
use crate::model::{Command, RepliesCommand, TalkChange};
use crate::status::{self, RepliesDocument, Reply, ReplyDocument};

/// The pause between two looks of `--follow`.
const EVERY: Duration = Duration::from_millis(500);

/// `tidings replies`; alone it is `list`
#[derive(Debug, Args)]
pub struct RepliesArgs {
    /// What
    #[command(subcommand)]
    pub verb: Option<RepliesVerb>,
    /// Without a verb, or before it
    #[command(flatten)]
    pub list: ListArgs,
}

/// What to do
#[derive(Debug, Subcommand)]
pub enum RepliesVerb {
    /// Show the conversations, those that wait for a person first
    List(ListArgs),
    /// Show what was said with one person
    Show(ShowArgs),
    /// Send a drafted answer
    Approve(ApproveArgs),
    /// Throw a drafted answer away; the person waits for a human
    Reject(RejectArgs),
    /// Write to a person yourself; the AI is silent there until `return`
    Send(SendArgs),
    /// Take a conversation: the AI is silent there until `return`
    Take(PersonArgs),
    /// Give a conversation back to the AI
    Return(PersonArgs),
    /// Close a conversation until the person writes again
    Close(PersonArgs),
}

/// `tidings replies list`
#[derive(Debug, Clone, Args)]
pub struct ListArgs {
    /// Only those in this state: needs_human, draft, answering, human, quiet, closed
    #[arg(long, value_name = "STATE", value_parser = clap::builder::PossibleValuesParser::new(status::REPLY_STATES.iter().copied()))]
    pub state: Option<String>,
    /// Show each conversation again as it changes, until Ctrl-C
    #[arg(long)]
    pub follow: bool,
    /// The form, a table without it; JSON with --follow is one conversation a line
    #[arg(short, long, value_name = "FORM")]
    pub output: Option<Rows>,
}

impl ListArgs {
    /// These, and those that stood before the verb: what stands after it goes first.
    fn after(&self, before: &ListArgs) -> ListArgs {
        ListArgs {
            state: self.state.clone().or_else(|| before.state.clone()),
            follow: self.follow || before.follow,
            output: self.output.or(before.output),
        }
    }

    /// The first option that was given.
    fn given(&self) -> Option<&'static str> {
        let all = [
            ("--state", self.state.is_some()),
            ("--follow", self.follow),
            ("--output", self.output.is_some()),
        ];
        all.into_iter().find(|(_, is)| *is).map(|(name, _)| name)
    }

    fn form(&self) -> Rows {
        self.output.unwrap_or_default()
    }
}

/// `tidings replies show`
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// @name, +phone or id:123
    #[arg(value_name = "PERSON", allow_hyphen_values = true)]
    pub person: String,
    /// Go on with what is said from now on until Ctrl-C
    #[arg(long)]
    pub follow: bool,
    /// The form; JSON with --follow is one line of the conversation a line
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    pub output: Rows,
}

/// `tidings replies approve`
#[derive(Debug, Args)]
pub struct ApproveArgs {
    /// The draft's number
    #[arg(value_name = "ID")]
    pub id: u64,
    /// Send this instead
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub text: Option<String>,
}

/// `tidings replies reject`
#[derive(Debug, Args)]
pub struct RejectArgs {
    /// The draft's number
    #[arg(value_name = "ID")]
    pub id: u64,
}

/// `tidings replies send`
#[derive(Debug, Args)]
pub struct SendArgs {
    /// @name, +phone or id:123
    #[arg(value_name = "PERSON")]
    pub person: String,
    /// What to say
    #[arg(value_name = "TEXT", allow_hyphen_values = true)]
    pub text: String,
    /// By this account; without it by the one that he last wrote to
    #[arg(long, value_name = "NAME")]
    pub account: Option<String>,
}

/// Whose conversation.
#[derive(Debug, Args)]
pub struct PersonArgs {
    /// @name, +phone or id:123
    #[arg(value_name = "PERSON")]
    pub person: String,
}

pub(super) fn run(global: &Global, args: &RepliesArgs) -> Ended {
    let Some(verb) = &args.verb else {
        return list(global, &args.list);
    };
    let before = &args.list;
    if !matches!(verb, RepliesVerb::List(_))
        && let Some(option) = before.given()
    {
        return Err(Failure::usage(format!(
            "`{option}` before the verb belongs to `tidings replies list`; put it behind another one that takes it"
        )));
    }
    let order = |what: RepliesCommand| {
        let workspace = global.workspace()?;
        super::order(&workspace, Command::Replies { what })
    };
    let by = super::operator();
    let change = |args: &PersonArgs, change| {
        order(RepliesCommand::Change {
            person: args.person.clone(),
            change,
            by: super::operator(),
        })
    };
    match verb {
        RepliesVerb::List(args) => list(global, &args.after(before)),
        RepliesVerb::Show(args) => show(global, args),
        RepliesVerb::Approve(args) => order(RepliesCommand::Approve {
            id: args.id,
            text: args.text.clone(),
            by,
        }),
        RepliesVerb::Reject(args) => order(RepliesCommand::Reject { id: args.id, by }),
        RepliesVerb::Send(args) => order(RepliesCommand::Send {
            person: args.person.clone(),
            text: args.text.clone(),
            account: args.account.clone(),
            by,
        }),
        RepliesVerb::Take(args) => change(args, TalkChange::Taken),
        RepliesVerb::Return(args) => change(args, TalkChange::Returned),
        RepliesVerb::Close(args) => change(args, TalkChange::Closed),
    }
}

fn list(global: &Global, args: &ListArgs) -> Ended {
    let workspace = global.workspace()?;
    // What of each conversation was shown last.
    let mut seen: std::collections::BTreeMap<(String, String), Reply> = Default::default();
    loop {
        let what = RepliesCommand::List {
            state: args.state.clone(),
        };
        let body = super::document(&workspace, Command::Replies { what })?;
        if args.form() == Rows::Json && !args.follow {
            output::json(&body)?;
            return Ok(DONE);
        }
        let replies: Vec<Reply> = super::read_back::<RepliesDocument>(body)?.replies;
        if replies.is_empty() && !args.follow && args.form() == Rows::Table {
            output::complain("No conversations.");
            return Ok(DONE);
        }
        let now = replies
            .iter()
            .map(|reply| ((reply.person.clone(), reply.account.clone()), reply.clone()))
            .collect();
        let new: Vec<Reply> = replies
            .into_iter()
            .filter(|reply| seen.get(&(reply.person.clone(), reply.account.clone())) != Some(reply))
            .collect();
        seen = now;
        match args.form() {
            Rows::Table if new.is_empty() => {}
            Rows::Table => output::text(&status::replies_text(&new))?,
            Rows::Json | Rows::Jsonl => {
                for reply in &new {
                    output::json_line(reply)?;
                }
            }
        }
        if !args.follow {
            return Ok(DONE);
        }
        std::thread::sleep(EVERY);
    }
}

fn show(global: &Global, args: &ShowArgs) -> Ended {
    let workspace = global.workspace()?;
    let mut seen = std::collections::BTreeSet::new();
    loop {
        let what = RepliesCommand::Show {
            person: args.person.clone(),
        };
        let body = super::document(&workspace, Command::Replies { what })?;
        if args.output == Rows::Json && !args.follow {
            output::json(&body)?;
            return Ok(DONE);
        }
        let document = super::read_back::<ReplyDocument>(body)?;
        let new: Vec<_> = document
            .lines
            .into_iter()
            .filter(|line| {
                seen.insert((
                    line.account.clone(),
                    line.kind.clone(),
                    line.number,
                    line.text.clone(),
                ))
            })
            .collect();
        match args.output {
            Rows::Table if new.is_empty() && args.follow => {}
            Rows::Table => {
                output::text(&status::lines_text(&new, document.name.as_deref()))?;
                if !args.follow {
                    output::text(&status::replies_text(&document.replies))?;
                }
            }
            Rows::Json | Rows::Jsonl => {
                for line in &new {
                    output::json_line(line)?;
                }
            }
        }
        if !args.follow {
            return Ok(DONE);
        }
        std::thread::sleep(EVERY);
    }
}

//! `tidings events`

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{DONE, Ended, Global, output};
use crate::model::Command;
use crate::status::{self, EventsDocument};

/// The pause between two looks of `--watch`.
const EVERY: Duration = Duration::from_millis(500);
/// Events that `--watch` asks for at a time.
const AT_A_TIME: usize = 1000;

/// `tidings events`
#[derive(Debug, Args)]
pub struct EventsArgs {
    /// Of this campaign only
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Go on with what happens from now on until Ctrl-C
    #[arg(long)]
    pub watch: bool,
    /// The form; JSON with --watch is one event a line
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    pub output: Form,
    /// At most so many, the newest
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
    /// Only what came after the event of this number
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    pub after: u64,
}

/// The form of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// One a line, for people
    Table,
    /// For programs
    Json,
    /// For programs, one event a line
    Jsonl,
}

pub(super) fn run(global: &Global, args: &EventsArgs) -> Ended {
    let workspace = global.workspace()?;
    let mut after = args.after;
    let mut limit = usize::try_from(args.limit).unwrap_or(AT_A_TIME);
    loop {
        let body = super::document(
            &workspace,
            Command::Events {
                name: args.name.clone(),
                after,
                limit,
            },
        )?;
        if args.output == Form::Json && !args.watch {
            output::json(&body)?;
            return Ok(DONE);
        }
        let events = super::read_back::<EventsDocument>(body)?.events;
        match args.output {
            Form::Table if events.is_empty() && !args.watch => {
                output::complain("Nothing happened yet.")
            }
            Form::Table => output::text(&status::events_text(&events))?,
            Form::Json | Form::Jsonl => {
                for event in &events {
                    output::json_line(event)?;
                }
            }
        }
        if !args.watch {
            return Ok(DONE);
        }
        if let Some(last) = events.last() {
            after = last.seq;
            limit = AT_A_TIME;
        }
        std::thread::sleep(EVERY);
    }
}

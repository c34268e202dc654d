//! `tidings events`

use std::collections::VecDeque;
use std::time::Duration;

use clap::Args;

use super::args::Rows;
use super::{DONE, Ended, Failure, Global, output};
use crate::control::Workspace;
use crate::model::Command;
use crate::status::{self, EventLine, EventsDocument};

/// The pause between two looks of `--watch`.
const EVERY: Duration = Duration::from_millis(500);
/// Events that `--watch` asks for at a time.
const AT_A_TIME: usize = 10_000;

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
    pub output: Rows,
    /// At most so many, the newest
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
    /// Only what came after the event of this number
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    pub after: u64,
}

/// The newest events after a place, oldest first, and up to where was looked: of a daemon in as many bites as it takes.
///
/// # Errors
/// What the engine refuses.
pub(super) fn fetch(
    workspace: &Workspace,
    name: Option<&str>,
    after: u64,
    limit: usize,
) -> Result<(Vec<EventLine>, u64), Failure> {
    let mut found: VecDeque<EventLine> = VecDeque::new();
    let mut upto = None;
    let mut before = None;
    loop {
        let body = super::document(
            workspace,
            Command::Events {
                name: name.map(str::to_owned),
                after,
                before,
                limit: limit - found.len(),
            },
        )?;
        let document: EventsDocument = super::read_back(body)?;
        upto = upto.or(document.upto);
        for event in document.events.into_iter().rev() {
            found.push_front(event);
        }
        match document.earlier {
            // Each bite begins before the last one.
            Some(earlier) if found.len() < limit && before.is_none_or(|last| earlier < last) => {
                before = Some(earlier);
            }
            _ => break,
        }
    }
    let upto = upto.or(found.back().map(|event| event.seq));
    Ok((found.into(), upto.unwrap_or(after)))
}

pub(super) fn run(global: &Global, args: &EventsArgs) -> Ended {
    let workspace = global.workspace()?;
    let mut after = args.after;
    let mut limit = usize::try_from(args.limit).unwrap_or(AT_A_TIME);
    loop {
        let (events, upto) = fetch(&workspace, args.name.as_deref(), after, limit)?;
        match args.output {
            Rows::Json if !args.watch => output::json(&EventsDocument::new(events))?,
            Rows::Table if events.is_empty() && !args.watch => {
                output::complain("Nothing happened yet.");
            }
            Rows::Table => output::text(&status::events_text(&events, output::look(false).width))?,
            Rows::Json | Rows::Jsonl => {
                for event in &events {
                    output::json_line(event)?;
                }
            }
        }
        if !args.watch {
            return Ok(DONE);
        }
        // A state that was lost or restored may be behind.
        after = after.max(upto);
        limit = AT_A_TIME;
        std::thread::sleep(EVERY);
    }
}

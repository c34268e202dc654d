//! The one place that asks the engine, for all clients together.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::{Mutex, Semaphore, mpsc, oneshot};

use super::Asked;
use crate::model::{Command, Reply};
use crate::status::StatusReport;

/// An engine that says nothing for so long is busy: Prometheus gives a scrape ten seconds.
const ANSWER_TIME: Duration = Duration::from_secs(5);
/// A report is as new as this at most.
const FRESH: Duration = Duration::from_millis(100);
/// And as this many times what it took: reports of a million people take a second, and the engine has other work.
const REST: u32 = 4;
/// After it did not answer, it is left alone for so long.
const LEFT_ALONE: Duration = Duration::from_secs(2);
/// Events that the page can show.
const EVENTS: usize = 2000;
/// Pages that are shown live at a time.
const MAX_STREAMS: usize = 32;

/// A report as it was at a moment.
pub(super) struct Frame {
    /// Rises with every change that is worth showing.
    pub(super) version: u64,
    /// As the engine answered.
    pub(super) body: Value,
    /// The same, typed.
    pub(super) report: StatusReport,
}

#[derive(Default)]
struct Kept {
    frame: Option<Arc<Frame>>,
    asked: Option<Instant>,
    took: Duration,
    failed: Option<Instant>,
}

#[derive(Default)]
struct Tail {
    lines: VecDeque<Value>,
    last: u64,
    asked: Option<Instant>,
}

/// See the module.
pub(super) struct Hub {
    commands: mpsc::Sender<Asked>,
    kept: Mutex<Kept>,
    tail: Mutex<Tail>,
    pub(super) streams: Arc<Semaphore>,
}

impl Hub {
    pub(super) fn new(commands: mpsc::Sender<Asked>) -> Hub {
        Hub {
            commands,
            kept: Mutex::default(),
            tail: Mutex::default(),
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
        }
    }

    /// Asks, within a limit of time.
    pub(super) async fn ask(&self, command: Command) -> Result<Reply, &'static str> {
        let (tell, told) = oneshot::channel();
        let asking = async {
            self.commands.send((command, tell)).await.ok()?;
            told.await.ok()
        };
        match tokio::time::timeout(ANSWER_TIME, asking).await {
            Ok(Some(reply)) => Ok(reply),
            Ok(None) => Err("the engine is stopping"),
            Err(_) => Err("the engine is busy; try again in a moment"),
        }
    }

    /// The report, as new as the engine can give it without its work suffering; an older one where it does not answer.
    pub(super) async fn report(&self) -> Result<Arc<Frame>, &'static str> {
        let mut kept = self.kept.lock().await;
        if let (Some(frame), Some(asked)) = (&kept.frame, kept.asked)
            && asked.elapsed() < FRESH.max(kept.took * REST)
        {
            return Ok(Arc::clone(frame));
        }
        if let (Some(frame), Some(failed)) = (&kept.frame, kept.failed)
            && failed.elapsed() < LEFT_ALONE
        {
            return Ok(Arc::clone(frame));
        }
        let began = Instant::now();
        let answered = self.ask(Command::Status { names: Vec::new() }).await;
        let read = match answered {
            Ok(Reply::Written { json }) => serde_json::from_str(&json)
                .and_then(|body| Ok((body, serde_json::from_str(&json)?)))
                .map_err(|_| "the engine's report cannot be read"),
            Ok(_) => Err("the engine gives no report"),
            Err(why) => Err(why),
        };
        match read {
            Ok((body, report)) => {
                let version = match &kept.frame {
                    Some(last) if same(&last.report, &report) => last.version,
                    Some(last) => last.version + 1,
                    None => 1,
                };
                let frame = Arc::new(Frame {
                    version,
                    body,
                    report,
                });
                kept.frame = Some(Arc::clone(&frame));
                kept.took = began.elapsed();
                kept.asked = Some(Instant::now());
                kept.failed = None;
                Ok(frame)
            }
            Err(why) => {
                kept.failed = Some(Instant::now());
                kept.frame.clone().ok_or(why)
            }
        }
    }

    /// Events after a place in the journal, oldest first, and the last place that is known.
    pub(super) async fn events(
        &self,
        after: u64,
        campaign: Option<&str>,
        limit: usize,
    ) -> (Vec<Value>, u64) {
        /// The journal is looked at so often.
        const EVERY: Duration = Duration::from_millis(900);
        let mut tail = self.tail.lock().await;
        if tail.asked.is_none_or(|asked| asked.elapsed() >= EVERY) {
            let command = Command::Events {
                name: None,
                after: tail.last,
                before: None,
                limit: EVENTS,
            };
            let answered = self.ask(command).await;
            tail.asked = Some(Instant::now());
            if let Ok(Reply::Document { body }) = answered
                && let Some(lines) = body.get("events").and_then(Value::as_array)
            {
                for line in lines {
                    tail.last = line.get("seq").and_then(Value::as_u64).unwrap_or(tail.last);
                    tail.lines.push_back(line.clone());
                }
                while tail.lines.len() > EVENTS {
                    tail.lines.pop_front();
                }
            }
        }
        let wanted = tail.lines.iter().rev().filter(|line| {
            line.get("seq").and_then(Value::as_u64) > Some(after)
                && campaign
                    .is_none_or(|name| line.get("campaign").and_then(Value::as_str) == Some(name))
        });
        let mut lines: Vec<Value> = wanted.take(limit).cloned().collect();
        lines.reverse();
        (lines, tail.last)
    }
}

/// Whether two reports say the same, the moment aside.
fn same(one: &StatusReport, other: &StatusReport) -> bool {
    let mut other = other.clone();
    other.generated_at = one.generated_at;
    other.daemon.heartbeat_age_ms = one.daemon.heartbeat_age_ms;
    *one == other
}

//! `tidings status --watch` on a terminal: the report live, through the control socket.
//!
//! # Guarantees
//! The terminal is as it was before, however this ends: a key, a signal, an error, a panic.

mod ansi;
mod app;
mod columns;
#[cfg(test)]
mod tests;
mod view;

use std::collections::VecDeque;
use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use ratatui::crossterm::event::{self, Event, KeyEventKind};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{DONE, Ended, Failure, output};
use crate::control::{Workspace, socket};
use crate::model::{Command, Reply};
use crate::status::{EventLine, EventsDocument, StatusReport};
use app::{App, Then, Update};

/// The pause between two questions to the daemon.
const EVERY: Duration = Duration::from_secs(1);
/// How long a key may wait for the screen to follow.
const TICK: Duration = Duration::from_millis(100);
/// How long the screen has to end by itself after a signal, and how often the terminal is looked for.
const GRACE: Duration = Duration::from_secs(1);
/// How long the daemon may take to answer: its loop goes round well within.
const ANSWER: Duration = Duration::from_secs(10);
/// Events of a story, the newest.
const EVENTS: usize = 1000;

/// Shows the report until it is left.
pub(super) fn run(workspace: &Workspace, names: &[String]) -> Ended {
    // What is wrong with the command line or the state is said in the ordinary way.
    let first = super::document(
        workspace,
        Command::Status {
            names: names.to_vec(),
        },
    )?;
    let mut app = App::new(names);
    app.take(
        Update::Report(Box::new(super::read_back(first)?), Vec::new()),
        output::now(),
    );
    let (questions, asked) = mpsc::channel::<Option<String>>();
    let (answers, answered) = mpsc::channel();
    let asks = workspace.clone();
    let named = names.to_vec();
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    // Ends with the process: a daemon that does not answer must not keep a person from leaving.
    let (ready, listens) = mpsc::channel();
    std::thread::spawn(move || ask(&asks, &named, &asked, &answers, &told, ready));
    // Before the terminal is another one: a kill in between would leave it so.
    let _ = listens.recv();
    // Puts the terminal back before a panic is told.
    let mut terminal = ratatui::try_init().map_err(terminal_failed)?;
    let ended = show(&mut terminal, &mut app, &questions, &answered, &stop);
    ratatui::restore();
    ended.map_err(terminal_failed)?;
    Ok(DONE)
}

fn terminal_failed(error: io::Error) -> Failure {
    Failure::new(format!(
        "the terminal cannot be used for this ({error}); `tidings status --watch | cat` prints the report again and again"
    ))
}

fn show(
    terminal: &mut ratatui::DefaultTerminal,
    app: &mut App,
    questions: &mpsc::Sender<Option<String>>,
    answered: &mpsc::Receiver<Update>,
    stop: &AtomicBool,
) -> io::Result<()> {
    let colour = output::colour();
    // Whose ears are gone takes no question: the answers end too.
    let question = |app: &App| {
        let _ = questions.send(app.story.clone());
    };
    question(app);
    let mut asked = Some(Instant::now());
    let mut heard = Instant::now();
    loop {
        let now = output::now();
        terminal.draw(|frame| view::draw(frame, app, colour, now))?;
        if stop.load(Ordering::Acquire) {
            return Ok(());
        }
        if event::poll(TICK)? {
            match event::read()? {
                Event::Key(key) if key.kind != KeyEventKind::Release => match app.key(key, now) {
                    Then::Quit => return Ok(()),
                    Then::Ask if asked.is_none() => {
                        question(app);
                        asked = Some(Instant::now());
                    }
                    Then::Ask | Then::Go => {}
                },
                _ => {}
            }
        }
        while let Ok(update) = answered.try_recv() {
            app.take(update, output::now());
            asked = None;
            heard = Instant::now();
        }
        if asked.is_none() && heard.elapsed() >= EVERY {
            question(app);
            asked = Some(Instant::now());
        }
    }
}

/// Asks the daemon whenever it is told to, and listens for signals between.
fn ask(
    workspace: &Workspace,
    names: &[String],
    asked: &mpsc::Receiver<Option<String>>,
    answers: &mpsc::Sender<Update>,
    stop: &Arc<AtomicBool>,
    ready: mpsc::Sender<()>,
) {
    let Ok(runtime) = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
    else {
        let _ = answers.send(Update::Failed("no thread can be started".to_owned()));
        return;
    };
    if let Ok(heard) = runtime.block_on(async { Signals::new() }) {
        runtime.spawn(heard.end(Arc::clone(stop)));
    }
    drop(ready);
    let mut recent = Recent::default();
    while let Ok(story) = asked.recv() {
        let update = runtime.block_on(look(workspace, names, story, &mut recent));
        if answers.send(update).is_err() {
            return;
        }
    }
}

/// A kill or a closed terminal puts the terminal back as well.
struct Signals {
    term: Signal,
    hup: Signal,
    interrupt: Signal,
}

impl Signals {
    /// They are caught from now on.
    fn new() -> io::Result<Signals> {
        Ok(Signals {
            term: signal(SignalKind::terminate())?,
            hup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Ends the view at the first of them.
    async fn end(mut self, stop: Arc<AtomicBool>) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.hup.recv() => {}
            _ = self.interrupt.recv() => {}
            () = terminal_gone() => {}
        }
        stop.store(true, Ordering::Release);
        // crossterm reads a terminal that is gone again and again and never comes back from it.
        tokio::time::sleep(GRACE).await;
        ratatui::restore();
        std::process::exit(i32::from(DONE));
    }
}

/// Until nobody can read this any more.
async fn terminal_gone() {
    while io::stdin().is_terminal() {
        tokio::time::sleep(GRACE).await;
    }
}

/// The newest events of the campaign whose story is shown, and up to where the journal was looked at.
#[derive(Default)]
struct Recent {
    name: String,
    upto: u64,
    events: VecDeque<EventLine>,
}

impl Recent {
    /// Adds what came since, in bites that do not keep the engine from its work.
    async fn follow(&mut self, path: &Path, name: String) {
        if self.name != name {
            *self = Recent {
                name,
                ..Recent::default()
            };
        }
        let mut found = VecDeque::new();
        let mut before = None;
        let mut upto = None;
        loop {
            let command = Command::Events {
                name: Some(self.name.clone()),
                after: self.upto,
                before,
                limit: EVENTS,
            };
            // Without its events a story is still one.
            let Ok(Some(Ok(document))) = socket::request(path, &command, ANSWER)
                .await
                .map(|reply| reply.map(read::<EventsDocument>))
            else {
                return;
            };
            upto = upto.or(document.upto);
            for event in document.events.into_iter().rev() {
                found.push_front(event);
            }
            match document.earlier {
                Some(earlier)
                    if found.len() < EVENTS && before.is_none_or(|last| earlier < last) =>
                {
                    before = Some(earlier);
                }
                _ => break,
            }
        }
        self.events.extend(found);
        self.events
            .drain(..self.events.len().saturating_sub(EVENTS));
        self.upto = upto.unwrap_or(self.upto);
    }
}

async fn look(
    workspace: &Workspace,
    names: &[String],
    story: Option<String>,
    recent: &mut Recent,
) -> Update {
    let path = &workspace.socket_path();
    let request = |command: Command| async move { socket::request(path, &command, ANSWER).await };
    let status = Command::Status {
        names: names.to_vec(),
    };
    let report: StatusReport = match request(status).await.map(|reply| reply.map(read)) {
        Ok(None) => return Update::Gone,
        Err(error) => return Update::Failed(error.to_string()),
        Ok(Some(Err(why))) => return Update::Failed(why),
        Ok(Some(Ok(report))) => report,
    };
    let mut events = Vec::new();
    if let Some(name) = story {
        recent.follow(path, name).await;
        events = recent.events.iter().cloned().collect();
    }
    Update::Report(Box::new(report), events)
}

fn read<T: serde::de::DeserializeOwned>(reply: Reply) -> Result<T, String> {
    match reply {
        Reply::Written { json } => super::read_text(&json),
        Reply::Document { body } => super::read_back(body),
        Reply::Done { message } | Reply::Refused { message, .. } => return Err(message),
    }
    .map_err(|failure| failure.message)
}

//! Questions to the whole journal, answered beside the loop.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::*;
use crate::control::operator::Beside;

/// Readings at a time: each keeps a processor busy, and the others wait for their turn.
const AT_A_TIME: usize = 2;
/// Readings that wait for their turn; more are told to ask later.
const MOST: usize = 32;

/// The readings under way.
pub(super) struct Readings {
    tasks: JoinSet<()>,
    turns: Arc<Semaphore>,
    stop: Arc<AtomicBool>,
}

impl Default for Readings {
    fn default() -> Readings {
        Readings {
            tasks: JoinSet::new(),
            turns: Arc::new(Semaphore::new(AT_A_TIME)),
            stop: Arc::default(),
        }
    }
}

impl Readings {
    /// Reads, and answers when that is done.
    pub(super) fn begin(&mut self, question: Beside, reply: oneshot::Sender<Reply>) {
        while self.tasks.try_join_next().is_some() {}
        if self.tasks.len() >= MOST {
            let _ = reply.send(answer::refused(
                "the daemon answers many such questions already; ask again in a moment",
            ));
            return;
        }
        let (turns, stop) = (Arc::clone(&self.turns), Arc::clone(&self.stop));
        self.tasks.spawn(async move {
            let Ok(turn) = turns.acquire_owned().await else {
                return;
            };
            let read = tokio::task::spawn_blocking(move || {
                // Whoever was called off is not answered: he asks the state itself.
                if let Some(answered) = question.answer(stop) {
                    let _ = reply.send(answered);
                }
            });
            let _ = read.await;
            drop(turn);
        });
    }

    /// Calls them off, and waits until they have let the state go: each looks after every row.
    pub(super) async fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        while self.tasks.join_next().await.is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(message: &str) -> Reply {
        answer::done(message)
    }

    #[tokio::test]
    async fn a_long_reading_keeps_nobody_waiting_and_is_answered_when_it_is_done() {
        let mut readings = Readings::default();
        let (go_on, may_go_on) = std::sync::mpsc::channel::<()>();
        let (long, mut long_told) = oneshot::channel();
        // Not answered before it was read, and `begin` came back meanwhile.
        readings.begin(
            Beside::of_nothing(move |_| may_go_on.recv().ok().map(|()| said("long"))),
            long,
        );
        let (short, short_told) = oneshot::channel();
        readings.begin(Beside::of_nothing(|_| Some(said("short"))), short);
        assert_eq!(short_told.await.unwrap(), said("short"));
        assert!(long_told.try_recv().is_err());
        go_on.send(()).unwrap();
        assert_eq!(long_told.await.unwrap(), said("long"));
    }

    #[tokio::test]
    async fn a_daemon_that_ends_waits_for_no_reading_and_hangs_up_on_who_asked() {
        let mut readings = Readings::default();
        let mut told = Vec::new();
        for _ in 0..AT_A_TIME + 1 {
            let (reply, answer) = oneshot::channel();
            told.push(answer);
            // Reads until it is called off, as a journal without end would.
            readings.begin(
                Beside::of_nothing(|stop| {
                    while !stop.load(Ordering::Relaxed) {
                        std::thread::yield_now();
                    }
                    None
                }),
                reply,
            );
        }
        readings.end().await;
        for answer in told {
            assert!(answer.await.is_err());
        }
    }

    #[tokio::test]
    async fn a_crowd_of_questions_is_told_to_ask_later() {
        let mut readings = Readings::default();
        let mut kept = Vec::new();
        for _ in 0..MOST {
            let (reply, answer) = oneshot::channel();
            kept.push(answer);
            readings.begin(
                Beside::of_nothing(|stop| {
                    while !stop.load(Ordering::Relaxed) {
                        std::thread::yield_now();
                    }
                    None
                }),
                reply,
            );
        }
        let (reply, told) = oneshot::channel();
        readings.begin(Beside::of_nothing(|_| Some(said("too many"))), reply);
        let Reply::Refused { message, usage } = told.await.unwrap() else {
            panic!("it was taken");
        };
        assert!(message.contains("ask again") && !usage, "{message}");
        readings.end().await;
    }
}

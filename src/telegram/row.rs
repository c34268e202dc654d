//! Requests that leave one after another, each when the one before it was accepted.
//!
//! Whoever sends many waits for each answer before the next may leave, since it may say stop. Where the next request waits
//! beside the connection, it goes into the very next frame after the answer, and nobody has to be woken in between.
//!
//! **Guarantees.** No request of a row is written before the one before it was answered without a refusal, nor once
//! `may_leave` says no, nor after its [`Row`] is gone. What was not written is given back.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use grammers_mtsender::InvocationError;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout, timeout_at};

use super::line::{Answer, Unanswered};

/// Asked before each request of a row leaves: whether it may.
pub type MayLeave = Arc<dyn Fn() -> bool + Send + Sync>;

/// Answers that are told together: the share of the work that each costs whoever hears them shrinks, and a crash leaves no
/// more than so many in doubt.
pub const TOLD_AT_ONCE: usize = 64;
/// And held back for at most so long: a crash then leaves no more in doubt than it must.
const TELL_WITHIN: Duration = Duration::from_millis(20);

struct State {
    next: VecDeque<Arc<[u8]>>,
    /// Requests with their answers, in their order.
    came: Vec<(Arc<[u8]>, Answer)>,
    over: bool,
    /// Nobody waits for it any more.
    left: bool,
}

struct Shared {
    state: Mutex<State>,
    may_leave: MayLeave,
    changed: Notify,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next request, where it may leave.
    fn next(&self, state: &mut State) -> Option<Arc<[u8]>> {
        if state.left || state.next.is_empty() || !(self.may_leave)() {
            return None;
        }
        fail::fail_point!("send.request");
        state.next.pop_front()
    }
}

/// The side of whoever waits for the answers. Where it is dropped nothing more of it leaves.
pub(super) struct Row(Arc<Shared>);

/// The side of the connection.
pub(super) struct Turn(Arc<Shared>);

/// A request that is to be written now, and the place of its answer.
pub(super) type Next = (Arc<[u8]>, Turn);

/// What became of a row so far.
pub(super) struct Came {
    /// Requests with their answers, in their order.
    pub(super) answers: Vec<(Arc<[u8]>, Answer)>,
    /// Nothing more will come.
    pub(super) over: bool,
}

impl Row {
    /// A row and its first request; none where it may not leave.
    pub(super) fn new(requests: VecDeque<Arc<[u8]>>, may_leave: MayLeave) -> (Row, Option<Next>) {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                next: requests,
                came: Vec::new(),
                over: false,
                left: false,
            }),
            may_leave,
            changed: Notify::new(),
        });
        let first = {
            let mut state = shared.state();
            let first = shared.next(&mut state);
            state.over = first.is_none();
            first
        };
        let first = first.map(|request| (request, Turn(Arc::clone(&shared))));
        (Row(shared), first)
    }

    /// Waits for answers. `None`: not one came until then, and what is under way counts as unanswered.
    pub(super) async fn came(&self, deadline: Instant) -> Option<Came> {
        let in_time = timeout_at(deadline, self.until(|state| !state.came.is_empty()));
        if in_time.await.is_ok() {
            let enough = self.until(|state| state.came.len() >= TOLD_AT_ONCE);
            // Those that are here must not wait for one that takes its time.
            let _ = timeout(TELL_WITHIN, enough).await;
        }
        let mut state = self.0.state();
        if state.came.is_empty() && !state.over {
            state.left = true;
            return None;
        }
        Some(Came {
            answers: std::mem::take(&mut state.came),
            over: state.over,
        })
    }

    /// Waits until it is over, or this holds.
    async fn until(&self, holds: impl Fn(&State) -> bool) {
        loop {
            {
                let state = self.0.state();
                if state.over || holds(&state) {
                    return;
                }
            }
            self.0.changed.notified().await;
        }
    }

    /// Ends it. Answers what never left.
    pub(super) fn rest(&self) -> VecDeque<Arc<[u8]>> {
        let mut state = self.0.state();
        state.left = true;
        std::mem::take(&mut state.next)
    }
}

impl Drop for Row {
    fn drop(&mut self) {
        self.0.state().left = true;
    }
}

impl Turn {
    /// Whether its request is not to be written any more.
    pub(super) fn is_called_off(&self) -> bool {
        self.0.state().left || !(self.0.may_leave)()
    }

    /// Gives a request back that was not written.
    pub(super) fn give_back(self, request: Arc<[u8]>) {
        let mut state = self.0.state();
        // Whoever gave it up took it for unanswered already.
        if !state.left {
            state.next.push_front(request);
        }
        state.over = true;
        drop(state);
        self.0.changed.notify_one();
    }

    /// Takes the answer. Answers the request that is to be written next.
    pub(super) fn answered(self, request: Arc<[u8]>, answer: Answer) -> Option<Next> {
        fail::fail_point!("send.answered");
        let fine = answer.is_ok();
        let mut state = self.0.state();
        state.came.push((request, answer));
        let next = match fine {
            true => self.0.next(&mut state),
            false => None,
        };
        state.over = next.is_none();
        let wakes = state.over || state.came.len() == 1 || state.came.len() == TOLD_AT_ONCE;
        drop(state);
        if wakes {
            self.0.changed.notify_one();
        }
        next.map(|request| (request, self))
    }
}

/// A connection that goes without a word leaves its request in doubt.
impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.0.state();
        if !state.over {
            let dropped = InvocationError::Dropped("the connection was given up");
            let answer = Err(Unanswered::Failed(dropped));
            state.came.push((Arc::default(), answer));
            state.over = true;
            drop(state);
            self.0.changed.notify_one();
        }
    }
}

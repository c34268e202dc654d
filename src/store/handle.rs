//! [`StoreHandle`]: the store for async callers. Appending is a write to the page cache and done
//! in place; syncing, folding and everything else of the database happen on two threads of their
//! own.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{oneshot, watch};

use super::error::Failure;
use super::state::{EncodedEvent, Progress};
use super::{Seq, Store, StoreError};

/// An event that nobody waits for is synced after at most this.
const SOON: Duration = Duration::from_millis(50);
/// How often the worker looks whether enough waits to be folded. At 20,000 events a second this
/// makes packs of 4,000 at a time, one database sync for them all.
const FOLD_EVERY: Duration = Duration::from_millis(200);
/// How often it looks where nothing has come since [`FRESH_LOOKS`] looks: an idle daemon is to be idle.
const LOOK_IDLE: Duration = Duration::from_secs(1);
/// Events of so many looks are left where they are: the request of a message is nearly always settled by then, and never
/// reaches the database.
const FRESH_LOOKS: usize = 5;
/// Jobs that may wait for the worker; a caller beyond that waits to hand its job over.
const MAX_JOBS: usize = 1_024;

/// Whether somebody waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The sync starts at once; await [`Appended::durable`] before acting on the events.
    Now,
    /// Synced together with the next that wants it, or within 50 ms. Survives the end of the
    /// process at once.
    Soon,
}

/// Events that were appended.
#[derive(Debug)]
pub struct Appended {
    /// Sequence number of the first.
    pub first: Seq,
    /// Sequence number of the last; one below `first` for an empty batch.
    pub last: Seq,
    waiter: Waiter,
}

impl Appended {
    /// Waits until the events outlive a power cut.
    ///
    /// # Errors
    ///
    /// [`StoreError::Failed`] or [`StoreError::Closed`] when that will not be known any more.
    pub async fn durable(self) -> Result<(), StoreError> {
        self.waiter.wait(self.last).await
    }
}

#[derive(Debug)]
struct Waiter {
    progress: watch::Receiver<Progress>,
    wake: Arc<Wake>,
    failure: Failure,
}

impl Waiter {
    async fn wait(mut self, seq: Seq) -> Result<(), StoreError> {
        if self.progress.borrow().durable >= seq {
            return Ok(());
        }
        self.wake.now();
        let reached = self
            .progress
            .wait_for(|progress| progress.durable >= seq || progress.over)
            .await
            .is_ok_and(|progress| progress.durable >= seq);
        if reached {
            return Ok(());
        }
        Err(self.failure.get().unwrap_or(StoreError::Closed))
    }
}

#[derive(Debug, Default)]
struct Wanted {
    now: bool,
    soon: Option<Instant>,
    stop: bool,
}

#[derive(Debug, Default)]
struct Wake {
    wanted: Mutex<Wanted>,
    signal: Condvar,
}

impl Wake {
    fn set(&self, change: impl FnOnce(&mut Wanted)) {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut wanted);
        self.signal.notify_one();
    }

    fn now(&self) {
        self.set(|wanted| wanted.now = true);
    }

    fn soon(&self) {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        if wanted.soon.is_none() {
            wanted.soon = Some(Instant::now() + SOON);
            self.signal.notify_one();
        }
    }

    /// Waits until a sync is due; `false`: it is the last.
    fn wait(&self) -> bool {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let left = wanted
                .soon
                .map(|at| at.saturating_duration_since(Instant::now()));
            if wanted.now || wanted.stop || left == Some(Duration::ZERO) {
                wanted.now = false;
                wanted.soon = None;
                return !wanted.stop;
            }
            wanted = match left {
                Some(left) => {
                    self.signal
                        .wait_timeout(wanted, left)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
                None => self
                    .signal
                    .wait(wanted)
                    .unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

type Job<E> = Box<dyn FnOnce(&Store<E>) + Send>;

/// The store with its threads. Clones share them; they end with the last clone or with
/// [`StoreHandle::close`].
pub struct StoreHandle<E> {
    store: Store<E>,
    wake: Arc<Wake>,
    shared: Arc<Shared<E>>,
}

struct Shared<E> {
    jobs: Mutex<Option<SyncSender<Job<E>>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    wake: Arc<Wake>,
}

impl<E> Shared<E> {
    fn stop(&self) -> Vec<JoinHandle<()>> {
        self.jobs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        self.wake.set(|wanted| wanted.stop = true);
        std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<E> Drop for Shared<E> {
    fn drop(&mut self) {
        // The threads hold the store; they end by themselves.
        drop(self.stop());
    }
}

impl<E> Clone for StoreHandle<E> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            wake: Arc::clone(&self.wake),
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<E> std::fmt::Debug for StoreHandle<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.store.fmt(f)
    }
}

impl<E: Serialize + DeserializeOwned + Send + Sync + 'static> StoreHandle<E> {
    /// Starts the threads over an open store.
    pub fn start(store: Store<E>) -> Result<Self, StoreError> {
        store.set_over(false);
        let wake = Arc::new(Wake::default());
        let (jobs, queue) = sync_channel(MAX_JOBS);
        let syncer = {
            let (store, wake) = (store.clone(), Arc::clone(&wake));
            spawn("store-sync", move || run_syncer(&store, &wake))?
        };
        let worker = {
            let store = store.clone();
            spawn("store-work", move || run_worker(&store, &queue))?
        };
        let shared = Arc::new(Shared {
            jobs: Mutex::new(Some(jobs)),
            threads: Mutex::new(vec![syncer, worker]),
            wake: Arc::clone(&wake),
        });
        Ok(Self {
            store,
            wake,
            shared,
        })
    }

    /// Appends events as one batch, in place: a write to the page cache, some microseconds. The
    /// events survive the end of the process when this returns.
    pub fn append(&self, events: &[E], durability: Durability) -> Result<Appended, StoreError> {
        self.started(durability, || self.store.append(events))
    }

    /// As [`Store::append_encoded`], as [`StoreHandle::append`].
    pub fn append_encoded(
        &self,
        events: Vec<EncodedEvent>,
        durability: Durability,
    ) -> Result<Appended, StoreError> {
        self.started(durability, || self.store.append_encoded(events))
    }

    /// As [`StoreHandle::append`], each event with bytes that go with it until
    /// [`Store::settle`].
    pub fn append_with_payloads(
        &self,
        events: &[(&E, &[u8])],
        durability: Durability,
    ) -> Result<Appended, StoreError> {
        self.started(durability, || self.store.append_with_payloads(events))
    }

    fn started(
        &self,
        durability: Durability,
        append: impl FnOnce() -> Result<(Seq, Seq), StoreError>,
    ) -> Result<Appended, StoreError> {
        let waiter = self.waiter();
        let (first, last) = append()?;
        if last >= first {
            match durability {
                Durability::Now => self.wake.now(),
                Durability::Soon => self.wake.soon(),
            }
        }
        Ok(Appended {
            first,
            last,
            waiter,
        })
    }

    /// Appends and waits until the events outlive a power cut. Answers the first and last sequence
    /// number.
    pub async fn append_durable(&self, events: &[E]) -> Result<(Seq, Seq), StoreError> {
        let appended = self.append(events, Durability::Now)?;
        let range = (appended.first, appended.last);
        appended.durable().await?;
        Ok(range)
    }

    /// Waits until everything through `seq` outlives a power cut.
    pub async fn durable(&self, seq: Seq) -> Result<(), StoreError> {
        self.waiter().wait(seq).await
    }

    fn waiter(&self) -> Waiter {
        Waiter {
            progress: self.store.progress(),
            wake: Arc::clone(&self.wake),
            failure: self.store.failure_switch(),
        }
    }

    /// Runs `job` on the worker thread: for everything that reads or writes the database.
    pub async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Store<E>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let mut job: Job<E> = Box::new(move |store| {
            // A caller that no longer waits is no error.
            let _ = answer.send(job(store));
        });
        loop {
            let sent = {
                let jobs = self
                    .shared
                    .jobs
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                match &*jobs {
                    Some(jobs) => jobs.try_send(job),
                    None => return Err(StoreError::Closed),
                }
            };
            match sent {
                Ok(()) => break,
                Err(TrySendError::Full(back)) => job = back,
                Err(TrySendError::Disconnected(_)) => return Err(StoreError::Closed),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        answered.await.map_err(|_| StoreError::Closed)?
    }

    /// The store itself, for calls that do not wait for the disk and for blocking threads.
    pub fn store(&self) -> &Store<E> {
        &self.store
    }

    /// Finishes the jobs, syncs what was appended and ends the threads. Further calls answer
    /// [`StoreError::Closed`]. The state's lock goes with the last clone of store and handle.
    pub async fn close(self) -> Result<(), StoreError> {
        let threads = self.shared.stop();
        let store = self.store.clone();
        let joined = tokio::task::spawn_blocking(move || {
            for thread in threads {
                // A panic in one of them was logged; what counts is whether the sync works.
                let _ = thread.join();
            }
            store.sync(store.last_seq())
        });
        joined.await.map_err(|_| StoreError::Closed)?
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(|cause| StoreError::Io {
            action: "start the thread",
            path: name.into(),
            cause: cause.to_string(),
        })
}

fn run_syncer<E>(store: &Store<E>, wake: &Wake) {
    loop {
        let go_on = wake.wait();
        // A failure is kept by the store and told to all who wait.
        let synced = store.sync(store.last_seq());
        if !go_on || synced.is_err() {
            store.set_over(true);
            return;
        }
    }
}

fn run_worker<E>(store: &Store<E>, jobs: &Receiver<Job<E>>) {
    let mut looked = Instant::now();
    // The last event at each of the last looks.
    let mut fresh = VecDeque::from([0; FRESH_LOOKS]);
    loop {
        let idle = fresh.iter().all(|seq| *seq == store.last_seq());
        let every = if idle { LOOK_IDLE } else { FOLD_EVERY };
        match jobs.recv_timeout(every.saturating_sub(looked.elapsed())) {
            Ok(job) => {
                // A caller's mistake must not end the thread that folds; the caller is answered
                // with `Closed`, since his channel goes with the job.
                if catch_unwind(AssertUnwindSafe(|| job(store))).is_err() {
                    tracing::error!("a job on the state broke off");
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if looked.elapsed() >= every {
            looked = Instant::now();
            fresh.push_back(store.last_seq());
            if let Some(ripe) = fresh.pop_front()
                && store.wants_fold()
                && store.failure().is_none()
                && let Err(error) = store.fold_through(ripe)
            {
                tracing::error!(error = %error, "events could not be folded into the database");
            }
        }
    }
}

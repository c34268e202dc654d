//! One account's connection: made when needed, thrown away when in doubt.
//!
//! The library panics at what it takes for impossible and has no time limits. So connecting and speaking are tasks of
//! their own that can be thrown away, and every call has its limit. The key is the file's: where Telegram does not know
//! it, the first words fail (`probe`), and no other is made.

use std::collections::VecDeque;
use std::net::{SocketAddr, SocketAddrV4};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use grammers_mtproto::transport;
use grammers_mtsender::{InvocationError, RpcError, ServerAddr};
use grammers_tl_types::{LAYER, functions};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinError};
use tokio::time::{timeout, timeout_at};

use crate::model::reaction::{Reaction, RpcFault, react};
use crate::model::{InDoubtWhy, Timestamp};

use super::line::{self, Came, Desk, Speaker, Unanswered};
use super::probe::{Unmet, clock_ahead, introduce};
use super::row::MayLeave;
use super::session::SessionFile;
use super::{AccountConfig, CallError, Secret};

/// The most time that connecting and the first answer take together.
pub(super) const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// After a failed attempt nobody tries again for so long, however many ask: the callers' back-off begins there.
const RECONNECT_PAUSE: Duration = Duration::from_millis(900);

/// How many accepted messages, and reads of the connection with anything else in them, wait for their reader, who is never
/// a second behind. What is over is fetched by `updates.getDifference`.
const UPDATES_CAPACITY: usize = 8 * 1024;

/// The largest request: Telegram ends the connection at about 1 MiB, and grammers panics somewhat below it.
pub(super) const MAX_REQUEST: usize = 1000 * 1024;

/// What connects an account, again and again.
pub(super) struct Connector {
    file: SessionFile,
    api_id: i32,
    proxy: Option<Secret>,
    limit: Duration,
    /// The connection that the next call uses.
    live: Mutex<Option<Arc<Live>>>,
    /// Held by whoever connects, so that one does it for all.
    turn: tokio::sync::Mutex<()>,
    failure: Mutex<Option<Failure>>,
    /// Who reads updates, if anybody.
    reader: Mutex<Option<mpsc::UnboundedSender<mpsc::Receiver<Came>>>>,
}

/// A connection and its runner, which ends with the last call that uses it.
struct Live {
    desk: Arc<Desk>,
    runner: AbortHandle,
}

impl Drop for Live {
    fn drop(&mut self) {
        self.runner.abort();
    }
}

#[derive(Clone)]
struct Failure {
    at: Instant,
    wall: Timestamp,
    error: CallError,
}

/// Ends a task that nobody waits for any more.
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A lock that a panic elsewhere cannot poison: what it guards is replaced whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A request and its answer.
pub(super) type Called = (Arc<[u8]>, Result<Vec<u8>, CallError>);

fn ends_at_once() -> CallError {
    CallError::NotSent {
        detail: "the connection ends as soon as it is made".to_owned(),
    }
}

/// The first of these failed before it left.
fn first_failed(requests: &mut VecDeque<Arc<[u8]>>, error: CallError) -> Vec<Called> {
    let first = requests.pop_front();
    first
        .map(|request| (request, Err(error)))
        .into_iter()
        .collect()
}

/// Whether a request can be sent at all.
pub(super) fn can_be_sent(request: &[u8]) -> bool {
    request.len() >= 4 && request.len().is_multiple_of(4) && request.len() <= MAX_REQUEST
}

impl Connector {
    pub(super) fn new(config: &AccountConfig, file: SessionFile) -> Connector {
        Connector {
            file,
            api_id: config.api_id,
            proxy: config.proxy.clone(),
            limit: config.call_timeout,
            live: Mutex::new(None),
            turn: tokio::sync::Mutex::new(()),
            failure: Mutex::new(None),
            reader: Mutex::new(None),
        }
    }

    pub(super) fn auth_key(&self) -> &[u8; 256] {
        &self.file.auth_key
    }

    pub(super) fn self_id(&self) -> Option<i64> {
        self.file.self_id
    }

    /// Makes a call and gives the answer's bytes.
    pub(super) async fn call(&self, request: &[u8]) -> Result<Vec<u8>, CallError> {
        if !can_be_sent(request) {
            return Err(CallError::NotSent {
                detail: format!("a request of {} bytes cannot be sent", request.len()),
            });
        }
        let deadline = tokio::time::Instant::now() + self.limit;
        // A connection that ended while nothing was under way is found out by the first call after it, which was
        // certainly not written: that call gets a new connection, once.
        for _ in 0..2 {
            let live = self.connected(deadline).await?;
            let call = live.desk.ask(Arc::from(request));
            match timeout_at(deadline, call).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(Unanswered::Unwritten)) => self.forget(&live),
                Ok(Err(Unanswered::Failed(error))) => return Err(self.failed_on(&live, error)),
                Err(_) => return Err(self.silent(&live)),
            }
        }
        Err(ends_at_once())
    }

    /// Makes calls one after another, each when the one before it was answered without a refusal and as long as
    /// `may_leave`. `told` hears requests and answers, in their order, the last of them perhaps a failure. Answers the
    /// requests that never left.
    pub(super) async fn call_in_turn(
        &self,
        mut requests: VecDeque<Arc<[u8]>>,
        may_leave: &MayLeave,
        told: &mut (dyn FnMut(Vec<Called>) + Send),
    ) -> VecDeque<Arc<[u8]>> {
        // As of one call: a connection that ended while nothing was under way is found out by the first, which gets a
        // new one, once.
        let mut unwritten = 0;
        while !requests.is_empty() && may_leave() {
            let deadline = tokio::time::Instant::now() + self.limit;
            let live = match self.connected(deadline).await {
                Ok(live) if unwritten < 2 => live,
                Ok(_) => {
                    told(first_failed(&mut requests, ends_at_once()));
                    break;
                }
                Err(error) => {
                    told(first_failed(&mut requests, error));
                    break;
                }
            };
            let row = live.desk.ask_in_turn(requests, Arc::clone(may_leave));
            let mut fine = true;
            let mut again = None;
            loop {
                let deadline = tokio::time::Instant::now() + self.limit;
                let Some(came) = row.came(deadline).await else {
                    told(vec![(Arc::default(), Err(self.silent(&live)))]);
                    fine = false;
                    break;
                };
                let mut answers = Vec::with_capacity(came.answers.len());
                for (request, answer) in came.answers {
                    let answer = match answer {
                        Ok(answer) => {
                            unwritten = 0;
                            Ok(answer)
                        }
                        Err(Unanswered::Unwritten) => {
                            self.forget(&live);
                            unwritten += 1;
                            again = Some(request);
                            continue;
                        }
                        Err(Unanswered::Failed(error)) => {
                            fine = false;
                            Err(self.failed_on(&live, error))
                        }
                    };
                    answers.push((request, answer));
                }
                if !answers.is_empty() {
                    told(answers);
                }
                if came.over {
                    break;
                }
            }
            requests = row.rest();
            if let Some(request) = again {
                requests.push_front(request);
            }
            if !fine {
                break;
            }
        }
        requests
    }

    /// What a refusal or the end of the connection means for a call that was written.
    fn failed_on(&self, live: &Arc<Live>, error: InvocationError) -> CallError {
        if let InvocationError::Rpc(error) = &error {
            let fault = fault(error);
            if matches!(react(&fault), Reaction::InDoubt | Reaction::LoseAccount(_)) {
                self.forget(live);
            }
            return CallError::Rpc(fault);
        }
        self.forget(live);
        CallError::InDoubt {
            why: InDoubtWhy::Connection,
            detail: self.words(&error),
        }
    }

    /// No answer came in time.
    fn silent(&self, live: &Arc<Live>) -> CallError {
        self.forget(live);
        CallError::InDoubt {
            why: InDoubtWhy::Timeout,
            detail: format!("no answer in {} s", self.limit.as_secs_f32()),
        }
    }

    /// The connection of the next call.
    async fn connected(&self, deadline: tokio::time::Instant) -> Result<Arc<Live>, CallError> {
        match self.current() {
            Some(live) => Ok(live),
            None => timeout_at(deadline, self.live()).await.unwrap_or_else(|_| {
                Err(CallError::NotSent {
                    detail: "no connection in time".to_owned(),
                })
            }),
        }
    }

    /// From now on each new connection's updates go to `reader`.
    pub(super) fn read_updates(&self, reader: mpsc::UnboundedSender<mpsc::Receiver<Came>>) {
        *lock(&self.reader) = Some(reader);
        // A connection's updates are given away as it is made: one without a reader makes room for another.
        lock(&self.live).take();
    }

    /// Whether a connection stands.
    pub(super) fn is_alive(&self) -> bool {
        self.current().is_some()
    }

    /// Why the last attempt failed.
    pub(super) fn last_failure(&self) -> Option<(Timestamp, String)> {
        lock(&self.failure)
            .as_ref()
            .map(|failure| (failure.wall, failure.error.to_string()))
    }

    /// Ends the connection: what is under way on it is in doubt, and the next call makes a new one.
    pub(super) fn reconnect(&self) {
        if let Some(live) = lock(&self.live).take() {
            live.runner.abort();
        }
    }

    /// Ends the connection at once, with what is under way on it.
    pub(super) fn close(&self) {
        *lock(&self.reader) = None;
        self.reconnect();
    }

    fn current(&self) -> Option<Arc<Live>> {
        let mut slot = lock(&self.live);
        if slot.as_ref().is_some_and(|live| live.runner.is_finished()) {
            *slot = None;
        }
        slot.clone()
    }

    /// The next call shall not use it; calls under way on it may still end well.
    fn forget(&self, live: &Arc<Live>) {
        let mut slot = lock(&self.live);
        if slot
            .as_ref()
            .is_some_and(|current| Arc::ptr_eq(current, live))
        {
            *slot = None;
        }
    }

    fn failed(&self, error: &CallError) {
        *lock(&self.failure) = Some(Failure {
            at: Instant::now(),
            wall: super::now(),
            error: error.clone(),
        });
    }

    /// A new connection, or the one that somebody else has made meanwhile.
    async fn live(&self) -> Result<Arc<Live>, CallError> {
        let _turn = self.turn.lock().await;
        if let Some(live) = self.current() {
            return Ok(live);
        }
        if let Some(failure) = lock(&self.failure).as_ref()
            && failure.at.elapsed() < RECONNECT_PAUSE
        {
            return Err(failure.error.clone());
        }
        let (speaker, desk) = self
            .connect()
            .await
            .inspect_err(|error| self.failed(error))?;
        *lock(&self.failure) = None;
        let live = Arc::new(self.start(speaker, desk));
        *lock(&self.live) = Some(live.clone());
        Ok(live)
    }

    async fn connect(&self) -> Result<(Speaker, Arc<Desk>), CallError> {
        let address = address(self.file.ipv4, self.proxy.as_ref());
        let auth_key = self.file.auth_key;
        // A task of its own: a panic inside is an error out here.
        let task = tokio::spawn(introduce(address, auth_key, self.api_id));
        let _guard = AbortOnDrop(task.abort_handle());
        let detail = match timeout(CONNECT_LIMIT.min(self.limit), task).await {
            Ok(Ok(Ok(met))) => return Ok(met),
            Ok(Ok(Err(Unmet::Failed(InvocationError::Transport(
                transport::Error::BadStatus { status: 404 },
            ))))) => {
                return Err(CallError::KeyUnknown);
            }
            Ok(Ok(Err(Unmet::ClockAhead(by)))) => clock_ahead(by),
            Ok(Ok(Err(Unmet::Failed(InvocationError::Rpc(error))))) => {
                let fault = fault(&error);
                match react(&fault) {
                    Reaction::LoseAccount(_) | Reaction::Wait { .. } => {
                        return Err(CallError::Rpc(fault));
                    }
                    // Said of connecting, not of the call that waits for it.
                    _ => format!(
                        "it refuses the connection: {} ({})",
                        fault.message, fault.code
                    ),
                }
            }
            Ok(Ok(Err(Unmet::Failed(error)))) => self.words(&error),
            Ok(Err(error)) => panicked(&error),
            Err(_) => "no answer to the attempt to connect".to_owned(),
        };
        Err(CallError::NotSent {
            detail: format!("{}: {detail}", self.file.ipv4),
        })
    }

    fn start(&self, speaker: Speaker, desk: Arc<Desk>) -> Live {
        let (updates, source) = mpsc::channel(UPDATES_CAPACITY);
        let runner = tokio::spawn(line::run(speaker, Arc::clone(&desk), updates)).abort_handle();
        if let Some(reader) = lock(&self.reader).as_ref() {
            // A reader that is gone leaves the updates unread, which is what it wanted.
            let _ = reader.send(source);
        }
        Live { desk, runner }
    }

    fn words(&self, error: &InvocationError) -> String {
        words(error, self.proxy.as_ref())
    }
}

/// An error in words that hold no password of a proxy.
pub(super) fn words(error: &InvocationError, proxy: Option<&Secret>) -> String {
    let words = match error {
        InvocationError::Io(error) => error.to_string(),
        InvocationError::Transport(error) => error.to_string(),
        InvocationError::Deserialize(error) => format!("the answer cannot be read: {error}"),
        InvocationError::Session(_) => {
            "it asked for a new authorization key, which is refused".to_owned()
        }
        InvocationError::Dropped(_) => "the connection ended during the call".to_owned(),
        other => other.to_string(),
    };
    match proxy {
        Some(proxy) => words.replace(proxy.reveal(), "the proxy"),
        None => words,
    }
}

/// Where to connect to, and through what.
pub(super) fn address(ipv4: SocketAddrV4, proxy: Option<&Secret>) -> ServerAddr {
    let address = SocketAddr::V4(ipv4);
    match proxy {
        None => ServerAddr::Tcp { address },
        Some(proxy) => ServerAddr::Proxied {
            address,
            proxy: proxy.reveal().to_owned(),
        },
    }
}

/// The first call of a connection (core.telegram.org/method/initConnection).
pub(super) fn introduction(
    api_id: i32,
) -> functions::InvokeWithLayer<functions::InitConnection<functions::help::GetConfig>> {
    functions::InvokeWithLayer {
        layer: LAYER,
        query: functions::InitConnection {
            api_id,
            device_model: DEVICE_MODEL.to_owned(),
            system_version: std::env::consts::OS.to_owned(),
            app_version: APP_VERSION.to_owned(),
            system_lang_code: LANG.to_owned(),
            lang_pack: String::new(),
            lang_code: LANG.to_owned(),
            proxy: None,
            params: None,
            query: functions::help::GetConfig {},
        },
    }
}

/// What Telegram lists under active sessions (core.telegram.org/method/initConnection).
const DEVICE_MODEL: &str = "Tidings";
const APP_VERSION: &str = env!("CARGO_PKG_VERSION");
const LANG: &str = "en";

pub(super) fn panicked(error: &JoinError) -> String {
    match error.is_panic() {
        true => "it said something that breaks the protocol".to_owned(),
        false => "the attempt was given up".to_owned(),
    }
}

/// Names whose number stands inside; all others end with it. From core.telegram.org/api/errors.
const NUMBER_INSIDE: [(&str, &str, &str); 4] = [
    ("FILE_PART_MISSING", "FILE_PART_", "_MISSING"),
    ("INTERDC_CALL_ERROR", "INTERDC_", "_CALL_ERROR"),
    ("INTERDC_CALL_RICH_ERROR", "INTERDC_", "_CALL_RICH_ERROR"),
    ("FILE_REFERENCE_EXPIRED", "FILE_REFERENCE_", "_EXPIRED"),
];

/// Telegram's refusal in its own words: grammers takes the first number out of a name.
pub(super) fn fault(error: &RpcError) -> RpcFault {
    let message = match error.value {
        // `2FA_CONFIRM_WAIT_3` keeps its digits: only whole words between underscores are taken out.
        Some(value) if !error.name.contains(&value.to_string()) => {
            match NUMBER_INSIDE.iter().find(|(name, ..)| *name == error.name) {
                Some((_, before, after)) => format!("{before}{value}{after}"),
                None => format!("{}_{value}", error.name),
            }
        }
        _ => error.name.clone(),
    };
    RpcFault {
        code: error.code,
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use grammers_tl_types::types;

    #[test]
    fn a_refusal_is_told_in_telegrams_own_words() {
        for message in [
            "FLOOD_WAIT_31",
            "FLOOD_PREMIUM_WAIT_5",
            "SLOWMODE_WAIT_10",
            "ALLOW_PAYMENT_REQUIRED_50",
            "INTERDC_2_CALL_ERROR",
            "FILE_PART_7_MISSING",
            "FILE_REFERENCE_0_EXPIRED",
            "FILE_REFERENCE_EXPIRED",
            "2FA_CONFIRM_WAIT_86400",
            "PEER_FLOOD",
            "Timeout",
            "",
        ] {
            let error = RpcError::from(types::RpcError {
                error_code: 420,
                error_message: message.to_owned(),
            });
            assert_eq!(fault(&error).message, message);
        }
    }
}

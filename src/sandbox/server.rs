//! The socket: connections, one task each, on 127.0.0.1 alone.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::atomic::{AtomicI64, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use grammers_tl_types::{
    Deserializable as _, Identifiable as _, Serializable as _, functions, types,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::faults::Effect;
use super::ledger::{Entry, Ledger};
use super::mtproto::{Framer, Incoming, Key, Packet, Session, rpc_error, transport_error};
use super::rpc::{Answer, Call, Fail, Request, receive};
use super::world::{Deed, World, keyed};

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1_024;
/// Connections at most.
const MAX_CONNECTIONS: usize = 10_000;
/// Message ids remembered per connection, so that a repeated message is not executed twice.
const RECENT_MESSAGES: usize = 4_096;
/// Answers are written out once so many bytes wait.
const WRITE_AT: usize = 256 * 1024;
/// How often the agenda looks at the clock while something is due later.
const AGENDA_TICK: Duration = Duration::from_millis(50);
/// How often buffered ledger lines are written out.
const LEDGER_TICK: Duration = Duration::from_millis(50);
/// How far a client's clock may be behind and ahead, in seconds, <https://core.telegram.org/mtproto/description#message-identifier-msg-id>.
const CLOCK_BEHIND: i64 = 300;
/// See [`CLOCK_BEHIND`].
const CLOCK_AHEAD: i64 = 30;

/// Milliseconds since 1970, as the world sees them.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// What a connection is told from outside.
#[derive(Debug)]
enum Tell {
    Push(Arc<Vec<u8>>),
    Answer { msg_id: i64, result: Vec<u8> },
}

struct Listener {
    connection: u64,
    tell: mpsc::UnboundedSender<Tell>,
    updates: bool,
}

/// World and connections, under one lock.
pub(super) struct Core {
    pub world: World,
    /// By account.
    listeners: Vec<Vec<Listener>>,
}

/// All that the connections share.
pub(super) struct Shared {
    core: Mutex<Core>,
    keys: HashMap<[u8; 8], Arc<Key>>,
    pub ledger: Arc<Ledger>,
    clock: Clock,
    /// How far this server's clock is ahead of this machine's, in seconds.
    ahead: AtomicI64,
    agenda: Notify,
    port: AtomicU16,
    connections: AtomicU64,
    /// Cancelled when the server goes away; a new one when it comes back.
    serving: Mutex<CancellationToken>,
    /// Cancelled for good.
    closed: CancellationToken,
}

/// What a connection does after a call.
enum Outcome {
    Answer(Vec<u8>),
    Wait,
    Silence,
    Close,
    Half(Vec<u8>),
    Garbled(Vec<u8>),
    BadSalt,
    Transport(i32),
    Away(Duration),
}

impl Shared {
    pub fn new(world: World, ledger: Arc<Ledger>, clock: Clock) -> Arc<Self> {
        let keys: HashMap<[u8; 8], Arc<Key>> = (0..world.accounts.len())
            .map(|at| Arc::new(Key::new(at, world.auth_key(at))))
            .map(|key| (key.id, key))
            .collect();
        let listeners = (0..world.accounts.len()).map(|_| Vec::new()).collect();
        Arc::new(Self {
            core: Mutex::new(Core { world, listeners }),
            keys,
            ledger,
            clock,
            ahead: AtomicI64::new(0),
            agenda: Notify::new(),
            port: AtomicU16::new(0),
            connections: AtomicU64::new(0),
            serving: Mutex::new(CancellationToken::new()),
            closed: CancellationToken::new(),
        })
    }

    pub fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn now(&self) -> i64 {
        (self.clock)() + self.ahead() * 1000
    }

    /// The protocol's own time in seconds: always the machine's, whatever clock the world goes by.
    fn wall(&self) -> i64 {
        chrono::Utc::now().timestamp() + self.ahead()
    }

    fn ahead(&self) -> i64 {
        self.ahead.load(Ordering::Relaxed)
    }

    pub fn set_ahead(&self, seconds: i64) {
        self.ahead.store(seconds, Ordering::Relaxed);
    }

    pub fn port(&self) -> u16 {
        self.port.load(Ordering::Relaxed)
    }

    fn entry(&self, kind: &str, method: &str) -> Entry {
        Entry {
            at: self.now(),
            kind: kind.into(),
            method: method.into(),
            ..Entry::default()
        }
    }

    /// The key of an account, for its faults.
    pub fn key_of(&self, account: usize) -> Option<&Arc<Key>> {
        self.keys.values().find(|key| key.account == account)
    }

    /// Begins to listen; on the port of before where there was one.
    pub async fn listen(self: &Arc<Self>, port: u16) -> std::io::Result<()> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)))?;
        let listener = socket.listen(BACKLOG)?;
        self.port
            .store(listener.local_addr()?.port(), Ordering::Relaxed);
        let token = CancellationToken::new();
        *self.serving.lock().unwrap_or_else(PoisonError::into_inner) = token.clone();
        tokio::spawn(Arc::clone(self).accept(listener, token));
        Ok(())
    }

    /// Closes the listener and all connections; the world stays.
    pub fn go_away(&self) {
        self.serving
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .cancel();
    }

    /// Goes away and comes back on the same port.
    pub fn go_away_for(self: &Arc<Self>, time: Duration) {
        self.go_away();
        self.ledger.write(Entry {
            note: Some(format!("{} ms", time.as_millis())),
            ..self.entry("fault", "away")
        });
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(time) => {}
                () = shared.closed.cancelled() => return,
            }
            // The port may be taken for a moment.
            for _ in 0..100 {
                match shared.listen(shared.port()).await {
                    Ok(()) => {
                        shared.ledger.write(shared.entry("fault", "back"));
                        return;
                    }
                    Err(error) => tracing::warn!(%error, "the sandbox cannot listen again yet"),
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
    }

    /// Cancelled when everything ends.
    pub fn closed(&self) -> CancellationToken {
        self.closed.clone()
    }

    /// Ends everything.
    pub fn close(&self) {
        self.closed.cancel();
        self.go_away();
        self.ledger.flush();
    }

    async fn accept(self: Arc<Self>, listener: TcpListener, token: CancellationToken) {
        let open = Arc::new(tokio::sync::Semaphore::new(MAX_CONNECTIONS));
        loop {
            let stream = tokio::select! {
                () = token.cancelled() => return,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        tracing::warn!(%error, "the sandbox cannot accept a connection");
                        tokio::time::sleep(Duration::from_millis(10)).await;
                        continue;
                    }
                },
            };
            let Ok(permit) = Arc::clone(&open).try_acquire_owned() else {
                continue;
            };
            let number = self.connections.fetch_add(1, Ordering::Relaxed) + 1;
            let shared = Arc::clone(&self);
            let token = token.clone();
            tokio::spawn(async move {
                Connection::new(shared, number).run(stream, token).await;
                drop(permit);
            });
        }
    }

    /// Background work: what people do later, and the ledger's lines.
    pub fn spawn_background(self: &Arc<Self>) {
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                let next = shared.lock().world.next_due();
                let wait = async {
                    match next {
                        None => shared.agenda.notified().await,
                        Some(at) => {
                            let left = Duration::from_millis(
                                u64::try_from(at - shared.now()).unwrap_or(0),
                            );
                            tokio::time::sleep(left.min(AGENDA_TICK)).await;
                        }
                    }
                };
                tokio::select! {
                    () = wait => {}
                    () = shared.closed.cancelled() => return,
                }
                shared.step();
            }
        });
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = tokio::time::sleep(LEDGER_TICK) => shared.ledger.flush(),
                    () = shared.closed.cancelled() => return,
                }
            }
        });
    }

    /// Does what is due and tells the connections.
    pub fn step(&self) {
        let mut core = self.lock();
        self.step_on(&mut core);
    }

    /// The same, with the world in hand.
    fn step_on(&self, core: &mut Core) {
        let now = self.now();
        for deed in core.world.step(now) {
            let (what, user, account, text) = match deed {
                Deed::Write {
                    user,
                    account,
                    text,
                } => ("write", user, account, Some(text)),
                Deed::Edit {
                    user,
                    account,
                    text,
                } => ("edit", user, account, Some(text)),
                Deed::Block { user, account } => ("block", user, account, None),
            };
            self.ledger.write(Entry {
                account: core.world.accounts.get(account).map(|a| a.name.clone()),
                peer: core.world.users.get(user).map(|u| format!("user:{}", u.id)),
                text,
                effect: true,
                ..self.entry("person", what)
            });
        }
        self.tell(core);
    }

    /// Tells the connections what the world pushed.
    pub fn tell(&self, core: &mut Core) {
        let now = self.now();
        for push in core.world.take_pushes() {
            let Some(listeners) = core.listeners.get(push.account) else {
                continue;
            };
            let mut rendered: Option<Arc<Vec<u8>>> = None;
            for listener in listeners {
                if !listener.updates || push.except == Some(listener.connection) {
                    continue;
                }
                if rendered.is_none() {
                    rendered = core
                        .world
                        .show_push(push.account, &push.what, now)
                        .map(|u| Arc::new(u.to_bytes()));
                }
                if let Some(bytes) = &rendered {
                    // A closed connection is taken out by itself.
                    let _ = listener.tell.send(Tell::Push(Arc::clone(bytes)));
                }
            }
        }
        if core.world.next_due().is_some() {
            self.agenda.notify_one();
        }
    }

    fn perform(
        &self,
        core: &mut Core,
        at: &Place,
        entry: &mut Entry,
        request: Result<Request, Fail>,
    ) -> Answer {
        let mut call = Call {
            world: &mut core.world,
            account: at.account,
            connection: at.connection,
            now: entry.at,
            port: self.port(),
            entry,
        };
        let answer = call.perform(request);
        match &answer {
            Ok(_) => entry.effect = entry.first != Some(false),
            Err(fail) => {
                entry.error = Some(fail.text.clone());
                entry.code = Some(fail.code);
            }
        }
        self.tell(core);
        answer
    }

    /// One call, with the fault that applies to it.
    fn call(
        self: &Arc<Self>,
        at: &Place,
        msg_id: i64,
        method: String,
        request: Result<Request, Fail>,
        tell: &mpsc::UnboundedSender<Tell>,
    ) -> Outcome {
        let mut guard = self.lock();
        let core = &mut *guard;
        // What is due has happened before whoever asks is answered, however late the clockwork runs.
        if core.world.next_due().is_some_and(|at| at <= self.now()) {
            self.step_on(core);
        }
        let fault = core
            .world
            .fault_for(at.account, &method, request.as_ref().ok());
        let mut entry = Entry {
            account: core.world.accounts.get(at.account).map(|a| a.name.clone()),
            connection: Some(at.connection),
            fault: fault.as_ref().map(Effect::word),
            ..self.entry("rpc", &method)
        };
        let bytes = |answer: Answer| answer.unwrap_or_else(|fail| rpc_error(fail.code, &fail.text));
        // Refused and faulted calls are described too.
        if let Ok(request) = &request {
            request.describe(&mut entry, core.world.self_id(at.account));
        }
        let outcome = match fault {
            None => Outcome::Answer(bytes(self.perform(core, at, &mut entry, request))),
            Some(Effect::Error { code, text }) => {
                let result = rpc_error(code, &text);
                entry.error = Some(text);
                entry.code = Some(code);
                Outcome::Answer(result)
            }
            Some(Effect::DropBefore) => Outcome::Close,
            Some(Effect::SilentBefore) => Outcome::Silence,
            Some(Effect::DropAfter) => {
                let _ = self.perform(core, at, &mut entry, request);
                Outcome::Close
            }
            Some(Effect::SilentAfter) => {
                let _ = self.perform(core, at, &mut entry, request);
                Outcome::Silence
            }
            Some(Effect::HalfAnswer) => {
                Outcome::Half(bytes(self.perform(core, at, &mut entry, request)))
            }
            Some(Effect::Garbled) => {
                Outcome::Garbled(bytes(self.perform(core, at, &mut entry, request)))
            }
            Some(Effect::BadSalt) => {
                if let Some(key) = self.key_of(at.account) {
                    key.epoch.fetch_add(1, Ordering::Relaxed);
                }
                Outcome::BadSalt
            }
            Some(Effect::Transport(code)) => Outcome::Transport(code),
            Some(Effect::ForgetKey) => {
                if let Some(key) = self.key_of(at.account) {
                    key.known.store(false, Ordering::Relaxed);
                }
                Outcome::Transport(404)
            }
            Some(Effect::Away(span)) => Outcome::Away(span.0),
            Some(Effect::DelayAnswer(span)) => {
                let result = bytes(self.perform(core, at, &mut entry, request));
                let tell = tell.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(span.0).await;
                    let _ = tell.send(Tell::Answer { msg_id, result });
                });
                Outcome::Wait
            }
            Some(Effect::Delay(span)) => {
                let own = core.world.self_id(at.account);
                let key = request.as_ref().ok().and_then(|r| r.send_key(own));
                let owner = core.world.accounts.get_mut(at.account);
                // A repeat of a send under way is answered at once, by the send itself.
                let under_way = owner.zip(key).is_some_and(|(owner, key)| {
                    !owner.random_ids.contains_key(&key) && !owner.in_flight.insert(key)
                });
                if under_way {
                    Outcome::Answer(bytes(self.perform(core, at, &mut entry, request)))
                } else {
                    let (shared, at, tell) = (Arc::clone(self), *at, tell.clone());
                    // The client may be gone by then; the effect takes place all the same.
                    tokio::spawn(async move {
                        tokio::time::sleep(span.0).await;
                        let result = {
                            let mut guard = shared.lock();
                            let core = &mut *guard;
                            if let Some((owner, key)) =
                                core.world.accounts.get_mut(at.account).zip(key)
                            {
                                owner.in_flight.remove(&key);
                            }
                            entry.at = shared.now();
                            let answer = shared.perform(core, &at, &mut entry, request);
                            shared.ledger.write(entry);
                            answer.unwrap_or_else(|fail| rpc_error(fail.code, &fail.text))
                        };
                        let _ = tell.send(Tell::Answer { msg_id, result });
                    });
                    return Outcome::Wait;
                }
            }
        };
        self.ledger.write(entry);
        outcome
    }
}

/// Who calls, and over which connection.
#[derive(Debug, Clone, Copy)]
struct Place {
    account: usize,
    connection: u64,
}

/// Why a connection ends.
enum End {
    Quietly,
    Transport(i32, String),
}

struct Connection {
    shared: Arc<Shared>,
    number: u64,
    framer: Framer,
    key: Option<Arc<Key>>,
    session: Option<Session>,
    recent: HashSet<i64>,
    order: VecDeque<i64>,
    deadline: Option<Instant>,
    out: Vec<u8>,
    told: mpsc::UnboundedReceiver<Tell>,
    tell: mpsc::UnboundedSender<Tell>,
    /// Whether updates were asked for already.
    updates: bool,
}

impl Connection {
    fn new(shared: Arc<Shared>, number: u64) -> Self {
        let (tell, told) = mpsc::unbounded_channel();
        Self {
            shared,
            number,
            framer: Framer::default(),
            key: None,
            session: None,
            recent: HashSet::new(),
            order: VecDeque::new(),
            deadline: None,
            out: Vec::new(),
            told,
            tell,
            updates: false,
        }
    }

    async fn run(mut self, mut stream: TcpStream, token: CancellationToken) {
        let _ = stream.set_nodelay(true);
        let (mut reader, mut writer) = stream.split();
        let mut buffer = BytesMut::with_capacity(64 * 1024);
        loop {
            let deadline = self.deadline;
            let mut end = None;
            tokio::select! {
                () = token.cancelled() => break,
                () = async { match deadline { Some(at) => tokio::time::sleep_until(at).await, None => std::future::pending().await } } => {
                    self.note("closed", "no ping in time");
                    break;
                }
                read = reader.read_buf(&mut buffer) => match read {
                    Ok(0) | Err(_) => break,
                    Ok(_) => end = self.process(&mut buffer),
                },
                Some(tell) = self.told.recv() => self.take(tell),
            }
            while let Ok(tell) = self.told.try_recv() {
                self.take(tell);
            }
            self.flush();
            if let Some(End::Transport(code, why)) = &end {
                self.note("transport error", why);
                self.out.extend(transport_error(*code));
            }
            if !self.out.is_empty() {
                let written = tokio::select! {
                    () = token.cancelled() => break,
                    written = writer.write_all(&self.out) => written,
                };
                self.out.clear();
                if written.is_err() {
                    break;
                }
            }
            if end.is_some() {
                let _ = writer.shutdown().await;
                break;
            }
        }
        if let Some(key) = &self.key {
            let mut core = self.shared.lock();
            if let Some(listeners) = core.listeners.get_mut(key.account) {
                listeners.retain(|l| l.connection != self.number);
            }
        }
    }

    fn note(&self, method: &str, note: &str) {
        let account = self.key.as_ref().and_then(|key| {
            self.shared
                .lock()
                .world
                .accounts
                .get(key.account)
                .map(|a| a.name.clone())
        });
        self.shared.ledger.write(Entry {
            account,
            connection: Some(self.number),
            note: Some(note.to_owned()),
            ..self.shared.entry("transport", method)
        });
    }

    fn take(&mut self, tell: Tell) {
        let Some(session) = &mut self.session else {
            return;
        };
        match tell {
            Tell::Push(updates) => session.push(updates.to_vec()),
            Tell::Answer { msg_id, result } => session.result(msg_id, &result),
        }
    }

    fn flush(&mut self) {
        if let (Some(session), Some(key)) = (&mut self.session, &self.key)
            && session.is_waiting()
        {
            session.flush(key, key.salt(self.shared.wall()), &mut self.out);
        }
    }

    /// All whole frames that have come.
    fn process(&mut self, buffer: &mut BytesMut) -> Option<End> {
        loop {
            match self.framer.next(buffer) {
                Ok(None) => return None,
                Ok(Some(mut frame)) => {
                    if let Some(end) = self.frame(&mut frame) {
                        return Some(end);
                    }
                }
                Err(error) => return Some(End::Transport(404, error.to_string())),
            }
            if self.out.len() > WRITE_AT {
                // Keeps memory bounded; the rest of the frames is processed after the next read or tell.
                self.flush();
            }
        }
    }

    fn frame(&mut self, frame: &mut BytesMut) -> Option<End> {
        let Some(id) = frame.get(..8).and_then(|id| <[u8; 8]>::try_from(id).ok()) else {
            return Some(End::Transport(404, "a frame without a key id".into()));
        };
        if id == [0; 8] {
            return Some(End::Transport(
                404,
                "a plain message: this server makes no keys".into(),
            ));
        }
        let key = match &self.key {
            Some(key) if key.id == id => Arc::clone(key),
            _ => match self.shared.keys.get(&id) {
                Some(key) => Arc::clone(key),
                None => return Some(End::Transport(404, "an unknown key".into())),
            },
        };
        if !key.known.load(Ordering::Relaxed) {
            self.key.get_or_insert(key);
            return Some(End::Transport(404, "a forgotten key".into()));
        }
        if self.key.as_ref().is_none_or(|old| old.id != key.id) {
            self.register(&key);
            self.key = Some(Arc::clone(&key));
        }
        let packet = match key.open(frame) {
            Ok(packet) => packet,
            Err(error) => return Some(End::Transport(404, error.to_string())),
        };
        self.packet(&key, packet)
    }

    /// This connection is the account's now; updates begin with its first call.
    fn register(&mut self, key: &Key) {
        self.updates = false;
        let mut core = self.shared.lock();
        for listeners in &mut core.listeners {
            listeners.retain(|l| l.connection != self.number);
        }
        if let Some(listeners) = core.listeners.get_mut(key.account) {
            listeners.push(Listener {
                connection: self.number,
                tell: self.tell.clone(),
                updates: false,
            });
        }
    }

    fn packet(&mut self, key: &Arc<Key>, packet: Packet) -> Option<End> {
        let ahead = self.shared.ahead();
        let now = self.shared.wall();
        let frame = self.session.as_ref().map_or(0, Session::frame);
        let fresh = self.session.as_ref().is_none_or(|s| s.id != packet.session);
        if fresh {
            self.session = Some(Session::new(packet.session, frame, ahead));
            self.recent.clear();
            self.order.clear();
        }
        let session = self.session.as_mut()?;
        let sent = packet.msg_id >> 32;
        let bad = if packet.msg_id & 3 != 0 {
            Some(18)
        } else if sent < now - CLOCK_BEHIND {
            Some(16)
        } else if sent > now + CLOCK_AHEAD {
            Some(17)
        } else {
            None
        };
        if let Some(code) = bad {
            session.bad_message(packet.msg_id, packet.seq_no, code);
            // The session is not made by a message that is ignored.
            self.forget_fresh(fresh);
            return None;
        }
        if !key.salt_fits(packet.salt, now) {
            session.bad_salt(packet.msg_id, packet.seq_no, key.salt(now));
            self.forget_fresh(fresh);
            return None;
        }
        if self.order.is_empty() {
            let first = packet.messages.first().map_or(packet.msg_id, |m| m.msg_id);
            session.new_session(first, key.salt(now));
        }
        for message in packet.messages {
            if !self.recent.insert(message.msg_id) {
                // Came before: it is acknowledged, not executed again.
                if let Some(session) = &mut self.session {
                    session.ack(vec![message.msg_id]);
                }
                continue;
            }
            self.order.push_back(message.msg_id);
            if self.order.len() > RECENT_MESSAGES
                && let Some(old) = self.order.pop_front()
            {
                self.recent.remove(&old);
            }
            if let Some(end) = self.message(key, message) {
                return Some(end);
            }
        }
        None
    }

    /// Writes out what a fresh session was told, and forgets that it exists: the next message makes it.
    fn forget_fresh(&mut self, fresh: bool) {
        if fresh {
            self.flush();
        }
    }

    fn message(&mut self, key: &Arc<Key>, message: Incoming) -> Option<End> {
        let id = u32::from_bytes(&message.body).unwrap_or(0);
        // A function's own decoding begins behind its constructor.
        let arguments = message.body.get(4..).unwrap_or_default();
        let now = self.shared.wall();
        let session = self.session.as_mut()?;
        match id {
            types::MsgsAck::CONSTRUCTOR_ID
            | types::HttpWait::CONSTRUCTOR_ID
            | types::MsgsStateInfo::CONSTRUCTOR_ID => {}
            functions::Ping::CONSTRUCTOR_ID => {
                if let Ok(ping) = functions::Ping::from_bytes(arguments) {
                    session.pong(message.msg_id, ping.ping_id);
                }
            }
            functions::PingDelayDisconnect::CONSTRUCTOR_ID => {
                if let Ok(ping) = functions::PingDelayDisconnect::from_bytes(arguments) {
                    session.pong(message.msg_id, ping.ping_id);
                    let delay = u64::try_from(ping.disconnect_delay).unwrap_or(0);
                    self.deadline = Some(Instant::now() + Duration::from_secs(delay));
                }
            }
            functions::GetFutureSalts::CONSTRUCTOR_ID => {
                if let Ok(wanted) = functions::GetFutureSalts::from_bytes(arguments) {
                    session.future_salts(message.msg_id, now, key.future_salts(now, wanted.num));
                }
            }
            functions::DestroySession::CONSTRUCTOR_ID => {
                if let Ok(wanted) = functions::DestroySession::from_bytes(arguments) {
                    // A session cannot destroy itself; of others nothing is kept, so they are gone.
                    let own = wanted.session_id == session.id;
                    session.destroyed(wanted.session_id, own);
                }
            }
            functions::RpcDropAnswer::CONSTRUCTOR_ID => {
                session.result(
                    message.msg_id,
                    &types::RpcAnswerUnknown::CONSTRUCTOR_ID.to_bytes(),
                );
            }
            types::MsgsStateReq::CONSTRUCTOR_ID | types::MsgResendReq::CONSTRUCTOR_ID => {
                let ids = Vec::<i64>::from_bytes(arguments).unwrap_or_default();
                session.state_info(message.msg_id, ids.len());
            }
            // A call needs an answer, so its number is odd.
            _ if message.seq_no & 1 == 0 => session.bad_message(message.msg_id, message.seq_no, 35),
            _ => return self.call(key, &message),
        }
        None
    }

    fn call(&mut self, key: &Arc<Key>, message: &Incoming) -> Option<End> {
        let received = receive(&message.body);
        let account = key.account;
        if !received.without_updates && !self.updates {
            self.updates = true;
            self.want_updates(account);
        }
        let place = Place {
            account,
            connection: self.number,
        };
        let outcome = self.shared.call(
            &place,
            message.msg_id,
            received.method,
            received.request,
            &self.tell,
        );
        let session = self.session.as_mut()?;
        match outcome {
            Outcome::Answer(result) => session.result(message.msg_id, &result),
            Outcome::Wait => session.ack(vec![message.msg_id]),
            Outcome::Silence => {}
            Outcome::Close => {
                self.flush();
                return Some(End::Quietly);
            }
            Outcome::BadSalt => {
                session.bad_salt(message.msg_id, message.seq_no, key.salt(self.shared.wall()));
            }
            Outcome::Half(result) => {
                self.flush();
                let whole = self.out.len();
                self.session.as_mut()?.result(message.msg_id, &result);
                self.flush();
                let half = whole + (self.out.len() - whole) / 2;
                self.out.truncate(half);
                return Some(End::Quietly);
            }
            Outcome::Garbled(result) => {
                self.flush();
                let whole = self.out.len();
                self.session.as_mut()?.result(message.msg_id, &result);
                self.flush();
                garble(self.out.get_mut(whole..).unwrap_or_default());
            }
            Outcome::Transport(code) => {
                self.flush();
                return Some(End::Transport(code, "asked for by a fault".into()));
            }
            Outcome::Away(time) => {
                self.shared.go_away_for(time);
                return Some(End::Quietly);
            }
        }
        None
    }

    fn want_updates(&mut self, account: usize) {
        let mut core = self.shared.lock();
        let own = core
            .listeners
            .get_mut(account)
            .and_then(|all| all.iter_mut().find(|l| l.connection == self.number));
        if let Some(listener) = own {
            listener.updates = true;
        }
    }
}

/// Turns a frame's ciphertext into noise, with a checksum that fits.
fn garble(frame: &mut [u8]) {
    let Some(end) = frame.len().checked_sub(4).filter(|end| *end > 32) else {
        return;
    };
    let noise = keyed(b"noise", &[&frame[32..40]]).to_le_bytes();
    for (byte, other) in frame[32..end].iter_mut().zip(noise.iter().cycle()) {
        *byte ^= other | 1;
    }
    let crc = crc32fast::hash(&frame[..end]).to_le_bytes();
    frame[end..].copy_from_slice(&crc);
}

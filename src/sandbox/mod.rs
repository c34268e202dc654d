//! A loopback Telegram: a server that speaks real MTProto 2.0 to an unmodified client, with a world made from
//! a seed or a file behind it, and an OpenAI-compatible endpoint beside it. Only on 127.0.0.1.
//!
//! There is no key exchange: each account's auth key comes from the seed and is handed over through the session
//! file that [`Sandbox::write_sessions`] writes. What the server received stands in the [`Ledger`], from which
//! tests judge. What goes wrong is said by [`FaultRule`]s, in the world file or at run time.
//!
//! `world`, `spec`, `build`, `show` and `rpc` are pure (now is an argument); `mtproto` knows the protocol without
//! sockets; `server` has the sockets.
//!
//! # Assumptions
//! The client brings its key: a plain message (the begin of a key exchange) is answered with transport error 404.
//! Telegram's undocumented numbers (how many sends make a flood) are the world file's, not Telegram's.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use grammers_session::Session as _;
use grammers_session::storages::SqliteSession;
use grammers_session::types::{DcOption, PeerAuth, PeerId, PeerInfo};

mod blank;
mod build;
mod cli;
mod faults;
mod ledger;
mod mtproto;
mod openai;
mod rpc;
mod scripts;
mod server;
mod show;
mod spec;
mod world;

#[cfg(test)]
mod tests;

pub use build::Sizes;
pub use cli::{SandboxArgs, run_cli};
pub use faults::{Effect, FaultRule};
pub use ledger::{Entry, Ledger};
pub use openai::{AiFaultKind, AiFaultRule, AiSpec};
pub use server::Clock;
pub use spec::{
    AccountSpec, Choice, DialogSpec, GroupKind, GroupSpec, History, LastSeen, LimitsSpec, LineSpec,
    PersonSpec, Privacy, RateSpec, Ref, Replies, ScriptSpec, Span, SpanRange, UpdatesSpec,
    WorldError, WorldSpec, Writers,
};
pub use world::{Account, Deed, Group, Member, Msg, Peer, User, World};

/// Reads bytes as they may come over a connection: for tests with hostile input.
#[doc(hidden)]
pub fn read_frames(bytes: &[u8]) {
    mtproto::read_frames(bytes);
}

/// Why the sandbox cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The world cannot be made.
    #[error(transparent)]
    World(#[from] WorldError),
    /// A socket or file.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A session file.
    #[error("the session file {path} cannot be written: {reason}")]
    Session {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A session file that holds a key of elsewhere.
    #[error(
        "{0} is a session of another server; it is left as it is. Choose another --sessions-dir"
    )]
    Foreign(PathBuf),
    /// No such person or account.
    #[error("this world has no {0}")]
    Nobody(String),
}

fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> SandboxError {
    let what = what.into();
    move |source| SandboxError::Io { what, source }
}

/// How a sandbox is set up.
#[derive(Clone)]
pub struct SandboxOptions {
    /// The world; see [`WorldSpec::generate`] and [`WorldSpec::from_yaml`].
    pub world: WorldSpec,
    /// The Telegram's port; 0: any.
    pub port: u16,
    /// The OpenAI-compatible endpoint's port; 0: any; `None`: no endpoint.
    pub ai_port: Option<u16>,
    /// Where the ledger is appended; `None`: in memory alone.
    pub ledger: Option<PathBuf>,
    /// Keep the ledger in memory, for [`Sandbox::ledger`].
    pub keep_ledger: bool,
    /// People's delays are divided by it.
    pub speed: f64,
    /// What time the world has; the real one where absent (MTProto itself always has the real one).
    pub clock: Option<Clock>,
}

impl Default for SandboxOptions {
    fn default() -> Self {
        Self {
            world: WorldSpec::generate(1, Sizes::default()),
            port: 0,
            ai_port: Some(0),
            ledger: None,
            keep_ledger: true,
            speed: 1.0,
            clock: None,
        }
    }
}

/// A running sandbox. Dropping it ends everything.
pub struct Sandbox {
    shared: Arc<server::Shared>,
    openai: Option<SocketAddr>,
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox")
            .field("addr", &self.addr())
            .field("openai", &self.openai)
            .finish_non_exhaustive()
    }
}

impl Sandbox {
    /// Makes the world and listens.
    ///
    /// # Errors
    /// When the world cannot be made, a port is taken or the ledger cannot be opened.
    pub async fn start(options: SandboxOptions) -> Result<Self, SandboxError> {
        let clock = options
            .clock
            .unwrap_or_else(|| Arc::new(|| chrono::Utc::now().timestamp_millis()));
        let mut world = World::new(&options.world, clock())?;
        world.speed = options.speed;
        let ledger = Ledger::new(options.ledger.as_deref(), options.keep_ledger)
            .map_err(io("the ledger cannot be opened"))?;
        let shared = server::Shared::new(world, Arc::new(ledger), clock);
        shared.listen(options.port).await.map_err(io(format!(
            "127.0.0.1:{} cannot be listened on",
            options.port
        )))?;
        shared.spawn_background();
        let openai = match options.ai_port {
            None => None,
            Some(port) => {
                let ai = openai::serve(
                    Arc::clone(&shared),
                    options.world.ai.clone(),
                    options.world.seed,
                    port,
                )
                .await;
                match ai {
                    Ok(addr) => Some(addr),
                    Err(source) => {
                        shared.close();
                        return Err(io(format!("127.0.0.1:{port} cannot be listened on"))(
                            source,
                        ));
                    }
                }
            }
        };
        Ok(Self { shared, openai })
    }

    /// Where the Telegram listens.
    pub fn addr(&self) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::LOCALHOST, self.shared.port())
    }

    /// The OpenAI-compatible endpoint's base URL, with `/v1`; `None` without one.
    pub fn openai_url(&self) -> Option<String> {
        self.openai.map(|addr| format!("http://{addr}/v1"))
    }

    /// What the server received.
    pub fn ledger(&self) -> &Ledger {
        &self.shared.ledger
    }

    /// Writes the ledger's buffered lines to its file now.
    pub fn flush(&self) {
        self.shared.ledger.flush();
    }

    /// Adds a fault rule, behind the others.
    pub fn fault(&self, rule: FaultRule) {
        self.shared.lock().world.add_fault(rule);
    }

    /// Removes all fault rules.
    pub fn clear_faults(&self) {
        self.shared.lock().world.clear_faults();
    }

    /// Looks at the world, or changes it; what it then has to tell, the connections are told.
    pub fn world<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        let mut core = self.shared.lock();
        let seen = look(&mut core.world);
        self.shared.tell(&mut core);
        seen
    }

    /// A person writes to an account at once; returns the message's id in that account's box.
    ///
    /// # Errors
    /// When the world has no such person or account.
    pub fn send_as_person(
        &self,
        person: impl Into<Ref>,
        account: &str,
        text: &str,
    ) -> Result<i32, SandboxError> {
        self.write("person", account, &person.into(), text)
    }

    /// A person changes a message that he wrote to an account: the one of this id in that account's box, or his last.
    /// Returns its id.
    ///
    /// # Errors
    /// When the world has no such person, account or message.
    pub fn edit_as_person(
        &self,
        person: impl Into<Ref>,
        account: &str,
        id: Option<i32>,
        text: &str,
    ) -> Result<i32, SandboxError> {
        let (now, person) = (self.shared.now(), person.into());
        self.world(|world| {
            let nobody = || SandboxError::Nobody(person.to_string());
            let user = world.find_user(&person).ok_or_else(nobody)?;
            let at = world
                .account_index(account)
                .ok_or_else(|| SandboxError::Nobody(account.to_owned()))?;
            self.shared.ledger.write(Entry {
                at: now,
                kind: "person".into(),
                method: "edit".into(),
                account: Some(account.to_owned()),
                peer: world.users.get(user).map(|u| format!("user:{}", u.id)),
                text: Some(text.to_owned()),
                effect: true,
                ..Entry::default()
            });
            world.edit_from(user, at, id, text, now).ok_or_else(nobody)
        })
    }

    /// A person writes in the group, or posts in the channel, of this title.
    ///
    /// # Errors
    /// When the world has no such person or place.
    pub fn send_in_place(
        &self,
        person: impl Into<Ref>,
        title: &str,
        text: &str,
    ) -> Result<(), SandboxError> {
        let (now, person) = (self.shared.now(), person.into());
        self.world(|world| {
            let user = world
                .find_user(&person)
                .ok_or_else(|| SandboxError::Nobody(person.to_string()))?;
            let at = world
                .groups
                .iter()
                .position(|group| group.title == title)
                .ok_or_else(|| SandboxError::Nobody(title.to_owned()))?;
            self.shared.ledger.write(Entry {
                at: now,
                kind: "person".into(),
                method: "write".into(),
                peer: Some(
                    world
                        .groups
                        .get(at)
                        .map_or(String::new(), |g| g.title.clone()),
                ),
                text: Some(text.to_owned()),
                effect: true,
                ..Entry::default()
            });
            world.write_in(at, user, text, now);
            Ok(())
        })
    }

    /// A human writes to a person from another client of the account; returns the message's id.
    ///
    /// # Errors
    /// When the world has no such person or account.
    pub fn send_as_account(
        &self,
        account: &str,
        person: impl Into<Ref>,
        text: &str,
    ) -> Result<i32, SandboxError> {
        self.write("human", account, &person.into(), text)
    }

    /// A message between the two, by the `person` or by a `human` who uses the account: the ledger's `kind`.
    fn write(
        &self,
        kind: &str,
        account: &str,
        person: &Ref,
        text: &str,
    ) -> Result<i32, SandboxError> {
        let now = self.shared.now();
        self.world(|world| {
            let user = world
                .find_user(person)
                .ok_or_else(|| SandboxError::Nobody(person.to_string()))?;
            let at = world
                .account_index(account)
                .ok_or_else(|| SandboxError::Nobody(account.to_owned()))?;
            self.shared.ledger.write(Entry {
                at: now,
                kind: kind.to_owned(),
                method: "write".into(),
                account: Some(account.to_owned()),
                peer: world.users.get(user).map(|u| format!("user:{}", u.id)),
                text: Some(text.to_owned()),
                effect: true,
                ..Entry::default()
            });
            Ok(match kind {
                "human" => world.write_as(at, user, text, now),
                _ => world.write_from(user, at, text, now),
            })
        })
    }

    /// The account's key is unknown from now on (transport error 404), or known again.
    ///
    /// # Errors
    /// When the world has no such account.
    pub fn set_key_known(&self, account: &str, known: bool) -> Result<(), SandboxError> {
        let at = self
            .world(|w| w.account_index(account))
            .ok_or_else(|| SandboxError::Nobody(account.to_owned()))?;
        if let Some(key) = self.shared.key_of(at) {
            key.known.store(known, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Closes the listener and every connection; the world stays.
    pub fn stop(&self) {
        self.shared.go_away();
    }

    /// Listens again, on the same port.
    ///
    /// # Errors
    /// When the port is taken.
    pub async fn start_again(&self) -> Result<(), SandboxError> {
        self.shared
            .listen(self.shared.port())
            .await
            .map_err(io(format!("{} cannot be listened on", self.addr())))
    }

    /// Sets the server's clock so many seconds ahead of this machine's, or behind it. Telegram takes no message whose id
    /// is more than 300 s behind its clock or 30 s ahead
    /// (<https://core.telegram.org/mtproto/description#message-identifier-msg-id>).
    pub fn set_clock_ahead(&self, seconds: i64) {
        self.shared.set_ahead(seconds);
    }

    /// Away for so long: connections are closed and refused, then all is as before.
    pub fn away(&self, time: Duration) {
        self.shared.go_away_for(time);
    }

    /// Where a client finds this server and with which key an account is known.
    pub fn dc_option(&self, account: usize) -> DcOption {
        let addr = self.addr();
        DcOption {
            id: rpc::DC_ID,
            ipv4: addr,
            ipv6: SocketAddrV6::new(addr.ip().to_ipv6_mapped(), addr.port(), 0, 0),
            auth_key: Some(self.world(|w| w.auth_key(account))),
        }
    }

    /// Writes a `NAME.session` (mode 0600) for each account into `dir`; returns the files.
    ///
    /// A file of before is brought up to date when it holds the same key.
    ///
    /// # Errors
    /// When a file cannot be written, or holds another server's key: that one is never touched.
    pub async fn write_sessions(&self, dir: &Path) -> Result<Vec<PathBuf>, SandboxError> {
        make_private_dir(dir).map_err(io(format!("{} cannot be made", dir.display())))?;
        let accounts: Vec<(String, i64, bool)> = self.world(|w| {
            let all = w.accounts.iter().enumerate();
            all.map(|(at, a)| (a.name.clone(), w.self_id(at), a.authorized))
                .collect()
        });
        let mut files = Vec::with_capacity(accounts.len());
        for (at, (name, id, authorized)) in accounts.into_iter().enumerate() {
            let path = dir.join(format!("{name}.session"));
            self.write_session(at, &path, id, authorized).await?;
            files.push(path);
        }
        Ok(files)
    }

    async fn write_session(
        &self,
        account: usize,
        path: &Path,
        id: i64,
        authorized: bool,
    ) -> Result<(), SandboxError> {
        let failed = |reason: String| SandboxError::Session {
            path: path.to_owned(),
            reason,
        };
        make_private_file(path).map_err(|e| failed(e.to_string()))?;
        let session = SqliteSession::open(path)
            .await
            .map_err(|e| failed(e.to_string()))?;
        let option = self.dc_option(account);
        let before = session
            .dc_option(option.id)
            .map_err(|e| failed(e.to_string()))?;
        if before.is_some_and(|b| b.auth_key.is_some() && b.auth_key != option.auth_key) {
            return Err(SandboxError::Foreign(path.to_owned()));
        }
        session
            .set_dc_option(&option)
            .await
            .map_err(|e| failed(e.to_string()))?;
        session
            .set_home_dc_id(option.id)
            .await
            .map_err(|e| failed(e.to_string()))?;
        if authorized && PeerId::user(id).is_some() {
            let hash = self.world(|w| w.access_hash(account, Peer::User(id)));
            let own = PeerInfo::User {
                id,
                auth: Some(PeerAuth::from_hash(hash)),
                bot: Some(false),
                is_self: Some(true),
            };
            session
                .cache_peer(own)
                .await
                .map_err(|e| failed(e.to_string()))?;
        }
        Ok(())
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.shared.close();
    }
}

/// A folder that only its owner may read, where there is none yet.
fn make_private_dir(dir: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// An empty file of mode 0600, or the one that is there with its mode tightened: the file is the credential.
fn make_private_file(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::File::options();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    drop(file);
    Ok(())
}

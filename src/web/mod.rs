//! The page and the HTTP interface (CONTRACT section 5): a rendering of the report, and a way to say the same few
//! commands as the terminal.
//!
//! ```text
//! browser, Prometheus ─▶ guard ─▶ routes ─▶ hub ─▶ the engine's channel of commands
//! ```
//!
//! # Guarantees
//! - The engine is asked through the channel that the control socket uses, with a limit of time, and by all clients
//!   together at most about as often as it can answer beside its work: no client makes it wait.
//! - Where others can reach the address, every path but the two health checks wants the token.
//! - Nothing that a page of another site can make a browser send changes anything.
//!
//! # Caveats
//! There is no TLS: a public address belongs behind a proxy that has it.

mod actions;
mod guard;
mod hub;
mod page;
mod replies;
mod routes;
mod server;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::oneshot;

pub use server::Server;

use crate::model::{Command, Reply, Timestamp};

/// A command on its way to the engine, and where its answer goes.
pub type Asked = (Command, oneshot::Sender<Reply>);

/// `web` of tidings.yaml.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// The address; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// What clients show. Without it only this machine may reach the address.
    pub token: Option<String>,
}

/// What is known of the engine without asking it: a loop that hangs answers nothing.
pub trait Health: Send + Sync + 'static {
    /// How long ago its loop last went round.
    fn heartbeat_age(&self) -> Duration;
    /// When its loop last went round.
    fn heartbeat_at(&self) -> Timestamp;
    /// Whether it does its work.
    ///
    /// # Errors
    /// One sentence: why not yet, or no more.
    fn ready(&self) -> Result<(), &'static str>;
    /// Whether the last look at the workspace found everything valid.
    fn reload_successful(&self) -> bool;
}

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// Others can reach it, and nobody is asked who he is.
    #[error(
        "web.listen: others can reach {0}, and there is no token. Set `web.token` in tidings.yaml, or listen on 127.0.0.1."
    )]
    Public(SocketAddr),
    /// Another program has the port.
    #[error(
        "web.listen: {0} is in use by another program. Stop that one, or name another port in tidings.yaml."
    )]
    InUse(SocketAddr),
    /// The system refuses.
    #[error("web.listen: nothing can listen on {address}: {source}")]
    Io {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
}

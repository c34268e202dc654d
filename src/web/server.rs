//! The socket: accepts, and keeps every client within limits.

use std::net::SocketAddr;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::guard::Keys;
use super::hub::Hub;
use super::{Asked, Health, Settings, WebError, routes};

/// Connections at a time. A page holds two, Prometheus one.
const MAX_CONNECTIONS: usize = 128;
/// A client that takes longer to say what it wants, or nothing for so long, is hung up on.
const HEADER_TIME: Duration = Duration::from_secs(15);
/// The longest life of a connection: one that reads nothing keeps its place no longer. Streams end before, and the
/// page takes them up again.
const CONNECTION_TIME: Duration = Duration::from_secs(900);
/// Bytes of a request's line and headers.
const MAX_HEADERS: usize = 32 << 10;
/// A port in use is tried so often.
const TRIES: u32 = 10;
/// And this is the pause between.
const TRY_AGAIN: Duration = Duration::from_millis(100);
/// At the end, what is being answered may take so long still.
const GOODBYE: Duration = Duration::from_millis(300);

/// What all requests share.
pub(super) struct Shared {
    pub(super) keys: RwLock<Arc<Keys>>,
    pub(super) hub: Hub,
    pub(super) health: Arc<dyn Health>,
    pub(super) stop: CancellationToken,
}

impl Shared {
    pub(super) fn keys(&self) -> Arc<Keys> {
        match self.keys.read() {
            Ok(keys) => Arc::clone(&keys),
            // A writer only puts a value in its place: there is nothing half done to see.
            Err(poisoned) => Arc::clone(&poisoned.into_inner()),
        }
    }
}

/// What serves. Dropping it closes the address and every connection.
pub struct Server {
    asked_for: SocketAddr,
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Server {
    /// Listens, and answers from then on.
    ///
    /// # Errors
    /// [`WebError`].
    pub async fn start(
        settings: Settings,
        commands: mpsc::Sender<Asked>,
        health: Arc<dyn Health>,
    ) -> Result<Server, WebError> {
        let Settings { listen, token } = settings;
        if !listen.ip().is_loopback() && token.is_none() {
            return Err(WebError::Public(listen));
        }
        let failed = |source: std::io::Error| match source.kind() {
            std::io::ErrorKind::AddrInUse => WebError::InUse(listen),
            _ => WebError::Io {
                address: listen,
                source,
            },
        };
        let mut tries = 0;
        let listener = loop {
            match TcpListener::bind(listen).await {
                // An engine that has just ended, this process's own before a restore too, lets go in a moment.
                Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && tries < TRIES => {
                    tries += 1;
                    tokio::time::sleep(TRY_AGAIN).await;
                }
                bound => break bound.map_err(failed)?,
            }
        };
        let address = listener.local_addr().map_err(failed)?;
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            keys: RwLock::new(Arc::new(Keys::new(token, address.port()))),
            hub: Hub::new(commands),
            health,
            stop: stop.clone(),
        });
        tokio::spawn(accept(listener, routes::router(Arc::clone(&shared)), stop));
        Ok(Server {
            asked_for: listen,
            address,
            shared,
        })
    }

    /// The address with the port that the system chose.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The page's URL on this machine, with a slash at its end.
    pub fn url(&self) -> String {
        let mut address = self.address;
        if address.ip().is_unspecified() {
            address.set_ip(match address {
                SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        format!("http://{address}/")
    }

    /// Whether these settings ask for the very address that is served.
    pub fn listens_at(&self, settings: &Settings) -> bool {
        self.asked_for == settings.listen
    }

    /// Asks for another token from now on; who logged in with the old one must log in anew.
    ///
    /// # Errors
    /// [`WebError::Public`]: the old one stays.
    pub fn set_token(&self, token: Option<String>) -> Result<(), WebError> {
        if token.is_none() && !self.address.ip().is_loopback() {
            return Err(WebError::Public(self.address));
        }
        let keys = Arc::new(Keys::new(token, self.address.port()));
        match self.shared.keys.write() {
            Ok(mut slot) => *slot = keys,
            Err(poisoned) => *poisoned.into_inner() = keys,
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}

async fn accept(listener: TcpListener, router: axum::Router, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Too many open files, say: it passes.
                tracing::debug!(%error, "a client of the page could not be let in");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            tracing::debug!(most = MAX_CONNECTIONS, "too many clients of the page");
            continue;
        };
        let (router, stop) = (router.clone(), stop.clone());
        tokio::spawn(async move {
            let _place = place;
            let life = connection(stream, router, stop);
            let _ = tokio::time::timeout(CONNECTION_TIME, life).await;
        });
    }
}

async fn connection(stream: TcpStream, router: axum::Router, stop: CancellationToken) {
    let _ = stream.set_nodelay(true);
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(GOODBYE, connection).await {
                Ok(ended) => ended,
                Err(_) => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::trace!(%error, "a client of the page went away");
    }
}

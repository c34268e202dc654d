//! The page and the HTTP interface beside the loop, as tidings.yaml asks for them.

use super::*;
use crate::spec::engine::{DEFAULT_WEB_LISTEN, LEAST_TOKEN, SecretString, WebSettings};
use crate::web::{Asked, Server, Settings};

/// What serves, and by which settings.
#[derive(Default)]
pub(super) struct Served {
    server: Option<Server>,
    by: Option<WebSettings>,
}

/// The settings of tidings.yaml, in the web room's words.
fn settings(spec: &WebSettings) -> Result<Settings, String> {
    let listen = match &spec.listen {
        Some(listen) => listen.0,
        None => DEFAULT_WEB_LISTEN
            .parse()
            .map_err(|error| format!("{DEFAULT_WEB_LISTEN}: {error}"))?,
    };
    let token = spec
        .token
        .as_ref()
        .map(|token| SecretString::expose(token).trim().to_owned())
        .filter(|token| !token.is_empty());
    Ok(Settings { listen, token })
}

/// A token that is guessed keeps nobody out. It is the operator's choice all the same (CONTRACT section 5 asks for one).
fn say_weak(spec: &WebSettings) {
    if spec.is_weak() {
        tracing::warn!(
            "web.token has fewer than {LEAST_TOKEN} characters, and others can reach the page: it can be guessed; \
             `openssl rand -hex 32` makes one that cannot"
        );
    }
}

impl Engine {
    /// Whether this run serves at all: what ends by itself has no page.
    fn serves(&self) -> bool {
        !self.options.once && !self.options.lookups_only
    }

    /// Begins to serve where tidings.yaml says so.
    pub(super) async fn serve(&mut self, commands: &mpsc::Sender<Asked>) -> Result<(), RunError> {
        if !self.serves() {
            return Ok(());
        }
        let wanted = self.core.desired.engine.spec.web.clone();
        if let Some(spec) = &wanted {
            let settings = settings(spec).map_err(RunError::Web)?;
            let server = Server::start(settings, commands.clone(), self.core.pulse.clone())
                .await
                .map_err(|error| RunError::Web(error.to_string()))?;
            self.say_where(&server);
            say_weak(spec);
            self.served.server = Some(server);
        }
        self.served.by = wanted;
        Ok(())
    }

    fn say_where(&self, server: &Server) {
        let url = server.url();
        tracing::info!("the page is at {url}, metrics at {url}metrics");
        self.core.pulse.set_web(Some(url));
    }

    /// Follows a change of tidings.yaml. What cannot be had is said, and what serves goes on.
    pub(super) async fn serve_as_asked(&mut self, commands: &mpsc::Sender<Asked>) {
        let wanted = &self.core.desired.engine.spec.web;
        if *wanted == self.served.by || !self.serves() {
            return;
        }
        let wanted = wanted.clone();
        self.served.by = wanted.clone();
        let Some(spec) = wanted else {
            self.served.server = None;
            self.core.pulse.set_web(None);
            tracing::info!("tidings.yaml names no `web` any more: the page is closed");
            return;
        };
        say_weak(&spec);
        let settings = match settings(&spec) {
            Ok(settings) => settings,
            Err(error) => {
                tracing::warn!("web: {error}");
                return;
            }
        };
        if let Some(server) = &self.served.server
            && server.listens_at(&settings)
        {
            match server.set_token(settings.token) {
                Ok(()) => tracing::info!("the page takes the new token"),
                Err(error) => tracing::warn!("{error}"),
            }
            return;
        }
        match Server::start(settings, commands.clone(), self.core.pulse.clone()).await {
            Ok(server) => {
                self.say_where(&server);
                self.served.server = Some(server);
            }
            Err(error) => tracing::warn!("{error}; the page goes on as it was"),
        }
    }

    /// One line for the service manager.
    pub(super) fn beat(&mut self) {
        self.core.pulse.beat();
        self.core.commits.follow(&self.core.workspace.root);
        self.notifier.beat();
        let core = &self.core;
        self.notifier.status(|| {
            let ready = core
                .runtime
                .links
                .values()
                .filter(|link| matches!(link, Link::Ready { .. }))
                .count();
            let campaigns = core.desired.campaigns.len();
            let plural = if campaigns == 1 { "" } else { "s" };
            format!(
                "{campaigns} campaign{plural}, {ready} of {} accounts connected, {} sends under way",
                core.runtime.links.len(),
                core.runtime.executing.len()
            )
        });
    }

    /// The loop has planned: from the first time on it is ready.
    pub(super) fn planned(&mut self) {
        if self.core.pulse.planned() {
            self.notifier.ready();
        }
    }

    /// A reload that somebody asked for, with its verdict in the log.
    pub(super) fn reload_asked(&mut self) -> Result<Reply, RunError> {
        self.notifier.reloading();
        self.reload()?;
        self.notifier.ready();
        let verdict = answer::verdict(&self.core);
        match &verdict {
            Reply::Refused { message, .. } => {
                tracing::warn!("reloaded, and not all is valid: {message}");
            }
            Reply::Done { message } => tracing::info!("reloaded: {message}"),
            Reply::Document { .. } | Reply::Written { .. } => {}
        }
        Ok(verdict)
    }

    /// Told to stop.
    pub(super) fn stops(&mut self) {
        self.core.pulse.drains();
        self.notifier.stopping();
    }
}

/// The longest sleep of a loop whose heartbeat somebody watches.
pub(super) const BEAT_EVERY: Duration = Duration::from_secs(5);

impl Served {
    /// The longest that the loop may sleep so that its heartbeat stays fresh.
    pub(super) fn sleep_most(&self) -> Duration {
        if self.server.is_some() {
            BEAT_EVERY
        } else {
            Duration::MAX
        }
    }
}

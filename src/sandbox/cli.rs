//! `tidings sandbox`: runs until it is told to end.

use std::path::PathBuf;

use anyhow::Context as _;

use super::{Sandbox, SandboxOptions, Sizes, World, WorldSpec};

/// A loopback Telegram (real MTProto) and an OpenAI-compatible endpoint, with a world made from a seed or a file.
#[derive(Debug, Clone, clap::Args)]
pub struct SandboxArgs {
    /// The seed of a made-up world, and of all keys
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// A world file (YAML) instead of a made-up world; its own seed counts
    #[arg(long, value_name = "FILE", conflicts_with_all = ["people", "accounts", "groups"])]
    pub world: Option<PathBuf>,
    /// How many people a made-up world has
    #[arg(long, default_value_t = 200)]
    pub people: usize,
    /// How many accounts of our own a made-up world has
    #[arg(long, default_value_t = 2)]
    pub accounts: usize,
    /// How many groups and channels a made-up world has
    #[arg(long, default_value_t = 4)]
    pub groups: usize,
    /// The Telegram's port on 127.0.0.1 (0: any free one)
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// The OpenAI-compatible endpoint's port on 127.0.0.1 (0: any free one)
    #[arg(long, default_value_t = 0)]
    pub ai_port: u16,
    /// Write a session file for each account here
    #[arg(long, value_name = "DIR")]
    pub sessions_dir: Option<PathBuf>,
    /// Append what the server receives to this file, one JSON line a call
    #[arg(long, value_name = "FILE")]
    pub ledger: Option<PathBuf>,
    /// People's delays are divided by this
    #[arg(long, default_value_t = 1.0)]
    pub speed: f64,
    /// Print the world as a world file and end
    #[arg(long)]
    pub print_world: bool,
}

/// Runs the sandbox until SIGINT or SIGTERM. When it is ready it prints one line of JSON on standard output:
/// `{"telegram": "127.0.0.1:PORT", "openai": "http://…/v1", "accounts": ["…"], "sessions_dir": "…"}`.
///
/// # Errors
/// When the world file is not valid, a port is taken, or a session file cannot be written.
pub async fn run_cli(args: SandboxArgs) -> anyhow::Result<i32> {
    let spec = match &args.world {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("{} cannot be read", path.display()))?;
            WorldSpec::from_yaml(&text).with_context(|| format!("{}", path.display()))?
        }
        None => {
            let sizes = Sizes {
                accounts: args.accounts,
                people: args.people,
                groups: args.groups,
            };
            WorldSpec::generate(args.seed, sizes)
        }
    };
    if args.print_world {
        // A world that cannot live is not worth printing.
        World::new(&spec, 0)?;
        print!("{}", spec.to_yaml()?);
        return Ok(0);
    }
    if !(args.speed.is_finite() && args.speed > 0.0) {
        anyhow::bail!(
            "--speed {} makes no sense; expected a number above 0",
            args.speed
        );
    }
    let sandbox = Sandbox::start(SandboxOptions {
        world: spec,
        port: args.port,
        ai_port: Some(args.ai_port),
        ledger: args.ledger.clone(),
        // A long run must not grow without end; the file has all.
        keep_ledger: false,
        speed: args.speed,
        clock: None,
    })
    .await?;
    if let Some(dir) = &args.sessions_dir {
        sandbox.write_sessions(dir).await?;
    }
    // Handlers first: who reads the line may end us at once.
    let mut ends = Ends::new()?;
    let ready = serde_json::json!({
        "telegram": sandbox.addr().to_string(),
        "openai": sandbox.openai_url(),
        "accounts": sandbox.world(|w| w.accounts.iter().map(|a| a.name.clone()).collect::<Vec<_>>()),
        "sessions_dir": args.sessions_dir.as_ref().map(|d| d.display().to_string()),
        "ledger": args.ledger.as_ref().map(|d| d.display().to_string()),
    });
    {
        use std::io::Write as _;
        let mut out = std::io::stdout().lock();
        writeln!(out, "{ready}")
            .and_then(|()| out.flush())
            .context("standard output is closed")?;
    }
    ends.wait().await;
    sandbox.flush();
    Ok(0)
}

/// SIGINT or SIGTERM.
struct Ends {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Ends {
    #[cfg(unix)]
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    #[cfg(unix)]
    async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    #[cfg(not(unix))]
    fn new() -> std::io::Result<Self> {
        Ok(Self {})
    }

    #[cfg(not(unix))]
    async fn wait(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}

//! Accounts that are connected and idle: in the daemon, and as plain grammers clients in a process of their own.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use grammers_client::Client;
use grammers_client::client::ClientConfiguration;
use grammers_client::sender::{ConnectionParams, NoRetries, SenderPool};
use tidings::sandbox::{Sandbox, SandboxOptions, WorldSpec};

use super::Bad;

/// Marks a process of plain clients on the command line; the folder of their sessions follows.
pub const PLAIN: &str = "--plain-clients";
/// Told a moment after the last connection, when nothing is under way any more.
const SETTLED: Duration = Duration::from_secs(3);

/// A client as its library makes it.
pub async fn client(session: &Path) -> Result<Client, Bad> {
    client_with(session, ClientConfiguration::default()).await
}

/// The same, set up in this way.
pub async fn client_with(
    session: &Path,
    configuration: ClientConfiguration,
) -> Result<Client, Bad> {
    let session = Arc::new(grammers_session::storages::SqliteSession::open(session).await?);
    let params = ConnectionParams {
        retry_policy: Box::new(NoRetries),
        ..Default::default()
    };
    let SenderPool {
        runner,
        handle,
        updates,
    } = SenderPool::with_configuration(session, 1, params);
    let client = Client::with_configuration(handle, configuration);
    tokio::spawn(runner.run());
    // Its updates are taken, as every program does.
    tokio::spawn(async move {
        let mut updates = updates;
        while updates.recv().await.is_some() {}
    });
    client
        .invoke(&grammers_client::tl::functions::updates::GetState {})
        .await?;
    Ok(client)
}

/// Connects a client of every session in a folder and waits to be ended.
pub fn plain(sessions: &Path) -> Result<(), Bad> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut clients = Vec::new();
        for entry in std::fs::read_dir(sessions)? {
            let path = entry?.path();
            if path.extension().is_some_and(|end| end == "session") {
                clients.push(client(&path).await?);
            }
        }
        std::future::pending::<Result<(), Bad>>().await
    })
}

/// Accounts, with a server and a workspace that uses them and has nothing to send.
pub struct World {
    sandbox: Sandbox,
    accounts: usize,
    /// The workspace.
    pub dir: tempfile::TempDir,
}

impl World {
    /// Begins one.
    pub async fn start(accounts: usize) -> Result<World, Bad> {
        let names: Vec<String> = (1..=accounts).map(|n| format!("acc-{n}")).collect();
        let mut yaml = String::from("accounts:\n");
        for name in &names {
            yaml += &format!("  - {{name: {name}}}\n");
        }
        let sandbox = Sandbox::start(SandboxOptions {
            world: WorldSpec::from_yaml(&yaml)?,
            ai_port: None,
            keep_ledger: true,
            ..SandboxOptions::default()
        })
        .await?;
        let dir = tempfile::tempdir()?;
        sandbox.write_sessions(&dir.path().join("sessions")).await?;
        std::fs::create_dir(dir.path().join("campaigns"))?;
        std::fs::write(
            dir.path().join("tidings.yaml"),
            "version: 1\ntelegram: {api_id: 1, api_hash: loopback}\n",
        )?;
        std::fs::write(
            dir.path().join("campaigns/later.yaml"),
            format!(
                "version: 1\nname: later\nkind: mailing\nconsent: {{basis: customers}}\naccounts: [{}]\n\
                 sources: [{{type: list, peers: ['@nobody_yet']}}]\n\
                 templates: [{{name: one, text: Hi}}]\nschedule: {{timezone: UTC, start: 2099-01-01T00:00}}\n",
                names.join(", ")
            ),
        )?;
        Ok(World {
            sandbox,
            accounts,
            dir,
        })
    }

    /// A process of plain clients, one an account.
    pub fn plain_process(&self) -> Result<Command, Bad> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg(PLAIN)
            .arg(self.dir.path().join("sessions"))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Ok(command)
    }

    /// Waits until every account has asked for its state of updates, and a moment longer.
    pub fn until_connected(&self, mut alive: impl FnMut() -> Result<(), Bad>) -> Result<(), Bad> {
        let began = Instant::now();
        loop {
            let asked: std::collections::BTreeSet<_> = self
                .sandbox
                .ledger()
                .entries()
                .into_iter()
                .filter(|entry| entry.method.starts_with("updates."))
                .map(|entry| entry.account)
                .collect();
            if asked.len() >= self.accounts {
                break;
            }
            if began.elapsed() > Duration::from_secs(120) {
                return Err(format!("{} of {} are connected", asked.len(), self.accounts).into());
            }
            alive()?;
            std::thread::sleep(Duration::from_millis(50));
        }
        std::thread::sleep(SETTLED);
        alive()
    }
}

//! Messages a second: the engine against a plain grammers loop, on the same loopback Telegram.

use std::sync::Arc;
use std::time::{Duration, Instant};

use grammers_client::sender::{NoRetries, SenderPool};
use grammers_client::tl;
use grammers_session::types::{PeerAuth, PeerId, PeerRef};
use tidings::control::{RunOptions, Workspace, WorkspaceOptions, run_with};
use tidings::sandbox::{Sandbox, SandboxOptions, WorldSpec};
use tidings::telegram::GrammersTelegram;

use super::Bad;

/// Members of a group: below the 10,000 that Telegram lists.
const GROUP: usize = 5_000;

/// One measurement.
pub struct Rate {
    /// Messages a second.
    pub per_second: f64,
    /// CPU time of the whole process for a message, server and all, in microseconds.
    pub cpu: f64,
}

impl Rate {
    /// The better of two measurements, each figure by itself.
    pub fn better(self, other: Rate) -> Rate {
        Rate {
            per_second: self.per_second.max(other.per_second),
            cpu: self.cpu.min(other.cpu),
        }
    }
}

fn world(accounts: usize, people: usize) -> Result<WorldSpec, Bad> {
    let mut yaml = String::from("seed: 5\naccounts:\n");
    for n in 1..=accounts {
        yaml += &format!("  - {{name: acc-{n}}}\n");
    }
    yaml += "people:\n";
    for n in 0..people {
        yaml += &format!("  - {{username: person_{n}, first_name: P{n}}}\n");
    }
    yaml += "groups:\n";
    for (group, first) in (0..people).step_by(GROUP).enumerate() {
        let members: Vec<String> = (first..people.min(first + GROUP))
            .map(|n| format!("'@person_{n}'"))
            .collect();
        yaml += &format!(
            "  - {{title: G{group}, username: people_{group}, creator: acc-1, members: [{}]}}\n",
            members.join(", ")
        );
    }
    Ok(WorldSpec::from_yaml(&yaml)?)
}

/// What was measured in one run, one after another.
pub struct Rates {
    /// A loop around grammers' `send_message`.
    pub plain: Rate,
    /// A loop around the call beneath it.
    pub bare: Rate,
    /// The engine, every send durable.
    pub engine: Rate,
}

impl Rates {
    /// The better of two runs, each figure by itself.
    pub fn better(self, other: Rates) -> Rates {
        Rates {
            plain: self.plain.better(other.plain),
            bare: self.bare.better(other.bare),
            engine: self.engine.better(other.engine),
        }
    }
}

/// The plain loops, then the engine.
pub async fn measure(accounts: usize, people: usize) -> Result<Rates, Bad> {
    let options = || -> Result<SandboxOptions, Bad> {
        Ok(SandboxOptions {
            world: world(accounts, people)?,
            ai_port: None,
            keep_ledger: true,
            ..SandboxOptions::default()
        })
    };
    // Each on a server of its own, so that none finds another's dialogs.
    let looped = async |bare: bool| -> Result<Rate, Bad> {
        let sandbox = Sandbox::start(options()?).await?;
        let dir = tempfile::tempdir()?;
        sandbox.write_sessions(dir.path()).await?;
        plain_loop(&sandbox, dir.path(), accounts, people, bare).await
    };
    let plain = looped(false).await?;
    let bare = looped(true).await?;
    let sandbox = Sandbox::start(options()?).await?;
    let engine = engine_run(&sandbox, accounts, people).await?;
    Ok(Rates {
        plain,
        bare,
        engine,
    })
}

/// What somebody writes in an afternoon: one client an account, one message after another by grammers' `send_message`;
/// with `bare` by the call beneath it, of whose answer nothing is made.
async fn plain_loop(
    sandbox: &Sandbox,
    sessions: &std::path::Path,
    accounts: usize,
    people: usize,
    bare: bool,
) -> Result<Rate, Bad> {
    let mut clients = Vec::new();
    for n in 0..accounts {
        let path = sessions.join(format!("acc-{}.session", n + 1));
        let session = Arc::new(grammers_session::storages::SqliteSession::open(path).await?);
        let params = grammers_client::sender::ConnectionParams {
            retry_policy: Box::new(NoRetries),
            ..Default::default()
        };
        let SenderPool {
            runner,
            handle,
            updates: _updates,
        } = SenderPool::with_configuration(session, 1, params);
        let client = grammers_client::Client::new(handle);
        tokio::spawn(runner.run());
        client.invoke(&tl::functions::updates::GetState {}).await?;
        let peers: Vec<PeerRef> = sandbox.world(|world| {
            world
                .users
                .iter()
                .filter(|user| {
                    user.username
                        .as_deref()
                        .is_some_and(|name| name.starts_with("person_"))
                })
                .filter_map(|user| {
                    let hash = world.access_hash(n, tidings::sandbox::Peer::User(user.id));
                    let (id, auth) = (PeerId::user(user.id)?, PeerAuth::from_hash(hash));
                    Some(PeerRef { id, auth })
                })
                .collect()
        });
        let share: Vec<PeerRef> = peers.into_iter().skip(n).step_by(accounts).collect();
        clients.push((client, share));
    }
    let cpu = super::cpu_of("self");
    let began = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for (client, share) in clients {
        tasks.spawn(async move {
            for (at, peer) in share.into_iter().enumerate() {
                let text = format!("Hi P{at}! Our release is out.");
                if bare {
                    client.invoke(&bare_call(peer, text, at)).await?;
                } else {
                    client.send_message(peer, text).await?;
                }
            }
            Ok::<(), Bad>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(Rate {
        per_second: people as f64 / began.elapsed().as_secs_f64(),
        cpu: (super::cpu_of("self") - cpu).as_secs_f64() * 1e6 / people as f64,
    })
}

/// A send as Telegram's schema has it.
fn bare_call(peer: PeerRef, message: String, at: usize) -> tl::functions::messages::SendMessage {
    tl::functions::messages::SendMessage {
        no_webpage: false,
        silent: false,
        background: false,
        clear_draft: false,
        noforwards: false,
        update_stickersets_order: false,
        invert_media: false,
        allow_paid_floodskip: false,
        peer: peer.into(),
        reply_to: None,
        message,
        random_id: at as i64 + 1,
        reply_markup: None,
        entities: None,
        schedule_date: None,
        schedule_repeat_period: None,
        send_as: None,
        quick_reply_shortcut: None,
        effect: None,
        allow_paid_stars: None,
        suggested_post: None,
        rich_message: None,
    }
}

/// The same people through the engine; from the first send to the last, by the server's ledger.
async fn engine_run(sandbox: &Sandbox, accounts: usize, people: usize) -> Result<Rate, Bad> {
    let dir = tempfile::tempdir()?;
    std::fs::create_dir(dir.path().join("campaigns"))?;
    sandbox.write_sessions(&dir.path().join("sessions")).await?;
    std::fs::write(
        dir.path().join("tidings.yaml"),
        "version: 1\ntelegram: {api_id: 1, api_hash: loopback}\n\
         limits: {min_delay: 0s, max_per_day: 1000000, approve_over: null, max_audience: 1000000}\n",
    )?;
    let sources: Vec<String> = (0..people.div_ceil(GROUP))
        .map(|group| format!("{{type: members, peer: '@people_{group}'}}"))
        .collect();
    let names: Vec<String> = (1..=accounts).map(|n| format!("acc-{n}")).collect();
    std::fs::write(
        dir.path().join("campaigns/all.yaml"),
        format!(
            "version: 1\nname: all\nkind: mailing\nconsent: {{basis: members}}\naccounts: [{}]\n\
             sources: [{}]\n\
             filters: {{limit: 1000000}}\n\
             templates: [{{name: one, text: 'Hi {{{{ contact.first_name }}}}! Our release is out.'}}]\n\
             delays: {{between_messages: 0s, per_account: {{per_day: 1000000}}}}\n",
            names.join(", "),
            sources.join(", ")
        ),
    )?;
    let workspace = Workspace::find(&WorkspaceOptions {
        directory: Some(dir.path().to_owned()),
        ..WorkspaceOptions::default()
    })?;
    // Who the people are is found out before, as it is for the plain loop.
    let options = RunOptions {
        lookups_only: true,
        ..RunOptions::default()
    };
    run_with(workspace.clone(), options, Arc::new(GrammersTelegram)).await?;
    let options = RunOptions {
        once: true,
        horizon: Some(Duration::from_secs(1)),
        ..RunOptions::default()
    };
    let cpu = super::cpu_of("self");
    run_with(workspace, options, Arc::new(GrammersTelegram)).await?;
    let cpu = super::cpu_of("self") - cpu;
    let mut times: Vec<i64> = sandbox
        .ledger()
        .entries()
        .into_iter()
        .filter(|entry| entry.method == "messages.sendMessage" && entry.effect)
        .map(|entry| entry.at)
        .collect();
    times.sort_unstable();
    let (Some(first), Some(last)) = (times.first(), times.last()) else {
        return Err("nothing was sent".into());
    };
    if times.len() < people {
        return Err(format!("{} of {people} messages were sent", times.len()).into());
    }
    Ok(Rate {
        per_second: times.len() as f64 * 1000.0 / ((last - first).max(1) as f64),
        // A start and an end are in it, with a checkpoint.
        cpu: cpu.as_secs_f64() * 1e6 / people as f64,
    })
}

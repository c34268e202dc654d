//! A large group looked up: the engine, which stores everybody durably, against a plain grammers loop that counts them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use grammers_client::Client;
use grammers_client::client::ClientConfiguration;
use grammers_client::tl::{enums, functions, types};
use grammers_session::types::{PeerAuth, PeerId, PeerRef};
use tidings::control::{RunOptions, Workspace, WorkspaceOptions, run_with};
use tidings::model::{Event, Recorded};
use tidings::sandbox::{Sandbox, SandboxOptions, WorldSpec};
use tidings::store::{Access, Options, Store};
use tidings::telegram::GrammersTelegram;

use super::Bad;
use super::idle::client_with;

/// Members asked for at once: Telegram gives no more (core.telegram.org/method/channels.getParticipants).
const PAGE: i32 = 200;

fn options(people: usize) -> Result<SandboxOptions, Bad> {
    let mut yaml = String::from("seed: 5\naccounts: [{name: acc-1}]\npeople:\n");
    for n in 0..people {
        yaml += &format!("  - {{username: person_{n}, first_name: P{n}}}\n");
    }
    yaml += &format!(
        "groups: [{{title: All, username: everybody, creator: acc-1, members: all, listed: {}}}]\n",
        people + 1
    );
    Ok(SandboxOptions {
        world: WorldSpec::from_yaml(&yaml)?,
        ai_port: None,
        keep_ledger: true,
        ..SandboxOptions::default()
    })
}

/// What a look-up took from its first page on.
#[derive(Debug, Clone, Copy)]
pub struct Took {
    /// A loop around grammers' `iter_participants`, which keeps nobody.
    pub plain: Duration,
    /// A loop around the call beneath it.
    pub bare: Duration,
    /// The engine, until everybody is stored and synced, and the journal is told that the look-up has ended.
    pub stored: Duration,
    /// The engine, until the audience is judged too, a checkpoint is written and the run has ended.
    pub ended: Duration,
}

impl Took {
    /// The better of two measurements, each figure by itself.
    pub fn better(self, other: Took) -> Took {
        Took {
            plain: self.plain.min(other.plain),
            bare: self.bare.min(other.bare),
            stored: self.stored.min(other.stored),
            ended: self.ended.min(other.ended),
        }
    }
}

/// The plain loops, then the engine.
pub async fn measure(people: usize) -> Result<Took, Bad> {
    // Each on a server of its own.
    let looped = async |bare: bool| -> Result<Duration, Bad> {
        let sandbox = Sandbox::start(options(people)?).await?;
        let dir = tempfile::tempdir()?;
        sandbox.write_sessions(dir.path()).await?;
        plain_loop(&dir.path().join("acc-1.session"), people, bare).await
    };
    let plain = looped(false).await?;
    let bare = looped(true).await?;
    let sandbox = Sandbox::start(options(people)?).await?;
    let (stored, ended) = engine_run(&sandbox, people).await?;
    Ok(Took {
        plain,
        bare,
        stored,
        ended,
    })
}

async fn plain_loop(session: &std::path::Path, people: usize, bare: bool) -> Result<Duration, Bad> {
    // It writes nobody down: by itself grammers keeps each in the session's database.
    let configuration = ClientConfiguration {
        auto_cache_peers: false,
    };
    let client = client_with(session, configuration).await?;
    let found = client
        .invoke(&functions::contacts::ResolveUsername {
            username: "everybody".to_owned(),
            referer: None,
        })
        .await?;
    let enums::contacts::ResolvedPeer::Peer(found) = found;
    let channel = found.chats.into_iter().find_map(|chat| match chat {
        enums::Chat::Channel(channel) => Some(types::InputChannel {
            channel_id: channel.id,
            access_hash: channel.access_hash.unwrap_or_default(),
        }),
        _ => None,
    });
    let channel = channel.ok_or("the group was not found")?;
    let began = Instant::now();
    let met = match bare {
        true => called(&client, channel).await?,
        false => iterated(&client, channel).await?,
    };
    if met < people {
        return Err(format!("{met} of {people} members were listed").into());
    }
    Ok(began.elapsed())
}

/// Counts members by grammers' iterator.
async fn iterated(client: &Client, group: types::InputChannel) -> Result<usize, Bad> {
    let group = PeerRef {
        id: PeerId::channel(group.channel_id).ok_or("no channel has this id")?,
        auth: PeerAuth::from_hash(group.access_hash),
    };
    let mut members = client.iter_participants(group);
    let mut met = 0;
    while members.next().await?.is_some() {
        met += 1;
    }
    Ok(met)
}

/// Counts them by the call beneath it.
async fn called(client: &Client, group: types::InputChannel) -> Result<usize, Bad> {
    let mut met = 0;
    loop {
        let page = client
            .invoke(&functions::channels::GetParticipants {
                channel: enums::InputChannel::Channel(group.clone()),
                filter: enums::ChannelParticipantsFilter::ChannelParticipantsRecent,
                offset: i32::try_from(met)?,
                limit: PAGE,
                hash: 0,
            })
            .await?;
        let enums::channels::ChannelParticipants::Participants(page) = page else {
            return Err("no page".into());
        };
        if page.participants.is_empty() {
            return Ok(met);
        }
        met += page.participants.len();
    }
}

async fn engine_run(sandbox: &Sandbox, people: usize) -> Result<(Duration, Duration), Bad> {
    let dir = tempfile::tempdir()?;
    std::fs::create_dir(dir.path().join("campaigns"))?;
    sandbox.write_sessions(&dir.path().join("sessions")).await?;
    std::fs::write(
        dir.path().join("tidings.yaml"),
        "version: 1\ntelegram: {api_id: 1, api_hash: loopback}\nlimits: {max_audience: 10000000}\n",
    )?;
    std::fs::write(
        dir.path().join("campaigns/all.yaml"),
        "version: 1\nname: all\nkind: collect\nconsent: {basis: members}\naccounts: [acc-1]\n\
         sources: [{type: members, peer: '@everybody'}]\nfilters: {limit: 10000000}\n",
    )?;
    let workspace = Workspace::find(&WorkspaceOptions {
        directory: Some(dir.path().to_owned()),
        ..WorkspaceOptions::default()
    })?;
    let options = RunOptions {
        lookups_only: true,
        ..RunOptions::default()
    };
    run_with(workspace, options, Arc::new(GrammersTelegram)).await?;
    let ended = i64::try_from(
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)?
            .as_millis(),
    )?;
    let pages: Vec<i64> = sandbox
        .ledger()
        .entries()
        .into_iter()
        .filter(|entry| entry.method == "channels.getParticipants")
        .map(|entry| entry.at)
        .collect();
    let first = pages.iter().min().ok_or("nobody was looked up")?;
    if pages.len() * (PAGE as usize) < people {
        return Err(format!("{} pages for {people} people", pages.len()).into());
    }
    let options = Options::new(Access::Read, Duration::from_secs(5));
    let (store, _) = Store::<Recorded>::open(&dir.path().join("state"), options)?;
    let mut stored = None;
    for event in store.events_from(1)? {
        let (_, recorded) = event?;
        if matches!(recorded.event, Event::LookupEnded { .. }) {
            stored = Some(recorded.at.0);
        }
    }
    let stored = stored.ok_or("the look-up did not end")?;
    let since = |at: i64| u64::try_from(at - first).map(Duration::from_millis);
    Ok((since(stored)?, since(ended)?))
}

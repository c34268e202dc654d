//! SIGKILL at random moments, against the real binary: nobody twice, nobody lost, nobody after he opted out.
//!
//! The judge is the server's ledger alone. `TIDINGS_KILLS` asks for more kills than the quick suite's, `TIDINGS_SEED`
//! for other moments.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod child;
mod common;
#[path = "crash/edits.rs"]
mod edits;
#[path = "crash/points.rs"]
mod points;
#[path = "crash/upkeep.rs"]
mod upkeep;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use child::{CONFIRMATION, Place, Tally};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tidings::sandbox::{Effect, FaultRule, Sandbox};

/// People of the group: the size at which a campaign without delays is still under way when most kills come.
const PEOPLE: i64 = 150;
/// The first person's id.
const FIRST: i64 = 101;
/// Kills of all tests here together in the quick suite: about a minute on a small machine.
const KILLS: u32 = 100;
/// The mean time from the first sign of life to the kill. A start takes some 100 ms until the first byte reaches the
/// server, a campaign of this size with the delays below some 150 ms: so the moments fall all over a start and a run.
const MEAN: Duration = Duration::from_millis(60);
/// After so many lives in a row that sent nothing the next ones are longer, so that a busy machine gets on too.
const PATIENT: u32 = 4;
/// A start that shows no sign of life within this long is a bug.
const SIGN_OF_LIFE: Duration = Duration::from_secs(20);
/// The longest that one campaign may take, kills and reconnections included.
const CAMPAIGN: Duration = Duration::from_secs(120);

/// Kills for a test that has a share, in percent, of all.
fn kills(percent: u32) -> u32 {
    let all = std::env::var("TIDINGS_KILLS").ok().map_or(KILLS, |text| {
        text.parse().expect("TIDINGS_KILLS is a number")
    });
    (all * percent).div_ceil(100)
}

fn random(test: u64) -> StdRng {
    let seed = std::env::var("TIDINGS_SEED")
        .ok()
        .map_or(1, |text| text.parse().expect("TIDINGS_SEED is a number"));
    println!("TIDINGS_SEED={seed}");
    StdRng::seed_from_u64(seed * 1000 + test)
}

/// A wait of this mean, exponentially distributed: what came before says nothing of what comes.
fn moment(random: &mut StdRng, mean: Duration) -> Duration {
    let drawn: f64 = random.random_range(f64::EPSILON..1.0);
    mean.mul_f64(-drawn.ln())
}

fn config() -> String {
    format!("{}opt_out: {{reply: '{CONFIRMATION}'}}\n", common::FAST)
}

/// Two accounts, both of them admins of @meetup, and the people in it. Whoever is asked to says stop at once.
fn world(rest: &str) -> String {
    let mut yaml = common::crowd_of(&["sales-1", "sales-2"], usize::try_from(PEOPLE).unwrap());
    yaml.push_str("scripts:\n  - {contains: 'say stop', reply: stop}\n");
    yaml.push_str(rest);
    yaml
}

/// The n-th campaign: two variants, and one person who is asked to say stop and does.
fn campaign(n: u32, sources: &str, delays: &str) -> (String, String) {
    let name = format!("round-{n}");
    let asked = FIRST + i64::from(n);
    let text = format!(
        "version: 1\nname: {name}\nkind: mailing\naccounts: [sales-1, sales-2]\n\
         consent: {{basis: members}}\nsources:\n{sources}\
         templates:\n  - {{name: short, weight: 2, text: '{name}: hi {{{{ contact.first_name }}}}\
         {{% if contact.id == {asked} %}}, say stop{{% endif %}}'}}\n  \
         - {{name: long, text: '{name}: good day {{{{ contact.first_name }}}}\
         {{% if contact.id == {asked} %}}, say stop{{% endif %}}'}}\n\
         delays: {{between_messages: {delays}, per_account: {{per_day: 100000}}}}\n"
    );
    (name, text)
}

const MEMBERS: &str = "  - {type: members, peer: '@meetup'}\n";

fn everybody() -> BTreeSet<i64> {
    (FIRST..FIRST + PEOPLE).collect()
}

/// People who said stop so far.
fn stopped(sandbox: &Sandbox) -> BTreeSet<i64> {
    sandbox
        .ledger()
        .entries()
        .iter()
        .filter(|entry| entry.kind == "person" && entry.text.as_deref() == Some("stop"))
        .map(|entry| {
            entry
                .peer
                .as_ref()
                .unwrap()
                .strip_prefix("user:")
                .unwrap()
                .parse()
                .unwrap()
        })
        .collect()
}

/// Starts the daemon, waits for its first sign of life at the server (or not even that), and a random while.
async fn one_life(place: &Place, random: &mut StdRng, mean: Duration) {
    let before = place.sandbox.ledger().len();
    let mut daemon = place.daemon();
    // One life in six ends while the state is being opened, before the server hears anything.
    if !random.random_ratio(1, 6) {
        let until = Instant::now() + SIGN_OF_LIFE;
        while place.sandbox.ledger().len() == before {
            assert_eq!(
                daemon.ended(),
                None,
                "it ended by itself:\n{}",
                daemon.said()
            );
            assert!(
                Instant::now() < until,
                "no sign of life within {SIGN_OF_LIFE:?}:\n{}",
                daemon.said()
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    tokio::time::sleep(moment(random, mean)).await;
    assert_eq!(
        daemon.ended(),
        None,
        "it ended by itself:\n{}",
        daemon.said()
    );
    daemon.kill();
}

/// That the report agrees with the ledger once all is done.
async fn the_report_agrees(place: &Place, name: &str, got: usize) {
    let until = Instant::now() + CAMPAIGN;
    loop {
        let report = place.campaign(name);
        if report["progress"]["in_flight"] == 0 && report["progress"]["pending"] == 0 {
            assert_eq!(report["progress"]["sent"], got, "{report:#}");
            assert_eq!(report["progress"]["uncertain"], 0, "{report:#}");
            assert_eq!(report["progress"]["failed"], 0, "{report:#}");
            return;
        }
        assert!(
            Instant::now() < until,
            "not settled: {report:#}\n{}",
            child::said(&place.log())
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn tell(what: &str, kills: u32, campaigns: u32, tally: &Tally, began: Instant) {
    println!(
        "{what}: {kills} kills, {campaigns} campaigns, {} messages, {} repeats that the server recognised, \
         {} duplicates, {} after a stop, in {:.1} s",
        tally.messages,
        tally.repeats,
        tally.twice.len(),
        tally.after_stop.len(),
        began.elapsed().as_secs_f64()
    );
}

/// One campaign after another, and kills all the time, until there were enough kills.
async fn kill_again_and_again(
    place: &Place,
    what: &str,
    mut random: StdRng,
    wanted: u32,
    mean: Duration,
    sources: &str,
) {
    let began = Instant::now();
    let (mut killed, mut n) = (0, 0);
    while killed < wanted {
        n += 1;
        let delays = if n % 2 == 0 { "0ms..3ms" } else { "0s" };
        let silent = stopped(&place.sandbox);
        let (name, text) = campaign(n, sources, delays);
        place.write(&format!("campaigns/{name}.yaml"), text);
        let round = Instant::now();
        let (mut late, mut barren, mut before) = (None, 0, 0);
        loop {
            one_life(place, &mut random, mean * (1 + barren / PATIENT)).await;
            killed += 1;
            let got = Tally::of(&place.sandbox).who(&name);
            barren = if got.len() > before { 0 } else { barren + 1 };
            before = got.len();
            // While nobody runs, somebody whose turn has not come says stop, to both accounts.
            let left: Vec<i64> = everybody()
                .difference(&got)
                .filter(|id| !silent.contains(id))
                .copied()
                .collect();
            if late.is_none() && !got.is_empty() && left.len() > 1 {
                let id = left[random.random_range(0..left.len())];
                for account in ["sales-1", "sales-2"] {
                    place
                        .sandbox
                        .send_as_person(format!("@person{id}").as_str(), account, "stop")
                        .unwrap();
                }
                late = Some(id);
            }
            let missing = left.iter().filter(|id| Some(**id) != late).count();
            if missing == 0 {
                break;
            }
            assert!(
                round.elapsed() < CAMPAIGN,
                "{missing} of {name} missing\n{}",
                child::said(&place.log())
            );
        }
        let tally = Tally::of(&place.sandbox);
        tally.is_clean(&place.log());
        let expected: BTreeSet<i64> = everybody()
            .into_iter()
            .filter(|id| !silent.contains(id) && Some(*id) != late)
            .collect();
        assert_eq!(tally.who(&name), expected, "{name}");
    }
    // The last one is left in peace: nothing more may come of it.
    let tally = Tally::of(&place.sandbox);
    let daemon = place.daemon();
    for n in 1..=n {
        let name = format!("round-{n}");
        the_report_agrees(place, &name, tally.who(&name).len()).await;
    }
    drop(daemon);
    let after = Tally::of(&place.sandbox);
    after.is_clean(&place.log());
    assert_eq!(
        after.messages, tally.messages,
        "more was sent though everybody had his message"
    );
    tell(what, killed, n, &after, began);
    assert!(killed >= wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_killed_at_any_moment_sends_everybody_one_message() {
    let place = Place::new(&world(""), &config()).await;
    kill_again_and_again(&place, "kills", random(1), kills(60), MEAN, MEMBERS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_while_telegram_drops_delays_and_goes_away_duplicate_and_lose_nobody() {
    // Each n-th send, with n's that have no common factor, so that all mixtures come.
    let faults = "faults:\n\
        \x20 - {method: messages.sendMessage, every: 31, drop: after}\n\
        \x20 - {method: messages.sendMessage, every: 37, drop: before}\n\
        \x20 - {method: messages.sendMessage, every: 7, delay_answer: 20ms}\n\
        \x20 - {method: messages.sendMessage, every: 11, delay: 30ms}\n\
        \x20 - {method: messages.sendMessage, every: 41, half_answer: true}\n\
        \x20 - {method: messages.sendMessage, every: 113, away: 150ms}\n\
        \x20 - {method: messages.sendMessage, every: 43, error: {code: 500, text: WORKER_BUSY_TOO_LONG_RETRY}}\n\
        \x20 - {method: channels.getParticipants, every: 2, delay: 40ms}\n\
        \x20 - {method: contacts.resolveUsername, every: 3, delay: 15ms}\n";
    // Ten people are named by username as well: they are one recipient each, whoever finds them first.
    let names: Vec<String> = (FIRST..FIRST + 10)
        .map(|id| format!("'@person{id}'"))
        .collect();
    let sources = format!(
        "{MEMBERS}  - {{type: list, basis: customers, peers: [{}]}}\n",
        names.join(", ")
    );
    let place = Place::new(&world(faults), &config()).await;
    // Twice as long as otherwise: answers come late here.
    kill_again_and_again(
        &place,
        "kills and faults",
        random(2),
        kills(20),
        2 * MEAN,
        &sources,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_while_specs_are_edited_broken_and_mended_duplicate_and_lose_nobody() {
    let began = Instant::now();
    let place = Place::new(&world(""), &config()).await;
    let mut random = random(3);
    let (wanted, mut killed, mut n) = (kills(10), 0, 0);
    while killed < wanted {
        n += 1;
        let silent = stopped(&place.sandbox);
        let (name, text) = campaign(n, MEMBERS, "0ms..3ms");
        let file = format!("campaigns/{name}.yaml");
        place.write(&file, &text);
        let round = Instant::now();
        let mut edits = 0;
        loop {
            let editor = async {
                // Six edits in the course of a life, each one of another kind.
                for _ in 0..6 {
                    tokio::time::sleep(moment(&mut StdRng::seed_from_u64(edits), MEAN)).await;
                    edits += 1;
                    match edits % 4 {
                        0 => place.write(
                            &file,
                            text.replace("good day", &format!("good day {edits},")),
                        ),
                        1 => place.write(&file, "version: 1\nname: [broken"),
                        2 => std::fs::remove_file(place.root.join(&file)).unwrap(),
                        _ => place.write(&file, &text),
                    }
                }
                place.write(&file, text.replace("hi ", &format!("hi {edits} ")));
            };
            // Long enough for the watcher to see some of the edits.
            tokio::join!(editor, one_life(&place, &mut random, 8 * MEAN));
            killed += 1;
            let missing = everybody()
                .difference(&Tally::of(&place.sandbox).who(&name))
                .filter(|id| !silent.contains(id))
                .count();
            if missing == 0 {
                break;
            }
            assert!(
                round.elapsed() < CAMPAIGN,
                "{missing} of {name} missing\n{}",
                child::said(&place.log())
            );
        }
        let tally = Tally::of(&place.sandbox);
        tally.is_clean(&place.log());
        let expected: BTreeSet<i64> = everybody()
            .into_iter()
            .filter(|id| !silent.contains(id))
            .collect();
        assert_eq!(tally.who(&name), expected, "{name}");
    }
    tell(
        "kills and edits",
        killed,
        n,
        &Tally::of(&place.sandbox),
        began,
    );
}

/// A wire between the engine and the server that carries bytes in pieces of any size and breaks anywhere.
struct Wire {
    port: u16,
    cuts: Arc<AtomicU64>,
    whole: Arc<std::sync::atomic::AtomicBool>,
}

/// Bytes that a connection carries on the average before it breaks: some thirty sends.
const CARRIES: f64 = 12_000.0;

impl Wire {
    async fn new(to: std::net::SocketAddrV4, seed: u64) -> Wire {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let cuts = Arc::new(AtomicU64::new(0));
        let whole = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (counted, unbroken) = (cuts.clone(), whole.clone());
        tokio::spawn(async move {
            let mut connection = seed;
            while let Ok((near, _)) = listener.accept().await {
                connection += 1;
                let (counted, unbroken) = (counted.clone(), unbroken.clone());
                tokio::spawn(async move {
                    let Ok(far) = tokio::net::TcpStream::connect(to).await else {
                        return;
                    };
                    let (near_read, near_write) = near.into_split();
                    let (far_read, far_write) = far.into_split();
                    let mut random = StdRng::seed_from_u64(connection);
                    let mut carries = || -random.random_range(f64::EPSILON..1.0f64).ln() * CARRIES;
                    let (up, down) = (carries() as usize, carries() as usize);
                    // The first direction that breaks takes the other one with it.
                    tokio::select! {
                        cut = carry(near_read, far_write, up, connection * 2, &unbroken) => { counted.fetch_add(u64::from(cut), Ordering::SeqCst); }
                        cut = carry(far_read, near_write, down, connection * 2 + 1, &unbroken) => { counted.fetch_add(u64::from(cut), Ordering::SeqCst); }
                    }
                });
            }
        });
        Wire { port, cuts, whole }
    }
}

/// Carries so many bytes, in pieces of 1 to 700 bytes with pauses between some. True: it broke; false: an end closed it.
async fn carry(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut left: usize,
    seed: u64,
    unbroken: &std::sync::atomic::AtomicBool,
) -> bool {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut random = StdRng::seed_from_u64(seed);
    let mut buffer = vec![0; 700];
    loop {
        let size = random.random_range(1..=buffer.len());
        let Ok(got) = from.read(&mut buffer[..size]).await else {
            return false;
        };
        if got == 0 {
            return false;
        }
        let carried = if unbroken.load(Ordering::SeqCst) {
            got
        } else {
            got.min(left)
        };
        if to.write_all(&buffer[..carried]).await.is_err() {
            return false;
        }
        if carried < got {
            return true;
        }
        left = left.saturating_sub(carried);
        if random.random_ratio(1, 4) {
            tokio::time::sleep(Duration::from_micros(random.random_range(0..3000))).await;
        }
    }
}

/// Points the session files at another port.
async fn reroute(place: &Place, port: u16) {
    use grammers_session::Session as _;
    for (account, name) in ["sales-1", "sales-2"].iter().enumerate() {
        let path = place.root.join(format!("sessions/{name}.session"));
        let session = grammers_session::storages::SqliteSession::open(&path)
            .await
            .unwrap();
        let mut option = place.sandbox.dc_option(account);
        option.ipv4.set_port(port);
        option.ipv6.set_port(port);
        session.set_dc_option(&option).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wire_that_breaks_in_the_middle_of_frames_duplicates_and_loses_nobody() {
    let began = Instant::now();
    let place = Place::new(&world(""), &config()).await;
    let wire = Wire::new(place.sandbox.addr(), 7).await;
    reroute(&place, wire.port).await;
    let mut random = random(4);
    let (wanted, mut killed) = (kills(10), 0);
    let (name, text) = campaign(1, MEMBERS, "0ms..3ms");
    place.write(&format!("campaigns/{name}.yaml"), text);
    let missing = |place: &Place| {
        everybody()
            .difference(&Tally::of(&place.sandbox).who(&name))
            .count()
    };
    while missing(&place) > 0 || killed < wanted {
        // Longer than the first pause before a reconnection, so that the engine goes on by itself too.
        one_life(&place, &mut random, Duration::from_millis(700)).await;
        killed += 1;
        assert!(
            began.elapsed() < CAMPAIGN,
            "{} missing\n{}",
            missing(&place),
            child::said(&place.log())
        );
    }
    wire.whole.store(true, Ordering::SeqCst);
    let daemon = place.daemon();
    the_report_agrees(&place, &name, everybody().len()).await;
    drop(daemon);
    let tally = Tally::of(&place.sandbox);
    tally.is_clean(&place.log());
    assert_eq!(tally.who(&name), everybody());
    let cuts = wire.cuts.load(Ordering::SeqCst);
    assert!(cuts > 0, "the wire never broke");
    println!("the wire broke {cuts} times");
    tell("kills and a bad wire", killed, 1, &tally, began);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_stop_while_nobody_runs_gets_nothing_at_the_next_start() {
    let place = Place::new(&world(""), &config()).await;
    // The accounts have been here before: there is a place in the updates to go on from.
    let (name, text) = campaign(
        1,
        "  - {type: list, basis: customers, peers: ['@person101']}\n",
        "0s",
    );
    place.write(&format!("campaigns/{name}.yaml"), text);
    let daemon = place.daemon();
    place
        .until(SIGN_OF_LIFE, "the first one got it", |place| {
            Tally::of(&place.sandbox).who("round-1").len() == 1
        })
        .await;
    daemon.kill();
    // Telegram takes its time to tell what was missed, and none for sends.
    place.sandbox.fault(
        FaultRule::new(Effect::Delay("300ms".parse().unwrap())).method("updates.getDifference"),
    );
    let silent: Vec<i64> = (FIRST + 100..FIRST + 110).collect();
    for id in &silent {
        for account in ["sales-1", "sales-2"] {
            place
                .sandbox
                .send_as_person(format!("@person{id}").as_str(), account, "stop")
                .unwrap();
        }
    }
    let (name, text) = campaign(2, MEMBERS, "0s");
    place.write(&format!("campaigns/{name}.yaml"), text);
    let _daemon = place.daemon();
    let expected = usize::try_from(PEOPLE).unwrap() - silent.len();
    place
        .until(SIGN_OF_LIFE, "all others got it", |place| {
            Tally::of(&place.sandbox).who("round-2").len() >= expected
        })
        .await;
    let tally = Tally::of(&place.sandbox);
    tally.is_clean(&place.log());
    assert_eq!(tally.who("round-2").len(), expected);
}

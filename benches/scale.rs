//! What a large workspace costs: `cargo bench --bench scale -- --report` prints a row for each promise with what it is
//! measured against in the same run, and writes them to `target/scale.md`.
//!
//! `-- --only WORD` takes the rows whose name holds the word; `-- --specs N --people N --rows N --members N --events N
//! --accounts N --messages N --seeds N` other sizes, `-- --idle SECONDS` another span. A row is the best of some runs, those
//! of what is compared in turn, and CPU time stands beside wall time, since what else a machine does costs one and not the
//! other. A row that cannot be measured says why, and the command fails.

#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    dead_code,
    reason = "the simulation is a test's"
)]
#[path = "support/fortnight.rs"]
mod fortnight;
mod support;

use std::path::Path;
use std::process::ExitCode;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use support::big::{self, Everybody, Size};
use support::{Bad, argument, cpu_of, idle, journal, members, rate, word};
use tidings::control::request;
use tidings::model::{Command as Ask, RandomKey, Reply, Timestamp};
use tidings::plan::{Inputs, Link, Planner, Runtime};
use tidings::sandbox::{Peer, Sandbox, SandboxOptions, WorldSpec};

const BIN: &str = env!("CARGO_BIN_EXE_tidings");

/// The rows as they are measured.
struct Report {
    rows: Vec<String>,
    only: Option<String>,
}

impl Report {
    fn wants(&self, name: &str) -> bool {
        self.only
            .as_ref()
            .is_none_or(|only| name.contains(only.as_str()))
    }

    fn row(&mut self, name: &str, target: &str, measured: &str, holds: bool) {
        let verdict = if holds { "yes" } else { "**no**" };
        let row = format!("| {name} | {target} | {measured} | {verdict} |");
        println!("{row}");
        self.rows.push(row);
    }
}

const HEAD: &str = "| what | target | measured | reached |\n|---|---|---|---|";

fn main() -> ExitCode {
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<(), Bad> {
    // A process of plain clients, for the row that measures one.
    if let Some(sessions) = word(idle::PLAIN) {
        return idle::plain(Path::new(&sessions));
    }
    let mut report = Report {
        rows: Vec::new(),
        only: word("--only"),
    };
    let size = Size {
        specs: argument("--specs").unwrap_or(1_000),
        people: argument("--people").unwrap_or(1_000_000) / argument("--specs").unwrap_or(1_000),
        accounts: 1,
    };
    let began = state_of_machine();
    println!("{HEAD}");
    let mut broke_off = 0;
    let mut take = |what: &str, row: &mut dyn FnMut(&mut Report) -> Result<(), Bad>| {
        if let Err(error) = row(&mut report) {
            report.row(what, "", &format!("could not be measured: {error}"), false);
            broke_off += 1;
        }
    };
    take("sends", &mut sends);
    take("CSV", &mut csv);
    take("a group looked up", &mut looked_up);
    take("daemon", &mut |report| daemon(report, size));
    take("planning passes", &mut |report| passes(report, size));
    take("validate", &mut |report| validate(report, size));
    take("connected accounts", &mut connected);
    take("a long journal", &mut long_journal);
    take("the simulation", &mut fortnights);
    let machine = format!("{began}; at the end {}", load());
    println!("\n{machine}");
    if std::env::args().any(|arg| arg == "--report") {
        let text = format!("{HEAD}\n{}\n\n{machine}\n", report.rows.join("\n"));
        let target = std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".to_owned());
        std::fs::create_dir_all(&target)?;
        std::fs::write(Path::new(&target).join("scale.md"), text)?;
    }
    match broke_off {
        0 => Ok(()),
        n => Err(format!("{n} of the rows could not be measured").into()),
    }
}

/// The load averages of proc(5): how many threads want a core.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let first = text.split_whitespace().next().unwrap_or("unknown");
    format!("a load of {first}")
}

/// When and on what this is measured.
fn state_of_machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let now = chrono::Utc::now().format("%Y-%m-%d %H:%M UTC");
    format!("{now}, {cores} cores, {}", load())
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// The peak of a process's memory in MB (proc(5), VmHWM).
fn peak_mb(pid: u32) -> f64 {
    memory_mb(pid, "VmHWM:")
}

fn memory_mb(pid: u32, key: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kb: Option<f64> = status
        .lines()
        .find_map(|line| line.strip_prefix(key))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok());
    kb.unwrap_or(0.0) / 1024.0
}

fn tidings(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(BIN);
    command
        .arg("-C")
        .arg(dir)
        .args(arguments)
        .env("TIDINGS_LOG", "warn")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// What a command took besides its time.
#[derive(Default)]
struct Cost {
    /// CPU time of all its threads.
    cpu: Duration,
    /// Its peak of memory, in MB.
    peak: f64,
}

/// Runs a command to its end: how long, and what else it took.
fn timed(mut command: Command) -> Result<(Duration, Cost), Bad> {
    let began = Instant::now();
    let mut child = command.spawn()?;
    let mut cost = Cost::default();
    loop {
        cost.peak = cost.peak.max(peak_mb(child.id()));
        cost.cpu = cost.cpu.max(cpu_of(&child.id().to_string()));
        if child.try_wait()?.is_some() {
            return Ok((began.elapsed(), cost));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The best of some runs: what the work costs, without what else the machine does.
fn best<T>(
    times: usize,
    mut run: impl FnMut() -> Result<(Duration, T), Bad>,
) -> Result<(Duration, T), Bad> {
    let mut best = run()?;
    for _ in 1..times {
        let next = run()?;
        if next.0 < best.0 {
            best = next;
        }
    }
    Ok(best)
}

fn validate(report: &mut Report, size: Size) -> Result<(), Bad> {
    let name = format!("`validate` of {} specs", size.specs);
    if !report.wants(&name) {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    big::write_specs(dir.path(), size)?;
    let (took, cost) = best(3, || timed(tidings(dir.path(), &["validate"])))?;
    report.row(
        &name,
        "≤ 500 ms",
        &format!(
            "{:.0} ms ({:.0} ms CPU), {:.0} MB",
            millis(took),
            millis(cost.cpu),
            cost.peak
        ),
        took <= Duration::from_millis(500),
    );
    Ok(())
}

fn now() -> Timestamp {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(0))
}

fn passes(report: &mut Report, size: Size) -> Result<(), Bad> {
    const DUE: usize = 100;
    if !report.wants("a planning pass") {
        return Ok(());
    }
    let mut due_of = Vec::new();
    for people in [10, size.people] {
        let size = Size {
            people,
            accounts: DUE,
            ..size
        };
        let dir = tempfile::tempdir()?;
        big::write_specs(dir.path(), size)?;
        let now = now();
        let (desired, mut observed) =
            big::half_done(dir.path(), size, now, None, &Everybody::default())?;
        for account in observed.accounts.values_mut() {
            account.next_allowed_at = now + Duration::from_secs(3600);
        }
        let mut runtime = Runtime::default();
        for account in desired.engine.accounts.keys() {
            let ready = Link::Ready {
                random_key: RandomKey([7; 32]),
                first_name: None,
                username: None,
            };
            runtime.links.insert(account.clone(), ready);
        }
        let everybody = Everybody::default();
        let inputs = |now: Timestamp| Inputs {
            desired: &desired,
            observed: &observed,
            people: &everybody,
            runtime: &runtime,
            now,
            report_only: false,
        };
        // As the daemon plans: pass after pass.
        let pass = |planner: &mut Planner, now: Timestamp, actions: usize| -> Result<_, Bad> {
            let began = Instant::now();
            let made = planner.plan(&inputs(now), 0);
            let took = began.elapsed();
            if made.actions.len() != actions {
                return Err(format!("{} actions, not {actions}", made.actions.len()).into());
            }
            Ok((took, ()))
        };
        let mut planner = Planner::default();
        let whole = best(20, || pass(&mut Planner::default(), now, 0))?.0;
        pass(&mut planner, now, 0)?;
        let idle = best(20, || pass(&mut planner, now, 0))?.0;
        let due = best(20, || {
            let mut planner = Planner::default();
            pass(&mut planner, now, 0)?;
            pass(&mut planner, now + Duration::from_secs(7200), DUE)
        })?;
        let due = due.0;
        due_of.push(due);
        let all = size.specs * people;
        report.row(
            &format!(
                "a planning pass with nothing due, {} specs, {all} people",
                size.specs
            ),
            "≤ 1 ms",
            &format!(
                "{:.2} ms ({:.2} ms for the first, which looks at everything)",
                millis(idle),
                millis(whole)
            ),
            idle <= Duration::from_millis(1),
        );
        report.row(
            &format!(
                "a planning pass with {DUE} due, {} specs, {all} people",
                size.specs
            ),
            "≤ 5 ms, and flat",
            &format!(
                "{:.2} ms, {:.2} of the first",
                millis(due),
                due.as_secs_f64() / due_of[0].as_secs_f64()
            ),
            due <= Duration::from_millis(5) && due.as_secs_f64() <= due_of[0].as_secs_f64() * 1.5,
        );
    }
    Ok(())
}

fn csv(report: &mut Report) -> Result<(), Bad> {
    let rows = argument("--rows").unwrap_or(1_000_000);
    let name =
        format!("CSV of {rows} people read, deduplicated, filtered, stored durably, planned");
    if !report.wants(&name) {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let size = Size {
        specs: 0,
        people: 0,
        accounts: 1,
    };
    big::write_specs(dir.path(), size)?;
    let mut text = String::from("id,username,first_name,city\n");
    for n in 0..rows {
        text.push_str(&format!("{},person_{n},P{n},Kazan\n", 1_000_000 + n));
    }
    std::fs::write(dir.path().join("campaigns/people.csv"), text)?;
    std::fs::write(
        dir.path().join("campaigns/all.yaml"),
        "version: 1\nname: all\nkind: mailing\nconsent: {basis: customers}\naccounts: [acc-1]\n\
         sources: [{type: file, path: people.csv}]\n\
         filters: {limit: 10000000, where: contact.fields.city == 'Kazan'}\n\
         templates: [{name: one, text: 'Hi {{ contact.first_name }}!'}]\n",
    )?;
    let (took, Cost { cpu, peak }) = timed(tidings(dir.path(), &["reconcile", "all"]))?;
    let reply = request(
        &big::workspace(dir.path())?,
        Ask::Status { names: Vec::new() },
    )?;
    let pending = match &reply {
        Reply::Document { body } => body["campaigns"][0]["progress"]["pending"].as_u64(),
        _ => None,
    };
    if pending != Some(rows as u64) {
        return Err(format!("{pending:?} people wait, not {rows}: {reply:?}").into());
    }
    report.row(
        &name,
        "≤ 6 s, ≤ 200 MB",
        &format!(
            "{:.1} s ({:.1} s CPU), {peak:.0} MB",
            took.as_secs_f64(),
            cpu.as_secs_f64()
        ),
        took <= Duration::from_secs(6) && peak <= 200.0,
    );
    Ok(())
}

/// A daemon that ends with this value.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The watcher waits for so long that nothing more changes.
const QUIET: Duration = Duration::from_millis(50);

fn daemon(report: &mut Report, size: Size) -> Result<(), Bad> {
    let state = format!(
        "{} specs and {} people, half of them done",
        size.specs,
        size.specs * size.people
    );
    if !report.wants("daemon") {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let dir = tempfile::tempdir()?;
    big::write_specs(dir.path(), size)?;
    // The next in turn is there: after his message everybody waits for an hour.
    let next = big::next_of_first(size);
    let sandbox = runtime.block_on(Sandbox::start(SandboxOptions {
        world: WorldSpec::from_yaml(&format!(
            "accounts: [{{name: acc-1}}]\npeople: [{{id: {next}, username: person_{next}, first_name: P{next}}}]\n"
        ))?,
        ai_port: None,
        keep_ledger: true,
        ..SandboxOptions::default()
    }))?;
    runtime.block_on(sandbox.write_sessions(&dir.path().join("sessions")))?;
    let hash = sandbox.world(|world| world.access_hash(0, Peer::User(next)));
    let everybody = Everybody {
        there: Some((next, hash)),
    };
    big::half_done(
        dir.path(),
        size,
        now(),
        Some(&dir.path().join("state")),
        &everybody,
    )?;
    let began = Instant::now();
    let mut daemon = Daemon(tidings(dir.path(), &["run"]).spawn()?);
    let pid = daemon.0.id();
    let first = loop {
        if !sandbox
            .ledger()
            .of_method("messages.sendMessage")
            .is_empty()
        {
            break began.elapsed();
        }
        if let Some(ended) = daemon.0.try_wait()? {
            return Err(format!("the daemon ended: {ended}").into());
        }
        if began.elapsed() > Duration::from_secs(120) {
            return Err("no first action in two minutes".into());
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let (peak, spent) = (peak_mb(pid), cpu_of(&pid.to_string()));
    report.row(
        &format!("daemon: start with {state}, to the first action"),
        "≤ 1.5 s, ≤ 120 MB",
        &format!(
            "{:.2} s ({:.2} s CPU), {peak:.0} MB",
            first.as_secs_f64(),
            spent.as_secs_f64()
        ),
        first <= Duration::from_millis(1500) && peak <= 120.0,
    );
    let arrived = sandbox.ledger().of_method("messages.sendMessage");
    if !arrived.iter().all(|entry| entry.effect) {
        return Err("the first message did not arrive: there is no idleness to be measured".into());
    }
    std::thread::sleep(Duration::from_secs(10));
    let (cpu, rss, span) = (
        cpu_of(&pid.to_string()),
        memory_mb(pid, "VmRSS:"),
        Duration::from_secs(argument("--idle").unwrap_or(60) as u64),
    );
    std::thread::sleep(span);
    let share = (cpu_of(&pid.to_string()) - cpu).as_secs_f64() / span.as_secs_f64() * 100.0;
    let grown = memory_mb(pid, "VmRSS:") - rss;
    report.row(
        "daemon: idle, same state",
        "≤ 0.2 % of a core, no growth",
        &format!("{share:.2} %, {grown:+.1} MB in {} s", span.as_secs()),
        share <= 0.2 && grown <= 1.0,
    );
    let (took, cost) = best(5, || timed(tidings(dir.path(), &["status", "-o", "json"])))?;
    report.row(
        "daemon: `status`, same state",
        "≤ 30 ms",
        &format!(
            "{:.0} ms ({:.0} ms CPU of the command)",
            millis(took),
            millis(cost.cpu)
        ),
        took <= Duration::from_millis(30),
    );
    let workspace = big::workspace(dir.path())?;
    let mut generation = 1;
    let (took, ()) = best(3, || {
        generation += 1;
        let text = format!("{}# edit {generation}\n", big::spec(7, size));
        std::fs::write(dir.path().join("campaigns/c0007.yaml"), text)?;
        let began = Instant::now();
        loop {
            let names = vec!["c0007".to_owned()];
            if let Reply::Document { body } = request(&workspace, Ask::Status { names })?
                && body["campaigns"][0]["observed_generation"] == generation
            {
                return Ok((began.elapsed(), ()));
            }
            if began.elapsed() > Duration::from_secs(30) {
                return Err("the edit was not seen in 30 s".into());
            }
            // Each question costs the daemon a report over everything.
            std::thread::sleep(Duration::from_millis(25));
        }
    })?;
    report.row(
        "daemon: a saved edit to `observed_generation`, same state",
        "≤ 150 ms beyond the quiet time",
        &format!(
            "{:.0} ms with it, which is {} ms",
            millis(took),
            millis(QUIET)
        ),
        took <= QUIET + Duration::from_millis(150),
    );
    Ok(())
}

fn looked_up(report: &mut Report) -> Result<(), Bad> {
    let people = argument("--members").unwrap_or(100_000);
    let name = format!("group of {people} members looked up over MTProto and stored");
    if !report.wants(&name) {
        return Ok(());
    }
    // In turn, as the sends.
    let mut best: Option<members::Took> = None;
    for _ in 0..argument("--runs").unwrap_or(5) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        let took = runtime.block_on(members::measure(people))?;
        best = Some(best.map_or(took, |before| before.better(took)));
    }
    let took = best.ok_or("no runs")?;
    let ratio = took.plain.as_secs_f64() / took.stored.as_secs_f64();
    report.row(
        &name,
        "≥ 0.90 of a plain grammers loop",
        &format!(
            "{ratio:.2} ({:.2} s, the loop {:.2} s); bare calls {:.2} s; {:.2} s with filters applied, a checkpoint and \
             the end",
            took.stored.as_secs_f64(),
            took.plain.as_secs_f64(),
            took.bare.as_secs_f64(),
            took.ended.as_secs_f64()
        ),
        ratio >= 0.9,
    );
    Ok(())
}

fn connected(report: &mut Report) -> Result<(), Bad> {
    let more = argument("--accounts").unwrap_or(40);
    let name = "an idle connected account beyond the first";
    if !report.wants(name) {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let mut each = [0.0; 2];
    for (at, engine) in [false, true].into_iter().enumerate() {
        let mut resident = Vec::new();
        for accounts in [1, 1 + more] {
            let world = runtime.block_on(idle::World::start(accounts))?;
            let command = match engine {
                true => tidings(world.dir.path(), &["run"]),
                false => world.plain_process()?,
            };
            let mut child = Daemon({ command }.spawn()?);
            world.until_connected(|| match child.0.try_wait()? {
                Some(ended) => Err(format!("the process ended: {ended}").into()),
                None => Ok(()),
            })?;
            resident.push(memory_mb(child.0.id(), "VmRSS:"));
        }
        each[at] = (resident[1] - resident[0]) * 1024.0 / more as f64;
    }
    let [plain, engine] = each;
    report.row(
        name,
        "≤ 300 KB, or the plain client's + 10 %",
        &format!("{engine:.0} KB, the plain client {plain:.0} KB ({more} more of each)"),
        engine <= 300.0 || engine <= plain * 1.1,
    );
    Ok(())
}

fn long_journal(report: &mut Report) -> Result<(), Bad> {
    let events = argument("--events").unwrap_or(10_000_000);
    let name = format!("journal of {events} events");
    if !report.wants(&name) {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    big::write_specs(
        dir.path(),
        Size {
            specs: 1,
            people: 1_000,
            accounts: 1,
        },
    )?;
    let bytes = journal::write(&dir.path().join("state"), events)?;
    let (took, cost) = best(3, || timed(tidings(dir.path(), &["status", "-o", "json"])))?;
    report.row(
        &name,
        "start ≤ 3 s, disk ≤ 1 GB",
        &format!(
            "{:.2} s ({:.2} s CPU), {:.0} MB on the disk",
            took.as_secs_f64(),
            cost.cpu.as_secs_f64(),
            bytes as f64 / 1e6
        ),
        took <= Duration::from_secs(3) && bytes <= 1_000_000_000,
    );
    Ok(())
}

fn sends(report: &mut Report) -> Result<(), Bad> {
    let messages = argument("--messages").unwrap_or(20_000);
    for accounts in [1, 16] {
        let name = format!("sends at zero delay, accounts: {accounts}, every send durable");
        if !report.wants(&name) {
            continue;
        }
        // In turn, so that what else the machine does is not on one side alone.
        let mut best: Option<rate::Rates> = None;
        for _ in 0..argument("--runs").unwrap_or(5) {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()?;
            let rates = runtime.block_on(rate::measure(accounts, messages))?;
            best = Some(match best {
                None => rates,
                Some(best) => best.better(rates),
            });
        }
        let rate::Rates {
            plain,
            bare,
            engine,
        } = best.ok_or("no runs")?;
        let ratio = engine.per_second / plain.per_second;
        report.row(
            &name,
            "≥ 0.90 of a plain grammers loop",
            &format!(
                "{ratio:.2} ({:.0}/s of {:.0}/s; CPU with the server {:.0} µs of {:.0} µs a message: {:.2}); \
                 of bare calls {:.2} ({:.0}/s)",
                engine.per_second,
                plain.per_second,
                engine.cpu,
                plain.cpu,
                plain.cpu / engine.cpu,
                engine.per_second / bare.per_second,
                bare.per_second
            ),
            ratio >= 0.9,
        );
    }
    Ok(())
}

fn fortnights(report: &mut Report) -> Result<(), Bad> {
    let seeds = argument("--seeds").unwrap_or(500) as u64;
    let name = "the simulated fortnight";
    if !report.wants(name) {
        return Ok(());
    }
    let cpu = cpu_of("self");
    let took = fortnight::live_through(seeds)?;
    let cpu = cpu_of("self").saturating_sub(cpu);
    let rate = seeds as f64 / took.as_secs_f64();
    report.row(
        name,
        "≥ 20 seeds a second",
        &format!(
            "{rate:.0} a second ({:.1} ms CPU each, {seeds} seeds)",
            millis(cpu) / seeds as f64
        ),
        rate >= 20.0,
    );
    Ok(())
}

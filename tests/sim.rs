//! The pure core lives through fortnights on virtual time, with a Telegram in memory: thousands of them, each made from
//! a seed.
//!
//! - `TIDINGS_SIM_SEEDS=20000 cargo test --test sim` lives through so many (2,000 by default).
//! - `TIDINGS_SIM_SEED=42 cargo test --test sim one_seed -- --nocapture` lives through one and shows what it did; where it
//!   fails, the smallest scenario that fails in the same way.
//! - `cargo test --test sim survey -- --ignored --nocapture` counts failures by kind, over all seeds.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "sim/answers.rs"]
mod answers;
#[path = "sim/dice.rs"]
mod dice;
#[path = "sim/driver.rs"]
mod driver;
#[path = "sim/firings.rs"]
mod firings;
#[path = "sim/invariants.rs"]
mod invariants;
#[path = "sim/operator.rs"]
mod operator;
#[path = "sim/rest.rs"]
mod rest;
#[path = "sim/scenario.rs"]
mod scenario;
#[path = "sim/shell.rs"]
mod shell;
#[path = "sim/shrink.rs"]
mod shrink;
#[path = "sim/specs.rs"]
mod specs;
#[path = "sim/world.rs"]
mod world;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use driver::{Summary, live};
use invariants::Failure;
use scenario::Scenario;

/// Fortnights in CI.
const SEEDS: u64 = 2_000;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Lives through the scenario of a seed; a panic of the core is a failure like any other.
fn of_seed(seed: u64) -> Result<Summary, Failure> {
    let lived = std::panic::catch_unwind(|| live(&Scenario::of(seed)));
    lived.unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().cloned();
        let said = said.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(Failure {
            kind: "a panic",
            detail: said.unwrap_or_default(),
        })
    })
}

/// Lives through many, on all cores. `stop`: not beyond the first that fails.
fn of_seeds(first: u64, count: u64, stop: bool) -> (Vec<(u64, Failure)>, Vec<Summary>) {
    let next = AtomicU64::new(first);
    let failed = Mutex::new(Vec::new());
    let lived = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count || (stop && !failed.lock().unwrap().is_empty()) {
                        return;
                    }
                    match of_seed(seed) {
                        Ok(summary) => lived.lock().unwrap().push(summary),
                        Err(failure) => failed.lock().unwrap().push((seed, failure)),
                    }
                }
            });
        }
    });
    (failed.into_inner().unwrap(), lived.into_inner().unwrap())
}

/// How to see one again.
fn command(seed: u64) -> String {
    format!("TIDINGS_SIM_SEED={seed} cargo test --test sim one_seed -- --nocapture")
}

fn sum(lived: &[Summary]) -> Summary {
    let mut all = Summary::default();
    for one in lived {
        all.effects += one.effects;
        all.events += one.events;
        all.plans += one.plans;
        all.runs += one.runs;
        all.restarts += one.restarts;
        for (row, n) in &one.met {
            *all.met.entry(row).or_default() += n;
        }
        for (outcome, n) in &one.outcomes {
            *all.outcomes.entry(*outcome).or_default() += n;
        }
    }
    all
}

#[test]
fn no_fortnight_breaks_a_promise() {
    let count = number("TIDINGS_SIM_SEEDS").unwrap_or(SEEDS);
    let (mut failed, lived) = of_seeds(0, count, true);
    failed.sort_by_key(|(seed, _)| *seed);
    if let Some((seed, failure)) = failed.first() {
        panic!("seed {seed}: {failure}\n{}", command(*seed));
    }
    // The simulation itself must not fall silent.
    let all = sum(&lived);
    assert_eq!(lived.len() as u64, count);
    assert!(all.effects as u64 > count * 5, "{all:?}");
}

#[test]
fn one_seed() {
    let seed = number("TIDINGS_SIM_SEED").unwrap_or(42);
    let scenario = Scenario::of(seed);
    match of_seed(seed) {
        Ok(summary) => println!("{}\nseed {seed} is fine: {summary:#?}", scenario.shown()),
        Err(failure) => {
            println!("seed {seed}: {failure}\nmaking it smaller …");
            let (smallest, failure) = shrink::shrink(&scenario, failure);
            let _ = std::panic::catch_unwind(|| driver::traced(&smallest));
            println!("{}", smallest.shown());
            panic!("{failure}");
        }
    }
}

#[test]
fn what_must_not_be_is_noticed_and_made_small() {
    let forgets = |seed| Scenario {
        forgets: true,
        ..Scenario::of(seed)
    };
    let twice = |seed| match live(&forgets(seed)) {
        Err(failure) if failure.kind == "the same message twice" => Some((forgets(seed), failure)),
        _ => None,
    };
    let (scenario, failure) = (0..200)
        .find_map(twice)
        .expect("without deduplication a repeat arrives twice");
    let (smallest, still) = shrink::shrink(&scenario, failure);
    assert_eq!(still.kind, "the same message twice");
    assert_eq!(live(&smallest).unwrap_err().kind, still.kind);
    let size = |it: &Scenario| it.script.len() + it.days as usize + it.people as usize;
    assert!(size(&smallest) < size(&scenario), "{}", smallest.shown());
}

#[test]
#[ignore = "for a person who looks at all failures"]
fn survey() {
    let count = number("TIDINGS_SIM_SEEDS").unwrap_or(SEEDS);
    let first = number("TIDINGS_SIM_FIRST").unwrap_or(0);
    let began = std::time::Instant::now();
    let (failed, lived) = of_seeds(first, count, false);
    let took = began.elapsed();
    let mut kinds: BTreeMap<&str, Vec<&(u64, Failure)>> = BTreeMap::new();
    for one in &failed {
        kinds.entry(one.1.kind).or_default().push(one);
    }
    println!("{:#?}", sum(&lived));
    println!(
        "{count} seeds in {took:?}: {:.1} a second",
        count as f64 / took.as_secs_f64()
    );
    for (kind, seeds) in kinds {
        println!("{} × {kind}", seeds.len());
        for (seed, failure) in seeds.iter().take(3) {
            println!("    {}\n    {}", command(*seed), failure.detail);
        }
    }
}

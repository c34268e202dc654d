//! Fortnights of the simulation in `tests/sim`: how many a second.

#[path = "../../tests/sim/answers.rs"]
mod answers;
#[path = "../../tests/sim/dice.rs"]
mod dice;
#[path = "../../tests/sim/driver.rs"]
mod driver;
#[path = "../../tests/sim/firings.rs"]
mod firings;
#[path = "../../tests/sim/invariants.rs"]
mod invariants;
#[path = "../../tests/sim/operator.rs"]
mod operator;
#[path = "../../tests/sim/rest.rs"]
mod rest;
#[path = "../../tests/sim/scenario.rs"]
mod scenario;
#[path = "../../tests/sim/shell.rs"]
mod shell;
#[path = "../../tests/sim/specs.rs"]
mod specs;
#[path = "../../tests/sim/world.rs"]
mod world;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Bad;

/// Lives through the first so many, on all cores as the test does: how long that took.
pub fn live_through(seeds: u64) -> Result<Duration, Bad> {
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let began = Instant::now();
    std::thread::scope(|scope| {
        let lives = || -> Result<(), String> {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= seeds {
                    return Ok(());
                }
                driver::live(&scenario::Scenario::of(seed))
                    .map_err(|failure| format!("seed {seed}: {failure}"))?;
            }
        };
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(lives)).collect();
        for one in running {
            one.join().map_err(|_| "a fortnight broke off")??;
        }
        Ok::<(), Bad>(())
    })?;
    Ok(began.elapsed())
}

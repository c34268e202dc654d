//! Messages a second with no delay: the engine, every send durable, against a plain grammers loop with no
//! bookkeeping, on the same loopback Telegram in the same run.
//!
//! `cargo bench --bench sends` prints a table with the ratio; `-- --people 20000` takes more people, `-- --accounts 1`
//! one row alone.

mod support;

use std::time::Duration;

use support::{Bad, argument, rate};

/// People on the wire in one measurement: at 9,000 a second some seconds.
const PEOPLE: usize = 20_000;

fn main() -> Result<(), Bad> {
    let people = argument("--people").unwrap_or(PEOPLE);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    println!(
        "| accounts | plain grammers loop, msg/s (CPU µs each) | engine, every send durable, msg/s (CPU µs each) | ratio |"
    );
    println!("|---:|---:|---:|---:|");
    let rows = argument("--accounts").map_or_else(|| vec![1, 8], |only| vec![only]);
    for accounts in rows {
        let rate::Rates { plain, engine, .. } =
            runtime.block_on(rate::measure(accounts, people))?;
        println!(
            "| {accounts} | {:.0} ({:.0}) | {:.0} ({:.0}) | {:.2} |",
            plain.per_second,
            plain.cpu,
            engine.per_second,
            engine.cpu,
            engine.per_second / plain.per_second
        );
    }
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(())
}

//! What the benchmarks share.

#![allow(dead_code, reason = "each benchmark uses a part")]

pub mod big;
pub mod idle;
pub mod journal;
pub mod members;
pub mod rate;

use std::time::Duration;

/// Whatever goes wrong.
pub type Bad = Box<dyn std::error::Error + Send + Sync>;

/// A number after an argument of the command line.
pub fn argument(name: &str) -> Option<usize> {
    let mut args = std::env::args().skip_while(|arg| arg != name);
    args.next()?;
    args.next()?.parse().ok()
}

/// The word after an argument of the command line.
pub fn word(name: &str) -> Option<String> {
    let mut args = std::env::args().skip_while(|arg| arg != name);
    args.next()?;
    args.next()
}

/// CPU time of a process so far (`self` is this one), with all its threads: proc(5), /proc/PID/stat, fields 14 and 15 in
/// ticks of 1/100 s.
pub fn cpu_of(pid: &str) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
    let ticks: u64 = after
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks * 10)
}

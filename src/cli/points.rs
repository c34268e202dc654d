//! Failpoints of test builds: `FAILPOINTS=NAME=ACTION;…` says where the process ends, breaks off or is refused.
//!
//! The actions are those of the crate `fail` (`panic`, `return(28)`, `sleep(500)`, …) and `kill`, which sends this
//! process SIGKILL; `2*off->kill` does so at the third time. Only `cargo test` builds the crate's feature in: elsewhere
//! the points are not there, and the variable says nothing.

use std::sync::atomic::{AtomicU32, Ordering};

/// Sets what the environment asks for. An action that is none ends the process: a test would prove nothing.
pub(super) fn set() -> Result<(), String> {
    if !fail::has_failpoints() {
        return Ok(());
    }
    let Ok(all) = std::env::var("FAILPOINTS") else {
        return Ok(());
    };
    for one in all.split(';').filter(|one| !one.trim().is_empty()) {
        let (name, action) = one
            .split_once('=')
            .ok_or_else(|| format!("FAILPOINTS: {one:?} is no NAME=ACTION"))?;
        let before_kill = match action {
            "kill" => Some("0"),
            other => other.strip_suffix("*off->kill"),
        };
        match before_kill.map(str::parse::<u32>) {
            Some(Ok(passes)) => {
                let left = AtomicU32::new(passes);
                fail::cfg_callback(name, move || {
                    if left.fetch_sub(1, Ordering::SeqCst) == 0 {
                        kill();
                    }
                })
            }
            _ => fail::cfg(name, action),
        }
        .map_err(|error| format!("FAILPOINTS: {one}: {error}"))?;
    }
    Ok(())
}

/// Nothing of this process runs after it.
fn kill() {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
}

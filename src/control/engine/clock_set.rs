//! A wall clock that is set while the daemon runs neither shortens a pause nor prolongs it.

use super::*;

/// A smaller difference is a clock that is steered, or a slow look at it.
const LEAST: i64 = 5_000;
/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// The wall clock beside one that nobody sets.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Wall clock and time since the boot, both in milliseconds.
    last: Option<(i64, i64)>,
    looked: Option<std::time::Instant>,
}

impl Watch {
    /// By how much the wall clock was set since the last look, in milliseconds.
    fn look(&mut self, wall: i64, boot: i64) -> Option<i64> {
        let before = self.last.replace((wall, boot));
        let (wall_before, boot_before) = before?;
        let by = (wall - wall_before) - (boot - boot_before);
        (by.abs() >= LEAST).then_some(by)
    }
}

/// Milliseconds since the boot, sleep included (proc(5), `/proc/uptime`).
fn since_boot() -> Option<i64> {
    let text = std::fs::read_to_string("/proc/uptime").ok()?;
    let seconds: f64 = text.split_ascii_whitespace().next()?.parse().ok()?;
    Some((seconds * 1000.0) as i64)
}

impl Engine {
    /// Writes down that the clock was set, and tries again at once what waits for a moment of the old one.
    pub(super) fn look_at_clock(&mut self) -> Result<(), RunError> {
        let due = |looked: std::time::Instant| looked.elapsed() >= EVERY;
        if !self.core.clock.is_wall() || !self.clock_watch.looked.is_none_or(due) {
            return Ok(());
        }
        self.clock_watch.looked = Some(std::time::Instant::now());
        let Some(boot) = since_boot() else {
            return Ok(());
        };
        let now = self.core.clock.now();
        let Some(by_ms) = self.clock_watch.look(now.0, boot) else {
            return Ok(());
        };
        tracing::warn!(by_ms, "the clock was set");
        self.core
            .record(vec![Event::ClockSet { by_ms }], Durability::Soon)?;
        // Telegram answers nobody from more than 30 s ahead, and a connection made before would go on asking: a new one
        // finds that out by itself.
        if by_ms > 0 {
            for task in self.tasks.values() {
                task.client().reconnect();
            }
        }
        let runtime = &mut self.core.runtime;
        for link in runtime.links.values_mut() {
            if let Link::Unreachable { retry_at, .. } = link
                && *retry_at < Timestamp::MAX
            {
                *retry_at = now;
            }
        }
        for broken in runtime.broken.values_mut() {
            broken.retry_at = now;
        }
        for (_, retry_at) in runtime.untold.values_mut() {
            *retry_at = now;
        }
        runtime.typing.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_is_told_from_one_that_goes() {
        let mut watch = Watch::default();
        assert_eq!(watch.look(1_000_000, 50_000), None);
        // A minute passes, asleep or not.
        assert_eq!(watch.look(1_060_020, 110_000), None);
        assert_eq!(
            watch.look(1_061_000 - 18_000_000, 111_000),
            Some(-18_000_020)
        );
        assert_eq!(watch.look(1_062_000 - 18_000_000, 112_000), None);
        assert_eq!(watch.look(1_063_000, 113_000), Some(18_000_000));
    }

    #[test]
    fn the_time_since_the_boot_goes_on() {
        let first = since_boot().unwrap();
        assert!(first > 0 && since_boot().unwrap() >= first);
    }
}

//! The loop's heartbeat: how health checks and the watchdog tell a busy engine from one that hangs.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::model::Timestamp;
use crate::web::Health;

/// Written by the loop, read by whoever asks for its health. Real time, whatever the engine's clock says.
#[derive(Debug)]
pub(super) struct Pulse {
    since: Instant,
    /// Milliseconds after `since`.
    beat: AtomicU64,
    /// Milliseconds of the wall clock.
    beat_at: AtomicI64,
    planned: AtomicBool,
    draining: AtomicBool,
    reloaded: AtomicBool,
    web: Mutex<Option<String>>,
}

impl Default for Pulse {
    fn default() -> Self {
        let pulse = Pulse {
            since: Instant::now(),
            beat: AtomicU64::new(0),
            beat_at: AtomicI64::new(0),
            planned: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            reloaded: AtomicBool::new(false),
            web: Mutex::new(None),
        };
        pulse.beat();
        pulse
    }
}

impl Pulse {
    /// The loop goes round.
    pub(super) fn beat(&self) {
        let since = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.beat.store(since, Ordering::Relaxed);
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        self.beat_at.store(
            i64::try_from(wall.as_millis()).unwrap_or(i64::MAX),
            Ordering::Relaxed,
        );
    }

    /// The first plan was made. Answers whether this is the first time.
    pub(super) fn planned(&self) -> bool {
        !self.planned.swap(true, Ordering::Relaxed)
    }

    /// The loop was told to stop.
    pub(super) fn drains(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// What the last look at the workspace found.
    pub(super) fn reloaded(&self, all_valid: bool) {
        self.reloaded.store(all_valid, Ordering::Relaxed);
    }

    /// Where the page listens.
    pub(super) fn set_web(&self, url: Option<String>) {
        if let Ok(mut web) = self.web.lock() {
            *web = url;
        }
    }

    /// Where the page listens.
    pub(super) fn web(&self) -> Option<String> {
        self.web.lock().ok().and_then(|web| web.clone())
    }
}

impl Health for Pulse {
    fn heartbeat_age(&self) -> Duration {
        self.since
            .elapsed()
            .saturating_sub(Duration::from_millis(self.beat.load(Ordering::Relaxed)))
    }

    fn heartbeat_at(&self) -> Timestamp {
        Timestamp(self.beat_at.load(Ordering::Relaxed))
    }

    fn ready(&self) -> Result<(), &'static str> {
        if self.draining.load(Ordering::Relaxed) {
            return Err("Tidings is stopping.");
        }
        if !self.planned.load(Ordering::Relaxed) {
            return Err("Tidings is starting: its first plan is not made yet.");
        }
        Ok(())
    }

    fn reload_successful(&self) -> bool {
        self.reloaded.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_is_ready_after_its_first_plan_and_until_it_is_told_to_stop() {
        let pulse = Pulse::default();
        assert!(pulse.ready().is_err());
        assert!(pulse.planned() && !pulse.planned());
        assert_eq!(pulse.ready(), Ok(()));
        pulse.drains();
        assert!(pulse.ready().is_err());
        assert!(pulse.heartbeat_age() < Duration::from_secs(5));
    }
}

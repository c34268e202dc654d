//! The clock: the one place that asks what time it is.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::model::Timestamp;

/// The wall clock, or one that runs faster from a given moment on (for `demo` and tests).
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    speed: f64,
    from: Option<(Timestamp, Instant)>,
}

impl Default for Clock {
    fn default() -> Self {
        Clock {
            speed: 1.0,
            from: None,
        }
    }
}

/// The longest sleep: a wall clock that was set forward is noticed after so long at the latest.
const LONGEST: Duration = Duration::from_secs(20);

impl Clock {
    /// A clock that runs `speed` times as fast, from `start` on.
    pub fn speeded(speed: f64, start: Timestamp) -> Clock {
        Clock {
            speed: speed.max(0.001),
            from: Some((start, Instant::now())),
        }
    }

    /// Now.
    pub fn now(&self) -> Timestamp {
        match self.from {
            None => wall(),
            Some((start, at)) => start + at.elapsed().mul_f64(self.speed),
        }
    }

    /// Whether it is the wall clock, which somebody may set.
    pub fn is_wall(&self) -> bool {
        self.from.is_none()
    }

    /// How long to sleep for `at` to come; a little more rather than less, and never very long.
    pub fn until(&self, at: Timestamp) -> Duration {
        let wait = at.since(self.now()).div_f64(self.speed);
        (wait + Duration::from_millis(1)).min(LONGEST)
    }

    /// A stretch of this clock's time in real time.
    pub fn real(&self, stretch: Duration) -> Duration {
        stretch.div_f64(self.speed)
    }
}

fn wall() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let now = Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
    // `return(FILE)`: the clock is ahead by as many milliseconds as stand in the file.
    fail::fail_point!("clock.wall", |file: Option<String>| {
        let ahead = file.and_then(|file| std::fs::read_to_string(file).ok());
        let ahead: i64 = ahead
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or_default();
        Timestamp(now.0.saturating_add(ahead))
    });
    now
}

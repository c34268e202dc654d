//! When Telegram is asked what was missed.

use std::time::Duration;

use tokio::time::Instant;

use super::{BACK_OFF, SILENCE};

/// How long a gap may close by itself before it is asked about (core.telegram.org/api/updates: 0.5 s).
pub(super) const GAP_PATIENCE: Duration = Duration::from_millis(500);

/// When Telegram is asked next.
pub(super) struct Clock {
    pub(super) ask_at: Instant,
    /// Something is missing: a word from Telegram does not put the question off.
    pub(super) urgent: bool,
    /// A failed question is not put again before.
    pub(super) not_before: Instant,
    /// How long a gap may close by itself; grows while questions about gaps bring nothing.
    pub(super) patience: Duration,
    pub(super) back_off: Duration,
}

impl Clock {
    pub(super) fn new() -> Clock {
        let now = Instant::now();
        Clock {
            ask_at: now,
            urgent: true,
            not_before: now,
            patience: GAP_PATIENCE,
            back_off: BACK_OFF.0,
        }
    }

    pub(super) fn heard(&mut self, gap: bool) {
        let now = Instant::now();
        if gap {
            let soon = (now + self.patience).max(self.not_before);
            self.ask_at = if self.urgent {
                self.ask_at.min(soon)
            } else {
                soon
            };
            self.urgent = true;
        } else if !self.urgent {
            self.ask_at = now + SILENCE;
        }
    }

    pub(super) fn ask_now(&mut self) {
        self.ask_at = Instant::now().max(self.not_before);
        self.urgent = true;
    }

    pub(super) fn caught_up(&mut self, brought_something: bool) {
        self.back_off = BACK_OFF.0;
        self.patience = match brought_something {
            true => GAP_PATIENCE,
            false => (self.patience * 2).min(BACK_OFF.1),
        };
        self.ask_at = Instant::now() + SILENCE;
        self.urgent = false;
    }

    pub(super) fn failed(&mut self, pause: Duration) {
        self.back_off = (self.back_off * 2).min(BACK_OFF.1);
        self.not_before = Instant::now() + pause;
        self.ask_at = self.not_before;
        self.urgent = true;
    }
}

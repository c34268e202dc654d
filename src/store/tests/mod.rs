//! The store against everything that can happen to a disk and a process.

mod damage;
mod kill;
mod measure;
mod way;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::*;
use crate::model::PersonId;

/// A vocabulary like the journal's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Event {
    Intent {
        at: i64,
        campaign: String,
        person: i64,
        account: String,
        random_id: i64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<u32>,
    },
    Outcome {
        at: i64,
        campaign: String,
        person: i64,
        outcome: String,
    },
    Tick {
        at: i64,
    },
}

impl Event {
    pub(super) fn at(&self) -> i64 {
        match self {
            Self::Intent { at, .. } | Self::Outcome { at, .. } | Self::Tick { at } => *at,
        }
    }
}

/// Event number `n`: its time says which it is.
pub(super) fn event(n: u64) -> Event {
    let at = 1_700_000_000_000 + n as i64;
    let person = (n as i64 / 2).wrapping_mul(0x9E37_79B9) % 7_000_000_000;
    if n % 2 == 1 {
        Event::Intent {
            at,
            campaign: "spring-launch".into(),
            person,
            account: format!("sales-{}", n % 8),
            random_id: (n as i64).wrapping_mul(0x2545_F491_4F6C_DD1D),
            step: None,
        }
    } else {
        Event::Outcome {
            at,
            campaign: "spring-launch".into(),
            person,
            outcome: "sent".into(),
        }
    }
}

/// Events `from..=to`.
pub(super) fn events(from: u64, to: u64) -> Vec<Event> {
    (from..=to).map(event).collect()
}

pub(super) const WRITE: Access = Access::Write {
    new_id: 0x1234,
    now_ms: 1,
};

pub(super) fn options() -> Options {
    Options::new(WRITE, Duration::from_millis(100))
}

pub(super) fn open(dir: &Path) -> (Store<Event>, OpenReport) {
    Store::open(dir, options()).unwrap()
}

pub(super) fn open_err(dir: &Path) -> StoreError {
    Store::<Event>::open(dir, options()).err().unwrap()
}

pub(super) fn all(store: &Store<Event>) -> Vec<(Seq, Event)> {
    store
        .events_from(1)
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap()
}

/// Asserts that exactly the events `1..=last` are there, in order.
pub(super) fn assert_holds(store: &Store<Event>, last: u64) {
    let found = all(store);
    assert_eq!(found.len() as u64, last);
    for (at, (seq, found)) in found.into_iter().enumerate() {
        assert_eq!(seq, at as u64 + 1);
        assert_eq!(found, event(seq));
    }
    assert_eq!(store.last_seq(), last);
}

/// The outbox's files in order.
pub(super) fn outbox_files(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(dir.join("outbox"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

/// A copy of a state that is not open.
pub(super) fn copy_state(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_state(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A send as the engine journals it: events `2n` and `2n + 1`.
pub(super) fn a_send(n: u64) -> [crate::model::Recorded; 2] {
    use crate::model::{Event, Intent, Recorded, SendKey, Timestamp};
    let key = SendKey {
        lineage: "spring-launch".into(),
        person: PersonId((n as i64).wrapping_mul(0x9E37_79B9) % 7_000_000_000),
        step: 0,
        run: 0,
    };
    let at = Timestamp(1_700_000_000_000 + 40_000 * n as i64);
    let text = format!(
        "Привет, {n}! Мы выпустили весеннее обновление: новые отчёты, быстрый поиск и тёмная тема. Расскажите, что получилось, а что нет. Ответьте «стоп», чтобы больше не получать писем."
    );
    let random_id = (n as i64).wrapping_mul(0x2545_F491_4F6C_DD1D);
    let request = [&random_id.to_le_bytes(), text.as_bytes()].concat();
    let intent = Intent {
        key: key.clone(),
        account: format!("sales-{}", n % 8).into(),
        random_id,
        run: 1,
        variant: "short".into(),
        digest: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".into(),
        attested: false,
        request: request.into(),
        next_allowed_at: Timestamp(at.0 + 30_000),
    };
    [
        Recorded {
            at,
            event: Event::Intent(Arc::new(intent)),
        },
        Recorded {
            at: Timestamp(at.0 + 300),
            event: Event::Sent {
                key,
                message_id: n as i32,
                earlier: false,
                next_allowed_at: Timestamp(at.0 + 31_000),
            },
        },
    ]
}

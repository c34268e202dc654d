//! A state with a long journal, made without sending anything.

use std::path::Path;
use std::time::Duration;

use tidings::model::{Event, PersonId, Recorded, Timestamp};
use tidings::observed::{Observed, fold};
use tidings::store::{Access, Options, Store};

use super::Bad;

/// Events of one append.
const BATCH: usize = 10_000;
/// Events after the newest checkpoint: as many as the engine lets come together.
const BEHIND: usize = 100_000;
/// People who write.
const PEOPLE: usize = 1_000;

/// Writes so many events, with a checkpoint before the last of them. Answers the bytes on the disk.
pub fn write(state: &Path, events: usize) -> Result<u64, Bad> {
    let access = Access::Write {
        new_id: 7,
        now_ms: 0,
    };
    let (store, _) = Store::<Recorded>::open(state, Options::new(access, Duration::ZERO))?;
    let mut observed = Observed::default();
    let mut written = 0;
    let mut saved = false;
    while written < events {
        let batch: Vec<Recorded> = (written..events.min(written + BATCH))
            .map(|n| Recorded {
                at: Timestamp(i64::try_from(n).unwrap_or(0) * 100),
                event: Event::Incoming {
                    account: "acc-1".into(),
                    person: PersonId(1_000_000 + i64::try_from(n % PEOPLE).unwrap_or(0)),
                    message_id: i32::try_from(n / PEOPLE + 1).unwrap_or(i32::MAX),
                },
            })
            .collect();
        let (first, _) = store.append(&batch)?;
        for (seq, recorded) in (first..).zip(&batch) {
            fold(&mut observed, seq, recorded);
        }
        written += batch.len();
        store.fold(false)?;
        if !saved && written + BEHIND >= events {
            store.save_checkpoint(observed.seq, &rmp_serde::to_vec(&observed)?)?;
            saved = true;
        }
    }
    store.sync(store.last_seq())?;
    store.fold(true)?;
    let sizes = store.sizes()?;
    Ok(sizes.outbox + sizes.database + sizes.checkpoints)
}

//! Measurements, run by hand: `cargo test --release --lib store -- --ignored --nocapture`.

use std::time::Instant;

use super::*;

fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        / 1024
}

fn size_of(path: &Path) -> u64 {
    let meta = std::fs::symlink_metadata(path).unwrap();
    if meta.is_dir() {
        std::fs::read_dir(path)
            .unwrap()
            .map(|entry| size_of(&entry.unwrap().path()))
            .sum()
    } else {
        use std::os::unix::fs::MetadataExt;
        meta.blocks() * 512
    }
}

fn million(count: u64) {
    let tmp =
        tempfile::tempdir_in(std::env::var("MEASURE_DIR").unwrap_or("/var/tmp".into())).unwrap();
    let dir = tmp.path().join("state");
    let (store, _) = open(&dir);
    let started = Instant::now();
    let mut next = 1;
    while next <= count {
        let to = (next + 99).min(count);
        store.append(&events(next, to)).unwrap();
        next = to + 1;
        if store.wants_fold() && next % 4000 < 100 {
            store.fold(false).unwrap();
        }
    }
    let appended = started.elapsed();
    store.fold(true).unwrap();
    let folded = started.elapsed();
    let size = size_of(&dir);
    println!(
        "{count} events: appended in {appended:?}, folded and synced in {folded:?} ({:.0} events/s), {:.1} MB, {:.1} bytes an event, peak {} MB",
        count as f64 / folded.as_secs_f64(),
        size as f64 / 1e6,
        size as f64 / count as f64,
        resident()
    );
    println!("sizes {:?}", store.sizes().unwrap());
    drop(store);
    let started = Instant::now();
    let (store, report) = open(&dir);
    println!("opened in {:?}, {report:?}", started.elapsed());
    let started = Instant::now();
    assert_eq!(store.events_from(1).unwrap().count() as u64, count);
    println!("read and decoded in {:?}", started.elapsed());
    drop(store);
    println!("after reopening {:.1} MB", size_of(&dir) as f64 / 1e6);
}

#[test]
#[ignore = "a measurement"]
fn a_fresh_state() {
    let tmp = tempfile::tempdir_in("/var/tmp").unwrap();
    let dir = tmp.path().join("state");
    for what in ["made", "opened", "opened"] {
        let started = Instant::now();
        let (store, _) = open(&dir);
        let opened = started.elapsed();
        drop(store);
        println!(
            "{what} in {opened:?}, with closing {:?}, {:.1} MB",
            started.elapsed(),
            size_of(&dir) as f64 / 1e6
        );
    }
}

#[test]
#[ignore = "a measurement"]
fn a_million_events() {
    million(1_000_000);
}

#[test]
#[ignore = "a measurement of some minutes"]
fn ten_million_events() {
    million(10_000_000);
}

/// `TIDINGS_TEST_SMALL_DISK` names a folder on a file system of some 16 MB.
#[test]
#[ignore = "needs a small file system"]
fn a_full_disk_stops_the_store_and_room_on_it_mends_it() {
    let Ok(disk) = std::env::var("TIDINGS_TEST_SMALL_DISK") else {
        return;
    };
    for fill_first in [false, true] {
        let dir = Path::new(&disk).join("state");
        let ballast = Path::new(&disk).join("ballast");
        std::fs::write(&ballast, vec![1; 2 << 20]).unwrap();
        let (store, _) = open(&dir);
        let mut promised = 0;
        let error = loop {
            let from = store.last_seq() + 1;
            let appended = store.append(&events(from, from + 999));
            let synced = appended.and_then(|(_, last)| store.sync(last).map(|()| last));
            match synced {
                Ok(last) => promised = last,
                Err(error) => break error,
            }
            if !fill_first && let Err(error) = store.fold(false) {
                break error;
            }
        };
        println!("after {promised} events: {error}");
        assert!(matches!(
            store.append(&events(1, 1)),
            Err(StoreError::Failed { .. })
        ));
        drop(store);
        std::fs::remove_file(&ballast).unwrap();
        let (store, report) = open(&dir);
        println!("opened again with {} events: {report:?}", store.last_seq());
        assert!(store.last_seq() >= promised);
        let last = store.last_seq();
        assert_holds(&store, last);
        drop(store);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}

#[test]
#[ignore = "a measurement"]
fn a_million_people() {
    let tmp = tempfile::tempdir_in("/var/tmp").unwrap();
    let dir = tmp.path().join("state");
    let (store, _) = open(&dir);
    let people = store.people();
    let started = Instant::now();
    for page in 0..5000u64 {
        let batch: Vec<(PersonId, Vec<u8>)> = (0..200)
            .map(|n| {
                let id = (page * 200 + n).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                let data = format!(
                    "{{\"first_name\":\"Anna {id}\",\"username\":\"user{id}\",\"hash\":{id}}}"
                );
                (PersonId(id as i64), data.into_bytes())
            })
            .collect();
        people.put(&batch).unwrap();
    }
    store.sync_database().unwrap();
    println!(
        "a million people in pages of 200 put in {:?}, {:.1} MB, peak {} MB",
        started.elapsed(),
        size_of(&dir) as f64 / 1e6,
        resident()
    );
    drop((people, store));
    let (store, _) = open(&dir);
    let started = Instant::now();
    let mut count = 0;
    store.people().scan(|_, _| count += 1).unwrap();
    println!("{count} scanned in {:?}", started.elapsed());
    let started = Instant::now();
    store.people().remove(&[PersonId(0)]).unwrap();
    println!("one erased in {:?}", started.elapsed());
}

#[test]
#[ignore = "a measurement"]
fn the_cost_of_one_durable_event() {
    let tmp = tempfile::tempdir_in("/var/tmp").unwrap();
    let (store, _) = open(&tmp.path().join("state"));
    for batch in [1u64, 10, 100] {
        let mut took: Vec<Duration> = Vec::new();
        for _ in 0..1000 {
            let from = store.last_seq() + 1;
            let list = events(from, from + batch - 1);
            let started = Instant::now();
            let (_, last) = store.append(&list).unwrap();
            store.sync(last).unwrap();
            took.push(started.elapsed());
        }
        took.sort();
        println!(
            "append and fdatasync of {batch}: median {:?}, 99% {:?}",
            took[500], took[990]
        );
    }
    let list = events(1, 1);
    let started = Instant::now();
    for _ in 0..100_000 {
        store.append(&list).unwrap();
    }
    println!("append alone: {:?} each", started.elapsed() / 100_000);
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            std::thread::spawn(move || {
                for _ in 0..2000 {
                    let (_, last) = store.append(&events(1, 1)).unwrap();
                    store.sync(last).unwrap();
                }
            })
        })
        .collect();
    let started = Instant::now();
    for thread in threads {
        thread.join().unwrap();
    }
    println!(
        "8 threads, each event durable: {:.0} events/s",
        16_000.0 / started.elapsed().as_secs_f64()
    );
}

#[test]
#[ignore = "a measurement"]
fn a_million_events_of_sends() {
    let tmp = tempfile::tempdir_in("/var/tmp").unwrap();
    let dir = tmp.path().join("state");
    let (store, _) = Store::<crate::model::Recorded>::open(&dir, options()).unwrap();
    let started = Instant::now();
    for n in 0..500_000 {
        store.append(&a_send(n)).unwrap();
        if n % 2000 == 0 {
            store.fold(false).unwrap();
        }
    }
    store.fold(true).unwrap();
    println!(
        "500,000 sends (intent with its request, sent) in {:?}, {:.1} bytes an event",
        started.elapsed(),
        store.sizes().unwrap().database as f64 / 1e6
    );
    let started = Instant::now();
    assert_eq!(store.events_from(1).unwrap().count(), 1_000_000);
    println!("read in {:?}, peak {} MB", started.elapsed(), resident());
}

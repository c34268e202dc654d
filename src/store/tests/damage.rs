//! Torn ends, flipped bits, missing files, failing disks.

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::super::outbox::Outbox;
use super::*;

/// A state whose outbox holds `1..=5`, all durable, then 6 and 7-8 as two frames nobody synced.
fn with_a_tail(dir: &Path) -> (std::path::PathBuf, u64, u64) {
    let (store, _) = open(dir);
    for n in 1..=5 {
        store.append(&[event(n)]).unwrap();
    }
    store.sync(5).unwrap();
    let file = outbox_files(dir).pop().unwrap();
    let durable = fs::metadata(&file).unwrap().len();
    store.append(&[event(6)]).unwrap();
    let sixth = fs::metadata(&file).unwrap().len();
    store.append(&events(7, 8)).unwrap();
    drop(store);
    (file, durable, sixth)
}

#[test]
fn an_outbox_torn_at_any_byte_keeps_every_whole_frame_and_says_what_was_cut() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("state");
    let (file, durable, sixth) = with_a_tail(&dir);
    let whole = fs::read(&file).unwrap();
    let copy = tmp.path().join("copy");
    copy_state(&dir, &copy);
    let outbox = copy.join("outbox");
    for cut in durable..=whole.len() as u64 {
        // What the opening before this one synced is not to be missed.
        fs::copy(dir.join("mark"), copy.join("mark")).unwrap();
        fs::remove_dir_all(&outbox).unwrap();
        fs::create_dir(&outbox).unwrap();
        let path = outbox.join(file.file_name().unwrap());
        fs::write(&path, &whole[..cut as usize]).unwrap();
        let (last, torn) = match cut {
            c if c == whole.len() as u64 => (8, 0),
            c if c >= sixth => (6, c - sixth),
            c => (5, c - durable),
        };
        let (_, found) = Outbox::open(&outbox, StateId(0x1234), Hooks::default()).unwrap();
        assert_eq!(found.torn_bytes, torn, "cut at {cut}");
        assert_eq!(found.events.len() as u64, last, "cut at {cut}");
        // The whole store takes some milliseconds more: at some of the places.
        if cut % 24 != 0 && torn > 2 {
            continue;
        }
        let (store, report) = open(&copy);
        assert_eq!(report.torn_bytes, torn, "cut at {cut}");
        assert_holds(&store, last);
        store.append(&[event(last + 1)]).unwrap();
        drop(store);
        let (store, report) = open(&copy);
        assert_eq!(report.torn_bytes, 0);
        assert_holds(&store, last + 1);
    }
}

#[test]
fn an_outbox_torn_at_any_byte_of_its_last_64_kib_keeps_every_whole_frame() {
    const TAIL: u64 = 64 << 10;
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("state");
    let (store, _) = open(&dir);
    store.append(&events(1, 10)).unwrap();
    store.sync(10).unwrap();
    let path = outbox_files(&dir).pop().unwrap();
    let len = || fs::metadata(&path).unwrap().len();
    // Where each frame ends, and the last event that stands in it. What is to be torn was promised to nobody.
    let mut ends = vec![(len(), 10)];
    let request = [7u8; 480];
    while len() - ends[0].0 < TAIL {
        let next = ends.last().unwrap().1 + 1;
        let intent = event(next);
        let (_, last) = store
            .append_with_payloads(&[(&intent, &request[..]), (&event(next + 1), &[])])
            .unwrap();
        ends.push((len(), last));
    }
    drop(store);
    let copy = tmp.path().join("copy");
    copy_state(&dir, &copy);
    let torn = outbox_files(&copy).pop().unwrap();
    let file = fs::OpenOptions::new().write(true).open(&torn).unwrap();
    let mut whole = ends.len() - 1;
    let mut cuts = 0;
    for cut in (ends[0].0..=len()).rev() {
        while ends[whole].0 > cut {
            whole -= 1;
        }
        let (end, last) = ends[whole];
        file.set_len(cut).unwrap();
        let (_, found) =
            Outbox::open(&copy.join("outbox"), StateId(0x1234), Hooks::default()).unwrap();
        assert_eq!(found.torn_bytes, cut - end, "cut at {cut}");
        assert_eq!(found.events.len() as u64, last, "cut at {cut}");
        cuts += 1;
    }
    assert!(cuts > TAIL);
    // The whole store, at and beside the ends of some frames.
    for (end, last) in ends.into_iter().step_by(20) {
        for (cut, torn) in [(end, 0), (end + 1, 1), (end + 300, 300)] {
            let copy = tmp.path().join(format!("cut {cut}"));
            copy_state(&dir, &copy);
            let path = outbox_files(&copy).pop().unwrap();
            let file = fs::OpenOptions::new().write(true).open(path).unwrap();
            if cut > file.metadata().unwrap().len() {
                continue;
            }
            file.set_len(cut).unwrap();
            let (store, report) = open(&copy);
            assert_eq!(report.torn_bytes, torn, "cut at {cut}");
            assert_holds(&store, last);
        }
    }
}

#[test]
fn a_tail_that_reached_the_disk_in_the_wrong_order_is_torn_not_damaged() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("state");
    let (file, durable, sixth) = with_a_tail(&dir);
    // The page with event 6 was lost in a power cut, the later one was written: nobody was
    // promised either.
    let mut bytes = fs::read(&file).unwrap();
    bytes[durable as usize..sixth as usize].fill(0);
    let cut = bytes.len() as u64 - durable;
    fs::write(&file, bytes).unwrap();
    let (store, report) = open(&dir);
    assert_eq!(report.torn_bytes, cut);
    assert_holds(&store, 5);
}

#[test]
fn damage_to_a_promised_event_is_reported_with_its_place() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("state");
    let (file, durable, _) = with_a_tail(&dir);
    let whole = fs::read(&file).unwrap();
    let header = 36;
    for at in [
        header,
        header + 5,
        header + 9,
        header + 40,
        durable as usize - 1,
    ] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&file, &bytes).unwrap();
        let error = open_err(&dir);
        let StoreError::Corrupt { place, what } = &error else {
            panic!("byte {at}: {error}");
        };
        assert!(place.contains("offset "), "{place}");
        assert!(what.contains("event "), "{what}");
        assert_eq!(
            fs::read(&file).unwrap(),
            bytes,
            "damage is left as it is for those who look at it"
        );
    }
    let mut bytes = whole.clone();
    bytes[10] ^= 1;
    fs::write(&file, &bytes).unwrap();
    assert!(open_err(&dir).to_string().contains("header is not sound"));
    fs::write(&file, &whole).unwrap();
    let (store, _) = open(&dir);
    assert_holds(&store, 8);
}

#[test]
fn an_outbox_file_cut_short_at_its_creation_is_no_obstacle() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("state");
    drop(with_a_tail(&dir));
    for len in [0usize, 1, 35, 36, 4096] {
        let next = dir.join("outbox").join(format!("{:020}.log", 9));
        fs::write(&next, vec![0u8; len]).unwrap();
        let (store, report) = open(&dir);
        assert_eq!(report.torn_bytes, len as u64);
        assert_holds(&store, 8);
    }
}

#[test]
fn the_outbox_of_another_state_is_refused() {
    let tmp = tempfile::tempdir().unwrap();
    let (a, b) = (tmp.path().join("a"), tmp.path().join("b"));
    drop(with_a_tail(&a));
    let access = Access::Write {
        new_id: 77,
        now_ms: 0,
    };
    drop(Store::<Event>::open(&b, Options::new(access, Duration::ZERO)).unwrap());
    fs::remove_dir_all(b.join("outbox")).unwrap();
    copy_state(&a.join("outbox"), &b.join("outbox"));
    assert!(open_err(&b).to_string().contains("another state"));
}

/// A state with 3,000 events in the database and 10 after them. Its first outbox file, folded, is
/// still kept and holds 1 to 2,000, the second the rest.
fn folded(dir: &Path) -> Store<Event> {
    let (store, _) = open(dir);
    store.append(&events(1, 2000)).unwrap();
    store.fold(false).unwrap();
    drop(store);
    let (store, _) = open(dir);
    store.append(&events(2001, 3000)).unwrap();
    store.fold(false).unwrap();
    store.append(&events(3001, 3010)).unwrap();
    store
}

#[test]
fn what_the_database_lost_is_supplied_by_the_outbox() {
    let tmp = tempfile::tempdir().unwrap();
    for (name, lost) in [
        ("the last pack is missing", vec![2001u64]),
        ("all packs are missing", vec![1, 1001, 2001]),
    ] {
        let dir = tmp.path().join(name);
        let store = folded(&dir);
        let gone = lost.iter().map(|key| (key.to_be_bytes().to_vec(), None));
        store.inner.journal.apply(gone.collect()).unwrap();
        store.inner.db.sync().unwrap();
        drop(store);
        let (store, report) = open(&dir);
        assert_eq!(report.replayed, 3010 - (lost[0] - 1), "{name}");
        assert_holds(&store, 3010);
        store.fold(true).unwrap();
        assert_holds(&store, 3010);
        assert!(store.verify().unwrap().problems.is_empty());
    }
}

#[test]
fn damaged_packs_are_replaced_from_the_outbox_or_reported() {
    let tmp = tempfile::tempdir().unwrap();
    for pack in [2001u64, 1, 1001] {
        let dir = tmp.path().join(format!("pack {pack}"));
        let store = folded(&dir);
        store.inner.journal.damage(&pack.to_be_bytes());
        store.inner.db.sync().unwrap();
        drop(store);
        let (store, report) = open(&dir);
        assert!(report.repaired_packs > 0, "pack {pack}");
        assert_holds(&store, 3010);
    }
    // With its outbox file dropped the event cannot be supplied.
    let dir = tmp.path().join("gone");
    let store = folded(&dir);
    store.inner.journal.damage(&1001u64.to_be_bytes());
    store.inner.db.sync().unwrap();
    drop(store);
    fs::remove_file(&outbox_files(&dir)[0]).unwrap();
    let (store, _) = open(&dir);
    let last = store.events_from(1).unwrap().last().unwrap();
    assert!(matches!(last, Err(StoreError::Corrupt { .. })));
    let problems = store.verify().unwrap().problems;
    assert!(!problems.is_empty());
    assert!(problems[0].contains("checksum"), "{problems:?}");
}

#[test]
fn a_gap_that_neither_half_can_fill_is_an_error_with_a_sentence() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("state");
    let store = folded(&dir);
    let gone = [1001u64, 2001].map(|key| (key.to_be_bytes().to_vec(), None));
    store.inner.journal.apply(gone.to_vec()).unwrap();
    store.inner.db.sync().unwrap();
    drop(store);
    fs::remove_file(&outbox_files(&dir)[0]).unwrap();
    let error = open_err(&dir);
    assert!(
        matches!(
            error,
            StoreError::Gap {
                expected: 1001,
                found: Some(2001),
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("restore a backup"));
}

#[test]
fn a_lost_outbox_is_noticed() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("state");
    let store = folded(&dir);
    store.save_checkpoint(3005, b"folded").unwrap();
    drop(store);
    // Its newest file: the checkpoint knows of events that are nowhere.
    fs::remove_file(outbox_files(&dir).pop().unwrap()).unwrap();
    assert!(matches!(
        open_err(&dir),
        StoreError::Gap { expected: 3001, .. }
    ));
    fs::remove_dir_all(dir.join("outbox")).unwrap();
    let error = open_err(&dir).to_string();
    assert!(error.contains("outbox files are missing"), "{error}");
}

/// What can become of the newest outbox file, by its whole bytes; `None`: it is gone.
fn losses(whole: &[u8]) -> Vec<(&'static str, Option<Vec<u8>>)> {
    let part = |len: usize| Some(whole[..len].to_vec());
    vec![
        ("emptied", part(0)),
        ("cut within its header", part(20)),
        ("cut after its header", part(36)),
        ("cut within its last frame", part(whole.len() - 3)),
        ("zeroed", Some(vec![0; whole.len()])),
        ("its last frame damaged", {
            let mut bytes = whole.to_vec();
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            Some(bytes)
        }),
        ("gone", None),
    ]
}

#[test]
fn events_that_were_synced_and_are_gone_are_never_passed_over() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("state");
    drop(folded(&dir));
    let (store, _) = open(&dir);
    store.append(&events(3011, 3012)).unwrap();
    store.sync(3012).unwrap();
    drop(store);
    let newest = outbox_files(&dir).pop().unwrap();
    let whole = fs::read(&newest).unwrap();
    for (what, left) in losses(&whole) {
        let copy = tmp.path().join(what);
        copy_state(&dir, &copy);
        let file = copy.join("outbox").join(newest.file_name().unwrap());
        match &left {
            Some(bytes) => fs::write(&file, bytes).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
        for access in [WRITE, Access::Read] {
            let options = Options::new(access, Duration::ZERO);
            let error = Store::<Event>::open(&copy, options).err().unwrap();
            assert!(
                matches!(error, StoreError::EventsLost { known: 3012, found, .. } if found < 3012),
                "{what}: {error}"
            );
            assert!(error.to_string().contains("restore a backup"), "{error}");
        }
        assert_eq!(fs::read(&file).ok(), left, "{what}: left as it is");
        // Whoever accepts it goes on with the rest; the loss is forgotten with the next event and not before.
        let accept = || Options {
            accept_loss: true,
            ..options()
        };
        let (store, report) = Store::<Event>::open(&copy, accept()).unwrap();
        let rest = store.last_seq();
        assert_eq!(report.lost, 3012 - rest, "{what}");
        drop(store);
        assert!(matches!(open_err(&copy), StoreError::EventsLost { .. }));
        let (store, _) = Store::<Event>::open(&copy, accept()).unwrap();
        store.append(&[event(rest + 1)]).unwrap();
        store.sync(rest + 1).unwrap();
        drop(store);
        assert_holds(&open(&copy).0, rest + 1);
        // Put back, it is whole again.
        fs::remove_dir_all(&copy).unwrap();
        copy_state(&dir, &copy);
        assert_holds(&open(&copy).0, 3012);
    }
}

#[test]
fn an_old_missing_or_damaged_mark_is_no_obstacle() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("state");
    let (store, _) = open(&dir);
    store.append(&events(1, 3)).unwrap();
    store.sync(3).unwrap();
    let old = fs::read(dir.join("mark")).unwrap();
    store.append(&events(4, 6)).unwrap();
    store.sync(6).unwrap();
    drop(store);
    let mut flipped = fs::read(dir.join("mark")).unwrap();
    flipped[20] ^= 1;
    for mark in [
        Some(old),
        Some(Vec::new()),
        Some(vec![0; 28]),
        Some(flipped),
        None,
    ] {
        match mark {
            Some(bytes) => fs::write(dir.join("mark"), bytes).unwrap(),
            None => fs::remove_file(dir.join("mark")).unwrap(),
        }
        assert_holds(&open(&dir).0, 6);
    }
    // An emptied file whose events all stand in the database is missed by nobody.
    let (store, _) = open(&dir);
    store.append(&[event(7)]).unwrap();
    store.fold(true).unwrap();
    drop(store);
    fs::write(outbox_files(&dir).pop().unwrap(), b"").unwrap();
    assert_holds(&open(&dir).0, 7);
}

#[test]
fn a_missing_database_or_description_is_never_taken_for_a_new_state() {
    let tmp = tempfile::tempdir().unwrap();
    for part in ["db", "state.json"] {
        let dir = tmp.path().join(format!("without {part}"));
        drop(folded(&dir));
        let path = dir.join(part);
        if path.is_dir() {
            fs::remove_dir_all(&path).unwrap();
        } else {
            fs::remove_file(&path).unwrap();
        }
        let error = open_err(&dir);
        assert!(error.to_string().contains("missing"), "{part}: {error}");
    }
    // Nor by who only looks.
    let error = Store::<Event>::open(
        &tmp.path().join("without state.json"),
        Options::new(Access::Read, Duration::ZERO),
    );
    let error = error.unwrap_err().to_string();
    assert!(error.contains("state.json: the file is missing"), "{error}");
    // An emptied folder is not the state's database either.
    let dir = tmp.path().join("emptied");
    drop(folded(&dir));
    fs::remove_dir_all(dir.join("db")).unwrap();
    fs::create_dir(dir.join("db")).unwrap();
    assert!(open_err(&dir).to_string().contains("was emptied"));
}

#[test]
fn a_creation_cut_short_is_begun_anew() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("state");
    drop(open(&dir));
    fs::remove_file(dir.join("state.json")).unwrap();
    let (store, report) = open(&dir);
    assert!(report.created);
    store.append(&events(1, 1)).unwrap();
    assert_holds(&store, 1);
}

#[test]
fn a_partial_snapshot_is_removed_before_it_makes_the_database_refuse() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("state");
    drop(folded(&dir));
    let partial = dir.join("db/snap.0000000000000ABC.generating");
    fs::write(&partial, b"half").unwrap();
    let (store, report) = open(&dir);
    assert_eq!(report.removed_snapshots, std::slice::from_ref(&partial));
    assert!(!partial.exists());
    assert_holds(&store, 3010);
}

#[test]
fn a_damaged_snapshot_is_put_aside_and_the_log_read_instead() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("state");
    drop(folded(&dir));
    drop(open(&dir));
    let snapshots: Vec<_> = fs::read_dir(dir.join("db"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_str().unwrap().contains("/snap."))
        .collect();
    assert!(!snapshots.is_empty());
    for path in &snapshots {
        let mut bytes = fs::read(path).unwrap();
        bytes[20] ^= 0xFF;
        fs::write(path, bytes).unwrap();
    }
    let (store, report) = open(&dir);
    assert_eq!(report.damaged_snapshots, snapshots);
    assert!(!report.database_rolled_back);
    assert_holds(&store, 3010);
    assert!(store.verify().unwrap().problems.is_empty());
    let aside = dir.join("damaged").join(snapshots[0].file_name().unwrap());
    assert!(aside.exists());
    store.erase_now().unwrap();
    assert!(!aside.exists());
}

#[test]
fn a_database_that_cannot_be_opened_is_said_and_the_rest_is_read_without_it() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("state");
    let store = folded(&dir);
    store.save_checkpoint(2500, b"folded").unwrap();
    drop(store);
    fs::write(dir.join("db/conf"), [7; 64]).unwrap();
    let error = open_err(&dir);
    assert!(matches!(error, StoreError::Unopenable { .. }), "{error}");
    assert!(error.to_string().contains("`tidings restore`"), "{error}");
    let rest = || salvage::<Event>(&dir).unwrap();
    let seqs = |rest: &Salvaged<Event>| {
        let seqs: Vec<Seq> = rest.events.iter().map(|(seq, _)| *seq).collect();
        (*seqs.first().unwrap(), *seqs.last().unwrap())
    };
    // The description is not needed either.
    for description in [true, false] {
        if !description {
            fs::write(dir.join("state.json"), "?").unwrap();
        }
        let found = rest().unwrap();
        assert_eq!(found.id, StateId(0x1234));
        assert_eq!(found.checkpoint.as_ref().unwrap().seq, 2500);
        assert_eq!(seqs(&found), (2501, 3010));
        assert_eq!((found.missing, found.cut_short), (0, false));
    }
    // Without the checkpoint and the first file some stood in the database only.
    fs::remove_dir_all(dir.join("checkpoints")).unwrap();
    fs::remove_file(&outbox_files(&dir)[0]).unwrap();
    let found = rest().unwrap();
    assert!(found.checkpoint.is_none());
    assert_eq!(seqs(&found), (2001, 3010));
    assert_eq!(found.missing, 2000);
    // Damage to the outbox costs what stands after it in that file.
    let file = outbox_files(&dir)[0].clone();
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
    let found = rest().unwrap();
    assert!(found.cut_short);
    assert_eq!(seqs(&found), (2001, 3000));
    fs::remove_dir_all(dir.join("outbox")).unwrap();
    assert!(rest().is_none());
}

#[test]
fn a_truncated_database_is_noticed_and_the_journal_made_whole_or_refused() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("state");
    drop(folded(&dir));
    let len = fs::metadata(dir.join("db/db")).unwrap().len();
    let mut noticed = 0;
    for (round, cut) in [len / 2, len / 4, len / 10, len / 50, 100, 0]
        .into_iter()
        .enumerate()
    {
        let copy = tmp.path().join(format!("cut {round}"));
        copy_state(&dir, &copy);
        let file = fs::OpenOptions::new()
            .write(true)
            .open(copy.join("db/db"))
            .unwrap();
        file.set_len(cut).unwrap();
        match Store::<Event>::open(&copy, options()) {
            Err(error) => {
                noticed += 1;
                assert!(!error.to_string().is_empty());
            }
            Ok((store, report)) => {
                noticed += u32::from(report.database_rolled_back);
                assert_holds(&store, 3010);
            }
        }
    }
    assert!(noticed > 0);
}

#[test]
fn flipped_bits_in_the_database_never_change_an_event() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("state");
    drop(folded(&dir));
    let whole = fs::read(dir.join("db/db")).unwrap();
    let used = whole.iter().rposition(|byte| *byte != 0).unwrap();
    for round in 0..24usize {
        let copy = tmp.path().join(format!("flip {round}"));
        copy_state(&dir, &copy);
        let mut bytes = whole.clone();
        bytes[used * round / 24 + 11] ^= 0x20;
        fs::write(copy.join("db/db"), bytes).unwrap();
        let Ok((store, _)) = Store::<Event>::open(&copy, options()) else {
            continue;
        };
        for found in store.events_from(1).unwrap() {
            match found {
                Ok((seq, found)) => assert_eq!(found, event(seq)),
                Err(error) => assert!(!error.to_string().is_empty()),
            }
        }
        drop(store);
        fs::remove_dir_all(&copy).unwrap();
    }
}

#[test]
fn a_rolled_back_database_is_reported() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("state");
    drop(folded(&dir));
    let earlier = tmp.path().join("earlier");
    copy_state(&dir.join("db"), &earlier);
    let (store, _) = open(&dir);
    store
        .people()
        .put(&[(PersonId(1), b"Anna".to_vec())])
        .unwrap();
    store.sync_database().unwrap();
    drop(store);
    fs::remove_dir_all(dir.join("db")).unwrap();
    copy_state(&earlier, &dir.join("db"));
    let (store, report) = open(&dir);
    assert!(report.database_rolled_back);
    assert_holds(&store, 3010);
    store.sync_database().unwrap();
    drop(store);
    assert!(!open(&dir).1.database_rolled_back, "it is said once");
}

#[test]
fn a_damaged_checkpoint_falls_back_to_the_one_before_and_then_to_the_whole_journal() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("state");
    let store = folded(&dir);
    let bytes = vec![9u8; 10_000];
    store.save_checkpoint(2500, &bytes).unwrap();
    store.save_checkpoint(3000, b"new").unwrap();
    let newest = dir.join("checkpoints/00000000000000003000.ckpt");
    let older = dir.join("checkpoints/00000000000000002500.ckpt");
    let whole = fs::read(&newest).unwrap();
    for at in 0..whole.len() {
        let mut bad = whole.clone();
        bad[at] ^= 4;
        fs::write(&newest, &bad).unwrap();
        let loaded = store.load().unwrap();
        assert_eq!(loaded.checkpoint.unwrap().seq, 2500, "byte {at}");
        assert_eq!(loaded.damaged.len(), 1);
        fs::write(&newest, &whole[..at]).unwrap();
        assert_eq!(store.load().unwrap().checkpoint.unwrap().seq, 2500);
    }
    let loaded = store.load().unwrap();
    assert!(loaded.checkpoint.unwrap().bytes().unwrap() == bytes);
    assert_eq!(loaded.events.count(), 510);
    assert_eq!(store.verify().unwrap().problems.len(), 1);

    fs::write(&older, b"").unwrap();
    let loaded = store.load().unwrap();
    assert_eq!(loaded.checkpoint, None);
    assert_eq!(loaded.damaged.len(), 2);
    assert_eq!(loaded.events.count(), 3010);
}

#[test]
fn a_checkpoint_whose_writing_fails_leaves_the_one_before() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("state");
    let store = folded(&dir);
    store.save_checkpoint(2000, b"old").unwrap();
    drop(store);
    let hooks = Hooks::new(|point| match point {
        Point::Checkpoint => Err(io::Error::from(io::ErrorKind::StorageFull)),
        _ => Ok(()),
    });
    let failing = Options { hooks, ..options() };
    let (store, _) = Store::<Event>::open(&dir, failing).unwrap();
    assert!(store.save_checkpoint(3000, b"new").is_err());
    drop(store);
    let (store, _) = open(&dir);
    assert_eq!(
        store.load().unwrap().checkpoint.unwrap().bytes().unwrap(),
        b"old"
    );
}

#[test]
fn after_a_failed_write_every_later_one_names_the_first_cause_and_a_new_start_mends_it() {
    for point in [
        Point::OutboxWrite,
        Point::OutboxSync,
        Point::Fold,
        Point::Folded,
        Point::DatabaseSync,
    ] {
        let tmp = tempfile::tempdir().unwrap();
        let dir = tmp.path().join("state");
        let full = Arc::new(AtomicBool::new(false));
        let switch = Arc::clone(&full);
        let hooks = Hooks::new(move |at| {
            if at == point && switch.load(Ordering::Relaxed) {
                return Err(io::Error::from_raw_os_error(28));
            }
            Ok(())
        });
        let failing = Options { hooks, ..options() };
        let (store, _) = Store::<Event>::open(&dir, failing).unwrap();
        store.append(&events(1, 1500)).unwrap();
        store.sync(1500).unwrap();
        full.store(true, Ordering::Relaxed);
        let first = store
            .append(&[event(1501)])
            .and_then(|(_, last)| store.sync(last))
            .and_then(|()| store.fold(false).map(|_| ()))
            .unwrap_err();
        assert!(first.to_string().contains("No space left"), "{first}");
        full.store(false, Ordering::Relaxed);
        for later in [
            store.append(&[event(1)]).map(|_| ()),
            store.fold(true).map(|_| ()),
            store.save_checkpoint(1, b"x"),
            store.people().put(&[(PersonId(1), b"x".to_vec())]),
            store.sync_database(),
        ] {
            let error = later.unwrap_err();
            assert!(
                matches!(error, StoreError::Failed { .. }),
                "{point:?}: {error}"
            );
            assert!(error.to_string().contains("No space left"), "{error}");
        }
        drop(store);
        let (store, _) = open(&dir);
        let last = store.last_seq();
        assert!((1500..=1501).contains(&last), "{point:?}: {last}");
        assert_holds(&store, last);
    }
}

#[tokio::test]
async fn those_who_wait_are_told_when_the_disk_fails() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("state");
    let calls = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&calls);
    let hooks = Hooks::new(move |point| {
        if point == Point::OutboxSync && counter.fetch_add(1, Ordering::Relaxed) >= 2 {
            return Err(io::Error::from_raw_os_error(5));
        }
        Ok(())
    });
    let failing = Options { hooks, ..options() };
    let (store, _) = Store::<Event>::open(&dir, failing).unwrap();
    let handle = StoreHandle::start(store).unwrap();
    let mut errors = 0;
    for n in 1..=4 {
        let list = events(n, n);
        let waiting = handle.append_durable(&list);
        let waited = tokio::time::timeout(Duration::from_secs(5), waiting).await;
        if let Err(error) = waited.unwrap() {
            assert!(error.to_string().contains("Input/output error"), "{error}");
            errors += 1;
        }
    }
    assert!(errors >= 2);
}

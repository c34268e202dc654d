//! What the store does when nothing goes wrong, and who may open it.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::*;

#[test]
fn events_keep_their_order_and_numbers_over_appends_folds_and_openings() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("state");
    let (store, report) = open(&dir);
    assert!(report.created);
    assert_eq!(store.append(&events(1, 2500)).unwrap(), (1, 2500));
    assert_eq!(store.append(&[]).unwrap(), (2501, 2500));
    let folded = store.fold(false).unwrap();
    assert_eq!(folded.events, 2000, "only full packs");
    store.append(&events(2501, 2600)).unwrap();
    assert_holds(&store, 2600);
    drop(store);

    let (store, report) = open(&dir);
    assert!(!report.created);
    assert_eq!(report.replayed, 600);
    assert_eq!(report.torn_bytes, 0);
    assert_holds(&store, 2600);
    assert_eq!(store.fold(true).unwrap().events, 600);
    assert_holds(&store, 2600);
    let some: Vec<_> = store
        .events_from(1999)
        .unwrap()
        .map(|event| event.unwrap().0)
        .collect();
    assert_eq!(some, (1999..=2600).collect::<Vec<_>>());
    assert_eq!(store.events_from(2601).unwrap().count(), 0);
    assert_eq!(store.verify().unwrap().problems, Vec::<String>::new());
    drop(store);

    for _ in 0..3 {
        let (store, report) = open(&dir);
        assert_eq!(report.replayed, 0);
        assert_holds(&store, 2600);
    }
    assert!(
        outbox_files(&dir).len() <= 3,
        "openings alone leave no files"
    );
}

#[test]
fn an_event_written_before_a_field_was_added_is_still_understood() {
    #[derive(Serialize, Deserialize)]
    #[serde(tag = "type", rename_all = "snake_case")]
    enum Old {
        Tick { at: i64 },
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "type", rename_all = "snake_case")]
    enum New {
        Tock,
        Tick {
            at: i64,
            #[serde(default)]
            why: Option<String>,
        },
    }
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("state");
    let (store, _) = Store::<Old>::open(&dir, options()).unwrap();
    store.append(&[Old::Tick { at: 7 }]).unwrap();
    drop(store);
    let (store, _) = Store::<New>::open(&dir, options()).unwrap();
    store.append(&[New::Tock]).unwrap();
    let found: Vec<_> = store
        .events_from(1)
        .unwrap()
        .map(|event| event.unwrap().1)
        .collect();
    assert_eq!(found, [New::Tick { at: 7, why: None }, New::Tock]);
    drop(store);
    let (store, _) = Store::<Old>::open(&dir, options()).unwrap();
    let last = store.events_from(2).unwrap().next().unwrap();
    assert!(
        matches!(last, Err(StoreError::Decode { seq: 2, .. })),
        "a variant of the future is named, not skipped"
    );
}

#[test]
fn a_second_opener_is_refused_with_the_pid_and_a_stale_pid_is_no_obstacle() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("state");
    let (store, _) = open(&dir);
    let pid = std::process::id();
    let error = open_err(&dir);
    assert_eq!(
        error,
        StoreError::Locked {
            dir: dir.clone(),
            pid: Some(pid)
        }
    );
    assert!(error.to_string().contains(&format!("process {pid}")));
    drop(store);
    std::fs::write(dir.join("lock"), "4000000\n").unwrap();
    let (store, _) = open(&dir);
    let text = std::fs::read_to_string(dir.join("lock")).unwrap();
    assert_eq!(text, format!("{pid}\n"));
    drop(store);
}

#[test]
fn an_opener_waits_for_another_to_let_go() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("state");
    let (store, _) = open(&dir);
    let holder = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(150));
        drop(store);
    });
    let started = Instant::now();
    let waiting = Options::new(Access::Read, Duration::from_secs(10));
    let (store, _) = Store::<Event>::open(&dir, waiting).unwrap();
    assert!(started.elapsed() >= Duration::from_millis(100));
    holder.join().unwrap();
    drop(store);
}

#[test]
fn a_reader_never_makes_a_state_and_never_writes() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("state");
    let reading = Options::new(Access::Read, Duration::ZERO);
    let error = Store::<Event>::open(&dir, reading.clone()).err().unwrap();
    assert_eq!(error, StoreError::NotFound { dir: dir.clone() });
    assert!(!dir.exists());

    let (store, _) = open(&dir);
    store.append(&events(1, 10)).unwrap();
    drop(store);
    let (store, _) = Store::<Event>::open(&dir, reading).unwrap();
    assert_holds(&store, 10);
    assert_eq!(store.append(&events(11, 11)), Err(StoreError::ReadOnly));
    assert_eq!(store.fold(true), Err(StoreError::ReadOnly));
    assert_eq!(store.save_checkpoint(10, b"x"), Err(StoreError::ReadOnly));
}

#[test]
fn only_the_owner_may_read_any_of_it() {
    fn check(path: &Path) {
        let meta = std::fs::metadata(path).unwrap();
        let wanted = if meta.is_dir() { 0o700 } else { 0o600 };
        let mode = meta.permissions().mode() & 0o777;
        assert_eq!(mode, wanted, "{} has {mode:o}", path.display());
        if meta.is_dir() {
            for entry in std::fs::read_dir(path).unwrap() {
                check(&entry.unwrap().path());
            }
        }
    }
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("state");
    std::fs::create_dir(&dir).unwrap();
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (store, _) = open(&dir);
    store.append(&events(1, 3000)).unwrap();
    store.fold(true).unwrap();
    store.save_checkpoint(3000, b"folded").unwrap();
    check(&dir);
    drop(store);
    let (_store, _) = open(&dir);
    check(&dir);
}

#[test]
fn a_newer_state_is_refused_with_a_sentence() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("state");
    drop(open(&dir));
    let path = dir.join("state.json");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(&StateId(0x1234).to_string()));
    std::fs::write(&path, text.replace("\"version\": 1", "\"version\": 2")).unwrap();
    let error = open_err(&dir);
    assert!(matches!(
        error,
        StoreError::NewerSchema {
            found: 2,
            known: 1,
            ..
        }
    ));
    assert!(error.to_string().contains("use the newer Tidings"));
}

#[test]
fn migrations_run_in_order_each_after_a_copy_and_go_on_where_one_failed() {
    use super::super::schema::{Migration, StateFile, migrate};
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("state");
    drop(open(&dir));
    fn note(dir: &Path, word: &str) -> Result<(), String> {
        let path = dir.join("outbox/notes");
        let mut text = std::fs::read_to_string(&path).unwrap_or_default();
        text.push_str(word);
        std::fs::write(path, text).map_err(|cause| cause.to_string())
    }
    let good = [
        Migration {
            from: 1,
            run: |dir| note(dir, "one "),
        },
        Migration {
            from: 2,
            run: |dir| note(dir, "two "),
        },
    ];
    let bad = [Migration {
        from: 1,
        run: |_| Err("no room".to_owned()),
    }];
    let mut file = StateFile::read(&dir, 3).unwrap().unwrap();
    let error = migrate(&dir, &mut file, 3, &bad).unwrap_err();
    assert!(error.to_string().contains("from version 1 to 2: no room"));
    assert_eq!(file.version, 1);

    let copies = migrate(&dir, &mut file, 3, &good).unwrap();
    assert_eq!(copies, [dir.join("before-v2"), dir.join("before-v3")]);
    assert_eq!(StateFile::read(&dir, 3).unwrap().unwrap().version, 3);
    let notes = |dir: &Path| std::fs::read_to_string(dir.join("outbox/notes")).unwrap();
    assert_eq!(notes(&dir), "one two ");
    assert!(!dir.join("before-v2/outbox/notes").exists());
    assert_eq!(notes(&dir.join("before-v3")), "one ");
    assert!(dir.join("before-v2/db/db").exists());
}

#[test]
fn callers_that_come_together_share_one_sync() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("state");
    let syncs = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&syncs);
    let hooks = Hooks::new(move |point| {
        if point == Point::OutboxSync {
            counter.fetch_add(1, Ordering::Relaxed);
            // A slow disk, so that the others come meanwhile.
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    });
    let slow = Options { hooks, ..options() };
    let (store, _) = Store::<Event>::open(&dir, slow).unwrap();
    syncs.store(0, Ordering::Relaxed);
    let threads: Vec<_> = (0..20)
        .map(|_| {
            let store = store.clone();
            std::thread::spawn(move || {
                for _ in 0..5 {
                    let (_, last) = store.append(&[Event::Tick { at: 0 }]).unwrap();
                    store.sync(last).unwrap();
                    assert!(store.durable_seq() >= last);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let syncs = syncs.load(Ordering::Relaxed);
    assert_eq!(store.last_seq(), 100);
    assert!((5..=50).contains(&syncs), "100 waits took {syncs} syncs");
}

#[tokio::test]
async fn the_handle_syncs_at_once_or_soon_and_folds_by_itself() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("state");
    let (store, _) = open(&dir);
    let handle = StoreHandle::start(store).unwrap();
    assert_eq!(handle.append_durable(&events(1, 3)).await.unwrap(), (1, 3));
    assert_eq!(handle.store().durable_seq(), 3);

    let soon = handle.append(&events(4, 4), Durability::Soon).unwrap();
    assert_eq!((soon.first, soon.last), (4, 4));
    let mut waited = 0;
    while handle.store().durable_seq() < 4 {
        waited += 1;
        assert!(waited < 200, "nobody waited for it, and it was not synced");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    handle.append(&events(5, 5000), Durability::Soon).unwrap();
    handle.durable(5000).await.unwrap();
    let mut waited = 0;
    while handle.store().wants_fold() {
        waited += 1;
        assert!(waited < 500, "the worker does not fold");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let count = handle
        .run(|store| store.events_from(1)?.map(|event| event.map(|_| 1)).sum())
        .await;
    assert_eq!(count, Ok(5000));
    let broken = handle.run(|_| -> Result<(), StoreError> { panic!("a caller's mistake") });
    assert_eq!(broken.await, Err(StoreError::Closed));
    assert_eq!(handle.run(|_| Ok(1)).await, Ok(1), "the worker goes on");
    let other = handle.clone();
    handle.close().await.unwrap();
    let late = other.append(&events(5001, 5001), Durability::Now).unwrap();
    assert_eq!(late.durable().await, Err(StoreError::Closed));
    assert_eq!(other.run(|_| Ok(())).await, Err(StoreError::Closed));
    drop(other);
    let (store, _) = open(&dir);
    assert_holds(&store, 5001);
}

#[test]
fn a_checkpoint_comes_back_with_the_events_after_it_and_the_oldest_of_three_goes() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("state");
    let (store, _) = open(&dir);
    let big: Vec<u8> = (0..3_500_000u32).map(|n| (n % 251) as u8).collect();
    store.append(&events(1, 5000)).unwrap();
    store.fold(true).unwrap();
    for (seq, bytes) in [(100, &b"a"[..]), (2000, b""), (4321, &big)] {
        store.save_checkpoint(seq, bytes).unwrap();
    }
    drop(store);
    let (store, _) = open(&dir);
    let loaded = store.load().unwrap();
    let checkpoint = loaded.checkpoint.unwrap();
    assert_eq!(checkpoint.seq, 4321);
    assert!(checkpoint.bytes().unwrap() == big);
    assert!(loaded.damaged.is_empty());
    let seqs: Vec<_> = loaded.events.map(|event| event.unwrap().0).collect();
    assert_eq!(seqs, (4322..=5000).collect::<Vec<_>>());
    assert_eq!(
        std::fs::read_dir(dir.join("checkpoints")).unwrap().count(),
        2
    );
}

#[test]
fn compaction_keeps_what_the_older_checkpoint_and_the_retention_need() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("state");
    let (store, _) = open(&dir);
    store.append(&events(1, 9500)).unwrap();
    store.fold(false).unwrap();
    assert_eq!(store.compact(9000).unwrap(), 0, "without a checkpoint");
    store.save_checkpoint(6500, b"old").unwrap();
    store.save_checkpoint(9400, b"new").unwrap();
    let moment = event(3001).at();
    let keep_from = store.first_where(|event| event.at() >= moment).unwrap();
    assert_eq!(keep_from, 3001);
    assert_eq!(store.compact(keep_from).unwrap(), 3);
    assert_eq!(store.first_seq().unwrap(), 3001);
    assert_eq!(
        store.compact(9400).unwrap(),
        3,
        "the older checkpoint needs 6501"
    );
    assert_eq!(store.compact(9400).unwrap(), 0);
    drop(store);
    let (store, _) = open(&dir);
    assert_eq!(store.first_seq().unwrap(), 6001);
    assert_eq!(store.events_from(6001).unwrap().count(), 3500);
    assert!(matches!(
        store.events_from(1).unwrap().next(),
        Some(Err(StoreError::Gap {
            expected: 1,
            found: Some(6001),
            ..
        }))
    ));
    assert_eq!(store.verify().unwrap().problems, Vec::<String>::new());
    assert_eq!(store.first_where(|_| true).unwrap(), 6001);
    assert_eq!(store.first_where(|_| false).unwrap(), 9501);
}

#[test]
fn people_are_replaced_merged_and_erased() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("state");
    let key = |n: u32| PersonId(i64::from(n) - 2500);
    let (store, _) = open(&dir);
    let people = store.people();
    let first: Vec<(PersonId, Vec<u8>)> = (0..5000)
        .map(|n| (key(n), format!("person {n};").into_bytes()))
        .collect();
    people.put(&first).unwrap();
    // Many single changes: their pages are merged on the way.
    for n in 0..300 {
        let named = format!("renamed {n};").into_bytes();
        people
            .put(&[(key(n), b"x".to_vec()), (key(n), named)])
            .unwrap();
    }
    let expect = |n: u32| match n {
        0..300 => format!("renamed {n};"),
        _ => format!("person {n};"),
    };
    let check = |people: &People, gone: &[u32]| {
        let mut seen = std::collections::BTreeMap::new();
        people
            .scan(|key, bytes| {
                let n = (key.0 + 2500) as u32;
                assert!(
                    seen.insert(n, String::from_utf8(bytes.to_vec()).unwrap())
                        .is_none()
                );
            })
            .unwrap();
        assert_eq!(seen.len(), 5000 - gone.len());
        assert_eq!(people.len().unwrap(), seen.len());
        for (n, text) in seen {
            assert_eq!(text, expect(n));
            assert!(!gone.contains(&n));
        }
        for n in [0, 299, 300, 4999] {
            let found = people.get(key(n)).unwrap();
            let wanted = (!gone.contains(&n)).then(|| expect(n).into_bytes());
            assert_eq!(found, wanted, "person {n}");
        }
    };
    check(&people, &[]);
    let gone = [7, 299, 4999];
    let keys: Vec<_> = gone.iter().map(|n| key(*n)).chain([key(9999)]).collect();
    assert_eq!(people.remove(&keys).unwrap(), 3);
    check(&people, &gone);
    assert_eq!(people.remove(&keys).unwrap(), 0);
    drop((people, store));
    let (store, _) = open(&dir);
    check(&store.people(), &gone);
    let texts: Vec<Vec<u8>> = store
        .export()
        .unwrap()
        .map(|row| row.unwrap())
        // The others say who is in a page.
        .filter(|row| row.tree == "people" && row.key.len() == 8)
        .map(|row| row.value)
        .collect();
    assert!(texts.len() < 80, "{} pages for 4997 people", texts.len());
    for text in texts {
        let text = String::from_utf8_lossy(&text).into_owned();
        for erased in ["renamed 7;", "person 7;", "renamed 299;", "person 4999;"] {
            assert!(!text.contains(erased), "{erased} is still in a page");
        }
    }
}

#[test]
fn who_is_in_a_page_is_known_without_reading_it_and_is_written_down_in_a_state_of_before() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("state");
    let person = |n: i64| (PersonId(n), format!("person {n};").into_bytes());
    let (store, _) = open(&dir);
    for page in 0..3 {
        let page: Vec<_> = (page * 1000..page * 1000 + 1000).map(person).collect();
        store.people().put(&page).unwrap();
    }
    let rows = |store: &Store<Event>| -> Vec<Vec<u8>> {
        let rows = store.inner.people.tree().prefix(&[]);
        rows.map(|row| row.unwrap().0)
            .filter(|key| key.first() == Some(&0xFF))
            .collect()
    };
    assert_eq!(rows(&store).len(), 4);
    // As a version before these rows left it.
    let gone = rows(&store).into_iter().map(|key| (key, None)).collect();
    store.inner.people.tree().apply(gone).unwrap();
    drop(store);
    let (store, _) = open(&dir);
    let people = store.people();
    assert_eq!(people.len().unwrap(), 3000);
    assert!(rows(&store).is_empty(), "who only reads writes nothing");
    people.put(&[(PersonId(2500), b"new".to_vec())]).unwrap();
    assert_eq!(rows(&store).len(), 5);
    store.inner.people.tree().damage(&1u64.to_be_bytes());
    drop((people, store));
    let (store, _) = open(&dir);
    let people = store.people();
    assert_eq!(people.len().unwrap(), 3000);
    assert_eq!(people.get(PersonId(1500)).unwrap(), Some(person(1500).1));
    assert_eq!(people.get(PersonId(2500)).unwrap(), Some(b"new".to_vec()));
    assert!(people.get(PersonId(500)).is_err());
    assert_eq!(store.verify().unwrap().problems.len(), 1);
}

#[test]
fn audiences_lookups_conversations_and_meta_keep_to_their_keys() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("state");
    let (store, _) = open(&dir);
    let audience = store.audience();
    let segments = |n: u8| (0..n).map(|no| vec![no; 40_000]).collect::<Vec<_>>();
    audience
        .replace("spring", "members:@a", segments(5))
        .unwrap();
    audience
        .replace("spring", "members:@ab", segments(1))
        .unwrap();
    audience
        .replace("spring-2", "members:@a", segments(2))
        .unwrap();
    audience
        .replace("spring", "members:@a", segments(3))
        .unwrap();
    audience.put("spring", "members:@a", 3, b"more").unwrap();
    let found = audience.get("spring", "members:@a").unwrap();
    assert_eq!(found[..3], segments(3)[..]);
    assert_eq!(found[3..], [b"more".to_vec()]);
    assert_eq!(audience.remove("spring").unwrap(), 5);
    assert!(audience.get("spring", "members:@ab").unwrap().is_empty());
    assert_eq!(audience.get("spring-2", "members:@a").unwrap().len(), 2);
    assert!(audience.put("a\0b", "c", 0, b"").is_err());

    let lookups = store.lookups();
    lookups.put("spring", "members:@a", b"cursor").unwrap();
    assert_eq!(
        lookups.get("spring", "members:@a").unwrap().as_deref(),
        Some(&b"cursor"[..])
    );
    lookups.remove("spring", "members:@a").unwrap();
    assert_eq!(lookups.get("spring", "members:@a").unwrap(), None);

    let talk = store.conversations();
    for no in 0..3 {
        talk.put(PersonId(1), no, format!("line {no}").as_bytes())
            .unwrap();
        talk.put(PersonId(-1), no, b"another's").unwrap();
    }
    assert_eq!(talk.get(PersonId(1)).unwrap().len(), 3);
    assert_eq!(talk.get(PersonId(1)).unwrap()[2], (2, b"line 2".to_vec()));
    assert_eq!(talk.remove(PersonId(1)).unwrap(), 3);
    assert_eq!(talk.get(PersonId(-1)).unwrap().len(), 3);

    let meta = store.meta();
    meta.put("x", b"1").unwrap();
    assert_eq!(meta.get("x").unwrap().as_deref(), Some(&b"1"[..]));
    meta.remove("x").unwrap();
    assert_eq!(meta.get("x").unwrap(), None);
    assert!(meta.put("store/id", b"0").is_err());
    store.sync_database().unwrap();
    assert_eq!(store.verify().unwrap().problems, Vec::<String>::new());
}

#[test]
fn a_batch_beyond_its_limit_is_refused_and_the_next_goes_through() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("state");
    let (store, _) = Store::<String>::open(&dir, options()).unwrap();
    // Incompressible, so that it becomes a file of the database's own.
    let mut chance = 1u64;
    let huge: String = (0..9 << 20)
        .map(|_| {
            chance = chance
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            char::from(b' ' + (chance >> 40) as u8 % 95)
        })
        .collect();
    assert!(matches!(
        store.append(&[huge.clone(), huge.clone()]),
        Err(StoreError::TooLarge { .. })
    ));
    store.append(std::slice::from_ref(&huge)).unwrap();
    store.append(&["small".to_owned()]).unwrap();
    assert_eq!(store.fold(true).unwrap().events, 2);
    drop(store);
    let (store, _) = Store::<String>::open(&dir, options()).unwrap();
    let found: Vec<_> = store
        .events_from(1)
        .unwrap()
        .map(|e| e.unwrap().1)
        .collect();
    assert!(found == [huge, "small".to_owned()]);
}

#[test]
fn a_payload_lives_until_its_event_is_settled_and_never_enters_the_journal() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("state");
    let (store, _) = open(&dir);
    let list = events(1, 1500);
    let texts: Vec<Vec<u8>> = (1..=1500)
        .map(|n| match n {
            1 => Vec::new(),
            _ => format!("text {n};").into_bytes(),
        })
        .collect();
    let carrying: Vec<(&Event, &[u8])> = list
        .iter()
        .zip(&texts)
        .map(|(event, text)| (event, text.as_slice()))
        .collect();
    assert_eq!(store.append_with_payloads(&carrying).unwrap(), (1, 1500));
    assert_eq!(store.unsettled(), (2..=1500).collect::<Vec<_>>());
    store.settle((2..=900).chain(1100..=1499));
    drop(store);

    // Settling was not written down: a new start sees them all, and settles again.
    let (store, _) = open(&dir);
    assert_eq!(store.unsettled().len(), 1499);
    assert_eq!(store.payload(1).unwrap(), None);
    assert_eq!(
        store.payload(500).unwrap().as_deref(),
        Some(&b"text 500;"[..])
    );
    store.settle((2..=900).chain(1100..=1499));
    let rest: Vec<Seq> = (901..=1099).chain([1500]).collect();
    assert_eq!(store.unsettled(), rest);
    store.fold(false).unwrap();
    assert_eq!(store.unsettled(), rest, "folding keeps them");
    drop(store);

    let (store, _) = open(&dir);
    store.settle(1100..=1499);
    assert_eq!(store.unsettled(), rest, "those folded as settled are gone");
    for seq in [901, 1000, 1001, 1099, 1500] {
        let text = store.payload(seq).unwrap().unwrap();
        assert_eq!(text, format!("text {seq};").into_bytes());
    }
    store.settle(901..=1500);
    assert_eq!(store.payload(1000).unwrap(), None);
    for row in store.export().unwrap() {
        let row = row.unwrap();
        assert_ne!(row.tree, "payloads");
        assert!(!String::from_utf8_lossy(&row.value).contains("text "));
    }
    assert_holds(&store, 1500);
    drop(store);
    assert_eq!(open(&dir).0.unsettled(), Vec::<Seq>::new());
}

/// Whether any file below `dir` holds `needle`.
fn holds_bytes(dir: &Path, needle: &[u8]) -> bool {
    std::fs::read_dir(dir).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            holds_bytes(&path, needle)
        } else {
            let bytes = std::fs::read(&path).unwrap();
            bytes.windows(needle.len()).any(|window| window == needle)
        }
    })
}

#[test]
fn erased_people_leave_no_trace_in_any_file() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("state");
    let (store, _) = open(&dir);
    // Short, so that it is stored as it stands.
    let secret = b"Zebulon";
    let people = store.people();
    people.put(&[(PersonId(5), secret.to_vec())]).unwrap();
    store.conversations().put(PersonId(5), 1, secret).unwrap();
    store.append(&events(1, 1500)).unwrap();
    let (last, _) = store
        .append_with_payloads(&[(&event(1501), secret)])
        .unwrap();
    store.fold(false).unwrap();
    store.audience().put("spring", "list", 0, b"5").unwrap();
    store.sync_database().unwrap();
    assert!(holds_bytes(&dir.join("db"), secret));
    assert!(holds_bytes(&dir.join("outbox"), secret));

    people.remove(&[PersonId(5)]).unwrap();
    store.conversations().remove(PersonId(5)).unwrap();
    store.settle([last]);
    store.erase_traces().unwrap();
    assert!(!holds_bytes(&dir.join("outbox"), secret));
    store.append(&events(1502, 1510)).unwrap();
    drop((people, store));
    let (store, report) = open(&dir);
    assert!(report.erased);
    assert!(!holds_bytes(&dir, secret));
    assert_holds(&store, 1510);
    assert_eq!(store.audience().get("spring", "list").unwrap(), [b"5"]);
    assert_eq!(store.verify().unwrap().problems, Vec::<String>::new());
    drop(store);
    assert!(!open(&dir).1.erased, "once is enough");
}

#[test]
fn an_erasure_while_the_state_is_open_leaves_no_trace_and_everybody_goes_on() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("state");
    let (store, _) = open(&dir);
    let secret = b"Zebulon";
    let people = store.people();
    people
        .put(&[
            (PersonId(5), secret.to_vec()),
            (PersonId(6), b"six".to_vec()),
        ])
        .unwrap();
    store.append(&events(1, 1500)).unwrap();
    store.fold(true).unwrap();
    store.save_checkpoint(1500, secret).unwrap();
    std::fs::create_dir(dir.join("before-v1")).unwrap();
    std::fs::write(dir.join("before-v1/db"), secret).unwrap();
    people.remove(&[PersonId(5)]).unwrap();
    store.append(&events(1501, 1501)).unwrap();
    store.save_checkpoint(1501, b"clean").unwrap();
    store.drop_old_checkpoints().unwrap();
    assert_eq!(store.erase_now().unwrap(), [dir.join("before-v1")]);
    assert!(!holds_bytes(&dir, secret));
    // The handles from before go on.
    assert_eq!(
        people.get(PersonId(6)).unwrap().as_deref(),
        Some(&b"six"[..])
    );
    people.put(&[(PersonId(7), b"seven".to_vec())]).unwrap();
    store.append(&events(1502, 1600)).unwrap();
    store.fold(true).unwrap();
    assert_holds(&store, 1600);
    drop((people, store));
    let (store, report) = open(&dir);
    assert!(!report.erased, "it was done already");
    assert_eq!(
        store.people().get(PersonId(7)).unwrap().as_deref(),
        Some(&b"seven"[..])
    );
    assert_holds(&store, 1600);
    assert_eq!(store.verify().unwrap().problems, Vec::<String>::new());
}

#[test]
fn an_erasure_cut_short_at_any_step_is_finished_at_the_next_opening() {
    let tmp = tempfile::tempdir().unwrap();
    let base = tmp.path().join("base");
    let (store, _) = open(&base);
    store.append(&events(1, 1500)).unwrap();
    store.fold(true).unwrap();
    store.erase_traces().unwrap();
    drop(store);
    for step in ["half a new one", "old moved away", "new in place"] {
        let dir = tmp.path().join(step);
        copy_state(&base, &dir);
        let (db, old, new) = (dir.join("db"), dir.join("db.old"), dir.join("db.new"));
        match step {
            "half a new one" => {
                std::fs::create_dir(&new).unwrap();
                std::fs::write(new.join("db"), b"half").unwrap();
            }
            "old moved away" => {
                copy_state(&db, &new);
                std::fs::rename(&db, &old).unwrap();
            }
            _ => copy_state(&db, &old),
        }
        let (store, report) = open(&dir);
        assert!(report.erased, "{step}");
        assert!(!old.exists() && !new.exists(), "{step}");
        assert_holds(&store, 1500);
    }
}

#[test]
fn the_journals_own_vocabulary_comes_back_as_it_was_written() {
    use crate::model::{Event, Exclusion, LookupEnd, Outcome, Recorded, SourceId, Timestamp};
    let at = |event| Recorded {
        at: Timestamp(5),
        event,
    };
    let mut list = a_send(7).to_vec();
    list.extend([
        at(Event::Started {
            version: "0.1.0".into(),
        }),
        at(Event::Suspended {
            campaign: None,
            reason: "праздник".into(),
            by: "ops".into(),
        }),
        at(Event::LookupEnded {
            campaign: "a".into(),
            source: SourceId(u64::MAX),
            account: None,
            end: LookupEnd {
                complete: true,
                error: None,
                admin: false,
                bad_rows: 3,
                ..LookupEnd::default()
            },
        }),
        at(Event::Judged {
            campaign: "a".into(),
            included: vec![PersonId(1), PersonId(-9)],
            excluded: vec![(Exclusion::Bot, vec![PersonId(i64::MAX)])],
            dropped: Vec::new(),
            finished: Some("digest".into()),
        }),
        at(Event::Skipped {
            campaign: "a".into(),
            person: PersonId(3),
            step: 1,
            outcome: Outcome::TemplateError,
            detail: String::new(),
        }),
    ]);
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("state");
    let (store, _) = Store::<Recorded>::open(&dir, options()).unwrap();
    store.append(&list).unwrap();
    store.fold(true).unwrap();
    drop(store);
    let (store, _) = Store::<Recorded>::open(&dir, options()).unwrap();
    let found: Vec<_> = store
        .events_from(1)
        .unwrap()
        .map(|found| found.unwrap().1)
        .collect();
    assert_eq!(found, list);
}

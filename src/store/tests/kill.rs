//! A process that is killed while it writes.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use super::*;

const DIR: &str = "TIDINGS_TEST_KILL_DIR";

/// The child's side: appends, syncs and says so, folds and saves checkpoints, until it is killed.
#[test]
#[ignore = "the other half of a_killed_writer_loses_nothing_it_acknowledged"]
fn a_writer_until_it_is_killed() {
    let Ok(dir) = std::env::var(DIR) else {
        return;
    };
    let waiting = Options::new(WRITE, Duration::from_secs(5));
    let (store, _) = Store::<Event>::open(Path::new(&dir), waiting).unwrap();
    let mut out = std::io::stdout();
    let folder = store.clone();
    std::thread::spawn(move || {
        loop {
            folder.fold(false).unwrap();
            let seq = folder.durable_seq();
            folder.save_checkpoint(seq, &seq.to_be_bytes()).unwrap();
            std::thread::sleep(Duration::from_millis(3));
        }
    });
    loop {
        let from = store.last_seq() + 1;
        let batch = 1 + from % 90;
        let (_, last) = store.append(&events(from, from + batch - 1)).unwrap();
        if last % 3 == 0 {
            store.sync(last).unwrap();
        }
        // Also what was only appended must outlive a SIGKILL.
        writeln!(out, "ack {last}").unwrap();
    }
}

#[test]
fn a_killed_writer_loses_nothing_it_acknowledged() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("state");
    let mut acknowledged = 0;
    let mut chance = 0x1234_5678_u64;
    let mut folded = 0;
    for round in 0..36 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["a_writer_until_it_is_killed", "--ignored", "--nocapture"])
            .env(DIR, &dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        chance = chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let moment = Duration::from_micros((chance >> 33) % 25_000);
        let (began, begun) = std::sync::mpsc::channel();
        let reader = std::thread::spawn(move || {
            let mut last = 0;
            for line in out.lines().map_while(Result::ok) {
                if let Some(seq) = line.strip_prefix("ack ").and_then(|seq| seq.parse().ok()) {
                    last = seq;
                    let _ = began.send(());
                }
            }
            last
        });
        // Every sixth is killed at some moment of its opening, the others while they write.
        if round % 6 != 5 {
            begun.recv_timeout(Duration::from_secs(20)).unwrap();
        }
        std::thread::sleep(moment);
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged = acknowledged.max(reader.join().unwrap());

        if !dir.join("state.json").exists() {
            continue;
        }
        let waiting = Options::new(WRITE, Duration::from_secs(5));
        let (store, report) = Store::<Event>::open(&dir, waiting).unwrap();
        assert!(!report.database_rolled_back, "round {round}");
        assert!(
            store.last_seq() >= acknowledged,
            "round {round}: {} of {acknowledged} acknowledged events are there",
            store.last_seq()
        );
        let mut loaded = store.load().unwrap();
        let mut next = 1;
        if let Some(checkpoint) = loaded.checkpoint.take() {
            assert_eq!(checkpoint.bytes().unwrap(), checkpoint.seq.to_be_bytes());
            next = checkpoint.seq + 1;
        }
        assert!(loaded.damaged.is_empty(), "round {round}");
        for found in loaded.events {
            assert_eq!(found.unwrap(), (next, event(next)), "round {round}");
            next += 1;
        }
        assert_eq!(next, store.last_seq() + 1, "round {round}");
        folded = store.last_seq() - report.replayed;
    }
    assert!(acknowledged > 1000, "the writer wrote next to nothing");
    assert!(folded > 1000, "nothing was folded");
    let (store, _) = open(&dir);
    let last = store.last_seq();
    assert_holds(&store, last);
    assert_eq!(store.verify().unwrap().problems, Vec::<String>::new());
}

const POINT: &str = "TIDINGS_TEST_KILL_POINT";

/// Two steps that leave a note each, as often as they are run.
fn steps() -> [super::super::schema::Migration; 2] {
    use super::super::schema::Migration;
    fn note(dir: &Path, name: &str) -> Result<(), String> {
        std::fs::write(dir.join(name), name).map_err(|cause| cause.to_string())
    }
    [
        Migration {
            from: 1,
            run: |dir| note(dir, "outbox/first"),
        },
        Migration {
            from: 2,
            run: |dir| note(dir, "outbox/second"),
        },
    ]
}

/// The child's side: brings a state forward, and kills itself at a point on the way.
#[test]
#[ignore = "the other half of a_migration_that_is_killed_at_any_point_is_done_at_the_next_start"]
fn a_migration_until_it_is_killed() {
    use super::super::schema::{StateFile, migrate};
    let (Ok(dir), Ok(at)) = (std::env::var(DIR), std::env::var(POINT)) else {
        return;
    };
    let (point, pass) = at.split_once(' ').unwrap();
    let left = std::sync::atomic::AtomicI32::new(pass.parse().unwrap());
    fail::cfg_callback(point, move || {
        if left.fetch_sub(1, std::sync::atomic::Ordering::SeqCst) == 0 {
            let me = rustix::process::getpid();
            rustix::process::kill_process(me, rustix::process::Signal::KILL).unwrap();
        }
    })
    .unwrap();
    let dir = Path::new(&dir);
    let mut file = StateFile::read(dir, 3).unwrap().unwrap();
    migrate(dir, &mut file, 3, &steps()).unwrap();
}

#[test]
fn a_migration_that_is_killed_at_any_point_is_done_at_the_next_start() {
    use super::super::schema::{StateFile, migrate};
    use std::os::unix::process::ExitStatusExt as _;
    for point in [
        "migration.copied 0",
        "migration.done 0",
        "migration.copied 1",
        "migration.done 1",
    ] {
        let tmp = tempfile::tempdir().unwrap();
        let dir = tmp.path().join("state");
        let (store, _) = open(&dir);
        store.append(&events(1, 1500)).unwrap();
        store.fold(false).unwrap();
        drop(store);
        let ended = Command::new(std::env::current_exe().unwrap())
            .args(["a_migration_until_it_is_killed", "--ignored", "--nocapture"])
            .env(DIR, &dir)
            .env(POINT, point)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert_eq!(ended.signal(), Some(9), "{point}");
        // The first copy's making may be cut short too.
        if point == "migration.copied 0" {
            std::fs::remove_file(dir.join("before-v2/whole")).unwrap();
            std::fs::remove_file(dir.join("before-v2/db/db")).unwrap();
        }
        let mut file = StateFile::read(&dir, 3).unwrap().unwrap();
        migrate(&dir, &mut file, 3, &steps()).unwrap();
        assert_eq!(StateFile::read(&dir, 3).unwrap().unwrap().version, 3);
        for note in ["first", "second"] {
            assert!(dir.join("outbox").join(note).exists(), "{point}");
        }
        // The copies are those from before each step, and whole: the older program opens the first.
        assert!(!dir.join("before-v2/outbox/first").exists(), "{point}");
        assert!(!dir.join("before-v3/outbox/second").exists(), "{point}");
        let copy = tmp.path().join("copy");
        copy_state(&dir.join("before-v2"), &copy);
        std::fs::remove_file(copy.join("whole")).unwrap();
        let (store, _) = open(&copy);
        assert_holds(&store, 1500);
    }
}

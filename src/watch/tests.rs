use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::*;
use crate::people::file::{Columns, Field};
use crate::spec::files::{FileError, FileStamp, Files, FilesError};

/// A workspace with one spec.
fn workspace() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("campaigns")).unwrap();
    fs::write(dir.path().join("campaigns/a.yaml"), "name: a").unwrap();
    dir
}

/// Makes a file old enough for its stamp to be trusted.
fn age(path: &Path) {
    let file = fs::File::options().append(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(60))
        .unwrap();
}

mod disk {
    use super::*;

    #[test]
    fn a_snapshot_lists_the_specs_of_all_folders_in_order() {
        let dir = workspace();
        let at = |name: &str| dir.path().join("campaigns").join(name);
        fs::create_dir_all(at("growth/deep")).unwrap();
        fs::create_dir_all(at(".git")).unwrap();
        fs::create_dir_all(at("_parts")).unwrap();
        for name in [
            "b.yml",
            "growth/c.yaml",
            "growth/deep/d.yaml",
            "_x.yaml",
            ".y.yaml",
            "_parts/e.yaml",
            ".git/f.yaml",
            "t.j2",
        ] {
            fs::write(at(name), "x").unwrap();
        }
        let workspace = Workspace::new(dir.path());
        assert_eq!(
            workspace.snapshot().specs().unwrap(),
            [
                "campaigns/a.yaml",
                "campaigns/b.yml",
                "campaigns/growth/c.yaml",
                "campaigns/growth/deep/d.yaml"
            ]
        );
    }

    #[test]
    fn a_missing_or_unreadable_folder_is_not_an_empty_one() {
        let dir = tempfile::tempdir().unwrap();
        let workspace = Workspace::new(dir.path());
        assert_eq!(workspace.snapshot().specs(), Err(FilesError::Missing));
        fs::write(dir.path().join("campaigns"), "a file").unwrap();
        assert!(matches!(
            workspace.snapshot().specs(),
            Err(FilesError::Unreadable { .. })
        ));
        fs::remove_file(dir.path().join("campaigns")).unwrap();
        symlink(dir.path().join("nowhere"), dir.path().join("campaigns")).unwrap();
        assert_eq!(workspace.snapshot().specs(), Err(FilesError::Missing));
        fs::remove_file(dir.path().join("campaigns")).unwrap();
        fs::create_dir(dir.path().join("campaigns")).unwrap();
        assert_eq!(workspace.snapshot().specs(), Ok(vec![]));
        assert_eq!(
            Workspace::new(dir.path().join("none")).snapshot().specs(),
            Err(FilesError::Missing)
        );
    }

    #[test]
    fn campaigns_may_be_a_link_to_anywhere_but_no_other_link_leaves_the_workspace() {
        let outside = workspace();
        fs::write(outside.path().join("secret"), "s").unwrap();
        let dir = tempfile::tempdir().unwrap();
        symlink(
            outside.path().join("campaigns"),
            dir.path().join("campaigns"),
        )
        .unwrap();
        let campaigns = outside.path().join("campaigns");
        symlink(outside.path().join("secret"), campaigns.join("out.yaml")).unwrap();
        symlink("a.yaml", campaigns.join("alias.yaml")).unwrap();
        symlink("nowhere", campaigns.join("dangling.yaml")).unwrap();
        let workspace = Workspace::new(dir.path());
        let snapshot = workspace.snapshot();
        assert_eq!(
            snapshot.specs().unwrap(),
            [
                "campaigns/a.yaml",
                "campaigns/alias.yaml",
                "campaigns/dangling.yaml",
                "campaigns/out.yaml"
            ]
        );
        assert_eq!(
            &*snapshot.read("campaigns/a.yaml", 100).unwrap(),
            b"name: a"
        );
        assert_eq!(
            &*snapshot.read("campaigns/alias.yaml", 100).unwrap(),
            b"name: a"
        );
        assert_eq!(
            snapshot.read("campaigns/out.yaml", 100),
            Err(FileError::LeavesWorkspace)
        );
        assert_eq!(
            snapshot.stamp("campaigns/out.yaml"),
            Err(FileError::LeavesWorkspace)
        );
        assert_eq!(
            snapshot.read("campaigns/dangling.yaml", 100),
            Err(FileError::NotFound)
        );
        assert_eq!(snapshot.read("../x", 100), Err(FileError::LeavesWorkspace));
        assert_eq!(
            snapshot.read("/etc/hostname", 100),
            Err(FileError::Absolute)
        );
        symlink(outside.path(), campaigns.join("folder")).unwrap();
        assert!(
            matches!(workspace.snapshot().specs(), Err(FilesError::Unreadable { path, .. }) if path == "campaigns/folder")
        );
    }

    #[test]
    fn what_is_the_engines_own_is_not_read_whatever_leads_to_it() {
        let dir = workspace();
        let elsewhere = tempfile::tempdir().unwrap();
        let root = dir.path();
        for folder in ["state", "sessions", "data"] {
            fs::create_dir(root.join(folder)).unwrap();
        }
        for file in [
            "state/webhook.key",
            "sessions/a1.session",
            "settings.yaml",
            ".env",
            "data/people.csv",
        ] {
            fs::write(root.join(file), "x").unwrap();
        }
        fs::write(elsewhere.path().join("key"), "x").unwrap();
        symlink("../state", root.join("campaigns/pictures")).unwrap();
        symlink("../.env", root.join("campaigns/env.txt")).unwrap();
        symlink("../settings.yaml", root.join("campaigns/settings.j2")).unwrap();
        symlink("../data/people.csv", root.join("campaigns/people.csv")).unwrap();
        symlink(elsewhere.path(), root.join("moved")).unwrap();
        let private = |folders: &[&Path]| {
            let mut all: Vec<_> = folders
                .iter()
                .map(|path| (path.to_path_buf(), "a secret"))
                .collect();
            for name in ["sessions", "settings.yaml", ".env"] {
                all.push((root.join(name), "a secret"));
            }
            Workspace::new(root).without(all)
        };
        let workspace = private(&[&root.join("state"), elsewhere.path()]);
        let snapshot = workspace.snapshot();
        for path in [
            "state/webhook.key",
            "sessions/a1.session",
            "settings.yaml",
            ".env",
            "campaigns/pictures/webhook.key",
            "campaigns/env.txt",
            "campaigns/settings.j2",
            "moved/key",
            "tidings.yaml",
        ] {
            let refused = [
                snapshot.read(path, 100).err(),
                snapshot.stamp(path).err(),
                Files::open(&snapshot, path).err(),
            ];
            for error in refused {
                assert!(
                    matches!(error, Some(FileError::Private(_))),
                    "{path}: {error:?}"
                );
            }
        }
        for path in [
            "campaigns/people.csv",
            "data/people.csv",
            "campaigns/a.yaml",
        ] {
            assert!(snapshot.read(path, 100).is_ok(), "{path}");
        }
        // A state beside the specs, or around the workspace, does not take them away.
        for state in [root, root.parent().unwrap(), &root.join("campaigns")] {
            let workspace = private(&[state]);
            let snapshot = workspace.snapshot();
            assert!(
                snapshot.read("campaigns/a.yaml", 100).is_ok(),
                "{}",
                state.display()
            );
            assert!(snapshot.read("sessions/a1.session", 100).is_err());
        }
        assert!(
            private(&[root])
                .snapshot()
                .read("state/webhook.key", 100)
                .is_err()
        );
    }

    #[test]
    fn a_config_map_is_read_through_its_links() {
        let dir = tempfile::tempdir().unwrap();
        let campaigns = dir.path().join("campaigns");
        fs::create_dir_all(campaigns.join("..2026_01")).unwrap();
        fs::write(campaigns.join("..2026_01/a.yaml"), "one").unwrap();
        symlink("..2026_01", campaigns.join("..data")).unwrap();
        symlink("..data/a.yaml", campaigns.join("a.yaml")).unwrap();
        let workspace = Workspace::new(dir.path());
        assert_eq!(workspace.snapshot().specs().unwrap(), ["campaigns/a.yaml"]);
        assert_eq!(
            &*workspace.snapshot().read("campaigns/a.yaml", 10).unwrap(),
            b"one"
        );
        fs::create_dir_all(campaigns.join("..2026_02")).unwrap();
        fs::write(campaigns.join("..2026_02/a.yaml"), "two").unwrap();
        symlink("..2026_02", campaigns.join("..data_tmp")).unwrap();
        fs::rename(campaigns.join("..data_tmp"), campaigns.join("..data")).unwrap();
        assert_eq!(
            &*workspace.snapshot().read("campaigns/a.yaml", 10).unwrap(),
            b"two"
        );
    }

    #[test]
    fn one_snapshot_sees_one_side_of_a_swapped_link() {
        let dir = tempfile::tempdir().unwrap();
        for (side, text) in [("old", "o"), ("new", "n")] {
            fs::create_dir(dir.path().join(side)).unwrap();
            fs::write(dir.path().join(side).join("a.yaml"), text).unwrap();
            fs::write(dir.path().join(side).join("b.yaml"), text).unwrap();
        }
        symlink("old", dir.path().join("campaigns")).unwrap();
        let workspace = Workspace::new(dir.path());
        let snapshot = workspace.snapshot();
        assert_eq!(&*snapshot.read("campaigns/a.yaml", 10).unwrap(), b"o");
        symlink("new", dir.path().join("next")).unwrap();
        fs::rename(dir.path().join("next"), dir.path().join("campaigns")).unwrap();
        assert_eq!(&*snapshot.read("campaigns/b.yaml", 10).unwrap(), b"o");
        assert_eq!(
            &*workspace.snapshot().read("campaigns/b.yaml", 10).unwrap(),
            b"n"
        );
    }

    #[test]
    fn what_is_no_regular_file_is_refused_without_waiting() {
        let dir = workspace();
        let pipe = dir.path().join("campaigns/pipe.yaml");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            0o600.into(),
            0,
        )
        .unwrap();
        let workspace = Workspace::new(dir.path());
        assert_eq!(
            workspace.snapshot().read("campaigns/pipe.yaml", 10),
            Err(FileError::NotAFile)
        );
        assert_eq!(
            workspace.snapshot().read("campaigns", 10),
            Err(FileError::NotAFile)
        );
        assert_eq!(
            workspace.snapshot().read("campaigns/a.yaml/b", 10),
            Err(FileError::NotFound)
        );
    }

    #[test]
    fn a_large_file_is_refused_by_its_size_and_stamped_without_being_held() {
        let dir = workspace();
        let path = dir.path().join("campaigns/big.csv");
        let file = fs::File::create(&path).unwrap();
        file.set_len(100_000_000_000).unwrap();
        let workspace = Workspace::new(dir.path());
        let started = Instant::now();
        let answer = workspace.snapshot().read("campaigns/big.csv", 1024);
        assert_eq!(
            answer,
            Err(FileError::TooLarge {
                len: 100_000_000_000,
                max: 1024
            })
        );
        // It was not read: a hundred gigabytes take minutes.
        assert!(started.elapsed() < Duration::from_secs(20));
        file.set_len(300_000).unwrap();
        assert_eq!(
            workspace.snapshot().stamp("campaigns/big.csv").unwrap(),
            FileStamp::of(&vec![0; 300_000])
        );
    }

    #[test]
    fn a_file_that_the_operator_names_may_be_anywhere() {
        let dir = workspace();
        let path = dir.path().join("campaigns/a.yaml");
        assert_eq!(&*read_anywhere(&path, 7).unwrap(), b"name: a");
        assert_eq!(
            read_anywhere(&path, 6),
            Err(FileError::TooLarge { len: 7, max: 6 })
        );
        assert_eq!(read_anywhere(dir.path(), 6), Err(FileError::NotAFile));
        assert_eq!(
            read_anywhere(&dir.path().join("none"), 6),
            Err(FileError::NotFound)
        );
    }

    #[test]
    fn a_change_is_seen_even_where_size_and_time_are_as_before() {
        let dir = workspace();
        let path = dir.path().join("campaigns/a.yaml");
        let workspace = Workspace::new(dir.path());
        let read = || {
            workspace
                .snapshot()
                .read("campaigns/a.yaml", 100)
                .unwrap()
                .to_vec()
        };
        age(&path);
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        assert_eq!(read(), b"name: a");
        for text in ["name: b", "name: c", "name: d"] {
            fs::write(&path, text).unwrap();
            fs::File::options()
                .append(true)
                .open(&path)
                .unwrap()
                .set_modified(modified)
                .unwrap();
            assert_eq!(read(), text.as_bytes());
            assert_eq!(
                workspace.snapshot().stamp("campaigns/a.yaml").unwrap(),
                FileStamp::of(text.as_bytes())
            );
        }
    }

    #[test]
    fn a_second_look_at_a_thousand_specs_is_cheap() {
        let dir = workspace();
        for n in 0..1_000 {
            fs::write(
                dir.path().join(format!("campaigns/s{n}.yaml")),
                vec![b'x'; 4_000],
            )
            .unwrap();
        }
        let workspace = Workspace::new(dir.path());
        let look = || {
            let started = Instant::now();
            let snapshot = workspace.snapshot();
            let specs = snapshot.specs().unwrap();
            let bytes: usize = specs
                .iter()
                .map(|path| snapshot.read(path, 1 << 20).unwrap().len())
                .sum();
            (specs.len(), bytes, started.elapsed())
        };
        let (count, bytes, _) = look();
        assert_eq!((count, bytes), (1_001, 4_000_007));
        let (_, again, took) = look();
        assert_eq!(again, bytes);
        assert!(took < Duration::from_millis(500), "{took:?}");
    }
}

mod events {
    use super::super::watcher::Timing;
    use super::*;

    /// How long a change may take to be noticed: the poll, the longest wait for quiet, and air for a busy machine.
    const SOON: Duration = Duration::from_millis(2_000);

    /// A watcher that has begun, and whose first nudges are taken. It polls more often than a real one, so that the
    /// tests, which wait for it to come to rest, are quick.
    async fn watching(root: &Path) -> Watcher {
        let timing = Timing {
            poll: Duration::from_millis(100),
            ..Timing::default()
        };
        let mut watcher =
            Watcher::with(root.to_path_buf(), vec![root.join("tidings.yaml")], timing);
        settle(&mut watcher).await;
        watcher
    }

    async fn settle(watcher: &mut Watcher) {
        while tokio::time::timeout(Duration::from_millis(300), watcher.nudged())
            .await
            .is_ok()
        {}
    }

    /// How long the next nudge takes.
    async fn nudged(watcher: &mut Watcher, what: &str) -> Duration {
        let started = Instant::now();
        let nudge = tokio::time::timeout(SOON, watcher.nudged()).await;
        assert!(matches!(nudge, Ok(Some(_))), "{what} was not noticed");
        started.elapsed()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_way_to_save_is_noticed_within_a_second() {
        let dir = workspace();
        let at = |name: &str| dir.path().join(name);
        let mut watcher = watching(dir.path()).await;

        fs::write(at("campaigns/a.yaml"), "name: b").unwrap();
        let mut took = vec![("a plain write", nudged(&mut watcher, "a plain write").await)];
        settle(&mut watcher).await;

        fs::write(at("campaigns/.a.swp"), "name: c").unwrap();
        fs::rename(at("campaigns/.a.swp"), at("campaigns/a.yaml")).unwrap();
        took.push(("a rename-save", nudged(&mut watcher, "a rename-save").await));
        settle(&mut watcher).await;

        fs::create_dir(at("campaigns/new")).unwrap();
        fs::write(at("campaigns/new/b.yaml"), "name: b").unwrap();
        took.push(("a new folder", nudged(&mut watcher, "a new folder").await));
        settle(&mut watcher).await;

        fs::write(at("campaigns/new/b.yaml"), "name: bb").unwrap();
        took.push((
            "a write in it",
            nudged(&mut watcher, "a write in a new folder").await,
        ));
        settle(&mut watcher).await;

        fs::remove_file(at("campaigns/a.yaml")).unwrap();
        took.push(("a removal", nudged(&mut watcher, "a removal").await));
        settle(&mut watcher).await;

        fs::write(at("tidings.yaml"), "version: 1").unwrap();
        took.push(("tidings.yaml", nudged(&mut watcher, "tidings.yaml").await));
        for (what, took) in took {
            assert!(took < Duration::from_millis(1_000), "{what} took {took:?}");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_checkout_of_many_files_is_few_nudges_and_the_last_comes_after_the_last_file() {
        let dir = workspace();
        let mut watcher = watching(dir.path()).await;
        let writer = {
            let campaigns = dir.path().join("campaigns");
            tokio::task::spawn_blocking(move || {
                for n in 0..200 {
                    fs::write(campaigns.join("tmp"), format!("name: s{n}")).unwrap();
                    fs::rename(campaigns.join("tmp"), campaigns.join(format!("s{n}.yaml")))
                        .unwrap();
                    std::thread::sleep(Duration::from_millis(3));
                }
                Instant::now()
            })
        };
        let mut nudges = Vec::new();
        while tokio::time::timeout(Duration::from_millis(600), watcher.nudged())
            .await
            .is_ok()
        {
            nudges.push(Instant::now());
        }
        let done = writer.await.unwrap();
        assert!(nudges.len() <= 12, "{} nudges", nudges.len());
        assert!(
            nudges.last().is_some_and(|last| *last >= done),
            "the last file was missed"
        );
        assert!(nudges[0] < done, "nothing was said until all was written");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn swapped_links_and_replaced_folders_are_followed() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for side in ["git/one/campaigns", "git/two/campaigns", "work"] {
            fs::create_dir_all(at(side)).unwrap();
        }
        fs::write(at("git/one/campaigns/a.yaml"), "one").unwrap();
        fs::write(at("git/two/campaigns/a.yaml"), "two").unwrap();
        symlink("one", at("git/current")).unwrap();
        symlink(at("git/current/campaigns"), at("work/campaigns")).unwrap();
        let mut watcher = watching(&at("work")).await;

        symlink("two", at("git/next")).unwrap();
        fs::rename(at("git/next"), at("git/current")).unwrap();
        assert!(nudged(&mut watcher, "a swapped link").await < Duration::from_millis(1_000));
        settle(&mut watcher).await;

        fs::write(at("git/two/campaigns/a.yaml"), "two and a half").unwrap();
        let took = nudged(&mut watcher, "a write behind the new link").await;
        assert!(took < Duration::from_millis(1_000), "{took:?}");
        settle(&mut watcher).await;

        fs::rename(at("work"), at("gone")).unwrap();
        nudged(&mut watcher, "the workspace moved away").await;
        settle(&mut watcher).await;
        fs::create_dir_all(at("work/campaigns")).unwrap();
        nudged(&mut watcher, "the workspace is back").await;
        settle(&mut watcher).await;
        fs::write(at("work/campaigns/b.yaml"), "b").unwrap();
        nudged(&mut watcher, "a write in the new workspace").await;
        settle(&mut watcher).await;

        fs::remove_dir_all(at("work/campaigns")).unwrap();
        nudged(&mut watcher, "campaigns removed").await;
        settle(&mut watcher).await;
        fs::create_dir(at("work/campaigns")).unwrap();
        nudged(&mut watcher, "campaigns back").await;
        settle(&mut watcher).await;
        fs::write(at("work/campaigns/c.yaml"), "c").unwrap();
        nudged(&mut watcher, "a write after that").await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn named_files_elsewhere_are_watched_and_reading_is_no_change() {
        let dir = workspace();
        fs::create_dir_all(dir.path().join("data")).unwrap();
        let data = dir.path().join("data/x.csv");
        fs::write(&data, "id").unwrap();
        let mut watcher = watching(dir.path()).await;
        watcher.set_files(vec![data.clone()]);
        settle(&mut watcher).await;

        let workspace = Workspace::new(dir.path());
        for _ in 0..5 {
            workspace.snapshot().read("campaigns/a.yaml", 100).unwrap();
        }
        fs::create_dir(dir.path().join("state")).unwrap();
        fs::write(dir.path().join("state/db"), "x").unwrap();
        let quiet = tokio::time::timeout(Duration::from_millis(800), watcher.nudged()).await;
        assert!(
            quiet.is_err(),
            "reading and the state are no changes: {quiet:?}"
        );

        fs::write(&data, "id,name").unwrap();
        assert!(nudged(&mut watcher, "a named file").await < Duration::from_millis(1_000));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_link_to_a_file_elsewhere_is_looked_at_though_the_folder_is_at_rest() {
        let dir = workspace();
        let away = tempfile::tempdir().unwrap();
        let target = away.path().join("b.yaml");
        fs::write(&target, "name: b").unwrap();
        symlink(&target, dir.path().join("campaigns/b.yaml")).unwrap();
        let mut watcher = watching(dir.path()).await;
        // Longer than everything is looked at after a change.
        tokio::time::sleep(Duration::from_millis(5_500)).await;
        fs::write(&target, "name: bb").unwrap();
        let took = nudged(&mut watcher, "a write behind a link").await;
        assert!(took < Duration::from_millis(1_000), "{took:?}");
        settle(&mut watcher).await;
        fs::write(dir.path().join("campaigns/a.yaml"), "name: aa").unwrap();
        nudged(&mut watcher, "a plain write").await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_no_event_tells_is_noticed_within_a_second_too() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for (side, text) in [("one", "1"), ("two", "2")] {
            fs::create_dir_all(at(side).join("campaigns")).unwrap();
            fs::write(at(side).join("campaigns/a.yaml"), text).unwrap();
        }
        fs::create_dir(at("work")).unwrap();
        symlink("one", at("current")).unwrap();
        symlink(at("current/campaigns"), at("work/campaigns")).unwrap();
        let mut watcher = Watcher::start(at("work"), vec![]);
        assert_eq!(
            watcher.nudged().await.map(|nudge| nudge.cause),
            Some(Cause::Begun)
        );
        symlink("two", at("next")).unwrap();
        fs::rename(at("next"), at("current")).unwrap();
        assert!(nudged(&mut watcher, "a swapped link").await < Duration::from_millis(1_000));
    }
}

#[test]
fn an_audience_file_is_checked_again_only_when_it_or_its_columns_have_changed() {
    let dir = workspace();
    let path = dir.path().join("campaigns/people.csv");
    fs::write(&path, "username,tel\nalice,x\n15550100,y\n").unwrap();
    let workspace = Workspace::new(dir.path());
    let none = Columns::default();
    let check = |columns: &Columns| {
        workspace
            .snapshot()
            .check_people("campaigns/people.csv", columns)
            .unwrap()
    };
    let first = check(&none);
    let summary = first.as_ref().as_ref().unwrap();
    assert_eq!((summary.people, summary.bad_count), (1, 1));
    assert!(
        Arc::ptr_eq(&first, &check(&none)),
        "it is answered from memory"
    );

    let mapped = Columns {
        map: [(Field::Phone, "tel".to_owned())].into(),
    };
    assert_eq!(check(&mapped).as_ref().as_ref().unwrap().bad_count, 2);

    // Of the same length, and within the same moment as far as a coarse clock tells.
    fs::write(&path, "username,tel\nalice,x\n@bobbyyy,y\n").unwrap();
    let second = check(&none);
    assert_eq!(second.as_ref().as_ref().unwrap().people, 2);
    fs::remove_file(&path).unwrap();
    assert!(matches!(
        workspace
            .snapshot()
            .check_people("campaigns/people.csv", &none),
        Err(FileError::NotFound)
    ));
}

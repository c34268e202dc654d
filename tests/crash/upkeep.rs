//! SIGKILL while the state itself is looked after: while it is folded, saved, backed up and restored.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Output;

use rustix::process::Signal;

use super::child::{Place, Tally, ends_with, said, tidings};
use super::common;
use super::points::{dies_at, mailing};

fn text(name: &str) -> String {
    mailing(
        name,
        &format!("templates: [{{name: t, text: '{name}: hi'}}]\n"),
    )
}

/// A command that is to end itself at a point.
#[track_caller]
fn killed(place: &Place, args: &[&str], point: &str, pass: u32) {
    let mut command = tidings();
    command.arg("-C").arg(&place.root).args(args);
    command.env("FAILPOINTS", format!("{point}={pass}*off->kill"));
    let ended: Output = command.output().unwrap();
    assert_eq!(
        ended.status.signal(),
        Some(9),
        "{args:?} never came to {point} for the {pass}th time: {}",
        String::from_utf8_lossy(&ended.stderr)
    );
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &to),
            false => drop(fs::copy(&path, &to).unwrap()),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_while_the_state_is_folded_saved_and_backed_up_duplicate_and_lose_nobody() {
    const PEOPLE: usize = 40;
    let place = Place::new(&common::crowd(PEOPLE), &super::config()).await;
    let mut n = 0;
    for pass in [0, 1] {
        for point in [
            "database.fold",
            "database.sync",
            "database.folded",
            "checkpoint.save",
            "checkpoint.saved",
        ] {
            n += 1;
            let name = format!("round-{n}");
            place.write(&format!("campaigns/{name}.yaml"), text(&name));
            let backup = place.dir.path().join(format!("{n}.backup"));
            let mut told = false;
            dies_at(
                &place,
                point,
                pass.min(point.starts_with("database").into()),
                |running| {
                    let under_way = Tally::of(&place.sandbox).who(&name).len() > 3;
                    if point.starts_with("database") && under_way {
                        // A backup folds whatever is there.
                        place.run(&["backup", backup.to_str().unwrap()]);
                    } else if point.starts_with("checkpoint") && under_way && !told {
                        told = true;
                        running.signal(Signal::TERM);
                    }
                },
            )
            .await;
            if backup.exists() {
                // It is whole or not there.
                tidings::store::check_backup(&backup).unwrap();
            }
            // Whoever only looks finds a state that adds up.
            place.campaign(&name);
        }
    }
    let left = place.daemon();
    for n in 1..=n {
        super::the_report_agrees(&place, &format!("round-{n}"), PEOPLE).await;
    }
    drop(left);
    let tally = Tally::of(&place.sandbox);
    tally.is_clean(&place.log());
    for n in 1..=n {
        assert_eq!(tally.who(&format!("round-{n}")).len(), PEOPLE);
    }
    println!(
        "{n} kills while the state was looked after, {} messages, {} repeats that the server recognised",
        tally.messages, tally.repeats
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_during_a_restore_send_nobody_anything_again_and_forget_no_suppression() {
    const PEOPLE: usize = 12;
    let place = Place::new(&common::crowd(PEOPLE), &super::config()).await;
    let once = |place: &Place| place.run(&["run", "--once", "--horizon", "2s"]);
    place.write("campaigns/one.yaml", text("one"));
    ends_with(&place.run(&["optout", "add", "@person105"]), 0);
    ends_with(&once(&place), 0);
    let backup = place.dir.path().join("tidings.backup");
    let backup = backup.to_str().unwrap();
    ends_with(&place.run(&["backup", backup]), 0);
    place.write("campaigns/two.yaml", text("two"));
    ends_with(&place.run(&["optout", "add", "@person106"]), 0);
    ends_with(&once(&place), 0);
    let (state, sound) = (place.root.join("state"), place.dir.path().join("sound"));
    copy(&state, &sound);
    // What the state sent with the account last: without it each round would be an older copy that was put back.
    let mark = place.root.join("sessions/.sales-1.state");
    let marked = fs::read(&mark).unwrap();
    let before = Tally::of(&place.sandbox);
    assert_eq!(before.who("two").len(), PEOPLE - 2);
    let restore: &[&str] = &["restore", backup, "--yes"];
    let mut kills = 0;
    for lost in [false, true] {
        for (point, pass) in [
            ("restore.staged", 0),
            ("restore.commit", 0),
            ("restore.committed", 0),
            ("restore.marks", 0),
            // What is put in the present state's place, part by part.
            ("restore.part", 0),
            ("restore.part", 1),
            ("restore.part", 2),
            ("restore.part", 3),
        ] {
            fs::remove_dir_all(&state).unwrap();
            fs::write(&mark, &marked).unwrap();
            match lost {
                false => copy(&sound, &state),
                // What cannot be read is not united with the backup.
                true => {
                    copy(&sound, &state);
                    let description = state.join("state.json");
                    let file = fs::OpenOptions::new().write(true).open(description);
                    file.unwrap().write_all_at(b"?", 0).unwrap();
                }
            }
            killed(&place, restore, point, pass);
            kills += 1;
            let what = format!("{point}, pass {pass}, damaged: {lost}");
            let began = ["restore.staged", "restore.commit"].contains(&point);
            if lost && began {
                // Nothing of it counts yet: the operator tries again.
                assert_ne!(place.run(&["status"]).status.code(), Some(0), "{what}");
                ends_with(&place.run(restore), 0);
            }
            let name = format!("after-{kills}");
            place.write(&format!("campaigns/{name}.yaml"), text(&name));
            ends_with(&once(&place), 0);
            let tally = Tally::of(&place.sandbox);
            tally.is_clean(&place.log());
            assert_eq!(tally.who("one"), before.who("one"), "{what}");
            // What was asked for after the backup is not known where nothing but the backup can be read.
            let mut two = tally.who("two");
            if lost {
                two.remove(&106);
            }
            assert_eq!(two, before.who("two"), "{what}");
            let got = tally.who(&name);
            assert!(!got.contains(&105), "{what}");
            if !lost {
                assert!(!got.contains(&106), "{what}");
            }
            assert!(got.len() >= PEOPLE - 2, "{what}: {}", said(&place.log()));
            fs::remove_file(place.root.join(format!("campaigns/{name}.yaml"))).unwrap();
        }
    }
    println!("{kills} kills during restores");
}

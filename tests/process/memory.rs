//! Memory follows the people of an audience by a small, stated amount each, however many they are.
//!
//! The suite takes 100,000. A million, in an optimised build:
//! `TIDINGS_PEOPLE=1000000 cargo test --release --test process memory -- --nocapture`.

use std::fmt::Write as _;
use std::time::Duration;

use super::child::{Place, Running, ends_with};
use super::common::mailing;

/// The engine's settings: nobody is too many, and a run of more than 500 waits for its approval.
const CONFIG: &str = "version: 1\ntelegram: {api_id: 12345, api_hash: loopback}\n\
                      limits: {min_delay: 0s, max_per_day: 100000, max_audience: 10000000}\n";

/// The most that one more person may add to the highest memory of the process that reads a list, in bytes: he stands in
/// the list's index, in the audience and, until it is on the disk, in the journal. Measured: 485.
const MOST_FOUND: f64 = 700.0;
/// The same for a process that starts with what was found before. Measured: 99.
const MOST_KEPT: f64 = 200.0;
/// The suite's machines may be busy, and a million people take their time in a debug build.
const LONG: Duration = Duration::from_secs(600);

fn memory(running: &Running, key: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let kb = line.unwrap().trim().trim_end_matches(" kB");
    kb.parse::<f64>().unwrap() * 1024.0
}

/// The highest memory of a daemon that reads so many people, and of the next one.
async fn peaks(people: usize) -> [f64; 2] {
    let world = "accounts:\n  - {name: sales-1}\n";
    let place = Place::new(world, CONFIG).await;
    let mut list = String::from("id;username;first_name;city\n");
    for id in 0..people {
        let id = 1_000_000 + id;
        writeln!(list, "{id};person_{id};P{id};Kazan").unwrap();
    }
    place.write("campaigns/people.csv", list);
    let spec = mailing(
        "many",
        "sales-1",
        "consent: {basis: customers}\nsources: [{type: file, path: people.csv}]\n",
    );
    place.write("campaigns/many.yaml", spec);
    let found = |place: &Place| {
        let output = place.run(&["status", "many", "-o", "json"]);
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        report["daemon"]["running"] == true
            && report["campaigns"][0]["audience"]["included"] == people
            && report["campaigns"][0]["progress"]["pending"] == people
    };
    let mut peaks = [0.0; 2];
    for (life, peak) in peaks.iter_mut().enumerate() {
        let mut running = place.daemon();
        // Asked before that, `status` would open the state itself, and keep the daemon out of it.
        let socket = place.root.join("state/tidings.sock");
        let is_up = |_: &Place| std::os::unix::net::UnixStream::connect(&socket).is_ok();
        place.until(LONG, "the daemon is up", is_up).await;
        place.until(LONG, "everybody is found", found).await;
        // What the report itself takes belongs to it.
        ends_with(&place.run(&["status", "-o", "json"]), 0);
        *peak = memory(&running, "VmHWM:");
        println!(
            "{people} people, life {}: at most {:.1} MB, now {:.1} MB",
            life + 1,
            *peak / 1e6,
            memory(&running, "VmRSS:") / 1e6
        );
        running.signal(rustix::process::Signal::TERM);
        assert!(running.wait(LONG).await.success());
    }
    peaks
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_grows_by_a_few_hundred_bytes_a_person() {
    let people = std::env::var("TIDINGS_PEOPLE").map_or(100_000, |text| text.parse().unwrap());
    let few = peaks(1_000).await;
    let many = peaks(1_000 + people).await;
    for (life, most) in [MOST_FOUND, MOST_KEPT].into_iter().enumerate() {
        let each = (many[life] - few[life]) / people as f64;
        println!(
            "life {}: {each:.0} bytes a person, at most {most} are allowed",
            life + 1
        );
        assert!(each <= most, "life {}: {each:.0} bytes a person", life + 1);
    }
}

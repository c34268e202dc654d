//! SIGKILL at every named point of a send and of what leads to it: between any two steps that outlive a process.
//!
//! `FAILPOINTS` names the point, and the process kills itself there (`src/cli/points.rs`); the server's ledger judges.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

use tidings::sandbox::{Effect, Entry, FaultRule, Ref, Sandbox, SandboxOptions, WorldSpec};

use super::child::{Place, Running, Tally, out, run, said, tidings};
use super::{CAMPAIGN, SIGN_OF_LIFE, common};

/// The steps of a message, in their order. Those of the outbox come with every event, so they also kill at a start,
/// while something is looked up, and between an answer and its outcome.
const OF_A_SEND: [&str; 11] = [
    "send.intend",
    "outbox.write",
    "outbox.written",
    "send.recorded",
    "outbox.sync",
    "outbox.synced",
    "send.intended",
    "send.request",
    "send.answered",
    "outcome.write",
    "outcome.written",
];

/// The daemon, which is to end itself at a point, the n-th time that it gets there, counted from 0.
fn daemon(place: &Place, point: &str, pass: u32) -> Running {
    let mut command = tidings();
    command
        .arg("-C")
        .arg(&place.root)
        .arg("run")
        .env("TIDINGS_LOG", "tidings=info")
        .env("FAILPOINTS", format!("{point}={pass}*off->kill"));
    Running::start(command, &place.log())
}

/// One life up to the point. `poke` is called again and again meanwhile, for what must happen while it lives.
pub(super) async fn dies_at(place: &Place, point: &str, pass: u32, mut poke: impl FnMut(&Running)) {
    let mut running = daemon(place, point, pass);
    let until = Instant::now() + SIGN_OF_LIFE;
    loop {
        if let Some(status) = running.ended() {
            assert_eq!(
                status.signal(),
                Some(9),
                "it ended by itself at {point}:\n{}",
                running.said()
            );
            return;
        }
        poke(&running);
        assert!(
            Instant::now() < until,
            "it never came to {point} for the {pass}th time:\n{}",
            running.said()
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// How often each text reached each person.
fn deliveries(place: &Place, method: &str) -> BTreeMap<(String, String), usize> {
    let mut all = BTreeMap::new();
    for Entry { peer, text, .. } in place
        .delivered()
        .into_iter()
        .filter(|entry| entry.method == method)
    {
        let key = (peer.unwrap_or_default(), text.unwrap_or_default());
        *all.entry(key).or_default() += 1;
    }
    all
}

pub(super) fn mailing(name: &str, rest: &str) -> String {
    common::mailing(
        name,
        "sales-1",
        &format!(
            "delays: {{between_messages: 0ms..3ms, per_account: {{per_day: 100000}}}}\n{rest}"
        ),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_between_any_two_steps_of_a_send_duplicates_and_loses_nobody() {
    const PEOPLE: usize = 120;
    let mut world = common::crowd(PEOPLE);
    world.push_str("scripts:\n  - {people: 10%, reply: stop}\n");
    let place = Place::new(&world, &super::config()).await;
    let (mut kills, mut n) = (0, 0);
    let mut silent: Vec<String> = Vec::new();
    let write = |n: u32| {
        let name = format!("round-{n}");
        let text = format!("templates: [{{name: t, text: '{name}: hi'}}]\n");
        place.write(&format!("campaigns/{name}.yaml"), mailing(&name, &text));
    };
    for pass in [0, 1, 4, 9] {
        for point in OF_A_SEND {
            let got = Tally::of(&place.sandbox).who(&format!("round-{n}")).len();
            if n == 0 || got + silent.len() + 20 > PEOPLE {
                n += 1;
                silent = stops(&place.sandbox);
                write(n);
            }
            dies_at(&place, point, pass, |_| {}).await;
            kills += 1;
        }
    }
    // What an opt-out is written down with.
    for (point, pass, changed) in [
        ("optout.heard", 0, false),
        ("optout.heard", 1, false),
        ("optout.heard", 0, true),
    ] {
        n += 1;
        write(n);
        let person = 101 + i64::from(n);
        dies_at(&place, point, pass, |_| {
            let stops = stops(&place.sandbox).len();
            if stops < silent.len() + 8 {
                let by = format!("@person{}", person + stops as i64);
                let first = if changed { "Hello" } else { "stop" };
                let _ = place.sandbox.send_as_person(by.as_str(), "sales-1", first);
                if changed {
                    let _ = place
                        .sandbox
                        .edit_as_person(by.as_str(), "sales-1", None, "stop");
                }
            }
        })
        .await;
        kills += 1;
    }
    let left = place.daemon();
    for n in 1..=n {
        let name = format!("round-{n}");
        let until = Instant::now() + CAMPAIGN;
        let report = loop {
            let report = place.campaign(&name);
            if report["progress"]["in_flight"] == 0 && report["progress"]["pending"] == 0 {
                break report;
            }
            assert!(Instant::now() < until, "{report:#}\n{}", left.said());
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let tally = Tally::of(&place.sandbox);
        assert_eq!(
            report["progress"]["sent"],
            tally.who(&name).len(),
            "{report:#}"
        );
        assert_eq!(report["progress"]["uncertain"], 0, "{report:#}");
        assert_eq!(report["progress"]["failed"], 0, "{report:#}");
    }
    let tally = Tally::of(&place.sandbox);
    tally.is_clean(&place.log());
    // Nobody is lost: whoever has not got the first round had said stop.
    let stopped = stops(&place.sandbox);
    for id in 101..101 + PEOPLE as i64 {
        let got = tally.who("round-1").contains(&id);
        assert!(
            got || stopped.contains(&format!("user:{id}")),
            "{id} got nothing\n{}",
            said(&place.log())
        );
    }
    println!(
        "{kills} kills at named points, {n} campaigns, {} messages, {} repeats that the server recognised",
        tally.messages, tally.repeats
    );
}

/// Who said stop.
fn stops(sandbox: &Sandbox) -> Vec<String> {
    let entries = sandbox.ledger().entries();
    let stop = |entry: &&Entry| entry.kind == "person" && entry.text.as_deref() == Some("stop");
    let mut who: Vec<String> = entries
        .iter()
        .filter(stop)
        .filter_map(|entry| entry.peer.clone())
        .collect();
    who.sort();
    who.dedup();
    who
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_between_any_two_steps_of_a_message_with_a_file_duplicates_and_loses_nobody() {
    const PEOPLE: usize = 40;
    let place = Place::new(&common::crowd(PEOPLE), &super::config()).await;
    place.write("campaigns/banner.png", b"\x89PNG not a real picture");
    let text = "templates: [{name: t, text: 'pic: hi', media: banner.png}]\n";
    place.write("campaigns/pic.yaml", mailing("pic", text));
    let mut kills = 0;
    for point in ["upload.order", "upload.request", "upload.answered"]
        .into_iter()
        .chain(OF_A_SEND)
    {
        dies_at(&place, point, 0, |_| {}).await;
        kills += 1;
    }
    let left = place.daemon();
    place
        .until(CAMPAIGN, "everybody got it", |place| {
            deliveries(place, "messages.sendMedia").len() == PEOPLE
        })
        .await;
    super::the_report_agrees(&place, "pic", PEOPLE).await;
    drop(left);
    let all = deliveries(&place, "messages.sendMedia");
    assert!(all.values().all(|n| *n == 1), "{all:?}");
    println!("{kills} kills on the way of {PEOPLE} messages with a file");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_between_any_two_steps_of_an_invite_adds_everybody_once() {
    const PEOPLE: usize = 40;
    let mut world = common::crowd(PEOPLE);
    world.push_str("  - {title: There, username: there, creator: sales-1}\n");
    let place = Place::new(&world, &super::config()).await;
    place.write(
        "campaigns/come.yaml",
        "version: 1\nname: come\nkind: invite\nmethod: add\ntarget: '@there'\naccounts: [sales-1]\n\
         consent: {basis: members}\nsources: [{type: members, peer: '@meetup'}]\n\
         delays: {between_invites: 0ms..3ms, per_account: {per_day: 100000}}\n",
    );
    let mut kills = 0;
    for point in ["invite.looked", "invite.asked"]
        .into_iter()
        .cycle()
        .take(6)
        .chain(OF_A_SEND)
    {
        dies_at(&place, point, kills % 2, |_| {}).await;
        kills += 1;
    }
    let left = place.daemon();
    super::the_report_agrees(&place, "come", PEOPLE).await;
    drop(left);
    let mut added: BTreeMap<String, usize> = BTreeMap::new();
    for entry in place.sandbox.ledger().of_method("channels.inviteToChannel") {
        if entry.effect && entry.error.is_none() {
            *added.entry(entry.peer.unwrap_or_default()).or_default() += 1;
        }
    }
    assert_eq!(added.len(), PEOPLE, "{added:?}");
    assert!(added.values().all(|n| *n == 1), "{added:?}");
    println!("{kills} kills on the way of {PEOPLE} invites");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_between_any_two_steps_of_an_answer_answers_once() {
    const PEOPLE: usize = 32;
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("workspace");
    std::fs::create_dir_all(root.join("campaigns")).unwrap();
    let sandbox = Sandbox::start(SandboxOptions {
        world: WorldSpec::from_yaml(&common::crowd(PEOPLE)).unwrap(),
        ..SandboxOptions::default()
    })
    .await
    .unwrap();
    sandbox
        .write_sessions(&root.join("sessions"))
        .await
        .unwrap();
    let url = sandbox.openai_url().unwrap().to_string();
    let place = Place { sandbox, dir, root };
    place.write(
        "tidings.yaml",
        format!(
            "{}ai: {{base_url: '{url}', api_key: test}}\n",
            super::config()
        ),
    );
    let text = "templates: [{name: t, text: 'hello: hi'}]\n\
                ai_role: {prompt: You are Mia., delay: 0s, max_replies: 50}\n";
    place.write("campaigns/hello.yaml", mailing("hello", text));
    let first = place.daemon();
    place
        .until(CAMPAIGN, "everybody was written to", |place| {
            Tally::of(&place.sandbox).who("hello").len() == PEOPLE
        })
        .await;
    super::the_report_agrees(&place, "hello", PEOPLE).await;
    first.kill();
    let mut kills = 0;
    let mut wrote = Vec::new();
    // A message that comes in, the question, its answer, and each write of a life: the state of the updates among them.
    let steps = [
        "incoming.heard",
        "incoming.kept",
        "answer.ask",
        "answer.received",
        "answer.kept",
        "draft.keep",
        "draft.kept",
        "answer.taken",
    ];
    for (point, pass) in steps
        .into_iter()
        .chain(OF_A_SEND)
        .map(|point| (point, 0))
        .chain([("outcome.write", 1), ("outcome.written", 1)])
        .chain((2..9).map(|pass| ("outbox.write", pass)))
        .chain([("outbox.written", 5)])
    {
        let person = 101 + wrote.len() as i64;
        wrote.push(person);
        place
            .sandbox
            .send_as_person(Ref::Id(person), "sales-1", "Hello?")
            .unwrap();
        dies_at(&place, point, pass, |_| {}).await;
        kills += 1;
    }
    let answers = |place: &Place, person: i64| {
        let peer = format!("user:{person}");
        let sent = place.delivered().into_iter();
        sent.filter(|entry| entry.peer.as_deref() == Some(peer.as_str()))
            .count()
            - 1
    };
    let left = place.daemon();
    place
        .until(CAMPAIGN, "everybody is answered", |place| {
            wrote.iter().all(|person| answers(place, *person) > 0)
        })
        .await;
    // Whatever is in doubt still goes out again, and is recognised.
    super::the_report_agrees(&place, "hello", PEOPLE).await;
    left.kill();
    for person in &wrote {
        assert_eq!(answers(&place, *person), 1, "{person}");
    }
    // Each message was heard once, and none of its own was taken for a human's.
    let listed = run(&place.root, ["replies", "list", "-o", "json"]);
    let listed: serde_json::Value = serde_json::from_str(&out(&listed)).unwrap();
    for person in wrote {
        let id = format!("id:{person}");
        let all = listed["replies"].as_array().unwrap();
        let reply = all.iter().find(|reply| reply["person"] == id).unwrap();
        assert_eq!(reply["state"], "quiet", "{reply:#}");
        assert_eq!(reply["answers"], 1, "{reply:#}");
    }
    println!("{kills} kills on the way of answers");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_changes_its_salt_and_garbles_answers_duplicates_and_loses_nobody() {
    const PEOPLE: usize = 60;
    let place = Place::new(&common::crowd(PEOPLE), &super::config()).await;
    for (every, effect) in [
        (7, Effect::BadSalt),
        (11, Effect::Garbled),
        (13, Effect::HalfAnswer),
        (17, Effect::DelayAnswer("200ms".parse().unwrap())),
        (19, Effect::DropAfter),
        (23, Effect::DropBefore),
    ] {
        place.sandbox.fault(
            FaultRule::new(effect)
                .method("messages.sendMessage")
                .every(every),
        );
    }
    let text = "templates: [{name: t, text: 'bad: hi'}]\n";
    place.write("campaigns/bad.yaml", mailing("bad", text));
    let life = place.daemon();
    place
        .until(CAMPAIGN, "everybody got it", |place| {
            Tally::of(&place.sandbox).who("bad").len() == PEOPLE
        })
        .await;
    super::the_report_agrees(&place, "bad", PEOPLE).await;
    drop(life);
    Tally::of(&place.sandbox).is_clean(&place.log());
}

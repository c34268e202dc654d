//! When a campaign is done: waits by Telegram and every cap count.

use std::sync::Arc;

use super::*;
use crate::model::reaction::CallClass;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
/// One message in 36 s: a hundred an hour.
const PACE: &str = "delays: {between_messages: 36s, per_account: {per_day: 1000}}";

fn world(accounts: &[&str], people: i64) -> World {
    let spec = spec("a", &accounts.join(", "), PACE);
    let mut world = World::new(SETTINGS, &[("a", spec)], accounts);
    world.found(1..people + 1);
    world
}

fn done_in(world: &World) -> Duration {
    let plan = plan(&Inputs {
        report_only: true,
        ..world.inputs()
    });
    let view = plan.report.campaigns.values().next().unwrap();
    view.finish_estimate.unwrap().since(world.now)
}

fn about(found: Duration, expected: Duration) {
    let ratio = found.as_secs_f64() / expected.as_secs_f64();
    assert!((0.95..1.05).contains(&ratio), "{found:?}, not {expected:?}");
}

impl World {
    fn flooded(&mut self, account: &str, wait: Duration) {
        let until = self.now + wait;
        self.record(Event::FloodWait {
            account: account.into(),
            class: CallClass::Send,
            until,
            seconds: u32::try_from(wait.as_secs()).unwrap(),
        });
    }
}

#[test]
fn a_flood_wait_is_waited_out_first() {
    let mut world = world(&["x"], 100);
    about(done_in(&world), HOUR);
    world.flooded("x", 5 * HOUR);
    about(done_in(&world), 6 * HOUR);
}

#[test]
fn while_one_account_waits_the_others_go_on() {
    let mut world = world(&["x", "y"], 200);
    about(done_in(&world), HOUR);
    // y alone sends 100 in the hour, then both share the other 100.
    world.flooded("x", HOUR);
    about(done_in(&world), HOUR + HOUR / 2);
    // A wait that outlasts the work is of no matter.
    world.flooded("x", 20 * HOUR);
    about(done_in(&world), 2 * HOUR);
}

#[test]
fn a_limited_account_contacts_nobody_until_then() {
    let mut world = world(&["x"], 100);
    let until = world.now + 2 * DAY;
    world.record(Event::Limited {
        account: "x".into(),
        campaign: None,
        until,
    });
    about(done_in(&world), 2 * DAY + HOUR);
}

#[test]
fn first_contacts_under_consent_attested_have_a_cap_of_their_own() {
    let settings = "version: 1\nlimits: {min_delay: 0s, max_per_day: 1000, approve_over: null, attested_per_day: 10}\n\
                    opt_out: {notice: 'Reply stop to hear no more.'}\n";
    let spec = spec("a", "x", PACE).replace("basis: members", "basis: attested");
    let mut world = World::new(settings, &[("a", spec)], &["x"]);
    world.found(1..101);
    // Ten a day: ten now, and the last ten right after the ninth midnight.
    about(done_in(&world), 8 * DAY + 12 * HOUR);
}

/// When each campaign is done by an estimate.
type Ends = BTreeMap<Lineage, Timestamp>;

fn estimates(world: &World) -> Ends {
    let plan = plan(&Inputs {
        report_only: true,
        ..world.inputs()
    });
    let views = plan.report.campaigns.into_iter();
    views
        .filter_map(|(line, view)| Some((line, view.finish_estimate?)))
        .collect()
}

impl World {
    /// So many people whom only their usernames name.
    fn named(&mut self, people: i64) {
        let wanted: Vec<_> = self.desired.campaigns.values().cloned().collect();
        for wanted in wanted {
            let (campaign, spec) = (wanted.lineage.clone(), wanted.spec.clone().unwrap());
            let run = Event::RunOpened {
                campaign: campaign.clone(),
                run: 1,
            };
            self.record(run);
            let mut ids = Vec::new();
            for number in 1..=people {
                let reference = Reference::Username(format!("person{number}"));
                ids.push(reference.person());
                let person = self.people.entry(reference.person()).or_default();
                person.contact.username = Some(format!("person{number}"));
                person.contact.first_name = Some("P".to_owned());
                person.references.push(reference);
            }
            let (source, account) = (spec.sources[0].id, None);
            let end = LookupEnd {
                complete: true,
                ..LookupEnd::default()
            };
            self.record(Event::LookupPage {
                campaign: campaign.clone(),
                source,
                account: account.clone(),
                people: ids,
            });
            self.record(Event::LookupEnded {
                campaign: campaign.clone(),
                source,
                account,
                end,
            });
            for event in audience::judge(&self.inputs(), &campaign) {
                self.record(event);
            }
        }
    }

    /// Lets everything happen, by a clock of its own, with a Telegram that says yes to all and nobody who answers.
    /// What was estimated on the way: at the beginning, and whenever another half of those who wait have their message.
    fn lives(&mut self) -> (Ends, Vec<(Timestamp, Ends)>) {
        let mut ends = Ends::new();
        let mut said = vec![(self.now, estimates(self))];
        let pending = |world: &World| -> u64 {
            let all = world.observed.campaigns.values();
            all.map(|campaign| campaign.pending() + campaign.in_flight)
                .sum()
        };
        let mut half = pending(self) / 2;
        for _ in 0..100_000 {
            let plan = self.plan();
            let mut acted = plan
                .actions
                .iter()
                .any(|action| matches!(action, Action::Record(_)));
            for action in &plan.actions {
                match action {
                    Action::Resolve {
                        account,
                        person,
                        campaign: _,
                        ..
                    } => {
                        acted = true;
                        let id = PersonId(1_000_000 + i64::try_from(self.people.len()).unwrap());
                        let mut known = self.people[person].clone();
                        known.hashes.insert(account.clone(), 1);
                        self.people.insert(id, known);
                        self.record(Event::LookupSpent {
                            account: account.clone(),
                        });
                        self.record(Event::Resolved {
                            reference: *person,
                            person: id,
                            account: account.clone(),
                        });
                    }
                    Action::Send(_) | Action::Record(_) => {}
                    other => panic!("{other:?}"),
                }
            }
            for key in self.intend(&plan) {
                acted = true;
                let next_allowed_at = self.observed.in_flight[&key].intent.next_allowed_at;
                if key.step == 0 {
                    ends.insert(key.lineage.clone(), self.now);
                }
                self.record(Event::Sent {
                    key,
                    message_id: 1,
                    earlier: false,
                    next_allowed_at,
                });
            }
            let left = pending(self);
            if left == 0 {
                return (ends, said);
            }
            if left <= half && left >= 20 {
                half = left / 2;
                said.push((self.now, estimates(self)));
            }
            if !acted {
                self.now = plan.wake_at.expect("somebody waits for something");
            }
        }
        panic!("it never ends");
    }
}

/// That each campaign ends when it was said to, within a tenth, from the beginning on and from later on.
fn confirmed(what: &str, mut world: World) {
    let (ends, said) = world.lives();
    assert!(!ends.is_empty());
    for (line, end) in ends {
        for (at, estimates) in said.iter().filter(|(at, _)| *at < end) {
            let takes = end.since(*at).as_secs_f64();
            let Some(estimate) = estimates.get(&line) else {
                panic!("{what}: {line} has no estimate at {at}");
            };
            let said = estimate.since(*at).as_secs_f64();
            // A last message more or less is no matter of a tenth.
            assert!(
                (said - takes).abs() <= takes / 10.0,
                "{what}, {line} at {at}: {estimate} was said, {end} it was"
            );
        }
    }
}

fn of(settings: &str, specs: &[(&str, &str, &str)], people: i64) -> World {
    let specs: Vec<(&str, String)> = specs
        .iter()
        .map(|(name, accounts, rest)| (*name, spec(name, accounts, rest)))
        .collect();
    let accounts = ["x", "y", "z"];
    let mut world = World::new(settings, &specs, &accounts);
    if people > 0 {
        world.found(1..people + 1);
    }
    world
}

#[test]
fn a_simulated_run_ends_when_it_was_said_to() {
    let slow = "delays: {between_messages: 30s..90s, per_account: {per_day: 40}}";
    for (what, accounts, people, rest) in [
        ("five people and a range of delays", "x", 5, slow),
        ("two accounts under a cap a day", "x, y", 300, slow),
        (
            "a cap an hour that delays do not reach, for two weeks",
            "x",
            200,
            "delays: {between_messages: 20s..40s, per_account: {per_hour: 7, per_day: 25}}",
        ),
        (
            "a cap of the whole campaign for three accounts",
            "x, y, z",
            260,
            "delays: {between_messages: 30s..90s, per_account: {per_day: 40}, per_campaign: {per_day: 50}}",
        ),
        (
            "windows, a lunch and a weekend",
            "x, y",
            400,
            "delays: {between_messages: 30s..90s, per_account: {per_hour: 15, per_day: 40}}\nschedule: {timezone: Europe/Berlin, windows: ['mon-fri 10:00-13:00', 'mon-fri 14:00-19:00']}",
        ),
        (
            "a short window across midnight",
            "x",
            60,
            "delays: {between_messages: 5m..15m, per_account: {per_day: 60}}\nschedule: {timezone: Asia/Kolkata, windows: ['fri 22:00-02:00', 'tue 23:30-00:30']}",
        ),
        (
            "a start that lies ahead",
            "x",
            50,
            "delays: {between_messages: 30s..90s, per_account: {per_day: 40}}\nschedule: {timezone: Europe/Berlin, start: 2026-12-03T09:00}",
        ),
        (
            "follow-ups that go before strangers",
            "x, y",
            240,
            "delays: {between_messages: 30s..90s, per_account: {per_day: 30}}\nfollow_ups: [{after: 1d, templates: [{name: n, text: Well}]}, {after: 12h, templates: [{name: m, text: Bye}]}]",
        ),
        (
            "no pause at all, and a cap an hour",
            "x",
            100,
            "delays: {between_messages: 0s, per_account: {per_hour: 30, per_day: 60}}",
        ),
    ] {
        confirmed(what, of(SETTINGS, &[("a", accounts, rest)], people));
    }
}

#[test]
fn waits_by_telegram_and_other_campaigns_are_a_part_of_what_is_said() {
    let day = "delays: {between_messages: 30s..90s, per_account: {per_day: 40}}";
    let mut flooded = of(SETTINGS, &[("a", "x, y", day)], 300);
    flooded.flooded("x", 60 * HOUR);
    confirmed("a flood wait of one of two", flooded);

    let all = [
        ("a", "x", day),
        ("b", "x, y", day),
        (
            "c",
            "y",
            "delays: {between_messages: 10m, per_account: {per_day: 20}}",
        ),
    ];
    let shared = "version: 1\nlimits: {min_delay: 0s, max_per_day: 1000, approve_over: null}\n                  accounts: {x: {per_day: 50, timezone: America/New_York}, y: {per_day: 45, timezone: Asia/Tokyo}}\n";
    confirmed("campaigns that share accounts", of(shared, &all, 150));

    let gaps = SETTINGS.replace("limits: {", "limits: {per_person: {gap: 3d}, ");
    let both = [("a", "x", day), ("b", "x", day)];
    let mut gapped = of(&gaps, &both, 60);
    for id in 1..61 {
        let key = SendKey {
            lineage: "a".into(),
            person: PersonId(id),
            step: 0,
            run: 0,
        };
        let next_allowed_at = gapped.now;
        gapped.record(Event::Intent(Arc::new(Intent {
            key: key.clone(),
            account: "x".into(),
            random_id: 1,
            run: 1,
            variant: "a".into(),
            digest: "".into(),
            attested: false,
            request: Arc::default(),
            next_allowed_at,
        })));
        gapped.record(Event::Sent {
            key,
            message_id: 1,
            earlier: false,
            next_allowed_at,
        });
        gapped.now = gapped.now + Duration::from_secs(1);
    }
    confirmed("people who may not be written to yet", gapped);

    let begun = "delays: {between_messages: 60s, per_account: {per_day: 40, per_hour: 20}}";
    let mut world = of(SETTINGS, &[("a", "x", begun)], 90);
    // In the middle of a day and of an hour.
    for _ in 0..25 {
        let keys = {
            let plan = world.plan();
            world.intend(&plan)
        };
        for key in keys {
            let next_allowed_at = world.now + Duration::from_secs(60);
            world.record(Event::Sent {
                key,
                message_id: 1,
                earlier: false,
                next_allowed_at,
            });
        }
        world.now = world.now + Duration::from_secs(60);
    }
    confirmed("what today and this hour have seen", world);
}

#[test]
fn look_ups_of_usernames_have_an_allowance_that_is_counted() {
    let rest = "delays: {between_messages: 1s, per_account: {per_day: 100}}\n";
    let text = spec("a", "x", rest)
        .replace("basis: members", "basis: customers")
        .replace(
            "{type: members, peer: '@meetup'}",
            "{type: list, peers: ['@whoever']}",
        );
    let settings = SETTINGS.replace("max_per_day: 1000", "max_per_day: 100");
    let mut world = World::new(&settings, &[("a", text)], &["x"]);
    world.named(450);
    confirmed("usernames", world);
}

#[test]
fn what_takes_years_is_said_in_a_moment() {
    let rest = "delays: {between_messages: 30s..90s, per_account: {per_day: 40}}\nschedule: {timezone: Europe/Berlin, windows: ['mon-fri 10:00-19:00']}";
    let world = of(SETTINGS, &[("a", "x, y", rest)], 40_000);
    // 400 a week.
    about(done_in(&world), 7 * 100 * DAY);
}

#[test]
fn whoever_never_comes_to_an_end_has_none() {
    for rest in [
        // Ten a run, and there is but one.
        "delays: {between_messages: 0s, per_account: {per_run: 10, per_day: 1000}}",
        // 40 a day, and it ends in two.
        "delays: {between_messages: 30s, per_account: {per_day: 40}}\nschedule: {timezone: UTC, end: 2026-12-03T12:00}",
        "paused: true",
    ] {
        let world = of(SETTINGS, &[("a", "x", rest)], 200);
        assert_eq!(estimates(&world), Ends::new(), "{rest}");
    }
}

//! Runs: firings, what is missed, what overlaps, the days on which clocks change, and clocks that are set.

use super::*;
use crate::model::FiringFate;
use crate::time::Zone;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

fn scheduled(schedule: &str) -> String {
    spec("one", "a1", &format!("{FAST}\nschedule: {{{schedule}}}"))
}

/// A moment of a wall clock.
fn at(zone: &str, text: &str) -> Timestamp {
    crate::time::WallClock::parse(text)
        .unwrap()
        .resolve(Zone::parse(zone).unwrap())
}

/// A workspace whose engine has just started at a moment.
fn started(text: &str, now: Timestamp) -> World {
    let mut world = World::new(SETTINGS, &[("one", text.to_owned())], &["a1"]);
    world.observed = Observed::default();
    world.now = now;
    world.begin();
    world
}

impl World {
    /// The engine starts, connects its account, and sees the specs.
    fn begin(&mut self) {
        self.record(Event::Started {
            version: "1".to_owned(),
        });
        self.record(Event::AccountIs {
            account: "a1".into(),
            person: PersonId(9_000),
        });
        self.see();
    }

    fn see(&mut self) {
        let seen: Vec<Event> = self
            .desired
            .campaigns
            .values()
            .map(|wanted| Event::SpecSeen {
                campaign: wanted.lineage.clone(),
                name: wanted.name.clone(),
                file: wanted.file.clone(),
                generation: 1,
                digest: wanted.digest.clone(),
                error: None,
            })
            .collect();
        for event in seen {
            self.record(event);
        }
    }

    /// Performs passes as the engine does, with these people in the group, until nothing is left to do now. Answers
    /// with whom it wrote to.
    pub(super) fn perform(&mut self, people: &[i64]) -> Vec<(i64, u16, u32)> {
        let mut to = Vec::new();
        for _ in 0..200 {
            let plan = self.plan();
            if plan.actions.is_empty() {
                to.sort_unstable();
                return to;
            }
            for action in &plan.actions {
                match action {
                    Action::Record(_) | Action::Send(_) => {}
                    Action::Judge { campaign } => {
                        for event in audience::judge(&self.inputs(), campaign) {
                            self.record(event);
                        }
                    }
                    Action::LookUp {
                        campaign,
                        source,
                        account,
                        ..
                    } => {
                        let (campaign, source, account) =
                            (campaign.clone(), *source, account.clone());
                        let name = account.clone().unwrap();
                        for id in people {
                            let person = self.people.entry(PersonId(*id)).or_default();
                            person.contact.first_name = Some(format!("P{id}"));
                            person.hashes.insert(name.clone(), 1);
                        }
                        self.record(Event::LookupPage {
                            campaign: campaign.clone(),
                            source,
                            account: account.clone(),
                            people: people.iter().copied().map(PersonId).collect(),
                        });
                        let end = LookupEnd {
                            complete: true,
                            admin: true,
                            ..LookupEnd::default()
                        };
                        self.record(Event::LookupEnded {
                            campaign,
                            source,
                            account,
                            end,
                        });
                    }
                    other => panic!("not looked for: {other:?}"),
                }
            }
            for key in self.intend(&plan) {
                to.push((key.person.0, key.step, key.run));
                self.record(Event::Sent {
                    key,
                    message_id: 1,
                    earlier: false,
                    next_allowed_at: self.now,
                });
            }
        }
        panic!("there is no end of it");
    }

    fn run(&self) -> u32 {
        self.observed.campaigns["one"].run
    }

    /// Goes from wake to wake up to a moment, and answers when runs opened.
    fn live(&mut self, until: Timestamp, people: &[i64]) -> Vec<Timestamp> {
        let mut opened = Vec::new();
        loop {
            let before = self.run();
            self.perform(people);
            if self.run() > before {
                let it = &self.observed.campaigns["one"];
                opened.extend(it.runs.firing.or(it.run_opened_at));
            }
            match self.plan().wake_at.filter(|wake| *wake <= until) {
                Some(wake) => self.now = wake,
                None => {
                    self.now = until;
                    return opened;
                }
            }
        }
    }

    fn gate(&self) -> Gate {
        self.plan().report.campaigns["one"].gate.clone()
    }
}

fn people(to: &[(i64, u16, u32)]) -> Vec<i64> {
    to.iter().map(|(person, _, _)| *person).collect()
}

#[test]
fn each_firing_opens_a_run_for_newcomers() {
    let mut world = started(
        &scheduled("timezone: UTC, cron: \"0 10 * * *\""),
        at("UTC", "2026-12-01T09:00"),
    );
    assert!(world.perform(&[1, 2]).is_empty(), "before the first firing");
    assert!(
        matches!(world.gate(), Gate::Waits { reason: Waiting::NotStarted, until: Some(until), .. } if until == at("UTC", "2026-12-01T10:00")),
        "{:?}",
        world.gate()
    );
    assert_eq!(world.plan().wake_at, Some(at("UTC", "2026-12-01T10:00")));
    world.now = at("UTC", "2026-12-01T10:00");
    assert_eq!(people(&world.perform(&[1, 2])), [1, 2]);
    assert_eq!(world.run(), 1);
    // Settled: nobody is looked for until the next one.
    world.now = world.now + 5 * HOUR;
    assert!(world.perform(&[1, 2, 3]).is_empty());
    world.now = at("UTC", "2026-12-02T10:00");
    assert_eq!(world.perform(&[1, 2, 3]), [(3, 0, 0)], "the newcomer alone");
    assert_eq!(world.run(), 2);
}

#[test]
fn for_everyone_each_run_writes_to_all_whom_it_finds() {
    let steps = "follow_ups: [{after: 2d, if: always, templates: [{name: n, text: 'Again {{ campaign.run }}'}]}]";
    let text = format!(
        "{}\n{steps}\n",
        scheduled("timezone: UTC, cron: \"0 10 * * *\", each_run: everyone")
    );
    let mut world = started(&text, at("UTC", "2026-12-01T09:59"));
    world.perform(&[]);
    world.now = at("UTC", "2026-12-01T10:00");
    assert_eq!(world.perform(&[1, 2, 3]), [(1, 0, 1), (2, 0, 1), (3, 0, 1)]);
    world.record(Event::OptedOut {
        person: PersonId(2),
        account: None,
    });
    // The third is found no longer, the second has opted out.
    world.now = at("UTC", "2026-12-02T10:00");
    assert_eq!(world.perform(&[1, 2]), [(1, 0, 2)]);
    let campaign = &world.observed.campaigns["one"];
    assert_eq!(campaign.settled(|o| o == Outcome::Sent), 1);
    assert_eq!(campaign.found(), 2, "{:?}", campaign.excluded);
    // Each run has its own follow-ups, beside the runs that come after it.
    world.now = at("UTC", "2026-12-03T10:00");
    assert_eq!(world.perform(&[1]), [(1, 0, 3), (1, 1, 1), (3, 1, 1)]);
    // Whoever is refused for good is so in every run.
    world.now = at("UTC", "2026-12-04T10:00");
    let mut refused = 0;
    for _ in 0..5 {
        world.perform_until_sends(&[5]);
        let plan = world.plan();
        for key in world.intend(&plan) {
            if key.step > 0 {
                world.record(Event::Sent {
                    key,
                    message_id: 1,
                    earlier: false,
                    next_allowed_at: world.now,
                });
                continue;
            }
            assert_eq!((key.person.0, key.run), (5, 4));
            refused += 1;
            world.record(Event::Refused {
                key,
                outcome: Outcome::PrivacyRestricted,
                detail: String::new(),
            });
        }
    }
    assert_eq!(refused, 1);
    world.perform(&[5]);
    world.now = at("UTC", "2026-12-05T10:00");
    assert!(world.perform(&[5]).iter().all(|(_, step, _)| *step > 0));
}

impl World {
    /// Performs all but sends, until sends are planned.
    fn perform_until_sends(&mut self, found: &[i64]) {
        for _ in 0..50 {
            let plan = self.plan();
            if sends(&plan).next().is_some() {
                return;
            }
            for action in &plan.actions {
                match action {
                    Action::Record(event) => self.record(event.clone()),
                    Action::Judge { campaign } => {
                        for event in audience::judge(&self.inputs(), campaign) {
                            self.record(event);
                        }
                    }
                    Action::LookUp {
                        campaign,
                        source,
                        account,
                        ..
                    } => {
                        let (campaign, source, account) =
                            (campaign.clone(), *source, account.clone());
                        for id in found {
                            let person = self.people.entry(PersonId(*id)).or_default();
                            person.contact.first_name = Some(format!("P{id}"));
                            person.hashes.insert(account.clone().unwrap(), 1);
                        }
                        self.record(Event::LookupPage {
                            campaign: campaign.clone(),
                            source,
                            account: account.clone(),
                            people: found.iter().copied().map(PersonId).collect(),
                        });
                        self.record(Event::LookupEnded {
                            campaign,
                            source,
                            account,
                            end: LookupEnd {
                                complete: true,
                                admin: true,
                                ..LookupEnd::default()
                            },
                        });
                    }
                    _ => {}
                }
            }
        }
    }
}

#[test]
fn what_was_missed_is_left_out_or_made_up_for_once() {
    for (missed, expected) in [("skip", 0), ("latest", 1)] {
        let text = scheduled(&format!(
            "timezone: UTC, cron: \"0 * * * *\", missed: {missed}"
        ));
        let mut world = started(&text, at("UTC", "2026-12-01T09:30"));
        world.perform(&[1]);
        // The daemon is down over five firings.
        world.now = at("UTC", "2026-12-01T14:30");
        world.begin();
        world.perform(&[1]);
        assert_eq!(world.run(), expected, "{missed}");
        if expected == 1 {
            let firing = world.observed.campaigns["one"].runs.firing;
            assert_eq!(firing, Some(at("UTC", "2026-12-01T14:00")));
        }
        // Nothing is made up for twice, and the next one comes on time.
        world.begin();
        world.perform(&[1]);
        assert_eq!(world.run(), expected, "{missed}");
        world.now = at("UTC", "2026-12-01T15:00");
        world.perform(&[1]);
        assert_eq!(world.run(), expected + 1, "{missed}");
    }
}

#[test]
fn a_firing_while_a_run_is_open_is_left_out_or_waits_for_its_end() {
    for (overlap, runs) in [("skip", 1), ("queue", 2)] {
        let text = spec(
            "one",
            "a1",
            &format!(
                "delays: {{between_messages: 0s, per_account: {{per_day: 2}}}}\nschedule: {{timezone: UTC, cron: \"0 * * * *\", each_run: everyone, overlap: {overlap}}}"
            ),
        );
        let mut world = started(&text, at("UTC", "2026-12-01T09:30"));
        // Three people, two messages a day: the run takes until tomorrow.
        let opened = world.live(at("UTC", "2026-12-01T23:59"), &[1, 2, 3]);
        assert_eq!(opened, [at("UTC", "2026-12-01T10:00")], "{overlap}");
        world.now = at("UTC", "2026-12-02T00:00");
        let sent = world.perform(&[1, 2, 3]);
        assert_eq!(world.run(), runs, "{overlap}: {sent:?}");
        if runs == 2 {
            assert_eq!(
                world.observed.campaigns["one"].runs.firing,
                Some(at("UTC", "2026-12-02T00:00")),
                "one run makes up for all that waited"
            );
        }
    }
}

#[test]
fn on_both_days_on_which_clocks_change_each_firing_opens_one_run() {
    for (zone, cron, from, until, expected) in [
        // 02:30 does not exist on that day: at the end of the gap.
        (
            "Europe/Berlin",
            "30 2 * * *",
            "2027-03-27T12:00",
            "2027-03-29T12:00",
            &["2027-03-28T03:00", "2027-03-29T02:30"][..],
        ),
        // 02:30 comes twice: once.
        (
            "Europe/Berlin",
            "30 2 * * *",
            "2027-10-30T12:00",
            "2027-11-01T12:00",
            &["2027-10-31T02:30", "2027-11-01T02:30"],
        ),
        (
            "America/New_York",
            "15 1,2 * * *",
            "2027-03-13T12:00",
            "2027-03-14T12:00",
            &["2027-03-14T01:15", "2027-03-14T03:00"],
        ),
        (
            "America/New_York",
            "15 1,2 * * *",
            "2027-11-06T12:00",
            "2027-11-07T12:00",
            &["2027-11-07T01:15", "2027-11-07T02:15"],
        ),
        // Half an hour's shift.
        (
            "Australia/Lord_Howe",
            "15 2 * * *",
            "2027-10-02T12:00",
            "2027-10-04T12:00",
            &["2027-10-03T02:30", "2027-10-04T02:15"],
        ),
        // Midnight itself is skipped.
        (
            "America/Havana",
            "0 0 * * *",
            "2027-03-13T12:00",
            "2027-03-15T12:00",
            &["2027-03-14T01:00", "2027-03-15T00:00"],
        ),
        (
            "Asia/Kolkata",
            "0 0 * * *",
            "2027-03-27T12:00",
            "2027-03-29T12:00",
            &["2027-03-28T00:00", "2027-03-29T00:00"],
        ),
    ] {
        let text = scheduled(&format!("timezone: {zone}, cron: \"{cron}\""));
        let mut world = started(&text, at(zone, from));
        let opened = world.live(at(zone, until), &[1]);
        let expected: Vec<Timestamp> = expected.iter().map(|text| at(zone, text)).collect();
        assert_eq!(opened, expected, "{zone} {cron} from {from}");
    }
}

#[test]
fn a_clock_that_is_set_fires_nothing_twice_and_loses_nothing() {
    let text = scheduled("timezone: UTC, cron: \"0 * * * *\"");
    let mut world = started(&text, at("UTC", "2026-12-01T09:30"));
    world.perform(&[1]);
    world.now = at("UTC", "2026-12-01T10:00");
    world.perform(&[1]);
    assert_eq!(world.run(), 1);
    // Back over the firing: it does not come again.
    world.now = at("UTC", "2026-12-01T09:40");
    world.perform(&[1]);
    assert_eq!(world.plan().wake_at, Some(at("UTC", "2026-12-01T11:00")));
    world.now = at("UTC", "2026-12-01T10:00");
    world.perform(&[1]);
    assert_eq!(world.run(), 1);
    // Forward over three of them: the last one is not lost.
    world.now = at("UTC", "2026-12-01T13:20");
    world.perform(&[1]);
    assert_eq!(world.run(), 2);
    assert_eq!(
        world.observed.campaigns["one"].runs.firing,
        Some(at("UTC", "2026-12-01T13:00"))
    );
}

#[test]
fn nothing_fires_before_the_start_or_from_the_end_on() {
    let text = scheduled(
        "timezone: UTC, cron: \"0 * * * *\", start: 2026-12-01T11:00, end: 2026-12-01T13:00",
    );
    let mut world = started(&text, at("UTC", "2026-12-01T09:30"));
    let opened = world.live(at("UTC", "2026-12-01T18:00"), &[1]);
    assert_eq!(
        opened,
        [at("UTC", "2026-12-01T11:00"), at("UTC", "2026-12-01T12:00")]
    );
    assert!(matches!(
        world.gate(),
        Gate::Blocked {
            condition: "Ended",
            ..
        }
    ));
}

#[test]
fn the_end_leaves_people_pending_and_nothing_leaves_after_it() {
    let text = spec(
        "one",
        "a1",
        "delays: {between_messages: 10m, per_account: {per_day: 900}}\nschedule: {timezone: UTC, end: 2026-12-01T12:25}\nfollow_ups: [{after: 5m, templates: [{name: n, text: x}]}]",
    );
    let mut world = started(&text, at("UTC", "2026-12-01T12:00"));
    world.live(at("UTC", "2026-12-02T12:00"), &[1, 2, 3, 4, 5, 6, 7, 8]);
    let campaign = &world.observed.campaigns["one"];
    let sent = campaign.settled(|o| o == Outcome::Sent) + campaign.steps.totals().sent;
    assert_eq!(sent, 3, "at 12:00, 12:10 and 12:20");
    assert_eq!(
        waits(&world.plan(), "one"),
        [(Waiting::Held, campaign.pending())]
    );
    assert!(campaign.pending() > 0);
    assert!(world.plan().actions.is_empty());
}

#[test]
fn a_window_across_midnight_is_open_on_both_sides_of_it() {
    let text = spec(
        "one",
        "a1",
        "delays: {between_messages: 30m, per_account: {per_day: 900}}\nschedule: {timezone: Europe/Berlin, windows: ['sat 22:30-01:00']}",
    );
    // The Saturday before clocks go forward, at 02:00: the window is none of that hour's.
    let mut world = started(&text, at("Europe/Berlin", "2027-03-27T20:00"));
    world.live(
        at("Europe/Berlin", "2027-03-28T12:00"),
        &[1, 2, 3, 4, 5, 6, 7, 8, 9],
    );
    let campaign = &world.observed.campaigns["one"];
    let mut times: Vec<i64> = campaign
        .recipients
        .values()
        .filter(|r| r.status == crate::observed::Status::Settled(Outcome::Sent))
        .map(|r| i64::from(r.sent_at))
        .collect();
    times.sort_unstable();
    let (open, close) = (
        at("Europe/Berlin", "2027-03-27T22:30").seconds(),
        at("Europe/Berlin", "2027-03-28T01:00").seconds(),
    );
    assert_eq!(times.len(), 5, "{times:?}");
    assert!(times.iter().all(|t| (open..close).contains(t)), "{times:?}");
}

#[test]
fn a_firing_while_the_campaign_is_paused_opens_no_run_later() {
    let text = scheduled("timezone: UTC, cron: \"0 10 * * *\", missed: latest");
    let mut world = started(&text, at("UTC", "2026-12-01T09:00"));
    world.perform(&[1]);
    world.record(Event::Suspended {
        campaign: Some("one".into()),
        reason: "wait".to_owned(),
        by: "me".to_owned(),
    });
    world.live(at("UTC", "2026-12-01T11:00"), &[1]);
    world.record(Event::Resumed {
        campaign: Some("one".into()),
        reason: "go".to_owned(),
        by: "me".to_owned(),
    });
    world.perform(&[1]);
    assert_eq!(world.run(), 0);
    world.live(at("UTC", "2026-12-02T10:00"), &[1]);
    assert_eq!(world.run(), 1);
}

#[test]
fn an_edited_schedule_counts_from_the_edit_on() {
    let mut world = started(
        &scheduled("timezone: UTC, cron: \"0 10 * * *\""),
        at("UTC", "2026-12-01T11:00"),
    );
    world.perform(&[1]);
    world.now = at("UTC", "2026-12-02T09:30");
    let edited = World::new(
        SETTINGS,
        &[("one", scheduled("timezone: UTC, cron: \"0 9 * * *\""))],
        &[],
    );
    world.desired = edited.desired;
    world.see();
    world.perform(&[1]);
    assert_eq!(world.run(), 0, "09:00 of today is none of its firings");
    assert_eq!(world.plan().wake_at, Some(at("UTC", "2026-12-03T09:00")));
}

#[test]
fn an_evergreen_campaign_without_cron_looks_for_newcomers_until_its_end() {
    let text = scheduled("timezone: UTC, refresh: 6h, end: 2026-12-02T09:00");
    let mut world = started(&text, at("UTC", "2026-12-01T09:00"));
    assert_eq!(people(&world.perform(&[1])), [1]);
    world.now = world.now + 5 * HOUR;
    assert!(world.perform(&[1, 2]).is_empty());
    world.now = world.now + HOUR;
    assert_eq!(people(&world.perform(&[1, 2])), [2]);
    assert!(!matches!(world.gate(), Gate::Done { .. }));
    world.now = world.now + DAY;
    assert!(world.perform(&[1, 2, 3]).is_empty(), "it is over");
}

#[test]
fn the_cap_of_a_run_begins_anew_with_each_run() {
    let text = spec(
        "one",
        "a1",
        "delays: {between_messages: 0s, per_account: {per_run: 2, per_day: 900}}\nschedule: {timezone: UTC, cron: \"0 10 * * *\", overlap: queue}",
    );
    let mut world = started(&text, at("UTC", "2026-12-01T09:59"));
    world.perform(&[]);
    world.now = at("UTC", "2026-12-01T10:00");
    assert_eq!(people(&world.perform(&[1, 2])), [1, 2]);
    world.now = at("UTC", "2026-12-02T10:00");
    assert_eq!(people(&world.perform(&[1, 2, 3, 4])), [3, 4]);
}

#[test]
fn an_owners_plan_lets_so_many_run_and_rests_between_them() {
    let settings = "version: 1\nlimits: {min_delay: 0s, max_per_day: 1000, approve_over: null}\nplans: {trial: {max_running: 1, cooldown: 1h}}\nowners: {growth: {plan: trial, accounts: [a1]}}\n";
    let rest = "delays: {between_messages: 10m, per_account: {per_day: 900}}\nowner: growth";
    let mut world = World::new(
        settings,
        &[
            ("one", spec("one", "a1", rest)),
            ("two", spec("two", "a1", rest)),
        ],
        &["a1"],
    );
    world.found(1..3);
    let send_one = |world: &mut World| -> Vec<String> {
        let mut lines = Vec::new();
        for _ in 0..20 {
            let plan = world.plan();
            if plan.actions.is_empty() {
                break;
            }
            let next = world.now + Duration::from_secs(600);
            for key in world.intend(&plan) {
                lines.push(key.lineage.to_string());
                world.record(Event::Sent {
                    key,
                    message_id: 1,
                    earlier: false,
                    next_allowed_at: next,
                });
            }
        }
        lines
    };
    assert_eq!(send_one(&mut world), ["one"]);
    assert_eq!(waits(&world.plan(), "two"), [(Waiting::OwnerPlan, 2)]);
    world.now = world.now + Duration::from_secs(600);
    assert_eq!(send_one(&mut world), ["one"]);
    let settled = world.now;
    assert_eq!(waits(&world.plan(), "two"), [(Waiting::Cooldown, 2)]);
    assert_eq!(world.plan().wake_at, Some(settled + HOUR));
    world.now = world.now + HOUR;
    assert_eq!(send_one(&mut world), ["two"]);
    // What a person holds takes nobody's place.
    assert!(world.observed.campaigns["two"].runs.started_at.is_some());
}

#[test]
fn what_is_said_of_a_firing_is_written_down_once() {
    let text = scheduled("timezone: UTC, cron: \"0 10 * * *\", missed: skip");
    let mut world = started(&text, at("UTC", "2026-12-01T09:00"));
    world.perform(&[1]);
    world.now = at("UTC", "2026-12-01T10:30");
    world.begin();
    let first = world.plan();
    assert!(
        first.actions.iter().any(|action| matches!(
            action,
            Action::Record(Event::Fired {
                fate: FiringFate::Missed,
                ..
            })
        )),
        "{:?}",
        first.actions
    );
    world.perform(&[1]);
    assert!(world.plan().actions.is_empty());
}

#[test]
fn a_clock_that_is_set_back_has_no_source_looked_up_again_and_again() {
    let mut world = World::new(SETTINGS, &[("one", spec("one", "a1", FAST))], &["a1"]);
    let line = world.desired.campaigns["one"].lineage.clone();
    let source = world.desired.campaigns["one"]
        .spec
        .as_ref()
        .unwrap()
        .sources[0]
        .id;
    let looks = |world: &World| {
        let looks = |action: &&Action| matches!(action, Action::LookUp { .. });
        world.plan().actions.iter().filter(looks).count()
    };
    world.now = NOON + Duration::from_secs(24 * 3600);
    world.found(1..4);
    world.record(Event::RunOpened {
        campaign: line.clone(),
        run: 2,
    });
    world.record(Event::ReconcileRequested {
        campaign: line.clone(),
    });
    assert_eq!(looks(&world), 1);
    world.now = NOON;
    let account: Option<AccountName> = Some("a1".into());
    world.record(Event::LookupStarted {
        campaign: line.clone(),
        source,
        account: account.clone(),
    });
    world.record(Event::LookupEnded {
        campaign: line,
        source,
        account,
        end: LookupEnd {
            complete: true,
            admin: true,
            ..LookupEnd::default()
        },
    });
    assert_eq!(looks(&world), 0);
}

//! When a campaign is done: waits by Telegram and every cap count.

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
    // Ten a day: nine whole days and the last ten.
    about(done_in(&world), 9 * DAY);
}

//! Makes a failing scenario smaller, as long as it still fails in the same way.

use super::driver::live;
use super::invariants::Failure;
use super::scenario::{Campaign, Chances, Scenario};

/// Attempts at most: a small scenario lives for milliseconds.
const ATTEMPTS: usize = 600;

/// The smallest scenario that was found, and how it fails.
pub fn shrink(scenario: &Scenario, failure: Failure) -> (Scenario, Failure) {
    let (mut best, mut why) = (scenario.clone(), failure);
    let mut left = ATTEMPTS;
    loop {
        let mut smaller = false;
        for candidate in candidates(&best) {
            if left == 0 {
                return (best, why);
            }
            left -= 1;
            let same = std::panic::catch_unwind(|| live(&candidate));
            if let Ok(Err(failure)) = same
                && failure.kind == why.kind
            {
                (best, why) = (candidate, failure);
                smaller = true;
                break;
            }
        }
        if !smaller {
            return (best, why);
        }
    }
}

/// One thing less, in many ways; the largest first.
fn candidates(of: &Scenario) -> Vec<Scenario> {
    let mut found: Vec<Scenario> = Vec::new();
    let mut add = |how: &dyn Fn(&mut Scenario)| {
        let mut one = of.clone();
        how(&mut one);
        if one.differs(of) {
            found.push(one);
        }
    };
    add(&|it| it.script.clear());
    let half = of.script.len() / 2;
    add(&|it| it.script.truncate(half));
    add(&|it| {
        it.script.drain(..half);
    });
    add(&|it| it.days = (it.days / 2).max(1));
    add(&|it| it.days = (it.days - 1).max(1));
    for (number, campaign) in of.campaigns.iter().enumerate() {
        // Indices stay: a campaign that is gone for good is none.
        if !campaign.gone {
            add(&move |it| it.campaigns[number].gone = true);
        }
    }
    for quiet in [
        |chances: &mut Chances| chances.refused = 0,
        |chances: &mut Chances| chances.lost = 0,
        |chances: &mut Chances| chances.replies = 0,
        |chances: &mut Chances| chances.opt_outs = 0,
        |chances: &mut Chances| chances.blocks = 0,
    ] {
        add(&move |it| quiet(&mut it.chances));
    }
    add(&|it| it.people = (it.people / 2).max(1));
    add(&|it| it.people = (it.people - 1).max(1));
    for at in 0..of.script.len() {
        add(&move |it| {
            it.script.remove(at);
        });
    }
    for (number, campaign) in of.campaigns.iter().enumerate() {
        if campaign.gone {
            continue;
        }
        for plainer in PLAINER {
            add(&move |it| plainer(&mut it.campaigns[number]));
        }
        if campaign.accounts.len() > 1 {
            add(&move |it| it.campaigns[number].accounts.truncate(1));
        }
    }
    add(&|it| it.limits.approve_over = None);
    add(&|it| {
        it.limits.gap_hours = None;
        it.limits.per_month = None;
    });
    add(&|it| {
        it.limits.max_running = None;
        it.limits.cooldown_hours = None;
    });
    for number in 0..of.accounts.len() {
        add(&move |it| it.accounts[number].zone = "UTC");
    }
    found
}

/// A campaign without one of the things that specs can say.
const PLAINER: &[fn(&mut Campaign)] = &[
    |it| it.windows.clear(),
    |it| it.cron = None,
    |it| it.everyone = false,
    |it| it.refresh_hours = None,
    |it| it.follow_ups.clear(),
    |it| it.typing = false,
    |it| it.media = false,
    |it| it.per_hour = None,
    |it| it.per_run = None,
    |it| it.campaign_day = None,
    |it| it.canary = None,
    |it| it.guarded = false,
    |it| it.attested = false,
    |it| it.start = None,
    |it| it.end = None,
    |it| it.zone = "UTC",
];

impl Scenario {
    fn differs(&self, other: &Scenario) -> bool {
        format!("{self:?}") != format!("{other:?}")
    }

    /// As a person reads it.
    pub fn shown(&self) -> String {
        use std::fmt::Write as _;
        let mut out = String::new();
        let _ = writeln!(
            out,
            "seed {}, from {}, {} days, {} people, {:?}",
            self.seed,
            super::driver::iso(self.start),
            self.days,
            self.people,
            self.chances
        );
        let _ = writeln!(
            out,
            "--- tidings.yaml\n{}",
            super::specs::settings(self, &self.limits)
        );
        for campaign in self.campaigns.iter().filter(|it| !it.gone) {
            let _ = writeln!(
                out,
                "--- {}.yaml\n{}",
                campaign.file_name(),
                super::specs::campaign(campaign, self)
            );
        }
        for step in &self.script {
            let _ = writeln!(
                out,
                "{} {:?}",
                super::driver::iso(self.start + step.at),
                step.what
            );
        }
        out
    }
}

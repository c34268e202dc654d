//! What happens in a fortnight: people, accounts, campaigns, what the operator does, what goes wrong. Plain data, made
//! from a seed, so that a failing one can be made smaller piece by piece.

use super::dice::Dice;

pub const MINUTE: i64 = 60_000;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;

/// A fortnight, as the issue of the simulation asks.
const DAYS: i64 = 14;

/// Beginnings of fortnights, as days since 1970: most of them hold a day on which clocks change.
const STARTS: &[i64] = &[
    20_532, // 2026-03-20: Europe goes forward on the 29th
    20_517, // 2026-03-05: America goes forward on the 8th
    20_744, // 2026-10-18: Europe goes back on the 25th, America on November 1st
    20_720, // 2026-09-24: Lord Howe goes forward by half an hour on October 4th
    20_545, // 2026-04-02: Lord Howe goes back on the 5th
    20_787, // 2026-11-30: nothing changes
];

const ZONES: &[&str] = &[
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Kiritimati",
];

#[derive(Debug, Clone)]
pub struct Scenario {
    pub seed: u64,
    /// The true time at which it begins, in milliseconds since 1970.
    pub start: i64,
    pub days: i64,
    pub people: u64,
    pub accounts: Vec<Account>,
    pub limits: Limits,
    pub campaigns: Vec<Campaign>,
    pub script: Vec<Scripted>,
    pub chances: Chances,
    /// A Telegram that does not deduplicate: the simulation must notice what comes of it.
    pub forgets: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    pub zone: &'static str,
    pub per_day: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    pub min_delay: u64,
    pub approve_over: Option<u32>,
    pub gap_hours: Option<u64>,
    pub per_month: Option<u32>,
    pub max_running: Option<u32>,
    pub cooldown_hours: Option<u64>,
    pub attested_per_day: u32,
}

/// How often things go wrong and people answer; in a thousand.
#[derive(Debug, Clone, PartialEq)]
pub struct Chances {
    /// A call is refused by a row of the table.
    pub refused: u64,
    /// A request or its answer is lost.
    pub lost: u64,
    /// A person writes back.
    pub replies: u64,
    /// What he writes is an opt-out.
    pub opt_outs: u64,
    /// A person blocks the account that wrote to him.
    pub blocks: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Mailing,
    InviteLink,
    InviteAdd,
    Warmup,
    Collect,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// The members of a place, of which some accounts know some.
    Members(u64),
    /// Named by username, from one person to another.
    List(u64, u64),
    /// The accounts' address books.
    Contacts,
    /// What another campaign collected.
    Audience(usize),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// 0 is Monday; both included.
    pub days: (u32, u32),
    /// Minutes of the day; to the next day where the second is not later.
    pub time: (u32, u32),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Cron {
    pub minute: u32,
    pub hour: u32,
    /// 0 is Monday; every day where absent.
    pub day: Option<u32>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct FollowUp {
    pub after_hours: u64,
    pub always: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Campaign {
    /// The name that it had at first.
    pub name: String,
    /// How often it was renamed, reverted renames taken back: `c0`, `c0-r1`, `c0-r2`, …
    pub renamed: u32,
    pub kind: Kind,
    pub accounts: Vec<usize>,
    pub source: Source,
    pub attested: bool,
    pub zone: &'static str,
    pub windows: Vec<Window>,
    /// Hours after the beginning.
    pub start: Option<u64>,
    pub end: Option<u64>,
    pub cron: Option<Cron>,
    pub everyone: bool,
    pub refresh_hours: Option<u64>,
    pub latest: bool,
    pub queue: bool,
    pub follow_ups: Vec<FollowUp>,
    /// Seconds.
    pub between: (u64, u64),
    pub typing: bool,
    /// One of its variants goes with a picture.
    pub media: bool,
    pub per_hour: Option<u32>,
    pub per_day: u32,
    pub per_run: Option<u32>,
    pub campaign_day: Option<u32>,
    pub canary: Option<u32>,
    pub guarded: bool,
    pub paused: bool,
    /// Start, step, hours, most.
    pub ramp: (u32, u32, u64, u32),
    pub joins: u32,
    /// Counts edits of the text.
    pub text: u32,
    /// The file cannot be read as a spec.
    pub broken: bool,
    /// The file is not there.
    pub gone: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Scripted {
    /// True milliseconds after the beginning.
    pub at: i64,
    pub what: Step,
}

/// Where in the life of a send the process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Idle,
    BeforeIntent,
    AfterIntent,
    AfterEffect,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    Edit(usize, Edit),
    Limits(Limits),
    AccountLimit(usize, u32, &'static str),
    Suspend(Option<usize>),
    Resume(Option<usize>),
    Approve(usize),
    Reconcile(usize),
    Retry(usize),
    Resolve(usize, bool),
    OptOut(u64),
    Crash {
        stage: Stage,
        down: i64,
        power_cut: bool,
    },
    /// The wall clock is set by so much.
    Clock(i64),
    /// An account cannot be reached for so long.
    LinkDown(usize, i64),
    /// The session of an account is ended; a person logs it in again after so long.
    LoggedOut(usize, i64),
    /// A person joins a place that is a source.
    Joins(u64, u64),
    /// The whole state is written into a file.
    Backup,
    /// The last backup takes the state's place; where the state is lost nothing of it is united with the backup.
    RestoreBackup {
        lost: bool,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub enum Edit {
    PerDay(u32),
    PerHour(Option<u32>),
    CampaignDay(Option<u32>),
    Between(u64, u64),
    Windows(Vec<Window>),
    Zone(&'static str),
    Cron(Option<Cron>),
    Text,
    Canary(Option<u32>),
    Paused(bool),
    Accounts(Vec<usize>),
    FollowUps(Vec<FollowUp>),
    Ramp((u32, u32, u64, u32)),
    Break,
    Mend,
    Remove,
    Restore,
    /// Another file's name, with `renamed_from`.
    Rename,
    /// The last rename is reverted, as git does it: the file is what it was.
    Unrename,
}

impl Campaign {
    pub fn edit(&mut self, edit: &Edit) {
        match edit.clone() {
            Edit::PerDay(n) => self.per_day = n,
            Edit::PerHour(n) => self.per_hour = n,
            Edit::CampaignDay(n) => self.campaign_day = n,
            Edit::Between(least, most) => self.between = (least, most),
            Edit::Windows(windows) => self.windows = windows,
            Edit::Zone(zone) => self.zone = zone,
            Edit::Cron(cron) => self.cron = cron,
            Edit::Text => self.text += 1,
            Edit::Canary(canary) => self.canary = canary,
            Edit::Paused(paused) => self.paused = paused,
            Edit::Accounts(accounts) => self.accounts = accounts,
            Edit::FollowUps(steps) => self.follow_ups = steps,
            Edit::Ramp(ramp) => self.ramp = ramp,
            Edit::Break => self.broken = true,
            Edit::Mend => self.broken = false,
            Edit::Remove => self.gone = true,
            Edit::Restore => self.gone = false,
            Edit::Rename => self.renamed += 1,
            Edit::Unrename => self.renamed = self.renamed.saturating_sub(1),
        }
    }

    /// The name that its file says now.
    pub fn file_name(&self) -> String {
        name_of(&self.name, self.renamed)
    }

    /// What its file says that it was called before.
    pub fn renamed_from(&self) -> Option<String> {
        let before = self.renamed.checked_sub(1)?;
        Some(name_of(&self.name, before))
    }
}

fn name_of(name: &str, renamed: u32) -> String {
    match renamed {
        0 => name.to_owned(),
        times => format!("{name}-r{times}"),
    }
}

fn windows(dice: &mut Dice) -> Vec<Window> {
    let mut found = Vec::new();
    for _ in 0..dice.between(1, 2) {
        let days = dice.pick(&[(0, 6), (0, 4), (2, 5), (6, 6), (5, 6)]);
        let from = dice.below(24 * 4) as u32 * 15;
        let long = dice.pick(&[30, 90, 240, 600]);
        // Across midnight as often as it falls so; 01:30 to 03:30 is where clocks change.
        let time = dice.pick(&[(from, (from + long) % 1440), (90, 210), (1380, 60)]);
        found.push(Window { days, time });
    }
    found
}

fn cron(dice: &mut Dice) -> Cron {
    Cron {
        minute: dice.pick(&[0, 15, 30]),
        hour: dice.pick(&[0, 1, 2, 2, 9, 12, 18, 23]),
        day: dice.maybe(40, &[0, 3, 6, 6]),
    }
}

fn follow_ups(dice: &mut Dice) -> Vec<FollowUp> {
    (0..dice.pick(&[0, 0, 1, 2]))
        .map(|_| FollowUp {
            after_hours: dice.pick(&[1, 20, 48, 72]),
            always: dice.percent(30),
        })
        .collect()
}

fn some(dice: &mut Dice, accounts: usize) -> Vec<usize> {
    let mut found: Vec<usize> = (0..accounts).filter(|_| dice.percent(70)).collect();
    if found.is_empty() {
        found.push(dice.below(accounts as u64) as usize);
    }
    found
}

fn ramp(dice: &mut Dice) -> (u32, u32, u64, u32) {
    let start = dice.between(1, 4) as u32;
    (
        start,
        dice.between(1, 3) as u32,
        dice.pick(&[24, 24, 48, 12]),
        start + dice.between(1, 12) as u32,
    )
}

fn delays(dice: &mut Dice, min_delay: u64) -> (u64, u64) {
    let (least, most) = dice.pick(&[(0, 0), (10, 40), (30, 90), (300, 900), (1800, 3600)]);
    (least.max(min_delay), most.max(min_delay))
}

fn limits(dice: &mut Dice) -> Limits {
    Limits {
        min_delay: dice.pick(&[0, 10, 10, 60]),
        approve_over: dice.maybe(20, &[3, 8, 15]),
        gap_hours: dice.maybe(25, &[2, 24, 72]),
        per_month: dice.maybe(15, &[1, 2, 4]),
        max_running: dice.maybe(15, &[1, 2]),
        cooldown_hours: dice.maybe(10, &[1, 12]),
        attested_per_day: dice.between(1, 6) as u32,
    }
}

fn campaign(seed: u64, number: usize, accounts: usize, limits: &Limits, people: u64) -> Campaign {
    let mut dice = Dice::of(seed, "campaign", &[number as u64]);
    let kind = match (number, dice.below(10)) {
        (0, _) | (_, 0..=5) => Kind::Mailing,
        (_, 6) => Kind::InviteLink,
        (_, 7) => Kind::InviteAdd,
        (_, 8) => Kind::Warmup,
        _ => Kind::Collect,
    };
    let first = dice.below(people);
    let source = match dice.below(10) {
        0..=5 => Source::Members(dice.below(2)),
        6..=7 => Source::List(first, dice.between(first, people - 1)),
        8 => Source::Contacts,
        _ if number > 0 => Source::Audience(dice.below(number as u64) as usize),
        _ => Source::Members(0),
    };
    let with_cron = dice.percent(35);
    Campaign {
        name: format!("c{number}"),
        renamed: 0,
        kind,
        accounts: some(&mut dice, accounts),
        source,
        attested: dice.percent(15),
        zone: dice.pick(ZONES),
        windows: if dice.percent(50) {
            windows(&mut dice)
        } else {
            Vec::new()
        },
        start: dice.maybe(25, &[3, 30, 60]),
        end: dice.maybe(15, &[200, 300]),
        cron: with_cron.then(|| cron(&mut dice)),
        everyone: dice.percent(50),
        refresh_hours: dice.maybe(30, &[1, 6, 24]),
        latest: dice.percent(50),
        queue: dice.percent(50),
        follow_ups: follow_ups(&mut dice),
        between: delays(&mut dice, limits.min_delay),
        typing: dice.percent(25),
        media: Dice::of(seed, "media", &[number as u64]).percent(30),
        per_hour: dice.maybe(30, &[1, 2, 5]),
        per_day: dice.between(1, 9) as u32,
        per_run: dice.maybe(15, &[2, 6]),
        campaign_day: dice.maybe(30, &[1, 3, 8]),
        canary: dice.maybe(20, &[1, 4]),
        guarded: dice.percent(20),
        paused: dice.percent(4),
        ramp: ramp(&mut dice),
        joins: dice.below(3) as u32,
        text: 0,
        broken: dice.percent(3),
        gone: dice.percent(3),
    }
}

fn edit(dice: &mut Dice, accounts: usize, limits: &Limits) -> Edit {
    match dice.below(24) {
        0 => Edit::PerDay(dice.between(1, 9) as u32),
        1 => Edit::PerHour(dice.maybe(70, &[1, 2, 5])),
        2 => Edit::CampaignDay(dice.maybe(70, &[1, 3, 8])),
        3 => {
            let (least, most) = delays(dice, limits.min_delay);
            Edit::Between(least, most)
        }
        4..=5 => Edit::Windows(if dice.percent(80) {
            windows(dice)
        } else {
            Vec::new()
        }),
        6..=7 => Edit::Zone(dice.pick(ZONES)),
        8 => Edit::Cron(dice.percent(70).then(|| cron(dice))),
        9 => Edit::Text,
        10 => Edit::Canary(dice.maybe(60, &[1, 4])),
        11 => Edit::Paused(dice.percent(50)),
        12 => Edit::Accounts(some(dice, accounts)),
        13 => Edit::FollowUps(follow_ups(dice)),
        14 => Edit::Ramp(ramp(dice)),
        15 => Edit::Break,
        16 => Edit::Mend,
        17 => Edit::Remove,
        18..=20 => Edit::Rename,
        21 => Edit::Unrename,
        _ => Edit::Restore,
    }
}

impl Scenario {
    /// The scenario of a seed.
    pub fn of(seed: u64) -> Scenario {
        let mut dice = Dice::of(seed, "scenario", &[]);
        let people = dice.between(3, 16);
        let accounts: Vec<Account> = (0..dice.between(1, 3))
            .map(|_| Account {
                zone: dice.pick(ZONES),
                per_day: dice.between(2, 12) as u32,
            })
            .collect();
        let limits = limits(&mut dice);
        let campaigns: Vec<Campaign> = (0..dice.between(1, 4) as usize)
            .map(|number| campaign(seed, number, accounts.len(), &limits, people))
            .collect();
        let chances = Chances {
            refused: dice.pick(&[0, 30, 100, 300]),
            lost: dice.pick(&[0, 30, 150, 400]),
            replies: dice.pick(&[0, 100, 400]),
            opt_outs: dice.pick(&[0, 200, 500]),
            blocks: dice.pick(&[0, 50, 200]),
        };
        let mut script: Vec<Scripted> = (0..dice.between(2, 22))
            .map(|number| {
                let mut dice = Dice::of(seed, "script", &[number]);
                let at = dice.below((DAYS * DAY) as u64) as i64;
                let what = step(&mut dice, &campaigns, &accounts, &limits, people);
                Scripted { at, what }
            })
            .collect();
        script.sort_by_key(|scripted| scripted.at);
        let start = dice.pick(STARTS) * DAY + dice.below(24) as i64 * HOUR;
        Scenario {
            seed,
            start,
            days: DAYS,
            people,
            accounts,
            limits,
            campaigns,
            script,
            chances,
            forgets: false,
        }
    }
}

fn step(
    dice: &mut Dice,
    campaigns: &[Campaign],
    accounts: &[Account],
    limits_now: &Limits,
    people: u64,
) -> Step {
    let campaign = dice.below(campaigns.len() as u64) as usize;
    let account = dice.below(accounts.len() as u64) as usize;
    let all = dice.percent(20);
    match dice.below(44) {
        40..=41 => Step::Backup,
        42..=43 => Step::RestoreBackup {
            lost: dice.percent(40),
        },
        0..=11 => Step::Edit(campaign, edit(dice, accounts.len(), limits_now)),
        12 => Step::Limits(Limits {
            // A spec that is faster than the limit would be invalid.
            min_delay: limits_now.min_delay,
            ..limits(dice)
        }),
        13 => Step::AccountLimit(account, dice.between(1, 12) as u32, dice.pick(ZONES)),
        14 => Step::Suspend((!all).then_some(campaign)),
        15..=17 => Step::Resume((!all).then_some(campaign)),
        18..=20 => Step::Approve(campaign),
        21 => Step::Reconcile(campaign),
        22 => Step::Retry(campaign),
        23 => Step::Resolve(campaign, dice.percent(50)),
        24 => Step::OptOut(dice.below(people)),
        25..=31 => Step::Crash {
            stage: dice.pick(&[
                Stage::Idle,
                Stage::BeforeIntent,
                Stage::AfterIntent,
                Stage::AfterIntent,
                Stage::AfterEffect,
                Stage::AfterEffect,
            ]),
            down: dice.pick(&[1_000, MINUTE, HOUR, 9 * HOUR, 2 * DAY]),
            power_cut: dice.percent(30),
        },
        32..=33 => {
            let by = dice.pick(&[5 * MINUTE, 40 * MINUTE, 3 * HOUR, 26 * HOUR, 4 * DAY]);
            Step::Clock(if dice.percent(50) { by } else { -by })
        }
        34..=35 => Step::LinkDown(
            account,
            // A connection is tried again every minute: long breaks are dear.
            dice.pick(&[
                20_000,
                10 * MINUTE,
                10 * MINUTE,
                90 * MINUTE,
                90 * MINUTE,
                27 * HOUR,
            ]),
        ),
        36..=37 => Step::LoggedOut(account, dice.pick(&[HOUR, 20 * HOUR, 4 * DAY])),
        _ => Step::Joins(dice.below(people), dice.below(2)),
    }
}

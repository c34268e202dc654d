//! The report, from journals of events to what people read.

mod arithmetic;
mod conditions;
mod documents;
mod tables;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::desired::{Desired, EngineFile, Environment, History, Input, Known, resolve};
use crate::model::{
    AccountName, ConditionType, Event, Intent, Lineage, LookupEnd, Outcome, Person, PersonId,
    RandomKey, Recorded, SendKey, SourceId, Timestamp,
};
use crate::observed::{Observed, fold};
use crate::plan::{Inputs, Link, Plan, Runtime, audience, plan};
use crate::spec::files::MemoryFiles;

/// Tuesday, 2026-12-01 12:00 UTC.
const NOON: Timestamp = Timestamp(1_796_126_400_000);

/// A mailing to the members of one group by one account.
const SPRING: &str = r#"
version: 1
name: spring
kind: mailing
consent: {basis: members}
accounts: [sales-1]
sources: [{type: members, peer: "@rust_meetup"}]
templates:
  - {name: short, weight: 2, text: "Hi"}
  - {name: long, text: "Hello"}
delays: {between_messages: 30s..90s}
"#;

/// A workspace, its journal and what is connected.
#[derive(Clone)]
struct World {
    files: MemoryFiles,
    settings: &'static str,
    observed: Observed,
    people: BTreeMap<PersonId, Person>,
    runtime: Runtime,
    now: Timestamp,
    seq: u64,
}

impl World {
    fn new(specs: &[(&str, &str)]) -> World {
        let mut files = MemoryFiles::new();
        for (name, text) in specs {
            files.put(format!("campaigns/{name}.yaml"), text);
        }
        let mut world = World {
            files,
            settings: "version: 1\n",
            observed: Observed::default(),
            people: BTreeMap::new(),
            runtime: Runtime::default(),
            now: NOON,
            seq: 0,
        };
        world.connect("sales-1");
        world
    }

    fn connect(&mut self, account: &str) {
        let ready = Link::Ready {
            random_key: RandomKey([7; 32]),
            first_name: None,
            username: None,
        };
        self.runtime.links.insert(account.into(), ready);
    }

    fn desired(&self) -> Desired {
        let history = History(
            self.observed
                .campaigns
                .values()
                .map(|c| {
                    let lineage = c.lineage.clone().unwrap();
                    (
                        c.name.clone(),
                        Known {
                            file: c.file.clone(),
                            lineage,
                            sent: c.last_sent_at.is_some(),
                        },
                    )
                })
                .collect(),
        );
        resolve(&Input {
            engine: EngineFile::Bytes("tidings.yaml", self.settings.as_bytes()),
            files: &self.files,
            env: &Environment::default(),
            sessions: None,
            history: &history,
            previous: None,
            kept: None,
            memo: None,
        })
        .desired
    }

    fn record(&mut self, ago: Duration, event: Event) {
        self.seq += 1;
        fold(
            &mut self.observed,
            self.seq,
            &Recorded {
                at: self.now - ago,
                event,
            },
        );
    }

    /// The engine looks at the files.
    fn see(&mut self) {
        for wanted in self.desired().campaigns.values() {
            let generation = self
                .observed
                .campaigns
                .get(&wanted.lineage)
                .map_or(0, |c| c.generation)
                + 1;
            self.record(
                HOUR,
                Event::SpecSeen {
                    campaign: wanted.lineage.clone(),
                    name: wanted.name.clone(),
                    file: wanted.file.clone(),
                    generation,
                    digest: wanted.digest.clone(),
                    error: wanted
                        .diagnostics
                        .iter()
                        .find(|d| d.is_error())
                        .map(ToString::to_string),
                },
            );
        }
    }

    fn source(&self, name: &str) -> SourceId {
        self.desired().campaigns[name]
            .spec
            .as_ref()
            .unwrap()
            .sources[0]
            .id
    }

    /// The run opens, the members are read, the filters applied.
    fn look_up(&mut self, name: &str, people: std::ops::RangeInclusive<i64>) {
        let campaign: Lineage = name.into();
        let (source, account) = (self.source(name), Some::<AccountName>("sales-1".into()));
        let people: Vec<PersonId> = people.map(PersonId).collect();
        self.record(
            HALF_HOUR,
            Event::RunOpened {
                campaign: campaign.clone(),
                run: 1,
            },
        );
        self.record(
            HALF_HOUR,
            Event::LookupStarted {
                campaign: campaign.clone(),
                source,
                account: account.clone(),
            },
        );
        for page in people.chunks(200) {
            let people = page.to_vec();
            self.record(
                HALF_HOUR,
                Event::LookupPage {
                    campaign: campaign.clone(),
                    source,
                    account: account.clone(),
                    people,
                },
            );
        }
        let end = LookupEnd {
            complete: true,
            error: None,
            admin: true,
            bad_rows: 0,
            partial: None,
            passing: false,
        };
        self.record(
            HALF_HOUR,
            Event::LookupEnded {
                campaign: campaign.clone(),
                source,
                account,
                end,
            },
        );
        self.judge(name);
    }

    fn judge(&mut self, name: &str) {
        let desired = self.desired();
        for event in audience::judge(&self.inputs(&desired), &name.into()) {
            self.record(HALF_HOUR, event);
        }
    }

    fn key(name: &str, person: i64) -> SendKey {
        SendKey {
            lineage: name.into(),
            person: PersonId(person),
            step: 0,
            run: 0,
        }
    }

    fn intend(&mut self, name: &str, person: i64, variant: &str) {
        let intent = Intent {
            key: Self::key(name, person),
            account: "sales-1".into(),
            random_id: person,
            run: 1,
            variant: variant.into(),
            digest: "".into(),
            attested: false,
            request: Arc::default(),
            next_allowed_at: self.now - MINUTE,
        };
        self.record(2 * MINUTE, Event::Intent(Arc::new(intent)));
    }

    fn send(&mut self, name: &str, person: i64, variant: &str) {
        self.intend(name, person, variant);
        let sent = Event::Sent {
            key: Self::key(name, person),
            message_id: 1,
            earlier: false,
            next_allowed_at: self.now - MINUTE,
        };
        self.record(2 * MINUTE, sent);
    }

    fn refuse(&mut self, name: &str, person: i64, outcome: Outcome) {
        self.intend(name, person, "short");
        let detail = "Telegram's words".to_owned();
        self.record(
            2 * MINUTE,
            Event::Refused {
                key: Self::key(name, person),
                outcome,
                detail,
            },
        );
    }

    fn inputs<'a>(&'a self, desired: &'a Desired) -> Inputs<'a> {
        Inputs {
            desired,
            observed: &self.observed,
            people: &self.people,
            runtime: &self.runtime,
            now: self.now,
            report_only: true,
        }
    }

    fn planned<T>(&self, look: impl FnOnce(&Inputs<'_>, &Plan) -> T) -> T {
        let desired = self.desired();
        let inputs = self.inputs(&desired);
        look(&inputs, &plan(&inputs))
    }

    fn report(&self) -> StatusReport {
        self.planned(|inputs, plan| report(inputs, plan, daemon()))
    }

    fn plan_document(&self) -> PlanDocument {
        self.planned(|inputs, plan| plan_document(inputs, plan, daemon()))
    }
}

const MINUTE: Duration = Duration::from_secs(60);
const HALF_HOUR: Duration = Duration::from_secs(1800);
const HOUR: Duration = Duration::from_secs(3600);

fn daemon() -> DaemonInfo {
    DaemonInfo {
        running: true,
        pid: Some(4711),
        version: "0.1.0".to_owned(),
        heartbeat_age_ms: Some(120),
        web: None,
    }
}

fn look() -> Look {
    Look {
        wide: false,
        width: None,
        colour: false,
        now: NOON,
    }
}

/// The campaign as the report shows it.
fn shown<'a>(report: &'a StatusReport, name: &str) -> &'a CampaignStatus {
    report
        .campaigns
        .iter()
        .find(|c| c.name == name)
        .unwrap_or_else(|| panic!("{name} is shown"))
}

fn condition(report: &StatusReport, name: &str, kind: ConditionType) -> (Truth, String) {
    let condition = shown(report, name).condition(kind).unwrap();
    (condition.status, condition.reason.clone())
}

use proptest::prelude::*;

use super::*;
use crate::model::{Exclusion, InDoubtWhy};

/// What may happen to one of a few people.
#[derive(Debug, Clone)]
enum Step {
    Include(i64),
    Exclude(i64, usize),
    Drop(i64),
    Intend(i64, bool),
    Sent(i64),
    Refused(i64, usize),
    Released(i64),
    InDoubt(i64),
    Skipped(i64, usize),
    OptedOut(i64),
    Suppressed(i64),
    Incoming(i64),
    Restart,
    Invalid(bool),
    Retire(bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let who = 1..12i64;
    let exclusions = 0..Exclusion::ALL.len();
    let outcomes = 0..Outcome::ALL.len();
    let step = prop_oneof![
        4 => who.clone().prop_map(Step::Include),
        1 => (who.clone(), exclusions).prop_map(|(who, n)| Step::Exclude(who, n)),
        1 => who.clone().prop_map(Step::Drop),
        4 => (who.clone(), any::<bool>()).prop_map(|(who, short)| Step::Intend(who, short)),
        3 => who.clone().prop_map(Step::Sent),
        2 => (who.clone(), outcomes.clone()).prop_map(|(who, n)| Step::Refused(who, n)),
        1 => who.clone().prop_map(Step::Released),
        1 => who.clone().prop_map(Step::InDoubt),
        1 => (who.clone(), outcomes).prop_map(|(who, n)| Step::Skipped(who, n)),
        1 => who.clone().prop_map(Step::OptedOut),
        1 => who.clone().prop_map(Step::Suppressed),
        1 => who.prop_map(Step::Incoming),
        1 => Just(Step::Restart),
        1 => any::<bool>().prop_map(Step::Invalid),
        1 => any::<bool>().prop_map(Step::Retire),
    ];
    proptest::collection::vec(step, 0..120)
}

impl World {
    fn judged(&mut self, included: &[i64], excluded: &[(Exclusion, i64)], dropped: &[i64]) {
        let people = |ids: &[i64]| ids.iter().copied().map(PersonId).collect::<Vec<_>>();
        self.record(
            MINUTE,
            Event::Judged {
                campaign: "spring".into(),
                included: people(included),
                excluded: excluded
                    .iter()
                    .map(|(reason, id)| (*reason, vec![PersonId(*id)]))
                    .collect(),
                dropped: people(dropped),
                finished: None,
            },
        );
    }

    fn is_pending(&self, person: i64) -> bool {
        let handle = self.observed.handle(PersonId(person));
        handle
            .and_then(|h| self.observed.campaigns["spring"].recipients.get(&h.0))
            .is_some_and(|r| r.status == crate::observed::Status::Pending)
    }

    fn is_on_its_way(&self, person: i64) -> bool {
        self.observed
            .in_flight
            .contains_key(&Self::key("spring", person))
    }

    fn step(&mut self, step: &Step) {
        let key = |person: i64| Self::key("spring", person);
        let words = String::new;
        match *step {
            Step::Include(who) => self.judged(&[who], &[], &[]),
            Step::Exclude(who, n) => self.judged(&[], &[(Exclusion::ALL[n], who)], &[]),
            Step::Drop(who) => self.judged(&[], &[], &[who]),
            // The planner only ever sends to those who are pending.
            Step::Intend(who, short) if self.is_pending(who) => {
                self.intend("spring", who, if short { "short" } else { "long" });
            }
            Step::Intend(..) => {}
            Step::Sent(who) => self.record(
                MINUTE,
                Event::Sent {
                    key: key(who),
                    message_id: 1,
                    earlier: false,
                    next_allowed_at: NOON,
                },
            ),
            Step::Refused(who, n)
                if self.is_on_its_way(who) && Outcome::ALL[n] != Outcome::Sent =>
            {
                self.record(
                    MINUTE,
                    Event::Refused {
                        key: key(who),
                        outcome: Outcome::ALL[n],
                        detail: words(),
                    },
                );
            }
            Step::Refused(..) => {}
            Step::Released(who) => self.record(
                MINUTE,
                Event::Released {
                    key: key(who),
                    keep: who % 2 == 0,
                    detail: words(),
                },
            ),
            Step::InDoubt(who) => self.record(
                MINUTE,
                Event::InDoubt {
                    key: key(who),
                    why: InDoubtWhy::Timeout,
                },
            ),
            Step::Skipped(who, n) if self.is_pending(who) && Outcome::ALL[n] != Outcome::Sent => {
                self.record(
                    MINUTE,
                    Event::Skipped {
                        campaign: "spring".into(),
                        person: PersonId(who),
                        step: 0,
                        outcome: Outcome::ALL[n],
                        detail: words(),
                    },
                );
            }
            Step::Skipped(..) => {}
            Step::OptedOut(who) => {
                self.record(
                    MINUTE,
                    Event::OptedOut {
                        person: PersonId(who),
                        account: Some("sales-1".into()),
                    },
                );
            }
            Step::Suppressed(who) => {
                self.record(
                    MINUTE,
                    Event::Suppressed {
                        person: PersonId(who),
                        why: "blocked".to_owned(),
                    },
                );
            }
            Step::Incoming(who) => {
                let message_id = i32::try_from(self.seq).unwrap();
                self.record(
                    MINUTE,
                    Event::Incoming {
                        account: "sales-1".into(),
                        person: PersonId(who),
                        message_id,
                    },
                );
            }
            Step::Restart => self.record(
                MINUTE,
                Event::Started {
                    version: "1".to_owned(),
                },
            ),
            Step::Invalid(invalid) => {
                let text = if invalid {
                    SPRING.replace("kind: mailing", "kind: x")
                } else {
                    SPRING.to_owned()
                };
                self.files.put("campaigns/spring.yaml", text);
                self.see();
            }
            Step::Retire(retired) => {
                if retired {
                    self.files.remove("campaigns/spring.yaml");
                    self.record(
                        MINUTE,
                        Event::Retired {
                            campaign: "spring".into(),
                        },
                    );
                } else {
                    self.files.put("campaigns/spring.yaml", SPRING);
                    self.see();
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_numbers_of_a_report_add_up_whatever_happened(steps in steps()) {
        let mut world = World::new(&[("spring", SPRING)]);
        world.see();
        world.look_up("spring", 1..=6);
        for step in &steps {
            world.step(step);
        }
        let report = world.report();
        for campaign in &report.campaigns {
            let CampaignStatus { audience, progress, outcomes, waiting, .. } = campaign;
            prop_assert_eq!(audience.found, audience.included + audience.excluded.values().sum::<u64>());
            prop_assert_eq!(audience.included, progress.included());
            prop_assert_eq!(outcomes.values().sum::<u64>(), progress.settled());
            prop_assert_eq!(waiting.iter().map(|wait| wait.count).sum::<u64>(), progress.pending);
            prop_assert_eq!(outcomes.get(&Outcome::Sent).copied().unwrap_or(0), progress.sent);
            prop_assert!(campaign.templates.iter().map(|t| t.sent).sum::<u64>() >= progress.sent);
            let recipients = world.observed.campaigns["spring"].recipients.len() as u64;
            prop_assert_eq!(audience.found, recipients);
        }
        // What is written is read back as it was.
        let text = serde_json::to_string(&report).unwrap();
        let back: StatusReport = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(back, report);
    }
}

//! A workspace of many specs and people, half of them done, made without sending anything.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use tidings::control::{Workspace, WorkspaceOptions};
use tidings::desired::{Desired, History};
use tidings::model::{Event, Intent, LookupEnd, Person, PersonId, Recorded, SendKey, Timestamp};
use tidings::observed::{Observed, fold};
use tidings::people::People;
use tidings::plan::{Inputs, Runtime, audience};
use tidings::store::{Access, Options, Store};

use super::Bad;

/// How much there is.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Specs.
    pub specs: usize,
    /// People of each, nobody in two of them.
    pub people: usize,
    /// Accounts; specs are dealt to them in turn.
    pub accounts: usize,
}

/// The user id of the first person.
const FIRST: i64 = 1_000_000;

/// Who is who, made up when asked.
#[derive(Default)]
pub struct Everybody {
    /// Somebody who is there, and the access hash by which the first account addresses him.
    pub there: Option<(i64, i64)>,
}

impl Everybody {
    fn person(&self, id: PersonId) -> Person {
        let mut person = Person::default();
        person.contact.id = Some(id.0);
        person.contact.first_name = Some(format!("P{}", id.0));
        person.contact.username = Some(format!("person_{}", id.0));
        let hash = self.there.filter(|(there, _)| *there == id.0);
        let hash = hash.map_or(id.0 * 7, |(_, hash)| hash);
        person.hashes.insert("acc-1".into(), hash);
        person
    }
}

impl People for Everybody {
    fn get(&self, person: PersonId) -> Option<Person> {
        Some(self.person(person))
    }
}

/// The folder's files.
pub fn write_specs(dir: &Path, size: Size) -> Result<(), Bad> {
    std::fs::create_dir_all(dir.join("campaigns"))?;
    std::fs::write(
        dir.join("tidings.yaml"),
        "version: 1\ntelegram: {api_id: 1, api_hash: loopback}\n\
         limits: {min_delay: 0s, max_per_day: 1000000, approve_over: null, max_audience: 10000000}\n",
    )?;
    for n in 0..size.specs {
        std::fs::write(dir.join(format!("campaigns/c{n:04}.yaml")), spec(n, size))?;
    }
    Ok(())
}

/// A spec as people write them: some 25 lines.
pub fn spec(n: usize, size: Size) -> String {
    let mut text = String::new();
    let account = n % size.accounts + 1;
    let _ = write!(
        text,
        "# yaml-language-server: $schema=../schema/campaign.schema.json\n\
         version: 1\nname: c{n:04}\ntitle: Campaign {n}\nkind: mailing\n\
         description: One of many\nlabels: {{product: pro, wave: w{n}}}\n\
         consent:\n  basis: members\n  note: Members of our own community\n\
         accounts: [acc-{account}]\n\
         sources:\n  - {{type: members, peer: '@people_{n}'}}\n\
         filters: {{bots: drop, deleted: drop, limit: 100000}}\n\
         templates:\n  - name: short\n    weight: 2\n    text: \"Hi {{{{ contact.first_name | default('there') }}}}! Release {n} is out.\"\n\
         \x20 - name: long\n    format: markdown\n    text: \"Hello {{{{ contact.first_name }}}}, **release {n}** is out. Read more about it.\"\n\
         delays:\n  between_messages: 1h\n  per_account: {{per_day: 100000}}\n\
         schedule: {{timezone: Europe/Berlin}}\n"
    );
    text
}

/// The workspace in this folder.
pub fn workspace(dir: &Path) -> Result<Workspace, Bad> {
    Ok(Workspace::find(&WorkspaceOptions {
        directory: Some(dir.to_owned()),
        ..WorkspaceOptions::default()
    })?)
}

/// Who gets the next message of the first campaign.
pub fn next_of_first(size: Size) -> i64 {
    FIRST + i64::try_from(size.people / 2).unwrap_or(0)
}

/// Specs resolved, and a state in which half of everybody has his message. With `state` it goes there too, people and
/// all.
pub fn half_done(
    dir: &Path,
    size: Size,
    now: Timestamp,
    state: Option<&Path>,
    everybody: &Everybody,
) -> Result<(Desired, Observed), Bad> {
    let desired = workspace(dir)?.resolve(&History::default(), None).desired;
    let store = match state {
        None => None,
        Some(dir) => {
            let access = Access::Write {
                new_id: 7,
                now_ms: now.millis(),
            };
            let options = Options::new(access, std::time::Duration::ZERO);
            Some(Store::<Recorded>::open(dir, options)?.0)
        }
    };
    let mut observed = Observed::default();
    let write = |observed: &mut Observed, events: Vec<Event>| -> Result<(), Bad> {
        let recorded: Vec<Recorded> = events
            .into_iter()
            .map(|event| Recorded { at: now, event })
            .collect();
        if let Some(store) = &store {
            store.append(&recorded)?;
        }
        for recorded in &recorded {
            let seq = observed.seq + 1;
            fold(observed, seq, recorded);
        }
        Ok(())
    };
    let runtime = Runtime::default();
    for (n, wanted) in desired.campaigns.values().enumerate() {
        let line = wanted.lineage.clone();
        let spec = wanted.spec.clone().ok_or("a spec is invalid")?;
        let account = spec.accounts[0].clone();
        let first = FIRST + i64::try_from(n * size.people)?;
        let ids: Vec<PersonId> = (first..first + i64::try_from(size.people)?)
            .map(PersonId)
            .collect();
        if let Some(store) = &store {
            let rows: Vec<(PersonId, Vec<u8>)> = ids
                .iter()
                .map(|id| {
                    let bytes = rmp_serde::to_vec_named(&everybody.person(*id))?;
                    Ok((*id, bytes))
                })
                .collect::<Result<_, Bad>>()?;
            store.people().put(&rows)?;
        }
        let source = spec.sources[0].id;
        let by = Some(account.clone());
        let mut events = vec![
            Event::SpecSeen {
                campaign: line.clone(),
                name: wanted.name.clone(),
                file: wanted.file.clone(),
                generation: 1,
                digest: wanted.digest.clone(),
                error: None,
            },
            Event::RunOpened {
                campaign: line.clone(),
                run: 1,
            },
            Event::LookupStarted {
                campaign: line.clone(),
                source,
                account: by.clone(),
            },
        ];
        for page in ids.chunks(1000) {
            events.push(Event::LookupPage {
                campaign: line.clone(),
                source,
                account: by.clone(),
                people: page.to_vec(),
            });
        }
        events.push(Event::LookupEnded {
            campaign: line.clone(),
            source,
            account: by,
            end: LookupEnd {
                complete: true,
                admin: true,
                ..LookupEnd::default()
            },
        });
        write(&mut observed, events)?;
        let judged = audience::judge(
            &Inputs {
                desired: &desired,
                observed: &observed,
                people: everybody,
                runtime: &runtime,
                now,
                report_only: false,
            },
            &line,
        );
        write(&mut observed, judged)?;
        for some in ids[..ids.len() / 2].chunks(500) {
            let mut events = Vec::new();
            for id in some {
                let key = SendKey {
                    lineage: line.clone(),
                    person: *id,
                    step: 0,
                    run: 0,
                };
                events.push(Event::Intent(Arc::new(Intent {
                    key: key.clone(),
                    account: account.clone(),
                    random_id: id.0,
                    run: 1,
                    variant: "short".into(),
                    digest: wanted.digest.clone().into(),
                    attested: false,
                    request: vec![7; 120].into(),
                    next_allowed_at: now,
                })));
                events.push(Event::Sent {
                    key,
                    message_id: i32::try_from(id.0)?,
                    earlier: false,
                    next_allowed_at: now,
                });
            }
            write(&mut observed, events)?;
        }
    }
    if let Some(store) = &store {
        store.sync(store.last_seq())?;
        store.fold(true)?;
        store.save_checkpoint(observed.seq, &rmp_serde::to_vec(&observed)?)?;
    }
    Ok((desired, observed))
}

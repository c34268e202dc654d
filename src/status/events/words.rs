//! Each event of the journal as one sentence.

use std::collections::BTreeMap;

use super::super::plain;
use super::{CampaignNames, seconds, talk};
use crate::model::{
    Aside, Event, FiringFate, JoinEnd, Lineage, Outcome, PersonId, RefHash, SendKey, TEST_LINEAGE,
    aside_of,
};

/// What is said of one event.
pub(super) struct Words {
    pub(super) kind: &'static str,
    pub(super) campaign: Option<String>,
    pub(super) account: Option<String>,
    pub(super) person: Option<String>,
    pub(super) error: bool,
    pub(super) message: String,
}

/// Words of a kind of event.
pub(super) fn words(kind: &'static str, message: impl Into<String>) -> Words {
    Words {
        kind,
        campaign: None,
        account: None,
        person: None,
        error: false,
        message: message.into(),
    }
}

impl Words {
    pub(super) fn of(mut self, campaign: &Lineage, names: &dyn CampaignNames) -> Words {
        if !crate::model::is_aside(campaign) {
            self.campaign = Some(
                names
                    .name_of(campaign)
                    .unwrap_or_else(|| campaign.as_ref())
                    .to_owned(),
            );
        }
        self
    }

    pub(super) fn by(mut self, account: impl ToString) -> Words {
        self.account = Some(account.to_string());
        self
    }

    pub(super) fn maybe_by(self, account: Option<&crate::model::AccountName>) -> Words {
        match account {
            Some(account) => self.by(account),
            None => self,
        }
    }

    pub(super) fn about(mut self, person: impl ToString) -> Words {
        self.person = Some(person.to_string());
        self
    }

    pub(super) fn bad(mut self) -> Words {
        self.error = true;
        self
    }
}

/// Says it. Every kind of event has its words here: the compiler asks for those of a new one.
pub(super) fn say(event: &Event, names: &dyn CampaignNames) -> Words {
    match event {
        Event::Started { version } => words("started", format!("Tidings {version} started.")),
        Event::SpecSeen {
            campaign,
            file,
            generation,
            error: None,
            ..
        } => {
            words("spec_seen", format!("{file} is generation {generation}.")).of(campaign, names)
        }
        Event::SpecSeen {
            campaign,
            generation,
            error: Some(error),
            ..
        } => words(
            "spec_seen",
            format!("Generation {generation} is invalid: {error}"),
        )
        .of(campaign, names)
        .bad(),
        Event::Retired { campaign } => words("retired", "Its file is gone.").of(campaign, names),
        Event::Suspended {
            campaign,
            reason,
            by,
        } => hold(
            words("suspended", format!("Suspended by {by}: {reason}")),
            campaign.as_ref(),
            names,
        ),
        Event::Resumed {
            campaign,
            reason,
            by,
        } => hold(
            words("resumed", format!("Resumed by {by}: {reason}")),
            campaign.as_ref(),
            names,
        ),
        Event::Approved {
            campaign,
            people,
            by,
            ..
        } => words(
            "approved",
            format!("{by} approved {}.", plain::people(*people)),
        )
        .of(campaign, names),
        Event::ReconcileRequested { campaign } => words(
            "reconcile_requested",
            "Its sources are to be looked up now.",
        )
        .of(campaign, names),
        Event::RunOpened { campaign, run } => {
            words("run_opened", format!("Run {run} opened.")).of(campaign, names)
        }
        Event::ScheduleSeen {
            campaign, schedule, ..
        } => words(
            "schedule_seen",
            match schedule {
                Some(schedule) => format!("Its runs start by `{schedule}` from now on."),
                None => "It has no `schedule.cron` any more.".to_owned(),
            },
        )
        .of(campaign, names),
        Event::Fired {
            campaign,
            firing,
            fate,
        } => {
            let at = seconds((*firing).into());
            let message = match fate {
                FiringFate::Opens {
                    run,
                    everyone: false,
                } => format!("Run {run} opened by the firing of {at}."),
                FiringFate::Opens {
                    run,
                    everyone: true,
                } => format!("Run {run} opened by the firing of {at}, for everyone again."),
                FiringFate::Missed => {
                    format!("The firing of {at} was missed: no daemon ran (`missed: skip`).")
                }
                FiringFate::Overlaps => format!(
                    "The firing of {at} opened no run: the one before is open (`overlap: skip`)."
                ),
                FiringFate::Queued => format!(
                    "The firing of {at} opens a run as soon as the one before is settled (`overlap: queue`)."
                ),
                FiringFate::Held => {
                    format!("The firing of {at} opened no run: the campaign was held.")
                }
            };
            words("fired", message).of(campaign, names)
        }
        Event::RunStarted { campaign } => words(
            "run_started",
            "Its owner's plan let the run begin.",
        )
        .of(campaign, names),
        Event::RunSettled { campaign, run } => {
            words("run_settled", format!("Run {run} is settled.")).of(campaign, names)
        }
        Event::LineageChecked {
            campaign,
            before,
            contacted,
            people,
        } => match before {
            Some(before) => words(
                "looks_renamed",
                format!("{contacted} of its {people} people were contacted by `{before}`, which is gone."),
            )
            .of(campaign, names)
            .bad(),
            None => words("lineage_checked", "It does not look like a campaign that is gone under another name.")
                .of(campaign, names),
        },
        Event::Reopened {
            campaign,
            outcomes,
            by,
        } => {
            let ended: Vec<&str> = outcomes.iter().map(|outcome| outcome.name()).collect();
            words(
                "reopened",
                format!("{by} gave a second chance to whoever ended as {}.", ended.join(", ")),
            )
            .of(campaign, names)
        }
        Event::LookupStarted {
            campaign, account, ..
        } => {
            let it = words("lookup_started", "A look-up began.").of(campaign, names);
            it.maybe_by(account.as_ref())
        }
        Event::LookupPage {
            campaign,
            people,
            account,
            ..
        } => {
            let it = words(
                "lookup_page",
                format!("Read: {}.", plain::people(people.len() as u64)),
            )
            .of(campaign, names);
            it.maybe_by(account.as_ref())
        }
        Event::LookupAt {
            campaign,
            account,
            total,
            ..
        } => {
            let total = total.map_or(String::new(), |n| format!(" There are {n}."));
            words("lookup_at", format!("Its place is kept.{total}"))
                .of(campaign, names)
                .by(account)
        }
        Event::LookupResumed {
            campaign, account, ..
        } => words("lookup_resumed", "A look-up goes on where it stopped.")
            .of(campaign, names)
            .by(account),
        Event::LookupSpent { account } => {
            words("lookup_spent", "A username or phone is looked up.").by(account)
        }
        Event::LookupEnded {
            campaign,
            account,
            end,
            ..
        } => {
            let it = match (&end.error, end.complete) {
                (Some(error), _) => {
                    words("lookup_ended", format!("A look-up failed: {error}")).bad()
                }
                (None, true) => words("lookup_ended", "A look-up read everybody."),
                (None, false) => {
                    let why = end.partial.as_deref().unwrap_or("A look-up was cut off");
                    words("lookup_ended", format!("{why}."))
                }
            }
            .of(campaign, names);
            it.maybe_by(account.as_ref())
        }
        Event::Judged {
            campaign,
            included,
            excluded,
            dropped,
            ..
        } => {
            let out: usize = excluded.iter().map(|(_, people)| people.len()).sum();
            words(
                "judged",
                format!(
                    "Filters: {} in, {out} out, {} no longer found.",
                    plain::people(included.len() as u64),
                    dropped.len()
                ),
            )
            .of(campaign, names)
        }
        Event::Nobody { reference } => {
            words("nobody", "Nobody can be addressed by it.").about(reference)
        }
        Event::Resolved {
            reference,
            person,
            account,
        } => words("resolved", format!("{reference} is {person}."))
            .by(account)
            .about(person),
        Event::Intent(intent) if intent.is_invite() => words("intent", "About to add him.")
            .of(&intent.key.lineage, names)
            .by(&intent.account)
            .about(intent.key.person),
        Event::Intent(intent) => words(
            "intent",
            match aside_of(&intent.key) {
                Some(_) => format!("About to send {}.", message(&intent.key)),
                None => format!(
                    "About to send {}, variant {}.",
                    message(&intent.key),
                    intent.variant
                ),
            },
        )
        .of(&intent.key.lineage, names)
        .by(&intent.account)
        .about(intent.key.person),
        Event::Sent {
            key,
            message_id,
            earlier,
            ..
        } => {
            let earlier = if *earlier { " by an earlier try" } else { "" };
            let what = match message_id {
                // An invite, or a message of which Telegram only said that it was there already.
                0 => format!("Done{earlier}."),
                id => format!("Sent {}{earlier}, message {id}.", message(key)),
            };
            words("sent", what)
                .of(&key.lineage, names)
                .about(key.person)
        }
        Event::Refused {
            key,
            outcome,
            detail,
        } => settled("refused", *outcome, detail)
            .of(&key.lineage, names)
            .about(key.person),
        Event::Released { key, detail, .. } => {
            words("released", format!("Not sent, and pending again: {detail}"))
                .of(&key.lineage, names)
                .about(key.person)
        }
        Event::InDoubt { key, why } => {
            let why = match why {
                crate::model::InDoubtWhy::Refused(_) => "a repeat was refused, and the first try may have arrived",
                crate::model::InDoubtWhy::Restart => "the engine stopped before the answer",
                crate::model::InDoubtWhy::Timeout => "no answer in time",
                crate::model::InDoubtWhy::Connection => "the connection broke",
                crate::model::InDoubtWhy::Server => "Telegram refused it for now, or had an internal error",
                crate::model::InDoubtWhy::Unread => "the dialog could not be read",
            };
            words("in_doubt", format!("It may have been sent: {why}."))
                .of(&key.lineage, names)
                .about(key.person)
        }
        Event::Skipped {
            campaign,
            person,
            outcome,
            detail,
            ..
        } => settled("skipped", *outcome, detail)
            .of(campaign, names)
            .about(person),
        Event::StepSkipped {
            key,
            outcome,
            detail,
        } => settled("step_skipped", *outcome, detail)
            .of(&key.lineage, names)
            .about(key.person),
        Event::InviteLink {
            campaign,
            account,
            target,
            exported,
            ..
        } => {
            let what = match exported {
                true => format!("A link to {target} was made."),
                false => format!("The public link to {target} is used."),
            };
            words("invite_link", what)
                .of(campaign, names)
                .by(account)
        }
        Event::Warming {
            campaign,
            account,
            start,
            step,
            max,
            ..
        } => words(
            "warming",
            format!("Its allowance begins at {start} a day and grows by {step} up to {max}."),
        )
        .of(campaign, names)
        .by(account),
        Event::Joined {
            campaign,
            account,
            place,
            end,
            ..
        } => match end {
            JoinEnd::In => words("joined", format!("It is in {place}.")),
            JoinEnd::Requested => words(
                "joined",
                format!("It asked to be let into {place}; the admins there decide."),
            ),
            JoinEnd::Failed { detail } => words(
                "joined",
                format!("It cannot join {place}: Telegram said {detail}."),
            )
            .bad(),
        }
        .of(campaign, names)
        .by(account),
        Event::FloodWait {
            account,
            class,
            until,
            seconds: asked,
        } => words(
            "flood_wait",
            format!("Telegram asked for a wait of {asked} s; no {class} until {}.", seconds((*until).into())),
        )
        .by(account)
        .bad(),
        Event::SlowMode { person, until } => words(
            "slow_mode",
            format!("Telegram slowed this chat down until {}.", seconds((*until).into())),
        )
        .about(person),
        Event::LookAgain { account, person } => words(
            "look_again",
            "Telegram did not know the address; it is looked up again.",
        )
        .by(account)
        .about(person),
        Event::Unreached { account, person } => words(
            "unreached",
            "The account can no longer address this person.",
        )
        .by(account)
        .about(person),
        Event::Limited {
            account,
            campaign,
            until,
        } => {
            let it = words(
                "limited",
                format!(
                    "PEER_FLOOD: no first contacts until {}.",
                    seconds((*until).into())
                ),
            )
            .by(account)
            .bad();
            hold(it, campaign.as_ref(), names)
        }
        Event::AccountChanged {
            account,
            state,
            message,
        } => {
            let it = words("account_changed", format!("{state}: {message}")).by(account);
            if *state == crate::model::AccountState::Ready {
                it
            } else {
                it.bad()
            }
        }
        Event::StateTaken { account, by } => words(
            "state_taken",
            format!("{by} gave the account to this state."),
        )
        .by(account),
        Event::AccountIs { account, person } => {
            words("account_is", format!("The account is {person}.")).by(account)
        }
        Event::SessionNames { account, person } => words(
            "session_names",
            format!("Its session file says that it is {person}."),
        )
        .by(account),
        Event::Stalled { campaign, why } => {
            words("stalled", format!("{}: {}", why.reason, why.message))
                .of(campaign, names)
                .bad()
        }
        Event::SelfPaused { campaign, why } => {
            words("self_paused", format!("{}: {}", why.reason, why.message))
                .of(campaign, names)
                .bad()
        }
        Event::Incoming {
            account,
            person,
            message_id,
        } => words("incoming", format!("Wrote message {message_id}."))
            .by(account)
            .about(person),
        Event::OptedOut { person, account } => words("opted_out", "Asked to hear no more.")
            .about(person)
            .maybe_by(account.as_ref()),
        Event::Suppressed { person, why } => {
            words("suppressed", format!("Suppressed: {why}.")).about(person)
        }
        Event::FileChecked { file, error, .. } if file == Event::CAMPAIGNS => match error {
            Some(error) => words(
                "file_checked",
                format!("{error}: all campaigns are held, and none is retired."),
            )
            .bad(),
            None => words("file_checked", "The folder `campaigns` can be read again."),
        },
        Event::FileChecked {
            campaign,
            error: Some(error),
            ..
        } => hold(
            words("file_checked", format!("Invalid: {error}")).bad(),
            campaign.as_ref(),
            names,
        ),
        Event::FileChecked {
            file,
            campaign,
            error: None,
        } => hold(
            words(
                "file_checked",
                match campaign {
                    Some(_) => format!("{file} no longer takes its name."),
                    None => format!("{file} is valid again."),
                },
            ),
            campaign.as_ref(),
            names,
        ),
        Event::UpdatesAt { account, pts, .. } => {
            words("updates_at", format!("Updates are read up to {pts}.")).by(account)
        }
        Event::SuppressionKey { .. } => words(
            "suppression_key",
            "The key for the suppression list was drawn.",
        ),
        Event::SuppressionAdded {
            people,
            hashes,
            why,
            by,
            ..
        } => about_one(
            words(
                "suppression_added",
                format!(
                    "{by} suppressed {}: {why}",
                    plain::people(count(people, hashes))
                ),
            ),
            people,
        ),
        Event::SuppressionRemoved {
            people, why, by, ..
        } => about_one(
            words(
                "suppression_removed",
                format!("{by} took a person off the suppression list: {why}"),
            ),
            people,
        ),
        Event::SpecFacts {
            campaign,
            generation,
            commit,
            author,
            attested,
            kind,
            ..
        } => {
            let mut message = match (commit, author, kind) {
                (Some(commit), Some(author), _) => {
                    format!("Generation {generation} is commit {commit:.12} by {author}.")
                }
                (_, _, Some(kind)) => format!("Generation {generation} is of kind {kind}."),
                _ => format!("Generation {generation} is in no commit."),
            };
            if let Some(note) = attested {
                message.push_str(&format!(" Consent is attested: {note}"));
            }
            words("spec_facts", message).of(campaign, names)
        }
        Event::SettingsSeen {
            file,
            generation,
            changes,
            ..
        } => words(
            "settings_seen",
            match changes.is_empty() {
                true => format!("{file} is generation {generation}."),
                false => format!("{file} is generation {generation}: {}.", changes.join("; ")),
            },
        ),
        Event::OperatorResolved { key, sent, by } => words(
            "operator_resolved",
            if *sent {
                format!("{by} says that it was sent.")
            } else {
                format!("{by} says that it may be sent again.")
            },
        )
        .of(&key.lineage, names)
        .about(key.person),
        Event::Tested {
            campaign,
            account,
            person,
            by,
            ..
        } => words("tested", format!("{by} sent its texts as a test."))
            .of(campaign, names)
            .by(account)
            .about(person),
        Event::BrokeOff {
            account,
            campaign,
            detail,
        } => {
            let it = words("broke_off", detail.clone()).bad();
            match (account, campaign) {
                (Some(account), _) => it.by(account),
                (None, Some(campaign)) => it.of(campaign, names),
                (None, None) => it,
            }
        }
        Event::ClockSet { by_ms } => words(
            "clock_set",
            format!(
                "The clock was set {} by {} s. Pauses and waits are as long as before.",
                if *by_ms < 0 { "back" } else { "forward" },
                by_ms.unsigned_abs() / 1000
            ),
        ),
        Event::HeardUnited { .. } => words(
            "heard_united",
            "What people got before the restore counts for their limits.",
        ),
        Event::ChargesUnited {
            account, campaign, ..
        } => {
            let it = words(
                "charges_united",
                "What was sent before the restore counts for the limits of the day.",
            );
            let it = match account {
                Some(account) => it.by(account),
                None => it,
            };
            match campaign {
                Some(campaign) => it.of(campaign, names),
                None => it,
            }
        }
        Event::BackedUp { file, by } => words("backed_up", format!("{by} wrote a backup: {file}.")),
        Event::KeysUnited {
            campaign, settled, ..
        } => {
            let count: usize = settled.iter().map(|group| group.people.len()).sum();
            words(
                "keys_united",
                format!(
                    "Settled before the restore, and not known to the backup: {}.",
                    plain::people(count as u64)
                ),
            )
            .of(campaign, names)
        }
        Event::Restored {
            since,
            taken_at,
            accounts,
            by,
        } => words(
            "restored",
            format!(
                "{by} put the state of {} in place. Dialogs since {} are read first: {}.",
                seconds((*taken_at).into()),
                seconds((*since).into()),
                if accounts.is_empty() {
                    "no account was used".to_owned()
                } else {
                    accounts.join(", ")
                }
            ),
        ),
        Event::DialogsRead { account, wrote_to } => words(
            "dialogs_read",
            format!(
                "Its dialogs since the backup were read; it wrote to {}.",
                plain::people(wrote_to.len() as u64)
            ),
        )
        .by(account),
        Event::Forgotten { people, by, .. } => about_one(
            words("forgotten", format!("{by} had what was known erased.")),
            people,
        ),
        Event::SuppressionMatched { person, hash } => words(
            "suppression_matched",
            format!("Turned up, and is on the suppression list ({hash})."),
        )
        .about(person),
        Event::Written { .. }
        | Event::HumanSpoke { .. }
        | Event::ModelAsking { .. }
        | Event::ModelAsked { .. }
        | Event::AnswerLost { .. }
        | Event::OwnUnseen { .. }
        | Event::OwnSeen { .. }
        | Event::Drafted { .. }
        | Event::DraftFailed { .. }
        | Event::NeedsHuman { .. }
        | Event::DraftDecided { .. }
        | Event::OperatorWrote { .. }
        | Event::TalkChanged { .. } => {
            talk::said(event, names).unwrap_or_else(|| words("conversation", ""))
        }
        Event::Told {
            seq, begins: true, ..
        } => words(
            "told",
            format!("A new entry of `notify`: it is told of what comes after event {seq}."),
        ),
        Event::Told { seq, error, .. } => match error {
            None => words("told", format!("`notify` told of event {seq}.")),
            Some(why) => words("told", format!("`notify` gave event {seq} up: {why}.")).bad(),
        },
        Event::Finished { campaign, run } => {
            words("finished", format!("Run {run} is over.")).of(campaign, names)
        }
        Event::CampaignWaits {
            campaign,
            why: Some(why),
            ..
        } => words("waits", format!("{}: {}", why.reason, why.message))
            .of(campaign, names)
            .bad(),
        Event::CampaignWaits {
            campaign,
            why: None,
            ..
        } => words("waits", "It does not wait for a person any more.").of(campaign, names),
        Event::AccountAway {
            account,
            why: Some(why),
        } => words("away", format!("{}: {}", why.reason, why.message))
            .by(account)
            .bad(),
        Event::AccountAway { account, why: None } => {
            words("away", "The account can be used again.").by(account)
        }
    }
}

/// How many people these are: who has an id and stand-ins is one, since the same names lead to all of them.
fn count(people: &[PersonId], hashes: &[(RefHash, PersonId)]) -> u64 {
    if hashes.is_empty() {
        return people.len() as u64;
    }
    // From each to another of the same man, or to himself.
    let mut same: BTreeMap<PersonId, PersonId> = BTreeMap::new();
    let mut by_name: BTreeMap<RefHash, PersonId> = BTreeMap::new();
    let first_of = |same: &BTreeMap<PersonId, PersonId>, mut person: PersonId| {
        while let Some(other) = same.get(&person).filter(|other| **other != person) {
            person = *other;
        }
        person
    };
    for (hash, person) in hashes {
        same.entry(*person).or_insert(*person);
        let named = *by_name.entry(*hash).or_insert(*person);
        let (one, other) = (first_of(&same, named), first_of(&same, *person));
        same.insert(one.max(other), one.min(other));
    }
    same.iter().filter(|(one, other)| one == other).count() as u64
}

fn about_one(it: Words, people: &[crate::model::PersonId]) -> Words {
    match people {
        [one] => it.about(one),
        _ => it,
    }
}

fn hold(it: Words, campaign: Option<&Lineage>, names: &dyn CampaignNames) -> Words {
    match campaign {
        Some(line) => it.of(line, names),
        None => it,
    }
}

/// What a send is, in the middle of a sentence.
fn message(key: &SendKey) -> String {
    match (aside_of(key), key.step) {
        (Some(Aside::OptOut), _) => "the confirmation of his opt-out".to_owned(),
        (Some(Aside::Answer { message_id, .. }), _) => {
            format!("an answer to his message {message_id}")
        }
        (Some(Aside::Operator { .. }), _) => "what an operator wrote".to_owned(),
        (Some(Aside::Notice { .. }), _) => "a notice to an operator".to_owned(),
        (None, place) if *key.lineage == *TEST_LINEAGE => format!("text {} of a test", place + 1),
        (None, 0) => "the first message".to_owned(),
        (None, step) => format!("follow-up {step}"),
    }
}

fn settled(kind: &'static str, outcome: Outcome, detail: &str) -> Words {
    let it = words(kind, format!("{outcome}: {detail}"));
    let ours = matches!(
        outcome,
        Outcome::TemplateError | Outcome::TooLong | Outcome::Failed | Outcome::Uncertain
    );
    if ours { it.bad() } else { it }
}

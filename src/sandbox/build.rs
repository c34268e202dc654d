//! From a world file to a living world, and from a seed to a world file.

use std::collections::{BinaryHeap, HashMap, HashSet};

use super::faults::ArmedRule;
use super::spec::{
    AccountSpec, Choice, DialogSpec, GroupKind, GroupSpec, History, LastSeen, LineSpec,
    MAX_ACCOUNTS, MAX_GROUPS, MAX_PEOPLE, PersonSpec, Privacy, Ref, Span, WorldError, WorldSpec,
};
use super::world::{
    Change, Dialog, Group, Msg, Peer, User, World, account_of, digest, digits, keyed, secs,
};

/// First ids of what is made up; beyond 32 bits where Telegram's are.
const ACCOUNT_IDS: i64 = 6_000_000_001;
const PEOPLE_IDS: i64 = 7_000_000_001;
const CHAT_IDS: i64 = 4_100_000_001;
const CHANNEL_IDS: i64 = 2_100_000_001;

/// How many members of a group can be listed at all.
const MAX_LISTED: usize = 10_000;
/// How many members of a channel its admins can list.
const MAX_LISTED_CHANNEL: usize = 200;

const FIRST_NAMES: [&str; 24] = [
    "Anna",
    "Ben",
    "Clara",
    "David",
    "Elena",
    "Felix",
    "Greta",
    "Henry",
    "Ines",
    "Jonas",
    "Kira",
    "Leo",
    "Анна",
    "Борис",
    "Вера",
    "Глеб",
    "Дарья",
    "Егор",
    "Жанна",
    "Иван",
    "Ксения",
    "Лев",
    "Мария",
    "Николай",
];
const LAST_NAMES: [&str; 12] = [
    "Adler",
    "Berg",
    "Costa",
    "Dahl",
    "Evans",
    "Fischer",
    "Иванова",
    "Козлов",
    "Морозова",
    "Новиков",
    "Petrov",
    "Sato",
];
const LINES: [&str; 8] = [
    "Has anybody tried the new release?",
    "Yes, it works well here.",
    "Кто идёт на встречу в четверг?",
    "I will be there.",
    "Where can I read more about it?",
    "The docs have a page on that.",
    "Thanks, found it!",
    "See you next week.",
];

/// How large a world made from a seed is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Our accounts, `sales-1` and so on.
    pub accounts: usize,
    /// Everybody else.
    pub people: usize,
    /// Places; the first four are always of the same kinds.
    pub groups: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            accounts: 2,
            people: 200,
            groups: 4,
        }
    }
}

impl WorldSpec {
    /// A made-up world: the same for the same seed and sizes.
    ///
    /// Of a hundred people about 3 are bots, 3 deleted, 12 premium, 5 closed to strangers, 2 want Premium of
    /// those who write, 1 charges stars; about two thirds have a username, a quarter a known phone.
    /// The places are the supergroup `@rust_meetup` and the channel `@our_channel` with its discussion group
    /// `@our_channel_chat` (made by the first account), the supergroup `@other_place` (made by a person), then
    /// basic groups and further supergroups in turn. About 8 in a hundred people answer, one of them `stop`.
    pub fn generate(seed: u64, sizes: Sizes) -> Self {
        let secret = seed.to_le_bytes();
        let draw =
            |what: &str, n: usize| keyed(&secret, &[what.as_bytes(), &(n as u64).to_le_bytes()]);
        let pick = |list: &[&str], what: &str, n: usize| {
            let at = draw(what, n) as usize % list.len().max(1);
            list.get(at).copied().unwrap_or("").to_owned()
        };
        let accounts: Vec<AccountSpec> = (1..=sizes.accounts)
            .map(|n| AccountSpec {
                name: format!("sales-{n}"),
                phone: Some(format!("+1555010{n:04}")),
                first_name: Some(pick(&FIRST_NAMES, "account", n)),
                username: Some(format!("sales_account_{n}")),
                premium: n % 5 == 0,
                ..AccountSpec::default()
            })
            .collect();
        let people: Vec<PersonSpec> = (1..=sizes.people)
            .map(|n| {
                let share = |what: &str| draw(what, n) % 100;
                let (kind, trait_) = (share("kind"), share("trait"));
                let bot = kind < 3;
                let deleted = (3..6).contains(&kind);
                let plain = !bot && !deleted;
                PersonSpec {
                    username: match (bot, deleted) {
                        (true, _) => Some(format!("helper_{n}_bot")),
                        (_, true) => None,
                        _ => (share("username") < 65).then(|| format!("person_{n}")),
                    },
                    phone: (plain && share("phone") < 25)
                        .then(|| format!("+1555{:07}", 2_000_000 + n)),
                    first_name: (!deleted).then(|| pick(&FIRST_NAMES, "first", n)),
                    last_name: (plain && share("last") < 50)
                        .then(|| pick(&LAST_NAMES, "last name", n)),
                    bot,
                    deleted,
                    premium: plain && share("premium") < 12,
                    last_seen: match share("seen") {
                        0..5 => LastSeen::Online,
                        5..45 => LastSeen::Recently,
                        45..60 => LastSeen::LastWeek,
                        60..70 => LastSeen::LastMonth,
                        70..80 => LastSeen::Hidden,
                        ago => {
                            LastSeen::Ago(Span(std::time::Duration::from_secs((ago - 79) * 40_000)))
                        }
                    },
                    privacy: if plain && trait_ < 5 {
                        Privacy::Contacts
                    } else {
                        Privacy::Everyone
                    },
                    invite_privacy: if plain && share("invite") < 20 {
                        Privacy::Contacts
                    } else {
                        Privacy::Everyone
                    },
                    premium_required: plain && (5..7).contains(&trait_),
                    charges: (plain && trait_ == 7).then_some(10),
                    too_many_chats: plain && trait_ == 8,
                    ..PersonSpec::default()
                }
            })
            .collect();
        let ours = accounts.first().map(|a| Ref::Name(a.name.clone()));
        let mut groups: Vec<GroupSpec> = vec![
            GroupSpec {
                title: "Rust meetup".into(),
                username: Some("rust_meetup".into()),
                about: "People who like Rust".into(),
                creator: ours.clone(),
                admins: accounts
                    .iter()
                    .skip(1)
                    .map(|a| Ref::Name(a.name.clone()))
                    .collect(),
                members: Some(Choice::Word("60%".into())),
                history: Some(History::Count(30)),
                ..GroupSpec::default()
            },
            GroupSpec {
                kind: GroupKind::Channel,
                title: "Our channel".into(),
                username: Some("our_channel".into()),
                creator: ours.clone(),
                members: Some(Choice::Word("40%".into())),
                discussion: Some("our_channel_chat".into()),
                history: Some(History::Count(10)),
                comments: 3,
                ..GroupSpec::default()
            },
            GroupSpec {
                title: "Our channel: chat".into(),
                username: Some("our_channel_chat".into()),
                creator: ours,
                members: Some(Choice::Word("20%".into())),
                ..GroupSpec::default()
            },
            GroupSpec {
                title: "Other place".into(),
                username: Some("other_place".into()),
                members: Some(Choice::Word("30%".into())),
                history: Some(History::Count(20)),
                ..GroupSpec::default()
            },
        ];
        for n in groups.len()..sizes.groups {
            let basic = n % 2 == 0;
            groups.push(GroupSpec {
                kind: if basic {
                    GroupKind::Basic
                } else {
                    GroupKind::Supergroup
                },
                title: format!("Group {n}"),
                username: (!basic).then(|| format!("group_{n}")),
                members: Some(if basic {
                    Choice::Count(20)
                } else {
                    Choice::Word("10%".into())
                }),
                history: Some(History::Count(5)),
                ..GroupSpec::default()
            });
        }
        groups.truncate(sizes.groups);
        // Without its discussion group the channel stands alone.
        if sizes.groups < 3
            && let Some(channel) = groups.get_mut(1)
        {
            channel.discussion = None;
        }
        let reply = |share: &str, texts: &[&str]| super::spec::ScriptSpec {
            people: Some(Choice::Word(share.into())),
            reply: Some(super::spec::Replies::Many(
                texts.iter().map(|t| (*t).to_owned()).collect(),
            )),
            delay: Some(super::spec::SpanRange {
                from: Span(std::time::Duration::from_secs(5)),
                to: Span(std::time::Duration::from_secs(60)),
            }),
            ..super::spec::ScriptSpec::default()
        };
        Self {
            seed,
            accounts,
            people,
            groups,
            scripts: vec![
                reply("1%", &["stop"]),
                reply(
                    "7%",
                    &["Thanks, sounds interesting!", "Tell me more, please."],
                ),
            ],
            ..Self::default()
        }
    }
}

impl World {
    /// Brings a world file to life at `now` (milliseconds since 1970; ages of histories count back from it).
    ///
    /// # Errors
    /// When a reference names nobody, an id or name is used twice, or a size is beyond the limits.
    pub fn new(spec: &WorldSpec, now: i64) -> Result<Self, WorldError> {
        for (what, limit, got) in [
            ("accounts", MAX_ACCOUNTS, spec.accounts.len()),
            ("people", MAX_PEOPLE, spec.people.len()),
            ("groups", MAX_GROUPS, spec.groups.len()),
        ] {
            if got > limit {
                return Err(WorldError::TooMany { what, limit, got });
            }
        }
        let mut world = Self {
            seed: spec.seed,
            secret: digest(b"tidings sandbox", &[&spec.seed.to_le_bytes()]),
            accounts: Vec::new(),
            users: Vec::new(),
            groups: Vec::new(),
            user_at: HashMap::new(),
            group_at: HashMap::new(),
            names: HashMap::new(),
            phones: HashMap::new(),
            account_at: HashMap::new(),
            scripts: spec.scripts.clone(),
            script_turns: HashMap::new(),
            faults: spec.faults.iter().cloned().map(ArmedRule::new).collect(),
            updates: spec.updates,
            agenda: BinaryHeap::new(),
            order: 0,
            uploads: HashMap::new(),
            files: HashMap::new(),
            pushes: Vec::new(),
            speed: 1.0,
        };
        world.add_users(spec)?;
        for (n, group) in spec.groups.iter().enumerate() {
            world.add_group(group, n, now)?;
        }
        for (at, group) in spec.groups.iter().enumerate() {
            world.link(at, group)?;
        }
        for (at, group) in spec.groups.iter().enumerate() {
            world.fill_history(at, group, now)?;
        }
        for (at, account) in spec.accounts.iter().enumerate() {
            for reference in &account.contacts {
                let user = world.want(reference, || format!("contacts of {}", account.name))?;
                if let Some(owner) = world.accounts.get_mut(at) {
                    owner.contacts.insert(user);
                }
            }
            for dialog in &account.dialogs {
                world.fill_dialog(at, dialog, now)?;
            }
        }
        for script in &spec.scripts {
            if let Some(Choice::List(list)) = &script.people {
                for reference in list {
                    world.want(reference, || "a script's people".into())?;
                }
            }
        }
        world.pushes.clear();
        Ok(world)
    }

    fn want(&self, reference: &Ref, place: impl FnOnce() -> String) -> Result<usize, WorldError> {
        self.find_user(reference)
            .ok_or_else(|| WorldError::Unknown {
                place: place(),
                reference: reference.to_string(),
            })
    }

    fn add_users(&mut self, spec: &WorldSpec) -> Result<(), WorldError> {
        for (n, account) in spec.accounts.iter().enumerate() {
            let name = if account.name.is_empty() {
                format!("account-{}", n + 1)
            } else {
                account.name.clone()
            };
            let user = User {
                id: account.id.unwrap_or(ACCOUNT_IDS + n as i64),
                account: Some(n),
                username: account.username.clone(),
                phone: Some(
                    account
                        .phone
                        .clone()
                        .unwrap_or_else(|| format!("+1555019{n:04}")),
                ),
                first_name: account.first_name.clone().unwrap_or_else(|| name.clone()),
                last_name: account.last_name.clone(),
                premium: account.premium,
                ..User::default()
            };
            let at = self.add_user(user)?;
            if self.account_at.insert(name.clone(), n).is_some() {
                return Err(WorldError::Twice(format!("the account name {name:?}")));
            }
            self.accounts.push(account_of(
                &AccountSpec {
                    name,
                    ..account.clone()
                },
                at,
            ));
        }
        for (n, person) in spec.people.iter().enumerate() {
            let id = person.id.unwrap_or(PEOPLE_IDS + n as i64);
            let first_name = match (&person.first_name, &person.username) {
                (Some(name), _) => name.clone(),
                (None, _) if person.deleted => String::new(),
                (None, Some(username)) => username.clone(),
                (None, None) => format!("Person {}", n + 1),
            };
            let mut user = User::of_person(person, id, first_name);
            for (list, set) in [
                (&person.blocks, &mut user.blocks),
                (&person.blocked_by, &mut user.blocked_by),
            ] {
                for name in list {
                    let at = self
                        .account_at
                        .get(name)
                        .ok_or_else(|| WorldError::Unknown {
                            place: format!("blocks of person {id}"),
                            reference: name.clone(),
                        })?;
                    set.insert(*at);
                }
            }
            self.add_user(user)?;
        }
        Ok(())
    }

    fn add_user(&mut self, user: User) -> Result<usize, WorldError> {
        let at = self.users.len();
        if self.user_at.insert(user.id, at).is_some() {
            return Err(WorldError::Twice(format!("the user id {}", user.id)));
        }
        if let Some(name) = &user.username {
            self.add_name(name, Peer::User(user.id))?;
        }
        if let Some(phone) = &user.phone
            && self.phones.insert(digits(phone), at).is_some()
        {
            return Err(WorldError::Twice(format!("the phone {phone}")));
        }
        self.users.push(user);
        Ok(at)
    }

    fn add_name(&mut self, name: &str, peer: Peer) -> Result<(), WorldError> {
        match self
            .names
            .insert(name.trim_start_matches('@').to_lowercase(), peer)
        {
            None => Ok(()),
            Some(_) => Err(WorldError::Twice(format!("the username @{name}"))),
        }
    }

    fn add_group(&mut self, spec: &GroupSpec, n: usize, now: i64) -> Result<(), WorldError> {
        let basic = spec.kind == GroupKind::Basic;
        let id = spec
            .id
            .unwrap_or(if basic { CHAT_IDS } else { CHANNEL_IDS } + n as i64);
        let place = || format!("group {:?}", spec.title);
        // Far enough back that every member's joining lies between.
        let made = secs(now) - 400 * 86_400;
        let creator = match &spec.creator {
            Some(reference) => self.want(reference, place)?,
            None => self
                .users
                .iter()
                .position(|u| u.account.is_none() && !u.bot && !u.deleted)
                .unwrap_or(0),
        };
        let mut group = Group {
            id,
            kind: spec.kind,
            title: spec.title.clone(),
            username: spec.username.clone(),
            about: spec.about.clone(),
            date: made,
            creator,
            admins: HashSet::new(),
            members: Vec::new(),
            member_at: HashMap::new(),
            hidden_members: spec.hidden_members,
            listed: spec.listed.unwrap_or(if spec.kind == GroupKind::Channel {
                MAX_LISTED_CHANNEL
            } else {
                MAX_LISTED
            }),
            min_users: spec.min_users,
            write: spec.write,
            slowmode: spec.slowmode.map_or(0, Span::secs),
            linked: None,
            messages: Vec::new(),
            threads: HashMap::new(),
            pts: 1,
            kicked: HashSet::new(),
            wrote: HashMap::new(),
            join_requests: spec.join_requests,
            member_limit: spec
                .member_limit
                .unwrap_or(if basic { 200 } else { 200_000 }),
        };
        let creator_id = self.users.get(creator).map_or(0, |u| u.id);
        if !self.users.is_empty() {
            group.add(creator, made, creator_id);
        }
        for reference in &spec.admins {
            let admin = self.want(reference, place)?;
            group.admins.insert(admin);
            group.add(admin, made + 1, creator_id);
        }
        match &spec.accounts {
            None => {
                for account in &self.accounts {
                    group.add(account.user, made + 2, creator_id);
                }
            }
            Some(names) => {
                for name in names {
                    let user = self.want(&Ref::Name(name.clone()), place)?;
                    group.add(user, made + 2, creator_id);
                }
            }
        }
        for reference in &spec.kicked {
            group.kicked.insert(self.want(reference, place)?);
        }
        for user in self.choose(spec.members.as_ref(), id)? {
            let user_id = self.users.get(user).map_or(0, |u| u.id);
            let days = keyed(
                &self.secret,
                &[b"joined", &id.to_le_bytes(), &user_id.to_le_bytes()],
            ) % 398;
            group.add(
                user,
                made + 86_400 + i32::try_from(days * 86_400).unwrap_or(0),
                user_id,
            );
        }
        let peer = group.peer();
        if self.group_at.insert(peer, self.groups.len()).is_some() {
            return Err(WorldError::Twice(format!("the id {id} of a group")));
        }
        if let Some(name) = &group.username {
            self.add_name(name, peer)?;
        }
        self.groups.push(group);
        Ok(())
    }

    /// The chosen people, as user indexes in the order of the world.
    fn choose(&self, choice: Option<&Choice>, salt: i64) -> Result<Vec<usize>, WorldError> {
        let people = || {
            self.users
                .iter()
                .enumerate()
                .filter(|(_, u)| u.account.is_none())
        };
        let draw = |id: i64| {
            keyed(
                &self.secret,
                &[b"member", &salt.to_le_bytes(), &id.to_le_bytes()],
            )
        };
        Ok(match choice {
            None => Vec::new(),
            Some(Choice::List(list)) => {
                let mut chosen = Vec::with_capacity(list.len());
                for reference in list {
                    chosen.push(self.want(reference, || format!("members of group {salt}"))?);
                }
                chosen
            }
            Some(Choice::Count(count)) => {
                let mut all: Vec<(u64, usize)> = people().map(|(at, u)| (draw(u.id), at)).collect();
                all.sort_unstable();
                all.truncate(*count);
                let mut chosen: Vec<usize> = all.into_iter().map(|(_, at)| at).collect();
                chosen.sort_unstable();
                chosen
            }
            Some(choice @ Choice::Word(word)) => {
                let share = choice.share().ok_or_else(|| WorldError::Unknown {
                    place: format!("members of group {salt}"),
                    reference: word.clone(),
                })?;
                people()
                    .filter(|(_, u)| (draw(u.id) >> 11) as f64 / (1u64 << 53) as f64 <= share)
                    .map(|(at, _)| at)
                    .collect()
            }
        })
    }

    fn link(&mut self, at: usize, spec: &GroupSpec) -> Result<(), WorldError> {
        let Some(name) = &spec.discussion else {
            return Ok(());
        };
        let wanted = name.trim_start_matches('@');
        let other = self
            .groups
            .iter()
            .position(|g| {
                g.username
                    .as_deref()
                    .is_some_and(|u| u.eq_ignore_ascii_case(wanted))
                    || g.title == *name
            })
            .ok_or_else(|| WorldError::Unknown {
                place: format!("discussion of {:?}", spec.title),
                reference: name.clone(),
            })?;
        if let Some(group) = self.groups.get_mut(at) {
            group.linked = Some(other);
        }
        if let Some(group) = self.groups.get_mut(other) {
            group.linked = Some(at);
        }
        Ok(())
    }

    fn fill_history(&mut self, at: usize, spec: &GroupSpec, now: i64) -> Result<(), WorldError> {
        let lines: Vec<LineSpec> = match &spec.history {
            None => return Ok(()),
            Some(History::Lines(lines)) => lines.clone(),
            Some(History::Count(count)) => {
                let comment = |n: usize| LineSpec {
                    text: LINES.get(n % LINES.len()).copied().unwrap_or("").into(),
                    ..LineSpec::default()
                };
                (0..*count)
                    .map(|n| {
                        // Seven hours apart, the youngest an hour old: some days hold three, some four.
                        let ago = Span(std::time::Duration::from_secs(
                            3_600 + (*count - 1 - n) as u64 * 7 * 3_600,
                        ));
                        let comments = (0..spec.comments)
                            .map(comment)
                            .map(|c| LineSpec {
                                ago: Span(ago.0 / 2),
                                ..c
                            })
                            .collect();
                        LineSpec {
                            ago,
                            comments,
                            ..comment(n)
                        }
                    })
                    .collect()
            }
        };
        for (n, line) in lines.iter().enumerate() {
            let id = self.write_line(at, line, n, None, now)?;
            if line.comments.is_empty() {
                continue;
            }
            let Some(discussion) = self.groups.get(at).and_then(|g| g.linked) else {
                continue;
            };
            // The post arrives in the discussion group as the thread's first message, in the channel's name.
            let top = self.write_line(
                discussion,
                &LineSpec {
                    comments: Vec::new(),
                    anonymous: true,
                    ..line.clone()
                },
                n,
                None,
                now,
            )?;
            if let Some(group) = self.groups.get_mut(at) {
                group.threads.insert(id, top);
            }
            for (k, comment) in line.comments.iter().enumerate() {
                self.write_line(discussion, comment, n * 31 + k, Some(top), now)?;
            }
        }
        Ok(())
    }

    /// Writes one line of a place's past; returns its id (for a basic group, in the first account's box).
    fn write_line(
        &mut self,
        at: usize,
        line: &LineSpec,
        n: usize,
        top: Option<i32>,
        now: i64,
    ) -> Result<i32, WorldError> {
        let Some(group) = self.groups.get(at) else {
            return Ok(0);
        };
        let post = group.kind == GroupKind::Channel;
        let from = match &line.from {
            Some(reference) => {
                Some(self.want(reference, || format!("history of {:?}", group.title))?)
            }
            None if post || line.anonymous => None,
            None => {
                let writers: Vec<usize> = group
                    .members
                    .iter()
                    .map(|m| m.user)
                    .filter(|u| {
                        self.users
                            .get(*u)
                            .is_some_and(|u| u.account.is_none() && !u.deleted && !u.bot)
                    })
                    .take(64)
                    .collect();
                let draw = keyed(
                    &self.secret,
                    &[
                        b"author",
                        &group.id.to_le_bytes(),
                        &(n as u64).to_le_bytes(),
                    ],
                );
                writers.get(draw as usize % writers.len().max(1)).copied()
            }
        };
        let from = from.and_then(|u| self.users.get(u)).map(|u| u.id);
        let mut msg = Msg {
            id: 0,
            peer: group.peer(),
            from: if post { None } else { from },
            out: false,
            date: secs(now - line.ago.ms()),
            edited: None,
            text: line.text.as_str().into(),
            entities: Vec::new(),
            media: None,
            reply_to: top,
            top,
            pts: 0,
        };
        if group.kind != GroupKind::Basic {
            return Ok(self.append(at, msg));
        }
        let members: Vec<usize> = (0..self.accounts.len())
            .filter(|a| group.is_member(self.self_user(*a)))
            .collect();
        let mut first = 0;
        for account in members {
            msg.out = from == Some(self.self_id(account));
            let id = self.store(account, msg.clone(), None);
            if first == 0 {
                first = id;
            }
        }
        Ok(first)
    }

    /// Appends a message to a supergroup's or channel's box.
    pub(super) fn append(&mut self, at: usize, mut msg: Msg) -> i32 {
        let Some(group) = self.groups.get_mut(at) else {
            return 0;
        };
        group.pts += 1;
        msg.id = i32::try_from(group.messages.len()).unwrap_or(i32::MAX - 1) + 1;
        msg.pts = group.pts;
        let id = msg.id;
        group.messages.push(msg);
        id
    }

    fn fill_dialog(
        &mut self,
        account: usize,
        spec: &DialogSpec,
        now: i64,
    ) -> Result<(), WorldError> {
        let user = self.want(&spec.with, || "a dialog".into())?;
        let other = self.users.get(user).map_or(0, |u| u.id);
        let own = self.self_id(account);
        let peer = Peer::User(other);
        if let Some(owner) = self.accounts.get_mut(account) {
            owner.dialogs.entry(peer).or_insert_with(Dialog::default);
        }
        for line in &spec.messages {
            let msg = Msg {
                id: 0,
                peer,
                from: Some(if line.out { own } else { other }),
                out: line.out,
                date: secs(now - line.ago.ms()),
                edited: None,
                text: line.text.as_str().into(),
                entities: Vec::new(),
                media: None,
                reply_to: None,
                top: None,
                pts: 0,
            };
            let id = self.store(account, msg, None);
            if let Some(owner) = self.accounts.get_mut(account) {
                if line.out {
                    owner.first_contacts.insert(other);
                }
                // The past is read, on both sides.
                if let Some(dialog) = owner.dialogs.get_mut(&peer) {
                    dialog.read_inbox = id;
                    dialog.read_outbox = id;
                }
                debug_assert!(matches!(owner.changes.last(), Some(Change::Message(_))));
            }
        }
        Ok(())
    }
}

//! People of a place, under posts, in dialogs and address books: one call of Telegram a step.
//!
//! **Guarantees.** Each step is one call, and its cursor holds everything that the next one needs: a wait that Telegram
//! asks for, a broken connection and a restart lose no step. A cursor holds ids and access hashes, never names.

mod cursor;
mod history;

use std::collections::{BTreeSet, HashMap};

use grammers_tl_types::{enums, functions, types};

use crate::model::reaction::{Reaction, react};
use crate::model::{PersonId, Reference, Timestamp};

use super::decode;
use super::grammers::Client;
use super::{CallError, Cursor, MEMBERS_PAGE, Met, Place, PlaceKind, Seen};
use cursor::{After, At, PeerRef, Step};
use history::{Messages, author, date_of, id_of, is_older};

/// Whom to look for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Find {
    /// Participants of a group or channel.
    Members {
        /// Which.
        place: Reference,
    },
    /// Who wrote in a group.
    Authors {
        /// Which.
        place: Reference,
        /// Not before; ever where absent.
        since: Option<Timestamp>,
    },
    /// Who commented under a channel's last posts.
    Commenters {
        /// Which.
        place: Reference,
        /// How many posts.
        posts: u32,
    },
    /// Who has written to the account in private.
    Dialogs {
        /// Not before; ever where absent.
        since: Option<Timestamp>,
    },
    /// Its address book.
    Contacts,
}

impl Find {
    /// Whether its first step looks a username up.
    pub fn names_a_username(&self) -> bool {
        matches!(self.place(), Some(Reference::Username(_)))
    }

    fn place(&self) -> Option<&Reference> {
        match self {
            Find::Members { place }
            | Find::Authors { place, .. }
            | Find::Commenters { place, .. } => Some(place),
            Find::Dialogs { .. } | Find::Contacts => None,
        }
    }
}

/// One step of a look-up.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundPage {
    /// Who was found. Who came as `min` may come again in a later step, then with an access hash.
    pub people: Vec<Met>,
    /// Absent when the look-up is done.
    pub next: Option<Cursor>,
    /// How many people there are, where Telegram tells.
    pub total: Option<u64>,
    /// Only at the end: why this is not everybody, and how to find more.
    pub partial: Option<String>,
    /// Whether the account is creator or admin of the place (true where there is no place).
    pub admin: bool,
}

/// The most messages or dialogs that are asked for at once (core.telegram.org/method/messages.getHistory).
const PAGE: i32 = 100;

/// Users in one `users.getUsers`: no limit is documented, a page's worth never exceeds it.
const USERS_AT_ONCE: usize = 100;

/// Pages of a dialog that are read to find a message of the other side, where the newest one is the account's own: who
/// said nothing among the last 500 messages is no conversation.
const DIALOG_PAGES: u32 = 5;

/// Telegram's own service account, which writes login codes (core.telegram.org/api/auth).
const SERVICE_ACCOUNT: i64 = 777_000;

/// How else to find people of a place that does not show them.
const WIDEN_GROUP: &str =
    "a source of type `authors` finds those who write there, whoever may list the members";
const WIDEN_CHANNEL: &str = "a source of type `commenters` finds those who comment under its posts";

impl Client {
    /// The next step of a look-up. `seen`: who was found by earlier steps; he is not named again.
    pub(super) async fn find(
        &self,
        what: &Find,
        cursor: Option<&Cursor>,
        seen: &Seen,
    ) -> Result<FoundPage, CallError> {
        let at = match cursor {
            Some(cursor) => At::parse(cursor)?,
            None => At::begin(what),
        };
        if !at.min.is_empty() {
            return self.ask_for_min(at).await;
        }
        match at.step.clone() {
            Step::Place => self.find_place(what, at).await,
            Step::Members(offset) => self.find_members(at, offset).await,
            Step::History(offset) => {
                let since = match what {
                    Find::Authors { since, .. } => *since,
                    _ => None,
                };
                self.find_authors(at, offset, since, seen).await
            }
            Step::Discussion => self.find_discussion(what, at).await,
            Step::Posts(offset, left) => self.find_posts(at, offset, left).await,
            Step::Comments(posts, offset, then) => {
                self.find_comments(at, posts, offset, then, seen).await
            }
            Step::Dialogs(after, folder) => self.find_dialogs(what, at, after, folder, seen).await,
            Step::Check(people, offset, pages, then) => {
                self.check_dialog(what, at, people, offset, pages, *then)
                    .await
            }
            Step::Contacts => self.find_contacts(at).await,
        }
    }

    async fn find_place(&self, what: &Find, mut at: At) -> Result<FoundPage, CallError> {
        use super::AccountClient as _;
        let Some(reference) = what.place() else {
            return Err(CallError::Unexpected(
                "this source names no place".to_owned(),
            ));
        };
        let place = self.place(reference).await?;
        at.step = match (what, place.kind) {
            (Find::Authors { .. }, PlaceKind::Channel) => {
                return Err(CallError::Unfit(format!(
                    "{reference} is a channel, whose posts name nobody: `authors` reads groups, `commenters` finds \
                     who writes under a channel's posts"
                )));
            }
            (Find::Commenters { .. }, PlaceKind::BasicGroup | PlaceKind::Supergroup) => {
                return Err(CallError::Unfit(format!(
                    "{reference} is a group: `commenters` reads channels, `authors` finds who writes in a group"
                )));
            }
            (Find::Authors { .. }, _) => Step::History(0),
            (Find::Commenters { .. }, _) => Step::Discussion,
            _ => Step::Members(0),
        };
        let total = match what {
            Find::Members { .. } => place.members.and_then(|n| u64::try_from(n).ok()),
            _ => None,
        };
        at.place = Some(place);
        at.page(Vec::new(), total)
    }

    async fn find_members(&self, mut at: At, offset: i32) -> Result<FoundPage, CallError> {
        use super::AccountClient as _;
        let place = place_of(&at)?.clone();
        let cursor = (offset > 0).then(|| Cursor(offset.to_string()));
        let widen = match place.kind {
            PlaceKind::Channel => WIDEN_CHANNEL,
            PlaceKind::Supergroup | PlaceKind::BasicGroup => WIDEN_GROUP,
        };
        let page = match self.members_page(&place, cursor, MEMBERS_PAGE).await {
            Err(CallError::Rpc(fault)) if fault.base() == "CHAT_ADMIN_REQUIRED" => {
                return Err(CallError::Unfit(format!(
                    "{} shows its members to its admins only ({}): make the account an admin, or use another source: \
                     {widen}",
                    place.title, fault.message
                )));
            }
            other => other?,
        };
        let total = page.total.and_then(|n| u64::try_from(n).ok());
        match page.next.and_then(|next| next.0.parse().ok()) {
            Some(next) => {
                at.step = Step::Members(next);
                at.page(page.people, total)
            }
            None => at.end(
                page.people,
                page.partial.map(|why| format!("{why}; {widen}")),
            ),
        }
    }

    async fn find_authors(
        &self,
        mut at: At,
        offset: i32,
        since: Option<Timestamp>,
        seen: &Seen,
    ) -> Result<FoundPage, CallError> {
        let peer = PeerRef::of_place(place_of(&at)?);
        let page = Messages::of(self.invoke(&history(peer, offset, PAGE)).await?)?;
        // Messages come newest first: the first that is too old ends it.
        let too_old =
            |message: &&enums::Message| date_of(message).is_some_and(|d| is_older(d, since));
        let over = page.messages.iter().any(|message| too_old(&message));
        let young: Vec<&enums::Message> = page.messages.iter().filter(|m| !too_old(m)).collect();
        let people = self.writers(&mut at, peer, &young, &page.users, seen);
        match page.next(offset).filter(|_| !over) {
            Some(next) => {
                at.step = Step::History(next);
                at.page(people, None)
            }
            None => at.end(people, None),
        }
    }

    /// Who wrote these messages, each once; whoever came as `min` is asked for next.
    fn writers(
        &self,
        at: &mut At,
        peer: PeerRef,
        messages: &[&enums::Message],
        users: &[enums::User],
        seen: &Seen,
    ) -> Vec<Met> {
        let by_id: HashMap<i64, &enums::User> =
            users.iter().map(|user| (user.id(), user)).collect();
        let mut named = BTreeSet::new();
        let mut people = Vec::new();
        for (user, message) in messages.iter().filter_map(|message| author(message)) {
            if seen.contains(&PersonId(user)) || !named.insert(user) {
                continue;
            }
            let met = by_id
                .get(&user)
                .and_then(|user| decode::met(user, self.own_name(), super::now()));
            match met {
                Some(met) if is_self(by_id.get(&user)) => people.push(met),
                Some(met) => {
                    if met.min {
                        at.min.push((user, message.id));
                        at.min_in = Some(peer);
                    }
                    people.push(met);
                }
                // Named, and not described: an answer may leave out whom the client should know already.
                None if !by_id.contains_key(&user) => {
                    at.min.push((user, message.id));
                    at.min_in = Some(peer);
                }
                None => {}
            }
        }
        people
    }

    /// Asks for people by the messages that show them (core.telegram.org/api/min).
    async fn ask_for_min(&self, mut at: At) -> Result<FoundPage, CallError> {
        let rest = at.min.split_off(at.min.len().min(USERS_AT_ONCE));
        let asked = std::mem::replace(&mut at.min, rest);
        let mut people = Vec::new();
        if let Some(peer) = at.min_in {
            let id = asked
                .iter()
                .map(|(user_id, msg_id)| {
                    types::InputUserFromMessage {
                        peer: peer.input(),
                        msg_id: *msg_id,
                        user_id: *user_id,
                    }
                    .into()
                })
                .collect();
            match self.invoke(&functions::users::GetUsers { id }).await {
                Ok(users) => {
                    let wanted: BTreeSet<i64> = asked.iter().map(|(user, _)| *user).collect();
                    people.extend(
                        users
                            .iter()
                            .filter(|user| wanted.contains(&user.id()))
                            .filter_map(|user| decode::met(user, self.own_name(), super::now())),
                    );
                }
                // A message that is gone by now shows nobody: they stay without an address.
                Err(CallError::Rpc(fault))
                    if matches!(
                        react(&fault),
                        Reaction::LookUpAgain
                            | Reaction::FailRecipient
                            | Reaction::SkipRecipient { .. }
                    ) => {}
                Err(error) => return Err(error),
            }
        }
        if at.last && at.min.is_empty() {
            return at.end(people, None);
        }
        at.page(people, None)
    }

    async fn find_discussion(&self, what: &Find, mut at: At) -> Result<FoundPage, CallError> {
        let place = place_of(&at)?;
        let request = functions::channels::GetFullChannel {
            channel: types::InputChannel {
                channel_id: place.id,
                access_hash: place.access_hash,
            }
            .into(),
        };
        let enums::messages::ChatFull::Full(answer) = self.invoke(&request).await?;
        if let enums::ChatFull::ChannelFull(full) = &answer.full_chat
            && full.linked_chat_id.is_none()
        {
            return Err(CallError::Unfit(format!(
                "{} has no discussion group, so that nobody can comment there",
                place.title
            )));
        }
        let posts = match what {
            Find::Commenters { posts, .. } => *posts,
            _ => 0,
        };
        at.step = Step::Posts(0, posts);
        at.page(Vec::new(), None)
    }

    async fn find_posts(&self, mut at: At, offset: i32, left: u32) -> Result<FoundPage, CallError> {
        let peer = PeerRef::of_place(place_of(&at)?);
        let limit = i32::try_from(left).unwrap_or(PAGE).clamp(1, PAGE);
        let page = Messages::of(self.invoke(&history(peer, offset, limit)).await?)?;
        let mut left = left;
        let mut commented = Vec::new();
        let mut album = None;
        for message in &page.messages {
            let enums::Message::Message(post) = message else {
                continue;
            };
            // The pictures of an album are one post.
            if post.grouped_id.is_none() || post.grouped_id != album {
                if left == 0 {
                    break;
                }
                left -= 1;
            }
            album = post.grouped_id;
            if let Some(enums::MessageReplies::Replies(replies)) = &post.replies
                && replies.comments
                && replies.replies > 0
            {
                commented.push(post.id);
            }
        }
        let next = page.next(offset).filter(|_| left > 0);
        let then = (next.unwrap_or(0), next.map_or(0, |_| left));
        at.step = match (commented.is_empty(), next) {
            (false, _) => Step::Comments(commented, 0, then),
            (true, Some(_)) => Step::Posts(then.0, then.1),
            (true, None) => return at.end(Vec::new(), None),
        };
        at.page(Vec::new(), None)
    }

    async fn find_comments(
        &self,
        mut at: At,
        mut posts: Vec<i32>,
        offset: i32,
        then: (i32, u32),
        seen: &Seen,
    ) -> Result<FoundPage, CallError> {
        let Some(post) = posts.first().copied() else {
            return at.end(Vec::new(), None);
        };
        let request = functions::messages::GetReplies {
            peer: PeerRef::of_place(place_of(&at)?).input(),
            msg_id: post,
            offset_id: offset,
            offset_date: 0,
            add_offset: 0,
            limit: PAGE,
            max_id: 0,
            min_id: 0,
            hash: 0,
        };
        let page = match self.invoke(&request).await {
            Ok(answer) => Messages::of(answer)?,
            // The post was deleted, or its thread.
            Err(CallError::Rpc(fault))
                if fault.base().starts_with("MSG_ID") || fault.base() == "MESSAGE_ID_INVALID" =>
            {
                Messages {
                    messages: Vec::new(),
                    users: Vec::new(),
                    chats: Vec::new(),
                    whole: true,
                }
            }
            Err(error) => return Err(error),
        };
        // Comments stand in the discussion group, which the answer brings along.
        let group = page.messages.iter().find_map(|message| match message {
            enums::Message::Message(one) => match &one.peer_id {
                enums::Peer::Channel(peer) => decode::place_among(&page.chats, peer.channel_id),
                _ => None,
            },
            _ => None,
        });
        let peer = PeerRef::of_place(match &group {
            Some(group) => group,
            None => place_of(&at)?,
        });
        let all: Vec<&enums::Message> = page.messages.iter().collect();
        let people = self.writers(&mut at, peer, &all, &page.users, seen);
        if let Some(next) = page.next(offset) {
            at.step = Step::Comments(posts, next, then);
            return at.page(people, None);
        }
        posts.remove(0);
        if !posts.is_empty() {
            at.step = Step::Comments(posts, 0, then);
        } else if then.1 > 0 {
            at.step = Step::Posts(then.0, then.1);
        } else {
            return at.end(people, None);
        }
        at.page(people, None)
    }

    async fn find_dialogs(
        &self,
        what: &Find,
        mut at: At,
        after: Option<After>,
        folder: Option<i32>,
        seen: &Seen,
    ) -> Result<FoundPage, CallError> {
        let since = since_of(what);
        let request = functions::messages::GetDialogs {
            exclude_pinned: after.is_some(),
            folder_id: folder,
            offset_date: after.map_or(0, |a| a.0),
            offset_id: after.map_or(0, |a| a.1),
            offset_peer: after.map_or(enums::InputPeer::Empty, |a| a.2.input()),
            limit: PAGE,
            hash: 0,
        };
        let page = decode::dialogs(self.invoke(&request).await?)?;
        let users: HashMap<i64, &enums::User> =
            page.users.iter().map(|user| (user.id(), user)).collect();
        let mut people = Vec::new();
        let mut check = Vec::new();
        // Dialogs come by the date of their newest message, pinned ones first.
        let mut over = false;
        for dialog in &page.dialogs {
            let dialog = match dialog {
                enums::Dialog::Dialog(dialog) => dialog,
                enums::Dialog::Folder(archived) => {
                    let enums::Folder::Folder(archive) = &archived.folder;
                    if folder.is_none() {
                        at.folder = Some(archive.id);
                    }
                    continue;
                }
                enums::Dialog::Community(_) => continue,
            };
            let top = page.messages.iter().find(|m| {
                id_of(m) == dialog.top_message && decode::peer_of(m) == Some(&dialog.peer)
            });
            if let Some(date) = top.and_then(date_of)
                && is_older(date, since)
            {
                over |= !dialog.pinned;
                continue;
            }
            let enums::Peer::User(peer) = &dialog.peer else {
                continue;
            };
            let Some(user) = users.get(&peer.user_id) else {
                continue;
            };
            if is_self(Some(user)) || is_service(user) || seen.contains(&PersonId(peer.user_id)) {
                continue;
            }
            let Some(met) = decode::met(user, self.own_name(), super::now()) else {
                continue;
            };
            match top {
                Some(enums::Message::Message(message)) if !message.out => people.push(met),
                _ => {
                    if let Some(hash) = met.person.hashes.get(self.own_name()) {
                        check.push((peer.user_id, *hash));
                    }
                }
            }
        }
        let next = page.next.as_ref().and_then(After::of);
        let then = match next
            .filter(|next| !over && after.is_none_or(|a| (a.0, a.1) != (next.0, next.1)))
        {
            Some(next) => Some(Step::Dialogs(Some(next), folder)),
            None => at
                .folder
                .take()
                .map(|archive| Step::Dialogs(None, Some(archive))),
        };
        if !check.is_empty() {
            at.step = Step::Check(check, 0, DIALOG_PAGES, Box::new(then));
            return at.page(people, None);
        }
        match then {
            Some(step) => {
                at.step = step;
                at.page(people, None)
            }
            None => at.end(people, None),
        }
    }

    /// Whether somebody has written, where the dialog's newest message is the account's own.
    async fn check_dialog(
        &self,
        what: &Find,
        mut at: At,
        mut check: Vec<(i64, i64)>,
        offset: i32,
        pages: u32,
        then: Option<Step>,
    ) -> Result<FoundPage, CallError> {
        let since = since_of(what);
        let mut people = Vec::new();
        if let Some((user, hash)) = check.first().copied() {
            let page = match self
                .invoke(&history(PeerRef::User(user, hash), offset, PAGE))
                .await
            {
                Ok(answer) => Messages::of(answer)?,
                // He cannot be addressed any more: no dialog.
                Err(CallError::Rpc(fault)) if react(&fault) == Reaction::LookUpAgain => Messages {
                    messages: Vec::new(),
                    users: Vec::new(),
                    chats: Vec::new(),
                    whole: true,
                },
                Err(error) => return Err(error),
            };
            let wrote = page.messages.iter().any(|message| match message {
                enums::Message::Message(one) => !one.out && !is_older(one.date, since),
                _ => false,
            });
            let over = page
                .messages
                .iter()
                .any(|m| date_of(m).is_some_and(|d| is_older(d, since)));
            if wrote {
                let known = page.users.iter().find(|one| one.id() == user);
                people.extend(
                    known
                        .and_then(|user| decode::met(user, self.own_name(), super::now()))
                        .or_else(|| {
                            Some(decode::only_address(
                                user,
                                hash,
                                self.own_name(),
                                super::now(),
                            ))
                        }),
                );
            } else if let Some(next) = page.next(offset).filter(|_| !over && pages > 1) {
                at.step = Step::Check(check, next, pages - 1, Box::new(then));
                return at.page(people, None);
            }
            check.remove(0);
        }
        if !check.is_empty() {
            at.step = Step::Check(check, 0, DIALOG_PAGES, Box::new(then));
            return at.page(people, None);
        }
        match then {
            Some(step) => {
                at.step = step;
                at.page(people, None)
            }
            None => at.end(people, None),
        }
    }

    async fn find_contacts(&self, at: At) -> Result<FoundPage, CallError> {
        let answer = self
            .invoke(&functions::contacts::GetContacts { hash: 0 })
            .await?;
        let enums::contacts::Contacts::Contacts(book) = answer else {
            return Err(CallError::Unexpected(
                "it says that the contacts did not change, which was not asked".to_owned(),
            ));
        };
        let users: HashMap<i64, &enums::User> =
            book.users.iter().map(|user| (user.id(), user)).collect();
        let people = book
            .contacts
            .iter()
            .filter_map(|enums::Contact::Contact(contact)| {
                let user = users.get(&contact.user_id)?;
                (!is_self(Some(user)))
                    .then(|| decode::met(user, self.own_name(), super::now()))
                    .flatten()
            })
            .collect();
        at.end(people, None)
    }
}

fn since_of(what: &Find) -> Option<Timestamp> {
    match what {
        Find::Authors { since, .. } | Find::Dialogs { since } => *since,
        _ => None,
    }
}

fn place_of(at: &At) -> Result<&Place, CallError> {
    at.place
        .as_ref()
        .ok_or_else(|| CallError::Unexpected("the place where a look-up stopped".to_owned()))
}

fn history(peer: PeerRef, offset_id: i32, limit: i32) -> functions::messages::GetHistory {
    functions::messages::GetHistory {
        peer: peer.input(),
        offset_id,
        offset_date: 0,
        add_offset: 0,
        limit,
        max_id: 0,
        min_id: 0,
        hash: 0,
    }
}

fn is_self(user: Option<&&enums::User>) -> bool {
    matches!(user, Some(enums::User::User(user)) if user.is_self)
}

/// Telegram's own accounts: nobody who could be a recipient.
fn is_service(user: &enums::User) -> bool {
    matches!(user, enums::User::User(user) if user.id == SERVICE_ACCOUNT || user.support)
}

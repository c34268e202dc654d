//! Private messages as they come in: what was missed first, then live, each once.
//!
//! Telegram counts the events of an account's private dialogs (`pts`). An event that does not follow the last one shows
//! a gap, and `updates.getDifference` tells what was in it (core.telegram.org/api/updates). Here the count only finds
//! gaps: whether a message was told already is known by its id, so that a server which counts differently loses nothing.
//!
//! Nothing here may stop a send: where a server knows no states or differences, live messages still come in.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use grammers_session::updates::UpdatesLike;
use grammers_tl_types::{Deserializable, RemoteCall, enums, functions, types};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

mod clock;
mod reread;

use crate::model::reaction::{Reaction, react};
use crate::model::{AccountName, PersonId, Timestamp};

use clock::{Clock, GAP_PATIENCE};

use super::connect::Connector;
use super::line::Came;
use super::{CallError, Heard, Incoming, Received, UpdatesState, decode};

/// After so long without a word from Telegram it is asked. Telegram names 15 minutes; a third of that finds a
/// connection that died without a sign sooner.
const SILENCE: Duration = Duration::from_secs(5 * 60);

/// The back-off after a failed connection (contract, section 6).
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// How often at most the moved state is told where no message tells it.
const STATE_EVERY: Duration = Duration::from_secs(60);

/// How many ids of told messages are remembered: more than a difference ever repeats.
const MAX_TOLD: usize = 10_000;

/// How many people are remembered as met, which spares a look-up when they write again.
const MAX_KNOWN: usize = 100_000;

/// How many slices of one difference are read before live updates get their turn again. A slice has up to 5,000 events.
const MAX_SLICES: usize = 1000;

/// Dialogs are read from this long before the last known moment, in seconds.
const OVERLAP: i32 = 120;

/// How much of what came in is taken at once, by accepted messages and reads of the connection: a burst of sends wakes this task once, not for each.
const BATCH: usize = 512;

/// After updates that told of nothing but one's own sends this task rests so long: each send of a burst leaves one, and
/// waking for each costs as much as the send's own bookkeeping.
const REST: Duration = Duration::from_millis(10);

/// Telegram's own notices, login codes among them. They are nobody's message.
const SERVICE_NOTICES: i64 = 777_000;

/// What a batch of updates brought.
#[derive(Debug, Default, PartialEq)]
struct Taken {
    messages: Vec<Incoming>,
    /// Something is missing: the difference tells.
    gap: bool,
}

/// Whether an event follows the last one.
#[derive(Debug, PartialEq, Eq)]
enum Order {
    Next,
    Known,
    Gap,
}

/// What was told, and where the account stands. Pure: the task around it does the calls.
struct Inbox {
    account: AccountName,
    state: Option<UpdatesState>,
    told: HashSet<i32>,
    told_order: VecDeque<i32>,
    known: HashSet<i64>,
    /// Messages of people that Telegram named by id only: the difference tells who they are.
    held: Vec<Incoming>,
    /// What was said before the account was listened to was read.
    begun: bool,
    /// Dialogs are being read again.
    reread: Option<reread::Reread>,
}

impl Inbox {
    fn new(account: AccountName, from: Option<UpdatesState>) -> Inbox {
        Inbox {
            account,
            // Telegram counts from 1; a 0 is a state that was never known.
            state: from.filter(|state| state.pts > 0),
            told: HashSet::new(),
            told_order: VecDeque::new(),
            known: HashSet::new(),
            held: Vec::new(),
            begun: false,
            reread: None,
        }
    }

    /// Takes what a connection passed on.
    fn hear(&mut self, came: &Came, now: Timestamp, taken: &mut Taken) {
        match came {
            Came::Own { pts, count } => self.step(*pts, *count, taken),
            Came::Updates(updates) => {
                for update in updates {
                    let one = self.take(update, now);
                    taken.messages.extend(one.messages);
                    taken.gap |= one.gap;
                }
            }
        }
    }

    /// Takes what came in live.
    fn take(&mut self, updates: &UpdatesLike, now: Timestamp) -> Taken {
        let mut taken = Taken::default();
        match updates {
            UpdatesLike::Updates(updates) => self.take_updates(updates, now, &mut taken),
            UpdatesLike::ShortSentMessage { update, .. } => {
                self.step(update.pts, update.pts_count, &mut taken);
            }
            UpdatesLike::AffectedMessages(affected) => {
                self.step(affected.pts, affected.pts_count, &mut taken);
            }
            UpdatesLike::InvitedUsers(invited) => {
                self.take_updates(&invited.updates, now, &mut taken)
            }
            UpdatesLike::ChatInviteJoinResult(joined) => {
                self.take_updates(&joined.updates, now, &mut taken);
            }
            UpdatesLike::ConnectionClosed | UpdatesLike::MalformedUpdates => taken.gap = true,
            // A channel counts for itself.
            UpdatesLike::AffectedChannelMessages { .. } => {}
        }
        taken
    }

    fn take_updates(&mut self, updates: &enums::Updates, now: Timestamp, taken: &mut Taken) {
        use enums::Updates;
        match updates {
            Updates::TooLong => taken.gap = true,
            Updates::UpdateShortMessage(short) => self.take_short(short, taken),
            Updates::UpdateShortChatMessage(short) => {
                self.step(short.pts, short.pts_count, taken);
            }
            Updates::UpdateShortSentMessage(short) => {
                self.step(short.pts, short.pts_count, taken);
            }
            Updates::UpdateShort(short) => {
                self.take_one(&short.update, &[], now, taken);
                self.at(short.date, 0);
            }
            Updates::Updates(all) => {
                self.take_all(
                    &all.updates,
                    &all.users,
                    (all.seq, all.seq, all.date),
                    now,
                    taken,
                );
            }
            Updates::Combined(all) => {
                self.take_all(
                    &all.updates,
                    &all.users,
                    (all.seq_start, all.seq, all.date),
                    now,
                    taken,
                );
            }
        }
    }

    fn take_all(
        &mut self,
        updates: &[enums::Update],
        users: &[enums::User],
        (first, last, date): (i32, i32, i32),
        now: Timestamp,
        taken: &mut Taken,
    ) {
        // A 0 stands for 'in no order' (core.telegram.org/api/updates#update-sequence-handling).
        if first != 0
            && self
                .state
                .is_some_and(|state| state.seq != 0 && first > state.seq + 1)
        {
            taken.gap = true;
        }
        self.learn(users);
        for update in updates {
            self.take_one(update, users, now, taken);
        }
        if !taken.gap {
            self.at(date, last);
        }
    }

    fn take_one(
        &mut self,
        update: &enums::Update,
        users: &[enums::User],
        now: Timestamp,
        taken: &mut Taken,
    ) {
        if let Some((pts, count)) = counted(update) {
            self.step(pts, count, taken);
        }
        if let enums::Update::NewMessage(new) = update
            && let Some(incoming) = self.incoming(&new.message, users, now)
        {
            self.tell(incoming, taken);
        }
        if let enums::Update::EditMessage(edit) = update {
            let changed = self.changed(&edit.message, users, now);
            taken.messages.extend(changed);
        }
    }

    fn take_short(&mut self, short: &types::UpdateShortMessage, taken: &mut Taken) {
        let told = short.user_id != SERVICE_NOTICES;
        let mut incoming = Incoming {
            person: PersonId(short.user_id),
            message_id: short.id,
            date: Timestamp::from_seconds(short.date.into()),
            text: short.message.clone(),
            contact: None,
            state: self.state,
            out: short.out,
            heard: Heard::Written,
        };
        // This short form names him by id only; whoever is new is asked about, before the count moves on.
        if told && !short.out && self.state.is_some() && !self.known.contains(&short.user_id) {
            taken.gap = true;
            if self.held.len() < MAX_TOLD {
                self.held.push(incoming);
            }
            return;
        }
        self.step(short.pts, short.pts_count, taken);
        if told {
            incoming.state = self.state;
            self.tell(incoming, taken);
        }
    }

    /// Takes a difference. True: there is more of it.
    fn take_difference(
        &mut self,
        difference: enums::updates::Difference,
        now: Timestamp,
        taken: &mut Taken,
    ) -> bool {
        use enums::updates::Difference;
        let (messages, others, users, state, more) = match difference {
            Difference::Empty(empty) => {
                self.at(empty.date, empty.seq);
                return false;
            }
            // What came in the meantime was read from the dialogs before.
            Difference::TooLong(too_long) => {
                let Some(state) = &mut self.state else {
                    return false;
                };
                // A server that says so for ever is asked once.
                return std::mem::replace(&mut state.pts, too_long.pts) != too_long.pts;
            }
            Difference::Difference(all) => (
                all.new_messages,
                all.other_updates,
                all.users,
                all.state,
                false,
            ),
            Difference::Slice(slice) => (
                slice.new_messages,
                slice.other_updates,
                slice.users,
                slice.intermediate_state,
                true,
            ),
        };
        self.learn(&users);
        // The state moves on after the last message: until then a restart asks for all of them again.
        for message in &messages {
            if let Some(incoming) = self.incoming(message, &users, now) {
                self.tell(incoming, taken);
            }
        }
        for update in &others {
            if let enums::Update::NewMessage(new) = update
                && let Some(incoming) = self.incoming(&new.message, &users, now)
            {
                self.tell(incoming, taken);
            }
            if let enums::Update::EditMessage(edit) = update {
                let changed = self.changed(&edit.message, &users, now);
                taken.messages.extend(changed);
            }
        }
        let before = self.state;
        self.state = Some(state_of(&state));
        // A slice that leads nowhere would be asked for again for ever.
        more && before != self.state
    }

    /// Takes what was read from the dialogs. The state moves on after it.
    fn take_said(&mut self, said: &reread::Said, now: Timestamp, taken: &mut Taken) {
        self.learn(&said.users);
        for message in &said.messages {
            let before = reread::date_of(message).is_some_and(|date| date < said.since);
            if !before && let Some(incoming) = self.incoming(message, &said.users, now) {
                self.tell(incoming, taken);
            }
            // It may have been told before it was changed.
            if matches!(message, enums::Message::Message(one) if one.edit_date.is_some()) {
                let changed = self.changed(message, &said.users, now);
                taken.messages.extend(changed);
            }
        }
    }

    /// Takes the last words of dialogs that were there before the account was listened to.
    fn take_found(&mut self, found: &reread::Said, now: Timestamp, taken: &mut Taken) {
        self.learn(&found.users);
        for message in &found.messages {
            let told = self.incoming(message, &found.users, now);
            taken
                .messages
                .extend(told.filter(|one| !one.out).map(|one| Incoming {
                    heard: Heard::Found,
                    ..one
                }));
        }
    }

    /// Messages that were held back until it was known who wrote them: now they go out as they are.
    fn release(&mut self, taken: &mut Taken) {
        for mut incoming in std::mem::take(&mut self.held) {
            incoming.state = self.state;
            self.tell(incoming, taken);
        }
    }

    fn learn(&mut self, users: &[enums::User]) {
        for user in users {
            if let enums::User::User(user) = user
                && !user.min
                && self.known.len() < MAX_KNOWN
            {
                self.known.insert(user.id);
            }
        }
    }

    fn step(&mut self, pts: i32, count: i32, taken: &mut Taken) {
        if self.order(pts, count) == Order::Gap {
            taken.gap = true;
        }
    }

    /// Moves the count where the event is the next one. Never over a gap: the difference begins before it.
    fn order(&mut self, pts: i32, count: i32) -> Order {
        let Some(state) = &mut self.state else {
            return Order::Next;
        };
        match state.pts.saturating_add(count.max(0)) {
            _ if pts <= 0 => Order::Next,
            expected if expected == pts => {
                state.pts = pts;
                Order::Next
            }
            expected if expected > pts => Order::Known,
            _ => Order::Gap,
        }
    }

    fn at(&mut self, date: i32, seq: i32) {
        if let Some(state) = &mut self.state {
            state.date = state.date.max(date);
            if seq > 0 {
                state.seq = state.seq.max(seq);
            }
        }
    }

    fn tell(&mut self, mut incoming: Incoming, taken: &mut Taken) {
        if !self.told.insert(incoming.message_id) {
            return;
        }
        self.told_order.push_back(incoming.message_id);
        if self.told_order.len() > MAX_TOLD
            && let Some(oldest) = self.told_order.pop_front()
        {
            self.told.remove(&oldest);
        }
        incoming.state = self.state;
        taken.messages.push(incoming);
    }

    /// A message of a private dialog.
    fn incoming(
        &self,
        message: &enums::Message,
        users: &[enums::User],
        now: Timestamp,
    ) -> Option<Incoming> {
        let enums::Message::Message(message) = message else {
            return None;
        };
        let enums::Peer::User(peer) = &message.peer_id else {
            return None;
        };
        if peer.user_id == SERVICE_NOTICES {
            return None;
        }
        let user = users.iter().find(|user| user.id() == peer.user_id);
        if let Some(enums::User::User(user)) = user
            && user.is_self
        {
            // A note to oneself.
            return None;
        }
        Some(Incoming {
            person: PersonId(peer.user_id),
            message_id: message.id,
            date: Timestamp::from_seconds(message.date.into()),
            text: message.message.clone(),
            contact: user
                .and_then(|user| decode::met(user, &self.account, now))
                .map(|met| met.person),
            state: None,
            out: message.out,
            heard: Heard::Written,
        })
    }

    /// A message of a private dialog that the person changed. `edit_hide`: something around the text changed.
    fn changed(
        &self,
        message: &enums::Message,
        users: &[enums::User],
        now: Timestamp,
    ) -> Option<Incoming> {
        match message {
            enums::Message::Message(one) if !one.out && !one.edit_hide => Some(Incoming {
                state: self.state,
                heard: Heard::Changed,
                ..self.incoming(message, users, now)?
            }),
            _ => None,
        }
    }
}

fn state_of(state: &enums::updates::State) -> UpdatesState {
    let enums::updates::State::State(state) = state;
    UpdatesState {
        pts: state.pts,
        qts: state.qts,
        date: state.date,
        seq: state.seq,
    }
}

/// The count that an event of the private dialogs carries: its place and how many it counts for.
fn counted(update: &enums::Update) -> Option<(i32, i32)> {
    use enums::Update;
    Some(match update {
        Update::NewMessage(update) => (update.pts, update.pts_count),
        Update::EditMessage(update) => (update.pts, update.pts_count),
        Update::DeleteMessages(update) => (update.pts, update.pts_count),
        Update::ReadHistoryInbox(update) => (update.pts, update.pts_count),
        Update::ReadHistoryOutbox(update) => (update.pts, update.pts_count),
        Update::ReadMessagesContents(update) => (update.pts, update.pts_count),
        Update::WebPage(update) => (update.pts, update.pts_count),
        Update::FolderPeers(update) => (update.pts, update.pts_count),
        Update::PinnedMessages(update) => (update.pts, update.pts_count),
        _ => return None,
    })
}

/// How a catch-up ended.
enum CaughtUp {
    /// All that was missed is in.
    Yes,
    /// Not now: again after so long.
    Later(Duration),
    /// Telegram asked to wait so many seconds.
    Waits(u32, Duration),
    /// There is no connection, in these words: again after so long.
    Broken(Duration, String),
}

/// A connection that broke is made anew by the next question: only where that fails too it is told as lost.
const LOST_AFTER: u32 = 2;

/// The task of one account. Ends when nobody listens any more.
pub(super) async fn run(
    connector: Arc<Connector>,
    account: AccountName,
    from: Option<UpdatesState>,
    mut sources: mpsc::UnboundedReceiver<mpsc::Receiver<Came>>,
    ask: Arc<tokio::sync::Notify>,
    out: mpsc::Sender<Received>,
) {
    let mut inbox = Inbox::new(account, from);
    let mut source: Option<mpsc::Receiver<Came>> = None;
    let mut clock = Clock::new();
    let mut state_told: Option<(UpdatesState, Instant)> = None;
    let mut rest_until = Instant::now();
    let mut broken = 0;
    loop {
        let mut taken = Taken::default();
        let (mut asked, mut caught_up) = (false, false);
        tokio::select! {
            biased;
            () = out.closed() => return,
            () = sleep_until(clock.ask_at) => {
                let before = inbox.state;
                match catch_up(&connector, &mut inbox, &out, clock.back_off).await {
                    Some(CaughtUp::Yes) => {
                        caught_up = true;
                        broken = 0;
                        clock.caught_up(inbox.state != before);
                        // Connections that were made before or by the question are covered by its answer.
                        while let Ok(new) = sources.try_recv() {
                            source = Some(new);
                        }
                    }
                    Some(CaughtUp::Later(pause)) => {
                        // Whoever cannot say it for a long time must not keep anybody waiting.
                        caught_up = pause >= SILENCE;
                        clock.failed(pause);
                    }
                    Some(CaughtUp::Waits(seconds, pause)) => {
                        clock.failed(pause);
                        if out.send(Received::Behind(Some(seconds))).await.is_err() {
                            return;
                        }
                    }
                    Some(CaughtUp::Broken(pause, why)) => {
                        broken += 1;
                        clock.failed(pause);
                        if broken >= LOST_AFTER && out.send(Received::Lost(why)).await.is_err() {
                            return;
                        }
                    }
                    None => return,
                }
                inbox.release(&mut taken);
                asked = true;
            }
            new = sources.recv() => {
                let Some(new) = new else { return };
                source = Some(new);
                // A new connection starts where the old one ended: what came in between is asked for at once.
                clock.ask_now();
            }
            () = ask.notified() => clock.ask_now(),
            batch = next(&mut source, rest_until) => {
                if batch.is_empty() {
                    source = None;
                    clock.heard(true);
                }
                let now = super::now();
                for came in &batch {
                    inbox.hear(came, now, &mut taken);
                }
                clock.heard(taken.gap);
                if taken.messages.is_empty() && !taken.gap {
                    rest_until = Instant::now() + REST;
                }
                if clock.not_before > Instant::now() {
                    // Nobody can be asked who they are: better without a name than late.
                    inbox.release(&mut taken);
                }
            }
        }
        for message in taken.messages {
            if out
                .send(Received::Message(Box::new(message)))
                .await
                .is_err()
            {
                return;
            }
        }
        if let Some(state) = inbox.state
            && state_told
                .is_none_or(|(told, at)| told != state && (asked || at.elapsed() >= STATE_EVERY))
        {
            state_told = Some((state, Instant::now()));
            if out.send(Received::State(state)).await.is_err() {
                return;
            }
        }
        if caught_up && out.send(Received::CaughtUp).await.is_err() {
            return;
        }
    }
}

/// The next updates; none where the connection has ended. Waits for ever where there is no connection.
async fn next(source: &mut Option<mpsc::Receiver<Came>>, not_before: Instant) -> Vec<Came> {
    match source {
        Some(source) => {
            sleep_until(not_before).await;
            // Not kept: an account that is silent shall hold no room for a burst.
            let mut batch = Vec::new();
            source.recv_many(&mut batch, BATCH).await;
            batch
        }
        None => std::future::pending().await,
    }
}

/// Asks what was missed, or where the account stands. Nothing where nobody listens any more.
async fn catch_up(
    connector: &Connector,
    inbox: &mut Inbox,
    out: &mpsc::Sender<Received>,
    back_off: Duration,
) -> Option<CaughtUp> {
    let Some(mut state) = inbox.state else {
        return begin(connector, inbox, out, back_off).await;
    };
    for _ in 0..MAX_SLICES {
        let request = functions::updates::GetDifference {
            pts: state.pts,
            pts_limit: None,
            pts_total_limit: None,
            date: state.date,
            qts: state.qts,
            qts_limit: None,
        };
        let difference = match invoke(connector, &request).await {
            Ok(difference) => difference,
            Err(error) => return Some(put_off(inbox, &error, back_off)),
        };
        let mut taken = Taken::default();
        if let enums::updates::Difference::TooLong(_) = &difference {
            tracing::warn!(
                account = %inbox.account,
                "this account was away for too long: what came in the meantime is read from its dialogs"
            );
            // Somebody else's clock: better a little too much, since what was handled is known by its id.
            let since = state.date.saturating_sub(OVERLAP);
            let mut read = inbox.reread.take().filter(|read| read.is_since(since));
            let read = read.get_or_insert_with(|| reread::Reread::new(since));
            match read.go_on(connector, &inbox.account, out).await {
                Ok(()) => inbox.take_said(read.said(), super::now(), &mut taken),
                Err(error) => {
                    // What was read is not read again.
                    inbox.reread = Some(std::mem::take(read));
                    return Some(put_off(inbox, &error, back_off));
                }
            }
        }
        let more = inbox.take_difference(difference, super::now(), &mut taken);
        for message in taken.messages {
            out.send(Received::Message(Box::new(message))).await.ok()?;
        }
        match inbox.state {
            Some(now) if more => state = now,
            _ => return Some(CaughtUp::Yes),
        }
    }
    // The rest comes in its turn; live updates first.
    Some(CaughtUp::Later(GAP_PATIENCE))
}

/// Asks where the account stands, and what was said last in its dialogs: it may have been listened to by something else
/// before. Where the account stands is known after that, so that whatever ends this begins it anew.
async fn begin(
    connector: &Connector,
    inbox: &mut Inbox,
    out: &mpsc::Sender<Received>,
    back_off: Duration,
) -> Option<CaughtUp> {
    let state = match invoke(connector, &functions::updates::GetState {}).await {
        Ok(state) => state_of(&state),
        Err(error) => return Some(put_off(inbox, &error, back_off)),
    };
    if !inbox.begun {
        let mut taken = Taken::default();
        match reread::last_words(connector, state.date).await {
            Ok(found) => inbox.take_found(&found, super::now(), &mut taken),
            Err(error) if is_passing(&error) => return Some(put_off(inbox, &error, back_off)),
            Err(error) => tracing::warn!(
                account = %inbox.account, %error,
                "what was said in this account's dialogs before cannot be read: who told it to stop before is not known"
            ),
        }
        for message in taken.messages {
            out.send(Received::Message(Box::new(message))).await.ok()?;
        }
        inbox.begun = true;
    }
    inbox.state = Some(state).filter(|state| state.pts > 0);
    Some(CaughtUp::Yes)
}

/// Whether a question may be answered if it is put again.
fn is_passing(error: &CallError) -> bool {
    match error {
        CallError::NotSent { .. } | CallError::InDoubt { .. } => true,
        CallError::Rpc(fault) => matches!(
            react(fault),
            Reaction::Wait { .. } | Reaction::InDoubt | Reaction::LoseAccount(_)
        ),
        _ => false,
    }
}

/// How long to leave Telegram alone after a failed question.
fn put_off(inbox: &Inbox, error: &CallError, back_off: Duration) -> CaughtUp {
    tracing::debug!(account = %inbox.account, %error, "updates cannot be asked for now");
    match error {
        CallError::NotSent { .. } | CallError::InDoubt { .. } => {
            CaughtUp::Broken(back_off, error.to_string())
        }
        CallError::Rpc(fault) => match react(fault) {
            Reaction::Wait { seconds } => {
                CaughtUp::Waits(seconds, Duration::from_secs(seconds.into()).max(back_off))
            }
            Reaction::InDoubt => CaughtUp::Later(back_off),
            // A server that knows no such question will not learn it soon.
            _ => CaughtUp::Later(SILENCE),
        },
        _ => CaughtUp::Later(SILENCE),
    }
}

async fn invoke<R: RemoteCall>(connector: &Connector, request: &R) -> Result<R::Return, CallError> {
    let answer = connector.call(&request.to_bytes()).await?;
    R::Return::from_bytes(&answer).map_err(|error| CallError::Unexpected(error.to_string()))
}

#[cfg(test)]
mod tests;

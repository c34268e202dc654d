//! Effects, and no decisions: one task for each account.
//!
//! # The send protocol
//! The control loop writes the intent (key, account, `random_id`, the request's bytes, the earliest moment of the
//! next send) and waits until it is durable. Only then an [`Order::Send`] reaches the account's task, which invokes
//! the very bytes and reports what Telegram said. A crash
//! - before the intent is durable: nothing was sent, the next start plans it again;
//! - between intent and answer: the start finds the intent without an outcome, it is in doubt, and the same bytes
//!   go out again with the same `random_id`, which Telegram answers with the earlier message where there is one;
//! - after the answer and before its outcome is written: the same.
//!
//! # Guarantees
//! - Sends of one account leave one after another, in the order of their orders.
//! - After Telegram told the account to wait, refused it, or stopped answering, nothing that was ordered before that is
//!   sent: it comes back as [`Report::NotTried`].

mod look_up;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::model::reaction::{Reaction, react};
use crate::model::{
    AccountName, Attachment, Lineage, Person, PersonId, Reference, SendKey, SourceId, Timestamp,
};
use crate::telegram::{
    AccountClient, CallError, Cursor, Delivered, Find, HistoryMessage, Joined, MayLeave, Me,
    MediaHandle, Membership, Met, Received, Target, UpdatesState, WrittenSince,
};

/// A send.
pub struct Send {
    /// Which.
    key: SendKey,
    /// The request.
    request: Arc<[u8]>,
    /// An invite of the same person: where Telegram says that he is there already, nothing is sent.
    unless_in: Option<Vec<u8>>,
    /// Orders up to an epoch can be called off together.
    epoch: u64,
}

impl Send {
    /// Whether it may stand in one row with one that was ordered before it.
    fn follows(&self, first: &Send) -> bool {
        self.unless_in.is_none() && first.unless_in.is_none() && self.epoch == first.epoch
    }
}

/// What an account's task is asked to do.
pub enum Order {
    /// Send these bytes.
    Send(Send),
    /// Show 'typing…'.
    Type {
        /// To whom.
        person: PersonId,
        /// The account's own access hash of him.
        access_hash: i64,
    },
    /// Ask who the account is: connects.
    Me,
    /// Look a source up.
    LookUp {
        /// Whose.
        campaign: Lineage,
        /// Which.
        source: SourceId,
        /// Whom it looks for.
        what: Find,
        /// At most so many people more.
        left: Option<u64>,
        /// Where it stopped.
        from: Option<Cursor>,
    },
    /// Find out who a reference is.
    Resolve {
        /// Who is meant.
        person: PersonId,
        /// By which name.
        reference: Reference,
        /// For whose campaign.
        campaign: Lineage,
    },
    /// Upload a file.
    Upload {
        /// Which.
        media: Attachment,
        /// Its bytes.
        bytes: Vec<u8>,
        /// For whose campaign.
        campaign: Lineage,
    },
    /// Read the end of a dialog.
    LookBack {
        /// Which send is looked for.
        key: SendKey,
        /// The account's own access hash of the person.
        access_hash: i64,
    },
    /// Read the private dialogs since a moment.
    ReadSince {
        /// From then on.
        since: Timestamp,
    },
    /// Look whether the person of an invite is where it leads.
    Member {
        /// Which send.
        key: SendKey,
        /// The invite.
        request: Arc<[u8]>,
    },
    /// Look at the target of an invite, and with `link` get a link to it.
    Seek {
        /// For whose campaign.
        campaign: Lineage,
        /// Which.
        target: Reference,
        /// Whether a link is wanted.
        link: bool,
    },
    /// Join a place.
    Join {
        /// For whose campaign.
        campaign: Lineage,
        /// Which.
        place: Reference,
        /// The pause after it.
        gap: Duration,
    },
    /// Receive private messages from here on.
    Listen {
        /// The place in the updates up to which everything was handled.
        from: Option<UpdatesState>,
    },
}

/// What came of it.
pub enum Report {
    /// Sends ended, in this order: several at once where they follow each other without a pause.
    Sent(Vec<(SendKey, Result<Delivered, CallError>)>),
    /// It was called off before a byte left.
    NotTried {
        /// Which send.
        key: SendKey,
    },
    /// Who the account is, or why it cannot say.
    Me(Result<Me, CallError>),
    /// A look-up goes on.
    Page {
        /// Whose.
        campaign: Lineage,
        /// Which source.
        source: SourceId,
        /// Who was found.
        people: Vec<Met>,
        /// Where the next page begins.
        next: Option<Cursor>,
        /// How many there are, where Telegram tells.
        total: Option<u64>,
    },
    /// A look-up stopped, since Telegram asked for a wait; it is to go on after it.
    LookUpWaits {
        /// Whose.
        campaign: Lineage,
        /// Which source.
        source: SourceId,
        /// Telegram's seconds.
        seconds: u32,
    },
    /// A look-up ended.
    LookedUp {
        /// Whose.
        campaign: Lineage,
        /// Which source.
        source: SourceId,
        /// What is known of the place and why it is not everybody, or the failure.
        result: Result<LookedUp, CallError>,
    },
    /// A reference was looked up.
    Resolved {
        /// Who was meant.
        person: PersonId,
        /// By which name.
        reference: Reference,
        /// For whose campaign.
        campaign: Lineage,
        /// Who it is.
        result: Result<Met, CallError>,
    },
    /// A file was uploaded.
    Uploaded {
        /// Which.
        media: Attachment,
        /// For whose campaign.
        campaign: Lineage,
        /// How it stands in messages now.
        result: Result<MediaHandle, CallError>,
    },
    /// The end of a dialog.
    LookedBack {
        /// Which send is looked for.
        key: SendKey,
        /// The newest messages.
        result: Result<Vec<HistoryMessage>, CallError>,
    },
    /// The private dialogs since a moment.
    ReadSince(Result<Vec<WrittenSince>, CallError>),
    /// Whether the person of an invite is there.
    Member {
        /// Which send.
        key: SendKey,
        /// What Telegram says.
        result: Result<Membership, CallError>,
    },
    /// The target of an invite.
    Sought {
        /// For whose campaign.
        campaign: Lineage,
        /// Which.
        target: Reference,
        /// Whether a link was wanted.
        link: bool,
        /// What the account sees of it.
        result: Result<Target, CallError>,
    },
    /// A join ended.
    Joined {
        /// For whose campaign.
        campaign: Lineage,
        /// Which place.
        place: Reference,
        /// The pause after it.
        gap: Duration,
        /// How.
        result: Result<Joined, CallError>,
    },
    /// Something came in by itself.
    Received(Received),
    /// The task broke off (a bug): it is started anew.
    Panicked(String),
}

/// What a finished look-up tells besides the people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookedUp {
    /// Creator or admin of the place.
    pub admin: bool,
    /// Why not everybody was read.
    pub partial: Option<String>,
}

/// An account's task, seen from the control loop.
pub struct AccountTask {
    orders: mpsc::UnboundedSender<Order>,
    called_off: Arc<AtomicU64>,
    epoch: u64,
    client: Arc<dyn AccountClient>,
    handle: tokio::task::JoinHandle<()>,
}

impl AccountTask {
    /// Starts it. Reports carry the account's name.
    pub fn start(
        client: Arc<dyn AccountClient>,
        reports: mpsc::UnboundedSender<(AccountName, Report)>,
    ) -> AccountTask {
        let (orders, inbox) = mpsc::unbounded_channel();
        let called_off = Arc::new(AtomicU64::new(0));
        let handle = tokio::spawn(supervise(
            client.clone(),
            inbox,
            reports,
            called_off.clone(),
        ));
        AccountTask {
            orders,
            called_off,
            epoch: 1,
            client,
            handle,
        }
    }

    /// The connection.
    pub fn client(&self) -> &Arc<dyn AccountClient> {
        &self.client
    }

    /// Orders something; a task that is gone answers nothing, and the next start finds what was in hand.
    pub fn order(&self, order: Order) {
        let _ = self.orders.send(order);
    }

    /// Orders a send; with `unless_in` to whoever is not yet where that invite leads.
    pub fn send(&self, key: SendKey, request: Arc<[u8]>, unless_in: Option<Vec<u8>>) {
        self.order(Order::Send(Send {
            key,
            request,
            unless_in,
            epoch: self.epoch,
        }));
    }

    /// Calls off every send that was ordered and has not begun; each comes back as [`Report::NotTried`].
    pub fn call_off(&mut self) {
        self.called_off.fetch_max(self.epoch, Ordering::SeqCst);
        self.epoch = self.called_off.load(Ordering::SeqCst).max(self.epoch) + 1;
    }

    /// Ends it. A call under way ends in doubt.
    pub fn stop(&self) {
        self.handle.abort();
        self.client.close();
    }
}

impl Drop for AccountTask {
    fn drop(&mut self) {
        self.stop();
    }
}

type Reports = mpsc::UnboundedSender<(AccountName, Report)>;

/// The pause after a task broke off; it doubles.
const BROKE_OFF: Duration = Duration::from_secs(1);
/// The longest; after as long without trouble it begins anew.
const BROKE_OFF_MOST: Duration = Duration::from_secs(60);

/// Keeps the task's inbox alive over a panic, so that one bad answer does not end an account.
async fn supervise(
    client: Arc<dyn AccountClient>,
    inbox: mpsc::UnboundedReceiver<Order>,
    reports: Reports,
    called_off: Arc<AtomicU64>,
) {
    let name = client.name().clone();
    let inbox = Arc::new(tokio::sync::Mutex::new(inbox));
    let mut pause = BROKE_OFF;
    loop {
        let began = tokio::time::Instant::now();
        let run = tokio::spawn(work(
            client.clone(),
            inbox.clone(),
            reports.clone(),
            called_off.clone(),
        ));
        // Aborting this task must abort the work too.
        let guard = AbortOnDrop(run.abort_handle());
        match run.await {
            Ok(()) => return,
            Err(error) if error.is_panic() => {
                drop(guard);
                let _ = reports.send((
                    name.clone(),
                    Report::Panicked("the account's task broke off".to_owned()),
                ));
                if began.elapsed() > BROKE_OFF_MOST {
                    pause = BROKE_OFF;
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(BROKE_OFF_MOST);
            }
            Err(_) => return,
        }
    }
}

struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The next order. What broke off aside breaks the task off: whoever waits for its report learns of it.
async fn next(
    inbox: &mut mpsc::UnboundedReceiver<Order>,
    aside: &mut tokio::task::JoinSet<()>,
) -> Option<Order> {
    loop {
        tokio::select! {
            biased;
            Some(ended) = aside.join_next() => {
                if let Err(error) = ended
                    && error.is_panic()
                {
                    std::panic::resume_unwind(error.into_panic());
                }
            }
            order = inbox.recv() => return order,
        }
    }
}

/// Sends a row, each when the one before it was accepted; one that asks for a look at the place first goes alone. What
/// was called off before it left is told so.
async fn send(
    client: &dyn AccountClient,
    row: Vec<Send>,
    called_off: &Arc<AtomicU64>,
    tell: &(impl Fn(Report) + Sync),
) {
    let Some(epoch) = row.first().map(|first| first.epoch) else {
        return;
    };
    let may_leave: MayLeave = {
        let called_off = Arc::clone(called_off);
        Arc::new(move || epoch > called_off.load(Ordering::SeqCst))
    };
    let mut keys = VecDeque::with_capacity(row.len());
    let mut requests = VecDeque::with_capacity(row.len());
    let mut probe = None;
    for Send {
        key,
        request,
        unless_in,
        ..
    } in row
    {
        keys.push_back(key);
        requests.push_back(request);
        probe = unless_in;
    }
    let mut told = |results: Vec<Result<Delivered, CallError>>| {
        if results
            .iter()
            .any(|it| it.as_ref().is_err_and(stops_the_account))
        {
            called_off.fetch_max(epoch, Ordering::SeqCst);
        }
        tell(Report::Sent(
            results
                .into_iter()
                .map_while(|result| Some((keys.pop_front()?, result)))
                .collect(),
        ));
    };
    if let Some(invite) = probe.filter(|_| may_leave()) {
        // What Telegram does not show keeps nobody from it.
        let there = match client.was_added(&invite).await {
            Ok(Membership::Member { .. }) => Err(CallError::already_member()),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = there {
            told(vec![Err(error)]);
            requests.clear();
        }
    }
    // A refusal that is one person's own ends a row, and the rest leaves in another.
    while !requests.is_empty() && may_leave() {
        let before = requests.len();
        requests = client
            .send_in_turn(requests, Arc::clone(&may_leave), &mut told)
            .await;
        if requests.len() == before {
            break;
        }
    }
    for key in keys {
        tell(Report::NotTried { key });
    }
}

async fn work(
    client: Arc<dyn AccountClient>,
    inbox: Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<Order>>>,
    reports: Reports,
    called_off: Arc<AtomicU64>,
) {
    let name = client.name().clone();
    let tell = |report: Report| {
        let _ = reports.send((name.clone(), report));
    };
    let mut inbox = inbox.lock().await;
    // Everything but sends may overlap with them; all of it ends with this task.
    let mut aside = tokio::task::JoinSet::new();
    // What came behind a row of sends.
    let mut ahead = None;
    loop {
        let order = match ahead.take() {
            Some(order) => order,
            None => match next(&mut inbox, &mut aside).await {
                Some(order) => order,
                None => return,
            },
        };
        fail::fail_point!(&format!("account.{name}"));
        match order {
            Order::Send(first) => {
                let mut row = vec![first];
                // Those that follow it without a pause leave in one row.
                while row.len() < ROW {
                    match inbox.try_recv() {
                        Ok(Order::Send(send)) if send.follows(&row[0]) => {
                            fail::fail_point!(&format!("account.{name}"));
                            row.push(send);
                        }
                        Ok(other) => {
                            ahead = Some(other);
                            break;
                        }
                        Err(_) => break,
                    }
                }
                send(&*client, row, &called_off, &tell).await;
            }
            Order::Type {
                person,
                access_hash,
            } => {
                let client = client.clone();
                aside.spawn(async move {
                    // Of no consequence where it fails.
                    let _ = client.typing(person, access_hash).await;
                });
            }
            Order::Me => {
                let (client, reports, name) = (client.clone(), reports.clone(), name.clone());
                aside.spawn(async move {
                    let result = client.me().await;
                    let _ = reports.send((name, Report::Me(result)));
                });
            }
            Order::LookUp {
                campaign,
                source,
                what,
                left,
                from,
            } => {
                let (client, reports) = (client.clone(), reports.clone());
                aside.spawn(async move {
                    look_up::look_up(&*client, &reports, campaign, source, &what, left, from).await
                });
            }
            Order::Resolve {
                person,
                reference,
                campaign,
            } => {
                let (client, reports, name) = (client.clone(), reports.clone(), name.clone());
                aside.spawn(async move {
                    let result = client.resolve(&reference).await;
                    let _ = reports.send((
                        name,
                        Report::Resolved {
                            person,
                            reference,
                            campaign,
                            result,
                        },
                    ));
                });
            }
            Order::Upload {
                media,
                bytes,
                campaign,
            } => {
                let (client, reports, name) = (client.clone(), reports.clone(), name.clone());
                aside.spawn(async move {
                    let file = media.path.rsplit('/').next().unwrap_or("file").to_owned();
                    fail::fail_point!("upload.request");
                    let result = client.upload(&file, mime_of(&file), bytes).await;
                    fail::fail_point!("upload.answered");
                    let _ = reports.send((
                        name,
                        Report::Uploaded {
                            media,
                            campaign,
                            result,
                        },
                    ));
                });
            }
            Order::LookBack { key, access_hash } => {
                let (client, reports, name) = (client.clone(), reports.clone(), name.clone());
                aside.spawn(async move {
                    let result = client
                        .last_messages(key.person, access_hash, LOOK_BACK)
                        .await;
                    let _ = reports.send((name, Report::LookedBack { key, result }));
                });
            }
            Order::ReadSince { since } => {
                let (client, reports, name) = (client.clone(), reports.clone(), name.clone());
                aside.spawn(async move {
                    let result = client.written_since(since).await;
                    let _ = reports.send((name, Report::ReadSince(result)));
                });
            }
            Order::Member { key, request } => {
                let (client, reports, name) = (client.clone(), reports.clone(), name.clone());
                aside.spawn(async move {
                    let result = client.was_added(&request).await;
                    let _ = reports.send((name, Report::Member { key, result }));
                });
            }
            Order::Seek {
                campaign,
                target,
                link,
            } => {
                let (client, reports, name) = (client.clone(), reports.clone(), name.clone());
                aside.spawn(async move {
                    let result = client.target(&target, link).await;
                    let _ = reports.send((
                        name,
                        Report::Sought {
                            campaign,
                            target,
                            link,
                            result,
                        },
                    ));
                });
            }
            Order::Join {
                campaign,
                place,
                gap,
            } => {
                let (client, reports, name) = (client.clone(), reports.clone(), name.clone());
                aside.spawn(async move {
                    let result = client.join(&place).await;
                    let _ = reports.send((
                        name,
                        Report::Joined {
                            campaign,
                            place,
                            gap,
                            result,
                        },
                    ));
                });
            }
            Order::Listen { from } => {
                let mut receiver = client.start_updates(from);
                let (reports, name) = (reports.clone(), name.clone());
                aside.spawn(async move {
                    while let Some(received) = receiver.recv().await {
                        if reports
                            .send((name.clone(), Report::Received(received)))
                            .is_err()
                        {
                            return;
                        }
                    }
                });
            }
        }
    }
}

/// Sends that may stand in one row: what else the account is asked for waits until it is over.
const ROW: usize = 256;

/// Messages of a dialog that are read to find one of ours: a person who writes more than this after it, within the day
/// after which the history is asked, is the exception that ends as `uncertain`.
const LOOK_BACK: i32 = 50;

/// Whether, after this answer, nothing that was ordered before may leave: Telegram said wait or no, or is silent. What is
/// called off for nothing is planned again at once.
///
/// The task stops by itself before the next send; whoever gives orders must begin a new epoch
/// ([`AccountTask::call_off`]) when the report arrives, or every later order is called off as well.
pub fn stops_the_account(error: &CallError) -> bool {
    match error {
        CallError::Rpc(fault) => {
            // A target that is gone is gone for the next invite too.
            fault.base() == "CHANNEL_INVALID"
                || matches!(
                    react(fault),
                    Reaction::Wait { .. }
                    | Reaction::LimitAccount
                    | Reaction::LoseAccount(_)
                    // The campaign stalls, or does after the fifth: what else of it is in hand must not leave.
                    | Reaction::Stall { .. }
                    | Reaction::FailRecipient
                )
        }
        CallError::InDoubt { why, .. } => *why != crate::model::InDoubtWhy::Server,
        CallError::NotSent { .. }
        | CallError::KeyUnknown
        | CallError::Session(_)
        | CallError::Locked(_) => true,
        _ => false,
    }
}

/// The media type by the name's ending (IANA); anything else goes as it is.
fn mime_of(name: &str) -> &'static str {
    let ending = name
        .rsplit_once('.')
        .map(|(_, ending)| ending.to_ascii_lowercase())
        .unwrap_or_default();
    match ending.as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "mp4" => "video/mp4",
        "mp3" => "audio/mpeg",
        "ogg" | "oga" => "audio/ogg",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        "zip" => "application/zip",
        _ => "application/octet-stream",
    }
}

/// A person as the people tree keeps him, from what an account met.
pub fn person_of(met: Met, origin: Option<&str>) -> Option<(PersonId, Person)> {
    let mut person = met.person;
    if let Some(origin) = origin {
        person.origins.push(origin.to_owned());
    }
    person.person_id().map(|id| (id, person))
}

//! One connection: grammers' `Sender` with a queue of our own.
//!
//! Its pool hands each request over twice, makes a new authorization key where Telegram does not know the old one, and
//! connects with no time limit and no word to whoever waits. A `Sender` alone does none of that, but takes one request at
//! a time. So the requests wait here, and [`Speech`], the protocol that the sender speaks, puts all of them into the next
//! frame that is made, and takes their answers out of the frames that come.
//!
//! **Guarantees.** A request that no frame holds yet was not sent, and is told so ([`Unanswered::Unwritten`]); of any other
//! it is not known. Whoever asked and waits no longer is not sent any more. However the connection ends, by a panic or an
//! abort too, everybody who waits is told.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use grammers_crypto::DequeBuffer;
use grammers_mtproto::mtp::{BadMessage, Deserialization, DeserializeError, Encrypted, Mtp};
use grammers_mtproto::{MsgId, transport};
use grammers_mtsender::{InvocationError, Sender};
use grammers_session::updates::UpdatesLike;
use tokio::sync::{Notify, mpsc, oneshot};

use super::decode::short_sent;
use super::row::{MayLeave, Row, Turn};

/// The code of `bad_msg_notification` for a message id from more than 30 s ahead of Telegram's clock
/// (core.telegram.org/mtproto/service_messages_about_messages).
const MSG_ID_TOO_HIGH: i32 = 17;

/// A sender that speaks for a [`Desk`].
pub(super) type Speaker = Sender<transport::Full, Speech>;

/// Why a request has no answer.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// The connection ended before a byte of it was written.
    Unwritten,
    /// Telegram refused it, or the connection ended after it was written.
    Failed(InvocationError),
}

pub(super) type Answer = Result<Vec<u8>, Unanswered>;

/// Who waits for an answer.
enum Teller {
    /// Whoever asked this alone.
    One(oneshot::Sender<Answer>),
    /// Whoever asked a row of which this is one.
    Row(Turn),
}

/// A request and who waits for its answer.
struct Asked {
    body: Arc<[u8]>,
    teller: Teller,
}

impl Asked {
    /// Whether it is not to be written any more.
    fn is_called_off(&self) -> bool {
        match &self.teller {
            Teller::One(teller) => teller.is_closed(),
            Teller::Row(turn) => turn.is_called_off(),
        }
    }

    /// It is not written.
    fn give_back(self) {
        if let Teller::Row(turn) = self.teller {
            turn.give_back(self.body);
        }
    }

    /// Answers what is to be written next.
    fn tell(self, answer: Answer) -> Option<Asked> {
        match self.teller {
            Teller::One(teller) => {
                // Whoever asked may have given up.
                let _ = teller.send(answer);
                None
            }
            Teller::Row(turn) => {
                let (body, turn) = turn.answered(self.body, answer)?;
                let teller = Teller::Row(turn);
                Some(Asked { body, teller })
            }
        }
    }
}

/// What came in by itself, or beside an answer.
#[derive(Debug)]
pub(super) enum Came {
    /// As grammers reads it.
    Updates(Vec<UpdatesLike>),
    /// Messages of one's own that were accepted: the account's count of events after the last, and by how many they
    /// raised it (core.telegram.org/constructor/updateShortSentMessage). In a burst nearly all that comes in is this.
    Own { pts: i32, count: i32 },
}

#[derive(Default)]
struct Requests {
    /// In no frame yet, in their order.
    waiting: VecDeque<Asked>,
    /// In a frame: each with the number of the container that it came in.
    written: HashMap<MsgId, (MsgId, Asked)>,
    /// Accepted messages whose count nobody was told yet, as in [`Came::Own`]. They came before all else of this step.
    own: Vec<(i32, i32)>,
    /// Something else came in this step: accepted messages stay in their place behind it.
    others_came: bool,
    ended: bool,
}

/// The requests of one connection.
#[derive(Default)]
pub(super) struct Desk {
    requests: Mutex<Requests>,
    asked: Notify,
    clock_ahead: AtomicBool,
}

impl Desk {
    fn requests(&self) -> MutexGuard<'_, Requests> {
        // A panic of the library under it ends the connection.
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a request into the next frame and waits for the answer.
    pub(super) async fn ask(&self, body: Arc<[u8]>) -> Answer {
        let (teller, answer) = oneshot::channel();
        {
            let mut requests = self.requests();
            if requests.ended {
                return Err(Unanswered::Unwritten);
            }
            let teller = Teller::One(teller);
            requests.waiting.push_back(Asked { body, teller });
        }
        self.asked.notify_one();
        let dropped = InvocationError::Dropped("the connection ended");
        answer.await.unwrap_or(Err(Unanswered::Failed(dropped)))
    }

    /// Puts the first of a row into the next frame; each of the others goes into the frame after the answer to the one
    /// before it. A row whose connection has ended is told so.
    pub(super) fn ask_in_turn(&self, requests: VecDeque<Arc<[u8]>>, may_leave: MayLeave) -> Row {
        let (row, first) = Row::new(requests, may_leave);
        let Some((body, turn)) = first else {
            return row;
        };
        let teller = Teller::Row(turn);
        let asked = Asked { body, teller };
        let mut requests = self.requests();
        if requests.ended {
            asked.tell(Err(Unanswered::Unwritten));
            return row;
        }
        requests.waiting.push_back(asked);
        drop(requests);
        self.asked.notify_one();
        row
    }

    /// Whether Telegram ended the talk because this machine's clock is ahead. grammers numbers its messages upward only,
    /// so that it would repeat itself without a pause until the clock is right.
    pub(super) fn clock_ahead(&self) -> bool {
        self.clock_ahead.load(Ordering::Relaxed)
    }

    /// A step is over. Swaps in what `counted`, which is empty, is to hold: room is kept.
    fn take_own(&self, counted: &mut Vec<(i32, i32)>) {
        let mut requests = self.requests();
        requests.others_came = false;
        std::mem::swap(&mut requests.own, counted);
    }

    fn end(&self, why: impl Fn() -> InvocationError) {
        let mut requests = self.requests();
        requests.ended = true;
        for asked in requests.waiting.drain(..) {
            asked.tell(Err(Unanswered::Unwritten));
        }
        for (_, (_, asked)) in requests.written.drain() {
            asked.tell(Err(Unanswered::Failed(why())));
        }
    }
}

/// Tells everybody who waits that the connection has ended.
struct Ends(Arc<Desk>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0
            .end(|| InvocationError::Dropped("the connection was given up"));
    }
}

/// Speaks for a desk until the connection ends. What comes in by itself goes to `updates`; what is too much for its reader
/// shows there as a gap.
pub(super) async fn run(mut speaker: Speaker, desk: Arc<Desk>, updates: mpsc::Sender<Came>) {
    let desk = Ends(desk);
    let mut counted = Vec::new();
    loop {
        tokio::select! {
            step = speaker.step() => {
                desk.0.take_own(&mut counted);
                for (pts, count) in counted.drain(..) {
                    let _ = updates.try_send(Came::Own { pts, count });
                }
                match step {
                    // Passed on as they are: one of them takes a kilobyte or two.
                    Ok(came) if came.is_empty() => {}
                    Ok(came) => {
                        let _ = updates.try_send(Came::Updates(came));
                    }
                    Err(error) => {
                        let closed = vec![UpdatesLike::ConnectionClosed];
                        let _ = updates.try_send(Came::Updates(closed));
                        desk.0.end(|| error.clone().into());
                        return;
                    }
                }
            }
            // The next step writes it.
            () = desk.0.asked.notified() => {}
        }
    }
}

/// MTProto that also speaks for a desk.
pub(super) struct Speech {
    inner: Encrypted,
    desk: Arc<Desk>,
}

impl Speech {
    pub(super) fn new(auth_key: [u8; 256], desk: Arc<Desk>) -> Speech {
        Speech {
            inner: Encrypted::build().finish(auth_key),
            desk,
        }
    }
}

impl Mtp for Speech {
    fn push(&mut self, buffer: &mut DequeBuffer<u8>, request: &[u8]) -> Option<MsgId> {
        self.inner.push(buffer, request)
    }

    /// The sender asks for this whenever it may write.
    fn finalize(&mut self, buffer: &mut DequeBuffer<u8>) -> Option<MsgId> {
        let mut requests = self.desk.requests();
        let mut taken = Vec::new();
        while let Some(asked) = requests.waiting.pop_front() {
            if asked.is_called_off() {
                asked.give_back();
                continue;
            }
            match self.inner.push(buffer, &asked.body) {
                Some(id) => taken.push((id, asked)),
                None => {
                    requests.waiting.push_front(asked);
                    break;
                }
            }
        }
        let last = self.inner.finalize(buffer);
        for (id, asked) in taken {
            requests.written.insert(id, (last.unwrap_or(id), asked));
        }
        last
    }

    fn deserialize(
        &mut self,
        payload: &mut [u8],
    ) -> Result<Vec<Deserialization>, DeserializeError> {
        let results = self.inner.deserialize(payload)?;
        let mut requests = self.desk.requests();
        let mut others = Vec::new();
        for result in results {
            if let Deserialization::BadMessage(bad) = &result {
                if bad.code == MSG_ID_TOO_HIGH {
                    self.desk.clock_ahead.store(true, Ordering::Relaxed);
                    return Err(DeserializeError::BadMessageId { got: 0 });
                }
                requests.ignored(bad);
            }
            let result = requests.counted(result);
            others.extend(result.and_then(|result| requests.answered(result)));
        }
        Ok(others)
    }
}

impl Requests {
    /// Takes what an accepted message counts for out of what came. What is none is given back, and what follows something
    /// else in its step: the count must not run ahead of it.
    fn counted(&mut self, result: Deserialization) -> Option<Deserialization> {
        match &result {
            Deserialization::OwnUpdate { update, .. } if !self.others_came => {
                if let Some(short) = short_sent(update) {
                    self.own.push((short.pts, short.pts_count));
                    return None;
                }
                self.others_came = true;
            }
            Deserialization::OwnUpdate { .. } | Deserialization::Update(_) => {
                self.others_came = true;
            }
            _ => {}
        }
        Some(result)
    }

    /// Takes an answer to one of them. What is none is given back.
    fn answered(&mut self, result: Deserialization) -> Option<Deserialization> {
        let id = match &result {
            Deserialization::RpcResult(it) => it.msg_id,
            Deserialization::RpcError(it) => it.msg_id,
            Deserialization::Failure(it) => it.msg_id,
            _ => return Some(result),
        };
        let Some((_, asked)) = self.written.remove(&id) else {
            return Some(result);
        };
        let answer = match result {
            Deserialization::RpcResult(it) => Ok(it.body),
            Deserialization::RpcError(it) => {
                Err(Unanswered::Failed(InvocationError::Rpc(it.error.into())))
            }
            Deserialization::Failure(it) => Err(Unanswered::Failed(it.error.into())),
            other => return Some(other),
        };
        // The next of a row is written with whatever else waits.
        self.waiting.extend(asked.tell(answer));
        None
    }

    /// Telegram ignored a message, or all of a container: they are said again, with what it told in between, or given up.
    fn ignored(&mut self, bad: &BadMessage) {
        let mut ids: Vec<MsgId> = self
            .written
            .iter()
            .filter(|(id, (container, _))| **id == bad.msg_id || *container == bad.msg_id)
            .map(|(id, _)| *id)
            .collect();
        ids.sort_unstable();
        for id in ids.into_iter().rev() {
            let Some((_, asked)) = self.written.remove(&id) else {
                continue;
            };
            if bad.retryable() {
                self.waiting.push_front(asked);
            } else {
                let dropped = InvocationError::Dropped("Telegram ignored it");
                asked.tell(Err(Unanswered::Failed(dropped)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use grammers_tl_types::{Serializable, enums, types};

    use super::*;

    fn short(pts: i32) -> Vec<u8> {
        enums::Updates::from(types::UpdateShortSentMessage {
            out: true,
            id: pts,
            pts,
            pts_count: 1,
            date: 1,
            media: None,
            entities: None,
            ttl_period: None,
        })
        .to_bytes()
    }

    fn answer(pts: i32) -> Deserialization {
        let mut buffer = DequeBuffer::with_capacity(1024, 256);
        let mut speech = Encrypted::build().finish([1; 256]);
        Deserialization::OwnUpdate {
            msg_id: speech.push(&mut buffer, &[0; 4]).expect("a number"),
            update: short(pts),
        }
    }

    /// Whether the sender sees nothing of it.
    fn is_counted(requests: &mut Requests, result: Deserialization) -> bool {
        requests.counted(result).is_none()
    }

    #[test]
    fn accepted_messages_are_counted_ahead_of_nothing_that_came_before_them() {
        let mut requests = Requests::default();
        assert!(is_counted(&mut requests, answer(11)));
        assert!(is_counted(&mut requests, answer(12)));
        // Somebody writes in: what follows it in the same step stays behind it.
        let written = Deserialization::Update(enums::Updates::TooLong.to_bytes());
        assert!(!is_counted(&mut requests, written));
        assert!(!is_counted(&mut requests, answer(14)));
        assert_eq!(requests.own, [(11, 1), (12, 1)]);

        let desk = Desk {
            requests: Mutex::new(requests),
            ..Desk::default()
        };
        let mut counted = Vec::new();
        desk.take_own(&mut counted);
        assert_eq!(counted, [(11, 1), (12, 1)]);
        counted.clear();
        assert!(
            is_counted(&mut desk.requests(), answer(15)),
            "the next step"
        );
        desk.take_own(&mut counted);
        assert_eq!(counted, [(15, 1)]);
    }
}

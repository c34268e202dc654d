//! The adapter on grammers: raw calls, no retries, own `random_id`s.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use grammers_tl_types::{Deserializable, RemoteCall, enums, functions, types};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::model::reaction::{Reaction, react};
use crate::model::{AccountName, PersonId, RandomKey, Reference, Timestamp};

use super::connect::{Called, Connector, can_be_sent};
use super::decode::{self, Offset};
use super::encode::{handle_of, uploaded, user_peer};
use super::{
    AccountClient, AccountConfig, CallError, Cursor, Delivered, Find, FoundPage, HistoryMessage,
    INCOMING_CAPACITY, Joined, MEMBERS_PAGE, MayLeave, Me, MediaHandle, MembersPage, Membership,
    Met, Place, PlaceKind, Received, Seen, Target, Telegram, UpdatesState, WrittenSince, places,
    session, updates,
};

/// Telegram over MTProto.
#[derive(Debug, Clone, Copy, Default)]
pub struct GrammersTelegram;

impl Telegram for GrammersTelegram {
    fn open(
        &self,
        config: AccountConfig,
    ) -> BoxFuture<'_, Result<Arc<dyn AccountClient>, CallError>> {
        Box::pin(async move {
            let file = session::read(&config.session_path, &config.vault).await?;
            let connector = Arc::new(Connector::new(&config, file));
            Ok(Arc::new(Client {
                name: config.name,
                connector,
                updates: Mutex::new(None),
                ask_updates: Arc::default(),
            }) as Arc<dyn AccountClient>)
        })
    }
}

pub(super) struct Client {
    name: AccountName,
    connector: Arc<Connector>,
    updates: Mutex<Option<AbortHandle>>,
    ask_updates: Arc<tokio::sync::Notify>,
}

/// The size of a part of a file (core.telegram.org/api/files: at most 512 KB, a divisor of it).
const FILE_PART: usize = 512 * 1024;

/// Files above this are uploaded as big ones (core.telegram.org/api/files: 10 MB).
const BIG_FILE: usize = 10 * 1024 * 1024;

/// The most parts of a file, and so its size of 2,000 MiB (core.telegram.org/api/config#upload-max-fileparts-default).
const MAX_PARTS: usize = 4000;

/// How many dialogs a page holds (core.telegram.org/method/messages.getDialogs: at most 100).
const DIALOGS_PAGE: i32 = 100;

/// How many pages of dialogs are searched for a place: 5,000 dialogs, more than an account can be a member of.
const MAX_DIALOG_PAGES: usize = 50;

/// The most messages that are asked for at once (core.telegram.org/method/messages.getHistory).
const MAX_HISTORY: i32 = 100;

impl Client {
    pub(super) fn own_name(&self) -> &AccountName {
        &self.name
    }

    pub(super) async fn call(&self, request: &[u8]) -> Result<Vec<u8>, CallError> {
        self.connector.call(request).await
    }

    pub(super) async fn invoke<R: RemoteCall>(&self, request: &R) -> Result<R::Return, CallError> {
        let answer = self.connector.call(&request.to_bytes()).await?;
        R::Return::from_bytes(&answer).map_err(|error| CallError::Unexpected(error.to_string()))
    }

    async fn resolve_username(
        &self,
        username: &str,
    ) -> Result<enums::contacts::ResolvedPeer, CallError> {
        self.invoke(&functions::contacts::ResolveUsername {
            username: username.to_owned(),
            referer: None,
        })
        .await
    }

    async fn place_of_invite(&self, reference: &Reference, hash: &str) -> Result<Place, CallError> {
        let answer = self
            .invoke(&functions::messages::CheckChatInvite {
                hash: hash.to_owned(),
            })
            .await?;
        match answer {
            enums::ChatInvite::Already(already) => decode::place(&already.chat),
            _ => None,
        }
        .ok_or_else(|| CallError::NotMet(reference.clone()))
    }

    async fn place_of_id(&self, reference: &Reference, id: i64) -> Result<Place, CallError> {
        let mut request = functions::messages::GetDialogs {
            exclude_pinned: false,
            folder_id: None,
            offset_date: 0,
            offset_id: 0,
            offset_peer: enums::InputPeer::Empty,
            limit: DIALOGS_PAGE,
            hash: 0,
        };
        for _ in 0..MAX_DIALOG_PAGES {
            let page = decode::dialogs(self.invoke(&request).await?)?;
            if let Some(place) = decode::place_among(&page.chats, id) {
                return Ok(place);
            }
            match page.next {
                // A server that gives the same page again has no more.
                Some(next) if (next.date, next.id) != (request.offset_date, request.offset_id) => {
                    request.exclude_pinned = true;
                    request.offset_date = next.date;
                    request.offset_id = next.id;
                    request.offset_peer = next.peer;
                }
                _ => break,
            }
        }
        // A basic group where nothing was ever written is no dialog, but needs no access hash either.
        match self
            .invoke(&functions::messages::GetChats { id: vec![id] })
            .await
        {
            Ok(answer) => {
                decode::member_of(&answer, id).ok_or_else(|| CallError::NotMet(reference.clone()))
            }
            // Whatever it says of the id, it is no place that this account is in. (As the target of an invite the same
            // words stall a campaign.)
            Err(CallError::Rpc(fault))
                if fault.base() == "CHAT_ID_INVALID"
                    || matches!(
                        react(&fault),
                        Reaction::FailRecipient | Reaction::LookUpAgain
                    ) =>
            {
                Err(CallError::NotMet(reference.clone()))
            }
            Err(error) => Err(error),
        }
    }

    /// Whether a place shows its members to admins only. Not knowing is no failure: the count may tell as well.
    async fn hides_members(&self, place: &Place) -> bool {
        if place.admin {
            return false;
        }
        let request = functions::channels::GetFullChannel {
            channel: types::InputChannel {
                channel_id: place.id,
                access_hash: place.access_hash,
            }
            .into(),
        };
        self.invoke(&request)
            .await
            .is_ok_and(|answer| decode::hides_members(&answer))
    }

    async fn upload_parts(&self, name: &str, bytes: &[u8]) -> Result<enums::InputFile, CallError> {
        let refuse = |detail: String| CallError::NotSent { detail };
        let parts = bytes.len().div_ceil(FILE_PART);
        if parts == 0 || parts > MAX_PARTS {
            return Err(refuse(format!(
                "a file of {} bytes cannot be uploaded: 1 to {} are expected",
                bytes.len(),
                FILE_PART * MAX_PARTS
            )));
        }
        let total = i32::try_from(parts).unwrap_or(i32::MAX);
        let big = bytes.len() > BIG_FILE;
        // Telegram asks for a number that the account has not used for another file just now.
        let id: i64 = rand::random();
        for (part, bytes) in (0..total).zip(bytes.chunks(FILE_PART)) {
            let saved = match big {
                true => {
                    self.invoke(&functions::upload::SaveBigFilePart {
                        file_id: id,
                        file_part: part,
                        file_total_parts: total,
                        bytes: bytes.to_vec(),
                    })
                    .await?
                }
                false => {
                    self.invoke(&functions::upload::SaveFilePart {
                        file_id: id,
                        file_part: part,
                        bytes: bytes.to_vec(),
                    })
                    .await?
                }
            };
            if !saved {
                return Err(CallError::Unexpected(format!(
                    "part {part} of {name} was not saved"
                )));
            }
        }
        let name = name.to_owned();
        Ok(match big {
            true => types::InputFileBig {
                id,
                parts: total,
                name,
            }
            .into(),
            // The checksum is optional; the transport has its own.
            false => types::InputFile {
                id,
                parts: total,
                name,
                md5_checksum: String::new(),
            }
            .into(),
        })
    }
}

impl AccountClient for Client {
    fn name(&self) -> &AccountName {
        &self.name
    }

    fn session_person(&self) -> Option<PersonId> {
        self.connector.self_id().map(PersonId)
    }

    fn me(&self) -> BoxFuture<'_, Result<Me, CallError>> {
        Box::pin(async move {
            let request = functions::users::GetUsers {
                id: vec![enums::InputUser::UserSelf],
            };
            decode::me(&self.invoke(&request).await?)
        })
    }

    fn random_key(&self) -> RandomKey {
        RandomKey::of_auth_key(self.connector.auth_key())
    }

    fn place<'a>(&'a self, reference: &'a Reference) -> BoxFuture<'a, Result<Place, CallError>> {
        Box::pin(async move {
            match reference {
                Reference::Username(username) => {
                    decode::resolved_place(self.resolve_username(username).await?, reference)
                }
                Reference::Invite(hash) => self.place_of_invite(reference, hash).await,
                Reference::Id(id) => self.place_of_id(reference, *id).await,
                Reference::Phone(_) => Err(CallError::NotAPlace(reference.clone())),
            }
        })
    }

    fn members_page<'a>(
        &'a self,
        place: &'a Place,
        cursor: Option<Cursor>,
        limit: i32,
    ) -> BoxFuture<'a, Result<MembersPage, CallError>> {
        Box::pin(async move {
            if place.kind == PlaceKind::BasicGroup {
                let request = functions::messages::GetFullChat { chat_id: place.id };
                return decode::group_members(
                    self.invoke(&request).await?,
                    &self.name,
                    super::now(),
                );
            }
            let offset = cursor
                .as_ref()
                .map_or(Ok(Offset::default()), Offset::parse)?;
            let request = functions::channels::GetParticipants {
                channel: types::InputChannel {
                    channel_id: place.id,
                    access_hash: place.access_hash,
                }
                .into(),
                filter: enums::ChannelParticipantsFilter::ChannelParticipantsRecent,
                offset: offset.0,
                limit: limit.clamp(1, MEMBERS_PAGE),
                hash: 0,
            };
            let mut page = decode::channel_members(
                self.invoke(&request).await?,
                place.kind,
                offset,
                &self.name,
                super::now(),
            )?;
            if page.next.is_none() && page.partial.is_none() {
                page.partial = decode::fewer_than_told(place, page.total);
                if page.partial.is_none() && self.hides_members(place).await {
                    page.partial =
                        Some("this place shows its members to its admins only".to_owned());
                }
            }
            Ok(page)
        })
    }

    fn find<'a>(
        &'a self,
        what: &'a Find,
        cursor: Option<&'a Cursor>,
        seen: &'a Seen,
    ) -> BoxFuture<'a, Result<FoundPage, CallError>> {
        Box::pin(Client::find(self, what, cursor, seen))
    }

    fn resolve<'a>(&'a self, reference: &'a Reference) -> BoxFuture<'a, Result<Met, CallError>> {
        Box::pin(async move {
            let answer = match reference {
                Reference::Username(username) => self.resolve_username(username).await?,
                Reference::Phone(phone) => {
                    self.invoke(&functions::contacts::ResolvePhone {
                        phone: phone.clone(),
                    })
                    .await?
                }
                Reference::Id(_) => return Err(CallError::NotMet(reference.clone())),
                Reference::Invite(_) => return Err(CallError::NotAPerson(reference.clone())),
            };
            decode::resolved_person(answer, reference, &self.name, super::now())
        })
    }

    fn send(&self, request: Arc<[u8]>) -> BoxFuture<'_, Result<Delivered, CallError>> {
        Box::pin(async move {
            if places::is_invite(&request) {
                return self.invite(&request).await;
            }
            let answer = self.connector.call(&request).await?;
            decode::delivered(&request, &answer)
        })
    }

    fn send_in_turn<'a>(
        &'a self,
        mut requests: VecDeque<Arc<[u8]>>,
        may_leave: MayLeave,
        told: &'a mut (dyn FnMut(Vec<Result<Delivered, CallError>>) + Send),
    ) -> BoxFuture<'a, VecDeque<Arc<[u8]>>> {
        let goes_alone = |request: &[u8]| places::is_invite(request) || !can_be_sent(request);
        Box::pin(async move {
            let mut fine = true;
            while fine && may_leave() {
                let row = requests.iter().take_while(|request| !goes_alone(request));
                let row = row.count();
                if row == 0 {
                    let Some(alone) = requests.pop_front() else {
                        break;
                    };
                    fail::fail_point!("send.request");
                    let result = self.send(alone).await;
                    fail::fail_point!("send.answered");
                    fine = result.is_ok();
                    told(vec![result]);
                    continue;
                }
                let after = requests.split_off(row);
                let mut hear = |came: Vec<Called>| {
                    let came = came.into_iter().map(|(request, answer)| {
                        answer.and_then(|answer| decode::delivered(&request, &answer))
                    });
                    let came: Vec<_> = came.collect();
                    fine &= came.iter().all(Result::is_ok);
                    told(came);
                };
                requests = self
                    .connector
                    .call_in_turn(requests, &may_leave, &mut hear)
                    .await;
                fine &= requests.is_empty();
                requests.extend(after);
            }
            requests
        })
    }

    fn was_added<'a>(&'a self, request: &'a [u8]) -> BoxFuture<'a, Result<Membership, CallError>> {
        Box::pin(Client::was_added(self, request))
    }

    fn target<'a>(
        &'a self,
        reference: &'a Reference,
        link: bool,
    ) -> BoxFuture<'a, Result<Target, CallError>> {
        Box::pin(async move {
            let place = self.place(reference).await?;
            let own = match link {
                true => self.export(&place).await?,
                false => None,
            };
            Ok(Target {
                exported: own.is_some(),
                link: own.or_else(|| places::public_link(&place)),
                place,
            })
        })
    }

    fn join<'a>(&'a self, reference: &'a Reference) -> BoxFuture<'a, Result<Joined, CallError>> {
        Box::pin(self.enter(reference))
    }

    fn typing(&self, person: PersonId, access_hash: i64) -> BoxFuture<'_, Result<(), CallError>> {
        Box::pin(async move {
            let request = functions::messages::SetTyping {
                peer: user_peer(person, access_hash),
                top_msg_id: None,
                action: enums::SendMessageAction::SendMessageTypingAction,
            };
            self.invoke(&request).await.map(|_| ())
        })
    }

    fn upload<'a>(
        &'a self,
        name: &'a str,
        mime: &'a str,
        bytes: Vec<u8>,
    ) -> BoxFuture<'a, Result<MediaHandle, CallError>> {
        Box::pin(async move {
            let file = self.upload_parts(name, &bytes).await?;
            let request = functions::messages::UploadMedia {
                business_connection_id: None,
                peer: enums::InputPeer::PeerSelf,
                media: uploaded(file, name, mime, bytes.len()),
            };
            let media = decode::uploaded_media(self.invoke(&request).await?)?;
            Ok(handle_of(&media))
        })
    }

    fn last_messages(
        &self,
        person: PersonId,
        access_hash: i64,
        limit: i32,
    ) -> BoxFuture<'_, Result<Vec<HistoryMessage>, CallError>> {
        Box::pin(async move {
            let request = functions::messages::GetHistory {
                peer: user_peer(person, access_hash),
                offset_id: 0,
                offset_date: 0,
                add_offset: 0,
                limit: limit.clamp(1, MAX_HISTORY),
                max_id: 0,
                min_id: 0,
                hash: 0,
            };
            decode::history(self.invoke(&request).await?)
        })
    }

    fn written_since(
        &self,
        since: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<WrittenSince>, CallError>> {
        Box::pin(self.dialogs_since(since))
    }

    fn start_updates(&self, from: Option<UpdatesState>) -> mpsc::Receiver<Received> {
        let (out, received) = mpsc::channel(INCOMING_CAPACITY);
        let (reader, sources) = mpsc::unbounded_channel();
        self.connector.read_updates(reader);
        let task = tokio::spawn(updates::run(
            self.connector.clone(),
            self.name.clone(),
            from,
            sources,
            Arc::clone(&self.ask_updates),
            out,
        ));
        let mut slot = self.updates.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = slot.replace(task.abort_handle()) {
            before.abort();
        }
        received
    }

    fn ask_updates(&self) {
        self.ask_updates.notify_one();
    }

    fn log_out(&self) -> BoxFuture<'_, Result<(), CallError>> {
        Box::pin(async move {
            let answer = self.invoke(&functions::auth::LogOut {}).await;
            self.close();
            answer.map(|_| ())
        })
    }

    fn is_alive(&self) -> bool {
        self.connector.is_alive()
    }

    fn last_failure(&self) -> Option<(crate::model::Timestamp, String)> {
        self.connector.last_failure()
    }

    fn reconnect(&self) {
        self.connector.reconnect();
    }

    fn close(&self) {
        if let Some(task) = self
            .updates
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        {
            task.abort();
        }
        self.connector.close();
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.close();
    }
}

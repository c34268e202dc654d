//! Sending: validation, privacy, patience, deduplication, effect.

use std::sync::Arc;

use grammers_tl_types::{Serializable as _, enums, functions, types};

use super::super::blank;
use super::super::show::Mentioned;
use super::super::spec::{GroupKind, Privacy, Writers};
use super::super::world::{Msg, Peer, Push, Pushed, keyed, secs};
use super::{Answer, Call, Fail, service::DC_ID, whole_seconds, yes};

/// UTF-16 units of a text at most, <https://core.telegram.org/method/messages.sendMessage>.
const MAX_TEXT: usize = 4_096;
/// UTF-16 units of a caption at most (an account without Premium).
const MAX_CAPTION: usize = 1_024;
/// Formatting entities that Telegram takes; more are an error here, so that a mistake shows.
const MAX_ENTITIES: usize = 100;

/// What is to be sent.
struct Draft {
    peer: enums::InputPeer,
    random_id: i64,
    text: String,
    entities: Vec<enums::MessageEntity>,
    media: Option<enums::InputMedia>,
    reply_to: Option<enums::InputReplyTo>,
    /// Stars that the sender is ready to pay.
    stars: i64,
}

impl Call<'_> {
    pub(super) fn send_message(&mut self, request: functions::messages::SendMessage) -> Answer {
        self.send(Draft {
            peer: request.peer,
            random_id: request.random_id,
            text: request.message,
            entities: request.entities.unwrap_or_default(),
            media: None,
            reply_to: request.reply_to,
            stars: request.allow_paid_stars.unwrap_or(0),
        })
    }

    pub(super) fn send_media(&mut self, request: functions::messages::SendMedia) -> Answer {
        self.send(Draft {
            peer: request.peer,
            random_id: request.random_id,
            text: request.message,
            entities: request.entities.unwrap_or_default(),
            media: Some(request.media),
            reply_to: request.reply_to,
            stars: request.allow_paid_stars.unwrap_or(0),
        })
    }

    fn send(&mut self, draft: Draft) -> Answer {
        let reply_to = match &draft.reply_to {
            Some(enums::InputReplyTo::Message(reply)) => Some(reply.reply_to_msg_id),
            _ => None,
        };
        if draft.random_id == 0 {
            return Err("RANDOM_ID_EMPTY".into());
        }
        let peer = self.peer(&draft.peer)?;
        let key = (peer, draft.random_id);
        let Some(owner) = self.world.accounts.get(self.account) else {
            return Err("AUTH_KEY_UNREGISTERED".into());
        };
        if owner.in_flight.contains(&key) {
            return Err("RANDOM_ID_DUPLICATE".into());
        }
        if let Some(id) = owner.random_ids.get(&key).copied() {
            self.entry.first = Some(false);
            self.entry.message_id = Some(id);
            return self.long_answer(peer, id, draft.random_id);
        }
        check_text(&draft)?;
        let now = self.now;
        if let Some(owner) = self.world.accounts.get_mut(self.account) {
            Self::patience(now, &mut owner.sends, owner.limits.sends)?;
        }
        match peer {
            Peer::User(id) => self.may_write_to(id, draft.stars)?,
            Peer::Chat(_) | Peer::Channel(_) => self.may_write_in(peer)?,
        }
        let media = draft.media.as_ref().map(|m| self.media(m)).transpose()?;
        let short = media.is_none() && matches!(peer, Peer::User(_));
        let entities: Vec<enums::MessageEntity> = draft
            .entities
            .into_iter()
            .map(|e| self.shown_entity(e))
            .collect();
        let id = self.deliver(peer, &draft.text, entities.clone(), media, reply_to);
        if let Some(owner) = self.world.accounts.get_mut(self.account) {
            owner.random_ids.insert(key, id);
        }
        self.entry.first = Some(true);
        self.entry.message_id = Some(id);
        if !short {
            return self.long_answer(peer, id, draft.random_id);
        }
        let msg = self
            .world
            .accounts
            .get(self.account)
            .and_then(|a| a.message(id))
            .ok_or("INTERNAL")?;
        Ok(
            enums::Updates::UpdateShortSentMessage(types::UpdateShortSentMessage {
                out: true,
                id,
                pts: msg.pts,
                pts_count: 1,
                date: msg.date,
                media: None,
                entities: (!entities.is_empty()).then_some(entities),
                ttl_period: None,
            })
            .to_bytes(),
        )
    }

    /// The long shape of the answer: which id the `random_id` got, and the message itself.
    fn long_answer(&mut self, peer: Peer, id: i32, random_id: i64) -> Answer {
        let mut mentioned = Mentioned::default();
        mentioned.user(self.own());
        let message = match (peer, self.world.group_index(peer)) {
            (Peer::Channel(_), Some(at)) => {
                self.world
                    .show_place_message(self.account, at, id, &mut mentioned)
            }
            _ => {
                let msg = self
                    .world
                    .accounts
                    .get(self.account)
                    .and_then(|a| a.message(id))
                    .ok_or("INTERNAL")?;
                mentioned.message(self.world, msg);
                Some(
                    types::UpdateNewMessage {
                        message: self.world.show_message(self.account, msg),
                        pts: msg.pts,
                        pts_count: 1,
                    }
                    .into(),
                )
            }
        };
        let mut updates = vec![types::UpdateMessageId { id, random_id }.into()];
        updates.extend(message);
        Ok(self
            .world
            .updates(self.account, updates, &mentioned, self.now)
            .to_bytes())
    }

    /// Whether this account may write to this user, by Telegram's rules and the person's own.
    fn may_write_to(&mut self, id: i64, stars: i64) -> Result<(), Fail> {
        let account = self.account;
        let user = self.world.user(id).ok_or("PEER_ID_INVALID")?;
        let owner = self
            .world
            .accounts
            .get(account)
            .ok_or("AUTH_KEY_UNREGISTERED")?;
        if id == self.world.self_id(account) {
            return Ok(());
        }
        if user.deleted {
            return Err("INPUT_USER_DEACTIVATED".into());
        }
        if user.blocked_by.contains(&account) {
            return Err("YOU_BLOCKED_USER".into());
        }
        let theirs = owner.user;
        let other_blocks = user.account.is_some_and(|other| {
            self.world
                .users
                .get(theirs)
                .is_some_and(|own| own.blocked_by.contains(&other))
        });
        if user.blocks.contains(&account) || other_blocks {
            return Err("USER_IS_BLOCKED".into());
        }
        let at = self.world.user_index(id).unwrap_or(usize::MAX);
        let dialog = owner.dialogs.get(&Peer::User(id));
        // Who wrote first, or stands in the address book, is no stranger.
        let known = owner.contacts.contains(&at) || dialog.is_some_and(|d| d.wrote);
        let premium = self.world.users.get(theirs).is_some_and(|u| u.premium);
        if !known {
            if user.privacy != Privacy::Everyone {
                return Err("USER_PRIVACY_RESTRICTED".into());
            }
            if user.premium_required && !premium {
                return Err("PRIVACY_PREMIUM_REQUIRED".into());
            }
            if let Some(price) = user.charges.filter(|price| stars < *price) {
                return Err(Fail::new(format!("ALLOW_PAYMENT_REQUIRED_{price}")));
            }
            if stars > 0 && user.charges.is_some() {
                self.entry.note = Some("STARS WERE PAID".into());
            }
        }
        let stranger = !known && !owner.first_contacts.contains(&id);
        if stranger
            && owner
                .limits
                .peer_flood_after
                .is_some_and(|limit| owner.first_contacts.len() >= limit)
        {
            return Err("PEER_FLOOD".into());
        }
        if stranger && let Some(owner) = self.world.accounts.get_mut(account) {
            owner.first_contacts.insert(id);
        }
        Ok(())
    }

    fn may_write_in(&mut self, peer: Peer) -> Result<(), Fail> {
        let own = self.own();
        let now = self.now;
        let at = self.world.group_index(peer).ok_or("PEER_ID_INVALID")?;
        let group = self.world.groups.get_mut(at).ok_or("PEER_ID_INVALID")?;
        let admin = group.is_admin(own);
        if group.kind == GroupKind::Channel && !admin {
            return Err("CHAT_ADMIN_REQUIRED".into());
        }
        let may = match group.write {
            Writers::Everyone => group.is_member(own),
            Writers::Admins => admin,
            Writers::Nobody => false,
        };
        if !may {
            return Err("CHAT_WRITE_FORBIDDEN".into());
        }
        if group.slowmode > 0 && !admin {
            let ready = group
                .wrote
                .get(&own)
                .map_or(now, |at| at + group.slowmode * 1000);
            if ready > now {
                return Err(Fail::new(format!(
                    "SLOWMODE_WAIT_{}",
                    whole_seconds(ready - now)
                )));
            }
            group.wrote.insert(own, now);
        }
        Ok(())
    }

    /// Puts the message where it belongs; returns its id in the sender's eyes.
    fn deliver(
        &mut self,
        peer: Peer,
        text: &str,
        entities: Vec<enums::MessageEntity>,
        media: Option<enums::MessageMedia>,
        reply_to: Option<i32>,
    ) -> i32 {
        let (account, now) = (self.account, self.now);
        let own_id = self.world.self_id(account);
        let text: Arc<str> = text.into();
        let msg = Msg {
            id: 0,
            peer,
            from: Some(own_id),
            out: true,
            date: secs(now),
            edited: None,
            text: Arc::clone(&text),
            entities,
            media: media.map(Box::new),
            reply_to,
            top: None,
            pts: 0,
        };
        let except = Some(self.connection);
        match peer {
            Peer::User(id) => {
                let own = self.world.store(account, msg.clone(), except);
                let Some(at) = self.world.user_index(id).filter(|_| id != own_id) else {
                    return own;
                };
                match self.world.users.get(at).and_then(|u| u.account) {
                    Some(other) => {
                        let msg = Msg {
                            peer: Peer::User(own_id),
                            out: false,
                            reply_to: None,
                            ..msg
                        };
                        self.world.store(other, msg, None);
                    }
                    None => self.world.received(at, account, &text, now),
                }
                own
            }
            Peer::Chat(_) => {
                let Some(at) = self.world.group_index(peer) else {
                    return 0;
                };
                let members: Vec<usize> = self.accounts_in(at);
                let own = self.world.store(account, msg.clone(), except);
                for other in members.into_iter().filter(|other| *other != account) {
                    self.world.store(
                        other,
                        Msg {
                            out: false,
                            reply_to: None,
                            ..msg.clone()
                        },
                        None,
                    );
                }
                own
            }
            Peer::Channel(_) => {
                let Some(at) = self.world.group_index(peer) else {
                    return 0;
                };
                let channel = self
                    .world
                    .groups
                    .get(at)
                    .is_some_and(|g| g.kind == GroupKind::Channel);
                let top = reply_to.map(|id| {
                    let answered = self.world.groups.get(at).and_then(|g| g.message(id));
                    answered.and_then(|m| m.top).unwrap_or(id)
                });
                let from = if channel { None } else { Some(own_id) };
                let id = self.world.append(
                    at,
                    Msg {
                        out: false,
                        from,
                        top,
                        ..msg
                    },
                );
                for other in self.accounts_in(at) {
                    let except = except.filter(|_| other == account);
                    self.world.pushes.push(Push {
                        account: other,
                        except,
                        what: Pushed::Place(at, id),
                    });
                }
                id
            }
        }
    }

    /// Our accounts that are members of a place.
    fn accounts_in(&self, at: usize) -> Vec<usize> {
        let Some(group) = self.world.groups.get(at) else {
            return Vec::new();
        };
        (0..self.world.accounts.len())
            .filter(|a| group.is_member(self.world.self_user(*a)))
            .collect()
    }

    /// An entity as others see it: a mention by name loses the access hash.
    fn shown_entity(&self, entity: enums::MessageEntity) -> enums::MessageEntity {
        match entity {
            enums::MessageEntity::InputMessageEntityMentionName(m) => {
                let user_id = self.user(&m.user_id).map_or(0, |at| self.user_id(at));
                types::MessageEntityMentionName {
                    offset: m.offset,
                    length: m.length,
                    user_id,
                }
                .into()
            }
            other => other,
        }
    }

    /// What is attached, from what was uploaded or sent before.
    fn media(&mut self, input: &enums::InputMedia) -> Result<enums::MessageMedia, Fail> {
        use enums::InputMedia as I;
        match input {
            I::UploadedPhoto(upload) => {
                self.entry.media = Some("photo".into());
                let (id, hash, size) = self.uploaded(&upload.file)?;
                let size = i32::try_from(size).unwrap_or(i32::MAX);
                let photo = types::Photo {
                    has_stickers: false,
                    id,
                    access_hash: hash,
                    file_reference: vec![1],
                    date: secs(self.now),
                    sizes: vec![
                        types::PhotoSize {
                            r#type: "x".into(),
                            w: 800,
                            h: 600,
                            size,
                        }
                        .into(),
                    ],
                    video_sizes: None,
                    dc_id: DC_ID,
                };
                Ok(self.keep_file(id, photo_media(photo.into())))
            }
            I::UploadedDocument(upload) => {
                self.entry.media = Some("document".into());
                let (id, hash, size) = self.uploaded(&upload.file)?;
                let document = types::Document {
                    id,
                    access_hash: hash,
                    file_reference: vec![1],
                    date: secs(self.now),
                    mime_type: upload.mime_type.clone(),
                    size: i64::try_from(size).unwrap_or(i64::MAX),
                    dc_id: DC_ID,
                    attributes: upload.attributes.clone(),
                    ..blank::document()
                };
                let name = upload.attributes.iter().find_map(|a| match a {
                    enums::DocumentAttribute::Filename(f) => Some(f.file_name.clone()),
                    _ => None,
                });
                if name.is_some() {
                    self.entry.file = name;
                }
                Ok(self.keep_file(id, document_media(document.into())))
            }
            I::Photo(photo) => {
                self.entry.media = Some("photo".into());
                let enums::InputPhoto::Photo(id) = &photo.id else {
                    return Err("MEDIA_EMPTY".into());
                };
                self.kept_file(id.id, id.access_hash)
            }
            I::Document(document) => {
                self.entry.media = Some("document".into());
                let enums::InputDocument::Document(id) = &document.id else {
                    return Err("MEDIA_EMPTY".into());
                };
                self.kept_file(id.id, id.access_hash)
            }
            I::Empty => Err("MEDIA_EMPTY".into()),
            _ => Err("MEDIA_INVALID".into()),
        }
    }

    /// Id, access hash and size of a file whose parts have all come.
    fn uploaded(&mut self, file: &enums::InputFile) -> Result<(i64, i64, u64), Fail> {
        let (id, parts, name) = match file {
            enums::InputFile::File(f) => (f.id, f.parts, &f.name),
            enums::InputFile::Big(f) => (f.id, f.parts, &f.name),
            enums::InputFile::StoryDocument(_) => return Err("MEDIA_INVALID".into()),
        };
        let Some(upload) = self.world.uploads.get(&(self.account, id)) else {
            return Err("FILE_PARTS_INVALID".into());
        };
        if let Some(missing) = (0..parts).find(|part| !upload.parts.contains_key(part)) {
            return Err(Fail::new(format!("FILE_PART_{missing}_MISSING")));
        }
        self.entry.file = Some(name.clone());
        self.entry.bytes = Some(upload.bytes);
        let bytes = upload.bytes;
        let new = self.file_number(b"file", id);
        Ok((new, self.file_number(b"file hash", new), bytes))
    }

    fn file_number(&self, what: &[u8], id: i64) -> i64 {
        let account = (self.account as u64).to_le_bytes();
        // Positive and never zero.
        i64::from_le_bytes(
            (keyed(&self.world.secret, &[what, &account, &id.to_le_bytes()]) >> 1 | 1)
                .to_le_bytes(),
        )
    }

    fn keep_file(&mut self, id: i64, media: enums::MessageMedia) -> enums::MessageMedia {
        self.world.files.insert((self.account, id), media.clone());
        media
    }

    fn kept_file(&self, id: i64, hash: i64) -> Result<enums::MessageMedia, Fail> {
        self.world
            .files
            .get(&(self.account, id))
            .filter(|_| self.file_number(b"file hash", id) == hash)
            .cloned()
            .ok_or_else(|| "MEDIA_INVALID".into())
    }

    pub(super) fn upload_media(&mut self, request: functions::messages::UploadMedia) -> Answer {
        let peer = self.peer(&request.peer)?;
        self.about(peer);
        Ok(self.media(&request.media)?.to_bytes())
    }

    pub(super) fn set_typing(&mut self, request: functions::messages::SetTyping) -> Answer {
        let peer = self.peer(&request.peer)?;
        self.about(peer);
        yes()
    }
}

fn check_text(draft: &Draft) -> Result<(), Fail> {
    let length = draft.text.encode_utf16().count();
    match &draft.media {
        None if draft.text.trim().is_empty() => return Err("MESSAGE_EMPTY".into()),
        None if length > MAX_TEXT => return Err("MESSAGE_TOO_LONG".into()),
        Some(_) if length > MAX_CAPTION => return Err("MEDIA_CAPTION_TOO_LONG".into()),
        _ => {}
    }
    if draft.entities.len() > MAX_ENTITIES {
        return Err("ENTITIES_TOO_LONG".into());
    }
    let fits = |offset: i32, size: i32| {
        let (offset, size) = (usize::try_from(offset).ok()?, usize::try_from(size).ok()?);
        (size > 0 && offset.checked_add(size)? <= length).then_some(())
    };
    for entity in &draft.entities {
        fits(entity.offset(), entity.length()).ok_or("ENTITY_BOUNDS_INVALID")?;
        if let enums::MessageEntity::TextUrl(link) = entity
            && (link.url.is_empty() || link.url.len() > 4_096)
        {
            return Err("ENTITY_TEXTURL_INVALID".into());
        }
    }
    Ok(())
}

fn photo_media(photo: enums::Photo) -> enums::MessageMedia {
    types::MessageMediaPhoto {
        spoiler: false,
        live_photo: false,
        photo: Some(photo),
        ttl_seconds: None,
        video: None,
    }
    .into()
}

fn document_media(document: enums::Document) -> enums::MessageMedia {
    types::MessageMediaDocument {
        nopremium: false,
        spoiler: false,
        video: false,
        round: false,
        voice: false,
        document: Some(document),
        alt_documents: None,
        video_cover: None,
        video_timestamp: None,
        ttl_seconds: None,
    }
    .into()
}

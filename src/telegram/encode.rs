//! Messages as the bytes of a request. Pure: the same message is the same bytes, for ever.

use grammers_tl_types::{
    Cursor, Deserializable, Identifiable, Serializable, enums, functions, types,
};

use crate::model::{Entity, EntityKind, Formatted, PersonId};

use super::MediaHandle;

/// What a request of a text takes beside the text.
const ROOM: usize = 96;

/// The request that sends `message` to a person: `messages.sendMessage`, or `messages.sendMedia` where a file goes
/// with it (core.telegram.org/method/messages.sendMessage).
///
/// `link_preview` says whether the first link may be shown with a picture; a file leaves no room for one.
pub fn encode_send(
    peer: PersonId,
    access_hash: i64,
    message: Formatted,
    link_preview: bool,
    random_id: i64,
    media: Option<&MediaHandle>,
) -> Vec<u8> {
    let peer = user_peer(peer, access_hash);
    let entities = match message.entities.is_empty() {
        true => None,
        false => Some(message.entities.iter().map(entity).collect()),
    };
    // Made once: a request of a text is hardly longer than the text.
    let mut bytes = Vec::with_capacity(ROOM + message.text.len());
    match media.and_then(media_of) {
        None => functions::messages::SendMessage {
            no_webpage: !link_preview,
            silent: false,
            background: false,
            clear_draft: false,
            noforwards: false,
            update_stickersets_order: false,
            invert_media: false,
            allow_paid_floodskip: false,
            peer,
            reply_to: None,
            message: message.text,
            random_id,
            reply_markup: None,
            entities,
            schedule_date: None,
            schedule_repeat_period: None,
            send_as: None,
            quick_reply_shortcut: None,
            effect: None,
            allow_paid_stars: None,
            suggested_post: None,
            rich_message: None,
        }
        .serialize(&mut bytes),
        Some(media) => functions::messages::SendMedia {
            silent: false,
            background: false,
            clear_draft: false,
            noforwards: false,
            update_stickersets_order: false,
            invert_media: false,
            allow_paid_floodskip: false,
            peer,
            reply_to: None,
            media,
            message: message.text,
            random_id,
            reply_markup: None,
            entities,
            schedule_date: None,
            schedule_repeat_period: None,
            send_as: None,
            quick_reply_shortcut: None,
            effect: None,
            allow_paid_stars: None,
            suggested_post: None,
        }
        .serialize(&mut bytes),
    }
    bytes
}

/// The same request to the account itself (its Saved Messages) instead of to a person.
pub fn to_oneself(request: &[u8]) -> Option<Vec<u8>> {
    let mut buffer = Cursor::from_slice(request);
    let id = u32::deserialize(&mut buffer).ok()?;
    let peer = enums::InputPeer::PeerSelf;
    if id == <functions::messages::SendMessage as Identifiable>::CONSTRUCTOR_ID {
        let request = functions::messages::SendMessage::deserialize(&mut buffer).ok()?;
        Some(functions::messages::SendMessage { peer, ..request }.to_bytes())
    } else if id == <functions::messages::SendMedia as Identifiable>::CONSTRUCTOR_ID {
        let request = functions::messages::SendMedia::deserialize(&mut buffer).ok()?;
        Some(functions::messages::SendMedia { peer, ..request }.to_bytes())
    } else {
        None
    }
}

/// The text of a request that [`encode_send`] made, to find the message again in a dialog.
pub fn text_of(request: &[u8]) -> Option<String> {
    let mut buffer = Cursor::from_slice(request);
    let id = u32::deserialize(&mut buffer).ok()?;
    if id == <functions::messages::SendMessage as Identifiable>::CONSTRUCTOR_ID {
        functions::messages::SendMessage::deserialize(&mut buffer)
            .ok()
            .map(|request| request.message)
    } else if id == <functions::messages::SendMedia as Identifiable>::CONSTRUCTOR_ID {
        functions::messages::SendMedia::deserialize(&mut buffer)
            .ok()
            .map(|request| request.message)
    } else {
        None
    }
}

/// A person as a dialog.
pub(super) fn user_peer(person: PersonId, access_hash: i64) -> enums::InputPeer {
    enums::InputPeer::User(types::InputPeerUser {
        user_id: person.0,
        access_hash,
    })
}

/// The file behind a handle. A handle only ever comes from [`handle_of`].
fn media_of(handle: &MediaHandle) -> Option<enums::InputMedia> {
    enums::InputMedia::deserialize(&mut Cursor::from_slice(&handle.0)).ok()
}

/// A handle of an uploaded file.
pub(super) fn handle_of(media: &enums::InputMedia) -> MediaHandle {
    MediaHandle(media.to_bytes())
}

fn entity(entity: &Entity) -> enums::MessageEntity {
    // A text has at most 4096 units, so that these never lose anything.
    let offset = i32::try_from(entity.offset).unwrap_or(i32::MAX);
    let length = i32::try_from(entity.length).unwrap_or(i32::MAX);
    match &entity.kind {
        EntityKind::Blockquote { collapsed } => types::MessageEntityBlockquote {
            collapsed: *collapsed,
            offset,
            length,
        }
        .into(),
        EntityKind::TextUrl { url } => types::MessageEntityTextUrl {
            offset,
            length,
            url: url.clone(),
        }
        .into(),
        EntityKind::Bold => types::MessageEntityBold { offset, length }.into(),
        EntityKind::Italic => types::MessageEntityItalic { offset, length }.into(),
        EntityKind::Underline => types::MessageEntityUnderline { offset, length }.into(),
        EntityKind::Strike => types::MessageEntityStrike { offset, length }.into(),
        EntityKind::Spoiler => types::MessageEntitySpoiler { offset, length }.into(),
        EntityKind::Code => types::MessageEntityCode { offset, length }.into(),
        EntityKind::CustomEmoji { document_id } => types::MessageEntityCustomEmoji {
            offset,
            length,
            document_id: *document_id,
        }
        .into(),
        EntityKind::Pre { language } => types::MessageEntityPre {
            offset,
            length,
            language: language.clone(),
        }
        .into(),
    }
}

/// The largest file that is sent as a photo (core.telegram.org/api/files#uploading-files: 10 MB).
const MAX_PHOTO: usize = 10 * 1024 * 1024;

/// Whether a file goes as a photo, which is shown in the dialog, rather than as a document.
pub(super) fn is_photo(mime: &str, size: usize) -> bool {
    size <= MAX_PHOTO && matches!(mime, "image/jpeg" | "image/png" | "image/webp")
}

/// An uploaded file as the media of a message.
pub(super) fn uploaded(
    file: enums::InputFile,
    name: &str,
    mime: &str,
    size: usize,
) -> enums::InputMedia {
    if is_photo(mime, size) {
        return types::InputMediaUploadedPhoto {
            spoiler: false,
            live_photo: false,
            file,
            stickers: None,
            ttl_seconds: None,
            video: None,
        }
        .into();
    }
    types::InputMediaUploadedDocument {
        nosound_video: false,
        force_file: false,
        spoiler: false,
        file,
        thumb: None,
        mime_type: mime.to_owned(),
        attributes: vec![
            types::DocumentAttributeFilename {
                file_name: name.to_owned(),
            }
            .into(),
        ],
        stickers: None,
        video_cover: None,
        video_timestamp: None,
        ttl_seconds: None,
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str, entities: Vec<Entity>) -> Formatted {
        Formatted {
            text: text.to_owned(),
            entities,
        }
    }

    #[test]
    fn a_text_becomes_send_message_with_its_own_random_id() {
        let bold = Entity {
            kind: EntityKind::Bold,
            offset: 0,
            length: 2,
        };
        let link = Entity {
            kind: EntityKind::TextUrl {
                url: "https://a.b/".into(),
            },
            offset: 3,
            length: 5,
        };
        let bytes = encode_send(
            PersonId(7),
            -9,
            message("Hi there", vec![bold, link]),
            false,
            42,
            None,
        );
        let sent =
            functions::messages::SendMessage::from_bytes(&bytes[4..]).expect("its own bytes");
        assert_eq!(
            sent.peer,
            types::InputPeerUser {
                user_id: 7,
                access_hash: -9
            }
            .into()
        );
        assert_eq!(
            (sent.message.as_str(), sent.random_id, sent.no_webpage),
            ("Hi there", 42, true)
        );
        assert_eq!(
            sent.entities,
            Some(vec![
                types::MessageEntityBold {
                    offset: 0,
                    length: 2
                }
                .into(),
                types::MessageEntityTextUrl {
                    offset: 3,
                    length: 5,
                    url: "https://a.b/".into()
                }
                .into(),
            ])
        );
        assert!(sent.allow_paid_stars.is_none(), "nothing is ever paid");
    }

    #[test]
    fn the_same_message_is_the_same_bytes() {
        let text = message("Привет 👋", vec![]);
        let one = encode_send(PersonId(7), 1, text.clone(), true, 5, None);
        assert_eq!(
            one,
            encode_send(PersonId(7), 1, text.clone(), true, 5, None)
        );
        assert_ne!(
            one,
            encode_send(PersonId(7), 1, text.clone(), true, 6, None)
        );
        assert_ne!(
            one,
            encode_send(PersonId(7), 1, text.clone(), false, 5, None)
        );
        assert_eq!(one.len() % 4, 0);
    }

    #[test]
    fn every_kind_of_entity_has_its_counterpart() {
        let kinds = [
            EntityKind::Blockquote { collapsed: true },
            EntityKind::TextUrl { url: "u".into() },
            EntityKind::Bold,
            EntityKind::Italic,
            EntityKind::Underline,
            EntityKind::Strike,
            EntityKind::Spoiler,
            EntityKind::Code,
            EntityKind::Pre {
                language: "rust".into(),
            },
            EntityKind::CustomEmoji { document_id: 5 },
        ];
        let entities: Vec<_> = kinds
            .iter()
            .map(|kind| Entity {
                kind: kind.clone(),
                offset: 0,
                length: 1,
            })
            .collect();
        let bytes = encode_send(PersonId(7), 1, message("x", entities), true, 5, None);
        let sent =
            functions::messages::SendMessage::from_bytes(&bytes[4..]).expect("its own bytes");
        let mut names: Vec<_> = sent
            .entities
            .unwrap_or_default()
            .iter()
            .map(|e| e.to_bytes()[..4].to_vec())
            .collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), kinds.len());
    }

    #[test]
    fn a_file_goes_with_its_text_and_can_go_again() {
        let media: enums::InputMedia = types::InputMediaPhoto {
            spoiler: false,
            live_photo: false,
            id: types::InputPhoto {
                id: 1,
                access_hash: 2,
                file_reference: vec![3],
            }
            .into(),
            ttl_seconds: None,
            video: None,
        }
        .into();
        let handle = handle_of(&media);
        for random_id in [5, 6] {
            let bytes = encode_send(
                PersonId(7),
                1,
                message("x", vec![]),
                true,
                random_id,
                Some(&handle),
            );
            let sent =
                functions::messages::SendMedia::from_bytes(&bytes[4..]).expect("its own bytes");
            assert_eq!((sent.random_id, &sent.media), (random_id, &media));
        }
    }

    #[test]
    fn a_picture_is_a_photo_unless_it_is_large() {
        for (mime, size, photo) in [
            ("image/jpeg", 1, true),
            ("image/png", MAX_PHOTO, true),
            ("image/webp", 1, true),
            ("image/png", MAX_PHOTO + 1, false),
            ("image/gif", 1, false),
            ("application/pdf", 1, false),
        ] {
            assert_eq!(is_photo(mime, size), photo, "{mime} {size}");
        }
    }
}

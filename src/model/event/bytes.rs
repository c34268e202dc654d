//! Events as MessagePack with named fields: self-describing, so that variants and optional fields can be added later.
//!
//! Two events come with every message, the intent and its acceptance. They are written by hand, byte for byte as serde
//! writes them: that is an eighth of the work.

use serde::Serialize;

use super::{Event, Intent, Recorded, SendKey};

/// The longest text or list whose length is one byte of its mark (MessagePack's fixstr).
const FIX_STR: usize = 32;

impl Recorded {
    /// Appends the event's bytes for the journal: of an intent all but the request, which holds a text and stands beside it only
    /// until the send is settled.
    ///
    /// # Errors
    /// Where something in it cannot be written; nothing in our vocabulary is so.
    pub fn to_journal_bytes(&self, out: &mut Vec<u8>) -> Result<(), rmp_serde::encode::Error> {
        match &self.event {
            Event::Intent(intent) => {
                head(out, self, "intent");
                self::intent(out, intent);
            }
            Event::Sent {
                key,
                message_id,
                earlier,
                next_allowed_at,
            } => {
                head(out, self, "sent");
                map(out, 4);
                text(out, "key");
                self::key(out, key);
                text(out, "message_id");
                number(out, i64::from(*message_id));
                text(out, "earlier");
                truth(out, *earlier);
                text(out, "next_allowed_at");
                number(out, next_allowed_at.0);
            }
            _ => self.serialize(&mut rmp_serde::Serializer::new(&mut *out).with_struct_map())?,
        }
        Ok(())
    }
}

/// `{at: …, event: {kind: ` up to the event's own fields.
fn head(out: &mut Vec<u8>, recorded: &Recorded, kind: &str) {
    map(out, 2);
    text(out, "at");
    number(out, recorded.at.0);
    text(out, "event");
    map(out, 1);
    text(out, kind);
}

fn intent(out: &mut Vec<u8>, intent: &Intent) {
    // All of them: a field that is added must be written.
    let Intent {
        key,
        account,
        random_id,
        run,
        variant,
        digest,
        attested,
        request: _,
        next_allowed_at,
    } = intent;
    map(out, 9);
    text(out, "key");
    self::key(out, key);
    text(out, "account");
    text(out, account);
    text(out, "random_id");
    number(out, *random_id);
    text(out, "run");
    number(out, i64::from(*run));
    text(out, "variant");
    text(out, variant);
    text(out, "digest");
    text(out, digest);
    text(out, "attested");
    truth(out, *attested);
    text(out, "request");
    bytes(out, &[]);
    text(out, "next_allowed_at");
    number(out, next_allowed_at.0);
}

fn key(out: &mut Vec<u8>, key: &SendKey) {
    let SendKey {
        lineage,
        person,
        step,
        run,
    } = key;
    map(out, 4);
    text(out, "lineage");
    text(out, lineage);
    text(out, "person");
    number(out, person.0);
    text(out, "step");
    number(out, i64::from(*step));
    text(out, "run");
    number(out, i64::from(*run));
}

/// A mapping of so many fields, at most 15 (fixmap).
fn map(out: &mut Vec<u8>, fields: u8) {
    out.push(0x80 | fields);
}

fn truth(out: &mut Vec<u8>, value: bool) {
    out.push(if value { 0xc3 } else { 0xc2 });
}

/// The shortest form, as the format's own writers choose it.
fn number(out: &mut Vec<u8>, value: i64) {
    let wide = |out: &mut Vec<u8>, mark: u8, bytes: &[u8]| {
        out.push(mark);
        out.extend_from_slice(bytes);
    };
    if let Ok(small) = i8::try_from(value) {
        if small >= -32 {
            // One byte, which is its own mark.
            out.extend_from_slice(&small.to_be_bytes());
        } else {
            wide(out, 0xd0, &small.to_be_bytes());
        }
    } else if let Ok(value) = u8::try_from(value) {
        wide(out, 0xcc, &[value]);
    } else if let Ok(value) = u16::try_from(value) {
        wide(out, 0xcd, &value.to_be_bytes());
    } else if let Ok(value) = u32::try_from(value) {
        wide(out, 0xce, &value.to_be_bytes());
    } else if value >= 0 {
        wide(out, 0xcf, &value.to_be_bytes());
    } else if let Ok(value) = i16::try_from(value) {
        wide(out, 0xd1, &value.to_be_bytes());
    } else if let Ok(value) = i32::try_from(value) {
        wide(out, 0xd2, &value.to_be_bytes());
    } else {
        wide(out, 0xd3, &value.to_be_bytes());
    }
}

fn text(out: &mut Vec<u8>, value: &str) {
    let len = value.len();
    if len < FIX_STR {
        out.push(0xa0 | len as u8);
    } else {
        length(out, len, [0xd9, 0xda, 0xdb]);
    }
    out.extend_from_slice(value.as_bytes());
}

fn bytes(out: &mut Vec<u8>, value: &[u8]) {
    length(out, value.len(), [0xc4, 0xc5, 0xc6]);
    out.extend_from_slice(value);
}

/// A length in one, two or four bytes, each with its mark. Nothing of an event is longer: the outbox takes 16 MB.
fn length(out: &mut Vec<u8>, len: usize, marks: [u8; 3]) {
    if let Ok(len) = u8::try_from(len) {
        out.extend_from_slice(&[marks[0], len]);
    } else if let Ok(len) = u16::try_from(len) {
        out.push(marks[1]);
        out.extend_from_slice(&len.to_be_bytes());
    } else {
        out.push(marks[2]);
        out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::model::{PersonId, Timestamp};

    fn any_number() -> impl Strategy<Value = i64> {
        prop_oneof![
            any::<i64>(),
            -200i64..200,
            -70_000i64..70_000,
            i64::from(i32::MIN) - 10..i64::from(i32::MIN) + 10,
            i64::from(u32::MAX) - 10..i64::from(u32::MAX) + 10,
        ]
    }

    fn any_key() -> impl Strategy<Value = SendKey> {
        (
            "[a-zа-я0-9-]{0,70}",
            any_number(),
            any::<u16>(),
            any::<u32>(),
        )
            .prop_map(|(lineage, person, step, run)| SendKey {
                lineage: lineage.as_str().into(),
                person: PersonId(person),
                step,
                run,
            })
    }

    fn any_event() -> impl Strategy<Value = Event> {
        let intent = (
            any_key(),
            "[a-z0-9-]{0,40}",
            any_number(),
            any::<u32>(),
            ".{0,40}",
            "[0-9a-f]{64}",
            any::<bool>(),
            prop::collection::vec(any::<u8>(), 0..400),
            any_number(),
        )
            .prop_map(
                |(key, account, random_id, run, variant, digest, attested, request, next)| {
                    Event::Intent(Arc::new(Intent {
                        key,
                        account: account.as_str().into(),
                        random_id,
                        run,
                        variant: variant.into(),
                        digest: digest.into(),
                        attested,
                        request: request.into(),
                        next_allowed_at: Timestamp(next),
                    }))
                },
            );
        let sent = (any_key(), any::<i32>(), any::<bool>(), any_number()).prop_map(
            |(key, message_id, earlier, next)| Event::Sent {
                key,
                message_id,
                earlier,
                next_allowed_at: Timestamp(next),
            },
        );
        let other = ".{0,300}".prop_map(|version| Event::Started { version });
        prop_oneof![intent, sent, other]
    }

    proptest! {
        #[test]
        fn an_event_is_written_as_serde_writes_it(at in any_number(), event in any_event()) {
            let recorded = Recorded { at: Timestamp(at), event };
            let mut bytes = Vec::new();
            recorded.to_journal_bytes(&mut bytes).unwrap();
            let mut bare = recorded;
            if let Event::Intent(intent) = &mut bare.event {
                Arc::make_mut(intent).request = Arc::default();
            }
            prop_assert_eq!(&bytes, &rmp_serde::to_vec_named(&bare).unwrap());
            let back: Recorded = rmp_serde::from_slice(&bytes).unwrap();
            prop_assert_eq!(back, bare);
        }
    }

    #[test]
    fn a_request_of_any_length_is_read_back() {
        for len in [0, 31, 32, 255, 256, 65_535, 65_536] {
            let mut out = Vec::new();
            bytes(&mut out, &vec![7; len]);
            let serde = rmp_serde::to_vec(serde_bytes::Bytes::new(&vec![7; len])).unwrap();
            assert!(out == serde, "{len}");
            let word = "x".repeat(len);
            let mut out = Vec::new();
            text(&mut out, &word);
            assert!(out == rmp_serde::to_vec(&word).unwrap(), "{len}");
        }
    }
}

//! MTProto 2.0 as a server speaks it: frames of the full transport, encryption with a key that both sides
//! have, messages and containers. No sockets.
//!
//! Sources: <https://core.telegram.org/mtproto/description>, <https://core.telegram.org/mtproto/mtproto-transports>,
//! <https://core.telegram.org/mtproto/service_messages>,
//! <https://core.telegram.org/mtproto/service_messages_about_messages>.

use std::io::Read as _;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use bytes::{Buf as _, BytesMut};
use grammers_crypto::{AuthKey, DequeBuffer, aes, encrypt_data_v2};
use grammers_tl_types::{Deserializable as _, Identifiable as _, Serializable as _, types};
use sha2::{Digest as _, Sha256};

/// Bytes of a frame at most: Telegram closes at about a megabyte; clients stay below it.
const MAX_FRAME: usize = 2 * 1024 * 1024;
/// Bytes that the gzips of a packet may unpack to.
const MAX_UNPACKED: u64 = 8 * 1024 * 1024;
/// Messages in a container at most, <https://core.telegram.org/mtproto/service_messages#simple-container>.
const MAX_IN_CONTAINER: usize = 1_020;
/// How many answers go into one container of ours.
const OUR_CONTAINER: usize = 100;
/// Bytes of one container of ours: below what clients can read at once.
const OUR_CONTAINER_BYTES: usize = 512 * 1024;
/// How long a salt serves, in seconds, <https://core.telegram.org/mtproto/description#server-salt>.
const SALT_SECONDS: i64 = 1_800;

const MSG_CONTAINER: u32 = 0x73f1_f8dc;
const GZIP_PACKED: u32 = 0x3072_cfa1;
const RPC_RESULT: u32 = 0xf35c_6d01;

/// What is wrong with what came.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ProtoError {
    #[error("a frame of {0} bytes")]
    FrameLength(i64),
    #[error("frame number {got} where {expected} was due")]
    FrameNumber { expected: u32, got: u32 },
    #[error("a frame with a wrong checksum")]
    FrameChecksum,
    #[error("a message that is too short")]
    Short,
    #[error("a message key that does not fit")]
    MessageKey,
    #[error("a message length that does not fit")]
    Length,
    #[error("a container that cannot be read")]
    Container,
    #[error("a compressed message that cannot be unpacked")]
    Gzip,
}

/// A permanent key that both sides have, and whose it is.
#[derive(Debug)]
pub(super) struct Key {
    pub id: [u8; 8],
    pub account: usize,
    data: [u8; 256],
    /// Rises when a fault changes the salt.
    pub epoch: AtomicU32,
    /// Whether the server still knows it.
    pub known: AtomicBool,
}

impl Key {
    pub fn new(account: usize, data: [u8; 256]) -> Self {
        // The id is the tail of the key's SHA-1; an encrypted message begins with it.
        let mut probe = DequeBuffer::with_capacity(64, 24);
        probe.extend([0u8; 16]);
        encrypt_data_v2(&mut probe, &AuthKey::from_bytes(data));
        let mut id = [0; 8];
        let sealed: &[u8] = probe.as_ref();
        id.copy_from_slice(sealed.get(..8).unwrap_or(&[0; 8]));
        Self {
            id,
            account,
            data,
            epoch: AtomicU32::new(0),
            known: AtomicBool::new(true),
        }
    }

    fn slot_salt(&self, slot: i64) -> i64 {
        let epoch = self.epoch.load(Ordering::Relaxed);
        let hash = super::world::keyed(
            &self.data,
            &[b"salt", &epoch.to_le_bytes(), &slot.to_le_bytes()],
        );
        // Zero is what a client has that knows no salt.
        i64::from_le_bytes(hash.to_le_bytes()) | 1
    }

    /// The salt of this moment (unix seconds).
    pub fn salt(&self, now: i64) -> i64 {
        self.slot_salt(now.div_euclid(SALT_SECONDS))
    }

    /// Whether a client may use this salt now: this slot's, the one before or the next one.
    pub fn salt_fits(&self, salt: i64, now: i64) -> bool {
        let slot = now.div_euclid(SALT_SECONDS);
        (slot - 1..=slot + 1)
            .rev()
            .any(|slot| self.slot_salt(slot) == salt)
    }

    /// The salts of this slot and those that follow.
    pub fn future_salts(&self, now: i64, count: i32) -> Vec<types::FutureSalt> {
        let slot = now.div_euclid(SALT_SECONDS);
        let seconds = |slot: i64| i32::try_from(slot * SALT_SECONDS).unwrap_or(i32::MAX);
        (slot..slot + i64::from(count.clamp(1, 64)))
            .map(|slot| types::FutureSalt {
                valid_since: seconds(slot),
                valid_until: seconds(slot + 2),
                salt: self.slot_salt(slot),
            })
            .collect()
    }

    /// AES key and vector for a message key; `x` is 0 for what clients send, 8 for what servers send.
    fn cipher(&self, msg_key: &[u8], x: usize) -> ([u8; 32], [u8; 32]) {
        let mut hasher = Sha256::new();
        hasher.update(msg_key);
        hasher.update(&self.data[x..x + 36]);
        let a = hasher.finalize();
        let mut hasher = Sha256::new();
        hasher.update(&self.data[40 + x..40 + x + 36]);
        hasher.update(msg_key);
        let b = hasher.finalize();
        let (mut key, mut iv) = ([0; 32], [0; 32]);
        key[..8].copy_from_slice(&a[..8]);
        key[8..24].copy_from_slice(&b[8..24]);
        key[24..].copy_from_slice(&a[24..]);
        iv[..8].copy_from_slice(&b[..8]);
        iv[8..24].copy_from_slice(&a[8..24]);
        iv[24..].copy_from_slice(&b[24..]);
        (key, iv)
    }

    fn message_key(&self, plain: &[u8], x: usize) -> [u8; 16] {
        let mut hasher = Sha256::new();
        hasher.update(&self.data[88 + x..88 + x + 32]);
        hasher.update(plain);
        let large = hasher.finalize();
        let mut key = [0; 16];
        key.copy_from_slice(&large[8..24]);
        key
    }

    /// Decrypts a client's payload (key id, message key, ciphertext) in place.
    pub fn open(&self, payload: &mut [u8]) -> Result<Packet, ProtoError> {
        if payload.len() < 24 + 48 || !(payload.len() - 24).is_multiple_of(16) {
            return Err(ProtoError::Short);
        }
        let (head, body) = payload.split_at_mut(24);
        let (key, iv) = self.cipher(&head[8..24], 0);
        aes::ige_decrypt(body, &key, &iv);
        if self.message_key(body, 0) != head[8..24] {
            return Err(ProtoError::MessageKey);
        }
        let salt = read_i64(body, 0)?;
        let session = read_i64(body, 8)?;
        let msg_id = read_i64(body, 16)?;
        let seq_no = read_i32(body, 24)?;
        let length = usize::try_from(read_i32(body, 28)?).map_err(|_| ProtoError::Length)?;
        let padding = (body.len() - 32)
            .checked_sub(length)
            .ok_or(ProtoError::Length)?;
        if !length.is_multiple_of(4) || !(12..=1024).contains(&padding) {
            return Err(ProtoError::Length);
        }
        let mut packet = Packet {
            salt,
            session,
            msg_id,
            seq_no,
            container: false,
            messages: Vec::new(),
            room: MAX_UNPACKED,
        };
        packet.unpack(msg_id, seq_no, &body[32..32 + length], 0)?;
        Ok(packet)
    }

    /// Encrypts messages for a session into one frame.
    fn seal(&self, salt: i64, session: i64, inner: &[u8], frame: u32) -> Vec<u8> {
        let mut plain_len = 16 + inner.len() + 12;
        plain_len += (16 - plain_len % 16) % 16;
        let mut out = Vec::with_capacity(8 + 24 + plain_len + 4);
        let total = u32::try_from(plain_len + 24 + 12).unwrap_or(u32::MAX);
        out.extend(total.to_le_bytes());
        out.extend(frame.to_le_bytes());
        out.extend(self.id);
        out.extend([0; 16]);
        let start = out.len();
        out.extend(salt.to_le_bytes());
        out.extend(session.to_le_bytes());
        out.extend(inner);
        let filled = out.len();
        out.resize(start + plain_len, 0);
        rand::fill(&mut out[filled..]);
        let msg_key = self.message_key(&out[start..], 8);
        out[start - 16..start].copy_from_slice(&msg_key);
        let (key, iv) = self.cipher(&msg_key, 8);
        aes::ige_encrypt(&mut out[start..], &key, &iv);
        let crc = crc32fast::hash(&out);
        out.extend(crc.to_le_bytes());
        out
    }
}

fn read_i64(bytes: &[u8], at: usize) -> Result<i64, ProtoError> {
    bytes
        .get(at..at + 8)
        .and_then(|b| b.try_into().ok())
        .map(i64::from_le_bytes)
        .ok_or(ProtoError::Short)
}

fn read_i32(bytes: &[u8], at: usize) -> Result<i32, ProtoError> {
    bytes
        .get(at..at + 4)
        .and_then(|b| b.try_into().ok())
        .map(i32::from_le_bytes)
        .ok_or(ProtoError::Short)
}

/// One message of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Incoming {
    pub msg_id: i64,
    pub seq_no: i32,
    pub body: Vec<u8>,
}

/// What a frame held.
#[derive(Debug)]
pub(super) struct Packet {
    pub salt: i64,
    pub session: i64,
    /// The outer message's id: the container's where there is one.
    pub msg_id: i64,
    pub seq_no: i32,
    pub container: bool,
    pub messages: Vec<Incoming>,
    /// Bytes that may still be unpacked, of all its messages together.
    room: u64,
}

impl Packet {
    fn unpack(
        &mut self,
        msg_id: i64,
        seq_no: i32,
        body: &[u8],
        depth: usize,
    ) -> Result<(), ProtoError> {
        match read_i32(body, 0)?.cast_unsigned() {
            MSG_CONTAINER if depth == 0 => {
                self.container = true;
                let count =
                    usize::try_from(read_i32(body, 4)?).map_err(|_| ProtoError::Container)?;
                if count > MAX_IN_CONTAINER {
                    return Err(ProtoError::Container);
                }
                let mut at = 8;
                for _ in 0..count {
                    let (id, seq) = (read_i64(body, at)?, read_i32(body, at + 8)?);
                    let length = usize::try_from(read_i32(body, at + 12)?)
                        .map_err(|_| ProtoError::Container)?;
                    let inner = body
                        .get(at + 16..at + 16 + length)
                        .ok_or(ProtoError::Container)?;
                    at += 16 + length;
                    self.unpack(id, seq, inner, depth + 1)?;
                }
                Ok(())
            }
            MSG_CONTAINER => Err(ProtoError::Container),
            GZIP_PACKED if depth < 2 => {
                let packed = Vec::<u8>::from_bytes(&body[4..]).map_err(|_| ProtoError::Gzip)?;
                let mut unpacked = Vec::new();
                flate2::read::GzDecoder::new(packed.as_slice())
                    .take(self.room)
                    .read_to_end(&mut unpacked)
                    .map_err(|_| ProtoError::Gzip)?;
                self.room = self.room.saturating_sub(unpacked.len() as u64);
                // What was packed is one message, never a container.
                self.unpack(msg_id, seq_no, &unpacked, 2)
            }
            GZIP_PACKED => Err(ProtoError::Gzip),
            _ => {
                self.messages.push(Incoming {
                    msg_id,
                    seq_no,
                    body: body.to_vec(),
                });
                Ok(())
            }
        }
    }
}

/// Cuts a byte stream into the full transport's frames.
#[derive(Debug, Default)]
pub(super) struct Framer {
    number: u32,
}

impl Framer {
    /// The next frame's payload, once it is there whole.
    pub fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<BytesMut>, ProtoError> {
        if buffer.len() < 4 {
            return Ok(None);
        }
        let length = read_i32(buffer, 0)?;
        let size = usize::try_from(length)
            .ok()
            .filter(|n| (12..=MAX_FRAME).contains(n) && n.is_multiple_of(4));
        let size = size.ok_or(ProtoError::FrameLength(i64::from(length)))?;
        if buffer.len() < size {
            return Ok(None);
        }
        let mut frame = buffer.split_to(size);
        let got = read_i32(&frame, 4)?.cast_unsigned();
        if got != self.number {
            return Err(ProtoError::FrameNumber {
                expected: self.number,
                got,
            });
        }
        if crc32fast::hash(&frame[..size - 4]) != read_i32(&frame, size - 4)?.cast_unsigned() {
            return Err(ProtoError::FrameChecksum);
        }
        self.number += 1;
        frame.truncate(size - 4);
        frame.advance(8);
        Ok(Some(frame))
    }
}

/// Reads bytes as frames, and as what a frame holds once it is decrypted: for tests with hostile input.
pub(super) fn read_frames(bytes: &[u8]) {
    let mut buffer = BytesMut::from(bytes);
    let mut framer = Framer::default();
    let key = Key::new(0, [7; 256]);
    while let Ok(Some(mut payload)) = framer.next(&mut buffer) {
        let _ = key.open(&mut payload);
    }
    let mut packet = Packet {
        salt: 0,
        session: 0,
        msg_id: 0,
        seq_no: 0,
        container: false,
        messages: Vec::new(),
        room: MAX_UNPACKED,
    };
    if packet.unpack(0, 0, bytes, 0).is_ok() {
        for message in &packet.messages {
            let _ = super::rpc::receive(&message.body);
        }
    }
}

/// A transport error: four bytes and nothing else.
pub(super) fn transport_error(code: i32) -> [u8; 4] {
    (-code.abs()).to_le_bytes()
}

/// A message that waits to be sent.
#[derive(Debug)]
struct Outgoing {
    body: Vec<u8>,
    /// Needs an acknowledgement.
    content: bool,
    /// Answers a message of the client.
    response: bool,
}

/// The server's side of one session on one connection.
#[derive(Debug)]
pub(super) struct Session {
    pub id: i64,
    last_msg_id: i64,
    /// How far the server's clock is ahead of this machine's, in seconds.
    ahead: i64,
    content: i32,
    frame: u32,
    waiting: Vec<Outgoing>,
}

impl Session {
    /// A session whose frames go on counting from `frame`.
    pub fn new(id: i64, frame: u32, ahead: i64) -> Self {
        Self {
            id,
            last_msg_id: 0,
            ahead,
            content: 0,
            frame,
            waiting: Vec::new(),
        }
    }

    /// The number of the next frame.
    pub fn frame(&self) -> u32 {
        self.frame
    }

    /// Server message ids: 1 modulo 4 for responses, 3 for others, ever rising.
    fn msg_id(&mut self, response: bool) -> i64 {
        let now = chrono::Utc::now();
        let time =
            ((now.timestamp() + self.ahead) << 32) | (i64::from(now.timestamp_subsec_nanos()) << 2);
        let id = time.max(self.last_msg_id.div_euclid(4) * 4 + 4) & !3;
        self.last_msg_id = id;
        id | if response { 1 } else { 3 }
    }

    fn queue(&mut self, body: Vec<u8>, content: bool, response: bool) {
        self.waiting.push(Outgoing {
            body,
            content,
            response,
        });
    }

    /// The result of a call.
    pub fn result(&mut self, req_msg_id: i64, result: &[u8]) {
        let mut body = Vec::with_capacity(12 + result.len());
        body.extend(RPC_RESULT.to_le_bytes());
        body.extend(req_msg_id.to_le_bytes());
        body.extend(result);
        self.queue(body, true, true);
    }

    /// Something that happened: `Updates`, serialized.
    pub fn push(&mut self, updates: Vec<u8>) {
        self.queue(updates, true, false);
    }

    fn service<T: grammers_tl_types::Identifiable + grammers_tl_types::Serializable>(
        &mut self,
        what: &T,
        content: bool,
    ) {
        let mut body = T::CONSTRUCTOR_ID.to_bytes();
        what.serialize(&mut body);
        self.queue(body, content, true);
    }

    pub fn pong(&mut self, msg_id: i64, ping_id: i64) {
        self.service(&types::Pong { msg_id, ping_id }, false);
    }

    pub fn ack(&mut self, msg_ids: Vec<i64>) {
        self.service(&types::MsgsAck { msg_ids }, false);
    }

    pub fn future_salts(&mut self, req_msg_id: i64, now: i64, salts: Vec<types::FutureSalt>) {
        let now = i32::try_from(now).unwrap_or(i32::MAX);
        self.service(
            &types::FutureSalts {
                req_msg_id,
                now,
                salts: grammers_tl_types::RawVec(salts),
            },
            false,
        );
    }

    pub fn new_session(&mut self, first_msg_id: i64, server_salt: i64) {
        let unique_id = self.id;
        self.service(
            &types::NewSessionCreated {
                first_msg_id,
                unique_id,
                server_salt,
            },
            true,
        );
    }

    pub fn bad_salt(&mut self, bad_msg_id: i64, bad_msg_seqno: i32, new_server_salt: i64) {
        self.service(
            &types::BadServerSalt {
                bad_msg_id,
                bad_msg_seqno,
                error_code: 48,
                new_server_salt,
            },
            false,
        );
    }

    pub fn bad_message(&mut self, bad_msg_id: i64, bad_msg_seqno: i32, error_code: i32) {
        self.service(
            &types::BadMsgNotification {
                bad_msg_id,
                bad_msg_seqno,
                error_code,
            },
            false,
        );
    }

    pub fn destroyed(&mut self, session_id: i64, own: bool) {
        if own {
            self.service(&types::DestroySessionNone { session_id }, true);
        } else {
            self.service(&types::DestroySessionOk { session_id }, true);
        }
    }

    pub fn state_info(&mut self, req_msg_id: i64, count: usize) {
        // 4: received; see 'Informational Message regarding Status of Messages'.
        self.service(
            &types::MsgsStateInfo {
                req_msg_id,
                info: vec![4; count],
            },
            false,
        );
    }

    /// Whether anything waits.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Frames with everything that waits: single messages or containers.
    pub fn flush(&mut self, key: &Key, salt: i64, out: &mut Vec<u8>) {
        let waiting = std::mem::take(&mut self.waiting);
        let mut rest = waiting.as_slice();
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = rest.iter().take(OUR_CONTAINER).take_while(|m| {
                bytes += m.body.len() + 16;
                bytes <= OUR_CONTAINER_BYTES
            });
            let count = fits.count().max(1);
            let (now, later) = rest.split_at(count);
            rest = later;
            let mut inner = Vec::with_capacity(bytes.min(OUR_CONTAINER_BYTES) + 64);
            for message in now {
                let id = self.msg_id(message.response);
                let seq = self.content * 2 + i32::from(message.content);
                self.content += i32::from(message.content);
                inner.extend(id.to_le_bytes());
                inner.extend(seq.to_le_bytes());
                inner.extend(
                    u32::try_from(message.body.len())
                        .unwrap_or(u32::MAX)
                        .to_le_bytes(),
                );
                inner.extend(&message.body);
            }
            if count > 1 {
                let mut container = Vec::with_capacity(inner.len() + 24);
                container.extend(self.msg_id(true).to_le_bytes());
                container.extend((self.content * 2).to_le_bytes());
                container.extend(
                    u32::try_from(inner.len() + 8)
                        .unwrap_or(u32::MAX)
                        .to_le_bytes(),
                );
                container.extend(MSG_CONTAINER.to_le_bytes());
                container.extend(u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
                container.extend(inner);
                inner = container;
            }
            out.extend(key.seal(salt, self.id, &inner, self.frame));
            self.frame += 1;
        }
    }
}

/// An RPC error as a result.
pub(super) fn rpc_error(code: i32, text: &str) -> Vec<u8> {
    let mut body = types::RpcError::CONSTRUCTOR_ID.to_bytes();
    types::RpcError {
        error_code: code,
        error_message: text.to_owned(),
    }
    .serialize(&mut body);
    body
}

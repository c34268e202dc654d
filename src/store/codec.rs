//! How values stand in the database: an envelope with a version, a checksum and compression, and
//! the packing of many small items into one value.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Seq, StoreError};

/// Envelope version; a reader refuses others.
const VERSION: u8 = 1;
const RAW: u8 = 0;
const ZSTD: u8 = 1;
/// version, codec, raw length, crc32.
const HEADER: usize = 1 + 1 + 4 + 4;
/// No stored value unpacks to more: a damaged length must not claim all memory.
pub(crate) const MAX_VALUE: usize = 64 << 20;
/// zstd's fastest regular level packs journal events about 8 times at some 500 MB/s a core; higher levels gain a few
/// percent for a multiple of the work.
const LEVEL: i32 = 1;
/// Below this compression costs more than it saves.
const MIN_COMPRESS: usize = 128;

/// Wraps `raw` for the database. The checksum covers `key` too, so that a value that turns up
/// under another key is found out.
pub(crate) fn seal(key: &[u8], raw: &[u8]) -> Result<Vec<u8>, StoreError> {
    if raw.len() > MAX_VALUE {
        return Err(StoreError::TooLarge {
            what: "a stored value",
            size: raw.len(),
            limit: MAX_VALUE,
        });
    }
    let packed = if raw.len() >= MIN_COMPRESS {
        zstd::bulk::compress(raw, LEVEL)
            .ok()
            .filter(|packed| packed.len() < raw.len())
    } else {
        None
    };
    let (codec, body) = match &packed {
        Some(packed) => (ZSTD, packed.as_slice()),
        None => (RAW, raw),
    };
    let raw_len = raw.len() as u32;
    let mut out = Vec::with_capacity(HEADER + body.len());
    out.push(VERSION);
    out.push(codec);
    out.extend_from_slice(&raw_len.to_le_bytes());
    out.extend_from_slice(&checksum(key, codec, raw_len, body).to_le_bytes());
    out.extend_from_slice(body);
    Ok(out)
}

/// Checks what [`seal`] made without unpacking it. Answers how much it unpacks to.
pub(crate) fn check(key: &[u8], value: &[u8]) -> Result<usize, String> {
    opened(key, value).map(|(_, raw_len, _)| raw_len)
}

/// The compression, the length of what was sealed, and the body, whose checksum is sound.
fn opened<'a>(key: &[u8], value: &'a [u8]) -> Result<(u8, usize, &'a [u8]), String> {
    let (Some(&version), Some(&codec), Some(raw_len), Some(crc), Some(body)) = (
        value.first(),
        value.get(1),
        le_u32(value, 2),
        le_u32(value, 6),
        value.get(HEADER..),
    ) else {
        return Err(format!("a value of {} bytes is too short", value.len()));
    };
    if version != VERSION {
        return Err(format!("a value has format {version}, expected {VERSION}"));
    }
    if checksum(key, codec, raw_len, body) != crc {
        return Err("a value does not match its checksum".to_owned());
    }
    let raw_len = raw_len as usize;
    if raw_len > MAX_VALUE {
        return Err(format!("a value claims {raw_len} bytes"));
    }
    Ok((codec, raw_len, body))
}

/// Checks and unwraps what [`seal`] made. The error says what is wrong.
pub(crate) fn unseal(key: &[u8], value: &[u8]) -> Result<Vec<u8>, String> {
    let (codec, raw_len, body) = opened(key, value)?;
    let raw = match codec {
        RAW => body.to_vec(),
        ZSTD => zstd::bulk::decompress(body, raw_len)
            .map_err(|cause| format!("a value does not unpack: {cause}"))?,
        other => return Err(format!("a value has the unknown compression {other}")),
    };
    if raw.len() != raw_len {
        return Err(format!(
            "a value unpacks to {} bytes, expected {raw_len}",
            raw.len()
        ));
    }
    Ok(raw)
}

fn checksum(key: &[u8], codec: u8, raw_len: u32, body: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(key);
    crc.update(&[codec]);
    crc.update(&raw_len.to_le_bytes());
    crc.update(body);
    crc.finalize()
}

/// Appends `item` with its length.
pub(crate) fn put_item(out: &mut Vec<u8>, item: &[u8]) {
    out.extend_from_slice(&(item.len() as u32).to_le_bytes());
    out.extend_from_slice(item);
}

/// Splits what [`put_item`] joined; `None` when the lengths do not add up.
pub(crate) fn items(mut body: &[u8]) -> Option<Vec<&[u8]>> {
    let mut out = Vec::new();
    while !body.is_empty() {
        let len = le_u32(body, 0)? as usize;
        let end = len.checked_add(4)?;
        out.push(body.get(4..end)?);
        body = &body[end..];
    }
    Some(out)
}

pub(crate) fn le_u32(bytes: &[u8], at: usize) -> Option<u32> {
    let slice = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(slice.try_into().ok()?))
}

pub(crate) fn le_u64(bytes: &[u8], at: usize) -> Option<u64> {
    let slice = bytes.get(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(slice.try_into().ok()?))
}

/// One event as MessagePack with named fields: self-describing, so that variants and optional
/// fields can be added later, about half of JSON's size and cheaper to read.
pub(crate) fn encode_event<E: Serialize>(event: &E) -> Result<Vec<u8>, StoreError> {
    rmp_serde::to_vec_named(event).map_err(|cause| StoreError::Encode {
        what: "an event",
        cause: cause.to_string(),
    })
}

pub(crate) fn decode_event<E: DeserializeOwned>(seq: Seq, bytes: &[u8]) -> Result<E, StoreError> {
    rmp_serde::from_slice(bytes).map_err(|cause| StoreError::Decode {
        seq,
        cause: cause.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_value_opens_only_under_its_own_key_and_unchanged() {
        for len in [0usize, 1, 127, 128, 5000] {
            let raw: Vec<u8> = (0..len).map(|i| (i % 7) as u8).collect();
            let sealed = seal(b"key", &raw).unwrap();
            assert_eq!(unseal(b"key", &sealed).unwrap(), raw, "length {len}");
            assert!(unseal(b"kez", &sealed).is_err(), "length {len}");
            for at in 0..sealed.len().min(200) {
                let mut bad = sealed.clone();
                bad[at] ^= 0x10;
                assert!(unseal(b"key", &bad).is_err(), "length {len}, byte {at}");
            }
            for cut in 0..sealed.len().min(200) {
                assert!(unseal(b"key", &sealed[..cut]).is_err() || cut == sealed.len());
            }
        }
    }

    #[test]
    fn items_come_back_as_they_were_joined_and_a_cut_list_is_refused() {
        let mut body = Vec::new();
        for item in [&b"one"[..], b"", b"three"] {
            put_item(&mut body, item);
        }
        assert_eq!(items(&body).unwrap(), vec![&b"one"[..], b"", b"three"]);
        assert!(items(&body[..body.len() - 1]).is_none());
    }
}

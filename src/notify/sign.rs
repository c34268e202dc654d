//! Signatures of webhooks, by the scheme of Standard Webhooks 1.0 (standardwebhooks.com), so that a receiver verifies them
//! with any of that scheme's libraries, or in a few lines.
//!
//! `webhook-signature` is `v1,` and the base64 of the HMAC-SHA256 of `{webhook-id}.{webhook-timestamp}.{body}`.
//! `X-Tidings-Signature` is `sha256=` and the hex HMAC-SHA256 of the body alone, for receivers that know GitHub's form.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// What a key begins with whose rest is base64: the form in which Standard Webhooks' libraries take one.
pub const PREFIX: &str = "whsec_";

/// The bytes by which webhooks are signed.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Vec<u8>);

impl Key {
    /// A key as people write it: `whsec_` and base64, or any other text, which is taken as it stands.
    ///
    /// # Errors
    /// In few words, without the text.
    pub fn parse(text: &str) -> Result<Key, String> {
        let text = text.trim();
        let bytes = match text.strip_prefix(PREFIX) {
            Some(rest) => from_base64(rest)
                .ok_or("the key begins with `whsec_`, and the rest is no base64")?,
            None => text.as_bytes().to_vec(),
        };
        if bytes.is_empty() {
            return Err("the key is empty".to_owned());
        }
        Ok(Key(bytes))
    }

    /// As [`Key::parse`] reads it back.
    pub fn text(bytes: &[u8]) -> String {
        format!("{PREFIX}{}", to_base64(bytes))
    }

    /// `webhook-signature`.
    pub fn signature(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let mut signed = format!("{id}.{timestamp}.").into_bytes();
        signed.extend_from_slice(body);
        format!("v1,{}", to_base64(&hmac_sha256(&self.0, &signed)))
    }

    /// `X-Tidings-Signature`.
    pub fn of_body(&self, body: &[u8]) -> String {
        let mut out = String::from("sha256=");
        for byte in hmac_sha256(&self.0, body) {
            let _ = write!(out, "{byte:02x}");
        }
        out
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}

/// HMAC with SHA-256 (RFC 2104).
fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    /// SHA-256's block.
    const BLOCK: usize = 64;
    let mut block = [0u8; BLOCK];
    if key.len() > BLOCK {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let with = |pad: u8| block.map(|byte| byte ^ pad);
    let inner = Sha256::new()
        .chain_update(with(0x36))
        .chain_update(message)
        .finalize();
    Sha256::new()
        .chain_update(with(0x5c))
        .chain_update(inner)
        .finalize()
        .into()
}

/// RFC 4648, section 4.
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn to_base64(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let bits = three
            .iter()
            .fold(0u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - three.len()));
        for at in 0..4 {
            if at <= three.len() {
                let digit = (bits >> (18 - 6 * at)) & 63;
                out.push(char::from(DIGITS[digit as usize]));
            } else {
                out.push('=');
            }
        }
    }
    out
}

/// With or without padding, of either alphabet; `None` where it is neither.
fn from_base64(text: &str) -> Option<Vec<u8>> {
    let digits = text
        .trim_end_matches('=')
        .bytes()
        .map(|c| {
            let c = match c {
                b'-' => b'+',
                b'_' => b'/',
                other => other,
            };
            DIGITS.iter().position(|digit| *digit == c)
        })
        .collect::<Option<Vec<usize>>>()?;
    let mut bytes = Vec::with_capacity(digits.len() * 3 / 4);
    for four in digits.chunks(4) {
        if four.len() == 1 {
            return None;
        }
        let bits =
            four.iter().fold(0usize, |bits, digit| bits << 6 | digit) << (6 * (4 - four.len()));
        for at in 0..four.len() - 1 {
            bytes.push((bits >> (16 - 8 * at) & 0xff) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_the_hmac_of_rfc_4231() {
        assert_eq!(
            Key::parse("Jefe")
                .unwrap()
                .of_body(b"what do ya want for nothing?"),
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            Key(vec![0xaa; 131]).of_body(b"Test Using Larger Than Block-Size Key - Hash Key First"),
            "sha256=60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    #[test]
    fn the_scheme_is_that_of_standard_webhooks() {
        // The example of that specification's reference libraries.
        let key = Key::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        assert_eq!(
            key.signature(
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                1_614_265_330,
                br#"{"test": 2432232314}"#
            ),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn a_key_is_read_back_as_it_was_written() {
        for length in 1..40u8 {
            let bytes: Vec<u8> = (0..length).map(|n| n.wrapping_mul(89)).collect();
            assert_eq!(Key::parse(&Key::text(&bytes)).unwrap().0, bytes);
        }
        assert_eq!(Key::parse("  hush\n").unwrap().0, b"hush");
        assert_eq!(Key::parse("whsec_-_8").unwrap().0, [0xfb, 0xff]);
        for bad in ["", " \n", "whsec_", "whsec_A", "whsec_a b!"] {
            assert!(Key::parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(format!("{:?}", Key::parse("hush").unwrap()), "[secret]");
    }
}

//! Login and logout (core.telegram.org/api/auth), the password among it (core.telegram.org/api/srp).

use grammers_tl_types::{Serializable as _, enums, functions, types};
use num_bigint::BigUint;
use sha2::{Digest as _, Sha256, Sha512};

use super::super::world::{digest, digits};
use super::{Answer, Call, Fail};

impl Call<'_> {
    pub(super) fn log_out(&mut self, _: functions::auth::LogOut) -> Answer {
        if let Some(owner) = self.world.accounts.get_mut(self.account) {
            owner.authorized = false;
        }
        Ok(enums::auth::LoggedOut::Out(types::auth::LoggedOut {
            future_auth_token: None,
        })
        .to_bytes())
    }

    /// Whose phone a login names; it must be the account whose key this is.
    fn login_phone(&mut self, phone: &str) -> Result<(), Fail> {
        let wanted = digits(phone);
        if wanted.len() < 7 {
            return Err("PHONE_NUMBER_INVALID".into());
        }
        let own = self.own();
        let fits = self
            .world
            .users
            .get(own)
            .and_then(|u| u.phone.as_deref())
            .is_some_and(|p| digits(p) == wanted);
        if fits {
            Ok(())
        } else {
            Err("PHONE_NUMBER_UNOCCUPIED".into())
        }
    }

    fn code_hash(&self) -> String {
        let name = self
            .world
            .accounts
            .get(self.account)
            .map_or("", |a| a.name.as_str());
        digest(&self.world.secret, &[b"code", name.as_bytes()])
            .iter()
            .take(9)
            .map(|b| format!("{b:02x}"))
            .collect()
    }

    pub(super) fn send_code(&mut self, request: functions::auth::SendCode) -> Answer {
        self.entry.query = Some(request.phone_number.clone());
        self.login_phone(&request.phone_number)?;
        let length = self
            .world
            .accounts
            .get(self.account)
            .map_or(5, |a| a.code.len());
        Ok(enums::auth::SentCode::Code(types::auth::SentCode {
            r#type: types::auth::SentCodeTypeApp {
                length: i32::try_from(length).unwrap_or(5),
            }
            .into(),
            phone_code_hash: self.code_hash(),
            next_type: None,
            timeout: None,
        })
        .to_bytes())
    }

    pub(super) fn sign_in(&mut self, request: functions::auth::SignIn) -> Answer {
        self.entry.query = Some(request.phone_number.clone());
        self.login_phone(&request.phone_number)?;
        if request.phone_code_hash != self.code_hash() {
            return Err("PHONE_CODE_EXPIRED".into());
        }
        let code = request.phone_code.unwrap_or_default();
        if code.is_empty() {
            return Err("PHONE_CODE_EMPTY".into());
        }
        let Some(owner) = self.world.accounts.get_mut(self.account) else {
            return Err("AUTH_RESTART".into());
        };
        if owner.code != code {
            return Err("PHONE_CODE_INVALID".into());
        }
        if owner.password.is_some() {
            owner.code_given = true;
            return Err("SESSION_PASSWORD_NEEDED".into());
        }
        self.logged_in()
    }

    /// The account is logged in from now on.
    fn logged_in(&mut self) -> Answer {
        let own = self.own();
        let Some(owner) = self.world.accounts.get_mut(self.account) else {
            return Err("AUTH_RESTART".into());
        };
        owner.authorized = true;
        owner.code_given = false;
        owner.challenge = None;
        let user = self
            .world
            .show_user(self.account, own)
            .ok_or("AUTH_RESTART")?;
        Ok(
            enums::auth::Authorization::Authorization(types::auth::Authorization {
                setup_password_required: false,
                otherwise_relogin_days: None,
                tmp_sessions: None,
                future_auth_token: None,
                user,
            })
            .to_bytes(),
        )
    }

    /// How the password is hashed: salts from the seed, Telegram's own prime.
    fn algorithm(
        &self,
    ) -> types::PasswordKdfAlgoSha256Sha256Pbkdf2Hmacsha512iter100000Sha256ModPow {
        let salt = |which: &[u8]| digest(&self.world.secret, &[b"salt", which])[..16].to_vec();
        types::PasswordKdfAlgoSha256Sha256Pbkdf2Hmacsha512iter100000Sha256ModPow {
            salt1: salt(b"1"),
            salt2: salt(b"2"),
            g: G,
            p: prime(),
        }
    }

    /// `v` of the account's password (core.telegram.org/api/srp#setting-a-new-2fa-password).
    fn verifier(&self, password: &str) -> BigUint {
        let algorithm = self.algorithm();
        let x = hashed(password.as_bytes(), &algorithm.salt1, &algorithm.salt2);
        BigUint::from(G as u32).modpow(
            &BigUint::from_bytes_be(&x),
            &BigUint::from_bytes_be(&algorithm.p),
        )
    }

    pub(super) fn get_password(&mut self, _: functions::account::GetPassword) -> Answer {
        let (password, code_given, authorized) = self
            .world
            .accounts
            .get(self.account)
            .map(|a| (a.password.clone(), a.code_given, a.authorized))
            .ok_or("AUTH_RESTART")?;
        if !code_given && !authorized {
            return Err("AUTH_KEY_UNREGISTERED".into());
        }
        let mut answer = types::account::Password {
            has_recovery: false,
            has_secure_values: false,
            has_password: password.is_some(),
            current_algo: None,
            srp_b: None,
            srp_id: None,
            hint: None,
            email_unconfirmed_pattern: None,
            new_algo: enums::PasswordKdfAlgo::Unknown,
            new_secure_algo: enums::SecurePasswordKdfAlgo::Unknown,
            secure_random: vec![7; 256],
            pending_reset_date: None,
            login_email_pattern: None,
        };
        if let Some(password) = password {
            let algorithm = self.algorithm();
            let p = BigUint::from_bytes_be(&algorithm.p);
            // Each challenge is good for one try.
            let turn = self
                .world
                .accounts
                .get(self.account)
                .and_then(|a| a.challenge.as_ref())
                .map_or(1, |(id, _)| id + 1);
            let b = digest(
                &self.world.secret,
                &[b"challenge", &turn.to_le_bytes(), password.as_bytes()],
            )
            .to_vec();
            let k = sha256(&[&algorithm.p, &padded(&BigUint::from(G as u32))]);
            let kv = BigUint::from_bytes_be(&k) * self.verifier(&password) % &p;
            let gb = BigUint::from(G as u32).modpow(&BigUint::from_bytes_be(&b), &p);
            answer.srp_b = Some(padded(&((kv + gb) % &p)).to_vec());
            answer.srp_id = Some(turn);
            answer.hint = Some("the usual".into());
            answer.current_algo = Some(algorithm.into());
            if let Some(owner) = self.world.accounts.get_mut(self.account) {
                owner.challenge = Some((turn, b));
            }
        }
        Ok(enums::account::Password::Password(answer).to_bytes())
    }

    pub(super) fn check_password(&mut self, request: functions::auth::CheckPassword) -> Answer {
        let owner = self
            .world
            .accounts
            .get(self.account)
            .ok_or("AUTH_RESTART")?;
        let Some(password) = owner.password.clone() else {
            return Err("PASSWORD_EMPTY".into());
        };
        if !owner.code_given {
            return Err("AUTH_KEY_UNREGISTERED".into());
        }
        let enums::InputCheckPasswordSrp::Srp(given) = request.password else {
            return Err("PASSWORD_HASH_INVALID".into());
        };
        let Some((id, b)) = owner.challenge.clone() else {
            return Err("SRP_ID_INVALID".into());
        };
        if id != given.srp_id {
            return Err("SRP_ID_INVALID".into());
        }
        let algorithm = self.algorithm();
        let p = BigUint::from_bytes_be(&algorithm.p);
        let g = BigUint::from(G as u32);
        let v = self.verifier(&password);
        if let Some(owner) = self.world.accounts.get_mut(self.account) {
            owner.challenge = Some((id, Vec::new()));
        }
        if b.is_empty() {
            return Err("SRP_ID_INVALID".into());
        }
        let a = BigUint::from_bytes_be(&given.a);
        if a == BigUint::ZERO || a >= p {
            return Err("SRP_A_INVALID".into());
        }
        let big_b = BigUint::from_bytes_be(&b);
        let k = BigUint::from_bytes_be(&sha256(&[&algorithm.p, &padded(&g)]));
        let gb = (k * &v % &p + g.modpow(&big_b, &p)) % &p;
        let u = BigUint::from_bytes_be(&sha256(&[&padded(&a), &padded(&gb)]));
        let s = (a.clone() * v.modpow(&u, &p) % &p).modpow(&big_b, &p);
        let key = sha256(&[&padded(&s)]);
        let mixed: Vec<u8> = sha256(&[&algorithm.p])
            .iter()
            .zip(sha256(&[&padded(&g)]))
            .map(|(one, other)| one ^ other)
            .collect();
        let expected = sha256(&[
            &mixed,
            &sha256(&[&algorithm.salt1]),
            &sha256(&[&algorithm.salt2]),
            &padded(&a),
            &padded(&gb),
            &key,
        ]);
        if given.m1 != expected {
            return Err("PASSWORD_HASH_INVALID".into());
        }
        self.logged_in()
    }
}

/// The generator that Telegram uses.
const G: i32 = 3;

/// Telegram's own prime (core.telegram.org/api/srp).
const PRIME: &str = "\
c71caeb9c6b1c9048e6c522f70f13f73980d40238e3e21c14934d037563d930f48198a0aa7c14058229493d22530f4db\
fa336f6e0ac925139543aed44cce7c3720fd51f69458705ac68cd4fe6b6b13abdc9746512969328454f18faf8c595f64\
2477fe96bb2a941d5bcd1d4ac8cc49880708fa9b378e3c4f3a9060bee67cf9a4a4a695811051907e162753b56b0f6b41\
0dba74d8a84b2a14b3144e0ef1284754fd17ed950d5965b4b9dd46582db1178d169c6bc465b0d6ff9ca3928fef5b9ae4\
e418fc15e83ebea0f87fa9ff5eed70050ded2849f47bf959d956850ce929851f0d8115f635b105ee2e4e15d04b2454bf\
6f4fadf034b10403119cd8e3b92fcc5b";

fn prime() -> Vec<u8> {
    let digits: Vec<u8> = PRIME.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// A number in 256 bytes.
fn padded(number: &BigUint) -> [u8; 256] {
    let bytes = number.to_bytes_be();
    let mut out = [0; 256];
    let from = out.len().saturating_sub(bytes.len());
    out[from..].copy_from_slice(&bytes[bytes.len().saturating_sub(256)..]);
    out
}

/// `PH2` of core.telegram.org/api/srp.
fn hashed(password: &[u8], salt1: &[u8], salt2: &[u8]) -> [u8; 32] {
    let salted = |data: &[u8], salt: &[u8]| sha256(&[salt, data, salt]);
    let first = salted(&salted(password, salt1), salt2);
    salted(&pbkdf2(&first, salt1, 100_000), salt2)
}

/// PBKDF2 with HMAC-SHA-512, one block (RFC 8018, section 5.2).
fn pbkdf2(password: &[u8], salt: &[u8], rounds: u32) -> [u8; 64] {
    let pad = |with: u8| {
        let mut block = [with; 128];
        for (byte, key) in block.iter_mut().zip(password) {
            *byte ^= key;
        }
        Sha512::new_with_prefix(block)
    };
    let (inner, outer) = (pad(0x36), pad(0x5c));
    let hmac = |parts: &[&[u8]]| -> [u8; 64] {
        let mut hasher = inner.clone();
        for part in parts {
            hasher.update(part);
        }
        let mut last = outer.clone();
        last.update(hasher.finalize());
        last.finalize().into()
    };
    let mut turn = hmac(&[salt, &1u32.to_be_bytes()]);
    let mut out = turn;
    for _ in 1..rounds {
        turn = hmac(&[&turn]);
        for (byte, more) in out.iter_mut().zip(turn) {
            *byte ^= more;
        }
    }
    out
}

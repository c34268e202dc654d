//! Logging an account in, and what a session file holds afterwards (core.telegram.org/api/auth, core.telegram.org/api/srp).
//!
//! **Guarantees.** An address and an authorization key that the file holds are used as they stand and never replaced. A
//! file that was not there appears whole, after Telegram accepted the login, or not at all. No code and no password is
//! kept or logged.
//!
//! **Assumptions.** A person types in between, so the connection may end at any time: it is made again with the same key.

use std::fs;
use std::net::{SocketAddrV4, SocketAddrV6};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use grammers_crypto::two_factor_auth::{calculate_2fa, check_p_and_g};
use grammers_mtproto::{mtp, transport};
use grammers_mtsender::{InvocationError, Sender, connect, connect_with_auth};
use grammers_session::Session as _;
use grammers_session::storages::{MemorySession, SqliteSession};
use grammers_session::types::{DcOption, PeerAuth, PeerInfo, UpdateState, UpdatesState};
use grammers_tl_types::{RemoteCall, enums, functions, types};
use tokio::time::timeout;

use crate::model::InDoubtWhy;
use crate::model::reaction::RpcFault;

use super::connect::{CONNECT_LIMIT, address, fault, introduction, panicked, words};
use super::private::PrivateCopy;
use super::probe::{Unmet, clock_ahead, introduce};
use super::session::{self, Found};
use super::vault::Vault;
use super::{AccountConfig, CallError, Me, Secret, decode, draft};

/// A connection that was silent for so long while somebody typed is made anew: Telegram may have ended it.
const IDLE: Duration = Duration::from_secs(20);
/// Telegram sends a login to another data centre at most once; the second time something is wrong.
const MIGRATIONS: u32 = 2;
/// A new key takes several round trips and some arithmetic.
const NEW_KEY_LIMIT: Duration = Duration::from_secs(30);

/// What came of asking for a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CodeSent {
    /// It is on its way.
    To {
        /// In words: `by SMS`.
        how: String,
    },
    /// None is needed: logged in.
    Done(Me),
}

/// What a code led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignedIn {
    /// Logged in.
    Done(Me),
    /// The account has a password as well.
    Password {
        /// What its owner noted as a hint.
        hint: Option<String>,
    },
}

type Line = Sender<transport::Full, mtp::Encrypted>;

/// A login under way.
pub struct Login {
    config: AccountConfig,
    /// The file was there before.
    existed: bool,
    at: Found,
    /// The key was made for this login.
    fresh_key: bool,
    line: Option<Line>,
    used: Instant,
    phone: String,
    code_hash: String,
    by_email: bool,
}

impl Login {
    /// Reads the session file where there is one. Nothing is written before the login is accepted.
    ///
    /// # Errors
    /// [`CallError::Session`] where the file cannot be used.
    pub async fn begin(config: AccountConfig) -> Result<Login, CallError> {
        let path = &config.session_path;
        let existed = fs::symlink_metadata(path).is_ok();
        if !existed && config.vault.is_used() {
            // Before anybody is asked for a code: the new file is to be encrypted as the others are.
            config.vault.unlock()?;
        }
        let at = match existed {
            true => session::look(path, true, &config.vault).await?,
            false => {
                let option = known(None).ok_or_else(|| {
                    CallError::Unexpected("no data centre of Telegram is known".to_owned())
                })?;
                Found {
                    dc: option.id,
                    ipv4: option.ipv4,
                    ipv6: option.ipv6,
                    auth_key: None,
                    own: None,
                }
            }
        };
        Ok(Login {
            config,
            existed,
            at,
            fresh_key: false,
            line: None,
            used: Instant::now(),
            phone: String::new(),
            code_hash: String::new(),
            by_email: false,
        })
    }

    /// Whom the session belongs to, where somebody is logged in with it already.
    ///
    /// # Errors
    /// Whatever Telegram says but 'nobody is logged in'.
    pub async fn me(&mut self) -> Result<Option<Me>, CallError> {
        Ok(self.who().await?.map(|(me, _)| me))
    }

    async fn who(&mut self) -> Result<Option<(Me, Option<i64>)>, CallError> {
        if self.at.auth_key.is_none() {
            return Ok(None);
        }
        let request = functions::users::GetUsers {
            id: vec![enums::InputUser::UserSelf],
        };
        match self.call(&request).await {
            Ok(users) => decode::me(&users).map(|me| {
                let hash = users.iter().find_map(|user| match user {
                    enums::User::User(user) if user.id == me.id.0 => user.access_hash,
                    _ => None,
                });
                Some((me, hash))
            }),
            // 401 in whatever words: what they mean for a login the login itself is told.
            Err(CallError::Rpc(fault))
                if fault.code == 401 && !fault.base().starts_with("USER_DEACTIVATED") =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Asks for a code.
    ///
    /// # Errors
    /// Telegram's refusal, or no connection.
    pub async fn send_code(&mut self, phone: &str) -> Result<CodeSent, CallError> {
        self.phone = phone.to_owned();
        let request = functions::auth::SendCode {
            phone_number: phone.to_owned(),
            api_id: self.config.api_id,
            api_hash: self.config.api_hash.reveal().to_owned(),
            settings: types::CodeSettings {
                allow_flashcall: false,
                current_number: false,
                allow_app_hash: false,
                allow_missed_call: false,
                allow_firebase: false,
                unknown_number: false,
                logout_tokens: None,
                token: None,
                app_sandbox: None,
            }
            .into(),
        };
        let mut moved = 0;
        let sent = loop {
            match self.call(&request).await {
                Ok(sent) => break sent,
                Err(CallError::Rpc(fault)) => match elsewhere(&fault) {
                    Some(dc) if moved < MIGRATIONS => {
                        moved += 1;
                        self.move_to(dc).await?;
                    }
                    // Telegram's 'begin again', which it says once.
                    None if fault.base() == "AUTH_RESTART" && moved < MIGRATIONS => moved += 1,
                    _ => return Err(CallError::Rpc(fault)),
                },
                Err(error) => return Err(error),
            }
        };
        match sent {
            enums::auth::SentCode::Code(sent) => {
                self.code_hash = sent.phone_code_hash;
                self.by_email = matches!(sent.r#type, enums::auth::SentCodeType::EmailCode(_));
                if matches!(
                    sent.r#type,
                    enums::auth::SentCodeType::SetUpEmailRequired(_)
                ) {
                    return Err(CallError::Rpc(RpcFault::new(400, "EMAIL_SETUP_REQUIRED")));
                }
                Ok(CodeSent::To {
                    how: channel(&sent.r#type),
                })
            }
            enums::auth::SentCode::Success(success) => self
                .accepted(success.authorization)
                .await
                .map(CodeSent::Done),
            enums::auth::SentCode::PaymentRequired(_) => {
                Err(CallError::Rpc(RpcFault::new(400, "SMS_PAYMENT_REQUIRED")))
            }
        }
    }

    /// Hands the code in.
    ///
    /// # Errors
    /// Telegram's refusal (`PHONE_CODE_INVALID` and its kin), or no connection.
    pub async fn sign_in(&mut self, code: &str) -> Result<SignedIn, CallError> {
        let request = functions::auth::SignIn {
            phone_number: self.phone.clone(),
            phone_code_hash: self.code_hash.clone(),
            phone_code: (!self.by_email).then(|| code.to_owned()),
            email_verification: self.by_email.then(|| {
                types::EmailVerificationCode {
                    code: code.to_owned(),
                }
                .into()
            }),
        };
        match self.call(&request).await {
            Ok(authorization) => self.accepted(authorization).await.map(SignedIn::Done),
            Err(CallError::Rpc(fault)) if fault.base() == "SESSION_PASSWORD_NEEDED" => {
                let password = self.password().await?;
                Ok(SignedIn::Password {
                    hint: password.hint.filter(|hint| !hint.trim().is_empty()),
                })
            }
            Err(error) => self.after_doubt(error).await.map(SignedIn::Done),
        }
    }

    /// Hands the password in; only its proof leaves this machine (core.telegram.org/api/srp).
    ///
    /// # Errors
    /// Telegram's refusal (`PASSWORD_HASH_INVALID`), or no connection.
    pub async fn check_password(&mut self, text: &Secret) -> Result<Me, CallError> {
        // The challenge is good for one try, so that each try asks for its own.
        let mut again = false;
        loop {
            let password = self.password().await?;
            let request = proof(password, text.clone()).await?;
            match self.call(&request).await {
                Ok(authorization) => return self.accepted(authorization).await,
                Err(CallError::Rpc(fault))
                    if !again
                        && matches!(
                            fault.base().as_str(),
                            "SRP_ID_INVALID" | "SRP_PASSWORD_CHANGED"
                        ) =>
                {
                    again = true;
                }
                Err(error) => return self.after_doubt(error).await,
            }
        }
    }

    async fn password(&mut self) -> Result<types::account::Password, CallError> {
        let enums::account::Password::Password(password) =
            self.call(&functions::account::GetPassword {}).await?;
        Ok(password)
    }

    /// A call whose answer was lost may have worked: Telegram is asked who is logged in.
    async fn after_doubt(&mut self, error: CallError) -> Result<Me, CallError> {
        if !matches!(error, CallError::InDoubt { .. }) {
            return Err(error);
        }
        match self.who().await {
            Ok(Some((me, hash))) => {
                self.store(&me, hash).await?;
                Ok(me)
            }
            _ => Err(error),
        }
    }

    /// Telegram accepted the login: the file is written now, while the key is still known here.
    async fn accepted(
        &mut self,
        authorization: enums::auth::Authorization,
    ) -> Result<Me, CallError> {
        let enums::auth::Authorization::Authorization(authorization) = authorization else {
            return Err(CallError::Rpc(RpcFault::new(
                400,
                "PHONE_NUMBER_UNOCCUPIED",
            )));
        };
        let hash = match &authorization.user {
            enums::User::User(user) => user.access_hash,
            enums::User::Empty(_) => None,
        };
        let me = decode::me(std::slice::from_ref(&authorization.user))?;
        self.store(&me, hash).await?;
        Ok(me)
    }

    /// Writes what a session file of grammers holds after a login.
    async fn store(&mut self, me: &Me, hash: Option<i64>) -> Result<(), CallError> {
        let state = match self.call(&functions::updates::GetState {}).await {
            Ok(enums::updates::State::State(state)) => Some(UpdatesState {
                pts: state.pts,
                qts: state.qts,
                date: state.date,
                seq: state.seq,
                channels: Vec::new(),
            }),
            // Without it the first connection asks for it.
            Err(_) => None,
        };
        let Some(auth_key) = self.at.auth_key else {
            return Err(CallError::Unexpected(
                "a login without an authorization key".to_owned(),
            ));
        };
        let holds = Holds {
            dc: self.at.dc,
            ipv4: self.at.ipv4,
            ipv6: self.at.ipv6,
            auth_key: (self.fresh_key || !self.existed).then_some(auth_key),
            own: Some((me.id.0, hash)),
            state,
        };
        let path = &self.config.session_path;
        match self.existed {
            true => write_into(path, &holds, &self.config.vault).await,
            false => write_new(path, &holds, &self.config.vault)
                .await
                .map(|_| ()),
        }
        .map_err(|why| {
            CallError::Session(format!(
                "Telegram accepted the login, but {} cannot be written: {why}",
                path.display()
            ))
        })
    }

    /// Another data centre: with what the file has of it, else with its well-known address and a new key.
    async fn move_to(&mut self, dc: i32) -> Result<(), CallError> {
        let option = match self.existed {
            true => {
                let path = &self.config.session_path;
                let copy = session::copied(path, &self.config.vault).await?;
                let session = session::opened(path, copy.file.clone()).await?;
                session.dc_option(dc).ok().flatten()
            }
            false => known(Some(dc)),
        };
        let Some(option) = option else {
            return Err(CallError::Unexpected(format!(
                "this phone belongs to data centre {dc}, whose address is not known"
            )));
        };
        self.line = None;
        self.fresh_key = false;
        self.at = Found {
            dc,
            ipv4: option.ipv4,
            ipv6: option.ipv6,
            auth_key: option.auth_key,
            own: None,
        };
        Ok(())
    }

    /// Connects with the key there is, or makes one.
    async fn connected(&mut self) -> Result<Line, CallError> {
        if let Some(line) = self.line.take()
            && self.used.elapsed() < IDLE
        {
            return Ok(line);
        }
        let proxy = self.config.proxy.clone();
        let to = address(self.at.ipv4, proxy.as_ref());
        let key = self.at.auth_key;
        let first = introduction(self.config.api_id);
        let limit = match key {
            Some(_) => CONNECT_LIMIT,
            None => NEW_KEY_LIMIT,
        };
        let api_id = self.config.api_id;
        // A task of its own: a panic inside is an error out here.
        let task = tokio::spawn(async move {
            let mut line = match key {
                Some(key) => {
                    if let Err(Unmet::ClockAhead(by)) = introduce(to.clone(), key, api_id).await {
                        return Err(Unmet::ClockAhead(by));
                    }
                    connect_with_auth(transport::Full::new(), to, key).await?
                }
                None => connect(transport::Full::new(), to).await?,
            };
            let answer = line.invoke(&first).await;
            Ok::<_, Unmet>((line, answer))
        });
        let refuse = |detail: String| CallError::NotSent {
            detail: format!("{}: {detail}", self.at.ipv4),
        };
        match timeout(limit, task).await {
            Ok(Ok(Ok((line, Ok(_))))) => {
                if self.at.auth_key.is_none() {
                    self.at.auth_key = Some(line.auth_key());
                    self.fresh_key = true;
                }
                Ok(line)
            }
            Ok(Ok(Err(Unmet::ClockAhead(by)))) => Err(refuse(clock_ahead(by))),
            Ok(Ok(Ok((_, Err(error))) | Err(Unmet::Failed(error)))) => Err(match &error {
                InvocationError::Rpc(rpc) => CallError::Rpc(fault(rpc)),
                InvocationError::Transport(transport::Error::BadStatus { status: 404 }) => {
                    CallError::KeyUnknown
                }
                other => refuse(words(other, proxy.as_ref())),
            }),
            Ok(Err(error)) => Err(refuse(panicked(&error))),
            Err(_) => Err(refuse("no answer to the attempt to connect".to_owned())),
        }
    }

    async fn call<R>(&mut self, request: &R) -> Result<R::Return, CallError>
    where
        R: RemoteCall + Clone + Send + Sync + 'static,
        R::Return: Send,
    {
        let mut line = self.connected().await?;
        let request = request.clone();
        let limit = self.config.call_timeout;
        let task = tokio::spawn(async move {
            let answer = timeout(limit, line.invoke(&request)).await;
            (line, answer)
        });
        let doubt = |why: InDoubtWhy, detail: String| Err(CallError::InDoubt { why, detail });
        match task.await {
            Err(error) => doubt(InDoubtWhy::Connection, panicked(&error)),
            Ok((_, Err(_))) => doubt(
                InDoubtWhy::Timeout,
                format!("no answer in {} s", limit.as_secs_f32()),
            ),
            Ok((line, Ok(answer))) => match answer {
                Ok(answer) => {
                    self.line = Some(line);
                    self.used = Instant::now();
                    Ok(answer)
                }
                Err(InvocationError::Rpc(rpc)) => {
                    self.line = Some(line);
                    self.used = Instant::now();
                    Err(CallError::Rpc(fault(&rpc)))
                }
                Err(InvocationError::Transport(transport::Error::BadStatus { status: 404 })) => {
                    Err(CallError::KeyUnknown)
                }
                Err(error) => doubt(
                    InDoubtWhy::Connection,
                    words(&error, self.config.proxy.as_ref()),
                ),
            },
        }
    }
}

/// The data centre that a refusal sends to (core.telegram.org/api/errors, 303 SEE_OTHER).
fn elsewhere(fault: &RpcFault) -> Option<i32> {
    let name = fault.base();
    let sends = ["PHONE_MIGRATE", "NETWORK_MIGRATE", "USER_MIGRATE"].contains(&name.as_str());
    sends
        .then(|| fault.value())
        .flatten()
        .and_then(|dc| i32::try_from(dc).ok())
}

/// A data centre of Telegram's own; the one where logins begin where none is asked for.
fn known(dc: Option<i32>) -> Option<DcOption> {
    let fresh = MemorySession::default();
    let id = match dc {
        Some(id) => id,
        None => fresh.home_dc_id().ok()?,
    };
    fresh.dc_option(id).ok().flatten()
}

/// Where a code went, in words.
fn channel(kind: &enums::auth::SentCodeType) -> String {
    use enums::auth::SentCodeType as Kind;
    match kind {
        Kind::App(_) => "to the account's other Telegram apps".to_owned(),
        Kind::Sms(_) | Kind::FirebaseSms(_) => "by SMS".to_owned(),
        Kind::SmsWord(_) => "by SMS: it is a word".to_owned(),
        Kind::SmsPhrase(_) => "by SMS: it is a phrase".to_owned(),
        Kind::Call(_) => "by a phone call that says it".to_owned(),
        Kind::FlashCall(_) | Kind::MissedCall(_) => {
            "by a call that rings once: the code is the end of the caller's number".to_owned()
        }
        Kind::EmailCode(email) => format!("to the login e-mail {}", email.email_pattern),
        Kind::SetUpEmailRequired(_) => "nowhere".to_owned(),
        Kind::FragmentSms(_) => "to the anonymous number on fragment.com".to_owned(),
    }
}

/// The proof of a password for Telegram's challenge.
async fn proof(
    password: types::account::Password,
    text: Secret,
) -> Result<functions::auth::CheckPassword, CallError> {
    let strange = |what: &str| CallError::Unexpected(format!("its password challenge {what}"));
    let (Some(algo), Some(srp_b), Some(srp_id)) =
        (password.current_algo, password.srp_b, password.srp_id)
    else {
        return Err(strange("is missing: the account has no password"));
    };
    let enums::PasswordKdfAlgo::Sha256Sha256Pbkdf2Hmacsha512iter100000Sha256ModPow(algo) = algo
    else {
        return Err(strange("is of a kind that this version does not know"));
    };
    if srp_b.len() > 256 || algo.p.len() != 256 || !(2..=7).contains(&algo.g) {
        return Err(strange("has impossible numbers"));
    }
    // The client's own chance: what the server sends along must not decide it alone.
    let secret: [u8; 256] = rand::random();
    // Seconds of arithmetic, and asserts inside: a thread of its own.
    let made = tokio::task::spawn_blocking(move || {
        let well_known = algo.p == GOOD_PRIME && [3, 4, 7].contains(&algo.g);
        if !well_known && !check_p_and_g(&algo.p, &algo.g) {
            return None;
        }
        Some(calculate_2fa(
            &algo.salt1,
            &algo.salt2,
            &algo.p,
            &algo.g,
            srp_b,
            secret.to_vec(),
            text.reveal().as_bytes(),
        ))
    });
    let (m1, a) = made
        .await
        .ok()
        .flatten()
        .ok_or_else(|| strange("has numbers that are not safe"))?;
    Ok(functions::auth::CheckPassword {
        password: types::InputCheckPasswordSrp {
            srp_id,
            a: a.to_vec(),
            m1: m1.to_vec(),
        }
        .into(),
    })
}

/// What a session file is to hold.
#[derive(Clone)]
pub struct Holds {
    /// The account's data centre.
    pub dc: i32,
    /// Its address.
    pub ipv4: SocketAddrV4,
    /// Its address in IPv6.
    pub ipv6: SocketAddrV6,
    /// The authorization key, where the file does not hold it yet.
    pub auth_key: Option<[u8; 256]>,
    /// The account's user id and its access hash.
    pub own: Option<(i64, Option<i64>)>,
    /// Where it stands in Telegram's updates.
    pub state: Option<UpdatesState>,
}

impl Holds {
    /// A session of another program: its data centre, with well-known addresses where `address` is of the other kind.
    ///
    /// # Errors
    /// In words, where the data centre has no usable address.
    pub fn of_address(
        dc: i32,
        address: std::net::SocketAddr,
        auth_key: [u8; 256],
    ) -> Result<Holds, String> {
        let (ipv4, ipv6) = match address {
            std::net::SocketAddr::V4(ipv4) => {
                let mapped = SocketAddrV6::new(ipv4.ip().to_ipv6_mapped(), ipv4.port(), 0, 0);
                (ipv4, known(Some(dc)).map_or(mapped, |option| option.ipv6))
            }
            std::net::SocketAddr::V6(ipv6) => match known(Some(dc)) {
                Some(option) => (option.ipv4, ipv6),
                None => return Err(format!("data centre {dc} has an IPv6 address only")),
            },
        };
        Ok(Holds {
            dc,
            ipv4,
            ipv6,
            auth_key: Some(auth_key),
            own: None,
            state: None,
        })
    }

    async fn fill(&self, session: &SqliteSession) -> Result<(), String> {
        let words = |error: &dyn std::fmt::Display| error.to_string();
        if self.auth_key.is_some() {
            session
                .set_dc_option(&DcOption {
                    id: self.dc,
                    ipv4: self.ipv4,
                    ipv6: self.ipv6,
                    auth_key: self.auth_key,
                })
                .await
                .map_err(|error| words(&error))?;
        }
        if self.auth_key.is_some() || session.home_dc_id().ok() != Some(self.dc) {
            session
                .set_home_dc_id(self.dc)
                .await
                .map_err(|error| words(&error))?;
        }
        if let Some((id, hash)) = self.own {
            session
                .cache_peer(PeerInfo::User {
                    id,
                    auth: hash.map(PeerAuth::from_hash),
                    bot: Some(false),
                    is_self: Some(true),
                })
                .await
                .map_err(|error| words(&error))?;
        }
        if let Some(state) = &self.state {
            session
                .set_update_state(UpdateState::All(state.clone()))
                .await
                .map_err(|error| words(&error))?;
        }
        Ok(())
    }
}

/// Adds to a session file that is there. SQLite's transactions keep it whole; an encrypted one is replaced whole.
async fn write_into(path: &Path, holds: &Holds, vault: &Vault) -> Result<(), String> {
    if !session::is_sealed(path) {
        return fill_file(path, holds).await;
    }
    let words = |error: CallError| error.to_string();
    let copy = session::copied(path, vault).await.map_err(words)?;
    fill_file(&copy.file, holds).await?;
    let plain = session::whole(&copy.file, vault).await.map_err(words)?;
    let sealed = vault.seal(&plain).map_err(|error| error.to_string())?;
    draft::replace(path, &sealed).map_err(|error| error.to_string())
}

async fn fill_file(path: &Path, holds: &Holds) -> Result<(), String> {
    let session = SqliteSession::open(path)
        .await
        .map_err(|error| error.to_string())?;
    holds.fill(&session).await?;
    drop(session);
    fs::File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(|error| error.to_string())
}

/// Makes a session file that only its owner can read: whole or not at all, and never over another one. Where the folder's
/// sessions are encrypted, this one is too. The path of the file that was made.
///
/// # Errors
/// In words.
pub async fn write_new(path: &Path, holds: &Holds, vault: &Vault) -> Result<PathBuf, String> {
    let folder = path.parent().unwrap_or(Path::new("."));
    if path.file_name().and_then(|name| name.to_str()).is_none() {
        return Err("its name is no text".to_owned());
    }
    if !folder.is_dir() {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder).map_err(|error| error.to_string())?;
    }
    let copy = PrivateCopy::holding(&[]).map_err(|error| error.to_string())?;
    fill_file(&copy.file, holds).await?;
    let plain = session::whole(&copy.file, vault)
        .await
        .map_err(|error| error.to_string())?;
    let written = match vault.is_used() {
        true => {
            let sealed = vault.seal(&plain).map_err(|error| error.to_string())?;
            let path = session::sealed_path(path);
            draft::write_new(&path, &sealed).map(|()| path)
        }
        false => draft::write_new(path, &plain).map(|()| path.to_owned()),
    };
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => "a file of that name is there by now".to_owned(),
        _ => error.to_string(),
    })
}

/// What tells two session files of one account without asking Telegram: a mark of the key, and the user id where the
/// file says it. The mark gives nothing of the key away. Reads and changes nothing.
pub async fn marks(path: &Path, vault: &Vault) -> Option<(Option<[u8; 32]>, Option<i64>)> {
    let found = session::look(path, false, vault).await.ok()?;
    let key = found
        .auth_key
        .map(|key| crate::model::RandomKey::of_auth_key(&key).0);
    Some((key, found.own))
}

/// Telegram's own prime, whose safety everybody has checked already (core.telegram.org/api/srp; TDLib and Telethon name
/// the same): the check of another one takes seconds.
const GOOD_PRIME: [u8; 256] = [
    0xc7, 0x1c, 0xae, 0xb9, 0xc6, 0xb1, 0xc9, 0x04, 0x8e, 0x6c, 0x52, 0x2f, 0x70, 0xf1, 0x3f, 0x73,
    0x98, 0x0d, 0x40, 0x23, 0x8e, 0x3e, 0x21, 0xc1, 0x49, 0x34, 0xd0, 0x37, 0x56, 0x3d, 0x93, 0x0f,
    0x48, 0x19, 0x8a, 0x0a, 0xa7, 0xc1, 0x40, 0x58, 0x22, 0x94, 0x93, 0xd2, 0x25, 0x30, 0xf4, 0xdb,
    0xfa, 0x33, 0x6f, 0x6e, 0x0a, 0xc9, 0x25, 0x13, 0x95, 0x43, 0xae, 0xd4, 0x4c, 0xce, 0x7c, 0x37,
    0x20, 0xfd, 0x51, 0xf6, 0x94, 0x58, 0x70, 0x5a, 0xc6, 0x8c, 0xd4, 0xfe, 0x6b, 0x6b, 0x13, 0xab,
    0xdc, 0x97, 0x46, 0x51, 0x29, 0x69, 0x32, 0x84, 0x54, 0xf1, 0x8f, 0xaf, 0x8c, 0x59, 0x5f, 0x64,
    0x24, 0x77, 0xfe, 0x96, 0xbb, 0x2a, 0x94, 0x1d, 0x5b, 0xcd, 0x1d, 0x4a, 0xc8, 0xcc, 0x49, 0x88,
    0x07, 0x08, 0xfa, 0x9b, 0x37, 0x8e, 0x3c, 0x4f, 0x3a, 0x90, 0x60, 0xbe, 0xe6, 0x7c, 0xf9, 0xa4,
    0xa4, 0xa6, 0x95, 0x81, 0x10, 0x51, 0x90, 0x7e, 0x16, 0x27, 0x53, 0xb5, 0x6b, 0x0f, 0x6b, 0x41,
    0x0d, 0xba, 0x74, 0xd8, 0xa8, 0x4b, 0x2a, 0x14, 0xb3, 0x14, 0x4e, 0x0e, 0xf1, 0x28, 0x47, 0x54,
    0xfd, 0x17, 0xed, 0x95, 0x0d, 0x59, 0x65, 0xb4, 0xb9, 0xdd, 0x46, 0x58, 0x2d, 0xb1, 0x17, 0x8d,
    0x16, 0x9c, 0x6b, 0xc4, 0x65, 0xb0, 0xd6, 0xff, 0x9c, 0xa3, 0x92, 0x8f, 0xef, 0x5b, 0x9a, 0xe4,
    0xe4, 0x18, 0xfc, 0x15, 0xe8, 0x3e, 0xbe, 0xa0, 0xf8, 0x7f, 0xa9, 0xff, 0x5e, 0xed, 0x70, 0x05,
    0x0d, 0xed, 0x28, 0x49, 0xf4, 0x7b, 0xf9, 0x59, 0xd9, 0x56, 0x85, 0x0c, 0xe9, 0x29, 0x85, 0x1f,
    0x0d, 0x81, 0x15, 0xf6, 0x35, 0xb1, 0x05, 0xee, 0x2e, 0x4e, 0x15, 0xd0, 0x4b, 0x24, 0x54, 0xbf,
    0x6f, 0x4f, 0xad, 0xf0, 0x34, 0xb1, 0x04, 0x03, 0x11, 0x9c, 0xd8, 0xe3, 0xb9, 0x2f, 0xcc, 0x5b,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_well_known_prime_is_safe() {
        for g in [3, 4, 7] {
            assert!(check_p_and_g(&GOOD_PRIME, &g));
        }
    }

    #[test]
    fn a_refusal_may_send_the_login_to_another_data_centre() {
        for (message, expected) in [
            ("PHONE_MIGRATE_4", Some(4)),
            ("NETWORK_MIGRATE_1", Some(1)),
            ("FLOOD_WAIT_4", None),
            ("PHONE_NUMBER_INVALID", None),
        ] {
            assert_eq!(elsewhere(&RpcFault::new(303, message)), expected);
        }
    }

    #[tokio::test]
    async fn a_new_session_file_is_whole_private_and_never_over_another_one() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("sessions/a.session");
        let vault = Vault::new(folder.path().join("sessions"), None, None);
        let address = "127.0.0.1:4430".parse().expect("an address");
        let mut holds = Holds::of_address(2, address, [7; 256]).expect("holds");
        holds.own = Some((42, Some(9)));
        write_new(&path, &holds, &vault).await.expect("writes");
        assert_eq!(
            fs::metadata(&path).expect("is there").permissions().mode() & 0o777,
            0o600
        );
        let found = session::look(&path, true, &vault).await.expect("reads");
        assert_eq!((found.dc, found.own), (2, Some(42)));
        assert_eq!(found.ipv4.to_string(), "127.0.0.1:4430");
        assert_eq!(found.auth_key, Some([7; 256]));
        let again = write_new(&path, &holds, &vault).await;
        assert!(again.is_err_and(|why| why.contains("is there by now")));
        let left: Vec<_> = fs::read_dir(folder.path().join("sessions"))
            .expect("lists")
            .collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }
}

//! Logging in: asks for the code and the password, says in words what Telegram refuses.

use super::refusal;
use crate::telegram::login::{CodeSent, Login, SignedIn};
use crate::telegram::{AccountConfig, CallError, Me, Secret};

/// How often a wrong code or password is asked for again: Telegram itself stops after a few.
const TRIES: u32 = 3;

/// Who types the code and the password.
pub trait Asker {
    /// Tells him something.
    fn tell(&mut self, line: &str);

    /// Asks for a line. `None`: there is nobody, or no more input.
    fn code(&mut self, question: &str) -> Option<String>;

    /// Asks for a line that nobody else sees.
    fn password(&mut self, question: &str) -> Option<Secret>;
}

/// How a login ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoggedIn {
    /// Just now.
    Now(Me),
    /// It was before; nothing was changed.
    Before(Me),
}

/// Why a login did not end well.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// Telegram refused it, in one sentence that says what to do.
    #[error("{0}")]
    Refused(String),
    /// The key of the file is unknown to Telegram.
    #[error(
        "Telegram does not know the key of {0}: move that file away and run the command again, which makes a new one"
    )]
    KeyUnknown(String),
    /// Nobody typed what was asked for.
    #[error("{0}: standard input has ended")]
    NoInput(&'static str),
    /// No connection, or the file.
    #[error("{0}")]
    Call(CallError),
}

/// Logs an account in.
///
/// # Errors
/// [`LoginError`]; the session file is then as it was, or is not there.
pub async fn login(
    config: AccountConfig,
    phone: &str,
    asker: &mut dyn Asker,
) -> Result<LoggedIn, LoginError> {
    let shown = config.session_path.display().to_string();
    let words = |error: CallError| match error {
        CallError::Rpc(fault) => LoginError::Refused(refusal(&fault)),
        CallError::KeyUnknown => LoginError::KeyUnknown(shown.clone()),
        other => LoginError::Call(other),
    };
    let mut login = Login::begin(config).await.map_err(words)?;
    if let Some(me) = login.me().await.map_err(words)? {
        return Ok(LoggedIn::Before(me));
    }
    match login.send_code(phone).await.map_err(words)? {
        CodeSent::Done(me) => return Ok(LoggedIn::Now(me)),
        CodeSent::To { how } => asker.tell(&format!("Telegram sent a code {how}.")),
    }
    let mut tries = 0;
    let signed_in = loop {
        let code = asker
            .code("Code: ")
            .ok_or(LoginError::NoInput("no code was given"))?;
        let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
        tries += 1;
        match login.sign_in(&code).await {
            Ok(signed_in) => break signed_in,
            Err(CallError::Rpc(fault))
                if tries < TRIES
                    && matches!(
                        fault.base().as_str(),
                        "PHONE_CODE_INVALID" | "PHONE_CODE_EMPTY" | "CODE_INVALID"
                    ) =>
            {
                asker.tell("Telegram says that this is not the code.");
            }
            Err(error) => return Err(words(error)),
        }
    };
    let hint = match signed_in {
        SignedIn::Done(me) => return Ok(LoggedIn::Now(me)),
        SignedIn::Password { hint } => hint,
    };
    let question = match hint {
        Some(hint) => format!("Password of two-step verification (hint: {hint}): "),
        None => "Password of two-step verification: ".to_owned(),
    };
    let mut tries = 0;
    loop {
        let password = asker
            .password(&question)
            .ok_or(LoginError::NoInput("no password was given"))?;
        tries += 1;
        match login.check_password(&password).await {
            Ok(me) => return Ok(LoggedIn::Now(me)),
            Err(CallError::Rpc(fault))
                if tries < TRIES && fault.base() == "PASSWORD_HASH_INVALID" =>
            {
                asker.tell("Telegram says that this is not the password.");
            }
            Err(error) => return Err(words(error)),
        }
    }
}

//! How accounts come and go: login, import, check, remove. Nothing here sends a message.
//!
//! # Guarantees
//! - A session file that is there is never overwritten, and its key and address never changed.
//! - No code, password or key is printed or logged; of a phone only the ends are shown.

mod import;
mod login;
mod twins;

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::model::AccountState;
use crate::model::reaction::{Reaction, RpcFault, react};
use crate::telegram::{CallError, Me, plain_path};

pub use import::{ImportError, import};
pub use login::{Asker, LoggedIn, LoginError, login};
pub use twins::{Twins, twins};

/// Who an account is, as Telegram said just now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// Its name here.
    pub name: String,
    /// What it can do.
    pub state: AccountState,
    /// Its user id, where Telegram said it.
    pub id: Option<i64>,
    /// Its first name.
    pub first_name: Option<String>,
    /// Its username without the `@`.
    pub username: Option<String>,
    /// Its phone with all but its ends hidden.
    pub phone: Option<String>,
    /// Whether it has Telegram Premium.
    pub premium: Option<bool>,
    /// Where it is not ready: why, and what to do.
    pub message: String,
}

/// What an answer to 'who are you' says of an account.
pub fn checked(name: &str, answer: Result<Me, CallError>) -> Checked {
    let state_of = |state: AccountState, message: String| Checked {
        name: name.to_owned(),
        state,
        id: None,
        first_name: None,
        username: None,
        phone: None,
        premium: None,
        message,
    };
    match answer {
        Ok(me) => Checked {
            name: name.to_owned(),
            state: AccountState::Ready,
            id: Some(me.id.0),
            first_name: me.first_name,
            username: me.username,
            phone: me.phone.as_deref().map(masked),
            premium: Some(me.premium),
            message: String::new(),
        },
        Err(CallError::Rpc(fault)) => match react(&fault) {
            Reaction::LoseAccount(state) => {
                let message = format!("Telegram said {}. {}", fault.message, state.remedy());
                state_of(state, message)
            }
            Reaction::Wait { seconds } => state_of(
                AccountState::FloodWait,
                format!("Telegram asks for a wait of {seconds} s."),
            ),
            _ => state_of(AccountState::Unreachable, format!("{fault}.")),
        },
        Err(CallError::KeyUnknown) => state_of(
            AccountState::Unauthorized,
            format!(
                "{}. {}",
                CallError::KeyUnknown,
                AccountState::Unauthorized.remedy()
            ),
        ),
        Err(CallError::Session(why)) if why.contains("there is none") => state_of(
            AccountState::Missing,
            AccountState::Missing.remedy().to_owned(),
        ),
        Err(CallError::Session(why)) => state_of(AccountState::Unauthorized, why),
        Err(CallError::Locked(why)) => state_of(AccountState::NotConfigured, format!("{why}.")),
        Err(error) => state_of(AccountState::Unreachable, format!("{error}.")),
    }
}

/// A phone of which only the country and the end can be recognised.
pub fn masked(phone: &str) -> String {
    let digits: Vec<char> = phone.chars().filter(char::is_ascii_digit).collect();
    if digits.len() < 7 {
        return "+…".to_owned();
    }
    let head: String = digits.iter().take(3).collect();
    let tail: String = digits.iter().skip(digits.len() - 2).collect();
    format!("+{head}…{tail}")
}

/// Whether a refused log-out means that nobody is logged in any more.
pub fn is_logged_out(error: &CallError) -> bool {
    match error {
        CallError::KeyUnknown => true,
        CallError::Rpc(fault) => matches!(react(fault), Reaction::LoseAccount(_)),
        _ => false,
    }
}

/// Deletes a session file, plain or encrypted, and what SQLite keeps beside it.
///
/// # Errors
/// The first file that cannot be deleted; the session itself is the last one that is tried.
pub fn delete_session(path: &Path) -> std::io::Result<()> {
    let plain = plain_path(path);
    for end in ["-wal", "-shm", "-journal", "", ".age"] {
        let mut name = plain.as_os_str().to_owned();
        name.push(end);
        match std::fs::remove_file(&name) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Telegram's refusal of a login in one sentence that says what to do.
fn refusal(fault: &RpcFault) -> String {
    let said = &fault.message;
    match fault.base().as_str() {
        "PHONE_NUMBER_INVALID" => {
            "Telegram says that this is no phone number; write it with its country, such as +15550100123"
                .to_owned()
        }
        "PHONE_NUMBER_UNOCCUPIED" => {
            "nobody has a Telegram account with this phone; make one in a Telegram app first".to_owned()
        }
        "PHONE_NUMBER_BANNED" => {
            "Telegram has banned this phone; write to Telegram's support (recover@telegram.org)".to_owned()
        }
        "PHONE_NUMBER_FLOOD" | "PHONE_PASSWORD_FLOOD" => {
            "there were too many attempts to log in with this phone; Telegram takes no more for now, try again tomorrow"
                .to_owned()
        }
        "PHONE_CODE_EXPIRED" => {
            "the code has expired; run the command again to get a new one".to_owned()
        }
        "PHONE_CODE_INVALID" | "PHONE_CODE_EMPTY" | "CODE_INVALID" => {
            "the code is wrong; run the command again to get a new one".to_owned()
        }
        "PASSWORD_HASH_INVALID" => "the password is wrong; run the command again".to_owned(),
        "FLOOD_WAIT" | "FLOOD_PREMIUM_WAIT" => format!(
            "Telegram asks for a wait of {} before the next attempt to log in",
            wait(fault.value().unwrap_or_default())
        ),
        "API_ID_INVALID" => {
            "Telegram does not accept TG_API_ID and TG_API_HASH; both stand at https://my.telegram.org/apps"
                .to_owned()
        }
        "API_ID_PUBLISHED_FLOOD" => {
            "this TG_API_ID was published, and Telegram allows no login with it; get one of your own at \
             https://my.telegram.org/apps"
                .to_owned()
        }
        "EMAIL_SETUP_REQUIRED" => {
            "Telegram wants a login e-mail for this account first; set one up in a Telegram app".to_owned()
        }
        "SMS_PAYMENT_REQUIRED" => {
            "Telegram wants to be paid for this code; nothing is ever paid. Log in with a Telegram app first, so that \
             the code goes there"
                .to_owned()
        }
        "SESSION_REVOKED" | "SESSION_EXPIRED" | "AUTH_KEY_DUPLICATED" | "AUTH_KEY_INVALID" => format!(
            "Telegram ended this session ({said}), and its key is of no use any more: move the session file away and run \
             the command again, which makes a new one"
        ),
        "USER_DEACTIVATED" | "USER_DEACTIVATED_BAN" => {
            format!("Telegram deactivated this account ({said}); write to Telegram's support")
        }
        _ => format!("Telegram refused the login: {said} ({})", fault.code),
    }
}

/// Seconds in words.
fn wait(seconds: u32) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h", seconds.div_ceil(3600)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phone_is_shown_by_its_ends_only() {
        for (phone, shown) in [
            ("15550100001", "+155…01"),
            ("+79991234567", "+799…67"),
            ("12", "+…"),
        ] {
            assert_eq!(masked(phone), shown);
        }
    }

    #[test]
    fn every_refusal_of_a_login_is_a_sentence() {
        for (message, part) in [
            ("PHONE_NUMBER_INVALID", "no phone number"),
            ("PHONE_NUMBER_UNOCCUPIED", "nobody has"),
            ("PHONE_NUMBER_BANNED", "banned"),
            ("PHONE_CODE_EXPIRED", "expired"),
            ("FLOOD_WAIT_86400", "24 h"),
            ("FLOOD_WAIT_600", "10 min"),
            ("FLOOD_WAIT_7", "7 s"),
            ("WHATEVER_NEW", "WHATEVER_NEW (400)"),
        ] {
            let said = refusal(&RpcFault::new(400, message));
            assert!(said.contains(part), "{message}: {said}");
        }
    }

    #[test]
    fn a_session_goes_with_all_that_stands_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.session");
        for end in ["", "-wal", "-shm", ".age"] {
            std::fs::write(folder.path().join(format!("a.session{end}")), "x").unwrap();
        }
        std::fs::write(folder.path().join("ab.session"), "x").unwrap();
        delete_session(&path).unwrap();
        delete_session(&path).unwrap();
        let left: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, ["ab.session"]);
    }
}

//! Telegram's words and what they mean for us: the one table of errors.
//!
//! The contract's section 6, `docs/reasons.md` and the tests come from here. Names and their meanings:
//! <https://core.telegram.org/api/errors>.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{AccountState, Outcome};

/// Calls that Telegram slows down together: a `FLOOD_WAIT` holds for one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallClass {
    /// Who is who: usernames, phones, members, histories.
    LookUp,
    /// Messages, and what belongs to them (typing, uploads).
    Send,
    /// Adding people to places.
    Invite,
}

impl CallClass {
    /// All of them.
    pub const ALL: [CallClass; 3] = [CallClass::LookUp, CallClass::Send, CallClass::Invite];

    /// The name that events and reports show.
    pub const fn name(self) -> &'static str {
        match self {
            CallClass::LookUp => "look-ups",
            CallClass::Send => "sends",
            CallClass::Invite => "invites",
        }
    }
}

impl fmt::Display for CallClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Telegram's refusal of a call (core.telegram.org/mtproto/service_messages#rpc-result, `rpc_error`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[error("Telegram refused: {message} ({code})")]
pub struct RpcFault {
    /// Like HTTP's: 400 the request, 401 the authorization, 403 forbidden, 420 too often, 500 Telegram itself.
    pub code: i32,
    /// The whole name with its numbers, as Telegram wrote it: `FLOOD_WAIT_31`.
    pub message: String,
}

impl RpcFault {
    /// From Telegram's two fields.
    pub fn new(code: i32, message: impl Into<String>) -> RpcFault {
        RpcFault {
            code,
            message: message.into(),
        }
    }

    /// The name without its numbers: `FLOOD_WAIT` of `FLOOD_WAIT_31`.
    pub fn base(&self) -> String {
        let mut base = String::with_capacity(self.message.len());
        for word in self.words().filter(|word| !is_number(word)) {
            if !base.is_empty() {
                base.push('_');
            }
            base.push_str(word);
        }
        base.make_ascii_uppercase();
        base
    }

    /// The first number in the name: 31 of `FLOOD_WAIT_31`.
    pub fn value(&self) -> Option<u32> {
        self.words()
            .find(|word| is_number(word))
            .map(|word| word.parse().unwrap_or(u32::MAX))
    }

    fn words(&self) -> impl Iterator<Item = &str> {
        self.message.trim().split('_')
    }
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())
}

/// What the engine does about a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    /// The account waits that long (jitter comes on top) with calls of this class; the recipient stays pending.
    Wait {
        /// What Telegram said.
        seconds: u32,
    },
    /// That chat waits, the account goes on.
    SlowMode {
        /// What Telegram said.
        seconds: u32,
    },
    /// The account is `limited`: no first contacts for now; the recipient stays pending and is never tried through
    /// another account.
    LimitAccount,
    /// The recipient is skipped for good in that lineage, by every account.
    SkipRecipient {
        /// How he counts.
        outcome: Outcome,
        /// Whether no campaign may ever write to him again.
        suppress: bool,
    },
    /// He is looked up again once on the same account, then skipped as [`Outcome::Unreachable`].
    LookUpAgain,
    /// The account is out of work; its session file is kept as it was.
    LoseAccount(AccountState),
    /// The campaign is `Stalled`.
    Stall {
        /// The condition's reason, in CamelCase.
        reason: &'static str,
    },
    /// The uploaded file is no longer known: it is uploaded anew and the message made again. Nothing was sent.
    UploadAgain,
    /// The same `random_id` was delivered before, or is under way: a second try or the history confirms it.
    Delivered,
    /// It may have taken effect: the same bytes go out again with the same `random_id` on the same account.
    InDoubt,
    /// The recipient fails with Telegram's own words; five in a row stall the campaign.
    FailRecipient,
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// A name without its numbers; a trailing `*` stands for any rest.
    pub pattern: &'static str,
    /// What is done; seconds are those of the refusal.
    pub reaction: Reaction,
    /// What Telegram says with it, in one sentence.
    pub meaning: &'static str,
}

impl Row {
    /// Whether the row is about this name (without numbers).
    pub fn matches(&self, base: &str) -> bool {
        match self.pattern.strip_suffix('*') {
            Some(start) => base.starts_with(start),
            None => base.eq_ignore_ascii_case(self.pattern),
        }
    }
}

const fn row(pattern: &'static str, reaction: Reaction, meaning: &'static str) -> Row {
    Row {
        pattern,
        reaction,
        meaning,
    }
}

const fn skip(outcome: Outcome) -> Reaction {
    Reaction::SkipRecipient {
        outcome,
        suppress: false,
    }
}

const fn stall(reason: &'static str) -> Reaction {
    Reaction::Stall { reason }
}

const WAIT: Reaction = Reaction::Wait { seconds: 0 };
const BLOCK: Reaction = Reaction::SkipRecipient {
    outcome: Outcome::Blocked,
    suppress: true,
};
const UNAUTHORIZED: Reaction = Reaction::LoseAccount(AccountState::Unauthorized);
const BANNED: Reaction = Reaction::LoseAccount(AccountState::Banned);

/// How long an account waits where Telegram says 'too often' without a number, in seconds.
pub const WAIT_WITHOUT_NUMBER: u32 = 60;

/// The table: the first row whose pattern fits decides. What no row knows is decided by [`react`] from the code.
pub const TABLE: &[Row] = &[
    row(
        "FLOOD_WAIT",
        WAIT,
        "The account made too many calls of this kind and must wait n seconds.",
    ),
    row(
        "FLOOD_PREMIUM_WAIT",
        WAIT,
        "The account must wait n seconds; one with Telegram Premium would wait less.",
    ),
    row(
        "FLOOD_TEST_PHONE_WAIT",
        WAIT,
        "The account must wait n seconds (test servers).",
    ),
    row(
        "SLOWMODE_WAIT",
        Reaction::SlowMode { seconds: 0 },
        "The chat takes one message in n seconds from a person.",
    ),
    row(
        "PEER_FLOOD",
        Reaction::LimitAccount,
        "The account wrote to too many strangers: it is limited.",
    ),
    row(
        "USER_PRIVACY_RESTRICTED",
        skip(Outcome::PrivacyRestricted),
        "His privacy settings do not allow it.",
    ),
    row("USER_IS_BLOCKED", BLOCK, "He blocked the account."),
    row(
        "YOU_BLOCKED_USER",
        BLOCK,
        "The account blocked him; nobody is unblocked automatically.",
    ),
    row(
        "INPUT_USER_DEACTIVATED",
        skip(Outcome::Deactivated),
        "His Telegram account is deleted or banned.",
    ),
    row(
        "USER_NOT_MUTUAL_CONTACT",
        skip(Outcome::NotMutual),
        "Only mutual contacts may add him.",
    ),
    row(
        "USER_CHANNELS_TOO_MUCH",
        skip(Outcome::TooManyChats),
        "He is in as many groups and channels as Telegram allows.",
    ),
    row(
        "USER_KICKED",
        skip(Outcome::PrivacyRestricted),
        "He was removed from the target, and only an admin may bring him back.",
    ),
    row(
        "USER_BOT",
        skip(Outcome::Unreachable),
        "He is a bot, and bots cannot be added this way.",
    ),
    row(
        "USER_IS_BOT",
        skip(Outcome::Unreachable),
        "He is a bot that takes no such messages.",
    ),
    row(
        "USER_ALREADY_PARTICIPANT",
        skip(Outcome::AlreadyMember),
        "He is a member of the target already.",
    ),
    row(
        "PRIVACY_PREMIUM_REQUIRED",
        skip(Outcome::PremiumRequired),
        "He accepts messages from strangers with Telegram Premium only.",
    ),
    row(
        "ALLOW_PAYMENT_REQUIRED",
        skip(Outcome::PaymentRequired),
        "He charges n Stars for a message; nothing is ever paid.",
    ),
    row(
        "missing_invitees",
        skip(Outcome::PrivacyRestricted),
        "Telegram answered yes, but lists him among those who could not be added.",
    ),
    row(
        "missing_invitees_premium",
        skip(Outcome::PremiumRequired),
        "Telegram answered yes, but lists him among those whom only an account with Telegram Premium could add.",
    ),
    row(
        "USER_BLOCKED",
        BLOCK,
        "He blocked the account, and cannot be added by it.",
    ),
    row(
        "BOT_GROUPS_BLOCKED",
        skip(Outcome::Unreachable),
        "He is a bot that cannot be added to groups.",
    ),
    row(
        "USERNAME_INVALID",
        skip(Outcome::NotFound),
        "Nobody can have this username.",
    ),
    row(
        "USERNAME_NOT_OCCUPIED",
        skip(Outcome::NotFound),
        "Nobody has this username.",
    ),
    row(
        "PHONE_NOT_OCCUPIED",
        skip(Outcome::NotFound),
        "Nobody who may be found by it has this phone.",
    ),
    row(
        "PEER_ID_INVALID",
        Reaction::LookUpAgain,
        "The account cannot address him: it has not met him, or the access hash is old.",
    ),
    row(
        "USER_ID_INVALID",
        Reaction::LookUpAgain,
        "The account cannot address him: it has not met him, or the access hash is old.",
    ),
    row(
        "CHANNEL_INVALID",
        Reaction::LookUpAgain,
        "The account cannot address the place: the access hash is old or not its own.",
    ),
    row(
        "AUTH_KEY_UNREGISTERED",
        UNAUTHORIZED,
        "Telegram does not know the authorization key.",
    ),
    row(
        "AUTH_KEY_INVALID",
        UNAUTHORIZED,
        "The authorization key is invalid.",
    ),
    row(
        "AUTH_KEY_DUPLICATED",
        UNAUTHORIZED,
        "The session was used from two places at once, and Telegram ended it.",
    ),
    row(
        "AUTH_KEY_*",
        UNAUTHORIZED,
        "Telegram does not accept the authorization key.",
    ),
    row(
        "SESSION_REVOKED",
        UNAUTHORIZED,
        "The owner ended the session in another app.",
    ),
    row("SESSION_EXPIRED", UNAUTHORIZED, "The session has expired."),
    row(
        "SESSION_*",
        UNAUTHORIZED,
        "Telegram does not accept the session.",
    ),
    row(
        "USER_DEACTIVATED",
        BANNED,
        "Telegram deactivated the account.",
    ),
    row(
        "USER_DEACTIVATED_BAN",
        BANNED,
        "Telegram banned the account.",
    ),
    row(
        "PHONE_NUMBER_BANNED",
        BANNED,
        "Telegram banned the account's phone.",
    ),
    row(
        "FROZEN_METHOD_INVALID",
        Reaction::LoseAccount(AccountState::Frozen),
        "The account is frozen and may not do this.",
    ),
    row(
        "CHAT_WRITE_FORBIDDEN",
        stall("ChatWriteForbidden"),
        "The account may not write there.",
    ),
    row(
        "CHAT_ADMIN_REQUIRED",
        stall("ChatAdminRequired"),
        "Only an admin may do this there.",
    ),
    row(
        "CHANNEL_PRIVATE",
        stall("ChannelPrivate"),
        "The place is private, and the account is no member or was banned.",
    ),
    row(
        "USERS_TOO_MUCH",
        stall("UsersTooMuch"),
        "The place has as many members as Telegram allows.",
    ),
    row(
        "PARTICIPANTS_TOO_MUCH",
        stall("UsersTooMuch"),
        "The place has as many members as Telegram allows.",
    ),
    row(
        "CHANNEL_PARTICIPANTS_TOO_MUCH",
        stall("UsersTooMuch"),
        "The place has as many members as Telegram allows.",
    ),
    row(
        "USER_BANNED_IN_CHANNEL",
        stall("UserBannedInChannel"),
        "The account was banned there, or may write in no group at all.",
    ),
    row(
        "CHAT_INVALID",
        stall("ChatInvalid"),
        "The place cannot be used for this.",
    ),
    row(
        "CHAT_ID_INVALID",
        stall("ChatInvalid"),
        "The account does not know the group.",
    ),
    row(
        "MESSAGE_TOO_LONG",
        stall("MessageTooLong"),
        "The text is longer than Telegram takes, though our own check passed it.",
    ),
    row(
        "MESSAGE_EMPTY",
        stall("MessageEmpty"),
        "Telegram sees no text, though our own check did.",
    ),
    row("MEDIA_EMPTY", stall("MediaEmpty"), "Telegram sees no file."),
    row(
        "MEDIA_INVALID",
        stall("MediaInvalid"),
        "Telegram does not take the file.",
    ),
    row(
        "MEDIA_CAPTION_TOO_LONG",
        stall("MediaCaptionTooLong"),
        "The text is longer than a file's text may be.",
    ),
    row(
        "MEDIA_*",
        stall("MediaRefused"),
        "Telegram does not take the file.",
    ),
    row(
        "ENTITY_BOUNDS_INVALID",
        stall("EntityBoundsInvalid"),
        "Telegram does not take the text's formatting.",
    ),
    row(
        "ENTITY_*",
        stall("EntitiesRefused"),
        "Telegram does not take the text's formatting.",
    ),
    row(
        "ENTITIES_TOO_LONG",
        stall("EntitiesTooLong"),
        "The text's formatting is larger than Telegram takes.",
    ),
    row(
        "FILE_REFERENCE_*",
        Reaction::UploadAgain,
        "Telegram no longer knows the uploaded file under this reference.",
    ),
    row(
        "RANDOM_ID_DUPLICATE",
        Reaction::Delivered,
        "This very message was sent before, or is being sent.",
    ),
    row(
        "TIMEOUT",
        Reaction::InDoubt,
        "Telegram took too long inside; it may have done it.",
    ),
];

/// What is done about a refusal. The name decides; where no row knows it, the code does.
pub fn react(fault: &RpcFault) -> Reaction {
    let base = fault.base();
    let known = TABLE
        .iter()
        .find(|row| row.matches(&base))
        .map(|row| row.reaction);
    let seconds = fault.value();
    match known {
        Some(Reaction::Wait { .. }) => Reaction::Wait {
            seconds: seconds.unwrap_or(WAIT_WITHOUT_NUMBER),
        },
        Some(Reaction::SlowMode { .. }) => Reaction::SlowMode {
            seconds: seconds.unwrap_or(WAIT_WITHOUT_NUMBER),
        },
        Some(reaction) => reaction,
        None => match fault.code {
            420 => Reaction::Wait {
                seconds: seconds.unwrap_or(WAIT_WITHOUT_NUMBER),
            },
            401 => UNAUTHORIZED,
            500..=599 => Reaction::InDoubt,
            code if code < 0 => Reaction::InDoubt,
            _ => Reaction::FailRecipient,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reaction(code: i32, message: &str) -> Reaction {
        react(&RpcFault::new(code, message))
    }

    #[test]
    fn every_name_of_the_contract_has_its_reaction() {
        use Outcome::*;
        let lost = Reaction::LoseAccount;
        for (code, message, expected) in [
            (420, "FLOOD_WAIT_31", Reaction::Wait { seconds: 31 }),
            (420, "FLOOD_PREMIUM_WAIT_5", Reaction::Wait { seconds: 5 }),
            (420, "SLOWMODE_WAIT_10", Reaction::SlowMode { seconds: 10 }),
            (400, "PEER_FLOOD", Reaction::LimitAccount),
            (403, "USER_PRIVACY_RESTRICTED", skip(PrivacyRestricted)),
            (400, "USER_IS_BLOCKED", BLOCK),
            (400, "YOU_BLOCKED_USER", BLOCK),
            (400, "INPUT_USER_DEACTIVATED", skip(Deactivated)),
            (403, "USER_NOT_MUTUAL_CONTACT", skip(NotMutual)),
            (403, "USER_CHANNELS_TOO_MUCH", skip(TooManyChats)),
            (400, "USER_KICKED", skip(PrivacyRestricted)),
            (400, "USER_BOT", skip(Unreachable)),
            (406, "PRIVACY_PREMIUM_REQUIRED", skip(PremiumRequired)),
            (403, "ALLOW_PAYMENT_REQUIRED_50", skip(PaymentRequired)),
            (400, "USERNAME_INVALID", skip(NotFound)),
            (400, "USERNAME_NOT_OCCUPIED", skip(NotFound)),
            (400, "PHONE_NOT_OCCUPIED", skip(NotFound)),
            (400, "PEER_ID_INVALID", Reaction::LookUpAgain),
            (400, "USER_ID_INVALID", Reaction::LookUpAgain),
            (400, "CHANNEL_INVALID", Reaction::LookUpAgain),
            (
                401,
                "AUTH_KEY_UNREGISTERED",
                lost(AccountState::Unauthorized),
            ),
            (401, "AUTH_KEY_INVALID", lost(AccountState::Unauthorized)),
            (401, "SESSION_REVOKED", lost(AccountState::Unauthorized)),
            (401, "SESSION_EXPIRED", lost(AccountState::Unauthorized)),
            (406, "AUTH_KEY_DUPLICATED", lost(AccountState::Unauthorized)),
            (401, "USER_DEACTIVATED", lost(AccountState::Banned)),
            (401, "USER_DEACTIVATED_BAN", lost(AccountState::Banned)),
            (400, "PHONE_NUMBER_BANNED", lost(AccountState::Banned)),
            (420, "FROZEN_METHOD_INVALID", lost(AccountState::Frozen)),
            (403, "CHAT_WRITE_FORBIDDEN", stall("ChatWriteForbidden")),
            (400, "CHAT_ADMIN_REQUIRED", stall("ChatAdminRequired")),
            (400, "CHANNEL_PRIVATE", stall("ChannelPrivate")),
            (400, "USERS_TOO_MUCH", stall("UsersTooMuch")),
            (400, "MESSAGE_TOO_LONG", stall("MessageTooLong")),
            (400, "MESSAGE_EMPTY", stall("MessageEmpty")),
            (400, "MEDIA_EMPTY", stall("MediaEmpty")),
            (400, "MEDIA_NEW_INVALID", stall("MediaRefused")),
            (400, "ENTITY_BOUNDS_INVALID", stall("EntityBoundsInvalid")),
            (400, "ENTITY_MENTION_USER_INVALID", stall("EntitiesRefused")),
            (500, "RANDOM_ID_DUPLICATE", Reaction::Delivered),
            (500, "INTERNAL_ERROR", Reaction::InDoubt),
            (502, "BAD_GATEWAY", Reaction::InDoubt),
            (-503, "Timeout", Reaction::InDoubt),
            (-500, "No workers running", Reaction::InDoubt),
            (400, "TIMEOUT", Reaction::InDoubt),
            (400, "SOMETHING_NEW", Reaction::FailRecipient),
            (406, "SOMETHING_NEW_7", Reaction::FailRecipient),
        ] {
            assert_eq!(reaction(code, message), expected, "{code} {message}");
        }
    }

    #[test]
    fn what_no_row_knows_is_decided_by_its_code() {
        assert_eq!(
            reaction(420, "NEW_KIND_OF_WAIT_9"),
            Reaction::Wait { seconds: 9 }
        );
        assert_eq!(
            reaction(420, "NEW_KIND_OF_WAIT"),
            Reaction::Wait {
                seconds: WAIT_WITHOUT_NUMBER
            }
        );
        assert_eq!(reaction(401, "NEW_KIND_OF_LOGOUT"), UNAUTHORIZED);
        assert_eq!(reaction(599, "X"), Reaction::InDoubt);
        assert_eq!(reaction(600, "X"), Reaction::FailRecipient);
    }

    #[test]
    fn a_refusal_keeps_its_numbers_and_gives_them_apart() {
        for (message, base, value) in [
            ("FLOOD_WAIT_31", "FLOOD_WAIT", Some(31)),
            ("INTERDC_2_CALL_ERROR", "INTERDC_CALL_ERROR", Some(2)),
            ("2FA_CONFIRM_WAIT_3", "2FA_CONFIRM_WAIT", Some(3)),
            ("PEER_FLOOD", "PEER_FLOOD", None),
            ("FLOOD_WAIT_99999999999", "FLOOD_WAIT", Some(u32::MAX)),
            ("", "", None),
        ] {
            let fault = RpcFault::new(420, message);
            assert_eq!(
                (fault.base().as_str(), fault.value()),
                (base, value),
                "{message}"
            );
        }
        assert_eq!(
            RpcFault::new(420, "FLOOD_WAIT_31").to_string(),
            "Telegram refused: FLOOD_WAIT_31 (420)"
        );
    }

    #[test]
    fn no_row_is_hidden_by_an_earlier_one() {
        for (index, row) in TABLE.iter().enumerate() {
            let name = row.pattern.replace('*', "ANYTHING_ELSE");
            let first = TABLE.iter().position(|other| other.matches(&name));
            assert_eq!(first, Some(index), "{}", row.pattern);
            assert!(row.meaning.ends_with('.'), "{}", row.pattern);
        }
    }

    #[test]
    fn only_a_block_suppresses() {
        for row in TABLE {
            if let Reaction::SkipRecipient { outcome, suppress } = row.reaction {
                assert_eq!(suppress, outcome == Outcome::Blocked, "{}", row.pattern);
            }
        }
    }

    #[test]
    fn stall_reasons_are_camel_case() {
        for row in TABLE {
            if let Reaction::Stall { reason } = row.reaction {
                assert!(
                    reason.starts_with(|c: char| c.is_ascii_uppercase()),
                    "{reason}"
                );
                assert!(
                    reason.chars().all(|c| c.is_ascii_alphanumeric()),
                    "{reason}"
                );
            }
        }
    }
}

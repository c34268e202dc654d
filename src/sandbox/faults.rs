//! What goes wrong, on request: rules that turn calls into errors, silences and broken connections.
//!
//! ```yaml
//! faults:
//!   - {method: messages.sendMessage, account: sales-1, nth: 5, error: FLOOD_WAIT_3}
//!   - {method: messages.*, person: "@anna", error: {code: 500, text: WORKER_BUSY_TOO_LONG_RETRY}, times: 2}
//!   - {method: messages.sendMessage, every: 10, drop: after}     # before | after the effect
//!   - {method: messages.sendMessage, nth: 1, delay: 2s}          # the effect and the answer come late
//!   - {method: messages.sendMessage, nth: 1, delay_answer: 2s}   # the effect at once, the answer late
//!   - {method: messages.sendMessage, nth: 2, silent: after}      # before | after the effect; never an answer
//!   - {nth: 30, half_answer: true}      # effect, half a frame, then the connection closes
//!   - {nth: 31, garbled: true}          # effect, a frame that does not decrypt
//!   - {nth: 20, bad_salt: true}         # the salt changes: bad_server_salt, no effect
//!   - {account: sales-2, after: 50, transport: 404}   # the four bytes of -404 and the end of the connection
//!   - {account: sales-2, after: 50, times: 1, forget_key: true}  # from now on -404 for that account's key
//!   - {nth: 100, away: 5s}              # the server closes every connection and accepts none for so long
//! ```
//!
//! `method` is a name as in Telegram's schema, a prefix with `*`, or absent for all; `account` a name;
//! `person` an id, `@username` or `+phone` that the call is about. Counting over the matching calls:
//! `after: n` skips the first n, `nth: n` is the n-th alone, `every: n` each n-th, `times: n` at most n times.

use serde::{Deserialize, Serialize};

use super::spec::{Ref, Span};

/// What happens to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// An RPC error instead of the effect.
    Error {
        /// The error's code.
        code: i32,
        /// The error's text, as `FLOOD_WAIT_3`.
        text: String,
    },
    /// The connection closes without an effect.
    DropBefore,
    /// The effect, then the connection closes without an answer.
    DropAfter,
    /// Effect and answer come late; the call is under way meanwhile.
    Delay(Span),
    /// The effect at once, the answer late.
    DelayAnswer(Span),
    /// No effect and never an answer.
    SilentBefore,
    /// The effect, but never an answer.
    SilentAfter,
    /// The effect, half of the answer's frame, then the connection closes.
    HalfAnswer,
    /// The effect, and a frame that does not decrypt.
    Garbled,
    /// No effect; the account's salt changes and the client is told so.
    BadSalt,
    /// No effect; a transport error, and the connection closes.
    Transport(i32),
    /// No effect; the account's key is unknown from now on (transport error 404).
    ForgetKey,
    /// No effect; the server closes everything and accepts nothing for so long.
    Away(Span),
}

impl Effect {
    /// A word for the ledger.
    pub fn word(&self) -> String {
        match self {
            Self::Error { text, .. } => format!("error {text}"),
            Self::DropBefore => "drop before".into(),
            Self::DropAfter => "drop after".into(),
            Self::Delay(span) => format!("delay {span}"),
            Self::DelayAnswer(span) => format!("delay_answer {span}"),
            Self::SilentBefore => "silent before".into(),
            Self::SilentAfter => "silent after".into(),
            Self::HalfAnswer => "half_answer".into(),
            Self::Garbled => "garbled".into(),
            Self::BadSalt => "bad_salt".into(),
            Self::Transport(code) => format!("transport {code}"),
            Self::ForgetKey => "forget_key".into(),
            Self::Away(span) => format!("away {span}"),
        }
    }
}

/// One rule: which calls, and what happens to them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawRule", into = "RawRule")]
pub struct FaultRule {
    /// A method's name, a prefix with `*`, or all.
    pub method: Option<String>,
    /// An account's name, or all.
    pub account: Option<String>,
    /// Whom the call is about, or anybody.
    pub person: Option<Ref>,
    /// The n-th matching call alone, from 1.
    pub nth: Option<u64>,
    /// Skip so many.
    pub after: u64,
    /// Each n-th.
    pub every: Option<u64>,
    /// At most so often.
    pub times: Option<u64>,
    /// What happens.
    pub effect: Effect,
}

impl FaultRule {
    /// A rule for every call.
    pub fn new(effect: Effect) -> Self {
        Self {
            method: None,
            account: None,
            person: None,
            nth: None,
            after: 0,
            every: None,
            times: None,
            effect,
        }
    }

    /// A rule that answers with an RPC error of this text, with the code that Telegram uses for it.
    pub fn error(text: &str) -> Self {
        Self::new(Effect::Error {
            code: code_of(text),
            text: text.to_owned(),
        })
    }

    /// Only calls of this method (or prefix with `*`).
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Only calls of this account.
    #[must_use]
    pub fn account(mut self, account: &str) -> Self {
        self.account = Some(account.to_owned());
        self
    }

    /// Only calls about this person.
    #[must_use]
    pub fn person(mut self, person: impl Into<Ref>) -> Self {
        self.person = Some(person.into());
        self
    }

    /// Only the n-th matching call, from 1.
    #[must_use]
    pub fn nth(mut self, nth: u64) -> Self {
        self.nth = Some(nth);
        self
    }

    /// Not the first `after` matching calls.
    #[must_use]
    pub fn after(mut self, after: u64) -> Self {
        self.after = after;
        self
    }

    /// Only each n-th matching call.
    #[must_use]
    pub fn every(mut self, every: u64) -> Self {
        self.every = Some(every);
        self
    }

    /// At most so often.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// Whether the method's name fits.
    pub fn fits_method(&self, method: &str) -> bool {
        match self.method.as_deref() {
            None => true,
            Some(pattern) => match pattern.strip_suffix('*') {
                Some(prefix) => method.starts_with(prefix),
                None => method == pattern,
            },
        }
    }
}

/// The code that Telegram sends with an error text, <https://core.telegram.org/api/errors>.
pub fn code_of(text: &str) -> i32 {
    const UNAUTHORIZED: [&str; 8] = [
        "AUTH_KEY_UNREGISTERED",
        "AUTH_KEY_INVALID",
        "SESSION_REVOKED",
        "SESSION_EXPIRED",
        "USER_DEACTIVATED",
        "USER_DEACTIVATED_BAN",
        "SESSION_PASSWORD_NEEDED",
        "AUTH_KEY_PERM_EMPTY",
    ];
    const FORBIDDEN: [&str; 6] = [
        "USER_PRIVACY_RESTRICTED",
        "CHAT_WRITE_FORBIDDEN",
        "PRIVACY_PREMIUM_REQUIRED",
        "USER_NOT_MUTUAL_CONTACT",
        "USER_CHANNELS_TOO_MUCH",
        "CHAT_FORBIDDEN",
    ];
    match text {
        "AUTH_KEY_DUPLICATED" => 406,
        "FROZEN_METHOD_INVALID" => 420,
        "RANDOM_ID_DUPLICATE" => 500,
        "TIMEOUT" => -503,
        _ if UNAUTHORIZED.contains(&text) => 401,
        _ if FORBIDDEN.contains(&text) || text.starts_with("ALLOW_PAYMENT_REQUIRED") => 403,
        _ if text.starts_with("FLOOD_WAIT")
            || text.starts_with("FLOOD_PREMIUM_WAIT")
            || text.starts_with("SLOWMODE_WAIT") =>
        {
            420
        }
        _ if [
            "INTERNAL",
            "WORKER_BUSY",
            "RPC_CALL_FAIL",
            "RPC_MCGET_FAIL",
            "MSG_WAIT",
        ]
        .iter()
        .any(|p| text.starts_with(p)) =>
        {
            500
        }
        _ => 400,
    }
}

/// A rule with its counters.
#[derive(Debug, Clone)]
pub(super) struct ArmedRule {
    pub rule: FaultRule,
    seen: u64,
    fired: u64,
}

impl ArmedRule {
    pub fn new(rule: FaultRule) -> Self {
        Self {
            rule,
            seen: 0,
            fired: 0,
        }
    }

    /// Counts a matching call and says whether the rule fires for it.
    pub fn fires(&mut self) -> bool {
        self.seen += 1;
        let rule = &self.rule;
        if self.seen <= rule.after
            || rule.nth.is_some_and(|nth| self.seen - rule.after != nth)
            || rule
                .every
                .is_some_and(|every| every == 0 || !(self.seen - rule.after).is_multiple_of(every))
            || rule.times.is_some_and(|times| self.fired >= times)
        {
            return false;
        }
        self.fired += 1;
        true
    }
}

/// Before or after the effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum When {
    Before,
    After,
}

/// An error as written: its text, or code and text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum RawError {
    Text(String),
    Full { code: i32, text: String },
}

/// A rule as written.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawRule {
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    person: Option<Ref>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nth: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    every: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    times: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<RawError>,
    #[serde(skip_serializing_if = "Option::is_none")]
    drop: Option<When>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_answer: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    silent: Option<When>,
    #[serde(skip_serializing_if = "Option::is_none")]
    half_answer: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    garbled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bad_salt: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transport: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    forget_key: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    away: Option<Span>,
}

impl TryFrom<RawRule> for FaultRule {
    type Error = String;

    fn try_from(raw: RawRule) -> Result<Self, Self::Error> {
        let mut effects: Vec<Effect> = Vec::new();
        match raw.error {
            Some(RawError::Text(text)) => effects.push(Effect::Error {
                code: code_of(&text),
                text,
            }),
            Some(RawError::Full { code, text }) => effects.push(Effect::Error { code, text }),
            None => {}
        }
        effects.extend(raw.drop.map(|when| {
            if when == When::Before {
                Effect::DropBefore
            } else {
                Effect::DropAfter
            }
        }));
        effects.extend(raw.delay.map(Effect::Delay));
        effects.extend(raw.delay_answer.map(Effect::DelayAnswer));
        effects.extend(raw.silent.map(|when| {
            if when == When::Before {
                Effect::SilentBefore
            } else {
                Effect::SilentAfter
            }
        }));
        effects.extend(raw.half_answer.filter(|on| *on).map(|_| Effect::HalfAnswer));
        effects.extend(raw.garbled.filter(|on| *on).map(|_| Effect::Garbled));
        effects.extend(raw.bad_salt.filter(|on| *on).map(|_| Effect::BadSalt));
        effects.extend(raw.transport.map(Effect::Transport));
        effects.extend(raw.forget_key.filter(|on| *on).map(|_| Effect::ForgetKey));
        effects.extend(raw.away.map(Effect::Away));
        let effect = match <[Effect; 1]>::try_from(effects) {
            Ok([effect]) => effect,
            Err(effects) => {
                return Err(format!(
                    "a fault has exactly one of error, drop, delay, delay_answer, silent, half_answer, garbled, \
                     bad_salt, transport, forget_key, away; this one has {}",
                    effects.len()
                ));
            }
        };
        Ok(Self {
            method: raw.method,
            account: raw.account,
            person: raw.person,
            nth: raw.nth,
            after: raw.after.unwrap_or(0),
            every: raw.every,
            times: raw.times,
            effect,
        })
    }
}

impl From<FaultRule> for RawRule {
    fn from(rule: FaultRule) -> Self {
        let mut raw = Self {
            method: rule.method,
            account: rule.account,
            person: rule.person,
            nth: rule.nth,
            after: (rule.after > 0).then_some(rule.after),
            every: rule.every,
            times: rule.times,
            ..Self::default()
        };
        match rule.effect {
            Effect::Error { code, text } if code == code_of(&text) => {
                raw.error = Some(RawError::Text(text))
            }
            Effect::Error { code, text } => raw.error = Some(RawError::Full { code, text }),
            Effect::DropBefore => raw.drop = Some(When::Before),
            Effect::DropAfter => raw.drop = Some(When::After),
            Effect::Delay(span) => raw.delay = Some(span),
            Effect::DelayAnswer(span) => raw.delay_answer = Some(span),
            Effect::SilentBefore => raw.silent = Some(When::Before),
            Effect::SilentAfter => raw.silent = Some(When::After),
            Effect::HalfAnswer => raw.half_answer = Some(true),
            Effect::Garbled => raw.garbled = Some(true),
            Effect::BadSalt => raw.bad_salt = Some(true),
            Effect::Transport(code) => raw.transport = Some(code),
            Effect::ForgetKey => raw.forget_key = Some(true),
            Effect::Away(span) => raw.away = Some(span),
        }
        raw
    }
}

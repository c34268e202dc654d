//! The checks of tidings.yaml as a whole.

use super::{AccountSettings, EngineSpec, Notify, masked, owners};
use crate::spec::accounts::is_account_name;
use crate::spec::check::{
    CheckContext, TextPlace, duration_within, has_text, template_problems, template_warnings,
    time_problem,
};
use crate::spec::codes;
use crate::spec::diagnostic::{Findings, Pointer, quote};
use crate::spec::duration::{Duration, MAX_DURATION};
use crate::text::{Format, MAX_TEXT_UNITS, Names, Template};
use crate::time::Zone;

/// The shortest wait for an AI's answer, and the longest: a person would have gone away.
const AI_TIMEOUT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(600));
/// The longest `limits.min_delay` that is no slip.
const MAX_MIN_DELAY: Duration = Duration::from_days(7);
/// The shortest time that things are kept: a day, since follow-ups and guardrails look back.
const MIN_RETENTION: Duration = Duration::from_days(1);

impl EngineSpec {
    /// Checks the settings; `cx.engine` is not looked at, these settings are.
    pub fn check(&self, cx: &CheckContext<'_>, out: &mut Findings) {
        let cx = &CheckContext {
            engine: self,
            ..*cx
        };
        let root = Pointer::root();
        self.check_servers(&root, out);
        if let Some(limits) = &self.limits {
            let at = root.key("limits");
            if let Some(min_delay) = limits.min_delay {
                duration_within(
                    min_delay,
                    Duration::ZERO,
                    MAX_MIN_DELAY,
                    &at.key("min_delay"),
                    out,
                );
            }
            for (index, peer) in limits.only_to.iter().flatten().enumerate() {
                person(peer, &at.key("only_to").index(index), out);
            }
        }
        if let Some(delays) = self.defaults.as_ref().and_then(|d| d.delays.as_ref()) {
            delays.check_ranges(&root.key("defaults").key("delays"), out);
        }
        for (name, account) in &self.accounts {
            account.check(name, &root.key("accounts").key(name), cx, out);
        }
        owners::check(self, out);
        self.check_opt_out(&root.key("opt_out"), out);
        for (index, notify) in self.notify.iter().enumerate() {
            notify.check(&root.key("notify").index(index), cx, out);
        }
        for (index, peer) in self.test_recipients.iter().enumerate() {
            person(peer, &root.key("test_recipients").index(index), out);
        }
        if let Some(retention) = &self.retention {
            let at = root.key("retention");
            for (key, value) in [
                ("events", retention.events),
                ("conversations", retention.conversations),
                ("audiences", retention.audiences),
            ] {
                if let Some(value) = value {
                    duration_within(value, MIN_RETENTION, MAX_DURATION, &at.key(key), out);
                }
            }
        }
    }

    fn check_servers(&self, root: &Pointer, out: &mut Findings) {
        if let Some(ai) = &self.ai {
            let at = root.key("ai");
            if let Some(url) = &ai.base_url {
                is_http(url, &at.key("base_url"), out);
            }
            if ai.api_key.is_some() && ai.api_key_file.is_some() {
                out.error(
                    &at.key("api_key_file"),
                    codes::AI_KEY_TWICE,
                    "both `api_key` and `api_key_file` are given",
                )
                .at_key()
                .detail("Keep one of them.");
            }
            if let Some(timeout) = ai.timeout {
                duration_within(timeout, AI_TIMEOUT.0, AI_TIMEOUT.1, &at.key("timeout"), out);
            }
        }
        if let Some(web) = &self.web
            && let Some(listen) = web.listen
            && !listen.is_loopback()
            && web.token.as_ref().is_none_or(super::SecretString::is_empty)
        {
            out.error(
                &root.key("web").key("listen"),
                codes::PUBLIC_WITHOUT_TOKEN,
                format!("others can reach {listen}, and there is no token"),
            )
            .detail("Set `web.token`, or listen on 127.0.0.1.");
        }
        if let Some(web) = self.web.as_ref().filter(|web| web.is_weak())
            && let Some(listen) = web.listen
        {
            out.warning(
                // Not the token: what is marked is quoted.
                &root.key("web").key("listen"),
                codes::SHORT_TOKEN,
                format!(
                    "others can reach {listen}, and its token has fewer than {} characters",
                    super::LEAST_TOKEN
                ),
            )
            .detail("Whoever reaches the page can try tokens for as long as he likes: `openssl rand -hex 32` makes one that nobody guesses.");
        }
    }

    fn check_opt_out(&self, at: &Pointer, out: &mut Findings) {
        let Some(opt_out) = &self.opt_out else { return };
        for (index, keyword) in opt_out.keywords.iter().flatten().enumerate() {
            if !keyword.chars().any(char::is_alphanumeric) {
                out.error(&at.key("keywords").index(index), codes::EMPTY_TEXT, format!("{} has no letter or digit", quote(keyword)))
                    .detail("Punctuation and emoji are left aside when messages are compared: a word is expected.");
            }
        }
        for (key, text) in [("reply", &opt_out.reply), ("notice", &opt_out.notice)] {
            let Some(text) = text else { continue };
            let at = at.key(key);
            if !has_text(text) {
                out.error(&at, codes::EMPTY_TEXT, format!("`opt_out.{key}` is empty"))
                    .detail("Write a text, or take the key out.");
                continue;
            }
            match Template::compile(text, Format::Plain, &Names::default()) {
                Ok(template) if template.static_length_lower_bound() > MAX_TEXT_UNITS => {
                    out.error(
                        &at,
                        codes::TOO_LONG,
                        format!("`opt_out.{key}` is longer than Telegram takes"),
                    )
                    .detail(format!("At most {MAX_TEXT_UNITS} UTF-16 units."));
                }
                Ok(template) => {
                    template_warnings(template.warnings(), &TextPlace::Inline(at), out);
                }
                Err(problems) => template_problems(problems, &TextPlace::Inline(at), out),
            }
        }
    }
}

impl AccountSettings {
    fn check(&self, name: &str, at: &Pointer, cx: &CheckContext<'_>, out: &mut Findings) {
        if !is_account_name(name) {
            out.error(at, codes::INVALID_NAME, format!("{} cannot name an account", quote(name)))
                .at_key()
                .detail("It is the name of a session file: at most 63 Latin letters, digits, `.`, `_` and `-`, beginning with a letter or digit.");
        }
        if let Some(zone) = &self.timezone
            && let Err(problem) = Zone::parse(zone)
        {
            time_problem(problem, codes::BAD_TIMEZONE, &at.key("timezone"), out);
        }
        if let Some(proxy) = &self.proxy
            && !is_socks5(proxy.expose())
        {
            // The address may hold a password: it is not repeated.
            out.error(
                &at.key("proxy"),
                codes::BAD_PROXY,
                "this is no address of a SOCKS5 proxy",
            )
            .detail("`socks5://host:port` or `socks5://user:password@host:port` is expected.");
        }
        if let Some(role) = &self.ai_role {
            role.check(&at.key("ai_role"), &Names::default(), cx, out);
        }
        if let Some(sessions) = cx.sessions
            && is_account_name(name)
            && !sessions.iter().any(|session| session == name)
        {
            out.warning(
                at,
                codes::NO_SESSION,
                format!("the account {} has no session file", quote(name)),
            )
            .at_key()
            .detail(format!(
                "`tidings account login {name} --phone …` makes it."
            ));
        }
    }
}

/// Of either alphabet, with or without padding.
fn looks_base64(text: &str) -> bool {
    let digits = text.trim().trim_end_matches('=');
    !digits.is_empty()
        && digits.len() % 4 != 1
        && digits
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || b"+/-_".contains(&c))
}

impl Notify {
    fn check(&self, at: &Pointer, cx: &CheckContext<'_>, out: &mut Findings) {
        match (&self.webhook, &self.telegram) {
            (Some(_), Some(_)) => {
                out.error(
                    &at.key("telegram"),
                    codes::NOTIFY_TARGET,
                    "both `webhook` and `telegram` are given",
                )
                .at_key()
                .detail("Make two entries of it.");
            }
            (Some(webhook), None) => {
                // The address is often a secret: it is not repeated.
                if !looks_http(webhook.expose()) {
                    out.error(
                        &at.key("webhook"),
                        codes::BAD_URL,
                        "this is no http or https address",
                    )
                    .detail("An address such as `https://example.com/hook` is expected.");
                }
                if let Some(rest) = self
                    .secret
                    .as_ref()
                    .and_then(|s| s.expose().strip_prefix("whsec_"))
                    && !looks_base64(rest)
                {
                    out.error(
                        &at.key("secret"),
                        codes::NOTIFY_TARGET,
                        "the key begins with `whsec_`, and the rest is no base64",
                    )
                    .detail(
                        "`openssl rand -base64 32` makes one; or write any text without `whsec_`.",
                    );
                }
            }
            (None, Some(peer)) => {
                if let Some(via) = &self.via {
                    let known = cx.engine.accounts.contains_key(via)
                        || cx
                            .sessions
                            .is_none_or(|sessions| sessions.iter().any(|session| session == via));
                    if !known {
                        out.warning(
                            &at.key("via"),
                            codes::UNKNOWN_ACCOUNT,
                            format!("there is no account {}", quote(via)),
                        )
                        .detail("The name of a session file is expected.")
                        .did_you_mean(via, cx.engine.accounts.keys().map(String::as_str));
                    }
                } else {
                    out.error(
                        &at.key("telegram"),
                        codes::NOTIFY_TARGET,
                        format!("{peer} is told by no account"),
                    )
                    .detail("Name the account that sends it: `via: sales-1`.");
                }
            }
            // A webhook whose variable is unset is absent: nobody is told.
            (None, None) => {
                out.warning(at, codes::NOTIFY_TARGET, "this entry tells nobody")
                    .detail("Neither `webhook` nor `telegram` is there (a `${NAME}` that is unset counts as absent).");
            }
        }
    }
}

/// An error where a peer cannot be a person.
fn person(peer: &crate::spec::Peer, at: &Pointer, out: &mut Findings) {
    if !peer.can_be_person() {
        out.error(
            at,
            codes::NOT_A_PERSON,
            format!("{peer} cannot be a person"),
        )
        .detail("A person is expected: \"@name\", \"+phone\" or {id: 123}.");
    }
}

fn looks_http(url: &str) -> bool {
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        !host.is_empty() && !rest.chars().any(|c| c.is_whitespace() || c.is_control())
    })
}

fn is_http(url: &str, at: &Pointer, out: &mut Findings) {
    if !looks_http(url) {
        out.error(
            at,
            codes::BAD_URL,
            format!(
                "{} is no http or https address",
                quote(&masked(url, |_| "[secret]".to_owned()))
            ),
        )
        .detail("An address such as `https://api.openai.com/v1` is expected.");
    }
}

fn is_socks5(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("socks5://") else {
        return false;
    };
    let address = rest
        .rsplit_once('@')
        .map_or(rest, |(_, address)| address)
        .trim_end_matches('/');
    let Some((host, port)) = address.rsplit_once(':') else {
        return false;
    };
    let plain = !host.is_empty()
        && !host
            .chars()
            .any(|c| c.is_whitespace() || matches!(c, '/' | '@'));
    plain && port.parse::<u16>().is_ok_and(|port| port > 0)
}

#[cfg(test)]
mod tests;

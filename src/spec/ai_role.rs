//! `ai_role`: who answers, and how far he may go.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::{
    CheckContext, TemplateNames, TextPlace, duration_within, no_duplicates, read_text,
    template_problems, template_warnings,
};
use super::codes;
use super::diagnostic::{Findings, Pointer, quote};
use super::duration::{Duration, DurationRange};
use crate::text::{Format, Template};

/// The model where a spec names none (the contract's own example).
pub const DEFAULT_MODEL: &str = "gpt-4o-mini";
/// The pause before an answer where a spec names none (the contract's own example).
pub const DEFAULT_DELAY: DurationRange =
    DurationRange::new(Duration::from_secs(20), Duration::from_secs(120));
/// Answers to one person where a spec names no number (the contract's own example).
pub const DEFAULT_MAX_REPLIES: u32 = 6;
/// Tokens a day where a spec names no number (the contract's own example).
pub const DEFAULT_MAX_TOKENS_PER_DAY: u64 = 200_000;
/// What opens the first answer where a spec says nothing (CONTRACT section 2).
pub const DEFAULT_DISCLOSURE: &str = "I am an automated assistant.";
/// What the model learns of the person where a spec says nothing (CONTRACT section 2).
pub const DEFAULT_SHARE: Share = Share::FirstName;

/// Whether answers go out by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AiMode {
    /// By themselves.
    #[default]
    Auto,
    /// Each waits for `tidings replies approve`.
    Draft,
}

/// What the model may learn of the person besides the conversation.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Share {
    /// Telegram's own number.
    Id,
    /// The first name.
    FirstName,
    /// The last name.
    LastName,
    /// Both names.
    FullName,
    /// The public name.
    Username,
    /// The phone.
    Phone,
    /// Whether he has Telegram Premium.
    Premium,
    /// The other columns of the file that names him.
    Fields,
}

/// Answers to people of this campaign who write back.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AiRole {
    /// Who the assistant is and what it may say. Either this or `file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"You are Mia, who helps customers of our shop.", length(max = 100_000))]
    pub prompt: Option<String>,
    /// The file that holds the prompt, relative to the spec's own folder. Either this or `prompt`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"roles/mia.j2", length(min = 1, max = 1024))]
    pub file: Option<String>,
    /// The model's name at the AI server.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"gpt-4o-mini", length(min = 1, max = 200), extend("default" = DEFAULT_MODEL))]
    pub model: Option<String>,
    /// Whether answers go out by themselves: `auto` (default), or `draft`: each waits for `tidings replies approve`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"draft", extend("default" = "auto"))]
    pub mode: Option<AiMode>,
    /// The pause before an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"20s..120s", extend("default" = "20s..120s"))]
    pub delay: Option<DurationRange>,
    /// Answers to one person.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000), example = 6, extend("default" = DEFAULT_MAX_REPLIES))]
    pub max_replies: Option<u32>,
    /// Tokens of this campaign a day.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1), example = 200_000, extend("default" = DEFAULT_MAX_TOKENS_PER_DAY))]
    pub max_tokens_per_day: Option<u64>,
    /// Whole words that stop the AI for this person and flag him for a human.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = &["human", "price list"], length(max = 200), inner(length(min = 1, max = 200)))]
    pub handoff: Vec<String>,
    /// Opens the first answer; cannot be empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"I am an automated assistant.", length(max = 1000), extend("default" = DEFAULT_DISCLOSURE))]
    pub disclosure: Option<String>,
    /// What the model learns of the person besides the conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &["first_name"], extend("default" = ["first_name"]))]
    pub share: Option<Vec<Share>>,
    /// Hosts that an answer may link to; an answer with any other link becomes a draft.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = &["example.com"], length(max = 200), inner(length(min = 1, max = 253)))]
    pub allow_links: Vec<String>,
}

/// The longest pause before an answer that is no slip.
const MAX_DELAY: Duration = Duration::from_days(2);

impl AiRole {
    /// Checks who answers.
    pub(super) fn check(
        &self,
        at: &Pointer,
        names: &TemplateNames,
        cx: &CheckContext<'_>,
        out: &mut Findings,
    ) {
        match (&self.prompt, &self.file) {
            (None, None) => {
                out.error(at, codes::TEXT_OR_FILE, "the role has no prompt")
                    .detail("Give it either `prompt`, or `file` with the path of a prompt.");
            }
            (Some(_), Some(_)) => {
                out.error(
                    &at.key("file"),
                    codes::TEXT_OR_FILE,
                    "the role has both `prompt` and `file`",
                )
                .at_key()
                .detail("Keep one of them.");
            }
            (Some(prompt), None) => {
                check_prompt(prompt, &TextPlace::Inline(at.key("prompt")), names, out)
            }
            (None, Some(file)) => {
                let at = at.key("file");
                if let Some((path, text)) = read_text(file, &at, cx, out) {
                    check_prompt(
                        &text,
                        &TextPlace::File {
                            at,
                            path,
                            text: text.clone(),
                        },
                        names,
                        out,
                    );
                }
            }
        }
        if let Some(delay) = self.delay {
            duration_within(delay.max, Duration::ZERO, MAX_DELAY, &at.key("delay"), out);
        }
        if self
            .disclosure
            .as_deref()
            .is_some_and(|text| text.trim().is_empty())
        {
            out.error(&at.key("disclosure"), codes::DISCLOSURE_EMPTY, "the disclosure is empty")
                .detail("People are told that they talk to an assistant. Write how, or take the key out for the default text.")
                .suggestion(format!("\"{DEFAULT_DISCLOSURE}\""));
        }
        no_duplicates(
            self.handoff.iter().map(String::as_str),
            &at.key("handoff"),
            "word",
            out,
        );
        for (index, word) in self.handoff.iter().enumerate() {
            if word.trim().is_empty() {
                out.error(
                    &at.key("handoff").index(index),
                    codes::EMPTY_TEXT,
                    "this word is empty",
                )
                .detail("A word or phrase that stops the AI is expected.");
            }
        }
        for (index, host) in self.allow_links.iter().enumerate() {
            let fine = host.split('.').all(|label| {
                !label.is_empty()
                    && !label.starts_with('-')
                    && label.chars().all(|c| c.is_alphanumeric() || c == '-')
            });
            if !fine {
                let meant = host
                    .trim()
                    .trim_start_matches("https://")
                    .trim_start_matches("http://")
                    .trim_start_matches("*.")
                    .split(['/', '?', '#', ':'])
                    .next()
                    .unwrap_or_default()
                    .to_owned();
                let finding = out.error(
                    &at.key("allow_links").index(index),
                    codes::BAD_HOST,
                    format!("{} is no host name", quote(host)),
                );
                finding.detail("A host such as `example.com` is expected, without `https://` and path; its subdomains are allowed with it.");
                if !meant.is_empty() && meant != *host {
                    finding.suggestion(meant);
                }
            }
        }
    }
}

fn check_prompt(text: &str, place: &TextPlace, names: &TemplateNames, out: &mut Findings) {
    let at = match place {
        TextPlace::Inline(at) | TextPlace::File { at, .. } => at,
    };
    if text.trim().is_empty() {
        out.error(at, codes::EMPTY_TEXT, "the prompt is empty")
            .detail("Say who the assistant is and what it may say.");
        return;
    }
    match Template::compile(text, Format::Plain, names) {
        Ok(template) => template_warnings(template.warnings(), place, out),
        Err(problems) => template_problems(problems, place, out),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::table;

    #[test]
    fn roles_are_checked() {
        table(&[
            (
                "all of it",
                "ai_role: {prompt: You are Mia, model: gpt-4o-mini, mode: draft, delay: 20s..120s, max_replies: 6, max_tokens_per_day: 200000, handoff: [human], disclosure: I am a bot, share: [first_name, fields], allow_links: [example.com]}",
                &[],
            ),
            ("a file", "ai_role: {file: templates/t.j2}", &[]),
            (
                "neither prompt nor file",
                "ai_role: {mode: auto}",
                &["text-or-file: {mode: auto}"],
            ),
            (
                "both",
                "ai_role: {prompt: Hi, file: templates/t.j2}",
                &["text-or-file: file"],
            ),
            (
                "an empty prompt",
                "ai_role: {prompt: \"\"}",
                &["empty-text: \"\""],
            ),
            (
                "a misspelt variable",
                "ai_role: {prompt: \"{{ campain.name }}\"}",
                &["unknown-variable: campain"],
            ),
            (
                "no disclosure",
                "ai_role: {prompt: Hi, disclosure: \"\"}",
                &["disclosure-empty: \"\""],
            ),
            (
                "a whole link",
                "ai_role: {prompt: Hi, allow_links: [\"https://example.com/x\"]}",
                &["bad-host: \"https://example.com/x\""],
            ),
            (
                "an unknown mode",
                "ai_role: {prompt: Hi, mode: manual}",
                &["unknown-value: manual"],
            ),
            (
                "sharing what there is not",
                "ai_role: {prompt: Hi, share: [surname]}",
                &["unknown-value: surname"],
            ),
            (
                "an answer in a week",
                "ai_role: {prompt: Hi, delay: 7d}",
                &["out-of-range: 7d"],
            ),
            (
                "no tokens",
                "ai_role: {prompt: Hi, max_tokens_per_day: 0}",
                &["out-of-range: 0"],
            ),
        ]);
    }
}

//! `templates`: what is said, in one or several variants.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::{
    CheckContext, MAX_MEDIA_FILE, TemplateNames, TextPlace, check_file, read_text,
    template_problems, template_warnings,
};
use super::codes;
use super::diagnostic::{Findings, Pointer, quote};
use crate::text::{ComposeError, Format, Template};

/// The share of a variant where none is written.
pub const DEFAULT_WEIGHT: u32 = 1;

/// The markup of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TextFormat {
    /// No markup.
    #[default]
    Plain,
    /// Bold, italic, strike, `code`, links; line breaks stay as written.
    Markdown,
    /// Telegram's tags; another tag is an error.
    Html,
}

/// One variant of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
// Required keys have a serde default: the schema says what is missing, and the other checks still run.
#[schemars(extend("required" = ["name"]))]
pub struct TemplateSpec {
    /// The variant's name in the report; unique in its list.
    #[schemars(example = &"short", length(min = 1, max = 63))]
    #[serde(default)]
    pub name: String,
    /// Its share among the variants of its list; 1 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1_000_000), example = 2, extend("default" = 1))]
    pub weight: Option<u32>,
    /// The markup: `plain` (default), `markdown` or `html`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"markdown", extend("default" = "plain"))]
    pub format: Option<TextFormat>,
    /// The text, a minijinja template. Either this or `file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"Hi {{ contact.first_name | default('there') }}!")]
    pub text: Option<String>,
    /// The file that holds the text, relative to the spec's own folder. Either this or `text`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"templates/long.j2", length(min = 1, max = 1024))]
    pub file: Option<String>,
    /// A photo, video or document that is sent with the text, relative to the spec's own folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"media/banner.png", length(min = 1, max = 1024))]
    pub media: Option<String>,
    /// Whether Telegram shows a preview of the first link; true where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = false, extend("default" = true))]
    pub link_preview: Option<bool>,
}

impl TemplateSpec {
    /// Its share among the variants of its list.
    pub fn weight(&self) -> u32 {
        self.weight.unwrap_or(DEFAULT_WEIGHT)
    }

    /// The markup of its text.
    pub fn format(&self) -> TextFormat {
        self.format.unwrap_or_default()
    }

    /// Whether Telegram shows a preview of the first link.
    pub fn link_preview(&self) -> bool {
        self.link_preview.unwrap_or(true)
    }
}

impl From<TextFormat> for Format {
    fn from(format: TextFormat) -> Self {
        match format {
            TextFormat::Plain => Self::Plain,
            TextFormat::Markdown => Self::Markdown,
            TextFormat::Html => Self::Html,
        }
    }
}

/// What the templates of one list have to keep to.
#[derive(Clone, Copy)]
pub(super) struct TemplateRules<'a> {
    /// The names that may stand in them.
    pub(super) names: &'a TemplateNames,
    /// Whether there is an `invite_link`.
    pub(super) invite: bool,
    /// Whether they are what a person gets first: of an invite by link it must hold the link.
    pub(super) first: bool,
    /// Words of which one must stand in each text (`attested` without a notice); empty: none must.
    pub(super) must_hold_one_of: &'a [String],
}

/// Checks a list of variants.
pub(super) fn check(
    templates: &[TemplateSpec],
    at: &Pointer,
    rules: TemplateRules<'_>,
    cx: &CheckContext<'_>,
    out: &mut Findings,
) {
    for (index, template) in templates.iter().enumerate() {
        let place = at.index(index);
        if templates[..index]
            .iter()
            .any(|other| other.name == template.name)
        {
            out.error(
                &place.key("name"),
                codes::DUPLICATE_TEMPLATE,
                format!("the template name {} stands twice", quote(&template.name)),
            )
            .detail("The report counts by name: each variant of a list needs its own.");
        }
        template.check(&place, rules, cx, out);
    }
}

impl TemplateSpec {
    fn check(
        &self,
        at: &Pointer,
        rules: TemplateRules<'_>,
        cx: &CheckContext<'_>,
        out: &mut Findings,
    ) {
        if self.weight == Some(0) {
            out.error(
                &at.key("weight"),
                codes::WEIGHT_ZERO,
                "a weight of 0 is given to nobody",
            )
            .detail("A whole number above 0 is expected; take the variant out to stop it.");
        }
        if self.name.trim().is_empty() || self.name.chars().any(char::is_control) {
            out.error(
                &at.key("name"),
                codes::INVALID_NAME,
                format!("{} is no name", quote(&self.name)),
            )
            .detail("A visible name of one line is expected; the report shows it.");
        }
        if let Some(media) = &self.media {
            check_file(media, MAX_MEDIA_FILE, &at.key("media"), cx, out);
        }
        match (&self.text, &self.file) {
            (None, None) if self.media.is_some() => {}
            (None, None) => {
                out.error(
                    at,
                    codes::TEXT_OR_FILE,
                    format!("the template {} has no text", quote(&self.name)),
                )
                .detail("Give it either `text`, or `file` with the path of a text.");
            }
            (Some(_), Some(_)) => {
                out.error(
                    &at.key("file"),
                    codes::TEXT_OR_FILE,
                    format!(
                        "the template {} has both `text` and `file`",
                        quote(&self.name)
                    ),
                )
                .at_key()
                .detail("Keep one of them.");
            }
            (Some(text), None) => {
                self.check_text(text, &TextPlace::Inline(at.key("text")), rules, out);
            }
            (None, Some(file)) => {
                let at = at.key("file");
                if let Some((path, text)) = read_text(file, &at, cx, out) {
                    let place = TextPlace::File {
                        at,
                        path,
                        text: text.clone(),
                    };
                    self.check_text(&text, &place, rules, out);
                }
            }
        }
    }

    fn check_text(
        &self,
        text: &str,
        place: &TextPlace,
        rules: TemplateRules<'_>,
        out: &mut Findings,
    ) {
        let at = match place {
            TextPlace::Inline(at) | TextPlace::File { at, .. } => at,
        };
        if text.trim().is_empty() {
            if self.media.is_none() {
                out.error(
                    at,
                    codes::EMPTY_TEXT,
                    format!("the text of the template {} is empty", quote(&self.name)),
                )
                .detail("Telegram takes no empty message. Write a text, or name `media`.");
            }
            return;
        }
        let template = match Template::compile(text, self.format().into(), rules.names) {
            Ok(template) => template,
            Err(problems) => return template_problems(problems, place, out),
        };
        template_warnings(template.warnings(), place, out);
        match template.static_problem(self.media.is_some()) {
            Some(ComposeError::TooLong { units, limit }) => {
                let what = if self.media.is_some() {
                    "a message with media"
                } else {
                    "a message"
                };
                out.error(
                    at,
                    codes::TOO_LONG,
                    format!(
                        "the text of the template {} has at least {units} UTF-16 units",
                        quote(&self.name)
                    ),
                )
                .detail(format!(
                    "Telegram takes at most {limit} in {what}. Nothing is cut: shorten it."
                ));
            }
            Some(ComposeError::Empty) => {
                out.error(
                    at,
                    codes::EMPTY_TEXT,
                    format!(
                        "the text of the template {} is empty for everybody",
                        quote(&self.name)
                    ),
                )
                .detail("Telegram takes no empty message. Write a text, or name `media`.");
            }
            Some(ComposeError::TemplateError(why)) => {
                out.error(
                    at,
                    codes::TEMPLATE_ERROR,
                    format!("the template {} fails for everybody", quote(&self.name)),
                )
                .detail(why);
            }
            None => {}
        }
        let uses_link = template.uses().contains("invite_link");
        if uses_link && !rules.invite {
            out.error(
                at,
                codes::INVITE_LINK,
                "`invite_link` is there only in a campaign of kind `invite` by `link`",
            )
            .detail("Here it is undefined, and printing it would fail everybody. Take it out.");
        } else if !uses_link && rules.invite && rules.first {
            out.warning(
                at,
                codes::INVITE_LINK,
                "the text of an invite holds no `{{ invite_link }}`",
            )
            .detail("Whoever gets it has no link to follow.");
        }
        let lower = text.to_lowercase();
        if !rules.must_hold_one_of.is_empty()
            && !rules
                .must_hold_one_of
                .iter()
                .any(|word| lower.contains(&word.to_lowercase()))
        {
            out.error(
                at,
                codes::OPT_OUT_MISSING,
                format!("the template {} does not say how to opt out", quote(&self.name)),
            )
            .detail(format!(
                "On the basis `attested` the first message must: write one of the words that opt out ({}) into it, or set `opt_out.notice` in tidings.yaml.",
                rules.must_hold_one_of.join(", ")
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{diagnose_with, table};

    #[test]
    fn templates_are_checked() {
        table(&[
            (
                "a text",
                "templates: [{name: t, text: \"Hi {{ contact.first_name | default('there') }}\", format: markdown, weight: 2, link_preview: false}]",
                &[],
            ),
            (
                "a file",
                "templates: [{name: t, file: templates/t.j2, media: media/banner.png}]",
                &[],
            ),
            (
                "media alone",
                "templates: [{name: t, media: media/banner.png}]",
                &[],
            ),
            (
                "a column compared with a number",
                "sources: [{type: file, path: people.csv}]\ntemplates: [{name: t, text: \"Hi{% if contact.fields.city > 3 %}!{% endif %}\"}]",
                &["warning text-compared-with-number: contact.fields.city"],
            ),
            (
                "the same in a file",
                "templates: [{name: t, file: templates/number.j2}]",
                &["warning text-compared-with-number: campaigns/templates/number.j2:2:9"],
            ),
            ("no templates", "templates: []", &["missing-key: []"]),
            ("no name", "templates: [{text: Hi}]", &["missing-key: text"]),
            (
                "a blank name",
                "templates: [{name: \" \", text: Hi}]",
                &["invalid-name: \" \""],
            ),
            (
                "neither text nor file",
                "templates: [{name: t}]",
                &["text-or-file: {name: t}"],
            ),
            (
                "both",
                "templates: [{name: t, text: Hi, file: templates/t.j2}]",
                &["text-or-file: file"],
            ),
            (
                "an empty text",
                "templates: [{name: t, text: \" \"}]",
                &["empty-text: \" \""],
            ),
            (
                "a name twice",
                "templates: [{name: t, text: Hi}, {name: t, text: Ho}]",
                &["duplicate-template: t"],
            ),
            (
                "a weight of nothing",
                "templates: [{name: t, text: Hi, weight: 0}]",
                &["weight-zero: 0"],
            ),
            (
                "half a weight",
                "templates: [{name: t, text: Hi, weight: 0.5}]",
                &["wrong-type: 0.5"],
            ),
            (
                "an unknown format",
                "templates: [{name: t, text: Hi, format: mardown}]",
                &["unknown-value: mardown"],
            ),
            (
                "a misspelt variable",
                "templates: [{name: t, text: \"Hi {{ contact.frist_name }}\"}]",
                &["unknown-attribute: frist_name"],
            ),
            (
                "an unknown filter",
                "templates: [{name: t, text: \"{{ contact.id | uper }}\"}]",
                &["unknown-filter: uper"],
            ),
            (
                "an unknown tag",
                "templates: [{name: t, format: html, text: \"<blink>Hi</blink>\"}]",
                &["markup: <blink", "markup: </blink"],
            ),
            (
                "a link in a mailing",
                "templates: [{name: t, text: \"{{ invite_link }}\"}]",
                &["invite-link: \"{{ invite_link }}\""],
            ),
            (
                "a file that is not there",
                "templates: [{name: t, file: templates/x.j2}]",
                &["missing-file: templates/x.j2"],
            ),
            (
                "a file in another encoding",
                "templates: [{name: t, file: templates/latin.j2}]",
                &["invalid-encoding: templates/latin.j2"],
            ),
            (
                "a file without end",
                "templates: [{name: t, file: templates/huge.j2}]",
                &["too-large: templates/huge.j2"],
            ),
            (
                "a mistake in a file",
                "templates: [{name: t, file: templates/bad.j2}]",
                &["unknown-attribute: campaigns/templates/bad.j2:2:14"],
            ),
            (
                "media that is not there",
                "templates: [{name: t, text: Hi, media: media/x.png}]",
                &["missing-file: media/x.png"],
            ),
            (
                "empty media",
                "templates: [{name: t, text: Hi, media: media/empty.png}]",
                &["empty-text: media/empty.png"],
            ),
        ]);
    }

    #[test]
    fn a_text_is_measured_after_formatting_and_by_utf_16() {
        for (what, text, media, expected) in [
            ("just fits", "x".repeat(4096), false, None),
            ("one too many", "x".repeat(4097), false, Some("too-long")),
            (
                "emoji count twice",
                "😀".repeat(2049),
                false,
                Some("too-long"),
            ),
            ("with media", "x".repeat(1025), true, Some("too-long")),
            ("with media, fits", "x".repeat(1024), true, None),
        ] {
            let media = if media {
                ", media: media/banner.png"
            } else {
                ""
            };
            let parts = format!("templates: [{{name: t, text: \"{text}\"{media}}}]");
            let found = diagnose_with(&parts, "");
            assert_eq!(found.first().map(|d| d.code.as_str()), expected, "{what}");
        }
    }
}

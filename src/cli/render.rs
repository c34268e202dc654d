//! `tidings render`: every variant of every step, as one person would get it.

mod bubble;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use super::test::judge;
use super::{CONFIG, DONE, Ended, FAILED, Failure, Global, output};
use crate::desired::{Desired, DesiredCampaign, History, ResolvedCampaign, Variant};
use crate::model::{Command, Contact, EntityKind, Exclusion, Formatted, PersonId};
use crate::plan::rehearse;
use crate::spec::TestContact;
use crate::spec::diagnostic::no_such;
use crate::text::{ComposeError, Format, limit_units};

/// `tidings render`
#[derive(Debug, Args)]
pub struct RenderArgs {
    /// The campaign
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The person: as JSON, such as '{"id": 1, "first_name": "Anna", "fields": {"city": "Kazan"}}', offline; or as
    /// @username, id:123 or +15550100, from the state
    #[arg(long, value_name = "JSON|PERSON")]
    pub contact: String,
    /// The form
    #[arg(short, long, value_name = "FORM", default_value = "text")]
    pub output: Form,
}

/// The form of texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// For people
    #[value(alias = "table")]
    Text,
    /// For programs
    Json,
}

/// `render -o json`
#[derive(Debug, Serialize)]
pub(super) struct Rendered {
    format_version: &'static str,
    campaign: String,
    /// As whom it was made; offline the first account, under its own name.
    account: Option<String>,
    contact: Contact,
    /// Why he would not be in the audience.
    excluded: Option<Exclusion>,
    texts: Vec<Text>,
}

/// One variant's text.
#[derive(Debug, Serialize)]
pub(super) struct Text {
    /// 0 is the first message, 1 the first follow-up.
    step: u16,
    /// After the step before, of a follow-up.
    after: Option<String>,
    variant: String,
    weight: u32,
    format: &'static str,
    /// Whether it is the one that this person gets; absent where no `id` says who he is.
    chosen: Option<bool>,
    /// The text without its markup.
    text: Option<String>,
    /// Its length as Telegram counts.
    units: Option<usize>,
    /// What Telegram takes.
    limit: usize,
    /// Formatted parts.
    entities: Vec<Part>,
    /// A file that goes with it.
    media: Option<String>,
    link_preview: bool,
    /// Why there is no text.
    error: Option<String>,
    #[serde(skip)]
    formatted: Option<Formatted>,
}

/// A formatted part, in the Bot API's names (core.telegram.org/bots/api#messageentity).
#[derive(Debug, Serialize)]
struct Part {
    #[serde(rename = "type")]
    kind: &'static str,
    /// In UTF-16 units.
    offset: usize,
    /// In UTF-16 units.
    length: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

/// What the state knows of a person.
#[derive(Debug, Deserialize)]
struct Known {
    contact: Contact,
    excluded: Option<Exclusion>,
}

pub(super) fn run(global: &Global, args: &RenderArgs) -> Ended {
    let given = args.contact.trim();
    let offline = if given.starts_with('{') {
        Some(contact(given)?)
    } else {
        None
    };
    let workspace = global.workspace()?;
    let resolution = workspace.resolve(&History::default(), None);
    let (campaign, spec) = valid(&resolution.desired, &args.name)?;
    if spec.variants.is_empty() {
        return Err(Failure::new(format!(
            "`{}` says nothing: `kind: {}` without templates",
            args.name, spec.kind
        )));
    }
    let (contact, excluded) = match offline {
        Some(made_up) => {
            let actor = judge::actor(&made_up);
            let excluded =
                rehearse::exclusion(&resolution.desired, &campaign.name, &actor, output::now());
            (actor.contact, excluded)
        }
        None => {
            let command = Command::Contact {
                name: campaign.name.clone(),
                person: given.to_owned(),
            };
            let known: Known = super::read_back(super::document(&workspace, command)?)?;
            (known.contact, known.excluded)
        }
    };
    let rendered = render(&resolution.desired, campaign, spec, contact, excluded);
    let failed = rendered
        .texts
        .iter()
        .any(|text| text.error.is_some() && text.chosen != Some(false));
    match args.output {
        Form::Json => output::json(&rendered)?,
        Form::Text => output::prose(&bubble::page(&rendered, &output::look(false)))?,
    }
    Ok(if failed { FAILED } else { DONE })
}

/// The campaign of this name, or the one whose spec says that it was called so before.
pub(super) fn called<'a>(desired: &'a Desired, name: &str) -> Option<&'a DesiredCampaign> {
    let was = |campaign: &&DesiredCampaign| *campaign.lineage == *name;
    let campaigns = &desired.campaigns;
    campaigns.get(name).or_else(|| campaigns.values().find(was))
}

/// The campaign of this name, which must be valid.
pub(super) fn valid<'a>(
    desired: &'a Desired,
    name: &str,
) -> Result<(&'a DesiredCampaign, &'a ResolvedCampaign), Failure> {
    let Some(campaign) = called(desired, name) else {
        return Err(Failure::usage(no_such(
            "campaign",
            name,
            desired.campaigns.keys().map(String::as_str),
        )));
    };
    let Some(spec) = &campaign.spec else {
        let first = campaign
            .diagnostics
            .iter()
            .find(|d| d.is_error())
            .map(ToString::to_string)
            .unwrap_or_default();
        return Err(Failure {
            code: CONFIG,
            message: format!("`{name}` is invalid: {first}"),
        });
    };
    Ok((campaign, spec))
}

/// Reads the person strictly: a misspelt key would quietly be a name that he lacks.
fn contact(text: &str) -> Result<TestContact, Failure> {
    serde_json::from_str(text)
        .map_err(|error| Failure::usage(format!("--contact is no JSON of a person: {error}")))
}

fn render(
    desired: &Desired,
    campaign: &DesiredCampaign,
    spec: &ResolvedCampaign,
    contact: Contact,
    excluded: Option<Exclusion>,
) -> Rendered {
    let account = rehearse::stand_in(spec);
    let now = output::now();
    let mut texts = Vec::new();
    for step in 0..=u16::try_from(spec.follow_ups.len()).unwrap_or(u16::MAX - 1) {
        let variants = rehearse::variants(spec, step);
        let chosen = contact
            .id
            .and_then(|id| rehearse::chosen(spec, &campaign.lineage, PersonId(id), step));
        let after = usize::from(step)
            .checked_sub(1)
            .and_then(|index| spec.spec.follow_ups.get(index))
            .map(|step| step.after.to_string());
        for variant in variants {
            let made = rehearse::text(desired, spec, step, variant, &contact, account, now);
            texts.push(Text {
                step,
                after: after.clone(),
                chosen: chosen.map(|chosen| chosen == &*variant.name),
                ..text(variant, made)
            });
        }
    }
    Rendered {
        format_version: crate::status::FORMAT_VERSION,
        campaign: spec.name.clone(),
        account: account.map(|account| account.name.to_owned()),
        contact,
        excluded,
        texts,
    }
}

fn text(variant: &Variant, made: Result<Formatted, ComposeError>) -> Text {
    let (formatted, error) = match made {
        Ok(text) => (Some(text), None),
        Err(error) => (None, Some(error.to_string())),
    };
    Text {
        step: 0,
        after: None,
        variant: variant.name.to_string(),
        weight: variant.weight,
        format: match variant.template.format() {
            Format::Plain => "plain",
            Format::Markdown => "markdown",
            Format::Html => "html",
        },
        chosen: None,
        text: formatted.as_ref().map(|text| text.text.clone()),
        units: formatted.as_ref().map(Formatted::units),
        limit: limit_units(variant.media.is_some()),
        entities: formatted
            .iter()
            .flat_map(|text| &text.entities)
            .map(|entity| Part {
                kind: kind_name(&entity.kind),
                offset: entity.offset,
                length: entity.length,
                url: match &entity.kind {
                    EntityKind::TextUrl { url } => Some(url.clone()),
                    _ => None,
                },
            })
            .collect(),
        media: variant.media.as_ref().map(|media| media.path.clone()),
        link_preview: variant.link_preview,
        error,
        formatted,
    }
}

/// The Bot API's name of a look.
fn kind_name(kind: &EntityKind) -> &'static str {
    match kind {
        EntityKind::Blockquote { collapsed: false } => "blockquote",
        EntityKind::Blockquote { collapsed: true } => "expandable_blockquote",
        EntityKind::TextUrl { .. } => "text_link",
        EntityKind::Bold => "bold",
        EntityKind::Italic => "italic",
        EntityKind::Underline => "underline",
        EntityKind::Strike => "strikethrough",
        EntityKind::Spoiler => "spoiler",
        EntityKind::Code => "code",
        EntityKind::Pre { .. } => "pre",
        EntityKind::CustomEmoji { .. } => "custom_emoji",
    }
}

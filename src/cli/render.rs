//! `tidings render`

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::{CONFIG, DONE, Ended, FAILED, Failure, Global, output};
use crate::desired::{DesiredCampaign, Engine, History, ResolvedCampaign};
use crate::model::{Contact, PersonId};
use crate::spec::TestContact;
use crate::status::plain;
use crate::text::{AccountFacts, CampaignFacts, Context, compose, variant_index};

/// `tidings render`
#[derive(Debug, Args)]
pub struct RenderArgs {
    /// The campaign
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The person as JSON, such as '{"id": 1, "first_name": "Anna", "fields": {"city": "Kazan"}}'
    #[arg(long, value_name = "JSON")]
    pub contact: String,
    /// The form
    #[arg(short, long, value_name = "FORM", default_value = "text")]
    pub output: Form,
}

/// The form of texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// For people
    Text,
    /// For programs
    Json,
}

/// `render -o json`
#[derive(Debug, Serialize)]
struct Rendered {
    format_version: &'static str,
    campaign: String,
    texts: Vec<Text>,
}

/// One variant's text.
#[derive(Debug, Serialize)]
struct Text {
    variant: String,
    weight: u32,
    /// Whether it is the one that this person gets; absent where no `id` says who he is.
    chosen: Option<bool>,
    /// The text without its markup.
    text: Option<String>,
    /// Its length as Telegram counts.
    units: Option<usize>,
    /// Formatted parts.
    entities: usize,
    /// A file that goes with it.
    media: Option<String>,
    /// Why there is no text.
    error: Option<String>,
}

pub(super) fn run(global: &Global, args: &RenderArgs) -> Ended {
    if args.contact.trim_start().starts_with('@') {
        return Err(Failure::new(
            "`render --contact @username` is not active in this version yet; give the person as JSON.",
        ));
    }
    let contact = contact(&args.contact)?;
    let workspace = global.workspace()?;
    let resolution = workspace.resolve(&History::default(), None);
    let Some(campaign) = resolution.desired.campaigns.get(&args.name) else {
        let hint = crate::spec::diagnostic::did_you_mean(
            &args.name,
            resolution.desired.campaigns.keys().map(String::as_str),
        );
        let hint = hint
            .map(|hint| format!(" Did you mean `{hint}`?"))
            .unwrap_or_default();
        return Err(Failure::usage(format!(
            "there is no campaign `{}`.{hint}",
            args.name
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
            message: format!("`{}` is invalid: {first}", args.name),
        });
    };
    if spec.variants.is_empty() {
        return Err(Failure::new(format!(
            "`{}` says nothing: `kind: {}` without templates",
            args.name, spec.kind
        )));
    }
    let rendered = render(&resolution.desired.engine, campaign, spec, &contact);
    let failed = rendered
        .texts
        .iter()
        .any(|text| text.error.is_some() && text.chosen != Some(false));
    match args.output {
        Form::Json => output::json(&rendered)?,
        Form::Text => output::text(&as_text(&rendered))?,
    }
    Ok(if failed { FAILED } else { DONE })
}

/// Reads the person strictly: a misspelt key would quietly be a name that he lacks.
fn contact(text: &str) -> Result<Contact, Failure> {
    let given: TestContact = serde_json::from_str(text)
        .map_err(|error| Failure::usage(format!("--contact is no JSON of a person: {error}")))?;
    Ok(Contact {
        id: given.id,
        first_name: given.first_name,
        last_name: given.last_name,
        username: given
            .username
            .map(|name| name.trim_start_matches('@').to_owned()),
        phone: given
            .phone
            .map(|phone| phone.trim_start_matches('+').to_owned()),
        premium: given.premium,
        fields: given.fields,
    })
}

fn render(
    engine: &Engine,
    campaign: &DesiredCampaign,
    spec: &ResolvedCampaign,
    contact: &Contact,
) -> Rendered {
    let facts = CampaignFacts {
        name: spec.name.clone(),
        title: spec.spec.title.clone(),
        labels: spec.spec.labels.clone(),
        run: 1,
    };
    let account = spec.accounts.first().map(|name| AccountFacts {
        name: name.to_string(),
        first_name: None,
        username: None,
    });
    let weights: Vec<u32> = spec.variants.iter().map(|variant| variant.weight).collect();
    let chosen = contact
        .id
        .map(|id| variant_index(&campaign.lineage, &PersonId(id).0.to_le_bytes(), &weights));
    let context = Context {
        contact,
        campaign: &facts,
        account: account.as_ref(),
        now: output::now(),
        zone: spec.schedule.zone,
        step: 0,
        invite_link: None,
    };
    let texts = spec
        .variants
        .iter()
        .enumerate()
        .map(|(index, variant)| {
            let made = compose(
                &variant.template,
                engine.opt_out.notice.as_ref(),
                variant.media.is_some(),
                &context,
            );
            let (text, error) = match made {
                Ok(text) => (Some(text), None),
                Err(error) => (None, Some(error.to_string())),
            };
            Text {
                variant: variant.name.clone(),
                weight: variant.weight,
                chosen: chosen.map(|chosen| chosen == index),
                units: text.as_ref().map(crate::model::Formatted::units),
                entities: text.as_ref().map_or(0, |text| text.entities.len()),
                text: text.map(|text| text.text),
                media: variant.media.as_ref().map(|media| media.path.clone()),
                error,
            }
        })
        .collect();
    Rendered {
        format_version: crate::status::FORMAT_VERSION,
        campaign: spec.name.clone(),
        texts,
    }
}

fn as_text(rendered: &Rendered) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for text in &rendered.texts {
        let who = match text.chosen {
            Some(true) => ", the one for this person",
            _ => "",
        };
        let _ = write!(
            out,
            "── {} (weight {}{who}",
            plain(&text.variant),
            text.weight
        );
        if let Some(units) = text.units {
            let _ = write!(out, ", {units} UTF-16 units");
        }
        if let Some(media) = &text.media {
            let _ = write!(out, ", with {}", plain(media));
        }
        out.push_str(")\n");
        match (&text.text, &text.error) {
            (Some(body), _) => {
                for line in body.lines() {
                    let _ = writeln!(out, "{}", plain(line));
                }
            }
            (None, error) => {
                let _ = writeln!(
                    out,
                    "no text: {}",
                    plain(error.as_deref().unwrap_or_default())
                );
            }
        }
        out.push('\n');
    }
    out
}

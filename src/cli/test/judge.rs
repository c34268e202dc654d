//! What comes of one made-up person, held against what was expected.

use super::Miss;
use crate::desired::{Desired, ResolvedCampaign, Variant};
use crate::model::{Contact, Timestamp};
use crate::plan::rehearse::{self, Actor};
use crate::spec::{SpecTest, TestContact};
use crate::text::ComposeError;
use crate::time::WallClock;

/// The moment of a test that names none: 2026-01-01T12:00:00Z, a Thursday.
const NOON: Timestamp = Timestamp(1_767_268_800_000);

/// The made-up person of a spec.
pub(in crate::cli) fn actor(given: &TestContact) -> Actor {
    Actor {
        contact: contact(given),
        bot: given.bot == Some(true),
        deleted: given.deleted == Some(true),
        admin: given.admin == Some(true),
        seen: (given.last_seen_hidden != Some(true)).then(|| {
            given
                .last_seen
                .map_or(std::time::Duration::ZERO, crate::spec::Duration::to_std)
        }),
        contacted: given.contacted.map(crate::spec::Duration::to_std),
        found_in: given.found_in.clone(),
    }
}

/// What templates see of him.
pub(in crate::cli) fn contact(given: &TestContact) -> Contact {
    Contact {
        id: given.id,
        first_name: given.first_name.clone(),
        last_name: given.last_name.clone(),
        username: given
            .username
            .as_deref()
            .map(|name| name.trim_start_matches('@').to_owned()),
        phone: given
            .phone
            .as_deref()
            .map(|phone| phone.chars().filter(char::is_ascii_digit).collect()),
        premium: given.premium,
        fields: given.fields.clone(),
    }
}

/// Everything that came out another way; empty where the test passes.
pub(super) fn judge(desired: &Desired, spec: &ResolvedCampaign, test: &SpecTest) -> Vec<Miss> {
    let now = test
        .now
        .as_deref()
        .and_then(|text| WallClock::parse(text).ok())
        .map_or(NOON, |clock| clock.resolve(spec.schedule.zone));
    let actor = actor(&test.contact);
    let expect = &test.expect;
    let mut misses = Vec::new();
    let excluded = rehearse::exclusion(desired, &spec.name, &actor, now);
    let came = excluded.map_or_else(
        || "he is included".to_owned(),
        |reason| format!("he is excluded as `{reason}`: {}", reason.meaning()),
    );
    let miss = |expectation, message| Miss {
        expectation,
        variant: None,
        message,
        expected: None,
        actual: None,
    };
    match expect.included {
        Some(true) if excluded.is_some() => {
            misses.push(miss("included", format!("expected to be included; {came}")))
        }
        Some(false) if excluded.is_none() && expect.excluded.is_none() => {
            misses.push(miss("included", format!("expected to be excluded; {came}")))
        }
        _ => {}
    }
    if let Some(reason) = &expect.excluded
        && excluded.is_none_or(|came| came.name() != reason)
    {
        misses.push(miss(
            "excluded",
            format!("expected to be excluded as `{reason}`; {came}"),
        ));
    }
    if !expect.asks_for_text() {
        return misses;
    }
    if excluded.is_some() {
        if misses.is_empty() {
            misses.push(miss("text", format!("expected to get a text; {came}")));
        }
        return misses;
    }
    let step = expect.step();
    let variants: Vec<&Variant> = rehearse::variants(spec, step)
        .iter()
        .filter(|variant| {
            expect
                .variant
                .as_ref()
                .is_none_or(|name| **name == *variant.name)
        })
        .collect();
    if variants.is_empty() {
        misses.push(miss(
            "text",
            format!("a campaign of kind `{}` says nothing here", spec.kind),
        ));
    }
    let account = rehearse::stand_in(spec);
    for variant in variants {
        let composed = rehearse::text(desired, spec, step, variant, &actor.contact, account, now)
            .map(|text| text.text);
        misses.extend(text(test, variant, composed));
    }
    misses
}

fn text(test: &SpecTest, variant: &Variant, composed: Result<String, ComposeError>) -> Vec<Miss> {
    let expect = &test.expect;
    let miss = |expectation, message| Miss {
        expectation,
        variant: Some(variant.name.to_string()),
        message,
        expected: None,
        actual: None,
    };
    let text = match (composed, expect.outcome.as_deref()) {
        (Err(error), Some(wanted)) => {
            let outcome = outcome(&error);
            if outcome == wanted {
                return Vec::new();
            }
            return vec![miss(
                "outcome",
                format!("expected the outcome `{wanted}`; it is `{outcome}`: {error}"),
            )];
        }
        (Err(error), None) => {
            return vec![miss(
                "text",
                format!("he gets no text: `{}`: {error}", outcome(&error)),
            )];
        }
        (Ok(text), Some(wanted)) => {
            return vec![Miss {
                actual: Some(text),
                ..miss(
                    "outcome",
                    format!("expected the outcome `{wanted}`; he gets a text"),
                )
            }];
        }
        (Ok(text), None) => text,
    };
    let mut misses = Vec::new();
    if let Some(whole) = &expect.text
        && whole.trim() != text.trim()
    {
        misses.push(Miss {
            expected: Some(whole.trim().to_owned()),
            actual: Some(text.clone()),
            ..miss("text", "the text is another".to_owned())
        });
    }
    for part in expect
        .text_contains
        .iter()
        .filter(|part| !text.contains(part.as_str()))
    {
        misses.push(Miss {
            expected: Some(part.clone()),
            actual: Some(text.clone()),
            ..miss("text_contains", format!("the text lacks {part:?}"))
        });
    }
    for part in expect
        .text_not_contains
        .iter()
        .filter(|part| text.contains(part.as_str()))
    {
        misses.push(Miss {
            expected: Some(part.clone()),
            actual: Some(text.clone()),
            ..miss("text_not_contains", format!("the text holds {part:?}"))
        });
    }
    misses
}

fn outcome(error: &ComposeError) -> &'static str {
    match error {
        ComposeError::TooLong { .. } => "too_long",
        ComposeError::TemplateError(_) | ComposeError::Empty => "template_error",
    }
}

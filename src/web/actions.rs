//! What a person may do from the page: the same commands as in the terminal.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::routes::{Inner, problem, replied};
use super::server::Shared;
use crate::model::Command;
use crate::status::plain;

/// The longest reason and name: they stand in one line of a table, as in the terminal.
const MAX_REASON: usize = 500;
const MAX_NAME: usize = 60;

/// What comes with an action.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Body {
    /// Why.
    reason: String,
    /// Who asks, in his own words.
    by: String,
    /// For an approval: the digest that was shown.
    digest: String,
    /// For an approval: the number of people that was shown.
    people: u64,
}

type Read = Result<Json<Body>, JsonRejection>;

/// Why a request's words cannot be used.
pub(super) struct Unusable(pub(super) StatusCode, pub(super) String);

pub(super) fn unusable(why: impl Into<String>) -> Unusable {
    Unusable(StatusCode::UNPROCESSABLE_ENTITY, why.into())
}

fn read(body: Read) -> Result<Body, Unusable> {
    match body {
        Ok(Json(body)) => Ok(body),
        Err(error) => Err(Unusable(error.status(), error.body_text())),
    }
}

/// Asks the engine, or says why not.
pub(super) async fn ask(shared: &Shared, command: Result<Command, Unusable>) -> Response {
    match command {
        Ok(command) => replied(shared.hub.ask(command).await),
        Err(Unusable(status, why)) => problem(status, &why, true),
    }
}

/// Who asks, as events and reports show it.
fn by(body: &Body) -> Result<String, Unusable> {
    who_asks(&body.by)
}

/// The same, from what he wrote.
pub(super) fn who_asks(name: &str) -> Result<String, Unusable> {
    let name = plain(name).trim().to_owned();
    if name.chars().count() > MAX_NAME {
        let why = format!("the name has over {MAX_NAME} characters");
        return Err(unusable(why));
    }
    Ok(if name.is_empty() {
        "the page".to_owned()
    } else {
        format!("{name} (the page)")
    })
}

fn reason(body: &Body, otherwise: Option<&str>) -> Result<String, Unusable> {
    let text = plain(&body.reason).trim().to_owned();
    if text.is_empty() {
        return otherwise
            .map(str::to_owned)
            .ok_or_else(|| unusable("say in a few words why"));
    }
    if text.chars().count() > MAX_REASON {
        return Err(unusable(
            "the reason has over 500 characters; say it shorter",
        ));
    }
    Ok(text)
}

async fn hold(shared: Inner, name: Option<String>, body: Read, suspend: bool) -> Response {
    let State(shared) = shared;
    let command = read(body).and_then(|body| {
        let by = by(&body)?;
        Ok(if suspend {
            Command::Suspend {
                name,
                reason: reason(&body, None)?,
                by,
            }
        } else {
            Command::Resume {
                name,
                reason: reason(&body, Some("resumed by hand"))?,
                by,
            }
        })
    });
    ask(&shared, command).await
}

pub(super) async fn suspend_all(shared: Inner, body: Read) -> Response {
    hold(shared, None, body, true).await
}

pub(super) async fn resume_all(shared: Inner, body: Read) -> Response {
    hold(shared, None, body, false).await
}

/// What an approval would approve.
pub(super) async fn approval(State(shared): Inner, Path(name): Path<String>) -> Response {
    replied(shared.hub.ask(Command::ApprovalAsked { name }).await)
}

/// `suspend`, `resume`, `approve` and `reconcile` of one campaign.
pub(super) async fn campaign(
    shared: Inner,
    Path((name, verb)): Path<(String, String)>,
    body: Read,
) -> Response {
    match verb.as_str() {
        "suspend" => hold(shared, Some(name), body, true).await,
        "resume" => hold(shared, Some(name), body, false).await,
        "approve" => approve(shared, name, body).await,
        "reconcile" => replied(shared.0.hub.ask(Command::Reconcile { name }).await),
        _ => problem(StatusCode::NOT_FOUND, "there is nothing here", true),
    }
}

async fn approve(State(shared): Inner, name: String, body: Read) -> Response {
    let command = read(body).and_then(|body| {
        if body.digest.is_empty() {
            return Err(unusable("name the digest and the people that were shown"));
        }
        Ok(Command::Approve {
            by: by(&body)?,
            name: Some(name),
            digest: body.digest,
            people: body.people,
            new_state: false,
        })
    });
    ask(&shared, command).await
}

//! Conversations: the same commands as `tidings replies`.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::actions::{Unusable, ask, unusable, who_asks};
use super::routes::{Inner, problem, replied};
use crate::model::{Command, RepliesCommand, Reply, TalkChange};

/// What comes with an action.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Body {
    /// What to say; with an approval: instead of the draft.
    text: Option<String>,
    /// By which account.
    account: Option<String>,
    /// Who asks, in his own words.
    by: String,
}

type Read = Result<Json<Body>, JsonRejection>;

fn read(body: Read) -> Result<(Body, String), Unusable> {
    let body = match body {
        Ok(Json(body)) => body,
        Err(error) => return Err(Unusable(error.status(), error.body_text())),
    };
    let by = who_asks(&body.by)?;
    Ok((body, by))
}

/// Which conversations.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Which {
    state: Option<String>,
}

async fn show(shared: Inner, what: RepliesCommand) -> Response {
    replied(shared.0.hub.ask(Command::Replies { what }).await)
}

/// All of them, or those in one state.
pub(super) async fn list(shared: Inner, Query(which): Query<Which>) -> Response {
    let state = which.state.filter(|state| !state.is_empty());
    show(shared, RepliesCommand::List { state }).await
}

/// What was said with one person.
pub(super) async fn one(shared: Inner, Path(person): Path<String>) -> Response {
    let what = RepliesCommand::Show { person };
    match shared.0.hub.ask(Command::Replies { what }).await {
        // Reading is refused only where there is nobody to read of.
        Ok(Reply::Refused { message, .. }) => problem(StatusCode::NOT_FOUND, &message, true),
        other => replied(other),
    }
}

/// `approve` and `reject` of a draft.
pub(super) async fn draft(
    State(shared): Inner,
    Path((id, verb)): Path<(u64, String)>,
    body: Read,
) -> Response {
    let what = match verb.as_str() {
        "approve" => read(body).map(|(body, by)| RepliesCommand::Approve {
            id,
            text: body.text,
            by,
        }),
        "reject" => read(body).map(|(_, by)| RepliesCommand::Reject { id, by }),
        _ => return problem(StatusCode::NOT_FOUND, "there is nothing here", true),
    };
    ask(&shared, what.map(|what| Command::Replies { what })).await
}

/// `send`, `take`, `return` and `close` of a conversation.
pub(super) async fn person(
    State(shared): Inner,
    Path((person, verb)): Path<(String, String)>,
    body: Read,
) -> Response {
    let change = match verb.as_str() {
        "send" => None,
        "take" => Some(TalkChange::Taken),
        "return" => Some(TalkChange::Returned),
        "close" => Some(TalkChange::Closed),
        _ => return problem(StatusCode::NOT_FOUND, "there is nothing here", true),
    };
    let what = read(body).and_then(|(body, by)| match change {
        Some(change) => Ok(RepliesCommand::Change { person, change, by }),
        None => Ok(RepliesCommand::Send {
            person,
            text: body
                .text
                .filter(|text| !text.trim().is_empty())
                .ok_or_else(|| unusable("the text is empty"))?,
            account: body.account,
            by,
        }),
    });
    ask(&shared, what.map(|what| Command::Replies { what })).await
}

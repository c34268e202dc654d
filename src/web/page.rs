//! The page: files within the binary, and the login.

use std::time::Duration;

use axum::Json;
use axum::extract::{Form, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde::Deserialize;
use serde_json::json;

use super::routes::{Inner, header_text, problem};
use crate::status::FORMAT_VERSION;

/// A wrong token is answered after so long: guessing takes for ever.
const WRONG_TIME: Duration = Duration::from_secs(1);

const INDEX: &str = include_str!("assets/index.html");
const LOGIN: &str = include_str!("assets/login.html");
/// Where the form says that the token is wrong.
const NOTICE: &str = "<!-- notice -->";

/// The files by name, with their types.
const ASSETS: &[(&str, &str, &str)] = &[
    (
        "app.js",
        "text/javascript; charset=utf-8",
        include_str!("assets/app.js"),
    ),
    (
        "replies.js",
        "text/javascript; charset=utf-8",
        include_str!("assets/replies.js"),
    ),
    (
        "app.css",
        "text/css; charset=utf-8",
        include_str!("assets/app.css"),
    ),
    ("icon.svg", "image/svg+xml", include_str!("assets/icon.svg")),
];

pub(super) async fn index() -> Html<&'static str> {
    Html(INDEX)
}

pub(super) async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some((_, kind, text)) = ASSETS.iter().find(|(known, ..)| *known == name) else {
        return problem(StatusCode::NOT_FOUND, "there is nothing here", false);
    };
    let tag = format!("\"{}\"", blake3::hash(text.as_bytes()).to_hex());
    let Ok(tag_value) = HeaderValue::from_str(&tag) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let common = [
        (header::ETAG, tag_value),
        // Asked for each time, and answered with 304 while it is the same: a new version shows at once.
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
    ];
    if header_text(&headers, "if-none-match") == tag {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    (common, *text).into_response()
}

pub(super) async fn icon() -> Redirect {
    Redirect::permanent("/assets/icon.svg")
}

/// What the page must know before it does anything.
pub(super) async fn session(State(shared): Inner) -> Response {
    let keys = shared.keys();
    Json(json!({
        "format_version": FORMAT_VERSION,
        "csrf": keys.csrf,
        "login": keys.wants_token(),
        "version": env!("CARGO_PKG_VERSION"),
    }))
    .into_response()
}

pub(super) async fn login_form(State(shared): Inner) -> Response {
    if shared.keys().wants_token() {
        Html(LOGIN).into_response()
    } else {
        Redirect::to("/").into_response()
    }
}

/// The form's one field.
#[derive(Deserialize)]
pub(super) struct Login {
    token: String,
}

pub(super) async fn login(
    State(shared): Inner,
    headers: HeaderMap,
    Form(login): Form<Login>,
) -> Response {
    let keys = shared.keys();
    if !keys.is_token(login.token.trim()) {
        tokio::time::sleep(WRONG_TIME).await;
        let notice = "<p class=\"bad\" role=\"alert\">That is not the token.</p>";
        let page = LOGIN.replace(NOTICE, notice);
        return (StatusCode::UNAUTHORIZED, Html(page)).into_response();
    }
    let secure = header_text(&headers, "origin").starts_with("https://");
    with_cookie(Redirect::to("/"), &keys.cookie_for(secure))
}

pub(super) async fn logout(State(shared): Inner) -> Response {
    with_cookie(StatusCode::NO_CONTENT, &shared.keys().no_cookie())
}

fn with_cookie(response: impl IntoResponse, cookie: &str) -> Response {
    let mut response = response.into_response();
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    response
}

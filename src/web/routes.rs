//! The paths: CONTRACT section 5, and what the page needs.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use super::server::Shared;
use super::{actions, guard, page, replies};
use crate::metrics;
use crate::model::{Command, Reply};
use crate::status::{FORMAT_VERSION, needs_person_list};

/// The largest request: a reason or an answer to a person, not a file.
const MAX_BODY: usize = 64 << 10;
/// A loop that went round longer ago hangs: it goes round every few seconds, and a plan of a million people takes one.
const STALE: Duration = Duration::from_secs(60);
/// How often a stream looks whether there is something new.
const STREAM_EVERY: Duration = Duration::from_secs(1);
/// A stream ends after so many looks, and the page takes it up again.
const STREAM_LOOKS: u32 = 600;
/// Events of one answer where nobody says how many.
const EVENTS: usize = 200;
/// What Prometheus calls its text format.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) type Inner = State<Arc<Shared>>;

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(page::index))
        .route("/login", get(page::login_form).post(page::login))
        .route("/logout", post(page::logout))
        .route("/assets/{name}", get(page::asset))
        .route("/favicon.ico", get(page::icon))
        .route("/metrics", get(metrics_text))
        .route("/-/healthy", get(healthy))
        .route("/-/ready", get(ready))
        .route("/-/reload", post(reload).put(reload))
        .route("/api/v1/status", get(status))
        .route("/api/v1/events", get(events))
        .route("/api/v1/session", get(page::session))
        .route("/api/v1/stream", get(stream))
        .route("/api/v1/suspend", post(actions::suspend_all))
        .route("/api/v1/resume", post(actions::resume_all))
        .route("/api/v1/campaigns/{name}/approval", get(actions::approval))
        .route("/api/v1/campaigns/{name}/{verb}", post(actions::campaign))
        .route("/api/v1/replies", get(replies::list))
        .route("/api/v1/replies/{person}", get(replies::one))
        .route("/api/v1/replies/{person}/{verb}", post(replies::person))
        .route("/api/v1/drafts/{id}/{verb}", post(replies::draft))
        .route("/api/{*rest}", any(unknown_api))
        .fallback(unknown)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(axum::middleware::from_fn_with_state(
            Arc::clone(&shared),
            guard::guard,
        ))
        .layer(axum::middleware::from_fn(errors_as_json))
        .with_state(shared)
}

/// One sentence that says what is wrong: as JSON for programs, as a line for people.
pub(super) fn problem(status: StatusCode, why: &str, json: bool) -> Response {
    if json {
        let body = json!({"format_version": FORMAT_VERSION, "error": why});
        (status, Json(body)).into_response()
    } else {
        (status, format!("{why}\n")).into_response()
    }
}

/// What the framework itself says of a request that it cannot read is JSON too, as all of `/api` is.
async fn errors_as_json(request: Request, next: Next) -> Response {
    let is_api = request.uri().path().starts_with("/api/");
    let response = next.run(request).await;
    let is_json = header_text(response.headers(), "content-type").starts_with("application/json");
    if !is_api
        || is_json
        || !(response.status().is_client_error() || response.status().is_server_error())
    {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let said = axum::body::to_bytes(body, MAX_BODY)
        .await
        .unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let why = match said.trim() {
        "" => head
            .status
            .canonical_reason()
            .unwrap_or("the request was refused"),
        said => said,
    };
    let (new, body) = problem(head.status, why, true).into_parts();
    head.headers.remove(header::CONTENT_LENGTH);
    head.headers.extend(new.headers);
    Response::from_parts(head, body)
}

async fn unknown() -> Response {
    problem(StatusCode::NOT_FOUND, "there is nothing here", false)
}

async fn unknown_api() -> Response {
    problem(StatusCode::NOT_FOUND, "there is nothing here", true)
}

async fn healthy(State(shared): Inner) -> Response {
    let age = shared.health.heartbeat_age();
    if age < STALE {
        return "Tidings is healthy.\n".into_response();
    }
    let why = format!(
        "the engine's loop went round {} s ago and not since: it hangs",
        age.as_secs()
    );
    problem(StatusCode::SERVICE_UNAVAILABLE, &why, false)
}

async fn ready(State(shared): Inner) -> Response {
    match shared.health.ready() {
        Ok(()) => "Tidings is ready.\n".into_response(),
        Err(why) => problem(StatusCode::SERVICE_UNAVAILABLE, why, false),
    }
}

async fn reload(State(shared): Inner) -> Response {
    match shared.hub.ask(Command::Reload).await {
        Ok(Reply::Refused { message, .. }) => {
            problem(StatusCode::INTERNAL_SERVER_ERROR, &message, false)
        }
        Ok(Reply::Done { message }) => format!("{message}\n").into_response(),
        Ok(Reply::Document { .. } | Reply::Written { .. }) => StatusCode::OK.into_response(),
        Err(why) => problem(StatusCode::SERVICE_UNAVAILABLE, why, false),
    }
}

async fn metrics_text(State(shared): Inner) -> Response {
    // Without a report the heartbeat says why.
    let frame = shared.hub.report().await.ok();
    let vitals = metrics::Vitals {
        heartbeat_at: shared.health.heartbeat_at(),
        reload_successful: shared.health.reload_successful(),
    };
    let text = metrics::render(frame.as_ref().map(|frame| &frame.report), &vitals);
    (
        [(header::CONTENT_TYPE, HeaderValue::from_static(METRICS_TYPE))],
        text,
    )
        .into_response()
}

/// Which part of a report or of the events.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Part {
    campaign: Option<String>,
    after: u64,
    limit: Option<usize>,
}

/// A report with the heartbeat's age as it is now, of one campaign where one is named.
fn shown(shared: &Shared, frame: &super::hub::Frame, campaign: Option<&str>) -> Option<Value> {
    let mut body = frame.body.clone();
    if let Some(name) = campaign {
        let list = body.get_mut("campaigns").and_then(Value::as_array_mut)?;
        list.retain(|campaign| campaign.get("name").and_then(Value::as_str) == Some(name));
        if list.is_empty() {
            return None;
        }
    }
    if let Some(age) = body.pointer_mut("/daemon/heartbeat_age_ms") {
        let now = u64::try_from(shared.health.heartbeat_age().as_millis()).unwrap_or(u64::MAX);
        *age = json!(now);
    }
    Some(body)
}

async fn status(State(shared): Inner, Query(part): Query<Part>) -> Response {
    let frame = match shared.hub.report().await {
        Ok(frame) => frame,
        Err(why) => return problem(StatusCode::SERVICE_UNAVAILABLE, why, true),
    };
    match shown(&shared, &frame, part.campaign.as_deref()) {
        Some(body) => Json(body).into_response(),
        None => problem(StatusCode::NOT_FOUND, "there is no such campaign", true),
    }
}

async fn events(State(shared): Inner, Query(part): Query<Part>) -> Response {
    let limit = part.limit.unwrap_or(EVENTS);
    if let Some(name) = &part.campaign
        && let Ok(frame) = shared.hub.report().await
        && !frame
            .report
            .campaigns
            .iter()
            .any(|campaign| campaign.name == *name)
    {
        return events_of_another_name(&shared, name.clone(), part.after, limit).await;
    }
    let (lines, last) = shared
        .hub
        .events(part.after, part.campaign.as_deref(), limit)
        .await;
    Json(json!({"format_version": FORMAT_VERSION, "events": lines, "last": last})).into_response()
}

/// Events of a campaign that the report does not show: by an earlier name, or of a retired one. The engine knows.
async fn events_of_another_name(
    shared: &Shared,
    name: String,
    after: u64,
    limit: usize,
) -> Response {
    let command = Command::Events {
        name: Some(name),
        after,
        before: None,
        limit,
    };
    match shared.hub.ask(command).await {
        Ok(Reply::Document { body }) => {
            let (events, last) = (body.get("events"), body.get("upto"));
            Json(json!({"format_version": FORMAT_VERSION, "events": events, "last": last}))
                .into_response()
        }
        other => replied(other),
    }
}

/// What a stream has shown.
struct Shown {
    shared: Arc<Shared>,
    _place: tokio::sync::OwnedSemaphorePermit,
    version: u64,
    last_event: Option<u64>,
    looks: u32,
    queue: std::collections::VecDeque<Event>,
    lost: bool,
}

/// The report and the events as they change, as server-sent events (html.spec.whatwg.org, section 9.2).
async fn stream(State(shared): Inner) -> Response {
    let Ok(place) = Arc::clone(&shared.hub.streams).try_acquire_owned() else {
        return problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "too many pages are open; close one",
            true,
        );
    };
    let shown = Shown {
        shared,
        _place: place,
        version: 0,
        last_event: None,
        looks: 0,
        queue: std::collections::VecDeque::new(),
        lost: false,
    };
    let events = futures::stream::unfold(shown, |mut shown| async move {
        loop {
            if let Some(event) = shown.queue.pop_front() {
                return Some((Ok::<_, Infallible>(event), shown));
            }
            if !shown.look().await {
                return None;
            }
        }
    });
    Sse::new(events)
        .keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
        .into_response()
}

impl Shown {
    /// Waits for the next look, and looks. Answers whether the stream goes on.
    async fn look(&mut self) -> bool {
        if self.looks > 0 {
            tokio::select! {
                () = tokio::time::sleep(STREAM_EVERY) => {}
                () = self.shared.stop.cancelled() => return false,
            }
        }
        self.looks += 1;
        if self.looks > STREAM_LOOKS {
            return false;
        }
        let answered = self.shared.health.heartbeat_age() < STALE;
        match self.shared.hub.report().await {
            Ok(frame) if answered => {
                if frame.version != self.version || self.lost {
                    self.version = frame.version;
                    self.lost = false;
                    if let Some(report) = shown(&self.shared, &frame, None) {
                        let needs: Vec<Value> = needs_person_list(&frame.report)
                            .into_iter()
                            .map(|(who, why)| json!({"who": who, "why": why}))
                            .collect();
                        self.push("report", &json!({"report": report, "needs": needs}));
                    }
                }
            }
            _ => {
                if !self.lost {
                    self.lost = true;
                    self.push("lost", &json!({"error": "the engine does not answer"}));
                }
            }
        }
        let (lines, last) = self
            .shared
            .hub
            .events(self.last_event.unwrap_or(0), None, usize::MAX)
            .await;
        if self.last_event.is_none() || !lines.is_empty() {
            let whole = self.last_event.is_none();
            self.push("events", &json!({"events": lines, "whole": whole}));
        }
        self.last_event = Some(last);
        true
    }

    fn push(&mut self, name: &str, data: &Value) {
        // JSON text has no line breaks of its own.
        self.queue
            .push_back(Event::default().event(name).data(data.to_string()));
    }
}

/// A message of the engine as an answer: what was refused says whether the words or the state are to blame.
pub(super) fn replied(reply: Result<Reply, &'static str>) -> Response {
    match reply {
        Ok(Reply::Done { message }) => {
            Json(json!({"format_version": FORMAT_VERSION, "message": message})).into_response()
        }
        Ok(Reply::Written { json }) => {
            ([(header::CONTENT_TYPE, "application/json")], json).into_response()
        }
        Ok(Reply::Document { mut body }) => {
            if let Some(map) = body.as_object_mut() {
                map.entry("format_version").or_insert(json!(FORMAT_VERSION));
            }
            Json(body).into_response()
        }
        Ok(Reply::Refused {
            message,
            usage: true,
        }) => problem(StatusCode::NOT_FOUND, &message, true),
        Ok(Reply::Refused { message, .. }) => problem(StatusCode::CONFLICT, &message, true),
        Err(why) => problem(StatusCode::SERVICE_UNAVAILABLE, why, true),
    }
}

/// The value of a header as text.
pub(super) fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

//! Who may ask, and from where. Everything passes here first.
//!
//! - **DNS rebinding**: a page of another site may have its own name point to 127.0.0.1, and read us as its own. Where
//!   no token is asked for, the `Host` must be this machine's own name or a bare address.
//! - **Forged requests**: a browser says where a request comes from (`Origin`, `Sec-Fetch-Site`). What changes anything
//!   must come from our own page and carry a value that only our own page can read.
//! - **The token**: as `Authorization: Bearer …`, or in exchange for a cookie that says until when it holds and is
//!   signed with the token, so that another token ends all logins.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::routes::problem;
use super::server::Shared;

/// A request is answered within this; streams begin within it.
const REQUEST_TIME: Duration = Duration::from_secs(30);
/// A login holds so long.
pub(super) const LOGIN_TIME: Duration = Duration::from_secs(12 * 3600);
/// The header by which our own page shows that it is our own page.
pub(super) const CSRF: &str = "x-tidings-csrf";

/// What a page may load and where it may send: nothing but what we serve.
const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                   manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What is compared with what clients show.
pub(super) struct Keys {
    /// BLAKE3 of the token: comparing hashes takes the same time wherever they differ.
    token: Option<blake3::Hash>,
    /// Signs logins.
    login: [u8; 32],
    /// Only our own page can read it.
    pub(super) csrf: String,
    /// Cookies are shared by all ports of a machine: each engine has its own.
    cookie: String,
}

impl Keys {
    pub(super) fn new(token: Option<String>, port: u16) -> Keys {
        let random: [u8; 16] = rand::random();
        let login = match &token {
            Some(token) => blake3::derive_key("tidings web login 2026", token.as_bytes()),
            None => rand::random(),
        };
        Keys {
            token: token.map(|token| blake3::hash(token.as_bytes())),
            login,
            csrf: blake3::hash(&random).to_hex().to_string(),
            cookie: format!("tidings_{port}"),
        }
    }

    pub(super) fn wants_token(&self) -> bool {
        self.token.is_some()
    }

    pub(super) fn is_token(&self, shown: &str) -> bool {
        self.token == Some(blake3::hash(shown.as_bytes()))
    }

    /// The cookie of a login.
    pub(super) fn cookie_for(&self, secure: bool) -> String {
        let until = seconds() + LOGIN_TIME.as_secs();
        let secure = if secure { "; Secure" } else { "" };
        format!(
            "{}={until}.{}; Path=/; Max-Age={}; HttpOnly; SameSite=Strict{secure}",
            self.cookie,
            self.signature(until),
            LOGIN_TIME.as_secs()
        )
    }

    /// The cookie that ends a login.
    pub(super) fn no_cookie(&self) -> String {
        format!(
            "{}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict",
            self.cookie
        )
    }

    fn signature(&self, until: u64) -> blake3::Hash {
        blake3::keyed_hash(&self.login, &until.to_le_bytes())
    }

    fn is_logged_in(&self, headers: &HeaderMap) -> bool {
        let cookies = headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'));
        cookies
            .filter_map(|cookie| cookie.trim().split_once('='))
            .filter(|(name, _)| *name == self.cookie)
            .filter_map(|(_, value)| value.split_once('.'))
            .any(|(until, signature)| {
                let (Ok(until), Ok(signature)) =
                    (until.parse::<u64>(), blake3::Hash::from_hex(signature))
                else {
                    return false;
                };
                until > seconds() && signature == self.signature(until)
            })
    }

    fn is_bearer(&self, headers: &HeaderMap) -> bool {
        headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .is_some_and(|(scheme, token)| {
                scheme.eq_ignore_ascii_case("bearer") && self.is_token(token.trim())
            })
    }
}

fn seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

/// The `Host` that a request names, without its port.
fn host(headers: &HeaderMap) -> Option<&str> {
    let host = headers.get(header::HOST)?.to_str().unwrap_or("?");
    if let Some(v6) = host.strip_prefix('[') {
        return Some(v6.split(']').next().unwrap_or(v6));
    }
    Some(host.split(':').next().unwrap_or(host))
}

/// Whether a name cannot belong to another site.
fn is_own(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    host.eq_ignore_ascii_case("localhost")
        || host.to_ascii_lowercase().ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok()
}

/// Whether the browser says that the request comes from another site. Programs say nothing.
fn is_foreign(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    // Every browser of today sends it, and its `Origin` may be `null` for a form of our own.
    if let Some(site) = text("sec-fetch-site") {
        return site != "same-origin" && site != "none";
    }
    let Some(origin) = text("origin") else {
        return false;
    };
    let at = origin.split_once("://").map(|(_, at)| at);
    at.is_none_or(|at| Some(at) != text("host"))
}

/// Whether a browser sends this.
fn is_browser(headers: &HeaderMap) -> bool {
    ["origin", "sec-fetch-site", "cookie"]
        .iter()
        .any(|name| headers.contains_key(*name))
}

/// What is served to whoever asks: health checks say nothing that is not seen from outside, and the form of the login
/// must be had before it.
fn is_open(path: &str) -> bool {
    matches!(path, "/-/healthy" | "/-/ready" | "/login") || path.starts_with("/assets/")
}

/// The way in.
pub(super) async fn guard(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    let keys = shared.keys();
    let for_program = request.uri().path().starts_with("/api/");
    let mut response = match refusal(&keys, &request) {
        Some(refused) => refused,
        None => tokio::time::timeout(REQUEST_TIME, next.run(request))
            .await
            .unwrap_or_else(|_| {
                problem(
                    StatusCode::GATEWAY_TIMEOUT,
                    "the engine is busy; try again",
                    for_program,
                )
            }),
    };
    let headers = response.headers_mut();
    let fixed: [(HeaderName, &'static str); 6] = [
        (header::CONTENT_SECURITY_POLICY, CSP),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Why a request goes no further.
fn refusal(keys: &Keys, request: &Request) -> Option<Response> {
    let headers = request.headers();
    let path = request.uri().path();
    let api = path.starts_with("/api/");
    if !keys.wants_token()
        && let Some(host) = host(headers)
        && !is_own(host)
    {
        return Some(problem(
            StatusCode::FORBIDDEN,
            "this page is served to this machine only: ask for it as localhost or by an address, or set `web.token` in \
             tidings.yaml",
            api,
        ));
    }
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    if changes && is_foreign(headers) {
        return Some(problem(
            StatusCode::FORBIDDEN,
            "the request comes from a page of another site",
            api,
        ));
    }
    if keys.wants_token()
        && !is_open(path)
        && !keys.is_bearer(headers)
        && !keys.is_logged_in(headers)
    {
        return Some(stranger(request, api));
    }
    // Who shows the token of tidings.yaml himself has nobody's browser do it.
    let asked = is_browser(headers) || (api && !keys.is_bearer(headers));
    if changes && path != "/login" && asked {
        let shown = headers.get(CSRF).and_then(|value| value.to_str().ok());
        // Hashes again, for the same reason.
        let right = shown.is_some_and(|shown| {
            blake3::hash(shown.as_bytes()) == blake3::hash(keys.csrf.as_bytes())
        });
        if !right {
            return Some(problem(
                StatusCode::FORBIDDEN,
                "the request does not come from the page (scripts use the `tidings` command), or the page is from before \
                 a restart: load it again",
                api,
            ));
        }
    }
    None
}

/// Who shows no token: a person gets the form, a program is told.
fn stranger(request: &Request, api: bool) -> Response {
    let accepts = request
        .headers()
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if request.method() == Method::GET
        && request.uri().path() == "/"
        && accepts.contains("text/html")
    {
        return axum::response::Redirect::to("/login").into_response();
    }
    let mut response = problem(
        StatusCode::UNAUTHORIZED,
        "show the token of tidings.yaml: `Authorization: Bearer …`",
        api,
    );
    response.headers_mut().insert(
        header::WWW_AUTHENTICATE,
        HeaderValue::from_static("Bearer realm=\"tidings\""),
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in list {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn only_names_that_no_other_site_can_have_are_our_own() {
        for (host_header, own) in [
            ("localhost", true),
            ("LocalHost:7878", true),
            ("tidings.localhost:80", true),
            ("127.0.0.1:7878", true),
            ("[::1]:7878", true),
            ("192.168.1.7", true),
            ("evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("localhost.evil.example:7878", false),
            ("", false),
        ] {
            let headers = headers(&[("host", host_header)]);
            assert_eq!(is_own(host(&headers).unwrap()), own, "{host_header:?}");
        }
        assert_eq!(host(&HeaderMap::new()), None);
    }

    #[test]
    fn a_request_of_another_site_is_told_by_its_headers() {
        for (what, list, foreign) in [
            ("a program", &[("host", "localhost:1")][..], false),
            (
                "our page",
                &[("host", "localhost:1"), ("origin", "http://localhost:1")],
                false,
            ),
            (
                "the address bar",
                &[("host", "a"), ("sec-fetch-site", "none")],
                false,
            ),
            (
                "another port",
                &[("host", "localhost:1"), ("origin", "http://localhost:2")],
                true,
            ),
            (
                "another site",
                &[("host", "localhost:1"), ("origin", "https://evil.example")],
                true,
            ),
            (
                "a sandboxed frame",
                &[("host", "localhost:1"), ("origin", "null")],
                true,
            ),
            (
                "an image",
                &[("host", "localhost:1"), ("sec-fetch-site", "cross-site")],
                true,
            ),
            (
                "a sibling",
                &[("host", "localhost:1"), ("sec-fetch-site", "same-site")],
                true,
            ),
        ] {
            assert_eq!(is_foreign(&headers(list)), foreign, "{what}");
        }
    }

    #[test]
    fn a_login_holds_for_its_own_token_and_its_own_time() {
        let keys = Keys::new(Some("correct horse".to_owned()), 7878);
        assert!(keys.is_token("correct horse") && !keys.is_token("correct hors"));
        let cookie = keys.cookie_for(false);
        let value = cookie.split(';').next().unwrap();
        assert!(keys.is_logged_in(&headers(&[("cookie", &format!("a=b; {value}"))])));
        // Another token, another machine's port, a later end.
        assert!(
            !Keys::new(Some("other".to_owned()), 7878).is_logged_in(&headers(&[("cookie", value)]))
        );
        assert!(
            !Keys::new(Some("correct horse".to_owned()), 7879)
                .is_logged_in(&headers(&[("cookie", value)]))
        );
        let (name, rest) = value.split_once('=').unwrap();
        let (until, signature) = rest.split_once('.').unwrap();
        let later: u64 = until.parse::<u64>().unwrap() + 1;
        let forged = format!("{name}={later}.{signature}");
        assert!(!keys.is_logged_in(&headers(&[("cookie", &forged)])));
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"));
    }
}

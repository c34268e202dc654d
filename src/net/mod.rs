//! HTTP to the outside: one way to make a client, for the AI server and for webhooks.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// How long a connection may take to stand.
const CONNECT: Duration = Duration::from_secs(10);

/// The roots that the system trusts, read once. Whatever cannot be read is left out: without any root a connection
/// says so, and plain HTTP works all the same.
static TLS: LazyLock<rustls::ClientConfig> = LazyLock::new(|| {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    // It has the default versions; the other way is for the type alone.
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap_or_else(|_| rustls::ClientConfig::builder())
        .with_root_certificates(roots)
        .with_no_client_auth()
});

/// A client for one address: no redirects (a key must not travel), no proxy to one's own machine.
///
/// # Errors
/// One sentence.
pub fn client(url: &str, timeout: Duration) -> Result<reqwest::Client, String> {
    // The second caller finds it done.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let parsed =
        reqwest::Url::parse(url).map_err(|error| format!("the address makes no sense: {error}"))?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err("the address is neither http nor https".to_owned());
    }
    let own = parsed.host_str().is_some_and(|host| {
        let host = host.trim_matches(['[', ']']);
        host == "localhost"
            || host
                .parse::<std::net::IpAddr>()
                .is_ok_and(|ip| ip.is_loopback())
    });
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(TLS.clone())
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT.min(timeout))
        .timeout(timeout)
        .user_agent(concat!("tidings/", env!("CARGO_PKG_VERSION")));
    if own {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_made_for_http_and_https_alone() {
        for fine in ["http://127.0.0.1:1/v1", "https://api.example.com/v1"] {
            assert!(client(fine, CONNECT).is_ok(), "{fine}");
        }
        for bad in ["file:///etc/passwd", "api.example.com", ""] {
            assert!(client(bad, CONNECT).is_err(), "{bad}");
        }
    }
}

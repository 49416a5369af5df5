//! Where the node is and who asks: flags before environment before the default.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ureq::http::{HeaderValue, Uri};
use ureq::tls::{Certificate, PemItem, RootCerts};

use crate::cli::Connection;
use crate::error::{Error, Result};
use crate::output;

/// Asked where neither `--url` nor `HEDGEHOG_URL` is given.
pub(crate) const DEFAULT_URL: &str = "http://127.0.0.1:8080";

/// How to speak to the node.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Scheme and authority, and a path's prefix behind a proxy; no slash at the end.
    pub(crate) base: String,
    /// The header `Authorization`, marked as secret.
    pub(crate) authorization: Option<HeaderValue>,
    /// The certificates to trust.
    pub(crate) roots: RootCerts,
    /// The longest silence.
    pub(crate) patience: Duration,
}

impl Settings {
    /// From the flags and the environment.
    ///
    /// # Errors
    /// A URL, a token, or a file of certificates that cannot be used.
    pub(crate) fn resolve(connection: &Connection) -> Result<Settings> {
        let given = connection.url.clone().or_else(|| environment("HEDGEHOG_URL"));
        let base = base_url(given.as_deref().unwrap_or(DEFAULT_URL))?;
        let authorization = token(connection)?.map(|token| bearer(&token)).transpose()?;
        if authorization.is_some() && base.starts_with("http://") && !is_loopback(&base) {
            output::note(&format!("warning: the token travels unencrypted to {base}: use https"));
        }
        let certificates = connection.ca.clone().or_else(|| environment("HEDGEHOG_CA").map(Into::into));
        let roots = certificates.map_or(Ok(RootCerts::WebPki), |path| roots(&path))?;
        Ok(Settings { base, authorization, roots, patience: connection.timeout })
    }
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn base_url(given: &str) -> Result<String> {
    let refuse = |why: &str| {
        Error::usage(format!("`{given}` is not the URL of a node: {why}; write it as {DEFAULT_URL}"))
    };
    let uri: Uri = given.parse().map_err(|_| refuse("it is no URL"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(refuse("it begins with neither http:// nor https://"));
    }
    let authority = uri.authority().ok_or_else(|| refuse("it names no host"))?;
    if authority.as_str().contains('@') {
        return Err(refuse("it holds a user's name; who asks is said by a token"));
    }
    if uri.query().is_some() || given.contains('#') {
        return Err(refuse("it goes on after the path"));
    }
    Ok(given.trim_end_matches('/').to_string())
}

fn is_loopback(base: &str) -> bool {
    let uri: Option<Uri> = base.parse().ok();
    let host = uri.as_ref().and_then(Uri::host).unwrap_or("").trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn token(connection: &Connection) -> Result<Option<String>> {
    if let Some(token) = &connection.token {
        return Ok(Some(token.clone()));
    }
    let Some(path) = &connection.token_file else { return Ok(environment("HEDGEHOG_TOKEN")) };
    let text = std::fs::read_to_string(path)
        .map_err(|cause| Error::usage(format!("cannot read the token in {}: {cause}", path.display())))?;
    match text.trim() {
        "" => Err(Error::usage(format!("{} holds no token", path.display()))),
        token => Ok(Some(token.to_string())),
    }
}

/// Never shows the token, which could be in a log or on a projector.
fn bearer(token: &str) -> Result<HeaderValue> {
    let bad =
        || Error::usage("the token is not one line of printable ASCII: is it the right file or variable?");
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(bad());
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| bad())?;
    value.set_sensitive(true);
    Ok(value)
}

fn roots(path: &Path) -> Result<RootCerts> {
    let name = path.display();
    let pem = std::fs::read(path)
        .map_err(|cause| Error::usage(format!("cannot read the certificates in {name}: {cause}")))?;
    let mut certificates: Vec<Certificate<'static>> = Vec::new();
    for item in ureq::tls::parse_pem(&pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
            Ok(_) => {}
            Err(cause) => return Err(Error::usage(format!("{name} is not PEM: {cause}"))),
        }
    }
    if certificates.is_empty() {
        return Err(Error::usage(format!("{name} holds no certificate in PEM")));
    }
    Ok(RootCerts::Specific(Arc::new(certificates)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_a_scheme_and_a_host_and_ends_with_its_path() {
        assert_eq!(base_url("http://127.0.0.1:8080/").unwrap(), "http://127.0.0.1:8080");
        assert_eq!(base_url("https://db.example/node-1").unwrap(), "https://db.example/node-1");
        for bad in ["127.0.0.1:8080", "ftp://x", "http://", "http://u:p@x", "http://x?y=1", "http://x#y", ""]
        {
            assert_eq!(base_url(bad).unwrap_err().exit_code(), 2, "{bad}");
        }
    }

    #[test]
    fn loopback_is_told_from_a_network() {
        assert!(
            ["http://127.0.0.1:1", "http://localhost", "http://[::1]:80"].iter().all(|url| is_loopback(url))
        );
        assert!(!is_loopback("http://10.0.0.1:8080"));
    }

    #[test]
    fn a_token_that_cannot_be_a_header_is_refused_without_showing_it() {
        for bad in ["", "two words", "line\nbreak", "gehe\u{fc}m"] {
            let error = bearer(bad).unwrap_err();
            assert!(bad.is_empty() || !error.message().unwrap().contains(bad));
        }
        assert!(bearer("s3cret").unwrap().is_sensitive());
    }
}

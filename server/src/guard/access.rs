//! Whether a request may be done, by the token that it bears.

use std::borrow::Cow;

use axum::http::header::{AUTHORIZATION, HOST, ORIGIN, WWW_AUTHENTICATE};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use percent_encoding::percent_decode_str;

use super::operation::Operation;
use crate::config::{Access, Role};
use crate::error::ApiError;

/// Lets the request pass, or answers it with 401 (who are you?) or 403 (not you).
///
/// Where no tokens are asked for, whoever reaches the node may do everything, and so could any page that somebody who
/// reaches it looks at, by the browser. What concerns the whole database is not done for pages of other origins.
pub(super) fn authorize(
    access: &Access,
    operation: &Operation,
    headers: &HeaderMap,
    uri: &Uri,
) -> Result<(), Refused> {
    let Some(needs) = operation.needs else { return Ok(()) };
    if access.is_open() {
        let refused = needs == Role::Admin && is_of_foreign_page(headers, uri);
        return if refused { Err(Refused::ForeignPage) } else { Ok(()) };
    }
    let Some(token) = token(operation, headers, uri) else { return Err(Refused::NoToken) };
    match access.role_of(&token) {
        None => Err(Refused::UnknownToken),
        Some(role) if role < needs => Err(Refused::Role(role.name(), needs.name())),
        Some(_) => Ok(()),
    }
}

/// Whether a browser sends this for a page that is not the node's own. HTTP/2 has the host in the URI.
fn is_of_foreign_page(headers: &HeaderMap, uri: &Uri) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return false };
    let host =
        headers.get(HOST).and_then(|host| host.to_str().ok()).or(uri.authority().map(Authority::as_str));
    let page = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    page.is_none() || page != host
}

fn token<'a>(operation: &Operation, headers: &'a HeaderMap, uri: &'a Uri) -> Option<Cow<'a, [u8]>> {
    if let Some(value) = headers.get(AUTHORIZATION) {
        let (scheme, token) = value.as_bytes().split_at_checked(7)?;
        return scheme.eq_ignore_ascii_case(b"bearer ").then_some(Cow::Borrowed(token.trim_ascii()));
    }
    let query = uri.query().filter(|_| operation.token_in_query)?;
    let token = query.split('&').find_map(|pair| pair.strip_prefix("access_token="))?;
    Some(percent_decode_str(token).into())
}

/// Why a request may not be done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Refused {
    NoToken,
    UnknownToken,
    /// The role that the token has, and the one that the request takes.
    Role(&'static str, &'static str),
    ForeignPage,
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let message = match self {
            Refused::NoToken => "this takes a token: send the header Authorization: Bearer TOKEN".to_string(),
            Refused::UnknownToken => "the token is not known here".to_string(),
            Refused::ForeignPage => {
                let message = "this is not done for pages of other origins; with tokens, they need one";
                return ApiError::new(StatusCode::FORBIDDEN, message).into_response();
            }
            Refused::Role(has, needs) => {
                let message = format!("this takes the role {needs}, and the token has the role {has}");
                return ApiError::new(StatusCode::FORBIDDEN, message).into_response();
            }
        };
        let mut response = ApiError::new(StatusCode::UNAUTHORIZED, message).into_response();
        let challenge = HeaderValue::from_static("Bearer realm=\"hedgehogdb\"");
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        response
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Method;
    use sha2::{Digest, Sha256};

    use super::super::operation;
    use super::*;
    use crate::config::Token;

    fn access() -> Access {
        let roles = [("reader", Role::Read), ("writer", Role::Write), ("root", Role::Admin)];
        Access::new(
            roles
                .map(|(name, role)| Token { name: name.into(), role, sha256: Sha256::digest(name).into() })
                .to_vec(),
        )
    }

    fn judged(
        access: &Access,
        method: Method,
        route: &str,
        header: Option<&str>,
        uri: &str,
    ) -> Result<(), u16> {
        let mut headers = HeaderMap::new();
        if let Some(header) = header {
            headers.insert(AUTHORIZATION, HeaderValue::from_str(header).unwrap());
        }
        let operation = operation::of(&method, Some(route));
        let judged = authorize(access, &operation, &headers, &uri.parse().unwrap());
        judged.map_err(|refused| refused.into_response().status().as_u16())
    }

    #[test]
    fn each_role_may_do_what_it_says_and_no_more() {
        let item = "/api/v1/tables/{table}/items/{key}";
        let backup = "/api/v1/backup";
        for (token, get, put, admin) in [
            ("Bearer reader", Ok(()), Err(403), Err(403)),
            ("Bearer writer", Ok(()), Ok(()), Err(403)),
            ("bearer root", Ok(()), Ok(()), Ok(())),
            ("Bearer nobody", Err(401), Err(401), Err(401)),
            ("Bearer ", Err(401), Err(401), Err(401)),
            ("Basic reader", Err(401), Err(401), Err(401)),
            ("é", Err(401), Err(401), Err(401)),
        ] {
            let access = access();
            assert_eq!(judged(&access, Method::GET, item, Some(token), "/"), get, "{token}");
            assert_eq!(judged(&access, Method::PUT, item, Some(token), "/"), put, "{token}");
            assert_eq!(judged(&access, Method::POST, backup, Some(token), "/"), admin, "{token}");
            assert_eq!(judged(&access, Method::GET, "/livez", Some(token), "/"), Ok(()), "{token}");
        }
        assert_eq!(judged(&access(), Method::GET, item, None, "/"), Err(401));
        assert_eq!(judged(&Access::default(), Method::POST, backup, None, "/"), Ok(()));
    }

    #[test]
    fn pages_of_other_origins_may_not_restore_where_nobody_needs_a_token() {
        let judged = |method, route, origin: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static("127.0.0.1:8080"));
            if let Some(origin) = origin {
                headers.insert(ORIGIN, HeaderValue::from_static(origin));
            }
            let operation = operation::of(&method, Some(route));
            authorize(&Access::default(), &operation, &headers, &Uri::from_static("/")).is_ok()
        };
        let restore = "/api/v1/restore";
        assert!(judged(Method::POST, restore, None));
        assert!(judged(Method::POST, restore, Some("http://127.0.0.1:8080")));
        for foreign in ["http://evil.example", "null", "http://127.0.0.1:8081"] {
            assert!(!judged(Method::POST, restore, Some(foreign)), "{foreign}");
            assert!(judged(Method::GET, "/api/v1/tables", Some(foreign)), "{foreign}");
        }
    }

    #[test]
    fn only_the_event_stream_takes_the_token_from_the_query() {
        let uri = "/api/v1/events?x=1&access_token=read%65r";
        assert_eq!(judged(&access(), Method::GET, "/api/v1/events", None, uri), Ok(()));
        assert_eq!(judged(&access(), Method::GET, "/api/v1/stats", None, uri), Err(401));
        assert_eq!(judged(&access(), Method::GET, "/api/v1/events", Some("Bearer x"), uri), Err(401));
    }
}

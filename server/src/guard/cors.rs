//! Which pages of other origins may call the node.

use std::time::Duration;

use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue, Method};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::request_id::X_REQUEST_ID;

/// Answers preflight requests, and lets pages of `origin` (`*` is any) see the answers of others.
///
/// An origin that cannot stand in a header lets nobody in.
pub(super) fn layer(origin: &str) -> CorsLayer {
    let anybody = origin == "*";
    let origin = HeaderValue::from_str(origin).map_or_else(|_| AllowOrigin::list([]), AllowOrigin::exact);
    let layer = CorsLayer::new()
        .allow_origin(if anybody { AllowOrigin::any() } else { origin })
        .allow_methods([Method::GET, Method::HEAD, Method::PUT, Method::POST, Method::DELETE])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH, X_REQUEST_ID])
        .expose_headers([ETAG, RETRY_AFTER, X_REQUEST_ID])
        .max_age(Duration::from_secs(600));
    // The answer to "*" is the same for all who ask.
    layer.vary::<Vec<HeaderName>>(Vec::new())
}

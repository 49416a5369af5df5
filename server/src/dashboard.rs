//! The dashboard: hand-written modules, styles and a picture, compiled into the program.
//!
//! Nothing comes from elsewhere, and the content security policy holds the page to that. Files keep their names from
//! version to version, so browsers ask each time (`no-cache`) and are told by ETag that nothing has changed.

use std::collections::HashMap;
use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use crate::error::ApiError;

const PAGE: &str = "index.html";

/// Only what this server sends may run, style, or be connected to; no other page may frame it.
const POLICY: &str =
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'";

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_bytes!(concat!("../assets/", $name)).as_slice())),*]
    };
}

const FILES: [(&str, &[u8]); 29] = files![
    "index.html",
    "mark.svg",
    "base.css",
    "layout.css",
    "charts.css",
    "trees.css",
    "data.css",
    "api.js",
    "chart.js",
    "data.js",
    "dialog.js",
    "dom.js",
    "format.js",
    "heatmap.js",
    "history.js",
    "item.js",
    "items.js",
    "json.js",
    "live.js",
    "main.js",
    "operations.js",
    "router.js",
    "scale.js",
    "stream.js",
    "tables.js",
    "theme.js",
    "tiles.js",
    "token.js",
    "trees.js",
];

static ASSETS: LazyLock<HashMap<&'static str, Asset>> =
    LazyLock::new(|| FILES.iter().map(|&(name, content)| (name, Asset::new(name, content))).collect());

struct Asset {
    content: Bytes,
    content_type: HeaderValue,
    etag: HeaderValue,
}

impl Asset {
    fn new(name: &str, content: &'static [u8]) -> Self {
        let etag = format!("\"{:016x}\"", xxh3_64(content));
        Self {
            content: Bytes::from_static(content),
            content_type: HeaderValue::from_static(content_type(name)),
            etag: HeaderValue::try_from(etag).expect("hexadecimal digits in quotes"),
        }
    }

    fn answer(&self, request: &HeaderMap) -> Response {
        let headers = [
            (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (ETAG, self.etag.clone()),
            (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
            (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        ];
        if self.is_known(request) {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        (headers, [(CONTENT_TYPE, self.content_type.clone())], self.content.clone()).into_response()
    }

    /// Whether the client has this very content: `If-None-Match` is a list, compared weakly (RFC 9110, 13.1.2).
    fn is_known(&self, request: &HeaderMap) -> bool {
        request
            .get_all(IF_NONE_MATCH)
            .iter()
            .flat_map(|list| list.as_bytes().split(|&byte| byte == b','))
            .any(|tag| {
                let tag = tag.trim_ascii();
                tag == b"*" || tag.strip_prefix(b"W/").unwrap_or(tag) == self.etag.as_bytes()
            })
    }
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.') {
        Some((_, "html")) => "text/html; charset=utf-8",
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "js")) => "text/javascript; charset=utf-8",
        Some((_, "svg")) => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

/// `GET /`, the page, and `GET /assets/{file}`, what it loads; `HEAD` as well.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/", get(page)).route("/assets/{file}", get(asset))
}

async fn page(request: HeaderMap) -> Response {
    ASSETS[PAGE].answer(&request)
}

async fn asset(Path(file): Path<String>, request: HeaderMap) -> Result<Response, ApiError> {
    let asset = ASSETS
        .get(file.as_str())
        .ok_or_else(|| ApiError::not_found(format!("the dashboard has no file {file:?}; it begins at /")))?;
    Ok(asset.answer(&request))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    async fn ask(method: &str, path: &str, if_none_match: Option<&str>) -> (StatusCode, HeaderMap, Bytes) {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(tags) = if_none_match {
            request = request.header(IF_NONE_MATCH, tags);
        }
        let answer = routes::<()>().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (head, body) = answer.into_parts();
        (head.status, head.headers, body.collect().await.unwrap().to_bytes())
    }

    #[test]
    fn every_file_of_the_folder_is_embedded() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/assets");
        let mut found: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let mut embedded: Vec<&str> = FILES.iter().map(|&(name, _)| name).collect();
        found.sort();
        embedded.sort_unstable();
        assert_eq!(found, embedded);
    }

    #[test]
    fn files_refer_only_to_files_that_are_there() {
        for (name, content) in FILES {
            let text = std::str::from_utf8(content).unwrap();
            let own = text.split("/assets/").skip(1).map(|rest| rest.split('"').next().unwrap());
            let imports = text.split("from \"./").skip(1).map(|rest| rest.split('"').next().unwrap());
            for target in own.chain(imports) {
                assert!(ASSETS.contains_key(target), "{name} refers to {target}");
            }
            let elsewhere = text.replace("http://www.w3.org/", "");
            assert!(
                !elsewhere.contains("http://") && !elsewhere.contains("https://"),
                "{name} goes elsewhere"
            );
        }
    }

    #[test]
    fn no_module_makes_markup_of_data() {
        for (name, content) in FILES {
            let text = std::str::from_utf8(content).unwrap();
            for door in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
                assert!(!text.contains(door), "{name} uses {door}");
            }
        }
    }

    #[tokio::test]
    async fn the_page_is_sent_with_its_type_policy_and_tag() {
        let (status, headers, body) = ask("GET", "/", None).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(headers[CONTENT_TYPE], "text/html; charset=utf-8");
        assert_eq!(headers[CONTENT_SECURITY_POLICY], POLICY);
        assert_eq!(headers[CACHE_CONTROL], "no-cache");
        assert!(body.starts_with(b"<!doctype html>"));
        let (_, headers, _) = ask("GET", "/assets/main.js", None).await;
        assert_eq!(headers[CONTENT_TYPE], "text/javascript; charset=utf-8");
    }

    #[tokio::test]
    async fn known_content_is_not_sent_again() {
        let (_, headers, _) = ask("GET", "/assets/base.css", None).await;
        let tag = headers[ETAG].to_str().unwrap();
        for tags in [tag.to_string(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_string()] {
            let (status, headers, body) = ask("GET", "/assets/base.css", Some(&tags)).await;
            assert_eq!((status, body.len()), (StatusCode::NOT_MODIFIED, 0), "{tags}");
            assert_eq!(headers[ETAG], tag);
        }
        assert_eq!(ask("GET", "/assets/base.css", Some("\"other\"")).await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn head_sends_headers_alone() {
        let (status, headers, body) = ask("HEAD", "/", None).await;
        assert_eq!((status, body.len()), (StatusCode::OK, 0));
        assert!(headers.contains_key(ETAG));
    }

    #[tokio::test]
    async fn nothing_outside_the_folder_can_be_reached() {
        for path in ["/assets/none.js", "/assets/..%2fCargo.toml", "/assets/%2e%2e", "/assets/index.html%00"]
        {
            let (status, _, body) = ask("GET", path, None).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
            assert!(body.starts_with(b"{\"error\":"), "{path}");
        }
    }
}

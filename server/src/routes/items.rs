//! One item: `PUT`, `GET`, `DELETE /api/v1/tables/{table}/items/{key}`.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, ETAG};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::request::{ItemOf, OnlyConsistency, Parameters, read};
use crate::app::App;
use crate::document::compact;
use crate::engine::{Consistency, Deleted, Etag, Precondition};
use crate::error::ApiError;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Put {
    #[serde(default)]
    consistency: Consistency,
    /// Check the request as if it were to be done, and do nothing.
    #[serde(default)]
    dry_run: bool,
}

pub(super) async fn put(
    State(app): State<App>,
    ItemOf { table, key }: ItemOf,
    Parameters(parameters): Parameters<Put>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let precondition = Precondition::from_headers(&headers)?;
    let body = read(&headers, body, app.limits.body).await?;
    let item = compact(&body)?;
    if parameters.dry_run {
        return Ok(acknowledged(&key, "dry run: nothing was stored", Some(&Etag::of(&item))));
    }
    let consistency = parameters.consistency;
    if !app.engine.put(&table, key.as_bytes(), &item, &precondition, consistency).await? {
        return Err(not_met(&key));
    }
    Ok(acknowledged(&key, "item stored", Some(&Etag::of(&item))))
}

pub(super) async fn get(
    State(app): State<App>,
    ItemOf { table, key }: ItemOf,
    Parameters(parameters): Parameters<OnlyConsistency>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let precondition = Precondition::from_headers(&headers)?;
    let Some(item) = app.engine.get(&table, key.as_bytes(), parameters.consistency).await? else {
        return Err(missing(&key));
    };
    let etag = Etag::of(&item);
    if !precondition.holds(Some(&item)) {
        return match precondition {
            Precondition::Absent | Precondition::Differs(_) => {
                Ok((StatusCode::NOT_MODIFIED, [(ETAG, header(&etag))]).into_response())
            }
            _ => Err(not_met(&key)),
        };
    }
    let mut body = Vec::with_capacity(key.len() + item.len() + 24);
    write_item(&mut body, &key, &item);
    Ok(json_body(body, Some(&etag)))
}

pub(super) async fn delete(
    State(app): State<App>,
    ItemOf { table, key }: ItemOf,
    Parameters(parameters): Parameters<OnlyConsistency>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let precondition = Precondition::from_headers(&headers)?;
    match app.engine.delete(&table, key.as_bytes(), &precondition, parameters.consistency).await? {
        Deleted::Removed => Ok(Json(json!({ "message": "item deleted" })).into_response()),
        Deleted::Missing => Err(missing(&key)),
        Deleted::Refused => Err(not_met(&key)),
    }
}

fn missing(key: &str) -> ApiError {
    ApiError::not_found(format!("there is no item with the key {key:?}"))
}

fn not_met(key: &str) -> ApiError {
    let message = format!("the item {key:?} is not what the request expects; read it again");
    ApiError::new(StatusCode::PRECONDITION_FAILED, message)
}

fn acknowledged(key: &str, message: &str, etag: Option<&Etag>) -> Response {
    let mut body = Vec::with_capacity(key.len() + message.len() + 24);
    body.extend_from_slice(b"{\"key\":");
    write_string(&mut body, key);
    body.extend_from_slice(b",\"message\":");
    write_string(&mut body, message);
    body.push(b'}');
    json_body(body, etag)
}

fn json_body(body: Vec<u8>, etag: Option<&Etag>) -> Response {
    let mut response = Response::new(Body::from(Bytes::from(body)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(etag) = etag {
        response.headers_mut().insert(ETAG, header(etag));
    }
    response
}

fn header(etag: &Etag) -> HeaderValue {
    HeaderValue::from_str(etag.as_str()).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

/// Appends `{"key":...,"item":...}`. The item is JSON already.
pub(super) fn write_item(body: &mut Vec<u8>, key: &str, item: &[u8]) {
    body.extend_from_slice(b"{\"key\":");
    write_string(body, key);
    body.extend_from_slice(b",\"item\":");
    body.extend_from_slice(item);
    body.push(b'}');
}

/// Appends a text as a JSON string.
pub(super) fn write_string(body: &mut Vec<u8>, text: &str) {
    // Writing a string to a vector has no way to fail.
    let _ = serde_json::to_writer(body, text);
}

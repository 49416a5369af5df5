//! What handlers take out of a request.

use axum::body::Body;
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::header::CONTENT_LENGTH;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use tree::Table;

use crate::app::App;
use crate::engine::Consistency;
use crate::error::ApiError;

/// The name in the path, of a table that need not exist.
pub(super) struct NameOf(pub(super) String);

/// The table that the path names.
pub(super) struct TableOf(pub(super) Table);

/// The table and the key that the path names.
pub(super) struct ItemOf {
    pub(super) table: Table,
    pub(super) key: String,
}

/// The parameters behind the question mark. One that is unknown is an error: a mistyped `limit` must not mean "all".
pub(super) struct Parameters<T>(pub(super) T);

async fn path<T: DeserializeOwned + Send>(parts: &mut Parts, app: &App) -> Result<T, ApiError> {
    let path = Path::<T>::from_request_parts(parts, app).await;
    path.map(|Path(path)| path).map_err(|rejection| {
        ApiError::bad_request(format!("the path cannot be read: {}", rejection.body_text()))
    })
}

impl FromRequestParts<App> for NameOf {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        path(parts, app).await.map(Self)
    }
}

impl FromRequestParts<App> for TableOf {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let NameOf(name) = NameOf::from_request_parts(parts, app).await?;
        Ok(Self(app.engine.table(&name)?))
    }
}

impl FromRequestParts<App> for ItemOf {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let (name, key): (String, String) = path(parts, app).await?;
        Ok(Self { table: app.engine.table(&name)?, key })
    }
}

impl<T: DeserializeOwned> FromRequestParts<App> for Parameters<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        let query = Query::<T>::try_from_uri(&parts.uri);
        query.map(|Query(parameters)| Self(parameters)).map_err(|rejection| {
            ApiError::bad_request(format!("the parameters cannot be read: {}", rejection.body_text()))
        })
    }
}

impl<'de> Deserialize<'de> for Consistency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "strong" => Ok(Consistency::Strong),
            "eventual" | "" => Ok(Consistency::Eventual),
            other => Err(serde::de::Error::custom(format!(
                "consistency {other:?} is unknown: it is strong or eventual"
            ))),
        }
    }
}

/// Parameters of a call that knows only this one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OnlyConsistency {
    #[serde(default)]
    pub(super) consistency: Consistency,
}

/// The whole body of a request.
///
/// # Errors
/// 413: it has, or says that it has, more than `limit` bytes. 400: it ended too early.
pub(super) async fn read(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, ApiError> {
    let too_large = || {
        let message = format!("the body has more than {limit} bytes, the most that is taken here");
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    };
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    match Limited::new(body, limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(error) => Err(ApiError::bad_request(format!("the body could not be read: {error}"))),
    }
}

//! What a request is answered when it cannot be done: always `{"error": "..."}` and a status that says whose turn it is.

use std::borrow::Cow;

use axum::Json;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// A refusal or a failure, as the client gets it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ApiError {
    /// The status.
    pub status: StatusCode,
    /// What, where, what to do.
    pub message: Cow<'static, str>,
    /// When to come back, in seconds.
    pub retry_after: Option<u32>,
}

impl ApiError {
    /// An error of that status.
    pub fn new(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, message: message.into(), retry_after: None }
    }

    /// 400: the request is wrong.
    pub fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 404: there is nothing of that name.
    pub fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// 503: not now. The client may come back after a second.
    pub fn busy(message: impl Into<Cow<'static, str>>) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, message: message.into(), retry_after: Some(1) }
    }

    /// 500: the server's own trouble.
    pub fn internal(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(json!({ "error": self.message }))).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<tree::Error> for ApiError {
    fn from(error: tree::Error) -> Self {
        use tree::Error;
        let status = match &error {
            Error::KeyLength { .. } | Error::TableName { .. } | Error::BatchKeyTwice { .. } => {
                StatusCode::BAD_REQUEST
            }
            Error::NoTable { .. } | Error::TableDropped { .. } => StatusCode::NOT_FOUND,
            Error::TableExists { .. } => StatusCode::CONFLICT,
            Error::ValueTooLarge { .. } | Error::BatchTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Error::Closed
            | Error::PoolExhausted { .. }
            | Error::BackupRunning
            | Error::BackupGivenUp { .. }
            | Error::Log(wal::Error::Full { .. } | wal::Error::Closed) => {
                return Self::busy(error.to_string());
            }
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_says_when_to_come_back() {
        let full = tree::Error::Log(wal::Error::Full { bytes: 2, limit: 1 });
        for passing in [full, tree::Error::BackupRunning] {
            let response = ApiError::from(passing).into_response();
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(response.headers()[RETRY_AFTER], "1");
        }
    }

    #[test]
    fn each_refusal_of_the_engine_has_its_status() {
        let table = || "users".to_string();
        let cases = [
            (tree::Error::NoTable { name: table() }, 404),
            (tree::Error::TableExists { name: table() }, 409),
            (tree::Error::KeyLength { len: 0, max: 1024 }, 400),
            (tree::Error::ValueTooLarge { len: 2, max: 1 }, 413),
            (tree::Error::Damaged { file: table(), page: 3, reason: "torn".into() }, 500),
        ];
        for (error, status) in cases {
            assert_eq!(ApiError::from(error.clone()).status.as_u16(), status, "{error}");
        }
    }
}

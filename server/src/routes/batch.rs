//! `POST /api/v1/tables/{table}/batch`: several operations by one request.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::items::write_string;
use super::request::{OnlyConsistency, Parameters, TableOf, read};
use crate::app::App;
use crate::document::compact_value;
use crate::engine::{Operation, Outcome};
use crate::error::ApiError;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request<'b> {
    #[serde(borrow)]
    operations: Vec<Requested<'b>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Requested<'b> {
    op: Verb,
    key: String,
    #[serde(borrow)]
    item: Option<&'b RawValue>,
}

#[derive(Clone, Copy, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Verb {
    Put,
    Get,
    Delete,
}

pub(super) async fn batch(
    State(app): State<App>,
    TableOf(table): TableOf,
    Parameters(parameters): Parameters<OnlyConsistency>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let body = read(&headers, body, app.limits.batch_body).await?;
    let request: Request<'_> = serde_json::from_slice(&body)
        .map_err(|error| ApiError::bad_request(format!("the body is no batch: {error}")))?;
    let operation = |(index, requested)| operation(index, requested, app.limits.body);
    let operations: Vec<Operation> =
        request.operations.into_iter().enumerate().map(operation).collect::<Result<_, _>>()?;
    let keys: Vec<String> = operations.iter().map(|operation| operation.key().to_string()).collect();
    let outcomes = app.engine.batch(&table, operations, parameters.consistency).await?;
    let mut response = Response::new(Body::from(results(&keys, &outcomes)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

fn operation(index: usize, requested: Requested<'_>, max_item: usize) -> Result<Operation, ApiError> {
    let message = |why: &str| format!("operation {index}, key {:?}: {why}", requested.key);
    let refuse = |why: &str| ApiError::bad_request(message(why));
    match (requested.op, requested.item) {
        (Verb::Put, None) => Err(refuse("a put needs an item")),
        (Verb::Put, Some(item)) if item.get().len() > max_item => {
            let why = format!("its item has {} bytes, and {max_item} are the most", item.get().len());
            Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, message(&why)))
        }
        (Verb::Put, Some(item)) => {
            let item = compact_value(item).map_err(|error| refuse(&error.message))?.into_owned();
            Ok(Operation::Put { key: requested.key, item })
        }
        (_, Some(_)) => Err(refuse("only a put has an item")),
        (Verb::Get, None) => Ok(Operation::Get { key: requested.key }),
        (Verb::Delete, None) => Ok(Operation::Delete { key: requested.key }),
    }
}

fn results(keys: &[String], outcomes: &[Outcome]) -> Vec<u8> {
    let mut body = b"{\"results\":[".to_vec();
    for (index, (key, outcome)) in keys.iter().zip(outcomes).enumerate() {
        body.extend_from_slice(if index == 0 { b"{\"key\":" } else { b",{\"key\":" });
        write_string(&mut body, key);
        let status: &[u8] =
            if *outcome == Outcome::Missing { b",\"status\":404" } else { b",\"status\":200" };
        body.extend_from_slice(status);
        if let Outcome::Found(item) = outcome {
            body.extend_from_slice(b",\"item\":");
            body.extend_from_slice(item);
        }
        body.push(b'}');
    }
    body.extend_from_slice(b"]}");
    body
}

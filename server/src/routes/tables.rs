//! Tables: create, list, drop, count.

use std::time::{Duration, UNIX_EPOCH};

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::request::{NameOf, TableOf, read};
use crate::app::App;
use crate::error::ApiError;

#[derive(Deserialize)]
struct Create {
    name: Option<String>,
}

pub(super) async fn create(
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let body = read(&headers, body, app.limits.body).await?;
    let create: Create = serde_json::from_slice(&body)
        .map_err(|error| ApiError::bad_request(format!("the body is not {{\"name\": ...}}: {error}")))?;
    let name = create.name.ok_or_else(|| ApiError::bad_request("the table's name is missing"))?;
    let new = name.clone();
    app.engine.blocking(move |database| database.create_table(&new).map(drop)).await?;
    Ok((StatusCode::CREATED, Json(json!({ "name": name, "message": "table created" }))))
}

#[derive(Serialize)]
pub(super) struct Listed {
    name: String,
    created_at: String,
    item_count: u64,
}

pub(super) async fn list(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    let mut tables = Vec::new();
    for info in app.engine.database().tables() {
        // A table that is dropped meanwhile is not one any more.
        let Ok(table) = app.engine.table(&info.name) else { continue };
        let created_at = UNIX_EPOCH + Duration::from_millis(info.created_at_ms);
        tables.push(Listed {
            name: info.name,
            created_at: humantime::format_rfc3339_millis(created_at).to_string(),
            item_count: app.engine.count(&table).await?,
        });
    }
    Ok(Json(json!({ "tables": tables })))
}

pub(super) async fn remove(State(app): State<App>, NameOf(name): NameOf) -> Result<Json<Value>, ApiError> {
    let dropped = name.clone();
    app.engine.blocking(move |database| database.drop_table(&dropped)).await?;
    app.metrics.forget_table(&name);
    Ok(Json(json!({ "message": format!("table {name} deleted") })))
}

pub(super) async fn count(State(app): State<App>, TableOf(table): TableOf) -> Result<Json<Value>, ApiError> {
    Ok(Json(json!({ "count": app.engine.count(&table).await? })))
}

//! The node, and the cluster as far as a single node is one.

use std::collections::BTreeMap;
use std::time::SystemTime;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::app::App;
use crate::error::ApiError;

pub(super) async fn health() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

pub(super) async fn ready(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    if app.stopping.is_cancelled() {
        return Err(ApiError::busy("the node is stopping"));
    }
    let health = app.engine.database().health();
    health.map_err(|error| ApiError::busy(format!("the node takes no writes: {error}")))?;
    Ok(Json(json!({ "status": "ok" })))
}

pub(super) async fn config(State(app): State<App>) -> Json<Value> {
    Json(app.config.clone())
}

pub(super) async fn status(State(app): State<App>) -> Json<Value> {
    Json(json!({
        "node_id": app.node.id,
        "bind_addr": app.node.bind,
        "replication_n": 1,
        "read_quorum": 1,
        "write_quorum": 1,
        "total_nodes": 1,
        "ring_size": app.node.partitions,
        "nodes": [this_node(&app)],
    }))
}

pub(super) async fn nodes(State(app): State<App>) -> Json<Value> {
    Json(json!({ "nodes": [this_node(&app)] }))
}

pub(super) async fn add(State(app): State<App>) -> ApiError {
    let message = format!("node {} serves alone: it cannot take other nodes in", app.node.id);
    ApiError::new(StatusCode::CONFLICT, message)
}

pub(super) async fn table_counts(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    let mut counts = BTreeMap::new();
    for info in app.engine.database().tables() {
        let Ok(table) = app.engine.table(&info.name) else { continue };
        counts.insert(info.name, BTreeMap::from([(&app.node.id, app.engine.count(&table).await?)]));
    }
    Ok(Json(json!(counts)))
}

/// Status 0 is "alive".
fn this_node(app: &App) -> Value {
    let now = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
    json!({ "id": app.node.id, "addr": app.node.addr, "status": 0, "last_seen": now })
}

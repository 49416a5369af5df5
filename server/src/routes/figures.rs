//! Figures: for Prometheus, as one snapshot, and live.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt};
use tokio_stream::wrappers::WatchStream;

use crate::app::App;
use crate::error::ApiError;
use crate::metrics::CONTENT_TYPE as METRICS_TYPE;

pub(super) async fn metrics(State(app): State<App>) -> Response {
    ([(CONTENT_TYPE, METRICS_TYPE)], app.metrics.render()).into_response()
}

pub(super) async fn stats(State(app): State<App>) -> Response {
    let snapshot: Arc<str> = app.snapshots.borrow().clone();
    ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")], snapshot.to_string()).into_response()
}

/// A snapshot a second, until the client goes or the node stops.
pub(super) async fn events(
    State(app): State<App>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let permit = app.streams.clone().try_acquire_owned();
    let permit = permit.map_err(|_| ApiError::busy("too many streams are open"))?;
    let snapshots = WatchStream::new(app.snapshots.clone()).map(move |snapshot| {
        let _held = &permit;
        Ok(Event::default().event("stats").data(&*snapshot))
    });
    let stopping = app.stopping.clone();
    let until_stop = snapshots.take_until(async move { stopping.cancelled().await });
    Ok(Sse::new(until_stop).keep_alive(KeepAlive::default()))
}

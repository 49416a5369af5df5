//! Check, backup and restore, each beside whoever reads and writes; one of them at a time.

use std::io;
use std::path::Path;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::TryStreamExt;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::io::{StreamReader, SyncIoBridge};

use super::request::Parameters;
use crate::app::App;
use crate::archive::{CHECK_PREFIX, ChannelWriter, RESTORE_PREFIX, TarSink, unpack};
use crate::error::ApiError;
use crate::restore;

/// Pieces of an archive between the thread that makes it and the connection.
const PIECES_UNDER_WAY: usize = 4;

/// Verifies every tree of a copy of the database as of now.
pub(super) async fn check(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    let alone = alone(&app)?;
    let folder =
        tempfile::Builder::new().prefix(CHECK_PREFIX).tempdir_in(&app.data_dir).map_err(|error| {
            ApiError::internal(format!("cannot make a folder for the copy to check: {error}"))
        })?;
    let (clean, text) = app
        .engine
        .blocking(move |database| {
            // Held to the end of the work, not only as long as somebody waits for it.
            let _alone = alone;
            database.backup(&mut tree::FolderSink::new(folder.path())?)?;
            let report = tree::check::check(folder.path())?;
            Ok((report.is_clean(), report.to_string()))
        })
        .await?;
    Ok(Json(json!({ "clean": clean, "text": text })))
}

/// Streams a copy of the database as of the stream's end, as a tar archive.
pub(super) async fn backup(State(app): State<App>) -> Result<Response, ApiError> {
    let alone = alone(&app)?;
    let (sender, receiver) = mpsc::channel(PIECES_UNDER_WAY);
    let database = app.engine.database().clone();
    tokio::task::spawn_blocking(move || {
        let _alone = alone;
        let mut sink = TarSink::new(ChannelWriter::new(sender.clone()));
        let copied = database.backup(&mut sink).map_err(io::Error::other);
        if let Err(error) = copied.and_then(|_| sink.finish()) {
            tracing::warn!(%error, "a backup was not finished");
            // Cuts the connection off, so that the client does not take a part for the whole. It may be gone itself.
            let _ = sender.blocking_send(Err(error));
        }
    });
    let headers = [
        (CONTENT_TYPE, "application/x-tar"),
        (CONTENT_DISPOSITION, "attachment; filename=\"hedgehogdb.tar\""),
    ];
    Ok((headers, Body::from_stream(ReceiverStream::new(receiver))).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Restore {
    /// Drop tables that are there already and are in the backup, too.
    #[serde(default)]
    replace: bool,
}

/// Adds the tables of a backup to the database.
pub(super) async fn restore(
    State(app): State<App>,
    Parameters(Restore { replace }): Parameters<Restore>,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    let alone = alone(&app)?;
    let folder = tempfile::Builder::new()
        .prefix(RESTORE_PREFIX)
        .tempdir_in(&app.data_dir)
        .map_err(|error| ApiError::internal(format!("cannot make a folder for the backup: {error}")))?;
    let reader = StreamReader::new(body.into_data_stream().map_err(io::Error::other));
    let reader = SyncIoBridge::new(reader);
    let database = app.engine.database().clone();
    let restored = tokio::task::spawn_blocking(move || {
        let _alone = alone;
        unpack(reader, folder.path()).map_err(|error| {
            ApiError::bad_request(format!("the body is no backup of this program: {error}"))
        })?;
        verify(folder.path())?;
        restore::tables(folder.path(), &database, replace)
    });
    let restored = restored.await.map_err(|error| ApiError::internal(error.to_string()))??;
    Ok(Json(json!({ "tables": restored })))
}

/// Refuses a backup that is damaged anywhere, before anything is changed.
fn verify(folder: &Path) -> Result<(), ApiError> {
    let refuse = |what: String| {
        let what = what.replace(&format!("{}/", folder.display()), "");
        ApiError::bad_request(format!("the backup is damaged, and nothing was changed: {what}"))
    };
    let report = tree::check::check(folder).map_err(|error| refuse(error.to_string()))?;
    if report.is_clean() { Ok(()) } else { Err(refuse(report.to_string())) }
}

/// The permit to copy the whole database, which is given to one request at a time.
fn alone(app: &App) -> Result<OwnedSemaphorePermit, ApiError> {
    let permit = app.maintenance.clone().try_acquire_owned();
    permit.map_err(|_| ApiError::busy("another check, backup or restore is under way"))
}

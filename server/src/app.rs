//! What every request handler can reach.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;
use crate::guard::Gauges;
use crate::metrics::Metrics;

/// How many answers may be streamed at once (scans, events, backups): each holds a buffer and an iterator.
pub const MAX_STREAMS: usize = 256;

/// A node's parts, shared by all handlers. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// See [`App`].
pub struct Parts {
    /// The database.
    pub engine: Engine,
    /// Who this node is.
    pub node: Node,
    /// Sizes of what a request may carry.
    pub limits: Limits,
    /// The effective configuration, without secrets.
    pub config: serde_json::Value,
    /// Where the database lies.
    pub data_dir: PathBuf,
    /// What Prometheus scrapes.
    pub metrics: Arc<Metrics>,
    /// What is going on at this moment.
    pub gauges: Arc<Gauges>,
    /// The newest snapshot of all figures, as JSON.
    pub snapshots: watch::Receiver<Arc<str>>,
    /// Cancelled when the node is told to stop: streams that have no end of their own end then.
    pub stopping: CancellationToken,
    /// Permits for [`MAX_STREAMS`] streamed answers.
    pub streams: Arc<Semaphore>,
    /// The permit to copy the whole database: one.
    pub maintenance: Arc<Semaphore>,
}

/// Who a node is.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its name.
    pub id: String,
    /// Host and port that it listens on.
    pub bind: String,
    /// Host and port that clients reach it by.
    pub addr: String,
    /// Partitions of a new table.
    pub partitions: u32,
}

/// The largest bodies of requests, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of an item, or of any other request that is not named here.
    pub body: usize,
    /// Of a batch.
    pub batch_body: usize,
}

impl App {
    /// An application of these parts.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

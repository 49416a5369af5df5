//! What the node tells about itself: to Prometheus, and as one snapshot a second to its dashboard.
//!
//! Every request is observed once ([`Metrics::observe`]): it counts in a series of its labels (`requests.rs`) and in
//! the latency histogram of its operation (`latency.rs`). The engine counts for itself; its counters are read when
//! somebody asks: at a scrape (`export.rs`), and once a second by the [`Sampler`], which turns the differences into
//! rates (`snapshot.rs`). Cumulative counters are for Prometheus, which takes differences itself; rates are for
//! whoever looks at the node alone.

mod export;
mod latency;
mod process;
mod requests;
mod sampler;
mod snapshot;

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use tree::{Database, PartitionShape};

use crate::guard::Gauges;
use latency::Recorder;
use requests::Requests;

pub use sampler::Sampler;
pub use snapshot::{LevelSnapshot, LogSnapshot, OperationSnapshot, PartitionSnapshot, PoolSnapshot};
pub use snapshot::{Snapshot, TableSnapshot};

/// The content type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What never changes about a node while it runs.
#[derive(Clone, Debug)]
pub struct NodeFacts {
    /// Its name.
    pub node_id: String,
    /// The preset that its settings began with.
    pub preset: String,
    /// The protocol of its trees.
    pub engine: String,
    /// When a group commit flushes.
    pub commit: String,
    /// Partitions of a new table.
    pub partitions: u32,
}

/// All figures of a node. Shared by whoever counts and whoever asks.
#[derive(Debug)]
pub struct Metrics {
    requests: Arc<Requests>,
    latency: Recorder,
    engine: Arc<Engine>,
    registry: Registry,
}

/// Where figures are read that are counted elsewhere.
#[derive(Debug)]
struct Engine {
    database: Arc<Database>,
    gauges: Arc<Gauges>,
    facts: NodeFacts,
    started: Instant,
    /// The shapes of all trees, as the sampler saw them last: to look at them at every scrape would cost latches.
    shapes: Mutex<Arc<[PartitionShape]>>,
}

impl Metrics {
    /// The figures of a node that begins now.
    pub fn new(database: Arc<Database>, gauges: Arc<Gauges>, facts: NodeFacts) -> Self {
        let requests = Arc::new(Requests::default());
        let shapes = Mutex::new(Arc::from([]));
        let engine = Arc::new(Engine { database, gauges, facts, started: Instant::now(), shapes });
        let mut registry = Registry::default();
        registry.register_collector(Box::new(requests.clone()));
        registry.register_collector(Box::new(export::Exporter(engine.clone())));
        registry.register_collector(Box::new(process::Process));
        Self { requests, latency: Recorder::default(), engine, registry }
    }

    /// Counts a request that was answered with `status` after `elapsed`.
    ///
    /// `table` must name a table that exists, or be empty: each name is a time series for whoever scrapes.
    /// Allocates only for labels that were not seen before.
    pub fn observe(
        &self,
        operation: &'static str,
        method: &'static str,
        status: u16,
        table: &str,
        elapsed: Duration,
    ) {
        let kind = requests::Kind { method, operation, status: requests::status_class(status) };
        self.requests.observe(kind, table, elapsed);
        self.latency.record(operation, status >= 500, elapsed);
    }

    /// Forgets the series of a table that was dropped.
    pub fn forget_table(&self, table: &str) {
        self.requests.forget_table(table);
    }

    /// All figures in the OpenMetrics text format, see [`CONTENT_TYPE`].
    pub fn render(&self) -> String {
        let mut text = String::with_capacity(16 << 10);
        // Writing to a string does not fail, and no collector makes an error of its own.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}

impl Engine {
    fn shapes(&self) -> Arc<[PartitionShape]> {
        self.shapes.lock().clone()
    }
}

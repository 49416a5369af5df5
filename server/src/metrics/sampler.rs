//! Once a second: reads all counters, and publishes what changed as rates.
//!
//! A thread of its own: snapshots must keep coming while the runtime and its pool for blocking work are busy, because
//! that is when somebody looks at them.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use tree::{LevelShape, LevelStats, PartitionShape, PartitionStats, Stats};

use super::latency::Taken;
use super::snapshot::{
    LevelSnapshot, LogSnapshot, OperationSnapshot, PartitionSnapshot, PoolSnapshot, Snapshot, TableSnapshot,
};
use super::{Engine, Metrics};

/// Time between two snapshots.
const INTERVAL: Duration = Duration::from_secs(1);
/// Snapshots between two looks at the shapes of the trees, which cost latches.
const SNAPSHOTS_A_SHAPE: u64 = 5;

/// The thread that takes snapshots. Ends when this is dropped.
#[derive(Debug)]
pub struct Sampler {
    snapshots: watch::Receiver<Arc<str>>,
    thread: Option<(mpsc::Sender<()>, JoinHandle<()>)>,
}

impl Sampler {
    /// Takes a first snapshot, and one a second from then on.
    ///
    /// # Errors
    /// The thread could not be started.
    pub fn start(metrics: Arc<Metrics>) -> io::Result<Self> {
        let mut before = Reading::now(&metrics.engine);
        metrics.engine.look_at_shapes();
        let (sender, snapshots) = watch::channel(json(&snapshot(&metrics, &before, &before)));
        let (stop, stopped) = mpsc::channel();
        let run = move || {
            let mut due = before.at + INTERVAL;
            for tick in 1_u64.. {
                let wait = due.saturating_duration_since(Instant::now());
                if stopped.recv_timeout(wait) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
                if tick.is_multiple_of(SNAPSHOTS_A_SHAPE) {
                    metrics.engine.look_at_shapes();
                }
                let now = Reading::now(&metrics.engine);
                metrics.requests.keep_tables(|name| metrics.engine.database.table(name).is_some());
                sender.send_replace(json(&snapshot(&metrics, &before, &now)));
                // Snapshots that could not be taken in time are left out, not made up for.
                due = (due + INTERVAL).max(now.at + INTERVAL / 2);
                before = now;
            }
        };
        let thread = std::thread::Builder::new().name("sampler".into()).spawn(run)?;
        Ok(Self { snapshots, thread: Some((stop, thread)) })
    }

    /// The newest snapshot, as JSON, and notice of each new one.
    pub fn snapshots(&self) -> watch::Receiver<Arc<str>> {
        self.snapshots.clone()
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.thread.take() {
            drop(stop);
            // A thread that has panicked has nothing left to stop.
            let _ = thread.join();
        }
    }
}

impl Engine {
    fn look_at_shapes(&self) {
        let shapes = self.database.shapes().into();
        *self.shapes.lock() = shapes;
    }
}

/// All counters at one moment.
#[derive(Debug)]
struct Reading {
    at: Instant,
    stats: Stats,
    shed: u64,
    /// By table and number.
    partitions: Vec<PartitionStats>,
}

impl Reading {
    fn now(engine: &Engine) -> Self {
        Self {
            at: Instant::now(),
            stats: engine.database.stats(),
            shed: engine.gauges.shed.load(Ordering::Relaxed),
            partitions: engine.database.partitions(),
        }
    }
}

/// Differences of counters, by second.
#[derive(Clone, Copy, Debug)]
struct Rates {
    elapsed_s: f64,
}

impl Rates {
    /// Of a counter that began anew meanwhile (a table was dropped and made again), nothing is known: 0.
    fn of(self, now: u64, before: u64) -> f64 {
        if self.elapsed_s > 0.0 { now.saturating_sub(before) as f64 / self.elapsed_s } else { 0.0 }
    }

    fn ms(self, now_ns: u64, before_ns: u64) -> f64 {
        self.of(now_ns, before_ns) / 1e6
    }
}

fn json(snapshot: &Snapshot) -> Arc<str> {
    // Numbers, strings and maps with strings for keys: there is nothing that JSON could not hold.
    serde_json::to_string(snapshot).unwrap_or_default().into()
}

fn snapshot(metrics: &Metrics, before: &Reading, now: &Reading) -> Snapshot {
    let engine = &metrics.engine;
    let facts = &engine.facts;
    let rates = Rates { elapsed_s: (now.at - before.at).as_secs_f64() };
    let (log, log_before) = (&now.stats.log, &before.stats.log);
    let (pool, pool_before) = (&now.stats.pool, &before.stats.pool);
    let flushes = log.groups.saturating_sub(log_before.groups);
    let commits = log.served.saturating_sub(log_before.served);
    Snapshot {
        time_ms: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_millis() as u64),
        node_id: facts.node_id.clone(),
        version: env!("CARGO_PKG_VERSION"),
        preset: facts.preset.clone(),
        engine: facts.engine.clone(),
        commit: facts.commit.clone(),
        partitions: facts.partitions,
        uptime_s: now.at.saturating_duration_since(engine.started).as_secs_f64(),
        operations: metrics
            .latency
            .take()
            .into_iter()
            .map(|(name, taken)| (name, operation(taken, rates)))
            .collect(),
        in_flight: engine.gauges.in_flight.load(Ordering::Relaxed),
        connections: engine.gauges.connections.load(Ordering::Relaxed),
        shed_rate: rates.of(now.shed, before.shed),
        log: LogSnapshot {
            flush_rate: rates.of(log.groups, log_before.groups),
            commit_rate: rates.of(log.served, log_before.served),
            group_mean: if flushes > 0 { commits as f64 / flushes as f64 } else { 0.0 },
            byte_rate: rates.of(log.synced_bytes, log_before.synced_bytes),
            append_rate: rates.of(log.appends, log_before.appends),
        },
        pool: PoolSnapshot {
            frames: pool.frames,
            hit_rate: rates.of(pool.hits, pool_before.hits),
            miss_rate: rates.of(pool.misses, pool_before.misses),
            eviction_rate: rates.of(pool.evictions, pool_before.evictions),
            written_rate: rates.of(pool.written_pages, pool_before.written_pages),
            latch_wait_rate: rates.of(pool.latch_waits, pool_before.latch_waits),
        },
        checkpoints: now.stats.checkpoints,
        tables: tables(engine, before, now, rates),
    }
}

fn operation(taken: Taken, rates: Rates) -> OperationSnapshot {
    OperationSnapshot {
        rate: rates.of(taken.count, 0),
        error_rate: rates.of(taken.errors, 0),
        p50_ms: taken.p50_ms,
        p95_ms: taken.p95_ms,
        p99_ms: taken.p99_ms,
        max_ms: taken.max_ms,
    }
}

fn tables(engine: &Engine, before: &Reading, now: &Reading, rates: Rates) -> Vec<TableSnapshot> {
    let before: HashMap<_, _> =
        before.partitions.iter().map(|of| ((of.table.as_str(), of.partition), of)).collect();
    let shapes = engine.shapes();
    let shapes: HashMap<_, _> =
        shapes.iter().map(|of: &PartitionShape| ((of.table.as_str(), of.partition), &*of.levels)).collect();
    let of_one_table = now.partitions.chunk_by(|one, next| one.table == next.table);
    let tables = of_one_table.map(|partitions| TableSnapshot {
        name: partitions.first().map(|of| of.table.clone()).unwrap_or_default(),
        items: partitions.iter().map(|of| of.items).sum(),
        partitions: partitions
            .iter()
            .map(|of| {
                let key = (of.table.as_str(), of.partition);
                partition(of, before.get(&key).copied(), shapes.get(&key).copied().unwrap_or_default(), rates)
            })
            .collect(),
    });
    tables.collect()
}

fn partition(
    now: &PartitionStats,
    before: Option<&PartitionStats>,
    shapes: &[LevelShape],
    rates: Rates,
) -> PartitionSnapshot {
    let new = PartitionStats::default();
    let before = before.unwrap_or(&new);
    let levels = now.levels.iter().enumerate().map(|(level, stats)| {
        let before = before.levels.get(level).copied().unwrap_or_default();
        level_snapshot(*stats, before, shapes.get(level).copied().unwrap_or_default(), rates)
    });
    let levels: Vec<_> = levels.collect();
    PartitionSnapshot {
        items: now.items,
        pages: now.pages,
        split_rate: rates.of(now.splits, before.splits),
        merge_rate: rates.of(now.merges, before.merges),
        restart_rate: levels.iter().map(|level| level.restarts).sum(),
        lock_wait_ms: rates.ms(now.lock_wait_ns, before.lock_wait_ns),
        levels,
    }
}

fn level_snapshot(now: LevelStats, before: LevelStats, shape: LevelShape, rates: Rates) -> LevelSnapshot {
    LevelSnapshot {
        nodes: shape.nodes,
        fill: shape.fill,
        latch_wait_ms: rates.ms(now.latch_wait_ns, before.latch_wait_ns),
        latch_waits: rates.of(now.latch_waits, before.latch_waits),
        restarts: rates.of(now.restarts, before.restarts),
    }
}

//! What a writer counts and times, and the sum over all writers of a phase.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::latency;
use crate::mix::Operation;

/// One writer's counts and latencies (nanoseconds, three significant digits, up to a minute).
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    /// Acknowledged puts of new keys.
    pub(crate) inserts: u64,
    /// Acknowledged puts of existing keys.
    pub(crate) updates: u64,
    /// Acknowledged deletes.
    pub(crate) deletes: u64,
    /// Gets.
    pub(crate) reads: u64,
    /// Gets that found their key.
    pub(crate) reads_found: u64,
    /// From the call to the acknowledgement of a write.
    pub(crate) write_latency: Histogram<u64>,
    /// From the call to the value of a get.
    pub(crate) read_latency: Histogram<u64>,
    /// When the first operation began.
    pub(crate) began: Instant,
    /// When the last one ended.
    pub(crate) ended: Instant,
}

impl Recorder {
    /// Nothing yet; time runs from now.
    pub(crate) fn new() -> Recorder {
        let now = Instant::now();
        Recorder {
            inserts: 0,
            updates: 0,
            deletes: 0,
            reads: 0,
            reads_found: 0,
            write_latency: latency::histogram(),
            read_latency: latency::histogram(),
            began: now,
            ended: now,
        }
    }

    /// Counts an operation that took from `start` until now, and returns now.
    pub(crate) fn record(&mut self, operation: Operation, start: Instant) -> Instant {
        let now = Instant::now();
        let nanos = now.duration_since(start).as_nanos() as u64;
        match operation {
            Operation::Read => {
                self.reads += 1;
                self.read_latency.saturating_record(nanos);
            }
            write => {
                match write {
                    Operation::Insert => self.inserts += 1,
                    Operation::Update => self.updates += 1,
                    _ => self.deletes += 1,
                }
                self.write_latency.saturating_record(nanos);
            }
        }
        self.ended = now;
        now
    }

    /// The sum over several writers; `None` over none.
    pub(crate) fn sum(recorders: impl IntoIterator<Item = Recorder>) -> Option<Recorder> {
        recorders.into_iter().reduce(|mut total, other| {
            total.add(&other);
            total
        })
    }

    fn add(&mut self, other: &Recorder) {
        self.inserts += other.inserts;
        self.updates += other.updates;
        self.deletes += other.deletes;
        self.reads += other.reads;
        self.reads_found += other.reads_found;
        // The bounds are the same, so adding cannot fail.
        let _ = self.write_latency.add(&other.write_latency);
        let _ = self.read_latency.add(&other.read_latency);
        self.began = self.began.min(other.began);
        self.ended = self.ended.max(other.ended);
    }

    /// All acknowledged writes.
    pub(crate) fn writes(&self) -> u64 {
        self.inserts + self.updates + self.deletes
    }

    /// From the first operation's begin to the last one's end.
    pub(crate) fn elapsed(&self) -> Duration {
        self.ended.duration_since(self.began)
    }
}

/// A whole phase: its writers' sum, and what the engine counted meanwhile.
#[derive(Clone, Debug)]
pub(crate) struct PhaseOutcome {
    /// `inserts`, `mixed`, `updates` or `replay`.
    pub(crate) name: &'static str,
    /// The sum over all writers.
    pub(crate) total: Recorder,
    /// The engine's counters.
    pub(crate) engine: EngineCounts,
}

/// The engine's counters over a phase.
#[derive(Copy, Clone, Debug, Default)]
pub(crate) struct EngineCounts {
    /// Syncs of all logs.
    pub(crate) syncs: u64,
    /// Bytes appended to all logs, headers included.
    pub(crate) log_bytes: u64,
    /// Page splits.
    pub(crate) splits: u64,
    /// Descents that began anew.
    pub(crate) restarts: u64,
    /// Pages that had to be read.
    pub(crate) pool_misses: u64,
    /// Latches that were not free at once.
    pub(crate) latch_waits: u64,
    /// Checkpoints taken.
    pub(crate) checkpoints: u64,
}

impl EngineCounts {
    /// The counters as they stand.
    pub(crate) fn of(database: &tree::Database) -> EngineCounts {
        let stats = database.stats();
        EngineCounts {
            syncs: stats.log.syncs,
            log_bytes: stats.log.appended_bytes,
            splits: stats.tree.splits,
            restarts: stats.tree.restarts,
            pool_misses: stats.pool.misses,
            latch_waits: stats.pool.latch_waits,
            checkpoints: stats.checkpoints,
        }
    }

    /// What was counted since `earlier`.
    pub(crate) fn since(self, earlier: EngineCounts) -> EngineCounts {
        EngineCounts {
            syncs: self.syncs.saturating_sub(earlier.syncs),
            log_bytes: self.log_bytes.saturating_sub(earlier.log_bytes),
            splits: self.splits.saturating_sub(earlier.splits),
            restarts: self.restarts.saturating_sub(earlier.restarts),
            pool_misses: self.pool_misses.saturating_sub(earlier.pool_misses),
            latch_waits: self.latch_waits.saturating_sub(earlier.latch_waits),
            checkpoints: self.checkpoints.saturating_sub(earlier.checkpoints),
        }
    }
}

//! A phase: writers in closed loops, each waiting for its acknowledgement before its next operation.
//!
//! Inserts take the next number from a counter that all writers share, as the roadmap's clients do. Updates and
//! deletes keep to numbers congruent to the writer's own: two writers meet on pages but never on a key, so that
//! the last acknowledged document of every key is known (see `ledger.rs`).

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::SmallRng;
use serde::Serialize;
use tree::Database;

use crate::error::{Error, Result};
use crate::interrupt;
use crate::ledger::{Acknowledged, Ledger};
use crate::mix::{Chooser, Distribution, Mix, Operation};
use crate::recorder::{EngineCounts, PhaseOutcome, Recorder};
use crate::traffic::Table;

const POLL: Duration = Duration::from_millis(50);

/// What a phase does, as data.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Phase {
    /// `inserts`, `mixed` or `updates`.
    pub(crate) name: &'static str,
    /// Proportions of its operations.
    pub(crate) mix: Mix,
    /// How long it runs.
    pub(crate) seconds: f64,
    /// It ends earlier after this many operations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_operations: Option<u64>,
}

/// How keys are chosen, the same for all phases of a run.
#[derive(Copy, Clone, Debug, Serialize)]
pub(crate) struct Choice {
    /// The distribution over existing keys.
    pub(crate) distribution: Distribution,
    /// Its exponent where it is zipf.
    pub(crate) zipf_exponent: f64,
    /// The random numbers' seed.
    pub(crate) seed: u64,
}

/// Whether a write waits for its acknowledgement: with no sync there is none to wait for.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Acknowledge {
    /// When the log is durable.
    Durable,
    /// When the write is applied.
    Applied,
}

/// A counter on cache lines of its own: next to what all writers only read, it would slow them all.
#[repr(align(128))]
struct Alone(AtomicU64);

struct Shared<'a> {
    phase: &'a Phase,
    choice: Choice,
    acknowledge: Acknowledge,
    tables: [tree::Table; 3],
    existing: [u64; 3],
    next: [Alone; 3],
    left: Alone,
    stop: AtomicBool,
    ready: Barrier,
    writers: u64,
}

/// Runs one phase with `writers` threads, enters what was acknowledged into `ledger`, and calls `progress` with
/// the fraction of time that has passed.
pub(crate) fn run(
    database: &Database,
    phase: &Phase,
    choice: Choice,
    acknowledge: Acknowledge,
    writers: usize,
    ledger: &mut Ledger,
    progress: &dyn Fn(f64),
) -> Result<PhaseOutcome> {
    let shared = Shared {
        phase,
        choice,
        acknowledge,
        tables: open_tables(database)?,
        existing: Table::ALL.map(|table| ledger.len(table)),
        next: Table::ALL.map(|table| Alone(AtomicU64::new(ledger.len(table)))),
        left: Alone(AtomicU64::new(phase.max_operations.unwrap_or(u64::MAX))),
        stop: AtomicBool::new(false),
        ready: Barrier::new(writers + 1),
        writers: writers as u64,
    };
    let before = EngineCounts::of(database);
    let outcomes = thread::scope(|scope| {
        let shared = &shared;
        let threads: Vec<_> =
            (0..writers as u64).map(|id| scope.spawn(move || Writer::new(shared, id).run())).collect();
        shared.ready.wait();
        watch(shared, || threads.iter().all(|thread| thread.is_finished()), progress);
        threads.into_iter().map(|thread| thread.join()).collect::<Vec<_>>()
    });
    let engine = EngineCounts::of(database).since(before);
    interrupt::check()?;
    let mut recorders = Vec::new();
    for outcome in outcomes {
        let (recorder, acknowledged) =
            outcome.map_err(|_| Error::Failed(format!("a writer of phase {} panicked", phase.name)))??;
        ledger.enter(&acknowledged);
        recorders.push(recorder);
    }
    let total = Recorder::sum(recorders)
        .ok_or_else(|| Error::Usage("a phase needs at least one writer".to_string()))?;
    Ok(PhaseOutcome { name: phase.name, total, engine })
}

/// The three tables, made by whoever opened the database first.
pub(crate) fn open_tables(database: &Database) -> Result<[tree::Table; 3]> {
    let open = |table: Table| match database.table(table.name()) {
        Some(open) => Ok(open),
        None => database
            .create_table(table.name())
            .map_err(|cause| Error::failed(format!("cannot create table {}", table.name()), cause)),
    };
    Ok([open(Table::Users)?, open(Table::Products)?, open(Table::Orders)?])
}

/// The main thread's part: progress, and the end on a signal.
fn watch(shared: &Shared<'_>, finished: impl Fn() -> bool, progress: &dyn Fn(f64)) {
    let start = Instant::now();
    while !finished() {
        if interrupt::requested() {
            shared.stop.store(true, Ordering::Relaxed);
        }
        let by_time = start.elapsed().as_secs_f64() / shared.phase.seconds;
        let by_count = shared.phase.max_operations.map_or(0.0, |limit| {
            1.0 - shared.left.0.load(Ordering::Relaxed).min(limit) as f64 / limit.max(1) as f64
        });
        progress(by_time.max(by_count).min(1.0));
        thread::sleep(POLL.min(Duration::from_secs_f64(shared.phase.seconds / 4.0)));
    }
}

struct Writer<'a> {
    shared: &'a Shared<'a>,
    id: u64,
    turn: u64,
    revision: u32,
    rng: SmallRng,
    choosers: [Option<Chooser>; 3],
    key: Vec<u8>,
    document: Vec<u8>,
    acknowledged: Vec<Acknowledged>,
    recorder: Recorder,
}

impl<'a> Writer<'a> {
    fn new(shared: &'a Shared<'a>, id: u64) -> Writer<'a> {
        let Choice { distribution, zipf_exponent, seed } = shared.choice;
        let chooser = |len: u64| Chooser::new(distribution, zipf_exponent, len, len / shared.writers * id);
        Writer {
            shared,
            id,
            turn: id,
            revision: 0,
            rng: SmallRng::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(id)),
            choosers: shared.existing.map(chooser),
            key: Vec::with_capacity(32),
            document: Vec::with_capacity(128),
            acknowledged: Vec::new(),
            recorder: Recorder::new(),
        }
    }

    fn run(mut self) -> Result<(Recorder, Vec<Acknowledged>)> {
        self.shared.ready.wait();
        let mut now = Instant::now();
        self.recorder.began = now;
        self.recorder.ended = now;
        let deadline = now + Duration::from_secs_f64(self.shared.phase.seconds);
        while now < deadline && !self.shared.stop.load(Ordering::Relaxed) && self.take_one() {
            let operation = self.shared.phase.mix.draw(&mut self.rng);
            now = self.operate(operation).inspect_err(|_| self.shared.stop.store(true, Ordering::Relaxed))?;
        }
        Ok((self.recorder, self.acknowledged))
    }

    /// Takes one operation from the phase's limit, where it has one.
    fn take_one(&self) -> bool {
        let left = &self.shared.left.0;
        self.shared.phase.max_operations.is_none()
            || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    fn operate(&mut self, operation: Operation) -> Result<Instant> {
        self.turn += 1;
        let table = Table::ALL[(self.turn % 3) as usize];
        let index = match operation {
            Operation::Insert => None,
            Operation::Read => self.choose(table),
            Operation::Update | Operation::Delete => {
                self.choose(table).and_then(|index| self.own(table, index))
            }
        };
        match index {
            None => self.insert(table),
            Some(index) => self.on_existing(operation, table, index),
        }
    }

    fn choose(&mut self, table: Table) -> Option<u64> {
        let chooser = self.choosers[table as usize].as_mut()?;
        Some(chooser.next(&mut self.rng))
    }

    /// The nearest index at or below `index` that is this writer's, or the next above.
    fn own(&self, table: Table, index: u64) -> Option<u64> {
        let writers = self.shared.writers;
        let own = index - index % writers + self.id;
        let own =
            if own < self.shared.existing[table as usize] { Some(own) } else { own.checked_sub(writers) };
        own.filter(|own| *own < self.shared.existing[table as usize])
    }

    fn insert(&mut self, table: Table) -> Result<Instant> {
        let index = self.shared.next[table as usize].0.fetch_add(1, Ordering::Relaxed);
        self.put(Operation::Insert, table, index, 0)
    }

    fn put(&mut self, operation: Operation, table: Table, index: u64, revision: u32) -> Result<Instant> {
        table.write_key(index, &mut self.key);
        table.write_document(index, revision, &mut self.document);
        let start = Instant::now();
        let commit = self.shared.tables[table as usize]
            .put(&self.key, &self.document)
            .map_err(|cause| self.failed("put", table, cause))?;
        self.acknowledge("put", table, commit)?;
        let now = self.recorder.record(operation, start);
        self.acknowledged.push(Acknowledged::put(table, index, revision));
        Ok(now)
    }

    fn on_existing(&mut self, operation: Operation, table: Table, index: u64) -> Result<Instant> {
        if operation == Operation::Update {
            self.revision += 1;
            return self.put(operation, table, index, self.revision);
        }
        table.write_key(index, &mut self.key);
        let start = Instant::now();
        let stored = &self.shared.tables[table as usize];
        if operation == Operation::Delete {
            let commit = stored.delete(&self.key).map_err(|cause| self.failed("delete", table, cause))?;
            self.acknowledge("delete", table, commit)?;
            self.acknowledged.push(Acknowledged::delete(table, index));
        } else {
            let value = stored.get(&self.key).map_err(|cause| self.failed("get", table, cause))?;
            self.recorder.reads_found += u64::from(value.is_some());
        }
        Ok(self.recorder.record(operation, start))
    }

    fn acknowledge(&self, what: &str, table: Table, commit: tree::Commit) -> Result<()> {
        match self.shared.acknowledge {
            Acknowledge::Durable => commit.wait().map_err(|cause| self.failed(what, table, cause)),
            Acknowledge::Applied => Ok(()),
        }
    }

    fn failed(&self, what: &str, table: Table, cause: tree::Error) -> Error {
        Error::failed(format!("{what} of {}/{}", table.name(), String::from_utf8_lossy(&self.key)), cause)
    }
}

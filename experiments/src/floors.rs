//! `compare --floors`: what the machine gives without a tree, in the same run.
//!
//! - `log`: as many writers append the same records to one log and wait for them, and there is no tree. The
//!   distance to it is what the tree costs on top of the disk.
//! - `rwlock`: point reads of a `RwLock<BTreeMap>`, the simplest thing in memory, against the same reads of a
//!   tree whose pages are all in its pool.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Barrier, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::SmallRng;
use serde::Serialize;
use tree::{Database, Wait};
use wal::{DelayedStorage, DirStorage, Log, Storage};

use crate::data_folder::DataFolder;
use crate::error::{Error, Result};
use crate::interrupt;
use crate::latency::percentile_us;
use crate::mix::{Chooser, Distribution, Operation};
use crate::preset::Variant;
use crate::progress::Progress;
use crate::recorder::Recorder;
use crate::report::{RunReport, median};
use crate::settings::Settings;
use crate::traffic::Table;
use crate::trial;

/// Keys of the read floor.
const READ_KEYS: u64 = 1_000_000;
/// Threads of the read floor.
const READERS: usize = 2;
/// Large enough for all pages of the read floor.
const READ_POOL_BYTES: usize = 512 << 20;
/// Reads between two looks at the clock.
const READS_PER_LOOK: u64 = 64;
/// What a record says of its place besides key and document: operation, partition, page and slot.
const RECORD_PLACE_BYTES: usize = 16;

/// A floor beside the tree's figure.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct FloorReport {
    /// `log` or `rwlock`.
    pub(crate) floor: &'static str,
    /// In words.
    pub(crate) what: String,
    /// The variant that it is compared with.
    pub(crate) preset: String,
    /// Threads.
    pub(crate) threads: usize,
    /// The floor's operations a second.
    pub(crate) floor_per_s: f64,
    /// The tree's operations a second.
    pub(crate) tree_per_s: f64,
    /// The tree's over the floor's.
    pub(crate) ratio: f64,
    /// The floor's 95th percentile in microseconds, where it was taken.
    pub(crate) floor_p95_us: Option<f64>,
    /// The floor's syncs a write, where it writes.
    pub(crate) fsyncs_per_write: Option<f64>,
    /// The floor's bytes logged a write, where it writes.
    pub(crate) log_bytes_per_write: Option<f64>,
}

/// The log floor for each of the variant's runs: the median of as many rounds as the run had repetitions.
pub(crate) fn logs(
    variant: &Variant,
    runs: &[RunReport],
    seconds: f64,
    folder: &DataFolder,
    progress: &Progress,
) -> Result<Vec<FloorReport>> {
    let mut floors = Vec::new();
    for run in runs.iter().filter(|run| run.preset == variant.label) {
        progress.begin(format!("log without a tree, {} writers", run.writers));
        let rounds: Vec<(Recorder, wal::Stats)> = (0..run.repetitions)
            .map(|_| append_only(&variant.settings, run.writers, seconds, folder))
            .collect::<Result<_>>()?;
        let of = |value: &dyn Fn(&Recorder, &wal::Stats) -> f64| {
            median(&rounds.iter().map(|(total, stats)| value(total, stats)).collect::<Vec<_>>())
        };
        let writes = |total: &Recorder| total.writes().max(1) as f64;
        let floor_per_s = of(&|total, _| writes(total) / total.elapsed().as_secs_f64().max(1e-9));
        let tree_per_s = run.headline().map_or(0.0, |phase| phase.writes_per_s);
        floors.push(FloorReport {
            floor: "log",
            what: "append the same records to a log, sync, no tree".to_string(),
            preset: variant.label.clone(),
            threads: run.writers,
            floor_per_s,
            tree_per_s,
            ratio: tree_per_s / floor_per_s.max(1e-9),
            floor_p95_us: Some(of(&|total, _| percentile_us(&total.write_latency, 0.95))),
            fsyncs_per_write: Some(of(&|total, stats| stats.syncs as f64 / writes(total))),
            log_bytes_per_write: Some(of(&|total, stats| stats.appended_bytes as f64 / writes(total))),
        });
    }
    Ok(floors)
}

fn append_only(
    settings: &Settings,
    writers: usize,
    seconds: f64,
    folder: &DataFolder,
) -> Result<(Recorder, wal::Stats)> {
    let failed = |cause: String| Error::failed("the log without a tree", cause);
    let home = folder.database()?;
    let directory = DirStorage::open(home.path()).map_err(|cause| failed(cause.to_string()))?;
    let mut storage: Arc<dyn Storage> = Arc::new(directory);
    if settings.sync_delay_us > 0 {
        storage = Arc::new(DelayedStorage::new(storage, Duration::from_micros(settings.sync_delay_us)));
    }
    let options = wal::Options {
        commit: settings.commit,
        sync: settings.sync,
        max_bytes: 1 << 40,
        ..wal::Options::default()
    };
    let log = Log::create(storage, "floor", options).map_err(|cause| failed(cause.to_string()))?;
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let append = |recorder: &mut Recorder, record: &mut Record| -> Result<Instant, wal::Error> {
        record.fill(next.fetch_add(1, Relaxed));
        let start = Instant::now();
        let lsn = log.append(&record.bytes)?;
        if settings.sync {
            log.wait(lsn)?;
        }
        Ok(recorder.record(Operation::Insert, start))
    };
    let ready = Barrier::new(writers);
    let outcomes = thread::scope(|scope| {
        let work = || -> Result<Recorder, wal::Error> {
            let (mut record, mut recorder) = (Record::default(), Recorder::new());
            ready.wait();
            let mut now = Instant::now();
            recorder.began = now;
            let deadline = now + Duration::from_secs_f64(seconds);
            while now < deadline && !stop.load(Relaxed) && !interrupt::requested() {
                now = append(&mut recorder, &mut record).inspect_err(|_| stop.store(true, Relaxed))?;
            }
            Ok(recorder)
        };
        let threads: Vec<_> = (0..writers).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join()).collect::<Vec<_>>()
    });
    interrupt::check()?;
    let mut recorders = Vec::new();
    for outcome in outcomes {
        let outcome = outcome.map_err(|_| failed("a writer panicked".to_string()))?;
        recorders.push(outcome.map_err(|cause| failed(cause.to_string()))?);
    }
    let total = Recorder::sum(recorders).ok_or_else(|| failed("no writer".to_string()))?;
    Ok((total, log.stats()))
}

/// The record that a put of the roadmap's traffic leaves in a log: its place, its key, its document.
#[derive(Default)]
struct Record {
    bytes: Vec<u8>,
    key: Vec<u8>,
    document: Vec<u8>,
}

impl Record {
    fn fill(&mut self, turn: u64) {
        let table = Table::ALL[(turn % 3) as usize];
        table.write_key(turn / 3, &mut self.key);
        table.write_document(turn / 3, 0, &mut self.document);
        self.bytes.clear();
        self.bytes.resize(RECORD_PLACE_BYTES, 0);
        self.bytes.extend_from_slice(&self.key);
        self.bytes.extend_from_slice(&self.document);
    }
}

/// The read floor: cached point reads, the tree's against the map's. They alternate; the median round counts.
pub(crate) fn reads(
    variant: &Variant,
    seconds: f64,
    rounds: usize,
    folder: &DataFolder,
    progress: &Progress,
) -> Result<FloorReport> {
    let failed = |cause: tree::Error| Error::failed("the read floor", cause);
    progress.begin(format!("cached reads of {READ_KEYS} keys, {READERS} threads"));
    progress.note("loading");
    let home = folder.database()?;
    let settings =
        Settings { pool_bytes: READ_POOL_BYTES, wait: Wait::AfterRelease, ..variant.settings.clone() };
    let database = trial::open(home.path(), &settings)?;
    let tree = database.create_table(Table::Users.name()).map_err(failed)?;
    let map = RwLock::new(load(&database, &tree)?);
    let from_map = |key: &[u8]| Ok(map.read().is_ok_and(|map| map.get(key).cloned().is_some()));
    let from_tree = |key: &[u8]| Ok(tree.get(key).map_err(failed)?.is_some());
    let (mut floors, mut trees) = (Vec::new(), Vec::new());
    // The first round only warms caches.
    for round in 0..=rounds {
        progress.note("reading");
        let (floor, tree) = (read_rate(seconds / 2.0, &from_map)?, read_rate(seconds / 2.0, &from_tree)?);
        if round > 0 {
            floors.push(floor);
            trees.push(tree);
        }
        progress.fraction(round as f64 / rounds as f64);
    }
    database.close().map_err(failed)?;
    let (floor_per_s, tree_per_s) = (median(&floors), median(&trees));
    Ok(FloorReport {
        floor: "rwlock",
        what: "10^6 cached keys, uniform reads, RwLock<BTreeMap>".to_string(),
        preset: variant.label.clone(),
        threads: READERS,
        floor_per_s,
        tree_per_s,
        ratio: tree_per_s / floor_per_s.max(1e-9),
        floor_p95_us: None,
        fsyncs_per_write: None,
        log_bytes_per_write: None,
    })
}

/// The same keys and documents into the tree and into a map.
fn load(database: &Database, tree: &tree::Table) -> Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    let failed = |cause: tree::Error| Error::failed("the read floor's keys", cause);
    let mut map = BTreeMap::new();
    let mut last = None;
    for index in 0..READ_KEYS {
        let (mut key, mut document) = (Vec::new(), Vec::new());
        Table::Users.write_key(index, &mut key);
        Table::Users.write_document(index, 0, &mut document);
        last = Some(tree.put(&key, &document).map_err(failed)?);
        map.insert(key, document);
        if index % 4_096 == 0 {
            interrupt::check()?;
        }
    }
    if let Some(last) = last {
        last.wait().map_err(failed)?;
    }
    database.checkpoint().map_err(failed)?;
    Ok(map)
}

/// Reads a second with all readers; `read` says whether the key was there.
fn read_rate(seconds: f64, read: &(impl Fn(&[u8]) -> Result<bool> + Sync)) -> Result<f64> {
    let ready = Barrier::new(READERS);
    let work = |reader: u64| -> Result<f64> {
        let mut rng = SmallRng::seed_from_u64(reader);
        let mut chooser = Chooser::new(Distribution::Uniform, 0.0, READ_KEYS, 0);
        let mut key = Vec::new();
        let (mut reads, mut found) = (0_u64, 0_u64);
        ready.wait();
        let start = Instant::now();
        while start.elapsed().as_secs_f64() < seconds && !interrupt::requested() {
            for _ in 0..READS_PER_LOOK {
                let index = chooser.as_mut().map_or(0, |chooser| chooser.next(&mut rng));
                Table::Users.write_key(index, &mut key);
                found += u64::from(read(&key)?);
            }
            reads += READS_PER_LOOK;
        }
        if found != reads {
            return Err(Error::Failed(format!(
                "the read floor: {} of {reads} keys not found",
                reads - found
            )));
        }
        Ok(reads as f64 / start.elapsed().as_secs_f64())
    };
    let rates = thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..READERS as u64).map(|reader| scope.spawn(move || work(reader))).collect();
        threads.into_iter().map(|thread| thread.join()).collect::<Vec<_>>()
    });
    interrupt::check()?;
    let mut sum = 0.0;
    for rate in rates {
        sum += rate.map_err(|_| Error::Failed("a reader of the read floor panicked".to_string()))??;
    }
    Ok(sum)
}

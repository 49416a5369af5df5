//! A trial that replays a file: one reader deals its operations out to the writers by key.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use tree::{Database, Table};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::{Input, Request, Verb, requests};
use crate::data_folder::DataFolder;
use crate::error::{Error, Result};
use crate::interrupt;
use crate::ledger::ReadBack;
use crate::mix::Operation;
use crate::preset::Variant;
use crate::progress::Progress;
use crate::recorder::{EngineCounts, PhaseOutcome, Recorder};
use crate::trial::{self, TrialOutcome};

/// Operations handed over at once, and such batches that wait for a writer: bounds what is held of the file.
const BATCH: usize = 32;
const BATCHES_AHEAD: usize = 4;

/// The last acknowledged value of every key: 128 bits of the table and key, 64 of the value (`None`: deleted).
type Expected = HashMap<u128, Option<u64>>;

/// Replays `input` for one variant in a fresh database, for at most `limit`, and reads back what it must have left.
pub(crate) fn run(
    variant: &Variant,
    writers: usize,
    input: &Input,
    limit: Option<Duration>,
    folder: &DataFolder,
    progress: &Progress,
) -> Result<TrialOutcome> {
    let failed = |cause| Error::failed(format!("{}, {writers} writers", variant.label), cause);
    let home = folder.database()?;
    let database = trial::open(home.path(), &variant.settings)?;
    let tables = create_tables(&database, input)?;
    let before = EngineCounts::of(&database);
    progress.note("replay");
    let (total, expected) = replay(&tables, writers, input, limit, variant.settings.sync, progress)?;
    let engine = EngineCounts::of(&database).since(before);
    progress.note("checking");
    drop(tables);
    database.close().map_err(failed)?;
    let mut faults = trial::check(home.path(), &variant.label, writers)?;
    let database = trial::open(home.path(), &variant.settings)?;
    let found = read_back(&database, input, expected)?;
    database.close().map_err(failed)?;
    faults.extend(found.fault().map(|fault| format!("{}, {writers} writers: {fault}", variant.label)));
    let phases = vec![PhaseOutcome { name: "replay", total, engine }];
    Ok(TrialOutcome { phases, keys_verified: found.keys, missing: found.missing + found.wrong, faults })
}

fn create_tables(database: &Database, input: &Input) -> Result<HashMap<String, Table>> {
    let create = |name: &String| {
        let table = database.create_table(name).map_err(|cause| {
            Error::failed(format!("{}: cannot create table `{name}`", input.path.display()), cause)
        })?;
        Ok((name.clone(), table))
    };
    input.tables.iter().map(create).collect()
}

fn replay(
    tables: &HashMap<String, Table>,
    writers: usize,
    input: &Input,
    limit: Option<Duration>,
    durable: bool,
    progress: &Progress,
) -> Result<(Recorder, Expected)> {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let stop = &stop;
        let (mut lanes, mut threads) = (Vec::new(), Vec::new());
        for _ in 0..writers {
            let (sender, receiver) = sync_channel(BATCHES_AHEAD);
            lanes.push(Lane { sender, batch: Vec::with_capacity(BATCH) });
            threads.push(scope.spawn(move || {
                write_all(tables, receiver, durable).inspect_err(|_| stop.store(true, Ordering::Relaxed))
            }));
        }
        let dealt = deal(input, limit, lanes, stop, progress);
        let (mut recorders, mut expected) = (Vec::new(), Expected::new());
        for thread in threads {
            let outcome =
                thread.join().map_err(|_| Error::Failed("a replaying writer panicked".to_string()))?;
            let (recorder, left) = outcome?;
            recorders.push(recorder);
            expected.extend(left);
        }
        dealt?;
        interrupt::check()?;
        let total = Recorder::sum(recorders)
            .ok_or_else(|| Error::Usage("a replay needs at least one writer".to_string()))?;
        Ok((total, expected))
    })
}

struct Lane {
    sender: SyncSender<Vec<Request>>,
    batch: Vec<Request>,
}

impl Lane {
    /// Hands the batch over; false where the writer is gone, which it is only after an error of its own.
    fn hand_over(&mut self) -> bool {
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
        self.sender.send(batch).is_ok()
    }
}

/// Reads the file and deals its operations out: all of a key to the same writer, so that they keep their order.
/// Dropping the lanes at the end tells the writers that nothing more comes.
fn deal(
    input: &Input,
    limit: Option<Duration>,
    mut lanes: Vec<Lane>,
    stop: &AtomicBool,
    progress: &Progress,
) -> Result<()> {
    let began = Instant::now();
    for (position, request) in requests(&input.path)?.enumerate() {
        let request = request?;
        let lane = (fingerprint(&request.table, &request.key) % lanes.len() as u128) as usize;
        let lane = &mut lanes[lane];
        lane.batch.push(request);
        if lane.batch.len() == BATCH && !lane.hand_over() {
            return Ok(());
        }
        if position % 256 == 0 {
            progress.fraction(position as f64 / input.operations as f64);
            let late = limit.is_some_and(|limit| began.elapsed() >= limit);
            if late || stop.load(Ordering::Relaxed) || interrupt::requested() {
                break;
            }
        }
    }
    for lane in &mut lanes {
        lane.hand_over();
    }
    Ok(())
}

fn fingerprint(table: &str, key: &[u8]) -> u128 {
    let mut name = Vec::with_capacity(table.len() + 1 + key.len());
    name.extend_from_slice(table.as_bytes());
    name.push(0);
    name.extend_from_slice(key);
    xxh3_128(&name)
}

/// One writer: a closed loop over what it is dealt.
fn write_all(
    tables: &HashMap<String, Table>,
    batches: Receiver<Vec<Request>>,
    durable: bool,
) -> Result<(Recorder, Expected)> {
    let mut recorder = Recorder::new();
    let mut expected = Expected::new();
    for request in batches.into_iter().flatten() {
        let failed = |cause: tree::Error| {
            let key = String::from_utf8_lossy(&request.key);
            Error::failed(format!("{:?} of {}/{key}", request.verb, request.table), cause)
        };
        let table = tables
            .get(&request.table)
            .ok_or_else(|| Error::Failed(format!("table `{}`: the file changed meanwhile", request.table)))?;
        let mark = fingerprint(&request.table, &request.key);
        let (operation, leaves) = match request.verb {
            Verb::Get => (Operation::Read, None),
            Verb::Delete => (Operation::Delete, Some(None)),
            Verb::Put if matches!(expected.get(&mark), Some(Some(_))) => {
                (Operation::Update, Some(Some(&request.value)))
            }
            Verb::Put => (Operation::Insert, Some(Some(&request.value))),
        };
        let start = Instant::now();
        let commit = match request.verb {
            Verb::Put => Some(table.put(&request.key, &request.value).map_err(failed)?),
            Verb::Delete => Some(table.delete(&request.key).map_err(failed)?),
            Verb::Get => {
                let value = table.get(&request.key).map_err(failed)?;
                recorder.reads_found += u64::from(value.is_some());
                None
            }
        };
        if let Some(commit) = commit.filter(|_| durable) {
            commit.wait().map_err(failed)?;
        }
        recorder.record(operation, start);
        if let Some(value) = leaves {
            expected.insert(mark, value.map(|value| xxh3_64(value)));
        }
    }
    Ok((recorder, expected))
}

/// Scans every table and strikes out what is found; what is left was acknowledged and is missing.
fn read_back(database: &Database, input: &Input, mut expected: Expected) -> Result<ReadBack> {
    let mut found = ReadBack::default();
    for name in &input.tables {
        let failed = |cause: tree::Error| Error::failed(format!("read-back of table {name}"), cause);
        let Some(table) = database.table(name) else {
            found.example(|| format!("table {name} is gone"));
            continue;
        };
        for item in table.scan(..) {
            let (key, value) = item.map_err(failed)?;
            match expected.remove(&fingerprint(name, &key)).flatten() {
                Some(mark) if mark == xxh3_64(&value) => found.keys += 1,
                Some(_) => {
                    found.wrong += 1;
                    found.example(|| format!("{name}/{} has another value", String::from_utf8_lossy(&key)));
                }
                None => {
                    found.unexpected += 1;
                    found.example(|| format!("{name}/{} was deleted", String::from_utf8_lossy(&key)));
                }
            }
        }
    }
    found.missing = expected.values().filter(|value| value.is_some()).count() as u64;
    Ok(found)
}

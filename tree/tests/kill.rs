//! Real processes, really killed: a child writes to a database on disk and reports every acknowledged write through a
//! pipe, until it is killed at a random moment. What it has reported must be there.
#![cfg(not(feature = "loom"))]

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{Random, engines};
use tree::check::check;
use tree::{Batch, Database, Engine, LogScope, Options, Table};

const FOLDER: &str = "TREE_KILL_TEST_FOLDER";
const ENGINE: &str = "TREE_KILL_TEST_ENGINE";
const ROUND: &str = "TREE_KILL_TEST_ROUND";
const SCOPE: &str = "TREE_KILL_TEST_SCOPE";
const PARTITIONS: &str = "TREE_KILL_TEST_PARTITIONS";

const THREADS: u64 = 4;
/// Keys of each thread that are written again and again.
const HOT: u64 = 50;

/// A small pool and a small log, so that evictions and checkpoints are under way at any moment.
fn options(engine: Engine, partitions: u32, scope: LogScope) -> Options {
    Options {
        engine,
        partitions,
        log_scope: scope,
        pool_bytes: 1 << 20,
        log_segment_bytes: 512 << 10,
        log_max_bytes: 4 << 20,
        ..Options::default()
    }
}

/// The value says who wrote it and when, and the rest follows from that.
fn value(thread: u64, stamp: u64) -> Vec<u8> {
    let mut value = format!("{thread}:{stamp}:").into_bytes();
    let mut random = Random(thread << 48 | stamp);
    let len = if random.below(40) == 0 { random.below(12_000) } else { random.below(400) };
    value.extend((0..len).map(|_| random.next() as u8));
    value
}

/// The stamp of a value, if it is whole.
fn stamp(thread: u64, found: &[u8]) -> Option<u64> {
    let stamp = found.split(|&byte| byte == b':').nth(1)?;
    let stamp = std::str::from_utf8(stamp).ok()?.parse().ok()?;
    (found == value(thread, stamp)).then_some(stamp)
}

/// Writes until it is killed. Stamps only rise, over rounds too.
fn write(table: &Table, thread: u64, round: u64) {
    for n in 0.. {
        let stamp = round << 32 | n;
        let hot = format!("hot-{thread}-{}", n % HOT);
        let fresh = format!("fresh-{thread}-{stamp}");
        let mut keys = vec![if n % 4 == 0 { hot.clone() } else { fresh.clone() }];
        if n % 13 == 0 {
            keys = vec![hot, fresh];
            let mut batch = Batch::new();
            for key in &keys {
                batch.put(key.clone(), value(thread, stamp));
            }
            table.apply(&batch).unwrap().wait().unwrap();
        } else {
            table.put(keys[0].as_bytes(), &value(thread, stamp)).unwrap().wait().unwrap();
        }
        let mut out = std::io::stdout().lock();
        for key in keys {
            // A parent that is gone needs no more reports.
            if writeln!(out, "acknowledged {thread} {stamp} {key}").is_err() {
                return;
            }
        }
        if out.flush().is_err() {
            return;
        }
    }
}

#[test]
#[ignore = "started by the tests below, to be killed"]
fn child_that_writes_until_it_is_killed() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let var = |name| std::env::var(name).unwrap();
    let engine = var(ENGINE).parse().unwrap();
    let options = options(engine, var(PARTITIONS).parse().unwrap(), var(SCOPE).parse().unwrap());
    let database = Database::open(folder, options).unwrap();
    let table = database.table("t").map_or_else(|| database.create_table("t"), Ok).unwrap();
    let round: u64 = var(ROUND).parse().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let table = &table;
            scope.spawn(move || write(table, thread, round));
        }
    });
}

fn start(folder: &Path, round: u64, options: &Options) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_writes_until_it_is_killed", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .env(ENGINE, options.engine.to_string())
        .env(PARTITIONS, options.partitions.to_string())
        .env(SCOPE, options.log_scope.to_string())
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Every key that was reported, with its thread and its last stamp.
type Reported = BTreeMap<String, (u64, u64)>;

fn note(line: &str, reported: &mut Reported) -> bool {
    let words: Vec<_> = line.split(' ').collect();
    let ["acknowledged", thread, stamp, key] = words[..] else { return false };
    reported.insert(key.to_string(), (thread.parse().unwrap(), stamp.parse().unwrap()));
    true
}

/// Starts a child, kills it, and notes what it has reported. The last line may be cut.
fn write_and_kill(folder: &Path, round: u64, options: &Options, reported: &mut Reported) {
    let mut child = start(folder, round, options);
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    let mut first = false;
    while !first {
        line.clear();
        assert_ne!(lines.read_line(&mut line).unwrap(), 0, "the child ended without a write");
        first = note(line.trim_end(), reported);
    }
    let moment = Duration::from_micros(Random(round * 77 + u64::from(options.partitions)).below(150_000));
    let reader = std::thread::spawn(move || {
        let mut reported = Reported::new();
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).unwrap() > 0 {
            if let Some(line) = line.strip_suffix(b"\n") {
                note(std::str::from_utf8(line).unwrap(), &mut reported);
            }
            line.clear();
        }
        reported
    });
    std::thread::sleep(moment);
    child.kill().unwrap();
    child.wait().unwrap();
    reported.extend(reader.join().unwrap());
}

fn verify(folder: &Path, round: u64, options: &Options, reported: &Reported) {
    let case = format!(
        "{}, {} partitions, {}, round {round}",
        options.engine, options.partitions, options.log_scope
    );
    let database = Database::open(folder, options.clone()).unwrap();
    let table = database.table("t").unwrap();
    for (key, &(thread, acknowledged)) in reported {
        let found = table.get(key.as_bytes()).unwrap().unwrap_or_else(|| panic!("{case}: {key} is lost"));
        let stamp =
            stamp(thread, &found).unwrap_or_else(|| panic!("{case}: {key} has a value that nobody wrote"));
        // The write behind the last acknowledged one may have survived as well.
        assert!(stamp >= acknowledged, "{case}: {key} has gone back from {acknowledged} to {stamp}");
        assert!(stamp == acknowledged || key.starts_with("hot"), "{case}: {key} was written once");
    }
    let count = table.count().unwrap();
    assert!(count >= reported.len() as u64, "{case}");
    assert_eq!(table.scan(..).map(Result::unwrap).count() as u64, count, "{case}");
    drop((table, database));
    let report = check(folder).unwrap();
    assert!(report.is_clean(), "{case}: {report}");
    println!("{case}: {} keys were reported, {report}", reported.len());
}

/// One database an engine, a number of partitions and of logs; each grows over its rounds.
fn kill(rounds: u64) {
    let setups: Vec<_> = [(1, LogScope::Database), (8, LogScope::Database), (8, LogScope::Partition)]
        .into_iter()
        .flat_map(|(partitions, scope)| engines().map(move |engine| options(engine, partitions, scope)))
        .map(|options| (options, tempfile::tempdir().unwrap()))
        .collect();
    let mut reported: Vec<_> = setups.iter().map(|_| Reported::new()).collect();
    for round in 0..rounds {
        let turn = round as usize % setups.len();
        let (options, folder) = &setups[turn];
        write_and_kill(folder.path(), round, options, &mut reported[turn]);
        verify(folder.path(), round, options, &reported[turn]);
    }
}

#[test]
fn ten_kills_lose_nothing_acknowledged() {
    kill(10);
}

#[test]
#[ignore = "half a minute: run by the verify command"]
fn fifty_kills_lose_nothing_acknowledged() {
    kill(50);
}

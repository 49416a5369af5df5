//! Real threads on a tiny pool and tiny pages: eight clients that want the same keys, eviction all the time,
//! checkpoints beside them, and one order that has to explain every answer.
//!
//! With the feature `delays` threads are held up at the points where it matters: holding a latch, between a page's
//! mark, its log record and its change, between writing a page and calling it clean, before falling asleep. That
//! opens windows that are a few instructions wide otherwise: `cargo test -p loom-tests --features delays --test stress`.
#![cfg(not(any(feature = "loom", feature = "shuttle")))]

mod workload;

use std::sync::Arc;
use std::time::Instant;

use loom_tests::history::{Recorder, Report};
use tree::{DatabaseOf, Engine, LogScope, Maintenance, Options};
use wal::MemoryStorage;
use workload::{ENGINES, Setup, TINY, Worker, verify};

const CLIENTS: u32 = 8;
/// Operations of each client on each database.
const STEPS: u32 = if cfg!(feature = "delays") { 1_500 } else { 6_000 };

/// Lets eight clients make so many operations each on one database, then closes it and opens it again.
fn run(engine: Engine, seed: u64, steps: u32, options: &Options) -> Report {
    let options = Options { engine, ..options.clone() };
    let one_partition = options.partitions == 1;
    let setup = Setup { one_partition, one_log: one_partition || options.log_scope == LogScope::Database };
    let what = format!("seed {seed}, {options:?}");
    let storage = Arc::new(MemoryStorage::new());
    let database = DatabaseOf::<TINY>::open_on(storage.clone(), options.clone()).unwrap();
    let table = database.create_table("t").unwrap();
    let mut recorder = Recorder::new();
    let mut first = Worker::new(&table, setup, recorder.client(0), seed);
    first.fill().unwrap();
    recorder.add(first.client);
    let clients: Vec<_> = std::thread::scope(|scope| {
        let work = |number| {
            let mut worker =
                Worker::new(&table, setup, recorder.client(number), seed << 8 | u64::from(number));
            let database = (number == 1).then_some(&database);
            scope.spawn(move || {
                worker.work(steps, database).unwrap();
                worker.client
            })
        };
        let threads: Vec<_> = (1..=CLIENTS).map(work).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    clients.into_iter().for_each(|client| recorder.add(client));
    let pool = database.stats().pool;
    assert!(pool.evictions > 0, "{what}: the pool is too large for eviction: {pool:?}");
    let report = verify(&database, &table, setup, &mut recorder, &what);
    database.close().unwrap();
    let database = DatabaseOf::open_on(storage, options).unwrap();
    verify(&database, &database.table("t").unwrap(), setup, &mut recorder, &what);
    report
}

fn run_all(seeds: std::ops::Range<u64>, steps: u32, options: &Options) {
    let began = Instant::now();
    let mut sum = Report::default();
    for engine in ENGINES {
        seeds.clone().for_each(|seed| sum += run(engine, seed, steps, options));
    }
    let Report { operations, registers, .. } = sum;
    let took = began.elapsed().as_secs_f64();
    println!("seeds {seeds:?}: {operations} operations, {registers} histories checked, {took:.1} s");
}

fn small(partitions: u32) -> Options {
    Options {
        partitions,
        // Eight clients with a dozen latches each must find a frame that nobody uses.
        pool_bytes: 64 * TINY,
        log_segment_bytes: 64 << 10,
        log_max_bytes: 512 << 10,
        maintenance: Maintenance::Inline,
        ..Options::default()
    }
}

#[test]
fn eight_clients_of_one_tree_see_one_order_of_what_happened() {
    run_all(0..3, STEPS, &small(1));
}

#[test]
fn eight_clients_of_four_partitions_with_checkpoints_beside_them_see_one_order() {
    let maintenance = Maintenance::Background;
    run_all(3..5, STEPS, &Options { maintenance, ..small(4) });
    run_all(5..6, STEPS, &Options { maintenance, log_scope: LogScope::Partition, ..small(4) });
}

#[test]
#[ignore = "minutes: run by the verify command"]
fn eight_clients_and_a_million_operations() {
    run_all(10..20, 4 * STEPS, &small(1));
    run_all(20..30, 4 * STEPS, &Options { maintenance: Maintenance::Background, ..small(4) });
}

//! Real threads on a tiny pool and tiny pages: every thread owns its keys and checks each answer at once.
#![cfg(not(feature = "loom"))]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::{Random, TINY, engines, memory, small};
use tree::{Batch, DatabaseOf, Engine, Options, TableOf};

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// What one thread does with the keys that end in its number.
fn work(table: &TableOf<TINY>, thread: u64, seed: u64, steps: u64) -> Model {
    let mut random = Random(seed * 1_000 + thread);
    let mut model = Model::new();
    for _ in 0..steps {
        let key = format!("{:04}-{thread}", random.below(300)).into_bytes();
        match random.below(12) {
            0..5 => {
                let len = if random.below(30) == 0 { 700 } else { random.below(30) };
                let value = vec![random.next() as u8; len as usize];
                table.put(&key, &value).unwrap().wait().unwrap();
                model.insert(key, value);
            }
            5..8 => {
                let commit = table.delete(&key).unwrap();
                assert_eq!(commit.applied(), model.remove(&key).is_some());
                commit.wait().unwrap();
            }
            8 => {
                let mut batch = Batch::new();
                for n in 0..4 {
                    let key = format!("{:04}-{thread}", n * 70 + random.below(70)).into_bytes();
                    batch.put(key.clone(), b"batch".to_vec());
                    model.insert(key, b"batch".to_vec());
                }
                table.apply(&batch).unwrap().wait().unwrap();
            }
            9 => {
                let seen: Vec<_> = table.scan(key.clone()..).take(20).map(|item| item.unwrap().0).collect();
                assert!(seen.is_sorted_by(|a, b| a < b), "a scan is in order, whoever writes beside it");
                let seen: Vec<_> = table.scan_backward(..key).take(20).map(|item| item.unwrap().0).collect();
                assert!(seen.is_sorted_by(|a, b| a > b), "a backward scan is in order, too");
            }
            _ => assert_eq!(table.get(&key).unwrap().as_ref(), model.get(&key)),
        }
    }
    model
}

fn run(engine: Engine, threads: u64, seed: u64, steps: u64, options: Options) {
    let storage = memory();
    let database = DatabaseOf::<TINY>::open_on(storage.clone(), options.clone()).unwrap();
    let table = Arc::new(database.create_table("t").unwrap());
    let workers: Vec<_> = (0..threads)
        .map(|thread| {
            let table = table.clone();
            std::thread::spawn(move || work(&table, thread, seed, steps))
        })
        .collect();
    let model: Model = workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect();
    let verify = |database: &DatabaseOf<TINY>| {
        let table = database.table("t").unwrap();
        let all: Model = table.scan(..).map(Result::unwrap).collect();
        assert_eq!(all, model, "{engine}, seed {seed}");
        let report = database.check().unwrap();
        assert!(report.is_clean(), "{engine}, seed {seed}: {report}");
        assert_eq!(report.keys(), table.count().unwrap());
    };
    verify(&database);
    database.close().unwrap();
    verify(&DatabaseOf::open_on(storage, options).unwrap());
}

#[test]
fn eight_threads_on_one_tree_see_their_own_writes() {
    for engine in engines() {
        for seed in 0..3 {
            let options = Options { pool_bytes: 400 * TINY, ..small(engine) };
            run(engine, 8, seed, 2_500, options);
        }
    }
}

#[test]
fn eight_threads_on_four_partitions_with_checkpoints_beside_them() {
    for engine in engines() {
        let maintenance = tree::Maintenance::Background;
        run(
            engine,
            8,
            7,
            2_500,
            Options { partitions: 4, pool_bytes: 600 * TINY, maintenance, ..small(engine) },
        );
    }
}

#[test]
#[ignore = "minutes: run by the verify command"]
fn eight_threads_and_a_million_operations() {
    for engine in engines() {
        for seed in 10..14 {
            let options = Options { pool_bytes: 400 * TINY, ..small(engine) };
            run(engine, 8, seed, 16_000, options);
        }
    }
}

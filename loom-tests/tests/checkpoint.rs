//! Fuzzy checkpoints against a writer: what the checkpoint records, with the pages on disk, loses nothing.
//!
//! One partition, a leaf that is dirty already, one thread that takes a checkpoint and one that puts a key into
//! that very leaf and waits for it. Covered is every place, within three preemptions, of the put's steps (mark,
//! append, apply, flush) between those of the checkpoint (note the end, flush, write back, take the least
//! recovery LSN, sync, record, recycle). The power goes off the moment that the checkpoint has returned, wherever
//! the writer then is, and once more at the end; each time, two drawings of what was not synced are opened
//! again. What was acknowledged by then is there, the count agrees with the keys, and the tree is sound. One put
//! suffices, because a checkpoint treats every page and every record by itself.
#![cfg(feature = "loom")]

mod models;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use loom::thread;
use models::{ENGINES, TINY, key, value};
use tree::{DatabaseOf, Engine, Maintenance, Options, TableOf};
use wal::FaultyStorage;

type Database = DatabaseOf<TINY>;
type Table = TableOf<TINY>;

fn open(disk: &FaultyStorage, engine: Engine) -> Database {
    let options = Options {
        engine,
        partitions: 1,
        pool_bytes: Options::MIN_POOL_PAGES * TINY,
        log_segment_bytes: 64 << 10,
        log_max_bytes: 256 << 10,
        maintenance: Maintenance::Inline,
        ..Options::default()
    };
    Database::open_on(Arc::new(disk.clone()), options).unwrap()
}

fn commit(table: &Table, n: u32) {
    table.put(&key(n), &value(n)).unwrap().wait().unwrap();
}

/// Opens what each of two power losses would leave now: `kept` is there, and nothing but that and `others`.
fn expect_survivors(crashed: [FaultyStorage; 2], engine: Engine, kept: &[u32], others: &[u32]) {
    for disk in crashed {
        let database = open(&disk, engine);
        let table = database.table("t").unwrap();
        for &n in kept {
            assert_eq!(table.get(&key(n)).unwrap(), Some(value(n)), "{n} was acknowledged");
        }
        let all = kept.iter().chain(others);
        let found = all.filter(|n| table.get(&key(**n)).unwrap().is_some()).count();
        assert_eq!(table.count().unwrap(), found as u64);
        let problems = database.check().unwrap().problems;
        assert!(problems.is_empty(), "{problems:?}");
    }
}

fn crash_twice(disk: &FaultyStorage) -> [FaultyStorage; 2] {
    [(); 2].map(|()| disk.crash())
}

#[test]
fn a_checkpoint_beside_a_put_loses_nothing() {
    for engine in ENGINES {
        loom_tests::check_within(3, move || {
            let disk = FaultyStorage::new(3);
            let database = open(&disk, engine);
            let table = database.create_table("t").unwrap();
            commit(&table, 0);
            let acknowledged = Arc::new(AtomicBool::new(false));
            let writer = {
                let acknowledged = acknowledged.clone();
                thread::spawn(move || {
                    commit(&table, 1);
                    acknowledged.store(true, Ordering::Relaxed);
                })
            };
            database.checkpoint().unwrap();
            // No step of the model lies between both, so the writer is where it was.
            let (done, crashed) = (acknowledged.load(Ordering::Relaxed), crash_twice(&disk));
            writer.join().unwrap();
            let (kept, others): (&[u32], &[u32]) = if done { (&[0, 1], &[]) } else { (&[0], &[1]) };
            expect_survivors(crashed, engine, kept, others);
            expect_survivors(crash_twice(&disk), engine, &[0, 1], &[]);
        });
    }
}

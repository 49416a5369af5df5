//! Where threads wait for each other, and what the trees look like, as the counters tell it.
#![cfg(not(any(feature = "loom", feature = "shuttle")))]

mod common;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use common::{Random, TINY, engines, memory, small};
use tree::{DatabaseOf, Engine, Options, PartitionStats, TableOf};

/// Operations of the planted contention, at most.
const BOUND: u64 = 20_000_000;
const THREADS: u64 = 4;

fn key(n: u64) -> Vec<u8> {
    format!("key-{n:06}").into_bytes()
}

fn in_memory(engine: Engine, partitions: u32) -> Options {
    Options { partitions, pool_bytes: 16_384 * TINY, log_max_bytes: 64 << 20, ..small(engine) }
}

fn fill(table: &TableOf<TINY>, keys: impl Iterator<Item = u64>) {
    for n in keys {
        let _ = table.put(&key(n), b"value").unwrap();
    }
}

/// Threads put and get one key until the partition's counters are as wished for; returns them.
fn contend(engine: Engine, seen: impl Fn(&PartitionStats) -> bool + Sync) -> PartitionStats {
    let database = DatabaseOf::<TINY>::open_on(memory(), in_memory(engine, 1)).unwrap();
    let table = database.create_table("t").unwrap();
    fill(&table, 0..100);
    let before = database.partitions().remove(0);
    assert!(!seen(&before), "{engine}: one thread waited for itself: {before:?}");
    let (done, operations) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (database, table, done, operations, seen) = (&database, &table, &done, &operations, &seen);
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) && operations.fetch_add(100, Ordering::Relaxed) < BOUND {
                    for n in 0..100 {
                        if n % 2 == thread % 2 {
                            let _ = table.put(&key(50), b"other").unwrap();
                        } else {
                            table.get_eventual(&key(50)).unwrap();
                        }
                    }
                    if seen(&database.partitions()[0]) {
                        done.store(true, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert!(database.stats().pool.latch_waits >= database.partitions()[0].levels[0].latch_waits);
    database.partitions().remove(0)
}

#[cfg(feature = "latch")]
#[test]
fn threads_at_one_leaf_wait_at_the_leaves() {
    let stats = contend(Engine::Coupled, |stats| stats.levels[0].latch_waits > 0);
    assert!(stats.levels.len() > 1, "{stats:?}");
    assert!(stats.levels[0].latch_waits > 0 && stats.levels[0].latch_wait_ns > 0, "{stats:?}");
    assert_eq!((stats.lock_waits, stats.lock_wait_ns), (0, 0), "there is no lock to wait for");
}

#[cfg(feature = "mutex")]
#[test]
fn threads_in_one_tree_of_the_baseline_wait_for_its_lock() {
    let stats = contend(Engine::Mutex, |stats| stats.lock_waits > 0);
    assert!(stats.lock_waits > 0 && stats.lock_wait_ns > 0, "{stats:?}");
}

#[test]
fn restarts_are_counted_with_the_level_that_caused_them() {
    for engine in engines() {
        let database = DatabaseOf::<TINY>::open_on(memory(), in_memory(engine, 1)).unwrap();
        let table = database.create_table("t").unwrap();
        fill(&table, 0..2_000);
        let stats = database.partitions().remove(0);
        let levels: Vec<_> = stats.levels.iter().map(|level| level.restarts).collect();
        // Each node is split by an operation that finds it full; nothing else is in the way of one thread.
        assert!(levels.len() >= 4 && levels.is_sorted_by(|below, above| below > above), "{levels:?}");
        assert_eq!(levels.iter().sum::<u64>(), database.stats().tree.restarts);
        assert_eq!((stats.splits, stats.merges), (database.stats().tree.splits, 0));
        assert_eq!((stats.table.as_str(), stats.partition, stats.items), ("t", 0, 2_000));
    }
}

#[test]
fn shapes_of_trees_in_memory_are_what_the_verifier_counts() {
    for engine in engines() {
        let database = DatabaseOf::<TINY>::open_on(memory(), in_memory(engine, 3)).unwrap();
        let table = database.create_table("t").unwrap();
        fill(&table, 0..3_000);
        for n in (0..3_000).filter(|n| n % 3 > 0) {
            let _ = table.delete(&key(n)).unwrap();
        }
        let (shapes, before) = (database.shapes(), database.stats().pool);
        assert_eq!(database.stats().pool, before, "looking on is no use");
        let report = database.check().unwrap();
        assert!(report.is_clean(), "{report}");
        assert_eq!(shapes.len(), 3);
        for ((shape, checked), stats) in shapes.iter().zip(&report.partitions).zip(database.partitions()) {
            assert_eq!((shape.table.as_str(), shape.partition as usize), ("t", checked.index));
            let [leaves, inner @ ..] = &shape.levels[..] else { panic!("{shape:?}") };
            assert_eq!(shape.levels.len(), usize::from(checked.levels));
            assert_eq!(stats.levels.len(), shape.levels.len());
            assert_eq!(shape.levels.iter().map(|level| level.nodes).sum::<u64>(), checked.pages);
            assert_eq!(inner.last().map(|root| root.nodes), Some(1));
            assert!(inner.iter().all(|level| level.sampled == level.nodes), "{shape:?}");
            assert!((32..=64).contains(&leaves.sampled) && leaves.sampled < leaves.nodes, "{shape:?}");
            let fill = shape.levels.iter().map(|level| level.fill * level.nodes as f64).sum::<f64>();
            let fill = fill / checked.pages as f64;
            assert!((fill - checked.fill).abs() < 0.1, "{fill} by the sample, {} in truth", checked.fill);
        }
    }
}

#[test]
fn shapes_of_trees_on_disk_tell_what_is_known_without_reading() {
    for engine in engines() {
        let database = DatabaseOf::<TINY>::open_on(memory(), small(engine)).unwrap();
        let table = database.create_table("t").unwrap();
        fill(&table, 0..5_000);
        table.get_eventual(&key(2_500)).unwrap();
        let (misses, shape) = (database.stats().pool.misses, database.shapes().remove(0));
        assert_eq!(database.stats().pool.misses, misses);
        let checked = database.check().unwrap().partitions.remove(0);
        assert_eq!(shape.levels.len(), usize::from(checked.levels));
        let nodes = shape.levels.iter().map(|level| level.nodes).sum::<u64>();
        assert!(nodes < checked.pages, "{nodes} nodes are known, {} are there", checked.pages);
        assert!(
            shape.levels.iter().all(|level| 0 < level.sampled && level.sampled <= level.nodes),
            "{shape:?}"
        );
        assert!(shape.levels.iter().all(|level| 0.0 < level.fill && level.fill <= 1.0), "{shape:?}");
        drop(database);
    }
}

#[test]
fn every_page_on_the_way_is_a_hit_or_a_miss() {
    const GETS: u64 = 2_000;
    for engine in engines() {
        // The baseline finds its leaf first, and then looks it up again for the visitor.
        let again = u64::from(engine == Engine::Mutex);
        for fits in [true, false] {
            let options = if fits { in_memory(engine, 1) } else { small(engine) };
            let database = DatabaseOf::<TINY>::open_on(memory(), options).unwrap();
            let table = database.create_table("t").unwrap();
            fill(&table, 0..5_000);
            let way = database.shapes()[0].levels.len() as u64 + again;
            let before = database.stats().pool;
            let mut random = Random(7);
            for _ in 0..GETS {
                assert!(table.get_eventual(&key(random.below(5_000))).unwrap().is_some());
            }
            let after = database.stats().pool;
            let (hits, misses) = (after.hits - before.hits, after.misses - before.misses);
            assert_eq!(misses == 0, fits);
            // What is found on a way that a miss ends is found once more on the next.
            let least = GETS * way;
            assert!(
                (least..=least + misses * (way - 1)).contains(&hits),
                "{hits} hits, {misses} misses, {way} pages"
            );
        }
    }
}

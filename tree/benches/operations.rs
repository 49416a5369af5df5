//! Single operations in memory, each protocol beside the other: `cargo bench -p tree`.
//!
//! Nothing is synced, so that what is measured is the way to the leaf and back. For durable writes see
//! `experiments compare`.
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tree::{Database, Engine, Options, Table};
use wal::MemoryStorage;

const KEYS: u64 = 100_000;
const VALUE: &[u8] = br#"{"name":"User 1000","email":"user1000@example.com","age":30}"#;

fn key(n: u64) -> Vec<u8> {
    format!("user-{n}").into_bytes()
}

fn loaded(engine: Engine) -> (Database, Table) {
    let options = Options { engine, partitions: 1, sync: false, pool_bytes: 256 << 20, ..Options::default() };
    let database = Database::open_on(Arc::new(MemoryStorage::new()), options).expect("memory can be opened");
    let table = database.create_table("users").expect("a new database has room for a table");
    for n in 0..KEYS {
        table.put(&key(n), VALUE).expect("memory takes it").wait().expect("nothing to wait for");
    }
    (database, table)
}

fn operations(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("operation");
    group.throughput(Throughput::Elements(1));
    for engine in [Engine::Mutex, Engine::Coupled] {
        let (_database, table) = loaded(engine);
        // A walk that meets every key, in an order that no cache can guess.
        let next = AtomicU64::new(0);
        let some_key = || key(next.fetch_add(7_919, Ordering::Relaxed) % KEYS);
        group.bench_function(BenchmarkId::new("get", engine), |bencher| {
            bencher.iter(|| black_box(table.get(&some_key()).expect("the key is there")));
        });
        group.bench_function(BenchmarkId::new("update", engine), |bencher| {
            bencher.iter(|| table.put(&some_key(), VALUE).expect("memory takes it").applied());
        });
    }
}

criterion_group!(benches, operations);
criterion_main!(benches);

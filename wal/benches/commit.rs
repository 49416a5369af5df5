//! What an append costs, and what a durable commit costs with 1, 8 and 64 writers, on the disk that holds
//! the temporary folder (set `TMPDIR` to choose another one).

use std::hint::black_box;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use wal::{CommitPolicy, DirStorage, Log, MemoryStorage, Options, Storage};

const PAYLOAD: [u8; 200] = [0x5a; 200];

fn log(storage: Arc<dyn Storage>, commit: CommitPolicy) -> Log {
    Log::create(storage, "bench", Options { commit, ..Options::default() }).expect("a log in an empty folder")
}

fn append(c: &mut Criterion) {
    let log = log(Arc::new(MemoryStorage::new()), CommitPolicy::Greedy);
    let mut group = c.benchmark_group("append");
    group.throughput(Throughput::Elements(1));
    group.bench_function("200 bytes", |b| {
        b.iter(|| {
            log.admit().expect("memory does not fail");
            if log.bytes() > log.max_bytes() / 2 {
                log.recycle(log.durable()).expect("memory does not fail");
            }
            log.append(black_box(&PAYLOAD)).expect("the log has room")
        });
    });
    group.finish();
}

fn commit(c: &mut Criterion) {
    let mut group = c.benchmark_group("commit");
    group.throughput(Throughput::Elements(1)).sample_size(10).measurement_time(Duration::from_secs(2));
    for policy in ["greedy", "immediate:50us"] {
        for threads in [1, 8, 64] {
            group.bench_function(BenchmarkId::new(policy, threads), |b| {
                let folder = tempfile::tempdir().expect("a temporary folder");
                let storage = Arc::new(DirStorage::open(folder.path()).expect("a folder"));
                let log = log(storage, policy.parse().expect("a policy"));
                b.iter_custom(|commits| run(&log, threads, commits));
            });
        }
    }
    group.finish();
}

/// The time that `threads` writers take for `commits` durable commits between them.
fn run(log: &Log, threads: u64, commits: u64) -> Duration {
    log.recycle(log.durable()).expect("the disk works");
    let begin = Instant::now();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for _ in 0..commits.div_ceil(threads) {
                    let lsn = log.append(&PAYLOAD).expect("the log has room");
                    log.wait(lsn).expect("the disk works");
                }
            });
        }
    });
    begin.elapsed()
}

criterion_group!(benches, append, commit);
criterion_main!(benches);

//! Memory is bounded by the pool: ten times as much data is written and read through it, in a process of its own
//! whose peak the kernel has counted.
#![cfg(not(feature = "loom"))]

mod common;

use std::process::Command;

use common::{Random, engines};
use tree::{Database, Engine, Options};

const POOL_BYTES: usize = 8 << 20;
/// Ten pools of data.
const KEYS: u64 = 80_000;
const VALUE_BYTES: usize = 1_000;
/// What there is besides the pool: the log's two buffers of 4 MiB, the records that replay collects (at most
/// `log_max_bytes`, here 8 MiB), a segment of 1 MiB as recovery reads it, the write-back's batch, translations of page
/// ids, stacks.
const BESIDES_BYTES: usize = 24 << 20;

const ENGINE: &str = "TREE_MEMORY_TEST_ENGINE";

/// A line of /proc/self/status, in bytes.
fn status(field: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() << 10
}

fn key(n: u64) -> Vec<u8> {
    format!("user-{:08}", n.wrapping_mul(0x9e37_79b9) % (1 << 31)).into_bytes()
}

fn value(n: u64, version: u64) -> Vec<u8> {
    let mut random = Random(n * 31 + version);
    let mut value = vec![0; VALUE_BYTES];
    value.chunks_exact_mut(8).for_each(|word| word.copy_from_slice(&random.next().to_le_bytes()));
    value
}

fn version(n: u64) -> u64 {
    u64::from(n.is_multiple_of(16))
}

fn check_some(database: &Database, count: u64) {
    let table = database.table("t").unwrap();
    let mut random = Random(5);
    for _ in 0..count {
        let n = random.below(KEYS);
        assert!(table.get(&key(n)).unwrap() == Some(value(n, version(n))), "key {n} has another value");
        assert!(table.get(&key(KEYS + n)).unwrap().is_none());
    }
}

fn load(engine: Engine) {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        engine,
        partitions: 4,
        pool_bytes: POOL_BYTES,
        log_segment_bytes: 1 << 20,
        log_max_bytes: 8 << 20,
        // The data, not the disk, is what this is about.
        sync: false,
        ..Options::default()
    };
    let before = status("VmRSS");
    let database = Database::open(folder.path(), options.clone()).unwrap();
    let table = database.create_table("t").unwrap();
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let table = &table;
            scope.spawn(move || {
                for n in (thread..KEYS).step_by(2) {
                    let _ = table.put(&key(n), &value(n, 0)).unwrap();
                }
            });
        }
    });
    for n in (0..KEYS).step_by(16) {
        let _ = table.put(&key(n), &value(n, 1)).unwrap();
    }
    check_some(&database, 5_000);
    assert_eq!(table.scan(..).filter(|item| item.is_ok()).count() as u64, KEYS);
    drop(table);
    // Without a checkpoint, so that the next opening replays a log.
    drop(database);
    let database = Database::open(folder.path(), options).unwrap();
    assert_eq!(database.table("t").unwrap().count().unwrap(), KEYS);
    check_some(&database, 5_000);
    let frames = database.stats().pool;
    assert!(frames.evictions > 5_000, "{frames:?}: the data fits the pool");
    drop(database);

    let (peak, most) = (status("VmHWM") - before, POOL_BYTES / 10 * 11 + BESIDES_BYTES);
    println!(
        "{engine}: {} MiB of data, pool of {} MiB, peak {} MiB, allowed {} MiB",
        (KEYS as usize * VALUE_BYTES) >> 20,
        POOL_BYTES >> 20,
        peak >> 20,
        most >> 20
    );
    assert!(peak <= most, "{engine}: the process grew by {peak} bytes, {most} are allowed");
}

#[test]
#[ignore = "started by the test below, in a process of its own"]
fn load_in_a_process_of_its_own() {
    if let Ok(engine) = std::env::var(ENGINE) {
        load(engine.parse().unwrap());
    }
}

#[test]
fn ten_pools_of_data_need_the_memory_of_one() {
    for engine in engines() {
        let child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "load_in_a_process_of_its_own",
                "--ignored",
                "--nocapture",
                "--test-threads",
                "1",
            ])
            .env(ENGINE, engine.to_string())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&child.stdout);
        println!("{}", said.lines().find(|line| line.contains("peak")).unwrap_or_default());
        assert!(
            child.status.success() && said.contains("peak"),
            "{said}\n{}",
            String::from_utf8_lossy(&child.stderr)
        );
    }
}

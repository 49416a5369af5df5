//! A full disk: writes fail with a clear error, reads go on, nothing acknowledged is lost, and what must happen
//! for writes to work again.
#![cfg(not(feature = "loom"))]

mod common;

use std::sync::Arc;

use common::files::total_bytes;
use common::{Model, TINY, contents, engines, small};
use tree::{DatabaseOf, Engine, Error, Options};
use wal::FaultyStorage;

type Tiny = DatabaseOf<TINY>;

struct Full {
    disk: FaultyStorage,
    database: Tiny,
    acknowledged: Model,
    error: Error,
}

/// Writes until the disk is full: for the log, or for the data file alone, if the log has reached its size before
/// and only uses its segments again.
fn fill(engine: Engine, options: &Options, log_is_whole: bool, spare: u64) -> Full {
    let disk = FaultyStorage::new(9);
    let database = Tiny::open_on(Arc::new(disk.clone()), options.clone()).unwrap();
    let table = database.create_table("t").unwrap();
    let mut acknowledged = Model::new();
    while log_is_whole && database.stats().checkpoints < 4 {
        table.put(b"hot", b"1").unwrap().wait().unwrap();
    }
    disk.capacity(total_bytes(&disk) + spare);
    for n in 0..200_000_u64 {
        let (key, value) = (format!("key{:06}", n * 7_919 % 1_000_003).into_bytes(), vec![n as u8; 40]);
        match table.put(&key, &value).and_then(|commit| commit.wait()) {
            Ok(()) => drop(acknowledged.insert(key, value)),
            Err(error) => return Full { disk, database, acknowledged, error },
        }
    }
    panic!("{engine}: the disk never became full");
}

fn room_again(full: Full, options: &Options, log_is_whole: bool, case: &str) {
    let Full { disk, database, acknowledged, error } = full;
    println!("{case}: {} writes, then: {error}", acknowledged.len());
    let message = error.to_string();
    assert!(message.contains("no space left") && message.contains("faulty:"), "{case}: {message}");
    let table = database.table("t").unwrap();
    let mut refused = 0;
    for (key, value) in &acknowledged {
        assert_eq!(table.get_eventual(key).unwrap().as_ref(), Some(value), "{case}: reads go on");
        match table.get(key) {
            Ok(found) => assert_eq!(found.as_ref(), Some(value), "{case}"),
            Err(_) => refused += 1,
        }
    }
    // A leaf that holds the write that failed is not durable, so strong reads of it are refused.
    assert!(refused <= 8, "{case}: {refused} strong reads were refused");
    disk.capacity(u64::MAX);
    let goes_on = table.put(b"later", b"1").and_then(|commit| commit.wait());
    // What the log could not write, nobody knows; what a data file could not take is in the pool still.
    assert_eq!(goes_on.is_ok(), log_is_whole, "{case}: {goes_on:?}");
    drop((table, database));

    let disk = disk.crash();
    let database = Tiny::open_on(Arc::new(disk), options.clone()).unwrap();
    let table = database.table("t").unwrap();
    let mut found = contents(&table).unwrap();
    assert_eq!(found.remove(&b"later"[..]).is_some(), goes_on.is_ok(), "{case}");
    for (key, value) in &acknowledged {
        assert_eq!(found.get(key), Some(value), "{case}: {} is lost", key.escape_ascii());
    }
    table.put(b"after", b"1").unwrap().wait().unwrap();
    let report = database.check().unwrap();
    assert!(report.is_clean(), "{case}: {report}");
}

#[test]
fn a_disk_that_is_full_for_the_log_stops_writes_until_the_database_is_reopened() {
    for engine in engines() {
        // The data file does not grow: the pool holds everything, and no checkpoint comes.
        let options = Options { pool_bytes: 8_000 * TINY, log_max_bytes: 64 << 20, ..small(engine) };
        for spare in [0, 100, 300].map(|kib| kib << 10) {
            let full = fill(engine, &options, false, spare);
            room_again(full, &options, false, &format!("{engine}, log, {spare} bytes"));
        }
    }
}

#[test]
fn a_disk_that_is_full_for_a_data_file_stops_writes_but_not_reads_until_there_is_room() {
    for engine in engines() {
        for (pages, spare) in [(100, 20), (200, 100), (200, 300)] {
            let options = Options { pool_bytes: pages * TINY, ..small(engine) };
            let full = fill(engine, &options, true, spare << 10);
            room_again(full, &options, true, &format!("{engine}, {pages} pages in the pool, {spare} KiB"));
        }
    }
}

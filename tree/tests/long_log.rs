//! A log that is much longer than what replay collects before it applies: each window rests on the ones before it.
#![cfg(not(any(feature = "loom", feature = "shuttle")))]

mod common;

use common::{engines, memory};
use tree::{Batch, Database, Maintenance, Options};

const KEYS: u64 = 8;
const ROUNDS: u64 = 5;

/// A value of a mebibyte that says which key and round it is of.
fn value(key: u64, round: u64) -> Vec<u8> {
    let mut value = format!("{key} in round {round}:").into_bytes();
    value.resize((1 << 20) - (key * 1000 + round) as usize, (key * ROUNDS + round) as u8);
    value
}

#[test]
fn a_log_of_many_windows_is_replayed_whole_and_in_order() {
    for engine in engines() {
        let storage = memory();
        let options =
            Options { engine, partitions: 2, maintenance: Maintenance::Inline, ..Options::default() };
        let database = Database::open_on(storage.clone(), options.clone()).unwrap();
        let table = database.create_table("t").unwrap();
        for round in 0..ROUNDS {
            for key in 0..KEYS {
                table.put(&key.to_be_bytes(), &value(key, round)).unwrap().wait().unwrap();
            }
            let mut batch = Batch::new();
            assert!(batch.is_empty());
            batch.delete(b"gone".to_vec()).put(format!("round-{round}"), b"over".to_vec());
            table.apply(&batch).unwrap().wait().unwrap();
            table.put(b"gone", b"next time").unwrap().wait().unwrap();
        }
        let stats = database.stats();
        assert!(stats.checkpoints == 0 && stats.log.appended_bytes > 2 * (16 << 20), "{stats:?}");
        drop((table, database));

        let database = Database::open_on(storage, options).unwrap();
        let table = database.table("t").unwrap();
        for key in 0..KEYS {
            assert!(
                table.get(&key.to_be_bytes()).unwrap() == Some(value(key, ROUNDS - 1)),
                "{engine}, {key}"
            );
        }
        assert_eq!(table.count().unwrap(), KEYS + ROUNDS + 1);
        let report = database.check().unwrap();
        assert!(report.is_clean(), "{engine}: {report}");
    }
}

//! What callers can get wrong: each mistake is an error that names the thing and what to do about it, and
//! leaves everything as it was.
#![cfg(not(feature = "loom"))]

mod common;

use std::fmt::Debug;
use std::sync::Arc;

use common::{Model, Random, TINY, contents, engines, memory, small};
use tree::{
    Batch, Condition, Database, DatabaseOf, Engine, Error, LogScope, MAX_VALUE, Maintenance, Options, Result,
    Wait,
};
use wal::DirStorage;

/// Asserts that the error's message has all of these words in it.
#[track_caller]
fn refused<T: Debug>(result: Result<T>, words: &[&str]) -> Error {
    let error = result.expect_err("it should have been refused");
    let message = error.to_string();
    words.iter().for_each(|word| assert!(message.contains(word), "{word:?} is missing in: {message}"));
    error
}

/// Usual pages in memory, without a thread.
fn usual(engine: Engine) -> Options {
    Options { engine, maintenance: Maintenance::Inline, ..Options::default() }
}

fn open(options: Options) -> Database {
    Database::open_on(memory(), options).unwrap()
}

#[test]
fn keys_without_bytes_or_with_too_many_are_refused_by_every_operation() {
    for engine in engines() {
        let database = open(usual(engine));
        let table = database.create_table("t").unwrap();
        table.put(b"there", b"before").unwrap().wait().unwrap();
        for key in [&[][..], &[b'k'; 1025], &[0; 70_000]] {
            let words = [&*format!("a key of {} bytes", key.len()), "1 to 1024 bytes"];
            refused(table.get(key), &words);
            refused(table.get_eventual(key), &words);
            refused(table.put(key, b"v"), &words);
            refused(table.put_if(key, b"v", Condition::Absent), &words);
            refused(table.delete(key), &words);
            refused(table.delete_if(key, Condition::Equals(b"v")), &words);
            let mut batch = Batch::new();
            batch.put(b"there".to_vec(), b"after".to_vec()).put(key.to_vec(), b"v".to_vec());
            refused(table.apply(&batch), &words);
        }
        assert_eq!(table.get(b"there").unwrap().unwrap(), b"before");
        assert_eq!(table.count().unwrap(), 1);
    }
}

#[test]
fn the_longest_keys_work_although_they_share_all_but_their_last_bytes() {
    for engine in engines() {
        let database = open(Options { partitions: 1, ..usual(engine) });
        let table = database.create_table("t").unwrap();
        let (mut model, mut random) = (Model::new(), Random(7));
        for n in 0..1_500_u64 {
            // The difference sits in the last bytes, in the middle, or is the length alone.
            let mut key = vec![b'k'; 1024];
            let number = random.below(4_000).to_be_bytes();
            match n % 4 {
                0 | 1 => key[1016..].copy_from_slice(&number),
                2 => key[600..608].copy_from_slice(&number),
                _ => key.truncate(1 + random.below(1024) as usize),
            }
            let value = vec![n as u8; [0, 1, 8, 9, 300, 5_000][random.below(6) as usize]];
            let _ = table.put(&key, &value).unwrap();
            model.insert(key, value);
        }
        assert_eq!(contents(&table).unwrap(), model);
        let report = database.check().unwrap();
        assert!(report.is_clean(), "{engine}: {report}");
        for (n, (key, value)) in model.iter().enumerate() {
            assert_eq!(table.get(key).unwrap().as_ref(), Some(value), "{engine}, key {n}");
            assert!(table.delete(key).unwrap().applied());
        }
        assert_eq!(contents(&table).unwrap(), Model::new());
        let report = database.check().unwrap();
        assert!(report.is_clean(), "{engine}: {report}");
    }
}

#[test]
fn values_have_16_mib_and_no_byte_more() {
    for engine in engines() {
        let database = open(usual(engine));
        let table = database.create_table("t").unwrap();
        let largest: Vec<u8> = (0..MAX_VALUE).map(|at| (at / 7) as u8).collect();
        table.put(b"large", &largest).unwrap().wait().unwrap();
        let larger = vec![1; MAX_VALUE + 1];
        let words = ["a value of 16777217 bytes", "at most 16777216 bytes", "split it"];
        refused(table.put(b"large", &larger), &words);
        refused(table.put_if(b"new", &larger, Condition::Absent), &words);
        let mut batch = Batch::new();
        batch.put(b"new".to_vec(), larger);
        refused(
            table.apply(&batch),
            &["16777220 bytes was given", "at most", "16777216 bytes fit", "split it"],
        );
        assert!(table.get(b"large").unwrap().unwrap() == largest, "{engine}: the value came back changed");
        assert_eq!(table.count().unwrap(), 1);
    }
}

/// A batch that spreads over all partitions, and in which exactly one thing is wrong.
fn wide_batch() -> Batch {
    let mut batch = Batch::new();
    for n in 0..64 {
        batch.put(format!("wide-{n}"), b"v".to_vec());
    }
    batch
}

#[test]
fn a_batch_with_one_bad_write_changes_no_partition() {
    for engine in engines() {
        let database = open(usual(engine));
        let table = database.create_table("t").unwrap();
        for n in 0..40 {
            // The bad write falls into another partition each time.
            let mut twice = wide_batch();
            twice.put(format!("k\n{n}"), b"1".to_vec()).delete(format!("k\n{n}"));
            refused(table.apply(&twice), &[&format!("the key \"k\\\\n{n}\" twice"), "give each key once"]);
            let mut long = wide_batch();
            long.put(format!("{n:01025}"), b"v".to_vec());
            refused(table.apply(&long), &["a key of 1025 bytes"]);
            assert_eq!(
                contents(&table).unwrap(),
                Model::new(),
                "{engine}: a refused batch was applied in part"
            );
        }
        let mut empty = wide_batch();
        empty.put(Vec::new(), b"v".to_vec());
        refused(table.apply(&empty), &["a key of 0 bytes"]);
        assert_eq!(table.count().unwrap(), 0);
        table.apply(&Batch::new()).unwrap().wait().unwrap();
        assert_eq!(table.count().unwrap(), 0);
    }
}

#[test]
fn batches_beyond_the_limits_are_refused_and_those_at_them_are_not() {
    for engine in engines() {
        let database = open(usual(engine));
        let table = database.create_table("t").unwrap();
        let of = |count: usize| {
            let mut batch = Batch::new();
            for n in 0..count {
                batch.put(format!("{n:06}"), vec![7; 100]);
            }
            batch
        };
        table.apply(&of(Batch::MAX_WRITES)).unwrap().wait().unwrap();
        assert_eq!(table.count().unwrap(), Batch::MAX_WRITES as u64);
        refused(table.apply(&of(Batch::MAX_WRITES + 1)), &["1025 operations", "at most 1024", "split it"]);
        drop((table, database));

        // A small pool takes smaller batches, and says so.
        let database = DatabaseOf::<TINY>::open_on(memory(), small(engine)).unwrap();
        let table = database.create_table("t").unwrap();
        table.apply(&of(16)).unwrap().wait().unwrap();
        refused(table.apply(&of(17)), &["17 operations", "at most 16", "split it"]);
        assert_eq!(table.count().unwrap(), 16);
    }
}

#[test]
fn a_batch_larger_than_a_log_segment_is_refused_whole() {
    for engine in engines() {
        let options =
            Options { partitions: 1, log_segment_bytes: 64 << 10, log_max_bytes: 512 << 10, ..usual(engine) };
        let database = open(options);
        let table = database.create_table("t").unwrap();
        let mut batch = Batch::new();
        for n in 0..100 {
            batch.put(format!("{n:06}"), vec![7; 1_000]);
        }
        refused(table.apply(&batch), &["larger than", "segment_bytes", "write less at once"]);
        assert_eq!(contents(&table).unwrap(), Model::new());
        table.put(b"k", b"v").unwrap().wait().unwrap();
        let report = database.check().unwrap();
        assert!(report.is_clean(), "{engine}: {report}");
    }
}

#[test]
fn names_that_are_no_part_of_file_names_are_refused() {
    for engine in engines() {
        let database = open(usual(engine));
        let long = "n".repeat(65);
        for name in ["", &long, "a b", "a/b", "../t", ".", "-t", "_t", "t\0", "tä", "a.db"] {
            refused(database.create_table(name), &[&format!("table name {name:?}"), "a name"]);
        }
        for name in ["t", "T-1_x", "7", &"n".repeat(64)] {
            database.create_table(name).unwrap();
            refused(database.create_table(name), &[&format!("{name:?} exists already"), "drop it first"]);
        }
        assert_eq!(database.tables().len(), 4);
    }
}

#[test]
fn a_table_never_takes_the_files_of_another() {
    for engine in engines() {
        for scope in [LogScope::Database, LogScope::Partition] {
            let storage = memory();
            let with = |partitions| Options { partitions, log_scope: scope, ..small(engine) };
            let database = DatabaseOf::<TINY>::open_on(storage.clone(), with(2)).unwrap();
            let first = database.create_table("a").unwrap();
            first.put(b"k", b"first").unwrap().wait().unwrap();
            database.close().unwrap();

            let database = DatabaseOf::<TINY>::open_on(storage.clone(), with(1)).unwrap();
            refused(database.create_table("a_p0"), &["\"a_p0\" is refused", "another table's"]);
            refused(database.create_table("wal"), &["\"wal\" is refused", "log's"]);
            let apart = database.create_table("a_p2").unwrap();
            apart.put(b"k", b"apart").unwrap().wait().unwrap();
            database.close().unwrap();

            let database = DatabaseOf::<TINY>::open_on(storage, with(3)).unwrap();
            refused(database.create_table("a"), &["exists already"]);
            for (name, value) in [("a", "first"), ("a_p2", "apart")] {
                let found = database.table(name).unwrap().get(b"k").unwrap();
                assert_eq!(found.unwrap(), value.as_bytes(), "{engine}, {scope}");
            }
        }
    }
}

#[test]
fn tables_that_are_unknown_or_dropped_say_so() {
    for engine in engines() {
        let database = open(usual(engine));
        assert!(database.table("t").is_none());
        refused(database.drop_table("t"), &["no table \"t\"", "create it"]);
        let old = database.create_table("t").unwrap();
        let _ = old.put(b"k", b"old").unwrap();
        database.drop_table("t").unwrap();
        refused(database.drop_table("t"), &["no table \"t\""]);
        let new = database.create_table("t").unwrap();
        let dropped = ["table \"t\" was dropped"];
        refused(old.get(b"k"), &dropped);
        refused(old.put(b"k", b"v"), &dropped);
        refused(old.delete(b"k"), &dropped);
        refused(old.count(), &dropped);
        refused(old.apply(&wide_batch()), &dropped);
        refused(contents(&old), &dropped);
        assert_eq!(contents(&new).unwrap(), Model::new());
        let rest = new.clone();
        database.close().unwrap();
        refused(rest.get(b"k"), &["the database is closed"]);
        refused(rest.put(b"k", b"v"), &["the database is closed"]);
        refused(contents(&rest), &["the database is closed"]);
    }
}

#[test]
fn options_out_of_their_range_are_refused_by_name() {
    for engine in engines() {
        let good = || small(engine);
        let cases = [
            (Options { partitions: 0, ..good() }, ["partitions", "1 to 1024"]),
            (Options { partitions: 1025, ..good() }, ["partitions", "1 to 1024"]),
            (Options { pool_bytes: 64 * TINY - 1, ..good() }, ["pool_bytes", "at least 16384"]),
            (Options { pool_bytes: 0, ..good() }, ["pool_bytes", "at least 16384"]),
            (Options { log_segment_bytes: 0, ..good() }, ["log_segment_bytes", "64 KiB to 1 GiB"]),
            (Options { log_segment_bytes: 65_537, ..good() }, ["log_segment_bytes", "multiple of 4096"]),
            (Options { log_segment_bytes: 2 << 30, ..good() }, ["log_segment_bytes", "64 KiB to 1 GiB"]),
            (Options { log_max_bytes: 100_000, ..good() }, ["log_max_bytes", "four segments (262144)"]),
        ];
        for (options, words) in cases {
            let storage = memory();
            refused(DatabaseOf::<TINY>::open_on(storage.clone(), options), &words);
            // Nothing was made, and the folder is not locked.
            DatabaseOf::<TINY>::open_on(storage, good()).unwrap();
        }
    }
    refused("fast".parse::<Engine>(), &["option engine", "\"fast\"", "mutex, coupled"]);
    refused("never".parse::<Wait>(), &["option wait", "under-lock, after-release"]);
    refused("table".parse::<LogScope>(), &["option log_scope", "database, partition"]);
}

#[test]
fn a_second_opener_is_refused_until_the_first_has_closed() {
    let folder = tempfile::tempdir().unwrap();
    let first = Database::open(folder.path(), Options::default()).unwrap();
    let words = [folder.path().to_str().unwrap(), "open already", "close it there first"];
    refused(Database::open(folder.path(), Options::default()), &words);
    let other = DirStorage::open(folder.path()).unwrap();
    refused(Database::open_on(Arc::new(other), Options::default()), &words);
    refused(tree::check::check(folder.path()), &words);
    first.create_table("t").unwrap().put(b"k", b"v").unwrap().wait().unwrap();
    first.close().unwrap();
    let second = Database::open(folder.path(), Options::default()).unwrap();
    assert_eq!(second.table("t").unwrap().get(b"k").unwrap().unwrap(), b"v");
    drop(second);
    assert!(tree::check::check(folder.path()).unwrap().is_clean());
}

#[test]
fn a_folder_that_cannot_be_written_is_refused_by_its_path() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let locked = folder.path().join("locked");
    std::fs::create_dir(&locked).unwrap();
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o555)).unwrap();
    if std::fs::write(locked.join("probe"), b"").is_ok() {
        println!("skipped: this user may write to folders without permission (root may)");
        return;
    }
    refused(Database::open(&locked, Options::default()), &[locked.to_str().unwrap(), "denied"]);
    refused(Database::open(locked.join("below"), Options::default()), &["below", "denied"]);
}

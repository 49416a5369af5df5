//! Faults of the disk at a chosen call, in the middle of a load, a checkpoint, the making of a table, or a
//! recovery: what was acknowledged is there after a restart, and after a power loss behind it.
#![cfg(not(feature = "loom"))]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use common::{Random, TINY, contents, engines, small};
use tree::{DatabaseOf, Engine, LogScope, Options, Result, TableOf};
use wal::{Call, Fault, FaultyStorage, Storage};

type Tiny = DatabaseOf<TINY>;
type Value = Option<Vec<u8>>;

/// What each key may hold: one value where the last write was acknowledged, more where one failed.
#[derive(Clone, Default)]
struct Expected(BTreeMap<Vec<u8>, BTreeSet<Value>>);

impl Expected {
    fn attempt(&mut self, key: &[u8], value: &Value) {
        let possible = self.0.entry(key.to_vec()).or_insert_with(|| BTreeSet::from([None]));
        possible.insert(value.clone());
    }

    fn is_known(&mut self, key: &[u8], value: Value) {
        self.0.insert(key.to_vec(), BTreeSet::from([value]));
    }

    /// What a strong read has returned is durable: no crash may take it back.
    #[track_caller]
    fn read(&mut self, case: &str, key: &[u8], found: Value) {
        let possible = self.0.entry(key.to_vec()).or_insert_with(|| BTreeSet::from([None]));
        assert!(
            possible.contains(&found),
            "{case}: {} has {found:?}, not one of {possible:?}",
            key.escape_ascii()
        );
        *possible = BTreeSet::from([found]);
    }
}

fn open(disk: &FaultyStorage, options: &Options) -> Result<Tiny> {
    Tiny::open_on(Arc::new(disk.clone()), options.clone())
}

fn write(table: &TableOf<TINY>, key: &[u8], value: &Value, expected: &mut Expected) -> Result<()> {
    expected.attempt(key, value);
    let commit = match value {
        Some(value) => table.put(key, value)?,
        None => table.delete(key)?,
    };
    commit.wait()?;
    expected.is_known(key, value.clone());
    Ok(())
}

/// Writes, reads, checkpoints, a table that comes and goes. Errors are noted, and the load goes on.
fn load(database: &Tiny, expected: &mut Expected, case: &str, seed: u64, steps: u64) {
    let Some(table) = database.table("t") else { panic!("{case}: the table is gone") };
    let mut random = Random(seed);
    for step in 0..steps {
        let key = format!("key{:03}", random.below(120)).into_bytes();
        let len = if random.below(20) == 0 { 600 } else { random.below(30) };
        let value = (random.below(3) > 0).then(|| vec![random.next() as u8; len as usize]);
        let _ = write(&table, &key, &value, expected);
        let key = format!("key{:03}", random.below(120)).into_bytes();
        if let Ok(found) = table.get(&key) {
            expected.read(case, &key, found);
        }
        match step % 40 {
            15 => drop(database.create_table("brief").map(drop)),
            20 => drop(database.checkpoint()),
            25 => drop(database.drop_table("brief")),
            _ => {}
        }
    }
}

/// A database with a log to replay, and what it holds.
fn base(options: &Options, seed: u64) -> (FaultyStorage, Expected) {
    let disk = FaultyStorage::new(seed);
    let database = open(&disk, options).unwrap();
    database.create_table("t").unwrap();
    let mut expected = Expected::default();
    load(&database, &mut expected, "before the fault", seed, 110);
    drop(database);
    (disk, expected)
}

#[track_caller]
fn verify(database: &Tiny, expected: &mut Expected, case: &str) {
    let table = database.table("t").unwrap_or_else(|| panic!("{case}: the table is gone"));
    let found = contents(&table).unwrap_or_else(|error| panic!("{case}: it cannot be read: {error}"));
    let keys: BTreeSet<_> = expected.0.keys().chain(found.keys()).cloned().collect();
    for key in keys {
        expected.read(case, &key, found.get(&key).cloned());
    }
    assert_eq!(table.count().unwrap(), found.len() as u64, "{case}");
}

#[derive(Clone, Copy, Debug)]
enum Restart {
    /// The machine goes down: what was not synced survives in part.
    PowerLoss,
    /// The process starts anew: what was not synced can still be read, and is not on the disk. The power fails
    /// only behind the next checkpoint.
    Process,
}

fn one_fault(
    base: &(FaultyStorage, Expected),
    options: &Options,
    call: Call,
    at: u64,
    fault: Fault,
    restart: Restart,
) {
    let case = format!("{}, {call:?} {at}, {fault:?}, {restart:?}", options.engine);
    let (mut disk, mut expected) = (base.0.crash(), base.1.clone());
    disk.fail(call, at, fault);
    // A recovery that meets the fault may fail; the next one may not.
    let database = open(&disk, options).or_else(|_| open(&disk, options));
    let database = database.unwrap_or_else(|error| panic!("{case}: the second recovery fails: {error}"));
    load(&database, &mut expected, &case, at, 80);
    drop(database);
    if let Restart::Process = restart {
        // The fault may be yet to come.
        let database = open(&disk, options).or_else(|_| open(&disk, options)).unwrap();
        load(&database, &mut expected, &case, at + 1, 30);
        let _ = database.checkpoint();
    }
    disk = disk.crash();
    let database = open(&disk, options).unwrap_or_else(|error| panic!("{case}: it does not open: {error}"));
    verify(&database, &mut expected, &case);
    let report = database.check().unwrap();
    assert!(report.is_clean(), "{case}: {report}");
}

fn options(engine: Engine, scope: LogScope) -> Options {
    Options { log_scope: scope, partitions: 2, pool_bytes: 64 * TINY, ..small(engine) }
}

/// Every early call of a kind, where recovery and checkpoints are, and some later ones.
fn places() -> impl Iterator<Item = u64> {
    (0..24).chain((24..120).step_by(7)).chain((120..400).step_by(61))
}

fn faults_at(calls: &[Call], faults: &[Fault]) {
    for engine in engines() {
        for (scope, turn) in [(LogScope::Database, 0), (LogScope::Partition, 1)] {
            let options = options(engine, scope);
            let base = base(&options, 1);
            for (&call, &fault) in calls.iter().flat_map(|call| faults.iter().map(move |fault| (call, fault)))
            {
                for (index, at) in places().enumerate() {
                    let restart = if (index + turn) % 2 == 0 { Restart::PowerLoss } else { Restart::Process };
                    one_fault(&base, &options, call, at, fault, restart);
                }
            }
        }
    }
}

#[test]
fn a_failing_or_torn_write_loses_nothing_acknowledged() {
    faults_at(&[Call::Write], &[Fault::Io, Fault::NoSpace, Fault::ShortWrite]);
}

#[test]
fn a_failing_sync_loses_nothing_acknowledged() {
    faults_at(&[Call::Sync, Call::SyncDir], &[Fault::Io]);
}

#[test]
fn a_failing_read_loses_nothing_acknowledged() {
    faults_at(&[Call::Read, Call::Open], &[Fault::Io]);
}

#[test]
fn a_failing_change_of_the_folder_loses_nothing_acknowledged() {
    faults_at(&[Call::Create, Call::Rename, Call::Remove, Call::SetLen], &[Fault::Io, Fault::NoSpace]);
}

/// After a failed sync the kernel takes the lost pages for written. They can still be read, so that recovery finds
/// nothing to do for them; unless they are written again, the next checkpoint gives their log records up.
#[test]
fn pages_whose_sync_failed_are_written_again_before_the_log_lets_them_go() {
    for engine in engines() {
        let options = Options { pool_bytes: 400 * TINY, ..options(engine, LogScope::Database) };
        for at in 0..12 {
            let case = format!("{engine}, sync {at}");
            let disk = FaultyStorage::new(at);
            let database = open(&disk, &options).unwrap();
            let table = database.create_table("t").unwrap();
            let mut expected = Expected::default();
            for n in 0..600 {
                let _ =
                    write(&table, format!("key{n:04}").as_bytes(), &Some(b"value".to_vec()), &mut expected);
            }
            disk.fail(Call::Sync, at, Fault::Io);
            let _ = database.checkpoint();
            drop((table, database));
            let database = open(&disk, &options).or_else(|_| open(&disk, &options)).unwrap();
            let _ = database.checkpoint();
            drop(database);
            let database = open(&disk.crash(), &options).unwrap();
            verify(&database, &mut expected, &case);
            let report = database.check().unwrap();
            assert!(report.is_clean(), "{case}: {report}");
        }
    }
}

/// A disk that reports a sync that it has not done can lose anything in a power loss, and nobody can tell. But
/// as long as the power stays on, nothing happens at all.
#[test]
fn a_sync_that_lies_is_harmless_while_the_power_is_on_and_never_a_panic_after() {
    for engine in engines() {
        let options = options(engine, LogScope::Database);
        let (disk, expected) = base(&options, 2);
        for at in places() {
            let (disk, mut expected) = (disk.crash(), expected.clone());
            disk.fail(Call::Sync, at, Fault::DropSync);
            let database = open(&disk, &options).unwrap();
            load(&database, &mut expected, "a lie", at, 60);
            drop(database);
            let after_power_loss = disk.crash();
            verify(&open(&disk, &options).unwrap(), &mut expected, "a lie");
            let Ok(database) = open(&after_power_loss, &options) else { continue };
            let _ = database.table("t").map(|table| contents(&table));
        }
    }
}

#[test]
fn after_a_failed_log_sync_every_write_and_every_waiter_gets_an_error() {
    for engine in engines() {
        let options = Options { partitions: 4, ..options(engine, LogScope::Database) };
        let disk = FaultyStorage::new(3);
        let database = open(&disk, &options).unwrap();
        let table = database.create_table("t").unwrap();
        table.put(b"before", b"1").unwrap().wait().unwrap();
        let waiting: Vec<_> =
            (0..8).map(|n| table.put(format!("lost{n}").as_bytes(), b"1").unwrap()).collect();
        disk.fail(Call::Sync, 0, Fault::Io);
        std::thread::scope(|scope| {
            let waiters: Vec<_> = waiting.into_iter().map(|commit| scope.spawn(|| commit.wait())).collect();
            for waiter in waiters {
                let message = waiter.join().unwrap().unwrap_err().to_string();
                assert!(
                    message.contains("the log stopped") && message.contains("check the disk"),
                    "{message}"
                );
            }
        });
        for n in 0..20 {
            let late = table.put(format!("late{n}").as_bytes(), b"1").and_then(|commit| commit.wait());
            assert!(late.unwrap_err().to_string().contains("the log stopped"));
            let late = table.delete(b"before").and_then(|commit| commit.wait());
            assert!(late.unwrap_err().to_string().contains("the log stopped"));
        }
        // Strong reads answer what is durable, and refuse what may be lost.
        assert!((0..8).all(|n| table.get(format!("lost{n}").as_bytes()).is_err()));
        assert!(database.checkpoint().is_err());
        drop(database);
        let database = open(&disk.crash(), &options).unwrap();
        let found = contents(&database.table("t").unwrap()).unwrap();
        assert_eq!(found[&b"before"[..]], b"1");
        assert!(found.keys().all(|key| !key.starts_with(b"late")), "{found:?}");
    }
}

/// A partition whose file cannot be opened for a while needs its log records when it can be again.
#[test]
fn a_partition_that_was_out_of_use_is_back_with_every_write_or_is_refused() {
    for engine in engines() {
        for (scope, writes) in
            [(LogScope::Database, 50), (LogScope::Database, 20_000), (LogScope::Partition, 50)]
        {
            let case = format!("{engine}, {scope}, {writes} writes");
            let options = options(engine, scope);
            let disk = FaultyStorage::new(5);
            let database = open(&disk, &options).unwrap();
            let tables = ["a", "b"].map(|name| database.create_table(name).unwrap());
            for (n, table) in (0..400).zip(tables.iter().cycle()) {
                table.put(format!("{n}").as_bytes(), b"1").unwrap().wait().unwrap();
            }
            drop((tables, database));
            for name in ["a_p0.db", "a_p1.db"] {
                disk.rename(name, &format!("{name}.away")).unwrap();
            }
            let database = open(&disk, &options).unwrap();
            assert!(database.table("a").unwrap().get(b"0").unwrap_err().to_string().contains("a_p"));
            let table = database.table("b").unwrap();
            for n in 0..writes {
                table.put(format!("more{}", n % 500).as_bytes(), b"2").unwrap().wait().unwrap();
            }
            database.close().unwrap();
            for name in ["a_p0.db", "a_p1.db"] {
                disk.rename(&format!("{name}.away"), name).unwrap();
            }
            let database = open(&disk, &options).unwrap();
            assert_eq!(database.table("b").unwrap().count().unwrap(), 200 + writes.min(500));
            match contents(&database.table("a").unwrap()) {
                Ok(found) => assert_eq!(found.len(), 200, "{case}"),
                // The log had to go on without it.
                Err(error) => {
                    assert!(writes == 20_000 && error.to_string().contains("a_p"), "{case}: {error}");
                    assert!(error.to_string().contains("backup"), "{case}: {error}");
                }
            }
        }
    }
}

/// A value that the log has no room for is refused in the middle of its chain. The page that came next was a leaf
/// once; it may be written back now, and records of its former life may be replayed over it.
#[test]
fn a_value_that_the_log_has_no_room_for_is_refused_without_a_trace() {
    for engine in engines() {
        for chain_pages in (13_840..14_140).step_by(20) {
            let case = format!("{engine}, {chain_pages} pages");
            let options =
                Options { log_max_bytes: 256 << 10, partitions: 1, ..options(engine, LogScope::Database) };
            let disk = FaultyStorage::new(6);
            let database = open(&disk, &options).unwrap();
            let table = database.create_table("t").unwrap();
            let other = database.create_table("other").unwrap();
            (0..2_000).for_each(|n| drop(other.put(format!("{n}").as_bytes(), &[4; 50]).unwrap()));
            // Low page ids, to be free when the value comes; leaves behind them.
            for half in ["a", "b"] {
                table.put(half.as_bytes(), &vec![1; chain_pages / 2 * 216]).unwrap().wait().unwrap();
                database.checkpoint().unwrap();
            }
            let keys = || (0..480).map(|n| format!("key{n:04}"));
            keys().for_each(|key| drop(table.put(key.as_bytes(), &[2; 50]).unwrap()));
            database.checkpoint().unwrap();
            // From here on, all records will be replayed.
            keys().step_by(2).for_each(|key| drop(table.put(key.as_bytes(), &[3; 40]).unwrap()));
            keys().for_each(|key| drop(table.delete(key.as_bytes()).unwrap()));
            ["a", "b"].into_iter().for_each(|half| drop(table.delete(half.as_bytes()).unwrap()));
            // What is freed can be used again a few frees later, when it is durable and nobody can remember it.
            for _ in 0..20 {
                table.put(b"last", &[1; 300]).unwrap().wait().unwrap();
                table.put(b"last", b"1").unwrap().wait().unwrap();
            }
            let error = table.put(b"too large", &vec![1; 15 << 20]).unwrap_err().to_string();
            assert!(error.contains("the log holds") && error.contains("max_bytes"), "{case}: {error}");
            // Reading pushes the page out of the pool, and takes no checkpoint.
            assert_eq!(contents(&other).unwrap().len(), 2_000);
            let expected = contents(&table).unwrap();
            assert_eq!(expected.len(), 1, "{case}");
            drop((table, other, database));
            let database = open(&disk.crash(), &options).unwrap();
            assert_eq!(contents(&database.table("t").unwrap()).unwrap(), expected, "{case}");
            let report = database.check().unwrap();
            assert!(report.is_clean(), "{case}: {report}");
        }
    }
}

/// Where the folder cannot be synced, nobody knows whether the table is dropped; but what is acknowledged behind that
/// must be durable.
#[test]
fn a_drop_that_fails_half_way_acknowledges_nothing_that_it_may_take_along() {
    for engine in engines() {
        for (at, seed) in (0..4).flat_map(|at| (0..8).map(move |seed| (at, seed))) {
            let options = options(engine, LogScope::Database);
            let disk = FaultyStorage::new(seed);
            let database = open(&disk, &options).unwrap();
            let table = database.create_table("t").unwrap();
            disk.fail(Call::SyncDir, at, Fault::Io);
            let _ = database.drop_table("t");
            let acknowledged = table.put(b"k", b"after").and_then(|commit| commit.wait()).is_ok();
            drop((table, database));
            let database = open(&disk.crash(), &options).unwrap();
            let found = database.table("t").map(|table| table.get(b"k").unwrap());
            assert!(
                !acknowledged || found == Some(Some(b"after".to_vec())),
                "{engine}, sync {at}: {found:?}"
            );
        }
    }
}

#[test]
fn a_table_that_could_not_be_dropped_whole_can_be_made_again() {
    for engine in engines() {
        for scope in [LogScope::Database, LogScope::Partition] {
            let options = options(engine, scope);
            let disk = FaultyStorage::new(4);
            let database = open(&disk, &options).unwrap();
            database.create_table("t").unwrap();
            database.create_table("u").unwrap();
            disk.fail(Call::Remove, 1, Fault::Io);
            assert!(database.drop_table("t").is_err());
            let table = database.create_table("t").unwrap();
            table.put(b"k", b"new").unwrap().wait().unwrap();
            // Removing what is left of the first one must spare the second one.
            database.drop_table("u").unwrap();
            assert_eq!(table.get(b"k").unwrap().unwrap(), b"new");
            drop((table, database));
            let database = open(&disk.crash(), &options).unwrap();
            let found = database.table("t").unwrap().get(b"k");
            assert_eq!(found.unwrap().unwrap(), b"new", "{engine}, {scope}");
        }
    }
}

//! Recovery: what a restart, a checkpoint, and the making and dropping of tables leave, wherever they are cut.
#![cfg(not(feature = "loom"))]

mod common;

use std::future::IntoFuture;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use common::{Model, Random, TINY, contents, engines, memory, small};
use tree::{Batch, Database, DatabaseOf, Engine, LogScope, Maintenance, Options, TableOf};
use wal::{FaultyStorage, Storage};

type Tiny = DatabaseOf<TINY>;

fn open(disk: &FaultyStorage, options: &Options) -> Tiny {
    Tiny::open_on(Arc::new(disk.clone()), options.clone()).unwrap()
}

fn fill(table: &TableOf<TINY>, seed: u64, writes: u64) -> Model {
    let (mut model, mut random) = (Model::new(), Random(seed));
    for _ in 0..writes {
        let key = format!("key{:04}", random.below(900)).into_bytes();
        let value =
            vec![random.next() as u8; if random.below(30) == 0 { 900 } else { random.below(50) as usize }];
        if random.below(4) == 0 {
            let _ = table.delete(&key).unwrap();
            model.remove(&key);
        } else {
            let _ = table.put(&key, &value).unwrap();
            model.insert(key, value);
        }
    }
    model
}

#[test]
fn opening_again_and_again_gives_the_same() {
    for engine in engines() {
        for scope in [LogScope::Database, LogScope::Partition] {
            let storage = memory();
            let options = Options { partitions: 3, log_scope: scope, ..small(engine) };
            let database = Tiny::open_on(storage.clone(), options.clone()).unwrap();
            let table = database.create_table("t").unwrap();
            let model = fill(&table, 1, 3_000);
            database.flush().unwrap();
            drop((table, database));
            for round in 0..4 {
                let database = Tiny::open_on(storage.clone(), options.clone()).unwrap();
                let table = database.table("t").unwrap();
                assert_eq!(contents(&table).unwrap(), model, "{engine}, {scope}, round {round}");
                assert_eq!(table.count().unwrap(), model.len() as u64);
                assert_eq!(table.info().partitions, 3);
                drop(table);
                // Every other time without a checkpoint, so that the same log is replayed again.
                if round % 2 == 1 {
                    database.close().unwrap();
                }
            }
        }
    }
}

#[test]
fn a_write_whose_ticket_is_dropped_is_durable_with_a_later_commit() {
    for engine in engines() {
        let disk = FaultyStorage::new(1);
        let options = Options { partitions: 4, ..small(engine) };
        let database = open(&disk, &options);
        let table = database.create_table("t").unwrap();
        let mut batch = Batch::new();
        for n in 0..12 {
            drop(table.put(format!("dropped{n}").as_bytes(), b"1").unwrap());
            batch.put(format!("batch{n}"), b"2".to_vec());
        }
        drop(table.apply(&batch).unwrap());
        table.put(b"waited for", b"3").unwrap().wait().unwrap();
        drop((table, database));
        let database = open(&disk.crash(), &options);
        assert_eq!(database.table("t").unwrap().count().unwrap(), 25, "{engine}");
    }
}

#[test]
fn the_log_stays_within_its_bound_beside_writers_and_checkpoints() {
    for engine in engines() {
        for scope in [LogScope::Database, LogScope::Partition] {
            let storage = memory();
            let options = Options {
                partitions: 2,
                log_scope: scope,
                maintenance: Maintenance::Background,
                ..small(engine)
            };
            let database = Tiny::open_on(storage.clone(), options.clone()).unwrap();
            let table = database.create_table("t").unwrap();
            let (stop, most) = (AtomicBool::new(false), AtomicU64::new(0));
            let logs = if scope == LogScope::Database { 1 } else { 2 };
            std::thread::scope(|scope| {
                let writers: Vec<_> = (0..3_u64)
                    .map(|thread| {
                        let table = &table;
                        scope.spawn(move || {
                            let mut random = Random(thread);
                            for _ in 0..40_000 {
                                let key = format!("{thread}-{}", random.below(400));
                                let _ = table.put(key.as_bytes(), &[thread as u8; 60]).unwrap();
                            }
                        })
                    })
                    .collect();
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        database.checkpoint().unwrap();
                        let names = storage.list().unwrap();
                        let logs = names.iter().filter(|name| name.ends_with(".log"));
                        // A segment may be recycled under another name meanwhile.
                        let log_bytes = logs.filter_map(|name| storage.open(name).ok()?.len().ok()).sum();
                        most.fetch_max(log_bytes, Ordering::Relaxed);
                        std::thread::sleep(Duration::from_millis(1));
                    }
                });
                writers.into_iter().for_each(|writer| writer.join().unwrap());
                stop.store(true, Ordering::Relaxed);
            });
            let (most, written) = (most.into_inner(), database.stats().log.appended_bytes);
            println!("{engine}, {scope}: {written} bytes went through {most} bytes of log");
            // The limit, and the segments that are made ahead of need.
            let bound = logs * (options.log_max_bytes + 3 * options.log_segment_bytes);
            assert!(most <= bound, "{engine}, {scope}: {most}");
            assert!(written > 2 * bound, "{engine}, {scope}: {written} bytes are too few to tell");
            let found = contents(&table).unwrap();
            assert_eq!(found.len() as u64, table.count().unwrap());
            database.close().unwrap();
            let database = Tiny::open_on(storage, options).unwrap();
            assert_eq!(contents(&database.table("t").unwrap()).unwrap(), found);
            let report = database.check().unwrap();
            assert!(report.is_clean(), "{engine}, {scope}: {report}");
        }
    }
}

#[test]
fn a_dropped_table_takes_its_files_along_also_under_load() {
    for engine in engines() {
        for scope in [LogScope::Database, LogScope::Partition] {
            let storage = memory();
            let options = Options { partitions: 2, log_scope: scope, ..small(engine) };
            let database = Tiny::open_on(storage.clone(), options.clone()).unwrap();
            let kept = database.create_table("kept").unwrap();
            let model = fill(&kept, 1, 500);
            for round in 0..10 {
                let table = database.create_table("t").unwrap();
                std::thread::scope(|scope| {
                    for thread in 0..2_u64 {
                        let table = &table;
                        scope.spawn(move || {
                            for n in 0.. {
                                let key = format!("{thread}-{}", n % 300);
                                let written =
                                    table.put(key.as_bytes(), &[7; 80]).and_then(|commit| commit.wait());
                                if let Err(error) = written {
                                    let message = error.to_string();
                                    let dropped = message.contains("table \"t\" was dropped")
                                        || message.contains("closed");
                                    assert!(dropped, "{message}");
                                    return;
                                }
                            }
                        });
                    }
                    std::thread::sleep(Duration::from_millis(1 + round));
                    database.drop_table("t").unwrap();
                });
                assert!(database.table("t").is_none());
                let left: Vec<_> =
                    storage.list().unwrap().into_iter().filter(|name| name.starts_with("t_p")).collect();
                assert!(left.is_empty(), "{engine}, {scope}: {left:?} are left");
            }
            assert_eq!(contents(&kept).unwrap(), model);
            drop((kept, database));
            let database = Tiny::open_on(storage, options).unwrap();
            assert_eq!(contents(&database.table("kept").unwrap()).unwrap(), model);
            let report = database.check().unwrap();
            assert!(report.is_clean(), "{engine}, {scope}: {report}");
        }
    }
}

/// Cuts `change` by a power loss at each of its calls, until it is not cut any more. Answers how many calls.
fn cut_everywhere(
    options: &Options,
    base: &FaultyStorage,
    change: impl Fn(&Tiny) -> tree::Result<()>,
    verify: impl Fn(&Tiny, bool),
) -> u64 {
    for calls in 0.. {
        for _chance in 0..4 {
            let disk = base.crash();
            let database = open(&disk, options);
            disk.crash_after(calls);
            let done = change(&database).is_ok();
            drop(database);
            let database = open(&disk.crash(), options);
            verify(&database, done);
            let report = database.check().unwrap();
            assert!(report.is_clean(), "{}, cut at {calls}: {report}", options.engine);
            if done {
                return calls;
            }
        }
    }
    unreachable!("calls are counted up for ever")
}

/// A table that may be left in part: it is there and whole, or not there; and can be dropped and made again.
fn there_or_not(database: &Tiny, must_be_there: Option<bool>, seed: u64) {
    let there = database.table("t").is_some();
    assert!(must_be_there.is_none_or(|must| must == there), "the table is there: {there}");
    if there {
        assert!(contents(&database.table("t").unwrap()).is_ok());
        database.drop_table("t").unwrap();
    }
    let table = database.create_table("t").unwrap();
    assert_eq!(contents(&table).unwrap(), Model::new(), "a new table is empty");
    let model = fill(&table, seed, 60);
    assert_eq!(contents(&table).unwrap(), model);
}

fn base(options: &Options, tables: &[&str]) -> (FaultyStorage, Model) {
    let disk = FaultyStorage::new(1);
    let database = open(&disk, options);
    let models: Vec<_> =
        tables.iter().map(|name| fill(&database.create_table(name).unwrap(), 1, 150)).collect();
    database.flush().unwrap();
    drop(database);
    (disk, models[0].clone())
}

#[test]
fn making_a_table_is_all_or_nothing_wherever_it_is_cut() {
    for engine in engines() {
        for scope in [LogScope::Database, LogScope::Partition] {
            let options = Options { partitions: 2, log_scope: scope, ..small(engine) };
            let (disk, model) = base(&options, &["other"]);
            let calls = cut_everywhere(
                &options,
                &disk,
                |database| database.create_table("t").map(drop),
                |database, done| {
                    assert_eq!(contents(&database.table("other").unwrap()).unwrap(), model);
                    there_or_not(database, done.then_some(true), 2);
                },
            );
            println!("{engine}, {scope}: making a table takes {calls} calls");
        }
    }
}

#[test]
fn dropping_a_table_is_all_or_nothing_wherever_it_is_cut() {
    for engine in engines() {
        for scope in [LogScope::Database, LogScope::Partition] {
            let options = Options { partitions: 2, log_scope: scope, ..small(engine) };
            let (disk, model) = base(&options, &["other", "t"]);
            let calls = cut_everywhere(
                &options,
                &disk,
                |database| database.drop_table("t"),
                |database, done| {
                    assert_eq!(contents(&database.table("other").unwrap()).unwrap(), model);
                    if let Some(table) = database.table("t") {
                        assert_eq!(contents(&table).unwrap(), model, "a table that was not dropped is whole");
                    }
                    there_or_not(database, done.then_some(false), 3);
                },
            );
            println!("{engine}, {scope}: dropping a table takes {calls} calls");
        }
    }
}

/// Replaces the table `t` by one that has these items and no others.
fn replace_by(database: &Tiny, items: &Model) -> tree::Result<()> {
    let staged = database.stage_table("t")?;
    let table = staged.table();
    for (key, value) in items {
        drop(table.put(key, value)?);
    }
    staged.publish(true).map(drop)
}

#[test]
fn a_table_is_replaced_as_a_whole_or_not_at_all_wherever_it_is_cut() {
    let new: Model = (0..40_u8).map(|n| (vec![b'n', n], vec![n; 30])).collect();
    for engine in engines() {
        for (scope, tables) in [
            (LogScope::Database, &["other", "t"][..]),
            (LogScope::Partition, &["other", "t"]),
            (LogScope::Database, &["other"]),
        ] {
            let options = Options { partitions: 2, log_scope: scope, ..small(engine) };
            let (disk, model) = base(&options, tables);
            let calls = cut_everywhere(
                &options,
                &disk,
                |database| replace_by(database, &new),
                |database, done| {
                    assert_eq!(contents(&database.table("other").unwrap()).unwrap(), model);
                    let now = database.table("t").map(|table| contents(&table).unwrap());
                    let before = (tables.len() == 2).then_some(&model);
                    assert!(now.as_ref() == Some(&new) || !done && now.as_ref() == before, "a mixture");
                    let named: Vec<_> = database.tables().into_iter().map(|info| info.name).collect();
                    assert_eq!(named, ["other", "t"][..1 + usize::from(now.is_some())]);
                    // And once more, with what the cut has left.
                    replace_by(database, &new).unwrap();
                    there_or_not(database, Some(true), 4);
                },
            );
            println!("{engine}, {scope}: replacing a table takes {calls} calls");
        }
    }
}

#[test]
fn a_staged_table_is_seen_by_its_maker_alone_until_it_is_published() {
    for engine in engines() {
        let storage = memory();
        let database = Tiny::open_on(storage.clone(), small(engine)).unwrap();
        let staged = database.stage_table("t").unwrap();
        staged.table().put(b"key", b"new").unwrap().wait().unwrap();
        assert!(database.table("t").is_none() && database.tables().is_empty());
        assert!(database.shapes().is_empty());
        let key =
            storage.list().unwrap().into_iter().find_map(|file| Some(file.strip_suffix(".db")?.to_string()));
        let key = key.expect("its file is there");
        assert!(database.table(&key).is_none() && database.drop_table(&key).is_err());

        let old = database.create_table("t").unwrap();
        old.put(b"key", b"old").unwrap().wait().unwrap();
        assert!(staged.publish(false).unwrap_err().to_string().contains("already"));
        assert_eq!(old.get(b"key").unwrap().unwrap(), b"old");

        let staged = database.stage_table("t").unwrap();
        staged.table().put(b"key", b"new").unwrap().wait().unwrap();
        let published = staged.publish(true).unwrap();
        assert!(old.get(b"key").unwrap_err().to_string().contains("dropped"));
        assert_eq!(published.get(b"key").unwrap().unwrap(), b"new");
        assert_eq!(database.table("t").unwrap().get(b"key").unwrap().unwrap(), b"new");
        let files = storage.list().unwrap().into_iter().filter(|file| file.ends_with(".db")).count();
        assert_eq!(files, 1, "the others are removed");
        assert!(database.stage_table("no/name").is_err());
    }
}

#[test]
fn making_a_database_is_all_or_nothing_wherever_it_is_cut() {
    for engine in engines() {
        for scope in [LogScope::Database, LogScope::Partition] {
            let options = Options { log_scope: scope, ..small(engine) };
            for calls in 0.. {
                let disk = FaultyStorage::new(calls);
                disk.crash_after(calls);
                let opened = Tiny::open_on(Arc::new(disk.clone()), options.clone()).map(drop);
                let database = open(&disk.crash(), &options);
                there_or_not(&database, Some(false), 4);
                if opened.is_ok() {
                    break;
                }
            }
        }
    }
}

#[test]
fn files_that_nobody_knows_do_no_harm() {
    for engine in engines() {
        for scope in [LogScope::Database, LogScope::Partition] {
            let storage = memory();
            let options = Options { log_scope: scope, ..small(engine) };
            Tiny::open_on(storage.clone(), options.clone()).unwrap().close().unwrap();
            for name in [
                "t.db",
                "t-0000000000000000.log",
                "t-0000000000000007.log",
                "t-0000000000000001.tmp",
                "catalog.new",
                "notes.txt",
            ] {
                storage.create(name).unwrap().write_at(b"what is this?", 0).unwrap();
            }
            let database = Tiny::open_on(storage.clone(), options.clone()).unwrap();
            there_or_not(&database, Some(false), 5);
            database.close().unwrap();
            let database = Tiny::open_on(storage.clone(), options).unwrap();
            assert!(database.check().unwrap().is_clean());
            assert!(
                storage.list().unwrap().contains(&"notes.txt".to_string()),
                "others' files are left alone"
            );
        }
    }
}

/// The smallest executor: polls, and sleeps until it is woken.
struct Sleeper(Thread, AtomicBool);

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.1.store(true, Ordering::Release);
        self.0.unpark();
    }
}

fn block_on<F: IntoFuture>(future: F) -> F::Output {
    let mut future = pin!(future.into_future());
    let sleeper = Arc::new(Sleeper(std::thread::current(), AtomicBool::new(false)));
    let waker = Waker::from(sleeper.clone());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        while !sleeper.1.swap(false, Ordering::Acquire) {
            std::thread::park_timeout(Duration::from_secs(20));
        }
    }
}

fn awaiting(engine: Engine, scope: LogScope) {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { engine, log_scope: scope, ..Options::default() };
    let database = Database::open(folder.path(), options.clone()).unwrap();
    let table = database.create_table("t").unwrap();
    block_on(async {
        assert!(table.put(b"k", b"1").unwrap().applied());
        table.put(b"k", b"2").unwrap().await.unwrap();
        let commit = table.delete(b"absent").unwrap();
        assert!(!commit.applied());
        commit.await.unwrap();
        // Many at once, awaited in another order, some never.
        let mut commits: Vec<_> =
            (0..50).map(|n| table.put(format!("many{n}").as_bytes(), b"3").unwrap()).collect();
        drop(commits.split_off(40));
        while let Some(commit) = commits.pop() {
            commit.await.unwrap();
        }
        let mut batch = Batch::new();
        for n in 0..64 {
            batch.put(format!("batch{n}"), b"4".to_vec());
        }
        table.apply(&batch).unwrap().await.unwrap();
    });
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let table = &table;
            scope.spawn(move || {
                for n in 0..25 {
                    let key = format!("thread{thread}-{n}");
                    block_on(async { table.put(key.as_bytes(), b"5").unwrap().await }).unwrap();
                }
            });
        }
    });
    drop((table, database));
    let database = Database::open(folder.path(), options).unwrap();
    let table = database.table("t").unwrap();
    assert_eq!(table.get(b"k").unwrap().unwrap(), b"2");
    assert_eq!(table.count().unwrap(), 1 + 50 + 64 + 100, "{engine}, {scope}");
}

#[test]
fn a_commit_can_be_awaited_on_any_executor() {
    for engine in engines() {
        for scope in [LogScope::Database, LogScope::Partition] {
            awaiting(engine, scope);
        }
    }
}

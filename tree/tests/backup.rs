//! Online backups: whatever happens beside one, its copy opens to the state of one instant, with every write that was
//! acknowledged before; and whatever becomes of it, the database goes on as before.
#![cfg(not(any(feature = "loom", feature = "shuttle")))]

mod common;

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::files::{self, Files};
use common::slow::{SlowStorage, TORN};
use common::{Model, Random, TINY, contents, engines, memory, small};
use tree::{
    BackupReport, BackupSink, Batch, Database, DatabaseOf, Engine, Error, FolderSink, LogScope, Maintenance,
    Options, TableOf,
};
use wal::{FaultyStorage, MemoryStorage, Storage};

type Tiny = DatabaseOf<TINY>;

/// Reads files in pieces, and has something done before each piece.
struct Pieces<'s> {
    files: Files,
    piece: usize,
    before_each: &'s mut dyn FnMut(&str) -> io::Result<()>,
}

impl BackupSink for Pieces<'_> {
    fn file(&mut self, name: &str, bytes: u64, content: &mut dyn Read) -> io::Result<()> {
        let (mut found, mut piece) = (Vec::new(), vec![0; self.piece]);
        loop {
            (self.before_each)(name)?;
            match content.read(&mut piece)? {
                0 => break,
                count => found.extend_from_slice(&piece[..count]),
            }
        }
        assert_eq!(found.len() as u64, bytes, "{name}: announced and read");
        assert!(self.files.insert(name.to_string(), found).is_none(), "{name} came twice");
        Ok(())
    }
}

fn backup_beside(
    database: &Tiny,
    piece: usize,
    mut before_each: impl FnMut(&str) -> io::Result<()>,
) -> tree::Result<(Files, BackupReport)> {
    let mut sink = Pieces { files: Files::new(), piece, before_each: &mut before_each };
    let report = database.backup(&mut sink)?;
    assert!(!sink.files.contains_key("doublewrite"));
    let bytes: usize = sink.files.values().map(Vec::len).sum();
    assert_eq!((report.files, report.bytes), (sink.files.len() as u64, bytes as u64));
    Ok((sink.files, report))
}

/// Opens a copy, verifies it, and answers what its tables hold. It must take writes, too, and open once more.
fn open_copy(case: &str, copy: &Files, options: &Options) -> Vec<Model> {
    let storage = files::folder(copy);
    let options = Options { maintenance: Maintenance::Inline, ..options.clone() };
    let mut found = Vec::new();
    for round in 0..2 {
        let database =
            Tiny::open_on(storage.clone(), options.clone()).unwrap_or_else(|e| panic!("{case}: {e}"));
        let report = database.check().unwrap();
        assert!(report.is_clean(), "{case}, opened {round} times before: {report}");
        let tables: Vec<_> =
            database.tables().iter().map(|info| database.table(&info.name).unwrap()).collect();
        let models: Vec<_> = tables.iter().map(|table| contents(table).unwrap()).collect();
        for (table, model) in tables.iter().zip(&models) {
            assert_eq!(table.count().unwrap(), model.len() as u64, "{case}: the count");
        }
        if round == 0 {
            found = models;
            for n in 0..200 {
                tables[0].put(format!("later{n:04}").as_bytes(), &[9; 50]).unwrap().wait().unwrap();
            }
            drop(database.create_table("later").unwrap());
            database.drop_table("later").unwrap();
        } else {
            let mut later = models;
            later[0].retain(|key, _| !key.starts_with(b"later"));
            assert_eq!(later, found, "{case}: opened again");
        }
    }
    found
}

/// Ends the writers, also where a failed assertion ends their test.
struct StopOnDrop<'s>(&'s AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// One write of a history.
#[derive(Clone, Debug)]
struct Write {
    table: usize,
    key: Vec<u8>,
    value: Option<Vec<u8>>,
}

/// Some writes to make at once: one, or a batch.
fn some_writes(random: &mut Random, owner: &str, tables: usize, batches: bool) -> Vec<Write> {
    let table = random.below(tables as u64) as usize;
    let mut keys = vec![random.below(300)];
    if batches && random.below(6) == 0 {
        keys.extend((0..5).map(|_| random.below(300)));
        keys.sort_unstable();
        keys.dedup();
    }
    let write = |n: u64| {
        let len = if random.below(25) == 0 { 300 + random.below(1_500) } else { random.below(60) };
        let value = (random.below(3) > 0).then(|| vec![random.next() as u8; len as usize]);
        Write { table, key: format!("{owner}-{n:04}").into_bytes(), value }
    };
    keys.into_iter().map(write).collect()
}

fn make(tables: &[TableOf<TINY>], writes: &[Write], wait: bool) -> tree::Result<()> {
    let table = &tables[writes[0].table];
    let commit = match writes {
        [Write { key, value: Some(value), .. }] => table.put(key, value)?,
        [Write { key, value: None, .. }] => table.delete(key)?,
        several => {
            let mut batch = Batch::new();
            for Write { key, value, .. } in several {
                match value {
                    Some(value) => batch.put(key.clone(), value.clone()),
                    None => batch.delete(key.clone()),
                };
            }
            table.apply(&batch)?
        }
    };
    if wait { commit.wait() } else { Ok(()) }
}

/// How many groups of writes, from the first on, lead to just these contents. `None` where no number from `least` on
/// does.
fn prefix(history: &[Vec<Write>], found: &[Model], least: usize) -> Option<usize> {
    let mut state = vec![Model::new(); found.len()];
    // Keys that differ: all that were found, in the beginning.
    let mut different: usize = found.iter().map(Model::len).sum();
    for done in 0..=history.len() {
        if done >= least && different == 0 {
            return Some(done);
        }
        for Write { table, key, value } in history.get(done).into_iter().flatten() {
            let wanted = found[*table].get(key);
            different -= usize::from(state[*table].get(key) != wanted);
            match value {
                Some(value) => state[*table].insert(key.clone(), value.clone()),
                None => state[*table].remove(key),
            };
            different += usize::from(state[*table].get(key) != wanted);
        }
    }
    None
}

/// Both scopes; one partition with batches, which are atomic there; several without.
fn shapes(engine: Engine) -> impl Iterator<Item = (String, bool, Options)> {
    let scopes = [LogScope::Database, LogScope::Partition].into_iter();
    let shapes = scopes.flat_map(|scope| [(scope, 1, true), (scope, 3, false)]);
    shapes.map(move |(log_scope, partitions, batches)| {
        let options = Options { partitions, log_scope, log_max_bytes: 2 << 20, ..small(engine) };
        (format!("{engine}, {log_scope}, {partitions} partitions"), batches, options)
    })
}

/// One thread writes between the pieces of a backup, so that where the copy's instant must lie is known.
#[test]
fn a_copy_is_the_state_of_one_instant_wherever_the_writes_fall() {
    for engine in engines() {
        for (case, batches, options) in shapes(engine) {
            let options = Options { log_max_bytes: 32 << 20, ..options };
            let mut lengths = Vec::new();
            for seed in 0..15_u64 {
                let case = format!("{case}, seed {seed}");
                let database = Tiny::open_on(memory(), options.clone()).unwrap();
                let tables = ["a", "b"].map(|name| database.create_table(name).unwrap());
                let (mut random, mut history) = (Random(seed), Vec::new());
                let mut some = |history: &mut Vec<_>, count: u64| {
                    for _ in 0..count {
                        let writes = some_writes(&mut random, "k", 2, batches);
                        make(&tables, &writes, false).unwrap();
                        history.push(writes);
                    }
                };
                some(&mut history, 50 * seed);
                let (mut pieces, mut in_data) = (0, 0);
                let (copy, report) =
                    backup_beside(&database, [100, TINY, 5_000][seed as usize % 3], |name| {
                        pieces += 1;
                        some(&mut history, if name.ends_with(".db") { seed % 7 } else { pieces % 2 });
                        if name.ends_with(".db") {
                            in_data = history.len();
                        }
                        if pieces % 31 == 0 {
                            database.checkpoint().unwrap();
                        }
                        Ok(())
                    })
                    .unwrap_or_else(|e| panic!("{case}: {e}"));
                let found = open_copy(&case, &copy, &options);
                let prefix = prefix(&history, &found, in_data);
                lengths.push((report.log_bytes, prefix.unwrap_or_else(|| panic!("{case}: no such state"))));
                let problems = database.check().unwrap();
                assert!(problems.is_clean(), "{case}, the source: {problems}");
            }
            println!("{case}: log bytes to replay, writes in the copy: {lengths:?}");
        }
    }
}

#[test]
fn copies_taken_beside_four_writers_have_what_was_acknowledged_and_no_half_of_anything() {
    for engine in engines() {
        for (case, batches, options) in shapes(engine) {
            let options = Options { maintenance: Maintenance::Background, ..options };
            let storage = memory();
            let database = Tiny::open_on(storage.clone(), options.clone()).unwrap();
            let tables = ["a", "b"].map(|name| database.create_table(name).unwrap());
            // What each thread has begun, in its order, and how much of it is acknowledged.
            let histories: Vec<_> = (0..4).map(|_| Mutex::new((Vec::new(), 0))).collect();
            let stop = AtomicBool::new(false);
            let mut copies = Vec::new();
            std::thread::scope(|scope| {
                let _stop = StopOnDrop(&stop);
                for (thread, history) in histories.iter().enumerate() {
                    let (tables, stop) = (&tables, &stop);
                    scope.spawn(move || {
                        let mut random = Random(thread as u64);
                        while !stop.load(Ordering::Relaxed) {
                            let writes = some_writes(&mut random, &format!("{thread}"), 2, batches);
                            history.lock().unwrap().0.push(writes.clone());
                            let wait = random.below(8) == 0;
                            make(tables, &writes, wait).unwrap();
                            let (begun, acknowledged) = &mut *history.lock().unwrap();
                            *acknowledged = if wait { begun.len() } else { *acknowledged };
                        }
                    });
                }
                for round in 0..6 {
                    std::thread::sleep(Duration::from_millis(5 * round));
                    let least: Vec<_> = histories.iter().map(|h| h.lock().unwrap().1).collect();
                    let (mut pieces, log_files) = (0_u64, AtomicBool::new(false));
                    let copied = backup_beside(&database, 2_000, |name| {
                        pieces += 1;
                        log_files.fetch_or(name.ends_with(".log"), Ordering::Relaxed);
                        if pieces % 50 == 0 {
                            database.checkpoint().map_err(io::Error::other)
                        } else {
                            Ok(())
                        }
                    });
                    match copied {
                        Ok((copy, report)) => copies.push((least, copy, report)),
                        // On a busy machine, the writers may be too far ahead.
                        Err(error) => {
                            assert!(matches!(error, Error::BackupGivenUp { .. }), "{case}: {error}")
                        }
                    }
                }
            });
            assert!(!copies.is_empty(), "{case}: every backup was given up");
            for (round, (least, copy, report)) in copies.iter().enumerate() {
                let case = format!("{case}, copy {round}");
                let found = open_copy(&case, copy, &options);
                for (thread, history) in histories.iter().enumerate() {
                    let owned = |model: &Model| {
                        let prefix = format!("{thread}-").into_bytes();
                        let ours = model.iter().filter(|(key, _)| key.starts_with(&prefix));
                        ours.map(|(key, value)| (key.clone(), value.clone())).collect::<Model>()
                    };
                    let found: Vec<_> = found.iter().map(owned).collect();
                    let (history, _) = &*history.lock().unwrap();
                    let prefix = prefix(history, &found, least[thread]);
                    assert!(
                        prefix.is_some(),
                        "{case}, thread {thread}: no state of it from {} on",
                        least[thread]
                    );
                }
                let writes: usize = histories.iter().map(|h| h.lock().unwrap().0.len()).sum();
                println!("{case}: {report:?}, of {writes} writes in all");
            }
            let report = database.check().unwrap();
            assert!(report.is_clean(), "{case}: {report}");
        }
    }
}

fn filled(options: &Options) -> (Arc<MemoryStorage>, Tiny, TableOf<TINY>) {
    let storage = memory();
    let database = Tiny::open_on(storage.clone(), options.clone()).unwrap();
    let table = database.create_table("t").unwrap();
    for n in 0..600 {
        let _not_waited_for = table.put(format!("{n:04}").as_bytes(), &[n as u8; 40]).unwrap();
    }
    (storage, database, table)
}

fn log_files(storage: &dyn Storage) -> Vec<String> {
    storage.list().unwrap().into_iter().filter(|name| name.ends_with(".log")).collect()
}

#[test]
fn a_sink_that_fails_anywhere_leaves_the_database_in_order_and_its_log_recycled() {
    for engine in engines() {
        for (case, _, options) in shapes(engine) {
            let (storage, database, table) = filled(&options);
            let mut whole = None;
            for fails_at in (0..).step_by(7) {
                let mut pieces = 0;
                let copied = backup_beside(&database, 1_000, |_| {
                    pieces += 1;
                    let _not_waited_for = table.put(b"beside", &[1; 30]).map_err(io::Error::other)?;
                    if pieces > fails_at { Err(io::Error::other("the receiver is gone")) } else { Ok(()) }
                });
                match copied {
                    Ok((copy, _)) => {
                        whole = Some(copy);
                        break;
                    }
                    Err(error) => {
                        let message = error.to_string();
                        assert!(message.contains("the receiver is gone"), "{case}: {message}");
                        assert!(
                            message.contains(".db")
                                || message.contains(".log")
                                || message.contains("catalog")
                        );
                    }
                }
                // What a backup forbids is allowed again, and what it held is let go of.
                database.create_table("other").unwrap();
                database.drop_table("other").unwrap();
            }
            assert_eq!(open_copy(&case, &whole.unwrap(), &options)[0], contents(&table).unwrap());
            for n in 0..40_000 {
                let _not_waited_for = table.put(format!("{:04}", n % 600).as_bytes(), &[2; 60]).unwrap();
            }
            database.checkpoint().unwrap();
            let left = log_files(&*storage);
            let logs = if options.log_scope == LogScope::Database { 1 } else { options.partitions as usize };
            assert!(left.len() <= 5 * logs, "{case}: {left:?}");
            let report = database.check().unwrap();
            assert!(report.is_clean(), "{case}: {report}");
        }
    }
}

#[test]
fn a_log_that_runs_full_ends_the_backup_and_not_the_writers() {
    for engine in engines() {
        for (case, _, options) in shapes(engine) {
            let options = Options { log_max_bytes: 512 << 10, ..options };
            let (_, database, table) = filled(&options);
            let mut written = 0_u64;
            let error = backup_beside(&database, 1_000, |_| {
                for _ in 0..20_000 {
                    written += 1;
                    let key = format!("{:04}", written % 600);
                    let _not_waited_for = table.put(key.as_bytes(), &[3; 60]).map_err(io::Error::other)?;
                }
                Ok(())
            })
            .unwrap_err();
            let message = error.to_string();
            assert!(matches!(error, Error::BackupGivenUp { .. }), "{case}: {message}");
            assert!(message.contains("524288 bytes") && message.contains("log_max_bytes"), "{message}");
            // The next one does, where less is written.
            let (copy, _) = backup_beside(&database, 1_000, |_| Ok(())).unwrap();
            assert_eq!(open_copy(&case, &copy, &options)[0], contents(&table).unwrap(), "{case}");
        }
    }
}

/// Segments that are full are sent behind each data file, so that all of them together may be larger than the log.
#[test]
fn a_backup_bears_more_log_than_there_is_room_for_if_no_single_file_does() {
    for engine in engines() {
        let options = Options { partitions: 16, log_max_bytes: 512 << 10, ..small(engine) };
        let (_, database, table) = filled(&options);
        let (mut last, mut written) = (String::new(), 0_u64);
        let (copy, report) = backup_beside(&database, 1_000, |name| {
            if name.ends_with(".db") && name != last {
                last = name.to_string();
                for _ in 0..1_500 {
                    written += 1;
                    let key = format!("{:04}", written % 600);
                    let _not_waited_for = table.put(key.as_bytes(), &[3; 60]).map_err(io::Error::other)?;
                }
            }
            Ok(())
        })
        .unwrap();
        println!("{engine}: {report:?}");
        assert!(report.log_bytes > 2 * options.log_max_bytes, "{engine}: {report:?}");
        assert_eq!(open_copy(&engine.to_string(), &copy, &options)[0], contents(&table).unwrap());
    }
}

#[test]
fn beside_a_backup_no_other_begins_and_no_table_comes_or_goes() {
    for engine in engines() {
        let (_, database, table) = filled(&small(engine));
        let mut refusals = 0;
        let (copy, _) = backup_beside(&database, 1_000, |_| {
            let other = backup_beside(&database, 1_000, |_| Ok(())).map(drop);
            let made = database.create_table("new").map(drop);
            for refused in [other, made, database.drop_table("t")] {
                let error = refused.unwrap_err();
                assert!(matches!(error, Error::BackupRunning), "{error}");
                assert!(error.to_string().contains("try again later"));
                refusals += 1;
            }
            Ok(())
        })
        .unwrap();
        assert!(refusals > 30);
        assert_eq!(open_copy("alone", &copy, &small(engine))[0], contents(&table).unwrap());
        database.drop_table("t").unwrap();
    }
}

#[test]
fn a_database_with_a_damaged_partition_or_page_is_not_copied_and_the_error_names_it() {
    for engine in engines() {
        for scope in [LogScope::Database, LogScope::Partition] {
            let options = Options { partitions: 3, log_scope: scope, ..small(engine) };
            let (storage, database, table) = filled(&options);
            drop(table);
            database.close().unwrap();
            let sound = files::take(&*storage);
            for (page, message) in [(0, "t_p1.db"), (7, "t_p1.db, page 7 is damaged")] {
                let mut damaged = sound.clone();
                damaged.get_mut("t_p1.db").unwrap()[page * TINY + 100] ^= 4;
                let database = Tiny::open_on(files::folder(&damaged), options.clone()).unwrap();
                let error = backup_beside(&database, 1_000, |_| Ok(())).unwrap_err().to_string();
                assert!(error.contains(message), "{engine}, {scope}, page {page}: {error}");
                // The others go on.
                assert!(
                    (0..600).any(|n| database
                        .table("t")
                        .unwrap()
                        .put(format!("{n}").as_bytes(), b"v")
                        .is_ok())
                );
            }
        }
    }
}

/// Breaks the contract: takes less than there is.
struct Impatient;

impl BackupSink for Impatient {
    fn file(&mut self, _name: &str, bytes: u64, content: &mut dyn Read) -> io::Result<()> {
        content.read_exact(&mut vec![0; bytes as usize / 2])
    }
}

#[test]
fn a_sink_that_takes_less_than_there_is_is_told_so() {
    for engine in engines() {
        let (_, database, _) = filled(&small(engine));
        let error = database.backup(&mut Impatient).unwrap_err().to_string();
        assert!(error.contains("t.db") && error.contains("bytes were taken"), "{error}");
    }
}

#[test]
fn power_lost_beside_a_backup_takes_nothing_that_was_acknowledged() {
    for engine in engines() {
        for (case, batches, options) in shapes(engine) {
            let options = Options { log_max_bytes: 32 << 20, ..options };
            for seed in 0..3 {
                let disk = FaultyStorage::new(seed);
                let database = Tiny::open_on(Arc::new(disk.clone()), options.clone()).unwrap();
                let tables = ["a", "b"].map(|name| database.create_table(name).unwrap());
                let (mut random, mut history) = (Random(seed), Vec::new());
                let mut crashes = Vec::new();
                let mut pieces = 0;
                let (copy, _) = backup_beside(&database, 3_000, |_| {
                    pieces += 1;
                    for _ in 0..5 {
                        let writes = some_writes(&mut random, "k", 2, batches);
                        make(&tables, &writes, true).unwrap();
                        history.push(writes);
                    }
                    if pieces % 16 == 0 {
                        crashes.push((disk.crash(), history.len()));
                    }
                    Ok(())
                })
                .unwrap_or_else(|e| panic!("{case}: {e}"));
                for (disk, acknowledged) in crashes {
                    let database = Tiny::open_on(Arc::new(disk), options.clone()).unwrap();
                    let found: Vec<_> =
                        ["a", "b"].map(|name| contents(&database.table(name).unwrap()).unwrap()).into();
                    let kept = prefix(&history[..acknowledged], &found, acknowledged);
                    assert_eq!(kept, Some(acknowledged), "{case}, seed {seed}");
                }
                // And power lost while the copy is opened for the first time.
                let whole = open_copy(&case, &copy, &options);
                for calls in (seed..60).step_by(13) {
                    let fresh = FaultyStorage::new(seed);
                    for (name, bytes) in &copy {
                        let file = fresh.create(name).unwrap();
                        file.write_at(bytes, 0).unwrap();
                        file.sync().unwrap();
                    }
                    fresh.sync_dir().unwrap();
                    fresh.crash_after(calls);
                    drop(Tiny::open_on(Arc::new(fresh.clone()), options.clone()));
                    let left = files::take(&fresh.crash());
                    assert_eq!(
                        open_copy(&case, &left, &options),
                        whole,
                        "{case}, seed {seed}, cut at {calls}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_folder_sink_writes_what_an_opening_takes_and_refuses_a_folder_in_use() {
    for engine in engines() {
        let base = tempfile::tempdir().unwrap();
        let options = Options { engine, partitions: 2, log_max_bytes: 64 << 20, ..Options::default() };
        let database = Database::open(base.path().join("source"), options.clone()).unwrap();
        let table = database.create_table("t").unwrap();
        // Values of a page, of many pages, and of none.
        let large = |n: usize| vec![n as u8; [10, 5_000, 300_000][n % 3]];
        for n in 0..120 {
            let _not_waited_for = table.put(format!("{n}").as_bytes(), &large(n)).unwrap();
        }
        let target = base.path().join("a/new/folder");
        let report = database.backup(&mut FolderSink::new(&target).unwrap()).unwrap();
        let bytes = std::fs::read_dir(&target).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len());
        assert_eq!(bytes.sum::<u64>(), report.bytes);
        let refused = FolderSink::new(&target).unwrap_err().to_string();
        assert!(refused.contains("something in it") && refused.contains("folder"), "{refused}");
        let check = tree::check::check(&target).unwrap();
        assert!(check.is_clean(), "{check}");
        let copy = Database::open(&target, options).unwrap();
        let copied = copy.table("t").unwrap();
        assert_eq!(copied.count().unwrap(), 120);
        (0..120).for_each(|n| assert_eq!(copied.get(format!("{n}").as_bytes()).unwrap(), Some(large(n))));
        for name in ["../escaped", "/tmp/absolute", "a/b", "..", ""] {
            let mut sink = FolderSink::new(base.path().join("names")).unwrap();
            let refused = sink.file(name, 0, &mut io::empty()).unwrap_err();
            assert!(refused.to_string().contains("plain file name"), "{name:?}: {refused}");
        }
    }
}

#[test]
fn pages_that_a_write_tears_under_the_readers_eyes_come_into_the_copy_whole() {
    for engine in engines() {
        let options = Options { pool_bytes: 64 * TINY, log_max_bytes: 64 << 20, ..small(engine) };
        let database = Tiny::open_on(Arc::new(SlowStorage(MemoryStorage::new())), options.clone()).unwrap();
        let table = database.create_table("t").unwrap();
        let write = |n: u64| drop(table.put(format!("{n:04}").as_bytes(), &[n as u8; 40]).unwrap());
        (0..400).for_each(write);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let _stop = StopOnDrop(&stop);
            for thread in 0..3 {
                let (stop, table) = (&stop, &table);
                scope.spawn(move || {
                    let mut random = Random(thread);
                    while !stop.load(Ordering::Relaxed) {
                        let (n, byte) = (random.below(400), random.next() as u8);
                        drop(table.put(format!("{n:04}").as_bytes(), &[byte; 40]).unwrap());
                    }
                });
            }
            TORN.set(Some(0));
            let copied = backup_beside(&database, TINY, |_| Ok(()));
            let torn = TORN.take();
            println!("{engine}: pages that were written while they were read: {torn:?}");
            assert!(torn.is_some_and(|torn| torn > 0), "{engine}: no page was");
            let (copy, _) = copied.unwrap();
            let found = open_copy(&engine.to_string(), &copy, &options);
            assert_eq!(found[0].len(), 400);
            assert!(found[0].values().all(|value| value.len() == 40 && value.iter().all(|&b| b == value[0])));
        });
    }
}

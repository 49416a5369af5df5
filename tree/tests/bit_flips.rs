//! Single flipped bits, all over the files of a small database: whatever is read afterwards is right, or an
//! error. Never a wrong answer, never a panic.
//!
//! One case cannot be told apart, and is no error: damage in the last group that was flushed to the log before
//! a crash looks just like a flush that the crash has torn, and is cut off like one (`wal`'s recovery says why).
#![cfg(not(feature = "loom"))]

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use common::files::{self, Files};
use common::{Model, TINY, engines, memory, small};
use tree::{DatabaseOf, Engine, Options, Result, TableOf};

type Tiny = DatabaseOf<TINY>;

/// Each table is one partition. The last write of all goes to the second one.
const TABLES: [&str; 2] = ["a", "b"];

struct Small {
    options: Options,
    files: Files,
    /// What each table holds.
    models: [Model; 2],
    /// What the second table holds if the last write is lost.
    before_last: Model,
}

fn build(engine: Engine, close: bool) -> Small {
    let storage = memory();
    let options = small(engine);
    let database = Tiny::open_on(storage.clone(), options.clone()).unwrap();
    let tables = TABLES.map(|name| database.create_table(name).unwrap());
    let mut models = [Model::new(), Model::new()];
    let mut put = |index: usize, n: u64| {
        let key = format!("k{:02}", n * 7 % 40).into_bytes();
        let value = vec![n as u8; if n.is_multiple_of(13) { 300 } else { 9 }];
        tables[index].put(&key, &value).unwrap().wait().unwrap();
        models[index].insert(key, value);
    };
    for n in 0..40 {
        (0..2).for_each(|index| put(index, n));
    }
    database.checkpoint().unwrap();
    for n in 40..60 {
        (0..2).for_each(|index| put(index, n));
    }
    for (table, model) in tables.iter().zip(&mut models) {
        let commit = table.delete(b"k07").unwrap();
        assert!(commit.applied());
        commit.wait().unwrap();
        model.remove(&b"k07"[..]);
    }
    let before_last = models[1].clone();
    tables[1].put(b"last", b"one").unwrap().wait().unwrap();
    models[1].insert(b"last".to_vec(), b"one".to_vec());
    drop(tables);
    if close {
        database.close().unwrap();
    } else {
        drop(database);
    }
    Small { options, files: files::take(&*storage), models, before_last }
}

/// Reads everything there is in every way. `Ok(true)` where all answers are right, `Ok(false)` where some are
/// errors, `Err` where one is wrong.
fn read(table: &TableOf<TINY>, expected: &Model) -> Result<bool, String> {
    let mut right = true;
    for key in expected.keys().map(Vec::as_slice).chain([&b"k07"[..], b"k", b"zz"]) {
        match table.get(key) {
            Ok(found) if found.as_ref() == expected.get(key) => {}
            Ok(found) => return Err(format!("{} has {found:?}", key.escape_ascii())),
            Err(_) => right = false,
        }
    }
    for backward in [false, true] {
        let all: Result<Model> =
            if backward { table.scan_backward(..).collect() } else { table.scan(..).collect() };
        match all {
            Ok(all) if all == *expected => {}
            Ok(all) => {
                return Err(format!(
                    "a scan (backward: {backward}) finds {} of {}",
                    all.len(),
                    expected.len()
                ));
            }
            Err(_) => right = false,
        }
    }
    match table.count() {
        Ok(count) if count == expected.len() as u64 => {}
        Ok(count) => return Err(format!("the count is {count} instead of {}", expected.len())),
        Err(_) => right = false,
    }
    Ok(right)
}

impl Small {
    /// Opens and reads the database with one bit flipped.
    fn flip(&self, name: &str, bit: usize) -> Result<&'static str, String> {
        let mut files = self.files.clone();
        files.get_mut(name).unwrap()[bit / 8] ^= 1 << (bit % 8);
        let Ok(database) = Tiny::open_on(files::folder(&files), self.options.clone()) else {
            return Ok("refused at open");
        };
        let mut all_right = true;
        for ((table, other), model) in TABLES.into_iter().zip(["b.db", "a.db"]).zip(&self.models) {
            let table_of = database.table(table).ok_or(format!("the table {table} is gone"))?;
            let mut answer = read(&table_of, model);
            if answer.is_err() && table == "b" && name.starts_with("wal-") {
                answer = read(&table_of, &self.before_last);
            }
            let right = answer.map_err(|wrong| format!("table {table}: {wrong}"))?;
            if !right && name == other {
                return Err(format!("the table {table} has errors, but the damage is in {name}"));
            }
            all_right &= right;
        }
        let clean = database.check().is_ok_and(|report| report.is_clean());
        match (all_right, clean) {
            (true, true) => Ok("right"),
            (true, false) => Ok("found by the verifier"),
            // What has once given an error must not pass the verifier.
            (false, true) => Err("an operation failed, but the verifier finds nothing".into()),
            (false, false) => Ok("refused by an operation"),
        }
    }
}

/// Flips every `stride`-th bit of those that are chosen, on two threads.
fn flip_all(case: &str, small: &Small, stride: usize) {
    let flips: Vec<_> = small
        .files
        .iter()
        .flat_map(|(name, bytes)| {
            // The zeros behind the end of a segment or bitmap are nearly all of the bytes: few of them are tried.
            let of = move |&bit: &usize| {
                let near = bytes[(bit / 8).saturating_sub(24)..bytes.len().min(bit / 8 + 24)]
                    .iter()
                    .any(|&byte| byte != 0);
                bit % (if near { stride } else { 40 * stride + 1 }) == 0
            };
            (0..bytes.len() * 8).filter(of).map(move |bit| (name.as_str(), bit))
        })
        .collect();
    let outcomes = ["right", "refused at open", "refused by an operation", "found by the verifier"]
        .map(|name| (name, AtomicU64::new(0)));
    let work = |half: usize| {
        for (name, bit) in flips.iter().skip(half).step_by(2) {
            let outcome = catch_unwind(AssertUnwindSafe(|| small.flip(name, *bit)));
            let outcome = outcome.unwrap_or_else(|_| panic!("{case}, {name}, bit {bit}: a panic"));
            let outcome = outcome.unwrap_or_else(|wrong| panic!("{case}, {name}, bit {bit}: {wrong}"));
            outcomes.iter().filter(|(name, _)| *name == outcome).for_each(|(_, count)| {
                count.fetch_add(1, Ordering::Relaxed);
            });
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| work(0));
        work(1);
    });
    println!("{case}: {} bits flipped: {outcomes:?}", flips.len());
}

#[test]
fn a_flipped_bit_is_an_error_or_harmless_after_a_clean_close() {
    for engine in engines() {
        flip_all(&format!("{engine}, closed"), &build(engine, true), 23);
    }
}

#[test]
fn a_flipped_bit_is_an_error_or_harmless_after_a_crash() {
    for engine in engines() {
        flip_all(&format!("{engine}, crashed"), &build(engine, false), 23);
    }
}

#[test]
#[ignore = "minutes: every single bit"]
fn every_flipped_bit_is_an_error_or_harmless() {
    for engine in engines() {
        for close in [true, false] {
            flip_all(&format!("{engine}, closed: {close}"), &build(engine, close), 1);
        }
    }
}

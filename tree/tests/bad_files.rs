//! Files that are not what they should be: cut short, another program's, of another version, lost, mixed up.
//! Each is an error that names the file, and what is not affected goes on.
#![cfg(not(feature = "loom"))]

mod common;

use common::files::{self, Files};
use common::{Model, TINY, engines, memory, small};
use tree::check::check_storage;
use tree::{DatabaseOf, Engine, LogScope, Options, Result, TableOf};

type Tiny = DatabaseOf<TINY>;

fn options(engine: Engine) -> Options {
    Options { partitions: 4, ..small(engine) }
}

fn key(n: u64) -> Vec<u8> {
    format!("key{n:05}").into_bytes()
}

fn value(n: u64) -> Vec<u8> {
    let len = if n.is_multiple_of(17) { 700 } else { 20 };
    vec![n as u8; len]
}

fn model(keys: u64) -> Model {
    (0..keys).map(|n| (key(n), value(n))).collect()
}

/// A database of one table, cleanly closed or not.
fn database(options: &Options, keys: u64, close: bool) -> Files {
    let storage = memory();
    let database = Tiny::open_on(storage.clone(), options.clone()).unwrap();
    let table = database.create_table("t").unwrap();
    for (key, value) in model(keys) {
        table.put(&key, &value).unwrap().wait().unwrap();
    }
    if close {
        database.close().unwrap();
    } else {
        drop((table, database));
    }
    files::take(&*storage)
}

/// Asserts that opening these files fails with a message that has all of these words in it.
#[track_caller]
fn refused(files: &Files, options: &Options, words: &[&str]) {
    let folder = files::folder(files);
    let message =
        Tiny::open_on(folder.clone(), options.clone()).expect_err("it should have been refused").to_string();
    words.iter().for_each(|word| assert!(message.contains(word), "{word:?} is missing in: {message}"));
    let check = check_storage::<TINY>(folder).expect_err("the verifier should have refused it").to_string();
    assert_eq!(check, message, "the verifier says the same");
}

/// Reads everything: each answer is right, or an error. Answers how many keys had one.
#[track_caller]
fn right_or_error(table: &TableOf<TINY>, expected: &Model) -> (usize, String) {
    let (mut failed, mut message) = (0, String::new());
    for (key, value) in expected {
        match table.get(key) {
            Ok(found) => assert!(found.as_ref() == Some(value), "{} has {found:?}", key.escape_ascii()),
            Err(error) => (failed, message) = (failed + 1, error.to_string()),
        }
    }
    let all: Result<Model> = table.scan(..).collect();
    let backward: Result<Model> = table.scan_backward(..).collect();
    for all in [all, backward].into_iter().flatten() {
        assert!(&all == expected, "a scan found {} of {} items", all.len(), expected.len());
    }
    (failed, message)
}

/// Asserts that one partition is out of use, for a reason with these words, and that the others are not.
#[track_caller]
fn one_partition_stops(files: &Files, options: &Options, keys: u64, words: &[&str]) {
    let folder = files::folder(files);
    let database = Tiny::open_on(folder.clone(), options.clone()).unwrap();
    let table = database.table("t").unwrap();
    let (failed, message) = right_or_error(&table, &model(keys));
    assert!(failed > 0 && failed < keys as usize / 2, "{failed} of {keys} keys cannot be read");
    words.iter().for_each(|word| assert!(message.contains(word), "{word:?} is missing in: {message}"));
    let written =
        (0..keys).filter(|&n| table.put(&key(n), &value(n)).is_ok_and(|commit| commit.wait().is_ok()));
    assert!(written.count() > keys as usize / 2);
    drop((table, database));
    let report = check_storage::<TINY>(folder).unwrap();
    assert!(!report.is_clean(), "the verifier finds nothing");
}

#[test]
fn a_data_file_of_another_program_version_page_size_or_partition_stops_its_partition_alone() {
    for engine in engines() {
        let options = options(engine);
        let good = database(&options, 400, true);
        let bytes = &good["t_p1.db"];
        let magic = bytes.windows(8).position(|window| window == b"HEDGEHOG").unwrap();
        let with = |at: usize, new: &[u8]| {
            let mut files = good.clone();
            files.get_mut("t_p1.db").unwrap()[at..at + new.len()].copy_from_slice(new);
            files
        };
        let other_program = with(0, &[b'#'; TINY]);
        one_partition_stops(&other_program, &options, 400, &["memory:t_p1.db", "not a HedgehogDB file"]);
        let version = with(magic + 8, &99_u32.to_le_bytes());
        one_partition_stops(&version, &options, 400, &["t_p1.db", "format version 99", "reads version 1"]);
        let size = with(magic + 12, &8192_u32.to_le_bytes());
        one_partition_stops(&size, &options, 400, &["t_p1.db", "pages of 8192 bytes", "built for 256"]);

        let mut swapped = good.clone();
        swapped.insert("t_p1.db".into(), good["t_p2.db"].clone());
        one_partition_stops(&swapped, &options, 400, &["t_p1.db", "of partition 3, not of 2", "renamed"]);
        let mut lost = good.clone();
        lost.remove("t_p1.db");
        one_partition_stops(&lost, &options, 400, &["t_p1.db", "no file"]);
    }
}

#[test]
fn a_data_file_cut_short_anywhere_gives_right_answers_or_errors_also_after_writes() {
    for engine in engines() {
        for (partitions, keys) in [(4, 400), (1, 4_000)] {
            let options = Options { partitions, pool_bytes: 400 * TINY, ..options(engine) };
            let good = database(&options, keys, true);
            let name = if partitions == 1 { "t.db" } else { "t_p1.db" };
            let len = good[name].len();
            let pages = len / TINY;
            let page_ends =
                [0, 1, 2, 3, 4, 7, pages / 3, pages / 2, pages * 3 / 4, pages - 1].map(|page| page * TINY);
            for cut in page_ends.into_iter().chain([1, TINY - 1, TINY + 1, 3 * TINY + 77, len - 1]) {
                let mut files = good.clone();
                files.get_mut(name).unwrap().truncate(cut);
                read_write_and_read(
                    &files,
                    &options,
                    keys,
                    &format!("{engine}, {name} cut from {len} to {cut} bytes"),
                );
            }
        }
    }
}

#[test]
fn a_page_that_has_become_zeros_gives_right_answers_or_errors_also_after_writes() {
    for engine in engines() {
        for keys in [400, 4_000] {
            let options = Options { partitions: 1, pool_bytes: 400 * TINY, ..options(engine) };
            let good = database(&options, keys, true);
            let pages = good["t.db"].len() / TINY;
            // The bitmap of the second group of pages among them.
            let second_map = 2 + (TINY - 40) * 8;
            for page in (0..10)
                .chain((10..pages).step_by(pages / 20))
                .chain([second_map])
                .filter(|&page| page < pages)
            {
                let mut files = good.clone();
                files.get_mut("t.db").unwrap()[page * TINY..(page + 1) * TINY].fill(0);
                read_write_and_read(
                    &files,
                    &options,
                    keys,
                    &format!("{engine}, {keys} keys, zeros in page {page}"),
                );
            }
        }
    }
}

/// Reads, writes and reads again.
fn read_write_and_read(files: &Files, options: &Options, keys: u64, case: &str) {
    let folder = files::folder(files);
    let mut expected = model(keys);
    let database = Tiny::open_on(folder.clone(), options.clone()).unwrap();
    let table = database.table("t").unwrap();
    let (lost, _) = right_or_error(&table, &expected);
    let report = database.check().unwrap();
    println!("{case}: {lost} of {keys} keys are lost");
    // Part of a page can be mended from its copy in the double-write file.
    assert_eq!(report.is_clean(), lost == 0, "{case}, {lost} keys are lost: {report}");
    for n in 0..600 {
        let key = format!("key{:05}+{n}", n * 7_919 % keys).into_bytes();
        if table.put(&key, b"written to what is left").is_ok_and(|commit| commit.wait().is_ok()) {
            expected.insert(key, b"written to what is left".to_vec());
        }
    }
    right_or_error(&table, &expected);
    drop((table, database));
    let Ok(database) = Tiny::open_on(folder, options.clone()) else { return };
    right_or_error(&database.table("t").unwrap(), &expected);
}

#[test]
fn a_catalog_that_is_damaged_unknown_or_lost_stops_the_opening() {
    for engine in engines() {
        let options = options(engine);
        let good = database(&options, 50, true);
        let catalog = String::from_utf8(good["catalog"].clone()).unwrap();
        let with = |catalog: &[u8]| {
            let mut files = good.clone();
            files.insert("catalog".into(), catalog.to_vec());
            files
        };
        let damaged = catalog.replace("\"t\"", "\"u\"");
        refused(&with(damaged.as_bytes()), &options, &["memory:catalog", "damaged", "backup"]);
        let cut = &catalog.as_bytes()[..catalog.len() / 2];
        refused(&with(cut), &options, &["memory:catalog", "damaged", "backup"]);
        refused(&with(b""), &options, &["memory:catalog", "damaged"]);
        refused(&with(&[0xff; 300]), &options, &["memory:catalog"]);
        refused(&with(b"#!/bin/sh\necho\n"), &options, &["memory:catalog", "not a catalog"]);
        let newer = catalog.replacen("hedgehogdb-catalog 1 ", "hedgehogdb-catalog 2 ", 1);
        refused(
            &with(newer.as_bytes()),
            &options,
            &["memory:catalog", "version is 2", "program that wrote it"],
        );

        for elsewhere in ["../t_p0", "/t_p0", "t/p0", ""] {
            let evil = catalog.replace("\"t_p0\"", &format!("{elsewhere:?}"));
            let body = &evil[evil.find('\n').unwrap() + 1..];
            let evil = format!("hedgehogdb-catalog 1 {:08x}\n{body}", crc32fast::hash(body.as_bytes()));
            refused(&with(evil.as_bytes()), &options, &["memory:catalog", "damaged"]);
        }

        let mut lost = good.clone();
        lost.remove("catalog");
        let folder = files::folder(&lost);
        let message = Tiny::open_on(folder.clone(), options.clone()).unwrap_err().to_string();
        assert!(
            message.contains("memory:catalog") && message.contains("t_p0.db") && message.contains("backup"),
            "{message}"
        );
        assert_eq!(files::take(&*folder), lost);

        let folder = files::folder(&good);
        let message = DatabaseOf::<512>::open_on(folder, Options { pool_bytes: 64 * 512, ..options.clone() });
        let message = message.unwrap_err().to_string();
        assert!(message.contains("memory:catalog") && message.contains("pages of 256 bytes"), "{message}");
    }
}

#[test]
fn a_log_with_a_lost_segment_or_a_hole_stops_the_opening() {
    for engine in engines() {
        for scope in [LogScope::Database, LogScope::Partition] {
            // Large enough that no checkpoint lets a segment go.
            let options =
                Options { log_scope: scope, log_max_bytes: 64 << 20, partitions: 2, ..options(engine) };
            let crashed = database(&options, 3_000, false);
            let log = if scope == LogScope::Database { "wal" } else { "t_p1" };
            let segments = files::segments(&crashed, log);
            assert!(segments.len() > 2, "{segments:?}");
            for lost in &segments[..2] {
                let mut files = crashed.clone();
                files.remove(lost);
                refused(&files, &options, &[lost, "missing", "restore"]);
            }
            let mut hole = crashed.clone();
            hole.get_mut(&segments[0]).unwrap()[20_000..20_512].fill(0);
            refused(&hole, &options, &[&segments[0], "damaged at byte", "restore"]);
            let mut short = crashed.clone();
            short.get_mut(&segments[1]).unwrap().truncate(30_000);
            refused(&short, &options, &[&segments[1], "30000 bytes", "restore"]);
            let mut other = crashed.clone();
            other.get_mut(&segments[0]).unwrap()[..512].fill(b'#');
            refused(&other, &options, &[&segments[0]]);
        }
    }
}

#[test]
fn a_log_that_is_lost_after_a_clean_close_stops_the_opening() {
    for engine in engines() {
        let options = options(engine);
        let mut files = database(&options, 400, true);
        for segment in files::segments(&files, "wal") {
            files.remove(&segment);
        }
        refused(&files, &options, &["wal-", "missing", "restore"]);
    }
}

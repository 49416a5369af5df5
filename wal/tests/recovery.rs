//! Opening a log: whole, torn, damaged, or not the right one.
#![cfg(not(feature = "loom"))]

mod common;

use std::sync::Arc;

use common::{create, open, open_with, payload, segment, small};
use wal::{Error, FaultyStorage, Log, Lsn, MemoryStorage, Options, Storage};

fn memory() -> Arc<dyn Storage> {
    Arc::new(MemoryStorage::new())
}

/// Appends and flushes each of these records as a group of its own.
fn write(log: &Log, numbers: std::ops::Range<usize>) -> Vec<Lsn> {
    numbers
        .map(|number| {
            let lsn = log.append(&payload(number)).unwrap();
            log.flush().unwrap();
            lsn
        })
        .collect()
}

fn numbers(replayed: &[common::Replayed]) -> Vec<usize> {
    replayed.iter().map(|(_, bytes)| u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize).collect()
}

#[test]
fn a_reopened_log_replays_everything_behind_the_redo_lsn() {
    let storage = memory();
    let lsns = write(&create(&storage).unwrap(), 0..100);
    for from in [Lsn::ZERO, lsns[0], lsns[41], lsns[98], lsns[99]] {
        let (log, replayed) = open(&storage, from).unwrap();
        let first = lsns.iter().filter(|&&lsn| lsn <= from).count();
        assert_eq!(numbers(&replayed), (first..100).collect::<Vec<_>>());
        assert_eq!((log.end(), log.durable()), (lsns[99], lsns[99]));
        assert_eq!(replayed.last().map_or(lsns[99], |(lsn, _)| *lsn), lsns[99]);
    }
    let (log, _) = open(&storage, lsns[50]).unwrap();
    write(&log, 100..110);
    assert_eq!(numbers(&open(&storage, lsns[98]).unwrap().1), (99..110).collect::<Vec<_>>());
}

#[test]
fn an_empty_log_opens_empty() {
    let storage = memory();
    let end = create(&storage).unwrap().end();
    for from in [Lsn::ZERO, end] {
        assert!(open(&storage, from).unwrap().1.is_empty());
    }
    assert!(matches!(create(&storage), Err(Error::Io { what: "create", .. })));
}

#[test]
fn segments_may_be_filled_to_the_last_byte() {
    for spare in 0..=64 {
        let storage = memory();
        let mut log = create(&storage).unwrap();
        // The second record leaves `spare` bytes (rounded down to words) of the segment.
        for len in [1000, 8192 - 4096 - 1024 - 24 - spare, 100, 8192 - 4096 - 24, 50] {
            let lsn = log.append(&vec![1; len]).unwrap();
            log.wait(lsn).unwrap();
            let end = log.end();
            drop(log);
            log = open(&storage, lsn).unwrap().0;
            assert_eq!(log.end(), end);
        }
        let last = log.end();
        log.recycle(last).unwrap();
        drop(log);
        assert_eq!(open(&storage, last).unwrap().0.end(), last);
    }
}

#[test]
fn torn_tail_is_cut_at_the_last_whole_record() {
    let storage = memory();
    let log = create(&storage).unwrap();
    let lsns = write(&log, 0..5);
    drop(log);
    let file = storage.open(&segment(0)).unwrap();
    let mut whole = vec![0; 8192];
    file.read_at(&mut whole, 0).unwrap();
    for cut in lsns[3].get() as usize..lsns[4].get() as usize {
        let mut torn = whole.clone();
        torn[cut..].fill(0);
        file.write_at(&torn, 0).unwrap();
        let (log, replayed) = open(&storage, Lsn::ZERO).unwrap();
        // Zeros at the very end of the last record may be its own.
        let kept = if torn == whole { 5 } else { 4 };
        assert_eq!(numbers(&replayed), (0..kept).collect::<Vec<_>>(), "cut at {cut}");
        assert_eq!(log.end(), lsns[kept - 1]);
    }
}

#[test]
fn an_unsynced_record_behind_a_torn_one_never_comes_back() {
    let storage = memory();
    let log = create(&storage).unwrap();
    let kept = log.append(&[1; 100]).unwrap();
    log.flush().unwrap();
    // One group, of which the power loss has left the second record only.
    let torn = log.append(&[2; 100]).unwrap();
    log.append(&[3; 100]).unwrap();
    log.flush().unwrap();
    storage.open(&segment(0)).unwrap().write_at(&[0; 64], kept.get()).unwrap();
    let (log, replayed) = open(&storage, Lsn::ZERO).unwrap();
    assert_eq!(replayed.len(), 1);
    // A record of the size of the torn one ends where the leftover would begin.
    let lsn = log.append(&[4; 100]).unwrap();
    assert_eq!(lsn, torn);
    log.flush().unwrap();
    let (_, replayed) = open(&storage, kept).unwrap();
    assert_eq!(replayed, [(lsn, vec![4; 100])]);
}

#[test]
fn an_unsynced_record_in_the_next_segment_never_comes_back() {
    let storage = memory();
    let log = create(&storage).unwrap();
    let kept = log.append(&[1; 1000]).unwrap();
    log.flush().unwrap();
    // One group that turns the segment; the power loss has left the second segment only.
    log.append(&[2; 3000]).unwrap();
    log.append(&[3; 100]).unwrap();
    log.flush().unwrap();
    drop(log);
    storage.open(&segment(0)).unwrap().write_at(&[0; 3072], kept.get()).unwrap();
    let (log, replayed) = open(&storage, Lsn::ZERO).unwrap();
    assert_eq!(replayed.len(), 1);
    // A record that fills the first segment leads to where the leftover would begin.
    log.append(&vec![4; 8192 - kept.get() as usize - 24]).unwrap();
    log.flush().unwrap();
    drop(log);
    let (_, replayed) = open(&storage, kept).unwrap();
    assert_eq!(replayed.len(), 1);
    assert_eq!(replayed[0].1[0], 4);
}

#[test]
fn every_flipped_bit_before_the_last_group_is_refused_and_nothing_is_changed() {
    let disk = FaultyStorage::new(1);
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    let log = create(&storage).unwrap();
    let lens = [10, 0, 33, 1500, 2400, 9, 100, 60];
    let lsns: Vec<Lsn> = lens
        .iter()
        .map(|&len| {
            let lsn = log.append(&vec![0xa5; len]).unwrap();
            log.flush().unwrap();
            lsn
        })
        .collect();
    drop(log);
    let (before_last, end) = (lsns[lens.len() - 2].get(), lsns[lens.len() - 1].get());
    let before = images(&storage);
    for byte in 0..before_last {
        let (number, offset) = (byte / 8192, byte % 8192);
        // Behind the pad of the first segment nothing is ever read.
        if number == 0 && offset >= lsns[3].get() + 24 {
            continue;
        }
        // Each bit of the frames and of the headers' used part; one bit of each of the payloads' bytes.
        let thin = offset > 64 && offset < 4096;
        if thin && offset % 97 != 0 {
            continue;
        }
        for bit in [byte % 8, (byte + 3) % 8] {
            let bit = offset * 8 + bit;
            assert!(disk.flip_bit(&segment(number), bit));
            let found = open(&storage, Lsn::ZERO);
            let found = found.map(drop).expect_err(&format!("bit {bit} of segment {number}"));
            assert!(matches!(found, Error::Corrupt { .. } | Error::Options { .. }), "{found}");
            assert!(disk.flip_bit(&segment(number), bit));
        }
    }
    assert_eq!(images(&storage), before);
    // In the last group a flipped bit looks as a torn tail does.
    for byte in before_last..end {
        let copy = disk.crash();
        copy.flip_bit(&segment(1), byte % 8192 * 8);
        let (_, replayed) = open(&(Arc::new(copy) as Arc<dyn Storage>), Lsn::ZERO).unwrap();
        assert_eq!(replayed.len(), lens.len() - 1);
    }
}

fn images(storage: &Arc<dyn Storage>) -> Vec<(String, Vec<u8>)> {
    let read = |name: String| {
        let file = storage.open(&name).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        file.read_at(&mut bytes, 0).unwrap();
        (name, bytes)
    };
    storage.list().unwrap().into_iter().map(read).collect()
}

#[test]
fn a_missing_segment_is_named() {
    let storage = memory();
    let log = create(&storage).unwrap();
    let lsns = write(&log, 0..60);
    drop(log);
    let numbers = lsns[59].get() / 8192;
    assert!(numbers > 2);
    for number in 0..=numbers {
        let hidden = "hidden";
        storage.rename(&segment(number), hidden).unwrap();
        let error = open(&storage, Lsn::ZERO).map(drop).unwrap_err();
        assert!(matches!(&error, Error::Missing { file, .. } if file.contains(&segment(number))), "{error}");
        storage.rename(hidden, &segment(number)).unwrap();
    }
    assert_eq!(open(&storage, Lsn::ZERO).unwrap().1.len(), 60);
}

#[test]
fn a_redo_lsn_beyond_the_end_is_corruption() {
    let storage = memory();
    let end = write(&create(&storage).unwrap(), 0..3)[2];
    let error = open(&storage, Lsn::new(end.get() + 8)).map(drop).unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    let error = open(&storage, Lsn::new(u64::MAX)).map(drop).unwrap_err();
    assert!(matches!(error, Error::Missing { .. }), "{error}");
}

#[test]
fn another_format_another_size_or_another_file_is_refused() {
    let storage = memory();
    write(&create(&storage).unwrap(), 0..3);
    let file = storage.open(&segment(0)).unwrap();
    let mut header = [0; 36];
    file.read_at(&mut header, 0).unwrap();

    let mut newer = header;
    newer[8] = 2;
    let crc = crc32fast::hash(&newer[..32]).to_le_bytes();
    newer[32..].copy_from_slice(&crc);
    file.write_at(&newer, 0).unwrap();
    let error = open(&storage, Lsn::ZERO).map(drop).unwrap_err().to_string();
    assert!(error.contains("version 2"), "{error}");

    file.write_at(b"#!/bin/sh", 0).unwrap();
    assert!(matches!(open(&storage, Lsn::ZERO), Err(Error::Corrupt { .. })));

    file.write_at(&header, 0).unwrap();
    let other = Options { segment_bytes: 16384, ..small() };
    let error = open_with(&storage, other, Lsn::ZERO).map(drop).unwrap_err();
    assert!(matches!(&error, Error::Options { reason } if reason.contains("8192")), "{error}");

    file.set_len(5000).unwrap();
    assert!(matches!(open(&storage, Lsn::ZERO), Err(Error::Corrupt { offset: 5000, .. })));
    file.set_len(0).unwrap();
    assert!(matches!(open(&storage, Lsn::ZERO), Err(Error::Corrupt { .. })));
}

#[test]
fn the_receivers_refusal_is_the_answer_of_open() {
    let storage = memory();
    write(&create(&storage).unwrap(), 0..3);
    let refuse = |lsn, _: &[u8]| Err(Error::Replay { lsn, reason: "unknown kind 9".to_owned() });
    let error = Log::open(storage, "log", small(), Lsn::ZERO, &mut { refuse }).map(drop).unwrap_err();
    assert!(error.to_string().contains("unknown kind 9"));
}

#[test]
fn logs_of_like_names_share_a_folder() {
    let storage = memory();
    for name in ["log", "log-1", "log-1-2"] {
        let log = Log::create(Arc::clone(&storage), name, small()).unwrap();
        log.append(name.as_bytes()).unwrap();
        log.flush().unwrap();
    }
    let (_, replayed) = open(&storage, Lsn::ZERO).unwrap();
    assert_eq!(replayed[0].1, b"log");
    let listed = storage.list().unwrap();
    for first in ["log-0", "log-1-0", "log-1-2-0"] {
        assert!(listed.iter().any(|name| name.starts_with(first)), "{listed:?}");
    }
}

#[test]
fn a_segment_under_the_name_of_an_earlier_one_is_refused() {
    let storage = memory();
    let log = create(&storage).unwrap();
    write(&log, 0..60);
    drop(log);
    let before = images(&storage);
    storage.remove(&segment(0)).unwrap();
    storage.rename(&segment(1), &segment(0)).unwrap();
    let error = open(&storage, Lsn::ZERO).map(drop).unwrap_err().to_string();
    assert!(error.contains(&segment(0)) && error.contains("it is segment 0000000000000001"), "{error}");
    assert_eq!(storage.list().unwrap().len(), before.len() - 1, "nothing was changed");
}

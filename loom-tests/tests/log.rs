//! The log: what was acknowledged survives, whatever else goes on in it.
//!
//! Two threads append, and wait or not, beside each other's flush, over the turn of a segment, beside a recycling
//! of segments behind both, and beside a shutdown. Then the power goes off, twice from the same instant
//! with different survivors of what was not synced, and the log is opened again: the acknowledged records are
//! there, in the order of their LSNs, and nothing that was never appended. Two threads are a leader and one who
//! appends or waits during the flush; with two preemptions either is interrupted in its flush, and the other in its
//! own that follows. A waiter that is not woken is a deadlock, which loom reports.
#![cfg(feature = "loom")]

use std::sync::Arc;

use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;
use wal::{Error, FaultyStorage, Log, Lsn, MemoryStorage, Options};

/// A segment has room for two records of this size besides its header.
const HALF_A_SEGMENT: usize = 2000;

fn options() -> Options {
    Options { segment_bytes: 8192, max_bytes: 1 << 20, ..Options::default() }
}

fn new_log(options: Options) -> (FaultyStorage, Arc<Log>) {
    let disk = FaultyStorage::new(7);
    let log = Log::create(Arc::new(disk.clone()), "wal", options).unwrap();
    (disk, Arc::new(log))
}

/// A record of one letter, `len` times.
fn record(letter: u8, len: usize) -> Vec<u8> {
    vec![letter; len]
}

/// Appends the records, each by its letter, and waits for each; how many were acknowledged.
fn commit(log: &Log, letters: &[u8], len: usize) -> usize {
    let commit = |letter: &u8| log.append(&record(*letter, len)).and_then(|lsn| log.wait(lsn)).is_ok();
    letters.iter().take_while(|letter| commit(letter)).count()
}

fn commit_beside(log: &Arc<Log>, letters: &'static [u8], len: usize) -> thread::JoinHandle<usize> {
    let log = log.clone();
    thread::spawn(move || commit(&log, letters, len))
}

/// The letters of the records that are found behind `from` after a power loss: what each of two power losses
/// may leave.
fn survivors(disk: &FaultyStorage, from: Lsn) -> [Vec<u8>; 2] {
    [(); 2].map(|()| {
        let mut letters = Vec::new();
        let mut last = Lsn::ZERO;
        let mut replay = |lsn: Lsn, payload: &[u8]| {
            assert!(last < lsn, "records come in the order of their LSNs");
            assert!(payload.iter().all(|byte| *byte == payload[0]), "records are whole");
            last = lsn;
            letters.push(payload[0]);
            Ok(())
        };
        Log::open(Arc::new(disk.crash()), "wal", options(), from, &mut replay).unwrap();
        letters
    })
}

/// Each of both threads' acknowledged records is there, in the order of its thread.
fn expect_survivors(disk: &FaultyStorage, from: Lsn, threads: [&[u8]; 2]) {
    for found in survivors(disk, from) {
        for letters in threads {
            let of_thread: Vec<_> = found.iter().filter(|letter| letters.contains(letter)).collect();
            assert!(of_thread.iter().copied().eq(letters), "{letters:?} in {found:?}");
        }
    }
}

#[test]
fn an_append_during_a_flush_survives_with_the_next() {
    loom_tests::check(|| {
        let (disk, log) = new_log(options());
        let other = commit_beside(&log, b"ab", 10);
        assert_eq!(commit(&log, b"yz", 10), 2);
        assert_eq!(other.join().unwrap(), 2);
        expect_survivors(&disk, Lsn::ZERO, [b"ab", b"yz"]);
    });
}

#[test]
fn records_on_both_sides_of_a_segment_turn_survive() {
    loom_tests::check(|| {
        let (disk, log) = new_log(options());
        let other = commit_beside(&log, b"ab", HALF_A_SEGMENT);
        assert_eq!(commit(&log, b"yz", HALF_A_SEGMENT), 2);
        assert_eq!(other.join().unwrap(), 2);
        expect_survivors(&disk, Lsn::ZERO, [b"ab", b"yz"]);
    });
}

#[test]
fn a_batch_that_spans_segments_survives_as_a_whole() {
    loom_tests::check(|| {
        let (disk, log) = new_log(options());
        let other = commit_beside(&log, b"ab", HALF_A_SEGMENT);
        let ends: Vec<_> =
            b"wxyz".iter().map(|&letter| log.append(&record(letter, HALF_A_SEGMENT)).unwrap()).collect();
        log.wait(ends[3]).unwrap();
        assert_eq!(other.join().unwrap(), 2);
        expect_survivors(&disk, Lsn::ZERO, [b"ab", b"wxyz"]);
    });
}

#[test]
fn recycling_takes_nothing_from_behind_the_redo_lsn() {
    loom_tests::check(|| {
        let (disk, log) = new_log(options());
        // The first segment is full: it is there to be recycled.
        assert_eq!(commit(&log, b"123", HALF_A_SEGMENT), 3);
        let redo = log.durable();
        let other = commit_beside(&log, b"ab", HALF_A_SEGMENT);
        log.recycle(redo).unwrap();
        assert_eq!(commit(&log, b"z", HALF_A_SEGMENT), 1);
        assert_eq!(other.join().unwrap(), 2);
        expect_survivors(&disk, redo, [b"ab", b"z"]);
    });
}

#[test]
fn a_shutdown_keeps_what_was_acknowledged_and_answers_who_waits() {
    loom_tests::check(|| {
        let (disk, log) = new_log(options());
        let other = commit_beside(&log, b"ab", 10);
        log.close().unwrap();
        assert!(matches!(log.append(b"late"), Err(Error::Poisoned { .. })));
        let acknowledged = other.join().unwrap();
        for found in survivors(&disk, Lsn::ZERO) {
            assert!(found.starts_with(&b"ab"[..acknowledged]) && b"ab".starts_with(&found[..]), "{found:?}");
        }
    });
}

#[test]
fn a_shutdown_beside_two_waiters_leaves_nobody_asleep() {
    loom_tests::check(|| {
        let log = Arc::new(Log::create(Arc::new(MemoryStorage::new()), "wal", options()).unwrap());
        let others = [b"a", b"b"].map(|letter| commit_beside(&log, letter, 10));
        log.close().unwrap();
        let durable = log.durable();
        others.into_iter().for_each(|other| assert!(other.join().unwrap() <= 1));
        assert_eq!(log.durable(), durable, "nobody writes to a closed log");
    });
}

#[test]
fn a_snapshot_counts_what_lies_before_its_end() {
    loom_tests::check(|| {
        let (_, log) = new_log(options());
        let start = log.end();
        let count = Arc::new(AtomicU64::new(0));
        let append = |log: &Log, count: &AtomicU64| {
            let counting = || count.fetch_add(1, Ordering::Relaxed);
            log.append_then(b"12345678", counting).unwrap()
        };
        let record_bytes = append(&log, &count).get() - start.get();
        let other = {
            let (log, count) = (log.clone(), count.clone());
            thread::spawn(move || [(); 2].map(|()| append(&log, &count)))
        };
        let (end, counted) = log.snapshot(|end| (end, count.load(Ordering::Relaxed)));
        assert_eq!(end.get() - start.get(), counted * record_bytes);
        other.join().unwrap();
    });
}

#[test]
fn whoever_is_held_back_by_a_full_buffer_goes_on() {
    loom_tests::check(|| {
        let (disk, log) = new_log(Options { buffer_bytes: 64, ..options() });
        let work = |log: &Log, letters: &[u8]| {
            for &letter in letters {
                log.admit().unwrap();
                log.append(&record(letter, 50)).unwrap();
            }
        };
        let other = {
            let log = log.clone();
            thread::spawn(move || work(&log, b"ab"))
        };
        work(&log, b"yz");
        other.join().unwrap();
        log.flush().unwrap();
        expect_survivors(&disk, Lsn::ZERO, [b"ab", b"yz"]);
    });
}

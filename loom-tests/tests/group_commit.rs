//! Group commit: several commits wait, one of them leads the flush, nobody sleeps for ever.
//!
//! Three threads append and wait at once: every order of appends, leaders, followers that find a flush under
//! way with and without their record in it, hand-overs and wake-ups. Three are enough for a leader, a
//! follower of its group and one of the next. A lost wake-up is a deadlock, which loom reports.
#![cfg(feature = "loom")]

use std::sync::Arc;

use loom::thread;
use wal::{CommitPolicy, Log, MemoryStorage, Options};

fn log() -> Arc<Log> {
    let options = Options { segment_bytes: 8192, commit: CommitPolicy::Greedy, ..Options::default() };
    Arc::new(Log::create(Arc::new(MemoryStorage::new()), "wal", options).unwrap())
}

fn commit(log: &Log) {
    let lsn = log.append(b"record").unwrap();
    log.wait(lsn).unwrap();
    assert!(log.durable() >= lsn);
}

#[test]
fn every_waiter_of_two_returns() {
    loom_tests::check(|| {
        let log = log();
        let other = {
            let log = log.clone();
            thread::spawn(move || commit(&log))
        };
        commit(&log);
        other.join().unwrap();
    });
}

#[test]
fn every_waiter_of_three_returns() {
    loom_tests::check(|| {
        let log = log();
        let others: Vec<_> = (0..2)
            .map(|_| {
                let log = log.clone();
                thread::spawn(move || commit(&log))
            })
            .collect();
        commit(&log);
        others.into_iter().for_each(|other| other.join().unwrap());
    });
}

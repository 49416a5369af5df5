//! Group commit: several commits wait, one of them leads the flush, nobody sleeps for ever.
//!
//! Threads append and wait at once: every order of appends, leaders, followers that find a flush under way with
//! and without their record in it, hand-overs and wake-ups. Three threads are enough for a leader, a follower of
//! its group and one of the next; two that commit twice also meet the gate of the same parity again. A lost
//! wake-up is a deadlock, which loom reports.
#![cfg(feature = "loom")]

use std::sync::Arc;
use std::time::Duration;

use loom::thread;
use wal::{Call, CommitPolicy, Error, Fault, FaultyStorage, Log, MemoryStorage, Options, Storage};

fn log(storage: Arc<dyn Storage>, commit: CommitPolicy) -> Arc<Log> {
    let options = Options { segment_bytes: 8192, commit, ..Options::default() };
    Arc::new(Log::create(storage, "wal", options).unwrap())
}

fn in_memory(commit: CommitPolicy) -> Arc<Log> {
    log(Arc::new(MemoryStorage::new()), commit)
}

fn commit(log: &Log) -> Result<(), Error> {
    let lsn = log.append(b"record")?;
    log.wait(lsn)?;
    assert!(log.durable() >= lsn);
    Ok(())
}

/// Runs `work` on this thread and `threads - 1` others.
fn together(log: &Arc<Log>, threads: usize, work: impl Fn(&Log) + Clone + Send + 'static) {
    let others: Vec<_> = (1..threads)
        .map(|_| {
            let (log, work) = (log.clone(), work.clone());
            thread::spawn(move || work(&log))
        })
        .collect();
    work(log);
    others.into_iter().for_each(|other| other.join().unwrap());
}

#[test]
fn every_waiter_of_three_returns() {
    for policy in [CommitPolicy::Greedy, CommitPolicy::Window(Duration::ZERO)] {
        loom_tests::check(move || together(&in_memory(policy), 3, |log| commit(log).unwrap()));
    }
}

#[test]
fn two_waiters_that_come_twice_return_twice() {
    loom_tests::check(|| {
        let twice = |log: &Log| (0..2).for_each(|_| commit(log).unwrap());
        together(&in_memory(CommitPolicy::Greedy), 2, twice);
    });
}

#[test]
fn a_failed_sync_reaches_every_waiter() {
    loom_tests::check(|| {
        let disk = FaultyStorage::new(1);
        let log = log(Arc::new(disk.clone()), CommitPolicy::Greedy);
        disk.fail(Call::Sync, 0, Fault::Io);
        together(&log, 3, |log| assert!(matches!(commit(log), Err(Error::Poisoned { .. }))));
    });
}

#[test]
fn a_future_and_a_waiter_both_return() {
    loom_tests::check(|| {
        let log = in_memory(CommitPolicy::Greedy);
        let other = {
            let log = log.clone();
            thread::spawn(move || commit(&log).unwrap())
        };
        let lsn = log.append(b"record").unwrap();
        loom::future::block_on(log.wait_async(lsn)).unwrap();
        assert!(log.durable() >= lsn);
        other.join().unwrap();
    });
}

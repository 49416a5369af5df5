//! Commit tickets: futures that are dropped, awaited and overtaken, beside threads that wait.
//!
//! A future that has to wait starts the log's flusher, a thread that leads or follows in the place of all futures.
//! Covered are, within two preemptions: a future that is polled once and dropped while the flusher is about to
//! wake it; one that is awaited beside a thread that waits and may lead; two that are awaited at once; one
//! that meets a failing disk or a shutdown; and the end of the log, which stops the flusher. The flusher is the
//! third thread of each model. A future that is not woken is a deadlock, which loom reports.
#![cfg(feature = "loom")]

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use loom::future::block_on;
use loom::thread;
use wal::{Call, Error, Fault, FaultyStorage, Log, MemoryStorage, Options, Storage};

fn new_log(storage: Arc<dyn Storage>) -> Arc<Log> {
    Arc::new(Log::create(storage, "wal", Options { segment_bytes: 8192, ..Options::default() }).unwrap())
}

fn in_memory() -> Arc<Log> {
    new_log(Arc::new(MemoryStorage::new()))
}

/// Asks once whether the future is ready, and drops it.
fn poll_once(future: impl Future<Output = Result<(), Error>>) -> Poll<Result<(), Error>> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

fn commit_awaited(log: &Arc<Log>) -> Result<(), Error> {
    let lsn = log.append(b"awaited")?;
    block_on(log.wait_async(lsn))?;
    assert!(log.durable() >= lsn);
    Ok(())
}

fn beside<T: 'static>(log: &Arc<Log>, work: impl FnOnce(&Arc<Log>) -> T + 'static) -> thread::JoinHandle<T> {
    let log = log.clone();
    thread::spawn(move || work(&log))
}

#[test]
fn a_ticket_that_is_dropped_holds_up_nobody() {
    loom_tests::check(|| {
        let log = in_memory();
        let lsn = log.append(b"dropped").unwrap();
        match poll_once(log.wait_async(lsn)) {
            Poll::Ready(outcome) => outcome.unwrap(),
            Poll::Pending => {}
        }
        commit_awaited(&log).unwrap();
        assert!(log.durable() >= lsn, "a dropped ticket is no rollback");
    });
}

#[test]
fn a_ticket_dropped_a_ticket_awaited_and_a_waiter_all_end() {
    loom_tests::check(|| {
        let log = in_memory();
        let waiter = beside(&log, |log| {
            let lsn = log.append(b"waited for").unwrap();
            log.wait(lsn).unwrap();
            assert!(log.durable() >= lsn);
        });
        let lsn = log.append(b"dropped").unwrap();
        assert!(!matches!(poll_once(log.wait_async(lsn)), Poll::Ready(Err(_))));
        commit_awaited(&log).unwrap();
        waiter.join().unwrap();
    });
}

#[test]
fn two_tickets_awaited_at_once_are_both_woken() {
    loom_tests::check(|| {
        let log = in_memory();
        let other = beside(&log, commit_awaited);
        commit_awaited(&log).unwrap();
        other.join().unwrap().unwrap();
    });
}

#[test]
fn a_ticket_that_is_awaited_hears_of_a_failed_disk() {
    loom_tests::check(|| {
        let disk = FaultyStorage::new(1);
        let log = new_log(Arc::new(disk.clone()));
        disk.fail(Call::Sync, 0, Fault::Io);
        let other = beside(&log, commit_awaited);
        assert!(matches!(commit_awaited(&log), Err(Error::Poisoned { .. })));
        assert!(matches!(other.join().unwrap(), Err(Error::Poisoned { .. })));
    });
}

#[test]
fn a_ticket_that_is_awaited_hears_of_a_shutdown() {
    loom_tests::check(|| {
        let log = in_memory();
        let other = beside(&log, commit_awaited);
        log.close().unwrap();
        // Durable by the last flush, or refused: nothing in between.
        let outcome = other.join().unwrap();
        assert!(matches!(outcome, Ok(()) | Err(Error::Poisoned { .. })), "{outcome:?}");
    });
}

//! Waiting, group commit, poison, back-pressure, and segments that turn and are recycled.
#![cfg(not(feature = "loom"))]

mod common;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use common::{create, open, payload, small};
use wal::{
    Call, CommitPolicy, DelayedStorage, Error, Fault, FaultyStorage, Log, Lsn, MemoryStorage, Options,
    Storage,
};

const POLICIES: [CommitPolicy; 3] = [
    CommitPolicy::Greedy,
    CommitPolicy::Immediate(Duration::from_micros(50)),
    CommitPolicy::Window(Duration::from_millis(1)),
];

fn log_on(storage: impl Storage + 'static, commit: CommitPolicy) -> Arc<Log> {
    let options = Options { commit, segment_bytes: 64 << 10, max_bytes: 1 << 30, ..small() };
    Arc::new(Log::create(Arc::new(storage), "log", options).unwrap())
}

/// Runs a future on this thread.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

#[test]
fn a_wait_returns_only_when_durable_under_each_policy() {
    for commit in POLICIES {
        let commits = if matches!(commit, CommitPolicy::Window(_)) { 100 } else { 2000 };
        let storage = DelayedStorage::new(Arc::new(MemoryStorage::new()), Duration::from_micros(20));
        let log = log_on(storage, commit);
        thread::scope(|scope| {
            for number in 0..8 {
                let log = &log;
                scope.spawn(move || {
                    for count in 0..commits {
                        let lsn = log.append(&payload(number * 1000 + count)).unwrap();
                        if count % 3 == 0 && number % 2 == 0 {
                            block_on(log.wait_async(lsn)).unwrap();
                        } else {
                            log.wait(lsn).unwrap();
                        }
                        assert!(log.durable() >= lsn);
                    }
                });
            }
        });
        let stats = log.stats();
        assert_eq!(stats.appends, 8 * commits as u64);
        assert!(stats.groups <= stats.appends && stats.served <= stats.appends, "{stats:?}");
        assert_eq!(log.durable(), log.end());
    }
}

#[test]
fn a_flush_does_not_wait_for_the_window() {
    let log = log_on(MemoryStorage::new(), CommitPolicy::Window(Duration::from_secs(10)));
    let begin = Instant::now();
    let lsn = log.append(b"alone").unwrap();
    log.flush().unwrap();
    assert!(log.durable() >= lsn);
    // Even where a leader is in its window already.
    let lsn = log.append(b"led").unwrap();
    thread::scope(|scope| {
        scope.spawn(|| log.wait(lsn).unwrap());
        thread::sleep(Duration::from_millis(50));
        log.flush().unwrap();
    });
    assert!(begin.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_failed_sync_poisons_the_log_for_every_waiter_and_for_good() {
    for call in [Call::Sync, Call::Write] {
        let disk = FaultyStorage::new(1);
        let slow = DelayedStorage::new(Arc::new(disk.clone()), Duration::from_millis(1));
        let log = log_on(slow, CommitPolicy::Greedy);
        let first = log.append(b"kept").unwrap();
        log.wait(first).unwrap();
        disk.fail(call, 3, Fault::Io);
        let failed = AtomicU64::new(0);
        thread::scope(|scope| {
            for number in 0..8 {
                let (log, failed) = (&log, &failed);
                scope.spawn(move || {
                    while let Ok(lsn) = log.append(b"more") {
                        let outcome = if number < 4 { log.wait(lsn) } else { block_on(log.wait_async(lsn)) };
                        if let Err(error) = outcome {
                            assert!(matches!(error, Error::Poisoned { .. }), "{error}");
                            failed.fetch_add(1, Ordering::Relaxed);
                            break;
                        }
                    }
                });
            }
        });
        assert!(failed.into_inner() > 0);
        assert!(matches!(log.append(b"late"), Err(Error::Poisoned { .. })));
        assert!(log.wait(first).is_ok());
        assert!(matches!(log.wait(log.end()), Err(Error::Poisoned { .. })));
        assert!(matches!(block_on(log.wait_async(log.end())), Err(Error::Poisoned { .. })));
        assert!(matches!(log.recycle(first), Err(Error::Poisoned { .. })));
    }
}

#[test]
fn a_storage_that_panics_poisons_the_log_and_leaves_no_waiter_behind() {
    #[derive(Debug)]
    struct Panics(MemoryStorage);
    #[derive(Debug)]
    struct PanickingFile(Arc<dyn wal::File>);
    impl Storage for Panics {
        fn open(&self, name: &str) -> std::io::Result<Arc<dyn wal::File>> {
            self.0.open(name)
        }
        fn create(&self, name: &str) -> std::io::Result<Arc<dyn wal::File>> {
            Ok(Arc::new(PanickingFile(self.0.create(name)?)))
        }
        fn rename(&self, from: &str, to: &str) -> std::io::Result<()> {
            self.0.rename(from, to)
        }
        fn remove(&self, name: &str) -> std::io::Result<()> {
            self.0.remove(name)
        }
        fn list(&self) -> std::io::Result<Vec<String>> {
            self.0.list()
        }
        fn sync_dir(&self) -> std::io::Result<()> {
            Ok(())
        }
        fn lock(&self) -> std::io::Result<Box<dyn std::any::Any + Send + Sync>> {
            self.0.lock()
        }
        fn path(&self, name: &str) -> String {
            self.0.path(name)
        }
    }
    impl wal::File for PanickingFile {
        fn read_at(&self, buf: &mut [u8], offset: u64) -> std::io::Result<usize> {
            self.0.read_at(buf, offset)
        }
        fn write_at(&self, buf: &[u8], offset: u64) -> std::io::Result<()> {
            assert!(!buf.windows(4).any(|bytes| bytes == b"boom"), "told to");
            self.0.write_at(buf, offset)
        }
        fn len(&self) -> std::io::Result<u64> {
            self.0.len()
        }
        fn set_len(&self, len: u64) -> std::io::Result<()> {
            self.0.set_len(len)
        }
        fn sync(&self) -> std::io::Result<()> {
            thread::sleep(Duration::from_millis(5));
            Ok(())
        }
    }
    let log = log_on(Panics(MemoryStorage::new()), CommitPolicy::Greedy);
    let lsn = log.append(b"boom").unwrap();
    let outcomes: Vec<_> = thread::scope(|scope| {
        let waiters: Vec<_> = (0..4).map(|_| scope.spawn(|| log.wait(lsn))).collect();
        waiters.into_iter().map(|waiter| waiter.join()).collect()
    });
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_err()).count(), 1, "one leader panics");
    assert_eq!(
        outcomes.iter().filter(|outcome| matches!(outcome, Ok(Err(Error::Poisoned { .. })))).count(),
        3
    );
}

#[test]
fn a_future_that_is_dropped_leaves_nothing_behind() {
    let slow = DelayedStorage::new(Arc::new(MemoryStorage::new()), Duration::from_millis(20));
    let log = log_on(slow, CommitPolicy::Greedy);
    let lsn = log.append(b"one").unwrap();
    {
        let mut future = pin!(log.wait_async(lsn));
        let mut context = Context::from_waker(Waker::noop());
        assert!(future.as_mut().poll(&mut context).is_pending());
        assert!(future.as_mut().poll(&mut context).is_pending());
    }
    let lsn = log.append(b"two").unwrap();
    block_on(log.wait_async(lsn)).unwrap();
    // Every future has let go of the log, and dropping it stops the thread.
    assert_eq!(Arc::strong_count(&log), 1);
    drop(Arc::into_inner(log));
}

#[test]
fn the_last_handle_may_be_dropped_by_a_waker() {
    struct Drops(std::sync::Mutex<Option<Arc<Log>>>, thread::Thread);
    impl Wake for Drops {
        fn wake(self: Arc<Self>) {
            self.0.lock().unwrap().take();
            self.1.unpark();
        }
    }
    let log = log_on(MemoryStorage::new(), CommitPolicy::Window(Duration::from_millis(20)));
    let mut future = Box::pin(log.wait_async(log.append(b"one").unwrap()));
    let drops = Arc::new(Drops(std::sync::Mutex::new(None), thread::current()));
    let waker = Waker::from(Arc::clone(&drops));
    assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    let weak = Arc::downgrade(&log);
    *drops.0.lock().unwrap() = Some(log);
    while drops.0.lock().unwrap().is_some() {
        thread::park();
    }
    drop(future);
    assert!(weak.upgrade().is_none());
}

#[test]
fn a_wait_for_what_was_never_appended_is_refused() {
    let log = log_on(MemoryStorage::new(), CommitPolicy::Greedy);
    let beyond = Lsn::new(log.append(b"one").unwrap().get() + 8);
    assert!(matches!(log.wait(beyond), Err(Error::Beyond { .. })));
    assert!(matches!(block_on(log.wait_async(beyond)), Err(Error::Beyond { .. })));
}

#[test]
fn a_record_larger_than_a_segment_is_refused() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let log = create(&storage).unwrap();
    log.append(&vec![1; 8192 - 4096 - 24]).unwrap();
    let error = log.append(&vec![1; 8192 - 4096 - 23]).unwrap_err();
    assert!(matches!(error, Error::TooLarge { bytes: 4073, limit: 4072 }), "{error}");
}

#[test]
fn a_full_log_refuses_until_it_may_recycle() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let log = create(&storage).unwrap();
    let error = loop {
        match log.append(&[1; 1000]) {
            Ok(lsn) => log.wait(lsn).unwrap(),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Full { .. }), "{error}");
    assert!(log.bytes() > log.max_bytes());
    log.recycle(log.end()).unwrap();
    assert_eq!(log.bytes(), 0);
    log.wait(log.append(&[1; 1000]).unwrap()).unwrap();
}

#[test]
fn recycling_bounds_the_files_and_survives_a_reopen() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let log = create(&storage).unwrap();
    let mut lsns = Vec::new();
    for number in 0..2000 {
        let lsn = log.append(&payload(number)).unwrap();
        log.wait(lsn).unwrap();
        lsns.push(lsn);
        if number % 40 == 39 {
            log.recycle(lsns[number - 10]).unwrap();
        }
        let files = storage.list().unwrap().len();
        assert!(files <= 8, "{files} files");
    }
    let redo = lsns[1989];
    drop(log);
    let (_, replayed) = open(&storage, redo).unwrap();
    assert_eq!(replayed.len(), 10);
    assert!(replayed.iter().zip(1990..).all(|((_, bytes), number)| *bytes == payload(number)));
}

#[test]
fn admission_waits_where_the_buffer_is_past_its_limit() {
    let log = log_on(MemoryStorage::new(), CommitPolicy::Window(Duration::from_secs(10)));
    log.append(&[1; 1000]).unwrap();
    log.admit().unwrap();
    assert!(log.durable() < log.end());
    while log.end().get() < 80 << 10 {
        log.append(&[1; 1000]).unwrap();
    }
    log.admit().unwrap();
    assert_eq!(log.durable(), log.end());
}

#[test]
fn a_full_disk_poisons_only_when_a_segment_is_needed() {
    let disk = FaultyStorage::new(1);
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    let log = create(&storage).unwrap();
    disk.capacity(8192);
    // Past half of the segment the next one is tried, in vain.
    log.wait(log.append(&[1; 3000]).unwrap()).unwrap();
    log.wait(log.append(&[1; 500]).unwrap()).unwrap();
    assert_eq!(storage.list().unwrap().len(), 1);
    let lsn = log.append(&[1; 3000]).unwrap();
    let error = log.wait(lsn).unwrap_err();
    assert!(matches!(error, Error::Poisoned { .. }), "{error}");
    let (_, replayed) = open(&storage, Lsn::ZERO).unwrap();
    assert_eq!(replayed.len(), 2);
}

#[test]
fn a_snapshot_and_then_are_atomic_with_the_appends() {
    let log = log_on(MemoryStorage::new(), CommitPolicy::Greedy);
    let count = AtomicU64::new(0);
    let begin = log.end().get();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..1000 {
                    // 8 + 24 bytes each.
                    log.append_then(&[1; 8], || count.fetch_add(1, Ordering::Relaxed)).unwrap();
                }
            });
        }
        for _ in 0..1000 {
            let (end, counted) = log.snapshot(|end| (end.get(), count.load(Ordering::Relaxed)));
            if end < 65536 {
                assert_eq!((end - begin) / 32, counted);
            }
        }
    });
}

#[test]
fn a_log_without_sync_says_written() {
    let disk = FaultyStorage::new(1);
    let options = Options { sync: false, ..small() };
    let log = Log::create(Arc::new(disk.clone()), "log", options).unwrap();
    disk.fail(Call::Sync, 0, Fault::Io);
    let lsn = log.append(b"one").unwrap();
    log.wait(lsn).unwrap();
    assert_eq!((log.durable(), log.stats().syncs), (lsn, 0));
}

#[test]
fn a_closed_log_keeps_what_it_had_and_takes_no_more() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let log = Log::create(storage.clone(), "wal", Options::default()).unwrap();
    let lsn = log.append(b"before").unwrap();
    log.close().unwrap();
    log.wait(lsn).unwrap();
    assert!(
        matches!(log.append(b"after"), Err(Error::Poisoned { cause }) if matches!(*cause, Error::Closed))
    );
    assert!(log.close().is_ok(), "there is nothing left to flush");
    let mut found = Vec::new();
    Log::open(storage, "wal", Options::default(), Lsn::ZERO, &mut |_, payload| {
        found.push(payload.to_vec());
        Ok(())
    })
    .unwrap();
    assert_eq!(found, [b"before"]);
}

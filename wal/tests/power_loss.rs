//! Power loss at every call of a scripted run: an acknowledged record is replayed, in order, and no record
//! is invented.
#![cfg(not(feature = "loom"))]

mod common;

use std::sync::Arc;

use common::{Replayed, create, open, payload};
use wal::{Call, Error, Fault, FaultyStorage, Log, Lsn, Storage};

/// What a run has been told, and what it has asked for.
#[derive(Clone, Debug, Default)]
struct Promise {
    /// Every record appended, in order.
    appended: Vec<Replayed>,
    /// So many of them are acknowledged.
    acknowledged: usize,
    /// The last checkpoint's redo LSN.
    redo: Lsn,
    created: bool,
}

impl Promise {
    fn append(&mut self, log: &Log, number: usize) -> Result<Lsn, Error> {
        let lsn = log.append(&payload(number))?;
        self.appended.push((lsn, payload(number)));
        Ok(lsn)
    }

    fn wait(&mut self, log: &Log) -> Result<(), Error> {
        log.flush()?;
        self.acknowledged = self.appended.len();
        Ok(())
    }

    /// The run: groups of one to seven records, and now and then a checkpoint that recycles.
    fn run(&mut self, storage: &Arc<dyn Storage>) -> Result<(), Error> {
        let log = create(storage)?;
        self.created = true;
        self.go_on(&log, 0, 60)
    }

    fn go_on(&mut self, log: &Log, first: usize, records: usize) -> Result<(), Error> {
        for number in first..first + records {
            let lsn = self.append(log, number)?;
            if number * 7 % 11 < 4 {
                self.wait(log)?;
            }
            if number % 13 == 12 {
                self.wait(log)?;
                self.redo = lsn;
                log.recycle(lsn)?;
            }
        }
        self.wait(log)
    }

    /// Checks what recovery has replayed.
    fn check(&self, replayed: &[Replayed], context: &str) {
        let skipped = self.appended.iter().filter(|(lsn, _)| *lsn <= self.redo).count();
        let expected = &self.appended[skipped..];
        assert!(replayed.len() + skipped >= self.acknowledged, "{context}: an acknowledged record is lost");
        assert!(replayed.len() <= expected.len(), "{context}: a record is invented");
        assert!(replayed == &expected[..replayed.len()], "{context}: a record is changed or out of order");
    }

    /// What a recovery that has replayed these promises: nothing else is there, and all of it is durable.
    fn settle(&mut self, replayed: Vec<Replayed>) {
        self.appended.retain(|(lsn, _)| *lsn <= self.redo);
        self.appended.extend(replayed);
        self.acknowledged = self.appended.len();
    }
}

fn dynamic(storage: &FaultyStorage) -> Arc<dyn Storage> {
    Arc::new(storage.clone())
}

/// How many calls the run makes.
fn calls_of_a_run() -> u64 {
    let disk = FaultyStorage::new(0);
    Promise::default().run(&dynamic(&disk)).unwrap();
    disk.calls()
}

/// A run whose power goes off after `calls` calls.
fn cut_run(seed: u64, calls: u64) -> (Promise, FaultyStorage) {
    let disk = FaultyStorage::new(seed);
    disk.crash_after(calls);
    let mut promise = Promise::default();
    promise.run(&dynamic(&disk)).unwrap_err();
    (promise, disk.crash())
}

#[test]
fn every_acknowledged_record_survives_a_power_loss_at_every_call() {
    for calls in 0..calls_of_a_run() {
        for seed in 0..12 {
            let context = format!("seed {seed}, power off after {calls} calls");
            let (mut promise, disk) = cut_run(seed, calls);
            let disk = dynamic(&disk);
            if !promise.created && !Log::exists(&disk, "log", &common::small()).unwrap() {
                create(&disk).expect(&context);
                continue;
            }
            let (log, replayed) = open(&disk, promise.redo).expect(&context);
            promise.check(&replayed, &context);
            promise.settle(replayed);
            // What was cut off must not come back behind what is appended now.
            promise.go_on(&log, 1000, 9).expect(&context);
            drop(log);
            let (_, replayed) = open(&disk, promise.redo).expect(&context);
            promise.check(&replayed, &context);
        }
    }
}

#[test]
fn recovery_may_be_cut_at_every_call_and_repeated() {
    for calls in (0..calls_of_a_run()).step_by(3) {
        let (mut promise, disk) = cut_run(calls, calls);
        if !promise.created {
            continue;
        }
        for recovery_calls in 0.. {
            let context = format!("power off after {calls} calls, again after {recovery_calls} of recovery");
            let again = disk.crash();
            again.crash_after(recovery_calls);
            let finished = open(&dynamic(&again), promise.redo).is_ok();
            let after = again.crash();
            let (log, replayed) = open(&dynamic(&after), promise.redo).expect(&context);
            promise.check(&replayed, &context);
            let mut promise = promise.clone();
            promise.settle(replayed);
            promise.go_on(&log, 1000, 5).expect(&context);
            let last = after.crash();
            let (_, replayed) = open(&dynamic(&last), promise.redo).expect(&context);
            promise.check(&replayed, &context);
            if finished {
                break;
            }
        }
        promise.acknowledged = 0;
    }
}

#[test]
fn what_recovery_replays_after_a_failed_sync_is_durable() {
    for sync in 0..60 {
        for seed in 0..4 {
            let context = format!("seed {seed}, sync {sync} fails");
            let disk = FaultyStorage::new(seed);
            disk.fail(Call::Sync, sync, Fault::Io);
            let mut promise = Promise::default();
            if promise.run(&dynamic(&disk)).is_ok() {
                continue;
            }
            if !promise.created {
                continue;
            }
            // No power loss: the bytes that the failed sync has dropped can still be read.
            let (_, replayed) = open(&dynamic(&disk), promise.redo).expect(&context);
            promise.check(&replayed, &context);
            promise.settle(replayed);
            let (_, replayed) = open(&dynamic(&disk.crash()), promise.redo).expect(&context);
            promise.check(&replayed, &context);
        }
    }
}

#[test]
fn an_error_of_any_kind_loses_nothing_that_was_acknowledged() {
    let kinds =
        [Call::Create, Call::Rename, Call::Remove, Call::SyncDir, Call::Write, Call::Sync, Call::Open];
    for (call, fault) in kinds
        .iter()
        .flat_map(|&call| [Fault::Io, Fault::NoSpace, Fault::ShortWrite].map(|fault| (call, fault)))
    {
        for nth in 0..40 {
            let context = format!("{call:?} {nth}: {fault:?}");
            let disk = FaultyStorage::new(nth);
            disk.fail(call, nth, fault);
            let mut promise = Promise::default();
            let _ = promise.run(&dynamic(&disk));
            if promise.created {
                let (_, replayed) = open(&dynamic(&disk.crash()), promise.redo).expect(&context);
                promise.check(&replayed, &context);
            }
        }
    }
}

#[test]
fn concurrent_writers_lose_nothing_that_was_acknowledged() {
    for calls in (8..200).step_by(7) {
        let disk = FaultyStorage::new(calls);
        let log = create(&dynamic(&disk)).unwrap();
        disk.crash_after(calls);
        let write = |writer: usize| {
            let mut acknowledged = Vec::new();
            for number in 0.. {
                let payload = payload(writer * 1000 + number);
                let Ok(lsn) = log.append(&payload) else { break };
                let Ok(()) = log.wait(lsn) else { break };
                acknowledged.push((lsn, payload));
            }
            acknowledged
        };
        let acknowledged: Vec<Replayed> = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..6).map(|writer| scope.spawn(move || write(writer))).collect();
            writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
        });
        let (_, replayed) = open(&dynamic(&disk.crash()), Lsn::ZERO).unwrap();
        let replayed: std::collections::BTreeMap<_, _> = replayed.into_iter().collect();
        for (lsn, payload) in acknowledged {
            assert_eq!(replayed.get(&lsn), Some(&payload), "power off after {calls} calls, LSN {lsn}");
        }
    }
}

/// The check of these tests is able to fail.
#[test]
fn a_disk_that_lies_about_syncs_is_caught() {
    let mut lost = 0;
    for seed in 0..32 {
        let disk = FaultyStorage::new(seed);
        let log = create(&dynamic(&disk)).unwrap();
        disk.fail(Call::Sync, 0, Fault::DropSync);
        log.wait(log.append(&[7; 3000]).unwrap()).unwrap();
        lost += usize::from(open(&dynamic(&disk.crash()), Lsn::ZERO).unwrap().1.is_empty());
    }
    assert!(lost > 16, "{lost} of 32 runs lost the record");
}

//! The latch: shared holders exclude the exclusive one, what a holder wrote is seen by the next, and whoever
//! waits is woken.
//!
//! Every order of acquisition and release, with the waits that they lead to, and attempts that find the latch
//! free, shared, or exclusively held. Three threads are enough for a waiter of each mode to stand behind a
//! holder of each mode; a wake-up that is lost is a deadlock, which loom reports. With so few steps three
//! preemptions are affordable: each thread can be interrupted once inside the latch.
#![cfg(feature = "loom")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use loom::thread;
use tree::model::LatchedCell;

/// Runs `work` on a thread of its own.
fn beside(
    cell: &Arc<LatchedCell>,
    work: impl FnOnce(&LatchedCell) + Send + 'static,
) -> thread::JoinHandle<()> {
    let cell = cell.clone();
    thread::spawn(move || work(&cell))
}

#[test]
fn writers_and_readers_never_overlap() {
    loom_tests::check_within(3, || {
        let cell = Arc::new(LatchedCell::new(0));
        let writer = beside(&cell, LatchedCell::increment);
        let reader = beside(&cell, |cell| assert!(cell.read() <= 2));
        cell.increment();
        writer.join().unwrap();
        reader.join().unwrap();
        assert_eq!(cell.read(), 2);
    });
}

#[test]
fn a_writer_behind_readers_gets_its_turn() {
    loom_tests::check_within(3, || {
        let cell = Arc::new(LatchedCell::new(0));
        let readers = [(); 2].map(|()| beside(&cell, |cell| assert!(cell.read() <= 1)));
        cell.increment();
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        assert_eq!(cell.read(), 1);
    });
}

#[test]
fn readers_behind_a_writer_get_their_turn_again_and_again() {
    loom_tests::check_within(3, || {
        let cell = Arc::new(LatchedCell::new(0));
        let reader = beside(&cell, |cell| {
            let first = cell.read();
            assert!(first <= cell.read());
        });
        cell.increment();
        cell.increment();
        reader.join().unwrap();
        assert_eq!(cell.read(), 2);
    });
}

#[test]
fn an_attempt_holds_the_latch_or_does_nothing() {
    let outcomes = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
    let seen = outcomes.clone();
    loom_tests::check_within(3, move || {
        let cell = Arc::new(LatchedCell::new(0));
        let writer = beside(&cell, LatchedCell::increment);
        let reader = beside(&cell, |cell| assert!(cell.try_read() <= Some(2)));
        let mine = cell.try_increment();
        writer.join().unwrap();
        reader.join().unwrap();
        assert_eq!(cell.read(), 1 + u64::from(mine));
        seen[usize::from(mine)].fetch_add(1, Ordering::Relaxed);
    });
    assert!(outcomes.iter().all(|times| times.load(Ordering::Relaxed) > 0), "both outcomes were met");
}

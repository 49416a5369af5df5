//! The latch: shared holders exclude the exclusive one, and what a holder wrote is seen by the next.
//!
//! Two writers and a reader: every order of acquisition and release, with the waits that they lead to, and an
//! attempt that must fail or exclude, never overlap. Three threads are enough for a waiter of each mode to
//! stand behind a holder of each mode.
#![cfg(feature = "loom")]

use std::sync::Arc;

use loom::thread;
use tree::model::LatchedCell;

#[test]
fn writers_and_readers_never_overlap() {
    loom_tests::check(|| {
        let cell = Arc::new(LatchedCell::new(0));
        let writer = {
            let cell = cell.clone();
            thread::spawn(move || cell.increment())
        };
        let reader = {
            let cell = cell.clone();
            thread::spawn(move || assert!(cell.read() <= 2))
        };
        cell.increment();
        writer.join().unwrap();
        reader.join().unwrap();
        assert_eq!(cell.read(), 2);
    });
}

#[test]
fn an_attempt_holds_the_latch_or_does_nothing() {
    loom_tests::check(|| {
        let cell = Arc::new(LatchedCell::new(0));
        let other = {
            let cell = cell.clone();
            thread::spawn(move || cell.increment())
        };
        let mine = cell.try_increment();
        other.join().unwrap();
        assert_eq!(cell.read(), 1 + u64::from(mine));
    });
}

//! The buffer pool: look-ups against eviction, loading and write-back.
//!
//! Two or three pages of one byte behind two frames, so that every miss evicts. Covered are all orders, within
//! four preemptions, of: a look-up by a translation that an eviction makes stale; two threads that bring the same
//! page in; a change before, between and behind the steps of a write-back (copy under the latch, log, two
//! writes, mark clean); an eviction that finds its victim used, latched or dirty; and two that clean. One
//! thread on each side is enough, since the pool's steps are under one latch or one mutex each; two changes in one
//! write-back are the case that needs two of them.
//!
//! The file in these models refuses a page whose LSN is ahead of what is durable of the log, so each of them
//! checks that law, too.
#![cfg(feature = "loom")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use loom::thread;

type Cells = tree::model::PageCells<256>;

const FRAMES: usize = 2;

/// Cells that hold one more than their number, in the file as well.
fn cells(count: usize) -> Arc<Cells> {
    let cells = Cells::new(FRAMES, count).unwrap();
    (0..count).for_each(|cell| cells.set(cell, cell as u8 + 1).unwrap());
    cells.write_back().unwrap();
    Arc::new(cells)
}

fn beside(cells: &Arc<Cells>, work: impl FnOnce(&Cells) + Send + 'static) -> thread::JoinHandle<()> {
    let cells = cells.clone();
    thread::spawn(move || work(&cells))
}

/// No frame was lost, and what the cells hold is in the file and comes back from it.
fn expect_kept(cells: &Cells, values: &[u8]) {
    cells.evict_all().unwrap();
    for (cell, &value) in values.iter().enumerate() {
        assert_eq!(cells.on_disk(cell).unwrap(), value, "cell {cell} in the file");
        assert_eq!(cells.get(cell).unwrap(), value, "cell {cell} as it is read");
    }
}

#[test]
fn a_lookup_beside_an_eviction_finds_the_page() {
    loom_tests::check_within(4, || {
        let cells = cells(2);
        let other = beside(&cells, |cells| cells.evict().unwrap());
        assert_eq!(cells.get(0).unwrap(), 1);
        assert_eq!(cells.get(1).unwrap(), 2);
        other.join().unwrap();
        expect_kept(&cells, &[1, 2]);
    });
}

#[test]
fn two_misses_on_one_page_both_find_it() {
    let both_missed = Arc::new(AtomicU64::new(0));
    let seen = both_missed.clone();
    loom_tests::check_within(4, move || {
        let cells = cells(2);
        cells.evict_all().unwrap();
        let (misses, _) = cells.misses_and_evictions();
        let other = beside(&cells, |cells| assert_eq!(cells.get(0).unwrap(), 1));
        assert_eq!(cells.get(0).unwrap(), 1);
        other.join().unwrap();
        seen.fetch_max(cells.restarts(), Ordering::Relaxed);
        assert_eq!(cells.misses_and_evictions().0, misses + 1, "it was read once");
        expect_kept(&cells, &[1, 2]);
    });
    assert!(both_missed.load(Ordering::Relaxed) >= 2, "both have missed");
}

#[test]
fn two_misses_that_evict_each_other_both_find_their_page() {
    loom_tests::check_within(4, || {
        let cells = cells(3);
        cells.get(2).unwrap();
        let other = beside(&cells, |cells| assert_eq!(cells.get(0).unwrap(), 1));
        assert_eq!(cells.get(1).unwrap(), 2);
        other.join().unwrap();
        expect_kept(&cells, &[1, 2, 3]);
    });
}

#[test]
fn a_change_beside_an_eviction_stays() {
    loom_tests::check_within(4, || {
        let cells = cells(2);
        let other = beside(&cells, |cells| cells.evict().unwrap());
        cells.set(0, 9).unwrap();
        other.join().unwrap();
        expect_kept(&cells, &[9, 2]);
    });
}

#[test]
fn a_change_during_a_write_back_keeps_the_page_dirty() {
    loom_tests::check_within(4, || {
        let cells = cells(2);
        cells.set(0, 8).unwrap();
        let other = beside(&cells, |cells| cells.write_back().unwrap());
        cells.set(0, 9).unwrap();
        other.join().unwrap();
        assert_ne!(cells.on_disk(0).unwrap(), 1, "the first change, or both, were written back");
        expect_kept(&cells, &[9, 2]);
    });
}

#[test]
fn changes_by_two_threads_during_a_write_back_stay() {
    loom_tests::check_within(4, || {
        let cells = cells(2);
        cells.set(0, 8).unwrap();
        let one = beside(&cells, |cells| cells.set(0, 9).unwrap());
        let other = beside(&cells, |cells| cells.set(1, 7).unwrap());
        cells.write_back().unwrap();
        one.join().unwrap();
        other.join().unwrap();
        expect_kept(&cells, &[9, 7]);
    });
}

#[test]
fn a_lookup_and_an_eviction_of_a_dirty_page_see_its_change() {
    loom_tests::check_within(4, || {
        let cells = cells(2);
        cells.set(0, 8).unwrap();
        cells.set(1, 9).unwrap();
        let other = beside(&cells, |cells| cells.evict().unwrap());
        assert_eq!(cells.get(0).unwrap(), 8);
        other.join().unwrap();
        expect_kept(&cells, &[8, 9]);
    });
}

#[test]
fn an_eviction_and_a_write_back_clean_the_same_page() {
    loom_tests::check_within(4, || {
        let cells = cells(2);
        cells.set(0, 8).unwrap();
        cells.set(1, 9).unwrap();
        let other = beside(&cells, |cells| cells.evict().unwrap());
        cells.write_back().unwrap();
        assert_eq!((cells.on_disk(0).unwrap(), cells.on_disk(1).unwrap()), (8, 9));
        other.join().unwrap();
        expect_kept(&cells, &[8, 9]);
    });
}

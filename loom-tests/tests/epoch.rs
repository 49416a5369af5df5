//! Unlinking a page and using its id again, against a reader that still remembers it.
//!
//! A get of a large value lets go of the leaf before it walks the chain of overflow pages; a scan does so for all
//! chains of a leaf. Beside it another thread replaces the value, makes that durable, and puts a further large
//! value that would take the ids of the first chain. Covered is every place, within four preemptions, of these
//! three steps between the reader's latches (two for the scan, whose waits for the log have many more orders). For
//! the allocator alone: the pin, the unlinking, the retirement and two allocations, one of which comes before
//! the unlink is durable.
#![cfg(feature = "loom")]

mod models;

use std::sync::Arc;

use loom::sync::Mutex;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;
use models::{ENGINES, TINY, Tree, beside, key, sound, tree_of};
use tree::model::PageIds;
use tree::{Condition, Engine};

/// A value of two overflow pages.
fn large(n: u8) -> Vec<u8> {
    vec![n; TINY + TINY / 2]
}

fn put_large(tree: &Tree, n: u32, value: u8) {
    assert!(tree.put(&key(n), &large(value), Condition::Always).unwrap());
}

fn with_large_value(engine: Engine) -> Arc<Tree> {
    let tree = tree_of(engine, &[]);
    put_large(&tree, 5, 1);
    tree
}

#[test]
fn a_get_of_a_large_value_finds_the_old_or_the_new_one_whole() {
    for engine in ENGINES {
        loom_tests::check_within(4, move || {
            let tree = with_large_value(engine);
            let writer = beside(&tree, |tree| {
                put_large(tree, 5, 2);
                tree.flush().unwrap();
                put_large(tree, 6, 3);
            });
            let found = tree.get(&key(5)).unwrap().unwrap();
            assert!([large(1), large(2)].contains(&found), "a mixture: {found:?}");
            writer.join().unwrap();
            sound(&tree, &[5, 6]);
        });
    }
}

#[test]
fn a_get_of_a_large_value_finds_it_or_nothing_beside_its_delete() {
    for engine in ENGINES {
        loom_tests::check_within(4, move || {
            let tree = with_large_value(engine);
            let writer = beside(&tree, |tree| {
                models::delete(tree, 5);
                tree.flush().unwrap();
                put_large(tree, 6, 3);
            });
            let found = tree.get(&key(5)).unwrap();
            assert!([None, Some(large(1))].contains(&found), "a mixture: {found:?}");
            writer.join().unwrap();
            sound(&tree, &[6]);
        });
    }
}

#[test]
fn a_scan_reads_large_values_whole() {
    for engine in ENGINES {
        loom_tests::check(move || {
            let tree = with_large_value(engine);
            let writer = beside(&tree, |tree| {
                put_large(tree, 5, 2);
                tree.flush().unwrap();
                put_large(tree, 6, 3);
            });
            // Whether its values are whole is what a scan checks itself: a chain that is not is an error.
            let keys = tree.keys(false).unwrap();
            assert!([vec![key(5)], vec![key(5), key(6)]].contains(&keys));
            writer.join().unwrap();
            sound(&tree, &[5, 6]);
        });
    }
}

/// The end of the record that unlinks the page.
const UNLINKED: u64 = 100;

#[test]
fn an_id_is_used_again_only_behind_the_last_pin_and_a_durable_unlink() {
    loom_tests::check_within(4, || {
        let ids = Arc::new(PageIds::<TINY>::new(4));
        let page = ids.allocate(0).unwrap();
        // What refers to the page, behind the latch under which readers pin and writers retire.
        let link = Arc::new(Mutex::new(Some(page)));
        let used_again = Arc::new(AtomicBool::new(false));
        let reader = {
            let (ids, link, used_again) = (ids.clone(), link.clone(), used_again.clone());
            thread::spawn(move || {
                let pinned = {
                    let link = link.lock().unwrap();
                    link.map(|_| ids.pin())
                };
                let reused = used_again.load(Ordering::Acquire);
                assert!(pinned.is_none() || !reused, "the reader still remembers the page");
            })
        };
        {
            let mut link = link.lock().unwrap();
            *link = None;
            ids.retire(page, UNLINKED);
        }
        assert_ne!(ids.allocate(UNLINKED - 1), Some(page), "a crash could bring the link back");
        if ids.allocate(UNLINKED) == Some(page) {
            used_again.store(true, Ordering::Release);
        }
        reader.join().unwrap();
        let next: Vec<_> = (0..2).filter_map(|_| ids.allocate(UNLINKED)).collect();
        assert!(used_again.load(Ordering::Acquire) || next.contains(&page), "no id is lost");
    });
}

#[test]
fn two_retired_ids_each_come_back_once() {
    loom_tests::check_within(4, || {
        let ids = Arc::new(PageIds::<TINY>::new(4));
        let [one, two] = [0; 2].map(|_| ids.allocate(0).unwrap());
        let other = {
            let ids = ids.clone();
            thread::spawn(move || ids.retire(two, UNLINKED))
        };
        let pin = ids.pin();
        ids.retire(one, UNLINKED);
        let early = ids.allocate(UNLINKED).unwrap();
        drop(pin);
        other.join().unwrap();
        let mut all = vec![early, ids.allocate(UNLINKED).unwrap(), ids.allocate(UNLINKED).unwrap()];
        all.sort_unstable();
        assert!(all.is_sorted_by(|one, next| one < next), "{all:?}: none twice");
        assert!(all.contains(&one) && all.contains(&two), "{all:?}: none lost");
    });
}

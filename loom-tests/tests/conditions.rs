//! Conditional writes of one key race, for each protocol: exactly those whose condition held take effect.
//!
//! Two threads put a key that is absent, swap its value, or swap it beside an unconditional write. The condition
//! is looked at under the same latch as the write is made, but not in one attempt where something interrupts
//! in between: the leaf is full and has to be split, or the value to compare with is a chain of overflow pages
//! that has to be walked without latches. With four preemptions the other thread's write comes before, within and
//! after each of these attempts.
#![cfg(feature = "loom")]

mod models;

use std::sync::Arc;

use loom::thread;
use models::{ENGINES, TINY, Tree, key, put, sound, tree_of, value};
use tree::{Condition, Engine};

/// Puts `n` as the value of `key` on a thread for each of 1 and 2; which of both took effect.
fn race(tree: &Arc<Tree>, key: &[u8], len: usize, condition: Condition<'static>) -> [bool; 2] {
    let other = {
        let (tree, key) = (tree.clone(), key.to_vec());
        thread::spawn(move || tree.put(&key, &vec![2; len], condition).unwrap())
    };
    let mine = tree.put(key, &vec![1; len], condition).unwrap();
    [mine, other.join().unwrap()]
}

fn exactly_one_wins(tree: &Arc<Tree>, key: &[u8], len: usize, condition: Condition<'static>) {
    let applied = race(tree, key, len, condition);
    let winner = match applied {
        [true, false] => 1,
        [false, true] => 2,
        _ => panic!("one of both, not {applied:?}"),
    };
    assert_eq!(tree.get(key).unwrap(), Some(vec![winner; len]));
}

#[test]
fn of_two_puts_of_an_absent_key_exactly_one_applies() {
    for engine in ENGINES {
        loom_tests::check_within(4, move || {
            let tree = tree_of(engine, &[0]);
            exactly_one_wins(&tree, &key(5), 50, Condition::Absent);
            sound(&tree, &[0, 5]);
        });
    }
}

#[test]
fn of_two_puts_of_an_absent_key_into_a_full_leaf_exactly_one_applies() {
    for engine in ENGINES {
        loom_tests::check_within(4, move || {
            let tree = tree_of(engine, &[0, 10, 20]);
            exactly_one_wins(&tree, &key(5), 50, Condition::Absent);
            sound(&tree, &[0, 5, 10, 20]);
        });
    }
}

#[test]
fn of_two_swaps_of_one_value_exactly_one_applies() {
    for engine in ENGINES {
        loom_tests::check_within(4, move || {
            let tree = tree_of(engine, &[0, 10]);
            exactly_one_wins(&tree, &key(10), 50, Condition::Equals(&[10; 50]));
            sound(&tree, &[0, 10]);
        });
    }
}

/// A value of two overflow pages.
const LARGE: &[u8] = &[7; TINY + TINY / 2];

fn with_large_value(engine: Engine) -> Arc<Tree> {
    let tree = tree_of(engine, &[0]);
    assert!(tree.put(&key(5), LARGE, Condition::Always).unwrap());
    tree
}

#[test]
fn of_two_swaps_of_one_large_value_exactly_one_applies() {
    for engine in ENGINES {
        loom_tests::check_within(4, move || {
            let tree = with_large_value(engine);
            exactly_one_wins(&tree, &key(5), 50, Condition::Equals(LARGE));
            sound(&tree, &[0, 5]);
        });
    }
}

#[test]
fn a_swap_of_a_large_value_fails_behind_another_write() {
    for engine in ENGINES {
        loom_tests::check_within(4, move || {
            let tree = with_large_value(engine);
            let other = models::beside(&tree, |tree| put(tree, 5));
            let swapped = tree.put(&key(5), b"swapped", Condition::Equals(LARGE)).unwrap();
            other.join().unwrap();
            // The write that is sure to apply came first, or came last and has covered the swap.
            assert_eq!(tree.get(&key(5)).unwrap(), Some(value(5)), "swapped: {swapped}");
            sound(&tree, &[0, 5]);
        });
    }
}

#[test]
fn a_swap_does_not_mistake_a_new_large_value_for_the_old_one() {
    for engine in ENGINES {
        loom_tests::check_within(4, move || {
            let tree = with_large_value(engine);
            let new = vec![8; LARGE.len()];
            let other = {
                let (tree, new) = (tree.clone(), new.clone());
                thread::spawn(move || assert!(tree.put(&key(5), &new, Condition::Always).unwrap()))
            };
            let swapped = tree.put(&key(5), b"swapped", Condition::Equals(LARGE)).unwrap();
            other.join().unwrap();
            assert_eq!(tree.get(&key(5)).unwrap(), Some(new), "swapped: {swapped}");
            sound(&tree, &[0, 5]);
        });
    }
}

#[test]
fn a_delete_and_a_swap_of_one_value_apply_one_after_the_other() {
    for engine in ENGINES {
        loom_tests::check_within(4, move || {
            let tree = tree_of(engine, &[0, 10]);
            let other = {
                let tree = tree.clone();
                thread::spawn(move || tree.delete(&key(10), Condition::Equals(&[10; 50])).unwrap())
            };
            let swapped = tree.put(&key(10), b"swapped", Condition::Equals(&[10; 50])).unwrap();
            assert_ne!(swapped, other.join().unwrap(), "one of both");
            assert_eq!(tree.get(&key(10)).unwrap().is_some(), swapped);
        });
    }
}

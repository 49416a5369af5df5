//! Deletes that empty a leaf, and the merges that follow, beside lookups, inserts and other merges, for each
//! protocol.
//!
//! A merge comes down with exclusive latches, takes a sibling from left to right, letting go of the emptied leaf
//! where that is the right one, and changes parent, both leaves and the bitmap by one record; at the end the
//! root takes its only child's content up. The other thread looks up a key of either leaf, inserts into the leaf
//! that is emptied, or empties the sibling. With two threads and four preemptions every step of a merge meets
//! every step of a lookup, an insert and another merge once, and the other way around.
#![cfg(feature = "loom")]

mod models;

use std::sync::Arc;

use models::{ENGINES, Tree, beside, delete, expect, put, sound, tree_of};
use tree::Engine;

/// A root above the leaves 0 and 20, 30, or 0, 10 and 30: a delete of 0 or of 30 empties a leaf.
fn one_key_left_of(engine: Engine) -> Arc<Tree> {
    leaves(engine, 10)
}

fn one_key_right_of(engine: Engine) -> Arc<Tree> {
    leaves(engine, 20)
}

fn leaves(engine: Engine, without: u32) -> Arc<Tree> {
    let tree = tree_of(engine, &[0, 10, 20, 30]);
    delete(&tree, without);
    let stats = tree.stats();
    assert_eq!((stats.splits, stats.merges), (1, 0));
    tree
}

#[test]
fn a_lookup_finds_its_key_before_during_and_after_a_merge_to_the_right() {
    for engine in ENGINES {
        loom_tests::check_within(4, move || {
            let tree = one_key_left_of(engine);
            let other = beside(&tree, |tree| delete(tree, 0));
            expect(&tree, 30);
            expect(&tree, 20);
            other.join().unwrap();
            assert!(tree.stats().merges >= 1);
            sound(&tree, &[20, 30]);
        });
    }
}

#[test]
fn a_lookup_finds_its_key_before_during_and_after_a_merge_to_the_left() {
    for engine in ENGINES {
        loom_tests::check_within(4, move || {
            let tree = one_key_right_of(engine);
            let other = beside(&tree, |tree| delete(tree, 30));
            expect(&tree, 10);
            expect(&tree, 0);
            other.join().unwrap();
            assert!(tree.stats().merges >= 1);
            sound(&tree, &[0, 10]);
        });
    }
}

#[test]
fn an_insert_into_a_leaf_that_is_emptied_stays() {
    for engine in ENGINES {
        loom_tests::check_within(4, move || {
            let tree = one_key_right_of(engine);
            let other = beside(&tree, |tree| delete(tree, 30));
            put(&tree, 25);
            other.join().unwrap();
            sound(&tree, &[0, 10, 25]);
        });
    }
}

#[test]
fn an_insert_that_splits_a_leaf_stays_while_its_neighbour_is_merged() {
    for engine in ENGINES {
        loom_tests::check_within(4, move || {
            let tree = one_key_left_of(engine);
            put(&tree, 25);
            let other = beside(&tree, |tree| delete(tree, 0));
            put(&tree, 27);
            other.join().unwrap();
            sound(&tree, &[20, 25, 27, 30]);
        });
    }
}

#[test]
fn two_deletes_that_empty_neighbours_both_return() {
    for engine in ENGINES {
        loom_tests::check_within(4, move || {
            let tree = one_key_right_of(engine);
            delete(&tree, 10);
            let other = beside(&tree, |tree| delete(tree, 30));
            delete(&tree, 0);
            other.join().unwrap();
            sound(&tree, &[]);
        });
    }
}

#[test]
fn of_two_deletes_of_one_key_one_finds_it() {
    for engine in ENGINES {
        loom_tests::check_within(4, move || {
            let tree = one_key_right_of(engine);
            let remove = |tree: &Tree| tree.delete(&models::key(30), tree::Condition::Always).unwrap();
            let other = {
                let tree = tree.clone();
                loom::thread::spawn(move || remove(&tree))
            };
            let mine = remove(&tree);
            assert_ne!(mine, other.join().unwrap());
            sound(&tree, &[0, 10]);
        });
    }
}

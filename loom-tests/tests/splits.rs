//! Splits beside lookups, inserts and other splits, for each protocol.
//!
//! Pages hold three items, and the leaf is full: an insert has to restart, come down again with exclusive
//! latches, split it (parent, child, new page, bitmap: one record), and begin anew, while the other thread looks
//! a key up, inserts into the same leaf, or splits too. The root is a leaf, a parent of leaves, or a full parent
//! that has to hand its content down. With two threads and four preemptions every step of a descent, of a split
//! and of a log append of one thread meets every step of the other once, and the other way around.
#![cfg(feature = "loom")]

mod models;

use std::sync::Arc;

use models::{ENGINES, Tree, beside, expect, put, sound, tree_of};
use tree::{Condition, Engine};

/// A tree whose only leaf, the root, has no room for one more item.
const FULL_ROOT: [u32; 3] = [0, 10, 20];
/// A root above the leaves 0, 5, 10 and 20, 25, 30, put in this order.
const TWO_FULL_LEAVES: [u32; 6] = [0, 10, 20, 30, 5, 25];

#[test]
fn two_inserts_that_split_the_root_both_stay() {
    for engine in ENGINES {
        loom_tests::check_within(4, move || {
            let tree = tree_of(engine, &FULL_ROOT);
            assert_eq!(tree.stats().splits, 0, "the leaf is full, but not split yet");
            let other = beside(&tree, |tree| put(tree, 5));
            put(&tree, 15);
            other.join().unwrap();
            assert!(tree.stats().splits >= 1);
            sound(&tree, &[0, 5, 10, 15, 20]);
        });
    }
}

#[test]
fn a_lookup_finds_its_key_before_during_and_after_a_split_of_the_root() {
    for engine in ENGINES {
        loom_tests::check_within(4, move || {
            let tree = tree_of(engine, &FULL_ROOT);
            let other = beside(&tree, |tree| put(tree, 15));
            expect(&tree, 0);
            expect(&tree, 20);
            other.join().unwrap();
            sound(&tree, &[0, 10, 15, 20]);
        });
    }
}

#[test]
fn two_inserts_that_split_one_leaf_both_stay() {
    for engine in ENGINES {
        loom_tests::check_within(4, move || {
            let tree = two_full_leaves(engine);
            let other = beside(&tree, |tree| put(tree, 22));
            put(&tree, 27);
            other.join().unwrap();
            assert!(tree.stats().splits > 1);
            sound(&tree, &[0, 5, 10, 20, 22, 25, 27, 30]);
        });
    }
}

#[test]
fn two_leaves_of_one_parent_split_side_by_side() {
    for engine in ENGINES {
        loom_tests::check_within(4, move || {
            let tree = two_full_leaves(engine);
            let other = beside(&tree, |tree| put(tree, 7));
            put(&tree, 27);
            other.join().unwrap();
            assert_eq!(tree.stats().splits, 3);
            sound(&tree, &[0, 5, 7, 10, 20, 25, 27, 30]);
        });
    }
}

#[test]
fn a_lookup_finds_its_key_before_during_and_after_a_split_of_its_leaf() {
    for engine in ENGINES {
        loom_tests::check_within(4, move || {
            let tree = two_full_leaves(engine);
            let other = beside(&tree, |tree| put(tree, 27));
            expect(&tree, 30);
            expect(&tree, 20);
            other.join().unwrap();
            sound(&tree, &[0, 5, 10, 20, 25, 27, 30]);
        });
    }
}

#[test]
fn a_lookup_finds_its_key_before_during_and_after_a_split_of_an_inner_root() {
    for engine in ENGINES {
        loom_tests::check_within(4, move || {
            let tree = full_inner_root(engine);
            let other = beside(&tree, |tree| put_long(tree, FULL_INNER_ROOT));
            for n in [0, FULL_INNER_ROOT - 1] {
                assert_eq!(tree.get(&long_key(n)).unwrap(), Some(short_value(n)));
            }
            other.join().unwrap();
            sound_with_a_split_root(&tree, FULL_INNER_ROOT + 1);
        });
    }
}

#[test]
fn two_inserts_that_find_an_inner_root_full_both_stay() {
    for engine in ENGINES {
        loom_tests::check_within(3, move || {
            let tree = full_inner_root(engine);
            let other = beside(&tree, |tree| put_long(tree, FULL_INNER_ROOT));
            put_long(&tree, FULL_INNER_ROOT + 1);
            other.join().unwrap();
            sound_with_a_split_root(&tree, FULL_INNER_ROOT + 2);
        });
    }
}

fn two_full_leaves(engine: Engine) -> Arc<Tree> {
    let tree = tree_of(engine, &TWO_FULL_LEAVES);
    assert_eq!(tree.stats().splits, 1, "both leaves are full, but not split yet");
    tree
}

/// With so many keys of [`long_key`], put in ascending order, the root and the last leaf are both full.
const FULL_INNER_ROOT: u32 = 9;

/// A key so long that an inner node has room for a few separators only.
fn long_key(n: u32) -> Vec<u8> {
    format!("{n:040}").into_bytes()
}

fn short_value(n: u32) -> Vec<u8> {
    vec![n as u8; 8]
}

fn put_long(tree: &Tree, n: u32) {
    assert!(tree.put(&long_key(n), &short_value(n), Condition::Always).unwrap());
}

fn full_inner_root(engine: Engine) -> Arc<Tree> {
    let tree = tree_of(engine, &[]);
    (0..FULL_INNER_ROOT).for_each(|n| put_long(&tree, n));
    assert_eq!(tree.stats().splits, 3);
    tree
}

/// The tree holds so many long keys, and its root was split below a new one.
fn sound_with_a_split_root(tree: &Tree, count: u32) {
    assert!(tree.stats().splits >= 5, "the root and a leaf were split");
    assert_eq!(tree.keys(false).unwrap(), (0..count).map(long_key).collect::<Vec<_>>());
    assert_eq!(tree.problems().unwrap(), Vec::<String>::new());
}

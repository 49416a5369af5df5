//! Scans beside inserts, splits and merges, for each protocol.
//!
//! A scan holds no latch between two leaves: whatever happens there, it must return every key that was there all
//! the time, once and in order, in either direction. The other thread inserts into the leaf that comes next or
//! the one that has been read, splits it, or empties one of the two so that they become one. A scan of two leaves
//! meets the other thread before the first leaf, between the two, and behind the second; it waits for the log
//! after each, which four preemptions put before and behind the writer's steps.
#![cfg(feature = "loom")]

mod models;

use std::sync::Arc;

use models::{ENGINES, Tree, beside, delete, key, put, tree_of};
use tree::Engine;

/// Scans in both directions while `change` runs: `kept` must be found, `changed` may be.
fn scan_beside(
    engine: Engine,
    start: &'static [u32],
    change: impl Fn(&Tree) + Clone + Send + Sync + 'static,
    kept: &'static [u32],
    changed: u32,
) {
    scan_beside_after(engine, start, |_| (), change, kept, changed);
}

/// As [`scan_beside`], in a tree that was prepared.
fn scan_beside_after(
    engine: Engine,
    start: &'static [u32],
    prepare: impl Fn(&Tree) + Clone + Send + Sync + 'static,
    change: impl Fn(&Tree) + Clone + Send + Sync + 'static,
    kept: &'static [u32],
    changed: u32,
) {
    for backward in [false, true] {
        let (prepare, change) = (prepare.clone(), change.clone());
        loom_tests::check_within(4, move || {
            let tree: Arc<Tree> = tree_of(engine, start);
            prepare(&tree);
            let other = beside(&tree, change.clone());
            let mut keys = tree.keys(backward).unwrap();
            if backward {
                keys.reverse();
            }
            assert!(keys.is_sorted_by(|one, next| one < next), "{keys:?} in order, and none twice");
            keys.retain(|found| *found != key(changed));
            assert_eq!(keys, kept.iter().copied().map(key).collect::<Vec<_>>());
            other.join().unwrap();
        });
    }
}

/// Puts that leave the leaves 0, 10 and 20, 30, the second one with or without 25.
const TWO_LEAVES: &[u32] = &[0, 10, 20, 30];
const RIGHT_IS_FULL: &[u32] = &[0, 10, 20, 30, 25];

#[test]
fn a_scan_beside_an_insert_finds_every_key_that_was_there() {
    for engine in ENGINES {
        scan_beside(engine, TWO_LEAVES, |tree| put(tree, 25), TWO_LEAVES, 25);
        scan_beside(engine, TWO_LEAVES, |tree| put(tree, 5), TWO_LEAVES, 5);
    }
}

#[test]
fn a_scan_beside_a_split_finds_every_key_once() {
    for engine in ENGINES {
        scan_beside(engine, RIGHT_IS_FULL, |tree| put(tree, 22), &[0, 10, 20, 25, 30], 22);
    }
}

#[test]
fn a_scan_beside_a_split_of_the_root_finds_every_key_once() {
    for engine in ENGINES {
        scan_beside(engine, &[0, 10, 20], |tree| put(tree, 15), &[0, 10, 20], 15);
    }
}

#[test]
fn a_scan_beside_a_merge_finds_every_key_once() {
    for engine in ENGINES {
        let prepare = |without: u32| move |tree: &Tree| delete(tree, without);
        scan_beside_after(engine, TWO_LEAVES, prepare(20), |tree| delete(tree, 30), &[0, 10], 30);
        scan_beside_after(engine, TWO_LEAVES, prepare(10), |tree| delete(tree, 0), &[20, 30], 0);
    }
}

//! Batches over several leaves beside lookups, inserts and other batches, for each protocol.
//!
//! A batch latches its leaves from left to right and changes all of them while it holds them: who sees one of its
//! writes sees all from then on. Two batches overlap in one leaf or in two, in which case both want both; if
//! either took them in another order, both would wait for ever, which loom reports. Four preemptions put
//! the other thread between the two leaves of a batch, and between the attempt that finds a leaf full and the next.
#![cfg(feature = "loom")]

mod models;

use std::sync::Arc;

use models::{ENGINES, Tree, beside, key, put, sound, tree_of, value};
use tree::Engine;

/// A root above the leaves 0, 10 and 20, 30.
fn two_leaves(engine: Engine) -> Arc<Tree> {
    let tree = tree_of(engine, &[0, 10, 20, 30]);
    assert_eq!(tree.stats().splits, 1);
    tree
}

/// Sets these keys to values of their own kind.
fn apply(tree: &Tree, keys: &[u32], kind: u32) {
    let (keys, value): (Vec<_>, _) = (keys.iter().copied().map(key).collect(), value(kind));
    tree.apply(keys.iter().map(|key| (&**key, Some(&*value))).collect()).unwrap();
}

fn get(tree: &Tree, n: u32) -> Vec<u8> {
    tree.get(&key(n)).unwrap().unwrap()
}

#[test]
fn who_sees_one_write_of_a_batch_sees_the_others() {
    for [first, second] in [[10, 20], [20, 10]] {
        for engine in ENGINES {
            loom_tests::check_within(4, move || {
                let tree = two_leaves(engine);
                let other = beside(&tree, |tree| apply(tree, &[10, 20], 99));
                let seen = get(&tree, first) == value(99);
                let expected = value(if seen { 99 } else { second });
                let found = get(&tree, second);
                assert!(found == expected || !seen && found == value(99));
                other.join().unwrap();
                sound(&tree, &[0, 10, 20, 30]);
            });
        }
    }
}

#[test]
fn of_two_batches_over_the_same_leaves_one_comes_after_the_other() {
    for engine in ENGINES {
        loom_tests::check_within(4, move || {
            let tree = two_leaves(engine);
            let other = beside(&tree, |tree| apply(tree, &[10, 20], 98));
            apply(&tree, &[20, 10], 99);
            other.join().unwrap();
            assert_eq!(get(&tree, 10), get(&tree, 20), "the later one covers the earlier one");
            sound(&tree, &[0, 10, 20, 30]);
        });
    }
}

#[test]
fn two_batches_that_share_a_full_leaf_both_apply() {
    for engine in ENGINES {
        loom_tests::check_within(4, move || {
            let tree = two_leaves(engine);
            put(&tree, 25);
            let other = beside(&tree, |tree| apply(tree, &[10, 22], 98));
            apply(&tree, &[5, 27], 99);
            other.join().unwrap();
            sound(&tree, &[0, 5, 10, 20, 22, 25, 27, 30]);
        });
    }
}

#[test]
fn a_batch_and_an_insert_that_splits_its_leaf_both_apply() {
    for engine in ENGINES {
        loom_tests::check_within(4, move || {
            let tree = two_leaves(engine);
            put(&tree, 25);
            let other = beside(&tree, |tree| put(tree, 27));
            apply(&tree, &[10, 30], 99);
            other.join().unwrap();
            assert_eq!((get(&tree, 10), get(&tree, 30)), (value(99), value(99)));
            sound(&tree, &[0, 10, 20, 25, 27, 30]);
        });
    }
}

#[test]
fn a_batch_and_an_insert_that_splits_the_root_both_apply() {
    for engine in ENGINES {
        loom_tests::check_within(4, move || {
            let tree = tree_of(engine, &[0, 10, 20]);
            let other = beside(&tree, |tree| put(tree, 15));
            apply(&tree, &[0, 20], 99);
            other.join().unwrap();
            assert_eq!((get(&tree, 0), get(&tree, 20)), (value(99), value(99)));
            sound(&tree, &[0, 10, 15, 20]);
        });
    }
}

#[test]
fn a_batch_of_deletes_and_an_insert_into_a_leaf_that_it_empties_both_apply() {
    for engine in ENGINES {
        loom_tests::check_within(4, move || {
            let tree = two_leaves(engine);
            let other = beside(&tree, |tree| put(tree, 25));
            let keys = [key(10), key(20), key(30)];
            tree.apply(keys.iter().map(|key| (&**key, None)).collect()).unwrap();
            other.join().unwrap();
            sound(&tree, &[0, 25]);
        });
    }
}

//! Two operations on one leaf of a tree, for each protocol.
//!
//! Pages hold a handful of keys, and the leaf is full: an insert has to restart, split it, and begin again,
//! while the other thread inserts into it, looks a key up, or deletes one. With two threads and two
//! preemptions every step of a descent, a split (parent, child, new page, bitmap) and a log append of one
//! thread meets every step of the other once.
#![cfg(feature = "loom")]

use std::sync::Arc;

use loom::thread;
use tree::model::Tree;
use tree::{Condition, Engine};

const TINY: usize = 256;
const ENGINES: [Engine; 2] = [Engine::Mutex, Engine::Coupled];

fn key(n: u32) -> Vec<u8> {
    format!("{n:02}").into_bytes()
}

/// A tree whose only leaf has no room for one more key of this kind.
fn full_leaf(engine: Engine) -> Arc<Tree<TINY>> {
    let tree = Tree::new(engine, 12).unwrap();
    for n in 0..3 {
        put(&tree, 10 * n);
    }
    assert_eq!(tree.splits(), 0, "the leaf is full, but not split yet");
    Arc::new(tree)
}

fn put(tree: &Tree<TINY>, n: u32) {
    assert!(tree.put(&key(n), &[n as u8; 50], Condition::Always).unwrap());
}

fn sound(tree: &Tree<TINY>, keys: &[u32]) {
    let expected: Vec<_> = keys.iter().map(|&n| key(n)).collect();
    assert_eq!(tree.keys().unwrap(), expected);
    assert_eq!(tree.problems().unwrap(), Vec::<String>::new());
}

fn beside(
    tree: &Arc<Tree<TINY>>,
    other: impl FnOnce(&Tree<TINY>) + Send + 'static,
) -> thread::JoinHandle<()> {
    let tree = tree.clone();
    thread::spawn(move || other(&tree))
}

#[test]
fn two_inserts_that_split_one_leaf_both_stay() {
    for engine in ENGINES {
        loom_tests::check(move || {
            let tree = full_leaf(engine);
            let other = beside(&tree, |tree| put(tree, 5));
            put(&tree, 15);
            other.join().unwrap();
            assert!(tree.splits() >= 1);
            sound(&tree, &[0, 5, 10, 15, 20]);
        });
    }
}

#[test]
fn a_lookup_finds_its_key_before_during_and_after_a_split() {
    for engine in ENGINES {
        loom_tests::check(move || {
            let tree = full_leaf(engine);
            let other = beside(&tree, |tree| put(tree, 15));
            for n in [0, 20] {
                assert_eq!(tree.get(&key(n)).unwrap(), Some(vec![n as u8; 50]));
            }
            other.join().unwrap();
            sound(&tree, &[0, 10, 15, 20]);
        });
    }
}

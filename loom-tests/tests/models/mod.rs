//! What the models of trees share: small trees of every engine, and helpers around them.
#![allow(dead_code, reason = "each file of models uses a part")]

use std::sync::Arc;

use loom::thread;
use tree::model::Tree as TreeOf;
use tree::{Condition, Engine};

/// Pages hold three items of a two-byte key and a value of [`VALUE`] bytes.
pub(crate) const TINY: usize = 256;
pub(crate) const VALUE: usize = 50;
pub(crate) type Tree = TreeOf<TINY>;

pub(crate) use loom_tests::ENGINES;

pub(crate) fn key(n: u32) -> Vec<u8> {
    format!("{n:02}").into_bytes()
}

pub(crate) fn value(n: u32) -> Vec<u8> {
    vec![n as u8; VALUE]
}

/// A tree of these keys, put in this order. Frames for all its pages and for a few more.
pub(crate) fn tree_of(engine: Engine, keys: &[u32]) -> Arc<Tree> {
    let tree = Tree::new(engine, 16).unwrap();
    keys.iter().for_each(|&n| put(&tree, n));
    Arc::new(tree)
}

pub(crate) fn put(tree: &Tree, n: u32) {
    assert!(tree.put(&key(n), &value(n), Condition::Always).unwrap());
}

pub(crate) fn delete(tree: &Tree, n: u32) {
    assert!(tree.delete(&key(n), Condition::Always).unwrap(), "{n} was there");
}

pub(crate) fn expect(tree: &Tree, n: u32) {
    assert_eq!(tree.get(&key(n)).unwrap(), Some(value(n)));
}

/// The tree holds these keys and nothing else, and no invariant is broken.
pub(crate) fn sound(tree: &Tree, keys: &[u32]) {
    let expected: Vec<_> = keys.iter().map(|&n| key(n)).collect();
    assert_eq!(tree.keys(false).unwrap(), expected);
    assert_eq!(tree.count(), keys.len() as u64);
    assert_eq!(tree.problems().unwrap(), Vec::<String>::new());
}

/// Runs `other` on a thread of its own.
pub(crate) fn beside(tree: &Arc<Tree>, other: impl FnOnce(&Tree) + Send + 'static) -> thread::JoinHandle<()> {
    let tree = tree.clone();
    thread::spawn(move || other(&tree))
}

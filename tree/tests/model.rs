//! The trees against `BTreeMap`: whatever sequence of operations, the same answers.
#![cfg(not(feature = "loom"))]

mod common;

use std::collections::BTreeMap;
use std::ops::Bound;

use common::{Random, TINY, engines, memory, small};
use tree::{Batch, Condition, DatabaseOf, Engine, TableOf};

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

struct Run {
    random: Random,
    keys: u64,
    model: Model,
}

impl Run {
    fn key(&mut self) -> Vec<u8> {
        // Shared prefixes, many lengths, and keys that are prefixes of each other.
        let n = self.random.below(self.keys);
        let mut key = format!("key{:0width$}", n, width = (n % 7) as usize).into_bytes();
        key.extend(std::iter::repeat_n(n as u8, (n % 5) as usize));
        key
    }

    fn value(&mut self) -> Vec<u8> {
        let len = match self.random.below(40) {
            0 => 300 + self.random.below(2_000),
            _ => self.random.below(24),
        };
        let byte = self.random.next() as u8;
        vec![byte; len as usize]
    }

    fn step(&mut self, table: &TableOf<TINY>) {
        let key = self.key();
        match self.random.below(20) {
            0..8 => {
                let value = self.value();
                assert!(table.put(&key, &value).unwrap().applied());
                self.model.insert(key, value);
            }
            8..13 => {
                let applied = table.delete(&key).unwrap().applied();
                assert_eq!(applied, self.model.remove(&key).is_some());
            }
            13 => {
                let value = self.value();
                let applied = table.put_if(&key, &value, Condition::Absent).unwrap().applied();
                assert_eq!(applied, !self.model.contains_key(&key));
                self.model.entry(key).or_insert(value);
            }
            14 => {
                let value = self.value();
                let expected = match self.model.get(&key) {
                    Some(current) if self.random.below(2) == 0 => current.clone(),
                    _ => b"something else".to_vec(),
                };
                let holds = self.model.get(&key) == Some(&expected);
                let applied = table.put_if(&key, &value, Condition::Equals(&expected)).unwrap().applied();
                assert_eq!(applied, holds);
                if holds {
                    self.model.insert(key, value);
                }
            }
            15 => self.batch(table),
            16 if self.random.below(20) == 0 => self.scan(table),
            _ => assert_eq!(table.get(&key).unwrap().as_ref(), self.model.get(&key)),
        }
    }

    fn batch(&mut self, table: &TableOf<TINY>) {
        let mut writes = Model::new();
        let mut deletes = Vec::new();
        for _ in 0..self.random.below(12) {
            let (key, value) = (self.key(), self.value());
            if self.random.below(3) == 0 {
                deletes.push(key);
            } else {
                writes.insert(key, value);
            }
        }
        deletes.sort();
        deletes.dedup();
        deletes.retain(|key| !writes.contains_key(key));
        let mut batch = Batch::new();
        for (key, value) in &writes {
            batch.put(key.clone(), value.clone());
        }
        for key in &deletes {
            batch.delete(key.clone());
        }
        let _not_waited_for = table.apply(&batch).unwrap();
        self.model.extend(writes);
        deletes.iter().for_each(|key| drop(self.model.remove(key)));
    }

    fn scan(&mut self, table: &TableOf<TINY>) {
        let (a, b) = (self.key(), self.key());
        let (low, high) = (a.clone().min(b.clone()), a.max(b));
        let bound = |key: Vec<u8>, pick| match pick {
            0 => Bound::Included(key),
            1 => Bound::Excluded(key),
            _ => Bound::Unbounded,
        };
        let range = (bound(low, self.random.below(3)), bound(high, self.random.below(3)));
        let equal_and_open = matches!(&range, (Bound::Excluded(a), Bound::Excluded(b)) if a == b);
        let expected: Vec<_> = if equal_and_open {
            Vec::new()
        } else {
            self.model.range(range.clone()).map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        let forward: Vec<_> = table.scan(range.clone()).map(Result::unwrap).collect();
        assert_eq!(forward, expected);
        let mut backward: Vec<_> = table.scan_backward(range).map(Result::unwrap).collect();
        backward.reverse();
        assert_eq!(backward, expected);
    }

    fn compare(&self, table: &TableOf<TINY>) {
        let all: Model = table.scan(..).map(Result::unwrap).collect();
        assert_eq!(all, self.model);
        assert_eq!(table.count().unwrap(), self.model.len() as u64);
    }
}

fn run(engine: Engine, seed: u64, keys: u64, steps: u64, partitions: u32) {
    let storage = memory();
    let options = tree::Options { partitions, ..small(engine) };
    let mut run = Run { random: Random(seed), keys, model: Model::new() };
    let mut database = DatabaseOf::<TINY>::open_on(storage.clone(), options.clone()).unwrap();
    let mut table = database.create_table("t").unwrap();
    for step in 1..=steps {
        run.step(&table);
        if step.is_multiple_of(steps / 4) {
            run.compare(&table);
            let report = database.check().unwrap();
            assert!(report.is_clean(), "{engine}, seed {seed}: {report}");
            database.close().unwrap();
            database = DatabaseOf::open_on(storage.clone(), options.clone()).unwrap();
            table = database.table("t").unwrap();
            run.compare(&table);
        }
    }
}

#[test]
fn a_hundred_thousand_operations_give_the_answers_of_a_btreemap() {
    for engine in engines() {
        for seed in 0..4 {
            run(engine, seed, 50 << (2 * seed), 12_500, 1 + seed as u32);
        }
    }
}

#[test]
#[ignore = "a minute: run by the verify command"]
fn a_million_operations_give_the_answers_of_a_btreemap() {
    for engine in engines() {
        for seed in 100..110 {
            run(engine, seed, 200 << (seed % 4), 100_000, 1 + (seed % 3) as u32);
        }
    }
}

#[test]
fn trees_shrink_soundly_whatever_the_order_of_deletes() {
    for engine in engines() {
        for seed in 0..30 {
            let database = DatabaseOf::<TINY>::open_on(memory(), small(engine)).unwrap();
            let table = database.create_table("t").unwrap();
            let mut random = Random(seed);
            // Long keys: inner nodes of two or three children, trees of six levels and more.
            let key =
                |n: u64| format!("{:0>width$}-{n:05}", n % 7, width = 10 + (n % 40) as usize).into_bytes();
            let mut keys: Vec<_> = (0..400).map(key).collect();
            for key in &keys {
                let _not_waited_for = table.put(key, b"value").unwrap();
            }
            for (left, _) in (0..keys.len()).rev().zip(0..) {
                // Runs of neighbours on even seeds, single keys on odd ones.
                let at = if seed % 2 == 0 { left / 2 } else { random.below(left as u64 + 1) as usize };
                assert!(table.delete(&keys.remove(at)).unwrap().applied());
                if left.is_multiple_of(40) {
                    let report = database.check().unwrap();
                    assert!(report.is_clean(), "{engine}, seed {seed}, {left} left: {report}");
                }
            }
            assert_eq!(database.check().unwrap().keys(), 0);
        }
    }
}

/// No key is below the empty one: such a range has nothing, whatever is in the table.
#[test]
fn a_range_below_every_key_is_empty() {
    for engine in engines() {
        let database = DatabaseOf::<TINY>::open_on(memory(), small(engine)).unwrap();
        let table = database.create_table("users").unwrap();
        table.put(b"\0", b"the least key").unwrap().wait().unwrap();
        table.put(b"k", b"another").unwrap().wait().unwrap();
        let below = (Bound::Unbounded, Bound::Excluded(Vec::new()));
        assert_eq!(table.scan(below.clone()).count(), 0);
        assert_eq!(table.scan_backward(below).count(), 0);
    }
}

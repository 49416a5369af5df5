//! Space: what is deleted is used again, whatever the pattern; nothing leaks; values of every size come back.
#![cfg(not(feature = "loom"))]

mod common;

use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use common::{Model, Random, TINY, contents, engines, memory, small};
use tree::{Batch, DatabaseOf, Engine, MAX_KEY, Options, PAGE_BYTES, TableOf};
use wal::{MemoryStorage, Storage};

type Tiny = DatabaseOf<TINY>;

/// Epochs are the process's: a thread of another test that is pinned keeps freed pages from being used again. So
/// these tests take turns.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    // A test that has failed has said so itself.
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Churn {
    storage: Arc<MemoryStorage>,
    database: Tiny,
    table: TableOf<TINY>,
}

impl Churn {
    fn new(engine: Engine) -> Self {
        let storage = memory();
        let database = Tiny::open_on(storage.clone(), small(engine)).unwrap();
        let table = database.create_table("t").unwrap();
        Self { storage, database, table }
    }

    fn put(&self, key: &str, value: &[u8]) {
        let _ = self.table.put(key.as_bytes(), value).unwrap();
    }

    fn delete(&self, key: &str) {
        assert!(self.table.delete(key.as_bytes()).unwrap().applied(), "{key} was not there");
    }

    /// The file's size in pages, when everything is on disk and nothing leaks. What was freed may wait for its
    /// record to be durable, so each round ends here.
    fn file_pages(&self) -> u64 {
        let report = self.database.check().unwrap();
        assert!(report.is_clean(), "{report}");
        self.storage.open("t.db").unwrap().len().unwrap() / TINY as u64
    }

    fn used_pages(&self) -> u64 {
        self.database.check().unwrap().pages()
    }
}

/// The same load may need some more pages than in the first rounds, not ever more of them. At worst twice as many:
/// a page that is freed cannot be used again before no thread of the process, other tests' included, can remember it.
fn assert_no_growth(case: &str, rounds: &[u64], factor: u64) {
    println!("{case}: file pages a round: {rounds:?}");
    let first = *rounds[..rounds.len() / 5].iter().max().unwrap();
    let last = rounds[rounds.len() - 1];
    assert!(last <= first * factor, "{case}: the file grew from {first} to {last} pages: {rounds:?}");
}

#[test]
fn fifty_rounds_of_the_same_working_set_need_the_pages_of_one() {
    let _alone = alone();
    for engine in engines() {
        let churn = Churn::new(engine);
        let rounds: Vec<_> = (0..50)
            .map(|round| {
                let mut random = Random(round);
                let mut keys: Vec<_> = (0..800_u64).map(|n| format!("key{n:05}")).collect();
                for at in (1..keys.len()).rev() {
                    keys.swap(at, random.below(at as u64 + 1) as usize);
                }
                keys.iter().for_each(|key| churn.put(key, &vec![round as u8; random.below(40) as usize]));
                let pages = churn.file_pages();
                keys.iter().rev().for_each(|key| churn.delete(key));
                pages
            })
            .collect();
        assert_no_growth(&format!("{engine}, working set"), &rounds, 2);
        assert!(churn.used_pages() <= 3, "{engine}: {} pages are in use for nothing", churn.used_pages());
        assert_eq!(churn.table.count().unwrap(), 0);
    }
}

#[test]
fn a_queue_of_constant_length_needs_constant_space() {
    let _alone = alone();
    for engine in engines() {
        let churn = Churn::new(engine);
        let mut rounds = Vec::new();
        for n in 0..30_000_u64 {
            churn.put(&format!("job{n:08}"), b"do something soon");
            if n >= 1_000 {
                churn.delete(&format!("job{:08}", n - 1_000));
            }
            if n % 2_500 == 2_499 {
                rounds.push(churn.file_pages());
            }
        }
        assert_no_growth(&format!("{engine}, queue"), &rounds, 2);
        assert_eq!(churn.table.count().unwrap(), 1_000);
        let used = churn.used_pages();
        assert!(used <= rounds[0], "{engine}: {used} pages for 1,000 jobs");
    }
}

#[test]
fn a_queue_that_is_emptied_by_batches_needs_constant_space() {
    let _alone = alone();
    for engine in engines() {
        let churn = Churn::new(engine);
        let mut rounds = Vec::new();
        for n in (0..20_000_u64).step_by(16) {
            let mut batch = Batch::new();
            for n in n..n + 16 {
                batch.put(format!("job{n:08}"), b"do something soon".to_vec());
            }
            let _ = churn.table.apply(&batch).unwrap();
            if n >= 1_600 {
                let mut batch = Batch::new();
                for n in n - 1_600..n - 1_584 {
                    batch.delete(format!("job{n:08}"));
                }
                let _ = churn.table.apply(&batch).unwrap();
            }
            if n % 2_000 == 0 && n >= 2_000 {
                rounds.push(churn.file_pages());
            }
        }
        assert_no_growth(&format!("{engine}, queue of batches"), &rounds, 2);
        assert_eq!(churn.table.count().unwrap(), 1_600);
    }
}

#[test]
fn large_values_replaced_over_and_over_need_constant_space() {
    let _alone = alone();
    for engine in engines() {
        let churn = Churn::new(engine);
        let mut random = Random(11);
        let rounds: Vec<_> = (0..30)
            .map(|round| {
                for n in 0..60 {
                    // Every other round replaces all by small ones, or deletes.
                    match (round + n) % 3 {
                        0 => churn.put(&format!("key{n}"), b"small"),
                        1 => churn
                            .put(&format!("key{n}"), &vec![round as u8; 300 + random.below(2_500) as usize]),
                        _ => drop(churn.table.delete(format!("key{n}").as_bytes()).unwrap().applied()),
                    }
                }
                churn.file_pages()
            })
            .collect();
        assert_no_growth(&format!("{engine}, large values"), &rounds, 2);
    }
}

#[test]
fn conditional_writes_of_large_values_that_do_not_apply_leak_nothing() {
    let _alone = alone();
    for engine in engines() {
        let churn = Churn::new(engine);
        churn.put("key", &[1; 3_000]);
        let rounds: Vec<_> = (0..20)
            .map(|_| {
                for _ in 0..50 {
                    let refused = churn.table.put_if(b"key", &[2; 3_000], tree::Condition::Absent).unwrap();
                    assert!(!refused.applied());
                }
                churn.file_pages()
            })
            .collect();
        assert_no_growth(&format!("{engine}, refused writes"), &rounds, 2);
        assert_eq!(churn.table.get(b"key").unwrap().unwrap(), vec![1; 3_000]);
    }
}

#[test]
fn deleting_everything_in_any_order_shrinks_the_tree_to_its_root() {
    let _alone = alone();
    for engine in engines() {
        for order in ["ascending", "descending", "random", "batches"] {
            let churn = Churn::new(engine);
            let mut keys: Vec<_> = (0..3_000_u64).map(|n| format!("key{n:05}")).collect();
            keys.iter().for_each(|key| churn.put(key, b"some value"));
            let full = churn.used_pages();
            match order {
                "descending" => keys.reverse(),
                "random" => keys.sort_by_key(|key| Random(key[3..].parse::<u64>().unwrap()).next()),
                _ => {}
            }
            if order == "batches" {
                for keys in keys.chunks(16) {
                    let mut batch = Batch::new();
                    for key in keys {
                        batch.delete(key.clone());
                    }
                    let _ = churn.table.apply(&batch).unwrap();
                }
            } else {
                keys.iter().for_each(|key| churn.delete(key));
            }
            let report = churn.database.check().unwrap();
            assert!(report.is_clean(), "{engine}, {order}: {report}");
            println!("{engine}, {order}: {full} pages, then {}", report.pages());
            assert!(
                report.pages() <= full / 20,
                "{engine}, {order}: of {full} pages {} are left",
                report.pages()
            );
            assert_eq!(churn.table.count().unwrap(), 0);
        }
    }
}

#[test]
fn values_of_every_size_around_every_limit_come_back_byte_for_byte() {
    let _alone = alone();
    for engine in engines() {
        let database =
            tree::Database::open_on(memory(), Options { pool_bytes: 4 << 20, ..small(engine) }).unwrap();
        let table = database.create_table("t").unwrap();
        // Around the largest value in a leaf, and around whole numbers of overflow pages.
        let inline = [1, 20, MAX_KEY].map(|key| MAX_KEY + 8 - key);
        let pages = [1, 2, 3, 10].map(|pages| pages * (PAGE_BYTES - 40));
        let near = |limit: usize| limit.saturating_sub(10)..limit + 11;
        let sizes: Vec<_> =
            inline.into_iter().chain(pages).chain([0, PAGE_BYTES, 1 << 16, 1 << 20]).flat_map(near).collect();
        for key_len in [1, 20, MAX_KEY] {
            for &size in &sizes {
                let key = vec![b'k'; key_len];
                let value: Vec<u8> = (0..size).map(|at| (at ^ at >> 8 ^ size) as u8).collect();
                let _ = table.put(&key, &value).unwrap();
                let found = table.get(&key).unwrap();
                assert!(found.as_ref() == Some(&value), "{engine}: key of {key_len}, value of {size} bytes");
                let scanned = table.scan(..).map(Result::unwrap).find(|(found, _)| *found == key).unwrap();
                assert!(scanned.1 == value, "{engine}: key of {key_len}, value of {size} bytes, scanned");
            }
        }
        assert_eq!(table.count().unwrap(), 3);
        let report = database.check().unwrap();
        assert!(report.is_clean(), "{engine}: {report}");
    }
}

#[test]
fn scans_with_any_bounds_in_either_direction_give_what_a_btreemap_gives() {
    let _alone = alone();
    for engine in engines() {
        for partitions in [1, 5] {
            let options = Options { partitions, ..small(engine) };
            let database = Tiny::open_on(memory(), options).unwrap();
            let table = database.create_table("t").unwrap();
            let model: Model = (0..500_u64)
                .map(|n| (format!("{:x}", n * n).into_bytes(), vec![n as u8; n as usize % 300]))
                .collect();
            for (key, value) in &model {
                let _ = table.put(key, value).unwrap();
            }
            assert_eq!(contents(&table).unwrap(), model);
            let mut random = Random(3);
            let bounds = |random: &mut Random| {
                let key = format!("{:x}", random.below(250_000)).into_bytes();
                let key = if random.below(2) == 0 {
                    model.keys().nth(random.below(500) as usize).unwrap().clone()
                } else {
                    key
                };
                [Bound::Included(key.clone()), Bound::Excluded(key), Bound::Unbounded]
                    [random.below(3) as usize]
                    .clone()
            };
            for _ in 0..400 {
                let (start, end) = (bounds(&mut random), bounds(&mut random));
                let inside =
                    |key: &Vec<u8>| std::ops::RangeBounds::contains(&(start.clone(), end.clone()), key);
                let mut expected: Vec<_> = model
                    .iter()
                    .filter(|(key, _)| inside(key))
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect();
                let found: Vec<_> = table.scan((start.clone(), end.clone())).map(Result::unwrap).collect();
                assert!(found == expected, "{engine}: {start:?}..{end:?}");
                expected.reverse();
                let found: Vec<_> =
                    table.scan_backward((start.clone(), end.clone())).map(Result::unwrap).collect();
                assert!(found == expected, "{engine}: {start:?}..{end:?}, backward");
            }
            assert_eq!(table.count().unwrap(), 500);
        }
    }
}

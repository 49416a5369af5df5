//! Operations that must not wait: done at once, or not at all.
#![cfg(not(any(feature = "loom", feature = "shuttle")))]
#![cfg(all(feature = "mutex", feature = "latch"))]

use std::collections::BTreeMap;

use proptest::prelude::*;
use tree::{Condition, Database, Engine, Error, Options, Wait};

fn options(engine: Engine) -> Options {
    Options { engine, partitions: 1, ..Options::default() }
}

fn key(number: u32) -> Vec<u8> {
    format!("user-{number:06}").into_bytes()
}

#[test]
fn a_page_on_disk_is_not_waited_for() {
    for engine in [Engine::Mutex, Engine::Coupled] {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(folder.path(), options(engine)).unwrap();
        let table = database.create_table("users").unwrap();
        for number in 0..5_000 {
            drop(table.put(&key(number), b"value").unwrap());
        }
        database.close().unwrap();

        let database = Database::open(folder.path(), options(engine)).unwrap();
        let table = database.table("users").unwrap();
        let cold = || table.in_memory();
        assert!(matches!(cold().fetch(&key(4_000)), Err(Error::WouldWait)));
        assert!(matches!(cold().put_if(&key(4_000), b"new", Condition::Always), Err(Error::WouldWait)));
        assert!(matches!(cold().delete_if(&key(4_000), Condition::Always), Err(Error::WouldWait)));
        assert_eq!(table.get(&key(4_000)).unwrap().as_deref(), Some(&b"value"[..]), "nothing was changed");

        let (value, ticket) = table.in_memory().fetch(&key(4_000)).unwrap();
        assert_eq!(value.as_deref(), Some(&b"value"[..]));
        ticket.wait().unwrap();
        let ticket = table.in_memory().put_if(&key(4_000), b"new", Condition::Equals(b"value")).unwrap();
        assert!(ticket.applied());
        ticket.wait().unwrap();
        assert_eq!(table.get(&key(4_000)).unwrap().as_deref(), Some(&b"new"[..]));
    }
}

#[test]
fn a_large_value_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(folder.path(), options(Engine::Coupled)).unwrap();
    let table = database.create_table("users").unwrap();
    let large = vec![7; 100_000];
    assert!(matches!(table.in_memory().put_if(b"k", &large, Condition::Always), Err(Error::WouldWait)));
    assert_eq!(table.get(b"k").unwrap(), None);
    table.put(b"k", &large).unwrap().wait().unwrap();
    assert!(matches!(table.in_memory().fetch(b"k"), Err(Error::WouldWait)));
    // Refused for good, not for now.
    let too_large = vec![7; tree::MAX_VALUE + 1];
    let refused = table.in_memory().put_if(b"k", &too_large, Condition::Always);
    assert!(matches!(refused, Err(Error::ValueTooLarge { .. })));
}

#[test]
fn the_lock_of_a_baseline_that_waits_under_it_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { wait: Wait::UnderLock, ..options(Engine::Mutex) };
    let database = Database::open(folder.path(), options).unwrap();
    let table = database.create_table("users").unwrap();
    assert!(matches!(table.in_memory().put_if(b"k", b"v", Condition::Always), Err(Error::WouldWait)));
    table.put(b"k", b"v").unwrap().wait().unwrap();
    assert_eq!(table.in_memory().fetch(b"k").unwrap().0.as_deref(), Some(&b"v"[..]));
}

#[test]
fn few_inserts_into_a_warm_tree_have_to_wait() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(folder.path(), options(Engine::Coupled)).unwrap();
    let table = database.create_table("users").unwrap();
    let mut waited = 0;
    for number in 0..20_000_u32 {
        let key = key(number.wrapping_mul(2_654_435_761) % 1_000_000);
        match table.in_memory().put_if(&key, &[7; 100], Condition::Always) {
            Err(Error::WouldWait) => {
                waited += 1;
                drop(table.put(&key, &[7; 100]).unwrap());
            }
            done => drop(done.unwrap()),
        }
    }
    // For every split of a leaf, which may split its parent as well, and for little else.
    let splits = database.stats().tree.splits;
    assert!(splits > 100, "{splits}");
    assert!((splits / 2..2_000).contains(&waited), "{waited} of 20,000 had to wait, for {splits} splits");
    assert!(database.check().unwrap().is_clean());
}

#[derive(Clone, Debug)]
enum Step {
    Put(u32, usize),
    Delete(u32),
    Get(u32),
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0_u32..300;
    prop_oneof![
        4 => (key.clone(), 0_usize..900).prop_map(|(key, len)| Step::Put(key, len)),
        3 => key.clone().prop_map(Step::Delete),
        2 => key.prop_map(Step::Get),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever is done at once or by waiting, the table is a map.
    #[test]
    fn at_once_or_by_waiting_the_table_is_a_map(
        coupled in any::<bool>(),
        steps in prop::collection::vec(step(), 1..600),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let engine = if coupled { Engine::Coupled } else { Engine::Mutex };
        let pool_bytes = Options::MIN_POOL_PAGES * tree::PAGE_BYTES;
        let options = Options { pool_bytes, ..options(engine) };
        let database = Database::open(folder.path(), options).unwrap();
        let table = database.create_table("users").unwrap();
        let mut model = BTreeMap::new();
        for step in steps {
            match step {
                Step::Put(number, len) => {
                    let value = vec![number as u8; len];
                    let applied = match table.in_memory().put_if(&key(number), &value, Condition::Absent) {
                        Err(Error::WouldWait) => {
                            table.put_if(&key(number), &value, Condition::Absent).unwrap().applied()
                        }
                        done => done.unwrap().applied(),
                    };
                    prop_assert_eq!(applied, !model.contains_key(&number));
                    model.entry(number).or_insert(value);
                }
                Step::Delete(number) => {
                    let applied = match table.in_memory().delete_if(&key(number), Condition::Always) {
                        Err(Error::WouldWait) => table.delete(&key(number)).unwrap().applied(),
                        done => done.unwrap().applied(),
                    };
                    prop_assert_eq!(applied, model.remove(&number).is_some());
                }
                Step::Get(number) => {
                    let value = match table.in_memory().fetch(&key(number)) {
                        Err(Error::WouldWait) => table.get(&key(number)).unwrap(),
                        done => done.unwrap().0,
                    };
                    prop_assert_eq!(value.as_ref(), model.get(&number));
                }
            }
        }
        prop_assert_eq!(table.fetch_count().unwrap().0, model.len() as u64);
        prop_assert!(database.check().unwrap().is_clean());
    }
}

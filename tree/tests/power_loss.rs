//! Power losses at random points, in memory: unsynced writes survive in any subset of sectors, recovery itself
//! is cut, and what is there afterwards must be the state behind some operation that was not acknowledged
//! later than the last acknowledged one.
#![cfg(not(feature = "loom"))]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::{Random, TINY, engines, small};
use tree::check::check_storage;
use tree::{Batch, DatabaseOf, Engine, LogScope, Options, Result, TableOf};
use wal::FaultyStorage;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// One operation as the model sees it: what it sets and removes, at once.
type Change = Vec<(Vec<u8>, Option<Vec<u8>>)>;

fn change(random: &mut Random) -> Change {
    let key = |random: &mut Random| format!("key{:03}", random.below(150)).into_bytes();
    let value = |random: &mut Random| {
        let len = if random.below(25) == 0 { 200 + random.below(1_500) } else { random.below(40) };
        vec![random.next() as u8; len as usize]
    };
    match random.below(8) {
        0..4 => vec![(key(random), Some(value(random)))],
        4..7 => vec![(key(random), None)],
        _ => {
            let batch: BTreeMap<_, _> =
                (0..1 + random.below(6)).map(|_| (key(random), Some(value(random)))).collect();
            batch.into_iter().collect()
        }
    }
}

fn apply(model: &mut Model, change: &Change) {
    for (key, value) in change {
        match value {
            Some(value) => drop(model.insert(key.clone(), value.clone())),
            None => drop(model.remove(key)),
        }
    }
}

/// Answers whether the write, and so everything before it, is durable. What a delete of an absent key waits for
/// may be older than other writes.
fn write(table: &TableOf<TINY>, change: &Change, wait: bool) -> Result<bool> {
    let commit = match &change[..] {
        [(key, Some(value))] => table.put(key, value)?,
        [(key, None)] => table.delete(key)?,
        writes => {
            let mut batch = Batch::new();
            for (key, value) in writes {
                match value {
                    Some(value) => batch.put(key.clone(), value.clone()),
                    None => batch.delete(key.clone()),
                };
            }
            table.apply(&batch)?
        }
    };
    let applied = commit.applied();
    if wait { commit.wait().map(|()| applied) } else { Ok(false) }
}

struct Simulation {
    seed: u64,
    random: Random,
    options: Options,
    disk: FaultyStorage,
    /// What is acknowledged.
    durable: Model,
    /// What came after it, in order.
    later: Vec<Change>,
}

impl Simulation {
    /// Runs until the power fails.
    fn run(&mut self) {
        let calls = 1 + self.random.below(400);
        let Ok(database) = DatabaseOf::<TINY>::open_on(Arc::new(self.disk.clone()), self.options.clone())
        else {
            panic!("a database that power losses alone have happened to opens");
        };
        let table = database.table("t").unwrap();
        self.disk.crash_after(calls);
        loop {
            let change = change(&mut self.random);
            let wait = self.random.below(4) > 0;
            self.later.push(change.clone());
            let Ok(durable) = write(&table, &change, wait) else { return };
            if durable {
                self.later.drain(..).for_each(|change| apply(&mut self.durable, &change));
            }
            if self.random.below(60) == 0 && database.checkpoint().is_err() {
                return;
            }
        }
    }

    /// Power comes back, maybe fails again during recovery, and the state is compared.
    fn recover(&mut self) {
        self.disk = self.disk.crash();
        while self.random.below(3) == 0 {
            self.disk.crash_after(1 + self.random.below(60));
            let _cut_short = DatabaseOf::<TINY>::open_on(Arc::new(self.disk.clone()), self.options.clone());
            self.disk = self.disk.crash();
        }
        let database =
            DatabaseOf::<TINY>::open_on(Arc::new(self.disk.clone()), self.options.clone()).unwrap();
        let table = database.table("t").unwrap();
        let found: Model = table.scan(..).map(Result::unwrap).collect();
        assert_eq!(table.count().unwrap(), found.len() as u64);
        let mut state = self.durable.clone();
        let mut later = self.later.drain(..);
        while state != found {
            let next = later.next();
            let lost: Vec<_> = state.iter().filter(|(key, value)| found.get(*key) != Some(value)).collect();
            assert!(
                next.is_some(),
                "seed {}: no operation since the last acknowledged one leaves this state: {lost:?}",
                self.seed
            );
            next.iter().for_each(|next| apply(&mut state, next));
        }
        self.durable = found;
        drop(database);
    }
}

fn simulate(engine: Engine, seed: u64, crashes: u32, options: Options) {
    let disk = FaultyStorage::new(seed);
    let database = DatabaseOf::<TINY>::open_on(Arc::new(disk.clone()), options.clone()).unwrap();
    database.create_table("t").unwrap();
    database.close().unwrap();
    let mut simulation =
        Simulation { seed, random: Random(seed), options, disk, durable: Model::new(), later: Vec::new() };
    for _ in 0..crashes {
        simulation.run();
        simulation.recover();
    }
    let report = check_storage::<TINY>(Arc::new(simulation.disk)).unwrap();
    assert!(report.is_clean(), "{engine}, seed {seed}: {report}");
}

#[test]
fn nothing_acknowledged_is_lost_in_a_thousand_power_losses() {
    for engine in engines() {
        for seed in 0..50 {
            let scope = if seed % 5 == 0 { LogScope::Partition } else { LogScope::Database };
            let options = Options { log_scope: scope, page_images: seed % 7 == 0, ..small(engine) };
            simulate(engine, seed, 10, options);
        }
    }
}

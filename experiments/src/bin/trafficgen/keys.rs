//! Which key a request is for.
//!
//! Inserts count upwards, table by table in turn. Reads, updates and deletes choose among the keys that are known to
//! be there: those that were found at the beginning and those whose insert was acknowledged. A key has one write at a
//! time: so its last acknowledged state is known, and a ledger can be held against the node (see `ledger.rs`).

use std::collections::HashSet;

use experiments::mix::{Chooser, Distribution, Operation};
use experiments::traffic::Table;
use rand::rngs::SmallRng;

/// One request: what is done to which document.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    /// What is done. An update or a delete becomes an insert where there is nothing yet to change.
    pub(crate) operation: Operation,
    /// The table.
    pub(crate) table: Table,
    /// The document's index.
    pub(crate) index: u64,
    /// The document's revision, where it is written.
    pub(crate) revision: u32,
}

/// What is known of a write's effect.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It was acknowledged.
    Acknowledged,
    /// It was refused, or not sent.
    None,
    /// The answer was an error or did not come.
    Unknown,
}

#[derive(Debug, Default)]
struct Keys {
    next: u64,
    known: Vec<u64>,
    /// Keys whose update is under way.
    busy: HashSet<u64>,
    chooser: Option<Chooser>,
}

/// The keys of the three tables.
#[derive(Debug)]
pub(crate) struct KeySpace {
    tables: [Keys; 3],
    turn: usize,
    revision: u32,
    distribution: Distribution,
    exponent: f64,
}

impl KeySpace {
    /// Nothing is known yet. Revisions count on from `revision`, so that two runs write different documents.
    pub(crate) fn new(distribution: Distribution, exponent: f64, revision: u32) -> KeySpace {
        KeySpace { tables: Default::default(), turn: 0, revision, distribution, exponent }
    }

    /// Enters a key that is there: inserts go on past it.
    pub(crate) fn found(&mut self, table: Table, index: u64) {
        let keys = &mut self.tables[table as usize];
        keys.known.push(index);
        keys.next = keys.next.max(index + 1);
    }

    /// How many keys are known to be there.
    pub(crate) fn known(&self) -> u64 {
        self.tables.iter().map(|keys| keys.known.len() as u64).sum()
    }

    /// The next request that does `operation`.
    pub(crate) fn next(&mut self, operation: Operation, rng: &mut SmallRng) -> Job {
        self.turn = (self.turn + 1) % Table::ALL.len();
        let table = Table::ALL[self.turn];
        let place = if operation == Operation::Insert { None } else { self.choose(table, rng) };
        let keys = &mut self.tables[table as usize];
        match (operation, place) {
            (Operation::Read, None) => Job { operation, table, index: 0, revision: 0 },
            (_, None) => {
                let index = keys.next;
                keys.next += 1;
                Job { operation: Operation::Insert, table, index, revision: 0 }
            }
            (Operation::Update, Some(place)) => {
                let index = keys.known[place];
                keys.busy.insert(index);
                self.revision = self.revision.wrapping_add(1);
                Job { operation, table, index, revision: self.revision }
            }
            // What is to be deleted is not known any more from here on: nobody else chooses it.
            (Operation::Delete, Some(place)) => {
                Job { operation, table, index: keys.known.swap_remove(place), revision: 0 }
            }
            (_, Some(place)) => Job { operation, table, index: keys.known[place], revision: 0 },
        }
    }

    /// A request has ended.
    pub(crate) fn ended(&mut self, job: &Job, effect: Effect) {
        let keys = &mut self.tables[job.table as usize];
        match (job.operation, effect) {
            (Operation::Update, _) => {
                keys.busy.remove(&job.index);
            }
            (Operation::Insert, Effect::Acknowledged) | (Operation::Delete, Effect::None) => {
                keys.known.push(job.index);
            }
            _ => {}
        }
    }

    /// The place of a known key without a write under way, in the neighbourhood of the one that was drawn.
    fn choose(&mut self, table: Table, rng: &mut SmallRng) -> Option<usize> {
        let Keys { known, busy, chooser, .. } = &mut self.tables[table as usize];
        let len = known.len();
        if len <= busy.len() {
            return None;
        }
        match chooser {
            Some(chooser) => chooser.resize(self.exponent, len as u64),
            None => *chooser = Chooser::new(self.distribution, self.exponent, len as u64, 0),
        }
        let drawn = chooser.as_mut()?.next(rng) as usize;
        (0..len).map(|step| (drawn + step) % len).find(|place| !busy.contains(&known[*place]))
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn space() -> (KeySpace, SmallRng) {
        (KeySpace::new(Distribution::Uniform, 0.99, 7), SmallRng::seed_from_u64(1))
    }

    #[test]
    fn inserts_take_the_tables_in_turn_and_go_on_past_what_is_there() {
        let (mut keys, mut rng) = space();
        keys.found(Table::Products, 41);
        keys.found(Table::Products, 3);
        let jobs: Vec<_> = (0..6).map(|_| keys.next(Operation::Insert, &mut rng)).collect();
        let of =
            |table| jobs.iter().filter(|job| job.table == table).map(|job| job.index).collect::<Vec<_>>();
        assert_eq!(of(Table::Products), [42, 43]);
        assert_eq!(of(Table::Users), [0, 1]);
        assert_eq!(of(Table::Orders), [0, 1]);
    }

    #[test]
    fn a_key_has_one_write_at_a_time() {
        let (mut keys, mut rng) = space();
        Table::ALL.iter().for_each(|table| (0..4).for_each(|index| keys.found(*table, index)));
        let updates: Vec<_> = (0..12).map(|_| keys.next(Operation::Update, &mut rng)).collect();
        let distinct: HashSet<_> = updates.iter().map(|job| (job.table as u8, job.index)).collect();
        assert_eq!(distinct.len(), 12, "no key is updated twice at once");
        assert!(updates.iter().all(|job| job.operation == Operation::Update));
        let next = keys.next(Operation::Delete, &mut rng);
        assert_eq!((next.operation, next.index), (Operation::Insert, 4), "all keys are busy");
        keys.ended(&updates[0], Effect::Unknown);
        let revisions: HashSet<_> = updates.iter().map(|job| job.revision).collect();
        assert_eq!(revisions.len(), 12);
    }

    #[test]
    fn acknowledged_inserts_are_chosen_and_deleted_keys_are_not() {
        let (mut keys, mut rng) = space();
        assert_eq!(keys.next(Operation::Read, &mut rng).index, 0, "a read of nothing asks for the first key");
        let inserted: Vec<_> = (0..3).map(|_| keys.next(Operation::Insert, &mut rng)).collect();
        assert_eq!(keys.known(), 0, "not before the acknowledgement");
        inserted.iter().for_each(|job| keys.ended(job, Effect::Acknowledged));
        assert_eq!(keys.known(), 3);
        let deleted: Vec<_> = (0..3).map(|_| keys.next(Operation::Delete, &mut rng)).collect();
        assert!(deleted.iter().all(|job| job.operation == Operation::Delete));
        keys.ended(&deleted[0], Effect::None);
        keys.ended(&deleted[1], Effect::Unknown);
        keys.ended(&deleted[2], Effect::Acknowledged);
        assert_eq!(keys.known(), 1);
    }
}

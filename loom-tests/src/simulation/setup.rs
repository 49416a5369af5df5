//! The database of a simulation: small in every way, so that pages split and merge, the pool evicts, and the log
//! turns over, all the time.

use std::sync::{Arc, OnceLock};

use tree::{Batch, DatabaseOf, Engine, LogScope, Maintenance, Options, Wait};
use wal::MemoryStorage;

use super::Decisions;
use crate::ENGINES;

/// Bytes a page: three or four keys of the usual length split a node.
pub(super) const PAGE: usize = 256;

pub(super) type Tiny = DatabaseOf<PAGE>;

/// The tables that come and go.
pub(super) const TABLES: [&str; 2] = ["t", "u"];

/// The most partitions of a table.
const MOST_PARTITIONS: u32 = 3;

/// How many keys there are at most.
const KEYS: usize = 96;

/// What is fixed for one simulation.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) options: Options,
    /// How many of the keys are used.
    pub(super) keys: usize,
}

impl Setup {
    pub(super) fn draw(decisions: &mut Decisions, engine: Option<Engine>) -> Setup {
        let drawn = decisions.pick(&ENGINES);
        let options = Options {
            engine: engine.unwrap_or(drawn),
            partitions: decisions.pick(&[1, MOST_PARTITIONS]),
            wait: decisions.pick(&[Wait::AfterRelease, Wait::AfterRelease, Wait::UnderLock]),
            log_scope: decisions.pick(&[LogScope::Database, LogScope::Partition]),
            page_images: decisions.one_in(4),
            pool_bytes: decisions.pick(&[Options::MIN_POOL_PAGES, 2 * Options::MIN_POOL_PAGES]) * PAGE,
            log_segment_bytes: 64 << 10,
            log_max_bytes: 256 << 10,
            maintenance: Maintenance::Inline,
            ..Options::default()
        };
        Setup { options, keys: decisions.pick(&[KEYS / 8, KEYS / 2, KEYS]) }
    }

    /// Whether a write whose call has failed is in the log nevertheless: it has waited for the log in there.
    pub(super) fn waits_within_calls(&self) -> bool {
        self.options.engine == Engine::Mutex && self.options.wait == Wait::UnderLock
    }

    pub(super) fn partitions(&self) -> usize {
        self.options.partitions as usize
    }

    /// How many logs there are with so many tables.
    pub(super) fn logs(&self, tables: usize) -> u64 {
        match self.options.log_scope {
            LogScope::Database => 1,
            LogScope::Partition => (tables * self.partitions()) as u64,
        }
    }

    /// The partition of a key.
    pub(super) fn partition(&self, key: &[u8]) -> usize {
        if self.partitions() == 1 { 0 } else { route(key) }
    }
}

/// A key: some are long, so that separators are.
pub(super) fn key(number: usize) -> Vec<u8> {
    let mut key = format!("key{number:02}").into_bytes();
    if number.is_multiple_of(5) {
        key.resize(5 + number % 50, b'-');
    }
    key
}

/// The partition of a key of [`MOST_PARTITIONS`]. How keys are spread is the table's own affair, so it is asked
/// once: each key is put in alone, and the partition that it makes longer is its own.
fn route(key_asked: &[u8]) -> usize {
    static ROUTES: OnceLock<Vec<(Vec<u8>, usize)>> = OnceLock::new();
    let routes = ROUTES.get_or_init(|| {
        let options =
            Options { partitions: MOST_PARTITIONS, maintenance: Maintenance::Inline, ..Options::default() };
        let options = Options { pool_bytes: 4 * Options::MIN_POOL_PAGES * PAGE, ..options };
        let database =
            Tiny::open_on(Arc::new(MemoryStorage::new()), options).expect("memory has no faults to report");
        let table = database.create_table("routes").expect("memory has no faults to report");
        let lengths = || -> Vec<u64> {
            let report = database.check().expect("memory has no faults to report");
            report.partitions.iter().map(|partition| partition.keys).collect()
        };
        let mut before = lengths();
        (0..KEYS)
            .map(|number| {
                let mut batch = Batch::new();
                batch.put(key(number), []);
                table.apply(&batch).and_then(tree::Commit::wait).expect("memory has no faults to report");
                let after = std::mem::replace(&mut before, lengths());
                let grown = after.iter().zip(&before).position(|(old, new)| old < new);
                (key(number), grown.expect("a new key makes a partition longer"))
            })
            .collect()
    });
    let known = routes.iter().find(|(key, _)| key == key_asked);
    known.map(|(_, partition)| *partition).expect("only keys of the simulation are asked for")
}

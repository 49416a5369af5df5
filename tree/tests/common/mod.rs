//! What several tests share.
#![allow(dead_code, unreachable_pub, reason = "a module that each test includes and uses a part of")]

pub mod files;
pub mod slow;

use std::collections::BTreeMap;
use std::sync::Arc;

use tree::{Engine, Maintenance, Options, Result, TableOf};
use wal::MemoryStorage;

/// Small pages: three or four keys of the usual length split a node.
pub const TINY: usize = 256;

/// The engines that are compiled in.
pub fn engines() -> impl Iterator<Item = Engine> {
    [
        #[cfg(feature = "mutex")]
        Engine::Mutex,
        #[cfg(feature = "latch")]
        Engine::Coupled,
    ]
    .into_iter()
}

/// A small pool and a small log, so that both turn over all the time.
pub fn small(engine: Engine) -> Options {
    Options {
        engine,
        partitions: 1,
        pool_bytes: 128 * TINY,
        log_segment_bytes: 64 << 10,
        log_max_bytes: 512 << 10,
        maintenance: Maintenance::Inline,
        ..Options::default()
    }
}

/// What a table holds, or should.
pub type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// All that a scan finds.
pub fn contents<const PAGE: usize>(table: &TableOf<PAGE>) -> Result<Model> {
    table.scan(..).collect()
}

pub fn memory() -> Arc<MemoryStorage> {
    Arc::new(MemoryStorage::new())
}

/// A small generator of repeatable random numbers (splitmix64; Steele, Lea and Flood 2014).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

//! Which operation comes next, and on which key.

use std::str::FromStr;

use rand::RngExt;
use rand::rngs::SmallRng;
use rand_distr::{Distribution as _, Zipf};
use serde::Serialize;

/// What a client asks for.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A put of a new key.
    Insert,
    /// A put of an existing key.
    Update,
    /// A delete of an existing key.
    Delete,
    /// A strong get of an existing key.
    Read,
}

/// Proportions of the operations.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mix {
    /// Puts of new keys.
    pub inserts: u32,
    /// Puts of existing keys.
    pub updates: u32,
    /// Deletes.
    pub deletes: u32,
    /// Strong gets.
    pub reads: u32,
}

impl Mix {
    /// The roadmap's rates: 5 inserts, 2 updates, 1 delete and 10 reads a second.
    pub const ROADMAP: Mix = Mix { inserts: 5, updates: 2, deletes: 1, reads: 10 };
    /// New keys only.
    pub const INSERTS: Mix = Mix { inserts: 1, updates: 0, deletes: 0, reads: 0 };
    /// Existing keys only, so that the tree does not grow.
    pub const UPDATES: Mix = Mix { inserts: 0, updates: 1, deletes: 0, reads: 0 };

    /// The roadmap's writes with `percent` of all operations as reads.
    pub fn with_reads(percent: u32) -> Mix {
        let writes = 100 - percent.min(100);
        let Mix { inserts, updates, deletes, .. } = Mix::ROADMAP;
        let reads = percent * (inserts + updates + deletes);
        Mix { inserts: inserts * writes, updates: updates * writes, deletes: deletes * writes, reads }
    }

    /// Draws the next operation.
    pub fn draw(&self, rng: &mut SmallRng) -> Operation {
        let ticket = rng.random_range(0..self.inserts + self.updates + self.deletes + self.reads);
        if ticket < self.inserts {
            Operation::Insert
        } else if ticket < self.inserts + self.updates {
            Operation::Update
        } else if ticket < self.inserts + self.updates + self.deletes {
            Operation::Delete
        } else {
            Operation::Read
        }
    }
}

impl FromStr for Mix {
    type Err = String;

    /// `5:2:1:10`: inserts, updates, deletes, reads.
    fn from_str(text: &str) -> Result<Mix, String> {
        let bad = || {
            format!(
                "`{text}` is not a mix: write four proportions up to 1000000, inserts:updates:deletes:reads, \
                 as 5:2:1:10"
            )
        };
        let parts: Vec<u32> = text.split(':').map(str::parse).collect::<Result<_, _>>().map_err(|_| bad())?;
        match parts[..] {
            [inserts, updates, deletes, reads]
                if parts.iter().all(|part| *part <= 1_000_000) && parts.iter().any(|part| *part > 0) =>
            {
                Ok(Mix { inserts, updates, deletes, reads })
            }
            _ => Err(bad()),
        }
    }
}

impl std::fmt::Display for Mix {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}:{}:{}:{}", self.inserts, self.updates, self.deletes, self.reads)
    }
}

/// How existing keys are chosen.
#[derive(Copy, Clone, Debug, PartialEq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Distribution {
    /// Each key equally often.
    Uniform,
    /// Few keys often: the oldest key most, by a power law (see `--zipf-exponent`).
    Zipf,
    /// One after the other, round and round.
    Sequential,
}

/// One client's choice among `len` existing keys.
#[derive(Debug)]
pub enum Chooser {
    /// See [`Distribution::Uniform`].
    Uniform(u64),
    /// See [`Distribution::Zipf`].
    Zipf(Zipf<f64>, u64),
    /// See [`Distribution::Sequential`]: the next index and the length.
    Sequential(u64, u64),
}

impl Chooser {
    /// A choice among `len` keys; sequential ones begin at `offset`. `None` where there are no keys.
    pub fn new(distribution: Distribution, exponent: f64, len: u64, offset: u64) -> Option<Chooser> {
        if len == 0 {
            return None;
        }
        Some(match distribution {
            Distribution::Uniform => Chooser::Uniform(len),
            Distribution::Zipf => Chooser::Zipf(Zipf::new(len as f64, exponent).ok()?, len),
            Distribution::Sequential => Chooser::Sequential(offset % len, len),
        })
    }

    /// Goes on among `len` keys, one at least; `exponent` is that of [`Chooser::new`].
    pub fn resize(&mut self, exponent: f64, len: u64) {
        let now = len.max(1);
        match self {
            Chooser::Uniform(len) => *len = now,
            Chooser::Zipf(zipf, len) if *len != now => {
                if let Ok(resized) = Zipf::new(now as f64, exponent) {
                    (*zipf, *len) = (resized, now);
                }
            }
            Chooser::Zipf(..) => {}
            Chooser::Sequential(next, len) => (*next, *len) = (*next % now, now),
        }
    }

    /// The next index, below the length.
    pub fn next(&mut self, rng: &mut SmallRng) -> u64 {
        match self {
            Chooser::Uniform(len) => rng.random_range(0..*len),
            Chooser::Zipf(zipf, len) => (zipf.sample(rng) as u64).clamp(1, *len) - 1,
            Chooser::Sequential(next, len) => {
                let index = *next;
                *next = (index + 1) % *len;
                index
            }
        }
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn drawn_operations_keep_their_proportions() {
        let mut rng = SmallRng::seed_from_u64(1);
        let draws: Vec<_> = (0..18_000).map(|_| Mix::ROADMAP.draw(&mut rng)).collect();
        let count = |operation| draws.iter().filter(|drawn| **drawn == operation).count();
        assert!((4_500..5_500).contains(&count(Operation::Insert)));
        assert!((1_700..2_300).contains(&count(Operation::Update)));
        assert!((800..1_200).contains(&count(Operation::Delete)));
        assert!((9_500..10_500).contains(&count(Operation::Read)));
    }

    #[test]
    fn reads_in_percent_leave_the_writes_their_proportions() {
        let mix = Mix::with_reads(50);
        assert_eq!(mix.inserts + mix.updates + mix.deletes, mix.reads);
        assert_eq!(mix.inserts * 2, mix.updates * 5);
        assert_eq!(Mix::with_reads(100).inserts, 0);
        assert_eq!(Mix::with_reads(0).reads, 0);
    }

    #[test]
    fn mixes_that_are_none_are_refused() {
        assert_eq!("5:2:1:10".parse(), Ok(Mix::ROADMAP));
        for bad in ["", "1:2:3", "0:0:0:0", "1:1:1:-1", "a:b:c:d", "1:1:1:4294967295"] {
            assert!(bad.parse::<Mix>().is_err(), "{bad}");
        }
    }

    #[test]
    fn every_choice_is_an_existing_key() {
        let mut rng = SmallRng::seed_from_u64(2);
        for distribution in [Distribution::Uniform, Distribution::Zipf, Distribution::Sequential] {
            for len in [1, 2, 1_000] {
                let mut chooser = Chooser::new(distribution, 0.99, len, 7).unwrap();
                assert!((0..2_000).all(|_| chooser.next(&mut rng) < len));
            }
            assert!(Chooser::new(distribution, 0.99, 0, 0).is_none());
        }
    }

    #[test]
    fn a_choice_follows_keys_that_come_and_go() {
        let mut rng = SmallRng::seed_from_u64(4);
        for distribution in [Distribution::Uniform, Distribution::Zipf, Distribution::Sequential] {
            let mut chooser = Chooser::new(distribution, 0.99, 10, 9).unwrap();
            chooser.resize(0.99, 3);
            assert!((0..200).all(|_| chooser.next(&mut rng) < 3));
            chooser.resize(0.99, 200);
            assert!((0..2_000).any(|_| chooser.next(&mut rng) > 100));
        }
    }

    #[test]
    fn zipf_prefers_the_oldest_keys() {
        let mut rng = SmallRng::seed_from_u64(3);
        let mut chooser = Chooser::new(Distribution::Zipf, 0.99, 10_000, 0).unwrap();
        let hot = (0..10_000).filter(|_| chooser.next(&mut rng) < 100).count();
        assert!(hot > 4_000, "{hot}");
    }
}

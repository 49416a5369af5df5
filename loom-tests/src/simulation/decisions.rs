//! Where the decisions of a simulation come from.

/// A source of decisions: a stream of random numbers, or the bytes of a fuzzer. Equal sources decide alike.
#[derive(Clone, Debug)]
pub struct Decisions(Source);

#[derive(Clone, Debug)]
enum Source {
    /// splitmix64 (Steele, Lea and Flood, OOPSLA 2014).
    Seed(u64),
    /// Bytes that are left, last one first.
    Bytes(Vec<u8>),
}

impl Decisions {
    /// An endless source.
    pub fn from_seed(seed: u64) -> Decisions {
        // Neighbouring seeds are moved apart: splitmix64 counts up.
        Decisions(Source::Seed(seed.wrapping_mul(0xd6e8_feb8_6659_fd93)))
    }

    /// A source that ends with the bytes. Behind the end every decision is 0.
    pub fn from_bytes(bytes: &[u8]) -> Decisions {
        Decisions(Source::Bytes(bytes.iter().rev().copied().collect()))
    }

    /// Whether the source has ended.
    pub fn exhausted(&self) -> bool {
        matches!(&self.0, Source::Bytes(bytes) if bytes.is_empty())
    }

    /// A number of `0..bound`. Takes as few bytes as can make any such number, so that a fuzzer's change of one
    /// byte is the change of one decision.
    ///
    /// # Panics
    /// If `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        let number = match &mut self.0 {
            Source::Seed(state) => next(state),
            Source::Bytes(bytes) => {
                let width = (bound - 1).checked_ilog2().map_or(0, |bits| bits / 8 + 1);
                (0..width).fold(0, |number, _| number << 8 | u64::from(bytes.pop().unwrap_or(0)))
            }
        };
        number % bound
    }

    /// True one time in `times`.
    ///
    /// # Panics
    /// If `times` is 0.
    pub fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// One of the choices.
    ///
    /// # Panics
    /// If there is none.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }
}

fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

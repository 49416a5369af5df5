//! Delays where threads interleave, so that stress tests meet orders that are rare otherwise.

/// Holds this thread up now and then: yields in one of twenty calls, sleeps up to 50 µs in one of a hundred, drawn
/// from a generator of the thread's own. Does nothing without the feature `delays`, and in models, whose schedulers
/// do better.
#[doc(hidden)]
#[inline]
pub fn delay() {
    #[cfg(all(feature = "delays", not(any(feature = "loom", feature = "shuttle"))))]
    drawn::delay();
}

#[cfg(all(feature = "delays", not(any(feature = "loom", feature = "shuttle"))))]
mod drawn {
    use std::cell::Cell;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    /// The seed of the next thread.
    static SEEDS: AtomicU64 = AtomicU64::new(1);

    thread_local! {
        static STATE: Cell<u64> = Cell::new(SEEDS.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    }

    pub(super) fn delay() {
        // Xorshift (Marsaglia 2003).
        let mut x = STATE.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        STATE.set(x);
        match (x >> 32) % 100 {
            0 => std::thread::sleep(Duration::from_micros(x % 50)),
            1..6 => std::thread::yield_now(),
            _ => {}
        }
    }
}

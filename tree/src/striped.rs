//! A counter for the hot path: each thread adds on a cache line of its own.
//!
//! A counter that all threads share would have its line travel between their cores with every addition, and so cost
//! more than what it counts. Here a thread leases a stripe for as long as it lives. Nobody else adds to that, so that
//! a plain load and store suffice, and no addition is lost. Threads beyond those that there are stripes for share the
//! last ones, by atomic additions.

use std::cell::Cell;

use crate::sync::{Ordering, PlainU64, PlainUsize};

const IN_MODEL: bool = cfg!(any(feature = "loom", feature = "shuttle"));
/// Stripes that one thread has for itself: no more than `LEASED` has bits.
const OWN: usize = if IN_MODEL { 1 } else { 64 };
/// Stripes behind them that threads share.
const SHARED: usize = if IN_MODEL { 2 } else { 16 };

/// Bit `n`: a living thread has leased stripe `n`.
static LEASED: PlainU64 = PlainU64::new(0);
/// Threads that came too late for a lease.
static LATE: PlainUsize = PlainUsize::new(0);

thread_local! {
    /// The thread's stripe in every counter, as soon as it has added to one. Needs no destructor, so that it can be
    /// read at any time, and without a look at whether it was initialised.
    static MINE: Cell<Option<usize>> = const { Cell::new(None) };
    static LEASE: Option<Lease> = Lease::take();
}

/// Counts up, and orders nothing.
#[derive(Debug)]
pub(crate) struct Striped(Box<[Stripe]>);

/// Two cache lines: processors fetch them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe(PlainU64);

impl Striped {
    pub(crate) fn new() -> Self {
        Self((0..OWN + SHARED).map(|_| Stripe::default()).collect())
    }

    #[inline]
    pub(crate) fn add(&self, n: u64) {
        let mine = MINE.get().unwrap_or_else(choose);
        let count = &self.0[mine].0;
        if mine < OWN {
            count.store(count.load(Ordering::Relaxed) + n, Ordering::Relaxed);
        } else {
            count.fetch_add(n, Ordering::Relaxed);
        }
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.iter().map(|stripe| stripe.0.load(Ordering::Relaxed)).sum()
    }
}

/// Chooses this thread's stripe.
#[cold]
fn choose() -> usize {
    // The lease is gone already where a thread's last destructors count: those share.
    let lease = LEASE.try_with(|lease| lease.as_ref().map(|lease| lease.0));
    let mine = lease.ok().flatten().unwrap_or_else(shared);
    MINE.set(Some(mine));
    mine
}

fn shared() -> usize {
    OWN + LATE.fetch_add(1, Ordering::Relaxed) % SHARED
}

/// The right to a stripe, returned when its thread ends.
struct Lease(usize);

impl Lease {
    fn take() -> Option<Self> {
        let free = |leased: u64| (leased.trailing_ones() as usize) < OWN;
        // Acquire: what the last holder has added is there to be added to.
        let taken = LEASED.fetch_update(Ordering::Acquire, Ordering::Relaxed, |leased| {
            free(leased).then_some(leased | leased.wrapping_add(1))
        });
        Some(Self(taken.ok()?.trailing_ones() as usize))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        MINE.set(Some(shared()));
        LEASED.fetch_and(!(1 << self.0), Ordering::Release);
    }
}

#[cfg(all(test, not(any(feature = "loom", feature = "shuttle"))))]
mod tests {
    use super::*;

    /// Adds from so many threads that are there at the same time.
    fn add_from(threads: usize, counter: &Striped, times: u64) {
        let all_there = std::sync::Barrier::new(threads);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    counter.add(1);
                    all_there.wait();
                    (1..times).for_each(|_| counter.add(1));
                });
            }
        });
    }

    #[test]
    fn nothing_is_lost_with_more_threads_than_stripes() {
        let counter = Striped::new();
        let threads = OWN + 2 * SHARED;
        add_from(threads, &counter, 1_000);
        assert_eq!(counter.get(), 1_000 * threads as u64);
        let late: u64 = counter.0[OWN..].iter().map(|stripe| stripe.0.load(Ordering::Relaxed)).sum();
        assert!(late >= 1_000 * 2 * SHARED as u64, "{late}");
    }

    #[test]
    fn a_stripe_goes_on_from_what_its_last_thread_has_left() {
        let counter = Striped::new();
        for _ in 0..3 * OWN {
            add_from(1, &counter, 10);
        }
        assert_eq!(counter.get(), 30 * OWN as u64);
    }
}

//! Every primitive that threads meet at, in one place, so that the same source runs under a model
//! checker with the feature `loom` or `shuttle`. Both sides have the shape of parking_lot: locking answers a guard, never a poison error.

pub(crate) use primitives::{AtomicBool, AtomicU64, Deadline, Mutex, MutexGuard, Pause, thread};

/// Counters that only statistics read: no protocol rests on them, so a model does not explore them.
pub(crate) use std::sync::atomic::AtomicU64 as Counter;
pub(crate) use std::sync::atomic::Ordering;

use primitives::Futex;

/// Where threads sleep until something is published: an event count on one futex word.
///
/// Read [`Gate::value`], then check for the event, then [`Gate::wait`] for a change of that value. Who publishes
/// does so before it opens the gate, so an opening that came before the read has its event seen by the check, and
/// one that came after it keeps the wait from sleeping. (Only 2^32 openings between the read and the wait would go
/// unnoticed.)
#[derive(Debug, Default)]
pub(crate) struct Gate(Futex);

impl Gate {
    pub(crate) fn value(&self) -> u32 {
        self.0.0.load(Ordering::Acquire)
    }

    /// Sleeps while the value is still `seen`. May return for no reason.
    pub(crate) fn wait(&self, seen: u32) {
        self.0.wait(seen);
    }

    /// Changes the value and wakes every sleeper.
    pub(crate) fn open(&self) {
        self.change();
        self.0.wake_all();
    }

    /// Changes the value and wakes one sleeper, if there is any.
    pub(crate) fn let_one_through(&self) {
        self.change();
        self.0.wake_one();
    }

    fn change(&self) {
        // Release: who reads the value sees the event.
        self.0.0.fetch_add(
            1,
            if planted!("gate-opened-relaxed") { Ordering::Relaxed } else { Ordering::Release },
        );
    }
}

#[cfg(not(any(feature = "loom", feature = "shuttle")))]
mod primitives {
    use std::time::{Duration, Instant};

    use parking_lot::Condvar;
    pub(crate) use parking_lot::{Mutex, MutexGuard};
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
    pub(crate) use std::thread;

    /// A word that threads sleep on while it has a value they have seen: Linux's futex.
    #[derive(Debug, Default)]
    pub(crate) struct Futex(pub(crate) AtomicU32);

    impl Futex {
        /// Sleeps while the word is still `seen`. May return for no reason.
        pub(crate) fn wait(&self, seen: u32) {
            crate::delay();
            atomic_wait::wait(&self.0, seen);
        }

        pub(crate) fn wake_all(&self) {
            atomic_wait::wake_all(&self.0);
        }

        pub(crate) fn wake_one(&self) {
            atomic_wait::wake_one(&self.0);
        }
    }

    /// A sleep that another thread can cut short.
    #[derive(Debug, Default)]
    pub(crate) struct Pause {
        cut: Mutex<bool>,
        changed: Condvar,
    }

    impl Pause {
        pub(crate) fn sleep(&self, length: Duration) {
            let mut cut = self.cut.lock();
            if !*cut {
                self.changed.wait_for(&mut cut, length);
            }
            *cut = false;
        }

        /// Ends the sleep under way, or the next one.
        pub(crate) fn cut(&self) {
            *self.cut.lock() = true;
            self.changed.notify_one();
        }
    }

    /// A bound of a wait that yields.
    pub(crate) struct Deadline(Instant);

    impl Deadline {
        pub(crate) fn after(length: Duration) -> Deadline {
            Deadline(Instant::now() + length)
        }

        pub(crate) fn passed(&self) -> bool {
            Instant::now() >= self.0
        }
    }
}

#[cfg(any(feature = "loom", feature = "shuttle"))]
mod primitives {
    use std::sync::PoisonError;
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    #[cfg(feature = "loom")]
    use loom as checker;
    #[cfg(not(feature = "loom"))]
    use shuttle as checker;

    use checker::sync::Condvar;
    pub(crate) use checker::sync::MutexGuard;
    pub(crate) use checker::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
    pub(crate) use checker::thread;

    /// The checker's mutex in the shape of parking_lot's.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(checker::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Mutex<T> {
            Mutex(checker::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }

        pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            self.0.try_lock().ok()
        }
    }

    /// The model of a futex: comparing the word and falling asleep are one step, and a sleeper is woken by a
    /// wake-up only, not by a mere change of the word.
    #[derive(Debug, Default)]
    pub(crate) struct Futex(pub(crate) AtomicU32, Sleepers);

    #[derive(Debug, Default)]
    struct Sleepers {
        kernel: Mutex<()>,
        woken: Condvar,
    }

    impl Futex {
        pub(crate) fn wait(&self, seen: u32) {
            let kernel = self.1.kernel.lock();
            if self.0.load(Ordering::Relaxed) == seen {
                drop(self.1.woken.wait(kernel).unwrap_or_else(PoisonError::into_inner));
            }
        }

        pub(crate) fn wake_all(&self) {
            drop(self.1.kernel.lock());
            self.1.woken.notify_all();
        }

        pub(crate) fn wake_one(&self) {
            drop(self.1.kernel.lock());
            self.1.woken.notify_one();
        }
    }

    /// Time does not pass in a model: a pause is a chance for the others.
    #[derive(Debug, Default)]
    pub(crate) struct Pause {}

    impl Pause {
        pub(crate) fn sleep(&self, _length: Duration) {
            thread::yield_now();
        }

        pub(crate) fn cut(&self) {}
    }

    /// Passes after one look, so that loops end.
    pub(crate) struct Deadline(std::cell::Cell<bool>);

    impl Deadline {
        pub(crate) fn after(_length: Duration) -> Deadline {
            Deadline(std::cell::Cell::new(false))
        }

        pub(crate) fn passed(&self) -> bool {
            self.0.replace(true)
        }
    }
}

//! Every synchronisation primitive of this crate, in one place.
//!
//! Ordinary builds get parking_lot's locks, std's atomics and crossbeam's epochs. With the feature `loom` or
//! `shuttle` the same names stand for a model checker's types, so that the models check the very source that runs.
//! Nothing else in the crate names std::sync's primitives, parking_lot, crossbeam-epoch or rayon.
//!
//! `Arc` and `OnceLock` are std's everywhere: they are never what a model is about. Nor are the plain integers, for
//! counts that nothing rests on: in a model they are no steps, which would only be more ways to go.

pub(crate) use imp::*;
pub(crate) use std::sync::atomic::{AtomicU64 as PlainU64, AtomicUsize as PlainUsize};
pub(crate) use std::sync::{Arc, OnceLock};
pub(crate) use wal::delay;

#[cfg(not(feature = "loom"))]
pub(crate) use cell::{ConstPtr, MutPtr, UnsafeCell};
#[cfg(feature = "loom")]
pub(crate) use loom::cell::{ConstPtr, MutPtr, UnsafeCell};

#[cfg(not(any(feature = "loom", feature = "shuttle")))]
mod imp {
    use rayon::prelude::*;

    pub(crate) use crossbeam_epoch as epoch;
    pub(crate) use parking_lot::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering};

    /// Lets other threads run between two attempts.
    pub(crate) fn yield_now() {
        std::thread::yield_now();
    }

    /// Calls `work` with every item, side by side on all cores; the answers are in the order of the items.
    pub(crate) fn in_parallel<T: Send, R: Send>(
        items: impl IntoIterator<Item = T>,
        work: impl Fn(T) -> R + Send + Sync,
    ) -> Vec<R> {
        items.into_iter().collect::<Vec<_>>().into_par_iter().map(work).collect()
    }
}

#[cfg(not(feature = "loom"))]
mod cell {
    /// `UnsafeCell` in loom's shape: a pointer object marks how long an access lasts.
    #[derive(Debug)]
    pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

    pub(crate) struct ConstPtr<T>(*const T);
    pub(crate) struct MutPtr<T>(*mut T);

    impl<T> UnsafeCell<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(std::cell::UnsafeCell::new(value))
        }
        #[inline]
        pub(crate) fn get(&self) -> ConstPtr<T> {
            ConstPtr(self.0.get())
        }
        #[inline]
        pub(crate) fn get_mut(&self) -> MutPtr<T> {
            MutPtr(self.0.get())
        }
    }

    impl<T> ConstPtr<T> {
        /// # Safety
        /// Nobody writes to the cell while the reference lives.
        #[inline]
        pub(crate) unsafe fn deref(&self) -> &T {
            // SAFETY: the pointer comes from a live cell; the caller vouches for the absence of writers.
            unsafe { &*self.0 }
        }
    }

    impl<T> MutPtr<T> {
        /// # Safety
        /// Nobody else reads or writes the cell while the reference lives.
        #[inline]
        #[allow(clippy::mut_from_ref)]
        pub(crate) unsafe fn deref(&self) -> &mut T {
            // SAFETY: the pointer comes from a live cell; the caller vouches for exclusive access.
            unsafe { &mut *self.0 }
        }
    }
}

#[cfg(any(feature = "loom", feature = "shuttle"))]
mod imp {
    use std::sync::PoisonError;

    #[cfg(feature = "loom")]
    use loom as checker;
    #[cfg(not(feature = "loom"))]
    use shuttle as checker;

    pub(crate) use checker::sync::atomic::{
        AtomicBool, AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering,
    };
    pub(crate) use checker::sync::{MutexGuard, RwLockReadGuard, RwLockWriteGuard};
    pub(crate) use checker::thread::yield_now;

    /// One item after the other: a checker knows its own threads only.
    pub(crate) fn in_parallel<T, R>(
        items: impl IntoIterator<Item = T>,
        work: impl Fn(T) -> R + Send + Sync,
    ) -> Vec<R> {
        items.into_iter().map(work).collect()
    }

    /// The checker's mutex in parking_lot's shape.
    #[derive(Debug)]
    pub(crate) struct Mutex<T>(checker::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(checker::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    /// The checker's lock in parking_lot's shape.
    #[derive(Debug)]
    pub(crate) struct RwLock<T>(checker::sync::RwLock<T>);

    impl<T> RwLock<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(checker::sync::RwLock::new(value))
        }

        pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
            self.0.read().unwrap_or_else(PoisonError::into_inner)
        }

        pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
            self.0.write().unwrap_or_else(PoisonError::into_inner)
        }

        pub(crate) fn try_read(&self) -> Option<RwLockReadGuard<'_, T>> {
            self.0.try_read().ok()
        }

        pub(crate) fn try_write(&self) -> Option<RwLockWriteGuard<'_, T>> {
            self.0.try_write().ok()
        }
    }

    /// The contract of crossbeam's epochs, at its weakest: what was deferred runs as soon as no pin that it
    /// has to wait for is left, and never before.
    pub(crate) mod epoch {
        use std::cell::RefCell;

        type Action = Box<dyn FnOnce()>;

        #[derive(Default)]
        struct Epochs {
            next: u64,
            pins: Vec<u64>,
            /// Each action, and the pins that were there when it was deferred.
            deferred: Vec<(Vec<u64>, Action)>,
        }

        thread_local! {
            // A checker runs all threads of a model on one thread of the system, one at a time.
            static EPOCHS: RefCell<Epochs> = RefCell::default();
        }

        #[derive(Debug)]
        pub(crate) struct Guard(u64);

        pub(crate) fn pin() -> Guard {
            EPOCHS.with_borrow_mut(|epochs| {
                epochs.next += 1;
                let pin = epochs.next;
                epochs.pins.push(pin);
                Guard(pin)
            })
        }

        impl Guard {
            pub(crate) fn defer(&self, action: impl FnOnce() + Send + 'static) {
                EPOCHS.with_borrow_mut(|epochs| {
                    let waits_for = epochs.pins.iter().copied().filter(|pin| *pin != self.0).collect();
                    epochs.deferred.push((waits_for, Box::new(action)));
                });
            }

            pub(crate) fn flush(&self) {}
        }

        impl Drop for Guard {
            fn drop(&mut self) {
                // Actions take locks, which are switch points of the model: not under the borrow.
                for action in unpin(self.0) {
                    action();
                }
            }
        }

        fn unpin(pin: u64) -> Vec<Action> {
            EPOCHS.with_borrow_mut(|epochs| {
                epochs.pins.retain(|other| *other != pin);
                epochs.deferred.iter_mut().for_each(|(waits_for, _)| waits_for.retain(|other| *other != pin));
                let ready = epochs.deferred.extract_if(.., |(waits_for, _)| waits_for.is_empty());
                ready.map(|(_, action)| action).collect()
            })
        }
    }
}

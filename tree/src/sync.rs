//! Every synchronisation primitive of this crate, in one place.
//!
//! Ordinary builds get parking_lot's locks, std's atomics and crossbeam's epochs; with the feature `loom`
//! the same names stand for loom's model types, so that the models check the very source that runs.
//! Nothing else in the crate names std::sync's primitives, parking_lot or crossbeam-epoch.
//!
//! `Arc` and `OnceLock` are std's in both: they are never what a model is about.

pub(crate) use imp::*;
pub(crate) use std::sync::{Arc, OnceLock};

#[cfg(not(feature = "loom"))]
mod imp {
    pub(crate) use crossbeam_epoch as epoch;
    pub(crate) use parking_lot::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering};

    /// Lets other threads run between two attempts.
    pub(crate) fn yield_now() {
        std::thread::yield_now();
    }

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

#[cfg(feature = "loom")]
mod imp {
    use std::sync::PoisonError;

    pub(crate) use loom::cell::{ConstPtr, MutPtr, UnsafeCell};
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering};
    pub(crate) use loom::sync::{MutexGuard, RwLockReadGuard, RwLockWriteGuard};
    pub(crate) use loom::thread::yield_now;

    /// loom's mutex in parking_lot's shape.
    #[derive(Debug)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    /// loom's lock in parking_lot's shape.
    #[derive(Debug)]
    pub(crate) struct RwLock<T>(loom::sync::RwLock<T>);

    impl<T> RwLock<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::RwLock::new(value))
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
            // loom runs all threads of a model on one thread of the system, one at a time.
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

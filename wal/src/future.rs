//! Waiting for the log as a future, for any runtime.
//!
//! No wake-up is lost: a future registers its waker and checks what is durable under one lock, and whoever
//! publishes takes that lock afterwards. Either the publisher finds the waker, or the check finds what was
//! published.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::sync::Mutex;
use crate::{Error, Log, Lsn};

/// The futures that wait.
#[derive(Debug, Default)]
pub(crate) struct Wakers {
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// By LSN, so that a flush finds those it has served at the front; the number tells equal LSNs apart.
    wakers: BTreeMap<(u64, u64), Waker>,
    next_number: u64,
}

impl Wakers {
    /// The highest position that a future waits for.
    pub(crate) fn last(&self) -> Option<u64> {
        self.waiting.lock().wakers.last_key_value().map(|(&(lsn, _), _)| lsn)
    }

    /// Wakes every future that waits for a position up to `reached`.
    pub(crate) fn wake(&self, reached: u64) {
        let served = {
            let mut waiting = self.waiting.lock();
            match waiting.wakers.first_key_value() {
                Some((&(lsn, _), _)) if lsn <= reached => {}
                _ => return,
            }
            let later = waiting.wakers.split_off(&(reached.saturating_add(1), 0));
            std::mem::replace(&mut waiting.wakers, later)
        };
        served.into_values().for_each(Waker::wake);
    }
}

/// Becomes ready when the log is durable up to an LSN, or is poisoned. From [`Log::wait_async`].
///
/// It does nothing before it is first polled, and may be dropped at any time.
#[derive(Debug)]
#[must_use = "a future does nothing unless it is polled"]
pub struct Durable {
    log: Arc<Log>,
    lsn: u64,
    /// The number that the waker is registered by.
    number: Option<u64>,
}

impl Durable {
    pub(crate) fn new(log: Arc<Log>, lsn: Lsn) -> Durable {
        Durable { log, lsn: lsn.get(), number: None }
    }

    fn deregister(&mut self) {
        if let Some(number) = self.number.take() {
            let removed = self.log.core.wakers.waiting.lock().wakers.remove(&(self.lsn, number));
            // Dropped without the lock: it may be the last handle of a task that holds such futures.
            drop(removed);
        }
    }

    /// Registers the waker; answers the outcome instead where there already is one.
    fn register(&mut self, waker: &Waker) -> Option<Result<(), Error>> {
        let core = &self.log.core;
        let mut waiting = core.wakers.waiting.lock();
        if let Some(outcome) = core.outcome(self.lsn) {
            return Some(outcome);
        }
        let number = *self.number.get_or_insert_with(|| {
            core.arrive();
            waiting.next_number += 1;
            waiting.next_number
        });
        let replaced = waiting.wakers.insert((self.lsn, number), waker.clone());
        drop(waiting);
        drop(replaced);
        None
    }
}

impl Future for Durable {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let first = this.number.is_none();
        let outcome = match this.log.core.outcome(this.lsn) {
            Some(outcome) => Some(outcome),
            None if first => this.log.core.check_exists(this.lsn).err().map(Err),
            None => None,
        };
        if let Some(outcome) = outcome.or_else(|| this.register(context.waker())) {
            this.deregister();
            return Poll::Ready(outcome);
        }
        if first {
            if let Err(error) = this.log.background.start(&this.log.core) {
                this.deregister();
                return Poll::Ready(Err(error));
            }
            this.log.core.orders.waiting.open();
        }
        Poll::Pending
    }
}

impl Drop for Durable {
    fn drop(&mut self) {
        self.deregister();
    }
}

//! Waiting for the log as a future, for any runtime.
//!
//! A future cannot lead a flush, since that blocks. The first one that has to wait starts a thread which
//! waits in the place of all futures, by the same protocol as any blocking waiter; it leads or follows.
//!
//! No wake-up is lost: a future registers its waker and checks what is durable under one lock, and whoever
//! publishes takes that lock afterwards. Either the publisher finds the waker, or the check finds what was
//! published.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::commit::{Core, Urgency};
use crate::sync::{Gate, Mutex, thread};
use crate::{Error, Log, Lsn};

/// The futures that wait, and the signal for the thread that waits for them.
#[derive(Debug, Default)]
pub(crate) struct Wakers {
    waiting: Mutex<Waiting>,
    changed: Gate,
}

#[derive(Debug, Default)]
struct Waiting {
    /// By LSN, so that a flush finds those it has served at the front; the number tells equal LSNs apart.
    wakers: BTreeMap<(u64, u64), Waker>,
    next_number: u64,
    stopped: bool,
}

impl Wakers {
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
            self.log.core.wakers.waiting.lock().wakers.remove(&(self.lsn, number));
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
        waiting.wakers.insert((self.lsn, number), waker.clone());
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
            if let Err(error) = this.log.flusher.start(&this.log.core) {
                this.deregister();
                return Poll::Ready(Err(error));
            }
            this.log.core.wakers.changed.open();
        }
        Poll::Pending
    }
}

impl Drop for Durable {
    fn drop(&mut self) {
        self.deregister();
    }
}

/// The thread that waits in the place of futures; started by the first one that has to.
#[derive(Debug, Default)]
pub(crate) struct Flusher(Mutex<Option<thread::JoinHandle<()>>>);

impl Flusher {
    fn start(&self, core: &Arc<Core>) -> Result<(), Error> {
        let mut thread = self.0.lock();
        if thread.is_none() {
            let shared = Arc::clone(core);
            let builder = thread::Builder::new().name("wal-flusher".to_owned());
            let started = builder.spawn(move || run(&shared));
            *thread = Some(started.map_err(Error::io("start the flusher of", core.segments.name.clone()))?);
        }
        Ok(())
    }

    /// Stops the thread and waits for its end.
    pub(crate) fn stop(&self, core: &Core) {
        let Some(thread) = self.0.lock().take() else { return };
        core.wakers.waiting.lock().stopped = true;
        core.wakers.changed.open();
        // A waker may drop the last handle of the log, and it runs on this very thread if that has led.
        if thread.thread().id() != thread::current().id() {
            // A thread that has panicked has poisoned the log already.
            let _ = thread.join();
        }
    }
}

fn run(core: &Core) {
    loop {
        let value = core.wakers.changed.value();
        let last = {
            let waiting = core.wakers.waiting.lock();
            if waiting.stopped {
                return;
            }
            waiting.wakers.last_key_value().map(|(&(lsn, _), _)| lsn)
        };
        match last {
            Some(lsn) => {
                // An error is told to the futures by the poison.
                let _ = core.wait(lsn, Urgency::ByPolicy);
                // The leader does this too, but later than it publishes: until then, this loop would spin.
                core.wake_futures();
            }
            None => core.wakers.changed.wait(value),
        }
    }
}

//! The threads of a log that futures wait for; a log that is waited for by threads only has none.
//!
//! A future cannot lead a flush, since that blocks. The first one that has to wait starts the flusher, which
//! waits in the place of all futures, by the same protocol as any blocking waiter: it leads or follows. It
//! must not be held up by the making of a segment, as a thread that leads now and then can be, so a second
//! thread does that.

use std::sync::Arc;

use crate::Error;
use crate::commit::{Core, Urgency};
use crate::sync::{AtomicBool, Gate, Mutex, Ordering, thread};

/// The handles of the threads.
#[derive(Debug, Default)]
pub(crate) struct Background(Mutex<Vec<thread::JoinHandle<()>>>);

/// What the threads are told.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    stopped: AtomicBool,
    /// Opened when a future has come to wait.
    pub(crate) waiting: Gate,
    /// Whether the thread that makes segments runs.
    preparing: AtomicBool,
    segment_wanted: AtomicBool,
    /// Opened when a segment is wanted.
    segments: Gate,
}

impl Orders {
    /// Leaves the making of a segment to the thread for it, where it runs.
    pub(crate) fn delegate_segment(&self) -> bool {
        let delegated = self.preparing.load(Ordering::Acquire);
        if delegated && !self.segment_wanted.swap(true, Ordering::AcqRel) {
            self.segments.open();
        }
        delegated
    }
}

impl Background {
    /// Starts the threads, unless they run.
    pub(crate) fn start(&self, core: &Arc<Core>) -> Result<(), Error> {
        let mut threads = self.0.lock();
        if !threads.is_empty() {
            return Ok(());
        }
        threads.push(spawn(core, "wal-flusher", flush_for_futures)?);
        // Where threads are short, or have to be few as in an exhaustive model, leaders make the segments.
        if cfg!(not(feature = "loom"))
            && let Ok(preparer) = spawn(core, "wal-segments", prepare_segments)
        {
            threads.push(preparer);
            core.orders.preparing.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Stops the threads and waits for their end.
    pub(crate) fn stop(&self, core: &Core) {
        let threads = std::mem::take(&mut *self.0.lock());
        core.orders.stopped.store(true, Ordering::Release);
        core.orders.waiting.open();
        core.orders.segments.open();
        if !threads.is_empty() {
            core.hurry();
        }
        for thread in threads {
            // A waker may drop the last handle of the log, on the very thread that has woken it.
            if thread.thread().id() != thread::current().id() {
                // A thread that has panicked has poisoned the log already.
                let _ = thread.join();
            }
        }
    }
}

fn spawn(core: &Arc<Core>, name: &str, run: fn(&Core)) -> Result<thread::JoinHandle<()>, Error> {
    let shared = Arc::clone(core);
    let thread = thread::Builder::new().name(name.to_owned()).spawn(move || run(&shared));
    thread.map_err(Error::io("start a thread for", core.segments.name.clone()))
}

fn flush_for_futures(core: &Core) {
    loop {
        let value = core.orders.waiting.value();
        if core.orders.stopped.load(Ordering::Acquire) {
            return;
        }
        match core.wakers.last() {
            Some(lsn) => {
                // An error is told to the futures by the poison.
                let _ = core.wait(lsn, Urgency::ByPolicy);
                // The leader does this too, but later than it publishes: until then, this loop would spin.
                core.wake_futures();
            }
            None => core.orders.waiting.wait(value),
        }
    }
}

fn prepare_segments(core: &Core) {
    loop {
        let value = core.orders.segments.value();
        if core.orders.stopped.load(Ordering::Acquire) {
            return;
        }
        if core.orders.segment_wanted.swap(false, Ordering::AcqRel) {
            core.prepare_segment();
        } else {
            core.orders.segments.wait(value);
        }
    }
}

//! Histories of concurrent operations, and whether one order of them explains every answer.
//!
//! Each client notes the calls that it makes of a table and the answers that it gets, between two readings of one
//! clock that all clients share. [`Recorder::check`] then looks, key by key, for an order of the operations in which
//! none moves out of its interval and every answer is what a plain map would have given: linearizability (Herlihy and
//! Wing, 1990). It is decided by the algorithm of Wing and Gong in Lowe's version, from the crate `porcupine-rs`.
//!
//! - *Keys* are checked apart, as linearizability is a property of the single object. A batch counts as a write of
//!   each of its keys. Where keys are written by whole batches to one partition only, they can share one register:
//!   then a reader that sees a half of a batch contradicts it.
//! - *Failures.* Who gets an error does not know whether the write took effect: it stays open, and may take effect at
//!   any time later, or never. A failed read says nothing.
//! - *Crashes.* What a strong read has returned and what was waited for must outlive a crash; a write that was not
//!   waited for may be lost, and must not come later than the crash: durable linearizability (Izraelevitz, Mendes and
//!   Scott, 2016). So a write that was not known to be durable when the power failed is open up to the crash.
//! - *Scans* are no snapshots: each leaf is read at an instant of its own. So each key that a scan passes, whether it
//!   was found or not, counts as one read somewhere between the beginning of the scan and the next item.
//!
//! The clock's readings are relaxed: the recorder adds no order between threads that the code under test lacks, which
//! would hide its races from a sanitizer. On x86-64 each reading is a full barrier of the processor nevertheless.

mod check;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use check::{Report, Violation};

/// The number of a key, or of a group of keys that are written together only.
pub type Register = u32;
/// What identifies a value. Give each write one of its own: the checker then knows who wrote what a read found.
pub type ValueId = u64;

/// What must hold for a write to take effect.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum If {
    /// Nothing.
    Always,
    /// The key is not there.
    Absent,
    /// The key is there.
    Present,
    /// The key is there, with this value.
    Equals(ValueId),
}

/// What a write does: `value` is `None` where it removes the key.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Write {
    /// What must hold.
    pub condition: If,
    /// What the key has then.
    pub value: Option<ValueId>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Action {
    /// `applied` is `None` where the answer is unknown.
    Write {
        write: Write,
        applied: Option<bool>,
    },
    Read(Option<ValueId>),
}

/// One operation on one register.
#[derive(Clone, Copy, Debug)]
struct Operation {
    client: u32,
    register: Register,
    called: u64,
    /// When its effect was to be seen; `None` if nobody knows.
    returned: Option<u64>,
    /// How many crashes there had been.
    era: u32,
    /// Whether it outlives a crash.
    durable: bool,
    action: Action,
}

/// The history as a whole.
#[derive(Debug, Default)]
pub struct Recorder {
    clock: Arc<AtomicU64>,
    crashes: Vec<u64>,
    operations: Vec<Operation>,
}

impl Recorder {
    /// An empty history.
    pub fn new() -> Recorder {
        Recorder::default()
    }

    /// A client, to be given to one thread. Its number is for messages.
    pub fn client(&self, number: u32) -> Client {
        let era = self.crashes.len() as u32;
        Client { number, clock: self.clock.clone(), era, operations: Vec::new(), confirmed: 0 }
    }

    /// Takes in what a client has noted.
    pub fn add(&mut self, client: Client) {
        self.operations.extend(client.operations);
    }

    /// The power has failed. Call between the last operation of one era and the first of the next.
    pub fn crash(&mut self) {
        self.crashes.push(tick(&self.clock));
    }

    /// Looks for an order that explains every answer.
    ///
    /// # Errors
    /// There is none for a register: the history up to the first answer that cannot be explained.
    pub fn check(&self) -> Result<Report, Violation> {
        check::check(&self.operations, &self.crashes)
    }
}

/// One thread's part of a history.
#[derive(Debug)]
pub struct Client {
    number: u32,
    clock: Arc<AtomicU64>,
    era: u32,
    operations: Vec<Operation>,
    /// So many operations are durable.
    confirmed: usize,
}

/// One key that a scan has returned.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// The key's number.
    pub key: u32,
    /// Its value.
    pub value: ValueId,
    /// A reading of the clock behind its return: [`Client::now`].
    pub returned: u64,
}

impl Client {
    /// Its number.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// A reading of the clock. Every operation needs one from before its call.
    pub fn now(&self) -> u64 {
        tick(&self.clock)
    }

    /// Notes a write whose effect is to be seen from now on, and its answer.
    pub fn wrote(&mut self, called: u64, register: Register, write: Write, applied: bool) {
        let returned = Some(self.now());
        self.note(called, returned, register, Action::Write { write, applied: Some(applied) }, false);
    }

    /// Notes a write that ended with an error.
    pub fn failed(&mut self, called: u64, register: Register, write: Write) {
        self.note(called, None, register, Action::Write { write, applied: None }, false);
    }

    /// Notes that what this client has written so far is durable. One ticket proves it for all earlier ones of the
    /// same log.
    pub fn confirm(&mut self) {
        self.operations[self.confirmed..].iter_mut().for_each(|operation| operation.durable = true);
        self.confirmed = self.operations.len();
    }

    /// Notes that the last so many writes are durable: what a ticket proves where other keys have other logs.
    pub fn confirm_last(&mut self, writes: usize) {
        self.operations.iter_mut().rev().take(writes).for_each(|operation| operation.durable = true);
    }

    /// Notes a read whose answer is durable.
    pub fn read(&mut self, called: u64, register: Register, value: Option<ValueId>) {
        let returned = Some(self.now());
        self.note(called, returned, register, Action::Read(value), true);
    }

    /// Notes a scan that passed the keys of `passed`, numbers with registers, in this order, and found some of them.
    /// Keys behind the last one that was found are taken for absent.
    ///
    /// # Panics
    /// The scan found a key that it was not to pass, or found keys in another order.
    pub fn scanned(
        &mut self,
        called: u64,
        passed: impl IntoIterator<Item = (u32, Register)>,
        found: impl IntoIterator<Item = Found>,
    ) {
        let ended = self.now();
        let mut found = found.into_iter().peekable();
        for (key, register) in passed {
            let returned = found.peek().map_or(ended, |next| next.returned);
            let value = found.next_if(|next| next.key == key).map(|next| next.value);
            self.note(called, Some(returned), register, Action::Read(value), true);
        }
        let stray = found.next();
        assert!(stray.is_none(), "a scan found a key out of its range, or out of order: {stray:?}");
    }

    fn note(
        &mut self,
        called: u64,
        returned: Option<u64>,
        register: Register,
        action: Action,
        durable: bool,
    ) {
        let (client, era) = (self.number, self.era);
        self.operations.push(Operation { client, register, called, returned, era, durable, action });
    }
}

fn tick(clock: &AtomicU64) -> u64 {
    // Relaxed: see the head of this file. All readings of one atomic are in one order anyway.
    clock.fetch_add(1, Ordering::Relaxed)
}

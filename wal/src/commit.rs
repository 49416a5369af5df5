//! Append, flush and wait: the heart of the log.
//!
//! Group commit without a thread of its own. A commit that waits and finds no flush under way becomes the
//! leader: it lets company join as its policy says, takes everything that was appended so far, writes and
//! syncs it, publishes the new durable position and wakes its group. Who finds a flush under way sleeps.
//!
//! # Groups and gates
//!
//! Flushes are numbered, and a record belongs to the flush that takes it. `taken` is the end of the last
//! batch taken, with the parity of that flush's number in bit 0 (positions are multiples of 8). So one load
//! tells a waiter its group: its record is either in the last batch taken, or will be in the next one,
//! because the next one takes everything. There are two gates, by parity: finishing a group wakes exactly
//! that group with one system call, and one sleeper of the next group, which leads it.
//!
//! # Why no wake-up is lost
//!
//! A waiter W does, in this order: (w1) read its gate's parity; (w2) read the gate's value; (w3) return if
//! durable or poisoned; (w4) try to take the leader's role, and lead if it got it; (w5) sleep while the value
//! is as read. A leader L does: (l1) publish what is durable, or the poison; (l2) release the role; (l3) open
//! its group's gate, waking all; (l4) open the other gate, waking one. To open is to change the value first.
//!
//! 1. W's record is in L's batch. If w2 came before l3's change, W is woken or does not fall asleep. If it
//!    came after, then l1 came before w3, and W returns there.
//! 2. W's record is in the next batch, and W sleeps because w4 met L holding the role. Then w2 came before
//!    l2, so before l4's change: at l4, W does not fall asleep, or it is a sleeper, and then one sleeper X of
//!    that gate is woken. Whoever sleeps there then is of W's group: earlier groups of this parity had all
//!    their sleepers woken by their own l3, and later ones do not exist before this group is taken.
//! 3. X (or W, awake) goes on at w1. If it gets the role, it leads W's group. If not, a leader L2 has taken
//!    the role after l2. L2 takes W's batch, and (1) holds for it, or has found it already taken, and then
//!    (1) holds for the leader that took it.
//! 4. A leader that finds nothing left to do still does l2, l3 and l4: others may have met it at w4.
//! 5. A record that was taken by a flush before the last one is durable, as flushes do not overlap and
//!    publish before they end: at w1 its parity may be wrong, at w3 it returns.
//! 6. A leader may be delayed between l2 and l4 while others lead. Its wake-ups then come late and for
//!    nothing; nobody relies on them: what they would have told was told by case 1 or by the value.
//! 7. A leader that panics (a storage may) poisons the log and does l1 to l4 while unwinding.

use std::sync::Arc;
use std::time::Duration;

use crate::background::Orders;
use crate::future::Wakers;
use crate::options::{CommitPolicy, Options};
use crate::segment::Segments;
use crate::stats::{FlushCounters, add};
use crate::storage::File;
use crate::supply::Supply;
use crate::sync::{AtomicBool, AtomicU64, Deadline, Gate, Mutex, MutexGuard, Ordering, Pause, thread};
use crate::tail::{Batch, Tail};
use crate::{Error, Lsn, record};

/// How long a greedy leader lets the group that was served last come back, at most. Waking a processor that
/// a sync has left idle takes some 50 µs in a virtual machine, and a writer that misses a group waits for a
/// whole sync: below that time writers split into alternating groups, far above it stragglers hold up all.
const REJOIN: Duration = Duration::from_micros(100);

/// Everything that appenders, waiters and leaders share.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) segments: Segments,
    pub(crate) options: Options,
    pub(crate) tail: Mutex<Tail>,
    /// A copy of [`Tail::end`] that is read without the lock.
    pub(crate) end: AtomicU64,
    /// Whether the buffer is past its soft limit.
    crowded: AtomicBool,
    /// The end of the last batch taken, and the parity of its number in bit 0.
    taken: AtomicU64,
    pub(crate) durable: AtomicU64,
    poisoned: AtomicBool,
    poison: Mutex<Option<Arc<Error>>>,
    /// The leader's role is to hold this lock.
    leader: Mutex<Leader>,
    gates: [Gate; 2],
    pause: Pause,
    /// Commits that have come to wait, ever.
    arrived: AtomicU64,
    /// Up to where segments may be recycled.
    pub(crate) recycled: AtomicU64,
    pub(crate) supply: Supply,
    pub(crate) wakers: Wakers,
    pub(crate) orders: Orders,
    pub(crate) counters: FlushCounters,
}

/// What only the leader touches.
#[derive(Debug)]
pub(crate) struct Leader {
    /// The buffer that is being written.
    batch: Batch,
    /// The segment that is written, and while a batch spans segments those behind it.
    files: Vec<(u64, Arc<dyn File>)>,
    /// `arrived` when the last batch was taken.
    arrived_before: u64,
    /// How many commits the last group served.
    served: u64,
}

/// How a wait treats the commit policy.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum Urgency {
    ByPolicy,
    AtOnce,
}

impl Core {
    /// A log whose bytes up to `end` are durable, and whose current segment is open as `file`.
    pub(crate) fn new(
        segments: Segments,
        options: Options,
        end: u64,
        file: Arc<dyn File>,
        supply: Supply,
        recycled: u64,
    ) -> Core {
        let files = vec![(segments.number_before(end), file)];
        Core {
            segments,
            options,
            tail: Mutex::new(Tail::new(end)),
            end: AtomicU64::new(end),
            crowded: AtomicBool::new(false),
            taken: AtomicU64::new(end),
            durable: AtomicU64::new(end),
            poisoned: AtomicBool::new(false),
            poison: Mutex::new(None),
            leader: Mutex::new(Leader { batch: Batch::default(), files, arrived_before: 0, served: 0 }),
            gates: Default::default(),
            pause: Pause::default(),
            arrived: AtomicU64::new(0),
            recycled: AtomicU64::new(recycled),
            supply,
            wakers: Wakers::default(),
            orders: Orders::default(),
            counters: FlushCounters::default(),
        }
    }

    pub(crate) fn append_then<R>(&self, payload: &[u8], then: impl FnOnce() -> R) -> Result<Lsn, Error> {
        let (bytes, limit) = (payload.len() as u64, self.segments.largest_payload());
        if bytes > limit {
            return Err(Error::TooLarge { bytes, limit });
        }
        let payload_crc = record::payload_crc(payload);
        let early = planted!("position-taken-unlocked").then(|| self.end.load(Ordering::Acquire));
        let mut tail = self.tail.lock();
        self.check_poison()?;
        let position = early.unwrap_or_else(|| tail.place(&self.segments, payload.len()));
        self.check_room(position + record::framed_len(payload.len()) as u64)?;
        let end =
            tail.push(&self.segments, position, self.durable.load(Ordering::Acquire), payload, payload_crc);
        self.end.store(end, Ordering::Release);
        if tail.batch.buffer.len() > self.options.buffer_bytes {
            self.crowded.store(true, Ordering::Release);
        }
        then();
        Ok(Lsn::new(end))
    }

    fn check_room(&self, end: u64) -> Result<(), Error> {
        let (bytes, limit) = (end - self.recycled.load(Ordering::Acquire), self.options.max_bytes);
        match bytes > limit.saturating_add(self.options.buffer_bytes as u64) {
            true => Err(Error::Full { bytes, limit }),
            false => Ok(()),
        }
    }

    pub(crate) fn is_crowded(&self) -> bool {
        self.crowded.load(Ordering::Acquire)
    }

    pub(crate) fn admit(&self) -> Result<(), Error> {
        if !self.is_crowded() {
            return Ok(());
        }
        self.wait(self.end.load(Ordering::Acquire), Urgency::AtOnce)
    }

    /// Says that one more commit waits: what the policies and the statistics count.
    pub(crate) fn arrive(&self) {
        self.arrived.fetch_add(1, Ordering::Relaxed);
    }

    /// How a wait for `lsn` ends, if it already has.
    pub(crate) fn outcome(&self, lsn: u64) -> Option<Result<(), Error>> {
        if self.durable.load(Ordering::Acquire) >= lsn {
            return Some(Ok(()));
        }
        self.check_poison().err().map(Err)
    }

    pub(crate) fn check_exists(&self, lsn: u64) -> Result<(), Error> {
        let end = self.end.load(Ordering::Acquire);
        match lsn > end {
            true => Err(Error::Beyond { lsn: Lsn::new(lsn), end: Lsn::new(end) }),
            false => Ok(()),
        }
    }

    /// Blocks until everything before `lsn` is durable. The steps are those of the argument above.
    pub(crate) fn wait(&self, lsn: u64, urgency: Urgency) -> Result<(), Error> {
        self.check_exists(lsn)?;
        loop {
            let gate = self.gate_of(lsn);
            let value = gate.value();
            if let Some(outcome) = self.outcome(lsn) {
                return outcome;
            }
            match self.leader.try_lock() {
                Some(leader) => self.lead(leader, lsn, urgency),
                None => {
                    if urgency == Urgency::AtOnce {
                        self.hurry();
                    }
                    gate.wait(value);
                }
            }
        }
    }

    /// Ends the window that a leader may be waiting in.
    pub(crate) fn hurry(&self) {
        self.pause.cut();
    }

    fn gate_of(&self, lsn: u64) -> &Gate {
        let taken = self.taken.load(Ordering::Acquire);
        let next = lsn > taken & !1;
        &self.gates[(taken & 1) as usize ^ usize::from(next)]
    }

    fn lead(&self, leader: MutexGuard<'_, Leader>, lsn: u64, urgency: Urgency) {
        let mut role = Role { core: self, leader: Some(leader), ended: false };
        let mut turn_is_near = false;
        if let Some(leader) = role.leader.as_deref_mut()
            && self.outcome(lsn).is_none()
        {
            if urgency == Urgency::ByPolicy {
                self.gather(leader);
            }
            turn_is_near = self.flush(leader);
        }
        role.ended = true;
        drop(role);
        if turn_is_near && self.supply.wants_one() && !self.orders.delegate_segment() {
            self.prepare_segment();
        }
    }

    /// Stops the log when the flush under way has ended. A leader that comes later finds the poison and
    /// writes nothing.
    pub(crate) fn close(&self) {
        let leader = self.leader.lock();
        self.poison(Error::Closed);
        self.step_down(leader);
        self.supply.close();
    }

    /// Makes the next segment ahead of need.
    pub(crate) fn prepare_segment(&self) {
        if let Err(error) = self.supply.prepare() {
            self.poison(error);
        }
    }

    /// Lets company join, as the policy says.
    fn gather(&self, leader: &Leader) {
        let waiting = || self.arrived.load(Ordering::Relaxed) - leader.arrived_before;
        let (enough, at_most) = match self.options.commit {
            CommitPolicy::Window(length) => return self.pause.sleep(length),
            CommitPolicy::Immediate(length) => (2, length),
            CommitPolicy::Greedy => (leader.served, REJOIN),
        };
        if waiting() < enough {
            let deadline = Deadline::after(at_most);
            while waiting() < enough && !deadline.passed() {
                thread::yield_now();
            }
        }
    }

    /// Takes a batch, writes it, publishes it. Answers whether it is time to make the next segment.
    fn flush(&self, leader: &mut Leader) -> bool {
        let end = self.take(leader);
        if planted!("published-before-written") {
            self.durable.store(end, Ordering::Release);
        }
        let written = self.write(leader);
        leader.batch.clear(self.options.buffer_bytes);
        match written {
            Ok(()) => {
                if planted!("woken-before-published") {
                    self.gates[(self.taken.load(Ordering::Relaxed) & 1) as usize].open();
                }
                self.durable.store(end, Ordering::Release);
            }
            Err(error) => self.stop(error),
        }
        end % self.segments.segment_bytes > self.segments.segment_bytes / 2
    }

    fn take(&self, leader: &mut Leader) -> u64 {
        let arrived = self.arrived.load(Ordering::Relaxed);
        leader.served = arrived - leader.arrived_before;
        leader.arrived_before = arrived;
        let mut tail = self.tail.lock();
        std::mem::swap(&mut tail.batch, &mut leader.batch);
        let parity = !self.taken.load(Ordering::Relaxed) & 1;
        self.taken.store(tail.end | parity, Ordering::Release);
        self.crowded.store(false, Ordering::Release);
        tail.end
    }

    fn write(&self, leader: &mut Leader) -> Result<(), Error> {
        let Leader { batch, files, served, .. } = leader;
        // Every segment exists before the first byte is written. Recovery relies on it: where a pad says
        // that the log goes on, a segment that is missing was lost, not never made.
        for run in &batch.runs {
            while files.last().is_some_and(|(number, _)| *number < self.segments.number(run.position)) {
                files.push(self.supply.next()?);
            }
        }
        let mut bytes = 0;
        for (position, run) in batch.runs() {
            let number = self.segments.number(position);
            let Some((_, file)) = files.iter().find(|(n, _)| *n == number) else { continue };
            let offset = position - self.segments.start(number);
            let written = file.write_at(run, offset);
            written.map_err(|source| Error::io("write", self.segments.path(number))(source))?;
            bytes += run.len() as u64;
        }
        let unsynced = if planted!("only-last-segment-synced") { files.len() - 1 } else { 0 };
        for (number, file) in files.iter().skip(unsynced) {
            self.segments.sync(&**file, || self.segments.path(*number))?;
        }
        add(&self.counters.groups, 1);
        add(&self.counters.served, *served);
        add(&self.counters.syncs, if self.options.sync { files.len() as u64 } else { 0 });
        add(&self.counters.synced_bytes, bytes);
        files.drain(..files.len() - 1);
        Ok(())
    }

    pub(crate) fn check_poison(&self) -> Result<(), Error> {
        if !self.poisoned.load(Ordering::Acquire) {
            return Ok(());
        }
        match &*self.poison.lock() {
            Some(cause) => Err(Error::Poisoned { cause: Arc::clone(cause) }),
            None => Ok(()),
        }
    }

    /// Stops the log for good: every wait and append from now on gets the first error.
    pub(crate) fn poison(&self, error: Error) {
        self.stop(error);
        self.wake_futures();
    }

    /// [`Core::poison`] for the leader, who wakes futures only when it has stepped down: their wakers are
    /// foreign code.
    fn stop(&self, error: Error) {
        self.poison.lock().get_or_insert_with(|| Arc::new(error));
        self.poisoned.store(true, Ordering::Release);
        self.gates.iter().for_each(Gate::open);
    }

    /// Steps l2 to l4, then the futures.
    fn step_down(&self, leader: MutexGuard<'_, Leader>) {
        let parity = (self.taken.load(Ordering::Relaxed) & 1) as usize;
        drop(leader);
        if !planted!("woken-before-published") {
            self.gates[parity].open();
        }
        if !planted!("hand-over-forgotten") {
            self.gates[parity ^ 1].let_one_through();
        }
        self.wake_futures();
    }

    /// Wakes every future whose outcome is known.
    pub(crate) fn wake_futures(&self) {
        let stopped = self.poisoned.load(Ordering::Acquire);
        self.wakers.wake(if stopped { u64::MAX } else { self.durable.load(Ordering::Acquire) });
    }
}

/// The leader's role, which is handed on however the leader ends.
struct Role<'a> {
    core: &'a Core,
    leader: Option<MutexGuard<'a, Leader>>,
    /// Whether the leader has got to its end; it has panicked otherwise.
    ended: bool,
}

impl Drop for Role<'_> {
    fn drop(&mut self) {
        if !self.ended {
            let source = Arc::new(std::io::Error::other("the flush panicked"));
            let file = self.core.segments.name.clone();
            self.core.stop(Error::Io { what: "flush", file, source });
        }
        if let Some(leader) = self.leader.take() {
            self.core.step_down(leader);
        }
    }
}

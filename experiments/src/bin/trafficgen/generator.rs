//! The connections and what they share. Everything runs on one thread, so that sharing costs no atomics.
//!
//! Each node has a lane: a queue of requests that are due, and connections that take from it. Where all of them are
//! busy, requests wait in the queue, and their latency counts from when they were due.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use experiments::mix::{Mix, Operation};
use experiments::traffic::Table;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::connection::{Answer, Connection, Fault};
use crate::document;
use crate::keys::{Effect, Job, KeySpace};
use crate::ledger::Ledger;
use crate::recorder::{Outcome, Recorder};
use crate::request::Requests;

/// A connection that was idle for so long may have been closed by the node meanwhile: look before it is used.
const IDLE: Duration = Duration::from_secs(1);
/// After a failure to connect: a node that is down must not be hammered.
const BACK_OFF: Duration = Duration::from_millis(50);
/// After so long without any answer the nodes count as gone.
const GONE: Duration = Duration::from_secs(5);

/// A request that is due.
#[derive(Copy, Clone, Debug)]
struct Due {
    operation: Operation,
    intended: Instant,
}

/// One node's queue and the connections that wait for it.
#[derive(Debug)]
struct Lane {
    addresses: Vec<SocketAddr>,
    due: RefCell<VecDeque<Due>>,
    wake: Notify,
}

/// How requests are sent.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Settings {
    /// Connections to all nodes together.
    pub(crate) connections: usize,
    /// A request that is not answered after so long is given up, with its connection.
    pub(crate) timeout: Duration,
    /// Documents are padded to so many bytes.
    pub(crate) value_bytes: usize,
    /// Of the random choices.
    pub(crate) seed: u64,
}

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Generator {
    /// How requests are sent.
    pub(crate) settings: Settings,
    requests: Requests,
    lanes: Vec<Lane>,
    next_lane: Cell<usize>,
    keys: RefCell<KeySpace>,
    recorder: RefCell<Recorder>,
    ledger: RefCell<Option<Ledger>>,
    /// The closed loop's mix and its end; `None` in an open loop.
    closed: Cell<Option<(Mix, Instant)>>,
    in_flight: Cell<usize>,
    failing_since: Cell<Option<Instant>>,
}

impl Generator {
    /// For nodes at `addresses`, in the order in which `requests` knows them.
    pub(crate) fn new(
        settings: Settings,
        requests: Requests,
        addresses: Vec<Vec<SocketAddr>>,
        keys: KeySpace,
        ledger: Option<Ledger>,
    ) -> Generator {
        let lane = |addresses| Lane { addresses, due: RefCell::default(), wake: Notify::new() };
        Generator {
            settings,
            requests,
            lanes: addresses.into_iter().map(lane).collect(),
            next_lane: Cell::new(0),
            keys: RefCell::new(keys),
            recorder: RefCell::new(Recorder::new()),
            ledger: RefCell::new(ledger),
            closed: Cell::new(None),
            in_flight: Cell::new(0),
            failing_since: Cell::new(None),
        }
    }

    /// Starts the connections' tasks; a connection is made when it is first needed. Needs a `LocalSet`.
    pub(crate) fn spawn(self: &Rc<Generator>) {
        for id in 0..self.settings.connections {
            tokio::task::spawn_local(Worker::new(Rc::clone(self), id).run());
        }
    }

    /// Lets all connections send without a pause until `end`. To be called before [`Generator::spawn`].
    pub(crate) fn close_loop(&self, mix: Mix, end: Instant) {
        self.closed.set(Some((mix, end)));
    }

    /// Ends the closed loop before its time.
    pub(crate) fn open_loop(&self) {
        self.closed.set(None);
    }

    /// Queues a request that is due, for the next node in turn.
    pub(crate) fn push(&self, operation: Operation, intended: Instant) {
        let lane = &self.lanes[self.next_lane.get()];
        self.next_lane.set((self.next_lane.get() + 1) % self.lanes.len());
        lane.due.borrow_mut().push_back(Due { operation, intended });
        // The connection that was used last: at low rates a few do, and the others are never made.
        lane.wake.notify_last();
    }

    /// Whether nothing is queued and nothing under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight.get() == 0 && self.lanes.iter().all(|lane| lane.due.borrow().is_empty())
    }

    /// How many requests are waiting for their answers.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.get()
    }

    /// Gives up what is queued.
    pub(crate) fn abandon(&self) {
        let now = Instant::now();
        let mut recorder = self.recorder.borrow_mut();
        for lane in &self.lanes {
            for due in lane.due.borrow_mut().drain(..) {
                recorder.unsent(due.operation, due.intended, now);
            }
        }
    }

    /// A look at what was counted since the last [`Generator::take`].
    pub(crate) fn peek<T>(&self, look: impl FnOnce(&Recorder) -> T) -> T {
        look(&self.recorder.borrow())
    }

    /// Takes what was counted, and begins anew.
    pub(crate) fn take(&self) -> Recorder {
        self.recorder.replace(Recorder::new())
    }

    /// Hands the ledger to the operating system, where there is one.
    ///
    /// # Errors
    ///
    /// Where it cannot be written.
    pub(crate) fn flush_ledger(&self) -> experiments::error::Result<()> {
        self.ledger.borrow_mut().as_mut().map_or(Ok(()), Ledger::flush)
    }

    /// Whether no node has answered anything for five seconds, but requests have failed.
    pub(crate) fn is_gone(&self) -> bool {
        self.failing_since.get().is_some_and(|since| since.elapsed() > GONE)
    }

    fn failing(&self) {
        if self.failing_since.get().is_none() {
            self.failing_since.set(Some(Instant::now()));
        }
    }
}

/// One connection's task.
struct Worker {
    generator: Rc<Generator>,
    node: usize,
    connection: Option<Connection>,
    connected_before: bool,
    used: Instant,
    rng: SmallRng,
    key: Vec<u8>,
    document: Vec<u8>,
    request: Vec<u8>,
}

impl Worker {
    fn new(generator: Rc<Generator>, id: usize) -> Worker {
        let node = id % generator.lanes.len();
        let rng = SmallRng::seed_from_u64(generator.settings.seed.wrapping_mul(1_000_003) + id as u64);
        Worker {
            generator,
            node,
            connection: None,
            connected_before: false,
            used: Instant::now(),
            rng,
            key: Vec::with_capacity(32),
            document: Vec::with_capacity(256),
            request: Vec::with_capacity(1_024),
        }
    }

    async fn run(mut self) {
        loop {
            let due = self.next().await;
            let generator = Rc::clone(&self.generator);
            generator.in_flight.set(generator.in_flight.get() + 1);
            let backing_off = self.serve(due).await;
            generator.in_flight.set(generator.in_flight.get() - 1);
            if backing_off {
                tokio::time::sleep(BACK_OFF).await;
            }
        }
    }

    async fn next(&mut self) -> Due {
        loop {
            let lane = &self.generator.lanes[self.node];
            if let Some(due) = lane.due.borrow_mut().pop_front() {
                return due;
            }
            if let Some((mix, end)) = self.generator.closed.get() {
                let now = Instant::now();
                if now < end {
                    return Due { operation: mix.draw(&mut self.rng), intended: now };
                }
            }
            lane.wake.notified().await;
        }
    }

    /// Sends one request and enters its outcome; returns whether the node could not be reached.
    async fn serve(&mut self, due: Due) -> bool {
        let job = self.generator.keys.borrow_mut().next(due.operation, &mut self.rng);
        self.write_request(&job);
        let sent = Instant::now();
        let result = timeout(self.generator.settings.timeout, self.exchange(sent)).await;
        let now = Instant::now();
        self.used = now;
        let unreachable = matches!(result, Ok(Err(Fault::Connect(_))));
        let (outcome, effect, fault) = match result {
            Ok(Ok(answer)) => {
                self.generator.failing_since.set(None);
                if !answer.keep {
                    self.connection = None;
                }
                let (outcome, effect) = judge(&job, answer);
                (outcome, effect, (outcome == Outcome::Failed).then(|| format!("HTTP {}", answer.status)))
            }
            Ok(Err(fault)) => {
                self.connection = None;
                self.generator.failing();
                let effect = if unreachable { Effect::None } else { Effect::Unknown };
                (Outcome::Failed, effect, Some(fault.to_string()))
            }
            Err(_elapsed) => {
                self.connection = None;
                self.generator.failing();
                (Outcome::TimedOut, Effect::Unknown, None)
            }
        };
        self.enter(&job, due, sent, now, (outcome, effect), fault);
        unreachable
    }

    fn enter(
        &self,
        job: &Job,
        due: Due,
        sent: Instant,
        now: Instant,
        (outcome, effect): (Outcome, Effect),
        fault: Option<String>,
    ) {
        self.generator.keys.borrow_mut().ended(job, effect);
        if let Some(ledger) = self.generator.ledger.borrow_mut().as_mut() {
            ledger.enter(job, effect);
        }
        let mut recorder = self.generator.recorder.borrow_mut();
        recorder.record(job.operation, outcome, due.intended, sent, now);
        if let (Some(fault), None) = (fault, &recorder.first_fault) {
            recorder.first_fault =
                Some(format!("{:?} in table {}: {fault}", job.operation, job.table.name()));
        }
    }

    fn write_request(&mut self, job: &Job) {
        let requests = &self.generator.requests;
        job.table.write_key(job.index, &mut self.key);
        match job.operation {
            Operation::Read => requests.get(self.node, job.table, &self.key, &mut self.request),
            Operation::Delete => requests.delete(self.node, job.table, &self.key, &mut self.request),
            Operation::Insert | Operation::Update => {
                let bytes = self.generator.settings.value_bytes;
                document::write(job.table, job.index, job.revision, bytes, &mut self.document);
                requests.put(self.node, job.table, &self.key, &self.document, &mut self.request);
            }
        }
    }

    /// On the open connection, or on a new one where there is none that can be used.
    async fn exchange(&mut self, now: Instant) -> Result<Answer, Fault> {
        if now.duration_since(self.used) > IDLE && self.connection.as_ref().is_some_and(Connection::is_stale)
        {
            self.connection = None;
        }
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => {
                let opened = Connection::open(&self.generator.lanes[self.node].addresses).await?;
                if std::mem::replace(&mut self.connected_before, true) {
                    self.generator.recorder.borrow_mut().reconnects += 1;
                }
                none.insert(opened)
            }
        };
        connection.exchange(&self.request, &mut |_| {}).await
    }
}

/// What an answer means. After a 5xx, a write may have happened: a node that gives up on a request may have applied it.
fn judge(job: &Job, answer: Answer) -> (Outcome, Effect) {
    let write = job.operation != Operation::Read;
    match answer.status {
        200..=299 => (Outcome::Done, Effect::Acknowledged),
        // A table that is gone is no answer to a put.
        404 if !write || job.operation == Operation::Delete => (Outcome::NotFound, Effect::Acknowledged),
        429 => (Outcome::Shed, Effect::None),
        503 => (Outcome::Shed, Effect::Unknown),
        500..=599 => (Outcome::Failed, Effect::Unknown),
        _ => (Outcome::Failed, Effect::None),
    }
}

/// The key of the `index`th document of `table`, as text.
pub(crate) fn key_text(table: Table, index: u64) -> String {
    let mut key = Vec::new();
    table.write_key(index, &mut key);
    String::from_utf8_lossy(&key).into_owned()
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    fn judged(operation: Operation, status: u16) -> (Outcome, Effect) {
        let job = Job { operation, table: Table::Users, index: 0, revision: 0 };
        judge(&job, Answer { status, keep: true })
    }

    #[test]
    fn refusals_are_shed_and_only_clear_refusals_leave_a_write_undone() {
        assert_eq!(judged(Operation::Insert, 200), (Outcome::Done, Effect::Acknowledged));
        assert_eq!(judged(Operation::Insert, 429), (Outcome::Shed, Effect::None));
        assert_eq!(judged(Operation::Insert, 503), (Outcome::Shed, Effect::Unknown));
        assert_eq!(judged(Operation::Update, 500), (Outcome::Failed, Effect::Unknown));
        assert_eq!(judged(Operation::Update, 413), (Outcome::Failed, Effect::None));
    }

    #[test]
    fn a_missing_key_is_an_answer_and_a_missing_table_is_not() {
        assert_eq!(judged(Operation::Read, 404).0, Outcome::NotFound);
        assert_eq!(judged(Operation::Delete, 404).0, Outcome::NotFound);
        assert_eq!(judged(Operation::Insert, 404).0, Outcome::Failed);
    }
}

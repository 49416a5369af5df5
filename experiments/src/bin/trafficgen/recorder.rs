//! What is counted and timed in a step.

use std::time::Instant;

use experiments::latency;
use experiments::mix::Operation;
use hdrhistogram::Histogram;

/// How a request ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The node did what it was asked.
    Done,
    /// The node had no such key.
    NotFound,
    /// The node refused it because it has too much to do: 429 or 503.
    Shed,
    /// No answer came in time.
    TimedOut,
    /// Any other answer, or a broken connection.
    Failed,
}

/// All operations, in the order of [`Recorder::operations`].
pub(crate) const OPERATIONS: [Operation; 4] =
    [Operation::Insert, Operation::Update, Operation::Delete, Operation::Read];

/// One operation's counts.
#[derive(Clone, Debug)]
pub(crate) struct Counts {
    /// Requests that the node did, or answered with 404.
    pub(crate) done: u64,
    /// Of these the ones answered with 404.
    pub(crate) not_found: u64,
    /// Refused with 429 or 503.
    pub(crate) shed: u64,
    /// Not answered in time.
    pub(crate) timeouts: u64,
    /// Failed otherwise.
    pub(crate) failed: u64,
    /// Due within the step but not sent in it, because all connections were busy.
    pub(crate) unsent: u64,
    /// From the intended start to the answer, of what was done; of time-outs and unsent requests what they had waited
    /// by then, so that percentiles do not look better for what was never answered.
    pub(crate) latency: Histogram<u64>,
}

/// A step's counts and latencies.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    /// By [`Operation`].
    pub(crate) operations: [Counts; 4],
    /// From the moment a request was written to its answer, of what was done: without the wait for a connection.
    pub(crate) service: Histogram<u64>,
    /// How long a refusal with 429 or 503 took from the moment the request was written.
    pub(crate) refusal: Histogram<u64>,
    /// Connections that had to be made anew.
    pub(crate) reconnects: u64,
    /// When the last answer came.
    pub(crate) last: Option<Instant>,
    /// The first failure, in words.
    pub(crate) first_fault: Option<String>,
}

impl Counts {
    fn new() -> Counts {
        Counts {
            done: 0,
            not_found: 0,
            shed: 0,
            timeouts: 0,
            failed: 0,
            unsent: 0,
            latency: latency::histogram(),
        }
    }

    /// All requests that ended or were given up.
    pub(crate) fn all(&self) -> u64 {
        self.done + self.shed + self.timeouts + self.failed + self.unsent
    }

    fn add(&mut self, other: &Counts) {
        self.done += other.done;
        self.not_found += other.not_found;
        self.shed += other.shed;
        self.timeouts += other.timeouts;
        self.failed += other.failed;
        self.unsent += other.unsent;
        // The bounds are the same, so adding cannot fail.
        let _ = self.latency.add(&other.latency);
    }
}

impl Recorder {
    /// Nothing yet.
    pub(crate) fn new() -> Recorder {
        Recorder {
            operations: std::array::from_fn(|_| Counts::new()),
            service: latency::histogram(),
            refusal: latency::histogram(),
            reconnects: 0,
            last: None,
            first_fault: None,
        }
    }

    fn of(&mut self, operation: Operation) -> &mut Counts {
        &mut self.operations[operation as usize]
    }

    /// Counts a request that was due at `intended`, was written at `sent`, and has ended `now`.
    pub(crate) fn record(
        &mut self,
        operation: Operation,
        outcome: Outcome,
        intended: Instant,
        sent: Instant,
        now: Instant,
    ) {
        let waited = nanos(intended, now);
        let counts = self.of(operation);
        match outcome {
            Outcome::Done | Outcome::NotFound => {
                counts.done += 1;
                counts.not_found += u64::from(outcome == Outcome::NotFound);
                counts.latency.saturating_record(waited);
                self.service.saturating_record(nanos(sent, now));
            }
            Outcome::Shed => {
                counts.shed += 1;
                self.refusal.saturating_record(nanos(sent, now));
            }
            Outcome::TimedOut => {
                counts.timeouts += 1;
                counts.latency.saturating_record(waited);
            }
            Outcome::Failed => counts.failed += 1,
        }
        self.last = Some(now);
    }

    /// Counts a request that was due at `intended` and is given up `now` without having been sent.
    pub(crate) fn unsent(&mut self, operation: Operation, intended: Instant, now: Instant) {
        let counts = self.of(operation);
        counts.unsent += 1;
        counts.latency.saturating_record(nanos(intended, now));
    }

    /// All operations together.
    pub(crate) fn total(&self) -> Counts {
        let mut total = Counts::new();
        self.operations.iter().for_each(|counts| total.add(counts));
        total
    }
}

fn nanos(from: Instant, to: Instant) -> u64 {
    to.saturating_duration_since(from).as_nanos().min(u64::MAX.into()) as u64
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn operations_stand_in_the_order_of_their_discriminants() {
        assert!(OPERATIONS.iter().enumerate().all(|(place, operation)| *operation as usize == place));
    }

    #[test]
    fn latency_counts_from_the_intended_start_and_service_from_the_write() {
        let mut recorder = Recorder::new();
        let now = Instant::now();
        let (sent, ended) = (now + Duration::from_millis(80), now + Duration::from_millis(100));
        recorder.record(Operation::Read, Outcome::Done, now, sent, ended);
        recorder.record(Operation::Read, Outcome::NotFound, now, sent, ended);
        let total = recorder.total();
        assert_eq!((total.done, total.not_found), (2, 1));
        assert_eq!(total.latency.max() / 1_000_000, 100);
        assert_eq!(recorder.service.max() / 1_000_000, 20);
    }

    #[test]
    fn what_was_never_answered_makes_percentiles_worse_and_refusals_do_not_make_them_better() {
        let mut recorder = Recorder::new();
        let now = Instant::now();
        let later = now + Duration::from_secs(2);
        recorder.unsent(Operation::Insert, now, later);
        recorder.record(Operation::Insert, Outcome::TimedOut, now, now, later);
        recorder.record(Operation::Insert, Outcome::Shed, now, now, now + Duration::from_millis(1));
        recorder.record(Operation::Insert, Outcome::Failed, now, now, now + Duration::from_millis(1));
        let total = recorder.total();
        assert_eq!((total.unsent, total.timeouts, total.shed, total.failed, total.done), (1, 1, 1, 1, 0));
        assert_eq!((total.latency.len(), total.all()), (2, 4));
        assert!(total.latency.min() >= 1_990_000_000);
        assert_eq!(recorder.refusal.len(), 1);
    }
}

//! When each request is due: the open loop's clock.
//!
//! A request's time follows from its number and the rate alone, never from an answer: a slow node does not slow the
//! traffic down, and the wait that it causes is measured (Tene's "coordinated omission" is what happens otherwise).

use std::time::Duration;

use experiments::mix::Operation;
use serde::Serialize;

use crate::recorder::OPERATIONS;

/// Requests a second, by operation.
#[derive(Copy, Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Rates {
    /// Puts of new keys.
    pub(crate) inserts: f64,
    /// Puts of existing keys.
    pub(crate) updates: f64,
    /// Deletes.
    pub(crate) deletes: f64,
    /// Gets.
    pub(crate) reads: f64,
}

impl Rates {
    /// Inserts alone.
    pub(crate) fn inserts(rate: f64) -> Rates {
        Rates { inserts: rate, updates: 0.0, deletes: 0.0, reads: 0.0 }
    }

    /// In the order of [`OPERATIONS`].
    pub(crate) fn by_operation(&self) -> [f64; 4] {
        [self.inserts, self.updates, self.deletes, self.reads]
    }

    /// All operations together.
    pub(crate) fn total(&self) -> f64 {
        self.by_operation().iter().sum()
    }

    /// The same proportions with another total.
    pub(crate) fn scaled(&self, total: f64) -> Rates {
        let factor = total / self.total();
        Rates {
            inserts: self.inserts * factor,
            updates: self.updates * factor,
            deletes: self.deletes * factor,
            reads: self.reads * factor,
        }
    }
}

#[derive(Debug)]
struct Stream {
    operation: Operation,
    rate: f64,
    released: u64,
}

impl Stream {
    /// In the middle of its interval, so that a step's last request is not due at its very end.
    fn due(&self) -> Duration {
        Duration::from_secs_f64((self.released as f64 + 0.5) / self.rate)
    }
}

/// The requests of a step, each with its time since the step's begin.
#[derive(Debug)]
pub(crate) struct Schedule {
    streams: Vec<Stream>,
}

impl Schedule {
    /// Evenly spaced requests of each operation.
    pub(crate) fn new(rates: Rates) -> Schedule {
        let streams = OPERATIONS.into_iter().zip(rates.by_operation()).filter(|(_, rate)| *rate > 0.0);
        Schedule {
            streams: streams.map(|(operation, rate)| Stream { operation, rate, released: 0 }).collect(),
        }
    }

    /// When the next request is due; `None` where there are none at all.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        self.streams.iter().map(Stream::due).min()
    }

    /// Takes the next request where it is due by `now`.
    pub(crate) fn take(&mut self, now: Duration) -> Option<(Operation, Duration)> {
        let stream = self.streams.iter_mut().min_by_key(|stream| stream.due())?;
        let due = stream.due();
        (due <= now).then(|| {
            stream.released += 1;
            (stream.operation, due)
        })
    }

    /// How many were taken.
    pub(crate) fn released(&self) -> u64 {
        self.streams.iter().map(|stream| stream.released).sum()
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    fn released(schedule: &mut Schedule, now: Duration) -> Vec<(Operation, Duration)> {
        std::iter::from_fn(|| schedule.take(now)).collect()
    }

    #[test]
    fn a_late_release_keeps_the_times_that_were_intended() {
        let mut schedule = Schedule::new(Rates::inserts(1_000.0));
        assert_eq!(schedule.take(Duration::ZERO), None);
        let burst = released(&mut schedule, Duration::from_millis(50));
        assert_eq!(burst.len(), 50);
        assert_eq!(burst[0].1, Duration::from_micros(500));
        assert_eq!(burst[49].1, Duration::from_micros(49_500));
        assert_eq!(schedule.next_due(), Some(Duration::from_micros(50_500)));
    }

    #[test]
    fn times_do_not_drift_over_an_hour() {
        let mut schedule = Schedule::new(Rates::inserts(333.0));
        let all = released(&mut schedule, Duration::from_secs(3_600));
        assert_eq!(all.len(), 333 * 3_600);
        assert_eq!(schedule.released(), 333 * 3_600);
    }

    #[test]
    fn each_operation_has_its_rate_and_all_come_in_the_order_of_their_times() {
        let rates = Rates { inserts: 5.0, updates: 2.0, deletes: 1.0, reads: 10.0 };
        let all = released(&mut Schedule::new(rates), Duration::from_secs(10));
        let count = |operation| all.iter().filter(|(taken, _)| *taken == operation).count();
        assert_eq!(OPERATIONS.map(count), [50, 20, 10, 100]);
        assert!(all.is_sorted_by_key(|(_, due)| *due));
        assert_eq!(rates.scaled(180.0), Rates { inserts: 50.0, updates: 20.0, deletes: 10.0, reads: 100.0 });
    }

    #[test]
    fn no_rates_are_no_requests() {
        let mut schedule = Schedule::new(Rates::inserts(0.0));
        assert_eq!((schedule.next_due(), schedule.take(Duration::from_secs(9))), (None, None));
    }
}

//! Latencies of the last second, by operation: HDR histograms of three digits.
//!
//! Two histograms an operation: one records while the other is read. They change places once a second, so that who
//! records waits for a swap at most.

use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;
use parking_lot::{Mutex, RwLock};

/// The longest latency told apart, in microseconds; longer ones count as this.
const MAX_US: u64 = 60_000_000;

/// The latencies of all operations that were seen since the start.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    operations: RwLock<Vec<(&'static str, Arc<Operation>)>>,
}

#[derive(Debug, Default)]
struct Operation {
    recording: Mutex<Interval>,
    reading: Mutex<Interval>,
}

/// What was recorded in an interval. The histogram is there from the first request on: it takes 70 KB.
#[derive(Debug, Default)]
struct Interval {
    us: Option<Histogram<u32>>,
    errors: u64,
}

/// What came of one operation in an interval.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Taken {
    /// Requests.
    pub(super) count: u64,
    /// Those that failed by the server's fault.
    pub(super) errors: u64,
    /// Percentiles and maximum of the latencies, in milliseconds; 0 where there was no request.
    pub(super) p50_ms: f64,
    pub(super) p95_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) max_ms: f64,
}

impl Recorder {
    pub(super) fn record(&self, operation: &'static str, is_error: bool, elapsed: Duration) {
        if let Some(known) = find(&self.operations.read(), operation) {
            return known.recording.lock().record(is_error, elapsed);
        }
        let mut operations = self.operations.write();
        // Somebody else may have added it since.
        if find(&operations, operation).is_none() {
            operations.push((operation, Arc::default()));
        }
        if let Some(known) = find(&operations, operation) {
            known.recording.lock().record(is_error, elapsed);
        }
    }

    /// What was recorded since the last call.
    pub(super) fn take(&self) -> Vec<(&'static str, Taken)> {
        let operations = self.operations.read().clone();
        operations.into_iter().map(|(name, operation)| (name, operation.take())).collect()
    }
}

fn find<'a>(operations: &'a [(&'static str, Arc<Operation>)], name: &str) -> Option<&'a Operation> {
    operations.iter().find(|(known, _)| *known == name).map(|(_, operation)| &**operation)
}

impl Operation {
    fn take(&self) -> Taken {
        let mut reading = self.reading.lock();
        std::mem::swap(&mut *self.recording.lock(), &mut reading);
        let taken = reading.figures();
        if taken.count > 0 {
            reading.clear();
        }
        taken
    }
}

impl Interval {
    fn record(&mut self, is_error: bool, elapsed: Duration) {
        if self.us.is_none() {
            // These bounds and digits are within what the histogram can bear.
            self.us = Histogram::new_with_bounds(1, MAX_US, 3).ok();
        }
        if let Some(us) = &mut self.us {
            us.saturating_record(elapsed.as_micros().clamp(1, u128::from(MAX_US)) as u64);
        }
        self.errors += u64::from(is_error);
    }

    fn figures(&self) -> Taken {
        let Some(us) = self.us.as_ref().filter(|us| !us.is_empty()) else {
            return Taken::default();
        };
        let quantile_ms = |quantile| us.value_at_quantile(quantile) as f64 / 1e3;
        Taken {
            count: us.len(),
            errors: self.errors,
            p50_ms: quantile_ms(0.50),
            p95_ms: quantile_ms(0.95),
            p99_ms: quantile_ms(0.99),
            max_ms: us.max() as f64 / 1e3,
        }
    }

    fn clear(&mut self) {
        self.errors = 0;
        if let Some(us) = &mut self.us {
            us.reset();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_last_interval_within_a_thousandth() {
        let recorder = Recorder::default();
        recorder.record("get_item", true, Duration::from_secs(30));
        recorder.take();
        for ms in 1..=1000 {
            recorder.record("get_item", ms > 998, Duration::from_millis(ms));
        }
        let taken = recorder.take();
        let [("get_item", figures)] = taken[..] else { panic!("{taken:?}") };
        assert_eq!((figures.count, figures.errors), (1000, 2));
        for (found, ms) in [
            (figures.p50_ms, 500.0),
            (figures.p95_ms, 950.0),
            (figures.p99_ms, 990.0),
            (figures.max_ms, 1000.0),
        ] {
            assert!((found - ms).abs() <= ms / 1000.0, "{found} ms instead of {ms} ms");
        }
    }

    #[test]
    fn an_operation_that_paused_is_there_with_zeros() {
        let recorder = Recorder::default();
        recorder.record("put_item", false, Duration::ZERO);
        recorder.take();
        assert_eq!(recorder.take(), [("put_item", Taken::default())]);
    }

    #[test]
    fn what_threads_record_while_others_take_is_taken_once() {
        let recorder = Recorder::default();
        let taken = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        (0..10_000)
                            .for_each(|_| recorder.record("put_item", false, Duration::from_micros(7)));
                    })
                })
                .collect();
            let mut taken = 0;
            while writers.iter().any(|writer| !writer.is_finished()) {
                taken += recorder.take().iter().map(|(_, figures)| figures.count).sum::<u64>();
            }
            taken
        });
        let rest: u64 = recorder.take().iter().map(|(_, figures)| figures.count).sum();
        assert_eq!(taken + rest, 40_000);
    }
}

//! Latency histograms: nanoseconds, three significant digits, up to a minute.

use std::time::Duration;

use hdrhistogram::Histogram;

const LONGEST: Duration = Duration::from_secs(60);
const DIGITS: u8 = 3;

/// An empty histogram. Record with `saturating_record`: what takes longer than a minute counts as a minute.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST.as_nanos() as u64, DIGITS)
        .or_else(|_| Histogram::new(DIGITS))
        .expect("three digits are within what the histogram offers")
}

/// A quantile of a histogram of nanoseconds, in microseconds; 0 where it is empty.
pub fn percentile_us(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    histogram.value_at_quantile(quantile) as f64 / 1_000.0
}

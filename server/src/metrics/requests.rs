//! Requests as Prometheus sees them: a count and a histogram of durations for each set of labels.
//!
//! The count of a series is the sum of its buckets, so that a request costs two additions, and the two metrics cannot
//! disagree.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::RwLock;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;

/// The upper bounds of the histogram's buckets, in seconds; a request that took exactly so long is within.
const BOUNDS_S: [f64; 12] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The same bounds in nanoseconds, which durations are compared in.
const BOUNDS_NS: [u64; 12] = [
    1_000_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// What labels a request apart from its table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Kind {
    pub(super) method: &'static str,
    pub(super) operation: &'static str,
    pub(super) status: &'static str,
}

/// All series. Read-mostly: a request takes the lock shared, unless its labels are new.
#[derive(Debug, Default)]
pub(super) struct Requests {
    tables: RwLock<Tables>,
}

/// Series by table. The kinds of one table are few, and found by looking at them one by one.
type Tables = HashMap<Box<str>, Vec<(Kind, Series)>>;

/// The durations of the requests with the same labels.
#[derive(Debug, Default)]
struct Series {
    /// Requests by bucket, not cumulated; the last one is for all that took longer than any bound.
    buckets: [AtomicU64; BOUNDS_NS.len() + 1],
    sum_ns: AtomicU64,
}

/// The label of a status code.
pub(super) fn status_class(status: u16) -> &'static str {
    match status {
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        500..600 => "5xx",
        _ => "other",
    }
}

impl Requests {
    pub(super) fn observe(&self, kind: Kind, table: &str, elapsed: Duration) {
        if let Some(series) = find(&self.tables.read(), kind, table) {
            return series.observe(elapsed);
        }
        let mut tables = self.tables.write();
        // Somebody else may have made it since.
        if find(&tables, kind, table).is_none() {
            tables.entry(table.into()).or_default().push((kind, Series::default()));
        }
        if let Some(series) = find(&tables, kind, table) {
            series.observe(elapsed);
        }
    }

    pub(super) fn forget_table(&self, table: &str) {
        self.tables.write().remove(table);
    }

    /// Forgets the tables that `exists` does not know. The request that drops a table is itself observed after it.
    pub(super) fn keep_tables(&self, exists: impl Fn(&str) -> bool) {
        let is_gone = |table: &str| !table.is_empty() && !exists(table);
        if self.tables.read().keys().any(|table| is_gone(table)) {
            self.tables.write().retain(|table, _| !is_gone(table));
        }
    }
}

fn find<'a>(tables: &'a Tables, kind: Kind, table: &str) -> Option<&'a Series> {
    tables.get(table)?.iter().find(|(known, _)| *known == kind).map(|(_, series)| series)
}

impl Series {
    fn observe(&self, elapsed: Duration) {
        let ns = elapsed.as_nanos() as u64;
        let bucket = BOUNDS_NS.partition_point(|bound| *bound < ns);
        // Relaxed: counters, which order nothing.
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_ns.fetch_add(ns, Ordering::Relaxed);
    }

    fn buckets(&self) -> [(f64, u64); BOUNDS_S.len() + 1] {
        std::array::from_fn(|index| {
            let bound = BOUNDS_S.get(index).copied().unwrap_or(f64::INFINITY);
            (bound, self.buckets[index].load(Ordering::Relaxed))
        })
    }
}

impl Collector for Requests {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let tables = self.tables.read();
        let mut names: Vec<_> = tables.keys().collect();
        names.sort_unstable();
        // Each series is read once, so that its count is the same in both metrics.
        let series: Vec<_> = names
            .into_iter()
            .flat_map(|table| tables[table].iter().map(move |(kind, series)| (labels(kind, table), series)))
            .map(|(labels, series)| (labels, series.buckets(), series.sum_ns.load(Ordering::Relaxed)))
            .collect();

        let help = "Requests answered, by method, operation, class of status and table.";
        let mut counts =
            encoder.encode_descriptor("hedgehog_http_requests", help, None, MetricType::Counter)?;
        for (labels, buckets, _) in &series {
            ConstCounter::new(total(buckets)).encode(counts.encode_family(labels)?)?;
        }
        let help = "Seconds from a request's head to its answer's head, by the same labels.";
        let name = "hedgehog_http_request_duration_seconds";
        let mut durations = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (labels, buckets, sum_ns) in &series {
            let sum_s = Duration::from_nanos(*sum_ns).as_secs_f64();
            let mut encoder = durations.encode_family(labels)?;
            encoder.encode_histogram::<[(&str, &str); 0]>(sum_s, total(buckets), buckets, None)?;
        }
        Ok(())
    }
}

fn labels<'a>(kind: &Kind, table: &'a str) -> [(&'static str, &'a str); 4] {
    [("method", kind.method), ("operation", kind.operation), ("status", kind.status), ("table", table)]
}

fn total(buckets: &[(f64, u64)]) -> u64 {
    buckets.iter().map(|(_, count)| count).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUT: Kind = Kind { method: "PUT", operation: "put_item", status: "2xx" };

    fn render(requests: Requests) -> String {
        let mut registry = prometheus_client::registry::Registry::default();
        registry.register_collector(Box::new(requests));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    }

    #[test]
    fn a_request_counts_once_in_the_bucket_that_its_duration_is_within() {
        let requests = Requests::default();
        for us in [1, 1_000, 1_001, 10_000_000, 10_000_001] {
            requests.observe(PUT, "users", Duration::from_micros(us));
        }
        let text = render(requests);
        let labels = r#"method="PUT",operation="put_item",status="2xx",table="users""#;
        for line in [
            format!("hedgehog_http_requests_total{{{labels}}} 5"),
            format!("hedgehog_http_request_duration_seconds_count{{{labels}}} 5"),
            format!("hedgehog_http_request_duration_seconds_sum{{{labels}}} 20.002003"),
            format!("hedgehog_http_request_duration_seconds_bucket{{le=\"0.001\",{labels}}} 2"),
            format!("hedgehog_http_request_duration_seconds_bucket{{le=\"0.005\",{labels}}} 3"),
            format!("hedgehog_http_request_duration_seconds_bucket{{le=\"10.0\",{labels}}} 4"),
            format!("hedgehog_http_request_duration_seconds_bucket{{le=\"+Inf\",{labels}}} 5"),
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\nis not in\n{text}");
        }
    }

    #[test]
    fn both_lists_of_bounds_are_the_same() {
        let in_seconds = BOUNDS_NS.map(|ns| Duration::from_nanos(ns).as_secs_f64());
        assert_eq!(in_seconds, BOUNDS_S);
    }

    #[test]
    fn a_dropped_table_takes_its_series_along_and_no_other() {
        let requests = Requests::default();
        for table in ["users", "orders", ""] {
            requests.observe(PUT, table, Duration::ZERO);
        }
        requests.forget_table("users");
        requests.keep_tables(|table| table != "orders");
        let text = render(requests);
        assert!(!text.contains("users") && !text.contains("orders"), "{text}");
        assert!(text.contains(r#"table="""#), "{text}");
    }

    #[test]
    fn a_label_cannot_break_out_of_its_quotes() {
        let requests = Requests::default();
        requests.observe(PUT, "a\"\n\\", Duration::ZERO);
        assert!(render(requests).contains(r#"table="a\"\n\\"} 1"#));
    }
}

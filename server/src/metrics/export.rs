//! The engine's own counters for Prometheus, read at each scrape.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeLabelSet, EncodeMetric,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use tree::{PartitionShape, PartitionStats};

use super::Engine;

/// Everything that the engine and the listener count.
#[derive(Debug)]
pub(super) struct Exporter(pub(super) Arc<Engine>);

/// The labels of a partition's series: `table`, `partition`.
type OfPartition<'a> = ([(&'static str, &'a str); 1], [(&'static str, u32); 1]);
/// The labels of a level's series: a partition's, and `level`, where 0 are the leaves.
type OfLevel<'a> = (OfPartition<'a>, [(&'static str, usize); 1]);

impl Collector for Exporter {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let engine = &*self.0;
        let mut text = Text(encoder);
        node(&mut text, engine)?;
        let stats = engine.database.stats();
        log(&mut text, &stats.log)?;
        pool(&mut text, &stats.pool)?;
        text.counter("hedgehog_checkpoints", "Checkpoints taken.", stats.checkpoints)?;
        let partitions = engine.database.partitions();
        of_partitions(&mut text, &partitions)?;
        of_levels(&mut text, &partitions)?;
        shapes(&mut text, &engine.shapes())
    }
}

fn node(text: &mut Text<'_>, engine: &Engine) -> fmt::Result {
    let facts = &engine.facts;
    let labels = [
        ("node_id", facts.node_id.as_str()),
        ("version", env!("CARGO_PKG_VERSION")),
        ("preset", &facts.preset),
        ("engine", &facts.engine),
        ("commit", &facts.commit),
    ];
    text.gauges("hedgehog_node_info", "What this node runs; always 1.", [(labels, 1_u64)])?;
    let gauges = &engine.gauges;
    // Relaxed: figures, which order nothing.
    let in_flight = gauges.in_flight.load(Ordering::Relaxed);
    text.gauge("hedgehog_http_requests_in_flight", "Requests admitted and not yet answered.", in_flight)?;
    let connections = gauges.connections.load(Ordering::Relaxed);
    text.gauge("hedgehog_http_connections", "Open connections.", connections)?;
    let body_bytes = gauges.body_bytes.load(Ordering::Relaxed);
    text.gauge("hedgehog_http_body_bytes", "Bodies of requests not yet answered.", body_bytes)?;
    let shed = gauges.shed.load(Ordering::Relaxed);
    text.counter("hedgehog_http_shed", "Requests and connections refused because of the load.", shed)
}

fn log(text: &mut Text<'_>, log: &wal::Stats) -> fmt::Result {
    text.counter("hedgehog_log_appends", "Records appended to the log.", log.appends)?;
    text.counter("hedgehog_log_appended_bytes", "Their payloads, in bytes.", log.appended_bytes)?;
    text.counter("hedgehog_log_flushes", "Groups of records flushed.", log.groups)?;
    let help = "Commits that waited for a flush; by flushes, the mean size of a group.";
    text.counter("hedgehog_log_commits", help, log.served)?;
    text.counter("hedgehog_log_syncs", "Syncs of the log's files.", log.syncs)?;
    text.counter("hedgehog_log_flushed_bytes", "Bytes written by flushes.", log.synced_bytes)
}

fn pool(text: &mut Text<'_>, pool: &tree::PoolStats) -> fmt::Result {
    text.gauge("hedgehog_pool_frames", "The buffer pool's size, in pages.", pool.frames)?;
    text.counter("hedgehog_pool_hits", "Look-ups of pages answered from memory.", pool.hits)?;
    text.counter("hedgehog_pool_misses", "Pages read from files.", pool.misses)?;
    text.counter("hedgehog_pool_evictions", "Frames given to another page.", pool.evictions)?;
    text.counter("hedgehog_pool_written_pages", "Pages written back.", pool.written_pages)?;
    text.counter("hedgehog_pool_write_backs", "Batches of pages written back.", pool.write_backs)?;
    let help = "Latches that were not free at once, those of bitmaps and overflow pages included.";
    text.counter("hedgehog_pool_latch_waits", help, pool.latch_waits)
}

fn of_partitions(text: &mut Text<'_>, partitions: &[PartitionStats]) -> fmt::Result {
    let tables = partitions.chunk_by(|one, next| one.table == next.table).filter_map(|table| {
        let items: u64 = table.iter().map(|partition| partition.items).sum();
        Some(([("table", table.first()?.table.as_str())], items))
    });
    text.gauges("hedgehog_table_items", "Items.", tables)?;

    let each = |figure: fn(&PartitionStats) -> u64| {
        partitions.iter().map(move |of| (partition_labels(&of.table, of.partition), figure(of)))
    };
    text.gauges("hedgehog_partition_pages", "The file's length, in pages.", each(|of| of.pages))?;
    text.counters("hedgehog_splits", "Nodes split.", each(|of| of.splits))?;
    text.counters("hedgehog_merges", "Nodes merged into a neighbour.", each(|of| of.merges))?;
    let help = "Operations that found the tree's lock taken; only the mutex engine has one.";
    text.counters("hedgehog_lock_waits", help, each(|of| of.lock_waits))?;
    let help = "Seconds that threads waited for the tree's lock, all together.";
    let seconds = each(|of| of.lock_wait_ns).map(|(labels, ns)| (labels, seconds(ns)));
    text.counters("hedgehog_lock_wait_seconds", help, seconds)
}

fn of_levels(text: &mut Text<'_>, partitions: &[PartitionStats]) -> fmt::Result {
    let each = |figure: fn(&tree::LevelStats) -> u64| {
        partitions.iter().flat_map(move |of| {
            let levels = of.levels.iter().enumerate();
            levels.map(move |(level, stats)| (level_labels(&of.table, of.partition, level), figure(stats)))
        })
    };
    let help = "Latches on nodes that were not free at once; level 0 are the leaves.";
    text.counters("hedgehog_latch_waits", help, each(|level| level.latch_waits))?;
    let help = "Seconds that threads waited for latches on nodes, all together.";
    let seconds = each(|level| level.latch_wait_ns).map(|(labels, ns)| (labels, seconds(ns)));
    text.counters("hedgehog_latch_wait_seconds", help, seconds)?;
    let help = "Operations that released every latch and began again because of a node of this level.";
    text.counters("hedgehog_restarts", help, each(|level| level.restarts))
}

fn shapes(text: &mut Text<'_>, shapes: &[PartitionShape]) -> fmt::Result {
    let levels = || {
        shapes.iter().flat_map(|of| {
            let levels = of.levels.iter().enumerate();
            levels.map(|(level, shape)| (level_labels(&of.table, of.partition, level), shape))
        })
    };
    let nodes = levels().map(|(labels, shape)| (labels, shape.nodes));
    text.gauges("hedgehog_nodes", "Nodes of a level, as far as nodes in memory tell.", nodes)?;
    let help = "How full the nodes of a level are, 0 to 1: the mean of a sample of those in memory.";
    let sampled = levels().filter(|(_, shape)| shape.sampled > 0);
    text.gauges("hedgehog_node_fill_ratio", help, sampled.map(|(labels, shape)| (labels, shape.fill)))
}

fn partition_labels(table: &str, partition: u32) -> OfPartition<'_> {
    ([("table", table)], [("partition", partition)])
}

fn level_labels(table: &str, partition: u32, level: usize) -> OfLevel<'_> {
    (partition_labels(table, partition), [("level", level)])
}

fn seconds(ns: u64) -> f64 {
    Duration::from_nanos(ns).as_secs_f64()
}

/// Writes metrics, each with its help and type, in one call.
struct Text<'a>(DescriptorEncoder<'a>);

impl Text<'_> {
    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(value).encode(metric)
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let metric = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(value).encode(metric)
    }

    fn counters<L: EncodeLabelSet, V: EncodeCounterValue>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (L, V)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        let mut series = series.into_iter();
        series.try_for_each(|(labels, value)| ConstCounter::new(value).encode(family.encode_family(&labels)?))
    }

    fn gauges<L: EncodeLabelSet, V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (L, V)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        let mut series = series.into_iter();
        series.try_for_each(|(labels, value)| ConstGauge::new(value).encode(family.encode_family(&labels)?))
    }
}

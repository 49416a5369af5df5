//! A snapshot for people.

use std::time::Duration;

use comfy_table::{Cell, Color};

use super::snapshot::{Log, Partition, Pool, Snapshot, Table};
use crate::escape::printable;
use crate::output::Output;
use crate::units::{bytes, millis, rate, span, thousands};

/// Waiting that is worth a look, in ms of all threads a second: a tenth of a thread.
const WARM_MS: f64 = 100.0;
/// Waiting that is the bottleneck: a whole thread does nothing else.
const HOT_MS: f64 = 1_000.0;

/// The whole picture.
pub(super) fn text(snapshot: &Snapshot, output: Output) -> String {
    let parts = [
        head(snapshot),
        operations(snapshot, output),
        log(&snapshot.log, output),
        pool(&snapshot.pool, output),
        trees(&snapshot.tables, output),
    ];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n")
}

fn head(snapshot: &Snapshot) -> String {
    let Snapshot { node_id, version, preset, engine, commit, partitions, .. } = snapshot;
    let names = [node_id, version, preset, engine, commit].map(|name| printable(name));
    let [node_id, version, preset, engine, commit] = names;
    let uptime = span(Duration::try_from_secs_f64(snapshot.uptime_s).unwrap_or_default());
    format!(
        "{node_id}, version {version}, up {uptime}; preset {preset}: {engine}, {commit} commit, {partitions} \
         partitions a table\nin flight {}, connections {}, shed {}/s, checkpoints {}",
        thousands(snapshot.in_flight as f64),
        thousands(snapshot.connections as f64),
        rate(snapshot.shed_rate),
        thousands(snapshot.checkpoints as f64)
    )
}

fn operations(snapshot: &Snapshot, output: Output) -> String {
    if snapshot.operations.is_empty() {
        return "no operations yet".to_string();
    }
    let header = ["operation", "rate/s", "errors/s", "p50 ms", "p95 ms", "p99 ms", "max ms"];
    let mut grid = output.grid(&header, 1);
    for (name, operation) in &snapshot.operations {
        let failing = (operation.error_rate > 0.0).then_some(Color::Red);
        let mut row = vec![Cell::new(printable(name)), Cell::new(rate(operation.rate))];
        row.push(output.cell(rate(operation.error_rate), failing));
        let latencies = [operation.p50_ms, operation.p95_ms, operation.p99_ms, operation.max_ms];
        row.extend(latencies.map(|latency| Cell::new(millis(latency))));
        grid.add_row(row);
    }
    grid.trim_fmt()
}

fn log(log: &Log, output: Output) -> String {
    let mut grid = output.grid(&["log", "flushes/s", "commits/s", "group", "records/s", "bytes/s"], 1);
    grid.add_row([
        String::new(),
        rate(log.flush_rate),
        rate(log.commit_rate),
        rate(log.group_mean),
        rate(log.append_rate),
        bytes(log.byte_rate),
    ]);
    grid.trim_fmt()
}

fn pool(pool: &Pool, output: Output) -> String {
    let header = ["pool", "pages", "hits/s", "misses/s", "evicted/s", "written/s", "latch waits/s"];
    let mut grid = output.grid(&header, 1);
    let rates = [pool.hit_rate, pool.miss_rate, pool.eviction_rate, pool.written_rate, pool.latch_wait_rate];
    let mut row = vec![String::new(), thousands(pool.frames as f64)];
    row.extend(rates.map(rate));
    grid.add_row(row);
    grid.trim_fmt()
}

fn trees(tables: &[Table], output: Output) -> String {
    if tables.is_empty() {
        return "no tables".to_string();
    }
    let header = [
        "table",
        "part",
        "items",
        "pages",
        "levels",
        "leaf fill",
        "splits/s",
        "merges/s",
        "restarts/s",
        "lock wait",
        "latch wait",
    ];
    let mut grid = output.grid(&header, 1);
    for table in tables {
        for (number, partition) in table.partitions.iter().enumerate() {
            grid.add_row(tree_row(&table.name, number, partition, output));
        }
    }
    format!("{}\nwaits: ms that threads waited, a second", grid.trim_fmt())
}

fn tree_row(table: &str, number: usize, partition: &Partition, output: Output) -> Vec<Cell> {
    let latch_wait_ms = partition.levels.iter().map(|level| level.latch_wait_ms).sum();
    let leaf_fill = partition.levels.first().map_or(0.0, |leaves| leaves.fill);
    let mut row: Vec<Cell> = [
        printable(table),
        number.to_string(),
        thousands(partition.items as f64),
        thousands(partition.pages as f64),
        partition.levels.len().to_string(),
        format!("{:.0} %", leaf_fill * 100.0),
        rate(partition.split_rate),
        rate(partition.merge_rate),
        rate(partition.restart_rate),
    ]
    .into_iter()
    .map(Cell::new)
    .collect();
    row.extend([partition.lock_wait_ms, latch_wait_ms].map(|wait| output.cell(millis(wait), heat(wait))));
    row
}

fn heat(wait_ms: f64) -> Option<Color> {
    match wait_ms {
        wait if wait >= HOT_MS => Some(Color::Red),
        wait if wait >= WARM_MS => Some(Color::Yellow),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_shows_operations_log_pool_and_trees() {
        let snapshot: Snapshot = serde_json::from_str(
            r#"{"node_id":"node-1","version":"0.1.0","preset":"option4","engine":"coupled","commit":"greedy",
                "partitions":8,"uptime_s":12.0,"in_flight":3,"new_in_a_later_version":[],
                "operations":{"put_item":{"rate":1234.0,"error_rate":0.0,"p50_ms":1.2,"p95_ms":2.0,"p99_ms":3.1,"max_ms":7.0}},
                "log":{"flush_rate":800.0,"group_mean":15.0},"pool":{"frames":16384},
                "tables":[{"name":"users","items":2,"partitions":[{"items":15432,"lock_wait_ms":1500.0,
                  "levels":[{"nodes":640,"fill":0.71,"latch_wait_ms":0.5},{"nodes":1,"latch_wait_ms":0.25}]}]}]}"#,
        )
        .unwrap();
        let output = Output { json: false, colours: false, terminal: false };
        let text = text(&snapshot, output);
        for part in [
            "node-1, version 0.1.0, up 12 s",
            "put_item",
            "1,234",
            "16,384",
            "users",
            "71 %",
            "1,500",
            "0.750",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn waiting_is_coloured_where_it_is_worth_a_look() {
        assert_eq!([0.0, 150.0, 1_500.0].map(heat), [None, Some(Color::Yellow), Some(Color::Red)]);
    }
}

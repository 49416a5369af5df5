//! What a running node tells: metrics by name and label, and snapshots by their documented shape.
#![cfg(not(feature = "loom"))]

mod common;

use std::io::{BufRead, BufReader};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::Node;
use serde_json::Value;

/// How long something is waited for that comes with the next snapshots.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn requests_are_counted_by_method_operation_status_and_table() {
    let node = Node::start(&[]);
    node.create_table("users");
    node.put("/api/v1/tables/users/items/a", "{}");
    node.put("/api/v1/tables/users/items/a", "no JSON");
    node.get("/api/v1/tables/users/items/a");
    node.get("/api/v1/tables/users/items/b");
    node.get("/api/v1/tables/users/items");
    node.get("/api/v1/tables/users/count");
    node.get("/api/v1/tables");
    node.delete("/api/v1/tables/users/items/a");

    let answer = node.get("/metrics");
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").starts_with("application/openmetrics-text; version=1.0.0"));
    let text = answer.text();
    for (method, operation, status, table) in [
        ("POST", "create_table", "2xx", ""),
        ("PUT", "put_item", "2xx", "users"),
        ("PUT", "put_item", "4xx", "users"),
        ("GET", "get_item", "2xx", "users"),
        ("GET", "get_item", "4xx", "users"),
        ("GET", "scan_items", "2xx", "users"),
        ("GET", "table_count", "2xx", "users"),
        ("GET", "list_tables", "2xx", ""),
        ("DELETE", "delete_item", "2xx", "users"),
    ] {
        let labels =
            format!("method=\"{method}\",operation=\"{operation}\",status=\"{status}\",table=\"{table}\"");
        for line in [
            format!("hedgehog_http_requests_total{{{labels}}} 1"),
            format!("hedgehog_http_request_duration_seconds_count{{{labels}}} 1"),
            format!("hedgehog_http_request_duration_seconds_bucket{{le=\"+Inf\",{labels}}} 1"),
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\nis not in\n{text}");
        }
    }
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn only_tables_that_exist_make_series() {
    let node = Node::start(&[]);
    node.create_table("users");
    node.put("/api/v1/tables/users/items/a", "{}");
    node.get("/api/v1/tables/made-up/items/a").error(404);
    node.get("/api/v1/tables/%2e%2e%2fetc/items/a");
    assert!(node.get("/metrics").text().contains("table=\"users\""));
    assert_eq!(node.delete("/api/v1/tables/users").status, 200);
    let text = node.get("/metrics").text();
    for name in ["made-up", "etc", "users"] {
        assert!(!text.contains(name), "{name} is in {text}");
    }
}

#[test]
fn figures_of_the_engine_follow_what_it_does() {
    let node = Node::start(&["--partitions", "2"]);
    let before = node.get("/metrics").text();
    assert_eq!(value(&before, "hedgehog_log_commits_total"), 0.0);
    node.create_table("users");
    for key in 0..100 {
        let put = node.put(&format!("/api/v1/tables/users/items/{key}?consistency=strong"), "{}");
        assert_eq!(put.status, 200);
    }
    let after = node.get("/metrics").text();
    assert!(value(&after, "hedgehog_log_commits_total") >= 100.0);
    assert!(value(&after, "hedgehog_log_appends_total") >= 100.0);
    assert!(value(&after, "hedgehog_pool_hits_total") > value(&before, "hedgehog_pool_hits_total"));
    assert_eq!(value(&after, "hedgehog_table_items{table=\"users\"}"), 100.0);
    assert_eq!(after.matches("hedgehog_partition_pages{").count(), 2);
    assert!(value(&after, "process_cpu_seconds_total") > 0.0);
    assert!(after.contains("engine=\"coupled\""), "{after}");
}

#[test]
fn a_snapshot_has_every_documented_key_and_no_other() {
    let node = Node::start(&["--partitions", "1"]);
    node.create_table("users");
    node.put("/api/v1/tables/users/items/a?consistency=strong", "{}");
    let deadline = Instant::now() + PATIENCE;
    // Shapes are looked at once in some seconds: until then, the new table's tree has none.
    let snapshot = loop {
        let snapshot = node.get("/api/v1/stats").json();
        if snapshot["tables"][0]["partitions"][0]["levels"][0]["nodes"] == 1 {
            break snapshot;
        }
        assert!(Instant::now() < deadline, "{snapshot}");
        std::thread::sleep(Duration::from_millis(50));
    };
    let top = "checkpoints commit connections engine in_flight log node_id operations partitions pool preset shed_rate \
               tables time_ms uptime_s version";
    assert_keys(&snapshot, top);
    assert_keys(&snapshot["operations"]["put_item"], "error_rate max_ms p50_ms p95_ms p99_ms rate");
    assert_keys(&snapshot["log"], "append_rate byte_rate commit_rate flush_rate group_mean");
    let pool = "eviction_rate frames hit_rate latch_wait_rate miss_rate written_rate";
    assert_keys(&snapshot["pool"], pool);
    let table = &snapshot["tables"][0];
    assert_keys(table, "items name partitions");
    assert_eq!((&table["name"], &table["items"]), (&"users".into(), &1.into()));
    let partition = &table["partitions"][0];
    assert_keys(partition, "items levels lock_wait_ms merge_rate pages restart_rate split_rate");
    let leaves = &partition["levels"][0];
    assert_keys(leaves, "fill latch_wait_ms latch_waits nodes restarts");
    assert!((0.0..1.0).contains(&leaves["fill"].as_f64().unwrap()), "{leaves}");
}

#[test]
fn events_bring_a_new_snapshot_every_second() {
    let node = Node::start(&[]);
    let response = ureq::get(format!("{}/api/v1/events", node.url)).call().unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let lines = BufReader::new(response.into_body().into_reader()).lines().map(Result::unwrap);
    let mut names = Vec::new();
    let mut times = Vec::new();
    for line in lines {
        match line.split_once(": ") {
            Some(("event", name)) => names.push(name.to_string()),
            Some(("data", json)) => {
                let snapshot: Value = serde_json::from_str(json).unwrap();
                times.push(snapshot["time_ms"].as_u64().unwrap());
            }
            _ => {}
        }
        if times.len() == 4 {
            break;
        }
    }
    assert!(names.iter().all(|name| name == "stats"), "{names:?}");
    // The first was taken before; whichever are left out on a busy machine, none comes early.
    assert!(times.windows(2).skip(1).all(|pair| pair[1] - pair[0] >= 400), "{times:?}");
}

#[test]
fn the_mutex_engine_is_seen_to_queue_for_its_lock_and_the_latched_one_is_not() {
    let baseline = Node::start(&["--preset", "baseline"]);
    let seen = most_lock_wait_ms(&baseline, |most| most > 100.0);
    assert!(seen > 100.0, "four writers at one tree waited {seen} ms a second");
    let latched = Node::start(&["--preset", "option4"]);
    let began = Instant::now();
    assert_eq!(most_lock_wait_ms(&latched, |_| began.elapsed() > Duration::from_secs(4)), 0.0);
}

/// Writes with four threads; the most that a snapshot showed until `enough`.
fn most_lock_wait_ms(node: &Node, enough: impl Fn(f64) -> bool) -> f64 {
    node.create_table("users");
    let done = AtomicBool::new(false);
    let deadline = Instant::now() + PATIENCE;
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let (done, url) = (&done, node.url.clone());
            scope.spawn(move || {
                for key in (0_u64..).take_while(|_| !done.load(Ordering::Relaxed)) {
                    let path = format!("/api/v1/tables/users/items/{writer}-{key}?consistency=strong");
                    ureq::put(format!("{url}{path}")).send("{}").unwrap();
                }
            });
        }
        let mut most = 0.0_f64;
        while !enough(most) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(200));
            let snapshot = node.get("/api/v1/stats").json();
            let partitions = snapshot["tables"][0]["partitions"].as_array().cloned().unwrap_or_default();
            let waited = partitions.iter().filter_map(|partition| partition["lock_wait_ms"].as_f64()).sum();
            most = most.max(waited);
        }
        done.store(true, Ordering::Relaxed);
        most
    })
}

#[track_caller]
fn assert_keys(object: &Value, expected: &str) {
    let object = object.as_object().unwrap_or_else(|| panic!("{object} is no object"));
    let mut keys: Vec<_> = object.keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, expected.split_whitespace().collect::<Vec<_>>());
}

/// The value of the series with that name and labels.
fn value(text: &str, series: &str) -> f64 {
    let found = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    found.unwrap_or_else(|| panic!("{series} is not in {text}")).parse().unwrap()
}

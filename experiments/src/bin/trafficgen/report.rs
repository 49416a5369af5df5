//! The forms of a result: a table for people, JSON and CSV for programs.

use std::path::{Path, PathBuf};

use comfy_table::Table;
use experiments::error::{Error, Result};
use experiments::text_table::{plain, wrapped};
use experiments::units::{latency, thousands};
use experiments::{result_folder, utc};
use serde::Serialize;

use crate::results::{Figures, Results, Step};

/// Writes `result.json` and `result.csv` into a fresh folder in `out`, and returns the folder.
///
/// # Errors
///
/// Where that cannot be written.
pub(crate) fn write(results: &Results, out: &Path) -> Result<PathBuf> {
    let folder = result_folder::fresh(out, &format!("{}-{}", utc::now(), results.mode))?;
    for (name, text) in [("result.json", json(results)?), ("result.csv", csv(results)?)] {
        let path = folder.join(name);
        std::fs::write(&path, text)
            .map_err(|cause| Error::failed(format!("cannot write {}", path.display()), cause))?;
    }
    Ok(folder)
}

/// One object, indented, with a line end.
///
/// # Errors
///
/// None that a result of this program can cause.
pub(crate) fn json(results: &impl Serialize) -> Result<String> {
    let text =
        serde_json::to_string_pretty(results).map_err(|cause| Error::failed("cannot write JSON", cause))?;
    Ok(text + "\n")
}

#[derive(Serialize)]
struct Row<'a> {
    mode: &'a str,
    step: usize,
    target_per_s: Option<f64>,
    offered_per_s: f64,
    achieved_per_s: f64,
    passed: Option<bool>,
    reason: Option<&'a str>,
    seconds: f64,
    done: u64,
    not_found: u64,
    failed: u64,
    timeouts: u64,
    shed: u64,
    unsent: u64,
    p50_ms: f64,
    p95_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    service_p50_ms: f64,
    service_p99_ms: f64,
    shed_p99_ms: f64,
    reconnects: u64,
    cpu_us_per_request: f64,
    cpu_share: f64,
    nodes: String,
    connections: usize,
    consistency: String,
    value_bytes: usize,
    path_suffix: &'a str,
    time: &'a str,
    source_commit: &'a str,
    source_dirty: bool,
    cpu: &'a str,
    cores: usize,
    memory_bytes: u64,
    kernel: &'a str,
}

fn row<'a>(results: &'a Results, step: &'a Step) -> Row<'a> {
    let (figures, machine, flags) = (&step.total, &results.environment, &results.configuration);
    Row {
        mode: results.mode,
        step: step.step,
        target_per_s: step.target_per_s,
        offered_per_s: step.offered_per_s,
        achieved_per_s: step.achieved_per_s,
        passed: step.passed,
        reason: step.reason.as_deref(),
        seconds: step.seconds,
        done: figures.done,
        not_found: figures.not_found,
        failed: figures.failed,
        timeouts: figures.timeouts,
        shed: figures.shed,
        unsent: figures.unsent,
        p50_ms: figures.p50_ms,
        p95_ms: figures.p95_ms,
        p99_ms: figures.p99_ms,
        max_ms: figures.max_ms,
        service_p50_ms: step.service_p50_ms,
        service_p99_ms: step.service_p99_ms,
        shed_p99_ms: step.shed_p99_ms,
        reconnects: step.reconnects,
        cpu_us_per_request: step.cpu_us_per_request,
        cpu_share: step.cpu_share,
        nodes: results.nodes.join(" "),
        connections: flags.nodes.connections,
        consistency: flags.consistency().map_or_else(String::new, |which| which.to_string()),
        value_bytes: flags.traffic.value_bytes,
        path_suffix: &flags.nodes.path_suffix,
        time: &machine.time,
        source_commit: &machine.commit,
        source_dirty: machine.dirty,
        cpu: &machine.cpu,
        cores: machine.cores,
        memory_bytes: machine.memory_bytes,
        kernel: &machine.kernel,
    }
}

/// A row a step, with the configuration and the machine in each.
fn csv(results: &Results) -> Result<String> {
    let failed = |cause: String| Error::failed("cannot write CSV", cause);
    let mut writer = csv::Writer::from_writer(Vec::new());
    for step in &results.steps {
        writer.serialize(row(results, step)).map_err(|cause| failed(cause.to_string()))?;
    }
    let bytes = writer.into_inner().map_err(|cause| failed(cause.to_string()))?;
    String::from_utf8(bytes).map_err(|cause| failed(cause.to_string()))
}

/// The table and the sentences.
pub(crate) fn text(results: &Results) -> String {
    let table = match results.mode {
        "stress" | "write-stress" => step_table(&results.steps),
        _ => operation_table(&results.steps),
    };
    let mut text = format!("\n{}\n{table}\n\n", caption(results).trim_end());
    if let Some(limit) = results.limit {
        text += &wrapped(&format!(
            "Limit: {} requests/s offered, {} achieved, p95 {}.",
            thousands(limit.offered_per_s),
            thousands(limit.achieved_per_s),
            milliseconds(limit.p95_ms)
        ));
    }
    text += &wrapped(&format!("Stopped: {}.", results.stopped));
    if let Some(failure) = results.steps.iter().rev().find_map(|step| step.first_failure.as_deref()) {
        text += &wrapped(&format!("First failure of the last step that had any: {failure}."));
    }
    let most = results.steps.iter().map(|step| step.cpu_share).fold(0.0, f64::max);
    let last = results.steps.last().map_or(0.0, |step| step.cpu_us_per_request);
    text += &wrapped(&format!(
        "The generator itself took {last:.1} us of processor time a request and at most {:.0} % of one processor.",
        most * 100.0
    ));
    let machine = &results.environment;
    text + &wrapped(&format!("{}, {}", machine.hardware(), machine.source()))
}

fn caption(results: &Results) -> String {
    let flags = &results.configuration;
    let consistency = match flags.consistency() {
        Some(which) => format!("{which} consistency"),
        None => "the node's own consistency".to_string(),
    };
    wrapped(&format!(
        "{}: {}, {}, {} connections, {} keys there before; latency from when a request was due",
        results.mode,
        results.nodes.join(" "),
        consistency,
        flags.nodes.connections,
        thousands(results.keys_before as f64)
    ))
}

fn milliseconds(value: f64) -> String {
    latency(value * 1_000.0)
}

/// What both tables have at their end.
const FIGURES: [&str; 7] = ["p50", "p95", "p99", "max", "failed", "timeouts", "shed"];

fn cells(figures: &Figures) -> Vec<String> {
    let latencies = [figures.p50_ms, figures.p95_ms, figures.p99_ms, figures.max_ms].map(milliseconds);
    let counts = [figures.failed, figures.timeouts, figures.shed].map(|count| thousands(count as f64));
    latencies.into_iter().chain(counts).collect()
}

fn step_table(steps: &[Step]) -> Table {
    let header = ["step", "offered/s", "achieved/s"].into_iter().chain(FIGURES).chain(["us CPU", ""]);
    let mut table = plain(&header.map(str::to_string).collect::<Vec<_>>(), 0);
    for step in steps {
        let mut row =
            vec![step.step.to_string(), thousands(step.offered_per_s), thousands(step.achieved_per_s)];
        row.extend(cells(&step.total));
        row.push(format!("{:.1}", step.cpu_us_per_request));
        let verdict = step.passed.map_or("cut short", |passed| if passed { "passed" } else { "failed" });
        row.push(verdict.to_string());
        table.add_row(row);
    }
    table
}

fn operation_table(steps: &[Step]) -> Table {
    let header = ["operation", "achieved/s", "done", "404"].into_iter().chain(FIGURES).chain(["unsent"]);
    let mut table = plain(&header.map(str::to_string).collect::<Vec<_>>(), 1);
    let mut add = |name: &str, achieved: f64, figures: &Figures| {
        let counts = [figures.done, figures.not_found].map(|count| thousands(count as f64));
        let mut row = vec![name.to_string(), thousands(achieved)];
        row.extend(counts.into_iter().chain(cells(figures)).chain([thousands(figures.unsent as f64)]));
        table.add_row(row);
    };
    for step in steps {
        for operation in &step.operations {
            add(&operation.operation, operation.achieved_per_s, &operation.figures);
        }
        if step.operations.len() != 1 {
            add("all", step.achieved_per_s, &step.total);
        }
    }
    table
}

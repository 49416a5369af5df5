//! `bench`: a quick look at what a node does. Each connection is a closed loop, so the rate is what the node
//! achieves with that many clients, and the latency is that of a client who waits; `trafficgen` offers a rate.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde_json::value::RawValue;

use crate::batch::{self, Verb};
use crate::cli::{Bench, Consistency, Operation};
use crate::client::Client;
use crate::command::Session;
use crate::error::{Code, Error, Result};
use crate::ndjson::LINES;
use crate::output::{self, Output};
use crate::request::{Request, item_path, table_path};
use crate::tables;
use crate::units::{millis, thousands};

/// Items that gets choose from.
const LOADED: u64 = 10_000;
/// Latencies are kept with three digits, in microseconds up to ten minutes.
const LONGEST_US: u64 = 600_000_000;

/// `bench`.
pub(crate) fn run(session: &Session, options: &Bench) -> Result<()> {
    let client = session.client()?;
    let created = create(&client, &options.table)?;
    let measured = measure(&client, options);
    if created {
        let removed = client.send(Request::delete(table_path(&options.table, "")));
        if let (Err(error), Ok(_)) = (removed, &measured) {
            return Err(error.and(format!("the bench's table {} is left over", options.table)));
        }
    }
    let result = measured?;
    show(session.output, options, &result)?;
    match result.first_error {
        Some(error) => Err(error.and(format!("{} requests failed", thousands(result.errors as f64)))),
        None => Ok(()),
    }
}

/// Creates the table; whether it was not there before.
fn create(client: &Client, table: &str) -> Result<bool> {
    match client.send(tables::creation(table)) {
        Ok(_) => Ok(true),
        Err(error) if error.code() == Some(Code::Conflict) => Ok(false),
        Err(error) => Err(error),
    }
}

/// What one connection, or all of them, saw.
struct Tally {
    latencies_us: Histogram<u64>,
    errors: u64,
    first_error: Option<Error>,
}

struct Measured {
    elapsed: Duration,
    latencies_us: Histogram<u64>,
    errors: u64,
    first_error: Option<Error>,
}

impl Tally {
    fn new() -> Result<Tally> {
        let histogram = Histogram::new_with_bounds(1, LONGEST_US, 3);
        let latencies_us = histogram.map_err(|cause| Error::failed("cannot keep latencies", cause))?;
        Ok(Tally { latencies_us, errors: 0, first_error: None })
    }
}

fn measure(client: &Client, options: &Bench) -> Result<Measured> {
    let item = item(options.item_bytes);
    if options.operation == Operation::Get {
        load(client, &options.table, &item)?;
    }
    // Keys of earlier runs in the same table are not written again: puts are inserts.
    let run = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_millis();
    let stop = AtomicBool::new(false);
    let begun = Instant::now();
    let tallies: Vec<Result<Tally>> = thread::scope(|scope| {
        let stop = &stop;
        let workers: Vec<_> = (0..options.connections)
            .map(|worker| {
                let (client, item) = (client.fresh(), item.as_str());
                scope
                    .spawn(move || repeat(&client, options, stop, |n| request(options, item, run, worker, n)))
            })
            .collect();
        thread::sleep(options.duration);
        stop.store(true, Ordering::Relaxed);
        let gone = || Err(Error::failed("a connection of the bench", "its thread ended early"));
        workers.into_iter().map(|worker| worker.join().unwrap_or_else(|_| gone())).collect()
    });
    let mut all = Tally::new()?;
    for tally in tallies {
        let tally = tally?;
        // Both histograms have the same bounds, so that nothing is refused.
        let _ = all.latencies_us.add(&tally.latencies_us);
        all.errors += tally.errors;
        all.first_error = all.first_error.or(tally.first_error);
    }
    let Tally { latencies_us, errors, first_error } = all;
    Ok(Measured { elapsed: begun.elapsed(), latencies_us, errors, first_error })
}

/// A connection's closed loop. A node that cannot be reached ends it; a busy one gets a pause, as clients owe it.
fn repeat(
    client: &Client,
    options: &Bench,
    stop: &AtomicBool,
    next: impl Fn(u64) -> Request,
) -> Result<Tally> {
    let mut tally = Tally::new()?;
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let begun = Instant::now();
        let outcome = client.send(next(n)).and_then(|answer| answer.text());
        match outcome {
            Ok(_) => tally.latencies_us.saturating_record(begun.elapsed().as_micros() as u64),
            Err(error) => {
                tally.errors += 1;
                let code = error.code();
                tally.first_error.get_or_insert(error);
                match code {
                    Some(Code::Busy) => thread::sleep(Duration::from_millis(50).min(options.duration)),
                    _ => break,
                }
            }
        }
    }
    Ok(tally)
}

fn request(options: &Bench, item: &str, run: u128, worker: u16, n: u64) -> Request {
    let consistency = options.consistency.consistency;
    let request = match options.operation {
        Operation::Put => Request::put(item_path(&options.table, &format!("bench-{run}-{worker}-{n}")), item),
        // A multiplier that shares no factor with the number of items visits all of them, in no order.
        Operation::Get => {
            let chosen = (n * 7_919 + u64::from(worker) * 613) % LOADED;
            Request::get(item_path(&options.table, &format!("bench-{chosen}")))
        }
    };
    request.consistency(consistency)
}

/// Loads the items that gets read.
fn load(client: &Client, table: &str, item: &str) -> Result<()> {
    let keys: Vec<u64> = (0..LOADED).collect();
    for keys in keys.chunks(LINES) {
        let put = |key: &u64| -> Result<batch::Operation> {
            let item = RawValue::from_string(item.to_string());
            let item = item.map_err(|cause| Error::failed("cannot make an item", cause))?;
            Ok(batch::Operation { verb: Verb::Put, key: format!("bench-{key}"), item: Some(item) })
        };
        let operations: Vec<batch::Operation> = keys.iter().map(put).collect::<Result<_>>()?;
        let outcomes = batch::send(client, table, &operations, Consistency::Strong)?;
        if let Some(refusal) = outcomes.iter().find_map(batch::Outcome::refusal) {
            return Err(refusal);
        }
    }
    Ok(())
}

/// A document of so many bytes.
fn item(bytes: u32) -> String {
    let frame = "{\"value\":\"\"}".len();
    format!("{{\"value\":\"{}\"}}", "x".repeat((bytes as usize).saturating_sub(frame)))
}

fn show(output: Output, options: &Bench, measured: &Measured) -> Result<()> {
    let done = measured.latencies_us.len();
    let seconds = measured.elapsed.as_secs_f64();
    let rate = done as f64 / seconds;
    let quantile = |q: f64| measured.latencies_us.value_at_quantile(q) as f64 / 1e3;
    let (p50, p95, p99) = (quantile(0.5), quantile(0.95), quantile(0.99));
    let max = measured.latencies_us.max() as f64 / 1e3;
    let operation = match options.operation {
        Operation::Put => "put",
        Operation::Get => "get",
    };
    let consistency = options.consistency.consistency.name();
    if output.json {
        return output.document(&serde_json::json!({
            "operation": operation, "consistency": consistency, "connections": options.connections,
            "item_bytes": options.item_bytes, "seconds": seconds, "operations": done, "errors": measured.errors,
            "rate": rate, "p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "max_ms": max,
        }));
    }
    let header = ["operation", "connections", "rate/s", "p50 ms", "p95 ms", "p99 ms", "max ms", "errors"];
    let mut grid = output.grid(&header, 1);
    let mut row =
        vec![format!("{consistency} {operation}"), options.connections.to_string(), thousands(rate)];
    row.extend([p50, p95, p99, max].map(millis));
    row.push(thousands(measured.errors as f64));
    grid.add_row(row);
    output.table(&grid)?;
    output::note(&format!("{} operations in {seconds:.1} s", thousands(done as f64)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_have_the_size_that_was_asked_for() {
        for bytes in [16, 100, 4096] {
            let item = item(bytes);
            assert_eq!(item.len(), bytes as usize);
            assert!(serde_json::from_str::<serde_json::Value>(&item).is_ok());
        }
    }
}

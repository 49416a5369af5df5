//! What a run measured, as plain data.

use experiments::latency::percentile_us;
use experiments::machine::Machine;
use hdrhistogram::Histogram;
use serde::Serialize;

use crate::cli::Cli;
use crate::recorder::{Counts, OPERATIONS};
use crate::step::{End, StepOutcome};

/// Everything that a run has to say.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Results {
    /// `steady`, `closed`, `stress` or `write-stress`.
    pub(crate) mode: &'static str,
    /// The machine that the generator ran on, and its source.
    pub(crate) environment: Machine,
    /// Every flag's value, without secrets.
    pub(crate) configuration: Cli,
    /// The nodes that answered.
    pub(crate) nodes: Vec<String>,
    /// Keys of the traffic that were there before.
    pub(crate) keys_before: u64,
    /// The steps; steady rates and a closed loop are one.
    pub(crate) steps: Vec<Step>,
    /// The highest rate that was passed, where rates grew and one was.
    pub(crate) limit: Option<Limit>,
    /// Why it ended.
    pub(crate) stopped: String,
}

/// The result of a search.
#[derive(Copy, Clone, Debug, Serialize)]
pub(crate) struct Limit {
    /// Requests a second that were due.
    pub(crate) offered_per_s: f64,
    /// Requests a second that were done.
    pub(crate) achieved_per_s: f64,
    /// The 95th percentile of their latency in ms.
    pub(crate) p95_ms: f64,
}

/// One step. Latencies are in ms and count from when a request was due.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Step {
    /// From 1.
    pub(crate) step: usize,
    /// The rate that was asked for; `None` in a closed loop.
    pub(crate) target_per_s: Option<f64>,
    /// Requests a second that were due; in a closed loop the ones that were sent.
    pub(crate) offered_per_s: f64,
    /// Requests a second that were done.
    pub(crate) achieved_per_s: f64,
    /// Whether the step kept the rule; `None` where there is none, or the step was cut short.
    pub(crate) passed: Option<bool>,
    /// Why it did not.
    pub(crate) reason: Option<String>,
    /// From its begin to its last answer.
    pub(crate) seconds: f64,
    /// All operations together.
    #[serde(flatten)]
    pub(crate) total: Figures,
    /// Each operation that there was.
    pub(crate) operations: Vec<Operation>,
    /// The same latencies from when a request was written: without the wait for a free connection.
    pub(crate) service_p50_ms: f64,
    /// See [`Step::service_p50_ms`].
    pub(crate) service_p99_ms: f64,
    /// How long the node took to refuse a request; 0 where it refused none.
    pub(crate) shed_p99_ms: f64,
    /// Connections that had to be made anew.
    pub(crate) reconnects: u64,
    /// Processor time of the generator a request, in microseconds.
    pub(crate) cpu_us_per_request: f64,
    /// The generator's share of one processor.
    pub(crate) cpu_share: f64,
    /// The first failure, in words.
    pub(crate) first_failure: Option<String>,
}

/// One operation of a step.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Operation {
    /// `insert`, `update`, `delete` or `read`.
    pub(crate) operation: String,
    /// Requests of it a second that were done.
    pub(crate) achieved_per_s: f64,
    /// Its figures.
    #[serde(flatten)]
    pub(crate) figures: Figures,
}

/// Counts and latencies.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figures {
    /// Requests that were done, 404 among them.
    pub(crate) done: u64,
    /// Answered with 404.
    pub(crate) not_found: u64,
    /// Failed, time-outs not among them.
    pub(crate) failed: u64,
    /// Not answered in time.
    pub(crate) timeouts: u64,
    /// Refused with 429 or 503.
    pub(crate) shed: u64,
    /// Not sent before the step's end.
    pub(crate) unsent: u64,
    /// Median latency.
    pub(crate) p50_ms: f64,
    /// The 95th percentile.
    pub(crate) p95_ms: f64,
    /// The 99th percentile.
    pub(crate) p99_ms: f64,
    /// The longest.
    pub(crate) max_ms: f64,
}

fn quantile_ms(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    percentile_us(histogram, quantile) / 1_000.0
}

impl Figures {
    fn of(counts: &Counts) -> Figures {
        Figures {
            done: counts.done,
            not_found: counts.not_found,
            failed: counts.failed,
            timeouts: counts.timeouts,
            shed: counts.shed,
            unsent: counts.unsent,
            p50_ms: quantile_ms(&counts.latency, 0.50),
            p95_ms: quantile_ms(&counts.latency, 0.95),
            p99_ms: quantile_ms(&counts.latency, 0.99),
            max_ms: quantile_ms(&counts.latency, 1.0),
        }
    }

    /// The share of requests that failed or timed out.
    pub(crate) fn error_share(&self) -> f64 {
        let errors = self.failed + self.timeouts;
        errors as f64 / (self.done + self.shed + self.unsent + errors).max(1) as f64
    }
}

impl Step {
    /// The `number`th step's figures, without a verdict.
    pub(crate) fn new(number: usize, target_per_s: Option<f64>, outcome: &StepOutcome) -> Step {
        let recorder = &outcome.recorder;
        let total = recorder.total();
        let seconds = outcome.elapsed.as_secs_f64().max(1e-9);
        let named = OPERATIONS.iter().zip(&recorder.operations).filter(|(_, counts)| counts.all() > 0);
        let operations = named.map(|(operation, counts)| Operation {
            operation: format!("{operation:?}").to_lowercase(),
            achieved_per_s: counts.done as f64 / seconds,
            figures: Figures::of(counts),
        });
        let cpu = outcome.cpu.as_secs_f64();
        Step {
            step: number,
            target_per_s,
            offered_per_s: outcome.offered,
            achieved_per_s: outcome.achieved(),
            passed: None,
            reason: None,
            seconds,
            operations: operations.collect(),
            service_p50_ms: quantile_ms(&recorder.service, 0.50),
            service_p99_ms: quantile_ms(&recorder.service, 0.99),
            shed_p99_ms: quantile_ms(&recorder.refusal, 0.99),
            reconnects: recorder.reconnects,
            cpu_us_per_request: cpu * 1e6 / (total.all() - total.unsent).max(1) as f64,
            cpu_share: cpu / seconds,
            first_failure: recorder.first_fault.clone(),
            total: Figures::of(&total),
        }
    }
}

impl End {
    /// Why a run ended, for people.
    pub(crate) fn words(self, failure: Option<&str>) -> String {
        match self {
            End::Time => "the time is up".to_string(),
            End::Interrupted => "interrupted".to_string(),
            End::Gone => format!("no node has answered for 5 s ({})", failure.unwrap_or("time-outs")),
        }
    }
}

//! The load generator: the roadmap's traffic over HTTP, at steady rates, at growing rates until a node gives in, or
//! from a closed loop; with what was offered beside what was achieved.
//!
//! The way of a request through the files: `schedule` says when it is due, `step` releases it, `generator` queues it
//! for a connection, `keys` says which document it is for, `request` and `connection` carry it, `wire` reads the
//! answer, `recorder` counts it. Around that: `cli` -> `modes` -> `setup` -> `step` -> `results` -> `report`, with
//! `plan` for the search for the limit, and `ledger` and `verify` for the proof that nothing acknowledged is lost.
//!
//! Everything runs on one thread with one write and one read a request, because the generator mostly shares its
//! machine with what it measures. What that costs is part of every result.

#![forbid(unsafe_code)]

mod cli;
mod connection;
mod display;
mod document;
mod flags;
mod generator;
mod keys;
mod ledger;
mod modes;
mod plan;
mod recorder;
mod report;
mod request;
mod results;
mod schedule;
mod setup;
mod step;
mod target;
mod timer;
mod verify;
mod wire;

use std::io::Write;
use std::process::ExitCode;

use experiments::error::{Error, Result};
use experiments::interrupt;
use experiments::units::thousands;

use crate::cli::Cli;
use crate::modes::Run;
use crate::step::End;
use crate::verify::Verification;

fn main() -> ExitCode {
    let arguments = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned());
    let cli = Cli::parse_flags(arguments).unwrap_or_else(|error| error.exit());
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", error.one_line());
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(cli: &Cli) -> Result<()> {
    interrupt::install()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|cause| Error::failed("cannot start", cause))?;
    let local = tokio::task::LocalSet::new();
    if let Some(path) = &cli.ledger.verify {
        let verification = runtime.block_on(local.run_until(modes::verify(cli, path)))?;
        return conclude_verification(cli, &verification);
    }
    let run = runtime.block_on(local.run_until(modes::run(cli)))?;
    conclude(cli, &run)
}

/// Prints and writes the result; what went wrong in it is the error.
fn conclude(cli: &Cli, run: &Run) -> Result<()> {
    let results = &run.results;
    let folder = report::write(results, &cli.output.folder())?;
    if cli.output.json {
        print(&report::json(results)?)?;
    } else {
        print(&format!("{}result: {}\n", report::text(results), folder.display()))?;
    }
    let searching = matches!(results.mode, "stress" | "write-stress");
    let errors: u64 = results.steps.iter().map(|step| step.total.failed + step.total.timeouts).sum();
    match run.end {
        End::Gone => Err(Error::Failed(results.stopped.clone())),
        End::Interrupted if searching => Err(Error::Interrupted),
        _ if searching && results.limit.is_none() => Err(Error::failed("no step passed", &results.stopped)),
        _ if !searching && errors > 0 => {
            let failure = results.steps.iter().find_map(|step| step.first_failure.as_deref());
            let requests = if errors == 1 { "request" } else { "requests" };
            let what = format!("{} {requests} failed or timed out", thousands(errors as f64));
            Err(Error::failed(what, failure.unwrap_or("no answer in time")))
        }
        _ => Ok(()),
    }
}

fn conclude_verification(cli: &Cli, verification: &Verification) -> Result<()> {
    if cli.output.json {
        print(&report::json(verification)?)?;
    } else {
        print(&format!(
            "{} keys are as they were acknowledged, {} are missing, {} have lost an update, {} have lost a delete\n",
            thousands(verification.keys as f64),
            thousands(verification.missing as f64),
            thousands(verification.wrong as f64),
            thousands(verification.returned as f64)
        ))?;
    }
    match verification.lost() {
        0 => Ok(()),
        lost => {
            let what = format!("{} acknowledged writes are lost", thousands(lost as f64));
            Err(Error::failed(what, verification.examples.join("; ")))
        }
    }
}

/// Prints to stdout; a reader that has gone away is not an error.
fn print(text: &str) -> Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(cause) if cause.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::failed("cannot print the result", cause))
        }
        _ => Ok(()),
    }
}

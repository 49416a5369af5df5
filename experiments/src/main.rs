//! The harness: one command measures what each step from a tree-wide lock to page latches gives.
//!
//! `experiments compare` runs the roadmap's own traffic on an embedded database for several presets, checks and
//! reads back what it wrote, and ends with a table, a plot and a result file. The way of a command through the
//! files: `cli` -> `command` -> `compare` (or `breakdown`, `floors`, `growth`) -> `trial` -> `phase` -> `report`.

#![forbid(unsafe_code)]

mod breakdown;
mod cli;
mod command;
mod compare;
mod data_folder;
mod environment;
mod floors;
mod growth;
mod ledger;
mod phase;
mod preset;
mod progress;
mod recorder;
mod replay;
mod report;
mod settings;
mod trial;

// The modules that `trafficgen` shares, under the names that they would have here.
use experiments::{error, interrupt, latency, machine, mix, result_folder, text_table, traffic, units, utc};

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match command::run(cli::Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", error.one_line());
            ExitCode::from(error.exit_code())
        }
    }
}

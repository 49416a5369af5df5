//! `hedgehogctl`: the command line of a node, over its HTTP interface.
//!
//! The way of a command through the files: `cli` (what can be said) -> `command` (which function answers it) ->
//! one file a group of commands (`tables`, `items`, `scan`, `batch`, `import`, `stats`, ...) -> `client` (a
//! request, an answer, or an error with an exit code) -> `output` (a table for people, JSON for programs).

#![forbid(unsafe_code)]

mod archive;
mod backup;
mod batch;
mod bench;
mod check;
mod cli;
mod client;
mod cluster;
mod command;
mod error;
mod escape;
mod import;
mod items;
mod ndjson;
mod node;
mod output;
mod page;
mod pretty;
mod progress;
mod request;
mod restore;
mod scan;
mod settings;
mod stats;
mod tables;
mod units;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match command::run(cli::Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if let Some(message) = error.message() {
                output::note(&format!("error: {message}"));
            }
            ExitCode::from(error.exit_code())
        }
    }
}

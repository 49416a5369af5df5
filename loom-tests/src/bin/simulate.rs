//! Crashes and faults by the million: `cargo run --release -p loom-tests --bin simulate -- --crashes 1000000`.
//!
//! Simulations run in processes of their own, one thread each, so that a seed always does the same: see
//! [`loom_tests::simulation`]. This process hands out the seeds and adds up the figures.
#![forbid(unsafe_code)]

use std::io::{BufRead, BufReader};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::thread::available_parallelism;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use loom_tests::simulation::{Decisions, Figures, Settings, Simulation};
use tree::Engine;

/// Simulates power losses and faults of the disk, and verifies what every recovery finds.
#[derive(Clone, Debug, Parser)]
struct Arguments {
    /// How many crash points there are to be, at least; a seed is always run to its end.
    #[arg(long, default_value_t = 10_000)]
    crashes: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many simulations run side by side. Default: the number of cores.
    #[arg(long)]
    threads: Option<u64>,
    /// Only this engine: mutex or coupled.
    #[arg(long)]
    engine: Option<Engine>,
    /// Runs every n-th seed and reports to the process that has started this one.
    #[arg(long, hide = true)]
    worker: Option<u64>,
}

/// What a worker reports.
#[derive(Debug)]
enum Report {
    Begun,
    Figures(Figures),
    Violation(String),
    /// It has ended without being asked to.
    Ended,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.worker {
        Some(stride) => work(&arguments, stride),
        None => match oversee(&arguments) {
            Ok(code) => code,
            Err(error) => {
                eprintln!("the simulations cannot be run: {error}");
                ExitCode::FAILURE
            }
        },
    }
}

/// Runs seed after seed, a line for each, until there is a violation or nobody listens any more.
fn work(arguments: &Arguments, stride: u64) -> ExitCode {
    let settings = Settings { engine: arguments.engine, ..Settings::default() };
    for seed in (arguments.seed..).step_by(stride.max(1) as usize) {
        println!("{seed}\tbegun");
        let run = || Simulation::run(&mut Decisions::from_seed(seed), &settings);
        let violation = match catch_unwind(AssertUnwindSafe(run)) {
            Ok(Ok(figures)) => {
                println!("{seed}\tfigures\t{}", figures.line());
                continue;
            }
            Ok(Err(violation)) => violation.to_string(),
            Err(_) => "a panic: its message is above".to_string(),
        };
        println!("{seed}\tviolation\t{}", violation.replace('\n', "\u{b}"));
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn parse(line: &str) -> Option<(u64, Report)> {
    let (seed, rest) = line.split_once('\t')?;
    let report = match rest.split_once('\t') {
        None => Report::Begun,
        Some(("figures", figures)) => Report::Figures(Figures::parse(figures)?),
        Some((_, violation)) => Report::Violation(violation.replace('\u{b}', "\n")),
    };
    Some((seed.parse().ok()?, report))
}

/// Starts the workers, adds up what they report, and stops them.
fn oversee(arguments: &Arguments) -> std::io::Result<ExitCode> {
    let cores = available_parallelism().map_or(1, |cores| cores.get() as u64);
    let threads = arguments.threads.unwrap_or(cores).max(1);
    let (sender, reports) = mpsc::channel();
    let mut workers = Vec::new();
    for first in arguments.seed..arguments.seed + threads {
        let mut worker = start(arguments, first, threads)?;
        let lines = worker.stdout.take().map(|stdout| BufReader::new(stdout).lines());
        workers.push(worker);
        let sender = sender.clone();
        std::thread::spawn(move || {
            let mut last = first;
            for (seed, report) in lines.into_iter().flatten().map_while(Result::ok).filter_map(|l| parse(&l))
            {
                last = seed;
                // Nobody listens when there are enough crash points.
                let _ = sender.send((seed, report));
            }
            let _ = sender.send((last, Report::Ended));
        });
    }
    let outcome = add_up(arguments, &reports);
    for worker in &mut workers {
        worker.kill()?;
        worker.wait()?;
    }
    let (figures, last, violation) = outcome;
    println!(
        "{}",
        figures.table(&[
            ("first seed", arguments.seed.to_string()),
            ("last seed", last.to_string()),
            ("violations", u64::from(violation.is_some()).to_string()),
        ])
    );
    let Some((seed, text)) = violation else { return Ok(ExitCode::SUCCESS) };
    println!("seed {seed}: {text}\n\nTo repeat it: {}", replay(arguments, seed));
    Ok(ExitCode::FAILURE)
}

fn start(arguments: &Arguments, first: u64, stride: u64) -> std::io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--seed", &first.to_string(), "--worker", &stride.to_string()]);
    if let Some(engine) = arguments.engine {
        command.args(["--engine", &engine.to_string()]);
    }
    command.env("RAYON_NUM_THREADS", "1").stdout(Stdio::piped()).spawn()
}

/// The figures, the highest seed that has come to its end, and the violation if there is one.
fn add_up(
    arguments: &Arguments,
    reports: &mpsc::Receiver<(u64, Report)>,
) -> (Figures, u64, Option<(u64, String)>) {
    let bar = ProgressBar::new(arguments.crashes);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} crash points, {eta} left") {
        bar.set_style(style);
    }
    let (mut figures, mut last, mut violation) = (Figures::default(), arguments.seed, None);
    while violation.is_none() && figures.crash_points() < arguments.crashes {
        match reports.recv() {
            Ok((_, Report::Begun)) => {}
            Ok((seed, Report::Figures(more))) => {
                figures.add(&more);
                figures.count("simulations", 1);
                last = last.max(seed);
                bar.set_position(figures.crash_points().min(arguments.crashes));
            }
            Ok((seed, Report::Violation(text))) => violation = Some((seed, text)),
            Ok((seed, Report::Ended)) => violation = Some((seed, "the process has died of it".into())),
            Err(_) => violation = Some((last, "no process is left".into())),
        }
    }
    bar.finish_and_clear();
    (figures, last, violation)
}

/// The command that repeats one seed.
fn replay(arguments: &Arguments, seed: u64) -> String {
    let engine = arguments.engine.map_or(String::new(), |engine| format!(" --engine {engine}"));
    format!(
        "cargo run --release -p loom-tests --bin simulate -- --seed {seed} --crashes 1 --threads 1{engine}"
    )
}

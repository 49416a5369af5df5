//! From the command line to a report: each command, and the defaults that depend on it.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use crate::breakdown;
use crate::cli::{Cli, Command, Compare};
use crate::compare::{Plan, Source};
use crate::data_folder::DataFolder;
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::floors;
use crate::growth;
use crate::interrupt;
use crate::mix::Mix;
use crate::phase::{Choice, Phase};
use crate::preset::{self, Preset, Variant};
use crate::progress::Progress;
use crate::replay::Input;
use crate::report::{Report, json, table};
use crate::trial::Workload;

const SECONDS: f64 = 3.0;
/// Loaded before a mix that is measured alone.
const MIX_KEYS: u64 = 100_000;

/// Runs a command.
pub(crate) fn run(cli: Cli) -> Result<()> {
    match cli.command {
        Command::Compare(compare) => {
            interrupt::install()?;
            run_compare(&compare)
        }
        Command::Check { path } => check(&path),
        Command::Presets => presets(),
    }
}

fn run_compare(options: &Compare) -> Result<()> {
    let experiment = match () {
        _ if options.experiment.breakdown => "breakdown",
        _ if options.experiment.floors => "floors",
        _ if !options.experiment.growth.is_empty() => "growth",
        _ => "compare",
    };
    let variants = variants(options, experiment)?;
    let source = source(options, experiment)?;
    let durable = variants.iter().any(|variant| variant.settings.sync);
    let folder = DataFolder::create(options.output.data_dir.as_deref(), &options.output.out, durable)?;
    let environment = Environment::measure(folder.path())?;
    let writers = match (&options.writers[..], experiment) {
        ([], "compare") => vec![1, 8, 64],
        ([], _) => vec![64],
        (given, _) => given.to_vec(),
    };
    let plan = Plan { variants, writers, repetitions: options.repetitions.into(), source };
    let report = measure(options, experiment, &plan, environment, &folder)?;
    drop(folder);
    let written = report.write(&options.output.out)?;
    if options.output.json {
        print(&json::text(&report)?)?;
    } else {
        print(&format!("{}\nresult: {}\n", table::text(&report), written.display()))?;
    }
    match report.faults()[..] {
        [] => Ok(()),
        [first, ref more @ ..] => Err(Error::Failed(format!("{first} (and {} more faults)", more.len()))),
    }
}

/// The variants of a command: the chosen presets, or the experiment's own, with the single settings applied.
fn variants(options: &Compare, experiment: &str) -> Result<Vec<Variant>> {
    let axes = options.settings.axes();
    if experiment == "breakdown" {
        let common = options.settings.machine_axes();
        let own = axes.iter().map(Vec::len).sum::<usize>() > common.iter().map(Vec::len).sum::<usize>();
        if own || common.iter().any(|axis| axis.len() > 1) {
            return Err(Error::Usage(
                "--breakdown changes the settings itself: beside it only --no-sync and one value each of --pool \
                 and --sync-delay"
                    .to_string(),
            ));
        }
        return breakdown::variants(&common.concat());
    }
    let names: Vec<&str> = match (&options.presets[..], experiment) {
        ([], "growth") => vec!["baseline", "option4"],
        ([], _) => preset::names().collect(),
        (given, _) => given.iter().map(String::as_str).collect(),
    };
    let presets: Vec<Preset> = names.into_iter().map(preset::load).collect::<Result<_>>()?;
    let variants = preset::variants(&presets, &axes);
    if options.settings.no_sync() {
        eprintln!(
            "note: --no-sync: nothing is durable and nothing waits; these figures are not of durable writes"
        );
    }
    Ok(variants)
}

/// What the trials do. Growth makes its own of each size.
fn source(options: &Compare, experiment: &str) -> Result<Source> {
    if let Some(path) = &options.traffic.input {
        return Ok(Source::Replayed(Input::check(path)?, options.seconds.map(Duration::from_secs_f64)));
    }
    let seconds = options.seconds.unwrap_or(SECONDS);
    let choice = choice(options);
    let phase = |name, mix, seconds| Phase { name, mix, seconds, max_operations: None };
    let mix = options.traffic.mix.or(options.traffic.reads.map(Mix::with_reads));
    let (keys, phases) = match mix {
        Some(mix) => (MIX_KEYS, vec![phase("mixed", mix, seconds)]),
        None if experiment == "compare" => {
            (0, vec![phase("inserts", Mix::INSERTS, seconds), phase("mixed", Mix::ROADMAP, seconds / 2.0)])
        }
        None => (0, vec![phase("inserts", Mix::INSERTS, seconds)]),
    };
    Ok(Source::Generated(Workload::new(options.traffic.keys.unwrap_or(keys), phases, choice)))
}

fn choice(options: &Compare) -> Choice {
    Choice {
        distribution: options.traffic.distribution,
        zipf_exponent: options.traffic.zipf_exponent,
        seed: options.traffic.seed,
    }
}

fn measure(
    options: &Compare,
    experiment: &'static str,
    plan: &Plan,
    environment: Environment,
    folder: &DataFolder,
) -> Result<Report> {
    let mut report = Report {
        experiment,
        environment,
        workload: workload_json(plan),
        baseline: plan.baseline().to_string(),
        runs: Vec::new(),
        floors: None,
        breakdown: None,
        growth: None,
    };
    let seconds = options.seconds.unwrap_or(SECONDS);
    if experiment == "growth" {
        let sizes = &options.experiment.growth;
        if sizes.len() < 2 {
            return Err(Error::usage("--growth needs at least two sizes, as --growth 20000,2000000"));
        }
        report.workload =
            sizes.iter().map(|size| to_json(&growth::workload(*size, seconds, choice(options)))).collect();
        let (runs, growth) = growth::measure(plan, sizes, seconds, choice(options), folder)?;
        (report.runs, report.growth) = (runs, Some(growth));
        return Ok(report);
    }
    let extra = if experiment == "floors" { plan.writers.len() + 1 } else { 0 };
    let progress = Progress::new(plan.trials() + extra);
    report.runs = plan.measure(folder, &progress)?;
    if experiment == "breakdown" {
        report.breakdown = Some(breakdown::relate(&report.runs));
    }
    if let ("floors", Some(variant)) = (experiment, plan.variants.last()) {
        let mut floors = floors::logs(variant, &report.runs, seconds, folder, &progress)?;
        floors.push(floors::reads(variant, seconds, plan.repetitions, folder, &progress)?);
        report.floors = Some(floors);
    }
    progress.finish();
    Ok(report)
}

fn workload_json(plan: &Plan) -> serde_json::Value {
    match &plan.source {
        Source::Generated(workload) => to_json(workload),
        Source::Replayed(input, limit) => serde_json::json!({
            "input": input.path.display().to_string(),
            "operations": input.operations,
            "tables": input.tables,
            "limit_seconds": limit.map(|limit| limit.as_secs_f64()),
        }),
    }
}

fn to_json(workload: &Workload) -> serde_json::Value {
    serde_json::to_value(workload).unwrap_or_default()
}

fn check(path: &Path) -> Result<()> {
    if !path.is_dir() {
        return Err(Error::Usage(format!(
            "{} is not a folder, expected a closed database's",
            path.display()
        )));
    }
    let report = tree::check::check(path)
        .map_err(|cause| Error::failed(format!("cannot check {}", path.display()), cause))?;
    print(&format!("{report}\n"))?;
    if report.is_clean() { Ok(()) } else { Err(Error::Failed(format!("{} has problems", path.display()))) }
}

fn presets() -> Result<()> {
    let mut text = String::new();
    for name in preset::names() {
        let preset = preset::load(name)?;
        let settings = toml::to_string(&preset.settings)
            .map_err(|cause| Error::failed(format!("preset {name} cannot be shown"), cause))?;
        text += &format!("{name}: {}\n", preset.description);
        settings.lines().for_each(|line| text += &format!("    {line}\n"));
    }
    print(&text)
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

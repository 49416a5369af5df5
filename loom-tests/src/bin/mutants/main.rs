//! Plants every fault of the list, one after the other, and runs the checks: each must be caught.
//!
//! A check that cannot fail proves nothing. The faults are those that a programmer of a storage engine could make:
//! a wake-up forgotten, a latch dropped too early, a page clean before it was written. Each is an expression
//! `planted!("its-name")` in `wal` or `tree`, compiled in only here (see `wal::mutant`).
#![forbid(unsafe_code)]

mod check;
mod list;
mod source;

use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use check::{Check, Outcome};
use clap::Parser;
use comfy_table::Table;
use indicatif::{ProgressBar, ProgressStyle};
use list::{CHECKS, MUTANTS, Mutant};

/// Plants faults in the engine, one after the other, and says which check catches each. Fails if one survives.
#[derive(Debug, Parser)]
#[command(name = "mutants")]
struct Arguments {
    /// The faults to plant, by name. Default: all
    names: Vec<String>,
    /// Only print the list of faults, and the check that each is expected to fail
    #[arg(long)]
    list: bool,
    /// Do not first make sure that the checks pass without a fault
    #[arg(long)]
    skip_baseline: bool,
    /// Seconds after which a check that hangs counts as failed
    #[arg(long, default_value_t = 300)]
    limit: u64,
}

/// What became of one fault.
struct Verdict {
    mutant: &'static Mutant,
    /// The check that caught it and the tests that failed; none if it survived.
    caught: Option<(String, String)>,
    took: Duration,
}

impl Display for Verdict {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Verdict { mutant, caught, took } = self;
        match caught {
            Some((check, _)) => write!(f, "{}: caught by {check} in {} s", mutant.name, took.as_secs()),
            None => write!(f, "{}: SURVIVED every check, {} s", mutant.name, took.as_secs()),
        }
    }
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("mutants: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether every fault was caught.
fn run(arguments: &Arguments) -> Result<bool, String> {
    let root = workspace()?;
    source::expect_planted(&root, MUTANTS)?;
    let mutants = chosen(&arguments.names)?;
    if arguments.list {
        println!("{}", listing(&mutants));
        return Ok(true);
    }
    let limit = Duration::from_secs(arguments.limit);
    let style = ProgressStyle::with_template("[{elapsed_precise}] {pos}/{len} {wide_msg}");
    let progress =
        ProgressBar::new(mutants.len() as u64).with_style(style.map_err(|error| error.to_string())?);
    if !arguments.skip_baseline {
        expect_sound(&root, &mutants, limit, &progress)?;
    }
    let mut verdicts = Vec::new();
    for mutant in mutants {
        progress.set_message(mutant.name);
        let verdict = judge(&root, mutant, limit)?;
        progress.suspend(|| eprintln!("{verdict}"));
        verdicts.push(verdict);
        progress.inc(1);
    }
    progress.finish_and_clear();
    let survivors: Vec<_> = verdicts.iter().filter(|verdict| verdict.caught.is_none()).collect();
    println!("{}", table(&verdicts));
    println!("{} faults planted, {} survived", verdicts.len(), survivors.len());
    Ok(survivors.is_empty())
}

/// The folder of the workspace: this crate's is one of its members.
fn workspace() -> Result<PathBuf, String> {
    let member = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = member.parent().filter(|root| root.join("Cargo.toml").is_file());
    root.map(Path::to_path_buf).ok_or_else(|| format!("{} is in no workspace", member.display()))
}

fn chosen(names: &[String]) -> Result<Vec<&'static Mutant>, String> {
    if names.is_empty() {
        return Ok(MUTANTS.iter().collect());
    }
    let of_name = |name: &String| {
        let found = MUTANTS.iter().find(|mutant| mutant.name == name);
        found.ok_or_else(|| format!("there is no fault {name:?}; --list shows all"))
    };
    names.iter().map(of_name).collect()
}

/// Runs the checks that the faults are expected to fail, without a fault: they must pass.
fn expect_sound(
    root: &Path,
    mutants: &[&'static Mutant],
    limit: Duration,
    progress: &ProgressBar,
) -> Result<(), String> {
    let needed = |check: &&Check| mutants.iter().any(|mutant| mutant.check == check.name);
    for check in CHECKS.iter().filter(needed) {
        progress.set_message(format!("without a fault: {}", check.name));
        if let Outcome::Failed { tests } = check.run(root, None, "", limit)? {
            return Err(format!("the check {} fails without any fault: {tests}", check.name));
        }
    }
    Ok(())
}

/// Plants a fault and runs the tests that should catch it; if they do not, all others.
fn judge(root: &Path, mutant: &'static Mutant, limit: Duration) -> Result<Verdict, String> {
    let start = Instant::now();
    let suspect = || CHECKS.iter().filter(|check| check.name == mutant.check);
    let all = suspect().chain(CHECKS).map(|check| (check, ""));
    for (check, test) in suspect().map(|check| (check, mutant.test)).chain(all) {
        if let Outcome::Failed { tests } = check.run(root, Some(mutant.name), test, limit)? {
            let caught = Some((check.name.to_string(), tests));
            return Ok(Verdict { mutant, caught, took: start.elapsed() });
        }
    }
    Ok(Verdict { mutant, caught: None, took: start.elapsed() })
}

fn listing(mutants: &[&Mutant]) -> Table {
    let mut table = Table::new();
    table.set_header(["fault", "what is wrong", "expected to fail"]);
    for mutant in mutants {
        table.add_row([mutant.name, mutant.fault, &format!("{} {}", mutant.check, mutant.test)]);
    }
    table
}

fn table(verdicts: &[Verdict]) -> Table {
    let mut table = Table::new();
    table.set_header(["fault", "what is wrong", "caught by", "seconds"]);
    for Verdict { mutant, caught, took } in verdicts {
        let by = match caught {
            Some((check, tests)) => format!("{check}: {tests}"),
            None => "NOTHING".to_string(),
        };
        table.add_row([mutant.name, mutant.fault, &by, &format!("{:.0}", took.as_secs_f64())]);
    }
    table
}

//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand};
use tree::{Engine, LogScope, Wait};
use wal::CommitPolicy;

use crate::mix::{Distribution, Mix};
use crate::settings::Override;
use crate::units;

const EXAMPLES: &str = "\
Examples:
  experiments compare
      the four presets at 1, 8 and 64 writers, all durable, in under two minutes
  experiments compare --presets baseline,option4 --writers 64 --repetitions 5
      two of them, with median and spread
  experiments compare --presets option2 --engine mutex,coupled --wait after-release
      one preset with single settings changed: every combination is a run
  experiments compare --presets option4 --engine mutex,coupled --partitions 1 --pool 1GiB --no-sync \\
                      --data-dir /dev/shm --reads 50 --writers 2 --repetitions 5
      the latches alone: everything in memory, no sync, half reads and half writes
  experiments compare --breakdown
      from baseline to option4, one setting at a time
  experiments compare --floors
      against a log without a tree, and a `RwLock<BTreeMap>`
  experiments compare --growth 20000,2000000
      the same writes in a small and a large tree
  experiments compare --input operations.jsonl
      your own operations: {\"op\":\"put|get|delete\",\"table\":\"t\",\"key\":\"k\",\"value\":...} a line, or a .csv
      with the header op,table,key,value";

/// Measures the write protocols of the tree against each other, on the same pages, pool and log.
#[derive(Debug, Parser)]
#[command(name = "experiments", version, after_help = EXAMPLES)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the same traffic with several presets and compare them
    #[command(after_help = EXAMPLES)]
    Compare(Box<Compare>),
    /// Verify a closed database; exit code 1 where something is wrong with it
    Check {
        /// The database's folder
        path: PathBuf,
    },
    /// List the presets and their settings
    Presets,
}

/// Options of `compare`.
#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// Presets by name, or .toml files [default: all; with --growth and --breakdown their own]
    #[arg(long, value_delimiter = ',', value_name = "NAME|FILE")]
    pub(crate) presets: Vec<String>,
    /// Numbers of writers, each in a closed loop [default: 1,8,64; with --floors, --growth, --breakdown 64]
    #[arg(long, value_delimiter = ',', value_parser = parse_writers, value_name = "N")]
    pub(crate) writers: Vec<usize>,
    /// Repeat every trial; the result has medians and the spread
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=100), value_name = "N")]
    pub(crate) repetitions: u8,
    /// Seconds of the inserts; the mixed phase that follows takes half of it [default: 3]
    #[arg(long, value_parser = parse_seconds, value_name = "S")]
    pub(crate) seconds: Option<f64>,
    #[command(flatten)]
    pub(crate) traffic: Traffic,
    #[command(flatten)]
    pub(crate) experiment: Experiment,
    #[command(flatten)]
    pub(crate) settings: SettingFlags,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// What the writers do.
#[derive(Debug, Args)]
#[command(next_help_heading = "Traffic")]
pub(crate) struct Traffic {
    /// Load so many keys before the first phase, unmeasured [default: 0; with --mix or --reads 100000]
    #[arg(long, value_parser = clap::value_parser!(u64).range(..=1_000_000_000), value_name = "N")]
    pub(crate) keys: Option<u64>,
    /// Measure this mix alone, inserts:updates:deletes:reads; the roadmap's is 5:2:1:10
    #[arg(long, value_name = "I:U:D:R")]
    pub(crate) mix: Option<Mix>,
    /// Measure the roadmap's writes alone with so many percent of reads
    #[arg(
        long,
        conflicts_with = "mix",
        value_parser = clap::value_parser!(u32).range(..=100),
        value_name = "PERCENT"
    )]
    pub(crate) reads: Option<u32>,
    /// How existing keys are chosen for updates, deletes and reads
    #[arg(long, value_enum, default_value_t = Distribution::Uniform)]
    pub(crate) distribution: Distribution,
    /// The exponent of --distribution zipf
    #[arg(long, default_value_t = 0.99, value_parser = parse_exponent, value_name = "S")]
    pub(crate) zipf_exponent: f64,
    /// The random numbers' seed
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) seed: u64,
    /// Replay the operations of a file instead, to its end or for --seconds
    #[arg(
        long,
        conflicts_with_all = ["keys", "mix", "reads", "floors", "growth", "breakdown"],
        value_name = "FILE"
    )]
    pub(crate) input: Option<PathBuf>,
}

/// Comparisons of a kind of their own.
#[derive(Debug, Args)]
#[group(multiple = false)]
#[command(next_help_heading = "Experiments")]
pub(crate) struct Experiment {
    /// From baseline to option4, one setting at a time: each one's factor
    #[arg(long, conflicts_with = "presets")]
    pub(crate) breakdown: bool,
    /// Beside the tree: a log without one, and a `RwLock<BTreeMap>`
    #[arg(long)]
    pub(crate) floors: bool,
    /// Write latency at each of these numbers of keys
    #[arg(
        long,
        value_delimiter = ',',
        conflicts_with_all = ["keys", "mix", "reads"],
        value_parser = clap::value_parser!(u64).range(1..=1_000_000_000),
        value_name = "KEYS,KEYS"
    )]
    pub(crate) growth: Vec<u64>,
}

/// Single settings: applied to every chosen preset. Several values make a run each.
#[derive(Debug, Args)]
#[command(next_help_heading = "Settings on top of the presets (several values make a run each)")]
pub(crate) struct SettingFlags {
    /// mutex, coupled
    #[arg(long, value_delimiter = ',', value_name = "ENGINE")]
    engine: Vec<Engine>,
    /// Partitions a table
    #[arg(
        long,
        value_delimiter = ',',
        value_parser = clap::value_parser!(u32).range(1..=1_024),
        value_name = "N"
    )]
    partitions: Vec<u32>,
    /// window:2ms, immediate:50us, greedy
    #[arg(long, value_delimiter = ',', value_name = "POLICY")]
    commit: Vec<CommitPolicy>,
    /// under-lock, after-release
    #[arg(long, value_delimiter = ',', value_name = "WHERE")]
    wait: Vec<Wait>,
    /// database, partition
    #[arg(long, value_delimiter = ',', value_name = "SCOPE")]
    log_scope: Vec<LogScope>,
    /// Log whole pages: true, false
    #[arg(long, value_delimiter = ',', action = ArgAction::Append, value_name = "BOOL")]
    page_images: Vec<bool>,
    /// The buffer pool's size, as 64MiB: less than the data measures the disk, too [default: 512MiB]
    #[arg(long, value_delimiter = ',', value_parser = units::parse_bytes, value_name = "SIZE")]
    pool: Vec<usize>,
    /// Delay every sync, as 5ms: a slower disk
    #[arg(
        long,
        value_delimiter = ',',
        value_parser = units::parse_duration,
        conflicts_with = "no_sync",
        value_name = "TIME"
    )]
    sync_delay: Vec<Duration>,
    /// Never sync, never wait: measures memory only, and says so
    #[arg(long)]
    no_sync: bool,
}

impl SettingFlags {
    /// One axis a setting that was given.
    pub(crate) fn axes(&self) -> Vec<Vec<Override>> {
        fn axis<T: Copy>(values: &[T], of: impl Fn(T) -> Override) -> Vec<Override> {
            values.iter().map(|value| of(*value)).collect()
        }
        let mut axes = vec![
            axis(&self.engine, Override::Engine),
            axis(&self.partitions, Override::Partitions),
            axis(&self.commit, Override::Commit),
            axis(&self.wait, Override::Wait),
            axis(&self.log_scope, Override::LogScope),
            axis(&self.page_images, Override::PageImages),
        ];
        axes.extend(self.machine_axes());
        axes
    }

    /// Of these the ones that a breakdown does not change itself.
    pub(crate) fn machine_axes(&self) -> Vec<Vec<Override>> {
        vec![
            self.pool.iter().map(|bytes| Override::Pool(*bytes)).collect(),
            self.sync_delay
                .iter()
                .map(|delay| Override::SyncDelay(delay.as_micros().min(u64::MAX.into()) as u64))
                .collect(),
            if self.no_sync { vec![Override::NoSync] } else { Vec::new() },
        ]
    }

    /// Whether every run is to be durable.
    pub(crate) fn no_sync(&self) -> bool {
        self.no_sync
    }
}

/// Where results and databases go.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct Output {
    /// Print one JSON object instead of the tables
    #[arg(long)]
    pub(crate) json: bool,
    /// Folder of the results: each command makes a folder of its own in it
    #[arg(long, default_value = "experiments/results", value_name = "FOLDER")]
    pub(crate) out: PathBuf,
    /// Where the databases are made, on the disk to be measured [default: the system's temporary folder]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data_dir: Option<PathBuf>,
}

fn parse_writers(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(writers @ 1..=1_024) => Ok(writers),
        _ => Err("expected a number of writers from 1 to 1024".to_string()),
    }
}

fn parse_seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.01..=3_600.0).contains(&seconds) => Ok(seconds),
        _ => Err("expected seconds from 0.01 to 3600".to_string()),
    }
}

fn parse_exponent(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(exponent) if (0.0..=10.0).contains(&exponent) => Ok(exponent),
        _ => Err("expected an exponent from 0 to 10".to_string()),
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn axes(arguments: &[&str]) -> Vec<Vec<Override>> {
        let all = ["experiments", "compare"].iter().chain(arguments);
        match Cli::try_parse_from(all).unwrap().command {
            Command::Compare(compare) => compare.settings.axes(),
            other => panic!("{other:?}"),
        }
    }

    fn refusal(arguments: &[&str]) -> String {
        let all = ["experiments", "compare"].iter().chain(arguments);
        Cli::try_parse_from(all).unwrap_err().to_string()
    }

    #[test]
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn several_values_of_a_setting_are_one_axis() {
        let axes = axes(&["--engine", "mutex,coupled", "--page-images", "true", "--no-sync"]);
        assert_eq!(axes.iter().map(Vec::len).collect::<Vec<_>>(), [2, 0, 0, 0, 0, 1, 0, 0, 1]);
    }

    #[test]
    fn bad_values_name_the_option_and_what_is_expected() {
        let engine = refusal(&["--engine", "btree"]);
        assert!(engine.contains("--engine") && engine.contains("btree") && engine.contains("coupled"));
        let commit = refusal(&["--commit", "soon"]);
        assert!(commit.contains("--commit") && commit.contains("greedy"));
        assert!(refusal(&["--writers", "0"]).contains("1 to 1024"));
        assert!(refusal(&["--seconds", "nan"]).contains("--seconds"));
        assert!(refusal(&["--mix", "1:2"]).contains("inserts:updates:deletes:reads"));
        assert!(refusal(&["--pool", "64MB"]).contains("MiB"));
        assert!(refusal(&["--growth", "1,2", "--floors"]).contains("cannot be used with"));
        assert!(refusal(&["--input", "x", "--mix", "1:1:1:1"]).contains("cannot be used with"));
    }
}

//! The command line.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, CommandFactory, Parser, ValueEnum};
use experiments::mix::Distribution;
use experiments::units;
use serde::{Serialize, Serializer};

use crate::flags;
use crate::plan::RATE_LIMIT;
use crate::target::Target;

const HELP: &str = "\
Examples:
  trafficgen -url http://127.0.0.1:8080
      5 inserts, 2 updates, 1 delete and 10 reads a second, until Ctrl-C
  trafficgen -write-stress -write-stress-p95-limit 300 -write-stress-initial 50 -write-stress-step 25 \\
             -write-stress-duration 20s -urls http://127.0.0.1:8081,http://127.0.0.1:8082
      inserts at 50, 75, 100, ... a second, until a step fails
  trafficgen -write-stress -write-stress-bisect -write-stress-duration 5s
      the same limit in a minute or two
  trafficgen -closed -inserts-only -connections 64 -duration 10s -consistency strong
      as many durable inserts as 64 connections can have
  trafficgen -inserts-only -inserts 5000 -duration 30s -consistency strong -ledger acknowledged.txt
  trafficgen -verify acknowledged.txt
      writes; later, perhaps after a crash of the node: is every acknowledged one there?

Flags may be written with one dash or with two. Exit codes: 0 all is well; 1 requests failed, no step passed, a node
went away, or an acknowledged write is missing; 2 the command line is wrong; 130 interrupted.";

/// Sends the roadmap's traffic to nodes and says what they achieved: tables users, products and orders, with latencies
/// counted from when each request was due.
#[derive(Clone, Debug, Parser, Serialize)]
#[command(name = "trafficgen", version, after_help = HELP)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) nodes: NodeFlags,
    #[command(flatten)]
    pub(crate) traffic: TrafficFlags,
    #[command(flatten)]
    pub(crate) mode: ModeFlags,
    #[command(flatten)]
    pub(crate) stress: StressFlags,
    #[command(flatten)]
    pub(crate) write_stress: WriteStressFlags,
    #[command(flatten)]
    pub(crate) ledger: LedgerFlags,
    #[command(flatten)]
    pub(crate) output: OutputFlags,
}

/// Where requests go, and what they bear.
#[derive(Clone, Debug, Args, Serialize)]
#[command(next_help_heading = "Nodes")]
pub(crate) struct NodeFlags {
    /// The node; it is asked for the others of its cluster
    #[arg(long, default_value = "http://127.0.0.1:8080", value_name = "URL")]
    pub(crate) url: String,
    /// All nodes, in turn; those that cannot be reached are left out
    #[arg(long, value_delimiter = ',', value_name = "URL,URL")]
    pub(crate) urls: Vec<String>,
    /// Connections to all nodes together; each is made when it is first needed
    #[arg(long, default_value_t = 256, value_parser = parse_connections, value_name = "N")]
    pub(crate) connections: usize,
    /// A request without an answer is given up after so long
    #[arg(
        long,
        default_value = "10s",
        value_parser = parse_span,
        value_name = "TIME"
    )]
    #[serde(serialize_with = "seconds", rename = "timeout_s")]
    pub(crate) timeout: Duration,
    /// The consistency to ask for [default: none is asked for, the node's own]
    #[arg(long, value_enum, value_name = "WHICH")]
    pub(crate) consistency: Option<Consistency>,
    /// Bearer token
    #[arg(long, env = "HEDGEHOG_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    #[serde(skip)]
    pub(crate) token: Option<String>,
    /// A header of your own, as \"Name: value\"; may be repeated
    #[arg(long, value_parser = parse_header, value_name = "LINE")]
    #[serde(skip)]
    pub(crate) header: Vec<String>,
    /// More of the query of puts, as dry_run=true
    #[arg(long, default_value = "", hide_default_value = true, value_parser = parse_query, value_name = "QUERY")]
    pub(crate) path_suffix: String,
}

/// What is sent.
#[derive(Clone, Debug, Args, Serialize)]
#[command(next_help_heading = "Traffic (a second; with -stress and -closed, proportions)")]
pub(crate) struct TrafficFlags {
    /// Puts of new keys
    #[arg(long, default_value_t = 5.0, value_parser = parse_rate, allow_negative_numbers = true, value_name = "RATE")]
    pub(crate) inserts: f64,
    /// Puts of existing keys
    #[arg(long, default_value_t = 2.0, value_parser = parse_rate, allow_negative_numbers = true, value_name = "RATE")]
    pub(crate) updates: f64,
    /// Deletes
    #[arg(long, default_value_t = 1.0, value_parser = parse_rate, allow_negative_numbers = true, value_name = "RATE")]
    pub(crate) deletes: f64,
    /// Gets
    #[arg(long, default_value_t = 10.0, value_parser = parse_rate, allow_negative_numbers = true, value_name = "RATE")]
    pub(crate) reads: f64,
    /// No updates, deletes and reads
    #[arg(long)]
    pub(crate) inserts_only: bool,
    /// How existing keys are chosen
    #[arg(long, value_enum, default_value_t = Distribution::Uniform, value_name = "WHICH")]
    pub(crate) distribution: Distribution,
    /// The exponent of -distribution zipf
    #[arg(long, default_value_t = 0.99, value_parser = parse_exponent, value_name = "S")]
    pub(crate) zipf_exponent: f64,
    /// Pad documents to so many bytes
    #[arg(
        long,
        default_value_t = 0,
        hide_default_value = true,
        value_parser = parse_value_bytes,
        value_name = "BYTES"
    )]
    pub(crate) value_bytes: usize,
    /// The random numbers' seed
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) seed: u64,
}

/// How it is sent; without any of these, at steady rates.
#[derive(Clone, Debug, Args, Serialize)]
#[command(next_help_heading = "Modes")]
pub(crate) struct ModeFlags {
    /// End after so long [default: steady rates go on until Ctrl-C, a closed loop takes 10s]
    #[arg(long, value_parser = parse_span, conflicts_with_all = ["stress", "write_stress"], value_name = "TIME")]
    #[serde(serialize_with = "maybe_seconds", rename = "duration_s")]
    pub(crate) duration: Option<Duration>,
    /// Each connection sends its next request at once: the most that so many clients can have
    #[arg(long, conflicts_with_all = ["stress", "write_stress"])]
    pub(crate) closed: bool,
    /// All operations at growing rates, until a step fails
    #[arg(long, conflicts_with = "write_stress")]
    pub(crate) stress: bool,
    /// Inserts alone at growing rates, until a step fails
    #[arg(long)]
    pub(crate) write_stress: bool,
}

/// The steps of `-stress`.
#[derive(Clone, Debug, Args, Serialize)]
#[command(next_help_heading = "Stress")]
pub(crate) struct StressFlags {
    /// The first rate, and by how much it grows
    #[arg(long, default_value_t = 100.0, value_parser = parse_positive_rate, value_name = "RATE")]
    pub(crate) stress_step: f64,
    /// The length of a step
    #[arg(long, default_value = "10s", value_parser = parse_span, value_name = "TIME")]
    #[serde(serialize_with = "seconds", rename = "stress_duration_s")]
    pub(crate) stress_duration: Duration,
    /// A step fails where a greater part of its requests fails; of -write-stress, too
    #[arg(long, default_value_t = 0.05, value_parser = parse_share, value_name = "SHARE")]
    pub(crate) stress_error_threshold: f64,
}

/// The steps of `-write-stress`.
#[derive(Clone, Debug, Args, Serialize)]
#[command(next_help_heading = "Write stress")]
pub(crate) struct WriteStressFlags {
    /// The first rate
    #[arg(long, default_value_t = 50.0, value_parser = parse_positive_rate, value_name = "RATE")]
    pub(crate) write_stress_initial: f64,
    /// By how much the rate grows
    #[arg(long, default_value_t = 25.0, value_parser = parse_positive_rate, value_name = "RATE")]
    pub(crate) write_stress_step: f64,
    /// The rate grows by this factor instead
    #[arg(long, value_parser = parse_growth, conflicts_with = "write_stress_bisect", value_name = "FACTOR")]
    pub(crate) write_stress_growth: Option<f64>,
    /// Double the rate until a step fails, then search between: the limit within 5 % in about 15 steps
    #[arg(long)]
    pub(crate) write_stress_bisect: bool,
    /// The length of a step
    #[arg(long, default_value = "30s", value_parser = parse_span, value_name = "TIME")]
    #[serde(serialize_with = "seconds", rename = "write_stress_duration_s")]
    pub(crate) write_stress_duration: Duration,
    /// A step fails where the 95th percentile is over so many ms
    #[arg(long, default_value_t = 500.0, value_parser = parse_positive, value_name = "MS")]
    pub(crate) write_stress_p95_limit: f64,
    /// The consistency to ask for
    #[arg(long, value_enum, default_value_t = Consistency::Strong, value_name = "WHICH")]
    pub(crate) write_stress_consistency: Consistency,
    /// Do not ask a single node for the others of its cluster
    #[arg(long)]
    pub(crate) write_stress_single_node: bool,
}

/// Proof that nothing acknowledged is lost.
#[derive(Clone, Debug, Args, Serialize)]
#[command(next_help_heading = "Ledger")]
pub(crate) struct LedgerFlags {
    /// Append every acknowledged write to this file; needs -consistency strong, but with -write-stress
    #[arg(long, conflicts_with = "path_suffix", value_name = "FILE")]
    pub(crate) ledger: Option<PathBuf>,
    /// Send nothing new: read back what a ledger says, strongly
    #[arg(
        long,
        conflicts_with_all = ["stress", "write_stress", "closed", "ledger", "duration"],
        value_name = "FILE"
    )]
    pub(crate) verify: Option<PathBuf>,
}

/// Where results go.
#[derive(Clone, Debug, Args, Serialize)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputFlags {
    /// Print one JSON object instead of the tables
    #[arg(long)]
    pub(crate) json: bool,
    /// Folder of the results, JSON and CSV: each run makes a folder of its own in it [default: experiments/results in
    /// the repository's root, results elsewhere]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
}

/// What an acknowledgement promises.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Consistency {
    /// The write is durable
    Strong,
    /// The write is applied
    Eventual,
}

impl Cli {
    /// Parses arguments, with one dash or two.
    ///
    /// # Errors
    ///
    /// Where they are wrong, and for `--help` and `--version`: the error prints itself.
    pub(crate) fn parse_flags(arguments: impl IntoIterator<Item = String>) -> Result<Cli, clap::Error> {
        let command = Cli::command();
        let names = command.get_arguments().filter(|argument| !argument.get_action().takes_values());
        let switches: Vec<&str> = names.filter_map(|argument| argument.get_long()).collect();
        Cli::try_parse_from(flags::normalised(arguments, &switches))
    }

    /// The nodes of `-urls`, or else of `-url`.
    ///
    /// # Errors
    ///
    /// Where one is not an address of a kind that can be used, in words.
    pub(crate) fn targets(&self) -> Result<Vec<Target>, String> {
        let one = std::slice::from_ref(&self.nodes.url);
        let given = if self.nodes.urls.is_empty() { one } else { &self.nodes.urls };
        given.iter().filter(|url| !url.trim().is_empty()).map(|url| url.parse()).collect()
    }

    /// The consistency that this run asks for.
    pub(crate) fn consistency(&self) -> Option<Consistency> {
        match () {
            () if self.ledger.verify.is_some() => Some(Consistency::Strong),
            () if self.mode.write_stress => Some(self.write_stress.write_stress_consistency),
            () => self.nodes.consistency,
        }
    }
}

impl OutputFlags {
    /// The folder of the results.
    pub(crate) fn folder(&self) -> PathBuf {
        let here =
            if Path::new("experiments/Cargo.toml").exists() { "experiments/results" } else { "results" };
        self.out.clone().unwrap_or_else(|| PathBuf::from(here))
    }
}

impl std::fmt::Display for Consistency {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Consistency::Strong => "strong",
            Consistency::Eventual => "eventual",
        })
    }
}

fn seconds<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(span.as_secs_f64())
}

fn maybe_seconds<S: Serializer>(span: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    span.map(|span| span.as_secs_f64()).serialize(serializer)
}

/// A number within bounds, or words that say which.
fn number(text: &str, least: f64, most: f64, what: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (least..=most).contains(&value) => Ok(value),
        _ => Err(format!("expected {what} from {least} to {most}")),
    }
}

fn parse_rate(text: &str) -> Result<f64, String> {
    number(text, 0.0, RATE_LIMIT, "requests a second")
}

fn parse_positive_rate(text: &str) -> Result<f64, String> {
    number(text, 0.1, RATE_LIMIT, "requests a second")
}

fn parse_positive(text: &str) -> Result<f64, String> {
    number(text.strip_suffix("ms").unwrap_or(text), 0.1, 60_000.0, "milliseconds")
}

fn parse_share(text: &str) -> Result<f64, String> {
    number(text, 0.0, 1.0, "a share")
}

fn parse_growth(text: &str) -> Result<f64, String> {
    number(text, 1.01, 100.0, "a factor")
}

fn parse_exponent(text: &str) -> Result<f64, String> {
    number(text, 0.0, 10.0, "an exponent")
}

fn parse_connections(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(connections @ 1..=16_384) => Ok(connections),
        _ => Err("expected a number of connections from 1 to 16384".to_string()),
    }
}

fn parse_value_bytes(text: &str) -> Result<usize, String> {
    units::parse_bytes(text).and_then(|bytes| match bytes {
        0..=16_777_216 => Ok(bytes),
        _ => Err("expected at most 16MiB".to_string()),
    })
}

fn parse_span(text: &str) -> Result<Duration, String> {
    match units::parse_duration(text)? {
        span if (Duration::from_millis(10)..=Duration::from_secs(604_800)).contains(&span) => Ok(span),
        _ => Err("expected a time from 10ms to 168h".to_string()),
    }
}

fn parse_header(text: &str) -> Result<String, String> {
    let bad = || format!("`{text}` is not a header: write \"Name: value\"");
    let (name, value) = text.split_once(':').ok_or_else(bad)?;
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || !name.chars().all(token) || value.contains(|c: char| c.is_ascii_control()) {
        return Err(bad());
    }
    Ok(format!("{name}: {}\r\n", value.trim()))
}

fn parse_query(text: &str) -> Result<String, String> {
    let text = text.trim_start_matches(['?', '&']);
    match text.chars().all(|c| c.is_ascii_graphic() && c != '#') {
        true => Ok(text.to_string()),
        false => Err(format!("`{text}` is not a query: write name=value&name=value, escaped as in a URL")),
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Cli, String> {
        let arguments = std::iter::once("trafficgen").chain(line.split_whitespace()).map(str::to_string);
        Cli::parse_flags(arguments).map_err(|error| error.to_string())
    }

    #[test]
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_roadmaps_command_is_understood_to_the_letter() {
        let cli = parsed(
            "-write-stress -write-stress-p95-limit 300 -write-stress-initial 50 -write-stress-step 25 \
             -write-stress-duration 20s -urls http://127.0.0.1:8081,http://127.0.0.1:8082,http://127.0.0.1:8083",
        )
        .unwrap();
        assert!(cli.mode.write_stress);
        assert_eq!(cli.write_stress.write_stress_p95_limit, 300.0);
        assert_eq!(cli.write_stress.write_stress_duration, Duration::from_secs(20));
        assert_eq!(cli.targets().unwrap().len(), 3);
        assert_eq!(cli.consistency(), Some(Consistency::Strong));
    }

    #[test]
    fn every_flag_of_existing_scripts_is_understood() {
        for line in [
            "-url http://127.0.0.1:8081 -inserts 5 -updates 2 -deletes 1 -reads 10",
            "-inserts-only -inserts 3",
            "-stress -stress-step 100 -stress-duration 10s -stress-error-threshold 0.05",
            "-write-stress -write-stress-consistency strong -write-stress-single-node",
            "-write-stress=true -write-stress-duration=1m30s",
        ] {
            parsed(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }

    #[test]
    fn wrong_flags_are_refused_with_what_is_expected() {
        let refusal = |line| parsed(line).unwrap_err();
        assert!(refusal("-inserts -5").contains("inserts"));
        assert!(refusal("-inserts nan").contains("from 0 to"));
        assert!(refusal("-stress -write-stress").contains("cannot be used with"));
        assert!(refusal("-connections 0").contains("1 to 16384"));
        assert!(refusal("-duration 10").contains("1m30s"));
        assert!(refusal("-header oops").contains("Name: value"));
        assert!(refusal("-ledger a -path-suffix dry_run=true").contains("cannot be used with"));
        assert!(refusal("-write-stress-growth 1").contains("1.01"));
        assert!(parsed("-url https://x").unwrap().targets().unwrap_err().contains("TLS"));
    }

    #[test]
    fn secrets_are_not_in_the_configuration() {
        let cli = parsed("-token geheim -header X-Key:verborgen").unwrap();
        let json = serde_json::to_string(&cli).unwrap();
        assert!(!json.contains("geheim") && !json.contains("verborgen"), "{json}");
        assert!(json.contains("\"timeout_s\":10.0"), "{json}");
    }
}

//! From the command line to a result: what each mode does, step by step.

use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use experiments::error::{Error, Result};
use experiments::machine::Machine;
use experiments::mix::Mix;
use experiments::units::thousands;

use crate::cli::{Cli, Consistency};
use crate::display::Display;
use crate::generator::{Generator, Settings};
use crate::keys::KeySpace;
use crate::ledger::{self, Ledger};
use crate::plan::{self, Growth, Rule, Search};
use crate::results::{Limit, Results, Step};
use crate::schedule::Rates;
use crate::setup::{Access, Nodes};
use crate::step::{self, End};
use crate::verify::{self, Verification};

const CLOSED: Duration = Duration::from_secs(10);
/// Proportions of a closed loop are kept to the thousandth of a request a second.
const PARTS: f64 = 1_000.0;
/// Readers of `-verify` at most: more would not read faster.
const READERS: usize = 64;

/// A finished run and how it ended.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// What was measured.
    pub(crate) results: Results,
    /// How the last step ended.
    pub(crate) end: End,
}

/// Checks what the parser cannot.
///
/// # Errors
///
/// Usage errors.
fn check(cli: &Cli) -> Result<()> {
    if cli.ledger.ledger.is_some() && cli.consistency() != Some(Consistency::Strong) {
        return Err(Error::usage(
            "-ledger needs -consistency strong: an eventual write may be lost in a crash",
        ));
    }
    if rates(cli).total() == 0.0 {
        return Err(Error::usage(
            "nothing is to be sent: give one of -inserts, -updates, -deletes and -reads a rate above 0",
        ));
    }
    Ok(())
}

/// The rates that the flags say; for inserts only the others are none.
fn rates(cli: &Cli) -> Rates {
    let flags = &cli.traffic;
    match flags.inserts_only || cli.mode.write_stress {
        true if cli.mode.write_stress => Rates::inserts(cli.write_stress.write_stress_initial),
        true => Rates::inserts(flags.inserts),
        false => Rates {
            inserts: flags.inserts,
            updates: flags.updates,
            deletes: flags.deletes,
            reads: flags.reads,
        },
    }
}

async fn nodes(cli: &Cli) -> Result<Nodes> {
    let targets = cli.targets().map_err(Error::Usage)?;
    let token = cli.nodes.token.as_deref().unwrap_or_default();
    if token.chars().any(|c| !c.is_ascii_graphic()) {
        return Err(Error::usage("-token has blanks or other characters that cannot stand in a header"));
    }
    let bearer = if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
    let access = Access {
        headers: cli.nodes.header.iter().fold(bearer, |lines, line| lines + line),
        query: cli.consistency().map_or_else(String::new, |which| format!("consistency={which}")),
        put_suffix: cli.nodes.path_suffix.clone(),
    };
    Nodes::find(targets, &access, !cli.write_stress.write_stress_single_node).await
}

/// Reads a ledger back.
///
/// # Errors
///
/// Where the ledger or a node cannot be read.
pub(crate) async fn verify(cli: &Cli, path: &std::path::Path) -> Result<Verification> {
    let keys = ledger::read(path)?;
    let nodes = nodes(cli).await?;
    let readers = cli.nodes.connections.clamp(1, READERS);
    verify::verify(nodes, keys, readers, cli.nodes.timeout).await
}

/// Sends traffic as the flags say.
///
/// # Errors
///
/// Usage errors, and where nodes or files do not answer to what is needed before and after the traffic. Requests that
/// fail are part of the result.
pub(crate) async fn run(cli: &Cli) -> Result<Run> {
    check(cli)?;
    let ledger = cli.ledger.ledger.as_deref().map(|path| Ledger::open(path, cli.traffic.value_bytes));
    let ledger = ledger.transpose()?;
    let nodes = nodes(cli).await?;
    nodes.create_tables().await?;
    // Revisions of this run are to differ from those of any other: seconds since 1970.
    let revision = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as u32);
    let mut keys = KeySpace::new(cli.traffic.distribution, cli.traffic.zipf_exponent, revision);
    nodes.find_keys(&mut keys).await?;
    let settings = Settings {
        // Every node has a connection at least.
        connections: cli.nodes.connections.max(nodes.targets.len()),
        timeout: cli.nodes.timeout,
        value_bytes: cli.traffic.value_bytes,
        seed: cli.traffic.seed,
    };
    let results = Results {
        mode: mode(cli),
        environment: Machine { command: without_secrets(std::env::args()), ..Machine::read() },
        configuration: cli.clone(),
        nodes: nodes.targets.iter().map(|target| target.url.clone()).collect(),
        keys_before: keys.known(),
        steps: Vec::new(),
        limit: None,
        stopped: String::new(),
    };
    let generator = Rc::new(Generator::new(settings, nodes.requests, nodes.addresses, keys, ledger));
    match results.mode {
        "closed" => closed(cli, &generator, results).await,
        "steady" => steady(cli, &generator, results).await,
        _ => search(cli, &generator, results).await,
    }
}

fn mode(cli: &Cli) -> &'static str {
    match () {
        () if cli.mode.closed => "closed",
        () if cli.mode.stress => "stress",
        () if cli.mode.write_stress => "write-stress",
        () => "steady",
    }
}

/// Results bear their command line; tokens and headers are not for a file.
fn without_secrets(arguments: impl Iterator<Item = String>) -> Vec<String> {
    let mut hide = false;
    let hidden = |argument: String| {
        if std::mem::take(&mut hide) {
            return "...".to_string();
        }
        let name = argument.trim_start_matches('-').to_string();
        match name.split_once('=') {
            Some((flag @ ("token" | "header"), _)) => format!("-{flag}=..."),
            _ => {
                hide = argument.starts_with('-') && matches!(name.as_str(), "token" | "header");
                argument
            }
        }
    };
    arguments.map(hidden).collect()
}

async fn steady(cli: &Cli, generator: &Rc<Generator>, mut results: Results) -> Result<Run> {
    let rates = rates(cli);
    generator.spawn();
    let display = Display::new(format!("{} requests/s", rates.total()), cli.mode.duration);
    let watch = |now, generator: &Generator| display.show(now, generator);
    let outcome = step::open(generator, rates, cli.mode.duration, &watch).await?;
    results.stopped = outcome.end.words(outcome.recorder.first_fault.as_deref());
    results.steps.push(Step::new(1, Some(rates.total()), &outcome));
    Ok(Run { results, end: outcome.end })
}

async fn closed(cli: &Cli, generator: &Rc<Generator>, mut results: Results) -> Result<Run> {
    let duration = cli.mode.duration.unwrap_or(CLOSED);
    let display = Display::new(format!("{} connections", generator.settings.connections), Some(duration));
    let watch = |now, generator: &Generator| display.show(now, generator);
    let outcome = step::closed(generator, proportions(rates(cli)), duration, &watch).await?;
    results.stopped = outcome.end.words(outcome.recorder.first_fault.as_deref());
    results.steps.push(Step::new(1, None, &outcome));
    Ok(Run { results, end: outcome.end })
}

/// Rates as proportions in whole numbers, whose sum fits.
fn proportions(rates: Rates) -> Mix {
    let scaled = rates.scaled(rates.total().min(plan::RATE_LIMIT)).by_operation();
    let [inserts, updates, deletes, reads] = scaled.map(|rate| (rate * PARTS).ceil() as u32);
    Mix { inserts, updates, deletes, reads }
}

async fn search(cli: &Cli, generator: &Rc<Generator>, mut results: Results) -> Result<Run> {
    let (mut search, duration, rule) = plan(cli);
    let proportions = rates(cli);
    generator.spawn();
    let end = loop {
        let (number, rate) = (results.steps.len() + 1, search.rate());
        let display = Display::new(format!("step {number}, {} requests/s", thousands(rate)), Some(duration));
        let watch = |now, generator: &Generator| display.show(now, generator);
        let outcome = step::open(generator, proportions.scaled(rate), Some(duration), &watch).await?;
        drop(display);
        let mut step = Step::new(number, Some(rate), &outcome);
        if outcome.end != End::Time {
            step.reason = Some(outcome.end.words(outcome.recorder.first_fault.as_deref()));
            results.stopped = outcome.end.words(outcome.recorder.first_fault.as_deref());
            results.steps.push(step);
            break outcome.end;
        }
        step.reason = rule.broken(figures(&step));
        step.passed = Some(step.reason.is_none());
        announce(&step);
        let passed = step.reason.is_none();
        results.stopped = match &step.reason {
            Some(reason) => format!("step {number} failed: {reason}"),
            None => "the search is complete".to_string(),
        };
        results.steps.push(step);
        if !search.enter(passed) {
            break End::Time;
        }
    };
    results.limit = limit(&results.steps);
    Ok(Run { results, end })
}

fn plan(cli: &Cli) -> (Search, Duration, Rule) {
    let (stress, write) = (&cli.stress, &cli.write_stress);
    let rule = Rule {
        p95_limit_ms: cli.mode.write_stress.then_some(write.write_stress_p95_limit),
        error_threshold: stress.stress_error_threshold,
    };
    if cli.mode.stress {
        let search = Search::new(Growth::Step(stress.stress_step), stress.stress_step);
        return (search, stress.stress_duration, rule);
    }
    let growth = match write.write_stress_growth {
        _ if write.write_stress_bisect => Growth::Bisect,
        Some(factor) => Growth::Factor(factor),
        None => Growth::Step(write.write_stress_step),
    };
    (Search::new(growth, write.write_stress_initial), write.write_stress_duration, rule)
}

fn figures(step: &Step) -> plan::Figures {
    plan::Figures {
        offered: step.offered_per_s,
        achieved: step.achieved_per_s,
        p95_ms: step.total.p95_ms,
        error_share: step.total.error_share(),
    }
}

/// A line a step, while the next one runs.
fn announce(step: &Step) {
    eprintln!(
        "step {}: offered {}/s, achieved {}/s, p95 {:.1} ms, p99 {:.1} ms: {}",
        step.step,
        thousands(step.offered_per_s),
        thousands(step.achieved_per_s),
        step.total.p95_ms,
        step.total.p99_ms,
        step.reason.as_deref().unwrap_or("passed")
    );
}

/// The highest rate that was passed.
fn limit(steps: &[Step]) -> Option<Limit> {
    let passed = steps.iter().filter(|step| step.passed == Some(true));
    let best = passed.max_by(|a, b| a.offered_per_s.total_cmp(&b.offered_per_s))?;
    Some(Limit {
        offered_per_s: best.offered_per_s,
        achieved_per_s: best.achieved_per_s,
        p95_ms: best.total.p95_ms,
    })
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    #[test]
    fn command_lines_lose_their_tokens_and_headers() {
        let arguments = "trafficgen -token geheim --token=geheim -header x:geheim -url u".split(' ');
        let shown = without_secrets(arguments.map(str::to_string)).join(" ");
        assert_eq!(shown, "trafficgen -token ... -token=... -header ... -url u");
    }

    #[test]
    fn proportions_of_the_largest_rates_can_be_drawn_from() {
        let rate = plan::RATE_LIMIT;
        let mix = proportions(Rates { inserts: rate, updates: rate, deletes: rate, reads: rate });
        let sum = [mix.inserts, mix.updates, mix.deletes, mix.reads]
            .iter()
            .map(|part| u64::from(*part))
            .sum::<u64>();
        assert!(sum < u32::MAX.into());
        let small = proportions(Rates { inserts: 0.5, updates: 0.0, deletes: 0.0, reads: 1.5 });
        assert_eq!(small.reads, 3 * small.inserts);
    }
}

//! What a command measured, and its forms: a table for people, JSON and CSV for programs, a plot.

pub(crate) mod chart;
pub(crate) mod csv;
pub(crate) mod json;
pub(crate) mod plot;
pub(crate) mod table;

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::breakdown::BreakdownReport;
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::floors::FloorReport;
use crate::growth::GrowthReport;
use crate::latency::percentile_us;
use crate::preset::Variant;
use crate::recorder::PhaseOutcome;
use crate::result_folder;
use crate::settings::Settings;
use crate::trial::TrialOutcome;
use crate::utc;

/// A phase of a run: medians over the repetitions.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct PhaseReport {
    /// `inserts`, `mixed`, `updates` or `replay`.
    pub(crate) phase: String,
    /// Acknowledged writes a second.
    pub(crate) writes_per_s: f64,
    /// The slowest repetition's.
    pub(crate) writes_per_s_min: f64,
    /// The fastest repetition's.
    pub(crate) writes_per_s_max: f64,
    /// Gets a second.
    pub(crate) reads_per_s: f64,
    /// Both together.
    pub(crate) operations_per_s: f64,
    /// Median latency of a write in microseconds, from the call to its acknowledgement; of a read where the phase
    /// has no writes.
    pub(crate) p50_us: f64,
    /// Its 95th percentile.
    pub(crate) p95_us: f64,
    /// Its 99th percentile.
    pub(crate) p99_us: f64,
    /// The longest.
    pub(crate) max_us: f64,
    /// Median latency of a get in microseconds; 0 where there were none.
    pub(crate) read_p50_us: f64,
    /// Its 95th percentile.
    pub(crate) read_p95_us: f64,
    /// Its 99th percentile.
    pub(crate) read_p99_us: f64,
    /// Operations a second over the baseline's at as many writers.
    pub(crate) ratio_to_baseline: Option<f64>,
    /// Syncs of the log, or of all logs, a write.
    pub(crate) fsyncs_per_write: f64,
    /// Bytes appended to the logs, headers included, a write.
    pub(crate) log_bytes_per_write: f64,
    /// Acknowledged writes.
    pub(crate) writes: f64,
    /// Gets.
    pub(crate) reads: f64,
    /// Gets that found their key.
    pub(crate) reads_found: f64,
    /// How long the phase took.
    pub(crate) seconds: f64,
    /// Pages split.
    pub(crate) splits: f64,
    /// Descents that began anew.
    pub(crate) restarts: f64,
    /// Pages read from disk.
    pub(crate) pool_misses: f64,
    /// Latches that were not free at once.
    pub(crate) latch_waits: f64,
    /// Checkpoints taken.
    pub(crate) checkpoints: f64,
}

/// One variant at one number of writers.
#[derive(Clone, Debug)]
pub(crate) struct RunReport {
    /// The variant's label.
    pub(crate) preset: String,
    /// Every effective setting.
    pub(crate) settings: Settings,
    /// What an acknowledgement promised.
    pub(crate) durability: String,
    /// Writers, each in a closed loop.
    pub(crate) writers: usize,
    /// Keys loaded before.
    pub(crate) keys: u64,
    /// How often it was repeated.
    pub(crate) repetitions: usize,
    /// The phases; the first one is the run's headline.
    pub(crate) phases: Vec<PhaseReport>,
    /// Keys read back after close, check and reopening, over all repetitions.
    pub(crate) keys_verified: u64,
    /// Acknowledged writes that were missing or wrong then.
    pub(crate) missing: u64,
    /// Everything that check and read-back found, in words.
    pub(crate) faults: Vec<String>,
}

impl RunReport {
    /// From the repetitions' outcomes.
    pub(crate) fn new(variant: &Variant, writers: usize, keys: u64, trials: &[TrialOutcome]) -> RunReport {
        let phases = trials.first().map_or(0, |trial| trial.phases.len());
        let phase = |at: usize| {
            phase_report(&trials.iter().filter_map(|trial| trial.phases.get(at)).collect::<Vec<_>>())
        };
        RunReport {
            preset: variant.label.clone(),
            settings: variant.settings.clone(),
            durability: variant.settings.durability(),
            writers,
            keys,
            repetitions: trials.len(),
            phases: (0..phases).map(phase).collect(),
            keys_verified: trials.iter().map(|trial| trial.keys_verified).sum(),
            missing: trials.iter().map(|trial| trial.missing).sum(),
            faults: trials.iter().flat_map(|trial| trial.faults.clone()).collect(),
        }
    }

    /// The phase that stands for the run.
    pub(crate) fn headline(&self) -> Option<&PhaseReport> {
        self.phases.first()
    }
}

fn phase_report(outcomes: &[&PhaseOutcome]) -> PhaseReport {
    let of = |value: &dyn Fn(&PhaseOutcome) -> f64| {
        median(&outcomes.iter().map(|outcome| value(outcome)).collect::<Vec<_>>())
    };
    let seconds = |outcome: &PhaseOutcome| outcome.total.elapsed().as_secs_f64().max(1e-9);
    let writes = |outcome: &PhaseOutcome| outcome.total.writes() as f64;
    let reads = |outcome: &PhaseOutcome| outcome.total.reads as f64;
    let per_write = |count: u64, outcome: &PhaseOutcome| match outcome.total.writes() {
        0 => 0.0,
        writes => count as f64 / writes as f64,
    };
    let acknowledged = |outcome: &PhaseOutcome, quantile: f64| match outcome.total.writes() {
        0 => percentile_us(&outcome.total.read_latency, quantile),
        _ => percentile_us(&outcome.total.write_latency, quantile),
    };
    let read = |outcome: &PhaseOutcome, quantile: f64| percentile_us(&outcome.total.read_latency, quantile);
    let rates: Vec<f64> = outcomes.iter().map(|outcome| writes(outcome) / seconds(outcome)).collect();
    PhaseReport {
        phase: outcomes.first().map_or("", |outcome| outcome.name).to_string(),
        writes_per_s: median(&rates),
        writes_per_s_min: rates.iter().copied().fold(f64::INFINITY, f64::min),
        writes_per_s_max: rates.iter().copied().fold(0.0, f64::max),
        reads_per_s: of(&|outcome| reads(outcome) / seconds(outcome)),
        operations_per_s: of(&|outcome| (writes(outcome) + reads(outcome)) / seconds(outcome)),
        p50_us: of(&|outcome| acknowledged(outcome, 0.50)),
        p95_us: of(&|outcome| acknowledged(outcome, 0.95)),
        p99_us: of(&|outcome| acknowledged(outcome, 0.99)),
        max_us: of(&|outcome| acknowledged(outcome, 1.0)),
        read_p50_us: of(&|outcome| read(outcome, 0.50)),
        read_p95_us: of(&|outcome| read(outcome, 0.95)),
        read_p99_us: of(&|outcome| read(outcome, 0.99)),
        ratio_to_baseline: None,
        fsyncs_per_write: of(&|outcome| per_write(outcome.engine.syncs, outcome)),
        log_bytes_per_write: of(&|outcome| per_write(outcome.engine.log_bytes, outcome)),
        writes: of(&writes),
        reads: of(&reads),
        reads_found: of(&|outcome| outcome.total.reads_found as f64),
        seconds: of(&seconds),
        splits: of(&|outcome| outcome.engine.splits as f64),
        restarts: of(&|outcome| outcome.engine.restarts as f64),
        pool_misses: of(&|outcome| outcome.engine.pool_misses as f64),
        latch_waits: of(&|outcome| outcome.engine.latch_waits as f64),
        checkpoints: of(&|outcome| outcome.engine.checkpoints as f64),
    }
}

/// The median; of an even number the mean of the middle two, of none 0.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => sorted[middle],
        _ => (sorted[middle - 1] + sorted[middle]) / 2.0,
    }
}

/// Everything that a command has to say.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    /// `compare`, `breakdown`, `floors` or `growth`.
    pub(crate) experiment: &'static str,
    /// The machine.
    pub(crate) environment: Environment,
    /// What each trial did.
    pub(crate) workload: serde_json::Value,
    /// The variant that ratios refer to.
    pub(crate) baseline: String,
    /// The runs.
    pub(crate) runs: Vec<RunReport>,
    /// The floors, where they were asked for.
    pub(crate) floors: Option<Vec<FloorReport>>,
    /// The ladder, where it was asked for.
    pub(crate) breakdown: Option<BreakdownReport>,
    /// The growth, where it was asked for.
    pub(crate) growth: Option<Vec<GrowthReport>>,
}

impl Report {
    /// The overrides that all runs share: `partitions=1`, `no-sync`.
    pub(crate) fn common(&self) -> Vec<&str> {
        let first = self.runs.first().map_or("", |run| run.preset.as_str());
        let shared =
            |part: &&str| self.runs.iter().all(|run| run.preset.split('+').skip(1).any(|own| own == *part));
        first.split('+').skip(1).filter(shared).collect()
    }

    /// A run's label without what all runs share: it is said once instead.
    pub(crate) fn short<'a>(&self, label: &'a str) -> String {
        let common = self.common();
        label.split('+').filter(|part: &&'a str| !common.contains(part)).collect::<Vec<_>>().join("+")
    }

    /// Everything that checks and read-backs found.
    pub(crate) fn faults(&self) -> Vec<&str> {
        self.runs.iter().flat_map(|run| run.faults.iter().map(String::as_str)).collect()
    }

    /// Writes `result.json`, `result.csv` and `plot.svg` into a fresh folder in `out`, and returns the folder.
    pub(crate) fn write(&self, out: &Path) -> Result<PathBuf> {
        let folder = result_folder::fresh(out, &format!("{}-{}", utc::now(), self.experiment))?;
        let write = |name: &str, text: String| {
            let path = folder.join(name);
            std::fs::write(&path, text)
                .map_err(|cause| Error::failed(format!("cannot write {}", path.display()), cause))
        };
        write("result.json", json::text(self)?)?;
        write("result.csv", csv::text(self)?)?;
        write("plot.svg", plot::svg(self)?)?;
        Ok(folder)
    }
}

#[cfg(all(test, not(feature = "loom")))]
pub(crate) mod tests {
    use super::*;
    use crate::machine::Machine;
    use crate::preset;

    /// A report with two presets at 1 and 64 writers, for the tests of its forms.
    pub(crate) fn sample() -> Report {
        let run = |name: &str, writers: usize, rate: f64| {
            let settings = preset::load(name).unwrap().settings;
            let phase = |phase: &str, factor: f64| PhaseReport {
                phase: phase.to_string(),
                writes_per_s: rate * factor,
                writes_per_s_min: rate * factor * 0.9,
                writes_per_s_max: rate * factor * 1.1,
                operations_per_s: rate * factor,
                p50_us: 1e6 * writers as f64 / rate,
                p95_us: 2e6 * writers as f64 / rate,
                p99_us: 3e6 * writers as f64 / rate,
                ratio_to_baseline: Some(rate / 400.0),
                fsyncs_per_write: 0.05,
                log_bytes_per_write: 180.0,
                writes: 1_000.0,
                ..PhaseReport::default()
            };
            RunReport {
                preset: name.to_string(),
                durability: settings.durability(),
                settings,
                writers,
                keys: 0,
                repetitions: 1,
                phases: vec![phase("inserts", 1.0), phase("mixed", 0.5)],
                keys_verified: 1_000,
                missing: 0,
                faults: Vec::new(),
            }
        };
        Report {
            experiment: "compare",
            environment: environment(),
            workload: serde_json::json!({ "keys": 0 }),
            baseline: "baseline".to_string(),
            runs: vec![
                run("baseline", 1, 400.0),
                run("option4", 1, 9_000.0),
                run("baseline", 64, 420.0),
                run("option4", 64, 70_000.0),
            ],
            floors: None,
            breakdown: None,
            growth: None,
        }
    }

    fn environment() -> Environment {
        Environment {
            machine: Machine {
                time: "20260131T120000Z".to_string(),
                command: vec!["experiments".to_string()],
                commit: "0123456789abcdef".to_string(),
                dirty: true,
                cpu: "A processor <& its name>".to_string(),
                cores: 2,
                memory_bytes: 1 << 34,
                kernel: "Linux 6.1".to_string(),
            },
            data_folder: "/data".to_string(),
            file_system: "ext4".to_string(),
            fdatasync_p50_us: 95.0,
            fdatasync_p99_us: 300.0,
        }
    }

    #[test]
    fn median_is_the_middle_or_the_mean_of_the_middle_two() {
        assert_eq!(median(&[]), 0.0);
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn what_all_runs_share_is_left_out_of_their_names() {
        let mut report = sample();
        for (run, engine) in report.runs.iter_mut().zip(["mutex", "coupled"].into_iter().cycle()) {
            run.preset = format!("option4+engine={engine}+partitions=1+no-sync");
        }
        assert_eq!(report.common(), ["partitions=1", "no-sync"]);
        assert_eq!(report.short(&report.runs[1].preset), "option4+engine=coupled");
    }

    #[test]
    fn two_results_of_one_second_lie_in_two_folders() {
        let out = tempfile::tempdir().unwrap();
        let (first, second) = (sample().write(out.path()).unwrap(), sample().write(out.path()).unwrap());
        assert_ne!(first, second);
        for name in ["result.json", "result.csv", "plot.svg"] {
            assert!(std::fs::metadata(second.join(name)).unwrap().len() > 100, "{name}");
        }
    }
}

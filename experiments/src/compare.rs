//! `compare`: the same work for every variant at every number of writers, and what came out side by side.

use std::time::Duration;

use crate::data_folder::DataFolder;
use crate::error::Result;
use crate::preset::Variant;
use crate::progress::Progress;
use crate::replay::{self, Input};
use crate::report::{PhaseReport, RunReport};
use crate::trial::{self, TrialOutcome, Workload};

/// Where a trial's operations come from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// The roadmap's traffic.
    Generated(Workload),
    /// A file, for at most so long.
    Replayed(Input, Option<Duration>),
}

/// What is compared.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The variants, in the order of the report.
    pub(crate) variants: Vec<Variant>,
    /// Numbers of writers.
    pub(crate) writers: Vec<usize>,
    /// How often each trial is repeated.
    pub(crate) repetitions: usize,
    /// What each trial does.
    pub(crate) source: Source,
}

impl Plan {
    /// The variant that ratios refer to: the preset `baseline` where it runs, else the first.
    pub(crate) fn baseline(&self) -> &str {
        let baseline = self.variants.iter().find(|variant| variant.preset == "baseline");
        baseline.or(self.variants.first()).map_or("", |variant| &variant.label)
    }

    /// How many trials there are.
    pub(crate) fn trials(&self) -> usize {
        self.variants.len() * self.writers.len() * self.repetitions
    }

    /// Runs them. Variants that are compared with each other run next to each other in time, and a repetition is
    /// a round over all of them: what the machine does meanwhile meets all alike.
    pub(crate) fn measure(&self, folder: &DataFolder, progress: &Progress) -> Result<Vec<RunReport>> {
        let mut runs = Vec::new();
        for &writers in &self.writers {
            let mut outcomes: Vec<Vec<TrialOutcome>> = vec![Vec::new(); self.variants.len()];
            for _ in 0..self.repetitions {
                for (variant, outcomes) in self.variants.iter().zip(&mut outcomes) {
                    progress.begin(format!("{}, {writers} writers", variant.label));
                    outcomes.push(self.trial(variant, writers, folder, progress)?);
                }
            }
            for (variant, outcomes) in self.variants.iter().zip(&outcomes) {
                let keys = match &self.source {
                    Source::Generated(workload) => workload.keys,
                    Source::Replayed(..) => 0,
                };
                runs.push(RunReport::new(variant, writers, keys, outcomes));
            }
        }
        relate(&mut runs, self.baseline());
        Ok(runs)
    }

    fn trial(
        &self,
        variant: &Variant,
        writers: usize,
        folder: &DataFolder,
        progress: &Progress,
    ) -> Result<TrialOutcome> {
        match &self.source {
            Source::Generated(workload) => trial::run(variant, writers, workload, folder, progress),
            Source::Replayed(input, limit) => replay::run(variant, writers, input, *limit, folder, progress),
        }
    }
}

/// Sets each phase's ratio to the same phase of the baseline at the same number of writers and keys.
fn relate(runs: &mut [RunReport], baseline: &str) {
    let bases: Vec<RunReport> = runs.iter().filter(|run| run.preset == baseline).cloned().collect();
    for run in runs {
        let base = bases.iter().find(|base| base.writers == run.writers && base.keys == run.keys);
        for phase in &mut run.phases {
            let same = base.and_then(|base| base.phases.iter().find(|other| other.phase == phase.phase));
            phase.ratio_to_baseline = same.and_then(|same| ratio(phase, same));
        }
    }
}

/// How many times as many operations a second.
pub(crate) fn ratio(phase: &PhaseReport, base: &PhaseReport) -> Option<f64> {
    (base.operations_per_s > 0.0).then(|| phase.operations_per_s / base.operations_per_s)
}

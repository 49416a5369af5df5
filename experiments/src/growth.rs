//! `compare --growth 20000,2000000`: does a write take longer in a larger tree?
//!
//! Each size is loaded without waiting for commits, then measured twice: the roadmap's inserts, at most as many
//! as were loaded, so that the size that is named stays the size that is measured; then puts of existing keys
//! chosen over the whole tree, which do not grow it at all.

use serde::Serialize;

use crate::compare::{Plan, Source};
use crate::data_folder::DataFolder;
use crate::error::Result;
use crate::mix::Mix;
use crate::phase::{Choice, Phase};
use crate::progress::Progress;
use crate::report::RunReport;
use crate::trial::Workload;

/// How a preset's write latency changes from the smallest to the largest size.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct GrowthReport {
    /// The variant.
    pub(crate) preset: String,
    /// `inserts` or `updates`.
    pub(crate) phase: String,
    /// Writers.
    pub(crate) writers: usize,
    /// The smallest size.
    pub(crate) from_keys: u64,
    /// The largest size.
    pub(crate) to_keys: u64,
    /// The write p95 at the largest size over the one at the smallest.
    pub(crate) p95_ratio: f64,
}

/// Measures the plan's variants at every size; `seconds` a phase.
pub(crate) fn measure(
    plan: &Plan,
    sizes: &[u64],
    seconds: f64,
    choice: Choice,
    folder: &DataFolder,
) -> Result<(Vec<RunReport>, Vec<GrowthReport>)> {
    let at =
        |&keys: &u64| Plan { source: Source::Generated(workload(keys, seconds, choice)), ..plan.clone() };
    let plans: Vec<Plan> = sizes.iter().map(at).collect();
    let progress = Progress::new(plans.iter().map(Plan::trials).sum());
    let mut runs = Vec::new();
    for plan in &plans {
        runs.extend(plan.measure(folder, &progress)?);
    }
    progress.finish();
    let growth = relate(&runs);
    Ok((runs, growth))
}

/// What happens at one size.
pub(crate) fn workload(keys: u64, seconds: f64, choice: Choice) -> Workload {
    let inserts = Phase { name: "inserts", mix: Mix::INSERTS, seconds, max_operations: Some(keys) };
    let updates = Phase { name: "updates", mix: Mix::UPDATES, seconds, max_operations: None };
    Workload::new(keys, vec![inserts, updates], choice)
}

fn relate(runs: &[RunReport]) -> Vec<GrowthReport> {
    let mut reports = Vec::new();
    for small in runs {
        let same = |run: &&RunReport| run.preset == small.preset && run.writers == small.writers;
        let sizes = || runs.iter().filter(same);
        if sizes().any(|run| run.keys < small.keys) {
            continue;
        }
        let Some(large) = sizes().max_by_key(|run| run.keys) else { continue };
        for (before, after) in small.phases.iter().zip(&large.phases) {
            reports.push(GrowthReport {
                preset: small.preset.clone(),
                phase: before.phase.clone(),
                writers: small.writers,
                from_keys: small.keys,
                to_keys: large.keys,
                p95_ratio: if before.p95_us > 0.0 { after.p95_us / before.p95_us } else { 0.0 },
            });
        }
    }
    reports
}

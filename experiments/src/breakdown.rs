//! `compare --breakdown`: the way from `baseline` to `option4`, one setting at a time.
//!
//! Each step's factor is what that setting gave on top of the ones before it. A setting's factor depends on its
//! place on the ladder: what a later step could gain is hidden as long as an earlier limit holds.

use serde::Serialize;
use tree::{Engine, LogScope, Wait};
use wal::CommitPolicy;

use crate::error::Result;
use crate::preset::{self, Variant};
use crate::report::RunReport;
use crate::settings::Override;

/// One step of the ladder, measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StepReport {
    /// Writers.
    pub(crate) writers: usize,
    /// What kind of gain the step belongs to.
    pub(crate) group: &'static str,
    /// The setting that changed: `commit=greedy`.
    pub(crate) step: String,
    /// Acknowledged inserts a second.
    pub(crate) writes_per_s: f64,
    /// Times the step before.
    pub(crate) factor: f64,
    /// Times the baseline.
    pub(crate) so_far: f64,
}

/// All steps of a group together.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct GroupReport {
    /// Writers.
    pub(crate) writers: usize,
    /// What kind of gain.
    pub(crate) group: &'static str,
    /// The product of its steps' factors.
    pub(crate) factor: f64,
}

/// The measured ladder.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct BreakdownReport {
    /// Step by step.
    pub(crate) steps: Vec<StepReport>,
    /// And by kind.
    pub(crate) groups: Vec<GroupReport>,
}

const GROUPS: [&str; 6] = [
    "commit policy",
    "partitions",
    "one log for the database",
    "records instead of page images",
    "waiting outside the lock",
    "page latches",
];

/// The group of each step and the setting that it changes. The second step ends at `option1`, the third at
/// `option2`, the last at `option4`.
fn ladder() -> Vec<(&'static str, Override)> {
    let immediate = CommitPolicy::Immediate(std::time::Duration::from_micros(50));
    vec![
        (GROUPS[0], Override::Commit(immediate)),
        (GROUPS[1], Override::Partitions(8)),
        (GROUPS[0], Override::Commit(CommitPolicy::Greedy)),
        (GROUPS[2], Override::LogScope(LogScope::Database)),
        (GROUPS[3], Override::PageImages(false)),
        (GROUPS[4], Override::Wait(Wait::AfterRelease)),
        (GROUPS[5], Override::Engine(Engine::Coupled)),
    ]
}

/// The variants to measure: the baseline, then one more setting changed in each. `common` applies to all.
pub(crate) fn variants(common: &[Override]) -> Result<Vec<Variant>> {
    let axes: Vec<_> = common.iter().map(|value| vec![value.clone()]).collect();
    let mut steps = preset::variants(&[preset::load("baseline")?], &axes);
    for (_, change) in ladder() {
        let Some(last) = steps.last() else { break };
        let next = last.with(&change);
        steps.push(Variant { label: format!("+{}", change.label()), ..next });
    }
    for step in &mut steps {
        step.settings = step.settings.clone().normalized();
    }
    Ok(steps)
}

/// Factors from the runs of [`variants`], which stand in that order for each number of writers.
pub(crate) fn relate(runs: &[RunReport]) -> BreakdownReport {
    let ladder = ladder();
    let mut report = BreakdownReport { steps: Vec::new(), groups: Vec::new() };
    for rungs in runs.chunk_by(|before, after| before.writers == after.writers) {
        let rate = |rung: &RunReport| rung.headline().map_or(0.0, |phase| phase.writes_per_s);
        let groups = std::iter::once("baseline").chain(ladder.iter().map(|(group, _)| *group));
        let mut before = rungs.first().map_or(0.0, rate);
        let base = before;
        let first = report.steps.len();
        for (rung, group) in rungs.iter().zip(groups) {
            report.steps.push(StepReport {
                writers: rung.writers,
                group,
                step: rung.preset.clone(),
                writes_per_s: rate(rung),
                factor: over(rate(rung), before),
                so_far: over(rate(rung), base),
            });
            before = rate(rung);
        }
        for group in GROUPS {
            let steps = report.steps[first..].iter().filter(|step| step.group == group);
            let factor = steps.map(|step| step.factor).product();
            report.groups.push(GroupReport { writers: rungs[0].writers, group, factor });
        }
    }
    report
}

fn over(value: f64, base: f64) -> f64 {
    if base > 0.0 { value / base } else { 0.0 }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    #[test]
    fn ladder_passes_every_preset_on_its_way_to_option4() {
        let steps = variants(&[]).unwrap();
        let at = |name: &str| preset::load(name).unwrap().settings;
        assert_eq!(steps[0].settings, at("baseline"));
        assert_eq!(steps[1].settings, at("option1"));
        assert_eq!(steps[2].settings, at("option2"));
        assert_eq!(steps.last().unwrap().settings, at("option4"));
    }

    #[test]
    fn each_step_changes_one_setting() {
        let steps = variants(&[]).unwrap();
        for pair in steps.windows(2) {
            let [before, after] =
                [&pair[0], &pair[1]].map(|step| serde_json::to_value(&step.settings).unwrap());
            let (before, after) = (before.as_object().unwrap(), after.as_object().unwrap());
            assert_eq!(before.keys().filter(|name| before[*name] != after[*name]).count(), 1);
        }
    }
}

//! The result as one JSON object: a run bears its headline phase's figures, and all phases beside them.

use serde::Serialize;

use super::{PhaseReport, Report, RunReport};
use crate::breakdown::BreakdownReport;
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::floors::FloorReport;
use crate::growth::GrowthReport;
use crate::settings::Settings;

#[derive(Serialize)]
struct Document<'a> {
    experiment: &'a str,
    environment: &'a Environment,
    workload: &'a serde_json::Value,
    baseline: &'a str,
    runs: Vec<Run<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    floors: Option<&'a [FloorReport]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    breakdown: Option<&'a BreakdownReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    growth: Option<&'a [GrowthReport]>,
}

#[derive(Serialize)]
struct Run<'a> {
    preset: &'a str,
    writers: usize,
    keys: u64,
    repetitions: usize,
    #[serde(flatten)]
    headline: Option<&'a PhaseReport>,
    phases: &'a [PhaseReport],
    durability: &'a str,
    settings: &'a Settings,
    keys_verified: u64,
    missing: u64,
    faults: &'a [String],
}

impl<'a> From<&'a RunReport> for Run<'a> {
    fn from(run: &'a RunReport) -> Run<'a> {
        Run {
            preset: &run.preset,
            writers: run.writers,
            keys: run.keys,
            repetitions: run.repetitions,
            headline: run.headline(),
            phases: &run.phases,
            durability: &run.durability,
            settings: &run.settings,
            keys_verified: run.keys_verified,
            missing: run.missing,
            faults: &run.faults,
        }
    }
}

/// The object, indented, with a line end.
pub(crate) fn text(report: &Report) -> Result<String> {
    let document = Document {
        experiment: report.experiment,
        environment: &report.environment,
        workload: &report.workload,
        baseline: &report.baseline,
        runs: report.runs.iter().map(Run::from).collect(),
        floors: report.floors.as_deref(),
        breakdown: report.breakdown.as_ref(),
        growth: report.growth.as_deref(),
    };
    let text =
        serde_json::to_string_pretty(&document).map_err(|cause| Error::failed("cannot write JSON", cause))?;
    Ok(text + "\n")
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::super::tests::sample;

    #[test]
    fn runs_bear_their_headline_and_settings_as_on_the_command_line() {
        let json: serde_json::Value = serde_json::from_str(&super::text(&sample()).unwrap()).unwrap();
        let run = &json["runs"][3];
        assert_eq!((run["preset"].as_str(), run["writers"].as_u64()), (Some("option4"), Some(64)));
        assert_eq!(run["writes_per_s"], 70_000.0);
        assert_eq!(run["phases"][1]["writes_per_s"], 35_000.0);
        assert_eq!(run["settings"]["engine"], "coupled");
        assert_eq!(run["durability"], "fdatasync before every acknowledgement");
        assert_eq!(json["environment"]["file_system"], "ext4");
        assert!(json.get("floors").is_none());
    }
}

//! Which figures of a report are drawn: rates above or beside latencies.

use super::chart::{self, Figure, Panel, Series};
use super::{PhaseReport, Report, RunReport};
use crate::error::Result;
use crate::units::{latency, ratio, thousands};

/// The report's plot as SVG: groups of bars by writers, by step of a breakdown, or by size.
pub(crate) fn svg(report: &Report) -> Result<String> {
    let name = report.runs.first().and_then(RunReport::headline).map_or("", |phase| phase.phase.as_str());
    let alone = report.runs.iter().all(|run| run.preset == report.baseline);
    let rate_note = |phase: &PhaseReport| match phase.ratio_to_baseline {
        Some(factor) if !alone => format!("{}\n{}", thousands(phase.operations_per_s), ratio(factor)),
        _ => thousands(phase.operations_per_s),
    };
    let rates = Panel {
        title: rate_title(report, name),
        scale: chart::count_scale,
        groups: groups(report),
        series: series(report, &|phase| (phase.operations_per_s, rate_note(phase))),
    };
    let latencies = Panel {
        title: "p95 latency, logarithmic".to_string(),
        scale: chart::time_scale,
        groups: groups(report),
        series: series(report, &|phase| (phase.p95_us, latency(phase.p95_us))),
    };
    chart::draw(&Figure {
        title: format!("{}: {name}, writers in closed loops", report.experiment),
        caption: caption(report),
        panels: vec![rates, latencies],
    })
}

/// The label of the group of bars that a run belongs to.
fn group(report: &Report, run: &RunReport) -> String {
    if report.breakdown.is_some() {
        report.short(&run.preset)
    } else if report.growth.is_some() {
        format!("{} keys", thousands(run.keys as f64))
    } else {
        writer_label(run)
    }
}

/// The label of the bars of one colour that a run belongs to.
fn colour(report: &Report, run: &RunReport) -> String {
    if report.breakdown.is_some() {
        writer_label(run)
    } else if report.growth.is_some() && report.runs.iter().any(|other| other.writers != run.writers) {
        format!("{}, {}", report.short(&run.preset), writer_label(run))
    } else {
        report.short(&run.preset)
    }
}

fn writer_label(run: &RunReport) -> String {
    if run.writers == 1 { "1 writer".to_string() } else { format!("{} writers", run.writers) }
}

fn groups(report: &Report) -> Vec<String> {
    distinct(report.runs.iter().map(|run| group(report, run)))
}

fn series(report: &Report, bar: &dyn Fn(&PhaseReport) -> (f64, String)) -> Vec<Series> {
    let bars = |label: &String| {
        let at = |wanted: &String| {
            let is = |run: &&RunReport| colour(report, run) == *label && group(report, run) == *wanted;
            report.runs.iter().find(is).and_then(RunReport::headline).map(bar)
        };
        Series { label: label.clone(), bars: groups(report).iter().map(at).collect() }
    };
    distinct(report.runs.iter().map(|run| colour(report, run))).iter().map(bars).collect()
}

fn rate_title(report: &Report, phase: &str) -> String {
    let what = if phase == "inserts" { "acknowledged inserts" } else { "operations" };
    if report.runs.iter().all(|run| run.preset == report.baseline) {
        return format!("{what} a second, logarithmic");
    }
    format!("{what} a second, logarithmic (and ratio to {})", report.short(&report.baseline))
}

fn caption(report: &Report) -> Vec<String> {
    let mut promises: Vec<String> = report.runs.iter().map(|run| run.durability.clone()).collect();
    promises.dedup();
    vec![report.environment.sentence(), format!("Durability: {}.", promises.join("; "))]
}

fn distinct(labels: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen = Vec::new();
    for label in labels {
        if !seen.contains(&label) {
            seen.push(label);
        }
    }
    seen
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::super::tests::sample;

    #[test]
    fn plot_names_presets_writers_ratios_and_the_machine() {
        let svg = super::svg(&sample()).unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        for text in ["baseline", "option4", "64 writers", "175x", "fdatasync before every", "ext4"] {
            assert!(svg.contains(text), "{text}");
        }
    }

    #[test]
    fn names_with_markup_are_escaped() {
        let svg = super::svg(&sample()).unwrap();
        assert!(svg.contains("&lt;&amp; its name&gt;"));
    }
}

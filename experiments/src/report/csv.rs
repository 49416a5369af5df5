//! The result as CSV: a row a phase, with the settings and the machine in each, so that rows of several results
//! can be put below each other.

use serde::Serialize;

use super::Report;
use crate::error::{Error, Result};

#[derive(Serialize)]
struct Row<'a> {
    experiment: &'a str,
    preset: &'a str,
    writers: usize,
    keys: u64,
    phase: &'a str,
    repetitions: usize,
    writes_per_s: f64,
    writes_per_s_min: f64,
    writes_per_s_max: f64,
    reads_per_s: f64,
    p50_us: f64,
    p95_us: f64,
    p99_us: f64,
    max_us: f64,
    read_p50_us: f64,
    read_p95_us: f64,
    read_p99_us: f64,
    ratio_to_baseline: Option<f64>,
    fsyncs_per_write: f64,
    log_bytes_per_write: f64,
    splits: f64,
    restarts: f64,
    pool_misses: f64,
    latch_waits: f64,
    checkpoints: f64,
    seconds: f64,
    engine: String,
    partitions: u32,
    commit: String,
    wait: String,
    log_scope: String,
    page_images: bool,
    pool_bytes: usize,
    sync: bool,
    sync_delay_us: u64,
    durability: &'a str,
    keys_verified: u64,
    missing: u64,
    time: &'a str,
    source_commit: &'a str,
    source_dirty: bool,
    cpu: &'a str,
    cores: usize,
    memory_bytes: u64,
    kernel: &'a str,
    file_system: &'a str,
    fdatasync_p50_us: f64,
    fdatasync_p99_us: f64,
}

/// The table with its header.
pub(crate) fn text(report: &Report) -> Result<String> {
    let failed = |cause: String| Error::failed("cannot write CSV", cause);
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows(report) {
        writer.serialize(row).map_err(|cause| failed(cause.to_string()))?;
    }
    let bytes = writer.into_inner().map_err(|cause| failed(cause.to_string()))?;
    String::from_utf8(bytes).map_err(|cause| failed(cause.to_string()))
}

fn rows(report: &Report) -> impl Iterator<Item = Row<'_>> {
    let environment = &report.environment;
    let machine = &environment.machine;
    let phases = report.runs.iter().flat_map(|run| run.phases.iter().map(move |phase| (run, phase)));
    phases.map(|(run, phase)| Row {
        experiment: report.experiment,
        preset: &run.preset,
        writers: run.writers,
        keys: run.keys,
        phase: &phase.phase,
        repetitions: run.repetitions,
        writes_per_s: phase.writes_per_s,
        writes_per_s_min: phase.writes_per_s_min,
        writes_per_s_max: phase.writes_per_s_max,
        reads_per_s: phase.reads_per_s,
        p50_us: phase.p50_us,
        p95_us: phase.p95_us,
        p99_us: phase.p99_us,
        max_us: phase.max_us,
        read_p50_us: phase.read_p50_us,
        read_p95_us: phase.read_p95_us,
        read_p99_us: phase.read_p99_us,
        ratio_to_baseline: phase.ratio_to_baseline,
        fsyncs_per_write: phase.fsyncs_per_write,
        log_bytes_per_write: phase.log_bytes_per_write,
        splits: phase.splits,
        restarts: phase.restarts,
        pool_misses: phase.pool_misses,
        latch_waits: phase.latch_waits,
        checkpoints: phase.checkpoints,
        seconds: phase.seconds,
        engine: run.settings.engine.to_string(),
        partitions: run.settings.partitions,
        commit: run.settings.commit.to_string(),
        wait: run.settings.wait.to_string(),
        log_scope: run.settings.log_scope.to_string(),
        page_images: run.settings.page_images,
        pool_bytes: run.settings.pool_bytes,
        sync: run.settings.sync,
        sync_delay_us: run.settings.sync_delay_us,
        durability: &run.durability,
        keys_verified: run.keys_verified,
        missing: run.missing,
        time: &machine.time,
        source_commit: &machine.commit,
        source_dirty: machine.dirty,
        cpu: &machine.cpu,
        cores: machine.cores,
        memory_bytes: machine.memory_bytes,
        kernel: &machine.kernel,
        file_system: &environment.file_system,
        fdatasync_p50_us: environment.fdatasync_p50_us,
        fdatasync_p99_us: environment.fdatasync_p99_us,
    })
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::super::tests::sample;

    #[test]
    fn every_phase_of_every_run_is_a_row() {
        let text = super::text(&sample()).unwrap();
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let header = reader.headers().unwrap().clone();
        let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
        assert_eq!(rows.len(), 8);
        let column = |name: &str| header.iter().position(|column| column == name).unwrap();
        assert_eq!(&rows[6][column("preset")], "option4");
        assert_eq!(&rows[7][column("phase")], "mixed");
        assert_eq!(&rows[7][column("engine")], "coupled");
        assert_eq!(&rows[0][column("file_system")], "ext4");
    }
}

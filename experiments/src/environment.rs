//! The machine that a result was measured on: without it a figure cannot be compared with another.

use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::data_folder;
use crate::error::{Error, Result};
use crate::machine::Machine;

const SYNC_SAMPLES: usize = 300;
const SYNC_BUDGET: Duration = Duration::from_millis(600);
const SYNC_RECORD_BYTES: usize = 200;

/// Where, when and from which source a result comes.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Environment {
    /// The machine and the source.
    #[serde(flatten)]
    pub(crate) machine: Machine,
    /// The folder that holds the databases.
    pub(crate) data_folder: String,
    /// Its file system's type.
    pub(crate) file_system: String,
    /// Median time of an fdatasync of 200 appended bytes in that folder, in microseconds.
    pub(crate) fdatasync_p50_us: f64,
    /// The 99th percentile of the same.
    pub(crate) fdatasync_p99_us: f64,
}

impl Environment {
    /// Reads the machine's description and measures the disk's sync in `folder`.
    pub(crate) fn measure(folder: &Path) -> Result<Environment> {
        let syncs = sync_latencies(folder).map_err(|cause| {
            Error::failed(format!("cannot measure fdatasync in {}", folder.display()), cause)
        })?;
        Ok(Environment {
            machine: Machine::read(),
            data_folder: folder.display().to_string(),
            file_system: data_folder::file_system(folder).unwrap_or_else(|| "unknown".to_string()),
            fdatasync_p50_us: percentile_us(&syncs, 0.50),
            fdatasync_p99_us: percentile_us(&syncs, 0.99),
        })
    }

    /// One line for captions: processor, cores, kernel, file system, sync latency, commit.
    pub(crate) fn sentence(&self) -> String {
        format!(
            "{}, {}, fdatasync p50 {:.0} us, {}",
            self.machine.hardware(),
            self.file_system,
            self.fdatasync_p50_us,
            self.machine.source()
        )
    }
}

/// Appends of 200 bytes, each synced, to a file that is zero-filled ahead, as the log's segments are: the file's
/// length and blocks do not change, so that a sync writes data only.
fn sync_latencies(folder: &Path) -> io::Result<Vec<Duration>> {
    let file = tempfile::tempfile_in(folder)?;
    file.write_all_at(&vec![0; SYNC_SAMPLES * SYNC_RECORD_BYTES], 0)?;
    file.sync_all()?;
    let mut latencies = Vec::with_capacity(SYNC_SAMPLES);
    let began = Instant::now();
    for sample in 0..SYNC_SAMPLES {
        let start = Instant::now();
        file.write_all_at(&[0x5a; SYNC_RECORD_BYTES], (sample * SYNC_RECORD_BYTES) as u64)?;
        file.sync_data()?;
        latencies.push(start.elapsed());
        if began.elapsed() > SYNC_BUDGET {
            break;
        }
    }
    latencies.sort_unstable();
    Ok(latencies)
}

/// A quantile of sorted samples by nearest rank, in microseconds.
fn percentile_us(sorted: &[Duration], quantile: f64) -> f64 {
    let rank = (sorted.len() as f64 * quantile).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).map_or(0.0, |latency| latency.as_secs_f64() * 1e6)
}

//! The machine that a result was measured on: without it a figure cannot be compared with another.

use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::data_folder;
use crate::error::{Error, Result};
use crate::utc;

const SYNC_SAMPLES: usize = 300;
const SYNC_BUDGET: Duration = Duration::from_millis(600);
const SYNC_RECORD_BYTES: usize = 200;

/// Where, when and from which source a result comes.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Environment {
    /// When the command began, UTC.
    pub(crate) time: String,
    /// The command line.
    pub(crate) command: Vec<String>,
    /// The source's commit, or `unknown` outside a repository.
    pub(crate) commit: String,
    /// Whether the source had changes that are not in that commit.
    pub(crate) dirty: bool,
    /// The processor's name.
    pub(crate) cpu: String,
    /// Logical processors that this process may use.
    pub(crate) cores: usize,
    /// Main memory in bytes.
    pub(crate) memory_bytes: u64,
    /// Operating system and kernel release.
    pub(crate) kernel: String,
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
        let (commit, dirty) = source_commit();
        Ok(Environment {
            time: utc::now(),
            command: std::env::args().collect(),
            commit,
            dirty,
            cpu: cpu_name(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: memory_bytes(),
            kernel: first_line("/proc/sys/kernel/ostype") + " " + &first_line("/proc/sys/kernel/osrelease"),
            data_folder: folder.display().to_string(),
            file_system: data_folder::file_system(folder).unwrap_or_else(unknown),
            fdatasync_p50_us: percentile_us(&syncs, 0.50),
            fdatasync_p99_us: percentile_us(&syncs, 0.99),
        })
    }

    /// One line for captions: processor, cores, kernel, file system, sync latency, commit.
    pub(crate) fn sentence(&self) -> String {
        let commit = self.commit.get(..10).unwrap_or(&self.commit);
        format!(
            "{}, {} cores, {}, {}, fdatasync p50 {:.0} us, commit {commit}{}",
            self.cpu,
            self.cores,
            self.kernel,
            self.file_system,
            self.fdatasync_p50_us,
            if self.dirty { " with changes" } else { "" }
        )
    }
}

fn unknown() -> String {
    "unknown".to_string()
}

fn first_line(path: &str) -> String {
    fs::read_to_string(path)
        .ok()
        .and_then(|text| text.lines().next().map(str::to_string))
        .unwrap_or_else(unknown)
}

/// The first `key : value` of a /proc file.
fn proc_field(path: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.split(':').next().is_some_and(|name| name.trim() == key))?;
    Some(line.split_once(':')?.1.trim().to_string())
}

fn cpu_name() -> String {
    proc_field("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.to_string())
}

fn memory_bytes() -> u64 {
    let kib = proc_field("/proc/meminfo", "MemTotal");
    kib.and_then(|text| text.split(' ').next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// The commit of the source tree that this binary was built from, as git sees it now.
fn source_commit() -> (String, bool) {
    let source = env!("CARGO_MANIFEST_DIR");
    let folder = if Path::new(source).is_dir() { source } else { "." };
    let git = |arguments: &[&str]| {
        let output = Command::new("git").arg("-C").arg(folder).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_string())
    };
    match git(&["rev-parse", "HEAD"]) {
        Some(commit) => (commit, git(&["status", "--porcelain"]).is_none_or(|changes| !changes.is_empty())),
        None => (unknown(), false),
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

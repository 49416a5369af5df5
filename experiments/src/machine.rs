//! The machine and the source that a result comes from: without them a figure cannot be compared with another.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Serialize;

use crate::utc;

/// When, where and from which source a result comes.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// When the command began, UTC.
    pub time: String,
    /// The command line.
    pub command: Vec<String>,
    /// The source's commit, or `unknown` outside a repository.
    pub commit: String,
    /// Whether the source had changes that are not in that commit.
    pub dirty: bool,
    /// The processor's name.
    pub cpu: String,
    /// Logical processors that this process may use.
    pub cores: usize,
    /// Main memory in bytes.
    pub memory_bytes: u64,
    /// Operating system and kernel release.
    pub kernel: String,
}

impl Machine {
    /// Reads the machine's and the source's description; what cannot be told is `unknown`.
    pub fn read() -> Machine {
        let (commit, dirty) = source_commit();
        Machine {
            time: utc::now(),
            command: std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect(),
            commit,
            dirty,
            cpu: cpu_name(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: memory_bytes(),
            kernel: first_line("/proc/sys/kernel/ostype") + " " + &first_line("/proc/sys/kernel/osrelease"),
        }
    }

    /// The processor, its cores and the kernel, for captions.
    pub fn hardware(&self) -> String {
        format!("{}, {} cores, {}", self.cpu, self.cores, self.kernel)
    }

    /// The commit's first ten digits, and whether there were changes on top of it, for captions.
    pub fn source(&self) -> String {
        let commit = self.commit.get(..10).unwrap_or(&self.commit);
        format!("commit {commit}{}", if self.dirty { " with changes" } else { "" })
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

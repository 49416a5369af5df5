//! One measured configuration of the engine: every column of a preset is a setting of its own, so that each
//! step of a gain can be attributed.

use std::fmt::Display;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use tree::{Engine, LogScope, Wait};
use wal::CommitPolicy;

use crate::units;

const POOL_BYTES: usize = 512 << 20;
const UNSYNCED_LOG_BYTES: u64 = 16 << 30;

/// What a database is opened with, and what a result carries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The protocol: `mutex` or `coupled`.
    #[serde(with = "text")]
    pub(crate) engine: Engine,
    /// Partitions a table.
    pub(crate) partitions: u32,
    /// When a group commit syncs: `window:2ms`, `immediate:50us`, `greedy`.
    #[serde(with = "text")]
    pub(crate) commit: CommitPolicy,
    /// Where a write waits for the log: `under-lock` or `after-release`.
    #[serde(with = "text")]
    pub(crate) wait: Wait,
    /// One log for the `database`, or one a `partition`.
    #[serde(with = "text")]
    pub(crate) log_scope: LogScope,
    /// Whether a write logs the whole page instead of what it changes.
    pub(crate) page_images: bool,
    /// The buffer pool's size in bytes.
    #[serde(default = "pool_bytes")]
    pub(crate) pool_bytes: usize,
    /// Whether the log is synced at all.
    #[serde(default = "synced")]
    pub(crate) sync: bool,
    /// Microseconds added to every sync: models a slower disk.
    #[serde(default)]
    pub(crate) sync_delay_us: u64,
}

fn pool_bytes() -> usize {
    POOL_BYTES
}

fn synced() -> bool {
    true
}

impl Settings {
    /// The engine's options for these settings; everything else stays at the engine's default. Without a sync
    /// the log is let grow: a checkpoint's writes would drown what is left to measure.
    pub(crate) fn options(&self) -> tree::Options {
        let defaults = tree::Options::default();
        tree::Options {
            engine: self.engine,
            partitions: self.partitions,
            commit: self.commit,
            wait: self.wait,
            log_scope: self.log_scope,
            page_images: self.page_images,
            pool_bytes: self.pool_bytes,
            sync: self.sync,
            log_max_bytes: if self.sync { defaults.log_max_bytes } else { UNSYNCED_LOG_BYTES },
            ..defaults
        }
    }

    /// What an acknowledgement really promises in a run with these settings, in plain words.
    pub(crate) fn durability(&self) -> String {
        if !self.sync {
            "none: --no-sync, an acknowledgement only says that the write is applied in memory".to_string()
        } else if self.sync_delay_us > 0 {
            let delay = units::duration_text(self.sync_delay_us);
            format!("fdatasync, delayed by {delay}, before every acknowledgement")
        } else {
            "fdatasync before every acknowledgement".to_string()
        }
    }

    /// Without a sync there is nothing to wait for: the wait moves out of the lock, so that presets differ only
    /// by what is left to compare (engine, partitions, records).
    pub(crate) fn normalized(mut self) -> Settings {
        if !self.sync {
            self.wait = Wait::AfterRelease;
        }
        self
    }
}

/// One setting with a value, as given on the command line: applied on top of a preset.
#[derive(Clone, Debug)]
pub(crate) enum Override {
    /// `--engine`
    Engine(Engine),
    /// `--partitions`
    Partitions(u32),
    /// `--commit`
    Commit(CommitPolicy),
    /// `--wait`
    Wait(Wait),
    /// `--log-scope`
    LogScope(LogScope),
    /// `--page-images`
    PageImages(bool),
    /// `--pool`, in bytes
    Pool(usize),
    /// `--sync-delay`, in microseconds
    SyncDelay(u64),
    /// `--no-sync`
    NoSync,
}

impl Override {
    /// Sets the value.
    pub(crate) fn apply(&self, settings: &mut Settings) {
        match *self {
            Override::Engine(engine) => settings.engine = engine,
            Override::Partitions(partitions) => settings.partitions = partitions,
            Override::Commit(commit) => settings.commit = commit,
            Override::Wait(wait) => settings.wait = wait,
            Override::LogScope(log_scope) => settings.log_scope = log_scope,
            Override::PageImages(page_images) => settings.page_images = page_images,
            Override::Pool(bytes) => settings.pool_bytes = bytes,
            Override::SyncDelay(micros) => settings.sync_delay_us = micros,
            Override::NoSync => settings.sync = false,
        }
    }

    /// How a run's label names it: `engine=coupled`.
    pub(crate) fn label(&self) -> String {
        match self {
            Override::Engine(engine) => format!("engine={engine}"),
            Override::Partitions(partitions) => format!("partitions={partitions}"),
            Override::Commit(commit) => format!("commit={commit}"),
            Override::Wait(wait) => format!("wait={wait}"),
            Override::LogScope(log_scope) => format!("log-scope={log_scope}"),
            Override::PageImages(page_images) => format!("page-images={page_images}"),
            Override::Pool(bytes) => format!("pool={}", bytes_text(*bytes)),
            Override::SyncDelay(micros) => format!("sync-delay={}", units::duration_text(*micros)),
            Override::NoSync => "no-sync".to_string(),
        }
    }
}

fn bytes_text(bytes: usize) -> String {
    match bytes {
        b if b >= 1 << 30 && b.is_multiple_of(1 << 30) => format!("{}GiB", b >> 30),
        b if b >= 1 << 20 && b.is_multiple_of(1 << 20) => format!("{}MiB", b >> 20),
        b if b >= 1 << 10 && b.is_multiple_of(1 << 10) => format!("{}KiB", b >> 10),
        b => b.to_string(),
    }
}

/// Serde by `Display` and `FromStr`: a result file and a preset file spell a setting as the command line does.
mod text {
    use super::*;

    pub(super) fn serialize<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

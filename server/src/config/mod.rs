//! The settings of a node.
//!
//! Each setting has one name, and can come from five places. Later ones win:
//!
//! | place | form |
//! |---|---|
//! | default | `--help` lists them |
//! | preset | `--preset option4`: the engine's settings as a whole |
//! | file | `--config node.toml`: `request_timeout = "10s"`; JSON where the name ends in `.json` |
//! | environment | `HEDGEHOG_REQUEST_TIMEOUT=10s` |
//! | flag | `--request-timeout 10s`, or `-request-timeout 10s` |
//!
//! So that the three last ones cannot differ, all of them are texts that go through one table (`settings.rs`): the
//! flags, the variables' names, `--help` and the printed configuration are made from it.
//!
//! | file | what |
//! |---|---|
//! | `settings.rs` | the table: name, group, help, how a text is taken over |
//! | `sources.rs` | flags, environment, file and preset, in their order |
//! | `file.rs` | TOML and JSON, errors with file, line and key |
//! | `tokens.rs` | who may do what |
//! | `check.rs` | what must hold between settings |
//! | `units.rs` | sizes and times as people write them |

mod check;
mod file;
mod settings;
mod sources;
mod tokens;
pub mod units;

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use tree::{CommitPolicy, Engine, LogScope, Options, Wait};

pub use sources::{Loaded, load};
pub use tokens::{Access, Role, Token};

/// Settings that cannot be served with: what, where, what to do.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

/// How traces of the node's doings are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people: one line an event.
    Text,
    /// For programs: one JSON object an event.
    Json,
}

/// The effective settings. The order is the one they are printed in.
#[derive(Clone, Debug, Serialize)]
pub struct Config {
    /// The node's name.
    pub node_id: String,
    /// Host and port to listen on; port 0 takes a free one.
    pub bind: String,
    /// Host and port that clients reach the node by. Default: what it listens on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advertise: Option<String>,
    /// The folder of the database.
    pub data_dir: PathBuf,

    /// The preset that the engine's settings started from.
    pub preset: String,
    /// The protocol that guards a tree.
    #[serde(serialize_with = "units::as_text")]
    pub engine: Engine,
    /// Partitions of a new table.
    pub partitions: u32,
    /// How commits are grouped.
    #[serde(serialize_with = "units::as_text")]
    pub commit: CommitPolicy,
    /// When the mutex engine waits for the log.
    #[serde(serialize_with = "units::as_text")]
    pub wait: Wait,
    /// How many logs.
    #[serde(serialize_with = "units::as_text")]
    pub log_scope: LogScope,
    /// Whether whole pages are logged instead of what changed in them.
    pub page_images: bool,
    /// The buffer pool, in bytes.
    #[serde(serialize_with = "units::as_size")]
    pub pool: u64,
    /// Whether acknowledged writes may be lost: the log is never synced.
    pub no_sync: bool,
    /// The size that the log does not pass, in bytes.
    #[serde(serialize_with = "units::as_size")]
    pub log_max: u64,
    /// Threads for operations that wait for the disk.
    pub disk_threads: usize,

    /// The largest body of a request, in bytes.
    #[serde(serialize_with = "units::as_size")]
    pub max_body: u64,
    /// The largest body of a batch, in bytes.
    #[serde(serialize_with = "units::as_size")]
    pub max_batch_body: u64,
    /// What the bodies of all requests that are being read may take together, in bytes.
    #[serde(serialize_with = "units::as_size")]
    pub max_body_memory: u64,
    /// The largest request line with headers, in bytes.
    #[serde(serialize_with = "units::as_size")]
    pub max_header_bytes: u64,
    /// The longest path with parameters, in bytes.
    #[serde(serialize_with = "units::as_size")]
    pub max_url: u64,
    /// Connections at one time.
    pub max_connections: usize,
    /// Requests at one time.
    pub max_in_flight: u64,
    /// From the headers to the answer.
    #[serde(serialize_with = "units::as_period")]
    pub request_timeout: Duration,
    /// For a request's headers to arrive; also for a TLS handshake.
    #[serde(serialize_with = "units::as_period")]
    pub header_timeout: Duration,
    /// How long a connection is kept without a request.
    #[serde(serialize_with = "units::as_period")]
    pub idle_timeout: Duration,
    /// How long a client may take nothing of its answer.
    #[serde(serialize_with = "units::as_period")]
    pub write_stall_timeout: Duration,
    /// How long requests in flight are waited for when the node stops.
    #[serde(serialize_with = "units::as_period")]
    pub shutdown_timeout: Duration,

    /// The file of the tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<PathBuf>,
    /// The certificate chain, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's key, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<PathBuf>,
    /// Whether to serve a public address without tokens and TLS.
    pub allow_public_without_protection: bool,
    /// The origin whose pages may call this node; `*` is any.
    pub cors_origin: String,

    /// What is logged: a level, or levels by module.
    pub log: String,
    /// How it is logged.
    pub log_format: LogFormat,
    /// Where traces go by OTLP over HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp_endpoint: Option<String>,

    /// Who may do what: what the file of the tokens says. Never printed.
    #[serde(skip)]
    pub access: Access,
}

impl Default for Config {
    fn default() -> Self {
        let options = Options::default();
        let seconds = Duration::from_secs;
        Self {
            node_id: "node-1".to_string(),
            bind: "127.0.0.1:8080".to_string(),
            advertise: None,
            data_dir: PathBuf::from("./data"),
            preset: "option4".to_string(),
            engine: options.engine,
            partitions: options.partitions,
            commit: options.commit,
            wait: options.wait,
            log_scope: options.log_scope,
            page_images: options.page_images,
            pool: 256 << 20,
            no_sync: false,
            log_max: options.log_max_bytes,
            disk_threads: 64,
            max_body: 1 << 20,
            max_batch_body: 16 << 20,
            max_body_memory: 256 << 20,
            max_header_bytes: 16 << 10,
            max_url: 8 << 10,
            max_connections: 4096,
            max_in_flight: 1024,
            request_timeout: seconds(30),
            header_timeout: seconds(10),
            idle_timeout: seconds(120),
            write_stall_timeout: seconds(30),
            shutdown_timeout: seconds(30),
            tokens: None,
            tls_cert: None,
            tls_key: None,
            allow_public_without_protection: false,
            cors_origin: "*".to_string(),
            log: "info".to_string(),
            log_format: LogFormat::Text,
            otlp_endpoint: None,
            access: Access::default(),
        }
    }
}

impl Config {
    /// What the database is opened with.
    pub fn options(&self) -> Options {
        let defaults = Options::default();
        // Four segments have to fit into the log; a segment is a whole number of blocks.
        let segment = (self.log_max / 4 / 4096 * 4096).min(defaults.log_segment_bytes);
        Options {
            engine: self.engine,
            partitions: self.partitions,
            commit: self.commit,
            // Without syncs there is nothing to wait for, under a lock least of all.
            wait: if self.no_sync { Wait::AfterRelease } else { self.wait },
            log_scope: self.log_scope,
            page_images: self.page_images,
            pool_bytes: usize::try_from(self.pool).unwrap_or(usize::MAX),
            log_max_bytes: self.log_max,
            log_segment_bytes: segment,
            sync: !self.no_sync,
            ..defaults
        }
    }

    /// What a strong write's answer promises, in plain words.
    pub fn durability(&self) -> &'static str {
        if self.no_sync {
            "NONE: no_sync is set, an acknowledged write may be lost"
        } else {
            "fdatasync before every strong acknowledgement"
        }
    }

    /// The effective settings as TOML that `--config` takes again. No secrets are in it.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).unwrap_or_else(|error| format!("# cannot be printed: {error}\n"))
    }

    /// The effective settings as JSON. No secrets are in it.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;

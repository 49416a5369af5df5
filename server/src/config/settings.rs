//! The table of all settings: flags, environment, files, `--help` and the reference in README.md follow it.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::LazyLock;

use super::units::{parse_period, parse_size};
use super::{Config, LogFormat};

/// One setting.
pub(super) struct Setting {
    /// As a file spells it: `max_body`. The flag is `--max-body`, the variable `HEDGEHOG_MAX_BODY`.
    pub(super) name: &'static str,
    /// The heading that `--help` lists it under.
    pub(super) group: &'static str,
    /// What stands for the value in `--help`; none for what is either set or not.
    pub(super) value: Option<&'static str>,
    /// What it is, in a sentence.
    pub(super) help: &'static str,
    /// Takes the text over.
    pub(super) set: fn(&mut Config, &str) -> Result<(), String>,
}

impl Setting {
    /// The flag without its dashes.
    pub(super) fn flag(&self) -> &'static str {
        FLAGS.get(self.name).map_or(self.name, String::as_str)
    }

    /// The name of the environment variable.
    pub(super) fn variable(&self) -> String {
        format!("HEDGEHOG_{}", self.name.to_uppercase())
    }
}

/// Flags by name: clap wants them to live as long as the program.
static FLAGS: LazyLock<BTreeMap<&str, String>> =
    LazyLock::new(|| SETTINGS.iter().map(|setting| (setting.name, setting.name.replace('_', "-"))).collect());

/// The setting of that name.
pub(super) fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

fn parsed<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

/// A whole number of at least one.
fn count<T: FromStr + Default + PartialEq>(text: &str) -> Result<T, String> {
    let number = text.parse().ok().filter(|number| *number != T::default());
    number.ok_or_else(|| format!("{text:?} is not a whole number of at least 1 that fits here"))
}

fn switch(text: &str) -> Result<bool, String> {
    match text {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(format!("{text:?} is neither true nor false")),
    }
}

/// An empty text takes a setting back to "none".
fn optional<T: From<String>>(text: &str) -> Option<T> {
    (!text.is_empty()).then(|| T::from(text.to_string()))
}

/// `group { name VALUE "help" => field = parser; }`, a line a setting.
macro_rules! settings {
    ($($group:literal { $($name:ident $([$value:literal])? $help:literal => $parse:expr;)+ })+) => {
        pub(super) const SETTINGS: &[Setting] = &[$($(Setting {
            name: stringify!($name),
            group: $group,
            value: settings!(@value $($value)?),
            help: $help,
            set: |config, text| {
                let parse: fn(&str) -> Result<_, String> = $parse;
                config.$name = parse(text)?;
                Ok(())
            },
        },)+)+];
    };
    (@value) => { None };
    (@value $value:literal) => { Some($value) };
}

fn text(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("the value is empty".to_string()) } else { Ok(text.to_string()) }
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(format!("{text:?} is neither text nor json")),
    }
}

settings! {
    "Node" {
        node_id ["NAME"] "The node's name" => text;
        bind ["HOST:PORT"] "Where to listen; port 0 takes a free one" => text;
        advertise ["HOST:PORT"] "Where clients reach the node; where it listens, if not given"
            => |t| Ok(optional(t));
        data_dir ["FOLDER"] "Where the database lies; made if missing" => |t| text(t).map(PathBuf::from);
    }
    "Engine (what the preset does not say otherwise)" {
        preset ["NAME|FILE"] "baseline, option1, option2, option4, or a preset's .toml file" => text;
        engine ["NAME"] "What guards a tree: mutex (one lock) or coupled (page latches)" => parsed;
        partitions ["N"] "Partitions of a new table" => count;
        commit ["POLICY"] "How commits are grouped: greedy, window:2ms or immediate:50us" => parsed;
        wait ["WHEN"] "When the mutex engine waits for the log: under-lock or after-release" => parsed;
        log_scope ["SCOPE"] "One log for the database, or one a partition; fixed when the data folder is made"
            => parsed;
        page_images "Log whole pages instead of what changed in them" => switch;
        pool ["SIZE"] "Memory of the buffer pool" => parse_size;
        no_sync "Never sync the log: ACKNOWLEDGED WRITES MAY BE LOST" => switch;
        log_max ["SIZE"] "The size that the log does not pass; checkpoints keep it below" => parse_size;
        disk_threads ["N"] "Threads for operations that wait for the disk" => count;
    }
    "Limits" {
        max_body ["SIZE"] "The largest body of a request; past it 413" => parse_size;
        max_batch_body ["SIZE"] "The largest body of a batch; past it 413" => parse_size;
        max_body_memory ["SIZE"] "What the bodies of all requests may take together; past it 503"
            => parse_size;
        max_header_bytes ["SIZE"] "The largest request line with headers, at least 8KiB; past it 431"
            => parse_size;
        max_url ["SIZE"] "The longest path with parameters; past it 414" => parse_size;
        max_connections ["N"] "Connections at one time; past it 503" => count;
        max_in_flight ["N"] "Requests at one time; past it 503" => count;
        request_timeout ["TIME"] "From the headers to the answer; past it 408 (body late) or 503"
            => parse_period;
        header_timeout ["TIME"] "For a request's headers, and for a TLS handshake, to arrive" => parse_period;
        idle_timeout ["TIME"] "How long a connection is kept without a request" => parse_period;
        write_stall_timeout ["TIME"] "How long a client may take nothing of its answer" => parse_period;
        shutdown_timeout ["TIME"] "How long requests in flight are waited for when the node stops"
            => parse_period;
    }
    "Access" {
        tokens ["FILE"] "Bearer tokens and their roles (TOML); none: everybody may do everything"
            => |t| Ok(optional(t));
        tls_cert ["FILE"] "Certificate chain (PEM); with --tls-key the node serves https"
            => |t| Ok(optional(t));
        tls_key ["FILE"] "The certificate's private key (PEM)" => |t| Ok(optional(t));
        allow_public_without_protection "Serve an address that others can reach without tokens and TLS"
            => switch;
        cors_origin ["ORIGIN"] "The origin whose pages may call this node; * is any" => text;
    }
    "Logging" {
        log ["FILTER"] "What is logged: error, warn, info, debug, trace, or levels by module" => text;
        log_format ["FORMAT"] "text or json" => log_format;
        otlp_endpoint ["URL"] "Where traces go by OTLP over HTTP (builds with the feature otlp)"
            => |t| Ok(optional(t));
    }
}

//! One node of HedgehogDB over HTTP.
//!
//! The way of a request: `serve` accepts the connection and bounds what it may cost; `guard` lets the request in
//! (identity, load, access, time); `routes` reads it and answers; `engine` does the operation in the tree without
//! blocking the runtime; `metrics` counts it.

#![forbid(unsafe_code)]

pub mod app;
pub mod archive;
pub mod config;
pub mod dashboard;
pub mod document;
pub mod engine;
pub mod error;
pub mod guard;
pub mod metrics;
mod restore;
pub mod routes;
pub mod serve;
pub mod trace;

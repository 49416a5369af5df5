//! The command line, as people and programs use it: against a node, and against a server that misbehaves.
#![cfg(not(feature = "loom"))]

#[path = "../common/mod.rs"]
mod common;
mod mock;
mod program;

mod access;
mod against_mock;
mod against_node;

//! What the two programs of this package share: `experiments`, the harness around the embedded tree, and `trafficgen`,
//! which sends the same traffic over HTTP.
//!
//! The traffic's keys and documents are in [`traffic`], the choice of operations and keys in [`mix`]; [`machine`]
//! and [`latency`] are what every result needs, [`result_folder`] and [`text_table`] where and how it is shown.

#![forbid(unsafe_code)]

pub mod error;
pub mod interrupt;
pub mod latency;
pub mod machine;
pub mod mix;
pub mod result_folder;
pub mod text_table;
pub mod traffic;
pub mod units;
pub mod utc;

//! The settings of a log: see `wal::fuzz::wal_options`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wal::fuzz::wal_options(data));

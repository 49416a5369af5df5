//! A log's files: see `wal::fuzz::segments`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wal::fuzz::segments(data));

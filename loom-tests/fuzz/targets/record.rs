//! Log records: see `wal::fuzz::record`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wal::fuzz::record(data));

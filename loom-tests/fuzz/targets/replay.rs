//! Recovery of a database by arbitrary records: see `tree::fuzz::replay`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tree::fuzz::replay(data));

//! The settings of a database: see `tree::fuzz::options`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tree::fuzz::options(data));

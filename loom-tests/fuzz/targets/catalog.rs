//! The catalog: see `tree::fuzz::catalog`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tree::fuzz::catalog(data));

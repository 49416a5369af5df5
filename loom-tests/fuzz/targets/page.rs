//! A page: see `tree::fuzz::page`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tree::fuzz::page(data));

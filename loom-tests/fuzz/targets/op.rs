//! Redo operations on one page: see `tree::fuzz::op`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tree::fuzz::op(data));

//! Operations and crashes against a model: see `loom_tests::simulation::fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| loom_tests::simulation::fuzz(data));

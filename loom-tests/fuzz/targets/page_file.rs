//! A database with damaged pages: see `tree::fuzz::page_file`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tree::fuzz::page_file(data));

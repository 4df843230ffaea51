//! Invented inputs for the property `checkpoint`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gk_fuzz_props::checkpoint::check(bytes));

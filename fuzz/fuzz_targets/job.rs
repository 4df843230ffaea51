//! Invented inputs for the property `job`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gk_fuzz_props::job::check(bytes));

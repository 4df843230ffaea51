//! Invented inputs for the property `query`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gk_fuzz_props::query::check(bytes));

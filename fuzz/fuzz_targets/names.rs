//! Invented inputs for the property `names`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gk_fuzz_props::names::check(bytes));

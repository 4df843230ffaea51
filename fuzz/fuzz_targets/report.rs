//! Invented inputs for the property `report`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gk_fuzz_props::report::check(bytes));

//! Invented inputs for the property `merkle`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gk_fuzz_props::merkle::check(bytes));

//! Invented inputs for the property `reason`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gk_fuzz_props::reason::check(bytes));

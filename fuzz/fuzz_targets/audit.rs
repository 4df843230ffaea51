//! Invented inputs for the property `audit`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gk_fuzz_props::audit::check(bytes));

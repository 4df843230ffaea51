//! Invented inputs for the property `cursor`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gk_fuzz_props::cursor::check(bytes));

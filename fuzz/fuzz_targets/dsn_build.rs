//! Invented inputs for the property `dsn_build`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gk_fuzz_props::dsn::check_built(bytes));

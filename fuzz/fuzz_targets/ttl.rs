//! Invented inputs for the property `ttl`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gk_fuzz_props::ttl::check(bytes));

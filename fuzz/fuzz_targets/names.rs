//! Invented inputs for the property `names`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gk_fuzz_props::property("names").expect("is listed")(bytes));

//! Invented inputs for the property `checkpoint`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gk_fuzz_props::property("checkpoint").expect("is listed")(bytes));

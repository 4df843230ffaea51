//! Invented inputs for the property `reason`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gk_fuzz_props::property("reason").expect("is listed")(bytes));

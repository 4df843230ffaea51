//! Invented inputs for the property `dsn`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gk_fuzz_props::property("dsn").expect("is listed")(bytes));

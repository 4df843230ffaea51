//! Invented inputs for the property `config_cli`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gk_fuzz_props::property("config_cli").expect("is listed")(bytes));

//! Invented inputs for the property `config_plane`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gk_fuzz_props::property("config_plane").expect("is listed")(bytes));

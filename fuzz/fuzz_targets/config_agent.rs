//! Invented inputs for the property `config_agent`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gk_fuzz_props::config::check_agent(bytes));

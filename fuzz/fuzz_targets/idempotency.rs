//! Invented inputs for the property `idempotency`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gk_fuzz_props::property("idempotency").expect("is listed")(bytes));

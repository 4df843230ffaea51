//! `/v1/recovery`: a ledger that went back, and taking it as it is.

pub mod accept;
pub mod show;

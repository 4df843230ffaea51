//! Numbers.
fn main() {}

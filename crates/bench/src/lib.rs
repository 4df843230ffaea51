//! What the benchmark measures with; filled in by its own change.

//! Programs that were built to count their lines, and where they write the counts.

use std::ffi::OsString;

/// What a program under test needs of our environment while coverage is measured, and nothing otherwise: a cleared
/// environment would lose its counts.
#[must_use]
pub fn counters() -> Option<(&'static str, OsString)> {
    const NAME: &str = "LLVM_PROFILE_FILE";
    #[expect(clippy::disallowed_methods, reason = "the tool that measures coverage says it in no other way")]
    std::env::var_os(NAME).map(|file| (NAME, file))
}

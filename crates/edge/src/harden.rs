//! What a process asks of the system at its start: to leave no copy of its memory behind, for passwords pass through it,
//! and to have as many files open as it may.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// No core dump, and no other process of the same user may look into this one. Best effort: a system that refuses is
/// no reason not to run.
pub fn this_process() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let _ = setrlimit(Resource::Core, none);
    keep_others_out();
}

/// No other process of the same user may look into this one, and the system writes no core dump of it.
pub fn keep_others_out() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

/// Takes all the file descriptors that may be had: each connection needs one.
pub fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    if let Err(error) = raised {
        tracing::warn!(%error, current = ?limit.current, "cannot raise the limit of open files");
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_hardened_process_dumps_no_core_and_is_not_dumpable() {
        this_process();
        let limit = getrlimit(Resource::Core);
        assert_eq!((limit.current, limit.maximum), (Some(0), Some(0)));
        let dumpable = rustix::process::dumpable_behavior().expect("Linux tells");
        assert_eq!(dumpable, rustix::process::DumpableBehavior::NotDumpable);
    }

    #[test]
    fn all_the_files_that_may_be_open_can_be() {
        raise_file_limit();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
